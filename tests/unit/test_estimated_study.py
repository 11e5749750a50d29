"""A study of estimated labels: what its tables and the audit say of them."""

import finished_run as files
import pytest

from softlabels import contracts, io
from softlabels.provenance import audit
from softlabels.provenance.findings import LOOK_THERE, NOT_AGAIN

PEOPLE = {**files.VOTED["source"], "classes": "colour", "votes": 7, "annotators": 9, "annotator_model": "confusion"}
CONFIG = {
    "datasets": {"people": {"source": PEOPLE, "reference": "exact"}},
    "recipes": {"quick": files.QUICK},
    "labels": {
        "average": files.SOFT,
        "ds": {"aggregate": {"kind": "dawid_skene", "iterations": 2}, "form": "soft"},
        "ds_hard": {"aggregate": "dawid_skene", "form": "hard"},
        "mean": {"aggregate": {"kind": "ensemble_mean", "of": ["average", "wawa"]}, "form": "soft"},
        "both": {"aggregate": {"kind": "ensemble_mean", "of": ["average", {"kind": "dawid_skene", "iterations": 2,
                 "fit_on": "all"}]}, "form": "soft"},
    },
    "studies": {"small": {"datasets": ["people"], "recipes": ["quick"], "seeds": [0, 1], "figures": [],
                          "labels": ["average", "ds", "ds_hard", "mean", "both"]}},
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return files.build(tmp_path_factory.mktemp("estimated") / "results", CONFIG)


def test_the_main_table_says_what_lost_the_ambiguity_and_what_did_not_converge(finished):
    text = (finished / "studies/small/table.md").read_text()
    assert text.count("erases the ambiguity") == 1
    assert "Label ds of people: its mean entropy is 0.0" in text
    assert "Label ds of people: its estimate did not converge in 2 of 2 runs; the largest residual is " in text
    assert "Label both of people: its estimate did not converge in 2 of 2 runs; the largest residual is " in text
    assert (
        text.count("test images among them (fit_on: all). Where")
        == text.count("Label both learned from the votes")
        == 1
    )
    assert "Label ds_hard" not in text and "Label mean" not in text


def test_scores_know_how_their_label_was_estimated_and_those_of_others_say_nothing(finished):
    path = finished / "runs/people/random/quick/ds/seed0/scores/standard.parquet"
    label = contracts.read_estimate(finished / "labels/people/random/ds/seed0.parquet")
    assert contracts.read_estimate(path) == label
    assert label["entropy"] < 0.2 * label["votes_entropy"]
    assert "estimate" not in io.read_table(path.parents[2].parent / "average/seed0/scores/standard.parquet")[1]


def test_the_audit_finds_nothing(finished):
    failed = {found.id for found in audit.audit(finished, dry_run=False) if found.verdict == "fail"}
    assert failed <= {"A10"}  # modules of the tests


def test_no_rerun_is_advised_where_none_changes_anything(finished, tmp_path):
    found = {verdict.id: verdict for verdict in audit.audit(finished, dry_run=False)}
    assert found["A19"].verdict == "unknown" and "labels of 'dawid_skene' are not made again here" in str(found["A19"])
    assert found["A19"].remedy == NOT_AGAIN
    assert found["A16"].verdict == "fail" or found["A16"].remedy == "leave --no-dry-run out"
    assert found["A07"].verdict == "unknown" and found["A07"].remedy == LOOK_THERE  # no configuration here has it
