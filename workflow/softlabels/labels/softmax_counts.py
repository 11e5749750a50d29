"""The softmax of the counts of votes."""

from __future__ import annotations

from typing import Any

from scipy.special import softmax

from .evidence import Evidence, LabelTable, shares

ENTRY = {
    "about": "Softmax of the numbers (weights) of votes (Uma et al. 2020): near to hard with many votes, as ten more "
        "for a class are odds of 22,000 to 1.",
    "options": {},
    "needs": ["votes"],
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``exp(n_k) / sum exp(n)`` of the votes n of an item, or of their weights."""
    table, _ = shares(evidence, options)
    return table.changed(softmax(evidence.score[table.item], axis=1))
