"""Total variation distance."""

import numpy as np

from ..aligned import Aligned

ENTRY = {
    "about": "Total variation distance: half the sum of absolute differences.",
    "heading": "TVD", "better": "lower", "unit": None, "decimals": 4, "needs": [],
    "source": None,
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> float:
    """Mean of ``0.5 sum_k |p_k - q_k|``, in [0, 1] (the DistCE of Baan et al. 2022)."""
    return float((0.5 * np.abs(aligned.reference - np.exp(aligned.log_prediction)).sum(axis=1)).mean())
