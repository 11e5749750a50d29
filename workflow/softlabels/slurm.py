"""SLURM from where Snakemake runs: is it here, and what did a killed Snakemake leave behind?"""

from __future__ import annotations

import argparse
import getpass
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from .config import read
from .errors import UserError
from .places import REPOSITORY

# Snakemake's executor gives each of its jobs a comment that begins so.
COMMENT = "rule_"
# A cancelled job may take SLURM's KillWait (30 s unless set otherwise) to save its state.
ENDING_SECONDS = 180
ANSWER_TRIES, ANSWER_PAUSE_SECONDS = 5, 10


def asked_for(options: list[str]) -> bool:
    """Do Snakemake's options ask for SLURM?

    Raises:
        UserError: they do, and there is none here.
    """
    asked = _asked(options)
    profile = next((path for path in profiles_of(options) if path.is_file()), None)
    executor = asked.executor or (profile and read(profile).get("executor"))
    if executor == "slurm" and not shutil.which("sbatch"):
        raise UserError(
            f"{asked.workflow_profile or '--executor slurm'}: submits jobs to SLURM, but there is no sbatch here. Run "
            f"this on a login node of the cluster, or without that option on this machine alone."
        )
    return executor == "slurm"


def _asked(options: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--executor", "-e")
    parser.add_argument("--workflow-profile", type=Path)
    return parser.parse_known_args(options)[0]


def profiles_of(options: list[str]) -> list[Path]:
    """Where Snakemake looks for the workflow profile that its options name; none where they name none."""
    named = _asked(options).workflow_profile
    folders = [named, Path("profiles", named), REPOSITORY / "profiles" / named] if named else []
    return [folder / "profile.yaml" for folder in folders]


def end_orphans(folder: Path, *, certain: bool) -> None:
    """Cancel the jobs that Snakemake submitted from ``folder``, and wait until they are gone.

    For a folder in which no Snakemake is at work. A training saves its state when it is cancelled. Where it is
    ``certain`` that SLURM was used, it has to answer.

    Raises:
        UserError: jobs that do not end, or no answer where there has to be one.
    """
    jobs = orphans(folder)
    for _ in range(ANSWER_TRIES - 1 if certain else 0):
        if jobs is None:
            time.sleep(ANSWER_PAUSE_SECONDS)
            jobs = orphans(folder)
    if jobs is None and certain:
        raise UserError(
            "SLURM does not answer (squeue), so that jobs which nobody waits for may still be at work here. Run "
            "this again when `squeue` works."
        )
    if not jobs:
        return
    print(f"SLURM jobs that nobody waits for are in the queue ({', '.join(jobs)}): cancelling them.", file=sys.stderr)
    subprocess.run(["scancel", *jobs], check=False)
    end = time.monotonic() + ENDING_SECONDS
    while (left := orphans(folder)) != []:
        jobs = left or jobs  # where SLURM does not answer, they count as there
        if time.monotonic() > end:
            raise UserError(
                f"SLURM jobs that nobody waits for do not end, {ENDING_SECONDS} s after they were cancelled: "
                f"{', '.join(jobs)}. See `squeue --jobs {','.join(jobs)}`, and run this again when they are gone."
            )
        time.sleep(1)


def orphans(folder: Path) -> list[str] | None:
    """Numbers of this user's queued and running jobs that Snakemake submitted from ``folder``; None without an answer.

    There are none where there is no SLURM.
    """
    if shutil.which("squeue") is None:
        return []
    # The long option's fields would be cut to 20 characters. The folder comes last: it may hold any character.
    words = ["squeue", "--noheader", "--user", getpass.getuser(), "--format", "%i|%k|%Z"]
    try:
        listing = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    except subprocess.CalledProcessError as error:
        print(f"SLURM does not answer: {error.stderr.strip()}.", file=sys.stderr)
        return None
    except subprocess.TimeoutExpired as error:
        print(f"SLURM does not answer within {error.timeout} s.", file=sys.stderr)
        return None
    jobs = [line.split("|", 2) for line in listing.stdout.splitlines()]
    return [
        number
        for number, comment, place in jobs
        if comment.startswith(COMMENT) and place == str(folder) and number != os.environ.get("SLURM_JOB_ID")
    ]
