"""Kullback-Leibler divergence without an epsilon."""

import numpy as np

from ..aligned import Aligned
from ..divergence import kl_items

ENTRY = {
    "about": "Kullback-Leibler divergence of the prediction from the reference, without an epsilon.",
    "heading": "KL", "better": "lower", "unit": "nats", "decimals": 4, "needs": [],
    "source": "Kullback and Leibler (1951)",
    "aliases": {"excess_cross_entropy": "KL"},
    "note": "KL is KL(reference || prediction) in nats, mean over test items, without any clipping.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """KL(reference || prediction) in nats; inf where a prediction gives 0 to a class that has mass."""
    return kl_items(aligned.reference, aligned.log_prediction)
