"""``labels/…/all.parquet``: item int32, p float32 ``[C]``, hard int16, votes int32 (null: exact), weight float32.

An item without a row is not trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .. import io
from ..errors import UserError
from .rows import require_unique, rows_of

COLUMNS = ("item", "p", "hard", "votes", "weight")


@dataclass(frozen=True)
class Labels:
    """What a network is trained on.

    Attributes:
        path: the file.
        item: int ``[K]``.
        p: float32 ``[K, C]``.
        hard: int ``[K]``, the hard class.
        weight: float32 ``[K]``, weight in the loss.
        classes: names of the C classes.
    """

    path: Path
    item: np.ndarray
    p: np.ndarray
    hard: np.ndarray
    weight: np.ndarray
    classes: list[str]

    def of(self, items: np.ndarray) -> np.ndarray:
        """The labels of some items, float64 ``[len(items), C]``."""
        return self.p[rows_of(self.path, self.item, items)].astype(np.float64)


def write(
    path: Path,
    item: np.ndarray,
    p: np.ndarray,
    hard: np.ndarray,
    votes: np.ndarray | None,
    weight: np.ndarray,
    classes: list[str],
    facts: Mapping[str, Any],
) -> None:
    """Write the labels of K items.

    Args:
        path: the file.
        item: int ``[K]``, ascending.
        p: float ``[K, C]``; rows sum to 1.
        hard: int ``[K]``, the hard class.
        votes: int ``[K]``, how many votes a label is made of, or None.
        weight: float ``[K]``, weight in the loss.
        classes: names of the C classes.
        facts: JSON values on how they were made, kept in the metadata.
    """
    table = pa.table(
        {
            "item": pa.array(item, pa.int32()),
            "p": io.distribution_column(p, pa.float32()),
            "hard": pa.array(hard, pa.int16()),
            "votes": pa.nulls(len(p), pa.int32()) if votes is None else pa.array(votes, pa.int32()),
            "weight": pa.array(weight, pa.float32()),
        }
    )
    io.write_table(path, table, {"classes": classes, **facts})


def read(path: Path) -> Labels:
    """Read labels.

    Raises:
        UserError: an item that is there twice, or a label that is no distribution.
    """
    table, metadata = io.read_table(path, ["item", "p", "hard", "weight"])
    item, p = io.vector(table, "item"), io.matrix(table, "p")
    require_unique(path, item)
    bad = ~(np.abs(p.sum(axis=1) - 1) < 1e-4)  # negated, so that NaN is bad
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"{path}: item {item[row]} has the label {p[row].tolist()}, expected a distribution that sums to 1."
        )
    return Labels(path, item, p, io.vector(table, "hard"), io.vector(table, "weight"), metadata["classes"])
