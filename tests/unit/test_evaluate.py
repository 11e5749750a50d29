"""Scoring one run: its metrics, its temperature, the structure of its features, and what is refused."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, rel_entr, softmax
from scipy.stats import spearmanr
from sklearn.metrics import silhouette_score

from softlabels import contracts, io, registry
from softlabels.contracts import METRICS, PARTS
from softlabels.datasets import contract
from softlabels.errors import UserError
from softlabels.evaluation import evaluate, structure

CLASSES = ["cat", "dog", "owl"]
CONFIG = {
    "set": "standard",
    "metrics": {name: {"kind": name} for name in METRICS},
    "needs": {},
    "structure": {"neighbours": 15},
}


class Run:
    """A run of 300 items in memory, whose parts a test may change before ``scores`` writes and scores it."""

    def __init__(self, folder):
        self.folder = folder
        draws = np.random.default_rng(5)
        n = 300
        self.split = np.array(["train", "val", "test"])[draws.permutation(n) % 3]
        self.p = draws.dirichlet([0.5, 0.5, 0.5], n)
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
        paths = {name: self.folder / name for name in ("predictions", "reference", "split", "items", "label")}
        paths["features"] = self.folder / "features.npy"
        contracts.write_reference(paths["reference"], self.p, None, CLASSES)
        contract.write_items(paths["items"], [f"i{i}" for i in range(len(self.p))], columns=self.columns)
        part = np.array([PARTS.index(name) for name in self.split])
        contracts.write_split(paths["split"], part, None, {})
        p, ones = self.label[self.labelled], np.ones(len(self.labelled))
        label = contracts.Labels(paths["label"], self.labelled, p, p.argmax(axis=1), ones, CLASSES)
        contracts.write_labels(label, None, {})
        in_part = self.predicted_split[self.predicted]
        contracts.write_predictions(paths["predictions"], self.predicted, in_part, self.logits[self.predicted], CLASSES)
        contracts.write_features(paths["features"], self.features)
        evaluate.run(CONFIG | changes, paths, {"scores": self.folder / "scores.parquet"})
        return contracts.read_scores(self.folder / "scores.parquet")


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
    found = trained.scores()
    scaled = {key[3]: value for key, value in found.values.items() if key[0] == "test" and key[2] == "temperature"}
    assert scaled == dict.fromkeys([*METRICS, "temperature"])


def test_a_further_metric_is_computed_alone_and_is_the_same(trained):
    found = trained.scores()
    alone = trained.scores(set="tvd", metrics={"tvd": {"kind": "tvd"}})
    assert {key[3] for key in alone.values} == {"tvd", "temperature"}
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
    r2 = structure.position_r2(points, u, s)
    assert r2 > 0.8
    assert structure.position_r2(points * 10 ** draws.uniform(-3, 3, 200), u, s) == pytest.approx(r2)


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
    assert not (trained.folder / "scores.parquet").exists()


def test_a_reference_that_is_not_a_number_names_the_item(trained, monkeypatch):
    def write_anyway(path, p, votes, classes):
        table = {"item": pa.array(range(len(p)), pa.int32()), "p": io.distribution_column(p, pa.float64())}
        table["votes"] = pa.nulls(len(p), pa.int32())
        io.write_table(path, pa.table(table), {"classes": classes, "reference": "exact"})

    monkeypatch.setattr(contracts, "write_reference", write_anyway)
    trained.p[42, 0] = np.nan
    with pytest.raises(UserError, match="for item 42 "):
        trained.scores()
