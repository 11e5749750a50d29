"""Score one run on its validation and test parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import EllipsisType

import numpy as np
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from .. import contracts, io
from ..contracts import ALL, AT, GAP, PLUS, STANDARD, TRUTH, UNLABELLED, Predictions, Split, Terms, rows_of
from . import left_out, scaling, strata, structure, truth
from .aligned import Aligned, Values, mean, of_part, scorer
from .divergence import EPS
from .metrics.macro_acc import recall

Numbers = Iterator[tuple[str, str, str, float]]  # group, scaling, metric, value


def run(config: dict, inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write the scores of one run by one set of metrics, and what each test item adds to them.

    Args:
        config: ``set``, ``metrics`` (name to options), ``needs`` (of those that have any) and, of the standard set,
            ``structure: {neighbours}`` and any ``groupings`` of classes.
        inputs: ``predictions``, ``features`` (none of a network that was trained elsewhere), ``reference``,
            ``annotations``, ``split``, ``items`` and ``label`` (the label table that the run was trained on).

    Raises:
        UserError: an item without a prediction, logits or features that are not finite, features of another split, or
            a grouping that does not have each class once.
    """
    reference, split = contracts.read_reference(inputs["reference"]), contracts.read_split(inputs["split"])
    for name, grouping in config.get("groupings", {}).items():
        strata.require(name, grouping, reference.classes)
    predictions = contracts.read_predictions(inputs["predictions"])
    items = {part: split.items(part) for part in ("val", "test")}
    if not len(predictions.items("val")):  # of a network that was trained elsewhere
        items["val"] = items["val"][:0]
    logits = {part: predictions.of(part, of, len(reference.classes)) for part, of in items.items()}
    features = contracts.read_features(inputs["features"], items["test"]) if inputs.get("features") else None
    parts = {
        part: of_part(part, items[part], reference, log_softmax(of, axis=1), features if part == "test" else None)
        for part, of in logits.items()
    }
    own = own_validation(inputs["label"], split, predictions)
    scalings = scaling.fitted(own, (parts["val"].reference, logits["val"]))
    with threadpool_limits(1):
        values, terms = _scores(config, parts, logits["test"], scalings, inputs, reference)
    values["train", ALL, "none", "n_items"] = float(len(split.items("train")))
    values |= unlabelled(inputs["label"], split)
    contracts.write_scores(outputs["scores"], values, reference.classes, EPS, {
        name: {"weight": of.weight.tolist(), "bias": of.bias.tolist()} for name, of in scalings.items()
    }, contracts.read_estimate(inputs["label"]))  # fmt: skip
    item = parts["test"].item
    contracts.write_terms(outputs["terms"], Terms(str(outputs["terms"]), item, clusters(inputs["items"], item), terms))


def _scores(
    config: dict, parts: dict[str, Aligned], logits: np.ndarray, scalings: dict[str, scaling.Scaling],
    inputs: dict[str, Path], reference: contracts.Reference,
) -> tuple[dict[contracts.Key, float], dict[str, np.ndarray]]:  # fmt: skip
    """The numbers of both parts, and the terms of the test part (whose logits are given)."""
    score, test = scorer(config["metrics"], config["needs"]), parts["test"]
    values: dict[contracts.Key, float] = {}
    terms: dict[str, np.ndarray] = {}

    def note(found: Values, group: str = ALL, scaled: str = "none", keep: str | None = None, members=...) -> None:
        """Note numbers of the test part; ``keep`` is what its terms are called behind the metric."""
        for name, value in found.items():
            values["test", group, scaled, name] = mean(value)
            if keep is not None and not isinstance(value, float):
                terms[f"{name}{keep}"] = np.full(len(test.item), np.nan)
                terms[f"{name}{keep}"][members] = value

    values |= {("val", ALL, "none", name): mean(value) for name, value in score(parts["val"]).items()}
    note(score(test), keep="")
    for name, scale in scalings.items():
        for metric, value in score(replace(test, log_prediction=scale(logits))).items():
            note({metric: value}, scaled=name, keep=f"{PLUS}{name}" if metric == GAP else None)
        if name.startswith("temperature"):
            values["test", ALL, name, "temperature"] = float(1 / scale.weight[0, 0])
    if config["set"] != STANDARD:
        return values, terms
    for part, aligned in parts.items():
        values |= {(part, *key): value for *key, value in facts(aligned)}
    if test.features is not None:
        found = feature_structure(test, inputs["items"], config["structure"])
        values |= {("test", *key): value for *key, value in found}
    panels = None
    if test.counts is not None:
        panels = left_out.read_panels(inputs["annotations"], reference).of(reference.rows(test.item))
    for group, members, found, n in groups(config, test, panels):
        note(found, group, keep=f"{AT}{group}", members=members)
        values["test", group, "none", "n_items"] = float(n)
    known = truth.of_items(inputs["items"], test.item, test.classes)
    if known is not None and (known >= 0).any():
        of_truth = scorer({name: config["metrics"][name] for name in truth.METRICS}, config["needs"])
        members, found, by_votes = truth.scores(of_truth, test, known)
        note(found, TRUTH, keep=f"{AT}{TRUTH}", members=members)
        note(by_votes, TRUTH)
        values["test", TRUTH, "none", "n_items"] = float(members.sum())
    return values, terms


def groups(
    config: dict, test: Aligned, panels: left_out.Panels | None
) -> Iterator[tuple[str, np.ndarray | EllipsisType, Values, int]]:
    """Each stratum and each grouping of classes of the test part.

    Yields its name, which items have terms (bool ``[n]``, or all), its scores, and how many items it has. The strata
    come from an exact reference, or else from the ``panels`` of these items.
    """
    score = scorer({name: config["metrics"][name] for name in strata.METRICS}, config["needs"])
    if panels is None:
        for name, members in strata.of_exact(test):
            yield name, members, score(strata.select(test, members)), int(members.sum())
    else:
        met = left_out.score_of_votes(left_out.strata_of_votes(panels), test.log_prediction)
        for name, found in met.items():
            yield name, ..., {metric: found[metric] for metric in ("ce", "vote_acc")}, found["n"]
    for name, grouping in config.get("groupings", {}).items():
        yield name, ..., score(strata.merged(test, grouping)), len(test.item)


def clusters(items_file: Path, item: np.ndarray) -> np.ndarray:
    """A number for each item, int ``[n]``, that items of one group of the data set have in common."""
    table, _ = io.read_table(items_file, ["item", "group"])
    everyone, groups = io.vector(table, "item"), table.column("group").to_pylist()
    first: dict[str, int] = {}
    number = [
        i if group is None else first.setdefault(group, i) for i, group in zip(everyone.tolist(), groups, strict=True)
    ]
    return np.array(number)[rows_of(items_file, everyone, item)]


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


def unlabelled(labels: Path, split: Split) -> dict[contracts.Key, float]:
    """How many training and validation items the run's label lacks, of parts where it lacks some: most have all."""
    own = contracts.read_labels(labels).item
    lack = {part: len(np.setdiff1d(split.items(part), own)) for part in ("train", "val")}
    return {(part, ALL, "none", UNLABELLED): float(n) for part, n in lack.items() if n}


def own_validation(labels: Path, split: Split, predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """The run's own label and its logits, both float64 ``[V, C]``, of the validation items that have a label."""
    own = contracts.read_labels(labels)
    there = predictions.items("val")
    items = np.intersect1d(split.items("val"), own.item) if len(there) else there
    return own.of(items), predictions.of("val", items, len(own.classes))


def feature_structure(aligned: Aligned, items_file: Path, options: dict) -> Numbers:
    """The structure numbers of the test items."""
    items, _ = io.read_table(items_file)
    u = s = None
    if {"u", "s"} <= set(items.column_names):
        rows = rows_of(items_file, io.vector(items, "item"), aligned.item)
        u, s = (io.vector(items, name)[rows] for name in ("u", "s"))
    numbers = structure.numbers(aligned.features, aligned.reference, u, s, options["neighbours"])
    yield from ((ALL, "none", f"structure.{name}", value) for name, value in numbers.items())
