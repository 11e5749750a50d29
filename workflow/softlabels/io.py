"""Files that are either whole or absent, with the same bytes for the same content."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .errors import UserError

SCHEMA_VERSION = 1


def refuse_links(results: str | Path) -> None:
    """Refuse a results folder with links in place of its folders, or of theirs: audit and explain follow none."""
    links = [path for pattern in ("*", "*/*") for path in sorted(Path(results).glob(pattern)) if path.is_symlink()]
    if links:
        more = f" ({len(links)} such links)" if len(links) > 1 else ""
        raise UserError(
            f"{links[0]}: is a link to {os.path.realpath(links[0])}{more}, which audit and explain would not follow. "
            f"Set results: to a folder there as a whole (the results folder itself may be a link), or put the files "
            f"themselves here."
        )


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success flush it to disk and rename it, on an error remove it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
        part.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a write to a full disk does not say where
        raise
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success rename it, on an error remove it.

    Raises:
        UserError: ``path`` is there already, and no empty folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path}: is there already, and not empty. Name another folder, or remove it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield scratch
        scratch.chmod(0o755)  # mkdtemp makes folders that only their owner can read
        if path.exists():
            path.rmdir()
        scratch.rename(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def canonical_json(value: Any) -> str:
    """One line of JSON with sorted keys: equal values give equal text (NaN and infinity are refused)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def json_text(value: Any) -> str:
    """Readable JSON with sorted keys: equal values give equal text (NaN and infinity are refused)."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: str | Path, value: Any) -> None:
    """Write :func:`json_text` atomically."""
    write_text(path, json_text(value))


def json_number(value: float) -> float | str | None:
    """A number for JSON: infinities as the strings "inf" and "-inf", NaN (not defined) as null."""
    value = float(value)
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_table(path: str | Path, table: pa.Table, metadata: Mapping[str, Any] | None = None) -> None:
    """Write Parquet atomically, with fixed writer settings and no timestamps.

    Args:
        path: the file.
        table: its rows, already sorted.
        metadata: JSON values kept in the file's metadata under ``softlabels`` (class names, units, tie rule …);
            ``schema_version`` is added.
    """
    document = canonical_json({"schema_version": SCHEMA_VERSION, **(metadata or {})})
    table = table.replace_schema_metadata({"softlabels": document})
    with atomic(path) as part:
        fixed = {"version": "2.6", "compression": "zstd", "use_dictionary": True, "store_schema": True}
        pq.write_table(table, part, write_statistics=False, **fixed)


def read_table(path: str | Path, columns: list[str] | None = None) -> tuple[pa.Table, dict[str, Any]]:
    """Read a Parquet file of ours: its table and its ``softlabels`` metadata.

    Raises:
        UserError: not a readable Parquet file, or not one written by this package's schema.
    """
    with _readable(path):
        table = pq.read_table(path, columns=columns)
    metadata = json.loads((table.schema.metadata or {}).get(b"softlabels", b"{}"))
    if metadata.get("schema_version") != SCHEMA_VERSION:
        found = metadata.get("schema_version", "none")
        raise UserError(
            f"{path}: found schema version {found}, expected {SCHEMA_VERSION}. Delete it and run again to rebuild it."
        )
    return table, metadata


def read_batches(path: str | Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file piece by piece, with those of ``columns`` that it has: memory does not grow."""
    with _readable(path), pq.ParquetFile(path) as file:
        yield from file.iter_batches(columns=columns)


@contextmanager
def _readable(path: str | Path) -> Iterator[None]:
    """Turn what goes wrong while reading Parquet into one message."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path}: cannot be read as Parquet ({error}). Delete it and run again to rebuild it."
        ) from None


def distribution_column(p: np.ndarray, dtype: pa.DataType) -> pa.FixedSizeListArray:
    """A ``[N, C]`` array as a Parquet column of fixed-size lists (``dtype``: pa.float32() or pa.float64())."""
    flat = np.ascontiguousarray(p, dtype=dtype.to_pandas_dtype()).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat, type=dtype), p.shape[1])


def matrix(table: pa.Table, column: str) -> np.ndarray:
    """The ``[N, C]`` array of a fixed-size list column."""
    rows = table.column(column)
    return rows.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, rows.type.list_size)


def vector(table: pa.Table, column: str) -> np.ndarray:
    """The ``[N]`` array of a flat column."""
    return table.column(column).to_numpy()


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
