"""File systems that are full or take no writing, and clocks that differ: a clear error, and nothing half-made."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from projects import TINY

DATA = "data/tiny_synthetic/images.npy"


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system of its own in a folder; skips where none can be mounted."""
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_results_on_a_read_only_file_system_stop_at_once(clean):
    results = clean.folder / "away/results"
    with mounted(results.parent, "size=1m,ro"):
        config = clean.configure(results=str(results))
        assert f"OSError: [Errno 30] Read-only file system: '{results}'" in clean.snakemake(config=config, status=1)
        text = clean.softlabels("run", "--cores", "1", "--configfile", config, status=2)
        assert f"softlabels: {results}: Read-only file system. The file system takes no writing here: set" in text


def test_results_on_a_full_file_system_name_the_file_and_leave_none(clean):
    results = clean.folder / "away/results"
    with mounted(results.parent, "size=600k"):
        text = clean.snakemake(config=clean.configure(results=str(results)), status=1)
        assert f"softlabels: {results}/{DATA}: No space left on device. The disk is full: free some space" in text
        assert [path.name for path in results.rglob("*") if path.is_file()] == ["tiny_synthetic.log"]


def test_a_home_that_is_full_is_named(clean):
    home = clean.folder / "home"
    with mounted(home, "size=40k"):
        clean.environment |= {"HOME": str(home), "XDG_CACHE_HOME": ""}
        text = clean.softlabels("run", "--cores", "1", "--configfile", TINY, status=2)
    assert f"softlabels: {home}/.cache/snakemake: No space left on device." in text
    assert "set XDG_CACHE_HOME to a folder on another file system" in text


def test_a_file_from_the_future_is_named_with_its_time(finished):
    reference, split = "data/tiny_synthetic/reference.parquet", "splits/tiny_synthetic/random/seed0.parquet"
    tomorrow = time.time() + 86400
    os.utime(finished.folder / "results/tiny" / reference, (tomorrow, tomorrow))
    text = finished.snakemake(f"results/tiny/{split}", "--forcerun", "split", status=1)
    assert re.search(f"Output results/tiny/{split} has older .* than input results/tiny/{reference}", text)
    assert "This could indicate a clock skew problem" in text
    assert not (finished.folder / "results/tiny" / split).exists()
