"""Draw one figure of a study."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from .. import drawing, registry
from ..errors import UserError


def run(config: dict[str, Any], inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    """Draw a figure for the screen, as PNG and PDF; see :func:`drawn`."""
    with drawing.style():
        drawing.save(drawn(config, inputs), outputs["png"], outputs["pdf"])


def drawn(config: dict[str, Any], inputs: dict[str, Any]) -> Figure:
    """A figure in the style at work.

    Args:
        config: ``study``, ``figure`` (``kind`` and options), ``labels`` (names, in order), ``seeds``, ``block`` (data
            set, split and recipe; null for a figure of the whole study).
        inputs: what the kind needs: ``embeddings`` (a file a label, in the order of ``labels``, of the first seed),
            ``items``, ``reference``, ``scores``, ``histories`` and ``predictions`` (a file a run; their paths say which
            is which), ``cells`` (the ledger).

    Raises:
        UserError: an input that the kind needs is missing, or what the kind finds wrong in them.
    """
    if config["block"]:  # of one data set
        inputs = {**inputs, **{name: inputs[name][0] for name in ("items", "reference") if inputs.get(name)}}
    kind = config["figure"]["kind"]
    for name in registry.entry("figure", kind)["needs"]:
        if not inputs.get(name):
            raise UserError(f"figure {kind}: found no {name}, which it needs. Pass --{name}.")
    return registry.load("figure", kind)(config, inputs)
