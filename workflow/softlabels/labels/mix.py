"""The hard and the soft label, mixed."""

from __future__ import annotations

from typing import Any

import numpy as np

from .evidence import Evidence, LabelTable, one_hot, shares

ENTRY = {
    "about": "`w · hard + (1 - w) · soft`: the average of the votes, sharpened (with cross-entropy, the two targets of "
        "Hinton, Vinyals and Dean 2015).",
    "options": {
        "w": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5, "description": "Share of the hard label."},
    },
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``w one_hot(hard) + (1 - w) p``."""
    table, p = shares(evidence, options)
    w = options["w"]
    return table.changed(w * one_hot(table.hard, p.shape[1]).astype(np.float64) + (1 - w) * p)
