"""Brier score against the whole reference distribution."""

import numpy as np

from ..aligned import Aligned

ENTRY = {
    "about": "Squared Euclidean distance of prediction and reference.",
    "heading": "Brier", "better": "lower", "unit": None, "decimals": 4, "needs": [],
    "source": "Brier (1950)",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """``sum_k (q_k - p_k)²``, in [0, 2]: Brier's original sum over all classes, with a distribution as outcome."""
    return ((np.exp(aligned.log_prediction) - aligned.reference) ** 2).sum(axis=1)
