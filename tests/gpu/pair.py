"""Hard and soft labels of the paper's synthetic half at 160 pixels, both at once on one GPU, from data to scores.

    PYTHONPATH=workflow:tests python tests/gpu/pair.py <folder> [--epochs 60]

needs PyTorch and its friends only. ``folder`` gets ``pair.json`` (scores of the test part, times), and the history and
predictions of each.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from training_files import OUTPUTS, RECIPE

from softlabels import io
from softlabels.datasets import data
from softlabels.labels import label, split

# What config/paper.yaml says of the set, its split and its recipe, at 160 pixels and from random weights.
SOURCE: dict[str, Any] = {
    "kind": "synthetic", "items": 15000, "pixels": 160, "seed": 0, "classes": "colour_shape", "pure_share": 0.4,
    "interpolate": "joint", "mixed_shares": [0.34, 0.33, 0.33], "colour_path": "hsv_hue", "ratio_min": 0.5,
    "balance": "exact", "class_shares": None, "radius": [0.12, 0.26], "clip": False, "size": "area", "centre": None,
    "supersampling": 4, "noise": 0.0, "background": "black", "votes": 0, "annotators": 0,
    "annotator_model": "ambiguity", "annotator_accuracy": 1.0, "accuracy_at_end": 0.6, "spammer_share": 0.2,
    "complete_annotators": 0, "load": "even", "margin": 0.02,
}  # fmt: skip
SPLIT = {"kind": "random", "train": 0.6, "val": 0.2, "test": 0.2, "stratify": ["hard", "pure"], "groups": True,
         "duplicates": "together", "allow_missing_class": False}  # fmt: skip
TRAIN = """
import json, sys
from pathlib import Path
from training_files import fit
inputs, recipe, folder, labels = json.loads(sys.argv[1])
facts, _ = fit(Path(folder), {name: Path(path) for name, path in inputs.items()}, recipe, labels=labels)
print(json.dumps(facts))
"""


def made(folder: Path) -> dict[str, Path]:
    """The data set, its split and both labels: paths by name."""
    names = ("images.npy", "items.parquet", "annotations.parquet", "reference.parquet")
    paths = {name.split(".")[0]: folder / name for name in names}
    data.run({"source": SOURCE, "reference": "exact"}, {}, paths, threads=8)
    asked = {name: paths[name] for name in ("items", "reference")}
    split.run({"seed": 0, "split": SPLIT}, asked, {"split": folder / "split.parquet"})
    for form in ("hard", "soft"):
        wanted = {"aggregate": {"kind": "average"}, "form": form, "votes": "all", "ties": "lowest_index", "seed": 0}
        asked = {name: paths[name] for name in ("annotations", "reference")}
        label.run({"label": wanted, "draw": "all"}, asked, {"labels": folder / f"{form}.parquet"})
    return {
        **paths,
        "split": folder / "split.parquet",
        **{form: folder / f"{form}.parquet" for form in ("hard", "soft")},
    }


def scores(inputs: dict[str, Path], predictions: Path) -> dict[str, float]:
    """Accuracy against the most probable class, KL divergence and total variation distance of the test part; means."""
    table = io.read_table(predictions)[0]
    test = io.vector(table, "split") == "test"
    p = io.matrix(io.read_table(inputs["reference"])[0], "p")[test].astype(float)
    log_q = torch.from_numpy(io.matrix(table, "logits")[test].astype(float)).log_softmax(dim=1).numpy()
    log_p = np.log(np.where(p > 0, p, 1))
    return {
        "accuracy": float((log_q.argmax(axis=1) == p.argmax(axis=1)).mean()),
        "kl": float((p * (log_p - log_q)).sum(axis=1).mean()),
        "tvd": float(np.abs(p - np.exp(log_q)).sum(axis=1).mean() / 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=60)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    begun, scratch = time.monotonic(), Path(tempfile.mkdtemp())
    inputs = made(scratch)
    found: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__,
                             "epochs": given.epochs, "seconds_of_data": round(time.monotonic() - begun, 1)}  # fmt: skip
    recipe = {**RECIPE, "network": {"kind": "densenet121"}, "device": "cuda", "epochs": given.epochs}
    paths = {name: str(path) for name, path in inputs.items()}
    running = {
        form: subprocess.Popen(
            [sys.executable, "-c", TRAIN, json.dumps([paths, recipe, str(scratch / form / "run"), form])],
            stdout=subprocess.PIPE,
        )
        for form in ("hard", "soft")
    }
    for form, process in running.items():
        output, _ = process.communicate()
        if process.returncode:
            sys.exit(f"the training on {form} labels failed")
        outputs = {name: scratch / form / "run" / file for name, file in OUTPUTS.items()}
        found[form] = {"facts": json.loads(output), **scores(inputs, outputs["predictions"])}
        for name in ("history", "predictions"):
            shutil.copy(outputs[name], given.folder / f"{form}-{OUTPUTS[name]}")
    found["seconds"] = round(time.monotonic() - begun, 1)
    (given.folder / "pair.json").write_text(json.dumps(found, indent=1))
    shutil.rmtree(scratch)
    told = {form: {name: value for name, value in found[form].items() if name != "facts"} for form in running}
    print(json.dumps({**told, "seconds": found["seconds"]}))


if __name__ == "__main__":
    main()
