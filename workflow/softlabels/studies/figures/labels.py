"""Each metric of every label: one panel a metric, one row a label, with its interval."""

from __future__ import annotations

import itertools
import math

from matplotlib.figure import Figure

from ... import drawing, io
from ...columns import percent
from ..ledger_view import Ledger, half_width
from .points import HIGH, LETTERS, MOST, ROW, WIDE

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
    rows, several = everything[:MOST], len(ledger.blocks) > 1
    names = [drawing.name(f"{ledger.name(block)}: {label}" if several else label, LETTERS) for block, label in rows]
    size = WIDE * len(metrics) + 0.075 * max(map(len, names)), HIGH + ROW * len(rows)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        for row, (block, label) in enumerate(rows):
            first = label == baseline
            versus = ("difference", baseline) if difference and not first else ()
            found = ledger.get(block, label, metric, *versus)
            if not found or not math.isfinite(mean := found["mean"]["value"]):
                continue
            mean, half = (0.0, 0.0) if first and difference else (mean, half_width(found))
            look = {"color": drawing.OKABE_ITO[0 if first else 1], "markersize": 4, "capsize": 2, "elinewidth": 1}
            axes.errorbar(mean, row, xerr=half or None, marker="o", linestyle="none", **look)
            if first:
                until = row + len(ledger.labels) - 0.5
                axes.plot([mean, mean], [row - 0.5, until], ":", linewidth=1, color=look["color"])
        axes.set(title=ledger.heading(metric))
        axes.grid(alpha=0.25, linewidth=0.5)
    panels[0].set_yticks(range(len(rows)), names)
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    figure.suptitle(_title(ledger, len(everything), difference), fontsize=10)
    return figure


def _title(ledger: Ledger, rows: int, difference: bool) -> str:
    facts, seeds = ledger.facts, len(ledger.facts["seeds"])
    what = f"each label − {drawing.name(facts['baseline'])}" if difference else "mean"
    spread = f"{what}, {percent(facts['level'])} two-way interval, {seeds} seeds" if seeds > 1 else f"{what}, one seed"
    cut = f"\nThe first {MOST} of {rows} rows; table.csv has all." if rows > MOST else ""
    return f"Study {drawing.name(facts['study'])}: {spread}; dotted: {drawing.name(facts['baseline'])}{cut}"
