"""What a reliability diagram shows (Guo et al. 2017): how right items are by how confident, in the bins of soft ECE."""

from __future__ import annotations

import numpy as np

from ..contracts import Options
from .aligned import Aligned
from .chosen import truth
from .metrics.soft_ece import EDGES, top

BINS = len(EDGES)  # 15 of equal width, and one of the confidence 1


def binned(aligned: Aligned, options: Options) -> np.ndarray:
    """Items of each bin of confidence, and the sums of their confidence and of how right they are, ``[3, BINS]``.

    An item is as right as the mass of its predicted class in the truth that ``options`` choose. The mean over items of
    the distance between both sums of a bin is soft ECE, or with ``truth: majority`` ECE.
    """
    predicted, confidence = top(aligned)
    right = truth(aligned, options)[np.arange(len(predicted)), predicted]
    of_bin = np.searchsorted(EDGES, confidence, side="right") - 1
    return np.stack([np.bincount(of_bin, weights, BINS) for weights in (np.ones_like(confidence), confidence, right)])
