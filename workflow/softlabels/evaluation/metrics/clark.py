"""Clark distance."""

import numpy as np

from ..aligned import Aligned
from ..divergence import relative_differences

ENTRY = {
    "about": "Clark distance: the Euclidean norm of the classes' relative differences.",
    "heading": "Clark", "better": "lower", "unit": None, "decimals": 4, "needs": [],
    "source": "Geng (2016)",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """``sqrt(sum_k ((p_k - q_k) / (p_k + q_k))²)`` with 0/0 = 0, in [0, sqrt(C)]."""
    return np.sqrt((relative_differences(aligned.reference, aligned.log_prediction) ** 2).sum(axis=1))
