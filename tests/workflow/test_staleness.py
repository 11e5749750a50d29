"""What makes a finished result old, and what does not: the jobs that Snakemake plans after one change."""

from __future__ import annotations

import ast
import os
import time

import pytest
import yaml
from projects import REPOSITORY

from softlabels import io

# The tiny study: 1 data set, 2 labels, 2 seeds.
EVERYTHING = {
    "data": 1, "card": 1, "label": 2, "split": 2, "train": 4, "evaluate": 4, "references": 2, "embed": 2, "study": 1,
    "chain": 1, "figure": 2,
}  # fmt: skip
PREPARATION = {"data": 1, "label": 2, "split": 2}
AFTER_TRAINING = {"train": 4, "evaluate": 4, "embed": 2, "study": 1, "chain": 1, "figure": 2}


def test_an_empty_results_folder_plans_every_rule_from_either_snakefile(fresh):
    assert fresh.planned() == EVERYTHING
    assert fresh.planned("-s", "workflow/Snakefile") == EVERYTHING


def test_prepare_plans_data_labels_and_splits_only(fresh):
    assert fresh.planned("prepare") == PREPARATION


def test_a_finished_study_plans_nothing_from_either_snakefile(tiny):
    assert tiny.planned() == {}
    assert tiny.planned("-s", "workflow/Snakefile") == {}


def test_touching_sources_configuration_and_results_reruns_nothing(finished):
    stages = ["studies", "references", "runs", "splits", "labels", "data"]
    places = [f"results/tiny/{stage}" for stage in stages] + ["config", "profiles", "envs", "workflow"]
    for seconds, place in enumerate(places):  # what is made first is touched last
        files = [file for file in (finished.folder / place).rglob("*") if file.is_file()]
        assert files, place
        for file in files:
            os.utime(file, times=(time.time() + seconds - 60,) * 2)
    os.utime(finished.folder / "Snakefile")
    assert finished.planned() == {}


def test_comments_docstrings_and_formatting_rerun_nothing(finished):
    for file in (finished.folder / "workflow/softlabels").rglob("*.py"):
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
                if ast.get_docstring(node) is not None:
                    node.body[0].value.value = "Another docstring."
                elif not isinstance(node, ast.Module):
                    node.body.insert(0, ast.Expr(ast.Constant("A new docstring.")))
        # Unparsing drops all comments and writes every statement on one line.
        file.write_text(f"# A comment.\n{ast.unparse(ast.fix_missing_locations(tree))}\n")
    for file in [finished.folder / "workflow/Snakefile", *(finished.folder / "workflow/rules").iterdir()]:
        file.write_text(file.read_text() + "\n\n# A comment.\n")
    assert finished.planned() == {}


CODE = "workflow/softlabels"
EVALUATION = {"evaluate": 4, "study": 1, "chain": 1, "figure": 1}


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        # a function three modules away, a constant, a loss, a metric, an option
        (f"{CODE}/keyed.py", "rng(purpose, *key).integers", "rng(purpose, *key, 0).integers", AFTER_TRAINING),
        (f"{CODE}/evaluation/structure.py", "MAX_PAIRED_ITEMS = 3000", "MAX_PAIRED_ITEMS = 2000", EVALUATION),
        (f"{CODE}/training/losses/cross_entropy.py", ".sum(dim=1)", ".sum(dim=1) * 2", AFTER_TRAINING),
        (f"{CODE}/evaluation/metrics/kl.py", "prediction)\n", "prediction) * 2\n", {**EVALUATION, "references": 2}),
        ("config/tiny.yaml", "perplexity: 10", "perplexity: 12", {"embed": 2, "figure": 1}),
    ],
    ids=lambda value: value if str(value).endswith((".py", ".yaml")) else "",
)
def test_a_change_reruns_what_reaches_it(finished, file, old, new, expected):
    finished.edit(file, (old, new))
    assert finished.planned() == expected


def test_a_new_key_at_its_neutral_value_reruns_nothing_and_a_changed_default_retrains(finished):
    new = """"new": {"type": "number", "default": 0, "neutral": 0, "description": "New."},"""
    sgd = "workflow/softlabels/training/optimisers/sgd.py"
    finished.edit("workflow/softlabels/schema.py", ("RECIPE = {", f"RECIPE = {{ {new}"))
    finished.edit(sgd, ('"options": {', f'"options": {{ {new}'))
    assert finished.planned() == {}
    assert finished.softlabels("check", "config/tiny.yaml")
    finished.configure("config/new.yaml", recipes__tiny_compact__new=1)
    assert finished.planned(config="config/new.yaml") == AFTER_TRAINING
    finished.edit(sgd, ('"default": 0.9', '"default": 0.8'))
    assert finished.planned() == AFTER_TRAINING


def test_integers_written_as_floats_rerun_nothing(finished):
    finished.edit("config/tiny.yaml", ("epochs: 2,", "epochs: 2.0,"), ("perplexity: 10,", "perplexity: 10.0,"))
    assert finished.planned() == {}


def test_swapping_two_hyperparameters_retrains(finished):
    # Snakemake compares the set of parameter values, without their names: both swaps leave the set as it was.
    assert yaml.safe_load((finished.folder / "config/tiny.yaml").read_text())["recipes"] == {
        "tiny_compact": {"network": "compact", "epochs": 2, "batch": 32, "rate": 0.05}
    }
    finished.configure("config/swap.yaml", recipes__tiny_compact__epochs=32, recipes__tiny_compact__batch=2)
    assert finished.planned(config="config/swap.yaml") == AFTER_TRAINING
    finished.configure("config/swap.yaml", recipes__tiny_compact__rate=0.9, recipes__tiny_compact__momentum=0.05)
    assert finished.planned(config="config/swap.yaml") == AFTER_TRAINING


TOP_K = """
import numpy as np

ENTRY = {"about": "Share of items whose truth is among the k most probable classes.",
         "options": {"k": {"type": "integer", "minimum": 1, "default": 2, "description": "How many."}},
         "heading": "top-k ACC", "better": "higher", "unit": None, "decimals": 4}


def metric(aligned, options):
    return again(aligned.reference, aligned.log_prediction, options)


def again(reference, log_prediction, options):
    best = np.argsort(-log_prediction, axis=1, kind="stable")[:, : options["k"]]
    return float((best == reference.argmax(axis=1)[:, None]).any(axis=1).mean())
"""


def test_a_study_that_adds_a_metric_computes_that_one_and_leaves_another_study_alone(finished):
    two, metrics = "config/two.yaml", ["macro_acc", "acc", "kl", "kl_dcic", "ce", "tvd"]
    study = yaml.safe_load((REPOSITORY / "config/tiny.yaml").read_text())["studies"]["tiny"]
    finished.configure(two, studies={"tiny": study, "more": study})
    assert set(finished.planned(config=two)) == {"embed", "study", "chain", "figure"}
    finished.snakemake(config=two)
    before = finished.contents("studies/tiny", "runs", "references")
    (finished.folder / "workflow/softlabels/evaluation/metrics/top_k.py").write_text(TOP_K)
    assert finished.planned(config=two) == {}
    finished.configure(
        two, studies={"tiny": study, "more": {**study, "metrics": [*metrics, {"kind": "top_k", "k": 3}]}}
    )
    assert finished.planned(config=two) == {"evaluate": 4, "references": 2, "study": 1, "chain": 1}
    finished.snakemake(config=two)
    after = finished.contents("studies/tiny", "runs", "references")
    assert before.items() <= after.items()
    assert {path.rpartition("/")[2] for path in after.keys() - before.keys()} == {
        "top_k__k_3.parquet", "top_k__k_3.terms.parquet",
    }  # fmt: skip
    table = (finished.folder / "results/tiny/studies/more/table.csv").read_text()
    assert ",hard,top_k__k_3,measured," in table and ",uniform,top_k__k_3,reference," in table
    printed = finished.softlabels("explain", "results/tiny/studies/more", "soft", "top_k__k_3")
    assert "metrics/top_k.py" in printed and "scores/top_k__k_3.parquet" in printed
    assert "0 fail" in finished.softlabels("audit", "results/tiny", "--configfile", two)


def test_one_more_seed_trains_that_seed_only(finished):
    finished.configure(studies__tiny__seeds=[0, 1, 2])
    assert finished.planned() == {
        "split": 1, "train": 2, "evaluate": 2, "references": 1, "study": 1, "chain": 1, "figure": 2,
        "card": 1,
    }  # fmt: skip


def test_one_more_label_trains_that_label_only(finished):
    soft, hard = {"aggregate": "average", "form": "soft"}, {"aggregate": "majority", "form": "hard"}
    finished.configure(
        labels={"hard": hard, "soft": soft, "soft_again": soft}, studies__tiny__labels=["hard", "soft", "soft_again"]
    )
    assert finished.planned() == {
        "label": 1, "train": 2, "evaluate": 2, "embed": 1, "study": 1, "chain": 1, "figure": 2,
    }  # fmt: skip


def test_a_changed_file_of_labels_makes_these_again(finished):
    data = finished.folder / "results/tiny/data/tiny_synthetic"
    items, classes = (
        io.read_table(data / "items.parquet")[0],
        io.read_table(data / "reference.parquet", [])[1]["classes"],
    )
    rows = [f"{name},1{',0' * (len(classes) - 1)}" for name in items.column("name").to_pylist()]
    file = finished.folder / "my labels.csv"
    file.write_text("\n".join([f"item,{','.join(classes)}", *rows]))
    soft = {"aggregate": "average", "form": "soft"}
    mine = {"aggregate": {"kind": "file", "path": file.name}, "form": "soft"}
    finished.configure(labels={"soft": soft, "mine": mine}, studies__tiny__labels=["soft", "mine"])
    assert finished.planned("prepare") == {"label": 1}
    finished.snakemake("prepare")
    assert finished.planned("prepare") == {}
    file.write_text("\n".join([f"item,{','.join(classes)}", *rows[1:]]))
    assert finished.planned("prepare") == {"label": 1}


@pytest.mark.slow
def test_data_rebuilt_to_the_same_bytes_retrains_nothing(finished):
    before = finished.contents("data", "labels", "splits")
    # Other code, same data: in one invocation Snakemake would run all that follows.
    finished.edit("workflow/softlabels/datasets/synthetic.py", ("TEXTURE_MAX = 127.0", "TEXTURE_MAX = 63.5 * 2"))
    assert finished.planned() == EVERYTHING
    for name in ("images.npy", "items.parquet", "annotations.parquet", "reference.parquet"):
        (finished.folder / "results/tiny/data/tiny_synthetic" / name).unlink()
    finished.snakemake("prepare")
    assert finished.contents("data", "labels", "splits") == before
    assert finished.planned() == {"chain": 1}  # which lists the new manifests


@pytest.mark.slow
def test_data_of_another_seed_retrain_everything(finished):
    finished.edit("config/tiny.yaml", ("pixels: 32, seed: 0", "pixels: 32, seed: 1"))
    finished.snakemake("prepare")
    assert finished.planned() == {**AFTER_TRAINING, "references": 2, "card": 1}


PROFILES = sorted((REPOSITORY / "profiles").glob("*/profile.yaml"))


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.parent.name)
def test_every_profile_has_the_same_staleness_keys(profile):
    keys = yaml.safe_load(profile.read_text())
    # A checksum is kept only for files below the limit, and only software-env is no trigger.
    assert keys["max-checksum-file-size"] == 4_000_000_000
    assert keys["rerun-triggers"] == ["mtime", "params", "input", "code"]
    assert keys["rerun-incomplete"] is True
