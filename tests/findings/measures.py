"""The formulas of ``docs/metrics.md`` and ``docs/intervals.md``, written a second time, with NumPy and SciPy alone.

p is the reference, z the logits, float64 ``[n, C]``; q is the softmax of z. A metric gives one value an item, float64
``[n]``, whose mean is the metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.optimize import brentq, isotonic_regression, minimize
from scipy.special import log_softmax, xlogy
from scipy.stats import norm
from scipy.stats import t as student

EPS = 1e-5  # of kl_dcic
BINS = 15
NEAREST = 10
LEVEL = 0.95
PENALTY = 0.01  # of a matrix scaling


# -- metrics -----------------------------------------------------------------------------------------------------------


def _right(p: np.ndarray, z: np.ndarray) -> np.ndarray:
    return (p.argmax(axis=1) == z.argmax(axis=1)).astype(float)


def macro_acc(p: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Mean recall of the classes that are there; an item of class k counts n / (K n_k)."""
    truth, right = p.argmax(axis=1), _right(p, z)
    present, where, sizes = np.unique(truth, return_inverse=True, return_counts=True)
    recall = np.array([right[truth == k].mean() for k in present])
    return recall.mean() + len(p) / (len(present) * sizes[where]) * (right - recall[where])


def _kl(p: np.ndarray, z: np.ndarray) -> np.ndarray:
    return (xlogy(p, p) - p * log_softmax(z, axis=1)).sum(axis=1)


def _kl_dcic(p: np.ndarray, z: np.ndarray) -> np.ndarray:
    a, b = (np.clip(of, EPS, 1 - EPS) for of in (p, _q(z)))
    return (a * np.log(a / b)).sum(axis=1)


def _binned(right: np.ndarray, z: np.ndarray) -> np.ndarray:
    """An item's gap between being right and its confidence, with the sign of its bin's gap."""
    sure = np.minimum(_q(z).max(axis=1), 1)
    gap = right - sure
    of_bin = np.floor(BINS * (sure + 1e-12)).astype(int)
    value = np.zeros(len(gap))
    for k in np.unique(of_bin):
        value[of_bin == k] = np.sign(gap[of_bin == k].sum()) * gap[of_bin == k]
    return value


def _entropy(p: np.ndarray) -> np.ndarray:
    return -xlogy(p, p).sum(axis=1)


def entropy_correlation(p: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Pearson correlation of entropies, with the influence of each item."""
    x, y = ((h - h.mean()) / h.std() for h in (_entropy(p), _entropy(_q(z))))
    r = np.corrcoef(x, y)[0, 1]
    return r + x * y - r * (x**2 + y**2) / 2


def _q(z: np.ndarray) -> np.ndarray:
    return np.exp(log_softmax(z, axis=1))


METRICS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "macro_acc": macro_acc,
    "acc": _right,
    "kl": _kl,
    "kl_dcic": _kl_dcic,
    "ce": lambda p, z: -(p * log_softmax(z, axis=1)).sum(axis=1),
    "tvd": lambda p, z: np.abs(p - _q(z)).sum(axis=1) / 2,
    "brier": lambda p, z: ((p - _q(z)) ** 2).sum(axis=1),
    "soft_ece": lambda p, z: _binned(p[np.arange(len(p)), z.argmax(axis=1)], z),
    "ece": lambda p, z: _binned(_right(p, z), z),
    "entropy_correlation": entropy_correlation,
}


def stratum(p: np.ndarray, name: str) -> np.ndarray:
    """Which items of an exact reference are in a stratum, bool ``[n]``."""
    first, second = np.sort(p, axis=1)[:, ::-1][:, :2].T
    gap = first - second
    return {"clear": gap > 1 - 1e-9, "ambiguous": gap <= 1 - 1e-9, "closest": gap < 0.1}[name]


def merged(values: np.ndarray, classes: Sequence[str], groups: Sequence[Sequence[str]]) -> np.ndarray:
    """Probabilities ``[n, C]`` of groups of classes, ``[n, groups]``."""
    return np.stack([sum(values[:, classes.index(name)] for name in group) for group in groups], axis=1)


# -- scalings ----------------------------------------------------------------------------------------------------------


def temperature(p: np.ndarray, z: np.ndarray) -> float:
    """The T in [0.01, 100] with the least cross-entropy of softmax(z / T): where its slope by 1 / T is 0."""

    def slope(log_inverse: float) -> float:
        return float(((_q(np.exp(log_inverse) * z) - p) * z).sum())

    low, high = np.log(0.01), np.log(100)
    if slope(low) >= 0 or slope(high) <= 0:
        return float(np.exp(-low if slope(low) >= 0 else -high))
    return float(np.exp(-brentq(slope, low, high, xtol=1e-13)))


def matrix(p: np.ndarray, z: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The affine map of centred logits with the least cross-entropy, with ODIR's penalty off the diagonal."""
    n, c = p.shape
    z = z - z.mean(axis=1, keepdims=True)
    off = ~np.eye(c, dtype=bool)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = x[c:].reshape(c, c), x[:c]
        log_q = log_softmax(z @ w.T + b, axis=1)
        ce = -(p * log_q).sum() / n
        error = (np.exp(log_q) - p) / n
        value = ce + PENALTY * ((w[off] ** 2).sum() / (c * (c - 1)) + (b**2).mean())
        by_w = error.T @ z + 2 * PENALTY * w * off / (c * (c - 1))
        return value, np.concatenate([error.sum(axis=0) + 2 * PENALTY * b / c, by_w.ravel()])

    start = np.concatenate([np.zeros(c), (np.eye(c) / temperature(p, z)).ravel()])
    x = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-13, "gtol": 1e-8}).x
    return lambda other: (other - other.mean(axis=1, keepdims=True)) @ x[c:].reshape(c, c).T + x[:c]


# -- feature space -----------------------------------------------------------------------------------------------------


def distances(points: np.ndarray) -> np.ndarray:
    """Euclidean distances of all pairs of points ``[n, F]``, float64 ``[n, n]``."""
    squares = (points**2).sum(axis=1)
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0))


def silhouette(distance: np.ndarray, truth: np.ndarray) -> float:
    """Mean over items of (b - a) / max(a, b): the mean distance to its class, and to the nearest other class."""
    of_class = truth[:, None] == np.unique(truth)
    total, size = distance @ of_class, of_class.sum(axis=0)
    a = total[of_class] / np.maximum(size[of_class.argmax(axis=1)] - 1, 1)
    b = np.where(of_class, np.inf, total / size).min(axis=1)
    alone = size[of_class.argmax(axis=1)] == 1
    return float(np.where(alone, 0, (b - a) / np.maximum(a, b)).mean())


def nearest_r2(distance: np.ndarray, u: np.ndarray, s: np.ndarray) -> tuple[float, float]:
    """R² of colour and of shape position of items between classes, told by the mean of their 10 nearest others."""
    target = np.column_stack([np.cos(2 * np.pi * u / 3), np.sin(2 * np.pi * u / 3), s])
    between = (u % 1 != 0) | (s % 1 != 0)
    others = distance[between]
    others[np.arange(len(others)), np.flatnonzero(between)] = np.inf
    near = np.argpartition(others, NEAREST, axis=1)[:, :NEAREST]
    truth = target[between]
    error = ((truth - target[near].mean(axis=1)) ** 2).mean(axis=0) / truth.var(axis=0)
    return float(1 - error[:2].mean()), float(1 - error[2])


# -- over seeds --------------------------------------------------------------------------------------------------------

# What one seed found: (cluster of each item, int [n]; its value, float64 [n]).
Found = tuple[np.ndarray, np.ndarray]


def _covariance(a: Sequence[Found], b: Sequence[Found]) -> tuple[float, float]:
    """Covariance of two means over seeds: its part by seeds, and its part by the clusters that seeds share."""
    n = len(a)
    means = np.array([[values.mean() for _, values in of] for of in (a, b)])
    by_seed = float(np.prod(means - means.mean(axis=1, keepdims=True), axis=0).sum() / (n * (n - 1)))
    sums = [[_by_cluster(found) for found in of] for of in (a, b)]
    shared = sum(_shared(sums[0][i], sums[1][j]) for i in range(n) for j in range(n) if i != j)
    clusters = max(2, min(len(names) for names, _ in sums[0]))
    return by_seed, shared / (n * (n - 1)) * clusters / (clusters - 1)


def _by_cluster(found: Found) -> tuple[np.ndarray, np.ndarray]:
    """The clusters of a seed, ascending, and what each adds to the error of its mean."""
    cluster, values = found
    names, where = np.unique(cluster, return_inverse=True)
    return names, np.bincount(where, (values - values.mean()) / len(values))


def _shared(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> float:
    _, ours, theirs = np.intersect1d(a[0], b[0], assume_unique=True, return_indices=True)
    return float(a[1][ours] @ b[1][theirs])


def _t(seeds: Sequence[Found]) -> float:
    clusters = len(np.unique(np.concatenate([cluster for cluster, _ in seeds])))
    return float(student.ppf((1 + LEVEL) / 2, min(len(seeds), clusters) - 1))


def two_way(seeds: Sequence[Found]) -> tuple[float, float, float]:
    """Mean over seeds with the ends of its 95 % interval over new seeds and new items; NaN with one seed."""
    mean = float(np.mean([values.mean() for _, values in seeds]))
    if len(seeds) < 2:
        return mean, np.nan, np.nan
    by_seed, by_item = _covariance(seeds, seeds)
    half = _t(seeds) * np.sqrt(by_seed + max(0, by_item))
    return mean, mean - half, mean + half


def share(raw: Sequence[Found], scaled: Sequence[Found]) -> tuple[float, float, float]:
    """1 - scaled / raw, of the means over seeds, with the ends of Fieller's interval."""
    pairs = [_covariance(raw, raw), _covariance(raw, scaled), _covariance(scaled, scaled)]
    by_seed, by_item = (np.array([[of[0][k], of[1][k]], [of[1][k], of[2][k]]]) for k, of in ((0, pairs), (1, pairs)))
    values, vectors = np.linalg.eigh(by_item)
    v = by_seed + (vectors * np.maximum(values, 0)) @ vectors.T
    r, s = (np.mean([values.mean() for _, values in of]) for of in (raw, scaled))
    # R is inside if (s - R r)² <= t² (v_ss - 2 R v_rs + R² v_rr)
    squared = _t(raw) ** 2
    ends = np.roots([r * r - squared * v[0, 0], -2 * (r * s - squared * v[0, 1]), s * s - squared * v[1, 1]])
    if r * r <= squared * v[0, 0] or np.iscomplex(ends).any():
        return float("nan"), float("nan"), float("nan")
    return float(1 - s / r), float(1 - ends.real.max()), float(1 - ends.real.min())


def paired_t(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean over seeds with the ends of Student's 95 % interval: of numbers that are no mean over items."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return mean, np.nan, np.nan
    half = student.ppf((1 + LEVEL) / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


DRAWS = 2000  # of a bootstrap


def votes_for(
    share: float, votes: Sequence[float], found: Sequence[Sequence[Found]], lower: bool
) -> tuple[float, float, float]:
    """Votes at which a monotone curve, linear in their logarithm, has a share of its gain; ends of its 95 % interval.

    Args:
        votes: ascending, of K points.
        found: of each point, what each seed found.
        lower: whether lower values are better.
    """
    log, sign = np.log(votes), -1 if lower else 1

    def where(means: np.ndarray) -> float:
        curve = isotonic_regression(sign * means).x
        target = curve[0] + share * (curve[-1] - curve[0])
        k = int(np.argmax(curve >= target - 1e-12))
        if k == 0 or curve[k] == curve[k - 1]:
            return float(np.exp(log[k]))
        return float(np.exp(log[k - 1] + (target - curve[k - 1]) / (curve[k] - curve[k - 1]) * (log[k] - log[k - 1])))

    seeds, clusters = len(found[0]), np.unique(np.concatenate([cluster for cluster, _ in found[0]]))
    sums, sizes = np.zeros((len(clusters), len(votes), seeds)), np.zeros((len(clusters), seeds))
    for k, of_point in enumerate(found):
        for s, (cluster, values) in enumerate(of_point):
            np.add.at(sums[:, k, s], np.searchsorted(clusters, cluster), values)
            if k == 0:
                np.add.at(sizes[:, s], np.searchsorted(clusters, cluster), 1)
    rng, drawn = np.random.default_rng(0), []
    for _ in range(DRAWS):
        times = rng.multinomial(len(clusters), np.full(len(clusters), 1 / len(clusters)))
        chosen = rng.integers(0, seeds, seeds)
        means = np.tensordot(times, sums, 1)[:, chosen] / (times @ sizes)[chosen]
        drawn.append(where(means.mean(axis=1)))
    # Means of resampled seeds vary too little, by (S - 1) / S of the variance: further out by the root of that.
    tail = norm.cdf(np.sqrt(seeds / (seeds - 1)) * norm.ppf((1 - LEVEL) / 2))
    centre = where(np.array([np.mean([values.mean() for _, values in of_point]) for of_point in found]))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return centre, float(low), float(high)
