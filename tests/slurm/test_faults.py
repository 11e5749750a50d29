"""Trainings that lose their jobs: the study ends by itself, with the tables of an undisturbed run."""

from __future__ import annotations

import signal

import pytest
from cluster import WORDS, SlurmProject, wait_for
from long_study import CONFIG, assert_as_undisturbed, configure, job_of, resumes, state_of, trainer_of

# The four trainings of the study, and what happens to each.
CANCELLED, PREEMPTED, OUT_OF_TIME, NODE_LOST = ("soft", 0), ("hard", 0), ("soft", 1), ("hard", 1)
# So that each fault hits what it should.
NODES = "('--nodelist=node1' if wildcards.label == 'soft' else '--nodelist=node2') if attempt == 1 else ''"
LOW = "'low' if (wildcards.label, wildcards.seed) == ('hard', '0') else 'main'"
ONE_MINUTE = "1 if (wildcards.label, wildcards.seed) == ('soft', '1') and attempt == 1 else 5"


def history(project: SlurmProject, job: str) -> list[str]:
    """The states that a SLURM job has ended in, its requeues included."""
    words = ("sacct", "-X", "--duplicates", "--noheader", "--parsable2", "--format=State", "--jobs", job)
    return [state.split()[0] for state in project.cluster.slurm(*words).splitlines()]


@pytest.fixture(scope="module")
def disturbed(tiny, on_slurm, tmp_path_factory):
    """The study on the cluster, each of its trainings hit by another fault; the job that was hit, by training."""
    project = configure(on_slurm(tiny, tmp_path_factory.mktemp("disturbed") / "project"), "long")
    project.profile(train={"slurm_partition": LOW, "runtime": ONE_MINUTE, "slurm_extra": NODES})
    head = project.start("-m", "snakemake", *WORDS, "--configfile", CONFIG)
    try:
        trainings = (CANCELLED, PREEMPTED, OUT_OF_TIME, NODE_LOST)
        hit = {}
        for training in trainings:
            hit[training] = wait_for(lambda training=training: job_of(project, *training))
        for training in trainings:
            wait_for(state_of(project, *training).is_file)
        # It stands still until its time is up, and cannot save its state then.
        trainer_of(project, hit[OUT_OF_TIME]).send_signal(signal.SIGSTOP)
        rival = project.cluster.slurm(
            "sbatch", "--parsable", "--account=testing", "--partition=main", "--nodelist=node2", "--output=/dev/null",
            "--mem=100", "--wrap", "sleep 3",
        )  # fmt: skip
        project.cluster.slurm("scancel", hit[CANCELLED])
        wait_for(lambda: history(project, rival) == ["COMPLETED"])
        project.cluster.lose_node("node2")
        status = head.wait(400)
    finally:
        head.kill()
    assert status == 0, project.printed
    yield project, hit
    project.stop()


@pytest.mark.slow
def test_a_study_of_faults_ends_with_the_tables_of_an_undisturbed_run(disturbed, undisturbed):
    project, _ = disturbed
    assert_as_undisturbed(project, undisturbed, "long")


@pytest.mark.slow
def test_a_cancelled_training_is_submitted_again_and_goes_on(disturbed):
    project, hit = disturbed
    assert history(project, hit[CANCELLED]) == ["CANCELLED"]
    assert resumes(project, *CANCELLED)


@pytest.mark.slow
def test_a_preempted_training_is_requeued_under_its_number_and_goes_on(disturbed):
    project, hit = disturbed
    states = history(project, hit[PREEMPTED])
    assert (states[0], states[-1]) == ("PREEMPTED", "COMPLETED")
    assert resumes(project, *PREEMPTED)


@pytest.mark.slow
def test_a_training_that_hangs_until_its_time_is_up_gets_more_time_and_goes_on(disturbed):
    project, hit = disturbed
    assert history(project, hit[OUT_OF_TIME]) == ["TIMEOUT"]
    assert resumes(project, *OUT_OF_TIME)


@pytest.mark.slow
def test_a_training_whose_node_is_lost_is_requeued_and_goes_on(disturbed):
    project, hit = disturbed
    assert history(project, hit[NODE_LOST]) == ["NODE_FAIL", "COMPLETED"]
    assert resumes(project, *NODE_LOST)
