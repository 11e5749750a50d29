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

Kind = tuple[Any, ...]  # whether on a GPU, the command, and what resources.alike says more


class Remaining:
    """Seconds that jobs take.

    A job is taken to last as long as the median of the finished ones of its kind (the same command, data, split and
    recipe: see :func:`softlabels.resources.alike`); else of the running trainings of its kind; else as long as
    :mod:`softlabels.resources` expects, times how much longer than that other jobs take here. Of a training on a GPU,
    only other trainings on a GPU tell that. What nothing tells is None.

    Args:
        jobs: of a run; what is found of them changes, they do not.
    """

    def __init__(self, jobs: Iterable[Job]):
        self.jobs: dict[Kind, list[Job]] = defaultdict(list)
        self.kinds = {job: _kind(job) for job in jobs}
        for job, kind in self.kinds.items():
            self.jobs[kind].append(job)
        self.took: dict[Kind, list[float]] = defaultdict(list)
        self.under_way: dict[Kind, dict[Job, float]] = defaultdict(dict)
        self.tries: Counter[Job] = Counter()
        self.samples: Counter[Kind] = Counter()  # of a command, on a GPU or not
        self.expected: dict[Kind, float | None] = {}
        self.seconds: dict[Kind, float | None] = {}

    def learn(self) -> None:
        """Take note of what jobs have taken until now."""
        left = READ
        for kind, jobs in self.jobs.items():
            for job in jobs:
                if job.state == "running" and "seconds_left" in job.found:
                    self._under_way(kind, job)
            if any(job.state != "done" for job in jobs) or self.samples[kind[:2]] < SAMPLES:
                left -= self._read(kind, jobs, left)
        self._conclude()

    def left(self, job: Job, now: float) -> float | None:
        """What a job takes from now on that is running or waits.

        Args:
            job: one of the jobs.
            now: in seconds since 1970.
        """
        if "seconds_left" in job.found:
            return job.found["seconds_left"]
        whole = self.seconds[self.kinds[job]]
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

    def _under_way(self, kind: Kind, job: Job) -> None:
        found = job.found
        share = (found["epoch"] + found.get("step", 0) / found.get("steps", 1)) / found["epochs"]
        if share <= CERTAIN:
            self.under_way[kind][job] = found["seconds_left"] / (1 - share)

    def _read(self, kind: Kind, jobs: list[Job], most: int) -> int:
        """Note what finished jobs of a kind took; how many files were looked at for that."""
        read = 0
        for job in jobs:
            if read == most or len(self.took[kind]) == SAMPLES:
                break
            if job.state == "done" and self.tries[job] < TRIES:
                read += 1
                self.tries[job] += 1
                with suppress(OSError, ValueError, IndexError):
                    seconds = _benchmark(job)
                    self.tries[job] = TRIES
                    if job.command != TRAINED or not _resumed(job):  # else it is what the last attempt took
                        self.took[kind].append(seconds)
                        self.samples[kind[:2]] += 1
        return read

    def _conclude(self) -> None:
        """What a job of each kind takes."""
        known, factors = {}, defaultdict(list)
        for kind in self.jobs:
            if times := self.took[kind] or list(self.under_way[kind].values()):
                known[kind] = median(times)
                if expected := self._expected(kind):
                    for like in (kind[:2], kind[:1]):
                        factors[like].append(known[kind] / expected)
        factor = {like: median(values) for like, values in factors.items()}
        for kind in self.jobs:
            scale = factor.get(kind[:2], factor.get(kind[:1]))
            expected = self._expected(kind) if kind not in known and scale else None
            self.seconds[kind] = known.get(kind, expected and scale * expected)

    def _expected(self, kind: Kind) -> float | None:
        if kind not in self.expected:
            self.expected[kind], job = None, self.jobs[kind][0]
            with suppress(UserError, OSError, ValueError):
                self.expected[kind] = resources.expected(job.plan, job.command, **job.names).seconds
        return self.expected[kind]


def on_gpu(job: Job) -> bool:
    """Whether a job uses a GPU."""
    return job.plan.asks(job.command, job.names)[1]


def _kind(job: Job) -> Kind:
    return on_gpu(job), *resources.alike(job.command, job.names)


def _benchmark(job: Job) -> float:
    """Seconds that Snakemake measured."""
    place = f"{PLACES[job.command].log.format_map(job.names)}.tsv"
    return float(Path(job.plan.root, BENCHMARKS, place).read_text().splitlines()[1].split("\t")[0])


def _resumed(job: Job) -> bool:
    with Path(job.log).open("rb") as file:
        return RESUMED in file.read(5000)
