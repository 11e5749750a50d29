"""Runs the benchmarks: each measures ours and its anchor in turn, in a process of its own.

    PYTHONPATH=workflow:tests python -m benchmarks.bench [--all] [--quick] [--only NAME,…]
    PYTHONPATH=workflow:tests python -m benchmarks.bench --from bench.json

``make bench``, ``make bench-all`` and ``make bench-gpu`` call it. Each line is printed, written to ``results/bench/``,
and a row of a table in ``docs/benchmarks.md``. A measurement that fails says why, and the others go on; the exit status
is 1 if a line failed or missed its target. ``--from`` takes what ``tests/gpu/bench.py`` wrote on another machine.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from . import lines


class Measure(NamedTuple):
    """A function that takes ``quick`` and yields lines."""

    place: str  # module and function
    minutes: float  # after which it is ended
    long: bool = False  # for make bench-all only
    table: str = "cpu"  # where its lines are shown


MEASURES = {
    "steps": Measure("benchmarks.steps:steps", 10),
    "fast_steps": Measure("benchmarks.steps:fast_steps", 15),
    "loader": Measure("benchmarks.steps:loader", 10),
    "start": Measure("benchmarks.start:first_step", 5),
    "training": Measure("benchmarks.costs:training", 10),
    "synthesis": Measure("benchmarks.images:synthesis", 5),
    "imports": Measure("benchmarks.images:imports", 5),
    "votes": Measure("benchmarks.votes:ten_million", 10),
    "many_votes": Measure("benchmarks.votes:hundred_million", 10),
    "nothing_to_do": Measure("benchmarks.studies:nothing_to_do", 10),
    "tsne": Measure("benchmarks.tsne:usual", 30),
    "grid": Measure("benchmarks.grids:thousand", 15),
    "growth": Measure("benchmarks.growth:curves", 25, table="growth"),
    "large_tsne": Measure("benchmarks.tsne:large", 60, long=True),
    "large_grid": Measure("benchmarks.grids:ten_thousand", 60, long=True),
    "default_run": Measure("benchmarks.studies:default_run", 60, long=True),
}
QUICK = "short measurements, to see that all of it works: they go to results/bench/quick/"


def child(name: str, place: str, quick: bool, out: Path) -> None:
    """Measure in this process; ``out`` has all lines so far, whatever happens later."""
    on = {"machine": lines.machine(), "versions": lines.versions(), "date": lines.now()}  # the load of before
    found: list[dict[str, Any]] = []

    def add(each: dict[str, Any]) -> None:
        found.append({**each, **on})
        out.write_text(json.dumps(found), encoding="utf-8")

    module, function = place.split(":")
    try:
        for each in getattr(importlib.import_module(module), function)(quick):
            add(each)
    except Exception as error:
        traceback.print_exc()
        add(lines.failed(name, f"{type(error).__name__}: {error}"[:500]))


def measured(name: str, measure: Measure, quick: bool) -> list[dict[str, Any]]:
    """The lines of one measurement, made in a process of its own: what it does to memory, threads and imports, or how
    it dies, is no other's concern. If it fails, the last line says why."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "lines.json"
        words = (
            f"from pathlib import Path; from benchmarks.bench import child; child({name!r}, {measure.place!r}, {quick}"
        )
        path = [str(lines.ROOT / "workflow"), str(lines.ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), "TMPDIR": folder}
        process = subprocess.Popen(
            [sys.executable, "-Pc", f"{words}, Path({str(out)!r}))"], env=environment, start_new_session=True
        )
        why = ""
        try:
            if status := process.wait(60 * measure.minutes):
                why = f"its process ended with status {status}"
        except subprocess.TimeoutExpired:
            why = f"not done after {60 * measure.minutes:g} s"
        finally:
            with suppress(ProcessLookupError):  # all that it started and left
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        found = json.loads(out.read_text(encoding="utf-8")) if out.exists() else []
    if why:
        on = {"machine": lines.machine(), "versions": lines.versions(), "date": lines.now()}
        found.append({**lines.failed(name, why), **on})
    for each in found:
        if each.get("verdict", "").startswith("failed"):
            print(lines.told(each), flush=True)
    return found


def of_file(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of ``tests/gpu/bench.py``."""
    content = json.loads(path.read_text(encoding="utf-8"))
    on = {name: content[name] for name in ("machine", "versions", "date")}
    return [{**each, **on} for each in content["lines"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="also what takes an hour")
    parser.add_argument("--quick", action="store_true", help=QUICK)
    parser.add_argument("--only", default="", help=f"which of {', '.join(MEASURES)}")
    parser.add_argument("--from", type=Path, dest="file", help="show the lines of this file of tests/gpu/bench.py")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # with what it has started
    if given.file:
        try:
            found = of_file(given.file)
        except (OSError, ValueError, KeyError, TypeError) as error:
            parser.error(
                f"--from {given.file}: is no bench.json of tests/gpu/measure.sh ({type(error).__name__}: {error})"
            )
        lines.keep(found)
        lines.show(found, "gpu")
        return
    usual = [name for name, measure in MEASURES.items() if given.all or not measure.long]
    chosen = list(dict.fromkeys(given.only.split(","))) if given.only else usual
    if unknown := sorted(set(chosen) - set(MEASURES)):
        parser.error(f"--only: found {', '.join(unknown)}, expected some of {', '.join(MEASURES)}")
    found: dict[str, list[dict[str, Any]]] = {}
    begun = time.monotonic()
    for name in chosen:
        print(f"-- {name} ({time.monotonic() - begun:.0f} s)", flush=True)
        new, table = measured(name, MEASURES[name], given.quick), MEASURES[name].table
        found[table] = found.get(table, []) + new
        lines.keep(new, given.quick)
        if not given.quick:
            lines.show(new, table)
    if given.all and not (given.only or given.quick):  # rows of what is no more go
        for table, new in found.items():
            lines.show(new, table, whole=True)
    all_lines = [each for new in found.values() for each in new]
    wrong = [each for each in all_lines if each["met"] is False]
    print(f"{len(all_lines)} lines, {len(wrong)} of them failed or missed, {time.monotonic() - begun:.0f} s")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
