"""Each label against the baseline, paired by seed."""

from __future__ import annotations

import itertools

from ...documents import Table
from ..ledger_view import NONE, Ledger, spread

ENTRY = {"about": "Each label minus the baseline, paired by seed, with an interval.", "options": {}, "needs": []}


def table(ledger: Ledger, options: dict) -> Table | None:
    """One row a block, label and metric."""
    facts, rows = ledger.facts, []
    for block, label, metric in itertools.product(ledger.blocks, ledger.labels, ledger.metrics):
        aggregate = ledger.get(block, label, metric, "difference", facts["baseline"])
        if aggregate:
            ends = [aggregate[end]["printed"] for end in ("low", "high") if end in aggregate]
            interval = f"[{', '.join(ends)}]" if ends else NONE
            what = f"{label} − {facts['baseline']}"
            rows.append([*ledger.place(block), what, ledger.heading(metric), spread(aggregate), interval,
                         str(aggregate["mean"]["n"])])  # fmt: skip
    header = [*ledger.place_header(), "difference", "metric", "mean ± std", f"{facts['level']:.0%} interval", "n"]
    notes = [
        "Paired by seed: both networks of a pair share split, initial weights and order. The standard deviation is "
        "that of the n differences (ddof 1), the interval a paired t over seeds."
    ]
    if len(facts["seeds"]) == 1:
        notes.append("n = 1: no standard deviation, no interval.")
    return Table("Paired differences", header, rows, notes) if rows else None
