"""Intervals and tests of differences once more, by a second implementation: pairs of seeds, NumPy and plain ``math``.

``evaluation/intervals.py`` says where each formula comes from. There the item part is what clustered sums leave after a
subtraction; here it is what it means, the mean covariance of two seeds by the items that both have. The bootstraps are
no second time here: they come out of their key.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NOTHING = 1e-6  # a width below this part of the values' size is rounding: nothing varied
Seed = tuple[np.ndarray, np.ndarray]  # values of a seed's items, float64 [n], and their clusters, int [n]
Ends = tuple[float, float]


def mean_and_std(values: list[float], ddof: int) -> tuple[float, float | None]:
    """Mean and standard deviation with divisor ``n - ddof``; no deviation of one or of infinite numbers."""
    mean = math.fsum(values) / len(values)
    if len(values) == 1 or not math.isfinite(mean):
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - ddof))


def student_t(level: float, freedom: int) -> float:
    """The t that a Student variable stays below in absolute value with probability ``level``, by bisection."""
    low, high = 0.0, math.pi / 2
    while low < (angle := (low + high) / 2) < high:
        if student_inside(angle, freedom) < level:
            low = angle
        else:
            high = angle
    return math.sqrt(freedom) * math.tan(low)


def student_inside(angle: float, freedom: int) -> float:
    """P(|T| < t), ``angle`` being that whose tangent is t / √freedom: a finite sum.

    Abramowitz and Stegun 1964, 26.7.3-4.
    """
    odd = freedom % 2
    term, total = math.cos(angle) ** odd, 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (k - 1) / k
    inside = math.sin(angle) * total
    return 2 / math.pi * (angle + inside) if odd else inside


class TwoWay(NamedTuple):
    """A mean difference, the two parts of its variance, and numbers of seeds and of clusters."""

    mean: float
    seed: float
    item: float
    seeds: int
    clusters: int

    def half_width(self, level: float) -> float:
        """Half of the interval."""
        return student_t(level, min(self.seeds, self.clusters) - 1) * math.sqrt(self.seed + self.item)


def two_way(seeds: Sequence[Seed]) -> TwoWay | None:
    """Mean difference with the variance that seeds and items leave; None where there is no interval."""
    clusters = set().union(*(of_seed[1].tolist() for of_seed in seeds))
    means = [_mean(values) for values, _ in seeds]
    if min(len(seeds), len(clusters)) < 2 or not all(map(math.isfinite, means)):
        return None
    seed, item = _covariances(seeds, seeds)
    found = TwoWay(math.fsum(means) / len(means), seed, max(0.0, item), len(seeds), len(clusters))
    return found if 2 * found.half_width(0.95) > NOTHING * _size(seeds) else None


def two_way_interval(seeds: Sequence[Seed], level: float) -> Ends | None:
    """The ends of the two-way interval."""
    found = two_way(seeds)
    return found and (found.mean - found.half_width(level), found.mean + found.half_width(level))


def p_value(seeds: Sequence[Seed]) -> float | None:
    """1 minus the level at which the two-way interval ends at 0, by bisection."""
    found = two_way(seeds)
    if found is None:
        return None
    low, high = 0.0, 1.0
    while low < (level := (low + high) / 2) < high:
        low, high = (level, high) if found.half_width(level) < abs(found.mean) else (low, level)
    return 1 - low


def projection(found: TwoWay, level: float, seeds: Sequence[int]) -> list[float]:
    """Half-widths that other numbers of seeds would leave."""
    return [found._replace(seed=found.seed / n * found.seeds, seeds=n).half_width(level) for n in seeds]


def paired_t(seeds: Sequence[Seed], level: float) -> Ends | None:
    """The ends of Student's interval of the seeds' differences."""
    return corrected_resampled_t(seeds, level, 0.0)


def corrected_resampled_t(seeds: Sequence[Seed], level: float, test_to_train: float) -> Ends | None:
    """The same with the variance ``(1/S + n_test / n_train) s²``."""
    means = [_mean(values) for values, _ in seeds]
    mean, std = mean_and_std(means, 1)
    if std is None:
        return None
    half = student_t(level, len(means) - 1) * std * math.sqrt(1 / len(means) + test_to_train)
    return (mean - half, mean + half) if 2 * half > NOTHING * _size(seeds) else None


def share(raw: Sequence[Seed], scaled: Sequence[Seed], level: float) -> tuple[float, float, float] | None:
    """1 - scaled / raw and the ends of Fieller's interval; None where the raw gap may be 0."""
    found = two_way(raw)
    if found is None or not all(math.isfinite(_mean(values)) for values, _ in scaled):
        return None
    pairs = [(raw, raw), (raw, scaled), (scaled, raw), (scaled, scaled)]
    seed, item = (np.array(part).reshape(2, 2) for part in zip(*(_covariances(a, b) for a, b in pairs), strict=True))
    eigenvalues, vectors = np.linalg.eigh(item)
    (rr, rs), (_, ss) = seed + vectors @ np.diag(np.maximum(eigenvalues, 0)) @ vectors.T
    t = student_t(level, min(found.seeds, found.clusters) - 1)
    r, s = (math.fsum(_mean(values) for values, _ in side) / len(side) for side in (raw, scaled))
    if r**2 <= t**2 * rr:
        return None
    # The ratio R lies between the roots of (s - R r)² = t² (ss - 2 R rs + R² rr)
    roots = np.roots([r**2 - t**2 * rr, -2 * (r * s - t**2 * rs), s**2 - t**2 * ss]).real
    return 1 - s / r, float(1 - max(roots)), float(1 - min(roots))


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p-values; None, what could not be tested, stays."""
    known = sorted(value for value in p if value is not None)
    steps = [min(1.0, (len(known) - k) * value) for k, value in enumerate(known)]
    return [None if value is None else max(steps[: known.index(value) + 1]) for value in p]


def mcnemar_mid_p(right_a: Sequence[bool], right_b: Sequence[bool]) -> float:
    """Twice the smaller tail of the items on which one is right, half of the seen number's probability left out."""
    one = sum(bool(a) and not b for a, b in zip(right_a, right_b, strict=True))
    n = one + sum(bool(b) and not a for a, b in zip(right_a, right_b, strict=True))
    ways = [math.comb(n, k) for k in range(min(one, n - one) + 1)]
    return (2 * sum(ways) - ways[-1]) / 2**n


def _size(seeds: Sequence[Seed]) -> float:
    """The largest mean, or spread of a mean by its clusters, of any seed."""
    spreads = (np.linalg.norm(_by_cluster(*of_seed, np.unique(of_seed[1]))) for of_seed in seeds)
    return max(*(abs(_mean(values)) for values, _ in seeds), *map(float, spreads))


def _mean(values: np.ndarray) -> float:
    # fsum refuses infinities of both signs, and sums of one sign are no number that has an interval either
    return math.fsum(values) / len(values) if np.isfinite(values).all() else math.nan


def _covariances(a: Sequence[Seed], b: Sequence[Seed]) -> tuple[float, float]:
    """Covariance of the seeds' means over S, and mean covariance of two different seeds by the clusters of both."""
    n = len(a)
    means = [[_mean(values) for values, _ in side] for side in (a, b)]
    centres = [math.fsum(of_side) / n for of_side in means]
    products = [(x - centres[0]) * (y - centres[1]) for x, y in zip(*means, strict=True)]
    names = np.unique(np.concatenate([clusters for _, clusters in a]))
    ours, theirs = (np.stack([_by_cluster(*of_seed, names) for of_seed in side]) for side in (a, b))
    between = ours @ theirs.T  # covariances of the means of seeds i and j
    crossed = [between[i, j] for i in range(n) for j in range(n) if i != j]
    fewest = max(2, min(len(np.unique(clusters)) for _, clusters in a))
    return math.fsum(products) / (n * (n - 1)), math.fsum(crossed) / len(crossed) * fewest / (fewest - 1)


def _by_cluster(values: np.ndarray, clusters: np.ndarray, names: np.ndarray) -> np.ndarray:
    """What each of the named clusters contributes to the error of a seed's mean."""
    part = (values - _mean(values)) / len(values)
    return np.bincount(np.searchsorted(names, clusters), weights=part, minlength=len(names))
