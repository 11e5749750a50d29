"""Linear heads on the features of a frozen network: from the recipe to tables, predictions of new images and audit."""

import contextlib
import copy
import dataclasses
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
from softlabels.provenance import audit, explain
from softlabels.studies import study as study_module

pytestmark = pytest.mark.usefixtures("no_foreign_modules")

RUN = {"dataset": "shapes", "split": "random", "recipe": "head", "label": "soft", "seed": 0}
SOFT = "runs/shapes/random/head/soft/seed0"


def study(folder, **recipe):
    """A study of ours with a recipe that fits heads."""
    raw = copy.deepcopy(finished_run.CONFIG)
    weights = {"weights": "file", "weights_file": str(folder / "body.safetensors")}
    raw["recipes"] = {"head": {"network": "compact", "train": "head", **weights, "upscale": 16, **recipe}}
    raw["studies"]["small"]["recipes"] = ["head"]
    return raw


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
    assert re.search(r"penalty: [\d.e-]+ of \d+ tried, not at the edge of the list; the fit converged in", text)
    assert re.search("pre-trained weights: [0-9a-f]{12}", text) and "train head" in text
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


def test_an_encoder_alone_predicts_nothing_and_says_so(results, plan):
    with pytest.raises(UserError, match=r"is a frozen network without a head\. Name the head\.safetensors"):
        predict.load(plan.path("encode", "encoder", dataset="shapes", encoder=plan.encoder("head")))


def test_a_head_outside_of_a_results_folder_is_one_message(results, tmp_path):
    head = shutil.copy(results / SOFT / "head.safetensors", tmp_path / "head.safetensors")
    with pytest.raises(UserError, match="frozen network, and lies in no results folder"):
        predict.load(head)


@pytest.mark.parametrize("encoder", [
    {"path": "/etc/hostname", "sha256": ""}, {"path": "../../features/a/b/encoder.safetensors", "sha256": ""},
    {"path": "features/a/../encoder.safetensors"}, {"path": "features/shapes/b/features.npy", "sha256": ""},
    {"path": "data/shapes/items.parquet", "sha256": ""}, {"path": 3}, {}, "text",
])  # fmt: skip
def test_an_encoder_that_is_none_of_ours_is_not_opened(encoder, results, tmp_path, monkeypatch):
    head = tmp_path / "runs/shapes/random/head/soft/seed0/head.safetensors"
    head.parent.mkdir(parents=True)
    tensors = load_file(results / head.relative_to(tmp_path))
    about = {"classes": ["a", "b"], "height": 8, "width": 8, "encoder": encoder}
    save_file({name: torch.tensor(value) for name, value in tensors.items()}, head,
              {"softlabels": json.dumps(about)})  # fmt: skip
    monkeypatch.setattr(io, "sha256", lambda path: pytest.fail(f"{path} was opened"))
    with pytest.raises(UserError, match=r"as its encoder, expected features/\{dataset\}/\{encoder\}/encoder"):
        predict.load(head)


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


def as_recorded(root, path):
    """Note a changed file's hash in the manifest of its job."""
    manifest_path = (root / path).parent / "head.manifest.json"

    def changed(content):
        for entry in content["outputs"].values():
            if entry["path"] == path:
                entry |= {"sha256": io.sha256(root / path), "bytes": (root / path).stat().st_size}

    finished_run.edit_json(manifest_path, changed)


def other_penalty(root):
    """Another penalty was kept than the best, and says so everywhere."""

    def changed(content):
        facts = content["facts"]
        for one in facts["fits"]:
            if one["penalty"] == facts["penalty"]:
                one["val_ce"] += 1

    finished_run.edit_json(root / SOFT / "head.manifest.json", changed)


def other_head(root):
    head = root / SOFT / "head.safetensors"
    with safe_open(head, "np") as file:
        about = file.metadata()
    tensors = load_file(head)
    tensors["head.bias"] = tensors["head.bias"] + np.float32([0.01, 0, 0, 0, 0, 0])
    save_file({name: torch.tensor(value) for name, value in tensors.items()}, head, about)
    as_recorded(root, f"{SOFT}/head.safetensors")


def other_edge(root):
    path = root / SOFT / "fitted.parquet"
    about = io.read_table(path)[1]["head"]
    finished_run.edit_table(path, lambda rows: rows, head=about | {"edge": True})
    as_recorded(root, f"{SOFT}/fitted.parquet")


def other_numbers(root):
    def changed(content):
        for one in content["facts"]["fits"]:
            one["val_ce"] /= 2

    finished_run.edit_json(root / SOFT / "head.manifest.json", changed)


@pytest.mark.parametrize(("change", "said"), [
    (other_penalty, f"{SOFT}/head.manifest.json head: found"),
    (other_head, "fitted.parquet item 0 logits: found"),
    (other_edge, "fitted.parquet head: found {'penalty'"),
    (other_numbers, "head.manifest.json val_ce: found"),
])  # fmt: skip
def test_the_audit_follows_each_head_from_its_penalties_to_its_predictions(change, said, results, folder, tmp_path):
    root = shutil.copytree(results, tmp_path / "results")
    change(root)
    assert any(said in text for text in failed(root, study(folder), tmp_path)["A21"])


def test_tables_tell_of_penalties_at_the_edge_and_of_fits_that_did_not_converge(results, plan, tmp_path):
    told = plan.told("study", study="small")
    predictions = {}
    for path in plan.predictions("small"):
        where = tmp_path / os.path.relpath(path, results)
        where.parent.mkdir(parents=True)
        shutil.copy(path, where)
        name = "/".join(where.parts[-6:-1])
        about = io.read_table(where)[1]["head"] | {"edge": "soft" in name, "converged": "seed1" not in name}
        finished_run.edit_table(where, lambda rows: rows, head=about)
        predictions[name] = where
    assert len(predictions) == 4
    first, *others = study_module._of_heads(told, predictions)
    assert "fitted to convergence" in first
    assert others[0].startswith(
        "Recipe head, 2 of 4 heads (soft, seed 0; soft, seed 1): the penalty that was chosen is"
    )
    assert others[1] == "Recipe head, 2 of 4 heads (hard, seed 1; soft, seed 1): the fit did not converge."
    assert "Those of the pixels of all items were taken, test items among them" in others[2]
    text = (results / "studies/small/table.md").read_text()
    assert "test items among them" in text and "at the edge" not in text and "did not converge" not in text


def published(folder, **split):
    """A study on a published split."""
    raw = study(folder)
    raw["splits"] = {"given": {"kind": "column", **split}}
    raw["studies"]["small"]["splits"] = ["given"]
    return raw


def test_several_seeds_of_heads_on_a_published_split_are_one_run(folder):
    raw = published(folder)
    same = "recipes.head: fits heads, which draw nothing, and splits.given is the published one: all seeds are the same"
    (told,) = warnings(Plan(raw).config)
    assert told.startswith(same)
    assert Plan(raw).told("study", study="small")["alike"] == {"given": ["head"]}
    raw["recipes"]["whole"] = {"network": "compact"}
    raw["studies"]["small"]["recipes"] = ["head", "whole"]
    first, second = warnings(Plan(raw).config)
    assert "they differ in training alone" in first and second.startswith(same)
    raw["studies"]["small"]["seeds"] = [0]
    assert not warnings(Plan(raw).config) and "alike" not in Plan(raw).told("study", study="small")


def test_seeds_of_heads_on_a_published_split_differ_where_something_is_drawn(folder):
    drawn = published(folder)
    drawn["datasets"]["shapes"] = finished_run.VOTED
    drawn["labels"] = {"hard": finished_run.HARD, "few": finished_run.SOFT | {"votes": 2}}
    drawn["studies"]["small"]["labels"] = ["hard", "few"]
    for raw in (published(folder, val_share=0.1), drawn):
        (told,) = warnings(Plan(raw).config)
        assert "they differ in what is drawn of validation items or votes alone" in told
        assert "alike" not in Plan(raw).told("study", study="small")


def test_the_same_heads_of_all_seeds_are_no_fault_and_are_said_below_the_table(folder, tmp_path, monkeypatch):
    raw = published(folder)
    known = finished_run.importlib.import_module("softlabels.datasets.contract").write_items
    part = ["train"] * 70 + ["val"] * 25 + ["test"] * 25
    monkeypatch.setattr(
        "softlabels.datasets.contract.write_items",
        lambda path, names, groups, columns, rules: known(path, names, groups, {**columns, "split": part}, rules),
    )
    root = finished_run.build(tmp_path / "results", raw)
    files = [root / f"runs/shapes/given/head/soft/seed{seed}/fitted.parquet" for seed in (0, 1)]
    assert files[0].read_bytes() == files[1].read_bytes()
    text = (root / "studies/small/table.md").read_text()
    assert "All seeds of head are the same run in the published split (given), as heads draw nothing" in text
    assert "differ in training alone" not in text and "Seeds share items" not in text
    assert "A12" not in failed(root, raw, tmp_path)


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


@pytest.mark.parametrize(("recipe", "what"), [
    ("head", "choose the penalty of a head by"), ("best", "select the weights by")
])  # fmt: skip
def test_check_finds_that_no_validation_item_has_a_label(recipe, what, folder, monkeypatch):
    raw = study(folder)
    raw["recipes"]["best"] = {"network": "compact", "select": "best_validation"}
    raw["studies"]["small"]["recipes"] = [recipe]
    known = check.read_labels
    monkeypatch.setattr(check, "read_labels", lambda path: dataclasses.replace(known(path), item=np.array([], int)))
    problems = Problems()
    list(check.check(raw, problems))
    assert len(problems.messages) == 2, "one a label, whatever the seeds"
    for found, label in zip(problems.messages, ("hard", "soft"), strict=True):
        assert found.startswith(
            f"datasets.shapes with recipes.{recipe}: no item of the validation part of splits.random"
        )
        assert f"seed 0, has a label of labels.{label} to {what}. Give the split a larger validation part" in found


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
    ({"network": {"kind": "timm", "name": "botnet50ts_256"}, "weights": "pretrained"}, "no pre-trained weights of"),
])  # fmt: skip
def test_check_finds_networks_that_are_not_there_or_cannot_take_the_images(recipe, message, folder):
    problems = Problems()
    raw = study(folder)
    raw["recipes"]["head"] = {"train": "head", **recipe}
    list(check.check(raw, problems))
    (found,) = problems.messages
    assert re.search(message, found) and found.startswith("recipes.head with shapes: ")


def test_check_builds_each_network_once_and_knows_height_and_width(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    for k in range(30):
        Image.new("RGB", (64, 16), (k, 0, 0)).save(tmp_path / f"images/{k:02d}.png")
    np.save(tmp_path / "counts.npy", np.array([[3, 0], [1, 2]] * 15))
    head = {"network": "efficientnet_lite0", "weights": "packaged", "train": "head", "upscale": 64}
    raw = {"data_folder": str(tmp_path), "recipes": {"one": head, "two": head | {"penalties": [1.0]}}}
    raw["datasets"] = {"wide": {"source": {"kind": "counts", "images": "images", "counts": "counts.npy"}}}
    raw["studies"] = {"small": {"datasets": ["wide"], "recipes": ["one", "two"], "seeds": [0]}}
    assert resources.shape(Plan(raw), "wide") == (16, 64)
    built = []
    known = networks.build
    monkeypatch.setattr(networks, "build", lambda *given, **more: built.append(given) or known(*given, **more))
    problems = Problems()
    list(check.check(raw, problems))
    assert [text.partition(": ")[0] for text in problems.messages] == ["recipes.one with wide", "recipes.two with wide"]
    assert all("found images of 16 x 64 pixels" in text for text in problems.messages)
    assert len(built) == 1


def test_no_gpu_for_an_encoder_names_the_rule_encode(plan, tmp_path, monkeypatch):
    (_, names), = plan.jobs("small", "encode")  # fmt: skip
    given, made = of(plan, "encode", names)
    told = plan.told("encode", **names)
    told["recipe"]["device"] = "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(encode.gpus, "taken", lambda device: contextlib.nullcontext())
    with pytest.raises(encode.gpus.NotStartedError, match="the rule encode has the resource gpu=1"):
        encode.run(told, given, {name: tmp_path / path.name for name, path in made.items()})


def test_too_little_memory_names_the_model_and_not_the_library(capsys):
    recipe = {"network": {"kind": "timm", "name": "resnet18"}, "device": "cpu"}
    with pytest.raises(UserError, match="to compute features with resnet18 on cpu"), encode._explained(recipe):
        raise MemoryError
