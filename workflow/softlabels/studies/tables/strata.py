"""Groups of test items, and of classes, that are scored apart."""

from __future__ import annotations

import itertools

from ...columns import percent
from ...contracts import AT, READER, TRUTH
from ...documents import Table, Text
from ..ledger_view import PLACES, Block, Ledger, cut, mean_and_interval, spread

ENTRY = {
    "about": "Each label on clear, ambiguous and closest items, or by what the other people said; and merged classes.",
    "options": {},
    "needs": [],
}
COUNT = "n_items"
NOTES = {
    "clear": "Clear: one class has all of the reference's mass; ambiguous: all other items; closest calls: the two "
    "largest probabilities lie less than 0.1 apart.",
    "unanimous": "Others unanimous, others disagree, closest calls of votes: each left-out vote is placed by the "
    "item's other votes, at least two people's, and scores the prediction; so no vote does both. Closest calls have a "
    "margin below 0.1, on items with 10 votes or more. In round brackets: items that contribute; one may be in "
    "several groups. A difference in CE is one in KL, too.",
    "panel": "Several people: items with two people or more. Row panel: each vote, predicted from the item's other "
    "people; neither floor nor ceiling for a network.",
}
# All groups of items that a reference of a kind may have.
KINDS = {"exact": ("clear", "ambiguous", "closest"), "votes": ("panel", "unanimous", "disputed", "closest")}
OF_VOTES = ("ce", "vote_acc")  # the numbers of groups of the second kind
MERGED = "Merged classes: the probabilities of the classes of a group are summed before they are scored."


def table(ledger: Ledger, options: dict) -> Table | None:
    """One row a block, group and label, one column a metric."""
    pairs = dict.fromkeys(key[-3].partition(AT)[::2] for key in ledger.aggregates if AT in key[-3])
    pairs = [pair for pair in pairs if pair[1] != TRUTH and not pair[1].startswith(READER)]  # have tables of their own
    groups = list(dict.fromkeys(group for _, group in pairs))
    metrics = [metric for metric in dict.fromkeys(metric for metric, _ in pairs) if metric != COUNT]
    rows = [
        row for block, group in itertools.product(ledger.blocks, groups) for row in _rows(ledger, block, group, metrics)
    ]
    header = [*ledger.place_header(), "group", "label", *map(ledger.heading, metrics)]
    notes = [text for group, text in NOTES.items() if group in groups]
    if any(group not in ledger.facts["groups"] for group in groups):
        notes.append(MERGED)
    if len(ledger.labels) > 1 and len(ledger.facts["seeds"]) > 1:
        notes.append(
            f"Square brackets behind a difference: {percent(ledger.facts['level'])} two-way interval; – where nothing "
            "varied, or a seed has no such item."
        )
    notes += _absent(ledger)
    keys = len(ledger.place_header()) + 2
    return Table("Groups of items and of classes", header, rows, notes, keys=keys) if rows else None


def _absent(ledger: Ledger) -> list[str]:
    """Which groups of items a block's test parts do not have, in all seeds or in some."""
    told: dict[str, list[str]] = {}
    for block in ledger.blocks:
        for group in KINDS[ledger.dataset(block)["reference"]]:
            found = ledger.get(block, ledger.facts["baseline"], f"{COUNT}{AT}{group}")
            seeds, n = found["mean"]["n"] if found else 0, len(ledger.facts["seeds"])
            if seeds < n:
                where = "no test item" if not seeds else f"test items in {seeds} of {n} seeds only"
                told.setdefault(f"{ledger.facts['groups'][group]}: {where}.", []).append(ledger.name(block))
    return [f"{'; '.join(cut(names, PLACES))}: {text}" for text, names in told.items()]


def _rows(ledger: Ledger, block: Block, group: str, metrics: list[str]) -> list[list[Text]]:
    counts = ledger.get(block, ledger.facts["baseline"], f"{COUNT}{AT}{group}")
    if not counts:
        return []
    place = [*ledger.place(block), (f"{ledger.facts['groups'].get(group, group)} (", spread(counts), ")")]
    rows = [
        [*place, label, *(spread(ledger.get(block, label, f"{metric}{AT}{group}")) for metric in metrics)]
        for label in ledger.labels
    ]
    if group == "panel":
        of_panel = (ledger.get(ledger.of_draws(block), "panel", metric, "reference") for metric in metrics)
        rows.append([*place, "panel", *map(spread, of_panel)])
    for label in ledger.labels[1:]:
        found = (
            ledger.get(block, label, f"{metric}{AT}{group}", "difference", ledger.facts["baseline"])
            for metric in metrics
        )
        rows.append([*place, f"{label} − {ledger.facts['baseline']}", *map(mean_and_interval, found)])
    return rows
