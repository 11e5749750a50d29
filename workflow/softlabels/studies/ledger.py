"""The ledger of a study: one row a number, each with the files it was computed from.

``cells.parquet`` is all that tables are rendered from, so a printed number and its origin cannot drift apart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from .. import io, places
from ..contracts import scores
from ..contracts.names import STANDARD
from ..contracts.scores import Scores
from ..errors import UserError
from ..evaluation.statistics import paired_difference, summary
from . import paper

SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("split", pa.string()),
        ("recipe", pa.string()),
        ("label", pa.string()),
        ("metric", pa.string()),
        ("kind", pa.string()),  # measured | difference | reference | paper
        ("versus", pa.string()),
        ("statistic", pa.string()),  # mean | std | low | high
        ("value", pa.float64()),
        ("printed", pa.string()),
        ("decimals", pa.int32()),
        ("aggregation", pa.string()),
        ("n", pa.int32()),
        ("ddof", pa.int32()),
        ("level", pa.float64()),
        ("interval", pa.string()),
        ("oracle", pa.bool_()),
        ("metric_code", pa.string()),
        ("runs", pa.list_(pa.string())),
        ("files", pa.list_(pa.struct([("path", pa.string()), ("sha256", pa.string())]))),
        ("paper_difference", pa.float64()),
    ]
)
NAMES = {"runs": places.RUN, "references": places.SPLIT, "data": "{dataset}"}  # by folder under results/
DECIMALS = 4  # as in the paper's Table 1
Block = tuple[str, str | None, str | None]  # data set, split, recipe (null where a number does not depend on one)


class Evaluation(NamedTuple):
    """One file of scores: where it lies under the results folder, its hash and its content."""

    path: str
    sha256: str
    content: Any


Config = Mapping[str, Any]
Evaluations = Mapping[str, Mapping[str, Evaluation]]  # by name of the run (or draw), and by set of metrics


def blocks(config: Config) -> list[Block]:
    """Every (data set, split, recipe) of the study, in the order of its configuration."""
    return list(itertools.product(config["datasets"], config["splits"], config["recipes"]))


def run_name(block: Block, label: str, seed: int) -> str:
    """The name of a run, such as ``synthetic/random/compact/hard/seed0``."""
    dataset, split, recipe = block
    return places.RUN.format(dataset=dataset, split=split, recipe=recipe, label=label, seed=seed)


def reference_name(block: Block, seed: int) -> str:
    """The name of a file of reference rows, such as ``synthetic/random/seed0`` (no network, so no recipe)."""
    dataset, split, _ = block
    return places.SPLIT.format(dataset=dataset, split=split, seed=seed)


def named(paths: list[Path], folder: str) -> dict[str, Path]:
    """Paths by the name that their place under results/ gives them, such as ``synthetic/random/seed0``.

    Args:
        paths: files under results/.
        folder: the folder under results/, a key of NAMES.

    Raises:
        UserError: a path that does not lie in such a folder.
    """
    result = {}
    for path in paths:
        file = places.find(path)
        if file is None or not file.path.startswith(f"{folder}/"):
            raise UserError(f"{path}: expected a job's file below a folder '{folder}'. Pass a path under results/.")
        result[NAMES[folder].format_map(file.names)] = path
    return result


def expect(found: Mapping[str, Path], names: list[str], what: str) -> None:
    """Refuse a study with a hole.

    Raises:
        UserError: a name without a file; the message lists them all.
    """
    missing = [name for name in names if name not in found]
    if missing:
        raise UserError(
            f"{what}: found none for {', '.join(missing)}; expected one for each data set, split, recipe, label and "
            f"seed of the study. Build what is missing, or take it out of the study."
        )


def evaluations(
    paths: list[Path], folder: str, names: list[str], sets: list[str], read: Callable[[Path], Any] = scores.read
) -> dict[str, dict[str, Evaluation]]:
    """Read and hash scores; their paths are kept relative to the results folder.

    Args:
        paths: the files.
        folder: ``runs`` or ``references``.
        names: of the runs, or of the draws of a split.
        sets: of metrics.
        read: reads one file.

    Returns:
        Name to set to evaluation.

    Raises:
        UserError: a name without a file of a set.
    """
    result: dict[str, dict[str, Evaluation]] = {name: {} for name in names}
    for of_set in sets:
        files = named([path for path in paths if path.stem == of_set], folder)
        expect(files, names, f"{folder}: scores of {of_set}")
        for name in names:
            result[name][of_set] = Evaluation(places.find(files[name]).path, io.sha256(files[name]), read(files[name]))
    return result


def printed(value: float, decimals: int, signed: bool = False) -> str:
    """A number as the tables print it: fixed decimals, "∞" for infinity, a sign where asked."""
    if math.isinf(value):
        return "-∞" if value < 0 else "+∞" if signed else "∞"
    return f"{value:{'+' if signed else ''}.{decimals}f}"


def paper_value(config: Config, block: Block, label: str, metric: str) -> tuple[float, float] | None:
    """The paper's (mean, std) for a data set that plays one of its two, or None."""
    return paper.numbers(config["datasets"][block[0]]["paper"], config["labels"][label]).get(metric)


def _rows(
    config: Config,
    block: Block,
    label: str,
    metric: str,
    kind: str,
    statistics: Mapping[str, tuple[float, str]],
    n: int,
    *,
    decimals: int | None = None,
    ddof: int | None = None,
    sources: Mapping[str, Evaluation] | None = None,
    versus: str | None = None,
    oracle: bool = False,
    paper_difference: float | None = None,
) -> Iterator[dict[str, Any]]:
    """The ledger rows of one aggregate; ``statistics`` maps a statistic to its value and how it was aggregated."""
    interval = "paired t" if "low" in statistics else None
    if decimals is None:  # those of the metric
        decimals = config.get("headings", {}).get(metric, {}).get("decimals", DECIMALS)
    for statistic, (value, aggregation) in statistics.items():
        yield {
            **dict(zip(("dataset", "split", "recipe"), block, strict=True)),
            "label": label,
            "metric": metric,
            "kind": kind,
            "versus": versus,
            "statistic": statistic,
            "value": value,
            "printed": printed(value, decimals, signed=kind == "difference" and statistic != "std"),
            "decimals": decimals,
            "aggregation": aggregation,
            "n": n,
            "ddof": ddof if "std" in statistics else None,
            "level": config["level"] if interval else None,
            "interval": interval,
            "oracle": oracle,
            "metric_code": config.get("metric_code", {}).get(metric, ""),
            "runs": list(sources or {}),
            "files": [{"path": e.path, "sha256": e.sha256} for e in (sources or {}).values()],
            "paper_difference": paper_difference if statistic == "mean" else None,
        }


def _std_text(ddof: int) -> str:
    kind = {0: "population", 1: "sample"}.get(ddof, "corrected")
    return f"{kind} std (ddof {ddof}) over seeds"


def _over_seeds(
    config: Config,
    block: Block,
    label: str,
    metric: str,
    kind: str,
    values: Mapping[str, float | None],
    sources: Mapping[str, Evaluation],
    *,
    oracle: bool = False,
) -> Iterator[dict[str, Any]]:
    """Mean and std over the seeds that have the number; no row for a number that there is not."""
    present = {name: value for name, value in values.items() if value is not None}
    if not present:
        return
    mean, std, n = summary(list(present.values()), config["ddof"])
    statistics = {"mean": (mean, "mean over seeds")}
    if std is not None:
        statistics["std"] = (std, _std_text(config["ddof"]))
    counts = metric in scores.COUNTS
    published = paper_value(config, block, label, metric) if kind == "measured" else None
    yield from _rows(
        config,
        block,
        label,
        metric,
        kind,
        statistics,
        n,
        decimals=None if not counts else 0 if mean == round(mean) else 1,
        ddof=config["ddof"],
        sources={name: sources[name] for name in present},
        oracle=oracle,
        paper_difference=mean - published[0] if published else None,
    )


def _holding(runs: Evaluations, metric: str) -> dict[str, Evaluation]:
    """The file of each run (or draw) that holds a metric."""
    return {name: scores.file_of(sets, metric) for name, sets in runs.items()}


def _measured(config: Config, block: Block, label: str, runs: Evaluations) -> Iterator[dict[str, Any]]:
    """What one label's networks scored, and the facts of their test splits."""
    standard: Scores = next(iter(runs.values()))[STANDARD].content
    more = [*(f"recall.{name}" for name in sorted(standard.classes)), *sorted(standard.metrics("structure."))]
    for metric in [*config["metrics"], *more, "n_items", "n_classes_present", "ties", "tie_credit_acc"]:
        files = _holding(runs, metric)
        values = {name: file.content.value(metric) for name, file in files.items()}
        yield from _over_seeds(config, block, label, metric, "measured", values, files)


def _temperature(config: Config, block: Block, label: str, runs: Evaluations) -> Iterator[dict[str, Any]]:
    """A label's networks after temperature scaling: how much of a gap in KL is confidence alone."""
    for metric in ["temperature", *config["metrics"]]:
        files = _holding(runs, metric)
        values = {name: file.content.value(metric, "temperature") for name, file in files.items()}
        yield from _over_seeds(config, block, f"{label} + temperature", metric, "reference", values, files)


def _differences(
    config: Config, block: Block, label: str, runs: Evaluations, baseline_runs: Evaluations
) -> Iterator[dict[str, Any]]:
    """Label minus baseline, paired by seed."""
    for metric in config["metrics"]:
        sides = [_holding(side, metric) for side in (runs, baseline_runs)]
        a, b = ([file.content.value(metric) for file in side.values()] for side in sides)
        if None in a + b:
            continue
        mean, std, low, high, n = paired_difference(a, b, config["level"])
        if math.isnan(mean):  # two infinite divergences have no difference
            continue
        statistics = {"mean": (mean, "mean over seeds of the paired difference")}
        if std is not None:
            statistics["std"] = (std, f"{_std_text(1)} of the paired difference")
            statistics["low"] = (low, "lower end of the paired t interval")
            statistics["high"] = (high, "upper end of the paired t interval")
        yield from _rows(
            config,
            block,
            label,
            metric,
            "difference",
            statistics,
            n,
            ddof=1,
            sources=sides[0] | sides[1],
            versus=config["baseline"],
        )


def _references(config: Config, block: Block, references: Evaluations) -> Iterator[dict[str, Any]]:
    """Rows that no network was trained for: uniform, prior, oracles, floors."""
    rows: dict[str, Scores] = next(iter(references.values()))[STANDARD].content
    for label, row in rows.items():
        for metric in [*sorted(config["metrics"]), *row.metrics("detail.")]:
            files = _holding(references, metric)
            values = {name: file.content[label].value(metric) for name, file in files.items()}
            yield from _over_seeds(config, block, label, metric, "reference", values, files, oracle=row.oracle)


def _paper(config: Config, block: Block) -> Iterator[dict[str, Any]]:
    """The paper's own numbers for this data set; its kind of std is unstated, so ddof stays null."""
    for label in config["labels"]:
        for metric in config["metrics"]:
            published = paper_value(config, block, label, metric)
            if published:
                statistics = {
                    "mean": (published[0], "from the paper's Table 1"),
                    "std": (published[1], "from the paper's Table 1"),
                }
                yield from _rows(config, block, label, metric, "paper", statistics, paper.SPLITS)


def _block(config: Config, block: Block, runs: Evaluations) -> Iterator[dict[str, Any]]:
    """Everything that depends on the networks of one data set, split and recipe."""
    of = {
        label: {name: runs[name] for name in (run_name(block, label, seed) for seed in config["seeds"])}
        for label in config["labels"]
    }
    for label in of:
        yield from _measured(config, block, label, of[label])
    for label in of:
        if label != config["baseline"]:
            yield from _differences(config, block, label, of[label], of[config["baseline"]])
    for label in of:
        yield from _temperature(config, block, label, of[label])


def build(config: Config, runs: Evaluations, references: Evaluations) -> pa.Table:
    """The ledger of a study.

    Args:
        config: the resolved study.
        runs: the scores of every run, by ``run_name`` and set of metrics.
        references: the reference rows of every data set, split and seed, by ``reference_name`` and set of metrics.

    Returns:
        A table of ``SCHEMA``; rows in the order of the configuration.
    """
    rows: list[dict[str, Any]] = []
    for dataset in config["datasets"]:
        for block in (block for block in blocks(config) if block[0] == dataset):
            rows += _block(config, block, runs)
        for split in config["splits"]:
            names = [reference_name((dataset, split, None), seed) for seed in config["seeds"]]
            rows += _references(config, (dataset, split, None), {name: references[name] for name in names})
        rows += _paper(config, (dataset, None, None))
    return pa.Table.from_pylist(rows, schema=SCHEMA)
