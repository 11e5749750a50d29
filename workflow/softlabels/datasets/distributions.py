"""Images with ready label distributions, without votes.

A matrix (``.npy``), a table with a column a class (CSV, Parquet), or one distribution a row: a Parquet column of lists
or structs, or the ``metadata.jsonl`` of an image folder as Hugging Face's ``imagefolder`` reads it, with ``file_name``
and a list or an object ``{class: number}`` on each line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import Problems, UserError
from . import cells, imported
from .cells import Cells, Column
from .contract import Content, Options
from .counts import ORDER, classes_of_columns, of_images, own_columns, read_array, read_wide
from .images import relative_names

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look

ENTRY = {
    "about": "Images and ready label distributions, without votes.",
    "options": {
        "images": {
            "type": "string", "description": "Folder of the images (required).", "input": "folder", "required": True},
        "distributions": {"type": "string", "description": "`.npy` of numbers [N, C], CSV or Parquet with a column a "
            "class, or an imagefolder's metadata.jsonl (required).", "input": "distributions", "required": True},
        "distribution_column": {"type": ["string", "null"], "default": None,
            "description": "Column (Parquet) or key (metadata.jsonl) with the whole distribution, a list or a "
            "mapping from class to number."},
        "tolerance": {"type": "number", "minimum": 0, "maximum": 0.1, "default": 0.001,
            "description": "How far from 1 a row may sum (rounded numbers do); it is then divided by its sum."},
    },
    "shared": ["order", "name_column", "group_column", "separator", "classes", "pixels", "resize", "deep",
        "follow_links"],
    "gives": ["exact"],
}  # fmt: skip

# Rows that sum to 1 within this are kept bit for bit: floating point promises no more, and the reference asks for it.
ROUNDING = 1e-9
FORM = (
    "numbers that sum to 1 for each image: an array, a column a class beside the image's, a column or key of lists or "
    "objects"
)
EXPECTED = "a number from 0 to 1"

# Distributions as a file gives them, float64 [R, C]; the class names; and the table of the rows, if there is one.
Rows = tuple[np.ndarray, list[str], Cells | None]


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of an image folder with ``distributions``."""
    path, images = files["distributions"], relative_names(files["images"], files["folder"], source["follow_links"])
    suffix = cells.suffix_of(path)
    if suffix == ".jsonl":
        p, classes, table = read_jsonl(path, files["folder"], source, problems)
        source = {**source, "order": "name"}  # always
    elif path.suffix.lower() == ".npy":
        p, classes, table = read_matrix(path, source, problems)
    else:
        read_table = read_lists if source["distribution_column"] else read_columns
        p, classes, table = read_table(path, source, problems)
    problems.stop()
    p, remarks = summing_to_one(p, table.place if table else row_of(path), source["tolerance"], problems)
    p, groups = of_images(p, table, path, images, source, problems)
    return imported.content(source, images, classes, problems, p=p, groups=groups, remarks=remarks)


def row_of(path: Path) -> Callable[[int], str]:
    """Where a row of a matrix stands, for messages."""
    return lambda row: f"{path}: row {row} (counted from 0)"


def is_share(values: np.ndarray, tolerance: float) -> np.ndarray:
    """Which numbers may stand in a distribution."""
    return (values >= 0) & (values <= 1 + max(tolerance, ROUNDING))


def summing_to_one(
    p: np.ndarray, place: Callable[[int], str], tolerance: float, problems: Problems
) -> tuple[np.ndarray, list[str]]:
    """Distributions float64 ``[R, C]`` divided by their sums where these differ from 1, and what was done in words."""
    total = p.sum(axis=1)
    off = np.abs(total - 1)
    bad = off > max(tolerance, ROUNDING)
    imported.note(
        (
            f"{place(row)}: the numbers sum to {total[row]:.10g}, expected 1 (source.tolerance allows {tolerance:g} "
            f"more or less). Correct that row."
            for row in np.flatnonzero(bad)
        ),
        bad.sum(), "rows whose numbers do not sum to 1", problems,
    )  # fmt: skip
    rounded = (off > ROUNDING) & ~bad
    if not rounded.any():
        return p, []
    remark = (
        f"{rounded.sum()} of {len(p)} rows summed to 1 only nearly (off by up to {off[rounded].max():.2g}) and were "
        f"divided by their sum."
    )
    return p / np.where(rounded, total, 1)[:, None], [remark]


def check_shares(
    p: np.ndarray, given: Any, classes: list[str], place: Callable[[int], str], tolerance: float, problems: Problems
) -> None:
    """Note what cannot stand in a distribution; ``given[row][column]`` is what the file holds."""
    bad = np.argwhere(~is_share(p, tolerance))
    imported.note(
        (
            f"{place(row)}, class '{classes[column]}': found '{given[row][column]}', expected {EXPECTED}. Correct it."
            for row, column in bad
        ),
        len(bad), "such numbers", problems,
    )  # fmt: skip


def read_matrix(path: Path, source: Options, problems: Problems) -> Rows:
    """The distributions of a ``.npy`` file."""
    given = read_array(path, "fiu", "numbers")
    if source["distribution_column"]:
        problems.add(f"{path}: has no columns with names. Set source.distribution_column to null.")
    classes = classes_of_columns(path, given.shape[1], source, problems)
    p = given.astype(np.float64)
    check_shares(p, given, classes, row_of(path), source["tolerance"], problems)
    return p, classes, None


def read_columns(path: Path, source: Options, problems: Problems) -> Rows:
    """The distributions of a table with a column a class."""
    table, classes = read_wide(path, source, problems)
    test = partial(is_share, tolerance=source["tolerance"])
    return imported.class_columns(table, classes, test, EXPECTED, problems), classes, table


def read_lists(path: Path, source: Options, problems: Problems) -> Rows:
    """The distributions of a Parquet column of lists or structs."""
    name = source["distribution_column"]
    if path.suffix.lower() != ".parquet":
        raise UserError(
            f"{path}: a cell of it cannot hold a whole distribution. Set source.distribution_column to null and give a "
            f"column a class, or save the table as .parquet or metadata.jsonl."
        )
    names = cells.header(path)
    known("distribution_column", path, source, names, problems)
    table = cells.read(path, own_columns(path, names, source, problems), problems)
    with cells.readable_parquet(path) as file:
        column = file.read([name]).column(name)
    if not cells.is_list(column.type) and not pa.types.is_struct(column.type):
        raise UserError(
            f"{path}: column '{name}' is {column.type}, expected a list of numbers, or a struct with a number a class. "
            f"Correct source.distribution_column."
        )
    # a struct has all fields in every row: the classes that a row left out are null
    values = [
        {key: number for key, number in value.items() if number is not None} if isinstance(value, dict) else value
        for value in column.to_pylist()
    ]
    return stacked(values, table, name, source, problems)


def read_jsonl(path: Path, folder: Path, source: Options, problems: Problems) -> Rows:
    """The distributions of a metadata.jsonl in the image folder or below it."""
    place, root = path.parent.resolve(), folder.resolve()
    if not place.is_relative_to(root):
        raise UserError(
            f"{path}: lies outside of the image folder {folder}, but its file names start from its own folder. Put it "
            f"beside the images."
        )
    numbered = list(json_lines(path, problems))
    problems.stop()
    if not numbered:
        raise UserError(f"{path}: found no lines, expected an object with 'file_name' on each.")
    lines, records = zip(*numbered, strict=True)
    table = Cells(path, {}, np.array(lines, np.int64), "line")
    keys = sorted({key for record in records for key in record})
    known("distribution_column", path, source, keys, problems)
    known("group_column", path, source, keys, problems)
    key = source["distribution_column"] or distribution_key(path, keys, records)
    below = PurePosixPath(place.relative_to(root).as_posix())
    names = [file_name(record, below, table.place(row), problems) for row, record in enumerate(records)]
    table.columns["name_column"] = Column.of(names)
    if group := source["group_column"]:
        texts = [group_text(record.get(group), group, table.place(row), problems) for row, record in enumerate(records)]
        table.columns["group_column"] = Column.of(texts)
    return stacked([record.get(key) for record in records], table, key, source, problems)


def known(role: str, path: Path, source: Options, names: Sequence[str], problems: Problems) -> None:
    """Refuse a column or key of the configuration that the file does not have."""
    if source[role] and source[role] not in names:
        problems.add(f"{path}: found no '{source[role]}' (source.{role}) among {', '.join(names)}. Correct the name.")
    problems.stop()


def json_lines(path: Path, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file with one JSON object a line, each with its line; other lines are noted."""
    with cells.text_of(path, errors="surrogateescape") as file:  # a bad line is told as one, and the rest is read
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                line.encode(errors="surrogateescape").decode()  # says where bytes are no text
                record = json.loads(line.removeprefix("\ufeff"), object_pairs_hook=imported.distinct)
                if "\\u" in line:  # half of a surrogate pair is valid JSON, but no text
                    json.dumps(record, ensure_ascii=False).encode()
            except (ValueError, RecursionError) as error:
                reason = getattr(error, "msg", error)  # without the place in the line's text, "line 1"
                problems.add(f"{path}: line {number} is not JSON in UTF-8 ({reason}). Correct that line.")
                continue
            if isinstance(record, dict):
                yield number, record
            else:
                problems.add(f"{path}: line {number}: found {record!r:.40}, expected an object. Correct that line.")


def is_number(value: Any) -> bool:
    """Whether a value of JSON or Parquet is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def distribution_key(path: Path, keys: Sequence[str], records: Sequence[Mapping[str, Any]]) -> str:
    """The only key that has lists or objects of numbers; none, or several, is a UserError."""
    found = []
    for key in keys:
        values = [record[key] for record in records if isinstance(record.get(key), list | dict)]
        numbers = [value.values() if isinstance(value, dict) else value for value in values]
        if any(len(value) and all(map(is_number, value)) for value in numbers):
            found.append(key)
    if len(found) != 1:
        what = f"the keys {', '.join(found)}" if found else "no key"
        raise UserError(
            f"{path}: found {what} with a list or an object of numbers, expected one (its keys: {', '.join(keys)}). "
            f"Name the key of the distributions in source.distribution_column."
        )
    return found[0]


def file_name(record: Mapping[str, Any], below: PurePosixPath, place: str, problems: Problems) -> str:
    """The image of a record, as its path below the image folder ("" where there is none, which is noted)."""
    name = record.get("file_name")
    if not isinstance(name, str) or not name:
        problems.add(f"{place}: found no 'file_name', expected the path of an image. Add it.")
        return ""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        problems.add(
            f"{place}: found the file_name '{name}', expected a path that starts from the folder of this file and "
            f"stays in it. Correct it."
        )
        return ""
    return (below / name).as_posix()


def group_text(value: Any, key: str, place: str, problems: Problems) -> str:
    """The group of a record as text ("" where it has none)."""
    if value is None:
        return ""
    if not isinstance(value, str | int):
        problems.add(f"{place}, key '{key}': found '{value}', expected text or a whole number. Correct that group.")
    return str(value)


def stacked(values: Sequence[Any], table: Cells, what: str, source: Options, problems: Problems) -> Rows:
    """Lists of numbers, or mappings from class to number, as a matrix; a class that a mapping leaves out has 0.

    ``what`` is their column or key in the table. Other values and lengths, and classes that are not known, are noted.
    """
    kind = next((type(value) for value in values if isinstance(value, list | dict)), list)
    classes = source["classes"] if kind is dict else imported.in_order(source)
    if kind is dict:
        labels = {label for value in values if isinstance(value, dict) for label in value}
        classes = imported.class_names(str(table.path), labels, classes, problems)
        expected = f"an object with numbers of {', '.join(classes)}"
    else:
        n = len(classes or next((value for value in values if isinstance(value, list)), []))
        classes = classes or [str(index) for index in range(n)]
        expected = f"a list of {n} numbers" + (" as in source.classes" if source["classes"] else "")
    given = [[0] * len(classes)] * len(values)
    for row, value in enumerate(values):
        if not isinstance(value, kind):
            found = "missing" if value is None else f"{value!r:.40}"
            problems.add(f"{table.place(row)}: '{what}' is {found}, expected {expected}. Correct it.")
        elif kind is list and len(value) != len(classes):
            problems.add(f"{table.place(row)}: '{what}' has {len(value)} numbers, expected {expected}. Correct it.")
        elif kind is dict and (unknown := sorted(value.keys() - set(classes))):
            problems.add(f"{table.place(row)}: '{what}' has the class '{unknown[0]}', expected {expected}. Correct it.")
        else:
            given[row] = value if kind is list else [value.get(label, 0) for label in classes]
    p = np.array([[as_float(number) for number in row] for row in given]).reshape(len(given), len(classes))
    check_shares(p, given, classes, table.place, source["tolerance"], problems)
    return p, classes, table


def as_float(value: Any) -> float:
    """A number as it was read; nan for what is none."""
    try:
        return float(value) if is_number(value) else np.nan
    except OverflowError:  # JSON's whole numbers have no limit
        return np.inf


def recognise(look: Look) -> Guess | None:
    """Whether a file may hold distributions: an array, a column or key of lists or objects, or a column a class."""
    what, sums = "ready label distributions", partial(np.isclose, 1, atol=0.01)
    if look.array is not None and look.array.dtype.kind == "f" and sums(look.array.sum(axis=1)).all():
        return look.guess(what, look.LIKELY, ORDER, path="distributions", kind="distributions")
    lists = [key for key in look.columns if look.rows and all(is_distribution(row.get(key)) for row in look.rows)]
    item = look.item_column()
    if lists and (item or not look.is_table):
        more = {"order": "name", "name_column": item} if look.is_table else {"images": "."}
        one = {"distribution_column": lists[0]}
        return look.guess(what, look.LIKELY, path="distributions", kind="distributions", **more, **one)
    shares = [name for name in look.columns if name != item and look.is_numeric(name)]
    rows = [[float(row[name]) for name in shares] for row in look.rows if all(row.get(name) for name in shares)]
    if not item or len(shares) < 2 or not rows or not sums(np.array(rows).sum(axis=1)).all():
        return None
    if np.array(rows).min() < 0 or set(np.unique(rows)) <= {0, 1}:
        return None  # a 1 in each row and nothing else: votes
    more = {"group_column": group} if (group := look.named(look.GROUPS)) else {}
    if look.separator != ",":
        more["separator"] = look.separator
    note = [f"All of {', '.join(shares)} are classes: list those that are in `classes`." if len(shares) > 12 else ""]
    return look.guess(
        what, look.LIKELY, *filter(None, note), path="distributions", kind="distributions", order="name",
        name_column=item, **more,
    )  # fmt: skip


def is_distribution(value: Any) -> bool:
    """Whether a value of JSON or Parquet is a list or an object of numbers that sum to 1."""
    numbers = [part for part in value.values() if part is not None] if isinstance(value, dict) else value
    return (
        isinstance(numbers, list) and len(numbers) > 1 and all(map(is_number, numbers)) and abs(sum(numbers) - 1) < 0.01
    )
