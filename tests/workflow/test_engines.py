"""The same workflow on another engine than this machine: nothing in the rules is any one cluster's own."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest

PLUGIN = "snakemake-executor-plugin-cluster-generic"
# Any cluster whose scheduler takes a script; here a shell that runs it and says a number.
# The clocks of its nodes differ: what is computed from the data is two hours older than they.
SUBMIT = """
echo 1
touch started
sh "$1" >submitted.log 2>&1
find results/*/data -newer started -type f -print0 | xargs -0r touch --date '1 hour'
find results/*/splits results/*/labels -newer started -type f -print0 | xargs -0r touch --date '1 hour ago'
"""
PROFILE = """
executor: cluster-generic
cluster-generic-submit-cmd: sh ./submit
jobs: 2
latency-wait: 10
"""


@pytest.fixture(scope="session")
def plugin(tmp_path_factory):
    """The folder of the plugin for generic clusters, which is no dependency of the workflow."""
    if importlib.util.find_spec(PLUGIN.replace("-", "_")):
        return ""
    folder = tmp_path_factory.mktemp("plugin")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, f"{PLUGIN}==1.0.9"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    except subprocess.TimeoutExpired:
        done = False
    if not done:
        pytest.skip(f"{PLUGIN} is not installed, and cannot be had from here")
    return str(folder)


@pytest.fixture
def cluster(clean, plugin):
    """A project with a profile for a generic cluster; ``--workflow-profile`` puts it in the default profile's place."""
    clean.environment["PYTHONPATH"] += os.pathsep + plugin
    default = (clean.folder / "profiles/default/profile.yaml").read_text()
    (clean.folder / "profiles/generic").mkdir()
    (clean.folder / "profiles/generic/profile.yaml").write_text(default + PROFILE)
    return clean


def plan(project, *words):
    """The shell commands of all planned jobs, which hold every file that a job reads and writes, sorted."""
    text = project.snakemake("--dry-run", "--printshellcmds", *words)
    return sorted(line for line in text.splitlines() if "-Pm softlabels " in line)


def test_a_generic_cluster_plans_the_jobs_and_commands_of_this_machine(cluster):
    here, there = plan(cluster), plan(cluster, "--workflow-profile", "profiles/generic")
    assert here == there
    assert len(here) == 22  # the jobs of config/tiny.yaml


@pytest.mark.slow
def test_a_generic_cluster_makes_the_files_of_this_machine_whatever_its_clocks(cluster, tiny):
    (cluster.folder / "submit").write_text(SUBMIT)
    cluster.snakemake("prepare", "--workflow-profile", "profiles/generic")
    folders = ("data", "splits", "labels")
    there, here = cluster.contents(*folders), tiny.contents(*folders)
    assert len(there) >= 8
    assert {path: there[path] for path in there} == {path: here[path] for path in there}
    # Afterwards this machine finds them fresh.
    assert {"data", "split", "label"}.isdisjoint(cluster.planned())


def test_no_rule_knows_a_cluster(fresh):
    files = [fresh.folder / "workflow/Snakefile", *(fresh.folder / "workflow/rules").glob("*.smk")]
    assert len(files) > 5
    for file in files:
        code = re.sub(r"#.*", "", file.read_text())
        assert not re.search(r"slurm|sbatch|srun|partition|qsub|bsub", code, re.IGNORECASE), file
