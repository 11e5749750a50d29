"""Groups of a part's items, and groups of its classes, that are scored apart.

Strata are for exact references only: where these are votes, the votes that score an item must not choose it (see
:mod:`.left_out`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import logsumexp

from ..errors import UserError
from .aligned import Aligned

METRICS = ("macro_acc", "kl", "tvd")  # of each group
MARGIN = 0.1  # closest calls: the two largest probabilities lie nearer than that
NAMES = {  # of all strata, and what a heading says of them
    "clear": "clear", "ambiguous": "ambiguous", "closest": "closest calls",
    "unanimous": "others unanimous", "disputed": "others disagree", "panel": "several people",
}  # fmt: skip
Groupings = Mapping[str, Mapping[str, Sequence[str]]]  # name -> merged class -> classes


def margin(p: np.ndarray) -> np.ndarray:
    """The largest minus the second largest probability of distributions ``[N, C]``, float64 ``[N]``."""
    top = np.partition(p, -2, axis=1)[:, -2:]
    return top[:, 1] - top[:, 0]


def of_exact(aligned: Aligned) -> Iterator[tuple[str, np.ndarray]]:
    """Name and members, bool ``[n]``, of each stratum that has items: of an exact reference."""
    gap = margin(aligned.reference)
    clear = gap > 1 - 1e-9  # one class has all mass
    for name, members in {"clear": clear, "ambiguous": ~clear, "closest": gap < MARGIN}.items():
        if members.any():
            yield name, members


def select(aligned: Aligned, members: np.ndarray) -> Aligned:
    """The items of a part that are members, bool ``[n]``; without who said what of them."""
    present = {name: getattr(aligned, name) for name in ("features", "counts")}
    optional = {name: value[members] for name, value in present.items() if value is not None}
    return replace(
        aligned, item=aligned.item[members], reference=aligned.reference[members],
        log_prediction=aligned.log_prediction[members], said=None, **optional,
    )  # fmt: skip


def require(name: str, grouping: Mapping[str, Sequence[str]], classes: Sequence[str]) -> None:
    """Refuse a grouping that does not have each class exactly once."""
    named = [one for members in grouping.values() for one in members]
    odd = [one for one in classes if named.count(one) != 1] + [one for one in named if one not in classes]
    if odd:
        found = "no class of the data set" if odd[0] not in classes else f"in {named.count(odd[0])} groups"
        raise UserError(
            f"groupings.{name}: found '{odd[0]}' {found}, expected each of {', '.join(classes)} in exactly one group. "
            f"Correct the grouping."
        )


def merged(aligned: Aligned, grouping: Mapping[str, Sequence[str]]) -> Aligned:
    """A part whose classes are merged: probabilities (and votes) of the classes of a group are summed.

    Without the items for calibration, and without who said what: these are of the classes as they were.
    """
    columns = [[aligned.classes.index(one) for one in members] for members in grouping.values()]

    def summed(values: np.ndarray) -> np.ndarray:
        return np.stack([values[:, of_group].sum(axis=1) for of_group in columns], axis=1)

    return replace(
        aligned, reference=summed(aligned.reference), classes=list(grouping),
        log_prediction=np.stack([logsumexp(aligned.log_prediction[:, one], axis=1) for one in columns], axis=1),
        counts=None if aligned.counts is None else summed(aligned.counts), calibration=None,
        said=None,
    )  # fmt: skip
