"""The facts of a card, as JSON values: counts, shares in [0, 1], entropies and divergences in nats."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import entr

from .. import io, keyed
from ..contracts import PARTS, read_split
from ..errors import UserError
from ..evaluation import references
from ..evaluation.divergence import EPS
from ..evaluation.left_out import Panels
from ..io import json_number
from .agreement import Annotators

BINS = 12  # at most so many rows in a table
METRICS = ("kl_dcic", "tvd")
MOST_ITEMS = 20_000  # of the sampling floor and the split half, whose KL then has a standard error of 0.002 (CIFAR-10H)
MOST_NUMBERS = 16_000_000  # and no more items than these fit in, by classes: 128 MB
NAMED = 5  # so many sets that straddle a split are named

Facts = dict[str, Any]


def source(config: Facts, notes: Facts, items: pa.Table, images: Path) -> Facts:
    """Origin, terms and checksums; null where nobody stated them."""
    about = config["about"]
    return {
        "options": _without_folders(config["source"]),
        "description": about["description"],
        "homepage": about["homepage"],
        "licence": _statements(about["licence"], notes.get("licence")),
        "citation": _statements(about["citation"], notes.get("citation")),
        "files": notes.get("files") or {},
        "remarks": notes.get("remarks") or [],
        "digest": _digest(items, images),
    }


def _without_folders(value: Any) -> Any:
    """The value with only the last part of each absolute path, which says nothing on another machine."""
    if isinstance(value, Mapping):
        return {key: _without_folders(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_folders(each) for each in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _statements(configured: str | None, imported: str | None) -> list[Facts]:
    """Who stated what, each text once."""
    found = {configured: "the configuration"}
    found.setdefault(imported, "the source")
    return [{"text": text, "stated_in": place} for text, place in found.items() if text]


def _digest(items: pa.Table, images: Path) -> Facts:
    """One SHA-256 for all images: of their files where there are files, else of the pixels."""
    if "sha256" not in items.column_names or items.column("sha256").null_count:
        return {"of": "the file images.npy", "sha256": io.sha256(images)}
    lines = "".join(f"{digest}\n" for digest in items.column("sha256").to_pylist())
    made = "the SHA-256 of each image file in hexadecimal, one a line, in item order"
    return {"of": made, "sha256": hashlib.sha256(lines.encode()).hexdigest()}


def entropy(p: np.ndarray) -> np.ndarray:
    """Shannon entropy of distributions ``[N, C]`` in nats, float64 ``[N]``; equal to 12 decimals is equal."""
    return entr(p).sum(axis=1).round(12) + 0.0  # + 0.0: no negative zero


def classes(names: list[str], p: np.ndarray, hard: np.ndarray) -> list[Facts]:
    """How many items each class has: hard (the top class, lowest index first) and soft (its mean probability)."""
    items = np.bincount(hard, minlength=len(names))
    return [
        {"name": name, "items": int(n), "share": float(n / len(p)), "mean_probability": float(mean)}
        for name, n, mean in zip(names, items, p.mean(axis=0), strict=True)
    ]


def reference(kind: str, p: np.ndarray, h: np.ndarray) -> Facts:
    """How ambiguous the reference ``[N, C]`` with entropies ``[N]`` is.

    Ties are found in p: shares of whole votes are equal just where the votes are, as all are divided by the same n.
    """
    top = p == p.max(axis=1, keepdims=True)
    n_items, edges = np.histogram(h, bins=20, range=(0, float(np.log(p.shape[1]))))
    return {
        "kind": kind,
        "unanimous": int((h == 0).sum()),
        "ties": int((top.sum(axis=1) > 1).sum()),
        "mean_top_probability": float(p.max(axis=1).mean()),
        "entropy": {
            **_summary(h),
            "quantiles": {name: float(np.quantile(h, q)) for name, q in (("0.25", 0.25), ("0.75", 0.75), ("0.9", 0.9))},
            "histogram": {"edges": edges.tolist(), "items": n_items.tolist()},
        },
    }


def _summary(values: np.ndarray) -> Facts:
    """Least, median, mean and largest value."""
    kinds = {"min": np.min, "median": np.median, "mean": np.mean, "max": np.max}
    return {name: float(kind(values)) for name, kind in kinds.items()}


def _whole_histogram(values: np.ndarray) -> list[Facts]:
    """At most BINS bins of equal width of whole numbers, both ends counted in."""
    low, high = int(values.min()), int(values.max())
    width = -(-(high - low + 1) // BINS)
    times = np.bincount((values - low) // width)
    return [
        {"from": low + k * width, "to": min(low + (k + 1) * width - 1, high), "n": n}
        for k, n in enumerate(times.tolist())
    ]


def annotators(annotations: pa.Table) -> tuple[list[str], np.ndarray]:
    """Names of the annotators, sorted, and who gave each vote, int64 ``[V]`` (-1: unknown)."""
    encoded = annotations.column("annotator").combine_chunks()
    written = np.array(encoded.dictionary.to_pylist(), object)
    place = np.append(written.argsort().argsort(), -1)  # among the sorted names
    return sorted(written), place[encoded.indices.fill_null(-1).to_numpy()]


def votes(annotations: pa.Table, counts: np.ndarray) -> Facts:
    """How many votes there are, and how many an item."""
    of_item = counts.sum(axis=1)
    return {
        "n": int(of_item.sum()),
        "an_item": {**_summary(of_item), "histogram": _whole_histogram(of_item)},
        "items_with_one": int((of_item == 1).sum()),
        "without_annotator": annotations.column("annotator").null_count,
        "weight": _column(annotations, "weight"),
        "time": _column(annotations, "time"),
    }


def _column(annotations: pa.Table, name: str) -> Facts | None:
    """Summary of a column of the votes; null where there is none."""
    if name not in annotations.column_names:
        return None
    values = annotations.column(name).drop_null()
    return {"n": len(values), **_summary(values.to_numpy().astype(np.float64))} if len(values) else None


def of_annotators(found: Annotators) -> Facts:
    """Every annotator: votes, agreement with the others, confusion."""
    starts = np.searchsorted(found.confusion[:, 0], np.arange(len(found.names) + 1))
    rows = found.confusion[:, 1:].tolist()
    return {
        "n": len(found.names),
        "votes_each": {**_summary(found.votes), "histogram": _whole_histogram(found.votes)},
        "confusion_columns": ["majority_of_others", "own_label", "votes"],
        "each": [
            {
                "name": name,
                "votes": int(found.votes[k]),
                "compared": int(found.compared[k]),
                "agreement": json_number(found.agreement[k]),
                "confusion": rows[starts[k] : starts[k + 1]],
            }
            for k, name in enumerate(found.names)
        ],
    }


def sampling(config: Facts, classes: list[str], panels: Panels | None) -> Facts:
    """Sampling floor and split half of the votes (``evaluation.references``); null, and why, where there is none.

    The floor is that of the items with votes of enough people, and null without any.
    """
    nothing = {"floor": None, "split_half": None}
    if config["reference"] == "exact":
        return nothing | {
            "why_not": "The reference is exact: it is no sample of votes, so a perfect model would score 0."
        }
    if panels is None or not (panels.counts.sum(axis=1) > 1).any():
        return nothing | {"why_not": "No item has two votes, so no vote can be checked against another."}

    items = np.flatnonzero(panels.counts.sum(axis=1))
    most = min(MOST_ITEMS, max(1, MOST_NUMBERS // len(classes)))
    n_all, sampled = len(items), len(items) > most
    if sampled:
        draw = keyed.rng("card items", config["seed"]).random(len(panels.counts))[items]
        items = np.sort(items[np.argsort(draw, kind="stable")[:most]])

    used = panels.of(items)
    score = references.scorer({name: {"kind": name} for name in METRICS}, classes)
    halves, directions, n_halved = references.split_half(score, used.counts, items, config["seed"])
    floor, several = None, np.flatnonzero(used.people >= references.FLOOR_PEOPLE)
    if len(several):
        found = references.sampling_floor(references.Others.fit(used), used.of(several))
        floor = {
            "first_order_kl": float(found["detail.first_order_kl"]),
            "upper_kl": float(found["kl"]),
            "k": found["detail.k"],
            "items": len(several),
        }
    return {
        "why_not": None,
        "eps": EPS,
        "items": len(items),
        "of_items": n_all,
        "sampled": sampled,
        "floor": floor,
        "split_half": {**halves, "directions": directions, "items": n_halved},
    }


def sets_and_splits(
    items: pa.Table, hard: np.ndarray, n_classes: int, names: Sequence[Sequence[Any]], paths: Sequence[Path]
) -> Facts:
    """Groups and duplicates, and for each split its parts, their classes, and which sets straddle them."""
    groups = _sets(items.column("group"))
    groups, duplicates = groups if groups[0] else None, None
    if "duplicate" in items.column_names:  # somebody looked for them
        item, first = items.column("item"), items.column("duplicate")
        firsts, of_item = _sets(pc.if_else(pc.is_in(item, first.combine_chunks()), item, first))
        duplicates = [items.column("name")[each].as_py() for each in firsts], of_item

    def facts(name: str, seed: int, part: np.ndarray) -> Facts:
        numbers = enumerate(PARTS)
        sizes = {label: np.bincount(hard[part == k], minlength=n_classes).tolist() for k, label in numbers}
        return {
            "split": name,
            "seed": seed,
            "items": {label: sum(of_class) for label, of_class in sizes.items()},
            "in_no_part": int((part < 0).sum()),
            "classes": sizes,
            "straddling_groups": _straddling(groups, part),
            "straddling_duplicates": _straddling(duplicates, part),
        }

    found = [facts(*name, _parts(path, len(hard))) for name, path in zip(names, paths, strict=True)]
    return {"groups": _sizes(groups), "duplicates": _sizes(duplicates), "splits": found}


def _parts(path: Path, n_items: int) -> np.ndarray:
    """The part of each item as an index into PARTS, int64 ``[N]``; -1 where it is in none."""
    split = read_split(path)
    if split.item.max(initial=-1) >= n_items:
        raise UserError(
            f"{path}: found item {split.item.max()}, expected items from 0 to {n_items - 1}, as this data set has. "
            f"Delete the file and run again to rebuild it."
        )
    part = np.full(n_items, -1)
    for number, name in enumerate(PARTS):
        part[split.items(name)] = number
    return part


Sets = tuple[list[str], np.ndarray]  # names of S sets, and the set of each item, int64 [N] (-1: none)


def _sets(names: pa.ChunkedArray) -> Sets:
    """The sets of items with one name; an item without a name is in none."""
    encoded = names.combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.fill_null(-1).to_numpy()


def _sizes(sets: Sets | None) -> Facts | None:
    if sets is None:
        return None
    sizes = np.bincount(sets[1][sets[1] >= 0], minlength=len(sets[0]))
    return {"sets": len(sizes), "items": int(sizes.sum()), "largest": int(sizes.max(initial=0))}


def _straddling(sets: Sets | None, part: np.ndarray) -> Facts | None:
    """How many sets have items in several parts, and the names of the first of them."""
    if sets is None:
        return None
    names, of_item = sets
    placed = (of_item >= 0) & (part >= 0)
    pairs = np.unique(of_item[placed] * len(PARTS) + part[placed])
    several = np.flatnonzero(np.bincount(pairs // len(PARTS), minlength=len(names)) > 1)
    return {"sets": len(several), "first": [names[k] for k in several[:NAMED]]}
