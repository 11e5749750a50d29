"""Finished studies of a few small images, made in this process by the commands themselves, manifests included."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from softlabels import contracts, io
from softlabels.commands import COMMANDS
from softlabels.places import PLACES
from softlabels.plan import Plan
from softlabels.provenance import manifest

SHAPES = {"source": {"kind": "synthetic", "items": 120, "pixels": 12, "seed": 0}, "reference": "exact"}
VOTED = {"source": {**SHAPES["source"], "votes": 5}, "reference": "votes"}
QUICK = {"network": "compact", "epochs": 1, "batch": 32}
EMBEDDING = {"perplexity": 5, "iterations": 250}
CONFIG = {
    "datasets": {"shapes": {**SHAPES, "paper": "synthetic"}},
    "recipes": {"quick": QUICK},
    "studies": {"small": {"datasets": ["shapes"], "recipes": ["quick"], "seeds": [0, 1], "embedding": EMBEDDING}},
}


def of(plan: Plan, command: str, *outputs: str, **names: Any) -> dict[str, Path]:
    """The outputs of a job, all or some of them, by name."""
    return {name: Path(plan.path(command, name, **names)) for name in outputs or PLACES[command].outputs}


def scored(plan: Plan, names: dict) -> dict[str, Path]:
    """What predictions are scored against."""
    return of(plan, "data", "reference", "annotations", **names) | of(plan, "split", **names)


def label_of(plan: Plan, names: dict) -> Path:
    """The label file that a run is trained on."""
    return of(plan, "label", **names, **plan.labels_of(names["label"], names["split"], names["seed"]))["labels"]


PREDICTED = ("dataset", "split", "recipe", "label", "seed")  # the wildcards of a run
# What each command reads, by the names of its inputs: of the plan and the wildcards of a job. In the order of the data.
READS: dict[str, Callable[[Plan, dict], dict[str, Any]]] = {
    "data": lambda plan, names: {name: Path(path) for name, path in plan.source_files(names["dataset"]).items()},
    "split": lambda plan, names: of(plan, "data", "items", "reference", **names),
    "label": lambda plan, names: (
        of(plan, "data", "annotations", "reference", **names)
        | {k: Path(*v) for k, v in plan.label_inputs(**names).items() if v}
    ),
    "card": lambda plan, names: {**of(plan, "data", **names), "splits": list(map(Path, plan.split_files(**names)))},
    "references": lambda plan, names: scored(plan, names) | of(plan, "data", "annotations", **names),
    "train": lambda plan, names: (
        of(plan, "data", "images", "items", "reference", **names)
        | of(plan, "split", **names)
        | {"labels": label_of(plan, names)}
    ),
    "adopt": lambda plan, names: (
        {k: Path(*v) for k, v in plan.adopted(*(names[k] for k in ("recipe", "label", "seed"))).items() if v}
        | of(plan, "data", "items", "reference", **names)
        | of(plan, "split", **names)
    ),
    "encode": lambda plan, names: (
        of(plan, "data", "images", **names)
        | dict(zip(["weights"], map(Path, plan.weights(plan.recipe_of(names["encoder"]))), strict=False))
    ),
    "fit": lambda plan, names: (
        {name: Path(path) for name, path in plan.encoded(names["dataset"], names["recipe"]).items()}
        | of(plan, "data", "items", "reference", **names)
        | of(plan, "split", **names)
        | {"labels": label_of(plan, names)}
    ),
    "evaluate": lambda plan, names: (
        scored(plan, names)
        | {k: Path(*v) for k, v in plan.predicted(**{k: names[k] for k in PREDICTED}).items() if v}
        | of(plan, "data", "items", **names)
        | {"label": label_of(plan, names)}
    ),
    "embed": lambda plan, names: (
        of(plan, "data", "reference", **names) | of(plan, "split", **names) | of(plan, "train", "features", **names)
    ),
    "study": lambda plan, names: inputs_of(plan),
    "figure": lambda plan, names: {k: list(map(Path, found)) for k, found in plan.figure_files(**names).items()},
    "chain": lambda plan, names: {"manifests": list(map(Path, plan.manifests(**names)))},
}


def build(root: Path, config: dict | None = None, drawn: tuple[str, ...] = ()) -> Path:
    """Run every command of the study of ``CONFIG``, with logs and benchmarks, and return the results folder.

    Args:
        root: the results folder.
        config: instead of ``CONFIG``; it has one study, too.
        drawn: which of ``card``, ``embed`` and ``figure`` run, too.
    """
    plan = Plan({**(config or CONFIG), "results": str(root)})
    (study,) = plan.config["studies"]
    commands = [c for c in READS if c in drawn or c not in ("card", "embed", "figure")]
    for command, names in plan.jobs(study, *commands):
        config, outputs = plan.of(command, **names), of(plan, command, **names)
        given = READS[command](plan, names)
        started, code = manifest.now(), {"code": plan.code(command, **names)} if COMMANDS[command].resumes else {}
        run = importlib.import_module(COMMANDS[command].module).run
        facts = run(plan.told(command, **names), given, outputs, **code)
        if PLACES[command].manifest:
            path = Path(plan.path(command, "manifest", **names))
            manifest.write(path, command, config, given, outputs, started, facts or {})
        log = PLACES[command].log.format_map(names)
        for path in (f"logs/{log}.log", f"benchmarks/{log}.tsv"):
            io.write_text(root / path, "")
    return root


# -- studies of one finished run, at the places that other configurations give its files -------------------------------

HARD, SOFT = {"aggregate": "majority", "form": "hard"}, {"aggregate": "average", "form": "soft"}
BOTH = {
    "datasets": {"synthetic": {**SHAPES, "paper": "synthetic"}, "mice_bone": {**VOTED, "paper": "mice_bone"}},
    "recipes": {"compact": QUICK},
    "studies": {
        "hard_vs_soft": {"datasets": ["synthetic", "mice_bone"], "recipes": ["compact"], "embedding": EMBEDDING}
    },
}
SCORES = {  # label -> metric -> one value a seed; a label that is not listed scores as soft does
    "hard": {"macro_acc": [0.80, 0.82, 0.87], "acc": [0.80, 0.82, 0.87], "kl": [1.10, 1.20, 1.15],
             "kl_dcic": [0.40, 0.50, 0.45], "ce": [1.7, 1.8, 1.75], "tvd": [0.2, 0.2, 0.2]},
    "soft": {"macro_acc": [0.90, 0.93, 0.91], "acc": [0.90, 0.93, 0.91], "kl": [0.04, 0.05, 0.06],
             "kl_dcic": [0.03, 0.04, 0.05], "ce": [0.6, 0.6, 0.6], "tvd": [0.1, 0.1, 0.1]},
}  # fmt: skip
READ = {"data": ("items", "reference"), "references": ("references",), "train": ("predictions", "history"),
        "evaluate": ("scores", "terms"), "embed": ("embedding",)}  # fmt: skip


def build_both(root: Path) -> Path:
    """Finish ``BOTH``; the items of mice_bone have no positions."""
    items = build(root, BOTH, ("embed",)) / "data/mice_bone/items.parquet"
    io.write_table(items, io.read_table(items)[0].drop_columns(["u", "s", "pure"]))
    return root


def inputs_of(plan: Plan) -> dict[str, list[Path]]:
    """What the command ``study`` reads, for the study of a plan."""
    (name,) = plan.config["studies"]
    sources = {"scores": "evaluate", "terms": "evaluate", "references": "references", "items": "data",
               "reference": "data"}  # fmt: skip
    found = {output: plan.files(name, command, output) for output, command in sources.items()}
    found |= {"predictions": plan.predictions(name), "histories": plan.histories(name),
              "annotations": plan.annotations(name)}  # fmt: skip
    return {what: list(map(Path, files)) for what, files in found.items()}


def study(
    both: Path, root: Path, *, datasets: tuple = ("synthetic",), splits: tuple = ("random",),
    recipes: tuple = ("compact",), labels: dict | None = None, name: str = "hard_vs_soft", **changes: Any,
) -> tuple[dict, dict, dict]:  # fmt: skip
    """Configuration, inputs and outputs of the command ``study`` for a changed ``BOTH``.

    The inputs are copies of its finished files: whatever a split and a recipe is called, and of a label those of the
    same form. Scores of test parts are set to ``SCORES``, so that their means are known.
    """
    labels = labels or {"hard": HARD, "soft": SOFT}
    axes = {"datasets": [*datasets], "splits": [*splits], "recipes": [*recipes], "labels": [*labels]}
    raw = {
        "results": str(root),
        "datasets": {dataset: BOTH["datasets"][dataset] for dataset in datasets},
        "splits": {split: {} for split in splits},
        "recipes": dict.fromkeys(recipes, QUICK),
        "labels": labels,
        "studies": {name: {**axes, "embedding": EMBEDDING, **changes}},
    }
    plan = Plan(raw)
    for command, names in plan.jobs(name, *READ):
        like = {**names, "study": "hard_vs_soft", "split": "random", "recipe": "compact"}
        like |= {"seed": 0} if command == "embed" else {}
        like |= {"label": labels[names["label"]]["form"]} if "label" in names else {}
        for output in READ[command]:
            path = Path(plan.path(command, output, **names))
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(both / PLACES[command].files[output].format_map(like), path)
        if command == "evaluate":
            values = SCORES.get(names["label"], SCORES["soft"]).items()
            edit(
                Path(plan.path(command, "scores", **names)),
                {("all", "none", metric): of_seed[names["seed"]] for metric, of_seed in values},
            )
    outputs = {output: Path(plan.path("study", output, study=name)) for output in PLACES["study"].outputs}
    return plan.of("study", study=name), inputs_of(plan), outputs


def edit(path: Path, values: dict | None = None, **facts: Any) -> None:
    """Change numbers of the test part in a run's scores, by group, scaling and metric, and facts of the file.

    What each item adds to such a number of all items is changed by as much.
    """
    found, metadata = contracts.read_scores(path), io.read_table(path)[1]
    changed = found.values | {("test", *key): value for key, value in (values or {}).items()}
    kept = {name: metadata[name] for name in ("classes", "eps", "scalings")}
    contracts.write_scores(path, changed, **{**kept, **facts})
    terms = contracts.read_terms(beside := path.with_suffix(".terms.parquet"))
    moved = {
        name: terms.values[name] + (value - terms.values[name].mean())
        for (group, scaling, name), value in (values or {}).items()
        if (group, scaling) == ("all", "none") and name in terms.values
    }
    contracts.write_terms(beside, replace(terms, values={**terms.values, **moved}))


def drop(path: Path, group: str | None = None, scaling: str | None = None) -> None:
    """Take a group's, or a scaling's, numbers out of a run's scores and terms."""
    found, metadata = contracts.read_scores(path), io.read_table(path)[1]
    kept = {key: value for key, value in found.values.items() if key[1] != group and key[2] != scaling}
    contracts.write_scores(path, kept, *(metadata[name] for name in ("classes", "eps", "scalings")))
    terms = contracts.read_terms(beside := path.with_suffix(".terms.parquet"))
    ends = (f"@{group}", f"+{scaling}")
    values = {name: value for name, value in terms.values.items() if not name.endswith(ends)}
    contracts.write_terms(beside, replace(terms, values=values))


def edit_json(path: Path, change: Callable[[dict], Any]) -> None:
    """Change the content of a JSON file."""
    content = io.read_json(path)
    change(content)
    io.write_json(path, content)


def edit_table(path: Path, change: Callable[[list[dict]], list[dict] | None], **facts: Any) -> None:
    """Change the rows of a Parquet file of ours, in place or for others, and its metadata."""
    table = pq.read_table(path)
    metadata = json.loads(table.schema.metadata[b"softlabels"]) | facts
    rows = table.to_pylist()
    rows = change(rows) or rows
    metadata.pop("schema_version")
    io.write_table(path, pa.Table.from_pylist(rows, schema=table.schema), metadata)
