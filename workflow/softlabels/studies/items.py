"""``items.csv``: every test item of every seed with what each label's network predicted for it, worst first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from .. import io
from ..evaluation.divergence import kl_items
from ..evaluation.evaluate import read_logits
from ..evaluation.tables import read_reference, rows_of, split_items
from .ledger import blocks, run_name


def of_seed(items: Path, reference: Path, predictions: Mapping[str, Path]) -> pd.DataFrame:
    """The test items of one seed.

    Args:
        items, reference: the data set's tables.
        predictions: ``predictions.parquet`` by label; all of one split and seed.

    Returns:
        One row an item, ascending: item, name, votes, ``reference_<class>``, then for each label ``<label>_<class>``
        (predicted probability) and ``kl_<label>`` (nats, from log-softmax).
    """
    table, _ = io.read_table(items, ["item", "name"])
    truth = read_reference(reference)
    item = split_items(next(iter(predictions.values())), "test")
    at = rows_of(reference, truth.item, item)
    name = table.column("name").take(rows_of(items, io.vector(table, "item"), item)).to_pylist()
    votes = [None] * len(item) if truth.votes is None else truth.votes[at]
    columns: dict[str, Any] = {"item": item, "name": name, "votes": pd.array(votes, dtype="Int64")}
    columns |= {f"reference_{c}": truth.p[at, k] for k, c in enumerate(truth.classes)}
    for label, path in predictions.items():
        log_prediction = log_softmax(read_logits(path, "test", item, len(truth.classes)), axis=1)
        columns |= {f"{label}_{c}": np.exp(log_prediction[:, k]) for k, c in enumerate(truth.classes)}
        columns[f"kl_{label}"] = kl_items(truth.p[at], log_prediction)
    return pd.DataFrame(columns)


def build(
    config: Mapping[str, Any], items: Mapping[str, Path], reference: Mapping[str, Path], predictions: Mapping[str, Path]
) -> pd.DataFrame:
    """Every test item of every seed, data sets in the study's order, within each the worst mean KL over labels first.

    Args:
        config: the resolved study.
        items, reference: the tables of each data set, by its name.
        predictions: ``predictions.parquet`` of every run, by ``run_name``.
    """
    parts = []
    for block in blocks(config):
        frames = []
        for seed in config["seeds"]:
            of_label = {label: predictions[run_name(block, label, seed)] for label in config["labels"]}
            frame = of_seed(items[block[0]], reference[block[0]], of_label)
            place = dict(zip(("dataset", "split", "recipe", "seed"), (*block, seed), strict=True))
            frames.append(pd.concat([pd.DataFrame(place, index=frame.index), frame], axis=1))
        part = pd.concat(frames, ignore_index=True)
        mean = part[[f"kl_{label}" for label in config["labels"]]].mean(axis=1)
        parts.append(part.loc[np.lexsort([part["item"], part["seed"], -mean])])
    return pd.concat(parts, ignore_index=True)


def render_csv(frame: pd.DataFrame) -> str:
    """The table as text: six significant digits, an empty field where there is nothing."""
    return frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
