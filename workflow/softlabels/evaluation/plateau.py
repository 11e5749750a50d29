"""When a network reaches an accuracy: it then leaves the plateau on which it tells some classes apart, and not all."""

from __future__ import annotations

import numpy as np


def reached(epoch: np.ndarray, accuracy: np.ndarray, level: float) -> int | None:
    """The first epoch with at least such an accuracy; None where there is none.

    The first one, and not the one from which on no epoch lies below: at a high learning rate an epoch far below its
    neighbours is noise, and it would count as a return.

    Args:
        epoch: int ``[E]``, ascending.
        accuracy: float64 ``[E]`` in [0, 1] after each epoch; NaN is not reached.
        level: which accuracy.
    """
    rows = np.flatnonzero(accuracy >= level)
    return int(epoch[rows[0]]) if len(rows) else None
