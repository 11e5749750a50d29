"""The grid: which files a study needs, and with which configuration each is made. No Snakemake in here."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from . import closure, commands, config, places, schema
from .commands import ADOPTED, ENCODED, FITTED, MAKERS, TRAINED
from .contracts import METRICS, STANDARD, Options, of_set, sets
from .datasets.download import FILES
from .datasets.folder import image_files
from .errors import UserError
from .io import canonical_json
from .registry import entry, location
from .varied import Point, used

BLOCK = ("dataset", "split", "recipe")  # what the labels of a figure share
DRAW = "all"  # of a label file that serves all seeds
# What figures are drawn from (their ``needs``), and where each of these comes from: command and output. Besides these,
# ``predictions``, which come from different commands.
DRAWN_FROM = {
    "embeddings": ("embed", "embedding"), "items": ("data", "items"), "reference": ("data", "reference"),
    "scores": ("evaluate", "scores"), "histories": ("train", "history"), "cells": ("study", "cells"),
}  # fmt: skip
# The commands whose jobs the tables of a study rest on.
BEHIND_TABLES = ("data", "label", "split", "references", TRAINED, ADOPTED, ENCODED, FITTED, "evaluate", "study")
# Commands that have jobs of some recipes only, and by which command these have their predictions.
ONLY_OF = {**{maker: maker for maker in MAKERS}, "embed": TRAINED}
# What a configuration of a command calls the files of predictions made elsewhere, which are inputs.
ELSEWHERE = "elsewhere"
# Of the nearest-neighbour numbers: half of the usual perplexity. Recorded in every evaluation's configuration.
NEIGHBOURS = 15
FOLD_JOBS = ("label", "split", "train")  # behind the networks that leave a fold out
# What tables print of a metric that does not say.
PRINTED = {"better": None, "unit": None, "decimals": 4, "source": None, "note": None}
NOWHERE = ".nowhere"  # where no file is asked for
# Of an import: more threads than this wait for the disk.
DECODERS = 4


Config = dict[str, Any]


class Plan:
    """A resolved configuration, asked for paths and for the configuration of each command.

    Methods that configure a command take the wildcards of its outputs as keyword arguments, all or those that it reads.
    """

    def __init__(self, raw: dict[str, Any]):
        self.config = config.resolve(raw)
        self.root = Path(self.config["results"]).as_posix()
        self._braces: dict[str, dict[str, str]] = {}
        self._draws: dict[str, tuple[bool, bool]] = {}
        self._tracked: dict[tuple, tuple[str, str]] = {}
        self._encoder_of: dict[str, str] = {}
        self._recipe_of: dict[str, str] = {}
        self._code: dict[tuple[str, str], str] = {}
        self._told: dict[tuple[str, str], dict[str, Any]] = {}
        self._metrics: dict[str, dict[str, Options]] = {}
        self._grids: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], list[str]]] = {}

    # -- which files -----------------------------------------------------------------------------------------------

    def jobs(self, study: str, *wanted: str, folds: bool = True, **fixed: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """Command and wildcards of every job behind a study, in the order in which data flows.

        Args:
            study: its name.
            wanted: these commands only.
            folds: also those behind the networks that leave a fold out, for labels that need their predictions.
            fixed: only jobs with these values of their wildcards.
        """
        seeds = self.config["studies"][study]["seeds"]
        axes = {"study": [study], "metrics": self.sets(study)}
        for command in wanted or commands.COMMANDS:
            if command == "download" or (command == "embed" and not self.embeds(study)):
                continue
            yield from ((command, names) for names in self._fold_jobs(study, command) if folds and _has(names, fixed))
            if command == "label":
                yield from ((command, names) for names in self._label_jobs(study) if _has(names, fixed))
                continue
            if command == ENCODED:
                yield from ((command, names) for names in self._encode_jobs(study) if _has(names, fixed))
                continue
            wildcards = places.PLACES[command].wildcards
            block = tuple(axis for axis in BLOCK if axis in wildcards)
            first = {name: values for name, values in axes.items() if name in wildcards}
            last = {"seed": seeds[:1] if command == "embed" else seeds, "label": []}
            for more in self._figure_axes(study) if command == "figure" else [{}]:
                for names in _products(first | more, fixed):
                    for of_block, labels in self.blocks(study, block).items():
                        place = dict(zip(block, of_block, strict=True))
                        other = command in ONLY_OF and self.maker(place["recipe"]) != ONLY_OF[command]
                        if not other and _has(place, fixed):
                            shared = {**names, **place}
                            its = {k: values for k, values in (last | {"label": labels}).items() if k in wildcards}
                            for own in _products(its, fixed):
                                yield command, {**shared, **own}

    def blocks(self, study: str, axes: tuple[str, ...]) -> dict[tuple[str, ...], list[str]]:
        """The labels that run in each data set, split and recipe of a study, or in each of some of these three."""
        if (study, axes) not in self._grids:
            found: dict[tuple[str, ...], dict[str, None]] = {}
            for point in self.config.grids[study]:
                names = tuple(getattr(point, axis) for axis in axes)
                found.setdefault(names, {}).update(dict.fromkeys(point.labels.values()))
            self._grids[study, axes] = {names: list(labels) for names, labels in found.items()}
        return self._grids[study, axes]

    def _figure_axes(self, study: str) -> Iterator[dict[str, list[str]]]:
        """Name and blocks of each figure of a study; none of a network that was trained elsewhere, if it needs one."""
        blocks = {"".join(f"-{name}" for name in block): self.maker(block[2]) for block in self.blocks(study, BLOCK)}
        for name, about in self.figures(study).items():
            due = {ONLY_OF.get(DRAWN_FROM[need][0]) for need in about["needs"] if need in DRAWN_FROM} - {None}
            its = [block for block, maker in blocks.items() if due <= {maker}]
            yield {"figure": [name], "block": its if about["per"] == "block" else [""] * bool(its)}

    def _runs(self, study: str) -> Iterator[tuple[str, str, str, int]]:
        """Data set, split, label and seed of every run of a study, once for each of its recipes."""
        for point in self.config.grids[study]:
            for label, seed in itertools.product(point.labels.values(), self.config["studies"][study]["seeds"]):
                yield point.dataset, point.split, label, seed

    def _label_jobs(self, study: str) -> Iterator[dict[str, Any]]:
        """Wildcards of the jobs that make the labels which the runs of a study read, each once."""
        return _once("label", (
            {"dataset": dataset, "label": label, **self.labels_of(label, split, seed)}
            for dataset, split, label, seed in self._runs(study)
        ))  # fmt: skip

    def _encode_jobs(self, study: str) -> Iterator[dict[str, Any]]:
        """Wildcards of the jobs that compute the features which the heads of a study are fitted on, each once."""
        return _once(ENCODED, (
            {"dataset": dataset, "recipe": recipe, "encoder": self.encoder(recipe)}
            for dataset, recipe in self.blocks(study, ("dataset", "recipe")) if self.maker(recipe) == FITTED
        ))  # fmt: skip

    def _fold_jobs(self, study: str, command: str) -> Iterator[dict[str, Any]]:
        """Wildcards of the jobs of a command behind the networks that leave a fold out, each once."""
        labels = used(self.config.grids[study], "label")
        if command not in FOLD_JOBS or not any("folds" in self.config["labels"][k]["aggregate"] for k in labels):
            return iter(())
        runs = (run for dataset, split, label, seed in self._runs(study)
                for run in self.fold_runs(dataset, split, seed, label))  # fmt: skip
        jobs = _once(command, (run | self.labels_of(run["label"], run["split"], run["seed"]) for run in runs))
        of_study = [*self._label_jobs(study)] if command == "label" else []
        return (names for names in jobs if names not in of_study)  # whose own runs may read the same label

    def labels_of(self, label: str, split: str, seed: Any) -> dict[str, str]:
        """Which label file a run reads: ``within`` and ``draw`` of its place. This is decided here and nowhere else.

        A file serves all seeds unless something in it is drawn, or it is made for one split (``config.of_split``).
        """
        if label not in self._draws:
            definition = self.config["labels"][label]
            self._draws[label] = config.draws(definition), config.of_split(definition)
        drawn, of_split = self._draws[label]
        if of_split:
            return {"within": f"/{split}", "draw": f"seed{seed}"}
        return {"within": "", "draw": f"seed{_seed(seed)}" if drawn else DRAW}

    def fold_runs(self, dataset: str, split: str, seed: Any, label: str) -> list[dict[str, str]]:
        """The runs that leave a fold out whose predictions a label is made of, as wildcards; none for most labels."""
        aggregate = self.config["labels"][label]["aggregate"]
        if "folds" not in aggregate:
            return []
        names = {"dataset": dataset, "split": split, "recipe": aggregate["recipe"], "label": aggregate["trained_on"]}
        return [names | {"seed": f"{seed}-fold{k}of{aggregate['folds']}"} for k in range(aggregate["folds"])]

    def label_inputs(self, dataset: str, within: str, label: str, draw: str) -> dict[str, list[str]]:
        """What a label file is made of besides votes and reference, by the names of the command's inputs."""
        split, seed = within.removeprefix("/"), draw.removeprefix("seed")
        drawn, given = self.config["labels"][label]["votes"] != "all", self.label_files(label)
        runs = self.fold_runs(dataset, split, seed, label) if split else []
        return {
            "items": [self.path("data", "items", dataset=dataset)] if drawn or given else [],
            "given": [*given.values()],
            "split": [self.path("split", "split", dataset=dataset, split=split, seed=seed)] if split else [],
            "predictions": [self.path(TRAINED, "predictions", **run) for run in runs],
        }

    def label_files(self, label: str) -> dict[str, str]:
        """The files of the user's own that a label is made of, by the key that names each."""
        aggregate = self.config["labels"][label]["aggregate"]
        return {key: self.source_path(aggregate[key]) for key in schema.paths("aggregate", aggregate["kind"])}

    def files(self, study: str, command: str, output: str, folds: bool = False, **fixed: Any) -> list[str]:
        """One output (or ``manifest``) of each job of a command behind a study; ``folds`` as in :meth:`jobs`."""
        file = places.PLACES[command].files[output]
        jobs = self.jobs(study, command, folds=folds, **fixed)
        return [f"{self.root}/{file.format_map(names)}" for _, names in jobs]

    def path(self, command: str, output: str, **names: Any) -> str:
        """One output (or ``manifest``) of one job."""
        return f"{self.root}/{places.path(command, output, **names)}"

    def maker(self, recipe: str) -> str:
        """The command that makes the predictions of a recipe's runs."""
        return commands.maker(self.config["recipes"][recipe])

    def predicted(self, recipe: str, **names: Any) -> dict[str, list[str]]:
        """Predictions and features of a run, by the names of the inputs of ``evaluate``."""
        outputs = ("predictions", "features") if self.maker(recipe) == TRAINED else ("predictions",)
        made = {name: [self.path(self.maker(recipe), name, recipe=recipe, **names)] for name in outputs}
        return {"features": [], **made}

    def encoder(self, recipe: str) -> str:
        """What the encoder of a recipe's heads is called: its network, and eight digits of all that it depends on."""
        if recipe not in self._encoder_of:
            definition = self.config["recipes"][recipe]
            network = definition["network"]
            whole = canonical_json([commands.encoder(self.recipe(recipe)), definition["weights_file"]])
            words = re.sub(r"[^a-z0-9]+", "_", str(network.get("name", network["kind"])).lower()).strip("_")[:40]
            name = f"{words}_{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
            self._encoder_of[recipe] = name
            self._recipe_of.setdefault(name, recipe)
        return self._encoder_of[recipe]

    def encoded(self, dataset: str, recipe: str) -> dict[str, str]:
        """What heads are fitted on, by the names of the command's inputs."""
        names = {"dataset": dataset, "encoder": self.encoder(recipe)}
        return {name: self.path(ENCODED, name, **names) for name in places.PLACES[ENCODED].outputs}

    def recipe_of(self, encoder: str) -> str:
        """A recipe with an encoder of this name: all that have it say the same of it.

        Raises:
            UserError: no recipe has it.
        """
        for name in self.config["recipes"] if encoder not in self._recipe_of else ():
            if self.maker(name) == FITTED:
                self.encoder(name)
        if encoder not in self._recipe_of:
            raise UserError(f"No recipe of the configuration has the encoder '{encoder}' (train: head).")
        return self._recipe_of[encoder]

    def asks(self, command: str, names: dict[str, Any]) -> tuple[int, bool]:
        """How many threads a job of a command uses, and whether it uses a GPU."""
        if command == "data":
            return self.data_threads(names["dataset"]), False
        if command not in (TRAINED, ENCODED):
            return 1, False
        recipe = self.config["recipes"][names["recipe"] if command == TRAINED else self.recipe_of(names["encoder"])]
        return recipe["threads"], recipe["device"] == "cuda"

    def predictions(self, study: str, **fixed: Any) -> list[str]:
        """The predictions of all runs of a study (with fixed wildcards)."""
        return [file for command in MAKERS for file in self.files(study, command, "predictions", **fixed)]

    def _tables_need(self, study: str, what: str) -> bool:
        return any(what in entry("table", table["kind"])["needs"] for table in self.config["studies"][study]["tables"])

    def annotations(self, study: str) -> list[str]:
        """The votes that labels of a study are made of, if a table of the study needs these."""
        return self.files(study, "data", "annotations") if self._tables_need(study, "annotations") else []

    def with_histories(self, study: str) -> list[str]:
        """The recipes of a study whose runs have learning curves, if a table of the study needs these; else none."""
        if not self._tables_need(study, "histories"):
            return []
        command, _ = DRAWN_FROM["histories"]
        return [name for name in used(self.config.grids[study], "recipe") if self.maker(name) == command]

    def histories(self, study: str) -> list[str]:
        """The learning curves that tables of a study need."""
        return self.files(study, *DRAWN_FROM["histories"]) if self.with_histories(study) else []

    def card_splits(self, dataset: str) -> list[tuple[str, int]]:
        """The splits of a data set, and their seeds, that any study uses."""
        found = set()
        for name, study in self.config["studies"].items():
            splits = {split for of_data, split in self.blocks(name, BLOCK[:2]) if of_data == dataset}
            found |= set(itertools.product(splits, study["seeds"]))
        return sorted(found)

    def split_files(self, dataset: str) -> list[str]:
        """The files of :meth:`card_splits`."""
        splits = self.card_splits(dataset)
        return [self.path("split", "split", dataset=dataset, split=split, seed=seed) for split, seed in splits]

    def figures(self, study: str) -> dict[str, dict[str, Any]]:
        """What each figure of a study says of itself, with its ``options``, by its name."""
        return {
            config.name_of("figure", options): {**entry("figure", options["kind"]), "options": options}
            for options in self.config["studies"][study]["figures"]
        }

    def embeds(self, study: str) -> bool:
        """Whether a figure of a study shows embeddings, and networks are trained to show them of."""
        trained = any(self.maker(recipe) == TRAINED for *_, recipe in self.blocks(study, BLOCK))
        return trained and any("embeddings" in about["needs"] for about in self.figures(study).values())

    def figure_files(self, study: str, figure: str, block: str) -> dict[str, list[str]]:
        """What a figure is drawn from, by the names of the command's inputs."""
        fixed = dict(zip(BLOCK, block.split("-")[1:], strict=False), metrics=STANDARD)
        needs = self.figures(study)[figure]["needs"]
        found = {k: self.files(study, *source, **fixed) if k in needs else [] for k, source in DRAWN_FROM.items()}
        return found | {"predictions": self.predictions(study, **fixed) if "predictions" in needs else []}

    def figure_labels(self, figure: str, block: str) -> dict[str, str]:
        """What tells a figure from others in the report."""
        return {"figure": figure, **dict(zip(("data set", "split", "recipe"), block.split("-")[1:], strict=False))}

    def study_files(self, study: str) -> list[str]:
        """What a study is for: tables and figures."""
        outputs = {"study": "table_md", "chain": "chain", "figure": "png"}
        return [file for command, output in outputs.items() for file in self.files(study, command, output)]

    def targets(self) -> list[str]:
        """What ``all`` asks for."""
        studies = self.config["studies"]
        cards = [file for study in studies for file in self.files(study, "card", "card_md")]
        return [*dict.fromkeys(cards), *(file for study in studies for file in self.study_files(study))]

    def prepared(self) -> list[str]:
        """Data, labels and splits of all studies. Built first, unchanged bytes stop a rebuild of what follows.

        Labels that are made of networks' predictions are not among them.
        """
        outputs = {"data": "images", "label": "labels", "split": "split"}
        files = [
            self.path(command, outputs[command], **names)
            for study in self.config["studies"]
            for command, names in self.jobs(study, *outputs)
            if command != "label" or "folds" not in self.config["labels"][names["label"]]["aggregate"]
        ]
        return list(dict.fromkeys(files))

    def manifests(self, study: str) -> list[str]:
        """The manifests of all jobs that the tables of a study rest on, the study's own included."""
        return [file for command in BEHIND_TABLES for file in self.files(study, command, "manifest", folds=True)]

    # -- sources ---------------------------------------------------------------------------------------------------

    def source_path(self, path: str) -> str:
        """A path of the configuration, starting from ``data_folder`` if it is relative."""
        return str(Path(self.config["data_folder"]) / path)

    @property
    def downloads(self) -> str:
        """Where a published file is put, as a pattern of Snakemake with the wildcard ``file``.

        Snakemake knows no braces but those of wildcards, so nothing is fetched into a folder that has some.
        """
        folder = self.config["data_folder"]
        return str(Path(NOWHERE if _has_braces(folder) else folder, places.PLACES["download"].files["file"]))

    def source_files(self, dataset: str) -> dict[str, str]:
        """Where the sources of a data set lie, by the names of the command's inputs (``folder``: of images)."""
        source = self.config["datasets"][dataset]["source"]
        paths = schema.paths("source", source["kind"])
        files = {paths[key]: self.source_path(source[key]) for key in paths if isinstance(source.get(key), str)}
        if "folder" in files:
            inside = entry("source", source["kind"]).get("inside", {})
            files |= {name: str(Path(files["folder"], file)) for name, file in inside.items()}
        return files

    def data_inputs(self, dataset: str) -> dict[str, Any]:
        """The input files of a data set: its votes and every image, so that a changed image is noticed."""
        inputs: dict[str, Any] = self.source_files(dataset)
        folder = inputs.pop("folder", None)
        if folder is None:
            return inputs
        links = self.config["datasets"][dataset]["source"].get("follow_links", False)
        return {**inputs, "images": [str(path) for path in image_files(Path(folder), links)]}

    def watched_inputs(self, dataset: str) -> dict[str, Any]:
        """:meth:`data_inputs` without paths that have braces, which Snakemake would take for wildcards."""
        inputs = self.data_inputs(dataset).items()
        inputs = {k: [path for path in v if not _has_braces(path)] if isinstance(v, list) else v for k, v in inputs}
        return {k: v for k, v in inputs.items() if isinstance(v, list) or not _has_braces(v)}

    def _in_braces(self, dataset: str) -> dict[str, str]:
        """What tells whether source files with braces in their paths changed: ``braces``, a hash; {} without any.

        Snakemake cannot watch them, so the tracked configuration does, as Snakemake would: by name, size and time.
        """
        if dataset not in self._braces:
            files = self.data_inputs(dataset)
            paths = [*files.pop("images", []), *files.values()]
            found = [Path(path) for path in paths if _has_braces(path) and Path(path).is_file()]
            about = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found]
            digest = hashlib.sha256(repr(about).encode()).hexdigest()
            self._braces[dataset] = {"braces": digest} if about else {}
        return self._braces[dataset]

    def data_options(self, dataset: str) -> str:
        """The command line's options for the sources of a data set."""
        files = self.source_files(dataset).items()
        return " ".join(f"--source {shlex.quote(f'{name}={path}')}" for name, path in files)

    def data_threads(self, dataset: str) -> int:
        """How many threads an import may use; a generator takes one."""
        return DECODERS if self.source_files(dataset) else 1

    def weights(self, recipe: str) -> list[str]:
        """The file of initial weights, if the recipe has one."""
        definition = self.config["recipes"][recipe]
        return [self.source_path(definition["weights_file"])] if definition.get("weights") == "file" else []

    def files_of(self, recipe: str) -> list[tuple[str, str]]:
        """The files that a recipe names, each after its key: weights, or predictions made elsewhere."""
        found = [("weights_file", path) for path in self.weights(recipe)]
        for label, of_label in self.config["recipes"][recipe].get("predictions", {}).items():
            for seed in of_label:
                paths = itertools.chain(*self.adopted(recipe, label, seed).values())
                found += [(f"predictions.{label}.{seed}", path) for path in paths]
        return found

    def adopted(self, recipe: str, label: str, seed: Any) -> dict[str, list[str]]:
        """The file of a run's predictions that were made elsewhere, and of their names if it has one, by input."""
        given = self.config["recipes"][recipe]["predictions"][label][str(seed)]
        paths = {"file": given} if isinstance(given, str) else given
        keys = {"given": "file", "names": "names"}
        return {name: [self.source_path(paths[key])] if key in paths else [] for name, key in keys.items()}

    # -- configuration of each command -------------------------------------------------------------------------------

    def of(self, command: str, **names: Any) -> dict[str, Any]:
        """The configuration of a command for the wildcards of its outputs: just the keys that it reads."""
        return getattr(self, f"_{command}")(**{name: names[name] for name in _wildcards(command)})

    def told(self, command: str, **names: Any) -> dict[str, Any]:
        """:meth:`of` as the command gets it in a run: with the keys that have their neutral value."""
        return schema.restored(self.of(command, **names), schema.of_command())

    def json(self, command: str, **names: Any) -> str:
        """:meth:`of` as one line: one string, because Snakemake compares parameters without their names."""
        return self._lines(command, names)[0]

    def code(self, command: str, **names: Any) -> str:
        """Hash of the code that the command runs."""
        return self._lines(command, names)[1]

    def _lines(self, command: str, names: dict[str, Any]) -> tuple[str, str]:
        """Configuration and code hash, made once for all jobs that share them: a grid has thousands."""
        key = (command, *(names[name] for name in _wildcards(command)))
        if key not in self._tracked:
            config = self.of(command, **names)
            self._tracked[key] = canonical_json(config), self._code_of(command, config)
        return self._tracked[key]

    def _code_of(self, command: str, config: dict[str, Any]) -> str:
        """The code hash of a command with a configuration: the same for all seeds."""
        key = (command, canonical_json(commands.running(command, config)))
        if key not in self._code:
            self._code[key] = closure.code_hash(commands.entries(command, config))
        return self._code[key]

    def _data(self, dataset: str) -> dict[str, Any]:
        definition = self.config["datasets"][dataset]
        paths = schema.paths("source", definition["source"]["kind"])
        source = {k: v for k, v in definition["source"].items() if not (k in paths and isinstance(v, str))}
        if isinstance(source.get("classes"), dict):  # whose order is that of the classes, and tracked keys are sorted
            source["classes"] = [list(item) for item in source["classes"].items()]
        if source.get("checksum") == "published":
            known = FILES.get(Path(definition["source"]["archive"] or "").name)
            hashes = {"sha256": known.sha256, "md5": known.md5} if known else {}
            source["checksum"] = next((f"{kind}:{digest}" for kind, digest in hashes.items() if digest), None)
        told = {"source": self.tracked("source", source), "reference": definition["reference"]}
        if definition["reference"] == "other_people":
            told["reference_seed"] = definition["reference_seed"]
        return told | self._in_braces(dataset)

    def _download(self, file: str) -> dict[str, Any]:
        return {"file": file}

    def _card(self, dataset: str) -> dict[str, Any]:
        names = [Path(path).name for path in self.source_files(dataset).values()]
        known = next((FILES[name] for name in names if name in FILES), None)
        published = {"licence": known.licence, "citation": known.citation} if known else {}
        about = self.config["datasets"][dataset]["about"]
        return {
            "dataset": dataset,
            "seed": 0,
            **self._data(dataset),
            "about": published | {key: text for key, text in about.items() if text or key not in published},
            "splits": [list(split) for split in self.card_splits(dataset)],
        }

    def _split(self, split: str, seed: str) -> dict[str, Any]:
        fold = [int(number) for number in re.findall(r"\d+", str(seed).partition("-")[2])]
        made = {"split": self.tracked("split", self.config["splits"][split]), "seed": _seed(seed)}
        return made | ({"fold": fold} if fold else {})

    def _label(self, label: str, draw: str) -> dict[str, Any]:
        return {"label": {key: value for key, value in self.label(label).items() if key != "delivery"}, "draw": draw}

    def label(self, name: str) -> dict[str, Any]:
        """A label without the paths of files, which are inputs."""
        definition = self.config["labels"][name]
        paths = schema.paths("aggregate", definition["aggregate"]["kind"])
        aggregate = {key: value for key, value in definition["aggregate"].items() if key not in paths}
        return self.tracked("label", {**definition, "aggregate": aggregate})

    def tracked(self, key: str, value: Any) -> Any:
        """What a command is told of a recipe, label …: all but keys at the value that they had before they existed."""
        return schema.tracked(value, schema.of_command()["properties"][key])

    def recipe(self, name: str) -> dict[str, Any]:
        """A recipe without the paths of its weights or predictions, which are inputs; made once for all its runs."""
        if ("recipe", name) not in self._told:
            recipe = {key: value for key, value in self.config["recipes"][name].items() if key != "weights_file"}
            recipe |= {"predictions": ELSEWHERE} if self.maker(name) == ADOPTED else {}
            self._told["recipe", name] = self.tracked("recipe", recipe)
        return self._told["recipe", name]

    def _delivery(self, label: str) -> dict[str, Any]:
        """How a label's targets are delivered; made once, too."""
        if ("delivery", label) not in self._told:
            delivery = {"delivery": self.config["labels"][label]["delivery"]}
            rule = schema.section("label")["properties"]
            self._told["delivery", label] = schema.tracked(delivery, {"properties": rule})
        return self._told["delivery", label]

    def _train(self, recipe: str, label: str, seed: str) -> dict[str, Any]:
        return {"recipe": self.recipe(recipe), "seed": _seed(seed), **self._delivery(label)}

    def _adopt(self, recipe: str) -> dict[str, Any]:
        return {"recipe": self.recipe(recipe)}

    def _encode(self, encoder: str) -> dict[str, Any]:
        return {"recipe": commands.encoder(self.recipe(self.recipe_of(encoder)))}

    def _fit(self, recipe: str) -> dict[str, Any]:
        return {"recipe": self.recipe(recipe)}

    def groupings(self, dataset: str) -> dict[str, dict[str, list[str]]]:
        """The classes of a data set that are scored merged, as its definition, or else its source, says."""
        return config.groupings_of(self.config["datasets"][dataset])

    def metrics(self, study: str) -> dict[str, Options]:
        """Name to kind and options of the metrics of a study, in its order."""
        if study not in self._metrics:  # asked for by every job
            self._metrics[study] = config.metrics_of(self.config["studies"][study])
        return self._metrics[study]

    def sets(self, study: str) -> list[str]:
        """The sets of metrics that hold those of a study."""
        return sets(self.metrics(study))

    def _scored(self, metrics: str) -> dict[str, Any]:
        """Which metrics a set has: studies share the standard ones; each further one stands alone."""
        if ("metrics", metrics) not in self._told:
            of_studies = itertools.chain(*(self.metrics(study).items() for study in self.config["studies"]))
            chosen = of_set(metrics, dict(of_studies))
            needs = {name: entry("metric", options["kind"])["needs"] for name, options in chosen.items()}
            needs = {name: need for name, need in needs.items() if need}
            self._told["metrics", metrics] = {"set": metrics, "metrics": chosen, "needs": needs}
        return self._told["metrics", metrics]

    def _evaluate(self, dataset: str, metrics: str) -> dict[str, Any]:
        if metrics != STANDARD:
            return self._scored(metrics)
        groupings = self.groupings(dataset)
        more = {"structure": {"neighbours": NEIGHBOURS}} | ({"groupings": groupings} if groupings else {})
        return self._scored(metrics) | more

    def _references(self, seed: str, metrics: str) -> dict[str, Any]:
        return {**self._scored(metrics), "seed": int(seed)}

    def _embed(self, study: str) -> dict[str, Any]:
        return {**self.config["studies"][study]["embedding"], "neighbours": NEIGHBOURS}

    def _study(self, study: str) -> dict[str, Any]:
        grid, points, metrics = self.config["studies"][study], self.config.grids[study], self.metrics(study)
        alike: dict[str, list[str]] = {}  # recipes, by split
        for _, split, recipe in dict.fromkeys(point.base for point in config.alike(self.config, study)):
            alike.setdefault(split, []).append(recipe)
        elsewhere, heads = (
            [name for name in used(points, "recipe") if self.maker(name) == maker] for maker in (ADOPTED, FITTED)
        )
        printed = {
            name: {"kind": name} for name in METRICS
        } | metrics  # groups and rows of votes have metrics of their own
        return {
            "study": study, **{key: grid[key] for key in ("seeds", "ddof", "level")}, "baseline": grid["labels"][0],
            "datasets": {
                name: {
                    "paper": self.config["datasets"][name]["paper"], "description": self._data(name),
                    **({"private": True} if self.config["datasets"][name]["private"] else {}),
                }
                for name in used(points, "dataset")
            },
            "splits": {name: self.tracked("split", self.config["splits"][name]) for name in used(points, "split")},
            "recipes": {name: self.recipe(name) for name in used(points, "recipe")},
            "labels": {name: self.label(name) for name in used(points, "label")},
            "metrics": list(metrics), "metric_options": metrics,
            "metric_facts": {name: _printed(options) for name, options in printed.items()},
            "metric_code": {
                name: closure.code_hash([":".join(location("metric", m["kind"]))]) for name, m in printed.items()
            },
            "tables": self.tracked("tables", grid["tables"]),
            **({"report": self.config["report"]} if self.config["report"]["images"] != "thumbnails" else {}),
            **({"histories": curves} if (curves := self.with_histories(study)) else {}),
            **_varied(points),
            **({"elsewhere": elsewhere} if elsewhere else {}),
            **({"heads": heads} if heads else {}), **({"claims": grid["claims"]} if grid["claims"] else {}),
            **({"alike": alike} if alike and len(grid["seeds"]) > 1 else {}),
        }  # fmt: skip

    def _figure(self, study: str, figure: str, block: str) -> dict[str, Any]:
        grid = self.config["studies"][study]
        options = self.tracked("figure", self.figures(study)[figure]["options"])
        place = tuple(block.split("-")[1:])
        labels = self.blocks(study, BLOCK)[place] if place else grid["labels"]
        of_study = {"study": study, "labels": labels, "seeds": grid["seeds"]}
        return {**of_study, "figure": options, "block": list(place) or None}

    def _chain(self, study: str) -> dict[str, Any]:
        return {"study": study}


def _has_braces(path: str) -> bool:
    return "{" in path or "}" in path


def _seed(seed: Any) -> int:
    """The number of a seed, without the fold that a run leaves out."""
    return int(str(seed).partition("-")[0])


def _has(names: dict[str, Any], fixed: dict[str, Any]) -> bool:
    """Whether wildcards have the fixed values."""
    return all(fixed.get(name, value) == value for name, value in names.items())


def _once(command: str, jobs: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The wildcards of a command's jobs, each job once."""
    wildcards = places.PLACES[command].wildcards
    found = {tuple(job[name] for name in wildcards): None for job in jobs}
    return (dict(zip(wildcards, values, strict=True)) for values in found)


def _products(axes: dict[str, list[Any]], fixed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All combinations of the values of axes, the last varies fastest, that have the fixed values."""
    chosen = ([value for value in values if fixed.get(name, value) == value] for name, values in axes.items())
    yield from (dict(zip(axes, values, strict=True)) for values in itertools.product(*chosen))


def _varied(grid: list[Point]) -> dict[str, Any]:
    """What the command ``study`` is told of the points of a study that varies something."""
    if not grid[0].values:
        return {}
    points = [
        {"base": list(p.base), "names": [p.dataset, p.split, p.recipe], "labels": p.labels, "values": p.values}
        for p in grid
    ]
    return {"varied": list(grid[0].values), "points": points}


def _printed(options: Options) -> dict[str, Any]:
    """What tables print of a metric; options that are not the default are told in its heading."""
    about = {"heading": options["kind"], **PRINTED, **entry("metric", options["kind"])}
    defaults = schema.defaults("metric", options["kind"])
    changed = [key for key in about["options"] if key in options and options[key] != defaults.get(key)]
    chosen = ", ".join(f"{key} {_text(options[key])}" for key in changed)
    heading = f"{about['heading']} ({chosen})" if chosen else about["heading"]
    return {"heading": heading, **{key: about[key] for key in PRINTED}}


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@cache
def _wildcards(command: str) -> tuple[str, ...]:
    """The wildcards that a command's configuration depends on: the parameters that its method names."""
    parameters = inspect.signature(getattr(Plan, f"_{command}")).parameters.values()
    return tuple(p.name for p in parameters if p.name != "self")
