"""The data set contract: the four files that every source writes, and the only ones that later steps read.

``images.npy``           uint8 [N, H, W, 3], C order; row i is item i
``items.parquet``        item int32, name, group (null: none), and what the source knows: of images from files, their
                         sha256 and ``duplicate`` (the first item with the same pixels, null where this is the first)
``annotations.parquet``  one row a vote: item int32, annotator (null: unknown), label int16, and weight float32 or time
                         float64 where the source has them; no rows where the source has no votes
``reference.parquet``    see ``contracts.py``
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .. import io
from ..contracts import write_reference
from ..errors import UserError


@dataclass(frozen=True)
class Votes:
    """V votes, in any order.

    Attributes:
        item: int ``[V]``.
        label: int ``[V]``, the class index.
        annotator: dictionary of strings ``[V]`` (null: unknown), or None where nobody is known.
        weight: float ``[V]``, positive, or None. Weights count in labels, never in the reference.
        time: float ``[V]``, in the source's unit (nan: unknown), or None.
    """

    item: np.ndarray
    label: np.ndarray
    annotator: pa.DictionaryArray | None = None
    weight: np.ndarray | None = None
    time: np.ndarray | None = None

    def counts(self, n_items: int, n_classes: int) -> np.ndarray:
        """Votes per item and class, int64 ``[N, C]``."""
        cell = self.item.astype(np.int64) * n_classes + self.label
        return np.bincount(cell, minlength=n_items * n_classes).reshape(n_items, n_classes)

    @classmethod
    def of_counts(cls, counts: np.ndarray) -> Votes:
        """The anonymous votes of integer counts ``[N, C]``."""
        n, c = counts.shape
        item = np.repeat(np.repeat(np.arange(n, dtype=np.int32), c), counts.reshape(-1))
        return cls(item, np.repeat(np.tile(np.arange(c, dtype=np.int16), n), counts.reshape(-1)))


@dataclass(frozen=True)
class Content:
    """What a source holds: N items with votes, or distributions, or both.

    Attributes:
        names: the items' names; of an image file, its path below the image folder.
        classes: names of the C classes, in index order.
        images: ``images(path, threads)`` writes ``images.npy`` and returns the columns of the items that come with it;
            with None for the path, it only looks whether it could.
        votes: the votes, or None.
        p: float64 ``[N, C]``, each item's distribution where it is given or known exactly, or None.
        groups: the group of each item (None: none), or None where there are no groups.
        columns: what the source knows of each item, arrays of length N by column name.
        notes: JSON values on the import: ``files``, ``remarks``, ``licence``, ``citation``.
    """

    names: list[str]
    classes: list[str]
    images: Callable[[Path | None, int], Mapping[str, Any]]
    votes: Votes | None = None
    p: np.ndarray | None = None
    groups: list[str | None] | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


def write(content: Content, reference: str, outputs: Mapping[str, Path | None], threads: int) -> None:
    """Write the four files (``images`` is only looked at where its path is None).

    Args:
        content: a source's items.
        reference: ``votes`` (the shares of the votes) or ``exact`` (the distributions).
        outputs: ``images``, ``items``, ``annotations``, ``reference``.
        threads: how many threads may decode images.
    """
    n, classes, votes = len(content.names), content.classes, content.votes
    columns = content.images(outputs["images"], threads)
    write_items(outputs["items"], content.names, content.groups, {**content.columns, **columns})
    cast = votes or Votes(np.zeros(0, np.int32), np.zeros(0, np.int16))
    write_annotations(
        outputs["annotations"], cast.item, cast.annotator, cast.label, classes,
        weight=cast.weight, time=cast.time, notes=content.notes,
    )  # fmt: skip
    if reference == "votes":
        counts = votes.counts(n, len(classes))
        total = counts.sum(axis=1)
        write_reference(outputs["reference"], counts / total[:, None], total, classes)
    else:
        write_reference(outputs["reference"], content.p, None, classes)


@contextmanager
def new_images(path: Path, shape: tuple[int, int, int, int]) -> Iterator[np.ndarray]:
    """Yield a memory map uint8 ``[N, H, W, 3]`` to fill; the file appears when the block ends without an error."""
    with io.atomic(path) as part:
        images = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
        _reserve(part)
        yield images
        images.flush()
        del images


def _reserve(path: Path) -> None:
    """Take the file's blocks now: on a disk that fills up later, writing to a memory map would kill the process."""
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


@contextmanager
def appended_images(path: Path, shape: tuple[int, int, int, int]) -> Iterator[Callable[[np.ndarray], Any]]:
    """As :func:`new_images`, for rows that come one after another: yield a function that writes the next one.

    Plain writing takes a quarter of the time that new pages of a memory map take.
    """
    with io.atomic(path) as part, part.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        yield lambda image: file.write(np.ascontiguousarray(image).data)


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
    path: Path,
    item: np.ndarray,
    annotator: pa.DictionaryArray | list[str | None] | None,
    label: np.ndarray,
    classes: list[str],
    *,
    weight: np.ndarray | None = None,
    time: np.ndarray | None = None,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write ``annotations.parquet``, sorted by item, annotator and label; see :class:`Votes` for the arrays.

    ``classes`` are the names of the C classes in index order; ``notes`` on the import go into the metadata.
    """
    if not isinstance(annotator, pa.DictionaryArray):
        names = pa.nulls(len(item), pa.string()) if annotator is None else pa.array(annotator, pa.string())
        annotator = names.dictionary_encode()
    order = np.lexsort((label, _place(annotator), item))
    columns = {
        "item": pa.array(item[order], pa.int32()),
        # anew, because a dictionary lists its names as they come
        "annotator": annotator.take(pa.array(order)).cast(pa.string()).dictionary_encode(),
        "label": pa.array(label[order], pa.int16()),
    }
    if weight is not None:
        columns["weight"] = pa.array(weight[order], pa.float32())
    if time is not None:
        columns["time"] = pa.array(time[order], pa.float64(), from_pandas=True)  # nan becomes null
    io.write_table(path, pa.table(columns), {"classes": classes, **({"notes": notes} if notes else {})})


def _place(annotator: pa.DictionaryArray) -> np.ndarray:
    """The place of each vote's annotator among the sorted names, int ``[V]``; unknown ones come last."""
    names = annotator.dictionary.to_pylist()
    place = np.full(len(names) + 1, len(names))
    place[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return place[annotator.indices.fill_null(len(names)).to_numpy()]
