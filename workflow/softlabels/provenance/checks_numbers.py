"""The checks of the numbers: from the printed table to the predictions (A01 to A04)."""

from __future__ import annotations

import csv
import io as text_io
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from .. import places
from ..contracts import STANDARD, Terms, file_of, sets
from ..places import of_study
from ..studies import ledger_view
from . import recompute
from .findings import Findings, Scope, differs, each, each_study, fail, note, unseen

STATISTICS = ("mean", "std", "low", "high", "p", "half", "half_5", "half_10", "half_20")
DIFFERENCES = ("difference", "best", "best point", *recompute.INTERVALS, *recompute.BOOTSTRAPS)  # kinds of rows
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
    claims = scope.results.study_config(study).get("claims", [])
    words |= {f"{statement['margin']:g}" for statement in claims if statement["margin"]}
    words |= {str(value) for statement in claims for at in statement["at"] for value in at.values()}
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
        of_two = row["kind"] in DIFFERENCES or row["kind"].startswith("verdict ")
        signed = of_two and row["statistic"] in ("mean", "low", "high")
        expected = repr(_rounded(row["value"], row["decimals"], signed))
        yield from differs(f"{of_study(study, 'cells')} {_name(key)}", repr(row["printed"]), expected)


@each_study("cells")
def tables_are_the_ledger(scope: Scope, study: str) -> Findings:
    """A02: printing the ledger again gives the tables byte for byte."""
    path = of_study(study, "cells")
    cells, facts = scope.results.ledger(study)
    texts = dict(ledger_view.TEXTS)
    if strangers := scope.strangers(("table", table["kind"]) for table in facts["tables"]):
        yield unseen(f"{path}: its tables were not printed again: {strangers}")
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
        found = {name: _names(name, pattern) for name in named}
        return {
            name: {key: places.path(command, output, **names, metrics=key) for key in wanted}
            for name, names in found.items()
        }

    grid = recompute.points(config)
    trained = (run for point in grid for label in point.labels for run in recompute.run_names(config, point, label))
    trained = list(dict.fromkeys(trained))
    run_files = files_of(places.RUN, "evaluate", "scores", trained)
    term_files = files_of(places.RUN, "evaluate", "terms", trained)
    draws = (draw for point in grid for draw in recompute.draw_names(config, point))
    draw_files = files_of(places.SPLIT, "references", "references", draws)
    runs, draws = (
        {name: {key: read(path) for key, path in sets_.items()} for name, sets_ in named.items()}
        for named, read in ((run_files, results.scores), (draw_files, results.reference_rows))
    )
    files = run_files | draw_files
    # Of the runs whose epochs are told: where the history lies, and what it says of the validation items.
    curved = {name: names for name in trained if (names := _names(name))["recipe"] in config.get("histories", ())}
    histories = {name: {STANDARD: places.path("train", "history", **names)} for name, names in curved.items()}
    curves = {name: results.accuracies(of[STANDARD]) for name, of in histories.items()}

    def terms_of(run: str) -> dict[str, Terms]:
        return {key: results.terms(path) for key, path in term_files[run].items()}

    if any(table["kind"] in ("budget", "fixed_budget") for table in config["tables"]):
        config = {**config, "votes": {name: _votes(scope, name) for name in config["datasets"]}}
    expected = recompute.ledger(config, runs, terms_of, draws, curves)
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
        elif key[-3].startswith("votes for") and key[-1] != "mean":
            continue  # see _votes_needed
        elif key[-3] in recompute.BOOTSTRAPS:
            yield from _bootstrap(f"{path} {_name(key)}", key, rows)
        elif key not in expected:
            due = "no such number: no evaluation of this study gives it"
            yield fail(f"{path} {_name(key)}", rows[key]["value"], due)
        else:
            more = term_files if expected[key].terms else {}
            mean = expected.get((*key[:-1], "mean"), expected[key]).value
            of = histories if key[-4].startswith(ledger_view.EPOCH) else files
            yield from _row(f"{path} {_name(key)}", rows[key], expected[key], scope, of, more, mean)
    yield from _votes_needed(path, rows)


def _votes(scope: Scope, dataset: str) -> float | None:
    """How many people voted on an item of a data set, on average over those with votes: for labels, not to judge."""
    rows = scope.results.table(places.path("data", "annotations", dataset=dataset), ["item", "annotator"])[0]
    votes = list(zip(rows.column("item").to_pylist(), rows.column("annotator").to_pylist(), strict=True))
    unknown = sum(annotator is None for _, annotator in votes)
    people = len({vote for vote in votes if vote[1] is not None}) + unknown
    return people / len({item for item, _ in votes}) if votes else None


def _votes_needed(path: str, rows: Mapping[tuple, Mapping[str, Any]]) -> Findings:
    """What can be said of intervals of numbers of votes: two ends around a mean. Their bootstrap is not drawn again."""
    keys = list(dict.fromkeys(key[:-1] for key in rows if key[-3].startswith("votes for")))
    for key in keys:
        low, mean, high = (rows.get((*key, name), {}).get("value", math.nan) for name in ("low", "mean", "high"))
        rounding = 1e-4 * mean  # the bootstrap's is of single precision
        if not (low <= mean + rounding and mean <= high + rounding):
            yield fail(f"{path} {_name(key)}", [low, mean, high], "low, mean and high, in this order")
    if keys:
        yield note(f"{path}: the bootstrap behind the intervals of {len(keys)} numbers of votes was not drawn again")


def _names(run: str, pattern: str = places.RUN) -> dict[str, str]:
    """The wildcards of a run's name, or of another one."""
    return re.fullmatch(places.regex(pattern), run).groupdict()


def _bootstrap(place: str, key: tuple, rows: Mapping[tuple, Mapping[str, Any]]) -> Findings:
    """What can be said of an interval that is not drawn again: it lies around the difference."""
    difference = rows.get((*key[:-3], "difference", key[-2], "mean"))
    own = [rows.get((*key[:-1], statistic), {}).get("value") for statistic in ("low", "mean", "high")]
    if difference is None or None in own or not own[0] <= own[2] or own[1] != difference["value"]:
        yield fail(place, own, "low, mean and high around the difference")


def _row(
    place: str, row: Mapping[str, Any], number: recompute.Number, scope: Scope, files: Mapping[str, Mapping[str, str]],
    terms: Mapping[str, Mapping[str, str]], mean: float,
) -> Findings:  # fmt: skip
    # What comes from the terms of items is summed in another order here; the error is relative to the larger of an end
    # and the aggregate's mean.
    exact = row["statistic"] in ("mean", "std") and row["kind"] in ("measured", "difference", "reference", "paper")
    size = max(abs(number.value), abs(row["value"]), abs(mean)) if math.isfinite(mean) else math.inf
    tolerance = 0.0 if exact else 1e-9 * size + 1e-15
    if row["value"] != number.value and not abs(row["value"] - number.value) <= tolerance:
        yield fail(place, row["value"], number.value)
    yield from differs(f"{place} n", row["n"], number.n)
    if row["statistic"] == "mean":
        yield from differs(f"{place} paper_difference", row["paper_difference"], number.paper_difference)
    if set(row["runs"]) != set(number.sources):
        yield fail(f"{place} runs", ", ".join(row["runs"]), ", ".join(number.sources))
    recorded = {entry["path"]: entry["sha256"] for entry in row["files"]}
    holding = [file_of(of[name], row["metric"]) for of in (files, terms) for name in number.sources if name in of]
    due = {path: scope.results.sha256(path) for path in holding}
    for file in sorted(recorded.keys() | due.keys()):
        if recorded.get(file) != due.get(file):
            yield fail(f"{place} files", f"{file} {recorded.get(file)}", due.get(file, "no such file"))
