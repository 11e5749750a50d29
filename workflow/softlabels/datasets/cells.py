"""Tables of people's data, CSV or Parquet, read column by column into whole numbers that stand for texts.

A column of millions of votes holds few different texts, so whatever is checked is checked once for each text, and a
table of 10 million votes takes tens of megabytes.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import gzip
import io
import itertools
import re
import sys
import zlib
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

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blank"}
Header = list[str] | str | None  # names of the columns of a file without any, ``none`` (their numbers), or None
TEXT = (".csv", ".tsv", ".txt")
PLACE = "place"  # the role of a column with the place of each row in the file, where that differs from the row's own
MOST_LINES = 8  # with a wrong number of cells that are told one by one; the others are counted
SEP = re.compile(r'"?sep=(.)"?\r?\n')  # the line that Excel writes, or wants, above the header
# The marks that files in Unicode may begin with; the longer ones first, as one begins with another.
MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
         codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
# What programs write where there is nothing: pandas, R, Excel, SQL, JavaScript. Python's None and R's NA only as they
# write them, as other spellings may be answers.
NOTHING = {"nan", "-nan", "null", "<na>", "n/a", "#n/a", "#na", "undefined", "nat"}
NOTHING |= {"#value!", "#ref!", "#div/0!", "#name?", "#null!", "#num!"}  # spreadsheets write them for faults
NOTHING_SPELT = {"None", "NA"}


def is_missing(text: str) -> bool:
    """Whether a cell holds nothing, or a word that programs write for it."""
    text = text.strip()
    return not text or text in NOTHING_SPELT or text.casefold() in NOTHING


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
        if rows.all():
            return self
        columns = {role: Column(column.code[rows], column.texts) for role, column in self.columns.items()}
        return Cells(self.path, columns, self.number[rows], self.unit)


def suffix_of(path: Path) -> str:
    """The suffix of a file, in small letters; of one that gzip compressed, that before ``.gz``."""
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def is_text(path: Path) -> bool:
    """Whether a table is text by its suffix, perhaps compressed by gzip."""
    return suffix_of(path) in TEXT


def header(path: Path, separator: str = ",", given: Header = None) -> list[str]:
    """The names of a table's columns; a file without some, or without a name for each, is a UserError.

    Where they are ``given``, the first line of the file is a row like any other.
    """
    if given and path.suffix.lower() == ".parquet":
        raise UserError(f"{path}: has names of its own for its columns. Set source.header to null.")
    if path.suffix.lower() == ".parquet":
        with readable_parquet(path) as file:
            names = file.schema_arrow.names
    elif is_text(path):
        with csv_rows(path, separator) as rows:
            names = next(rows, (0, []))[1]
        if given and names:
            names = names_given(path, names, given)
    else:
        json = suffix_of(path) in (".json", ".jsonl", ".ndjson")
        lists = ", or set source.layout to 'lists' if each of its entries is about one image" if json else ""
        raise UserError(
            f"{path}: found a file of type '{path.suffix}', expected .csv or .parquet (or .csv.gz). Save it as "
            f"one{lists}."
        )
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


def names_given(path: Path, first: list[str], given: list[str] | str) -> list[str]:
    """The names of a file's columns that the configuration gives, for the cells of its first line."""
    names = [str(place) for place in range(len(first))] if given == "none" else given
    if len(names) != len(first):
        raise UserError(
            f"{path}: found {len(first)} cells in the first line, expected {len(names)} as source.header names. Name "
            f"every column there, and set source.separator to what separates them."
        )
    if given != "none" and [text.strip().casefold() for text in first] == [name.casefold() for name in names]:
        raise UserError(f"{path}: its first line names the columns already. Set source.header to null.")
    return names


def read(
    path: Path, roles: Mapping[str, str], problems: Problems, separator: str = ",", given: Header = None
) -> Cells:  # fmt: skip
    """The columns that ``roles``, ``{key of source: name}``, lists, of a CSV (UTF-8) or Parquet file.

    A CSV file names its columns in its first line, unless their names are ``given`` (see :func:`header`).

    Lines with too few or too many cells are noted and left out; an unreadable file, a missing column or no rows are a
    UserError.
    """
    names = header(path, separator, given)
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
    if path.suffix.lower() == ".parquet":
        cells = read_parquet(path, names, roles, separator, problems)
    else:
        cells = read_csv(path, names, roles, separator, problems, first=not given)
    if not len(cells):
        problems.stop()
        raise UserError(f"{path}: found no rows below the header, expected at least one. Save the table again.")
    return cells


@contextmanager
def binary(path: Path) -> Iterator[io.BufferedIOBase]:
    """The bytes of an open file, without its compression; a UserError where that is damaged."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield file
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise UserError(f"{path}: cannot be read as gzip ({error}). Compress or get the file again.") from None


@contextmanager
def text_of(path: Path, errors: str = "strict") -> Iterator[io.TextIOWrapper]:
    """An open text: UTF-8, or as the mark at its beginning says; ``errors`` as for ``open``."""
    with binary(path) as file:
        begin = file.read(4)
        file.seek(0)
        encoding = next((name for mark, name in MARKS.items() if begin.startswith(mark)), "utf-8-sig")
        try:
            yield io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="")
        except UnicodeDecodeError as error:
            if encoding == "utf-8-sig":  # of which callers can name the line
                raise
            raise UserError(
                f"{path}: cannot be read as {encoding.upper()}, which its first bytes announce ({error.reason}). Save "
                f"it in UTF-8, or get it again."
            ) from None


def names_of(path: Path) -> list[str]:
    """The names in a text file that has one a line: without blanks around them, and without blank lines."""
    try:
        with text_of(path) as file:
            names = [line.strip() for line in without_nul(file)]
    except UnicodeDecodeError:
        raise UserError(
            f"{path}: line {first_bad_line(path)} is not UTF-8 text, expected a name a line. Save it as UTF-8."
        ) from None
    return [name for name in names if name]


@contextmanager
def csv_rows(path: Path, separator: str) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """The rows of a CSV file that are not blank, each with the line where it ends; a UserError names a bad line.

    A first line ``sep=;`` names the separator, and is no row.
    """
    csv.field_size_limit(sys.maxsize)
    with text_of(path) as file:
        before, start = 0, 1
        try:
            first = file.readline()
            if found := SEP.fullmatch(first):
                before, separator, first = 1, found[1], ""
            lines = itertools.chain([first] if first else [], file)
            blanks = separator == " "  # any number of them, and those at the ends of a line separate nothing
            lines = (line.rstrip() for line in without_nul(lines)) if blanks else without_nul(lines)
            reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=blanks)

            def numbered() -> Iterator[tuple[int, list[str]]]:
                nonlocal start
                for row in reader:
                    start = before + reader.line_num + 1
                    if row:
                        yield start - 1, row

            yield numbered()
        except UnicodeDecodeError:
            raise UserError(
                f"{path}: line {first_bad_line(path)} is not UTF-8 text. Save the file as CSV in UTF-8."
            ) from None
        except csv.Error as error:
            until = before + reader.line_num
            rest = f", with what follows it until line {until}" if until > start else ""
            raise UserError(f"{path}: line {start} is not CSV{rest} ({error}). Correct that line.") from None


def without_nul(lines: Iterable[str]) -> Iterator[str]:
    """The same lines; a NUL in one, as in half of the bytes of UTF-16, ends them as text that is not UTF-8 does."""
    for line in lines:
        if "\0" in line:
            raise UnicodeDecodeError("utf-8", b"\0", 0, 1, "NUL")
        yield line


def first_bad_line(path: Path) -> int:
    """The first line (from 1) that is not UTF-8, or holds a NUL."""
    number = 1
    with binary(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                list(without_nul([line.decode("utf-8")]))
            except UnicodeDecodeError:
                return number
    return number


def read_csv(
    path: Path, names: list[str], roles: Mapping[str, str], separator: str, problems: Problems, first: bool = True
) -> Cells:
    """:func:`read` of a CSV file with the columns ``names``, which its ``first`` line has or no line."""
    found = [(names.index(name), array("i"), {}) for name in roles.values()]
    lines = array("q")
    empty = wrong = 0
    with csv_rows(path, separator) as rows:
        if first:
            next(rows)
        for line, row in progress(rows, path.name, unit=" rows"):
            if not any(row):
                empty += 1
                continue
            if len(row) != len(names):
                wrong += 1
                if wrong <= MOST_LINES:
                    problems.add(
                        f"{path}: line {line} has {len(row)} cells, expected {len(names)} as in the header. Correct "
                        f"that line."
                    )
                continue
            lines.append(line)
            for index, code, texts in found:
                code.append(texts.setdefault(row[index], len(texts)))
    if wrong > MOST_LINES:
        more = wrong - MOST_LINES
        problems.add(f"{path}: and {more:,} more lines have another number of cells than the header.", more)
    if empty:
        problems.remarks.append(f"{empty} rows of {path.name} have nothing but empty cells and were left out.")
    columns = [Column(np.array(code, np.int32), list(texts)) for _, code, texts in found]
    return Cells(path, dict(zip(roles, columns, strict=True)), np.array(lines, np.int64), "line")


def is_list(kind: pa.DataType) -> bool:
    """Whether the cells of a Parquet column are lists."""
    return any(test(kind) for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


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
            kind = file.schema_arrow.field(name).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            if pa.types.is_nested(kind) or pa.types.is_binary(kind):
                several = "Set source.layout to 'lists' if a cell holds several votes, or s" if is_list(kind) else "S"
                problems.add(f"{path}: column '{name}' is {kind}, expected text or numbers. {several}ave it as text.")
                continue
            columns[role] = Column.of(file.read([name]).column(name).cast(pa.string()).fill_null("").combine_chunks())
    problems.stop()
    return Cells(path, columns, np.arange(1, n_rows + 1), "row")
