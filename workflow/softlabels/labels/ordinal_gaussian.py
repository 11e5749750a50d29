"""Classes in an order: a Gaussian around their mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax

from .evidence import Evidence, LabelTable, label_table

ENTRY = {
    "about": "For classes that have an order, which their indices must be (`classes` of the source sets it): a "
        "discretised Gaussian around the mean class index of the votes (label distribution learning, Gao et al. 2017). "
        "Its most likely class is the one nearest to the mean, not that of most votes.",
    "options": {
        "sigma": {"type": "number", "minimum": 0.001, "default": 1,
            "description": "Standard deviation, in classes."},
    },
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels proportional to ``exp(-(k - m)^2 / (2 sigma^2))`` of class k, with ``m = sum k p_k``."""
    score = evidence.score
    index, total = np.arange(score.shape[1]), score.sum(axis=1, keepdims=True)
    distance = np.abs(index * total - score @ index[:, None])  # times the total: of votes whole, so that ties are found
    with np.errstate(invalid="ignore"):
        gaussian = softmax(-((distance / total / options["sigma"]) ** 2) / 2, axis=1)
    return label_table(evidence, gaussian, options, score=np.where(total > 0, 1 / (1 + distance), 0))
