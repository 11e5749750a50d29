"""The mean distribution of the items of a class: what soft labels say of classes, and nothing of single items."""

from __future__ import annotations

from typing import Any

import numpy as np

from .evidence import Evidence, LabelTable, learned, shares

ENTRY = {
    "about": "The mean of the votes' averages over the training items of the same hard class (of all, where a class "
        "has none): which classes people confuse, but not on which image.",
    "options": {},
    "shared": ["fit_on"],
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Label of an item of class c: the mean of p over the items of class c that may be learned from.

    The metadata list the classes without such an ``absent``.
    """
    table, p = shares(evidence, options)
    fit = learned(evidence, table)
    n_items = np.bincount(table.hard[fit], minlength=p.shape[1])
    mean = np.tile(p[fit].mean(axis=0), (p.shape[1], 1))
    for c in np.flatnonzero(n_items):
        mean[c] = p[fit & (table.hard == c)].mean(axis=0)
    absent = [evidence.classes[c] for c in np.flatnonzero(n_items == 0)]
    return table.changed(mean[table.hard], absent=absent)
