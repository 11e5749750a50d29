"""What a claim is made of: numbers of a study, recomputed from its archive, each with a word on where it is from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np

from . import measures
from .archive import PLACE, Archive, Data, Wrong

NETWORK = ("hard", "soft")  # labels as most studies call them
WITHOUT = ("uniform", "prior", "class_mean")  # what needs no network
STRUCTURE = ("silhouette", "colour_r2_knn", "shape_r2_knn")
HIGHER = ("macro_acc", "acc", "entropy_correlation")  # of metrics: higher is better
OWN, REFERENCE, MATRIX = "temperature", "temperature_reference", "matrix_reference"


class Number(float):
    """A number with its origin."""

    origin: str

    def __new__(cls, value: float, origin: str) -> Number:
        number = super().__new__(cls, value)
        number.origin = origin
        return number


class Run:
    """One run: its predictions, and the reference of their items."""

    def __init__(self, row: dict[str, Any], data: Data, about: dict[str, Any]):
        self.row, self.data, self.about = row, data, about

    def items(self, part: str = "test") -> np.ndarray:
        """The items of a part, ascending, int ``[n]``."""
        return self.data.items(self.row["split"], self.row["seed"], part)

    def p(self, part: str = "test") -> np.ndarray:
        """Their reference, float64 ``[n, C]``."""
        return self.data.p[self.items(part)]

    def z(self, part: str = "test") -> np.ndarray:
        """Their logits, float64 ``[n, C]``."""
        found = self.row[part]
        if found is None:
            raise Wrong(f"{self}: its logits of the {part} items are not there. Archive the study with --validation.")
        items, classes = self.items(part), len(self.about["classes"])
        if len(found) != len(items) * classes:
            raise Wrong(f"{self}: found {len(found)} logits of {len(items)} items and {classes} classes.")
        return np.asarray(found, float).reshape(-1, classes)

    @cached_property
    def q_without(self) -> dict[str, np.ndarray]:
        """Predictions for the test items that need no network, by name."""
        p, train = self.p(), self.p("train")
        truth, n_classes = train.argmax(axis=1), p.shape[1]
        means = np.stack([train[truth == k].mean(axis=0) for k in range(n_classes)])
        return {
            "uniform": np.full_like(p, 1 / n_classes),
            "prior": np.broadcast_to(train.mean(axis=0), p.shape),
            "class_mean": means[p.argmax(axis=1)],
        }

    def scaled(self, name: str) -> np.ndarray:
        """Logits of the test items after a scaling that was fitted on the validation items.

        Where their logits are not there, it is by the temperature that the run's evaluation fitted on its own labels.
        """
        if name == OWN and self.row["val"] is None and self.row.get("temperature"):
            return self.z() / self.row["temperature"]
        p, z = self.p("val"), self.z("val")
        if name == MATRIX:
            return measures.matrix(p, z)(self.z())
        if name == OWN:
            if self.row["own"] is None:
                raise Wrong(f"{self}: its own label does not follow from the reference, so that T cannot be refitted.")
            if self.row["own"] == "hard":
                p = np.eye(p.shape[1])[p.argmax(axis=1)]
        elif name != REFERENCE:
            raise Wrong(f"{name}: found as a scaling, expected {OWN}, {REFERENCE} or {MATRIX}.")
        return self.z() / measures.temperature(p, z)

    def values(self, metric: str, predictor: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Cluster of each item and its value in a metric, such as ``kl``, ``kl@clear``, ``macro_acc@colour``,
        ``kl+temperature_reference``; of the run's network, or of a predictor that needs none.
        """
        name, _, scaling = metric.partition("+")
        name, _, group = name.partition("@")
        with np.errstate(divide="ignore"):
            z = self.scaled(scaling) if scaling else np.log(self.q_without[predictor]) if predictor else self.z()
        p, cluster = self.p(), self.data.cluster[self.items()]
        if group in self.about["groupings"]:
            of, classes = self.about["groupings"][group], self.about["classes"]
            q = np.exp(z - z.max(axis=1, keepdims=True))
            p, z = measures.merged(p, classes, of), np.log(measures.merged(q, classes, of))
        elif group:
            if self.data.about["reference"] != "exact":
                raise Wrong(f"{self}: {metric}: only items with an exact reference are grouped here.")
            inside = measures.stratum(p, group)
            p, z, cluster = p[inside], z[inside], cluster[inside]
        if name not in measures.METRICS:
            raise Wrong(
                f"{metric}: no such metric here; there are {', '.join(measures.METRICS)}. Write it a second time."
            )
        return cluster, measures.METRICS[name](p, z)

    @cached_property
    def features(self) -> np.ndarray:
        """Features of the test items, float64 ``[n, F]``."""
        found = self.row["features"]
        if found is None:
            raise Wrong(f"{self}: its features are not there. Archive the study with --features.")
        return np.asarray(found, float).reshape(len(self.items()), -1)

    @cached_property
    def structure(self) -> dict[str, float]:
        """Numbers of the feature space of the test items."""
        distance = measures.distances(self.features)
        u, s = (of[self.items()] for of in self.data.positions)
        near = measures.nearest_r2(distance, u, s)
        truth = self.p().argmax(axis=1)
        return {**dict(zip(STRUCTURE[1:], near, strict=True)), STRUCTURE[0]: measures.silhouette(distance, truth)}

    def fact(self, name: str) -> float:
        """A number of the whole run that has no value an item: ``silhouette``, ``colour_r2_knn``, ``shape_r2_knn``,
        ``temperature_reference``, ``epochs_to 0.75`` (the first epoch with that accuracy in validation; NaN: none has).
        """
        if name in STRUCTURE:
            return self.structure[name]
        if name == REFERENCE:
            return measures.temperature(self.p("val"), self.z("val"))
        if name.startswith("epochs_to "):
            reached = np.flatnonzero(self.epochs("val_acc_reference") >= float(name.split()[1]))
            return float(reached[0] + 1) if len(reached) else np.nan
        raise Wrong(f"{name}: no such number of a run.")

    def epochs(self, column: str) -> np.ndarray:
        """What validation said after each epoch, float64 ``[epochs]``."""
        found = (self.row["history"] or {}).get(column)
        if found is None:
            raise Wrong(f"{self}: its history has no {column}.")
        return np.asarray(found, float)

    def __str__(self) -> str:
        return f"{self.about['study']}: {'/'.join(str(self.row[name]) for name in (*PLACE, 'label', 'seed'))}"


class Study:
    """The runs of a study, which ``load`` gives when a number is first asked for."""

    def __init__(self, name: str, load: Callable[[], Archive]):
        self.name, self._load = name, load

    @cached_property
    def runs(self) -> list[Run]:
        """All of its runs."""
        archive = self._load()
        rows = archive.runs.to_batches()
        columns = archive.runs.column_names
        found = []
        for batch in rows:
            for k in range(len(batch)):
                row = {name: _value(batch.column(name)[k]) for name in columns}
                found.append(Run(row, archive.data[row["data"]], archive.about))
        return found

    def select(self, label: str, seeds: Sequence[int] | None = None, **at: Any) -> list[Run]:
        """The runs of a label, one a seed, ascending, where varied keys (or data set, split, recipe) have some values.

        A varied key goes by its last word: ``epochs=10`` for ``recipe.epochs``.
        """
        varied = self.runs[0].about["varied"] if self.runs else []
        keys = {name: name for name in PLACE} | {key.rpartition(".")[2]: key for key in varied}
        unknown = set(at) - set(keys)
        if unknown:
            raise Wrong(f"{self.name}: found the key {unknown.pop()!r}, expected {', '.join(keys)}.")
        found = [
            run
            for run in self.runs
            if run.row["label"] == label
            and (seeds is None or run.row["seed"] in seeds)
            and all(_same(run.row[keys[key]], value) for key, value in at.items())
        ]
        of_seed = sorted(run.row["seed"] for run in found)
        if not found or len(set(of_seed)) < len(of_seed) or (seeds is not None and of_seed != sorted(seeds)):
            values = {key: sorted({str(run.row[full]) for run in self.runs}) for key, full in keys.items()}
            choices = "; ".join(f"{key}: {', '.join(of)}" for key, of in values.items() if len(of) > 1)
            labels = ", ".join(dict.fromkeys(run.row["label"] for run in self.runs))
            raise Wrong(
                f"{self.name}: {label} {at or ''}: found {len(found)} runs, seeds {of_seed}, expected one a seed. "
                f"Labels: {labels}. {choices}"
            )
        return sorted(found, key=lambda run: run.row["seed"])

    # -- numbers: each returns a list, so that a claim is a sum of them -----------------------------------------------

    def mean(self, label: str, metric: str, seeds: Sequence[int] | None = None, **at: Any) -> list[Number]:
        """[mean over seeds]; ``label`` may be uniform, prior or class_mean, which need no network."""
        return self.pm(label, metric, seeds, **at)[:1]

    def pm(self, label: str, metric: str, seeds: Sequence[int] | None = None, **at: Any) -> list[Number]:
        """[mean, standard deviation (ddof 1)] over seeds; of ``epochs_to`` over those that get there."""
        found = [value for value in self._each(label, metric, seeds, **at) if not np.isnan(value)]
        if not found:
            raise Wrong(f"{self.name}: {label} {metric}{_at(at)}: no seed has it.")
        said = f"{self.name}: {label} {metric}{_at(at)} of {len(found)} seeds"
        std = np.std(found, ddof=1) if len(found) > 1 else np.nan
        return [Number(np.mean(found), f"{said}, mean"), Number(std, f"{said}, standard deviation")]

    def each(self, label: str, metric: str, seeds: Sequence[int] | None = None, **at: Any) -> list[Number]:
        """[of each seed]."""
        found = self._each(label, metric, seeds, **at)
        return [Number(value, f"{self.name}: {label} {metric}{_at(at)}, seed {k}") for k, value in enumerate(found)]

    def _each(self, label: str, metric: str, seeds: Sequence[int] | None = None, **at: Any) -> list[float]:
        called = any(run.row["label"] == label for run in self.runs)  # a label may be called like one of these
        without = label in WITHOUT and not called
        runs = self.select(NETWORK[0] if without else label, seeds, **at)
        if _is_fact(metric):
            return [_fact(run, metric) for run in runs]
        return [_terms(run, metric, label if without else None)[1].mean() for run in runs]

    def diff(
        self, metric: str, ours: str = "soft", theirs: str = "hard", seeds: Sequence[int] | None = None,
        other: dict[str, Any] | None = None, **at: Any,
    ) -> list[Number]:  # fmt: skip
        """[mean, low, high] of ours minus theirs, paired by seed, with the two-way interval (of a fact: paired t).

        ``other`` are the values of keys where theirs lies, if it lies elsewhere.
        """
        pairs = self._pairs(metric, ours, theirs, seeds, other, **at)
        found = measures.paired_t(pairs) if _is_fact(metric) else measures.two_way(pairs)
        return _interval(found, f"{self.name}: {ours} − {theirs} {metric}{_at(at)}")

    def moved(
        self, metric: str, label: str, to: dict[str, Any], seeds: Sequence[int] | None = None, **at: Any
    ) -> list[Number]:
        """[mean, low, high] of what a label's number changes by where some keys have other values, ``to``.

        Paired by seed, with Student's interval: other data may mean other test items.
        """
        sides = self._each(label, metric, seeds, **(at | to)), self._each(label, metric, seeds, **at)
        if len(sides[0]) != len(sides[1]):
            raise Wrong(f"{self.name}: {label}: {to} has {len(sides[0])} seeds, {at} {len(sides[1])}. Name the seeds.")
        return _interval(measures.paired_t(np.subtract(*sides)), f"{self.name}: {label} {metric}{_at(at)}, to {to}")

    def gap_pm(self, metric: str, ours: str = "soft", theirs: str = "hard", **at: Any) -> list[Number]:
        """[mean, standard deviation] over seeds of ours minus theirs."""
        found = [v if _is_fact(metric) else v[1].mean() for v in self._pairs(metric, ours, theirs, **at)]
        said = f"{self.name}: {ours} − {theirs} {metric}{_at(at)} of {len(found)} seeds"
        std = np.std(found, ddof=1) if len(found) > 1 else np.nan
        return [Number(np.mean(found), f"{said}, mean"), Number(std, f"{said}, standard deviation")]

    def gap(self, metric: str, ours: str = "soft", theirs: str = "hard", **at: Any) -> list[Number]:
        """[mean] of ours minus theirs."""
        return self.diff(metric, ours, theirs, **at)[:1]

    def ends(self, metric: str, ours: str = "soft", theirs: str = "hard", **at: Any) -> list[Number]:
        """[low, high] of ours minus theirs."""
        return self.diff(metric, ours, theirs, **at)[1:]

    def votes_for(self, share: float, label: str, metric: str, votes: Sequence[str], **at: Any) -> list[Number]:
        """[votes, low, high] an image for a share of what they gain a label in a metric; ``all`` are their mean."""
        runs = [self.select(label, votes=number, **at) for number in votes]
        every = runs[0][0].data.votes.sum(axis=1).mean()
        numbers = [every if number == "all" else float(number) for number in votes]
        terms = [[_terms(run, metric) for run in of_number] for of_number in runs]
        found = measures.votes_for(share, numbers, terms, lower=metric not in HIGHER)
        return _interval(found, f"{self.name}: votes for {share:.0%} of the gain of {label} in {metric}")

    def agreement(self) -> list[Number]:
        """[how often two votes on an image are equal], the mean over the images of a data set."""
        counts = self.runs[0].data.votes
        n = counts.sum(axis=1)
        equal = (counts * (counts - 1)).sum(axis=1) / (n * (n - 1))
        return [Number(equal.mean(), f"{self.name}: share of pairs of votes on an image that are equal")]

    def closed(self, scaling: str = REFERENCE, ours: str = "soft", theirs: str = "hard", **at: Any) -> list[Number]:
        """[share, low, high], in %, of the gap in KL that a scaling of both closes, with Fieller's interval."""
        raw, scaled = (self._pairs(name, ours, theirs, **at) for name in ("kl", f"kl+{scaling}"))
        found = [100 * value for value in measures.share(raw, scaled)]
        return _interval(found, f"{self.name}: % of the gap in kl closed by {scaling}{_at(at)}")

    def _pairs(
        self, metric: str, ours: str, theirs: str, seeds: Sequence[int] | None = None,
        other: dict[str, Any] | None = None, **at: Any,
    ) -> list[Any]:  # fmt: skip
        sides = self.select(ours, seeds, **at), self.select(theirs, seeds, **(at | (other or {})))
        if [run.row["seed"] for run in sides[0]] != [run.row["seed"] for run in sides[1]]:
            raise Wrong(f"{self.name}: {ours} and {theirs}{_at(at)} have not the same seeds.")
        if _is_fact(metric):
            return [_fact(a, metric) - _fact(b, metric) for a, b in zip(*sides, strict=True)]
        pairs = []
        for a, b in zip(*sides, strict=True):
            (cluster, x), (_, y) = _terms(a, metric), _terms(b, metric)
            if not np.array_equal(a.items(), b.items()):
                raise Wrong(f"{a} and {b} were not tested on the same items: their difference is not paired.")
            pairs.append((cluster, x - y))
        return pairs


def _interval(found: Sequence[float], said: str) -> list[Number]:
    return [Number(v, f"{said}, {what}") for v, what in zip(found, ("mean", "lower end", "upper end"), strict=True)]


def percent(numbers: Sequence[Number]) -> list[Number]:
    """The same in %."""
    return [Number(100 * number, f"{number.origin} (%)") for number in numbers]


def span(numbers: Iterator[Number] | Sequence[Number]) -> list[Number]:
    """[the smallest, the largest] of some numbers."""
    found = list(numbers)
    return [min(found), max(found)]


@cache
def _terms(run: Run, metric: str, predictor: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    return run.values(metric, predictor)


@cache
def _fact(run: Run, name: str) -> float:
    return run.fact(name)


def _is_fact(metric: str) -> bool:
    return metric.partition(" ")[0] in (*STRUCTURE, REFERENCE, "epochs_to")


def _value(scalar: Any) -> Any:
    """A cell of a table; lists of numbers as arrays."""
    if hasattr(scalar, "values") and scalar.is_valid and not hasattr(scalar, "keys"):
        return scalar.values.to_numpy(zero_copy_only=False)
    if hasattr(scalar, "keys") and scalar.is_valid:
        return {name: _value(scalar[name]) for name in scalar}
    return scalar.as_py()


def _same(found: Any, wanted: Any) -> bool:
    """Whether a key's value, which is kept as text, is the wanted one: numbers as numbers."""
    if found is None or wanted is None:
        return found is wanted
    try:
        return float(found) == float(wanted)
    except ValueError:
        return str(found) == str(wanted)


def _at(at: dict[str, Any]) -> str:
    return "".join(f", {key} {value}" for key, value in at.items())
