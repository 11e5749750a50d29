"""The figures of a card: its clearest and most ambiguous images, and histograms of votes, entropy and agreement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator

from ..drawing import DPI, OKABE_ITO, STYLE
from .agreement import Annotators
from .text import percent

Facts = Mapping[str, Any]

SHOWN = 12  # images of each block
COLUMNS = 6
BARS = 4  # classes below an image, the last for all others where there are more
CELL, GAP, MARGIN = 1.62, 0.2, 0.25  # inches, as all lengths here
TALLEST = 1.3  # height of an image by the width of its cell
NAME, BAR = 0.22, 0.165
TITLE, BLOCK = 0.5, 0.42
BLUE, ORANGE, PALE, GROUND = OKABE_ITO[1], OKABE_ITO[3], "#a9cfe8", "#f0f0f0"
FONT = FontProperties(family=STYLE["font.family"], size=7)
MOST_UNIT_BINS = 40


def choose(entropy: np.ndarray, hard: np.ndarray) -> dict[str, np.ndarray]:
    """Items for the contact sheet, int ``[n]`` by title: the clearest and the most ambiguous, lowest item first.

    The clearest are spread over the classes: first the clearest of each class, then the second of each, and so on;
    they come in the order of the classes.
    """
    n = min(SHOWN, max(1, len(entropy) // 2))
    order = np.lexsort((entropy, hard))  # stable: equal entropies stay in the order of items
    place = np.empty(len(order), np.int64)  # of each item among those of its class
    place[order] = np.arange(len(order)) - np.searchsorted(hard[order], hard[order])
    clear = np.lexsort((entropy, place))[:n]
    clear = clear[np.lexsort((clear, hard[clear]))]
    ambiguous = np.argsort(-entropy, kind="stable")[:n]
    return {
        f"The {n} clearest, spread over the classes: entropy {spread(entropy[clear])} nats": clear,
        f"The {n} most ambiguous: entropy {spread(entropy[ambiguous])} nats": ambiguous,
    }


def spread(values: np.ndarray) -> str:
    """Least and largest value, or the one that both print as."""
    return " to ".join(dict.fromkeys(f"{value:.2f}" for value in (values.min(), values.max())))


def contact_sheet(
    card: Facts, images: np.ndarray, names: list[str], p: np.ndarray, votes: np.ndarray | None,
    blocks: Mapping[str, np.ndarray],
) -> Figure:  # fmt: skip
    """Images uint8 ``[N, H, W, 3]`` of chosen items above bars of their distributions ``p`` ``[N, C]``.

    ``votes`` is how many each of the N items has, int ``[N]``, or None; ``blocks`` are items by the title above them.
    """
    classes = [each["name"] for each in card["classes"]]
    tall = CELL * min(images.shape[1] / images.shape[2], TALLEST)
    small = max(images.shape[1:]) <= CELL * DPI  # than their places on the page: they show their own pixels
    depth = np.minimum((p > 0).sum(axis=1), BARS)  # bars below each image
    rows = [
        (title if start == 0 else None, items[start : start + COLUMNS])
        for title, items in blocks.items()
        for start in range(0, len(items), COLUMNS)
    ]
    heights = [BLOCK * (title is not None) + tall + NAME + BAR * depth[items].max() + GAP for title, items in rows]
    width, height = 2 * MARGIN + COLUMNS * (CELL + GAP) - GAP, TITLE + sum(heights)
    figure = Figure(figsize=(width, height))

    def box(left: float, top: float, high: float) -> list[float]:
        return [left / width, 1 - (top + high) / height, CELL / width, high / height]

    heading = f"{card['dataset']}: label distributions of single images"
    figure.text(MARGIN / width, 1 - 0.18 / height, heading, fontsize=12, va="top")
    top = TITLE
    for (title, items), deep in zip(rows, heights, strict=True):
        if title is not None:
            figure.text(MARGIN / width, 1 - (top + 0.12) / height, title, fontsize=10, va="top", weight="bold")
        below = top + BLOCK * (title is not None)
        for column, item in enumerate(items.tolist()):
            left = MARGIN + column * (CELL + GAP)
            axes = figure.add_axes(box(left, below, tall))
            axes.imshow(images[item], interpolation="nearest" if small else "auto")
            axes.set_axis_off()
            many = "" if votes is None else f"n = {votes[item]:,}"
            place = box(left, below + tall, NAME + BARS * BAR)
            bars(figure.add_axes(place), names[item], many, p[item], classes)
        top += deep
    return figure


def bars(axes: Axes, name: str, votes: str, p: np.ndarray, classes: list[str]) -> None:
    """An item's name and votes above one bar a class, the most probable ones of its distribution ``[C]``."""
    axes.set_xlim(0, 1)
    axes.set_ylim(BARS + NAME / BAR, 0)
    axes.set_axis_off()
    line(axes, 0.5 * NAME / BAR, name, votes, edge=0, color="#555555")
    order = np.argsort(-p, kind="stable")[: (p > 0).sum()]
    shown = [(classes[k], p[k]) for k in order]
    if len(shown) > BARS:
        rest = shown[BARS - 1 :]
        shown = [*shown[: BARS - 1], (f"{len(rest)} others", sum(share for _, share in rest))]
    for row, (label, share) in enumerate(shown):
        y = NAME / BAR + row + 0.5
        axes.barh(y, 1, height=0.86, color=GROUND)
        axes.barh(y, share, height=0.86, color=PALE)
        line(axes, y, label, percent(share, 0), edge=0.02, head=0.5)


def line(axes: Axes, y: float, left: str, right: str, edge: float, head: float = 0, color: str = "black") -> None:
    """Two texts in one line; the left one is cut (see ``fit``) where it would meet the right one."""
    style = {"va": "center_baseline", "fontproperties": FONT, "color": color, "parse_math": False}
    room = CELL * (1 - 2 * edge) - inches(right) - 0.08
    axes.text(edge, y, fit(left, room, head), **style)
    axes.text(1 - edge, y, right, ha="right", **style)


def inches(text: str) -> float:
    """The width of a text."""
    return text_to_path.get_text_width_height_descent(text, FONT, False)[0] / 72


def fit(text: str, room: float, head: float) -> str:
    """As much of a name as fits into ``room`` inches: its end, which tells paths apart, and a share of its start."""
    shown, keep = text, len(text)
    while inches(shown) > room and keep > 1:
        keep -= 1
        start = int(keep * head)
        shown = f"{text[:start]}…{text[len(text) - keep + start :]}"
    return shown


def histograms(card: Facts, counts: np.ndarray | None, entropy: np.ndarray, annotators: Annotators | None) -> Figure:
    """Votes an image, entropy of the reference, and agreement of the annotators: a panel for each that is known."""
    panels = [] if counts is None else [(votes_panel, counts.sum(axis=1))]
    panels.append((entropy_panel, entropy))
    if annotators is not None and annotators.compared.any():
        panels.append((agreement_panel, annotators.agreement[annotators.compared > 0]))
    figure = Figure(figsize=(0.6 + 3.4 * len(panels), 3.3), layout="constrained")
    for axes, (draw, values) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        draw(axes, values)
        axes.axvline(values.mean(), color="black", linewidth=1, linestyle="--")
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(axis="y", alpha=0.25, linewidth=0.5)
        axes.set_axisbelow(True)
    missing = "no votes" if counts is None else "annotators unknown" if annotators is None else ""
    figure.suptitle(card["dataset"] + (f" ({missing})" if missing else ""), fontsize=11)
    return figure


def votes_panel(axes: Axes, votes: np.ndarray) -> None:
    """Histogram of whole numbers, in bins of one width."""
    low, high = int(votes.min()), int(votes.max())
    width = -(-(high - low + 1) // MOST_UNIT_BINS)
    columns(axes, votes, np.arange(low, high + width + 1, width) - 0.5)
    axes.set(title=f"Votes an image\ndashed: mean {votes.mean():,.1f}", xlabel="votes", ylabel="images")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if high - low < 4:
        axes.set_xlim(low - 2.5, high + 2.5)


def entropy_panel(axes: Axes, entropy: np.ndarray) -> None:
    """Histogram from 0 to the largest entropy, with a column of its own for the entropy 0."""
    unanimous = entropy == 0
    edges = np.linspace(0, entropy.max() if not unanimous.all() else 1, 31)
    columns(axes, entropy[~unanimous], edges)
    if unanimous.any():
        axes.bar(-edges[1] / 2, unanimous.sum(), edges[1], color=ORANGE, edgecolor="white", linewidth=0.4)
    note = f" (orange: {unanimous.sum():,} unanimous)" if unanimous.any() else ""
    title = f"Entropy of the reference\ndashed: mean {entropy.mean():.3f}"
    axes.set(title=title, xlabel=f"nats{note}", ylabel="images")


def agreement_panel(axes: Axes, agreement: np.ndarray) -> None:
    """Histogram of shares in [0, 1]."""
    low, high = np.floor(20 * agreement.min()) / 20, np.ceil(20 * agreement.max()) / 20
    columns(axes, agreement, np.linspace(min(low, 0.95), max(high, low + 0.05), 26))
    title = f"Agreement with the others\ndashed: mean {agreement.mean():.3f}"
    axes.set(title=title, xlabel="mean share of equal votes", ylabel="annotators")


def columns(axes: Axes, values: np.ndarray, edges: np.ndarray) -> None:
    """The columns of a histogram."""
    axes.hist(values, edges, color=BLUE, edgecolor="white", linewidth=0.4)
