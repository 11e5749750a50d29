"""Whether each label's networks are as good as a reader."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from ...columns import percent
from ...contracts import AT, READER
from ...documents import Table, Text
from ...evaluation.readers import name_of
from ..ledger_view import NONE, PLACES, Block, Ledger, cut, mean_and_interval, spread

ENTRY = {
    "about": "Each label's networks in the place of a reader who is left out: both against the other readers' votes "
             "of the same test items. Needs the metric `readers`.",
    "options": {
        "margin": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.02,
            "description": "By how much the network may agree less with the others than a reader does and still be "
                           "called not inferior."},
    },
    "needs": [],
    "metric": "readers",
}  # fmt: skip
ALL = "all readers"
SIDES = ("network", "reader")


def table(ledger: Ledger, options: dict) -> Table | None:
    """One row a block, label and reader, after one of all readers together, for each such metric."""
    rows, lacking = [], []
    metrics = [metric for metric in ledger.metrics if metric.partition("__")[0] == ENTRY["metric"]]
    for block, metric in itertools.product(ledger.blocks, metrics):
        found = [row for label in ledger.labels for row in _rows(ledger, block, metric, label, options["margin"])]
        rows += found or [[*ledger.place(block), *[NONE] * 12]]
        lacking += [] if found else [ledger.name(block)]
    header = [*ledger.place_header(), "label", "reader", "items", "agreement: network", "reader", "network − reader",
              "verdict", "accuracy: network", "reader", "network − reader", "advantage", "wins"]  # fmt: skip
    margin, level = f"{options['margin']:g}", percent(ledger.facts["level"])
    notes = [
        "Every reader is left out in turn. Agreement: the share of an item's other votes for what the network, or the "
        "reader, says. Accuracy: whether most of the others say it (any of several tied classes counts). Both on the "
        "same items, those of the test part that the reader and somebody else voted on.",
        f"Square brackets: {level} two-way interval over seeds and items (groups of items); – without several seeds. "
        f"Not inferior: it lies above −{margin}, the margin; better: above 0; inferior: below −{margin}; undecided: "
        "anything else. Of these readers, not of readers like them; over single readers nothing is corrected.",
        "Advantage and wins: the alternative annotator test (Calderon et al. 2025). Advantage: the share of items on "
        "which the network agrees with the others at least as well as the reader. Wins: the share of seeds in which it "
        "does so significantly more often than the other way round, minus epsilon; of all readers, the share of "
        "readers won against (the winning rate; the test is passed from 0.5 on).",
    ]
    if lacking:
        notes.append(
            f"{'; '.join(cut(lacking, PLACES))}: no test item has votes of a known reader and of somebody else, so "
            f"nothing can be compared."
        )
    notes += _seeds(ledger, metrics)
    return Table("In the place of a reader", header, rows, notes, keys=len(ledger.place_header()) + 2) if rows else None


def _rows(ledger: Ledger, block: Block, metric: str, label: str, margin: float) -> list[list[Text]]:
    """A label's row of all readers, and one of each reader who has numbers of their own."""
    readers = dict.fromkeys(
        key[-3].partition(AT)[2] for key in ledger.aggregates
        if key[:-3] == (*block, label) and key[-3].startswith(f"{metric}{AT}{READER}")
    )  # fmt: skip
    rows = []
    for reader in [None, *readers]:
        at = f"{AT}{reader}" if reader else ""

        def got(number: str = "", at: str = at) -> dict:
            return ledger.get(block, label, f"{metric}{number}{at}")

        if not got():
            continue
        count = spread(got(".n_items")) if reader else (spread(got(".n_readers")), " tested")
        cells = [name_of(reader) if reader else ALL, count]
        for number, difference in (("agreement", got()), ("accuracy", got(".accuracy"))):
            cells += [spread(got(f".{side}_{number}")) for side in SIDES]
            cells.append(mean_and_interval(difference))
            cells += [verdict(difference, margin)] if number == "agreement" else []
        won = got(".wins" if reader else ".winning_rate")
        rows.append([*ledger.place(block), label, *cells, spread(got(".advantage")), spread(won)])
    return rows


def verdict(difference: Mapping, margin: float) -> str:
    """What the interval of a difference says: better, not inferior, inferior or undecided; a dash without one."""
    if "low" not in difference:
        return NONE
    low, high = (difference[end]["value"] for end in ("low", "high"))
    if low > 0:
        return "better"
    return "not inferior" if low > -margin else "inferior" if high < -margin else "undecided"


def _seeds(ledger: Ledger, metrics: list[str]) -> list[str]:
    """Which readers have enough test items in some seeds only, and so no interval; and where nobody has."""
    seeds, some, nobody = len(ledger.facts["seeds"]), {}, []
    for block, metric in itertools.product(ledger.blocks, metrics):
        place = (*block, ledger.facts["baseline"])
        found = {key[-3]: of["mean"] for key, of in ledger.aggregates.items() if key[:-3] == place}
        nobody += [] if found.get(f"{metric}.n_readers", {"value": 1})["value"] else [ledger.name(block)]
        for name, row in found.items():
            if name.startswith(f"{metric}.n_items{AT}") and row["n"] < seeds:
                some.setdefault(f"{row['n']} of {seeds} seeds", []).append(name_of(name.partition(AT)[2]))
    told = [
        f"Over {n} only, as the others have too few of their items: {', '.join(cut(who, PLACES))}."
        for n, who in sorted(some.items())
    ]
    if nobody:
        told.append(
            f"{'; '.join(cut(nobody, PLACES))}: no reader has enough test items (`minimum`) to be compared alone; the "
            f"row of all readers has all their items."
        )
    return told
