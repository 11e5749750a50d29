"""What one job read, ran and wrote, noted by the job itself."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from .. import commands, io
from . import closure

SCHEMA_VERSION = 1

# Distributions whose module has another name.
MODULES = {
    "crowd-kit": "crowdkit",
    "pillow": "PIL",
    "python-dateutil": "dateutil",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}


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
    modules = closure.closure(commands.modules(command, config))
    io.write_json(
        path,
        {
            "schema_version": SCHEMA_VERSION,
            "command": command,
            "config": config,
            "code": {
                "sha256": commands.code_hash(command, config),
                "modules": {module: closure.module_hash(module) for module in modules},
                "commit": _commit(),
            },
            "inputs": {name: _describe(value) for name, value in inputs.items()},
            "outputs": {name: _describe(value) for name, value in outputs.items()},
            "packages": _packages(),
            "machine": _machine(),
            "started": started,
            "ended": now(),
            "facts": facts,
        },
    )


def _describe(value: Any) -> Any:
    if isinstance(value, list):
        return [_describe(path) for path in value]
    if value.is_dir():  # a folder of images: each file's hash is in items.parquet
        return {"path": str(value)}
    return {"path": str(value), "bytes": value.stat().st_size, "sha256": io.sha256(value)}


@cache
def _commit() -> str | None:
    command = ["git", "-C", str(closure.PACKAGE), "rev-parse", "--verify", "-q", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    except OSError:  # no git here
        return None


def _packages() -> dict[str, str]:
    """Versions of the distributions whose modules are loaded, from the names of their ``dist-info`` folders.

    (``importlib.metadata.packages_distributions`` reads every distribution's list of files: up to 0.2 s a job.)
    """
    loaded = {name.partition(".")[0] for name in sys.modules}
    versions: dict[str, str] = {}
    for folder in sys.path:
        for info in Path(folder).glob("*.dist-info"):
            distribution, _, version = info.stem.partition("-")
            name = distribution.lower().replace("_", "-")
            if {MODULES.get(name), distribution, distribution.lower()} & loaded:
                versions.setdefault(name, version)  # the first on the path is the one that is imported
    return versions


def _machine() -> dict[str, Any]:
    torch = sys.modules.get("torch")
    gpu = torch.cuda.get_device_name() if torch is not None and torch.cuda.is_initialized() else None
    return {
        "host": socket.gethostname(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "gpu": gpu,
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }
