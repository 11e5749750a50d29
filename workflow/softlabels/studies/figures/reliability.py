"""Reliability diagrams of a study's runs: whether a network is right as often as it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from ... import drawing
from ...contracts import read_scores
from ...evaluation.reliability import BINS, binned
from ..ledger import of_labels
from ..shown import items, place, tested

ENTRY = {
    "about": "Reliability diagrams of each label's networks on test items: the reference's mass of the predicted class "
    "by the confidence in it, above how many items have it.",
    "options": {"truth": {"$ref": "truth", "default": "votes"}},
    "needs": ["predictions", "reference", "scores"],
    "per": "block",
}
RIGHT = {"votes": "reference's mass\nof the predicted class", "majority": "share with the majority\nas predicted class"}
METRIC = {"votes": ("soft_ece", "soft ECE"), "majority": ("ece", "ECE")}
WIDE, HIGH, BESIDE = 2.8, 3.4, 4  # inches of a panel with its histogram, and panels beside each other
TICKS = (0, 0.25, 0.5, 0.75, 1)


def draw(config: dict, inputs: dict) -> Figure:
    """A panel a label (Guo et al. 2017): a thin line a seed, and a thick one, of the items of all seeds together."""
    labels, by = config["labels"], config["figure"]["truth"]
    bins: dict[str, list[np.ndarray]] = {label: [] for label in labels}
    for label, part in tested(config, inputs):
        bins[label].append(binned(part, config["figure"]))
    errors = {name: scored(config, inputs["scores"], name) for name in (METRIC[by][0], "soft_ece_calibrated")}
    rows, columns = drawing.arranged(len(labels), WIDE, HIGH, BESIDE)
    figure = drawing.figure(WIDE * max(columns, 1.6), HIGH * rows, columns=1 if len(labels) == 1 else 2)
    panels = figure.subplots(2 * rows, columns, squeeze=False, sharex=True, height_ratios=[3, 1] * rows)
    most = max(_shares(of_label).max() for of_label in bins.values())
    colours = drawing.colours(len(labels))
    for k, label in enumerate(labels):
        above, below = panels[2 * (k // columns) : 2 * (k // columns) + 2, k % columns]
        _diagram(above, bins[label], colours[k])
        above.set_title(f"{drawing.name(label, 26)}\n{METRIC[by][1]} {_spread(errors[METRIC[by][0]][label])}")
        edges = np.linspace(0, 1, BINS)
        below.bar(edges[:-1], _shares(bins[label]), np.diff(edges), align="edge", color=colours[k], alpha=0.6)
        below.set(ylim=(0, 1.05 * most), xlim=(0, 1), xticks=TICKS)
        below.xaxis.set_major_formatter("{x:g}")
        below.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        if k % columns == 0:
            above.set_ylabel(RIGHT[by])
            below.set_ylabel("test items")
        if k + columns >= len(labels):
            below.set_xlabel("confidence")
            below.tick_params(labelbottom=True)
    for axes in panels[-2:, len(labels) - (rows - 1) * columns :].flat:
        axes.remove()
    looks = [{"linewidth": 1.8, "marker": "o"}, {"linewidth": 0.6}, {"linewidth": 1, "linestyle": ":"}]
    names = [f"all {len(config['seeds'])} seeds", "each seed", "right as often as it says"]
    shown = [0, 1, 2] if len(config["seeds"]) > 1 else [2]
    drawing.legend(figure, [Line2D([], [], color="grey", **_drawn(looks[k])) for k in shown], [names[k] for k in shown])
    counts = [int(of_seed[0].sum()) for of_label in bins.values() for of_seed in of_label]
    tests = items(counts, len(config["seeds"]))
    floor = errors["soft_ece_calibrated"] if part.counts is not None and by == "votes" else {}
    drawing.caption(figure, f"Study {config['study']}: reliability", _text(config, tests, floor))
    return figure


def scored(config: dict, paths: list[Path], metric: str) -> dict[str, list[float]]:
    """A metric of the test items by label, a number a seed, as it was evaluated; without those not defined."""
    runs = of_labels(paths, config, config["seeds"], "runs: scores of standard")
    values = {label: [read_scores(runs[f"{label}/seed{seed}"]).value(metric) for seed in config["seeds"]]
              for label in config["labels"]}  # fmt: skip
    return {label: [value for value in of_seeds if value is not None] for label, of_seeds in values.items()}


def _diagram(axes: Axes, of_seeds: list[np.ndarray], colour: str) -> None:
    """How right the items of each bin are over how confident they are: the gaps whose mean is the metric."""
    axes.plot([0, 1], [0, 1], **_drawn({"linewidth": 1, "linestyle": ":", "color": "grey"}), zorder=1)
    for one in of_seeds if len(of_seeds) > 1 else ():
        axes.plot(*_means(one), **_drawn({"linewidth": 0.6, "alpha": 0.5, "color": colour}))
    axes.plot(*_means(np.sum(of_seeds, axis=0)), **_drawn({"linewidth": 1.8, "marker": "o", "color": colour}))
    axes.set(ylim=(0, 1), yticks=TICKS)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.25)


def _drawn(look: dict) -> dict:
    return {**look, "linewidth": drawing.points(look["linewidth"]), "markersize": drawing.points(3)}


def _means(of_bins: np.ndarray) -> np.ndarray:
    """Mean confidence and how right the items are, ``[2, b]``, of the b bins that have any."""
    n, *sums = of_bins[:, of_bins[0] > 0]
    return np.array(sums) / n


def _shares(of_seeds: list[np.ndarray]) -> np.ndarray:
    """The share of all seeds' items in each of 15 bins, the last with those of the confidence 1."""
    n = np.sum(of_seeds, axis=0)[0]
    return np.append(n[:-2], n[-2] + n[-1]) / n.sum()


def _spread(values: list[float]) -> str:
    """Mean and, of several seeds, sample standard deviation."""
    mean = f"{np.mean(values):.4f}" if values else "not defined"
    return f"{mean} ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else mean


def _text(config: dict, tests: str, floor: dict[str, list[float]]) -> str:
    """The caption; ``floor`` is what calibrated networks would have, by label, where that is not 0."""
    several, by = len(config["seeds"]) > 1, config["figure"]["truth"]
    judged = {
        "votes": "Mean mass of the reference on the class that a network predicts",
        "majority": "Share of the items of which a network predicts the reference's most probable class",
    }[by]
    text = (
        f"{judged}, over its confidence (the probability that it gives this class), in 15 bins of equal width, each at "
        f"its mean confidence; a confidence of 1 is a bin of its own. Under the dotted line a network is too sure of "
        f"itself, above it not sure enough. Columns: the share of the test items in each bin. {place(config)}: {tests}."
    )
    if several:
        text += " Thick: the items of all seeds together; thin: each seed, which is the spread that there is."
    text += " Soft ECE" if by == "votes" else " ECE"
    text += " is the mean distance of the points from the dotted line, each by its items"
    text += ": mean ± sample standard deviation over seeds." if several else "."
    if means := sorted(f"{np.mean(values):.4f}" for values in floor.values() if values):
        told = " to ".join(dict.fromkeys((means[0], means[-1])))
        text += f" A calibrated network with such predictions would have {told}, by the scatter of the votes alone."
    return text
