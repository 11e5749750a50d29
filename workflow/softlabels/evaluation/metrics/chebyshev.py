"""Chebyshev distance."""

import numpy as np

from ..aligned import Aligned

ENTRY = {
    "about": "Chebyshev distance: the largest absolute difference of a class's probabilities.",
    "heading": "Chebyshev", "better": "lower", "unit": None, "decimals": 4, "needs": [],
    "source": "Geng (2016)",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """``max_k |p_k - q_k|``, in [0, 1]."""
    return np.abs(aligned.reference - np.exp(aligned.log_prediction)).max(axis=1)
