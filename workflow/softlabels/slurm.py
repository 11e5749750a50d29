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

# Snakemake's executor gives each of its jobs a comment that begins so.
COMMENT = "rule_"
# A cancelled job may take SLURM's KillWait (30 s unless set otherwise) to save its state.
ENDING_SECONDS = 180


def require(options: list[str]) -> None:
    """Is there a SLURM to submit to, if Snakemake's options ask for one?

    Raises:
        UserError: there is none.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--executor", "-e")
    parser.add_argument("--workflow-profile", type=Path)
    asked, _ = parser.parse_known_args(options)
    profile = asked.workflow_profile and asked.workflow_profile / "profile.yaml"
    executor = asked.executor or (profile and profile.is_file() and read(profile).get("executor"))
    if executor == "slurm" and not shutil.which("sbatch"):
        raise UserError(
            f"{asked.workflow_profile or '--executor slurm'}: submits jobs to SLURM, but there is no sbatch here. Run "
            f"this on a login node of the cluster, or without that option on this machine alone."
        )


def end_orphans(folder: Path) -> None:
    """Cancel the jobs that Snakemake submitted from ``folder``, and wait until they are gone.

    For a folder in which no Snakemake is at work. A training saves its state when it is cancelled.

    Raises:
        UserError: jobs that do not end.
    """
    jobs = orphans(folder)
    if not jobs:
        return
    print(f"SLURM jobs of a killed run are still in the queue ({', '.join(jobs)}): cancelling them.", file=sys.stderr)
    subprocess.run(["scancel", *jobs], check=False)
    end = time.monotonic() + ENDING_SECONDS
    while jobs := orphans(folder):
        if time.monotonic() > end:
            raise UserError(
                f"SLURM jobs of a killed run do not end, {ENDING_SECONDS} s after they were cancelled: "
                f"{', '.join(jobs)}. See `squeue --jobs {','.join(jobs)}`, and run this again when they are gone."
            )
        time.sleep(1)


def orphans(folder: Path) -> list[str]:
    """Numbers of this user's queued and running jobs that Snakemake submitted from ``folder``; none without SLURM."""
    if shutil.which("squeue") is None:
        return []
    # The long option's fields would be cut to 20 characters. The folder comes last: it may hold any character.
    words = ["squeue", "--noheader", "--user", getpass.getuser(), "--format", "%i|%k|%Z"]
    listing = subprocess.run(words, capture_output=True, text=True, check=False)
    if listing.returncode:
        print(f"SLURM does not answer: {listing.stderr.strip()}. Jobs of a killed run are not sought.", file=sys.stderr)
        return []
    jobs = [line.split("|", 2) for line in listing.stdout.splitlines()]
    return [
        number
        for number, comment, place in jobs
        if comment.startswith(COMMENT) and place == str(folder) and number != os.environ.get("SLURM_JOB_ID")
    ]
