"""Numbers that make "a more regular feature space" checkable, on one thread.

``points`` is float64 ``[N, D]`` (features or an embedding), ``reference`` float64 ``[N, C]``. A number that is not
defined for these items is NaN.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import euclidean_distances, r2_score, silhouette_score
from sklearn.model_selection import KFold
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .. import keyed
from .divergence import jensen_shannon

MAX_PAIRED_ITEMS = 3000  # 4.5 million pairs: a second or two
REGRESSION_NEIGHBOURS = 10  # whose mean position is an item's prediction
FEWEST = 10  # items that a position is predicted of: five folds of at least two, or R² is not defined
APART = {"colour": slice(0, 2), "shape": slice(2, 3)}  # the columns of the targets that are about each
FACTS = {
    "silhouette": {"heading": "silhouette", "better": "higher", "unit": None, "decimals": 3},
    "label_smoothness": {"heading": "label smoothness", "better": "lower", "unit": "nats", "decimals": 3},
    "distance_spearman": {"heading": "distance Spearman", "better": "higher", "unit": None, "decimals": 3},
    "position_r2": {"heading": "position R²", "better": "higher", "unit": None, "decimals": 3},
    "colour_r2": {"heading": "colour R²", "better": "higher", "unit": None, "decimals": 3},
    "shape_r2": {"heading": "shape R²", "better": "higher", "unit": None, "decimals": 3},
    "colour_r2_knn": {"heading": "colour 10-NN R²", "better": "higher", "unit": None, "decimals": 3},
    "shape_r2_knn": {"heading": "shape 10-NN R²", "better": "higher", "unit": None, "decimals": 3},
}


def numbers(
    points: np.ndarray, reference: np.ndarray, u: np.ndarray | None, s: np.ndarray | None, neighbours: int
) -> dict[str, float]:
    """All numbers of ``FACTS``; those of positions are NaN where the data set has none (``u`` and ``s`` are None).

    u ``[N]`` is the colour position in [0, 3), a ring, s ``[N]`` the shape position in [0, 1].
    """
    found = {
        "silhouette": silhouette(points, reference),
        "label_smoothness": label_smoothness(points, reference, neighbours),
        "distance_spearman": distance_spearman(points, reference),
    }
    return dict.fromkeys(FACTS, np.nan) | found | ({} if u is None or s is None else positions(points, u, s))


def positions(points: np.ndarray, u: np.ndarray, s: np.ndarray) -> dict[str, float]:
    """How well positions can be read off the points: R² of ridge regression, and of nearest neighbours.

    The latter is of the interpolated items alone: every network tells pure items apart, and only items between classes
    show whether its space is continuous. Of a position that all items share, neither is defined.
    """
    target = ring_and_shape(u, s)
    ridge, near = ridge_r2(points, target), knn_r2(points, target, interpolated(u, s))
    apart = np.where(np.ptp(target, axis=0) > 0, ridge, np.nan)
    return {
        "position_r2": float(ridge.mean(axis=1).mean()),
        **{f"{name}_r2": float(apart[:, columns].mean()) for name, columns in APART.items()},
        **{f"{name}_r2_knn": float(near[columns].mean()) for name, columns in APART.items()},
    }


def ring_and_shape(u: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The targets (cos 2πu/3, sin 2πu/3, s), float64 ``[N, 3]``."""
    angle = 2 * np.pi * u / 3
    return np.column_stack([np.cos(angle), np.sin(angle), s])


def interpolated(u: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Which items lie between classes, bool ``[N]``: pure ones are at a corner of the ring and at an end of the shapes.

    Positions tell it whatever the reference is; one of votes may be unanimous by chance.
    """
    return (u % 1 != 0) | (s % 1 != 0)


def silhouette(points: np.ndarray, reference: np.ndarray) -> float:
    """Mean silhouette in [-1, 1] (Rousseeuw 1987) of the items grouped by their most probable class."""
    truth = reference.argmax(axis=1)
    if not 2 <= len(np.unique(truth)) < len(truth):
        return np.nan
    return float(silhouette_score(points, truth))


def label_smoothness(points: np.ndarray, reference: np.ndarray, neighbours: int) -> float:
    """Mean Jensen-Shannon divergence in nats between an item's distribution and those of its nearest neighbours.

    Smaller is smoother. With no more than ``neighbours`` other items, all of them count.
    """
    neighbours = min(neighbours, len(points) - 1)
    if neighbours < 1:
        return np.nan
    nearest = NearestNeighbors(n_neighbors=neighbours, n_jobs=1).fit(points).kneighbors(return_distance=False)
    return float(jensen_shannon(reference[:, None, :], reference[nearest]).mean())


def distance_spearman(points: np.ndarray, reference: np.ndarray) -> float:
    """Spearman correlation of Euclidean distance with total variation distance over all pairs of items.

    The statistic of a Mantel test. Of more than 3,000 items, a keyed sample of 3,000 is paired.
    """
    if len(points) > MAX_PAIRED_ITEMS:
        sample = np.sort(np.argsort(keyed.rng("distance pairs").random(len(points)))[:MAX_PAIRED_ITEMS])
        points, reference = points[sample], reference[sample]
    label_distance = pdist(reference, "cityblock") / 2
    if len(points) < 3 or np.ptp(label_distance) == 0:
        return np.nan
    distance = euclidean_distances(points)[np.triu_indices(len(points), 1)]
    return float(spearmanr(distance, label_distance).statistic) if np.ptp(distance) > 0 else np.nan


def ridge_r2(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """R² of targets ``[N, T]`` predicted by ridge regression from standardised points, in 5 folds, float64 ``[5, T]``.

    The penalty is D, the mean squared length of a standardised point: with a fixed penalty of 1, R² falls below 0 as D
    nears the number of items. NaN with fewer than 10 items.
    """
    if len(points) < FEWEST:
        return np.full((5, target.shape[1]), np.nan)
    model, scores = make_pipeline(StandardScaler(), Ridge(alpha=points.shape[1])), []
    for train, test in KFold(5, shuffle=True, random_state=0).split(points):
        predicted = model.fit(points[train], target[train]).predict(points[test])
        scores.append(r2_score(target[test], predicted, multioutput="raw_values"))
    return np.array(scores)


def knn_r2(points: np.ndarray, target: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """R² of targets ``[N, T]`` of the items that are ``scored`` (bool ``[N]``), float64 ``[T]``.

    An item's prediction is the mean of its 10 nearest other items, scored or not (k-NN regression, leave-one-out); with
    no more others, all count. NaN with fewer than 10 scored items, or where their targets are all the same.
    """
    truth = target[scored]
    if len(truth) < FEWEST:
        return np.full(target.shape[1], np.nan)
    count = min(REGRESSION_NEIGHBOURS, len(points) - 1)
    # One more than wanted, and the item itself left out: of several at one place, any may be named first.
    nearest = NearestNeighbors(n_neighbors=count + 1, n_jobs=1).fit(points).kneighbors(points[scored])[1]
    own = nearest == np.flatnonzero(scored)[:, None]
    own[~own.any(axis=1), -1] = True
    predicted = target[nearest[~own].reshape(len(truth), count)].mean(axis=1)
    spread = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    error = ((truth - predicted) ** 2).sum(axis=0)
    return 1 - np.divide(error, spread, out=np.full(len(spread), np.nan), where=np.ptp(truth, axis=0) > 0)
