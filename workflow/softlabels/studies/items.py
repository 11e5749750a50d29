"""``items.csv``: every test item of every seed with what each label's network predicted for it, worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from .. import io
from ..contracts import read_predictions, read_reference, rows_of
from ..evaluation.divergence import kl_items
from .ledger import blocks, run_name


def of_seed(items: Path, reference: Path, predictions: Mapping[str, Path]) -> pd.DataFrame:
    """The test items of one seed, by the data set's tables and ``predictions.parquet`` of each label.

    Returns:
        One row an item, ascending: item, name, votes, ``reference_<class>``, then for each label ``<label>_<class>``
        (predicted probability) and ``kl_<label>`` (nats, from log-softmax).
    """
    table, _ = io.read_table(items, ["item", "name"])
    truth = read_reference(reference)
    of_label = {label: read_predictions(path) for label, path in predictions.items()}
    item = next(iter(of_label.values())).items("test")
    at = truth.rows(item)
    name = table.column("name").take(rows_of(items, io.vector(table, "item"), item)).to_pylist()
    votes = [None] * len(item) if truth.votes is None else truth.votes[at]
    columns: dict[str, Any] = {"item": item, "name": name, "votes": pd.array(votes, dtype="Int64")}
    columns |= {f"reference_{c}": truth.p[at, k] for k, c in enumerate(truth.classes)}
    for label, predicted in of_label.items():
        log_prediction = log_softmax(predicted.of("test", item, len(truth.classes)), axis=1)
        columns |= {f"{label}_{c}": np.exp(log_prediction[:, k]) for k, c in enumerate(truth.classes)}
        columns[f"kl_{label}"] = kl_items(truth.p[at], log_prediction)
    return pd.DataFrame(columns)


def frames(
    config: Mapping[str, Any], items: Mapping[str, Path], reference: Mapping[str, Path], predictions: Mapping[str, Path]
) -> Iterator[pd.DataFrame]:
    """Every test item of every seed, the worst mean KL over labels first: a table a data set, split and recipe.

    Args:
        config: the resolved study.
        items, reference: the tables of each data set, by its name.
        predictions: ``predictions.parquet`` of every run, by ``run_name``.
    """
    for block in blocks(config):
        parts = []
        for seed in config["seeds"]:
            of_label = {label: predictions[run_name(block, label, seed)] for label in config["labels"]}
            part = of_seed(items[block[0]], reference[block[0]], of_label)
            place = dict(zip(("dataset", "split", "recipe", "seed"), (*block, seed), strict=True))
            parts.append(pd.concat([pd.DataFrame(place, index=part.index), part], axis=1))
        frame = pd.concat(parts, ignore_index=True)
        mean = frame[[f"kl_{label}" for label in config["labels"]]].mean(axis=1)
        yield frame.loc[np.lexsort([frame["item"], frame["seed"], -mean])]


def columns(labels: Iterable[str], classes: Iterable[list[str]]) -> list[str]:
    """The columns of all tables, for the classes of each data set: they differ in these only."""
    names = dict.fromkeys(["dataset", "split", "recipe", "seed", "item", "name", "votes"])
    for own in classes:
        names |= dict.fromkeys(f"reference_{c}" for c in own)
        for label in labels:
            names |= dict.fromkeys([*(f"{label}_{c}" for c in own), f"kl_{label}"])
    return list(names)


def write_csv(path: Path, names: list[str], tables: Iterable[pd.DataFrame]) -> None:
    """Write tables below each other, one at a time in memory: six significant digits, nothing for what is not there."""
    with io.atomic(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        pd.DataFrame(columns=names).to_csv(file, index=False, lineterminator="\n")
        for table in tables:
            table = table.reindex(columns=names)
            table.to_csv(file, index=False, header=False, float_format="%.6g", lineterminator="\n")
