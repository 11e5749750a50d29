"""What evaluation reads, checked once, and how its numbers are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import io
from ..errors import UserError


class Reference(NamedTuple):
    """The distributions that predictions are scored against."""

    item: np.ndarray  # int [N]
    p: np.ndarray  # float64 [N, C]
    votes: np.ndarray | None  # int [N]: p is the mean of so many votes; None where p is exact
    classes: list[str]  # C names, in index order


def read_reference(path: Path) -> Reference:
    """Read ``reference.parquet``; a distribution that is not finite is an error that names its item."""
    table, metadata = io.read_table(path, ["item", "p", "votes"])
    item, p = io.vector(table, "item"), io.matrix(table, "p")
    require_finite(path, "p", item, p)
    votes = io.vector(table, "votes").astype(np.int64) if metadata["reference"] == "votes" else None
    return Reference(item, p, votes, metadata["classes"])


def split_items(path: Path, name: str) -> np.ndarray:
    """The items of one split (train, val or test), ascending."""
    table, _ = io.read_table(path, ["item", "split"])
    items = io.vector(table, "item")
    return np.sort(items[io.vector(table, "split") == name])


def rows_of(path: Path, item: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The row of each wanted item in a file whose rows are ``item``, int ``[len(wanted)]``.

    Raises:
        UserError: an item has two rows, or a wanted item has none.
    """
    order = np.argsort(item, kind="stable")
    ascending = item[order]
    repeated = ascending[1:][ascending[1:] == ascending[:-1]]
    if len(repeated):
        raise UserError(
            f"{path}: found several rows for item {repeated[0]}, expected one row an item. Rebuild the file."
        )
    missing = np.setdiff1d(wanted, item)
    if len(missing):
        raise UserError(
            f"{path}: found no row for item {missing[0]} ({len(missing)} of {len(wanted)} items have none), expected "
            f"one for every item of the split. Rebuild the file with this data set and split."
        )
    return order[np.searchsorted(ascending, wanted)]


def read_features(path: Path, test: np.ndarray) -> np.ndarray:
    """The features of the test items as float64 ``[n_test, F]``; row k belongs to the k-th test item."""
    features = np.load(path, allow_pickle=False)
    if features.ndim != 2 or len(features) != len(test):
        raise UserError(
            f"{path}: found an array {list(features.shape)}, expected [{len(test)}, F]: one row for each test item "
            f"of the split. Train the run again with this split."
        )
    require_finite(path, "features", test, features)
    return features.astype(np.float64)


def require_finite(path: Path, what: str, item: np.ndarray, values: np.ndarray) -> None:
    """Refuse NaN and infinity in ``values`` ``[N, K]``, naming the first item that has one."""
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        row = bad[0]
        value = values[row][~np.isfinite(values[row])][0]
        raise UserError(
            f"{path}: found {what} with the value {value} for item {item[row]} ({len(bad)} such items), expected "
            f"finite numbers. If a training diverged, lower its learning rate."
        )


def require_every_class(path: Path, p: np.ndarray, classes: Sequence[str], allow_missing_class: bool) -> None:
    """Refuse test items among which a class is nobody's truth, unless that is allowed."""
    absent = np.flatnonzero(np.bincount(p.argmax(axis=1), minlength=len(classes)) == 0)
    if len(absent) and not allow_missing_class:
        names = ", ".join(classes[c] for c in absent)
        raise UserError(
            f"{path}: no test item has the truth {names}, expected at least one for each class: macro accuracy would "
            f"average over fewer classes. Use another split, or set allow_missing_class: true."
        )


def json_number(value: float) -> float | str | None:
    """A number for JSON: infinities as the strings "inf" and "-inf", NaN (not defined) as null."""
    value = float(value)
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)
