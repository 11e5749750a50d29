"""A lock that dies with its owner, says who that is, and holds across the nodes of a cluster.

Two lines of defence. ``flock`` on the lock file is exact on one host and on most shared file systems, and unknown to
some. Beside it lies a record of the owner (``<lock>.json``), created exclusively and touched every BEAT_SECONDS.
Whoever finds the record of a live owner stays away; a dead owner's record is replaced by one rename; an owner that
finds another's record in the place of its own stops before it writes anything.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, TextIO

from .errors import UserError

BEAT_SECONDS = 30.0
DEAD_SECONDS = 300.0  # without a beat; only where neither the host nor SLURM can be asked about the owner
RETRY_SECONDS = 1.0  # until the next try where whoever comes waits without end


def whoami() -> dict[str, Any]:
    """This process: host, pid and its start (clock ticks since boot), SLURM job and cluster, and the time."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process": _process_start(os.getpid()),
        "job": os.environ.get("SLURM_JOB_ID"),
        "cluster": os.environ.get("SLURM_CLUSTER_NAME"),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@contextmanager
def held(lock: Path, what: str, remedy: str, patience: float = 0) -> Iterator[Callable[[], None]]:
    """Hold ``lock`` for the length of a block.

    Args:
        lock: the file to lock; its record is ``lock.with_suffix(".json")``.
        what, remedy: what is going on if somebody else holds it, and what to do then.
        patience: seconds to wait for an owner that may be about to stop.

    Yields:
        A function that raises UserError once somebody else took the lock over (this process was silent for too long, or
        was thought dead): call it before writing.

    Raises:
        UserError: somebody else holds it; the message says what is going on, who, where, since when and the remedy.
    """
    record, mine = lock.with_suffix(".json"), whoami() | {"token": secrets.token_hex(8)}

    def check() -> None:
        if (owner := _read(record)) != mine:
            who = _named(owner) if owner else "somebody unknown"
            raise UserError(
                f"{lock} was taken over by {who}, because this process ({_named(mine)}) seemed dead. It stops and "
                f"writes nothing more; the other goes on."
            )

    end, said = time.monotonic() + patience, ""
    while isinstance(taken := _take(lock, record, mine), dict):
        if time.monotonic() >= end:
            raise UserError(_refusal(lock, record, taken, what, remedy))
        if not said:
            said = f"{what}: waiting up to {patience:.0f} s for {_named(taken)}"
            print(said, file=sys.stderr, flush=True)
        time.sleep(min(1, patience))
    with _kept(taken, record, mine):
        yield check


@contextmanager
def one_of(places: Callable[[], Sequence[Path]], busy: Callable[[list[str]], None]) -> Iterator[Path]:
    """Hold the first of some locks that nobody has for the length of a block; wait until there is one.

    Args:
        places: says before each look which files to lock, in the order in which they are tried; records lie beside
            them, as in :func:`held`.
        busy: called where all are taken, with who has them and since when; again whenever others have them.

    Yields:
        The lock that is held.
    """
    mine, told = whoami() | {"token": secrets.token_hex(8)}, []
    while True:
        owners = []
        for lock in places():
            record = lock.with_suffix(".json")
            if not isinstance(taken := _take(lock, record, mine), dict):
                with _kept(taken, record, mine):
                    yield lock
                return
            owners.append(_named(taken) + (f" since {taken['started']}" if "started" in taken else ""))
        if owners != told:
            busy(told := owners)
        time.sleep(RETRY_SECONDS)


@contextmanager
def _kept(guard: TextIO, record: Path, mine: dict[str, Any]) -> Iterator[None]:
    """Give signs of life of a lock that was taken while the block runs, and give it back."""
    with guard:  # closing it ends the flock
        try:
            with beating(lambda: os.utime(record) if _read(record) == mine else None):
                yield
        finally:
            if _read(record) == mine:
                record.unlink(missing_ok=True)


@contextmanager
def beating(beat: Callable[[], None]) -> Iterator[None]:
    """Call ``beat``, which gives a sign of life, every BEAT_SECONDS while the block runs."""
    done = Event()

    def beats() -> None:
        while not done.wait(BEAT_SECONDS):
            with suppress(OSError):  # the file server is away: the next beat may reach it
                beat()

    thread = Thread(target=beats, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _take(lock: Path, record: Path, mine: dict[str, Any]) -> TextIO | dict[str, Any]:
    """The lock file, open and locked; or its owner's record (empty where it cannot be read)."""
    while True:
        with suppress(FileNotFoundError), ExitStack() as stack:  # an owner that is done may remove its folder meanwhile
            lock.parent.mkdir(parents=True, exist_ok=True)
            guard = stack.enter_context(lock.open("a"))
            if (owner := _owner(guard, record, mine)) is None:
                stack.pop_all()
                return guard
            return owner


def _owner(guard: TextIO, record: Path, mine: dict[str, Any]) -> dict[str, Any] | None:
    """Take the lock if nobody alive has it (None), else the owner's record (empty where it cannot be read)."""
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(record) or {}
    except OSError:  # a file system without flock: the record alone decides
        pass
    owner = _read(record)
    if owner is None:
        return None if _create(record, mine) else _read(record) or {}
    if _alive(owner, record):
        return owner
    # The claim is named after the dead owner: one process only can take its place.
    claim = record.with_name(f"{record.name}.{owner.get('token', 'unreadable')}")
    if not _create(claim, mine):
        with suppress(FileNotFoundError):
            if _age(claim) > DEAD_SECONDS:  # whoever claimed it died at once
                claim.unlink()
        return _read(claim) or owner
    if _read(record) == owner:  # and not replaced before the claim was made
        claim.replace(record)
        return None
    claim.unlink()
    return _read(record) or {}


def _alive(owner: dict[str, Any], record: Path) -> bool:
    if owner.get("host") == socket.gethostname():
        return owner.get("process") is not None and owner["process"] == _process_start(owner["pid"])
    at_work = job_at_work(owner)
    return _age(record) < DEAD_SECONDS if at_work is None else at_work


def _process_start(pid: int) -> str | None:
    """When a process of this host started, in clock ticks since boot; None if there is none (or no /proc)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]  # zombies are dead; see proc(5), whose fields count from 1


def job_at_work(owner: dict[str, Any]) -> bool | None:
    """Whether the SLURM job of an owner (see :func:`whoami`) has a node; None where that cannot be told."""
    job = owner.get("job")
    if not job or owner.get("cluster") != _cluster():
        return None
    if job == os.environ.get("SLURM_JOB_ID"):  # this job, requeued: its earlier node is lost or was taken away
        return False
    answer = _asked("squeue", "--noheader", "--format=%T", f"--jobs={job}")
    if answer is None or answer.returncode:
        return False if answer and "Invalid job id" in answer.stderr else None
    return bool(set(answer.stdout.split()) - {"PENDING"})


def _asked(*command: str) -> subprocess.CompletedProcess[str] | None:
    """The answer of a command of SLURM; None where there is none."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None


def _cluster() -> str | None:
    """The name of the SLURM cluster of this job, or, on a login node, of the one that answers there."""
    if name := os.environ.get("SLURM_CLUSTER_NAME"):
        return name
    answer = _asked("scontrol", "show", "config")
    found = answer and re.search(r"^ClusterName\s*=\s*(\S+)", answer.stdout, re.MULTILINE)
    return found[1] if found else None


def server_time(folder: Path) -> float:
    """The time of the file server's clock, in seconds since 1970: clocks of nodes differ.

    Raises:
        OSError: nothing can be written there.
    """
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".now.") as now:
        return os.fstat(now.fileno()).st_mtime


def _age(path: Path) -> float:
    """Seconds since a file was touched."""
    return server_time(path.parent) - path.stat().st_mtime


def _create(path: Path, record: dict[str, Any]) -> bool:
    """Write a record if there is no file; whether there was none."""
    try:
        with path.open("x") as file:
            file.write(json.dumps(record))
    except FileExistsError:
        return False
    except BaseException:  # a full disk: an empty record would keep everybody out
        path.unlink(missing_ok=True)
        raise
    return True


def _read(path: Path) -> dict[str, Any] | None:
    """A record; empty where it cannot be read (it is being written, or damaged), None where there is none."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return found if isinstance(found, dict) and {"pid", "host"} <= found.keys() else {}


def _named(owner: dict[str, Any]) -> str:
    job = f", job {owner['job']}" if owner.get("job") else ""
    return f"process {owner.get('pid', 'unknown')} on {owner.get('host', 'an unknown host')}{job}"


def _refusal(lock: Path, record: Path, owner: dict[str, Any], what: str, remedy: str) -> str:
    since = f" since {owner['started']}" if "started" in owner else ""
    text = f"{what}: {_named(owner)} holds {lock}{since}. {remedy}"
    if owner.get("job"):
        text += f" To stop it: scancel {owner['job']}."
    if owner.get("host") != socket.gethostname():
        with suppress(OSError):
            text += (
                f" If that host is gone: the last sign of life came {_age(record):.0f} s ago, and after "
                f"{DEAD_SECONDS:.0f} s without one the place is free."
            )
    return text
