"""Kullback-Leibler divergence without an epsilon."""

import numpy as np

from ..divergence import kl_items

ENTRY = {
    "about": "Kullback-Leibler divergence of the prediction from the reference, without an epsilon.",
    "heading": "KL", "better": "lower", "unit": "nats", "decimals": 4, "needs": [],
    "source": "Kullback and Leibler (1951)",
}  # fmt: skip


def metric(reference: np.ndarray, log_prediction: np.ndarray) -> float:
    """Mean KL(reference || prediction) in nats; inf where a prediction gives 0 to a class that has mass."""
    return float(kl_items(reference, log_prediction).mean())
