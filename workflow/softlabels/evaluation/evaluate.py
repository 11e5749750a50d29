"""Score one run on its test split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from .. import io, registry
from ..errors import UserError
from . import structure
from .divergence import EPS, ce_items
from .metrics.macro_acc import recall
from .tables import (
    Reference,
    json_number,
    read_features,
    read_reference,
    require_every_class,
    require_finite,
    rows_of,
    split_items,
)

TEMPERATURES = (0.01, 100.0)


def run(config: dict, inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write ``metrics.json`` of one run.

    Args:
        config: ``metrics`` (registered names), ``allow_missing_class``, ``structure: {neighbours}``.
        inputs: ``predictions``, ``features``, ``reference``, ``split``, ``items`` and ``label`` (the label table that
            the run was trained on).
        outputs: ``metrics``.

    Raises:
        UserError: a test item without a prediction, logits or features that are not finite, features of another
            split, or a class that is no test item's truth.
    """
    reference = read_reference(inputs["reference"])
    test = split_items(inputs["split"], "test")
    p = reference.p[rows_of(inputs["reference"], reference.item, test)]
    require_every_class(inputs["split"], p, reference.classes, config["allow_missing_class"])
    logits = read_logits(inputs["predictions"], "test", test, len(reference.classes))
    log_prediction = log_softmax(logits, axis=1)
    features = read_features(inputs["features"], test)
    recalls = recall(p, log_prediction)
    temperature = fit_temperature(*validation(inputs, reference))
    cooled = None if temperature is None else log_softmax(logits / temperature, axis=1)
    with threadpool_limits(1):
        shape = feature_structure(features, p, inputs["items"], test, config["structure"]["neighbours"])
    io.write_json(
        outputs["metrics"],
        {
            "classes": reference.classes,
            "n_items": len(test),
            "eps": EPS,
            "metrics": scores(config["metrics"], p, log_prediction),
            "recall": {name: json_number(value) for name, value in zip(reference.classes, recalls, strict=True)},
            "n_classes_present": int(np.isfinite(recalls).sum()),
            "ties": ties(p, log_prediction),
            "temperature": {
                "value": temperature,
                "fitted_on": "val, the run's own label",
                "metrics": None if cooled is None else scores(config["metrics"], p, cooled),
            },
            "structure": shape,
        },
    )


def scores(metrics: list[str], p: np.ndarray, log_prediction: np.ndarray) -> dict[str, Any]:
    """Each metric by name, ready for JSON."""
    return {name: json_number(registry.load("metric", name)(p, log_prediction)) for name in metrics}


def read_logits(path: Path, split: str, items: np.ndarray, n_classes: int) -> np.ndarray:
    """The logits of a split's items as float64 ``[len(items), C]``, in the order of ``items``."""
    table, _ = io.read_table(path, ["item", "split", "logits"])
    rows = rows_of(path, io.vector(table, "item"), items)
    other = items[io.vector(table, "split")[rows] != split]
    if len(other):
        raise UserError(
            f"{path}: found item {other[0]} outside of the split {split}, expected all of its items in it: these "
            f"predictions belong to another split. Train the run again with this split."
        )
    logits = io.matrix(table, "logits")[rows].astype(np.float64)
    if logits.shape[1] != n_classes:
        raise UserError(
            f"{path}: found {logits.shape[1]} logits an item, expected {n_classes}, one for each class of the "
            f"reference. Train the run again on this data set."
        )
    require_finite(path, "logits", items, logits)
    return logits


def ties(p: np.ndarray, log_prediction: np.ndarray) -> dict[str, Any]:
    """How many references have several most probable classes, and the accuracy that takes any of them as right."""
    top = p == p.max(axis=1, keepdims=True)
    credit = top[np.arange(len(p)), log_prediction.argmax(axis=1)]
    return {"reference": int((top.sum(axis=1) > 1).sum()), "tie_credit_acc": float(credit.mean())}


def validation(inputs: dict[str, Path], reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """The run's own label and its logits, both float64 ``[V, C]``, of the validation items that have a label."""
    label, _ = io.read_table(inputs["label"], ["item", "p"])
    labelled = io.vector(label, "item")
    items = np.intersect1d(split_items(inputs["split"], "val"), labelled)
    p = io.matrix(label, "p")[rows_of(inputs["label"], labelled, items)].astype(np.float64)
    return p, read_logits(inputs["predictions"], "val", items, len(reference.classes))


def fit_temperature(p: np.ndarray, logits: np.ndarray) -> float | None:
    """The temperature T whose ``softmax(logits / T)`` has the least mean cross-entropy (Guo et al. 2017).

    Args:
        p: labels float64 ``[V, C]``.
        logits: float64 ``[V, C]``.

    Returns:
        T in [0.01, 100], or None without items. The cross-entropy is convex in 1/T, so it has one minimum; where every
        label is one-hot and predicted right, that is the lower bound.
    """
    if len(p) == 0:
        return None

    def cross_entropy(log_temperature: float) -> float:
        return ce_items(p, log_softmax(logits / np.exp(log_temperature), axis=1)).mean()

    return float(np.exp(minimize_scalar(cross_entropy, bounds=np.log(TEMPERATURES), options={"xatol": 1e-8}).x))


def feature_structure(
    features: np.ndarray, p: np.ndarray, items_file: Path, test: np.ndarray, neighbours: int
) -> dict[str, Any]:
    """The structure numbers of the test items, ready for JSON."""
    items, _ = io.read_table(items_file)
    r2 = np.nan
    if {"u", "s"} <= set(items.column_names):
        rows = rows_of(items_file, io.vector(items, "item"), test)
        r2 = structure.position_r2(features, io.vector(items, "u")[rows], io.vector(items, "s")[rows])
    return {
        "silhouette": json_number(structure.silhouette(features, p)),
        "label_smoothness": json_number(structure.label_smoothness(features, p, neighbours)),
        "distance_spearman": json_number(structure.distance_spearman(features, p)),
        "position_r2": json_number(r2),
    }
