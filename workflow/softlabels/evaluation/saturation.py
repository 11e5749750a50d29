"""How many votes an image a metric needs: a monotone curve through what was measured with some numbers of votes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri
from sklearn.isotonic import isotonic_regression

from . import intervals

DRAWS, SEED = 2000, 0  # of the bootstrap


def reached(votes: np.ndarray, values: np.ndarray, better: str, shares: Sequence[float]) -> np.ndarray:
    """Votes at which the curve has some shares of its gain, float64 ``[len(shares)]``.

    The curve is the monotone one nearest to the values (isotonic regression: Barlow, Bartholomew, Bremner and Brunk
    1972, "Statistical Inference under Order Restrictions"), and linear in the logarithm of the votes between them. Its
    gain is the difference of its ends. A curve without a gain has all shares at once, with the fewest votes.

    Args:
        votes: float ``[K]``, ascending, positive.
        values: of the metric, float ``[K]``.
        better: whether ``higher`` or ``lower`` values are better.
        shares: between 0 and 1.
    """
    curve = isotonic_regression(np.asarray(values, float) * (1 if better == "higher" else -1))
    targets = curve[0] + np.asarray(shares) * (curve[-1] - curve[0])
    after = np.minimum(np.searchsorted(curve, targets), len(curve) - 1)  # the first value that is as good
    before = np.maximum(after - 1, 0)
    rise = curve[after] - curve[before]
    part = np.divide(targets - curve[before], rise, out=np.ones_like(targets), where=rise > 0)
    log = np.log(votes)
    return np.exp(log[before] + part * (log[after] - log[before]))


def needed(
    votes: np.ndarray, data: intervals.Sample, better: str, shares: Sequence[float], level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """:func:`reached` by the means over seeds, and the ends of its interval over seeds and items.

    Each curve of the bootstrap is fitted anew. As the means of S resampled seeds vary less than those of seeds, by
    (S - 1) / S, the percentiles lie further out by the root of that (Hesterberg 2015, "What Teachers Should Know About
    the Bootstrap", The American Statistician 69: narrowness bias). Simulated coverage of a nominal 95 %, of curves that
    end at 10 or 20 of 51 votes: 0.93 to 1.00 with 5 and with 10 seeds. NaN where the bootstrap has no interval.

    Args:
        votes, better, shares: see :func:`reached`.
        data: what S seeds found with each of the K numbers of votes: a metric a number, in their order.
        level: of the interval.
    """
    found = reached(votes, data.means.mean(axis=0), better, shares)
    resampled = intervals.resamples(data, DRAWS, SEED)
    if resampled is None:
        nothing = np.full(len(shares), np.nan)
        return found, nothing, nothing
    of_draws = np.array([reached(votes, means, better, shares) for means in resampled[1]])
    seeds = len(data.means)
    tail = ndtr(np.sqrt(seeds / (seeds - 1)) * ndtri((1 - level) / 2))
    low, high = np.quantile(of_draws, [tail, 1 - tail], axis=0)
    return found, low, high
