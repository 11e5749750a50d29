"""Networks and votes against a truth from elsewhere."""

from __future__ import annotations

from ...contracts import AT, BY_VOTES, TRUTH
from ...documents import Table
from ..ledger_view import Ledger, mean_and_interval, spread

ENTRY = {
    "about": "Each label's networks, and the votes themselves, against a truth from elsewhere (`columns.truth`).",
    "options": {},
    "needs": [],
}
METRICS = ("macro_acc", "acc")


def table(ledger: Ledger, options: dict) -> Table | None:
    """A row a label, one of the votes, and one a difference, of each block whose test items have truths."""
    rows, baseline = [], ledger.facts["baseline"]
    for block in ledger.blocks:
        counts = ledger.get(block, baseline, f"n_items{AT}{TRUTH}")
        if not counts:
            continue
        place = [*ledger.place(block), spread(counts)]
        for label in ledger.labels:
            rows.append([*place, label, *(spread(ledger.get(block, label, f"{m}{AT}{TRUTH}")) for m in METRICS)])
        of_votes = (ledger.get(block, baseline, f"{BY_VOTES}{metric}{AT}{TRUTH}") for metric in METRICS)
        rows.append([*place, "votes", *map(spread, of_votes)])
        for label in ledger.labels[1:]:
            found = (ledger.get(block, label, f"{m}{AT}{TRUTH}", "difference", baseline) for m in METRICS)
            rows.append([*place, f"{label} − {baseline}", *map(mean_and_interval, found)])
    header = [*ledger.place_header(), "test items with a truth", "label", *map(ledger.heading, METRICS)]
    notes = [
        "Against a truth from elsewhere, which nothing was trained on. Row votes: the most frequent class of an item's "
        "votes (of a tie the class listed first), without a network.",
        f"Square brackets behind a difference: {ledger.facts['level']:.0%} two-way interval; – where nothing varied.",
    ]
    keys = len(ledger.place_header()) + 2
    return Table("Against a truth from elsewhere", header, rows, notes, keys=keys) if rows else None
