"""Canberra distance."""

import numpy as np

from ..aligned import Aligned
from ..divergence import relative_differences

ENTRY = {
    "about": "Canberra distance: the sum of the classes' relative differences.",
    "heading": "Canberra", "better": "lower", "unit": None, "decimals": 4, "needs": [],
    "source": "Geng (2016)",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """``sum_k |p_k - q_k| / (p_k + q_k)`` with 0/0 = 0, in [0, C]."""
    return relative_differences(aligned.reference, aligned.log_prediction).sum(axis=1)
