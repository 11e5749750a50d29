"""How far a prediction lies from a reference distribution, item by item.

Every function takes ``reference`` float64 ``[N, C]`` (rows sum to 1) and ``log_prediction`` float64 ``[N, C]`` (the
log-softmax of logits, or the log of a distribution; -inf where a predictor gives 0) and returns float64 ``[N]``.
"""

from __future__ import annotations

import numpy as np
from scipy.special import entr, xlogy

EPS = 1e-5  # kl_dcic: the value that the DCIC benchmark (Schmarje et al. 2022) clips probabilities with


def ce_items(reference: np.ndarray, log_prediction: np.ndarray) -> np.ndarray:
    """Cross-entropy in nats, ``-sum_k p_k ln q_k`` with ``0 ln 0 = 0``; inf where q is 0 and p is not."""
    return -np.multiply(reference, log_prediction, where=reference > 0, out=np.zeros_like(reference)).sum(axis=1)


def kl_items(reference: np.ndarray, log_prediction: np.ndarray) -> np.ndarray:
    """Kullback-Leibler divergence KL(p || q) in nats, ``sum_k p_k (ln p_k - ln q_k)``; may be inf, as ``ce_items``."""
    return ce_items(reference, log_prediction) + xlogy(reference, reference).sum(axis=1)


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence in nats, in [0, ln 2], of distributions ``[..., C]``: not its square root."""
    middle = (p + q) / 2
    return (xlogy(p, p) / 2 + xlogy(q, q) / 2 - xlogy(middle, middle)).sum(axis=-1).clip(min=0)


def entropy(p: np.ndarray) -> np.ndarray:
    """Shannon entropy in nats, in [0, ln C], of distributions ``[..., C]``."""
    return entr(p).sum(axis=-1)


def relative_differences(reference: np.ndarray, log_prediction: np.ndarray) -> np.ndarray:
    """``|p_k - q_k| / (p_k + q_k)`` of every class, float64 ``[N, C]`` in [0, 1]; 0 where both are 0, as in SciPy."""
    q = np.exp(log_prediction)
    total = reference + q
    return np.divide(np.abs(reference - q), total, where=total > 0, out=np.zeros_like(total))
