"""Images with a table of votes."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import CIFAR10H, assert_same, import_data, label_files, save_images, tables_of, votes_of

from softlabels import io
from softlabels.datasets.cifar10n import CIFAR10_CLASSES
from softlabels.errors import UserError

VOTES = "item,annotator,label\nb.png,Cem,cat\na.png,Cem,dog\na.png,Bob,cat\na.png,,cat\nsub/c.png,Bob,ant\n"


@pytest.fixture
def folder(tmp_path):
    return save_images(tmp_path / "images", ["a.png", "b.png", "sub/c.png"])


def outputs_of(folder, votes, compare=None, **source):
    """Import a CSV text or a file; the outputs by name."""
    if isinstance(votes, str):
        path = folder.parent / "votes.csv"
        path.write_text(votes, encoding="utf-8", newline="")
        votes = path
    inputs = {"folder": folder, "votes": votes} | ({"compare": compare} if compare else {})
    return import_data(folder.parent / "data", inputs, kind="table", **source)


def create(folder, votes, **source):
    """Import a CSV text or a file; the written tables."""
    return tables_of(outputs_of(folder, votes, **source))


def remarks(folder, votes, **source):
    return create(folder, votes, **source)["notes"]["remarks"]


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
    assert_same(create(folder, VOTES), create(folder, "\n".join([header, *reversed(rows)])))


def test_parquet_gives_the_same_as_csv(folder):
    header, *rows = [line.split(",") for line in VOTES.splitlines()]
    cells = zip(*[[cell or None for cell in row] for row in rows], strict=True)
    path = folder.parent / "votes.parquet"
    pq.write_table(pa.table({name: list(column) for name, column in zip(header, cells, strict=True)}), path)
    assert_same(create(folder, VOTES), create(folder, path))


def test_a_group_belongs_to_the_image(folder):
    votes = "item,label,pig\na,x,p1\na,y,p1\nb,x,\nc,y,p1\n"
    written = create(folder, votes, columns={"annotator": None, "group": "pig"})
    assert written["items"].column("group").to_pylist() == ["p1", None, "p1"]
    with pytest.raises(UserError, match=r"line 3 gives the image 'a\.png' the group 'p2', an earlier row 'p1'"):
        create(folder, votes.replace("a,y,p1", "a,y,p2"), columns={"annotator": None, "group": "pig"})


def test_two_unknown_annotators_may_agree(folder):
    assert create(folder, VOTES + "a.png,,cat\n")["annotations"].num_rows == 6


# -- more than the plain form ------------------------------------------------------------------------------------------


def test_a_filter_keeps_the_rows_with_a_value_or_without(folder):
    votes = "item,label,round,ok\na,x,1,yes\na,y,2,YES\nb,x,1,no\nb,y,1,yes\nc,y,3,yes\n"
    columns = {"annotator": None}
    outputs = outputs_of(folder, votes, columns=columns, where={"ok": "yes"})
    assert votes_of(outputs).tolist() == [[1, 1], [0, 1], [0, 1]]
    outputs = outputs_of(folder, votes, columns=columns, where={"ok": "yes", "round": [1, 3]})
    assert votes_of(outputs).tolist() == [[1, 0], [0, 1], [0, 1]]
    outputs = outputs_of(folder, votes, columns=columns, where={"round": {"not": 2}})
    assert votes_of(outputs).tolist() == [[1, 0], [1, 1], [0, 1]]
    assert remarks(folder, votes, columns=columns, where={"ok": "yes"}) == [
        "1 of 5 rows were left out by `where` on column 'ok'."
    ]
    with pytest.raises(UserError, match=r"source\.where leaves no row: column 'ok' holds 'yes', 'YES', 'no'"):
        create(folder, votes, columns=columns, where={"ok": "true"})


def test_a_row_that_is_filtered_out_may_be_wrong(folder):
    votes = VOTES.replace("label\n", "label,use\n").replace("cat\n", "cat,1\n").replace("dog\n", "dog,1\n")
    votes = votes.replace("ant\n", "ant,1\n") + "nowhere.png,Eve,,0\n"
    assert create(folder, votes, where={"use": 1})["annotations"].num_rows == 5


def test_annotators_who_fail_their_checks_are_left_out_with_all_votes(folder):
    rows = ["item,annotator,label,check,right"]
    rows += [
        f"none,{who},cat,1,{int(index < passed)}"
        for who, passed in (("A", 4), ("B", 3), ("C", 2))
        for index in range(4)
    ]
    rows += [f"{item},{who},{label},0," for who, label in (("A", "cat"), ("B", "dog"), ("C", "ant")) for item in "abc"]
    votes = "\n".join(rows) + "\nc,D,ant,0,\n"
    attention = {"check": "check", "correct": "right", "minimum": 0.75}
    outputs = outputs_of(folder, votes, attention=attention, pseudonymise=False)
    annotations, metadata = io.read_table(outputs["annotations"])
    assert sorted(annotations.column("annotator").to_pylist()) == ["A"] * 3 + ["B"] * 3 + ["D"]
    assert metadata["notes"]["remarks"] == [
        "12 of 22 rows are attention checks; 1 of 4 annotators passed fewer than 75% of theirs and were left out with "
        "all their votes.",
        "1 annotators met no attention check; their votes were kept.",
    ]
    with pytest.raises(UserError, match=r"line 2: found no answer 'maybe'"):
        create(folder, votes.replace("cat,1,1", "cat,maybe,1", 1), attention=attention)


def test_items_and_labels_can_be_numbers(folder):
    votes = "image,label\n0,1\n1,0\n2,1\n2,1\n"
    columns = {"item": "image", "annotator": None}
    outputs = outputs_of(folder, votes, columns=columns, item_by="index", label_by="index", classes=["x", "y", "z"])
    assert votes_of(outputs).tolist() == [[0, 1, 0], [1, 0, 0], [0, 2, 0]]
    with pytest.raises(UserError, match=r"line 6: found no image '3'\. Write a whole number from 0 to 2"):
        create(folder, votes + "3,1\n", columns=columns, item_by="index", label_by="index")
    with pytest.raises(UserError, match=r"line 6: found no label '7'\. Write one from 0 to 2"):
        create(folder, votes + "2,7\n", columns=columns, item_by="index", label_by="index", classes=["x", "y", "z"])


def test_numbered_items_need_a_certain_order(tmp_path):
    folder = save_images(tmp_path / "images", ["2.png", "10.png"])
    with pytest.raises(UserError, match=r"'10\.png' comes before '2\.png' as text"):
        create(folder, "item,annotator,label\n0,A,x\n1,A,y\n", item_by="index")


def test_weights_and_times_stay_with_their_votes(folder):
    votes = "item,annotator,label,w,t\nb,A,x,0.5,9\na,A,y,2,1\na,B,x,1,\nc,B,x,1,3\n"
    written = create(folder, votes, columns={"weight": "w", "time": "t"}, pseudonymise=False)["annotations"]
    assert written.column("weight").to_pylist() == [2, 1, 0.5, 1]
    assert written.column("time").to_pylist() == [1, None, 9, 3]
    for cell, column in (("0", "weight"), ("-1", "weight"), ("nan", "weight"), ("inf", "weight"), ("soon", "time")):
        changed = votes.replace("x,0.5,9", f"x,{cell},9" if column == "weight" else f"x,0.5,{cell}")
        with pytest.raises(UserError, match=rf"line 2, column '{column[0]}': found '{cell}', expected a"):
            create(folder, changed, columns={"weight": "w", "time": "t"})


def test_weights_leave_the_reference_alone(folder):
    votes = "item,annotator,label,w\na,A,x,9\na,B,y,1\nb,A,x,1\nc,A,y,1\n"
    written = create(folder, votes, columns={"weight": "w"})
    assert io.matrix(written["reference"], "p")[0].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators(folder, separator):
    votes = VOTES.replace(",", separator)
    assert create(folder, votes, separator=separator)["annotations"].num_rows == 5
    word = {";": "semicolon", "\t": "tab", "|": "bar"}[separator]
    with pytest.raises(UserError, match=rf"Set source\.separator if a {word} separates the columns"):
        create(folder, votes)


WIDE = "file,Usage,ant,cat,unknown\nb.png,train,0,2,1\na.png,train,3,0,0\nsub/c.png,test,1,1,0\n,test,5,5,0\n"
EMOTIONS = {"layout": "wide", "columns": {"item": "file"}, "where": {"file": {"not": ""}}}


def test_a_wide_table_has_a_column_of_counts_for_each_class(folder):
    outputs = outputs_of(folder, WIDE, classes=["cat", "ant"], **EMOTIONS)
    assert votes_of(outputs).tolist() == [[0, 3], [2, 0], [1, 1]]
    annotations, metadata = io.read_table(outputs["annotations"])
    assert metadata["classes"] == ["cat", "ant"]
    assert metadata["notes"]["remarks"] == ["1 of 4 rows were left out by `where` on column 'file'."]
    assert annotations.column("annotator").null_count == 7
    with pytest.raises(UserError, match=r"'Usage' does not look like the name of a class"):
        create(folder, WIDE, **EMOTIONS)
    with pytest.raises(UserError, match=r"line 2 and line 6 are both for the image 'b\.png'"):
        create(folder, WIDE + "b.png,test,1,1,1\n", classes=["cat", "ant"], **EMOTIONS)


def test_votes_are_compared_with_published_counts(folder):
    published = folder.parent / "published.npy"
    np.save(published, np.array([[0, 2, 1], [0, 1, 0], [1, 1, 0]]))
    assert remarks(folder, VOTES, compare=published) == [
        "Compared with published.npy: 5 votes here, 6 there; 1 of 3 items have other counts."
    ]
    np.save(published, np.array([[0, 2], [0, 1]]))
    assert remarks(folder, VOTES, compare=published)[0].endswith("published.npy [2, 2]: not compared.")


# -- the same votes in several forms -----------------------------------------------------------------------------------


def write_forms(folder, images, matrix, classes):
    """The same votes as counts and as long and wide tables: inputs and options of each."""
    names = sorted(path.relative_to(images).as_posix() for path in images.rglob("*") if path.is_file())
    np.save(folder / "counts.npy", matrix)
    item, kind = (np.repeat(index, matrix.reshape(-1)) for index in np.indices(matrix.shape).reshape(2, -1))
    order = np.random.default_rng(0).permutation(len(item))
    lines = [f"{names[item[v]]},{classes[kind[v]]}\n" for v in order]
    (folder / "long.csv").write_text("item,label\n" + "".join(lines), encoding="utf-8")
    rows = [f"{name},{','.join(map(str, row))}\n" for name, row in zip(names, matrix.tolist(), strict=True)]
    (folder / "wide.csv").write_text(f"item,{','.join(classes)}\n" + "".join(rows[::-1]), encoding="utf-8")
    np.save(folder / "soft.npy", matrix / matrix.sum(axis=1, keepdims=True))
    return {
        "counts": ({"counts": folder / "counts.npy"}, {"kind": "counts"}),
        "long": ({"votes": folder / "long.csv"}, {"kind": "table", "columns": {"annotator": None}}),
        "wide": ({"votes": folder / "wide.csv"}, {"kind": "table", "layout": "wide"}),
        "distributions": ({"distributions": folder / "soft.npy"}, {"kind": "distributions"}),
    }


def assert_that_forms_agree(tmp_path, images, matrix, classes):
    """Votes in any form give the same bytes (but for notes on the source); distributions the same items and labels."""
    found = []
    for name, (inputs, source) in write_forms(tmp_path, images, matrix, classes).items():
        outputs = import_data(tmp_path / name, {"folder": images, **inputs}, 2, classes=classes, **source)
        outputs |= label_files(outputs, tmp_path / name)
        found.append(outputs)
    counts, *tables, distributions = found
    for outputs in tables:
        for name, path in outputs.items():
            if name == "annotations":
                assert io.read_table(path)[0].equals(io.read_table(counts[name])[0])
            else:
                assert path.read_bytes() == counts[name].read_bytes(), name
    for name in ("images", "items"):
        assert distributions[name].read_bytes() == counts[name].read_bytes(), name
    for name in ("hard", "soft"):
        (ours, about), (theirs, metadata) = io.read_table(distributions[name]), io.read_table(counts[name])
        assert ours.drop("votes").equals(theirs.drop("votes"))
        assert ours.column("votes").null_count == len(ours)
        assert about == metadata


def test_counts_tables_and_distributions_of_the_same_votes_give_the_same_labels(tmp_path, folder):
    assert_that_forms_agree(tmp_path, folder, np.array([[3, 0, 1], [0, 2, 2], [1, 1, 0]]), ["ant", "cat", "dog"])


@pytest.mark.skipif(not CIFAR10H.is_dir(), reason="CIFAR-10H is not here")
def test_cifar10h_in_any_form_gives_the_same_labels(tmp_path):
    matrix = np.load(CIFAR10H / "cifar10h-counts.npy")
    assert_that_forms_agree(tmp_path, CIFAR10H / "images", matrix, CIFAR10_CLASSES)
