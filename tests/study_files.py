"""Small made-up results of finished runs, for the tests of tables and figures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa

from softlabels import io
from softlabels.contracts import predictions, reference, scores
from softlabels.contracts.names import sets
from softlabels.datasets import contract

RECIPE = {
    "network": {"kind": "compact"},
    "weights": "none",
    "schedule": {"kind": "cosine"},
    "optimiser": {"kind": "sgd", "momentum": 0.9, "weight_decay": 0.0005},
    "epochs": 30,
    "batch": 128,
    "rate": 0.1,
    "select": "last",
    "augment": {"flips": True, "quarter_turns": True, "zoom": 1.0},
}
HARD = {"aggregate": {"kind": "majority"}, "form": "hard"}
SOFT = {"aggregate": {"kind": "average"}, "form": "soft"}
METRICS = ["macro_acc", "acc", "kl", "kl_dcic", "ce", "tvd"]
SCORES = {  # label -> metric -> one value a seed
    "hard": {
        "macro_acc": [0.80, 0.82, 0.87],
        "acc": [0.80, 0.82, 0.87],
        "kl": [1.10, 1.20, 1.15],
        "kl_dcic": [0.40, 0.50, 0.45],
        "ce": [1.7, 1.8, 1.75],
        "tvd": [0.2, 0.2, 0.2],
    },
    "soft": {
        "macro_acc": [0.90, 0.93, 0.91],
        "acc": [0.90, 0.93, 0.91],
        "kl": [0.04, 0.05, 0.06],
        "kl_dcic": [0.03, 0.04, 0.05],
        "ce": [0.6, 0.6, 0.6],
        "tvd": [0.1, 0.1, 0.1],
    },
}


def study(datasets: dict | None = None, labels: dict | None = None, **changes) -> dict:
    """The resolved configuration of a study."""
    return {
        "study": "hard_vs_soft",
        "datasets": datasets
        or {"synthetic": {"paper": "synthetic", "description": {"source": {"kind": "synthetic", "pixels": 64}}}},
        "splits": ["random"],
        "recipes": {"compact": RECIPE},
        "labels": labels or {"hard": HARD, "soft": SOFT},
        "seeds": [0, 1, 2],
        "metrics": METRICS,
        "metric_options": {name: {"kind": name} for name in METRICS},
        "metric_code": {"kl": "ab" * 32},
        "ddof": 1,
        "level": 0.95,
        "baseline": "hard",
        **changes,
    }


def metrics_of(label: str, seed: int) -> dict:
    """Made-up metrics of a run; a label that is not listed scores as soft does."""
    return {metric: values[seed % 3] for metric, values in SCORES.get(label, SCORES["soft"]).items()}


def write_data(root: Path, dataset: str, n: int, classes: list[str], positions: bool, votes: bool) -> None:
    """The two tables of a data set that a study reads."""
    rng = np.random.default_rng(0)
    columns = {"u": rng.random(n) * 3, "s": rng.random(n), "pure": rng.random(n) < 0.4} if positions else {}
    contract.write_items(root / f"data/{dataset}/items.parquet", [f"{dataset}-{i}" for i in range(n)], columns=columns)
    counts = rng.integers(0, 9, (n, len(classes))) + 1
    total = counts.sum(axis=1)
    p = counts / total[:, None]
    reference.write(root / f"data/{dataset}/reference.parquet", p, total if votes else None, classes)


def write_run(folder: Path, n: int, classes: list[str], values: dict, seed: int) -> None:
    """Predictions (the last third of the items is the test split), metrics and history of a run."""
    rng = np.random.default_rng(seed)
    split = np.where(np.arange(n) < n - n // 3, "train", "test")
    predictions.write(folder / "predictions.parquet", np.arange(n), split, rng.normal(size=(n, len(classes))), classes)
    scaled = {**values, "kl": 0.5, "kl_dcic": 0.3, "temperature": 1.5 + 0.1 * (seed % 10)}
    facts = {
        **{"n_items": n // 3, "n_classes_present": len(classes), "ties": 0, "tie_credit_acc": values["acc"]},
        **{"structure.silhouette": 0.3 + 0.01 * (seed % 10), "structure.label_smoothness": 0.1},
        **{"structure.distance_spearman": 0.6, "structure.position_r2": 0.9},
    }
    table = {("test", "all", "none", metric): value for metric, value in {**values, **facts}.items()}
    table |= {("test", "all", "temperature", metric): value for metric, value in scaled.items()}
    table |= {("test", name, "none", "recall"): 0.5 + 0.1 * k for k, name in enumerate(classes)}
    standard, *further = sets(values)
    for of_set in (standard, *further):
        kept = {
            key: value
            for key, value in table.items()
            if key[3] == of_set or (of_set == standard and key[3] not in further)
        }
        scores.write(folder / f"scores/{of_set}.parquet", kept, classes, 1e-5)
    epochs = np.arange(1, 31)
    history = {
        "epoch": pa.array(epochs, pa.int32()),
        "rate": 0.05 * (1 + np.cos(np.pi * epochs / 30)),
        "train_loss": 1.7 * np.exp(-epochs / 8) + rng.random(30) * 0.05,
        "val_ce_own": 1.7 * np.exp(-epochs / 8) + 0.1 + rng.random(30) * 0.1,
        "val_ce_reference": 1.2 * np.exp(-epochs / 9) + 0.6 + rng.random(30) * 0.1,
    }
    io.write_table(folder / "history.parquet", pa.table(history))


def write_references(path: Path, n: int, classes: list[str], votes: bool) -> None:
    """Reference rows; where the reference is made of votes with those that need votes."""

    def row(kl: float, **details) -> dict:
        metrics = {"macro_acc": 0.5, "acc": 0.5, "kl": kl, "kl_dcic": 1.2, "ce": kl, "tvd": 0.3}
        return metrics | {f"detail.{name}": value for name, value in details.items()}

    rows = {"uniform": row(1.19), "prior": row(1.18), "class_mean": row(0.34), "best_smoothing": row(0.4, alpha=0.31)}
    rows["one_hot"] = row(math.inf)
    if votes:
        rows["sampling_floor"] = row(0.01, draws=200, first_order_kl=0.009, k=1.5)
        rows["split_half"] = row(math.inf, n_items=n // 3, kl_dcic_direction_1=0.135, kl_dcic_direction_2=0.142)
    if path.stem != "standard":
        rows = {name: {path.stem: 0.5} for name in rows}
    scores.write_rows(path, rows, list(rows)[2:], classes, 1e-5)


def write_embedding(path: Path, n: int, seed: int) -> None:
    """An embedding of the test items of ``write_run``."""
    item = np.arange(n - n // 3, n)
    points = np.random.default_rng(seed).normal(size=(len(item), 2)).astype(np.float32)
    facts = {
        "parameters": {"perplexity": 30, "iterations": 5000, "init": "pca", "seed": 0, "neighbours": 15},
        "n": len(item),
        "kl_divergence": 1.1,
        "trustworthiness": 0.987,
        "label_smoothness": 0.123,
    }
    table = pa.table({"item": pa.array(item, pa.int32()), "x": points[:, 0], "y": points[:, 1]})
    io.write_table(path, table, facts)


CLASSES = {"synthetic": ["bc", "be", "gc", "ge", "rc", "re"], "mice_bone": ["g", "nr", "ug"]}


def write_study(root: Path, config: dict, n: int = 30) -> tuple[dict, dict]:
    """Write every file that a study reads; returns inputs and outputs of ``studies.study.run``."""
    inputs = {"scores": [], "predictions": [], "references": [], "items": [], "reference": []}
    for dataset in config["datasets"]:
        classes, votes = CLASSES[dataset], dataset == "mice_bone"
        write_data(root, dataset, n, classes, dataset == "synthetic", votes)
        inputs["items"].append(root / f"data/{dataset}/items.parquet")
        inputs["reference"].append(root / f"data/{dataset}/reference.parquet")
        for split in config["splits"]:
            for seed in config["seeds"]:
                for of_set in sets(config["metrics"]):
                    path = root / f"references/{dataset}/{split}/seed{seed}/{of_set}.parquet"
                    write_references(path, n, classes, votes)
                    inputs["references"].append(path)
                for recipe in config["recipes"]:
                    for label in config["labels"]:
                        folder = root / f"runs/{dataset}/{split}/{recipe}/{label}/seed{seed}"
                        write_run(folder, n, classes, metrics_of(label, seed), seed + 10 * sum(map(ord, label)))
                        inputs["scores"] += [folder / f"scores/{name}.parquet" for name in sets(config["metrics"])]
                        inputs["predictions"].append(folder / "predictions.parquet")
    names = {
        "config": "config.json",
        "table_csv": "table.csv",
        "table_md": "table.md",
        "table_tex": "table.tex",
        "cells": "cells.parquet",
        "items_csv": "items.csv",
    }
    outputs = {key: root / "studies" / config["study"] / name for key, name in names.items()}
    return inputs, outputs


def edit(path: Path, values: dict | None = None, **facts) -> None:
    """Change numbers of the test part in a run's scores, by group, scaling and metric, and facts of the file."""
    found = scores.read(path)
    changed = found.values | {("test", *key): value for key, value in (values or {}).items()}
    scores.write(path, changed, **{"classes": found.classes, "eps": found.eps, **facts})
