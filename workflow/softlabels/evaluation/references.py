"""Reference rows: what a number means beside predictors that need no network.

``p`` is the reference float64 ``[N, C]``, ``counts`` the votes int64 ``[N, C]`` that it is the mean of; ``train`` and
``test`` are row indices into both. The truth of an item is its most probable class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import xlogy

from .. import keyed
from ..contracts import STANDARD, Options, Reference, read_reference, read_split, write_rows
from . import aligned
from .aligned import Aligned
from .divergence import EPS

Scores = dict[str, float]
# (items [n], reference [n, C], prediction [n, C], votes behind the reference [n, C] or None) -> metrics by name
Score = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None], Scores]

ORACLES = ("class_mean", "best_smoothing", "one_hot", "sampling_floor", "split_half")  # use the truth of the test item


def run(config: dict, inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write the reference rows of one split of a data set, scored by one set of metrics.

    Args:
        config: ``set``, ``metrics`` (name to options), their ``needs``, ``seed`` and ``draws`` of the sampling floor.
        inputs: ``reference`` and ``split``.
    """
    reference, split = read_reference(inputs["reference"]), read_split(inputs["split"])
    train, test = (reference.rows(split.items(part)) for part in ("train", "test"))
    drawn = {key: config[key] for key in ("seed", "draws", "needs")}
    found = rows(config["metrics"], reference, train, test, **drawn)
    if config["set"] != STANDARD:  # without details
        found = {row: {name: values[name] for name in config["metrics"]} for row, values in found.items()}
    write_rows(outputs["references"], found, ORACLES, reference.classes, EPS)


def rows(
    metrics: Mapping[str, Options], reference: Reference, train: np.ndarray, test: np.ndarray, *, seed: int, draws: int,
    needs: Mapping[str, list[str]] | None = None,
) -> dict[str, Scores]:  # fmt: skip
    """Metrics of every reference row by name and, as ``detail.…``, what else it tells.

    The last two rows are there only where the reference is made of votes.
    """
    score = scorer(metrics, reference.classes, needs)
    p, counts = reference.p, reference.counts
    votes = None if counts is None else counts[test]
    n_classes = p.shape[1]
    truth = p[test].argmax(axis=1)
    one_hot = np.eye(n_classes)[truth]
    means = class_means(p[train])
    alpha = best_smoothing(p[train])
    predictions = {
        "uniform": np.full_like(one_hot, 1 / n_classes),
        "prior": np.broadcast_to(p[train].mean(axis=0), one_hot.shape),
        "class_mean": means[truth],
        "best_smoothing": (1 - alpha) * one_hot + alpha / n_classes,
        "one_hot": one_hot,
    }
    table = {name: score(test, p[test], prediction, votes) for name, prediction in predictions.items()}
    table["best_smoothing"]["detail.alpha"] = alpha
    if counts is None:
        return table

    floor, k = sampling_floor(score, counts, means, train, test, seed, draws)
    first_order = ((votes > 0).sum(axis=1) - 1) / (2 * votes.sum(axis=1))
    details = {"detail.draws": draws, "detail.first_order_kl": first_order.mean(), "detail.k": k}
    table["sampling_floor"] = {**floor, **details}

    agreement, directions, n_items = split_half(score, counts, test, seed)
    table["split_half"] = {**agreement, "detail.n_items": n_items}
    for k, direction in enumerate(directions, start=1):
        if "kl_dcic" in direction:
            table["split_half"][f"detail.kl_dcic_direction_{k}"] = direction["kl_dcic"]
    return table


def scorer(metrics: Mapping[str, Options], classes: list[str], needs: Mapping[str, list[str]] | None = None) -> Score:
    """A function that scores the predictions of test items by some metrics (name to options)."""
    function = aligned.scorer(metrics, needs or {})

    def score(item: np.ndarray, reference: np.ndarray, prediction: np.ndarray, votes: np.ndarray | None) -> Scores:
        with np.errstate(divide="ignore"):  # a prediction of 0 has the logarithm -inf
            log_prediction = np.log(prediction)
        return function(Aligned("test", item, reference, log_prediction, classes, counts=votes))

    return score


def class_means(p: np.ndarray) -> np.ndarray:
    """Mean distribution of the items of each true class, float64 ``[C, C]``; of all items for a class without any."""
    truth = p.argmax(axis=1)
    present = set(truth.tolist())
    return np.stack([p[truth == c].mean(axis=0) if c in present else p.mean(axis=0) for c in range(p.shape[1])])


def best_smoothing(p: np.ndarray) -> float:
    """The amount alpha for which ``(1 - alpha) one_hot(truth) + alpha / C`` has the least mean KL from p.

    The mean KL depends on p only through the mean probability m of the truth, and is least where the smoothed label
    gives the truth just that: 1 - alpha + alpha / C = m.
    """
    n_classes = p.shape[1]
    return float((1 - p.max(axis=1).mean()) * n_classes / (n_classes - 1))


def half_panels(counts: np.ndarray, item: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split each item's votes ``[n, C]`` at random into two panels, of floor(votes / 2) and of the rest."""
    first = np.stack(
        [
            keyed.rng("half panel", seed, i).multivariate_hypergeometric(votes, votes.sum() // 2)
            for i, votes in zip(item.tolist(), counts, strict=True)
        ]
    )
    return first, counts - first


def sampling_floor(
    score: Score, counts: np.ndarray, means: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int, draws: int
) -> tuple[Scores, float]:
    """What a perfect model would score, because an item's n votes are a sample; and the k below.

    The perfect model is p~ = (counts + k · class mean) / (n + k); the score is the mean over ``draws`` of p* against
    p~, p* being the shares of n votes drawn from p~. Where k is large it errs upwards, because p~ is smoother than the
    truth; the first-order value (S - 1) / (2n), S being the classes with votes, errs downwards.
    """
    k = best_prior_votes(counts[train], means, train, seed)
    perfect = shrink(counts[test], means[counts[test].argmax(axis=1)], k)
    votes = counts[test].sum(axis=1)
    drawn = np.stack(
        [
            keyed.rng("sampling floor", seed, i).multinomial(n, q, size=draws)
            for i, n, q in zip(test.tolist(), votes, perfect, strict=True)
        ]
    )
    results = [score(test, drawn[:, draw] / votes[:, None], perfect, drawn[:, draw]) for draw in range(draws)]
    return mean_scores(results), k


def shrink(counts: np.ndarray, mean: np.ndarray, k: float) -> np.ndarray:
    """The distributions ``(counts + k · mean) / (n + k)``, float64 ``[n, C]``."""
    q = counts + k * mean
    return q / q.sum(axis=1, keepdims=True)


def best_prior_votes(counts: np.ndarray, means: np.ndarray, item: np.ndarray, seed: int) -> float:
    """The k in [0.001, 1000] for which one half of each item's votes, shrunk, predicts the other half best."""
    seen, held_out = half_panels(counts, item, seed)
    mean = means[counts.argmax(axis=1)]

    def negative_log_likelihood(log_k: float) -> float:
        return -xlogy(held_out, shrink(seen, mean, np.exp(log_k))).sum()

    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=np.log((1e-3, 1e3))).x))


def split_half(score: Score, counts: np.ndarray, test: np.ndarray, seed: int) -> tuple[Scores, list[Scores], int]:
    """How well two half panels of the same people agree: an agreement, never a floor.

    Returns the mean of both directions, each direction, and the number of items: those with two votes or more.
    """
    test = test[counts[test].sum(axis=1) >= 2]
    panels = half_panels(counts[test], test, seed)
    first, second = (half / half.sum(axis=1, keepdims=True) for half in panels)
    directions = [score(test, first, second, panels[0]), score(test, second, first, panels[1])]
    return mean_scores(directions), directions, len(test)


def mean_scores(results: list[Scores]) -> Scores:
    """Mean of each metric over several results."""
    return {name: float(np.mean([result[name] for result in results])) for name in results[0]}
