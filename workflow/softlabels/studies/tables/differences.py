"""Each label against the baseline, paired by seed."""

from __future__ import annotations

import itertools

from ...columns import percent
from ...documents import Table, Text, joined
from ..ledger_view import NONE, PROJECTED, Ledger, interval, spread

ENTRY = {
    "about": "Each label minus the baseline in the main metrics, with an interval, and what more seeds would leave.",
    "options": {},
    "needs": [],
}


def table(ledger: Ledger, options: dict) -> Table | None:
    """One row a block, label and metric."""
    facts, rows, methods = ledger.facts, [], set()
    for block, label, metric in itertools.product(ledger.blocks, ledger.labels, ledger.main):
        found = ledger.get(block, label, metric, "difference", facts["baseline"])
        if found:
            methods.add(found["low"]["interval"] if "low" in found else None)
            what = f"{label} − {facts['baseline']}"
            rows.append([*ledger.place(block), what, ledger.heading(metric), spread(found), interval(found),
                         *_verdict(found)])  # fmt: skip
    place = ledger.place_header()
    more = f"± with {', '.join(map(str, PROJECTED))} seeds"
    header = [*place, "difference", "metric", "mean ± std", f"{percent(facts['level'])} interval", "decided", more]
    notes = _notes(ledger, methods)
    return Table("Paired differences", header, rows, notes, keys=len(place) + 2) if rows else None


def _verdict(found: dict) -> list[Text]:
    """Whether 0 is outside of the interval; if not, its half-width, and what more seeds would leave of that."""
    if "low" not in found:
        return [NONE, NONE]
    if found["low"]["value"] > 0 or found["high"]["value"] < 0:
        return ["yes", NONE]
    half, *halves = (
        found[name]["printed"] if name in found else NONE for name in ("half", *(f"half_{n}" for n in PROJECTED))
    )
    return [("undecided (± ", half, ")"), joined(", ", halves)]


def _notes(ledger: Ledger, methods: set[str | None]) -> list[str]:
    seeds = len(ledger.facts["seeds"])
    notes = [
        "Paired by seed: both networks of a pair share split, initial weights and order."
        + f" The standard deviation is that of the {seeds} differences (ddof 1)." * (seeds > 1)
    ]
    if "two-way" in methods:
        notes.append(
            "The two-way interval is about new seeds and new images, the pool of training images given: the variance "
            "of the seeds, and what they share by their test images. An effect of the training pool that all seeds "
            "share is in no interval. Undecided is what includes 0; beside it, the half-width that so many "
            "seeds would leave (the images' part stays)."
        )
    if None in methods and seeds > 1:
        notes.append(
            "No interval where nothing varied, and of a metric that says nothing about single images: a paired t over "
            "seeds, which is too narrow where test parts overlap, is in table.csv."
        )
    if seeds == 1:
        notes.append("One seed: no standard deviation, no interval.")
    return notes
