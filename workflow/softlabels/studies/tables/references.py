"""Rows that need no network, and the networks after temperature scaling."""

from __future__ import annotations

from ...documents import Table, Text, joined
from ..ledger_view import PLACES, SCALED, WIDE, Ledger, cut, spread

ENTRY = {"about": "Oracles, floors, and networks after temperature scaling.", "options": {}, "needs": []}

FIRST_ORDER = "detail.first_order_kl"
BAYES = ("detail.bayes_error_low", "detail.bayes_error_high")
NOTES = {
    "exact": "exact: the distributions that the votes were drawn from, errors of those who voted included. They are "
    "scored above 0 because the votes are a sample; in expectation nothing has a lower CE, KL or Brier. Where "
    "annotators differ it knows who voted, so no network reaches it.",
    "sampling_floor": "sampling_floor: the KL of the true distributions, which are unknown, should lie in the bracket. "
    "The lower end, (S − 1) / (2n) with S classes among n votes, errs downwards; the upper end, from how well an "
    "item's other votes predict one, errs upwards.",
    "panel": "panel: every person's votes, predicted from the item's other votes. CE and accuracy against votes are "
    "unbiased for n − 1 people against another of the same pool: neither floor nor ceiling. Networks on the same items "
    "stand beside it in the table of groups (several people). k: the strength of the smoothing, in votes. Bayes error: "
    "the least error against a vote that anything could have should lie in the bracket; the lower end, 1 less the "
    "largest share of an item's votes, errs downwards, the upper end is the panel's own error.",
    "split_half": "split_half: agreement of two halves of an item's votes; no floor, good predictions lie below it.",
}


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
        cells = [spread(aggregates.get(metric, {})) for metric in metrics]
        bracket = aggregates.get(FIRST_ORDER)
        shown, between = any(metric in aggregates for metric in metrics), []
        if bracket:
            ends = _between(bracket, aggregates["kl"])
            if "kl" in metrics:
                cells[metrics.index("kl")] = ends
            else:
                between = [(f"{ledger.heading('kl')} ", *ends)]
        if aggregates.keys() >= {*BAYES}:
            between.append(("Bayes error ", *_between(*(aggregates[name] for name in BAYES))))
        besides = [
            name
            for name in names
            if name not in [*BAYES, *([FIRST_ORDER, "kl"] if bracket else [])]
            and not (shown and name in ledger.facts["headings"])
        ]
        more = between + [
            (f"{ledger.heading(name).removeprefix('detail.')} ", spread(aggregates[name])) for name in besides
        ]
        rows.append([*ledger.place(tuple(block)), label + " †" * is_oracle, *cells, joined("; ", more)])
    header = [*ledger.place_header(), "row", *map(ledger.heading, metrics), "more"]
    notes = ["Scored on the same test splits."]
    if any(name.endswith(f" + {text}") for name in (key[-1] for key in groups) for text in SCALED.values()):
        notes.append(
            "Rows with + are the networks above after scaling, fitted on their own validation labels or, where the row "
            "says so, on the reference of the same validation items, which needs soft labels there."
        )
    if oracle:
        notes.append("† oracle: it uses the truth of the test item, so no network could print it.")
    named = {key[-1] for key in groups}
    notes += [text for row, text in NOTES.items() if row in named]
    called: dict[str, list[str]] = {}
    for block in ledger.blocks:
        called.setdefault(ledger.dataset_name(block), []).append(ledger.name(ledger.of_draws(block)))
    notes += [
        f"{'; '.join(cut(list(dict.fromkeys(called[name])), PLACES))} has no {text}."
        for name, of in ledger.facts["absent"].items()
        for text in of
    ]
    if named & {"exact", "sampling_floor", "panel", "split_half"}:
        notes.append(
            "Where the reference is made of votes, a difference in KL, CE or Brier is unbiased if these votes touched "
            "neither training, choice nor stratum; differences in TVD, JS, ECE, ACC and entropy correlation are not."
        )
    align = "" if len(ledger.labels) <= WIDE else "l" * (len(header) - 1) + "p"
    keys = len(ledger.place_header()) + 1
    return Table("Reference rows", header, rows, notes, align, keys) if rows else None


def _between(*ends: dict) -> Text:
    """What lies between two numbers."""
    return "[", *joined(", ", (end["mean"]["printed"] for end in ends)), "]"
