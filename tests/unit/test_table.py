import csv
import math
import re
from dataclasses import replace
from pathlib import Path

import finished_run as files
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from linked_numbers import linked, pieces
from scipy import stats

from softlabels import contracts, documents, io
from softlabels.errors import UserError
from softlabels.evaluation import intervals
from softlabels.studies import comparisons, ledger, ledger_view, paper, study

SCORES = "runs/synthetic/random/compact/{}/seed{}/scores/{}.parquet"
LABELS = {"hard": files.HARD, **{f"soft_{k}": files.SOFT for k in range(19)}}


def finished(both: Path, root: Path, change=None, config=None, **changes) -> dict[str, Path]:
    """Run a study; ``change`` may edit its files and ``config`` its configuration before."""
    given, inputs, outputs = files.study(both, root, **changes)
    if change:
        change(root)
    study.run({**given, **(config or {})}, inputs, outputs)
    return outputs


@pytest.fixture(scope="module")
def outputs(both, tmp_path_factory):
    """A study of both data sets; no test may change it."""
    return finished(both, tmp_path_factory.mktemp("study"), datasets=("synthetic", "mice_bone"))


@pytest.fixture(scope="module")
def rows(outputs):
    """The ledger of its synthetic data set."""
    return [row for row in cells_of(outputs) if row["dataset"] == "synthetic"]


def cells_of(outputs: dict[str, Path]) -> list[dict]:
    return pq.read_table(outputs["cells"]).to_pylist()


def one(rows: list[dict], **key) -> dict:
    found = [row for row in rows if all(row[name] == value for name, value in key.items())]
    assert len(found) == 1, (key, len(found))
    return found[0]


def table_rows(outputs: dict[str, Path], heading: str, text: str | None = None) -> list[list[str]]:
    """The body of the Markdown table below a heading."""
    lines = (text or outputs["table_md"].read_text()).split(f"## {heading}\n\n")[1].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in [lines[0], *lines[2:]]]


def test_the_ledger_holds_mean_and_sample_std_over_seeds_and_the_files_they_come_from(both, rows):
    key = {"label": "hard", "metric": "kl", "kind": "measured"}
    mean, std = one(rows, **key, statistic="mean"), one(rows, **key, statistic="std")
    assert mean["value"] == pytest.approx(np.mean(files.SCORES["hard"]["kl"]), rel=1e-15)
    assert std["value"] == pytest.approx(np.std(files.SCORES["hard"]["kl"], ddof=1), rel=1e-12)
    assert (mean["printed"], std["printed"], std["decimals"]) == ("1.1500", "0.0500", 4)
    assert (mean["n"], std["ddof"], std["aggregation"]) == (3, 1, "sample std (ddof 1) over seeds")
    assert len(mean["metric_code"]) == 64
    assert mean["runs"] == [f"synthetic/random/compact/hard/seed{seed}" for seed in range(3)]
    files_of = [SCORES.format("hard", seed, name) for name in ("standard", "standard.terms") for seed in range(3)]
    assert [file["path"] for file in mean["files"]] == files_of
    floor = one(rows, label="uniform", metric="kl", statistic="mean")
    path = "references/synthetic/random/seed1/standard.parquet"
    assert floor["files"][1] == {"path": path, "sha256": io.sha256(both / path)}


def _terms(root, label, metric):
    """Terms and clusters of a metric's items, a seed each."""
    found = [contracts.read_terms(root / SCORES.format(label, seed, "standard.terms")) for seed in range(3)]
    return [each.values[metric] for each in found], [each.cluster for each in found]


def test_a_difference_is_paired_by_seed_with_a_two_way_interval(outputs, rows):
    root = outputs["cells"].parents[2]
    difference = np.subtract(files.SCORES["soft"]["macro_acc"], files.SCORES["hard"]["macro_acc"])
    (soft, clusters), (hard, _) = (_terms(root, label, "macro_acc") for label in ("soft", "hard"))
    data = intervals.sample([a - b for a, b in zip(soft, hard, strict=True)], clusters)
    found, parts = intervals.two_way_interval(data, 0.95), intervals.two_way(data)
    expected = {"mean": difference.mean(), "low": found.low[0], "high": found.high[0]}
    expected |= {"p": intervals.p_value(data)[0], "half": (found.high[0] - found.low[0]) / 2}
    expected |= dict(
        zip(("half_5", "half_10", "half_20"), intervals.projection(parts, 0.95, (5, 10, 20))[:, 0], strict=True)
    )
    key = {"label": "soft", "metric": "macro_acc", "kind": "difference", "versus": "hard"}
    for statistic, value in expected.items():
        row = one(rows, **key, statistic=statistic)
        assert row["value"] == pytest.approx(value, rel=1e-9)
        assert (row["n"], row["interval"], row["level"]) == (3, "two-way", 0.95)
        if statistic not in ("mean", "low", "high"):
            continue
        assert row["printed"].startswith(("+", "-"))
        assert row["runs"] == [
            f"synthetic/random/compact/{x}/seed{seed}" for x in ("soft", "hard") for seed in range(3)
        ]
    assert one(rows, **key, statistic="std")["value"] == pytest.approx(difference.std(ddof=1), rel=1e-10)


def test_the_other_intervals_are_noted_under_their_names(rows):
    difference = np.subtract(files.SCORES["soft"]["macro_acc"], files.SCORES["hard"]["macro_acc"])
    key = {"label": "soft", "metric": "macro_acc", "versus": "hard"}
    for method, factor in (("paired t", 1), ("corrected resampled t", math.sqrt(1 + 3 * 24 / 72))):
        ends = stats.t.interval(0.95, 2, loc=difference.mean(), scale=factor * stats.sem(difference))
        found = [one(rows, **key, kind=method, statistic=end)["value"] for end in ("low", "high")]
        assert found == pytest.approx(ends)
        assert one(rows, **key, kind=method, statistic="low")["interval"] == method
    for method in ("item bootstrap", "joint bootstrap"):
        low, mean, high = (one(rows, **key, kind=method, statistic=name)["value"] for name in ("low", "mean", "high"))
        assert low < mean < high and mean == pytest.approx(difference.mean())


def test_mcnemars_test_concerns_one_pair_of_networks(both, rows):
    (soft, _), (hard, _) = (_terms(both, label, "acc") for label in ("soft", "hard"))
    ours, theirs = (int((a[1] > b[1]).sum()) for a, b in ((soft, hard), (hard, soft)))
    n, k = ours + theirs, min(ours, theirs)
    mid = 2 * stats.binom.cdf(k, n, 0.5) - stats.binom.pmf(k, n, 0.5)
    row = one(rows, metric="acc", kind="McNemar 1", statistic="mean")
    assert row["n"] == 1 and row["runs"] == [f"synthetic/random/compact/{x}/seed1" for x in ("soft", "hard")]
    assert row["value"] == pytest.approx(mid)


def test_what_of_a_gap_is_confidence_stands_beside_what_scaling_leaves(rows):
    for scaling in ("temperature", "temperature on the reference", "matrix on the reference"):
        key = {"label": f"soft + {scaling}", "metric": "kl"}
        gap = one(rows, **key, kind="difference", statistic="mean")
        sides = [one(rows, label=f"{x} + {scaling}", metric="kl", kind="reference", statistic="mean")["value"]
                 for x in ("soft", "hard")]  # fmt: skip
        assert gap["value"] == pytest.approx(sides[0] - sides[1]) and gap["versus"] == f"hard + {scaling}"
        raw = one(rows, label="soft", metric="kl", kind="difference", statistic="mean")["value"]
        share = one(rows, **key, kind="confidence", statistic="mean")["value"]
        assert share == pytest.approx(1 - gap["value"] / raw)


def test_the_best_is_bold_where_its_differences_to_all_others_are_supported(both, tmp_path):
    labels = {"hard": files.HARD, "soft": files.SOFT, "other": files.SOFT}  # other scores as soft does
    header, *table = table_rows(
        finished(both, tmp_path / "a", labels=labels), "Comparison of labels: hard, soft, other"
    )
    kl = [row[header.index("KL ↓")] for row in table]
    assert not any(cell.startswith("**") for cell in kl)  # soft and other do not differ
    two = table_rows(finished(both, tmp_path / "b"), "Comparison of labels: hard, soft")
    assert [row[header.index("KL ↓")].startswith("**") for row in two[1:]] == [False, True]
    tables = [{"kind": "main", "bold": "paper"}]
    papers = finished(both, tmp_path / "c", labels=labels, tables=tables)
    _, *table = table_rows(papers, "Comparison of labels: hard, soft, other")
    assert [row[header.index("KL ↓")].startswith("**") for row in table] == [False, True, True]
    assert "as the paper does; it says nothing about significance" in papers["table_md"].read_text()


def test_one_seed_has_no_std_and_no_interval_and_says_so(both, tmp_path):
    outputs = finished(both, tmp_path, seeds=[0])
    assert {row["statistic"] for row in cells_of(outputs) if row["kind"] != "paper"} == {"mean"}
    assert not any("**" in line for line in outputs["table_md"].read_text().splitlines() if line.startswith("|"))
    assert "One seed: there is no standard deviation and no interval." in outputs["table_md"].read_text()
    assert table_rows(outputs, "Comparison of labels: hard, soft")[1][1:3] == ["hard", "0.8000 ± –"]
    assert table_rows(outputs, "Paired differences")[1][3:] == ["+0.1000 ± –", "–", "–", "–"]
    rows = list(csv.DictReader(outputs["table_csv"].read_text().splitlines()))
    own = [row for row in rows if row["kind"] != "paper"]
    assert {row[name] for row in own for name in ("std", "low", "high", "ddof", "interval", "level")} == {""}


def test_tables_are_rendered_from_the_ledger_file_alone(outputs):
    cells = pq.read_table(outputs["cells"])
    for output, text_of in ledger_view.TEXTS.items():
        assert text_of(cells) == outputs[output].read_text()
    position = cells.column_names.index("printed")
    changed = cells.set_column(position, "printed", pa.array(["7.7777"] * len(cells), pa.string()))
    rows = table_rows(outputs, "Comparison of labels: hard, soft", ledger_view.TEXTS["table_md"](changed))
    assert {cell.strip("*") for row in rows[1:] for cell in row[2:]} == {"7.7777 ± 7.7777"}


def test_every_number_of_a_table_knows_its_row_of_the_ledger(outputs):
    kinds = ("main", "differences", "confidence", "further", "paper", "recall", "references", "strata", "structure")
    cells = pq.read_table(outputs["cells"])
    assert linked(cells, *kinds) > 500
    (main, *_) = ledger_view.document(cells).parts
    bold = [cell for row in main.rows for cell in row if isinstance(cell, documents.Bold)]
    assert bold and all(isinstance(cell, documents.Number) for cell in bold)
    assert {cell.key[0] for note in main.notes for cell in pieces(note) if isinstance(cell, documents.Number)} == {
        "synthetic", "mice_bone",
    }  # fmt: skip
    panels = main._replace(keys=1)._replace(header=main.header * 3, rows=[[*row] * 3 for row in main.rows]).panels()
    assert {cell.key for panel in panels for row in panel.rows for cell in row if isinstance(cell, documents.Bold)} == {
        cell.key for cell in bold
    }


def test_the_main_table_has_the_best_label_in_bold(outputs):
    header, hard, soft, *mice_bone = table_rows(outputs, "Comparison of labels: hard, soft")
    assert header == ["data set", "label", "ACC ↑", "KL ↓", "TVD ↓", "soft ECE ↓", "entropy corr. ↑", "KL_ε ↓"]
    assert hard[:2] == ["Synthetic", "hard"] and [row[0] for row in mice_bone] == ["Mice Bone"] * 2
    assert [hard[2], hard[3], hard[7]] == ["0.8300 ± 0.0361", "1.1500 ± 0.0500", "0.4500 ± 0.0500"]
    assert [soft[3], soft[7]] == ["**0.0500 ± 0.0100**", "**0.0400 ± 0.0100**"]
    text = outputs["table_md"].read_text()
    assert outputs["table_tex"].read_text().isascii()
    assert "Bold marks the best mean" in text and "(Holm, 95%)" in text and "ε = 1e-5" in text


def test_a_group_that_a_seed_does_not_have_is_said(both, tmp_path):
    def without(root):
        for label in ("hard", "soft"):
            path = root / SCORES.format(label, 1, "standard")
            files.drop(path, "closest")

    text = finished(both, tmp_path, without)["table_md"].read_text()
    assert "Synthetic: closest calls: test items in 2 of 3 seeds only." in text
    assert "clear: " not in text.split("Groups of items")[1].split("##")[0].replace("Clear: ", "")


def test_every_metric_that_is_shown_says_its_note(outputs):
    text = outputs["table_md"].read_text()
    assert "against which a right distribution scores badly" in text.split("## Further metrics")[1]
    assert "ε = 1e-5" in text and "EPS" not in text


def test_a_further_metric_in_the_main_table_keeps_its_note(both, tmp_path):
    tables = [{"kind": "main", "metrics": ["ece"]}]
    assert "a right distribution scores badly" in finished(both, tmp_path, tables=tables)["table_md"].read_text()


def test_each_main_table_has_its_own_notes_and_all_its_metrics_have_a_difference(both, tmp_path):
    tables = [{"kind": "main", "metrics": ["kl"]}, {"kind": "main", "metrics": ["ece"]}, {"kind": "differences"}]
    first, second, differences = finished(both, tmp_path, tables=tables)["table_md"].read_text().split("\n## ")[1:]
    assert "KL(reference || prediction)" in first and "a right distribution scores badly" not in first
    assert "KL(reference || prediction)" not in second and "a right distribution scores badly" in second
    assert "| KL ↓ |" in differences and "| ECE ↓ |" in differences


def test_a_level_is_printed_as_it_is(both, tmp_path):
    text = finished(both, tmp_path, config={"level": 0.975})["table_md"].read_text()
    assert "(Holm, 97.5%)" in text and "| 97.5% interval |" in text and "98%" not in text


def test_a_mean_over_fewer_seeds_is_said(both, tmp_path):
    def undefined(root):
        files.edit(root / SCORES.format("hard", 1, "standard"), {("all", "none", "kl"): math.nan})

    text = finished(both, tmp_path, undefined)["table_md"].read_text()
    assert "Synthetic: KL ↓ of hard over 2 of 3 seeds, as it is not defined in the others." in text


def test_counts_that_differ_between_seeds_are_printed_with_their_spread(both, tmp_path):
    def other(root):
        for seed, ties in enumerate((12, 15, 18)):
            for label in ("hard", "soft"):
                files.edit(root / SCORES.format(label, seed, "standard"), {("all", "none", "ties"): ties})

    assert "; 15.0 ± 3.0 items whose reference has a tie" in finished(both, tmp_path, other)["table_md"].read_text()


def test_scalings_that_are_absent_are_said(both, tmp_path):
    def without(root):
        for path in root.glob("runs/*/*/*/*/*/scores/standard.parquet"):
            for scaling in ("temperature", "vector_reference", "matrix_reference"):
                files.drop(path, scaling=scaling)

    text = finished(both, tmp_path, without)["table_md"].read_text()
    assert "Synthetic: no temperature of own labels" in text
    assert "Synthetic: vector and matrix are fitted for at most 20 classes." in text


def test_a_number_without_terms_that_does_not_vary_has_no_paired_t():
    found = comparisons._difference(np.zeros(3), None, 0.95)
    assert (found.interval, found.others) == (None, {})
    assert list(comparisons._difference(np.array([0.0, 0, 1e-3]), None, 0.95).others) == ["paired t"]


def test_the_bracket_of_the_floor_stands_whole_where_kl_is_no_column(both, tmp_path):
    def enough(root):
        for path in root.glob("references/mice_bone/random/*/standard.parquet"):
            table, metadata = io.read_table(path)
            facts = {key: value for key, value in metadata.items() if key != "schema_version"}
            rows = table.to_pylist()
            ends = {row["metric"]: None for row in rows if row["row"] == "uniform"}
            ends |= {"kl": 0.25, "detail.first_order_kl": 0.125}
            of_floor = {"row": "sampling_floor", "oracle": True, "part": "test", "group": "all", "scaling": "none"}
            rows += [{**of_floor, "metric": name, "value": value} for name, value in ends.items()]
            io.write_table(path, pa.Table.from_pylist(rows, schema=table.schema), facts)

    tables = [{"kind": "main", "metrics": ["macro_acc"]}, {"kind": "references"}]
    outputs = finished(both, tmp_path, enough, datasets=("mice_bone",), tables=tables)
    text = outputs["table_md"].read_text()
    assert re.search(r"\| Mice Bone \| sampling_floor † \| – \| KL ↓ \[0\.1250, 0\.2500\] \|", text)


def test_a_study_of_few_metrics_has_its_panel_and_knows_the_names_of_groups(both, tmp_path):
    outputs = finished(both, tmp_path, datasets=("mice_bone",), metrics=["macro_acc", "js"])
    rows = cells_of(outputs)
    assert one(rows, label="panel", metric="ce", statistic="mean")["value"] > 0
    assert not [row for row in rows if row["kind"] == "confidence" or "on the reference" in (row["versus"] or "")]
    header, *body = table_rows(outputs, "Groups of items and of classes")
    assert header[3:5] == ["CE ↓", "vote ACC ↑"]
    panel = next(row for row in body if row[2] == "panel")
    assert "–" not in panel[3:5]
    told = [one(rows, label="panel", metric=f"detail.bayes_error_{end}", statistic="mean") for end in ("low", "high")]
    text = outputs["table_md"].read_text()
    assert re.search(rf"panel † \|.*Bayes error \[{', '.join(re.escape(row['printed']) for row in told)}\]; CE", text)


def test_a_scaling_that_only_some_runs_have_is_a_mean_over_those(both, tmp_path):
    path = SCORES.format("hard", 0, "standard")
    outputs = finished(both, tmp_path, lambda root: files.drop(root / path, scaling="matrix_reference"))
    row = one(
        cells_of(outputs), label="hard + matrix on the reference", metric="kl", statistic="mean", kind="reference"
    )
    assert row["n"] == 2


def test_infinite_means_of_all_labels_have_no_best(both, tmp_path):
    def infinite(root):
        for path in root.glob("runs/*/*/*/*/*/scores/standard.parquet"):
            files.edit(path, {("all", "none", "kl"): math.inf})

    rows = cells_of(finished(both, tmp_path, infinite))
    assert not [row for row in rows if row["kind"] == "best" and row["metric"] == "kl"]
    assert not [row for row in rows if row["value"] is None or math.isnan(row["value"])]


def test_a_row_that_some_draws_do_not_have_says_in_how_many(both, tmp_path):
    def absent(root):
        for seed in range(3):
            path = root / f"references/mice_bone/random/seed{seed}/standard.parquet"
            table, metadata = io.read_table(path)
            facts = {key: value for key, value in metadata.items() if key != "schema_version"}
            io.write_table(
                path, table, {**facts, "absent": {"split_half": "too few"} | ({"panel": "none"} if seed else {})}
            )

    text = finished(both, tmp_path, absent, datasets=("mice_bone",))["table_md"].read_text()
    assert "Mice Bone has no split_half (too few)." in text
    assert "Mice Bone has no panel (in 2 of 3 draws of its splits: none)." in text


def test_few_columns_have_the_papers_layout(both, tmp_path):
    tables = [{"kind": "main", "metrics": ["macro_acc", "kl", "kl_dcic"], "bold": "paper"}]
    header, row = table_rows(finished(both, tmp_path, tables=tables), "Comparison of labels: hard, soft")
    assert header == ["data set"] + [f"{label}: {m}" for label in ("hard", "soft") for m in ("ACC ↑", "KL ↓", "KL_ε ↓")]
    assert row[4:] == ["**0.9133 ± 0.0153**", "**0.0500 ± 0.0100**", "**0.0400 ± 0.0100**"]


def test_twenty_labels_stand_below_each_other_and_run_off_no_page(both, tmp_path):
    grid = {"splits": ("random", "group"), "recipes": ("a", "b"), "seeds": [0, 1]}
    outputs = finished(both, tmp_path, labels=LABELS, **grid)
    rows = table_rows(outputs, f"Comparison of labels: {', '.join(LABELS)}")
    assert rows[0][:6] == ["data set", "split", "recipe", "label", "ACC ↑", "KL ↓"]
    assert len(rows) == 1 + 2 * 2 * 20
    versus = {(row["label"], row["versus"]) for row in cells_of(outputs) if row["kind"] == "difference"}
    assert {pair for pair in versus if "+" not in pair[0]} == {(label, "hard") for label in LABELS if label != "hard"}
    lines = [line for line in outputs["table_md"].read_text().splitlines() if line.startswith("|")]
    assert 6 <= max(line.count(" | ") + 1 for line in lines) <= documents.COLUMNS
    floats = outputs["table_tex"].read_text().split(r"\begin{table}")[1:]
    assert max(part.count(r" \\") for part in floats) == documents.ROWS + 1
    shown = {(label, line) for label in LABELS for line in lines if f"{label}: recall" in line}
    assert {label for label, _ in shown} == set(LABELS) and len({line for _, line in shown}) == 5


def test_the_papers_kl_is_compared_with_kl_dcic_only(outputs, rows):
    assert {row["metric"] for row in rows if row["kind"] == "paper"} == {"macro_acc", "kl_dcic"}
    ours = one(rows, label="soft", metric="kl_dcic", kind="measured", statistic="mean")
    assert ours["paper_difference"] == pytest.approx(0.04 - 0.0394, abs=1e-12)
    assert one(rows, label="soft", metric="kl", kind="measured", statistic="mean")["paper_difference"] is None
    table = table_rows(outputs, "The paper's own numbers")
    assert ["Synthetic", "soft", "KL ↓ (here KL_ε)", "0.0394 ± 0.0009", "0.0400 ± 0.0100", "+0.0006"] in table


def test_the_caption_lists_what_differs_from_the_papers_set_up(outputs):
    text = outputs["table_md"].read_text()
    line = next(line for line in text.splitlines() if "differs from the paper in" in line)
    for fact in (
        "items 120 (paper: 15,000)",
        "pixels 12 (paper: 224)",
        "network compact (paper: DenseNet121)",
        "weights none (paper: ImageNet)",
        "epochs 1 (paper: 60)",
    ):
        assert fact in line
    assert "rate" not in line and "schedule" not in line
    assert "where the paper says nothing: select last; momentum 0.9" in text


def test_a_data_set_that_the_paper_does_not_have_is_not_compared_with_it(both, tmp_path):
    datasets = {"mice_bone": {"paper": None, "description": {"source": {}}}}
    outputs = finished(both, tmp_path, config={"datasets": datasets}, datasets=("mice_bone",))
    assert "paper's own numbers" not in outputs["table_md"].read_text()
    assert not [row for row in cells_of(outputs) if row["kind"] == "paper" or row["paper_difference"] is not None]


def test_the_papers_recipe_differs_in_nothing():
    tagged = {"schedule": {"kind": "cosine"}, "optimiser": {"kind": "sgd", "momentum": 0.9}}
    assert paper.differences("synthetic", {**paper.SETUP["synthetic"], **tagged}) == []
    other = {**paper.SETUP["synthetic"], "optimiser": {"kind": "adam"}}
    assert paper.differences("synthetic", other) == ["optimiser adam (paper: sgd)"]


def test_reference_rows_mark_oracles_and_infinity(both, outputs, rows):
    by_name = {(row[0], row[1]): row[2:] for row in table_rows(outputs, "Reference rows")}
    assert by_name["Synthetic", "one_hot †"][1] == "∞ ± –"
    assert ("Synthetic", "uniform") in by_name and ("Synthetic", "sampling_floor †") not in by_name
    found = [
        contracts.read_rows(both / f"references/mice_bone/random/seed{seed}/standard.parquet") for seed in range(3)
    ]
    assert ("Mice Bone", "exact †") in by_name  # as votes were generated
    for name, detail in (("panel", "k"), ("split_half", "kl_dcic_direction_2")):
        mean = np.mean([of_seed[name].value(f"detail.{detail}") for of_seed in found])
        more = re.search(rf"\| Mice Bone \| {name} † \| ([^|]*{detail}[^|]*) \|", outputs["table_md"].read_text())[1]
        assert f"{detail} {mean:.4f}" in more
    assert "inf" in outputs["table_csv"].read_text() and r"$\infty$" in outputs["table_tex"].read_text()
    infinite = one(rows, label="one_hot", metric="kl", statistic="mean")
    assert math.isinf(infinite["value"]) and infinite["printed"] == "∞" and infinite["oracle"]


def test_temperature_scaling_is_a_reference_row_of_each_label(both, rows):
    rows = [row for row in rows if "temperature" in row["label"]]
    fitted = ("temperature", "temperature on the reference")
    assert {row["label"] for row in rows} == {f"{label} + {text}" for label in ("hard", "soft") for text in fitted}
    rows = [row for row in rows if row["label"] == "hard + temperature"]
    assert {(row["kind"], row["oracle"]) for row in rows} == {("reference", False)}
    scored = [contracts.read_scores(both / SCORES.format("hard", seed, "standard")) for seed in range(3)]
    for metric in ("kl", "temperature"):
        values = [of_seed.value(metric, "temperature") for of_seed in scored]
        assert one(rows, metric=metric, statistic="mean")["value"] == pytest.approx(np.mean(values))
        assert one(rows, metric=metric, statistic="std")["value"] == pytest.approx(np.std(values, ddof=1))


def test_infinite_divergences_of_both_labels_have_no_difference(both, tmp_path):
    def infinite(root):
        for label in ("hard", "soft"):
            files.edit(root / SCORES.format(label, 0, "standard"), {("all", "none", "kl"): math.inf})

    outputs = finished(both, tmp_path, infinite)
    rows = cells_of(outputs)
    assert not [
        row for row in rows if row["kind"] == "difference" and row["metric"] == "kl" and "+" not in row["label"]
    ]
    assert [row["statistic"] for row in rows if row["kind"] == "measured" and row["metric"] == "kl"] == ["mean"] * 2
    assert "∞ ± –" in outputs["table_md"].read_text()


def test_absent_classes_and_ties_are_stated(both, tmp_path):
    facts = {("all", "none", "n_classes_present"): 5, ("re", "none", "recall"): math.nan, ("all", "none", "ties"): 2}

    def absent(root):
        for path in root.glob("runs/*/*/*/*/*/scores/standard.parquet"):
            files.edit(path, {**facts, ("all", "none", "tie_credit_acc"): 0.25})

    outputs = finished(both, tmp_path, absent)
    text = outputs["table_md"].read_text()
    assert "Synthetic: 24 test items; 5 of 6 classes present; 2 items whose reference has a tie" in text
    assert "ACC is the mean over the classes that are present" in text
    assert "plain accuracy that accepts any tied class: hard 0.2500 ± 0.0000" in text
    assert ["Synthetic", "re", "–", "–"] in table_rows(outputs, "Recall of each class")


def test_structure_numbers_have_a_table_of_their_own(both, outputs):
    header, hard, *_ = table_rows(outputs, "Structure of the feature space")
    first = ["silhouette ↑", "label smoothness ↓", "distance Spearman ↑", "position R² ↑", "colour R² ↑", "shape R² ↑"]
    assert header[2:] == first
    text = outputs["table_md"].read_text()
    assert "| colour 10-NN R² ↑ |" in text and "each predicted by the mean position of the 10 test items" in text
    scored = [contracts.read_scores(both / SCORES.format("hard", seed, "standard")) for seed in range(3)]
    values = [of_seed.value("structure.label_smoothness") for of_seed in scored]
    assert hard[:2] == ["Synthetic", "hard"]
    assert hard[3] == f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def test_a_study_chooses_its_tables_and_the_metrics_of_the_main_one(both, tmp_path):
    outputs = finished(both, tmp_path, tables=["further", {"kind": "main", "metrics": ["tvd", "acc"]}])
    text = outputs["table_md"].read_text()
    assert re.findall("^## (.*)", text, re.MULTILINE) == ["Further metrics", "Comparison of labels: hard, soft"]
    header, row = table_rows(outputs, "Comparison of labels: hard, soft")
    assert header[1:] == ["hard: TVD ↓", "hard: plain ACC ↑", "soft: TVD ↓", "soft: plain ACC ↑"]
    assert [cell.startswith("**") for cell in row[1:]] == [False, False, True, False]  # of accuracy it is undecided
    assert table_rows(outputs, "Further metrics")[0][2:6] == ["ACC ↑", "KL ↓", "soft ECE ↓", "entropy corr. ↑"]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (SCORES.format("soft", 1, "standard"), "scores of standard.*soft/seed1"),
        ("runs/synthetic/random/compact/hard/seed2/predictions.parquet", "predictions.parquet.*hard/seed2"),
        ("references/synthetic/random/seed0/standard.parquet", "references: scores of standard.*random/seed0"),
        ("data/synthetic/items.parquet", "items.parquet.*synthetic"),
    ],
)
def test_a_missing_file_is_named_and_nothing_is_written(both, tmp_path, missing, message):
    config, inputs, outputs = files.study(both, tmp_path)
    inputs = {name: [path for path in paths if path != tmp_path / missing] for name, paths in inputs.items()}
    with pytest.raises(UserError, match=message):
        study.run(config, inputs, outputs)
    assert not outputs["config"].exists()


def test_a_file_outside_of_the_results_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="below a folder 'runs'"):
        ledger.named([tmp_path / "predictions.parquet"], "runs", [], "predictions.parquet")


def test_runs_scored_with_another_epsilon_or_other_classes_are_refused(both, tmp_path):
    path = SCORES.format("soft", 1, "standard")
    with pytest.raises(UserError, match=rf"{path}: found eps 0.001"):
        finished(both, tmp_path, lambda root: files.edit(root / path, eps=1e-3))
    with pytest.raises(UserError, match=rf"{path}: found the classes a, b"):
        finished(both, tmp_path, lambda root: files.edit(root / path, classes=["a", "b"]))


def test_the_same_runs_give_the_same_bytes_in_any_folder_and_order(both, tmp_path):
    texts = []
    for folder, order in (("one", 1), ("two", -1)):
        config, inputs, outputs = files.study(both, tmp_path / folder)
        study.run(config, {name: paths[::order] for name, paths in inputs.items()}, outputs)
        texts.append([path.read_bytes() for path in outputs.values()])
    assert texts[0] == texts[1]


def test_the_papers_numbers_stand_beside_what_is_defined_as_theirs_whatever_its_name(both, tmp_path):
    labels = {"votes": files.HARD, "hard": files.SOFT, "soft": {"aggregate": "average", "form": "hard"}}
    outputs = finished(both, tmp_path, config={"baseline": "hard"}, labels=labels)
    rows = cells_of(outputs)
    theirs = {row["label"]: row["value"] for row in rows if row["kind"] == "paper" and row["metric"] == "macro_acc"
              and row["statistic"] == "mean"}  # fmt: skip
    assert theirs == {"votes": 0.8247, "hard": 0.9096}
    assert {row["label"] for row in rows if row["paper_difference"] is not None} == {"votes", "hard"}
    assert "Comparison of labels: hard, votes, soft\n" in outputs["table_md"].read_text()  # the baseline is the first


def test_a_further_metric_is_read_from_files_of_its_own(both, tmp_path):
    config, inputs, outputs = files.study(both, tmp_path)
    study.run(config, inputs, outputs)
    before = cells_of(outputs)
    for name in ("scores", "references"):
        for path in list(inputs[name]):
            more = path.with_stem("top_k__k_3")
            if name == "scores":
                values = {("test", "all", scaling, more.stem): 0.9 for scaling in ("none", "temperature")}
                contracts.write_scores(more, values, contracts.read_scores(path).classes, 1e-5, {})
                terms = contracts.read_terms(path.with_suffix(".terms.parquet"))
                of_items = {"top_k__k_3": np.full(len(terms.item), 0.9)}
                contracts.write_terms(more.with_suffix(".terms.parquet"), replace(terms, values=of_items))
                inputs["terms"].append(more.with_suffix(".terms.parquet"))
            else:
                contracts.write_rows(more, {row: {more.stem: 0.5} for row in contracts.read_rows(path)}, (), [], 1e-5)
            inputs[name].append(more)
    study.run({**config, "metrics": [*config["metrics"], "top_k__k_3"]}, inputs, outputs)
    after = cells_of(outputs)
    assert [row for row in after if row["metric"] != "top_k__k_3"] == before
    mean = one(after, label="soft", metric="top_k__k_3", kind="measured", statistic="mean")
    assert mean["value"] == pytest.approx(0.9)
    assert [file["path"] for file in mean["files"]] == [SCORES.format("soft", s, "top_k__k_3") for s in range(3)]
    prior = one(after, label="prior", metric="top_k__k_3", statistic="mean")
    assert prior["files"][0]["path"] == "references/synthetic/random/seed0/top_k__k_3.parquet"
