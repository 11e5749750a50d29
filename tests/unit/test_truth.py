"""A truth from elsewhere: scored beside the votes, never trained on, and audited."""

import csv

import finished_run
import numpy as np
import pytest
from linked_numbers import linked

from softlabels import contracts, io
from softlabels.datasets import data
from softlabels.errors import UserError
from softlabels.evaluation import truth
from softlabels.provenance import manifest
from softlabels.provenance.audit import audit

CONFIG = {**finished_run.CONFIG, "datasets": {"shapes": finished_run.VOTED}}
RUN = "runs/shapes/random/quick/{label}/seed{seed}"


def truths_of(n, classes):
    """The class of two thirds of the items: as good as any."""
    draw = np.random.default_rng(5)
    return [classes[k] if k < len(classes) else None for k in draw.integers(0, 1 + len(classes) * 3 // 2, n)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two finished studies of the same votes, without truths and with; the results folders."""
    made = data.run

    def with_truths(config, inputs, outputs, threads=1):
        made(config, inputs, outputs, threads)
        table, about = io.read_table(outputs["items"])
        classes = contracts.read_reference(outputs["reference"]).classes
        column = truths_of(table.num_rows, classes)
        io.write_table(outputs["items"], table.append_column("truth", [column]), about)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "_foreign_modules", lambda hashed: [])
        without = finished_run.build(tmp_path_factory.mktemp("without") / "results", CONFIG)
        patch.setattr(data, "run", with_truths)
        return without, finished_run.build(tmp_path_factory.mktemp("with") / "results", CONFIG)


def counted(root, guess):
    """Test items with a truth, and the share that ``guess`` (item -> class) has right, plain and mean over classes."""
    items = io.read_table(root / "data/shapes/items.parquet")[0]
    classes = contracts.read_reference(root / "data/shapes/reference.parquet").classes
    right = {}
    for item in contracts.read_split(root / "splits/shapes/random/seed0.parquet").items("test"):
        name = items.column("truth")[int(item)].as_py()
        if name is not None:
            right.setdefault(name, []).append(classes[guess(int(item))] == name)
    hits = [hit for of in right.values() for hit in of]
    return len(hits), np.mean(hits), np.mean([np.mean(of) for of in right.values()])


@pytest.mark.parametrize("label", ["hard", "soft"])
def test_networks_and_votes_are_scored_against_the_truth(finished, label):
    _, root = finished
    run = root / RUN.format(label=label, seed=0)
    logits = io.read_table(run / "predictions.parquet")[0].sort_by("item").column("logits").to_pylist()
    p = contracts.read_reference(root / "data/shapes/reference.parquet").p
    scores = contracts.read_scores(run / "scores/standard.parquet")
    for begin, guess in (("", lambda i: int(np.argmax(logits[i]))), ("votes_", lambda i: int(p[i].argmax()))):
        n, plain, macro = counted(root, guess)
        assert scores.value("n_items@truth") == n
        assert scores.value(f"{begin}acc@truth") == pytest.approx(plain)
        assert scores.value(f"{begin}macro_acc@truth") == pytest.approx(macro)


def test_nothing_is_trained_on_it(finished):
    """Labels, models and all other numbers are those of the same votes without truths, to the byte."""
    without, root = finished
    for label in ("hard", "soft"):
        run = RUN.format(label=label, seed=1)
        for path in (f"labels/shapes/{label}/all.parquet", f"{run}/model.safetensors", f"{run}/predictions.parquet"):
            assert (without / path).read_bytes() == (root / path).read_bytes()
        scores = [contracts.read_scores(of / run / "scores/standard.parquet").values for of in finished]
        assert scores[0] == {key: value for key, value in scores[1].items() if key[1] != "truth"}


def test_tables_have_a_row_of_the_votes_and_differences(finished):
    without, root = finished
    text = (root / "studies/small/table.md").read_text()
    section = text.partition("## Against a truth from elsewhere")[2].partition("\n## ")[0]
    for row in ("| hard |", "| soft |", "| votes |", "| soft − hard |"):
        assert row in section
    assert "Against a truth" not in (without / "studies/small/table.md").read_text()
    assert "truth" not in text.partition("## Groups of items")[2].partition("\n## ")[0]
    with (root / "studies/small/table.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if "truth" in row["metric"]]
    assert {"acc@truth", "macro_acc@truth", "votes_acc@truth", "n_items@truth"} <= {row["metric"] for row in rows}
    compared = {row["metric"] for row in rows if row["kind"] == "difference"}
    assert compared == {"acc@truth", "macro_acc@truth"}
    assert linked(io.read_table(root / "studies/small/cells.parquet")[0], "truth") == 2 * 3 + 2 + 4


@pytest.mark.parametrize("metric", ["acc", "votes_macro_acc"])
def test_the_audit_counts_again(finished, tmp_path, metric):
    _, root = finished
    assert {each.id for each in audit(root, dry_run=False) if each.verdict == "fail"} == set()
    broken = tmp_path / "results"
    finished_run.shutil.copytree(root, broken)
    finished_run.edit(broken / RUN.format(label="soft", seed=0) / "scores/standard.parquet", {
        ("truth", "none", metric): 0.123,
    })  # fmt: skip
    (found,) = [each for each in audit(broken, dry_run=False) if each.id == "A04"]
    assert found.verdict == "fail" and any(f"{metric} of truth: found 0.123" in line for line in found.evidence)


def test_a_truth_that_is_no_class_is_refused(tmp_path):
    table, _ = {"item": [0, 1], "truth": ["cat", "fox"]}, None
    io.write_table(tmp_path / "items.parquet", finished_run.pa.table(table))
    with pytest.raises(UserError, match=r"items\.parquet: found the truth 'fox', expected one of cat, dog"):
        truth.of_items(tmp_path / "items.parquet", np.array([0, 1]), ["cat", "dog"])
    assert truth.of_items(tmp_path / "items.parquet", np.array([1, 0]), ["fox", "cat"]).tolist() == [0, 1]
