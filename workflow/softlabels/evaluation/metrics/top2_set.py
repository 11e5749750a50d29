"""Overlap of the two most probable classes."""

import numpy as np

from ..aligned import Aligned
from ..influence import mean_ratio

ENTRY = {
    "about": "Share of the reference's two most probable classes that the prediction has, where there are just two.",
    "heading": "top-2 set", "better": "higher", "unit": None, "decimals": 4, "needs": [],
    "source": None,
}  # fmt: skip


def ranking(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two most probable classes of distributions (or their logarithms), and how probable the first three are.

    Args:
        p: float64 ``[n, C]``.

    Returns:
        Classes int ``[n, 2]`` (ties go to the lowest class index), and values float64 ``[n, 3]`` in descending order,
        the third being 0 where there are two classes.
    """
    left = np.maximum(p, np.finfo(float).min)  # a class with -inf comes before one that was taken
    classes, values = [], []
    for _ in range(min(3, p.shape[1])):
        classes.append(left.argmax(axis=1))
        values.append(np.take_along_axis(p, classes[-1][:, None], axis=1)[:, 0])
        np.put_along_axis(left, classes[-1][:, None], -np.inf, axis=1)
    values += [np.zeros(len(p))] * (3 - len(values))
    return np.stack(classes[:2], axis=1), np.stack(values, axis=1)


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Overlap of the sets of the two most probable classes, halved, as one value an item; NaN where no item counts.

    An item counts where its reference says which two: ``p_(2) > p_(3)`` in descending order (0 with two classes). That
    leaves out an item whose second place is shared, as where one class has all mass.
    """
    (own, values), (predicted, _) = ranking(aligned.reference), ranking(aligned.log_prediction)
    counts = values[:, 1] > values[:, 2]
    overlap = (own[:, :, None] == predicted[:, None, :]).sum(axis=(1, 2)) / 2
    return mean_ratio(counts * overlap, counts)
