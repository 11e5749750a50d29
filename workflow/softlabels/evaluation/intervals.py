"""Intervals of a mean difference over seeds and items, with what they assume.

The estimand is the mean difference over new seeds *and* new images (groups of images where there are groups), the pool
of training images given. ``docs/intervals.md`` shows how often each interval covers it; the two-way one is printed.

Every function works on M metrics at once. An interval is NaN where there is none: one seed, fewer than two clusters, a
value that is not finite, or nothing that varies (a spread of 0 that was seen says nothing about the true one).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import bdtr, stdtr, stdtrit

from .. import keyed
from .statistics import half_width

NOTHING = (
    1e-6  # a width below this part of the values' size is rounding (the root of that of a variance): nothing varied
)
BLOCK = 50  # resamples at a time: what is counted stays in the processor's cache


class Sample(NamedTuple):
    """What S seeds found on items of C clusters, for M metrics.

    Attributes:
        means: mean of the items' values, float64 ``[S, M]``.
        deviations: what a cluster contributes to the error of a seed's mean, the sum of its items' deviations from that
            mean, divided by the seed's number of items; 0 where the seed has none of it. float64 ``[C, S, M]``; NaN for
            a metric with a value that is not finite.
        shares: the share of a seed's items that lie in a cluster, float64 ``[C, S]``; each column sums to 1.
    """

    means: np.ndarray
    deviations: np.ndarray
    shares: np.ndarray


class Interval(NamedTuple):
    """An estimate and the ends of its interval, float64 ``[M]`` each."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


class TwoWay(NamedTuple):
    """A mean difference and the two parts of its variance, float64 ``[M]`` each: ``seed + item`` is its variance.

    The seed part falls with the number of seeds. The item part is the covariance of two seeds' means, which the items
    that they share leave however many seeds there are.
    """

    mean: np.ndarray
    seed: np.ndarray
    item: np.ndarray
    seeds: int
    clusters: int


def sample(values: Sequence[np.ndarray], clusters: Sequence[np.ndarray]) -> Sample:
    """Put the items of all seeds together.

    Args:
        values: of each seed, the values of its items, float ``[n]`` or ``[n, M]``: terms whose mean is the difference,
            or the difference plus influence values where the metric is no mean over items. Of a metric that says
            nothing about items, one value a seed and a cluster of its own: the two-way interval is then the paired t.
        clusters: of each seed, the cluster of each item (the item itself, or its group), int ``[n]``. One number is
            the same cluster in all seeds.
    """
    columns = [np.asarray(of_seed, float).reshape(len(of_seed), -1) for of_seed in values]
    names, where = np.unique(np.concatenate(clusters), return_inverse=True)
    ends = np.cumsum([len(of_seed) for of_seed in columns])
    rows = np.split(where, ends[:-1])
    with np.errstate(invalid="ignore"):
        means = np.array([of_seed.mean(axis=0) for of_seed in columns])
    finite = np.isfinite(means).all(axis=0)
    deviations = np.zeros((len(names), *means.shape))
    shares = np.zeros((len(names), len(columns)))
    for s, (of_seed, row) in enumerate(zip(columns, rows, strict=True)):
        n = len(of_seed)
        centred = np.where(finite, of_seed, np.nan) - np.where(finite, means[s], np.nan)
        shares[:, s] = np.bincount(row, minlength=len(names)) / n
        if shares[:, s].max() * n > 1:
            np.add.at(deviations[:, s], row, centred / n)
        else:  # one item a cluster, as nearly always: faster
            deviations[row, s] = centred / n
    return Sample(means, deviations, shares)


# -- over seeds alone --------------------------------------------------------------------------------------------------


def paired_t(data: Sample, level: float) -> Interval:
    """Student's t interval of the seeds' differences: right if their test parts share no item."""
    return _over_seeds(data, level, 1.0)


def corrected_resampled_t(data: Sample, level: float, test_to_train: float) -> Interval:
    """Paired t with the variance ``(1/S + n_test / n_train) s²``, for test parts drawn from one pool.

    Nadeau and Bengio 2003, "Inference for the Generalization Error", Machine Learning 52.
    ``test_to_train`` is n_test / n_train.
    """
    return _over_seeds(data, level, math.sqrt(1 + len(data.means) * test_to_train))


def _over_seeds(data: Sample, level: float, factor: float) -> Interval:
    mean, deviation = _mean(data), np.sqrt(_covariance_of_seeds(data, data) * len(data.means))
    return _around(data, mean, factor * half_width(deviation, len(data.means), level))


# -- two-way clusters --------------------------------------------------------------------------------------------------

# V = V_seed + max(0, V_item - V_seed×item): Cameron, Gelbach and Miller 2011, "Robust Inference With Multiway
# Clustering", Journal of Business & Economic Statistics 29, for the mean as a regression on a constant.
#
# - All three parts take the factor S / (S - 1) of the smaller dimension. It is what makes them unbiased: with a
#   variance v of a seed's mean and a covariance c of two seeds' means, the mean of S seeds has the variance
#   (v - c) / S + c; V_seed expects (v - c) / S, and V_item - V_seed×item, which is the sum over pairs of different
#   seeds, expects c only with this factor. Without it 3 seeds on one test part see two thirds of c.
# - Items are centred on their own seed's mean. Centred on the mean over all, two seeds' shared items also multiply the
#   seeds' own deviations, which is negative on average and belongs to V_seed.
# - The clusters' factor G / (G - 1) repairs that centring loses one of G clusters.
# - The degrees of freedom are those of the smaller dimension. For a sum of two estimated variances that is on the safe
#   side (Hájek 1962, "Inequalities for the generalized Student's distribution"): far, where the item part prevails.


def two_way(data: Sample) -> TwoWay:
    """Mean difference with the variance that seeds and items leave; NaN for what has no interval."""
    seed, item = _covariance_of_seeds(data, data), _covariance_of_items(data, data)
    return TwoWay(_mean(data), seed, np.maximum(item, 0), len(data.means), len(data.shares))


def two_way_interval(data: Sample, level: float) -> Interval:
    """The interval that is printed: mean ± t √(seed + item), with :func:`freedom` degrees of freedom."""
    found = two_way(data)
    if not freedom(found):
        return _around(data, found.mean, np.nan)
    return _around(data, found.mean, _t(found, level) * np.sqrt(found.seed + found.item))


def p_value(data: Sample, null: float = 0.0) -> np.ndarray:
    """Two-sided p of no difference, float64 ``[M]``; the interval at level 1 - p ends at 0. NaN without an interval.

    ``null`` is the difference that is tested in place of 0.
    """
    found, shown = two_way(data), two_way_interval(data, 0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(found.mean - null) / np.sqrt(found.seed + found.item)
    return np.where(np.isnan(shown.low), np.nan, 2 * stdtr(max(1, freedom(found)), -t))


def equivalence_p(data: Sample, margin: float) -> np.ndarray:
    """p of two one-sided tests that a difference is as large as ± margin, float64 ``[M]``; NaN without an interval.

    The interval at level 1 - 2p ends at one of the two margins, and lies within both (Schuirmann 1987, "A Comparison of
    the Two One-Sided Tests Procedure …", Journal of Pharmacokinetics and Biopharmaceutics 15).
    """
    found, shown = two_way(data), two_way_interval(data, 0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (margin - np.abs(found.mean)) / np.sqrt(found.seed + found.item)
    return np.where(np.isnan(shown.low), np.nan, stdtr(max(1, freedom(found)), -t))


def projection(found: TwoWay, level: float, seeds: Sequence[int]) -> np.ndarray:
    """Half-widths that other numbers of seeds would leave, float64 ``[len(seeds), M]``.

    The seed part scales with the number of seeds, the item part stays. What was observed as a difference plays no part.
    """
    others = [found._replace(seed=found.seed * found.seeds / n, seeds=n) for n in seeds]
    return np.array([_t(other, level) * np.sqrt(other.seed + other.item) for other in others])


def share(raw: Sample, scaled: Sample, level: float) -> Interval:
    """Share of a gap that a scaling closes, ``1 - scaled / raw``, with Fieller's interval; NaN where raw may be 0.

    Both samples are of the same items. The ratio R of the means is in the interval if the two-way t test accepts that
    ``scaled - R raw`` is 0 on average (Fieller 1954, "Some Problems in Interval Estimation", Journal of the Royal
    Statistical Society B 16). The item part of the covariance matrix is freed of a negative eigenvalue, as Cameron,
    Gelbach and Miller (2011) do.
    """
    if raw.means.shape != scaled.means.shape or not np.array_equal(raw.shares, scaled.shares):
        raise ValueError("the raw and the scaled gap are of different items")
    pairs = [(raw, raw), (raw, scaled), (scaled, scaled)]
    seed = [_covariance_of_seeds(a, b) for a, b in pairs]
    item = _semidefinite(*(_covariance_of_items(a, b) for a, b in pairs))
    rr, rs, ss = (a + b for a, b in zip(seed, item, strict=True))
    found = two_way(raw)
    squared = _t(found, level) ** 2 if freedom(found) else np.nan
    r, s = _mean(raw), _mean(scaled)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b, c = r**2 - squared * rr, r * s - squared * rs, s**2 - squared * ss
        root = np.sqrt(np.maximum(b**2 - a * c, 0))
        shown = (a > 0) & np.isfinite(s) & np.isfinite(two_way_interval(raw, level).low)
        ends = (np.where(shown, 1 - end / a, np.nan) for end in (b + root, b - root))
        return Interval(np.where(shown, 1 - s / r, np.nan), *ends)


def freedom(found: TwoWay) -> int:
    """Degrees of freedom: the smaller number of seeds and of clusters, minus 1."""
    return min(found.seeds, found.clusters) - 1


def _t(found: TwoWay, level: float) -> float:
    return float(stdtrit(freedom(found), (1 + level) / 2))


def _covariance_of_seeds(a: Sample, b: Sample) -> np.ndarray:
    """V_seed: covariance of the means of two quantities as far as the seeds' means show it, float64 ``[M]``."""
    n = len(a.means)
    if n < 2:
        return np.full(a.means.shape[1], np.nan)
    with np.errstate(invalid="ignore"):
        return ((a.means - a.means.mean(axis=0)) * (b.means - b.means.mean(axis=0))).sum(axis=0) / (n * (n - 1))


def _covariance_of_items(a: Sample, b: Sample) -> np.ndarray:
    """V_item - V_seed×item: what different seeds share by their items, float64 ``[M]``; it may be negative."""
    n = len(a.means)
    if n < 2:
        return np.full(a.means.shape[1], np.nan)
    clusters = max(2, int((a.shares > 0).sum(axis=0).min()))  # of the seed with the fewest
    of_clusters = np.einsum("cm,cm->m", a.deviations.sum(axis=1), b.deviations.sum(axis=1))
    of_pairs = np.einsum("csm,csm->m", a.deviations, b.deviations)
    return (of_clusters - of_pairs) / (n * (n - 1)) * clusters / (clusters - 1)


def _semidefinite(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The symmetric matrices [[p, q], [q, r]] with negative eigenvalues set to 0."""
    middle, distance = (p + r) / 2, np.hypot((p - r) / 2, q)
    low, high = middle - distance, middle + distance
    # A = low (I - u uᵀ) + high u uᵀ, so that u uᵀ = (A - low I) / (high - low)
    factor = np.divide(np.maximum(high, 0), high - low, where=distance > 0, out=np.zeros_like(p))
    kept = [np.where(low >= 0, old, factor * new) for old, new in [(p, p - low), (q, q), (r, r - low)]]
    return kept[0], kept[1], kept[2]


# -- bootstraps --------------------------------------------------------------------------------------------------------


def bootstraps(data: Sample, level: float, draws: int, *key: int) -> tuple[Interval, Interval]:
    """Percentile intervals from the same resampled clusters: with the seeds fixed, and with seeds resampled, too.

    Clusters are drawn with replacement, jointly over seeds, from all that any seed has. All metrics see the same
    ``draws`` resamples, which depend on the key alone. A resample without a single item of some seed is left out.
    Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.
    """
    mean, nothing = _mean(data), np.full(data.means.shape[1], np.nan)
    resampled = resamples(data, draws, *key)
    if resampled is None:
        return (Interval(mean, nothing, nothing),) * 2
    ends = (np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0) for means in resampled)
    item, joint = (_shown(data, mean, *pair) for pair in ends)
    return item, joint


def resamples(data: Sample, draws: int, *key: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The resampled means behind :func:`bootstraps`, float64 ``[draws, M]`` each; None without two seeds and clusters.

    First those with the seeds fixed, then those with seeds resampled, too.
    """
    n_clusters, n_seeds, n_metrics = data.deviations.shape
    mean = _mean(data)
    if n_seeds < 2 or n_clusters < 2:
        return None
    drawn = keyed.rng("bootstrap clusters", *key)
    # Single precision errs by 1e-5 of a spread that 1,000 draws know to 3 %, and takes half the time.
    flat, shares = data.deviations.reshape(n_clusters, -1).astype(np.float32), data.shares.astype(np.float32)
    sums, sizes = np.empty((draws, n_seeds, n_metrics)), np.empty((draws, n_seeds))
    for rows in _blocks(draws):
        chosen = drawn.integers(0, n_clusters, (len(rows), n_clusters), dtype=np.int32)
        chosen += n_clusters * np.arange(len(rows), dtype=np.int32)[:, None]
        weights = np.bincount(chosen.ravel(), minlength=chosen.size).reshape(chosen.shape).astype(np.float32)
        sums[rows], sizes[rows] = (weights @ flat).reshape(len(rows), n_seeds, n_metrics), weights @ shares
    chosen = keyed.rng("bootstrap seeds", *key).integers(0, n_seeds, (draws, n_seeds))
    times = (chosen[:, :, None] == np.arange(n_seeds)).mean(axis=1)  # weight of each seed, [draws, S]
    kept = (sizes > 0).all(axis=1)
    deviations, times = sums[kept] / sizes[kept, :, None], times[kept]
    finite = np.isfinite(data.means).all(axis=0)
    return (
        mean + deviations.mean(axis=1),
        np.einsum("bs,bsm->bm", times, deviations + np.where(finite, data.means, np.nan)),
    )


def _blocks(draws: int) -> Iterator[range]:
    return (range(start, min(start + BLOCK, draws)) for start in range(0, draws, BLOCK))


# -- tests -------------------------------------------------------------------------------------------------------------


def holm(p: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p-values, float64, in the given order: reject where one is at most the level of all together.

    Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6. NaN,
    what could not be tested, stays NaN and is not counted.
    """
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")[: np.isfinite(p).sum()]  # NaN is sorted to the end
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


def mcnemar_mid_p(right_a: np.ndarray, right_b: np.ndarray) -> float:
    """Exact mid-p of McNemar's test that two networks are right equally often, on the same items, bool ``[n]`` each.

    Twice the smaller tail of a binomial of the items on which just one is right, with half the weight on the value that
    was seen (Fagerland, Lydersen and Laake 2013, BMC Medical Research Methodology 13:91). It concerns this one pair of
    networks: neither other seeds nor, pooled over seeds, anything.
    """
    right_a, right_b = np.asarray(right_a, bool), np.asarray(right_b, bool)
    if right_a.shape != right_b.shape:
        raise ValueError(f"{len(right_a)} and {len(right_b)} items")
    one, other = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    fewer = min(one, other)
    # 2 P(X <= k) - P(X = k) = P(X <= k) + P(X <= k - 1)
    return float(bdtr(fewer, one + other, 0.5) + (bdtr(fewer - 1, one + other, 0.5) if fewer else 0.0))


# -- shared ------------------------------------------------------------------------------------------------------------


def _mean(data: Sample) -> np.ndarray:
    """Mean over seeds, float64 ``[M]``; seeds count alike, whatever their number of items."""
    with np.errstate(invalid="ignore"):
        return data.means.mean(axis=0)


def _around(data: Sample, mean: np.ndarray, half: np.ndarray | float) -> Interval:
    with np.errstate(invalid="ignore"):
        return _shown(data, mean, mean - half, mean + half)


def _shown(data: Sample, mean: np.ndarray, low: np.ndarray, high: np.ndarray) -> Interval:
    """The interval, or NaN where there is none."""
    with np.errstate(invalid="ignore"):
        spread = np.sqrt((data.deviations**2).sum(axis=0))  # of a seed's mean by its items, [S, M]
        size = np.maximum(np.abs(data.means), spread).max(axis=0)
        shown = np.isfinite(data.means).all(axis=0) & (high - low > NOTHING * size)
    return Interval(mean, np.where(shown, low, np.nan), np.where(shown, high, np.nan))
