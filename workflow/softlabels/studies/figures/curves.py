"""Learning curves of a study's runs on one data set, split and recipe: one colour a label, one thin line a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ... import drawing, io
from ..ledger import of_labels
from ..shown import place

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
EXCESS_AXIS = "CE − mean entropy\nof the targets (nats)"
WIDE, HIGH = 10, 6.2  # inches
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
    figure = drawing.figure(WIDE, HIGH)
    panels, drawn = figure.subplot_mosaic(LAYOUT), {}
    for column, (panel, title, *lowest) in (EXCESS | ACCURACY).items():
        axes = panels[panel]
        # The least that a loss of another kind can be is not known: it is drawn as it is.
        excess = [least for least in lowest if any(np.isfinite(h[least]).any() for h in histories.values())]
        for label, look in zip(config["labels"], drawing.lines(len(names)), strict=True):
            for seed in config["seeds"]:
                history = histories[f"{label}/seed{seed}"]
                values = history[column] - sum(history[least] for least in excess)
                (drawn[label],) = axes.plot(history["epoch"], values, linewidth=drawing.points(0.9), alpha=0.8, **look)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.set_ylabel(EXCESS_AXIS if excess else "loss" if lowest else "accuracy")
        if excess:
            axes.set_ylim(bottom=0)  # nothing can do better
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
    drawing.legend(figure, [drawn[label] for label in config["labels"]], names)
    drawing.caption(figure, f"Study {config['study']}: learning curves", _text(config))
    return figure


def _text(config: dict) -> str:
    """The caption."""
    n = len(config["seeds"])
    return (
        f"Losses and accuracies after each epoch, on training items and on validation items, against the label that a "
        f"network learns from (own) and against the reference. Of a cross-entropy the mean entropy of its targets is "
        f"subtracted: 0 is the best that any prediction could do. {place(config)}: "
        f"{f'{n} seeds, a line each' if n > 1 else 'one seed'}; there is no interval."
    )
