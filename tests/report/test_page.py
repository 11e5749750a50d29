"""What the page holds, and what it says of what is not there; without a browser."""

import base64
import gzip
import json
import re
import shutil
from html import unescape

import finished_run
import numpy as np
import pytest
from finished_run import edit_json

from report.pages import folder_of_votes
from softlabels import cli, io
from softlabels.errors import UserError
from softlabels.provenance.audit import audit, write_report
from softlabels.report import items, thumbnails
from softlabels.report.answer import answer
from softlabels.report.page import write
from softlabels.studies.ledger_view import Ledger


def text_of(path):
    """The page as text, without its data and scripts."""
    page = re.sub(r"<(script|style)\b.*?</\1>", "", path.read_text("utf-8"), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def data_of(path, name):
    """What the page's script reads under a name."""
    found = re.search(f'id="{name}">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    if not found:
        return None
    return json.loads(gzip.decompress(base64.b64decode(found[1])) if name.startswith("graph") else found[1])


def test_the_same_results_give_the_same_bytes(small, tmp_path):
    pages = []
    for name in ("a", "b"):
        root = shutil.copytree(small, tmp_path / name / "results")
        pages.append(write(root).read_text("utf-8"))
    assert pages[0] == pages[1]


def test_every_linked_number_is_the_cell_that_it_opens(broken):
    page = write(broken)
    cells = data_of(page, "graph-0")["cells"]
    buttons = re.findall(r'data-cell="(\d+)">([^<]*)</button>', page.read_text("utf-8"))
    assert len(buttons) > 50
    for number, text in buttons:
        facts = cells[int(number)]["facts"]
        printed = facts["printed"].partition(",")[0]
        beside = dict(part.split(" ") for part in facts.get("beside it", "").split(", ") if " " in part)
        assert set(re.findall(r"[-+]?[\d.]+|∞|–", text)) <= {
            printed,
            *beside.values(),
            facts.get("here − paper"),
            "–",
        }, (text, facts)


def test_an_unfinished_study_is_shown_as_far_as_it_is(broken):
    (broken / "runs/shapes/random/quick/soft/seed0/predictions.parquet").unlink()
    told = text_of(write(broken))
    assert "seed0/predictions.parquet: found no such file" in told  # no images, but the tables stand
    assert "Comparison of labels" in told and "All test images" not in told
    (broken / "studies/small/cells.parquet").unlink()
    told = text_of(write(broken))
    assert "studies/small/cells.parquet: found no such file" in told and "Comparison of labels" not in told


def test_a_study_that_was_never_run_is_told_with_what_is_missing(tmp_path, capsys):
    config = tmp_path / "mine.yaml"
    raw = {**finished_run.CONFIG, "results": str(tmp_path / "results")}
    config.write_text(json.dumps(raw))
    (tmp_path / "results").mkdir()
    told = run("report", "--configfile", str(config))
    assert told is None
    assert "Page: " in capsys.readouterr().out
    assert "Not finished, or to be made again: data: 1 of 1 waiting;" in text_of(tmp_path / "results/report/index.html")


def test_what_a_changed_configuration_makes_old_is_told(broken, tmp_path):
    raw = json.loads(json.dumps(finished_run.CONFIG)) | {"results": str(broken)}
    config = tmp_path / "mine.yaml"
    for epochs, told in ((1, False), (2, True)):
        raw["recipes"]["quick"]["epochs"] = epochs
        config.write_text(json.dumps(raw))
        run("report", "--configfile", str(config))
        text = text_of(broken / "report/index.html")
        assert ("train: 4 of 4 old, as their definition has changed" in text) == told


def run(*words):
    """The status of a command."""
    arguments = vars(cli.parser().parse_args(words))
    return arguments.pop("call")(**arguments)


@pytest.mark.parametrize(("words", "message"), [
    (["report", "nowhere"], "found no results"),
    (["report", "--config", "a=1"], "Name it with --configfile"),
])  # fmt: skip
def test_mistakes_are_told(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        run(*words)


def test_studies_that_are_not_there_are_told(broken, tmp_path):
    with pytest.raises(UserError, match="found no study other; there are: small"):
        write(broken, ["other"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="expected one in studies/"):
        write(tmp_path / "empty")


def test_a_folder_that_is_a_link_to_elsewhere_is_not_written_to(broken, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (broken / "report").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="leads out of the results folder"):
        write(broken)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_without_images_none_is_on_the_page(broken):
    shown, hidden = (write(broken, images=images).read_text("utf-8") for images in (True, False))
    assert "sheet-0-0" in shown and "image/webp" in shown
    assert "sheet-0-0" not in hidden and "image/webp" not in hidden
    assert "synthetic-00" in hidden  # names are no images


def test_what_the_configuration_says_now_makes_data_private(broken, tmp_path, capsys):
    config = json.loads(json.dumps(finished_run.CONFIG)) | {"results": str(broken)}
    config["datasets"]["shapes"]["private"] = True  # the study was made before it was said
    (tmp_path / "mine.yaml").write_text(json.dumps(config))
    run("report", "--configfile", str(tmp_path / "mine.yaml"))
    page = (broken / "report/index.html").read_text("utf-8")
    assert "image/webp" not in page and "synthetic-00" not in page


def test_it_says_where_jobs_ran_and_what_they_took(broken):
    told = text_of(write(broken))
    machine = json.loads((broken / "data/shapes/images.manifest.json").read_text())["machine"]
    chained = json.loads((broken / "studies/small/chain.json").read_text())["manifests"]
    assert f"machine: {machine['system']}, {machine['processor']} ({len(chained)} jobs)" in told
    assert f"How it was made: {len(chained)} jobs, " in told
    manifest = broken / "data/shapes/images.manifest.json"
    edit_json(manifest, lambda of: of.update(started="yesterday"))
    told = text_of(write(broken))
    assert "manifests behind small: found content that cannot be read" in told and "Comparison of labels" in told


def test_names_of_machines_and_folders_stay_where_they_are(broken):
    page = write(broken)
    text = page.read_text("utf-8") + json.dumps(data_of(page, "graph-0"))
    host = json.loads((broken / "data/shapes/images.manifest.json").read_text())["machine"]["host"]
    assert str(broken) not in text and f'"{host}' not in text and f" {host}," not in text


@pytest.mark.parametrize("path", [
    "studies/small/config.json", "studies/small/chain.json", "data/shapes/items.parquet", "data/shapes/images.npy",
    "runs/shapes/random/quick/soft/seed0/model.manifest.json", "data/shapes/reference.parquet",
])  # fmt: skip
def test_a_file_that_is_lost_or_broken_is_told_and_the_rest_is_shown(broken, path):
    (broken / path).write_bytes(b"{}")
    assert "Comparison of labels" in text_of(write(broken))
    (broken / path).unlink()
    assert "Comparison of labels" in text_of(write(broken))


def test_a_ledger_cannot_name_code_that_runs(broken, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("import pathlib\npathlib.Path('ran').touch()\nrun = print\nENTRY = {}\n")
    path = broken / "studies/small/cells.parquet"
    table, facts = io.read_table(path)
    io.write_table(path, table, facts | {"tables": [*facts["tables"], {"kind": "evil:run"}]})
    told = text_of(write(broken))
    assert "evil:run are left out" in told and "Comparison of labels" in told
    assert not (tmp_path / "ran").exists()


def test_neither_images_nor_names_of_private_data_are_on_the_page(broken):
    names = io.read_table(broken / "data/shapes/items.parquet")[0]["name"].to_pylist()
    edit_json(broken / "studies/small/config.json", lambda config: config["datasets"]["shapes"].update(private=True))
    page = write(broken).read_text("utf-8")
    assert "image/webp" not in page and "item 1" in page
    assert not [name for name in names if name in page]


def test_the_audit_stands_on_the_page_and_is_stale_where_tables_are_younger(broken):
    assert "Not audited." in text_of(write(broken))
    write_report(broken, ["small"], audit(broken, ["small"], dry_run=False))
    told = text_of(write(broken))
    assert re.search(r"Audited: \d+ pass, 0 fail", told) and "audit again" not in told
    (broken / "studies/small/table.csv").write_text("label\n")
    write_report(broken, ["small"], audit(broken, ["small"], dry_run=False))
    assert "The audit failed:" in text_of(write(broken))
    cells = broken / "studies/small/cells.parquet"
    table, facts = io.read_table(cells)
    io.write_table(cells, table.slice(0, table.num_rows - 1), facts)
    assert "The numbers of this study have changed since: audit again." in text_of(write(broken))


# -- the answer --------------------------------------------------------------------------------------------------------


def sentences(root, study="small"):
    """The answer as text."""
    cells, _ = io.read_table(root / f"studies/{study}/cells.parquet")
    return ["".join(map(str, text)) for text in answer(Ledger(cells))]


def test_the_answer_has_the_numbers_of_the_ledger(both, tmp_path, no_foreign_modules):
    from softlabels.studies import study as writes

    config, inputs, outputs = finished_run.study(both, tmp_path / "results")
    writes.run(config, inputs, outputs)
    accuracy, divergence = sentences(tmp_path / "results", "hard_vs_soft")
    assert accuracy.startswith("Macro accuracy is 0.9133 ± 0.0153 with soft and 0.8300 ± 0.0361 with hard labels: ")
    assert divergence.startswith("KL divergence from the reference is 0.0500 ± 0.0100 with soft and 1.1500 ± 0.0500")
    said = r"better with soft labels \(difference -1\.1000 \[-1\.\d+, -(0|1)\.\d+\], 95% interval over 3 seeds and 24 "
    assert re.search(said + r"test images\)\.$", divergence)


@pytest.mark.parametrize(("changes", "told"), [
    ({"seeds": [0]}, "one seed, so that no difference can be told from chance"),
    ({"labels": {"soft": finished_run.SOFT}}, None),
    ({"datasets": ("synthetic", "mice_bone")}, "Against hard labels, KL divergence from the reference is "),
])  # fmt: skip
def test_the_answer_of_other_studies(both, tmp_path, changes, told):
    from softlabels.studies import study as writes

    config, inputs, outputs = finished_run.study(both, tmp_path / "results", **changes)
    writes.run(config, inputs, outputs)
    found = sentences(tmp_path / "results", "hard_vs_soft")
    assert found == [] if told is None else told in found[-1]


# -- images ------------------------------------------------------------------------------------------------------------


def test_what_an_item_shows_is_what_its_files_say(small):
    from softlabels.provenance.evidence import Results

    results = Results(small)
    found = items.of(results, results.study_config("small"), images=True)
    assert list(found.q) == ["hard", "soft"]
    import pandas as pd

    frame = pd.read_csv(small / "studies/small/items.csv").query("seed == 0").set_index("item").loc[found.item]
    assert np.allclose(frame["kl_soft"], found.kl["soft"], rtol=1e-5)
    assert [found.name(row) for row in range(len(found.item))] == frame["name"].tolist()
    for k, name in enumerate(found.classes):
        assert np.allclose(frame[f"reference_{name}"], found.p[:, k], atol=1e-6)
        assert np.allclose(frame[f"hard_{name}"], found.q["hard"][:, k], atol=1e-6)
    between = np.abs(found.q["hard"] - found.q["soft"]).sum(axis=1) / 2
    assert np.allclose(found.apart, between)


def test_sheets_hold_every_tile_in_its_place_and_become_smaller_where_they_would_be_too_large():
    from io import BytesIO

    from PIL import Image

    grey = np.arange(1_200) * 200 // 1_200
    images = np.broadcast_to(grey[:, None, None, None], (1_200, 20, 10, 3)).astype(np.uint8)
    made = thumbnails.sheets(images, np.arange(1_200))
    assert (made.width, made.height, len(made.sheets)) == (10, 20, 2)
    for item in (0, 39, 40, 999, 1_000, 1_199):
        sheet = np.asarray(Image.open(BytesIO(made.sheets[item // 1_000])).convert("L"))
        row, column = divmod(item % 1_000, thumbnails.COLUMNS)
        assert abs(int(sheet[20 * row + 10, 10 * column + 5]) - int(grey[item])) <= 3
    large = np.random.default_rng(0).integers(0, 256, (50, 512, 512, 3), np.uint8)
    assert thumbnails.sheets(large, np.arange(50)).width == thumbnails.LARGEST[0]
    assert thumbnails.sheets(large, np.arange(50), most=40_000).width < thumbnails.LARGEST[0]


@pytest.mark.parametrize(("classes", "pixels", "votes"), [(200, 12, 2), (2, 512, 3)], ids=["200 classes", "512 pixels"])
def test_many_classes_and_large_images(tmp_path, no_foreign_modules, classes, pixels, votes):
    names = [f"class {k:03d}" for k in range(classes)]
    table = folder_of_votes(tmp_path / "data", names, images=max(60, 2 * classes), votes=votes, pixels=pixels)
    source = {"kind": "table", "votes": str(table), "images": str(table.parent / "images"), "classes": names,
              "columns": {"item": "image"}, "pixels": 32 if pixels > 32 else None}  # fmt: skip
    config = {
        "datasets": {"votes": {"source": source}},
        "splits": {"random": {"allow_missing_class": True}},
        "recipes": {"quick": finished_run.QUICK},
        "studies": {"many": {"datasets": ["votes"], "recipes": ["quick"], "seeds": [0]}},
    }
    page = write(finished_run.build(tmp_path / "results", config))
    data = data_of(page, "items-0")
    assert len(data["colours"]) == len(set(data["colours"])) == classes
    assert page.stat().st_size < 12e6
