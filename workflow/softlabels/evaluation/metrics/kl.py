"""Kullback-Leibler divergence without an epsilon."""

from ..aligned import Aligned
from ..divergence import kl_items

ENTRY = {
    "about": "Kullback-Leibler divergence of the prediction from the reference, without an epsilon.",
    "options": {},
    "needs": [],
    "heading": "KL",
    "better": "lower",
    "unit": "nats",
    "decimals": 4,
    "source": "Kullback and Leibler (1951)",
}


def metric(aligned: Aligned, options: dict) -> float:
    """Mean KL(reference || prediction) in nats; inf where a prediction gives 0 to a class that has mass."""
    return float(kl_items(aligned.reference, aligned.log_prediction).mean())
