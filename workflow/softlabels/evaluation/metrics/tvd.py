"""Total variation distance."""

import numpy as np

from ..divergence import tvd_items

ENTRY = {
    "about": "Total variation distance: half the sum of absolute differences.",
    "heading": "TVD", "better": "lower", "unit": None, "decimals": 4, "needs": [],
    "source": None,
}  # fmt: skip


def metric(reference: np.ndarray, log_prediction: np.ndarray) -> float:
    """Mean total variation distance in [0, 1]: half the sum of absolute differences."""
    return float(tvd_items(reference, log_prediction).mean())
