"""Exports of annotation tools: recounts by other code, and what no table of forms can say."""

import csv
import io
import json
import random
import traceback
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from data_files import CIFAR10H, import_data, tables_of
from forms import exports as forms
from forms import images

from softlabels import suggest
from softlabels.datasets import data, exports, looks
from softlabels.errors import UserError
from softlabels.plan import Plan

CASES = CIFAR10H.parents[1] / "cases"
MOST_ODD = 60  # texts of one export that are tried


@pytest.fixture
def tmp_path(tmp_path):
    """A folder with nothing beside it: what looks at a file looks beside its folder for images, too."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def case(tmp_path, folder, kind, votes):
    """The votes of a case, counted by image and class, and the notes on its import."""
    if not (CASES / folder).is_dir():
        pytest.skip("needs the folder of cases")
    made = tables_of(
        import_data(
            tmp_path, {"folder": CASES / folder / "images", "votes": CASES / folder / votes}, kind=kind, pixels=16
        )
    )
    names, classes = made["items"].column("name").to_pylist(), made["classes"]
    rows = made["annotations"].to_pylist()
    return Counter((names[row["item"]], classes[row["label"]]) for row in rows), made


def test_a_json_of_label_studio_recounted(tmp_path):
    found, made = case(tmp_path, "ls_json", "label_studio", "votes.json")
    expected, cancelled = Counter(), 0
    for task in json.loads((CASES / "ls_json" / "votes.json").read_text()):
        for annotation in task["annotations"]:
            cancelled += annotation["was_cancelled"]
            for result in annotation["result"]:
                expected[task["data"]["image"].split("-")[-1], result["value"]["choices"][0]] += 1
    assert found == expected
    assert f"{cancelled} cancelled (skipped) annotations were left out." in made["notes"]["remarks"]


def test_a_csv_of_label_studio_recounted(tmp_path):
    found, made = case(tmp_path, "ls_csv", "label_studio", "votes.csv")
    table = pd.read_csv(CASES / "ls_csv" / "votes.csv").dropna(subset=["choice"])
    assert found == Counter(zip(table["image"].str[-7:], table["choice"], strict=True))
    assert made["annotations"].num_rows == len(table)


def test_a_data_set_of_prodigy_recounted(tmp_path):
    found, made = case(tmp_path, "prodigy", "prodigy", "votes.jsonl")
    table = pd.read_json(CASES / "prodigy" / "votes.jsonl", lines=True)
    kept = table[table["answer"] == "accept"]
    assert found == Counter(zip(kept["image"], kept["accept"].str[0], strict=True))
    ignored = (table["answer"] == "ignore").sum()
    assert f"{ignored} ignored tasks were left out." in made["notes"]["remarks"]
    assert len(set(made["annotations"].column("annotator").to_pylist())) == kept["_annotator_id"].nunique()


@pytest.mark.parametrize("text, expected", [
    ("2024-05-02T09:10:11.5Z", pd.Timestamp("2024-05-02T09:10:11.5Z").timestamp()),
    ("2024-04-08T16:21:26.000+02:00", pd.Timestamp("2024-04-08T14:21:26Z").timestamp()),
    ("2025-01-29 17:36:51 UTC", pd.Timestamp("2025-01-29T17:36:51Z").timestamp()),
    ("Thu Oct 09 07:30:20 UTC 2025", pd.Timestamp("2025-10-09T07:30:20Z").timestamp()),
    ("Thu Oct 09 07:30:20 PDT 2025", pd.Timestamp("2025-10-09T14:30:20Z").timestamp()),
    ("2021-03-05T10:00:00", pd.Timestamp("2021-03-05T10:00:00Z").timestamp()),
    (1707211049, 1707211049.0), ("yesterday", None), ("", None), (None, None), (True, None),
])  # fmt: skip
def test_times_are_seconds_since_1970(text, expected):
    assert exports.seconds(text) == expected


def test_times_of_an_export_are_kept_with_its_votes(tmp_path):
    forms.file("export.json", forms.UPLOADED)(tmp_path)
    paths = {"folder": tmp_path / "images", "votes": tmp_path / "export.json"}
    times = tables_of(import_data(tmp_path / "out", paths, kind=forms.STUDIO["kind"]))["annotations"].column("time")
    assert np.unique(times.to_numpy()).tolist() == [pd.Timestamp("2024-05-02T09:10:11.5Z").timestamp()]


@pytest.mark.parametrize("text", [
    "a b.png", "x/a%20b.png", "https://h/x/a%20b.png?token=1", "s3://bucket/A B.PNG", "x\\a b.jpg",
    "/data/upload/3/9c1e04ab-a b.png", "/data/local-files/?d=x/a%20b.png",
])  # fmt: skip
def test_which_key_names_images_is_seen_in_every_spelling(text):
    assert exports.bare(text) == "a_b"


ODD = (3, "x", None, [], {}, [3], True)  # what may stand in the place of any value


def replaced(value):
    """A JSON value with each part of it, one after another, replaced by each odd value; JSON in texts is opened."""
    yield from ODD
    if isinstance(value, str) and not isinstance(inner := exports.parsed(value), str):
        yield from (json.dumps(other) for other in replaced(inner))
    for key, part in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        for other in replaced(part):
            changed = value.copy()
            changed[key] = other
            yield changed


def rows_replaced(rows):
    """Rows of a table whose cells are replaced so."""
    for row in replaced(rows):
        if isinstance(row, list) and row and all(isinstance(cells, dict) and cells for cells in row):
            yield [{name: cell if isinstance(cell, str) else json.dumps(cell) for name, cell in cells.items()}
                   for cells in row]  # fmt: skip


def documents(rows):
    return map(json.dumps, replaced(rows))


def lines(rows):
    return (forms.lines(records) for records in replaced(rows) if isinstance(records, list))


def tables(rows, separator=","):
    return (forms.table(cells, separator) for cells in rows_replaced(rows))


def turk(**answers):
    return list(csv.DictReader(io.StringIO(forms.assigned(**answers))))[:2]


def toloka(output):
    rows = csv.DictReader(io.StringIO(forms.pooled(output)), delimiter="\t")
    return list(rows)[:2]


CHOSEN = {"cat": lambda v: str(v == "cat").lower(), "dog": lambda v: str(v == "dog").lower()}
ODD_EXPORTS = {
    "label_studio": ("export.json", documents, forms.UPLOADED[:1]),
    "label_studio: clouds": ("export.json", documents, forms.CLOUD[:2]),
    "label_studio: ratings": ("export.json", documents, forms.RATED[1:2]),
    "label_studio: flat": ("export.json", documents, forms.BOTH[:2]),
    "label_studio: table": ("export.csv", tables, forms.BOTH_CSV[:2]),
    "labelbox": ("export.ndjson", lines, forms.ROWS[:1]),
    "labelbox: list": ("export.json", documents, forms.CHECKED[:1]),
    "labelbox: nested": ("export.ndjson", lines, forms.NESTED[:1]),
    "labelbox: first": ("export.json", documents, forms.FIRST[:2]),
    "prodigy": ("export.jsonl", lines, forms.CHOICES[:2]),
    "prodigy: meta": ("export.jsonl", lines, forms.ENCODED[:2]),
    "prodigy: binary": ("export.jsonl", lines, forms.BINARY[:2]),
    "zooniverse": ("export.csv", tables, forms.CLASSIFIED[:2]),
    "zooniverse: tasks": ("export.csv", tables, forms.TASKS[-2:]),
    "mturk": ("export.csv", tables, turk(taskAnswers=forms.as_json(lambda v: {"kind": {"label": v}}))),
    "mturk: buttons": ("export.csv", tables, turk(taskAnswers=forms.as_json(lambda v: {"kind": {v: True}}))),
    "mturk: columns": ("export.csv", tables, turk(**{f"kind.{name}": of for name, of in CHOSEN.items()})),
    "toloka": ("export.tsv", lambda rows: tables(rows, "\t"), toloka(lambda v: {"result": v})),
    "toloka: lists": ("export.tsv", lambda rows: tables(rows, "\t"), toloka(lambda v: {"result": json.dumps([v])})),
    "toloka: boxes": (
        "export.tsv",
        lambda rows: tables(rows, "\t"),
        toloka(lambda v: {name: of(v) for name, of in CHOSEN.items()}),
    ),
}


@pytest.mark.parametrize("name", ODD_EXPORTS)
def test_odd_values_anywhere_in_an_export_are_a_message_or_votes(name, tmp_path):
    """Readers and recognition meet each value of an export replaced by values of other types."""
    kind, (file, written, rows) = name.partition(":")[0], ODD_EXPORTS[name]
    images(tmp_path / "images", forms.NAMES)
    path = tmp_path / file
    source = {"kind": kind, "images": str(tmp_path / "images"), "votes": str(path)}
    raw = {"datasets": {"d": {"source": source}}, "recipes": {"r": {"network": "compact"}},
           "studies": {"s": {"datasets": ["d"], "recipes": ["r"]}}}  # fmt: skip
    config = Plan(raw).of("data", dataset="d")
    texts = list(dict.fromkeys(written(rows)))
    texts = random.Random(0).sample(texts, min(len(texts), MOST_ODD))
    assert len(texts) > MOST_ODD / 2

    def imported():
        with data.opened(config, {"folder": tmp_path / "images", "votes": path}, tmp_path):
            pass

    wrong = {}
    for text in texts:
        path.write_text(text, encoding="utf-8", newline="")
        for attempt in (imported, lambda: list(suggest.guessed(looks.look(path)))):
            try:
                attempt()
            except UserError:
                continue
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                wrong.setdefault(f"{place.name}: {error!r}", text)
    assert not wrong
