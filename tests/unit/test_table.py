import csv
import io as text_io
import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import study_files as files
from scipy import stats

from softlabels import documents, io
from softlabels.errors import UserError
from softlabels.studies import ledger, ledger_view, paper, study

BOTH = {
    "synthetic": {"paper": "synthetic", "description": {"source": {"kind": "synthetic", "pixels": 64}}},
    "mice_bone": {"paper": "mice_bone", "description": {"source": {"kind": "table"}}},
}


def finished(root: Path, change=None, **changes) -> dict[str, Path]:
    """Run a study on made-up files; ``change`` may edit them before."""
    config = files.study(**changes)
    inputs, outputs = files.write_study(root, config)
    if change:
        change(root)
    study.run(config, inputs, outputs)
    return outputs


def cells_of(outputs: dict[str, Path]) -> list[dict]:
    return pq.read_table(outputs["cells"]).to_pylist()


def one(rows: list[dict], **key) -> dict:
    found = [row for row in rows if all(row[name] == value for name, value in key.items())]
    assert len(found) == 1, (key, len(found))
    return found[0]


def table_rows(text: str, heading: str) -> list[list[str]]:
    """The body of the Markdown table below a heading."""
    lines = text.split(f"## {heading}\n\n")[1].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in [lines[0], *lines[2:]]]


def test_the_ledger_holds_mean_and_sample_std_over_seeds(tmp_path):
    rows = cells_of(finished(tmp_path))
    values = files.SCORES["hard"]["kl"]
    key = {"label": "hard", "metric": "kl", "kind": "measured"}
    mean, std = one(rows, **key, statistic="mean"), one(rows, **key, statistic="std")
    assert mean["value"] == pytest.approx(np.mean(values), rel=1e-15)
    assert std["value"] == pytest.approx(np.std(values, ddof=1), rel=1e-12)
    assert (mean["printed"], std["printed"], std["decimals"]) == ("1.1500", "0.0500", 4)
    assert (mean["n"], std["ddof"], std["aggregation"]) == (3, 1, "sample std (ddof 1) over seeds")
    assert mean["metric_code"] == "ab" * 32
    assert one(rows, label="hard", metric="tvd", kind="measured", statistic="mean")["metric_code"] == ""


def test_a_cell_names_its_runs_and_the_hashes_of_their_files(tmp_path):
    rows = cells_of(finished(tmp_path))
    mean = one(rows, label="soft", metric="kl", kind="measured", statistic="mean")
    assert mean["runs"] == [f"synthetic/random/compact/soft/seed{seed}" for seed in range(3)]
    path = mean["files"][1]["path"]
    assert path == "runs/synthetic/random/compact/soft/seed1/scores/standard.parquet"
    assert mean["files"][1]["sha256"] == io.sha256(tmp_path / path)
    floor = one(rows, label="uniform", metric="kl", statistic="mean")
    assert [file["path"] for file in floor["files"]] == [
        f"references/synthetic/random/seed{s}/standard.parquet" for s in range(3)
    ]
    assert one(rows, label="soft", metric="kl", kind="difference", statistic="low")["runs"] == mean["runs"] + [
        f"synthetic/random/compact/hard/seed{seed}" for seed in range(3)
    ]


def test_a_difference_is_paired_by_seed_with_a_t_interval(tmp_path):
    rows = cells_of(finished(tmp_path))
    difference = np.subtract(files.SCORES["soft"]["macro_acc"], files.SCORES["hard"]["macro_acc"])
    low, high = stats.t.interval(0.95, 2, loc=difference.mean(), scale=stats.sem(difference))
    key = {"label": "soft", "metric": "macro_acc", "kind": "difference", "versus": "hard"}
    for statistic, value in (("mean", difference.mean()), ("low", low), ("high", high)):
        row = one(rows, **key, statistic=statistic)
        assert row["value"] == pytest.approx(value, rel=1e-10)
        assert (row["n"], row["interval"], row["level"]) == (3, "paired t", 0.95)
        assert row["printed"].startswith(("+", "-"))
    assert one(rows, **key, statistic="std")["value"] == pytest.approx(difference.std(ddof=1), rel=1e-10)


def test_one_seed_has_no_std_and_no_interval_and_says_so(tmp_path):
    outputs = finished(tmp_path, seeds=[0])
    assert {row["statistic"] for row in cells_of(outputs) if row["kind"] != "paper"} == {"mean"}
    text = outputs["table_md"].read_text()
    assert "One seed: there is no standard deviation and no interval." in text
    assert table_rows(text, "Comparison of labels: hard, soft")[1][1] == "0.8000 ± –"
    assert table_rows(text, "Paired differences")[1][3:] == ["+0.1000 ± –", "–", "1"]
    rows = list(csv.DictReader(text_io.StringIO(outputs["table_csv"].read_text())))
    own = [row for row in rows if row["kind"] != "paper"]
    assert {row[name] for row in own for name in ("std", "low", "high", "ddof", "interval", "level")} == {""}


def test_table_csv_is_tidy_and_holds_every_number_of_the_ledger_once(tmp_path):
    outputs = finished(tmp_path, datasets=BOTH)
    text = outputs["table_csv"].read_text()
    assert text.splitlines()[0] == (
        "dataset,split,recipe,label,metric,kind,versus,mean,std,n,ddof,low,high,interval,level,oracle"
    )
    numbers = {
        (*(row[name] for name in ledger_view.KEY), statistic): float(row[statistic])
        for row in csv.DictReader(text_io.StringIO(text))
        for statistic in ("mean", "std", "low", "high")
        if row[statistic]
    }
    cells = {(*(row[n] or "" for n in ledger_view.KEY), row["statistic"]): row["value"] for row in cells_of(outputs)}
    assert numbers == cells
    assert len(cells) == len(cells_of(outputs))


def test_tables_are_rendered_from_the_ledger_file_alone(tmp_path):
    outputs = finished(tmp_path, datasets=BOTH)
    cells = pq.read_table(outputs["cells"])
    assert ledger_view.render_csv(cells) == outputs["table_csv"].read_text()
    assert documents.markdown(ledger_view.document(cells)) == outputs["table_md"].read_text()
    assert documents.latex(ledger_view.document(cells)) == outputs["table_tex"].read_text()
    changed = cells.set_column(
        cells.column_names.index("printed"), "printed", pa.array(["7.7777"] * len(cells), pa.string())
    )
    rows = table_rows(documents.markdown(ledger_view.document(changed)), "Comparison of labels: hard, soft")
    assert {cell.strip("*") for row in rows[1:] for cell in row[1:]} == {"7.7777 ± 7.7777"}


def test_the_main_table_has_the_papers_layout_with_the_best_label_in_bold(tmp_path):
    text = finished(tmp_path, datasets=BOTH)["table_md"].read_text()
    header, synthetic, mice_bone = table_rows(text, "Comparison of labels: hard, soft")
    assert header == ["data set"] + [f"{label}: {m}" for label in ("hard", "soft") for m in ("ACC ↑", "KL ↓", "KL_ε ↓")]
    assert synthetic[0] == "Synthetic" and mice_bone[0] == "Mice Bone"
    assert synthetic[1:4] == ["0.8300 ± 0.0361", "1.1500 ± 0.0500", "0.4500 ± 0.0500"]
    assert synthetic[4:] == ["**0.9133 ± 0.0153**", "**0.0500 ± 0.0100**", "**0.0400 ± 0.0100**"]
    assert "Bold marks the best mean" in text and "nothing about significance" in text and "ε = 1e-5" in text


def test_more_labels_stand_below_each_other_and_each_is_compared_with_the_baseline(tmp_path):
    labels = {"hard": files.HARD, **{f"soft_{k}": files.SOFT for k in range(3)}}
    outputs = finished(
        tmp_path, labels=labels, splits=["random", "group"], recipes={"a": files.RECIPE, "b": files.RECIPE}
    )
    rows = table_rows(outputs["table_md"].read_text(), "Comparison of labels: hard, soft_0, soft_1, soft_2")
    assert rows[0] == ["data set", "split", "recipe", "label", "ACC ↑", "KL ↓", "KL_ε ↓"]
    assert len(rows) == 1 + 2 * 2 * 4
    versus = {(row["label"], row["versus"]) for row in cells_of(outputs) if row["kind"] == "difference"}
    assert versus == {(f"soft_{k}", "hard") for k in range(3)}


def test_the_papers_kl_is_compared_with_kl_dcic_only(tmp_path):
    outputs = finished(tmp_path)
    rows = cells_of(outputs)
    assert {row["metric"] for row in rows if row["kind"] == "paper"} == {"macro_acc", "kl_dcic"}
    ours = one(rows, label="soft", metric="kl_dcic", kind="measured", statistic="mean")
    assert ours["paper_difference"] == pytest.approx(0.04 - 0.0394, abs=1e-12)
    assert one(rows, label="soft", metric="kl", kind="measured", statistic="mean")["paper_difference"] is None
    table = table_rows(outputs["table_md"].read_text(), "The paper's own numbers")
    assert ["Synthetic", "soft", "KL ↓ (here KL_ε)", "0.0394 ± 0.0009", "0.0400 ± 0.0100", "+0.0006"] in table


def test_the_caption_lists_what_differs_from_the_papers_set_up(tmp_path):
    text = finished(tmp_path)["table_md"].read_text()
    line = next(line for line in text.splitlines() if "differs from the paper" in line)
    for fact in (
        "items 30 (paper: 15,000)",
        "pixels 64 (paper: 224)",
        "network compact (paper: DenseNet121)",
        "weights none (paper: ImageNet)",
        "epochs 30 (paper: 60)",
    ):
        assert fact in line
    assert "batch" not in line and "rate" not in line and "schedule" not in line
    assert "where the paper says nothing: select last; momentum 0.9" in text


def test_a_data_set_that_the_paper_does_not_have_is_not_compared_with_it(tmp_path):
    datasets = {"mice_bone": {"paper": None, "description": {"source": {}}}}
    outputs = finished(tmp_path, datasets=datasets)
    assert "paper's own numbers" not in outputs["table_md"].read_text()
    assert not [row for row in cells_of(outputs) if row["kind"] == "paper" or row["paper_difference"] is not None]


def test_the_papers_recipe_differs_in_nothing():
    assert paper.differences("synthetic", {**paper.SETUP["synthetic"], "schedule": {"kind": "cosine"}}) == []


def test_reference_rows_mark_oracles_and_infinity(tmp_path):
    outputs = finished(tmp_path, datasets=BOTH)
    rows = table_rows(outputs["table_md"].read_text(), "Reference rows")
    by_name = {(row[0], row[1]): row[2:] for row in rows}
    assert by_name["Synthetic", "one_hot †"][1] == "∞ ± –"
    assert ("Synthetic", "uniform") in by_name and ("Synthetic", "sampling_floor †") not in by_name
    assert "first_order_kl 0.0090" in by_name["Mice Bone", "sampling_floor †"][3]
    assert "kl_dcic_direction_2 0.1420" in by_name["Mice Bone", "split_half †"][3]
    assert "inf" in outputs["table_csv"].read_text() and r"$\infty$" in outputs["table_tex"].read_text()
    infinite = one(cells_of(outputs), dataset="synthetic", label="one_hot", metric="kl", statistic="mean")
    assert math.isinf(infinite["value"]) and infinite["printed"] == "∞" and infinite["oracle"]


def test_temperature_scaling_is_a_reference_row_of_each_label(tmp_path):
    rows = [row for row in cells_of(finished(tmp_path)) if "temperature" in row["label"]]
    assert {row["label"] for row in rows} == {"hard + temperature", "soft + temperature"}
    rows = [row for row in rows if row["label"] == "hard + temperature"]
    assert {(row["kind"], row["oracle"]) for row in rows} == {("reference", False)}
    assert one(rows, metric="kl", statistic="mean")["value"] == 0.5
    assert one(rows, metric="temperature", statistic="std")["value"] == pytest.approx(0.1)


def test_infinite_divergences_of_both_labels_have_no_difference(tmp_path):
    def infinite(root):
        for label in ("hard", "soft"):
            path = root / f"runs/synthetic/random/compact/{label}/seed0/scores/standard.parquet"
            files.edit(path, {("all", "none", "kl"): math.inf})

    outputs = finished(tmp_path, infinite)
    rows = cells_of(outputs)
    assert not [row for row in rows if row["kind"] == "difference" and row["metric"] == "kl"]
    assert [row["statistic"] for row in rows if row["kind"] == "measured" and row["metric"] == "kl"] == ["mean"] * 2
    assert "∞ ± –" in outputs["table_md"].read_text()


def test_absent_classes_and_ties_are_stated(tmp_path):
    def absent(root):
        for path in root.glob("runs/*/*/*/*/*/scores/standard.parquet"):
            files.edit(
                path,
                {
                    ("all", "none", "n_classes_present"): 5,
                    ("re", "none", "recall"): math.nan,
                    ("all", "none", "ties"): 2,
                },
            )

    text = finished(tmp_path, absent)["table_md"].read_text()
    assert "Synthetic: 10 test items; 5 of 6 classes present; 2 items whose reference has a tie" in text
    assert "ACC is the mean over the classes that are present" in text
    assert "plain accuracy that accepts any tied class: hard 0.8300 ± 0.0361" in text
    assert ["Synthetic", "re", "–", "–"] in table_rows(text, "Recall of each class")


def test_structure_numbers_have_a_table_of_their_own(tmp_path):
    header, hard, _ = table_rows(finished(tmp_path)["table_md"].read_text(), "Structure of the feature space")
    assert header[2:] == ["silhouette ↑", "label smoothness ↓", "distance Spearman ↑", "position R² ↑"]
    assert hard[:2] == ["Synthetic", "hard"] and hard[3:] == ["0.100 ± 0.000", "0.600 ± 0.000", "0.900 ± 0.000"]


def test_latex_is_balanced_and_escaped(tmp_path):
    text = finished(tmp_path, datasets=BOTH, study="a_b")["table_tex"].read_text()
    bare = re.sub(r"\\[{}_%&#$\\]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") > 0
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert not re.search(r"(?<![\\$L])_", body)
    assert body.isascii()
    widths = re.findall(r"\\begin\{tabular\}\{(l+)\}\n\\toprule\n(.*) \\\\\n", text)
    assert all(len(columns) == header.count(" & ") + 1 for columns, header in widths)


def test_twenty_labels_of_twelve_classes_run_off_no_page(tmp_path, monkeypatch):
    monkeypatch.setitem(files.CLASSES, "synthetic", [f"class {k}" for k in range(12)])
    labels = {"hard": files.HARD, **{f"soft_{k}": files.SOFT for k in range(19)}}
    outputs = finished(
        tmp_path,
        labels=labels,
        splits=["random", "group"],
        recipes={"a": files.RECIPE, "b": files.RECIPE},
        seeds=[0, 1],
    )
    lines = [line for line in outputs["table_md"].read_text().splitlines() if line.startswith("|")]
    assert 6 <= max(line.count(" | ") + 1 for line in lines) <= documents.COLUMNS
    floats = outputs["table_tex"].read_text().split(r"\begin{table}")[1:]
    assert max(part.count(r" \\") for part in floats) == documents.ROWS + 1
    shown = {(label, line) for label in labels for line in lines if f"{label}: recall" in line}
    assert {label for label, _ in shown} == set(labels) and len({line for _, line in shown}) == 5


def test_a_study_chooses_its_tables_and_the_metrics_of_the_main_one(tmp_path):
    outputs = finished(tmp_path, tables=[{"kind": "further"}, {"kind": "main", "metrics": ["tvd", "acc"]}])
    text = outputs["table_md"].read_text()
    assert re.findall("^## (.*)", text, re.MULTILINE) == ["Further metrics", "Comparison of labels: hard, soft"]
    header, row = table_rows(text, "Comparison of labels: hard, soft")
    assert header[1:] == ["hard: TVD ↓", "hard: plain ACC ↑", "soft: TVD ↓", "soft: plain ACC ↑"]
    assert [cell.startswith("**") for cell in row[1:]] == [False, False, True, True]
    assert table_rows(text, "Further metrics")[0][2:] == ["ACC ↑", "KL ↓", "KL_ε ↓", "CE ↓"]
    with pytest.raises(UserError, match="table main: found the metric brier, expected some of the study's: macro_acc"):
        finished(tmp_path / "two", tables=[{"kind": "main", "metrics": ["brier"]}])


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("runs/synthetic/random/compact/soft/seed1/scores/standard.parquet", "scores of standard.*soft/seed1"),
        ("runs/synthetic/random/compact/hard/seed2/predictions.parquet", "predictions.parquet.*hard/seed2"),
        ("references/synthetic/random/seed0/standard.parquet", "references: scores of standard.*random/seed0"),
        ("data/synthetic/items.parquet", "items.parquet.*synthetic"),
    ],
)
def test_a_missing_file_is_named_and_nothing_is_written(tmp_path, missing, message):
    config = files.study()
    inputs, outputs = files.write_study(tmp_path, config)
    inputs = {name: [path for path in paths if path != tmp_path / missing] for name, paths in inputs.items()}
    with pytest.raises(UserError, match=message):
        study.run(config, inputs, outputs)
    assert not outputs["config"].parent.exists()


def test_a_file_outside_of_the_results_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="below a folder 'runs'"):
        ledger.named([tmp_path / "predictions.parquet"], "runs")


def test_runs_scored_with_another_epsilon_or_other_classes_are_refused(tmp_path):
    path = "runs/synthetic/random/compact/soft/seed1/scores/standard.parquet"
    with pytest.raises(UserError, match=rf"{path}: found eps 0.001"):
        finished(tmp_path, lambda root: files.edit(root / path, eps=1e-3))
    with pytest.raises(UserError, match=rf"{path}: found the classes a, b"):
        finished(tmp_path, lambda root: files.edit(root / path, classes=["a", "b"]))


def test_the_same_runs_give_the_same_bytes_in_any_folder_and_order(tmp_path):
    config = files.study()
    texts = []
    for folder in ("one", "two"):
        inputs, outputs = files.write_study(tmp_path / folder, config)
        if folder == "two":
            inputs = {name: paths[::-1] for name, paths in inputs.items()}
        study.run(config, inputs, outputs)
        texts.append([path.read_bytes() for path in outputs.values()])
    assert texts[0] == texts[1]


def test_the_baseline_is_the_first_label(tmp_path):
    outputs = finished(tmp_path, labels={"average": files.SOFT, "hard": files.HARD})
    assert "## Comparison of labels: hard, average\n" in outputs["table_md"].read_text()


def test_the_papers_numbers_stand_beside_what_is_defined_as_theirs_whatever_its_name(tmp_path):
    labels = {"votes": files.HARD, "hard": files.SOFT, "soft": {"aggregate": {"kind": "dawid_skene"}, "form": "soft"}}
    rows = cells_of(finished(tmp_path, labels=labels, baseline="votes"))
    theirs = {row["label"]: row["value"] for row in rows if row["kind"] == "paper" and row["metric"] == "macro_acc"
              and row["statistic"] == "mean"}  # fmt: skip
    assert theirs == {"votes": 0.8247, "hard": 0.9096}
    differences = {row["label"] for row in rows if row["paper_difference"] is not None}
    assert differences == {"votes", "hard"}
    assert paper.role({"aggregate": {"kind": "majority"}, "form": "hard", "ties": "random"}) == "hard"
    assert paper.role({"aggregate": {"kind": "average"}, "form": "hard"}) is None


def test_a_further_metric_is_read_from_files_of_its_own(tmp_path, monkeypatch):
    scored = {label: {**scores, "top_k__k_3": [0.9, 0.8, 1.0]} for label, scores in files.SCORES.items()}
    monkeypatch.setattr(files, "SCORES", scored)
    before, after = (
        cells_of(finished(tmp_path / name, metrics=metrics))
        for name, metrics in (("before", files.METRICS), ("after", [*files.METRICS, "top_k__k_3"]))
    )
    assert [row for row in after if row["metric"] != "top_k__k_3"] == before
    mean = one(after, label="soft", metric="top_k__k_3", kind="measured", statistic="mean")
    assert mean["value"] == pytest.approx(0.9)
    run = "synthetic/random/compact/soft/seed"
    assert [file["path"] for file in mean["files"]] == [f"runs/{run}{s}/scores/top_k__k_3.parquet" for s in range(3)]
    prior = one(after, label="prior", metric="top_k__k_3", statistic="mean")
    assert prior["files"][0]["path"] == "references/synthetic/random/seed0/top_k__k_3.parquet"
