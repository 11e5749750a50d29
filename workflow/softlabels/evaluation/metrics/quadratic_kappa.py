"""Cohen's kappa with quadratic weights."""

import numpy as np

from ..aligned import Aligned
from ..chosen import order, truth
from ..influence import mean_ratio

ENTRY = {
    "about": "Agreement of ordered classes beyond chance, errors weighted by the square of their distance.",
    "heading": "κ²", "better": "higher", "unit": None, "decimals": 4, "needs": [],
    "source": "Cohen (1968)",
    "options": {"truth": {"$ref": "truth", "default": "majority"}, "order": {"$ref": "class_order"}},
    "note": "κ² is Cohen's kappa with quadratic weights: 1 less the mean squared distance of predicted and true class, "
    "over what it would be if the two had nothing to do with each other. It takes classes to be ordered.",
}  # fmt: skip
ROUNDING = 1e-12


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """``1 - E(t - y)² / E(t - y')²``, at most 1, as one value an item; NaN where nothing varies.

    t is the number of the true class, y of the predicted one, y' of one that is independent of t. Against votes each of
    an item's votes is a truth, so that even a perfect network is below 1.
    """
    place = np.argsort(order(options, aligned.classes))
    t, y = truth(aligned, options), place[aligned.log_prediction.argmax(axis=1)]
    true, squares = t @ place, t @ place**2 + y**2
    middle, centre = true.mean(), y.mean()
    chance = squares - 2 * (true * centre + middle * y - middle * centre)  # its mean's derivative, too
    if chance.mean() < ROUNDING:
        return np.full(len(y), np.nan)
    return 1 - mean_ratio(squares - 2 * true * y, chance)
