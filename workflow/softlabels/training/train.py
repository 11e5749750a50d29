"""Train one network on one label of one split with one seed."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import gpus, io, lacking
from ..datasets.contract import read_image_rules
from ..errors import UserError, is_lack_of_memory
from ..networks import base as networks
from . import checkpoint, memory
from .compiled import explained
from .data import Images, read_run
from .loop import EXPECTED, Trainer
from .outputs import write


def run(
    config: dict[str, Any],
    inputs: dict[str, Path],
    outputs: dict[str, Path],
    code: str = "",
    checkpoint_seconds: float = 10.0,
    finish: Callable[[dict[str, Any]], None] = lambda facts: None,
) -> dict[str, Any]:
    """Train, and write the model, its history, predictions of all items and features of the test items.

    Args:
        config, inputs, outputs: as :mod:`softlabels.commands` says. By which rules files became images, which ``items``
            tell, is copied into the model; nothing is learned from them.
        code: hash of the code that runs; a resume state that other code saved is not loaded.
        checkpoint_seconds: see :class:`softlabels.training.checkpoint.Saver`.
        finish: called with the facts when all is written, before the resume state is removed.

    Returns:
        Facts for the manifest: times, share of the time in optimiser steps, the attempts that the result comes from
        (host, SLURM job, the position that each began at), where (epoch, step) the run was resumed; of the last attempt
        the place on a GPU where it took one (:func:`softlabels.gpus.taken`), and the compiler where the recipe asks for
        one (:func:`softlabels.training.compiled.compiler`).

    Raises:
        UserError: no GPU for ``device: cuda``, no compiler for ``compile``, or a network that cannot be compiled, a CPU
            without bfloat16, weights that cannot be had, labels that are no distributions, a run that
            is being trained already, no labelled validation item to select by, a loss that is not a number, or too
            little memory.
        Stopped: somebody asked the process to stop; the state is saved.
    """
    folder = checkpoint.folder_of(outputs["model"])
    rules = read_image_rules(inputs["items"]) if "items" in inputs else {}
    recipe = config["recipe"]
    with gpus.taken(recipe["device"]) as place, explained(recipe), memory.explained(recipe):
        trainer = _trainer(recipe, config["seed"], config.get("delivery", EXPECTED), inputs)
        key = io.canonical_json([config, code, {name: io.sha256(path) for name, path in inputs.items()}])
        key = hashlib.sha256(key.encode()).hexdigest()
        with checkpoint.exclusive(folder) as still_ours:
            if (state := checkpoint.load(folder, key)) is not None:
                trainer.load_state(state)
                print("resumed at epoch {}, step {}".format(*trainer.position), file=sys.stderr)
            facts = trainer.fit(checkpoint.Saver(folder, key, checkpoint_seconds, still_ours))
            facts |= {"place": place} if place else {}
            write(trainer, rules, outputs, still_ours)
            still_ours()
            finish(facts)
            still_ours()
            checkpoint.clear(folder)
    return facts


def _trainer(recipe: dict[str, Any], seed: int, delivery: dict[str, Any], inputs: dict[str, Path]) -> Trainer:
    """A training that has not begun: inputs read and checked, the network built, all of it on the device."""
    device = _device(recipe)
    data = read_run(inputs["labels"], inputs["split"], inputs["reference"])
    images = Images(
        inputs["images"],
        device,
        beside=lambda shape: gpus.beside_images(recipe, shape[0], shape[1] * shape[2], len(data.classes)),
    )
    if len(images) != len(data.split):
        raise UserError(
            f"{inputs['images']} has {len(images)} items, {inputs['split']} has {len(data.split)}: they belong to "
            f"different data sets. Build both again."
        )
    if recipe["augment"]["quarter_turns"] and images.shape[0] != images.shape[1]:
        raise UserError(
            f"{inputs['images']}: images of {images.shape[0]} x {images.shape[1]} pixels cannot be turned by a "
            f"quarter. Set augment.quarter_turns: false, or give the source square pixels."
        )
    if recipe["select"] == "best_validation" and not (data.labelled & (data.split == "val")).any():
        raise UserError(
            f"{inputs['labels']}: no item of the validation part of {inputs['split']} has a label to select "
            f"the weights by. Set recipe.select: last, or check the label's options."
        )
    model, body = networks.build(
        recipe["network"], len(data.classes), seed, recipe["weights"], inputs.get("weights"), recipe["dropout"],
        recipe["upscale"],
    )  # fmt: skip
    networks.require_fit(model, recipe["network"].get("name", recipe["network"]["kind"]), *images.shape)
    if body.mean is None:
        mean, std = images.statistics(np.flatnonzero(data.split == "train"))
        model.mean.copy_(mean)
        model.std.copy_(std)
    model = model.to(device, memory_format=torch.channels_last)
    return Trainer(recipe, seed, data, images, model, device, delivery)


def _device(recipe: dict[str, Any]) -> torch.device:
    """The recipe's device, with torch set to reproducible arithmetic and the recipe's threads."""
    if recipe["device"] == "cuda":
        _require_gpu()
    for key, what in lacking.of(recipe):
        raise UserError(f"recipe.{key}: {what}")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # demanded by deterministic cuBLAS
    torch.set_num_threads(recipe["threads"])
    # As use_deterministic_algorithms(True), which also imports the compiler: twice as long as torch itself takes.
    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing reads what nobody wrote
    torch.backends.cudnn.benchmark = False
    networks.whole_float32()
    return torch.device(recipe["device"])


def _require_gpu() -> None:
    """Refuse where torch has no GPU, or where CUDA does not start on it: others then leave that GPU out for a while."""
    visible = os.environ.get(gpus.VISIBLE)
    among = "" if visible is None else f" (CUDA_VISIBLE_DEVICES is '{visible}')"
    if not torch.cuda.is_available():
        raise gpus.NotStartedError(
            f"recipe.device is 'cuda' but torch sees no GPU here{among}. Set device: cpu, or run where there "
            f"is one (nvidia-smi shows it; CUDA_VISIBLE_DEVICES may hide it, and a PyTorch for CPUs sees none). In a "
            f"SLURM job, ask for one: the rule train has the resource gpu=1, which the profile turns into --gpus or "
            f"--gres, in a partition with GPUs."
        )
    try:
        torch.empty(1, device="cuda")
    except RuntimeError as error:
        if is_lack_of_memory(error):
            raise
        raise gpus.NotStartedError(
            f"The GPU {visible or 0} cannot be used: {str(error).strip().splitlines()[0]}. See whether nvidia-smi "
            f"still shows it, in compute mode Default, which several processes may use; leave it out by naming the "
            f"others in CUDA_VISIBLE_DEVICES, or set device: cpu."
        ) from None
