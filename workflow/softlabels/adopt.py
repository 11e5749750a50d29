"""Read the predictions of a network that was trained elsewhere, by any program, so that they are scored like ours."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import contracts, io
from .datasets.cells import names_of
from .datasets.counts import read_array
from .datasets.given import NAMED, Given, read
from .datasets.names import Nearest, match
from .errors import UserError

TOLERANCE = 0.01  # how far from 1 the sum of probabilities may be: many classes in half precision
ARRAY = ".npy"


class Adopted(NamedTuple):
    """What of a file becomes the predictions of a run.

    Attributes:
        item: int ``[n]``, ascending: the test items, those of validation if all are there, and those that the split
            keeps for calibration.
        part: of each.
        logits: float64 ``[n, C]``.
        classes: names, in index order.
        facts: ``values`` (logits or probabilities), whether that was ``detected``, how many ``test`` and ``validation``
            items there are, how many ``other`` rows are not used, how many probabilities were ``zeros``; ``read``, all
            this in words.
    """

    item: np.ndarray
    part: np.ndarray
    logits: np.ndarray
    classes: list[str]
    facts: dict[str, Any]


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path]) -> dict[str, Any]:
    """Write the predictions of a run as a training leaves them, as far as they were made; returns facts.

    See :func:`adopted` for ``config`` and ``inputs``; ``outputs``: ``predictions``.
    """
    found = adopted(config, inputs)
    contracts.write_predictions(outputs["predictions"], found.item, found.part, found.logits, found.classes)
    print(f"{inputs['given']}: {found.facts['read']}.", file=sys.stderr)
    return found.facts


def adopted(config: dict[str, Any], inputs: dict[str, Path], calibrates: bool = False) -> Adopted:
    """What a file says of the test items of a split, and of its validation items.

    Args:
        config: ``recipe``, with ``values``, ``item_column``, ``separator`` and ``zero``.
        inputs: ``given`` (CSV, Parquet or ``.npy``), ``names`` (a text file with the names of an array's rows, if there
            is one), ``items``, ``reference`` and ``split`` of the data set.
        calibrates: whether a metric needs the items that the split keeps for calibration, which then must be there.

    Raises:
        UserError: a file of another kind, a column that is missing or that nothing explains, an item that is missing,
            there twice or not of the data set, a number that is none, or numbers that are neither clearly logits nor
            probabilities.
    """
    recipe, path = config["recipe"], inputs["given"]
    for file in filter(None, (path, inputs.get("names"))):
        if not file.is_file():
            raise UserError(f"{file}: is no file. Correct the path, or data_folder.")
    classes = contracts.read_reference(inputs["reference"]).classes
    split = contracts.read_split(inputs["split"])
    table, _ = io.read_table(inputs["items"], ["item", "name"])
    names = table.column("name").to_pylist()
    given = _read(path, inputs.get("names"), names, classes, recipe)
    at, rule = _rows(path, given, names)
    item = io.vector(table, "item")[at]
    values = _finite(path, given)
    kind = recipe["values"] or _kind(path, values)
    logits, zeros = (values, 0) if kind == "logits" else _logarithms(path, given, recipe["zero"])
    row = {number: k for k, number in enumerate(item.tolist())}
    test, val, kept = (split.items(part) for part in ("test", "val", contracts.HELD_OUT))
    _require(path, "test items of the split", test, row, names)
    if calibrates:
        _require(path, "items that the split keeps for calibration, which a metric needs", kept, row, names)
    there = [number for number in val.tolist() if number in row]
    val = val if len(there) == len(val) else val[:0]
    kept = kept[[number in row for number in kept.tolist()]] if len(kept) else kept
    chosen = np.sort(np.concatenate([test, val, kept]))
    part = np.select([np.isin(chosen, test), np.isin(chosen, val)], ["test", "val"], contracts.HELD_OUT)
    facts = {"values": kind, "detected": recipe["values"] is None, "test": len(test), "validation": len(val),
             "other": len(item) - len(chosen), "zeros": zeros}  # fmt: skip
    facts |= {"calibration": len(kept)} if len(split.items(contracts.HELD_OUT)) else {}
    facts["read"] = ", ".join(filter(None, (_told(facts, len(there), len(split.items("val"))), rule)))
    return Adopted(chosen, part, logits[[row[number] for number in chosen.tolist()]], classes, facts)


def _told(facts: Mapping[str, Any], there: int, due: int) -> str:
    """What is read, in words; ``there`` of ``due`` validation items are in the file."""
    parts = [f"{facts['values']}{' (detected)' if facts['detected'] else ''} of {facts['test']} test"]
    parts[0] += f" and {facts['validation']} validation items" if facts["validation"] else " items"
    if not facts["validation"]:
        parts.append(
            f"not scaled, as {there or 'none'} of the {due} validation items {'is' if there < 2 else 'are'} there"
        )
    parts += [f"{facts['calibration']} items for calibration"] if "calibration" in facts else []
    parts += [f"{facts['other']} other rows not used"] * bool(facts["other"])
    parts += [f"{facts['zeros']} probabilities of 0 replaced"] * bool(facts["zeros"])
    return ", ".join(parts)


# -- reading -----------------------------------------------------------------------------------------------------------


def _read(
    path: Path, names_file: Path | None, items: Sequence[str], classes: list[str], recipe: Mapping[str, Any]
) -> Given:
    """Names and numbers of a file; ``items`` are the names of the data set, in its order."""
    if path.suffix.lower() == ARRAY:
        return _array(path, names_file, items, len(classes))
    if names_file:
        raise UserError(f"{names_file}: names the rows of an array, and {path} is none. Remove 'names'.")
    return read(path, classes, recipe["item_column"], recipe["separator"])


def _array(path: Path, names_file: Path | None, items: Sequence[str], n_classes: int) -> Given:
    values = read_array(path, "fiu", "logits or probabilities")
    names, of = items, "items in the data set: add a file of 'names' if it has others"
    if names_file:
        names, of = names_of(names_file), f"lines in {names_file}"
    if values.shape[1] != n_classes:
        raise UserError(
            f"{path}: found an array {list(values.shape)} of {values.dtype}, expected numbers [N, {n_classes}], a "
            f"column for each class in the order of the data set. Save it in that form."
        )
    if len(values) != len(names):
        raise UserError(f"{path}: found {len(values)} rows, expected {len(names)}, as there are {of}.")
    return Given(names, values.astype(np.float64), ("row", range(len(names))))


# -- which item, which numbers -----------------------------------------------------------------------------------------


def _rows(path: Path, given: Given, names: list[str]) -> tuple[np.ndarray, str]:
    """The row in the data set of each item in a file, int ``[R]``, and by which rule, if it needs one; or one error.

    Names are matched as those of votes are (see :mod:`.datasets.names`).
    """
    found, (unit, numbers) = match(dict.fromkeys(given.names), names), given.places
    strange = [*found.missing, *(name for name in dict.fromkeys(given.names) if not name.strip())]
    if strange:
        near = Nearest(names).to(strange[0]) or names[:1]
        raise UserError(
            f"{path}: found {len(strange)} of {len({*given.names})} names of no item of the data set "
            f"({', '.join(map(repr, strange[:NAMED]))}; an item is called {near[0]!r}). Name the items like the data "
            f"set, or remove those rows."
        )
    if found.several:
        name, fitting = next(iter(found.several.items()))
        raise UserError(
            f"{path}: found {len(found.several)} names that several items fit ({name!r}: "
            f"{', '.join(repr(names[k]) for k in fitting[:NAMED])}). Write the whole name."
        )
    at = {**found.image, **{name: row for row, several in found.shared.items() for name in several}}
    first: dict[int, int] = {}
    again = [(k, row) for k, row in enumerate(map(at.get, given.names)) if first.setdefault(row, k) != k]
    if again:
        k, row = again[0]
        raise UserError(
            f"{path}: found {len(again)} rows for items that have one already ({names[row]!r} in {unit} "
            f"{numbers[first[row]]} and {numbers[k]}), expected each item once. Remove one of them."
        )
    rule = f"{found.ruled} names matched {found.rule} (such as {found.example!r})" if found.ruled else ""
    return np.array([at[name] for name in given.names], int), rule


def _require(path: Path, what: str, due: np.ndarray, row: Mapping[int, int], names: list[str]) -> None:
    """Refuse a file without some of the items that are due; ``what`` they are is for the message."""
    missing = [names[item] for item in due.tolist() if item not in row]
    if missing:
        raise UserError(
            f"{path}: found no row for {len(missing)} of {len(due)} {what} "
            f"({', '.join(map(repr, missing[:NAMED]))}), expected one for each. Add them, or name the file that was "
            f"made for this split and seed."
        )


def _finite(path: Path, given: Given) -> np.ndarray:
    """The numbers of a file; one that float32 cannot hold is an error, with a count."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(given.values.astype(np.float32))
    bad = np.flatnonzero(~finite.all(axis=1))
    if len(bad):
        k, (unit, numbers) = bad[0], given.places
        raise UserError(
            f"{path}: {unit} {numbers[k]} ({given.names[k]!r}): found {given.found(k, finite[k].argmin())}, expected "
            f"finite numbers ({len(bad)} such rows). Correct them, or predict these items again."
        )
    return given.values


def _kind(path: Path, values: np.ndarray) -> str:
    """Whether numbers are logits or probabilities; anything doubtful is an error."""
    positive, total = (values >= 0).all(axis=1), values.sum(axis=1)
    such = positive & (np.abs(total - 1) <= TOLERANCE)
    if such.all():
        return "probabilities"
    if not positive.all() and such.mean() <= 0.5:
        return "logits"
    raise UserError(
        f"{path}: found {such.sum()} of {len(values)} rows that are probabilities (no number negative, a sum of 1), "
        f"{(~positive).sum()} rows with negative numbers, and sums from {total.min():g} to {total.max():g}, so that it "
        f"is not clear what the numbers are. Set values: logits or values: probabilities in the recipe."
    )


def _logarithms(path: Path, given: Given, zero: float | None) -> tuple[np.ndarray, int]:
    """Logits of probabilities, float64 ``[R, C]``, and how many were 0; what is no distribution is an error."""
    values, (unit, numbers) = given.values, given.places
    bad = np.flatnonzero((values < 0).any(axis=1) | ~(np.abs(values.sum(axis=1) - 1) <= TOLERANCE))
    if len(bad):
        k = bad[0]
        raise UserError(
            f"{path}: {unit} {numbers[k]} ({given.names[k]!r}): found a sum of {values[k].sum():g} and a least "
            f"number of {values[k].min():g}, expected probabilities that sum to 1 ({len(bad)} such rows). Correct "
            f"them, or set values: logits in the recipe."
        )
    empty = values == 0
    if empty.any() and zero is None:
        k = int(np.flatnonzero(empty.any(axis=1))[0])
        raise UserError(
            f"{path}: {unit} {numbers[k]} ({given.names[k]!r}): found a probability of 0 "
            f"({empty.any(axis=1).sum()} such rows), expected more: a class that people see there would make the "
            f"divergence of all items infinite. Give logits, or more digits, or say in the recipe what 0 "
            f"counts as, such as zero: 1e-6."
        )
    return np.log(np.where(empty, zero or 1, values)), int(empty.sum())
