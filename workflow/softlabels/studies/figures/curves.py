"""Learning curves of a study's runs on one data set, split and recipe: one colour a label, one thin line a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ... import drawing, io
from ..ledger import of_labels

ENTRY = {
    "about": "Learning curves of each label's networks.",
    "options": {},
    "needs": ["histories"],
    "per": "block",
}
# Column of a history: panel, title, and the column that is subtracted, which is the least that the first can be.
EXCESS = {
    "train_loss": ("a", "Training", "train_entropy"),
    "val_ce_own": ("b", "Validation, own label", "val_entropy_own"),
    "val_ce_reference": ("c", "Validation, reference", "val_entropy_reference"),
}
ACCURACY = {"val_acc_own": ("d", "Validation, own label"), "val_acc_reference": ("e", "Validation, reference")}
LAYOUT = "aabbcc\ndddeee"
EXCESS_AXIS = "excess cross-entropy (nats)\nCE − mean entropy of the targets"
History = dict[str, np.ndarray]


def read_histories(config: dict, paths: list[Path]) -> dict[str, History]:
    """Epoch and the columns of both tables, float64 ``[epochs]`` (NaN where null), by ``<label>/seed<seed>``."""
    of_run = of_labels(paths, config, config["seeds"], "history.parquet")
    columns = ["epoch", *EXCESS, *(lowest for _, _, lowest in EXCESS.values()), *ACCURACY]
    tables = {name: io.read_table(path, columns)[0] for name, path in of_run.items()}
    return {name: {c: io.vector(table, c).astype(np.float64) for c in columns} for name, table in tables.items()}


def draw(config: dict, inputs: dict) -> Figure:
    """One panel a quantity, one colour a label, one line a seed; one without a history is a UserError."""
    histories = read_histories(config, inputs["histories"])
    names = list(map(drawing.name, config["labels"]))
    columns = min(len(names), max(1, int(10 / (0.6 + 0.08 * max(map(len, names))))))  # of the legend, by its width
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(10, 6.4 + 0.2 * (rows - 1)), layout="constrained")
    panels, drawn = figure.subplot_mosaic(LAYOUT), {}
    for column, (panel, title, *lowest) in (EXCESS | ACCURACY).items():
        axes = panels[panel]
        # The least that a loss of another kind can be is not known: it is drawn as it is.
        excess = [least for least in lowest if any(np.isfinite(h[least]).any() for h in histories.values())]
        for label, look in zip(config["labels"], drawing.lines(len(names)), strict=True):
            for seed in config["seeds"]:
                history = histories[f"{label}/seed{seed}"]
                values = history[column] - sum(history[least] for least in excess)
                (drawn[label],) = axes.plot(history["epoch"], values, linewidth=0.9, alpha=0.8, **look)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.set_ylabel(EXCESS_AXIS if excess else "loss" if lowest else "accuracy")
        if excess:
            axes.set_ylim(bottom=0)  # nothing can do better
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25, linewidth=0.5)
    seeds = f"{len(config['seeds'])} seeds, a line each" if len(config["seeds"]) > 1 else "one seed"
    place = {"loc": "outside lower center", "ncols": columns, "frameon": False}
    figure.legend([drawn[label] for label in config["labels"]], names, title=seeds, **place)
    figure.suptitle(f"Study {config['study']}: learning curves", fontsize=11)
    return figure
