"""Linear heads in a real run: features once, and only what depends on a penalty anew."""

from __future__ import annotations

import shutil


def test_features_are_computed_once_and_another_penalty_fits_heads_anew_on_them(finished):
    root = finished.folder / "results" / "tiny"
    (finished.folder / "given").mkdir()
    model = next((root / "runs").glob("*/*/*/soft/seed0/model.safetensors"))
    shutil.copy(model, finished.folder / "given" / "weights.safetensors")
    head = {"network": "compact", "weights": "file", "weights_file": "weights.safetensors", "train": "head"}
    options = {"data_folder": "given", "studies__tiny__recipes": ["head"], "studies__tiny__seeds": [0]}

    config = finished.configure("config/head.yaml", recipes__head=head, **options)
    assert "no problem was found" in finished.softlabels("check", config)
    assert finished.planned(config=config) == {"card": 1, "encode": 1, "fit": 2, "evaluate": 2, "study": 1, "chain": 1}
    finished.softlabels("run", config, "--cores", "2")
    assert finished.planned(config=config) == {}
    assert "Recipe head: linear heads on the features" in (root / "studies/tiny/table.md").read_text()

    config = finished.configure("config/other.yaml", recipes__head=head | {"penalties": [0.5]}, **options)
    assert finished.planned(config=config) == {"fit": 2, "evaluate": 2, "study": 1, "chain": 1}
