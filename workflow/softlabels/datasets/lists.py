"""One image a row, and its votes in lists: Parquet as Hugging Face and Argilla write it, JSON lines, or JSON.

A column inside another one is named with dots: ``votes.label`` is the ``label`` of each object in the list ``votes``.
A name that has dots itself, as Argilla's ``question.responses.users``, comes first.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import Problems, UserError
from . import cells, imported, per_item, rows
from .cells import Cells, Column
from .contract import Options
from .distributions import json_lines
from .images import Images
from .rows import Found

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look


LOOKED_AT = 100  # rows that tell what a file is
JSON = (".json", ".jsonl", ".ndjson")  # or compressed
NO_LABEL = ("", "-1")  # of an entry: null, and what Hugging Face's ClassLabel has for it
STATUS = {"submitted", "draft", "discarded", "pending"}  # of a response in Argilla
METADATA = "metadata."  # a file of this name lists images of its own folder (Hugging Face's ImageFolder)


def header(path: Path, separator: str, given: cells.Header) -> list[str]:
    """The names of the columns, those inside of others with dots."""
    if cells.suffix_of(path) in JSON:
        check_names(path, given)
        return list(dict.fromkeys(name for _, record in records(path, Problems()) for name in keys(record)))
    if path.suffix.lower() != ".parquet":
        raise UserError(
            f"{path}: its cells hold no lists, only text. Save the table as .parquet or .jsonl, or set source.layout "
            f"to how its rows are votes."
        )
    names = cells.header(path, separator, given)
    with cells.readable_parquet(path) as file:
        schema = file.schema_arrow
        return [name for column in names for name in fields(column, schema.field(column).type)]


def check_names(path: Path, given: cells.Header) -> None:
    """Refuse names that the configuration gives to columns that have some."""
    if given:
        raise UserError(f"{path}: has names of its own for its columns. Set source.header to null.")


def fields(name: str, kind: pa.DataType) -> Iterator[str]:
    """The name of a Parquet column, and of what is inside of it."""
    yield name
    while cells.is_list(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind):
        for field in kind:
            yield from fields(f"{name}.{field.name}", field.type)


def keys(record: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """The keys of a JSON object, and of the objects inside of it."""
    for key, value in record.items():
        yield before + key
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from keys(inner, f"{before}{key}.")


def records(path: Path, problems: Problems) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a JSON file, each with its line, or its place (from 1) in the list."""
    if cells.suffix_of(path) != ".json":
        found = list(json_lines(path, problems))
    else:
        entries = imported.document(path)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UserError(f"{path}: expected a list of objects, each about one image. Save it as such a list.")
        found = list(enumerate(entries, start=1))
    problems.stop()
    if not found:
        raise UserError(f"{path}: found no objects, expected one for each image. Save the table again.")
    return found


def read(path: Path, roles: Mapping[str, str], problems: Problems, separator: str, given: cells.Header) -> Cells:
    """The columns by role with one entry of a row's lists a row; a cell that holds no list stands beside each entry.

    The column ``cells.PLACE`` has the place of each entry's row, from 0, among all rows of the file. Lists of one row
    that differ in length, and lists inside of an entry, are noted.
    """
    names = header(path, separator, given)
    missing = {role: name for role, name in roles.items() if name not in names}
    for role, name in missing.items():
        problems.add(f"{path}: found no column '{name}' (source.{role}) among {', '.join(names)}. Correct the key.")
    problems.stop()
    if cells.suffix_of(path) in JSON:
        found, unit = records(path, problems), "entry" if cells.suffix_of(path) == ".json" else "line"
        number = np.array([place for place, _ in found], np.int64)
        columns = {role: [inside(record, name.split(".")) for _, record in found] for role, name in roles.items()}
    else:
        columns, unit = parquet_columns(path, roles), "row"
        number = np.arange(1, len(next(iter(columns.values()))) + 1)
    if not len(number):
        raise UserError(f"{path}: found no rows, expected one for each image. Save the table again.")
    listed = {role for role, values in columns.items() if any(isinstance(value, list) for value in values)}
    for role in sorted(listed & {f"columns.{role}" for role in ("item", *per_item.OF_ITEMS)}):
        problems.add(
            f"{path}: column '{roles[role]}' (source.{role}) holds lists, expected one value for each image. Correct "
            f"the key."
        )
    problems.stop()
    one_annotator_each(path, unit, number, columns, roles, listed, problems)
    length = lengths(path, unit, number, {role: columns[role] for role in columns if role in listed}, roles, problems)
    problems.stop()
    times = np.array(length, np.int64)
    flat = {}
    for role, values in columns.items():
        each = [entry for value in values for entry in value or ()] if role in listed else values
        texts = [as_text(entry) for entry in each]
        if None in texts:
            where = np.repeat(number, times)[texts.index(None)] if role in listed else number[texts.index(None)]
            problems.add(
                f"{path}: {unit} {where}: column '{roles[role]}' (source.{role}) holds a list or an object inside of "
                f"an entry ({texts.count(None)} such entries), expected text or a number: one class a vote. Name what "
                f"is inside of it with a dot, or keep one class."
            )
            continue
        column = Column.of(texts)
        flat[role] = column if role in listed else Column(np.repeat(column.code, times), column.texts)
    problems.stop()
    flat[cells.PLACE] = Column(
        np.repeat(np.arange(len(times), dtype=np.int32), times), list(map(str, range(len(times))))
    )
    return Cells(path, flat, np.repeat(number, times), unit)


def one_annotator_each(
    path: Path, unit: str, number: np.ndarray, columns: Mapping[str, list[Any]], roles: Mapping[str, str],
    listed: set[str], problems: Problems,
) -> None:  # fmt: skip
    """Refuse annotators or labels that are one for several of the others."""
    label, annotator = "columns.label", "columns.annotator"
    if annotator not in columns or (label in listed) == (annotator in listed):
        return
    one, several = (label, annotator) if annotator in listed else (annotator, label)
    rows = [row for row, value in enumerate(columns[several]) if isinstance(value, list) and len(value) > 1]
    if rows:
        times = f" ({len(rows)} such rows)" if len(rows) > 1 else ""
        problems.add(
            f"{path}: {unit} {number[rows[0]]}: '{roles[several]}' has {len(columns[several][rows[0]])} entries, but "
            f"'{roles[one]}' is '{columns[one][rows[0]]}' for all of them{times}, expected a label of each annotator. "
            f"Name a column with lists (source.{one}), or keep one class a vote."
        )
        problems.stop()


def parquet_columns(path: Path, roles: Mapping[str, str]) -> dict[str, list[Any]]:
    """The values of each row of the columns by role."""
    columns = {}
    with cells.readable_parquet(path) as file:
        top = file.schema_arrow.names
        for role, name in roles.items():
            parts = name.split(".")
            outer = next(".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in top)
            below, only = leaf(file.schema_arrow.field(outer).type, parts[outer.count(".") + 1 :])
            values = file.read([".".join([outer, *only])]).column(outer).to_pylist()
            columns[role] = [inside(value, below) for value in values] if below else values
    return columns


def leaf(kind: pa.DataType, below: list[str]) -> tuple[list[str], list[str]]:
    """Which part of a Parquet column, by its names inside of it, holds the values, and which one is to be read.

    Of an image that Hugging Face embeds it is the path: all the pixels of a file may not fit into memory.
    """
    only = []
    for name in below:
        if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
            return below, only
        kind, only = kind.field(name).type, [*only, name]
    if pa.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}:
        return [*below, "path"], [*only, "path"]
    return below, only


def inside(value: Any, parts: Sequence[str]) -> Any:
    """What a value holds under a name with dots, for each entry of a list; None where it holds nothing."""
    if not parts:
        return value
    if isinstance(value, list):
        return [inside(entry, parts) for entry in value]
    if not isinstance(value, dict):
        return None
    for n in range(len(parts), 0, -1):
        if (key := ".".join(parts[:n])) in value:
            return inside(value[key], parts[n:])
    return None


def lengths(
    path: Path, unit: str, number: np.ndarray, lists: Mapping[str, list[Any]], roles: Mapping[str, str],
    problems: Problems,
) -> list[int]:  # fmt: skip
    """How many entries each row has: 1 where it has no lists; rows whose lists differ are noted, with their number."""
    if not lists:
        return [1] * len(number)
    bad = []
    for row, values in enumerate(zip(*lists.values(), strict=True)):
        if (
            any(not isinstance(value, list | None) for value in values)
            or len({len(value or ()) for value in values}) > 1
        ):
            bad.append(row)
    if bad:
        found = ", ".join(
            f"'{roles[role]}' has {len(value or ()) if isinstance(value, list | None) else 'no list'}"
            for role, value in ((role, values[bad[0]]) for role, values in lists.items())
        )
        times = f" ({len(bad)} such rows)" if len(bad) > 1 else ""
        problems.add(
            f"{path}: {unit} {number[bad[0]]}: {found}{times}, expected lists of the same length, an entry a vote. "
            f"Correct the row, or set the annotator's column to null if the votes are anonymous."
        )
    return [len(value or ()) if isinstance(value, list | None) else 0 for value in next(iter(lists.values()))]


def as_text(value: Any) -> str | None:
    """A value as the cell of a table: an image of Hugging Face is its path; None for other objects, and lists."""
    if isinstance(value, dict) and "path" in value and value.keys() <= {"path", "bytes"}:
        value = value["path"]
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list | dict | bytes):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "" if np.isnan(value) else str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def roles(source: Options, header: Sequence[str]) -> tuple[dict[str, str], list[str] | None]:
    """A column a role (a column ``annotator`` where there is one), and Argilla's status of the labels' responses."""
    own = rows.named(source)
    if "annotator" not in header and own.get("annotator") == "annotator":
        del own["annotator"]
    label = own["label"]
    statuses = (f"{label}.status", f"{label.rpartition('.')[0]}.status")
    status = next((name for name in statuses if name in header and name not in source["where"]), None)
    return own | ({"status": status} if status else {}), source["classes"]


def found(
    table: Cells, source: Options, classes: list[str] | None, images: Images, problems: Problems, remarks: list[str]
) -> Found:
    """The votes of the entries that hold one, of Argilla's those that were submitted."""
    if "annotator" not in table.columns and (name := source["columns"]["annotator"]) is not None:
        remarks.append(f"There is no column '{name}' (columns.annotator): who voted is unknown.")
    table.columns["item"] = beside(table.columns["item"], table.path, images)
    table = submitted(table, remarks, problems)
    label = table.columns["label"] = with_names(table, source, remarks)
    numbers = all(text.lstrip("-").isdecimal() for text in label.texts if text)
    gaps = {text for text in label.texts if text in (NO_LABEL if numbers else ("",)) and text not in (classes or ())}
    voted = np.array([text not in gaps for text in label.texts], bool)[label.code]
    if not voted.all():
        kinds = " or ".join(sorted(text or "null" for text in gaps))
        remarks.append(f"{(~voted).sum()} of {len(voted)} entries hold no label ({kinds}) and were left out.")
    return rows.votes_of(table.kept(voted), source, classes, images, problems, remarks)


def submitted(table: Cells, remarks: list[str], problems: Problems) -> Cells:
    """The responses that were submitted, where the table says how far each is in Argilla's words."""
    status = table.columns.pop("status", None)
    if status is None or not {text.casefold() for text in status.texts} <= STATUS | {""}:
        return table
    keep = np.array([text.casefold() == "submitted" for text in status.texts], bool)[status.code]
    times = Counter(status.texts[code] or "none" for code in status.code[~keep])
    if times:
        found = ", ".join(f"{n} {text}" for text, n in sorted(times.items()))
        remarks.append(f"{(~keep).sum()} of {len(keep)} responses were not submitted ({found}) and were left out.")
    if not keep.any():
        problems.add(f"{table.path}: found no response with the status 'submitted'. Export the data set again.")
        problems.stop()
    return table.kept(keep)


def with_names(table: Cells, source: Options, remarks: list[str]) -> Column:
    """The labels, by the names that the file has for class numbers (Hugging Face's ClassLabel) if nobody gave any."""
    column, name = table.columns["label"], source["columns"]["label"]
    if source["classes"] or source["label_by"] == "index" or table.path.suffix.lower() != ".parquet":
        return column
    names = {str(place): text for place, text in enumerate(hub_names(table.path, name))}
    if not names or not {text for text in column.texts if text not in NO_LABEL} <= names.keys():
        return column
    remarks.append(
        f"The class numbers in '{name}' have the names that the file gives them: {', '.join(names.values())}."
    )
    return Column(column.code, ["" if text in NO_LABEL else names[text] for text in column.texts])


def hub_names(path: Path, name: str) -> list[str]:
    """The names of the classes of a column, as Hugging Face notes them in a Parquet file; none where it does not."""
    with cells.readable_parquet(path) as file:
        about = (file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    try:
        feature = json.loads(about)["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return []
    parts = [name] if isinstance(feature, dict) and name in feature else name.split(".")
    while isinstance(feature, dict | list):
        if isinstance(feature, list) or isinstance(feature.get("feature"), dict | list):
            feature = next(iter(feature), None) if isinstance(feature, list) else feature["feature"]
        elif feature.get("_type") == "ClassLabel" and not parts:
            names = feature.get("names")
            return names if isinstance(names, list) and all(map(imported.is_name, names)) else []
        else:
            feature = feature.get(parts.pop(0)) if parts else None
    return []


def beside(column: Column, path: Path, images: Images) -> Column:
    """Images as paths below the image folder, where the file is a ``metadata.*`` that names them from its own."""
    place, root = path.parent.resolve(), images.folder.resolve()
    if not path.name.startswith(METADATA) or place == root or not place.is_relative_to(root):
        return column
    below = place.relative_to(root).as_posix()
    return Column(column.code, [f"{below}/{text}" if f"{below}/{text}" in images else text for text in column.texts])


def recognise(look: Look) -> Guess | None:
    """Whether cells hold lists of votes."""
    if not look.rows or isinstance(look.document, dict):
        return None
    first = look.rows[:LOOKED_AT]
    names = list(dict.fromkeys(name for row in first for name in keys(row)))
    flat = [{name: inside(row, name.split(".")) for name in names} for row in first]
    lists = [
        name for name in names
        if all(isinstance(row[name], list | None) for row in flat) and any(row[name] for row in flat)
        and all(as_text(entry) is not None for row in flat for entry in row[name] or ())
    ]  # fmt: skip
    plain = [name for name in names if name not in lists and not any(isinstance(row[name], list) for row in flat)]
    sample = look.of([{name: as_text(row[name]) or "" for name in plain} for row in flat], plain)
    item = sample.item_column()
    single = [
        dict(zip(lists, each, strict=True))
        for row in flat
        for each in zip(*(map(as_text, row[name] or ()) for name in lists), strict=False)
    ]
    entries = look.of(single, lists)
    who = entries.named(look.ANNOTATORS) or next((name for name in lists if name.endswith(".users")), None)
    rest = [name for name in lists if name != who and not name.endswith(".status")]
    label = entries.of(entries.rows, rest).named(look.LABELS) or next(iter(rest), None)
    if not item or not label:
        return None
    columns = {"item": item, "annotator": who, "label": label}
    return look.guess("a table with the votes of an image in lists", look.LIKELY, kind="table", layout="lists",
                      columns=columns)  # fmt: skip
