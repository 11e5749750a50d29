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
    """Votes, or where there are none the exact distribution, of N items."""

    classes: list[str]
    counts: np.ndarray | None = None  # votes per class, int64 [N, C]
    weights: np.ndarray | None = None  # the sum of the weights of these votes, float64 [N, C], if votes have weights
    distribution: np.ndarray | None = None  # probabilities, float64 [N, C]: there just where counts are not

    @property
    def score(self) -> np.ndarray:
        """What speaks for each class, ``[N, C]``: weights where there are any, else votes, else probabilities."""
        return next(a for a in (self.weights, self.counts, self.distribution) if a is not None)


@dataclass(frozen=True)
class LabelTable:
    """Labels of K of the N items."""

    item: np.ndarray  # int32 [K], ascending
    p: np.ndarray  # the label, float32 [K, C]; rows sum to 1
    hard: np.ndarray  # the class with the highest score, int16 [K]
    votes: np.ndarray | None  # how many votes the label is made of, int32 [K]
    weight: np.ndarray  # weight in the loss, float32 [K]
    metadata: dict[str, Any]  # JSON values; ``ties`` is the rule and the number of items with a tied top


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
    """The share of each class in an item's votes or their weight (nan without any), or its distribution: ``[N, C]``."""
    if evidence.counts is None:
        return evidence.distribution
    with np.errstate(invalid="ignore"):
        return evidence.score / evidence.score.sum(axis=1, keepdims=True)


def label_table(evidence: Evidence, p: np.ndarray | None, options: dict[str, Any]) -> LabelTable:
    """Labels ``p``, float ``[N, C]`` (None: the one-hot of the top class), with the class of the highest score beside.

    The top is compared in whole votes where there are votes, so that rounding makes and breaks no tie. Where these have
    weights, their sums, made in float64 in the order of the rows, are compared exactly: weights such as 0.1 may differ
    in the last bit where they tie on paper. The option ``ties`` breaks ties by ``lowest_index``, at ``random`` (by item
    and ``seed``) or leaves the item out (``drop``), as one without a vote is; if none is left, that is a UserError.
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
