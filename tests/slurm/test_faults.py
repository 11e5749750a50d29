"""Trainings that lose their jobs: the study ends by itself, with the tables of an undisturbed run."""

from __future__ import annotations

import signal

import pytest
from cluster import MEMORY, WORDS, SlurmProject, wait_for
from long_study import CONFIG, assert_as_undisturbed, configure, job_of, log_of, resumes, state_of, trainer_of

# The four trainings of the study, and what happens to each. The last has too little memory before.
CANCELLED, PREEMPTED, OUT_OF_TIME, NODE_LOST = ("soft", 0), ("hard", 0), ("soft", 1), ("hard", 1)
# In the profile, as Python: which training it is.
IS = "wildcards.label + wildcards.seed =="
# So that a lost node takes one training only.
NODES = f"'--nodelist=node2' if {IS} 'hard1' else '--nodelist=node1' if attempt == 1 else ''"
LOW = f"'low' if {IS} 'hard0' else 'main'"
ONE_MINUTE = f"1 if {IS} 'soft1' and attempt == 1 else 5"
# So that what preempts a training does not fit beside it.
MUCH = 2000
LITTLE = f"300 if {IS} 'hard1' and attempt == 1 else {MUCH} if {IS} 'hard0' else {MEMORY}"


def history(project: SlurmProject, job: str) -> list[str]:
    """The states that a SLURM job has ended in, its requeues included."""
    words = ("sacct", "-X", "--duplicates", "--noheader", "--parsable2", "--format=State", "--jobs", job)
    return [state.split()[0] for state in project.cluster.slurm(*words).splitlines()]


def preempt(project: SlurmProject, job: str) -> None:
    """Submit a job of a partition that comes first, and that needs the memory."""
    words = ("--account=testing", "--partition=main", "--nodelist=node1", "--output=/dev/null", "--mem=2500")
    project.cluster.slurm("sbatch", *words, "--wrap", "sleep 1")


def freeze(project: SlurmProject, job: str) -> None:
    """Let a training stand still until its time is up; it cannot save its state then."""
    trainer_of(project, job).send_signal(signal.SIGSTOP)


FAULTS = {
    OUT_OF_TIME: freeze,
    CANCELLED: lambda project, job: project.cluster.slurm("scancel", job),  # as a person or an administrator does
    PREEMPTED: preempt,
    NODE_LOST: lambda project, job: project.cluster.lose_node("node2"),
}


def ready(project: SlurmProject, *training: str | int) -> bool:
    """Has a training something to lose? One that is asked to stop saves its state; the others must have saved it."""
    if training in (CANCELLED, PREEMPTED):
        log = log_of(project, *training)
        return log.is_file() and "epoch 5/" in log.read_text()
    return state_of(project, *training).is_file()


@pytest.fixture(scope="module")
def disturbed(tiny, on_slurm, tmp_path_factory):
    """The study on the cluster, each of its trainings hit by another fault; the job that was hit, by training."""
    project = configure(on_slurm(tiny, tmp_path_factory.mktemp("disturbed") / "project"), "long")
    project.profile(train={"slurm_partition": LOW, "runtime": ONE_MINUTE, "mem_mb": LITTLE, "slurm_extra": NODES})
    head = project.start("-m", "snakemake", *WORDS, "--configfile", CONFIG)
    hit: dict[tuple[str, int], str] = {}

    def hittable() -> list[tuple[str, int]]:
        waiting = [training for training in FAULTS if training not in hit]
        return [one for one in waiting if ready(project, *one) and job_of(project, *one)]

    try:
        while len(hit) < len(FAULTS):
            training = wait_for(hittable)[0]
            hit[training] = job_of(project, *training)
            FAULTS[training](project, hit[training])
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
@pytest.mark.parametrize(("training", "first", "last"), [
    (CANCELLED, "CANCELLED", "CANCELLED"),  # and submitted again under another number
    (OUT_OF_TIME, "TIMEOUT", "TIMEOUT"),  # and submitted again, with more time
    (PREEMPTED, "PREEMPTED", "COMPLETED"),  # requeued under its number
    (NODE_LOST, "NODE_FAIL", "COMPLETED"),
])  # fmt: skip
def test_a_training_that_lost_its_job_goes_on(disturbed, training, first, last):
    project, hit = disturbed
    states = history(project, hit[training])
    assert (states[0], states[-1]) == (first, last)
    assert resumes(project, *training)


@pytest.mark.slow
def test_a_training_that_runs_out_of_memory_gets_more(disturbed):
    project, _ = disturbed
    jobs = project.accounted("rule_train/*_hard_1/*.log", "ReqMem,State")
    assert jobs == [["300M", "FAILED"], [f"{MEMORY}M", "COMPLETED"]]  # with cgroups it is OUT_OF_MEMORY, not FAILED
    assert "exceeded memory limit" in project.printed
