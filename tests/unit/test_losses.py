"""Cross-entropy with distributions as targets, and the weights around it."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F
from training_files import recipe, trainer, write_data, write_labels

from softlabels import registry
from softlabels.errors import UserError

LOSS = registry.load("loss", "cross_entropy")


def batch(items=50, classes=4):
    draws = np.random.default_rng(1)
    logits = torch.tensor(3 * draws.normal(size=(items, classes)), dtype=torch.float32, requires_grad=True)
    p = draws.dirichlet(np.full(classes, 0.3), items)
    p[0] = np.eye(classes)[2]  # zeros in the target must not give NaN
    return logits, torch.tensor(p, dtype=torch.float32)


def test_the_loss_is_torchs_cross_entropy_with_probabilities():
    logits, p = batch()
    ours = LOSS(logits, p, torch.arange(50), {}, {})
    assert ours.shape == (50,)
    torch.testing.assert_close(ours, F.cross_entropy(logits, p, reduction="none"))


def test_its_gradient_is_that_of_the_divergence_from_the_target():
    logits, p = batch()
    (ours,) = torch.autograd.grad(LOSS(logits, p, torch.arange(50), {}, {}).sum(), logits)
    divergence = F.kl_div(F.log_softmax(logits, dim=1), p, reduction="sum")
    (theirs,) = torch.autograd.grad(divergence, logits)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(ours, logits.softmax(dim=1) - p, atol=1e-6, rtol=1e-5)


def test_one_hot_targets_give_what_class_indices_give():
    logits, p = batch()
    hard = p.argmax(dim=1)
    ours = LOSS(logits, F.one_hot(hard, 4).float(), torch.arange(50), {}, {})
    torch.testing.assert_close(ours, F.cross_entropy(logits, hard, reduction="none"))


# Ten items in training order 0, 1, 2 of each five; hard classes of the six training items: 0 0 0 0 1 2.
HARD = np.array([0, 0, 0, 1, 2, 0, 1, 2, 1, 2])
P = 0.6 * np.eye(3)[HARD] + 0.4 / 3


@pytest.fixture
def inputs(tmp_path):
    inputs = write_data(tmp_path, n=10)
    write_labels(inputs["labels"], P)
    return inputs


def test_argmax_weights_items_by_their_hard_class_from_the_training_part(inputs):
    made = trainer(inputs, recipe(class_weight="argmax"))
    train = np.array([0, 1, 2, 5, 6, 7])
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=HARD[train])
    assert balanced.tolist() == [0.5, 2, 2]  # 6 / (3 · 4), 6 / (3 · 1)
    assert made.weight.numpy() == pytest.approx(balanced[HARD])
    assert made.weight[train].mean() == pytest.approx(1)
    assert made.class_weight is None


@pytest.mark.parametrize(("kind", "weights"), [("per_class", [0.5, 2, 2]), ("none", None)])
def test_per_class_weights_the_terms_of_the_loss_and_no_item(inputs, kind, weights):
    made = trainer(inputs, recipe(class_weight=kind))
    assert (made.class_weight if weights is None else made.class_weight.tolist()) == weights
    assert (made.weight == 1).all()


def test_weights_of_the_label_file_are_scaled_to_mean_one_over_the_training_items(inputs):
    weight = np.array([1, 2, 3, 100, 100, 4, 5, 9, 100, 100], dtype=float)
    write_labels(inputs["labels"], P, weight=weight)
    made = trainer(inputs, recipe())
    assert made.weight.numpy() == pytest.approx(weight / 4)  # (1 + 2 + 3 + 4 + 5 + 9) / 6


def test_weights_that_sum_to_zero_are_refused(inputs):
    write_labels(inputs["labels"], P, weight=np.zeros(10))
    with pytest.raises(UserError, match="weights of the training items sum to 0"):
        trainer(inputs, recipe())
