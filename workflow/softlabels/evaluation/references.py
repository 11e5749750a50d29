"""Reference rows: what a number means beside predictors that need no network.

``p`` is the reference float64 ``[N, C]``, ``counts`` the votes int64 ``[N, C]`` that it is the mean of; ``train`` and
``test`` are row indices into both. The truth of an item is its most probable class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import xlogy

from .. import io, keyed, registry
from ..errors import UserError
from .divergence import EPS
from .tables import Reference, json_number, read_reference, require_every_class, rows_of, split_items

Scores = dict[str, float]
Score = Callable[[np.ndarray, np.ndarray], Scores]  # (reference [n, C], prediction [n, C]) -> metrics by name


def run(config: dict, inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write the reference rows of one split of a data set.

    Args:
        config: ``metrics`` (registered names), ``seed``, ``draws`` of the sampling floor, ``allow_missing_class``.
        inputs: ``reference`` and ``split``.
        outputs: ``references``.
    """
    reference = read_reference(inputs["reference"])
    train, test = (
        rows_of(inputs["reference"], reference.item, split_items(inputs["split"], name)) for name in ("train", "test")
    )
    require_every_class(inputs["split"], reference.p[test], reference.classes, config["allow_missing_class"])
    table = rows(
        config["metrics"], reference.p, vote_counts(inputs["reference"], reference), train, test,
        seed=config["seed"], draws=config["draws"],
    )  # fmt: skip
    io.write_json(
        outputs["references"], {"classes": reference.classes, "eps": EPS, "n_items": len(test), "rows": table}
    )


def vote_counts(path: Path, reference: Reference) -> np.ndarray | None:
    """The votes that the reference is the mean of, int64 ``[N, C]``; None where it is exact."""
    if reference.votes is None:
        return None
    votes = reference.p * reference.votes[:, None]
    counts = np.rint(votes).astype(np.int64)
    bad = np.flatnonzero(np.abs(votes - counts).max(axis=1) > 1e-6)
    if len(bad):
        row = bad[0]
        raise UserError(
            f"{path}: found p {reference.p[row].tolist()} with {reference.votes[row]} votes for item "
            f"{reference.item[row]}, expected p to be counts divided by votes. Correct the source of this data set."
        )
    return counts


def rows(
    metrics: list[str],
    p: np.ndarray,
    counts: np.ndarray | None,
    train: np.ndarray,
    test: np.ndarray,
    *,
    seed: int,
    draws: int,
) -> list[dict[str, Any]]:
    """Every reference row for these items: name, oracle, metrics and details, ready for JSON.

    A row is an oracle where its prediction uses the truth of the test item. The last two rows are there only where
    the reference is made of votes.
    """
    score = scorer(metrics)

    def row(name: str, values: Scores, *, oracle: bool, **details: Any) -> dict[str, Any]:
        numbers = {metric: json_number(value) for metric, value in values.items()}
        return {"name": name, "oracle": oracle, "metrics": numbers, "details": details}

    n_classes = p.shape[1]
    truth = p[test].argmax(axis=1)
    one_hot = np.eye(n_classes)[truth]
    means = class_means(p[train])
    alpha = best_smoothing(p[train])
    smoothed = (1 - alpha) * one_hot + alpha / n_classes
    prior = np.broadcast_to(p[train].mean(axis=0), one_hot.shape)
    table = [
        row("uniform", score(p[test], np.full_like(one_hot, 1 / n_classes)), oracle=False),
        row("prior", score(p[test], prior), oracle=False),
        row("class_mean", score(p[test], means[truth]), oracle=True),
        row("best_smoothing", score(p[test], smoothed), oracle=True, alpha=alpha),
        row("one_hot", score(p[test], one_hot), oracle=True),
    ]
    if counts is None:
        return table

    floor, k = sampling_floor(score, counts, means, train, test, seed, draws)
    first_order = ((counts[test] > 0).sum(axis=1) - 1) / (2 * counts[test].sum(axis=1))
    table.append(row("sampling_floor", floor, oracle=True, k=k, draws=draws, first_order_kl=float(first_order.mean())))

    agreement, directions, n_items = split_half(score, counts, test, seed)
    table.append(row("split_half", agreement, oracle=True, directions=directions, n_items=n_items))
    return table


def scorer(metrics: Sequence[str]) -> Score:
    """A function that scores predictions by registered metrics."""
    functions = {name: registry.load("metric", name) for name in metrics}

    def score(reference: np.ndarray, prediction: np.ndarray) -> Scores:
        with np.errstate(divide="ignore"):  # a prediction of 0 has the logarithm -inf
            log_prediction = np.log(prediction)
        return {name: function(reference, log_prediction) for name, function in functions.items()}

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
    """What a perfect model would score, because an item's n votes are a sample.

    The perfect model is p~ = (counts + k · class mean) / (n + k); the score is the mean over ``draws`` of p* against
    p~, p* being the shares of n votes drawn from p~. Where k is large it errs upwards, because p~ is smoother than the
    truth; the first-order value (S - 1) / (2n), S being the classes with votes, errs downwards.

    Returns:
        The scores and k.
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
    results = [score(drawn[:, draw] / votes[:, None], perfect) for draw in range(draws)]
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

    Returns:
        The mean of both directions; each direction; the number of items, which are those with two votes or more.
    """
    test = test[counts[test].sum(axis=1) >= 2]
    first, second = (half / half.sum(axis=1, keepdims=True) for half in half_panels(counts[test], test, seed))
    directions = [score(first, second), score(second, first)]
    numbers = [{name: json_number(value) for name, value in direction.items()} for direction in directions]
    return mean_scores(directions), numbers, len(test)


def mean_scores(results: list[Scores]) -> Scores:
    """Mean of each metric over several results."""
    return {name: float(np.mean([result[name] for result in results])) for name in results[0]}
