"""Confusion on soft mass: where predictions put the reference's mass of each class, and where it is put without error.

With one class an item and predictions of one class, these are the usual shares of a confusion matrix, a row a class.
"""

from __future__ import annotations

import numpy as np

from .aligned import Aligned


def confusion(aligned: Aligned) -> np.ndarray:
    """``M[i, j] = sum_n p_ni q_nj / sum_n p_ni``, float64 ``[C, C]``: of the mass of class i, what is predicted as j.

    Rows sum to 1; that of a class without mass is NaN. The M of a network that predicts what is true, q = p, is that of
    :func:`ambiguity`, and not the identity.
    """
    return _shares(aligned.reference.T @ np.exp(aligned.log_prediction))


def ambiguity(aligned: Aligned) -> np.ndarray:
    """The confusion of the reference with itself, float64 ``[C, C]``: that of a network without any error.

    An exact reference is put in the place of the prediction, ``sum_n p_ni p_nj / sum_n p_ni``. Of votes, shares of few
    of them are too sure of themselves (a single vote never disagrees with itself): of an item with m votes, the m - 1
    others are in the place of the prediction of each, ``p_ni (m p_nj - [i = j]) / (m - 1)``, whose mean over draws of
    votes is p_ni p_nj of the distribution that they are drawn from. Items with one vote have no others, and are left
    out; where all have one, every row is NaN.
    """
    p, counts = aligned.reference, aligned.counts
    if counts is None:
        return _shares(p.T @ p)
    votes = counts.sum(axis=1)
    counts, votes = counts[votes > 1], votes[votes > 1]
    pairs = counts / (votes * (votes - 1))[:, None]
    return _shares(pairs.T @ counts - np.diag(pairs.sum(axis=0)))


def _shares(mass: np.ndarray) -> np.ndarray:
    """Rows divided by their sums; NaN where these are 0."""
    total = mass.sum(axis=1, keepdims=True)
    return np.divide(mass, total, out=np.full(mass.shape, np.nan), where=total > 0)
