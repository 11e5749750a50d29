"""What one job read, ran and wrote, noted by the job itself, while it still knows.

Paths inside the results folder are relative to it, so that a copy of the folder can be audited elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Collection
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from .. import closure, commands, io, places
from ..places import REPOSITORY

SCHEMA_VERSION = 1
LOCK = REPOSITORY / "requirements.lock"

# Where modules come from that are not foreign, besides the package itself.
ORIGINS = {"environment": "purelib", "environment (compiled)": "platlib", "standard library": "stdlib"}
# The modules of distributions that have another name.
MODULES = {
    "crowd-kit": "crowdkit", "opentsne": "openTSNE", "pillow": "PIL", "python-dateutil": "dateutil", "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}  # fmt: skip


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write(
    path: Path,
    command: str,
    config: dict[str, Any],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    started: str,
    facts: dict[str, Any],
) -> None:
    """Write the manifest of a finished job.

    Args:
        path: the manifest.
        command: name of the command.
        config: its configuration.
        inputs, outputs: paths by name (a path, or a list of paths).
        started: :func:`now` when the job began.
        facts: what the command itself has to say (hashes of initial weights and order, resumes, times).
    """
    root = places.root_of(path, command)
    code, packages = _code(command, config, root), _packages()
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "config": config,
        "code": code,
        "inputs": {name: _describe(value, root) for name, value in inputs.items()},
        "outputs": {name: _describe(value, root) for name, value in outputs.items()},
        "environment": {
            "python": platform.python_version(),
            "packages": packages,
            "origins": {name: sysconfig.get_paths()[key] for name, key in ORIGINS.items()},
            "pins": _pins(packages),
            "conda": bool(os.environ.get("CONDA_PREFIX")),
            "foreign_modules": _foreign_modules(code["files"]),
        },
        "machine": _machine(),
        "determinism": _determinism(),
        "started": started,
        "ended": now(),
        "facts": facts,
    }
    io.write_json(path, manifest | {"seal": seal(manifest)})


def seal(manifest: dict[str, Any]) -> str:
    """SHA-256 of a manifest's content without its seal.

    A study's chain lists the hashes of the manifests behind its tables; nothing lists those of figures, so that a new
    figure leaves the tables alone. The seal tells that somebody changed one of these.
    """
    content = {key: value for key, value in manifest.items() if key != "seal"}
    return hashlib.sha256(io.json_text(content).encode()).hexdigest()


def _describe(value: Any, root: Path) -> Any:
    """``path`` in the results folder or ``source`` outside of it, with size and hash; a list for several files."""
    if isinstance(value, list):
        return [_describe(path, root) for path in value]
    inside = value.resolve().is_relative_to(root)
    place = {"path": value.resolve().relative_to(root).as_posix()} if inside else {"source": str(value)}
    if value.is_dir():  # a folder of images: each file's hash is in items.parquet
        return place
    return {**place, "bytes": value.stat().st_size, "sha256": io.sha256(value)}


def _code(command: str, config: dict[str, Any], root: Path) -> dict[str, Any]:
    """The code that ran: what it can reach, and where git has it; changes that git has not are kept by their hash."""
    entries = commands.entries(command, config)
    reached = closure.closure(entries)
    definitions: dict[str, dict[str, str]] = {}
    for place, digest in sorted(reached.definitions.items()):
        module, name = place.split(":")
        definitions.setdefault(module, {})[name] = digest[: closure.DIGITS]
    modules = reached.modules | {name.partition(":")[0] for name in reached.harmless}
    commit, diff = _git()
    own = [closure.path_of(module) for module in sorted(modules) if not module.startswith("softlabels")]
    diff = b"\n".join([diff, *(b"own: %s\n%s" % (path.name.encode(), path.read_bytes()) for path in own)]).strip()
    digest = hashlib.sha256(diff).hexdigest() if diff else None
    if diff and not (archived := root / places.diff(digest)).exists():
        with io.atomic(archived) as part:
            part.write_bytes(diff)
    return {
        "sha256": reached.sha256,
        "entries": {entry: closure.code_hash([entry]) for entry in entries},
        "definitions": definitions,
        "whole": reached.whole,
        "harmless": sorted(reached.harmless),
        "files": {module: io.sha256(closure.path_of(module)) for module in sorted(modules)},
        "commit": commit,
        "dirty": bool(diff) if commit else None,
        "diff": digest,
    }


@cache
def _git() -> tuple[str | None, bytes]:
    """The commit of this repository, and what differs from it: the diff, and untracked files of the workflow."""

    def git(*arguments: str) -> bytes:
        command = ["git", "-C", str(REPOSITORY), *arguments]
        return subprocess.run(command, capture_output=True, check=False).stdout.strip()

    try:
        commit = git("rev-parse", "--verify", "-q", "HEAD").decode() or None
        if commit is None:
            return None, b""
        untracked = git("ls-files", "--others", "--exclude-standard", "workflow")
        parts = [git("diff", "--no-ext-diff", "--no-color", "--binary", "HEAD")]
        parts += [b"untracked: " + name for name in untracked.splitlines()]
        return commit, b"\n".join(part for part in parts if part)
    except OSError:  # no git here
        return None, b""


def _pins(packages: dict[str, str]) -> dict[str, Any] | None:
    """Which packages ran in another version than the lock file has; None without a lock file."""
    if not LOCK.is_file():
        return None
    different = unpinned(packages, LOCK.read_text(encoding="utf-8"))
    return {"file": LOCK.name, "sha256": io.sha256(LOCK), "different": different}


def unpinned(packages: dict[str, str], lock: str) -> dict[str, list[str]]:
    """Packages that ran in a version that the text of a lock file does not have: ``[ran, pinned]`` by name.

    A package that the lock has in several versions (one a Python version) may have any of them.
    """
    pinned: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock, re.MULTILINE):
        pinned.setdefault(name.lower().replace("_", "-"), []).append(version)
    found = {name: (version, pinned.get(name, ["not in the lock file"])) for name, version in packages.items()}
    return {name: [ran, " or ".join(known)] for name, (ran, known) in found.items() if ran not in known}


def _foreign_modules(hashed: Collection[str]) -> list[str]:
    """Loaded modules from outside the standard library, the environment and this package, whose code is not hashed."""
    paths = {key: Path(path).resolve() for key, path in sysconfig.get_paths().items()}
    foreign = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if "." in name or name == "__main__" or not file:
            continue
        origin = Path(file).resolve()
        ours = any(map(origin.is_relative_to, (closure.PACKAGE, paths["purelib"], paths["platlib"])))
        library = any(map(origin.is_relative_to, (paths["stdlib"], paths["platstdlib"])))
        own = name in hashed and origin == closure.path_of(name).resolve()
        if not (ours or own or (library and "site-packages" not in origin.parts)):
            foreign.append(name)
    return sorted(foreign)


def _packages() -> dict[str, str]:
    """Versions of the distributions whose modules are loaded, from the names of their ``dist-info`` folders.

    (``importlib.metadata.packages_distributions`` reads every distribution's list of files: up to 0.2 s a job.)
    """
    loaded = {name.partition(".")[0] for name in sys.modules}
    versions: dict[str, str] = {}
    for folder in map(Path, sys.path):
        if folder.name == "_vendor":  # a part of setuptools, which a compiled training loads: it has a version itself
            continue
        for info in folder.glob("*.dist-info"):
            distribution, _, version = info.stem.partition("-")
            name = distribution.lower().replace("_", "-")
            if {MODULES.get(name), distribution, distribution.lower()} & loaded:
                versions.setdefault(name, version)  # the first on the path is the one that is imported
    return versions


def _machine() -> dict[str, Any]:
    torch = sys.modules.get("torch")
    used = torch is not None and torch.cuda.is_initialized()
    driver = Path("/proc/driver/nvidia/version")
    slurm = {"job": "JOB_ID", "partition": "JOB_PARTITION", "nodes": "JOB_NODELIST", "restarts": "RESTART_COUNT"}
    slurm = {key: os.environ.get(f"SLURM_{name}") for key, name in slurm.items()}
    return {
        "host": socket.gethostname(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if used else None,
        "driver": driver.read_text().split("\n")[0] if used and driver.is_file() else None,
        "cuda": torch.version.cuda if used else None,
        "cudnn": torch.backends.cudnn.version() if used else None,
        "slurm": slurm if slurm["job"] is not None else None,
    }


def _determinism() -> dict[str, Any] | None:
    """torch's settings, where it was loaded."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    return {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        "threads": torch.get_num_threads(),
    }
