"""Risk-coverage curves of a study's runs: how often the items that a network is most sure of are predicted wrong."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ... import drawing
from ...evaluation.risk import curve, losses
from ..shown import items, place, tested

ENTRY = {
    "about": "Risk-coverage curves of each label's networks on test items, beside the least that the reference allows.",
    "options": {"truth": {"$ref": "truth", "default": "votes"}},
    "needs": ["predictions", "reference"],
    "per": "block",
}
RISK = {"votes": "error against a vote", "majority": "error against the reference's most probable class"}
POINTS = np.linspace(0.02, 1, 99)  # shares of items: below, a curve is of a handful


def draw(config: dict, inputs: dict) -> Figure:
    """One colour a label: a thin line a seed, and a thick one, their mean."""
    options, labels = config["figure"], config["labels"]
    curves: dict[str, list[np.ndarray]] = {label: [] for label in labels}
    tops = []
    for label, part in tested(config, inputs):
        curves[label].append(_at(curve(*losses(part, options))))
        if label == labels[0]:  # each seed has a test part of its own
            tops.append(part.reference.max(axis=1))
    figure = drawing.figure(5.4, 4.2, columns=1)
    axes = figure.subplots()
    for label, look in zip(labels, drawing.lines(len(labels)), strict=True):
        for line in curves[label] if len(curves[label]) > 1 else ():
            axes.plot(POINTS, line, linewidth=drawing.points(0.6), alpha=0.4, **look)
        mean = np.mean(curves[label], axis=0)
        axes.plot(POINTS, mean, linewidth=drawing.points(1.8), label=drawing.name(label), **look)
    if options["truth"] == "votes":
        least, look = np.mean([_at(curve(1 - top, top)) for top in tops], axis=0), {"color": "grey"}
        look |= {"linewidth": drawing.points(1.2), "linestyle": (0, (1, 1))}
        axes.plot(POINTS, least, label="the reference itself", **look)
    axes.set(xlabel="coverage: share of test items, the most confident first", ylabel=RISK[options["truth"]])
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.25)
    drawing.legend(figure, *axes.get_legend_handles_labels())
    text = (
        f"Mean {RISK[options['truth']]} of those test items that a network is most sure of, over their share of all. "
        f"{place(config)}: {items(map(len, tops), len(tops))}."
    )
    if len(tops) > 1:
        text += " Thick: means over seeds; thin: each seed, which is the spread that there is."
    if options["truth"] == "votes":
        text += " Dotted: the least that the reference allows, its own most probable classes in their best order."
    drawing.caption(figure, f"Study {config['study']}: risk and coverage", text)
    return figure


def _at(values: np.ndarray) -> np.ndarray:
    """A curve of n items at POINTS, between two numbers of items in a straight line."""
    n = len(values)
    return np.interp(POINTS, np.arange(1, n + 1) / n, values)
