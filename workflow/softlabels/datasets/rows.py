"""One vote a row: the only way from cells, by the role of their column, to votes.

Every layout of a table, and every reader of an export, ends here with cells in the roles ``item`` and ``label``, and
``annotator``, ``group``, ``weight`` and ``time`` where it has them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import Problems
from . import imported, per_item
from .cells import Cells
from .contract import Options, Votes
from .images import Images

LIGHTEST, HEAVIEST = 1e-30, 1e30  # weights are kept with 32 bits, which end at about 1e-38 and 3e38
MOST_DIGITS = 4  # of a class's number where classes are not listed: a longer one is a slip, and would name them all


class Found(NamedTuple):
    """What a table says of N images."""

    votes: Votes
    classes: list[str]
    groups: list[str | None] | None  # of each image (None: none), or None where there are no groups


def named(source: Options) -> dict[str, str]:
    """The columns of the table of votes that the configuration names, by role."""
    return {role: name for role, name in source["columns"].items() if name is not None and role != "about_item"}


def of_items(source: Options) -> dict[str, str]:
    """Those of :func:`named` that speak of the image, not of a vote."""
    return {role: name for role, name in named(source).items() if role in ("item", *per_item.OF_ITEMS)}


def votes_of(
    table: Cells, source: Options, classes: list[str] | None, images: Images, problems: Problems, remarks: list[str]
) -> Found:
    """The votes of a table with one vote a row; what is wrong is noted, and what is decided added to ``remarks``.

    ``source`` are the options of its kind, of which ``item_by``, ``label_by`` and ``columns`` (names of columns by
    role, for messages) are read where the kind has them; ``classes`` the classes in index order (None: those of the
    table).
    """
    names, titles = list(images), source.get("columns", {})
    table = table.kept(imported.labelled(table, classes, source["missing"], problems))
    if not len(table):
        problems.stop()
    item = imported.items(table, "item", images, source.get("item_by", "name"), problems)
    column = table.columns["label"]
    used = [column.texts[code] for code in np.unique(column.code)]
    if source.get("label_by", "name") == "index":
        classes = imported.in_order(source)
        numbers = [int(text) for text in used if text.isdecimal() and len(text) <= MOST_DIGITS]
        classes = classes or [str(index) for index in range(1 + max(numbers, default=1))]
        known = {str(index): index for index in range(len(classes))}
        remedy = f"Write one from 0 to {len(classes) - 1}, or set source.classes to all classes, or label_by to 'name'."
    else:
        listed = ", or add it to source.classes" if classes else ""
        if classes and used and all(text.isdecimal() and text not in classes for text in used):
            listed += ", or set source.label_by to 'index' if these are places in source.classes, from 0"
        classes = imported.class_names(str(table.path), used, classes, problems)
        known = {name: index for index, name in enumerate(classes)}
        remedy = f"Write one of {', '.join(classes)}{listed}." if classes else "Write the name of a class."
    label = imported.lookup(table, "label", known, "label", remedy, problems)
    annotator = weight = time = groups = None
    if "group" in table.columns:
        groups = per_item.one_each(table, "group", item, names, (), problems).tolist()
    if "weight" in table.columns:
        weight = imported.numbers(
            table, "weight", titles.get("weight") or "weight",
            lambda values: (values >= LIGHTEST) & (values <= HEAVIEST), "a positive number", problems,
        )  # fmt: skip
    if "time" in table.columns:
        time = imported.moments(table, "time", titles.get("time") or "time", problems)
    counts = np.ones(len(table), bool)
    if "annotator" in table.columns:
        if source.get("layout") != "raters":  # whose names are those of columns
            table.columns["annotator"] = imported.without_words(
                table, "annotator", "known annotator", problems, of="votes"
            )
        counts = imported.one_vote_each(table, "annotator", item, names, problems, source["repeats"], time)
        annotator = imported.annotators(table.columns["annotator"])
        imported.question_people(annotator.dictionary.to_pylist(), problems)
    return Found(imported.chosen_votes(Votes(item, label, annotator, weight, time), counts), classes, groups)
