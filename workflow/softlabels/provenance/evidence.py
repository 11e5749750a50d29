"""A results folder as evidence: manifests, ledgers, chains and files, read without trusting any of them.

Every path comes from a file that somebody may have edited, so no path may leave the folder, by ``..``, from ``/`` or by
a link, and a file that is truncated, foreign, newer or too large is a :class:`UserError` that names it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .. import io, places
from ..commands import COMMANDS
from ..contracts import ROWS, SCORES, Scores, Terms, rows_in, scores_of, terms_in
from ..errors import UserError
from ..places import MANIFEST, of_study
from ..studies.ledger_view import SCHEMA

SCHEMA_VERSION = 1
LARGEST_JSON = 50_000_000  # bytes
LARGEST_TABLE = 4_000_000_000  # bytes when decompressed

# What every reader may rely on in a manifest and in a study's configuration: the type of each value, by key.
MANIFEST_SHAPE = {
    "command": str, **dict.fromkeys(("config", "inputs", "outputs", "machine", "facts"), dict),
    "code": {"sha256": str, "entries": dict, "definitions": dict},
    "environment": {"packages": dict, "foreign_modules": list},
}  # fmt: skip
FILE_SHAPE = {"path": str, "bytes": int, "sha256": str}
STUDY_SHAPE = {
    "study": str, **dict.fromkeys(("datasets", "splits", "recipes", "labels", "metric_options"), dict),
    **dict.fromkeys(("seeds", "metrics"), list), "level": float, "ddof": int,
}  # fmt: skip


@contextmanager
def reading(file: str) -> Iterator[None]:
    """Turn what goes wrong with a file's content into one message that names the file.

    Raises:
        UserError: instead of any error that unexpected content can cause.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # whatever a hostile file can cause in any reader
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{file}: found content that cannot be read ({type(error).__name__}: {reason}), expected a file of this "
            f"workflow. Restore it from a backup, or delete it and run again."
        ) from None


def shaped(value: Any, shape: Any, place: str) -> None:
    """Raise a TypeError, which names the place, for a JSON value without a key or of another type than in ``shape``."""
    kind = dict if isinstance(shape, dict) else shape
    if not isinstance(value, kind):
        raise TypeError(f"{place} is {type(value).__name__}, not {kind.__name__}")
    if isinstance(shape, dict):
        for key, sub in shape.items():
            if key not in value:
                raise TypeError(f"{place} has no '{key}'")
            shaped(value[key], sub, f"{place}.{key}")


def entries(files: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and entry of each file in a manifest's ``inputs`` or ``outputs``."""
    for name, value in files.items():
        for entry in value if isinstance(value, list) else [value]:
            yield name, entry


def study_of(path: Path) -> tuple[Path, str] | None:
    """Results folder and name of the study whose folder, or file in it, is there; None for any other path."""
    folder = path.resolve() if path.is_dir() else path.resolve().parent
    # The results of a project that lies in a folder called "studies" are no study.
    there = path.exists() and folder.parent.name == "studies" and not (folder / "studies").is_dir()
    return (folder.parents[1], folder.name) if there else None


def names_of(path: str, command: str) -> dict[str, str] | None:
    """The wildcards of a manifest's path (dataset, seed …), or None where a command's manifest cannot lie there."""
    file = places.parse(path)
    return file.names if file and (file.command, file.output) == (command, "manifest") else None


class Results:
    """A results folder. Paths are relative to it, with forward slashes.

    Attributes:
        root: the folder.
        sha256: SHA-256 of a file, computed once.
        json: the content of a JSON file, read once.
    """

    def __init__(self, root: str | Path):
        """Open a results folder.

        Raises:
            UserError: there is no such folder.
        """
        self.root = Path(root).resolve()
        if not self.root.is_dir():
            raise UserError(f"{root}: no such results folder. Name one, such as results.")
        self.sha256 = cache(self._sha256)
        self.json = cache(self._json)

    # -- files -----------------------------------------------------------------------------------------------------

    def file(self, relative: str) -> Path:
        """The file at a path of a manifest, chain or ledger."""
        pure = PurePosixPath(relative if isinstance(relative, str) else "/")
        if pure.is_absolute() or ".." in pure.parts or "\0" in str(pure) or "\\" in str(pure):
            raise UserError(f"{relative!r}: this path leaves the results folder, and was not opened.")
        path = self.root / pure
        with reading(str(relative)):
            target = path.resolve()
            if not target.is_relative_to(self.root):
                raise UserError(f"{relative}: this path leads out of the results folder by a link; it was not opened.")
            if not target.is_file():
                raise UserError(
                    f"{relative}: found no such file. Restore it from a backup, or run again to rebuild it."
                )
        return target

    @cached_property
    def files(self) -> list[str]:
        """All files, without those of another results folder inside this one."""
        found = []
        for folder, subfolders, names in os.walk(self.root):
            here = Path(folder)
            subfolders[:] = sorted(name for name in subfolders if not self._is_another(here / name))
            found += [(here / name).relative_to(self.root).as_posix() for name in names]
        return sorted(found)

    def _is_another(self, folder: Path) -> bool:
        """Whether a folder is a results folder of its own, such as results/tiny."""
        known = {*places.FOLDERS, *places.ASIDE}
        return folder.parent == self.root and folder.name not in known and (folder / "data").is_dir()

    def _sha256(self, relative: str) -> str:
        with reading(relative):
            return io.sha256(self.file(relative))

    def text(self, relative: str) -> str:
        """A text file."""
        with reading(relative):
            path = self.file(relative)
            if (size := path.stat().st_size) > LARGEST_JSON:
                raise UserError(
                    f"{relative}: found {size:,} bytes, expected at most {LARGEST_JSON:,}; it was not read."
                )
            return path.read_bytes().decode("utf-8")

    def _json(self, relative: str) -> Any:
        with reading(relative):
            return json.loads(self.text(relative))

    def table(self, relative: str, columns: list[str] | None = None) -> tuple[pa.Table, dict[str, Any]]:
        """A Parquet file of ours that has all of the columns: table and metadata."""
        path = self.file(relative)
        with reading(relative):
            about = pq.read_metadata(path)
            size = sum(about.row_group(k).total_byte_size for k in range(about.num_row_groups))
            if size > LARGEST_TABLE or about.num_rows > LARGEST_TABLE:
                raise UserError(f"{relative}: found {size:,} bytes of data, expected at most {LARGEST_TABLE:,}.")
            missing = sorted(set(columns or ()) - set(about.schema.to_arrow_schema().names))
            if missing:
                raise UserError(f"{relative}: found no column {', '.join(missing)}. Run again to rebuild it.")
            return io.read_table(path, columns)

    def scores(self, relative: str) -> Scores:
        """The scores of a run."""
        with reading(relative):
            return scores_of(relative, *self.table(relative, SCORES.names))

    def terms(self, relative: str) -> Terms:
        """What each test item adds to the scores of a run."""
        with reading(relative):
            return terms_in(relative, self.table(relative)[0])

    def reference_rows(self, relative: str) -> dict[str, Scores]:
        """Rows that need no network, by name."""
        with reading(relative):
            return rows_in(relative, *self.table(relative, ROWS.names))

    def accuracies(self, relative: str) -> list[tuple[int, float | None]]:
        """Each epoch of a run's history, and its accuracy on validation items against the reference, or None."""
        with reading(relative):
            table, _ = self.table(relative, ["epoch", "val_acc_reference"])
            columns = (table.column(name).to_pylist() for name in ("epoch", "val_acc_reference"))
            return [(epoch, None if x is None or math.isnan(x) else x) for epoch, x in zip(*columns, strict=True)]

    def array(self, relative: str) -> np.ndarray:
        """A NumPy file, as a read-only memory map."""
        with reading(relative):
            return np.load(self.file(relative), mmap_mode="r", allow_pickle=False)

    def safetensors_metadata(self, relative: str) -> dict[str, str]:
        """The metadata of a safetensors file whose tensors fill it to its last byte."""
        path = self.file(relative)
        with reading(relative), path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > LARGEST_JSON:
                raise ValueError(f"a header of {length:,} bytes")
            header = json.loads(file.read(length))
            end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
            if path.stat().st_size != 8 + length + end:
                raise ValueError(f"{path.stat().st_size:,} bytes where the header says {8 + length + end:,}")
            return header.get("__metadata__", {})

    def tensors(self, relative: str) -> dict[str, np.ndarray]:
        """The float32 tensors of a safetensors file, by name, as read-only memory maps."""
        self.safetensors_metadata(relative)  # which looks at the size
        path = self.file(relative)
        with reading(relative):
            content = np.memmap(path, np.uint8, "r")
            start = 8 + int.from_bytes(content[:8].tobytes(), "little")
            header = json.loads(content[8:start].tobytes())
            found = {}
            for name, about in header.items():
                if name != "__metadata__":
                    if about["dtype"] != "F32":
                        raise TypeError(f"the tensor {name} is {about['dtype']}, not F32")
                    first, end = about["data_offsets"]
                    found[name] = content[start + first : start + end].view("<f4").reshape(about["shape"])
            return found

    # -- manifests -------------------------------------------------------------------------------------------------

    @cached_property
    def _read(self) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        manifests, unreadable = {}, {}
        for path in self.files:
            if path.endswith(MANIFEST):
                try:
                    manifests[path] = self.manifest(path)
                except UserError as error:
                    unreadable[path] = str(error)
        return manifests, unreadable

    @property
    def manifests(self) -> dict[str, dict[str, Any]]:
        """All readable manifests by path."""
        return self._read[0]

    @property
    def unreadable(self) -> dict[str, str]:
        """Why each of the other manifests cannot be read, by path."""
        return self._read[1]

    def manifest(self, path: str) -> dict[str, Any]:
        """One manifest; one that is not readable is a UserError."""
        manifest = self.json(path)
        with reading(path):
            shaped(manifest, dict, "the manifest")
            if (version := manifest.get("schema_version")) != SCHEMA_VERSION:
                raise UserError(
                    f"{path}: found schema version {version}, expected {SCHEMA_VERSION}. Audit it with the version of "
                    f"softlabels that wrote it."
                )
            shaped(manifest, MANIFEST_SHAPE, "the manifest")
            if manifest["command"] not in COMMANDS:
                raise TypeError(f"the manifest's command is {manifest['command']!r}")
            for side in ("inputs", "outputs"):
                for name, entry in entries(manifest[side]):
                    shaped(entry, dict, f"{side}.{name}")
                    shaped(entry, {} if "source" in entry else FILE_SHAPE, f"{side}.{name}")
        return manifest

    @cached_property
    def _producers(self) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for path, manifest in self.manifests.items():
            for _, entry in entries(manifest["outputs"]):
                if "sha256" in entry:
                    found.setdefault(entry["sha256"], []).append((entry.get("path", ""), path))
        return found

    def producer(self, sha256: str, path: str | None = None) -> tuple[str, dict[str, Any]] | None:
        """Path and manifest of the job that wrote a file of this content (at ``path`` if several did), or None."""
        candidates = self._producers.get(sha256, [])
        best = [manifest for output, manifest in candidates if output == path] or [m for _, m in candidates]
        return (best[0], self.manifests[best[0]]) if best else None

    # -- studies ---------------------------------------------------------------------------------------------------

    @cached_property
    def studies(self) -> list[str]:
        """Names of the studies that have a table, a ledger or a chain."""
        files = filter(None, map(places.parse, self.files))
        return sorted({file.names["study"] for file in files if file.command in ("study", "chain")})

    def study_config(self, name: str) -> dict[str, Any]:
        """``config.json`` of a study."""
        path = of_study(name, "config")
        config = self.json(path)
        with reading(path):
            shaped(config, STUDY_SHAPE, "the study")
        return config

    def cells(self, name: str) -> pa.Table:
        """The ledger of a study."""
        return self.ledger(name)[0]

    def ledger(self, name: str) -> tuple[pa.Table, dict[str, Any]]:
        """The ledger of a study, with the columns of what it varies, and its facts."""
        path = of_study(name, "cells")
        with reading(path):
            names = pq.read_schema(self.file(path)).names
        return self.table(path, [*SCHEMA.names, *(column for column in names if "." in column)])

    def chain(self, name: str) -> dict[str, str]:
        """``chain.json`` of a study: path to SHA-256 of every manifest behind its tables."""
        path = of_study(name, "chain")
        chain = self.json(path)
        with reading(path):
            shaped(chain, {"study": str, "manifests": list}, "the chain")
            for entry in chain["manifests"]:
                shaped(entry, {"path": str, "sha256": str}, "an entry")
            listed = {entry["path"]: entry["sha256"] for entry in chain["manifests"]}
            if len(listed) != len(chain["manifests"]):
                raise ValueError("a manifest is listed twice")
        return listed
