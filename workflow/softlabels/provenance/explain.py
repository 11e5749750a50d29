"""`softlabels explain`: one number of a table, followed back to its images and votes.

What is told comes from the study's ledger, its chain and the manifests that the jobs wrote, never from the
configuration or the code of today. What is not there is told as missing.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from .. import closure, registry, schema
from ..columns import heads, percent
from ..commands import COMMANDS, FITTED, TRAINED
from ..contracts import metric_of
from ..errors import UserError
from ..places import BENCHMARKS, LOGS, diff, of_study, parse
from ..studies.ledger_view import EPOCH, PLACE, SCALED, Ledger, key_of
from . import recompute
from .evidence import Results, entries, reading, study_of

Row = dict[str, Any]
Run = tuple[str, str, str]  # of an evaluation behind a cell: name, path and hash
Tree = dict[str, Any]  # "name", "facts" (label: value), "below" (trees)

FIRST = ("measured", "difference")  # kinds that are meant where nothing is said
CHOICES = 20  # how many are listed when a cell is ambiguous
SMALL = 1_000_000  # bytes; larger files are compared by size here, and by content in the audit
# From the checkpoint down to votes and images.
DOWN = ("predictions", "features", "labels", "label", "annotations", "reference", "images", "items", "split")
ORDER = {name: rank for rank, name in enumerate(DOWN)}
# Where a study is looked for by its name.
NEAR = ("results/studies/*", "results/*/studies/*", "studies/*", "*/studies/*")
UNMADE = "the manifest of the job that wrote {}"
SEED = re.compile(r"\bseed\s*(\d+)\b", re.IGNORECASE)
MINUS = re.compile(r"\s*[-−]\s*|\s+(?:minus|vs|versus)\s+", re.IGNORECASE)
PAIR = re.compile(r'([\w.]+)=("[^"]*"|\S+)')


# -- which study ---------------------------------------------------------------------------------------------------


def locate(table: str) -> tuple[Results, str]:
    """Results folder and name of the study that a table's path, a study's folder or a study's name stands for.

    A UserError lists those there are if there is none.
    """
    path = Path(table)
    if found := study_of(path):
        return Results(found[0]), found[1]
    if path.exists():
        raise UserError(
            f"{table}: found no study there, expected a table or a folder such as results/studies/hard_vs_soft."
        )
    studies = [*_studies()]
    named = [folder for folder in studies if folder.name == table]
    if not named:
        elsewhere = sorted({str(folder.parents[1]) for folder in studies} - {"results"})
        looked = ", ".join([str(Path("results").resolve()), *elsewhere])
        raise UserError(
            f"{table}: no such table, and no such study in {looked}. "
            f"{_nearest(table, {folder.name for folder in studies})} Where a configuration sets another results "
            f"folder, name the study's folder or one of its tables, such as FOLDER/studies/{table} or "
            f"FOLDER/studies/{table}/table.md."
        )
    if len(named) > 1:
        raise UserError(f"{table}: found {' and '.join(map(str, named))}. Name the folder.")
    return Results(named[0].parents[1]), table


def _studies() -> Iterator[Path]:
    """The folders of studies in ``results`` and below it, in this folder, and in the folders that lie in it."""
    found = [folder for pattern in NEAR for folder in sorted(Path().glob(pattern))]
    for folder in dict.fromkeys(found):
        root = folder.parents[1]
        finished = any((root / of_study(folder.name, output)).is_file() for output in ("cells", "table_csv"))
        if root.name not in (LOGS, BENCHMARKS) and (finished or folder.parts[0] == "results"):
            yield folder


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(sorted(known)) or 'none'}."


# -- which cell ----------------------------------------------------------------------------------------------------


def find(rows: list[Row], row: str, column: str, heading: Callable[[str], str]) -> Row:
    """The row of the ledger that words for a table's row and column pick.

    Args:
        rows: the ledger.
        row, column: in any order, words (data set, split, recipe, the value of a varied key, label, "soft - hard", a
            metric or its heading, kind, statistic) or ``key=value`` for a column of the ledger, such as ``epochs=10``.
            They pick the cell that has all of them, and of several the one with the fewest words besides, then the one
            whose whole kind is said; where nothing is said, mean, and measured or the difference.
        heading: what the printed tables call a metric, such as ``ACC ↑``.

    Raises:
        UserError: an unknown word or key, no such cell, or several, which are listed.
    """
    asked, of_varied = f"{row} {column}", _varied(rows)
    columns = {name: name for name in rows[0]} | {head: name for name, head in of_varied.items()}
    for name, value in PAIR.findall(asked):
        if name not in columns:
            raise UserError(f"{name}={value}: the ledger has no column {name}. {_nearest(name, columns)}")
        there = {str(cell[columns[name]]) for cell in rows}
        rows = [cell for cell in rows if str(cell[columns[name]]) == value.strip('"')]
        if not rows:
            raise UserError(f"{name}={value}: no number is this. {_nearest(value, there)}")
    # A number that does not depend on the recipe or split belongs to all of them.
    places = {name: " ".join({cell[name] for cell in rows if cell[name]}) for name in (*PLACE, *of_varied)}
    ends = " ".join(of_varied.values())
    described = []  # what a cell may be called, and what need not be said of it
    for cell in rows:
        label, metric = "-".join(filter(None, (cell["label"], cell["versus"]))), cell["metric"]
        names = [_words(label, name) for name in (metric, metric.replace(".", " "), heading(metric))]
        level = f"{percent(cell['level'])} interval" if cell["level"] else ""
        rest = [cell[name] or text for name, text in places.items()]
        described.append((names, _words(*rest, ends, cell["kind"], cell["statistic"], level)))
    vocabulary = {word for names, rest in described for counted in (*names, rest) for word in counted}
    spelled = {word.casefold(): word for word in sorted(vocabulary)} | {word: word for word in vocabulary}
    said: Counter[str] = Counter()
    for word, count in _words(PAIR.sub("", asked)).items():
        if (spelling := spelled.get(word, spelled.get(word.casefold()))) is None:
            raise UserError(f"'{word}' names no part of a cell of this table. {_nearest(word, vocabulary)}")
        said[spelling] += count
    by_fit: dict[tuple, list[Row]] = defaultdict(list)
    for cell, (names, rest) in zip(rows, described, strict=True):
        lacks, besides = min((_more(said, name, rest), _more(name, said)) for name in names)
        kind = FIRST.index(cell["kind"]) if cell["kind"] in FIRST else len(FIRST)
        whole = not _more(_words(cell["kind"]), said)  # "gain of votes" is in "votes for 90% of the gain", too
        by_fit[lacks, besides, cell["statistic"] != "mean", kind, not whole].append(cell)
    (lacks, *_), found = min(by_fit.items())
    if lacks:
        raise UserError(f"'{row}' '{column}': no number is all of this. The nearest:\n{_listed(found, rows)}")
    if len(found) > 1:
        raise UserError(f"'{row}' '{column}' could be {len(found)} numbers. Add a word:\n{_listed(found, rows)}")
    return found[0]


def _more(words: Counter[str], *others: Counter[str]) -> int:
    """How many words there are more than in the others together."""
    return sum(max(0, count - sum(other[word] for other in others)) for word, count in words.items())


@lru_cache(maxsize=10_000)
def _words(*texts: str) -> Counter[str]:
    """The words of texts, which nobody changes; a difference, such as "soft - hard", is one."""
    text = MINUS.sub("-", " ".join(texts)).replace("ε", "eps")
    return Counter(re.findall(r"\w+(?:[.-]\w+)*", text))


def _varied(rows: list[Row]) -> dict[str, str]:
    """The columns of what the study varies, and what they may be called for short."""
    columns = [name for name in rows[0] if "." in name]
    return dict(zip(columns, heads(columns), strict=True))


def title(cell: Row, rows: list[Row]) -> str:
    """Words that pick a cell; data set, split, recipe and varied keys only where the ledger has several."""
    place = [cell[k] for k in PLACE if cell[k] and len({r[k] for r in rows if r[k]}) > 1]
    place += [f"{head}={_quoted(cell[k])}" for k, head in _varied(rows).items() if cell[k] is not None]
    kind = "" if cell["kind"] in FIRST else cell["kind"]
    label = " - ".join(filter(None, (cell["label"], cell["versus"])))
    return " ".join(filter(None, [*place, kind, label, cell["metric"], cell["statistic"]]))


def _quoted(text: str) -> str:
    return f'"{text}"' if re.search(r"\s", text) else text


def _listed(cells: list[Row], rows: list[Row]) -> str:
    lines = [f"  {title(cell, rows)}  ({cell['printed']})" for cell in cells[:CHOICES]]
    return "\n".join(lines + [f"  and {len(cells) - CHOICES} more"] * (len(cells) > CHOICES))


# -- the chain of a cell -------------------------------------------------------------------------------------------


def explain(table: str, row: str, column: str) -> dict[str, Any]:
    """Everything behind one number.

    Args:
        table: a table's path, a study's folder or a study's name.
        row, column: see :func:`find`; ``seed0`` among them narrows the chain to the runs of that seed.

    Returns:
        ``study``, ``cell`` (its row of the ledger) and ``tree`` (nodes of ``name``, ``facts`` and ``below``), ready for
        JSON. A fact "missing" says what could not be followed.

    Raises:
        UserError: no study, no ledger, or words that pick no cell or several.
    """
    results, study = locate(table)
    ledger = of_study(study, "cells")
    with reading(ledger):
        cells = results.cells(study)
        printed, rows = Ledger(cells), cells.to_pylist()
        if not rows:
            raise UserError(f"{ledger}: found no numbers. Run again to rebuild it.")
        seeds = set(SEED.findall(f"{row} {column}"))
        cell = find(rows, SEED.sub("", row), SEED.sub("", column), printed.heading)
        behind = _of_seeds(cell, seeds)
        facts = _cell_facts(cell, printed.aggregates[tuple(cell[name] for name in key_of(cells))].values(), study)
        if seeds:
            facts["shown below"] = f"{len(behind)} of its {len(cell['runs'])} runs"
        tree = _tree(f"{title(cell, rows)} = {cell['printed']}", facts, _below(cell, behind, _Graph(results, study)))
        return {"study": study, "cell": {key: _number(value) for key, value in cell.items()}, "tree": tree}


def graph(results: Results, study: str, keys: list[tuple] | None = None) -> dict[str, Any]:
    """Everything behind some numbers of a study, each file and each job once, ready for JSON.

    Args:
        results: the results folder.
        study: its name.
        keys: of the aggregates that are told, as in ``Ledger.aggregates``; None: all.

    Returns:
        ``tables``, the node of the job that wrote the tables; ``cells``, an entry an aggregate of the ledger: ``key``
        (as in ``Ledger.aggregates``), ``title``, ``facts``, ``metric`` (a node, or None where nothing ran) and ``runs``
        (of each its node, side or None, value or None); ``nodes`` by id: ``name``, ``facts`` and ``below``, the ids of
        earlier nodes. A fact "missing" says what could not be followed.

    Raises:
        UserError: no ledger, or one that cannot be read.
    """
    with reading(of_study(study, "cells")):
        aggregates, built = Ledger(results.cells(study)).aggregates, _Graph(results, study)
        all_rows = [row for aggregate in aggregates.values() for row in aggregate.values()]
        # All that titles depend on: whether there are several data sets, splits or recipes.
        of_place = [{row[name]: row for row in all_rows if row[name]} for name in PLACE]
        places = [row for found in of_place for row in list(found.values())[:2]]
        tables, cells = built.tables(), []
        for key in aggregates if keys is None else keys:
            aggregate = aggregates[key]
            cell = aggregate.get("mean") or next(iter(aggregate.values()))
            behind = _of_seeds(cell, set())
            metric, runs = built.metric(cell, behind), [(built.run(cell, run), built.said(cell, run)) for run in behind]
            missing = "; ".join(dict.fromkeys(said["missing"] for _, said in runs if "missing" in said))
            facts = {**_cell_facts(cell, aggregate.values(), study), "missing": missing or None}
            cells.append({
                "key": list(key), "title": title(cell, places), "facts": _known(facts), "metric": metric,
                "runs": [[run, said.get("side"), said.get("value")] for run, said in runs],
            })  # fmt: skip
        nodes = {
            number: {"name": node.name, "facts": node.facts, "below": [below for _, below in node.below]}
            for number, node in built.nodes.items()
        }
        return {"tables": tables, "cells": cells, "nodes": nodes}


def _below(cell: Row, behind: list[Run], built: _Graph) -> list[Tree]:
    """What is told below a cell: a walk through the graph."""
    numbers = [built.metric(cell, behind), built.tables()]
    runs, told = [(built.run(cell, run), built.said(cell, run)) for run in behind], set()
    trees = [_tree(built.nodes[number].name, built.nodes[number].facts) for number in numbers if number]
    for number, said in runs:
        run = built.nodes[number]
        trees.append(_tree(run.name, said, [built.tree(*file, told) for file in run.below]))
    return trees


def _of_seeds(cell: Row, seeds: set[str]) -> list[Run]:
    """The evaluations behind a cell, of some seeds or, if none are given, of all."""
    runs = [(name, file["path"], file["sha256"]) for name, file in zip(cell["runs"], cell["files"], strict=False)]
    chosen = [run for run in runs if not seeds or run[0].rpartition("/seed")[2] in seeds]
    if seeds and not chosen:
        there = ", ".join(dict.fromkeys(name.rpartition("/")[2] for name, _, _ in runs)) or "none"
        raise UserError(f"seed{', seed'.join(sorted(seeds))}: no run of this number has it; it has {there}.")
    return chosen


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: _number(value) for key, value in facts.items() if value is not None}


def _tree(name: str, facts: dict[str, Any], below: list[Tree] | None = None) -> Tree:
    return {"name": name, "facts": _known(facts), "below": below or []}


def _told(path: str, facts: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Facts from a file; where it cannot be read, that this is missing."""
    try:
        with reading(path):
            return facts()
    except UserError as error:
        return {"missing": str(error)}


def _number(value: Any) -> Any:
    """JSON has no infinity."""
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def _cell_facts(cell: Row, aggregate: Iterable[Row], study: str) -> dict[str, Any]:
    ddof = f", ddof {cell['ddof']}" if cell["ddof"] is not None else ""
    difference = cell["paper_difference"]
    beside = (f"{row['statistic']} {row['printed']}" for row in aggregate if row["statistic"] != cell["statistic"])
    return {
        "value": cell["value"],
        "printed": f"{cell['printed']}, rounded to {cell['decimals']} decimals",
        "aggregation": f"{cell['aggregation']}, n = {cell['n']}{ddof}",
        "beside it": ", ".join(beside) or None,
        "interval": f"{cell['interval']}, level {cell['level']:g}" if cell["interval"] else None,
        "here − paper": f"{difference:+.{cell['decimals']}f}" if difference is not None else None,
        "kind": f"{cell['kind']}, an oracle: it uses the truth of the test item" if cell["oracle"] else cell["kind"],
        "of": " / ".join(cell[name] for name in PLACE if cell[name]),
        "varied": ", ".join(f"{name} {cell[name]}" for name in _varied([cell]) if cell[name] is not None) or None,
        "table": f"{of_study(study, 'table_md')}, row of {of_study(study, 'cells')}",
        "source": f"Table 1 of Grossmann, Schmarje and Koch (2022), kept in {_source('softlabels.studies.paper')}"
        if cell["kind"] == "paper"
        else None,
    }


class _Node(NamedTuple):
    """A metric, run, file or job; ``below`` is what it came from: what that is to it, and the id of its node."""

    name: str
    facts: dict[str, Any]
    below: list[tuple[str, str]]


class _Graph:
    """The way from a study back to its data: ``nodes`` by id, each after those below it, so that none is its own."""

    def __init__(self, results: Results, study: str):
        self.results, self.study = results, study
        self.url = _remote()
        self.nodes: dict[str, _Node] = {}
        self.ids: dict[tuple[str, ...], str] = {}
        self.content = cache(self._content)
        try:
            self.chain, self.no_chain = results.chain(study), None
        except UserError as error:
            self.chain, self.no_chain = {}, str(error)

    def add(self, key: tuple, name: str, facts: dict[str, Any], below: Iterable[tuple[str, str]] = ()) -> str:
        """The id of a new node; one with a key is found by it from now on."""
        number = str(len(self.nodes))
        self.nodes[number] = _Node(name, _known(facts), list(below))
        if key:
            self.ids[key] = number
        return number

    # -- what is behind a cell -----------------------------------------------------------------------------------------

    def metric(self, cell: Row, behind: list[Run]) -> str | None:
        """The module that computed the number, as it was when the runs were evaluated; None where nothing ran."""
        if not behind:
            return None
        _, path, sha256 = behind[0]
        name, facts = f"metric {cell['metric']}", _told(path, lambda: self._metric(cell, path, sha256))
        key = ("metric", name, *facts.items())
        return self.ids.get(key) or self.add(key, name, facts)

    def _metric(self, cell: Row, path: str, sha256: str) -> dict[str, Any]:
        of_epochs = cell["metric"].startswith(EPOCH)
        if of_epochs or cell["kind"] == "cost":  # made by the job that writes the tables
            place = f"softlabels.{'evaluation.plateau' if of_epochs else 'studies.budgets'}"
            tables = of_study(self.study, "manifest")
            if tables not in self.results.manifests:
                return {"missing": f"{tables}: no such manifest"}
            return {"code": self.code(self.results.manifests[tables], place)[1]}
        producer = self.results.producer(sha256, path)
        if producer is None:
            return {"missing": UNMADE.format(path)}
        options = producer[1]["config"].get("metrics", {}).get(metric_of(cell["metric"]))
        if options:
            place = ":".join(registry.location("metric", options["kind"]))
        elif cell["metric"].startswith("structure."):
            place = "softlabels.evaluation.structure"
        else:
            place = COMMANDS[producer[1]["command"]].module
        digest, source = self.code(producer[1], place)
        same = cell["metric_code"] in ("", digest)
        other = None if same else f"the code that the ledger names, {cell['metric_code']}"
        return {"code": source, "missing": other}

    def tables(self) -> str:
        """The job that wrote the ledger and the tables."""
        path = of_study(self.study, "manifest")
        manifest = self.results.manifests.get(path)
        if manifest is None:
            missing = self.results.unreadable.get(path, f"{path}: no such manifest")
            return self.add((), "tables", {"missing": missing})
        _, aggregation = self.code(manifest, "softlabels.evaluation.statistics")
        return self.add((), "tables and ledger", {**self.job(path, manifest), "aggregation": aggregation})

    def run(self, cell: Row, run: Run) -> str:
        """One evaluation, and all that it came from."""
        if (key := ("run", *run)) in self.ids:
            return self.ids[key]
        name, path, sha256 = run
        of = "history" if cell["metric"].startswith(EPOCH) else "evaluation"
        return self.add(key, f"run {name}", {}, [(of, self.file(of, {"path": path, "sha256": sha256}))])

    def said(self, cell: Row, run: Run) -> dict[str, Any]:
        """What a cell has of a run: on which side of a difference it is, and its value, or why there is none."""
        name, path, _ = run
        facts: dict[str, Any] = {}
        if cell["versus"]:
            ours = cell["runs"][: len(cell["runs"]) // 2]  # then those that are subtracted
            facts["side"] = cell["label"] if name in ours else f"{cell['versus']} (subtracted)"
        if cell["kind"] == "cost":  # which no file has
            return facts
        return facts | _told(path, lambda: {"value": _number(self.value(path, cell))})

    def value(self, path: str, cell: Row) -> float | None:
        """A cell's number in one file of scores, or in one history."""
        of_epochs = cell["metric"].startswith(EPOCH)
        found = self.content(path, of_epochs)
        if "missing" in found:
            raise UserError(found["missing"])
        content = found["content"]
        if of_epochs:
            return recompute.first_epoch(content, float(cell["metric"].removeprefix(EPOCH)))
        if isinstance(content, dict):  # rows that need no network
            return content[cell["label"]].value(cell["metric"])
        scaling = next((name for name, text in SCALED.items() if cell["label"].endswith(f" + {text}")), "none")
        return content.value(cell["metric"], scaling)

    def _content(self, path: str, of_epochs: bool) -> dict[str, Any]:
        file = parse(path)
        of_rows = file and file.command == "references"
        read = self.results.accuracies if of_epochs else self.results.reference_rows if of_rows else self.results.scores
        return _told(path, lambda: {"content": read(path)})

    # -- files and jobs ------------------------------------------------------------------------------------------------

    def file(self, name: str, entry: dict[str, Any], above: tuple[str, ...] = ()) -> str:
        """A file, and the job that wrote it; ``above`` are the files and manifests that this one leads to."""
        path = entry.get("path")
        if path in above:
            origin = f"the origin: {path} is said to be made from itself"
            return self.add((), name, {**self.facts(entry), "missing": origin})
        if (key := ("file", *(str(entry.get(of)) for of in ("path", "source", "sha256")))) in self.ids:
            return self.ids[key]
        facts = self.facts(entry)
        if "path" not in entry:
            return self.add(key, name, {**facts, "origin": "outside of the results folder"})
        producer = self.results.producer(entry.get("sha256", ""), path)
        if producer is None:
            return self.add(key, name, {**facts, "missing": facts["missing"] or UNMADE.format(path)})
        manifest, content = producer
        if manifest in above:
            return self.add((), name, {**facts, "see": f"(same job as above: {content['command']})"})
        return self.add(key, name, facts, [("job", self.made(manifest, content, (*above, path, manifest)))])

    def made(self, path: str, manifest: dict[str, Any], above: tuple[str, ...]) -> str:
        """A job, and what it read: of a training, its checkpoint did."""
        if (key := ("job", path)) in self.ids:
            return self.ids[key]
        inputs = sorted(entries(manifest["inputs"]), key=lambda read: ORDER.get(read[0], len(ORDER)))
        below = [(name, self.file(name, entry, above)) for name, entry in inputs]
        if manifest["command"] in (TRAINED, FITTED):
            model = next((file for output, file in entries(manifest["outputs"]) if output == "model"), {})
            below = [("checkpoint", self.add((), "checkpoint", self.facts(model), below))]
        return self.add(key, f"job {manifest['command']}", self.job(path, manifest), below)

    def tree(self, name: str, number: str, told: set[str | None], above: tuple[str, ...] = ()) -> Tree:
        """A file and what it came from as a tree, in which each file and each job is told once."""
        _, facts, below = self.nodes[number]
        path = facts.get("file")
        if "origin" in facts or path in above:
            return _tree(name, facts)
        if path in told:
            return _tree(name, {**facts, "missing": None, "see": "(see above)"})
        told.add(path)
        if not below:
            return _tree(name, facts)
        job = self.nodes[below[0][1]]
        manifest = job.facts["manifest"]
        command = self.results.manifests[manifest]["command"]
        if manifest in told:
            return _tree(name, {**facts, "see": f"(same job as above: {command})"})
        told.add(manifest)
        checkpoint = self.nodes[job.below[0][1]] if command in (TRAINED, FITTED) else None
        trees = [self.tree(*read, told, (*above, path)) for read in (checkpoint or job).below]
        if checkpoint:
            told.add(checkpoint.facts.get("file"))
            trees = [_tree("checkpoint", checkpoint.facts, trees)]
        missing = "; ".join(node["missing"] for node in (facts, job.facts) if "missing" in node)
        order = dict.fromkeys(("file", "sha256", "missing"))
        return _tree(name, order | facts | job.facts | {"missing": missing or None}, trees)

    def facts(self, entry: dict[str, Any]) -> dict[str, Any]:
        """What an entry of a manifest says of its file, and what is wrong with that (of a large one: its size)."""
        told = {"file": entry.get("path") or entry.get("source"), "sha256": entry.get("sha256"), "missing": None}
        if "path" not in entry:
            return told if "source" in entry else told | {"missing": "no file is named"}
        try:
            size = self.results.file(entry["path"]).stat().st_size
            small = size <= SMALL
            if entry.get("bytes", size) != size or (small and self.results.sha256(entry["path"]) != told["sha256"]):
                told["missing"] = f"{entry['path']} is not the file that was used: its content has changed"
        except UserError as error:
            told["missing"] = str(error)
        return told

    def job(self, path: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """What a manifest says of its job, in a few lines."""
        return _told(path, lambda: self._job(path, manifest)) | {"manifest": path}

    def _job(self, path: str, manifest: dict[str, Any]) -> dict[str, Any]:
        environment, machine, facts = manifest["environment"], manifest["machine"], manifest["facts"]
        packages, settings, slurm = environment["packages"], manifest.get("determinism"), machine.get("slurm")
        started, ended = (datetime.fromisoformat(manifest[key]).astimezone(UTC) for key in ("started", "ended"))
        where = [machine.get("host"), machine.get("system"), machine.get("gpu") or "no GPU used"]
        if place := facts.get("place"):
            where.append(f"{place['uuid']} (place {place['slot']} of {place['slots']})")
        versions = [f"{name} {packages[name]}" for name in ("numpy", "pyarrow") if name in packages]
        versions = [f"Python {environment.get('python')}", *versions]
        torch = [packages.get("torch")]
        if settings:
            torch += [f"threads {settings['threads']}", f"deterministic {settings['deterministic_algorithms']}".lower()]
        return {
            "made by": f"softlabels {manifest['command']}, {started:%Y-%m-%d %H:%M:%S} UTC, "
            f"{(ended - started).total_seconds():.1f} s",
            "where": ", ".join(filter(None, [*where, f"SLURM job {slurm.get('job')}" if slurm else None])),
            "environment": ", ".join([*versions, _locked(environment.get("pins"))]),
            "torch": ", ".join(filter(None, torch)) or None,
            "code": self.code(manifest)[1],
            "configuration": differences(manifest["config"]),
            "seed": manifest["config"].get("seed"),
            "read": facts.get("read"),
            "penalty": _penalty(facts) if "fits" in facts else None,
            "pre-trained weights": facts.get("weights_sha256"),
            "resumes": _resumes(facts["attempts"]) if "attempts" in facts else None,
            "initial weights": facts.get("initial_sha256"),
            "order of items": facts.get("order_sha256"),
            "manifest": path,
            "missing": self.unchained(path),
        }

    def unchained(self, path: str) -> str | None:
        """Why the study's chain does not vouch for a manifest, or None."""
        if self.no_chain:
            return self.no_chain
        if path not in self.chain:
            return f"an entry for {path} in {of_study(self.study, 'chain')}"
        if self.chain[path] != self.results.sha256(path):
            return f"the {path} that {of_study(self.study, 'chain')} lists: it has changed"
        return None

    def code(self, manifest: dict[str, Any], place: str = "") -> tuple[str | None, str]:
        """Hash of the code of an entry or a module (or of all that ran), and in words where it is at its commit."""
        code = manifest["code"]
        ran = code["definitions"].get(place) or code["entries"].get(place) or code["sha256"]
        digest = closure.hash_of(ran) if isinstance(ran, dict) else ran
        if place and place not in code["definitions"].keys() | code["entries"].keys():
            return None, f"unknown: the job's manifest does not list {place}"
        commit, file = code.get("commit"), _source(place.partition(":")[0] or COMMANDS[manifest["command"]].module)
        link = f"{self.url}/blob/{commit}/{file}" if self.url and commit else f"{file}@{commit or 'unknown commit'}"
        changes = f", with the uncommitted changes in {diff(code.get('diff'))}" if code.get("dirty") else ""
        return digest, f"{link}{changes}, hash {digest}"


def _penalty(facts: dict[str, Any]) -> str:
    """The penalty of a head, and what is to be known of it."""
    chosen = next(fit for fit in facts["fits"] if fit["penalty"] == facts["penalty"])
    edge = "at the edge of the list, so one beyond it may be better" if facts["edge"] else "not at the edge of the list"
    fit = "converged" if chosen["converged"] else "did not converge"
    return f"{facts['penalty']:g} of {len(facts['fits'])} tried, {edge}; the fit {fit} in {chosen['steps']} steps"


def _resumes(attempts: list[dict[str, Any]]) -> str:
    def resume(attempt: dict[str, Any]) -> str:
        (epoch, step), job = attempt["position"], attempt["job"]
        return f"from epoch {epoch}, step {step} on {attempt['host']}{f' (SLURM job {job})' if job else ''}"

    return ", ".join(map(resume, attempts[1:])) or "none, trained in one go"


def _locked(pins: dict[str, Any] | None) -> str:
    if not pins:
        return "no lock file to compare with"
    pairs = [f"{name} {ran} (locked: {locked})" for name, (ran, locked) in pins["different"].items()]
    return f"not as in {pins['file']}: {', '.join(pairs)}" if pairs else f"all packages as in {pins['file']}"


def _source(module: str) -> str:
    """A module's file in the repository, or in the folder of the user's own."""
    return f"{'workflow/' if module.startswith('softlabels') else 'your own '}{module.replace('.', '/')}.py"


def _remote() -> str | None:
    """The web address of this repository, if git knows one."""
    command = ["git", "-C", str(closure.PACKAGE), "config", "--get", "remote.origin.url"]
    try:
        address = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # no git here
        return None
    match = re.fullmatch(r"(?:https?://|ssh://)?(?:[^@/]+@)?([\w.-]+)(?::\d+/|[:/])(.+?)(?:\.git)?/?", address)
    return f"https://{match[1]}/{match[2]}" if match and not address.startswith(("/", ".")) else None


# -- what is not default -------------------------------------------------------------------------------------------


def differences(config: dict[str, Any]) -> str | None:
    """What of a job's configuration differs from the schema's defaults, or has none; None for other commands."""
    rules = schema.of_command()["properties"]
    parts = {key: config[key] for key in ("recipe", "label", "split", "source") if isinstance(config.get(key), dict)}
    if not parts:
        return None
    found = []
    for key, ran in parts.items():
        kind = {name: ran[name] for name in ("kind", "predictions", "train") if name in ran}  # which rules there are
        defaults = dict(_flat(schema.complete(kind, rules[key])))
        for name, value in _flat(ran):
            said = f"{name.removesuffix('.kind')} {_text(value)}"
            if name in kind or name not in defaults:
                found.append(said)
            elif value != defaults[name]:
                found.append(f"{said} (default {_text(defaults[name])})")
    return f"{', '.join(found)}; the rest as by default"


def _flat(value: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, sub in value.items():
        if isinstance(sub, dict) and sub:
            yield from _flat(sub, f"{above}{key}.")
        else:
            yield f"{above}{key}", sub


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# -- printing ------------------------------------------------------------------------------------------------------


def render(explained: dict[str, Any]) -> str:
    """The tree as text: hashes shortened; machine and environment where they change from one job to the next."""
    said: dict[str, Any] = {}

    def lines(node: Tree, first: str, rest: str) -> Iterator[str]:
        facts = dict(node["facts"])
        file = [facts.pop(key) for key in ("file", "sha256", "see") if key in facts]
        yield _short(first + "  ".join([node["name"], *file]))
        for key, value in facts.items():
            if key not in ("where", "environment", "torch") or said.get(key) != value:
                yield _short(f"{rest}{'│' if node['below'] else ' '}    {key}: {value}")
                said[key] = value
        for position, below in enumerate(node["below"], start=1):
            last = position == len(node["below"])
            yield from lines(below, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))

    note = "Short hashes; --json has them whole. `softlabels audit` checks that all files and all code still have them."
    return "\n".join([*lines(explained["tree"], "", ""), "", note]) + "\n"


def _short(line: str) -> str:
    """A line with its SHA-256 and commit hashes cut to 12 digits, but for those of a web address."""
    return re.sub(r"(?<![0-9a-f])(?<!blob/)([0-9a-f]{12})[0-9a-f]{28}(?:[0-9a-f]{24})?(?![0-9a-f])", r"\1", line)
