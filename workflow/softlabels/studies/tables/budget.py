"""How many votes an image are enough."""

from __future__ import annotations

from ...columns import percent
from ...documents import Table
from .. import budgets
from ..ledger_view import NONE, Ledger, interval

ENTRY = {
    "about": "How many votes an image each label needs for 90 and 95 % of what votes gain it in a metric (the study "
    "varies `label.votes`).",
    "options": {},
    "shared": ["metrics"],
    "needs": [],
}
NO_GAIN, NOT_WITHIN = "no measurable gain", "not within your votes"


def table(ledger: Ledger, options: dict) -> Table | None:
    """One row a block (all numbers of votes together), label and metric."""
    rows = []
    for key, gain in ledger.aggregates.items():
        *block, label, metric, kind, _ = key
        if kind == budgets.GAIN:
            place = [NONE if text is None else text for text in ledger.place(tuple(block))]
            step = ledger.get(tuple(block), label, metric, budgets.STEP)
            cells = [f"{of['mean']['printed']} {interval(of)}" if of else NONE for of in (gain, step)]
            rows.append([*_without(ledger, place), label, ledger.heading(metric), *cells,
                         *(answer(ledger, key, share) for share in budgets.SHARES)])  # fmt: skip
    header = [*_without(ledger, ledger.place_header()), "label", "metric", "all − fewest votes", "last step",
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
    if len(ledger.facts["seeds"]) == 1:
        notes = ["One seed: there is no interval, so that no gain can be told from chance."]
    return Table("Votes an image", header, rows, notes, keys=len(header) - 4) if rows or len(notes) == 1 else None


def answer(ledger: Ledger, key: tuple, share: float) -> str:
    """Votes with their interval, or why there is no number. ``key`` is that of the gain."""
    *block, label, metric, _, _ = key
    found = ledger.get(tuple(block), label, metric, budgets.votes_for(share))
    if not found:
        return NO_GAIN
    step = ledger.get(tuple(block), label, metric, budgets.STEP)
    better = "higher" if ledger.heading(metric).endswith("↑") else "lower"
    rising = step and budgets.gains({end: (step[end]["value"],) for end in ("low", "high")}, better)
    if rising and found["mean"]["value"] > before_last(ledger, tuple(block)):
        return NOT_WITHIN
    return f"{found['mean']['printed']} {interval(found)}"


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
