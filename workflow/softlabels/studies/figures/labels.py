"""Each metric of every label: one panel a metric, one row a label, with its interval."""

from __future__ import annotations

import itertools
import math

from matplotlib.figure import Figure

from ... import drawing, io
from ..ledger_view import Ledger, half_width
from ..shown import of_ledger
from .points import HIGH, LETTERS, MOST, ROW, cut, mark, of_rows

ENTRY = {
    "about": "Each metric of every label, a row a label, with intervals over seeds and images: for many labels.",
    "options": {
        "difference": {"type": "boolean", "default": False,
            "description": "Each label minus the first, paired, in place of the means."},
    },
    "shared": ["metrics"],
    "needs": ["cells"],
    "per": "study",
}  # fmt: skip


def draw(config: dict, inputs: dict) -> Figure:
    """The labels of each data set, split, recipe and point; a dotted line is at the study's first, the baseline."""
    ledger, difference = Ledger(io.read_table(inputs["cells"])[0]), config["figure"]["difference"]
    baseline = ledger.facts["baseline"]
    metrics = config["figure"]["metrics"] or ledger.main
    everything = [*itertools.product(ledger.blocks, ledger.labels)]
    rows, several = everything[: drawing.fitting(ROW, HIGH) or MOST][:MOST], len(ledger.blocks) > 1
    names = [drawing.name(f"{ledger.name(block)}: {label}" if several else label, LETTERS) for block, label in rows]
    colours = dict(zip(ledger.labels, drawing.colours(len(ledger.labels)), strict=True))
    figure, panels = of_rows(names, [ledger.heading(metric) for metric in metrics])
    for axes, metric in zip(panels, metrics, strict=True):
        for row, (block, label) in enumerate(rows):
            first = label == baseline
            versus = ("difference", baseline) if difference and not first else ()
            found = ledger.get(block, label, metric, *versus)
            if not found or not math.isfinite(mean := found["mean"]["value"]):
                continue
            mean, half = (0.0, 0.0) if first and difference else (mean, half_width(found))
            axes.errorbar(mean, row, xerr=half or None, linestyle="none", **mark(colours[label]))
            if first:
                until, look = min(row + len(ledger.labels), len(rows)) - 0.5, {"linewidth": drawing.points(1)}
                axes.plot([mean, mean], [row - 0.5, until], ":", color=colours[label], **look)
        axes.grid(alpha=0.25)
    what = f"each label − {baseline}, paired by seed" if difference else "each label"
    text = f"Each metric, {what}. {of_ledger(ledger)} Dotted: {baseline}.{cut(len(rows), len(everything))}"
    drawing.caption(figure, f"Study {ledger.facts['study']}: its labels", text)
    return figure
