"""The majority vote: the class with the most votes."""

from __future__ import annotations

from typing import Any

from .evidence import Evidence, LabelTable, label_table

ENTRY = {
    "about": "One-hot of the class with the most votes; of the largest probability where there are no votes.",
    "options": {},
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """One-hot labels of ``argmax_k n_k`` (the largest p where there are no votes); see :func:`label_table`."""
    return label_table(evidence, None, options)
