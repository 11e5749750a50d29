"""Fresh sources, and a finished tiny study, made once a session.

What needs more packages than training does is imported inside: ``tests/gpu`` runs where no others are.
"""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from projects import Project

# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With several workers, a file is one worker's, so that its fixtures are made once; so is all of the cluster."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "tests/slurm" if file.startswith("tests/slurm/") else file

    return ByFile(config, log)


@pytest.fixture(scope="session")
def fresh(tmp_path_factory) -> Project:
    """The sources alone; no test may run or change anything in here."""
    from projects import copy_sources

    return copy_sources(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture(scope="session")
def copy() -> Callable[[Project, Path], Project]:
    """Copy a project with its times, which Snakemake compares."""
    from projects import Project

    def copied(project: Project, folder: Path) -> Project:
        shutil.copytree(project.folder, folder)
        return Project(folder)

    return copied


@pytest.fixture(scope="session")
def tiny(fresh, copy, tmp_path_factory) -> Project:
    """The finished tiny study, made by Snakemake on two cores in a git checkout; no test may change it."""
    project = copy(fresh, tmp_path_factory.mktemp("tiny") / "project")
    project.commit()
    project.snakemake()
    return project


@pytest.fixture
def clean(fresh, copy, tmp_path) -> Project:
    """A copy of the sources of its own."""
    return copy(fresh, tmp_path / "project")


@pytest.fixture
def finished(tiny, copy, tmp_path) -> Project:
    """A copy of the finished tiny study of its own."""
    return copy(tiny, tmp_path / "project")


@pytest.fixture(scope="session")
def both(tmp_path_factory) -> Path:
    """The finished ``finished_run.BOTH``; no test may change it."""
    import finished_run

    return finished_run.build_both(tmp_path_factory.mktemp("both") / "results")


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """The results of the small study that the commands make in this process; no test may change them."""
    import finished_run

    from softlabels.provenance import manifest

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "_foreign_modules", lambda hashed: [])  # the tests themselves are foreign
        return finished_run.build(tmp_path_factory.mktemp("small") / "results")


@pytest.fixture
def broken(small, tmp_path) -> Path:
    """A copy of these results, to be broken."""
    return Path(shutil.copytree(small, tmp_path / "results"))


@pytest.fixture
def reads(monkeypatch) -> tuple[Counter, Counter]:
    """How often each table is read, and each file hashed, from now on; by path."""
    from softlabels import io

    counters = Counter(), Counter()
    for name, counts in zip(("read_table", "sha256"), counters, strict=True):
        original = getattr(io, name)

        def counted(path, *more, original=original, counts=counts):
            counts[Path(path)] += 1
            return original(path, *more)

        monkeypatch.setattr(io, name, counted)
    return counters


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    """A clock that a test sets."""
    return Clock()


@pytest.fixture(scope="module")
def no_foreign_modules():
    """Tests that make manifests in their own process are no modules of the user's."""
    from softlabels.provenance import manifest

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "_foreign_modules", lambda hashed: [])
        yield
