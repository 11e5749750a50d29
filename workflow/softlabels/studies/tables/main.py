"""The table of the paper: every label's main metrics, the best in bold."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ...columns import percent
from ...documents import Table, Text, in_bold, joined
from ..ledger_view import PLACES, STD, Block, Ledger, cut, spread

ENTRY = {
    "about": "Comparison of labels in the main metrics, the best in bold.",
    "options": {
        "metrics": {
            "type": ["array", "null"],
            "items": {"type": "string"},
            "default": None,
            "description": "Which metrics of the study; null: macro_acc, kl, tvd, soft_ece, entropy_correlation, and "
            "kl_dcic where a row of the paper stands.",
        },
        "bold": {
            "enum": ["supported", "paper"],
            "default": "supported",
            "description": "What is bold: the best mean if its difference to every other label excludes 0 (Holm), "
            "or, as in the paper, every best mean.",
        },
    },
    "needs": [],
}

SIDE = 6  # up to so many columns stand side by side as in the paper
NOTES = 40  # about single blocks; the numbers of all are in table.csv


def table(ledger: Ledger, options: dict) -> Table:
    """One row a block, labels side by side; more than ``SIDE`` columns below each other."""
    labels, metrics, place = ledger.labels, ledger.chosen(options), ledger.place_header()
    bold = options.get("bold", "supported")
    if len(labels) * len(metrics) <= SIDE:
        columns = list(itertools.product(labels, metrics))
        header = [f"{label}: {ledger.heading(metric)}" for label, metric in columns]
        rows = [ledger.place(b) + [_cell(ledger, b, *column, bold) for column in columns] for b in ledger.blocks]
        keys = 0  # the paper's layout
    else:
        header = ["label", *map(ledger.heading, metrics)]
        rows = [
            [*ledger.place(block), label, *(_cell(ledger, block, label, metric, bold) for metric in metrics)]
            for block, label in itertools.product(ledger.blocks, labels)
        ]
        keys = len(place) + 1
    return Table(
        f"Comparison of labels: {', '.join(labels)}", place + header, rows, _notes(ledger, metrics, bold), keys=keys
    )


def _cell(ledger: Ledger, block: Block, label: str, metric: str, bold: str) -> str:
    aggregates = {each: ledger.get(block, each, metric) for each in ledger.labels}
    means = {each: aggregate["mean"]["value"] for each, aggregate in aggregates.items() if aggregate}
    best = {"higher": max, "lower": min}.get(ledger.facts["headings"][metric]["better"])
    text = spread(aggregates[label])
    if not best or len(means) < 2 or means.get(label) != best(means.values()):
        return text
    others = [each for each in means if each != label]
    return (
        in_bold(text)
        if bold == "paper" or all(_supported(ledger, block, label, metric, each) for each in others)
        else text
    )


def _supported(ledger: Ledger, block: Block, label: str, metric: str, other: str) -> bool:
    """Whether the best label differs from another by Holm's p."""
    found = ledger.get(block, label, metric, "best", other)
    return "p" in found and found["p"]["value"] <= 1 - ledger.facts["level"]


def _notes(ledger: Ledger, metrics: list[str], bold: str) -> list[Text]:
    facts = ledger.facts
    seeds = len(facts["seeds"])
    where = f"metric and {', '.join(ledger.place_header())}"
    notes = ledger.notes(metrics)
    if len(ledger.labels) > 1 and bold == "paper":
        notes.append(f"Bold marks the best mean per {where}, as the paper does; it says nothing about significance.")
    elif len(ledger.labels) > 1 and seeds > 1:
        notes.append(
            f"Bold marks the best mean per {where} whose two-way interval excludes 0 against every other label "
            f"(Holm, {percent(facts['level'])}); nothing is bold where that is undecided."
        )
    if seeds == 1:
        notes.append("One seed: there is no standard deviation and no interval.")
    else:
        notes.append(f"Mean ± {STD[facts['ddof']]} standard deviation (ddof {facts['ddof']}) over {seeds} seeds.")
        alike = facts.get("alike", {})
        for split, recipes in alike.items():
            notes.append(
                f"All seeds of {', '.join(recipes)} are the same run in the published split ({split}), as heads draw "
                f"nothing: their standard deviation is 0, and one seed suffices."
            )
        every = {name for name in alike if {b[2] for b in ledger.blocks if b[1] == name} <= {*alike[name]}}
        published = facts.get("fixed_splits", [])
        if fixed := [name for name in published if name not in every]:
            notes.append(
                f"Every seed has the same test items in the published split ({', '.join(fixed)}): seeds differ in "
                f"training alone, and their standard deviation says nothing of other test items."
            )
        if {block[1] for block in ledger.blocks} - {*published}:
            notes.append("Seeds share items: repeated splits of one data set are not independent data.")
    notes += ledger.partial(metrics)
    told: dict[Text, list[str]] = {}  # where several places say the same, the numbers are those of the first
    for block in ledger.blocks:
        for text in _test_split(ledger, block):
            told.setdefault(text, []).append(ledger.name(block))
    lines = [(f"{'; '.join(cut(places, PLACES))}: ", *text) for text, places in told.items()]
    return notes + cut(lines, NOTES)


def _test_split(ledger: Ledger, block: Block) -> Iterator[tuple]:
    """What the test split of a block is made of."""
    facts = [ledger.get(block, ledger.facts["baseline"], name) for name in ("n_items", "n_classes_present", "ties")]
    n_items, present, ties = map(spread, facts)
    classes = len(ledger.dataset(block)["classes"])
    tied = " items whose reference has a tie for its largest class."
    yield n_items, " test items; ", present, f" of {classes} classes present; ", ties, tied
    if facts[1]["mean"]["value"] < classes:
        yield ("ACC is the mean over the classes that are present.",)
    if facts[2]["mean"]["value"] > 0:
        credit = ((f"{label} ", spread(ledger.get(block, label, "tie_credit_acc"))) for label in ledger.labels)
        yield "plain accuracy that accepts any tied class: ", *joined(", ", credit), "."
