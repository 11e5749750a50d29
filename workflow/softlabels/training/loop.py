"""The training loop: everything that changes while a network learns."""

from __future__ import annotations

import hashlib
import math
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from .. import keyed, locks, registry, stopping
from ..errors import UserError
from ..networks.base import state_sha256
from . import augmentation
from .captured import Captured, Pool
from .checkpoint import Saver
from .compiled import compiled, compiler
from .data import Images, Run
from .pace import Pace

EXPECTED = {"kind": "expected"}  # the delivery of a label that names none
# How many images a GPU predicts at a time, a multiple of ROWS: enough of small ones to keep it busy, and no more than a
# training step has memory for, which keeps all that this overwrites.
MOST_PIXELS, MOST_ROWS, MOST_BATCHES, ROWS = 2**24, 1024, 4, 8
WAITING = 16  # of such batches leave their results on the GPU until they are fetched together


class Trainer:
    """One training of a recipe (see the schema); ``model`` has its initial weights, and is on ``device``."""

    def __init__(self, recipe: dict, seed: int, data: Run, images: Images, model: nn.Module, device: torch.device,
                 delivery: dict = EXPECTED):  # fmt: skip
        self.recipe, self.seed, self.data, self.images, self.model, self.device = (
            recipe, seed, data, images, model, device,
        )  # fmt: skip
        kinds = {kind: recipe[kind]["kind"] for kind in ("loss", "schedule", "optimiser")}
        self.loss, self.schedule, optimiser = (registry.load(kind, name) for kind, name in kinds.items())
        self.optimiser = optimiser(model.parameters(), recipe["rate"], recipe["optimiser"])
        rates = [group["lr"] for group in self.optimiser.param_groups]
        self.rates_held = rates if all(isinstance(rate, torch.Tensor) for rate in rates) else None
        self.loss_state: dict[str, Any] = {"items": len(images), "epoch": 1}
        self.delivery, self.delivered = registry.load("delivery", delivery["kind"]), delivery
        self.shown: np.ndarray | None = None
        self.least: torch.Tensor | None = None  # of each item, see entropy_shown; of the targets that are shown now
        self.deliver(1)
        self.weight = torch.from_numpy(data.item_weights(recipe["class_weight"])).to(device)
        per_class = recipe["class_weight"] == "per_class"
        self.class_weight = torch.from_numpy(data.class_weights()).to(device) if per_class else None
        self.train = np.flatnonzero(data.split == "train")
        self.epochs = range(1, recipe["epochs"] + 1)
        digest = hashlib.sha256()
        for epoch in self.epochs:
            digest.update(self.permutation(epoch).astype("<i8").tobytes())
        self.hashes = {"initial_sha256": state_sha256(model), "order_sha256": digest.hexdigest()}
        if recipe["weights"] != "none":
            self.hashes["weights_sha256"] = state_sha256(model.body)
        self.network = compiled(model, recipe["threads"]) if recipe["compile"] else model
        self.arithmetic = {"trained_in": self.precision, "predicted_in": "float32"}
        items = len(self.order(1))
        self.batch = min(recipe["batch"], items)
        self.steps = items // self.batch  # the last batch is left out where it is not full
        self.history: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}
        self.best_value = math.inf
        self.position = (1, 0)  # the next step: epoch from 1, step from 0
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self._place_step()
        self.attempts: list[dict[str, Any]] = [self._attempt()]
        self.check_stop: Callable[[], None] = lambda: None

    def permutation(self, epoch: int) -> np.ndarray:
        """All training items in the order of an epoch, whatever their labels, int64."""
        rng, buffer = keyed.rng("order", self.seed, epoch), self.recipe["shuffle_buffer"]
        if buffer is None:
            return self.train[rng.permutation(len(self.train))]
        listed = np.argsort(self.data.reference[self.train].argmax(axis=1), kind="stable")
        return self.train[listed[buffered(len(listed), buffer, rng)]]

    def order(self, epoch: int) -> np.ndarray:
        """The items that an epoch trains on, in order, int64."""
        order = self.permutation(epoch)
        # Filtered, not redrawn: the items that two labels share come in the same order in both runs.
        order = order[self.data.labelled[order]]
        if self.recipe["hold"] == "steps":  # as many steps as with all items: go round again
            order = np.resize(order, len(self.train))
        return order

    def fit(self, saver: Saver) -> dict[str, Any]:
        """Train from the present position to the end; the result's bytes are the same wherever that is.

        Returns and raises what :func:`softlabels.training.train.run` does.
        """
        started, in_steps, last = time.monotonic(), 0.0, len(self.epochs)
        done = (self.position[0] - 1) * self.steps + self.position[1]
        bar = tqdm(total=last * self.steps, initial=done, unit="step", disable=None)
        self._begin_pace()
        with stopping.on_check() as self.check_stop, bar:
            try:
                for epoch in range(self.position[0], last + 1):
                    in_steps += self.run_epoch(epoch, bar, saver)
                    self._report(bar, epoch)
                self.check_stop()
            except stopping.Stopped as stop:
                saver.save(self.state())
                epoch = min(self.position[0], last)
                raise stopping.Stopped(f"{stop} in epoch {epoch} of {last}; the state is saved") from None
            saver.save(self.state())  # what comes now may take long, too
        wall = time.monotonic() - started
        if self.recipe["select"] == "best_validation":
            self.model.load_state_dict(self.best)
        share = in_steps / wall if wall else 1.0
        print(f"{wall:.1f} s, {share:.1%} of it in optimiser steps", file=sys.stderr)
        return {
            **self.hashes, **self.arithmetic, **({"compiler": compiler(self.device)} if self.recipe["compile"] else {}),
            "attempts": self.attempts,
            "resumes": [attempt["position"] for attempt in self.attempts[1:]],
            "seconds": round(wall, 3), "share_in_steps": round(share, 4), "steps": last * self.steps,
        }  # fmt: skip

    def run_epoch(self, epoch: int, bar: tqdm, saver: Saver) -> float:
        """The steps that are left of an epoch, and its end; returns the seconds in optimiser steps."""
        self.begin_epoch(epoch)
        begun, saving = time.monotonic(), 0.0
        self.pace.begin(self.position[1])
        for step in range(self.position[1], self.steps):
            self.step(epoch, step)
            bar.update()
            self.position = (epoch, step + 1)
            self.check_stop()
            if saver.due():
                saving += saver.save(self.state())
            if told := self.pace.step(epoch, step + 1, saving):
                self._say(bar, f"{epoch}/{len(self.epochs)}, step {step + 1}/{self.steps}", told)
        mean_loss = self.loss_sum.item() / self.steps  # waits for the device
        seconds = time.monotonic() - begun - saving
        self.pace.learned(seconds)
        self.end_epoch(epoch, mean_loss)
        return seconds

    def deliver(self, epoch: int) -> None:
        """Set the targets of an epoch, ``target``, float32 ``[N, C]`` on the device."""
        shown = self.delivery(self.data, epoch, self.seed, self.delivered)
        if shown is self.shown and shown is self.data.target:  # any other may have been changed in place
            return
        learned, shape = self.data.learned, self.data.target.shape
        found = f"an array {list(shown.shape)}" if isinstance(shown, np.ndarray) else type(shown).__name__
        if right := isinstance(shown, np.ndarray) and shown.shape == shape and shown.dtype.kind in "fiub":
            found = "numbers that are not finite"
        if not right or not np.isfinite(shown[learned]).all():
            raise UserError(
                f"The delivery {self.delivered['kind']} gave {found} as targets of epoch {epoch}, expected an array of "
                f"finite numbers {list(shape)}. Correct it."
            )
        if self.shown is None:
            self.target = torch.empty(shape, device=self.device)
        self.target.copy_(torch.from_numpy(np.array(shown, np.float32)))
        self.shown, self.least = shown, None

    def _place_step(self) -> None:
        """Room for what a step reads, at places that stay: a CUDA graph knows no others."""
        self.draws: dict[str, torch.Tensor] = {}
        self.items = torch.empty(self.steps * self.batch, dtype=torch.int64, device=self.device)
        self.rates = torch.empty(self.steps, device=self.device)
        self.given = self.images.batch(self.batch)
        self.room = augmentation.room(self.given)
        self.row = torch.arange(self.batch, device=self.device)
        self.step_now = torch.zeros((), dtype=torch.int64, device=self.device)
        reasons = _uncaptured(self.recipe, self.rates_held is not None)
        if reasons and self.device.type == "cuda":
            print(f"not captured as a CUDA graph, which slows small networks: {'; '.join(reasons.values())}",
                  file=sys.stderr)  # fmt: skip
        self.pool = Pool()
        self.work = Captured(self._work, self.device, self.pool, not reasons)
        self.network_fit = "network" not in reasons
        self.forwards: dict[int, tuple[torch.Tensor, torch.Tensor, Captured]] = {}

    def begin_epoch(self, epoch: int) -> None:
        """Put what the steps of an epoch read where they look for it."""
        self.deliver(epoch)
        for name, draw in augmentation.draws(self.recipe["augment"], len(self.images), self.seed, epoch).items():
            if name not in self.draws:
                self.draws[name] = torch.empty_like(draw, device=self.device)
            self.draws[name].copy_(draw)
        self.order_now = torch.from_numpy(self.order(epoch)[: len(self.items)])
        self.items.copy_(self.order_now)
        self.rates.copy_(torch.tensor([self.rate(epoch, each) for each in range(self.steps)]))
        self.loss_state["epoch"] = epoch
        self.model.train()

    def step(self, epoch: int, step: int) -> None:
        """One optimiser step of the epoch that has begun; on a GPU it may still be under way."""
        self.step_now.fill_(step)
        if not self.images.resident:
            self.images.gather(self.order_now[step * self.batch : (step + 1) * self.batch], self.given)
        if self.recipe["dropout"] > 0:  # the only layer that draws at random
            torch.manual_seed(keyed.torch_seed("dropout", self.seed, epoch, step))
        if self.rates_held is None:
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate(epoch, step)
        self.work()

    def _work(self) -> None:
        """What the device does in a step. It may be a CUDA graph: nothing here depends on the step but by tensors."""
        index = self.items.index_select(0, torch.add(self.row, self.step_now, alpha=self.batch))
        images = self.images.gather(index, self.given) if self.images.resident else self.given
        draws = {name: draw.index_select(0, index) for name, draw in self.draws.items()}
        images = augmentation.apply(images, draws, self.room)
        target = self.target.index_select(0, index)
        if self.class_weight is not None:
            target = target * self.class_weight
        with self.autocast():
            logits = self.network(images).float()
        loss = self.loss(logits, target, index, self.loss_state, self.recipe["loss"])
        loss = (self.weight.index_select(0, index) * loss).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for held in self.rates_held or []:
            torch.index_select(self.rates, 0, self.step_now.reshape(1), out=held.reshape(1))
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
        learned = {"train_loss": mean_loss, "train_entropy": self.entropy_shown(epoch)}
        self.history.append({"epoch": epoch, "rate": self.rate(epoch, self.steps - 1), **learned, **self.validate()})
        own = self.history[-1]["val_ce_own"]
        if self.recipe["select"] == "best_validation" and own < self.best_value:
            self.best_value = own
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        self.loss_sum.zero_()
        self.position = (epoch + 1, 0)

    def entropy_shown(self, epoch: int) -> float:
        """The least mean cross-entropy in nats that any predictions could have had on what an epoch showed.

        Without weights that is the mean entropy of its targets. An item whose weight is w and whose target, multiplied
        by weights of the classes, is t with the sum m adds ``-w sum_k t_k ln(t_k / m)``. NaN for another loss, and for
        targets of a delivery that are no distributions.
        """
        if self.recipe["loss"]["kind"] != "cross_entropy":
            return math.nan
        if self.least is None:
            parts = []
            for target, weight in zip(self.target.split(1024), self.weight.split(1024), strict=True):
                if self.class_weight is not None:
                    target = target * self.class_weight
                mass = target.double().sum(dim=1)
                terms = weight * mass * torch.special.entr(target / mass[:, None]).sum(dim=1)
                parts.append(terms.where((target >= 0).all(dim=1) & (mass > 0), math.nan))
            self.least = torch.cat(parts)
        shown = torch.from_numpy(self.order(epoch)[: self.steps * self.batch]).to(self.device)
        return self.least.index_select(0, shown).mean().item()

    def validate(self) -> dict[str, float]:
        """What the history notes of the validation items, against the run's own label and against the reference.

        ``val_ce_…`` is the mean cross-entropy in nats, ``val_entropy_…`` the mean entropy of the label or reference:
        the least that it can be, the same in each epoch. ``val_acc_…`` is the share of items whose most probable class
        (the first of several) is the hard label, or the reference's first most probable class. The run learns from
        (and selects by) its own label only; an item without one counts for the reference alone.
        """
        items = np.flatnonzero(self.data.split == "val")
        logits = torch.from_numpy(self.predict(items)[0])
        log_q, found = F.log_softmax(logits.double(), dim=1), logits.numpy().argmax(axis=1)
        reference, every = self.data.reference[items], np.ones(len(items), bool)
        numbers = {}
        for name, p, hard, known in (
            ("own", self.data.target[items], self.data.hard[items], self.data.labelled[items]),
            ("reference", reference, reference.argmax(axis=1), every),
        ):
            target, right, rows = torch.from_numpy(p).double(), torch.from_numpy(found == hard), torch.from_numpy(known)
            of_items = {"ce": -(target * log_q).sum(dim=1), "entropy": torch.special.entr(target).sum(dim=1),
                        "acc": right.double()}  # fmt: skip
            numbers |= {f"val_{what}_{name}": values[rows].mean().item() for what, values in of_items.items()}
        return numbers

    def predict(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits float32 ``[K, C]`` and pooled features float32 ``[K, F]`` of items, without augmentation.

        In float32 whatever the training's precision: bfloat16, with 8 bits of a logit, ties the first two classes of
        some items. Validation is such a prediction: on a CPU the history has the numbers of what is written. A GPU
        takes batches of another size for another number of items, and rounds differently: they agree to about 1e-4.
        """
        self.model.eval()
        rows, found = self._rows(len(items)), []
        index = torch.from_numpy(items)
        if self.device.type == "cuda":  # always as many rows: the last item again
            index = F.pad(index, (0, -len(items) % rows), value=int(items[-1]))
        index = index.to(self.device if self.images.resident else "cpu")
        waiting: list[tuple[torch.Tensor, torch.Tensor]] = []
        with torch.no_grad():
            for start in range(0, len(items), rows):
                self.check_stop()
                waiting.append(self._forward(index[start : start + rows]))
                if len(waiting) == WAITING or start + rows >= len(items):
                    found.append([torch.cat(results).cpu() for results in zip(*waiting, strict=True)])
                    waiting.clear()
        logits, features = (torch.cat(parts)[: len(items)].numpy() for parts in zip(*found, strict=True))
        return logits, features

    def _rows(self, items: int) -> int:
        """How many of so many items are predicted at a time. What a GPU computes may depend on it, its memory not."""
        if self.device.type == "cpu":
            return self.recipe["batch"]
        height, width = [self.recipe["upscale"]] * 2 if self.recipe["upscale"] else self.images.shape
        most = min(MOST_ROWS, MOST_PIXELS // (height * width), MOST_BATCHES * self.recipe["batch"])
        most = max(most // ROWS, 1) * ROWS
        return math.ceil(items / (math.ceil(items / most) * ROWS)) * ROWS

    def _forward(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and features of the items of ``index``, int64 ``[B]``, where images are looked up."""
        if self.device.type == "cpu":
            return self._outputs(self.images[index])
        rows = len(index)
        if rows not in self.forwards:
            asked, given = torch.empty(rows, dtype=torch.int64, device=self.device), self.images.batch(rows)

            def work() -> tuple[torch.Tensor, torch.Tensor]:
                return self._outputs(self.images.gather(asked, given) if self.images.resident else given)

            self.forwards[rows] = asked, given, Captured(work, self.device, self.pool, self.network_fit)
        asked, given, forward = self.forwards[rows]
        if self.images.resident:
            asked.copy_(index)
        else:
            self.images.gather(index, given)
        logits, features = forward()
        return logits.clone(), features.clone()

    def _outputs(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits float32 ``[B, C]`` and features float32 ``[B, F]`` of images uint8 ``[B, H, W, 3]``."""
        features = self.model.features(images.permute(0, 3, 1, 2).to(torch.float32) / 255)
        return self.model.head(features), features

    @property
    def precision(self) -> str:
        """The arithmetic of the training steps: bfloat16 where the recipe's precision says so, or leaves it to a GPU.

        Weights, losses and all predictions are float32 either way.
        """
        wanted = self.recipe["precision"]
        bfloat16 = wanted == "bfloat16" or (wanted == "auto" and self.device.type == "cuda")
        return "bfloat16" if bfloat16 else "float32"

    def autocast(self) -> AbstractContextManager:
        """The arithmetic of the training steps, for the length of a ``with`` block."""
        bfloat16 = self.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16) if bfloat16 else nullcontext()

    def _attempt(self) -> dict[str, Any]:
        """Who trains from the present position on."""
        who = locks.whoami()
        return {key: who[key] for key in ("host", "pid", "job", "started")} | {"position": list(self.position)}

    def _begin_pace(self) -> None:
        """Watch the time from now on."""
        validated = max(1, np.count_nonzero(self.data.split == "val"))
        self.pace = Pace(len(self.epochs), self.steps, self.batch, len(self.data.split) / validated)

    def _report(self, bar: tqdm, epoch: int) -> None:
        told = {name: value for name, value in self.history[-1].items() if name != "epoch" and "entropy" not in name}
        line = ", ".join(f"{name} {value:.4f}" for name, value in told.items())
        self._say(bar, f"{epoch}/{len(self.epochs)}", f"{line}, {self.pace.end(epoch)}")

    def _say(self, bar: tqdm, epoch: str, line: str) -> None:
        """A line of the log, which :mod:`softlabels.joblog` reads; beside the bar where there is one."""
        if self.device.type == "cuda":
            line += f", {torch.cuda.max_memory_reserved(self.device) / 2**20:,.0f} MB of GPU memory"
        if bar.disable:
            print(f"epoch {epoch}: {line}", file=sys.stderr, flush=True)
        else:
            bar.set_postfix_str(line)

    def state(self) -> dict[str, Any]:
        """All that changes during training."""
        names = ("loss_state", "loss_sum", "history", "best", "best_value", "attempts")
        modules = {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}
        return {**modules, "position": list(self.position), **{name: getattr(self, name) for name in names}}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state`."""

        def here(values: dict[str, Any]) -> dict[str, Any]:
            return {k: v.to(self.device) if isinstance(v, torch.Tensor) else v for k, v in values.items()}

        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        for group, held in zip(self.optimiser.param_groups, self.rates_held or [], strict=False):
            group["lr"] = held
        self.loss_state, self.best = here(state["loss_state"]), here(state["best"])
        self.loss_sum.copy_(state["loss_sum"])
        self.history, self.best_value = state["history"], state["best_value"]
        self.position = tuple(state["position"])
        self.attempts = [*state["attempts"], self._attempt()]


def buffered(items: int, buffer: int, rng: np.random.Generator) -> np.ndarray:
    """Order in which a shuffle buffer gives a list of so many items, int64 ``[items]``, a permutation.

    The buffer holds the first ``buffer`` of the list; each draw takes one of them at random, and the next of the list
    comes into its place (``tf.data.Dataset.shuffle``).
    """
    held, order = list(range(min(buffer, items))), np.empty(items, np.int64)
    coming = range(len(held), items)
    for at, (place, following) in enumerate(zip(rng.integers(0, buffer, len(coming)), coming, strict=True)):
        order[at], held[place] = held[place], following
    order[len(coming) :] = rng.permutation(held)
    return order


def _uncaptured(recipe: dict[str, Any], rates_held: bool) -> dict[str, str]:
    """Why a step cannot be part of a CUDA graph, by what of the recipe it is because of; nothing where it can be.

    Entries of ours can be; others say so. ``rates_held`` tells whether the optimiser keeps its rates as tensors.
    """
    kinds = {kind: recipe[kind]["kind"] for kind in ("network", "loss", "optimiser")}
    found = {
        kind: f"the {kind} {name} does not say that it can be ('captured': True)"
        for kind, name in kinds.items()
        if ":" in name and not registry.entry(kind, name).get("captured", False)
    }
    if not rates_held:
        number = f"the optimiser {kinds['optimiser']} has a number as its rate, not a tensor (lr=torch.tensor(…))"
        found.setdefault("optimiser", number)
    return found
