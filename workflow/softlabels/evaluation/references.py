"""Reference rows: what a number means beside predictors that need no network.

``p`` is the reference float64 ``[N, C]``, ``counts`` the votes int64 ``[N, C]`` that it is the mean of; ``train`` and
``test`` are row indices into both. The truth of an item is its most probable class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, gammaln, logit, xlog1py, xlogy

from .. import keyed
from ..contracts import STANDARD, Options, Reference, read_exact, read_reference, read_split, write_rows
from . import aligned
from .aligned import Aligned
from .divergence import EPS
from .left_out import Panels, left_out, read_panels

Scores = dict[str, float]
# (items [n], reference [n, C], prediction [n, C], votes behind the reference [n, C] or None) -> metrics by name
Score = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None], Scores]

# Rows that use the truth or the votes of the test item.
ORACLES = ("class_mean", "best_smoothing", "one_hot", "exact", "sampling_floor", "panel", "split_half")
STRENGTHS = (1e-3, 1e3)  # between which the strength of a smoothing is looked for, in votes
FLOOR_PEOPLE = 5  # so many people an item at least, or the ends of the floor's bracket lie too far apart
BINS, WIDEST = 2, 40  # bins of predicted probabilities: in a unit of log-odds, and from 0 to both sides
ROUNDING = 1e-9  # relative, of sums that are equal on paper
GRID = np.concatenate([[0.0], expit(np.linspace(-20, 20, 801)), [1.0]])  # probabilities at which a floor is computed


def run(config: dict, inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write the reference rows of one split of a data set, scored by one set of metrics.

    Args:
        config: ``set``, ``metrics`` (name to options), their ``needs``, and ``seed`` of the half panels.
        inputs: ``reference``, ``annotations`` (read where the reference is made of votes) and ``split``.
    """
    reference, split = read_reference(inputs["reference"]), read_split(inputs["split"])
    train, test = (reference.rows(split.items(part)) for part in ("train", "test"))
    panels = None if reference.votes is None else read_panels(inputs["annotations"], reference)
    exact = None if panels is None else read_exact(inputs["reference"])
    seed, needs = config["seed"], config["needs"]
    found, absent = rows(config["metrics"], reference, train, test, seed=seed, needs=needs, panels=panels, exact=exact)
    if config["set"] != STANDARD:  # without details
        found = {row: {name: values[name] for name in config["metrics"]} for row, values in found.items()}
    write_rows(outputs["references"], found, ORACLES, reference.classes, EPS, absent)


def rows(
    metrics: Mapping[str, Options], reference: Reference, train: np.ndarray, test: np.ndarray, *, seed: int,
    needs: Mapping[str, list[str]] | None = None, panels: Panels | None = None, exact: np.ndarray | None = None,
) -> tuple[dict[str, Scores], dict[str, str]]:  # fmt: skip
    """Metrics of every reference row by name and, as ``detail.…``, what else it tells; and why rows are absent.

    ``panels`` are the votes that the reference is made of, None where it is exact. With votes there are further rows:

    ``exact``           the distributions ``exact`` that the votes were drawn from, where a generator knows them, or
    ``sampling_floor``  else, what is known of their KL
    ``panel``           an item's other votes as the prediction of each vote
    ``split_half``      one half of an item's votes as the prediction of the other

    A metric that a row does not have is NaN there.
    """
    score = scorer(metrics, reference.classes, needs)
    p = reference.p
    votes = None if panels is None else panels.counts[test]
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
    if exact is not None:
        predictions["exact"] = exact[test]
    table = {name: score(test, p[test], prediction, votes) for name, prediction in predictions.items()}
    table["best_smoothing"]["detail.alpha"] = alpha
    absent = {}
    if panels is not None:
        found, absent = rows_of_votes(score, panels.of(train), panels.of(test), test, seed, exact is not None)
        table |= found
    nothing = dict.fromkeys(metrics, np.nan)
    return {name: {**nothing, **values} for name, values in table.items()}, absent


def rows_of_votes(
    score: Score, train: Panels, test: Panels, item: np.ndarray, seed: int, drawn: bool
) -> tuple[dict[str, Scores], dict[str, str]]:
    """The rows that only a reference made of votes has, and why others are absent.

    Args:
        score: see :data:`Score`.
        train, test: the votes on the items of both parts.
        item: the test items' numbers, int ``[n]``.
        seed: of the half panels.
        drawn: whether the distributions that votes were drawn from are known, and are the floor.
    """
    table, absent = {}, {}
    few = (test.people < FLOOR_PEOPLE).any()
    others = Others.fit(train)
    if others is None:
        why = "no training item has votes of two people, so how to predict one from the others cannot be learned"
        absent |= {"panel": why} if drawn else {"sampling_floor": why, "panel": why}
    else:
        if few and not drawn:
            absent["sampling_floor"] = (
                f"some test items have votes of fewer than {FLOOR_PEOPLE} people, which tell too little"
            )
        elif not drawn:
            table["sampling_floor"] = sampling_floor(others, test)
        if test.repeated.any():
            table["panel"] = panel(others, test)
        else:
            absent["panel"] = "no test item has votes of two people, so that one could be predicted from the others"
    if (test.counts.sum(axis=1) >= 2).any():
        agreement, directions, n_items = split_half(score, test.counts, item, seed)
        table["split_half"] = {**agreement, "detail.n_items": n_items}
        for k, direction in enumerate(directions, start=1):
            if "kl_dcic" in direction:
                table["split_half"][f"detail.kl_dcic_direction_{k}"] = direction["kl_dcic"]
    else:
        absent["split_half"] = "no test item has two votes, so there are no halves to compare"
    return table, absent


def scorer(metrics: Mapping[str, Options], classes: list[str], needs: Mapping[str, list[str]] | None = None) -> Score:
    """A function that scores the predictions of test items by some metrics (name to options)."""
    function = aligned.scorer(metrics, needs or {})

    def score(item: np.ndarray, reference: np.ndarray, prediction: np.ndarray, votes: np.ndarray | None) -> Scores:
        with np.errstate(divide="ignore"):  # a prediction of 0 has the logarithm -inf
            log_prediction = np.log(prediction)
        found = function(Aligned("test", item, reference, log_prediction, classes, counts=votes))
        return {name: float(np.mean(value)) for name, value in found.items()}  # of the items, where it has their values

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


@dataclass(frozen=True)
class Others:
    """A prediction of a vote from an item's other votes: (others + k · mean) / (number of others + k).

    The mean is that of the class which most others vote for, or of all items where the top is tied. This is the
    posterior mean under a Dirichlet distribution of the strength k, in votes.
    """

    overall: np.ndarray  # mean distribution of the training items, float64 [C]
    of_class: np.ndarray  # of those of each class, float64 [C, C]
    k: float

    @classmethod
    def fit(cls, train: Panels) -> Others | None:
        """Means of the training items, and the k in STRENGTHS with the least cross-entropy from left-out votes.

        An item counts in the mean of its most probable class, in equal shares where several tie. Each class has one
        more item, with the overall mean, and this one with the uniform distribution: no vote is impossible. None where
        no item has two people.
        """
        if not train.repeated.any():
            return None
        votes = train.counts.sum(axis=1, keepdims=True)
        p = train.counts / votes
        overall = (p.sum(axis=0) + 1 / p.shape[1]) / (len(p) + 1)
        top = top_shares(p)
        of_class = (top.T @ p + overall) / (top.sum(axis=0)[:, None] + 1)
        others = cls(overall, of_class, np.nan)
        pieces = []
        for _, left, rest, weight in left_out(train):
            unit, label = np.nonzero(left)  # the votes themselves: an array [votes] stays, none [votes, classes]
            share = weight[unit] * left[unit, label] / left.sum(axis=1)[unit]
            pieces.append((share, rest[unit, label], others.mean(rest)[unit, label], rest.sum(axis=1)[unit]))
        share, same, mean, n = map(np.concatenate, zip(*pieces, strict=True))

        def cross_entropy(log_k: float) -> float:
            k = np.exp(log_k)
            return -(share * np.log((same + k * mean) / (n + k))).sum()

        k = float(np.exp(minimize_scalar(cross_entropy, bounds=np.log(STRENGTHS)).x))
        return cls(overall, of_class, k)

    def mean(self, rest: np.ndarray) -> np.ndarray:
        """What the others ``[u, C]`` are smoothed towards, float64 ``[u, C]``."""
        tied = (rest == rest.max(axis=1, keepdims=True)).sum(axis=1) > 1
        return np.where(tied[:, None], self.overall, self.of_class[rest.argmax(axis=1)])

    def predict(self, rest: np.ndarray) -> np.ndarray:
        """The distributions of a further vote, float64 ``[u, C]``, given the others int64 ``[u, C]``."""
        return (rest + self.k * self.mean(rest)) / (rest.sum(axis=1, keepdims=True) + self.k)


def top_shares(p: np.ndarray) -> np.ndarray:
    """One for the largest entry of each row, in equal shares where several are (but for rounding): float ``[n, C]``."""
    top = p >= p.max(axis=1, keepdims=True) * (1 - ROUNDING)
    return top / top.sum(axis=1, keepdims=True)


def panel(others: Others, test: Panels) -> Scores:
    """How well each person's votes are predicted from the item's other votes; items count alike.

    Of items with n people, cross-entropy and accuracy against votes are unbiased for n - 1 people who predict another
    of the same pool: no floor, as a model may know more than n - 1 people, and no ceiling.

    The Bayes error, the least against a vote that anything can have, should lie between ``detail.bayes_error_low``, the
    plug-in 1 - max p, which errs downwards (the largest share of an item's votes is on average above the largest
    probability: Jensen), and ``detail.bayes_error_high``, the panel's own error.
    """
    ce = met = 0.0
    for _, left, rest, weight in left_out(test):
        q, share = others.predict(rest), left * (weight / left.sum(axis=1))[:, None]
        ce -= xlogy(share, q).sum()
        met += (share * top_shares(q)).sum()
    n = int(test.repeated.sum())
    counts, accuracy = test.counts[test.repeated], float(met) / n
    low = 1 - float((counts.max(axis=1) / counts.sum(axis=1)).mean())
    bracket = {"detail.bayes_error_low": low, "detail.bayes_error_high": 1 - accuracy}
    return {"ce": float(ce) / n, "vote_acc": accuracy, **bracket, "detail.k": others.k, "detail.n_items": n}


def sampling_floor(others: Others, test: Panels) -> Scores:
    """Between what ends the KL of the true distributions lies, which is not 0 because an item's n votes are a sample.

    An item's floor is the sum over classes of h(p) = E[x ln x] - p ln p, where n x is binomial(n, p), p being the true
    probability.

    ``detail.first_order_kl``  (S - 1) / (2n) with S classes that have votes (Miller 1955) errs downwards for any p: its
                               expectation, the sum of (1 - (1 - p)^n - p) / (2n), is nowhere above h (a test looks).
    ``kl``                     errs upwards. Left-out votes tell the mean p of the classes that an item's other votes
                               predict with about the same probability. Let H be the least concave function that is
                               nowhere below h: the mean of h(p) is at most H of the mean p (Jensen).

    Votes are taken to be independent draws, one a person, and items with few people to be like those with many: a bin's
    mean p is of all of them. It is estimated, so that both ends are about right rather than bounds; the truth lay
    between them in each of the simulated settings (a test has some).
    """
    n_bins = 2 * BINS * WIDEST + 1
    sizes = np.unique(test.people[test.repeated])
    mass = np.zeros((len(sizes), n_bins))  # of the classes, by number of people and bin
    hits = np.zeros(n_bins)  # of the left-out votes, by bin
    for row, left, rest, weight in left_out(test):
        log_odds = logit(others.predict(rest)).clip(-WIDEST, WIDEST)
        bins = np.rint(BINS * (log_odds + WIDEST)).astype(np.intp)
        cell = np.searchsorted(sizes, test.people[row])[:, None] * n_bins + bins
        share = np.broadcast_to(weight[:, None], bins.shape)
        mass += np.bincount(cell.ravel(), share.ravel(), mass.size).reshape(mass.shape)
        hits += np.bincount(bins.ravel(), (share * left / left.sum(axis=1, keepdims=True)).ravel(), n_bins)
    of_bin = mass.sum(axis=0)
    p = np.divide(hits, of_bin, where=of_bin > 0, out=np.zeros(n_bins))
    upper = sum(of_size @ concave(GRID, expected_term(GRID, n), p) for n, of_size in zip(sizes, mass, strict=True))
    counts = test.counts[test.repeated]
    first_order = ((counts > 0).sum(axis=1) - 1) / (2 * counts.sum(axis=1))
    return {"kl": float(upper) / len(counts), "detail.first_order_kl": float(first_order.mean()), "detail.k": others.k}


def expected_term(p: np.ndarray, n: int) -> np.ndarray:
    """E[x ln x] - p ln p in nats, float64 ``[K]``, where n x is binomial with n draws of probability ``p`` ``[K]``."""
    m = np.arange(n + 1)
    ways = gammaln(n + 1) - gammaln(m + 1) - gammaln(n - m + 1)
    chance = np.exp(ways + xlogy(m, p[:, None]) + xlog1py(n - m, -p[:, None]))
    return chance @ xlogy(m / n, m / n) - xlogy(p, p)


def concave(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The least concave function that is nowhere below the points (x, y), x ascending: its values at ``at``."""
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1:
            a, b = hull[-2:]
            if (y[b] - y[a]) * (x[i] - x[a]) > (y[i] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()  # b lies on or below the line from a to i
        hull.append(i)
    return np.interp(at, x[hull], y[hull])


def split_half(score: Score, counts: np.ndarray, item: np.ndarray, seed: int) -> tuple[Scores, list[Scores], int]:
    """How well two half panels of the same people agree: an agreement, never a floor.

    ``counts`` int ``[n, C]`` are the votes on items int ``[n]``. Returns the mean of both directions, each direction,
    and the number of items: those with two votes or more, of which there must be one.
    """
    kept = counts.sum(axis=1) >= 2
    item = item[kept]
    panels = half_panels(counts[kept], item, seed)
    first, second = (half / half.sum(axis=1, keepdims=True) for half in panels)
    directions = [score(item, first, second, panels[0]), score(item, second, first, panels[1])]
    return mean_scores(directions), directions, len(item)


def mean_scores(results: list[Scores]) -> Scores:
    """Mean of each metric over several results."""
    return {name: float(np.mean([result[name] for result in results])) for name in results[0]}
