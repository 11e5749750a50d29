"""Files are whole or absent, and the same content gives the same bytes."""

import hashlib
import os
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from softlabels import io
from softlabels.errors import UserError

TABLE = pa.table({"item": pa.array([0, 1], pa.int32()), "name": ["a", "b"]})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file_as_it_was_or_nothing_behind(tmp_path, error):
    io.write_text(tmp_path / "x.txt", "old")
    for name in ("x.txt", "y.txt"):
        with pytest.raises(error), io.atomic(tmp_path / name) as part:
            part.write_text("new")
            assert part.parent == tmp_path
            raise error
    assert (tmp_path / "x.txt").read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    io.write_text(tmp_path / "x.txt", "old")
    with io.atomic(tmp_path / "x.txt") as part:
        part.write_text("new")
        assert (tmp_path / "x.txt").read_text() == "old"
    assert (tmp_path / "x.txt").read_text() == "new"


def test_values_that_json_cannot_hold_write_no_file(tmp_path):
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON compliant"):
            io.write_json(tmp_path / "x.json", {"a": value})
    assert names(tmp_path) == []


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    texts = [str(number) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=io.write_text, args=(tmp_path / "x.txt", text)) for text in texts]
    for act in (threading.Thread.start, threading.Thread.join):
        for thread in threads:
            act(thread)
    assert (tmp_path / "x.txt").read_text() in texts
    assert names(tmp_path) == ["x.txt"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    old = os.umask(umask)
    try:
        io.write_text(tmp_path / "x.txt", "text")
        assert os.umask(umask) == umask  # and it is left as it was
    finally:
        os.umask(old)
    assert (tmp_path / "x.txt").stat().st_mode & 0o777 == mode


def test_folders_are_made(tmp_path):
    io.write_json(tmp_path / "a" / "b" / "x.json", {"é": [1, None]})
    assert io.read_json(tmp_path / "a" / "b" / "x.json") == {"é": [1, None]}


def test_json_does_not_depend_on_the_order_of_keys(tmp_path):
    io.write_json(tmp_path / "x.json", {"b": 1, "a": {"d": 1, "c": 2}})
    io.write_json(tmp_path / "y.json", {"a": {"c": 2, "d": 1}, "b": 1})
    assert (tmp_path / "x.json").read_bytes() == (tmp_path / "y.json").read_bytes()
    assert io.canonical_json({"b": 1.0, "a": "ü"}) == '{"a":"ü","b":1.0}'


def test_the_same_table_gives_the_same_bytes(tmp_path):
    p = np.array([[0.25, 0.75], [1, 0]])
    for name in ("x", "y"):
        table = TABLE.append_column("p", io.distribution_column(p, pa.float64()))
        io.write_table(tmp_path / name, table, {"classes": ["a", "b"], "unit": "probability"})
    sliced = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    io.write_table(tmp_path / "z", sliced.combine_chunks(), {"unit": "probability", "classes": ["a", "b"]})
    assert len({io.sha256(tmp_path / name) for name in "xyz"}) == 1
    written, metadata = io.read_table(tmp_path / "x")
    assert metadata == {"schema_version": 1, "classes": ["a", "b"], "unit": "probability"}
    np.testing.assert_array_equal(io.matrix(written, "p"), p)
    np.testing.assert_array_equal(io.vector(written, "item"), [0, 1])


def test_a_distribution_column_is_read_back_from_a_part_of_the_table(tmp_path):
    p = np.arange(8, dtype=np.float32).reshape(4, 2)
    io.write_table(tmp_path / "x", pa.table({"p": io.distribution_column(p, pa.float32())}))
    table, _ = io.read_table(tmp_path / "x")
    np.testing.assert_array_equal(io.matrix(table.slice(1, 2), "p"), p[1:3])


def test_a_table_of_another_program_or_version_is_refused(tmp_path, monkeypatch):
    pq.write_table(TABLE, tmp_path / "x.parquet")
    with monkeypatch.context() as patch:
        patch.setattr(io, "SCHEMA_VERSION", 2)
        io.write_table(tmp_path / "y.parquet", TABLE)
    for name, version in (("x", "none"), ("y", "2")):
        with pytest.raises(UserError, match=rf"{name}\.parquet: found schema version {version}, expected 1\. Delete"):
            io.read_table(tmp_path / f"{name}.parquet")


def test_a_cut_or_missing_table_is_refused_by_name(tmp_path):
    io.write_table(tmp_path / "cut.parquet", TABLE)
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "cut.parquet").read_bytes()[:-8])
    for name in ("cut", "missing"):
        with pytest.raises(UserError, match=rf"{name}\.parquet: cannot be read as Parquet"):
            io.read_table(tmp_path / f"{name}.parquet")


def test_the_hash_is_that_of_the_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"content" * 100_000)
    assert io.sha256(tmp_path / "x") == hashlib.sha256(b"content" * 100_000).hexdigest()
