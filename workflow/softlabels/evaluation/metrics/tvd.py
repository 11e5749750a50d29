"""Total variation distance."""

import numpy as np

from ..aligned import Aligned

ENTRY = {
    "about": "Total variation distance: half the sum of absolute differences.",
    "heading": "TVD", "better": "lower", "unit": None, "decimals": 4, "needs": [],
    "source": None,
    "aliases": {
        "intersection": "1 − TVD", "soft_accuracy": "1 − TVD", "soft_micro_f1": "1 − TVD", "manhattan": "2 TVD",
        "distce": "TVD",
    },
    "note": "TVD is the total variation distance, half the sum of absolute differences; 1 − TVD is soft accuracy.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """``0.5 sum_k |p_k - q_k|``, in [0, 1]."""
    return 0.5 * np.abs(aligned.reference - np.exp(aligned.log_prediction)).sum(axis=1)
