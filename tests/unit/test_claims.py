"""Claims: which there are, what is refused before training, their statistics by hand, verdicts by a table of cases."""

import finished_run as files
import numpy as np
import pytest
from linked_numbers import linked
from scipy import stats

from softlabels import config, io
from softlabels.evaluation import intervals
from softlabels.plan import Plan
from softlabels.provenance import recompute_budgets as again
from softlabels.studies import claims, study, verdicts

SOFT_KL = {"contrast": ["soft", "hard"], "metric": "kl", "direction": "lower"}


def raw(listed, **chosen):
    own = {"datasets": ["shapes"], "recipes": ["quick"], "seeds": [0, 1], "claims": listed, **chosen}
    data = {"source": {**files.SHAPES["source"], "votes": 7, "annotators": 10}, "reference": "exact"}
    mean = {"kind": "ensemble_mean", "of": ["average", "wawa"]}
    aggregates = {"soft": "average", "ensemble_mean": mean, "other": "wawa", "control": "class_mean"}
    labels = {name: {"aggregate": aggregate, "form": "soft"} for name, aggregate in aggregates.items()}
    labels |= {
        "hard": {"aggregate": "majority", "form": "hard"},
        "sampled": {"aggregate": "average", "form": "soft", "delivery": "sampled"},
        "multipass": {"aggregate": "average", "form": "soft", "delivery": "multipass"},
    }
    return {"datasets": {"shapes": data}, "recipes": {"quick": files.QUICK}, "labels": labels, "studies": {"s": own}}


def statements(listed, **chosen):
    return config.resolve(raw(listed, **chosen))["studies"]["s"]["claims"]


def problems(listed, **chosen):
    with pytest.raises(config.UserError) as caught:
        statements(listed, **chosen)
    return str(caught.value)


# -- what a configuration may say --------------------------------------------------------------------------------------

RICH = {
    "labels": ["hard", "soft", "sampled", "multipass", "ensemble_mean", "other", "control"],
    "vary": {"label.votes": [1, 3, 5, 10, 20, "all"]},
}


@pytest.mark.parametrize("name", claims.names())
def test_every_ready_claim_can_be_asked_of_a_study_and_says_where_it_is_from(name):
    found = statements([name], **RICH)
    about = config.ready_claim(name)
    assert found and {one["source"] for one in found} == {about["source"]} and about["about"].endswith(".")
    assert isinstance(about["text"], bool) and about["population"]
    assert all(one["margin"] or one["direction"] != "equal" for one in found)
    assert {*about} - {"references"} == {"about", "source", "population", "text", "labels", "statements"}
    named = {label for one in about["statements"] for label in one["contrast"]}
    assert named == {*about["labels"]}  # what each is, is checked


def test_the_ready_claims_are_these():
    assert claims.names() == [
        "averaging_is_safest", "multipass_with_few_votes", "sampled_with_few_votes", "soft_labels_at_equal_accuracy",
        "votes_saturate",
    ]  # fmt: skip
    assert [config.ready_claim(name)["text"] for name in claims.names()] == [True, False, False, False, True]


def test_others_are_every_other_soft_label_a_statement_each_or_those_that_a_ready_claim_is_about():
    own = {**SOFT_KL, "contrast": ["ensemble_mean", "others"], "name": "own"}
    found = statements([own, "averaging_is_safest"], **RICH)
    assert [one["contrast"][1] for one in found[:5]] == ["soft", "sampled", "multipass", "other", "control"]
    assert [one["contrast"][1] for one in found[5:]] == ["soft", "other"]  # neither controls nor deliveries
    assert [one["name"] for one in found[5:]] == [f"averaging_is_safest {k}" for k in (1, 2)]


@pytest.mark.parametrize(
    ("label", "is_now", "said"),
    [
        ("soft", {"aggregate": "softmax_counts", "form": "soft"}, "with aggregate average, found softmax_counts"),
        ("soft", {"aggregate": "average", "form": "hard"}, "with form soft, found hard"),
        (
            "soft",
            {"aggregate": "average", "form": "soft", "delivery": "sampled"},
            "with delivery expected, found sampled",
        ),
        ("hard", {"aggregate": "dawid_skene", "form": "hard"}, "with aggregate majority, found dawid_skene"),
    ],
)
def test_a_ready_claim_is_not_judged_of_a_label_that_is_only_called_so(label, is_now, said):
    asked = raw(["soft_labels_at_equal_accuracy"])
    asked["labels"][label] = is_now
    with pytest.raises(config.UserError, match=rf"is about a label '{label}' {said}"):
        config.resolve(asked)


def test_averaging_is_not_judged_by_the_votes_that_labels_are_made_of():
    for reference, refused in (("votes", True), (None, True), ("exact", False), ("other_people", False)):
        asked = raw(["averaging_is_safest"], labels=["soft", "ensemble_mean"])
        asked["datasets"]["shapes"]["reference"] = reference
        if refused:
            with pytest.raises(config.UserError, match="judged by votes of the people of 'shapes' that its labels"):
                config.resolve(asked)
        else:
            assert config.resolve(asked)


def test_a_claim_is_about_points_by_the_key_or_its_last_part():
    own = {**SOFT_KL, "contrast": ["soft", "soft"], "at": [{"votes": 10}, {"label.votes": "all"}]}
    (found,) = statements([own], vary={"label.votes": [10, "all"], "recipe.epochs": [1, 2]})
    assert found["at"] == [{"label.votes": "10"}, {"label.votes": "all"}] and found["name"] == "claim_1"
    base = ("shapes", "random", "quick")
    blocks = [(*base, votes, epochs) for votes in ("10", "all") for epochs in ("1", "2")]
    assert claims.pairs(found, blocks, ["label.votes", "recipe.epochs"]) == [
        ((*base, None, e), (*base, "10", e), (*base, "all", e)) for e in ("1", "2")
    ]


def test_a_claim_is_about_named_points():
    points = [{"name": "few", "recipe.epochs": 1}, {"name": "many", "recipe.epochs": 2}]
    (found,) = statements([{**SOFT_KL, "at": {"name": "few"}}], points=points)
    assert found["at"] == [{"dataset.point": "few"}] * 2


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("soft_labels_at_equal", "no ready claim; did you mean 'soft_labels_at_equal_accuracy'?"),
        ("averaging_is_safest", "compares the label 'ensemble_mean', which the study lacks"),
        ("sampled_with_few_votes", "compares the label 'sampled', which the study lacks"),
        ("votes_saturate", "is about points of 'label.votes', which the study does not vary (it varies nothing)"),
        ({**SOFT_KL, "direction": "not_higher"}, "says 'not_higher' without a margin"),
        ({**SOFT_KL, "direction": "equal"}, "says 'equal' without a margin"),
        ({**SOFT_KL, "direction": "equal", "margin": 0}, "says 'equal' without a margin"),
        ({**SOFT_KL, "direction": "better"}, "expected one of lower, higher, equal, not_lower, not_higher"),
        ({**SOFT_KL, "metric": "recall"}, "is about the metric 'recall', which the study lacks"),
        (
            {**SOFT_KL, "metric": "klx"},
            "claims.0: is about the metric 'klx', which the study lacks (did you mean 'kl'?)",
        ),
        (
            {**SOFT_KL, "contrast": ["softt", "hard"], "name": "own"},
            "claims.0 (own): compares the label 'softt', which the study lacks (did you mean 'soft'?)",
        ),
        ({**SOFT_KL, "contrast": ["soft"]}, "2 entries or more"),
        ({**SOFT_KL, "contrast": ["soft", "soft"]}, "compares 'soft' with itself"),
        ({**SOFT_KL, "contrast": ["hard", "others"], "at": {}}, None),
        ({**SOFT_KL, "contrast": ["soft", "others"]}, "the study has no other soft label"),
        ({**SOFT_KL, "margins": 1}, "unknown key 'margins'"),
        ({"metric": "kl", "direction": "lower"}, "the key 'contrast' is missing"),
    ],
)
def test_what_a_study_lacks_is_refused_before_anything_is_trained(claim, said):
    if said is None:
        assert statements([claim])
    else:
        assert said in problems([claim]).replace("\n", " ")


def test_a_label_of_a_ready_claim_that_the_study_calls_otherwise_is_named():
    asked = raw(["averaging_is_safest"], labels=["hard", "soft", "averaged"])
    asked["labels"]["averaged"] = asked["labels"].pop("ensemble_mean")
    with pytest.raises(config.UserError) as caught:
        config.resolve(asked)
    assert (
        "studies.s.claims.0 (averaging_is_safest): compares the label 'ensemble_mean', which this study calls "
        "'averaged'. Rename that, or write the claim out with contrast: [averaged, soft]." in str(caught.value)
    )


def test_a_claim_is_named_in_one_way_whatever_is_wrong_with_it():
    good = {**SOFT_KL, "contrast": ["soft", "hard"]}
    for wrong in ({"direction": "better"}, {"metric": "recall"}, {"direction": "equal"}):
        assert "studies.s.claims.1" in problems([good, {**SOFT_KL, **wrong}])
    across = {**SOFT_KL, "at": [{"source.items": 100}, {"source.items": 120}]}
    assert "studies.s.claims.1: compares points" in problems([good, across], vary={"source.items": [100, 120]})


def test_points_that_a_study_lacks_and_points_of_other_images_are_refused():
    told = problems([{**SOFT_KL, "at": {"label.votes": 4}}], vary={"label.votes": [1, 3]})
    assert "is about points that the study lacks (label.votes 4)" in told
    across = {**SOFT_KL, "at": [{"source.items": 100}, {"source.items": 120}]}
    assert "compares points of different data sets" in problems([across], vary={"source.items": [100, 120]})
    uneven = {**SOFT_KL, "at": [{"label.votes": 1}, {}]}
    assert "with different keys" in problems([uneven], vary={"label.votes": [1, 3]})
    twice = {**SOFT_KL, "at": {"label.votes": 1, "votes": 3}}
    assert "gives 'at' label.votes twice" in problems([twice], vary={"label.votes": [1, 3]})
    same = {**SOFT_KL, "contrast": ["soft", "soft"], "at": [{"votes": "1"}, {"label.votes": 1}]}
    assert "compares 'soft' with itself" in problems([same], vary={"label.votes": [1, 3]})
    assert "two are called 'twice'" in problems(
        [{**SOFT_KL, "name": "twice"}, {**SOFT_KL, "name": "twice", "margin": 1}]
    )


def test_the_table_of_verdicts_is_put_behind_the_main_one_and_studies_without_claims_stay_as_they_were():
    plan, without = Plan(raw([SOFT_KL])), Plan(raw([]))
    assert [table["kind"] for table in plan.config["studies"]["s"]["tables"][:2]] == ["main", "verdicts"]
    told = without.of("study", study="s")
    assert "claims" not in told and {"kind": "verdicts"} not in told["tables"]
    assert plan.of("study", study="s")["claims"][0]["metric"] == "kl"
    jobs = list(plan.jobs("s", "train", "evaluate", "references"))
    assert all(plan.json(command, **names) == without.json(command, **names) for command, names in jobs)


# -- statistics --------------------------------------------------------------------------------------------------------


def one_value_a_seed(values):
    """Seeds without items in common: the two-way interval is then the paired t."""
    return [np.array([value]) for value in values], [np.array([k]) for k in range(len(values))]


@pytest.mark.parametrize("margin", [0.01, 0.05, 0.2])
def test_equivalence_is_two_one_sided_t_tests(margin):
    values = np.array([0.01, 0.03, -0.02, 0.02, 0.04, 0.01])
    p = intervals.equivalence_p(intervals.sample(*one_value_a_seed(values)), margin)[0]
    below = stats.ttest_1samp(values, margin, alternative="less").pvalue
    above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    assert p == pytest.approx(max(below, above))
    # by hand: mean 0.015, standard error 0.0211 / √6 = 0.00847, 5 degrees of freedom
    error = values.std(ddof=1) / np.sqrt(6)
    assert p == pytest.approx(stats.t.sf((margin - 0.015) / error, 5))
    low, high = (end[0] for end in intervals.two_way_interval(intervals.sample(*one_value_a_seed(values)), 0.9)[1:])
    assert (p <= 0.05) == (-margin < low and high < margin)


@pytest.mark.parametrize("null", [0.0, 0.02, -0.3])
def test_a_difference_is_tested_against_any_other(null):
    values = np.array([0.01, 0.03, -0.02, 0.02, 0.04, 0.01])
    found = intervals.p_value(intervals.sample(*one_value_a_seed(values)), null)[0]
    assert found == pytest.approx(stats.ttest_1samp(values, null).pvalue)


@pytest.mark.parametrize("direction", ["lower", "higher", "equal"])
@pytest.mark.parametrize("shift", [-0.3, -0.02, 0.0, 0.02, 0.3])
def test_the_audit_judges_alike(direction, shift):
    draw = np.random.default_rng(0)
    clusters = [np.sort(draw.choice(60, 30, replace=False)) for _ in range(4)]
    values = [draw.normal(shift, 0.1, 30) + draw.normal() * 0.01 for _ in clusters]
    statement = {"name": "x", "metric": "kl", "direction": direction, "margin": 0.05}
    ends, p = again.judged(list(zip(values, clusters, strict=True)), statement, 0.95)
    data = intervals.sample(values, clusters)
    shown = intervals.two_way_interval(data, verdicts.level_of(statement, 0.95))
    assert (ends["low"], ends["high"]) == pytest.approx((shown.low[0], shown.high[0]))
    if direction != "equal":
        due = intervals.p_value(data, {"lower": -0.05, "higher": 0.05}[direction])[0]
    else:
        mean = shown.mean[0]
        inside = abs(mean) < 0.05
        due = (intervals.equivalence_p(data, 0.05) if inside else intervals.p_value(data, np.sign(mean) * 0.05))[0]
    assert p == pytest.approx(due, rel=1e-6)


CASES = [  # direction, margin, mean, Holm's p, verdict
    ("lower", None, -0.2, 0.01, "supported"),
    ("lower", None, 0.2, 0.01, "contradicted"),
    ("lower", None, -0.2, 0.06, "undecided"),
    ("lower", 0.1, -0.05, 0.01, "contradicted"),  # lower, but by less than the margin
    ("lower", 0.1, -0.25, 0.01, "supported"),
    ("higher", None, 0.2, 0.05, "supported"),
    ("higher", None, -0.2, 0.05, "contradicted"),
    ("higher", None, 0.2, None, "undecided"),
    ("not_higher", 0.1, 0.05, 0.01, "supported"),
    ("not_higher", 0.1, 0.3, 0.01, "contradicted"),
    ("not_higher", 0.1, -0.3, 0.2, "undecided"),
    ("not_lower", 0.1, -0.05, 0.01, "supported"),
    ("not_lower", 0.1, -0.3, 0.01, "contradicted"),
    ("equal", 0.1, 0.02, 0.01, "supported"),
    ("equal", 0.1, -0.02, 0.2, "undecided"),
    ("equal", 0.1, -0.3, 0.01, "contradicted"),
    ("equal", 0.1, 0.3, 0.06, "undecided"),
]


@pytest.mark.parametrize(("direction", "margin", "mean", "p", "said"), CASES)
def test_verdicts(direction, margin, mean, p, said):
    found = {"mean": {"value": mean}} | ({} if p is None else {"p": {"value": p}})
    assert verdicts.verdict({"direction": direction, "margin": margin}, found, 0.95) == said


def test_a_claim_begins_at_its_margin_and_one_of_not_being_worse_on_the_other_side_of_0():
    given = one_value_a_seed(np.array([0.3, 0.31, 0.28, 0.34]))
    for direction, begins in (("lower", -0.1), ("higher", 0.1), ("not_higher", 0.1), ("not_lower", -0.1)):
        statement = {"direction": direction, "margin": 0.1}
        assert verdicts.beyond(statement) == begins
        _, p = again.judged(list(zip(*given, strict=True)), statement, 0.95)
        assert p == pytest.approx(stats.ttest_1samp([0.3, 0.31, 0.28, 0.34], begins).pvalue, rel=1e-6)


# -- in a study --------------------------------------------------------------------------------------------------------


def test_verdicts_of_a_study_with_holm_over_all_statements(both, tmp_path):
    listed = [
        "soft_labels_at_equal_accuracy",
        {**SOFT_KL, "direction": "higher", "name": "other_way", "text": True, "source": "A & B | <i>"},
        {**SOFT_KL, "direction": "equal", "margin": 5, "name": "tie"},
        {**SOFT_KL, "direction": "lower", "margin": 0.1, "name": "by"},
        {**SOFT_KL, "direction": "not_higher", "margin": 0.1, "name": "safe"},
        {**SOFT_KL, "metric": "tvd", "contrast": ["alike", "soft"], "name": "nothing"},
    ]
    labels = {"hard": files.HARD, "soft": files.SOFT, "alike": files.SOFT}
    told, inputs, outputs = files.study(both, tmp_path, claims=listed, labels=labels)
    study.run(told, inputs, outputs)
    text = outputs["table_md"].read_text()
    assert linked(io.read_table(outputs["cells"])[0], "verdicts") == 8 + 7  # differences and p
    rows = [row for row in io.read_table(outputs["cells"])[0].to_pylist() if row["kind"].startswith("verdict ")]
    by = {(row["kind"], row["statistic"]): row for row in rows}
    assert by["verdict tie", "low"]["level"] == pytest.approx(0.9)
    assert by["verdict other_way", "low"]["level"] == 0.95
    alone = files.study(both, tmp_path / "alone", claims=[SOFT_KL])
    study.run(*alone)
    (p,) = [row["value"] for row in io.read_table(alone[2]["cells"])[0].to_pylist()
            if row["kind"] == "verdict claim_1" and row["statistic"] == "p"]  # fmt: skip
    adjusted = by["verdict soft_labels_at_equal_accuracy 1", "p"]["value"]
    assert p < adjusted <= 7 * p * (1 + 1e-9) and "of 7 statements" in by["verdict tie", "p"]["aggregation"]
    assert "| KL of soft is lower than that of hard |" in text and "| supported |" in text
    assert "| carries over to images: KL of soft is higher than that of hard |" in text and "| contradicted |" in text
    assert "KL of soft is equal to that of hard ± 5" in text
    assert "| KL of soft is lower than that of hard by more than 0.1 |" in text
    assert "| KL of soft is not higher than that of hard by more than 0.1 |" in text
    assert "] (90%) |" in next(line for line in text.splitlines() if "is equal to that of" in line)
    assert "] (95%) |" in next(line for line in text.splitlines() if "KL of soft is lower than that of hard |" in line)
    assert "an interval is that of its row alone" in text
    assert "| TVD of alike is lower than that of soft | +0.0000 – | no interval | no difference |" in text
    assert "- other_way: A & B | &lt;i>." in text  # escaped: nobody's words make a page
    assert "- soft_labels_at_equal_accuracy: arXiv 2511.14117, image and text tasks, averaged." in text


def test_one_seed_decides_nothing(both, tmp_path):
    told, inputs, outputs = files.study(both, tmp_path, claims=[SOFT_KL], seeds=[0])
    study.run(told, inputs, outputs)
    assert "| no interval | undecided |" in outputs["table_md"].read_text()
