"""Figures for a paper and for slides: sizes, letters, captions, colours, and the command that draws them again."""

import copy
import shutil

import finished_run as files
import pytest
from matplotlib.text import Text
from PIL import Image
from test_figures import assert_inside, texts_of

from softlabels import cli, drawing
from softlabels import figures as command
from softlabels.errors import UserError
from softlabels.studies import study
from softlabels.studies.figures import curves, labels, points

CONFIG = copy.deepcopy(files.CONFIG)
CONFIG["studies"]["small"]["figures"] = ["curves", "reliability", "confusion", "risk_coverage"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The results folder of a study with figures."""
    return files.build(tmp_path_factory.mktemp("print") / "results", CONFIG, ("figure",))


def test_a_paper_has_vector_pictures_of_its_widths_with_captions_beside_them(finished, tmp_path, capsys):
    command.figures(str(finished / "studies/small"), "paper", tmp_path / "out")
    stems = {f"{kind}-shapes-random-quick" for kind in ("confusion", "curves", "reliability", "risk_coverage")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{s}.{x}" for s in stems for x in ("pdf", "txt")}
    assert "4 figures of small for paper" in capsys.readouterr().out
    for stem in stems:
        pdf, caption = (tmp_path / f"out/{stem}.pdf").read_bytes(), (tmp_path / f"out/{stem}.txt").read_text()
        wide = 3.4 if stem.startswith("risk") else 7.0
        assert f"/MediaBox [ 0 0 {wide * 72:g} ".encode() in pdf and b"/Subtype /Image" not in pdf
        assert caption.startswith("Study small: ") and "Data set shapes, split random, recipe quick" in caption
        assert "2 seeds" in caption
    command.figures(str(finished / "studies/small/table.md"), "paper", tmp_path / "again")  # the same bytes
    for path in (tmp_path / "out").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_slides_are_whole_pages_as_pdf_and_png(finished, tmp_path):
    command.figures(str(finished / "studies/small"), "slides", tmp_path / "out")
    for path in (tmp_path / "out").glob("*.png"):
        assert Image.open(path).size == (2666, 1500)
        assert b"/MediaBox [ 0 0 959.76 540 ]" in path.with_suffix(".pdf").read_bytes()
    assert len([*(tmp_path / "out").iterdir()]) == 12


def test_what_is_wrong_with_a_study_is_said_and_nothing_written(finished, tmp_path, both, monkeypatch, capsys):
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"no such table, and no such study"):
        command.figures("small", "paper", out)
    config, inputs, outputs = files.study(both, tmp_path / "results", figures=[])
    folder = outputs["config"].parent
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.raises(UserError, match=r"hard_vs_soft: is not finished: found no .*cells\.parquet"):
        command.figures(str(folder), "paper", out)
    study.run(config, inputs, outputs)
    with pytest.raises(UserError, match="has no figures"):
        command.figures(str(folder), "paper", out)
    (tmp_path / "there").mkdir()
    (tmp_path / "there/file").touch()
    words = ["softlabels", "figures", finished / "studies/small", "--for", "slides", "--out", tmp_path / "there"]
    monkeypatch.setattr("sys.argv", [*map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2 and "is there already, and not empty" in capsys.readouterr().err
    assert not out.exists()


def test_a_manifest_cannot_name_code_that_runs_nor_files_that_have_changed(finished, tmp_path, monkeypatch, capsys):
    root = shutil.copytree(finished, tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("import pathlib\npathlib.Path('ran').touch()\n")
    manifest = root / "studies/small/figures/curves-shapes-random-quick.manifest.json"
    files.edit_json(manifest, lambda told: told["config"]["figure"].update(kind="evil:draw"))
    command.figures(str(root / "studies/small"), "paper", tmp_path / "out")
    assert "curves-shapes-random-quick.manifest.json: is left out" in capsys.readouterr().out
    assert not (tmp_path / "ran").exists() and len([*(tmp_path / "out").glob("*.pdf")]) == 3
    scores = root / "runs/shapes/random/quick/soft/seed0/scores/standard.parquet"
    scores.write_bytes(scores.read_bytes() + b" ")
    with pytest.raises(UserError, match=r"standard\.parquet: has changed since .*confusion|reliability|risk"):
        command.figures(str(root / "studies/small"), "paper", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_figure_whose_file_was_lost_names_it_and_leaves_no_folder(finished, tmp_path):
    lost = finished / "runs/shapes/random/quick/hard/seed0/history.parquet"
    aside = lost.rename(tmp_path / "aside.parquet")
    try:
        with pytest.raises(UserError, match=r"hard/seed0/history\.parquet: found no such file"):
            command.figures(str(finished / "studies/small"), "paper", tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["aside.parquet"]
    finally:
        aside.rename(lost)


@pytest.mark.parametrize("medium", [None, "paper", "slides"])
def test_the_caption_is_in_the_picture_on_the_screen_alone(both, tmp_path, medium):
    study_config, inputs, outputs = files.study(both, tmp_path)
    study.run(study_config, inputs, outputs)
    with drawing.style(medium):
        options = {"kind": "points", "metrics": ["kl", "macro_acc", "tvd"]}
        figure = points.draw({"figure": options}, {"cells": outputs["cells"]})
        assert_inside(figure)
        seen, told = " ".join(texts_of(figure).split()), drawing.captioned(figure)
        assert ("Each metric at every point" in seen) == (medium is None)
        assert "test items in each of 3 seeds" in told
        assert "95% two-way intervals, over seeds and images" in told
        sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}
        usual = drawing.MEDIA[medium].letters if medium else drawing.LETTERS
        assert usual in sizes and min(sizes) >= 0.75 * usual


def test_what_needs_more_room_than_a_page_has_gets_smaller_letters_and_is_no_wider():
    with drawing.style("paper"):
        assert drawing.figure(5, 4, columns=1).get_figwidth() == 3.4 and drawing.points(9) == pytest.approx(7)
        assert drawing.figure(20, 4).get_figwidth() == 7.0 and drawing.points(9) < 4
    with drawing.style("slides"):
        assert drawing.figure(3, 40).get_size_inches().tolist() == [13.33, 7.5]
        assert drawing.arranged(6, 2.5, 2) == (2, 3) and drawing.fitting(0.26, 1) < 40
    assert drawing.figure(20, 4).get_size_inches().tolist() == [20, 4] and drawing.arranged(6, 2.5, 2) == (1, 6)
    assert drawing.arranged(6, 2.5, 2, most=4) == (2, 3) and drawing.fitting(0.26, 1) is None


def test_a_label_has_one_colour_in_all_figures_and_a_class_one_on_every_page(both, tmp_path, finished):
    config, inputs, outputs = files.study(both, tmp_path)
    study.run(config, inputs, outputs)
    cells = {"cells": outputs["cells"]}
    options = {"metrics": ["kl"], "difference": False}
    rows = labels.draw({"figure": {"kind": "labels", **options}}, cells).axes[0].containers
    runs = [finished / f"runs/shapes/random/quick/{label}/seed0/history.parquet" for label in ("hard", "soft")]
    block = {"study": "small", "labels": ["hard", "soft"], "seeds": [0], "block": ["shapes", "random", "quick"]}
    lines = curves.draw(block, {"histories": runs}).axes[0].lines
    assert [row.lines[0].get_color() for row in rows] == [line.get_color() for line in lines] == drawing.colours(2)
    classes = [f"class {k}" for k in range(30)]
    colours = drawing.class_colours(classes)
    assert [*colours] == classes and all(colour.startswith("#") and len(colour) == 7 for colour in colours.values())
    assert drawing.class_colours(classes[:6]) == {name: colours[name] for name in classes[:6]}


def test_a_figure_of_ones_own_without_a_caption_is_told_by_its_title():
    figure = drawing.Figure()
    figure.suptitle("my own")
    assert drawing.captioned(figure) == "my own"
