"""What is known about each item's label, and the labels made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .. import io, keyed
from ..datasets.contract import vote_counts
from ..errors import UserError


@dataclass(frozen=True)
class Evidence:
    """Votes, or where there are none the exact distribution, of N items.

    Attributes:
        counts: votes per class, int64 ``[N, C]``, or None.
        distribution: probabilities, float64 ``[N, C]``, or None; exactly one of the two is there.
        annotations: one row a vote (item, annotator, label), or None.
        classes: names of the C classes.
    """

    counts: np.ndarray | None
    distribution: np.ndarray | None
    annotations: pa.Table | None
    classes: list[str]


@dataclass(frozen=True)
class LabelTable:
    """Labels of K of the N items.

    Attributes:
        item: int32 ``[K]``, ascending.
        p: the label, float32 ``[K, C]``; rows sum to 1.
        hard: the class with the most votes, int16 ``[K]``.
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
    votes, metadata = io.read_table(annotations)
    table, _ = io.read_table(reference)
    classes = metadata["classes"]
    if votes.num_rows:
        return Evidence(vote_counts(votes, table.num_rows, len(classes)), None, votes, classes)
    return Evidence(None, io.matrix(table, "p"), None, classes)


def one_hot(label: np.ndarray, n_classes: int) -> np.ndarray:
    """float32 ``[K, C]`` with a one at each label."""
    return np.eye(n_classes, dtype=np.float32)[label]


def average(evidence: Evidence) -> np.ndarray:
    """Each class's share of an item's votes, or the distribution itself: float64 ``[N, C]`` (nan without votes)."""
    if evidence.counts is None:
        return evidence.distribution
    with np.errstate(invalid="ignore"):
        return evidence.counts / evidence.counts.sum(axis=1, keepdims=True)


def label_table(evidence: Evidence, p: np.ndarray | None, options: dict[str, Any]) -> LabelTable:
    """Labels ``p`` with the most voted class beside them.

    The top is compared in whole votes where there are votes, so that rounding makes and breaks no tie. Items without a
    vote get no row.

    Args:
        evidence: votes or distribution of N items.
        p: float ``[N, C]``, or None for the one-hot of the top class.
        options: ``ties``: ``lowest_index``, ``random`` (by item and ``seed``) or ``drop`` (the item gets no row).

    Raises:
        UserError: no item is left.
    """
    score = evidence.distribution if evidence.counts is None else evidence.counts
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
        metadata={"ties": {"rule": options["ties"], "count": int(tied.sum())}},
    )
