"""Images on the device, and what a run needs of its split and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..contracts import read_labels, read_reference, read_split
from ..datasets.contract import read_images
from ..errors import UserError
from . import memory


class Images:
    """The data set's pixels: on the device where there is room for them, else gathered from the memory map.

    ``images[index]`` is uint8 ``[B, H, W, 3]`` on the device, the same bytes either way. ``beside`` says how many bytes
    the training is expected to take of the device besides images of a shape ``[N, H, W, 3]``.
    """

    def __init__(
        self,
        path: Path,
        device: torch.device,
        resident: bool | None = None,
        beside: Callable[[tuple[int, ...]], float] = lambda shape: 0,
    ):
        self.map, self.device = read_images(path), device
        if resident is None:
            resident = self.map.nbytes <= memory.room(device, beside(self.map.shape))
        self.resident = resident
        if self.resident and device.type == "cpu":  # read, not mapped: what happens to the file later is no concern
            self.map = np.load(path, allow_pickle=False)
            self.pixels = torch.from_numpy(self.map)
        elif self.resident:
            self.pixels = torch.empty(self.map.shape, dtype=torch.uint8, device=device)
            for start in range(0, len(self.map), 1024):  # main memory may have less room than the GPU
                self.pixels[start : start + 1024] = torch.from_numpy(np.array(self.map[start : start + 1024]))

    def __len__(self) -> int:
        return len(self.map)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.map.shape[1], self.map.shape[2]

    def statistics(self, items: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of each channel over items, of values in 0..1, float32 ``[1, 3, 1, 1]``."""
        counts = np.zeros((3, 256), dtype=np.int64)  # of the 256 values: exact
        for start in range(0, len(items), 256):
            pixels = np.asarray(self.map[items[start : start + 256]])
            counts += np.reshape(Image.fromarray(pixels.reshape(-1, self.shape[1], 3)).histogram(), (3, 256))
        values = np.arange(256) / 255
        share = counts / counts.sum(axis=1, keepdims=True)
        mean = share @ values
        std = np.sqrt(np.maximum(share @ values**2 - mean**2, 1e-6))  # a constant channel must not divide by zero
        return tuple(torch.tensor(x, dtype=torch.float32).reshape(1, 3, 1, 1) for x in (mean, std))

    def __getitem__(self, index: torch.Tensor) -> torch.Tensor:
        return self.gather(index, self.batch(len(index)))

    def batch(self, size: int) -> torch.Tensor:
        """Room for ``size`` images, uint8 ``[B, H, W, 3]`` on the device."""
        return torch.empty((size, *self.map.shape[1:]), dtype=torch.uint8, device=self.device)

    def gather(self, index: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Write the images of ``index`` (int64 ``[B]``, of resident images on the device) to ``out``, and return it."""
        if self.resident:
            return torch.index_select(self.pixels, 0, index, out=out)
        rows, back = np.unique(index.cpu().numpy(), return_inverse=True)  # ascending: kind to the disk
        return out.copy_(torch.from_numpy(self.map[rows][back]))


@dataclass
class Run:
    """What a run learns from."""

    classes: list[str]  # names of the C classes
    split: np.ndarray  # [N], of "train", "val", "test"
    target: np.ndarray  # float32 [N, C], the label of each item (zero where it has none)
    labelled: np.ndarray  # bool [N], whether the item has a label
    hard: np.ndarray  # int64 [N], the hard class of the label (-1 where it has none)
    votes: np.ndarray  # int64 [N], how many votes the label is made of (0 where it is of none)
    weight: np.ndarray  # float32 [N]
    reference: np.ndarray  # float32 [N, C], for the second validation curve only

    @property
    def learned(self) -> np.ndarray:
        """bool ``[N]``: the labelled items of the training part."""
        return self.labelled & (self.split == "train")

    def class_weights(self) -> np.ndarray:
        """``n / (C n_c)`` of the hard classes of the labelled training items, float32 ``[C]``.

        That is scikit-learn's "balanced", of the training part only; the benchmark code of the paper's authors counts
        the whole data set, test items included.
        """
        counts = np.bincount(self.hard[self.learned], minlength=len(self.classes))
        return (counts.sum() / (len(counts) * np.maximum(counts, 1))).astype(np.float32)

    def item_weights(self, class_weight: str) -> np.ndarray:
        """The label file's weights, for ``argmax`` times that of the item's hard class; mean 1 over training items."""
        weight = self.weight.copy()
        if class_weight == "argmax":
            weight[self.labelled] *= self.class_weights()[self.hard[self.labelled]]
        mean = weight[self.learned].mean()
        if mean <= 0:
            raise UserError("The weights of the training items sum to 0: nothing would be learned.")
        return weight / mean


def read_run(labels: Path, split: Path, reference: Path) -> Run:
    """Read the label, split and reference files of a run; no labelled item to train on is a UserError."""
    label, parts = read_labels(labels), read_split(split).part
    truth = read_reference(reference).p.astype(np.float32)

    def of_all(values: np.ndarray | bool, absent: float, dtype: type) -> np.ndarray:
        result = np.full((len(truth), *np.shape(values)[1:]), absent, dtype)
        result[label.item] = values
        return result

    target, labelled = of_all(label.p, 0, np.float32), of_all(True, False, bool)
    hard, weight = of_all(label.hard, -1, np.int64), of_all(label.weight, 1, np.float32)
    target.flags.writeable = False  # a delivery that wrote into it would change the label of all later epochs
    run = Run(label.classes, parts, target, labelled, hard, of_all(label.votes, 0, np.int64), weight, truth)
    if not run.learned.any():
        raise UserError(f"{labels}: no item of the training part of {split} has a label. Check the label's options.")
    return run
