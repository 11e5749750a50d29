"""Predictions made elsewhere in a real run: beside our own, and read anew where their file has changed."""

from __future__ import annotations

import os
import time

import pandas as pd

from softlabels import contracts, io

ADOPTED = {"adopt": 4, "evaluate": 4, "study": 1, "chain": 1}


def test_files_of_predictions_become_rows_of_the_table_and_a_changed_file_is_read_anew(finished):
    root = finished.folder / "results" / "tiny"
    names = io.read_table(root / "data/tiny_synthetic/items.parquet")[0].column("name").to_pylist()
    classes = contracts.read_reference(root / "data/tiny_synthetic/reference.parquet").classes
    given = finished.folder / "given"
    given.mkdir()
    for run in (root / "runs").glob("*/*/*/*/seed*"):
        found = contracts.read_predictions(run / "predictions.parquet")
        table = pd.DataFrame(found.logits.astype(float), columns=classes, index=pd.Index(names, name="item"))
        table.to_csv(given / f"{run.parent.name}-{run.name}.csv")
    files = {label: {seed: f"{label}-seed{seed}.csv" for seed in (0, 1)} for label in ("hard", "soft")}
    recipes = {"recipes__vit__predictions": files, "studies__tiny__recipes": ["tiny_compact", "vit"]}
    config = finished.configure("config/both.yaml", data_folder="given", **recipes)

    assert "no problem was found" in finished.softlabels("check", config)
    assert finished.planned(config=config) == ADOPTED
    finished.softlabels("run", config, "--cores", "2")
    assert finished.planned(config=config) == {}
    cells = io.read_table(root / "studies/tiny/cells.parquet")[0].to_pandas()
    key = ["label", "metric", "kind", "versus", "statistic"]
    own, theirs = (cells[cells.recipe == recipe].set_index(key).value for recipe in ("tiny_compact", "vit"))
    shared = own.index.intersection(theirs.index)
    assert len(shared) == len(theirs) > 500
    pd.testing.assert_series_equal(theirs[shared], own[shared], check_exact=True)

    for file in given.iterdir():
        os.utime(file, times=(time.time() + 5,) * 2)
    assert finished.planned(config=config) == {}
    changed = given / "soft-seed1.csv"
    changed.write_text(changed.read_text() + "\n")
    os.utime(changed, times=(time.time() + 10,) * 2)
    assert finished.planned(config=config) == {"adopt": 1, "evaluate": 1, "study": 1, "chain": 1}
