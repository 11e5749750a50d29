"""The two-dimensional picture of a run's feature space, and the numbers behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.manifold import TSNE, trustworthiness
from threadpoolctl import threadpool_limits

from . import io
from .contracts import read_features, read_reference, read_split
from .errors import UserError
from .evaluation.structure import label_smoothness
from .io import json_number


def run(config: dict, inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write the t-SNE embedding (van der Maaten and Hinton 2008) of the test items' features.

    The file has one row a test item, ascending: item int32, x and y float32 (no unit). Its metadata hold the
    parameters, n, the final KL divergence in nats between the neighbourhoods, and the trustworthiness (Venna and Kaski
    2001) and label smoothness of the embedding.

    Args:
        config: ``perplexity``, ``iterations``, ``init`` (pca or random), ``seed`` and ``neighbours`` of the numbers.
        inputs: ``features``, ``split`` and ``reference``.
        outputs: ``embedding``.

    Raises:
        UserError: features of another split or not finite, or a perplexity that is not below the number of items.
    """
    test = read_split(inputs["split"]).items("test")
    features = read_features(inputs["features"], test)
    if config["perplexity"] >= len(test):
        raise UserError(
            f"perplexity: found {config['perplexity']} with {len(test)} test items, expected less than the number of "
            f"items, best under a third of it. Lower the perplexity to {max(1, len(test) // 3)} or less."
        )
    reference = read_reference(inputs["reference"])
    p = reference.p[reference.rows(test)]
    with threadpool_limits(1):  # n_jobs does not reach the gradient, whose sums depend on the number of threads
        points, divergence = tsne(features, config)
        numbers = quality(features, points, p, config["neighbours"])
    table = pa.table(
        {
            "item": pa.array(test, pa.int32()),
            "x": pa.array(points[:, 0], pa.float32()),
            "y": pa.array(points[:, 1], pa.float32()),
        }
    )
    parameters = {key: config[key] for key in ("perplexity", "iterations", "init", "seed", "neighbours")}
    io.write_table(
        outputs["embedding"],
        table,
        {"parameters": parameters, "n": len(test), "kl_divergence": json_number(divergence), **numbers},
    )


def tsne(features: np.ndarray, config: dict) -> tuple[np.ndarray, float]:
    """Embed features ``[n, F]``: points float32 ``[n, 2]`` and the final KL divergence in nats."""
    model = TSNE(
        perplexity=config["perplexity"],
        max_iter=config["iterations"],
        init=config["init"],
        random_state=config["seed"],
        n_jobs=1,
    )
    return model.fit_transform(features), model.kl_divergence_


def quality(features: np.ndarray, points: np.ndarray, p: np.ndarray, neighbours: int) -> dict[str, Any]:
    """Trustworthiness in [0, 1] and label smoothness in nats of an embedding, ready for JSON."""
    points = points.astype(np.float64)
    fewer = min(neighbours, (len(points) - 1) // 2)  # trustworthiness is defined below n / 2 neighbours
    trust = trustworthiness(features, points, n_neighbors=fewer) if fewer else np.nan
    return {
        "trustworthiness": json_number(trust),
        "label_smoothness": json_number(label_smoothness(points, p, neighbours)),
    }
