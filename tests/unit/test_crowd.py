"""Estimated labels: against crowd-kit and cleanlab where all items are training items, by hand for the others."""

import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from cleanlab import multiannotator
from crowdkit import aggregation as ck
from scipy.stats import entropy as scipy_entropy

from softlabels import config, io, keyed, main_memory, registry, schema
from softlabels.contracts import write_predictions, write_reference, write_split
from softlabels.datasets import contract
from softlabels.errors import UserError
from softlabels.labels import crowd, evidence, label

pytestmark = pytest.mark.filterwarnings("ignore")  # crowd-kit's, for its makers

QUICK = {
    "glad": {"iterations": 2},
    "mace": {"restarts": 1, "iterations": 10},
    "zbs": {"iterations": 5},
}  # what need not be done to the end
KINDS = ("dawid_skene", "one_coin", "glad", "mace", "wawa", "zbs", "mmsr")
OPTIONS = {"ties": "lowest_index", "seed": 0, "votes": "all"}


def _names(annotator):
    return pa.array([None if a < 0 else f"person {a:02d}" for a in annotator], pa.string()).dictionary_encode()


def made(tmp_path, item, annotator, label, classes=3, part=None, **more):
    """Evidence of votes, of items that are all in training unless ``part`` says so."""
    votes = contract.Votes(np.array(item), np.array(label), _names(annotator), **more)
    path = tmp_path / "annotations.parquet"
    contract.write_annotations(path, votes, [f"class{k}" for k in range(classes)])
    found = evidence.Evidence([f"class{k}" for k in range(classes)], int(max(item)) + 1, path)
    found.part = None if part is None else np.array(part)
    return found


def people(n_items=120, n_people=9, votes=5, classes=3, seed=0):
    """Votes of people who are right with their own probability: items, annotators, labels, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, n_items, p=rng.dirichlet(np.full(classes, 5.0)))
    skill = rng.uniform(0.5, 0.95, n_people)
    item = np.repeat(np.arange(n_items), votes)
    who = np.concatenate([rng.choice(n_people, votes, replace=False) for _ in range(n_items)])
    label = np.where(rng.random(len(item)) < skill[who], truth[item], rng.integers(0, classes, len(item)))
    return item, who, label, truth


def options(kind, **more):
    return {**OPTIONS, "kind": kind, **schema.defaults("aggregate", kind), **more}


def aggregate(found, kind, **more):
    return registry.load("aggregate", kind)(found, options(kind, **more))


def frame(found):
    votes = found.votes
    return pd.DataFrame({"task": votes.item, "worker": votes.annotator, "label": votes.label}, dtype=np.int64)


def steps_of(table):
    return table.metadata["estimate"]["iterations"]


def theirs(found, model):
    """What crowd-kit itself makes of the same votes, float64 ``[N, C]``."""
    p = model.fit_predict_proba(frame(found))
    return p.sort_index().reindex(columns=range(len(found.classes)), fill_value=0).to_numpy()


THEIRS = {"dawid_skene": ck.DawidSkene, "one_coin": ck.OneCoinDawidSkene, "glad": ck.GLAD}


@pytest.mark.parametrize("kind", ["dawid_skene", "one_coin", "glad"])
@pytest.mark.parametrize("votes", [2, 3])
def test_probabilities_of_training_items_are_crowd_kits(tmp_path, kind, votes):
    found = made(tmp_path, *people(votes=votes)[:3])
    table = aggregate(found, kind)
    facts = table.metadata["estimate"]
    expected = theirs(found, THEIRS[kind](n_iter=facts["iterations"], tol=-np.inf))  # as many of its own steps
    np.testing.assert_allclose(table.p, expected, atol=1e-6)
    clear = np.sort(expected)[:, -1] > np.sort(expected)[:, -2] + 1e-9
    np.testing.assert_array_equal(table.hard[clear], expected.argmax(axis=1)[clear])
    assert facts["converged"]
    assert table.votes.tolist() == [votes] * 120


def test_dawid_skene_goes_on_until_the_likelihood_no_longer_rises(tmp_path, capsys):
    """crowd-kit's own bound counts an item's prior once a vote; on these votes it falls early, and crowd-kit ends."""
    found = made(tmp_path, *people(votes=2)[:3])
    facts = aggregate(found, "dawid_skene").metadata["estimate"]
    steps = [ck.DawidSkene(n_iter=n, tol=-np.inf).fit(frame(found)) for n in (1, 2, 5, facts["iterations"])]
    log_likelihood = []
    for model in steps:
        joint = {item: model.priors_[range(3)].to_numpy() for item in range(120)}
        for _, item, a, k in frame(found).itertuples():
            joint[item] = joint[item] * model.errors_.loc[(a, k), range(3)].to_numpy()
        log_likelihood.append(sum(np.log(p.sum()) for p in joint.values()))
    assert (np.diff(log_likelihood) > 0).all()
    assert len(ck.DawidSkene().fit(frame(found)).loss_history_) < facts["iterations"]
    assert "dawid_skene: converged after" in capsys.readouterr().out


def test_mace_is_crowd_kits_where_its_numbers_are_in_the_order_of_their_values(tmp_path):
    item, who, label, _ = people()
    who[:9] = np.repeat([0, 1], [5, 4])  # annotators and classes appear as they are numbered
    label[:5] = [0, 1, 2, 2, 2]
    who = np.unique(who, return_index=True)[1].argsort()[np.unique(who, return_inverse=True)[1]]
    found = made(tmp_path, item, who, label)
    data = frame(found)
    codes = [pd.factorize(data[name])[0] for name in ("worker", "label")]
    numbered = data.assign(worker=codes[0], label=codes[1])
    ours = aggregate(found, "mace", restarts=1, iterations=10)
    random = keyed.rng("mace", 0, 0)
    expected = ck.MACE(n_restarts=1, n_iter=10, random_state=random).fit_predict_proba(numbered)
    back = dict(zip(codes[1], data["label"], strict=True))
    expected = expected.rename(columns=back).sort_index()[range(3)].to_numpy()
    np.testing.assert_allclose(ours.p, expected, atol=1e-6)


def test_mace_keeps_the_likeliest_of_starts_that_differ(tmp_path):
    found = made(tmp_path, *people(votes=3)[:3])
    several = [aggregate(found, "mace", restarts=1, iterations=3, seed=seed).p for seed in range(2)]
    assert (several[0] != several[1]).any()
    np.testing.assert_array_equal(*(aggregate(found, "mace", restarts=2, iterations=5).p for _ in range(2)))


@pytest.mark.parametrize("kind", ["wawa", "zbs"])
def test_weighted_votes_are_those_of_crowd_kits_skills(tmp_path, kind):
    found = made(tmp_path, *people()[:3])
    data = frame(found)
    if kind == "zbs":
        skills = ck.ZeroBasedSkill(n_iter=5).fit(data).skills_
    else:  # crowd-kit's Wawa with ties as they should be: the order of its table is that of the classes' frequency
        majority = found.counts.argmax(axis=1)
        skills = data.assign(right=majority[data["task"]] == data["label"]).groupby("worker")["right"].mean()
    expected = ck.MajorityVote().fit_predict_proba(data, skills).sort_index()[range(3)].to_numpy()
    np.testing.assert_allclose(aggregate(found, kind, **QUICK.get(kind, {})).p, expected, atol=1e-6)


def test_a_tie_among_the_votes_that_weigh_annotators_goes_to_the_first_class(tmp_path):
    item = np.repeat(np.arange(5), 2)
    who, label = np.tile([0, 1], 5), [1, 2, 2, 2, 2, 2, 2, 2, 2, 2]  # crowd-kit: class 2, as it has more votes
    p = aggregate(made(tmp_path, item, who, label), "wawa").p
    np.testing.assert_allclose(p[0], [0, 5 / 9, 4 / 9])  # the first agrees with 5 of 5, the second with 4


def test_mmsr_is_crowd_kits(tmp_path):
    item, who, label, truth = people(n_people=7)
    found = made(tmp_path, item, who, label)
    table = aggregate(found, "mmsr")
    seed = int(keyed.rng("mmsr", 0).integers(2**32))
    model = ck.MMSR(random_state=seed).fit(frame(found))
    scores = ck.MajorityVote().fit(frame(found), model.skills_).probas_
    expected = scores.sort_index()[range(3)].to_numpy()
    untied = np.sort(expected)[:, -1] > np.sort(expected)[:, -2] + 1e-9
    assert (model.skills_ > 0).all()
    np.testing.assert_array_equal(table.hard[untied], expected.argmax(axis=1)[untied])
    assert set(np.unique(table.p)) == {0, 1}
    assert (table.hard == truth).mean() > 0.85


def test_someone_below_chance_counts_against_a_class_in_mmsr(tmp_path, monkeypatch):
    item, who, label, _ = people(n_people=5, classes=2)
    found = made(tmp_path, item, who, label, classes=2)
    votes = found.votes
    monkeypatch.setattr(crowd, "of_annotators", lambda *_: np.where(np.arange(len(votes.people)) == 0, -1.0, 0.0))
    table = aggregate(found, "mmsr")
    of_first = votes.annotator == 0
    np.testing.assert_array_equal(table.hard[votes.item[of_first]], 1 - votes.label[of_first])


def apart(n_sets, seed=0):
    """Votes of sets of four annotators who share no item with another set, and a vote that joins the first two."""
    rng = np.random.default_rng(seed)
    item = np.repeat(np.arange(15 * n_sets), 3)
    who = np.concatenate([4 * (i // 15) + rng.choice(4, 3, replace=False) for i in range(15 * n_sets)])
    return item, who, np.where(rng.random(len(item)) < 0.7, item % 3, rng.integers(0, 3, len(item)))


def test_mmsr_refuses_annotators_whom_no_item_connects(tmp_path):
    item, who, label = apart(3)
    with pytest.raises(UserError, match=r"mmsr compares annotators by the images .* are of 3 sets of annotators who"):
        aggregate(made(tmp_path, item, who, label), "mmsr")
    item, who, label = np.append(item, [45, 45, 46, 46]), np.append(who, [0, 4, 4, 8]), np.append(label, [0, 1, 2, 0])
    assert len(aggregate(made(tmp_path, item, who, label), "mmsr").item) == 47
    assert aggregate(made(tmp_path, *apart(3)), "dawid_skene").p.shape == (45, 3)


def test_mmsr_is_the_same_twice_where_the_signs_are_open(tmp_path, monkeypatch):
    """With sets apart, which sign a solver finds depends on where it begins; here they are let through."""
    monkeypatch.setattr(crowd, "_sets", lambda *_: 1)
    for seed in range(6):
        found = made(tmp_path, *apart(4, seed))
        tables = [aggregate(found, "mmsr", iterations=300) for _ in range(4)]
        assert len({table.hard.tobytes() for table in tables}) == 1


def test_other_items_have_the_posterior_of_the_estimated_annotators(tmp_path):
    """Dawid-Skene and one coin, by hand: product of the errors of those who voted, and the prior."""
    item, who, label, _ = people(votes=6)
    part = np.where(np.arange(120) % 4 == 0, "val", "train")
    found = made(tmp_path, item, who, label, part=part)
    data = frame(found)
    train = data[part[data["task"]] == "train"]
    ours, of_coin = aggregate(found, "dawid_skene"), aggregate(found, "one_coin")
    model = ck.DawidSkene(n_iter=steps_of(ours), tol=-np.inf).fit(train)
    np.testing.assert_allclose(ours.p[part == "train"], model.probas_.sort_index()[range(3)], atol=1e-6)
    coin = ck.OneCoinDawidSkene(n_iter=steps_of(of_coin), tol=-np.inf).fit(train)
    for number in np.flatnonzero(part == "val")[:8]:
        p, q = model.priors_[range(3)].to_numpy(), coin.priors_[range(3)].to_numpy()
        for _, _, a, k in data[data["task"] == number].itertuples():
            assert (a, k) in model.errors_.index
            p = p * model.errors_.loc[(a, k), range(3)].to_numpy()
            q = q * np.where(np.arange(3) == k, coin.skills_[a], (1 - coin.skills_[a]) / 2)
        np.testing.assert_allclose(ours.p[number], p / p.sum(), atol=1e-6)
        np.testing.assert_allclose(of_coin.p[number], q / q.sum(), atol=1e-6)


def test_an_item_outside_of_training_has_glads_mean_difficulty_and_maces_annotators(tmp_path):
    item, who, label, _ = people(votes=6)
    part = np.where(np.arange(120) % 4 == 0, "val", "train")
    found = made(tmp_path, item, who, label, part=part)
    data = frame(found)
    train = data[part[data["task"]] == "train"]
    glad = ck.GLAD(n_iter=2, tol=-np.inf).fit(train)
    ours, number = aggregate(found, "glad", iterations=2), 4
    p = np.ones(3)
    for _, _, a, k in data[data["task"] == number].itertuples():
        right = 1 / (1 + np.exp(-glad.alphas_[a] * np.e))
        p = p * np.where(np.arange(3) == k, right, (1 - right) / 2)
    np.testing.assert_allclose(ours.p[number], p / p.sum(), atol=1e-6)
    with_all = aggregate(made(tmp_path, item, who, label), "mace", restarts=1)
    assert (aggregate(found, "mace", restarts=1).hard == with_all.hard).mean() > 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_only_training_votes_are_learned_from(tmp_path, kind):
    """Other votes on the items of other parts move no label of a training item."""
    item, who, label, _ = people()
    part = np.where(np.arange(120) < 90, "train", "test")
    tables = []
    for changed in (label, np.where(item < 90, label, (label + 1) % 3)):
        found = made(tmp_path, item, who, changed, part=part)
        tables.append(aggregate(found, kind, **QUICK.get(kind, {})))
    for name in ("p", "hard"):
        np.testing.assert_array_equal(*(getattr(table, name)[:90] for table in tables))


@pytest.mark.parametrize("kind", KINDS)
def test_an_annotator_without_training_votes_counts_as_the_average_one(tmp_path, kind):
    """One who voted on one item alone: that item has the class of the vote, as people are better than chance."""
    item, who, label, _ = people()
    item, who, label = np.append(item, 120), np.append(who, 50), np.append(label, 1)
    part = np.where(np.arange(121) < 120, "train", "val")
    table = aggregate(made(tmp_path, item, who, label, part=part), kind, **QUICK.get(kind, {}))
    assert table.hard[120] == 1
    assert np.isfinite(table.p).all()


def test_the_average_annotator_of_dawid_skene_by_hand(tmp_path):
    item, who, label, _ = people()
    item, who, label = np.append(item, 120), np.append(who, 50), np.append(label, 2)
    found = made(tmp_path, item, who, label, part=np.where(np.arange(121) < 120, "train", "val"))
    train = frame(found)[:-1]
    ours = aggregate(found, "dawid_skene")
    model = ck.DawidSkene(n_iter=steps_of(ours), tol=-np.inf).fit(train)
    posterior = model.probas_.sort_index()[range(3)].to_numpy()
    of_vote = posterior[train["task"]]
    pooled = of_vote[train["label"] == 2].sum(axis=0) / of_vote.sum(axis=0)
    expected = model.priors_[range(3)].to_numpy() * pooled
    np.testing.assert_allclose(ours.p[120], expected / expected.sum(), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_sum_to_one_and_their_class_is_their_own_most_probable(tmp_path, kind):
    table = aggregate(made(tmp_path, *people(seed=3)[:3]), kind, **QUICK.get(kind, {}))
    assert table.p.dtype == np.float32
    np.testing.assert_allclose(table.p.sum(axis=1), 1, atol=1e-6)
    top = table.p.max(axis=1)
    assert (table.p[np.arange(len(top)), table.hard] == top).all()
    facts = table.metadata["estimate"]
    assert facts["entropy"] == pytest.approx(scipy_entropy(table.p.astype(float), axis=1).mean(), abs=1e-3) or (
        kind == "mmsr"
    )
    assert facts["votes_entropy"] > 0


def test_a_tie_is_of_probabilities_and_broken_as_asked(tmp_path):
    """Two of one skill who disagree on an item."""
    item, who, label, _ = people(n_people=4, votes=4)
    item = np.append(item, [120, 120])
    who, label = np.append(who, [0, 1]), np.append(label, [2, 1])
    found = made(tmp_path, item, who, label, part=np.where(np.arange(121) < 120, "train", "val"))
    equal = np.full(4, 0.7)
    p, _ = crowd.shares(found, equal)
    lowest = crowd.labels(found, p, options("wawa"), {})
    assert lowest.hard[120] == 1
    assert lowest.metadata["ties"]["count"] > 0
    assert 120 not in crowd.labels(found, p, options("wawa", ties="drop"), {}).item
    drawn = [crowd.labels(found, p, options("wawa", ties="random", seed=s), {}).hard[120] for s in range(20)]
    assert set(drawn) == {1, 2}


def test_repeated_votes_count_each_and_are_refused_where_the_method_has_one_a_person(tmp_path):
    item, who, label, _ = people()
    again = made(tmp_path, np.append(item, [0, 0]), np.append(who, [who[0]] * 2), np.append(label, [label[0]] * 2))
    ours = aggregate(again, "dawid_skene")
    expected = theirs(again, ck.DawidSkene(n_iter=steps_of(ours), tol=-np.inf))
    np.testing.assert_allclose(ours.p, expected, atol=1e-6)
    for kind in ("mmsr", "crowdlab"):
        again.out_of_fold = np.full((120, 3), 1 / 3)
        with pytest.raises(UserError, match=r"one vote of an annotator .*2 votes too many.*repeats"):
            aggregate(again, kind)


def test_what_does_not_converge_is_said_with_its_residual(tmp_path, capsys):
    found = made(tmp_path, *people(votes=2)[:3])
    for kind in ("dawid_skene", "one_coin", "mace", "mmsr"):
        facts = aggregate(found, kind, iterations=2).metadata["estimate"]
        assert not facts["converged"], kind
        assert facts["iterations"] == 2
        assert isinstance(facts["residual"], float)
        assert f"{kind}: did NOT converge within 2 iterations: the residual is" in capsys.readouterr().out
    assert aggregate(found, "dawid_skene", iterations=1).metadata["estimate"]["residual"] is None


def test_an_objective_that_falls_is_no_convergence(capsys):
    assert not crowd.convergence("one", [-3.0, -1.0, -1.5], 100, 0.1)["converged"]
    assert "did NOT converge, but ended after 3 iterations, as its objective fell" in capsys.readouterr().out
    assert crowd.convergence("one", [-3.0, -1.0, -1.001], 100, 0.1)["converged"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_reader_or_votes_without_anything_in_common_are_refused(tmp_path, kind):
    with pytest.raises(UserError, match=r"compares annotators.*have 1 annotator\..*'average'"):
        aggregate(made(tmp_path, range(6), [0] * 6, [0, 1, 2] * 2), kind)
    with pytest.raises(UserError, match="have 3 annotators, no two of them on one item"):
        aggregate(made(tmp_path, range(6), [0, 1, 2] * 2, [0, 1, 2] * 2), kind)


def test_weights_unknown_annotators_and_classes_without_training_votes_are_refused(tmp_path):
    item, who, label, _ = people()
    weighted = made(tmp_path, item, who, label)
    weighted.votes.__dict__["weight"] = np.ones(len(item))
    with pytest.raises(UserError, match="dawid_skene counts every vote alike, and these votes have weights"):
        aggregate(weighted, "dawid_skene")
    with pytest.raises(UserError, match="who gave each vote, and this data set does not say it of 1 of 600 votes"):
        aggregate(made(tmp_path, item, np.append(who[1:], -1), label), "glad")
    part = np.where(np.arange(120) < 100, "train", "val")
    rare = np.where((label == 2) & (item < 100), 0, label)
    with pytest.raises(
        UserError,
        match=r"votes for the class 'class2', but none of the training part.*'average', or set .*fit_on: all, ",
    ):
        aggregate(made(tmp_path, item, who, rare, part=part), "mace")


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_that_nobody_chose_has_probability_0(tmp_path, kind, capsys):
    item, who, label, _ = people(classes=2)
    table = aggregate(made(tmp_path, item, who, label, classes=4), kind, **QUICK.get(kind, {}))
    assert table.p[:, 2:].max() == 0
    assert "no vote is for class2, class3" in capsys.readouterr().out


def test_an_item_without_votes_has_no_label(tmp_path):
    item, who, label, _ = people()
    table = aggregate(made(tmp_path, item[item != 7], who[item != 7], label[item != 7]), "dawid_skene")
    assert 7 not in table.item
    assert len(table.item) == 119


def test_too_little_memory_is_said_before_anything_starts(tmp_path, monkeypatch):
    """What a SLURM job asked for counts, not only what the machine has."""
    monkeypatch.setattr(main_memory.resource, "getrusage", lambda who: type("Usage", (), {"ru_maxrss": 1024}))
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1")  # MiB, all of which this process holds
    with pytest.raises(
        UserError, match=r"glad is expected to take .* GB for 600 votes of 9 annotators, and .* GB are free"
    ):
        aggregate(made(tmp_path, *people()[:3]), "glad")


def test_an_environment_without_crowd_kit_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "crowdkit", None)
    with pytest.raises(UserError, match=r"no package crowd-kit in this environment.*pip install crowd-kit"):
        aggregate(made(tmp_path, *people()[:3]), "wawa")


def test_items_whose_voters_have_no_weight_have_the_average(tmp_path):
    found = made(tmp_path, [0, 0, 1, 1], [0, 1, 2, 3], [0, 1, 2, 2])
    p, facts = crowd.shares(found, np.array([0.0, 0.0, 0.5, 0.5]))
    assert p.tolist() == [[0.5, 0.5, 0], [0, 0, 1]]
    assert facts == {"unweighted_items": 1}


# -- made of networks' predictions, or of other aggregates -------------------------------------------------------------


def predicted(truth, seed=1):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), len(truth)) + 2 * np.eye(3)[truth]
    return p / p.sum(axis=1, keepdims=True)


def test_crowdlab_is_cleanlabs(tmp_path):
    item, who, label, truth = people(votes=4)
    found = made(tmp_path, item, who, label)
    found.out_of_fold = predicted(truth)
    wide = frame(found).pivot(index="task", columns="worker", values="label")
    table = aggregate(found, "crowdlab")
    its = multiannotator.get_label_quality_multiannotator(wide, found.out_of_fold, verbose=False, return_weights=True)
    chosen = its["label_quality"]["consensus_label"].to_numpy()
    quality = its["label_quality"]["consensus_quality_score"].to_numpy()
    np.testing.assert_allclose(table.p[np.arange(120), chosen], quality, atol=1e-6)
    p = multiannotator._get_post_pred_probs_and_weights(
        wide.to_numpy(), chosen, found.out_of_fold, its["label_quality"]["num_annotations"].to_numpy(),
        its["label_quality"]["annotator_agreement"].to_numpy(), verbose=False,
    )[0]  # fmt: skip
    np.testing.assert_allclose(table.p, p, atol=1e-6)
    assert table.metadata["estimate"]["network_weight"] == pytest.approx(its["model_weight"])


def test_crowdlab_weighs_other_items_by_what_training_showed(tmp_path):
    item, who, label, truth = people(votes=4)
    part = np.where(np.arange(120) < 90, "train", "val")
    found = made(tmp_path, item, who, label, part=part)
    found.out_of_fold = predicted(truth)
    wide = frame(found).pivot(index="task", columns="worker", values="label")[:90]
    its = multiannotator.get_label_quality_multiannotator(
        wide, found.out_of_fold[:90], verbose=False, return_weights=True
    )
    agreement = its["label_quality"]["annotator_agreement"].mean()
    weights = dict(zip(wide.columns, its["annotator_weight"], strict=True))
    total, p = its["model_weight"], its["model_weight"] * found.out_of_fold[100]
    for _, _, a, k in frame(found)[frame(found)["task"] == 100].itertuples():
        p = p + weights[a] * np.where(np.arange(3) == k, agreement, (1 - agreement) / 2)
        total += weights[a]
    np.testing.assert_allclose(aggregate(found, "crowdlab").p[100], p / total, atol=1e-6)


def test_distilled_is_what_the_networks_said_and_no_vote_counts(tmp_path):
    item, who, label, truth = people()
    found = made(tmp_path, item[item > 0], who[item > 0], label[item > 0])
    found.out_of_fold = predicted(truth)
    table = aggregate(found, "distilled")
    np.testing.assert_allclose(table.p, found.out_of_fold[1:], atol=1e-6)
    np.testing.assert_array_equal(table.hard, found.out_of_fold[1:].argmax(axis=1))
    assert 0 not in table.item


def test_an_ensemble_is_the_mean_of_its_parts(tmp_path):
    found = made(tmp_path, *people()[:3])
    of = [options("average"), options("dawid_skene", iterations=3), options("majority")]
    table = aggregate(found, "ensemble_mean", of=of)
    parts = [registry.load("aggregate", part["kind"])(found, part).p for part in of]
    np.testing.assert_allclose(table.p, np.mean(parts, axis=0), atol=1e-6)
    np.testing.assert_array_equal(table.hard, table.p.argmax(axis=1))


def test_the_parts_of_an_ensemble_learn_from_what_each_says(tmp_path):
    """With fit_on: all, votes on other items change a part; with fit_on: train they do not."""
    item, who, label, _ = people()
    part = np.where(np.arange(120) < 90, "train", "test")
    moved = np.where(item < 90, label, (label + 1) % 3)
    for fit_on, same in (("train", True), ("all", False)):
        of = [options("average"), options("dawid_skene", fit_on=fit_on)]
        tables = [aggregate(made(tmp_path, item, who, k, part=part), "ensemble_mean", of=of) for k in (label, moved)]
        assert np.array_equal(*(table.p[:90] for table in tables)) is same
    alone = aggregate(made(tmp_path, item, who, moved), "dawid_skene")
    found = made(tmp_path, item, who, moved, part=part)
    both = (registry.load("aggregate", "average")(found, OPTIONS).p + alone.p) / 2
    np.testing.assert_allclose(tables[1].p, both, atol=1e-6)


def test_ties_of_an_ensembles_parts_lean_to_no_class_unless_asked(tmp_path):
    found = made(tmp_path, np.repeat(np.arange(200), 2), [0, 1] * 200, [0, 2] * 200)
    of = [{"kind": "average"}, {"kind": "majority"}]
    lowest, drawn, dropped = (
        aggregate(found, "ensemble_mean", of=of, ties=ties) for ties in ("lowest_index", "random", "drop")
    )
    assert (lowest.p == [0.75, 0, 0.25]).all()
    for table in (drawn, dropped):  # the mean itself has no tie
        assert len(table.item) == 200
        assert 60 < (table.hard == 0).sum() < 140
        np.testing.assert_allclose(np.sort(table.p), np.sort(lowest.p), atol=1e-6)


def test_a_part_is_given_its_own_options_and_the_labels_ties_seed_and_votes(tmp_path, monkeypatch):
    given, load = [], registry.load
    monkeypatch.setattr(registry, "load", lambda *of: lambda e, o: (given.append(o), load(*of)(e, o))[1])
    of = [{"kind": "average"}, {"kind": "smoothed", "alpha": 0.1}]
    load("aggregate", "ensemble_mean")(made(tmp_path, *people()[:3]), options("ensemble_mean", of=of, items=5))
    assert given == [{**OPTIONS, **part} for part in of]


def test_an_ensemble_tells_how_its_parts_ended(tmp_path):
    found = made(tmp_path, *people(votes=2)[:3])
    of = [options("average"), options("one_coin", iterations=2), options("wawa"), options("dawid_skene")]
    facts = aggregate(found, "ensemble_mean", of=of).metadata["estimate"]
    parts = [registry.load("aggregate", part["kind"])(found, part).metadata["estimate"] for part in of[1:]]
    assert [part.pop("kind") for part in facts["of"]] == ["one_coin", "wawa", "dawid_skene"]
    assert facts["of"] == parts
    assert (facts["converged"], facts["residual"]) == (False, parts[0]["residual"])
    assert facts["iterations"] == parts[2]["iterations"] > 2
    of[1] = options("one_coin")
    assert aggregate(found, "ensemble_mean", of=of).metadata["estimate"]["converged"]
    assert "converged" not in aggregate(found, "ensemble_mean", of=of[::2]).metadata["estimate"]


@pytest.mark.parametrize("kind", ["crowdlab", "distilled", "dawid_skene", "mmsr"])
@pytest.mark.parametrize("votes", ["all", 3])
def test_the_command_makes_them_of_files(tmp_path, kind, votes):
    item, who, label_of, truth = people()
    made(tmp_path, item, who, label_of)
    names = [f"class{k}" for k in range(3)]
    inputs = {name: tmp_path / f"{name}.parquet" for name in ("annotations", "reference", "split", "items")}
    write_reference(inputs["reference"], np.eye(3)[truth], None, names)
    io.write_table(inputs["items"], pa.table({"item": np.arange(120), "name": [str(i) for i in range(120)]}), {})
    part = np.where(np.arange(120) < 80, 0, 1)
    write_split(inputs["split"], part, None, {})
    inputs["predictions"] = [tmp_path / f"fold{k}.parquet" for k in range(2)]
    for k, path in enumerate(inputs["predictions"]):
        of = np.where(part == 1, "val", np.where(np.arange(120) % 2 == k, "held_out", "train"))
        write_predictions(
            path, np.arange(120), of.astype(object), np.log(predicted(truth, k)).astype(np.float32), names
        )
    form = "hard" if kind == "mmsr" else "soft"
    config = {
        "label": {"aggregate": options(kind), "form": form, "votes": votes, "ties": "random", "seed": 0},
        "draw": "seed1",
    }
    found = []
    for run in range(2):
        label.run(config, inputs, {"labels": tmp_path / f"{run}.labels.parquet"})
        found.append((tmp_path / f"{run}.labels.parquet").read_bytes())
    assert found[0] == found[1]
    table, metadata = io.read_table(tmp_path / "0.labels.parquet")
    assert metadata["aggregate"] == kind and metadata["form"] == form
    assert set(io.vector(table, "votes").tolist()) == {5 if votes == "all" else 3}
    if kind == "distilled":
        q = [predicted(truth, k) for k in range(2)]
        expected = np.where(part[:, None] == 1, np.mean(q, axis=0), np.where(np.arange(120)[:, None] % 2 == 0, *q))
        np.testing.assert_allclose(io.matrix(table, "p"), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["crowdlab", "distilled"])
def test_the_recipe_of_networks_behind_a_label_is_required(kind):
    raw = {"datasets": {"some": {"source": {"kind": "synthetic", "votes": 5, "annotators": 9}}},
           "recipes": {"quick": {"network": "compact"}},
           "labels": {"hard": {"aggregate": "majority", "form": "hard"}, "soft": {"aggregate": kind, "form": "soft"}},
           "studies": {"s": {"datasets": ["some"], "recipes": ["quick"]}}}  # fmt: skip
    with pytest.raises(UserError) as error:
        config.resolve(raw)
    assert "labels.soft.aggregate: the key 'recipe' is missing: recipe of these networks, by its name under" in str(
        error.value
    )
