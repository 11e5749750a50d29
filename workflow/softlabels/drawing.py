"""What all figures share: colours, sizes for each medium, captions, and files with the same bytes for the same content.

Lengths that a figure gives are inches and points where letters have LETTERS points, as on the screen. In another medium
(:func:`style`) :func:`figure` has its width and letters, and :func:`points` its points.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

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
LETTERS = 9  # points
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same letters
    "font.size": LETTERS,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,
}
# Settings of matplotlib in points: they grow with the letters. Those of legends are in letters already.
IN_POINTS = (
    "font.size", "axes.titlesize", "axes.titlepad", "axes.labelpad", "axes.linewidth", "grid.linewidth",
    "lines.linewidth", "lines.markersize", "patch.linewidth",
    *(f"{axis}tick.{kind}.{what}" for axis in "xy" for kind in ("major", "minor") for what in ("size", "width", "pad")),
)  # fmt: skip
TIGHT = 0.8  # in print a figure may be so much smaller, by its letters, than on the screen
SMALLEST = 0.6  # letters of a medium that shows many rows, by its usual ones
SMALL = 7  # points, of what a caption in a picture is written in
A_INCH = 18  # such letters in an inch
BELOW = "below"  # what a legend below all panels is labelled
LINE = 1.3 * SMALL / 72  # inches from one of its lines to the next


class Medium(NamedTuple):
    """What figures are made for; lengths in inches."""

    letters: float  # points
    widths: tuple[float, float] | None  # of a figure of one and of two columns; None: as wide as each likes
    height: float  # of a figure at most
    whole: bool = False  # whether each figure is so high
    captioned: bool = False  # whether title and caption are part of the picture


SCREEN = Medium(LETTERS, None, float("inf"), captioned=True)
MEDIA = {"paper": Medium(7, (3.4, 7.0), 9.0), "slides": Medium(16, (13.33, 13.33), 7.5, whole=True)}
_medium: ContextVar[Medium] = ContextVar("medium", default=SCREEN)


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


def class_colours(classes: Sequence[str]) -> dict[str, str]:
    """The colour of each class of a data set by its name, ``#rrggbb``: the same in every figure and on every page."""
    return dict(zip(classes, colours(len(classes), classes=True), strict=True))


def mixed(p: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """The mix ``sum_k p_k colour_k`` of the class colours for each distribution ``[n, C]``, RGB ``[n, 3]``."""
    return np.clip(p @ np.array([to_rgb(colour) for colour in class_colours(classes).values()]), 0, 1)


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


# -- media -------------------------------------------------------------------------------------------------------------


@contextmanager
def style(medium: str | None = None) -> Iterator[None]:
    """The drawing style, for the length of a ``with`` block: for the screen, or one of MEDIA."""
    before = _medium.set(MEDIA[medium] if medium else SCREEN)
    try:
        with matplotlib.rc_context(STYLE):
            yield
    finally:
        _medium.reset(before)


def points(length: float) -> float:
    """So many points where letters have LETTERS, in those of the figure that is drawn."""
    return length * matplotlib.rcParams["font.size"] / LETTERS


def _room() -> tuple[float, float]:
    """Width and height that a figure of two columns may need, in inches where letters have LETTERS points."""
    medium = _medium.get()
    inch = TIGHT * medium.letters / LETTERS
    return (medium.widths[1] / inch if medium.widths else float("inf")), medium.height / inch


def fitting(each: float, besides: float) -> int | None:
    """How many rows of so many inches can be read beside others; None: any number."""
    high = _room()[1] / SMALLEST
    return max(1, int((high - besides) / each)) if np.isfinite(high) else None


def arranged(n: int, wide: float, high: float, most: int | None = None) -> tuple[int, int]:
    """Rows and columns for ``n`` panels, each with its texts of so many inches, that leave the letters largest.

    On the screen all stand beside each other, or at most ``most`` do.
    """
    room, most = _room(), n if _medium.get().widths else min(n, most or n)

    def letters(columns: int) -> float:
        return min(1, room[0] / (columns * wide), room[1] / (-(-n // columns) * high))

    return grid(n, max(range(most, 0, -1), key=letters))


def figure(wide: float, high: float, columns: int = 2) -> Figure:
    """An empty figure of the medium, whose content needs ``wide`` and ``high`` inches besides legend and caption.

    Where the medium has less room, even if it is TIGHT, all letters are smaller.

    Args:
        wide, high: inches where letters have LETTERS points.
        columns: of a page, 1 or 2.
    """
    medium = _medium.get()
    if not medium.widths:
        return Figure(figsize=(wide, high), layout="constrained")
    width = medium.widths[columns - 1]
    scale = min(medium.letters / LETTERS, width / (TIGHT * wide), medium.height / (TIGHT * high))
    known = {**matplotlib.rcParamsDefault, **STYLE}
    matplotlib.rcParams.update({name: known[name] * scale for name in IN_POINTS})
    height = medium.height if medium.whole else min(medium.height, high * max(scale, min(width / wide, 1)))
    return Figure(figsize=(width, height), layout="constrained")


def small_letters(figure: Figure) -> int:
    """How many letters of SMALL points, where others have LETTERS, stand beside each other in a figure."""
    return int(figure.get_figwidth() / points(1) * A_INCH)


def _higher(figure: Figure, inches: float) -> float:
    """Make a figure higher, if its medium lets it be; the share of its height that so many inches are."""
    medium, (width, height) = _medium.get(), figure.get_size_inches()
    if not medium.whole:
        height = min(height + inches, max(medium.height, height))
        figure.set_size_inches(width, height)
    return inches / height


def legend(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    """A legend below all panels, in as many columns as there is room for."""
    width, letters = figure.get_figwidth() / points(1), max(map(len, names))
    columns = min(len(names), max(1, int(width / (0.55 + 0.075 * letters))))
    _higher(figure, points(0.2 * -(-len(names) // columns) + 0.1))
    place = {"loc": "outside lower center", "ncols": columns, "frameon": False}
    figure.legend(handles, names, **place).set_label(BELOW)


def caption(figure: Figure, title: str, text: str) -> None:
    """What a figure shows, once all else is drawn: a title in a few words, and sentences that stand alone.

    On the screen the title is above the panels and the text below them. In print neither is in the picture;
    :func:`captioned` has both.
    """
    figure.set_label(f"{title}. {text}")
    if not _medium.get().captioned:
        return
    width = figure.get_figwidth()
    figure.suptitle("\n".join(textwrap.wrap(title, int(width * 12))), fontsize=LETTERS + 1, parse_math=False)
    rows = textwrap.wrap(text, int((width - 0.2) * A_INCH))
    share = _higher(figure, LINE * len(rows) + 0.1)
    renderer, taken = FigureCanvasAgg(figure).get_renderer(), share
    for between in (one for one in figure.legends if one.get_label() == BELOW):
        between.set_bbox_to_anchor((0, share, 1, 1 - share), figure.transFigure)
        taken += between.get_window_extent(renderer).height / figure.bbox.height
    figure.get_layout_engine().set(rect=(0, taken, 1, 1 - taken))
    place = {"x": 0.1 / width, "y": share - 0.02 / figure.get_figheight(), "va": "top"}
    figure.text(s="\n".join(rows), fontsize=SMALL, linespacing=LINE * 72 / SMALL / 1.16, parse_math=False, **place)


def captioned(figure: Figure) -> str:
    """The caption of a figure; of one of the user's own its title, where it has no more."""
    return figure.get_label() or figure.get_suptitle()


def save(figure: Figure, png: Path | None, pdf: Path | None = None) -> None:
    """Write a figure as PNG and as PDF, as far as asked to, atomically and without dates or versions of the writer."""
    FigureCanvasAgg(figure)
    if png is not None:
        with io.atomic(png) as part:
            figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None, "Description": captioned(figure)})
    if pdf is not None:
        no_dates = {"CreationDate": None, "Creator": None, "Producer": None}
        with io.atomic(pdf) as part:
            figure.savefig(part, format="pdf", dpi=DPI, metadata=no_dates)
