"""The data set contract: the four files that every source writes, and the only ones that later steps read.

``images.npy``           uint8 [N, H, W, 3], C order; row i is item i
``items.parquet``        item int32, name, group (null: none), and what the source knows: of images from files, their
                         sha256 and ``duplicate`` (the first item with the same pixels, null where this is the first),
                         and in the metadata, as ``images``, by which rules they became pixels
``annotations.parquet``  one row a vote: item int32, annotator (null: unknown), label int16, and weight float32 or time
                         float64 where the source has them; no rows where the source has no votes
``reference.parquet``    see ``contracts.py``
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
    """V votes, in any order."""

    item: np.ndarray  # int [V]
    label: np.ndarray  # int [V], the class index
    annotator: pa.DictionaryArray | None = None  # of strings [V] (null: unknown), or None where nobody is known
    weight: np.ndarray | None = None  # float [V], positive; weights count in labels, never in the reference
    time: np.ndarray | None = None  # float [V], in the source's unit (nan: unknown)
    exact: np.ndarray | None = None  # float64 [N, C], where known: the distribution that each item's were drawn from

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


Options = Mapping[str, Any]  # of a source, with every default
NO_VOTES = Votes(np.zeros(0, np.int32), np.zeros(0, np.int16))


@dataclass(frozen=True)
class Pixels:
    """What came of image files besides their pixels: columns of the items, and what the import has to say of them."""

    columns: Mapping[str, Any]
    remarks: Sequence[str] = ()
    rules: Mapping[str, Any] = field(default_factory=dict)  # see read_image_rules; {}: those of the content


@dataclass(frozen=True)
class Content:
    """What a source holds: N items with votes, or distributions, or both.

    ``images(path, threads)`` writes ``images.npy`` and returns :class:`Pixels`, or just the columns of the items that
    come with it; with None for the path, it only looks whether it could.
    """

    names: list[str]  # of an image file, its path below the image folder
    classes: list[str]  # names of the C classes, in index order
    images: Callable[[Path | None, int], Pixels | Mapping[str, Any]]
    votes: Votes | None = None
    p: np.ndarray | None = None  # float64 [N, C], each item's distribution where it is given or known exactly
    groups: list[str | None] | None = None  # of each item (None: none), or None where there are no groups
    columns: Mapping[str, Any] = field(default_factory=dict)  # what is known of each item, arrays of length N by name
    notes: Mapping[str, Any] = field(default_factory=dict)  # JSON: ``files``, ``remarks``, ``licence``, ``citation``
    rules: Mapping[str, Any] = field(default_factory=dict)  # JSON: by which image files became pixels; {}: by others
    judges: Votes | None = None  # of other people, which make the reference in place of ``votes``

    @property
    def judging(self) -> Votes | None:
        """The votes that a reference of votes is made of."""
        return self.judges or self.votes


def write(content: Content, reference: str, outputs: Mapping[str, Path | None], threads: int) -> None:
    """Write the four files (images are only looked at where their path is None); see :func:`.data.run`.

    ``reference`` is ``votes`` (the shares of the votes), ``other_people`` (those of the judges' votes) or ``exact``
    (the distributions).
    """
    classes, votes = content.classes, content.judging
    pixels = content.images(outputs["images"], threads)
    if not isinstance(pixels, Pixels):
        pixels = Pixels(pixels)
    columns = {**content.columns, **pixels.columns}
    write_items(outputs["items"], content.names, content.groups, columns, pixels.rules or content.rules)
    notes = content.notes
    if pixels.remarks:
        notes = {**notes, "remarks": [*notes.get("remarks", ()), *pixels.remarks]}
    write_annotations(outputs["annotations"], content.votes or NO_VOTES, classes, notes)
    if reference == "exact":
        write_reference(outputs["reference"], content.p, None, classes)
        return
    counts = votes.counts(len(content.names), len(classes))
    total = counts.sum(axis=1)
    others = None if content.judges is None else pa.table(_sorted(votes))
    write_reference(outputs["reference"], counts / total[:, None], total, classes, votes.exact, others)


@contextmanager
def new_images(path: Path, shape: tuple[int, int, int, int]) -> Iterator[Callable[[np.ndarray], Any]]:
    """Yield a function that writes the next rows of ``images.npy``, one or several: uint8 ``[N, H, W, 3]`` in all.

    The file appears when the block ends without an error. Plain writing takes a quarter of the time that new pages of a
    memory map take, and a full disk is an error where a memory map would kill the process.
    """
    with io.atomic(path) as part, part.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        yield lambda rows: file.write(np.ascontiguousarray(rows, np.uint8).data)


def read_images(path: str | Path) -> np.ndarray:
    """The images as a read-only memory map uint8 ``[N, H, W, 3]``."""
    images = np.load(path, mmap_mode="r", allow_pickle=False)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise UserError(f"{path}: found {images.dtype} {images.shape}, expected uint8 [N, H, W, 3].")
    return images


def number(item: int) -> str:
    """What stands in the place of an item's name where names are private."""
    return f"item {item}"


def write_items(
    path: Path, names: list[str], groups: list[str | None] | None = None, columns: Mapping[str, Any] | None = None,
    rules: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Write ``items.parquet``; ``columns`` holds what the source knows of each item (arrays of length N).

    ``rules`` (see :func:`read_image_rules`) go into the metadata where there are any.
    """
    n = len(names)
    table = {
        "item": pa.array(np.arange(n, dtype=np.int32)),
        "name": pa.array(names, pa.string()),
        "group": pa.array(groups if groups is not None else [None] * n, pa.string()),
    }
    about = {"images": rules} if rules else {}
    io.write_table(path, pa.table(table | {key: pa.array(value) for key, value in (columns or {}).items()}), about)


def read_image_rules(path: Path) -> dict[str, Any]:
    """By which rules image files became pixels: ``resize`` (None where all kept their size), ``deep`` and ``colour``.

    Empty where images were generated, or read by a source that has rules of its own.
    """
    return io.read_table(path, ["item"])[1].get("images", {})


def write_annotations(path: Path, votes: Votes, classes: list[str], notes: Mapping[str, Any] | None = None) -> None:
    """Write ``annotations.parquet``, sorted by item, annotator (unknown ones last) and label.

    ``classes`` are the names of the C classes in index order; ``notes`` on the import go into the metadata.
    """
    columns = _sorted(votes)
    io.write_table(path, pa.table(columns), {"classes": classes, **({"notes": notes} if notes else {})})


def _sorted(votes: Votes) -> dict[str, pa.Array]:
    """The columns of :func:`write_annotations`."""
    annotator = votes.annotator
    if annotator is None:
        annotator = pa.nulls(len(votes.item), pa.string()).dictionary_encode()
    names = np.array(annotator.dictionary.to_pylist(), object)
    place = np.append(names.argsort().argsort(), len(names))  # among the sorted names
    order = np.lexsort((votes.label, place[annotator.indices.fill_null(len(names)).to_numpy()], votes.item))
    columns = {
        "item": pa.array(votes.item[order], pa.int32()),
        # anew, because a dictionary lists its names as they come
        "annotator": annotator.take(pa.array(order)).cast(pa.string()).dictionary_encode(),
        "label": pa.array(votes.label[order], pa.int16()),
    }
    if votes.weight is not None:
        columns["weight"] = pa.array(votes.weight[order], pa.float32())
    if votes.time is not None:
        columns["time"] = pa.array(votes.time[order], pa.float64(), from_pandas=True)  # nan becomes null
    return columns
