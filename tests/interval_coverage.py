"""How often intervals cover a truth that is known: the simulation behind ``docs/intervals.md``.

``PYTHONPATH=workflow python tests/interval_coverage.py`` draws 10,000 data sets in each setting and writes the tables
into the document; ``--draws 300`` is a quick look. The same draws come out on every machine and with any number of
processes. The bootstraps see the first tenth of the draws, each hundred of which share their resamples.

A data set is what a study of S seeds gives: for each seed, differences of two labels on the items of its test part.
The **truth** is their mean over new seeds and new items: the expectation over both, not the mean of the finite pool
from which the test parts are drawn. So each data set has a pool of its own.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process a core is faster than many threads on small matrices

import numpy as np

from softlabels import keyed
from softlabels.evaluation import intervals
from softlabels.progress import progress

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "intervals.md"
BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"
LEVEL = 0.95
DRAWS = 10_000
CHUNK = 100  # data sets at once, which have the same test parts
RESAMPLES = 1000

PARTS = ["overlapping", "identical", "disjoint"]
PARTS_OF_POOL = 5  # overlapping test parts are a fifth of the pool
SEEDS = [3, 5, 10]
METHODS = ["paired t", "corrected t", "item bootstrap", "joint bootstrap", "two-way"]
ITEMS = {"normal": 300, "sparse": 600, "macro": 600, "groups": 300}  # of a seed's test part
EFFECT = 0.3  # the true mean of normal differences, in standard deviations of an item
PLUS, MINUS = 0.06, 0.04  # sparse: how often only the one label is right, and only the other
# macro accuracy: the share of each class among the items, and the sparse differences' rates in it
CLASSES = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
RATES = np.array([[0.03, 0.02], [0.05, 0.05], [0.08, 0.04], [0.1, 0.05], [0.1, 0.1], [0.15, 0.05]])
GROUP_SIZES = 9  # groups have 1 to 9 items, each size equally often


class Setting(NamedTuple):
    """How data sets are drawn.

    Attributes:
        parts: how the seeds' test parts lie to each other.
        seeds: how many there are.
        sd: standard deviation of the seeds' own effect, in units of the items' error of one seed's mean.
        share: share of an item's variance that is the same in all seeds.
        values: normal or sparse (0, ±1) differences of single items; macro accuracy, as influence values of sparse
            differences; groups of items, which have an effect of their own.
        pool: standard deviation, in the same unit, of an effect that all seeds share, that of the training pool.
    """

    parts: str
    seeds: int
    sd: float
    share: float
    values: str
    pool: float = 0.0


GRID = [Setting(*each) for each in product(PARTS, SEEDS, [0.0, 1.0, 3.0], [0.2, 0.8], ["normal", "sparse"])]
GAPS = [5.0, 20.0]  # raw gaps, in units of the items' error of one seed's mean
SHARES = [(Setting(parts, seeds, 1.0, 0.8, "normal"), gap) for parts, seeds, gap in product(PARTS, [3, 10], GAPS)]
FURTHER = [
    Setting(parts, seeds, 1.0, 0.8, values) for values, parts, seeds in product(["macro", "groups"], PARTS, [3, 10])
]
# The truth is here the mean over pools, too, which the estimand of the intervals is not.
UNCOVERED = [
    Setting(parts, seeds, 1.0, 0.8, "normal", pool) for parts, seeds, pool in product(PARTS, [3, 10], [1.0, 3.0])
]


class Coverage(NamedTuple):
    """What came out in a setting.

    Attributes:
        covered: how often each method's intervals covered the truth, among those that there are.
        printed: how many intervals of each method there are.
        width: median half-width of the two-way interval, in true standard errors of the mean difference.
    """

    covered: dict[str, float]
    printed: dict[str, int]
    width: float


def unit(setting: Setting) -> float:
    """The items' error of one seed's mean: its standard deviation if the seed has no effect of its own."""
    n = ITEMS[setting.values]
    if setting.values == "sparse":
        return float(np.sqrt(_variance(PLUS, MINUS) / n))
    if setting.values == "macro":
        return float(np.sqrt((_variance(*RATES.T) / (CLASSES * n)).sum()) / len(CLASSES))
    if setting.values == "groups":  # half of the persistent share is the group's: E size² / E size items of it are one
        sizes = np.arange(1, GROUP_SIZES + 1)
        return float(np.sqrt((1 + setting.share / 2 * ((sizes**2).mean() / sizes.mean() - 1)) / n))
    return float(np.sqrt(1 / n))


def _variance(plus: np.ndarray | float, minus: np.ndarray | float) -> np.ndarray | float:
    return plus + minus - (plus - minus) ** 2


def data_sets(setting: Setting, draw: np.random.Generator, count: int) -> tuple[intervals.Sample, float]:
    """Some data sets with the same test parts, as the metrics of one sample, and the truth."""
    group, parts = _test_parts(setting, draw)
    clusters = [group[part] for part in parts]
    if setting.values in ("normal", "groups"):
        pool = setting.pool * unit(setting) * draw.standard_normal(count)
        return intervals.sample(
            [EFFECT + pool + each for each in _normal(setting, draw, group, parts, count)], clusters
        ), EFFECT
    classes, rates = None, np.array([[PLUS, MINUS]])  # of all items, or of each
    if setting.values == "macro":
        classes = draw.choice(len(CLASSES), len(group), p=CLASSES)
        rates = RATES[classes]
    persistent = _sparse(draw, rates, (len(group), count))
    sd = setting.sd * unit(setting)
    values = []
    for part, effect in zip(parts, sd * draw.standard_normal((setting.seeds, count)), strict=True):
        of_seed = _sparse(draw, rates if classes is None else rates[part], (len(part), count))
        # Two seeds that each keep an item's own value with probability √share correlate by the share.
        of_seed = np.where(draw.random(of_seed.shape) < np.sqrt(setting.share), persistent[part], of_seed)
        # A seed's effect replaces as large a share of the values by its sign: they stay 0 and ±1.
        of_seed = np.where(draw.random(of_seed.shape) < np.abs(effect), np.sign(effect), of_seed)
        values.append(of_seed if classes is None else _macro(of_seed, classes[part]))
    mean = (PLUS - MINUS) if classes is None else (RATES @ [1, -1]).mean()
    return intervals.sample(values, clusters), float(mean * (1 - sd * np.sqrt(2 / np.pi)))


def gaps(
    setting: Setting, gap: float, draw: np.random.Generator, count: int
) -> tuple[intervals.Sample, intervals.Sample, float]:
    """Raw and scaled gaps of the same items, and the true share that the scaling closes.

    ``gap`` is the true raw gap in units of the items' error of one seed's mean; the scaled one is a quarter of it, and
    has variations of its own.
    """
    group, parts = _test_parts(setting, draw)
    raw = [gap * unit(setting) + each for each in _normal(setting, draw, group, parts, count)]
    own = _normal(setting, draw, group, parts, count)
    scaled = [each / 4 + other / 5 for each, other in zip(raw, own, strict=True)]
    clusters = [group[part] for part in parts]
    return intervals.sample(raw, clusters), intervals.sample(scaled, clusters), 0.75


def _normal(
    setting: Setting, draw: np.random.Generator, group: np.ndarray, parts: list[np.ndarray], count: int
) -> list[np.ndarray]:
    """Normal values of each seed's items around 0, float64 ``[n, count]``, with variance 1 beside the seed's effect."""
    persistent = np.sqrt(setting.share) * draw.standard_normal((len(group), count))
    if setting.values == "groups":
        of_groups = np.sqrt(setting.share) * draw.standard_normal((group.max() + 1, count))
        persistent = (persistent + of_groups[group]) / np.sqrt(2)
    effects = setting.sd * unit(setting) * draw.standard_normal((setting.seeds, count))
    noise = np.sqrt(1 - setting.share)
    return [
        effect + persistent[part] + noise * draw.standard_normal((len(part), count))
        for effect, part in zip(effects, parts, strict=True)
    ]


def _test_parts(setting: Setting, draw: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """The group of each item of the pool (the item itself where there are none), and the items of each seed."""
    seeds, n = setting.seeds, ITEMS[setting.values]
    grouped = setting.values == "groups"
    each = round(n / (1 + GROUP_SIZES) * 2) if grouped else n  # groups, or items, of a test part
    pool = each * {"overlapping": PARTS_OF_POOL, "identical": 1, "disjoint": seeds}[setting.parts]
    sizes = draw.integers(1, GROUP_SIZES + 1, pool) if grouped else np.ones(pool, int)
    group = np.repeat(np.arange(pool), sizes)
    chosen = {
        "overlapping": lambda s: draw.permutation(pool)[:each],
        "identical": lambda s: np.arange(pool),
        "disjoint": lambda s: np.arange(s * each, (s + 1) * each),
    }[setting.parts]
    return group, [np.flatnonzero(np.isin(group, chosen(s))) for s in range(seeds)]


def _sparse(draw: np.random.Generator, rates: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Values 1, -1 and 0, float64; ``rates`` are those of 1 and -1, ``[items, 2]``, or ``[1, 2]`` for all."""
    uniform = draw.random(shape)
    return (uniform < rates[:, :1]) * 1.0 - (uniform > 1 - rates[:, 1:])


def _macro(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """A difference of macro accuracies, plus each item's influence on it: n / (K n_k) times its deviation."""
    present = [np.flatnonzero(classes == k) for k in np.unique(classes)]
    means = np.array([values[rows].mean(axis=0) for rows in present])
    result = np.tile(means.mean(axis=0), (len(values), 1))
    for rows, mean in zip(present, means, strict=True):
        result[rows] += len(values) / (len(present) * len(rows)) * (values[rows] - mean)
    return result


def chunks(setting: Setting, draws: int) -> Iterator[tuple[np.random.Generator, int, int]]:
    """The generator, number and size of each chunk of data sets, keyed by what the setting is called."""
    for number, start in enumerate(range(0, draws, CHUNK)):
        yield keyed.rng(f"coverage {setting}", number), number, min(CHUNK, draws - start)


def simulate(setting: Setting, draws: int, bootstrap_draws: int | None = None) -> Coverage:
    """Draw data sets, and count how often the intervals cover the truth.

    Args:
        setting: how they are drawn.
        draws: how many there are.
        bootstrap_draws: the first how many the bootstraps see; all by default.
    """
    found: dict[str, list[np.ndarray]] = {method: [] for method in METHODS}
    halves, means = [], []
    for draw, number, count in chunks(setting, draws):
        data, truth = data_sets(setting, draw, count)
        of_methods = {
            "paired t": intervals.paired_t(data, LEVEL),
            "corrected t": intervals.corrected_resampled_t(data, LEVEL, 1 / (PARTS_OF_POOL - 1)),
            "two-way": intervals.two_way_interval(data, LEVEL),
        }
        if number * CHUNK < (draws if bootstrap_draws is None else bootstrap_draws):
            both = intervals.bootstraps(data, LEVEL, RESAMPLES, number)
            of_methods |= dict(zip(["item bootstrap", "joint bootstrap"], both, strict=True))
        for method, (_, low, high) in of_methods.items():
            found[method].append(np.where(np.isnan(low), np.nan, (low <= truth) & (truth <= high)))
        _, low, high = of_methods["two-way"]
        halves.append((high - low) / 2)
        means.append(of_methods["two-way"].mean)
    covered = {method: np.concatenate(each) for method, each in found.items() if each}
    return Coverage(
        {method: float(np.nanmean(each)) for method, each in covered.items()},
        {method: int(np.isfinite(each).sum()) for method, each in covered.items()},
        float(np.nanmedian(np.concatenate(halves)) / np.std(np.concatenate(means))),
    )


def simulate_share(setting: Setting, gap: float, draws: int) -> tuple[float, float]:
    """How often a share is printed, and how often the intervals that are printed cover it."""
    inside = []
    for draw, _, count in chunks(setting._replace(pool=gap), draws):  # a key of its own
        raw, scaled, truth = gaps(setting, gap, draw, count)
        _, low, high = intervals.share(raw, scaled, LEVEL)
        inside.append(np.where(np.isnan(low), np.nan, (low <= truth) & (truth <= high)))
    covered = np.concatenate(inside)
    return float(np.isfinite(covered).mean()), float(np.nanmean(covered))


# -- the document ------------------------------------------------------------------------------------------------------


def tables(grid: dict[Setting, Coverage], shares: dict[tuple[Setting, float], tuple[float, float]], draws: int) -> str:
    """Markdown: the lowest coverage of each method, what no method covers, the share, and all settings."""
    error = 100 * np.sqrt(LEVEL * (1 - LEVEL) / draws)
    rows = [f"{draws:,} draws a setting (bootstraps: {bootstrap_draws(draws):,}), a Monte-Carlo standard error of "
            f"{error:.1f} points (bootstraps: {error * np.sqrt(draws / bootstrap_draws(draws)):.1f}).", ""]  # fmt: skip
    named = {"differences, normal and sparse": GRID, "macro accuracy": _of("macro"), "groups of items": _of("groups")}
    for name, settings in named.items():
        rows += [f"**Lowest coverage in %, {name}**", "", *_head(["test parts", "seeds", *METHODS])]
        for parts, seeds in dict.fromkeys(setting[:2] for setting in settings):
            found = [grid[setting] for setting in settings if setting[:2] == (parts, seeds)]
            lowest = [min(each.covered[method] for each in found) for method in METHODS]
            rows.append(_row([parts, seeds, *map(_percent, lowest)]))
        rows.append("")
    rows += ["**What no method covers**: an effect of the training pool (coverage in % of the mean over pools)",
             "", *_head(["test parts", "seeds", "sd of that effect", *METHODS])]  # fmt: skip
    for setting in UNCOVERED:
        covered = [_percent(grid[setting].covered[method]) for method in METHODS]
        rows.append(_row([setting.parts, setting.seeds, f"{setting.pool:g}", *covered]))
    rows += [
        "",
        "**Share of a gap**: in % of all draws (“–” claims nothing), and of the intervals that are printed",
        "",
    ]
    rows += _head(["test parts", "seeds", "raw gap", "printed", "not wrong", "printed ones that cover"])
    for (setting, gap), (printed, covered) in shares.items():
        parts = [printed, 1 - printed * (1 - covered), covered]
        rows.append(_row([setting.parts, setting.seeds, f"{gap:g}", *map(_percent, parts)]))
    rows += ["", "<details><summary>Coverage in % in every setting</summary>", "",
             *_head(["differences", "test parts", "seeds", "seed sd", "share", *METHODS, "half-width"])]  # fmt: skip
    for setting in GRID + FURTHER:
        found = grid[setting]
        covered = [_percent(found.covered[method]) for method in METHODS]
        place = [setting.values, setting.parts, setting.seeds, f"{setting.sd:g}", f"{setting.share:g}"]
        rows.append(_row([*place, *covered, f"{found.width:.2f}"]))
    return "\n".join([*rows, "", "</details>"])


def bootstrap_draws(draws: int) -> int:
    """How many of the draws the bootstraps see: a tenth, in whole chunks."""
    return min(draws, max(CHUNK, draws // 10))


def _of(values: str) -> list[Setting]:
    return [setting for setting in FURTHER if setting.values == values]


def _head(names: list[str]) -> list[str]:
    return [_row(names), _row(["---"] * len(names))]


def _row(cells: list) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _percent(part: float) -> str:
    return f"{100 * part:.1f}"


def main() -> None:
    """Simulate all settings and write the tables into the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=DRAWS, help="data sets in each setting (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: one a core")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="what to write into (default: %(default)s)")
    options = parser.parse_args()
    draws, settings = options.draws, GRID + FURTHER + UNCOVERED
    with (
        ProcessPoolExecutor(options.processes) as pool,
        progress(total=len(settings) + len(SHARES), desc="settings") as bar,
    ):
        whole = [pool.submit(simulate, setting, draws, bootstrap_draws(draws)) for setting in settings]
        parts = [pool.submit(simulate_share, *each, draws) for each in SHARES]
        for job in whole + parts:
            job.add_done_callback(lambda _: bar.update())
        grid = dict(zip(settings, (job.result() for job in whole), strict=True))
        shares = dict(zip(SHARES, (job.result() for job in parts), strict=True))
    text = options.document.read_text()
    before, rest = text.split(BEGIN)
    options.document.write_text(f"{before}{BEGIN}\n{tables(grid, shares, draws)}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
