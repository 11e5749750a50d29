"""The numbers of a study once more, by a second implementation: plain NumPy and ``math``, nothing of ``evaluation/``.

``evaluation/`` says where each formula comes from; here they are written again, so that a mistake in one of the two
shows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..contracts import STANDARD, Scores, file_of
from ..studies import paper

EPS = 1e-5  # of kl_dcic

# data set, split, recipe, label, metric, kind, versus, statistic: what names one number of a ledger
KEY = ("dataset", "split", "recipe", "label", "metric", "kind", "versus", "statistic")


class Number(NamedTuple):
    """A number that a ledger should hold.

    Attributes:
        value: the number.
        n: how many numbers it is made of.
        sources: names of the runs (or draws of reference rows) that these come from.
        paper_difference: the mean minus the paper's, where the paper has one.
    """

    value: float
    n: int
    sources: tuple[str, ...] = ()
    paper_difference: float | None = None


# -- statistics --------------------------------------------------------------------------------------------------------


def mean_and_std(values: list[float], ddof: int) -> tuple[float, float | None]:
    """Mean and standard deviation with divisor ``n - ddof``; no deviation of one or of infinite numbers."""
    mean = math.fsum(values) / len(values)
    if len(values) == 1 or not math.isfinite(mean):
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - ddof))


def student_t(level: float, freedom: int) -> float:
    """The t that a Student variable stays below in absolute value with probability ``level``.

    P(|T| > t) = I_x(freedom / 2, 1 / 2) with x = freedom / (freedom + t²); x is found by bisection.
    """
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        if incomplete_beta(freedom / 2, 0.5, middle) < 1 - level:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom * (1 - low) / low)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22)."""
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    if x == 0:
        return 0.0
    factor = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    fraction = 1.0
    for k in range(300, 0, -1):  # far more terms than double precision needs here
        m = k // 2
        if k % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        fraction = 1 + term / fraction
    return factor / fraction


# -- metrics -----------------------------------------------------------------------------------------------------------


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the predicted distributions, float64 ``[N, C]``."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def recall(p: np.ndarray, log_q: np.ndarray) -> list[float | None]:
    """Share of each class's items that are predicted right; None for a class that is no item's truth."""
    truth, predicted = p.argmax(axis=1), log_q.argmax(axis=1)
    return [
        float((predicted[truth == k] == k).mean()) if (truth == k).any() else None for k in range(p.shape[1])
    ]  # fmt: skip


def _macro_acc(p: np.ndarray, log_q: np.ndarray, options: Mapping[str, Any]) -> float:
    recalls = [value for value in recall(p, log_q) if value is not None]
    return math.fsum(recalls) / len(recalls)


def _acc(p: np.ndarray, log_q: np.ndarray, options: Mapping[str, Any]) -> float:
    return float((p.argmax(axis=1) == np.exp(log_q).argmax(axis=1)).mean())


def _kl(p: np.ndarray, log_q: np.ndarray, options: Mapping[str, Any]) -> float:
    mass = p > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p = np.where(mass, np.log(p), 0.0)
        return float(np.where(mass, p * (log_p - log_q), 0.0).sum(axis=1).mean())


def _kl_dcic(p: np.ndarray, log_q: np.ndarray, options: Mapping[str, Any]) -> float:
    p, q = np.clip(p, EPS, 1 - EPS), np.clip(np.exp(log_q), EPS, 1 - EPS)
    return float((p * np.log(p / q)).sum(axis=1).mean())


def _ce(p: np.ndarray, log_q: np.ndarray, options: Mapping[str, Any]) -> float:
    with np.errstate(invalid="ignore"):
        return float(-np.where(p > 0, p * log_q, 0.0).sum(axis=1).mean())


def _tvd(p: np.ndarray, log_q: np.ndarray, options: Mapping[str, Any]) -> float:
    return float(np.abs(p - np.exp(log_q)).sum(axis=1).mean() / 2)


# (references p [N, C], predictions log_q [N, C], options) -> the metric, by its kind
Metric = Callable[[np.ndarray, np.ndarray, Mapping[str, Any]], float]
METRICS: dict[str, Metric] = {
    "macro_acc": _macro_acc,
    "acc": _acc,
    "kl": _kl,
    "kl_dcic": _kl_dcic,
    "ce": _ce,
    "tvd": _tvd,
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

Runs = Mapping[str, Mapping[str, Scores]]  # by name of the run, and by set of metrics
Draws = Mapping[str, Mapping[str, Mapping[str, Scores]]]  # by name of the draw of a split, set of metrics, and row


def blocks(config: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Every (data set, split, recipe) of a study."""
    return list(itertools.product(config["datasets"], config["splits"], config["recipes"]))


def run_names(config: Mapping[str, Any], block: tuple[str, ...], label: str) -> list[str]:
    """The runs of a label, a seed each, such as ``synthetic/random/compact/soft/seed0``."""
    return ["/".join([*block, label, f"seed{seed}"]) for seed in config["seeds"]]


def draw_names(config: Mapping[str, Any], dataset: str, split: str) -> list[str]:
    """The draws of a split, such as ``synthetic/random/seed0``."""
    return [f"{dataset}/{split}/seed{seed}" for seed in config["seeds"]]


def ledger(config: Mapping[str, Any], runs: Runs, references: Draws) -> dict[tuple, Number]:
    """Every number that the ledger of a study should hold, by ``KEY``.

    Args:
        config: ``config.json`` of the study.
        runs: the scores of each run.
        references: the reference rows of each draw of a split.
    """
    numbers: dict[tuple, Number] = {}
    for block in blocks(config):
        for label in config["labels"]:
            names = run_names(config, block, label)
            published = _published(config, block[0], label)
            for metric, values in _columns({name: _measured(config, runs[name]) for name in names}).items():
                key = (*block, label, metric, "measured", None)
                numbers.update(_over_seeds(key, values, config["ddof"], published.get(metric)))
            scaled = {name: _scaled(config, runs[name]) for name in names}
            for metric, values in _columns(scaled).items():
                key = (*block, f"{label} + temperature", metric, "reference", None)
                numbers.update(_over_seeds(key, values, config["ddof"]))
            if label != config["baseline"]:
                baseline = run_names(config, block, config["baseline"])
                for metric in config["metrics"]:
                    key = (*block, label, metric, "difference", config["baseline"])
                    numbers.update(_difference(key, runs, names, baseline, metric, config["level"]))
    for dataset, split in itertools.product(config["datasets"], config["splits"]):
        rows = {
            name: {label: _reference(config, references[name], label) for label in references[name][STANDARD]}
            for name in draw_names(config, dataset, split)
        }
        for label in dict.fromkeys(label for of_draw in rows.values() for label in of_draw):
            columns = _columns({name: of_draw[label] for name, of_draw in rows.items() if label in of_draw})
            for metric, values in columns.items():
                key = (dataset, split, None, label, metric, "reference", None)
                numbers.update(_over_seeds(key, values, config["ddof"]))
    for dataset, label in itertools.product(config["datasets"], config["labels"]):
        for metric, pair in _published(config, dataset, label).items():
            if metric in config["metrics"]:
                key = (dataset, None, None, label, metric, "paper", None)
                numbers.update(
                    {(*key, name): Number(x, paper.SPLITS) for name, x in zip(("mean", "std"), pair, strict=True)}
                )
    return numbers


def _published(config: Mapping[str, Any], dataset: str, label: str) -> Mapping[str, tuple[float, float]]:
    return paper.numbers(config["datasets"][dataset]["paper"], config["labels"][label])


def _columns(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Metric to run to number, without those that there are not."""
    columns: dict[str, dict[str, float]] = {}
    for name, row in rows.items():
        for metric, value in row.items():
            if value is not None:
                columns.setdefault(metric, {})[name] = float(value)
    return columns


def _measured(config: Mapping[str, Any], sets: Mapping[str, Scores]) -> dict[str, Any]:
    standard = sets[STANDARD]
    names = [*config["metrics"], *(f"recall.{name}" for name in standard.classes), *standard.metrics("structure.")]
    names += ["n_items", "n_classes_present", "ties", "tie_credit_acc"]
    return {name: file_of(sets, name).value(name) for name in names}


def _scaled(config: Mapping[str, Any], sets: Mapping[str, Scores]) -> dict[str, Any]:
    return {name: file_of(sets, name).value(name, "temperature") for name in ("temperature", *config["metrics"])}


def _reference(config: Mapping[str, Any], sets: Mapping[str, Mapping[str, Scores]], label: str) -> dict[str, Any]:
    names = [*config["metrics"], *sets[STANDARD][label].metrics("detail.")]
    return {name: file_of(sets, name)[label].value(name) for name in names}


def _over_seeds(
    key: tuple, values: Mapping[str, float], ddof: int, published: tuple[float, float] | None = None
) -> Iterator[tuple[tuple, Number]]:
    mean, std = mean_and_std(list(values.values()), ddof)
    sources = tuple(values)
    yield (*key, "mean"), Number(mean, len(values), sources, mean - published[0] if published else None)
    if std is not None:
        yield (*key, "std"), Number(std, len(values), sources)


def _difference(
    key: tuple, runs: Runs, names: list[str], baseline: list[str], metric: str, level: float
) -> Iterator[tuple[tuple, Number]]:
    sides = [[file_of(runs[name], metric).value(metric) for name in side] for side in (names, baseline)]
    if None in sides[0] + sides[1]:
        return
    differences = [a - b for a, b in zip(*sides, strict=True)]
    if any(math.isnan(difference) for difference in differences):  # two infinite divergences have none
        return
    mean, std = mean_and_std(differences, 1)
    sources = (*names, *baseline)
    yield (*key, "mean"), Number(mean, len(names), sources)
    if std is not None:
        half = student_t(level, len(names) - 1) * std / math.sqrt(len(names))
        yield (*key, "std"), Number(std, len(names), sources)
        yield (*key, "low"), Number(mean - half, len(names), sources)
        yield (*key, "high"), Number(mean + half, len(names), sources)
