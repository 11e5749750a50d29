"""Use a trained model: label distributions of new images."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from . import io
from .datasets.folder import image_files
from .datasets.images import FIT, read_image, relative_names
from .errors import UserError
from .networks.base import Classifier, build
from .progress import progress

BATCH = 64


@dataclass
class Model:
    """A trained classifier of C classes, and the size in pixels of the images that it was trained on."""

    network: Classifier
    classes: list[str]
    height: int
    width: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Label distributions float32 ``[B, C]`` of images uint8 ``[B, H, W, 3]``."""
        device = self.network.mean.device
        with torch.no_grad():
            pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).to(torch.float32) / 255
            return self.network(pixels).softmax(dim=1).cpu().numpy()


def load(path: str | Path, device: str = "cpu") -> Model:
    """Load ``model.safetensors`` of a run; a UserError where it is none, and for ``cuda`` without a GPU."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU here. Use --device cpu.")
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["softlabels"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path}: is no model of softlabels ({error}). Name the model.safetensors of a run.") from None
    network, _ = build(about["network"], len(about["classes"]), seed=0)
    network.load_state_dict(state)
    return Model(network.eval().to(device), about["classes"], about["height"], about["width"])


def predict_folder(
    model: Path, folder: Path, out: Path, device: str = "cpu", resize: str = "stretch", deep: str = "refuse"
) -> None:
    """Write a CSV with one row an image below ``folder``: its path there and the probability of each class.

    ``resize`` says how images of another size are brought to the model's: ``stretch``, ``crop`` or ``pad``; ``deep``
    how grey values of 16 bits become 8: ``refuse``, ``scale`` or ``stretch``, as for the training images. No image,
    or a file that is none, is a UserError.
    """
    trained = load(model, device)
    named = relative_names(image_files(folder), folder)
    size = (trained.width, trained.height)
    with io.atomic(out) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", *trained.classes])
        names = list(named)
        for start in progress(range(0, len(names), BATCH), "predict"):
            batch = names[start : start + BATCH]
            images = [read_image(named[name], deep)[0] for name in batch]
            images = [image if image.size == size else FIT[resize](image, size) for image in images]
            for name, p in zip(batch, trained(np.stack([np.asarray(image) for image in images])), strict=True):
                writer.writerow([name, *(f"{value:.6f}" for value in p)])
