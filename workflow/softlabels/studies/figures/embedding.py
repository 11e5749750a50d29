"""The paper's Figures 1 and 2: t-SNE embeddings of the test items, coloured by what is true of them."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D

from ... import drawing, io
from ...contracts import read_reference, read_scores, rows_of
from ...errors import UserError
from ...evaluation.structure import FACTS
from ..ledger import of_labels

ENTRY = {
    "about": "t-SNE of the test items for each label, coloured by their positions where they have any, else by class.",
    "options": {},
    "needs": ["embeddings", "items", "reference", "scores"],
    "per": "block",
}
SHAPE_MAP = colormaps["viridis"]
PANEL, SMALL_PANEL = 4.2, 3.3  # inches; small where there are many
NAMES = 100  # of classes in a legend
BESIDE, BELOW = 4, 5  # panels of classes side by side; labels of Figure 1 below each other
ITEMS_IN_A_POINT = 25_000.0  # square points of ink for a whole panel: many items are drawn as small dots


class Panel(NamedTuple):
    """One label's embedding."""

    label: str  # its name
    item: np.ndarray  # int [n]
    points: np.ndarray  # float [n, 2]
    facts: dict[str, Any]  # metadata of the embedding: parameters, trustworthiness, label_smoothness
    structure: dict[str, list[float]]  # numbers of the feature spaces of all seeds' networks, by heading


def draw(config: dict, inputs: dict) -> Figure:
    """The paper's Figure 1 where items have a colour and a shape position (``u`` and ``s``), else its Figure 2."""
    panels = read_panels(config, inputs)
    items, _ = io.read_table(inputs["items"])
    title = f"Study {config['study']}: t-SNE of the test items of {config['block'][0]}, seed {config['seeds'][0]}"
    if {"u", "s"} <= set(items.column_names):
        return positions_figure(panels, items, Path(inputs["items"]), title)
    return classes_figure(panels, Path(inputs["reference"]), title)


def read_panels(config: dict, inputs: dict) -> list[Panel]:
    """The embeddings, which are of the first seed, with the structure numbers of every seed."""
    labels, seeds = config["labels"], config["seeds"]
    if len(inputs["embeddings"]) != len(labels):
        raise UserError(
            f"embeddings: found {len(inputs['embeddings'])} files, expected one for each of the labels "
            f"{', '.join(labels)} in this order. Build the missing ones."
        )
    of_run = of_labels(inputs["scores"], config, seeds, "runs: scores of standard")
    panels = []
    for label, path in zip(labels, inputs["embeddings"], strict=True):
        table, facts = io.read_table(path)
        points = np.column_stack([io.vector(table, "x"), io.vector(table, "y")])
        scored = [read_scores(of_run[f"{label}/seed{seed}"]) for seed in seeds]
        values = {about["heading"]: [s.value(f"structure.{name}") for s in scored] for name, about in FACTS.items()}
        structure = {heading: of_seeds for heading, of_seeds in values.items() if None not in of_seeds}
        panels.append(Panel(label, io.vector(table, "item"), points, facts, structure))
    return panels


def positions_figure(panels: list[Panel], items: Any, path: Path, title: str) -> Figure:
    """Figure 1: a row a label; colour position on the left, shape position on the right; legends below.

    More than ``BELOW`` labels go on in further pairs of columns.
    """
    rows, pairs = drawing.arranged(len(panels), 2 * SMALL_PANEL, SMALL_PANEL + 1, -(-len(panels) // BELOW))
    size = PANEL if pairs == 1 else SMALL_PANEL
    figure = drawing.figure(2 * pairs * size, size * rows + 0.3 * PANEL)
    grid = figure.add_gridspec(rows + 1, 2 * pairs, height_ratios=[*[1] * rows, 0.3])
    for k, panel in enumerate(panels):
        at = rows_of(path, io.vector(items, "item"), panel.item)
        u, s = io.vector(items, "u")[at], io.vector(items, "s")[at]
        left, right = (figure.add_subplot(grid[k % rows, 2 * (k // rows) + side]) for side in (0, 1))
        label = drawing.name(panel.label)
        embedded, features = notes(panel, drawing.small_letters(figure) // (2 * pairs))
        scatter(left, panel.points, hue(u), f"{label}: colour position", embedded)
        scatter(right, panel.points, SHAPE_MAP(s), f"{label}: shape position", features)
    colour_wheel(figure, grid[rows, 0])
    shape_bar(figure, grid[rows, 1])
    note = " Six separate clusters, where they form, are the pure items of the synthetic set."
    positions = (
        " R² is of positions predicted from the features: by ridge regression, cross-validated, or, of the items "
        "between classes alone, by the mean of the 10 nearest test items."
    )
    told = any("R²" in heading for panel in panels for heading in panel.structure)
    caption(figure, panels, title, (note if "pure" in items.column_names else "") + positions * told)
    return figure


def classes_figure(panels: list[Panel], reference_path: Path, title: str) -> Figure:
    """Figure 2: a panel a label; each item has the mix ``sum_k p_k colour_k`` of the class colours."""
    reference = read_reference(reference_path)
    colours = [*drawing.class_colours(reference.classes).values()]
    mixed = drawing.mixed(reference.p, reference.classes)
    rows, columns = drawing.arranged(len(panels), SMALL_PANEL, SMALL_PANEL + 0.6, BESIDE)
    size = PANEL if rows == 1 else SMALL_PANEL
    high = size * rows + 0.5
    names = list(map(drawing.name, reference.classes[:NAMES]))
    names += [f"and {len(reference.classes) - NAMES} more"] * (len(reference.classes) > NAMES)
    legend_columns = -(-len(names) // int((drawing.TIGHT * high - 0.8) / 0.2))  # a line of it is 0.2 inches high
    wide = max(0, legend_columns * (0.5 + 0.075 * max(map(len, names))) - 1.3)
    figure = drawing.figure(size * max(columns, 2) + wide, high)
    for k, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, k + 1)
        at = reference.rows(panel.item)
        numbers = notes(panel, int(size / (size * columns + wide + 1.3) * drawing.small_letters(figure)))
        scatter(axes, panel.points, mixed[at], drawing.name(panel.label), "\n".join(filter(None, numbers)))
    handles = [Line2D([], [], linestyle="", marker="o", color=colour) for colour in [*colours[:NAMES], "none"]]
    place = {"loc": "outside right upper", "frameon": False, "ncols": legend_columns}
    figure.legend(handles[: len(names)], names, title="class\n(mixed by\nthe reference)", **place)
    caption(figure, panels, title)
    return figure


def hue(u: np.ndarray) -> np.ndarray:
    """The item's own colour, RGB ``[n, 3]``: positions 0, 1, 2 of the ring are red, green and blue."""
    return hsv_to_rgb(np.column_stack([u / 3 % 1, np.ones_like(u), np.ones_like(u)]))


def scatter(axes: Axes, points: np.ndarray, colours: np.ndarray, title: str, note: str) -> None:
    """One embedding; axes have no unit, so they have no ticks."""
    size = float(np.clip(ITEMS_IN_A_POINT / len(points), 3, 30)) * drawing.points(1)
    axes.scatter(points[:, 0], points[:, 1], c=colours, s=size, linewidths=0)
    axes.set(xticks=[], yticks=[], facecolor=drawing.BACKGROUND, title=title)
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[:].set_visible(False)
    axes.set_xlabel(note, fontsize=drawing.points(drawing.SMALL))


def colour_wheel(figure: Figure, place: SubplotSpec) -> None:
    """The cyclic legend r → g → b → r."""
    axes = figure.add_subplot(place, projection="polar")
    angle = np.linspace(0, 2 * np.pi, 181)
    centre = (angle[:-1] + angle[1:]) / 2
    axes.bar(centre, 0.4, width=np.diff(angle), bottom=0.6, color=hue(3 * centre / (2 * np.pi)), linewidth=0)
    axes.set(ylim=(0, 1), yticks=[], xticks=[0, 2 * np.pi / 3, 4 * np.pi / 3], xticklabels=["red", "green", "blue"])
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.tick_params(labelsize=drawing.points(drawing.SMALL), pad=drawing.points(4))
    axes.grid(False)
    axes.spines[:].set_visible(False)


def shape_bar(figure: Figure, place: SubplotSpec) -> None:
    """The sequential legend circle to ellipse."""
    axes = figure.add_subplot(place)
    axes.set_axis_off()
    bar = axes.inset_axes((0.1, 0.55, 0.8, 0.2))
    figure.colorbar(ScalarMappable(cmap=SHAPE_MAP), cax=bar, orientation="horizontal", ticks=[0, 0.5, 1])
    bar.set_xticklabels(["circle", "between", "ellipse"], fontsize=drawing.points(drawing.SMALL))
    bar.spines[:].set_visible(False)


def notes(panel: Panel, width: int) -> tuple[str, str]:
    """The numbers behind the picture, and those of the feature space that was embedded, in lines of ``width`` letters.

    What of the latter is about colour stands with the former: beside the picture that shows it.
    """
    space, fixed = " ", "\N{NO-BREAK SPACE}"  # a number stays in one line
    behind = [
        f"{key.replace('_', ' ')} {panel.facts[key]:.3f}"
        for key in ("trustworthiness", "label_smoothness")
        if panel.facts[key] is not None
    ]
    features = {heading: f"{heading} {spread(values)}" for heading, values in panel.structure.items()}
    colour = [text for heading, text in features.items() if heading.startswith("colour")]
    others = [text for text in features.values() if text not in colour]

    def lines(name: str, numbers: list[str]) -> str:
        text = ", ".join(number.replace(space, fixed) for number in numbers)
        return "\n".join(textwrap.wrap(f"{name}: {text}", width)).replace(fixed, space) if numbers else ""

    left = [lines("embedding", behind), lines("features", colour)]
    return "\n".join(filter(None, left)), lines("features", others)


def spread(values: list[float]) -> str:
    """Mean and, of several seeds, sample standard deviation."""
    mean = f"{np.mean(values):.3f}"
    return f"{mean} ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else mean


def caption(figure: Figure, panels: list[Panel], title: str, note: str = "") -> None:
    """How the embeddings were made, and what they do not show."""
    settings = panels[0].facts["parameters"]
    for panel in panels:
        if panel.facts["parameters"] != settings:
            raise UserError(
                f"embeddings: {panel.label} was made with {panel.facts['parameters']}, {panels[0].label} with "
                f"{settings}; expected the same. Build both again."
            )
    lowered = f" (lowered from {settings['asked']:g}, too few items)" if "asked" in settings else ""
    text = (
        f"t-SNE ({settings['library']}: {settings['gradient']}) of the pooled features of {len(panels[0].item):,} test "
        f"items: perplexity {settings['perplexity']:g}{lowered}, {settings['iterations']:,} iterations, "
        f"{settings['init']} initialisation, seed {settings['seed']}. Sizes of and gaps between clusters mean nothing."
        f"{note} Label smoothness is the mean Jensen-Shannon divergence between an item's reference and its "
        f"neighbours': smaller is smoother."
    )
    if (seeds := max((len(values) for panel in panels for values in panel.structure.values()), default=0)) > 1:
        text += f" Numbers of the features are means ± sample standard deviations over the {seeds} seeds' networks."
    drawing.caption(figure, title, text)
