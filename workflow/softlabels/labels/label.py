"""The label files that networks are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import registry
from ..contracts import Labels, read_split, write_labels
from ..errors import UserError
from . import evidence as evidence_files
from . import remarks
from .evidence import Evidence, LabelTable, one_hot


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path]) -> dict[str, Any]:
    """Write one label file; returns what the aggregate tells of it, such as an amount that it chose.

    Args:
        config: ``label`` with ``aggregate`` (``kind`` and its options), ``form`` (``soft``: the distribution,
            ``hard``: its one-hot), ``votes`` (how many are drawn, or ``all``), ``items`` (how many training items have
            a label, or None), ``ties`` and ``seed``; ``draw``, ``all`` or the seed of the runs that learn from it.
        inputs: ``annotations``, ``reference``; ``items`` where votes are drawn; ``split`` where the label is made for
            one (as where ``items`` is not None); ``predictions`` of the networks, a fold each, where it needs them;
            ``given``, a file that the label names.
        outputs: ``labels``.

    Raises:
        UserError: more votes are asked for than an item has, votes or annotators where there are none, more items
            than the training part has, or some among them that the aggregate gives no label.
    """
    options = config["label"]
    evidence = evidence_files.read(config, inputs)
    require(options, evidence)
    labels = registry.load("aggregate", options["aggregate"]["kind"])(evidence, {**options, **options["aggregate"]})
    _require_labels(options["aggregate"]["kind"], labels, len(evidence.classes))
    if evidence.chosen is not None:
        labels = labels.rows(evidence.chosen[labels.item])
        _require_chosen(options, int((read_split(inputs["split"]).part[labels.item] == "train").sum()))
    p = one_hot(labels.hard, len(evidence.classes)) if options["form"] == "hard" else labels.p
    facts = {"aggregate": options["aggregate"]["kind"], "form": options["form"], **labels.metadata}
    votes = np.zeros(len(labels.item), int) if labels.votes is None else labels.votes
    for text in remarks.log(labels.metadata):
        print(f"{options['aggregate']['kind']}: {text}", flush=True)
    write_labels(Labels(outputs["labels"], labels.item, p, labels.hard, votes, labels.weight, evidence.classes), facts)
    return labels.metadata


def require(options: dict[str, Any], evidence: Evidence) -> None:
    """Refuse votes of nobody known where the aggregate of a label, its ``options``, needs annotators."""
    kind = options["aggregate"]["kind"]
    needs = registry.entry("aggregate", kind)["needs"]
    if "annotators" in needs and (evidence.annotations is None or (evidence.votes.annotator < 0).any()):
        raise UserError(
            f"label: {kind} needs to know who gave each vote, and this data set does not say. Take another aggregate, "
            f"or a source with annotators."
        )


def _require_chosen(options: dict[str, Any], found: int) -> None:
    """Refuse fewer labels of the training part than were asked for: some of the items that were drawn have none."""
    if found < options["items"]:
        raise UserError(
            f"label: items is {options['items']}, but {found} of the images that were drawn have a label: the "
            f"aggregate '{options['aggregate']['kind']}' with 'ties: {options['ties']}' leaves images out. Take an "
            f"aggregate (and ties) that gives every image a label, or remove items."
        )


def _require_labels(kind: str, labels: Any, n_classes: int) -> None:
    """Refuse what is no distribution for each item: an aggregate may be the user's own."""
    if not isinstance(labels, LabelTable):
        raise UserError(
            f"label: the aggregate {kind} returned {type(labels).__name__}, expected what label_table() returns. "
            f"Correct it."
        )
    if np.shape(labels.p) != (len(labels.item), n_classes):
        raise UserError(
            f"label: the aggregate {kind} gave labels {list(np.shape(labels.p))}, expected "
            f"{[len(labels.item), n_classes]}, a distribution for each item with votes. Correct it."
        )
    bad = ~((labels.p >= 0).all(axis=1) & (np.abs(labels.p.sum(axis=1) - 1) < 1e-4))  # negated, so that NaN is bad
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"label: the aggregate {kind} gave item {labels.item[row]} the label {labels.p[row].tolist()}, expected a "
            f"distribution that sums to 1 ({int(bad.sum())} such items). Correct it."
        )
