"""Tables with a row an item: its name, and a number for each class of a data set."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ..errors import UserError
from .cells import csv_rows, header, readable_parquet

NAMED = 5  # items or columns that a message names
NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)  # what Parquet calls so


class Given(NamedTuple):
    """What a file says.

    Attributes:
        names: of R items, as they are written.
        values: float64 ``[R, C]``, classes in the order of the data set.
        places: where the rows stand, for messages: what a row is called, and the number of each.
        texts: what cells hold that hold no number, by row and class.
    """

    names: Sequence[str]
    values: np.ndarray
    places: tuple[str, Sequence[int]]
    texts: Mapping[tuple[int, int], str] = MappingProxyType({})

    def found(self, row: int, label: int) -> str:
        """A cell as messages quote it."""
        if not np.isnan(self.values[row, label]):
            return f"{self.values[row, label]:g}"
        return repr(text) if (text := self.texts.get((row, label), "")).strip() else "no number"


def read(path: Path, classes: list[str], item_column: str | None, separator: str) -> Given:
    """Names and numbers of a CSV or Parquet file (nan where a cell holds none).

    Args:
        path: of the file.
        classes: names of its columns with numbers, in the order of the result.
        item_column: name of the column with the names of the items; None: the one that is no class.
        separator: of a CSV file.

    Raises:
        UserError: a file of another kind, or a column that is missing, or of another type.
    """
    columns = header(path, separator)
    column = _item_column(path, columns, classes, item_column)
    of_kind = _parquet if path.suffix.lower() == ".parquet" else _csv
    return of_kind(path, columns, column, classes, separator)


def _item_column(path: Path, columns: list[str], classes: list[str], wanted: str | None) -> str:
    """The column with the names of the items, of a file that has a column for each class."""
    missing = [name for name in classes if name not in columns]
    others = [name for name in columns if name not in classes]
    if missing:
        near = difflib.get_close_matches(missing[0], others, n=1)
        raise UserError(
            f"{path}: found no column for the class {', '.join(map(repr, missing[:NAMED]))} ({len(missing)} of "
            f"{len(classes)} classes) among {', '.join(columns[:20])}. "
            f"{f'Did you mean {near[0]!r}? ' if near else ''}Name the columns like the classes of the data set."
        )
    if wanted is not None:
        if wanted not in columns:
            raise UserError(f"{path}: found no column '{wanted}' (item_column) among {', '.join(columns[:20])}.")
        return wanted
    if len(others) != 1:
        raise UserError(
            f"{path}: found {len(others)} columns that are no class ({', '.join(others[:NAMED]) or 'none'}), expected "
            f"one, with the names of the items. Set item_column, or add such a column."
        )
    return others[0]


def _csv(path: Path, columns: list[str], column: str, classes: list[str], separator: str) -> Given:
    at, numbers = columns.index(column), [columns.index(name) for name in classes]
    names, values, lines, texts = [], [], [], {}
    with csv_rows(path, separator) as rows:
        next(rows)
        for line, row in rows:
            if len(row) != len(columns):
                raise UserError(
                    f"{path}: line {line} has {len(row)} cells, expected {len(columns)} as in the header. Correct that "
                    f"line."
                )
            values.append([_number(row[k]) for k in numbers])
            texts |= {(len(names), k): row[numbers[k]] for k, value in enumerate(values[-1]) if np.isnan(value)}
            names.append(row[at])
            lines.append(line)
    return Given(names, np.array(values, np.float64).reshape(-1, len(classes)), ("line", lines), texts)


def _parquet(path: Path, columns: list[str], column: str, classes: list[str], separator: str) -> Given:
    with readable_parquet(path) as file:
        table = file.read([column, *classes])
    for name in classes:  # others, such as dates or yes and no, would become numbers, too
        if not any(of(table.column(name).type) for of in NUMBERS):
            raise UserError(
                f"{path}: column '{name}' is {table.column(name).type}, expected numbers. Save the table again."
            )
    try:
        values = [table.column(name).to_numpy().astype(np.float64) for name in classes]
        names = table.column(column).cast(pa.string()).fill_null("").to_pylist()
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise UserError(
            f"{path}: found a column of another type ({' '.join(str(error).split())}), expected numbers for each class "
            f"and text for '{column}'. Save the table again."
        ) from None
    return Given(names, np.column_stack(values), ("row", range(1, len(names) + 1)))


def _number(text: str) -> float:
    """The number that a cell holds; nan where it holds none."""
    try:
        return np.nan if "_" in text else float(text)  # Python would read 1_0 as 10
    except ValueError:
        return np.nan
