"""What all figures share: label colours and files with the same bytes for the same content."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from . import io

# Okabe and Ito (2008), told apart by colour-blind readers: vermilion, blue, bluish green, orange, purple, sky, black
LABEL_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000")
DPI = 200  # dots an inch
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same letters
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,
}


def label_colour(position: int) -> str:
    """The colour of the n-th label of a study."""
    return LABEL_COLOURS[position % len(LABEL_COLOURS)]


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
