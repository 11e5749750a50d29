"""Data sets of the DCIC benchmark: folders of folds with annotations.json."""

import json
import operator
import shutil
import time
import zipfile
from datetime import UTC, datetime
from functools import reduce

import data_files
import numpy as np
import pytest
from data_files import assert_same, import_data, tables_of
from PIL import Image

from softlabels import io
from softlabels.datasets import dcic

# Names and labels of the images disagree, as in MiceBone: a name that starts with a label says nothing.
IMAGES = ("fold1/g#1.png", "fold1/nr#2.png", "fold2/g#3.png", "fold3/ug#4.png")
A, B, C, D = (f"Bones/{name}" for name in IMAGES)


def vote(image, label, at="08-07-2022-13-05-59"):
    return {"image_path": image, "created_at": at, "class_label": label}


def entry(name, *votes, **other):
    return {"name": name, "dataset_name": "Bones", "user_mail": "INVALID", "annotations": list(votes)} | other


SETS = [
    entry("INVALID290", vote(A, "nr"), vote(B, "nr"), vote(C, "ug"), vote(D, "g")),
    entry("INVALID47", vote(A, "nr"), vote(B, "g"), vote(C, None)),
]


def write(root, sets=SETS, images=IMAGES):
    """A data set on disk; ``sets`` is text, or a JSON value."""
    for number, name in enumerate(images):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (40 * number, 0, 0)).save(root / name)
    text = sets if isinstance(sets, str) else json.dumps(sets)
    (root / "annotations.json").write_text(text, encoding="utf-8")
    return root


def run(folder, key="folder", **source):
    """Import the data set; the written tables and images, the classes and the notes."""
    outputs = import_data(folder.parent / "data", {key: folder}, kind="dcic", **source)
    return tables_of(outputs) | {"images": np.load(outputs["images"])}


def refusal(folder, **source):
    return data_files.refusal(folder.parent, run, folder, **source)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "Bones"


# -- what is imported --------------------------------------------------------------------------------------------------


def test_a_data_set_becomes_images_votes_and_folds(root):
    written = run(write(root))
    assert written["items"].column("name").to_pylist() == list(IMAGES)
    assert written["items"].column("fold").to_pylist() == [1, 1, 2, 3]
    assert str(written["items"].schema.field("fold").type) == "int8"
    assert written["classes"] == ["g", "nr", "ug"]
    np.testing.assert_allclose(io.matrix(written["reference"], "p"), [[0, 1, 0], [0.5, 0.5, 0], [0, 0, 1], [1, 0, 0]])
    assert io.vector(written["reference"], "votes").tolist() == [2, 2, 1, 1]
    assert written["images"][:, 0, 0, 0].tolist() == [0, 40, 80, 120]


def test_annotations_without_a_label_are_counted_and_left_out(root):
    written = run(write(root))
    assert written["annotations"].num_rows == 6
    assert "1 annotations have no label and were left out." in written["notes"]["remarks"]


def test_annotators_are_the_names_of_the_sets(root):
    votes = run(write(root), pseudonymise=False)["annotations"]
    assert votes.column("annotator").to_pylist() == [*["INVALID290", "INVALID47"] * 2, "INVALID290", "INVALID290"]
    assert set(run(root)["annotations"].column("annotator").to_pylist()) == {"annotator-0001", "annotator-0002"}


def test_a_set_without_a_name_has_an_unknown_annotator(root):
    nameless = {key: value for key, value in SETS[0].items() if key != "name"}
    for sets in ([nameless, SETS[1]], [entry("INVALID", *SETS[0]["annotations"]), SETS[1]]):
        written = run(write(root, [*sets, sets[0]]), pseudonymise=False)
        assert written["annotations"].column("annotator").null_count == 8
        assert not any("further vote" in remark for remark in written["notes"]["remarks"])


def test_two_sets_of_one_name_count_in_full_and_their_repeats_are_reported(root):
    written = run(write(root, [*SETS, entry("INVALID290", vote(A, "nr"), vote(B, "ug"))]))
    assert io.vector(written["reference"], "votes").tolist() == [3, 3, 1, 1]
    assert len(set(written["annotations"].column("annotator").to_pylist())) == 2
    assert any(remark.startswith("2 of 8 votes are a further vote") for remark in written["notes"]["remarks"])
    assert not any("further vote" in remark for remark in run(write(root))["notes"]["remarks"])


def test_a_set_that_was_made_from_counts_has_no_annotator(root):
    counts = entry("INVALID1", *[vote(image, "nr") for image in (A, B, C, D) for _ in range(3)])
    written = run(write(root, [*SETS, counts]), pseudonymise=False)
    votes = written["annotations"].column("annotator").to_pylist()
    assert votes.count(None) == 12
    assert set(votes) == {"INVALID290", "INVALID47", None}
    assert any(
        remark.startswith("12 of 18 votes are in 1 annotation sets with three votes an image or more")
        for remark in written["notes"]["remarks"]
    )
    assert not any("further vote" in remark for remark in written["notes"]["remarks"])


def test_times_are_seconds_that_no_time_zone_changes(root, monkeypatch):
    sets = [entry("INVALID1", *(vote(image, "g", "08-07-2022-13-05-59") for image in (A, B, C))),
            entry("INVALID2", vote(D, "ug", "yesterday"), vote(A, "ug", None), vote(B, "ug", -1))]  # fmt: skip
    times = []
    for zone in ("Asia/Tokyo", "UTC"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        times.append(run(write(root, sets))["annotations"].column("time").to_pylist())
    expected = datetime(2022, 7, 8, 13, 5, 59, tzinfo=UTC).timestamp()
    assert times[0] == times[1] == [expected, None, expected, None, expected, None]


def test_without_any_readable_time_there_is_no_column(root):
    sets = [entry("INVALID1", vote(A, "g", None), vote(B, "ug", ""), vote(C, "g", "2022"), vote(D, "g", []))]
    assert "time" not in run(write(root, sets))["annotations"].column_names


def test_the_order_of_the_classes_is_that_of_their_code_points(root):
    labels = ["b", "B", "ä", "10_x"]
    sets = [entry("INVALID1", *(vote(image, label) for image, label in zip((A, B, C, D), labels, strict=True)))]
    write(root, sets)
    assert "labels 'B' and 'b'" in refusal(root)
    sets[0]["annotations"][1]["class_label"] = "A"
    assert run(write(root, sets))["classes"] == list(np.unique(["b", "A", "ä", "10_x"])) == ["10_x", "A", "b", "ä"]


def test_listed_classes_give_the_order_and_may_have_no_votes(root):
    written = run(write(root), classes=["ug", "none", "nr", "g"])
    assert written["classes"] == ["ug", "none", "nr", "g"]
    np.testing.assert_allclose(io.matrix(written["reference"], "p")[1], [0, 0, 0.5, 0.5])


def test_a_renamed_folder_is_the_same_data_set(root, tmp_path):
    first = run(write(root))
    root.rename(tmp_path / "renamed#1")
    assert_same(first, run(tmp_path / "renamed#1"))


@pytest.mark.parametrize(
    ("folders", "numbers"),
    [
        (("fold1", "fold2", "fold10"), [1, 2, 10]),
        (("part0", "part4", "part5"), [0, 4, 5]),
        (("north", "east", "south"), [2, 1, 3]),
        (("a1", "b1", "c2"), [1, 2, 3]),
        (("y2022", "y2023", "y2024"), [1, 2, 3]),
    ],
)
def test_folds_have_the_number_of_their_folder(root, folders, numbers):
    images = [f"{folder}/x.png" for folder in folders]
    sets = [entry("INVALID1", *(vote(f"Bones/{name}", label) for name, label in zip(images, "aab", strict=True)))]
    items = run(write(root, sets, images))["items"]
    assert dict(zip(items.column("name").to_pylist(), items.column("fold").to_pylist(), strict=True)) == dict(
        zip(images, numbers, strict=True)
    )


def test_an_archive_is_found_out_and_gives_the_same(root, tmp_path):
    first = run(write(root))
    archive = shutil.make_archive(str(tmp_path / "Bones"), "zip", tmp_path, "Bones")
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("README.txt", "see the paper")
    assert_same(first, run(tmp_path / "Bones.zip", key="archive", checksum=None))


def test_images_outside_of_the_folds_are_left_out_with_a_remark(root, tmp_path):
    write(root)
    Image.new("RGB", (4, 4)).save(root / "overview.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "logo.png")
    written = tables_of(import_data(tmp_path / "data", {"folder": tmp_path}, kind="dcic"))
    assert written["items"].column("name").to_pylist() == list(IMAGES)
    assert "2 images are in no fold of the data set and were left out." in written["notes"]["remarks"]


def test_images_without_a_vote_are_refused_or_left_out(root):
    write(root, images=[*IMAGES, "fold1/x.png"])
    assert "fold1/x.png: found no vote for this image (1 of 5" in refusal(root)
    written = run(root, unvoted="leave_out")
    assert written["items"].column("name").to_pylist() == list(IMAGES)
    assert written["items"].column("fold").to_pylist() == [1, 1, 2, 3]


# -- what is refused ---------------------------------------------------------------------------------------------------


def changed(*path, to):
    """The sets with another value at a place; without the key where ``to`` is ``...``."""
    sets = json.loads(json.dumps(SETS))
    *above, key = path
    place = reduce(operator.getitem, above, sets)
    place[key] = to
    if to is ...:
        del place[key]
    return sets


def entry_with(**values):
    """The sets with another value of one annotation; without the key where that is ``...``."""
    ((key, value),) = values.items()
    return changed(0, "annotations", 1, key, to=value)


ANNOTATION = "annotations.json: set 1 ('INVALID290'), annotation 2: "
BAD = {
    "too deep": ("[" * 100_000, "annotations.json: cannot be read as JSON"),
    "an endless number": ("[" + "1" * 5000 + "]", "annotations.json: cannot be read as JSON"),
    "null": (None, "found null, expected a list of annotation sets"),
    "a set that is a list": (changed(1, to=[]), "annotations.json: set 2: found a list, expected an object"),
    "a name that is a number": (changed(0, "name", to=3), "set 1: found 3 as name, expected a text"),
    "half a character": (changed(0, "name", to="\ud800"), r"set 1: found '\ud800' as name, expected a text"),
    "no annotations": (changed(0, "annotations", to=...), "set 1: found nothing as annotations, expected a list"),
    "annotations in an object": (changed(0, "annotations", to={}), "set 1: found an object as annotations"),
    "an annotation that is text": (changed(0, "annotations", 1, to="g"), ANNOTATION + "found 'g', expected an object"),
    "a label that is a list": (entry_with(class_label=["g"]), "found a list as class_label"),
    "an empty label": (entry_with(class_label=""), "found '' as class_label"),
    "no label": (entry_with(class_label=...), "found nothing as class_label"),
    "a path that is a number": (entry_with(image_path=7), "found 7 as image_path"),
    "no path": (entry_with(image_path=...), "found nothing as image_path"),
    **{
        what: (entry_with(image_path=path), f"{ANNOTATION}found no image '{path}'")
        for what, path in (
            ("an absolute path", "/fold1/nr#2.png"),
            ("a path that climbs", "../fold1/nr#2.png"),
            ("a path that climbs inside", "Bones/fold1/../fold1/nr#2.png"),
            ("a path without a folder", "nr#2.png"),
        )
    },
    "another data set": (entry_with(image_path="Pig/fold1/nr#2.png"),
        ANNOTATION + "found an image_path that starts with 'Pig', expected 'Bones' as before"),
    "no vote": ([entry("INVALID1")], "found 0 class (none)"),
}  # fmt: skip


@pytest.mark.parametrize(("sets", "message"), BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_by_its_place(root, sets, message):
    assert message in refusal(write(root, sets))


def test_images_that_are_not_there_are_named_with_their_votes(root):
    write(root)
    (root / A.removeprefix("Bones/")).unlink()
    (root / C.removeprefix("Bones/")).unlink()
    message = refusal(root)
    assert f"annotation 1: found no image '{A}' (2 rows)" in message
    assert f"annotation 3: found no image '{C}'. Write" in message


def test_a_label_outside_of_the_listed_classes_names_the_annotation(root):
    message = refusal(write(root), classes=["nr", "g"])
    assert "set 1 ('INVALID290'), annotation 3: found no label 'ug'. Write one of nr, g" in message


def test_a_person_is_refused_where_names_are_kept_and_never_shown(root):
    mail = write(root, [SETS[0] | {"user_mail": "eve@example.org"}, SETS[1]])
    assert "set 1 ('INVALID290'): found a name or a user_mail" in refusal(mail, pseudonymise=False)
    named = write(root, [SETS[0] | {"name": "Eve"}, SETS[1]])
    message = refusal(named, pseudonymise=False)
    assert "annotations.json: set 1: found a name or a user_mail" in message
    assert "Eve" not in message
    assert "Eve" not in str(run(named)["annotations"].column("annotator").to_pylist())


def test_a_mail_address_is_in_no_file(root):
    run(write(root, [SETS[0] | {"user_mail": "eve@example.org"}, SETS[1]]))
    assert all(b"example.org" not in file.read_bytes() for file in (root.parent / "data").iterdir())


def test_a_file_of_another_kind_ends_early(root):
    assert refusal(write(root, [7] * 1000)).startswith("25 problems:")
    assert refusal(write(root, [entry("INVALID1", *[7] * 1000)])).startswith("25 problems:")


def test_a_folder_without_annotations_says_what_was_expected(root):
    write(root)
    (root / "annotations.json").unlink()
    assert "found no annotations.json in it or below it, expected the folder of a data set of the DCIC" in refusal(root)


def test_two_data_sets_in_one_folder_are_refused(tmp_path):
    write(tmp_path / "all" / "Bones")
    write(tmp_path / "all" / "Pig")
    assert "found 2 data sets (Bones, Pig), expected one" in refusal(tmp_path / "all")


def test_a_data_set_without_folds_is_refused(root):
    assert "found no image in a folder of it, expected them in fold1" in refusal(write(root, images=["x.png"]))


def test_an_image_that_links_out_of_the_folder_is_refused(root, tmp_path):
    write(root)
    (root / IMAGES[0]).rename(tmp_path / "outside.png")
    (root / IMAGES[0]).symlink_to(tmp_path / "outside.png")
    assert "links out of it" in refusal(root)


# -- published sizes ---------------------------------------------------------------------------------------------------


def named(name):
    return [each | {"dataset_name": name} for each in SETS]


def test_the_table_of_published_sizes_adds_up():
    # Numbers of images of the benchmark's paper.
    images = {"Benthic": 4867, "CIFAR10H": 10000, "MiceBone": 7240, "Pig": 10237, "Plankton": 12280, "QualityMRI": 310,
              "Synthetic": 15000, "Treeversity1": 9489, "Treeversity6": 9826, "Turkey": 8040}  # fmt: skip
    assert {name: sum(folds) for name, (_, folds) in dcic.PUBLISHED.items()} == images
    assert {name: sum(classes.values()) for name, (classes, _) in dcic.PUBLISHED.items()} == images
    assert all(list(classes) == sorted(classes) for classes, _ in dcic.PUBLISHED.values())


def test_a_known_data_set_must_have_its_published_sizes(root):
    message = refusal(write(root, named("MiceBone")))
    assert "images with votes: found all: 4, expected all: 7240 as published for MiceBone" in message
    assert (
        "images in the folds: found 1: 2, 2: 1, 3: 1, expected 1: 1540, 2: 1513, 3: 1325, 4: 1319, 5: 1543" in message
    )
    assert "images of the classes: found g: 2, nr: 1, ug: 1, expected g: 1068, nr: 5103, ug: 1069" in message
    assert "set source.published_sizes to false for a part of it" in message


def test_a_part_of_a_known_data_set_needs_its_sizes_unchecked(root):
    notes = run(write(root, named("MiceBone")), published_sizes=False)["notes"]
    assert notes["licence"] == "CC BY-SA 4.0"
    assert "Schmarje" in notes["citation"]


def test_a_data_set_with_its_published_sizes_is_accepted_in_any_order_of_the_classes(root, monkeypatch):
    # fold1/nr#2.png is a tie of g and nr, which counts for g, whatever order of the classes is asked for.
    monkeypatch.setitem(dcic.PUBLISHED, "Treeversity1", ({"g": 2, "nr": 1, "ug": 1}, (2, 1, 1)))
    notes = run(write(root, named("Treeversity#1")))["notes"]
    assert notes == run(root, classes=["nr", "x", "ug", "g"])["notes"]
    assert "Harvard" in notes["licence"]
    monkeypatch.setitem(dcic.PUBLISHED, "Treeversity1", ({"g": 1, "nr": 2, "ug": 1}, (2, 1, 1)))
    message = refusal(root)
    assert "images of the classes" in message
    assert "images in the folds" not in message


def test_a_data_set_has_the_licence_that_its_publishers_gave_it(root):
    assert set(run(write(root))["notes"]) == {"files", "remarks"}  # nobody published it
    assert run(write(root, named("CIFAR10H")), published_sizes=False)["notes"]["licence"] == "CC BY-NC-SA 4.0"


def test_the_votes_of_quality_mri_are_said_to_be_made(root):
    remarks = run(write(root, named("QualityMRI")), published_sizes=False)["notes"]["remarks"]
    assert any(remark.startswith("The votes of QualityMRI are made, not given") for remark in remarks)
