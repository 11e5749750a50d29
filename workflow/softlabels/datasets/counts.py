"""Images with vote counts: a matrix of items by classes, as ``.npy``, ``.csv`` or ``.parquet``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Problems, UserError
from . import cells, imported
from .contract import Content, Options, Votes
from .images import Images, relative_names

ENTRY = {
    "about": "Images and a matrix of how many votes each class got (CIFAR-10H as published).",
    "options": {
        "images": {
            "type": "string", "description": "Folder of the images (required).", "input": "folder", "required": True},
        "counts": {"type": "string",
            "description": "`.npy` of integers [N, C], or CSV or Parquet with a column a class (required).",
            "input": "counts", "required": True},
    },
    "shared": ["order", "name_column", "group_column", "separator", "classes", "unvoted", "pixels", "resize", "deep"],
    "gives": ["votes"],
}  # fmt: skip

# A cell above this is no count of people; expanding it to votes would fill the memory.
MOST_VOTES = 1_000_000
EXPECTED = f"a whole number of votes from 0 to {MOST_VOTES}"


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of an image folder with ``counts``."""
    path, images = files["counts"], relative_names(files["images"], files["folder"])
    if path.suffix.lower() == ".npy":
        table, (counts, classes) = None, read_matrix(path, source, problems)
    else:
        table, classes = read_wide(path, source, problems)
        counts = matrix(table, classes, problems)
    counts, groups = of_images(counts, table, path, images, source, problems)
    return imported.content(source, images, classes, problems, votes=Votes.of_counts(counts), groups=groups)


def read_array(path: Path, kinds: str, what: str) -> np.ndarray:
    """A ``.npy`` matrix whose dtype must be of one of NumPy's ``kinds``, without unpickling anything."""
    try:
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # a damaged header is read as Python's syntax and fails in as many ways
        raise UserError(f"{path}: cannot be read as a NumPy array ({error}). Save {what} there.") from None
    if array.ndim != 2 or array.dtype.kind not in kinds or array.shape[1] > imported.MOST_CLASSES:
        raise UserError(
            f"{path}: found {array.dtype} {list(array.shape)}, expected {what} [images, classes], of at most "
            f"{imported.MOST_CLASSES} classes. Save such an array there."
        )
    return array


def classes_of_columns(path: Path, n_columns: int, source: Options, problems: Problems) -> list[str]:
    """The class names of a matrix without a header: those given, or 0, 1, …"""
    classes = source["classes"] or [str(index) for index in range(n_columns)]
    if len(classes) != n_columns:
        problems.add(f"{path}: found {n_columns} columns, expected {len(classes)} as in source.classes. Correct one.")
    for key, unset in (("order", "index"), ("group_column", None)):
        if source[key] != unset:
            problems.add(
                f"{path}: has no columns with names. Set source.{key} to {unset or 'null'}, or give the table as .csv."
            )
    problems.stop()
    return classes


def is_count(values: np.ndarray) -> np.ndarray:
    """Which numbers may count votes."""
    return (values >= 0) & (values <= MOST_VOTES) & (values == np.floor(values))


def read_matrix(path: Path, source: Options, problems: Problems) -> tuple[np.ndarray, list[str]]:
    """Counts int64 ``[N, C]`` of a ``.npy`` file, and the class names."""
    counts = read_array(path, "iu", "integer counts")
    classes = classes_of_columns(path, counts.shape[1], source, problems)
    for row, column in np.argwhere(~is_count(counts))[: imported.MOST_NAMED]:
        problems.add(
            f"{path}: row {row} (counted from 0), column '{classes[column]}': found {counts[row, column]}, expected "
            f"{EXPECTED}. Correct that cell."
        )
    problems.stop()
    return counts.astype(np.int64), classes


def own_columns(path: Path, names: Sequence[str], source: Options, problems: Problems) -> dict[str, str]:
    """The columns that are no classes, by role; names that ``source.order`` would ignore are noted."""
    own = {key: source[key] for key in ("name_column", "group_column") if source[key]}
    if source["order"] == "index":
        named = own.pop("name_column")
        if named in names:
            problems.add(
                f"{path}: has a column '{named}', but source.order is 'index', which ignores names. Set source.order "
                f"to 'name', or remove the column."
            )
    return own


def read_wide(path: Path, source: Options, problems: Problems) -> tuple[cells.Cells, list[str]]:
    """A table with a column a class, and the class names; the class columns have the roles ``classes.NAME``."""
    names = cells.header(path, source["separator"])
    own = own_columns(path, names, source, problems)
    found = [name for name in names if name not in own.values()]
    if not found:
        problems.add(f"{path}: found no class among the columns {', '.join(names)}, expected two or more. Add them.")
        problems.stop()
    classes = source["classes"] or found
    if set(classes) != set(found) and set(own.values()) <= set(names):
        problems.add(
            f"{path}: found the class columns {', '.join(found)}, expected {', '.join(classes)} (source.classes). "
            f"Correct one of them."
        )
    own |= {f"classes.{name}": name for name in classes if name in names}
    return cells.read(path, own, problems, source["separator"]), classes


def matrix(table: cells.Cells, classes: Sequence[str], problems: Problems) -> np.ndarray:
    """Counts int64 ``[R, C]`` of the class columns; cells that hold no count are noted."""
    counts = imported.class_columns(table, classes, is_count, EXPECTED, problems)
    problems.stop()
    return counts.astype(np.int64)


def rows_of_images(table: cells.Cells, role: str, images: Images, problems: Problems, by: str = "name") -> np.ndarray:
    """The row of each image, int64 ``[N]``; rows without an image, and images with two rows or none, are noted."""
    item = imported.items(table, role, images, by, problems)
    names, rows = list(images), np.full(len(images), -1, np.int64)
    for row in np.flatnonzero(item >= 0):
        if rows[item[row]] >= 0:
            problems.add(f"{table.both(rows[item[row]], row)} for the image '{names[item[row]]}'. Keep one.")
        rows[item[row]] = row
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        problems.add(
            f"{table.path}: {len(missing)} of {len(names)} images have no row, the first is '{names[missing[0]]}'. Add "
            f"the rows, or remove the images."
        )
    return rows


def of_images(
    values: np.ndarray, table: cells.Cells | None, path: Path, images: Images, source: Options, problems: Problems
) -> tuple[np.ndarray, list[str | None] | None]:
    """The rows of the matrix ``[R, C]`` in a file in the order of the images, and the images' groups.

    ``table`` is None where the rows have neither names nor groups. Rows and images that do not match are raised.
    """
    if source["order"] == "name":
        rows = rows_of_images(table, "name_column", images, problems)
    else:
        one_row_an_image(path, len(values), images, problems)
        rows = np.arange(len(values))
    problems.stop()
    groups = [table.columns["group_column"].each(row) or None for row in rows] if source["group_column"] else None
    return values[rows], groups


def one_row_an_image(path: Path, n_rows: int, images: Images, problems: Problems) -> None:
    """Note rows that are more or fewer than the images, or an order of the images that is not certain."""
    n = len(images)
    if n_rows != n:
        extra = f"the image '{list(images)[n_rows]}'" if n_rows < n else f"row {n} (counted from 0)"
        problems.add(
            f"{path}: found {n_rows} rows, expected {n}, one for each image in {images.folder}; {extra} is the first "
            f"without a partner. Add or remove rows or images."
        )
    imported.check_order(images, problems)
