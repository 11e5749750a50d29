"""Split a data set into train, val and test; what belongs together (groups, equal pixels) stays in one part."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .. import io, keyed, registry
from ..contracts import PARTS, read_reference, write_split
from ..errors import UserError


def joined(items: pa.Table, split: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What keeps items together, ``groups`` and ``duplicates``: the first item that each is joined to, int ``[N]``.

    An item that is joined to no other has its own number. What the split ignores (``groups: false``, ``duplicates:
    apart``), and what no item of the data set has, is left out.
    """
    relations = {}
    names = items.column("group")
    if split["groups"] and names.null_count < len(names):
        first: dict[str, int] = {}
        found = [i if name is None else first.setdefault(name, i) for i, name in enumerate(names.to_pylist())]
        relations["groups"] = np.array(found)
    if split["duplicates"] == "together" and "duplicate" in items.column_names:
        same = items.column("duplicate")
        if same.null_count < len(same):
            relations["duplicates"] = pc.coalesce(same, items.column("item")).to_numpy()
    return relations


def blocks(relations: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """The block of each of ``n`` items, int ``[n]`` from 0: items that a relation joins, directly or through others."""
    rows, columns = np.tile(np.arange(n), len(relations)), np.concatenate(list(relations.values()))
    return connected_components(coo_array((np.ones(len(rows), bool), (rows, columns)), (n, n)), directed=False)[1]


def refuse_straddling(
    items: pa.Table, place: np.ndarray, what: str, column: str, relations: Mapping[str, np.ndarray]
) -> None:
    """Refuse given places ``[N]`` that separate a group, or items with the same pixels: they cannot be moved.

    ``what`` they are (fold, part), and which ``column`` of the items says so, is for the message.
    """
    for relation, first in relations.items():
        straddling = np.flatnonzero(place != place[first])
        if len(straddling):
            item = straddling[0]
            names = items.column("name")
            members, accept = "items with the same pixels", "duplicates: apart"
            if relation == "groups":
                members, accept = f"items of group '{items.column('group')[item]}'", "groups: false"
            raise UserError(
                f"split: found {members} in {what} {place[first[item]]} ({names[first[item]]}) and in {what} "
                f"{place[item]} ({names[item]}), expected them in one {what} ({len(straddling)} such items). Correct "
                f"column '{column}', or set split.{accept} to accept it."
            )


def check_classes(part: np.ndarray, hard: np.ndarray, classes: list[str], split: Mapping[str, Any]) -> None:
    """Refuse a split with a part that lacks a class, unless that is allowed."""
    if split["allow_missing_class"]:
        return
    for number, name in enumerate(PARTS):
        found = np.bincount(hard[part == number], minlength=len(classes))
        if (found == 0).any():
            missing = int(found.argmin())
            shares = f"raise split.{name}, " if split["kind"] == "random" else ""
            raise UserError(
                f"split: class '{classes[missing]}' has no item in part '{name}' ({(hard == missing).sum()} in all). "
                f"Add items, {shares}or set split.allow_missing_class: true."
            )


def hold_out(
    part: np.ndarray, hard: np.ndarray, relations: Mapping[str, np.ndarray], config: Mapping[str, Any]
) -> None:
    """Take one fold out of the training part: what belongs together is in one fold, each class in folds of one size.

    Args:
        part: int ``[N]``, changed in place: the fold becomes the part HELD_OUT.
        hard: int ``[N]``, the hard class.
        relations: see :func:`joined`.
        config: ``seed``, and ``fold``: its number from 0, and how many there are.

    Raises:
        UserError: more folds than there is to divide.
    """
    number, folds = config["fold"]
    train = np.flatnonzero(part == PARTS.index("train"))
    place, n = shuffled(train, hard, relations, "folds", config["seed"], folds)
    if folds > n:
        raise UserError(
            f"split: found {folds} folds for the {n} images (or groups of them) of the training part, "
            f"expected no more folds than those. Lower aggregate.folds of the label."
        )
    part[train[place % folds == number]] = len(PARTS)


def calibrate(
    part: np.ndarray, hard: np.ndarray, relations: Mapping[str, np.ndarray], seed: int, share: Fraction
) -> None:
    """Keep a share of the validation part for calibration, of each class alike; what belongs together stays so.

    Args:
        part: int ``[N]``, changed in place: these items become HELD_OUT, neither trained on, chosen by nor scored.
        hard: int ``[N]``, the hard class.
        relations: see :func:`joined`.
        seed: of the split.
        share: above 0 and below 1, of items, or of what stays together.

    Raises:
        UserError: too few validation items to keep one and leave one.
    """
    val = np.flatnonzero(part == PARTS.index("val"))
    place, n = shuffled(val, hard, relations, "calibration", seed)
    kept = (place + 1) * share.numerator // share.denominator > place * share.numerator // share.denominator
    if not kept.any():
        raise UserError(
            f"split.calibration: found {float(share):g} of {n} validation images (or groups of them), expected at "
            f"least one image. Raise split.calibration, or give the split a larger validation part."
        )
    part[val[kept]] = len(PARTS)


def shuffled(
    rows: np.ndarray, hard: np.ndarray, relations: Mapping[str, np.ndarray], *key: int | str
) -> tuple[np.ndarray, int]:
    """The place of each of some items in a random order of their blocks, class by class, int ``[len(rows)]``.

    Items of one block (see :func:`blocks`) have one place. With it comes how many blocks there are.
    """
    block = blocks(relations, len(hard))[rows] if relations else rows
    _, first, block = np.unique(block, return_index=True, return_inverse=True)
    place = np.empty(len(first), int)
    place[np.lexsort((keyed.rng(*key).random(len(first)), hard[rows[first]]))] = np.arange(len(first))
    return place[block], len(first)


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write one split.

    Args:
        config: ``seed``; ``fold`` (its number from 0, and how many) where a network is trained without one part of the
            training items, to predict them; and ``split`` with ``kind`` and its options, ``groups`` (keep them whole),
            ``duplicates`` (items with the same pixels ``together``, or ``apart`` as it comes), ``allow_missing_class``,
            ``calibration`` (the share of the validation part that is kept for it).
        inputs: ``items``, ``reference`` (its argmax, lowest index first, is the hard class).
        outputs: ``split``.
    """
    split = config["split"]
    items, _ = io.read_table(inputs["items"])
    reference = read_reference(inputs["reference"])
    hard = reference.p.argmax(axis=1)
    relations = joined(items, split)
    part, fold, facts = registry.load("split", split["kind"])(config, items, hard, relations)
    if share := split.get("calibration"):
        calibrate(part, hard, relations, config["seed"], Fraction(str(share)))
    check_classes(part, hard, reference.classes, split)
    if "duplicates" in relations:
        again = relations["duplicates"] != np.arange(len(part))
        facts["duplicate_blocks"] = len(np.unique(blocks(relations, len(part))[again]))
    if "fold" in config:
        hold_out(part, hard, relations, config)
        facts["fold"] = config["fold"]
    write_split(outputs["split"], part, fold, {"seed": config["seed"], **facts})
