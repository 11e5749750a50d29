"""How many classes label sets have."""

import numpy as np

from ..aligned import Aligned
from ..influence import mean_ratio
from ..label_set import mass, sets

ENTRY = {
    "about": "Mean number of classes in a label set, by split conformal prediction.",
    "heading": "set size", "better": "lower", "unit": "classes", "decimals": 3, "needs": ["calibration"],
    "source": "Stutz et al. (2023)",
    "options": {"coverage": {"$ref": "coverage"}, "agreement": {"$ref": "agreement"}, "seed": {"$ref": "vote_seed"}},
    "note": "Set size is the mean number of classes in a label set; of two networks with the coverage that was asked "
    "for, the one with smaller sets knows more.",
}  # fmt: skip


def metric(aligned: Aligned, options: dict) -> np.ndarray:
    """Mean number of classes in the sets, as one value an item; in a stratum each item counts with its votes there.

    The threshold is taken as given: that other calibration items would move it is in the spread over seeds alone. NaN
    where no vote is in the stratum.
    """
    weight = mass(aligned, options["agreement"])
    share = weight.sum(axis=1)
    return mean_ratio(share * sets(aligned, options).sum(axis=1), share)
