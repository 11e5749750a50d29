"""A class drawn from the label in each epoch: of a label that is the average of votes, one of these votes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import keyed
from ..data import Run

ENTRY = {
    "about": "A class drawn from the label, anew in each epoch - of an average of votes, one vote (as in Soft-label "
    "training against hard delivery, arXiv 2605.20642).",
    "options": {},
    "forms": ["soft"],
}


def targets(data: Run, epoch: int, seed: int, options: dict[str, Any]) -> np.ndarray:
    """One-hots of the classes drawn, float32 ``[N, C]``; keyed by seed, epoch and item, so that labels are paired."""
    cumulative = data.target.astype(np.float64).cumsum(axis=1)
    u = keyed.rng("sampled delivery", seed, epoch).random((len(cumulative), 1))
    with np.errstate(invalid="ignore"):  # items without a label
        drawn = (u >= cumulative[:, :-1] / cumulative[:, -1:]).sum(axis=1)
    return np.eye(cumulative.shape[1], dtype=np.float32)[drawn]
