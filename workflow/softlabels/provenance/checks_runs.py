"""The checks of data, labels, splits and runs (A12 to A14, A19, A21)."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .. import io, keyed, places, registry
from ..commands import ADOPTED, FITTED, MAKERS, TRAINED, encoder
from ..contracts import HELD_OUT, LABELS, PARTS, REFERENCE
from ..places import of_study
from . import checks_files, recompute, recompute_labels, recompute_votes
from .findings import (
    NOT_AGAIN,
    Findings,
    Job,
    Scope,
    differs,
    each,
    each_job,
    each_study,
    elsewhere,
    fail,
    note,
    unknown,
    unseen,
)

# -- A12 ---------------------------------------------------------------------------------------------------------------


@each_study("config")
def seeds_are_complete(scope: Scope, study: str) -> Findings:
    """A12: every seed of the study ran, none counts twice, and no two trainings that differ gave the same file."""
    config = scope.results.study_config(study)
    for seed, count in Counter(config["seeds"]).items():
        if count > 1:
            yield fail(f"{of_study(study, 'config')} seeds", f"{seed} {count} times", "each seed once")
    trained = {tuple(job.names.values()): job for job in scope.of_study(study, *MAKERS)}
    named = itertools.product(recompute.points(config), config["seeds"])
    due = list(dict.fromkeys((*p.ran, label, str(seed)) for p, seed in named for label in p.labels.values()))
    due += _fold_runs(config)
    for names in due:
        if names not in trained:
            yield fail(of_study(study, "chain"), f"no training of {'/'.join(names[:4])}, seed {names[4]}", "one")
    for names in sorted(trained.keys() - set(due)):
        yield fail(trained[names].path, "a training that the study does not name", "none")

    for what, key in (("initial weights", "initial_sha256"), ("order", "order_sha256")):
        seeds: dict[tuple, dict[str, Job]] = defaultdict(dict)
        for job in scope.of_study(study, TRAINED):
            block = tuple(job.names[name] for name in ("dataset", "split", "recipe"))
            seed = job.names["seed"].partition("-")[0]  # a run that leaves a fold out shares what its seed has
            seeds[*block, job.manifest["facts"].get(key)].setdefault(seed, job)
        yield from _twice(what, seeds.values())
    for name in ("model", "predictions"):
        same: dict[str, dict[str, Job]] = defaultdict(dict)
        for job in scope.of_study(study, TRAINED, FITTED, *([ADOPTED] if name == "predictions" else [])):
            same[scope.results.sha256(job.file("outputs", name))].setdefault(job.path, job)
        different = ({_trained_on(scope, job): job for job in jobs.values()} for jobs in same.values() if len(jobs) > 1)
        yield from _twice(f"{name} file", different)


def _trained_on(scope: Scope, job: Job) -> str:
    """What a network follows from: the reference is mostly only looked at; of labels distributions and weights count.

    Studies vary keys, also those that change no network, such as how ties of soft labels are broken. Labels of other
    items than those that a network learns from, or is chosen by, change none either: where no training item has a
    second vote, hard and soft labels are the same. So are deliveries of labels that name one class each.
    """
    config = job.manifest["config"]
    if job.manifest["command"] == ADOPTED:
        return job.path
    hashes = {key: entry["sha256"] for key, entry in job.manifest["inputs"].items() if isinstance(entry, dict)}
    # A shuffle buffer runs over items in the order of the reference's classes.
    unused = {"labels"} if config["recipe"].get("shuffle_buffer") else {"labels", "reference"}
    labels, _ = scope.results.table(job.file("inputs", "labels"), ["item", "weight", "hard", "p"])
    part = scope.by_item(job.file("inputs", "split"), "split")
    fitted, weighed = job.manifest["command"] == FITTED, config["recipe"]["class_weight"] != "none"
    even = fitted and _classes_are_even(labels, part)  # then classes weigh what they weigh without weights
    columns = ["item", "weight"] + ["hard"] * (weighed and not even)
    content = [io.vector(labels, name) for name in columns] + [io.matrix(labels, "p")]
    chosen = fitted or config["recipe"]["select"] == "best_validation"
    parts = ("train", "val") if chosen else ("train",)
    seen = np.array([part.get(item) in parts for item in content[0].tolist()], bool)
    digest = hashlib.sha256(b"".join(values[seen].tobytes() for values in content)).hexdigest()
    one_class = (content[-1][seen].max(axis=1) == 1).all()
    if one_class and "delivery" in config and registry.entry("delivery", config["delivery"]["kind"]).get("forms"):
        config = {key: value for key, value in config.items() if key != "delivery"}  # each epoch shows that class
    if fitted:
        # Of several lists of penalties the same one may be chosen, and the same features be computed by other ways.
        free = ("penalties", "upscale", "threads", "device") + ("class_weight",) * even
        config = config | {"recipe": {k: v for k, v in config["recipe"].items() if k not in free}}
        unused.add("split")  # the files of a published split differ in the seed alone, of which a head knows nothing
        digest += hashlib.sha256(repr(sorted(part.items())).encode()).hexdigest()
    return io.canonical_json([config, {k: sha256 for k, sha256 in hashes.items() if k not in unused}, digest])


def _classes_are_even(labels: pa.Table, part: dict[int, str]) -> bool:
    """Whether each class is the hard one of as many training items."""
    learned = [part.get(item) == "train" for item in labels.column("item").to_pylist()]
    counts = np.bincount(io.vector(labels, "hard")[learned], minlength=io.matrix(labels, "p").shape[1])
    return bool((counts == counts[0]).all())


def _fold_runs(config: dict[str, Any]) -> list[tuple[str, ...]]:
    """The trainings that leave a fold out, for labels that are made of their predictions."""
    found = {}
    for point, seed in itertools.product(recompute.points(config), config["seeds"]):
        for of in (config["labels"][label]["aggregate"] for label in point.labels.values()):
            for k in range(of.get("folds", 0)):
                run = (*point.ran[:2], of["recipe"], of["trained_on"], f"{seed}-fold{k}of{of['folds']}")
                found[run] = None
    return list(found)


def _twice(what: str, groups: Any) -> Findings:
    """A fail for each group of different trainings that share what they must not share."""
    for group in groups:
        if len(group) > 1:
            first, second = list(group.values())[:2]
            yield fail(second.path, f"the same {what} as in {first.path}", "another, as these trainings differ")


# -- A13 ---------------------------------------------------------------------------------------------------------------


def runs_are_paired(scope: Scope) -> Findings:
    """A13: the runs of one seed share split, initial weights and order (of heads: features), whatever their labels."""
    groups: dict[tuple, list[Job]] = defaultdict(list)
    yield from elsewhere(scope.of(ADOPTED), "from which initial weights and in which order")
    for job in scope.of(TRAINED, FITTED):
        groups[tuple(job.names[name] for name in ("dataset", "split", "recipe", "seed"))].append(job)
    for jobs in groups.values():
        yield from each(jobs, lambda job, first=jobs[0]: _paired(scope, job, first), lambda job: job.path)


def _paired(scope: Scope, job: Job, first: Job) -> Findings:
    if job.manifest["command"] == FITTED:
        yield from _same_encoder(scope, job, first)
    for key in () if job.manifest["command"] == FITTED else ("initial_sha256", "order_sha256"):
        told = {f"{job.path} facts": job.manifest["facts"].get(key)}
        history = job.file("outputs", "history")
        told[history] = scope.results.table(history, [])[1].get(key)
        model = job.file("outputs", "model")
        told[model] = json.loads(scope.results.safetensors_metadata(model)["softlabels"]).get(key)
        due = first.manifest["facts"].get(key)
        for file, found in told.items():
            if found is None or found != due:
                yield fail(f"{file} {key}", found, f"{due} as in {first.path}")
    yield from _same_input(scope, job, first, "split")


def _same_input(scope: Scope, job: Job, first: Job, name: str) -> Findings:
    """A fail if two jobs did not read the same file, or it is not that any more."""
    files = [scope.results.sha256(run.file("inputs", name)) for run in (job, first)]
    recorded = [run.manifest["inputs"][name]["sha256"] for run in (job, first)]
    if len({*files, *recorded}) > 1:
        yield fail(f"{job.path} inputs.{name}", recorded[0], f"{recorded[1]} as in {first.path}")


def _same_encoder(scope: Scope, job: Job, first: Job) -> Findings:
    """A fail if a head is not of the features, and of the encoder, that its recipe and the other labels' heads have."""
    for name in ("features", "encoder"):
        yield from _same_input(scope, job, first, name)
    recorded, model = job.manifest["inputs"]["encoder"]["sha256"], job.file("outputs", "model")
    about = json.loads(scope.results.safetensors_metadata(model)["softlabels"])["encoder"]
    yield from differs(f"{model} encoder", about, {"path": job.file("inputs", "encoder"), "sha256": recorded})
    made = scope.results.producer(recorded, job.file("inputs", "encoder"))
    due = encoder(job.manifest["config"]["recipe"])
    yield from differs(f"{job.path} encoder", made and made[1]["config"]["recipe"], due, " as its recipe has it")


# -- A14 ---------------------------------------------------------------------------------------------------------------


@each_job("split")
def nothing_leaks(scope: Scope, job: Job) -> Findings:
    """A14: each item is in one part of the split, groups and equal pixels in one only."""
    path = job.file("outputs", "split")
    part = scope.by_item(path, "split")
    config, source = job.manifest["config"]["split"], job.file("inputs", "items")
    group = scope.by_item(source, "group")
    if part.keys() != group.keys():
        odd = min(part.keys() ^ group.keys())
        yield fail(path, f"item {odd} {'without a part' if odd in group else 'of no data set'}", "every item once")
    aside = _aside(job)
    parts = (*PARTS, HELD_OUT) if aside else PARTS
    for name in sorted(set(part.values()) - set(parts), key=str):
        yield fail(path, f"the part {name!r}", ", ".join(parts))
    counted = Counter(part.values())
    recorded = scope.results.table(path, [])[1].get("counts")
    yield from differs(f"{path} counts", recorded, {name: counted[name] for name in parts})
    if config["kind"] == "folds":
        yield from _rotation(scope, job, part)
    if config["kind"] == "column":
        yield from _published(scope, job, part)
    if aside:
        yield from _set_aside(scope, job, part)
    if config["groups"]:
        named = ((item, f"group {name}") for item, name in group.items() if name is not None)
        yield from _straddling(path, part, named)
    else:
        yield note(f"{path}: groups may straddle parts, as its configuration says")
    if "duplicate" not in _columns(scope, source):
        return
    if config["duplicates"] == "together":
        again = [(item, first) for item, first in scope.by_item(source, "duplicate").items() if first is not None]
        same = [*again, *((first, first) for _, first in again)]
        yield from _straddling(path, part, ((item, f"the pixels of item {first}") for item, first in same))
    else:
        yield note(f"{path}: items with the same pixels may straddle parts, as its configuration says")


def _columns(scope: Scope, path: str) -> list[str]:
    """The names of a table's columns."""
    return pq.read_schema(scope.results.file(path)).names


def _straddling(path: str, part: dict[int, str], members: Iterable[tuple[int, str]]) -> Findings:
    """A fail for each block with items in several parts; ``members`` are items, each with the name of its block."""
    places: dict[str, set[str]] = defaultdict(set)
    for item, block in members:
        if item in part:
            places[block].add(part[item])
    for block, found in places.items():
        if len(found) > 1:
            yield fail(path, f"{block} in {' and '.join(sorted(found))}", "in one part")


def _aside(job: Job) -> set[str]:
    """From which parts of a split items are held out: a fold of the training part, some of validation to calibrate."""
    config = job.manifest["config"]
    held = {"train": "fold" in config, "val": bool(config["split"].get("calibration"))}
    return {part for part, some in held.items() if some}


def _set_aside(scope: Scope, job: Job, part: dict[int, str]) -> Findings:
    """A fail if other items are held out than those that the seed draws.

    A split that leaves a fold of the training items out is compared with the one without, which lies beside it.
    """
    config, path = job.manifest["config"], job.file("outputs", "split")
    due = {item: "val" if name == HELD_OUT else name for item, name in part.items()}
    if "fold" in config:
        due = scope.by_item(places.path("split", "split", **{**job.names, "seed": config["seed"]}), "split")
        number, folds = config["fold"]
        place = _shuffled(scope, job, [item for item, name in due.items() if name == "train"], "folds", folds)
        held = {item for item, k in place.items() if k % folds == number}
    else:
        share = Fraction(str(config["split"]["calibration"]))
        place = _shuffled(scope, job, [item for item, name in due.items() if name == "val"], "calibration")
        held = {item for item, k in place.items() if math.floor((k + 1) * share) > math.floor(k * share)}
    due = {item: HELD_OUT if item in held else name for item, name in due.items()}
    wrong = sorted(item for item in due.keys() | part.keys() if due.get(item) != part.get(item))
    if wrong:
        found = f"{part.get(wrong[0])} ({len(wrong)} such items)"
        yield fail(f"{path} item {wrong[0]}", found, f"{due.get(wrong[0])}, as the seed draws what is held out")


def _shuffled(scope: Scope, job: Job, items: Iterable[int], purpose: str, *key: int) -> dict[int, int]:
    """The place of each item in the keyed order of the blocks that stay together, class by class."""
    config, source = job.manifest["config"], job.file("inputs", "items")
    first = {item: item for item in scope.by_item(source, "group")}  # a way to the first item of its block

    def root(item: int) -> int:
        while first[item] != item:
            item = first[item]
        return item

    alike: list[Iterable[tuple[int, Any]]] = []
    if config["split"]["groups"]:
        alike.append(scope.by_item(source, "group").items())
    if config["split"]["duplicates"] == "together" and "duplicate" in _columns(scope, source):
        same = scope.by_item(source, "duplicate")
        alike.append((item, item if of is None else of) for item, of in same.items())
    for relation in alike:
        members: dict[Any, int] = {}
        for item, name in relation:
            if name is not None:
                low, high = sorted((root(item), root(members.setdefault(name, item))))
                first[high] = low
    reference, _ = scope.results.table(job.file("inputs", "reference"), ["item", "p"])
    hard = dict(zip(io.vector(reference, "item").tolist(), io.matrix(reference, "p").argmax(axis=1), strict=True))
    blocks: dict[int, list[int]] = defaultdict(list)
    for item in sorted(items):
        blocks[root(item)].append(item)
    numbers = keyed.rng(purpose, config["seed"], *key).random(len(blocks))
    drawn = sorted(
        (hard[blocks[block][0]], number, block) for block, number in zip(sorted(blocks), numbers, strict=True)
    )
    return {item: k for k, (*_, block) in enumerate(drawn) for item in blocks[block]}


def _published(scope: Scope, job: Job, part: dict[int, str]) -> Findings:
    """A fail if an item is not in the part that the column of the items gives it (of training: or of what is drawn)."""
    config = job.manifest["config"]["split"]
    path, aside, drawn = job.file("outputs", "split"), _aside(job), config["val_share"] is not None
    values = {
        f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else value: name
        for name, listed in config["parts"].items() for value in listed
    }  # fmt: skip
    values = {str(value): name for value, name in values.items()}
    for item, value in scope.by_item(job.file("inputs", "items"), config["column"]).items():
        due = values.get(str(value))
        here = {due} | ({HELD_OUT} if due in aside else set())
        if due == "train" and drawn:  # validation items are drawn from these
            here |= {"val"} | ({HELD_OUT} if aside else set())
        if part.get(item) not in here:
            yield fail(f"{path} item {item}", f"{part.get(item)}", f"{due}, as column '{config['column']}' says")
            return


def _rotation(scope: Scope, job: Job, part: dict[int, str]) -> Findings:
    """A fail if the parts are not the folds of the items, the one of the seed for validation, the next one for test."""
    path, config = job.file("outputs", "split"), job.manifest["config"]
    given = scope.by_item(job.file("inputs", "items"), config["split"]["column"])
    numbers = sorted(set(given.values())) * 2  # the turn of the last seed ends at the first fold
    due = dict.fromkeys(numbers, "train")
    due |= {numbers[config["seed"] + 1]: "val", numbers[config["seed"] + 2]: "test"}
    written, aside = scope.by_item(path, "fold"), _aside(job)
    for item, fold in given.items():
        held = part.get(item) == HELD_OUT and due[fold] in aside
        if written.get(item) != fold or (part.get(item) != due[fold] and not held):
            found = f"fold {written.get(item)} in {part.get(item)}"
            yield fail(f"{path} item {item}", found, f"fold {fold} in {due[fold]}")
            return


@each_job(*MAKERS)
def splits_are_used(scope: Scope, job: Job) -> Findings:
    """A14: each run used its split; of a network that was trained elsewhere, nobody knows."""
    path = job.file("outputs", "predictions")
    part, used = scope.by_item(job.file("inputs", "split"), "split"), scope.by_item(path, "split")
    if job.manifest["command"] == ADOPTED:
        yield from elsewhere([job], "on which items")
        parts = {"test", *({"val"} & set(used.values()))}
        part = {item: name for item, name in part.items() if name in parts}
    different = sorted(item for item in part.keys() | used.keys() if part.get(item) != used.get(item))
    if different:
        item = different[0]
        yield fail(path, f"item {item} in {used.get(item)} ({len(different)} such items)", f"in {part.get(item)}")
    if job.manifest["command"] != TRAINED:
        return
    features = scope.results.array(job.file("outputs", "features"))
    n_test = sum(name == "test" for name in part.values())
    if features.ndim != 2 or len(features) != n_test:
        yield fail(job.file("outputs", "features"), list(features.shape), f"{n_test} rows, one a test item")


# -- A21 ---------------------------------------------------------------------------------------------------------------

BLOCK = 4096  # items at a time


@each_job(FITTED)
def heads_follow(scope: Scope, job: Job) -> Findings:
    """A21: a head has the penalty of the least validation cross-entropy, and its predictions follow from it."""
    facts, model, path = job.manifest["facts"], job.file("outputs", "model"), job.file("outputs", "predictions")
    fits, penalties = facts["fits"], sorted(set(job.manifest["config"]["recipe"]["penalties"]), reverse=True)
    tried = [fit["penalty"] for fit in fits]
    yield from differs(f"{job.path} penalties", tried, penalties[: len(tried)], ", the largest ones of its recipe")
    best = min(fits, key=lambda fit: fit["val_ce"])  # the first of equal ones
    table, metadata = scope.results.table(path, ["item", "split", "logits"])
    about = {key: best[key] for key in ("penalty", "converged")}
    about["edge"] = len(penalties) > 1 and best["penalty"] in (penalties[0], penalties[-1])
    due = f", as {job.path} has the cross-entropies"
    in_model = json.loads(scope.results.safetensors_metadata(model)["softlabels"])
    for file, found in ((job.path, {**best, **facts}), (path, metadata.get("head", {}))):
        yield from differs(f"{file} head", {key: found.get(key) for key in about}, about, due)
    yield from differs(f"{model} penalty", in_model.get("penalty"), best["penalty"], due)

    item, logits = io.vector(table, "item"), io.matrix(table, "logits").astype(np.float64)
    features, head = scope.results.array(job.file("inputs", "features")), scope.results.tensors(model)
    weight, bias = (head[name].astype(np.float64) for name in ("head.weight", "head.bias"))
    for start in range(0, len(item), BLOCK):
        rows = slice(start, start + BLOCK)
        again = features[item[rows]].astype(np.float64) @ weight.T + bias
        for row, count in _first(~(np.abs(logits[rows] - again) <= 1e-4 + 1e-6 * np.abs(again)).all(axis=1)):
            said = f"{again[row].tolist()}, features times head ({count} such items of {len(again)})"
            yield fail(f"{path} item {item[start + row]} logits", logits[start + row].tolist(), said)
            return
    labels, _ = scope.results.table(job.file("inputs", "labels"), ["item", "p"])
    target = dict(zip(labels.column("item").to_pylist(), io.matrix(labels, "p").astype(np.float64), strict=True))
    val = [row for row, part in enumerate(table.column("split").to_pylist()) if part == "val" and item[row] in target]
    shifted = logits[val] - logits[val].max(axis=1, keepdims=True)
    log_q = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    ce = -(np.array([target[item[row]] for row in val]) * log_q).sum(axis=1).mean()
    if not abs(ce - best["val_ce"]) <= 1e-4 * max(1.0, abs(ce)):
        yield fail(f"{job.path} val_ce", best["val_ce"], f"{ce}, from {path}")


# -- A19 ---------------------------------------------------------------------------------------------------------------


def _first(wrong: np.ndarray) -> list[tuple[int, int]]:
    """The first row that is wrong and how many are; nothing where none is."""
    return [(int(wrong.argmax()), int(wrong.sum()))] if wrong.any() else []


def _distributions(path: str, item: np.ndarray, p: np.ndarray, tolerance: float) -> Findings:
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(p.sum(axis=1) - 1) <= tolerance) | (p < 0).any(axis=1)
    for row, count in _first(bad):
        yield fail(f"{path} item {item[row]}", p[row].tolist(), f"a distribution ({count} items)")


def _votes(
    scope: Scope, annotations: str, items: np.ndarray, n: Any = "all", key: tuple[int, ...] = ()
) -> tuple[np.ndarray, np.ndarray | None]:
    """Votes per item (row) and class, int64 ``[N, C]``, and the sums of their weights, float64 ``[N, C]``, or None.

    Of all people, or of ``n`` an item that are drawn with the key of the label.
    """
    weight = ["weight"] if "weight" in _columns(scope, annotations) else []
    table, metadata = scope.results.table(annotations, ["item", "label", *weight, *(["annotator"] if key else [])])
    if n != "all":
        table = table.filter(pa.array(_drawn(table, n, key)))
    shape = len(items), len(metadata["classes"])
    numbers = [("label", "count"), *((name, number) for name in weight for number in ("sum", "min"))]
    cells = table.group_by(["item", "label"], use_threads=False).aggregate(numbers)  # one thread adds in row order
    row, label = pc.index_in(cells.column("item"), pa.array(items)), io.vector(cells, "label")
    if row.null_count:
        raise ValueError(f"votes for item {cells.column('item').filter(row.is_null())[0]}, which has no reference")
    if len(label) and (label.min() < 0 or label.max() >= shape[1]):
        raise ValueError(f"votes for classes {label.min()} to {label.max()} of {shape[1]}")
    counts = np.zeros(shape, np.int64)
    counts[row.to_numpy(), label] = io.vector(cells, "label_count")
    if not weight:
        return counts, None
    if not (io.vector(cells, "weight_min") > 0).all():
        raise ValueError("a vote whose weight is not positive")
    weights = np.zeros(shape)
    weights[row.to_numpy(), label] = io.vector(cells, "weight_sum")
    return counts, weights


def _drawn(table: pa.Table, n: int, key: tuple[int, ...]) -> list[bool]:
    """Which votes count where those of ``n`` people an item are drawn, one item after the other."""
    votes = list(zip(table.column("item").to_pylist(), table.column("annotator").to_pylist(), strict=True))
    people: list[int] = []  # of each vote, its person's place among all (item, person)
    for k, (item, annotator) in enumerate(votes):
        same = k > 0 and annotator is not None and votes[k - 1] == (item, annotator)
        people.append(people[-1] if same else people[-1] + 1 if people else 0)
    numbers = keyed.rng("votes", *key).random(people[-1] + 1)
    of_item: dict[int, set[int]] = {}
    for (item, _), person in zip(votes, people, strict=True):
        of_item.setdefault(item, set()).add(person)
    chosen = {person for mine in of_item.values() for person in sorted(mine, key=lambda k: numbers[k])[:n]}
    return [person in chosen for person in people]


@each_job("data")
def reference_follows_from_votes(scope: Scope, job: Job) -> Findings:
    """A19: votes and reference agree, and every distribution sums to 1."""
    path = job.file("outputs", "reference")
    table, metadata = scope.results.table(path, list(REFERENCE))
    item, p = io.vector(table, "item"), io.matrix(table, "p")
    yield from _distributions(path, item, p, 1e-9)
    images = scope.results.array(job.file("outputs", "images"))
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(item):
        yield fail(
            job.file("outputs", "images"), f"{images.dtype} {list(images.shape)}", f"uint8 [{len(item)}, H, W, 3]"
        )
    counts, _ = _votes(scope, job.file("outputs", "annotations"), item)
    if metadata["reference"] == "exact":
        return
    source = "annotations"
    if "others" in _columns(scope, path):
        counts, source = np.zeros_like(counts), "others"
        judging: list[tuple[int, str | None, int]] = []
        for row, votes in enumerate(scope.results.table(path, ["others"])[0].column("others").to_pylist()):
            np.add.at(counts[row], [vote["label"] for vote in votes], 1)
            judging += [(int(item[row]), vote["annotator"], vote["label"]) for vote in votes]
        yield from _halves(scope, job, judging)
    total = counts.sum(axis=1)
    votes = np.array([-1 if n is None else n for n in table.column("votes").to_pylist()])
    shares = p * total[:, None]
    for wrong, found, due in (
        (votes != total, votes, total),
        (np.abs(shares - counts).max(axis=1) > 1e-6, shares, counts),
    ):
        for row, count in _first(wrong):
            said = f"{due[row].tolist()} as in the {source} ({count} items)"
            yield fail(f"{path} item {item[row]}", f"{found[row].tolist()} votes", said)


LEFT_OUT = "votes on one side only and were left out"  # so a remark says of images, whose votes are not here


def _halves(scope: Scope, job: Job, judging: list[tuple[int, str | None, int]]) -> Findings:
    """A fail if somebody judges whose labels are trained on, or other votes judge than those that the seed draws."""
    path = job.file("outputs", "reference")
    names = ["item", "annotator", "label"]
    table, metadata = scope.results.table(job.file("outputs", "annotations"), names)
    labelling = list(zip(*(table.column(name).to_pylist() for name in names), strict=True))
    people, ours = ({name for _, name, _ in votes} - {None} for votes in (judging, labelling))
    if both := people & ours:
        yield fail(path, f"{len(both)} people whose labels are trained on, too", "votes of other people only")
        return
    if any(LEFT_OUT in remark for remark in metadata.get("notes", {}).get("remarks", ())):
        yield note(f"{path}: who judges was not drawn again, as images with votes on one side only are not here")
        return
    due, expected = recompute_votes.judges([*judging, *labelling], job.manifest["config"]["reference_seed"])
    yield from differs(f"{path} people who judge", sorted(people), sorted(due), ", as reference_seed draws them")
    found = Counter((item, label) for item, name, label in judging if name is None)
    for item, label in sorted(found.keys() | expected.keys()):
        votes = found[item, label], expected[item, label]
        what = f"{path} item {item}: votes of unknown people for class {label}"
        yield from differs(what, *votes, ", as reference_seed draws them")


@each_job("label")
def labels_follow_from_votes(scope: Scope, job: Job) -> Findings:
    """A19: votes and labels agree, and every distribution sums to 1.

    Labels with a formula are made again; of others the items are compared.
    """
    path, options = job.file("outputs", "labels"), job.manifest["config"]["label"]
    table, metadata = scope.results.table(path, list(LABELS))
    item, p = io.vector(table, "item"), io.matrix(table, "p").astype(np.float64)
    yield from _distributions(path, item, p, 1e-5)
    aggregate = options["aggregate"]
    kind = aggregate["kind"]
    reference, _ = scope.results.table(job.file("inputs", "reference"), ["item", "p"])
    items = io.vector(reference, "item")
    draw = job.manifest["config"]["draw"]
    seed = () if draw == "all" else (int(draw.removeprefix("seed").partition("-")[0]),)
    key = (options["seed"], *seed)
    counts, weights = _votes(scope, job.file("inputs", "annotations"), items, options.get("votes", "all"), key)
    voted = counts.any()
    score = weights if voted and weights is not None else counts if voted else io.matrix(reference, "p")
    there = score.sum(axis=1) > 0
    train = np.zeros(len(items), bool)
    if of_split := "split" in job.manifest["inputs"]:
        part = scope.by_item(job.file("inputs", "split"), "split")
        train = np.array([part.get(row) == "train" for row in items.tolist()])
    if (wanted := options.get("items")) is not None:  # so many images of training, and that share of validation
        numbers = keyed.rng("items", *key).random(len(items))
        of_part = {name: [row for row in np.flatnonzero(there) if part.get(int(items[row])) == name]
                   for name in ("train", "val")}  # fmt: skip
        for rows in of_part.values():
            kept = max(1, round(len(rows) * wanted / len(of_part["train"])))
            there[sorted(rows, key=lambda row: numbers[items[row]])[kept:]] = False
    if kind == "file":
        file, reason = checks_files.source_of(scope, job, "given")
        if reason:
            yield unseen(f"{path}: was not made again: {reason}")
            return
        names = scope.by_item(job.file("inputs", "items"), "name")
        classes = metadata["classes"]
        score, voted = recompute_labels.given(file, [names[row] for row in items.tolist()], classes, aggregate), False
        there &= score.sum(axis=1) > 0
    if kind not in recompute_labels.FORMULAS:
        due = items[there]
        exact = options["ties"] != "drop" and kind in registry.names("aggregate") and "of" not in aggregate
        odd = np.setxor1d(item, due) if exact else np.setdiff1d(item, due)
        if len(odd):
            said = f"those of the {len(due)} items that may have one; see items {odd[:5].tolist()}"
            yield fail(path, f"labels of {len(item)} items", said)
        yield unknown(f"{path}: labels of '{kind}' are not made again here", remedy=NOT_AGAIN)
        return
    weighted = bool(voted and weights is not None)
    yield from differs(f"{path} weighted", metadata.get("weighted", False), weighted, " as in the annotations")
    total = score.sum(axis=1)
    top = score == score.max(axis=1, keepdims=True)
    tied = top.sum(axis=1) > 1
    hard = top.argmax(axis=1)
    if options["ties"] == "random":
        for row in np.flatnonzero(tied):
            rng = keyed.rng("ties", options["seed"], int(items[row]), *seed)
            hard[row] = rng.choice(np.flatnonzero(top[row]))
    there &= ~(tied & (options["ties"] == "drop"))
    if kind == "unanimous":
        there &= ~train | (score.max(axis=1) >= (aggregate["min_agreement"] - 1e-9) * total)
    labelled = np.flatnonzero(there)
    labelled = labelled[np.argsort(items[labelled])]
    if not np.array_equal(item, items[labelled]):
        odd = sorted(set(item.tolist()) ^ set(items[labelled].tolist()))
        yield fail(path, f"labels of {len(item)} items", f"{len(labelled)}, in order, once each; see items {odd[:5]}")
        return
    learned = train if of_split and aggregate.get("fit_on") != "all" else there
    share = score[labelled] / total[labelled, None] if voted else score[labelled]
    known = recompute_labels.Known(score[labelled], share, hard[labelled], learned[labelled])
    due = recompute_labels.FORMULAS[kind](known, aggregate) if options["form"] == "soft" else known.one_hot
    votes = counts[labelled].sum(axis=1).tolist() if voted else [None] * len(labelled)
    for name, wrong, expected in (
        ("p", np.abs(p - due).max(axis=1) > 1e-6, due),
        ("hard", io.vector(table, "hard") != hard[labelled], hard[labelled]),
        ("votes", np.array(table.column("votes").to_pylist(), object) != np.array(votes, object), votes),
    ):
        for row, count in _first(wrong):
            said = f"{np.asarray(expected[row]).tolist()} ({count} such items)"
            yield fail(f"{path} item {item[row]} {name}", table.column(name)[row].as_py(), said)
