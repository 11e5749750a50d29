"""Intervals cover what they claim to, in 500 data sets whose truth is known; docs/intervals.md has 10,000 a setting."""

import math
import re
from functools import cache

import interval_coverage as coverage
import numpy as np
import pytest
from interval_coverage import Setting

DRAWS = 500
ERROR = math.sqrt(0.95 * 0.05 / DRAWS)  # Monte-Carlo standard error of a coverage of 95 %, 1 point
HOLDS = [  # overlapping, identical and disjoint test parts; few and many seeds; what dominates; all kinds of values
    Setting("overlapping", 3, 3.0, 0.2, "normal"),
    Setting("overlapping", 10, 1.0, 0.8, "sparse"),
    Setting("identical", 3, 3.0, 0.2, "sparse"),
    Setting("identical", 10, 0.0, 0.8, "normal"),
    Setting("disjoint", 3, 0.0, 0.8, "sparse"),
    Setting("disjoint", 10, 3.0, 0.2, "normal"),
    Setting("overlapping", 10, 1.0, 0.8, "macro"),
    Setting("overlapping", 10, 1.0, 0.8, "groups"),
]


@cache
def simulated(*setting):
    return coverage.simulate(Setting(*setting), DRAWS)


@pytest.mark.parametrize("setting", HOLDS, ids=lambda each: "-".join(map(str, each)))
def test_the_two_way_interval_covers_95_percent(setting):
    found = simulated(*setting)
    assert found.printed["two-way"] >= 0.99 * DRAWS  # three sparse means may be the same: nothing varied
    assert found.covered["two-way"] > 0.95 - 3 * ERROR


def test_where_seeds_share_no_item_it_covers_no_more_either():
    found = simulated("disjoint", 10, 3.0, 0.2, "normal").covered
    assert found["two-way"] == found["paired t"] < 0.95 + 3 * ERROR


@pytest.mark.parametrize(
    ("method", "setting", "at_most"),
    [
        ("paired t", ("identical", 10, 0.0, 0.8, "normal"), 0.4),
        ("paired t", ("overlapping", 10, 1.0, 0.8, "sparse"), 0.95 - 3 * ERROR),
        ("corrected t", ("identical", 10, 0.0, 0.8, "normal"), 0.7),
        ("item bootstrap", ("overlapping", 3, 3.0, 0.2, "normal"), 0.7),
        ("joint bootstrap", ("overlapping", 3, 3.0, 0.2, "normal"), 0.95 - 3 * ERROR),
        ("two-way", ("disjoint", 10, 1.0, 0.8, "normal", 3.0), 0.6),
    ],
)
def test_where_methods_fail(method, setting, at_most):
    assert simulated(*setting).covered[method] < at_most


@pytest.mark.parametrize("parts", coverage.PARTS)
def test_the_interval_of_a_share_covers(parts):
    printed, covered = coverage.simulate_share(Setting(parts, 10, 1.0, 0.8, "normal"), 20.0, DRAWS)
    assert printed == 1.0
    assert covered > 0.95 - 3 * ERROR


# -- the simulation itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", coverage.ITEMS)
@pytest.mark.parametrize("parts", coverage.PARTS)
def test_the_truth_is_what_data_sets_have_on_average(parts, values):
    setting = Setting(parts, 3, 3.0, 0.8, values)
    data, truth = zip(
        *(coverage.data_sets(setting, draw, n) for draw, _, n in coverage.chunks(setting, 1000)), strict=True
    )
    means = np.concatenate([each.means.mean(axis=0) for each in data])
    assert len(set(truth)) == 1
    assert np.mean(means) == pytest.approx(truth[0], abs=4 * np.std(means) / math.sqrt(1000))


@pytest.mark.parametrize("values", coverage.ITEMS)
def test_the_unit_is_the_items_error_of_one_seeds_mean(values):
    setting = Setting("disjoint", 4, 0.0, 0.8, values)
    means = np.concatenate(
        [coverage.data_sets(setting, draw, n)[0].means for draw, _, n in coverage.chunks(setting, 1000)], axis=1
    )
    assert np.std(means) == pytest.approx(coverage.unit(setting), rel=0.05)


@pytest.mark.parametrize("values", ["normal", "sparse"])
def test_items_persist_by_their_share(values):
    setting = Setting("identical", 2, 0.0, 0.8, values)
    (draw, _, n), *_ = coverage.chunks(setting, 100)
    data, _ = coverage.data_sets(setting, draw, n)
    one, other = data.deviations[:, 0].ravel(), data.deviations[:, 1].ravel()
    assert np.corrcoef(one, other)[0, 1] == pytest.approx(0.8, abs=0.03)


def test_macro_accuracy_and_its_influence_values():
    values, classes = np.array([[1.0], [0.0], [1.0], [1.0], [-1.0], [0.0]]), np.array([0, 0, 0, 0, 1, 1])
    found = coverage._macro(values, classes)[:, 0]
    macro = (3 / 4 - 1 / 2) / 2
    assert found.mean() == pytest.approx(macro)
    for k in range(6):  # n times the derivative by the item's weight, at equal weights
        weights = np.ones(6)
        weights[k] += 1e-6
        parts = [np.average(values[classes == c, 0], weights=weights[classes == c]) for c in (0, 1)]
        assert found[k] - macro == pytest.approx(6 * (np.mean(parts) - macro) / 1e-6, abs=1e-4)


def test_draws_come_out_of_their_setting_alone():
    setting = Setting("overlapping", 3, 1.0, 0.2, "sparse")
    assert coverage.simulate(setting, 100) == coverage.simulate(setting, 100)


# -- the document ------------------------------------------------------------------------------------------------------


def test_the_document_has_every_setting_and_no_interval_in_it_covers_less_than_94_percent():
    text = coverage.DOCUMENT.read_text().split(coverage.BEGIN)[1].split(coverage.END)[0]
    draws = int(re.match(r"\s*([\d,]+) draws", text)[1].replace(",", ""))
    rows = [line.strip("| ").split(" | ") for line in text.split("<details>")[1].splitlines() if line.startswith("| ")]
    head, found = rows[0], [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]
    assert head[5:-1] == coverage.METHODS
    assert [(row["test parts"], int(row["seeds"]), float(row["seed sd"]), float(row["share"]), row["differences"])
            for row in found] == [setting[:5] for setting in coverage.GRID + coverage.FURTHER]  # fmt: skip
    chance = 0 if draws >= coverage.DRAWS else 300 * math.sqrt(0.95 * 0.05 / draws)  # of a quick look
    assert min(float(row["two-way"]) for row in found) >= 94 - chance
