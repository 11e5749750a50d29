"""Additive smoothing: votes that nobody gave."""

from __future__ import annotations

from typing import Any

from .evidence import Evidence, LabelTable, shares

ENTRY = {
    "about": "`(n + k) / (N + k C)` with n of an image's N votes (or weights) for a class: the mean under a Dirichlet "
        "prior of k votes a class (Laplace 1814; Jeffreys' prior is 0.5). No class is impossible, and few votes "
        "count less.",
    "options": {
        "k": {"type": "number", "exclusiveMinimum": 0, "default": 1,
            "description": "Votes that are added to each class."},
    },
    "needs": ["votes"],
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``(n_k + k) / (sum n + k C)`` of the votes n of an item, or of their weights."""
    table, _ = shares(evidence, options)
    n = evidence.score[table.item] + options["k"]
    return table.changed(n / n.sum(axis=1, keepdims=True))
