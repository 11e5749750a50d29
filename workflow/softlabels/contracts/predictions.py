"""``predictions.parquet`` of a run: item int32, split (its part), logits float32 ``[C]``, of all items."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from .. import io
from ..errors import UserError
from .rows import require_finite, rows_of

COLUMNS = ("item", "split", "logits")


@dataclass(frozen=True)
class Predictions:
    """What a network says of N items: ``item`` int ``[N]``, ``split`` ``[N]``, ``logits`` float32 ``[N, C]``."""

    path: Path
    item: np.ndarray
    split: np.ndarray
    logits: np.ndarray

    def items(self, part: str) -> np.ndarray:
        """The items of a part, ascending."""
        return np.sort(self.item[self.split == part])

    def of(self, part: str, items: np.ndarray, n_classes: int) -> np.ndarray:
        """The logits of items of a part, float64 ``[len(items), C]``.

        Raises:
            UserError: an item without a row or with several, one in another part, or another number of classes.
        """
        rows = rows_of(self.path, self.item, items)
        other = items[self.split[rows] != part]
        if len(other):
            raise UserError(
                f"{self.path}: found item {other[0]} outside of the split {part}, expected all of its items in it: "
                f"these predictions belong to another split. Train the run again with this split."
            )
        if self.logits.shape[1] != n_classes:
            raise UserError(
                f"{self.path}: found {self.logits.shape[1]} logits an item, expected {n_classes}, one for each class "
                f"of the reference. Train the run again on this data set."
            )
        return self.logits[rows].astype(np.float64)


def write(path: Path, item: np.ndarray, split: np.ndarray, logits: np.ndarray, classes: list[str]) -> None:
    """Write logits ``[N, C]`` of items int ``[N]``, each with its part."""
    table = pa.table(
        {
            "item": pa.array(item, pa.int32()),
            "split": pa.array(split.tolist(), pa.string()),
            "logits": io.distribution_column(logits, pa.float32()),
        }
    )
    io.write_table(path, table, {"classes": classes})


def read(path: Path) -> Predictions:
    """Read predictions; a logit that is not finite is an error that names its item."""
    table, _ = io.read_table(path, list(COLUMNS))
    item, logits = io.vector(table, "item"), io.matrix(table, "logits")
    require_finite(path, "logits", item, logits)
    return Predictions(path, item, io.vector(table, "split"), logits)
