"""Whole runs: the same bytes however they are started, and one clear message where something is wrong."""

from __future__ import annotations

import pytest
from projects import TINY


@pytest.mark.slow
def test_one_core_and_two_give_the_same_bytes(clean, tiny):
    clean.softlabels("run", "--cores", "1", "--configfile", "config/tiny.yaml")  # the other: snakemake --cores 2
    folders = ("data", "splits", "labels", "runs", "references", "studies")
    one, two = clean.contents(*folders), tiny.contents(*folders)
    assert one.keys() == two.keys()
    assert len(one) > 40
    assert [path for path in one if one[path] != two[path]] == []


def assert_one_message(text: str, message: str) -> None:
    assert text.count(message) == 1, text
    assert "Traceback" not in text


COUNTED = """
import sys
started = []
sys.addaudithook(lambda event, of: started.append(of[0]) if event == "subprocess.Popen" else None)
from snakemake.cli import main
try:
    main(sys.argv[1:])
finally:
    print("started:", *started)
"""


def test_a_plan_of_a_finished_study_starts_no_process_a_job(finished):
    """But for the few by which Snakemake learns what it runs on: the study has three times as many jobs."""
    printed = finished.python("-c", COUNTED, "--cores", "2", "--configfile", TINY)
    assert "Nothing to be done" in printed
    started = printed.partition("started:")[2].split()
    assert len(started) <= 8, started


def test_an_unknown_key_stops_the_plan_with_one_message(clean):
    clean.edit("config/tiny.yaml", ("epochs: 2", "epoch: 2"))
    text = clean.snakemake("--dry-run", status=1)
    assert_one_message(text, "recipes.tiny_compact: unknown key 'epoch'; did you mean 'epochs'?")


def test_a_key_defined_twice_stops_the_plan_with_one_message(clean):
    clean.edit("config/tiny.yaml", ("    seeds: [0, 1]\n", "    seeds: [0, 1]\n    seeds: [0, 1, 2]\n"))
    lines = (clean.folder / "config/tiny.yaml").read_text().splitlines()
    first = lines.index("    seeds: [0, 1]") + 1
    text = clean.snakemake("--dry-run", status=1)
    assert_one_message(text, f"tiny.yaml: 'seeds' is defined twice, in lines {first} and {first + 1}.")


def test_a_key_defined_twice_in_the_default_configuration_stops_the_plan_too(clean):
    clean.edit("config/config.yaml", ("datasets:\n", "datasets: {}\ndatasets:\n"))
    text = clean.snakemake("--dry-run", config=None, status=1)
    assert_one_message(text, "config.yaml: 'datasets' is defined twice, in lines")


def files(folder) -> set[str]:
    """Names of the files in a folder, hidden ones too."""
    return {file.name for file in folder.glob("*") if file.is_file()}


def test_a_training_that_diverges_says_so_and_leaves_no_output(finished):
    diverging = {"network": "compact", "epochs": 2, "batch": 32, "rate": 1e30}
    finished.configure(
        recipes__diverging=diverging,
        studies__tiny__recipes=["diverging"],
        studies__tiny__labels=["soft"],
        studies__tiny__seeds=[0],
    )
    text = finished.snakemake(status=1)
    assert "softlabels: The loss is nan in epoch 1: training diverged. Lower recipe.rate (1e+30)" in text
    assert "Traceback" not in text
    assert files(finished.folder / "results/tiny/runs/tiny_synthetic/random/diverging/soft/seed0") == set()


def test_a_job_that_crashes_between_its_outputs_leaves_none(finished):
    folder = finished.folder / "results/tiny/studies/tiny"
    assert files(folder) > {"table.csv", "table.md", "cells.parquet"}
    last = '    io.write_json(outputs["config"]'
    finished.edit("workflow/softlabels/studies/study.py", (last, f'    raise RuntimeError("in between")\n{last}'))
    assert "RuntimeError: in between" in finished.snakemake(status=1)
    assert files(folder) == {"chain.json"}  # of another job, that waits for this one


def test_snakemake_looks_for_jobs_once_for_each_that_ends(finished):
    """With its own limit of jobs a second it looks again and again, in ever more threads."""
    words = ["--verbose", "--cores", "1", "--configfile", TINY, "--forcerun", "evaluate", "--until", "evaluate"]
    printed = finished.python("-m", "snakemake", *words)
    ended = printed.count("\nFinished jobid")
    assert ended > 2
    assert printed.count("Resources before job selection") <= ended + 1
