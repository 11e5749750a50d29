"""The checks of the numbers: from the printed table to the predictions (A01 to A04)."""

from __future__ import annotations

import csv
import io as text_io
import itertools
import math
import re
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa

from .. import io, places, registry
from ..contracts import ALL, PREDICTIONS, REFERENCE, STANDARD, file_of, sets
from ..errors import UserError
from ..places import of_study
from ..studies import ledger_view
from . import recompute
from .findings import Finding, Findings, Job, Scope, differs, each, each_job, each_study, fail, note, unknown

STATISTICS = ("mean", "std", "low", "high")
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.])")


def _name(key: tuple) -> str:
    return "/".join("–" if part is None else str(part) for part in key)


def _rows(cells: pa.Table) -> list[tuple[tuple, dict[str, Any]]]:
    """Key and row of every number of a ledger."""
    names = [*ledger_view.key_of(cells), "statistic"]
    return [(tuple(row[name] for name in names), row) for row in cells.to_pylist()]


# -- A01 ---------------------------------------------------------------------------------------------------------------


@each_study("table_csv")
def csv_is_the_ledger(scope: Scope, study: str) -> Findings:
    """A01: every number of table.csv has one row of the ledger, and every row of the ledger is in the table."""
    path = of_study(study, "table_csv")
    cells = scope.results.cells(study)
    rows = _rows(cells)
    counts = Counter(key for key, _ in rows)
    for key in (key for key, count in counts.items() if count > 1):
        yield fail(of_study(study, "cells"), f"{counts[key]} rows for {_name(key)}", "one")
    table = {}
    for line in csv.DictReader(text_io.StringIO(scope.results.text(path))):
        place = tuple(line[name] or None for name in ledger_view.key_of(cells))
        for statistic in STATISTICS:
            if line[statistic]:
                table[*place, statistic] = line[statistic]
    ledger = {key: repr(row["value"]) for key, row in rows}
    for key in sorted(table.keys() | ledger.keys(), key=_name):
        found, due = table.get(key, "no number"), ledger.get(key, "no number (not in the ledger)")
        yield from differs(f"{path} {_name(key)}", found, due)


@each_study("table_csv")
def decimals_are_printed(scope: Scope, study: str) -> Findings:
    """A01: every decimal number in the rows of table.md and table.tex is one that the ledger prints."""
    cells = scope.results.cells(study)
    rows = cells.to_pylist()
    texts = [row["printed"] for row in rows]
    texts += [f"{row['paper_difference']:.{row['decimals']}f}" for row in rows if row["paper_difference"] is not None]
    printed = {text.lstrip("+-") for text in texts}
    words = {row[name] or "" for row in rows for name in ledger_view.varied(cells)}
    headings = scope.results.table(of_study(study, "cells"), [])[1]["headings"]  # which tell options
    words |= {about["heading"] for about in headings.values()}
    printed |= {number for text in words for number in DECIMAL.findall(text)}
    for output, start in (("table_md", "|"), ("table_tex", None)):
        path = of_study(study, output)
        for number, line in enumerate(scope.results.text(path).splitlines(), start=1):
            if line.startswith(start) if start else line.endswith(r"\\"):
                for found in sorted(set(DECIMAL.findall(line)) - printed):
                    yield fail(f"{path} line {number}", found, "a number that the ledger prints")


# -- A02 ---------------------------------------------------------------------------------------------------------------


@each_study("cells")
def texts_are_rounded(scope: Scope, study: str) -> Findings:
    """A02: each printed text of the ledger is its value, rounded."""
    for key, row in _rows(scope.results.cells(study)):
        signed = row["kind"] == "difference" and row["statistic"] != "std"
        expected = repr(_rounded(row["value"], row["decimals"], signed))
        yield from differs(f"{of_study(study, 'cells')} {_name(key)}", repr(row["printed"]), expected)


@each_study("cells")
def tables_are_the_ledger(scope: Scope, study: str) -> Findings:
    """A02: printing the ledger again gives the tables byte for byte."""
    path = of_study(study, "cells")
    cells, facts = scope.results.ledger(study)
    texts = dict(ledger_view.TEXTS)
    if strangers := scope.strangers(("table", table["kind"]) for table in facts["tables"]):
        yield unknown(f"{path}: its tables were not printed again: {strangers}")
        texts = {"table_csv": texts["table_csv"]}
    for output, write in texts.items():
        text = of_study(study, output)
        yield from each([text], lambda text, write=write: _difference(text, scope.results.text(text), write(cells)))


def _rounded(value: float, decimals: int, signed: bool) -> str:
    sign = "-" if math.copysign(1, value) < 0 else "+" if signed else ""
    return sign + ("∞" if math.isinf(value) else f"{abs(value):.{decimals}f}")


def _difference(path: str, found: str, expected: str) -> Findings:
    """A fault at the first place where two texts differ."""
    texts = (text.splitlines(keepends=True) for text in (found, expected))
    for number, (line, due) in enumerate(itertools.zip_longest(*texts, fillvalue="(end)"), start=1):
        if line != due:
            same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(line, due, strict=False))
            start = max(len(list(same)) - 20, 0)
            yield fail(f"{path} line {number}", repr(line[start : start + 50]), repr(due[start : start + 50]))
            return


# -- A03 ---------------------------------------------------------------------------------------------------------------


@each_study("cells")
def aggregates_are_right(scope: Scope, study: str) -> Findings:
    """A03: means, deviations, differences and intervals follow from the evaluations; the paper's are the paper's."""
    results, config = scope.results, scope.results.study_config(study)
    wanted = sets(config["metrics"])

    def files_of(pattern: str, command: str, output: str, named: Iterable[str]) -> dict[str, dict[str, str]]:
        """Path by set of metrics, by name of the run or draw."""
        found = {name: re.fullmatch(places.regex(pattern), name).groupdict() for name in named}
        return {
            name: {key: places.path(command, output, **names, metrics=key) for key in wanted}
            for name, names in found.items()
        }

    grid = recompute.points(config)
    trained = (run for point in grid for label in point.labels for run in recompute.run_names(config, point, label))
    run_files = files_of(places.RUN, "evaluate", "scores", trained)
    draws = (draw for point in grid for draw in recompute.draw_names(config, point))
    draw_files = files_of(places.SPLIT, "references", "references", draws)
    runs, draws = (
        {name: {key: read(path) for key, path in sets_.items()} for name, sets_ in named.items()}
        for named, read in ((run_files, results.scores), (draw_files, results.reference_rows))
    )
    files = run_files | draw_files
    expected = recompute.ledger(config, runs, draws)
    path = of_study(study, "cells")
    cells, facts = results.ledger(study)
    for name in ("study", "baseline", "seeds", "metrics", "ddof", "level"):
        yield from differs(f"{path} {name} of the captions", facts.get(name), config[name])
    for run, scored in ((run, scored) for run, of_run in runs.items() for scored in of_run.values()):
        if facts["eps"] != scored.eps or facts["datasets"][run.split("/")[0]]["classes"] != scored.classes:
            yield fail(f"{path} classes and eps of the captions", [facts["datasets"], facts["eps"]], f"those of {run}")
    rows = dict(_rows(cells))
    for key in sorted(expected.keys() | rows.keys(), key=_name):
        if key not in rows:
            yield fail(f"{path} {_name(key)}", "no row", expected[key].value)
        elif key not in expected:
            due = "no such number: no evaluation of this study gives it"
            yield fail(f"{path} {_name(key)}", rows[key]["value"], due)
        else:
            yield from _row(f"{path} {_name(key)}", rows[key], expected[key], scope, files)


def _row(
    place: str, row: Mapping[str, Any], number: recompute.Number, scope: Scope, files: Mapping[str, Mapping[str, str]]
) -> Findings:
    # An end of an interval is a difference of two numbers; its error is relative to the larger of them.
    tolerance = 1e-9 * (abs(number.value) + abs(row["value"])) if row["statistic"] in ("low", "high") else 0.0
    if row["value"] != number.value and not abs(row["value"] - number.value) <= tolerance:
        yield fail(place, row["value"], number.value)
    yield from differs(f"{place} n", row["n"], number.n)
    if row["statistic"] == "mean":
        yield from differs(f"{place} paper_difference", row["paper_difference"], number.paper_difference)
    if set(row["runs"]) != set(number.sources):
        yield fail(f"{place} runs", ", ".join(row["runs"]), ", ".join(number.sources))
    recorded = {entry["path"]: entry["sha256"] for entry in row["files"]}
    holding = [file_of(files[name], row["metric"]) for name in number.sources]
    due = {path: scope.results.sha256(path) for path in holding}
    for file in sorted(recorded.keys() | due.keys()):
        if recorded.get(file) != due.get(file):
            yield fail(f"{place} files", f"{file} {recorded.get(file)}", due.get(file, "no such file"))


# -- A04 ---------------------------------------------------------------------------------------------------------------

TOLERANCE = 1e-6  # relative


def what_is_computed_again(scope: Scope) -> Findings:
    """A04: a note for the report."""
    yield note(
        "computed again: metrics and recall of every run, before and after temperature, and the reference rows without "
        "draws; not again: the temperature itself, structure, sampling_floor and split_half"
    )


def _reference(scope: Scope, job: Job) -> tuple[np.ndarray, np.ndarray]:
    """Items int ``[N]`` and distributions float64 ``[N, C]`` of a job's reference."""
    table, _ = scope.results.table(job.file("inputs", "reference"), list(REFERENCE))
    return io.vector(table, "item"), io.matrix(table, "p")


def _rows_of(item: np.ndarray, parts: Mapping[int, str], part: str) -> list[int]:
    """The rows of a part's items, in the order of their numbers."""
    row = {int(number): k for k, number in enumerate(item)}
    return [row[number] for number in sorted(parts) if parts[number] == part]


Metrics = list[tuple[str, recompute.Metric, Mapping[str, Any]]]


def _second(scope: Scope, job: Job) -> Generator[Finding, None, Metrics]:
    """Return name, second implementation and options of a job's metrics; yield findings about those without one here.

    A second implementation is one of ``recompute``, or the function ``again`` beside the first one.
    """
    metrics = []
    for name, options in job.manifest["config"]["metrics"].items():
        kind = options["kind"]
        if strangers := scope.strangers([("metric", kind)]):
            yield unknown(f"{job.path}: {name} was not computed again: {strangers}")
            continue
        again = recompute.METRICS.get(kind)
        with suppress(ImportError, AttributeError, UserError):  # it may need what is not here
            again = again or sys.modules[registry.load("metric", kind).__module__].again
        if again is None:
            yield note(f"{name} has no second implementation")
        else:
            metrics.append((name, again, options))
    return metrics


@each_job("evaluate")
def metrics_are_right(scope: Scope, job: Job) -> Findings:
    """A04: metrics computed again from predictions, reference and split, by a second implementation."""
    path = job.file("outputs", "scores")
    scored = scope.results.scores(path)
    item, p = _reference(scope, job)
    parts = scope.by_item(job.file("inputs", "split"), "split")
    predictions, _ = scope.results.table(job.file("inputs", "predictions"), list(PREDICTIONS))
    predicted, logits = io.vector(predictions, "item"), io.matrix(predictions, "logits")
    metrics = yield from _second(scope, job)
    for part in ("val", "test"):
        own = p[_rows_of(item, parts, part)]
        of_part = logits[_rows_of(predicted, parts, part)].astype(np.float64)
        log_q = {"none": recompute.log_softmax(of_part)}
        temperature = scored.get(part, ALL, "temperature", "temperature")
        if temperature is not None:
            log_q["temperature"] = recompute.log_softmax(of_part / temperature)
        for scaling, (name, again, options) in itertools.product(log_q, metrics):
            found = scored.get(part, ALL, scaling, name)
            if found is None and name in job.manifest["config"]["needs"]:  # which this part does not have
                continue
            expected = again(own, log_q[scaling], options)
            yield from _compare(path, f"{name} ({part}, {scaling})", found, expected)
        if job.names["metrics"] == STANDARD:
            yield from _compare(path, f"n_items ({part})", scored.get(part, ALL, "none", "n_items"), len(own))
            for name, expected in zip(scored.classes, recompute.recall(own, log_q["none"]), strict=True):
                found = scored.get(part, name, "none", "recall")
                yield from _compare(path, f"recall of {name} ({part})", found, expected)


@each_job("references")
def reference_rows_are_right(scope: Scope, job: Job) -> Findings:
    """A04: so are those of the rows that need no network."""
    path = job.file("outputs", "references")
    rows = scope.results.reference_rows(path)
    item, p = _reference(scope, job)
    parts = scope.by_item(job.file("inputs", "split"), "split")
    train, test = (np.array(_rows_of(item, parts, part), int) for part in ("train", "test"))
    metrics = yield from _second(scope, job)
    for row, q in recompute.reference_predictions(p, train, test).items():
        with np.errstate(divide="ignore"):
            log_q = np.log(q)
        for name, again, options in metrics:
            yield from _compare(path, f"{name} of {row}", rows[row].value(name), again(p[test], log_q, options))


def _compare(path: str, place: str, found: float | None, expected: float | None) -> Findings:
    same = found == expected or (
        None not in (found, expected) and math.isclose(found, expected, rel_tol=TOLERANCE, abs_tol=1e-12)
    )
    if not same:
        yield fail(f"{path} {place}", found, f"{expected} by the second implementation")
