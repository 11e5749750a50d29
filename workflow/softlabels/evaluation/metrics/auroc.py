"""Area under the receiver operating characteristic."""

import numpy as np

from ..aligned import Aligned
from ..chosen import positive, scores, truth

ENTRY = {
    "about": "Area under the ROC curve of one class against the rest, or its mean over classes.",
    "heading": "AUROC", "better": "higher", "unit": None, "decimals": 4, "needs": [],
    "source": "Hanley and McNeil (1982)",
    "options": {
        "positive": {"type": ["string", "null"], "default": None,
            "description": "The class that is told from the others; null takes the mean over classes."},
        "truth": {"$ref": "truth", "default": "majority"},
    },
    "note": "AUROC is that of each class against the rest, averaged over classes, unless it names one.",
}  # fmt: skip


def area(of: np.ndarray, other: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Probability that a positive item scores higher than a negative one (equal: 1/2), as one value an item.

    Args:
        of: how much each item is positive, float64 ``[n]``, not negative.
        other: how much it is negative.
        score: float64 ``[n]``.

    Returns:
        float64 ``[n]``; NaN where nothing is positive, or nothing negative. The influence is that of the ratio
        ``sum_ij of_i other_j [s_i > s_j] / (sum_i of_i sum_j other_j)``.
    """
    if min(of.sum(), other.sum()) <= 0:
        return np.full(len(of), np.nan)
    of, other = of / of.mean(), other / other.mean()
    tied = np.unique(score, return_inverse=True)[1]
    below, above = (_below(weight, tied) for weight in (other, of))
    theta = (of * below).mean()
    return theta + of * (below - theta) + other * (1 - above - theta)


def _below(weight: np.ndarray, tied: np.ndarray) -> np.ndarray:
    """Share of the weight on items with a lower score, half of equal ones included, float64 ``[n]``."""
    sums = np.bincount(tied, weight) / len(weight)
    return (sums.cumsum() - sums / 2)[tied]


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Mean of the classes' areas, in [0, 1], as one value an item; NaN where no class has one.

    A class without positive or negative items is left out. Against votes, an item is positive with the share of its
    votes for the class and negative with the rest, as if it stood there twice with these weights.
    """
    right, score = truth(aligned, options), scores(aligned.log_prediction)
    found = np.stack([area(right[:, k], 1 - right[:, k], score[:, k]) for k in positive(options, aligned.classes)])
    there = found[~np.isnan(found[:, 0])]
    return there.mean(axis=0) if len(there) else found[0]
