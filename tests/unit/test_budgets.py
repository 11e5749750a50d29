"""Votes an image and fixed budgets: the fit against scikit-learn and by hand, the intervals against simulations."""

import math
import shutil
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import finished_run as files
import numpy as np
import pyarrow as pa
import pytest
from linked_numbers import linked
from sklearn.isotonic import IsotonicRegression

from softlabels import config, io
from softlabels.contracts import STANDARD, Scores, Terms, read_reference, read_split
from softlabels.documents import Number
from softlabels.evaluation import intervals, saturation
from softlabels.plan import Plan
from softlabels.provenance import audit, checks_numbers
from softlabels.provenance import recompute_budgets as again
from softlabels.provenance.evidence import Results
from softlabels.studies import budgets, judging, study
from softlabels.studies.comparisons import Side
from softlabels.studies.ledger_view import Ledger, document
from softlabels.studies.tables import budget as budget_table

VOTES = np.array([1.0, 2, 3, 5, 10, 20, 51])


# -- the fit -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_votes_at_a_share_agree_with_scikit_learn_and_with_the_audit(better):
    draw = np.random.default_rng(0)
    for _ in range(200):
        values = draw.normal(size=7) * 0.05 + np.log(VOTES) * (0.1 if better == "higher" else -0.1)
        curve = IsotonicRegression(increasing=better == "higher").fit_transform(np.arange(7), values)
        found = saturation.reached(VOTES, values, better, budgets.SHARES)
        for share, votes in zip(budgets.SHARES, found, strict=True):
            target = curve[0] + share * (curve[-1] - curve[0])
            assert np.interp(math.log(votes), np.log(VOTES), curve) == pytest.approx(target)
            assert again.reached(VOTES.tolist(), values.tolist(), better, share) == pytest.approx(votes)
            before = votes * 0.999  # it is the first place
            assert before < 1 or abs(np.interp(math.log(before), np.log(VOTES), curve) - curve[-1]) > abs(
                target - curve[-1]
            )


def test_votes_at_a_share_by_hand():
    # A gain of 0.4 from 1 to 10 votes, all of it by then: 90 % at 10 ** 0.9. The two out of order become their mean.
    assert saturation.reached([1, 10, 100], [1.0, 0.6, 0.6], "lower", [0.9, 1.0]) == pytest.approx([10**0.9, 10])
    assert saturation.reached([1, 10, 100], [0.0, 0.5, 0.3], "higher", [0.5]) == pytest.approx([10**0.5])
    assert saturation.reached([1, 10, 100], [0.0, 0.0, 1.0], "higher", [0.5]) == pytest.approx([10**1.5])
    assert saturation.reached([1, 10, 100], [0.5, 0.4, 0.3], "higher", [0.9]) == pytest.approx([1])  # nothing gained


def simulated(key, end, seeds=5, spread=0.006, noise=0.2, items=150, pool=500):
    """Terms of ``seeds`` test parts of one pool, whose means fall in log votes until ``end``, and stay."""
    draw = np.random.default_rng(key)
    effect = draw.normal(size=(pool, len(VOTES))) * noise / 2
    truth = 0.3 - 0.2 * np.minimum(np.log(VOTES) / math.log(end), 1)
    values, clusters = [], []
    for _ in range(seeds):
        clusters.append(np.sort(draw.choice(pool, items, replace=False)))
        of_seed = truth + draw.normal() * spread + draw.normal(size=len(VOTES)) * spread
        values.append(of_seed + effect[clusters[-1]] + draw.normal(size=(items, len(VOTES))) * noise)
    return values, clusters


def test_a_known_saturation_is_in_its_interval_about_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(saturation, "DRAWS", 300)
    hits, times = np.zeros(2), 40
    for key in range(times):
        data = intervals.sample(*simulated(key, 10))
        found, low, high = saturation.needed(VOTES, data, "lower", budgets.SHARES, 0.95)
        assert (low <= high).all() and (found >= 1).all()
        hits += (low <= 10 ** np.array(budgets.SHARES)) & (10 ** np.array(budgets.SHARES) <= high)
    assert (hits / times >= 0.85).all()  # 0.95 but for chance: below that in 1 of 100 keys


def test_one_seed_has_no_interval():
    values, clusters = simulated(0, 10, seeds=1)
    _, low, high = saturation.needed(VOTES, intervals.sample(values, clusters), "lower", [0.9], 0.95)
    assert np.isnan([low, high]).all()


# -- answers -----------------------------------------------------------------------------------------------------------


def sides(key, end, votes=VOTES, **more):
    """What a label's networks scored with each number of votes."""
    values, clusters = simulated(key, end, **more)
    return [
        Side(
            [{STANDARD: Scores("", {("test", "all", "none", "kl"): float(v[:, k].mean())}, [], 0)} for v in values],
            [{STANDARD: Terms("", c, c, {"kl": v[:, k]})} for v, c in zip(values, clusters, strict=True)],
        )
        for k in range(len(votes))
    ]


def test_a_number_of_votes_is_told_only_where_votes_gain_something():
    rising = dict(judging.needed(VOTES, sides(1, 10), "kl", "lower", 0.95))
    assert [*rising] == [budgets.GAIN, budgets.STEP, *map(budgets.votes_for, budgets.SHARES)]
    assert rising[budgets.GAIN]["high"][0] < 0
    assert 5 < rising[budgets.votes_for(0.9)]["mean"][0] < 20
    worse = dict(judging.needed(VOTES, sides(1, 10), "kl", "higher", 0.95))
    assert [*worse] == [budgets.GAIN, budgets.STEP]
    assert dict(judging.needed(VOTES, sides(1, 10, seeds=1), "kl", "lower", 0.95)) == {}


def test_numbers_of_votes_stand_in_their_order_and_all_is_the_mean_of_the_data_set():
    told = {value: budgets.number_of(value, 51.1) for value in ("10", "all", "1")}
    assert [n for n, _ in budgets.ascending(told)] == [1, 10, 51.1]
    assert budgets.ascending({"5": 5.0, "all": budgets.number_of("all", None)}) == [(5.0, "5")]
    assert budgets.ascending({"5": 5.0, "all": 5.0}) == [(5.0, "5")]  # each has 5: one point


def test_the_best_point_is_compared_with_all_others_after_holm():
    one, two, three = sides(3, 10)[0], sides(3, 10)[-1], sides(3, 10)[-2]
    first, others = judging.best({"a": one, "b": two, "c": three}, "kl", "lower", 0.95)
    assert first in "bc" and {*others} == {*"abc"} - {first}
    assert others["a"]["p"][0] < 0.05 and others["a"]["high"][0] < 0
    other = next(k for k in others if k != "a")
    assert others[other]["p"][0] >= others["a"]["p"][0]


def test_all_votes_are_as_many_as_people_gave_to_labels_and_not_those_that_judge(tmp_path):
    config = raw(vary={"label.votes": [1, 2, "all"]}, tables=["main", "budget"], labels=["soft"])
    pool = {"source": {**DATA["source"], "annotators": 7}}  # everybody votes on every item: 3 or 4 of them judge
    config["datasets"]["shapes"] = pool | {"reference": "other_people"}
    root = files.build(tmp_path / "results", config)
    assert not any(faults(root).values()), faults(root)
    path = root / "data/shapes/annotations.parquet"
    assert study._votes(path) + read_reference(root / "data/shapes/reference.parquet").votes[0] == 7
    assert study._votes(path) in (3, 4)
    # Two votes of one person, one of another and two of nobody known are those of four people; another item has one.
    rows = [(0, "a"), (0, "a"), (0, "b"), (0, None), (0, None), (5, "a")]
    table = pa.table({"item": [item for item, _ in rows], "annotator": [who for _, who in rows]})
    io.write_table(path, table.set_column(1, "annotator", table["annotator"].dictionary_encode()))
    assert study._votes(path) == 2.5 == checks_numbers._votes(SimpleNamespace(results=Results(root)), "shapes")


def test_what_votes_cost():
    assert budgets.with_label(6000, 2000, 300) == (300, 100) and budgets.with_label(60, 20, None) == (60, 20)
    assert budgets.spent(2000, 3, {"price_vote": 1, "price_image": 0}) == 6000
    assert budgets.spent(600, 10, {"price_vote": 0.05, "price_image": 2}) == 1500


# -- of a study --------------------------------------------------------------------------------------------------------

DATA = {"source": {"kind": "synthetic", "items": 60, "pixels": 12, "seed": 0, "votes": 7}, "reference": "votes"}


def raw(**chosen):
    own = {"datasets": ["shapes"], "recipes": ["quick"], "seeds": [0, 1], **chosen}
    return {"datasets": {"shapes": DATA}, "recipes": {"quick": files.QUICK}, "studies": {"s": own}}


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"tables": ["main", "budget"]}, "budget needs three numbers of votes or more, found 0"),
        ({"tables": ["budget"], "vary": {"label.votes": [1, 3]}}, "found 2. Add vary"),
        ({"tables": ["main", "fixed_budget"]}, "fixed_budget needs points with other label.items and label.votes"),
        (
            {"tables": ["budget", {"kind": "budget", "metrics": ["kl"]}], "vary": {"label.votes": [1, 3, 5]}},
            "found 2 of the kind budget, expected one",
        ),
        ({"vary": {"label.items": [0]}}, "at least 1"),
    ],
)
def test_a_table_of_budgets_needs_what_it_is_about(chosen, said):
    with pytest.raises(config.UserError, match=said):
        config.resolve(raw(**chosen))


def test_labels_of_some_items_are_of_a_split_and_seed_and_others_keep_their_hash():
    plain = Plan(raw())
    plan = Plan(raw(vary={"label.items": [10, 20]}))
    jobs = [names for _, names in plan.jobs("s", "label")]
    assert {(names["within"], names["draw"]) for names in jobs} == {("/random", "seed0"), ("/random", "seed1")}
    assert {names["label"] for names in jobs} >= {"hard__items_10", "soft__items_20"}
    label = {"dataset": "shapes", "within": "", "label": "hard", "draw": "all"}
    assert "items" not in plain.of("label", **label)["label"]
    assert plan.of("label", **{**label, "label": "hard__items_10"})["label"]["items"] == 10


def planted(root, config, values):
    """A finished study whose networks have these ``kl``, by label; the seeds differ by a little of it."""
    files.build(root, config)
    plan = Plan({**config, "results": str(root)})
    (name,) = plan.config["studies"]
    for command, names in plan.jobs(name, "evaluate"):
        kl = values[names["label"]] * (1 + 0.001 * names["seed"])
        files.edit(files.of(plan, command, "scores", **names)["scores"], {("all", "none", "kl"): kl})
    study.run(plan.of("study", study=name), files.inputs_of(plan), files.of(plan, "study", study=name))
    return root


def labelled(root, label):
    """How many images of each part have a label of the first seed."""
    part = read_split(root / "splits/shapes/random/seed0.parquet").part
    item = io.vector(io.read_table(root / f"labels/shapes/random/{label}/seed0.parquet", ["item"])[0], "item")
    return dict(Counter(part[item].tolist()))


def cells_of(root):
    return io.read_table(root / "studies/s/cells.parquet")[0]


def faults(root):
    """What the audit of the numbers faults."""
    found = audit.audit(root, ["s"], dry_run=False)
    return {of.id: of.evidence for of in found if of.id in ("A01", "A02", "A03", "A19") and of.verdict != audit.PASS}


@pytest.fixture(scope="module")
def voted(tmp_path_factory):
    """Soft labels gain until 3 votes, hard ones are the worse the more votes they have."""
    chosen = raw(vary={"label.votes": ["all", 1, 3]}, tables=["main", {"kind": "budget", "metrics": ["kl"]}])
    soft, hard = {"soft": 10.001, "soft__votes_1": 30, "soft__votes_3": 10}, {"hard": 40, "hard__votes_1": 20}
    return planted(tmp_path_factory.mktemp("voted"), chosen, {**soft, **hard, "hard__votes_3": 30})


def test_the_table_has_votes_with_their_interval_or_says_that_nothing_is_gained(voted):
    lines = [line for line in (voted / "studies/s/table.md").read_text().splitlines() if "KL ↓ |" in line]
    hard, soft = (next(line for line in lines if f"| {label} | KL" in line) for label in ("hard", "soft"))
    assert hard.count(budget_table.NO_GAIN) == 2 and " 20.0" in hard
    assert "-20.0" in soft and f"{3**0.9:.1f} [" in soft and f"{3**0.95:.1f} [" in soft
    assert linked(cells_of(voted), "budget") == 2 * 2 + 2  # gain and last step; votes of soft
    assert not any(faults(voted).values()), faults(voted)


def test_where_the_last_step_still_gains_no_number_of_votes_is_told(voted, tmp_path):
    ledger = Ledger(cells_of(voted))
    key = next(key for key in ledger.aggregates if key[-2] == budgets.GAIN and key[-4] == "soft")
    votes, step = (ledger.get(key[:-4], "soft", "kl", kind) for kind in (budgets.votes_for(0.9), budgets.STEP))
    assert budget_table.before_last(ledger, key[:-4]) == 3
    step["low"]["value"], step["high"]["value"] = -2.0, -1.0
    assert budget_table.answer(ledger, key, 0.9) != budget_table.NOT_WITHIN  # it is reached before
    votes["mean"]["value"] = 3.5
    assert budget_table.answer(ledger, key, 0.9) == budget_table.NOT_WITHIN
    step["high"]["value"] = 0.1
    assert budget_table.answer(ledger, key, 0.9) != budget_table.NOT_WITHIN


def test_the_audit_notices_another_number_of_votes(voted, tmp_path):
    copied = shutil.copytree(voted, tmp_path / "results")

    def change(rows):
        for row in rows:
            if row["kind"].startswith("votes for") and row["statistic"] == "mean":
                row.update(value=row["value"] + 1, printed=f"{row['value'] + 1:.1f}")

    files.edit_table(copied / "studies/s/cells.parquet", change)
    assert faults(copied)["A03"]


@pytest.mark.parametrize("changed", [{"mean": None}, {"low": None}, {"high": None}, {"low": 3.0}, {"high": 2.0}])
def test_the_audit_notices_an_interval_of_votes_that_is_not_around_its_mean(voted, changed):
    rows = {key: row for key, row in checks_numbers._rows(cells_of(voted)) if row["kind"] == budgets.votes_for(0.9)}
    assert [finding.kind for finding in checks_numbers._votes_needed("", rows)] == ["note"]
    rows = {key: {**row, "value": changed.get(key[-1], row["value"])} for key, row in rows.items()}
    rows = {key: row for key, row in rows.items() if row["value"] is not None}
    assert [finding.kind for finding in checks_numbers._votes_needed("", rows)] == ["fail", "note"]


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_metric_that_is_not_finite_somewhere_has_no_curve_and_is_said_to_have_none(voted, odd):
    of_points = sides(1, 10)
    for sets in of_points[2].scores:
        sets[STANDARD] = replace(sets[STANDARD], values={("test", "all", "none", "kl"): odd})
    found = dict(judging.needed(VOTES, of_points, "kl", "lower", 0.95))
    assert [*found] == [budgets.GAIN, budgets.STEP]
    ledger = Ledger(cells_of(voted))
    key = next(key for key in ledger.aggregates if key[-2] == budgets.GAIN and key[-4] == "soft")
    del ledger.aggregates[*key[:-2], budgets.votes_for(0.9), None]
    assert budget_table.answer(ledger, key, 0.9) == budget_table.UNDEFINED


def test_a_gain_without_an_interval_has_a_row_and_the_reason(voted):
    ledger = Ledger(cells_of(voted))
    for key in [key for key in ledger.aggregates if key[-2] == budgets.GAIN]:
        del ledger.aggregates[key]
    table = budget_table.table(ledger, {"metrics": ["kl"]})
    assert {row[-1] for row in table.rows} == {"–"} and len(table.rows) == 2
    assert any("the gain has no interval" in note for note in table.notes)


def test_points_of_one_budget_are_compared_and_cost_what_they_cost(tmp_path):
    points = [{"name": "24 x 1", "label.items": 24, "label.votes": 1}, {"name": "8 x 3", "label.items": 8,
              "label.votes": 3}]  # fmt: skip
    table = {"kind": "fixed_budget", "price_vote": 2, "price_image": 1, "metrics": ["kl"]}
    chosen = raw(points=points, tables=["main", table], labels=["soft"])
    values = {"soft__items_24__votes_1": 1, "soft__items_8__votes_3": 9}
    root = planted(tmp_path / "results", chosen, values)
    text = (root / "studies/s/table.md").read_text().partition("## A fixed number of votes")[2]
    assert "| shapes | 24 x 1 | soft | 96 | 24 | **1.0005 ± 0.0007** |" in text  # 24 of 36 and 8 of 12 images
    assert "| shapes | 8 x 3 | soft | 77 | 21 | 9.0045 ± 0.0064 |" in text
    assert "shapes, point 24 x 1, soft: the best point in KL ↓" in text
    assert "at a cost of 96; all others are worse" in text
    assert linked(cells_of(root), "fixed_budget") == 2 * 3  # cost, of which validation, and KL
    tables = {part.title: part for part in document(cells_of(root)).parts}
    (note,) = [note for note in tables["A fixed number of votes"].notes if type(note) is tuple]
    assert [piece.key[-4:] for piece in note if isinstance(piece, Number)] == [
        ("soft", "kl", "measured", None), ("soft", "cost", "cost", None),
    ]  # fmt: skip
    assert "do not cost the same" in text
    for points, due in (("24 x 1", {"train": 24, "val": 8, "test": 12}), ("8 x 3", {"train": 8, "val": 3, "test": 12})):
        assert labelled(root, f"soft__items_{points.replace(' x ', '__votes_')}") == due
    assert not any(faults(root).values()), faults(root)
