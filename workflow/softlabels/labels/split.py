"""Split a data set into train, val and test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import io, registry
from ..contracts import PARTS, read_reference, write_split
from ..errors import UserError
from .blocks import blocks, joined


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


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write one split.

    Args:
        config: ``seed``, and ``split`` with ``kind`` (``random`` or ``folds``), ``groups`` (keep them whole),
            ``duplicates`` (items with the same pixels ``together``, or ``apart`` as it comes), ``allow_missing_class``;
            of random splits also ``train``, ``val``, ``test`` (shares) and ``stratify`` (``hard``, and boolean columns
            of the items); of folds ``column`` (of the items, with the fold's number).
        inputs: ``items``, ``reference`` (its argmax, lowest index first, is the hard class).
        outputs: ``split``.

    Raises:
        UserError: shares that do not sum to 1, an empty part, a part without an item of some class, or folds that
            cannot be used as they are.
    """
    split = config["split"]
    items, _ = io.read_table(inputs["items"])
    reference = read_reference(inputs["reference"])
    hard = reference.p.argmax(axis=1)
    relations = joined(items, split)
    part, fold, facts = registry.load("split", split["kind"])(config, items, hard, relations)
    check_classes(part, hard, reference.classes, split)
    if "duplicates" in relations:
        again = relations["duplicates"] != np.arange(len(part))
        facts["duplicate_blocks"] = len(np.unique(blocks(relations, len(part))[again]))
    write_split(outputs["split"], part, fold, {"seed": config["seed"], **facts})
