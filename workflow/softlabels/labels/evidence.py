"""What is known about each item's label, and the labels made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import io, keyed
from ..contracts import read_reference
from ..errors import UserError


@dataclass(frozen=True)
class Evidence:
    """Votes, or where there are none the exact distribution, of N items.

    Attributes:
        classes: names of the C classes.
        counts: votes per class, int64 ``[N, C]``, or None.
        weights: the sum of the weights of these votes, float64 ``[N, C]``, or None where votes have no weight.
        distribution: probabilities, float64 ``[N, C]``, or None; exactly one of this and ``counts`` is there.
    """

    classes: list[str]
    counts: np.ndarray | None = None
    weights: np.ndarray | None = None
    distribution: np.ndarray | None = None

    @property
    def score(self) -> np.ndarray:
        """What speaks for each class, ``[N, C]``: weights where there are any, else votes, else probabilities."""
        return next(a for a in (self.weights, self.counts, self.distribution) if a is not None)


@dataclass(frozen=True)
class LabelTable:
    """Labels of K of the N items.

    Attributes:
        item: int32 ``[K]``, ascending.
        p: the label, float32 ``[K, C]``; rows sum to 1.
        hard: the class with the highest score, int16 ``[K]``.
        votes: how many votes the label is made of, int32 ``[K]``, or None.
        weight: weight in the loss, float32 ``[K]``.
        metadata: JSON values; ``ties`` is the rule and the number of items with a tied top.
    """

    item: np.ndarray
    p: np.ndarray
    hard: np.ndarray
    votes: np.ndarray | None
    weight: np.ndarray
    metadata: dict[str, Any]


def read(annotations: Path, reference: Path) -> Evidence:
    """The votes where there are any, else the exact distribution."""
    votes, metadata = io.read_table(annotations, [])
    if not votes.num_rows:
        return Evidence(metadata["classes"], distribution=read_reference(reference).p)
    shape = io.read_table(reference, [])[0].num_rows, len(metadata["classes"])
    counts, weights = np.zeros(shape, np.int64), None
    for batch in io.read_batches(annotations, ["item", "label", "weight"]):
        cell = batch["item"].to_numpy().astype(np.intp) * shape[1] + batch["label"].to_numpy()
        np.add.at(counts.reshape(-1), cell, 1)
        if "weight" in batch.schema.names:
            weights = np.zeros(shape) if weights is None else weights
            # vote by vote, so that a sum does not depend on where a batch ends
            np.add.at(weights.reshape(-1), cell, batch["weight"].to_numpy().astype(np.float64))
    return Evidence(metadata["classes"], counts, weights)


def one_hot(label: np.ndarray, n_classes: int) -> np.ndarray:
    """float32 ``[K, C]`` with a one at each label."""
    return np.eye(n_classes, dtype=np.float32)[label]


def average(evidence: Evidence) -> np.ndarray:
    """Each class's share of an item's votes or of their weight, or the distribution itself: float64 ``[N, C]``.

    Items without votes are nan.
    """
    if evidence.counts is None:
        return evidence.distribution
    with np.errstate(invalid="ignore"):
        return evidence.score / evidence.score.sum(axis=1, keepdims=True)


def label_table(evidence: Evidence, p: np.ndarray | None, options: dict[str, Any]) -> LabelTable:
    """Labels ``p`` with the class of the highest score beside them.

    The top is compared in whole votes where there are votes, so that rounding makes and breaks no tie. Where these have
    weights, their sums, made in float64 in the order of the rows, are compared exactly: weights such as 0.1 may differ
    in the last bit where they tie on paper. Items without a vote get no row.

    Args:
        evidence: votes or distribution of N items.
        p: float ``[N, C]``, or None for the one-hot of the top class.
        options: ``ties``: ``lowest_index``, ``random`` (by item and ``seed``) or ``drop`` (the item gets no row).

    Raises:
        UserError: no item is left.
    """
    score = evidence.score
    top = score == score.max(axis=1, keepdims=True)
    known = score.sum(axis=1) > 0
    tied = known & (top.sum(axis=1) > 1)
    hard = top.argmax(axis=1).astype(np.int16)
    if options["ties"] == "random":
        for item in np.flatnonzero(tied):
            hard[item] = keyed.rng("ties", options["seed"], int(item)).choice(np.flatnonzero(top[item]))
    item = np.flatnonzero(known & ~tied if options["ties"] == "drop" else known)
    if not len(item):
        raise UserError("label: no item has a label: all are tied. Set ties to 'lowest_index' or 'random'.")
    hard = hard[item]
    return LabelTable(
        item=item.astype(np.int32),
        p=one_hot(hard, len(evidence.classes)) if p is None else p[item].astype(np.float32),
        hard=hard,
        votes=None if evidence.counts is None else evidence.counts[item].sum(axis=1).astype(np.int32),
        weight=np.ones(len(item), np.float32),
        metadata={"ties": {"rule": options["ties"], "count": int(tied.sum())}}
        | ({} if evidence.weights is None else {"weighted": True}),
    )
