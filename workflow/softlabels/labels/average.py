"""The average of the votes: the share of each class."""

from __future__ import annotations

from typing import Any

import numpy as np

from .evidence import Evidence, LabelTable, label_table

ENTRY = {
    "about": "The share of each class in the votes; the distribution itself where there are no votes.",
    "options": {},
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``n_k / sum n`` (the distribution itself where there are no votes); see :func:`label_table`."""
    p = evidence.distribution
    if p is None:
        with np.errstate(invalid="ignore"):  # an item without a vote, which gets no row
            p = evidence.score / evidence.score.sum(axis=1, keepdims=True)
    return label_table(evidence, p, options)
