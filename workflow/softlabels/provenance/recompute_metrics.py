"""Every metric once more, by a second implementation: plain NumPy and ``math``, nothing of ``evaluation/``.

``evaluation/metrics`` says where each formula comes from; here they are written again in other terms, so that a mistake
in one of the two shows. All take references p and logarithms of predictions log_q, float64 ``[N, C]``, the metric's
options with the names of the ``classes`` and what is for ``calibration`` (items, references, log_q), and the votes
behind the references, int64 ``[N, C]`` or None; they give None where a metric is not defined.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from .. import keyed

EPS = 1e-5  # of kl_dcic
BINS = 15  # of calibration errors
DIGITS = 12  # of logarithms that are compared
SAME = 1e-12  # confidences this little below the lower end of a bin are in it, entropies this close are equal


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the predicted distributions, float64 ``[N, C]``."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def recall(p: np.ndarray, log_q: np.ndarray) -> list[float | None]:
    """Share of each class's items that are predicted right; None for a class that is no item's truth."""
    truth, predicted = p.argmax(axis=1), log_q.argmax(axis=1)
    right = [predicted[truth == k] == k for k in range(p.shape[1])]
    return [float(of_class.mean()) if len(of_class) else None for of_class in right]


def _mean(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


# -- classes -----------------------------------------------------------------------------------------------------------


def _acc(p, log_q, *_):
    return float((p.argmax(axis=1) == np.exp(log_q).argmax(axis=1)).mean())


def _macro_acc(p, log_q, *_):
    return float(np.mean([value for value in recall(p, log_q) if value is not None]))


def _vote_acc(p, log_q, *_):
    return _mean([float(row[k]) for row, k in zip(p, log_q.argmax(axis=1), strict=True)])


def _confusion(p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Items of each truth (row) and prediction (column), int64 ``[C, C]``."""
    n_classes = p.shape[1]
    pair = p.argmax(axis=1) * n_classes + log_q.argmax(axis=1)
    return np.bincount(pair, minlength=n_classes**2).reshape(n_classes, n_classes)


def _macro_f1(p, log_q, *_):
    """Harmonic mean of precision and recall of each class."""
    table = _confusion(p, log_q).tolist()
    scores = []
    for k, row in enumerate(table):
        truth, predicted = sum(row), sum(other[k] for other in table)
        if truth or predicted:
            precision, found = row[k] / max(predicted, 1), row[k] / max(truth, 1)
            scores.append(2 * precision * found / (precision + found) if row[k] else 0.0)
    return _mean(scores)


def _soft_macro_f1(p, log_q, *_):
    """The sum of two numbers minus their distance is twice the smaller one."""
    q = np.exp(log_q)
    total, apart = (p + q).sum(axis=0), np.abs(p - q).sum(axis=0)
    return _mean([1 - b / a for a, b in zip(total.tolist(), apart.tolist(), strict=True) if a > 0])


def _three(p: np.ndarray) -> np.ndarray:
    """The largest three masses of each item in descending order, float64 ``[N, 3]``; of two classes the third is 0."""
    return np.sort(np.pad(p, ((0, 0), (0, 1))), axis=1)[:, :-4:-1]


def _first_two(log_q: np.ndarray) -> np.ndarray:
    """The two most probable classes, int ``[N, 2]``; of equal ones the lower comes first."""
    return np.argsort(-log_q, axis=1, kind="stable")[:, :2]


def _second_best_acc(p, log_q, *_):
    first, second, third = _three(p).T
    told = (first > second) & (second > third)
    right = (p[told] == second[told, None]).argmax(axis=1) == _first_two(log_q[told])[:, 1]
    return _mean(right.tolist())


def _top2_set(p, log_q, *_):
    _, second, third = _three(p).T
    told = second > third
    in_set = p[told] >= second[told, None]
    return _mean(np.take_along_axis(in_set, _first_two(log_q[told]), axis=1).mean(axis=1).tolist())


# -- distances ---------------------------------------------------------------------------------------------------------


def _kl(p, log_q, *_):
    mass = p > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p = np.where(mass, np.log(p), 0.0)
        return float(np.where(mass, p * (log_p - log_q), 0.0).sum(axis=1).mean())


def _kl_dcic(p, log_q, *_):
    p, q = np.clip(p, EPS, 1 - EPS), np.clip(np.exp(log_q), EPS, 1 - EPS)
    return float((p * np.log(p / q)).sum(axis=1).mean())


def _ce(p, log_q, *_):
    with np.errstate(invalid="ignore"):
        return float(-np.where(p > 0, p * log_q, 0.0).sum(axis=1).mean())


def _tvd(p, log_q, *_):
    return float(np.abs(p - np.exp(log_q)).sum(axis=1).mean() / 2)


def _js(p, log_q, *_):
    """The mean of the Kullback-Leibler divergences to the middle."""
    q = np.exp(log_q)
    with np.errstate(divide="ignore"):
        log_middle = np.log((p + q) / 2)
        return (_kl(p, log_middle) + _kl(q, log_middle)) / 2


def _brier(p, log_q, *_):
    return float(np.linalg.norm(p - np.exp(log_q)) ** 2 / len(p))


def _brier_unbiased(p, log_q, options, counts=None):
    """The squared distance from the votes' shares, less the variance of these, which n - 1 votes tell."""
    votes = counts.sum(axis=1)
    counts, q, votes = counts[votes > 1], np.exp(log_q[votes > 1]), votes[votes > 1, None]
    shares = counts / votes
    score = (q - shares) ** 2 - shares * (1 - shares) / (votes - 1)
    return float(score.sum() / len(votes)) if len(votes) else None


def _chebyshev(p, log_q, *_):
    return float(np.linalg.norm(np.exp(log_q) - p, ord=np.inf, axis=1).mean())


def _relative(p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Difference over sum of each class, float64 ``[N, C]``; 0 where a class has no mass in either."""
    q = np.exp(log_q)
    return (p - q) / np.where((p > 0) | (q > 0), p + q, 1)


def _clark(p, log_q, *_):
    return float(np.linalg.norm(_relative(p, log_q), axis=1).mean())


def _canberra(p, log_q, *_):
    return float(np.linalg.norm(_relative(p, log_q), ord=1, axis=1).mean())


def _cosine(p, log_q, *_):
    p, q = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (p, np.exp(log_q)))
    return float(np.einsum("nk,nk->n", p, q).mean())


# -- confidence --------------------------------------------------------------------------------------------------------


def _entropies(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)


def _entropy_difference(p, log_q, *_):
    return float(_entropies(np.exp(log_q)).mean() - _entropies(p).mean())


def _entropy_correlation(p, log_q, *_):
    pair = np.stack([_entropies(p), _entropies(np.exp(log_q))])
    if (pair.max(axis=1) - pair.min(axis=1)).min() <= SAME:
        return None
    return float(np.corrcoef(pair)[0, 1])


def _calibration_error(confidence: np.ndarray, accuracy: np.ndarray) -> float:
    """Mean accuracy against mean confidence of the items in each bin ``[k / 15, (k + 1) / 15)``; 1 has its own."""
    error = 0.0
    number = np.floor((confidence + SAME) * BINS).astype(int)
    for k in np.unique(number):
        inside = number == k
        error += inside.mean() * abs(accuracy[inside].mean() - confidence[inside].mean())
    return float(error)


def _confidence(log_q: np.ndarray) -> np.ndarray:
    return np.minimum(np.exp(log_q).max(axis=1), 1)


def _ece(p, log_q, *_):
    return _calibration_error(_confidence(log_q), p.argmax(axis=1) == log_q.argmax(axis=1))


def _soft_ece(p, log_q, *_):
    chosen = np.eye(p.shape[1])[log_q.argmax(axis=1)]
    return _calibration_error(_confidence(log_q), (p * chosen).sum(axis=1))


def _soft_ece_calibrated(p, log_q, _, counts=None):
    confidence, votes = _confidence(log_q), np.ones(len(p), int) if counts is None else counts.sum(axis=1)
    rng = keyed.rng("calibrated votes", 0)
    errors = []
    for _ in range(20):
        errors.append(_calibration_error(confidence, rng.binomial(votes, confidence) / votes))
    return _mean(errors)


# -- one class, ordered classes, errors by confidence ------------------------------------------------------------------


def _true(p: np.ndarray, options: Mapping[str, Any]) -> np.ndarray:
    """The shares of an item's votes, or 1 for the class that has most of them, float64 ``[N, C]``."""
    return p if options["truth"] == "votes" else np.eye(p.shape[1])[p.argmax(axis=1)]


def _errors(p, log_q, options) -> tuple[list[float], list[float]]:
    """Confidence and error of each item."""
    chosen, right = log_q.argmax(axis=1), _true(p, options)
    return log_q.max(axis=1).round(DIGITS).tolist(), [1 - float(row[k]) for row, k in zip(right, chosen, strict=True)]


def _area(confidence: list[float], error: list[float]) -> float:
    """Of tied items each has their mean error, so that their order does not matter."""
    tied: dict[float, list[float]] = {}
    for sure, wrong in zip(confidence, error, strict=True):
        tied.setdefault(sure, []).append(wrong)
    total, k, area = 0.0, 0, 0.0
    for sure in sorted(tied, reverse=True):
        for _ in tied[sure]:
            total, k = total + math.fsum(tied[sure]) / len(tied[sure]), k + 1
            area += total / k
    return area / k


def _aurc(p, log_q, options, *_):
    return _area(*_errors(p, log_q, options))


def _e_aurc(p, log_q, options, *_):
    confidence, error = _errors(p, log_q, options)
    return _area(confidence, error) - _area([-wrong for wrong in error], error)


def _roc(right: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Shares of the negative and of the positive mass at or above each score, descending, from 0 to 1."""
    hits, alarms = [0.0], [0.0]
    for threshold in np.unique(score)[::-1]:
        above = score >= threshold
        hits.append(float(right[above].sum()))
        alarms.append(float((1 - right)[above].sum()))
    if not hits[-1] or not alarms[-1]:
        return None
    return np.array(alarms) / alarms[-1], np.array(hits) / hits[-1]


def _curves(p, log_q, options) -> list[tuple[np.ndarray, np.ndarray] | None]:
    """The curve of the positive class, or of every class."""
    right, named = _true(p, options), options["positive"]
    wanted = range(p.shape[1]) if named is None else [options["classes"].index(named)]
    return [_roc(right[:, k], log_q[:, k].round(DIGITS)) for k in wanted]


def _auroc(p, log_q, options, *_):
    """By trapezia."""
    curves = [curve for curve in _curves(p, log_q, options) if curve is not None]
    return _mean([float(np.trapezoid(hits, alarms)) for alarms, hits in curves])


def _sensitivity_at_specificity(p, log_q, options, *_):
    (curve,) = _curves(p, log_q, options)
    if curve is None:
        return None
    alarms, hits = curve
    return float(hits[1 - alarms >= options["specificity"] - SAME].max())


def _places(options: Mapping[str, Any]) -> np.ndarray:
    """The place of each class in their order, int ``[C]``."""
    order = options["order"] or options["classes"]
    return np.array([order.index(name) for name in options["classes"]])


def _quadratic_kappa(p, log_q, options, *_):
    """By the table of true and predicted classes."""
    place, n = _places(options), len(p)
    chosen = np.eye(p.shape[1])[log_q.argmax(axis=1)]
    found = _true(p, options).T @ chosen / n
    cost = (place[:, None] - place[None]) ** 2
    chance = float((cost * np.outer(found.sum(axis=1), found.sum(axis=0))).sum())
    return 1 - float((cost * found).sum()) / chance if chance > SAME else None


def _wasserstein(p, log_q, options, *_):
    """What crosses each border between neighbours."""
    place, apart = _places(options), p - np.exp(log_q)
    return _mean([float(sum(abs(row[place < k].sum()) for k in range(1, len(place)))) for row in apart])


# -- label sets --------------------------------------------------------------------------------------------------------


def _in_set(log_q: np.ndarray, options: Mapping[str, Any]) -> np.ndarray:
    """Which classes have, by 1 - q, at most the error that most votes drawn for the calibration items have."""
    item, p, known = options["calibration"]
    errors = []
    for number, shares, row in zip(item, p, known.round(DIGITS), strict=True):
        point = keyed.rng("label set vote", options["seed"], int(number)).random() * math.fsum(shares)
        errors.append(-row[next(k for k in range(len(shares)) if math.fsum(shares[: k + 1]) > point)])
    within = math.ceil((len(errors) + 1) * Fraction(str(options["coverage"])))
    most = sorted(errors)[within - 1] if within <= len(errors) else math.inf
    return -log_q.round(DIGITS) <= most


def _votes_of(p: np.ndarray, counts: np.ndarray | None, agreement: str) -> np.ndarray:
    """The share of an item's votes for a class that a stratum has, by the votes that remain without one of them."""
    if agreement == "all":
        return p
    found = p.copy()
    for row, k in np.ndindex(p.shape):
        rest = p[row] > 1 - 1e-9 if counts is None else counts[row] - np.eye(p.shape[1], dtype=int)[k]
        told = counts is None or rest.sum() >= 2
        unanimous = rest.any() if counts is None else rest.max() == rest.sum()
        if not told or unanimous != (agreement == "unanimous"):
            found[row, k] = 0
    return found


def _label_set_coverage(p, log_q, options, counts=None):
    weight = _votes_of(p, counts, options["agreement"])
    return float(weight[_in_set(log_q, options)].sum() / weight.sum()) if weight.any() else None


def _label_set_size(p, log_q, options, counts=None):
    weight = _votes_of(p, counts, options["agreement"]).sum(axis=1)
    return float(np.average(_in_set(log_q, options).sum(axis=1), weights=weight)) if weight.any() else None


# (references, predictions, options, votes or None) -> the metric, or None; by its kind
Metric = Callable[..., float | None]
METRICS: dict[str, Metric] = {
    "acc": _acc,
    "auroc": _auroc,
    "aurc": _aurc,
    "brier": _brier,
    "brier_unbiased": _brier_unbiased,
    "canberra": _canberra,
    "ce": _ce,
    "chebyshev": _chebyshev,
    "clark": _clark,
    "cosine": _cosine,
    "e_aurc": _e_aurc,
    "ece": _ece,
    "entropy_correlation": _entropy_correlation,
    "entropy_difference": _entropy_difference,
    "js": _js,
    "kl": _kl,
    "kl_dcic": _kl_dcic,
    "label_set_coverage": _label_set_coverage,
    "label_set_size": _label_set_size,
    "macro_acc": _macro_acc,
    "macro_f1": _macro_f1,
    "quadratic_kappa": _quadratic_kappa,
    "second_best_acc": _second_best_acc,
    "sensitivity_at_specificity": _sensitivity_at_specificity,
    "soft_ece": _soft_ece,
    "soft_ece_calibrated": _soft_ece_calibrated,
    "soft_macro_f1": _soft_macro_f1,
    "top2_set": _top2_set,
    "tvd": _tvd,
    "vote_acc": _vote_acc,
    "wasserstein": _wasserstein,
}
