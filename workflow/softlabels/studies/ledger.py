"""The ledger of a study: one row a number, each with the files it was computed from.

``cells.parquet`` is all that tables are rendered from, so a printed number and its origin cannot drift apart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from .. import io, places
from ..contracts import (
    ALL,
    AT,
    COUNTED,
    COUNTS,
    GAP,
    PLUS,
    STANDARD,
    UNCOMPARED,
    Scores,
    file_of,
    metric_of,
    read_accuracies,
    read_scores,
    read_terms,
)
from ..errors import UserError
from ..evaluation import plateau
from ..evaluation.intervals import holm
from ..evaluation.statistics import summary
from . import budgets, claims, comparisons, judging, paper, verdicts
from .comparisons import Side
from .ledger_view import (
    MAIN,
    OF_BLOCK,
    OF_DRAWS,
    OWN,
    PLACE,
    SCALED,
    SCHEMA,
    STD,
    Block,
    accuracies,
    epoch_of,
)

NAMES = {"runs": places.RUN, "references": places.SPLIT, "data": "{dataset}"}  # by folder under results/
FACTS = ("n_items", "n_classes_present", "ties", "tie_credit_acc")
DECIMALS = 4  # as in the paper's Table 1, of what says nothing else
TABLE_1 = "from the paper's Table 1"
SIGNED = ("difference", "best", *comparisons.OTHERS, budgets.BEST)  # kinds of rows that are differences


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
    # Scores, or one by row that needs no network; of terms the file, which is read when it is due; of a history its
    # epochs and accuracies
    content: Any


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
        files = named(
            [path for path in paths if path.name.partition(".")[0] == of_set],
            folder,
            names,
            f"{folder}: scores of {of_set}",
        )
        for name, file in files.items():
            result[name][of_set] = Evaluation(places.find(file).path, io.sha256(file), read(file))
    return result


def histories(paths: list[Path], names: list[str]) -> dict[str, Evaluation]:
    """Read and hash the histories of runs of some names; see :func:`named`."""
    files = named(paths, "runs", names, "histories")
    return {name: Evaluation(places.find(f).path, io.sha256(f), read_accuracies(f)) for name, f in files.items()}


def printed(value: float, decimals: int, signed: bool = False) -> str:
    """A number as the tables print it: fixed decimals, "∞" for infinity, a sign where asked."""
    if math.isinf(value):
        return "-∞" if value < 0 else "+∞" if signed else "∞"
    return f"{value:{'+' if signed else ''}.{decimals}f}"


def _signed(kind: str) -> bool:
    return kind in SIGNED or kind.startswith(f"{verdicts.KIND} ")


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
    files = [*sources.values(), *more.pop("terms", ())]
    method = more.pop("interval", None)
    interval = {"level": config["level"], "interval": method} if "low" in statistics else {}
    about = config["headings"].get(metric.partition(AT)[0], {})
    decimals = more.pop("decimals", about.get("decimals", DECIMALS))
    ddof, difference = more.pop("ddof", None), more.pop("paper_difference", None)
    for statistic, (value, aggregation) in statistics.items():
        yield {
            **dict(zip((*PLACE, *config.get("varied", ())), block, strict=True)),
            **dict(zip(OF_BLOCK, (label, metric, kind), strict=False)),
            "statistic": statistic,
            "value": value,
            "printed": printed(value, decimals, signed=_signed(kind) and statistic in ("mean", "low", "high")),
            "decimals": decimals,
            "aggregation": aggregation,
            "n": n,
            "ddof": ddof if "std" in statistics else None,
            "oracle": False,
            "metric_code": config["metric_code"].get(metric_of(metric), ""),
            "runs": list(sources),
            "files": [{"path": file.path, "sha256": file.sha256} for file in files],
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
    **around: Any,
) -> Iterator[dict[str, Any]]:
    """Mean and std over the seeds that have the number; no row for a number that there is not.

    ``around`` has the ends of an interval, by statistic, and the ``terms`` that these come from.
    """
    files = _holding(runs, metric)
    found = {
        name: file.content.value(metric, scaling)
        for name, file in files.items()
        if scaling in ("none", *file.content.scalings)  # a run without validation items is not scaled
    }
    values = {name: value for name, value in found.items() if value is not None}
    if not values:
        return
    mean, std = summary(list(values.values()), config["ddof"])
    statistics = {"mean": (mean, "mean over seeds")}
    if std is not None:
        statistics["std"] = (std, _std_text(config["ddof"]))
    ends = {end: around.pop(end) for end in ("low", "high") if end in around}
    statistics |= ends
    more: dict[str, Any] = {"interval": comparisons.PRINTED, **around} if ends else {}
    number = metric.partition(AT)[0]
    if number in COUNTS or number.endswith(COUNTED):
        more["decimals"] = int(len({*values.values()}) > 1)
    if published:
        more["paper_difference"] = mean - published[0]
    sources = {name: files[name] for name in values}
    oracle = next(iter(sources.values())).content.oracle
    key = (*block, label, metric, kind)
    yield from _rows(config, key, statistics, len(values), ddof=config["ddof"], sources=sources, oracle=oracle, **more)


def _std_text(ddof: int) -> str:
    return f"{STD[ddof]} std (ddof {ddof}) over seeds"


def _measured(
    config: Config, point: Point, label: str, runs: Evaluations, terms: Evaluations
) -> Iterator[dict[str, Any]]:
    """What one label's networks scored, and the facts of their test splits."""
    scored: list[Scores] = [sets[STANDARD].content for sets in runs.values()]
    more = [*(f"recall.{name}" for name in sorted(scored[0].classes)), *sorted(scored[0].metrics("structure."))]
    groups = [*_of_groups(scored), *_besides(runs)]
    ends = comparisons.around(_side(runs, terms), [*config["metrics"], *groups], config["level"])
    for metric in [*config["metrics"], *more, *FACTS, *groups]:
        around = {"terms": _holding(terms, metric).values(), **ends[metric]} if metric in ends else {}
        around["published"] = _published(config, point, label).get(metric)
        yield from _over_seeds(config, point.block, label, metric, "measured", runs, **around)


def _of_groups(scored: list[Scores]) -> list[str]:
    """The numbers of groups that any run has, such as ``kl@clear``."""
    return list(dict.fromkeys(name for scores in scored for name in scores.of_groups()))


def _besides(runs: Evaluations) -> list[str]:
    """The numbers that further metrics have besides themselves, such as those of single readers."""
    of_sets = (file.content for sets in runs.values() for name, file in sets.items() if name != STANDARD)
    return list(dict.fromkeys(name for scores in of_sets for name in scores.besides()))


def _epochs(config: Config, point: Point, label: str, histories: Mapping[str, Evaluation]) -> Iterator[dict[str, Any]]:
    """When one label's networks reach the accuracies that tables ask for: of each, and of all that do; and how many do.

    Nothing of runs without a history, or whose history has no accuracy.
    """
    of_seed = dict(zip(config["seeds"], point.runs(label, config["seeds"]), strict=True))
    files = {name: file for name in of_seed.values() if (file := histories.get(name)) is not None}
    files = {name: file for name, file in files.items() if np.isfinite(file.content[1]).any()}
    for accuracy in accuracies(config["tables"]) if files else ():
        found = {name: plateau.reached(*file.content, accuracy) for name, file in files.items()}
        there = {name: float(epoch) for name, epoch in found.items() if epoch is not None}
        key = (*point.block, label, epoch_of(accuracy))
        share = {"mean": (len(there) / len(files), "share of the runs that reach it")}
        yield from _rows(config, (*key, "reached"), share, len(files), sources=files, decimals=2)
        for seed, name in of_seed.items():
            if name in there:
                epoch = {"mean": (there[name], "of one run")}
                yield from _rows(config, (*key, f"run {seed}"), epoch, 1, sources={name: files[name]}, decimals=0)
        if there:
            mean, std = summary([*there.values()], config["ddof"])
            statistics = {"mean": (mean, "mean over the seeds that reach it")}
            statistics |= {} if std is None else {"std": (std, _std_text(config["ddof"]))}
            more = {"ddof": config["ddof"], "sources": {name: files[name] for name in there}}
            yield from _rows(config, (*key, "measured"), statistics, len(there), **more)


def _main(config: Config) -> list[str]:
    """The metrics that main tables show: of these alone other intervals and scaled networks are noted."""
    chosen = {metric for table in config["tables"] for metric in table.get("metrics") or ()}
    return [metric for metric in config["metrics"] if metric in MAIN or metric in chosen]


def _side(runs: Evaluations, terms: Evaluations) -> Side:
    return Side(*([{key: file.content for key, file in sets.items()} for sets in of.values()] for of in (runs, terms)))


def _of_both(of: Mapping[str, tuple[Evaluations, Evaluations]], label: str, versus: str, metric: str) -> dict[str, Any]:
    """What a row of two labels comes from: the files of both that hold a metric."""
    runs, terms = (_holding(of[label][part], metric) | _holding(of[versus][part], metric) for part in (0, 1))
    return {"sources": runs, "terms": terms.values(), "versus": versus}


def _differences(
    config: Config, block: Block, label: str, versus: str, of: Mapping[str, tuple[Evaluations, Evaluations]]
) -> Iterator[dict[str, Any]]:
    """Label minus baseline, paired by seed, and how much of their gap in KL is confidence.

    ``of`` has the scores and the terms of each label's runs.
    """
    sides = [_side(*of[name]) for name in (label, versus)]
    groups = [
        name for name in _of_groups([sets[STANDARD] for sets in sides[0].scores]) if not name.startswith(UNCOMPARED)
    ]
    n = len(sides[0].scores)
    names = [*config["metrics"], *groups]
    for metric, found in comparisons.differences(*sides, names, config["level"], _main(config)):
        more = _of_both(of, label, versus, metric)
        key = (*block, label, metric)
        yield from _rows(config, (*key, "difference"), found.statistics, n, ddof=1, interval=found.interval, **more)
        for method, ends in found.others.items():
            statistics = {"mean": found.statistics["mean"], **ends}
            yield from _rows(config, (*key, method), statistics, n, interval=method, **more)
    scaled = {f"{GAP}{PLUS}{scaling}": text for scaling, text in SCALED.items() if GAP in config["metrics"]}
    for name, found in comparisons.differences(*sides, scaled, config["level"]):
        more = _of_both(of, label, versus, GAP) | {"versus": f"{versus} + {scaled[name]}", "interval": found.interval}
        key = (*block, f"{label} + {scaled[name]}", GAP, "difference")
        yield from _rows(config, key, found.statistics, n, ddof=1, **more)
    for k, p in comparisons.mcnemar(*sides):
        pair = {side: tuple(dict([list(part.items())[k]]) for part in of[side]) for side in (label, versus)}
        statistics = {"mean": (p, "exact mid-p of one pair of networks")}
        key = (*block, label, "acc", f"McNemar {config['seeds'][k]}")
        yield from _rows(config, key, statistics, 1, **_of_both(pair, label, versus, "acc"))
    for name, text in scaled.items():
        statistics = comparisons.confidence(*sides, [GAP, name], config["level"])
        if statistics:
            more = {"interval": "Fieller, two-way", **_of_both(of, label, versus, GAP)}
            yield from _rows(config, (*block, f"{label} + {text}", GAP, "confidence"), statistics, n, **more)


def _best(config: Config, point: Point, of: Mapping[str, tuple[Evaluations, Evaluations]]) -> Iterator[dict[str, Any]]:
    """The label with the best mean of each metric, against every other, with Holm's p over these comparisons."""
    sides = {label: _side(*of[label]) for label in of}
    p = {pair: comparisons.p_values(*map(sides.get, pair), config["metrics"])
         for pair in itertools.combinations(sides, 2)}  # fmt: skip
    for metric in config["metrics"]:
        values = {label: side.values(metric) for label, side in sides.items()}
        means = {label: summary(found, 1)[0] for label, found in values.items() if None not in found}
        best = comparisons.best(means, config["headings"].get(metric, {}).get("better"))
        others = [label for label in means if label != best] if best else []
        found = [next(of_pair for pair, of_pair in p.items() if {best, other} == {*pair}).get(metric, math.nan)
                 for other in others]  # fmt: skip
        for other, adjusted in zip(others, holm(found).tolist(), strict=True):
            if math.isnan(means[best] - means[other]):  # two infinite means have no difference
                continue
            statistics = {"mean": (means[best] - means[other], "difference of the means over seeds")}
            if math.isfinite(adjusted):
                statistics["p"] = (adjusted, f"Holm's p of {len(others)} comparisons, {comparisons.PRINTED}")
            more = _of_both(of, best, other, metric)
            yield from _rows(config, (*point.block, best, metric, "best"), statistics, len(values[best]), **more)


def _references(config: Config, block: Block, references: Evaluations) -> Iterator[dict[str, Any]]:
    """Rows that no network was trained for: uniform, prior, oracles, floors."""
    labels = dict.fromkeys(label for sets in references.values() for label in sets[STANDARD].content)
    for label in labels:  # one of few votes may be absent in some draws of the split
        of_row = {
            name: {of_set: file._replace(content=file.content[label]) for of_set, file in sets.items()}
            for name, sets in references.items()
            if label in sets[STANDARD].content
        }
        details = dict.fromkeys(name for sets in of_row.values() for name in sets[STANDARD].content.metrics("detail."))
        for metric in [*sorted({*config["metrics"], *OWN.get(label, ())}), *details]:
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


def _point(
    config: Config, point: Point, runs: Evaluations, terms: Evaluations, histories: Mapping[str, Evaluation]
) -> Iterator[dict[str, Any]]:
    """Everything that depends on the networks of one point of the grid."""
    names = {label: point.runs(label, config["seeds"]) for label in point.labels}
    of = {label: {name: runs[name] for name in names[label]} for label in names}
    both = {
        label: (
            of[label],
            {
                name: {key: file._replace(content=read_terms(file.content)) for key, file in terms[name].items()}
                for name in names[label]
            },
        )
        for label in names
    }
    for label in of:
        yield from _measured(config, point, label, *both[label])
        yield from _epochs(config, point, label, histories)
    for label in of:
        if label != config["baseline"]:
            yield from _differences(config, point.block, label, config["baseline"], both)
    yield from _best(config, point, both)
    for label in of:  # after scaling: how much of a gap in KL is confidence alone
        for scaling in SCALED:
            for metric in [*(["temperature"] if scaling.startswith("temperature") else []), *_main(config)]:
                row = f"{label} + {SCALED[scaling]}"
                yield from _over_seeds(config, point.block, row, metric, "reference", of[label], scaling)


def _sides(point: Point, label: str, config: Config, runs: Evaluations, terms: Evaluations) -> tuple[Evaluations, Side]:
    """The scores of a label's runs at a point, and these with the terms, which are read now."""
    names = point.runs(label, config["seeds"])
    scored, read = {name: runs[name] for name in names}, {name: terms[name] for name in names}
    read = {name: {key: file._replace(content=read_terms(file.content)) for key, file in sets.items()}
            for name, sets in read.items()}  # fmt: skip
    return scored, _side(scored, read)


def _holders(scored: Iterable[Evaluations], terms: Evaluations, metric: str) -> dict[str, Any]:
    """What a row of several labels or points comes from: the files of scores and of terms that hold a metric."""
    sources = {name: file for of in scored for name, file in _holding(of, metric).items()}
    return {"sources": sources, "terms": [file_of(terms[name], metric) for name in sources]}


def _verdicts(config: Config, runs: Evaluations, terms: Evaluations) -> Iterator[dict[str, Any]]:
    """Each statement of the study's claims wherever it applies, with Holm's p over all of them."""
    of_block = {point.block: point for point in points(config)}
    told = []
    for statement in config.get("claims", ()):
        for block, *both in claims.pairs(statement, [*of_block], config.get("varied", ())):
            first, second = (
                _sides(of_block[at], label, config, runs, terms)
                for at, label in zip(both, statement["contrast"], strict=True)
            )
            statistics, p = judging.judged(first[1], second[1], statement, config["level"])
            if statistics:
                told.append(
                    (statement, block, statistics, p, _holders((first[0], second[0]), terms, statement["metric"]))
                )
    adjusted = holm([p for _, _, _, p, _ in told]).tolist()
    tested = sum(map(math.isfinite, adjusted))
    for (statement, block, statistics, _, held), p in zip(told, adjusted, strict=True):
        if math.isfinite(p):
            statistics["p"] = (p, f"Holm's p of {tested} statements, {comparisons.PRINTED}")
        more = {"level": verdicts.level_of(statement, config["level"])} if "low" in statistics else {}
        more |= {"interval": comparisons.PRINTED, "versus": statement["contrast"][1], **held}
        key = (*block, statement["contrast"][0], statement["metric"], verdicts.kind_of(statement))
        yield from _rows(config, key, statistics, len(config["seeds"]), **more)


def _needed(config: Config, own: list[Point], runs: Evaluations, terms: Evaluations) -> Iterator[dict[str, Any]]:
    """How many votes an image are enough for each label and metric, over the points that differ in nothing else."""
    table = budgets.table_of(config["tables"], "budget")
    if table is None:
        return
    place = len(PLACE) + config["varied"].index(budgets.VOTES)
    curves: dict[Block, dict[Point, float | None]] = {}
    for point in own:
        mean = config["votes"][point.names[0]]
        of_curve = curves.setdefault((*point.block[:place], None, *point.block[place + 1 :]), {})
        of_curve[point.block] = budgets.number_of(point.block[place], mean)
    at = {point.block: point for point in own}
    for block, votes in curves.items():
        numbers, blocks = zip(*budgets.ascending(votes), strict=True)
        for label in at[blocks[0]].labels:
            scored, sides = zip(*(_sides(at[b], label, config, runs, terms) for b in blocks), strict=True)
            for metric in budgets.metrics_of(config, table):
                held = _holders(scored, terms, metric)
                better = config["headings"][metric]["better"]
                for kind, statistics in judging.needed(numbers, sides, metric, better, config["level"]):
                    interval = comparisons.OTHERS[-1] if kind.startswith("votes") else comparisons.PRINTED
                    more = {"interval": interval, **held, **({"decimals": 1} if kind.startswith("votes") else {})}
                    yield from _rows(config, (*block, label, metric, kind), statistics, len(config["seeds"]), **more)


def _spent(config: Config, own: list[Point], runs: Evaluations, terms: Evaluations) -> Iterator[dict[str, Any]]:
    """What the labels of each point cost, and which point is the best, for each label and metric."""
    table = budgets.table_of(config["tables"], "fixed_budget")
    if table is None:
        return
    groups: dict[tuple, list[Point]] = {}
    for point in own:
        groups.setdefault(point.block[: len(PLACE)], []).append(point)
    for group, label in ((of, label) for of in groups.values() for label in of[0].labels):
        scored, sides = {}, {}
        for point in group:
            scored[point.block], sides[point.block] = _sides(point, label, config, runs, terms)
            files = {name: sets[STANDARD] for name, sets in scored[point.block].items()}
            definition = config["labels"][point.labels[label]]
            votes = budgets.number_of(str(definition.get("votes", "all")), config["votes"][point.names[0]])
            of_run = [
                budgets.with_label(
                    *(file.content.get(part, ALL, "none", "n_items") for part in ("train", "val")),
                    definition.get("items"),
                )
                for file in files.values()
            ]
            train, val = (math.fsum(items) / len(files) for items in zip(*of_run, strict=True))
            for name, items in ((budgets.COST, train + val), (budgets.OF_VALIDATION, val)):
                cost = {} if votes is None else {"mean": (budgets.spent(items, votes, table), "images x votes")}
                key = (*point.block, label, name, "cost")
                yield from _rows(config, key, cost, len(files), sources=files, decimals=0)
        for metric in budgets.metrics_of(config, table):
            found = judging.best(sides, metric, config["headings"][metric]["better"], config["level"])
            first, others = found or (None, {})
            for other, statistics in others.items():
                more = {"versus": budgets.name_of(other), "interval": comparisons.PRINTED}
                more |= _holders((scored[first], scored[other]), terms, metric)
                key = (*first, label, metric, budgets.BEST)
                yield from _rows(config, key, statistics, len(config["seeds"]), **more)


def build(
    config: Config, runs: Evaluations, terms: Evaluations, references: Evaluations,
    histories: Mapping[str, Evaluation],
) -> pa.Table:  # fmt: skip
    """The ledger of a study.

    Args:
        config: the resolved study, and ``headings``, what the tables tell of each metric, and with tables of budgets
            ``votes``, how many an item of each data set has on average (None: not known).
        runs: the scores of every run, by its name (``Point.runs``) and set of metrics.
        terms: the files of the terms behind these.
        references: the reference rows of every data set, split and seed, by name (``Point.draws``) and set of metrics.
        histories: those of the runs whose epochs tables ask for, by the run's name.

    Returns:
        A table of ``SCHEMA`` with a column for each varied key after the recipe; rows as the configuration has them.
    """
    of_dataset: dict[str, list[Point]] = {}
    for point in points(config):
        of_dataset.setdefault(point.block[0], []).append(point)
    rows: list[dict[str, Any]] = []
    for own in of_dataset.values():
        for point in own:
            rows += _point(config, point, runs, terms, histories)
        for block, point in {point.depends(config, *OF_DRAWS, on=2): point for point in own}.items():
            rows += _references(config, block, {name: references[name] for name in point.draws(config["seeds"])})
        rows += _paper(config, own)
        rows += _needed(config, own, runs, terms)
        rows += _spent(config, own, runs, terms)
    rows += _verdicts(config, runs, terms)
    varied = [pa.field(key, pa.string()) for key in config.get("varied", ())]
    fields = list(SCHEMA)
    return pa.Table.from_pylist(rows, schema=pa.schema([*fields[: len(PLACE)], *varied, *fields[len(PLACE) :]]))
