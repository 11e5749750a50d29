"""Every vote of an item in turn, one an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import keyed
from ...errors import UserError
from ..data import Run

ENTRY = {
    "about": "Every vote of an item in turn, one an epoch, in an order that is drawn once (arXiv 2605.20642).",
    "options": {},
    "needs": ["votes"],
    "turns": True,
    "forms": ["soft"],
}


def targets(data: Run, epoch: int, seed: int, options: dict[str, Any]) -> np.ndarray:
    """One-hots of the votes that it is the turn of, float32 ``[N, C]``; the order is keyed by seed and item.

    So an item's votes come in one order whichever other items have a label.

    Raises:
        UserError: a label that is no share of an item's votes, so that these are not known.
    """
    votes = np.where(data.labelled, data.votes, 0)
    shares = data.target.astype(np.float64) * votes[:, None]
    counts = np.rint(shares).astype(np.int64)
    wrong = data.labelled & ((counts.sum(axis=1) != votes) | (votes == 0) | (abs(shares - counts).max(axis=1) > 0.01))
    if wrong.any():
        item = int(np.flatnonzero(wrong)[0])
        raise UserError(
            f"The delivery multipass shows single votes, but the label of item {item}, {data.target[item].tolist()}, "
            f"is no share of its {votes[item]} votes ({int(wrong.sum())} such items). Take a label with 'aggregate: "
            f"average' on votes without weights, or the delivery sampled."
        )
    numbers = [keyed.rng("multipass delivery", seed, vote).random(len(votes)) for vote in range(votes.max())]
    place = np.stack(numbers, axis=1)  # of each vote of an item among its votes, which are in order of class
    shown = np.zeros_like(data.target)
    for n in np.unique(votes[votes > 0]):
        items, turn = np.flatnonzero(votes == n), (epoch - 1) % n
        vote = np.argpartition(place[items, :n], turn, axis=1)[:, turn]
        shown[items, (vote[:, None] >= counts[items].cumsum(axis=1)).sum(axis=1)] = 1
    return shown
