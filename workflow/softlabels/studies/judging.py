"""Claims and budgets: the differences, intervals and p that their rows of a ledger hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..evaluation import intervals, saturation
from . import budgets, comparisons
from .claims import Statement
from .comparisons import PRINTED, Side, Statistics
from .verdicts import beyond, level_of


def judged(ours: Side, theirs: Side, statement: Statement, level: float) -> tuple[Statistics, float]:
    """Mean difference with the ends of its interval where there is one, and the p behind the verdict (NaN: none).

    The p is two-sided that of a difference of 0 (of where the claim's side begins, if it has a margin). Of equality it
    is that of two one-sided tests (Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15) if the mean is
    within ± margin, else the two-sided one of a difference as large as the margin.
    """
    metric, margin = statement["metric"], statement["margin"] or 0.0
    found = dict(comparisons.differences(ours, theirs, [metric], level_of(statement, level))).get(metric)
    of_all = found.statistics if found else {}
    statistics = {name: of_all[name] for name in ("mean", "low", "high") if name in of_all}
    if "low" not in statistics:
        return statistics, np.nan
    mean, data = statistics["mean"][0], comparisons.sample((ours, theirs), [metric])
    if statement["direction"] != "equal":
        return statistics, float(intervals.p_value(data, beyond(statement))[0])
    if abs(mean) < margin:
        return statistics, float(intervals.equivalence_p(data, margin)[0])
    return statistics, float(intervals.p_value(data, np.sign(mean) * margin)[0])


def needed(
    votes: Sequence[float], sides: Sequence[Side], metric: str, better: str, level: float
) -> Iterator[tuple[str, Statistics]]:
    """Kind and statistics of what one label gains by votes in a metric; how many it needs only if it gains anything,
    and the metric is finite with each number of votes.

    Args:
        votes: votes an image, ascending.
        sides: what the label's networks scored with each of these numbers.
        metric: one with terms and an interval, or nothing is found.
        better: whether ``higher`` or ``lower`` is better.
        level: of the intervals.
    """
    told = {}
    for kind, before in ((budgets.GAIN, 0), (budgets.STEP, -2)):
        found = dict(comparisons.differences(sides[-1], sides[before], [metric], level)).get(metric)
        if found and "low" in found.statistics:
            told[kind] = {name: found.statistics[name] for name in ("mean", "low", "high")}
    yield from told.items()
    everywhere = all(value is not None and math.isfinite(value) for side in sides for value in side.values(metric))
    if everywhere and budgets.GAIN in told and budgets.gains(told[budgets.GAIN], better):
        columns = comparisons.joined(sides, metric)
        ends = saturation.needed(votes, columns, better, budgets.SHARES, level)
        for k, share in enumerate(budgets.SHARES):
            how = ("isotonic fit, linear in log votes", *(f"{end} end, joint bootstrap" for end in ("lower", "upper")))
            values = zip(("mean", "low", "high"), (float(of[k]) for of in ends), how, strict=True)
            yield budgets.votes_for(share), {name: (value, text) for name, value, text in values}


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
    p = intervals.holm([statistics["p"][0] if "p" in statistics else math.nan for statistics in found.values()])
    for statistics, adjusted in zip(found.values(), p.tolist(), strict=True):
        if math.isfinite(adjusted):
            statistics["p"] = (adjusted, f"Holm's p of {len(found)} comparisons, {PRINTED}")
    kept = ("mean", "low", "high", "p")
    return first, {other: {name: of[name] for name in kept if name in of} for other, of in found.items() if of}
