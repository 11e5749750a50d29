import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import study_files as files
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from softlabels import drawing, io
from softlabels.errors import UserError
from softlabels.studies import figure as figures
from softlabels.studies.figures import curves, embedding

PNG, PDF = b"\x89PNG\r\n\x1a\n", b"%PDF-"


def figure_files(root: Path, dataset: str, definitions: dict | None = None, **changes) -> tuple[dict, dict, dict]:
    """Config, inputs and outputs of the figure of a data set."""
    config = files.study({dataset: {"paper": dataset, "description": {"source": {}}}}, definitions)
    inputs, _ = files.write_study(root, config)
    embeddings = [root / f"tsne/{label}.parquet" for label in config["labels"]]
    for seed, path in enumerate(embeddings):
        files.write_embedding(path, 30, seed)
    figure = {
        "study": "hard_vs_soft",
        "figure": {"kind": "embedding"},
        "labels": list(config["labels"]),
        "seeds": [0, 1, 2],
        "block": [dataset, "random", "compact"],
    }
    outputs = {"png": root / "figure.png", "pdf": root / "figure.pdf"}
    data = root / "data" / dataset
    return (
        {**figure, **changes},
        {
            "embeddings": embeddings,
            "items": data / "items.parquet",
            "reference": data / "reference.parquet",
            "scores": inputs["scores"],
        },
        outputs,
    )


def drawn(config: dict, inputs: dict, outputs: dict) -> None:
    """Draw as the command does, which gets a list of each file of a data set."""
    lists = {name: [inputs[name]] for name in ("items", "reference") if name in inputs}
    figures.run(config, inputs | lists, outputs)


def texts_of(figure) -> str:
    """Every text in a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


@pytest.mark.parametrize("dataset", ["synthetic", "mice_bone"])
def test_a_figure_has_the_same_bytes_each_time(tmp_path, dataset):
    config, inputs, outputs = figure_files(tmp_path, dataset)
    drawn(config, inputs, outputs)
    first = {name: path.read_bytes() for name, path in outputs.items()}
    assert first["png"].startswith(PNG) and first["pdf"].startswith(PDF)
    assert b"CreationDate" not in first["pdf"] and b"Software" not in first["png"]
    drawn(config, inputs, outputs)
    assert first == {name: path.read_bytes() for name, path in outputs.items()}


def test_figure_1_has_a_row_a_label_with_colour_beside_shape(tmp_path):
    config, inputs, _ = figure_files(tmp_path, "synthetic")
    panels = embedding.read_panels(config, inputs)
    items, _ = io.read_table(inputs["items"])
    figure = embedding.positions_figure(panels, items, inputs["items"])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["hard: colour position", "hard: shape position", "soft: colour position", "soft: shape position"]
    drawn = figure.axes[0].collections[0]
    np.testing.assert_allclose(drawn.get_offsets(), panels[0].points)
    np.testing.assert_allclose(drawn.get_facecolors()[:, :3], embedding.hue(io.vector(items, "u")[20:]))
    texts = texts_of(figure)
    for text in (
        "perplexity 30",
        "5,000 iterations",
        "pca initialisation",
        "trustworthiness 0.987",
        "silhouette",
        "circle",
    ):
        assert text in texts
    assert "mean nothing" in texts.replace("\n", " ") and "are the pure items" in texts.replace("\n", " ")


def test_colour_positions_are_the_items_own_colours():
    np.testing.assert_allclose(
        embedding.hue(np.array([0.0, 1.0, 2.0, 3.0])), [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    )
    np.testing.assert_allclose(embedding.hue(np.array([0.25])), [[1, 0.5, 0]], atol=1e-12)  # (1, 2t, 0) for t = 1/4


def test_figure_2_mixes_the_class_colours_with_the_reference(tmp_path, monkeypatch):
    config, inputs, _ = figure_files(tmp_path, "mice_bone")
    panels = embedding.read_panels(config, inputs)
    colours = ["red", "lime", "blue"]  # so that the mix is the reference itself
    monkeypatch.setattr(drawing, "colours", lambda n, classes: colours)
    figure = embedding.classes_figure(panels, inputs["reference"])
    p = io.matrix(io.read_table(inputs["reference"])[0], "p")
    assert [axes.get_title() for axes in figure.axes] == ["hard", "soft"]
    np.testing.assert_allclose(figure.axes[1].collections[0].get_facecolors()[:, :3], p[20:])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == files.CLASSES["mice_bone"]
    assert "pure items" not in texts_of(figure)


@pytest.mark.parametrize("classes", [False, True])
def test_every_label_and_class_has_a_colour_of_its_own(classes):
    for n in (2, 7, 20, 100, 2000):
        colours = drawing.colours(n, classes=classes)
        assert len({to_rgb(colour) for colour in colours}) == n
        assert sorted(colours[:7]) == sorted(drawing.OKABE_ITO[:7])[:n] or n < 7
    assert len({(look["color"], look["linestyle"]) for look in drawing.lines(20)}) == 20


def assert_inside(figure):
    """Titles, notes and legends of a figure lie on its page, and no two panels overlap."""
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    panels = [axes.get_window_extent() for axes in figure.axes if axes.get_title()]
    ticks = {label for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())}
    assert all(not one.overlaps(other) for one, other in itertools.combinations(panels, 2))
    for text in (text for text in set(figure.findobj(Text)) - ticks if text.get_text() and text.get_visible()):
        box = text.get_window_extent()
        assert box.x0 > -3 and box.y0 > -3 and box.x1 < figure.bbox.x1 + 3 and box.y1 < figure.bbox.y1 + 3, text


@pytest.mark.parametrize("dataset", ["synthetic", "mice_bone"])
def test_twenty_labels_and_hostile_names_stay_on_the_page(tmp_path, monkeypatch, dataset):
    monkeypatch.setitem(files.CLASSES, dataset, ["_x", "$\\frac$", "a\nb", *(f"{k}{60 * 'x'}" for k in range(117))])
    labels = {"hard": files.HARD, **{f"soft_{k}_of_some_method": files.SOFT for k in range(19)}}
    config, inputs, _ = figure_files(tmp_path, dataset, labels, seeds=[0])
    with drawing.style():
        figure = embedding.draw(config, inputs)
        assert_inside(figure)
        assert sum(bool(axes.get_title()) for axes in figure.axes) == 20 * (1 + (dataset == "synthetic"))
        histories = [path.parents[1] / "history.parquet" for path in inputs["scores"]]
        assert_inside(curves.draw({**config, "labels": list(labels)}, {"histories": histories}))
    if dataset == "mice_bone":
        names = [text.get_text() for text in figure.legends[0].get_texts()]
        assert len(names) == 101 and names[1:3] == [r"\$\frac\$", "a b"] and names[-1] == "and 20 more"


def test_a_figure_without_the_scores_of_a_label_names_it(tmp_path):
    config, inputs, outputs = figure_files(tmp_path, "synthetic")
    inputs["scores"] = [path for path in inputs["scores"] if "soft/seed0" not in str(path)]
    with pytest.raises(UserError, match=r"scores of standard: found none for soft/seed0"):
        drawn(config, inputs, outputs)
    config, inputs, outputs = figure_files(tmp_path, "synthetic", labels=["hard", "soft", "softer"])
    with pytest.raises(UserError, match="found 2 files, expected one for each of the labels hard, soft, softer"):
        drawn(config, inputs, outputs)
    assert not outputs["png"].exists()


def test_embeddings_made_with_other_settings_are_not_put_side_by_side(tmp_path):
    config, inputs, outputs = figure_files(tmp_path, "synthetic")
    table, facts = io.read_table(inputs["embeddings"][1])
    facts["parameters"]["perplexity"] = 5
    io.write_table(inputs["embeddings"][1], table, {k: v for k, v in facts.items() if k != "schema_version"})
    with pytest.raises(UserError, match=r"soft was made with .*expected the same"):
        drawn(config, inputs, outputs)


def curve_files(root: Path) -> tuple[dict, dict, dict]:
    inputs, _ = files.write_study(root, files.study())
    histories = [path.with_name("history.parquet") for path in inputs["predictions"]]
    config = {
        "study": "hard_vs_soft",
        "figure": {"kind": "curves"},
        "labels": ["hard", "soft"],
        "seeds": [0, 1, 2],
        "block": ["synthetic", "random", "compact"],
    }
    return config, {"histories": histories}, {"png": root / "curves.png", "pdf": root / "curves.pdf"}


def test_learning_curves_have_the_same_bytes_in_any_order_of_files(tmp_path):
    config, inputs, outputs = curve_files(tmp_path)
    drawn(config, inputs, outputs)
    first = {name: path.read_bytes() for name, path in outputs.items()}
    assert first["png"].startswith(PNG) and first["pdf"].startswith(PDF)
    drawn(config, {"histories": inputs["histories"][::-1]}, outputs)
    assert first == {name: path.read_bytes() for name, path in outputs.items()}


def test_learning_curves_show_every_seed_in_the_colour_of_its_label(tmp_path):
    config, inputs, _ = curve_files(tmp_path)
    figure = curves.draw(config, inputs)
    for axes, column in zip(figure.axes, curves.PANELS, strict=True):
        assert len(axes.lines) == 6
        assert len({line.get_color() for line in axes.lines}) == 2
        table, _ = io.read_table(tmp_path / "runs/synthetic/random/compact/hard/seed1/history.parquet")
        np.testing.assert_array_equal(axes.lines[1].get_ydata(), io.vector(table, column))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["hard", "soft"]


def test_a_history_without_reference_values_leaves_that_panel_empty(tmp_path):
    config, inputs, outputs = curve_files(tmp_path)
    for path in inputs["histories"]:
        table, _ = io.read_table(path)
        position = table.column_names.index("val_ce_reference")
        empty = pa.nulls(len(table), pa.float64())
        io.write_table(path, table.set_column(position, "val_ce_reference", empty))
    drawn(config, inputs, outputs)
    assert outputs["png"].exists()


def test_a_missing_history_is_named(tmp_path):
    config, inputs, outputs = curve_files(tmp_path)
    with pytest.raises(UserError, match=r"history\.parquet: found none for soft/seed2"):
        drawn(config, {"histories": [p for p in inputs["histories"] if "soft/seed2" not in str(p)]}, outputs)
    assert not outputs["png"].exists()
