"""The two most probable classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .evidence import Evidence, LabelTable, one_hot, shares

ENTRY = {
    "about": "The two largest shares, divided by their sum (a cheap form of Jeong and Chung 2023, who estimate both): "
        "what annotators seldom say is taken for a slip. Of several second classes, the lowest index.",
    "options": {},
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels p of the hard class and of the next, divided by their sum; 0 elsewhere."""
    table, p = shares(evidence, options)
    kept = np.where(one_hot(table.hard, p.shape[1]) + one_hot(second(p, table.hard), p.shape[1]) > 0, p, 0)
    return table.changed(kept / kept.sum(axis=1, keepdims=True))


def second(p: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The largest class of each row ``[K, C]`` but the ``first``, int ``[K]``; of several, the lowest index."""
    return np.where(one_hot(first, p.shape[1]) > 0, -1, p).argmax(axis=1)
