"""What all imports share: the order of classes, names and classes that a mapping makes, and how much is told."""

import json

import numpy as np
import pytest
from data_files import import_data, save_images, tables_of, votes_of

from softlabels import registry, schema
from softlabels.datasets import folder as folders
from softlabels.datasets import imported, names
from softlabels.datasets.cells import is_missing
from softlabels.datasets.images import spellings
from softlabels.errors import Problems, UserError
from softlabels.plan import Plan

IMAGES = [f"{k:02d}.png" for k in range(12)]


def outputs_of(tmp_path, labels, **source):
    """A table with one vote an image."""
    save_images(tmp_path / "images", IMAGES)
    rows = [f"{name},w,{label}" for name, label in zip(IMAGES, labels, strict=True)]
    (tmp_path / "votes.csv").write_text("\n".join(["item,annotator,label", *rows]))
    inputs = {"folder": tmp_path / "images", "votes": tmp_path / "votes.csv"}
    return import_data(tmp_path / "data", inputs, kind="table", **source)


@pytest.mark.parametrize(
    ("labels", "classes", "told"),
    [
        (range(12), [str(k) for k in range(12)], True),
        ([k - 2 for k in range(12)], [str(k - 2) for k in range(12)], True),
        ([k % 10 for k in range(12)], [str(k) for k in range(10)], False),
        ([f"g{k}" for k in range(12)], sorted(f"g{k}" for k in range(12)), False),
        ([*range(11), "x"], sorted([*map(str, range(11)), "x"]), False),
    ],
)
def test_whole_numbers_keep_their_order(tmp_path, labels, classes, told):
    made = tables_of(outputs_of(tmp_path, labels))
    assert made["classes"] == classes
    assert any("whole numbers" in remark for remark in made["notes"]["remarks"]) == told


def test_classes_of_a_mapping_keep_its_order(tmp_path):
    outputs = outputs_of(tmp_path, [k % 4 for k in range(12)], classes={"z": [3], "a": [0, 1], "m": 2})
    assert tables_of(outputs)["classes"] == ["z", "a", "m"]
    assert votes_of(outputs).sum(axis=0).tolist() == [3, 6, 3]


def plan_of(**source):
    raw = {
        "datasets": {"d": {"source": {"kind": "table", "images": "i", "votes": "v.csv", **source}}},
        "recipes": {"r": {"network": "compact"}},
        "studies": {"s": {"datasets": ["d"], "recipes": ["r"]}},
    }
    return Plan(raw)


def test_the_order_of_a_mapping_is_tracked():
    one, other = ({"b": ["x"], "a": ["y"]}, {"a": ["y"], "b": ["x"]})
    assert plan_of(classes=one).json("data", dataset="d") != plan_of(classes=other).json("data", dataset="d")
    assert json.loads(plan_of(classes=one).json("data", dataset="d"))["source"]["classes"] == [
        ["b", ["x"]],
        ["a", ["y"]],
    ]


def test_options_that_are_new_change_nothing_that_is_tracked():
    neutral = {"missing": "refuse", "repeats": "refuse", "minimum_votes": 1, "follow_links": False}
    assert plan_of(**neutral).json("data", dataset="d") == plan_of().json("data", dataset="d")
    assert not neutral.keys() & json.loads(plan_of().json("data", dataset="d"))["source"].keys()


def test_every_source_of_image_files_with_votes_has_the_options():
    for kind in registry.names("source"):
        about = registry.entry("source", kind)
        if "folder" in schema.paths("source", kind).values() and "votes" in about["gives"]:
            assert {"unvoted", "minimum_votes", "follow_links"} <= schema.options("source", kind)[
                "properties"
            ].keys(), kind


def test_a_truth_follows_the_classes():
    labels_of = imported.merging([["pet", ["cat", "dog"]], ["fox", "fox"], ["skip", None]])[1]
    truth = imported.merged_truth(labels_of, np.array(["cat", None, "fox", "skip", "dog"], object))
    assert truth.tolist() == ["pet", None, "fox", None, "pet"]


@pytest.mark.parametrize(
    "text", ["", " ", "None", "nan", "NaN", "<NA>", "null", "NULL", "N/A", "n/a", "undefined", "NA", "#N/A"]
)
def test_words_for_nothing(text):
    assert is_missing(text)


@pytest.mark.parametrize("text", ["none", "na", "0", "no", "nano", "Nan.", "unknown"])
def test_words_that_are_answers(text):
    assert not is_missing(text)


def test_a_date_is_seconds():
    assert imported.seconds("1970-01-02") == 86_400
    assert imported.seconds("1970-01-01 01:00:00 UTC") == imported.seconds("1970-01-01T02:00:00+01:00") == 3_600
    assert np.isnan(imported.seconds("Tuesday"))


def test_problems_stand_for_more_than_one():
    problems = Problems()
    problems.add("one.")
    problems.add("and 59,999 more.", 59_999)
    with pytest.raises(UserError, match=r"^60,000 problems:\n  - one\.\n  - and 59,999 more\.$") as error:
        problems.stop()
    assert error.value.listed == {"one.": 1, "and 59,999 more.": 59_999}


def test_no_rule_of_names_gives_two_names_one_image():
    draw = np.random.default_rng(0)
    parts = ["a", "A", "01", "1", "001", "ä", "a\u0308", "a b", "a%20b", "9c1e04ab-1"]
    for _ in range(300):
        images = sorted({f"{draw.choice(['', 'x/', 'y/'])}{draw.choice(parts)}.png" for _ in range(4)})
        column = {
            f"{draw.choice(['', './', 'z/', 'x/'])}{draw.choice(parts)}{draw.choice(['.png', '.jpg', ''])}"
            for _ in range(4)
        }
        match = names.match(sorted(column), images)
        if match.missing or match.several or match.shared:
            continue
        assert match.image.keys() == column
        exact = spellings(images).keys() & column
        for index in set(match.image.values()):
            those = {name for name in column if match.image[name] == index}
            assert those <= exact or len({names.read(name) for name in those}) == 1


def test_what_fits_as_it_is_stays(tmp_path):
    images = ["x/a.png", "y/a.png", "b.png"]
    match = names.match(["x/a.png", "y/a.png", "b", "b.png"], images)
    assert (match.image, match.ruled) == ({"x/a.png": 0, "y/a.png": 1, "b": 2, "b.png": 2}, 0)


def test_links_that_go_round_end(tmp_path):
    save_images(tmp_path, ["a.png", "sub/b.png"])
    (tmp_path / "sub" / "round").symlink_to(tmp_path)
    found = [path.relative_to(tmp_path).as_posix() for path in folders.image_files(tmp_path, follow_links=True)]
    assert found == ["a.png", "sub/b.png"]
