"""The test items of a study: what people said of each, what each label's network says, and where t-SNE puts it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import log_softmax

from .. import io, places
from ..commands import MAKERS
from ..contracts import Labels, read_labels, read_predictions, read_reference, rows_of
from ..datasets.contract import number, read_images
from ..drawing import class_colours
from ..errors import UserError
from ..evaluation.divergence import kl_items
from ..provenance.evidence import Results, entries, reading
from ..studies.ledger import Point, labels_of, points

TOP = 6  # classes of a distribution that the page keeps; what is left of it is told as a sum


@dataclass(frozen=True)
class Items:
    """The test items of one point of a study, first seed; arrays have a row an item, ascending.

    Attributes:
        item: int ``[n]``.
        names: file names, or None where the data set is private.
        p: float64 ``[n, C]``, the reference.
        votes: int ``[n]``, of how many votes it is the mean; None where it is exact.
        classes, colours: names and hexadecimal colours.
        q: float64 ``[n, C]`` by label, what its network predicts.
        kl: float64 ``[n]`` by label, nats.
        maps: float32 ``[n, 2]`` by label, t-SNE; those that there are.
        places: columns that tell where a generated item lies (``u``, ``s``), float64 ``[n]``.
        images: uint8 ``[N, H, W, 3]`` of all items of the data set; None where they are not shown.
        trained: the labels of all items by label, as far as they are there.
    """

    dataset: str
    block: tuple[str | None, ...]
    seed: int
    item: np.ndarray
    names: list[str] | None
    p: np.ndarray
    votes: np.ndarray | None
    classes: list[str]
    q: Mapping[str, np.ndarray]
    kl: Mapping[str, np.ndarray]
    maps: Mapping[str, np.ndarray]
    places: Mapping[str, np.ndarray]
    images: np.ndarray | None
    trained: Mapping[str, Labels]

    @cached_property
    def colours(self) -> list[str]:
        """A colour a class, as in all figures."""
        return list(class_colours(self.classes).values())

    @cached_property
    def apart(self) -> np.ndarray:
        """The largest total variation between the predictions of the first label and of another, float64 ``[n]``."""
        first, *others = self.q.values()
        between = (np.abs(first - other).sum(axis=1) / 2 for other in others)
        return np.max([np.zeros(len(self.item)), *between], axis=0)

    def name(self, row: int) -> str:
        """What a person calls an item."""
        return number(int(self.item[row])) if self.names is None else self.names[row]

    def pixels(self, row: int) -> np.ndarray:
        """The image of an item, uint8 ``[H, W, 3]``."""
        return np.asarray(self.images[self.item[row]])


def of(results: Results, config: Mapping[str, Any], private: Collection[str] = (), *, images: bool) -> Items:
    """The items of a point of a study: of those whose labels all have a t-SNE, if there are any.

    It is the first, or where the study varies something the last: with the most votes, epochs and so on.

    Args:
        results: where they are.
        config: the study's resolved configuration.
        private: data sets whose images and names are not shown.
        images: whether those of others may be.

    Raises:
        UserError: a file that is missing or cannot be read.
    """
    grid = points(config)
    there = set(results.files)
    embedded = [one for one in grid if all(path in there for path in _maps(config, one).values())]
    point = (embedded or grid)[-1 if config.get("varied") else 0]
    dataset = point.names[0]
    predictions = {label: _predictions(there, run) for label, run in _runs(config, point).items()}
    reference = read_reference(results.file(places.path("data", "reference", dataset=dataset)))
    read = {label: read_predictions(results.file(path)) for label, path in predictions.items()}
    item = next(iter(read.values())).items("test")
    log_q = {label: log_softmax(of.of("test", item, len(reference.classes)), axis=1) for label, of in read.items()}
    path = results.file(places.path("data", "items", dataset=dataset))
    with reading(str(path)):
        table, _ = io.read_table(path)
        rows = rows_of(path, io.vector(table, "item"), item)
        names = None if dataset in private else table.column("name").take(rows).to_pylist()
        known = {name: io.vector(table, name)[rows] for name in ("u", "s") if name in table.column_names}
    at = reference.rows(item)
    maps = {label: _points(results, path, item) for label, path in _maps(config, point).items() if path in there}
    shown = images and dataset not in private
    return Items(
        dataset=dataset, block=point.block, seed=config["seeds"][0], item=item, names=names, p=reference.p[at],
        votes=None if reference.votes is None else reference.votes[at], classes=reference.classes,
        q={label: np.exp(values) for label, values in log_q.items()},
        kl={label: kl_items(reference.p[at], values) for label, values in log_q.items()},
        maps=maps, places=known,
        images=_images(results, places.path("data", "images", dataset=dataset)) if shown else None,
        trained=dict(_trained(results, there, predictions)),
    )  # fmt: skip


def _runs(config: Mapping[str, Any], point: Point) -> dict[str, dict[str, Any]]:
    """The wildcards of each label's run of the first seed, the baseline's first."""
    labels, seed = labels_of(config), config["seeds"][0]
    place = dict(zip(("dataset", "split", "recipe"), point.names, strict=True))
    return {label: {**place, "label": point.labels[label], "seed": seed} for label in labels}


def _maps(config: Mapping[str, Any], point: Point) -> dict[str, str]:
    """Where the t-SNE of each label lies, if there is one."""
    runs = _runs(config, point)
    return {label: places.path("embed", "embedding", study=config["study"], **run) for label, run in runs.items()}


def _predictions(there: set[str], run: Mapping[str, Any]) -> str:
    """Where the predictions of a run lie."""
    paths = [places.path(maker, "predictions", **run) for maker in MAKERS]
    found = [path for path in paths if path in there]
    if not found:
        raise UserError(f"{paths[0]}: found no such file. Run again to rebuild it.")
    return found[0]


def _points(results: Results, path: str, item: np.ndarray) -> np.ndarray:
    table, _ = results.table(path, ["item", "x", "y"])
    rows = rows_of(results.file(path), io.vector(table, "item"), item)
    return np.column_stack([io.vector(table, "x"), io.vector(table, "y")])[rows]


def _images(results: Results, path: str) -> np.ndarray:
    with reading(path):
        return read_images(results.file(path))


def _trained(results: Results, there: set[str], predictions: Mapping[str, str]) -> Iterator[tuple[str, Labels]]:
    """The label files that the runs learned from, as their manifests say."""
    for label, path in predictions.items():
        producer = results.producer(results.sha256(path), path)
        for name, entry in entries(producer[1]["inputs"]) if producer else ():
            if name == "labels" and entry.get("path") in there:
                yield label, read_labels(results.file(entry["path"]))


def top(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most probable classes, int ``[n, k]``, of distributions ``[n, C]``, and their probabilities ``[n, k]``."""
    order = np.argsort(-p, axis=1, kind="stable")[:, :TOP]
    return order, np.take_along_axis(p, order, axis=1)
