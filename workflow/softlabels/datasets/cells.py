"""Tables of people's data, CSV or Parquet, read column by column into whole numbers that stand for texts.

A column of millions of votes holds few different texts, so whatever is checked is checked once for each text, and a
table of 10 million votes takes tens of megabytes.
"""

from __future__ import annotations

import csv
import difflib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import Problems, UserError
from ..progress import progress

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


class Column(NamedTuple):
    """A column: cell i holds ``texts[code[i]]`` ("" where it is empty); ``code`` is int ``[R]``."""

    code: np.ndarray
    texts: list[str]

    @classmethod
    def of(cls, texts: list[str] | pa.Array) -> Column:
        """The column of R texts."""
        encoded = pa.array(texts, pa.string()).dictionary_encode()
        return cls(encoded.indices.to_numpy().astype(np.int32), encoded.dictionary.to_pylist())

    def first(self, text: int) -> int:
        """The first row that holds a text."""
        return int(np.flatnonzero(self.code == text)[0])

    def each(self, row: int) -> str:
        """The text of a row."""
        return self.texts[self.code[row]]


@dataclass(frozen=True)
class Cells:
    """Columns of R rows of a file, by the role that the configuration gives them."""

    path: Path
    columns: dict[str, Column]
    number: np.ndarray  # int [R], the line (CSV; the header is line 1) or row (Parquet; from 1) of each row
    unit: str  # line, or row

    def __len__(self) -> int:
        return len(self.number)

    def place(self, row: int) -> str:
        """Where a row stands, for messages."""
        return f"{self.path}: {self.unit} {self.number[row]}"

    def both(self, first: int, second: int) -> str:
        """Where two rows stand that are about the same, for messages."""
        return f"{self.place(first)} and {self.unit} {self.number[second]} are both"

    def kept(self, rows: np.ndarray) -> Cells:
        """Only the rows where ``rows`` (bool ``[R]``) is true."""
        columns = {role: Column(column.code[rows], column.texts) for role, column in self.columns.items()}
        return Cells(self.path, columns, self.number[rows], self.unit)


def header(path: Path, separator: str = ",") -> list[str]:
    """The names of a table's columns; a file without some, or without a name for each, is a UserError."""
    if path.suffix.lower() == ".parquet":
        with readable_parquet(path) as file:
            names = file.schema_arrow.names
    elif path.suffix.lower() in (".csv", ".tsv", ".txt"):
        with csv_rows(path, separator) as rows:
            names = next(rows, (0, []))[1]
    else:
        raise UserError(f"{path}: found a file of type '{path.suffix}', expected .csv or .parquet. Save it as one.")
    if not names:
        raise UserError(f"{path}: is empty, expected a header line and lines below it. Save the table again.")
    if "" in names:
        raise UserError(
            f"{path}: column {names.index('') + 1} has no name in the header. Name or remove it (row numbers that "
            f"a program wrote beside the data, for example)."
        )
    ((name, times),) = Counter(names).most_common(1)
    if times > 1:
        raise UserError(f"{path}: the header names column '{name}' twice. Rename or remove one of them.")
    return names


def read(path: Path, roles: Mapping[str, str], problems: Problems, separator: str = ",") -> Cells:
    """The columns that ``roles``, ``{key of source: name}``, lists, of a CSV (UTF-8, with a header) or Parquet file.

    Lines with too few or too many cells are noted and left out; an unreadable file, a missing column or no rows are a
    UserError.
    """
    names = header(path, separator)
    missing = {role: name for role, name in roles.items() if name not in names}
    other = [word for mark, word in SEPARATORS.items() if len(names) == 1 and mark in names[0]]
    if missing and other:
        raise UserError(
            f"{path}: found one column, '{names[0]}', expected {', '.join(roles.values())}. Set source.separator if a "
            f"{other[0]} separates the columns."
        )
    for role, name in missing.items():
        hint = "".join(f"Did you mean '{near}'? " for near in difflib.get_close_matches(name, names, n=1))
        place = f"{path}: found no column '{name}' (source.{role}) among {', '.join(names)}"
        problems.add(f"{place}. {hint}Correct the key or the header.")
    problems.stop()
    read_columns = read_parquet if path.suffix.lower() == ".parquet" else read_csv
    cells = read_columns(path, names, roles, separator, problems)
    if not len(cells):
        problems.stop()
        raise UserError(f"{path}: found no rows below the header, expected at least one. Save the table again.")
    return cells


@contextmanager
def csv_rows(path: Path, separator: str) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """The rows of a CSV file that are not blank, each with the line where it ends; a UserError names a bad line."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(without_nul(file), delimiter=separator, strict=True)
        try:
            yield ((reader.line_num, row) for row in reader if row)
        except UnicodeDecodeError:
            raise UserError(
                f"{path}: line {first_bad_line(path)} is not UTF-8 text. Save the file as CSV in UTF-8."
            ) from None
        except csv.Error as error:
            raise UserError(f"{path}: line {reader.line_num} is not CSV ({error}). Correct that line.") from None


def without_nul(lines: Iterable[str]) -> Iterator[str]:
    """The same lines; a NUL in one, as in half of the bytes of UTF-16, ends them as text that is not UTF-8 does."""
    for line in lines:
        if "\0" in line:
            raise UnicodeDecodeError("utf-8", b"\0", 0, 1, "NUL")
        yield line


def first_bad_line(path: Path) -> int:
    """The first line (from 1) that is not UTF-8, or holds a NUL."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                list(without_nul([line.decode("utf-8")]))
            except UnicodeDecodeError:
                return number
    return number


def read_csv(path: Path, names: list[str], roles: Mapping[str, str], separator: str, problems: Problems) -> Cells:
    """:func:`read` of a CSV file with the header ``names``."""
    found = [(names.index(name), array("i"), {}) for name in roles.values()]
    lines = array("q")
    with csv_rows(path, separator) as rows:
        next(rows)
        for line, row in progress(rows, path.name, unit=" rows"):
            if len(row) != len(names):
                problems.add(
                    f"{path}: line {line} has {len(row)} cells, expected {len(names)} as in the header. Correct that "
                    f"line."
                )
                continue
            lines.append(line)
            for index, code, texts in found:
                code.append(texts.setdefault(row[index], len(texts)))
    columns = [Column(np.array(code, np.int32), list(texts)) for _, code, texts in found]
    return Cells(path, dict(zip(roles, columns, strict=True)), np.array(lines, np.int64), "line")


@contextmanager
def readable_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """An open Parquet file; one that cannot be read is a UserError."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read as Parquet ({reason}). Save the table again.") from None


def read_parquet(path: Path, names: list[str], roles: Mapping[str, str], separator: str, problems: Problems) -> Cells:
    """:func:`read` of a Parquet file."""
    columns = {}
    with readable_parquet(path) as file:
        n_rows = file.metadata.num_rows
        for role, name in roles.items():
            column = file.read([name]).column(name)
            kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
            if pa.types.is_nested(kind) or pa.types.is_binary(kind):
                problems.add(f"{path}: column '{name}' is {kind}, expected text or numbers. Save it as text.")
                continue
            columns[role] = Column.of(column.cast(pa.string()).fill_null("").combine_chunks())
    problems.stop()
    return Cells(path, columns, np.arange(1, n_rows + 1), "row")
