"""What estimates of one true class an item have in common: what they refuse, their votes, posteriors and facts.

Each estimates, from the votes on the items that it may learn from (:attr:`Evidence.fit`), what annotators are like. All
other items get what these annotators' votes then say. An annotator whom the estimate has not seen counts as the
average of those it has, vote by vote.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import main_memory
from ..errors import UserError
from ..progress import progress
from .evidence import Evidence, LabelTable, Votes, average, label_table

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 12  # to which probabilities are compared: rounding makes and breaks no tie
LEAST = 1e-10  # the least probability of a vote, as crowd-kit has it
GB = 2**30


def crowd_kit() -> Any:
    """The aggregations of crowd-kit; a UserError where it is not installed, as in the conda environments."""
    try:
        from crowdkit import aggregation
    except ImportError:
        raise UserError(
            "label: found no package crowd-kit in this environment, expected it for this aggregate. Run without "
            "--use-conda (conda-forge is not known to have it), or install it: pip install crowd-kit."
        ) from None
    return aggregation


def training(
    evidence: Evidence,
    kind: str,
    bytes_of_vote: float,
    beside: float = 0.0,
    once: bool = False,
    connected: bool = False,
) -> pd.DataFrame:
    """The votes that an estimate learns from: columns ``task``, ``worker`` and ``label``, int64, as crowd-kit has them.

    Args:
        evidence: its votes.
        kind: the aggregate, for messages.
        bytes_of_vote: memory that the estimate is expected to take for each vote, and ``beside`` them.
        once: whether an annotator may vote only once on an item.
        connected: whether there must be a way from each annotator to each other by items that two of them share.

    Raises:
        UserError: no votes, or without their annotators; weighted votes; one annotator, or none who share an item;
            annotators who are not ``connected``; a class that has votes, but none here; several votes of an annotator
            on an item, if ``once``; less memory than it takes.
    """
    import pandas as pd

    votes = evidence.votes
    if votes is None or (votes.annotator < 0).any():
        raise UserError(
            f"label: {kind} needs to know who gave each vote, and this data set does not say it{_of(votes)}. Take "
            f"another aggregate, or a source with annotators."
        )
    if votes.weight is not None:
        raise UserError(
            f"label: {kind} counts every vote alike, and these votes have weights. Take the aggregate 'average', or "
            f"remove the column of weights from the data set."
        )
    used = evidence.fit[votes.item]
    item, annotator, label = votes.item[used], votes.annotator[used], votes.label[used]
    where = "" if evidence.part is None else " of the training part"
    if (people := len(np.unique(annotator))) < 2 or (item[1:] == item[:-1])[annotator[1:] != annotator[:-1]].sum() == 0:
        found = f"{people} annotator{'s'[: people != 1]}" + (", no two of them on one item" if people > 1 else "")
        raise UserError(
            f"label: {kind} compares annotators, and the votes{where} have {found}. Expected items with votes of two "
            f"or more. Take the aggregate 'average' or 'majority'."
        )
    if connected and (sets := _sets(item, annotator)) > 1:
        raise UserError(
            f"label: {kind} compares annotators by the images that they share, and the votes{where} are of {sets} sets "
            f"of annotators who share none, expected one: who of different sets is right cannot be told. Take another "
            f"aggregate, such as 'wawa' or 'average'."
        )
    lacking = np.setdiff1d(votes.label, label)
    if len(lacking):
        raise UserError(
            f"label: {kind} found votes for the class '{evidence.classes[lacking[0]]}', but none{where}, so that it "
            f"cannot say who confuses it ({len(lacking)} such classes). Merge the class with another (classes of the "
            f"source), take the aggregate 'average', or set aggregate.fit_on: all, which learns from the votes on test "
            f"images, too: scores against these votes are then no longer of images that nothing was learned from."
        )
    again = (item[1:] == item[:-1]) & (annotator[1:] == annotator[:-1])
    if once and again.any():
        raise UserError(
            f"label: {kind} knows one vote of an annotator on an item, and found several "
            f"({int(again.sum())} votes too many). Set 'repeats' of the source to first or last, or take another "
            f"aggregate."
        )
    needed = (bytes_of_vote * len(item) + beside) / GB
    if needed > (free := main_memory.free() / GB):
        raise UserError(
            f"label: {kind} is expected to take {needed:.1f} GB for {len(item):,} votes of {people:,} annotators, and "
            f"{free:.1f} GB are free. Take a machine with more memory (on a cluster: resource mem_mb of the rule "
            f"label), draw fewer votes (votes of the label), or take another aggregate ('average' takes little)."
        )
    _say(
        f"{kind}: {people:,} annotators are estimated from {len(item):,} votes on {len(np.unique(item)):,} items"
        + (f", which is expected to take {needed:.1f} GB" if needed >= 1 else "")
    )
    unvoted = [evidence.classes[k] for k in np.setdiff1d(range(len(evidence.classes)), label)]
    if unvoted:
        _say(f"{kind}: no vote is for {', '.join(unvoted)}: the probability of that is 0 everywhere")
    return pd.DataFrame({"task": item, "worker": annotator, "label": label}, dtype=np.int64)


def _of(votes: Votes | None) -> str:
    """Of how many votes nobody is known, where it is of some of them."""
    if votes is None or (votes.annotator < 0).all():
        return ""
    return f" of {int((votes.annotator < 0).sum()):,} of {len(votes.item):,} votes"


def _sets(item: np.ndarray, annotator: np.ndarray) -> int:
    """How many sets of annotators, of votes ``[V]``, share no item with another."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    (_, i), (_, a) = (np.unique(x, return_inverse=True) for x in (item, annotator))
    size = i.max() + 1 + a.max() + 1
    return connected_components(coo_array((np.ones(len(i)), (i, i.max() + 1 + a)), shape=(size, size)))[0]


def _say(text: str) -> None:
    print(f"{text}.", flush=True)


@contextmanager
def working(model: Any, steps: int, seen: Callable[[Any], None] = lambda result: None) -> Iterator[Any]:
    """A model of crowd-kit whose expectation steps move a bar of progress, without warnings that are for its makers.

    ``seen`` is given what each of these steps returns.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"), progress(total=steps, desc="steps") as bar:
        warnings.simplefilter("ignore", Warning)
        if step := getattr(model, "_e_step", None):

            def counted(*arguments: Any) -> Any:
                bar.update()
                result = step(*arguments)
                seen(result)
                return result

            model._e_step = counted  # crowd-kit tells of its progress nowhere else
        yield model


def with_bound(model: Any) -> Any:
    """A Dawid-Skene model of crowd-kit that ends where the evidence lower bound no longer rises.

    crowd-kit counts the prior of an item once a vote, so that its bound may fall, and it ends after the first steps.
    """
    theirs = model._evidence_lower_bound

    def bound(data: pd.DataFrame, p: pd.DataFrame, priors: pd.Series, errors: pd.DataFrame) -> float:
        too_many = data["task"].value_counts().reindex(p.index) - 1
        of_item = (p * np.log(priors.clip(LEAST))).sum(axis=1)
        return theirs(data, p, priors, errors) - float((too_many * of_item).sum())

    model._evidence_lower_bound = bound
    return model


def convergence(kind: str, losses: list[float], limit: int, tolerance: float) -> dict[str, Any]:
    """Facts of an iteration: how many steps it took, and whether its last change (``residual``) is below ``tolerance``.

    ``losses`` has a number a step, at most ``limit`` of them.
    """
    residual = float(losses[-1] - losses[-2]) if len(losses) > 1 else None
    return ended(kind, len(losses), limit, residual, tolerance)


def ended(kind: str, steps: int, limit: int, residual: float | None, tolerance: float) -> dict[str, Any]:
    """:func:`convergence` of an iteration whose residual is known (None: after one step)."""
    converged = residual is not None and abs(residual) < tolerance
    text = "unknown after one step" if residual is None else f"{residual:.2g}"
    if converged:
        _say(f"{kind}: converged after {steps} of at most {limit} iterations (residual {text})")
    elif steps < limit:  # crowd-kit ends where what it maximises falls
        _say(f"{kind}: did NOT converge, but ended after {steps} iterations, as its objective fell (residual {text})")
    else:
        _say(
            f"{kind}: did NOT converge within {limit} iterations: the residual is {text}, expected less than "
            f"{tolerance:g}. Raise aggregate.iterations"
        )
    return {"iterations": steps, "converged": converged, "residual": residual}


def of_annotators(votes: pd.DataFrame, found: pd.Series, n: int) -> np.ndarray:
    """What was found of each annotator (index: their numbers), float64 ``[n]``; for others the mean over all votes."""
    values = np.full(n, votes["worker"].map(found).mean())
    values[found.index.to_numpy()] = found.to_numpy()
    return values


def posterior(evidence: Evidence, log_prior: np.ndarray, log_likelihood: Callable[[int], np.ndarray]) -> np.ndarray:
    """``p_k ~ prior_k * product over the item's votes of P(vote | k)``, float64 ``[N, C]``, rows sum to 1.

    Args:
        evidence: the votes.
        log_prior: ``[C]``; -inf for classes that cannot be.
        log_likelihood: class k to ``log P(vote | k)`` of each vote, float64 ``[V]``.
    """
    log_p = np.tile(log_prior, (evidence.n_items, 1))
    for k in np.flatnonzero(np.isfinite(log_prior)):
        log_p[:, k] += np.bincount(evidence.votes.item, log_likelihood(k), evidence.n_items)
    return normalised(log_p)


def normalised(log_p: np.ndarray) -> np.ndarray:
    """``exp(log_p)``, ``[N, C]``, divided by the sum of its row."""
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def with_training(p: np.ndarray, found: pd.DataFrame) -> np.ndarray:
    """``p`` ``[N, C]`` with crowd-kit's probabilities of the training items (index: items, columns: classes)."""
    p[found.index.to_numpy()] = found.reindex(columns=range(p.shape[1]), fill_value=0).to_numpy()
    return p


def weighted(evidence: Evidence, weight: np.ndarray) -> np.ndarray:
    """The sum of its voters' weights (``[n annotators]``) for each class of each item, float64 ``[N, C]``."""
    votes, n_classes = evidence.votes, len(evidence.classes)
    cell = votes.item.astype(np.intp) * n_classes + votes.label
    total = np.bincount(cell, weight[votes.annotator], evidence.n_items * n_classes)
    return total.reshape(evidence.n_items, n_classes)


def shares(evidence: Evidence, weight: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """:func:`weighted` votes as shares, and how many items have no weight: these have the plain average."""
    total = weighted(evidence, weight)
    sums = total.sum(axis=1, keepdims=True)
    none = (sums[:, 0] <= 0) & (evidence.counts.sum(axis=1) > 0)
    if none.any():
        _say(f"The votes on {int(none.sum())} items are of people without any weight: they count alike there")
    with np.errstate(invalid="ignore"):
        return np.where(sums > 0, total / sums, average(evidence)), {"unweighted_items": int(none.sum())}


def labels(evidence: Evidence, p: np.ndarray, options: Mapping[str, Any], facts: Mapping[str, Any]) -> LabelTable:
    """Labels ``p`` ``[N, C]``, whose hard class is their own most probable one, not that of the votes.

    Ties are broken as :func:`softlabels.labels.evidence.label_table` says, and are of probabilities that agree to
    ``DIGITS`` digits. Items without a vote have no label, where there are votes. The metadata have ``estimate``:
    ``facts``, and the mean entropy (nats) of the labels of the items that it learned from (``entropy``) and of the
    average of their votes (``votes_entropy``).
    """
    kind = options["kind"]
    voted = np.ones(len(p), bool) if evidence.counts is None else evidence.counts.sum(axis=1) > 0
    bad = np.flatnonzero(voted & ~np.isfinite(p).all(axis=1))
    if len(bad):
        raise UserError(
            f"label: {kind} gave no probabilities for item {bad[0]} ({len(bad)} such items). Take another aggregate."
        )
    score = np.where(voted[:, None], p.round(DIGITS), 0)
    of_p = Evidence(evidence.classes, evidence.n_items, distribution=score, seed=evidence.seed)
    table = label_table(of_p, p, dict(options))
    learned = table.item[evidence.fit[table.item]]
    entropies = {"entropy": _entropy(p[learned]), "votes_entropy": _entropy(average(evidence)[learned])}
    _say(
        f"{kind}: the mean entropy of the labels is {entropies['entropy']:.4f} nats, that of the average of the "
        f"votes {entropies['votes_entropy']:.4f}"
    )
    votes = None if evidence.counts is None else evidence.counts[table.item].sum(axis=1).astype(np.int32)
    return replace(table, votes=votes, metadata={**table.metadata, "estimate": {**facts, **entropies}})


def _entropy(p: np.ndarray) -> float:
    """Mean entropy of distributions ``[K, C]`` in nats; 0 of none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        of_item = -np.where(p > 0, p * np.log(p), 0).sum(axis=1)
    return float(of_item.mean()) if len(of_item) else 0.0
