"""`softlabels status --watch`: the same again and again, with how fast trainings are and how long the rest takes.

Only what changes is looked at each time: the logs of running jobs. Whether other jobs have started, or done ones are
being made anew, is looked at in turns, for a small share of the time, because a look costs a slow file server some
milliseconds and a large grid has 30,000 jobs.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO
from unicodedata import combining, east_asian_width

from . import nvidia
from .places import AT_WORK
from .plan import Plan
from .remaining import Remaining, on_gpu
from .status import (
    STATES,
    Job,
    each,
    facts,
    jobs_of,
    length,
    now_in,
    plain,
    speed,
    summary,
    table,
    title,
    whereabouts,
)

SHARE = 0.02  # of the time between two looks in which waiting jobs are looked at; of done ones, too
LEAST = 20  # of each that are looked at each time
LATELY = 5  # looks that found jobs running: the most in one of them is how many run at once
CLOCK_SECONDS, GPU_SECONDS = 60.0, 5.0  # until file server and GPUs are asked again
POLL_SECONDS = 0.2  # until a terminal of another size is drawn anew


class Watch:
    """What is known of the jobs of plans that share a results folder.

    Args:
        plans: as :func:`softlabels.status.plans_of` gives them.
        every: seconds between two looks.
        clock: seconds that only grow.
    """

    def __init__(self, plans: list[Plan], every: float, clock: Callable[[], float] = time.monotonic):
        self.root, self.every, self.clock = plans[0].root, every, clock
        self.studies = jobs_of(plans)
        self.jobs = each(self.studies)
        self.looks = 0
        self.looked: dict[Job, int] = dict.fromkeys(self.jobs, 0)  # the number of the look
        self.remaining = Remaining(self.jobs)
        self.running: deque[int] = deque(maxlen=LATELY)
        self.run_seen = self.ended = False
        self.asked = self.gpus_asked = -math.inf
        self.ahead = 0.0  # the file server's clock, of ours
        self.gpus: list[dict[str, Any]] = []

    def now(self) -> float:
        """The time by the file server's clock, in seconds since 1970."""
        if self.clock() - self.asked >= CLOCK_SECONDS:
            self.asked = self.clock()
            self.ahead = now_in(Path(self.root)) - self.clock()
        return self.clock() + self.ahead

    def look(self) -> dict[str, Any]:
        """What :func:`softlabels.status.summary` returns, and more.

        Returns:
            Also ``images_per_second`` of all trainings together, ``seconds_left`` until all is done, ``left``, the same
            of each study (None: unknown), and ``gpus`` of this machine where a training uses one, see
            :func:`softlabels.nvidia.gpus`; of trainings that use one ``gpu``, its index.
        """
        self._look_at_jobs()
        at_work = False
        with suppress(OSError):
            at_work = Path(self.root, AT_WORK).with_suffix(".json").exists()
        self.ended = all(job.state == "done" for job in self.jobs) or (self.run_seen and not at_work)
        if self.ended and self.looks > 1:  # the last look is at everything
            self.looks = 0
            self._look_at_jobs()
        self.run_seen |= at_work
        now, running = self.now(), [job for job in self.jobs if job.state == "running"]
        if running:
            self.running.append(len(running))
        self.remaining.learn()
        self._look_at_gpus(running)
        at_once = max(self.running, default=0) if running or at_work else 0  # a run may be between two jobs
        found = summary(self.root, self.studies, now)
        for job, listed in zip(running, found["running"], strict=True):
            if left := self.remaining.left(job, now):  # of one that does not say it, what is left of the usual time
                listed["seconds_left"] = round(left, 1)
        return found | {
            "images_per_second": round(sum(job.get("images_per_second", 0.0) for job in found["running"]), 1),
            "seconds_left": self._left(self.jobs, at_once, now),
            "left": {study: self._left(jobs, at_once, now) for study, jobs in self.studies.items()},
            "gpus": self.gpus,
        }

    def _left(self, jobs: list[Job], at_once: int, now: float) -> float | None:
        left = self.remaining.of(jobs, at_once, now)
        return None if left is None else round(left, 1)

    def _look_at_jobs(self) -> None:
        now, first = self.now(), not self.looks
        self.looks += 1
        jobs: dict[str, list[Job]] = {state: [] for state in STATES}
        for job in self.jobs:
            jobs[job.state].append(job)
        for of_state, always in ((jobs["running"], True), (jobs["waiting"] + jobs["failed"], first),
                                 (jobs["done"], first)):  # fmt: skip
            end = self.clock() + SHARE * self.every
            for k, job in enumerate(sorted(of_state, key=self.looked.__getitem__)):
                if not always and k >= LEAST and self.clock() > end:
                    break
                self.looked[job] = self.looks
                with suppress(OSError):  # the file server is away: it stays as it was
                    job.look(now)

    def _look_at_gpus(self, running: list[Job]) -> None:
        here = [job for job in running if on_gpu(job) and job.found.get("host") == socket.gethostname()]
        if not here:
            self.gpus = []
            return
        if self.clock() - self.gpus_asked >= GPU_SECONDS:
            self.gpus, self.gpus_asked = nvidia.gpus(), self.clock()
        for job in here:
            for gpu in self.gpus:
                if job.found["pid"] in gpu["processes"]:
                    job.found |= {"gpu": gpu["index"], "gpu_mb": gpu["processes"][job.found["pid"]]}


# -- for people --------------------------------------------------------------------------------------------------------


def shown(found: dict[str, Any], width: int = 0, height: int = 0) -> list[str]:
    """:meth:`Watch.look` as lines that fit into a terminal (0: as wide and high as they are)."""
    tables = [line for study in found["studies"] for line in _study(found, study)]
    running, failed = _running(found, width), _failed(found)
    head = _head(found)
    room = height or math.inf
    if len(head) + len(tables) + len(running) + len(failed) > room:
        tables = [_brief(found, study) for study in found["studies"]] + [""]
    if len(head) + len(tables) + len(running) + len(failed) > room:
        failed = _failed(found, brief=True)
        room = max(4, height - len(head) - len(tables))
        part = min(len(failed), max(3, room // 3)) if failed else 0
        running, failed = _cut(running, room - part), _cut(failed, max(part, room - len(running)))
    lines = [*head, *tables, *running, *failed]
    while lines and not lines[-1]:
        lines.pop()
    return [fitted(line, width) for line in (_cut(lines, height) if height else lines)]


def _head(found: dict[str, Any]) -> list[str]:
    at = datetime.fromisoformat(found["time"]).astimezone().strftime("%H:%M:%S")
    parts = [f"{found['results']} at {at}", _said(found, found["seconds_left"])]
    if found["images_per_second"]:
        parts.append(f"{speed(found['images_per_second'])} in all")
    lines = [": ".join(parts[:2]) + "".join(f", {part}" for part in parts[2:])]
    for gpu in found["gpus"]:
        facts = [f"{gpu['used_mb'] or 0:,} of {gpu['total_mb']:,} MB"] if gpu["total_mb"] else []
        facts += [f"{gpu['busy']} % busy"] if gpu["busy"] is not None else []
        lines.append(f"GPU {gpu['index']}, {gpu['name']}: {', '.join(facts) or 'unknown'}")
    return [*lines, ""]


def _said(found: dict[str, Any], left: float | None, *studies: str) -> str:
    """How long a study, or all of them, will still take."""
    commands = [states for study in studies or found["studies"] for states in found["studies"][study].values()]
    if not any(states[state] for states in commands for state in STATES if state != "done"):
        return "all done"
    if left is None:
        return "time left unknown" if found["running"] else "nothing is running"
    return f"about {length(left)} left"


def _study(found: dict[str, Any], study: str) -> list[str]:
    heading, *lines = table(study, found["studies"][study])
    said = (
        f"   {_said(found, found['left'][study], study)}" if len(found["studies"]) > 1 else ""
    )  # else it stands above
    return [heading + said, *lines, ""]


def _brief(found: dict[str, Any], study: str) -> str:
    states = found["studies"][study].values()
    counts = ", ".join(f"{sum(of[state] for of in states):,} {state}" for state in STATES)
    return f"study {study}: {counts}; {_said(found, found['left'][study], study)}"


HEADINGS = ("Running", "epoch", "done", "images/s", "left", "GPU memory", "where")
WHERE = len(HEADINGS) - 1
NAMED = 24  # characters that are left of a job's name at least


def _running(found: dict[str, Any], width: int) -> list[str]:
    """A table of the jobs at work; long names lose their beginning."""
    if not found["running"]:
        return []
    rows = [HEADINGS, *map(_row, found["running"])]
    used = [k for k in range(1, len(HEADINGS)) if any(row[k] for row in rows[1:])]
    widths = {k: max(len(row[k]) for row in rows) for k in used}
    rest = sum(3 + (1 if k == WHERE else widths[k]) for k in used)  # where a job is, is cut before its name
    most = max(len(row[0]) for row in rows)
    if width and most + rest > width:
        most = min(most, max(NAMED, width - rest))
    lines = []
    for name, *cells in rows:
        name = name if len(name) <= most else "  …" + name[len(name) - most + 3 :]
        told = [cells[k - 1] if k == WHERE else cells[k - 1].rjust(widths[k]) for k in used]
        lines.append("   ".join([name.ljust(most), *told]).rstrip())
    return [*lines, ""]


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    epoch = share = ""
    if "epoch" in job:
        part = job.get("step", 0) / job.get("steps", 1)
        epoch = f"{job['epoch'] + ('step' in job)}/{job['epochs']}"
        share = f"{math.floor(100 * (job['epoch'] + part) / job['epochs'])} %"
    rate = speed(job["images_per_second"]).removesuffix(" images/s") if "images_per_second" in job else ""
    left = length(job["seconds_left"]) if "seconds_left" in job else ""
    memory = f"{job['gpu_mb']:,.0f} MB" if "gpu_mb" in job else ""
    gpu = [f"GPU {job['gpu']}"] if "gpu" in job else []
    where = ", ".join([*gpu, *whereabouts(job)][: len(gpu) + 2])
    return f"  {title(job)}", epoch, share, rate, left, memory, where


def _failed(found: dict[str, Any], brief: bool = False) -> list[str]:
    lines = []
    for job in found["failed"]:
        lines.append(f"  {title(job)}: {job['lines'][-1] if brief else ', '.join(facts(job))}")
        lines += [] if brief else [f"    | {line}" for line in job["lines"]]
    return ["Failed", *lines, ""] if lines else []


def _cut(lines: list[str], most: int) -> list[str]:
    """So many lines at most; the last one says how many are missing."""
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], f"  … and {len([line for line in lines[most - 1 :] if line])} more"]


def fitted(line: str, width: int) -> str:
    """A line that a terminal shows in one of its own."""
    line = plain(line)
    ends, used = [], 0
    for character in line:
        used += 0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1
        ends.append(used)
    if not width or used <= width:
        return line
    return line[: sum(end < width for end in ends)] + "…"


# -- the loop ----------------------------------------------------------------------------------------------------------


def watch(plans: list[Plan], every: float, json_wanted: bool, out: TextIO | None = None) -> None:
    """Look and show until all is done, the run that was seen at work has ended, or Ctrl-C.

    Redrawn in place in a terminal; elsewhere a block of lines each time; as JSON a line each time.
    """
    out = out or sys.stdout
    watched = Watch(plans, every)
    show: Any = _json if json_wanted else _drawn if _redraws(out) else _blocks
    try:
        with show(out) as draw:
            found = _looking(watched, draw)
        if show is _drawn:  # what was seen last stays
            print("\n".join(shown(found)), file=out, flush=True)
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def _looking(watched: Watch, draw: Callable[[dict[str, Any], bool], None]) -> dict[str, Any]:
    """Look again and again; returns what was found last."""
    found: dict[str, Any] = {}
    with suppress(KeyboardInterrupt):
        while not watched.ended:
            begun = time.monotonic()
            found = watched.look()
            draw(found, True)
            # However slow the file server is, most of the time it is left alone.
            pause = max(watched.every, 4 * (time.monotonic() - begun))
            end = begun + pause
            while not watched.ended and (rest := end - time.monotonic()) > 0:
                time.sleep(min(POLL_SECONDS, rest))
                draw(found, False)
    return found


def _redraws(out: TextIO) -> bool:
    return out.isatty() and os.environ.get("TERM", "dumb") != "dumb"


@contextmanager
def _json(out: TextIO) -> Iterator[Callable[[dict[str, Any], bool], None]]:
    yield lambda found, new: print(json.dumps(found), file=out, flush=True) if new else None


@contextmanager
def _blocks(out: TextIO) -> Iterator[Callable[[dict[str, Any], bool], None]]:
    yield lambda found, new: print(*shown(found), "", sep="\n", file=out, flush=True) if new else None


ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # another screen without a cursor, and back
HOME, END_OF_LINE, BELOW = "\x1b[H", "\x1b[K", "\x1b[J"  # to the first place; clear the rest of a line, of the screen


@contextmanager
def _drawn(out: TextIO) -> Iterator[Callable[[dict[str, Any], bool], None]]:
    """Draw over what was drawn, in one piece, whenever there is something new or the terminal has another size.

    Whatever ends or halts the process (Ctrl-Z, too) gives the terminal back first. In the background nothing is drawn.
    """
    size, ours, terminal = None, False, out.fileno()

    def put(text: str) -> None:
        with suppress(OSError):  # it was closed
            os.write(terminal, text.encode())  # at once: a signal may have come while ``out`` was written to

    def enter() -> None:
        nonlocal size, ours
        size, ours = None, True
        put(ENTER)

    def leave() -> None:
        nonlocal ours
        if ours:
            ours = False
            put(LEAVE)

    def draw(found: dict[str, Any], new: bool) -> None:
        nonlocal size
        if not ours:
            if not _in_front(terminal):
                return
            enter()
        before, size = size, os.get_terminal_size(terminal)
        if new or size != before:
            lines = shown(found, size.columns or 80, size.lines or 24)
            out.write(HOME + "\n".join(line + END_OF_LINE for line in lines) + BELOW)
            out.flush()

    def stop(number: int, frame: Any) -> None:
        sys.exit(128 + number)

    def halt(number: int, frame: Any) -> None:
        leave()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)  # here it stands still until SIGCONT
        signal.signal(number, halt)

    def go_on(number: int, frame: Any) -> None:
        leave()  # after SIGSTOP, which nobody hears; the next call of draw begins anew

    wanted = {signal.SIGTERM: stop, signal.SIGHUP: stop, signal.SIGTSTP: halt, signal.SIGCONT: go_on}
    # What is ignored stays so: nohup ignores SIGHUP, and a shell without job control SIGTSTP.
    heard = {number: act for number, act in wanted.items() if signal.getsignal(number) is not signal.SIG_IGN}
    before = {number: signal.signal(number, act) for number, act in heard.items()}
    enter()
    put(f"{HOME}Looking at all jobs …")  # which takes long on a slow file server
    try:
        yield draw
    finally:
        leave()
        for number, act in before.items():
            signal.signal(number, act)


def _in_front(terminal: int) -> bool:
    """Whether this process is what the shell of a terminal has in the foreground."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # no shell's
        return True
