"""Jobs that a killed Snakemake left on a cluster, which stand-ins for its commands play."""

import pytest

from softlabels import slurm
from softlabels.errors import UserError


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Make stand-ins for squeue, which lists the lines of a file, and for scancel, which empties it."""
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    listing, cancelled = tmp_path / "listing", tmp_path / "cancelled"

    def make(*jobs, squeue=f"cat {listing}", scancel=f'echo "$@" >{cancelled}; : >{listing}'):
        listing.write_text("".join(f"{job}\n" for job in jobs))
        for name, script in {"squeue": squeue, "scancel": scancel}.items():
            (tools / name).write_text(f"#!/bin/sh\n{script}\n")
            (tools / name).chmod(0o755)
        return cancelled

    return make


def test_the_jobs_that_snakemake_submitted_from_this_folder_are_cancelled(cluster, tmp_path, capsys):
    cancelled = cluster(
        f"11|rule_train_wildcards_a_0|{tmp_path}",
        f"12|rule_evaluation_evaluate|{tmp_path}",
        f"13|rule_train_wildcards_a_0|{tmp_path}/other",
        f"14|(null)|{tmp_path}",  # a person's own
    )
    slurm.end_orphans(tmp_path, certain=False)
    assert cancelled.read_text() == "11 12\n"
    assert "(11, 12): cancelling them." in capsys.readouterr().err


def test_a_folder_may_have_any_name(cluster, tmp_path):
    cluster("11|rule_train|/data/a|b c")
    assert slurm.orphans("/data/a|b c") == ["11"]


def test_a_head_that_is_a_job_itself_is_no_orphan(cluster, tmp_path, monkeypatch):
    cluster(f"11|rule_train|{tmp_path}")
    monkeypatch.setenv("SLURM_JOB_ID", "11")
    assert slurm.orphans(tmp_path) == []


def test_without_slurm_there_are_no_orphans(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    slurm.end_orphans(tmp_path, certain=False)
    assert capsys.readouterr().err == ""


def test_a_cluster_that_does_not_answer_stops_what_needs_it(cluster, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(slurm, "ANSWER_PAUSE_SECONDS", 0)
    cluster(squeue="echo Unable to contact slurm controller >&2; exit 1")
    slurm.end_orphans(tmp_path, certain=False)
    assert "SLURM does not answer: Unable to contact slurm controller." in capsys.readouterr().err
    with pytest.raises(UserError, match=r"^SLURM does not answer \(squeue\), so that jobs .* Run this again when"):
        slurm.end_orphans(tmp_path, certain=True)
    assert capsys.readouterr().err.count("does not answer") == slurm.ANSWER_TRIES


def test_an_answer_that_fails_once_hides_no_job_and_those_that_do_not_end_are_named(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "ANSWER_PAUSE_SECONDS", 0)
    flaky = f"[ -e {tmp_path}/asked ] || {{ touch {tmp_path}/asked; exit 1; }}; cat {tmp_path}/listing"
    cancelled = cluster(f"11|rule_train|{tmp_path}", squeue=flaky, scancel=f'echo "$@" >{tmp_path}/cancelled')
    monkeypatch.setattr(slurm, "ENDING_SECONDS", 0)
    with pytest.raises(UserError, match=r"do not end.*: 11\. See `squeue --jobs 11`"):
        slurm.end_orphans(tmp_path, certain=True)
    assert cancelled.read_text() == "11\n"


def test_jobs_that_do_not_end_are_named(cluster, tmp_path, monkeypatch):
    cluster(f"11|rule_train|{tmp_path}", scancel=":")
    monkeypatch.setattr(slurm, "ENDING_SECONDS", 0)
    with pytest.raises(UserError, match=r"do not end.*: 11\. See `squeue --jobs 11`"):
        slurm.end_orphans(tmp_path, certain=False)


@pytest.mark.parametrize("options", [
    ["--executor", "slurm"], ["-e", "slurm"], ["-n", "--workflow-profile=mine"],
    ["--workflow-profile", "slurm"],  # the repository's, by its name
])  # fmt: skip
def test_a_cluster_that_is_asked_for_must_be_here(tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "profile.yaml").write_text("executor: slurm\njobs: 3\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"no sbatch here\. Run this on a login node"):
        slurm.asked_for(options)
    (tmp_path / "sbatch").touch(0o755)
    assert slurm.asked_for(options)


@pytest.mark.parametrize("options", [[], ["--executor", "local"], ["--workflow-profile", "profiles/default"], ["-n"]])
def test_no_cluster_is_needed_where_none_is_asked_for(tmp_path, monkeypatch, options):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not slurm.asked_for(options)
