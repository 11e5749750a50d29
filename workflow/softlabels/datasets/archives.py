"""Files of others: checked before anything opens them, and unpacked so that nothing lands outside of one folder.

``zipfile`` and ``tarfile`` write the members, after each was checked: only plain files inside a fresh folder are ever
created, never a link, a device, an owner or a mode that an archive asks for.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import re
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
from typing import Any

from ..errors import UserError
from ..progress import progress

LIMIT = 64 * 10**9  # bytes that an archive may hold
RATIO = 200  # … and how many times its own size; images and votes shrink far less, deflate reaches 1032
SMALL = 10**6  # bytes of an archive whose ratio does not matter
PIECE = 1 << 20  # bytes read at once
MACOS_JUNK = ("__MACOSX", ".DS_Store")

# What zipfile, tarfile and the decompressors raise for damaged or foreign bytes, sizes beyond all numbers, names that
# are no text, compression methods that are not supported.
DAMAGE = (
    zipfile.BadZipFile, gzip.BadGzipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError,
    ValueError, RuntimeError, ArithmeticError,
)  # fmt: skip


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


@contextmanager
def unpacked(path: str | Path, parent: str | Path | None = None) -> Iterator[Path]:
    """Yield a fresh folder with the files of a zip, tar or gzipped tar file; it is removed when the block ends.

    The folder lies in ``parent``, or in the system's folder for temporary files. A UserError refuses what is no whole
    archive; members that are encrypted, no plain file or folder, of unsafe names, or two of one path; and more bytes
    than LIMIT or than RATIO times its own size.
    """
    if parent is not None:
        Path(parent).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=parent) as name:
        _Archive(Path(path), Path(name)).extract()
        yield Path(name)


class _Archive:
    """An archive on its way into an empty folder."""

    def __init__(self, path: Path, folder: Path):
        size = path.stat().st_size
        self.path, self.folder, self.stream, self.seen = path, folder, None, 0
        self.allowed = LIMIT if size <= SMALL else min(LIMIT, RATIO * size)
        self.bar = progress(desc=f"unpack {path.name}", unit="B", unit_scale=True)

    def extract(self) -> None:
        try:
            with self.path.open("rb") as file:
                magic = file.read(4)
            with self.bar:
                if magic in (b"PK\3\4", b"PK\5\6"):  # the second: an archive of nothing
                    self._unzip()
                else:
                    self._untar(gzip.open if magic[:2] == b"\x1f\x8b" else open)
        except DAMAGE as error:
            raise UserError(
                f"{self.path}: found damaged bytes or no archive ({error}), expected a zip, tar or tar.gz file. Delete "
                f"it and get it again."
            ) from None
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be unpacked ({error}), expected room for its files in {self.folder.parent}. Make "
                f"room, or get the archive again."
            ) from None

    def _unzip(self) -> None:
        with zipfile.ZipFile(self.path) as archive:
            members = archive.infolist()
            with self.path.open("rb") as file:  # a damaged length makes zipfile skip members without a word
                file.seek(-22 - len(archive.comment), os.SEEK_END)
                stated = struct.unpack("<10xH10x", file.read(22))[0]
            if stated not in (0xFFFF, len(members) % 0x10000):  # the first: too many for its field
                raise zipfile.BadZipFile(f"{len(members)} members, not as many as the archive's end states")
            self.bar.total = sum(member.file_size for member in members)
            self._refuse_more(self.bar.total)  # zipfile gives no more of a member than it states
            for member in members:
                plain = stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
                odd = "is encrypted" if member.flag_bits & 1 else "" if plain else "is a link or a device"
                if self._wanted(member.orig_filename, odd, not member.is_dir()):  # as stored: `filename` ends at a NUL
                    archive.extract(member, self.folder)
                    self.bar.update(member.file_size)

    def _untar(self, opener: Callable[..., Any]) -> None:
        def safe(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
            plain = (member.isreg() or member.isdir()) and not member.issparse()
            if not self._wanted(member.name, "" if plain else "is a link, a device or a sparse file", member.isreg()):
                return None
            return tarfile.data_filter(member, folder).replace(mode=None, mtime=None, deep=False)

        with opener(self.path, "rb") as self.stream:
            with tarfile.open(fileobj=self, mode="r|", tarinfo=_StrictHeader) as archive:
                archive.extractall(self.folder, filter=safe)
            while self.read(PIECE):  # gzip compares its checksum at the very end
                pass

    def read(self, size: int) -> bytes:
        """What tarfile reads, counted: headers, and what is skipped, can be made endless, too."""
        data = self.stream.read(size)
        self.seen += len(data)
        self.bar.update(len(data))
        self._refuse_more(self.seen)
        return data

    def _refuse_more(self, found: int) -> None:
        if found > self.allowed:
            raise UserError(
                f"{self.path}: holds more than {self.allowed} bytes, expected at most that for its size: it may be "
                f"made to fill the disk. If you trust it, unpack it yourself and name the folder instead."
            )

    def _wanted(self, name: str, odd: str, is_file: bool) -> bool:
        """Whether a member is to be written; refuses one that is odd, or of which the name is unsafe or taken."""
        place = PurePosixPath(name)
        target = self.folder / place
        if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/") or set("\\\0") & set(name):
            odd = "has a name that is absolute, climbs with '..', or holds a drive, a backslash or a NUL"
        elif is_file and (target.exists() or any(above.is_file() for above in target.parents)):
            odd = odd or "has the path of another member"
        if odd:
            raise UserError(
                f"{self.path}: the member {name!r} {odd}; expected plain files with paths inside the archive. Get the "
                f"archive from its publisher; if you trust this one, unpack it yourself and name the folder instead."
            )
        return is_file and not set(MACOS_JUNK) & set(place.parts)


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
