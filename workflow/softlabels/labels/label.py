"""The label files that networks are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import registry
from ..contracts import Labels, write_labels
from ..errors import UserError
from . import evidence as evidence_files
from .evidence import one_hot


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write one label file.

    Args:
        config: ``label`` with ``aggregate`` (``kind`` and its options), ``form`` (``soft``: the distribution,
            ``hard``: its one-hot), ``votes`` (how many are drawn, or ``all``), ``ties`` and ``seed``; ``draw``, ``all``
            or the seed of the runs that learn from it.
        inputs: ``annotations``, ``reference``; ``items`` where votes are drawn; ``split`` where the label is made for
            one; ``predictions`` of the networks, a fold each, where the label needs them.
        outputs: ``labels``.

    Raises:
        UserError: more votes are asked for than an item has, votes or annotators where there are none.
    """
    options = config["label"]
    evidence = evidence_files.read(config, inputs)
    needs = registry.entry("aggregate", options["aggregate"]["kind"])["needs"]
    if "annotators" in needs and (evidence.annotations is None or (evidence.votes.annotator < 0).any()):
        raise UserError(
            f"label: {options['aggregate']['kind']} needs to know who gave each vote, and this data set does not say. "
            f"Take another aggregate, or a source with annotators."
        )
    labels = registry.load("aggregate", options["aggregate"]["kind"])(evidence, {**options, **options["aggregate"]})
    p = one_hot(labels.hard, len(evidence.classes)) if options["form"] == "hard" else labels.p
    facts = {"aggregate": options["aggregate"]["kind"], "form": options["form"], **labels.metadata}
    made = Labels(outputs["labels"], labels.item, p, labels.hard, labels.weight, evidence.classes)
    write_labels(made, labels.votes, facts)
