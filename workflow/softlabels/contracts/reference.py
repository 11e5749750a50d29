"""``reference.parquet``: item int32, p float64 ``[C]``, votes int32 (null where p is exact)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from .. import io
from ..errors import UserError
from .rows import require_finite, rows_of

COLUMNS = ("item", "p", "votes")


@dataclass(frozen=True)
class Reference:
    """The distributions that predictions are scored against.

    Attributes:
        path: the file.
        item: int ``[N]``.
        p: float64 ``[N, C]``.
        votes: int64 ``[N]``, how many votes p is the mean of; None where p is exact.
        classes: names of the C classes, in index order.
    """

    path: Path
    item: np.ndarray
    p: np.ndarray
    votes: np.ndarray | None
    classes: list[str]

    def rows(self, wanted: np.ndarray) -> np.ndarray:
        """The row of each wanted item; see :func:`rows_of`."""
        return rows_of(self.path, self.item, wanted)

    @cached_property
    def counts(self) -> np.ndarray | None:
        """The votes that p is the mean of, int64 ``[N, C]``; None where it is exact.

        Raises:
            UserError: p is no counts divided by votes.
        """
        if self.votes is None:
            return None
        votes = self.p * self.votes[:, None]
        counts = np.rint(votes).astype(np.int64)
        bad = np.flatnonzero(np.abs(votes - counts).max(axis=1) > 1e-6)
        if len(bad):
            row = bad[0]
            raise UserError(
                f"{self.path}: found p {self.p[row].tolist()} with {self.votes[row]} votes for item {self.item[row]}, "
                f"expected p to be counts divided by votes. Correct the source of this data set."
            )
        return counts


def write(path: Path, p: np.ndarray, votes: np.ndarray | None, classes: list[str]) -> None:
    """Write what predictions are scored against.

    Args:
        path: the file.
        p: float64 ``[N, C]``; rows sum to 1.
        votes: int ``[N]``, how many votes p is the mean of; None where p is exact.
        classes: names of the C classes, in index order.
    """
    bad = ~np.isfinite(p).all(axis=1) | (p < 0).any(axis=1) | (np.abs(p.sum(axis=1) - 1) > 1e-9)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"Item {row}: found the distribution {p[row].tolist()}, expected {len(classes)} non-negative numbers that "
            f"sum to 1. Correct that row in the source."
        )
    n = len(p)
    table = pa.table(
        {
            "item": pa.array(np.arange(n, dtype=np.int32)),
            "p": io.distribution_column(p, pa.float64()),
            "votes": pa.array([None] * n if votes is None else votes, pa.int32()),
        }
    )
    kind = "exact" if votes is None else "votes"
    io.write_table(path, table, {"classes": classes, "reference": kind, "unit": "probability"})


def read(path: Path) -> Reference:
    """Read a reference; a distribution that is not finite is an error that names its item."""
    table, metadata = io.read_table(path, list(COLUMNS))
    item, p = io.vector(table, "item"), io.matrix(table, "p")
    require_finite(path, "p", item, p)
    votes = io.vector(table, "votes").astype(np.int64) if metadata["reference"] == "votes" else None
    return Reference(path, item, p, votes, metadata["classes"])
