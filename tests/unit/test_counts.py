"""Images with vote counts."""

import numpy as np
import pytest
from data_files import CIFAR10H, import_data, save_images, votes_of
from PIL import Image

from softlabels import io
from softlabels.datasets import contract
from softlabels.datasets.cifar10n import CIFAR10_CLASSES
from softlabels.errors import UserError
from softlabels.labels import label

NAMES = ["a.png", "b.png", "sub/c.png"]
COUNTS = np.array([[3, 0, 1], [0, 2, 2], [1, 0, 0]])


def create(tmp_path, content, folder=None, **source):
    """Import a CSV text or a matrix; the outputs by name."""
    if isinstance(content, str):
        path = tmp_path / "counts.csv"
        path.write_bytes(content.encode())
    else:
        path = tmp_path / "counts.npy"
        np.save(path, content)
    folder = folder or save_images(tmp_path / "images", NAMES)
    return import_data(tmp_path / "data", {"folder": folder, "counts": path}, kind="counts", **source)


def read(outputs):
    items, _ = io.read_table(outputs["items"])
    return items, votes_of(outputs), io.read_table(outputs["annotations"])[1]["classes"]


def test_row_i_of_the_matrix_is_the_i_th_file_name(tmp_path):
    outputs = create(tmp_path, COUNTS)
    items, found, classes = read(outputs)
    assert items.column("name").to_pylist() == NAMES
    assert items.column("group").to_pylist() == [None] * 3
    assert items.column("sha256").to_pylist() == [io.sha256(tmp_path / "images" / name) for name in NAMES]
    assert contract.read_images(outputs["images"])[:, 0, 0, 0].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(found, COUNTS)
    assert classes == ["0", "1", "2"]
    reference, metadata = io.read_table(outputs["reference"])
    np.testing.assert_allclose(io.matrix(reference, "p"), [[0.75, 0, 0.25], [0, 0.5, 0.5], [1, 0, 0]])
    assert io.vector(reference, "votes").tolist() == [4, 4, 1]
    assert metadata["reference"] == "votes"


def test_names_in_the_file_find_their_images_in_any_order(tmp_path):
    text = "z,name,y,patient\n1,c.png,0,p2\n3.0,a.png,1,\n0,b,7,p1\n"
    items, found, classes = read(create(tmp_path, text, order="name", group_column="patient"))
    assert classes == ["z", "y"]
    assert found.tolist() == [[3, 1], [0, 7], [1, 0]]
    assert items.column("group").to_pylist() == [None, "p1", "p2"]


def test_given_classes_set_the_order_of_the_columns(tmp_path):
    _, found, classes = read(create(tmp_path, "\ufeffz,y\n1,2\n3,4\n5,6\n", classes=["y", "z"]))
    assert classes == ["y", "z"]
    assert found.tolist() == [[2, 1], [4, 3], [6, 5]]


NAMED = {"order": "name"}


@pytest.mark.parametrize(
    ("content", "source", "message"),
    [
        ("y,z\n1,2\n1,\n1,1\n", {}, r"line 3, column 'z': found ''"),
        ("y,z\n1,2\n1,1_0\n1,1\n", {}, r"line 3, column 'z': found '1_0'"),
        ("y,z\n1,2\n1,1\n", {}, r"found 2 rows, expected 3, .*'sub/c.png' is the first"),
        ("y,z\n1,2\n1,1\n1,1\n1,1\n", {}, r"found 4 rows, expected 3, .*row 3 \(counted from 0\) is the first"),
        ("name,y,z\na.png,1,2\nb.png,1,1\nx.png,1,1\n", NAMED, r"line 4: found no image 'x.png'"),
        ("name,y,z\na.png,1,2\nb.png,1,1\n", NAMED, r"1 of 3 images have no row, the first is 'sub/c.png'"),
        ("nome,y,z\na.png,1,2\nb.png,1,1\na,1,1\n", NAMED, r"no column 'name' \(source.name_column\).*mean 'nome'"),
        (COUNTS[0], {}, r"found int64 \[3\]"),
        (np.array([[1, 2], [1, 1], [0, 0]]), {}, r"sub/c\.png: found no vote for this image \(1 of 3"),
        (COUNTS[:, :1] + 1, {}, "found 1 class"),
        (COUNTS, {"classes": ["y", "z"]}, r"found 3 columns, expected 2 as in source\.classes"),
        ("y,z\n1,2\n3,4\n5,6\n", {"classes": ["y", "x"]}, r"found the class columns y, z, expected y, x"),
        (COUNTS, NAMED, r"source\.order to index"),
        (COUNTS, {"group_column": "patient"}, r"source\.group_column to null"),
    ],
)
def test_a_mistake_is_refused_by_its_place(tmp_path, content, source, message):
    with pytest.raises(UserError, match=message):
        create(tmp_path, content, **source)
    assert not (tmp_path / "data").exists()


def test_all_mistakes_of_a_file_are_in_one_message(tmp_path):
    with pytest.raises(UserError) as error:
        create(tmp_path, "y,z\n-1,2\n1,x\n1\n")
    assert str(error.value).splitlines()[0] == "3 problems:"
    assert all(part in str(error.value) for part in ("line 4 has 1 cells", "'y': found '-1'", "'z': found 'x'"))


def test_images_without_a_vote_can_be_left_out(tmp_path):
    outputs = create(tmp_path, "y,z\n1,2\n0,0\n1,1\n", unvoted="leave_out")
    assert io.read_table(outputs["items"])[0].column("name").to_pylist() == ["a.png", "sub/c.png"]
    assert votes_of(outputs).tolist() == [[1, 2], [1, 1]]
    assert contract.read_images(outputs["images"])[:, 0, 0, 0].tolist() == [0, 2]
    remarks = io.read_table(outputs["annotations"])[1]["notes"]["remarks"]
    assert remarks == ["1 of 3 images have no vote and were left out."]


@pytest.mark.skipif(not CIFAR10H.is_dir(), reason="CIFAR-10H is not here")
def test_cifar10h_has_its_known_numbers(tmp_path):
    matrix = np.load(CIFAR10H / "cifar10h-counts.npy")
    outputs = create(tmp_path, matrix, CIFAR10H / "images", classes=CIFAR10_CLASSES)
    items, found, classes = read(outputs)
    np.testing.assert_array_equal(found, matrix)
    assert found.sum() == 511_000
    assert classes == CIFAR10_CLASSES
    assert items.column("name")[9999].as_py() == "09999.jpg"
    images = contract.read_images(outputs["images"])
    assert images.shape == (10_000, 32, 32, 3)
    np.testing.assert_array_equal(images[9999], np.asarray(Image.open(CIFAR10H / "images" / "09999.jpg")))
    p = io.matrix(io.read_table(outputs["reference"])[0], "p")
    assert (p.max(axis=1) == 1).sum() == 4_393
    entropy = -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1)
    assert entropy.mean() == pytest.approx(0.154, abs=5e-4)
    options = {"aggregate": {"kind": "majority"}, "form": "hard", "votes": "all", "ties": "lowest_index", "seed": 0}
    labels = tmp_path / "labels.parquet"
    label.run({"label": options, "draw": "all"}, outputs, {"labels": labels})
    table, metadata = io.read_table(labels)
    assert np.bincount(io.vector(table, "hard")).tolist() == [1003, 998, 999, 995, 981, 1004, 1005, 1015, 999, 1001]
    assert metadata["ties"] == {"rule": "lowest_index", "count": 3}
