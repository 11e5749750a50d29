"""Image files of any kind to ``images.npy``.

How a file becomes uint8 RGB: the EXIF orientation is applied; grey values are repeated in the three channels, palettes
looked up; transparent images are laid over black; colour profiles are ignored. Grey values of more than 8 bits (no way
down is agreed upon), other colour models (CMYK, LAB) and files with several frames are refused.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from collections import defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from ..errors import UserError
from . import contract

# Named, because Pillow's full list includes formats that start other programs (EPS: Ghostscript).
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "YCbCr")
FIT = {"stretch": Image.Image.resize, "crop": ImageOps.fit, "pad": ImageOps.pad}


def relative_names(images: list[Path], folder: Path) -> dict[str, Path]:
    """The images by their path below ``folder`` (with ``/``), sorted by it.

    Raises:
        UserError: no image, or one that is not inside the folder (``..``, another folder, a link out of it).
    """
    root = folder.resolve()
    named = {}
    for path in images:
        inside = path.is_relative_to(folder) and ".." not in path.relative_to(folder).parts
        if not inside or not path.resolve().is_relative_to(root):
            raise UserError(
                f"{path}: is not in the image folder {folder}, or links out of it. Put the file itself there."
            )
        named[path.relative_to(folder).as_posix()] = path
    if not named:
        raise UserError(f"{folder}: found no image file ({', '.join(FORMATS)}). Put the images there.")
    return dict(sorted(named.items()))


def spellings(names: list[str]) -> dict[str, int]:
    """Every text that names exactly one image: its path, and its file name and stem where only one image has them."""
    short = defaultdict(set)
    for index, name in enumerate(names):
        short[PurePosixPath(name).name].add(index)
        short[PurePosixPath(name).stem].add(index)
    unique = {text: indices.pop() for text, indices in short.items() if len(indices) == 1}
    return unique | {name: index for index, name in enumerate(names)}


def decode(content: bytes) -> Image.Image:
    """An RGB image from a file's bytes, by the rules above.

    Raises:
        ValueError, OSError and others of Pillow's: not a whole image of a kind that the rules cover.
    """
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        image.verify()  # checksums; the image cannot be used afterwards
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # MPO: a JPEG photograph with previews
            raise ValueError(f"{image.n_frames} frames, expected one image")
        if image.mode not in MODES:
            raise ValueError(f"pixel type {image.mode}, expected 8-bit grey, palette or RGB")
        image.load()
        image = ImageOps.exif_transpose(image)
        if not image.has_transparency_data:
            return image.convert("RGB")
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "black"), image).convert("RGB")


def read_image(path: Path) -> tuple[Image.Image, str]:
    """An RGB image and the SHA-256 of the same bytes of its file.

    Raises:
        UserError: not a readable image, or one so large that Pillow takes it for an attack.
    """
    try:
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = decode(content)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UserError(f"{path}: has more than {Image.MAX_IMAGE_PIXELS} pixels. Make it smaller first.") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: is no image of the types {', '.join(FORMATS)}. Convert or remove the file.") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise UserError(f"{path}: cannot be used as an image ({error}). Replace, convert or remove it.") from None
    return image, hashlib.sha256(content).hexdigest()


def import_images(paths: list[Path], output: Path, pixels: int | None, resize: str) -> list[str]:
    """Write ``images.npy`` uint8 ``[N, H, W, 3]``, one image in memory at a time.

    Args:
        paths: the N files, in item order.
        output: the file to write.
        pixels: the side of the square that images are resized to (bicubic); None: all images must have one size.
        resize: ``stretch`` (the proportions change), ``crop`` (the centre of the long side stays) or ``pad`` (black).

    Returns:
        The SHA-256 of each file's bytes, in hexadecimal.

    Raises:
        UserError: an unreadable file, or images of several sizes without ``pixels``.
    """
    size = (pixels, pixels) if pixels else read_image(paths[0])[0].size
    hashes = []
    with contract.new_images(output, (len(paths), size[1], size[0], 3)) as images:
        for row, path in enumerate(tqdm(paths, "images", disable=None)):
            image, digest = read_image(path)
            if pixels:
                image = FIT[resize](image, size, Image.Resampling.BICUBIC)
            elif image.size != size:
                raise UserError(
                    f"{path}: found {image.width} × {image.height} pixels, expected {size[0]} × {size[1]} as in "
                    f"{paths[0]}. Set source.pixels to resize all images to one square."
                )
            images[row] = np.asarray(image)
            hashes.append(digest)
    return hashes
