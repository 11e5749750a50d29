"""Small made-up data sets for the tests of training, and the recipe that they start from."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from softlabels import io
from softlabels.contracts import write_reference
from softlabels.datasets import contract
from softlabels.networks import base
from softlabels.training import train
from softlabels.training.data import Images, read_run
from softlabels.training.loop import Trainer

# The schema's defaults (a unit test compares them): written out, so that GPU tests need no packages to read YAML.
RECIPE: dict[str, Any] = {
    "network": {"kind": "compact"}, "train": "all", "weights": "none", "upscale": None, "dropout": 0.0, "epochs": 60,
    "hold": "epochs", "batch": 128, "shuffle_buffer": None,
    "rate": 0.1, "optimiser": {"kind": "sgd", "momentum": 0.9, "weight_decay": 0.0005}, "warmup_epochs": 0.0,
    "schedule": {"kind": "cosine"}, "loss": {"kind": "cross_entropy"}, "class_weight": "none",
    "augment": {"flips": "both", "quarter_turns": True, "zoom": 1.0, "zoom_probability": 0.3, "hue": 0.0,
                "saturation": [1.0, 1.0], "brightness": 0.0, "contrast": [1.0, 1.0]},
    "select": "last", "device": "cpu", "precision": "auto", "compile": False, "threads": 1,
}  # fmt: skip
OUTPUTS = {"model": "model.safetensors", "history": "history.parquet", "predictions": "predictions.parquet",
           "features": "features.npy"}  # fmt: skip


def recipe(augment: dict | None = None, **changes: Any) -> dict[str, Any]:
    """A short recipe: two epochs of batches of 8; ``augment`` and other keys replace the defaults."""
    return {**RECIPE, "epochs": 2, "batch": 8, **changes, "augment": {**RECIPE["augment"], **(augment or {})}}


def write_labels(path: Path, p: np.ndarray, item: np.ndarray | None = None, weight: np.ndarray | None = None,
                 votes: int | None = None) -> None:  # fmt: skip
    """Write the labels of ``item`` (all by default), each of so many votes."""
    item = np.arange(len(p)) if item is None else item
    columns = {
        "item": pa.array(item, pa.int32()),
        "p": io.distribution_column(p[item], pa.float32()),
        "hard": pa.array(p[item].argmax(axis=1), pa.int16()),
        "votes": pa.array([votes] * len(item), pa.int32()),
        "weight": pa.array(np.ones(len(item)) if weight is None else weight, pa.float32()),
    }
    io.write_table(path, pa.table(columns), {"classes": [f"class{k}" for k in range(p.shape[1])]})


def write_data(folder: Path, n: int = 60, size: tuple[int, int] = (16, 16), classes: int = 3) -> dict[str, Path]:
    """Noisy images whose colour follows a random distribution; three fifths are for training.

    Returns:
        The inputs of a training; ``labels`` are the distributions, ``hard`` their most likely class.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draws = np.random.default_rng(7)
    names = ("split", "labels", "hard", "reference")
    inputs = {"images": folder / "images.npy", **{name: folder / f"{name}.parquet" for name in names}}
    p = draws.dirichlet(np.full(classes, 0.5), n)
    colour = p @ (np.eye(3)[np.arange(classes) % 3] / (1 + np.arange(classes) // 3)[:, None])
    with contract.new_images(inputs["images"], (n, *size, 3)) as append:
        for row in range(n):
            append(160 * colour[row] + draws.integers(0, 90, (*size, 3)))
    part = np.array(["train", "train", "train", "val", "test"])[np.arange(n) % 5]
    io.write_table(inputs["split"], pa.table({"item": pa.array(np.arange(n), pa.int32()), "split": part}))
    write_labels(inputs["labels"], p)
    write_labels(inputs["hard"], np.eye(classes)[p.argmax(axis=1)])
    write_reference(inputs["reference"], p, None, [f"class{k}" for k in range(classes)])
    return inputs


def run_inputs(inputs: dict[str, Path], labels: str = "labels") -> dict[str, Path]:
    """What the command ``train`` takes: one of the label files."""
    return {key: inputs[key] for key in ("images", "split", "reference")} | {"labels": inputs[labels]}


def outputs_in(folder: Path) -> dict[str, Path]:
    """What a training writes."""
    return {key: folder / name for key, name in OUTPUTS.items()}


def fit(
    folder: Path, inputs: dict[str, Path], recipe: dict, seed: int = 0, labels: str = "labels", **more: Any
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Train; returns the facts and the output paths."""
    outputs = outputs_in(folder)
    facts = train.run({"recipe": recipe, "seed": seed}, run_inputs(inputs, labels), outputs, **more)
    return facts, outputs


def trainer(
    inputs: dict[str, Path], recipe: dict, seed: int = 0, model: torch.nn.Module | None = None, device: str = "cpu",
    **more: Any,
) -> Trainer:  # fmt: skip
    """A trainer that has not begun."""
    data = read_run(inputs["labels"], inputs["split"], inputs["reference"])
    model = (
        model
        or base.build(recipe["network"], len(data.classes), seed, dropout=recipe["dropout"], upscale=recipe["upscale"])[
            0
        ]
    )
    device = torch.device(device)
    model = model.to(device, memory_format=torch.channels_last)
    return Trainer(recipe, seed, data, Images(inputs["images"], device), model, device, **more)


def divergence(inputs: dict[str, Path], outputs: dict[str, Path]) -> float:
    """Mean KL divergence of the predictions of the test items from the reference."""
    table = io.read_table(outputs["predictions"])[0]
    log_q = torch.from_numpy(io.matrix(table, "logits").astype(float)).log_softmax(dim=1)
    p = torch.tensor(io.matrix(io.read_table(inputs["reference"])[0], "p"))
    test = torch.tensor(io.vector(table, "split") == "test")
    return torch.nn.functional.kl_div(log_q[test], p[test], reduction="batchmean").item()


def command(folder: Path, inputs: dict[str, Path], recipe: dict) -> list[str]:
    """The command line of a training that writes to ``folder``."""
    paths = run_inputs(inputs) | outputs_in(folder)
    words = [text for name, path in paths.items() for text in (f"--{name}", str(path))]
    return ["softlabels", "train", "--config", json.dumps({"recipe": recipe, "seed": 0}), *words]


def before_call(patch: Any, owner: Any, name: str, number: int, act: Callable[[], Any]) -> None:
    """Let ``act`` be called just before the ``number``-th call (from 1) of a function."""
    original, calls = getattr(owner, name), []

    def counted(*arguments: Any, **more: Any) -> Any:
        calls.append(None)
        if len(calls) == number:
            act()
        return original(*arguments, **more)

    patch.setattr(owner, name, counted)


def ask_before(patch: Any, owner: Any, name: str, number: int, request: int = signal.SIGTERM) -> None:
    """Ask the process to stop just before the ``number``-th call of a function."""
    before_call(patch, owner, name, number, lambda: os.kill(os.getpid(), request))


class Payload:
    """Unpickling it would create a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def contents(outputs: dict[str, Path]) -> dict[str, bytes]:
    """The bytes of each output."""
    return {key: path.read_bytes() for key, path in outputs.items()}
