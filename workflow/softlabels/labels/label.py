"""The label files that networks are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import registry
from ..contracts import Labels, write_labels
from . import evidence as evidence_files
from .evidence import one_hot


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write one label file.

    Args:
        config: ``label`` with ``aggregate`` (``kind`` and its options), ``form`` (``soft``: the distribution,
            ``hard``: its one-hot), ``ties`` and ``seed``.
        inputs: ``annotations``, ``reference``.
        outputs: ``labels``.
    """
    options = config["label"]
    evidence = evidence_files.read(inputs["annotations"], inputs["reference"])
    labels = registry.load("aggregate", options["aggregate"]["kind"])(evidence, {**options, **options["aggregate"]})
    p = one_hot(labels.hard, len(evidence.classes)) if options["form"] == "hard" else labels.p
    facts = {"aggregate": options["aggregate"]["kind"], "form": options["form"], **labels.metadata}
    made = Labels(outputs["labels"], labels.item, p, labels.hard, labels.weight, evidence.classes)
    write_labels(made, labels.votes, facts)
