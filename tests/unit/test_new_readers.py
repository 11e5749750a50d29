"""A study of new readers from data to table: labels of some people, a reference of others, readers and network."""

import shutil
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import save_images
from finished_run import QUICK, build, edit_table
from linked_numbers import linked

from softlabels import check, io, places, registry
from softlabels.contracts import read_others, read_scores, read_terms
from softlabels.errors import Problems, UserError
from softlabels.plan import Plan
from softlabels.provenance import manifest
from softlabels.provenance.audit import CHECKS
from softlabels.provenance.evidence import Results
from softlabels.provenance.explain import explain, title
from softlabels.provenance.findings import Scope
from softlabels.studies.ledger_view import Ledger
from softlabels.studies.tables.readers import verdict

SOURCE = {"kind": "synthetic", "items": 150, "pixels": 12, "seed": 0, "classes": "colour", "interpolate": "colour",
          "votes": 8, "annotators": 10, "annotator_model": "confusion", "annotator_accuracy": 0.8}  # fmt: skip
NAME = "readers__minimum_12"
METRICS = ["macro_acc", "kl", "vote_acc", {"kind": "readers", "minimum": 12}, "annotator_error", "annotator_distance"]
STUDY = {"datasets": ["rated"], "recipes": ["quick"], "seeds": [0, 1], "metrics": METRICS,
         "tables": ["main", "readers", "strata", "further"], "embedding": {"perplexity": 5}}  # fmt: skip
CONFIG = {
    "datasets": {"rated": {"source": SOURCE, "reference": "other_people"}},
    "recipes": {"quick": QUICK},
    "studies": {"small": STUDY},
}
RUN = "runs/rated/random/quick/soft/seed0/scores"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The study, finished, with its data card."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "_foreign_modules", lambda hashed: [])
        return build(tmp_path_factory.mktemp("finished") / "results", CONFIG, ("card",))


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "results")


def faults(root, *names):
    scope = Scope(Results(root), ["small"])
    return [finding.text for name in names for check in CHECKS[name][2] for finding in check(scope)
            if finding.kind == "fail"]  # fmt: skip


def test_the_audit_finds_the_same_numbers_a_second_way(made):
    assert faults(made, "A01", "A02", "A03", "A04", "A14", "A19") == []


def test_labels_and_reference_are_made_of_different_people(made):
    others = read_others(made / "data/rated/reference.parquet")
    votes, metadata = io.read_table(made / "data/rated/annotations.parquet")
    people = [set(of.column("annotator").to_pylist()) for of in (others, votes)]
    assert not people[0] & people[1] and len(people[0] | people[1]) == 10
    (told,) = [text for text in metadata["notes"]["remarks"] if "other people" in text]
    assert f"{others.num_rows} of 1200 votes, of 5 of 10 people" in told
    card = (made / "data/rated/card.md").read_text()
    assert "the shares of other people's votes" in card and "other people than labels are" in card
    test = io.read_table(made / "splits/rated/random/seed0.parquet")[0].to_pylist()
    test = {row["item"] for row in test if row["split"] == "test"}
    judges = others.to_pylist()
    expected = Counter(vote["annotator"] for vote in judges if vote["item"] in test)
    scores = read_scores(made / RUN / f"{NAME}.parquet")
    found = {
        key[1].removeprefix("reader:"): value for key, value in scores.values.items() if key[3] == f"{NAME}.n_items"
    }
    assert found and found.items() <= expected.items(), "readers are those who judge, on test items"


def test_a_number_of_a_reader_that_is_not_right_is_found(copy):
    path = copy / RUN / f"{NAME}.parquet"

    def change(rows):
        row = next(row for row in rows if row["group"].startswith("reader:") and row["metric"] == f"{NAME}.advantage")
        row["value"] -= 0.25

    edit_table(path, change)
    assert any("advantage" in text and "reader:" in text for text in faults(copy, "A04"))
    edit_table(path, lambda rows: [row for row in rows if not row["metric"].endswith(".winning_rate")])
    assert any("winning_rate" in text for text in faults(copy, "A04"))


def test_somebody_on_both_sides_is_found(copy):
    votes = io.read_table(copy / "data/rated/annotations.parquet")[0].column("annotator").to_pylist()
    edit_table(copy / "data/rated/reference.parquet", lambda rows: rows[0]["others"][0].update(annotator=votes[0]))
    assert any("1 people whose labels are trained on, too" in text for text in faults(copy, "A19"))


def test_a_reference_that_is_not_of_its_own_votes_is_found(copy):
    edit_table(copy / "data/rated/reference.parquet", lambda rows: rows[0]["others"].pop() and None)
    assert any("as in the others" in text for text in faults(copy, "A19"))


def test_another_half_of_the_people_than_the_one_that_is_drawn_is_found(copy):
    path = copy / places.path("data", "manifest", dataset="rated")
    text = path.read_text()
    assert text.count('"reference_seed": 0') == 1
    path.write_text(text.replace('"reference_seed": 0', '"reference_seed": 2'))
    assert any("people who judge" in text and "reference_seed" in text for text in faults(copy, "A19"))


def test_numbers_of_readers_name_the_code_of_their_metric(made):
    rows = io.read_table(made / "studies/small/cells.parquet")[0].to_pylist()
    codes = {row["metric_code"] for row in rows if row["metric"].startswith(NAME)}
    assert len(codes) == 1 and "" not in codes
    row = next(row for row in rows if row["metric"] == f"{NAME}.advantage" and row["statistic"] == "mean")
    told = explain(str(made / "studies/small"), title(row, rows), "")["tree"]
    (node,) = [node for node in told["below"] if node["name"].startswith("metric ")]
    assert "metrics/readers.py" in node["facts"]["code"] and "missing" not in node["facts"]


def test_the_table_has_all_readers_and_each(made):
    cells = io.read_table(made / "studies/small/cells.parquet")[0]
    ledger = Ledger(cells)
    table = registry.load("table", "readers")(ledger, {"kind": "readers", "margin": 0.02})
    labels = [row[1] for row in table.rows]
    assert labels == sorted(labels) and set(labels) == {"hard", "soft"}
    of_soft = [row for row in table.rows if row[1] == "soft"]
    assert of_soft[0][2] == "all readers" and "".join(of_soft[0][3]) == "5 tested"
    assert sorted(row[2] for row in of_soft[1:]) == sorted(
        set(read_others(made / "data/rated/reference.parquet").column("annotator").to_pylist())
    )
    terms = [read_terms(made / f"runs/rated/random/quick/soft/seed{k}/scores/{NAME}.terms.parquet") for k in (0, 1)]
    mean = np.mean([of.values[NAME].mean() for of in terms])
    assert of_soft[0][6].startswith(f"{mean:.4f} [")
    assert all(row[7] in ("better", "not inferior", "inferior", "undecided", "–") for row in table.rows)
    text = (made / "studies/small/table.md").read_text()
    assert "## In the place of a reader" in text and "reader:a" not in text
    assert linked(cells, "readers", "strata") > 100


def test_where_nobody_can_be_compared_the_table_says_so(made):
    cells = io.read_table(made / "studies/small/cells.parquet")[0]
    known = [not name.startswith(NAME) for name in cells.column("metric").to_pylist()]
    table = registry.load("table", "readers")(Ledger(cells.filter(known)), {"kind": "readers", "margin": 0.02})
    assert table.rows == [["rated", *["–"] * 12]] and len(table.header) == 13
    assert any(
        note.startswith("rated: no test item has votes of a known reader and of somebody") for note in table.notes
    )


def test_verdicts():
    def found(low, high):
        return {"low": {"value": low}, "high": {"value": high}}

    assert [verdict(found(*ends), 0.02) for ends in ((0.01, 0.1), (-0.01, 0.1), (-0.3, 0.1), (-0.3, -0.03))] == [
        "better", "not inferior", "undecided", "inferior",
    ]  # fmt: skip
    assert verdict({"mean": {}}, 0.02) == "–"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"study": {"metrics": ["macro_acc"]}}, "studies.small.metrics: 'readers' is missing; the table readers needs"),
        ({"source": {"annotators": 0, "annotator_model": "ambiguity"}}, "'readers' needs to know who gave each vote"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(change, message):
    config = {**CONFIG, "studies": {"small": STUDY | change.get("study", {})}}
    config["datasets"] = {"rated": {"source": SOURCE | change.get("source", {}), "reference": "other_people"}}
    with pytest.raises(UserError, match=message):
        Plan(config)


def test_votes_of_nobody_known_are_found_by_check(tmp_path):
    names = [f"{i:03d}.png" for i in range(60)]
    save_images(tmp_path / "images", names, size=(16, 16))
    columns = {"item": [name for name in names for _ in range(4)], "label": [f"c{k % 3}" for k in range(240)]}
    pq.write_table(pa.table(columns), tmp_path / "votes.parquet")
    source = {
        "kind": "table",
        "images": str(tmp_path / "images"),
        "votes": str(tmp_path / "votes.parquet"),
        "columns": {"annotator": None},
    }
    config = {**CONFIG, "datasets": {"rated": {"source": source}}}
    problems = Problems()
    list(check.check(config, problems))
    with pytest.raises(UserError, match="'readers' needs to know who gave each vote, and rated does not say"):
        problems.stop()
