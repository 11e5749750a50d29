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


def half_width(std: float, n: int, level: float) -> float:
    """Half of the t interval of a mean of ``n`` numbers with the sample standard deviation ``std``."""
    return float(stdtrit(n - 1, (1 + level) / 2)) * std / math.sqrt(n)
