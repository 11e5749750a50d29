"""How a table of votes is laid out: which columns have which role, and how its rows become votes.

A layout is two functions. ``roles`` says which columns are read, by role; ``found`` makes votes of them, most by way of
``rows.votes_of``. One whose files are not plain tables has a ``header`` and ``read`` of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import Problems
from . import cells, counts, imported, lists, onehot, per_item, raters, rows
from .cells import Cells
from .contract import Options, Votes
from .images import Images
from .rows import Found

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look


# What columns say of rows that are no votes, in small letters.
NO_VOTES = {"rejected", "skipped", "cancelled", "canceled", "expired", "ignored", "discarded", "draft", "invalid"}
Classes = list[str] | None  # in index order; None: those of the table


class Layout(NamedTuple):
    """A layout by its functions."""

    # The columns by role, ``classes.NAME`` for a column a class, and the classes where the header has
    # them; of the options and the header's names.
    roles: Callable[[Options, Sequence[str]], tuple[dict[str, str], Classes]]
    found: Callable[[Cells, Options, Classes, Images, Problems, list[str]], Found]
    annotators: bool = True  # whether rows have a column of who voted
    header: Callable[[Path, str, cells.Header], list[str]] = cells.header
    read: Callable[[Path, Mapping[str, str], Problems, str, cells.Header], Cells] = cells.read


def long_roles(source: Options, header: Sequence[str]) -> tuple[dict[str, str], Classes]:
    """A column a role."""
    return rows.named(source), source["classes"]


def wide_roles(source: Options, header: Sequence[str]) -> tuple[dict[str, str], Classes]:
    """What is known of the image, and all other columns, or those of ``classes``, are classes."""
    roles = rows.of_items(source)
    own = {*roles.values(), *source["where"]}
    classes = source["classes"] or [name for name in header if name not in own]
    return roles | {f"classes.{name}": name for name in classes}, classes


def wide(
    table: Cells, source: Options, classes: list[str], images: Images, problems: Problems, remarks: list[str]
) -> Found:
    """Votes of a table with one image a row and a column of counts a class."""
    remedy, asked = "Set source.layout to 'raters'", source["classes"] is None
    left_out = "List the classes without it in source.classes"
    if asked:
        counts.question_raters(table.path, classes, None, remedy, problems)
        counts.question_others(table.path, classes, None, left_out, problems)
    of_rows = counts.matrix(table, classes, problems)
    item = imported.items(table, "item", images, source["item_by"], Problems())
    counts.question_rows(table, of_rows, item, "Set source.layout to 'onehot'", problems)
    row_of = counts.rows_of_images(table, "item", images, problems, source["item_by"])
    problems.stop()
    if asked:
        counts.question_raters(table.path, classes, of_rows, remedy, problems)
        counts.question_others(table.path, classes, of_rows, left_out, problems)
    groups = None
    if "group" in table.columns:
        groups = per_item.one_each(table, "group", item, list(images), (), problems).tolist()
    return Found(Votes.of_counts(of_rows[row_of]), classes, groups)


LAYOUTS = {
    "long": Layout(long_roles, rows.votes_of),
    "wide": Layout(wide_roles, wide, annotators=False),
    "raters": Layout(raters.roles, raters.found, annotators=False, header=raters.header, read=raters.read),
    "onehot": Layout(onehot.roles, onehot.found),
    "lists": Layout(lists.roles, lists.found, header=lists.header, read=lists.read),
}


def recognise_long(look: Look) -> Guess | None:
    """Whether rows are votes: a column names the image, and one the class."""
    item = look.item_column()
    if not look.is_table or not item:
        return None
    called, who = look.named(look.LABELS, item), look.named(look.ANNOTATORS, item)
    words = {name: look.vocabulary(name) for name in look.columns if name != item}
    few = [name for name, texts in words.items() if 2 <= len(texts) <= max(2, min(50, len(look.rows) // 2))]
    # Nobody votes twice on an image: the column of people, if it is called otherwise, tells the rows of one apart.
    once = look.apart(item)
    who = who or (once[0] if len(once) == 1 and once[0] != called else None)
    label = called or min(
        (name for name in few if name != who), key=lambda name: (look.is_numeric(name), len(words[name])), default=None
    )
    if not label or (label.casefold() not in look.LABELS and has_rivals(look, label, few, who)):
        return None
    columns = {"item": item, "label": label, "annotator": who}
    for role, names in (("group", look.GROUPS), ("time", look.TIMES)):
        name = look.named(names, *filter(None, columns.values()))
        if name:
            columns[role] = name
    more = dict(look.format)
    if look.is_numeric(item) and not look.names_images(item):
        more["item_by"] = "index"
    check, correct = look.named(("is_attn_check", "attention_check")), look.named(("correct_guess", "correct"))
    if check and correct and columns["annotator"]:
        more["attention"] = {"check": check, "correct": correct, "minimum": 0.75}
    if "header" in more:  # of a file without one: names for what it holds
        roles = {name: role for role, name in columns.items() if name}
        more["header"] = [roles.get(name, f"column{name}") for name in look.columns]
        columns = {role: role if name else None for role, name in columns.items()}
    columns = {role: name for role, name in columns.items() if name != role}
    for name, texts in words.items():
        if bad := sorted(text for text in texts if text.casefold() in NO_VOTES):
            more.setdefault("where", {})[name] = {"not": bad[0] if len(bad) == 1 else bad}
    note = [] if called else [f"No column is called like a class: it is taken to be in '{label}'. See that it is."]
    if who in once and not look.named(look.ANNOTATORS, item):
        note.append(f"Who voted is taken to be in '{who}', as no image has the same there twice. See that it is.")
    return look.guess("a table with one vote a row", look.LIKELY if called else look.POSSIBLE, *note, kind="table",
                      **({"columns": columns} if columns else {}), **more)  # fmt: skip


def has_rivals(look: Look, label: str, few: list[str], who: str | None) -> bool:
    """Whether another column may as well hold the class, by the texts that both have: several people's, or flags."""
    alike = [name for name in few if {*re.split(r"[\W_\d]+", name.casefold())} & {*look.LABELS}]
    rivals = {*(alike if label in alike else few)} - {label, who}
    own = look.vocabulary(label)
    return any(own & look.vocabulary(name) and not counts.called_like_others(name) for name in rivals)


def recognise_wide(look: Look) -> Guess | None:
    """Whether rows are images, and columns hold how many votes each class got."""
    item, group = look.item_column(), look.named(look.GROUPS)
    if not look.is_table or not item or not look.is_unique(item):
        return None
    numeric = [name for name in look.columns if name not in (item, group) and look.is_numeric(name)]
    classes = [name for name in numeric if name.casefold() not in counts.OTHER_NAMES]
    rows_of = [[float(row[name] or -1) for name in classes] for row in look.rows]
    table = np.array(rows_of).reshape(len(look.rows), len(classes))
    if total := counts.sums(classes, table):
        keep = [name not in total for name in classes]
        classes, table = [name for name in classes if name not in total], table[:, keep]
    if len(classes) < 2 or not counts.is_count(table).all() or counts.like_raters(table.astype(int), classes):
        return None
    columns = {"item": item} | ({"group": group} if group else {})
    more = {"classes": classes} if {*look.columns} - {item, group, *classes} else {}
    if not all(str(row.get(item) or "").strip() for row in look.rows):
        more["where"] = {item: {"not": ""}}
    note = [f"All of {', '.join(classes)} are taken for classes."] if len(classes) > 12 else []
    note += [f"Column '{name}' is taken for no class, {'the sum of the others' if name in total else 'by its name'}. "
             f"See that it is none." for name in numeric if name not in classes]  # fmt: skip
    return look.guess("a table with one image a row and a column of votes for each class", look.LIKELY, *note,
                      kind="table", layout="wide", columns=columns, **more, **look.format)  # fmt: skip
