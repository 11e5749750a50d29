"""What all sources with image files share: which vote belongs to which image, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import Problems, UserError
from .cells import Cells, Column, first_bad_line
from .contract import Content, Options, Votes
from .images import Images, import_images, rules, spellings

MOST_NAMED = 25  # more messages of one kind than are shown help nobody
MOST_CLASSES = 32_767  # that the labels of votes, int16, can tell apart


def content(
    source: Options, images: Mapping[str, Path], classes: list[str], problems: Problems, *,
    votes: Votes | None = None, p: np.ndarray | None = None, groups: list[str | None] | None = None,
    columns: Mapping[str, np.ndarray] | None = None, remarks: Sequence[str] = (), **notes: Any,
) -> Content:  # fmt: skip
    """The content (see :class:`Content`) of a source of N image files by item name; raises all that is wrong.

    With votes it takes the options ``unvoted`` (``refuse`` or ``leave_out`` images without a vote) and
    ``pseudonymise``; ``votes`` have the annotators' own names. ``remarks`` say what the import did, a sentence each.
    """
    if len(classes) < 2:
        problems.add(
            f"source.classes: found {len(classes)} class ({', '.join(classes) or 'none'}), expected two or more. Add "
            f"votes for others, or list all classes in source.classes."
        )
    if len(classes) > MOST_CLASSES:
        problems.add(
            f"source.classes: found {len(classes)} classes, expected at most {MOST_CLASSES}. Correct the classes, or "
            f"swap the rows and columns of the source's file."
        )
    problems.stop()
    names, remarks = list(images), list(remarks)
    if votes is not None:
        voted = np.bincount(votes.item, minlength=len(names)) > 0
        if not voted.all():
            if source["unvoted"] == "refuse" or not voted.any():
                raise UserError(
                    f"{images[names[voted.argmin()]]}: found no vote for this image ({len(voted) - voted.sum()} of "
                    f"{len(names)} images have none). Add votes, remove these images, or set source.unvoted to "
                    f"'leave_out'."
                )
            remarks.append(f"{len(voted) - voted.sum()} of {len(names)} images have no vote and were left out.")
            votes = replace(votes, item=(np.cumsum(voted) - 1)[votes.item])
            names = [name for name, keep in zip(names, voted, strict=True) if keep]
            groups = groups and [group for group, keep in zip(groups, voted, strict=True) if keep]
            columns = {key: value[voted] for key, value in (columns or {}).items()}
        if votes.annotator is not None and source["pseudonymise"]:
            aliases = pseudonyms(votes.annotator.dictionary.to_pylist())
            annotator = pa.DictionaryArray.from_arrays(votes.annotator.indices, pa.array(aliases, pa.string()))
            votes = replace(votes, annotator=annotator)
    pixels = partial(import_images, [images[name] for name in names], source)
    notes = {"remarks": remarks, **notes}
    return Content(names, classes, pixels, votes, p, groups, columns or {}, notes, rules(source))


def pseudonyms(names: list[str]) -> list[str]:
    """``annotator-0001`` and so on for distinct names, numbered in the order of the SHA-256 of the names.

    A pseudonym, not anonymity: who can guess the names can repeat the numbering.
    """
    width = max(4, len(str(len(names))))
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    alias = {name: f"annotator-{number:0{width}}" for number, name in enumerate(order, start=1)}
    return [alias[name] for name in names]


def annotators(column: Column) -> pa.DictionaryArray:
    """The annotator of each row; an empty cell is an unknown one."""
    names = [text for text in column.texts if text]
    place = {name: index for index, name in enumerate(names)}
    code = np.array([place.get(text, -1) for text in column.texts], np.int32)[column.code]
    return pa.DictionaryArray.from_arrays(pa.array(code, mask=code < 0), pa.array(names, pa.string()))


def lookup(cells: Cells, role: str, known: Mapping[str, int], what: str, remedy: str, problems: Problems) -> np.ndarray:
    """The number that each cell's text stands for, int64 ``[R]`` (-1: none), by the numbers ``known`` by text.

    The first place of each text that is not known, and of empty cells, is noted: as no ``what``, ending in ``remedy``.
    """
    column = cells.columns[role]
    number = np.array([known.get(text, -1) for text in column.texts], np.int64)
    used = np.bincount(column.code, minlength=len(column.texts))
    for code in np.flatnonzero((number < 0) & (used > 0))[:MOST_NAMED]:
        text = column.texts[code]
        found = f"found no {what} '{text}'" if text else f"the {what} is empty"
        times = f" ({used[code]} rows)" if used[code] > 1 else ""
        problems.add(f"{cells.place(column.first(code))}: {found}{times}. {remedy}")
    return number[column.code]


def items(cells: Cells, role: str, images: Images, by: str, problems: Problems) -> np.ndarray:
    """The item that each row is about, int64 ``[R]`` (-1: none).

    ``by`` is ``name`` (a path below the folder, or a file name or stem that occurs once) or ``index`` (the place, from
    0, of the file in the order of the names).
    """
    last, folder = len(images) - 1, images.folder
    if by == "index":
        check_order(images, problems)
        known = {str(index): index for index in range(len(images))}
        remedy = f"Write a whole number from 0 to {last}, the place of the image in {folder} in name order."
    else:
        known = spellings(list(images))
        remedy = (
            f"Write a path below {folder} (or a file name that occurs once there), add the image, or remove the row."
        )
    return lookup(cells, role, known, "image", remedy, problems)


def check_order(images: Images, problems: Problems) -> None:
    """Refuse names whose order as text differs from their order as numbers: rows would meet the wrong images."""
    by_number = sorted(
        images, key=lambda name: [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
    )
    text, number = next((pair for pair in zip(images, by_number, strict=True) if len(set(pair)) > 1), ("", ""))
    if text:
        problems.add(
            f"{images.folder}: '{text}' comes before '{number}' as text but after it as a number, so the row of each "
            f"is not certain. Pad the numbers with zeros, or name the images in the table."
        )


def class_names(place: str, labels: Sequence[str], classes: list[str] | None, problems: Problems) -> list[str]:
    """The classes given, or the distinct labels sorted as text; labels that look like a mistake are noted."""
    if classes:
        return classes
    names = sorted(set(labels) - {""})
    alike: dict[str, str] = {}
    for name in names:
        other = alike.setdefault(unicodedata.normalize("NFKC", name).strip().casefold(), name)
        if other != name:
            problems.add(
                f"{place}: found the labels '{other}' and '{name}'. Write them alike, or, if both are classes, list "
                f"them in source.classes."
            )
    decimal = [name for name in names if re.fullmatch(r"[-+]?\d*\.\d+", name) or name.casefold() in ("nan", "inf")]
    if decimal:
        problems.add(
            f"{place}: found the label '{decimal[0]}', expected the name or number of a class. Write class numbers "
            f"without decimals, remove rows without a label, or, if it is a class, list it in source.classes."
        )
    return names


def one_group_each(
    cells: Cells, role: str, item: np.ndarray, names: Sequence[str], problems: Problems
) -> list[str | None]:
    """The group of each item, a list of N (None: its cells are empty); an item with two groups is noted."""
    column = cells.columns[role]
    code = np.full(len(names), -1, np.int64)
    rows = np.flatnonzero(item >= 0)
    code[item[rows][::-1]] = column.code[rows][::-1]  # the first row of each item is written last
    for row in rows[column.code[rows] != code[item[rows]]][:MOST_NAMED]:
        problems.add(
            f"{cells.place(row)} puts the image '{names[item[row]]}' in the group '{column.each(row)}', an earlier row "
            f"in '{column.texts[code[item[row]]]}'. Give it one group."
        )
    return [column.texts[index] or None if index >= 0 else None for index in code]


def one_vote_each(cells: Cells, role: str, item: np.ndarray, names: Sequence[str], problems: Problems) -> None:
    """Refuse two votes of one known annotator on one item."""
    column = cells.columns[role]
    known = np.array([text != "" for text in column.texts], bool)[column.code] & (item >= 0)
    rows = np.flatnonzero(known)
    key = item[rows] * len(column.texts) + column.code[rows]
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero(np.diff(key[order]) == 0)
    for place in again[:MOST_NAMED]:
        before, row = rows[order[place]], rows[order[place + 1]]
        problems.add(
            f"{cells.both(before, row)} votes of '{column.each(row)}' on the image '{names[item[row]]}'. Keep one, or "
            f"set the annotator's column to null."
        )


def numbers(cells: Cells, role: str, what: str, test: Any, expected: str, problems: Problems) -> np.ndarray:
    """The numbers of a column, float64 ``[R]`` (nan where a cell holds none); cells that fail ``test`` are noted."""
    column = cells.columns[role]
    values = np.array([number(text) for text in column.texts], np.float64)
    with np.errstate(invalid="ignore"):
        bad = ~test(values)
    used = np.bincount(column.code, minlength=len(column.texts)) > 0
    for code in np.flatnonzero(bad & used)[:MOST_NAMED]:
        problems.add(
            f"{cells.place(column.first(code))}, column '{what}': found '{column.texts[code]}', expected {expected}. "
            f"Correct that cell."
        )
    return values[column.code]


def stop_early(problems: Problems) -> None:
    """Raise the many mistakes that were found, rather than read on in a file of another kind."""
    if len(problems.messages) >= MOST_NAMED:
        problems.stop()


def class_columns(cells: Cells, classes: Sequence[str], test: Any, expected: str, problems: Problems) -> np.ndarray:
    """The numbers of a table with a column a class, float64 ``[R, C]``; see :func:`numbers`."""
    columns = [numbers(cells, f"classes.{name}", name, test, expected, problems) for name in classes]
    return np.array(columns).T.reshape(len(cells), len(classes))


def number(text: str) -> float:
    """The number that a cell holds; nan where it holds none."""
    try:
        return np.nan if "_" in text else float(text)  # Python would read 1_0 as 10
    except ValueError:
        return np.nan


def document(path: Path) -> Any:
    """What a JSON file holds; a key that an object has twice, of which readers keep the last, is a UserError, too."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=distinct)
    except UnicodeDecodeError:
        reason = f"line {first_bad_line(path)} is not UTF-8 text"
        raise UserError(f"{path}: cannot be read as JSON ({reason}). Save it in UTF-8, or get it again.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}). Correct it, or get the file again.") from None


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a key that occurs twice is a ValueError, not the last of the two."""
    found = dict(pairs)
    if len(found) < len(pairs):
        (key, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"an object has the key {shown(key)} twice")
    return found


def shown(value: Any) -> str:
    """A JSON value in a message: a list or an object by its kind alone, text with its odd characters escaped."""
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    return (repr(value) if isinstance(value, str) else json.dumps(value))[:100]


def is_name(value: Any) -> bool:
    """Whether a JSON value can name something: text that shows, without control characters or half characters."""
    return isinstance(value, str) and value.isprintable() and not value.isspace() and value != ""
