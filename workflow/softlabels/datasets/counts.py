"""Images with vote counts: a matrix of items by classes, as ``.npy`` or ``.csv``."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from . import contract
from .images import import_images, relative_names, spellings

# A cell above this is no count of people; expanding it to votes would fill the memory.
MOST_VOTES = 1_000_000


def read_csv(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows and the line where each row ends (the header's line is 1); blank lines are skipped.

    Raises:
        UserError: empty, not UTF-8, not CSV, a column without a name of its own, or a row that is longer or shorter.
    """
    content = path.read_bytes()
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        lined = [(row, reader.line_num) for row in reader if row]
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}: line {line} is not UTF-8 text. Save the file as CSV in UTF-8.") from None
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num} is not CSV ({error}). Correct that line.") from None
    if len(lined) < 2:
        raise UserError(f"{path}: found {len(lined)} lines, expected a header line and one line or more below it.")
    (header, _), *lined = lined
    if "" in header:
        raise UserError(
            f"{path}: column {header.index('') + 1} has no name in the header. Name or remove it (row numbers that "
            f"a program wrote beside the data, for example)."
        )
    repeated = [name for name, times in Counter(header).items() if times > 1]
    if repeated:
        raise UserError(f"{path}: the header names column '{repeated[0]}' twice. Rename or remove one of them.")
    for row, line in lined:
        if len(row) != len(header):
            raise UserError(
                f"{path}: line {line} has {len(row)} cells, expected {len(header)} as in the header. Correct that line."
            )
    return header, [row for row, _ in lined], [line for _, line in lined]


def column_index(path: Path, header: list[str], column: str, key: str) -> int:
    """Where ``column`` stands in the header; ``key`` is the configuration key that named it.

    Raises:
        UserError: there is no such column; the message names the nearest one.
    """
    if column not in header:
        near = difflib.get_close_matches(column, header, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise UserError(f"{path}: found no column '{column}' ({key}) among {', '.join(header)}.{hint}")
    return header.index(column)


def whole_number(text: str) -> int | None:
    """The count that a cell holds (``3`` or ``3.0``); None where it holds none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if 0 <= number <= MOST_VOTES and number.is_integer() else None


def bad_cell(place: str, found: Any, column: str) -> UserError:
    """The error for a cell that is no count."""
    return UserError(
        f"{place}, column '{column}': found {found!r}, expected a whole number of votes from 0 to {MOST_VOTES}. "
        f"Correct that cell."
    )


def read_matrix(path: Path, source: Mapping[str, Any]) -> tuple[np.ndarray, list[str]]:
    """Counts int64 ``[N, C]`` of a ``.npy`` file, and the class names.

    Raises:
        UserError: not an integer matrix of that many classes, or a negative count.
    """
    if source["order"] == "name":
        raise UserError(f"{path}: has no names. Set source.order to 'index', or give the counts as .csv.")
    if source.get("group_column"):
        raise UserError(f"{path}: has no columns with names. Set source.group_column to null, or give a .csv file.")
    try:
        with path.open("rb") as file:
            counts = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a NumPy array ({error}). Save an integer matrix there.") from None
    if counts.ndim != 2 or counts.dtype.kind not in "iu":
        raise UserError(
            f"{path}: found {counts.dtype} {list(counts.shape)}, expected integer counts [images, classes]."
        )
    classes = source["classes"] or [str(index) for index in range(counts.shape[1])]
    if len(classes) != counts.shape[1]:
        raise UserError(
            f"{path}: found {counts.shape[1]} columns, expected {len(classes)} as in source.classes. Correct one."
        )
    bad = np.argwhere((counts < 0) | (counts > MOST_VOTES))
    if len(bad):
        row, column = bad[0]
        raise bad_cell(f"{path}: row {row} (counted from 0)", int(counts[row, column]), classes[column])
    return counts.astype(np.int64), classes


def read_counts_csv(
    path: Path, source: Mapping[str, Any]
) -> tuple[np.ndarray, list[str], list[str] | None, list[str | None] | None, list[int]]:
    """Counts int64 ``[N, C]``, class names, item names, groups (None where the file has none) and line numbers.

    Raises:
        UserError: a column that is missing, a class that is, or a cell that holds no count.
    """
    header, rows, lines = read_csv(path)
    own = {}
    if source["order"] == "name":
        own["name"] = column_index(path, header, source["name_column"], "source.name_column")
    elif source["name_column"] in header:
        raise UserError(
            f"{path}: has a column '{source['name_column']}', but source.order is 'index', which ignores names. "
            f"Set source.order to 'name', or remove the column."
        )
    if source.get("group_column"):
        own["group"] = column_index(path, header, source["group_column"], "source.group_column")
    found = [name for index, name in enumerate(header) if index not in own.values()]
    classes = source["classes"] or found
    if set(classes) != set(found):
        raise UserError(
            f"{path}: found the class columns {', '.join(found)}, expected {', '.join(classes)} (source.classes). "
            f"Correct one of them."
        )
    columns = [header.index(name) for name in classes]
    counts = np.zeros((len(rows), len(classes)), np.int64)
    for index, row in enumerate(rows):
        for k, column in enumerate(columns):
            number = whole_number(row[column])
            if number is None:
                raise bad_cell(f"{path}: line {lines[index]}", row[column], classes[k])
            counts[index, k] = number
    names = [row[own["name"]] for row in rows] if "name" in own else None
    groups = [row[own["group"]] or None for row in rows] if "group" in own else None
    return counts, classes, names, groups, lines


def check_order(names: list[str], folder: Path) -> None:
    """Refuse names whose order as text differs from their order as numbers: rows would meet the wrong images."""
    by_number = sorted(
        names, key=lambda name: [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
    )
    for text, number in zip(names, by_number, strict=True):
        if text != number:
            raise UserError(
                f"{folder}: '{text}' comes before '{number}' as text but after it as a number, so the row of each is "
                f"not certain. Pad the numbers with zeros, or set source.order to 'name'."
            )


def rows_of_images(path: Path, written: list[str], lines: list[int], names: list[str], folder: Path) -> np.ndarray:
    """The row of each image, int ``[N]``, from the names written in the file.

    Raises:
        UserError: a row without an image, an image without a row, or two rows for one image.
    """
    known = spellings(names)
    rows: dict[int, int] = {}
    for row, text in enumerate(written):
        image = known.get(text)
        if image is None:
            raise UserError(
                f"{path}: line {lines[row]}: found no image '{text}' below {folder} (a path in it, or a file name that "
                f"occurs once). Add the image or remove the line."
            )
        if image in rows:
            raise UserError(
                f"{path}: lines {lines[rows[image]]} and {lines[row]} are both for image '{names[image]}'. Keep one."
            )
        rows[image] = row
    missing = [name for image, name in enumerate(names) if image not in rows]
    if missing:
        raise UserError(
            f"{path}: {len(missing)} of {len(names)} images have no row, the first is '{missing[0]}'. Add the rows, or "
            f"remove the images."
        )
    return np.array([rows[image] for image in range(len(names))])


def create(config: dict[str, Any], inputs: dict[str, Any], outputs: dict[str, Path]) -> None:
    """Write the data set contract of an image folder with counts.

    Args:
        config: ``source`` with ``classes``, ``order``, ``pixels``, ``resize``, ``name_column``, ``group_column``. Order
            ``index``: row i belongs to the i-th file name; ``name``: a column of the CSV names the file.
        inputs: ``images`` (list of files below ``folder``), ``folder``, ``counts`` (``.npy`` or ``.csv``).
        outputs: ``images``, ``items``, ``annotations``, ``reference``.

    Raises:
        UserError: counts that are no counts, or rows and images that do not match.
    """
    source, path, folder = config["source"], inputs["counts"], inputs["folder"]
    named = relative_names(inputs["images"], folder)
    names = list(named)
    groups = None
    kind = path.suffix.lower()
    if kind == ".npy":
        counts, classes = read_matrix(path, source)
        written, places = None, [f"row {row} (counted from 0)" for row in range(len(counts))]
    elif kind == ".csv":
        counts, classes, written, groups, lines = read_counts_csv(path, source)
        places = [f"line {line}" for line in lines]
    else:
        raise UserError(f"{path}: found a file of type '{path.suffix}', expected .npy or .csv.")
    if len(classes) < 2:
        raise UserError(f"{path}: found {len(classes)} classes, expected two or more.")
    empty = np.flatnonzero(counts.sum(axis=1) == 0)
    if len(empty):
        raise UserError(
            f"{path}: {places[empty[0]]} has no vote ({len(empty)} such rows). Add votes, or remove it and its image."
        )
    if written is not None:
        rows = rows_of_images(path, written, lines, names, folder)
        counts = counts[rows]
        groups = [groups[row] for row in rows] if groups else None
    elif len(counts) != len(names):
        extra = f"the image '{names[len(counts)]}'" if len(counts) < len(names) else places[len(names)]
        raise UserError(
            f"{path}: found {len(counts)} rows, expected {len(names)}, one for each image in {folder}; {extra} is the "
            f"first without a partner. Add or remove rows or images."
        )
    else:
        check_order(names, folder)
    write(outputs, source, named, counts, classes, groups)
    contract.write_votes_of_counts(outputs["annotations"], counts, classes)


def write(
    outputs: dict[str, Path],
    source: Mapping[str, Any],
    named: Mapping[str, Path],
    counts: np.ndarray,
    classes: list[str],
    groups: list[str | None] | None,
) -> None:
    """Write images, items and reference of images by name with counts int64 ``[N, C]`` (not the annotations)."""
    hashes = import_images(list(named.values()), outputs["images"], source["pixels"], source["resize"])
    contract.write_items(outputs["items"], list(named), groups, {"sha256": hashes})
    votes = counts.sum(axis=1)
    contract.write_reference(outputs["reference"], counts / votes[:, None], votes, classes)
