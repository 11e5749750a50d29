"""Scoring one run: its metrics, its temperature, the structure of its features, and what is refused."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, rel_entr, softmax
from scipy.stats import spearmanr
from sklearn.metrics import balanced_accuracy_score, silhouette_score

from softlabels import contracts, io, registry, schema
from softlabels.contracts import HELD_OUT, METRICS, PARTS
from softlabels.datasets import contract
from softlabels.errors import UserError
from softlabels.evaluation import aligned, evaluate, label_set, scaling, structure

CLASSES = ["cat", "dog", "owl"]
CONFIG = {
    "set": "standard",
    "metrics": {name: {"kind": name} for name in METRICS},
    "needs": {name: needs for name in METRICS if (needs := registry.entry("metric", name)["needs"])},
    "structure": {"neighbours": 15},
}
SCALINGS = ["temperature", "temperature_reference", "vector_reference", "matrix_reference"]


class Run:
    """A run of 300 items in memory, whose parts a test may change before ``scores`` writes and scores it."""

    def __init__(self, folder):
        self.folder = folder
        draws = np.random.default_rng(5)
        n = 300
        self.split = np.array(["train", "val", "test"])[draws.permutation(n) % 3]
        self.p = draws.dirichlet([0.5, 0.5, 0.5], n)
        self.votes, self.annotators, self.groups = None, None, None  # counts [n, C], of whom, and what belongs together
        self.label, self.labelled = self.p.copy(), np.arange(n)
        self.predicted = np.arange(n)
        self.predicted_split = self.split.copy()
        self.logits = (3 * np.log(self.p + 0.02) + draws.normal(size=(n, 3))).astype(np.float32)
        self.columns = {"u": draws.random(n) * 3, "s": draws.random(n)}
        self.features = np.column_stack([self.p, draws.normal(size=(n, 5))])[self.test].astype(np.float32)

    @property
    def test(self):
        return np.flatnonzero(self.split == "test")

    def scores(self, **changes):
        names = ("predictions", "reference", "annotations", "split", "items", "label")
        paths = {name: self.folder / name for name in names}
        paths["features"] = self.folder / "features.npy"
        counts = np.zeros((300, 3), int) if self.votes is None else self.votes
        p = self.p if self.votes is None else counts / counts.sum(axis=1, keepdims=True)
        contracts.write_reference(paths["reference"], p, None if self.votes is None else counts.sum(axis=1), CLASSES)
        item, label = np.repeat(np.indices(counts.shape).reshape(2, -1), counts.reshape(-1), axis=1)
        votes = contract.Votes(item.astype(np.int32), label.astype(np.int16), self.annotators)
        contract.write_annotations(paths["annotations"], votes, CLASSES, {})
        contract.write_items(paths["items"], [f"i{i}" for i in range(300)], self.groups, self.columns)
        part = np.array([(*PARTS, HELD_OUT).index(name) for name in self.split])
        contracts.write_split(paths["split"], part, None, {})
        p, ones = self.label[self.labelled], np.ones(len(self.labelled))
        label = contracts.Labels(paths["label"], self.labelled, p, p.argmax(axis=1), 0 * ones, ones, CLASSES)
        contracts.write_labels(label, {})
        in_part = self.predicted_split[self.predicted]
        contracts.write_predictions(paths["predictions"], self.predicted, in_part, self.logits[self.predicted], CLASSES)
        contracts.write_features(paths["features"], self.features)
        outputs = {name: self.folder / f"{name}.parquet" for name in ("scores", "terms")}
        evaluate.run(CONFIG | changes, paths, outputs)
        return contracts.read_scores(outputs["scores"])

    @property
    def terms(self):
        return contracts.read_terms(self.folder / "terms.parquet")


@pytest.fixture
def trained(tmp_path):
    return Run(tmp_path)


@pytest.mark.parametrize("part", ["val", "test"])
def test_metrics_are_those_of_the_parts_items_whatever_the_order_of_the_predictions(trained, part):
    rows = trained.split == part
    p, q = trained.p[rows], softmax(trained.logits[rows].astype(float), axis=1)
    found = trained.scores()
    kl, acc, macro = (found.get(part, "all", "none", name) for name in ("kl", "acc", "macro_acc"))
    assert kl == pytest.approx(rel_entr(p, q).sum(axis=1).mean())
    assert acc == (p.argmax(axis=1) == q.argmax(axis=1)).mean()
    assert np.mean([found.get(part, name, "none", "recall") for name in CLASSES]) == pytest.approx(macro)
    assert [found.get(part, "all", "none", name) for name in ("n_items", "n_classes_present")] == [100, 3]
    assert (found.classes, found.eps) == (CLASSES, 1e-5)
    trained.predicted = trained.predicted[::-1]
    assert trained.scores() == found


def test_ties_are_counted_and_credited(trained):
    first, second = trained.test[:2]
    trained.p[[first, second]] = [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
    trained.logits[[first, second]] = [[0, 9, 0], [9, 0, 0]]
    found = trained.scores()
    assert found.value("ties") == 2
    assert found.value("tie_credit_acc") == pytest.approx(found.value("acc") + 1 / 100)


def test_the_temperature_minimises_the_cross_entropy_of_the_runs_own_label_on_validation(trained):
    trained.label = np.eye(3)[trained.p.argmax(axis=1)]
    trained.labelled = np.arange(0, 300, 2)  # the other items have no label
    rows = np.flatnonzero((trained.split == "val") & (np.arange(300) % 2 == 0))
    one_hot, logits = trained.label[rows], trained.logits[rows].astype(float)
    best = minimize_scalar(lambda t: -(one_hot * log_softmax(logits / t, axis=1)).sum(), bounds=(0.05, 20)).x
    found = trained.scores()
    assert found.value("temperature", "temperature") == pytest.approx(best, rel=1e-3)
    q = softmax(trained.logits[trained.test].astype(float) / best, axis=1)
    expected = rel_entr(trained.p[trained.test], q).sum(axis=1).mean()
    assert found.value("kl", "temperature") == pytest.approx(expected, rel=1e-3)


def test_a_temperature_that_was_put_in_comes_out(trained):
    trained.logits = (2.5 * np.log(trained.p)).astype(np.float32)
    found = trained.scores()
    assert found.value("temperature", "temperature") == pytest.approx(2.5, rel=1e-4)
    assert found.value("kl", "temperature") == pytest.approx(0, abs=1e-6)
    assert found.value("acc", "temperature") == found.value("acc")


def test_without_labelled_validation_items_there_is_no_temperature(trained):
    trained.labelled = np.flatnonzero(trained.split == "train")
    assert trained.scores().scalings == SCALINGS[1:]


def test_what_is_fitted_on_the_reference_is_the_same_for_every_label(trained):
    soft = trained.scores()
    trained.label = np.eye(3)[trained.p.argmax(axis=1)]
    hard = trained.scores()
    assert hard.value("kl", "temperature") != soft.value("kl", "temperature")
    assert [hard.value("kl", name) for name in SCALINGS[1:]] == [soft.value("kl", name) for name in SCALINGS[1:]]


def test_each_scaling_is_the_best_of_its_kind_on_validation(trained):
    z = trained.logits.astype(float)
    z[:, 0] = 2 * z[:, 0] + 1  # what one temperature cannot repair
    trained.logits = z.astype(np.float32)
    found = trained.scores()
    scalings = io.read_table(trained.folder / "scores.parquet")[1]["scalings"]
    rows = trained.split == "val"
    centred = (trained.logits - trained.logits.mean(axis=1, keepdims=True)).astype(float)[rows]

    def cross_entropy(weight, bias):
        return -(trained.p[rows] * log_softmax(centred @ np.array(weight).T + bias, axis=1)).sum(axis=1).mean()

    reached = [cross_entropy(**scalings[name]) for name in SCALINGS[1:]]
    assert reached == sorted(reached, reverse=True) and reached[0] - reached[1] > 0.01
    best = minimize(lambda x: cross_entropy(np.diag(x[:3]), x[3:]) + 0.01 * (x[3:] ** 2).mean(), np.ones(6)).x
    assert np.diag(scalings["vector_reference"]["weight"]) == pytest.approx(best[:3], abs=1e-3)
    assert scalings["vector_reference"]["bias"] == pytest.approx(best[3:], abs=1e-3)
    assert found.value("kl", "vector_reference") < found.value("kl", "temperature_reference")


def test_with_many_classes_only_temperatures_are_fitted():
    p = np.random.default_rng(0).dirichlet(np.ones(21), 50)
    assert [*scaling.fitted((p, np.log(p)), (p, np.log(p)))] == SCALINGS[:2]


def test_clear_ambiguous_and_closest_items_are_scored_apart(trained):
    first, second, third = trained.test[:3]
    trained.p[[first, second, third]] = [[1, 0, 0], [0.5, 0.45, 0.05], [0, 1, 0]]
    q = softmax(trained.logits[trained.test].astype(float), axis=1)
    p, found = trained.p[trained.test], trained.scores()
    divergence, ordered = rel_entr(p, q).sum(axis=1), np.sort(p, axis=1)
    members = {"clear": p.max(axis=1) == 1, "ambiguous": p.max(axis=1) < 1}
    members["closest"] = ordered[:, 2] - ordered[:, 1] < 0.1
    for name, inside in members.items():
        assert found.value(f"n_items@{name}") == inside.sum() > 0
        assert found.value(f"kl@{name}") == pytest.approx(divergence[inside].mean())
        right = p[inside].argmax(axis=1) == q[inside].argmax(axis=1)
        recalls = [right[p[inside].argmax(axis=1) == c].mean() for c in np.unique(p[inside].argmax(axis=1))]
        assert found.value(f"macro_acc@{name}") == pytest.approx(np.mean(recalls))
        assert np.array_equal(np.isfinite(trained.terms.values[f"kl@{name}"]), inside)


def test_a_stratum_without_items_is_absent(trained):
    trained.p = np.eye(3)[trained.p.argmax(axis=1)]
    found = trained.scores()
    assert found.value("n_items@clear") == 100
    assert found.value("kl@ambiguous") is None and "kl@ambiguous" not in trained.terms.values


def test_merged_classes_are_scored_by_their_summed_probabilities(trained):
    found = trained.scores(groupings={"kind": {"pet": ["cat", "dog"], "wild": ["owl"]}})
    p, q = trained.p[trained.test], softmax(trained.logits[trained.test].astype(float), axis=1)
    merged = [np.column_stack([x[:, :2].sum(axis=1), x[:, 2]]) for x in (p, q)]
    assert found.value("kl@kind") == pytest.approx(rel_entr(*merged).sum(axis=1).mean())
    truth, predicted = (x.argmax(axis=1) for x in merged)
    assert found.value("macro_acc@kind") == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert found.value("n_items@kind") == 100


@pytest.mark.parametrize(
    ("grouping", "message"),
    [
        (
            {"pet": ["cat", "dog"], "wild": []},
            "groupings.kind: found 'owl' in 0 groups, expected each of cat, dog, owl",
        ),
        ({"pet": ["cat", "dog"], "wild": ["owl", "cat"]}, "found 'cat' in 2 groups"),
        ({"pet": ["cat", "dog"], "wild": ["owl", "elk"]}, "found 'elk' no class of the data set"),
    ],
)
def test_a_grouping_that_does_not_have_each_class_once_is_refused(trained, grouping, message):
    with pytest.raises(UserError, match=message):
        trained.scores(groupings={"kind": grouping})


def test_the_mean_of_what_items_add_is_the_number(trained):
    found = trained.scores(groupings={"kind": {"pet": ["cat", "dog"], "wild": ["owl"]}})
    values = trained.terms.values
    assert {"kl", "macro_acc", "soft_ece", "kl+matrix_reference", "tvd@ambiguous", "macro_acc@kind"} <= values.keys()
    for name, value in values.items():
        metric, _, scaled = name.partition("+")
        expected = found.value(metric, scaled or "none")
        assert np.isnan(value).all() if expected is None else np.nanmean(value) == pytest.approx(expected)
    assert trained.terms.item.tolist() == trained.test.tolist()


def test_items_of_a_group_are_one_cluster(trained):
    trained.groups = ["a" if i < 150 else None for i in range(300)]
    trained.scores()
    cluster = dict(zip(trained.terms.item.tolist(), trained.terms.cluster.tolist(), strict=True))
    assert len({c for i, c in cluster.items() if i < 150}) == 1
    assert all(c == i for i, c in cluster.items() if i >= 150)


def test_strata_of_votes_never_come_from_the_votes_that_score(trained):
    trained.votes = np.random.default_rng(0).multinomial(3, trained.p)
    found = trained.scores()
    log_q = log_softmax(trained.logits[trained.test].astype(float), axis=1)
    weighted, total = 0.0, 0.0
    for counts, log_row in zip(trained.votes[trained.test], log_q, strict=True):
        for k in np.flatnonzero(counts):
            rest = counts - np.eye(3, dtype=int)[k]
            if rest.max() == 2:  # the others agree
                weighted, total = weighted - counts[k] / 3 * log_row[k], total + counts[k] / 3
    assert found.value("ce@unanimous") == pytest.approx(weighted / total)
    assert found.value("kl@clear") is None and found.value("n_items@panel") == 100
    assert found.value("ce@panel") == pytest.approx(found.value("ce"))
    assert found.value("ce@closest") is None  # fewer than ten votes


def test_one_vote_an_item_has_no_strata(trained):
    trained.votes = np.eye(3, dtype=int)[trained.p.argmax(axis=1)]
    assert [name for name in trained.scores().of_groups() if "@" in name] == []


def test_a_further_metric_is_computed_alone_and_is_the_same(trained):
    found = trained.scores()
    alone = trained.scores(set="tvd", metrics={"tvd": {"kind": "tvd"}})
    assert {key[3] for key in alone.values} == {"tvd", "temperature", "n_items"}
    assert alone.values.items() <= found.values.items()


def test_a_metric_is_not_defined_where_what_it_needs_is_not(trained, monkeypatch):
    def metric(aligned, options):
        return aligned.features.sum() * options["factor"]

    monkeypatch.setattr(registry, "load", lambda kind, name: metric)
    found = trained.scores(set="sum", metrics={"sum": {"kind": "sum", "factor": 2}}, needs={"sum": ["features"]})
    assert found.value("sum") == pytest.approx(2 * trained.features.sum(dtype=float))
    assert found.get("val", "all", "none", "sum") is None
    # The reference is exact.
    assert trained.scores(set="sum", metrics={"sum": {"kind": "sum"}}, needs={"sum": ["votes"]}).value("sum") is None


@pytest.mark.parametrize("kind", [int, float, np.float32, np.array], ids=lambda kind: kind.__name__)
def test_a_single_number_of_any_kind_says_nothing_of_items(trained, monkeypatch, kind):
    monkeypatch.setattr(registry, "load", lambda *_: lambda aligned, options: kind(7))
    found = trained.scores(set="own", metrics={"own": {"kind": "own"}}, needs={})
    assert found.value("own") == 7
    assert trained.terms.values == {}


def test_an_array_of_another_length_is_refused(trained, monkeypatch):
    monkeypatch.setattr(registry, "load", lambda *_: lambda aligned, options: np.ones(3))
    with pytest.raises(UserError, match=r"metric own: found an array \[3\], expected \[100\]"):
        trained.scores(set="own", metrics={"own": {"kind": "own"}}, needs={})


def test_validation_items_without_soft_labels_fit_nothing_on_the_reference(trained):
    trained.p[trained.split == "val"] = [0, 1, 0]
    assert trained.scores().scalings == SCALINGS[:1]


def test_structure_numbers_agree_with_direct_computations(trained):
    x, p = trained.features.astype(float), trained.p[trained.test]
    distance = np.sqrt(((x[:, None] - x) ** 2).sum(axis=2))
    label_distance = np.abs(p[:, None] - p).sum(axis=2) / 2
    smoothness = []
    for i in range(len(x)):
        for j in np.argsort(distance[i])[1:16]:  # the nearest is the item itself
            middle = (p[i] + p[j]) / 2
            smoothness.append((rel_entr(p[i], middle).sum() + rel_entr(p[j], middle).sum()) / 2)
    pairs = np.triu_indices(len(x), 1)
    found = trained.scores()
    numbers = {
        name: found.value(f"structure.{name}") for name in ("silhouette", "label_smoothness", "distance_spearman")
    }
    assert numbers["silhouette"] == pytest.approx(silhouette_score(x, p.argmax(axis=1)))
    assert numbers["label_smoothness"] == pytest.approx(np.mean(smoothness))
    assert numbers["distance_spearman"] == pytest.approx(spearmanr(distance[pairs], label_distance[pairs]).statistic)


def test_position_is_predictable_from_features_that_hold_it_and_not_from_noise(trained):
    draws = np.random.default_rng(0)
    u, s = trained.columns["u"][trained.test], trained.columns["s"][trained.test]
    trained.features = draws.normal(size=(100, 60))
    assert trained.scores().value("structure.position_r2") < 0.1
    trained.features[:, :3] = 5 * np.column_stack([np.cos(2 * np.pi * u / 3), np.sin(2 * np.pi * u / 3), s])
    trained.features = trained.features[:, :8]
    assert trained.scores().value("structure.position_r2") > 0.95


def test_position_r2_stays_sane_with_as_many_features_as_items():
    draws = np.random.default_rng(0)
    u, s = draws.random(250) * 3, draws.random(250)
    hidden = np.column_stack([np.cos(2 * np.pi * u / 3), np.sin(2 * np.pi * u / 3), s])
    points = hidden @ draws.normal(size=(3, 200)) + 2 * draws.normal(size=(250, 200))
    r2 = structure.positions(points, u, s)["position_r2"]
    assert r2 > 0.8
    scaled = points * 10 ** draws.uniform(-3, 3, 200)
    assert structure.positions(scaled, u, s)["position_r2"] == pytest.approx(r2)


def test_items_without_positions_have_no_position_r2(trained):
    trained.columns = {}
    assert trained.scores().value("structure.position_r2") is None


def test_many_items_are_paired_by_a_keyed_sample(monkeypatch):
    draws = np.random.default_rng(0)
    p = draws.dirichlet([1, 1, 1], 400)
    points = p + 0.1 * draws.normal(size=p.shape)
    every_pair = structure.distance_spearman(points, p)
    monkeypatch.setattr(structure, "MAX_PAIRED_ITEMS", 200)
    sampled = structure.distance_spearman(points, p)
    assert sampled != every_pair
    assert sampled == pytest.approx(every_pair, abs=0.05)
    assert sampled == structure.distance_spearman(points, p)


@pytest.mark.filterwarnings("error")
def test_numbers_that_are_not_defined_are_null(trained):
    trained.p[trained.test] = [1.0, 0.0, 0.0]
    found = trained.scores()
    assert found.value("recall.owl") is None
    assert found.value("n_classes_present") == 1
    assert found.value("structure.silhouette") is None
    assert found.value("structure.distance_spearman") is None
    assert found.value("structure.label_smoothness") == 0


def _set(name, value):
    """A change of some of a run's numbers; ``value`` is given the run."""
    return lambda run: setattr(run, name, value(run))


def _spoilt(name, row, value):
    def change(run):
        getattr(run, name)[row(run)] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_spoilt("logits", lambda run: (run.test[7], 1), np.nan), "logits with the value nan for item {7} "),
        (_spoilt("features", lambda run: (3, 0), np.inf), "for item {3} "),
        (_set("predicted", lambda run: np.setdiff1d(run.predicted, run.test[4:6])), r"no row for item {4} \(2 of 100"),
        (_set("predicted", lambda run: np.append(run.predicted, 11)), "several rows for item 11"),
        (_spoilt("predicted_split", lambda run: run.test[0], "train"), "item {0} outside of the split test"),
        (_set("features", lambda run: run.features[1:]), r"array \[99, 8\], expected \[100, F\]"),
        (_set("logits", lambda run: np.zeros((300, 4), np.float32)), "found 4 logits an item, expected 3"),
    ],
)
def test_what_does_not_belong_to_the_run_or_is_no_number_is_refused(trained, change, message):
    change(trained)
    with pytest.raises(UserError, match=message.format(*trained.test)):
        trained.scores()
    assert not any((trained.folder / f"{name}.parquet").exists() for name in ("scores", "terms"))


def test_a_reference_that_is_not_a_number_names_the_item(trained, monkeypatch):
    def write_anyway(path, p, votes, classes):
        table = {"item": pa.array(range(len(p)), pa.int32()), "p": io.distribution_column(p, pa.float64())}
        table["votes"] = pa.nulls(len(p), pa.int32())
        io.write_table(path, pa.table(table), {"classes": classes, "reference": "exact"})

    monkeypatch.setattr(contracts, "write_reference", write_anyway)
    trained.p[42, 0] = np.nan
    with pytest.raises(UserError, match="for item 42 "):
        trained.scores()


@pytest.mark.parametrize("value", [None, "half", 1j, [1j] * 3, [None] * 3, {}])
def test_a_metric_that_returns_no_real_numbers_is_refused(value):
    with pytest.raises(UserError, match=r"metric own: found .* values, expected real numbers"):
        aligned._checked("own", value, 3)


def test_a_metric_may_return_whole_numbers_and_truths():
    assert aligned._checked("own", np.array([True, False, True]), 3).tolist() == [1, 0, 1]
    assert aligned._checked("own", 2, 3) == 2


SETS = {name: {"kind": name, **schema.defaults("metric", name)} for name in ("label_set_size", "label_set_coverage")}
OF_SETS = {"set": "label_set_size", "metrics": SETS, "needs": {name: ["calibration"] for name in SETS}}


def keep(trained, n):
    """Keep n of the training items for calibration."""
    rows = np.flatnonzero(trained.split == "train")[:n]
    trained.split = trained.split.astype(object)  # whose texts may be longer
    trained.split[rows] = HELD_OUT
    trained.predicted_split = trained.split.copy()
    return rows


def test_label_sets_are_calibrated_on_items_that_are_kept_for_it_with_the_same_scaling(trained):
    kept = keep(trained, 40)
    found = trained.scores(**OF_SETS)
    temperature = found.get("test", "all", "temperature", "temperature")
    vote = label_set.drawn_votes(
        aligned.Aligned("held_out", kept, trained.p[kept], np.log(trained.p[kept]), CLASSES), 0
    )
    for scaled, divisor in (("none", 1), ("temperature", temperature)):
        q = softmax(trained.logits.astype(float) / divisor, axis=1)
        threshold = np.sort(1 - q[kept, vote])[37 - 1]  # 41 times 0.9 is 36.9
        sets = 1 - q[trained.test] <= threshold + 1e-10
        assert found.value("label_set_size", scaled) == pytest.approx(sets.sum(axis=1).mean())
        assert found.value("label_set_coverage", scaled) == pytest.approx(
            (trained.p[trained.test] * sets).sum(axis=1).mean()
        )
    assert found.get("val", "all", "none", "label_set_size") is None
    assert trained.terms.values["label_set_coverage"].mean() == pytest.approx(found.value("label_set_coverage"))


def test_items_that_are_kept_for_calibration_change_no_other_number(trained):
    before = trained.scores().values
    keep(trained, 40)
    after = trained.scores().values
    assert after == before | {("train", "all", "none", "n_items"): 60}


def test_label_sets_without_items_or_predictions_to_calibrate_them_are_refused(trained):
    with pytest.raises(UserError, match=r"no item that is kept for calibration.*Set split.calibration"):
        trained.scores(**OF_SETS)
    kept = keep(trained, 40)
    trained.predicted = np.setdiff1d(trained.predicted, kept[:3])
    with pytest.raises(UserError, match=rf"no prediction of 3 of 40 items .* \(the first is item {kept[0]}\)"):
        trained.scores(**OF_SETS)
