"""The two-dimensional picture of a run's feature space, and the numbers behind it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from openTSNE import TSNE, initialization
from openTSNE.affinity import Affinities, joint_probabilities_nn
from openTSNE.tsne import TSNEEmbedding, kl_divergence_bh, kl_divergence_fft
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from . import io
from .contracts import read_features, read_reference, read_split
from .evaluation.perplexity import fitting
from .evaluation.structure import label_smoothness
from .progress import progress

# The first iterations, part of the total and half of it at most, have larger affinities: scikit-learn's numbers, too.
EXAGGERATED, EXAGGERATION = 250, 12
BARNES_HUT, INTERPOLATION = "Barnes-Hut", "FFT interpolation, then Barnes-Hut"
TREE_ITEMS = 10_000  # up to so many, a tree costs less than even a small grid
EVERY = 50  # iterations between two signs of progress
BLOCK_MB = 64  # of distances that are compared at a time


def run(config: dict, inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write the t-SNE embedding (van der Maaten and Hinton 2008) of the test items' features.

    The file has one row a test item, ascending: item int32, x and y float32 (no unit). Its metadata hold the
    parameters, n, the final KL divergence in nats between the neighbourhoods, and the trustworthiness (Venna and Kaski
    2001) and label smoothness of the embedding. The parameters are those of ``config``, ``library`` and ``gradient``
    (:func:`gradient_of`). A perplexity that is not below the number of items is lowered to a third of it; the
    parameters then have ``asked``, too, what it was.

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
    points, divergence = tsne(features, config)
    numbers = {"kl_divergence": divergence, **quality(features, points, p, config["neighbours"])}
    columns = {
        "item": pa.array(test, pa.int32()),
        "x": pa.array(points[:, 0], pa.float32()),
        "y": pa.array(points[:, 1], pa.float32()),
    }
    parameters = {**config, "library": "openTSNE", "gradient": gradient_of(len(test))}
    facts = {"parameters": parameters, "n": len(test)} | {name: io.json_number(x) for name, x in numbers.items()}
    io.write_table(outputs["embedding"], pa.table(columns), facts)


def gradient_of(items: int) -> str:
    """How the repulsion between so many items is computed: it decides time and, in the last digits, the picture."""
    return BARNES_HUT if items <= TREE_ITEMS else INTERPOLATION


def tsne(features: np.ndarray, options: dict[str, Any]) -> tuple[np.ndarray, float]:
    """The t-SNE embedding of features, by openTSNE on one thread: the same bytes however many there are.

    Neighbours are exact, three times as many as the perplexity: of 20,000 items the approximate ones of openTSNE take
    longer on one thread (docs/benchmarks.md). Step lengths are openTSNE's (Belkina et al. 2019). Items that all have
    the same features, as a single item has, lie at the origin.

    Args:
        features: float ``[n, F]``, finite.
        options: ``perplexity`` below n, ``iterations`` with the first EXAGGERATED, ``init`` and ``seed``.

    Returns:
        Points float32 ``[n, 2]`` and the KL divergence in nats; NaN where all items are alike, and where so many are
        that its approximation is negative.
    """
    if not np.ptp(features, axis=0).any():
        return np.zeros((len(features), 2), np.float32), np.nan
    gradient = kl_divergence_bh if gradient_of(len(features)) == BARNES_HUT else interpolated
    iterations = options["iterations"]
    # Some of what is called here takes as many threads as there are, and its sums depend on their number.
    with threadpool_limits(1), progress(total=iterations, desc="t-SNE", unit="iteration") as bar:

        def show(iteration: int, divergence: float, embedding: np.ndarray) -> None:
            _tell(bar, divergence)  # its value must not be returned: true would end the optimisation

        near, start = neighbourhoods(features, options["perplexity"]), start_of(features, options)
        model = TSNE(negative_gradient_method=gradient, n_jobs=1, callbacks=show, callbacks_every_iters=EVERY)
        embedding, place = model.prepare_initial(affinities=near, initialization=start), np.arange(len(features))
        first = min(EXAGGERATED, iterations // 2)  # with all of them, the points would not have come apart
        for done in (0, *range(first, iterations, EXAGGERATED)):  # momentum goes on from one part to the next
            place = place[sort(embedding)]
            part = min(EXAGGERATED, iterations - done) if done else first
            embedding.optimize(part, exaggeration=None if done else EXAGGERATION, inplace=True)
    points = np.empty((len(features), 2), np.float32)
    points[place] = embedding
    divergence = float(embedding.kl_divergence)  # an approximation, as both gradients are
    return points, divergence if divergence >= 0 else np.nan


def _tell(bar: tqdm, divergence: float) -> None:
    """So many iterations are done, and the KL divergence in nats is this."""
    bar.set_postfix(KL=f"{divergence:.3f}", refresh=False)
    bar.update(EVERY)


def sort(embedding: TSNEEmbedding) -> np.ndarray:
    """Bring neighbouring points together in memory, in place; int64 ``[n]``: where each was.

    A tree is then walked from cache: 1.4 times as fast for 3,000 points, 2.8 times for 60,000. Strips of as many points
    as there are strips, each from one end to the other, are almost as good as a space-filling curve.
    """
    x, y = np.asarray(embedding).T
    strip = np.empty(len(x), int)
    strip[x.argsort(kind="stable")] = np.arange(len(x)) // math.isqrt(len(x))
    order = np.lexsort((y, strip))
    embedding[:] = embedding[order]
    embedding.affinities.P = embedding.affinities.P[order][:, order].sorted_indices()
    if (optimizer := embedding.optimizer).update is not None:
        optimizer.update, optimizer.gains = optimizer.update[order], optimizer.gains[order]
    return order


def neighbourhoods(features: np.ndarray, perplexity: float) -> Affinities:
    """The symmetric affinities between items and their exact nearest neighbours, three times the perplexity of them."""
    count = min(len(features) - 1, int(3 * perplexity + 1))  # as many as scikit-learn takes
    distances, nearest = NearestNeighbors(n_neighbors=count, n_jobs=1).fit(features).kneighbors()
    # Each item's Gaussian gets the width that fits, whatever the unit; the search for it knows numbers near 1 only.
    scale = distances.mean(axis=1, keepdims=True)
    found = Affinities()
    found.P = joint_probabilities_nn(nearest, distances / np.where(scale > 0, scale, 1), [perplexity], n_jobs=1)
    return found


def start_of(features: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """Where the points start, float64 ``[n, 2]``: drawn, or the first two principal components with a little noise."""
    if options["init"] == "random":
        return initialization.random(len(features), random_state=options["seed"])
    plane = features if features.shape[1] > 1 else np.pad(features, ((0, 0), (0, 1)))
    return initialization.pca(plane, random_state=options["seed"])


def interpolated(embedding: np.ndarray, *arguments: Any, **settings: Any) -> tuple[float, np.ndarray]:
    """KL divergence and gradient: interpolated (Linderman et al. 2019) while the grid has few cells, then by a tree.

    Cells are one unit wide, so that the grid grows with the embedding; with more cells than items it takes longer than
    a tree. Wider cells are no way out: their repulsion is off by 13 % at 1.5 units and by 39 % at 2, where that of unit
    cells is off by 4 % and that of a tree by 1.5 % (3,000 items after 5,000 iterations). Which of the two computes
    follows from the points alone, so that the result does, too.
    """
    cells = float(embedding.max() - embedding.min()) ** 2
    return (kl_divergence_fft if cells < len(embedding) else kl_divergence_bh)(embedding, *arguments, **settings)


def quality(features: np.ndarray, points: np.ndarray, p: np.ndarray, neighbours: int) -> dict[str, float]:
    """Trustworthiness in [0, 1] and label smoothness in nats of an embedding; NaN where they are not defined.

    Neither is of points that all lie at one place: no item is nearer than another.
    """
    points = points.astype(np.float64)
    if not np.ptp(points, axis=0).any():
        return {"trustworthiness": np.nan, "label_smoothness": np.nan}
    fewer = min(neighbours, (len(points) - 1) // 2)  # trustworthiness is defined below n / 2 neighbours
    with threadpool_limits(1):
        return {
            "trustworthiness": trustworthiness(features, points, fewer) if fewer else np.nan,
            "label_smoothness": label_smoothness(points, p, neighbours),
        }


def trustworthiness(features: np.ndarray, points: np.ndarray, neighbours: int) -> float:
    """How few of an item's nearest points are strangers in the feature space (Venna and Kaski 2001), in [0, 1].

    The number of scikit-learn's function of that name, which needs the distances of all pairs at once: 86 GB for 60,000
    items. Here are some rows of them at a time. Of items at the same distance, all have the rank of the first.

    Args:
        features: float ``[n, F]``.
        points: float ``[n, 2]``.
        neighbours: how many, below n / 2.
    """
    n, nearest = len(points), NearestNeighbors(n_neighbors=neighbours, n_jobs=1).fit(points).kneighbors()[1]

    def strangeness(distances: np.ndarray, start: int) -> np.ndarray:
        rows = np.arange(len(distances))
        of_nearest = np.take_along_axis(distances, nearest[start + rows], axis=1)
        distances[rows, start + rows] = np.inf  # an item is no neighbour of its own
        distances.sort(axis=1)
        ranks = 1 + np.array([np.searchsorted(*row) for row in zip(distances, of_nearest, strict=True)])
        return np.maximum(ranks - neighbours, 0).sum(axis=1)

    blocks = pairwise_distances_chunked(features, reduce_func=strangeness, n_jobs=1, working_memory=BLOCK_MB)
    total = sum(int(block.sum()) for block in blocks)
    return 1 - total * 2 / (n * neighbours * (2 * n - 3 * neighbours - 1))
