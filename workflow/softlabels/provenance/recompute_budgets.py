"""What votes buy and what claims come to, once more: plain ``math`` on what ``recompute.py`` reads; see there.

The intervals of numbers of votes are bootstraps, which are not drawn again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .recompute_intervals import Seed, TwoWay, two_way

SHARES = (0.9, 0.95)
USUAL = ("macro_acc", "kl", "tvd", "soft_ece", "entropy_correlation")  # metrics of tables that name none


def metrics_of(config: Mapping[str, Any], table: Mapping[str, Any]) -> list[str]:
    """The metrics of a table of budgets."""
    chosen = table.get("metrics") or [metric for metric in config["metrics"] if metric in USUAL]
    return [metric for metric in chosen if config["metric_facts"][metric]["better"]]


def votes_of(value: Any, mean: float | None) -> float | None:
    """A number of votes; of ``all`` the mean of the data set."""
    return mean if value == "all" else float(value)


def monotone(values: Sequence[float]) -> list[float]:
    """The rising numbers that are nearest to some: neighbours out of order become their mean, until none are."""
    pools: list[list[float]] = []
    for value in values:
        pools.append([value])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return [_mean(pool) for pool in pools for _ in pool]


def reached(votes: Sequence[float], values: Sequence[float], better: str, share: float) -> float:
    """Where a monotone curve, linear in log votes, first has a share of its gain."""
    curve = monotone(values if better == "higher" else [-value for value in values])
    target = curve[0] + share * (curve[-1] - curve[0])
    for k in range(1, len(curve)):
        if curve[k - 1] < target <= curve[k]:
            part = (target - curve[k - 1]) / (curve[k] - curve[k - 1])
            return votes[k - 1] * (votes[k] / votes[k - 1]) ** part
    return votes[0]


def judged(seeds: Sequence[Seed], statement: Mapping[str, Any], level: float) -> tuple[dict[str, float], float | None]:
    """Low and high of the interval of a statement's difference, and the p behind its verdict; nothing without one."""
    found = two_way(seeds)
    if found is None:
        return {}, None
    equal, margin = statement["direction"] == "equal", statement["margin"] or 0.0
    half = found.half_width(2 * level - 1 if equal else level)
    ends = {"low": found.mean - half, "high": found.mean + half}
    if equal and abs(found.mean) < margin:
        return ends, _beyond(found, margin - abs(found.mean)) / 2  # of two tests, the larger one-sided p
    begins = {"lower": -margin, "higher": margin, "not_higher": margin, "not_lower": -margin}
    null = math.copysign(margin, found.mean) if equal else begins[statement["direction"]]
    return ends, _beyond(found, abs(found.mean - null))


def _beyond(found: TwoWay, distance: float) -> float:
    """1 minus the level at which half of the interval is so wide, by bisection."""
    low, high = 0.0, 1.0
    while low < (level := (low + high) / 2) < high:
        low, high = (level, high) if found.half_width(level) < distance else (low, level)
    return 1 - low


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
