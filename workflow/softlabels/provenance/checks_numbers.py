"""The checks of the numbers: from the printed table to the predictions (A01 to A04)."""

from __future__ import annotations

import csv
import io as text_io
import itertools
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from .. import io, places, registry
from ..contracts import ALL, PREDICTIONS, REFERENCE, STANDARD, file_of, sets
from ..errors import UserError
from ..places import of_study
from ..studies import ledger_view
from . import recompute
from .evidence import LEDGER_COLUMNS
from .findings import Finding, Job, Scope, each, fail, note, where
from .recompute import KEY

STATISTICS = ("mean", "std", "low", "high")
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.])")


def _name(key: tuple) -> str:
    return "/".join("–" if part is None else str(part) for part in key)


def _key(row: Mapping[str, Any]) -> tuple:
    return tuple(row[name] for name in KEY)


# -- A01 ---------------------------------------------------------------------------------------------------------------


def numbers_have_rows(scope: Scope) -> Iterator[Finding]:
    """A01: every number of the tables has one row of the ledger, and every row of the ledger is in the table."""
    for check in (_csv_against_ledger, _decimals_of_texts):
        yield from each(
            scope.studies, lambda study, check=check: check(scope, study), lambda s: of_study(s, "table_csv")
        )


def _csv_against_ledger(scope: Scope, study: str) -> Iterator[Finding]:
    path = of_study(study, "table_csv")
    rows = scope.results.cells(study).to_pylist()
    counts = Counter(map(_key, rows))
    for key in (key for key, count in counts.items() if count > 1):
        yield fail(of_study(study, "cells"), f"{counts[key]} rows for {_name(key)}", "one")
    table = {}
    for line in csv.DictReader(text_io.StringIO(scope.results.text(path))):
        place = tuple(line[name] or None for name in KEY[:-1])
        for statistic in STATISTICS:
            if line[statistic]:
                table[*place, statistic] = line[statistic]
    ledger = {_key(row): repr(row["value"]) for row in rows}
    for key in sorted(table.keys() | ledger.keys(), key=_name):
        if table.get(key) != ledger.get(key):
            yield fail(
                f"{path} {_name(key)}", table.get(key, "no number"), ledger.get(key, "no number (not in the ledger)")
            )


def _decimals_of_texts(scope: Scope, study: str) -> Iterator[Finding]:
    """Decimal numbers in the rows of table.md and table.tex that the ledger does not print."""
    rows = scope.results.cells(study).to_pylist()
    texts = [row["printed"] for row in rows]
    texts += [f"{row['paper_difference']:.{row['decimals']}f}" for row in rows if row["paper_difference"] is not None]
    printed = {text.lstrip("+-") for text in texts}
    for output, start in (("table_md", "|"), ("table_tex", None)):
        path = of_study(study, output)
        for number, line in enumerate(scope.results.text(path).splitlines(), start=1):
            if line.startswith(start) if start else line.endswith(r"\\"):
                for found in sorted(set(DECIMAL.findall(line)) - printed):
                    yield fail(f"{path} line {number}", found, "a number that the ledger prints")


# -- A02 ---------------------------------------------------------------------------------------------------------------


def tables_are_the_ledger(scope: Scope) -> Iterator[Finding]:
    """A02: printing the ledger again gives the tables byte for byte, and each printed text is its rounded value."""
    yield from each(scope.studies, lambda study: _printed(scope, study), lambda s: of_study(s, "cells"))


def _printed(scope: Scope, study: str) -> Iterator[Finding]:
    cells = scope.results.cells(study)
    for row in cells.to_pylist():
        signed = row["kind"] == "difference" and row["statistic"] != "std"
        expected = _rounded(row["value"], row["decimals"], signed)
        if row["printed"] != expected:
            yield fail(f"{of_study(study, 'cells')} {_name(_key(row))}", repr(row["printed"]), repr(expected))
    for output, rendered in ledger_view.TEXTS.items():
        path = of_study(study, output)
        yield from each(
            [path], lambda path, rendered=rendered: _difference(path, scope.results.text(path), rendered(cells))
        )


def _rounded(value: float, decimals: int, signed: bool) -> str:
    sign = "-" if value < 0 else "+" if signed else ""
    if math.isinf(value):
        return f"{sign}∞"
    text = f"{abs(value):.{decimals}f}"
    return ("-" if math.copysign(1, value) < 0 else "+" if signed else "") + text


def _difference(path: str, found: str, expected: str) -> Iterator[Finding]:
    if found == expected:
        return
    lines = zip([*found.splitlines(), "(end)"], [*expected.splitlines(), "(end)"], strict=False)
    for number, (line, due) in enumerate(lines, start=1):
        if line != due:
            start = next(
                (k for k, (a, b) in enumerate(zip(line, due, strict=False)) if a != b), min(len(line), len(due))
            )
            piece = slice(max(start - 20, 0), start + 30)
            yield fail(f"{path} line {number}", repr(line[piece]), repr(due[piece]))
            return
    yield fail(path, "other line ends", "those of the ledger's table")


# -- A03 ---------------------------------------------------------------------------------------------------------------


def aggregates_are_right(scope: Scope) -> Iterator[Finding]:
    """A03: means, deviations, differences and intervals follow from the evaluations; the paper's are the paper's."""
    yield from each(scope.studies, lambda study: _aggregates(scope, study), lambda s: of_study(s, "cells"))


def _aggregates(scope: Scope, study: str) -> Iterator[Finding]:
    results, config = scope.results, scope.results.study_config(study)
    trained = recompute.blocks(config), config["labels"], config["seeds"]
    drawn = itertools.product(config["datasets"], config["splits"], config["seeds"])
    wanted = sets(config["metrics"])
    run_files = {
        places.RUN.format_map(names): {key: places.path("evaluate", "scores", **names, metrics=key) for key in wanted}
        for block, label, seed in itertools.product(*trained)
        for names in [dict(zip(("dataset", "split", "recipe"), block, strict=True), label=label, seed=seed)]
    }
    draw_files = {
        places.SPLIT.format_map(names): {
            key: places.path("references", "references", **names, metrics=key) for key in wanted
        }
        for names in (dict(zip(("dataset", "split", "seed"), draw, strict=True)) for draw in drawn)
    }
    runs = {name: {key: results.scores(path) for key, path in of_run.items()} for name, of_run in run_files.items()}
    draws = {
        name: {key: results.reference_rows(path) for key, path in of_draw.items()}
        for name, of_draw in draw_files.items()
    }
    files = run_files | draw_files
    expected = recompute.ledger(config, runs, draws)
    path = of_study(study, "cells")
    cells, facts = results.table(path, list(LEDGER_COLUMNS))
    for name in ("study", "baseline", "seeds", "metrics", "ddof", "level"):
        if facts.get(name) != config[name]:
            yield fail(f"{path} {name} of the captions", facts.get(name), config[name])
    for run, scored in ((run, scored) for run, of_run in runs.items() for scored in of_run.values()):
        if facts["eps"] != scored.eps or facts["datasets"][run.split("/")[0]]["classes"] != scored.classes:
            yield fail(f"{path} classes and eps of the captions", [facts["datasets"], facts["eps"]], f"those of {run}")
    rows = {_key(row): row for row in cells.to_pylist()}
    for key in sorted(expected.keys() | rows.keys(), key=_name):
        if key not in rows:
            yield fail(f"{path} {_name(key)}", "no row", expected[key].value)
        elif key not in expected:
            yield fail(
                f"{path} {_name(key)}", rows[key]["value"], "no such number: no evaluation of this study gives it"
            )
        else:
            yield from _row(f"{path} {_name(key)}", rows[key], expected[key], scope, files)


def _row(
    place: str,
    row: Mapping[str, Any],
    number: recompute.Number,
    scope: Scope,
    files: Mapping[str, Mapping[str, str]],
) -> Iterator[Finding]:
    # An end of an interval is a difference of two numbers; its error is relative to the larger of them.
    tolerance = 1e-9 * (abs(number.value) + abs(row["value"])) if row["statistic"] in ("low", "high") else 0.0
    if row["value"] != number.value and not abs(row["value"] - number.value) <= tolerance:
        yield fail(place, row["value"], number.value)
    if row["n"] != number.n:
        yield fail(f"{place} n", row["n"], number.n)
    if row["statistic"] == "mean" and row["paper_difference"] != number.paper_difference:
        yield fail(f"{place} paper_difference", row["paper_difference"], number.paper_difference)
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


def metrics_are_right(scope: Scope) -> Iterator[Finding]:
    """A04: metrics computed again from predictions, reference and split, by a second implementation."""
    yield from each(scope.of("evaluate"), lambda job: _evaluation(scope, job), where)
    yield from each(scope.of("references"), lambda job: _reference_rows(scope, job), where)
    yield note(
        "computed again: metrics and recall of every run, before and after temperature, and the reference rows without "
        "draws; not again: the temperature itself, structure, sampling_floor and split_half"
    )


def reference(scope: Scope, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Items int ``[N]`` and distributions float64 ``[N, C]`` of a reference."""
    table, _ = scope.results.table(path, list(REFERENCE))
    return io.vector(table, "item"), io.matrix(table, "p")


def _rows_of(item: np.ndarray, wanted: list[int]) -> list[int]:
    row = {int(number): k for k, number in enumerate(item)}
    return [row[number] for number in wanted]


@cache
def _again(kind: str) -> recompute.Metric | None:
    """The second implementation of a kind of metric: here, or, where its module can be imported, that module's."""
    if kind in recompute.METRICS:
        return recompute.METRICS[kind]
    try:
        return getattr(sys.modules[registry.load("metric", kind).__module__], "again", None)
    except (ImportError, AttributeError, UserError):
        return None


def _second(job: Job) -> Iterator[tuple[str, recompute.Metric | None, Mapping[str, Any]]]:
    """Name, second implementation and options of each metric of a job."""
    for name, options in job.manifest["config"]["metrics"].items():
        yield name, _again(options["kind"]), options


def _evaluation(scope: Scope, job: Job) -> Iterator[Finding]:
    path = scope.output(job, "scores")
    scored = scope.results.scores(path)
    item, p = reference(scope, scope.input(job, "reference"))
    parts = scope.parts(scope.input(job, "split"))
    predictions, _ = scope.results.table(scope.input(job, "predictions"), list(PREDICTIONS))
    for part in ("val", "test"):
        items = sorted(number for number, name in parts.items() if name == part)
        logits = io.matrix(predictions, "logits")[_rows_of(io.vector(predictions, "item"), items)].astype(np.float64)
        own = p[_rows_of(item, items)]
        log_q = {"none": recompute.log_softmax(logits)}
        temperature = scored.get(part, ALL, "temperature", "temperature")
        if temperature is not None:
            log_q["temperature"] = recompute.log_softmax(logits / temperature)
        for scaling, (name, again, options) in itertools.product(log_q, _second(job)):
            if again is None:
                yield note(f"{name} has no second implementation")
                continue
            found, expected = scored.get(part, ALL, scaling, name), again(own, log_q[scaling], options)
            yield from _compare(path, f"{name} ({part}, {scaling})", found, expected)
        if job.names["metrics"] == STANDARD:
            yield from _compare(path, f"n_items ({part})", scored.get(part, ALL, "none", "n_items"), len(items))
            for name, expected in zip(scored.classes, recompute.recall(own, log_q["none"]), strict=True):
                found = scored.get(part, name, "none", "recall")
                yield from _compare(path, f"recall of {name} ({part})", found, expected)


def _reference_rows(scope: Scope, job: Job) -> Iterator[Finding]:
    path = scope.output(job, "references")
    rows = scope.results.reference_rows(path)
    item, p = reference(scope, scope.input(job, "reference"))
    part = scope.parts(scope.input(job, "split"))
    train, test = (
        np.array(_rows_of(item, sorted(number for number, name in part.items() if name == wanted)), int)
        for wanted in ("train", "test")
    )
    for row, q in recompute.reference_predictions(p, train, test).items():
        with np.errstate(divide="ignore"):
            log_q = np.log(q)
        for name, again, options in _second(job):
            if again is not None:
                yield from _compare(path, f"{name} of {row}", rows[row].value(name), again(p[test], log_q, options))


def _compare(path: str, place: str, found: float | None, expected: float | None) -> Iterator[Finding]:
    same = found == expected or (
        None not in (found, expected) and math.isclose(found, expected, rel_tol=TOLERANCE, abs_tol=1e-12)
    )
    if not same:
        yield fail(f"{path} {place}", found, f"{expected} by the second implementation")
