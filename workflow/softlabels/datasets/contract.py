"""The data set contract: the four files that every source writes, and the only ones that later steps read.

``images.npy``           uint8 [N, H, W, 3], C order; row i is item i
``items.parquet``        item int32, name, group (null: none), and what the source knows
``annotations.parquet``  one row a vote: item int32, annotator (null: unknown), label int16; no rows where the source
                         has no votes
``reference.parquet``    item int32, p float64 [C], votes int32 (null where p is exact)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .. import io
from ..errors import UserError


@contextmanager
def new_images(path: Path, shape: tuple[int, int, int, int]) -> Iterator[np.ndarray]:
    """Yield a memory map uint8 ``[N, H, W, 3]`` to fill; the file appears when the block ends without an error."""
    with io.atomic(path) as part:
        images = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
        yield images
        images.flush()
        del images


def read_images(path: str | Path) -> np.ndarray:
    """The images as a read-only memory map uint8 ``[N, H, W, 3]``."""
    images = np.load(path, mmap_mode="r", allow_pickle=False)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise UserError(f"{path}: found {images.dtype} {images.shape}, expected uint8 [N, H, W, 3].")
    return images


def write_items(
    path: Path, names: list[str], groups: list[str | None] | None = None, columns: Mapping[str, Any] | None = None
) -> None:
    """Write ``items.parquet``; ``columns`` holds what the source knows of each item (arrays of length N)."""
    n = len(names)
    table = {
        "item": pa.array(np.arange(n, dtype=np.int32)),
        "name": pa.array(names, pa.string()),
        "group": pa.array(groups if groups is not None else [None] * n, pa.string()),
    }
    table.update({key: pa.array(value) for key, value in (columns or {}).items()})
    io.write_table(path, pa.table(table))


def write_annotations(
    path: Path, item: np.ndarray, annotator: list[str | None] | None, label: np.ndarray, classes: list[str]
) -> None:
    """Write ``annotations.parquet``, sorted by item, annotator and label.

    Args:
        path: the file.
        item: int ``[V]``, the item of each vote.
        annotator: who voted, or None where unknown (counts are anonymous votes).
        label: int ``[V]``, the class index of each vote.
        classes: names of the C classes, in index order.
    """
    table = pa.table(
        {
            "item": pa.array(item, pa.int32()),
            "annotator": pa.array(annotator if annotator is not None else [None] * len(item), pa.string()),
            "label": pa.array(label, pa.int16()),
        }
    ).sort_by([("item", "ascending"), ("annotator", "ascending"), ("label", "ascending")])
    table = table.set_column(1, "annotator", table.column("annotator").dictionary_encode().combine_chunks())
    io.write_table(path, table, {"classes": classes})


def write_votes_of_counts(path: Path, counts: np.ndarray, classes: list[str]) -> None:
    """Expand integer counts ``[N, C]`` to anonymous votes and write them."""
    n, c = counts.shape
    item = np.repeat(np.repeat(np.arange(n, dtype=np.int32), c), counts.reshape(-1))
    label = np.repeat(np.tile(np.arange(c, dtype=np.int16), n), counts.reshape(-1))
    write_annotations(path, item, None, label, classes)


def vote_counts(annotations: pa.Table, n_items: int, n_classes: int) -> np.ndarray:
    """Votes per item and class, int64 ``[N, C]``."""
    cell = io.vector(annotations, "item").astype(np.int64) * n_classes + io.vector(annotations, "label")
    return np.bincount(cell, minlength=n_items * n_classes).reshape(n_items, n_classes)


def write_reference(path: Path, p: np.ndarray, votes: np.ndarray | None, classes: list[str]) -> None:
    """Write ``reference.parquet``: what predictions are scored against.

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
