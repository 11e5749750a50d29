"""Bare training steps, which steps of ours are measured against: a network, a loss and an optimiser, nothing else.

No part of the package trains here: no augmentation, no looking up of images, no history. All of it works on one batch
that lies ready, in channels-last order, with PyTorch's own loss and optimiser.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

CLASSES, BATCH = 6, 128


def network(kind: str, classes: int = CLASSES) -> nn.Module:
    """A classifier of 3-channel images with random weights: ``compact`` is ours, other names are timm's."""
    torch.manual_seed(0)
    if kind == "compact":
        from softlabels.networks.compact import Compact

        return nn.Sequential(Compact(), nn.Linear(64, classes))
    import timm

    return timm.create_model(kind, pretrained=False, num_classes=classes)


def bare_step(
    kind: str, pixels: int, batch: int = BATCH, bfloat16: bool = False, compiled: bool = False, threads: int = 1
) -> Callable[[], None]:
    """One step of SGD with momentum on a CPU: zero the gradients, forward, cross-entropy, backward, new weights.

    Args:
        kind: of :func:`network`.
        pixels: side of the images.
        batch: how many there are.
        bfloat16: whether the forward and backward pass are autocast.
        compiled: whether the network is (the first call compiles it).
        threads: for all that this process computes from now on.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = network(kind).to(memory_format=torch.channels_last).train()
    forward = torch.compile(model) if compiled else model
    images = torch.rand(batch, 3, pixels, pixels).contiguous(memory_format=torch.channels_last)
    target = torch.randn(batch, CLASSES).softmax(dim=1)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = forward(images)
        F.cross_entropy(logits.float(), target).backward()
        optimiser.step()

    return step


def seconds(work: Callable[[], Any], times: int) -> float:
    """Seconds of one of so many calls in a row."""
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begun) / times


def our_step(inputs: dict[str, Any], kind: str, recipe: dict[str, Any]) -> Callable[[], None]:
    """One step of a trainer, with all that belongs to it; epochs follow on each other as long as it is called.

    ``inputs`` are those of a training (``training_files.write_data``), ``kind`` is of :func:`network`.
    """
    from training_files import trainer

    from softlabels.networks.base import Body, Classifier
    from softlabels.training.train import _device

    _device(recipe)
    model = None
    if kind != "compact":
        import timm

        torch.manual_seed(0)
        body = timm.create_model(kind, pretrained=False, num_classes=0)
        model = Classifier(Body(body, body.num_features), CLASSES)
    made, done = trainer(inputs, recipe, model=model), 0

    def step() -> None:
        nonlocal done
        epoch, number = divmod(done, made.steps)
        if number == 0:
            made.begin_epoch(1 + epoch % recipe["epochs"])
        made.step(1 + epoch % recipe["epochs"], number)
        done += 1

    return step
