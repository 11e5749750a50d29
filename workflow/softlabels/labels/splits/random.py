"""Splits drawn at random and stratified."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from ... import keyed
from ...contracts import PARTS
from ...errors import UserError
from ..split import blocks

ENTRY = {
    "about": "Random split, one per seed.",
    "options": {
        "train": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, "default": 0.6,
            "description": "Share of training items."},
        "val": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, "default": 0.2,
            "description": "Share of validation items."},
        "test": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, "default": 0.2,
            "description": "Share of test items."},
        "stratify": {"type": "array", "items": {"type": "string"}, "default": ["hard", "pure"],
            "description": "Shares are kept within the hard class of the reference (`hard`) and within yes/no "
            "columns of the items, where they exist (`pure` - the synthetic set's pure images)."},
    },
}  # fmt: skip


def strata(items: pa.Table, hard: np.ndarray, names: list[str]) -> tuple[np.ndarray, list[str]]:
    """The stratum of each item, int ``[N]`` from 0, and which of ``names`` it is made of.

    ``hard`` is the reference's class; other names must be boolean columns of the items, or are left out.
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


def parts(
    config: dict[str, Any], items: pa.Table, hard: np.ndarray, relations: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, None, dict[str, Any]]:
    """A draw of the seed: the part of each item, int ``[N]``, none empty; no folds; and which strata were used."""
    split = config["split"]
    fractions = [Fraction(str(split[part])) for part in PARTS]  # as they are written: 0.6 is 3/5
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
