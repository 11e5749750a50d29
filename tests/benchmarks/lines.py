"""The lines of a benchmark: ours and its anchor measured in turn, how they are judged, kept and shown.

Needs nothing but Python: ``tests/gpu`` runs where little else is.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
KEPT = ROOT / "results" / "bench"  # a file a line
WIDEST = 1.5  # largest ratio of a pair over the least: what moves that much was not measured on equal terms
FEWEST = 3  # pairs that tell how much they differ
PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "openTSNE",
    "pyarrow",
    "pandas",
    "crowd-kit",
    "pillow",
    "snakemake",
)
LINE = ["what", "ours", "anchor", "against", "ratio", "target", "", "measured on"]
CURVE = ["what, of what", "sizes", "processor seconds", "exponent", "MB", "exponent", "measured on"]
TABLES = {"cpu": ("benchmarks.md", LINE), "gpu": ("benchmarks.md", LINE), "growth": ("scaling.md", CURVE)}


def timed(work: Callable[[], Any]) -> Callable[[], float]:
    """A function that does the work and returns how many seconds that took."""

    def measured() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return measured


def charged(work: Callable[[], Any]) -> Callable[[], float]:
    """The same in seconds of a processor, of this process and of those that it started and waited for: other work on
    the machine changes them little."""

    def measured() -> float:
        before = os.times()
        work()
        return sum(os.times()[:4]) - sum(before[:4])

    return measured


def compared(
    name: str, ours: Callable[[], float], anchor: Callable[[], float], unit: str, target: float | None, *,
    against: str, at_least: bool = True, times: int = 3, warm: bool = True, **facts: Any,
) -> dict[str, Any]:  # fmt: skip
    """A line: both sides measured in turn, each as often, after one call of each that does not count.

    Args:
        ours, anchor: measure once, and return a number in ``unit``.
        at_least: whether ``target`` is the least ratio of ours to the anchor that is wanted, or the largest.
    """
    if warm:
        ours(), anchor()
    pairs = []
    for k in range(times):
        if k % 2:  # whichever comes first: what drifts meanwhile favours neither
            second = anchor()
            pairs.append((ours(), second))
        else:
            pairs.append((ours(), anchor()))
    return line(name, pairs, unit, target, against=against, at_least=at_least, **facts)


def line(
    name: str, pairs: list[tuple[float, float]], unit: str, target: float | None, *,
    against: str, at_least: bool = True, **facts: Any,
) -> dict[str, Any]:  # fmt: skip
    """A line from pairs of ours and the anchor: medians, their ratio, the least and the largest ratio of a pair.

    ``met`` is true or false; null without a target, and where the pairs cannot tell: the target lies between their
    ratios, or these differ by more than ``WIDEST`` (or are fewer than ``FEWEST``) and are no further from it.
    ``verdict`` says it in words.
    """
    ours, anchor = (median(values) for values in zip(*pairs, strict=True))
    ratios = sorted(a / b for a, b in pairs)
    least, largest, ratio = ratios[0], ratios[-1], ours / anchor
    unsure, met = f"ratios differ by more than {WIDEST} times" if largest > WIDEST * least else "", None
    if len(pairs) < FEWEST:
        unsure = f"measured {len(pairs)} of {FEWEST} times"
    if target is None:
        verdict = "no target"
    elif unsure and least / WIDEST <= target <= largest * WIDEST:
        verdict = f"cannot conclude: {unsure}"
    elif least < target <= largest if at_least else least <= target < largest:
        verdict = "cannot conclude: the target lies between the ratios"
    else:
        met = ratio >= target if at_least else ratio <= target
        verdict = "met" if met else "missed"
    found = {
        "name": name, "ours": digits(ours), "anchor": digits(anchor), "unit": unit, "against": against,
        "ratio": digits(ratio), "spread": [digits(least), digits(largest)], "target": target, "at_least": at_least,
        "met": met, "verdict": verdict, "pairs": [[digits(a), digits(b)] for a, b in pairs], **facts,
    }  # fmt: skip
    print(told(found), flush=True)
    return found


def curve(name: str, sizes: list[int], costs: list[dict[str, float]]) -> dict[str, Any]:
    """How costs grow with a size: of ``seconds`` and of bytes, ``written`` or at the ``peak``, the slope of a straight
    line through the logarithms (1: in proportion), and that of its last part, where what is fixed weighs least."""
    found: dict[str, Any] = {"name": name, "sizes": sizes, "met": None}
    for quantity in costs[0]:
        values = [max(cost[quantity], 1e-6) for cost in costs]
        x, y = ([math.log(value) for value in of] for of in (sizes, values))
        slopes = {"exponent": linear_regression(x, y).slope, "last": (y[-1] - y[-2]) / (x[-1] - x[-2])}
        found[quantity] = {
            "values": list(map(digits, values)),
            **{k: round(slope, 2) + 0.0 for k, slope in slopes.items()},
        }
    print(told(found), flush=True)
    return found


def failed(name: str, reason: str) -> dict[str, Any]:
    """A line that could not be measured."""
    return {"name": name, "met": False, "verdict": f"failed: {reason}"}


def digits(value: float) -> float:
    """Five significant digits: more than any measurement here has."""
    return float(f"{value:.5g}")


def number(value: float) -> str:
    """Three significant digits, such as 12,300 or 0.0152."""
    return f"{float(f'{value:.3g}'):,.10g}"


def goal(found: dict[str, Any]) -> str:
    """The target, such as "≥ 0.95"."""
    if found["target"] is None:
        return "–"
    return f"{'≥' if found['at_least'] else '≤'} {found['target']:g}"


def told(found: dict[str, Any]) -> str:
    """A line as one line of text."""
    if "sizes" in found:
        return f"{found['name']}: {'; '.join(filter(None, grown(found)))}"
    if "ratio" not in found:
        return f"{found['name']}: {found['verdict']}"
    least, largest = found["spread"]
    return (
        f"{found['name']}: {number(found['ours'])} against {number(found['anchor'])} {found['unit']} "
        f"({found['against']}), {found['ratio']:.3f} times ({least:.3f} to {largest:.3f}), target {goal(found)}: "
        f"{found['verdict']}"
    )


# -- where and when ----------------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """The processor, how many cores of it may be used, the memory in bytes, and the load of the last minute."""
    model = platform.processor() or platform.machine()
    if (cpus := Path("/proc/cpuinfo")).exists():
        model = next((row.split(":")[1].strip() for row in cpus.open() if row.startswith("model name")), model)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": model, "cores": cores, "memory": memory, "load": round(os.getloadavg()[0], 2)}


def versions() -> dict[str, str]:
    """Python's version, those of the packages that are there, and the commit."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        process = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return found
    return {**found, "commit": process.stdout.strip()}


def peak() -> int:
    """The largest memory of this process so far, in bytes; of this program only, where getrusage also counts what it
    was forked from."""
    found = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM")]
    return int(found[0].split()[1]) * 1024


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# -- kept and shown ----------------------------------------------------------------------------------------------------


def keep(found: list[dict[str, Any]], quick: bool = False) -> None:
    """Write a file a line, named after it."""
    folder = KEPT / "quick" if quick else KEPT
    folder.mkdir(parents=True, exist_ok=True)
    for each in found:
        name = re.sub("[^a-z0-9]+", "-", each["name"].lower()).strip("-")
        (folder / f"{name}.json").write_text(json.dumps(each, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def grown(found: dict[str, Any]) -> list[str]:
    """The cells of a curve but for its name."""
    cells = [", ".join(f"{size:,}" for size in found["sizes"])]
    for quantity, unit in (("seconds", 1), ("written", 1e6), ("peak", 1e6)):
        if about := found.get(quantity):
            said = " at the peak" if quantity == "peak" else ""
            values = ", ".join(number(value / unit) for value in about["values"])
            cells += [f"{values}{said}", f"{about['exponent']:.2f}, at last {about['last']:.2f}"]
    return [*cells, *[""] * (5 - len(cells))]


def row(found: dict[str, Any]) -> str:
    """The row of a line or a curve in a table of Markdown."""
    on = found["machine"]
    parts = on.get("gpu") or f"{on['cpu']}, {on['cores']} cores"
    where = f"{parts}, load {on['load']:g}, torch {found['versions'].get('torch', '–')}, {found['date'][:10]}"
    if "sizes" in found:
        cells = grown(found)
    elif "ratio" in found:
        least, largest = map(number, found["spread"])
        ours, anchor = (f"{number(found[side])} {found['unit']}" for side in ("ours", "anchor"))
        ratio = f"{number(found['ratio'])} ({least} to {largest})"
        cells = [ours, anchor, found["against"], ratio, goal(found), found["verdict"]]
    else:
        cells = [*[""] * 5, found["verdict"]]
    cells = [found["name"], *cells, where]
    return "| " + " | ".join(re.sub(r"\s*\n\s*", " ", cell).replace("|", "\\|") for cell in cells) + " |"


def show(found: list[dict[str, Any]], table: str, whole: bool = False) -> None:
    """Put lines into a table of ``TABLES``, between its two marks in its document.

    A row of the same name is replaced, another is kept, unless the lines are the ``whole`` table.
    """
    name, head = TABLES[table]
    document = DOCS / name
    text = document.read_text(encoding="utf-8")
    begin, end = f"<!-- {table}: written by make bench -->\n", f"<!-- {table}: end -->"
    before, mark, rest = text.partition(begin)
    old, end_mark, after = rest.partition(end)
    if not mark or not end_mark:
        raise ValueError(f"{document}: found no table {table}, expected {begin.strip()} and {end}.")
    rows = {} if whole else {each.split(" | ")[0]: each for each in old.splitlines()[2:]}
    rows |= {each.split(" | ")[0]: each for each in map(row, found)}
    top = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    document.write_text(before + begin + "\n".join([*top, *rows.values()]) + "\n" + end + after, encoding="utf-8")
