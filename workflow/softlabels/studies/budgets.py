"""What votes buy: how many an image are enough, and how a number of them is best spent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..columns import number, percent
from ..evaluation import saturation
from ..evaluation.intervals import holm
from . import comparisons
from .comparisons import PRINTED, Side, Statistics
from .ledger_view import MAIN, OF_PAPER

VOTES = "label.votes"  # the key whose values the table `budget` is about
SHARES = (0.9, 0.95)  # of a gain
GAIN, STEP = "gain of votes", "last step of votes"
BEST = "best point"
COST, OF_VALIDATION = "cost", "cost of validation"


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


def needed(
    votes: Sequence[float], sides: Sequence[Side], metric: str, better: str, level: float
) -> Iterator[tuple[str, Statistics]]:
    """Kind and statistics of what one label gains by votes in a metric; how many it needs only if it gains anything.

    Args:
        votes: votes an image, ascending.
        sides: what the label's networks scored with each of these numbers.
        metric: one with terms and an interval, or nothing is found.
        better: whether ``higher`` or ``lower`` is better.
        level: of the intervals.
    """
    told = {}
    for kind, before in ((GAIN, 0), (STEP, -2)):
        found = dict(comparisons.differences(sides[-1], sides[before], [metric], level)).get(metric)
        if found and "low" in found.statistics:
            told[kind] = {name: found.statistics[name] for name in ("mean", "low", "high")}
    yield from told.items()
    if GAIN in told and gains(told[GAIN], better):
        columns = comparisons.joined(sides, metric)
        ends = saturation.needed(votes, columns, better, SHARES, level)
        for k, share in enumerate(SHARES):
            how = ("isotonic fit, linear in log votes", *(f"{end} end, joint bootstrap" for end in ("lower", "upper")))
            values = zip(("mean", "low", "high"), (float(of[k]) for of in ends), how, strict=True)
            yield votes_for(share), {name: (value, text) for name, value, text in values}


def gains(difference: Mapping[str, Any], better: str) -> bool:
    """Whether a difference, by statistic its value first, is on the better side with all of its interval."""
    return difference["low"][0] > 0 if better == "higher" else difference["high"][0] < 0


def spent(items: float, votes: float, prices: Mapping[str, Any]) -> float:
    """What so many images with so many votes each cost."""
    return items * (votes * prices["price_vote"] + prices["price_image"])


def best(sides: Mapping[Any, Side], metric: str, better: str, level: float) -> tuple[Any, dict[Any, Statistics]] | None:
    """The point with the best mean, and the best minus every other, with Holm's p; None where a mean is not defined."""
    values = {point: side.values(metric) for point, side in sides.items()}
    if any(value is None for of in values.values() for value in of):
        return None
    means = {point: math.fsum(of) / len(of) for point, of in values.items()}
    first = comparisons.best(means, better)
    found = {}
    for other in (point for point in means if point != first) if first is not None else ():
        difference = dict(comparisons.differences(sides[first], sides[other], [metric], level)).get(metric)
        found[other] = {} if difference is None else difference.statistics
    p = holm([statistics["p"][0] if "p" in statistics else math.nan for statistics in found.values()])
    for statistics, adjusted in zip(found.values(), p.tolist(), strict=True):
        if math.isfinite(adjusted):
            statistics["p"] = (adjusted, f"Holm's p of {len(found)} comparisons, {PRINTED}")
    kept = ("mean", "low", "high", "p")
    return first, {other: {name: of[name] for name in kept if name in of} for other, of in found.items() if of}
