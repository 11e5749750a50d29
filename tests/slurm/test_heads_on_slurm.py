"""The process that submits the jobs is stopped, killed or started twice: the next run goes on to the same tables."""

from __future__ import annotations

import os
import signal

import pytest
from cluster import WORDS, wait_for
from long_study import CONFIG, assert_as_undisturbed, configure, job_of, log_of, resumes

TRAINING = ("soft", 0)
RUN = ("run", "--cores", "2", "--configfile", CONFIG, "--", *WORDS)


def start(project, *words: str, says: str):
    """Start a head; return it when its training runs and has said something in its log."""
    log = log_of(project, *TRAINING)
    log.unlink(missing_ok=True)
    head = project.start(*words)
    wait_for(lambda: log.is_file() and says in log.read_text())
    assert job_of(project, *TRAINING)
    return head


@pytest.mark.slow
def test_heads_that_are_killed_interrupted_and_terminated_end_with_the_same_tables(project, undisturbed):
    configure(project, "single")
    project.profile()

    head = start(project, "-Pm", "softlabels", *RUN, says="epoch 5/")
    orphan = job_of(project, *TRAINING)
    # A second head stops at once, and harms nothing.
    assert "A run is at work in this folder already" in project.softlabels(*RUN, status=2)
    assert "Directory cannot be locked" in project.python("-m", "snakemake", *WORDS, "--configfile", CONFIG, status=1)
    assert job_of(project, *TRAINING) == orphan
    os.killpg(head.pid, signal.SIGKILL)
    head.wait()
    assert job_of(project, *TRAINING) == orphan  # which nobody waits for any more

    head = start(project, "-Pm", "softlabels", *RUN, says="resumed at epoch")
    assert f"SLURM jobs that nobody waits for are in the queue ({orphan}): cancelling them." in project.printed
    assert job_of(project, *TRAINING) != orphan
    os.killpg(head.pid, signal.SIGINT)  # Ctrl-C
    assert head.wait(60) != 0
    assert "Terminating processes on user request" in project.printed
    wait_for(lambda: not project.jobs())

    head = start(project, "-Pm", "softlabels", *RUN, says="resumed at epoch")
    head.terminate()
    assert head.wait(200) != 0  # when its training is done
    assert "Will exit after finishing currently running jobs" in project.printed
    assert project.jobs() == {}

    project.softlabels(*RUN)
    assert len(resumes(project, *TRAINING)) == 2
    assert_as_undisturbed(project, undisturbed, "single")
