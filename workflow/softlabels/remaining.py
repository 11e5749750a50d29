"""How long the jobs of studies will still take, from what jobs of the same run took and say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from . import resources
from .commands import TRAINED
from .errors import UserError
from .places import BENCHMARKS, PLACES
from .status import Job

SAMPLES = 5  # finished jobs of a kind that are enough to know how long such a job takes
READ = 200  # benchmarks that are read at a time at most: it may be a slow file server's
TRIES = 3  # until a benchmark that is not there is taken to be lost; it is written after all else
RESUMED = b"\nresumed at epoch "
CERTAIN = 0.9  # of a training: what is left of one that is nearly done says little of how long it took

Kind = tuple[Any, ...]


class Remaining:
    """Seconds that jobs take.

    A job is taken to last as long as the median of the finished ones of its kind (the same command, data, split and
    recipe: see :func:`softlabels.resources.alike`); else of the running trainings of its kind; else as long as
    :mod:`softlabels.resources` expects, times how much longer than that other jobs take here. Of a training on a GPU,
    only other trainings on a GPU tell that. What nothing tells is None.
    """

    def __init__(self) -> None:
        self.took: dict[Kind, list[float]] = defaultdict(list)
        self.under_way: dict[Kind, dict[Job, float]] = defaultdict(dict)
        self.tries: Counter[Job] = Counter()
        self.kinds: dict[Job, Kind] = {}
        self.expected: dict[Kind, float | None] = {}
        self.scales: dict[tuple[str, bool], float] = {}

    def learn(self, jobs: Iterable[Job]) -> None:
        """Take note of what the jobs of a run have taken until now."""
        jobs = list(jobs)
        for job in jobs:
            if job not in self.kinds:
                self.kinds[job] = resources.alike(job.command, job.names)
            if job.state == "running":
                self._under_way(job)
        ahead = {self.kinds[job] for job in jobs if job.state != "done"}
        known = Counter()  # samples of a command, on a GPU or not
        for job in jobs:
            known[_scale(job)] += self.kinds[job] in self.took
        read = 0
        for job in jobs:
            kind = self.kinds[job]
            wanted = kind in ahead or known[_scale(job)] < SAMPLES
            if job.state == "done" and wanted and self.tries[job] < TRIES and len(self.took[kind]) < SAMPLES:
                known[_scale(job)] += self._read(job)
                read += 1
                if read == READ:
                    break
        self._compare(jobs)

    def whole(self, job: Job) -> float | None:
        """What a job takes from start to end."""
        kind = self.kinds[job]
        if known := self.took[kind] or list(self.under_way[kind].values()):
            return median(known)
        scale = self.scales.get(_scale(job), None if _scale(job)[1] else self.scales.get(("", False)))
        return None if scale is None or self._expected(job) is None else scale * self._expected(job)

    def left(self, job: Job, now: float) -> float | None:
        """What a job takes from now on that is running or waits.

        Args:
            job: of those that were learned from.
            now: in seconds since 1970.
        """
        if "seconds_left" in job.found:
            return job.found["seconds_left"]
        whole = self.whole(job)
        if whole is None or job.state != "running" or "started" not in job.found:
            return whole
        return max(0.0, whole - (now - datetime.fromisoformat(job.found["started"]).timestamp()))

    def of(self, jobs: Iterable[Job], at_once: int, now: float) -> float | None:
        """What jobs take from now on, so many at once: those that failed are not run again."""
        times = [self.left(job, now) for job in jobs if job.state in ("running", "waiting")]
        if not times:
            return 0.0
        if None in times or not at_once:
            return None
        return max(sum(times) / at_once, *times)

    def _under_way(self, job: Job) -> None:
        if "seconds_left" in job.found:
            found = job.found
            share = (found["epoch"] + found.get("step", 0) / found.get("steps", 1)) / found["epochs"]
            if share <= CERTAIN:
                self.under_way[self.kinds[job]][job] = found["seconds_left"] / (1 - share)

    def _read(self, job: Job) -> bool:
        """Note what a finished job took; whether its files tell."""
        self.tries[job] += 1
        with suppress(OSError, ValueError, IndexError):
            root = Path(job.plan.root)
            benchmark = root / BENCHMARKS / f"{PLACES[job.command].log.format_map(job.names)}.tsv"
            seconds = float(benchmark.read_text().splitlines()[1].split("\t")[0])
            self.tries[job] = TRIES
            with job.log.open("rb") as file:
                whole = job.command != TRAINED or RESUMED not in file.read(5000)  # else it is the last attempt's only
            if whole:
                self.took[self.kinds[job]].append(seconds)
                self.under_way.pop(self.kinds[job], None)
                return True
        return False

    def _expected(self, job: Job) -> float | None:
        kind = self.kinds[job]
        if kind not in self.expected:
            self.expected[kind] = None
            with suppress(UserError, OSError, ValueError):
                self.expected[kind] = resources.expected(job.plan, job.command, **job.names).seconds
        return self.expected[kind]

    def _compare(self, jobs: list[Job]) -> None:
        """How many times as long as expected jobs take: of each command, and of all that use no GPU ("")."""
        of_kind = {self.kinds[job]: job for job in jobs}
        factors = defaultdict(list)
        for kind, job in of_kind.items():
            known = self.took[kind] or list(self.under_way[kind].values())
            if known and (expected := self._expected(job)):
                command, gpu = _scale(job)
                for name in (command, "") if not gpu else (command,):
                    factors[name, gpu].append(median(known) / expected)
        self.scales = {key: median(values) for key, values in factors.items()}


def on_gpu(job: Job) -> bool:
    """Whether a job is a training on a GPU."""
    return job.command == TRAINED and job.plan.config["recipes"][job.names["recipe"]]["device"] == "cuda"


def _scale(job: Job) -> tuple[str, bool]:
    return job.command, on_gpu(job)
