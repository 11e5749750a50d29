"""Train one network on one label of one split with one seed."""

from __future__ import annotations

import hashlib
import math
import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import save
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from .. import io, keyed, locks, registry, stopping
from ..contracts import features as features_file
from ..contracts import predictions
from ..errors import UserError
from ..networks import base as networks
from . import augmentation, checkpoint, memory
from .data import Images, Run, read_run

SAVING_SHARE = 0.02  # of the time at most, so that a slow file server does not slow the training


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
        config: ``recipe`` (see the schema) and ``seed``.
        inputs: ``images``, ``split``, ``labels``, ``reference`` and, for ``weights: file``, ``weights``.
        outputs: ``model``, ``history``, ``predictions``, ``features``.
        code: hash of the code that runs; a resume state that other code saved is not loaded.
        checkpoint_seconds: the resume state is saved at the first step after this many seconds, or after 1 /
            SAVING_SHARE times as long as the last saving took. This is the most that a kill without warning loses.
        finish: called with the facts when all is written, before the resume state is removed.

    Returns:
        Facts for the manifest: times, share of the time in optimiser steps, the attempts that the result comes from
        (host, SLURM job, the position that each began at), where (epoch, step) the run was resumed.

    Raises:
        UserError: no GPU for ``device: cuda``, weights that cannot be had, labels that are no distributions, a run that
            is being trained already, no labelled validation item to select by, a loss that is not a number, or too
            little memory.
        Stopped: somebody asked the process to stop; the state is saved.
    """
    with memory.explained(config["recipe"]):
        return _run(config, inputs, outputs, code, checkpoint_seconds, finish)


def _run(
    config: dict[str, Any],
    inputs: dict[str, Path],
    outputs: dict[str, Path],
    code: str,
    checkpoint_seconds: float,
    finish: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    recipe, seed = config["recipe"], config["seed"]
    device = _device(recipe)
    data = read_run(inputs["labels"], inputs["split"], inputs["reference"])
    images = Images(inputs["images"], device)
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
        recipe["network"]["kind"], len(data.classes), seed, recipe["weights"], inputs.get("weights"), recipe["dropout"]
    )
    if body.mean is None:
        mean, std = _pixel_statistics(images.map, np.flatnonzero(data.split == "train"))
        model.mean.copy_(mean)
        model.std.copy_(std)
    folder = checkpoint.folder_of(outputs["model"])
    key = io.canonical_json([config, code, {name: io.sha256(path) for name, path in inputs.items()}])
    with checkpoint.exclusive(folder) as still_ours:
        trainer = Trainer(recipe, seed, data, images, model.to(device, memory_format=torch.channels_last), device)
        facts = trainer.fit(folder, hashlib.sha256(key.encode()).hexdigest(), checkpoint_seconds, still_ours)
        trainer.write(outputs, still_ours)
        still_ours()
        finish(facts)
        still_ours()
        checkpoint.clear(folder)
    return facts


class Trainer:
    """One training: everything that changes while it runs."""

    def __init__(self, recipe: dict, seed: int, data: Run, images: Images, model: nn.Module, device: torch.device):
        self.recipe, self.seed, self.data, self.images, self.model, self.device = (
            recipe, seed, data, images, model, device,
        )  # fmt: skip
        self.loss = registry.load("loss", recipe["loss"]["kind"])
        self.loss_state: dict[str, torch.Tensor] = {}
        self.schedule = registry.load("schedule", recipe["schedule"]["kind"])
        optimiser = registry.load("optimiser", recipe["optimiser"]["kind"])
        self.optimiser = optimiser(model.parameters(), recipe["rate"], recipe["optimiser"])
        self.target = torch.from_numpy(data.target).to(device)
        self.reference = torch.from_numpy(data.reference).to(device)
        self.weight = torch.from_numpy(_item_weights(data, recipe["class_weight"])).to(device)
        self.class_weight = None
        if recipe["class_weight"] == "per_class":
            self.class_weight = torch.from_numpy(_class_weights(data)).to(device)
        self.initial_sha256 = networks.state_sha256(model)
        self.train = np.flatnonzero(data.split == "train")
        digest = hashlib.sha256()
        for epoch in self.epochs:
            digest.update(self.permutation(epoch).astype("<i8").tobytes())
        self.order_sha256 = digest.hexdigest()
        items = len(self.order(1))
        self.batch = min(recipe["batch"], items)
        self.steps = items // self.batch  # the last batch is left out where it is not full
        self.history: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}
        self.best_value = math.inf
        self.position = (1, 0)  # the next step: epoch from 1, step from 0
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.attempts: list[dict[str, Any]] = [self._attempt()]
        self.check_stop: Callable[[], None] = lambda: None

    @property
    def epochs(self) -> range:
        """1, 2, … epochs."""
        return range(1, self.recipe["epochs"] + 1)

    def permutation(self, epoch: int) -> np.ndarray:
        """All training items in the order of an epoch, whatever their labels, int64."""
        return self.train[keyed.rng("order", self.seed, epoch).permutation(len(self.train))]

    def order(self, epoch: int) -> np.ndarray:
        """The items that an epoch trains on, in order, int64."""
        order = self.permutation(epoch)
        # Filtered, not redrawn: the items that two labels share come in the same order in both runs.
        order = order[self.data.labelled[order]]
        if self.recipe["hold"] == "steps":  # as many steps as with all items: go round again
            order = np.resize(order, len(self.train))
        return order

    # -- the loop ------------------------------------------------------------------------------------------------

    def fit(
        self,
        folder: Path,
        key: str,
        checkpoint_seconds: float,
        still_ours: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Train from the start or from the saved state to the end; the result's bytes are the same either way."""
        state = checkpoint.load(folder, key)
        if state is not None:
            self.load_state(state)
            print(f"resumed at epoch {self.position[0]}, step {self.position[1]}", file=sys.stderr)

        started = saved = time.monotonic()
        in_steps, pause = 0.0, checkpoint_seconds

        def save() -> None:
            nonlocal saved, pause
            begun = time.monotonic()
            still_ours()
            checkpoint.save(folder, key, self.state())
            saved = time.monotonic()
            pause = max(checkpoint_seconds, (saved - begun) / SAVING_SHARE)

        def save_if_due() -> None:
            if time.monotonic() - saved > pause:
                save()

        bar = tqdm(total=len(self.epochs) * self.steps, initial=self._done(), unit="step", disable=None)
        with stopping.on_check() as self.check_stop, bar:
            try:
                for epoch in range(self.position[0], len(self.epochs) + 1):
                    in_steps += self.run_epoch(epoch, bar, save_if_due)
                    self._report(bar, epoch)
                self.check_stop()
            except stopping.Stopped as stop:
                save()
                epoch = min(self.position[0], len(self.epochs))
                raise stopping.Stopped(f"{stop} in epoch {epoch} of {len(self.epochs)}; the state is saved") from None
            save()  # what comes now may take long, too
        wall = time.monotonic() - started
        if self.recipe["select"] == "best_validation":
            self.model.load_state_dict(self.best)
        share = in_steps / wall if wall else 1.0
        print(f"{wall:.1f} s, {share:.1%} of it in optimiser steps", file=sys.stderr)
        return {
            "initial_sha256": self.initial_sha256,
            "order_sha256": self.order_sha256,
            "attempts": self.attempts,
            "resumes": [attempt["position"] for attempt in self.attempts[1:]],
            "seconds": round(wall, 3),
            "share_in_steps": round(share, 4),
            "steps": len(self.epochs) * self.steps,
        }

    def run_epoch(self, epoch: int, bar: tqdm, save_if_due: Callable[[], None]) -> float:
        """The steps that are left of an epoch, and its end; returns the seconds in optimiser steps."""
        draws = augmentation.draws(self.recipe["augment"], len(self.images), self.seed, epoch)
        draws = {name: draw.to(self.device) for name, draw in draws.items()}
        order = torch.from_numpy(self.order(epoch)).to(self.device)
        begun, saving = time.monotonic(), 0.0
        self.model.train()
        for step in range(self.position[1], self.steps):
            self.step(epoch, step, order, draws)
            bar.update()
            self.position = (epoch, step + 1)
            self.check_stop()
            done = time.monotonic()
            save_if_due()
            saving += time.monotonic() - done
        mean_loss = self.loss_sum.item() / self.steps  # waits for the device
        seconds = time.monotonic() - begun - saving
        self.end_epoch(epoch, mean_loss)
        return seconds

    def step(self, epoch: int, step: int, order: torch.Tensor, draws: dict[str, torch.Tensor]) -> None:
        """One optimiser step."""
        index = order[step * self.batch : (step + 1) * self.batch]
        images = augmentation.apply(self.images[index], {name: draw[index] for name, draw in draws.items()})
        target = self.target[index]
        if self.class_weight is not None:
            target = target * self.class_weight
        if self.recipe["dropout"] > 0:  # the only layer that draws at random
            torch.manual_seed(keyed.torch_seed("dropout", self.seed, epoch, step))
        with self.precision():
            logits = self.model(images).float()
        loss = (self.weight[index] * self.loss(logits, target, index, self.loss_state)).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(epoch, step)
        self.optimiser.step()
        self.loss_sum += loss.detach()

    def rate(self, epoch: int, step: int) -> float:
        """Learning rate of a step: linear warm-up to the base rate, then the schedule."""
        warmup, base = self.recipe["warmup_epochs"], self.recipe["rate"]
        start, end = epoch - 1 + step / self.steps, epoch - 1 + (step + 1) / self.steps
        if end <= warmup:
            return base * end / warmup
        return base * self.schedule(start - warmup, len(self.epochs) - warmup, self.recipe["schedule"])

    def end_epoch(self, epoch: int, mean_loss: float) -> None:
        """Validate, note the history (with the rate of the last step), keep the best weights where asked for."""
        if not math.isfinite(mean_loss):
            raise UserError(
                f"The loss is {mean_loss} in epoch {epoch}: training diverged. Lower recipe.rate "
                f"({self.recipe['rate']}) or raise recipe.warmup_epochs ({self.recipe['warmup_epochs']})."
            )
        own, reference = self.validate()
        rate = self.rate(epoch, self.steps - 1)
        self.history.append(
            {"epoch": epoch, "rate": rate, "train_loss": mean_loss, "val_ce_own": own, "val_ce_reference": reference}
        )
        if self.recipe["select"] == "best_validation" and own < self.best_value:
            self.best_value = own
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        self.loss_sum.zero_()
        self.position = (epoch + 1, 0)

    def validate(self) -> tuple[float, float]:
        """Mean cross-entropy of the validation items against the run's own label, and against the reference.

        The run learns from (and selects by) the first only. H(p) is constant: the order by cross-entropy is that by KL.
        """
        items = np.flatnonzero(self.data.split == "val")
        logits = torch.from_numpy(self.predict(items)[0])
        log_q = F.log_softmax(logits.double(), dim=1)
        own = torch.from_numpy(self.data.labelled[items])
        cross_entropy = -(torch.from_numpy(self.data.target[items]).double() * log_q).sum(dim=1)[own].mean()
        against_reference = -(torch.from_numpy(self.data.reference[items]).double() * log_q).sum(dim=1).mean()
        return cross_entropy.item(), against_reference.item()

    def predict(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits float32 ``[K, C]`` and pooled features float32 ``[K, F]`` of items, without augmentation."""
        self.model.eval()
        logits, features = [], []
        with torch.no_grad():
            for start in range(0, len(items), self.recipe["batch"]):
                self.check_stop()
                index = torch.from_numpy(items[start : start + self.recipe["batch"]]).to(self.device)
                images = self.images[index].permute(0, 3, 1, 2).to(torch.float32) / 255
                with self.precision():
                    pooled = self.model.features(images)
                    logits.append(self.model.head(pooled).float().cpu())
                features.append(pooled.float().cpu())
        return torch.cat(logits).numpy(), torch.cat(features).numpy()

    def precision(self) -> Any:
        """bfloat16 where the recipe's device is a GPU and its precision says so."""
        bfloat16 = self.recipe["precision"] == "bfloat16" or (
            self.recipe["precision"] == "auto" and self.device.type == "cuda"
        )
        return torch.autocast(self.device.type, torch.bfloat16) if bfloat16 else nullcontext()

    def _attempt(self) -> dict[str, Any]:
        """Who trains from the present position on."""
        who = locks.whoami()
        return {key: who[key] for key in ("host", "pid", "job", "started")} | {"position": list(self.position)}

    def _done(self) -> int:
        return (self.position[0] - 1) * self.steps + self.position[1]

    def _report(self, bar: tqdm, epoch: int) -> None:
        last = self.history[-1]
        line = ", ".join(
            f"{name} {last[name]:.4f}" for name in ("rate", "train_loss", "val_ce_own", "val_ce_reference")
        )
        if bar.disable:
            print(f"epoch {epoch}/{len(self.epochs)}: {line}", file=sys.stderr, flush=True)
        else:
            bar.set_postfix_str(line)

    # -- resume state and outputs --------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that changes during training."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "loss_state": self.loss_state,
            "loss_sum": self.loss_sum,
            "history": self.history,
            "best": self.best,
            "best_value": self.best_value,
            "position": list(self.position),
            "attempts": self.attempts,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state`."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.loss_state = {name: tensor.to(self.device) for name, tensor in state["loss_state"].items()}
        self.best = {name: tensor.to(self.device) for name, tensor in state["best"].items()}
        self.loss_sum.copy_(state["loss_sum"])
        self.history, self.best_value = state["history"], state["best_value"]
        self.position = tuple(state["position"])
        self.attempts = [*state["attempts"], self._attempt()]

    def write(self, outputs: dict[str, Path], still_ours: Callable[[], None] = lambda: None) -> None:
        """Write the four files of a run."""
        items = np.arange(len(self.images))
        logits, features = self.predict(items)
        still_ours()
        hashes = {"initial_sha256": self.initial_sha256, "order_sha256": self.order_sha256}
        about = {
            "network": self.recipe["network"]["kind"],
            "classes": self.data.classes,
            "height": self.images.shape[0],
            "width": self.images.shape[1],
            **hashes,
        }
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.model.state_dict().items()}
        with io.atomic(outputs["model"]) as part:
            # One metadata entry: safetensors writes several in an order that changes from process to process.
            part.write_bytes(save(tensors, metadata={"softlabels": io.canonical_json(about)}))
        history = pa.Table.from_pylist(self.history)
        history = history.set_column(0, "epoch", history.column("epoch").cast(pa.int32()))
        io.write_table(outputs["history"], history, {"unit": "nats", **hashes})
        predictions.write(outputs["predictions"], items, self.data.split, logits, self.data.classes)
        features_file.write(outputs["features"], features[self.data.split == "test"])


def _device(recipe: dict) -> torch.device:
    """The recipe's device, with torch set to reproducible arithmetic and the recipe's threads."""
    if recipe["device"] == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "recipe.device is 'cuda' but torch sees no GPU here. Set device: cpu, or run where there is one "
            "(nvidia-smi shows it, CUDA_VISIBLE_DEVICES may hide it). In a SLURM job, ask for one: the rule train has "
            "the resource gpu=1, which the profile turns into --gpus or --gres, in a partition with GPUs."
        )
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # demanded by deterministic cuBLAS
    torch.set_num_threads(recipe["threads"])
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32; bfloat16 is there for speed
    return torch.device(recipe["device"])


def _pixel_statistics(images: np.ndarray, items: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each channel in 0..1, exact (from counts of the 256 values), ``[1, 3, 1, 1]``."""
    counts = np.zeros((3, 256), dtype=np.int64)
    for start in range(0, len(items), 256):
        pixels = images[items[start : start + 256]].reshape(-1, 3)
        counts += np.stack([np.bincount(channel, minlength=256) for channel in pixels.T])
    values = np.arange(256) / 255
    share = counts / counts.sum(axis=1, keepdims=True)
    mean = share @ values
    std = np.sqrt(np.maximum(share @ values**2 - mean**2, 1e-6))  # a constant channel must not divide by zero
    return tuple(torch.tensor(x, dtype=torch.float32).reshape(1, 3, 1, 1) for x in (mean, std))


def _class_weights(data: Run) -> np.ndarray:
    """``n / (C n_c)`` of the hard classes of the labelled training items, float32 ``[C]`` (scikit-learn's "balanced").

    The training part only; the benchmark code of the paper's authors counts the whole data set, test items included.
    """
    hard = data.hard[(data.split == "train") & data.labelled]
    counts = np.bincount(hard, minlength=len(data.classes))
    return (len(hard) / (len(counts) * np.maximum(counts, 1))).astype(np.float32)


def _item_weights(data: Run, class_weight: str) -> np.ndarray:
    """The label file's weights, times that of the item's hard class for ``argmax``; mean 1 over the training items."""
    weight = data.weight.copy()
    if class_weight == "argmax":
        weight[data.labelled] *= _class_weights(data)[data.hard[data.labelled]]
    mean = weight[(data.split == "train") & data.labelled].mean()
    if mean <= 0:
        raise UserError("The weights of the training items sum to 0: nothing would be learned.")
    return weight / mean
