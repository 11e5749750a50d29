"""What a table says of an image rather than of a vote: its group, its part of a published split, its true class.

The columns stand in the table of votes, where all rows of an image must agree, or in a table of their own, which the
option ``about_items`` names. An empty cell, or a word such as ``nan``, says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from ..errors import Problems, UserError
from . import cells, imported
from .cells import Cells
from .contract import Options
from .images import Images, spellings

ROLES = ("split", "truth")  # of columns that become columns of the items
OF_ITEMS = ("group", *ROLES)
WORDS = {"group": "group", "split": "part", "truth": "truth"}  # of a column, for messages


class PerItem(NamedTuple):
    """What is known of N images: a text, or None, each."""

    columns: dict[str, np.ndarray]  # object [N], by role
    groups: list[str | None] | None  # where a table of its own has them


def of_votes(source: Options, alone: bool) -> Options:
    """The options for the table of votes: without these columns where they have a table of their own, ``alone``."""
    if not alone:
        return source
    return {**source, "columns": {**source["columns"], **dict.fromkeys(OF_ITEMS)}}


def read(
    table: Cells, path: Path | None, source: Options, classes: Sequence[str], images: Images, problems: Problems
) -> PerItem:
    """What the columns ``split`` and ``truth`` of the table of votes, or of the one at ``path``, say of each image.

    A truth must be one of the ``classes``; with ``label_by: index`` it is the number of one. What is wrong is noted.
    """
    columns = {role: source["columns"][role] for role in OF_ITEMS}
    wanted = [role for role in (OF_ITEMS if path else ROLES) if columns[role] is not None]
    if path is not None:
        item = source["columns"]["about_item"] or source["columns"]["item"]
        keys = {"columns.item": item} | {f"columns.{role}": columns[role] for role in wanted}
        table = cells.read(path, keys, problems, source["separator"])
        renamed = {key.removeprefix("columns."): column for key, column in table.columns.items()}
        table = Cells(table.path, renamed, table.number, table.unit)
    if not wanted:
        return PerItem({}, None)
    item = imported.items(table, "item", images, source["item_by"], problems)
    names = list(images)
    found = {role: one_each(table, role, item, names, classes if role == "truth" else (), problems) for role in wanted}
    if "truth" in found:
        known = dict(enumerate(classes)) if source["label_by"] == "index" else dict(zip(classes, classes, strict=True))
        found["truth"] = truths(table, found["truth"], {str(text): name for text, name in known.items()}, problems)
    groups = found.pop("group", None)
    return PerItem(found, None if groups is None else groups.tolist())


def refuse_cases(table: Cells, source: Options, images: Images) -> None:
    """Refuse a table whose rows are about cases of several images, each a folder, rather than about images."""
    column = table.columns["item"]
    used = {column.texts[code] for code in np.unique(column.code)}
    if source["item_by"] == "index" or used & spellings(list(images)).keys():
        return
    parents = [PurePosixPath(name).parent for name in images]
    of_case = Counter(text for parent in parents for text in {parent.as_posix(), parent.name})
    if used and used <= of_case.keys():
        case = max(sorted(used), key=of_case.get)
        raise UserError(
            f"{table.place(0)}: found '{column.each(0)}', a folder of images ('{case}' has {of_case[case]}), expected "
            f"an image in every row. Votes on cases: write a row for each image of the case, and the case in a column "
            f"that source.columns.group names, so that it stays in one part of a split; or keep one image of each case."
        )


def one_each(
    table: Cells, role: str, item: np.ndarray, names: Sequence[str], known: Sequence[str], problems: Problems
) -> np.ndarray:
    """The text of each image in a column, object ``[N]`` (None: no cell says anything); two texts are noted.

    Words for "nothing" that are ``known`` as classes say something.
    """
    column = imported.without_words(table, role, WORDS[role], problems, known)
    says = np.array([text != "" for text in column.texts], bool)[column.code] & (item >= 0)
    rows = np.flatnonzero(says)
    code = np.full(len(names), -1, np.int64)
    code[item[rows][::-1]] = column.code[rows][::-1]  # the first row of each image is written last
    other = rows[column.code[rows] != code[item[rows]]]
    if len(other):
        row, images = other[0], len(np.unique(item[other]))
        times = f" ({images:,} images have several)" if images > 1 else ""
        problems.add(
            f"{table.place(row)} gives the image '{names[item[row]]}' the {WORDS[role]} '{column.each(row)}', an "
            f"earlier row '{column.texts[code[item[row]]]}'{times}. Give each image one {WORDS[role]}."
        )
    return np.array([column.texts[index] if index >= 0 else None for index in code], object)


def truths(table: Cells, found: np.ndarray, known: dict[str, str], problems: Problems) -> np.ndarray:
    """The class that each truth names; those that are no class of the votes are noted, and a column without any."""
    other = sorted({text for text in found if text is not None and text not in known})
    if other:
        classes = ", ".join(known)
        problems.add(
            f"{table.path}: found the truths {', '.join(map(repr, other[:5]))}{', …' if len(other) > 5 else ''}, "
            f"expected classes of the votes: {classes}. Write them alike, or list all classes in source.classes."
        )
    elif all(text is None for text in found):
        problems.add(
            f"{table.path}: the column of source.columns.truth is empty for all images. Name another, or null."
        )
    return np.array([known.get(text) for text in found], object)
