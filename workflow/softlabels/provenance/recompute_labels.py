"""Labels that have a formula, once more, in plain NumPy; see ``recompute.py``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq


class Known(NamedTuple):
    """What is known of K items that have a label."""

    score: np.ndarray  # votes, their weights, or where there are none probabilities, [K, C]
    share: np.ndarray  # of each class in it, float64 [K, C]
    hard: np.ndarray  # int [K]
    learned: np.ndarray  # bool [K], what an estimate may learn from

    @property
    def one_hot(self) -> np.ndarray:
        """float64 ``[K, C]`` with a one at each hard class."""
        return np.eye(self.share.shape[1])[self.hard]


def _smoothed(known: Known, options: Mapping[str, Any]) -> np.ndarray:
    n_classes, alpha = known.share.shape[1], options["alpha"]
    if alpha == "matched":  # the hard class then has the mean share that it has in what is learned from
        of_hard = known.share[np.arange(len(known.hard)), known.hard][known.learned]
        alpha = (1 - of_hard.mean()) / (1 - 1 / n_classes)
    return known.one_hot + alpha * (1 / n_classes - known.one_hot)


def _class_mean(known: Known, options: Mapping[str, Any]) -> np.ndarray:
    learned, hard = known.share[known.learned], known.hard[known.learned]
    return np.array([(learned[hard == c] if c in hard else learned).mean(axis=0) for c in known.hard])


def _top2(known: Known, options: Mapping[str, Any]) -> np.ndarray:
    second = np.argmax(known.share - 2 * known.one_hot, axis=1)
    kept = known.share * (known.one_hot + np.eye(known.share.shape[1])[second])
    return kept / kept.sum(axis=1, keepdims=True)


def _divided(values: np.ndarray) -> np.ndarray:
    return values / values.sum(axis=1, keepdims=True)


FORMULAS = {
    "average": lambda known, options: known.share,
    "candidates": lambda known, options: _divided((known.share > 0).astype(np.float64)),
    "class_mean": _class_mean,
    "file": lambda known, options: known.share,
    "laplace": lambda known, options: _divided(known.score + options["k"]),
    "majority": lambda known, options: known.one_hot,
    "mix": lambda known, options: known.share + options["w"] * (known.one_hot - known.share),
    "smoothed": _smoothed,
    "softmax_counts": lambda known, options: _divided(np.exp(known.score - known.score.max(axis=1, keepdims=True))),
    "top2": _top2,
    "unanimous": lambda known, options: known.share,
}  # what an aggregate makes of :class:`Known` and its options, float64 [K, C]


def given(path: Path, names: list[str], classes: list[str], options: Mapping[str, Any]) -> np.ndarray:
    """The distributions that a file names, float64 ``[N, C]``, of items by name; rows of others are 0."""
    if path.suffix.lower() == ".parquet":
        rows = pq.read_table(path).to_pylist()
    else:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [*csv.DictReader(file, delimiter=options["separator"])]
    column = options["item_column"] or next(key for key in rows[0] if key not in classes)
    p, place = np.zeros((len(names), len(classes))), {name: k for k, name in enumerate(names)}
    for row in rows:
        values = [float(row[name]) for name in classes]
        p[place[str(row[column])]] = np.array(values) / sum(values)
    return p
