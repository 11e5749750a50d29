"""The numbers of a feature space, against scikit-learn's own estimators and by hand."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, LeaveOneOut, cross_val_predict, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from softlabels.datasets import synthetic
from softlabels.evaluation import structure

DRAWS = np.random.default_rng(5)
U, S = 3 * DRAWS.random(80), DRAWS.random(80)
U[:30], S[:30] = np.arange(30) % 3, np.arange(30) % 2  # pure
S[30:40] = 1  # between two colours
REFERENCE = synthetic.label_distributions(U, S)
POSITION = np.column_stack([np.cos(2 * np.pi * U / 3), np.sin(2 * np.pi * U / 3), S])
POINTS = np.column_stack([POSITION + DRAWS.normal(0, 0.3, (80, 3)), DRAWS.normal(size=(80, 4))])


def test_all_numbers_are_there_and_those_of_positions_are_not_defined_without_positions():
    found = structure.numbers(POINTS, REFERENCE, U, S, 15)
    assert list(found) == list(structure.FACTS)
    assert np.isfinite(list(found.values())).all()
    without = structure.numbers(POINTS, REFERENCE, None, None, 15)
    assert {name for name, value in without.items() if np.isnan(value)} == {
        "position_r2", "colour_r2", "shape_r2", "colour_r2_knn", "shape_r2_knn",
    }  # fmt: skip
    assert all(without[name] == found[name] for name in ("silhouette", "label_smoothness", "distance_spearman"))


def test_ridge_r2_is_scikit_learns_for_all_positions_and_for_colour_and_shape_apart():
    found = structure.positions(POINTS, U, S)
    model, folds = make_pipeline(StandardScaler(), Ridge(alpha=7)), KFold(5, shuffle=True, random_state=0)
    for name, target in [("position_r2", POSITION), ("colour_r2", POSITION[:, :2]), ("shape_r2", S)]:
        expected = cross_val_score(model, POINTS, target, cv=folds, scoring="r2").mean()
        assert found[name] == pytest.approx(expected, rel=1e-9)
    assert found["position_r2"] == pytest.approx((2 * found["colour_r2"] + found["shape_r2"]) / 3)


def test_nearest_neighbour_r2_is_scikit_learns_leave_one_out_regression_on_the_items_between_classes():
    predicted = cross_val_predict(KNeighborsRegressor(10), POINTS, POSITION, cv=LeaveOneOut())[30:]
    found = structure.positions(POINTS, U, S)
    assert found["colour_r2_knn"] == pytest.approx(r2_score(POSITION[30:, :2], predicted[:, :2]))
    assert found["shape_r2_knn"] == pytest.approx(r2_score(POSITION[30:, 2], predicted[:, 2]))
    assert 0 < found["shape_r2_knn"] < found["colour_r2_knn"] < 1


def test_a_space_that_puts_items_between_classes_upon_the_pure_ones_has_no_neighbours_to_tell_them_by():
    """Ridge regression does well on the pure items; the nearest neighbours show what is lost."""
    n = 600
    u, s = 3 * DRAWS.random(n), DRAWS.random(n)
    u[: n // 2], s[: n // 2] = np.arange(n // 2) % 3, np.arange(n // 2) // 3 % 2
    onto = structure.positions(structure.ring_and_shape(np.round(u) % 3, np.round(s)), u, s)
    assert onto["colour_r2"] > 0.8 > onto["colour_r2_knn"] + 0.05
    assert structure.positions(structure.ring_and_shape(u, s), u, s)["colour_r2_knn"] > 0.95


@pytest.mark.parametrize("classes", ["colour_shape", "colour"])
def test_the_items_between_classes_are_those_that_the_generator_did_not_make_pure(classes):
    schema_defaults = {key: rule.get("default") for key, rule in synthetic.ENTRY["options"].items()}
    items = synthetic.draw_items({**schema_defaults, "kind": "synthetic", "items": 200, "classes": classes, "seed": 3})
    np.testing.assert_array_equal(structure.interpolated(items["u"], items["s"]), ~items["pure"])
    assert 0 < items["pure"].sum() < 200


def test_an_item_is_never_its_own_neighbour_even_where_many_lie_at_one_place():
    points = np.zeros((30, 2))
    target = np.arange(30.0)[:, None]
    r2 = structure.knn_r2(points, target, np.ones(30, bool))[0]
    assert r2 < 0
    alone = np.repeat(np.arange(15.0), 2)[:, None]  # pairs at one place, each far from the others
    near = structure.knn_r2(alone * 100, np.tile([[0.0], [1.0]], (15, 1)), np.ones(30, bool))[0]
    assert near < 0  # the one nearest item has the other value; its own would have made this better than the mean


def test_what_cannot_be_told_of_so_few_or_of_equal_positions_is_not_defined():
    few = structure.positions(POINTS[:9], U[:9], S[:9])
    assert np.isnan(list(few.values())).all()
    pure = structure.positions(POINTS[:30], U[:30], S[:30])
    assert np.isfinite(pure["position_r2"]) and np.isnan(pure["colour_r2_knn"])
    flat = structure.positions(POINTS, U, np.zeros(80))
    assert np.isnan(flat["shape_r2"]) and np.isnan(flat["shape_r2_knn"])
    assert np.isfinite(flat["colour_r2"]) and np.isfinite(flat["colour_r2_knn"])
