"""Which rows of a table are used: those with wanted values, or without others, and no value that a column lacks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import Problems
from . import imported
from .cells import Cells, is_missing

# How YAML and other programs write what it reads as true and false.
WORDS = {True: ("yes", "on", "y", "t", "1", "1.0"), False: ("no", "off", "n", "f", "0", "0.0")}
MOST_COMPARED = 2000  # texts of a column, with a value that it does not hold
SHORTEST, ALIKE = 4, 0.85  # of a word that begins another, in letters; of two words, as difflib's ratio


def chosen(table: Cells, where: Mapping[str, Any], remarks: list[str], problems: Problems) -> Cells:
    """The rows whose columns have the values that ``where`` asks for: a value, one of a list, or ``{not: …}``.

    A wanted value that is nowhere in the column is noted, and one to leave out if another is nearly it.
    """
    for name, wanted in where.items():
        negated = isinstance(wanted, dict)
        values = wanted["not"] if negated else wanted
        column, values = table.columns[f"where.{name}"], values if isinstance(values, list) else [values]
        held, texts = {text.casefold() for text in column.texts}, {str(value).casefold() for value in values}
        mistaken = False
        for value in (value for value in values if str(value).casefold() not in held):
            near = (nearly if negated else nearest)(value, column.texts)
            if near is not None or not negated:
                mistaken = True
                effect = " leaves no row" if not (negated or texts & held) else " excludes nothing" if negated else ""
                problems.add(absence(table, name, value, near, effect))
            else:
                remarks.append(f"`where` excluded nothing by {shown(value)}, which column '{name}' does not hold.")
        if mistaken:
            continue
        keep = np.array([(text.casefold() in texts) != negated for text in column.texts], bool)[column.code]
        if not keep.any():
            problems.add(
                f"{table.path}: source.where leaves no row: column '{name}' holds {listed(column.texts)}. Correct "
                f"source.where."
            )
            problems.stop()
        if not keep.all():
            remarks.append(f"{(~keep).sum()} of {len(table)} rows were left out by `where` on column '{name}'.")
        table = table.kept(keep)
    problems.stop()
    return table


def absence(table: Cells, name: str, value: Any, near: str | None, effect: str) -> str:
    """The message on a value of ``where`` that a column does not hold."""
    words = {True: "yes and on", False: "no and off"}
    yaml = f", as which YAML reads {words[value]}" if isinstance(value, bool) else ""
    hint = "Correct source.where" if near is None else f"The nearest is '{near}': write it so, in quotes"
    return (
        f"{table.path}: source.where{effect}: column '{name}' holds "
        f"{listed(table.columns[f'where.{name}'].texts)}, but not {shown(value)}{yaml}. {hint}."
    )


def shown(value: Any) -> str:
    """A value of ``where`` in a message."""
    return repr(value) if isinstance(value, str) else str(value).lower()


def listed(texts: Sequence[str]) -> str:
    """Some of the values that a column holds."""
    return ", ".join([repr(text) for text in texts[:5]] + [f"… ({len(texts):,} values)"] * (len(texts) > 5))


def same(value: Any, texts: Sequence[str]) -> str | None:
    """A text that another program, or YAML, would write for the same value: blanks, yes and no, 0.0 for 0, nothing."""
    text = str(value).strip().casefold()
    for found in texts:
        cell = found.strip().casefold()
        number = imported.number(cell)
        if cell == text or (isinstance(value, bool) and cell in WORDS[value]) or number == imported.number(text):
            return found
        if not text and is_missing(found):
            return found
    return None


def nearest(value: Any, texts: Sequence[str]) -> str | None:
    """The text that is most like a value."""
    folded = {text.casefold(): text for text in texts}
    near = difflib.get_close_matches(str(value).casefold(), list(folded)[:MOST_COMPARED], n=1)
    return same(value, texts) or (folded[near[0]] if near else None)


def nearly(value: Any, texts: Sequence[str]) -> str | None:
    """A text that is probably meant by a value: the same in other words, a longer or shorter form, or a slip.

    Not so a word and its opposite (sure, unsure), and names that other numbers tell apart.
    """
    if (found := same(value, texts)) is not None:
        return found
    word = str(value).casefold()
    for text in texts[:MOST_COMPARED]:
        short, long = sorted((word, text.casefold()), key=len)
        if len(short) >= SHORTEST and long.startswith(short) and not re.search(r"\d", long):
            return text
        like = difflib.SequenceMatcher(None, word, text.casefold()).ratio() >= ALIKE
        if like and not long.endswith(short) and re.findall(r"\d+", short) == re.findall(r"\d+", long):
            return text
    return None
