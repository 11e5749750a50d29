"""A timm model as body: its layers before the classifier, pooled."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from .base import Body, load_weights


def body(model: str, weights: str, weights_file: Path | None) -> Body:
    """The body of timm's ``model`` with random, downloaded or local weights.

    Raises:
        UserError: the weights cannot be downloaded or read; the message says what to do.
    """
    import timm

    try:
        module = timm.create_model(model, pretrained=weights == "imagenet", num_classes=0)
    except Exception as error:  # the hub raises a dozen types for "no network"
        if weights != "imagenet":
            raise
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"The ImageNet weights of {model} cannot be had ({type(error).__name__}: {reason}). Connect to the "
            f"network once (they are then cached), or download them elsewhere and set weights: file and "
            f"weights_file: <path>, or set weights: none."
        ) from None
    if weights == "file":
        load_weights(module, weights_file)
    constants = module.pretrained_cfg if weights != "none" else {}
    return Body(module, module.num_features, constants.get("mean"), constants.get("std"))
