"""What a cluster refuses stops the run with its reason; nothing waits for ever."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from cluster import WORDS
from projects import TINY

DATA = "results/tiny/data/tiny_synthetic/images.npy"


def refused(project) -> str:
    """What a run prints that must fail at once, and leave no job behind."""
    started = time.monotonic()
    text = project.python("-m", "snakemake", DATA, "--forcerun", "data", *WORDS, "--configfile", TINY, status=1)
    assert time.monotonic() - started < 60
    assert project.jobs() == {}
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize(("account", "partition", "words"), [
    ("testing", "nowhere", "invalid partition specified: nowhere"), ("nobody", "main", "account.*nobody"),
])  # fmt: skip
def test_a_partition_and_an_account_that_do_not_exist_are_named(project, account, partition, words):
    project.profile(**{"default-resources": {"slurm_account": account, "slurm_partition": partition}})
    assert re.search(words, refused(project))


def test_more_memory_than_any_node_has_is_refused(project):
    project.profile(**{"set-resources": {"data": {"mem_mb": "attempt * 100000"}}})
    assert "Memory specification can not be satisfied" in refused(project)
    text = project.softlabels("run", "--cores", "2", "--configfile", TINY, "--", *WORDS, status=2)
    assert re.search(
        r"Rule data \(dataset tiny_synthetic\) asks for 100000 MB of memory, the largest node of partition main that "
        r"would do otherwise has \d{4} MB: lower set-resources: data: mem_mb of profiles/here", text,
    )  # fmt: skip
    assert project.jobs() == {}


def test_a_recipe_that_no_node_can_train_is_refused_with_its_key(project):
    project.profile()
    config = project.configure("config/large.yaml", recipes__tiny_compact__network="densenet121",
                               datasets__tiny_synthetic__source__pixels=512)  # fmt: skip
    text = project.softlabels("run", "--cores", "2", "--configfile", config, "--", *WORDS, status=2)
    assert "Rule train (dataset tiny_synthetic, split random, recipe tiny_compact, label hard) asks for" in text
    assert "lower recipes.tiny_compact.batch or datasets.tiny_synthetic.source.pixels, or name another" in text
    assert project.jobs() == {}


def test_without_slurm_the_missing_command_is_named(project):
    project.profile()
    tools = {"sbatch", "squeue", "sacct", "scontrol", "sinfo", "sacctmgr", "sshare", "scancel", "srun"}
    folder = project.folder / "bin"
    folder.mkdir()
    for place in os.environ["PATH"].split(":"):
        for tool in Path(place).glob("*") if Path(place).is_dir() else []:
            if tool.name not in tools and not (folder / tool.name).is_symlink():
                (folder / tool.name).symlink_to(tool)
    project.environment["PATH"] = str(folder)
    assert "No such file or directory: 'sacctmgr'" in refused(project)
    text = project.softlabels("run", "--cores", "2", "--configfile", TINY, "--", *WORDS, status=2)
    assert "profiles/here: submits jobs to SLURM, but there is no sbatch here. Run this on a login node" in text


@pytest.mark.slow
def test_a_failing_training_shows_its_log_and_ends_the_run(project):
    recipe = {"network": "compact", "epochs": 2, "batch": 32, "rate": 1e30}
    study = {"datasets": ["tiny_synthetic"], "recipes": ["diverging"], "labels": ["soft"], "seeds": [0]}
    config = project.configure("config/diverging.yaml", recipes={"diverging": recipe}, studies={"diverging": study})
    project.profile(retries=0)
    text = project.python("-m", "snakemake", *WORDS, "--configfile", config, status=1)
    assert text.count("softlabels: The loss is nan in epoch 1: training diverged. Lower recipe.rate (1e+30)") == 1
    assert not list((project.folder / "results/tiny/runs/tiny_synthetic/random/diverging").rglob("*.*"))
    assert project.jobs() == {}
