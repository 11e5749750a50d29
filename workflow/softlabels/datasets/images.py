"""Image files of any kind to ``images.npy``.

How a file becomes uint8 RGB: the EXIF orientation is applied; grey values are repeated in the three channels, palettes
looked up, CMYK converted by Pillow's formula; transparent images are laid over black; colour profiles are ignored. Grey
values of more than 8 bits (whole numbers with or without a sign, floating point, DICOM) are refused unless ``deep``
says how they become 8: see ``grey.py``. Other pixel types (LAB, for one) and files with several frames are refused.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import warnings
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import Problems, UserError
from ..progress import progress
from . import contract, dicom, grey
from .folder import linked_images
from .grey import Deep, Spread

# Named, because Pillow's full list includes formats that start other programs (EPS: Ghostscript).
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "YCbCr", "CMYK")
# Into a square: other proportions, the centre of the long side alone, or black bars.
FIT = {"stretch": Image.Image.resize, "crop": ImageOps.fit, "pad": ImageOps.pad}
# What decode() does, for people who use a model elsewhere. Models and data carry it: change it with the rules alone.
COLOUR = "EXIF orientation applied, transparency over black, colour profiles ignored"
AHEAD = 4  # images a thread may have ready before they are written
warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # decode() refuses what it is about


class Images(dict[str, Path]):
    """Image files by the names of the items, which are paths below ``folder``, in item order."""

    def __init__(self, files: Mapping[str, Path], folder: Path):
        super().__init__(sorted(files.items()))
        self.folder = folder


def relative_names(images: list[Path], folder: Path, follow_links: bool = False) -> Images:
    """The images, at least one, by their path below ``folder`` (with ``/``), sorted by it.

    One that is not inside the folder (``..``, a link out of it unless these are followed), or whose name is no text,
    is a UserError, and so is a folder of images that is a link.
    """
    root, named = folder.resolve(), {}
    remedy = "Put the file itself there, or set source.follow_links to true if the place that it links to is yours."
    for path in images:
        readable = os.fsencode(path).decode(errors="backslashreplace")
        if readable != str(path):
            raise UserError(f"{readable}: has a name that is not UTF-8 text. Rename the file.")
        inside = path.is_relative_to(folder) and ".." not in path.relative_to(folder).parts
        target = Path(os.path.realpath(path))  # resolve() fails on circles of links
        if not inside or not (follow_links or target.is_relative_to(root)):
            raise UserError(f"{path}: is not in the image folder {folder}, or links out of it. {remedy}")
        if target != path and not target.is_file():
            raise UserError(
                f"{path}: cannot be used as an image (it links to {target}, which is not there). Fetch that file, as "
                f"with `datalad get` or `dvc pull`. Replace or remove the link if it is gone."
            )
        named[path.relative_to(folder).as_posix()] = path
    if not follow_links and (link := linked_images(folder)):
        raise UserError(
            f"{link}: is a link to a folder of images, which would be left out. Remove the link if they do not belong "
            f"to the data set, or set source.follow_links to true if the place that it links to is yours."
        )
    if not named:
        raise UserError(f"{folder}: found no image file ({', '.join(FORMATS)}). Put the images there.")
    return Images(named, folder)


def spellings(names: list[str]) -> dict[str, int]:
    """Every text that names exactly one image: its path, and its file name and stem where only one image has them."""
    short = defaultdict(set)
    for index, path in enumerate(map(PurePosixPath, names)):
        short[path.name].add(index)
        short[path.stem].add(index)
    unique = {text: indices.pop() for text, indices in short.items() if len(indices) == 1}
    return unique | {name: index for index, name in enumerate(names)}


def rules(options: Mapping[str, Any]) -> dict[str, str | None]:
    """By which rules the files of a source with these options become pixels (see ``contract.read_image_rules``)."""
    resize = options["resize"] if options["pixels"] else None
    return {"resize": resize, "deep": options["deep"], "colour": COLOUR}


def resized(image: Image.Image, size: tuple[int, int], resize: str) -> Image.Image:
    """An image in another size (width, height), bicubic; ``resize`` is a key of FIT."""
    return FIT[resize](image, size, Image.Resampling.BICUBIC)


class Decoded(NamedTuple):
    """An image file as RGB, the SHA-256 of the same bytes, and of grey values of more than 8 bits their spread."""

    image: Image.Image
    sha256: str
    spread: Spread | None


def decode(content: bytes, deep: Deep = "refuse") -> tuple[Image.Image, Spread | None]:
    """An RGB image from a file's bytes, by the rules above, and the spread of grey values of more than 8 bits.

    Errors are Pillow's, or a ValueError.
    """
    if dicom.is_dicom(content):
        found = dicom.read(content)
        pixels, spread = found.values, None
        if found.deep:
            pixels, spread = shallow(found.values, deep, "DICOM")
        return Image.fromarray(255 - pixels if found.inverted else pixels).convert("RGB"), spread
    with opened(io.BytesIO(content)) as image:
        image.verify()  # checksums; the image cannot be used afterwards
    with opened(io.BytesIO(content)) as image:
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # MPO: a JPEG photograph with previews
            raise ValueError(f"{image.n_frames} frames, expected one image")
        spread = None
        if image.mode in grey.MODES:
            pixels, spread = shallow(grey.values(image, deep), deep, f"pixel type {image.mode}", image.mode != "F")
            image = Image.fromarray(pixels)
        if image.mode not in MODES:
            raise ValueError(f"pixel type {image.mode}, expected grey, palette or colour")
        image.load()
        image = ImageOps.exif_transpose(image)
        if not image.has_transparency_data:
            return image.convert("RGB"), spread
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "black"), image).convert("RGB"), spread


def opened(file: Path | BinaryIO) -> Image.Image:
    """An image of one of FORMATS, not decoded yet; an error of BROKEN if it is none, or has too many pixels."""
    image = Image.open(file, formats=FORMATS)
    if image.width * image.height > Image.MAX_IMAGE_PIXELS:  # up to twice as many, Pillow only warns
        image.close()
        raise Image.DecompressionBombError
    return image


def shallow(values: np.ndarray, deep: Deep, what: str, whole: bool = True) -> tuple[np.ndarray, Spread]:
    """:func:`.grey.eight_bits`; a ValueError that names the key where ``deep`` does not say how."""
    if deep == "refuse":
        least, most = float(values.min()), float(values.max())
        low, high = grey.example(least, most, whole)
        raise ValueError(
            f"{what} with grey values from {least:g} to {most:g}, expected 8 bits; source.deep says how such values "
            f"become 8-bit, for example deep: {{low: {low:.15g}, high: {high:.15g}}}"
        )
    return grey.eight_bits(values, deep, whole)


def deep_values(path: Path) -> np.ndarray | None:
    """The grey values of a file with more than 8 bits, float64 ``[H, W]``; None for others, and what is refused."""
    try:
        content = path.read_bytes()
        if dicom.is_dicom(content):
            found = dicom.read(content)
            return found.values if found.deep else None
        with opened(io.BytesIO(content)) as image:
            return grey.values(image, "percentiles") if image.mode in grey.MODES else None
    except BROKEN:
        return None


# What Pillow raises of a file that cannot be used, and decode() itself.
BROKEN = (
    Image.DecompressionBombError, UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, struct.error,
)  # fmt: skip


def read_image(path: Path, deep: Deep = "refuse") -> Decoded:
    """An RGB image, the SHA-256 of the same bytes of its file, and its spread; a UserError if that cannot be used."""
    try:
        content = path.read_bytes()
        image, spread = decode(content, deep)
    except Image.DecompressionBombError:
        raise UserError(f"{path}: has more than {Image.MAX_IMAGE_PIXELS} pixels. Make it smaller first.") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: is no image of the types {', '.join(FORMATS)}. Convert or remove the file.") from None
    except BROKEN as error:
        raise UserError(f"{path}: cannot be used as an image ({error}). Replace, convert or remove it.") from None
    return Decoded(image, hashlib.sha256(content).hexdigest(), spread)


def decoded(
    paths: list[Path], options: Mapping[str, Any], threads: int, problems: Problems
) -> Iterator[tuple[np.ndarray, Decoded]]:
    """Pixels uint8 ``[H, W, 3]`` and what its file was, of each image that can be used, in the order of the paths.

    Some more images than ``threads`` wait for their turn, so memory is bounded. ``problems`` gets the other files.
    """
    pixels = options["pixels"]

    def read(path: Path) -> tuple[np.ndarray, Decoded]:
        found = read_image(path, options["deep"])
        image = resized(found.image, (pixels, pixels), options["resize"]) if pixels else found.image
        return np.asarray(image), found._replace(image=None)

    first: tuple[int, ...] | None = None
    todo, waiting = iter(paths), deque()
    with ThreadPoolExecutor(threads) as pool, progress(total=len(paths), desc="images") as bar:
        try:
            while True:
                while len(waiting) < threads * AHEAD and (path := next(todo, None)):
                    waiting.append((path, pool.submit(read, path)))
                if not waiting:
                    return
                path, future = waiting.popleft()
                bar.update()
                try:
                    image, found = future.result()
                except UserError as error:
                    problems.add(str(error))
                    continue
                first = first or image.shape
                if image.shape == first:
                    yield image, found
                else:
                    problems.add(
                        f"{path}: found {image.shape[1]} × {image.shape[0]} pixels, expected {first[1]} × {first[0]} "
                        f"as in {paths[0]}. Set source.pixels to resize all images to one square."
                    )
        finally:
            pool.shutdown(cancel_futures=True)


def data_range(paths: list[Path], deep: Deep, threads: int) -> Deep:
    """``deep``, of percentiles the range that a first pass over all images finds (``refuse`` where none needs one)."""
    grey.require_range(deep)
    if not isinstance(deep, Mapping) or "low" in deep:
        return deep

    def found() -> Iterator[np.ndarray]:
        with ThreadPoolExecutor(threads) as pool, progress(total=len(paths), desc="grey values") as bar:
            for start in range(0, len(paths), threads * AHEAD):
                for values in pool.map(deep_values, paths[start : start + threads * AHEAD]):
                    bar.update()
                    if values is not None:
                        yield values

    return grey.found_range(tuple(deep["percentiles"]), found) or "refuse"


def import_images(
    paths: list[Path], options: Mapping[str, Any], output: Path | None, threads: int = 1
) -> contract.Pixels:
    """Write ``images.npy`` uint8 ``[N, H, W, 3]``, a few images in memory at a time, and return columns of the items.

    These are ``sha256`` of each file's bytes, and ``duplicate``, the first item with the same pixels (null where this
    is the first). With them come remarks on grey values, and the rules by which the files became pixels. All files that
    cannot be used are one UserError. With None for the output, it only looks whether it could. ``options`` are
    ``pixels`` (the side of the square that images are resized to, bicubic; None: all must have the size of the first),
    ``resize`` (a key of FIT) and ``deep``.
    """
    problems = Problems()
    wanted = options["deep"]
    options = {**options, "deep": data_range(paths, wanted, threads)}
    images = decoded(paths, options, threads, problems)
    first = next(images, None)
    if first is None:
        problems.stop()
        raise UserError("found no image. Add images to the folder of the source.")
    shape = (len(paths), *first[0].shape)
    hashes, duplicate, seen, spread = [], [], {}, None
    with nullcontext() if output is None else contract.new_images(output, shape) as append:
        for row, (image, found) in enumerate(chain([first], images)):
            if append:
                append(image)
            hashes.append(found.sha256)
            spread = spread + found.spread if spread and found.spread else spread or found.spread
            same = seen.setdefault(hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest(), row)
            duplicate.append(same if same < row else None)
        problems.stop()
    columns = {"sha256": hashes, "duplicate": pa.array(duplicate, pa.int32())}
    deep = wanted if options["deep"] == "refuse" else options["deep"]  # percentiles that no image needed
    remarks = tuple(grey.remarks(deep, spread, len(paths)))
    return contract.Pixels(columns, remarks, rules(options))
