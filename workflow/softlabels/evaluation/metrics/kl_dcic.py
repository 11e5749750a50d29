"""Kullback-Leibler divergence with the clipping of the DCIC benchmark, for comparison with published numbers."""

from ..aligned import Aligned
from ..divergence import kl_dcic_items

ENTRY = {
    "about": "Kullback-Leibler divergence with the clipping of the DCIC benchmark.",
    "options": {},
    "needs": [],
    "heading": "KL_ε",
    "better": "lower",
    "unit": "nats",
    "decimals": 4,
    "source": "Schmarje et al. (2022)",
}


def metric(aligned: Aligned, options: dict) -> float:
    """Mean KL(reference || prediction) in nats, both clipped to [1e-5, 1 - 1e-5] and not renormalised."""
    return float(kl_dcic_items(aligned.reference, aligned.log_prediction).mean())
