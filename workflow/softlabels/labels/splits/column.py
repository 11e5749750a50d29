"""The split that a data set was published with, from a column of its table."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from ... import keyed
from ...contracts import PARTS
from ...errors import UserError
from ..split import blocks, refuse_straddling
from .random import assign_blocks, assign_items

ENTRY = {
    "about": "The split that a column of the items gives, such as FER+'s `Usage`. No seed changes it: over several "
             "seeds only training differs.",
    "options": {
        "column": {
            "type": "string", "default": "split",
            "description": "Column of the items; the source `table` keeps its `columns.split` as `split`."},
        "parts": {
            "type": "object", "additionalProperties": False, "default": {},
            "description": "The values of the column that make each part.",
            "properties": {
                "train": {"type": "array", "items": {"type": ["string", "number", "boolean"]}, "default": ["train"],
                    "description": "Values of training items."},
                "val": {"type": "array", "items": {"type": ["string", "number", "boolean"]}, "default": ["val"],
                    "description": "Values of validation items; with `val_share`, no item may have one."},
                "test": {"type": "array", "items": {"type": ["string", "number", "boolean"]}, "default": ["test"],
                    "description": "Values of test items."}}},
        "val_share": {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, {"type": "null"}],
            "default": None,
            "description": "Where nothing was published for validation, this share of the training items, drawn anew "
            "with each seed within the hard classes."},
    },
    "fixed": True,
}  # fmt: skip


def text_of(value: Any) -> str:
    """A value of the configuration as a column has it; 1.0 is ``1``, as a configuration cannot tell them apart."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def read_parts(items: pa.Table, split: Mapping[str, Any]) -> np.ndarray:
    """The part of each item, int ``[N]`` (an index into PARTS), as a column of the items says."""
    name = split["column"]
    if name not in items.column_names:
        raise UserError(
            f"split.column: items.parquet has no column '{name}' (it has {', '.join(items.column_names)}), expected "
            f"the part of each item. Name the column of the table in source.columns.split, or use kind: random."
        )
    place: dict[str, int] = {}
    for number, part in enumerate(PARTS):
        for value in map(text_of, split["parts"][part]):
            if place.setdefault(value, number) != number:
                raise UserError(
                    f"split.parts: found '{value}' under {PARTS[place[value]]} and {part}, expected it in one part. "
                    f"Remove one."
                )
    found = [None if value is None else text_of(value) for value in items.column(name).to_pylist()]
    unknown = Counter(value for value in found if value not in place)
    if unknown:
        value, times = unknown.most_common(1)[0]
        first, more = items.column("name")[found.index(value)], len(unknown) - 1
        near = difflib.get_close_matches(value or "", place, n=1, cutoff=0.5)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        what = "no value" if value is None else f"'{value}'"
        other = f", and {more} other values besides" if more else ""
        raise UserError(
            f"split.parts: found {what} in column '{name}' of {times} items (the first is {first}){other}, expected "
            f"one of {', '.join(place)}.{hint} Add it to a part, or leave these rows out with source.where."
        )
    return np.array([place[value] for value in found], np.int64)


def parts(
    config: dict[str, Any], items: pa.Table, hard: np.ndarray, relations: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, None, dict[str, Any]]:
    """The published part of each item, int ``[N]``; no folds; and what of it the seed drew (``val``, or nothing)."""
    split = config["split"]
    part, share = read_parts(items, split), split["val_share"]
    refuse_straddling(items, np.array(PARTS)[part], "part", split["column"], relations)
    train, val = (part == PARTS.index(name) for name in ("train", "val"))
    if share is not None and val.any():
        raise UserError(
            f"split.val_share: found {val.sum()} items in part 'val' already, expected none. Remove val_share, or move "
            f"their values to parts.train."
        )
    if share is not None and train.any():
        rows = np.flatnonzero(train)
        draw = keyed.rng("split", config["seed"]).random(len(part))[rows]
        fractions = [1 - Fraction(str(share)), Fraction(str(share)), Fraction(0)]
        together = np.unique(blocks(relations, len(part))[rows], return_inverse=True)[1] if relations else None
        within = np.unique(hard[rows], return_inverse=True)[1]
        part[rows] = (
            assign_items(within, draw, fractions) if together is None
            else assign_blocks(within, draw, together, fractions)
        )  # fmt: skip
    for number, name in enumerate(PARTS):
        if not (part == number).any():
            remedy = f"List the values of its items in split.parts.{name}"
            if name == "val":
                remedy += ", or set split.val_share, such as 0.1, to draw it from the training items"
            raise UserError(f"split: part '{name}' has no item ({len(part)} items in all). {remedy}.")
    return part, None, {"kind": "column", "drawn": "none" if share is None else "val"}
