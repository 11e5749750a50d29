"""``splits/…/seed{seed}.parquet``: item int32, split (train, val or test), fold int8 (null where parts are drawn)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .. import io
from ..errors import UserError
from .rows import require_unique

PARTS = ("train", "val", "test")
COLUMNS = ("item", "split", "fold")


@dataclass(frozen=True)
class Split:
    """The part of each item: ``item`` int ``[N]``, ascending, and ``part`` ``[N]``, of PARTS."""

    item: np.ndarray
    part: np.ndarray

    def items(self, part: str) -> np.ndarray:
        """The items of a part, ascending."""
        return self.item[self.part == part]


def write(path: Path, part: np.ndarray, fold: np.ndarray | None, facts: Mapping[str, Any]) -> None:
    """Write the split of N items.

    Args:
        path: the file.
        part: int ``[N]``, index into PARTS.
        fold: int8 ``[N]``, of a rotation over given folds; None where the parts are drawn.
        facts: JSON values, kept in the metadata beside the number of items of each part.
    """
    table = pa.table(
        {
            "item": pa.array(np.arange(len(part), dtype=np.int32)),
            "split": pa.array(np.array(PARTS, object)[part], pa.string()),
            "fold": pa.nulls(len(part), pa.int8()) if fold is None else pa.array(fold),
        }
    )
    counts = dict(zip(PARTS, np.bincount(part, minlength=len(PARTS)).tolist(), strict=True))
    io.write_table(path, table, {"counts": counts, **facts})


def read(path: Path) -> Split:
    """Read a split.

    Raises:
        UserError: an item that is there twice, or a part of another name.
    """
    table, _ = io.read_table(path, ["item", "split"])
    item, part = io.vector(table, "item"), io.vector(table, "split")
    require_unique(path, item)
    other = set(part.tolist()) - set(PARTS)
    if other:
        raise UserError(f"{path}: found the part {other.pop()!r}, expected {', '.join(PARTS)}. Rebuild the file.")
    order = np.argsort(item)
    return Split(item[order], part[order])
