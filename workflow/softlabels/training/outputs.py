"""The four files that a training leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from safetensors.torch import save

from .. import io
from ..contracts import write_features, write_predictions
from .loop import Trainer


def write(trainer: Trainer, outputs: dict[str, Path], still_ours: Callable[[], None] = lambda: None) -> None:
    """Write the model, its history, logits of all items and pooled features of the test items in ascending order.

    Args:
        trainer: a finished training.
        outputs: paths of ``model``, ``history``, ``predictions``, ``features``.
        still_ours: called before the first file; raises if another process trains this run now.
    """
    data, items = trainer.data, np.arange(len(trainer.images))
    logits, features = trainer.predict(items)
    still_ours()
    hashes = {"initial_sha256": trainer.initial_sha256, "order_sha256": trainer.order_sha256}
    height, width = trainer.images.shape
    network = trainer.recipe["network"]
    about = {"network": network, "classes": data.classes, "height": height, "width": width, **hashes}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in trainer.model.state_dict().items()}
    # One metadata entry: safetensors writes several in an order that changes from process to process.
    with io.atomic(outputs["model"]) as part:
        part.write_bytes(save(tensors, metadata={"softlabels": io.canonical_json(about)}))
    history = pa.Table.from_pylist(trainer.history)
    history = history.set_column(0, "epoch", history.column("epoch").cast(pa.int32()))
    io.write_table(outputs["history"], history, {"unit": "nats", **hashes})
    write_predictions(outputs["predictions"], items, data.split, logits, data.classes)
    write_features(outputs["features"], features[data.split == "test"])
