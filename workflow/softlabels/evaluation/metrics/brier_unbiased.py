"""Brier score against the distribution that votes are drawn from."""

import numpy as np

from ..aligned import Aligned
from ..influence import mean_ratio

ENTRY = {
    "about": "Brier score against the distribution behind the votes, unbiased from two votes on; it may be negative.",
    "heading": "Brier (unbiased)", "better": "lower", "unit": None, "decimals": 4, "needs": ["votes"],
    "source": "Brier (1950), Simpson (1949)",
    "note": "Brier (unbiased) estimates the distance from the distribution behind the votes; it may be negative.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """``sum_k q_k² - 2 sum_k q_k p_k + sum_k n_k (n_k - 1) / (n (n - 1))`` over n votes, p their shares.

    The last term is the share of pairs of votes that agree: an unbiased estimate of ``sum_k p_k²`` of the distribution
    that votes were drawn from, whose plug-in is too large by the variance of the shares. As one value an item; items
    with fewer than two votes are left out, NaN where no item has two.
    """
    n = aligned.counts.sum(axis=1)
    counts = n >= 2
    q = np.exp(aligned.log_prediction)
    with np.errstate(divide="ignore", invalid="ignore"):
        agreement = (aligned.counts * (aligned.counts - 1)).sum(axis=1) / (n * (n - 1))
        score = (q**2).sum(axis=1) - 2 * (q * aligned.counts).sum(axis=1) / n + agreement
    return mean_ratio(np.where(counts, score, 0), counts)
