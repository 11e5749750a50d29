"""Grey values of more than 8 bits, as cameras, microscopes and scanners write them, and how they become 8.

``deep`` says how: ``refuse``; ``scale``, 65535 becomes 255; ``stretch``, an image's lowest value becomes 0, its highest
255; or one range for the whole data set, ``{low, high}``, or ``{percentiles}`` of all its grey values, from which
:func:`found_range` makes a range before anything is written. What lies outside of a range is counted, and becomes 0 or
255; nothing wraps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..errors import UserError

Deep = str | Mapping[str, Any]  # the value of ``deep``
MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")  # of such images, as Pillow opens them
SAMPLE_FORMAT, BITS = 339, 258  # tags of TIFF
UNSIGNED = 1  # the sample format of whole numbers without a sign
HALF = 1 << 16  # a float32 in two steps: its sign, exponent and first bits, then the rest
FEW_LEVELS = 4  # `scale` is questioned where the highest value is this many times below 65535


class Spread(NamedTuple):
    """The grey values of an image, or of several: how many, from where to where, and how many a range leaves out."""

    images: int
    pixels: int
    least: float
    most: float
    below: int
    above: int
    cut: int  # images with some below or above

    def __add__(self, other: Any) -> Spread:
        """The grey values of both."""
        ends = min(self.least, other.least), max(self.most, other.most)
        sums = (a + b for a, b in zip(self, other, strict=True))
        images, pixels, _, _, below, above, cut = sums
        return Spread(images, pixels, *ends, below, above, cut)


def values(image: Image.Image, deep: Deep) -> np.ndarray:
    """The grey values of an image in one of MODES, as its file has them, float64 ``[H, W]``.

    ValueError for values that are no finite numbers. Pillow reads whole numbers of 32 bits as if they had a sign, and
    makes 65535 of the largest value of a PGM; both are undone (the latter not for ``scale``, whose 65535 that is).
    """
    tags, last = getattr(image, "tag_v2", {}), image.tile[0].args if image.tile else None
    found = np.asarray(image)
    if image.mode == "I" and tags.get(BITS) == (32,) and tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0] == UNSIGNED:
        found = found.astype(np.int32).view(np.uint32)
    found = found.astype(np.float64)
    if image.format == "PPM" and isinstance(last, tuple) and isinstance(last[-1], int) and deep != "scale":
        found = np.rint(found * last[-1] / 65535)
    return finite(found)


def finite(found: np.ndarray) -> np.ndarray:
    """The same values; a ValueError where some are no finite numbers."""
    if bad := int((~np.isfinite(found)).sum()):
        raise ValueError(f"{bad} of {found.size} pixels are no finite number, expected a value for each")
    return found


def eight_bits(found: np.ndarray, deep: Deep, whole: bool = True) -> tuple[np.ndarray, Spread]:
    """Grey values ``[H, W]`` as uint8, and their spread; ``whole``: whether the file has whole numbers."""
    least, most = float(found.min()), float(found.max())
    if isinstance(deep, Mapping):
        low, high = deep["low"], deep["high"]
    elif deep == "stretch":
        low, high = least, most
    elif whole:
        low, high = 0.0, 65535.0
    else:
        raise ValueError(
            "floating-point pixels, for which source.deep: scale has no highest value; expected a range, "
            "{low: …, high: …}, or {percentiles: [1, 99]}, or stretch"
        )
    grey = np.rint(255 * ((found - low) / ((high - low) or 1)).clip(0, 1)).astype(np.uint8)
    below, above = int((found < low).sum()), int((found > high).sum())
    return grey, Spread(1, found.size, least, most, below, above, int(below + above > 0))


def example(least: float, most: float, whole: bool) -> tuple[float, float]:
    """A range that a message may propose for an image with these grey values: they, or what is usual if they are few.

    An empty or nearly empty image says little of the others.
    """
    if most > least and (most - least > 255 or not whole):
        return least, most
    return (0, 4095) if whole else (0, 1)


def require_range(deep: Deep) -> None:
    """Refuse a range whose low end is not below its high end."""
    if isinstance(deep, Mapping) and "low" in deep and not deep["low"] < deep["high"]:
        raise UserError(
            f"source.deep: found low {deep['low']:g} and high {deep['high']:g}, expected low below high. Correct them."
        )


def found_range(percentiles: tuple[float, float], images: Any) -> dict[str, Any] | None:
    """The range ``{low, high, percentiles}`` between two percentiles of all grey values; None where there are none.

    A percentile is the smallest value that at least so many per cent of the pixels do not exceed (NumPy's method
    ``inverted_cdf``), as float32. ``images()`` gives the values of each image; it is called twice, so that data sets of
    any size need a few MB: of a number, the first 16 bits are counted, then the others of those that matter.
    """
    first = np.zeros(HALF, np.int64)
    for found in images():
        first += np.bincount(_keys(found) >> 16, minlength=HALF)
    total = int(first.sum())
    if not total:
        return None
    ranks = [max(1, math.ceil(total * Fraction(str(percent)) / 100)) for percent in percentiles]
    upper = np.searchsorted(first.cumsum(), ranks)  # where the first bits reach each rank
    second = {int(part): np.zeros(HALF, np.int64) for part in upper}
    for found in images():
        keys = _keys(found)
        for part, counts in second.items():
            counts += np.bincount(keys[keys >> 16 == part] & (HALF - 1), minlength=HALF)
    ends = []
    for rank, part in zip(ranks, upper.tolist(), strict=True):
        before = int(first[:part].sum())
        ends.append(_value((part << 16) + int(np.searchsorted(second[part].cumsum(), rank - before))))
    low, high = ends
    if low == high:
        raise UserError(
            f"source.deep.percentiles: found {low:g} at both ends, {percentiles[0]:g} and {percentiles[1]:g} per cent, "
            f"expected different values. Move them apart, or give low and high."
        )
    return {"low": low, "high": high, "percentiles": list(percentiles)}


def _keys(found: np.ndarray) -> np.ndarray:
    """Whole numbers, int64, in the order of float32 values: negative numbers' bits fall as they rise."""
    bits = (found.astype(np.float32).ravel() + np.float32(0)).view(np.int32).astype(np.int64)  # + 0: no negative zero
    return np.where(bits >= 0, bits + (1 << 31), (1 << 31) - 1 - (bits & 0x7FFFFFFF))


def _value(key: int) -> float:
    """The number that a key stands for."""
    bits = key - (1 << 31) if key >= 1 << 31 else ((1 << 31) - 1 - key) | 1 << 31
    return float(np.array(bits, np.uint32).view(np.float32))


def remarks(deep: Deep, spread: Spread | None, n_images: int) -> Iterable[str]:
    """What the data card says of grey values: what became of them, and what a range left out."""
    by_range = isinstance(deep, Mapping)
    if spread is None:
        if by_range or deep in ("scale", "stretch"):
            yield "No image has grey values of more than 8 bits: `deep` changed nothing."
        return
    which = "all" if spread.images == n_images else f"{spread.images:,} of {n_images:,}"
    have = f"The grey values of {which} images have more than 8 bits, from {spread.least:.15g} to {spread.most:.15g}"
    rest = "" if spread.images == n_images else " The other images have 8 bits and are as they were."
    outside = (
        f"{spread.below:,} of {spread.pixels:,} pixels lie below and became 0, {spread.above:,} lie above and became "
        f"255 ({spread.cut:,} images)."
    )
    if by_range:
        because = ""
        if percentiles := deep.get("percentiles"):
            because = f" ({percentiles[0]:g} and {percentiles[1]:g} per cent of all lie at or below these)"
        yield f"{have}: {deep['low']:.15g} became 0 and {deep['high']:.15g} became 255{because}. {outside}{rest}"
    elif deep == "scale" and spread.below + spread.above:
        yield f"{have}: 65535 became 255. {outside} `deep: {{low: …, high: …}}` sets another range.{rest}"
    elif deep == "scale" and spread.most * FEW_LEVELS < 65535:
        levels = int(np.rint(spread.most / 257)) + 1
        yield (
            f"{have}: as 65535 became 255, at most {levels} of 256 levels are left. `deep: {{low: {spread.least:.15g}, "
            f"high: {spread.most:.15g}}}` would use all.{rest}"
        )
    elif rest:
        yield f"{have}.{rest}"
