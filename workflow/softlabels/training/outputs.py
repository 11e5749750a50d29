"""The four files that a training leaves."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
from safetensors.torch import save

from .. import io
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
    _write_bytes(outputs["model"], save(tensors, metadata={"softlabels": io.canonical_json(about)}))
    history = pa.Table.from_pylist(trainer.history)
    history = history.set_column(0, "epoch", history.column("epoch").cast(pa.int32()))
    io.write_table(outputs["history"], history, {"unit": "nats", **hashes})
    predictions = {
        "item": pa.array(items, pa.int32()),
        "split": pa.array(data.split.tolist(), pa.string()),
        "logits": io.distribution_column(logits, pa.float32()),
    }
    io.write_table(outputs["predictions"], pa.table(predictions), {"classes": data.classes})
    buffer = BytesIO()  # numpy itself does not say that a disk is full
    np.save(buffer, features[data.split == "test"], allow_pickle=False)
    _write_bytes(outputs["features"], buffer.getvalue())


def _write_bytes(path: Path, content: bytes) -> None:
    with io.atomic(path) as part:
        part.write_bytes(content)
