"""Who votes on a generated item, and what they answer: models of annotators with known parameters.

An annotator sees one draw of the item's label distribution p and answers through their own confusion matrix M, where
M[k, l] is the probability of the answer l after seeing k; so a vote follows p M (Dawid and Skene, Maximum likelihood
estimation of observer error-rates using the EM algorithm, Applied Statistics 28, 1979, with p in place of one true
class). Errors are uniform where M = a I + (1 - a) / C: with the probability 1 - a the answer is any of the C classes,
whatever was seen; a is the ``accuracy``. The models differ in M:

``ambiguity``       everybody has the same uniform errors; with a = 1 the items' ambiguity alone makes votes differ
``spammer_hammer``  a share of the pool has a = 0, the others as above: Karger, Oh and Shah, Iterative learning for
                    reliable crowdsourcing systems, NIPS 2011
``confusion``       each annotator has a random matrix of their own: Dawid and Skene's model, with random rows as in Kim
                    and Ghahramani, Bayesian classifier combination, AISTATS 2012
``drift``           uniform errors whose a changes linearly from an annotator's first vote to the last: the trend that
                    Donmez, Carbonell and Schneider, A probabilistic framework to learn from multiple annotators with
                    time-varying accuracy, SDM 2010, let vary freely

Draws are keyed by item (who votes, and one uniform number a vote) or by annotator (their parameters, and the order in
which they saw the images).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from .. import keyed
from ..errors import Problems
from .contract import Votes

# The concentration s of a diagonal entry, Beta(s a, s (1 - a)): with a = 0.8 its standard deviation is 0.09.
DIAGONAL_CONCENTRATION = 20.0
# Of the other entries of a row, a symmetric Dirichlet: below 1, so that most errors go to one specific class.
OTHERS_CONCENTRATION = 0.5
DECIMALS = 4  # of the matrices in the notes


def check(source: Mapping[str, Any], problems: Problems) -> None:
    """Note options of voting that contradict each other."""
    votes, pool, complete = source["votes"], source["annotators"], source["complete_annotators"]
    if 0 < pool < votes:
        problems.add(
            f"source.annotators: found {pool}, expected at least source.votes = {votes}, as nobody votes twice "
            f"on an item. Raise annotators, or set it to 0 for anonymous votes."
        )
    if complete > votes:
        problems.add(
            f"source.complete_annotators: found {complete}, expected at most source.votes = {votes}, as each of them "
            f"votes on every item. Raise votes, or lower complete_annotators."
        )
    for key, anonymous in (("annotator_model", "ambiguity"), ("load", "even"), ("complete_annotators", 0)):
        if pool == 0 and source[key] != anonymous:
            problems.add(
                f"source.annotators: found 0 with source.{key} {source[key]}, which is about single annotators; "
                f"expected a pool. Set annotators to its size, or {key} to {anonymous}."
            )


def vote(
    p: np.ndarray, source: Mapping[str, Any], stream: Callable[[int], np.random.Generator]
) -> tuple[Votes, dict[str, Any]]:
    """The votes on N items with the label distributions ``p``, float64 ``[N, C]``, and what annotators are like.

    ``stream`` gives the random numbers of an item. The N x ``votes`` votes have the number of the vote for its
    annotator as time where accuracies drift, and as ``exact`` the mean of p M over those who voted on the item. The
    true parameters are JSON values by the annotator's name, empty where annotators do not differ (``ambiguity``).
    """
    n_items, n_classes = p.shape
    annotator, uniform = cast(n_items, source, stream)
    time = None
    if source["annotator_model"] == "drift":
        begin, end = source["annotator_accuracy"], source["accuracy_at_end"]
        time = turns(annotator, source)
        last = np.maximum(np.bincount(annotator.ravel()) - 1, 1)
        accuracy = begin + (end - begin) * time / last[annotator]  # a line (of one vote: its beginning)
        truths = [{"accuracy": begin, "accuracy_at_end": end}] * source["annotators"]
    else:
        matrices, truths = confusions(source, n_classes)

    label, exact = np.empty_like(annotator), np.empty_like(p)
    for i in range(n_items):
        confusion = matrices[annotator[i]] if time is None else uniform_errors(accuracy[i], n_classes)
        answers = p[i] @ confusion  # of each vote
        label[i], exact[i] = sample(answers, uniform[i]), answers.mean(axis=0)

    names = [f"a{k:03d}" for k in range(source["annotators"])]
    named = pa.DictionaryArray.from_arrays(pa.array(annotator.ravel(), pa.int32()), pa.array(names)) if names else None
    item = np.repeat(np.arange(n_items), source["votes"])
    time = None if time is None else time.ravel().astype(np.float64)
    votes = Votes(item, label.ravel(), named, time=time, exact=exact)
    return votes, dict(zip(names, truths, strict=True)) if truths else {}


def cast(
    n_items: int, source: Mapping[str, Any], stream: Callable[[int], np.random.Generator]
) -> tuple[np.ndarray, np.ndarray]:
    """Who votes on each item (int64, 0 where anonymous), and a uniform number in [0, 1) a vote: two ``[N, votes]``.

    The first ``complete_annotators`` of the pool vote on every item; the others are drawn without replacement, one
    after another, with equal probabilities (``even``) or in proportion to 1 / rank in the pool (``uneven``: Zipf's law,
    a few are busy and many are hardly seen).
    """
    votes, pool, complete = source["votes"], source["annotators"], source["complete_annotators"]
    others = pool - complete
    weight = 1 / np.arange(1, others + 1)
    share = weight / weight.sum() if source["load"] == "uneven" else None
    annotator = np.zeros((n_items, votes), dtype=np.int64)
    uniform = np.empty((n_items, votes))
    annotator[:, :complete] = np.arange(complete)
    for i in range(n_items):
        rng = stream(i)
        uniform[i] = rng.random(votes)
        if votes > complete and pool:
            annotator[i, complete:] = complete + rng.choice(others, votes - complete, replace=False, p=share)
    return annotator, uniform


def sample(p: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """The classes that uniform numbers ``[V]`` fall on in distributions ``[V, C]``: int64 ``[V]``."""
    bound = p.cumsum(axis=1)
    bound /= bound[:, -1:]
    return (bound <= uniform[:, None]).sum(axis=1)


def uniform_errors(accuracy: np.ndarray, n_classes: int) -> np.ndarray:
    """The matrices a I + (1 - a) / C of accuracies ``[K]``: float64 ``[K, C, C]``."""
    a = accuracy[:, None, None]
    return a * np.eye(n_classes) + (1 - a) / n_classes


def confusions(source: Mapping[str, Any], n_classes: int) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The matrix of each annotator, float64 ``[A, C, C]`` (one where votes are anonymous), and their parameters."""
    pool = max(source["annotators"], 1)
    accuracy = np.full(pool, float(source["annotator_accuracy"]))
    if source["annotator_model"] == "confusion":
        draws = [keyed.rng("annotator's confusion", source["seed"], k) for k in range(pool)]
        matrices = np.stack([drawn_confusion(source["annotator_accuracy"], n_classes, rng) for rng in draws])
        return matrices, [{"confusion": matrix.round(DECIMALS).tolist()} for matrix in matrices]
    if source["annotator_model"] == "ambiguity":
        return uniform_errors(accuracy, n_classes), []
    spams = spammers(pool, source["spammer_share"], source["seed"])
    accuracy[spams] = 0
    roles = np.where(spams, "spammer", "hammer").tolist()
    truths = [{"role": role, "accuracy": a} for role, a in zip(roles, accuracy.tolist(), strict=True)]
    return uniform_errors(accuracy, n_classes), truths


def spammers(pool: int, share: float, seed: int) -> np.ndarray:
    """Which annotators spam, bool ``[pool]``: a share of them, to the nearest whole number, anywhere in the pool."""
    rank = keyed.rng("spammers", seed).random(pool).argsort().argsort()
    return rank < round(share * pool)


def drawn_confusion(accuracy: float, n_classes: int, rng: np.random.Generator) -> np.ndarray:
    """A random matrix ``[C, C]``: Beta on the diagonal with the mean ``accuracy``, the rest of a row Dirichlet."""
    diagonal = np.full(n_classes, float(accuracy))
    if 0 < accuracy < 1:  # at both ends there is nothing to draw
        diagonal = rng.beta(DIAGONAL_CONCENTRATION * accuracy, DIAGONAL_CONCENTRATION * (1 - accuracy), n_classes)
    others = rng.dirichlet(np.full(n_classes - 1, OTHERS_CONCENTRATION), n_classes)
    matrix = np.diag(diagonal)
    matrix[~np.eye(n_classes, dtype=bool)] = ((1 - diagonal[:, None]) * others).ravel()
    return matrix


def turns(annotator: np.ndarray, source: Mapping[str, Any]) -> np.ndarray:
    """The number of each vote for its annotator, from 0, in a random order of the images: int64 ``[N, votes]``."""
    turn = np.empty_like(annotator)
    for k in range(source["annotators"]):
        voted = annotator == k
        seen = keyed.rng("annotator's order", source["seed"], k).random(len(annotator))[voted.any(axis=1)]
        turn[voted] = seen.argsort().argsort()
    return turn
