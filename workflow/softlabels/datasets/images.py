"""Image files of any kind to ``images.npy``.

How a file becomes uint8 RGB: the EXIF orientation is applied; grey values are repeated in the three channels, palettes
looked up, CMYK converted by Pillow's formula; transparent images are laid over black; colour profiles are ignored. Grey
values of 16 bits are refused unless ``deep`` says how they become 8: ``scale`` (65535 becomes 255) or ``stretch`` (an
image's lowest value becomes 0, its highest 255). Other pixel types (LAB, floating point) and files
with several frames are refused.
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
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import Problems, UserError
from ..progress import progress
from . import contract

# Named, because Pillow's full list includes formats that start other programs (EPS: Ghostscript).
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "YCbCr", "CMYK")
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # grey values of 16 bits, as Pillow opens them
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


def relative_names(images: list[Path], folder: Path) -> Images:
    """The images, at least one, by their path below ``folder`` (with ``/``), sorted by it.

    One that is not inside the folder (``..``, a link out of it), or whose name is no text, is a UserError.
    """
    root, named = folder.resolve(), {}
    for path in images:
        readable = os.fsencode(path).decode(errors="backslashreplace")
        if readable != str(path):
            raise UserError(f"{readable}: has a name that is not UTF-8 text. Rename the file.")
        inside = path.is_relative_to(folder) and ".." not in path.relative_to(folder).parts
        if not inside or not Path(os.path.realpath(path)).is_relative_to(root):  # resolve() fails on circles of links
            raise UserError(
                f"{path}: is not in the image folder {folder}, or links out of it. Put the file itself there."
            )
        named[path.relative_to(folder).as_posix()] = path
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


def decode(content: bytes, deep: str = "refuse") -> Image.Image:
    """An RGB image from a file's bytes, by the rules above; errors are Pillow's, or a ValueError."""
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        if image.width * image.height > Image.MAX_IMAGE_PIXELS:  # up to twice as many, Pillow only warns
            raise Image.DecompressionBombError
        image.verify()  # checksums; the image cannot be used afterwards
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # MPO: a JPEG photograph with previews
            raise ValueError(f"{image.n_frames} frames, expected one image")
        if image.mode in DEEP_MODES and deep != "refuse":
            grey = np.asarray(image).astype(np.float64)
            low, high = (0, 65535) if deep == "scale" else (grey.min(), grey.max())
            image = Image.fromarray(np.rint(255 * ((grey - low) / max(high - low, 1)).clip(0, 1)).astype(np.uint8))
        if image.mode not in MODES:
            hint = "; source.deep says how 16-bit grey becomes 8-bit" if image.mode in DEEP_MODES else ""
            raise ValueError(f"pixel type {image.mode}, expected 8-bit grey, palette or colour{hint}")
        image.load()
        image = ImageOps.exif_transpose(image)
        if not image.has_transparency_data:
            return image.convert("RGB")
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "black"), image).convert("RGB")


def read_image(path: Path, deep: str = "refuse") -> tuple[Image.Image, str]:
    """An RGB image and the SHA-256 of the same bytes of its file; a UserError if that cannot be used."""
    try:
        content = path.read_bytes()
        image = decode(content, deep)
    except Image.DecompressionBombError:
        raise UserError(f"{path}: has more than {Image.MAX_IMAGE_PIXELS} pixels. Make it smaller first.") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: is no image of the types {', '.join(FORMATS)}. Convert or remove the file.") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise UserError(f"{path}: cannot be used as an image ({error}). Replace, convert or remove it.") from None
    return image, hashlib.sha256(content).hexdigest()


def decoded(
    paths: list[Path], options: Mapping[str, Any], threads: int, problems: Problems
) -> Iterator[tuple[np.ndarray, str]]:
    """Pixels uint8 ``[H, W, 3]`` and the file's SHA-256 of each image that can be used, in the order of the paths.

    Some more images than ``threads`` wait for their turn, so memory is bounded. ``problems`` gets the other files.
    """
    pixels = options["pixels"]

    def read(path: Path) -> tuple[np.ndarray, str]:
        image, digest = read_image(path, options["deep"])
        if pixels:
            image = resized(image, (pixels, pixels), options["resize"])
        return np.asarray(image), digest

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
                    image, digest = future.result()
                except UserError as error:
                    problems.add(str(error))
                    continue
                first = first or image.shape
                if image.shape == first:
                    yield image, digest
                else:
                    problems.add(
                        f"{path}: found {image.shape[1]} × {image.shape[0]} pixels, expected {first[1]} × {first[0]} "
                        f"as in {paths[0]}. Set source.pixels to resize all images to one square."
                    )
        finally:
            pool.shutdown(cancel_futures=True)


def import_images(
    paths: list[Path], options: Mapping[str, Any], output: Path | None, threads: int = 1
) -> dict[str, list[str] | pa.Array]:
    """Write ``images.npy`` uint8 ``[N, H, W, 3]``, a few images in memory at a time, and return columns of the items.

    These are ``sha256`` of each file's bytes, and ``duplicate``, the first item with the same pixels (null where this
    is the first). All files that cannot be used are one UserError. With None for the output, it only looks whether it
    could. ``options`` are ``pixels`` (the side of the square that images are resized to, bicubic; None: all must have
    the size of the first), ``resize`` (a key of FIT) and ``deep``.
    """
    problems = Problems()
    images = decoded(paths, options, threads, problems)
    first = next(images, None)
    if first is None:
        problems.stop()
        raise UserError("found no image. Add images to the folder of the source.")
    shape = (len(paths), *first[0].shape)
    hashes, duplicate, seen = [], [], {}
    with nullcontext() if output is None else contract.new_images(output, shape) as append:
        for row, (image, digest) in enumerate(chain([first], images)):
            if append:
                append(image)
            hashes.append(digest)
            same = seen.setdefault(hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest(), row)
            duplicate.append(same if same < row else None)
        problems.stop()
    return {"sha256": hashes, "duplicate": pa.array(duplicate, pa.int32())}
