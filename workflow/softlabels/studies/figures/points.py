"""Each metric at every point of a study: one panel a metric, one row a point, a mark a label, with its interval."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from ... import drawing, io
from ...columns import percent
from ..ledger_view import Block, Ledger, half_width

ENTRY = {
    "about": "Each metric at every point of a study, a row a point, with intervals over seeds and images.",
    "options": {},
    "shared": ["metrics"],
    "needs": ["cells"],
    "per": "study",
}
FACTOR = 20  # values that span more than this stand on a logarithmic axis
WIDE, HIGH, ROW = 2.5, 1.3, 0.26  # inches of a panel, beside its rows, and of a row
MOST = 60  # rows that can be read
BESIDE = 0.16  # of a row, between the marks of two labels
LETTERS = 46  # of a row's name


def draw(config: dict, inputs: dict) -> Figure:
    """One row for each data set, split, recipe and point; dotted lines are what the paper prints of all rows."""
    ledger = Ledger(io.read_table(inputs["cells"])[0])
    metrics = config["figure"]["metrics"] or ledger.main
    blocks = ledger.blocks[:MOST]
    names = _names(ledger, blocks)
    longest = max(map(len, names))
    size = WIDE * len(metrics) + 0.075 * longest, HIGH + ROW * len(blocks)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        _panel(axes, ledger, blocks, metric)
        axes.set(title=ledger.heading(metric))
    panels[0].set_yticks(range(len(blocks)), names)
    panels[0].set_ylim(len(blocks) - 0.5, -0.5)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4), frameon=False)
    figure.suptitle(_title(ledger, len(ledger.blocks)), fontsize=10)
    return figure


def _names(ledger: Ledger, blocks: list[Block]) -> list[str]:
    """What tells each row from the others."""
    cells = [ledger.place(block) for block in blocks]
    told = [k for k in range(len(cells[0])) if len({row[k] for row in cells}) > 1] or [0]
    return [drawing.name(", ".join(row[k] for k in told), LETTERS) for row in cells]


def _panel(axes: Axes, ledger: Ledger, blocks: list[Block], metric: str) -> None:
    shown = []
    for k, (label, look) in enumerate(zip(ledger.labels, drawing.lines(len(ledger.labels)), strict=True)):
        marks, share = [], BESIDE * (k - (len(ledger.labels) - 1) / 2)
        for row, block in enumerate(blocks):
            found = ledger.get(block, label, metric)
            if found and math.isfinite(mean := found["mean"]["value"]):
                marks.append((mean, row + share, half_width(found)))
        x, y, half = zip(*marks, strict=True) if marks else ((), (), ())
        form = {"marker": "o", "markersize": 3.5, "capsize": 2, "elinewidth": 1, "color": look["color"]}
        axes.errorbar(x, y, xerr=half if any(half) else None, linestyle="none", label=drawing.name(label), **form)
        theirs = [ledger.get(ledger.of_paper(block), label, metric, "paper") for block in blocks]
        for value in {found["mean"]["value"] for found in theirs} if all(theirs) else ():
            axes.axvline(value, linestyle=":", linewidth=1, color=look["color"], zorder=0)
        shown += x
    if shown and min(shown) > 0 and max(shown) > FACTOR * min(shown):
        axes.set_xscale("log", nonpositive="clip")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.25, linewidth=0.5)


def _title(ledger: Ledger, rows: int) -> str:
    facts, seeds = ledger.facts, len(ledger.facts["seeds"])
    spread = f"mean and {percent(facts['level'])} two-way interval, {seeds} seeds" if seeds > 1 else "one seed"
    paper = "; dotted: the paper's Table 1" if ledger.has("paper") else ""
    cut = f"\nThe first {MOST} of {rows} rows; table.csv has all." if rows > MOST else ""
    return f"Study {drawing.name(facts['study'])}: {spread}{paper}{cut}"
