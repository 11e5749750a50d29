"""Learning rates over time, against torch's own schedulers step by step."""

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts
from training_files import recipe, trainer, write_data

from softlabels import registry
from softlabels.training.schedules.warm_restarts import ends_mid_cycle

RESTARTS = {"kind": "warm_restarts", "first_cycle": 2.0, "cycle_factor": 2.0}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


def rates(inputs, **changes):
    """The rate of each step of a training, and its steps an epoch."""
    made = trainer(inputs, recipe(**changes))
    return [made.rate(epoch, step) for epoch in made.epochs for step in range(made.steps)], made.steps


def torch_rates(scheduler, steps, base=0.1, **options):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base)
    schedule = scheduler(optimiser, **options)
    result = []
    for _ in range(steps):
        result.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return result


def test_cosine_is_torchs_cosine_annealing_per_step(inputs):
    ours, _ = rates(inputs, epochs=5)
    assert ours == pytest.approx(torch_rates(CosineAnnealingLR, len(ours), T_max=len(ours)), abs=1e-12)


@pytest.mark.parametrize(("growth", "epochs", "restarts"), [(2, 14, [0, 2, 6]), (1, 6, [0, 2, 4])])
def test_warm_restarts_are_torchs_per_step(inputs, growth, epochs, restarts):
    ours, steps = rates(inputs, epochs=epochs, schedule={**RESTARTS, "cycle_factor": float(growth)})
    theirs = torch_rates(CosineAnnealingWarmRestarts, len(ours), T_0=2 * steps, T_mult=growth)
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert [step / steps for step, rate in enumerate(ours) if rate == pytest.approx(0.1)] == restarts


def test_a_constant_rate_stays(inputs):
    ours, _ = rates(inputs, epochs=3, schedule={"kind": "constant"}, rate=0.01)
    assert set(ours) == {0.01}


def test_warm_up_rises_in_equal_steps_to_the_base_rate_and_then_the_schedule_begins(inputs):
    ours, steps = rates(inputs, epochs=6, warmup_epochs=2.0)
    rise = 2 * steps
    assert ours[:rise] == pytest.approx([0.1 * (k + 1) / rise for k in range(rise)])
    rest = len(ours) - rise
    assert ours[rise:] == pytest.approx(torch_rates(CosineAnnealingLR, rest, T_max=rest), abs=1e-12)


@pytest.mark.parametrize("kind", ["cosine", "warm_restarts", "constant"])
def test_a_warm_up_that_ends_within_a_step_never_leaves_the_range_of_rates(inputs, kind):
    ours, _ = rates(inputs, epochs=4, warmup_epochs=0.7, schedule={**RESTARTS, "kind": kind})
    assert all(0 < rate <= 0.1 for rate in ours)


def test_a_schedule_is_a_share_of_the_rate_at_a_fraction_of_an_epoch():
    factor = registry.load("schedule", "cosine")
    assert [factor(epoch, 60, {}) for epoch in (0, 20, 30, 60)] == pytest.approx([1, 0.75, 0.5, 0])


@pytest.mark.parametrize(("first", "growth", "epochs", "mid"), [
    (4, 2, 60, False), (12, 2, 60, True), (4, 2, 4, False), (4, 2, 61, True), (12, 1, 60, False), (0.1, 1, 60, False),
])  # fmt: skip
def test_whether_the_last_epoch_ends_a_cycle(first, growth, epochs, mid):
    assert ends_mid_cycle(epochs, {"first_cycle": first, "cycle_factor": growth}) is mid
