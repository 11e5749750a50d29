"""The paper's Figures 1 and 2: t-SNE embeddings of the test items, coloured by what is true of them."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import hsv_to_rgb, to_rgb
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D

from .. import drawing, io
from ..contracts import reference as reference_file
from ..contracts import scores
from ..contracts.rows import rows_of
from ..errors import UserError
from .ledger import expect, named

CLASS_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SHAPE_MAP = colormaps["viridis"]
BACKGROUND = "#d9d9d9"  # every hue, yellow and blue too, stands out from a light grey
PANEL = 4.2  # inches
ITEMS_IN_A_POINT = 25_000.0  # square points of ink for a whole panel: many items are drawn as small dots


class Panel(NamedTuple):
    """One label's embedding.

    Attributes:
        label: its name.
        item: int ``[n]``.
        points: float ``[n, 2]``.
        facts: metadata of the embedding (parameters, trustworthiness, label_smoothness).
        structure: numbers of the same run's feature space.
    """

    label: str
    item: np.ndarray
    points: np.ndarray
    facts: dict[str, Any]
    structure: dict[str, float | None]


def run(config: dict, inputs: dict, outputs: dict) -> None:
    """Draw the figure of one data set, split and recipe: the paper's Figure 1 where items have a colour and a shape
    position (columns ``u`` and ``s``), else its Figure 2.

    Args:
        config: ``study``, ``labels`` (names, in order) and ``seeds`` (the embeddings are of the first).
        inputs: ``embeddings`` (a file a label, in the order of ``labels``), ``items``, ``reference`` and ``scores``
            (the standard ones of the same runs).
        outputs: ``png``, ``pdf``.

    Raises:
        UserError: a label without an embedding or scores, or embeddings that were made differently.
    """
    panels = read_panels(config, inputs)
    items, _ = io.read_table(inputs["items"])
    dataset = Path(inputs["items"]).parent.name
    with drawing.style():
        if {"u", "s"} <= set(items.column_names):
            figure = positions_figure(panels, items, Path(inputs["items"]))
        else:
            figure = classes_figure(panels, Path(inputs["reference"]))
        seed = config["seeds"][0]
        figure.suptitle(f"Study {config['study']}: t-SNE of the test items of {dataset}, seed {seed}", fontsize=11)
        drawing.save(figure, outputs["png"], outputs["pdf"])


def read_panels(config: dict, inputs: dict) -> list[Panel]:
    """The embeddings with the structure numbers of their runs."""
    labels, seed = config["labels"], config["seeds"][0]
    if len(inputs["embeddings"]) != len(labels):
        raise UserError(
            f"embeddings: found {len(inputs['embeddings'])} files, expected one for each of the labels "
            f"{', '.join(labels)} in this order. Build the missing ones."
        )
    of_run = {"/".join(name.split("/")[3:]): path for name, path in named(inputs["scores"], "runs", own=2).items()}
    expect(of_run, [f"{label}/seed{seed}" for label in labels], "runs: scores of standard")
    panels = []
    for label, path in zip(labels, inputs["embeddings"], strict=True):
        table, facts = io.read_table(path)
        points = np.column_stack([io.vector(table, "x"), io.vector(table, "y")])
        scored = scores.read(of_run[f"{label}/seed{seed}"])
        structure = {name: scored.value(name) for name in scored.metrics("structure.")}
        panels.append(Panel(label, io.vector(table, "item"), points, facts, structure))
    return panels


def positions_figure(panels: list[Panel], items: Any, path: Path) -> Figure:
    """Figure 1: a row a label; colour position on the left, shape position on the right; legends below."""
    figure = Figure(figsize=(2 * PANEL, PANEL * (len(panels) + 0.55)), layout="constrained")
    grid = figure.add_gridspec(len(panels) + 1, 2, height_ratios=[*[1] * len(panels), 0.3])
    for row, panel in enumerate(panels):
        at = rows_of(path, io.vector(items, "item"), panel.item)
        u, s = io.vector(items, "u")[at], io.vector(items, "s")[at]
        left, right = (figure.add_subplot(grid[row, column]) for column in (0, 1))
        scatter(left, panel.points, hue(u), f"{panel.label}: colour position", embedding_text(panel))
        scatter(right, panel.points, SHAPE_MAP(s), f"{panel.label}: shape position", structure_text(panel))
    colour_wheel(figure, grid[len(panels), 0])
    shape_bar(figure, grid[len(panels), 1])
    note = " Six separate clusters, where they form, are the pure items of the synthetic set."
    caption(figure, panels, note if "pure" in items.column_names else "")
    return figure


def classes_figure(panels: list[Panel], reference_path: Path) -> Figure:
    """Figure 2: a panel a label; each item has the mix ``sum_k p_k colour_k`` of the class colours."""
    reference = reference_file.read(reference_path)
    colours = class_colours(len(reference.classes))
    mixed = np.clip(reference.p @ np.array([to_rgb(colour) for colour in colours]), 0, 1)
    figure = Figure(figsize=(PANEL * max(len(panels), 2), PANEL + 1.3), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        at = reference.rows(panel.item)
        scatter(axes, panel.points, mixed[at], panel.label, f"{embedding_text(panel)}\n{structure_text(panel)}")
    handles = [Line2D([], [], linestyle="", marker="o", color=colour) for colour in colours]
    figure.legend(
        handles, reference.classes, loc="outside right upper", frameon=False, title="class\n(mixed by\nthe reference)"
    )
    caption(figure, panels)
    return figure


def hue(u: np.ndarray) -> np.ndarray:
    """The item's own colour, RGB ``[n, 3]``: positions 0, 1, 2 of the ring are red, green and blue."""
    return hsv_to_rgb(np.column_stack([u / 3 % 1, np.ones_like(u), np.ones_like(u)]))


def class_colours(n: int) -> list[Any]:
    """One colour a class: for up to seven those of Okabe and Ito (2008), for more a walk around the hues."""
    if n <= len(CLASS_COLOURS):
        return list(CLASS_COLOURS[:n])
    return [tuple(hsv_to_rgb([k / n, 0.85, 0.9 - 0.35 * (k % 2)])) for k in range(n)]


def scatter(axes: Axes, points: np.ndarray, colours: np.ndarray, title: str, note: str) -> None:
    """One embedding; axes have no unit, so they have no ticks."""
    size = float(np.clip(ITEMS_IN_A_POINT / len(points), 3, 30))
    axes.scatter(points[:, 0], points[:, 1], c=colours, s=size, linewidths=0)
    axes.set(xticks=[], yticks=[], facecolor=BACKGROUND, title=title)
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[:].set_visible(False)
    axes.set_xlabel(note, fontsize=7)


def colour_wheel(figure: Figure, place: SubplotSpec) -> None:
    """The cyclic legend r → g → b → r."""
    axes = figure.add_subplot(place, projection="polar")
    angle = np.linspace(0, 2 * np.pi, 181)
    centre = (angle[:-1] + angle[1:]) / 2
    axes.bar(centre, 0.4, width=np.diff(angle), bottom=0.6, color=hue(3 * centre / (2 * np.pi)), linewidth=0)
    axes.set(ylim=(0, 1), yticks=[], xticks=[0, 2 * np.pi / 3, 4 * np.pi / 3], xticklabels=["red", "green", "blue"])
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.tick_params(labelsize=7, pad=4)
    axes.grid(False)
    axes.spines[:].set_visible(False)


def shape_bar(figure: Figure, place: SubplotSpec) -> None:
    """The sequential legend circle to ellipse."""
    axes = figure.add_subplot(place)
    axes.set_axis_off()
    bar = axes.inset_axes((0.1, 0.55, 0.8, 0.2))
    figure.colorbar(ScalarMappable(cmap=SHAPE_MAP), cax=bar, orientation="horizontal", ticks=[0, 0.5, 1])
    bar.set_xticklabels(["circle", "between", "ellipse"], fontsize=7)
    bar.spines[:].set_visible(False)


def embedding_text(panel: Panel) -> str:
    """The numbers behind the picture."""
    return "embedding: " + numbers(
        panel.facts, {"trustworthiness": "trustworthiness", "label_smoothness": "label smoothness"}
    )


def structure_text(panel: Panel) -> str:
    """The numbers of the feature space that was embedded."""
    names = {
        "structure.silhouette": "silhouette",
        "structure.label_smoothness": "label smoothness",
        "structure.distance_spearman": "distance Spearman",
        "structure.position_r2": "position R²",
    }
    return "features: " + numbers(panel.structure, names).replace(", distance", ",\ndistance")


def numbers(values: dict[str, Any], names: dict[str, str]) -> str:
    """Those that there are, with three decimals."""
    return ", ".join(f"{text} {values[key]:.3f}" for key, text in names.items() if values.get(key) is not None)


def caption(figure: Figure, panels: list[Panel], note: str = "") -> None:
    """How the embeddings were made, and what they do not show."""
    settings = panels[0].facts["parameters"]
    for panel in panels:
        if panel.facts["parameters"] != settings:
            raise UserError(
                f"embeddings: {panel.label} was made with {panel.facts['parameters']}, {panels[0].label} with "
                f"{settings}; expected the same. Build both again."
            )
    text = (
        f"t-SNE of the pooled features of {len(panels[0].item):,} test items: perplexity {settings['perplexity']:g}, "
        f"{settings['iterations']:,} iterations, {settings['init']} initialisation, seed {settings['seed']}. Sizes "
        f"of and gaps between clusters mean nothing.{note} Label smoothness is the mean Jensen-Shannon divergence "
        f"between an item's reference and its neighbours': smaller is smoother."
    )
    width = int(figure.get_figwidth() * 17)  # characters of this size in a line
    figure.supxlabel("\n".join(textwrap.wrap(text, width)), fontsize=7, ha="left", x=0.02)
