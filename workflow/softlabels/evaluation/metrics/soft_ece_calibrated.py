"""The soft calibration error that a calibrated network would have."""

import numpy as np

from ... import keyed
from ..aligned import Aligned
from .soft_ece import binned_gaps, top

ENTRY = {
    "about": "Soft ECE of a calibrated network with these very predictions: of votes drawn from them.",
    "heading": "soft ECE, calibrated", "better": None, "unit": None, "decimals": 4, "needs": [],
    "source": "Bröcker and Smith (2007)",
    "note": "Soft ECE, calibrated: against votes drawn from the predictions themselves, as if these were calibrated; "
    "an upper value where the reference is exact.",
}  # fmt: skip
DRAWS, SEED = 20, 0  # how often votes are drawn, and which


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Mean over draws of the soft ECE against votes drawn from the predictions, as one value an item.

    An item gets as many votes as it has, one where the reference is exact; its votes for the predicted class are
    binomial (consistency resampling, Bröcker and Smith 2007).
    """
    _, confidence = top(aligned)
    votes = 1 if aligned.counts is None else aligned.counts.sum(axis=1)
    shape = (DRAWS, len(confidence))
    shares = keyed.rng("calibrated votes", SEED).binomial(votes, confidence, shape) / votes
    return np.mean([binned_gaps(confidence, share) for share in shares], axis=0)
