"""Draw one figure of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import registry


def run(config: dict[str, Any], inputs: dict[str, Any], outputs: dict[str, Path]) -> None:
    """Draw a figure of the kind that the configuration names.

    Args:
        config: ``study``, ``figure`` (its ``kind``), ``labels`` (names, in order), ``seeds``, ``block`` (data set,
            split and recipe, or null for a figure of the whole study).
        inputs: what the kind needs of lists ``embeddings`` (a file a label), ``items``, ``reference`` (a file a data
            set), ``scores`` and ``histories`` (a file a run); and ``cells``, the study's ledger.
        outputs: ``png``, ``pdf``.
    """
    one = {name: inputs[name][0] for name in ("items", "reference") if name in inputs}
    draw = registry.load("figure", config["figure"]["kind"])
    draw(config, {**inputs, **one, "metrics": inputs.get("scores")}, outputs)
