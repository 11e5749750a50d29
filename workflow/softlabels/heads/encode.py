"""Compute the pooled features of all items by a network that learns nothing here: once for all labels and seeds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from .. import gpus, io, stopping
from ..contracts import write_encoding
from ..datasets.contract import read_images
from ..errors import UserError, is_lack_of_memory
from ..networks import base as networks
from ..progress import progress
from ..training.data import Images
from ..training.train import _device

# Pixels that the network sees at a time, by device: as many as a processor's caches like, and a GPU needs to be busy.
AT_ONCE = {"cpu": 2**20, "cuda": 2**23}


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path]) -> dict[str, Any]:
    """Write the features of all items, and the encoder, so that others can compute those of new images.

    Args:
        config: ``recipe``, of which an encoder has ``network``, ``weights``, ``upscale``, ``device`` and ``threads``.
        inputs: ``images``, and ``weights``, a file, where they come from one.
        outputs: ``features``, float32 ``[N, F]`` without augmentation, and ``encoder``.

    Returns:
        Facts for the manifest: ``weights_sha256`` of the network, ``features`` (F), ``normalised`` (by which constants:
        those of the weights, or of all items where the weights come without), and the place on a GPU.

    Raises:
        UserError: no GPU for ``device: cuda``, weights that cannot be had, images that the network cannot take, or too
            little memory.
        Stopped: somebody asked the process to stop; nothing is kept.
    """
    recipe = config["recipe"]
    with gpus.taken(recipe["device"]) as place, _explained(recipe):
        device = _device({**recipe, "precision": "float32", "compile": False})
        images = read_images(inputs["images"])
        network, facts = _network(recipe, inputs, images.shape[1:3], device)
        with stopping.on_check() as check:
            width = write_encoding(outputs["features"], len(images), _features(network, images, device, check))
    about = {"network": recipe["network"], "upscale": recipe["upscale"], "height": images.shape[1],
             "width": images.shape[2], **facts}  # fmt: skip
    # Copies: some networks name one tensor twice, which safetensors refuses.
    state = {
        name: tensor.cpu().contiguous().clone() for name, tensor in network.state_dict().items() if name[:5] != "head."
    }
    # One metadata entry: safetensors writes several in an order that changes from process to process.
    with io.atomic(outputs["encoder"]) as part:
        part.write_bytes(save(state, metadata={"softlabels": io.canonical_json(about)}))
    return {**facts, "features": width} | ({"place": place} if place else {})


def _network(
    recipe: dict[str, Any], inputs: dict[str, Path], shape: tuple[int, int], device: torch.device
) -> tuple[networks.Classifier, dict[str, Any]]:
    """The network on its device, ready to encode images of a shape, and facts of it."""
    network, body = networks.build(
        recipe["network"], 1, 0, recipe["weights"], inputs.get("weights"), upscale=recipe["upscale"]
    )
    networks.require_fit(network, _name(recipe), *shape)
    facts = {"weights_sha256": networks.state_sha256(network.body), "normalised": "weights"}
    if body.mean is None:
        images = Images(inputs["images"], torch.device("cpu"), resident=False)
        mean, std = images.statistics(np.arange(len(images)))
        network.mean.copy_(mean)
        network.std.copy_(std)
        facts["normalised"] = "all items"
        print(
            "The weights come without the constants that their images were normalised with: mean and standard "
            "deviation of each channel are those of all items of the data set.",
            file=sys.stderr,
        )
    return network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last), facts


def _features(
    network: networks.Classifier, images: np.ndarray, device: torch.device, check: Callable[[], None]
) -> Iterator[np.ndarray]:
    """The features of all images, batch by batch; ``check`` is called before each."""
    side = network.upscale
    batch = max(1, AT_ONCE[device.type] // (side**2 if side else images.shape[1] * images.shape[2]))
    for start in progress(range(0, len(images), batch), "encode"):
        check()
        pixels = torch.from_numpy(images[start : start + batch].copy()).to(device)
        pixels = pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255)
        yield network.features(pixels).cpu().numpy()


def _name(recipe: dict[str, Any]) -> str:
    """What messages call a recipe's network."""
    return recipe["network"].get("name", recipe["network"]["kind"])


@contextmanager
def _explained(recipe: dict[str, Any]) -> Iterator[None]:
    """Turn a lack of memory in the block into one UserError that says what to change; others name the rule encode."""
    try:
        yield
    except gpus.NotStartedError as error:  # worded for trainings
        raise gpus.NotStartedError(str(error).replace("the rule train has", "the rule encode has")) from None
    except (MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        raise UserError(
            f"Not enough memory to compute features with {_name(recipe)} on {recipe['device']}. Ask for "
            f"more (on a cluster: resource mem_mb of the rule encode), lower recipe.upscale, or choose a smaller "
            f"network."
        ) from None
