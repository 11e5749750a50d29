import itertools

import finished_run as files
import numpy as np
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from softlabels import contracts, drawing, io, schema
from softlabels.errors import UserError
from softlabels.studies import figure as figures
from softlabels.studies import ledger_view, study
from softlabels.studies.figures import curves, embedding, labels, risk_coverage


@pytest.fixture
def figure_files(both, tmp_path):
    """Makes config, inputs and outputs of the figure of a data set."""

    def made(kind, dataset="synthetic", **changes):
        study, inputs, outputs = files.study(both, tmp_path, datasets=(dataset,), **changes)
        block, labels = [dataset, "random", "compact"], list(study["labels"])
        names = {"study": "hard_vs_soft", "labels": labels, "seeds": study["seeds"], "block": block}
        tsne = outputs["config"].parent / "tsne"
        inputs["embeddings"] = [tsne / f"{'-'.join([*block, label, 'seed0'])}.parquet" for label in labels]
        inputs["histories"] = [path.with_name("history.parquet") for path in inputs["predictions"]]
        chosen = {"kind": kind, **schema.defaults("figure", kind)}
        return {**names, "figure": chosen}, inputs, {"png": tmp_path / "f.png", "pdf": tmp_path / "f.pdf"}

    return made


def texts_of(figure) -> str:
    """Every text in a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


@pytest.mark.parametrize(
    ("kind", "dataset"),
    [
        ("embedding", "synthetic"), ("embedding", "mice_bone"), ("curves", "synthetic"), ("risk_coverage", "mice_bone"),
    ],
)  # fmt: skip
def test_a_figure_has_the_same_bytes_each_time_and_in_any_order_of_files(figure_files, kind, dataset):
    config, inputs, outputs = figure_files(kind, dataset)
    figures.run(config, inputs, outputs)
    first = {name: path.read_bytes() for name, path in outputs.items()}
    assert first["png"].startswith(b"\x89PNG\r\n\x1a\n") and first["pdf"].startswith(b"%PDF-")
    assert b"CreationDate" not in first["pdf"] and b"Software" not in first["png"]
    turned = {name: inputs[name][::-1] for name in ("scores", "histories", "predictions")}
    figures.run(config, {**inputs, **turned}, outputs)
    assert first == {name: path.read_bytes() for name, path in outputs.items()}


def test_figure_1_has_a_row_a_label_with_colour_beside_shape(figure_files):
    config, inputs, _ = figure_files("embedding")
    panels = embedding.read_panels(config, inputs)
    items, _ = io.read_table(inputs["items"][0])
    figure = embedding.positions_figure(panels, items, inputs["items"][0], "title")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["hard: colour position", "hard: shape position", "soft: colour position", "soft: shape position"]
    drawn = figure.axes[0].collections[0]
    np.testing.assert_allclose(drawn.get_offsets(), panels[0].points)
    colours = embedding.hue(io.vector(items, "u")[panels[0].item])
    np.testing.assert_allclose(drawn.get_facecolors()[:, :3], colours)
    texts = texts_of(figure)
    trust = f"trustworthiness {panels[0].facts['trustworthiness']:.3f}"
    how = "t-SNE (openTSNE: Barnes-Hut)"
    for text in (how, "perplexity 5", "250 iterations", "pca initialisation", trust, "silhouette", "circle"):
        assert text in texts
    assert "mean nothing" in texts.replace("\n", " ") and "are the pure items" in texts.replace("\n", " ")


def test_numbers_of_every_seed_stand_below_the_pictures(figure_files):
    config, inputs, _ = figure_files("embedding")
    config["labels"], inputs["embeddings"] = config["labels"][:1], inputs["embeddings"][:1]
    (panel,) = embedding.read_panels(config, inputs)
    files_of_hard = [path for path in inputs["scores"] if "/hard/" in path.as_posix()]
    assert len(files_of_hard) == 3
    read = [contracts.read_scores(path) for path in files_of_hard]
    left, right = (" ".join(note.split("\n")) for note in embedding.notes(panel, 60))
    for heading, name, note in [
        ("silhouette", "silhouette", right), ("label smoothness", "label_smoothness", right),
        ("distance Spearman", "distance_spearman", right), ("colour R²", "colour_r2", left),
        ("shape R²", "shape_r2", right), ("colour 10-NN R²", "colour_r2_knn", left),
    ]:  # fmt: skip
        values = [scores.value(f"structure.{name}") for scores in read]
        mean = sum(values) / 3
        std = (sum((value - mean) ** 2 for value in values) / 2) ** 0.5
        assert f"{heading} {mean:.3f} ± {std:.3f}" in note
    assert all(len(line) <= 60 for note in embedding.notes(panel, 60) for line in note.split("\n"))
    one = panel._replace(structure={"silhouette": [0.25]})
    assert embedding.notes(one, 60)[1] == "features: silhouette 0.250"


def test_colour_positions_are_the_items_own_colours():
    np.testing.assert_allclose(
        embedding.hue(np.array([0.0, 1.0, 2.0, 3.0])), [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    )
    np.testing.assert_allclose(embedding.hue(np.array([0.25])), [[1, 0.5, 0]], atol=1e-12)  # (1, 2t, 0) for t = 1/4


def test_figure_2_mixes_the_class_colours_with_the_reference(figure_files, monkeypatch):
    config, inputs, _ = figure_files("embedding", "mice_bone")
    panels = embedding.read_panels(config, inputs)
    colours = ["red", "lime", "blue"] * 2  # so that the mix is the sum of two halves of the reference
    monkeypatch.setattr(drawing, "colours", lambda n, classes: colours)
    figure = embedding.classes_figure(panels, inputs["reference"][0], "title")
    reference = contracts.read_reference(inputs["reference"][0])
    assert [axes.get_title() for axes in figure.axes] == ["hard", "soft"]
    mixed = (reference.p[:, :3] + reference.p[:, 3:])[panels[1].item]
    np.testing.assert_allclose(figure.axes[1].collections[0].get_facecolors()[:, :3], mixed)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == reference.classes
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
def test_twenty_labels_and_hostile_names_stay_on_the_page(figure_files, dataset):
    labels = {"hard": files.HARD, **{f"soft_{k}_of_some_method": files.SOFT for k in range(19)}}
    config, inputs, _ = figure_files("embedding", dataset, labels=labels, seeds=[0])
    inputs |= {name: inputs[name][0] for name in ("items", "reference")}
    names = ["_x", "$\\frac$", "a\nb", *(f"{k}{60 * 'x'}" for k in range(117))]
    contracts.write_reference(inputs["reference"], np.eye(120), None, names)
    with drawing.style():
        figure = embedding.draw(config, inputs)
        assert_inside(figure)
        assert sum(bool(axes.get_title()) for axes in figure.axes) == 20 * (1 + (dataset == "synthetic"))
        assert_inside(curves.draw(config, inputs))
    if dataset == "mice_bone":
        names = [text.get_text() for text in figure.legends[0].get_texts()]
        assert len(names) == 101 and names[1:3] == [r"\$\frac\$", "a b"] and names[-1] == "and 20 more"


@pytest.mark.parametrize(
    ("kind", "source", "lost", "message"),
    [
        ("embedding", "scores", "soft/seed0", r"scores of standard: found none for soft/seed0"),
        ("embedding", "embeddings", "soft", "found 1 files, expected one for each of the labels hard, soft in this"),
        ("curves", "histories", "soft/seed2", r"history\.parquet: found none for soft/seed2"),
    ],
)
def test_a_figure_without_a_file_of_a_run_names_it(figure_files, kind, source, lost, message):
    config, inputs, outputs = figure_files(kind)
    kept = [path for path in inputs[source] if lost not in path.as_posix().split("studies/hard_vs_soft/tsne")[-1]]
    with pytest.raises(UserError, match=message):
        figures.run(config, {**inputs, source: kept}, outputs)
    assert not outputs["png"].exists()


def test_embeddings_made_with_other_settings_are_not_put_side_by_side(figure_files):
    config, inputs, outputs = figure_files("embedding")
    table, facts = io.read_table(inputs["embeddings"][1])
    facts["parameters"]["perplexity"] = 30
    io.write_table(inputs["embeddings"][1], table, {k: v for k, v in facts.items() if k != "schema_version"})
    with pytest.raises(UserError, match=r"soft was made with .*expected the same"):
        figures.run(config, inputs, outputs)


def test_learning_curves_show_every_seed_in_the_colour_of_its_label(figure_files):
    config, inputs, _ = figure_files("curves")
    figure = curves.draw(config, inputs)
    table, _ = io.read_table(next(path for path in inputs["histories"] if "hard/seed1" in str(path)))
    drawn = {
        **{f"val_acc_{of}": io.vector(table, f"val_acc_{of}") for of in ("own", "reference")},
        **{f"val_ce_{of}": io.vector(table, f"val_ce_{of}") - io.vector(table, f"val_entropy_{of}")
           for of in ("own", "reference")},
        "train_loss": io.vector(table, "train_loss") - io.vector(table, "train_entropy"),
    }  # fmt: skip
    order = ["train_loss", "val_ce_own", "val_ce_reference", "val_acc_own", "val_acc_reference"]
    for axes, column in zip(figure.axes, order, strict=True):
        assert len(axes.lines) == 6
        assert len({line.get_color() for line in axes.lines}) == 2
        np.testing.assert_array_equal(axes.lines[1].get_ydata(), drawn[column])
        assert ("CE − mean entropy" in axes.get_ylabel()) == ("acc" not in column)
    assert io.vector(table, "val_entropy_own").tolist() == [0] and io.vector(table, "val_entropy_reference")[0] > 0.1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["hard", "soft"]


def test_a_loss_whose_least_value_is_not_known_is_drawn_as_it_is(figure_files):
    config, inputs, _ = figure_files("curves")
    tables = {}
    for path in inputs["histories"]:
        tables[path], _ = io.read_table(path)
        position = tables[path].column_names.index("train_entropy")
        unknown = pa.array([np.nan] * len(tables[path]))
        io.write_table(path, tables[path].set_column(position, "train_entropy", unknown))
    axes = curves.draw(config, inputs).axes[0]
    table = next(table for path, table in tables.items() if "hard/seed1" in str(path))
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), io.vector(table, "train_loss"))
    assert axes.get_ylabel() == "loss"


def test_a_history_without_reference_values_leaves_that_panel_empty(figure_files):
    config, inputs, outputs = figure_files("curves")
    for path in inputs["histories"]:
        table, _ = io.read_table(path)
        position = table.column_names.index("val_ce_reference")
        empty = pa.nulls(len(table), pa.float64())
        io.write_table(path, table.set_column(position, "val_ce_reference", empty))
    figures.run(config, inputs, outputs)
    assert outputs["png"].exists()


@pytest.mark.parametrize("truth", ["votes", "majority"])
def test_risk_and_coverage_are_those_of_the_test_items_above_the_least_that_can_be(figure_files, truth):
    config, inputs, _ = figure_files("risk_coverage", "mice_bone")
    config["figure"]["truth"] = truth
    inputs["predictions"] = [path for path in inputs["predictions"] if "mice_bone" in path.as_posix()]
    (axes,) = risk_coverage.draw(config, {**inputs, "reference": inputs["reference"][0]}).axes
    thick = {line.get_label(): line.get_ydata() for line in axes.lines if not line.get_label().startswith("_")}
    assert len(axes.lines) == len(config["labels"]) * (len(config["seeds"]) + 1) + (truth == "votes")
    reference, errors = contracts.read_reference(inputs["reference"][0]), []
    for path in (path for path in inputs["predictions"] if "/hard/" in path.as_posix()):
        found = contracts.read_predictions(path)
        item = found.items("test")
        p, chosen = reference.p[reference.rows(item)], found.of("test", item, reference.p.shape[1]).argmax(axis=1)
        right = p[np.arange(len(p)), chosen] if truth == "votes" else p.argmax(axis=1) == chosen
        errors.append(1 - right.mean())
    assert thick["hard"][-1] == pytest.approx(np.mean(errors))
    if truth == "votes":
        assert all((line >= thick["the reference itself"] - 1e-12).all() for line in thick.values())


@pytest.mark.parametrize("difference", [False, True])
def test_labels_stand_in_rows_beside_the_first_ones_mean(both, tmp_path, difference):
    config, inputs, outputs = files.study(both, tmp_path)
    study.run(config, inputs, outputs)
    options = {"kind": "labels", "metrics": ["kl", "macro_acc"], "difference": difference}
    figure = labels.draw({"figure": options}, {"cells": outputs["cells"]})
    ledger = ledger_view.Ledger(io.read_table(outputs["cells"])[0])
    block = ledger.blocks[0]
    for axes, metric in zip(figure.axes, options["metrics"], strict=True):
        hard, soft = (ledger.get(block, label, metric) for label in ("hard", "soft"))
        more = ledger.get(block, "soft", metric, "difference", "hard")
        shown = [0.0, more["mean"]["value"]] if difference else [hard["mean"]["value"], soft["mean"]["value"]]
        marks = [bar.lines[0].get_xydata()[0].tolist() for bar in axes.containers]
        assert marks == [[shown[0], 0], [shown[1], 1]]
        bars = axes.containers[1].lines[2][0].get_segments()[0]
        half = ledger_view.half_width(more if difference else soft)
        np.testing.assert_allclose(bars, [[shown[1] - half, 1], [shown[1] + half, 1]])
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["hard", "soft"]
    assert ("each label − hard" if difference else "bars: 95% two-way") in texts_of(figure).replace("\n", " ")
