"""What the audit recomputes, what it needs, and how it reports. The faults that it finds: test_audit_mutations.py."""

import json
import math
import os
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import finished_run
import numpy as np
import pyarrow as pa
import pytest
import yaml
from finished_run import edit_table
from import_graph import with_numpy_and_pyarrow
from scipy import stats

from softlabels import cli, io, registry, schema
from softlabels.contracts import Reference, write_reference
from softlabels.datasets import contract
from softlabels.errors import UserError
from softlabels.evaluation import references, statistics
from softlabels.labels import label
from softlabels.labels import split as splits
from softlabels.provenance import checks_runs, manifest, recompute, recompute_intervals, recompute_metrics
from softlabels.provenance.audit import CHECKS, audit, command, located, printed, summary
from softlabels.provenance.evidence import Results
from softlabels.provenance.findings import Scope

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"


@pytest.fixture(scope="module")
def voted(tmp_path_factory):
    """A finished small study whose reference is made of votes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "_foreign_modules", lambda hashed: [])
        config = {**finished_run.CONFIG, "datasets": {"shapes": finished_run.VOTED}}
        return finished_run.build(tmp_path_factory.mktemp("voted") / "results", config)


def failed(root, *studies):
    return {verdict.id for verdict in audit(root, *studies, dry_run=False) if verdict.verdict == "fail"}


# -- what it recomputes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("freedom", [1, 2, 4, 9, 100, 1000])
def test_students_t_is_that_of_scipy(level, freedom):
    expected = stats.t.ppf((1 + level) / 2, freedom)
    assert recompute_intervals.student_t(level, freedom) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("values", [[0.1, 0.2, 0.4], [1e-9, 1.0, 3.0, 7.0], [5.0], [math.inf, 1.0]])
def test_mean_and_deviation_are_those_of_the_evaluation_to_the_last_bit(values):
    for ddof in (0, 1):
        assert recompute_intervals.mean_and_std(values, ddof) == statistics.summary(values, ddof)


def test_reference_rows_are_those_of_the_evaluation():
    p = np.random.default_rng(1).dirichlet([0.5] * 4, 60)
    train, test = np.arange(40), np.arange(40, 60)
    metrics = {name: {"kind": name} for name in ("kl_dcic", "tvd")}
    exact = Reference("reference.parquet", np.arange(60), p, None, list("abcd"))
    rows, _ = references.rows(metrics, exact, train, test, seed=0)
    found = recompute.reference_predictions(p, train, test)
    assert found.keys() == rows.keys()
    with np.errstate(divide="ignore"):
        for label, row in rows.items():
            for name in metrics:
                again = recompute_metrics.METRICS[name](p[test], np.log(found[label]), {})
                assert row[name] == pytest.approx(again, rel=1e-9)


# -- the verdicts of sound results -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["small", "voted"])
def test_sound_results_have_no_fault(request, reference):
    assert failed(request.getfixturevalue(reference)) == set()


@pytest.mark.parametrize("column", ["votes", "p"])
def test_a_reference_that_is_not_the_share_of_its_votes_is_named(voted, tmp_path, column):
    root = Path(shutil.copytree(voted, tmp_path / "results"))
    path = root / "data/shapes/reference.parquet"
    edit_table(path, lambda rows: rows[3].update({column: 6 if column == "votes" else np.roll(rows[3]["p"], 1)}))
    assert faults(root, "A19")[0].startswith("data/shapes/reference.parquet item 3: found")


def test_another_results_folder_inside_this_one_is_left_alone(broken):
    shutil.copytree(broken, broken / "tiny")
    assert failed(broken) == set()
    assert not any(path.startswith("tiny/") for path in Results(broken).files)


def test_only_the_study_that_is_named_is_audited(broken):
    shutil.copytree(broken / "studies/small", broken / "studies/other")
    (broken / "studies/other/table.md").unlink()
    assert failed(broken, ["small"]) <= {"A16"}
    assert {"A01", "A06"} <= failed(broken, ["other"])


# -- splits and labels of imported data --------------------------------------------------------------------------------

PLACES = {"split": ("split", "splits/d/s/seed0.parquet"), "label": ("labels", "labels/d/l/all.parquet")}
WORK = {"split": splits.run, "label": label.run}


def imported(root, command, config, annotations=None, **columns):
    """A folder with one split or label file of 60 items, made by its command; the path of the file.

    With a split that leaves a fold out comes the one without.
    """
    files = {name: root / f"data/d/{name}.parquet" for name in ("items", "annotations", "reference")}
    contract.write_items(files["items"], [f"{i}.png" for i in range(60)], columns=columns)
    item, kind, weight = annotations or (np.arange(60), np.arange(60) % 2, None)
    contract.write_annotations(files["annotations"], contract.Votes(item, kind, weight=weight), ["cat", "dog"])
    write_reference(files["reference"], np.eye(2)[np.arange(60) // 6 % 2], None, ["cat", "dog"])
    name, place = PLACES[command]
    inputs = {key: files[key] for key in ("reference", "items" if command == "split" else "annotations")}
    config = {"draw": "all", **config} if command == "label" else config
    WORK[command](schema.restored(config, schema.of_command()), inputs, {name: root / place})
    if "fold" in config:
        number, folds = config["fold"]
        whole = {key: value for key, value in config.items() if key != "fold"}
        WORK[command](schema.restored(whole, schema.of_command()), inputs, {name: root / place})
        place = place.replace("seed0", f"seed0-fold{number}of{folds}")
        WORK[command](schema.restored(config, schema.of_command()), inputs, {name: root / place})
    path = (root / place).with_suffix(".manifest.json")
    manifest.write(path, command, config, inputs, {name: root / place}, manifest.now(), {})
    return root / place


def faults(root, name):
    scope = Scope(Results(root), [])
    scope.paths = sorted(scope.results.manifests)  # of no study
    return [finding.text for check in CHECKS[name][2] for finding in check(scope) if finding.kind == "fail"]


def split_config(**options):
    return {"split": {"groups": True, "duplicates": "together", "allow_missing_class": False, **options}, "seed": 0}


FOLDS = split_config(kind="folds", column="part")
RANDOM = split_config(kind="random", train=0.6, val=0.2, test=0.2, stratify=[])


@pytest.mark.parametrize("seed", range(5))
def test_folds_in_rotation_have_no_fault_and_another_rotation_has(tmp_path, seed):
    path = imported(tmp_path, "split", FOLDS | {"seed": seed}, part=np.arange(60) % 5 + 1)
    assert faults(tmp_path, "A14") == []
    other = {"train": "val", "val": "test", "test": "train"}
    edit_table(path, lambda rows: rows[0].update(split=other[rows[0]["split"]]))
    due = ["train", "train", "train", "test", "val"][seed]  # of fold 1
    fault = f"splits/d/s/seed0.parquet item 0: found fold 1 in {other[due]}, expected fold 1 in {due}"
    assert fault in faults(tmp_path, "A14")


def test_a_fold_that_is_not_that_of_the_item_is_named(tmp_path):
    path = imported(tmp_path, "split", FOLDS, part=np.arange(60) % 5 + 1)
    edit_table(path, lambda rows: rows[3].update(fold=5))
    (fault,) = faults(tmp_path, "A14")
    assert fault.startswith("splits/d/s/seed0.parquet item 3: found fold 5 in train, expected fold 4 in train")


PUBLISHED = split_config(
    kind="column", column="part", parts={"train": ["T", 0], "val": ["V"], "test": [2]}, val_share=None
)


@pytest.mark.parametrize("share", [None, 0.25])
def test_a_published_split_has_no_fault_and_another_has(tmp_path, share):
    given = np.array(["T", "0", "2", "T" if share else "V"], object)[np.arange(60) % 4]
    options = {**PUBLISHED, "split": {**PUBLISHED["split"], "val_share": share, "allow_missing_class": True}}
    path = imported(tmp_path, "split", options, part=given)
    assert faults(tmp_path, "A14") == []
    edit_table(path, lambda rows: rows[2].update(split="val"))
    fault = "splits/d/s/seed0.parquet item 2: found val, expected test, as column 'part' says"
    assert fault in faults(tmp_path, "A14")


def trained_on(p, parts, command="train", **recipe):
    """What a network follows from that learns the labels ``p`` ``[N, 2]`` of items in these parts."""
    rows = {"item": np.arange(len(p)), "weight": np.ones(len(p), np.float32), "hard": p.argmax(axis=1).astype(np.int16),
            "p": io.distribution_column(p, pa.float64())}  # fmt: skip
    scope = SimpleNamespace(
        results=SimpleNamespace(table=lambda path, columns: (pa.table(rows), {})),
        by_item=lambda path, column: dict(enumerate(parts)),
    )
    manifest = {"command": command, "config": {"recipe": {"class_weight": "none", **recipe}}, "inputs": {}}
    return checks_runs._trained_on(scope, SimpleNamespace(manifest=manifest, file=lambda *names: "/".join(names)))


@pytest.mark.parametrize("fold", [None, [1, 3]])
@pytest.mark.parametrize("options", ["rotation", "published", "val_share"])
def test_items_that_are_kept_for_calibration_or_left_out_come_from_their_part(tmp_path, options, fold):
    given, more = np.arange(60) % 5 + 1, {"calibration": 0.5, "allow_missing_class": True}
    chosen = {**FOLDS, "split": {**FOLDS["split"], **more}}
    if options != "rotation":
        given = np.array(["T", "0", "2", "T" if options == "val_share" else "V"], object)[np.arange(60) % 4]
        more["val_share"] = 0.25 if options == "val_share" else None
        chosen = {**PUBLISHED, "split": {**PUBLISHED["split"], **more}}
    path = imported(tmp_path, "split", {**chosen, **({"fold": fold} if fold else {})}, part=given)
    assert faults(tmp_path, "A14") == []
    part = [row["split"] for row in io.read_table(path)[0].to_pylist()]
    edit_table(path, lambda rows: rows[part.index("test")].update(split="held_out"))
    assert any("found" in fault and "held_out" in fault for fault in faults(tmp_path, "A14"))


@pytest.mark.parametrize("fold", [None, [1, 3]])
@pytest.mark.parametrize("alike", ["nothing", "groups", "pixels", "both"])
def test_what_is_held_out_is_what_the_seed_draws(tmp_path, alike, fold):
    columns = {"group": pa.array([None if i % 5 == 0 else f"g{i // 3}" for i in range(60)])}
    columns = columns if alike in ("groups", "both") else {}
    if alike in ("pixels", "both"):
        columns["duplicate"] = pa.array([None if i < 50 else i - 49 for i in range(60)], pa.int32())
    chosen = {**RANDOM, "split": {**RANDOM["split"], "calibration": 0.25, "allow_missing_class": True}}
    path = imported(tmp_path, "split", {**chosen, **({"fold": fold} if fold else {})}, **columns)
    assert faults(tmp_path, "A14") == []
    part = [row["split"] for row in io.read_table(path)[0].to_pylist()]
    other, held = part.index("train" if fold else "val"), part.index("held_out")

    def change(rows):
        rows[other].update(split="held_out"), rows[held].update(split=part[other])

    edit_table(path, change)
    assert any("as the seed draws what is held out" in fault for fault in faults(tmp_path, "A14"))
    edit_table(path, lambda rows: [row.update(split="held_out") for row in rows if row["split"] == "train"] and None)
    assert any("as the seed draws what is held out" in fault for fault in faults(tmp_path, "A14"))


OF_PEOPLE = [
    "aurc", "e_aurc", "auroc", "quadratic_kappa", "wasserstein", "label_set_coverage", "label_set_size",
    {"kind": "auroc", "positive": "bc", "truth": "votes"}, {"kind": "label_set_size", "agreement": "disputed"},
    {"kind": "sensitivity_at_specificity", "positive": "re"}, {"kind": "quadratic_kappa", "truth": "votes"},
]  # fmt: skip


def test_metrics_of_people_are_computed_again_with_the_items_that_calibrate_them(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "_foreign_modules", lambda hashed: [])
    config = {**finished_run.CONFIG, "datasets": {"shapes": finished_run.VOTED}}
    config["splits"] = {"random": {"calibration": 0.5, "allow_missing_class": True}}
    study = {"metrics": ["macro_acc", "kl", "tvd", *OF_PEOPLE], "labels": ["soft"], "seeds": [0]}
    config["studies"] = {"small": {**finished_run.CONFIG["studies"]["small"], **study}}
    root = finished_run.build(tmp_path / "results", config)
    assert failed(root) == set()
    run = root / "runs/shapes/random/quick/soft/seed0/scores"
    edit_table(run / "label_set_size.parquet", lambda rows: rows[1].update(value=rows[1]["value"] + 0.1))
    assert any("label_set_size (test, none)" in fault for fault in faults(root, "A04"))


@pytest.mark.parametrize(("select", "same"), [("last", True), ("best_validation", False)])
def test_labels_of_other_items_make_no_other_training(select, same):
    """Labels that differ on validation and test items alone, as where only these have several votes."""
    one, two = np.eye(2)[[0, 1, 0]], np.array([[1, 0], [0.5, 0.5], [0.5, 0.5]])
    found = [trained_on(p, ["train", "val", "test"], select=select) for p in (one, two)]
    assert (found[0] == found[1]) is same


@pytest.mark.parametrize(("command", "classes", "same"), [
    ("fit", [0, 1, 0, 1], True), ("fit", [0, 0, 0, 1], False), ("train", [0, 1, 0, 1], False),
])  # fmt: skip
def test_weights_of_even_classes_make_no_other_head(command, classes, same):
    p = np.eye(2)[[*classes, 0]]
    parts = ["train"] * 4 + ["val"]
    found = [trained_on(p, parts, command, class_weight=weight, select="last") for weight in ("none", "argmax")]
    assert (found[0] == found[1]) is same


@pytest.mark.parametrize("options", [RANDOM, FOLDS])
def test_equal_pixels_in_two_parts_are_named(tmp_path, options):
    first = pa.array([None] * 30 + list(range(30)), pa.int32())
    path = imported(tmp_path, "split", options, duplicate=first, part=np.arange(60) % 5 + 1)
    assert faults(tmp_path, "A14") == []
    rows = io.read_table(path)[0].to_pylist()
    other = next(row["item"] for row in rows if row["item"] >= 30 and row["split"] == "test")

    def swap(rows):
        trained = next(row for row in rows if row["split"] == "train")
        rows[other]["split"], trained["split"] = "train", "test"

    edit_table(path, swap)
    found = faults(tmp_path, "A14")
    assert any(f"the pixels of item {other - 30} in test and train, expected in one part" in text for text in found)


def test_equal_pixels_may_be_apart_where_the_configuration_says_so(tmp_path):
    first = pa.array([None] * 30 + list(range(30)), pa.int32())
    imported(tmp_path, "split", split_config(**RANDOM["split"] | {"duplicates": "apart"}), duplicate=first)
    assert faults(tmp_path, "A14") == []


def weighted(n=2000):
    """Votes with weights of which many sum to a tie, on 60 items."""
    rng = np.random.default_rng(0)
    weight = rng.choice([0.25, 0.5, 1.0, 0.1], n, p=[0.4, 0.3, 0.2, 0.1]).astype(np.float32)
    return rng.integers(0, 60, n, np.int32), rng.integers(0, 2, n).astype(np.int16), weight


@pytest.mark.parametrize("aggregate", ["average", "majority"])
def test_weighted_labels_are_made_again_from_the_weights(tmp_path, aggregate):
    options = {"label": {"aggregate": {"kind": aggregate}, "form": "soft", "ties": "random", "seed": 0}}
    path = imported(tmp_path, "label", options, weighted(100))
    assert io.read_table(path)[1]["weighted"] is True
    assert faults(tmp_path, "A19") == []
    edit_table(path, lambda rows: None, weighted=False)
    assert any("weighted: found False, expected True" in text for text in faults(tmp_path, "A19"))


def test_sums_of_weights_tie_as_they_do_in_the_order_of_the_rows(tmp_path):
    heavy = np.random.default_rng(0).lognormal(0, 8, 100_000).astype(np.float32)  # so unequal that sums are rounded
    item, kind = np.repeat([0, *range(1, 60)], [200_000, *[1] * 59]), np.repeat([0, 1, 0], [100_000, 100_000, 59])
    options = {"label": {"aggregate": {"kind": "average"}, "form": "soft", "ties": "drop", "seed": 0}}
    path = imported(tmp_path, "label", options, (item, kind, np.concatenate([heavy, heavy, np.ones(59, np.float32)])))
    assert io.read_table(path)[0].column("item").to_pylist() == list(range(1, 60))
    assert faults(tmp_path, "A19") == []


def test_a_changed_weight_gives_another_label(tmp_path):
    options = {"label": {"aggregate": {"kind": "average"}, "form": "soft", "ties": "lowest_index", "seed": 0}}
    imported(tmp_path, "label", options, weighted())
    edit_table(tmp_path / "data/d/annotations.parquet", lambda rows: rows[0].update(weight=50.0))
    assert any("labels/d/l/all.parquet item 0 p" in text for text in faults(tmp_path, "A19"))
    edit_table(tmp_path / "data/d/annotations.parquet", lambda rows: rows[0].update(weight=-1.0))
    (fault,) = faults(tmp_path, "A19")
    assert "a vote whose weight is not positive" in fault


# -- modules of the users' own -----------------------------------------------------------------------------------------

OWN = {
    "loss": ("own_loss", "loss(logits, target, index, state, options)", "-(target * logits.log_softmax(1)).sum(1)", ""),
    "metric": (
        "own_metric",
        "mass(aligned, options)",
        "float((aligned.reference * np.exp(aligned.log_prediction)).sum() / len(aligned.item))",
        "def again(p, log_q, options):\n    return float((p * np.exp(log_q)).sum(axis=1).mean())\n",
    ),
    "table": ("own_table", "table(ledger, options)", 'Table("Own", ["n"], [[str(len(ledger.labels))]], [])', ""),
}
FACTS = {"heading": "mass", "better": "higher", "unit": None, "decimals": 3, "source": None}


@pytest.fixture(scope="module")
def owned(tmp_path_factory):
    """A finished study with a loss, a metric and a table of the user's own, and its configuration file."""
    folder = tmp_path_factory.mktemp("owned")
    for kind, (module, signature, result, more) in OWN.items():
        entry = {"kind": kind, "about": "Own.", **(FACTS if kind == "metric" else {})}
        imports = "import numpy as np\nfrom softlabels.documents import Table\n"
        text = f"{imports}\nENTRY = {entry!r}\n\n\ndef {signature}:\n    return {result}\n\n\n{more}"
        io.write_text(folder / f"mine/{module}.py", text)
    config = deepcopy(finished_run.CONFIG) | {"modules": str(folder / "mine")}
    config["recipes"]["quick"]["loss"] = "own_loss:loss"
    metrics = ["macro_acc", "kl", "kl_dcic", "own_metric:mass"]
    config["studies"]["small"] |= {"metrics": metrics, "tables": ["main", "further", "own_table:table"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(registry.FOLDER, "")
        patch.setattr(sys, "path", list(sys.path))
        patch.setattr(manifest, "_foreign_modules", lambda hashed: [])
        finished_run.build(folder / "results", config)
    io.write_text(folder / "config.yaml", yaml.safe_dump({**config, "results": str(folder / "results")}))
    return folder


AUDITED = """
import json, sys
from pathlib import Path
from softlabels.provenance.audit import audit
configfile = Path(sys.argv[2]) if sys.argv[2:] else None
verdicts = audit(Path(sys.argv[1]), configfile=configfile, dry_run=False)
own = sorted(name for name in sys.modules if name.startswith("own_"))
print(json.dumps([own, {v.id: [v.verdict, *v.evidence] for v in verdicts}]))
"""


def audited(*words, path=WORKFLOW):
    """Which own modules an audit in a process of its own imports, and verdict and evidence by check."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    program = [sys.executable, "-c", AUDITED, *map(str, words)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_own_modules_that_no_configuration_names_are_unknown_and_not_imported(owned, tmp_path):
    path = f"{WORKFLOW}{os.pathsep}{owned / 'mine'}"  # where an import would find them
    imported, found = audited(owned / "results", path=path)
    assert imported == []
    assert [name for name, (verdict, *_) in found.items() if verdict == "fail"] == []
    for name, place in {"A02": "own_table:table", "A04": "own_metric:mass", "A08": "own_loss:loss"}.items():
        assert found[name][0] == "unknown"
        assert any(place in line and "with --configfile" in line for line in found[name]), name
    other = yaml.safe_load((owned / "config.yaml").read_text()) | finished_run.CONFIG
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other))  # knows the folder, and names none of them
    imported, found = audited(owned / "results", tmp_path / "other.yaml", path=path)
    assert imported == []
    assert {found[name][0] for name in ("A02", "A04", "A08")} == {"unknown"}


def test_own_modules_that_the_configuration_names_are_checked(owned, tmp_path):
    imported, found = audited(owned / "results", owned / "config.yaml")
    assert imported == ["own_metric", "own_table"]
    assert [name for name, (verdict, *_) in found.items() if verdict == "fail"] == []
    assert {found[name][0] for name in ("A02", "A04", "A07", "A08")} == {"pass"}
    assert not any("no second implementation" in line for line in found["A04"])

    changed = Path(shutil.copytree(owned / "mine", tmp_path / "mine"))
    for name in ("own_loss.py", "own_metric.py"):
        (changed / name).write_text((changed / name).read_text().replace("return ", "return 2 * "))
    config = (owned / "config.yaml").read_text().replace(str(owned / "mine"), str(changed))
    (tmp_path / "config.yaml").write_text(config)
    _, found = audited(owned / "results", tmp_path / "config.yaml")
    assert {name for name, (verdict, *_) in found.items() if verdict == "fail"} == {"A04", "A07", "A08"}
    assert any("code of own_loss:loss" in line for line in found["A08"])


def test_a_configuration_that_is_wrong_is_told_before_any_check(small, tmp_path):
    (tmp_path / "wrong.yaml").write_text("studies: {small: {datasets: [nothing]}}")
    with pytest.raises(UserError, match=r"studies\.small: the key 'recipes' is missing"):
        audit(small, configfile=tmp_path / "wrong.yaml")


# -- what it needs -----------------------------------------------------------------------------------------------------


def test_numpy_and_pyarrow_are_all_that_an_audit_needs(small, tmp_path):
    root = shutil.copytree(small, tmp_path / "elsewhere")
    verdicts = json.loads(with_numpy_and_pyarrow(f"""
from pathlib import Path
from softlabels.provenance.audit import audit
print(json.dumps({{verdict.id: verdict.verdict for verdict in audit(Path({str(root)!r}))}}))
""", tmp_path))  # fmt: skip
    assert [name for name, verdict in verdicts.items() if verdict == "fail"] == []
    assert {"A07", "A16"} <= {name for name, verdict in verdicts.items() if verdict == "unknown"}
    assert {"A01", "A02", "A03", "A04", "A05", "A06", "A08", "A12", "A13", "A14", "A19"} <= {
        name for name, verdict in verdicts.items() if verdict == "pass"
    }


# -- how it reports ----------------------------------------------------------------------------------------------------


def test_the_summary_counts_the_verdicts(small):
    verdicts = audit(small, dry_run=False)
    lines = printed(verdicts).splitlines()
    assert [line.split()[0] for line in lines if line.startswith("A")] == list(CHECKS)
    counts = [sum(v.verdict == kind for v in verdicts) for kind in ("pass", "fail", "unknown")]
    assert lines[-1] == summary(verdicts) == "{} pass, {} fail, {} unknown".format(*counts)


def test_the_command_writes_a_report_and_its_status_tells_the_outcome(broken, capsys):
    assert command([broken], strict=False, configfile=None, dry_run=False) == 0
    assert command([broken], strict=True, configfile=None, dry_run=False) == 1  # Snakemake was not asked
    with (broken / "studies/small/table.md").open("a") as file:
        file.write("one more line\n")
    assert command([broken / "studies/small/table.md"], strict=False, configfile=None, dry_run=False) == 1
    said = capsys.readouterr().out
    assert "studies/small/table.md line" in said
    assert "→ delete studies/<study>/cells.parquet and table.*, and run again" in said
    report = json.loads((broken / "audit/report.json").read_text())
    assert report["studies"] == ["small"]
    assert {check["id"] for check in report["checks"] if check["verdict"] == "fail"} == {"A02", "A05"}
    assert set(report["checks"][0]) == {"id", "title", "verdict", "evidence", "remedy"}
    assert "| A02 | fail |" in (broken / "audit/report.md").read_text()


def test_the_command_line_ends_with_the_status_of_the_audit(broken, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["softlabels", "audit", str(broken), "--no-dry-run", "--strict"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    assert " unknown" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["", "studies/small", "studies/small/table.csv", "studies/small/cells.parquet"])
def test_a_path_means_a_results_folder_or_a_study(small, place):
    assert located(small / place) == (small.resolve(), "small" if place else None)


@pytest.mark.parametrize("place", ["nowhere", "data", "studies/small/nothing.csv", "data/shapes/items.parquet"])
def test_any_other_path_is_refused(small, place):
    with pytest.raises(UserError, match="expected a results folder, a study's folder or a table in it"):
        located(small / place)


def test_a_study_that_is_not_there_is_named_with_those_that_are(small):
    with pytest.raises(UserError, match="found no study another; there are: small"):
        audit(small, ["another"])


def test_a_folder_without_a_study_is_no_results_folder(tmp_path):
    (tmp_path / "studies").mkdir()
    with pytest.raises(UserError, match="Run the workflow first"):
        audit(tmp_path)


def test_the_results_of_a_project_called_studies_are_no_study(tmp_path):
    results = tmp_path / "studies/results"
    (results / "studies/small").mkdir(parents=True)
    assert located(results) == (results, None)
    assert located(results / "studies/small") == (results, "small")
