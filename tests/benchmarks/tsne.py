"""t-SNE beside scikit-learn's, on one thread, of features as a network trained on shapes between classes has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from softlabels import embedding

from . import lines

FEATURES = 64


def features(items: int) -> np.ndarray:
    """Float32 ``[n, 64]``: a random layer on positions on a ring of three colours, at and between two shapes."""
    draw = np.random.default_rng(0)
    u, s = 3 * draw.random(items), draw.random(items)
    pure = draw.random(items) < 0.4
    u, s = np.where(pure, np.round(u), u), np.where(pure, np.round(s), s)
    position = np.column_stack([np.cos(2 * np.pi * u / 3), np.sin(2 * np.pi * u / 3), 2 * s - 1])
    mixed = position @ draw.normal(size=(3, FEATURES)) + draw.normal(0, 0.1, (items, FEATURES))
    return np.maximum(mixed, 0).astype(np.float32)


def compared(items: int, iterations: int, target: float, times: int) -> dict[str, Any]:
    """A line: both with the same perplexity, iterations and start."""
    points, divergence = features(items), {}
    options = {"perplexity": 30, "iterations": iterations, "init": "pca", "seed": 0}

    def ours() -> None:
        divergence["ours"] = float(embedding.tsne(points, options)[1])

    def theirs() -> None:
        with threadpool_limits(1):
            model = TSNE(perplexity=30, max_iter=iterations, init="pca", random_state=0, n_jobs=1)
            model.fit_transform(points)
        divergence["anchor"] = float(model.kl_divergence_)

    runs = [lambda work=work: items * iterations / lines.timed(work)() / 1e6 for work in (ours, theirs)]
    return lines.compared(
        f"t-SNE, {items:,} x {FEATURES}, {iterations:,} iterations", *runs, "million items x iterations/s", target,
        against="scikit-learn's, one thread", times=times, warm=False,
    ) | {"kl_divergence": divergence}  # fmt: skip


def usual(quick: bool) -> Iterator[dict[str, Any]]:
    """The size of a study's test part, and a larger one."""
    yield compared(600 if quick else 3000, 500 if quick else 5000, 1.1, 1 if quick else 3)
    yield compared(1200 if quick else 20_000, 300 if quick else 750, 3, 1 if quick else 3)


def large(quick: bool) -> Iterator[dict[str, Any]]:
    """That of a large test part."""
    yield compared(2000 if quick else 60_000, 300 if quick else 750, 5, 1 if quick else 3)
