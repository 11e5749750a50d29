"""`softlabels check`: everything that is wrong with a configuration and its data, before anything is trained.

It takes the way that a run takes: sources are opened, every image is decoded, labels and splits are made, in a
temporary folder and without the pixels.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np

from . import adopt, io, lacking, places, registry, resources, schema
from . import config as configuration
from .commands import ADOPTED, FITTED, TRAINED
from .contracts import HELD_OUT, Options, of_unknown, read_labels, read_split, write_split
from .datasets import contract, data
from .datasets.download import FILES, described
from .datasets.folder import image_files
from .datasets.images import import_images, relative_names
from .errors import Problems, UserError
from .evaluation import chosen, label_set, readers, strata
from .evaluation.perplexity import fitting
from .labels import evidence, label, remarks, split
from .plan import Plan
from .resources import crowded, extent
from .studies.ledger_view import cut
from .varied import SECTIONS, named, used

# Stands for whatever is wrong elsewhere while one data set is looked at.
FOLDERS = ("data_folder", "modules")
ANY_RECIPE, ANY_STUDY = {"any": {"network": "compact"}}, "any"


SEEDS = 3  # that a message names
STEPS = ("iterations", "restarts")  # options of aggregates that say how long they take

# What a study lacks where no item of a part has two votes.
LOST = {
    "train": "the majority and the average are then the same in training, and the networks that learn from them, too",
    "test": "the tables say which rows need two votes and are absent",
}


def check(raw: dict[str, Any], problems: Problems) -> Iterator[str]:
    """Look at a configuration as it is written, and its data; yield a line on each data set that is in order."""
    plan = None
    with _noted(problems):
        plan = Plan(raw)
    if plan:
        with _noted(problems):
            io.refuse_links(plan.config["results"])
    broken = _own_modules(plan.config if plan else raw, problems)
    datasets = plan.config["datasets"] if plan else raw.get("datasets")
    for name in datasets if isinstance(datasets, dict) and not broken else ():
        alone = plan or _alone(raw, name)
        if alone:
            yield from _data_set(alone, name, problems)
    for recipe in plan.config["recipes"] if plan else ():
        for key, path in plan.files_of(recipe):
            if not Path(path).is_file():
                place = named(f"recipes.{recipe}.{key}", plan.config.origins)
                problems.add(f"{place}: {path}: no such file. Correct the path, or data_folder.")
    for name in plan.config["labels"] if plan else ():
        for key, path in plan.label_files(name).items():
            if not Path(path).is_file():
                place = named(f"labels.{name}.aggregate.{key}", plan.config.origins)
                problems.add(f"{place}: {path}: no such file. Correct the path, or data_folder.")
    if plan:
        _networks(plan, problems)
        yield from _machine(plan, problems)


def _networks(plan: Plan, problems: Problems) -> None:
    """Build the networks of which only their library knows whether they are there, and take these images; each once."""
    found: dict[tuple[str, str], None] = {}
    tried: dict[str, UserError | None] = {}  # what came of each network, weights, upscale and size
    for grid in plan.config.grids.values():
        found |= {(point.recipe, point.dataset): None for point in grid}
    for recipe, dataset in found:
        definition = plan.config["recipes"][recipe]
        if plan.maker(recipe) == ADOPTED or not _is_doubtful(definition):
            continue
        shape, weights = resources.shape(plan, dataset), [Path(path) for path in plan.weights(recipe)]
        if not all(path.is_file() for path in weights):  # which is told elsewhere
            continue
        key = io.canonical_json(
            [*(definition[name] for name in ("network", "weights", "upscale")), plan.weights(recipe), shape]
        )
        if key not in tried:
            tried[key] = None
            try:
                _try_network(definition, *weights, shape=shape)
            except UserError as error:
                tried[key] = error
        with _noted(problems, f"{named(f'recipes.{recipe}', plan.config.origins)} with {dataset}: "):
            if tried[key]:
                raise tried[key]


def _is_doubtful(recipe: dict[str, Any]) -> bool:
    """Whether a recipe's network is worth the seconds that building it takes."""
    return recipe["network"]["kind"] == "timm" or recipe["weights"] in ("packaged", "file") or bool(recipe["upscale"])


def _try_network(recipe: dict[str, Any], file: Path | None = None, *, shape: tuple[int, int] | None) -> None:
    """Build a network, where nothing is computed, for images of this size; a UserError where it cannot be.

    Weights that are on this machine, those of a package or a ``file``, are read.
    """
    import torch

    from .networks import base

    options = recipe["network"]
    weights = recipe["weights"] if recipe["weights"] in ("packaged", "file") else "none"

    def built(device: str) -> base.Classifier:
        with torch.device(device):
            return base.build(options, 2, 0, weights, file, upscale=recipe["upscale"])[0]

    try:
        network = built("meta" if weights == "none" else "cpu")
    except (NotImplementedError, RuntimeError):  # some networks ask for a value while they are built
        network = built("cpu")
    if options["kind"] == "timm" and recipe["weights"] == "pretrained":
        base.require_pretrained(options["name"])
    if shape:
        base.require_fit(network.to("meta"), options.get("name", options["kind"]), *shape)


def _machine(plan: Plan, problems: Problems) -> Iterator[str]:
    """What this machine lacks for the trainings; where SLURM may start them on another one, that is only said."""
    for recipe in dict.fromkeys(name for grid in plan.config.grids.values() for name in used(grid, "recipe")):
        for key, what in lacking.of(plan.config["recipes"][recipe]) if plan.maker(recipe) == TRAINED else ():
            text = f"{named(f'recipes.{recipe}.{key}', plan.config.origins)}: {what}"
            if shutil.which("sbatch"):
                yield f"On this machine, not necessarily where SLURM starts trainings: {text}"
            else:
                problems.add(text)


def _own_modules(raw: dict[str, Any], problems: Problems) -> bool:
    """Import the user's own modules; whether one of them cannot be."""
    section, broken = schema.section(""), False
    for kind, name in sorted(set(schema.entries(schema.complete(raw, section), section))):
        if not registry.OWN.fullmatch(name):
            continue
        try:
            path = registry.file_of(kind, name)
        except UserError:  # told already
            continue
        try:
            registry.load(kind, name)
        except (Exception, SystemExit) as error:  # whatever the user's own code raises
            broken = True
            told = f"{type(error).__name__}: {error}"
            problems.add(f"{kind} '{name}': {path}: cannot be imported ({told}). Correct it.")
    return broken


def _alone(raw: dict[str, Any], name: str) -> Plan | None:
    """The plan of one data set of a configuration that is wrong elsewhere, or None if it is wrong itself."""
    kept = {key: raw[key] for key in ("data_folder", "modules", "splits", "labels") if key in raw}
    study = {"datasets": [name], "recipes": list(ANY_RECIPE), **_seeds(raw)}
    rest = {"datasets": {name: raw["datasets"][name]}, "recipes": ANY_RECIPE}
    asked = {key: list(raw[key]) for key in ("splits", "labels") if isinstance(raw.get(key), dict) and raw[key]}
    for sections, named_there in ((kept, asked), (kept, {}), ({key: kept[key] for key in kept if key in FOLDERS}, {})):
        with suppress(UserError):
            return Plan({**sections, **rest, "studies": {ANY_STUDY: study | named_there}})
    return None


def _seeds(raw: dict[str, Any]) -> dict[str, list[int]]:
    """The seeds that the studies of a configuration name, as one study has them; nothing where none does."""
    studies = raw["studies"].values() if isinstance(raw.get("studies"), dict) else ()
    given = [study["seeds"] for study in studies if isinstance(study, dict) and isinstance(study.get("seeds"), list)]
    seeds = {seed: None for of_study in given for seed in of_study if type(seed) is int and seed >= 0}
    return {"seeds": list(seeds)} if seeds else {}


def _data_set(plan: Plan, name: str, problems: Problems) -> Iterator[str]:
    """Open a data set, and make its labels and splits."""
    inputs, origins = {key: Path(path) for key, path in plan.source_files(name).items()}, plan.config.origins
    place, threads, made = named(f"datasets.{name}", origins), plan.data_threads(name), None
    fetched = [path for path in inputs.values() if path.name in FILES and not path.exists()]
    for path in fetched:
        problems.add(
            f"{place}: {path}: is not there yet, so the data were not looked at. A run fetches it; or put "
            f"{described(FILES[path.name])} there."
        )
    if fetched:
        return
    with tempfile.TemporaryDirectory() as scratch:
        files = {key: Path(scratch, f"{key}.parquet") for key in ("items", "annotations", "reference")}
        with _noted(problems, f"{place}: "), data.opened(plan.of("data", dataset=name), inputs, Path(scratch)) as found:
            contract.write(found, plan.config["datasets"][name]["reference"], {**files, "images": None}, threads)
            made = found
        if made is None:
            folder, source = inputs.get("folder"), plan.config["datasets"][name]["source"]
            links = source.get("follow_links", False)
            if folder and (images := image_files(folder, links)):  # the votes may have stopped it before the images
                with _noted(problems, f"{place}: "):
                    images = list(relative_names(images, folder, links).values())
                    import_images(images, source, None, threads)
            return
        for grouping, merged in plan.groupings(name).items():
            with _noted(problems, f"{place}."):
                strata.require(grouping, merged, made.classes)
        for title, grid in plan.config.grids.items():
            for metric, options in plan.metrics(title).items() if name in used(grid, "dataset") else ():
                if not registry.OWN.fullmatch(options["kind"]):
                    with _noted(problems, f"{place} with studies.{title}.metrics, {metric}: "):
                        chosen.require(options, made.classes)
        for problem in _anonymous(plan, name, made):
            problems.add(problem)
        notes: dict[str, None] = {}
        labelled: dict[tuple, Made | None] = {}
        found: dict[tuple[str, str], dict[Any, int]] = {}  # by where and what, the seeds with how many mistakes each
        for title in plan.config["studies"]:
            trained = {names["label"] for _, names in plan.jobs(title, TRAINED, dataset=name)}
            for command, names in plan.jobs(title, "split", "label", ADOPTED, dataset=name):
                axis = "recipe" if command == ADOPTED else command
                where = named(f"{SECTIONS[axis]}.{names[axis]}", origins)
                where += f", {names['label']}" if command == ADOPTED else ""
                with _noted(wrong := Problems()):
                    if command == "split":
                        notes |= dict.fromkeys(_split(plan, title, names, files, made))
                    elif command == "label":
                        labelled[_key_of(names)] = _label(plan, names, files, trained, made.names)
                    elif told := _adopted(plan, title, names, files):
                        notes[f"{where}, seed {names['seed']}: {told}."] = None
                for problem, times in wrong.messages.items():
                    found.setdefault((where, problem), {})[names.get("seed")] = times
        for (where, problem), seeds in found.items():
            of_seeds = f", seed {', '.join(cut([*map(str, seeds)], SEEDS))}" if None not in seeds else ""
            problems.add(f"{place} with {where}{of_seeds}: {problem}", max(seeds.values()))
        notes |= dict.fromkeys(_lacking(labelled, len(made.names), origins))
        notes |= dict.fromkeys(_unseen(plan, name, labelled))
        for where, problem in _unlabelled(plan, name, labelled, Path(scratch)):
            problems.add(f"{place} with {named(where, origins)}: {problem}")
    classes = f"{len(made.classes)} classes ({', '.join(made.classes)})"
    votes = f"{len(made.votes.item)} votes" if made.votes else "distributions without votes"
    votes += f" for labels, {len(made.judges.item)} of other people for the reference" if made.judges else ""
    yield f"{name}: {len(made.names)} images, {classes}, {votes}."
    if made.judges and (unknown := made.judges.annotator.null_count):
        yield f"{name}: {of_unknown(unknown, len(made.judges.item))}."
    yield from notes


def _anonymous(plan: Plan, dataset: str, content: contract.Content) -> Iterator[str]:
    """Metrics that need to know who gave each vote, of studies of a data set that knows nobody."""
    people = content.judging and content.judging.annotator
    if people is not None and people.null_count < len(people):
        return
    for study in plan.config["studies"]:
        of_study = plan.metrics(study).values() if (dataset,) in plan.blocks(study, ("dataset",)) else ()
        for kind in (options["kind"] for options in of_study):
            if "annotators" in registry.entry("metric", kind)["needs"]:
                yield (
                    f"studies.{study}.metrics: '{kind}' needs to know who gave each vote, and {dataset} does not say. "
                    f"Take it out, or use votes with annotators."
                )


def _split(
    plan: Plan, study: str, names: dict[str, Any], files: dict[str, Path], content: contract.Content
) -> Iterator[str]:
    """Make a split, below the folder of the files; say where its parts are too small for what a study asks of them."""
    made = files["items"].parent / places.path("split", "split", **names)
    split.run(plan.told("split", **names), files, {"split": made})
    parts, perplexity = read_split(made), plan.config["studies"][study]["embedding"]["perplexity"]
    test = len(parts.items("test"))
    if study != ANY_STUDY and content.judging:
        several = np.bincount(content.judging.item, minlength=len(content.names)) > 1
        for part, lost in LOST.items():
            if not several[parts.items(part)].any():
                yield (
                    f"Study {study}: no {part} item of {names['dataset']} in split {names['split']} has two votes: "
                    f"{lost}."
                )
    for metric, options in plan.metrics(study).items():
        kept, due = len(parts.items(HELD_OUT)), label_set.fewest(options.get("coverage", 0))
        if "calibration" in registry.entry("metric", options["kind"])["needs"] and kept < due:
            yield (
                f"Study {study}: split {names['split']} keeps {kept} items of {names['dataset']} for calibration, "
                f"expected {due} or more for {metric}: with fewer, every set has all classes. Raise "
                f"splits.{names['split']}.calibration, or its validation part."
            )
        if study != ANY_STUDY and options["kind"] == "readers":
            yield from _readers(study, names, metric, options, content, parts.items("test"))
    if study != ANY_STUDY and plan.embeds(study) and (fits := fitting(perplexity, test)) != perplexity:
        yield (
            f"Study {study}: {test} test items of {names['dataset']} are too few for the perplexity {perplexity:g} of "
            f"t-SNE; {fits:g} will be used, and the figure says so."
        )


def _readers(
    study: str, names: dict[str, Any], metric: str, options: Options, content: contract.Content, test: np.ndarray
) -> Iterator[str]:
    """That no reader has as many test items, with votes of others, as the metric asks for; nothing where one has."""
    votes = content.judging
    if not votes or votes.annotator is None:  # told elsewhere
        return
    tested = np.isin(votes.item, test)
    person = votes.annotator.indices.fill_null(-1).to_numpy()[tested]
    items = readers.with_others(votes.item[tested], person, len(votes.annotator.dictionary))
    if items.max(initial=0) < options["minimum"]:
        yield (
            f"Study {study}: no reader of {names['dataset']} has {options['minimum']} test items in split "
            f"{names['split']} that somebody else voted on, too (minimum of {metric}): none is tested alone, and the "
            f"table of readers has all of them together only. Set a lower minimum, or a larger test part."
        )


def _key_of(names: dict[str, Any]) -> tuple:
    """What tells a label file of a data set from others."""
    return names["label"], names["within"], names["draw"]


def _lacking(labelled: dict[tuple, Made | None], n_items: int, origins: dict[tuple[str, str], str]) -> Iterator[str]:
    """Which labels of a data set do not have all its items; of several files the fewest and the most that lack.

    What else labels tell of themselves comes with it.
    """
    found: dict[str, list[Made]] = {}
    for (name, *_), made in labelled.items():
        if made is not None:
            found.setdefault(name, []).append(made)
    for name, files in found.items():
        lack = [n_items - len(made.item) for made in files]
        for text in remarks.of([made.facts for made in files], "files"):
            yield f"{named(f'labels.{name}', origins)}: {text}"
        if max(lack):
            several = f"{min(lack)} to {max(lack)}" if min(lack) < max(lack) else str(max(lack))
            yield (
                f"{named(f'labels.{name}', origins)}: {several} of {n_items} images have no label; nothing is learned "
                f"from those of the training part."
            )


def _unlabelled(plan: Plan, dataset: str, labelled: dict[tuple, Made | None], root: Path) -> Iterator[tuple[str, str]]:
    """Runs that are chosen by validation labels of which there are none: where, once a split, and what to do.

    Args:
        plan: the grid.
        dataset: its name.
        labelled: each label file that could be made.
        root: where splits lie as in a results folder.
    """
    told = set()
    for title in plan.config["studies"]:
        for command, names in plan.jobs(title, TRAINED, FITTED, folds=False, dataset=dataset):
            key = names["recipe"], names["label"], names["split"]
            recipe = plan.config["recipes"][names["recipe"]]
            if key in told or (command == TRAINED and recipe["select"] != "best_validation"):
                continue
            made = labelled.get(_key_of(names | plan.labels_of(names["label"], names["split"], names["seed"])))
            split = root / places.path("split", "split", **names)
            if made is None or not split.is_file() or np.isin(read_split(split).items("val"), made.item).any():
                continue
            told.add(key)
            what = "choose the penalty of a head by" if command == FITTED else "select the weights by"
            remedy = "" if command == FITTED else ", or set recipe.select: last"
            yield (
                f"recipes.{names['recipe']}",
                f"no item of the validation part of splits.{names['split']}, seed {names['seed']}, has a label of "
                f"labels.{names['label']} to {what}. Give the split a larger validation part, or check the label's "
                f"options{remedy}.",
            )


def _unseen(plan: Plan, dataset: str, labelled: dict[tuple, Made | None]) -> Iterator[str]:
    """Trainings that are shown an image's votes in turn, one an epoch, and end before all of them were."""
    for title in plan.config["studies"]:
        for _, names in plan.jobs(title, TRAINED, folds=False, dataset=dataset):
            delivery = plan.config["labels"][names["label"]]["delivery"]["kind"]
            if not registry.entry("delivery", delivery).get("turns"):
                continue
            made = labelled.get(_key_of(names | plan.labels_of(names["label"], names["split"], names["seed"])))
            epochs = plan.config["recipes"][names["recipe"]]["epochs"]
            if made is not None and (most := made.votes.max(initial=0)) > epochs:
                yield (
                    f"Study {title}: the delivery '{delivery}' of the label {names['label']} shows one vote an epoch, "
                    f"and the recipe {names['recipe']} ends after epoch {epochs}: of images with more votes (up to "
                    f"{most}), the others are never shown. Set epochs: {most}, or take it for a sample of the votes."
                )


class Made(NamedTuple):
    """What is kept of a label file."""

    item: np.ndarray  # int [K]
    votes: np.ndarray  # int [K]
    facts: dict[str, Any]  # what the aggregate tells of it


def _label(
    plan: Plan, names: dict[str, Any], files: dict[str, Path], trained: set[str], items: list[str]
) -> Made | None:
    """Make a label, and where it is among those that are ``trained`` on what the networks are shown first.

    A label that its delivery refuses is no longer among these: that is told once, not for each seed. None where it is
    made of predictions, or its split could not be made. What iterates takes one step, silently: it refuses what it
    refuses before that. What is made of predictions refuses what it can of the votes: the networks would be trained
    before it does. Messages have the names of ``items``.
    """
    root = files["items"].parent
    inputs = {"annotations": files["annotations"], "reference": files["reference"]}
    for name, paths in plan.label_inputs(**names).items():
        for path in paths if name != "predictions" else ():
            inputs[name] = files.get(name) or (
                Path(path) if name == "given" else root / places.find(PurePath(path)).path
            )
            if not inputs[name].is_file():
                return None
    command = plan.told("label", **names)
    for options in schema.aggregates(command["label"]):
        if not registry.OWN.fullmatch(options["kind"]):
            options.update({key: 1 for key in STEPS if key in options})
    path = root / "labels.parquet"
    with redirect_stdout(StringIO()):
        if "folds" in (aggregate := command["label"]["aggregate"]):
            found = evidence.read(command, inputs)
            label.require(command["label"], found)
            if require := registry.beside("aggregate", aggregate["kind"], "require"):
                require(found, command["label"] | aggregate)
            return None
        facts = label.run(command, inputs, {"labels": path})
    if names["label"] in trained:
        trained.remove(names["label"])
        _deliver(plan.config["labels"][names["label"]]["delivery"], path, inputs, items)
        trained.add(names["label"])
    labels = read_labels(path)
    return Made(labels.item, labels.votes, facts)


def _deliver(options: dict[str, Any], labels: Path, inputs: dict[str, Path], items: list[str]) -> None:
    """Ask a delivery for the targets of the first epoch; a UserError where it refuses the label, of items by name."""
    if options["kind"] == "expected":  # the label itself; all others are worth the seconds that PyTorch takes
        return
    from .training.data import read_run

    split = inputs.get("split", labels.parent / "whole.parquet")
    if "split" not in inputs:
        write_split(split, np.zeros(io.read_table(inputs["reference"], [])[0].num_rows, int), None, {})
    run = read_run(labels, split, inputs["reference"])
    try:
        registry.load("delivery", options["kind"])(run, 1, 0, options)
    except UserError as error:  # a training knows numbers only
        raise UserError(re.sub(r"\bitem (\d+)\b", lambda found: f"'{items[int(found[1])]}'", str(error))) from None


def _adopted(plan: Plan, study: str, names: dict[str, Any], files: dict[str, Path]) -> str:
    """What predictions made elsewhere are, in words; nothing where they, or their split, are not there."""
    root = files["items"].parent
    inputs = {name: Path(path) for name, paths in plan.adopted(*(names[k] for k in ("recipe", "label", "seed"))).items()
              for path in paths}  # fmt: skip
    inputs |= {"split": root / places.path("split", "split", **names), "items": files["items"]}
    inputs |= {"reference": files["reference"]}
    if not all(path.is_file() for path in inputs.values()):
        return ""
    needs = (registry.entry("metric", options["kind"])["needs"] for options in plan.metrics(study).values())
    calibrates = any("calibration" in of_metric for of_metric in needs)
    return adopt.adopted(plan.told(ADOPTED, **names), inputs, calibrates).facts["read"]


@contextmanager
def _noted(problems: Problems, place: str = "") -> Iterator[None]:
    """Note what a UserError of the block holds, one problem or a list, or an error in the user's own code; go on."""
    try:
        yield
    except UserError as error:
        for problem, times in error.listed.items():
            problems.add(place + problem, times)
    except (Exception, SystemExit) as error:
        folder = Path(os.environ.get(registry.FOLDER, ".")).resolve()
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(Path(frame.filename), folder)]
        if not own:
            raise
        told = f"{own[-1].filename}, line {own[-1].lineno}: {type(error).__name__}: {error}"
        problems.add(f"{place}{told}. Correct your own code.")


def _is_own(file: Path, folder: Path) -> bool:
    """Whether a file is a module of the user's own, in a folder that may hold this package and an environment too."""
    inside = file.is_absolute() and file.is_relative_to(folder) and not file.is_relative_to(registry.PACKAGE)
    return inside and "site-packages" not in file.parts


def command(configfile: Path, overrides: list[str]) -> None:
    """Check a configuration file and say what was found; all problems are one UserError."""
    problems = Problems()
    raw = configuration.overridden(configuration.read(configfile), overrides)
    for line in check(raw, problems):
        print(line, flush=True)
    problems.stop()
    plan = Plan(raw)
    for name in dict.fromkeys(name for grid in plan.config.grids.values() for name in used(grid, "label")):
        if "folds" in plan.config["labels"][name]["aggregate"]:
            print(f"Label {name}: is made of networks' predictions, so that only its votes were looked at.")
    for warning in configuration.warnings(plan.config) + crowded(plan):
        print(f"Warning: {warning}.")
    for study in plan.config["studies"]:
        print(f"Study {study}: {extent(plan, study)}.")
    print(f"{configfile}: no problem was found.")
