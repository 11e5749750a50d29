"""Score one run on its validation and test parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from .. import contracts, io
from ..contracts import ALL, STANDARD, Predictions, Split, rows_of
from . import structure
from .aligned import Aligned, of_part, scorer
from .divergence import EPS, ce_items
from .metrics.macro_acc import recall

TEMPERATURES = (0.01, 100.0)
Numbers = Iterator[tuple[str, str, str, float]]  # group, scaling, metric, value


def run(config: dict, inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write the scores of one run by one set of metrics.

    Args:
        config: ``set``, ``metrics`` (name to options), ``needs`` (of those that have any) and, of the standard set,
            ``structure: {neighbours}``.
        inputs: ``predictions``, ``features``, ``reference``, ``split``, ``items`` and ``label`` (the label table that
            the run was trained on).

    Raises:
        UserError: an item without a prediction, logits or features that are not finite, or features of another split.
    """
    reference, split = contracts.read_reference(inputs["reference"]), contracts.read_split(inputs["split"])
    predictions = contracts.read_predictions(inputs["predictions"])
    temperature = fit_temperature(*own_validation(inputs["label"], split, predictions))
    score = scorer(config["metrics"], config["needs"])
    values = {}
    for part in ("val", "test"):
        items = split.items(part)
        logits = predictions.of(part, items, len(reference.classes))
        features = contracts.read_features(inputs["features"], items) if part == "test" else None
        aligned = of_part(part, items, reference, log_softmax(logits, axis=1), features)
        scored = {"none": score(aligned), "temperature": dict.fromkeys(config["metrics"], np.nan)}
        if np.isfinite(temperature):
            cooled = log_softmax(logits / temperature, axis=1)
            scored["temperature"] = score(replace(aligned, log_prediction=cooled))
        numbers = [(ALL, scaling, *one) for scaling, found in scored.items() for one in found.items()]
        numbers.append((ALL, "temperature", "temperature", temperature))
        if config["set"] == STANDARD:
            numbers += facts(aligned)
            if part == "test":
                numbers += feature_structure(aligned, inputs["items"], config["structure"]["neighbours"])
        values |= {(part, *key): value for *key, value in numbers}
    contracts.write_scores(outputs["scores"], values, reference.classes, EPS)


def facts(aligned: Aligned) -> Numbers:
    """Recall of each class, and what of a part's items a reader of its metrics should know."""
    recalls = recall(aligned.reference, aligned.log_prediction)
    yield from ((name, "none", "recall", value) for name, value in zip(aligned.classes, recalls, strict=True))
    top = aligned.reference == aligned.reference.max(axis=1, keepdims=True)
    credit = top[np.arange(len(top)), aligned.log_prediction.argmax(axis=1)]
    for name, value in {
        "n_items": len(top),
        "n_classes_present": np.isfinite(recalls).sum(),
        "ties": (top.sum(axis=1) > 1).sum(),  # references with several most probable classes …
        "tie_credit_acc": credit.mean() if len(top) else np.nan,  # … any of which counts as right here
    }.items():
        yield ALL, "none", name, value


def own_validation(labels: Path, split: Split, predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """The run's own label and its logits, both float64 ``[V, C]``, of the validation items that have a label."""
    own = contracts.read_labels(labels)
    items = np.intersect1d(split.items("val"), own.item)
    return own.of(items), predictions.of("val", items, len(own.classes))


def fit_temperature(p: np.ndarray, logits: np.ndarray) -> float:
    """The T whose ``softmax(logits / T)`` has the least mean cross-entropy (Guo et al. 2017) from labels ``[V, C]``.

    Returns:
        T in [0.01, 100], or NaN without items. The cross-entropy is convex in 1/T, so it has one minimum; where every
        label is one-hot and predicted right, that is the lower bound.
    """
    if len(p) == 0:
        return np.nan

    def cross_entropy(log_temperature: float) -> float:
        return ce_items(p, log_softmax(logits / np.exp(log_temperature), axis=1)).mean()

    return float(np.exp(minimize_scalar(cross_entropy, bounds=np.log(TEMPERATURES), options={"xatol": 1e-8}).x))


def feature_structure(aligned: Aligned, items_file: Path, neighbours: int) -> Numbers:
    """The structure numbers of the test items."""
    items, _ = io.read_table(items_file)
    points, reference = aligned.features, aligned.reference
    with threadpool_limits(1):
        numbers = {
            "silhouette": structure.silhouette(points, reference),
            "label_smoothness": structure.label_smoothness(points, reference, neighbours),
            "distance_spearman": structure.distance_spearman(points, reference),
            "position_r2": np.nan,
        }
        if {"u", "s"} <= set(items.column_names):
            rows = rows_of(items_file, io.vector(items, "item"), aligned.item)
            numbers["position_r2"] = structure.position_r2(
                points, io.vector(items, "u")[rows], io.vector(items, "s")[rows]
            )
    yield from ((ALL, "none", f"structure.{name}", value) for name, value in numbers.items())
