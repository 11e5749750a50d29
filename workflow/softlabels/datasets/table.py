"""Images with a table of votes: one row a vote (long), or one row an image and a column of counts a class (wide)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Problems, UserError
from . import cells, imported
from .cells import Cells
from .contract import Content, Options, Votes
from .counts import matrix, read_array, rows_of_images
from .images import Images, relative_names

ENTRY = {
    "about": "Images and a table - one vote a row (long), or one image a row and a column of counts a class (wide).",
    "options": {
        "images": {
            "type": "string", "description": "Folder of the images (required).", "input": "folder", "required": True},
        "votes": {
            "type": "string", "description": "CSV or Parquet file (required).", "input": "votes", "required": True},
        "layout": {"enum": ["long", "wide"], "default": "long",
            "description": "One vote a row, or one image a row and counts a class."},
        "columns": {
            "type": "object", "additionalProperties": False, "default": {}, "description": "Names of the columns.",
            "properties": {
                "item": {"type": "string", "default": "item", "description": "Column with the image."},
                "annotator": {"type": ["string", "null"], "default": "annotator",
                    "description": "Column with who voted; null for anonymous votes."},
                "label": {"type": "string", "default": "label", "description": "Column with the chosen class."},
                "group": {"type": ["string", "null"], "default": None,
                    "description": "Column with the group of the image."},
                "weight": {"type": ["string", "null"], "default": None,
                    "description": "Column with the vote's weight in labels (not in the reference)."},
                "time": {"type": ["string", "null"], "default": None,
                    "description": "Column with the vote's time, a number; kept with the votes."}}},
        "item_by": {"enum": ["name", "index"], "default": "name",
            "description": "Whether an image is named by its file, or by its place (from 0) in the order of the file "
            "names."},
        "label_by": {"enum": ["name", "index"], "default": "name",
            "description": "Whether a label is a class name, or its index (from 0) in `classes`."},
        "where": {
            "type": "object", "default": {},
            "description": "Rows that are used, by column: a value, a list of values, or `{not: value or list}`. "
                           "Compared as text, without regard to case.",
            "additionalProperties": {"anyOf": [
                {"type": ["string", "number", "boolean"]},
                {"type": "array", "items": {"type": ["string", "number", "boolean"]}, "minItems": 1},
                {"type": "object", "additionalProperties": False, "required": ["not"],
                 "properties": {"not": {"type": ["string", "number", "boolean", "array"],
                                        "description": "Value or values of the rows that are left out."}}}]}},
        "attention": {"anyOf": [
            {"type": "object", "additionalProperties": False, "required": ["check", "correct", "minimum"],
             "properties": {
                "check": {"type": "string",
                    "description": "Column that says whether a row is an attention check (required)."},
                "correct": {"type": "string",
                    "description": "Column that says whether a check was answered correctly (required)."},
                "minimum": {"type": "number", "minimum": 0, "maximum": 1,
                    "description": "Annotators below this share of correct checks are left out (required)."}}},
            {"type": "null"}],
            "default": None, "description": "Attention checks among the rows; they are no votes."},
        "compare": {"type": ["string", "null"], "default": None,
            "description": "`.npy` of published counts [N, C]; the data card says how the votes differ.",
            "input": "compare"},
    },
    "shared": ["separator", "classes", "unvoted", "pseudonymise", "pixels", "resize", "deep"],
    "gives": ["votes"],
}  # fmt: skip

TRUE, FALSE = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
LIGHTEST, HEAVIEST = 1e-30, 1e30  # weights are kept with 32 bits, which end at about 1e-38 and 3e38
MOST_DIGITS = 4  # of a class's number where classes are not listed: a longer one is a slip, and would name them all


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of an image folder with a table of ``votes``, and perhaps counts to ``compare`` them with."""
    images = relative_names(files["images"], files["folder"])
    table, classes = open_table(files["votes"], source, problems)
    remarks: list[str] = []
    table = chosen(table, source["where"], remarks, problems)
    table = attentive(table, source["attention"], remarks, problems)
    layout = wide if source["layout"] == "wide" else long
    votes, classes, groups = layout(table, source, classes, images, problems)
    problems.stop()
    if "compare" in files:
        remarks.append(comparison(files["compare"], votes.counts(len(images), len(classes))))
    return imported.content(source, images, classes, problems, votes=votes, groups=groups, remarks=remarks)


def open_table(path: Path, source: Options, problems: Problems) -> tuple[Cells, list[str] | None]:
    """The columns that the configuration names, by role, and the classes of a wide table."""
    roles = {f"columns.{role}": name for role, name in source["columns"].items() if name is not None}
    roles |= {f"where.{name}": name for name in source["where"]}
    if source["attention"]:
        if source["layout"] == "wide" or source["columns"]["annotator"] is None:
            raise UserError(
                "source.attention: found no annotators to check, expected a table of votes with a column of them. Set "
                "source.layout to 'long' and source.columns.annotator to that column, or source.attention to null."
            )
        roles |= {f"attention.{role}": source["attention"][role] for role in ("check", "correct")}
    classes = source["classes"]
    if source["layout"] == "wide":
        for role in ("label", "annotator", "weight", "time"):
            roles.pop(f"columns.{role}", None)
        names = cells.header(path, source["separator"])
        classes = classes or [name for name in names if name not in roles.values()]
        roles |= {f"classes.{name}": name for name in classes}
    return cells.read(path, roles, problems, source["separator"]), classes


def chosen(table: Cells, where: Mapping[str, Any], remarks: list[str], problems: Problems) -> Cells:
    """The rows whose columns have the values that ``where`` asks for: a value, one of a list, or ``{not: …}``."""
    for name, wanted in where.items():
        negated = isinstance(wanted, dict)
        values = wanted["not"] if negated else wanted
        texts = {str(value).casefold() for value in (values if isinstance(values, list) else [values])}
        column = table.columns[f"where.{name}"]
        keep = np.array([(text.casefold() in texts) != negated for text in column.texts], bool)[column.code]
        if not keep.any():
            found = ", ".join([repr(text) for text in column.texts[:5]] + ["…"] * (len(column.texts) > 5))
            problems.add(
                f"{table.path}: source.where leaves no row: column '{name}' holds {found}. Correct source.where."
            )
            problems.stop()
        if not keep.all():
            remarks.append(f"{(~keep).sum()} of {len(table)} rows were left out by `where` on column '{name}'.")
        table = table.kept(keep)
    return table


def yes(table: Cells, role: str, problems: Problems) -> np.ndarray:
    """A column of yes and no, bool ``[R]``."""
    known = dict.fromkeys(TRUE, 1) | dict.fromkeys(FALSE, 0)
    column = table.columns[role]
    known |= {text: known[text.casefold()] for text in column.texts if text.casefold() in known}
    remedy = f"Write one of {', '.join(TRUE + FALSE)}."
    return imported.lookup(table, role, known, "answer", remedy, problems) > 0


def attentive(table: Cells, attention: Mapping[str, Any] | None, remarks: list[str], problems: Problems) -> Cells:
    """The rows that are no attention checks, of annotators who passed a large enough share of their checks."""
    if not attention:
        return table
    check = yes(table, "attention.check", problems)
    correct = yes(table.kept(check), "attention.correct", problems)
    problems.stop()
    annotator = table.columns["columns.annotator"]
    n = len(annotator.texts)
    checks = np.bincount(annotator.code[check], minlength=n)
    passed = np.bincount(annotator.code[check][correct], minlength=n)
    failed = passed < attention["minimum"] * checks
    present = np.bincount(annotator.code, minlength=n) > 0
    remarks.append(
        f"{check.sum()} of {len(table)} rows are attention checks; {failed.sum()} of {present.sum()} annotators passed "
        f"fewer than {attention['minimum']:.0%} of theirs and were left out with all their votes."
    )
    keep = ~check & ~failed[annotator.code]
    if not keep.any():
        problems.add(
            f"{table.path}: source.attention leaves no vote: {remarks[-1]} Correct the columns in source.attention, or "
            f"lower its minimum."
        )
        problems.stop()
    if (unchecked := present & (checks == 0)).any():
        remarks.append(f"{unchecked.sum()} annotators met no attention check; their votes were kept.")
    return table.kept(keep)


def long(
    table: Cells, source: Options, classes: list[str] | None, images: Images, problems: Problems
) -> tuple[Votes, list[str], list[str | None] | None]:
    """Votes, classes and groups of a table with one vote a row."""
    names = list(images)
    item = imported.items(table, "columns.item", images, source["item_by"], problems)
    column = table.columns["columns.label"]
    used = [column.texts[code] for code in np.unique(column.code)]
    if source["label_by"] == "index":
        numbers = [int(text) for text in used if text.isdecimal() and len(text) <= MOST_DIGITS]
        classes = classes or [str(index) for index in range(1 + max(numbers, default=1))]
        known = {str(index): index for index in range(len(classes))}
        remedy = f"Write one from 0 to {len(classes) - 1}, or set source.classes to all classes, or label_by to 'name'."
    else:
        listed = ", or add it to source.classes" if classes else ""
        classes = imported.class_names(str(table.path), used, classes, problems)
        known = {name: index for index, name in enumerate(classes)}
        remedy = f"Write one of {', '.join(classes)}{listed}." if classes else "Write the name of a class."
    label = imported.lookup(table, "columns.label", known, "label", remedy, problems)
    annotator = weight = time = groups = None
    if (role := "columns.annotator") in table.columns:
        imported.one_vote_each(table, role, item, names, problems)
        annotator = imported.annotators(table.columns[role])
    if (role := "columns.group") in table.columns:
        groups = imported.one_group_each(table, role, item, names, problems)
    if (role := "columns.weight") in table.columns:
        weight = imported.numbers(
            table, role, source["columns"]["weight"],
            lambda values: (values >= LIGHTEST) & (values <= HEAVIEST), "a positive number", problems,
        )  # fmt: skip
    if (role := "columns.time") in table.columns:
        empty = np.array([text == "" for text in table.columns[role].texts], bool)
        time = imported.numbers(
            table, role, source["columns"]["time"],
            lambda values: np.isfinite(values) | empty, "a number, or nothing", problems,
        )  # fmt: skip
    return Votes(item, label, annotator, weight, time), classes, groups


def wide(
    table: Cells, source: Options, classes: list[str], images: Images, problems: Problems
) -> tuple[Votes, list[str], list[str | None] | None]:
    """Votes, classes and groups of a table with one image a row and a column of counts a class."""
    counts = matrix(table, classes, problems)
    rows = rows_of_images(table, "columns.item", images, problems, source["item_by"])
    problems.stop()
    group = table.columns.get("columns.group")
    return Votes.of_counts(counts[rows]), classes, group and [group.each(row) or None for row in rows]


def comparison(path: Path, counts: np.ndarray) -> str:
    """One sentence on how the counts int ``[N, C]`` differ from published ones."""
    published = read_array(path, "iu", "integer counts")
    if published.shape != counts.shape:
        return f"The counts are {list(counts.shape)}, those in {path.name} {list(published.shape)}: not compared."
    differ = (published != counts).any(axis=1).sum()
    return (
        f"Compared with {path.name}: {counts.sum()} votes here, {published.sum()} there; {differ} of {len(counts)} "
        f"items have other counts."
    )
