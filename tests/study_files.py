"""Small made-up results of finished runs, for the tests of tables and figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from softlabels import io
from softlabels.datasets import contract

RECIPE = {
    "network": "compact",
    "weights": "none",
    "schedule": {"kind": "cosine", "first_cycle": 4, "cycle_factor": 2},
    "epochs": 30,
    "batch": 128,
    "rate": 0.1,
    "weight_decay": 0.0005,
    "momentum": 0.9,
    "select": "last",
    "augment": {"flips": True, "quarter_turns": True, "zoom": 1.0},
}
HARD = {"aggregate": "majority", "form": "hard", "delivery": "expected"}
SOFT = {"aggregate": "average", "form": "soft", "delivery": "expected"}
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
        "metric_code": {"kl": "ab" * 32},
        "ddof": 1,
        "level": 0.95,
        "baseline": "hard",
        **changes,
    }


def scores(label: str, seed: int) -> dict:
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
    contract.write_reference(root / f"data/{dataset}/reference.parquet", p, total if votes else None, classes)


def write_run(folder: Path, n: int, classes: list[str], values: dict, seed: int) -> None:
    """Predictions (the last third of the items is the test split), metrics and history of a run."""
    rng = np.random.default_rng(seed)
    split = np.where(np.arange(n) < n - n // 3, "train", "test")
    logits = io.distribution_column(rng.normal(size=(n, len(classes))), pa.float32())
    table = pa.table({"item": pa.array(np.arange(n), pa.int32()), "split": split, "logits": logits})
    io.write_table(folder / "predictions.parquet", table, {"classes": classes})
    scaled = {**values, "kl": 0.5, "kl_dcic": 0.3} if values.get("kl") else values
    document = {
        "classes": classes,
        "n_items": n // 3,
        "eps": 1e-5,
        "metrics": values,
        "recall": {name: 0.5 + 0.1 * k for k, name in enumerate(classes)},
        "n_classes_present": len(classes),
        "ties": {"reference": 0, "tie_credit_acc": values["acc"]},
        "temperature": {"value": 1.5 + 0.1 * (seed % 10), "fitted_on": "val, the run's own label", "metrics": scaled},
        "structure": {
            "silhouette": 0.3 + 0.01 * (seed % 10),
            "label_smoothness": 0.1,
            "distance_spearman": 0.6,
            "position_r2": 0.9,
        },
    }
    io.write_json(folder / "metrics.json", document)
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

    def row(name: str, kl: float | str, oracle: bool, **details) -> dict:
        metrics = {"macro_acc": 0.5, "acc": 0.5, "kl": kl, "kl_dcic": 1.2, "ce": kl, "tvd": 0.3}
        return {"name": name, "oracle": oracle, "metrics": metrics, "details": details}

    rows = [
        row("uniform", 1.19, False),
        row("prior", 1.18, False),
        row("class_mean", 0.34, True),
        row("best_smoothing", 0.4, True, alpha=0.31),
        row("one_hot", "inf", True),
    ]
    if votes:
        rows.append(row("sampling_floor", 0.01, True, k=1.5, draws=200, first_order_kl=0.009))
        directions = [{"kl_dcic": 0.135}, {"kl_dcic": 0.142}]
        rows.append(row("split_half", "inf", True, directions=directions, n_items=n // 3))
    io.write_json(path, {"classes": classes, "eps": 1e-5, "n_items": n // 3, "rows": rows})


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
    inputs = {"metrics": [], "predictions": [], "references": [], "items": [], "reference": []}
    for dataset in config["datasets"]:
        classes, votes = CLASSES[dataset], dataset == "mice_bone"
        write_data(root, dataset, n, classes, dataset == "synthetic", votes)
        inputs["items"].append(root / f"data/{dataset}/items.parquet")
        inputs["reference"].append(root / f"data/{dataset}/reference.parquet")
        for split in config["splits"]:
            for seed in config["seeds"]:
                path = root / f"references/{dataset}/{split}/seed{seed}.json"
                write_references(path, n, classes, votes)
                inputs["references"].append(path)
                for recipe in config["recipes"]:
                    for label in config["labels"]:
                        folder = root / f"runs/{dataset}/{split}/{recipe}/{label}/seed{seed}"
                        write_run(folder, n, classes, scores(label, seed), seed + 10 * sum(map(ord, label)))
                        inputs["metrics"].append(folder / "metrics.json")
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


def edit(path: Path, change) -> None:
    """Apply ``change`` to the content of a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
