"""What a file of votes looks like at a glance, and the folders with images near it.

A source that can tell its own files has a function ``recognise(look)``: it gets a :class:`Look` and returns a
:class:`Guess` (or a list of them, the likeliest first), or None. ``look.guess`` makes one. A constant ``FORM`` of
the module says in a few words which files these are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import Problems, UserError
from . import cells, counts, imported
from .cells import suffix_of
from .distributions import json_lines
from .exports import bare, parsed
from .folder import SUFFIXES, originals

SAMPLE = 2000  # rows, records or texts that are looked at
DEEPEST = 3  # folders below the file's own in which images are looked for
MOST_FILES = 300_000  # and folders, that are listed to find images
TABLES = (".csv", ".tsv", ".txt", ".parquet")
MOSTLY = 0.5  # of a column's values that must name images
FEW = 0.2  # of a folder's images that a file must name where the folder is not below the file's own
LARGEST = 200_000_000  # bytes of a file whose lines are counted
LINES = (".jsonl", ".ndjson")
# How sure a guess is: by names that only one tool writes, by names of columns, or by what cells hold.
CERTAIN, LIKELY, POSSIBLE = 3, 2, 1


class Guess(NamedTuple):
    """What a file may be."""

    what: str  # in words
    sure: int  # CERTAIN, LIKELY or POSSIBLE
    source: dict[str, Any]  # the options that read it, but for images
    notes: tuple[str, ...] = ()  # what the user is to look at, a sentence each


class Folder(NamedTuple):
    """A folder that holds images, itself or in folders below it."""

    path: Path
    names: list[str]  # of the images, as paths below the folder, sorted


@dataclass
class Look:
    """The beginning of a file: of a table its columns and rows as text, of JSON its values, of an array its numbers."""

    path: Path
    columns: list[str] = field(default_factory=list)  # of a table, or the keys of the first records
    rows: list[dict[str, Any]] = field(default_factory=list)  # at most SAMPLE: texts by column, or records of JSON
    separator: str = ","
    headless: bool = False  # whether the first line is a row like any other; columns are then called by their place
    document: Any = None  # of a JSON file
    array: np.ndarray | None = None  # of a .npy file, [R, C]
    length: int | None = None  # rows of a file that names no images
    # For who guesses: how sure, and what columns are called.
    CERTAIN, LIKELY, POSSIBLE = CERTAIN, LIKELY, POSSIBLE
    ITEMS = ("image", "item", "file", "filename", "file_name", "image_name", "image_id", "image_path", "path", "img",
             "picture", "photo", "task", "task_id", "item_id", "sample", "object", "question", "url", "idx", "index",
             "id")  # fmt: skip
    ANNOTATORS = ("annotator", "worker", "rater", "reader", "user", "annotator_id", "worker_id", "workerid", "person",
                  "participant", "performer", "coder", "expert", "labeler", "labeller", "reviewer", "grader", "judge",
                  "subject", "who", "username", "user_name", "doctor")  # fmt: skip
    LABELS = ("label", "class", "answer", "category", "choice", "vote", "response", "annotation", "diagnosis", "rating",
              "grade", "score", "chosen_label", "judgment", "judgement", "class_label", "labels")  # fmt: skip
    GROUPS = ("group", "patient", "animal", "slide", "video", "patient_id", "case", "subject_id")
    TIMES = ("time", "timestamp", "seconds", "created_at", "submitted_at", "date")

    @property
    def is_lines(self) -> bool:
        """Whether the file has a JSON object a line."""
        return suffix_of(self.path) in LINES

    @property
    def is_table(self) -> bool:
        """Whether the file is CSV or Parquet."""
        return suffix_of(self.path) in TABLES

    def guess(self, what: str, sure: int, *notes: str, path: str = "votes", **source: Any) -> Guess:
        """A guess whose source names the file by the option ``path`` ("": it does not)."""
        return Guess(what, sure, {**source, **({path: self.path.name} if path else {})}, notes)

    def values(self, column: str) -> list[Any]:
        """What the rows hold in a column, but for empty cells."""
        return [row[column] for row in self.rows if row.get(column) not in (None, "")]

    @cached_property
    def texts(self) -> set[str]:
        """Texts of the file, some of which may name images."""
        found: set[str] = set()
        for text in strings(self.rows or self.document):
            found.add(text)
            if len(found) > 20 * SAMPLE:
                break
        return found

    @cached_property
    def folder(self) -> Folder | None:
        """The folder near the file whose images its texts name, or that has as many as it has rows.

        Where there is none, it is the one with most images below the file's own folder.
        """
        folders = list(folders_near(self.path))
        spelled = {unpadded(text) for text in self.texts}
        rows = len(self.array) if self.array is not None else -1 if self.length is None else self.length

        named = {folder.path: len({unpadded(name) for name in folder.names} & spelled) for folder in folders}
        most = max(named.values(), default=0)

        def fit(folder: Folder) -> tuple[int, ...]:
            below = folder.path.is_relative_to(self.path.parent) and 2 * named[folder.path] >= most
            exact = len(self.texts.intersection(folder.names))
            return below, named[folder.path], exact, -len(folder.names), len(folder.path.parts)

        def is_named(folder: Folder) -> bool:
            below = folder.path.is_relative_to(self.path.parent)
            share = named[folder.path] / max(1, min(len(folder.names), rows if rows >= 0 else len(folder.names)))
            return named[folder.path] > 0 and (share >= FEW or (below and rows < 0))

        if best := max(filter(is_named, folders), key=fit, default=None):
            return best
        if rows >= 0:
            return max((folder for folder in folders if len(folder.names) == rows), key=fit, default=None)
        below = [folder for folder in folders if folder.path.is_relative_to(self.path.parent)]
        largest = max((len(folder.names) for folder in below), default=0)
        return max((folder for folder in below if len(folder.names) == largest), key=fit, default=None)

    @cached_property
    def stems(self) -> set[str]:
        """The stems of the names of the images in the folder."""
        return {bare(name) for name in self.folder.names} if self.folder else set()

    def names_images(self, column: str) -> float:
        """The share of a column's values that name images in the folder; without one, that look like file names."""
        values = {str(value) for value in self.values(column)}
        if not values:
            return 0.0
        if self.stems:
            return sum(bare(value) in self.stems for value in values) / len(values)
        return sum(Path(value).suffix.casefold() in SUFFIXES for value in values) / len(values)

    def item_column(self) -> str | None:
        """The column that names images: the one whose values do, or whose own name says so."""
        best = max(self.columns, key=self.names_images, default=None)
        if best is not None and self.names_images(best) >= MOSTLY:
            return best
        return self.named(self.ITEMS)

    def named(self, names: tuple[str, ...], *but: str | None) -> str | None:
        """The first column, ``but`` for some, that is called like one of the names, or has one among its words."""
        spelled = {
            re.sub(r"(?<=[a-z])(?=[A-Z])|[\W_]+", "_", column.strip()).strip("_").casefold(): column
            for column in self.columns
            if column not in but
        }
        for name in names:
            for text in (name, f"{name}s"):
                if text in spelled:
                    return spelled[text]
        for name in names:
            for text, column in spelled.items():
                if name != "id" and name in text.split("_"):
                    return column
        return None

    def vocabulary(self, column: str) -> set[str]:
        """The different texts in a column."""
        return {str(value).strip() for value in self.values(column)}

    def is_unique(self, *columns: str) -> bool:
        """Whether no two rows have the same in a column, or in several ones."""
        values = [tuple(str(row.get(column)) for column in columns) for row in self.rows if row.get(columns[0])]
        return len(set(values)) == len(values)

    def apart(self, item: str) -> list[str]:
        """The columns in which no image has the same twice, though values repeat: those of people, most likely."""
        repeated = [name for name in self.columns if name != item and 2 <= len(self.vocabulary(name)) < len(self.rows)]
        return [name for name in repeated if self.is_unique(item, name)] if not self.is_unique(item) else []

    @property
    def format(self) -> dict[str, Any]:
        """The options of a table that say how its cells are separated, and that its first line has no names."""
        separator = {"separator": self.separator} if self.separator != "," else {}
        return separator | ({"header": "none"} if self.headless else {})

    def of(self, rows: list[dict[str, Any]], columns: list[str]) -> Look:
        """The same file with other rows and columns."""
        other = replace(self, rows=rows, columns=columns)
        other.__dict__.update(folder=self.folder, stems=self.stems)  # found once
        return other

    def list_of_images(self) -> str | None:
        """A text file beside this one that lists an image a line, as many as this one has rows."""
        for path in sorted(self.path.parent.glob("*.txt")):
            try:
                names = cells.names_of(path)
            except (OSError, UserError):
                continue
            if path != self.path and len(names) == self.length and all(bare(name) in self.stems for name in names):
                return path.name
        return None

    def is_numeric(self, column: str) -> bool:
        """Whether all cells of a column that are not empty hold numbers, and there are some."""
        values = self.values(column)
        return bool(values) and all(np.isfinite(imported.number(str(value))) for value in values)


def unpadded(text: str) -> str:
    """The bare name of an image, a number without the zeros before it."""
    name = bare(text)
    return name.lstrip("0") or "0" if name.isdecimal() else name


def strings(value: Any) -> Iterator[str]:
    """All texts in a JSON value, and in the JSON that texts hold."""
    if isinstance(value, str):
        yield value
        if not isinstance(inner := parsed(value), str):
            yield from strings(inner)
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from strings(part)


def look(path: Path) -> Look:
    """Look at a file; one that cannot be read as what its suffix says is a UserError."""
    suffix = suffix_of(path)
    if suffix == ".parquet":
        with cells.readable_parquet(path) as file:
            leaves = [file.schema.column(place).path for place in range(len(file.schema))]
            wanted = [path for path in leaves if not path.endswith(".bytes")]  # those of images may be many
            rows = next(file.iter_batches(SAMPLE, columns=wanted), None)
            return Look(path, file.schema_arrow.names, rows.to_pylist() if rows is not None else [])
    if suffix in TABLES:
        return look_at_table(path)
    if suffix in LINES:
        problems = Problems()
        records = [record for (_, record), _ in zip(json_lines(path, problems), range(SAMPLE), strict=False)]
        problems.stop()
        return Look(path, list(dict.fromkeys(key for record in records for key in record)), records)
    if suffix == ".json":
        document = imported.document(path)
        records = document if isinstance(document, list) else []
        records = [record for record in records if isinstance(record, dict)]
        keys = dict.fromkeys(key for record in records[:SAMPLE] for key in record)
        return Look(path, list(keys), records[:SAMPLE], document=document)
    if suffix == ".npy":
        return Look(path, array=counts.read_array(path, "fiuU", "numbers"))
    return Look(path)


def look_at_table(path: Path) -> Look:
    """Look at a CSV file; its first line is a row where it names an image, or holds nothing but repeated numbers."""
    separator, first = best_separator(path)
    places = [str(place) for place in range(len(first))]
    with cells.csv_rows(path, separator) as lines:
        rows = [cell for (_, cell), _ in zip(lines, range(SAMPLE), strict=False)]
        rest = sum(1 for _ in lines) if len(rows) == SAMPLE and path.stat().st_size < LARGEST else 0
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    seen = Look(path, places, [cells_of(places, row) for row in rows], separator, headless=True)
    numbers = all(np.isfinite(imported.number(cell)) for cell in first)
    if any(Path(cell).suffix.casefold() in SUFFIXES or bare(cell) in seen.stems for cell in first) or (
        numbers and ("-1" in first or len(set(first)) < len(first))
    ):
        seen.length = len(rows) + rest
        seen.__dict__.pop("folder", None)  # which may be that with so many images
        seen.__dict__.pop("stems", None)
        return seen
    return Look(path, first, [cells_of(first, row) for row in rows[1:]], separator)


def cells_of(names: list[str], row: list[str]) -> dict[str, str]:
    """The cells of a row by column; those that it lacks are empty."""
    return dict.fromkeys(names, "") | dict(zip(names, row, strict=False))


def best_separator(path: Path) -> tuple[str, list[str]]:
    """What separates the cells of a CSV file, and those of its first line: where they are most.

    Blanks separate only where nothing else does, as names of columns have some.
    """
    found = {}
    for separator in cells.SEPARATORS:
        try:
            with cells.csv_rows(path, separator) as lines:
                first = next(lines, (0, []))[1]
        except UserError:
            if separator == ",":
                raise
            continue
        found[separator] = first
    best = max(found, key=lambda mark: len(found[mark]) if mark != " " else 1.5 * (len(found[mark]) > 1))
    if not found[best]:
        raise UserError(f"{path}: is empty, expected a table of votes. Save it again.")
    return best, found[best]


def folders_near(path: Path) -> Iterator[Folder]:
    """Folders with images: that of the file, those below it, and those beside it; hidden ones are left out."""
    seen: set[Path] = set()
    for root, deepest in ((path.parent, DEEPEST), (path.parent.parent, 1)):
        below: dict[Path, list[Path]] = {}
        listed = 0
        for place, folders, files in os.walk(root):
            here = Path(place)
            folders[:] = sorted(name for name in folders if name[0] != "." and name not in ("results", "__pycache__"))
            far = deepest < DEEPEST and len(here.parts) - len(root.parts) > DEEPEST
            if listed > MOST_FILES or far or (here != root and here in seen):
                folders[:] = []
                continue
            listed += 1 + len(files)
            images = [here / name for name in files if name[0] != "." and Path(name).suffix.lower() in SUFFIXES]
            left = originals(images)
            images = [image for image in images if image not in left]
            above = [here, *here.parents]
            for folder in above[: above.index(root) + 1] if images else ():
                if len(folder.parts) - len(root.parts) <= deepest:
                    below.setdefault(folder, []).extend(images)
        for folder, images in below.items():
            if folder not in seen and (folder != root or deepest == DEEPEST):
                yield Folder(folder, sorted(image.relative_to(folder).as_posix() for image in images))
        seen |= below.keys() | {root}
