from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import study_files as files
from matplotlib.colors import to_rgb

from softlabels import io
from softlabels.errors import UserError
from softlabels.studies import curves, figures

PNG, PDF = b"\x89PNG\r\n\x1a\n", b"%PDF-"


def figure_files(root: Path, dataset: str, **changes) -> tuple[dict, dict, dict]:
    """Config, inputs and outputs of the figure of a data set."""
    config = files.study({dataset: {"paper": dataset, "description": {"source": {}}}})
    inputs, _ = files.write_study(root, config)
    embeddings = [root / f"tsne/{label}.parquet" for label in config["labels"]]
    for seed, path in enumerate(embeddings):
        files.write_embedding(path, 30, seed)
    figure = {"study": "hard_vs_soft", "labels": ["hard", "soft"], "seeds": [0, 1, 2]}
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


def texts_of(figure) -> str:
    """Every text in a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


@pytest.mark.parametrize("dataset", ["synthetic", "mice_bone"])
def test_a_figure_has_the_same_bytes_each_time(tmp_path, dataset):
    config, inputs, outputs = figure_files(tmp_path, dataset)
    figures.run(config, inputs, outputs)
    first = {name: path.read_bytes() for name, path in outputs.items()}
    assert first["png"].startswith(PNG) and first["pdf"].startswith(PDF)
    assert b"CreationDate" not in first["pdf"] and b"Software" not in first["png"]
    figures.run(config, inputs, outputs)
    assert first == {name: path.read_bytes() for name, path in outputs.items()}


def test_figure_1_has_a_row_a_label_with_colour_beside_shape(tmp_path):
    config, inputs, _ = figure_files(tmp_path, "synthetic")
    panels = figures.read_panels(config, inputs)
    items, _ = io.read_table(inputs["items"])
    figure = figures.positions_figure(panels, items, inputs["items"])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["hard: colour position", "hard: shape position", "soft: colour position", "soft: shape position"]
    drawn = figure.axes[0].collections[0]
    np.testing.assert_allclose(drawn.get_offsets(), panels[0].points)
    np.testing.assert_allclose(drawn.get_facecolors()[:, :3], figures.hue(io.vector(items, "u")[20:]))
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
        figures.hue(np.array([0.0, 1.0, 2.0, 3.0])), [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    )
    np.testing.assert_allclose(figures.hue(np.array([0.25])), [[1, 0.5, 0]], atol=1e-12)  # (1, 2t, 0) for t = 1/4


def test_figure_2_mixes_the_class_colours_with_the_reference(tmp_path, monkeypatch):
    config, inputs, _ = figure_files(tmp_path, "mice_bone")
    panels = figures.read_panels(config, inputs)
    colours = ["red", "lime", "blue"]  # so that the mix is the reference itself
    monkeypatch.setattr(figures, "class_colours", lambda n: colours)
    figure = figures.classes_figure(panels, inputs["reference"])
    p = io.matrix(io.read_table(inputs["reference"])[0], "p")
    assert [axes.get_title() for axes in figure.axes] == ["hard", "soft"]
    np.testing.assert_allclose(figure.axes[1].collections[0].get_facecolors()[:, :3], p[20:])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == files.CLASSES["mice_bone"]
    assert "pure items" not in texts_of(figure)


def test_every_class_has_a_colour_of_its_own():
    for n in (2, 7, 10, 30):
        assert len({to_rgb(colour) for colour in figures.class_colours(n)}) == n


def test_a_figure_without_the_scores_of_a_label_names_it(tmp_path):
    config, inputs, outputs = figure_files(tmp_path, "synthetic")
    inputs["scores"] = [path for path in inputs["scores"] if "soft/seed0" not in str(path)]
    with pytest.raises(UserError, match=r"scores of standard: found none for soft/seed0"):
        figures.run(config, inputs, outputs)
    config, inputs, outputs = figure_files(tmp_path, "synthetic", labels=["hard", "soft", "softer"])
    with pytest.raises(UserError, match="found 2 files, expected one for each of the labels hard, soft, softer"):
        figures.run(config, inputs, outputs)
    assert not outputs["png"].exists()


def test_embeddings_made_with_other_settings_are_not_put_side_by_side(tmp_path):
    config, inputs, outputs = figure_files(tmp_path, "synthetic")
    table, facts = io.read_table(inputs["embeddings"][1])
    facts["parameters"]["perplexity"] = 5
    io.write_table(inputs["embeddings"][1], table, {k: v for k, v in facts.items() if k != "schema_version"})
    with pytest.raises(UserError, match=r"soft was made with .*expected the same"):
        figures.run(config, inputs, outputs)


def curve_files(root: Path) -> tuple[dict, dict, dict]:
    inputs, _ = files.write_study(root, files.study())
    histories = [path.with_name("history.parquet") for path in inputs["predictions"]]
    config = {"study": "hard_vs_soft", "labels": ["hard", "soft"], "seeds": [0, 1, 2]}
    return config, {"histories": histories}, {"png": root / "curves.png", "pdf": root / "curves.pdf"}


def test_learning_curves_have_the_same_bytes_in_any_order_of_files(tmp_path):
    config, inputs, outputs = curve_files(tmp_path)
    curves.run(config, inputs, outputs)
    first = {name: path.read_bytes() for name, path in outputs.items()}
    assert first["png"].startswith(PNG) and first["pdf"].startswith(PDF)
    curves.run(config, {"histories": inputs["histories"][::-1]}, outputs)
    assert first == {name: path.read_bytes() for name, path in outputs.items()}


def test_learning_curves_show_every_seed_in_the_colour_of_its_label(tmp_path):
    config, inputs, _ = curve_files(tmp_path)
    figure = curves.draw(config, curves.read_histories(config, inputs["histories"]))
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
    curves.run(config, inputs, outputs)
    assert outputs["png"].exists()


def test_a_missing_history_is_named(tmp_path):
    config, inputs, outputs = curve_files(tmp_path)
    with pytest.raises(UserError, match=r"history\.parquet: found none for soft/seed2"):
        curves.run(config, {"histories": [p for p in inputs["histories"] if "soft/seed2" not in str(p)]}, outputs)
    assert not outputs["png"].exists()
