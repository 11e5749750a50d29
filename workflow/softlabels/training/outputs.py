"""The four files that a training leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.torch import save

from .. import io
from ..contracts import write_features, write_predictions
from .loop import Trainer


def write(trainer: Trainer, images: dict[str, Any], outputs: dict[str, Path], still_ours: Callable[[], None]) -> None:
    """Write model, history, logits of all items and features of the test items; ``still_ours`` is called before.

    ``images`` says how image files became the pixels that the network has learned from, for those who will use it.
    """
    data, items = trainer.data, np.arange(len(trainer.images))
    logits, features = trainer.predict(items)
    still_ours()
    height, width = trainer.images.shape
    about = {"network": trainer.recipe["network"], "classes": data.classes, "height": height, "width": width,
             "images": images}  # fmt: skip
    about |= {"upscale": trainer.recipe["upscale"]} if trainer.recipe["upscale"] else {}
    # Copies: some networks name one tensor twice, which safetensors refuses.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in trainer.model.state_dict().items()}
    # One metadata entry: safetensors writes several in an order that changes from process to process.
    with io.atomic(outputs["model"]) as part:
        part.write_bytes(save(tensors, metadata={"softlabels": io.canonical_json(about | trainer.hashes)}))
    history = pa.Table.from_pylist(trainer.history)
    history = history.set_column(0, "epoch", history.column("epoch").cast(pa.int32()))
    io.write_table(outputs["history"], history, {"unit": "nats", **trainer.hashes, **trainer.arithmetic})
    write_predictions(outputs["predictions"], items, data.split, logits, data.classes)
    write_features(outputs["features"], features[data.split == "test"])
