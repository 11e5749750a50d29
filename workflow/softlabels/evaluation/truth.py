"""Predictions and votes against a truth from elsewhere (biopsy, adjudication, follow-up), of the items that have one.

Nothing is trained on it: here alone, and in the audit, is the column ``truth`` of the items read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import io
from ..contracts import BY_VOTES, rows_of
from ..errors import UserError
from .aligned import Aligned, Score, Values
from .strata import select

METRICS = ("macro_acc", "acc")


def of_items(items_file: Path, item: np.ndarray, classes: list[str]) -> np.ndarray | None:
    """The true class of each item, int ``[n]`` (-1: not known); None where the data set has no truths.

    UserError for a truth that is no class.
    """
    table, _ = io.read_table(items_file)
    if "truth" not in table.column_names:
        return None
    named = table.column("truth").to_pylist()
    if other := set(named) - {None, *classes}:
        raise UserError(
            f"{items_file}: found the truth '{min(other)}', expected one of {', '.join(classes)}. Build the data set "
            f"again."
        )
    number = np.array([-1 if name is None else classes.index(name) for name in named])
    return number[rows_of(items_file, io.vector(table, "item"), item)]


def scores(score: Score, test: Aligned, truth: np.ndarray) -> tuple[np.ndarray, Values, Mapping[str, float]]:
    """Which items have a truth, bool ``[n]``; the predictions' scores against it; and those of votes.

    The prediction of the votes is the reference: its most probable class, the first one of a tie. ``score`` has
    METRICS; ``truth`` is int ``[n]``, -1 where it is not known.
    """
    known = truth >= 0
    there = replace(select(test, known), counts=None)
    true = replace(there, reference=np.eye(len(test.classes))[truth[known]])
    with np.errstate(divide="ignore"):
        votes = replace(true, log_prediction=np.log(there.reference))
    by_votes = {f"{BY_VOTES}{name}": float(np.mean(value)) for name, value in score(votes).items()}
    return known, score(true), by_votes
