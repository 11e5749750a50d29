"""The two-dimensional picture of a run's feature space, and the numbers behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from sklearn.manifold import TSNE, trustworthiness
from threadpoolctl import threadpool_limits

from . import io
from .contracts import read_features, read_reference, read_split
from .evaluation.perplexity import fitting
from .evaluation.structure import label_smoothness


def run(config: dict, inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write the t-SNE embedding (van der Maaten and Hinton 2008) of the test items' features.

    The file has one row a test item, ascending: item int32, x and y float32 (no unit). Its metadata hold the
    parameters, n, the final KL divergence in nats between the neighbourhoods, and the trustworthiness (Venna and Kaski
    2001) and label smoothness of the embedding. A perplexity that is not below the number of items is lowered to a
    third of it; the parameters then have ``asked``, too, what it was. A single item lies at the origin.

    Args:
        config: ``perplexity``, ``iterations``, ``init`` (pca or random), ``seed`` and ``neighbours`` of the numbers.
        inputs: ``features``, ``split`` and ``reference``.

    Raises:
        UserError: features of another split or not finite.
    """
    test = read_split(inputs["split"]).items("test")
    features = read_features(inputs["features"], test)
    asked = config["perplexity"]
    if (perplexity := fitting(asked, len(test))) != asked:
        config = {**config, "perplexity": perplexity, "asked": asked}
    reference = read_reference(inputs["reference"])
    p = reference.p[reference.rows(test)]
    with threadpool_limits(1):  # n_jobs does not reach the gradient, whose sums depend on the number of threads
        model = TSNE(
            perplexity=perplexity,
            max_iter=config["iterations"],
            init=config["init"],
            random_state=config["seed"],
            n_jobs=1,
        )
        if len(test) > 1:
            points, divergence = model.fit_transform(features), model.kl_divergence_
        else:
            points, divergence = np.zeros((len(test), 2), np.float32), np.nan
        numbers = {"kl_divergence": divergence, **quality(features, points, p, config["neighbours"])}
    columns = {
        "item": pa.array(test, pa.int32()),
        "x": pa.array(points[:, 0], pa.float32()),
        "y": pa.array(points[:, 1], pa.float32()),
    }
    facts = {"parameters": config, "n": len(test)} | {name: io.json_number(value) for name, value in numbers.items()}
    io.write_table(outputs["embedding"], pa.table(columns), facts)


def quality(features: np.ndarray, points: np.ndarray, p: np.ndarray, neighbours: int) -> dict[str, float]:
    """Trustworthiness in [0, 1] and label smoothness in nats of an embedding; NaN where they are not defined."""
    points = points.astype(np.float64)
    fewer = min(neighbours, (len(points) - 1) // 2)  # trustworthiness is defined below n / 2 neighbours
    return {
        "trustworthiness": trustworthiness(features, points, n_neighbors=fewer) if fewer else np.nan,
        "label_smoothness": label_smoothness(points, p, neighbours),
    }
