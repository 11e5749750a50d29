"""Linear heads on the features of a frozen network: from the recipe to tables, predictions of new images and audit."""

import copy
import json
import os
import re
import shutil
import signal

import finished_run
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file
from safetensors.torch import save_file
from scipy.special import softmax

from softlabels import check, contracts, io, launch, predict, resources, status, stopping
from softlabels.config import warnings
from softlabels.errors import Problems, UserError
from softlabels.heads import encode, fit
from softlabels.networks import base as networks
from softlabels.plan import Plan
from softlabels.provenance import audit, explain, manifest

RUN = {"dataset": "shapes", "split": "random", "recipe": "head", "label": "soft", "seed": 0}


def study(folder, **recipe):
    """A study of ours with a recipe that fits heads."""
    raw = copy.deepcopy(finished_run.CONFIG)
    weights = {"weights": "file", "weights_file": str(folder / "body.safetensors")}
    raw["recipes"] = {"head": {"network": "compact", "train": "head", **weights, "upscale": 16, **recipe}}
    raw["studies"]["small"]["recipes"] = ["head"]
    return raw


@pytest.fixture(scope="module", autouse=True)
def _tests_are_no_foreign_modules():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "_foreign_modules", lambda hashed: [])
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with weights of the compact network."""
    folder = tmp_path_factory.mktemp("weights")
    network, _ = networks.build({"kind": "compact"}, 2, seed=5)
    save_file({name: tensor.contiguous() for name, tensor in network.body.state_dict().items()},
              folder / "body.safetensors")  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def results(folder, tmp_path_factory):
    """Results of a finished study; no test may change them."""
    return finished_run.build(tmp_path_factory.mktemp("heads") / "results", study(folder))


@pytest.fixture
def plan(folder, results):
    return Plan({**study(folder), "results": str(results)})


def of(plan, command, names):
    return finished_run.READS[command](plan, names), finished_run.of(plan, command, **names)


# -- files ---------------------------------------------------------------------------------------------------------


def test_features_are_computed_once_for_all_labels_and_seeds(plan, results):
    assert [names for _, names in plan.jobs("small", "encode")] == [
        {"dataset": "shapes", "encoder": plan.encoder("head")}
    ]
    assert len(list(plan.jobs("small", "fit"))) == 4
    (features,) = results.glob("features/*/*/features.npy")
    assert np.load(features).shape == (120, 64) and np.load(features).dtype == np.float32
    run = results / "runs/shapes/random/head/soft/seed0"
    assert sorted(path.name for path in run.glob("*.*")) == [
        "fitted.parquet", "head.manifest.json", "head.safetensors"
    ]  # fmt: skip


def test_features_are_those_of_the_network_on_the_enlarged_image_without_augmentation(folder, results, plan):
    network, _ = networks.build({"kind": "compact"}, 2, 0, "file", folder / "body.safetensors", upscale=16)
    images = np.load(results / "data/shapes/images.npy")
    values = images.reshape(-1, 3) / 255
    network.mean.copy_(torch.tensor(values.mean(axis=0)).reshape(1, 3, 1, 1))
    network.std.copy_(torch.tensor(values.std(axis=0)).reshape(1, 3, 1, 1))
    with torch.no_grad():
        pixels = torch.from_numpy(images[:7]).permute(0, 3, 1, 2).float() / 255
        due = network.eval().features(pixels).numpy()
    found = np.load(plan.encoded("shapes", "head")["features"])[:7]
    np.testing.assert_allclose(found, due, rtol=1e-4, atol=1e-5)


def test_predictions_are_those_of_the_head_on_the_features_and_the_penalty_is_chosen_on_own_validation_labels(plan):
    given, made = of(plan, "fit", RUN)
    features, head = np.load(given["features"]), load_file(made["model"])
    found = contracts.read_predictions(made["predictions"])
    np.testing.assert_allclose(found.logits, features @ head["head.weight"].T + head["head.bias"], rtol=0, atol=1e-4)
    facts = io.read_json(plan.path("fit", "manifest", **RUN))["facts"]
    labels, val = contracts.read_labels(given["labels"]), found.items("val")
    p, q = labels.p[np.isin(labels.item, val)], softmax(found.of("val", val, 6), axis=1)
    assert facts["val_ce"] == pytest.approx(-(p * np.log(q)).sum(axis=1).mean(), abs=1e-5)
    assert facts["val_ce"] == min(one["val_ce"] for one in facts["fits"])
    tried = [one["penalty"] for one in facts["fits"]]
    assert tried == plan.config["recipes"]["head"]["penalties"][: len(tried)]
    assert facts["fits"][-4]["penalty"] == facts["penalty"], "smaller ones are not tried where three are worse"
    assert all(one["converged"] for one in facts["fits"]) and not facts["edge"]


def test_the_same_inputs_give_the_same_bytes(plan, tmp_path):
    for command, names in (*plan.jobs("small", "encode"), ("fit", RUN)):
        given, made = of(plan, command, names)
        again = {name: tmp_path / path.name for name, path in made.items()}
        module = {"encode": encode, "fit": fit}[command]
        module.run(plan.told(command, **names), given, again)
        assert {name: path.read_bytes() for name, path in again.items()} == {
            name: path.read_bytes() for name, path in made.items()
        }


def test_recipes_share_features_unless_what_these_depend_on_differs(folder):
    raw = study(folder)
    head = raw["recipes"]["head"]
    changes = {"other": {"penalties": [1, 2]}, "weighed": {"class_weight": "argmax"}, "larger": {"upscale": 24},
               "elsewhere": {"weights_file": "b.safetensors"}, "threaded": {"threads": 2}}  # fmt: skip
    raw["recipes"] |= {name: head | change for name, change in changes.items()}
    plan = Plan(raw)
    first, other, weighed, *rest = map(plan.encoder, ("head", *changes))
    assert first == other == weighed
    assert len({first, *rest}) == 4
    assert all(plan.of("encode", encoder=plan.encoder(name)) for name in changes)
    with pytest.raises(UserError, match="has the encoder 'nobody'"):
        plan.recipe_of("nobody")


def test_a_study_may_compare_heads_with_the_whole_network(folder):
    raw = study(folder)
    raw["recipes"]["head"] = {"network": "compact", "weights": "file", "weights_file": "b.safetensors", "upscale": 16}
    raw["studies"]["small"]["vary"] = {"recipe.train": ["all", "head"]}
    plan = Plan(raw)
    assert {names["recipe"] for _, names in plan.jobs("small", "train")} == {"head"}
    assert {names["recipe"] for _, names in plan.jobs("small", "fit")} == {"head__train_head"}
    raw["recipes"]["head"]["epochs"] = 7
    with pytest.raises(UserError, match=r"recipe.train head.*: unknown key 'epochs'; a recipe with 'train: head'"):
        Plan(raw)


def test_the_log_says_where_a_penalty_beyond_the_list_may_be_better(plan, tmp_path, capsys):
    given, made = of(plan, "fit", RUN)
    told = plan.told("fit", **RUN)
    for penalties, edge in (([1e-3, 1e-4], "largest"), ([100, 10, 5], "smallest"), ([0.1], None)):
        told["recipe"]["penalties"] = penalties
        facts = fit.run(told, given, {name: tmp_path / path.name for name, path in made.items()})
        assert facts["edge"] == (edge is not None)
        assert (f"the {edge} of recipe.penalties" in capsys.readouterr().err) == facts["edge"]


# -- what reads them -----------------------------------------------------------------------------------------------


def test_tables_say_what_the_heads_are_and_leave_out_what_needs_features(results, plan):
    text = (results / "studies/small/table.md").read_text()
    assert "Recipe head: linear heads on the features of a frozen network (compact)" in text
    assert "no t-SNE and no learning curves" in text and "structure" not in text.lower().replace("infrastructure", "")
    assert not list(plan.jobs("small", "embed", "figure", "train"))
    assert len(plan.predictions("small")) == 4
    assert {path.rpartition("/")[2] for path in plan.manifests("small")} >= {
        "head.manifest.json", "features.manifest.json"
    }  # fmt: skip


def test_a_number_is_followed_to_the_head_its_penalty_and_the_frozen_network(results):
    text = explain.render(explain.explain(str(results / "studies/small/table.csv"), "soft", "kl"))
    assert "softlabels fit" in text and "softlabels encode" in text
    assert "penalty: " in text and "train head" in text
    assert "missing" not in text


def test_a_head_predicts_new_images_with_its_encoder(results, plan, tmp_path):
    images = np.load(results / "data/shapes/images.npy")[:5]
    (tmp_path / "new").mkdir()
    for k, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"new/{k}.png")
    head = results / "runs/shapes/random/head/soft/seed0/head.safetensors"
    predict.predict_folder(head, tmp_path / "new", tmp_path / "out.csv")
    found = np.loadtxt(tmp_path / "out.csv", delimiter=",", skiprows=1, usecols=range(1, 7))
    logits = contracts.read_predictions(head.with_name("fitted.parquet")).logits[:5]
    np.testing.assert_allclose(found, softmax(logits.astype(float), axis=1), atol=1e-5)


def test_a_head_without_its_encoder_or_with_another_is_one_message(results, plan, tmp_path):
    place = "runs/shapes/random/head/soft/seed0/head.safetensors"
    (tmp_path / place).parent.mkdir(parents=True)
    shutil.copy(results / place, tmp_path / place)
    with pytest.raises(UserError, match="a linear head on the features of a frozen network, and there is no"):
        predict.load(tmp_path / place)
    with safe_open(tmp_path / place, "np") as file:
        where = tmp_path / json.loads(file.metadata()["softlabels"])["encoder"]["path"]
    where.parent.mkdir(parents=True)
    where.write_bytes(b"something else")
    with pytest.raises(UserError, match=r"found the SHA-256 .*, expected"):
        predict.load(tmp_path / place)


def failed(root, raw, tmp_path):
    """The checks that fail, and what they found."""
    (tmp_path / "study.yaml").write_text(json.dumps(raw | {"results": str(root)}))
    verdicts = audit.audit(root, ["small"], configfile=tmp_path / "study.yaml", dry_run=False)
    return {one.id: one.evidence for one in verdicts if one.verdict == "fail"}


def test_the_audit_has_no_fault(results, folder, tmp_path):
    assert failed(results, study(folder), tmp_path) == {}


def test_the_audit_notices_a_head_of_other_features(results, folder, tmp_path):
    root = shutil.copytree(results, tmp_path / "results")
    head = root / "runs/shapes/random/head/soft/seed0/head.safetensors"
    with safe_open(head, "np") as file:
        about = json.loads(file.metadata()["softlabels"])
    about["encoder"]["sha256"] = "0" * 64
    save_file({name: torch.tensor(value) for name, value in load_file(head).items()}, head,
              {"softlabels": json.dumps(about)})  # fmt: skip
    assert any("head.safetensors encoder" in text for text in failed(root, study(folder), tmp_path)["A13"])


def test_states_costs_and_announcement_know_of_heads(plan):
    found = status.status([plan])["studies"]["small"]
    assert found["encode"]["done"] == 1 and found["fit"]["done"] == 4
    assert "4 linear heads on features of a frozen network" in resources.extent(plan, "small")
    assert "linear heads on the features of a frozen compact" in launch.announcement(plan)
    assert plan.asks("encode", {"encoder": plan.encoder("head")}) == (1, False)
    assert not warnings(plan.config)


def test_features_on_a_gpu_take_a_place_as_a_training_does(folder):
    plan = Plan(study(folder, device="cuda", threads=3))
    names = {"dataset": "shapes", "encoder": plan.encoder("head")}
    assert plan.asks("encode", names) == (3, True)
    assert plan.asks("fit", RUN) == (1, False)
    assert resources.on_gpu(plan) == [("shapes", "head")]
    assert 900 < resources.gpu_mb(plan, "shapes", "head") < 8000
    assert 0 < resources.cost(plan, "small")["gpu_hours"] < 0.1


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("change", "message"), [
    ({"augment": {"flips": "none"}}, "unknown key 'augment'; a recipe with 'train: head' fits linear heads to converg"),
    ({"epochs": 3}, "unknown key 'epochs'; a recipe with 'train: head'"),
    ({"weights": "none", "weights_file": None}, "heads of random features say nothing of labels. Set weights: file"),
    ({"weights": "packaged", "weights_file": None}, "found 'packaged', which the network compact does not have"),
    ({"weights_file": None}, "'weights: file' needs the path"),
    ({"penalties": []}, "penalties: found \\[\\], expected 1 entries or more"),
    ({"penalties": [0]}, "expected more than 0"),
    ({"class_weight": "per_class"}, "expected one of none, argmax"),
    ({"train": "all", "penalties": [1]}, "only a recipe with 'train: head' has it"),
])  # fmt: skip
def test_keys_that_heads_do_not_have_are_refused(change, message, folder):
    with pytest.raises(UserError, match=message):
        Plan(study(folder, **change))


def test_deliveries_and_out_of_fold_labels_of_heads_are_refused(folder, tmp_path):
    (tmp_path / "own.py").write_text(
        'ENTRY = {"kind": "delivery", "about": "", "options": {}}\n\n\n'
        "def drawn(data, epoch, seed, options):\n    pass\n"
    )
    shared = {"kind": "aggregate", "about": "", "options": {}, "shared": ["folds", "trained_on", "recipe"]}
    (tmp_path / "cleaning.py").write_text(f"ENTRY = {shared}\n\n\ndef cleaned(evidence, options):\n    pass\n")
    raw = study(folder) | {"modules": str(tmp_path)}
    drawn = {"aggregate": "average", "form": "soft", "delivery": "own:drawn"}
    cleaned = {"aggregate": {"kind": "cleaning:cleaned", "recipe": "head"}, "form": "hard"}
    raw["labels"] = {"hard": finished_run.HARD, "soft": finished_run.SOFT, "drawn": drawn, "cleaned": cleaned}
    raw["studies"]["small"]["labels"] = ["hard", "drawn", "cleaned"]
    with pytest.raises(UserError) as error:
        Plan(raw)
    assert "has the delivery 'own:drawn', which differs from epoch to epoch" in str(error.value)
    assert "labels.cleaned.aggregate.recipe: 'head' fits heads alone (train: head)" in str(error.value)


def test_no_validation_item_with_a_label_is_one_message(plan, tmp_path):
    given, made = of(plan, "fit", RUN)
    labels = contracts.read_labels(given["labels"])
    kept = ~np.isin(labels.item, contracts.read_split(given["split"]).items("val"))
    table, about = io.read_table(given["labels"])
    io.write_table(tmp_path / "labels.parquet", table.filter(kept), about)
    made = {name: tmp_path / path.name for name, path in made.items()}
    with pytest.raises(UserError, match=r"no item of the validation part of .* has a label to choose the penalty by"):
        fit.run(plan.told("fit", **RUN), given | {"labels": tmp_path / "labels.parquet"}, made)
    assert not made["model"].exists()


def test_features_of_another_data_set_are_refused(plan, tmp_path):
    given, _ = of(plan, "fit", RUN)
    contracts.write_encoding(tmp_path / "f.npy", 3, [np.ones((2, 4)), np.ones((1, 4))])
    assert contracts.read_encoding(tmp_path / "f.npy", 3).tolist() == np.ones((3, 4)).tolist()
    with pytest.raises(UserError, match=r"found an array \[3, 4\], expected \[120, F\]"):
        fit.run(plan.told("fit", **RUN), given | {"features": tmp_path / "f.npy"}, {})


def test_a_stop_leaves_nothing_half_written(plan, tmp_path, monkeypatch):
    (_, names), = plan.jobs("small", "encode")  # fmt: skip
    given, made = of(plan, "encode", names)
    made = {name: tmp_path / path.name for name, path in made.items()}
    monkeypatch.setattr(encode, "AT_ONCE", {"cpu": 16 * 16 * 50})
    known = networks.Classifier.features

    def stopped(self, images):
        os.kill(os.getpid(), signal.SIGTERM)
        return known(self, images)

    monkeypatch.setattr(networks.Classifier, "features", stopped)
    monkeypatch.setattr(networks, "require_fit", lambda *arguments: None)
    with pytest.raises(stopping.Stopped, match="SIGTERM"):
        encode.run(plan.told("encode", **names), given, made)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("recipe", "message"), [
    ({"network": {"kind": "timm", "name": "resnet19"}, "weights": "pretrained"}, "has no model 'resnet19'.*Did you me"),
    ({"network": {"kind": "timm", "name": "vit_tiny_patch16_224"}, "weights": "pretrained"}, "Set recipe.upscale: 224"),
    ({"network": "efficientnet_lite0", "weights": "packaged", "upscale": 8}, "8 enlarges .* at most that side"),
])  # fmt: skip
def test_check_finds_networks_that_are_not_there_or_cannot_take_the_images(recipe, message, folder):
    problems = Problems()
    raw = study(folder)
    raw["recipes"]["head"] = {"train": "head", **recipe}
    list(check.check(raw, problems))
    (found,) = problems.messages
    assert re.search(message, found) and found.startswith("recipes.head with shapes: ")
