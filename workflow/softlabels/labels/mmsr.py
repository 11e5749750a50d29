"""M-MSR: annotators' skills by robust rank-one matrix completion."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import keyed
from ..errors import UserError
from . import crowd
from .evidence import Evidence, LabelTable, one_hot

ENTRY = {
    "about": "The class with the most votes, weighted by skills from a robust rank-one matrix completion (M-MSR, Ma "
    "and Olshevsky 2020), by crowd-kit; it has no probabilities, and is for up to about 100 annotators.",
    "options": {
        "iterations": {"type": "integer", "minimum": 1, "default": 10_000, "description": "Steps, at most."},
        "tolerance": {"type": "number", "exclusiveMinimum": 0, "default": 1e-10,
            "description": "Change of the completed matrix (Frobenius norm) at which it ends."},
    },
    "needs": ["annotators"],
    "shared": ["fit_on"],
    "forms": ["hard"],
    "memory": 110, "bytes": 100, "seconds": 1e-4,
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """One-hot of ``argmax_k sum over votes for k of log((C - 1) s / (1 - s))``, with skills s.

    A skill below chance counts against a class, so that one without a vote may win. (crowd-kit's own prediction divides
    by the sum of an item's weights, and takes the least of them where that is negative.) Q. Ma and A. Olshevsky
    (NeurIPS 2020), arXiv 2010.12181.
    """
    people = len(evidence.votes.people)
    pairs = people * (people + 1) / 2  # of which crowd-kit has a matrix of pairs
    each = ENTRY["bytes"] * len(evidence.classes)
    votes = crowd.training(evidence, options["kind"], each, 24 * pairs**2, once=True, connected=True)
    random = int(keyed.rng("mmsr", options["seed"], *evidence.seed).integers(2**32))
    model = crowd.crowd_kit().MMSR(n_iter=options["iterations"], tol=options["tolerance"], random_state=random)
    with crowd.working(model, 0), _keyed(options["seed"], *evidence.seed):
        try:
            model.fit(votes)
        except (TypeError, ValueError, ArithmeticError, IndexError, RuntimeError) as error:  # of too few annotators
            raise UserError(
                f"label: {options['kind']} cannot complete the matrix of {votes['worker'].nunique()} annotators: "
                f"{error}. It needs several who share many items. Take another aggregate."
            ) from None
    changes = model.loss_history_
    facts = crowd.ended(options["kind"], len(changes), options["iterations"], changes[-1], options["tolerance"])
    weight = crowd.of_annotators(votes, model.skills_, len(evidence.votes.people))
    table = crowd.labels(evidence, crowd.normalised(crowd.weighted(evidence, weight)), options, facts)
    return replace(table, p=one_hot(table.hard, len(evidence.classes)))


@contextmanager
def _keyed(*key: int) -> Iterator[None]:
    """Have crowd-kit look for signs from where a key says: SciPy's solver begins anywhere, unseeded."""
    from scipy.sparse import linalg

    theirs = crowd.crowd_kit().classification.m_msr

    def eigs(matrix: np.ndarray, *arguments: Any, **more: Any) -> Any:
        rng = keyed.rng("mmsr signs", *key)
        start = rng.standard_normal(len(matrix))
        more |= {"rng": rng} if "rng" in inspect.signature(linalg.eigs).parameters else {}  # of SciPy 1.17 and later
        return linalg.eigs(matrix, *arguments, v0=start, **more)

    theirs.sla = SimpleNamespace(eigs=eigs)
    try:
        yield
    finally:
        theirs.sla = linalg
