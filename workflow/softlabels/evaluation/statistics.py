"""Means, spreads and differences over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.special import stdtrit


class Summary(NamedTuple):
    """Mean and spread of one number over seeds."""

    mean: float
    std: float | None  # None where one seed or an infinite value leaves no spread
    n: int


class Difference(NamedTuple):
    """A paired difference over seeds and its interval."""

    mean: float
    std: float | None  # sample standard deviation of the differences
    low: float | None
    high: float | None
    n: int


def summary(values: Sequence[float], ddof: int) -> Summary:
    """Mean and standard deviation with divisor ``n - ddof``."""
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1 or not math.isfinite(mean):
        return Summary(mean, None, n)
    return Summary(mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - ddof)), n)


def paired_difference(a: Sequence[float], b: Sequence[float], level: float) -> Difference:
    """Mean of ``a - b`` over seeds with the paired t interval of confidence ``level``, such as 0.95.

    Entry i of both belongs to the same seed. One seed has a mean, but no spread and no interval. Two infinite values
    have no difference: the mean is then NaN.
    """
    mean, std, n = summary([x - y for x, y in zip(a, b, strict=True)], ddof=1)
    if std is None:
        return Difference(mean, None, None, None, n)
    half = half_width(std, n, level)
    return Difference(mean, std, mean - half, mean + half, n)


def half_width(std: float, n: int, level: float) -> float:
    """Half of the t interval of a mean of ``n`` numbers with the sample standard deviation ``std``."""
    return float(stdtrit(n - 1, (1 + level) / 2)) * std / math.sqrt(n)
