"""Each fault is put into a finished study, and the audit must name it: one check a fault, and no false alarm.

Most faults are sealed: all hashes are made again, up to the chain, so that only content can give the fault away.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_run import edit_json, edit_table

from softlabels import io, places
from softlabels.places import of_study
from softlabels.provenance import manifest as manifests
from softlabels.provenance.audit import CHECKS, audit
from softlabels.provenance.evidence import entries
from softlabels.studies import ledger_view, study

STUDY = "studies/tiny"
RUN = "runs/tiny_synthetic/random/tiny_compact"
SOFT, SOFT_1, HARD = f"{RUN}/soft/seed0", f"{RUN}/soft/seed1", f"{RUN}/hard/seed0"
DATA = "data/tiny_synthetic"
SPLIT = "splits/tiny_synthetic/random/seed0.parquet"
LABEL = "labels/tiny_synthetic/soft/all.parquet"
LONG_AGO = 1_000_000_000  # seconds: in 2001

FAULTS: dict[str, tuple[Callable[[Path], None], set[str], bool]] = {}


def fault(*expected: str, sealed: bool = True) -> Callable:
    """Register a function that puts a fault into a results folder, and the checks that must notice it."""

    def register(function: Callable[[Path], None]) -> Callable[[Path], None]:
        FAULTS[function.__name__] = (function, set(expected), sealed)
        return function

    return register


def verdicts(root: Path) -> dict[str, str]:
    """The verdict of each check, without asking Snakemake."""
    return {verdict.id: verdict.verdict for verdict in audit(root, dry_run=False)}


def having(found: dict[str, str], verdict: str) -> set[str]:
    return {name for name, value in found.items() if value == verdict}


def seal(root: Path) -> None:
    """Write the hashes of all files as they are now into the manifests, and those of the manifests into the chain."""
    for path in root.rglob("*.manifest.json"):
        manifest = io.read_json(path)
        for side in ("inputs", "outputs"):
            for _, entry in entries(manifest[side]):
                file = root / entry["path"]
                entry |= {"bytes": file.stat().st_size, "sha256": io.sha256(file)}
        io.write_json(path, manifest | {"seal": manifests.seal(manifest)})
    chain = io.read_json(root / STUDY / "chain.json")
    for entry in chain["manifests"]:
        entry["sha256"] = io.sha256(root / entry["path"])
    io.write_json(root / STUDY / "chain.json", chain)


def gather(root: Path, **changes) -> None:
    """Make the study's tables again from the files as they are."""
    manifest = io.read_json(root / STUDY / "config.manifest.json")
    inputs, outputs = ({} for _ in range(2))
    for side, paths in (("inputs", inputs), ("outputs", outputs)):
        for name, value in manifest[side].items():
            listed = isinstance(value, list)
            paths[name] = [root / entry["path"] for entry in value] if listed else root / value["path"]
    study.run(manifest["config"] | changes, inputs, outputs)


def edit_text(path: Path, pattern: str, replacement: str) -> None:
    text = path.read_text()
    changed = re.sub(pattern, replacement, text, count=1, flags=re.MULTILINE)
    assert changed != text
    path.write_text(changed)


def edit_ledger(root: Path, change: Callable[[list[dict]], list[dict] | None], **facts) -> None:
    """Change the ledger, and print the tables from it again."""
    path = root / STUDY / "cells.parquet"
    edit_table(path, change, **facts)
    cells, _ = io.read_table(path)
    for output, write in ledger_view.TEXTS.items():
        io.write_text(root / of_study("tiny", output), write(cells))


def row_of(rows: list[dict], **wanted) -> dict:
    return next(row for row in rows if all(row[key] == value for key, value in wanted.items()))


# -- one change of one file, sealed ------------------------------------------------------------------------------------


def changed(value: Callable[[float], float], **wanted) -> Callable[[list[dict]], None]:
    """Change the value of the first row that is as wanted."""

    def change(rows):
        row = row_of(rows, **wanted)
        row["value"] = value(row["value"])

    return change


def swapped(recipe: dict) -> None:
    recipe["epochs"], recipe["batch"] = recipe["batch"], recipe["epochs"]


def reversed_label(rows: list[dict]) -> None:
    row = next(row for row in rows if max(row["p"]) < 0.9)
    row["p"] = row["p"][::-1]


LEDGER, CHAIN = f"{STUDY}/cells.parquet", f"{STUDY}/chain.json"
MODEL, SCORES = f"{SOFT}/model.manifest.json", f"{SOFT}/scores/standard"
CURVES = f"{STUDY}/figures/curves-tiny_synthetic-random-tiny_compact.manifest.json"
CHANGES = {  # file: fault: the check that must notice it, and the change of its rows or its JSON
    LEDGER: {
        "a_value_of_the_ledger": ("A03", changed(
            lambda value: np.nextafter(value, 1), label="soft", metric="tie_credit_acc", statistic="mean")),
        "a_printed_text_of_the_ledger": (
            "A02", lambda rows: row_of(rows, metric="kl", statistic="mean").update(printed="0.1234")),
        "a_number_that_is_left_out": (
            "A03", lambda rows: [row for row in rows if row["metric"] != "structure.silhouette"]),
        "an_end_of_an_interval": ("A03", changed(
            lambda value: value * (1 + 1e-7), kind="difference", metric="kl", statistic="low")),
        "the_papers_number": (
            "A03", lambda rows: row_of(rows, kind="paper", statistic="mean").update(value=0.5, printed="0.5000")),
        "the_difference_from_the_paper": (
            "A03", lambda rows: row_of(rows, metric="macro_acc", label="soft").update(paper_difference=0.0)),
        "another_run_behind_a_number": ("A03", lambda rows: rows[0]["files"][0].update(sha256="0" * 64)),
        "the_metric_code_of_the_ledger": ("A08", lambda rows: row_of(rows, metric="kl").update(metric_code="0" * 64)),
    },
    f"{SCORES}.parquet": {
        "a_score_that_is_there_twice": ("A03 A04", lambda rows: [*rows, dict(rows[0], value=0.0)]),
    },
    CHAIN: {
        "an_entry_less_in_the_chain": ("A06", lambda chain: chain["manifests"].pop(0)),
        "an_entry_more_in_the_chain": ("A06", lambda chain: chain["manifests"].append({"path": CURVES, "sha256": ""})),
    },
    "labels/tiny_synthetic/soft/all.manifest.json": {
        "a_label_file_that_no_job_here_wrote": ("A06", lambda manifest: manifest.update(outputs={})),
    },
    MODEL: {
        "two_hyperparameters_swapped_in_a_manifest": ("A07", lambda manifest: swapped(manifest["config"]["recipe"])),
        "another_code_in_a_manifest": ("A08", lambda manifest: manifest["code"]["definitions"][
            "softlabels.training.train"].update(run="0" * 16)),
        "a_foreign_module": ("A10", lambda manifest: manifest["environment"].update(foreign_modules=["random"])),
        "one_run_on_another_gpu": ("A11", lambda manifest: manifest["machine"].update(gpu="NVIDIA H200")),
        "uncommitted_changes_that_are_not_archived": (
            "A15", lambda manifest: manifest["code"].update(dirty=True, diff="1" * 64)),
        "other_initial_weights_for_one_label": (
            "A13", lambda manifest: manifest["facts"].update(initial_sha256="0" * 64)),
        "another_split_for_one_label": (
            "A13", lambda manifest: manifest["inputs"]["split"].update(path=SPLIT.replace("seed0", "seed1"))),
        "a_slurm_job_without_a_number": ("A20", lambda manifest: manifest["machine"].update(
            slurm={"job": None, "partition": "gpu", "nodes": "n1", "restarts": "0"})),
    },
    f"{SCORES}.manifest.json": {
        "one_run_with_another_numpy": (
            "A09", lambda manifest: manifest["environment"]["packages"].update(numpy="1.26.4")),
        "one_run_with_another_python": ("A09", lambda manifest: manifest["environment"].update(python="3.9.1")),
    },
    SPLIT: {
        "a_test_item_that_is_also_trained_on": (
            "A14", lambda rows: [*rows, row_of(rows, split="test") | {"split": "train"}]),
        "an_item_without_a_part": ("A14", lambda rows: rows[1:]),
    },
    f"{SOFT}/predictions.parquet": {
        "a_test_item_moved_to_training_in_the_predictions": (
            "A14", lambda rows: row_of(rows, split="test").update(split="train")),
    },
    f"{DATA}/items.parquet": {
        "a_group_in_two_parts": ("A14", lambda rows: [dict(row, group=str(row["item"] // 10)) for row in rows]),
    },
    f"{DATA}/reference.parquet": {
        "a_distribution_that_does_not_sum_to_one": ("A19", lambda rows: rows[0].update(p=[0.5] * 6)),
    },
    f"{DATA}/annotations.parquet": {
        "votes_that_do_not_belong_to_the_labels": (
            "A19", lambda rows: [{"item": 0, "annotator": None, "label": 1}]),
    },
    LABEL: {
        "a_label_changed_by_hand": ("A19", reversed_label),
        "a_hard_class_changed_by_hand": ("A19", lambda rows: rows[0].update(hard=(rows[0]["hard"] + 1) % 6)),
    },
}  # fmt: skip


# Fault: file, change of a number, which the ledger then has, too.
NUMBERS = {
    "kl_in_a_runs_scores": (
        f"{SCORES}.parquet", changed(lambda value: value * (1 - 3e-6), part="test", scaling="none", metric="kl")),
    "macro_accuracy_of_the_validation_part": (
        f"{SCORES}.parquet", changed(lambda value: value + 0.01, part="val", scaling="none", metric="macro_acc")),
    "a_metric_after_temperature": (
        f"{SCORES}.parquet", changed(lambda value: 0.01, part="test", scaling="temperature", metric="kl_dcic")),
    "the_recall_of_a_class": (
        f"{SCORES}.parquet", changed(lambda value: value + 0.01, part="test", metric="recall", group="rc")),
    "a_row_without_a_network": (
        "references/tiny_synthetic/random/seed0/standard.parquet",
        changed(lambda value: 0.3, row="prior", metric="kl")),
}  # fmt: skip


def put(file: str, change: Callable[[Any], Any], root: Path) -> None:
    """Change a file; from a ledger the tables are printed again."""
    edit = edit_json if file.endswith(".json") else edit_table
    edit_ledger(root, change) if file == LEDGER else edit(root / file, change)


def put_number(file: str, change: Callable[[Any], Any], root: Path) -> None:
    """Change a number, and gather the study again."""
    edit_table(root / file, change)
    gather(root)


def more(number: str) -> str:
    """A number of one digit with the next digit."""
    return str((int(number) + 1) % 10)


# Fault: the checks that must notice it, the file (the first that fits), pattern and replacement of a line of its text.
TEXTS = {
    "a_digit_of_table_csv": (
        "A01 A02 A05", f"{STUDY}/table.csv", r",measured,,0\.(\d)", lambda m: f",measured,,0.{more(m[1])}"),
    "a_digit_of_table_md": (
        "A02 A05", f"{STUDY}/table.md", r"(\d)(\*\*)? ±", lambda m: f"{more(m[1])}{m[2] or ''} ±"),
    "a_digit_of_table_tex": (
        "A02 A05", f"{STUDY}/table.tex", r"(\d)(\})? \$\\pm", lambda m: f"{more(m[1])}{m[2] or ''} $\\pm"),
    "the_list_of_items": ("A05", f"{STUDY}/items.csv", "0", "1"),
    "a_digit_of_a_figures_manifest": ("A06", f"{STUDY}/figures/curves-*.manifest.json", r'"ended": "2', '"ended": "3'),
    "a_blank_of_an_embeddings_manifest": (
        "A06", f"{STUDY}/tsne/*.manifest.json", r'^ "command": ', '  "command": '),
    "a_space_in_a_manifest": ("A06", MODEL, r"\Z", " "),
    "a_hash_in_the_chain": ("A06", CHAIN, r'"sha256": "\w+"', f'"sha256": "{"0" * 64}"'),
}  # fmt: skip
GONE = {  # Fault: the check that must notice it, and the file that is removed.
    "a_manifest_that_is_gone": ("A06", MODEL),
    "a_log_that_is_gone": ("A20", f"logs/{SOFT}/train.log"),
    "a_benchmark_that_is_gone": ("A20", f"benchmarks/{SOFT}/scores/standard.tsv"),
}
TRAININGS = f"{RUN}/**/model.manifest.json"
ALL = {  # Fault: the check that must notice it, and what is changed in which manifests.
    "all_runs_with_a_package_that_is_not_pinned": (
        "A09", "**/*.manifest.json", lambda manifest: manifest["environment"]["packages"].update(unknownpackage="1.0")),
    "no_run_deterministic": (
        "A11", TRAININGS, lambda manifest: manifest["determinism"].update(deterministic_algorithms=False)),
    "a_commit_that_git_does_not_know": (
        "A15", "**/*.manifest.json", lambda manifest: manifest["code"].update(commit="1" * 40)),
}  # fmt: skip


def put_text(file: str, pattern: str, replacement: Any, root: Path) -> None:
    edit_text(next(root.glob(file)), pattern, replacement)


def put_all(files: str, change: Callable[[dict], None], root: Path) -> None:
    for path in root.glob(files):
        edit_json(path, change)


FAULTS |= {
    name: (partial(put, file, change), set(expected.split()), True)
    for file, changes in CHANGES.items()
    for name, (expected, change) in changes.items()
}
FAULTS |= {name: (partial(put_number, *number), {"A04"}, True) for name, number in NUMBERS.items()}
FAULTS |= {name: (partial(put_text, *text), set(due.split()), False) for name, (due, *text) in TEXTS.items()}
FAULTS |= {name: (lambda root, file=file: (root / file).unlink(), {due}, False) for name, (due, file) in GONE.items()}
FAULTS |= {name: (partial(put_all, *change), {due}, True) for name, (due, *change) in ALL.items()}


@fault("A15")
def an_archived_diff_of_other_changes(root):
    edit_json(root / MODEL, CHANGES[MODEL]["uncommitted_changes_that_are_not_archived"][1])
    io.write_text(root / f"audit/diffs/{'1' * 64}.diff", "something else")


# -- tables and ledger -------------------------------------------------------------------------------------------------


@fault("A01", "A02")
def a_cell_of_table_md_and_its_hash(root):
    edit_text(root / STUDY / "table.md", r"\| (\*\*)?0\.\d\d\d\d", r"| \g<1>0.9999")


@fault("A01", "A02")
def a_row_of_the_ledger_twice(root):
    edit_table(root / STUDY / "cells.parquet", lambda rows: [*rows, dict(rows[0], value=rows[0]["value"] + 1)])


@fault("A03")
def another_epsilon_in_the_captions(root):
    edit_ledger(root, lambda rows: None, eps=1e-3)


@fault("A06", "A07")
def a_table_of_another_study(root):
    gather(root, study="another")


# -- evaluations -------------------------------------------------------------------------------------------------------


@fault("A05", sealed=False)
def one_byte_of_a_checkpoint(root):
    path = root / SOFT / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@fault("A05", sealed=False)
def an_old_file_restored_with_its_old_time(root):
    path = root / LABEL
    shutil.copyfile(root / "labels/tiny_synthetic/hard/all.parquet", path)
    os.utime(path, (LONG_AGO, LONG_AGO))


# -- configuration, code, environment, machine -------------------------------------------------------------------------


@fault("A07")
def another_recipe_in_the_study_and_all_its_runs(root):
    put_all(TRAININGS, lambda manifest: manifest["config"]["recipe"].update(epochs=200), root)
    path = root / STUDY / "config.manifest.json"
    edit_json(path, lambda manifest: manifest["config"]["recipes"]["tiny_compact"].update(epochs=200))
    gather(root)


# -- runs, splits, data ------------------------------------------------------------------------------------------------


@fault("A05", "A06", "A12", sealed=False)
def a_run_that_is_gone(root):
    shutil.rmtree(root / SOFT_1)


@fault("A12")
def a_seed_that_counts_twice(root):
    edit_json(root / STUDY / "config.manifest.json", lambda manifest: manifest["config"].update(seeds=[0, 0]))
    gather(root, seeds=[0, 0])


@fault("A12")
def a_seed_that_is_missing(root):
    edit_json(root / STUDY / "config.manifest.json", lambda manifest: manifest["config"].update(seeds=[0, 1, 2]))
    edit_json(root / STUDY / "config.json", lambda config: config.update(seeds=[0, 1, 2]))


@fault("A12")
def the_model_of_another_label(root):
    shutil.copy(root / HARD / "model.safetensors", root / SOFT / "model.safetensors")


@fault("A12", "A14")
def the_predictions_of_another_seed(root):
    shutil.copy(root / SOFT_1 / "predictions.parquet", root / SOFT / "predictions.parquet")


@fault("A12")
def the_same_initial_weights_for_two_seeds(root):
    facts = io.read_json(root / SOFT / "model.manifest.json")["facts"]
    edit_json(
        root / SOFT_1 / "model.manifest.json", lambda m: m["facts"].update(initial_sha256=facts["initial_sha256"])
    )


@fault("A13")
def another_order_in_a_history(root):
    edit_table(root / SOFT / "history.parquet", lambda rows: None, order_sha256="0" * 64)


@fault("A14")
def features_of_another_split(root):
    path = root / SOFT / "features.npy"
    np.save(path, np.load(path)[:-1])


# -- what is left over, and what is lost -------------------------------------------------------------------------------


@fault("A16")
def a_file_that_nobody_wrote(root):
    (root / SOFT / "model_final_2.safetensors").write_bytes(b"better")


# -- the tests ---------------------------------------------------------------------------------------------------------

# What else follows from a fault because the numbers behind it change too, or are computed from what changed.
FOLLOWS = {
    "a_row_of_the_ledger_twice": {"A03"},
    "a_table_of_another_study": {"A03"},
    "a_label_file_that_no_job_here_wrote": {"A16", "A19"},
    "another_split_for_one_label": {"A14"},
    "a_seed_that_counts_twice": {"A03", "A07"},
    "a_seed_that_is_missing": {"A03", "A07"},
    "the_predictions_of_another_seed": {"A04"},
    "a_test_item_that_is_also_trained_on": {"A04"},
    "an_item_without_a_part": {"A04"},
    "a_distribution_that_does_not_sum_to_one": {"A04"},
    "the_same_initial_weights_for_two_seeds": {"A13"},
}


@pytest.fixture
def results(tiny, tmp_path, monkeypatch) -> Iterator[Path]:
    """A copy of the finished results of its own, audited as part of the checkout that they were made in."""
    monkeypatch.setattr(places, "REPOSITORY", tiny.folder)
    return Path(shutil.copytree(tiny.folder / "results/tiny", tmp_path / "results"))


def test_the_untouched_run_has_no_fault(results):
    found = verdicts(results)
    assert having(found, "fail") == set()
    assert having(found, "unknown") == {"A16"}  # Snakemake is not asked here


def test_sealing_an_untouched_run_is_no_fault(results):
    gather(results)
    seal(results)
    assert having(verdicts(results), "fail") == set()


@pytest.mark.parametrize("name", FAULTS)
def test_the_audit_names_the_fault(results, name):
    change, expected, sealed = FAULTS[name]
    change(results)
    if sealed:
        seal(results)
    failed = having(verdicts(results), "fail")
    assert expected <= failed
    if sealed:
        assert failed <= expected | FOLLOWS.get(name, set())


def test_each_check_has_a_fault():
    of_heads = {"A21"}  # of which there are none here: tests/unit/test_heads.py
    assert set().union(*(expected for _, expected, _ in FAULTS.values())) == set(CHECKS) - of_heads


# -- the command, in the checkout --------------------------------------------------------------------------------------


def command(project, *options: str, status: int) -> dict[str, str]:
    """Verdicts of the command line."""
    printed = project.softlabels("audit", "results/tiny", *options, status=status)
    found = dict(re.findall(r"^(A\d\d)  (\w+)", printed, re.MULTILINE))
    assert len(found) == len(CHECKS)
    return found


def test_after_a_run_in_a_git_checkout_nothing_may_be_unknown(finished):
    assert having(command(finished, "--strict", status=0), "unknown") == set()


def test_in_a_bare_copy_configuration_lock_git_and_snakemake_are_unknown(tiny, tmp_path):
    bare = type(tiny)(tmp_path)
    shutil.copytree(tiny.folder / "results/tiny", tmp_path / "results/tiny")
    shutil.copytree(tiny.folder / "workflow/softlabels", tmp_path / "workflow/softlabels")
    assert having(command(bare, status=0), "unknown") == {"A07", "A09", "A15", "A16"}
    command(bare, "--strict", status=1)


def test_a_changed_line_of_metric_code_fails_and_names_the_function(finished):
    finished.edit("workflow/softlabels/evaluation/metrics/kl.py", ("prediction)\n", "prediction) * 1.0\n"))
    printed = finished.softlabels("audit", "results/tiny", "--no-dry-run", status=1)
    assert "A08  fail" in printed
    assert "code of softlabels.evaluation.metrics.kl:metric:" in printed
    assert "→ run again with the code as it is" in printed


def test_a_changed_configuration_fails_and_names_the_key(finished):
    finished.edit("config/tiny.yaml", ("batch: 32", "batch: 16"))
    printed = finished.softlabels("audit", "results/tiny/studies/tiny/table.csv", status=1)
    assert "config.recipe.batch: found 32, expected 16" in printed
    assert having(dict(re.findall(r"^(A\d\d)  (\w+)", printed, re.MULTILINE)), "fail") == {"A07", "A16"}


# -- the target, in Snakemake ------------------------------------------------------------------------------------------


def test_the_target_audits_every_time_and_keeps_the_report_of_a_failure(finished):
    report = finished.folder / "results/tiny/audit/report.md"
    for _ in range(2):
        finished.snakemake("audit")
        assert "19 pass, 0 fail, 0 unknown" in report.read_text()
        report.unlink()
    FAULTS["a_digit_of_table_md"][0](finished.folder / "results/tiny")
    finished.snakemake("audit", status=1)
    assert "A02 | fail" in report.read_text()
