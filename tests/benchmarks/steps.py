"""The step of a training on a CPU, on one thread, beside a bare one in float32 and beside a training from files."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measured_steps import BATCH, CLASSES, bare_step, network, our_step, seconds
from PIL import Image
from torch.nn import functional as F
from training_files import RECIPE, write_data

from . import lines

CASES = [("compact", 32), ("resnet18", 32), ("resnet18", 64)]
WORKERS = 2
READY = 2  # batches of each worker that lie ready: the default


@cache
def data(pixels: int) -> dict[str, Path]:
    """A data set of noisy images; three fifths of the items are for training."""
    return write_data(Path(tempfile.mkdtemp()), n=4000, size=(pixels, pixels), classes=CLASSES)


def calls(work: Callable[[], Any], quick: bool) -> int:
    """How many calls take five seconds (a third of a second where quick), after one that does not count."""
    work()
    return max(1, round((0.3 if quick else 5) / seconds(work, 2)))


def rate(work: Callable[[], Any], count: int, threads: int = 1) -> Callable[[], float]:
    """Measures images a second of so many calls on so many threads."""

    def measured() -> float:
        torch.set_num_threads(threads)
        found = BATCH / seconds(work, count)
        torch.set_num_threads(1)
        return found

    return measured


def against_bare(
    quick: bool, target: float, told: str, bound: dict[str, Any] | None = None, **changes: Any
) -> Iterator[dict[str, Any]]:
    """Our step, with changes of the recipe, against the bare one; ``bound``: these changes of the bare one itself."""
    for kind, pixels in CASES:
        ours = our_step(data(pixels), kind, {**RECIPE, **changes})
        bare = bare_step(kind, pixels)
        begun = time.perf_counter()
        ours()
        first, count = time.perf_counter() - begun, calls(bare, quick)
        found = lines.compared(
            f"CPU step{told}, {kind}, {pixels} px", rate(ours, count), rate(bare, count), "images/s", target,
            against="bare step, float32", first_step=round(first, 2),
        )  # fmt: skip
        if bound:
            most = bare_step(kind, pixels, **bound)
            most()
            found["of_bare"] = round(rate(most, count)() / found["anchor"], 3)
            print(f"the bare step with the same options: {found['of_bare']:.2f} times", flush=True)
        yield found


def steps(quick: bool) -> Iterator[dict[str, Any]]:
    """The default: float32, nothing compiled."""
    yield from against_bare(quick, 0.95, "")


def fast_steps(quick: bool) -> Iterator[dict[str, Any]]:
    """What the options for speed bring; the first step, which compiles, does not count."""
    both = {"bfloat16": True, "compiled": True}
    yield from against_bare(quick, 1.8, ", compiled, bfloat16", both, compile=True, precision="bfloat16")


def from_files(kind: str, folder: Path) -> Callable[[int, int], float]:
    """A training as it is usually written; the function returns images a second of so many steps on so many threads."""
    from torchvision import datasets, transforms

    change = [transforms.RandomHorizontalFlip(), transforms.RandomVerticalFlip(), transforms.ToTensor()]
    files = datasets.ImageFolder(str(folder), transforms.Compose(change))
    model = network(kind).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def measured(count: int, threads: int) -> float:
        torch.set_num_threads(threads)
        ready = WORKERS * READY
        drawn = torch.utils.data.RandomSampler(files, replacement=True, num_samples=BATCH * (ready + count))
        batches = torch.utils.data.DataLoader(files, BATCH, sampler=drawn, num_workers=WORKERS, prefetch_factor=READY)
        for number, (images, classes) in enumerate(batches):
            if number == ready:  # what was made before it was asked for is used up
                begun = time.perf_counter()
            optimiser.zero_grad()
            F.cross_entropy(model(images), classes).backward()
            optimiser.step()
        torch.set_num_threads(1)  # as ours
        return BATCH * count / (time.perf_counter() - begun)

    return measured


def better(measure: Callable[[int], float], numbers: tuple[int, ...]) -> int:
    """The number of threads with the largest of three rates, in turn: other work slows two threads more."""
    rates = [(measure(threads), threads) for _ in range(3) for threads in numbers]
    return max(rates)[1]


def loader(quick: bool) -> Iterator[dict[str, Any]]:
    """Our step against a training from PNG files, each on one thread or all, whatever is better for it."""
    folder = Path(tempfile.mkdtemp())
    for row, image in enumerate(np.load(data(32)["images"], mmap_mode="r")):
        path = folder / f"class{row % CLASSES}" / f"{row}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.array(image)).save(path)
    for kind, target in (("compact", 3), ("resnet18", 1.3)):
        ours, theirs = our_step(data(32), kind, RECIPE), from_files(kind, folder)
        count, numbers = calls(ours, quick), (1, lines.machine()["cores"])
        few = max(4, count // 4)
        of_ours = better(lambda threads: rate(ours, few, threads)(), numbers)  # noqa: B023
        of_theirs = better(partial(theirs, few), numbers)
        yield lines.compared(
            f"CPU step, {kind}, 32 px, threads {of_ours}, against files", rate(ours, count, of_ours),
            partial(theirs, count, of_theirs), "images/s", target,
            against=f"ImageFolder and DataLoader, {WORKERS} workers, PNG, threads {of_theirs}",
        )  # fmt: skip
