"""Control: the right class and its share, the wrong doubt."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import keyed
from .evidence import Evidence, LabelTable, one_hot, shares

ENTRY = {
    "about": "Control: the hard class keeps its share of the votes, and the rest is spread over the other classes: "
        "evenly, or `permuted` among them, anew with each seed. How sure people are is kept, what else they saw lost.",
    "options": {
        "spread": {"enum": ["uniform", "permuted"], "default": "uniform", "description": "How the rest is spread."},
    },
    "draws": {"spread": "permuted"},
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels with p of the hard class; of the others ``(1 - p) / (C - 1)``, or their own shares in random order."""
    table, p = shares(evidence, options)
    n_classes, rows = p.shape[1], np.arange(len(p))
    top = one_hot(table.hard, n_classes) > 0
    if options["spread"] == "uniform":
        rest = (1 - p[rows, table.hard])[:, None] / (n_classes - 1)
        return table.changed(np.where(top, p, rest))
    u = keyed.rng("permuted labels", options["seed"], *evidence.seed).random((evidence.n_items, n_classes))
    order = np.where(top, -1, u[table.item]).argsort(axis=1)  # the hard class first
    permuted = np.empty_like(p)
    np.put_along_axis(permuted, order[:, 1:], p[~top].reshape(len(p), -1), axis=1)
    permuted[rows, table.hard] = p[rows, table.hard]
    return table.changed(permuted)
