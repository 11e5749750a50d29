"""Cross-entropy against the whole reference distribution (Peterson et al. 2019)."""

import numpy as np

from ..divergence import ce_items

ENTRY = {
    "about": "Cross-entropy against the whole reference distribution.",
    "heading": "CE", "better": "lower", "unit": "nats", "decimals": 4, "needs": [],
    "source": "Peterson et al. (2019)",
}  # fmt: skip


def metric(reference: np.ndarray, log_prediction: np.ndarray) -> float:
    """Mean cross-entropy in nats: ``kl`` plus the mean entropy of the reference."""
    return float(ce_items(reference, log_prediction).mean())
