"""Entropy of the prediction minus that of the reference."""

import numpy as np

from ..aligned import Aligned
from ..divergence import entropy

ENTRY = {
    "about": "Entropy of the prediction minus that of the reference: below 0 where predictions are too sure.",
    "heading": "entropy diff.", "better": None, "unit": "nats", "decimals": 4, "needs": [],
    "source": "Baan et al. (2022)",
    "aliases": {"entce": "entropy difference"},
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """``H(q) - H(p)`` in nats, in [-ln C, ln C]; best is 0, but a mean of 0 may hide errors both ways."""
    return entropy(np.exp(aligned.log_prediction)) - entropy(aligned.reference)
