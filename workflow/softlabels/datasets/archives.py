"""Files of others: checked before anything opens them, and unpacked so that nothing lands outside of one folder.

Contents are read by ``zipfile`` and ``tarfile`` and written here: only plain files inside a fresh folder are ever
created, never a link, a device, an owner or a mode that an archive asks for.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from tqdm import tqdm

from ..errors import UserError
from ..progress import progress

LIMIT = 64 * 10**9  # bytes that an archive may hold
RATIO = 200  # … and how many times its own size; images and votes shrink far less, deflate reaches 1032
SMALL = 10**6  # bytes of an archive whose ratio does not matter
PIECE = 1 << 20  # bytes read at once
MACOS_JUNK = ("__MACOSX", ".DS_Store")

# What zipfile, tarfile and the decompressors raise for damaged or foreign bytes.
DAMAGE = (
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,  # names that are no text, numbers that are none
    RuntimeError,  # compression methods that are not supported, endless chains of headers
    ArithmeticError,  # sizes beyond all numbers
)

Write = Callable[[str, Any], None]  # write(name of a member, readable file)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is known of a published file: its size in bytes and hexadecimal hashes (None: not known)."""

    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None


def digest(path: str | Path, algorithm: str) -> str:
    """The hash of a file's bytes, in hexadecimal, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def difference(path: str | Path, expected: Expected) -> str:
    """How a file differs from what is known of it, in words; empty if it does not."""
    size = Path(path).stat().st_size
    if expected.bytes not in (None, size):
        return f"found {size} bytes, expected {expected.bytes}"
    for algorithm, value in (("sha256", expected.sha256), ("md5", expected.md5)):
        if value and (found := digest(path, algorithm)) != value:
            return f"found {algorithm} {found}, but the published file has {algorithm} {value}"
    return ""


def verify(path: str | Path, expected: Expected) -> None:
    """Check a file's size and hashes, as far as they are known, before anything opens it.

    Raises:
        UserError: the file is absent, half a download, or not the published file.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: found no file. Put it there, or let it be downloaded.")
    if found := difference(path, expected):
        half = expected.bytes is not None and path.stat().st_size < expected.bytes
        why = "It is half a download: continue it, or" if half else "It is half a download or another file:"
        raise UserError(f"{path}: {found}. {why} delete it and download it again, or correct source.checksum.")


@contextmanager
def unpacked(
    path: str | Path, into: str | Path | None = None, *, only: str | None = None, limit: int = LIMIT
) -> Iterator[Path]:
    """Yield a fresh folder with the files of an archive; it is removed when the block ends, also by an error.

    Args:
        path: a zip, tar or gzipped tar file, told by its first bytes.
        into: the file or folder that is made from the content: the fresh folder lies beside it, on the same disk.
            None: the system's folder for temporary files.
        only: the one member to extract; None: all but what macOS adds.
        limit: bytes that the archive may hold.

    Raises:
        UserError: not a whole archive, or one with a member that is encrypted, is no plain file or folder, or has an
            unsafe name; two members of one path; more bytes than ``limit`` or than ``RATIO`` times its own size.
    """
    path, parent = Path(path), None
    if into is not None:
        parent = Path(into).parent
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=parent) as name:
        _extract(path, Path(name), only, limit)
        if only is not None and not Path(name, only).is_file():
            raise UserError(f"{path}: holds no file {only!r}. Get the archive from its publisher again.")
        yield Path(name)


class _Meter:
    """Counts the bytes that really come out of an archive, because its headers may lie."""

    def __init__(self, path: Path, limit: int, bar: tqdm):
        size = path.stat().st_size
        self.path, self.bar, self.seen = path, bar, 0
        self.allowed = limit if size <= SMALL else min(limit, RATIO * size)

    def read(self, file: Any, size: int) -> bytes:
        data = file.read(size)
        self.seen += len(data)
        self.bar.update(len(data))
        if self.seen > self.allowed:
            raise UserError(
                f"{self.path}: holds more than {self.allowed} bytes, expected at most that for its size: it may be "
                f"made to fill the disk. If you trust it, unpack it yourself and name the folder instead."
            )
        return data


@dataclass
class _Metered:
    """A readable file whose bytes are counted."""

    file: Any
    meter: _Meter

    def read(self, size: int) -> bytes:
        return self.meter.read(self.file, size)


def _extract(path: Path, folder: Path, only: str | None, limit: int) -> None:
    """Write the files of an archive below an empty folder."""

    def write(name: str, file: Any) -> None:
        place = PurePosixPath(name)
        if any(part in MACOS_JUNK for part in place.parts) or only not in (None, str(place)):
            return
        target = folder / place
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as copy:
                shutil.copyfileobj(file, copy, PIECE)
        except (FileExistsError, NotADirectoryError):
            _refuse(path, name, "has the path of another member")

    try:
        with path.open("rb") as file:
            magic = file.read(4)
        with progress(desc=f"unpack {path.name}", unit="B", unit_scale=True) as bar:
            meter = _Meter(path, limit, bar)
            if magic in (b"PK\3\4", b"PK\5\6"):  # the second: an archive of nothing
                _unzip(path, meter, write)
            else:
                _untar(path, magic[:2] == b"\x1f\x8b", meter, write)
    except DAMAGE as error:
        raise UserError(
            f"{path}: found damaged bytes or no archive ({error}), expected a zip, tar or tar.gz file. Delete it and "
            f"get it again."
        ) from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be unpacked ({error}), expected a whole archive and room for its files in "
            f"{folder.parent}. Make room, or get the archive again."
        ) from None


def _unzip(path: Path, meter: _Meter, write: Write) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if _stated_count(path, archive) not in (0xFFFF, len(members) % 0x10000):  # the first: too many for its field
            raise zipfile.BadZipFile(f"{len(members)} members, not as many as the archive's end states")
        meter.bar.total = sum(member.file_size for member in members)
        for member in members:
            name = member.orig_filename  # as stored: `filename` ends at a NUL
            _check_name(path, name)
            if member.flag_bits & 1:
                _refuse(path, name, "is encrypted")
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                _refuse(path, name, "is a link or a device")
            if not member.is_dir():
                with archive.open(member) as file:
                    write(name, _Metered(file, meter))


def _stated_count(path: Path, archive: zipfile.ZipFile) -> int:
    """How many members the end record states; a damaged length makes zipfile skip members without a word."""
    with path.open("rb") as file:
        file.seek(-22 - len(archive.comment), os.SEEK_END)
        return struct.unpack("<10xH10x", file.read(22))[0]


class _StrictHeader(tarfile.TarInfo):
    """The header of a member; tarfile itself takes a damaged header, or none, for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"header: {error}") from None


def _untar(path: Path, gzipped: bool, meter: _Meter, write: Write) -> None:
    # The meter lies below tarfile, so that headers and what is skipped count too: each can be made endless.
    opener = gzip.open if gzipped else open
    with opener(path, "rb") as file:
        stream = _Metered(file, meter)
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_StrictHeader) as archive:
            for member in archive:
                _check_name(path, member.name)
                if not (member.isreg() or member.isdir()) or member.issparse():
                    _refuse(path, member.name, "is a link, a device or a sparse file")
                if member.isreg():
                    write(member.name, archive.extractfile(member))
        while stream.read(PIECE):  # gzip compares its checksum at the very end
            pass


def _check_name(path: Path, name: str) -> None:
    if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/") or set("\\\0") & set(name):
        _refuse(path, name, "has a name that is absolute, climbs with '..', or holds a drive, a backslash or a NUL")


def _refuse(path: Path, name: str, why: str) -> NoReturn:
    raise UserError(
        f"{path}: the member {name!r} {why}; expected plain files with paths inside the archive. Get the archive from "
        f"its publisher; if you trust this one, unpack it yourself and name the folder instead."
    ) from None
