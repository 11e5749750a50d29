"""Images with a table of votes, in one of the layouts of ``layouts.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Problems, UserError
from . import imported, lists, onehot, per_item, raters
from .cells import PLACE, Cells, Column, names_of
from .contract import Content, Options
from .counts import read_array
from .images import Images, relative_names
from .layouts import LAYOUTS, Layout, recognise_long, recognise_wide
from .where import chosen

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look


ENTRY = {
    "about": "Images and a table of votes - one a row, counts a class, a column a rater, or lists (`layout`).",
    "options": {
        "images": {
            "type": "string", "description": "Folder of the images (required).", "input": "folder", "required": True},
        "votes": {
            "type": "string", "description": "CSV or Parquet file (required); of raters also a matrix, `.npy`; of "
            "lists also `.jsonl` or `.json`.", "input": "votes", "required": True},
        "layout": {"enum": ["long", "wide", "raters", "onehot", "lists"], "default": "long",
            "description": "One vote a row (`onehot` - with 0 or 1 in a column a class), or one image a row and counts "
            "a class (`wide`), the answer of each rater in a column (`raters`), or lists of votes (`lists`)."},
        "raters": {"anyOf": [{"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1,
            "uniqueItems": True}, {"type": "null"}], "default": None, "neutral": None,
            "description": "For `layout: raters`, their columns; null takes all that have no other role."},
        "header": {"anyOf": [{"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1,
            "uniqueItems": True}, {"enum": ["none"]}, {"type": "null"}], "default": None, "neutral": None,
            "description": "Names of the columns of a text file whose first line has none; `none` calls them by their "
            "place, from 0."},
        "order_file": {"type": ["string", "null"], "default": None, "neutral": None, "input": "order_file",
            "description": "For `columns: {item: null}`, a text file with the image of each row, one a line; null - "
            "the images in the order of their names."},
        "columns": {
            "type": "object", "additionalProperties": False, "default": {}, "description": "Names of the columns.",
            "properties": {
                "item": {"type": ["string", "null"], "default": "item",
                    "description": "Column with the image; null - there is none, see `order_file` (a `.npy` file has "
                    "none)."},
                "annotator": {"type": ["string", "null"], "default": "annotator",
                    "description": "Column with who voted; null for anonymous votes."},
                "label": {"type": "string", "default": "label", "description": "Column with the chosen class."},
                "group": {"type": ["string", "null"], "default": None,
                    "description": "Column with the group of the image."},
                "weight": {"type": ["string", "null"], "default": None,
                    "description": "Column with the vote's weight in labels (not in the reference)."},
                "time": {"type": ["string", "null"], "default": None,
                    "description": "Column with the vote's time, a number; kept with the votes."},
                "split": {"type": ["string", "null"], "default": None, "neutral": None,
                    "description": "Column with the published part of the image, for `splits: {kind: column}`."},
                "truth": {"type": ["string", "null"], "default": None, "neutral": None,
                    "description": "Column with the true class of the image from elsewhere (biopsy, adjudication, "
                    "follow-up), or nothing; networks and votes are scored against it, none is trained on it."},
                "about_item": {"type": ["string", "null"], "default": None, "neutral": None,
                    "description": "Column of `about_items` with the image; null: named as `item`."}}},
        "about_items": {
            "type": ["string", "null"], "default": None, "neutral": None, "input": "about_items",
            "description": "CSV or Parquet file with a row an image, which has the columns `group`, `split` and "
            "`truth`; null: they stand in `votes`."},
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
    "shared": ["separator", "classes", "unvoted", "minimum_votes", "missing", "repeats", "pseudonymise",
        "pixels", "resize", "deep", "follow_links"],
    "gives": ["votes"],
}  # fmt: skip

FORM = (
    "a column with the image (its file's name), and one with the class of a vote, one a class with numbers of votes or "
    "0 and 1, one a rater, or lists of votes"
)
TRUE, FALSE = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of an image folder with a table of ``votes``, and perhaps counts to ``compare`` them with."""
    images = relative_names(files["images"], files["folder"], source["follow_links"])
    layout = LAYOUTS[source["layout"]]
    check_layout(source, files, problems)
    if files["votes"].suffix.lower() == ".npy":
        source = {**source, "columns": {**source["columns"], "item": None}}
    table, classes = open_table(files["votes"], per_item.of_votes(source, "about_items" in files), layout, problems)
    remarks: list[str] = []
    if source["columns"]["item"] is None:
        source = {**source, "item_by": "name" if "order_file" in files else "index"}
        table.columns["item"] = in_order(table, files.get("order_file"), images, remarks)
    table = chosen(table, source["where"], remarks, problems)
    table = attentive(table, source["attention"], remarks, problems)
    per_item.refuse_cases(table, source, images)
    votes, classes, groups = layout.found(table, source, classes, images, problems, remarks)
    problems.stop()
    about = per_item.read(table, files.get("about_items"), source, classes, images, problems)
    if "compare" in files:
        remarks.append(comparison(files["compare"], votes.counts(len(images), len(classes))))
    return imported.content(
        source, images, classes, problems, votes=votes, groups=about.groups or groups, columns=about.columns,
        remarks=remarks,
    )  # fmt: skip


def check_layout(source: Options, files: Mapping[str, Any], problems: Problems) -> None:
    """Note options that the layout would ignore."""
    layout, columns = source["layout"], source["columns"]
    if source["raters"] and layout != "raters":
        problems.add("source.raters: names columns of raters. Set source.layout to 'raters', or source.raters to null.")
    if "order_file" in files and columns["item"] is not None and files["votes"].suffix.lower() != ".npy":
        problems.add(
            "source.order_file: names the images of the rows, as source.columns.item does. Set one of them to null."
        )
    unused = {"raters": ("label", "weight", "time"), "onehot": ("label",)}.get(layout, ())
    for role in unused:
        if columns[role] not in (None, role):
            problems.add(
                f"source.columns.{role}: found '{columns[role]}', but source.layout is '{layout}', which has no such "
                f"column. Remove the key, or correct the layout."
            )
    problems.stop()


def open_table(path: Path, source: Options, layout: Layout, problems: Problems) -> tuple[Cells, list[str] | None]:
    """The columns that the configuration names, by role, and the classes where the layout's header has them."""
    attention = source["attention"]
    if attention and (source["columns"]["annotator"] is None or not layout.annotators):
        raise UserError(
            "source.attention: found no annotators to check, expected a table of votes with a column of them. Set "
            "source.layout to 'long' and source.columns.annotator to that column, or source.attention to null."
        )
    format_of = (source["separator"], source["header"])
    roles, classes = layout.roles(source, layout.header(path, *format_of))
    keys = {f"columns.{role}" if role in source["columns"] else role: name for role, name in roles.items()}
    keys |= {f"where.{name}": name for name in source["where"]}
    if attention:
        keys |= {f"attention.{role}": attention[role] for role in ("check", "correct")}
    table = layout.read(path, keys, problems, *format_of)
    columns = {key.removeprefix("columns."): column for key, column in table.columns.items()}
    return replace(table, columns=columns), classes


def in_order(table: Cells, order: Path | None, images: Images, remarks: list[str]) -> Column:
    """The image of each row: by the lines of the file ``order``, or (None) the row's place in the order of the names.

    Another number of rows than of lines, or images, is a UserError.
    """
    if order:
        names, what = names_of(order), f"lines of {order}"
        told = f"Row i is about the image in line i of {order.name}."
    else:
        names, what = [str(place) for place in range(len(images))], f"images in {images.folder}"
        told = f"Row i is about the i-th image in name order: the first is '{next(iter(images))}'."
    row = table.columns.pop(PLACE, None)  # where several rows of the table stand for one of the file, or none
    n = len(table) if row is None else len(row.texts)
    if len(names) != n:
        swapped = sum(role.startswith("raters.") for role in table.columns) == len(names)
        raise UserError(
            f"{table.path}: found {n} rows without names (rows of empty cells are not counted), expected "
            f"{len(names)}, the {what}. {'Swap rows and columns, a' if swapped else 'A'}dd or remove rows, name the "
            f"images in a column (source.columns.item), or list them in source.order_file."
        )
    remarks.append(told)
    return Column.of(names if row is None else [names[place] for place in row.code])


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
    annotator = table.columns["annotator"]
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


def recognise(look: Look) -> list[Guess]:
    """What the layouts take a table for."""
    tests = (lists.recognise, onehot.recognise, raters.recognise, recognise_wide, recognise_long)
    return [guess for test in tests if (guess := test(look))]
