"""Soundness of the code hash: what a command executes is in its closure, or declared harmless."""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import json
import sys
import threading
from functools import cache
from pathlib import Path

import data_files
import dcic_files
import finished_run
import forms
import numpy as np
import pytest
import torch

from softlabels import adopt, closure, commands, contracts, io, registry, schema
from softlabels.labels import label
from softlabels.plan import Plan

VOTED = {
    "datasets": {
        "shapes": {
            "source": {
                "kind": "synthetic", "items": 120, "pixels": 12, "seed": 0, "classes": "colour", "votes": 5,
                "annotators": 12, "annotator_model": "confusion", "load": "uneven",
                "spammer_share": 0.1, "complete_annotators": 2,
            },
            "reference": "votes",
        }
    },
    "recipes": {
        "quick": {
            "network": "compact", "epochs": 1, "batch": 32, "schedule": {"kind": "warm_restarts"}, "dropout": 0.1,
            "class_weight": "per_class", "select": "best_validation", "hold": "steps",
            "augment": {"zoom": 0.1, "zoom_probability": 0.5, "brightness": 0.1, "hue": 0.1},
        }
    },
    "splits": {"random": {"kind": "random", "allow_missing_class": True}},
    "labels": {
        "hard": finished_run.HARD, "soft": finished_run.SOFT, "mmsr": {"aggregate": "mmsr", "form": "hard"},
        "mean": {"form": "soft", "aggregate": {"kind": "ensemble_mean", "of": [
            "average", "dawid_skene", "one_coin", "wawa", {"kind": "glad", "iterations": 1},
            {"kind": "mace", "restarts": 1, "iterations": 2}, {"kind": "zbs", "iterations": 2}]}},
    },
    "studies": copy.deepcopy(finished_run.CONFIG["studies"]),
}  # fmt: skip
VOTED["studies"]["small"]["labels"] = ["hard", "mean", "mmsr", "soft"]
HEADS = copy.deepcopy(finished_run.CONFIG) | {
    "recipes": {"head": {"network": "efficientnet_lite0", "weights": "packaged", "train": "head", "upscale": 32}}
}
HEADS["studies"]["small"]["recipes"] = ["head"]
LOCAL = inspect.CO_OPTIMIZED  # of the code of functions, lambdas and generators; of no module or class body


class Calls:
    """Notes the functions of the package that run, but not those that harmless ones call."""

    def __init__(self):
        self.codes = set()

    def __enter__(self):
        threading.setprofile(self)
        sys.setprofile(self)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)
        threading.setprofile(None)

    def __call__(self, frame, event, _):
        if event != "call" or module_of(frame.f_code.co_filename) is None or frame.f_code in self.codes:
            return
        caller = frame
        while caller is not None:
            if is_harmless(caller.f_code):
                return
            caller = caller.f_back
        self.codes.add(frame.f_code)


@cache
def module_of(file):
    path = Path(file)
    if not path.is_relative_to(closure.PACKAGE):
        return None
    return ".".join(("softlabels", *path.relative_to(closure.PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


@cache
def is_harmless(code):
    module = module_of(code.co_filename)
    return module in closure.HARMLESS or f"{module}:{code.co_qualname}" in closure.HARMLESS


@cache
def statements(file):
    return ast.parse(Path(file).read_text()).body


def place_of(code):
    """The statement of the top level that holds a function's code, as closures name it, and whether it binds names."""
    for statement in statements(code.co_filename):
        first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])
        if first <= code.co_firstlineno <= statement.end_lineno:
            bound = getattr(statement, "targets", [getattr(statement, "target", statement)])
            names = {node.id for target in bound for node in ast.walk(target) if isinstance(node, ast.Name)}
            name = getattr(statement, "name", ",".join(sorted(names)))
            return f"{module_of(code.co_filename)}:{name}"
    raise AssertionError(code)


def missed(codes, reached):
    """The definitions that ran and are not in a closure, nor in what the import of their module does."""
    found = set()
    for code in codes:
        place = place_of(code)
        module, _, names = place.partition(":")
        path = closure.path_of(module)
        acts = {",".join(unit.names) for unit in closure._module(module, path).effects}
        if place not in reached.definitions and not (names in acts and f"{module}:<import>" in reached.definitions):
            found.add(place)
    return found


def import_every_source(folder, voted):
    """Import a small data set of each kind."""
    names = [f"{index:05d}.png" for index in range(12)]
    images = data_files.save_images(folder / "images", names, (4, 4))
    counts = np.random.default_rng(0).integers(0, 4, (12, 3))
    counts[:, 0] += 1
    np.save(folder / "counts.npy", counts)
    rows = [f"{name},{who},{'abc'[who % 3]}" for name in names for who in range(3)]
    (folder / "votes.csv").write_text("\n".join(["item,annotator,label", *rows]))
    p = [{"file_name": name, "p": (row / row.sum()).tolist()} for name, row in zip(names, counts, strict=True)]
    (images / "metadata.jsonl").write_text("\n".join(map(json.dumps, p)))
    torch.save({"noisy_label": counts[:, 0], "clean_label": counts[:, 1]}, folder / "labels.pt")
    dcic_files.write_archive(folder / "Own.zip", "Own", voted / "data" / "shapes")
    for index, name in enumerate(names):
        data_files.save_images(folder / "peerannot" / "train" / "ab"[index % 2], [name.replace(".", f"-{index}.")])
    answers = {str(index): {"0": index % 2, "1": 1} for index in range(12)}
    about = {"name": "own", "n_classes": 2, "n_workers": 2, "n_tasks": 12}
    for name, content in (("answers", answers), ("metadata", about)):
        (folder / "peerannot" / f"{name}.json").write_text(json.dumps(content))

    def create(kind, threads=2, **inputs):
        source = {"votes": ["noisy_label"]} if kind == "cifar10n" else {}
        data_files.import_data(folder / kind, {"folder": images, **inputs}, threads, kind=kind, **source)

    create("counts", counts=folder / "counts.npy")
    create("table", votes=folder / "votes.csv")
    create("distributions", distributions=images / "metadata.jsonl")
    create("cifar10n", labels=folder / "labels.pt")
    create("peerannot", folder=folder / "peerannot")
    data_files.import_data(folder / "dcic", {"archive": folder / "Own.zip"}, kind="dcic")


def import_every_form(folder):
    """Import each form of input that holds votes, except those of files that are no part of the project."""
    for number, form in enumerate(forms.all_forms()):
        if form.votes and not form.needs:
            (place := folder / str(number) / "made").mkdir(parents=True)
            form.write(place.parent)
            forms.imported(form, place.parent)


def adopt_arrays(root):
    """Read the predictions of a run as an array that was made elsewhere."""
    run = root / "runs/shapes/random/quick/soft/seed0"
    np.save(root.parent / "soft0.npy", contracts.read_predictions(run / "predictions.parquet").logits)
    raw = copy.deepcopy(finished_run.CONFIG) | {"results": str(root), "data_folder": str(root.parent)}
    raw["studies"]["small"] |= {"recipes": ["vit"], "labels": ["soft"], "seeds": [0]}
    raw["recipes"]["vit"] = {"predictions": {"soft": {0: "soft0.npy"}}}
    plan, names = Plan(raw), {"dataset": "shapes", "split": "random", "recipe": "vit", "label": "soft", "seed": 0}
    inputs = finished_run.READS["adopt"](plan, names)
    adopt.run(plan.told("adopt", **names), inputs, {"predictions": root.parent / "adopted.parquet"})


def make_labels(root):
    """Make a label by each aggregate that needs neither people nor networks nor other aggregates."""
    items = io.read_table(root / "data/shapes/items.parquet")[0].column("name").to_pylist()
    (root / "labels.csv").write_text("item,r,g,b\n" + "".join(f"{name},0,0.5,0.5\n" for name in items))
    more = {"file": {"path": str(root / "labels.csv")}, "smoothed": {"alpha": "matched"},
            "fixed_argmax": {"spread": "permuted"}, "unanimous": {"min_agreement": 0.6}}  # fmt: skip
    rules = {kind: schema.options("aggregate", kind) for kind in registry.names("aggregate")}
    kinds = [
        kind for kind, rule in rules.items()
        if "folds" not in rule["properties"] and "annotators" not in registry.entry("aggregate", kind)["needs"]
        and {*rule["required"]} <= {"kind", *more.get(kind, {})}
    ]  # fmt: skip
    raw = copy.deepcopy(VOTED) | {"results": str(root)}
    raw["labels"] = {kind: {"aggregate": {"kind": kind, **more.get(kind, {})}, "form": "soft"} for kind in kinds}
    raw["studies"]["small"] |= {"labels": kinds, "seeds": [0]}
    plan = Plan(raw)
    for _, names in plan.jobs("small", "label"):
        inputs, outputs = finished_run.READS["label"](plan, names), {"labels": root / "label.parquet"}
        label.run(plan.told("label", **names), inputs, outputs)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """What ran in each command, by its entries: studies of exact distributions, of votes, and of heads."""
    found = {}

    def traced(command, run):
        def wrapper(config, *arguments, **options):
            with Calls() as calls:
                result = run(config, *arguments, **options)
            entries = commands.entries(command, config)
            found.setdefault((command, entries), set()).update(calls.codes)
            return result

        return wrapper

    with pytest.MonkeyPatch.context() as patch:
        for command, entry in commands.COMMANDS.items():
            module = importlib.import_module(entry.module)
            patch.setattr(module, "run", traced(command, module.run))
        drawn = ("card", "embed", "figure")
        adopt_arrays(finished_run.build(tmp_path_factory.mktemp("exact"), drawn=drawn))
        voted = finished_run.build(tmp_path_factory.mktemp("voted"), VOTED, drawn)
        make_labels(voted)
        finished_run.build(tmp_path_factory.mktemp("heads"), HEADS)
        import_every_source(tmp_path_factory.mktemp("sources"), voted)
        import_every_form(tmp_path_factory.mktemp("forms"))
    return found


def test_every_function_that_a_command_executes_is_in_its_closure_or_harmless(executed):
    assert {command for command, _ in executed} == set(commands.COMMANDS) - {"download"}
    assert sum(map(len, executed.values())) > 1000
    found = {f"{c} {entries}": missed(codes, closure.closure(entries)) for (c, entries), codes in executed.items()}
    assert {name: sorted(places) for name, places in found.items() if places} == {}


def test_the_search_for_missed_functions_finds_them(executed):
    (codes, entries), *_ = [(codes, entries) for (command, entries), codes in executed.items() if command == "train"]
    places = missed(codes, closure.closure([entry for entry in entries if "cross_entropy" not in entry]))
    assert places == {"softlabels.training.losses.cross_entropy:loss"}


def test_what_runs_when_the_modules_are_imported_is_in_the_closure_too(executed):
    ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "softlabels"}
    try:
        for command, names in executed:
            for name in [name for name in sys.modules if name.partition(".")[0] == "softlabels"]:
                del sys.modules[name]
            with Calls() as calls:
                for name in names:
                    importlib.import_module(name.partition(":")[0])
            # Comprehensions of constants that nothing uses are functions, too, up to Python 3.11.
            codes = {code for code in calls.codes if code.co_flags & LOCAL and not code.co_qualname.startswith("<")}
            assert missed(codes, closure.closure(names)) == set(), command
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "softlabels"]:
            del sys.modules[name]
        sys.modules.update(ours)


def test_harmless_names_what_there_is():
    for place, reason in closure.HARMLESS.items():
        module, _, name = place.partition(":")
        tree = ast.parse(closure.path_of(module).read_text())
        for part in filter(None, name.split(".")):
            inside = [n for n in tree.body if getattr(n, "name", "") == part or part in assigned(n)]
            assert inside, place
            tree = inside[0]
        assert reason


def assigned(node):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} if isinstance(node, ast.Assign) else set()
