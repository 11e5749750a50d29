"""Each reader left out in turn, and the network in the reader's place: who says what the other readers say?

A reader is a person who is known by name. On the items that a reader voted on, what the reader said and what the
network says (its most probable class; ties: the lowest) are both compared with the votes of the item's other people:

``agreement``  the share of the others' votes for the class that was said: agreement with another vote, drawn at random
``accuracy``   whether it is the class that most of the others said, any of these where several are tied

The reader's own votes touch neither side's yardstick. A reader who gave an item several votes counts with their mean.

Calderon, Reichart and Dror, "The Alternative Annotator Test for LLM-as-a-Judge", ACL 2025 (arXiv 2501.10970), count
instead on which share of a reader's items the network's agreement is at least the reader's: the advantage probability.
The network wins against a reader if it is significantly larger than the share on which the reader's is at least the
network's, minus epsilon: a one-sided t test over items, with the false discovery rate of all readers controlled
(Benjamini and Yekutieli 2001).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import numpy as np
from scipy.special import stdtr

from ..contracts import READER, Reference
from .left_out import BLOCK, judging, ratio

NUMBERS = ("agreement", "accuracy")


@dataclass(frozen=True, eq=False)
class Said:
    """Who said what of n items: V votes, a person's on an item together."""

    row: np.ndarray  # the item, int64 [V], ascending
    person: np.ndarray  # index into ``people``, int64 [V]; -1: unknown, each a person of its own
    label: np.ndarray  # int64 [V]
    people: list[str]

    def of(self, rows: np.ndarray) -> Said:
        """Those on some items: row k becomes that of ``rows[k]``, int ``[K]``, all different."""
        place = np.full(max(self.row.max(initial=-1), rows.max(initial=-1)) + 1, -1)
        place[rows] = np.arange(len(rows))
        kept = np.flatnonzero(place[self.row] >= 0)
        kept = kept[np.argsort(place[self.row[kept]], kind="stable")]
        return Said(place[self.row[kept]], self.person[kept], self.label[kept], self.people)


class Compared(NamedTuple):
    """u readers' items, of those that somebody else voted on, too: a row each."""

    row: np.ndarray  # the item, int64 [u]
    person: np.ndarray  # the reader, int64 [u]
    reader: dict[str, np.ndarray]  # agreement and accuracy of the reader with the others, float64 [u]
    network: dict[str, np.ndarray]  # and of the network
    better: np.ndarray  # the sign of the network's agreement minus the reader's, int64 [u]


def read(annotations: Path, reference: Reference) -> Said | None:
    """Who said what, of the votes that judge; row k is that of the reference. None where nobody is known."""
    item, annotator, label = judging(annotations, reference.path)
    if annotator.null_count == len(annotator):
        return None
    row = np.full(reference.item.max() + 1, -1)
    row[reference.item] = np.arange(len(reference.item))
    person = annotator.indices.fill_null(-1).to_numpy().astype(np.int64)
    return Said(row[item], person, label.astype(np.int64), annotator.dictionary.to_pylist())


def group_of(name: str) -> str:
    """What scores call the items of a reader; of a name, no character is left that means something there."""
    return READER + quote(name, safe=" ")


def name_of(group: str) -> str:
    """The name of a reader."""
    return unquote(group.removeprefix(READER))


def with_others(item: np.ndarray, person: np.ndarray, people: int) -> np.ndarray:
    """How many items each person voted on that somebody else voted on, too, int64 ``[people]``.

    Args:
        item: of each vote, int ``[V]``.
        person: who gave it, int ``[V]``; -1: unknown, each a person of its own.
        people: how many are known.
    """
    known = person >= 0
    (row, who), own = np.unique([item[known], person[known]], axis=1, return_counts=True)
    return np.bincount(who[np.bincount(item)[row] > own], minlength=people)


def compared(said: Said, predicted: np.ndarray, n_classes: int) -> Compared:
    """What each reader says of each item, and the network in their place, against the item's other votes.

    Args:
        said: of n items.
        predicted: the network's class of each, int ``[n]``.
        n_classes: C.
    """
    return _compared(said, predicted.astype(np.int64).tobytes(), n_classes)


@lru_cache(maxsize=8)  # a temperature leaves the classes that are predicted as they are, and `details` asks again
def _compared(said: Said, predicted_bytes: bytes, n_classes: int) -> Compared:
    predicted = np.frombuffer(predicted_bytes, np.int64)
    begins = np.ones(len(said.row), bool)
    begins[1:] = (np.diff(said.row) != 0) | (np.diff(said.person) != 0) | (said.person[1:] < 0)
    unit = begins.cumsum() - 1  # of each vote
    row, person = said.row[begins], said.person[begins]
    counts = np.zeros((len(predicted), n_classes), np.int64)
    np.add.at(counts, (said.row, said.label), 1)
    reader, network, better, kept = [], [], [], []
    step = max(1, BLOCK // n_classes)
    for start in range(0, max(1, len(row)), step):
        of = row[start : start + step]
        low, high = np.searchsorted(unit, (start, start + len(of)))
        left = np.zeros((len(of), n_classes), np.int64)
        np.add.at(left, (unit[low:high] - start, said.label[low:high]), 1)
        rest = counts[of] - left
        use = np.flatnonzero((person[start : start + step] >= 0) & (rest.sum(axis=1) > 0))
        left, rest, guess = left[use], rest[use], predicted[of[use]]
        own, others, every = left.sum(axis=1), rest.sum(axis=1), np.arange(len(use))
        top = rest == rest.max(axis=1, keepdims=True)
        met, of_network = (left * rest).sum(axis=1), rest[every, guess]
        reader.append((met / own / others, (left * top).sum(axis=1) / own))
        network.append((of_network / others, top[every, guess].astype(float)))
        better.append(np.sign(of_network * own - met))  # in whole votes: rounding decides nothing
        kept.append(start + use)
    at = np.concatenate(kept)
    sides = (
        dict(zip(NUMBERS, map(np.concatenate, zip(*side, strict=True)), strict=True)) for side in (reader, network)
    )
    return Compared(row[at], person[at], *sides, np.concatenate(better))


def pooled(found: Compared, values: np.ndarray, n: int) -> np.ndarray:
    """The mean of ``values`` float64 ``[u]`` over readers and items, as one value an item ``[n]``; NaN without any."""
    part, whole = (np.bincount(found.row, weights, minlength=n) for weights in (values, None))
    return ratio(part, whole.astype(float)) if len(found.row) else np.full(n, np.nan)


def details(
    said: Said, predicted: np.ndarray, n_classes: int, options: Mapping[str, Any]
) -> Iterator[tuple[str, str | None, np.ndarray | float, np.ndarray | None]]:
    """Every number of the readers but the pooled agreement.

    Args:
        said, predicted, n_classes: see :func:`compared`.
        options: ``minimum`` items of a reader who is tested, ``listed``, of how many readers (those with the most
            items) there are numbers of their own, ``epsilon`` and ``rate``, those of the alternative annotator test.

    Yields:
        What it is called (behind the metric; empty: the agreement, network minus reader); of which reader (None: of
        all); a float, or float64 ``[k]`` whose mean it is; and the items of these, int ``[k]`` (None: all).
    """
    n, found = len(predicted), compared(said, predicted, n_classes)
    agreement, accuracy = (found.network[name] - found.reader[name] for name in NUMBERS)
    numbers = {
        "": agreement,
        ".accuracy": accuracy,
        **{f".reader_{name}": found.reader[name] for name in NUMBERS},
        **{f".network_{name}": found.network[name] for name in NUMBERS},
    }
    yield from ((name, None, pooled(found, values, n), None) for name, values in numbers.items() if name)
    items = np.bincount(found.person, minlength=len(said.people))
    tested = np.flatnonzero(items >= options["minimum"])
    order = np.argsort(found.person, kind="stable")
    ends = items.cumsum()
    own = {k: order[ends[k] - items[k] : ends[k]] for k in tested.tolist()}
    advantage = {k: float((found.better[rows] >= 0).mean()) for k, rows in own.items()}
    p = [p_value(-found.better[rows], options["epsilon"]) for rows in own.values()]
    wins = dict(zip(own, discovered(np.array(p), options["rate"]).tolist(), strict=True))
    yield ".n_readers", None, float(len(tested)), None
    for number, of_reader in ((".winning_rate", wins), (".advantage", advantage)):
        yield number, None, float(np.mean([*of_reader.values()])) if own else np.nan, None
    for k in sorted(own, key=lambda k: (-items[k], said.people[k]))[: options["listed"]]:
        name, rows = said.people[k], own[k]
        yield from ((number, name, values[rows], found.row[rows]) for number, values in numbers.items())
        yield ".advantage", name, advantage[k], None
        yield ".wins", name, float(wins[k]), None
        yield ".n_items", name, float(len(rows)), None


def p_value(difference: np.ndarray, epsilon: float) -> float:
    """One-sided p of Student's t test that the mean of ``difference`` ``[k]`` is not below epsilon.

    Of differences that are all the same it is 0 or 1.
    """
    k, mean = len(difference), difference.mean()
    if (difference == difference[0]).all():
        return float(mean >= epsilon)
    return float(stdtr(k - 1, (mean - epsilon) / (difference.std(ddof=1) / np.sqrt(k))))


def discovered(p: np.ndarray, rate: float) -> np.ndarray:
    """Which hypotheses are rejected, bool ``[m]``, so that the false discovery rate is at most ``rate``.

    Benjamini and Yekutieli 2001, "The control of the false discovery rate in multiple testing under dependency",
    Annals of Statistics 29, for any dependence of the tests.
    """
    m = len(p)
    rank = np.arange(1, m + 1)
    order = np.argsort(p, kind="stable")
    below = p[order] * (1 / rank).sum() * m <= rank * rate
    rejected = np.zeros(m, bool)
    rejected[order[: rank[below].max(initial=0)]] = True
    return rejected
