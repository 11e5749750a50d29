"""Results that are truncated, foreign, hostile or huge: a verdict, never a traceback, never a file outside the root."""

import builtins
import io as standard_io
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from finished_run import edit_json, edit_table

from softlabels import io
from softlabels.errors import UserError
from softlabels.provenance import configured, evidence
from softlabels.provenance.audit import PASS, audit, command
from softlabels.provenance.evidence import Results

STUDY = "studies/small"
RUN = "runs/shapes/random/quick/soft/seed0"
MANIFEST = f"{RUN}/model.manifest.json"


def outcome(root):
    """Verdicts by id, and all evidence of what failed."""
    verdicts = audit(root, dry_run=False)
    evidence = "\n".join(line for verdict in verdicts if verdict.verdict == "fail" for line in verdict.evidence)
    return {verdict.id: verdict.verdict for verdict in verdicts}, evidence


EVERY_KIND = [
    f"{STUDY}/cells.parquet", f"{STUDY}/chain.json", f"{STUDY}/config.json", f"{STUDY}/config.manifest.json",
    f"{STUDY}/table.csv", f"{STUDY}/table.md", f"{RUN}/scores/standard.parquet", f"{RUN}/model.safetensors",
    f"{RUN}/history.parquet", f"{RUN}/predictions.parquet", f"{RUN}/features.npy", MANIFEST,
    "data/shapes/images.npy", "data/shapes/reference.parquet", "data/shapes/annotations.parquet",
    "labels/shapes/soft/all.parquet", "splits/shapes/random/seed0.parquet",
    "references/shapes/random/seed0/standard.parquet",
]  # fmt: skip
ONE_OF_A_KIND = [
    f"{STUDY}/cells.parquet", f"{STUDY}/chain.json", f"{STUDY}/table.csv", f"{RUN}/scores/standard.parquet",
    f"{RUN}/model.safetensors", f"{RUN}/features.npy", MANIFEST,
]  # fmt: skip
FOREIGN = {
    "empty": b"",
    "text": b"hello\n",
    "no UTF-8": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "null": b"null",
    "deep": b"[" * 100_000,
    "other keys": b'{"schema_version": 1, "command": "train"}',
    "a pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07builtin\x94.",
    "a broken zip": b"PK\x03\x04 and nothing more",
    "a huge header": (2**62).to_bytes(8, "little") + b"{}",
}


@pytest.mark.parametrize("path", EVERY_KIND)
def test_half_a_file_and_another_parquet_file_are_faults_that_name_it(broken, path):
    file = broken / path
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert path in outcome(broken)[1]
    if path.endswith(".parquet"):
        pq.write_table(pa.table({"x": [1]}), file)
        assert path in outcome(broken)[1]


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_foreign_content_anywhere_is_a_fault(small, tmp_path, content):
    for number, path in enumerate(ONE_OF_A_KIND):
        root = Path(shutil.copytree(small, tmp_path / str(number)))
        (root / path).write_bytes(content)
        assert path in outcome(root)[1]


def test_a_manifest_of_a_newer_schema_is_named_and_its_job_does_not_pass(broken):
    edit_json(broken / MANIFEST, lambda manifest: manifest.update(schema_version=2))
    verdicts, said = outcome(broken)
    assert f"{MANIFEST}: found schema version 2, expected 1" in said
    assert verdicts["A06"] == "fail"
    assert PASS not in {verdicts[name] for name in ("A04", "A08", "A10", "A11", "A13", "A14", "A19")}


@pytest.mark.parametrize("column", ["value", "printed", "files"])
def test_a_ledger_without_a_column_is_named(broken, column):
    path = broken / STUDY / "cells.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns([column]).replace_schema_metadata(table.schema.metadata), path)
    verdicts, said = outcome(broken)
    assert f"cells.parquet: found no column {column}" in said
    assert {verdicts[name] for name in ("A01", "A02", "A03")} == {"fail"}


def test_a_ledger_whose_numbers_are_texts_is_a_fault(broken):
    path = broken / STUDY / "cells.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("value")
    table = table.set_column(place, "value", table.column("value").cast(pa.string()))
    pq.write_table(table, path)
    verdicts, _ = outcome(broken)
    assert {verdicts[name] for name in ("A01", "A02", "A03")} == {"fail"}


def test_a_cyclic_chain_ends_and_is_named(broken):
    inputs = {"items": io.read_json(broken / MANIFEST)["outputs"]["model"]}
    edit_json(broken / "data/shapes/images.manifest.json", lambda manifest: manifest.update(inputs=inputs))
    verdicts, said = outcome(broken)
    assert verdicts["A06"] == "fail"
    assert "a cycle: " in said


# -- paths that lead out -----------------------------------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.json"
    path.write_text("{}")
    return path


@pytest.fixture
def opened(monkeypatch):
    """The paths of all files that are opened from here on."""
    paths = []

    def watch(module, name):
        original = getattr(module, name)

        def watched(path, *arguments, **options):
            paths.append(str(path))
            return original(path, *arguments, **options)

        monkeypatch.setattr(module, name, watched)

    watch(builtins, "open")
    watch(standard_io, "open")
    watch(os, "open")
    for name in ("read_metadata", "read_table"):
        watch(pq, name)
    watch(np, "load")
    return paths


@pytest.mark.parametrize("kind", ["above", "absolute", "link", "linked folder"])
@pytest.mark.parametrize("place", ["manifest", "output", "chain", "ledger"])
def test_a_path_out_of_the_folder_is_refused_and_not_opened(broken, secret, opened, kind, place):
    if kind == "link":
        (broken / "link.json").symlink_to(secret)
    elif kind == "linked folder":
        (broken / "folder").symlink_to(secret.parent)
    path = {
        "above": "../secret.json",
        "absolute": str(secret),
        "link": "link.json",
        "linked folder": "folder/secret.json",
    }
    entry = {"path": path[kind], "bytes": 2, "sha256": "0" * 64}
    if place == "chain":
        edit_json(broken / STUDY / "chain.json", lambda chain: chain.update(manifests=[entry]))
    elif place == "ledger":
        files = [{"path": path[kind], "sha256": "0" * 64}]
        edit_table(broken / STUDY / "cells.parquet", lambda rows: rows[0].update(files=files))
    else:
        side, name = {"manifest": ("inputs", "split"), "output": ("outputs", "predictions")}[place]
        edit_json(broken / MANIFEST, lambda manifest: manifest[side].update({name: entry}))
    opened.clear()
    assert path[kind] in outcome(broken)[1]
    assert not any("secret" in name for name in opened)


@pytest.mark.parametrize("path", ["..", "a/../../b", "/etc/passwd", "", ".", "a\0b", "..\\b", "nothing.json", None, 7])
def test_no_path_but_that_of_a_file_inside_is_opened(broken, path):
    with pytest.raises(UserError):
        Results(broken).file(path)


def test_the_report_is_not_written_through_a_link(broken, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(broken / "audit", ignore_errors=True)
    (broken / "audit").symlink_to(outside)
    with pytest.raises(UserError, match="leads out of the results folder"):
        command([broken], strict=False, configfile=None, dry_run=False)
    assert list(outside.iterdir()) == []


# -- size, names -------------------------------------------------------------------------------------------------------


def test_a_huge_json_file_is_refused_unread(broken):
    with (broken / MANIFEST).open("r+b") as file:
        file.truncate(evidence.LARGEST_JSON + 1)  # sparse
    verdicts, said = outcome(broken)
    assert "expected at most 50,000,000; it was not read" in said
    assert verdicts["A06"] == "fail"


def test_a_parquet_file_of_too_many_rows_is_refused_unread(broken, monkeypatch):
    monkeypatch.setattr(evidence, "LARGEST_TABLE", 1000)
    verdicts, said = outcome(broken)
    assert "predictions.parquet: found" in said
    assert verdicts["A04"] == "fail"


def test_names_with_control_characters_are_printed_as_plain_text(broken, capsys):
    (broken / "data" / "\x1b[31mred\nline").write_text("")
    (broken / "data" / os.fsdecode(b"\xff")).write_text("")
    assert command([broken], strict=False, configfile=None, dry_run=False) == 1
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert r"\x1b[31mred\nline: found a file that no manifest lists" in said


def test_without_a_path_the_results_are_those_of_the_configuration(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("results: elsewhere\n")
    assert configured.results(configured.Given(path)) == Path("elsewhere")
    assert configured.results(None) == Path("results")
