"""Differences of two labels over seeds: each with its intervals, and what a ledger notes beside it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..contracts import ALL, AT, PLUS, STANDARD, Scores, Terms, file_of
from ..evaluation import intervals
from ..evaluation.statistics import half_width, summary
from .ledger_view import PROJECTED

PRINTED = "two-way"  # the interval of a difference; without terms there is none
OTHERS = ("paired t", "corrected resampled t", "item bootstrap", "joint bootstrap")  # are noted, and not printed
DRAWS, SEED = 1000, 0  # of the bootstraps
Statistics = dict[str, tuple[float, str]]  # a statistic's value, and how it was made


class Side(NamedTuple):
    """What one label's networks scored, a run a seed: by set of metrics."""

    scores: Sequence[Mapping[str, Scores]]
    terms: Sequence[Mapping[str, Terms]]

    def values(self, name: str) -> list[float | None]:
        """One number of each seed, such as ``kl``, ``kl@clear`` or ``kl+temperature``; None where it is not defined."""
        metric, _, scaling = name.partition(PLUS)
        found = (file_of(sets, metric) for sets in self.scores)
        return [
            scores.value(metric, scaling or "none") if scaling in ("", *scores.scalings) else None for scores in found
        ]

    def of_items(self, name: str) -> list[Terms]:
        """For each seed the file that holds the terms of one number."""
        return [file_of(sets, name.partition(PLUS)[0]) for sets in self.terms]


class Difference(NamedTuple):
    """Ours minus theirs in one number, paired by seed.

    Attributes:
        statistics: mean; with two seeds or more std and, where there is an interval, low and high; where that is the
            printed one, p, and half_5 and so on, the half-widths that other numbers of seeds would leave.
        interval: the name of the interval; None without one.
        others: low and high by the name of each other interval.
    """

    statistics: Statistics
    interval: str | None
    others: Mapping[str, Statistics]


def around(side: Side, metrics: Sequence[str], level: float) -> dict[str, Statistics]:
    """The ends of the two-way interval of a label's own metrics: of those that have terms and an interval."""
    around: dict[str, Statistics] = {}
    for members in _by_group([name for name in metrics if _has_terms((side,), name)]):
        found = intervals.two_way_interval(sample((side,), members), level)
        ends = ({"low": low, "high": high} for low, high in zip(found.low, found.high, strict=True))
        around |= {name: _named(of, PRINTED) for name, of in zip(members, ends, strict=True) if np.isfinite(of["low"])}
    return around


def _by_group(names: Sequence[str]) -> list[list[str]]:
    """Names apart by the group of items that they are of: the items of one group have terms."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.partition(AT)[2], []).append(name)
    return [*groups.values()]


def differences(
    ours: Side, theirs: Side, names: Sequence[str], level: float, noted: Collection[str] = ()
) -> Iterator[tuple[str, Difference]]:
    """Name and difference of each number (a metric, or one of a group) that is defined for all seeds of both.

    Other intervals are made of the ``noted`` metrics, which share what is drawn for the bootstraps, and of those
    without terms, which have no better one. Two infinite values have no difference.
    """
    pairs = {name: (ours.values(name), theirs.values(name)) for name in names}
    with np.errstate(invalid="ignore"):
        found = {name: np.subtract(*pair) for name, pair in pairs.items() if None not in pair[0] + pair[1]}
    found = {name: value for name, value in found.items() if not np.isnan(value.mean())}
    around = dict(_intervals(ours, theirs, list(found), level, noted))
    for name, value in found.items():
        yield name, _difference(value, around.get(name), level)


def _difference(values: np.ndarray, around: _Intervals | None, level: float) -> Difference:
    mean, std = summary(values.tolist(), ddof=1)
    statistics = {"mean": (mean, "mean over seeds of the paired difference")}
    if std is None:
        return Difference(statistics, None, {})
    statistics["std"] = (std, "sample std (ddof 1) over seeds of the paired difference")
    if around is None:
        half = half_width(std, len(values), level)
        if 2 * half <= intervals.NOTHING * np.abs(values).max():
            return Difference(statistics, None, {})
        ends = {"low": mean - half, "high": mean + half}
        return Difference(statistics, None, {OTHERS[0]: _named(ends, OTHERS[0])})
    if around.statistics is None:
        return Difference(statistics, None, {})
    return Difference({**statistics, **around.statistics}, PRINTED, around.others)


class _Intervals(NamedTuple):
    statistics: Statistics | None
    others: Mapping[str, Statistics]


def _named(numbers: Mapping[str, float], interval: str) -> Statistics:
    said = {"low": f"lower end of the {interval} interval", "high": f"upper end of the {interval} interval",
            "p": f"two-sided p of no difference, {interval}",
            "half": f"half-width of the {interval} interval"}  # fmt: skip
    return {name: (float(value), said.get(name, f"half-width with {name[5:]} seeds, {interval}"))
            for name, value in numbers.items()}  # fmt: skip


def _intervals(
    ours: Side, theirs: Side, names: list[str], level: float, noted: Collection[str]
) -> Iterator[tuple[str, _Intervals]]:
    """The intervals of those numbers that have terms."""
    names = [name for name in names if _has_terms((ours, theirs), name)]
    others = dict(_others(ours, theirs, [name for name in names if name in noted and AT not in name], level))
    for members in _by_group(names):
        data = sample((ours, theirs), members)
        two_way = intervals.two_way(data)
        shown, p = intervals.two_way_interval(data, level), intervals.p_value(data)
        if intervals.freedom(two_way) < 1:
            yield from ((name, _Intervals(None, {})) for name in members)
            continue
        half = intervals.projection(two_way, level, PROJECTED)
        for k, name in enumerate(members):
            numbers = {"low": shown.low[k], "high": shown.high[k], "p": p[k]}
            numbers["half"] = (shown.high[k] - shown.low[k]) / 2
            numbers |= {f"half_{n}": half[row, k] for row, n in enumerate(PROJECTED)}
            found = np.isfinite(shown.low[k])
            yield name, _Intervals(_named(numbers, PRINTED) if found else None, others.get(name, {}) if found else {})


def sample(sides: Sequence[Side], names: Sequence[str]) -> intervals.Sample:
    """Terms of a side, or of the first minus the second; a column a name, all of one group, whose items have terms."""
    values, clusters = [], []
    for seed in range(len(sides[0].terms)):
        first, *second = (
            np.stack([side.of_items(name)[seed].values[name] for name in names], axis=1) for side in sides
        )
        columns = first - second[0] if second else first
        there = ~np.isnan(columns[:, 0]) if AT in names[0] else ...
        values.append(columns[there])
        clusters.append(sides[0].of_items(names[0])[seed].cluster[there])
    return intervals.sample(values, clusters)


def joined(sides: Sequence[Side], name: str) -> intervals.Sample:
    """Terms of one number, a column a side: all are of the same test parts."""
    values, clusters = [], []
    for seed in range(len(sides[0].terms)):
        files = [side.of_items(name)[seed] for side in sides]
        values.append(np.stack([file.values[name] for file in files], axis=1))
        clusters.append(files[0].cluster)
    return intervals.sample(values, clusters)


def _others(ours: Side, theirs: Side, names: list[str], level: float) -> Iterator[tuple[str, Mapping[str, Statistics]]]:
    """For each of some metrics the intervals that are noted, by method."""
    if not names:
        return
    data = sample((ours, theirs), names)
    tested, trained = (
        np.mean([sets[STANDARD].get(part, ALL, "none", "n_items") for sets in ours.scores])
        for part in ("test", "train")
    )
    found = (
        intervals.paired_t(data, level),
        intervals.corrected_resampled_t(data, level, tested / trained),
        *intervals.bootstraps(data, level, DRAWS, SEED),
    )
    for k, name in enumerate(names):
        yield (
            name,
            {
                method: _named({"low": of.low[k], "high": of.high[k]}, method)
                for method, of in zip(OTHERS, found, strict=True)
                if np.isfinite(of.low[k])
            },
        )


def p_values(ours: Side, theirs: Side, metrics: Sequence[str]) -> dict[str, float]:
    """The two-way p of no difference in each metric that has terms; NaN without an interval."""
    with_terms = [name for name in metrics if _has_terms((ours, theirs), name)]
    p = intervals.p_value(sample((ours, theirs), with_terms)) if with_terms else ()
    return dict(zip(with_terms, map(float, p), strict=True))


def _has_terms(sides: Sequence[Side], name: str) -> bool:
    return all(name in file.values for side in sides for file in side.of_items(name))


def confidence(ours: Side, theirs: Side, names: Sequence[str], level: float) -> Statistics | None:
    """Share of a gap that a scaling of both closes; None where the gap may be 0 or has no interval.

    ``names`` are those of the gap's terms without and after scaling, such as ``kl`` and ``kl+temperature``.
    """
    if not all(_has_terms((ours, theirs), name) for name in names):
        return None
    raw, scaled = (sample((ours, theirs), [name]) for name in names)
    found = intervals.share(raw, scaled, level)
    if not np.isfinite(found.low[0]):
        return None
    said = {"mean": "1 − scaled gap / raw gap, of the means over seeds", "low": "lower end of Fieller's interval",
            "high": "upper end of Fieller's interval"}  # fmt: skip
    return {name: (float(getattr(found, name)[0]), text) for name, text in said.items()}


def best(means: Mapping[str, float], better: str | None) -> str | None:
    """The label with the best mean; None of a metric without a direction, and of a single label."""
    order = {"higher": max, "lower": min}.get(better or "")
    return order(means, key=means.__getitem__) if order and len(means) > 1 else None


def mcnemar(ours: Side, theirs: Side, metric: str = "acc") -> Iterator[tuple[int, float]]:
    """The exact mid-p of the pair of networks of the k-th seed; nothing without terms."""
    for k, (a, b) in enumerate(zip(ours.of_items(metric), theirs.of_items(metric), strict=True)):
        if metric in a.values and metric in b.values:
            yield k, intervals.mcnemar_mid_p(a.values[metric] == 1, b.values[metric] == 1)
