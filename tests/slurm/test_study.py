"""A whole study on a cluster: the tables of one machine, in few jobs and few files."""

from __future__ import annotations

import re

import pytest
from cluster import WORDS
from projects import TINY, Project

FOLDERS = ("data", "splits", "labels", "runs", "references", "studies")
RUN = "tiny_synthetic/random/tiny_compact/soft/seed0"


@pytest.fixture(scope="module")
def study(started):
    """The tiny study, finished on the cluster; what was printed; how often the cluster was asked."""
    project, head = started
    assert head.wait(500) == 0, project.printed
    return project, project.printed, len((project.folder / "calls").read_text().splitlines())


@pytest.mark.slow
def test_a_study_on_a_cluster_gives_the_bytes_of_one_machine(study, tiny):
    project, _, _ = study
    cluster, machine = project.contents(*FOLDERS), tiny.contents(*FOLDERS)
    assert cluster.keys() == machine.keys()
    assert len(cluster) > 40
    assert [path for path in cluster if cluster[path] != machine[path]] == []
    assert project.jobs() == {}
    project.softlabels("audit", "results/tiny", "--configfile", TINY)


@pytest.mark.slow
def test_22_jobs_of_a_study_are_8_jobs_of_the_cluster(study):
    _, text, calls = study
    submitted = re.findall(r"has been submitted with SLURM jobid \d+ \(log: .*/slurm_logs/([\w.]+)/", text)
    assert sorted(submitted) == [
        "group_evaluation_evaluate",
        "group_preparation_label_references_split",
        "group_report_card_chain_embed_figure_study",
        "rule_data",
        *["rule_train"] * 4,
    ]
    assert "23 of 23 steps (100%) done" in text
    # One call asks for all jobs; the pauses between two calls grow while nothing ends.
    assert calls <= 4 * len(submitted), calls


@pytest.mark.slow
def test_a_run_leaves_at_most_12_files(study):
    project, _, _ = study
    places = [f"results/tiny/{place}/{RUN}" for place in ("runs", "logs/runs", "benchmarks/runs")]
    files = [file for place in places for file in (project.folder / place).iterdir()]
    logs = list((project.folder / ".snakemake/slurm_logs/rule_train").glob("*soft_0/*.log"))
    assert len(logs) == 1  # of a job that succeeded
    assert len(files) + len(logs) <= 12
    assert not any(file.is_file() for file in (project.folder / "results/tiny/.resume").rglob("*"))


@pytest.mark.slow
def test_a_training_ran_on_a_gpu_of_its_own(study):
    project, _, _ = study
    jobs = project.accounted("**/*.log", "ReqTRES,State")
    assert len(jobs) == 8
    assert {state for _, state in jobs} == {"COMPLETED"}
    assert sum("gres/gpu=1" in wanted for wanted, _ in jobs) == 4


@pytest.mark.slow
def test_what_the_cluster_made_is_fresh_on_one_machine_and_the_other_way_round(study, tiny, on_slurm, tmp_path):
    project, _, _ = study
    assert Project(project.folder).planned() == {}
    other = on_slurm(tiny, tmp_path / "project")
    other.profile()
    text = other.python("-m", "snakemake", "--dry-run", *WORDS, "--configfile", TINY)
    assert "Nothing to be done" in text


@pytest.mark.slow
def test_account_and_partition_on_the_command_line_leave_a_group_its_single_request(project):
    # They replace the profile's default-resources: what keeps jobs of a group in turn must not stand there.
    project.profile(retries=0)
    where = ("--default-resources", "slurm_account=testing", "slurm_partition=main")
    again = ("prepare", "--forcerun", "label", "split")
    text = project.python("-m", "snakemake", *again, *WORDS, "--configfile", TINY, *where)
    assert "Error in group" not in text
    ((wanted, *rest),) = project.accounted("group_*/**/*.log", "ReqTRES,Account,Partition,State")
    assert rest == ["testing", "main", "COMPLETED"]
    requested = dict(part.split("=") for part in wanted.split(","))
    assert (requested["cpu"], requested["mem"]) == ("1", "550M")  # of the largest of four jobs, not their sum
