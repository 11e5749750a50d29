"""What keeps items together in one part of a split: groups, and equal pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


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
