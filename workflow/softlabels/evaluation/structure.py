"""Numbers that make "a more regular feature space" checkable, on one thread.

``points`` is float64 ``[N, D]`` (features or an embedding), ``reference`` float64 ``[N, C]``. A number that is not
defined for these items is NaN.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import euclidean_distances, silhouette_score
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .. import keyed
from .divergence import jensen_shannon

MAX_PAIRED_ITEMS = 3000  # 4.5 million pairs: a second or two
FACTS = {
    "silhouette": {"heading": "silhouette", "better": "higher", "unit": None, "decimals": 3},
    "label_smoothness": {"heading": "label smoothness", "better": "lower", "unit": "nats", "decimals": 3},
    "distance_spearman": {"heading": "distance Spearman", "better": "higher", "unit": None, "decimals": 3},
    "position_r2": {"heading": "position R²", "better": "higher", "unit": None, "decimals": 3},
}


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


def position_r2(points: np.ndarray, u: np.ndarray, s: np.ndarray) -> float:
    """R² of (cos 2πu/3, sin 2πu/3, s) predicted by ridge regression from standardised points, 5-fold cross-validated.

    It is the mean over folds and over the three targets; u ``[N]`` is the colour position in [0, 3), s ``[N]`` the
    shape position in [0, 1]. The penalty is D, the mean squared length of a standardised point: with a fixed penalty
    of 1, R² falls below 0 as D nears the number of items.
    """
    if len(points) < 10:  # five folds of at least two items, or R² is not defined
        return np.nan
    angle = 2 * np.pi * u / 3
    position = np.column_stack([np.cos(angle), np.sin(angle), s])
    model = make_pipeline(StandardScaler(), Ridge(alpha=points.shape[1]))
    folds = KFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(model, points, position, cv=folds, scoring="r2").mean())
