"""Rows that need no network, and the networks after temperature scaling."""

from __future__ import annotations

from ...documents import Table
from ..ledger_view import WIDE, Ledger, spread

ENTRY = {"about": "Oracles, floors, and networks after temperature scaling.", "options": {}, "needs": []}


def table(ledger: Ledger, options: dict) -> Table | None:
    """One row a block and reference row."""
    metrics, rows, oracle = ledger.main, [], False
    groups: dict[tuple, list[str]] = {}
    for key in ledger.aggregates:
        if key[-2] == "reference":
            groups.setdefault(key[:-3], []).append(key[-3])
    for (*block, label), names in groups.items():
        aggregates = {name: ledger.get(block, label, name, "reference") for name in names}
        is_oracle = any(a["mean"]["oracle"] for a in aggregates.values())
        oracle |= is_oracle
        more = [
            f"{name.removeprefix('detail.')} {spread(aggregate)}"
            for name, aggregate in aggregates.items()
            if name not in ledger.metrics
        ]
        rows.append([*ledger.place(tuple(block)), label + " †" * is_oracle,
                     *(spread(aggregates.get(metric, {})) for metric in metrics), "; ".join(more)])  # fmt: skip
    header = [*ledger.place_header(), "row", *map(ledger.heading, metrics), "more"]
    notes = [
        "Scored on the same test splits. Rows with + temperature are the networks above, scaled by one temperature "
        "fitted on their own validation labels: how much of a gap in KL is confidence alone."
    ]
    if oracle:
        notes.append("† oracle: it uses the truth of the test item, so no network could print it.")
    named = {key[-1] for key in groups}
    if "sampling_floor" in named:
        notes.append(
            "sampling_floor is about what a perfect model would score, because the reference is a sample of votes: its "
            "first-order KL errs downwards, its KL upwards."
        )
    if "split_half" in named:
        notes.append("split_half is how well two half panels agree: no floor, good predictions lie below it.")
    align = "" if len(ledger.labels) <= WIDE else "l" * (len(header) - 1) + "p"
    keys = len(ledger.place_header()) + 1
    return Table("Reference rows", header, rows, notes, align, keys) if rows else None
