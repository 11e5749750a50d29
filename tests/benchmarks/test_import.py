"""Importing photographs, against a bare loop that decodes and resizes them and does nothing else."""

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numpy as np
import pytest
from PIL import Image

from softlabels.datasets.images import import_images

IMAGES, SIDE, PIXELS, THREADS, ROUNDS = 200, 500, 224, 2, 5  # about 100 kB a JPEG, as ImageNet's
OPTIONS = {"pixels": PIXELS, "resize": "stretch", "deep": "refuse"}


def bare(path):
    image = Image.open(path).convert("RGB").resize((PIXELS, PIXELS), Image.Resampling.BICUBIC)
    return np.asarray(image)


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


@pytest.fixture(scope="module", params=["jpg", "png"])
def photographs(request, tmp_path_factory):
    """Smooth pictures with some noise, which compress about like photographs."""
    folder, draw = tmp_path_factory.mktemp(request.param), np.random.default_rng(0)
    paths = []
    for index in range(IMAGES):
        coarse = Image.fromarray(draw.integers(0, 256, (12, 12, 3), np.uint8)).resize((SIDE, SIDE), Image.BICUBIC)
        noisy = np.asarray(coarse, np.int16) + draw.integers(-25, 26, (SIDE, SIDE, 1))
        paths.append(folder / f"{index:04d}.{request.param}")
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(paths[-1])
    return paths


def test_an_import_keeps_up_with_a_bare_loop_on_every_thread(photographs, tmp_path):
    ratios, ceilings = [], []
    for _ in range(ROUNDS):
        loop = seconds(lambda: [bare(path) for path in photographs])
        imported = seconds(import_images, photographs, OPTIONS, tmp_path / "images.npy", THREADS)
        with ThreadPoolExecutor(THREADS) as pool:
            threads = seconds(lambda pool=pool: list(pool.map(bare, photographs)))
        ratios.append(loop / imported / THREADS)
        ceilings.append(loop / threads / THREADS)
    size = sum(path.stat().st_size for path in photographs) / IMAGES / 1000
    print(
        f"\n{photographs[0].suffix} of {size:.0f} kB: import with {THREADS} threads at {median(ratios):.2f} x the rate "
        f"of a bare loop times the threads (the bare loop in {THREADS} threads: {median(ceilings):.2f}; alone it "
        f"decodes {IMAGES / loop:.0f} images a second)"
    )
    assert median(ratios) >= 0.8
