"""Control: the votes of another image of the same class."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import keyed
from .evidence import Evidence, LabelTable, shares

ENTRY = {
    "about": "Control: the votes' average of another item of the same hard class and the same part of the split, drawn "
        "anew with each seed. Every distribution is used once: what it says of classes is kept, of single images lost.",
    "options": {},
    "draws": True,
    "of_split": True,
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels that go round among the items of a part and hard class, in one circle of random order.

    The metadata count the items that are ``alone`` in their part and class, and keep their own.
    """
    table, p = shares(evidence, options)
    parts = np.zeros(evidence.n_items, int) if evidence.part is None else evidence.part
    _, part = np.unique(parts, return_inverse=True)
    u = keyed.rng("shuffled labels", options["seed"], *evidence.seed).random(evidence.n_items)[table.item]
    block = part[table.item] * len(evidence.classes) + table.hard
    order = np.lexsort((u, block))
    starts = np.flatnonzero(np.diff(block[order], prepend=-1))
    ends = np.append(starts[1:], len(order)) - 1
    donor = np.roll(order, -1)
    donor[ends] = order[starts]
    shuffled = np.empty_like(p)
    shuffled[order] = p[donor]
    return table.changed(shuffled, alone=int((starts == ends).sum()))
