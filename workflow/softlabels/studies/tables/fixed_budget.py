"""More readers or more images? What each point's votes cost, and which point is the best."""

from __future__ import annotations

from ...columns import percent
from ...documents import Table, Text, in_bold, joined
from .. import budgets
from ..ledger_view import NONE, Ledger, cut, mean_and_interval, spread

ENTRY = {
    "about": "What the labels of each point cost, and which point is the best of each label (the study varies "
    "`label.items` and `label.votes`).",
    "options": {
        "price_vote": {"type": "number", "minimum": 0, "default": 1, "description": "Price of a vote."},
        "price_image": {
            "type": "number",
            "minimum": 0,
            "default": 0,
            "description": "Price of an image with a label, besides its votes.",
        },
    },
    "shared": ["metrics"],
    "needs": ["annotations"],
}
EQUAL = 1.05  # costs that differ by no more than this factor are told as equal
SHOWN = 6  # points that a note lists


def table(ledger: Ledger, options: dict) -> Table:
    """One row a block and label; bold is the best point of a label whose difference to all others excludes 0."""
    metrics = budgets.metrics_of({"metrics": ledger.metrics, "headings": ledger.facts["headings"]}, options)
    metrics = [metric for metric in metrics if metric in ledger.metrics]
    rows = []
    for block in ledger.blocks:
        for label in ledger.labels:
            costs = (spread(ledger.get(block, label, name, "cost")) for name in (budgets.COST, budgets.OF_VALIDATION))
            cells = [_cell(ledger, block, label, metric) for metric in metrics]
            rows.append([*ledger.place(block), label, *costs, *cells])
    header = [*ledger.place_header(), "label", "cost", "of which validation", *map(ledger.heading, metrics)]
    notes = [
        f"Cost: training and validation images with a label, times votes an image at {options['price_vote']:g} each, "
        f"and {options['price_image']:g} an image. Validation labels count: they choose what is trained.",
        f"Bold marks the best mean of a label over its points whose two-way interval excludes 0 against every other "
        f"point (Holm, {percent(ledger.facts['level'])}).",
        *_unequal(ledger),
        *(note for label in ledger.labels for metric in metrics for note in best_of(ledger, label, metric)),
    ]
    return Table("A fixed number of votes", header, rows, notes, keys=len(ledger.place_header()) + 3)


def others(ledger: Ledger, block: tuple, label: str, metric: str) -> dict[str, dict]:
    """The best point minus each other one, by its name; empty where a block is not the best of its label."""
    start = (*block, label, metric, budgets.BEST)
    return {key[-1]: found for key, found in ledger.aggregates.items() if key[:-1] == start}


def _supported(ledger: Ledger, found: dict) -> bool:
    return "p" in found and found["p"]["value"] <= 1 - ledger.facts["level"]


def _cell(ledger: Ledger, block: tuple, label: str, metric: str) -> str:
    text, found = spread(ledger.get(block, label, metric)), others(ledger, block, label, metric)
    return in_bold(text) if found and all(_supported(ledger, one) for one in found.values()) else text


def best_of(ledger: Ledger, label: str, metric: str) -> list[Text]:
    """Of each data set, split and recipe the best point of a label in a metric, and which points may be as good."""
    notes = []
    for block in ledger.blocks:
        found = others(ledger, block, label, metric)
        if found:
            mean, cost = ledger.get(block, label, metric), ledger.get(block, label, budgets.COST, "cost")
            open_ = {name: one for name, one in found.items() if not _supported(ledger, one)}
            rest = cut([(f"{name}: ", mean_and_interval(one)) for name, one in open_.items()], SHOWN)
            said = ["may be as good (best minus other): ", *joined("; ", rest)] if rest else ["all others are worse"]
            where = f"{ledger.name(block)}, {label}: the best point in {ledger.heading(metric)} has "
            notes.append((where, mean_and_interval(mean), ", at a cost of ", spread(cost), "; ", *said, "."))
    return notes


def _unequal(ledger: Ledger) -> list[str]:
    costs = [found["mean"]["value"] for key, found in ledger.aggregates.items() if key[-3] == budgets.COST]
    if not costs:
        return [f"{NONE}: the number of votes is not known."]
    equal = max(costs) <= EQUAL * min(costs)
    return [] if equal else ["The points do not cost the same: a better one may only be a dearer one."]
