"""The average of the votes: the share of each class."""

from __future__ import annotations

from typing import Any

from .evidence import Evidence, LabelTable, average, label_table

ENTRY = {
    "about": "The share of each class in the votes; the distribution itself where there are no votes.",
    "options": {},
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``n_k / sum n`` (the distribution itself where there are no votes); see :func:`label_table`."""
    return label_table(evidence, average(evidence), options)
