"""Splits into train, val and test: drawn at random and stratified, or a rotation of folds that the data set gives."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .. import io, keyed
from ..contracts import reference as reference_file
from ..contracts import split as split_file
from ..contracts.split import PARTS
from ..errors import UserError


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


def assign_blocks(stratum: np.ndarray, draw: np.ndarray, block: np.ndarray, fractions: list[Fraction]) -> np.ndarray:
    """The part of each item, int ``[N]``, the same within a block.

    From the largest block to the smallest (equal sizes in random order), each goes where the squared deviations from
    the shares of every stratum, and of all items, fall the most.
    """
    n_blocks = int(block.max()) + 1
    counts = np.zeros((n_blocks, int(stratum.max()) + 2))
    np.add.at(counts, (block, stratum), 1)
    counts[:, -1] = counts.sum(axis=1)
    missing = np.outer([float(fraction) for fraction in fractions], counts.sum(axis=0))
    key = np.ones(n_blocks)
    np.minimum.at(key, block, draw)
    part = np.empty(n_blocks, np.int64)
    for index in np.lexsort((key, -counts[:, -1])):
        # (m - c)^2 - m^2 = c (c - 2 m)
        change = (counts[index] * (counts[index] - 2 * missing)).sum(axis=1)
        part[index] = change.argmin()
        missing[part[index]] -= counts[index]
    return part[block]


def joined(items: pa.Table, split: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What keeps items together, ``groups`` and ``duplicates``: the first item that each is joined to, int ``[N]``.

    An item that is joined to no other has its own number. What the split ignores (``groups: false``, ``duplicates:
    apart``), and what no item of the data set has, is left out.
    """
    relations = {}
    names = items.column("group")
    if split["groups"] and names.null_count < len(names):
        first: dict[str, int] = {}
        found = [i if name is None else first.setdefault(name, i) for i, name in enumerate(names.to_pylist())]
        relations["groups"] = np.array(found)
    if split["duplicates"] == "together" and "duplicate" in items.column_names:
        same = items.column("duplicate")
        if same.null_count < len(same):
            relations["duplicates"] = pc.coalesce(same, items.column("item")).to_numpy()
    return relations


def blocks(relations: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """The block of each of ``n`` items, int ``[n]`` from 0: items that a relation joins, directly or through others."""
    rows, columns = np.tile(np.arange(n), len(relations)), np.concatenate(list(relations.values()))
    return connected_components(coo_array((np.ones(len(rows), bool), (rows, columns)), (n, n)), directed=False)[1]


def random_parts(
    config: dict[str, Any], items: pa.Table, hard: np.ndarray, relations: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, None, dict[str, Any]]:
    """A draw of the seed: the part of each item, int ``[N]``; no folds; and which strata were used.

    Raises:
        UserError: shares that do not sum to 1, or an empty part.
    """
    split = config["split"]
    fractions = exact_fractions(split)
    stratum, used = strata(items, hard, split["stratify"])
    draw = keyed.rng("split", config["seed"]).random(len(hard))
    whole = ""
    if relations:
        block = blocks(relations, len(hard))
        whole = f" in {block.max() + 1} blocks that stay whole, the largest of {np.bincount(block).max()}"
        part = assign_blocks(stratum, draw, block, fractions)
    else:
        part = assign_items(stratum, draw, fractions)
    for number, name in enumerate(PARTS):
        if not (part == number).any():
            raise UserError(
                f"split: part '{name}' has no item ({len(part)} items{whole}). Add items, or raise split.{name}."
            )
    return part, None, {"stratify": used}


def read_folds(items: pa.Table, name: str) -> np.ndarray:
    """The number of each item's fold, int8 ``[N]``, from a column of the items.

    Raises:
        UserError: no such column, one that is not of whole numbers up to 127, an item without a fold, or fewer than
            three folds.
    """
    expected = "expected the number of each item's fold"
    if name not in items.column_names:
        found = ", ".join(items.column_names)
        raise UserError(
            f"split.column: items.parquet has no column '{name}' (it has {found}), {expected}. Name another."
        )
    column = items.column(name)
    if not pa.types.is_integer(column.type):
        raise UserError(f"split.column: items.parquet column '{name}' is {column.type}, {expected}. Name another.")
    if column.null_count:
        item = pc.index(column.is_null(), True).as_py()
        raise UserError(
            f"items.parquet column '{name}': item {item} ({items.column('name')[item]}) has no fold "
            f"({column.null_count} such items), expected one for every item. Complete the column, or use kind: random."
        )
    fold = column.to_numpy()
    if fold.min() < 0 or fold.max() > 127:
        raise UserError(f"items.parquet column '{name}': found folds {fold.min()} to {fold.max()}, expected 0 to 127.")
    if len(np.unique(fold)) < 3:
        raise UserError(
            f"items.parquet column '{name}': found the folds {np.unique(fold).tolist()}, expected at least three: for "
            f"training, validation and test. Use kind: random."
        )
    return fold.astype(np.int8)


def refuse_straddling(items: pa.Table, fold: np.ndarray, column: str, relations: Mapping[str, np.ndarray]) -> None:
    """Refuse folds that separate what belongs together: given folds cannot be moved.

    Raises:
        UserError: a group, or items with the same pixels, in two folds.
    """
    for relation, first in relations.items():
        straddling = np.flatnonzero(fold != fold[first])
        if len(straddling):
            item = straddling[0]
            names = items.column("name")
            what, accept = "items with the same pixels", "duplicates: apart"
            if relation == "groups":
                what, accept = f"items of group '{items.column('group')[item]}'", "groups: false"
            raise UserError(
                f"split: found {what} in fold {fold[first[item]]} ({names[first[item]]}) and in fold {fold[item]} "
                f"({names[item]}), expected them in one fold ({len(straddling)} such items). Correct column "
                f"'{column}', or set split.{accept} to accept it."
            )


def fold_parts(
    config: dict[str, Any], items: pa.Table, hard: np.ndarray, relations: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """The slice ``seed + 1`` of the DCIC benchmark: the part of each item, int ``[N]``; its fold; which folds are what.

    Of the F folds in ascending order, slice v validates on the one at index v mod F, tests on the next and trains on
    the others. This is the rotation of the benchmark's code; its README tells another.

    Raises:
        UserError: a seed whose slice there was before; see also :func:`read_folds`, :func:`refuse_straddling`.
    """
    split, seed = config["split"], config["seed"]
    fold = read_folds(items, split["column"])
    numbers = np.unique(fold)
    if seed >= len(numbers):
        raise UserError(
            f"split: found seed {seed} with {len(numbers)} folds, expected a seed from 0 to {len(numbers) - 1}: later "
            f"ones repeat these slices."
        )
    refuse_straddling(items, fold, split["column"], relations)
    val, test = (int(numbers[(seed + step) % len(numbers)]) for step in (1, 2))
    part = np.select([fold == val, fold == test], [1, 2], 0)
    return part, fold, {"kind": "folds", "folds": {"val": val, "test": test}}


KINDS = {"random": random_parts, "folds": fold_parts}


def check_classes(part: np.ndarray, hard: np.ndarray, classes: list[str], split: Mapping[str, Any]) -> None:
    """Refuse a split with a part that lacks a class, unless that is allowed."""
    if split["allow_missing_class"]:
        return
    for number, name in enumerate(PARTS):
        found = np.bincount(hard[part == number], minlength=len(classes))
        if (found == 0).any():
            missing = int(found.argmin())
            shares = f"raise split.{name}, " if split["kind"] == "random" else ""
            raise UserError(
                f"split: class '{classes[missing]}' has no item in part '{name}' ({(hard == missing).sum()} in all). "
                f"Add items, {shares}or set split.allow_missing_class: true."
            )


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write one split.

    Args:
        config: ``seed``, and ``split`` with ``kind`` (``random`` or ``folds``), ``groups`` (keep them whole),
            ``duplicates`` (items with the same pixels ``together``, or ``apart`` as it comes), ``allow_missing_class``;
            of random splits also ``train``, ``val``, ``test`` (shares) and ``stratify`` (``hard``, and boolean columns
            of the items); of folds ``column`` (of the items, with the fold's number).
        inputs: ``items``, ``reference`` (its argmax, lowest index first, is the hard class).
        outputs: ``split``.

    Raises:
        UserError: shares that do not sum to 1, an empty part, a part without an item of some class, or folds that
            cannot be used as they are.
    """
    split = config["split"]
    items, _ = io.read_table(inputs["items"])
    reference = reference_file.read(inputs["reference"])
    hard = reference.p.argmax(axis=1)
    relations = joined(items, split)
    part, fold, facts = KINDS[split["kind"]](config, items, hard, relations)
    check_classes(part, hard, reference.classes, split)
    if "duplicates" in relations:
        again = relations["duplicates"] != np.arange(len(part))
        facts["duplicate_blocks"] = len(np.unique(blocks(relations, len(part))[again]))
    split_file.write(outputs["split"], part, fold, {"seed": config["seed"], **facts})
