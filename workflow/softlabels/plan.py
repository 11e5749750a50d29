"""The grid: which files a study needs, and with which configuration each is made. No Snakemake in here."""

from __future__ import annotations

import inspect
import itertools
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from . import commands, config, schema
from .contracts import names
from .contracts.names import Options, metric_name
from .datasets.download import FILES
from .datasets.folder import image_files
from .io import canonical_json
from .provenance.closure import module_hash
from .registry import entry, location

NAME = "[a-z0-9][a-z0-9_]*"
RUN = "{dataset}/{split}/{recipe}/{label}/seed{seed}"
AXES = ("dataset", "split", "recipe", "seed", "label")  # of a study's grid, the last varies fastest
# Of the nearest-neighbour numbers: half of the usual perplexity. Recorded in every evaluation's configuration.
NEIGHBOURS = 15
# Of the sampling floor: with 20, its mean over 2,000 items of CIFAR-10H differs by 0.0002 between seeds, of 0.0286.
DRAWS = 20
# Of an import: more threads than this wait for the disk.
DECODERS = 4


class Plan:
    """A resolved configuration, asked for paths and for the configuration of each command.

    Methods that configure a command take the wildcards of its outputs as keyword arguments.
    """

    def __init__(self, raw: dict[str, Any]):
        self.config = config.resolve(raw)
        self.root = Path(self.config["results"]).as_posix()
        self._tracked: dict[tuple, tuple[str, str]] = {}

    # -- which files -----------------------------------------------------------------------------------------------

    def runs(self, study: str, **fixed: Any) -> Iterator[str]:
        """The runs of a study, as ``dataset/split/recipe/label/seedS``, label by label within a seed."""
        grid = self.config["studies"][study]
        wanted = [[name for name in grid[f"{axis}s"] if fixed.get(axis, name) == name] for axis in AXES]
        for values in itertools.product(*wanted):
            yield RUN.format(**dict(zip(AXES, values, strict=True)))

    def run_files(self, study: str, file: str, **fixed: Any) -> list[str]:
        """One file of each run of a study."""
        return [f"{self.root}/runs/{run}/{file}" for run in self.runs(study, **fixed)]

    def score_files(self, study: str, suffix: str = ".parquet") -> list[str]:
        """The scores of each run of a study, by each set of metrics."""
        sets = self.sets(study)
        return [f"{self.root}/runs/{run}/scores/{of_set}{suffix}" for run in self.runs(study) for of_set in sets]

    def reference_files(self, study: str, suffix: str = ".parquet") -> list[str]:
        """The reference rows of each split and seed of a study, by each set of metrics."""
        places, sets = self.split_files(study, "references", ""), self.sets(study)
        return [f"{place}/{of_set}{suffix}" for place in places for of_set in sets]

    def split_files(self, study: str, folder: str, suffix: str) -> list[str]:
        """One file of each split and seed of a study, in ``splits/`` or ``references/``."""
        grid = self.config["studies"][study]
        return [
            f"{self.root}/{folder}/{dataset}/{split}/seed{seed}{suffix}"
            for dataset in grid["datasets"]
            for split in grid["splits"]
            for seed in grid["seeds"]
        ]

    def data_files(self, study: str, file: str) -> list[str]:
        """One file of each data set of a study."""
        return [f"{self.root}/data/{dataset}/{file}" for dataset in self.config["studies"][study]["datasets"]]

    def label_files(self, study: str, suffix: str = ".parquet") -> list[str]:
        """The label files of a study."""
        grid = self.config["studies"][study]
        return [f"{self.root}/labels/{d}/{label}/all{suffix}" for d in grid["datasets"] for label in grid["labels"]]

    def blocks(self, study: str) -> list[tuple[str, str, str]]:
        """Data set, split and recipe of each figure of embeddings."""
        grid = self.config["studies"][study]
        return list(itertools.product(grid["datasets"], grid["splits"], grid["recipes"]))

    def panels(self, study: str) -> list[str]:
        """:meth:`blocks` as ``dataset-split-recipe``."""
        return ["-".join(block) for block in self.blocks(study)]

    def embeddings(self, study: str, dataset: str, split: str, recipe: str) -> list[str]:
        """The embeddings of one figure, label by label: the first seed's."""
        grid = self.config["studies"][study]
        return [
            f"{self.root}/studies/{study}/tsne/{dataset}-{split}-{recipe}-{label}-seed{grid['seeds'][0]}.parquet"
            for label in grid["labels"]
        ]

    def card_splits(self, dataset: str) -> list[tuple[str, int]]:
        """The splits of a data set, and their seeds, that any study uses."""
        studies = [study for study in self.config["studies"].values() if dataset in study["datasets"]]
        return sorted({(split, seed) for study in studies for split in study["splits"] for seed in study["seeds"]})

    def split_files_of(self, dataset: str) -> list[str]:
        """The files of :meth:`card_splits`."""
        return [f"{self.root}/splits/{dataset}/{s}/seed{seed}.parquet" for s, seed in self.card_splits(dataset)]

    def study_files(self, study: str) -> list[str]:
        """What a study is for: tables and figures."""
        folder = f"{self.root}/studies/{study}"
        figures = [*(f"embedding-{panel}" for panel in self.panels(study))]
        figures += [f"curves-{panel}" for panel in self.panels(study)]
        return [f"{folder}/table.md", f"{folder}/chain.json"] + [f"{folder}/figures/{name}.png" for name in figures]

    def targets(self) -> list[str]:
        """What ``all`` asks for."""
        cards = [file for study in self.config["studies"] for file in self.data_files(study, "card.md")]
        return [*dict.fromkeys(cards), *(file for study in self.config["studies"] for file in self.study_files(study))]

    def prepared(self) -> list[str]:
        """Data, labels and splits of all studies. Built first, unchanged bytes stop a rebuild of what follows."""
        files: list[str] = []
        for study in self.config["studies"]:
            files += self.data_files(study, "images.npy") + self.label_files(study)
            files += self.split_files(study, "splits", ".parquet")
        return list(dict.fromkeys(files))

    def manifests(self, study: str) -> list[str]:
        """The manifests of all jobs that the tables of a study rest on, the study's own included."""
        files = self.data_files(study, "images.manifest.json") + self.label_files(study, ".manifest.json")
        files += self.split_files(study, "splits", ".manifest.json")
        files += self.reference_files(study, ".manifest.json") + self.score_files(study, ".manifest.json")
        files += self.run_files(study, "model.manifest.json")
        return [*files, f"{self.root}/studies/{study}/config.manifest.json"]

    # -- sources ---------------------------------------------------------------------------------------------------

    def source_path(self, path: str) -> str:
        """A path of the configuration, starting from ``data_folder`` if it is relative."""
        return str(Path(self.config["data_folder"]) / path)

    @property
    def downloads(self) -> str:
        """Where a published file is put, as a pattern of Snakemake with the wildcard ``file``."""
        folder = self.config["data_folder"].replace("{", "{{").replace("}", "}}")
        return str(Path(folder, "{file}"))

    def source_files(self, dataset: str) -> dict[str, str]:
        """Where the sources of a data set lie, by the names of the command's inputs (``folder``: of images)."""
        source = self.config["datasets"][dataset]["source"]
        paths = paths_of(source["kind"])
        files = {paths[key]: self.source_path(source[key]) for key in paths if isinstance(source.get(key), str)}
        if "folder" in files:
            inside = entry("source", source["kind"]).get("inside", {})
            files |= {name: str(Path(files["folder"], file)) for name, file in inside.items()}
        return files

    def data_inputs(self, dataset: str) -> dict[str, Any]:
        """The input files of a data set: its votes and every image, so that a changed image is noticed."""
        inputs: dict[str, Any] = self.source_files(dataset)
        folder = inputs.pop("folder", None)
        return inputs if folder is None else {**inputs, "images": [str(path) for path in image_files(Path(folder))]}

    def data_options(self, dataset: str) -> str:
        """The command line's options for the sources of a data set."""
        return " ".join(f"--{name} {shlex.quote(path)}" for name, path in self.source_files(dataset).items())

    def data_threads(self, dataset: str) -> int:
        """How many threads an import may use; a generator takes one."""
        return DECODERS if self.source_files(dataset) else 1

    def weights(self, recipe: str) -> list[str]:
        """The file of initial weights, if the recipe has one."""
        definition = self.config["recipes"][recipe]
        return [self.source_path(definition["weights_file"])] if definition["weights"] == "file" else []

    # -- configuration of each command -------------------------------------------------------------------------------

    def of(self, command: str, **names: Any) -> dict[str, Any]:
        """The configuration of a command for the wildcards of its outputs: just the keys that it reads."""
        return getattr(self, f"_{command}")(**names)

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
            self._tracked[key] = canonical_json(config), commands.code_hash(command, config)
        return self._tracked[key]

    def _data(self, dataset: str) -> dict[str, Any]:
        definition = self.config["datasets"][dataset]
        paths = paths_of(definition["source"]["kind"])
        source = {k: v for k, v in definition["source"].items() if not (k in paths and isinstance(v, str))}
        if source.get("checksum") == "published":
            known = FILES.get(Path(definition["source"]["archive"] or "").name)
            hashes = {"sha256": known.sha256, "md5": known.md5} if known else {}
            source["checksum"] = next((f"{kind}:{digest}" for kind, digest in hashes.items() if digest), None)
        return {"source": self.tracked("source", source), "reference": definition["reference"]}

    def _download(self, file: str) -> dict[str, Any]:
        return {"file": file}

    def _card(self, dataset: str) -> dict[str, Any]:
        names = [Path(path).name for path in self.source_files(dataset).values()]
        known = next((FILES[name] for name in names if name in FILES), None)
        published = {"licence": known.licence, "citation": known.citation} if known else {}
        about = self.config["datasets"][dataset]["about"]
        return {
            "dataset": dataset,
            "about": published | {key: text for key, text in about.items() if text or key not in published},
            **self._data(dataset),
            "splits": [list(split) for split in self.card_splits(dataset)],
            "seed": 0,
            "draws": DRAWS,
        }

    def _split(self, split: str, seed: str, **_: Any) -> dict[str, Any]:
        return {"split": self.tracked("split", self.config["splits"][split]), "seed": int(seed)}

    def _label(self, label: str, draw: str, **_: Any) -> dict[str, Any]:
        return {"label": self.tracked("label", self.config["labels"][label]), "draw": draw}

    def tracked(self, key: str, value: Any) -> Any:
        """What a command is told of a recipe, label …: all but keys at the value that they had before they existed."""
        return schema.tracked(value, schema.of_command()["properties"][key])

    def recipe(self, name: str) -> dict[str, Any]:
        """A recipe without the path of its weights, which is an input."""
        recipe = {key: value for key, value in self.config["recipes"][name].items() if key != "weights_file"}
        return self.tracked("recipe", recipe)

    def _train(self, recipe: str, seed: str, **_: Any) -> dict[str, Any]:
        return {"recipe": self.recipe(recipe), "seed": int(seed)}

    def metrics(self, study: str) -> dict[str, Options]:
        """Name to kind and options of the metrics of a study, in its order."""
        wanted = self.tracked("metrics", self.config["studies"][study]["metrics"])
        return {metric_name(options, schema.defaults("metric", options["kind"])): options for options in wanted}

    def sets(self, study: str) -> list[str]:
        """The sets of metrics that hold those of a study."""
        return names.sets(self.metrics(study))

    def _of_set(self, of_set: str) -> dict[str, Any]:
        """Which metrics an evaluation computes: studies share the standard ones; each further one stands alone."""
        wanted = {name: options for study in self.config["studies"] for name, options in self.metrics(study).items()}
        return {"set": of_set, "metrics": names.of_set(of_set, wanted)}

    def _evaluate(self, split: str, metrics: str, **_: Any) -> dict[str, Any]:
        config = self._of_set(metrics)
        if metrics == names.STANDARD:
            config["allow_missing_class"] = self.config["splits"][split]["allow_missing_class"]
            config["structure"] = {"neighbours": NEIGHBOURS}
        return config

    def _references(self, split: str, seed: str, metrics: str, **_: Any) -> dict[str, Any]:
        config = {**self._of_set(metrics), "seed": int(seed), "draws": DRAWS}
        if metrics == names.STANDARD:
            config["allow_missing_class"] = self.config["splits"][split]["allow_missing_class"]
        return config

    def _embed(self, study: str, **_: Any) -> dict[str, Any]:
        return {**self.config["studies"][study]["embedding"], "neighbours": NEIGHBOURS}

    def _study(self, study: str) -> dict[str, Any]:
        grid, metrics = self.config["studies"][study], self.metrics(study)
        return {
            "study": study,
            "datasets": {
                name: {"paper": self.config["datasets"][name]["paper"], "description": self._data(name)}
                for name in grid["datasets"]
            },
            "splits": {name: self.tracked("split", self.config["splits"][name]) for name in grid["splits"]},
            "recipes": {name: self.recipe(name) for name in grid["recipes"]},
            "labels": {name: self.tracked("label", self.config["labels"][name]) for name in grid["labels"]},
            "seeds": grid["seeds"],
            "metrics": list(metrics),
            "metric_options": metrics,
            "metric_code": {name: module_hash(location("metric", m["kind"])[0]) for name, m in metrics.items()},
            "ddof": grid["ddof"],
            "level": grid["level"],
            "baseline": grid["labels"][0],
        }

    def _figure(self, study: str, **_: Any) -> dict[str, Any]:
        grid = self.config["studies"][study]
        return {"study": study, "labels": grid["labels"], "seeds": grid["seeds"]}

    _curves = _figure

    def _chain(self, study: str) -> dict[str, Any]:
        return {"study": study}


def paths_of(kind: str) -> dict[str, str]:
    """The keys of a kind of source that are paths, and the names of the command's inputs."""
    rules = schema.options("source", kind)["properties"]
    return {key: rule["input"] for key, rule in rules.items() if "input" in rule}


@cache
def _wildcards(command: str) -> tuple[str, ...]:
    """The wildcards that a command's configuration depends on: the parameters that its method names."""
    parameters = inspect.signature(getattr(Plan, f"_{command}")).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self")
