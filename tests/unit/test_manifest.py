"""The manifest of a job: what it read, ran and wrote."""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import PIL
import pytest
import yaml

from softlabels import closure, commands
from softlabels.provenance import manifest

CONFIG = {"split": {"kind": "random"}, "seed": 3}


@pytest.fixture
def results(tmp_path):
    """A results folder with one split to describe."""
    root = tmp_path / "results"
    for path in ("data/d/items.parquet", "splits/d/random/seed3.parquet"):
        (root / path).parent.mkdir(parents=True)
        (root / path).write_bytes(path.encode())
    return root


@pytest.fixture
def written(results, tmp_path):
    items, split = results / "data/d/items.parquet", results / "splits/d/random/seed3.parquet"
    (tmp_path / "counts.csv").write_bytes(b"counts")
    inputs = {"items": items, "several": [items], "folder": tmp_path, "counts": tmp_path / "counts.csv"}
    path = split.with_suffix(".manifest.json")
    manifest.write(path, "split", CONFIG, inputs, {"split": split}, manifest.now(), {"resumed": 1})
    return json.loads(path.read_text())


def test_files_in_the_results_folder_are_named_from_there_and_others_are_sources(written, tmp_path):
    def entry(content, **place):
        return {**place, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    items = entry(b"data/d/items.parquet", path="data/d/items.parquet")
    counts = entry(b"counts", source=str(tmp_path / "counts.csv"))
    folder = {"source": str(tmp_path)}
    assert written["inputs"] == {"items": items, "several": [items], "folder": folder, "counts": counts}
    assert written["outputs"]["split"]["path"] == "splits/d/random/seed3.parquet"


def test_the_job_is_identified(written):
    assert set(written) == {
        "schema_version", "command", "config", "code", "inputs", "outputs", "environment", "machine", "determinism",
        "started", "ended", "facts", "seal",
    }  # fmt: skip
    assert (written["command"], written["config"], written["facts"]) == ("split", CONFIG, {"resumed": 1})
    started, ended = (datetime.fromisoformat(written[key]) for key in ("started", "ended"))
    assert started.tzinfo == UTC
    assert started <= ended


def test_the_seal_is_that_of_the_rest(written):
    assert written["seal"] == manifest.seal(written)
    assert written["seal"] != manifest.seal(written | {"ended": "never"})


def test_it_says_where_modules_came_from(written):
    origins = written["environment"]["origins"]
    assert Path(PIL.__file__).is_relative_to(origins["environment (compiled)"])
    assert Path(json.__file__).is_relative_to(origins["standard library"])
    assert written["environment"]["foreign_modules"] == manifest._foreign_modules(())


def test_a_slurm_job_is_named(monkeypatch):
    assert manifest._machine()["slurm"] is None
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    assert manifest._machine()["slurm"] == {"job": "17", "partition": None, "nodes": None, "restarts": "2"}


def test_the_code_is_that_which_the_plan_hashed(written):
    code, reached = written["code"], closure.closure(entries := commands.entries("split", CONFIG))
    assert code["sha256"] == closure.code_hash(entries)
    assert code["entries"] == {entry: closure.code_hash([entry]) for entry in entries}
    assert {
        f"{module}:{name}": digest for module, names in code["definitions"].items() for name, digest in names.items()
    } == {place: digest[:16] for place, digest in reached.definitions.items()}
    assert (code["whole"], code["harmless"]) == (reached.whole, sorted(reached.harmless))


def test_it_has_the_hash_of_every_file_of_that_code_harmless_ones_too(written):
    files = written["code"]["files"]
    assert {"softlabels.labels.splits", "softlabels.io", "softlabels.errors"} <= set(files)
    for module, digest in files.items():
        assert digest == hashlib.sha256(closure.path_of(module).read_bytes()).hexdigest()


def test_changes_that_git_does_not_have_are_kept_under_their_hash(monkeypatch, results, tmp_path):
    repository = tmp_path / "repository"
    (repository / "workflow").mkdir(parents=True)
    (repository / "workflow" / "a.py").write_text("a = 1\n")
    git = ["git", "-C", str(repository), "-c", "user.name=x", "-c", "user.email=x"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    monkeypatch.setattr(manifest, "REPOSITORY", repository)
    monkeypatch.setattr(manifest, "_git", manifest._git.__wrapped__)
    clean = manifest._code("split", CONFIG, results)
    assert len(clean["commit"]) == 40
    assert (clean["dirty"], clean["diff"]) == (False, None)
    (repository / "workflow" / "a.py").write_text("a = 2\n")
    (repository / "workflow" / "new.py").write_text("")
    dirty = manifest._code("split", CONFIG, results)
    diff = (results / "audit" / "diffs" / f"{dirty['diff']}.diff").read_bytes()
    assert dirty["dirty"] and hashlib.sha256(diff).hexdigest() == dirty["diff"]
    assert b"+a = 2" in diff and b"untracked: workflow/new.py" in diff


def test_packages_that_differ_from_the_lock_file_are_named(monkeypatch, tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("a==1 ; python_version < '3.12' \\\n    --hash=x\na==2 ; python_version >= '3.12'\nB_c==3 \\\n")
    monkeypatch.setattr(manifest, "LOCK", lock)
    assert manifest._pins({"a": "1", "b-c": "3"})["different"] == {}
    found = manifest._pins({"a": "3", "d": "1"})["different"]
    assert found == {"a": ["3", "1 or 2"], "d": ["1", "not in the lock file"]}
    lock.unlink()
    assert manifest._pins({}) is None


def test_a_module_from_elsewhere_is_foreign(monkeypatch, tmp_path):
    before = set(manifest._foreign_modules(()))
    (tmp_path / "stranger.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    import stranger  # noqa: F401

    assert set(manifest._foreign_modules(())) - before == {"stranger"}
    assert not {"numpy", "json", "softlabels", "pyarrow"} & before
    monkeypatch.delitem(sys.modules, "stranger")


def test_the_packages_are_those_that_are_loaded_with_their_versions(written):
    # An independent way to the same: which distributions own the loaded modules (slow: it reads their lists of files).
    packages = written["environment"]["packages"]
    assert (packages["pillow"], packages["pyyaml"]) == (PIL.__version__, yaml.__version__)
    owners = metadata.packages_distributions()
    loaded = {name.partition(".")[0] for name in sys.modules}
    named = ("sklearn", "PIL", "yaml", "dateutil", "torch", "matplotlib", "timm", "crowdkit", "openTSNE")
    for module in ("numpy", "pyarrow", *named):
        if module in loaded:
            name = owners[module][0].lower().replace("_", "-")
            assert packages[name] == metadata.version(name), module
    assert {"numpy", "pyarrow"} <= set(packages)


def test_a_package_that_is_installed_but_not_loaded_is_left_out(monkeypatch, written):
    assert "pytest" in written["environment"]["packages"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "pytest"]:
        monkeypatch.delitem(sys.modules, name)
    assert "pytest" not in manifest._packages()


def test_the_first_installation_on_the_path_is_the_one_that_counts(monkeypatch, tmp_path):
    (tmp_path / "numpy-0.0.1.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert manifest._packages()["numpy"] == "0.0.1"


def test_what_setuptools_brings_of_its_own_is_no_package(monkeypatch, tmp_path):
    (tmp_path / "setuptools/_vendor/more_itertools-0.0.1.dist-info").mkdir(parents=True)
    monkeypatch.setitem(sys.modules, "more_itertools", None)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "setuptools/_vendor")])
    assert manifest._packages() == {}


def test_without_git_the_commit_is_null(monkeypatch):
    def no_git(*arguments, **options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert manifest._git.__wrapped__() == (None, b"")
