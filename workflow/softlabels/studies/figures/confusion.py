"""Confusion on soft mass: which classes a study's networks take for which, beside what the reference is unsure of."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from ... import drawing
from ...evaluation.confusion import ambiguity, confusion
from ..shown import items, place, tested

ENTRY = {
    "about": "Confusion of each label's networks on soft mass, beside that of the reference with itself.",
    "options": {},
    "needs": ["predictions", "reference"],
    "per": "block",
}
MOST, SHOWN = 40, 20  # so many classes can be read; of more, those that differ most
NUMBERED = 10  # up to so many classes, each share is written
ITSELF, OTHERS = "reference itself", "other votes"
SCALE = PowerNorm(0.5, 0, 1)  # so that a share of 1 % is seen
TICKS = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 1)
BESIDE = 4  # panels
NAME = 18  # letters of a class
DARK = 0.35  # shares above are so dark that their numbers are white


def draw(config: dict, inputs: dict) -> Figure:
    """The reference's panel and one a label, each a mean over seeds; only some of many classes."""
    found: dict[str, list[np.ndarray]] = {label: [] for label in config["labels"]}
    own, counts, single = [], [], []
    for label, part in tested(config, inputs):
        found[label].append(confusion(part))
        if label == config["labels"][0]:  # a seed's test items are the same for all labels
            own.append(ambiguity(part))
            counts.append(len(part.item))
            single.append(0 if part.counts is None else int((part.counts.sum(axis=1) == 1).sum()))
    votes, classes = part.counts is not None, part.classes
    shares = [mean(own), *map(mean, found.values())]
    kept = telling(shares) if len(classes) > MOST else np.arange(len(classes))
    names = [drawing.name(classes[k], NAME) for k in kept]
    side, longest = max(1.9, (0.34 if len(kept) <= NUMBERED else 0.16) * len(kept)), 0.07 * max(map(len, names))
    rows, columns = drawing.arranged(len(shares), side + 0.2 + longest / 2, side + 0.5 + longest / 2, BESIDE)
    wide, high = columns * (side + 0.2) + longest + 0.8, rows * (side + 0.5) + longest + 0.2
    figure = drawing.figure(wide, high)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(shares) :]:
        axes.remove()
    figure.set_layout_engine("compressed")  # panels are square
    drawn = [*panels.flat[: len(shares)]]
    titles = [OTHERS if votes else ITSELF, *(drawing.name(label, int(9 * side)) for label in found)]
    for k, (axes, title, matrix) in enumerate(zip(drawn, titles, shares, strict=True)):
        image = _panel(axes, matrix[np.ix_(kept, kept)], names)
        first, last = k % columns == 0, k + columns >= len(shares)
        axes.set(title=title, ylabel="reference" * first, xlabel="prediction" * last)
        axes.tick_params(labelbottom=last, labelleft=first)
    bar = figure.colorbar(image, ax=drawn, ticks=TICKS, shrink=0.9, aspect=30)
    bar.solids.set(rasterized=False, edgecolor="face")  # in print, too, it is no picture of dots
    bar.set_label("share of the class's mass")
    bar.ax.set_yticklabels([f"{100 * tick:g} %" for tick in TICKS])
    title = f"Study {config['study']}: confusion on soft mass"
    tests = items(counts, len(config["seeds"]))
    drawing.caption(figure, title, _text(config, tests, votes, len(kept), len(classes)) + _without(single, counts))
    return figure


def mean(of_seeds: list[np.ndarray]) -> np.ndarray:
    """The mean over those seeds in which a class has mass; NaN where it has in none."""
    there = np.isfinite(of_seeds)
    total, n = np.where(there, of_seeds, 0).sum(axis=0), there.sum(axis=0)
    return np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)


def telling(shares: list[np.ndarray]) -> np.ndarray:
    """The SHOWN classes, ascending, whose confusions with others differ most between reference (first) and networks.

    A class's difference is the sum, over labels, of those of its row and its column without the diagonal.
    """
    own, *of_labels = (np.nan_to_num(matrix) for matrix in shares)
    apart = sum(abs(matrix - own) for matrix in of_labels) * (1 - np.eye(len(own)))
    return np.sort(np.argsort(-(apart.sum(axis=0) + apart.sum(axis=1)), kind="stable")[:SHOWN])


def _panel(axes: Axes, matrix: np.ndarray, names: list[str]) -> QuadMesh:
    """One matrix; of few classes with its numbers, in hundredths."""
    colours = colormaps["Blues"].with_extremes(bad=drawing.BACKGROUND)
    look = {"edgecolors": "face", "linewidth": drawing.points(0.2)}  # cells that meet, without a gap between them
    image = axes.pcolormesh(np.ma.masked_invalid(matrix), cmap=colours, norm=SCALE, **look)
    axes.set(aspect="equal", ylim=(len(names), 0), xlim=(0, len(names)))
    size, at = drawing.points(7), np.arange(len(names)) + 0.5
    axes.set_xticks(at, names, rotation=90, fontsize=size)
    axes.set_yticks(at, names, fontsize=size)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (i, j), share in np.ndenumerate(matrix) if len(names) <= NUMBERED else ():
        if share >= 0.005:
            text = f"{share:.2f}".removeprefix("0")
            place = {"ha": "center", "va": "center", "fontsize": size}
            axes.text(j + 0.5, i + 0.5, text, color="white" if share > DARK else "black", **place)
    return image


def _without(single: list[int], counts: list[int]) -> str:
    """Which items the first panel lacks, of each seed."""
    if not any(single):
        return ""
    share = f"{100 * sum(single) / sum(counts):.1f} %"
    if single == counts:
        return " Every item has one vote, and no others to compare it with: the first panel is empty."
    return f" Items with one vote ({share}) have no others, and are not in the first panel."


def _text(config: dict, tests: str, votes: bool, shown: int, classes: int) -> str:
    """The caption."""
    itself = "each vote with the other votes on its image in the place of the prediction" * votes
    mean = " Means over seeds, without an interval." if len(config["seeds"]) > 1 else ""
    text = (
        f"Row i, column j: of the reference's mass of class i, the share that is predicted as class j, Σ p(i) q(j) / "
        f"Σ p(i), sums over test items. First panel: {itself or 'the reference in the place of the prediction'}, as a "
        f"network without error would be: what stands beside its diagonal is ambiguity, what the others show more or "
        f"less than it is error. {place(config)}: {tests}.{mean}"
    )
    if shown < classes:
        text += (
            f" Of {classes} classes, the {shown} whose confusions with others differ most between networks and "
            f"reference; rows sum to 1 over all of them."
        )
    return text
