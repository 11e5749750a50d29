"""Label sets: their coverage by simulation, cases computed by hand, the second implementation."""

import math
from dataclasses import replace

import numpy as np
import pytest
from metric_cases import classes, log, smooth, voted

from softlabels import registry, schema
from softlabels.evaluation import label_set
from softlabels.evaluation.aligned import Aligned, scorer
from softlabels.evaluation.readers import Said
from softlabels.evaluation.strata import merged
from softlabels.provenance.recompute_metrics import METRICS

NAMES = ("label_set_coverage", "label_set_size")


def options(name, **changed):
    return {"kind": name, **schema.defaults("metric", name), **changed}


def aligned(p, log_q, counts=None, kept=40):
    """All items but the last ones, which are for calibration."""
    item = np.arange(len(p))
    of = [Aligned(part, item[at], p[at], log_q[at], classes(p), None, None if counts is None else counts[at])
          for part, at in (("test", slice(-kept)), ("held_out", slice(-kept, None)))]  # fmt: skip
    return replace(of[0], calibration=of[1])


def value(name, of, **changed):
    return registry.load("metric", name)(of, options(name, **changed))


def test_a_case_computed_by_hand():
    """Nine items for a coverage of 0.8: the threshold is the 8th largest of their votes' probabilities, 0.2."""
    q = np.array([0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.2, 0.1])
    kept = Aligned("held_out", np.arange(9), np.eye(2)[[0] * 9], log(np.stack([q, 1 - q], axis=1)), ["a", "b"])
    test = Aligned(
        "test", np.arange(9, 11), np.array([[0.5, 0.5], [0, 1]]), log([[0.75, 0.25], [0.85, 0.15]]), ["a", "b"]
    )
    test = replace(test, calibration=kept)
    assert label_set.sets(test, options(NAMES[0], coverage=0.8)).tolist() == [[True, True], [True, False]]
    assert value("label_set_coverage", test, coverage=0.8).tolist() == [1, 0]
    assert value("label_set_size", test, coverage=0.8).tolist() == [2, 1]


def test_too_few_items_for_calibration_give_sets_of_all_classes():
    p, log_q, _ = smooth(60, 4)
    assert label_set.fewest(0.9) == 9 and label_set.fewest(0.95) == 19 and label_set.fewest(0.5) == 1
    assert value("label_set_size", aligned(p, log_q, kept=8)).mean() == 4
    assert value("label_set_coverage", aligned(p, log_q, kept=8)).mean() == pytest.approx(1)
    assert value("label_set_size", aligned(p, log_q, kept=9)).mean() < 4


@pytest.mark.parametrize("votes", [None, 5])
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_votes_are_covered_as_often_as_was_asked_for(votes, coverage):
    """On average over draws of both parts, with a network that is wrong; at most 1 / (n + 1) more."""
    n, rng, found = 30, np.random.default_rng([votes or 0, int(100 * coverage)]), []
    for draw in range(300):
        p = rng.dirichlet(np.full(4, 0.4), n + 40)
        log_q = log(0.9 * p[:, [1, 0, 2, 3]] + 0.1 * rng.dirichlet(np.ones(4), len(p)))
        counts = None if votes is None else rng.multinomial(votes, p)
        shares = p if votes is None else counts / votes
        of = aligned(shares, log_q, counts, kept=n)
        found.append(value("label_set_coverage", of, coverage=coverage, seed=draw).mean())
    error = 4 * np.std(found) / math.sqrt(len(found))
    assert coverage - error < np.mean(found) < coverage + 1 / (n + 1) + error


def test_the_drawn_vote_is_of_the_item_and_its_seed_whatever_the_network_and_the_other_items():
    p, log_q, _ = voted(3000, 3)
    of = Aligned("held_out", np.arange(3000), p, log_q, classes(p))
    drawn = label_set.drawn_votes(of, 0)
    assert (p[np.arange(3000), drawn] > 0).all()
    assert np.bincount(drawn) / 3000 == pytest.approx(p.mean(axis=0), abs=0.03)
    some = replace(of, item=of.item[7::5], reference=p[7::5], log_prediction=log_q[7::5][:, ::-1])
    assert (label_set.drawn_votes(some, 0) == drawn[7::5]).all()
    assert (label_set.drawn_votes(of, 1) != drawn).any()


CASES = {
    "votes": lambda: voted(150, 4, votes=5),
    "few votes": lambda: voted(150, 4, votes=2),
    "exact": lambda: (*voted(150, 4, votes=5)[:2], None),
    "exact and never clear": lambda: (*smooth(150, 4)[:2], None),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("agreement", ["all", "unanimous", "disputed"])
@pytest.mark.parametrize("case", CASES)
def test_the_second_implementation_gives_the_same_number(name, agreement, case):
    of = aligned(*CASES[case]())
    kept, chosen = of.calibration, options(name, agreement=agreement)
    beside = {"classes": of.classes, "calibration": (kept.item, kept.reference, kept.log_prediction)}
    again = METRICS[name](of.reference, of.log_prediction, {**chosen, **beside}, of.counts)
    found = value(name, of, agreement=agreement).mean()
    assert found == pytest.approx(math.nan if again is None else again, rel=1e-9, nan_ok=True)
    assert np.isnan(found) == ((case, agreement) in {("exact and never clear", "unanimous"), *(
        ("few votes", stratum) for stratum in ("unanimous", "disputed"))})  # fmt: skip


def test_votes_are_placed_by_the_other_votes_of_their_item():
    counts = np.array([[5, 0, 0], [4, 1, 0], [3, 2, 0], [2, 0, 0]])
    p = counts / counts.sum(axis=1, keepdims=True)
    of = Aligned("test", np.arange(4), p, log(p), classes(p), None, counts)
    assert label_set.mass(of, "unanimous") == pytest.approx(np.array([[1, 0, 0], [0, 0.2, 0], [0, 0, 0], [0, 0, 0]]))
    assert label_set.mass(of, "disputed") == pytest.approx(np.array([[0, 0, 0], [0.8, 0, 0], [0.6, 0.4, 0], [0, 0, 0]]))
    exact = replace(of, counts=None)
    assert label_set.mass(exact, "unanimous").sum(axis=1).tolist() == [1, 0, 0, 1]
    assert label_set.mass(exact, "disputed").sum(axis=1).tolist() == pytest.approx([0, 1, 1, 0])


def test_without_items_for_calibration_it_is_not_defined():
    of = replace(aligned(*smooth(60, 4)), calibration=None)
    score = scorer({name: options(name) for name in NAMES}, {name: ["calibration"] for name in NAMES})
    assert all(np.isnan(found) for found in score(of).values())


def test_classes_that_are_merged_have_neither_calibration_nor_votes_of_the_old_classes():
    votes = Said(np.array([0]), np.array([0]), np.array([3]), ["me"])
    found = merged(replace(aligned(*smooth(60, 4)), said=votes), {"a": ["c0", "c1"], "b": ["c2", "c3"]})
    assert (found.calibration, found.said) == (None, None)
