"""What the log of a job tells about it: where it runs, that it is alive, how it ended.

A log is all that every job leaves, wherever it runs and however it ends, and everybody who sees the results folder can
read it. A job says in its first line where it is and in its last that it is done; between the two it touches its log
every now and then, so that silence means death.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .locks import DEAD_SECONDS, beating

TAIL = 20_000  # bytes of a log's end that are read
LINES = 5  # of a failed job's log that are shown

_STARTED = re.compile(
    r"softlabels \w+: started (?P<started>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*) on (?P<host>\S+), process (?P<pid>\d{1,9})"
    r"(, SLURM job (?P<slurm_job>\S+))?"
)
_DONE = re.compile(r"softlabels \w+: done")
_STOPPED = re.compile(r"(softlabels: )?stopped by")
_FAILED = re.compile(r"softlabels: |Traceback \(most recent call last\)|slurmstepd: error")
# A training's lines: at the end of an epoch, and within one.
_EPOCH = re.compile(
    r"epoch (?P<epoch>[1-9]\d{0,8})/(?P<epochs>[1-9]\d{0,8})(, step (?P<step>\d{1,9})/(?P<steps>[1-9]\d{0,8}))?: "
)
_NUMBER = r"(\d[\d,]{0,15}(?:\.\d+)?)"
_PACE = {
    "images_per_second": re.compile(rf"{_NUMBER} images/s"),
    "seconds_left": re.compile(rf"about {_NUMBER} s left"),
    "gpu_mb": re.compile(rf"{_NUMBER} MB of GPU memory"),
}


@contextmanager
def announced(command: str) -> Iterator[None]:
    """Say in the log (standard error, if that is a file) that a command starts, lives and is done."""
    if not _is_file(sys.stderr):
        yield
        return
    job = os.environ.get("SLURM_JOB_ID")
    place = f"{socket.gethostname()}, process {os.getpid()}{f', SLURM job {job}' if job else ''}"
    started = datetime.now(UTC).isoformat(timespec="seconds")
    print(f"softlabels {command}: started {started} on {place}", file=sys.stderr, flush=True)
    log = sys.stderr.fileno()
    with beating(lambda: os.utime(log)):
        yield
    print(f"softlabels {command}: done", file=sys.stderr, flush=True)


def _is_file(stream: Any) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # a stream without a file
        return False


def read(log: Path, now: float) -> dict[str, Any]:
    """What a log tells about a job whose outputs are not there.

    The state is the first of these that applies:

    - ``waiting``: there is no log; or the job said that it was done (its outputs were removed since), or that it was
      stopped (by a person or the cluster: it goes on when it is started again);
    - ``failed``: the log holds a message of softlabels, or a traceback;
    - ``running``: the log was touched less than DEAD_SECONDS ago, and the process is alive if this is its host;
    - ``failed``: otherwise: the job was killed without a word.

    Args:
        log: the log file.
        now: the time by the clock that the file's times are of, in seconds since 1970.

    Returns:
        ``state``; where known ``started``, ``host``, ``pid``, ``slurm_job``, ``silent`` (seconds since the last sign of
        life); of a training the last ``epoch`` that has ended (of ``epochs``), and ``step`` of ``steps`` in the next,
        ``images_per_second``, ``seconds_left``, ``gpu_mb`` (of 2**20 bytes), as its last such line has them; for a
        failed job its last ``lines``.
    """
    try:
        with log.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            silent = max(0.0, now - os.fstat(file.fileno()).st_mtime)
            first = file.readline(1000)
            file.seek(max(0, size - TAIL))
            tail = file.read()
    except FileNotFoundError:
        return {"state": "waiting"}
    # A bar of progress writes over its own line: what counts is what it wrote last.
    lines = [line.rpartition("\r")[2].rstrip() for line in tail.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line]
    about: dict[str, Any] = {"silent": round(silent)}
    if first.endswith(b"\n") and (match := _STARTED.match(first.decode("utf-8", "replace"))):  # else half-written
        about |= {**match.groupdict(), "pid": int(match["pid"])}
    whole = lines if tail.endswith(b"\n") else lines[:-1]  # the last one may be half-written
    if line := next(filter(_EPOCH.match, reversed(whole)), ""):
        about |= _pace(line)
    last = lines[-1] if lines else ""
    if _DONE.match(last) or any(map(_STOPPED.match, lines[-3:])):
        return {"state": "waiting", **about}
    if not any(map(_FAILED.match, lines)) and _alive(about):
        return {"state": "running", **about}
    said = [line for line in lines if not _STARTED.match(line)][-LINES:]
    return {"state": "failed", **about, "lines": said or ["(ended without a word: killed?)"]}


def _pace(line: str) -> dict[str, Any]:
    """What a training's line says of how far and how fast it is."""
    told = {name: int(number) for name, number in _EPOCH.match(line).groupdict().items() if number}
    told["epoch"] -= "step" in told  # at work, not ended
    found = {name: pattern.search(line) for name, pattern in _PACE.items()}
    return told | {name: float(match[1].replace(",", "")) for name, match in found.items() if match}


def _alive(about: dict[str, Any]) -> bool:
    if about["silent"] >= DEAD_SECONDS:
        return False
    if about.get("host") != socket.gethostname():
        return True
    try:
        os.kill(about["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True
