"""Small sources of data, and their import as the workflow does it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from softlabels import io, schema
from softlabels.datasets import data
from softlabels.errors import UserError
from softlabels.labels import label
from softlabels.plan import Plan

SHARED = Path(__file__).resolve().parents[2] / "shared"  # what is no part of the project, where somebody put it
CIFAR10H = SHARED / "data" / "cifar10h"
CASES = SHARED / "cases"  # small inputs as people have them, a folder each
FILES = ("images.npy", "items.parquet", "annotations.parquet", "reference.parquet")


def save_images(folder, names, size=(2, 2)):
    """Images that all differ, by name."""
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (index % 256, index // 256, 0)).save(folder / name)
    return folder


def options(source):
    """The options of a source with every default, as the workflow hands them to the import."""
    raw = {
        "datasets": {"d": {"source": source}},
        "recipes": {"r": {"network": "compact"}},
        "studies": {"s": {"datasets": ["d"], "recipes": ["r"]}},
    }
    return Plan(raw).of("data", dataset="d")


def import_data(out: Path, inputs: dict[str, Path], threads: int = 1, **source):
    """Import a source whose files are ``inputs`` (by the names of the command's inputs); the outputs by name."""
    keys = {name: key for key, name in schema.paths("source", source["kind"]).items()}
    named = {keys[name]: str(path) for name, path in inputs.items() if name in keys}
    outputs = {name.split(".")[0]: out / name for name in FILES}
    data.run(options({**named, **source}), inputs, outputs, threads)
    return outputs


def refusal(folder: Path, work, *arguments, **options):
    """The message with which ``work`` refuses its arguments; it may leave no file in the folder."""
    before = {path for path in folder.rglob("*") if not path.is_dir()}
    with pytest.raises(UserError) as error:
        work(*arguments, **options)
    assert {path for path in folder.rglob("*") if not path.is_dir()} <= before
    return str(error.value)


def tables_of(outputs):
    """The tables of imported data by name, their ``classes``, and the ``notes`` on the import."""
    tables = {name: io.read_table(outputs[name])[0] for name in ("items", "annotations", "reference")}
    metadata = io.read_table(outputs["annotations"])[1]
    return tables | {"classes": metadata["classes"], "notes": metadata["notes"]}


def assert_same(first, second):
    """That two imports gave the same tables (but for notes on the source)."""
    for name in ("items", "annotations", "reference"):
        assert first[name].equals(second[name]), name


def votes_of(outputs):
    """The counts int64 ``[N, C]`` of imported votes."""
    table, metadata = io.read_table(outputs["annotations"])
    n = io.read_table(outputs["items"])[0].num_rows
    counts = np.zeros((n, len(metadata["classes"])), np.int64)
    np.add.at(counts, (io.vector(table, "item"), io.vector(table, "label")), 1)
    return counts


def label_files(outputs, folder):
    """Hard and soft label files of imported data, by name."""
    made = {}
    for aggregate, form in (("majority", "hard"), ("average", "soft")):
        made[form] = folder / f"{form}.parquet"
        options = {"aggregate": {"kind": aggregate}, "form": form, "votes": "all", "ties": "lowest_index", "seed": 0}
        label.run({"label": options, "draw": "all"}, outputs, {"labels": made[form]})
    return made
