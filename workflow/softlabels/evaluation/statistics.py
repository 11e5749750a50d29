"""Means, spreads and differences over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.special import stdtrit


def summary(values: Sequence[float], ddof: int) -> tuple[float, float | None]:
    """Mean, and standard deviation with divisor ``n - ddof``: None where one seed or an infinite value leaves none."""
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1 or not math.isfinite(mean):
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - ddof))


def paired_difference(
    a: Sequence[float], b: Sequence[float], level: float
) -> tuple[float, float | None, tuple[float, float] | None]:
    """Mean and standard deviation (ddof 1) of ``a - b`` over seeds, and the ends of the paired t interval.

    Entry i of both belongs to the same seed; ``level`` is the interval's confidence, such as 0.95. One seed has a mean,
    but no spread and no interval. Two infinite values have no difference: the mean is then NaN.
    """
    mean, std = summary([x - y for x, y in zip(a, b, strict=True)], ddof=1)
    if std is None:
        return mean, None, None
    half = half_width(std, len(a), level)
    return mean, std, (mean - half, mean + half)


def half_width(std: float, n: int, level: float) -> float:
    """Half of the t interval of a mean of ``n`` numbers with the sample standard deviation ``std``."""
    return float(stdtrit(n - 1, (1 + level) / 2)) * std / math.sqrt(n)
