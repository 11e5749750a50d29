"""Risk-coverage curves of a study's runs: how often the items that a network is most sure of are predicted wrong."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.special import log_softmax

from ... import drawing
from ...contracts import Predictions, Reference, read_predictions, read_reference
from ...evaluation.aligned import Aligned, of_part
from ...evaluation.risk import curve, losses
from ..ledger import of_labels

ENTRY = {
    "about": "Risk-coverage curves of each label's networks on test items, beside the least that the reference allows.",
    "options": {"truth": {"$ref": "truth", "default": "votes"}},
    "needs": ["predictions", "reference"],
    "per": "block",
}
RISK = {"votes": "error against a vote", "majority": "error against the reference's most probable class"}
POINTS = np.linspace(0.02, 1, 99)  # shares of items: below, a curve is of a handful


def draw(config: dict, inputs: dict) -> Figure:
    """One colour a label: a thin line a seed, and a thick one, their mean."""
    options, reference = config["figure"], read_reference(inputs["reference"])
    runs = of_labels(inputs["predictions"], config, config["seeds"], "predictions.parquet")
    parts = {name: _test(read_predictions(path), reference) for name, path in runs.items()}
    figure = Figure(figsize=(6.4, 4.6 + 0.2 * len(config["labels"])), layout="constrained")
    axes = figure.subplots()
    for label, look in zip(config["labels"], drawing.lines(len(config["labels"])), strict=True):
        lines = [_at(curve(*losses(parts[f"{label}/seed{seed}"], options))) for seed in config["seeds"]]
        for line in lines if len(lines) > 1 else ():
            axes.plot(POINTS, line, linewidth=0.6, alpha=0.4, **look)
        axes.plot(POINTS, np.mean(lines, axis=0), linewidth=1.8, label=drawing.name(label), **look)
    if options["truth"] == "votes":  # each seed has a test part of its own
        parts = [parts[f"{config['labels'][0]}/seed{seed}"].reference.max(axis=1) for seed in config["seeds"]]
        least = np.mean([_at(curve(1 - top, top)) for top in parts], axis=0)
        axes.plot(POINTS, least, linewidth=1.2, color="grey", linestyle=(0, (1, 1)), label="the reference itself")
    axes.set(xlabel="coverage: share of test items, the most confident first", ylabel=RISK[options["truth"]])
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.25, linewidth=0.5)
    figure.legend(loc="outside lower center", ncols=1 if len(config["labels"]) < 3 else 2, frameon=False)
    seeds = f"mean of {len(config['seeds'])} seeds, thin: each" if len(config["seeds"]) > 1 else "one seed"
    figure.suptitle(f"Study {drawing.name(config['study'])}: risk and coverage, {seeds}", fontsize=11)
    return figure


def _test(predictions: Predictions, reference: Reference) -> Aligned:
    """The test items of a run."""
    item = predictions.items("test")
    logits = predictions.of("test", item, len(reference.classes))
    return of_part("test", item, reference, log_softmax(logits, axis=1), None)


def _at(values: np.ndarray) -> np.ndarray:
    """A curve of n items at POINTS, between two numbers of items in a straight line."""
    n = len(values)
    return np.interp(POINTS, np.arange(1, n + 1) / n, values)
