"""Random splits into train, val and test: stratified, with groups kept whole."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .. import io, keyed
from ..errors import UserError

PARTS = ("train", "val", "test")


def exact_fractions(split: Mapping[str, Any]) -> list[Fraction]:
    """The share of each part as it is written in the configuration (0.6 is 3/5).

    Raises:
        UserError: the shares do not sum to 1, or one is negative.
    """
    fractions = [Fraction(str(split[part])) for part in PARTS]
    if sum(fractions) != 1 or min(fractions) < 0:
        found = ", ".join(f"split.{part} = {split[part]}" for part in PARTS)
        raise UserError(f"{found}: found the sum {float(sum(fractions)):g}, expected shares that sum to 1.")
    return fractions


def strata(items: pa.Table, hard: np.ndarray, names: list[str]) -> tuple[np.ndarray, list[str]]:
    """The stratum of each item, int ``[N]`` from 0, and which of ``names`` it is made of.

    ``hard`` is the reference's class; other names are boolean columns of the items, left out where the data set has
    none of that name.

    Raises:
        UserError: a named column is not boolean.
    """
    code = np.zeros(len(hard), np.int64)
    used = [name for name in names if name == "hard" or name in items.column_names]
    for name in used:
        if name == "hard":
            code = code * (int(hard.max()) + 1) + hard
            continue
        column = items.column(name)
        if not pa.types.is_boolean(column.type):
            raise UserError(f"split.stratify: items.parquet column '{name}' is {column.type}, expected boolean.")
        code = code * 2 + column.fill_null(False).to_numpy()
    return np.unique(code, return_inverse=True)[1], used


def open_cycle(cells: list[list[Fraction]]) -> list[tuple[int, int]]:
    """A closed walk over fractional cells, in turn along a row and a column; empty if no cell is fractional.

    Where all sums of rows and columns are whole, a row or column with one fractional cell has another, so the walk goes
    on until it meets a row or column again.
    """
    crossing: dict[int, list[int]] = {}  # rows as r, columns as ~c
    for r, row in enumerate(cells):
        for c, cell in enumerate(row):
            if cell.denominator > 1:
                crossing.setdefault(r, []).append(~c)
                crossing.setdefault(~c, []).append(r)
    if not crossing:
        return []
    path = [next(iter(crossing))]
    while path[-1] not in path[:-1]:
        path.append(next(line for line in crossing[path[-1]] if [line] != path[-2:-1]))
    cycle = path[path.index(path[-1]) :]
    return [(max(pair), ~min(pair)) for pair in pairwise(cycle)]


def controlled_rounding(sizes: list[int], fractions: list[Fraction]) -> np.ndarray:
    """Whole numbers of items, int64 ``[S, P]``: each cell, and each total, less than one away from its exact share.

    The rows sum to the sizes. Cox, A constructive procedure for unbiased controlled rounding, JASA 82 (1987), without
    its random choice of the direction.
    """
    cells = [[size * fraction for fraction in fractions] for size in sizes]
    totals = [sum(column) for column in zip(*cells, strict=True)]
    cells.append([-total % 1 for total in totals])  # makes the totals whole; rounded with the others and left out
    while cycle := open_cycle(cells):
        step = min(cells[r][c] % 1 if k % 2 == 0 else -cells[r][c] % 1 for k, (r, c) in enumerate(cycle))
        for k, (r, c) in enumerate(cycle):
            cells[r][c] += step if k % 2 else -step
    return np.array(cells[:-1], np.int64)


def assign_items(stratum: np.ndarray, draw: np.ndarray, fractions: list[Fraction]) -> np.ndarray:
    """The part of each item, int ``[N]``: each stratum in random order, cut at the rounded shares."""
    shares = controlled_rounding(np.bincount(stratum).tolist(), fractions)
    part = np.empty(len(stratum), np.int64)
    part[np.lexsort((draw, stratum))] = np.repeat(np.tile(np.arange(len(PARTS)), len(shares)), shares.reshape(-1))
    return part


def assign_groups(stratum: np.ndarray, draw: np.ndarray, group: np.ndarray, fractions: list[Fraction]) -> np.ndarray:
    """The part of each item, int ``[N]``, the same within a group.

    From the largest group to the smallest (equal sizes in random order), each goes where the squared deviations from
    the shares of every stratum, and of all items, fall the most.
    """
    n_groups = int(group.max()) + 1
    counts = np.zeros((n_groups, int(stratum.max()) + 2))
    np.add.at(counts, (group, stratum), 1)
    counts[:, -1] = counts.sum(axis=1)
    missing = np.outer([float(fraction) for fraction in fractions], counts.sum(axis=0))
    key = np.ones(n_groups)
    np.minimum.at(key, group, draw)
    part = np.empty(n_groups, np.int64)
    for index in np.lexsort((key, -counts[:, -1])):
        # (m - c)^2 - m^2 = c (c - 2 m)
        change = (counts[index] * (counts[index] - 2 * missing)).sum(axis=1)
        part[index] = change.argmin()
        missing[part[index]] -= counts[index]
    return part[group]


def group_indices(items: pa.Table) -> np.ndarray | None:
    """The group of each item, int ``[N]`` from 0, items without one as groups of their own; None if no item has one."""
    names = items.column("group").to_pylist()
    if not any(name is not None for name in names):
        return None
    keys = [(0, name) if name is not None else (1, index) for index, name in enumerate(names)]
    index = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([index[key] for key in keys])


def check(
    part: np.ndarray, group: np.ndarray | None, hard: np.ndarray, classes: list[str], allow_missing_class: bool
) -> None:
    """Refuse a split with an empty part, or (unless allowed) with a part that lacks a class."""
    for number, name in enumerate(PARTS):
        if not (part == number).any():
            blocks = "" if group is None else f" in {group.max() + 1} groups, the largest of {np.bincount(group).max()}"
            raise UserError(
                f"split: part '{name}' has no item ({len(part)} items{blocks}). Add items, or raise split.{name}."
            )
    for number, name in enumerate(PARTS):
        found = np.bincount(hard[part == number], minlength=len(classes))
        if not allow_missing_class and (found == 0).any():
            missing = int(found.argmin())
            raise UserError(
                f"split: class '{classes[missing]}' has no item in part '{name}' ({(hard == missing).sum()} in all). "
                f"Add items, raise split.{name}, or set split.allow_missing_class: true."
            )


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write one split: item int32, split (train, val or test), fold int8 (null).

    Args:
        config: ``split`` with ``train``, ``val``, ``test`` (shares), ``stratify`` (``hard``, and boolean columns of the
            items), ``groups`` (keep them whole), ``allow_missing_class``; and ``seed``.
        inputs: ``items``, ``reference`` (its argmax, lowest index first, is the hard class).
        outputs: ``split``.

    Raises:
        UserError: shares that do not sum to 1, an empty part, or a part without an item of some class.
    """
    split, seed = config["split"], config["seed"]
    fractions = exact_fractions(split)
    items, _ = io.read_table(inputs["items"])
    reference, metadata = io.read_table(inputs["reference"])
    hard = io.matrix(reference, "p").argmax(axis=1)
    stratum, used = strata(items, hard, split["stratify"])
    draw = keyed.rng("split", seed).random(len(hard))
    group = group_indices(items) if split["groups"] else None
    part = assign_items(stratum, draw, fractions) if group is None else assign_groups(stratum, draw, group, fractions)
    check(part, group, hard, metadata["classes"], split["allow_missing_class"])
    table = pa.table(
        {
            "item": pa.array(np.arange(len(part), dtype=np.int32)),
            "split": pa.array(np.array(PARTS, object)[part], pa.string()),
            "fold": pa.nulls(len(part), pa.int8()),
        }
    )
    counts = dict(zip(PARTS, np.bincount(part, minlength=len(PARTS)).tolist(), strict=True))
    io.write_table(outputs["split"], table, {"seed": seed, "counts": counts, "stratify": used})
