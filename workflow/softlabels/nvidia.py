"""What nvidia-smi says of this machine's GPUs: their memory, and whose it is."""

from __future__ import annotations

import subprocess
from typing import Any

GPUS = ("index", "name", "uuid", "memory.used", "memory.total", "utilization.gpu")
PROCESSES = ("pid", "used_gpu_memory", "gpu_uuid")
PATIENCE_SECONDS = 10  # a driver that nobody keeps awake takes some


def gpus() -> list[dict[str, Any]]:
    """This machine's GPUs; none where there is no nvidia-smi, or it fails.

    Returns:
        Of each ``index``, ``name``, ``used_mb``, ``total_mb``, ``busy`` (percent of the last moment in which it worked)
        and ``processes``: process id to MB. What nvidia-smi does not know (in some containers, with MIG) is None or
        not there.
    """
    found = {}
    for index, name, uuid, used, total, busy in table("gpu", GPUS):
        numbers = dict(zip(("used_mb", "total_mb", "busy"), map(_number, (used, total, busy)), strict=True))
        found[uuid] = {"index": _number(index), "name": name, **numbers, "processes": {}}
    if found:
        for pid, used, uuid in table("compute-apps", PROCESSES):
            if uuid in found and _number(pid) is not None and _number(used) is not None:
                found[uuid]["processes"][_number(pid)] = _number(used)
    return list(found.values())


def asked(*options: str, patience: float = PATIENCE_SECONDS) -> str | None:
    """What nvidia-smi says; None where there is none, or it fails."""
    try:
        done = subprocess.run(
            ["nvidia-smi", *options], capture_output=True, text=True, errors="replace", check=True, timeout=patience
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def table(what: str, columns: tuple[str, ...]) -> list[list[str]]:
    """Rows of an answer with as many cells as columns."""
    text = asked(f"--query-{what}={','.join(columns)}", "--format=csv,noheader,nounits") or ""
    rows = ([cell.strip() for cell in line.split(",")] for line in text.splitlines())
    return [row for row in rows if len(row) == len(columns)]


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None  # [N/A]
