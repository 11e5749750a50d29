"""What jobs take, before they run: memory and time from the configuration, and from files that lie there already.

One formula a command gives what is expected of a job (:class:`Use`). What a job asks for (:func:`of`) and what a study
costs (:func:`cost`) both follow from it. The constants were measured, on one thread of an EPYC with AVX-512 and on an
H100, with PyTorch 2.11. MB are 2**20 bytes, as SLURM counts.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, proxy

from pyarrow import parquet

from . import gpus, schema
from .commands import ADOPTED, ENCODED, FITTED, MAKERS, TRAINED
from .contracts import STANDARD
from .datasets.contract import read_images
from .datasets.synthetic import CHUNK_BYTES
from .errors import UserError
from .io import read_table
from .outdated import UNREADABLE, Outdated
from .places import PLACES
from .plan import BLOCK, Plan
from .registry import OWN, UNKNOWN_NETWORK, entry, size_of_network
from .varied import named

MB = 2**20

# -- from what is expected to what is asked for ------------------------------------------------------------------------

MEMORY_MARGIN = 1.2
# What runs above a job of a cluster is in its memory, too: two Snakemakes, a shell, srun.
ABOVE = 350
# Slower processors, several jobs that share a memory bus, a cold file system.
TIME_MARGIN = 3
GPU_MARGIN = 6  # an older GPU than an H100
# No job asks for less, however small: nodes start slowly, and a file system may stall.
LEAST_MINUTES = 5
STEP_MB = 50  # requests are rounded up to a multiple

# -- what is assumed where nobody knows --------------------------------------------------------------------------------

# Of a source without a folder of images and without an option `items`: an archive that is not there yet.
UNKNOWN_ITEMS, UNKNOWN_SIDE, UNKNOWN_CLASSES, UNKNOWN_VOTES = 20_000, 256, 10, 50
ARCHIVE_MB_OF_IMAGE = 0.03  # of an archive that is there
# Of a table or a JSON file with votes; a Parquet file says how many rows it has.
FILE_BYTES_OF_VOTE = 15
PACKED = 10  # bytes of a table for one of it that gzip wrote
OWN_FACTOR = 4  # of the work, and of the memory for it, of an own source, aggregate, metric or figure

# What to do where a job of a command asks for too much of a resource (or, "", of any).
_GRID = "lower the number of studies.{study}.seeds or recipes"
LEVERS = {
    ("train", "mem_mb"): "lower recipes.{recipe}.batch or datasets.{dataset}.source.pixels",
    ("train", "minutes"): "lower recipes.{recipe}.epochs",
    ("train", "threads"): "lower recipes.{recipe}.threads",
    ("train", "gpu"): "set recipes.{recipe}.device: cpu",
    ("encode", "threads"): "lower the threads of the recipes with train: head",
    ("encode", "gpu"): "set device: cpu in the recipes with train: head",
    ("encode", ""): "lower upscale of the recipes with train: head, or datasets.{dataset}.source.pixels",
    ("fit", ""): "choose a network with fewer features for recipes.{recipe}",
    ("data", "threads"): "lower --cores",
    ("adopt", ""): "lower splits.{split}.test",
    ("evaluate", ""): "lower splits.{split}.test or datasets.{dataset}.source.items",
    ("embed", ""): "lower studies.{study}.embedding.iterations or splits.{split}.test",
    ("study", ""): _GRID,
    ("figure", ""): _GRID,
    ("chain", ""): _GRID,
}

# -- measured ----------------------------------------------------------------------------------------------------------

# MB of a command that has hardly anything to do: the interpreter and its libraries.
IDLE = {"data": 130, "label": 135, "split": 152, "references": 168, "train": 680, "adopt": 145,
        "encode": 680, "fit": 700, "evaluate": 215, "embed": 215, "study": 220,
        "card": 250, "figure": 295, "chain": 65}  # fmt: skip
COMPILER, COMPILING = 930, 120  # MB and seconds of torch.compile: PyTorch's part and a C++ compiler; a deep network's
CUDA = 3000  # MB of main memory that the libraries of a GPU take; estimated, not measured
MOST_HELD = 8000  # MB of images: beyond it they are read from their file, batch by batch
SECONDS_OF_MULTIPLICATION = 1.2e-10  # forward and backward, one thread
SECONDS_OF_ACTIVATION = 2.2e-11  # the same on a GPU, which waits for its memory
SECONDS_OF_STEP = 0.0065  # the least on a GPU
FORWARD = 1 / 3  # of a step, for images that are only predicted
ENCODED_PIXELS, FORWARD_HELD = 2**20, 0.2  # that a network sees at a time; the share of activations that it then keeps
GPU_PIXELS = 8  # times as many at a time on a GPU
SECONDS_OF_KEEPING = 2.5e-9  # of an activation, on a CPU: networks with few multiplications wait for the memory
FIT_STEPS = 40  # of a head, for a penalty
TERMS = 45  # numbers that are kept of each test item
PAIRED = 3000  # test items of which all pairs are compared
DISTANCES = 80  # MB of distances that an embedding's trustworthiness compares at a time


class Size(NamedTuple):
    """What a data set is like, as far as is known before it is made.

    Attributes:
        items: number of images.
        area: pixels of each.
        classes: how many.
        votes: in all; 0 where there are none.
        given: MB of the files with votes, or of the archive.
        decoded: pixels of each image file; 0 where images are generated.
    """

    items: int
    area: int
    classes: int
    votes: int
    given: float
    decoded: int

    @property
    def images(self) -> float:
        """MB of ``images.npy``."""
        return self.items * self.area * 3 / MB

    def numbers(self, each: float) -> float:
        """MB of so many bytes an item and class."""
        return self.items * self.classes * each / MB


class Use(NamedTuple):
    """What is expected of a job.

    Attributes:
        mb: peak memory of the command.
        seconds: on the clock, on its threads.
        disk: MB of all that it leaves, with manifest, log and benchmark.
        margin: how much longer it may take elsewhere.
    """

    mb: float
    seconds: float
    disk: float
    margin: float = TIME_MARGIN


class _Estimates:
    """The formulas, for one plan; each value is computed once."""

    def __init__(self, plan: Plan):
        self.config, self.plan = plan.config, proxy(plan)  # or a plan would keep itself alive
        self._uses: dict[tuple[Any, ...], Use] = {}
        self._sizes: dict[str, Size] = {}

    def use(self, command: str, names: dict[str, Any]) -> Use:
        """What is expected of a job with these wildcards."""
        key = alike(command, names)
        if key not in self._uses:
            self._uses[key] = getattr(self, f"_{command}")(*key[1:])
        return self._uses[key]

    # -- sizes -----------------------------------------------------------------------------------------------------

    def size(self, dataset: str) -> Size:
        """From the options ``items``, ``pixels``, ``votes``, ``classes``, and from files that are there already."""
        if dataset not in self._sizes:
            self._sizes[dataset] = self._imported(dataset) if self.plan.source_files(dataset) else self._made(dataset)
        return self._sizes[dataset]

    def _made(self, dataset: str) -> Size:
        source = self.config["datasets"][dataset]["source"]
        items = _whole(source.get("items"), UNKNOWN_ITEMS)
        side, votes = _whole(source.get("pixels"), UNKNOWN_SIDE), _whole(source.get("votes"), 0)
        return Size(items, side**2, _classes(source), items * votes, 0, 0)

    def _imported(self, dataset: str) -> Size:
        source, files = self.config["datasets"][dataset]["source"], self.plan.data_inputs(dataset)
        images = files.pop("images", None)
        there = [path for path in map(Path, files.values()) if path.is_file()]
        given = sum(path.stat().st_size for path in there) / MB
        archive = "archive" in files
        items = len(images or ()) or (math.ceil(given / ARCHIVE_MB_OF_IMAGE) if archive else 0) or UNKNOWN_ITEMS
        decoded = math.prod((_shape_of(images[0]) if images else None) or (UNKNOWN_SIDE, UNKNOWN_SIDE))
        listed = 0 if archive else sum(map(_rows_of, there))
        area = _whole(source.get("pixels"), 0) ** 2 or decoded
        found = Size(items, area, _classes(source), max(listed, items * UNKNOWN_VOTES), given, decoded)
        return self._finished(dataset, found) or found

    def _finished(self, dataset: str, found: Size) -> Size | None:
        """The size of a data set that has been made, or None; it may be made anew, but seldom in another size."""
        at = {name: Path(self.plan.path("data", name, dataset=dataset)) for name in PLACES["data"].outputs}
        if not all(path.is_file() for path in at.values()):
            return None
        try:
            items, height, width, _ = read_images(at["images"]).shape
            votes, metadata = read_table(at["annotations"], [])
        except (UserError, ValueError, OSError):
            return None
        return found._replace(items=items, area=height * width, classes=len(metadata["classes"]), votes=votes.num_rows)

    def parts(self, dataset: str, split: str) -> tuple[int, int, int]:
        """Items for training, validation and test: of a rotation over folds as of five."""
        shares = self.config["splits"][split]
        items = self.size(dataset).items
        return tuple(math.ceil(items * shares.get(part, share))
                     for part, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)))  # fmt: skip

    def network(self, recipe: str) -> dict[str, int]:
        """What a recipe's network says of its size."""
        if self.plan.maker(recipe) == ADOPTED:
            return dict.fromkeys(UNKNOWN_NETWORK, 0)
        return size_of_network(self.config["recipes"][recipe]["network"]["kind"])

    # -- formulas --------------------------------------------------------------------------------------------------

    def _data(self, dataset: str) -> Use:
        size, source = self.size(dataset), self.config["datasets"][dataset]["source"]
        factor = _factor(source["kind"])
        table = size.items * 100 + size.votes * 4 + size.numbers(8) * MB
        disk = size.images + table / MB + 0.01
        held = size.numbers(40) + size.items * 1500 / MB + size.votes * 60 / MB
        if not size.decoded:
            fine = math.sqrt(size.area) * _whole(source.get("supersampling"), 1)  # sub-pixels along a side
            at_once = min(size.items, max(1, CHUNK_BYTES // (3 * size.area)))
            chunk = at_once * (6 * size.area + 24 * fine) / MB
            seconds = 1 + size.items * (5e-5 + size.area * 3e-8) + size.votes * 1e-5
            return Use(IDLE["data"] + factor * (held + chunk), factor * seconds, disk)
        threads = self.plan.data_threads(dataset)
        held += size.given * 10 + threads * 5 * size.decoded * 12 / MB
        seconds = 1 + size.given * 0.5 + size.items * (1e-3 + size.decoded * 5e-8) / threads
        more = 60 + entry("source", source["kind"]).get("memory", 0)
        return Use(IDLE["data"] + more + factor * held, factor * seconds, disk)

    def _card(self, dataset: str) -> Use:
        size, seeds = self.size(dataset), len(self.plan.card_splits(dataset))
        held = size.numbers(150) + size.votes * 60 / MB + size.area * 3 * 200 / MB
        return Use(IDLE["card"] + held, 3 + size.items * 2e-5 + size.votes * 1.5e-5 + seeds * 0.01, 0.2)

    def _label(self, dataset: str, label: str) -> Use:
        size, definition = self.size(dataset), self.config["labels"][label]
        kinds = [options["kind"] for options in schema.aggregates(definition)]
        about, factor = [entry("aggregate", kind) for kind in kinds], max(map(_factor, kinds))
        one_by_one = definition["votes"] != "all" or any("annotators" in of["needs"] for of in about)
        cells = size.votes * size.classes  # what an aggregate says of itself is of each
        libraries, more = (max(of.get(fact, 0) for of in about) for fact in ("memory", "bytes"))
        slow = cells * sum(of.get("seconds", 0) for of in about)
        held = size.numbers(90) + (size.votes if one_by_one else min(size.votes, 1_000_000)) * 60 / MB
        disk = size.items * (2 * size.classes + 3) / MB  # compressed
        seconds = 1 + slow + factor * (size.votes * 1e-7 + size.items * 1e-5)
        return Use(IDLE["label"] + libraries + cells * more / MB + factor * held, seconds, disk + 0.01)

    def _split(self, dataset: str) -> Use:
        size = self.size(dataset)
        return Use(
            IDLE["split"] + size.numbers(24) + size.items * 1200 / MB, 1 + size.items * 2e-5, size.items * 2 / MB + 0.01
        )

    def _references(self, dataset: str, split: str, metrics: str) -> Use:
        size, tested = self.size(dataset), self.parts(dataset, split)[2]
        held = size.numbers(60) + tested * size.classes * 40 * 10 / MB + size.votes * 60 / MB
        seconds = 1 + size.items * (1e-4 if size.votes else 1e-5) + size.votes * 2e-6
        return Use(IDLE["references"] + held, seconds, 0.02)

    def _train(self, dataset: str, split: str, recipe: str) -> Use:
        size, settings, network = self.size(dataset), self.config["recipes"][recipe], self.network(recipe)
        train, val, test = self.parts(dataset, split)
        batch, area, coloured = min(settings["batch"], train), size.area, gpus.is_coloured(settings)
        seen = gpus.seen(settings, area)
        on_gpu = settings["device"] == "cuda"
        held = size.items * (700 + 8 * network["features"]) / MB + size.numbers(60)
        if on_gpu:  # images are in the file's pages, and on the GPU
            memory = IDLE["train"] + CUDA + min(size.images, MOST_HELD) + held
        else:
            memory = IDLE["train"] + min(size.images, MOST_HELD) + held + gpus.of_step(settings, batch, area) / MB
        memory += gpus.of_weights(settings) / MB
        learned = settings["epochs"] * train  # images that a step learns from, and those that are only predicted
        shown = settings["epochs"] * val + size.items
        if on_gpu:
            of_image, steps = seen * network["activations"] * SECONDS_OF_ACTIVATION, (learned + shown) / batch
            seconds = 20 + steps * SECONDS_OF_STEP
        else:
            of_image, seconds = 3e-5 + seen * network["multiplications"] * SECONDS_OF_MULTIPLICATION, 5
        seconds += (
            (learned * (1 + 0.4 * coloured) + shown * FORWARD) * of_image / _speedup(on_gpu or settings["threads"])
        )
        if settings["compile"]:
            memory, seconds = memory + COMPILER, seconds + COMPILING
        disk = (
            (network["parameters"] + network["features"] * size.classes) * 4
            + size.items * (size.classes * 4 + 6)
            + test * network["features"] * 4
            + settings["epochs"] * 60
        )
        return Use(memory, seconds, disk / MB + 0.02, GPU_MARGIN if on_gpu else TIME_MARGIN)

    def _encode(self, dataset: str, encoder: str) -> Use:
        size, recipe = self.size(dataset), self.plan.recipe_of(encoder)
        settings, network = self.config["recipes"][recipe], self.network(recipe)
        on_gpu, area = settings["device"] == "cuda", gpus.seen(settings, size.area)
        features = size.items * network["features"] * 4 / MB
        held = max(ENCODED_PIXELS, area) * (network["activations"] * FORWARD_HELD + 12) * 4 / MB
        memory = IDLE["encode"] + (CUDA if on_gpu else held) + size.area * 3 * 256 / MB + features
        memory += network["parameters"] * 8 / MB
        if on_gpu:
            seconds = 20 + size.items * area * network["activations"] * SECONDS_OF_ACTIVATION * FORWARD
        else:
            of_image = 3e-5 + area * network["multiplications"] * SECONDS_OF_MULTIPLICATION * FORWARD
            of_image += area * network["activations"] * SECONDS_OF_KEEPING
            seconds = 8 + size.items * of_image / _speedup(settings["threads"])
        disk = features + network["parameters"] * 4 / MB + 0.02
        return Use(memory, seconds, disk, GPU_MARGIN if on_gpu else TIME_MARGIN)

    def _fit(self, dataset: str, split: str, recipe: str) -> Use:
        size, width = self.size(dataset), self.network(recipe)["features"]
        train, val, _ = self.parts(dataset, split)
        penalties = min(len(self.config["recipes"][recipe]["penalties"]), 11)  # smaller ones are seldom tried
        held = (train * width * 28 + val * width * 12 + min(train, width) ** 2 * 24 + width * 800) / MB
        held += size.items * width * 4 / MB + size.numbers(60)
        steps = penalties * FIT_STEPS
        seconds = 4 + train * width * (min(train, width) * 2e-10 + steps * size.classes * 6e-10)
        return Use(IDLE["fit"] + held, seconds, size.numbers(5) + width * size.classes * 4 / MB + 0.02)

    def _adopt(self, dataset: str, recipe: str, label: str, seed: int) -> Use:
        files = map(Path, itertools.chain(*self.plan.adopted(recipe, label, seed).values()))
        given = sum(path.stat().st_size for path in files if path.is_file()) / MB
        size = self.size(dataset)
        held = size.numbers(90) + size.items * 1500 / MB + given * 2
        seconds = 1 + size.items * (2e-5 + size.classes * 6e-7)
        return Use(IDLE[ADOPTED] + held, seconds, size.numbers(5) + 0.02)

    def _evaluate(self, dataset: str, split: str, recipe: str, metrics: str) -> Use:
        size, width, tested = self.size(dataset), self.network(recipe)["features"], self.parts(dataset, split)[2]
        held, seconds = (
            size.numbers(60) + size.votes * 60 / MB,
            2 + size.items * size.classes * 2e-6 + size.votes * 1e-6,
        )
        disk = 0.02 + tested * TERMS * 8 / MB
        if metrics != STANDARD:  # one further metric, perhaps of the features, perhaps the user's own
            factor = max(
                _factor(options["kind"])
                for options in self.plan.of("evaluate", dataset=dataset, metrics=metrics)["metrics"].values()
            )
            return Use(IDLE["evaluate"] + factor * held + tested * width * 24 / MB, factor * seconds, disk)
        pairs, compared = min(tested, PAIRED) ** 2, tested**2
        held += max(pairs * 58 / MB, min(1024, compared * 8 / MB)) + tested * width * 24 / MB
        seconds += pairs * 5e-7 + compared * (2e-8 + width * 5e-11) + compared * 1e-8
        return Use(IDLE["evaluate"] + held + tested * (TERMS * 16 + size.classes * 200) / MB, seconds, disk)

    def _embed(self, study: str, dataset: str, split: str, recipe: str) -> Use:
        options, tested = self.config["studies"][study]["embedding"], self.parts(dataset, split)[2]
        width, perplexity = self.network(recipe)["features"], options["perplexity"]
        # A tree: what the FFT saves is the beginning, of many items and few iterations.
        steps = options["iterations"] * tested * max(1, math.log2(max(tested, 2)) / 11.5)
        seconds = 2.5 + steps * 3.3e-6 * max(1, perplexity / 30) + tested**2 * (5e-8 + width * 1e-10)
        # Affinities and then the label distributions of neighbours; of all pairs' distances, a block.
        of_item = width * 16 + max(perplexity * 240, self.size(dataset).classes * 500)
        held = tested * of_item / MB + min(DISTANCES, tested**2 * 10 / MB)
        return Use(IDLE["embed"] + held, seconds, tested * 12 / MB + 0.01)

    def _figure(self, study: str, figure: str, block: str) -> Use:
        about, seeds = self.plan.figures(study)[figure], self.config["studies"][study]["seeds"]
        options = about["options"]
        factor, of_block = _factor(options["kind"]), self.plan.blocks(study, BLOCK)
        shown = [tuple(block.split("-")[1:])] if block else list(of_block)
        items = sum(self.parts(*place[:2])[2] * len(of_block[place]) for place in shown)
        items *= len(seeds) if "predictions" in about["needs"] else 1
        rows = sum(self.config["recipes"][place[2]].get("epochs", 0) * len(of_block[place]) for place in shown) * len(
            seeds
        )
        return Use(
            IDLE["figure"] + factor * (items + rows) * 2000 / MB,
            factor * (4 + (items + rows) * 2e-4),
            0.25 + items * 150 / MB,
        )

    def _study(self, study: str) -> Use:
        points, seeds = self.config.grids[study], len(self.config["studies"][study]["seeds"])
        numbers = sum(len(point.labels) for point in points) * seeds * len(self.plan.sets(study))
        lines, widest = 0, 0
        for point in points:
            size = self.size(point.dataset)
            tested = self.parts(point.dataset, point.split)[2] * seeds
            columns = size.classes * (len(point.labels) + 1)
            lines += tested * (30 + columns * 9)
            widest = max(widest, tested * (4000 + columns * 250) + size.numbers(40) * MB)
        if any(table["kind"] in ("budget", "fixed_budget") for table in self.config["studies"][study]["tables"]):
            # the terms of one label at all points together
            widest += sum(self.parts(point.dataset, point.split)[2] * seeds * 1000 for point in points)
        return Use(
            IDLE["study"] + (widest + numbers * 700_000) / MB, 3 + numbers * 0.25 + lines * 3e-7, lines / MB + 0.2
        )

    def _chain(self, study: str) -> Use:
        runs = sum(1 for _ in self.plan.manifests(study))
        return Use(IDLE["chain"] + runs * 2000 / MB, 0.5 + runs * 2e-3, runs * 150 / MB + 0.001)


_KNOWN: WeakKeyDictionary[Plan, _Estimates] = WeakKeyDictionary()


def _estimates(plan: Plan) -> _Estimates:
    if plan not in _KNOWN:
        _KNOWN[plan] = _Estimates(plan)
    return _KNOWN[plan]


def size(plan: Plan, dataset: str) -> Size:
    """How large a data set is, or is taken to be."""
    return _estimates(plan).size(dataset)


def shape(plan: Plan, dataset: str) -> tuple[int, int] | None:
    """Height and width of a data set's images, as its options or the first file say; None where nobody knows yet."""
    if side := _whole(plan.config["datasets"][dataset]["source"].get("pixels"), 0):
        return side, side
    if images := plan.data_inputs(dataset).get("images") if plan.source_files(dataset) else None:
        return _shape_of(images[0])
    made = Path(plan.path("data", "images", dataset=dataset))  # of an archive
    with suppress(UserError, ValueError, OSError):
        return read_images(made).shape[1:3]
    return None


def expected(plan: Plan, command: str, **names: Any) -> Use:
    """What a job is expected to take, without any margin.

    Args:
        plan: the grid.
        command: any but ``download``.
        names: the wildcards of the job's outputs, all or those that matter.
    """
    return _estimates(plan).use(command, names)


def of(plan: Plan, command: str, **names: Any) -> dict[str, int]:
    """What a job asks for in its first attempt: ``mem_mb`` (of 2**20 bytes) and ``minutes``.

    The memory holds the two Snakemakes above a job of a cluster; no job asks for less than 5 minutes.
    """
    use = expected(plan, command, **names)
    memory = math.ceil((use.mb * MEMORY_MARGIN + ABOVE) / STEP_MB) * STEP_MB
    return {"mem_mb": memory, "minutes": max(LEAST_MINUTES, math.ceil(use.seconds * use.margin / 60))}


def cost(plan: Plan, study: str, jobs: Iterable[tuple[str, dict[str, Any]]] | None = None) -> dict[str, float]:
    """What a study takes from nothing: what it shares with other studies counts, too.

    Args:
        plan: the grid.
        study: its name.
        jobs: command and wildcards of those that count (default: all).

    Returns:
        ``runs`` (trainings), ``cpu_hours`` (of all jobs: seconds times threads), ``gpu_hours`` (of the jobs that
        use one), ``disk_mb``; expected values, without the margins of :func:`of`.
    """
    total = {"runs": 0, "cpu_hours": 0.0, "gpu_hours": 0.0, "disk_mb": 0.0}
    for command, names in plan.jobs(study) if jobs is None else jobs:
        use = expected(plan, command, **names)
        threads, gpu = plan.asks(command, names) if command != "data" else (1, False)
        total["runs"] += command == TRAINED
        total["cpu_hours"] += use.seconds * threads / 3600
        total["gpu_hours"] += use.seconds * gpu / 3600
        total["disk_mb"] += use.disk
    return total


def on_gpu(plan: Plan) -> list[tuple[str, str]]:
    """Data set and recipe of all jobs that use a GPU (trainings, and features of a frozen network), each pair once."""
    recipes = {name for name, recipe in plan.config["recipes"].items() if recipe.get("device") == "cuda"}
    found: dict[tuple[str, str], None] = {}
    for study in plan.config["studies"] if recipes else ():
        for _, names in plan.jobs(study, TRAINED, ENCODED):
            recipe = names["recipe"] if "recipe" in names else plan.recipe_of(names["encoder"])
            found |= {(names["dataset"], recipe): None} if recipe in recipes else {}
    return list(found)


def gpu_mb(plan: Plan, dataset: str, recipe: str) -> float:
    """MB that a job is expected to take of a GPU, without the images: they stay in their file if they must."""
    about, definition = size(plan, dataset), plan.config["recipes"][recipe]
    if plan.maker(recipe) == FITTED:
        network = size_of_network(definition["network"]["kind"])
        held = ENCODED_PIXELS * GPU_PIXELS * (network["activations"] * FORWARD_HELD + 12) * 4
        return gpus.LEAST_MB + (held + network["parameters"] * 4) / MB
    return gpus.beside_images(definition, about.items, about.area, about.classes) / MB


def crowded(plan: Plan) -> list[str]:
    """A warning where the trainings that share a GPU are expected to need more memory than the smallest here has.

    Nothing where no training uses a GPU, or none is seen here.
    """
    slots, wanted = plan.config["gpu_slots"], [(gpu_mb(plan, *pair), *pair) for pair in on_gpu(plan)]
    there = gpus.memory(gpus.usable()) if wanted else {}
    card, most = min(there.items(), key=lambda one: one[1], default=(None, math.inf))
    if not (found := [one for one in wanted if one[0] * slots > most]):
        return []
    each, dataset, recipe = max(found)
    text = f"recipes.{recipe}: a training on {dataset} is expected to take {each:,.0f} MB of a GPU"
    text += f", {slots} at once {slots * each:,.0f} MB" if slots > 1 else ""
    text += f" ({len(found) - 1} others are too large, too)" if len(found) > 1 else ""
    lower = f"gpu_slots ({slots}), or batch" if slots > 1 else "batch"
    return [named(f"{text}, and {card.name} has {most:,} MB. Lower {lower}", plan.config.origins)]


def extent(plan: Plan, study: str) -> str:
    """How much a study is, in words, before it runs: its trainings, how many are not done or outdated, what is left."""
    outdated, jobs = Outdated(plan), []
    counted: dict[str, Counter[str | None]] = {maker: Counter() for maker in MAKERS}
    for command, names in plan.jobs(study):
        done = Path(plan.root, PLACES[command].last.format_map(names)).is_file()
        why = outdated.why(command, names) if done else None
        if why not in ("", UNREADABLE):
            jobs.append((command, names))
        if command in counted:
            counted[command][why] += 1
    runs, read, heads = (counted[command].total() for command in (TRAINED, ADOPTED, FITTED))
    text = f"{runs:,} trainings{_left(counted[TRAINED])}"
    text += f", {heads:,} linear head{'s'[: heads != 1]} on features of a frozen network" if heads else ""
    text += _left(counted[FITTED]) if heads else ""
    text += f", {read:,} file{'s'[: read != 1]} of predictions made elsewhere" if read else ""
    if not jobs:
        return text
    left = cost(plan, study, jobs)
    hours, megabytes = left["cpu_hours"], left["disk_mb"]
    minutes = round(60 * hours)
    time = f"{minutes} minute{'s'[: minutes != 1]}" if hours < 1.5 else f"{hours:,.1f} hours"
    gpu = f", {left['gpu_hours']:,.1f} hours with a GPU" if left["gpu_hours"] else ""
    disk = f"{megabytes:,.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:,.1f} GB"
    return f"{text}, about {time} of one CPU{gpu} and {disk} of disk"


def _left(found: Counter[str | None]) -> str:
    """How many of some jobs are new, and how many are made again and why, in words; nothing if all are new.

    Args:
        found: why jobs are made again, or None for a new one.
    """
    of_each = Counter({why: n for why, n in found.items() if why not in (None, "", UNREADABLE)})
    again, whole = of_each.total(), found.total()
    if found[None] == whole:
        return ""
    said = [] if again == whole else [f"{found[None]:,} of them new"]
    if again:
        of_all = f"all {again:,}" if again == whole else f"{again:,}"
        said.append(f"{of_all} to be made again, as {' or '.join(of_each)}")
    if found[UNREADABLE]:
        said.append(f"of {found[UNREADABLE]:,} nobody knows whether they are up to date, as {UNREADABLE}")
    return ", " + ", ".join(said)


def alike(command: str, names: Mapping[str, Any]) -> tuple[Any, ...]:
    """What jobs have in common that are expected to take the same: command and wildcards that their use depends on."""
    return (command, *(names[name] for name in _wildcards(command)))


@cache
def _wildcards(command: str) -> tuple[str, ...]:
    """The wildcards that a command's use depends on: the parameters that its formula names."""
    return tuple(name for name in inspect.signature(getattr(_Estimates, f"_{command}")).parameters if name != "self")


def lever(command: str, resource: str, names: Mapping[str, Any]) -> str:
    """What to change, by the key of the configuration, where a job asks for too much.

    Args:
        command: of the job.
        resource: ``mem_mb``, ``minutes``, ``threads`` or ``gpu``.
        names: the job's wildcards.
    """
    key = LEVERS.get((command, resource)) or LEVERS.get(
        (command, ""), "lower datasets.{dataset}.source.pixels or items"
    )
    return key.format_map(names)


def _whole(value: Any, unknown: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else unknown


def _classes(source: dict[str, Any]) -> int:
    classes = source.get("classes")
    if isinstance(classes, dict):
        classes = [name for name, labels in classes.items() if labels is not None]
    return len(classes) if isinstance(classes, list) else UNKNOWN_CLASSES


def _factor(kind: str) -> int:
    """How much more an entry may take of what grows: the user's own may do anything."""
    return OWN_FACTOR if OWN.fullmatch(kind) else 1


def _speedup(threads: int) -> float:
    """How much faster a training is on so many threads."""
    return 1 + 0.6 * (threads - 1)


def _rows_of(path: Path) -> int:
    """About how many votes a file may hold."""
    if path.suffix.lower() == ".parquet":
        with suppress(OSError, ValueError):
            return parquet.read_metadata(path).num_rows
    packed = PACKED if path.suffix.lower() == ".gz" else 1
    return int(path.stat().st_size * packed / FILE_BYTES_OF_VOTE)


def _shape_of(path: str) -> tuple[int, int] | None:
    """Height and width of an image, from the head of its file; None where it cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
