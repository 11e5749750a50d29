"""Images with a table of votes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from softlabels import io
from softlabels.datasets import counts, table
from softlabels.errors import UserError
from softlabels.labels import label

CIFAR10H = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10h"
CIFAR10_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
COLUMNS = {"item": "item", "annotator": "annotator", "label": "label", "group": None}
SOURCE = {
    "kind": "table",
    "columns": COLUMNS,
    "classes": None,
    "pixels": None,
    "resize": "stretch",
    "pseudonymise": True,
}
VOTES = "item,annotator,label\nb.png,Cem,cat\na.png,Cem,dog\na.png,Bob,cat\na.png,,cat\nsub/c.png,Bob,ant\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images" / "sub").mkdir(parents=True)
    for name in ("a.png", "b.png", "sub/c.png"):
        Image.new("RGB", (2, 2)).save(tmp_path / "images" / name)
    return tmp_path / "images"


def outputs_in(path):
    names = ("images.npy", "items.parquet", "annotations.parquet", "reference.parquet")
    return {name.split(".")[0]: path / name for name in names}


def create(folder, votes, **source):
    """Run the source on a CSV text or a file; the written tables."""
    if isinstance(votes, str):
        path = folder.parent / "votes.csv"
        path.write_text(votes, encoding="utf-8", newline="")
        votes = path
    outputs = outputs_in(folder.parent / "data")
    images = [path for path in folder.rglob("*") if path.is_file()]
    config = {"source": SOURCE | source, "reference": "votes"}
    table.create(config, {"images": images, "folder": folder, "votes": votes}, outputs)
    return {name: io.read_table(outputs[name])[0] for name in ("items", "annotations", "reference")}


def columns(**changed):
    return COLUMNS | changed


def test_votes_become_items_annotations_and_reference(folder):
    written = create(folder, VOTES)
    assert written["items"].column("name").to_pylist() == ["a.png", "b.png", "sub/c.png"]
    assert written["annotations"].column("item").to_pylist() == [0, 0, 0, 1, 2]
    np.testing.assert_allclose(io.matrix(written["reference"], "p"), [[0, 2 / 3, 1 / 3], [0, 1, 0], [1, 0, 0]])
    assert io.vector(written["reference"], "votes").tolist() == [3, 1, 1]


def test_annotators_get_a_pseudonym_that_keeps_who_is_who(folder):
    annotator = create(folder, VOTES)["annotations"].column("annotator").to_pylist()
    # SHA-256 of "Cem" begins with 725d, of "Bob" with cd9f
    assert sorted(map(str, annotator)) == ["None", *["annotator-0001"] * 2, *["annotator-0002"] * 2]
    assert annotator[3] == "annotator-0001"  # b.png, Cem


def test_names_stay_where_pseudonyms_are_not_wanted(folder):
    annotator = create(folder, VOTES, pseudonymise=False)["annotations"].column("annotator").to_pylist()
    assert sorted(map(str, annotator)) == ["Bob", "Bob", "Cem", "Cem", "None"]


def test_the_order_of_rows_does_not_matter(folder):
    header, *rows = VOTES.splitlines()
    first = create(folder, VOTES)
    second = create(folder, "\n".join([header, *reversed(rows)]))
    assert all(first[name].equals(second[name]) for name in first)


def test_parquet_gives_the_same_as_csv(folder):
    header, *rows = [line.split(",") for line in VOTES.splitlines()]
    cells = zip(*[[cell or None for cell in row] for row in rows], strict=True)
    path = folder.parent / "votes.parquet"
    pq.write_table(pa.table({name: list(column) for name, column in zip(header, cells, strict=True)}), path)
    first, second = create(folder, VOTES), create(folder, path)
    assert all(first[name].equals(second[name]) for name in first)


def test_a_group_belongs_to_the_image(folder):
    votes = "item,label,pig\na,x,p1\na,y,p1\nb,x,\nc,y,p1\n"
    written = create(folder, votes, columns=columns(annotator=None, group="pig"))
    assert written["items"].column("group").to_pylist() == ["p1", None, "p1"]
    with pytest.raises(UserError, match=r"line 2 and line 3 put the image 'a\.png' in the groups 'p1' and 'p2'"):
        create(folder, votes.replace("a,y,p1", "a,y,p2"), columns=columns(annotator=None, group="pig"))


BAD = {
    "": "found 0 lines",
    VOTES + "x.png,Cem,cat\n": r"line 7: found no image 'x\.png'",
    VOTES + "../a.png,Eve,cat\n": r"line 7: found no image '\.\./a\.png'",
    VOTES + ",Cem,cat\n": r"line 7: the image is empty",
    VOTES + "\na.png,Eve,\n": r"line 8: the label is empty",
    VOTES + "a.png,Cem,cat\n": r"line 3 and line 7 are both votes of 'Cem' on the image 'a\.png'",
    VOTES + "a.png,Eve,Cat\n": r"labels 'Cat' and 'cat'",
    VOTES + "a.png,Eve,cat \n": r"labels 'cat' and 'cat '",
    VOTES.replace("b.png,Cem,cat\n", ""): r"1 of 3 images have no vote, the first is 'b\.png'",
    VOTES.replace("label", "lable"): r"no column 'label' \(source\.columns\.label\).*Did you mean 'lable'",
    "item,annotator,label\na,A,x\nb,A,x\nc,A,x\n": r"found 1 class \(x\)",
}


@pytest.mark.parametrize("votes", BAD)
def test_a_bad_vote_is_refused_by_its_place(folder, votes):
    with pytest.raises(UserError, match=BAD[votes]):
        create(folder, votes)
    assert not (folder.parent / "data").exists()


def test_a_label_outside_the_given_classes_names_the_row(folder):
    with pytest.raises(UserError, match=r"line 6: found no label 'ant'. Write one of cat, dog"):
        create(folder, VOTES, classes=["cat", "dog"])


def test_two_unknown_annotators_may_agree(folder):
    assert create(folder, VOTES + "a.png,,cat\n")["annotations"].num_rows == 6


def test_a_file_that_is_not_parquet_is_refused(folder):
    path = folder.parent / "votes.parquet"
    path.write_text(VOTES)
    with pytest.raises(UserError, match=r"votes\.parquet: cannot be read as Parquet"):
        create(folder, path)
    with pytest.raises(UserError, match=r"type '\.xlsx', expected \.csv or \.parquet"):
        create(folder, folder.parent / "votes.xlsx")


def both_sources(tmp_path, folder, matrix, classes):
    """The hashes of every file that counts give, and that the same votes in a table give."""
    images = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in images]
    np.save(tmp_path / "counts.npy", matrix)
    item, kind = (np.repeat(index, matrix.reshape(-1)) for index in np.indices(matrix.shape).reshape(2, -1))
    order = np.random.default_rng(0).permutation(len(item))
    lines = [f"{names[item[v]]},{classes[kind[v]]}\n" for v in order]
    (tmp_path / "votes.csv").write_text("item,label\n" + "".join(lines), encoding="utf-8")
    own = {"classes": classes, "order": "index", "name_column": "name", "group_column": None}
    runs = [(counts, "counts.npy", "counts", own), (table, "votes.csv", "votes", {"columns": columns(annotator=None)})]
    hashes = []
    for module, file, role, changed in runs:
        outputs = outputs_in(tmp_path / role)
        inputs = {"images": images, "folder": folder, role: tmp_path / file}
        module.create({"source": SOURCE | changed, "reference": "votes"}, inputs, outputs)
        for aggregate, form in (("majority", "hard"), ("average", "soft")):
            options = {"aggregate": aggregate, "form": form, "ties": "lowest_index", "seed": 0}
            path = tmp_path / role / f"{form}.parquet"
            label.run({"label": options, "draw": "all"}, outputs, {"labels": path})
            outputs[form] = path
        hashes.append({name: io.sha256(path) for name, path in outputs.items()})
    return hashes


def test_counts_and_the_same_votes_in_a_table_give_the_same_bytes(tmp_path, folder):
    first, second = both_sources(tmp_path, folder, np.array([[3, 0, 1], [0, 2, 2], [1, 1, 0]]), ["ant", "cat", "dog"])
    assert first == second


@pytest.mark.skipif(not CIFAR10H.is_dir(), reason="CIFAR-10H is not here")
def test_cifar10h_as_counts_and_as_votes_gives_the_same_bytes(tmp_path):
    matrix = np.load(CIFAR10H / "cifar10h-counts.npy")
    first, second = both_sources(tmp_path, CIFAR10H / "images", matrix, CIFAR10_CLASSES)
    assert first == second
