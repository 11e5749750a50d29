"""Which classes each label's networks recognise."""

from __future__ import annotations

from ...documents import Table
from ..ledger_view import Ledger, spread

ENTRY = {"about": "Recall of each class, for each label.", "options": {}, "needs": []}


def table(ledger: Ledger, options: dict) -> Table:
    """One row a block and class, one column a label; many labels become panels below each other."""
    rows = [
        [*ledger.place(block), name,
         *(spread(ledger.get(block, label, f"recall.{name}")) for label in ledger.labels)]
        for block in ledger.blocks
        for name in ledger.dataset(block)["classes"]
    ]  # fmt: skip
    header = [*ledger.place_header(), "class", *(f"{label}: recall" for label in ledger.labels)]
    notes = ["Their mean over the classes that are present is ACC."]
    return Table("Recall of each class", header, rows, notes, keys=len(ledger.place_header()) + 1)
