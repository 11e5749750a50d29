"""Small pictures of images: sheets of many, which a page decodes when it first shows one of them."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image

COLUMNS, ROWS = 40, 25  # tiles of a sheet
LARGEST = 96  # pixels of a tile's longer side
QUALITY = 80  # of WebP: a tile of 96 pixels takes about 1.2 KB


class Sheets(NamedTuple):
    """Tiles ``[0, 1, …]``, row by row: ``sheets`` are WebP files of ``COLUMNS`` x ``ROWS`` tiles each."""

    width: int  # of a tile, in pixels
    height: int
    sheets: list[bytes]


def tile(image: np.ndarray, largest: int = LARGEST) -> Image.Image:
    """An image uint8 ``[H, W, 3]``, no side of it longer than ``largest`` pixels."""
    height, width = image.shape[:2]
    if max(height, width) <= largest:
        return Image.fromarray(image)
    scale = largest / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Image.fromarray(image).resize(size, Image.Resampling.BOX, reducing_gap=None)


def sheets(images: np.ndarray, items: np.ndarray) -> Sheets:
    """Tiles of some items, int ``[n]``, of images uint8 ``[N, H, W, 3]``."""
    width, height = tile(images[items[0]]).size
    made = []
    for start in range(0, len(items), COLUMNS * ROWS):
        part = items[start : start + COLUMNS * ROWS]
        sheet = Image.new("RGB", (COLUMNS * width, -(-len(part) // COLUMNS) * height))
        for place, item in enumerate(part.tolist()):
            sheet.paste(tile(images[item]), (place % COLUMNS * width, place // COLUMNS * height))
        made.append(webp(sheet))
    return Sheets(width, height, made)


def webp(picture: Image.Image) -> bytes:
    """A picture as a WebP file: the same bytes for the same pixels."""
    file = BytesIO()
    picture.save(file, "WEBP", quality=QUALITY, method=4)
    return file.getvalue()


def url(content: bytes, kind: str) -> str:
    """A file of a media type, such as ``image/png``, as a URL that holds it."""
    return f"data:{kind};base64,{b64encode(content).decode()}"
