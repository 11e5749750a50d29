"""The training loop: what it draws, what a step does, what it writes and what it refuses."""

import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import entropy
from torch import nn
from training_files import RECIPE, command, contents, fit, recipe, trainer, write_data, write_labels

from softlabels import config, io, lacking, predict, registry
from softlabels.errors import UserError
from softlabels.networks.base import Body, Classifier
from softlabels.training import augmentation, checkpoint, loop, memory, train
from softlabels.training.data import Images
from softlabels.training.deliveries import expected
from softlabels.training.loop import Trainer, buffered

ROOT = Path(__file__).resolve().parents[2]
PLAIN = {"flips": "none", "quarter_turns": False}  # no augmentation
SGD = {"kind": "sgd", "momentum": 0.8, "weight_decay": 0.01}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def own(tmp_path):
    """Inputs that a test may change."""
    return write_data(tmp_path / "own")


def distributions(inputs):
    return io.matrix(io.read_table(inputs["labels"])[0], "p").astype(float)


def test_the_recipe_of_these_tests_is_the_schemas_default():
    studies = {"s": {"datasets": ["d"], "recipes": ["r"]}}
    raw = {"datasets": {"d": {"source": {"kind": "synthetic", "votes": 1}}}, "recipes": {"r": {"network": "compact"}}}
    resolved = config.resolve({**raw, "studies": studies})["recipes"]["r"]
    assert {key: value for key, value in resolved.items() if key != "weights_file"} == RECIPE


# -- draws -----------------------------------------------------------------------------------------------------------


def seen(monkeypatch, inputs, recipe, seed=0):
    """Steps of a training, and of each (epoch, item) its place in the order and its draws."""
    made = trainer(inputs, recipe, seed)
    rows, drawn = {}, []
    apply, loss = augmentation.apply, made.loss

    def note_draw(images, draw, room):
        drawn.append(draw)
        return apply(images, draw, room)

    def note_item(logits, target, index, state, options):
        step = len(drawn) - 1
        for row, item in enumerate(index.tolist()):
            draws = {name: tuple(values[row].reshape(-1).tolist()) for name, values in drawn[-1].items()}
            rows[step // made.steps + 1, item] = (len(rows), draws)
        return loss(logits, target, index, state, options)

    with monkeypatch.context() as patch:
        patch.setattr(augmentation, "apply", note_draw)
        made.loss = note_item
        folder = inputs["labels"].parent / "resume"
        made.fit(checkpoint.Saver(folder, "key", 1e9))
        checkpoint.clear(folder)
    return made, rows


def test_a_label_that_drops_items_keeps_the_order_and_the_draws_of_the_rest(monkeypatch, own):
    everything = recipe(batch=5, augment={"zoom": 0.5, "hue": 0.2, "contrast": [0.5, 1.5]})
    _, full = seen(monkeypatch, own, everything)
    kept = np.flatnonzero(np.arange(60) % 7 != 0)
    write_labels(own["labels"], distributions(own), kept)
    made, dropped = seen(monkeypatch, own, everything)
    assert made.steps == 6  # 31 of the 36 training items have a label
    common = sorted(full.keys() & dropped.keys(), key=lambda key: full[key][0])
    assert len(common) > 50
    assert common == sorted(common, key=lambda key: dropped[key][0])
    assert all(full[key][1] == dropped[key][1] for key in common)
    assert {item for _, item in dropped} <= set(kept)


def test_hold_steps_keeps_the_number_of_steps_where_items_are_dropped_and_the_hashes_stay(own):
    before = trainer(own, recipe())
    write_labels(own["labels"], distributions(own), np.arange(0, 60, 2))
    by_epochs, by_steps = (trainer(own, recipe(hold=hold)) for hold in ("epochs", "steps"))
    assert before.hashes == by_epochs.hashes == by_steps.hashes
    assert (by_epochs.steps, by_steps.steps) == (2, 4)  # 18 and 36 items in batches of 8
    once = by_epochs.order(1)
    assert by_steps.order(1).tolist() == [*once, *once]


def test_an_epoch_is_a_permutation_of_the_training_part(inputs):
    made = trainer(inputs, recipe())
    first, second = made.order(1), made.order(2)
    assert sorted(first) == sorted(second) == np.flatnonzero(np.arange(60) % 5 < 3).tolist()
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize("buffer", [1, 2, 10, 99, 100, 1000])
def test_a_shuffle_buffer_gives_each_item_once_and_none_before_it_has_come_in(buffer):
    order = buffered(100, buffer, np.random.default_rng(3))
    assert sorted(order) == list(range(100))
    place = np.argsort(order)
    assert (place >= np.arange(100) - buffer + 1).all()
    assert (order.tolist() == list(range(100))) == (buffer == 1)
    assert buffered(0, buffer, np.random.default_rng(3)).tolist() == []


def test_a_shuffle_buffer_draws_each_that_it_holds_as_often():
    """Of a list of 3 and a buffer of 2: 0 or 1 first; then 2 has come in. Four orders, each with probability 1/4."""
    draws = np.random.default_rng(0)
    counts = Counter(tuple(buffered(3, 2, draws).tolist()) for _ in range(4000))
    assert counts.keys() == {(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0)}
    assert all(abs(count - 1000) < 120 for count in counts.values())  # 4.4 standard deviations


def test_a_buffered_order_runs_over_the_classes_of_the_reference_and_is_the_same_for_all_labels(own):
    soft, hard = (trainer(own | {"labels": own[of]}, recipe(shuffle_buffer=1)) for of in ("labels", "hard"))
    classes = soft.data.reference.argmax(axis=1)[soft.order(1)]
    assert classes.tolist() == sorted(classes)
    assert soft.order(1).tolist() == soft.order(2).tolist() == hard.order(1).tolist()
    wide = trainer(own, recipe(shuffle_buffer=5))
    assert wide.order(1).tolist() != wide.order(2).tolist() != soft.order(1).tolist()
    assert sorted(wide.order(2)) == sorted(soft.order(1))
    assert len({each.hashes["order_sha256"] for each in (soft, hard, wide)}) == 2


def test_hard_and_soft_runs_of_one_seed_share_weights_and_order_and_other_seeds_do_not(tmp_path, inputs):
    hashes = {}
    for labels, seed in [("labels", 0), ("hard", 0), ("labels", 1)]:
        facts, outputs = fit(tmp_path / f"{labels}{seed}", inputs, recipe(epochs=1), seed, labels)
        written = io.read_table(outputs["history"])[1]
        hashes[labels, seed] = [facts["initial_sha256"], facts["order_sha256"]]
        assert [written["initial_sha256"], written["order_sha256"]] == hashes[labels, seed]
    assert hashes["labels", 0] == hashes["hard", 0]
    assert not set(hashes["labels", 0]) & set(hashes["labels", 1])


# -- a step ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("class_weight", ["none", "argmax", "per_class"])
def test_steps_are_those_of_momentum_and_coupled_weight_decay_by_hand(inputs, class_weight):
    options = recipe(optimiser=SGD, rate=0.02, epochs=5, class_weight=class_weight, augment=PLAIN)
    torch.manual_seed(0)
    made = trainer(inputs, options, model=Classifier(Body(nn.Flatten(), 3 * 16 * 16), 3))
    parameters = [made.model.head.weight, made.model.head.bias]
    w, b = (parameter.detach().numpy().astype(float) for parameter in parameters)
    velocity = [np.zeros_like(w), np.zeros_like(b)]
    x = np.load(inputs["images"]).transpose(0, 3, 1, 2).reshape(60, -1) / 255
    p = distributions(inputs)
    train = np.arange(60) % 5 < 3
    balanced = train.sum() / (3 * np.bincount(p[train].argmax(axis=1)))
    order = made.order(1)
    made.begin_epoch(1)
    for step in range(3):
        batch = order[8 * step : 8 * step + 8]
        logits = x[batch] @ w.T + b
        q = np.exp(logits - logits.max(axis=1, keepdims=True))
        q /= q.sum(axis=1, keepdims=True)
        if class_weight == "per_class":  # d/dz of -sum_k w_k p_k log q_k
            weighted = balanced * p[batch]
            slope = weighted.sum(axis=1, keepdims=True) * q - weighted
        else:
            slope = q - p[batch]
        if class_weight == "argmax":
            slope = slope * balanced[p[batch].argmax(axis=1)][:, None]
        gradients = [slope.T @ x[batch] / 8 + 0.01 * w, slope.mean(axis=0) + 0.01 * b]
        velocity = [0.8 * v + g for v, g in zip(velocity, gradients, strict=True)]
        rate = 0.02 * (1 + np.cos(np.pi * step / 20)) / 2
        w, b = w - rate * velocity[0], b - rate * velocity[1]
        made.step(1, step)
    assert parameters[0].detach().numpy() == pytest.approx(w, abs=2e-6)
    assert parameters[1].detach().numpy() == pytest.approx(b, abs=2e-6)


def test_dropout_is_drawn_anew_in_each_step_whatever_was_drawn_before(inputs):
    made = trainer(inputs, recipe(dropout=0.5, rate=1e-12, augment=PLAIN))
    states = []
    made.model.dropout.register_forward_pre_hook(lambda layer, given: states.append(torch.get_rng_state()))
    made.begin_epoch(1)
    for step in (0, 1, 0):
        torch.rand(step + 1)
        made.model.train()
        made.step(1, step)
    assert torch.equal(states[0], states[2])
    assert not torch.equal(states[0], states[1])


# -- what is written -------------------------------------------------------------------------------------------------


def test_the_log_says_why_a_step_is_no_cuda_graph(monkeypatch):
    says = {"own:fit": {"captured": True}, "own:silent": {}}
    monkeypatch.setattr(registry, "entry", lambda kind, name: says[name])
    asked = RECIPE | {"network": {"kind": "own:fit"}, "optimiser": {"kind": "own:fit"}}
    assert loop._uncaptured(asked, rates_held=True) == {}
    expected = "the optimiser own:fit has a number as its rate, not a tensor (lr=torch.tensor(…))"
    assert loop._uncaptured(asked, rates_held=False) == {"optimiser": expected}
    found = loop._uncaptured(asked | {"loss": {"kind": "own:silent"}}, rates_held=False)
    silent = "the loss own:silent does not say that it can be ('captured': True)"
    assert found == {"loss": silent, "optimiser": expected}


def test_training_lowers_the_loss_and_notes_it_with_the_rate_of_each_epoch(tmp_path, inputs):
    facts, outputs = fit(tmp_path, inputs, recipe(epochs=8))
    history, metadata = io.read_table(outputs["history"])
    of_part = [f"val_{what}_{of}" for of in ("own", "reference") for what in ("ce", "entropy", "acc")]
    assert history.column_names == ["epoch", "rate", "train_loss", "train_entropy", *of_part]
    assert io.vector(history, "epoch").tolist() == list(range(1, 9))
    assert metadata["unit"] == "nats"
    loss = io.vector(history, "train_loss")
    assert loss[-1] < 0.8 * loss[0]
    assert io.vector(history, "rate") == pytest.approx(0.05 * (1 + np.cos(np.pi * (np.arange(4, 36, 4) - 1) / 32)))
    assert facts["steps"] == 32
    assert 0 < facts["share_in_steps"] <= 1


@pytest.mark.parametrize("class_weight", ["none", "argmax", "per_class"])
def test_the_least_loss_of_an_epoch_is_that_of_predictions_that_are_its_targets(own, class_weight):
    """By hand, of the items of the whole batches: 36 items are four batches of 8, and four items that are left out."""
    weight = np.linspace(0.5, 2, 60)
    write_labels(own["labels"], distributions(own), weight=weight)
    made = trainer(own, recipe(class_weight=class_weight))
    shown = made.order(2)[:32]
    p, train = distributions(own).astype(np.float32).astype(float), np.arange(60) % 5 < 3
    balanced = train.sum() / (3 * np.bincount(p[train].argmax(axis=1)))
    if class_weight == "argmax":
        weight = weight * balanced[p.argmax(axis=1)]
    target = p * balanced if class_weight == "per_class" else p
    best = target / target.sum(axis=1, keepdims=True)
    least = -(target * np.log(np.where(target > 0, best, 1))).sum(axis=1) * weight / weight[train].mean()
    assert made.entropy_shown(2) == pytest.approx(least[shown].mean(), rel=1e-5)
    assert made.entropy_shown(2) != made.entropy_shown(1)


def test_hard_targets_have_no_entropy_and_the_least_value_of_another_loss_is_not_known(inputs):
    made = trainer({**inputs, "labels": inputs["hard"]}, recipe())
    assert made.entropy_shown(1) == 0
    made.recipe["loss"] = {"kind": "my_losses:focal"}
    assert math.isnan(made.entropy_shown(1))


@pytest.mark.parametrize("odd", [[-0.1, 0.6, 0.5], [0, 0, 0]])
def test_targets_that_are_no_distributions_have_no_least_loss(inputs, odd):
    made = trainer(inputs, recipe())
    made.target[made.order(1)[0]] = torch.tensor(odd)
    assert math.isnan(made.entropy_shown(1))


def test_predictions_and_validation_are_float32_where_the_training_is_not(monkeypatch, tmp_path, inputs):
    seen = []
    step = Trainer.step

    def note(self, *arguments):
        handle = self.model.body.stem.register_forward_hook(lambda layer, given, result: seen.append(result.dtype))
        step(self, *arguments)
        handle.remove()

    monkeypatch.setattr(Trainer, "step", note)
    monkeypatch.setattr(lacking, "processor_flags", lambda: {"avx512_bf16"})  # any computes it somehow
    facts, outputs = fit(tmp_path, inputs, recipe(precision="bfloat16"))
    assert set(seen) == {torch.bfloat16}
    history, metadata = io.read_table(outputs["history"])
    told = {"trained_in": "bfloat16", "predicted_in": "float32"}
    assert {key: facts[key] for key in told} == told == {key: metadata[key] for key in told}
    table = io.read_table(outputs["predictions"])[0]
    logits = io.matrix(table, "logits")
    images = torch.from_numpy(np.load(inputs["images"])).permute(0, 3, 1, 2) / 255
    network = predict.load(outputs["model"]).network
    with torch.no_grad():
        assert logits == pytest.approx(network(images).numpy(), abs=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(images).float().numpy()
    assert abs(rounded - logits).max() > 1e-3, "the test needs logits that bfloat16 changes"
    validation = io.vector(table, "split") == "val"
    log_q = torch.from_numpy(logits.astype(float)).log_softmax(dim=1).numpy()[validation]
    expected = -(distributions(inputs)[validation] * log_q).sum(axis=1).mean()
    assert io.vector(history, "val_ce_reference")[-1] == pytest.approx(expected, rel=1e-6)


def test_validation_curves_are_cross_entropies_with_the_own_label_and_the_reference(tmp_path, inputs):
    _, outputs = fit(tmp_path, inputs, recipe(), labels="hard")
    last = io.read_table(outputs["history"])[0].to_pylist()[-1]
    table = io.read_table(outputs["predictions"])[0]
    validation = io.vector(table, "split") == "val"
    log_q = torch.from_numpy(io.matrix(table, "logits").astype(float)).log_softmax(dim=1).numpy()[validation]
    p = distributions(inputs)[validation]
    assert last["val_ce_reference"] == pytest.approx(-(p * log_q).sum(axis=1).mean(), rel=1e-5)
    assert last["val_ce_own"] == pytest.approx(-log_q[np.arange(len(p)), p.argmax(axis=1)].mean(), rel=1e-5)
    assert last["val_entropy_reference"] == pytest.approx(entropy(p, axis=1).mean(), rel=1e-5)
    assert last["val_entropy_own"] == 0
    right = (p.argmax(axis=1) == log_q.argmax(axis=1)).mean()
    assert last["val_acc_own"] == last["val_acc_reference"] == pytest.approx(right)


def test_accuracy_against_the_own_label_is_that_of_its_hard_class_and_of_labelled_items_alone(own):
    p = distributions(own)
    table, metadata = io.read_table(own["labels"])
    hard, drop = np.full(60, 2), 3
    columns = {"hard": pa.array(hard, pa.int16())}
    table = table.set_column(table.column_names.index("hard"), "hard", columns["hard"])
    rows = np.delete(np.arange(60), drop)  # a validation item
    io.write_table(own["labels"], table.take(rows), {"classes": metadata["classes"]})
    made = trainer(own, recipe())
    made.predict = lambda items: (np.log(np.roll(p, 1, axis=1)[items]).astype(np.float32), None)
    found = made.validate()
    validation = np.arange(3, 60, 5)
    said = np.roll(p, 1, axis=1).argmax(axis=1)
    assert found["val_acc_own"] == pytest.approx((said[validation[1:]] == 2).mean())
    assert found["val_acc_reference"] == pytest.approx((said[validation] == p[validation].argmax(axis=1)).mean())
    assert found["val_entropy_own"] == pytest.approx(entropy(p[validation[1:]], axis=1).mean(), rel=1e-5)


def test_predictions_hold_every_item_and_features_the_test_items_that_the_head_makes_logits_of(tmp_path, inputs):
    from safetensors.numpy import load_file

    _, outputs = fit(tmp_path, inputs, recipe())
    table, metadata = io.read_table(outputs["predictions"])
    assert metadata["classes"] == ["class0", "class1", "class2"]
    assert io.vector(table, "item").tolist() == list(range(60))
    assert [str(field.type) for field in table.schema][:2] == ["int32", "string"]
    features, state = np.load(outputs["features"]), load_file(outputs["model"])
    assert features.shape == (12, 64)
    assert features.dtype == np.float32
    expected = features @ state["head.weight"].T + state["head.bias"]
    assert io.matrix(table, "logits")[io.vector(table, "split") == "test"] == pytest.approx(expected, abs=1e-5)


# The packages that a training may do without: the workflow's, and those for other parts of the package.
ABSENT = ("snakemake", "jsonschema", "yaml", "psutil", "matplotlib", "sklearn", "crowdkit")
# What a training of our own network never waits for: importing PyTorch's compiler takes as long as PyTorch itself.
UNUSED = ("torch._dynamo", "torch._inductor", "sympy", "torchvision", "timm", "scipy")
ALONE = """
import sys
sys.modules.update(dict.fromkeys({absent!r}))  # importing one of them fails
sys.path[:0] = {path!r}
from pathlib import Path
from training_files import fit, recipe, write_data
here = Path(sys.argv[1])
fit(here / "run", write_data(here / "data"), recipe())
"""


def test_another_process_with_fewer_packages_gives_the_same_bytes(tmp_path, inputs):
    script = ALONE.format(absent=ABSENT + UNUSED, path=[str(ROOT / "workflow"), str(ROOT / "tests")])
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env={**os.environ, "PYTHONHASHSEED": "5"})
    _, outputs = fit(tmp_path / "here", inputs, recipe())
    assert contents(outputs) == contents({key: tmp_path / "run" / path.name for key, path in outputs.items()})


STARTED = """
import sys, pytest
sys.modules.update(dict.fromkeys({absent!r}))
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests/gpu"]))
"""


def test_the_tests_for_a_gpu_start_with_fewer_packages():
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    script = STARTED.format(absent=ABSENT)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " skipped in " in done.stdout


def test_the_recipe_and_no_job_says_how_many_threads_torch_uses(monkeypatch, tmp_path, inputs):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    for threads in (2, 1):
        fit(tmp_path / str(threads), inputs, recipe(epochs=1, threads=threads))
        assert torch.get_num_threads() == threads


def test_images_from_the_memory_map_give_the_bytes_of_images_in_memory(monkeypatch, tmp_path, inputs):
    results = []
    for resident in (True, False):
        made = Images(inputs["images"], torch.device("cpu"), resident)
        assert made.resident is resident
        assert made[torch.tensor([5, 3, 5, 59])].numpy().tolist() == np.load(inputs["images"])[[5, 3, 5, 59]].tolist()
        monkeypatch.setattr(train, "Images", lambda *given, kept=resident, **more: Images(*given, kept, **more))
        results.append(contents(fit(tmp_path / str(resident), inputs, recipe())[1]))
    assert results[0] == results[1]


def test_images_that_do_not_fit_half_the_free_memory_stay_in_the_file(monkeypatch, inputs):
    size = 60 * 16 * 16 * 3
    for free, resident in [(2 * size, True), (2 * size - 2, False)]:
        monkeypatch.setattr("softlabels.training.memory.free", lambda device, free=free: free)
        assert Images(inputs["images"], torch.device("cpu")).resident is resident


def test_free_memory_is_known_with_and_without_psutil(monkeypatch):
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory.free(torch.device("cpu")) <= total
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert 0 < memory.free(torch.device("cpu")) <= total


# -- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [[np.nan, 0.5, 0.5], [0.5, 0.6, 0.1]])
def test_a_target_that_is_no_distribution_names_the_item(tmp_path, own, row):
    p = distributions(own)
    p[3] = row
    write_labels(own["labels"], p)
    with pytest.raises(UserError, match=r"labels.parquet: item 3 has the label .* expected a distribution that sums"):
        fit(tmp_path, own, recipe())


DELIVERED = {
    "nothing": (lambda target, epoch: None, "gave NoneType as targets of epoch 1"),
    "lists": (lambda target, epoch: target.tolist(), "gave list as targets"),
    "narrow": (lambda target, epoch: target[:, 1:], r"gave an array \[60, 2\] as targets .*finite numbers \[60, 3\]"),
    "text": (lambda target, epoch: target.astype(str), r"gave an array \[60, 3\] as targets"),
    "unknown": (lambda target, epoch: target * np.nan, "gave numbers that are not finite as targets"),
}


@pytest.mark.parametrize("how", DELIVERED)
def test_targets_that_are_no_finite_numbers_for_each_item_are_refused(monkeypatch, inputs, how):
    give, told = DELIVERED[how]
    monkeypatch.setattr(expected, "targets", lambda data, epoch, seed, options: give(data.target, epoch))
    with pytest.raises(UserError, match=told):
        trainer(inputs, recipe())


def test_targets_that_change_in_place_are_learned_from_and_labels_cannot_be_changed(monkeypatch, inputs):
    kept = np.zeros((60, 3), np.float32)

    def targets(data, epoch, seed, options):
        kept[:] = epoch
        return kept

    monkeypatch.setattr(expected, "targets", targets)
    training = trainer(inputs, recipe())
    training.deliver(2)
    assert (training.target == 2).all()
    with pytest.raises(ValueError, match="read-only"):
        training.data.target[:] = 0


def test_labels_of_no_training_item_are_refused(tmp_path, own):
    write_labels(own["labels"], distributions(own), np.arange(3, 60, 5))
    with pytest.raises(UserError, match=r"no item of the training part of .*split\.parquet has a label"):
        fit(tmp_path, own, recipe())


def test_selection_without_a_labelled_validation_item_is_refused(tmp_path, own):
    write_labels(own["labels"], distributions(own), np.arange(0, 60, 5))
    facts, outputs = fit(tmp_path, own, recipe())
    assert facts["steps"] == 2
    assert len(io.read_table(outputs["predictions"])[0]) == 60  # also those without a label
    with pytest.raises(UserError, match=r"no item of the validation part .* Set recipe\.select: last"):
        fit(tmp_path, own, recipe(select="best_validation"))


def test_a_training_that_diverges_says_what_to_lower(tmp_path, inputs):
    with pytest.raises(
        UserError, match=r"The loss is .* in epoch \d: training diverged\. Lower recipe\.rate \(1e\+25\)"
    ):
        fit(tmp_path, inputs, recipe(rate=1e25))
    assert not (tmp_path / "model.safetensors").exists()


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch, tmp_path, inputs):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"recipe\.device is 'cuda' but torch sees no GPU here\. Set device: cpu"):
        fit(tmp_path, inputs, recipe(device="cuda"))


def test_images_that_are_not_square_cannot_be_turned_by_a_quarter_but_trained_on(tmp_path):
    inputs = write_data(tmp_path / "data", size=(16, 24))
    with pytest.raises(UserError, match=r"images of 16 x 24 pixels cannot be turned .* augment.quarter_turns: false"):
        fit(tmp_path, inputs, recipe())
    facts, _ = fit(tmp_path, inputs, recipe(augment={"quarter_turns": False}))
    assert facts["steps"] == 8


def test_a_mistake_on_the_command_line_is_one_line_and_status_two(tmp_path, own):
    io.write_table(own["split"], pa.table({"item": pa.array(np.arange(60), pa.int32()), "split": ["test"] * 60}))
    words = [sys.executable, "-m", *command(tmp_path, own, recipe())]
    done = subprocess.run(words, cwd=ROOT / "workflow", capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("softlabels: ")
    assert done.stderr.count("\n") == 1


def test_a_network_that_names_one_tensor_twice_is_saved_whole(inputs, tmp_path, monkeypatch):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3)
            self.second = self.first

        def forward(self, images):
            return self.second(images).mean(dim=(2, 3))

    body = Body(Twice(), 4)
    monkeypatch.setattr(registry, "load", lambda kind, name, known=registry.load: (
        (lambda options, weights, file: body) if kind == "network" else known(kind, name)))  # fmt: skip
    _, outputs = fit(tmp_path, inputs, recipe(PLAIN))
    saved = load_file(outputs["model"])
    assert torch.equal(saved["body.first.weight"], saved["body.second.weight"])
