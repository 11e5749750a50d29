"""Each metric at every point of a study: one panel a metric, one row a point, a mark a label, with its interval."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from ... import drawing, io
from ..ledger_view import Block, Ledger, half_width
from ..shown import of_ledger

ENTRY = {
    "about": "Each metric at every point of a study, a row a point, with intervals over seeds and images.",
    "options": {},
    "shared": ["metrics"],
    "needs": ["cells"],
    "per": "study",
}
FACTOR = 20  # values that span more than this stand on a logarithmic axis
WIDE, HIGH, ROW = 2.5, 1.0, 0.26  # inches of a panel, beside its rows, and of a row
MOST = 60  # rows that can be read
BESIDE = 0.16  # of a row, between the marks of two labels
LETTERS = 46  # of a row's name


def draw(config: dict, inputs: dict) -> Figure:
    """One row for each data set, split, recipe and point; dotted lines are what the paper prints of all rows."""
    ledger = Ledger(io.read_table(inputs["cells"])[0])
    metrics = config["figure"]["metrics"] or ledger.main
    blocks = ledger.blocks[: drawing.fitting(ROW, HIGH) or MOST][:MOST]
    figure, panels = of_rows(_names(ledger, blocks), [ledger.heading(metric) for metric in metrics])
    for axes, metric in zip(panels, metrics, strict=True):
        _panel(axes, ledger, blocks, metric)
    drawing.legend(figure, *panels[0].get_legend_handles_labels())
    text = f"Each metric at every point of the study, a row a point. {of_ledger(ledger)}"
    text += " Dotted: the paper's Table 1." * ledger.has("paper") + cut(len(blocks), len(ledger.blocks))
    drawing.caption(figure, f"Study {ledger.facts['study']}: its points", text)
    return figure


def of_rows(names: list[str], titles: list[str]) -> tuple[Figure, list[Axes]]:
    """An empty panel for each title, with a row for each name."""
    beside, high = 0.075 * max(map(len, names)), HIGH + ROW * len(names)
    rows, columns = drawing.arranged(len(titles), WIDE + beside / len(titles), high)
    figure = drawing.figure(WIDE * columns + beside, high * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).flat
    for axes in panels[len(titles) :]:
        axes.remove()
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(title)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    return figure, [*panels[: len(titles)]]


def cut(shown: int, rows: int) -> str:
    """That a figure does not show all rows, where it does not."""
    return f" The first {shown} of {rows} rows; table.csv has all." if rows > shown else ""


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
        form = mark(look["color"])
        axes.errorbar(x, y, xerr=half if any(half) else None, linestyle="none", label=drawing.name(label), **form)
        theirs = [ledger.get(ledger.of_paper(block), label, metric, "paper") for block in blocks]
        for value in {found["mean"]["value"] for found in theirs} if all(theirs) else ():
            axes.axvline(value, linestyle=":", linewidth=drawing.points(1), color=look["color"], zorder=0)
        shown += x
    if shown and min(shown) > 0 and max(shown) > FACTOR * min(shown):
        axes.set_xscale("log", nonpositive="clip")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.25)


def mark(colour: str) -> dict[str, Any]:
    """How a mean with its interval is drawn."""
    form = {"markersize": 3.5, "capsize": 2, "elinewidth": 1, "capthick": 1}
    return {"marker": "o", "color": colour, **{what: drawing.points(size) for what, size in form.items()}}
