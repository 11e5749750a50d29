"""One value an item for metrics that are no mean over items: the metric plus the item's influence on it.

The influence of item i is ``n · dθ / dw_i`` at equal weights, θ being the metric of weighted items (the infinitesimal
jackknife, Jaeckel 1972; Efron 1982). Influences sum to 0, so that the mean of the values is the metric; their spread
gives its standard error, as that of an item's own terms does for a mean.
"""

from __future__ import annotations

import numpy as np


def mean_ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Mean over K of the ratios ``sum_i numerator_ik / sum_i denominator_ik``, as one value an item.

    Args:
        numerator: bool or float64 ``[n, K]``, or ``[n]`` for one ratio; 0 where the denominator is.
        denominator: the same shape, not negative; a column that sums to 0 is left out of the mean.

    Returns:
        float64 ``[n]``, by the quotient rule; NaN where no column is left.
    """
    if numerator.ndim == 1:
        numerator, denominator = numerator[:, None], denominator[:, None]
    total = denominator.sum(axis=0, dtype=float)
    present = total > 0
    if not present.any():
        return np.full(len(numerator), np.nan)
    scale = np.divide(1, total, where=present, out=np.zeros_like(total))
    ratio = numerator.sum(axis=0, dtype=float) * scale
    influence = (numerator @ scale - denominator @ (ratio * scale)) * len(numerator) / present.sum()
    return ratio[present].mean() + influence


def correlation(x: np.ndarray, y: np.ndarray, constant: float) -> np.ndarray:
    """Pearson correlation of x and y ``[n]`` as one value an item, with the influence of Devlin et al. (1975).

    Returns:
        float64 ``[n]``; NaN where all values of x, or of y, lie within ``constant`` of each other.
    """
    if min(np.ptp(x), np.ptp(y)) <= constant:
        return np.full(len(x), np.nan)
    x, y = ((values - values.mean()) / values.std() for values in (x, y))
    r = (x * y).mean()
    return x * y - r * (x**2 + y**2) / 2 + r


def ratios(values: np.ndarray, row: np.ndarray, column: np.ndarray, n: int) -> np.ndarray:
    """:func:`mean_ratio` of many columns with few entries: the mean over columns of the mean of their values.

    Args:
        values: float64 ``[V]``.
        row: the item of each, int ``[V]``.
        column: what each is averaged within, int ``[V]``.
        n: number of items.

    Returns:
        float64 ``[n]``; NaN without values.
    """
    if not len(values):
        return np.full(n, np.nan)
    _, column, size = np.unique(column, return_inverse=True, return_counts=True)
    of_column = np.bincount(column, values) / size
    share = 1 / (size * len(size))  # of each entry of a column
    influence = np.bincount(row, (values - of_column[column]) * share[column], minlength=n) * n
    return of_column.mean() + influence
