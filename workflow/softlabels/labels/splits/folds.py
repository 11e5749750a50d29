"""Splits that rotate over the folds that the data set gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import UserError
from ..split import refuse_straddling

ENTRY = {
    "about": "The rotation of the DCIC benchmark over its folds: seed s validates on fold (s + 1) mod F and tests "
             "on fold (s + 2) mod F, counted from 0; the other folds train.",
    "options": {
        "column": {
            "type": "string", "default": "fold", "description": "Column of the items with the number of the fold."},
    },
}  # fmt: skip


def read_folds(items: pa.Table, name: str) -> np.ndarray:
    """The number of each item's fold, int8 ``[N]``, from a column of the items, which must have three folds or more."""
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


def parts(
    config: dict[str, Any], items: pa.Table, hard: np.ndarray, relations: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """The slice ``seed + 1`` of the DCIC benchmark: the part of each item, int ``[N]``; its fold; which folds are what.

    Of the F folds in ascending order, slice v validates on the one at index v mod F, tests on the next and trains on
    the others. This is the rotation of the benchmark's code; its README tells another.
    """
    split, seed = config["split"], config["seed"]
    fold = read_folds(items, split["column"])
    numbers = np.unique(fold)
    if seed >= len(numbers):
        raise UserError(
            f"split: found seed {seed} with {len(numbers)} folds, expected a seed from 0 to {len(numbers) - 1}: later "
            f"ones repeat these slices."
        )
    refuse_straddling(items, fold, "fold", split["column"], relations)
    val, test = (int(numbers[(seed + step) % len(numbers)]) for step in (1, 2))
    part = np.select([fold == val, fold == test], [1, 2], 0)
    return part, fold, {"kind": "folds", "folds": {"val": val, "test": test}}
