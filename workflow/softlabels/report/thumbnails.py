"""Small pictures of images: sheets of many, which a page decodes when it first shows one of them."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image

COLUMNS, ROWS = 40, 25  # tiles of a sheet
LARGEST = (96, 64, 48, 32)  # pixels of a tile's longer side: the first that fits
MOST = 12_000_000  # bytes of all sheets of a study
QUALITY = 80  # of WebP: a tile of 96 pixels takes 1 KB, or 3 where it is full of detail


class Sheets(NamedTuple):
    """Tiles ``[0, 1, …]``, row by row: ``sheets`` are WebP files of ``COLUMNS`` x ``ROWS`` tiles each."""

    width: int  # of a tile, in pixels
    height: int
    sheets: list[bytes]


def tile(image: np.ndarray, largest: int) -> Image.Image:
    """An image uint8 ``[H, W, 3]``, no side of it longer than ``largest`` pixels."""
    height, width = image.shape[:2]
    if max(height, width) <= largest:
        return Image.fromarray(image)
    scale = largest / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Image.fromarray(image).resize(size, Image.Resampling.BOX)


def sheets(images: np.ndarray, items: np.ndarray, most: int = MOST) -> Sheets:
    """Tiles of some items, int ``[n]``, of images uint8 ``[N, H, W, 3]``.

    They are as large as can be: all together about ``most`` bytes, as the first sheet tells.
    """
    each = COLUMNS * ROWS
    parts = [items[start : start + each] for start in range(0, len(items), each)]
    for largest in LARGEST:
        first = webp(_sheet(images, parts[0], largest))
        if len(first) * len(items) <= most * len(parts[0]):
            break
    width, height = tile(images[items[0]], largest).size
    return Sheets(width, height, [first, *(webp(_sheet(images, part, largest)) for part in parts[1:])])


def _sheet(images: np.ndarray, items: np.ndarray, largest: int) -> Image.Image:
    width, height = tile(images[items[0]], largest).size
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(items) // COLUMNS) * height))
    for place, item in enumerate(items.tolist()):
        sheet.paste(tile(images[item], largest), (place % COLUMNS * width, place // COLUMNS * height))
    return sheet


def webp(picture: Image.Image) -> bytes:
    """A picture as a WebP file: the same bytes for the same pixels."""
    file = BytesIO()
    picture.save(file, "WEBP", quality=QUALITY, method=4)
    return file.getvalue()


def url(content: bytes, kind: str) -> str:
    """A file of a media type, such as ``image/png``, as a URL that holds it."""
    return f"data:{kind};base64,{b64encode(content).decode()}"
