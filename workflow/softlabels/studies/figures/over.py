"""Each metric over a number that the study varies: one panel a metric, one line a label, with its interval."""

from __future__ import annotations

import math
import textwrap
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from ... import drawing, io
from ...columns import heads, number
from ..ledger_view import Block, Ledger, half_width
from ..shown import of_ledger
from .points import cut, mark

ENTRY = {
    "about": "Metrics over a number that the study varies, with intervals over seeds and images.",
    "options": {
        "key": {
            "type": ["string", "null"],
            "default": None,
            "description": "Which varied key, or its last part; null: a figure for each that has numbers.",
        },
    },
    "shared": ["metrics"],
    "needs": ["cells"],
    "per": "study",
}
FACTOR = 20  # values that span more than this stand on a logarithmic axis
ROWS = 6  # of panels: so many combinations of the other keys can be read
WIDE, HIGH = 3.4, 2.7  # inches of a panel
LINE = 38  # characters of a line beside a panel
BESIDE = 0.012  # of the axis, between the points of two labels


class Scale(NamedTuple):
    """Where the values of a key stand on an axis."""

    at: dict[str, float]  # value to place; a word such as ``all`` stands to the right of all numbers
    log: bool

    def beside(self, value: str, share: float) -> float:
        """A place beside that of a value, by a share of the axis: intervals of several labels hide each other not."""
        low, high = min(self.at.values()), max(self.at.values())
        return self.at[value] * (high / low) ** share if self.log else self.at[value] + share * (high - low)


def draw(config: dict, inputs: dict) -> Figure:
    """One row of panels for each data set, split, recipe and combination of the other keys."""
    ledger = Ledger(io.read_table(inputs["cells"])[0])
    keys = ledger.varied
    column = next(k for k, names in enumerate(zip(keys, heads(keys), strict=True)) if config["figure"]["key"] in names)
    head, place = heads(keys)[column], 3 + column
    rows: dict[Block, list[Block]] = {}
    for block in ledger.blocks:
        rows.setdefault((*block[:place], *block[place + 1 :]), []).append(block)
    metrics = config["figure"].get("metrics") or ledger.main
    shown = list(rows.items())[: drawing.fitting(HIGH, 0) or ROWS][:ROWS]
    lines, columns = drawing.arranged(len(metrics), WIDE, HIGH * len(shown))
    figure = drawing.figure(WIDE * max(columns, 1.5), HIGH * len(shown) * lines + 0.2)
    panels = figure.subplots(len(shown) * lines, columns, squeeze=False)
    scale = scale_of([block[place] for block in ledger.blocks])
    for k, (_, blocks) in enumerate(shown):
        of_row = panels[k * lines : (k + 1) * lines].flat
        for axes, metric in zip(of_row, metrics, strict=False):
            _panel(axes, ledger, blocks, place, metric, scale)
            axes.set(title=ledger.heading(metric), xlabel=head)
        of_row[0].set_ylabel(textwrap.fill(drawing.name(_others(ledger, blocks[0], head), 4 * LINE), LINE))
        for axes in of_row[len(metrics) :]:
            axes.remove()
    drawing.legend(figure, *panels[0, 0].get_legend_handles_labels())
    text = f"Each metric over {head}, a line a label, a row of panels for each combination of the other keys. "
    text += of_ledger(ledger) + cut(len(shown), len(rows))
    drawing.caption(figure, f"Study {ledger.facts['study']}: over {head}", text)
    return figure


def scale_of(values: list[str]) -> Scale:
    """Where values stand: numbers at their place, words after them in the order in which they come."""
    numbers = {value: found for value in values if (found := number(value)) is not None}
    low, high = min(numbers.values()), max(numbers.values())
    log = low > 0 and high >= FACTOR * low
    words = [value for value in dict.fromkeys(values) if value not in numbers]
    step = (high / low) ** 0.15 if log else 0.15 * (high - low)
    after = {word: high * step**k if log else high + step * k for k, word in enumerate(words, start=1)}
    return Scale(numbers | after, log)


def _panel(axes: Axes, ledger: Ledger, blocks: list[Block], place: int, metric: str, scale: Scale) -> None:
    """One metric: a line a label through the means, with intervals where there are any."""
    blocks = sorted(blocks, key=lambda block: scale.at[block[place]])
    means = []
    for k, (label, look) in enumerate(zip(ledger.labels, drawing.lines(len(ledger.labels)), strict=True)):
        points, share = [], BESIDE * (k - (len(ledger.labels) - 1) / 2)
        for block in blocks:
            found = ledger.get(block, label, metric)
            if found and math.isfinite(mean := found["mean"]["value"]):
                points.append((scale.beside(block[place], share), mean, half_width(found)))
        x, y, half = zip(*points, strict=True) if points else ((), (), ())
        form = mark(look["color"]) | {"linewidth": drawing.points(1.1), **look}
        axes.errorbar(x, y, half if any(half) else None, label=drawing.name(label), **form)
        means += y
    if means and min(means) > 0 and max(means) > FACTOR * min(means):
        axes.set_yscale("log", nonpositive="clip")
    if scale.log:
        axes.set_xscale("log")
    ticks = _readable(scale)
    axes.xaxis.set_major_locator(FixedLocator([scale.at[value] for value in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels(map(drawing.name, ticks))
    axes.grid(alpha=0.25)


def _readable(scale: Scale) -> list[str]:
    """The values that are written at the axis: those before which there is room."""
    place = {value: math.log(at) if scale.log else at for value, at in scale.at.items()}
    span, shown = max(place.values()) - min(place.values()), []
    for value in sorted(place, key=place.get, reverse=True):
        room = 0.015 * (len(value) + len(shown[-1]) + 1) * span if shown else 0
        if not shown or place[shown[-1]] - place[value] >= room:
            shown.append(value)
    return shown


def _others(ledger: Ledger, block: Block, head: str) -> str:
    """What tells a row of panels from the others."""
    start = len(ledger.place_header()) - len(ledger.varied)
    cells = zip(ledger.place_header(), ledger.place(block), strict=True)
    return ", ".join(f"{name} {text}" if k >= start else text for k, (name, text) in enumerate(cells) if name != head)
