"""A lock that dies with its process, and says who holds it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import UserError
from .io import write_text


def holder(lock: Path) -> dict:
    """Who took the lock last: pid, host, job (SLURM job id or null); empty if nobody did."""
    try:
        return json.loads(lock.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return {}


@contextmanager
def held(lock: Path, what: str, remedy: str) -> Iterator[None]:
    """Hold ``lock`` for the length of a block.

    Raises:
        UserError: somebody else holds it; the message says what is going on, who holds it and the ``remedy``.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    guard = FileLock(lock)
    try:
        guard.acquire(timeout=0)
    except Timeout:
        who = holder(lock)
        job = f", job {who['job']}" if who.get("job") else ""
        place = f"process {who.get('pid', 'unknown')} on {who.get('host', 'an unknown host')}{job}"
        raise UserError(f"{what}: {place} holds {lock}. {remedy}") from None
    try:
        record = {"pid": os.getpid(), "host": socket.gethostname(), "job": os.environ.get("SLURM_JOB_ID")}
        write_text(lock.with_suffix(".json"), json.dumps(record))
        yield
    finally:
        guard.release()
