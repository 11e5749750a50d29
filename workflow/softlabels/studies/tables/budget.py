"""How many votes an image are enough."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from ...columns import percent
from ...documents import Table
from .. import budgets
from ..ledger_view import NONE, Ledger, mean_and_interval

ENTRY = {
    "about": "How many votes an image each label needs for 90 and 95 % of what votes gain it in a metric (the study "
    "varies `label.votes`).",
    "options": {},
    "shared": ["metrics"],
    "needs": ["annotations"],
}
NO_GAIN, NOT_WITHIN, UNDEFINED = "no measurable gain", "not within your votes", "not defined everywhere"


def table(ledger: Ledger, options: dict) -> Table:
    """One row a block (all numbers of votes together), label and metric."""
    rows = []
    for block, label, metric in itertools.product(curves(ledger), ledger.labels, budgets.metrics_of(
            {"metrics": ledger.metrics, "headings": ledger.facts["headings"]}, options)):  # fmt: skip
        place = [NONE if text is None else text for text in ledger.place(block)]
        cells = [mean_and_interval(ledger.get(block, label, metric, kind)) for kind in (budgets.GAIN, budgets.STEP)]
        answers = [answer(ledger, (*block, label, metric, budgets.GAIN, None), share) for share in budgets.SHARES]
        rows.append([*_without(ledger, place), label, ledger.heading(metric), *cells, *answers])
    header = [*_without(ledger, ledger.place_header()), "label", "metric", "most − fewest votes", "last step",
              *(f"votes for {percent(share)}" for share in budgets.SHARES)]  # fmt: skip
    level = percent(ledger.facts["level"])
    notes = [
        f"Votes an image, of training and validation images, for so much of the gain from the fewest votes to the "
        f"most, with a {level} interval over seeds and images (joint bootstrap; isotonic fit, linear in the logarithm "
        f"of the votes). The mean number of votes stands for all.",
        f"{NO_GAIN.capitalize()}: the two-way interval of the gain includes 0, or more votes are worse. "
        f"{NOT_WITHIN.capitalize()}: the last step still gains, and the share is reached in it, so that the curve has "
        f"not ended here; more votes than these may give more.",
        "Gains and steps: two-way intervals, paired by seed.",
    ]
    if any(NONE in row[-2:] for row in rows):
        notes.append(f"{NONE}: the gain has no interval, as the metric has no terms of single images or is not finite.")
    if any(UNDEFINED in row for row in rows):
        notes.append(f"{UNDEFINED.capitalize()}: with some number of votes the metric is not finite, so has no curve.")
    if len(ledger.facts["seeds"]) == 1:
        rows, notes = [], ["One seed: there is no interval, so that no gain can be told from chance."]
    return Table("Votes an image", header, rows, notes, keys=len(header) - 4)


def curves(ledger: Ledger) -> list[tuple]:
    """The blocks that differ in more than the number of votes, which is null in them."""
    place = 3 + ledger.varied.index(budgets.VOTES)
    return list(dict.fromkeys((*block[:place], None, *block[place + 1 :]) for block in ledger.blocks))


def answer(ledger: Ledger, key: tuple, share: float) -> str:
    """Votes with their interval, or why there is no number. ``key`` is that of the gain."""
    *block, label, metric, _, _ = key
    better = ledger.facts["headings"][metric]["better"]
    gain, step, found = (ledger.get(tuple(block), label, metric, kind)
                         for kind in (budgets.GAIN, budgets.STEP, budgets.votes_for(share)))  # fmt: skip

    def gains(of: Mapping[str, Any]) -> bool:
        return bool(of) and budgets.gains({end: (of[end]["value"],) for end in ("low", "high")}, better)

    if not gain:
        return NONE
    if not found:
        return UNDEFINED if gains(gain) else NO_GAIN
    if gains(step) and found["mean"]["value"] > before_last(ledger, tuple(block)):
        return NOT_WITHIN
    return mean_and_interval(found)


def before_last(ledger: Ledger, block: tuple) -> float:
    """The largest number of votes but one."""
    place = 3 + ledger.varied.index(budgets.VOTES)
    same = [b for b in ledger.blocks if (*b[:place], None, *b[place + 1 :]) == block]
    numbers = {b: budgets.number_of(b[place], ledger.dataset(b)["votes"]) for b in same}
    return budgets.ascending(numbers)[-2][0]


def _without(ledger: Ledger, cells: list[str]) -> list[str]:
    """Cells of a place without that of the votes."""
    at = len(cells) - len(ledger.varied) + ledger.varied.index(budgets.VOTES)
    return [cell for k, cell in enumerate(cells) if k != at]
