"""The checks of the metrics: computed again from predictions, reference and split (A04)."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow.parquet as pq

from .. import io, registry
from ..contracts import ALL, AT, HELD_OUT, PREDICTIONS, REFERENCE, STANDARD, Scores, Terms
from ..errors import UserError
from . import recompute, recompute_metrics, recompute_votes
from .findings import Finding, Findings, Job, Scope, each_job, fail, note, unseen

TOLERANCE = 1e-6  # relative


def what_is_computed_again(scope: Scope) -> Findings:
    """A04: a note for the report."""
    yield note(
        "computed again: metrics and recall of every run, before and after scaling, of groups of items and of classes, "
        "against a truth from elsewhere, of readers and annotators, "
        "and the reference rows without draws; not again: the fit of the scalings, the influence of single items on "
        "metrics that are no mean over items, structure and split_half"
    )


def _reference(scope: Scope, job: Job) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Items int ``[N]``, distributions float64 ``[N, C]`` and votes int ``[N]`` (None: exact) of a job's reference."""
    table, metadata = scope.results.table(job.file("inputs", "reference"), list(REFERENCE))
    votes = None if metadata["reference"] == "exact" else io.vector(table, "votes")
    return io.vector(table, "item"), io.matrix(table, "p"), votes


def _rows_of(item: np.ndarray, parts: Mapping[int, str], part: str) -> list[int]:
    """The rows of a part's items, in the order of their numbers."""
    row = {int(number): k for k, number in enumerate(item)}
    return [row[number] for number in sorted(parts) if parts[number] == part]


Metrics = list[tuple[str, recompute_metrics.Metric, Mapping[str, Any]]]


def _second(scope: Scope, job: Job) -> Generator[Finding, None, Metrics]:
    """Return name, second implementation and options of a job's metrics; yield findings about those without one here.

    A second implementation is one of ``recompute``, or the function ``again`` beside the first one.
    """
    metrics = []
    for name, options in job.manifest["config"]["metrics"].items():
        kind = options["kind"]
        if strangers := scope.strangers([("metric", kind)]):
            yield unseen(f"{job.path}: {name} was not computed again: {strangers}")
            continue
        if kind in recompute_votes.METRICS:  # see _people
            continue
        again = recompute_metrics.METRICS.get(kind)
        with suppress(ImportError, AttributeError, UserError):  # it may need what is not here
            again = again or _without_votes(sys.modules[registry.load("metric", kind).__module__].again)
        if again is None:
            yield note(f"{name} has no second implementation")
        else:
            metrics.append((name, again, options))
    return metrics


def _without_votes(again: Callable[..., float]) -> recompute_metrics.Metric:
    return lambda p, log_q, options, votes: again(p, log_q, options)


@each_job("evaluate")
def metrics_are_right(scope: Scope, job: Job) -> Findings:
    """A04: metrics computed again from predictions, reference and split, by a second implementation."""
    path = job.file("outputs", "scores")
    scored = scope.results.scores(path)
    item, p, n_votes = _reference(scope, job)
    parts = scope.by_item(job.file("inputs", "split"), "split")
    predictions, _ = scope.results.table(job.file("inputs", "predictions"), list(PREDICTIONS))
    predicted, logits = io.vector(predictions, "item"), io.matrix(predictions, "logits")
    metrics = yield from _second(scope, job)
    scalings = scope.results.table(path, [])[1]["scalings"]
    if not any(parts.get(int(number)) == "val" for number in predicted):  # of a network that was trained elsewhere
        parts = {number: part for number, part in parts.items() if part != "val"}
    kept = _rows_of(item, parts, HELD_OUT)
    there = set(predicted.tolist()).issuperset(item[kept].tolist())  # they may be missing where no metric needs them
    to_calibrate = _scaled(logits[_rows_of(predicted, parts, HELD_OUT)], scalings) if there else {}
    people = [(name, options) for name, options in job.manifest["config"]["metrics"].items()
              if options["kind"] in recompute_votes.METRICS]  # fmt: skip
    judging = _judging(scope, job) if people else []
    for part in ("val", "test"):
        rows = _rows_of(item, parts, part)
        if not rows:
            yield from _nothing_scored(path, scored, part)
            continue
        own, votes = p[rows], None if n_votes is None else np.rint(p[rows] * n_votes[rows, None]).astype(int)
        log_q = _scaled(logits[_rows_of(predicted, parts, part)], scalings if part == "test" else {})
        for scaling, (name, again, options) in itertools.product(log_q, metrics):
            found = scored.get(part, ALL, scaling, name)
            if found is None and name in job.manifest["config"]["needs"]:  # which this part does not have
                continue
            beside = {"classes": scored.classes, "calibration": (item[kept], p[kept], to_calibrate.get(scaling))}
            expected = again(own, log_q[scaling], {**options, **beside}, votes)
            yield from _compare(path, f"{name} ({part}, {scaling})", found, expected)
        for (name, options), (scaling, q) in itertools.product(people, log_q.items()):
            guess = dict(zip([int(item[row]) for row in rows], q.argmax(axis=1).tolist(), strict=True))
            found = recompute_votes.METRICS[options["kind"]](
                recompute_votes.by_person(*judging, guess), guess, options, scored.classes
            )
            yield from _people(scored, part, scaling, name, found, any(who is not None for who in judging[1]))
        if part == "test":
            tested = [int(item[row]) for row in rows]
            yield from _terms(scope.results.terms(job.file("outputs", "terms")), scored, tested, own, log_q)
        if job.names["metrics"] == STANDARD:
            yield from _compare(path, f"n_items ({part})", scored.get(part, ALL, "none", "n_items"), len(own))
            for name, expected in zip(scored.classes, recompute_metrics.recall(own, log_q["none"]), strict=True):
                found = scored.get(part, name, "none", "recall")
                yield from _compare(path, f"recall of {name} ({part})", found, expected)
    if job.names["metrics"] == STANDARD:  # groups of the test part, the last one
        if votes is not None:
            yield from _strata_of_votes(scope, job, scored, dict(zip(tested, log_q["none"], strict=True)))
        groupings = job.manifest["config"].get("groupings", {})
        for group, of_p, of_q in _groups(groupings, scored.classes, own, log_q["none"], votes is None):
            yield from _compare(path, f"n_items of {group}", scored.value(f"n_items{AT}{group}"), len(of_p))
            for name in IN_GROUPS:
                expected = recompute_metrics.METRICS[name](of_p, of_q, {}, None)
                yield from _compare(path, f"{name} of {group}", scored.value(f"{name}{AT}{group}"), expected)
        yield from _truths(scope, job, scored, tested, own, log_q["none"])


def _scaled(logits: np.ndarray, scalings: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Logarithms of the predicted distributions, float64 ``[N, C]``, by scaling (``none``, too)."""
    logits = logits.astype(np.float64)
    found, shifted = {"none": recompute_metrics.log_softmax(logits)}, logits - logits.mean(axis=1, keepdims=True)
    for name, scaling in scalings.items():
        found[name] = recompute_metrics.log_softmax(shifted @ np.array(scaling["weight"]).T + scaling["bias"])
    return found


def _truths(scope: Scope, job: Job, scored: Scores, tested: list[int], p: np.ndarray, log_q: np.ndarray) -> Findings:
    """The accuracies of predictions and votes against a truth from elsewhere, counted item by item."""
    path, items = scored.path, job.file("inputs", "items")
    there = "truth" in pq.read_schema(scope.results.file(items)).names
    told = scope.by_item(items, "truth") if there else {}
    row = {item: k for k, item in enumerate(tested)}
    truth = {row[item]: scored.classes.index(name) for item, name in told.items() if name is not None and item in row}
    yield from _compare(path, "n_items of truth", scored.value(f"n_items{AT}truth"), len(truth) or None)
    for begin, guesses in (("", log_q), ("votes_", p)):
        right: dict[int, list[bool]] = {}
        for k, true in truth.items():
            right.setdefault(true, []).append(int(guesses[k].argmax()) == true)
        every = [hit for hits in right.values() for hit in hits]
        macro = [sum(hits) / len(hits) for hits in right.values()]
        for name, hits in (("acc", every), ("macro_acc", macro)):
            expected = sum(hits) / len(hits) if hits else None
            yield from _compare(path, f"{begin}{name} of truth", scored.value(f"{begin}{name}{AT}truth"), expected)


def _nothing_scored(path: str, scored: Scores, part: str) -> Findings:
    """A fail for each number of a part without a predicted item."""
    for (of, group, scaling, name), value in scored.values.items():
        if of == part and value not in (None, 0):
            yield fail(
                f"{path} {name} ({part}, {group}, {scaling})", value, "none, as no item of this part is predicted"
            )


def _people(scored: Scores, part: str, scaling: str, name: str, found: Mapping[str, Any], known: bool) -> Findings:
    """A metric of annotators, and of the unscaled test part what it has besides, each reader's numbers too."""
    due = {}
    for number, value in found.items() if known and part == "test" and scaling == "none" else [("", found[""])]:
        metric, at, reader = number.partition("@")
        due[part, f"reader:{quote(reader, safe=' ')}" if at else ALL, scaling, f"{name}{metric}"] = value
    for key, value in due.items():
        place = ", ".join((key[3], *key[:3]))
        if key not in scored.values:
            yield fail(f"{scored.path} {place}", "no such number", f"{value} by the second implementation")
        else:
            yield from _compare(scored.path, place, scored.values[key], value)
    for key in scored.values if len(due) > 1 else ():
        if key[0] == part and key[2] == scaling and key[3].partition(".")[0] == name and key not in due:
            yield fail(f"{scored.path} {', '.join((key[3], *key[:3]))}", scored.values[key], "no such number")


def _left_out(scope: Scope, job: Job, wanted: Iterable[int]) -> list[recompute_votes.LeftOut]:
    """Each person's votes on the wanted items, left out in turn."""
    return recompute_votes.left_out(*_judging(scope, job), wanted)


def _judging(scope: Scope, job: Job) -> list[list[Any]]:
    """Item, annotator and label of each vote that judges: other people's where the reference has some."""
    table, _ = scope.results.table(job.file("inputs", "reference"))
    if "others" in table.column_names:
        rows = zip(table.column("item").to_pylist(), table.column("others").to_pylist(), strict=True)
        votes = [(item, vote["annotator"], vote["label"]) for item, of_item in rows for vote in of_item]
        return [list(column) for column in zip(*votes, strict=True)]
    table, _ = scope.results.table(job.file("inputs", "annotations"), ["item", "annotator", "label"])
    return [table.column(name).to_pylist() for name in ("item", "annotator", "label")]


def _strata_of_votes(scope: Scope, job: Job, scored: Scores, log_q: dict[int, np.ndarray]) -> Findings:
    """The numbers of the groups that an item's other votes choose."""
    found = recompute_votes.strata(_left_out(scope, job, log_q), log_q)
    for group in ("panel", "unanimous", "disputed", "closest"):
        due = found.get(group, (None, None, None))
        for name, expected in zip(("ce", "vote_acc", "n_items"), due, strict=False):
            yield from _compare(scored.path, f"{name} of {group}", scored.value(f"{name}{AT}{group}"), expected)


def _rows_of_votes(
    scope: Scope, job: Job, rows: Mapping[str, Scores], p_train: np.ndarray, train: list[int], test: list[int]
) -> Findings:
    """The rows ``panel`` and ``sampling_floor``, with the strength that they tell: the best on training items."""
    told = [row for row in ("panel", "sampling_floor") if row in rows]
    if not told:
        return
    towards = recompute_votes.smoothing(p_train)
    of_train, of_test = (_left_out(scope, job, wanted) for wanted in (train, test))
    k = rows[told[0]].value("detail.k")  # of both
    if not recompute_votes.is_best_strength(of_train, towards, k):
        yield fail(f"{rows[told[0]].path} k of {told[0]}", k, "the strength with the lowest cross-entropy")
    for row, again in (("panel", recompute_votes.panel), ("sampling_floor", recompute_votes.sampling_floor)):
        if row in told:
            yield from _compare(rows[row].path, f"k of {row}", rows[row].value("detail.k"), k)
            for name, expected in again(of_test, towards, k).items():
                found = rows[row].values.get(("test", ALL, "none", name))
                yield from _compare(rows[row].path, f"{name} of {row}", found, expected)


@each_job("references")
def reference_rows_are_right(scope: Scope, job: Job) -> Findings:
    """A04: so are those of the rows that need no network."""
    path = job.file("outputs", "references")
    rows = scope.results.reference_rows(path)
    item, p, n_votes = _reference(scope, job)
    parts = scope.by_item(job.file("inputs", "split"), "split")
    train, test = (np.array(_rows_of(item, parts, part), int) for part in ("train", "test"))
    metrics, classes = (yield from _second(scope, job)), next(iter(rows.values())).classes
    counts = None if n_votes is None else np.rint(p[test] * n_votes[test, None]).astype(int)
    table, _ = scope.results.table(job.file("inputs", "reference"))
    predictions = recompute.reference_predictions(p, train, test)
    if "exact" in table.column_names:
        predictions["exact"] = io.matrix(table, "exact")[test]
    if n_votes is not None and job.names["metrics"] == STANDARD:
        yield from _rows_of_votes(scope, job, rows, p[train], *(item[of].tolist() for of in (train, test)))
    for row, q in predictions.items():
        with np.errstate(divide="ignore"):
            log_q = np.log(q)
        for name, again, options in metrics:
            found = rows[row].value(name)
            if found is not None or name not in job.manifest["config"]["needs"]:
                expected = again(p[test], log_q, {**options, "classes": classes}, counts)
                yield from _compare(path, f"{name} of {row}", found, expected)


IN_GROUPS = ("macro_acc", "kl", "tvd")
# Each item's term of metrics that are a mean over items.
ITEMS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "acc": lambda p, log_q: (p.argmax(axis=1) == log_q.argmax(axis=1)).astype(float),
    "kl": lambda p, log_q: np.where(p > 0, p * (np.log(np.where(p > 0, p, 1)) - log_q), 0).sum(axis=1),
    "tvd": lambda p, log_q: np.abs(p - np.exp(log_q)).sum(axis=1) / 2,
}


def _terms(terms: Terms, scored: Scores, items: list[int], p: np.ndarray, log_q: Mapping[str, np.ndarray]) -> Findings:
    """What items add to a number has that as its mean, and is right where it is a term of a sum."""
    if not np.array_equal(terms.item, items):
        yield fail(f"{terms.path} item", "other items", "those of the test part, ascending")
        return
    for column, values in terms.values.items():
        name, _, scaling = column.partition("+")
        there = values[~np.isnan(values)] if AT in name else values
        number = scored.value(name, scaling or "none")
        mean = float(there.mean()) if len(there) and not np.isnan(there).any() else None
        yield from _compare(terms.path, f"mean of {column}", mean, number)
        if name in ITEMS and number is not None:
            due = ITEMS[name](p, log_q[scaling or "none"])
            bad = np.flatnonzero(~np.isclose(values, due, rtol=TOLERANCE, atol=1e-9))
            if len(bad):
                place = f"{terms.path} {column} of item {terms.item[bad[0]]} ({len(bad)} such items)"
                yield fail(place, values[bad[0]], f"{due[bad[0]]} by the second implementation")


def _groups(
    groupings: Mapping[str, Mapping[str, list[str]]], classes: list[str], p: np.ndarray, log_q: np.ndarray, exact: bool
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, references and predictions of each group of items of an exact reference, and of merged classes."""
    ascending = np.sort(p, axis=1)
    gap = ascending[:, -1] - ascending[:, -2]
    members = {"clear": gap > 1 - 1e-9, "ambiguous": gap <= 1 - 1e-9, "closest": gap < 0.1} if exact else {}
    for name, chosen in members.items():
        if chosen.any():
            yield name, p[chosen], log_q[chosen]
    for name, grouping in groupings.items():
        rows = [[classes.index(one) for one in members] for members in grouping.values()]
        of_p = np.column_stack([p[:, of].sum(axis=1) for of in rows])
        yield name, of_p, np.column_stack([np.logaddexp.reduce(log_q[:, of], axis=1) for of in rows])


def _compare(path: str, place: str, found: float | None, expected: float | None) -> Findings:
    same = found == expected or (
        None not in (found, expected) and math.isclose(found, expected, rel_tol=TOLERANCE, abs_tol=1e-12)
    )
    if not same:
        yield fail(f"{path} {place}", found, f"{expected} by the second implementation")
