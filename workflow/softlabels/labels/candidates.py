"""Every class that anybody saw, alike."""

from __future__ import annotations

from typing import Any

from .evidence import Evidence, LabelTable, shares

ENTRY = {
    "about": "Uniform over the classes with a vote, or a probability above 0 (the candidate set of imprecise labels, "
        "Chen et al. 2023): what people saw, without how many. One slip counts as much as all other votes.",
    "options": {},
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``1 / n`` for each of an item's n classes with a share above 0."""
    table, p = shares(evidence, options)
    seen = p > 0
    return table.changed(seen / seen.sum(axis=1, keepdims=True))
