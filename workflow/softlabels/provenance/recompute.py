"""The numbers of a study once more, by a second implementation: plain NumPy and ``math``, nothing of ``evaluation/``.

``evaluation/`` says where each formula comes from; here they are written again, so that a mistake in one of the two
shows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

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


def as_float(value: Any) -> float | None:
    """A number of a JSON file: infinities are the strings "inf" and "-inf" there, null is no number."""
    return None if value is None else float(value)


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


def scores(p: np.ndarray, log_q: np.ndarray) -> dict[str, float]:
    """Every metric that can be written in a line, for references ``p`` and predictions ``exp(log_q)``, ``[N, C]``."""
    mass = p > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p = np.where(mass, np.log(p), 0.0)
        ce = -np.where(mass, p * log_q, 0.0).sum(axis=1)
        kl = np.where(mass, p * (log_p - log_q), 0.0).sum(axis=1)
    q = np.exp(log_q)
    clipped_p, clipped_q = np.clip(p, EPS, 1 - EPS), np.clip(q, EPS, 1 - EPS)
    recalls = [value for value in recall(p, log_q) if value is not None]
    return {
        "kl": float(kl.mean()),
        "kl_dcic": float((clipped_p * np.log(clipped_p / clipped_q)).sum(axis=1).mean()),
        "macro_acc": math.fsum(recalls) / len(recalls),
        "acc": float((p.argmax(axis=1) == q.argmax(axis=1)).mean()),
        "ce": float(ce.mean()),
        "tvd": float(np.abs(p - q).sum(axis=1).mean() / 2),
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

Contents = Mapping[str, Mapping[str, Any]]


def blocks(config: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Every (data set, split, recipe) of a study."""
    return list(itertools.product(config["datasets"], config["splits"], config["recipes"]))


def run_names(config: Mapping[str, Any], block: tuple[str, ...], label: str) -> list[str]:
    """The runs of a label, a seed each, such as ``synthetic/random/compact/soft/seed0``."""
    return ["/".join([*block, label, f"seed{seed}"]) for seed in config["seeds"]]


def draw_names(config: Mapping[str, Any], dataset: str, split: str) -> list[str]:
    """The draws of a split, such as ``synthetic/random/seed0``."""
    return [f"{dataset}/{split}/seed{seed}" for seed in config["seeds"]]


def ledger(config: Mapping[str, Any], runs: Contents, references: Contents) -> dict[tuple, Number]:
    """Every number that the ledger of a study should hold, by ``KEY``.

    Args:
        config: ``config.json`` of the study.
        runs: content of ``metrics.json`` of each run.
        references: content of the reference rows of each draw of a split.
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
            name: {row["name"]: _reference(row) for row in references[name]["rows"]}
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
    return paper.TABLE_1.get(config["datasets"][dataset]["paper"] or "", {}).get(label, {})


def _columns(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Metric to run to number, without those that there are not."""
    columns: dict[str, dict[str, float]] = {}
    for name, row in rows.items():
        for metric, value in row.items():
            if value is not None:
                columns.setdefault(metric, {})[name] = float(value)
    return columns


def _measured(config: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{metric: content["metrics"][metric] for metric in config["metrics"]},
        **{f"recall.{name}": value for name, value in content["recall"].items()},
        **{f"structure.{name}": value for name, value in content["structure"].items()},
        "n_items": content["n_items"],
        "n_classes_present": content["n_classes_present"],
        "ties": content["ties"]["reference"],
        "tie_credit_acc": content["ties"]["tie_credit_acc"],
    }


def _scaled(config: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    temperature = content["temperature"]
    metrics = temperature["metrics"] or {}
    return {"temperature": temperature["value"], **{name: metrics.get(name) for name in config["metrics"]}}


def _reference(row: Mapping[str, Any]) -> dict[str, Any]:
    details = row["details"]
    numbers = {f"detail.{name}": value for name, value in details.items() if isinstance(value, int | float)}
    for k, direction in enumerate(details.get("directions", []), start=1):
        numbers[f"detail.kl_dcic_direction_{k}"] = direction["kl_dcic"]
    return {**row["metrics"], **numbers}


def _over_seeds(
    key: tuple, values: Mapping[str, float], ddof: int, published: tuple[float, float] | None = None
) -> Iterator[tuple[tuple, Number]]:
    mean, std = mean_and_std(list(values.values()), ddof)
    sources = tuple(values)
    yield (*key, "mean"), Number(mean, len(values), sources, mean - published[0] if published else None)
    if std is not None:
        yield (*key, "std"), Number(std, len(values), sources)


def _difference(
    key: tuple, runs: Contents, names: list[str], baseline: list[str], metric: str, level: float
) -> Iterator[tuple[tuple, Number]]:
    sides = [[as_float(runs[name]["metrics"][metric]) for name in side] for side in (names, baseline)]
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
