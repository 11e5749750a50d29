"""The epoch at which a run reaches an accuracy: in the ledger, in its table, and where there is none."""

import finished_run as files
import numpy as np
import pyarrow as pa
import pytest
from linked_numbers import linked

from softlabels import config, io
from softlabels.evaluation.plateau import reached
from softlabels.plan import Plan
from softlabels.provenance import recompute
from softlabels.studies import study

TABLES = ["main", "epochs", {"kind": "epochs", "accuracy": 0.9}]
CURVES = {  # of each label and seed: accuracy on validation items after each epoch
    "hard": [[0.5, 0.74, 0.75, 0.7, 0.8], [0.5, 0.5, 0.5, 0.5, 0.76], [0.5, 0.5, 0.5, 0.5, 0.5]],
    "soft": [[0.8, 0.8, 0.9, 0.9, 0.9], [0.5, 0.8, 0.8, 0.8, 0.8], [0.5, 0.5, 0.8, 0.8, 0.8]],
}


@pytest.mark.parametrize(
    ("accuracy", "level", "epoch"),
    [
        ([0.5, 0.75, 0.9], 0.75, 2),
        ([0.5, 0.8, 0.6, 0.9], 0.75, 2),  # below again: still the first
        ([0.5, 0.7499], 0.75, None),
        ([np.nan, 0.8], 0.75, 2),
        ([np.nan, np.nan], 0.75, None),
        ([1.0], 1.0, 1),
    ],
)
def test_the_first_epoch_with_such_an_accuracy_counts_in_both_implementations(accuracy, level, epoch):
    epochs = np.arange(1, len(accuracy) + 1)
    assert reached(epochs, np.array(accuracy), level) == epoch
    known = [(k, None if np.isnan(value) else value) for k, value in zip(epochs.tolist(), accuracy, strict=True)]
    assert recompute.first_epoch(known, level) == epoch


def made(both, root, curves=CURVES, **changes):
    """Ledger rows and table.md of a study whose histories have these accuracies."""
    told, inputs, outputs = files.study(both, root, tables=TABLES, **changes)
    for path in inputs["histories"]:
        label, seed = path.parts[-3], int(path.parts[-2].removeprefix("seed"))
        table, _ = io.read_table(path)
        rows = table.take([0] * len(curves[label][seed]))
        for name, column in {"epoch": pa.array(range(1, len(rows) + 1), pa.int32()),
                             "val_acc_reference": pa.array(curves[label][seed], pa.float64())}.items():  # fmt: skip
            rows = rows.set_column(rows.column_names.index(name), name, column)
        io.write_table(path, rows)
    study.run(told, inputs, outputs)
    rows = io.read_table(outputs["cells"])[0].to_pylist()
    return [row for row in rows if row["metric"].startswith("epoch.")], outputs["table_md"].read_text()


def number(rows, label, kind, metric="epoch.0.75", statistic="mean"):
    """The only row of a number."""
    wanted = {"label": label, "kind": kind, "metric": metric, "statistic": statistic}
    (row,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return row


def test_the_ledger_has_each_run_all_that_get_there_and_the_histories_they_come_from(both, tmp_path):
    rows, _ = made(both, tmp_path)
    mean = number(rows, "hard", "measured")
    assert (mean["value"], mean["n"], mean["printed"]) == (4, 2, "4.0")
    assert number(rows, "hard", "measured", statistic="std")["value"] == pytest.approx(np.std([3, 5], ddof=1))
    assert [number(rows, "soft", f"run {seed}")["value"] for seed in range(3)] == [1, 2, 3]
    assert {row["kind"] for row in rows if row["label"] == "hard" and row["metric"] == "epoch.0.9"} == {"reached"}
    share = number(rows, "hard", "reached")
    assert (share["value"], share["n"], len(share["runs"])) == (pytest.approx(2 / 3), 3, 3)
    assert mean["runs"] == [f"synthetic/random/compact/hard/seed{seed}" for seed in (0, 1)]
    for name, file in zip(mean["runs"], mean["files"], strict=True):
        path = f"runs/{name}/history.parquet"
        assert file == {"path": path, "sha256": io.sha256(tmp_path / path)}


def test_the_table_shows_mean_single_runs_and_how_many_never_get_there(both, tmp_path):
    _, text = made(both, tmp_path)
    assert "| label | epoch of accuracy 0.75 | seeds 0, 1, 2 | never |" in text
    assert "| hard | 4.0 ± 1.4 | 3, 5, – | 1 of 3 |" in text
    assert "| soft | 2.0 ± 1.0 | 1, 2, 3 | 0 of 3 |" in text
    assert "| hard | – | –, –, – | 3 of 3 |" in text and "| soft | 3.0 ± – | 3, –, – | 2 of 3 |" in text
    assert "the mean is too low" in text and "may lie below again" in text
    cells = io.read_table(tmp_path / "studies/hard_vs_soft/cells.parquet")[0]
    assert linked(cells, "epochs") == 2 * 2 + 5  # mean and how many never do, and single runs


def test_runs_without_accuracies_have_dashes_and_the_reason(both, tmp_path):
    rows, text = made(both, tmp_path, {label: [[None] * 5] * 3 for label in CURVES})
    assert not rows
    assert "| hard | – | – | – |" in text and "not trained here epoch by epoch" in text


ELSEWHERE = {"predictions": {label: {"0": f"{label}.csv"} for label in ("hard", "soft")}}


def plan_of(tables, recipes):
    """The plan of a study of one seed with these tables."""
    chosen = {"datasets": ["shapes"], "recipes": [*recipes], "seeds": [0], **({"tables": tables} if tables else {})}
    return Plan({"datasets": {"shapes": files.SHAPES}, "recipes": recipes, "studies": {"s": chosen}})


def test_only_a_study_with_such_a_table_depends_on_histories_and_only_on_those_there_are():
    recipes = {"quick": files.QUICK, "given": ELSEWHERE}
    plain, told = plan_of(None, recipes), plan_of(["main", "epochs"], recipes)
    assert plain.histories("s") == [] and "histories" not in plain.of("study", study="s")
    assert told.of("study", study="s")["histories"] == ["quick"]
    assert told.histories("s") == [
        f"results/runs/shapes/random/quick/{label}/seed0/history.parquet" for label in ("hard", "soft")
    ]
    for command, names in plain.jobs("s", "train", "evaluate", "references"):
        assert plain.json(command, **names) == told.json(command, **names)


def test_a_recipe_without_networks_of_its_own_has_no_epochs(both, tmp_path):
    told, inputs, outputs = files.study(both, tmp_path, tables=TABLES)
    told.pop("histories")
    study.run(told, {**inputs, "histories": []}, outputs)
    assert "| hard | – | – | – |" in outputs["table_md"].read_text()


def test_a_history_that_is_missing_is_named(both, tmp_path):
    told, inputs, outputs = files.study(both, tmp_path, tables=TABLES)
    with pytest.raises(config.UserError, match=r"histories: found none for synthetic/random/compact/soft/seed2"):
        study.run(told, {**inputs, "histories": inputs["histories"][:-1]}, outputs)


@pytest.mark.parametrize("accuracy", [0, 1.5, "high"])
def test_an_accuracy_is_a_share(accuracy):
    with pytest.raises(config.UserError, match=r"studies.s.tables.*accuracy"):
        plan_of([{"kind": "epochs", "accuracy": accuracy}], {"quick": files.QUICK})
