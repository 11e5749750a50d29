"""What a network is shown of its label in each epoch."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from training_files import recipe, trainer, write_data, write_labels

from softlabels.errors import UserError
from softlabels.provenance import checks_runs
from softlabels.training.data import read_run
from softlabels.training.deliveries import multipass, sampled

COUNTS = np.random.default_rng(3).multinomial(5, [0.5, 0.3, 0.2], 60)


@pytest.fixture
def inputs(tmp_path):
    return write_data(tmp_path)


def read(inputs, p, votes=None, item=None):
    write_labels(inputs["labels"], p, item, votes=votes)
    return read_run(inputs["labels"], inputs["split"], inputs["reference"])


def test_a_sampled_class_has_the_labels_probability(inputs):
    run = read(inputs, np.tile([0.5, 0.5, 0.0], (60, 1)))
    shown = np.stack([sampled.targets(run, epoch, 0, {}) for epoch in range(1, 401)])
    assert set(shown.reshape(-1)) == {0, 1}
    assert (shown.sum(axis=2) == 1).all()
    assert shown[:, :, 2].sum() == 0
    # 24,000 draws: a standard error of .0032 of the mean, .025 of an item's.
    assert shown[:, :, 0].mean() == pytest.approx(0.5, abs=0.013)
    assert abs(shown[:, :, 0].mean(axis=0) - 0.5).max() < 0.1


def test_what_is_sampled_depends_on_seed_epoch_and_item_alone(inputs):
    soft = read(inputs, COUNTS / 5)
    first = sampled.targets(soft, 3, 1, {})
    fewer = read(inputs, COUNTS / 5, item=np.arange(0, 60, 2))
    assert np.array_equal(sampled.targets(fewer, 3, 1, {})[::2], first[::2])
    assert not np.array_equal(sampled.targets(soft, 4, 1, {}), first)
    assert not np.array_equal(sampled.targets(soft, 3, 2, {}), first)
    # One number an item serves all labels: where two have the same first class, its draw is the same.
    certain = read(inputs, np.eye(3)[first.argmax(axis=1)])
    assert np.array_equal(sampled.targets(certain, 3, 1, {}), first)


def test_no_class_without_probability_is_sampled_where_rounding_leaves_a_rest(inputs, monkeypatch):
    run = read(inputs, np.tile(np.float32([0.3, 0.7 - 3e-5, 0.0]), (60, 1)))
    most = SimpleNamespace(random=lambda shape: np.full(shape, np.nextafter(1, 0)))
    monkeypatch.setattr(sampled.keyed, "rng", lambda *key: most)
    assert (sampled.targets(run, 1, 0, {}).argmax(axis=1) == 1).all()


def test_multipass_shows_each_vote_once_a_pass_in_the_same_order(inputs):
    run = read(inputs, COUNTS / 5, votes=5)
    shown = np.stack([multipass.targets(run, epoch, 0, {}) for epoch in range(1, 11)])
    assert (shown[:5].sum(axis=0) == COUNTS).all()
    assert np.array_equal(shown[5:], shown[:5])
    assert (shown.sum(axis=2) == 1).all()
    other = np.stack([multipass.targets(run, epoch, 1, {}) for epoch in range(1, 6)])
    assert not np.array_equal(other, shown[:5])
    # No order by class: the first votes are a sample of all.
    several = (COUNTS > 0).sum(axis=1) > 1
    assert 0.2 < (shown[0].argmax(axis=1) == COUNTS.argmax(axis=1))[several].mean() < 0.9


def test_items_with_different_numbers_of_votes_take_turns_by_themselves(inputs):
    counts = COUNTS.copy()
    counts[::2] = np.random.default_rng(4).multinomial(2, [0.4, 0.4, 0.2], 30)
    n = counts.sum(axis=1)
    run = read(inputs, counts / n[:, None], votes=1)
    run.votes = n
    shown = np.stack([multipass.targets(run, epoch, 0, {}) for epoch in range(1, 11)])
    assert (shown.sum(axis=0) == counts * (10 / n)[:, None]).all()


@pytest.mark.parametrize(("p", "votes", "found"), [
    (COUNTS / 5, None, "0 votes"),
    ((COUNTS + 0.1) / 5.3, 5, "5 votes"),
])  # fmt: skip
def test_labels_whose_votes_are_not_known_are_refused(inputs, p, votes, found):
    run = read(inputs, p, votes)
    with pytest.raises(UserError, match=rf"multipass shows single votes, .* is no share of its {found} \(60 such"):
        multipass.targets(run, 1, 0, {})


def test_items_without_a_label_are_nobodys_turn(inputs):
    run = read(inputs, COUNTS / 5, votes=5, item=np.arange(0, 60, 2))
    shown = multipass.targets(run, 1, 0, {})
    assert shown[1::2].sum() == 0
    assert (shown[::2].sum(axis=1) == 1).all()
    every = read(inputs, COUNTS / 5, votes=5)
    for epoch in (1, 2, 7):  # and all others have their turn as if every item had a label
        assert (multipass.targets(run, epoch, 0, {})[::2] == multipass.targets(every, epoch, 0, {})[::2]).all()


@pytest.mark.parametrize("kind", ["sampled", "multipass"])
def test_a_training_learns_from_what_is_delivered(inputs, kind, monkeypatch):
    write_labels(inputs["labels"], COUNTS / 5, votes=5)
    made = trainer(inputs, recipe(), delivery={"kind": kind})
    module = {"sampled": sampled, "multipass": multipass}[kind]
    for epoch in (1, 2):
        made.deliver(epoch)
        expected = module.targets(made.data, epoch, 0, {})
        assert np.array_equal(made.target.numpy()[made.data.learned], expected[made.data.learned])


@pytest.mark.parametrize(("p", "alike"), [([1.0, 0.0], True), ([0.6, 0.4], False)])
def test_the_audit_knows_that_deliveries_of_one_class_bring_one_network(p, alike):
    labels = pa.table(
        {"item": [0, 1], "weight": [1.0, 1.0], "hard": [0, 0], "p": pa.array([p, p], pa.list_(pa.float64(), 2))}
    )
    scope = SimpleNamespace(
        results=SimpleNamespace(table=lambda path, columns: (labels, {})), by_item=lambda path, column: {0: "train"}
    )

    def of(**delivery):
        config = {"recipe": {"class_weight": "none", "select": "last"}, "seed": 0, **delivery}
        manifest = {"command": "train", "inputs": {}, "config": config}
        return checks_runs._trained_on(scope, SimpleNamespace(manifest=manifest, file=lambda *_: None))

    assert (of() == of(delivery={"kind": "sampled"})) == alike
