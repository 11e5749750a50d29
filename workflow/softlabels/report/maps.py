"""The t-SNE of all labels' networks as linked plots: a point is the same image in each."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from bokeh.document import Document as BokehDocument
from bokeh.embed.util import standalone_docs_json_and_render_items
from bokeh.models import ColumnDataSource, HoverTool, Range1d, TapTool
from bokeh.plotting import figure
from matplotlib.colors import to_hex

from ..drawing import BACKGROUND, mixed
from ..studies.figures.embedding import SHAPE_MAP, hue
from .items import Items

PANELS = 2  # side by side: a select says which label each one shows
HEIGHT = 400  # pixels
MARGIN = 0.04  # of the extent, around all points
POINTS, RINGS = "points", "rings"  # names by which the page's script finds renderers; with DATA, their sources
DATA = "-data"


def plots(items: Items) -> dict[str, Any]:
    """What the page's script embeds: Bokeh's documents and where their roots go, ready for JSON.

    Columns of the data called ``points``: ``x0``, ``y0`` … of each label in the order of ``items.maps``, and colours
    ``mix`` (of the classes, by the reference) and, of generated items, ``hue`` and ``shape``, their positions.
    """
    labels = list(items.maps)
    paints = {"mix": mixed(items.p, items.classes)}
    if "u" in items.places:
        paints |= {"hue": hue(items.places["u"]), "shape": SHAPE_MAP(items.places["s"])}
    columns: dict[str, Any] = {name: list(map(to_hex, rgb)) for name, rgb in paints.items()}
    for k, label in enumerate(labels):
        columns |= {f"x{k}": items.maps[label][:, 0], f"y{k}": items.maps[label][:, 1]}
    source = ColumnDataSource(columns, name=POINTS + DATA)
    rings = ColumnDataSource({name: [] for name in columns if name[0] in "xy"}, name=RINGS + DATA)
    made = [_plot(source, rings, k, items.maps[label]) for k, label in enumerate(labels[:PANELS])]
    whole = BokehDocument()
    for one in made:
        whole.add_root(one)
    documents, _ = standalone_docs_json_and_render_items(whole)
    (content,) = documents.values()  # under a random name
    return _renumbered({"document": content, "roots": [one.id for one in made]}) | {"labels": labels}


def _renumbered(value: dict[str, Any]) -> dict[str, Any]:
    """The same with ids that do not depend on how many models this process has made before."""
    ids: dict[str, str] = {}
    text = re.sub(r'"p(\d+)"', lambda found: f'"{ids.setdefault(found[1], f"m{len(ids)}")}"', json.dumps(value))
    return json.loads(text)


def _plot(source: ColumnDataSource, rings: ColumnDataSource, k: int, points: np.ndarray) -> figure:
    """One label's plot: points, and a ring around what is looked at."""
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2, max(float((high - low).max()), 1e-6) * (0.5 + MARGIN)
    plot = figure(
        height=HEIGHT, sizing_mode="stretch_width", output_backend="webgl", match_aspect=True,
        tools="pan,wheel_zoom,box_zoom,reset", active_scroll=None, active_drag=None, toolbar_location="above",
        x_range=Range1d(middle[0] - half, middle[0] + half), y_range=Range1d(middle[1] - half, middle[1] + half),
        background_fill_color=BACKGROUND, border_fill_alpha=0, outline_line_color=None,
    )  # fmt: skip
    plot.toolbar.logo = None
    plot.axis.visible = plot.grid.visible = False
    size = float(np.clip(90 / len(points) ** 0.4, 3, 9))
    at, ringed = (f"x{k}", f"y{k}"), {"fill_color": None, "line_color": "black", "line_width": 2.5}
    shown = plot.scatter(*at, source=source, size=size, fill_color="mix", line_color=None, name=POINTS)
    ring = plot.scatter(*at, source=rings, size=18, name=RINGS, **ringed)
    for one in (shown, ring):  # else they have glyphs for what is selected, which do not follow a choice on the page
        one.selection_glyph = one.nonselection_glyph = None
    plot.add_tools(HoverTool(renderers=[shown], tooltips=None), TapTool(renderers=[shown]))
    return plot
