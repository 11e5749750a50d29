"""What all figures share: colours and files with the same bytes for the same content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from . import io

# Okabe and Ito (2008), told apart by colour-blind readers: vermilion, blue, bluish green, orange, purple, sky, black
OKABE_ITO = ("#D55E00", "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000")
LINES = ("-", "--", ":", "-.")
BACKGROUND = "#d9d9d9"  # of points: every hue, yellow and blue too, stands out from a light grey
DPI = 200  # dots an inch
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same letters
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,
}


def colours(n: int, *, classes: bool = False) -> list[str]:
    """``n`` colours for labels or for classes (which have purple before orange), no two the same.

    Up to seven are those of Okabe and Ito; each further one is as far as can be, in the colour space Oklab (Ottosson
    2020), from those before it and from the background, neither nearly black nor pale.
    """
    known = [*OKABE_ITO[:3], *(OKABE_ITO[4:2:-1] if classes else OKABE_ITO[3:5]), *OKABE_ITO[5:]]
    levels = np.linspace(0, 1, max(12, round((4 * n) ** (1 / 3))))
    candidates = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    candidates = candidates[abs(_oklab(candidates)[:, 0] - 0.64) < 0.24]
    place = _oklab(candidates)
    taken = _oklab(np.array([to_rgb(colour) for colour in [*known, BACKGROUND, "white"]]))
    distance = np.linalg.norm(place[:, None] - taken, axis=2).min(axis=1)
    while len(known) < n:
        best = int(distance.round(6).argmax())
        known.append(to_hex(candidates[best]))
        distance = np.minimum(distance, np.linalg.norm(place - place[best], axis=1))
    return known[:n]


def _oklab(rgb: np.ndarray) -> np.ndarray:
    """Lightness and two axes of colour, float64 ``[n, 3]``, of sRGB in [0, 1]."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = [[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]]
    axes = [[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]]
    return np.cbrt(linear @ np.transpose(cones)) @ np.transpose(axes)


def lines(n: int) -> list[dict[str, Any]]:
    """Colour and style of the line of each of ``n`` labels; after every seven another style."""
    return [{"color": c, "linestyle": LINES[k // 7 % len(LINES)]} for k, c in enumerate(colours(n))]


def grid(n: int, most: int) -> tuple[int, int]:
    """Rows and columns for ``n`` panels, at most ``most`` beside each other."""
    rows = -(-n // most)
    return rows, -(-n // rows)


def name(text: str, most: int = 32) -> str:
    """A name out of data as a figure can print it: start and end of a long one; ``$`` begins no mathematics."""
    if len(text) > most:
        text = f"{text[: most // 2]}…{text[len(text) - most // 2 + 1 :]}"
    space = "\N{THIN SPACE}" if text.startswith("_") else ""  # or a legend leaves it out
    return space + " ".join(text.split()).replace("$", r"\$")


def save(figure: Figure, png: Path, pdf: Path | None = None) -> None:
    """Write a figure as PNG, and as PDF if asked to, atomically and without dates or versions of the writer."""
    FigureCanvasAgg(figure)
    with io.atomic(png) as part:
        figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None})
    if pdf is not None:
        no_dates = {"CreationDate": None, "Creator": None, "Producer": None}
        with io.atomic(pdf) as part:
            figure.savefig(part, format="pdf", dpi=DPI, metadata=no_dates)


def style() -> matplotlib.rc_context:
    """The drawing style, for the length of a ``with`` block."""
    return matplotlib.rc_context(STYLE)
