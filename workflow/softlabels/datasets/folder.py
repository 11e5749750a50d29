"""Which files of a folder are its images."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

DICOM = {".dcm", ".dicom"}
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", *DICOM}
# What tells a results folder, whose pictures are no images of a data set: some of what a run writes there first.
RESULTS = (("data", "*/images.manifest.json"), ("studies", "*/config.manifest.json"), ("logs", "data/*.log"))


def image_files(folder: Path, follow_links: bool = False, told: list[str] | None = None) -> list[Path]:
    """All image files below a folder, by suffix, sorted by their path relative to it.

    Hidden files and results of runs are left out, and so are folders that are links, unless these are followed, and
    the :func:`originals`, of which ``told`` gets a sentence.
    """
    found = []
    for place, _, files in walk(folder, follow_links):
        found += [Path(place, name) for name in files if is_image(name)]
    found.sort(key=lambda path: path.relative_to(folder).as_posix())
    if not (left := originals(found)):
        return found
    if told is not None:
        first = next(path for path in found if path in left)
        told.append(
            f"DICOM files that have the name of another image but for the suffix were left out: {len(left)}, "
            f"{first.relative_to(folder).as_posix()} for one."
        )
    return [path for path in found if path not in left]


def originals(images: Collection[Path]) -> set[Path]:
    """The DICOM files that were exported as images of another type: there is one of that path, but for the suffix."""
    dicom = [path for path in images if path.suffix.lower() in DICOM]
    others = {path.with_suffix("") for path in images if path.suffix.lower() not in DICOM} if dicom else set()
    return {path for path in dicom if path.with_suffix("") in others}


def is_image(name: str) -> bool:
    """Whether a file is an image, by its name."""
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def walk(folder: Path, follow_links: bool) -> Iterator[tuple[str, list[str], list[str]]]:
    """As ``os.walk``, without hidden folders and results; a folder that is reached twice, by a link, is walked once."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=follow_links):
        if follow_links:
            about = Path(place).stat()
            if (about.st_dev, about.st_ino) in seen:
                folders.clear()
                continue
            seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not is_results(Path(place, name)))
        yield place, folders, files


def is_results(folder: Path) -> bool:
    """Whether a run has written to a folder as its results folder."""
    return any(next(Path(folder, name).glob(pattern), None) for name, pattern in RESULTS)


def linked_images(folder: Path) -> Path | None:
    """A folder below this one that is a link and holds images, or None."""
    for place, folders, _ in walk(folder, follow_links=False):
        for path in (Path(place, name) for name in folders):
            if path.is_symlink() and any(map(is_image, (name for _, _, files in walk(path, False) for name in files))):
                return path
    return None
