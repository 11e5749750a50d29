"""Votes of some people for the reference, and those of the others for labels (``reference: other_people``).

An aggregation that is scored with the votes of the people it was made of, if on other images, is judged by their
errors: the share of their votes is what the average aims at. Here nobody is on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .. import keyed
from ..contracts import of_unknown
from ..errors import UserError
from .contract import Content, Pixels, Votes, new_images, read_images

MOST_LOST = 0.05  # the share of images, with votes on one side only, that are left out; more are an error
CHUNK = 256  # images copied at a time


def apart(content: Content, seed: int) -> Content:
    """The content whose ``votes`` are those of half of the people, and whose ``judges`` are those of the others.

    Images with votes on one side only are left out, with a remark.

    Args:
        content: of a source with votes.
        seed: the key of who is on which side; see :func:`judging`.

    Raises:
        UserError: nobody is known, or more than MOST_LOST of the images have votes on one side only.
    """
    votes, n = content.votes, len(content.names)
    if not len(_people(votes)):
        raise UserError(
            "reference: other_people: these votes do not say who gave them, so that the same people may be on both "
            "sides, expected votes with annotators. Say where the source has them, or set reference: votes."
        )
    judges = judging(votes, seed)
    kept = np.logical_and.reduce([np.bincount(votes.item[side], minlength=n) > 0 for side in (judges, ~judges)])
    people, lost = _people(votes), n - int(kept.sum())
    if lost > MOST_LOST * n:
        one = len(people) == 1 and votes.annotator.null_count == 0
        raise UserError(
            f"reference: other_people: {lost} of {n} images have votes on one side only"
            f"{' (all votes are of one person)' if one else ''}, such as '{content.names[int((~kept).argmax())]}', "
            f"expected at most {MOST_LOST:.0%}: each image needs votes of people of both halves. Set reference: votes, "
            f"try another reference_seed, or get more votes."
        )
    judging_votes = _of(votes, judges)
    told = [
        f"The reference is made of other people than labels are: {judges.sum()} of {len(votes.item)} votes, of "
        f"{len(_people(judging_votes))} of {len(people)} people (reference_seed {seed}). What is said of votes and "
        f"annotators is of the others, whose votes labels are made of."
    ]
    if unknown := judging_votes.annotator.null_count:
        told.append(f"{of_unknown(unknown, len(judging_votes.item))}.")
    if lost:
        told.append(f"{lost} images have votes on one side only and were left out.")
    content = replace(content, votes=_of(votes, ~judges), judges=judging_votes, notes={
        **content.notes, "remarks": [*content.notes.get("remarks", ()), *told],
    })  # fmt: skip
    return only(content, kept) if lost else content


def judging(votes: Votes, seed: int) -> np.ndarray:
    """Which votes make the reference, bool ``[V]``: those of a half of the people, drawn with the key ``seed``.

    People are paired by how many votes they gave, and one of each pair is drawn, so that both halves have about as many
    votes (one without a partner is drawn, too). Of votes whose annotators are unknown it is half of each item's,
    rounded down.
    """
    judges = np.zeros(len(votes.item), bool)
    person = np.full(len(votes.item), -1)
    if votes.annotator is not None:
        person = votes.annotator.indices.fill_null(-1).to_numpy().astype(np.int64)
        names = np.array([*votes.annotator.dictionary.to_pylist(), ""], object)
        found, given = np.unique(person[person >= 0], return_counts=True)
        found = found[np.lexsort((names[found].astype(str), -given))]
        drawn = keyed.rng("other people", seed).random((len(found) + 1) // 2) < 0.5
        judges = np.isin(person, found[np.arange(len(found)) % 2 == np.repeat(drawn, 2)[: len(found)]])
    unknown = np.flatnonzero(person < 0)
    unknown = unknown[np.lexsort((votes.label[unknown], votes.item[unknown]))]
    number = keyed.rng("other people's votes", seed).random(len(unknown))
    unknown = unknown[np.lexsort((number, votes.item[unknown]))]
    _, first, n = np.unique(votes.item[unknown], return_index=True, return_counts=True)
    judges[unknown[np.arange(len(unknown)) - np.repeat(first, n) < np.repeat(n // 2, n)]] = True
    return judges


def _people(votes: Votes) -> np.ndarray:
    """The people who gave votes, as far as they are known: indices of their names, ascending."""
    return np.zeros(0, int) if votes.annotator is None else np.unique(votes.annotator.indices.drop_null().to_numpy())


def _of(votes: Votes, chosen: np.ndarray) -> Votes:
    """Some votes, bool ``[V]``. What an item's were drawn from is no longer known: that is a mean over its people."""
    arrays = {name: value[chosen] for name in ("item", "label", "weight", "time")
              if (value := getattr(votes, name)) is not None}  # fmt: skip
    return Votes(**arrays, annotator=None if votes.annotator is None else votes.annotator.filter(pa.array(chosen)))


def only(content: Content, kept: np.ndarray) -> Content:
    """The content with some of its items, bool ``[N]``, numbered anew in their order."""
    number = np.cumsum(kept) - 1

    def of(votes: Votes) -> Votes:
        left = _of(votes, kept[votes.item])
        return replace(left, item=number[left.item].astype(votes.item.dtype))

    def columns(given: Mapping[str, Any]) -> dict[str, Any]:
        found = {name: pa.array(value).filter(pa.array(kept)) for name, value in given.items()}
        return found | ({"duplicate": _first(given["duplicate"], kept)} if "duplicate" in given else {})

    def images(path: Path | None, threads: int) -> Pixels:
        pixels = content.images(path, threads)
        if path is not None:
            every = read_images(path)
            with new_images(path, (int(kept.sum()), *every.shape[1:])) as append:
                for rows in np.array_split(np.flatnonzero(kept), np.arange(CHUNK, kept.sum(), CHUNK)):
                    append(every[rows])
        pixels = pixels if isinstance(pixels, Pixels) else Pixels(pixels)
        return replace(pixels, columns=columns(pixels.columns))

    return replace(
        content,
        names=[name for name, keep in zip(content.names, kept, strict=True) if keep],
        images=images,
        votes=of(content.votes),
        judges=of(content.judges),
        p=None if content.p is None else content.p[kept],
        groups=content.groups and [group for group, keep in zip(content.groups, kept, strict=True) if keep],
        columns=columns(content.columns),
    )


def _first(duplicate: Any, kept: np.ndarray) -> pa.Array:
    """The column ``duplicate`` of the items that are kept: the first of these with the same pixels, null for itself."""
    same = [i if first is None else first for i, first in enumerate(pa.array(duplicate).to_pylist())]
    seen: dict[int, int] = {}
    found = [seen.setdefault(same[item], row) for row, item in enumerate(np.flatnonzero(kept).tolist())]
    return pa.array([None if first == row else first for row, first in enumerate(found)], pa.int32())
