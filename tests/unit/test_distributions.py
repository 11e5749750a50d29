"""Images with ready label distributions."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import import_data, label_files, refusal, save_images, tables_of

from softlabels import io

NAMES = ["a.png", "b.png", "sub/c.png", "sub/d.png"]
CLASSES = ["cat", "dog", "eel"]
COUNTS = np.array([[3, 0, 1], [2, 2, 0], [1, 1, 1], [0, 7, 6]])  # two ties; thirds and thirteenths are not exact
P = COUNTS / COUNTS.sum(axis=1, keepdims=True)
GOOD = [{"file_name": name, "p": p.tolist()} for name, p in zip(NAMES, P, strict=True)]


def save(path, content):
    """A matrix, a table, the text of a file, or records (objects, or lines as text)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, np.ndarray):
        np.save(path, content)
    elif isinstance(content, pa.Table):
        pq.write_table(content, path)
    elif isinstance(content, str | bytes):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    else:
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in content))
    return path


def create(tmp_path, name, content, **source):
    """Import one file of distributions; the outputs by name."""
    folder = save_images(tmp_path / "images", NAMES)
    inputs = {"folder": folder, "distributions": save(tmp_path / name, content)}
    return import_data(tmp_path / "data", inputs, kind="distributions", **source)


def refused(tmp_path, name, content, **source):
    return refusal(tmp_path / "data", create, tmp_path, name, content, **source)


def reference(outputs):
    table, metadata = io.read_table(outputs["reference"])
    assert metadata["reference"] == "exact"
    assert table.column("votes").null_count == table.num_rows
    return io.matrix(table, "p"), metadata["classes"]


def remarks(outputs):
    return tables_of(outputs)["notes"]["remarks"]


def groups(outputs):
    return tables_of(outputs)["items"].column("group").to_pylist()


JSONL = "images/metadata.jsonl"
SHUFFLED = [2, 0, 3, 1]
CSV = "\n".join([",".join(CLASSES), *(",".join(map(repr, row)) for row in P.tolist())])
STRUCTS = [{c: float(x) for c, x in zip(CLASSES, row, strict=True) if x} for row in P]
FORMATS = {
    "npy": ("p.npy", P, {"classes": CLASSES}),
    "csv": ("p.csv", CSV, {}),
    "csv by name": ("p.csv",
        "\n".join(["cat,dog,name,eel", *("{1!r},{2!r},{0},{3!r}".format(NAMES[i], *P[i].tolist()) for i in SHUFFLED)]),
        {"order": "name"}),
    "parquet": ("p.parquet", pa.table(dict(zip(CLASSES, P.T, strict=True))), {}),
    "parquet with lists": ("p.parquet", pa.table({"p": P[SHUFFLED].tolist(), "name": [NAMES[i] for i in SHUFFLED]}),
        {"order": "name", "distribution_column": "p", "classes": CLASSES}),
    "parquet with lists of one size": ("p.parquet", pa.table({"p": io.distribution_column(P, pa.float64())}),
        {"distribution_column": "p", "classes": CLASSES}),
    "parquet with structs": ("p.parquet", pa.table({"p": STRUCTS}), {"distribution_column": "p"}),
    "jsonl with lists": (JSONL, [GOOD[i] for i in SHUFFLED], {"classes": CLASSES}),
    "jsonl with objects": (JSONL, [{"file_name": NAMES[i], "p": STRUCTS[i], "box": "2"} for i in SHUFFLED], {}),
}  # fmt: skip


@pytest.fixture(scope="module")
def of_counts(tmp_path_factory):
    """Label files of the same votes as counts."""
    place = tmp_path_factory.mktemp("counts")
    inputs = {"folder": save_images(place / "images", NAMES), "counts": save(place / "counts.npy", COUNTS)}
    return label_files(import_data(place / "data", inputs, kind="counts", classes=CLASSES), place)


@pytest.mark.parametrize(("name", "content", "source"), FORMATS.values(), ids=FORMATS)
def test_shares_of_votes_give_the_labels_that_the_votes_give(tmp_path, of_counts, name, content, source):
    outputs = create(tmp_path, name, content, **source)
    p, classes = reference(outputs)
    assert classes == CLASSES
    np.testing.assert_array_equal(p, P)  # bit for bit
    assert remarks(outputs) == []
    assert io.read_table(outputs["items"])[0].column("name").to_pylist() == NAMES
    for form, path in label_files(outputs, tmp_path).items():
        found, metadata = io.read_table(path)
        expected, expected_metadata = io.read_table(of_counts[form])
        assert found.select(["item", "p", "hard", "weight"]).equals(expected.select(["item", "p", "hard", "weight"]))
        assert metadata == expected_metadata
        assert metadata["ties"]["count"] == 2


def test_any_float_comes_through_text_bit_for_bit(tmp_path):
    p = np.random.default_rng(0).dirichlet(np.full(3, 0.05), size=4)
    for name, content in (
        ("p.csv", "\n".join(["a,b,c", *(",".join(map(repr, row)) for row in p.tolist())])),
        ("p.parquet", pa.table({"a": p[:, 0], "b": p[:, 1], "c": p[:, 2]})),
        (JSONL, [{"file_name": name, "p": row} for name, row in zip(NAMES, p.tolist(), strict=True)]),
    ):
        np.testing.assert_array_equal(reference(create(tmp_path, name, content))[0], p)


def test_rounded_rows_are_divided_by_their_sum_and_counted(tmp_path):
    p = np.array([[0.333, 0.333, 0.333], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], [0.1, 0.2, 0.7004]])
    outputs = create(tmp_path, "p.npy", p)
    found, _ = reference(outputs)
    np.testing.assert_array_equal(found[1:3], p[1:3])
    np.testing.assert_allclose(found[[0, 3]], [[1 / 3] * 3, [0.1 / 1.0004, 0.2 / 1.0004, 0.7004 / 1.0004]], rtol=1e-15)
    assert remarks(outputs) == [
        "2 of 4 rows summed to 1 only nearly (off by up to 0.001) and were divided by their sum."
    ]


def test_what_floating_point_leaves_is_kept_as_it_is(tmp_path):
    p = np.array([[0.5, 0.5 + 9e-10], [0.5, 0.5 + 2e-9], [1 + 9e-10, 0], [0.1, 0.9]])
    outputs = create(tmp_path, "p.npy", p, tolerance=1e-8)
    found, _ = reference(outputs)
    np.testing.assert_array_equal((found == p).all(axis=1), [True, False, True, True])
    assert remarks(outputs)[0].startswith("1 of 4 rows")
    refused(tmp_path / "strict", "p.npy", p, tolerance=0)


def test_numbers_of_32_bits_and_whole_numbers_are_distributions_too(tmp_path):
    found, _ = reference(create(tmp_path, "p.npy", P.astype(np.float32)))
    np.testing.assert_allclose(found, P, atol=1e-7)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-15)
    one_hot = np.eye(3, dtype=np.int8)[[0, 1, 2, 0]]
    np.testing.assert_array_equal(reference(create(tmp_path, "p.npy", one_hot))[0], one_hot)


def test_the_tolerance_decides_what_is_rounding(tmp_path):
    p = np.array([[0.5, 0.5], [0.47, 0.48], [1, 0], [0, 1]])
    message = refused(tmp_path, "p.npy", p)
    assert "p.npy: row 1 (counted from 0): the numbers sum to 0.95, expected 1" in message
    assert "source.tolerance allows 0.001" in message
    found, _ = reference(create(tmp_path, "p.npy", p, tolerance=0.06))
    np.testing.assert_allclose(found[1], [0.47 / 0.95, 0.48 / 0.95])


def test_groups_follow_their_images(tmp_path):
    order = [3, 1, 0, 2]
    for name, content, source in (
        ("p.csv", "name,y,z,dog\nd,1,0,\nb,1,0,q\na,1,0,p\nc,1,0,r\n", {"order": "name"}),
        ("q.csv", "y,z,dog\n1,0,p\n1,0,q\n1,0,r\n1,0,\n", {}),
        (
            "p.parquet",
            pa.table({"d": [[1, 0]] * 4, "dog": [[*"pqr", None][i] for i in order], "name": [NAMES[i] for i in order]}),
            {"order": "name", "distribution_column": "d"},
        ),
        (JSONL, [{"file_name": NAMES[i], "d": [1, 0], "dog": [*"pqr", None][i]} for i in order], {}),
    ):
        assert groups(create(tmp_path, name, content, group_column="dog", **source)) == ["p", "q", "r", None]
    assert groups(create(tmp_path, JSONL, [{**record, "dog": 7} for record in GOOD], group_column="dog")) == ["7"] * 4


def test_a_metadata_file_in_a_subfolder_names_images_from_there(tmp_path):
    folder = save_images(tmp_path / "images", ["train/a.png", "train/b.png", "train/x/c.png"])
    lines = [{"file_name": name, "p": p} for name, p in (("x/c.png", [1, 0]), ("./a.png", [0, 1]), ("b.png", [1, 0]))]
    inputs = {"folder": folder, "distributions": save(folder / "train" / "metadata.jsonl", lines)}
    outputs = import_data(tmp_path / "data", inputs, kind="distributions")
    assert reference(outputs)[0].tolist() == [[0, 1], [1, 0], [1, 0]]


def test_a_class_that_no_object_names_can_be_given(tmp_path):
    lines = [{"file_name": name, "p": {"dog": 1}} for name in NAMES]
    found, classes = reference(create(tmp_path, JSONL, lines, classes=["ant", "dog"]))
    assert (classes, found.tolist()) == (["ant", "dog"], [[0, 1]] * 4)


def test_the_only_key_with_numbers_is_found_and_two_are_asked_about(tmp_path):
    box = [{**record, "box": [1, 2, 3, 4], "tags": ["x"], "size": {}, "n": 3} for record in GOOD]
    message = refused(tmp_path, JSONL, box)
    assert "found the keys box, p with a list or an object of numbers" in message
    assert "source.distribution_column" in message
    np.testing.assert_array_equal(reference(create(tmp_path, JSONL, box, distribution_column="p"))[0], P)
    message = refused(tmp_path / "none", JSONL, [{"file_name": name, "label": 3} for name in NAMES])
    assert "found no key with a list or an object of numbers, expected one (its keys: file_name, label)" in message


NAMED, LISTED = {"order": "name"}, {"distribution_column": "p"}
BAD = {
    # cells
    "a large number": ("p.csv", "y,z\n1,0\n1,0\n1,0\n50,50\n", "p.csv: line 5, column 'y': found '50'", {}),
    "an empty cell": ("p.csv", "y,z\n1,0\n1,\n1,0\n1,0\n", "p.csv: line 3, column 'z': found ''", {}),
    "a word": ("p.csv", "y,z\n1,0\n0.5,half\n1,0\n1,0\n", "p.csv: line 3, column 'z': found 'half'", {}),
    "zeros": ("p.csv", "y,z\n1,0\n1,0\n0,0\n1,0\n", "p.csv: line 4: the numbers sum to 0, expected 1", {}),
    "few rows": ("p.csv", "y,z\n1,0\n1,0\n1,0\n", "p.csv: found 3 rows, expected 4, one for each image", {}),
    # names of images
    "an image twice": ("p.csv", "name,y,z\na,1,0\nb,1,0\nc,1,0\nd,1,0\na.png,1,0\n",
        "line 2 and line 6 are both for the image 'a.png'", NAMED),
    "an image elsewhere": ("p.csv", "name,y,z\na,1,0\nb,1,0\nc,1,0\nd,1,0\n../e.png,1,0\n",
        "line 6: found no image '../e.png'", NAMED),
    "no names": ("p.csv", "y,z\n1,0\n1,0\n1,0\n1,0\n", "found no column 'name' (source.name_column)", NAMED),
    # matrices
    "nan": ("p.npy", np.where(np.eye(4, 3), np.nan, P),
        "row 0 (counted from 0), class '0': found 'nan', expected a number", {}),
    "negative": ("p.npy", P - 0.25, "row 0 (counted from 0), class '1': found '-0.25'", {}),
    "counts": ("p.npy", COUNTS, "row 0 (counted from 0), class '0': found '3'", {}),
    "vector": ("p.npy", P[0], "found float64 [3], expected numbers [images, classes]", {}),
    "complex": ("p.npy", P.astype(complex), "found complex128 [4, 3]", {}),
    "a matrix by name": ("p.npy", P, "Set source.order to index", NAMED),
    "a matrix with groups": ("p.npy", P, "Set source.group_column to null", {"group_column": "dog"}),
    "a matrix with lists": ("p.npy", P, "Set source.distribution_column to null", LISTED),
    "a matrix with classes": ("p.npy", P, "found 3 columns, expected 2 as in source.classes", {"classes": ["y", "z"]}),
    # columns of lists
    "no column": ("p.parquet", pa.table({"q": [[0.5, 0.5]] * 4}),
        "found no 'p' (source.distribution_column) among q", LISTED),
    "null": ("p.parquet", pa.table({"p": [[1, 0], None, [1, 0], [1, 0]]}),
        "row 2: 'p' is missing, expected a list of 2 numbers", LISTED),
    "null inside": ("p.parquet", pa.table({"p": [[1, 0], [None, 1], [1, 0], [1, 0]]}),
        "row 2, class '0': found 'None'", LISTED),
    "text inside": ("p.parquet", pa.table({"p": [["1", "0"]] * 4}),
        "row 1, class '0': found '1', expected a number", LISTED),
    "names ignored": ("p.parquet", pa.table({"p": [[1, 0]] * 4, "name": NAMES}), "Set source.order to 'name'", LISTED),
    "few lists": ("p.parquet", pa.table({"p": [[1, 0]] * 3}), "found 3 rows, expected 4", LISTED),
    "no lists": ("p.parquet", pa.table({"p": pa.array([], pa.list_(pa.float64()))}), "found no rows", LISTED),
    "empty lists": ("p.parquet", pa.table({"p": pa.array([[]] * 4, pa.list_(pa.float64()))}),
        "row 1: the numbers sum to 0", LISTED),
    "elsewhere": ("metadata.jsonl", GOOD, "lies outside of the image folder", {}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message", "source"), BAD.values(), ids=BAD)
def test_a_mistake_is_refused_by_its_place(tmp_path, name, content, message, source):
    assert message in refused(tmp_path, name, content, **source)


def changed(row, **values):
    """The good lines with one changed; a value of None takes the key away."""
    lines = [dict(record) for record in GOOD]
    lines[row] = {key: value for key, value in {**lines[row], **values}.items() if value is not None}
    return lines


BAD_LINES = {
    "no object": ([*GOOD, "[1, 2]"], "line 5: found [1, 2], expected an object"),
    "a key twice": ([*GOOD, '{"p": [1], "p": [2]}'], "line 5 is not JSON in UTF-8 (an object has the key 'p' twice)"),
    "half a surrogate": ([*GOOD, '{"file_name": "\\ud800"}'], "line 5 is not JSON in UTF-8 ("),
    "deep": ([*GOOD, "[" * 100_000], "line 5 is not JSON in UTF-8 ("),
    "long number": ([*GOOD, '{"p": 1' + "0" * 5000 + "}"], "line 5 is not JSON in UTF-8 ("),
    "nothing": ([" ", ""], "found no lines, expected an object with 'file_name' on each"),
    "no name": (changed(1, file_name=None), "line 2: found no 'file_name'"),
    "a number for a name": (changed(1, file_name=3), "line 2: found no 'file_name'"),
    "absolute": (changed(1, file_name="/b.png"), "line 2: found the file_name '/b.png', expected a path"),
    "duplicate": ([*GOOD, GOOD[0]], "line 1 and line 5 are both for the image 'a.png'"),
    "no distribution": (changed(2, p=None), "line 3: 'p' is missing, expected a list of 3 numbers"),
    "text": (changed(2, p="0.5 0.5 0"), "line 3: 'p' is '0.5 0.5 0', expected a list of 3 numbers"),
    "short": (changed(2, p=[0.5, 0.5]), "line 3: 'p' has 2 numbers, expected a list of 3 numbers"),
    "object among lists": (changed(2, p={"cat": 1}), "line 3: 'p' is {'cat': 1}, expected a list of 3 numbers"),
    "no number": (changed(2, p=[1, 0, "0"]), "line 3, class '2': found '0', expected a number from 0 to 1"),
    "true": (changed(2, p=[True, 0, 0]), "line 3, class '0': found 'True'"),
    "NaN": (changed(2, p=[1, 0, float("nan")]), "line 3, class '2': found 'nan'"),
    "huge": (changed(2, p=[10**400, 0, 0]), "line 3, class '0': found '1000"),
    "negative": (changed(2, p=[1.5, -0.5, 0]), "line 3, class '1': found '-0.5'"),
    "sum": (changed(2, p=[0.5, 0.4, 0]), "line 3: the numbers sum to 0.9, expected 1"),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "message"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_refused_by_its_place(tmp_path, lines, message):
    found = refused(tmp_path, JSONL, lines)
    assert message in found
    assert "metadata.jsonl" in found


def test_all_mistakes_are_told_at_once(tmp_path):
    lines = [*changed(0, p=[1, 0, "x"]), {"p": [1, 0, 0]}, {"file_name": "../x", "p": []}]
    message = refused(tmp_path, JSONL, lines)
    assert message.startswith("4 problems:")
    assert all(f"line {number}" in message for number in (1, 5, 6))


def test_a_line_that_is_not_utf_8_is_named(tmp_path):
    lines = b'{"file_name": "a.png"}\n{"file_name": "\xe9.png"}\n'
    assert "line 2 is not JSON in UTF-8" in refused(tmp_path, JSONL, lines)


def test_unknown_classes_and_keys_are_named(tmp_path):
    lines = [{"file_name": name, "p": {"cat": 0.5, "dgo" if name == "b.png" else "dog": 0.5}} for name in NAMES]
    message = refused(tmp_path, JSONL, lines, classes=["cat", "dog"])
    assert "line 2: 'p' has the class 'dgo', expected an object with numbers of cat, dog" in message
    lines = [{"file_name": name, "p": {"cat": 0.5, "Cat": 0.5}} for name in NAMES]
    assert "found the labels 'Cat' and 'cat'" in refused(tmp_path, JSONL, lines)
    assert "found no 'q' (source.distribution_column) among file_name, p" in refused(
        tmp_path, JSONL, GOOD, distribution_column="q"
    )
    assert "found no 'dog' (source.group_column) among" in refused(tmp_path, JSONL, GOOD, group_column="dog")
    message = refused(
        tmp_path, JSONL, [{**record, "dog": [1]} for record in GOOD], group_column="dog", distribution_column="p"
    )
    assert "line 1, key 'dog': found '[1]', expected text or a whole number" in message


def test_a_damaged_header_of_a_matrix_is_refused(tmp_path):
    whole = save(tmp_path / "p.npy", P).read_bytes()
    for old, new in ((b"(4, 3)", b"(4, 3 "), (b"(4, 3)", b"(04,3)"), (b"(4, 3)", b"(9, 9)"), (b"NUMPY", b"numpy")):
        assert "p.npy: cannot be read as a NumPy array" in refused(tmp_path, "p.npy", whole.replace(old, new))


def test_a_damaged_name_of_a_column_is_refused(tmp_path):
    whole = save(tmp_path / "p.parquet", pa.table({"first": [0.5] * 4, "other": [0.5] * 4})).read_bytes()
    damaged = whole.replace(b"other", b"\xff\xff\xff\xff\xff")
    assert "p.parquet: cannot be read as Parquet" in refused(tmp_path, "p.parquet", damaged)
