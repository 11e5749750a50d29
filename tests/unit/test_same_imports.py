"""What was imported once is imported so for ever: the data of every ready configuration, by their content."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from data_files import CIFAR10H

from softlabels import config, io
from softlabels.datasets import data
from softlabels.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
# Digests of the data that were imported before any reader of exports was added. Nothing but a wanted change of what a
# published configuration means may touch them.
KNOWN = {
    ("config.yaml", "synthetic"): "38a2fba1537c9dc0a87837e44ba075d6e2c1ede5592f2ee02c39380656954735",
    ("tiny.yaml", "tiny_synthetic"): "38a2fba1537c9dc0a87837e44ba075d6e2c1ede5592f2ee02c39380656954735",
    ("dcic_effective.yaml", "dcic_effective"): "9b3a9e3222caba9ac4930d2314a05985c4b96cf814ada247e75d549f49b5effe",
    ("mice_bone_like.yaml", "mice_bone_like"): "cbda450032f514a3c3755ed78cc8d73ee30b759f4c23d766722e6e6990994d7a",
    ("paper.yaml", "paper_synthetic"): "38a2fba1537c9dc0a87837e44ba075d6e2c1ede5592f2ee02c39380656954735",
    ("cifar10h.yaml", "cifar10h"): "8993b7cbae0c40b996a4d53e1698d2e2b70308bcf7d7ecb789d7c3d25ce8a310",
}


def digest(outputs):
    """SHA-256 of what the four files hold: of generated pixels the mean colour, since processors round differently."""
    found = hashlib.sha256()
    for name in ("items", "annotations", "reference"):
        table = io.read_table(outputs[name])[0]
        for column in table.column_names:
            found.update(f"{name} {column} {table.column(column).type}\n".encode())
            found.update("\n".join(map(written, table.column(column).to_pylist())).encode())
    images = np.load(outputs["images"], mmap_mode="r")
    exact = "sha256" in io.read_table(outputs["items"])[0].column_names
    found.update(images.tobytes() if exact else np.rint(images.mean(axis=(0, 1, 2))).astype(int).tobytes())
    return found.hexdigest()


def written(value):
    """A value as text, numbers of distributions to nine decimals."""
    return str(np.round(value, 9).tolist() if isinstance(value, list | float) else value)


def imported(file, dataset, out, **changes):
    """The data set of a ready configuration, imported as the workflow does it: the outputs by name."""
    raw = config.read(ROOT / "config" / file)
    plan = Plan({**raw, **changes})
    inputs = {name: Path(path) for name, path in plan.source_files(dataset).items()}
    names = ("images.npy", "items.parquet", "annotations.parquet", "reference.parquet")
    outputs = {name.split(".")[0]: out / name for name in names}
    data.run(plan.of("data", dataset=dataset), inputs, outputs)
    return outputs


def fewer(file, dataset):
    """The definition with fewer items, for the sake of time: each item is drawn with keys of its own."""
    raw = config.read(ROOT / "config" / file)
    definition = raw["datasets"][dataset]
    return {"datasets": {**raw["datasets"], dataset: {**definition, "source": {**definition["source"], "items": 200}}}}


@pytest.mark.parametrize(("file", "dataset"), [name for name in KNOWN if name[0] != "cifar10h.yaml"])
def test_generated_data_are_those_of_before(file, dataset, tmp_path):
    assert digest(imported(file, dataset, tmp_path, **fewer(file, dataset))) == KNOWN[file, dataset]


@pytest.mark.skipif(not CIFAR10H.is_dir(), reason="no shared/data/cifar10h beside the project")
def test_cifar10h_is_that_of_before(tmp_path):
    made = imported("cifar10h.yaml", "cifar10h", tmp_path, data_folder=str(CIFAR10H))
    assert digest(made) == KNOWN["cifar10h.yaml", "cifar10h"]
