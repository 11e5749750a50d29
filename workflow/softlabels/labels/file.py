"""Labels of the user's own."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.given import Given, read
from ..errors import Problems, UserError
from .evidence import Evidence, LabelTable, label_table

ENTRY = {
    "about": "Distributions of your own: a table with the items' names and a column a class. They need no votes. Items "
        "without a row have no label.",
    "options": {
        "path": {"type": "string", "minLength": 1, "input": "given", "required": True,
            "description": "CSV or Parquet, from `data_folder` (required). Items are called as in the data set; each "
            "row sums to 1 ± 0.001, and is divided by its sum."},
        "item_column": {"type": ["string", "null"], "default": None,
            "description": "Column with the names of the items; null is the one column that is no class."},
    },
    "shared": ["separator"],
}  # fmt: skip
TOLERANCE = 1e-3  # how far from 1 a row may sum: rounded numbers do
TOLD = 3  # errors of a kind that are told one by one


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels of the items that the file names; the metadata say how many of the data set ``lack`` one.

    Raises:
        UserError: all names that are no item's or there twice, and all rows that are no distribution, in one list.
    """
    given = read(evidence.given, evidence.classes, options["item_column"], options["separator"])
    problems = Problems()
    _require_names(evidence.given, given, evidence.names, problems)
    _require_distributions(evidence.given, given, evidence.classes, problems)
    problems.stop()
    number = {name: item for item, name in enumerate(evidence.names)}
    p = np.zeros((evidence.n_items, len(evidence.classes)))
    p[[number[name] for name in given.names]] = given.values / given.values.sum(axis=1, keepdims=True)
    table = label_table(replace(evidence, annotations=None, distribution=p), p, options)
    return table.changed(table.p, lack=evidence.n_items - len(given.names))


def _note(path: Path, given: Given, rows: Sequence[int], text: Callable[[int], str], problems: Problems) -> None:
    """Note the first of some bad rows one by one, and how many more there are."""
    unit, numbers = given.places
    for k in rows[:TOLD]:
        problems.add(f"{path}: {unit} {numbers[k]}: {text(k)}")
    if len(rows) > TOLD:
        problems.add(f"{path}: and {len(rows) - TOLD} more rows of this kind.", len(rows) - TOLD)


def _require_names(path: Path, given: Given, names: list[str], problems: Problems) -> None:
    """Note rows of items that the data set does not have, or that have a row already, and a file without rows."""
    known, times = set(names), Counter(given.names)
    strange = [k for k, name in enumerate(given.names) if name not in known]

    def nearest(k: int) -> str:
        near = difflib.get_close_matches(given.names[k], names, n=1) or names[:1]
        return (
            f"found the item {given.names[k]!r}, expected one of the data set (one is called {near[0]!r}). Correct or "
            f"remove that row."
        )

    _note(path, given, strange, nearest, problems)
    first = {name: k for k, name in reversed([*enumerate(given.names)])}
    again = [k for k, name in enumerate(given.names) if times[name] > 1 and first[name] != k]
    twice = "has a row already. Remove one of the two."
    _note(path, given, again, lambda k: f"the item {given.names[k]!r} {twice}", problems)
    if not len(given.names):
        raise UserError(f"{path}: found no rows below the header, expected one for each item that has a label.")


def _require_distributions(path: Path, given: Given, classes: list[str], problems: Problems) -> None:
    """Note rows that are no distribution."""
    values = given.values
    bad = ~((values >= 0) & (values <= 1 + TOLERANCE))  # negated, so that nan is bad

    def cell(k: int) -> str:
        column = int(np.flatnonzero(bad[k])[0])
        return f"column {classes[column]!r}: found {given.found(k, column)}, expected a probability. Correct that cell."

    wrong = bad.any(axis=1)
    _note(path, given, np.flatnonzero(wrong), cell, problems)
    total = values.sum(axis=1)
    off = np.flatnonzero(~wrong & (np.abs(total - 1) > TOLERANCE))
    _note(
        path, given, off,
        lambda k: f"the numbers sum to {total[k]:.6g}, expected 1 (± {TOLERANCE:g}). Correct that row.", problems,
    )  # fmt: skip
