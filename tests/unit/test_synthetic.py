"""The synthetic data set: its definition, its label distributions, its pixels and its files."""

from __future__ import annotations

import colorsys
from pathlib import Path

import data_files
import numpy as np
import pytest
from scipy.stats import chisquare, entropy

from softlabels import config, io
from softlabels.datasets import contract, data, synthetic
from softlabels.errors import Problems, UserError

DEFAULT = data_files.options({"kind": "synthetic"})["source"]
DCIC_LIKE = {"radius": [0.15, 0.55], "centre": [0.3, 0.7], "clip": True}


def options(**changes):
    return {**DEFAULT, **changes}


def draw(**changes):
    """Parameters and exact label distributions."""
    source = options(**changes)
    items = synthetic.draw_items(source)
    return items, synthetic.label_distributions(items["u"], items["s"], source["classes"])


def written(folder, reference="exact", **changes):
    """Run the source; the paths of its four files."""
    paths = {name.split(".")[0]: folder / name for name in data_files.FILES}
    data.run({"source": options(**changes), "reference": reference}, {}, paths)
    return paths


def naive_image(source, u, s, r, theta, cx, cy):
    """The definition, sample point by sample point, in loops and with the standard library's colours."""
    rho = 1 - s * (1 - source["ratio_min"])
    a, b = (r / rho**0.5, r * rho**0.5) if source["size"] == "area" else (r, r * rho)
    if source["colour_path"] == "hsv_hue":
        colour = np.array(colorsys.hsv_to_rgb(u / 3, 1, 1))
    else:
        colour = np.roll([1 - u % 1, u % 1, 0], int(u))
    pixels, q = source["pixels"], source["supersampling"]
    image = np.zeros((pixels, pixels, 3), np.uint8)
    for row, column in np.ndindex(pixels, pixels):
        y = (row + (np.arange(q) + 0.5) / q)[:, None] / pixels - cy
        x = (column + (np.arange(q) + 0.5) / q)[None, :] / pixels - cx
        along, across = x * np.cos(theta) + y * np.sin(theta), y * np.cos(theta) - x * np.sin(theta)
        share = np.mean((along / a) ** 2 + (across / b) ** 2 <= 1)
        image[row, column] = np.round(255 * share * colour)
    return image


@pytest.fixture(scope="module")
def paper():
    """The 15,000 items of the default configuration."""
    return draw()


# --- the label distributions -------------------------------------------------------------------------------------


def test_the_label_is_the_outer_product_of_colour_and_shape():
    p = synthetic.label_distributions(np.array([0.25]), np.array([0.25]))
    np.testing.assert_allclose(p, [[0, 0, 0.1875, 0.0625, 0.5625, 0.1875]], rtol=0, atol=0)


def test_the_ring_closes_between_blue_and_red():
    p = synthetic.label_distributions(np.array([2.0, 2.75]), np.array([0.0, 1.0]))
    np.testing.assert_array_equal(p, [[1, 0, 0, 0, 0, 0], [0, 0.25, 0, 0, 0, 0.75]])


def test_forty_percent_of_the_items_are_pure_and_only_they_have_a_certain_label(paper):
    items, p = paper
    assert items["pure"].sum() == 6_000
    np.testing.assert_array_equal(items["pure"], p.max(axis=1) == 1)


def test_exact_balance_gives_every_hard_class_the_same_number_of_items(paper):
    items, p = paper
    np.testing.assert_array_equal(np.bincount(p.argmax(axis=1), minlength=6), [2_500] * 6)
    np.testing.assert_array_equal(np.bincount(p[items["pure"]].argmax(axis=1), minlength=6), [1_000] * 6)
    np.testing.assert_allclose(p.mean(axis=0), 1 / 6, atol=0.001)
    top = np.sort(p, axis=1)
    assert (top[:, -1] > top[:, -2]).all()  # no ties


def test_ambiguity_is_what_theory_predicts(paper):
    _, p = paper
    # Binary entropy of a uniform number is 1/2 on average; two independent ones add up.
    assert entropy(p, axis=1).mean() == pytest.approx(0.6, abs=0.003)
    assert (p > 0).sum(axis=1).mean() == pytest.approx(0.4 * 1 + 0.6 * 4)
    assert p.max(axis=1).mean() == pytest.approx(0.4 + 0.6 * 0.75**2, abs=0.003)
    top = np.sort(p, axis=1)
    assert np.mean(top[:, -1] - top[:, -2] < 0.05) == pytest.approx(0.08, abs=0.005)


def test_positions_are_uniform_between_the_classes(paper):
    items, _ = paper
    between = ~items["pure"]
    for position in (items["u"][between] / 3, items["s"][between]):
        assert chisquare(np.histogram(position, 60, (0, 1))[0]).pvalue > 0.001


def test_random_balance_leaves_the_class_counts_to_chance():
    items, p = draw(balance="random")
    counts = np.bincount(p.argmax(axis=1), minlength=6)
    assert chisquare(counts).pvalue > 0.001
    assert np.ptp(counts) > 20
    assert set(items["u"][items["pure"]]) == {0, 1, 2}
    assert set(items["s"][items["pure"]]) == {0, 1}


@pytest.mark.parametrize("share, expected", [(0, 0), (0.3, 90), (0.333, 99), (1, 300)])
def test_the_pure_share_is_counted_in_exact_fractions(share, expected):
    assert draw(items=300, pure_share=share)[0]["pure"].sum() == expected


@pytest.mark.parametrize("interpolate", ["colour", "shape", "mixed"])
@pytest.mark.parametrize("pure_share", [0.4, 0.25])
def test_the_other_interpolations_keep_the_hard_classes_equal(interpolate, pure_share):
    items, p = draw(items=4_800, interpolate=interpolate, pure_share=pure_share)
    counts = np.bincount(p.argmax(axis=1), minlength=6)
    # Each of four kinds cycles over its cells, so each may miss a class by at most two items.
    assert np.ptp(counts) <= 4
    assert items["pure"].mean() == pure_share


def test_interpolating_one_property_leaves_the_other_pure():
    colour, _ = draw(items=600, interpolate="colour")
    shape, _ = draw(items=600, interpolate="shape")
    assert set(colour["s"]) == {0, 1} and set(shape["u"]) == {0, 1, 2}
    assert (colour["u"][~colour["pure"]] % 1 > 0).all()
    assert (shape["s"][~shape["pure"]] % 1 > 0).all()


def test_mixed_items_follow_their_shares():
    items, _ = draw(items=1_000, interpolate="mixed", mixed_shares=[0.5, 0.2, 0.3])
    colour, shape = items["u"] % 1 > 0, items["s"] % 1 > 0
    assert [(colour & shape).sum(), (colour & ~shape).sum(), (shape & ~colour).sum()] == [300, 120, 180]


# --- three classes, and classes of unequal size ------------------------------------------------------------------


def test_the_colours_alone_are_the_sums_over_the_shapes(paper):
    items, p = paper
    colours = synthetic.label_distributions(items["u"], items["s"], "colour")
    np.testing.assert_allclose(colours, p.reshape(-1, 3, 2).sum(axis=2), atol=1e-15)


def test_other_classes_change_no_item_and_no_image(tmp_path):
    six = written(tmp_path / "six", items=30, pixels=16)
    three = written(tmp_path / "three", items=30, pixels=16, classes="colour")
    for name in ("images", "items"):
        assert six[name].read_bytes() == three[name].read_bytes()
    assert io.read_table(three["annotations"])[1]["classes"] == ["b", "g", "r"]
    assert io.matrix(io.read_table(three["reference"])[0], "p").shape == (30, 3)


@pytest.mark.parametrize("interpolate", ["joint", "colour", "shape", "mixed"])
@pytest.mark.parametrize(
    ("classes", "shares"),
    [("colour", [0.15, 0.7, 0.15]), ("colour_shape", [0.05, 0.3, 0.1, 0.15, 0.333333, 0.066667])],
)
def test_every_kind_of_item_has_the_hard_classes_in_their_shares(interpolate, classes, shares):
    items, p = draw(items=1_500, interpolate=interpolate, classes=classes, class_shares=shares)
    corner = np.floor(items["u"] + 0.5).astype(int) % 3  # by distance on the ring, whatever p says
    hard = 2 - corner if classes == "colour" else 2 * (2 - corner) + (items["s"] >= 0.5)
    np.testing.assert_array_equal(hard, p.argmax(axis=1))
    for kind in (items["pure"], ~items["pure"]):
        counts = np.bincount(hard[kind], minlength=len(shares))
        np.testing.assert_allclose(counts, kind.sum() * np.array(shares), atol=6)  # 3 kinds of interpolated items


def test_classes_with_shares_take_turns():
    _, p = draw(items=2_000, classes="colour", class_shares=[0.15, 0.7, 0.15])
    for part in np.split(p.argmax(axis=1), 20):
        np.testing.assert_allclose(np.bincount(part, minlength=3), [15, 70, 15], atol=4)


def test_items_of_a_class_with_a_share_lie_on_both_sides_of_its_corner():
    items, p = draw(items=3_000, pure_share=0, classes="colour", class_shares=[0.15, 0.7, 0.15])
    green = items["u"][p.argmax(axis=1) == 1]
    assert chisquare(np.histogram(green, 40, (0.5, 1.5))[0]).pvalue > 0.001
    assert chisquare(np.histogram(items["s"], 40, (0, 1))[0]).pvalue > 0.001


def test_more_items_change_no_item_of_a_class_with_a_share():
    few, many = (draw(items=n, interpolate="mixed", class_shares=[0.1, 0.3, 0.1, 0.2, 0.2, 0.1])[1] for n in (100, 300))
    np.testing.assert_array_equal(few, many[:100])


# --- an item depends on nothing but the seed and its index -------------------------------------------------------

EVERYTHING = {"background": "texture", "noise": 8.0, "votes": 5, "annotators": 9, "interpolate": "mixed"}


def test_more_items_change_no_item(tmp_path):
    few = written(tmp_path / "few", items=100, pixels=16, **EVERYTHING)
    many = written(tmp_path / "many", items=300, pixels=16, **EVERYTHING)
    np.testing.assert_array_equal(contract.read_images(few["images"]), contract.read_images(many["images"])[:100])
    for name, rows in (("items", 100), ("annotations", 500), ("reference", 100)):
        assert io.read_table(few[name])[0].to_pylist() == io.read_table(many[name])[0].slice(0, rows).to_pylist()


def test_the_size_of_the_chunks_changes_no_byte(tmp_path, monkeypatch):
    whole = written(tmp_path / "whole", items=50, pixels=16, **EVERYTHING)
    monkeypatch.setattr(synthetic, "CHUNK_BYTES", 7 * 3 * 16**2)
    assert len(synthetic.chunks(options(items=50, pixels=16))) == 8
    parts = written(tmp_path / "parts", items=50, pixels=16, **EVERYTHING)
    assert {k: io.sha256(v) for k, v in whole.items()} == {k: io.sha256(v) for k, v in parts.items()}


def test_no_two_purposes_share_a_stream(tmp_path, monkeypatch):
    streams = []
    generator = synthetic.generator
    monkeypatch.setattr(synthetic, "generator", lambda *key: streams.append(key[1:]) or generator(*key))
    written(tmp_path, items=3, pixels=8, **EVERYTHING)
    assert len(streams) == len(set(streams)) == 3 * 4  # items x (geometry, texture, noise, votes)


def test_another_seed_gives_other_items():
    assert not np.array_equal(draw(items=10, seed=0)[0]["r"], draw(items=10, seed=1)[0]["r"])


# --- position and size -------------------------------------------------------------------------------------------


def test_every_shape_lies_anywhere_inside_the_frame(paper):
    items, _ = paper
    phi = np.linspace(0, np.pi, 200)[:, None]
    a, b = items["r"] / np.sqrt(items["rho"]), items["r"] * np.sqrt(items["rho"])
    along, across = a * np.cos(phi), b * np.sin(phi)
    cos, sin = np.cos(items["theta"]), np.sin(items["theta"])
    for centre, outline in (("cx", along * cos - across * sin), ("cy", along * sin + across * cos)):
        extent = np.abs(outline).max(axis=0)
        position = (items[centre] - 0.02 - extent) / (0.96 - 2 * extent)
        assert position.min() > -0.001 and position.max() < 1.001
        assert chisquare(np.histogram(position, 40, (0, 1))[0]).pvalue > 0.001


def test_size_and_angle_are_uniform(paper):
    items, _ = paper
    assert chisquare(np.histogram(items["r"], 40, (0.12, 0.26))[0]).pvalue > 0.001
    assert chisquare(np.histogram(items["theta"], 40, (0, np.pi))[0]).pvalue > 0.001


def test_nothing_but_position_and_shape_tells_the_label(paper):
    items, _ = paper
    for nuisance in ("r", "theta"):
        for cause in ("u", "s"):
            assert abs(np.corrcoef(items[nuisance], items[cause])[0, 1]) < 0.03


@pytest.mark.parametrize("size, ratio", [("area", 1.0), ("major_axis", 0.5)])
def test_the_area_of_an_ellipse_against_that_of_its_circle(size, ratio):
    shape = {"u": np.zeros(2), "s": np.array([0.0, 1.0]), "rho": np.array([1, 0.5]), "theta": np.array([0.3, 0.3])}
    shape |= {"r": np.full(2, 0.2), "cx": np.full(2, 0.5), "cy": np.full(2, 0.5)}
    circle, ellipse = synthetic.coverage(options(pixels=128, size=size), shape).sum(axis=(1, 2)) / (16 * 128**2)
    assert circle == pytest.approx(np.pi * 0.2**2, rel=0.001)
    assert ellipse / circle == pytest.approx(ratio, rel=0.001)


def test_large_clipped_shapes_cover_what_the_public_archive_shows():
    source = options(items=3_000, pixels=64, **DCIC_LIKE)
    items = synthetic.draw_items(source)
    blocks = [{key: column[k : k + 500] for key, column in items.items()} for k in range(0, 3_000, 500)]
    visible = np.concatenate([synthetic.coverage(source, block).mean(axis=(1, 2)) / 16 for block in blocks])
    assert 0.36 < visible.mean() < 0.42
    assert visible.min() > 0
    p = synthetic.label_distributions(items["u"], items["s"])
    assert entropy(p, axis=1).mean() == pytest.approx(0.6, abs=0.006)
    assert (p > 0).sum(axis=1).mean() == pytest.approx(2.8)


# --- the pixels --------------------------------------------------------------------------------------------------


RENDERED = {
    "default": {}, "one sample": {"supersampling": 1}, "clipped": DCIC_LIKE,
    "linear colours": {"supersampling": 3, "colour_path": "rgb_linear"},
    "narrow": {"size": "major_axis", "ratio_min": 0.2}, "smaller than a pixel": {"radius": [0.01, 0.03]},
}  # fmt: skip


@pytest.mark.parametrize("changes", RENDERED.values(), ids=RENDERED)
def test_images_equal_the_definition_byte_for_byte(changes):
    source = options(items=12, pixels=24, **changes)
    items = synthetic.draw_items(source)
    expected = [naive_image(source, *(items[k][i] for k in ("u", "s", "r", "theta", "cx", "cy"))) for i in range(12)]
    np.testing.assert_array_equal(synthetic.render(source, items), expected)


def test_rows_beside_a_shape_stay_empty_where_its_centre_is_a_sample_point():
    source = options(items=1, pixels=9, supersampling=1)
    circle = {"u": 0.0, "s": 0.0, "r": 0.2, "theta": 0.0, "cx": 0.5, "cy": 0.5}
    items = {key: np.array([value]) for key, value in (circle | {"rho": 1.0}).items()}
    np.testing.assert_array_equal(synthetic.render(source, items)[0], naive_image(source, **circle))


def test_the_label_can_be_read_off_the_pixels():
    source = options(items=200, pixels=64)
    items = synthetic.draw_items(source)
    images = synthetic.render(source, items).astype(np.float64)
    brightest = images.reshape(200, -1, 3)[np.arange(200), images.sum(axis=3).reshape(200, -1).argmax(axis=1)]
    u = np.array([3 * colorsys.rgb_to_hsv(*(colour / 255))[0] for colour in brightest])
    wrong = np.abs(u - items["u"])
    assert np.minimum(wrong, 3 - wrong).max() < 0.0011  # half a step of 8 bits: 1 / (4 x 255)
    # The principal second moments of a uniform ellipse are a^2 / 4 and b^2 / 4 (+ 1/12 pixel^2 for a pixel's width).
    weight = images.max(axis=3) / 255
    weight /= weight.sum(axis=(1, 2), keepdims=True)
    grid = np.arange(64)
    x, y = np.einsum("nyx,x->n", weight, grid), np.einsum("nyx,y->n", weight, grid)
    dx, dy = grid - x[:, None], grid - y[:, None]
    xx, yy = np.einsum("nyx,nx->n", weight, dx**2), np.einsum("nyx,ny->n", weight, dy**2)
    xy = np.einsum("nyx,nx,ny->n", weight, dx, dy)
    moments = np.linalg.eigvalsh(np.moveaxis(np.array([[xx, xy], [xy, yy]]), 2, 0)) - 1 / 12
    rho = np.sqrt(moments[:, 0] / moments[:, 1])
    error = np.abs((1 - rho) / 0.5 - items["s"])
    assert error.mean() < 0.003 and error.max() < 0.02


def test_hue_stays_saturated_and_linear_mixing_does_not():
    saturated = [[1, 0.5, 0], [1, 1, 0], [0, 1, 1], [1, 0, 0.5]]
    linear = [[0.75, 0.25, 0], [0.5, 0.5, 0], [0, 0.5, 0.5], [0.75, 0, 0.25]]
    for path, expected in (("hsv_hue", saturated), ("rgb_linear", linear)):
        np.testing.assert_allclose(synthetic.colours(np.array([0.25, 0.5, 1.5, 2.75]), path), expected, atol=1e-15)


def test_noise_has_the_given_spread_and_leaves_the_rest_alone():
    source = options(items=20, pixels=64, background="texture")
    items = synthetic.draw_items(source)
    clean, noisy = synthetic.render(source, items), synthetic.render(source | {"noise": 6.0}, items)
    untouched = (clean > 40) & (clean < 215)  # away from both ends, where values are cut off
    difference = noisy[untouched].astype(float) - clean[untouched]
    assert difference.mean() == pytest.approx(0, abs=0.1)
    assert difference.std() == pytest.approx(6, rel=0.02)


def test_texture_is_grey_smooth_dark_and_different_for_every_item():
    source = options(items=4, pixels=64, background="texture")
    items = synthetic.draw_items(source)
    outside = synthetic.coverage(source, items) == 0
    images = synthetic.render(source, items).astype(int)
    grey = images[outside]
    assert (grey == grey[:, :1]).all()
    assert grey.max() <= 127 and grey.std() > 20
    field = synthetic.texture(source, 0)
    assert np.abs(np.diff(field, axis=0)).max() < 127 * 1.5 / 8 and not np.allclose(field, synthetic.texture(source, 1))
    np.testing.assert_array_equal(  # the shape itself is as on black
        images[synthetic.coverage(source, items) == 16],
        synthetic.render(options(items=4, pixels=64), items)[synthetic.coverage(source, items) == 16],
    )


# --- votes and files ---------------------------------------------------------------------------------------------


def test_exact_references_come_without_votes(tmp_path):
    paths = written(tmp_path, items=30, pixels=8, annotators=3)
    reference, metadata = io.read_table(paths["reference"])
    items, _ = io.read_table(paths["items"])
    np.testing.assert_array_equal(io.matrix(reference, "p"), draw(items=30)[1])
    assert reference.column("votes").null_count == 30
    assert metadata["classes"] == ["bc", "be", "gc", "ge", "rc", "re"]
    assert items.column_names == ["item", "name", "group", "u", "s", "rho", "r", "theta", "cx", "cy", "pure"]
    assert io.vector(items, "name")[3] == "synthetic-00003"
    assert io.read_table(paths["annotations"])[0].num_rows == 0
    assert contract.read_images(paths["images"]).shape == (30, 8, 8, 3)


def test_a_voted_reference_is_the_mean_of_the_votes_on_file(tmp_path):
    paths = written(tmp_path, reference="votes", items=40, pixels=8, votes=7)
    annotations, _ = io.read_table(paths["annotations"])
    reference, _ = io.read_table(paths["reference"])
    assert annotations.num_rows == 280 and annotations.column("annotator").null_count == 280
    counts = np.zeros((40, 6))
    np.add.at(counts, (io.vector(annotations, "item"), io.vector(annotations, "label")), 1)
    np.testing.assert_array_equal(io.matrix(reference, "p"), counts / 7)
    np.testing.assert_array_equal(io.vector(reference, "votes"), 7)


def test_what_annotators_are_like_is_noted_with_their_votes(tmp_path):
    pool = {"votes": 3, "annotators": 5, "annotator_model": "spammer_hammer"}
    votes, metadata = io.read_table(written(tmp_path, items=10, pixels=8, **pool)["annotations"])
    names = np.array(votes.column("annotator").to_pylist()).reshape(10, 3)
    assert all(len(set(row)) == 3 for row in names)
    roles = {name: facts["role"] for name, facts in metadata["notes"]["annotators"].items()}
    assert list(roles) == sorted(set(names.ravel())) == ["a000", "a001", "a002", "a003", "a004"]
    assert sorted(roles.values()) == ["hammer"] * 4 + ["spammer"]


def test_votes_of_drifting_annotators_have_times(tmp_path):
    pool = {"votes": 3, "annotators": 5, "annotator_model": "drift"}
    drifting = io.read_table(written(tmp_path / "drift", items=20, pixels=8, **pool)["annotations"])[0].to_pandas()
    for _, time in drifting.groupby("annotator", observed=True)["time"]:
        assert sorted(time) == list(range(len(time)))
    steady = written(tmp_path / "steady", items=20, pixels=8, votes=3, annotators=5)
    assert "time" not in io.read_table(steady["annotations"])[0].column_names


@pytest.mark.parametrize(
    "changes, reference, words",
    [
        ({}, "votes", ["reference", "'votes'"]),
        ({"radius": [0.15, 0.55]}, "exact", ["clip", "radius", "ratio_min", "margin"]),
        ({"centre": [0.3, 0.7]}, "exact", ["clip", "centre", "0.300"]),
        ({"pixels": 1024, "supersampling": 32}, "exact", ["pixels times supersampling is 32768", "at most 32767"]),
        ({"class_shares": [0.2, 0.6, 0.2]}, "exact", ["class_shares", "expected 6", "bc, be"]),
        ({"classes": "colour", "class_shares": [0.2, 0.6, 0.3]}, "exact", ["class_shares", "1.1", "b, g, r"]),
        ({"classes": "colour", "class_shares": [0.4, 0.6, 0]}, "exact", ["class_shares", "positive"]),
        ({"class_shares": [1 / 6] * 6, "balance": "random"}, "exact", ["source.balance", "class_shares"]),
    ],
)
def test_options_that_contradict_each_other_are_named_and_nothing_is_written(tmp_path, changes, reference, words):
    with pytest.raises(UserError) as error:
        written(tmp_path, reference=reference, **{"items": 5, "pixels": 8, **changes})
    assert all(word in str(error.value) for word in words)
    assert list(tmp_path.iterdir()) == []


def test_all_contradictions_are_named_at_once(tmp_path):
    with pytest.raises(UserError, match=r"(?s)2 problems.*complete_annotators.*supersampling"):
        written(tmp_path, items=5, pixels=1024, supersampling=64, complete_annotators=1, annotators=2)


def test_a_small_shape_about_a_given_centre_needs_no_clipping():
    problems = Problems()
    synthetic.check(options(centre=[0.45, 0.55], radius=[0.1, 0.2]), problems)
    problems.stop()


# --- the configuration with the shape of MiceBone ----------------------------------------------------------------


def test_the_configuration_like_mice_bone_measures_what_its_comment_says():
    raw = config.read(Path(__file__).resolve().parents[2] / "config" / "mice_bone_like.yaml")
    source = config.resolve(raw)["datasets"]["mice_bone_like"]["source"]
    content = synthetic.read(source, {}, Problems())
    votes, counts = content.votes, content.votes.counts(7_240, 3)
    majority = counts.argmax(axis=1)
    np.testing.assert_allclose(np.bincount(majority) / 7_240, [0.15, 0.7, 0.15], atol=0.01)
    assert entropy(counts, axis=1).mean() == pytest.approx(0.313, abs=0.001)
    assert (counts > 0).sum(axis=1).mean() == pytest.approx(1.65, abs=0.005)
    who, agrees = votes.annotator.indices.to_numpy(), votes.label == majority[votes.item]
    loads = np.bincount(who, minlength=79)
    assert (loads[:8] == 7_240).all() and loads[8:].max() == loads[8] and loads[8] > 20 * loads[8:].min()
    complete = [agrees[who == k].mean() for k in range(8)]
    assert min(complete) == pytest.approx(0.82, abs=0.005) and max(complete) == pytest.approx(0.86, abs=0.005)
