"""An item's votes, each left out in turn and set beside the item's other votes.

A left-out vote comes from the people whom the others come from, and it touched nothing that is said of the others. So
what the others predict, or the stratum that they put the item in, is judged without bias by the vote that was left out.
All votes of a person on an item are left out together; a vote of nobody known is a person of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from .. import io
from ..contracts import Reference, read_others

BLOCK = 1 << 20  # numbers in an array [votes, classes] at once: 8 MB, whatever the number of classes
OTHERS = 2  # so many other people at least say whether they agree: one cannot disagree with itself
CLOSEST_VOTES = 10  # an item needs as many votes for its margin to tell a close call …
CLOSEST_MARGIN = 10  # … which is one below a tenth


@dataclass(frozen=True)
class Panels:
    """The votes on n items, and by how many people.

    The votes of people who gave an item more than one are also listed, m in all; person k of P has those with
    ``person == k``.
    """

    counts: np.ndarray  # votes by class, int64 [n, C]
    people: np.ndarray  # how many people gave them, int64 [n]
    row: np.ndarray  # the item, index into ``counts``, int64 [m]
    label: np.ndarray  # the class, int64 [m]
    person: np.ndarray  # 0 to P - 1, ascending, int64 [m]

    @classmethod
    def anonymous(cls, counts: np.ndarray) -> Panels:
        """Every vote of ``counts``, int64 ``[n, C]``, is of another person."""
        none = np.zeros(0, np.int64)
        return cls(counts, counts.sum(axis=1), none, none, none)

    def of(self, rows: np.ndarray) -> Panels:
        """Those of some items: row k becomes that of ``rows[k]``, int ``[K]``, all different."""
        place = np.full(len(self.counts), -1)
        place[rows] = np.arange(len(rows))
        kept = place[self.row] >= 0
        person = np.unique(self.person[kept], return_inverse=True)[1]
        return Panels(self.counts[rows], self.people[rows], place[self.row[kept]], self.label[kept], person)

    @property
    def repeated(self) -> np.ndarray:
        """Which items have votes of two people or more, bool ``[n]``."""
        return self.people >= 2


def judging(annotations: Path, reference: Path) -> tuple[np.ndarray, pa.DictionaryArray, np.ndarray]:
    """Item, annotator (null: unknown) and label of each vote that judges: other people's where the reference has some.

    They are sorted by item and annotator (unknown ones last): a person's votes stand together.
    """
    table = read_others(reference)
    if table is None:
        table, _ = io.read_table(annotations, ["item", "annotator", "label"])
    annotator = table.column("annotator").combine_chunks()
    annotator = annotator if pa.types.is_dictionary(annotator.type) else annotator.dictionary_encode()
    return io.vector(table, "item"), annotator, io.vector(table, "label")


def read_panels(annotations: Path, reference: Reference) -> Panels:
    """The votes that a reference is made of, with who gave them; row k is that of the reference."""
    item, people, label = judging(annotations, reference.path)
    annotator = people.indices.fill_null(-1).to_numpy()
    begins = np.ones(len(item), bool)
    begins[1:] = (item[1:] != item[:-1]) | (annotator[1:] != annotator[:-1]) | (annotator[1:] < 0)
    row_of = np.zeros(item.max(initial=-1) + 1, np.int64)
    voted = np.unique(item)
    row_of[voted] = reference.rows(voted)
    people = np.bincount(row_of[item[begins]], minlength=len(reference.item))
    person = begins.cumsum() - 1
    several = np.bincount(person)[person] > 1
    person = np.unique(person[several], return_inverse=True)[1]
    return Panels(reference.counts, people, row_of[item[several]], label[several].astype(np.int64), person)


class LeftOut(NamedTuple):
    """u units: votes that are left out together, and the votes that stay."""

    row: np.ndarray  # the item, index into the panels, int64 [u]
    left: np.ndarray  # the votes of one person, int64 [u, C]
    rest: np.ndarray  # the item's other votes, int64 [u, C]
    weight: np.ndarray  # the unit's share of the item's votes, float64 [u]; over all blocks an item's sum to 1


def left_out(panels: Panels) -> Iterator[LeftOut]:
    """Each person's votes and the item's others, in blocks, of the items with two people or more.

    People who gave an item one vote, and the same, are one unit: leaving out either leaves the same.
    """
    n_classes = panels.counts.shape[1]
    single = panels.counts.copy()
    np.subtract.at(single, (panels.row, panels.label), 1)
    single[~panels.repeated] = 0
    single_row, single_label = np.nonzero(single)
    kept = panels.repeated[panels.row]
    person = np.unique(panels.person[kept], return_inverse=True)[1]
    first = np.flatnonzero(np.diff(person, prepend=-1))
    row = np.concatenate([single_row, panels.row[kept][first]])
    alike = np.concatenate([single[single_row, single_label], np.ones(len(first), np.int64)])
    unit = np.concatenate([np.arange(len(single_row)), len(single_row) + person])  # ascending, of each vote below
    label = np.concatenate([single_label, panels.label[kept]])
    votes = panels.counts.sum(axis=1)
    step = max(1, BLOCK // n_classes)
    for start in range(0, len(row), step):
        of = row[start : start + step]
        low, high = np.searchsorted(unit, (start, start + step))
        left = np.zeros((len(of), n_classes), np.int64)
        np.add.at(left, (unit[low:high] - start, label[low:high]), 1)
        weight = alike[start : start + step] * left.sum(axis=1) / votes[of]
        yield LeftOut(of, left, panels.counts[of] - left, weight)


@dataclass(frozen=True)
class Strata:
    """Every left-out vote of n items, and which strata it is in; v rows, of those who left out the same."""

    n: int
    row: np.ndarray  # the item, int64 [v]
    label: np.ndarray  # the class that was voted for, int64 [v]
    weight: np.ndarray  # the share of the item's votes, float64 [v]
    inside: dict[str, np.ndarray]  # by stratum: bool [v]; one without votes is absent


def strata_of_votes(panels: Panels) -> Strata:
    """What an item's other votes say of each left-out vote: so a stratum never comes from the votes that score.

    ``panel``      every vote on an item with two people or more; the others have two other people or more:
    ``unanimous``  the others agree on one class
    ``disputed``   they do not
    ``closest``    the shares of their two largest classes differ by less than 0.1; of items with ten votes or more
    """
    votes, pieces, inside = panels.counts.sum(axis=1), [], {}
    for row, left, rest, weight in left_out(panels):
        unit, label = np.nonzero(left)
        pieces.append((row[unit], label, (weight / left.sum(axis=1))[unit] * left[unit, label]))
        second, first = np.partition(rest, -2, axis=1)[:, -2:].T
        told, others = panels.people[row] > OTHERS, rest.sum(axis=1)
        close = CLOSEST_MARGIN * (first - second) < others
        members = {
            "panel": np.ones(len(row), bool),
            "unanimous": told & (first == others),
            "disputed": told & (first < others),
            "closest": told & close & (votes[row] >= CLOSEST_VOTES),
        }
        for stratum, member in members.items():
            inside.setdefault(stratum, []).append(member[unit])
    found = {stratum: np.concatenate(members) for stratum, members in inside.items()}
    row, label, weight = map(np.concatenate, zip(*pieces, strict=True)) if pieces else np.zeros((3, 0), np.int64)
    return Strata(len(votes), row, label, weight, {stratum: each for stratum, each in found.items() if each.any()})


def score_of_votes(strata: Strata, log_q: np.ndarray) -> dict[str, dict[str, Any]]:
    """How predictions meet left-out votes in each stratum.

    The vote k of an item with the prediction q has the cross-entropy -ln q_k, and is met where q is largest at k (ties:
    the lowest class). A difference of two predictions in ``ce`` is their difference in KL, too: the entropy of the
    reference is in both, and cancels.

    Args:
        strata: of the votes on n items.
        log_q: logarithms of the predictions, float64 ``[n, C]``.

    Returns:
        By stratum ``ce`` (nats) and ``vote_acc``, float64 ``[n]`` each, whose mean is the stratum's number: the mean
        over its left-out votes, each with its share of the item's votes for a weight. ``n``, the items with a vote in
        it; ``weight``, how many items these votes make up: the sum of their shares.
    """
    ce = -log_q[strata.row, strata.label]
    met = strata.label == log_q.argmax(axis=1)[strata.row]
    found = {}
    for stratum, inside in strata.inside.items():
        row, weight = strata.row[inside], strata.weight[inside]
        share, *parts = (
            np.bincount(row, term, minlength=strata.n) for term in (weight, weight * ce[inside], weight * met[inside])
        )
        values = dict(zip(("ce", "vote_acc"), (ratio(part, share) for part in parts), strict=True))
        found[stratum] = {**values, "n": int((share > 0).sum()), "weight": float(share.sum())}
    return found


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Values float64 ``[n]`` whose mean is theta = sum(part) / sum(whole), of ``part`` and ``whole`` ``[n]``.

    Each is theta plus the item's influence, n times the derivative of theta by the item's weight at equal weights:
    (part - theta whole) / mean(whole). An infinite theta has no influence.
    """
    theta = part.sum() / whole.sum()
    if not np.isfinite(theta):
        return np.full(len(part), theta)
    return theta + (part - theta * whole) / whole.mean()
