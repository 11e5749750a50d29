"""What is known about each item's label, and the labels made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .. import io, keyed
from ..contracts import predicted_out_of_fold, read_reference, read_split
from ..errors import UserError

ALL_VOTES = "all"  # of the option ``votes``
SEED = "seed"  # what a draw of a label begins with, where it is of a seed


@dataclass(frozen=True)
class Votes:
    """V votes, by item, annotator (unknown ones last) and label."""

    item: np.ndarray  # int32 [V]
    annotator: np.ndarray  # int32 [V], index into ``people``; -1 where unknown
    label: np.ndarray  # int16 [V], the class
    weight: np.ndarray | None  # float64 [V], positive, or None where votes have no weights
    time: np.ndarray | None  # float64 [V], in the source's unit (nan: unknown), or None
    people: list[str]


@dataclass
class Evidence:
    """Votes and who gave them, or where there are none the exact distribution, of N items.

    Sums of the votes are made when they are asked for, piece by piece; ``votes`` holds all of them in memory.
    """

    classes: list[str]
    n_items: int
    annotations: Path | None = None  # the file of the votes; None where there are none
    kept: np.ndarray | None = None  # bool, of each row of that file whether it counts; None: all do
    distribution: np.ndarray | None = None  # probabilities, float64 [N, C]: there just where votes are not
    seed: tuple[int, ...] = ()  # of the run, to key what is drawn; empty where one file serves all seeds
    part: np.ndarray | None = None  # [N], the part of each item in the split that the label is made for
    # Mean probabilities, float64 [N, C], of the networks that did not learn from the item; None where not asked for.
    out_of_fold: np.ndarray | None = None
    chosen: np.ndarray | None = None  # bool [N], the items that may have a label; None: all
    given: Path | None = None  # the file that a label names, if it does
    names: list[str] | None = None  # of the items, there just where such a file is

    @property
    def fit(self) -> np.ndarray:
        """The items that an estimate may learn from, bool ``[N]``: those of the training part, or all."""
        found = np.ones(self.n_items, bool) if self.part is None else self.part == "train"
        return found if self.chosen is None else found & self.chosen

    @cached_property
    def votes(self) -> Votes | None:
        """The votes, one by one; None where there are none."""
        if self.annotations is None:
            return None
        table, _ = io.read_table(self.annotations)
        table = table if self.kept is None else table.filter(pa.array(self.kept))
        people, annotator = _people(table)
        weight, time = (
            io.vector(table, name).astype(np.float64) if name in table.column_names else None
            for name in ("weight", "time")
        )
        return Votes(io.vector(table, "item"), annotator, io.vector(table, "label"), weight, time, people)

    @cached_property
    def _sums(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        if self.annotations is None:
            return None, None
        shape = self.n_items, len(self.classes)
        counts, weights, start = np.zeros(shape, np.int64), None, 0
        for batch in io.read_batches(self.annotations, ["item", "label", "weight"]):
            keep = slice(None) if self.kept is None else self.kept[start : start + len(batch)]
            start += len(batch)
            cell = (batch["item"].to_numpy().astype(np.intp) * shape[1] + batch["label"].to_numpy())[keep]
            np.add.at(counts.reshape(-1), cell, 1)
            if "weight" in batch.schema.names:
                weights = np.zeros(shape) if weights is None else weights
                # vote by vote, so that a sum does not depend on where a batch ends
                np.add.at(weights.reshape(-1), cell, batch["weight"].to_numpy().astype(np.float64)[keep])
        return counts, weights

    @property
    def counts(self) -> np.ndarray | None:
        """Votes per class, int64 ``[N, C]``; None where there are none."""
        return self._sums[0]

    @property
    def weights(self) -> np.ndarray | None:
        """The sum of the weights of these votes, float64 ``[N, C]``; None where votes have no weights."""
        return self._sums[1]

    @property
    def score(self) -> np.ndarray:
        """What speaks for each class, ``[N, C]``: weights where there are any, else votes, else probabilities."""
        return next(a for a in (self.weights, self.counts, self.distribution) if a is not None)


def _people(table: pa.Table) -> tuple[list[str], np.ndarray]:
    """The annotators' names, and of each vote the index of its annotator, int32 ``[V]``, -1 where unknown."""
    column = table.column("annotator").combine_chunks()
    return column.dictionary.to_pylist(), column.indices.fill_null(-1).to_numpy().astype(np.int32)


@dataclass(frozen=True)
class LabelTable:
    """Labels of K of the N items."""

    item: np.ndarray  # int32 [K], ascending
    p: np.ndarray  # the label, float32 [K, C]; rows sum to 1
    hard: np.ndarray  # the class with the highest score, int16 [K]
    votes: np.ndarray | None  # how many votes the label is made of, int32 [K]
    weight: np.ndarray  # weight in the loss, float32 [K]
    metadata: dict[str, Any]  # JSON values; ``ties`` is the rule and the number of items with a tied top

    def changed(self, p: np.ndarray, hard: np.ndarray | None = None, **facts: Any) -> LabelTable:
        """The same items with other labels ``p``, float ``[K, C]``, other hard classes int ``[K]``, further facts."""
        hard = self.hard if hard is None else hard.astype(np.int16)
        return replace(self, p=p.astype(np.float32), hard=hard, metadata=self.metadata | facts)

    def rows(self, kept: np.ndarray) -> LabelTable:
        """The labels of some items, bool ``[K]``."""
        votes = None if self.votes is None else self.votes[kept]
        of_rows = {"item": self.item[kept], "p": self.p[kept], "hard": self.hard[kept], "weight": self.weight[kept]}
        return replace(self, votes=votes, **of_rows)


def read(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> Evidence:
    """The votes that a label is made of where there are any, else the exact distribution.

    Args:
        config, inputs: of the command; see :func:`softlabels.labels.label.run`.

    Raises:
        UserError: more votes are asked for than an item has, or votes where there are none.
    """
    options, draw = config["label"], config["draw"]
    rows, metadata = io.read_table(inputs["annotations"], [])
    n_items = io.read_table(inputs["reference"], [])[0].num_rows
    evidence = Evidence(metadata["classes"], n_items)
    if rows.num_rows:
        evidence.annotations = inputs["annotations"]
    else:
        evidence.distribution = read_reference(inputs["reference"]).p
    if draw.startswith(SEED):
        evidence.seed = (int(draw.removeprefix(SEED).partition("-")[0]),)
    if (n := options["votes"]) != ALL_VOTES:
        if evidence.annotations is None:
            raise UserError(f"label: votes is {n}, but this data set has no votes to draw from. Set votes: all.")
        evidence.kept = _drawn(inputs, n, (options["seed"], *evidence.seed))
    part = read_split(inputs["split"]).part if "split" in inputs else None
    if options.get("aggregate", {}).get("fit_on") != "all":  # whose split, if any, says which items have a label
        evidence.part = part
    if "given" in inputs:
        evidence.given = inputs["given"]
        evidence.names = io.read_table(inputs["items"], ["name"])[0].column("name").to_pylist()
    if "predictions" in inputs:
        evidence.out_of_fold = predicted_out_of_fold(inputs["predictions"], n_items)
    if (wanted := options.get("items")) is not None:
        evidence.chosen = _chosen(evidence, part, wanted, (options["seed"], *evidence.seed))
    return evidence


def _chosen(evidence: Evidence, part: np.ndarray, wanted: int, key: tuple[int, ...]) -> np.ndarray:
    """Which items may have a label, bool ``[N]``: ``wanted`` of the training items with votes, of those of validation
    the same share (one at least), and all others.

    Every item has one number of the key, and the smallest are taken: more items are those of fewer, and others.
    """
    voted = evidence.score.sum(axis=1) > 0
    there = {name: np.flatnonzero((part == name) & voted) for name in ("train", "val")}
    found = len(there["train"])
    if found < wanted:
        raise UserError(
            f"label: found {found} images of the training part with a label, expected {wanted} or more to draw "
            f"from. Lower items, or give the split a larger training part."
        )
    numbers = keyed.rng("items", *key).random(evidence.n_items)
    chosen = ~np.isin(part, [*there])
    for rows in there.values():
        share = max(1, round(len(rows) * wanted / found))  # of the training part: all that are wanted
        chosen[rows[np.argsort(numbers[rows], kind="stable")[:share]]] = True
    return chosen


def _drawn(inputs: Mapping[str, Any], n: int, key: tuple[int, ...]) -> np.ndarray:
    """Which votes count, bool ``[V]``: those of ``n`` people an item, drawn without replacement.

    All votes of a person on an item come together; of votes whose annotators are unknown each stands for a person.
    Every (item, person) has one number of the key, and the smallest are taken: more votes are those of fewer, and
    others.
    """
    table, _ = io.read_table(inputs["annotations"], ["item", "annotator"])
    item, annotator = io.vector(table, "item"), _people(table)[1]
    begins = np.ones(len(item), bool)
    begins[1:] = (item[1:] != item[:-1]) | (annotator[1:] != annotator[:-1]) | (annotator[1:] < 0)
    unit_item = item[begins]
    found = np.bincount(unit_item)[np.unique(unit_item)]
    if (found < n).any():
        short = int(np.unique(unit_item)[found.argmin()])
        name = io.read_table(inputs["items"], ["name"])[0].column("name")[short].as_py()
        what = "annotators" if (annotator[item == short] >= 0).all() else "votes"
        raise UserError(
            f"label: image '{name}' has {found.min()} {what}, expected {n} or more to draw votes from "
            f"({int((found < n).sum())} such images). Lower votes to {found.min()}, or leave these images out."
        )
    order = np.lexsort((keyed.rng("votes", *key).random(len(unit_item)), unit_item))
    starts = np.repeat(np.cumsum(found) - found, found)
    kept = np.zeros(len(unit_item), bool)
    kept[order[np.arange(len(order)) - starts < n]] = True
    return kept[np.cumsum(begins) - 1]


def one_hot(label: np.ndarray, n_classes: int) -> np.ndarray:
    """float32 ``[K, C]`` with a one at each label."""
    return np.eye(n_classes, dtype=np.float32)[label]


def average(evidence: Evidence) -> np.ndarray:
    """The share of each class in an item's votes or their weight (nan without any), or its distribution: ``[N, C]``."""
    if evidence.distribution is not None:
        return evidence.distribution
    with np.errstate(invalid="ignore"):
        return evidence.score / evidence.score.sum(axis=1, keepdims=True)


def shares(evidence: Evidence, options: dict[str, Any]) -> tuple[LabelTable, np.ndarray]:
    """The label ``average``, which others are made of, and its distributions before they are rounded, ``[K, C]``."""
    p = average(evidence)
    table = label_table(evidence, p, options)
    return table, p[table.item]


def learned(evidence: Evidence, table: LabelTable) -> np.ndarray:
    """Which of the labels an estimate may learn from, bool ``[K]``; none at all is a UserError."""
    found = evidence.fit[table.item]
    if not found.any():
        raise UserError(
            "label: no item of the training part has a label to learn from. Check the options of the label."
        )
    return found


def label_table(
    evidence: Evidence, p: np.ndarray | None, options: dict[str, Any], score: np.ndarray | None = None
) -> LabelTable:
    """Labels ``p``, float ``[N, C]`` (None: the one-hot of the top class), with the class of the highest score beside.

    The score is the evidence's, or one ``[N, C]``, nowhere negative, of an aggregate that may put another class on top.

    The top is compared in whole votes where there are votes, so that rounding makes and breaks no tie. Where these have
    weights, their sums, made in float64 in the order of the rows, are compared exactly: weights such as 0.1 may differ
    in the last bit where they tie on paper. The option ``ties`` breaks ties by ``lowest_index``, at ``random`` (by
    item, ``seed``, and the seed of the run where there is a file a seed) or leaves the item out (``drop``), as one
    without a vote is, or one that is not ``evidence.chosen``; if none is left, that is a UserError.
    """
    score = evidence.score if score is None else score
    top = score == score.max(axis=1, keepdims=True)
    known = score.sum(axis=1) > 0
    if evidence.chosen is not None:
        known &= evidence.chosen
    tied = known & (top.sum(axis=1) > 1)
    hard = top.argmax(axis=1).astype(np.int16)
    if options["ties"] == "random":
        for item in np.flatnonzero(tied):
            rng = keyed.rng("ties", options["seed"], int(item), *evidence.seed)
            hard[item] = rng.choice(np.flatnonzero(top[item]))
    item = np.flatnonzero(known & ~tied if options["ties"] == "drop" else known)
    if not len(item):
        raise UserError("label: no item has a label: all are tied. Set ties to 'lowest_index' or 'random'.")
    hard = hard[item]
    return LabelTable(
        item=item.astype(np.int32),
        p=one_hot(hard, len(evidence.classes)) if p is None else p[item].astype(np.float32),
        hard=hard,
        votes=None if evidence.counts is None else evidence.counts[item].sum(axis=1).astype(np.int32),
        weight=np.ones(len(item), np.float32),
        metadata={"ties": {"rule": options["ties"], "count": int(tied.sum())}}
        | ({} if evidence.weights is None else {"weighted": True}),
    )
