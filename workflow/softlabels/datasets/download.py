"""The published files of other people's data sets: where they are, what is known of them, and how they are fetched.

None of them comes with this project: each has its licence and asks to be cited.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from ssl import SSLError
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from ..errors import UserError
from ..progress import progress
from . import archives

SCHEMES = ("https",)  # that a redirect may lead to
WAITS = (2, 10, 30)  # seconds before the second, third … attempt
TIMEOUT = 60  # seconds without a byte
PIECE = 1 << 18  # bytes read at once


@dataclass(frozen=True, kw_only=True)
class Published(archives.Expected):
    """A published file: size and hashes (as far as they are known) of what lies at ``url``."""

    url: str
    licence: str  # of the data, not of this project
    citation: str
    member: str | None = None  # the file inside the archive at ``url`` that is wanted; None: all of it is


def _of(base: str, licence: str, citation: str) -> Callable[..., Published]:
    """What makes the files of one publisher, by their addresses below ``base``, and more that is known of them."""
    return lambda path, **known: Published(**{"url": base + path, "licence": licence, "citation": citation} | known)


_dcic = _of(
    "https://zenodo.org/records/8115942/files/", "CC BY-SA 4.0",
    "L. Schmarje et al., 'Is one annotation enough? A data-centric image classification benchmark for noisy and "
    "ambiguous label estimation', NeurIPS 2022 Datasets and Benchmarks, arXiv:2207.06214; and the sources of the "
    "subset, named at https://zenodo.org/records/8115942",
)  # fmt: skip
_cifar10h = _of(
    "https://raw.githubusercontent.com/jcpeterson/cifar-10h/master/data/", "CC BY-NC-SA 4.0",
    "J. C. Peterson, R. M. Battleday, T. L. Griffiths, O. Russakovsky, 'Human uncertainty makes classification more "
    "robust', ICCV 2019",
)  # fmt: skip
_cifar_n = _of(
    "https://raw.githubusercontent.com/UCSC-REAL/cifar-10-100n/main/", "CC BY-NC 4.0",
    "J. Wei et al., 'Learning with noisy labels revisited: a study using real-world human annotations', ICLR 2022",
)  # fmt: skip
_fer_plus = _of(
    "https://raw.githubusercontent.com/microsoft/FERPlus/master/", "MIT",
    "E. Barsoum, C. Zhang, C. Canton Ferrer, Z. Zhang, 'Training deep networks for facial expression recognition with "
    "crowd-sourced label distribution', ICMI 2016",
)  # fmt: skip
_HARVARD = "CC BY-SA 4.0; images: Copyright (c) President and Fellows of Harvard College 2015, all rights reserved"

_KNOWN: dict[str, dict[str, Any]] = {  # of the archives of the DCIC benchmark
    "Benthic": {}, "CIFAR10H": {"licence": "CC BY-NC-SA 4.0"},
    "MiceBone": {"bytes": 680507926, "md5": "8a4026c22f07373f022d9ab4818089ec"}, "Pig": {}, "Plankton": {},
    "QualityMRI": {}, "Synthetic": {}, "Treeversity1": {"licence": _HARVARD}, "Treeversity6": {"licence": _HARVARD},
    "Turkey": {},
}  # fmt: skip
FILES = {
    **{f"{name}.zip": _dcic(f"{name}.zip?download=1", **known) for name, known in _KNOWN.items()},
    "cifar10h-counts.npy": _cifar10h(
        "cifar10h-counts.npy", bytes=800128, sha256="9b36b4550349af56c79083356312eb4af856cc5fd3caf1f669d40b9d0bbb69ff"
    ),
    "cifar10h-probs.npy": _cifar10h("cifar10h-probs.npy", bytes=800128),
    "cifar10h-raw.csv": _cifar10h(
        "cifar10h-raw.zip", sha256="4b0283f9b2ae72a616eeb4a2a38474cc2a238eb041bfb8df5ead3a8a47f35aa3",
        member="cifar10h-raw.csv",
    ),
    "CIFAR-10_human.pt": _cifar_n("data/CIFAR-10_human.pt", bytes=2401007),
    "CIFAR-100_human.pt": _cifar_n("data/CIFAR-100_human.pt", bytes=1000959),
    "side_info_cifar10N.csv": _cifar_n("side_info_cifar10N.csv"),
    "fer2013new.csv": _fer_plus("fer2013new.csv", bytes=1602762),
}  # fmt: skip


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Fetch the published file ``config["file"]`` (a key of ``FILES``) to ``outputs["file"]``."""
    fetch(FILES[config["file"]], outputs["file"])


def fetch(published: Published, target: Path) -> None:
    """Download a published file, check it, and put it (or the wanted member of it) at ``target``.

    The download grows in ``<target>.part``. Where a hash is known, the next call continues what a killed or failed one
    left there. Without a hash nobody could tell a mixture of two versions, so the next call starts again.
    """
    part = target.with_name(f"{target.name}.part")
    pinned = published.sha256 or published.md5
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not pinned:
            part.unlink(missing_ok=True)
        _download(published, part, target)
        _check(published, part, target)
        if published.member is None:
            _put(part, target)
        else:
            with archives.unpacked(part, target.parent) as folder:
                if not (folder / published.member).is_file():
                    raise UserError(f"{part}: holds no file {published.member!r}. Get {described(published)} by hand.")
                _put(folder / published.member, target)
            part.unlink()
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error}). Choose another folder, or make room.") from None
    finally:
        if not pinned:
            part.unlink(missing_ok=True)
    print(f"{target.name}: licence {published.licence}. Cite {published.citation}.", file=sys.stderr)


def _download(published: Published, part: Path, target: Path) -> None:
    """Fill ``part`` in several attempts; each continues where the last one ended."""
    for wait in (*WAITS, None):
        try:
            _receive(published, part)
            return
        except (URLError, HTTPException, ConnectionError, TimeoutError, SSLError) as error:
            refused = isinstance(error, HTTPError) and error.code < 500 and error.code not in (408, 429)
            reason = error if isinstance(error, HTTPError) else getattr(error, "reason", error)
            if refused or wait is None:
                raise UserError(
                    f"{target.name}: could not be fetched from {published.url} ({reason}). Put {described(published)} "
                    f"at {target}, then run again."
                ) from None
            print(f"{published.url}: {reason}; next attempt in {wait} s", file=sys.stderr, flush=True)
            time.sleep(wait)


def _receive(published: Published, part: Path) -> None:
    """One attempt: append to ``part`` what it lacks."""
    done = part.stat().st_size if part.exists() else 0
    if done == published.bytes:
        return
    request = urllib.request.Request(published.url, headers={"User-Agent": "softlabels"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        response = urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT)
    except HTTPError as error:
        if error.code != 416:
            raise
        # Nothing follows after the part: it is whole, or not a part of this file.
        if error.headers.get("Content-Range") == f"bytes */{done}":
            return
        part.unlink()
        raise ConnectionError(f"the {done} bytes in {part.name} are not of this file") from None
    with response:
        if response.status != 206:  # the whole file, whatever was asked for
            done = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            part.unlink()
            raise ConnectionError(f"asked for the bytes from {done}, got others")
        total = published.bytes if response.length is None else done + response.length
        if published.bytes not in (None, total):
            raise UserError(
                f"{published.url}: found a file of {total} bytes, expected {published.bytes}. It was replaced "
                f"there, or something between answers in its place: open the address in a browser."
            )
        free = shutil.disk_usage(part.parent).free
        if total is not None and total - done > free:
            raise UserError(
                f"{part.parent}: {free} bytes are free, but the download needs {total - done}. Make room there."
            )
        bar = progress(desc=part.stem, total=total, initial=done, unit="B", unit_scale=True)
        with bar, part.open("ab" if done else "wb") as file:
            for piece in _pieces(response):
                file.write(piece)
                bar.update(len(piece))
    if total is not None and part.stat().st_size < total:
        raise ConnectionError(f"cut after {part.stat().st_size} of {total} bytes")


def _pieces(response: HTTPResponse) -> Iterator[bytes]:
    """What arrives, as it arrives; any failure is the connection's, unlike those of writing."""
    try:
        while piece := response.read1(PIECE):
            yield piece
    except OSError as error:
        raise ConnectionError(str(error)) from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to allowed schemes only."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if urlsplit(newurl).scheme not in SCHEMES:
            raise HTTPError(newurl, code, f"redirect to {newurl} refused: only {', '.join(SCHEMES)}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check(published: Published, part: Path, target: Path) -> None:
    """Compare the download with what is known of it, or say that nothing is."""
    if difference := archives.difference(part, published):
        part.unlink()
        raise UserError(
            f"{target.name}: the download from {published.url} was deleted: {difference}. Run again to download it "
            f"anew; if that repeats, the file was replaced there."
        )
    if not (published.sha256 or published.md5):
        print(
            f"{target.name}: no checksum of this file is known, so it was not compared; found "
            f"{part.stat().st_size} bytes, sha256 {archives.digest(part, 'sha256')}",
            file=sys.stderr,
        )


def described(published: Published) -> str:
    """What to fetch by hand: name, address, size and hash."""
    name = Path(urlsplit(published.url).path).name
    known = [f"{published.bytes} bytes"] if published.bytes is not None else []
    known += [f"{kind} {value}" for kind in ("sha256", "md5") if (value := getattr(published, kind))]
    text = f"{name} ({', '.join([f'published at {published.url}', *known])})"
    return text if published.member is None else f"{published.member} out of {text}"


def _put(file: Path, target: Path) -> None:
    """Move a whole file into its place."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    file.replace(target)
