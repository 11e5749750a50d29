"""Every form of input that ``tests/forms`` lists gives its votes, or its message, and leaves nothing half-written."""

import re
from pathlib import Path

import numpy as np
import pytest
from forms import all_forms, counts_by_name

from softlabels import io
from softlabels.datasets import data
from softlabels.errors import UserError
from softlabels.plan import Plan

FORMS = all_forms()
FILES = ("images.npy", "items.parquet", "annotations.parquet", "reference.parquet")


def made(form, folder):
    """The data set of a form, imported as the workflow does it: the outputs by name."""
    raw = {
        "data_folder": str(folder),
        "datasets": {"d": {"source": dict(form.source), **form.dataset}},
        "recipes": {"r": {"network": "compact"}},
        "studies": {"s": {"datasets": ["d"], "recipes": ["r"]}},
    }
    plan = Plan(raw)
    outputs = {name.split(".")[0]: folder / "made" / name for name in FILES}
    inputs = {name: Path(path) for name, path in plan.source_files("d").items()}
    data.run(plan.of("data", dataset="d"), inputs, outputs)
    return outputs


@pytest.mark.parametrize("form", FORMS, ids=[form.name for form in FORMS])
def test_form(form, tmp_path):
    form.write(tmp_path)
    (tmp_path / "made").mkdir(exist_ok=True)
    if form.error is not None:
        with pytest.raises(UserError) as error:
            made(form, tmp_path)
        assert re.search(form.error, str(error.value), re.DOTALL), str(error.value)
        assert not list(tmp_path.glob("made/*"))
        return
    outputs = made(form, tmp_path)
    names = io.read_table(outputs["items"])[0].column("name").to_pylist()
    table, metadata = io.read_table(outputs["annotations"])
    classes = metadata["classes"]
    counts = np.zeros((len(names), len(classes)), int)
    np.add.at(counts, (io.vector(table, "item"), io.vector(table, "label")), 1)
    if form.votes is not None:
        assert counts_by_name(names, classes, counts) == dict(form.votes)
    if form.annotators is not None:
        assert len(set(table.column("annotator").to_pylist()) - {None}) == form.annotators
    if form.remark is not None:
        remarks = "\n".join(metadata["notes"]["remarks"])
        assert re.search(form.remark, remarks), remarks
