"""Risk and coverage: the errors of the items that a network is most sure of (Geifman et al. 2019)."""

from __future__ import annotations

import numpy as np

from ..contracts import Options
from .aligned import Aligned
from .chosen import scores, truth


def losses(aligned: Aligned, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Error of the predicted class (1 - its share of the truth) and confidence of each item, float64 ``[n]`` both."""
    predicted = aligned.log_prediction.argmax(axis=1)
    right = truth(aligned, options)[np.arange(len(predicted)), predicted]
    return 1 - right, scores(aligned.log_prediction.max(axis=1))


def curve(loss: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Mean loss of the k most confident items, k = 1 to n, float64 ``[n]``; of tied ones in all orders alike."""
    order, loss = _descending(loss, confidence)[:2]
    return loss[order].cumsum() / np.arange(1, len(loss) + 1)


def area(loss: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """The mean of :func:`curve` as one value an item, float64 ``[n]``.

    With losses l_r in descending order of confidence, r = 1 to n, the area is the mean of l_r sum_{j >= r} 1 / j. The
    value of an item of rank r is l_r sum_{j >= r} 1 / j - sum_{j >= r} l_j / j + mean(l): the area plus the influence
    function of E[-l ln c], c the share of items that are as confident or more, with sums in the place of integrals.
    """
    n = len(loss)
    order, level, tied = _descending(loss, confidence)
    rank = np.arange(1, n + 1)

    def later(values: np.ndarray) -> np.ndarray:
        """The sum of ``values[r:]``, given by rank, for each item: the mean over those that it is tied with."""
        sums = np.empty(n)
        sums[order] = values[::-1].cumsum()[::-1]
        return (np.bincount(tied, sums) / np.bincount(tied))[tied]

    return loss * later(1 / rank) - later(level[order] / rank) + loss.mean()


def _descending(loss: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items by descending confidence; and of each item the mean loss of those that it is tied with, and which."""
    tied = np.unique(confidence, return_inverse=True)[1]
    return np.argsort(-tied, kind="stable"), (np.bincount(tied, loss) / np.bincount(tied))[tied], tied
