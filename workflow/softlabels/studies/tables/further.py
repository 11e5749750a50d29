"""The metrics that the main table leaves out."""

from __future__ import annotations

from ...documents import Table
from ..ledger_view import Ledger, by_label

ENTRY = {"about": "Every metric of the study that the main table does not show.", "options": {}, "needs": []}


def table(ledger: Ledger, options: dict) -> Table | None:
    """One row a block and label, one column a metric."""
    metrics = [metric for metric in ledger.metrics if metric not in ledger.main]
    return by_label(ledger, "Further metrics", metrics, ledger.notes(metrics))
