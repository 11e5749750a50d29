"""The audit makes labels again (A19): what each aggregate wrote has no fault, and a changed row has."""

import numpy as np
import pytest
from finished_run import edit_table

from softlabels import schema
from softlabels.contracts import read_labels, write_reference, write_split
from softlabels.datasets import contract
from softlabels.errors import UserError
from softlabels.labels import label
from softlabels.provenance import checks_runs, manifest, recompute_labels
from softlabels.provenance.evidence import Results
from softlabels.provenance.findings import FAIL, UNKNOWN, Scope

CLASSES, N = ["a", "b", "c"], 90
AGAIN = {
    "average": [{}],
    "candidates": [{}],
    "class_mean": [{}, {"fit_on": "all"}],
    "laplace": [{"k": 0.5}],
    "majority": [{}],
    "mix": [{"w": 0.3}],
    "smoothed": [{"alpha": 0.2}, {"alpha": "matched"}],
    "softmax_counts": [{}],
    "top2": [{}],
    "unanimous": [{"min_agreement": 0.6}],
}
NOT_AGAIN = ["shuffled", "fixed_spread", "fixed_argmax", "ordinal_gaussian"]


def made(root, kind, weights=False, form="soft", ties="random", items=None, **options):
    """A folder with one label file of one split and seed: its path."""
    rng = np.random.default_rng(7)
    counts = rng.multinomial(rng.integers(1, 7, N), [0.5, 0.3, 0.2])
    counts[5] = 0  # an item without a vote
    item, kinds = np.nonzero(counts)
    votes = np.repeat(item, counts[item, kinds]), np.repeat(kinds, counts[item, kinds])
    weight = rng.choice([0.25, 0.5, 1.0], len(votes[0])).astype(np.float32) if weights else None
    inputs = {name: root / f"data/d/{name}.parquet" for name in ("annotations", "reference")}
    inputs["split"] = root / "splits/d/s/seed0.parquet"
    contract.write_annotations(inputs["annotations"], contract.Votes(*votes, weight=weight), CLASSES)
    write_reference(inputs["reference"], np.full((N, 3), 1 / 3), None, CLASSES)
    write_split(inputs["split"], rng.permutation(np.repeat([0, 1, 2], N // 3)), None, {})
    options = {"kind": kind, **schema.defaults("aggregate", kind), **options}
    config = {"label": {"aggregate": options, "form": form, "ties": ties, "seed": 3}, "draw": "seed0"}
    config["label"] |= {"items": items} if items else {}
    path = root / "labels/d/s/l/seed0.parquet"
    label.run(schema.restored(config, schema.of_command()), inputs, {"labels": path})
    manifest.write(path.with_suffix(".manifest.json"), "label", config, inputs, {"labels": path}, manifest.now(), {})
    return path


def found(root):
    scope = Scope(Results(root), [])
    scope.paths = sorted(scope.results.manifests)
    return {kind: [one.text for one in checks_runs.labels_follow_from_votes(scope) if one.kind == kind]
            for kind in (FAIL, UNKNOWN)}  # fmt: skip


def wrong(rows):
    rows[4]["p"] = np.roll(rows[4]["p"], 1) if len({*rows[4]["p"]}) > 1 else [1.0, 0.0, 0.0]


def test_every_formula_is_tried():
    assert {*AGAIN, "file"} == {*recompute_labels.FORMULAS}


@pytest.mark.parametrize("how", [{}, {"weights": True}, {"ties": "drop"}, {"items": 12}, {"form": "hard"}], ids=str)
@pytest.mark.parametrize(("kind", "options"), [(kind, one) for kind, each in AGAIN.items() for one in each])
def test_labels_with_a_formula_are_made_again(tmp_path, kind, options, how):
    try:
        path = made(tmp_path, kind, **options, **how)
    except UserError as error:  # items of which some have no label
        assert (kind, how) == ("unanimous", {"items": 12}) and "leaves images out" in str(error)
        return
    assert found(tmp_path) == {FAIL: [], UNKNOWN: []}
    there = read_labels(path).item
    edit_table(path, wrong)
    assert [f"item {there[4]} p: found" in text for text in found(tmp_path)[FAIL]] == [True]
    edit_table(path, lambda rows: rows[1:])
    assert f"see items [{there[0]}]" in found(tmp_path)[FAIL][0]


@pytest.mark.parametrize("kind", NOT_AGAIN)
def test_of_other_labels_the_items_are_compared(tmp_path, kind):
    path = made(tmp_path, kind, items=12)
    assert found(tmp_path)[FAIL] == [] and len(found(tmp_path)[UNKNOWN]) == 1
    lost = read_labels(path).item[0]
    edit_table(path, lambda rows: rows[1:])
    (fault,) = found(tmp_path)[FAIL]
    assert f"see items [{lost}]" in fault


def test_an_item_that_may_have_no_label_is_found_where_ties_are_dropped(tmp_path):
    path = made(tmp_path, "fixed_argmax", ties="drop")
    assert found(tmp_path)[FAIL] == []
    edit_table(path, lambda rows: [*rows, {**rows[0], "item": 5}])
    assert "see items [5]" in found(tmp_path)[FAIL][0]
