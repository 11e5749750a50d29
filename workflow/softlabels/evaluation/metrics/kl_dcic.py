"""Kullback-Leibler divergence with the clipping of the DCIC benchmark, for comparison with published numbers."""

import numpy as np

from ..aligned import Aligned
from ..divergence import EPS

ENTRY = {
    "about": "Kullback-Leibler divergence with the clipping of the DCIC benchmark.",
    "heading": "KL_ε", "better": "lower", "unit": "nats", "decimals": 4, "needs": [],
    "source": "Schmarje et al. (2022)",
    "note": "KL_ε clips both to [ε, 1 − ε] with ε = EPS, as public code of the paper's authors does.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """KL(reference || prediction) in nats, both clipped to [EPS, 1 - EPS], not renormalised; always finite."""
    log_q = np.clip(aligned.log_prediction, np.log(EPS), np.log1p(-EPS))
    p = np.clip(aligned.reference, EPS, 1 - EPS)
    return (p * (np.log(p) - log_q)).sum(axis=1)
