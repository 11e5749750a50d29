"""Every form of input that ``tests/forms`` lists gives its votes, or its message, and leaves nothing half-written."""

import re

import numpy as np
import pytest
from forms import all_forms, counts_by_name, imported

from softlabels import io
from softlabels.contracts import read_split
from softlabels.errors import UserError
from softlabels.labels import split
from softlabels.plan import Plan

FORMS = all_forms()


def split_of(form, outputs, seed=0):
    """The split of a form, made as the workflow does it: its file."""
    raw = {
        "datasets": {"d": {"source": dict(form.source), **form.dataset}},
        "splits": {"p": dict(form.split)},
        "recipes": {"r": {"network": "compact"}},
        "studies": {"s": {"datasets": ["d"], "recipes": ["r"], "splits": ["p"]}},
    }
    made = outputs["items"].with_name(f"seed{seed}.parquet")
    split.run(Plan(raw).told("split", split="p", seed=str(seed)), outputs, {"split": made})
    return made


def assert_parts(form, outputs, names):
    """The split of a form has the parts that it is said to have."""
    found = read_split(split_of(form, outputs))
    for part, expected in form.parts.items():
        items = found.items(part)
        assert (len(items) if isinstance(expected, int) else [names[item] for item in items]) == expected


@pytest.mark.parametrize("form", FORMS, ids=[form.name for form in FORMS])
def test_form(form, tmp_path):
    if form.needs and not form.needs.is_dir():
        pytest.skip(f"no {form.needs}")
    form.write(tmp_path)
    (tmp_path / "made").mkdir(exist_ok=True)
    if form.error is not None:
        with pytest.raises(UserError) as error:
            outputs = imported(form, tmp_path)
            if form.split is not None:  # the data are in order, the split is not
                split_of(form, {name: path.rename(tmp_path / path.name) for name, path in outputs.items()})
        assert re.search(form.error, str(error.value), re.DOTALL), str(error.value)
        assert not list(tmp_path.glob("made/*"))
        return
    outputs = imported(form, tmp_path)
    names = io.read_table(outputs["items"])[0].column("name").to_pylist()
    table, metadata = io.read_table(outputs["annotations"])
    classes = metadata["classes"]
    counts = np.zeros((len(names), len(classes)), int)
    np.add.at(counts, (io.vector(table, "item"), io.vector(table, "label")), 1)
    if form.votes is not None:
        assert counts_by_name(names, classes, counts) == dict(form.votes)
    if form.annotators is not None:
        assert len(set(table.column("annotator").to_pylist()) - {None}) == form.annotators
    if form.parts is not None:
        assert_parts(form, outputs, names)
    if form.remark is not None:
        remarks = "\n".join(metadata["notes"]["remarks"])
        assert re.search(form.remark, remarks), remarks
