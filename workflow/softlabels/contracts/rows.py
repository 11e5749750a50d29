"""Rows by item: what every reader checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import UserError


def require_unique(path: Path, item: np.ndarray) -> None:
    """Refuse an item that has two rows."""
    ascending = np.sort(item)
    repeated = ascending[1:][ascending[1:] == ascending[:-1]]
    if len(repeated):
        raise UserError(
            f"{path}: found several rows for item {repeated[0]}, expected one row an item. Rebuild the file."
        )


def rows_of(path: Path, item: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The row of each wanted item in a file whose rows are ``item``, int ``[len(wanted)]``.

    Raises:
        UserError: an item has two rows, or a wanted item has none.
    """
    require_unique(path, item)
    missing = np.setdiff1d(wanted, item)
    if len(missing):
        raise UserError(
            f"{path}: found no row for item {missing[0]} ({len(missing)} of {len(wanted)} items have none), expected "
            f"one for every item of the split. Rebuild the file with this data set and split."
        )
    order = np.argsort(item, kind="stable")
    return order[np.searchsorted(item[order], wanted)]


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
