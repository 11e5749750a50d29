"""A cluster that tests may break, and a project that submits to it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import yaml
from projects import Project

PROFILE = "profiles/here"
WORDS = ("--workflow-profile", PROFILE)
MEMORY = 1350  # MB that a small training asks for: it, and the two Snakemakes above it; two such jobs fit a node


def wait_for(what, seconds: float = 400):
    """The first true value of ``what()``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError("waited in vain")


class Cluster:
    """A SLURM cluster on loopback, started and stopped by a script."""

    def __init__(self, script: Path):
        self.script = script
        self.state = Path(os.environ.get("SLURM_LOCAL_DIR", "/tmp/slurm-local"))
        self.environment = {"SLURM_CONF": str(self.state / "etc" / "slurm.conf")}

    def call(self, *words: str) -> subprocess.CompletedProcess:
        """Call the script."""
        return subprocess.run(
            [self.script, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
        )

    def up(self) -> subprocess.CompletedProcess:
        """Start what is not running of it."""
        return self.call("up", "--nodes", "2", "--gpus-per-node", "1", "--enforce-memory")

    def slurm(self, *words: str) -> str:
        """What a SLURM command prints."""
        return subprocess.run(
            words, env={**os.environ, **self.environment}, check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()

    def lose_node(self, node: str) -> None:
        """Kill a node's daemon and all that runs on the node, as a power cut does, and start the daemon again.

        SLURM is told that the node is down: it finds out by itself after up to five minutes (SlurmdTimeout).
        """
        daemon = psutil.Process(int((self.state / "run" / f"slurmd-{node}.pid").read_text().split()[0]))
        daemon.kill()
        daemon.wait()
        numbers = self.slurm("squeue", "--noheader", "--nodelist", node, "--format", "%i").split()
        for process in psutil.process_iter(["cmdline", "environ"]):
            words, environment = " ".join(process.info["cmdline"] or []), process.info["environ"] or {}
            steps = any(f"slurmstepd: [{number}." in words for number in numbers)
            if steps or (environment.get("SLURM_JOB_ID") in numbers and environment.get("SLURMD_NODENAME") == node):
                process.kill()
        self.slurm("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=power cut")
        started = self.up()
        assert started.returncode == 0, started.stdout


class SlurmProject(Project):
    """A copy of the project that submits to a cluster."""

    def __init__(self, folder: Path, cluster: Cluster):
        super().__init__(folder)
        self.cluster = cluster
        self.environment |= cluster.environment
        self.environment.pop("SLURM_JOB_ID", None)

    def profile(self, train: dict | None = None, **changes) -> None:
        """Adapt the project's SLURM profile to the cluster: its account, and short waits.

        Jobs ask for what the rules say, but for what ``train`` says of trainings.
        """
        keys = yaml.safe_load((self.folder / "profiles/slurm/profile.yaml").read_text())
        keys["default-resources"] |= {"slurm_account": "testing"}
        del keys["set-resources"]
        keys |= {"set-resources": {"train": train}} if train else {}
        keys |= {"latency-wait": 10, "slurm-init-seconds-before-status-checks": 1, **changes}
        file = self.folder / PROFILE / "profile.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(keys))

    def jobs(self) -> dict[str, str]:
        """This project's queued and running SLURM jobs: their number by what they do."""
        lines = self.cluster.slurm("squeue", "--noheader", "--format", "%i|%k|%Z").splitlines()
        found = [line.split("|") for line in lines]
        return {comment: number for number, comment, folder in found if folder == str(self.folder)}

    def accounted(self, logs: str, fields: str) -> list[list[str]]:
        """What the accounting says of the jobs whose logs (``rule_or_group/wildcards/number.log``) match a pattern."""
        numbers = sorted(log.stem for log in (self.folder / ".snakemake/slurm_logs").glob(logs))
        words = ("sacct", "-X", "--noheader", "--parsable2", f"--format={fields}", "--jobs", ",".join(numbers))
        return [line.split("|") for line in self.cluster.slurm(*words).splitlines()]

    def stop(self) -> None:
        """Cancel all jobs and kill all processes of this project."""
        jobs = self.jobs().values()
        if jobs:
            self.cluster.slurm("scancel", *jobs)
            wait_for(lambda: not self.jobs())
        for process in psutil.process_iter(["cwd"]):
            if process.info["cwd"] == str(self.folder):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)
