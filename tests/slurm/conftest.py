"""A SLURM cluster on this machine, and copies of the project that submit to it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import WORDS, Cluster, SlurmProject
from long_study import CONFIG, configure
from projects import REPOSITORY, TINY, Project

SLURM_LOCAL = REPOSITORY.parent / "shared" / "slurm" / "slurm-local"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes of two CPUs and one make-believe GPU; left running if it ran before."""
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("snakemake-executor-plugin-slurm is not installed")
    if not SLURM_LOCAL.is_file():
        pytest.skip(f"needs a SLURM cluster that can be broken: there is no {SLURM_LOCAL}")
    cluster = Cluster(SLURM_LOCAL)
    before = cluster.call("status").returncode == 0
    started = cluster.up()
    if started.returncode:
        pytest.skip(f"no SLURM cluster can be started here: {started.stdout.splitlines()[-1:]}")
    yield cluster
    if not before:
        cluster.call("down")


@pytest.fixture(scope="session")
def on_slurm(cluster, copy):
    """Copy a project to where it submits to the cluster."""

    def copied(project: Project, folder: Path) -> SlurmProject:
        copy(project, folder)
        return SlurmProject(folder, cluster)

    return copied


@pytest.fixture
def project(tiny, on_slurm, tmp_path) -> Iterator[SlurmProject]:
    """A copy of the finished tiny study that submits to the cluster; no job of it is left behind."""
    project = on_slurm(tiny, tmp_path / "project")
    yield project
    project.stop()


@pytest.fixture(scope="session")
def undisturbed(tiny, copy, tmp_path_factory) -> Project:
    """The long studies, made on one machine without disturbance; no test may change it."""
    project = configure(copy(tiny, tmp_path_factory.mktemp("undisturbed") / "project"), "long", "single")
    project.snakemake(config=CONFIG)
    return project


@pytest.fixture(scope="session", autouse=True)
def started(request) -> tuple[SlurmProject, subprocess.Popen] | None:
    """The whole tiny study, at work on the cluster while other tests run, if any test asks for it.

    Each training has a GPU of its own. Calls of squeue are noted in the file ``calls``.
    """
    if not any("study" in item.fixturenames for item in request.session.items):
        yield None
        return
    fresh, on_slurm, folders = (request.getfixturevalue(name) for name in ("fresh", "on_slurm", "tmp_path_factory"))
    project = on_slurm(fresh, folders.mktemp("study") / "project")
    project.commit()
    project.profile(train={"gpu": 1, "slurm_partition": "gpu"})
    shim = project.folder / "bin" / "squeue"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "$@" >>"{project.folder}/calls"\nexec {shutil.which("squeue")} "$@"\n')
    shim.chmod(0o755)
    project.environment["PATH"] = f"{shim.parent}:{project.environment['PATH']}"
    head = project.start("-m", "snakemake", *WORDS, "--configfile", TINY)
    yield project, head
    head.kill()
    project.stop()
