"""Drawing images, and importing photographs, beside bare loops that do the same."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from softlabels import schema
from softlabels.datasets import synthetic
from softlabels.datasets.images import import_images

from . import lines

SIDE, PIXELS, THREADS = 500, 224, 2
OPTIONS = {"pixels": PIXELS, "resize": "stretch", "deep": "refuse"}


def every_sample_point(source: dict, items: dict[str, np.ndarray]) -> np.ndarray:
    """The images of ``synthetic.render`` from the ellipse test at each of the q x q sample points of each pixel."""
    pixels, q = source["pixels"], source["supersampling"]
    at = (np.arange(pixels * q) + 0.5) / (pixels * q)
    colour = synthetic.colours(items["u"], source["colour_path"])
    images = []
    for i in range(len(colour)):
        a, b = synthetic.semi_axes(items["r"][i], items["rho"][i], source["size"])
        x, y = at - items["cx"][i], (at - items["cy"][i])[:, None]
        cos, sin = np.cos(items["theta"][i]), np.sin(items["theta"][i])
        inside = ((x * cos + y * sin) / a) ** 2 + ((y * cos - x * sin) / b) ** 2 <= 1
        share = inside.reshape(pixels, q, pixels, q).mean(axis=(1, 3))
        images.append(np.rint(255 * share[:, :, None] * colour[i]).astype(np.uint8))
    return np.stack(images)


def synthesis(quick: bool) -> Iterator[dict[str, Any]]:
    """Images drawn by intervals against sample point by sample point: the same bytes."""
    source = {"kind": "synthetic", "items": 100 if quick else 1000, "pixels": 64}
    source = schema.complete(source, schema.DATASET["source"])
    items = synthetic.draw_items(source)
    np.testing.assert_array_equal(synthetic.render(source, items), every_sample_point(source, items))
    yield lines.compared(
        f"drawing images, {source['pixels']} px",
        lambda: source["items"] / lines.timed(lambda: synthetic.render(source, items))(),
        lambda: source["items"] / lines.timed(lambda: every_sample_point(source, items))(),
        "images/s", 20, against="plain supersampling, same bytes",
    )  # fmt: skip


def photographs(folder: Path, kind: str, count: int) -> list[Path]:
    """Smooth pictures with some noise, which compress about like photographs (JPEG: about 100 kB, as ImageNet's)."""
    draw, paths = np.random.default_rng(0), []
    for index in range(count):
        coarse = Image.fromarray(draw.integers(0, 256, (12, 12, 3), np.uint8)).resize((SIDE, SIDE), Image.BICUBIC)
        noisy = np.asarray(coarse, np.int16) + draw.integers(-25, 26, (SIDE, SIDE, 1))
        paths.append(folder / f"{index:04d}.{kind}")
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(paths[-1])
    return paths


def bare(path: Path) -> np.ndarray:
    """One image, decoded and resized."""
    return np.asarray(Image.open(path).convert("RGB").resize((PIXELS, PIXELS), Image.Resampling.BICUBIC))


def imports(quick: bool) -> Iterator[dict[str, Any]]:
    """An import with two threads against twice a loop that decodes and resizes, and does nothing else."""
    for kind in ("jpg", "png"):
        folder = Path(tempfile.mkdtemp())
        paths = photographs(folder, kind, 40 if quick else 200)
        ours = lines.timed(lambda: import_images(paths, OPTIONS, folder / "images.npy", THREADS))  # noqa: B023
        loop = lines.timed(lambda: [bare(path) for path in paths])  # noqa: B023
        with ThreadPoolExecutor(THREADS) as pool:
            threads = lines.timed(lambda: list(pool.map(bare, paths)))  # noqa: B023
            ceiling = loop() / threads() / THREADS
        yield lines.compared(
            f"importing {kind.upper()} files of {SIDE} px to {PIXELS} px",
            lambda: len(paths) / ours(), lambda: THREADS * len(paths) / loop(), "images/s", 0.8,  # noqa: B023
            against=f"a bare loop of Pillow, times {THREADS} threads", times=5, loop_in_threads=round(ceiling, 3),
            bytes=round(sum(path.stat().st_size for path in paths) / len(paths)),
        )  # fmt: skip
