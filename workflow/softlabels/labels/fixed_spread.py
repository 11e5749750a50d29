"""Control: the right doubt, the wrong class."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import keyed
from .evidence import Evidence, LabelTable, shares
from .top2 import second

ENTRY = {
    "about": "Control, the reverse of `fixed_argmax`: the sorted shares are kept, but those of the two largest classes "
        "are swapped: `drawn` swaps as often as a vote for one of the two is for the second, anew with each seed, so "
        "that an image that all agree on keeps its label; `always` swaps wherever a second class has a vote.",
    "options": {
        "swap": {"enum": ["drawn", "always"], "default": "drawn", "description": "Of which items."},
    },
    "draws": {"swap": "drawn"},
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels p in which the two largest shares a >= b are swapped, with the probability ``b / (a + b)``, or 1 if b > 0.

    The metadata count those that are ``swapped``.
    """
    table, p = shares(evidence, options)
    rows, first, other = np.arange(len(p)), table.hard, second(p, table.hard)
    a, b = p[rows, first], p[rows, other]
    u = keyed.rng("swapped labels", options["seed"], *evidence.seed).random(evidence.n_items)[table.item]
    swap = u * (a + b) < b if options["swap"] == "drawn" else b > 0
    swapped = p.copy()
    swapped[rows, first], swapped[rows, other] = np.where(swap, b, a), np.where(swap, a, b)
    return table.changed(swapped, np.where(swap, other, first), swapped=int(swap.sum()))
