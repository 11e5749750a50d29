"""The numbers of a study once more, by a second implementation: plain NumPy and ``math``, nothing of ``evaluation/``.

``evaluation/`` says where each formula comes from; here they are written again, so that a mistake in one of the two
shows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..contracts import STANDARD, Scores, file_of
from ..studies import paper

EPS = 1e-5  # of kl_dcic


class Number(NamedTuple):
    """A number that a ledger should hold."""

    value: float
    n: int  # how many numbers it is made of
    sources: tuple[str, ...] = ()  # names of the runs (or draws of reference rows) that these come from
    paper_difference: float | None = None  # the mean minus the paper's, where the paper has one


# -- statistics --------------------------------------------------------------------------------------------------------


def mean_and_std(values: list[float], ddof: int) -> tuple[float, float | None]:
    """Mean and standard deviation with divisor ``n - ddof``; no deviation of one or of infinite numbers."""
    mean = math.fsum(values) / len(values)
    if len(values) == 1 or not math.isfinite(mean):
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - ddof))


def student_t(level: float, freedom: int) -> float:
    """The t that a Student variable stays below in absolute value with probability ``level``, by bisection.

    With the angle whose tangent is t / √freedom, P(|T| < t) is a finite sum (Abramowitz and Stegun 1964, 26.7.3-4).
    """
    low, high = 0.0, math.pi / 2
    odd = freedom % 2
    while low < (angle := (low + high) / 2) < high:
        term, total = math.cos(angle) ** odd, 0.0
        for k in range(2 + odd, freedom + 1, 2):
            total += term
            term *= math.cos(angle) ** 2 * (k - 1) / k
        inside = math.sin(angle) * total
        if (2 / math.pi * (angle + inside) if odd else inside) < level:
            low = angle
        else:
            high = angle
    return math.sqrt(freedom) * math.tan(low)


# -- metrics -----------------------------------------------------------------------------------------------------------


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the predicted distributions, float64 ``[N, C]``."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def recall(p: np.ndarray, log_q: np.ndarray) -> list[float | None]:
    """Share of each class's items that are predicted right; None for a class that is no item's truth."""
    truth, predicted = p.argmax(axis=1), log_q.argmax(axis=1)
    right = [predicted[truth == k] == k for k in range(p.shape[1])]
    return [float(of_class.mean()) if len(of_class) else None for of_class in right]


def _kl(p: np.ndarray, log_q: np.ndarray) -> float:
    mass = p > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p = np.where(mass, np.log(p), 0.0)
        return float(np.where(mass, p * (log_p - log_q), 0.0).sum(axis=1).mean())


def _kl_dcic(p: np.ndarray, log_q: np.ndarray) -> float:
    p, q = np.clip(p, EPS, 1 - EPS), np.clip(np.exp(log_q), EPS, 1 - EPS)
    return float((p * np.log(p / q)).sum(axis=1).mean())


def _ce(p: np.ndarray, log_q: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        return float(-np.where(p > 0, p * log_q, 0.0).sum(axis=1).mean())


# (references p [N, C], predictions log_q [N, C], options) -> the metric, by its kind; none of these has options
Metric = Callable[[np.ndarray, np.ndarray, Mapping[str, Any]], float]
METRICS: dict[str, Metric] = {
    "macro_acc": lambda p, log_q, _: float(np.mean([value for value in recall(p, log_q) if value is not None])),
    "acc": lambda p, log_q, _: float((p.argmax(axis=1) == np.exp(log_q).argmax(axis=1)).mean()),
    "kl": lambda p, log_q, _: _kl(p, log_q),
    "kl_dcic": lambda p, log_q, _: _kl_dcic(p, log_q),
    "ce": lambda p, log_q, _: _ce(p, log_q),
    "tvd": lambda p, log_q, _: float(np.abs(p - np.exp(log_q)).sum(axis=1).mean() / 2),
}


def reference_predictions(p: np.ndarray, train: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
    """What the reference rows without draws predict for the test items, ``[n_test, C]`` by name."""
    n_classes = p.shape[1]
    truth = p[test].argmax(axis=1)
    truth_in_train = p[train].argmax(axis=1)
    one_hot = np.eye(n_classes)[truth]
    members = [truth_in_train == k if (truth_in_train == k).any() else slice(None) for k in range(n_classes)]
    means = np.stack([p[train][rows].mean(axis=0) for rows in members])
    alpha = (1 - p[train].max(axis=1).mean()) * n_classes / (n_classes - 1)
    return {
        "uniform": np.full_like(one_hot, 1 / n_classes),
        "prior": np.tile(p[train].mean(axis=0), (len(test), 1)),
        "class_mean": means[truth],
        "best_smoothing": (1 - alpha) * one_hot + alpha / n_classes,
        "one_hot": one_hot,
    }


# -- the ledger --------------------------------------------------------------------------------------------------------

Config = Mapping[str, Any]  # ``config.json`` of a study
Runs = Mapping[str, Mapping[str, Scores]]  # by name of the run, and by set of metrics
Draws = Mapping[str, Mapping[str, Mapping[str, Scores]]]  # by name of the draw of a split, set of metrics, and row


class Point(NamedTuple):
    """A point of a study's grid: what rows call it, data set, split and recipe that ran, and labels by their base."""

    block: tuple[str | None, ...]
    ran: tuple[str, ...]
    labels: Mapping[str, str]


def points(config: Config) -> list[Point]:
    """Every point of a study: those that it lists, or all combinations."""
    if "points" not in config:
        same = {label: label for label in config["labels"]}
        grid = itertools.product(config["datasets"], config["splits"], config["recipes"])
        return [Point(names, names, same) for names in grid]
    return [
        Point((*point["base"], *map(point["values"].get, config["varied"])), tuple(point["names"]), point["labels"])
        for point in config["points"]
    ]


def run_names(config: Config, point: Point, label: str) -> list[str]:
    """The runs of a label, a seed each, such as ``synthetic/random/compact/soft/seed0``."""
    return ["/".join([*point.ran, point.labels[label], f"seed{seed}"]) for seed in config["seeds"]]


def draw_names(config: Config, point: Point) -> list[str]:
    """The draws of a split, a seed each, such as ``synthetic/random/seed0``."""
    return ["/".join([*point.ran[:2], f"seed{seed}"]) for seed in config["seeds"]]


def _part(config: Config, point: Point, names: int, *heads: str) -> tuple[str | None, ...]:
    """A block with nothing but its first names and the values of keys that begin with one of these words."""
    kept = [k < names or (k >= 3 and config["varied"][k - 3].startswith(heads)) for k in range(len(point.block))]
    return tuple(value if keep else None for value, keep in zip(point.block, kept, strict=True))


def ledger(config: Config, runs: Runs, references: Draws) -> dict[tuple, Number]:
    """Every number that the ledger of a study should hold, by block, label, metric, kind, versus and
    statistic.

    Args:
        config: ``config.json`` of the study.
        runs: the scores of each run.
        references: the reference rows of each draw of a split.
    """
    numbers: dict[tuple, Number] = {}
    metrics, ddof, baseline = config["metrics"], config["ddof"], config["baseline"]
    grid = points(config)
    for point, label in ((each, label) for each in grid for label in each.labels):
        block, names, published = point.block, run_names(config, point, label), _published(config, point, label)
        measured = {name: _measured(runs[name], metrics) for name in names}
        scaled = {name: _values(runs[name], ("temperature", *metrics), "temperature") for name in names}
        numbers |= _over_seeds((*block, label), "measured", measured, ddof, published)
        numbers |= _over_seeds((*block, f"{label} + temperature"), "reference", scaled, ddof)
        if label != baseline:
            for metric in metrics:
                sides = ({name: runs[name] for name in run_names(config, point, side)} for side in (label, baseline))
                key = (*block, label, metric, "difference", baseline)
                numbers |= _difference(key, *sides, config["level"])
    for block, point in {_part(config, point, 2, "dataset.", "source.", "split."): point for point in grid}.items():
        draws = {name: references[name] for name in draw_names(config, point)}
        for row in dict.fromkeys(row for sets in draws.values() for row in sets[STANDARD]):
            rows = {name: {key: of_set[row] for key, of_set in sets.items()}
                    for name, sets in draws.items() if row in sets[STANDARD]}  # fmt: skip
            values = {name: _values(of_row, (*metrics, *of_row[STANDARD].metrics("detail.")))
                      for name, of_row in rows.items()}  # fmt: skip
            numbers |= _over_seeds((*block, row), "reference", values, ddof)
    for point, label in ((each, label) for each in grid for label in each.labels):
        for metric, pair in _published(config, point, label).items():
            if metric in metrics:
                key = (*_part(config, point, 1, "label."), label, metric, "paper", None)
                numbers |= {(*key, "mean"): Number(pair[0], paper.SPLITS), (*key, "std"): Number(pair[1], paper.SPLITS)}
    return numbers


def _published(config: Config, point: Point, label: str) -> Mapping[str, tuple[float, float]]:
    return paper.numbers(config["datasets"][point.ran[0]]["paper"], config["labels"][point.labels[label]])


def _values(sets: Mapping[str, Scores], names: Iterable[str], scaling: str = "none") -> dict[str, float | None]:
    return {name: file_of(sets, name).value(name, scaling) for name in names}


def _measured(sets: Mapping[str, Scores], metrics: list[str]) -> dict[str, float | None]:
    standard = sets[STANDARD]
    recalls = (f"recall.{name}" for name in standard.classes)
    facts = ("n_items", "n_classes_present", "ties", "tie_credit_acc")
    return _values(sets, (*metrics, *recalls, *standard.metrics("structure."), *facts))


def _over_seeds(
    place: tuple,
    kind: str,
    rows: Mapping[str, Mapping[str, float | None]],
    ddof: int,
    published: Mapping[str, tuple[float, float]] | None = None,
) -> dict[tuple, Number]:
    """Mean and deviation of each metric, over the runs (or draws) for which it is defined."""
    numbers = {}
    for metric in dict.fromkeys(metric for row in rows.values() for metric in row):
        values = {name: float(row[metric]) for name, row in rows.items() if row.get(metric) is not None}
        if not values:
            continue
        mean, std = mean_and_std(list(values.values()), ddof)
        difference = mean - published[metric][0] if metric in (published or ()) else None
        key = (*place, metric, kind, None)
        numbers[*key, "mean"] = Number(mean, len(values), tuple(values), difference)
        if std is not None:
            numbers[*key, "std"] = Number(std, len(values), tuple(values))
    return numbers


def _difference(
    key: tuple, ours: Mapping[str, Mapping[str, Scores]], theirs: Mapping[str, Mapping[str, Scores]], level: float
) -> dict[tuple, Number]:
    """Mean, deviation and interval of the paired differences; none where one of them is not defined."""
    metric = key[-3]
    sides = [[file_of(sets, metric).value(metric) for sets in side.values()] for side in (ours, theirs)]
    if None in sides[0] + sides[1]:
        return {}
    differences = [a - b for a, b in zip(*sides, strict=True)]
    if any(math.isnan(difference) for difference in differences):  # two infinite divergences have none
        return {}
    mean, std = mean_and_std(differences, 1)
    found = {"mean": mean}
    if std is not None:
        half = student_t(level, len(ours) - 1) * std / math.sqrt(len(ours))
        found |= {"std": std, "low": mean - half, "high": mean + half}
    return {(*key, name): Number(value, len(ours), (*ours, *theirs)) for name, value in found.items()}
