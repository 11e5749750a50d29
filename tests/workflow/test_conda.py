"""The conda environments: their specs, how ``--use-conda`` makes and uses them, and whether conda-forge has them.

No conda is at hand for tests, so a stand-in (``standin_conda.py``) and a channel of dummy packages show that each rule
runs in its own environment. They do not show that the real packages install or work.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

import pytest
import yaml
from projects import REPOSITORY

rattler = pytest.importorskip("rattler", reason="py-rattler, which solves and installs, is not installed")
import standin_conda  # noqa: E402

ENVIRONMENTS = sorted((REPOSITORY / "envs").glob("*.yaml"))
SPECS = [spec for path in ENVIRONMENTS for spec in yaml.safe_load(path.read_text())["dependencies"]]

# Which environment each command of the workflow runs in.
COMMANDS = {
    "analysis.yaml": {
        "card", "split", "label", "evaluate", "references", "embed", "study", "figure", "chain",
    },
    "train.yaml": {"data", "train"},
}  # fmt: skip

# The dummy Python notes which command it was asked for, and leaves the rest to the Python that runs the tests.
PYTHON = f"""#!/bin/sh
echo "$3" >> "$(dirname "$0")/../commands"
exec "{sys.executable}" "$@"
"""


@pytest.mark.parametrize("spec", SPECS)
def test_every_spec_names_one_package_in_one_version(spec):
    parsed = rattler.MatchSpec(spec, strict=True)
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", parsed.name.normalized)
    assert re.fullmatch(r"\d+(\.\d+)+\.\*", str(parsed.version))


def add_package(channel: Path, name: str, version: str, files: dict[str, str]) -> tuple[str, dict]:
    """Put a package with these executable files into a channel; its file name and its entry in the channel's index."""
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": [], "subdir": "noarch"}
    paths = {"paths": [{"_path": path, "path_type": "hardlink"} for path in files], "paths_version": 1}
    described = {"info/index.json": json.dumps(index), "info/paths.json": json.dumps(paths)}
    file = channel / "noarch" / f"{name}-{version}-0.tar.bz2"
    with tarfile.open(file, "w:bz2") as package:
        for path, text in {**described, **files}.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), 0o755
            package.addfile(entry, io.BytesIO(text.encode()))
    return file.name, {**index, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


@pytest.fixture(scope="session")
def conda(tmp_path_factory) -> dict[str, str]:
    """The stand-in, with a channel that has a dummy of every package: what to set in a project's environment."""
    folder = tmp_path_factory.mktemp("conda")
    channel = folder / "channels/conda-forge"
    (channel / "noarch").mkdir(parents=True)
    packages = {}
    for name, version in sorted({tuple(spec.split("=")) for spec in SPECS}):
        file, entry = add_package(channel, name, version, {"bin/python": PYTHON} if name == "python" else {})
        packages[file] = entry
    (channel / "noarch/repodata.json").write_text(json.dumps({"info": {"subdir": "noarch"}, "packages": packages}))
    return {
        "CONDA_CHANNEL_ALIAS": f"{(folder / 'channels').as_uri()}/",
        "CONDA_PKGS_DIRS": str(folder / "packages"),
        "PATH": str(standin_conda.install_in(folder / "base").parent),
    }


def give(conda: dict[str, str], project) -> None:
    """Let a project find the stand-in and its channel."""
    path = f"{conda['PATH']}:{project.environment['PATH']}"
    project.environment = {**project.environment, **conda, "PATH": path}


def made(project) -> dict[str, Path]:
    """The environments that were made, by the file that describes them."""
    folder = project.folder / ".snakemake/conda"
    copies = {path.read_text(): folder / path.stem for path in folder.glob("*.yaml")}
    return {path.name: copies[path.read_text()] for path in ENVIRONMENTS if path.read_text() in copies}


@pytest.mark.slow
def test_every_rule_runs_in_its_own_environment(clean, conda):
    give(conda, clean)
    clean.configure(studies__tiny__seeds=[0], studies__tiny__labels=["soft"])
    text = clean.snakemake("--use-conda")
    environments = made(clean)
    assert text.count("Creating conda environment") == len(environments) == len(ENVIRONMENTS)
    for name, prefix in environments.items():
        assert set((prefix / "commands").read_text().split()) == COMMANDS[name]
        wanted = yaml.safe_load((REPOSITORY / "envs" / name).read_text())["dependencies"]
        installed = [json.loads(path.read_text()) for path in (prefix / "conda-meta").glob("*.json")]
        assert {f"{package['name']}={package['version']}" for package in installed} == set(wanted)
    manifests = [json.loads(path.read_text()) for path in (clean.folder / "results").rglob("*.manifest.json")]
    assert {manifest["command"] for manifest in manifests} == set.union(*COMMANDS.values()) - {"chain"}
    assert all(manifest["environment"]["conda"] for manifest in manifests)
    # Nothing is old without conda, nor after a comment in an environment file, which makes new environments.
    assert clean.planned() == {}
    clean.edit("envs/train.yaml", ("channels:", "# A comment.\nchannels:"))
    assert clean.planned("--use-conda") == {}


def test_what_was_made_without_conda_is_not_old_with_it(finished, conda):
    give(conda, finished)
    assert finished.planned("--use-conda") == {}
    assert finished.planned("--use-conda", "--conda-prefix", "elsewhere") == {}
    # Only where a run asks for it.
    assert "train" in finished.planned("--use-conda", "--rerun-triggers", "software-env")


def test_an_environment_that_cannot_be_solved_stops_the_run_and_names_its_file(clean, conda):
    give(conda, clean)
    clean.edit("envs/train.yaml", ("timm=", "timm=9"))
    text = clean.snakemake("--use-conda", status=1)
    assert re.search(r"Could not create conda environment from .*envs/train\.yaml", text)
    assert "timm" in text
    assert not (clean.folder / "results").exists()


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_conda_forge_solves_the_environment(path, tmp_path):
    try:
        urllib.request.urlopen(f"{standin_conda.FORGE}conda-forge/noarch/repodata.json.zst", timeout=5).close()
    except OSError as error:
        pytest.skip(f"conda-forge cannot be reached ({error})")
    command = [standin_conda.install_in(tmp_path), "env", "create", "--dry-run", "--file", path]
    solved = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    for spec in yaml.safe_load(path.read_text())["dependencies"]:
        assert any(f"{package}.".startswith(f"{spec}.") for package in solved), spec
