"""Images with a table of votes: one row a vote, with the image, who voted (where known) and the label."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import UserError
from . import contract
from .counts import column_index, read_csv, write
from .images import relative_names, spellings


def read_votes(path: Path, columns: Mapping[str, str | None]) -> tuple[dict[str, list[str]], list[str]]:
    """The named columns as text ("" where a cell is empty), and the place of each row for messages.

    Raises:
        UserError: not a readable CSV or Parquet file with rows, or a column that is missing.
    """
    wanted = {role: name for role, name in columns.items() if name is not None}
    kind = path.suffix.lower()
    if kind == ".csv":
        header, rows, lines = read_csv(path)
        at = {role: column_index(path, header, name, f"source.columns.{role}") for role, name in wanted.items()}
        return {role: [row[index] for row in rows] for role, index in at.items()}, [f"line {line}" for line in lines]
    if kind != ".parquet":
        raise UserError(f"{path}: found a file of type '{path.suffix}', expected .csv or .parquet.")
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({error}). Save the votes again.") from None
    if table.num_rows == 0:
        raise UserError(f"{path}: found no rows, expected one for each vote.")
    votes = {}
    for role, name in wanted.items():
        column_index(path, table.column_names, name, f"source.columns.{role}")
        votes[role] = ["" if value is None else str(value) for value in table.column(name).to_pylist()]
    return votes, [f"row {row}" for row in range(1, table.num_rows + 1)]


def class_names(path: Path, labels: list[str], classes: list[str] | None) -> list[str]:
    """The classes given, or the distinct labels sorted as text.

    Raises:
        UserError: fewer than two, or labels that differ only in case or in blanks around them.
    """
    names = classes or sorted(set(labels))
    alike: dict[str, str] = {}
    for name in () if classes else names:
        other = alike.setdefault(name.strip().casefold(), name)
        if other != name:
            raise UserError(
                f"{path}: found the labels '{other}' and '{name}'. Write them alike, or, if both are classes, list "
                f"them in source.classes."
            )
    if len(names) < 2:
        raise UserError(f"{path}: found {len(names)} class ({', '.join(names)}), expected two or more.")
    return names


def pseudonyms(annotators: list[str]) -> dict[str, str]:
    """A number for each annotator, in the order of the SHA-256 of their names.

    A pseudonym, not anonymity: who can guess the names can repeat the numbering.
    """
    names = sorted(set(annotators) - {""}, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    width = max(4, len(str(len(names))))
    return {name: f"annotator-{number:0{width}}" for number, name in enumerate(names, start=1)}


def indices(
    path: Path, places: list[str], cells: list[str], known: Mapping[str, int], what: str, todo: str
) -> np.ndarray:
    """The index of each cell's text, int ``[V]``.

    Raises:
        UserError: an empty cell, or a text that is not known; the message ends with ``todo``.
    """
    for place, text in zip(places, cells, strict=True):
        if text not in known:
            found = f"found no {what} '{text}'" if text else f"the {what} is empty"
            raise UserError(f"{path}: {place}: {found}. {todo}")
    return np.array([known[text] for text in cells], np.int64)


def check_one_vote_each(
    path: Path, places: list[str], names: list[str], item: np.ndarray, annotators: list[str]
) -> None:
    """Refuse two votes of one known annotator on one item."""
    first: dict[tuple[int, str], int] = {}
    for row, key in enumerate(zip(item.tolist(), annotators, strict=True)):
        if key[1] and first.setdefault(key, row) != row:
            raise UserError(
                f"{path}: {places[first[key]]} and {places[row]} are both votes of '{key[1]}' on the image "
                f"'{names[key[0]]}'. Keep one."
            )


def item_groups(
    path: Path, places: list[str], names: list[str], item: np.ndarray, cells: list[str]
) -> list[str | None]:
    """The group of each item (None where its cells are empty).

    Raises:
        UserError: an item with two groups.
    """
    first: dict[int, int] = {}
    for row, index in enumerate(item.tolist()):
        before = first.setdefault(index, row)
        if cells[before] != cells[row]:
            raise UserError(
                f"{path}: {places[before]} and {places[row]} put the image '{names[index]}' in the groups "
                f"'{cells[before]}' and '{cells[row]}'. Give it one group."
            )
    return [cells[first[index]] or None for index in range(len(names))]


def create(config: dict[str, Any], inputs: dict[str, Any], outputs: dict[str, Path]) -> None:
    """Write the data set contract of an image folder with a table of votes.

    Args:
        config: ``source`` with ``columns`` (``item``, ``label``, and ``annotator`` and ``group`` or null), ``classes``,
            ``pixels``, ``resize``, ``pseudonymise``. An item is named by its path below the folder, or by its file name
            or stem where only one image has it.
        inputs: ``images`` (list of files below ``folder``), ``folder``, ``votes`` (``.csv`` or ``.parquet``).
        outputs: ``images``, ``items``, ``annotations``, ``reference``.

    Raises:
        UserError: a vote that names no image or no class, an image without votes, one person's second vote on an image.
    """
    source, path, folder = config["source"], inputs["votes"], inputs["folder"]
    named = relative_names(inputs["images"], folder)
    names = list(named)
    votes, places = read_votes(path, source["columns"])
    todo = f"Write a path below {folder} (or a file name that occurs once there), add the image, or remove the vote."
    item = indices(path, places, votes["item"], spellings(names), "image", todo)
    classes = class_names(path, [label for label in votes["label"] if label], source["classes"])
    number = {name: index for index, name in enumerate(classes)}
    label = indices(path, places, votes["label"], number, "label", f"Write one of {', '.join(classes)}.")
    counts = np.bincount(item * len(classes) + label, minlength=len(names) * len(classes)).reshape(len(names), -1)
    missing = np.flatnonzero(counts.sum(axis=1) == 0)
    if len(missing):
        raise UserError(
            f"{path}: {len(missing)} of {len(names)} images have no vote, the first is '{names[missing[0]]}'. Remove "
            f"these images, or add votes."
        )
    annotators = votes.get("annotator")
    if annotators is not None:
        check_one_vote_each(path, places, names, item, annotators)
        aliases = pseudonyms(annotators) if source["pseudonymise"] else {}
        annotators = [aliases.get(name, name) or None for name in annotators]
    groups = item_groups(path, places, names, item, votes["group"]) if "group" in votes else None
    write(outputs, source, named, counts, classes, groups)
    contract.write_annotations(outputs["annotations"], item, annotators, label, classes)
