"""What votes buy: what a ledger calls such rows, and what is known of numbers of votes and of prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..columns import number, percent
from .ledger_view import MAIN, OF_PAPER

VOTES = "label.votes"  # the key whose values the table `budget` is about
SHARES = (0.9, 0.95)  # of a gain
GAIN, STEP = "gain of votes", "last step of votes"
BEST = "best point"
COST, OF_VALIDATION = "cost", "cost of validation"  # of training and validation images, and of the latter alone


def votes_for(share: float) -> str:
    """What a ledger calls the number of votes that a share of the gain takes."""
    return f"votes for {percent(share)} of the gain"


def name_of(block: Sequence[str | None]) -> str:
    """What a ledger calls a point: the values of its varied keys."""
    return ", ".join(filter(None, block[3:]))


def table_of(tables: Iterable[Mapping[str, Any]], kind: str) -> Mapping[str, Any] | None:
    """The table of a kind, if a study has it, with its options."""
    return next((table for table in tables if table["kind"] == kind), None)


def metrics_of(config: Mapping[str, Any], table: Mapping[str, Any]) -> list[str]:
    """The metrics of a table of budgets: those that it names, or the usual ones; with a direction alone."""
    chosen = table.get("metrics") or [m for m in config["metrics"] if m in MAIN and m != OF_PAPER]
    return [metric for metric in chosen if config["headings"].get(metric, {}).get("better")]


def number_of(value: str | None, mean: float | None) -> float | None:
    """Votes an image of a value of ``votes``; of ``all`` the mean of the data set, None where it is not known."""
    return mean if value == "all" else number(value)


def ascending(votes: Mapping[Any, float | None]) -> list[tuple[float, Any]]:
    """Numbers of votes with their points, those that are known, each number once."""
    found: dict[float, Any] = {}
    for point, n in votes.items():
        if n is not None:
            found.setdefault(n, point)
    return sorted(found.items(), key=lambda pair: pair[0])


def gains(difference: Mapping[str, Any], better: str) -> bool:
    """Whether a difference, by statistic its value first, is on the better side with all of its interval."""
    return difference["low"][0] > 0 if better == "higher" else difference["high"][0] < 0


def with_label(train: float, val: float, wanted: int | None) -> tuple[float, float]:
    """How many training and validation images have a label, where ``wanted`` training images (None: all) have one."""
    return (train, val) if wanted is None else (wanted, max(1, round(val * wanted / train)))


def spent(items: float, votes: float, prices: Mapping[str, Any]) -> float:
    """What so many images with so many votes each cost."""
    return items * (votes * prices["price_vote"] + prices["price_image"])
