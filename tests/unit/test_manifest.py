"""The manifest of a job: what it read, ran and wrote."""

import hashlib
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib import metadata

import PIL
import pytest
import yaml

from softlabels import commands
from softlabels.provenance import closure, manifest

CONFIG = {"split": {"kind": "random"}, "seed": 3}


@pytest.fixture
def written(tmp_path):
    (tmp_path / "items.parquet").write_bytes(b"items")
    (tmp_path / "split.parquet").write_bytes(b"split")
    (tmp_path / "folder").mkdir()
    inputs = {
        "items": tmp_path / "items.parquet",
        "several": [tmp_path / "items.parquet"],
        "folder": tmp_path / "folder",
    }
    outputs = {"split": tmp_path / "split.parquet"}
    path = tmp_path / "split.manifest.json"
    manifest.write(path, "split", CONFIG, inputs, outputs, manifest.now(), {"resumed": 1})
    return json.loads(path.read_text())


def test_inputs_and_outputs_have_path_size_and_hash(written, tmp_path):
    entry = {"path": str(tmp_path / "items.parquet"), "bytes": 5, "sha256": hashlib.sha256(b"items").hexdigest()}
    assert written["inputs"] == {"items": entry, "several": [entry], "folder": {"path": str(tmp_path / "folder")}}
    assert written["outputs"]["split"]["sha256"] == hashlib.sha256(b"split").hexdigest()


def test_the_job_is_identified(written):
    assert set(written) == {
        "schema_version", "command", "config", "code", "inputs", "outputs", "packages", "machine", "started", "ended",
        "facts",
    }  # fmt: skip
    assert (written["command"], written["config"], written["facts"]) == ("split", CONFIG, {"resumed": 1})
    assert {"host", "system", "processor", "python", "gpu", "slurm_job"} == set(written["machine"])
    started, ended = (datetime.fromisoformat(written[key]) for key in ("started", "ended"))
    assert started.tzinfo == UTC
    assert started <= ended


def test_the_code_is_that_which_the_plan_hashed(written):
    assert written["code"]["sha256"] == commands.code_hash("split", CONFIG)
    assert written["code"]["modules"] == {
        module: closure.module_hash(module) for module in closure.closure(["softlabels.labels.splits"])
    }


def test_the_packages_are_those_that_are_loaded_with_their_versions(written):
    # An independent way to the same: which distributions own the loaded modules (slow: it reads their lists of files).
    assert (written["packages"]["pillow"], written["packages"]["pyyaml"]) == (PIL.__version__, yaml.__version__)
    owners = metadata.packages_distributions()
    loaded = {name.partition(".")[0] for name in sys.modules}
    for module in ("numpy", "pyarrow", "sklearn", "PIL", "yaml", "dateutil", "torch", "matplotlib", "timm", "crowdkit"):
        if module in loaded:
            name = owners[module][0].lower().replace("_", "-")
            assert written["packages"][name] == metadata.version(name), module
    assert {"numpy", "pyarrow"} <= set(written["packages"])


def test_a_package_that_is_installed_but_not_loaded_is_left_out(monkeypatch, written):
    assert "pytest" in written["packages"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "pytest"]:
        monkeypatch.delitem(sys.modules, name)
    assert "pytest" not in manifest._packages()


def test_the_first_installation_on_the_path_is_the_one_that_counts(monkeypatch, tmp_path):
    (tmp_path / "numpy-0.0.1.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert manifest._packages()["numpy"] == "0.0.1"


def test_without_git_the_commit_is_null(monkeypatch):
    manifest._commit.cache_clear()

    def no_git(*arguments, **options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert manifest._commit() is None
    manifest._commit.cache_clear()


def test_a_manifest_costs_little(tmp_path):
    # All of a run's manifests together may cost 3 % of it: 25 in a run of about 60 s are 70 ms each.
    (tmp_path / "x").write_bytes(b"x" * 1_000_000)
    times = []
    for _ in range(3):
        manifest._commit.cache_clear()
        before = time.perf_counter()
        manifest.write(tmp_path / "m.json", "split", CONFIG, {"x": tmp_path / "x"}, {}, manifest.now(), {})
        times.append(time.perf_counter() - before)
    assert min(times) < 0.07
