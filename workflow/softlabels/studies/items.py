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
from ..datasets.contract import number
from ..evaluation.divergence import kl_items
from .ledger import points
from .ledger_view import PLACE


def of_seed(items: Path, reference: Path, predictions: Mapping[str, Path], *, private: bool = False) -> pd.DataFrame:
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
    name = list(map(number, item.tolist())) if private else name
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
    """Every test item of every seed, the worst mean KL over labels first: a table a point of the grid.

    Args:
        config: the resolved study.
        items, reference: the tables of each data set, by its name.
        predictions: ``predictions.parquet`` of every run, by its name.
    """
    for point in points(config):
        parts, dataset = [], point.names[0]
        for seed in config["seeds"]:
            of_label = {label: predictions[point.runs(label, [seed])[0]] for label in point.labels}
            private = config["datasets"][dataset].get("private", False)
            part = of_seed(items[dataset], reference[dataset], of_label, private=private)
            place = dict(zip(_place(config), (*point.block, seed), strict=True))
            parts.append(pd.concat([pd.DataFrame(place, index=part.index), part], axis=1))
        frame = pd.concat(parts, ignore_index=True)
        mean = frame[[f"kl_{label}" for label in point.labels]].mean(axis=1)
        yield frame.loc[np.lexsort([frame["item"], frame["seed"], -mean])]


def _place(config: Mapping[str, Any]) -> list[str]:
    """The columns that tell which test part an item is of."""
    return [*PLACE, *config.get("varied", ()), "seed"]


def columns(config: Mapping[str, Any], classes: Iterable[list[str]]) -> list[str]:
    """The columns of all tables, for the classes of each data set: they differ in these only."""
    names, labels = dict.fromkeys([*_place(config), "item", "name", "votes"]), points(config)[0].labels
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
