"""One vote a row, and a column a class that holds 1 where the vote is for it, else 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Problems, UserError
from . import imported, rows
from .cells import Cells, Column
from .contract import Options
from .images import Images
from .rows import Found

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look


YES, NO = ("1", "1.0", "true"), ("0", "0.0", "false", "")


def roles(source: Options, header: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The columns of a vote but its label, and ``classes.NAME`` for the columns of ``classes``, or all others.

    A column ``annotator`` is used where there is one.
    """
    own = {role: name for role, name in rows.named(source).items() if role != "label"}
    if "annotator" not in header and own.get("annotator") == "annotator":
        del own["annotator"]
    attention = source["attention"] or {}
    others = {*own.values(), *source["where"], attention.get("check"), attention.get("correct")}
    classes = source["classes"] or [name for name in header if name not in others]
    return own | {f"classes.{name}": name for name in classes}, classes


def found(
    table: Cells, source: Options, classes: list[str], images: Images, problems: Problems, remarks: list[str]
) -> Found:
    """A vote for the class whose column holds 1; rows of one image are several votes."""
    if "annotator" not in table.columns and (name := source["columns"]["annotator"]) is not None:
        remarks.append(f"There is no column '{name}' (columns.annotator): who voted is unknown.")
    if not classes:
        raise UserError(
            f"{table.path}: found no column besides those of source.columns and source.where, expected one a class. "
            f"Correct source.columns."
        )
    known = dict.fromkeys(YES, 1) | dict.fromkeys(NO, 0)
    ones = np.zeros((len(table), len(classes)), bool)
    for index, name in enumerate(classes):
        role = f"classes.{name}"
        spelled = {text: known[text.casefold()] for text in table.columns[role].texts if text.casefold() in known}
        remedy = f"Write 0 or 1 in the column '{name}', or list the columns of the classes in source.classes."
        ones[:, index] = imported.lookup(table, role, spelled, "0 or 1", remedy, problems) > 0
    problems.stop()
    total = ones.sum(axis=1)
    for wrong, what, remedy in (
        (total == 0, "found no class with a 1", "Remove rows without a vote, or add the missing class"),
        (total > 1, f"found several classes with a 1 ({several(ones, classes)})", "Keep one class a vote"),
    ):
        if wrong.any():
            times = f" ({wrong.sum()} such rows)" if wrong.sum() > 1 else ""
            problems.add(
                f"{table.place(wrong.argmax())}: {what}{times}, expected one of {', '.join(classes)}. {remedy}."
            )
    problems.stop()
    columns = {**table.columns, "label": Column(ones.argmax(axis=1).astype(np.int32), list(classes))}
    source = {**source, "label_by": "name"}
    return rows.votes_of(
        Cells(table.path, columns, table.number, table.unit), source, classes, images, problems, remarks
    )


def several(ones: np.ndarray, classes: Sequence[str]) -> str:
    """The classes of the first row that has more than one ("": none has)."""
    row = (ones.sum(axis=1) > 1).argmax()
    return ", ".join(name for name, one in zip(classes, ones[row], strict=True) if one)


def recognise(look: Look) -> Guess | None:
    """Whether each row has a 1 in one of some adjacent columns, and images have several rows (or cells are words)."""
    item = look.item_column()
    if not look.is_table or not item:
        return None
    texts = {name: {text.casefold() for text in look.vocabulary(name)} for name in look.columns if name != item}
    flags = [name for name, words in texts.items() if words and words <= {*YES, *NO}]
    classes = one_of(look, flags)
    numeric = all(look.is_numeric(name) for name in classes)
    if not classes or (look.is_unique(item) and numeric):
        return None
    apart = [name for name in look.apart(item) if name not in flags]
    who = look.named(look.ANNOTATORS, item, *classes) or (apart[0] if len(apart) == 1 else None)
    more = {"classes": classes} if {*look.columns} - {item, who, *classes} else {}
    left = [name for name in flags if name not in classes]
    note = [f"Each row has one 1 in {', '.join(classes)}: these are taken for the classes, {', '.join(left)} for none. "
            f"See that it is so."] if left else []  # fmt: skip
    columns = {"item": item, "annotator": who}
    return look.guess("a table with one vote a row and a column of 0 and 1 for each class", look.LIKELY, *note,
                      kind="table", layout="onehot", columns=columns, **more, **look.format)  # fmt: skip


def one_of(look: Look, flags: Sequence[str]) -> list[str]:
    """The longest stretch of adjacent columns of 0 and 1 of which each row has a 1 in one; none: []."""
    ones = np.array([[str(row.get(name)).strip().casefold() in YES for name in flags] for row in look.rows], int)
    ones = ones.reshape(len(look.rows), len(flags))
    place = [look.columns.index(name) for name in flags]
    # Rows have one 1 between two columns where their running sums differ by one everywhere.
    sums = np.concatenate([np.zeros((len(ones), 1), int), ones.cumsum(axis=1)], axis=1)
    for length in range(len(flags), 1, -1):
        for first in range(len(flags) - length + 1):
            last = first + length
            adjacent = length == len(flags) or place[last - 1] - place[first] == length - 1
            if adjacent and (sums[:, last] - sums[:, first] == 1).all():
                return list(flags[first:last])
    return []
