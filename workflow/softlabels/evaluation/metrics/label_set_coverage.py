"""How many votes are in label sets."""

import numpy as np

from ..aligned import Aligned
from ..influence import mean_ratio
from ..label_set import mass, sets

ENTRY = {
    "about": "Share of votes that are in the item's label set, by split conformal prediction.",
    "heading": "set coverage", "better": None, "unit": None, "decimals": 4, "needs": ["calibration"],
    "source": "Stutz et al. (2023)",
    "options": {"coverage": {"$ref": "coverage"}, "agreement": {"$ref": "agreement"}, "seed": {"$ref": "vote_seed"}},
    "note": "Set coverage is the share of votes in the label set of their item, whose threshold comes from items that "
    "are used for nothing else; it should be what was asked for, on average over splits.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Share of votes (of a stratum) that are in the set of their item, in [0, 1], as one value an item.

    The threshold is taken as given: that other calibration items would move it is in the spread over seeds alone. NaN
    where no vote is in the stratum.
    """
    weight = mass(aligned, options["agreement"])
    return mean_ratio((weight * sets(aligned, options)).sum(axis=1), weight.sum(axis=1))
