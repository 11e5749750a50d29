"""Intervals over seeds and items: against other implementations, hand-computed cases, and what they must not say."""

import math

import numpy as np
import pytest
from scipy import stats

from softlabels.evaluation import intervals
from softlabels.provenance import recompute_intervals as again

PARTS = {
    "identical": lambda draw, s: np.arange(40),
    "overlapping": lambda draw, s: draw.permutation(80)[:40],
    "disjoint": lambda draw, s: np.arange(40) + 40 * s,
    "groups": lambda draw, s: draw.integers(0, 9, 40),
    "unequal": lambda draw, s: draw.permutation(80)[: 30 + 5 * s],
}


def seeds_of(parts, n_seeds=4, metrics=None, key=0):
    """Values and clusters of some seeds, whose items have effects of their own."""
    draw = np.random.default_rng(key)
    effect = draw.normal(size=(200, metrics or 1))
    clusters = [PARTS[parts](draw, s) for s in range(n_seeds)]
    values = [
        0.5
        + draw.normal(size=effect.shape[1]) / 5
        + effect[of_seed]
        + draw.normal(size=(len(of_seed), effect.shape[1]))
        for of_seed in clusters
    ]
    return [of_seed if metrics else of_seed[:, 0] for of_seed in values], clusters


def one(interval):
    """The only metric's ends."""
    return float(interval.low[0]), float(interval.high[0])


def none(interval):
    return bool(np.isnan(interval.low).all() and np.isnan(interval.high).all())


# -- against other implementations -------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_paired_t_interval_agrees_with_scipy(level):
    values, clusters = seeds_of("overlapping")
    means = [of_seed.mean() for of_seed in values]
    expected = stats.ttest_1samp(means, 0).confidence_interval(level)
    assert one(intervals.paired_t(intervals.sample(values, clusters), level)) == pytest.approx(tuple(expected))


def test_the_corrected_resampled_t_interval_agrees_with_its_formula():
    values, clusters = seeds_of("overlapping")
    means = [of_seed.mean() for of_seed in values]
    half = stats.t.ppf(0.975, 3) * math.sqrt((1 / 4 + 1 / 4) * np.var(means, ddof=1))
    found = intervals.corrected_resampled_t(intervals.sample(values, clusters), 0.95, 1 / 4)
    assert one(found) == pytest.approx((np.mean(means) - half, np.mean(means) + half))


def test_a_two_way_interval_computed_by_hand():
    # Seed means 2 and 5; deviations -1, 0, 1 and -2, 1, 1 on items 0, 1, 2, and on 0, 1, 3, each over 3 items.
    # V_seed = (1.5² + 1.5²) / 2 = 2.25. Shared items 0 and 1: (-1/3)(-2/3) + 0 = 2/9; two ordered pairs of two: 2/9;
    # three clusters a seed: 2/9 * 3/2 = 1/3.
    found = intervals.two_way(intervals.sample([[1, 2, 3], [3, 6, 6]], [[0, 1, 2], [0, 1, 3]]))
    assert (found.mean[0], found.seed[0], found.item[0]) == pytest.approx((3.5, 2.25, 1 / 3))
    assert intervals.freedom(found) == 1


@pytest.mark.parametrize("parts", PARTS)
def test_the_parts_are_those_of_cameron_gelbach_and_miller(parts):
    """V_seed + V_item - V_seed×item of a regression on a constant, weighted to the mean of the seeds' means."""
    values, clusters = seeds_of(parts)
    found = intervals.two_way(intervals.sample(values, clusters))
    rows = [
        (s, cluster, (value - of_seed.mean()) / len(of_seed) / 4, (of_seed.mean() - found.mean[0]) / len(of_seed) / 4)
        for s, (of_seed, names) in enumerate(zip(values, clusters, strict=True))
        for value, cluster in zip(of_seed, names, strict=True)
    ]

    def variance(key, column):
        sums = {}
        for row in rows:
            sums[key(row)] = sums.get(key(row), 0) + row[column]
        return 4 / 3 * sum(total**2 for total in sums.values())

    groups = min(len(np.unique(of_seed)) for of_seed in clusters)
    item = variance(lambda row: row[1], 2) - variance(lambda row: row[:2], 2)
    assert found.seed[0] == pytest.approx(variance(lambda row: row[0], 3))
    assert found.item[0] == pytest.approx(max(0, item * groups / (groups - 1)), abs=1e-15)


def test_both_parts_are_unbiased():
    """Identical test parts, item effects of variance 4, noise of variance 1, seed effects of variance 0.25."""
    draw, n, n_seeds = np.random.default_rng(1), 10, 3
    persistent = 2 * draw.normal(size=(n, 40_000))
    values = [persistent + draw.normal(size=persistent.shape) + draw.normal(size=40_000) / 2 for _ in range(n_seeds)]
    data = intervals.sample(values, [np.arange(n)] * n_seeds)
    assert np.mean(intervals._covariance_of_seeds(data, data)) == pytest.approx((0.25 + 1 / n) / n_seeds, rel=0.03)
    assert np.mean(intervals._covariance_of_items(data, data)) == pytest.approx(4 / n, rel=0.03)
    found = intervals.two_way(data)
    assert np.mean(found.seed + found.item) == pytest.approx(np.var(found.mean), rel=0.03)


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("n_seeds", [2, 4])
def test_the_second_implementation_agrees(parts, n_seeds):
    values, clusters = seeds_of(parts, n_seeds)
    noise, _ = seeds_of(parts, n_seeds, key=7)
    scaled = [of_seed / 4 + other / 5 for of_seed, other in zip(values, noise, strict=True)]
    data, seeds = intervals.sample(values, clusters), list(zip(values, clusters, strict=True))
    found, theirs = intervals.two_way(data), again.two_way(seeds)
    assert (found.mean[0], found.seed[0], found.item[0]) == pytest.approx(theirs[:3], abs=1e-15)
    assert found[3:] == theirs[3:]
    assert one(intervals.two_way_interval(data, 0.9)) == pytest.approx(again.two_way_interval(seeds, 0.9))
    assert intervals.p_value(data)[0] == pytest.approx(again.p_value(seeds))
    assert intervals.projection(found, 0.95, (5, 10))[:, 0] == pytest.approx(again.projection(theirs, 0.95, (5, 10)))
    assert one(intervals.paired_t(data, 0.9)) == pytest.approx(again.paired_t(seeds, 0.9))
    corrected = intervals.corrected_resampled_t(data, 0.9, 0.3), again.corrected_resampled_t(seeds, 0.9, 0.3)
    assert one(corrected[0]) == pytest.approx(corrected[1])
    for level in (0.2, 0.8, 0.95):
        ours = intervals.share(data, intervals.sample(scaled, clusters), level)
        other = again.share(seeds, list(zip(scaled, clusters, strict=True)), level)
        assert [each[0] for each in ours] == pytest.approx(other or [np.nan] * 3, nan_ok=True)


def test_many_metrics_at_once_are_the_same_as_each_alone():
    values, clusters = seeds_of("overlapping", metrics=3)
    values[1][2, 1] = np.inf
    together = intervals.sample(values, clusters)
    for k in range(3):
        alone = intervals.sample([of_seed[:, k] for of_seed in values], clusters)
        for function in (
            lambda data: intervals.two_way_interval(data, 0.95),
            lambda data: intervals.paired_t(data, 0.95),
            lambda data: intervals.bootstraps(data, 0.95, 100, 3)[0],
            lambda data: intervals.bootstraps(data, 0.95, 100, 3)[1],
            lambda data: intervals.share(data, data, 0.5),
        ):
            a, b = function(together), function(alone)
            assert (a.low[k], a.high[k]) == pytest.approx(one(b), nan_ok=True, rel=1e-5)
            assert np.isnan(a.low[k]) == (k == 1)


# -- what a two-way interval is ----------------------------------------------------------------------------------------


def test_seeds_that_share_no_item_have_the_paired_t_interval():
    data = intervals.sample(*seeds_of("disjoint"))
    assert one(intervals.two_way_interval(data, 0.95)) == pytest.approx(one(intervals.paired_t(data, 0.95)))


def test_one_value_a_seed_is_enough_for_the_paired_t_interval():
    data = intervals.sample([[0.3], [0.5], [0.1]], [[0], [1], [2]])
    expected = stats.ttest_1samp([0.3, 0.5, 0.1], 0).confidence_interval(0.95)
    assert one(intervals.two_way_interval(data, 0.95)) == pytest.approx(tuple(expected))


def test_shared_items_widen_the_interval_and_never_narrow_it():
    # Opposite deviations on the same items would make the item part negative: it counts as 0.
    data = intervals.sample([[0, 1, 2, 3], [3.5, 2.5, 1.5, 0.5]], [np.arange(4)] * 2)
    assert intervals.two_way(data).item[0] == 0
    assert one(intervals.two_way_interval(data, 0.95)) == pytest.approx(one(intervals.paired_t(data, 0.95)))
    same = intervals.sample([[0, 1, 2, 3], [0.5, 1.5, 2.5, 3.5]], [np.arange(4)] * 2)
    assert one(intervals.two_way_interval(same, 0.95))[0] < one(intervals.paired_t(same, 0.95))[0]


def test_few_groups_leave_as_few_degrees_of_freedom():
    data = intervals.sample([np.arange(6.0) + s for s in (0, 1, 3, 2, 4)], [[0, 0, 1, 1, 2, 2]] * 5)
    assert intervals.freedom(intervals.two_way(data)) == 2


def test_the_names_of_items_and_the_order_of_seeds_do_not_matter():
    values, clusters = seeds_of("overlapping")
    data = intervals.sample(values, clusters)
    other = intervals.sample(values[::-1], [1000 - 7 * of_seed for of_seed in clusters[::-1]])
    assert one(intervals.two_way_interval(data, 0.95)) == pytest.approx(one(intervals.two_way_interval(other, 0.95)))


def test_p_is_one_minus_the_level_at_which_the_interval_ends_at_0():
    data = intervals.sample(*seeds_of("overlapping"))
    p = intervals.p_value(data)[0]
    assert 0 < p < 1
    assert one(intervals.two_way_interval(data, 1 - p))[0] == pytest.approx(0, abs=1e-12)


def test_more_seeds_shrink_the_seed_part_alone():
    found = intervals.two_way(intervals.sample(*seeds_of("identical", n_seeds=5)))
    five, ten, many = intervals.projection(found, 0.95, (5, 10, 10**6))[:, 0]
    assert five == pytest.approx(stats.t.ppf(0.975, 4) * math.sqrt(found.seed[0] + found.item[0]))
    assert ten == pytest.approx(stats.t.ppf(0.975, 9) * math.sqrt(found.seed[0] / 2 + found.item[0]))
    groups = found.clusters - 1  # never more degrees of freedom than these
    assert many == pytest.approx(stats.t.ppf(0.975, groups) * math.sqrt(found.item[0]), rel=1e-3)


# -- where there is none -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "clusters"),
    [
        ([[0.1, 0.2, 0.6]], [[0, 1, 2]]),
        ([[0.1, np.nan], [0.2, 0.3]], [[0, 1], [0, 1]]),
        ([[0.1, np.inf], [0.2, 0.3]], [[0, 1], [0, 1]]),
        ([[np.inf, -np.inf], [0.2, 0.3]], [[0, 1], [0, 1]]),
        ([[0.0, 0.0], [0.0, 0.0]], [[0, 1], [0, 1]]),
        ([[0.1, 0.1], [0.1, 0.1]], [[0, 1], [0, 1]]),
    ],
    ids=["one seed", "nan", "inf", "both infinities", "never a difference", "always the same difference"],
)
@pytest.mark.filterwarnings("error")
def test_no_interval(values, clusters):
    data = intervals.sample(values, clusters)
    assert none(intervals.two_way_interval(data, 0.95))
    assert none(intervals.paired_t(data, 0.95))
    assert none(intervals.corrected_resampled_t(data, 0.95, 0.25))
    assert all(map(none, intervals.bootstraps(data, 0.95, 50, 0)))
    assert np.isnan(intervals.p_value(data)).all()
    assert none(intervals.share(data, data, 0.95))
    seeds = [(np.array(a), np.array(b)) for a, b in zip(values, clusters, strict=True)]
    assert again.two_way_interval(seeds, 0.95) is again.p_value(seeds) is again.share(seeds, seeds, 0.95) is None
    assert again.paired_t(seeds, 0.95) is None


def test_one_seed_has_a_mean():
    assert intervals.two_way(intervals.sample([[0.1, 0.3]], [[0, 1]])).mean[0] == pytest.approx(0.2)


def test_two_seeds_have_one_degree_of_freedom():
    data = intervals.sample([[0.1], [0.3]], [[0], [1]])
    assert one(intervals.two_way_interval(data, 0.95)) == pytest.approx((0.2 - 1.270620, 0.2 + 1.270620), abs=1e-6)


def test_one_group_alone_has_no_interval():
    assert none(intervals.two_way_interval(intervals.sample([[0.1, 0.3], [0.2, 0.5]], [[0, 0], [0, 0]]), 0.95))


# -- the share of a gap ------------------------------------------------------------------------------------------------


def test_the_share_of_seeds_that_share_no_item_is_fiellers_interval_of_their_means():
    raw, scaled = [1.0, 1.3, 0.8], [0.2, 0.35, 0.21]
    clusters = [[0], [1], [2]]
    found = intervals.share(
        intervals.sample([[x] for x in raw], clusters), intervals.sample([[x] for x in scaled], clusters), 0.95
    )
    assert found.mean[0] == pytest.approx(1 - np.mean(scaled) / np.mean(raw))
    for end in one(found):  # at an end, the t test of scaled - R raw is just rejected
        assert stats.ttest_1samp(np.subtract(scaled, np.multiply(1 - end, raw)), 0).pvalue == pytest.approx(0.05)
    assert one(found)[0] < found.mean[0] < one(found)[1]


def test_there_is_no_share_where_the_raw_gap_may_be_0():
    clusters = [[0], [1], [2]]
    raw, scaled = (intervals.sample([[x] for x in gap], clusters) for gap in ([1.0, -0.5, 0.8], [0.2, 0.1, 0.3]))
    assert intervals.p_value(raw)[0] > 0.05
    found = intervals.share(raw, scaled, 0.95)
    assert np.isnan(found.mean[0]) and none(found)
    assert not none(intervals.share(scaled, raw, 0.5))


def test_a_share_of_different_items_is_refused():
    values, clusters = seeds_of("overlapping")
    with pytest.raises(ValueError, match="different items"):
        intervals.share(intervals.sample(values, clusters), intervals.sample(values, clusters[::-1]), 0.95)


def test_negative_eigenvalues_are_freed_as_by_numpy():
    for matrix in np.random.default_rng(0).normal(size=(20, 2, 2)):
        symmetric = matrix + matrix.T
        values, vectors = np.linalg.eigh(symmetric)
        expected = vectors @ np.diag(np.maximum(values, 0)) @ vectors.T
        p, q, r = (np.array([entry]) for entry in (symmetric[0, 0], symmetric[0, 1], symmetric[1, 1]))
        assert np.ravel(intervals._semidefinite(p, q, r)) == pytest.approx(expected.ravel()[[0, 1, 3]])


# -- bootstraps --------------------------------------------------------------------------------------------------------


def test_bootstraps_come_out_of_their_key_alone():
    data = intervals.sample(*seeds_of("overlapping"))
    first, again_, other = (intervals.bootstraps(data, 0.95, 200, *key) for key in [(0, 1), (0, 1), (0, 2)])
    assert [one(each) for each in first] == [one(each) for each in again_]
    assert [one(each) for each in first] != [one(each) for each in other]


def test_bootstraps_have_the_spread_that_resampling_has():
    draw, n = np.random.default_rng(2), 400
    values = [s + draw.normal(size=n) for s in (0.0, 1.0, 5.0)]
    item, joint = intervals.bootstraps(intervals.sample(values, [np.arange(n)] * 3), 0.95, 4000, 0)
    of_items = np.std(np.mean(values, axis=0)) / math.sqrt(n)
    both = math.hypot(of_items, np.std([0.0, 1.0, 5.0]) / math.sqrt(3))
    assert (item.high[0] - item.low[0]) / 2 == pytest.approx(1.96 * of_items, rel=0.06)
    assert np.ptp(one(joint)) / 2 == pytest.approx(1.96 * both, rel=0.15)
    assert one(joint)[0] < one(item)[0] < item.mean[0] < one(item)[1] < one(joint)[1]


def test_items_of_a_group_are_resampled_together():
    draw = np.random.default_rng(3)
    values = [np.repeat(draw.normal(size=50), 8) for _ in range(2)]
    groups = intervals.bootstraps(intervals.sample(values, [np.repeat(np.arange(50), 8)] * 2), 0.95, 1000, 0)[0]
    items = intervals.bootstraps(intervals.sample(values, [np.arange(400)] * 2), 0.95, 1000, 0)[0]
    assert np.ptp(one(groups)) / np.ptp(one(items)) == pytest.approx(math.sqrt(8), rel=0.15)


def test_a_resample_without_an_item_of_some_seed_is_left_out():
    data = intervals.sample([[0.0, 1.0], [2.0, 3.5]], [[0, 1], [2, 3]])
    item, joint = intervals.bootstraps(data, 0.95, 500, 0)
    assert np.isfinite([*one(item), *one(joint)]).all()


# -- tests -------------------------------------------------------------------------------------------------------------


def test_holm_agrees_with_an_example_computed_by_hand():
    # sorted: .01 x 4, .02 x 3, .03 x 2, .5 x 1; each at least as large as the one before
    p = [0.02, 0.5, 0.01, 0.03]
    assert intervals.holm(p) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert again.holm(p) == pytest.approx([0.06, 0.5, 0.04, 0.06])


def test_holm_leaves_out_what_could_not_be_tested():
    assert intervals.holm([0.02, np.nan, 0.04]) == pytest.approx([0.04, np.nan, 0.04], nan_ok=True)
    assert again.holm([0.02, None, 0.04]) == [pytest.approx(0.04), None, pytest.approx(0.04)]
    assert intervals.holm([]).shape == (0,)


def test_holm_bounds():
    p = np.random.default_rng(0).random(30)
    adjusted = intervals.holm(p)
    assert (adjusted >= p).all() and (adjusted <= np.minimum(1, 30 * p)).all()
    assert adjusted == pytest.approx(again.holm(p.tolist()))


@pytest.mark.parametrize(("one_right", "other_right"), [(0, 0), (1, 0), (0, 5), (3, 3), (2, 9), (40, 61)])
def test_mid_p_agrees_with_the_binomial(one_right, other_right):
    a = np.array([True] * one_right + [False] * other_right + [True, False])
    b = np.array([False] * one_right + [True] * other_right + [True, False])
    n, fewer = one_right + other_right, min(one_right, other_right)
    exact = stats.binomtest(one_right, n, 0.5).pvalue if n else 1.0
    expected = 2 * stats.binom.cdf(fewer, n, 0.5) - stats.binom.pmf(fewer, n, 0.5)
    assert intervals.mcnemar_mid_p(a, b) == pytest.approx(expected)
    assert again.mcnemar_mid_p(a, b) == pytest.approx(expected)
    assert intervals.mcnemar_mid_p(b, a) == intervals.mcnemar_mid_p(a, b) <= exact


def test_mid_p_of_a_published_table():
    """Fagerland, Lydersen and Laake 2013, their Table 1: 1 and 7 of 21 pairs disagree; mid-p .039, exact .070."""
    a, b = np.array([True] + [False] * 7 + [True] * 13), np.array([False] + [True] * 7 + [True] * 13)
    assert intervals.mcnemar_mid_p(a, b) == pytest.approx(0.039, abs=5e-4)


def test_pairs_of_networks_on_different_items_are_refused():
    with pytest.raises(ValueError):
        intervals.mcnemar_mid_p(np.ones(3, bool), np.ones(2, bool))
