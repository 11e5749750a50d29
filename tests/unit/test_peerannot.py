"""Data sets in the layout of the peerannot library."""

import json

import data_files
import numpy as np
import pytest
from data_files import import_data, save_images, tables_of

from softlabels import io

# The library's own toy data: three images of two classes, four annotators.
IMAGES = ("train/notsmiles/frown-1.png", "train/smiles/smile-2.png", "train/smiles/xtra-smile-0.png")
ANSWERS = {"0": {"0": 1, "1": 0, "2": 1, "3": 1}, "1": {"0": 1, "2": 0, "3": 0}, "2": {"1": 1, "3": 1}}
METADATA = {"name": "toy-data", "n_classes": 2, "n_workers": 4, "n_tasks": 3}


def write(folder, answers=ANSWERS, metadata=METADATA, images=IMAGES):
    """A data set on disk; the JSON files are text, or JSON values."""
    save_images(folder, images)
    for name, content in (("answers.json", answers), ("metadata.json", metadata)):
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def run(folder, **source):
    return tables_of(import_data(folder.parent / "data", {"folder": folder}, kind="peerannot", **source))


def refusal(folder, **source):
    return data_files.refusal(folder.parent, run, folder, **source)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "toy"


# -- what is imported --------------------------------------------------------------------------------------------------


def test_answers_become_votes(folder):
    written = run(write(folder), pseudonymise=False)
    assert written["items"].column("name").to_pylist() == list(IMAGES)
    assert written["items"].column("folder_class").to_pylist() == ["notsmiles", "smiles", "smiles"]
    assert written["classes"] == ["notsmiles", "smiles"]
    assert written["annotations"].column("item").to_pylist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert written["annotations"].column("annotator").to_pylist() == list("023130123")
    assert written["annotations"].column("label").to_pylist() == [1, 0, 0, 1, 1, 1, 0, 1, 1]
    np.testing.assert_allclose(io.matrix(written["reference"], "p"), [[2 / 3, 1 / 3], [0, 1], [1 / 4, 3 / 4]])


def test_the_folder_of_an_image_is_no_vote(folder):
    swapped = run(write(folder, {**ANSWERS, "2": {"1": 0, "3": 0}}))
    np.testing.assert_allclose(io.matrix(swapped["reference"], "p")[1], [1, 0])
    assert "The most voted class is the image's folder on 66.7% of the images." in swapped["notes"]["remarks"]


def test_annotators_get_pseudonyms(folder):
    names = run(write(folder))["annotations"].column("annotator").to_pylist()
    assert set(names) == {f"annotator-000{number}" for number in (1, 2, 3, 4)}


def test_images_outside_of_train_and_their_answers_are_left_out(folder):
    images = [*IMAGES, "val/smiles/s-7.png", "test/smiles/t-0.png", "train/logo-8.png"]
    written = run(write(folder, ANSWERS | {"7": {"0": 1, "1": 0}}, images=images))
    assert written["items"].column("name").to_pylist() == list(IMAGES)
    assert written["annotations"].num_rows == 9
    assert "3 images outside of the class folders in train/ were not imported." in written["notes"]["remarks"]
    assert "2 answers on images outside of train/ were left out." in written["notes"]["remarks"]


def test_an_image_in_a_folder_below_its_class_belongs_to_the_class(folder):
    written = run(write(folder, images=[*IMAGES[:2], "train/smiles/more/x-0.png"]))
    assert written["items"].column("folder_class").to_pylist() == ["notsmiles", "smiles", "smiles"]


@pytest.mark.parametrize("nothing", [-1, None])
def test_missing_answers_are_counted_and_left_out(folder, nothing):
    written = run(write(folder, ANSWERS | {"2": {"0": nothing, "1": 1, "2": nothing}}))
    assert io.vector(written["reference"], "votes").tolist() == [3, 1, 4]
    assert "2 answers are -1 or null, which stands for none, and were left out." in written["notes"]["remarks"]


def test_a_task_without_answers_needs_no_image(folder):
    assert run(write(folder, ANSWERS | {"9": {}}))["annotations"].num_rows == 9


def test_images_without_answers_are_refused_or_left_out(folder):
    write(folder, ANSWERS | {"1": {}})
    assert "train/notsmiles/frown-1.png: found no vote for this image (1 of 3" in refusal(folder)
    written = run(folder, unvoted="leave_out")
    assert written["items"].column("folder_class").to_pylist() == ["smiles", "smiles"]


def test_an_empty_class_folder_has_an_index_too(folder):
    write(folder, {key: {"0": 2 if key != "1" else 1} for key in "012"}, METADATA | {"n_classes": 3})
    (folder / "train" / "ant").mkdir()
    (folder / "train" / ".cache").mkdir()
    assert run(folder)["classes"] == ["ant", "notsmiles", "smiles"]


# -- which index is which class ----------------------------------------------------------------------------------------


def test_indices_in_another_order_than_the_folders_are_noticed(folder):
    # The library's CIFAR-10H: folders plane, car, bird …, and the indices of CIFAR-10, where plane is 0.
    images = [f"train/{name}/x-{index}.png" for index, name in enumerate(("plane", "car", "bird"))]
    answers = {str(index): {"a": index, "b": index, "c": 1} for index in range(3)}
    write(folder, answers, METADATA | {"n_classes": 3}, images)
    message = refusal(folder)
    assert "found indices that fit the class folders in the order plane, car, bird" in message
    assert "expected the sorted one, bird, car, plane" in message
    written = run(folder, classes=["plane", "car", "bird"])
    assert written["classes"] == ["plane", "car", "bird"]
    np.testing.assert_allclose(io.matrix(written["reference"], "p")[0], [0, 1 / 3, 2 / 3])  # train/bird/x-2.png
    assert "The most voted class is the image's folder on 100.0% of the images." in written["notes"]["remarks"]


def test_the_order_that_the_user_gives_is_believed(folder):
    assert run(write(folder), classes=["smiles", "notsmiles"])["classes"] == ["smiles", "notsmiles"]


def test_classes_may_have_other_names_than_the_folders(folder):
    written = run(write(folder), classes=["sad", "glad"])
    assert written["classes"] == ["sad", "glad"]
    assert not any("most voted" in remark for remark in written["notes"]["remarks"])


def test_fewer_folders_than_classes_leave_the_indices_uncertain(folder):
    message = refusal(write(folder, metadata=METADATA | {"n_classes": 3}))
    assert "found n_classes 3, expected 2, as there are class folders in train/ (notsmiles, smiles)" in message
    assert run(folder, classes=["frowns", "notsmiles", "smiles"])["classes"][0] == "frowns"


# -- what is refused ---------------------------------------------------------------------------------------------------

BAD = {
    "metadata without sense": ({"metadata": 3}, "metadata.json: found 3, expected an object"),
    "classes without a number": ({"metadata": {"n_classes": "2"}}, "metadata.json: found n_classes '2', expected 2"),
    "a task with a list": ({"answers": {"0": [1, 0]}}, "task '0': found a list, expected an object"),
    "an index beyond": ({"answers": ANSWERS | {"1": {"2": 2}}},
        "answers.json: task '1', annotator '2': found 2, expected the index of a class, from 0 to 1"),
    "an index below": ({"answers": ANSWERS | {"1": {"2": -2}}}, "task '1', annotator '2': found -2, expected"),
    "a truth value": ({"answers": ANSWERS | {"1": {"2": True}}}, "annotator '2': found true, expected"),
    "a half": ({"answers": ANSWERS | {"1": {"2": 0.5}}}, "annotator '2': found 0.5, expected"),
    "a list as an answer": ({"answers": ANSWERS | {"1": {"2": [1]}}}, "annotator '2': found a list, expected"),
    "half a character": ({"answers": ANSWERS | {"1": {"\udc00": 1}}}, r"task '1', annotator '\udc00': found 1"),
    "no key": ({"images": [*IMAGES, "train/smiles/x.png"]}, "found 'train/smiles/x.png', expected a name that ends in"),
    "an empty key": ({"images": [*IMAGES, "train/smiles/x-.png"]}, "found 'train/smiles/x-.png', expected a name"),
    "no images in train": ({"images": ["val/smiles/x-0.png", "train/x-1.png"]}, "found no image in train/CLASS/"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_a_mistake_is_refused_by_its_place(folder, content, message):
    assert message in refusal(write(folder, **content))


@pytest.mark.parametrize("name", ["answers.json", "metadata.json"])
def test_a_missing_file_says_what_was_expected(folder, name):
    write(folder)
    (folder / name).unlink()
    assert f"found no {name}, expected the folder of a data set of peerannot, with answers.json" in refusal(folder)
