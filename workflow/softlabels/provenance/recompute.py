"""The numbers of a study once more, by a second implementation: plain NumPy and ``math``, nothing of ``evaluation/``.

``evaluation/`` says where each formula comes from; here they are written again, so that a mistake in one of the two
shows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..contracts import STANDARD, Scores, Terms, file_of
from ..studies import paper
from ..studies.claims import pairs
from ..studies.ledger_view import MAIN, OWN, PROJECTED, SCALED, epoch_of
from . import recompute_budgets, recompute_intervals
from .recompute_intervals import mean_and_std


class Number(NamedTuple):
    """A number that a ledger should hold."""

    value: float
    n: int  # how many numbers it is made of
    sources: tuple[str, ...] = ()  # names of the runs (or draws of reference rows) that these come from
    paper_difference: float | None = None  # the mean minus the paper's, where the paper has one
    terms: bool = False  # whether it comes from the terms of items, too


# -- reference rows ----------------------------------------------------------------------------------------------------


def reference_predictions(p: np.ndarray, train: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
    """What the reference rows without draws predict for the test items, ``[n_test, C]`` by name."""
    n_classes = p.shape[1]
    truth = p[test].argmax(axis=1)
    truth_in_train = p[train].argmax(axis=1)
    one_hot = np.eye(n_classes)[truth]
    members = [truth_in_train == k if (truth_in_train == k).any() else slice(None) for k in range(n_classes)]
    means = np.stack([p[train][rows].mean(axis=0) for rows in members])
    alpha = (1 - p[train].max(axis=1).mean()) * n_classes / (n_classes - 1)
    return {
        "uniform": np.full_like(one_hot, 1 / n_classes),
        "prior": np.tile(p[train].mean(axis=0), (len(test), 1)),
        "class_mean": means[truth],
        "best_smoothing": (1 - alpha) * one_hot + alpha / n_classes,
        "one_hot": one_hot,
    }


# -- the ledger --------------------------------------------------------------------------------------------------------

Config = Mapping[str, Any]  # ``config.json`` of a study
Runs = Mapping[str, Mapping[str, Scores]]  # by name of the run, and by set of metrics
Curves = Mapping[str, list[tuple[int, float | None]]]  # by name of the run: epoch, and accuracy on validation items
Draws = Mapping[str, Mapping[str, Mapping[str, Scores]]]  # by name of the draw of a split, set of metrics, and row


class Point(NamedTuple):
    """A point of a study's grid: what rows call it, data set, split and recipe that ran, and labels by their base."""

    block: tuple[str | None, ...]
    ran: tuple[str, ...]
    labels: Mapping[str, str]


def points(config: Config) -> list[Point]:
    """Every point of a study: those that it lists, or all combinations."""
    if "points" not in config:
        same = {label: label for label in config["labels"]}
        grid = itertools.product(config["datasets"], config["splits"], config["recipes"])
        return [Point(names, names, same) for names in grid]
    return [
        Point((*point["base"], *map(point["values"].get, config["varied"])), tuple(point["names"]), point["labels"])
        for point in config["points"]
    ]


def run_names(config: Config, point: Point, label: str) -> list[str]:
    """The runs of a label, a seed each, such as ``synthetic/random/compact/soft/seed0``."""
    return ["/".join([*point.ran, point.labels[label], f"seed{seed}"]) for seed in config["seeds"]]


def draw_names(config: Config, point: Point) -> list[str]:
    """The draws of a split, a seed each, such as ``synthetic/random/seed0``."""
    return ["/".join([*point.ran[:2], f"seed{seed}"]) for seed in config["seeds"]]


def _part(config: Config, point: Point, names: int, *heads: str) -> tuple[str | None, ...]:
    """A block with nothing but its first names and the values of keys that begin with one of these words."""
    kept = [k < names or (k >= 3 and config["varied"][k - 3].startswith(heads)) for k in range(len(point.block))]
    return tuple(value if keep else None for value, keep in zip(point.block, kept, strict=True))


def ledger(
    config: Config, runs: Runs, terms: Callable[[str], Mapping[str, Terms]], references: Draws, curves: Curves
) -> dict[tuple, Number]:
    """Every number that the ledger of a study should hold, by block, label, metric, kind, versus and
    statistic.

    Args:
        config: ``config.json`` of the study, and with tables of budgets ``votes``, how many an item of each data set
            has on average.
        runs: the scores of each run.
        terms: gives the terms of a run by set of metrics.
        references: the reference rows of each draw of a split.
        curves: the history of each run that tables ask for.
    """
    numbers: dict[tuple, Number] = {}
    metrics, ddof, baseline = config["metrics"], config["ddof"], config["baseline"]
    grid = points(config)
    for point, label in ((each, label) for each in grid for label in each.labels):
        block, names, published = point.block, run_names(config, point, label), _published(config, point, label)
        measured = {name: _measured(runs[name], metrics) for name in names}
        numbers |= _over_seeds((*block, label), "measured", measured, ddof, published)
        numbers |= _epochs(config, (*block, label), names, curves)
        besides = {number for name in names for number in _besides(runs[name])}
        for metric in (*metrics, *_groups(runs[name][STANDARD] for name in names), *sorted(besides)):
            if items := _items({label: {name: (runs[name], terms(name)) for name in names}}, (label,), metric):
                ends = recompute_intervals.two_way_interval(items, config["level"]) or ()
                found = dict(zip(("low", "high"), ends, strict=False))
                for statistic in ("mean", "std") if ends else ():  # of one aggregate, from the same files
                    key = (*block, label, metric, "measured", None, statistic)
                    numbers[key] = numbers[key]._replace(terms=True)
                numbers |= _numbers((*block, label, metric, "measured", None), found, len(names), tuple(names))
        for scaling, text in SCALED.items():
            scaled = {name: _scaled(runs[name], _main(config), scaling) for name in names}
            numbers |= _over_seeds((*block, f"{label} + {text}"), "reference", scaled, ddof)
    for point in grid:
        sides = {label: {name: (runs[name], terms(name)) for name in run_names(config, point, label)}
                 for label in point.labels}  # fmt: skip
        for label in point.labels:
            if label != baseline:
                numbers |= _compared(config, point.block, label, sides)
        numbers |= _best(config, point.block, sides)
    for block, point in {_part(config, point, 2, "dataset.", "source.", "split."): point for point in grid}.items():
        draws = {name: references[name] for name in draw_names(config, point)}
        for row in dict.fromkeys(row for sets in draws.values() for row in sets[STANDARD]):
            rows = {name: {key: of_set[row] for key, of_set in sets.items()}
                    for name, sets in draws.items() if row in sets[STANDARD]}  # fmt: skip
            own = dict.fromkeys((*metrics, *OWN.get(row, ())))
            values = {name: _values(of_row, (*own, *of_row[STANDARD].metrics("detail.")))
                      for name, of_row in rows.items()}  # fmt: skip
            numbers |= _over_seeds((*block, row), "reference", values, ddof)
    for point, label in ((each, label) for each in grid for label in each.labels):
        for metric, pair in _published(config, point, label).items():
            if metric in metrics:
                key = (*_part(config, point, 1, "label."), label, metric, "paper", None)
                numbers |= {(*key, "mean"): Number(pair[0], paper.SPLITS), (*key, "std"): Number(pair[1], paper.SPLITS)}
    numbers |= _curves(config, grid, runs, terms)
    numbers |= _spent(config, grid, runs, terms)
    numbers |= _claims(config, grid, runs, terms)
    return numbers


def _side(config: Config, point: Point, label: str, runs: Runs, terms: Callable) -> dict[str, tuple]:
    """Scores and terms of the runs of a label at a point."""
    return {name: (runs[name], terms(name)) for name in run_names(config, point, label)}


def _compare(ours: Mapping, theirs: Mapping, metric: str, level: float) -> dict[str, float]:
    """The difference of two sides in a metric, with its interval if it has one; nothing where it is not defined."""
    sides = {"ours": ours, "theirs": theirs}
    differences = _pairs(sides, "ours", "theirs", metric)
    return _difference(differences, _items(sides, ("ours", "theirs"), metric), level) if differences else {}


def _table(config: Config, kind: str) -> Mapping[str, Any] | None:
    return next((table for table in config["tables"] if table["kind"] == kind), None)


def _curves(config: Config, grid: list[Point], runs: Runs, terms: Callable) -> dict[tuple, Number]:
    """What votes gain each label, and how many it needs."""
    numbers: dict[tuple, Number] = {}
    if (table := _table(config, "budget")) is None:
        return numbers
    place = 3 + list(config["varied"]).index("label.votes")
    curves: dict[tuple, dict[float, Point]] = {}
    for point in grid:
        votes = recompute_budgets.votes_of(point.block[place], config["votes"][point.ran[0]])
        if votes is not None:
            of_curve = curves.setdefault((*point.block[:place], None, *point.block[place + 1 :]), {})
            of_curve.setdefault(votes, point)
    for (block, found), label in ((curve, label) for curve in curves.items() for label in grid[0].labels):
        votes = sorted(found)
        sides = [_side(config, found[n], label, runs, terms) for n in votes]
        sources = tuple(name for side in sides for name in side)
        for metric in recompute_budgets.metrics_of(config, table):
            better, n = config["metric_facts"][metric]["better"], len(config["seeds"])
            told = {"gain of votes": _compare(sides[-1], sides[0], metric, config["level"]),
                    "last step of votes": _compare(sides[-1], sides[-2], metric, config["level"])}  # fmt: skip
            for kind, of in told.items():
                if "low" not in of:
                    continue
                ends = {name: of[name] for name in ("mean", "low", "high")}
                numbers |= _numbers((*block, label, metric, kind, None), ends, n, sources)
            gain = told["gain of votes"]
            values = [[file_of(scores, metric).value(metric) for scores, _ in side.values()] for side in sides]
            finite = all(value is not None and math.isfinite(value) for of_side in values for value in of_side)
            if finite and "low" in gain and (gain["low"] > 0 if better == "higher" else gain["high"] < 0):
                means = [math.fsum(of_side) / n for of_side in values]
                for share in recompute_budgets.SHARES:
                    value = recompute_budgets.reached(votes, means, better, share)
                    key = (*block, label, metric, f"votes for {100 * share:g}% of the gain", None)
                    numbers |= _numbers(key, {"mean": value}, n, sources)
    return numbers


def _spent(config: Config, grid: list[Point], runs: Runs, terms: Callable) -> dict[tuple, Number]:
    """What labels cost, and the best point of each against the others."""
    numbers: dict[tuple, Number] = {}
    if (table := _table(config, "fixed_budget")) is None:
        return numbers
    for base, label in dict.fromkeys((point.block[:3], label) for point in grid for label in point.labels):
        own = [point for point in grid if point.block[:3] == base]
        for point in own:
            definition = config["labels"][point.labels[label]]
            votes = recompute_budgets.votes_of(definition.get("votes", "all"), config["votes"][point.ran[0]])
            names = run_names(config, point, label)
            train, val = ([runs[name][STANDARD].values[part, "all", "none", "n_items"] for name in names]
                          for part in ("train", "val"))  # fmt: skip
            if (wanted := definition.get("items")) is not None:
                val = [max(1, round(v * wanted / t)) for t, v in zip(train, val, strict=True)]
                train = [wanted] * len(names)
            train, val = (math.fsum(of) / len(names) for of in (train, val))
            for name, items in (("cost", train + val), ("cost of validation", val)):
                if votes is not None:
                    cost = items * (votes * table["price_vote"] + table["price_image"])
                    numbers[*point.block, label, name, "cost", None, "mean"] = Number(cost, len(names), tuple(names))
        sides = {point.block: _side(config, point, label, runs, terms) for point in own}
        for metric in recompute_budgets.metrics_of(config, table):
            numbers |= _best_point(config, label, metric, sides)
    return numbers


def _best_point(config: Config, label: str, metric: str, sides: Mapping[tuple, Mapping]) -> dict[tuple, Number]:
    numbers: dict[tuple, Number] = {}
    values = {at: [file_of(scores, metric).value(metric) for scores, _ in of.values()] for at, of in sides.items()}
    if any(None in of for of in values.values()) or len(values) < 2:
        return numbers
    sign = {"higher": 1, "lower": -1}[config["metric_facts"][metric]["better"]]
    best = max(values, key=lambda at: sign * math.fsum(values[at]))
    found = {at: _compare(sides[best], sides[at], metric, config["level"]) for at in sides if at != best}
    adjusted = recompute_intervals.holm([of.get("p") for of in found.values()])
    for (at, of), p in zip(found.items(), adjusted, strict=True):
        told = {name: of[name] for name in ("mean", "low", "high") if name in of} | ({} if p is None else {"p": p})
        key = (*best, label, metric, "best point", ", ".join(filter(None, at[3:])))
        numbers |= _numbers(key, told, len(config["seeds"]), (*sides[best], *sides[at]))
    return numbers


def _claims(config: Config, grid: list[Point], runs: Runs, terms: Callable) -> dict[tuple, Number]:
    """The difference of each statement of the study's claims, and Holm's p over all."""
    at = {point.block: point for point in grid}
    told = []
    for statement in config.get("claims", ()):
        metric, (first, second) = statement["metric"], statement["contrast"]
        for block, *both in pairs(statement, [*at], config.get("varied", ())):
            sides = {k: _side(config, at[of], label, runs, terms)
                     for k, of, label in zip("ab", both, (first, second), strict=True)}  # fmt: skip
            differences = _pairs(sides, *"ab", metric)
            if differences is None:
                continue
            items = _items(sides, ("a", "b"), metric)
            ends, p = recompute_budgets.judged(items, statement, config["level"]) if items else ({}, None)
            found = {"mean": mean_and_std(differences, 1)[0], **ends}
            key = (*block, first, metric, f"verdict {statement['name']}", second)
            told.append((key, found, p, (*sides["a"], *sides["b"])))
    numbers: dict[tuple, Number] = {}
    for (key, found, _, sources), p in zip(told, recompute_intervals.holm([of[2] for of in told]), strict=True):
        numbers |= _numbers(key, found | ({} if p is None else {"p": p}), len(config["seeds"]), sources)
    return numbers


def first_epoch(curve: Iterable[tuple[int, float | None]], accuracy: float) -> int | None:
    """The first epoch of a history with at least such an accuracy."""
    return min((epoch for epoch, value in curve if value is not None and value >= accuracy), default=None)


def _epochs(config: Config, place: tuple, names: list[str], curves: Curves) -> dict[tuple, Number]:
    """When runs of one label (and place) reach the accuracies that tables ask for, and what share of them does."""
    known = [name for name in names if any(value is not None for _, value in curves.get(name, ()))]
    numbers: dict[tuple, Number] = {}
    for accuracy in {table["accuracy"] for table in config["tables"] if table["kind"] == "epochs"} if known else ():
        found = {name: first_epoch(curves[name], accuracy) for name in known}
        there = [name for name in known if found[name] is not None]
        key = (*place, epoch_of(accuracy))
        numbers[*key, "reached", None, "mean"] = Number(len(there) / len(known), len(known), tuple(known))
        for seed, name in zip(config["seeds"], names, strict=True):
            if name in there:
                numbers[*key, f"run {seed}", None, "mean"] = Number(float(found[name]), 1, (name,))
        numbers |= _over_seeds(place, "measured", {name: {key[-1]: found[name]} for name in there}, config["ddof"])
    return numbers


def _groups(scored: Iterable[Scores]) -> list[str]:
    """The numbers of groups that may differ between labels."""
    names = dict.fromkeys(name for scores in scored for name in scores.of_groups())
    return [name for name in names if not name.startswith(("n_items@", "votes_"))]


def _published(config: Config, point: Point, label: str) -> Mapping[str, tuple[float, float]]:
    return paper.numbers(config["datasets"][point.ran[0]]["paper"], config["labels"][point.labels[label]])


def _values(sets: Mapping[str, Scores], names: Iterable[str], scaling: str = "none") -> dict[str, float | None]:
    return {name: file_of(sets, name).value(name, scaling) for name in names}


def _measured(sets: Mapping[str, Scores], metrics: list[str]) -> dict[str, float | None]:
    standard = sets[STANDARD]
    recalls = (f"recall.{name}" for name in standard.classes)
    facts = ("n_items", "n_classes_present", "ties", "tie_credit_acc")
    numbers = (*recalls, *standard.metrics("structure."), *facts, *standard.of_groups(), *_besides(sets))
    return _values(sets, (*metrics, *numbers))


def _besides(sets: Mapping[str, Scores]) -> list[str]:
    """What further metrics have besides themselves, of all items and of groups."""
    keys = [key for of_set, scores in sets.items() if of_set != STANDARD for key in scores.values if key[0] == "test"]
    return [
        name if group == "all" else f"{name}@{group}" for _, group, _, name in keys if group != "all" or "." in name
    ]


def _main(config: Config) -> list[str]:
    """The metrics of which other intervals and scaled networks are noted: those of any main table."""
    shown = set(MAIN).union(*(table.get("metrics") or () for table in config["tables"]))
    return [metric for metric in config["metrics"] if metric in shown]


def _scaled(sets: Mapping[str, Scores], metrics: list[str], scaling: str) -> dict[str, float | None]:
    """What was scored after a scaling; nothing where the run does not have it."""
    names = (*(["temperature"] if scaling.startswith("temperature") else []), *metrics)
    return _values(sets, names, scaling) if scaling in sets[STANDARD].scalings else {}


def _over_seeds(
    place: tuple,
    kind: str,
    rows: Mapping[str, Mapping[str, float | None]],
    ddof: int,
    published: Mapping[str, tuple[float, float]] | None = None,
) -> dict[tuple, Number]:
    """Mean and deviation of each metric, over the runs (or draws) for which it is defined."""
    numbers = {}
    for metric in dict.fromkeys(metric for row in rows.values() for metric in row):
        values = {name: float(row[metric]) for name, row in rows.items() if row.get(metric) is not None}
        if not values:
            continue
        mean, std = mean_and_std(list(values.values()), ddof)
        difference = mean - published[metric][0] if metric in (published or ()) else None
        key = (*place, metric, kind, None)
        numbers[*key, "mean"] = Number(mean, len(values), tuple(values), difference)
        if std is not None:
            numbers[*key, "std"] = Number(std, len(values), tuple(values))
    return numbers


INTERVALS = ("paired t", "corrected resampled t")  # beside the one that is printed
BOOTSTRAPS = ("item bootstrap", "joint bootstrap")  # are not drawn again
Sides = Mapping[str, Mapping[str, tuple[Mapping[str, Scores], Mapping[str, Terms]]]]  # label -> run -> both by set


def _pairs(sides: Sides, ours: str, theirs: str, name: str, scaling: str = "none") -> list[float] | None:
    """The paired differences of a number, a seed each; None where one of them is not defined."""
    both = [[file_of(scores, name).values.get(_key(name, scaling)) for scores, _ in sides[label].values()]
            for label in (ours, theirs)]  # fmt: skip
    if None in both[0] + both[1]:
        return None
    differences = [a - b for a, b in zip(*both, strict=True)]
    return None if any(math.isnan(difference) for difference in differences) else differences


def _key(name: str, scaling: str) -> tuple[str, str, str, str]:
    metric, _, group = name.partition("@")
    return "test", group or "all", scaling, metric


def _items(sides: Sides, labels: tuple[str, ...], column: str) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """For each seed the items' terms (of two labels: differences) and clusters, where there are terms; else None."""
    found = []
    metric = column.partition("@")[0].partition("+")[0]
    for of_seed in zip(*(sides[label].values() for label in labels), strict=True):
        files = [file_of(terms, metric) for _, terms in of_seed]
        if any(column not in file.values for file in files):
            return None
        first, *second = (file.values[column] for file in files)
        with np.errstate(invalid="ignore"):  # of two infinite ones
            values = first - second[0] if second else first
        there = ~np.isnan(values) if "@" in column else np.ones(len(values), bool)
        found.append((values[there], files[0].cluster[there]))
    return found


def _compared(config: Config, block: tuple, label: str, sides: Sides) -> dict[tuple, Number]:
    """Differences of a label to the baseline, their intervals, what scaling leaves, and McNemar's tests."""
    baseline, level = config["baseline"], config["level"]
    sources = (*sides[label], *sides[baseline])
    scored = [scores[STANDARD] for scores, _ in sides[label].values()]
    groups = _groups(scored)
    numbers: dict[tuple, Number] = {}
    for name in (*config["metrics"], *groups):
        if (differences := _pairs(sides, label, baseline, name)) is not None:
            key, items = (*block, label, name), _items(sides, (label, baseline), name)
            found = _difference(differences, items, level)
            noted = {}
            if items is None and "std" in found:
                one_a_seed = [(np.array([value]), np.array([k])) for k, value in enumerate(differences)]
                noted = {"paired t": _others(one_a_seed, scored, level).get("paired t", {})}
            elif "@" not in name and "low" in found and name in _main(config):
                noted = _others(items, scored, level)
            for method, ends in noted.items():
                numbers |= _numbers((*key, method, baseline), {"mean": found["mean"], **ends}, len(scored), sources)
            numbers |= _numbers((*key, "difference", baseline), found, len(scored), sources)
    for scaling, text in SCALED.items() if "kl" in config["metrics"] else ():
        column = f"kl+{scaling}"
        if any(("test", "all", scaling, "kl") not in scores.values for scores in scored):
            continue
        if (differences := _pairs(sides, label, baseline, "kl", scaling)) is not None:
            items = _items(sides, (label, baseline), column)
            key = (*block, f"{label} + {text}", "kl", "difference", f"{baseline} + {text}")
            numbers |= _numbers(key, _difference(differences, items, level), len(scored), sources)
            share = recompute_intervals.share(_items(sides, (label, baseline), "kl"), items, level)
            if share:
                key = (*block, f"{label} + {text}", "kl", "confidence", baseline)
                numbers |= _numbers(key, dict(zip(("mean", "low", "high"), share, strict=True)), len(scored), sources)
    right = [
        [file_of(terms, "acc").values.get("acc") for _, terms in sides[side].values()] for side in (label, baseline)
    ]
    pairs = zip(sides[label], sides[baseline], strict=True)
    for seed, pair, a, b in zip(config["seeds"], pairs, *right, strict=True):
        if a is not None and b is not None:
            key = (*block, label, "acc", f"McNemar {seed}", baseline)
            numbers |= _numbers(key, {"mean": recompute_intervals.mcnemar_mid_p(a == 1, b == 1)}, 1, pair)
    return numbers


def _numbers(key: tuple, values: Mapping[str, float], n: int, sources: tuple[str, ...]) -> dict[tuple, Number]:
    """The numbers of an aggregate of two labels."""
    return {(*key, statistic): Number(value, n, sources, terms=True) for statistic, value in values.items()}


def _difference(differences: list[float], items: list | None, level: float) -> dict[str, float]:
    """Mean, deviation and interval of the paired differences."""
    mean, std = mean_and_std(differences, 1)
    if std is None:
        return {"mean": mean}
    found = recompute_intervals.two_way(items) if items else None
    if found is None:
        return {"mean": mean, "std": std}
    low, high = recompute_intervals.two_way_interval(items, level)
    ends = {"low": low, "high": high, "p": recompute_intervals.p_value(items), "half": found.half_width(level)}
    halves = recompute_intervals.projection(found, level, PROJECTED)
    return {"mean": mean, "std": std, **ends, **{f"half_{n}": half for n, half in zip(PROJECTED, halves, strict=True)}}


def _others(seeds: list[recompute_intervals.Seed], scored: list[Scores], level: float) -> dict[str, dict[str, float]]:
    """The other intervals over seeds; the bootstraps are not made again."""
    tested, trained = (
        np.mean([scores.values[part, "all", "none", "n_items"] for scores in scored]) for part in ("test", "train")
    )
    found = {
        "paired t": recompute_intervals.paired_t(seeds, level),
        "corrected resampled t": recompute_intervals.corrected_resampled_t(seeds, level, tested / trained),
    }
    return {method: dict(zip(("low", "high"), ends, strict=True)) for method, ends in found.items() if ends}


def _best(config: Config, block: tuple, sides: Sides) -> dict[tuple, Number]:
    """The best label of each metric against the others, with Holm's p."""
    numbers: dict[tuple, Number] = {}
    for metric in config["metrics"]:
        sign = {"higher": 1, "lower": -1}.get(config["metric_facts"][metric]["better"])
        values = {
            label: [file_of(scores, metric).value(metric) for scores, _ in of.values()] for label, of in sides.items()
        }
        means = {label: mean_and_std(found, 1)[0] for label, found in values.items() if None not in found}
        if sign is None or len(means) < 2:
            continue
        best = max(means, key=lambda label, means=means, sign=sign: sign * means[label])
        others = [label for label in means if label != best]
        p = []
        for other in others:
            items = _items(sides, (best, other), metric)
            p.append(recompute_intervals.p_value(items) if items else None)
        for other, adjusted in zip(others, recompute_intervals.holm(p), strict=True):
            if math.isinf(means[best]) and means[best] == means[other]:
                continue
            found = {"mean": means[best] - means[other]} | ({} if adjusted is None else {"p": adjusted})
            sources = (*sides[best], *sides[other])
            numbers |= _numbers((*block, best, metric, "best", other), found, len(values[best]), sources)
    return numbers
