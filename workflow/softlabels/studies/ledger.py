"""The ledger of a study: one row a number, each with the files it was computed from.

``cells.parquet`` is all that tables are rendered from, so a printed number and its origin cannot drift apart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from .. import io, places
from ..contracts import COUNTS, STANDARD, Scores, file_of, read_scores
from ..errors import UserError
from ..evaluation.statistics import paired_difference, summary
from . import paper
from .ledger_view import OF_BLOCK, PLACE, SCHEMA, STD, Block

NAMES = {"runs": places.RUN, "references": places.SPLIT, "data": "{dataset}"}  # by folder under results/
DECIMALS = 4  # as in the paper's Table 1, of what says nothing else
TABLE_1 = "from the paper's Table 1"


class Point(NamedTuple):
    """One point of a study's grid.

    Attributes:
        block: data set, split and recipe as the study names them, and the value of each varied key as text.
        names: data set, split and recipe that ran.
        labels: the label that ran, by what the study calls it.
    """

    block: Block
    names: tuple[str, str, str]
    labels: Mapping[str, str]

    def runs(self, label: str, seeds: Iterable[int]) -> list[str]:
        """The names of a label's runs, such as ``synthetic/random/compact/hard/seed0``."""
        place = dict(zip(PLACE, self.names, strict=True), label=self.labels[label])
        return [places.RUN.format(**place, seed=seed) for seed in seeds]

    def draws(self, seeds: Iterable[int]) -> list[str]:
        """The names of files of reference rows, such as ``synthetic/random/seed0`` (no network, so no recipe)."""
        return [places.SPLIT.format(dataset=self.names[0], split=self.names[1], seed=seed) for seed in seeds]

    def depends(self, config: Config, *kinds: str, on: int = 0) -> Block:
        """The block of numbers that depend on the first ``on`` names and the varied keys of these kinds only."""
        varied = zip(config.get("varied", ()), self.block[3:], strict=True)
        values = (value if key.partition(".")[0] in kinds else None for key, value in varied)
        return (*self.block[:on], *(None,) * (3 - on), *values)


class Evaluation(NamedTuple):
    """One file of scores: where it lies under the results folder, its hash and its content."""

    path: str
    sha256: str
    content: Any  # Scores, or one by row that needs no network


Config = Mapping[str, Any]
Evaluations = Mapping[str, Mapping[str, Evaluation]]  # by name of the run (or draw), and by set of metrics


def points(config: Config) -> list[Point]:
    """The points of the study in the order of its configuration; of one that varies nothing, all combinations."""
    if "points" in config:
        return [
            Point((*p["base"], *(p["values"][key] for key in config["varied"])), tuple(p["names"]), p["labels"])
            for p in config["points"]
        ]
    labels = {label: label for label in config["labels"]}
    names = itertools.product(config["datasets"], config["splits"], config["recipes"])
    return [Point(block, block, labels) for block in names]


def labels_of(config: Config) -> list[str]:
    """What the study calls its labels, the baseline first."""
    return sorted(points(config)[0].labels, key=lambda label: label != config["baseline"])


def named(paths: list[Path], folder: str, names: Iterable[str], what: str, skip: int = 0) -> dict[str, Path]:
    """The files of some names, which their place under results/ gives them, such as ``synthetic/random/seed0``.

    Args:
        paths: files under results/.
        folder: the folder there, a key of NAMES; ``what`` they are is told where one is missing.
        names: of the files that are wanted, without the first ``skip`` parts.

    Raises:
        UserError: a path that does not lie in such a folder, or names without a file; the message lists them all.
    """
    found = {}
    for path in paths:
        file = places.find(path)
        if file is None or not file.path.startswith(f"{folder}/"):
            raise UserError(f"{path}: expected a job's file below a folder '{folder}'. Pass a path under results/.")
        found["/".join(NAMES[folder].format_map(file.names).split("/")[skip:])] = path
    missing = [name for name in names if name not in found]
    if missing:
        raise UserError(
            f"{what}: found none for {', '.join(missing)}; expected one for each data set, split, recipe, label and "
            f"seed of the study. Build what is missing, or take it out of the study."
        )
    return {name: found[name] for name in names}


def of_labels(paths: list[Path], config: Config, seeds: list[int], what: str) -> dict[str, Path]:
    """Files of the runs of one block by ``<label>/seed<seed>``; the labels are the configuration's."""
    return named(paths, "runs", [f"{label}/seed{seed}" for label in config["labels"] for seed in seeds], what, skip=3)


def evaluations(
    paths: list[Path], folder: str, names: list[str], sets: list[str], read: Callable[[Path], Any] = read_scores
) -> dict[str, dict[str, Evaluation]]:
    """Read and hash scores (with ``read``), by name and set of metrics; see :func:`named`."""
    result: dict[str, dict[str, Evaluation]] = {name: {} for name in names}
    for of_set in sets:
        files = named([path for path in paths if path.stem == of_set], folder, names, f"{folder}: scores of {of_set}")
        for name, file in files.items():
            result[name][of_set] = Evaluation(places.find(file).path, io.sha256(file), read(file))
    return result


def printed(value: float, decimals: int, signed: bool = False) -> str:
    """A number as the tables print it: fixed decimals, "∞" for infinity, a sign where asked."""
    if math.isinf(value):
        return "-∞" if value < 0 else "+∞" if signed else "∞"
    return f"{value:{'+' if signed else ''}.{decimals}f}"


def _published(config: Config, point: Point, label: str) -> Mapping[str, tuple[float, float]]:
    """The paper's (mean, std) by metric, for a label on a data set that plays one of its two."""
    return paper.numbers(config["datasets"][point.names[0]]["paper"], config["labels"][point.labels[label]])


def _rows(
    config: Config, key: tuple, statistics: Mapping[str, tuple[float, str]], n: int, **more: Any
) -> Iterator[dict[str, Any]]:
    """The ledger rows of one aggregate.

    Args:
        config: the resolved study.
        key: the block, the label, the metric and the kind.
        statistics: statistic to its value and how it was aggregated.
        n: how many numbers it is made of.
        more: ``sources``, the evaluations that these come from, by name; and columns that are not null or false.
    """
    *block, label, metric, kind = key
    sources: Mapping[str, Evaluation] = more.pop("sources", {})
    interval = {"level": config["level"], "interval": "paired t"} if "low" in statistics else {}
    decimals = more.pop("decimals", config["headings"].get(metric, {}).get("decimals", DECIMALS))
    ddof, difference = more.pop("ddof", None), more.pop("paper_difference", None)
    for statistic, (value, aggregation) in statistics.items():
        yield {
            **dict(zip((*PLACE, *config.get("varied", ())), block, strict=True)),
            **dict(zip(OF_BLOCK, (label, metric, kind), strict=False)),
            "statistic": statistic,
            "value": value,
            "printed": printed(value, decimals, signed=kind == "difference" and statistic != "std"),
            "decimals": decimals,
            "aggregation": aggregation,
            "n": n,
            "ddof": ddof if "std" in statistics else None,
            "oracle": False,
            "metric_code": config["metric_code"].get(metric, ""),
            "runs": list(sources),
            "files": [{"path": file.path, "sha256": file.sha256} for file in sources.values()],
            "paper_difference": difference if statistic == "mean" else None,
            **interval,
            **more,
        }


def _holding(runs: Evaluations, metric: str) -> dict[str, Evaluation]:
    """The file of each run (or draw) that holds a metric."""
    return {name: file_of(sets, metric) for name, sets in runs.items()}


def _over_seeds(
    config: Config,
    block: Block,
    label: str,
    metric: str,
    kind: str,
    runs: Evaluations,
    scaling: str = "none",
    published: tuple[float, float] | None = None,
) -> Iterator[dict[str, Any]]:
    """Mean and std over the seeds that have the number; no row for a number that there is not."""
    files = _holding(runs, metric)
    found = {name: file.content.value(metric, scaling) for name, file in files.items()}
    values = {name: value for name, value in found.items() if value is not None}
    if not values:
        return
    mean, std = summary(list(values.values()), config["ddof"])
    statistics = {"mean": (mean, "mean over seeds")}
    if std is not None:
        statistics["std"] = (std, _std_text(config["ddof"]))
    more = {"decimals": 0 if mean == round(mean) else 1} if metric in COUNTS else {}
    if published:
        more["paper_difference"] = mean - published[0]
    sources = {name: files[name] for name in values}
    oracle = next(iter(sources.values())).content.oracle
    key = (*block, label, metric, kind)
    yield from _rows(config, key, statistics, len(values), ddof=config["ddof"], sources=sources, oracle=oracle, **more)


def _std_text(ddof: int) -> str:
    return f"{STD[ddof]} std (ddof {ddof}) over seeds"


def _measured(config: Config, point: Point, label: str, runs: Evaluations) -> Iterator[dict[str, Any]]:
    """What one label's networks scored, and the facts of their test splits."""
    standard: Scores = next(iter(runs.values()))[STANDARD].content
    more = [*(f"recall.{name}" for name in sorted(standard.classes)), *sorted(standard.metrics("structure."))]
    for metric in [*config["metrics"], *more, "n_items", "n_classes_present", "ties", "tie_credit_acc"]:
        published = _published(config, point, label).get(metric)
        yield from _over_seeds(config, point.block, label, metric, "measured", runs, published=published)


def _differences(
    config: Config, block: Block, label: str, runs: Evaluations, baseline_runs: Evaluations
) -> Iterator[dict[str, Any]]:
    """Label minus baseline, paired by seed."""
    for metric in config["metrics"]:
        sides = [_holding(side, metric) for side in (runs, baseline_runs)]
        a, b = ([file.content.value(metric) for file in side.values()] for side in sides)
        if None in a + b:
            continue
        mean, std, interval = paired_difference(a, b, config["level"])
        if math.isnan(mean):  # two infinite divergences have no difference
            continue
        statistics = {"mean": (mean, "mean over seeds of the paired difference")}
        if interval:
            statistics["std"] = (std, f"{_std_text(1)} of the paired difference")
            statistics["low"] = (interval[0], "lower end of the paired t interval")
            statistics["high"] = (interval[1], "upper end of the paired t interval")
        key, sources = (*block, label, metric, "difference"), sides[0] | sides[1]
        yield from _rows(config, key, statistics, len(a), ddof=1, sources=sources, versus=config["baseline"])


def _references(config: Config, block: Block, references: Evaluations) -> Iterator[dict[str, Any]]:
    """Rows that no network was trained for: uniform, prior, oracles, floors."""
    rows: dict[str, Scores] = next(iter(references.values()))[STANDARD].content
    for label, row in rows.items():
        of_row = {
            name: {of_set: file._replace(content=file.content[label]) for of_set, file in sets.items()}
            for name, sets in references.items()
        }
        for metric in [*sorted(config["metrics"]), *row.metrics("detail.")]:
            yield from _over_seeds(config, block, label, metric, "reference", of_row)


def _paper(config: Config, points: list[Point]) -> Iterator[dict[str, Any]]:
    """The paper's own numbers for this data set; its kind of std is unstated, so ddof stays null."""
    told = {(point.depends(config, "label", on=1), label): point for point in points for label in point.labels}
    for (block, label), point in told.items():
        published = _published(config, point, label)
        for metric in filter(published.get, config["metrics"]):
            mean, std = published[metric]
            statistics = {"mean": (mean, TABLE_1), "std": (std, TABLE_1)}
            yield from _rows(config, (*block, label, metric, "paper"), statistics, paper.SPLITS)


def _point(config: Config, point: Point, runs: Evaluations) -> Iterator[dict[str, Any]]:
    """Everything that depends on the networks of one point of the grid."""
    of = {label: {name: runs[name] for name in point.runs(label, config["seeds"])} for label in point.labels}
    for label in of:
        yield from _measured(config, point, label, of[label])
    for label in of:
        if label != config["baseline"]:
            yield from _differences(config, point.block, label, of[label], of[config["baseline"]])
    for label in of:  # after temperature scaling: how much of a gap in KL is confidence alone
        for metric in ["temperature", *config["metrics"]]:
            row = f"{label} + temperature"
            yield from _over_seeds(config, point.block, row, metric, "reference", of[label], "temperature")


def build(config: Config, runs: Evaluations, references: Evaluations) -> pa.Table:
    """The ledger of a study.

    Args:
        config: the resolved study, and ``headings``: what the tables tell of each metric.
        runs: the scores of every run, by its name (``Point.runs``) and set of metrics.
        references: the reference rows of every data set, split and seed, by name (``Point.draws``) and set of metrics.

    Returns:
        A table of ``SCHEMA`` with a column for each varied key after the recipe; rows as the configuration has them.
    """
    of_dataset: dict[str, list[Point]] = {}
    for point in points(config):
        of_dataset.setdefault(point.block[0], []).append(point)
    rows: list[dict[str, Any]] = []
    for own in of_dataset.values():
        for point in own:
            rows += _point(config, point, runs)
        for block, point in {point.depends(config, "dataset", "source", "split", on=2): point for point in own}.items():
            rows += _references(config, block, {name: references[name] for name in point.draws(config["seeds"])})
        rows += _paper(config, own)
    varied = [pa.field(key, pa.string()) for key in config.get("varied", ())]
    fields = list(SCHEMA)
    return pa.Table.from_pylist(rows, schema=pa.schema([*fields[: len(PLACE)], *varied, *fields[len(PLACE) :]]))
