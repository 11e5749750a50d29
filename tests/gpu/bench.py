"""What a GPU is used for: ours and its anchor in turn, three times, in this process.

Whole trainings are measured twice, eight at once and whole epochs once; the three of a training from files, whose
workers must not stop, follow those of ours.

    PYTHONPATH=workflow:tests python tests/gpu/bench.py bench.json [--quick] [--only step,forward,loader,process]

needs PyTorch and its friends only. A line that fails says why, and the others go on; `make bench-gpu FILE=bench.json`
puts them into docs/benchmarks.md. Anchors: a CUDA graph of forward, backward and optimiser alone, on one batch that
lies ready, with the same deterministic kernels; the same of a forward pass; a training as it is usually written, of
ImageFolder and DataLoader with 16 workers, autocast and cuDNN's own choice of kernels; a process that imports torch,
and the graphs of all its steps.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks import lines
from torch.nn import functional as F
from training_files import RECIPE, fit, trainer, write_data

from softlabels.networks import base
from softlabels.training.train import _device

BATCH, WORKERS, TIMES = 128, 16, 3
SIZES = {"densenet121": 224, "resnetv2_50": 224, "compact": 32}
STEP_TARGETS = {"densenet121": 0.95, "resnetv2_50": 0.95, "compact": 0.70}


def options(network: str, **changes: Any) -> dict[str, Any]:
    return {**RECIPE, "network": {"kind": network}, "device": "cuda", "epochs": 40, **changes}


@cache
def data(pixels: int, items: int) -> dict[str, Path]:
    """A data set of noisy images; three fifths of the items are for training."""
    return write_data(Path(tempfile.mkdtemp()), n=items, size=(pixels, pixels), classes=6)


def built(network: str) -> torch.nn.Module:
    return base.build({"kind": network}, 6, 0)[0].to("cuda", memory_format=torch.channels_last)


def batch(pixels: int, size: int = BATCH) -> tuple[torch.Tensor, torch.Tensor]:
    """Images float32 ``[B, 3, H, W]`` in channels-last order, and distributions ``[B, 6]``."""
    images = torch.rand(size, 3, pixels, pixels, device="cuda").contiguous(memory_format=torch.channels_last)
    return images, torch.randn(size, 6, device="cuda").softmax(dim=1)


def graph_of(work: Callable[[], Any]) -> torch.cuda.CUDAGraph:
    """A graph of the work, after three calls."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


def bare_step(network: str) -> torch.cuda.CUDAGraph:
    """The anchor of a step: nothing but the network, its loss and its optimiser, on one batch that lies ready."""
    model, (images, target) = built(network).train(), batch(SIZES[network])
    rate = torch.tensor(0.01, device="cuda")
    optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4, fused=True)
    for parameter in model.parameters():
        optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    def work() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            logits = model(images)
        loss = F.cross_entropy(logits.float(), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return graph_of(work)


def seconds(work: Callable[[], Any]) -> float:
    torch.cuda.synchronize()
    begun = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - begun


def times(work: Callable[[], Any], count: int) -> Callable[[], None]:
    def repeated() -> None:
        for _ in range(count):
            work()

    return repeated


def compared(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], images: tuple[int, int], against: str,
             target: float | None) -> dict[str, Any]:  # fmt: skip
    """A line: images a second of both, from work on so many images."""
    rates = [lambda work=work, n=n: n / seconds(work) for work, n in zip((ours, theirs), images, strict=True)]
    return lines.compared(name, *rates, "images/s", target, against=against)


def step(network: str, quick: bool) -> list[dict[str, Any]]:
    """Our step against the graph of the bare one."""
    pixels = SIZES[network]
    made = trainer(data(pixels, 4000 if pixels < 100 else 600), options(network), device="cuda")
    made.begin_epoch(1)
    number = iter(range(10**9))
    count = (4 if quick else 16) * (1 if pixels > 100 else 60)
    begun = time.perf_counter()
    for _ in range(5):  # the capture among them
        made.step(1, next(number) % made.steps)
    torch.cuda.synchronize()
    print(f"{network}: five steps and the capture {time.perf_counter() - begun:.2f} s", flush=True)
    graph = bare_step(network)
    found = compared(f"step, {network}, {pixels} px, bf16, {BATCH}",
                     times(lambda: made.step(1, next(number) % made.steps), count), times(graph.replay, count),
                     (count * BATCH, count * BATCH), "graph of the bare step", STEP_TARGETS[network])  # fmt: skip
    return [{**found, "captured": made.work.graph is not None, "peak_bytes": torch.cuda.max_memory_allocated()}]


def forward(network: str, quick: bool) -> list[dict[str, Any]]:
    """Our prediction of many items against the graph of a bare forward pass in float32."""
    pixels = SIZES[network]
    items = 4000 if pixels < 100 else 600
    made = trainer(data(pixels, items), options(network), device="cuda")
    chosen = np.arange(items)
    rows = made._rows(items)
    for _ in range(4):
        made.predict(chosen)
    model, images = built(network).eval(), batch(pixels, rows)[0]
    with torch.no_grad():
        graph = graph_of(lambda: model.head(model.features(images)))
    count = (1 if quick else 3) * (1 if pixels > 100 else 40)
    found = compared(f"prediction, {network}, {pixels} px, float32, {rows}",
                     times(lambda: made.predict(chosen), count), times(graph.replay, 4 * count),
                     (count * items, 4 * count * rows), "graph of the bare forward pass", 0.9)  # fmt: skip
    return [{**found, "captured": made.forwards[rows][2].graph is not None}]


def write_folder(folder: Path, pixels: int, items: int) -> None:
    """PNG files in a folder a class."""
    from PIL import Image

    images = np.load(data(pixels, items)["images"], mmap_mode="r")

    def write(row: int) -> None:
        path = folder / f"class{row % 6}" / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array(images[row])).save(path, compress_level=1)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(write, range(items)))


def loader(network: str, quick: bool) -> list[dict[str, Any]]:
    """Our step against a training from image files, as it is usually written."""
    from torchvision import datasets, transforms

    pixels = SIZES[network]
    folder = Path(tempfile.mkdtemp())
    write_folder(folder, pixels, 600)
    change = transforms.Compose(
        [transforms.RandomHorizontalFlip(), transforms.RandomVerticalFlip(), transforms.ToTensor()]
    )
    files = datasets.ImageFolder(str(folder), change)
    warm, count = 12, (10 if quick else 30)
    made = trainer(data(pixels, 600), options(network), device="cuda")
    made.begin_epoch(1)
    for each in range(6):
        made.step(1, each % made.steps)
    ours = [count * BATCH / seconds(lambda: [made.step(1, s % made.steps) for s in range(count)]) for _ in range(TIMES)]
    model = built(network).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = True
    try:
        sampler = torch.utils.data.RandomSampler(files, replacement=True, num_samples=(warm + TIMES * count) * BATCH)
        batches = torch.utils.data.DataLoader(
            files, BATCH, sampler=sampler, num_workers=WORKERS, pin_memory=True, drop_last=True
        )
        rates, begun = [], 0.0
        for each, (images, classes) in enumerate(batches):
            if each >= warm and (each - warm) % count == 0:
                torch.cuda.synchronize()
                now = time.perf_counter()
                rates += [count * BATCH / (now - begun)] if each > warm else []
                begun = now
            images = images.to("cuda", memory_format=torch.channels_last, non_blocking=True)
            classes = classes.to("cuda", non_blocking=True)
            with torch.autocast("cuda", torch.bfloat16):
                loss = F.cross_entropy(model(images), classes)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        torch.cuda.synchronize()
        rates.append(count * BATCH / (time.perf_counter() - begun))
    finally:
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)
    name = f"step, {network}, {pixels} px, against files"
    anchor = f"ImageFolder and DataLoader, {WORKERS} workers, PNG, eager, bf16, cuDNN benchmark"
    found = lines.line(name, list(zip(ours, rates, strict=True)), "images/s", 1.6, against=anchor)
    graph = bare_step(network)
    graph.replay()
    bound = count * BATCH / seconds(times(graph.replay, count)) / found["anchor"]
    print(f"the graph of the bare step reaches {bound:.3f} times the anchor", flush=True)
    return [{**found, "of the bare step": round(bound, 4)}]


PROCESS = """
import json, sys
from pathlib import Path
from training_files import fit
inputs, recipe, folder = json.loads(sys.argv[1])
facts, _ = fit(Path(folder), {name: Path(path) for name, path in inputs.items()}, recipe)
print(json.dumps({name: facts[name] for name in ("seconds", "share_in_steps", "steps")}))
"""


def started(inputs: dict[str, Path], recipe: dict[str, Any]) -> subprocess.Popen:
    """A default training in a process of its own."""
    words = json.dumps([{name: str(path) for name, path in inputs.items()}, recipe, tempfile.mkdtemp()])
    return subprocess.Popen([sys.executable, "-c", PROCESS, words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def process(network: str, quick: bool) -> list[dict[str, Any]]:
    """Default trainings from the start of the process to its end: one alone, and eight at once."""
    inputs, found = data(32, 15000), []
    imported, alone, crowd, inside = [], [], [], []
    graph, steps = bare_step("compact"), 40 * (9000 // BATCH)
    for _ in range(1 if quick else 2):
        imported.append(seconds(lambda: subprocess.run([sys.executable, "-c", "import torch"], check=True)))
        begun = time.perf_counter()
        output, _ = started(inputs, options("compact")).communicate()
        alone.append(time.perf_counter() - begun)
        inside.append(json.loads(output))
    replays = seconds(times(graph.replay, steps))
    anchors = [each + replays for each in imported]
    told = f"import torch, and {steps:,} replays of the bare step"
    pairs = list(zip(alone, anchors, strict=True))
    name = "default training, alone"
    found.append(lines.line(name, pairs, "s", 2.0, against=told, at_least=False, inside=inside))
    if not quick:
        begun = time.perf_counter()
        for each in [started(inputs, options("compact")) for _ in range(8)]:
            each.communicate()
        crowd.append((time.perf_counter() - begun, imported[0] + 8 * replays))
        name, told = "default training, eight at once", told + ", eight times"
        found.append(lines.line(name, crowd, "s", 1.25, against=told, at_least=False))
    return found


def epochs(network: str, quick: bool) -> list[dict[str, Any]]:
    """Whole epochs of the default study, with their draws, validation and history, against its steps' graphs."""
    inputs, graph = data(32, 15000), bare_step("compact")
    count = 3 if quick else 10
    facts, _ = fit(Path(tempfile.mkdtemp()), inputs, options("compact", epochs=count))
    bare = seconds(times(graph.replay, facts["steps"]))
    pairs = [(facts["steps"] * BATCH / facts["seconds"], facts["steps"] * BATCH / bare)]
    name, told = f"{count} epochs, compact, 32 px, capture and validation included", "graph of the bare step"
    return [lines.line(name, pairs, "images/s", None, against=told, share_in_steps=facts["share_in_steps"])]


WHAT = {"step": (step, list(STEP_TARGETS)), "forward": (forward, list(SIZES)), "epochs": (epochs, ["compact"]),
        "loader": (loader, ["densenet121"]), "process": (process, ["compact"])}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quick", action="store_true", help="short measurements: to see that all of it works")
    parser.add_argument("--only", default=",".join(WHAT), help="which of " + ", ".join(WHAT))
    given = parser.parse_args()
    _device(options("compact"))
    card = torch.cuda.get_device_properties(0)
    on = {"machine": {**lines.machine(), "gpu": card.name, "gpu_memory": card.total_memory}, "date": lines.now(),
          "versions": {**lines.versions(), "torch": torch.__version__, "cuda": torch.version.cuda,
                       "cudnn": torch.backends.cudnn.version()}}  # fmt: skip
    print(json.dumps(on), flush=True)
    found, failed = [], False
    for what in given.only.split(","):
        measure, networks = WHAT[what]
        for network in networks:
            try:
                found += measure(network, given.quick)
            except Exception as error:  # one that fails must not cost the others
                failed = True
                found.append(lines.failed(f"{what}, {network}", f"{type(error).__name__}: {error}"[:500]))
                print(f"FAILED {what} {network}\n{traceback.format_exc()}", flush=True)
            torch.cuda.empty_cache()
            given.out.write_text(json.dumps({**on, "lines": found}, indent=1))
    sys.exit(failed)


if __name__ == "__main__":
    main()
