import itertools

import finished_run as files
import numpy as np
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from softlabels import contracts, drawing, io, schema
from softlabels.errors import UserError
from softlabels.evaluation.aligned import Aligned
from softlabels.evaluation.confusion import ambiguity
from softlabels.evaluation.confusion import confusion as confused
from softlabels.evaluation.metrics import soft_ece
from softlabels.evaluation.reliability import binned
from softlabels.studies import figure as figures
from softlabels.studies import ledger_view, study
from softlabels.studies.figures import confusion, curves, embedding, labels, reliability, risk_coverage


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
        ("reliability", "mice_bone"), ("confusion", "mice_bone"),
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


# -- reliability and confusion -----------------------------------------------------------------------------------------

HOSTILE = ["$\\frac{a}{b}$", "_under", "<b>&amp;</b>", 200 * "y", "\u05e9\u05dc\u05d5\u05dd", "a\nb"]


@pytest.fixture
def block(tmp_path):
    """Makes configuration and inputs of a figure of a block, and the test items of each run: reference and prediction.

    Options are C, labels, seeds, how many votes an item has (None: an exact reference) and the names of classes.
    """

    def made(kind, classes=3, labels=("hard", "soft"), seeds=(0, 1), votes=None, names=(), items=200, **options):
        rng, runs = np.random.default_rng(0), {}
        p = rng.dirichlet(np.full(classes, 0.3), items)
        if votes:
            p = np.array([rng.multinomial(votes, each) for each in p]) / votes
        names = [*names, *(f"class {k}" for k in range(classes))][:classes]
        reference = tmp_path / "data/d/reference.parquet"
        contracts.write_reference(reference, p, np.full(items, votes) if votes else None, names)
        for label in labels:
            for seed in seeds:
                folder = tmp_path / f"runs/d/s/r/{label}/seed{seed}"
                logits = (np.log(p + 0.05) + rng.normal(0, 0.5, p.shape)).astype(np.float32)
                part = rng.permutation(["test"] * (items // 2) + ["train"] * (items - items // 2))
                contracts.write_predictions(folder / "predictions.parquet", np.arange(items), part, logits, names)
                scores = {("test", "all", "none", m): 0.1 for m in ("soft_ece", "ece", "soft_ece_calibrated")}
                contracts.write_scores(folder / "scores/standard.parquet", scores, names, 1e-7, {})
                runs[f"{label}/seed{seed}"] = p[part == "test"], softmax(logits[part == "test"].astype(float), axis=1)
        folders = [tmp_path / f"runs/d/s/r/{run}" for run in runs]
        chosen = {"kind": kind, **schema.defaults("figure", kind), **options}
        config = {"study": "one", "labels": [*labels], "seeds": [*seeds], "block": ["d", "s", "r"], "figure": chosen}
        inputs = {
            "reference": [reference],
            "predictions": [folder / "predictions.parquet" for folder in folders],
            "scores": [folder / "scores/standard.parquet" for folder in folders],
        }
        return config, inputs, runs

    return made


def aligned(p, q, counts=None):
    with np.errstate(divide="ignore"):
        logs = np.log(np.asarray(q, float))
    return Aligned("test", np.arange(len(p)), np.asarray(p, float), logs, [*"abc"][: len(logs[0])], counts=counts)


def test_reliability_of_one_class_an_item_is_that_of_scikit_learn(block):
    config, inputs, _ = block("reliability", labels=["hard"], seeds=[0], votes=1)  # one vote: one class an item
    figure = figures.drawn(config, inputs)
    part = contracts.read_predictions(inputs["predictions"][0])
    item, reference = part.items("test"), contracts.read_reference(inputs["reference"][0])
    q = softmax(part.of("test", item, 3), axis=1)
    right = reference.p[item].argmax(axis=1) == q.argmax(axis=1)
    theirs = calibration_curve(right, q.max(axis=1), n_bins=15, strategy="uniform")
    _, thick = figure.axes[0].lines
    np.testing.assert_allclose(thick.get_xydata(), np.column_stack(theirs[::-1]))
    shares = [bar.get_height() for bar in figure.axes[1].patches]
    np.testing.assert_allclose(shares, np.histogram(q.max(axis=1), 15, (0, 1))[0] / len(item))


def test_gaps_of_a_reliability_diagram_are_those_that_the_metric_averages(block):
    config, inputs, runs = block("reliability")
    figure = figures.drawn(config, inputs)
    for axes, label in zip(figure.axes[:2], config["labels"], strict=True):
        _, *thin, thick = axes.lines
        assert axes.get_title() == f"{label}\nsoft ECE 0.1000 ± 0.0000" and len(thin) == 2
        for line, seed in zip(thin, config["seeds"], strict=True):
            p, q = runs[f"{label}/seed{seed}"]
            n = np.histogram(q.max(axis=1), 15, (0, 1))[0]
            x, y = line.get_xydata().T
            assert (n[n > 0] * abs(y - x)).sum() / n.sum() == pytest.approx(soft_ece.metric(aligned(p, q), {}).mean())
        confidence = np.concatenate([runs[f"{label}/seed{seed}"][1].max(axis=1) for seed in config["seeds"]])
        assert len(thick.get_xdata()) == (np.histogram(confidence, 15, (0, 1))[0] > 0).sum()
    assert "100 test items in each of 2 seeds" in figure.get_label()


def test_a_confidence_of_one_is_a_bin_of_its_own_and_counted_in_the_last_column():
    p, q = [[1, 0], [0.5, 0.5], [1, 0], [0, 1]], [[0.6, 0.4], [0.97, 0.03], [1, 0], [1, 0]]
    bins = binned(aligned(p, q), {"truth": "votes"})
    assert bins[0].tolist() == [*[0] * 9, 1, *[0] * 4, 1, 2] and bins[1:, -1].tolist() == [2, 1]
    assert reliability._shares([bins]).tolist() == [*[0] * 9, 0.25, *[0] * 4, 0.75]


@pytest.mark.parametrize(("votes", "by", "told"), [(5, "votes", True), (None, "votes", False), (5, "majority", False)])
def test_what_votes_scatter_is_told_where_votes_judge(block, votes, by, told):
    config, inputs, _ = block("reliability", votes=votes, truth=by)
    text = figures.drawn(config, inputs).get_label()
    assert ("by the scatter of the votes" in text) == told and ("Soft ECE" in text) == (by == "votes")


def test_confusion_on_soft_mass_by_hand():
    # Class a has mass 1 + 1/2, of which 1 * 0.8 + 1/2 * 0.4 = 1.0 is predicted as a; class b 1/2, of which 0.2 is.
    found = confused(aligned([[1, 0], [0.5, 0.5]], [[0.8, 0.2], [0.4, 0.6]]))
    np.testing.assert_allclose(found, [[1 / 1.5, 0.5 / 1.5], [0.4, 0.6]])
    # A perfect network: a keeps 1 + 1/4 of its 1.5, and a quarter of the half of b goes to each.
    itself = aligned([[1, 0], [0.5, 0.5]], [[1, 0], [0.5, 0.5]])
    np.testing.assert_allclose(ambiguity(itself), [[1.25 / 1.5, 0.25 / 1.5], [0.5, 0.5]])
    np.testing.assert_allclose(confused(itself), ambiguity(itself))
    assert np.isnan(confused(aligned([[1, 0]], [[0.8, 0.2]]))[1]).all()


def test_confusion_of_one_class_an_item_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    true, said = rng.integers(0, 3, (2, 200))
    found = confused(aligned(np.eye(3)[true], np.eye(3)[said]))
    np.testing.assert_allclose(found, confusion_matrix(true, said, normalize="true"))


def test_votes_among_themselves_are_all_pairs_of_different_votes_of_an_item():
    counts = np.array([[2, 1, 0], [0, 3, 1], [1, 0, 0]])  # the last has one vote, and no pair
    pairs = np.zeros((3, 3))
    for row in counts:
        votes = np.repeat(np.arange(3), row)
        for one, other in itertools.permutations(range(len(votes)), 2):
            pairs[votes[one], votes[other]] += 1 / len(votes) / (len(votes) - 1)
    p = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ambiguity(aligned(p, p, counts)), pairs / pairs.sum(axis=1, keepdims=True))
    assert np.isnan(ambiguity(aligned(p[2:], p[2:], counts[2:]))).all()


def test_votes_among_themselves_say_what_a_perfect_network_would_get_whatever_their_number():
    rng = np.random.default_rng(2)
    true = np.repeat([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], 20_000, axis=0)
    counts = np.array([rng.multinomial(2, each) for each in true])
    p = counts / 2
    expected = confused(aligned(p, true))
    np.testing.assert_allclose(ambiguity(aligned(p, p, counts)), expected, atol=0.01)
    assert abs(confused(aligned(p, p)) - expected).max() > 0.1  # shares of two votes are too sure of themselves


def test_confusion_has_a_panel_for_the_reference_and_one_a_label_with_means_over_seeds(block):
    config, inputs, runs = block("confusion")
    figure = figures.drawn(config, inputs)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["reference itself", "hard", "soft"]
    for axes, label in zip(panels[1:], config["labels"], strict=True):
        expected = np.mean([confused(aligned(*runs[f"{label}/seed{seed}"])) for seed in config["seeds"]], axis=0)
        np.testing.assert_allclose(axes.collections[0].get_array(), expected, rtol=1e-5)
    assert "the reference in the place of the prediction" in figure.get_label()
    voted = figures.drawn(*block("confusion", votes=4)[:2])
    assert voted.axes[0].get_title() == "other votes" and "the other votes on its image" in voted.get_label()
    assert "one vote" not in voted.get_label()
    assert "the first panel is empty" in figures.drawn(*block("confusion", votes=1)[:2]).get_label()
    assert " Items with one vote (25.0 %) have no others" in confusion._without([1, 2], [4, 8])


def test_of_many_classes_those_are_shown_that_differ_most_besides_their_diagonal():
    own, label = np.eye(50), np.eye(50)
    own[7, 7] = 0.1  # differs on the diagonal alone
    label[3, 40] = label[3, 41] = label[40, 3] = 0.3
    label[9] = np.nan
    shown = confusion.telling([own, label])
    assert len(shown) == confusion.SHOWN and {3, 40, 41} <= set(shown) and (np.diff(shown) > 0).all()


@pytest.mark.parametrize("medium", [None, "paper", "slides"])
@pytest.mark.parametrize("classes", [2, 6, 200])
def test_figures_of_any_classes_and_hostile_names_stay_on_the_page(block, classes, medium):
    for kind in ("reliability", "confusion", "risk_coverage") if classes < 200 else ("confusion",):
        seeds = [0] if classes == 2 else range(5)
        config, inputs, _ = block(kind, classes, seeds=seeds, votes=3, names=HOSTILE)
        with drawing.style(medium):
            figure = figures.drawn(config, inputs)
            assert_inside(figure)
        if kind == "confusion":
            shown = classes if classes <= confusion.MOST else confusion.SHOWN
            assert len(figure.axes[0].get_yticklabels()) == shown
            assert (f"Of {classes} classes" in figure.get_label()) == (classes == 200)
