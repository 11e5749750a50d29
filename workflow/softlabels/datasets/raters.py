"""One column a rater: class names, class numbers or ratings in the cells, and gaps where somebody did not vote.

The table is CSV or Parquet, or a matrix without names: ``.npy`` [images, raters], or a text file such as LabelMe's
``answers.txt``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Problems, UserError
from . import cells, imported, rows
from .cells import Cells, Column
from .contract import Options
from .counts import ORDER, PEOPLE, SHORT, called_like_others, like_raters, read_array
from .images import Images
from .rows import Found

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look


MOST_ANSWERS = 50  # different ones, of all raters
NO_VOTE = "-1"  # besides what is missing everywhere, in the cells of people who did not vote on the image
DECIMAL = r"[-+]?\d+\.\d*(e[-+]?\d+)?"  # as programs write whole numbers, too, whose columns have gaps
SEVERAL = r"-?\d+([\s;,|]+-?\d+)+"  # cells of several raters that were not separated
MOST_WORDS = 10  # different answers of a column that has none with another one in common


def header(path: Path, separator: str, given: cells.Header) -> list[str]:
    """The names of the columns; those of a matrix are their places, from 0."""
    if path.suffix.lower() != ".npy":
        return cells.header(path, separator, given)
    return [str(place) for place in range(matrix(path).shape[1])]


def read(path: Path, roles: Mapping[str, str], problems: Problems, separator: str, given: cells.Header) -> Cells:
    """:func:`.cells.read`, of a ``.npy`` matrix, too: nan is an empty cell, 1.0 is 1."""
    if path.suffix.lower() != ".npy":
        return cells.read(path, roles, problems, separator, given)
    answers = matrix(path)
    known = {str(place): place for place in range(answers.shape[1])}
    for role, name in roles.items():
        if name not in known:
            problems.add(
                f"{path}: found no column '{name}' (source.{role}) among 0 to {len(known) - 1}, the places of the "
                f"columns. Correct the key."
            )
    problems.stop()
    columns = {}
    for role, name in roles.items():
        values, code = np.unique(answers[:, known[name]], return_inverse=True)
        columns[role] = Column(code.astype(np.int32), [written(value) for value in values.tolist()])
    return Cells(path, columns, np.arange(len(answers)), "row (from 0)")


def matrix(path: Path) -> np.ndarray:
    """The answers ``[N, R]`` of a ``.npy`` file, numbers or texts."""
    return read_array(path, "iufU", "class numbers, ratings or class names", "raters")


def written(value: float | str) -> str:
    """A cell of a matrix as text."""
    if isinstance(value, float):
        return "" if np.isnan(value) else str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def roles(source: Options, header: Sequence[str]) -> tuple[dict[str, str], list[str] | None]:
    """What is known of the image, and ``raters.NAME`` for the columns of ``raters``, or all others."""
    own = rows.of_items(source)
    raters = source["raters"] or [name for name in header if name not in {*own.values(), *source["where"]}]
    return own | {f"raters.{name}": name for name in raters}, source["classes"]


def found(
    table: Cells, source: Options, classes: list[str] | None, images: Images, problems: Problems, remarks: list[str]
) -> Found:
    """The votes of the cells that hold one."""
    raters = {
        role.removeprefix("raters."): column for role, column in table.columns.items() if role.startswith("raters.")
    }
    if not raters:
        raise UserError(
            f"{table.path}: found no column besides those of source.columns and source.where, expected one a rater. "
            f"Name the raters' columns in source.raters."
        )
    if source["columns"]["annotator"] is None:
        check_once(table, source, images, problems)
    given = set(classes or [])
    plain = {text: plainly(text, given) for column in raters.values() for text in column.texts}
    gaps = {text for text in plain if (cells.is_missing(text) or plain[text] == NO_VOTE) and text not in given}
    if len(raters) == 1 and any(re.fullmatch(SEVERAL, text.strip()) for text in plain):
        problems.add(
            f"{table.path}: found one column of raters, with cells such as '{next(iter(plain))}'. Set source.separator "
            f"to what separates the answers."
        )
    if source["raters"] is None:
        check_others(table, {name: held(column, plain, gaps) for name, column in raters.items()}, given, problems)
    check_negative(table, plain, gaps, problems)
    problems.stop()
    if changed := sorted(text for text in plain if plain[text] != text and text not in gaps):
        remarks.append(f"Numbers such as '{changed[0]}' were read as '{plain[changed[0]]}'.")
    votes = melted(table, raters, {text: "" if text in gaps else word for text, word in plain.items()})
    voted = np.array([text != "" for text in votes.columns["label"].texts], bool)[votes.columns["label"].code]
    if not voted.all():
        kinds = ", ".join(sorted(repr(text) if text else "empty" for text in gaps))
        remarks.append(f"{(~voted).sum()} of {len(voted)} cells of the raters hold no vote ({kinds}).")
    if source["columns"]["annotator"] is None:
        del votes.columns["annotator"]
    return rows.votes_of(votes.kept(voted), source, classes, images, problems, remarks)


def plainly(text: str, classes: set[str]) -> str:
    """A whole number without its decimals, unless it names a class."""
    if text in classes or not re.fullmatch(DECIMAL, text.strip(), re.IGNORECASE) or not float(text).is_integer():
        return text
    return str(int(float(text)))


def held(column: Column, plain: Mapping[str, str], gaps: set[str]) -> set[str]:
    """The answers of a rater."""
    return {plain[column.texts[code]] for code in np.unique(column.code)} - gaps


def check_others(
    table: Cells, answers: Mapping[str, set[str]], classes: set[str], problems: Problems
) -> None:  # fmt: skip
    """Refuse to take all other columns for raters where one looks like something else.

    Its answers say so where the classes are not known; where they are, each other answer is an error.
    """
    times = Counter(text for own in answers.values() for text in own)
    common = max(times.values(), default=0) > 1
    for name, own in answers.items():
        alone = own and not classes and all(times[text] == 1 for text in own)
        if called_like_others(name):
            why = "does not look like the name of a rater"
        elif alone and len(answers) > 1 and (common or len(own) > MOST_WORDS):
            why = f"holds '{min(own)}' and no answer that another one holds"
        else:
            continue
        problems.add(
            f"{table.path}: all columns but the image's would be raters, but '{name}' {why}. Name the raters' columns "
            f"in source.raters."
        )


def check_once(table: Cells, source: Options, images: Images, problems: Problems) -> None:
    """Refuse two rows of one image whose annotators are not kept: nobody could say who voted on it twice."""
    item = imported.items(table, "item", images, source["item_by"], Problems())
    rows_of = np.flatnonzero(item >= 0)
    _, first, of = np.unique(item[rows_of], return_index=True, return_inverse=True)
    if len(again := np.flatnonzero(first[of] != np.arange(len(rows_of)))):
        row, times = rows_of[again[0]], f" ({len(again):,} such rows)" if len(again) > 1 else ""
        problems.add(
            f"{table.both(rows_of[first[of[again[0]]]], row)} answers on the image '{list(images)[item[row]]}'{times}. "
            f"Keep one, or remove source.columns.annotator: then the names of the columns tell who voted twice, and "
            f"source.repeats says which votes count."
        )


def check_negative(table: Cells, plain: Mapping[str, str], gaps: set[str], problems: Problems) -> None:
    """Refuse to take -1 for a gap among other negative numbers."""
    negative = [text for text in plain.values() if re.fullmatch(r"-\d+(\.\d+)?", text) and text not in (NO_VOTE, "-0")]
    if negative and any(plain[text] == NO_VOTE for text in gaps):
        problems.add(
            f"{table.path}: found -1, which stands for no vote, and '{negative[0]}'. List all classes in "
            f"source.classes, '-1' among them if it is one."
        )


def melted(table: Cells, raters: Mapping[str, Column], texts: Mapping[str, str]) -> Cells:
    """The cells of the raters one a row, in the words of ``texts``, with what is known of the image."""
    labels = list(dict.fromkeys(texts.values()))
    place = {text: index for index, text in enumerate(labels)}
    label = [
        np.array([place[texts[text]] for text in column.texts], np.int32)[column.code] for column in raters.values()
    ]
    n, k = len(table), len(raters)
    columns = {
        role: Column(np.tile(column.code, k), column.texts)
        for role, column in table.columns.items() if "." not in role
    }  # fmt: skip
    columns["annotator"] = Column(np.repeat(np.arange(k, dtype=np.int32), n), list(raters))
    columns["label"] = Column(np.concatenate(label), labels)
    return Cells(table.path, columns, np.tile(table.number, k), table.unit)


def is_called(name: str) -> bool:
    """Whether a column has a name as people who vote have it."""
    return bool(PEOPLE.fullmatch(name) or SHORT.fullmatch(name))


def recognise(look: Look) -> Guess | None:
    """Whether columns hold the answers of raters."""
    what = "a table with a column a rater"
    if look.array is not None:
        gaps = np.isnan(look.array) if look.array.dtype.kind == "f" else look.array == -1
        answers = look.array[~gaps]
        if not gaps.any() or not len(answers) or (answers < 0).any() or (answers != answers.round()).any():
            return None
        return look.guess("a matrix of the answers of raters", look.LIKELY, ORDER, kind="table", layout="raters")
    if not look.is_table:
        return None
    item, group = look.item_column(), look.named(look.GROUPS)
    others = [name for name in look.columns if name not in (item, group)]
    words = {
        name: {text for text in look.vocabulary(name) if plainly(text, set()) != NO_VOTE and not cells.is_missing(text)}
        for name in others
    }
    left = [name for name in others if called_like_others(name)]
    short = [name for name in others if name not in left and 0 < len(words[name]) <= MOST_ANSWERS]
    called = [name for name in short if is_called(name)]
    alike = [name for name in short if any(words[name] & words[other] for other in short if other != name)]
    raters = called if len(called) > 1 else alike
    numeric = all(look.is_numeric(name) for name in raters)
    if len(raters) < 2 or (item and not look.is_unique(item)):
        return None
    if numeric and (raters is alike or all(map(SHORT.fullmatch, raters))) and item:
        table = np.array([[float(row[name]) if row[name] else -1 for name in raters] for row in look.rows])
        if not (table < 0).any() and not like_raters(table.astype(int), raters):
            return None
    source = {"kind": "table", "layout": "raters", "columns": {"item": item}, **look.format}
    if {*others} - {*raters}:
        source["raters"] = raters
    if group and group in look.columns:
        source["columns"]["group"] = group
    if item:
        answers = set().union(*(words[name] for name in raters))
        note = [f"Column '{name}' is taken for no rater's, by its name. See that it is none."
                for name in left if words[name] & answers]  # fmt: skip
        if answers <= {"0", "1"} and raters is alike:
            note.append(f"Each of {', '.join(raters)} is taken for a rater. If each is a class: layout: wide, and list "
                        f"them in `classes`.")  # fmt: skip
        return look.guess(what, look.LIKELY if raters is called else look.POSSIBLE, *note, **source)
    if not numeric or not any("-1" in look.vocabulary(name) for name in raters):
        return None
    order = look.list_of_images()
    note = () if order else (ORDER,)
    return look.guess("a matrix of the answers of raters", look.LIKELY, *note, **source,
                      **({"order_file": order} if order else {}))  # fmt: skip
