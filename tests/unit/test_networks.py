"""Networks: pooled features, initial weights, normalisation constants."""

import re

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from training_files import Payload, fit, recipe, write_data

from softlabels import config, predict
from softlabels.contracts import read_predictions
from softlabels.errors import UserError
from softlabels.networks import base, compact, efficientnet_lite0
from softlabels.networks.base import Body, Classifier, build, load_weights, state_sha256

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@pytest.mark.parametrize(("name", "width"), [("compact", 64), ("densenet121", 1024), ("resnetv2_50", 2048)])
def test_pooled_features_have_the_networks_width_and_the_head_makes_logits_of_them(name, width):
    network, body = build({"kind": name}, 5, seed=0)
    network.eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features, logits = network.features(images), network(images)
    assert body.width == width
    assert features.shape == (2, width)
    torch.testing.assert_close(network.head(features), logits)
    assert torch.isfinite(logits).all()
    assert body.mean is None  # random weights: the constants come from the data
    assert body.std is None


def test_dropout_acts_before_the_head_in_training_only():
    network, _ = build({"kind": "compact"}, 3, seed=0, dropout=0.9)
    images = torch.rand(4, 3, 16, 16)
    network.eval()
    assert torch.equal(network(images), network(images))
    network.train()
    assert not torch.equal(network(images), network(images))


def test_images_are_normalised_by_the_network_itself():
    network, _ = build({"kind": "compact"}, 3, seed=0)
    images = torch.rand(4, 3, 16, 16)
    network.eval()
    plain = network(images)
    network.mean.fill_(0.25)
    network.std.fill_(0.5)
    torch.testing.assert_close(network(images * 0.5 + 0.25), plain)


def test_initial_weights_depend_on_seed_and_network_only():
    torch.manual_seed(5)
    first = state_sha256(build({"kind": "compact"}, 4, seed=1)[0])
    torch.rand(100)
    assert state_sha256(build({"kind": "compact"}, 4, seed=1)[0]) == first
    assert state_sha256(build({"kind": "compact"}, 4, seed=1, dropout=0.5)[0]) == first
    assert state_sha256(build({"kind": "compact"}, 4, seed=2)[0]) != first


def test_the_hash_of_a_state_sees_every_value_and_name_but_no_memory_order():
    network = build({"kind": "compact"}, 3, seed=0)[0]
    before = state_sha256(network)
    assert state_sha256(network.to(memory_format=torch.channels_last)) == before
    network.body.norm.running_mean[3] += 1e-6
    assert state_sha256(network) != before
    named = [state_sha256(torch.nn.ModuleDict({name: network.head})) for name in "ab"]
    assert named[0] != named[1]


# -- weights from files ----------------------------------------------------------------------------------------------


def some_weights():
    torch.manual_seed(3)
    return compact.Compact().state_dict()


@pytest.mark.parametrize("kind", ["safetensors", "pth", "nested", "model"])
def test_weights_are_read_from_safetensors_and_pytorch_files(tmp_path, kind):
    state, path = some_weights(), tmp_path / f"weights.{'pth' if kind in ('pth', 'nested') else 'safetensors'}"
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "model":  # a model of ours: a body and a head
        save_file({"head.weight": torch.zeros(2, 2)} | {f"body.{name}": value for name, value in state.items()}, path)
    else:
        torch.save({"epoch": 3, "state_dict": state} if kind == "nested" else state, path)
    network, body = build({"kind": "compact"}, 3, seed=0, weights="file", weights_file=path)
    assert body.module is network.body
    for name, tensor in network.body.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_a_file_that_is_no_weights_is_refused(tmp_path):
    for name in ("notes.pth", "notes.safetensors"):
        (tmp_path / name).write_text("not weights")
        with pytest.raises(UserError, match=rf"{name}: cannot be read as weights .* expected safetensors or"):
            load_weights(compact.Compact(), tmp_path / name)
    with pytest.raises(UserError, match="no such file of weights"):
        load_weights(compact.Compact(), tmp_path / "absent.pth")


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    torch.save({"stem.weight": Payload(tmp_path / "harm")}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="cannot be read as weights") as caught:
        load_weights(compact.Compact(), tmp_path / "weights.pth")
    assert not (tmp_path / "harm").exists()
    assert "weights_only" not in str(caught.value)  # torch's own message recommends to run it


def test_missing_and_misshapen_tensors_are_counted_and_the_first_is_named(tmp_path):
    state = some_weights()
    del state["blocks.0.conv2.weight"]
    state["norm.bias"] = torch.zeros(5)
    save_file(state, tmp_path / "weights.safetensors")
    message = f"2 of the network's {len(state) + 1} tensors are missing or of another shape or kind (first: norm.bias)"
    with pytest.raises(UserError, match=re.escape(message)):
        load_weights(compact.Compact(), tmp_path / "weights.safetensors")


ODD = {
    "a list": lambda state: [1, 2],
    "a list inside": lambda state: {"state_dict": [1, 2]},
    "numbers for names": lambda state: dict(enumerate(state.values())),
    "no tensor": lambda state: state | {"norm.bias": 3.0},
    "sparse": lambda state: state | {"norm.bias": state["norm.bias"].to_sparse()},
    "without numbers": lambda state: state | {"norm.bias": state["norm.bias"].to("meta")},
    "complex": lambda state: state | {"norm.bias": state["norm.bias"] + 1j},
    "not finite": lambda state: state | {"norm.bias": state["norm.bias"] / 0},
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_dense_finite_tensor_is_refused(tmp_path, kind):
    torch.save(ODD[kind](some_weights()), tmp_path / "weights.pth")
    said = "hold numbers that are not finite" if kind == "not finite" else "are missing or of another shape or kind"
    with pytest.raises(UserError, match=rf"weights.pth: \d+ of the network's \d+ tensors {said} \(first: "):
        load_weights(compact.Compact(), tmp_path / "weights.pth")


@pytest.mark.parametrize(
    ("name", "weights", "there"),
    [
        ("compact", "imagenet", "none, file"),
        ("compact", "packaged", "none, file"),
        ("densenet121", "packaged", "none, imagenet, file"),
        ("timm", "imagenet", "none, pretrained, file"),
    ],
)
def test_weights_that_a_network_does_not_have_are_refused(name, weights, there):
    message = f"weights: found '{weights}', which the network {name} does not have; there are: {there}."
    with pytest.raises(UserError, match=re.escape(message)):
        build({"kind": name, "name": "resnet18"}, 3, seed=0, weights=weights)
    raw = {"datasets": {"d": {"source": "synthetic"}}, "studies": {"s": {"datasets": ["d"], "recipes": ["r"]}}}
    network = {"kind": name} | ({"name": "resnet18"} if name == "timm" else {})
    with pytest.raises(UserError, match=re.escape(f"recipes.r.{message}")):
        config.resolve(raw | {"recipes": {"r": {"network": network, "weights": weights}}})


# -- any network of timm ---------------------------------------------------------------------------------------------


def test_a_network_of_timm_is_built_by_its_name():
    network, body = build({"kind": "timm", "name": "resnet10t"}, 3, seed=0)
    assert body.width == 512
    base.require_fit(network, "resnet10t", 32, 32)
    assert network.training
    with torch.device("meta"):
        base.require_fit(build({"kind": "timm", "name": "resnet10t"}, 3, seed=0)[0], "resnet10t", 32, 32)


def test_a_lack_of_memory_is_not_told_as_a_network_that_does_not_fit(monkeypatch):
    network = build({"kind": "compact"}, 3, seed=0)[0]
    lack = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    monkeypatch.setattr(network, "features", lambda images: (_ for _ in ()).throw(lack))
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        base.require_fit(network, "compact", 32, 32)


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "ghostnet_050", "hgnetv2_b0", "vgg11"])
def test_networks_that_widen_their_pooled_features_are_taken_at_that_width(name):
    with torch.device("meta"):
        network, body = build({"kind": "timm", "name": name}, 3, seed=0)
        base.require_fit(network, name, 64, 64)
    assert body.width != body.module.num_features


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet18x", r"has no model 'resnet18x'; see timm.list_models\(\)\. Did you mean 'resnet18'\?"),
        (
            "resnet18.a1_in2k",
            r"has no model 'resnet18.a1_in2k'; it has .* for resnet18\. Did you mean 'resnet18.a1_in1k'\?",
        ),
    ],
)
def test_a_name_that_timm_does_not_have_is_refused_and_the_nearest_is_named(name, said):
    with pytest.raises(UserError, match=rf"recipe.network.name: timm .* {said}"):
        build({"kind": "timm", "name": name}, 3, seed=0)


@pytest.mark.parametrize(
    "name", ["hf-hub:a/b", "hf_hub:a/b", "local-dir:/tmp/a", "resnet18\n", "a/b", "", None, ["resnet18"]]
)
def test_a_name_that_a_models_file_tells_is_not_fetched_or_read(name, monkeypatch):
    monkeypatch.setattr(timm, "create_model", lambda *given, **more: pytest.fail("was asked"))
    with pytest.raises(UserError, match=r"recipe.network.name: found .*, expected the name of a model of timm"):
        build({"kind": "timm", "name": name}, 2, 0)


@pytest.mark.parametrize(("name", "said"), [
    ("botnet50ts_256", "no pre-trained weights of 'botnet50ts_256'; there are some of .*Name such a network, or set"),
    ("resnet10t.untrained", "has no model 'resnet10t.untrained'; it has resnet10t.c3_in1k"),
])  # fmt: skip
def test_a_network_that_nobody_trained_is_refused_without_a_word_of_a_network(name, said, monkeypatch):
    monkeypatch.setattr(timm, "create_model", lambda *given, **more: pytest.fail("was asked"))
    with pytest.raises(UserError, match=said) as error:
        build({"kind": "timm", "name": name}, 2, 0, "pretrained")
    assert "Connect" not in str(error.value)


def test_a_name_that_timm_would_fetch_from_anywhere_is_no_name():
    raw = {"datasets": {"d": {"source": "synthetic"}}, "studies": {"s": {"datasets": ["d"], "recipes": ["r"]}}}
    for name in ("hf-hub:someone/something", "local-dir:.", "../resnet18"):
        with pytest.raises(UserError, match=r"recipes\.r\.network\.name"):
            config.resolve(raw | {"recipes": {"r": {"network": {"kind": "timm", "name": name}}}})


def test_a_network_that_takes_images_of_one_size_only_says_which():
    network, _ = build({"kind": "timm", "name": "vit_tiny_patch16_224"}, 3, seed=0)
    with pytest.raises(UserError, match=r"vit_tiny_patch16_224 cannot take images of 32 x 32 pixels .*upscale: 224"):
        base.require_fit(network, "vit_tiny_patch16_224", 32, 32)
    network.upscale = 224
    base.require_fit(network, "vit_tiny_patch16_224", 32, 32)
    network.upscale = 64
    with pytest.raises(UserError, match=r"recipe.upscale: 64 enlarges square images .* found images of 80 x 80"):
        base.require_fit(network, "vit_tiny_patch16_224", 80, 80)


def test_a_network_whose_features_are_not_pooled_is_refused():
    network = Classifier(Body(torch.nn.Conv2d(3, 5, 1), 5), 2)
    with pytest.raises(
        UserError, match=r"The network own gives an array \[1, 5, 8, 8\] for one image, expected pooled"
    ):
        base.require_fit(network, "own", 8, 8)


def test_images_are_enlarged_before_the_network_sees_them():
    network, _ = build({"kind": "compact"}, 3, seed=0, upscale=24)
    plain, _ = build({"kind": "compact"}, 3, seed=0)
    images = torch.rand(2, 3, 8, 8)
    larger = torch.nn.functional.interpolate(images, scale_factor=3, mode="bilinear")
    torch.testing.assert_close(network.eval()(images), plain.eval()(larger))


# -- weights of a package ----------------------------------------------------------------------------------------------


def test_packaged_weights_are_those_of_the_package_in_their_places():
    _, body = build({"kind": "efficientnet_lite0"}, 3, seed=0, weights="packaged")
    assert body.width == 1280
    assert body.mean == body.std == (0.5, 0.5, 0.5)
    assert (
        state_sha256(body.module) == "0e6eac3920806d21a31ff56e55b88b6ad15e51712b8619e1e8151d6bd00a24bc"
    )  # of any seed
    state = efficientnet_lite0._packaged()
    made = body.module.state_dict()
    for theirs, ours in {
        "_conv_stem.weight": "conv_stem.weight",
        "_blocks.1._expand_conv.weight": "blocks.1.0.conv_pw.weight",
        "_blocks.15._bn2.running_var": "blocks.6.0.bn3.running_var",
        "_conv_head.weight": "conv_head.weight",
        "_bn1.bias": "bn2.bias",
    }.items():
        assert torch.equal(state[theirs], made[ours]), theirs


def test_a_package_that_is_not_there_or_another_one_is_refused(monkeypatch):
    monkeypatch.setattr(efficientnet_lite0, "SHA256", "0" * 64)
    with pytest.raises(UserError, match=r"found the SHA-256 57934424.*, expected 0000.* Install the package"):
        build({"kind": "efficientnet_lite0"}, 3, seed=0, weights="packaged")
    monkeypatch.setattr(efficientnet_lite0, "PACKAGE", "absent")
    with pytest.raises(UserError, match=r"needs the package absent, which is not installed"):
        build({"kind": "efficientnet_lite0"}, 3, seed=0, weights="packaged")


def test_a_training_from_packaged_weights_notes_their_hash_and_its_model_predicts_as_it_did(tmp_path):
    inputs = write_data(tmp_path, n=20)
    changes = {"network": {"kind": "efficientnet_lite0"}, "weights": "packaged", "upscale": 32, "epochs": 1}
    facts, outputs = fit(tmp_path / "runs/a", inputs, recipe(**changes))
    assert facts["weights_sha256"] == "0e6eac3920806d21a31ff56e55b88b6ad15e51712b8619e1e8151d6bd00a24bc"
    model = predict.load(outputs["model"])
    assert model.network.upscale == 32
    found = model(np.load(inputs["images"]))
    logits = read_predictions(outputs["predictions"]).logits
    np.testing.assert_allclose(found, torch.tensor(logits).softmax(dim=1).numpy(), atol=1e-5)


def test_imagenet_weights_without_a_network_say_what_to_do(monkeypatch):
    def fail(*arguments, **options):
        assert options["pretrained"]
        raise ConnectionError("cannot reach the hub\nand a long tail")

    monkeypatch.setattr(timm, "create_model", fail)
    message = r"densenet121.tv_in1k cannot be had \(ConnectionError: cannot reach the hub\)\. .*weights: file"
    with pytest.raises(UserError, match=message):
        build({"kind": "densenet121"}, 3, seed=0, weights="imagenet")


# -- normalisation constants -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "model", "constants"),
    [("densenet121", "densenet121.tv_in1k", IMAGENET), ("resnetv2_50", "resnetv2_50.a1h_in1k", ([0.5] * 3, [0.5] * 3))],
)
def test_loaded_weights_bring_timms_constants(tmp_path, name, model, constants):
    reference = timm.create_model(model, num_classes=10)
    save_file(reference.state_dict(), tmp_path / "weights.safetensors")
    network, _ = build({"kind": name}, 3, seed=0, weights="file", weights_file=tmp_path / "weights.safetensors")
    assert network.mean.flatten().tolist() == pytest.approx(constants[0])
    assert network.std.flatten().tolist() == pytest.approx(constants[1])
    images = torch.rand(1, 3, 64, 64)
    mean, std = (torch.tensor(x).reshape(1, 3, 1, 1) for x in constants)
    with torch.no_grad():
        theirs = reference.eval().forward_head(reference.forward_features((images - mean) / std), pre_logits=True)
        torch.testing.assert_close(network.eval().features(images), theirs)


def test_without_loaded_weights_the_constants_are_those_of_the_training_part(tmp_path):
    inputs = write_data(tmp_path)
    _, outputs = fit(tmp_path / "runs/a", inputs, recipe(epochs=1))
    network = predict.load(outputs["model"]).network
    training = np.load(inputs["images"])[np.arange(60) % 5 < 3] / 255
    assert network.mean.flatten().numpy() == pytest.approx(training.mean(axis=(0, 1, 2)), abs=1e-6)
    assert network.std.flatten().numpy() == pytest.approx(training.std(axis=(0, 1, 2)), abs=1e-6)


def test_a_classifier_without_constants_takes_images_as_they_are():
    images = torch.rand(3, 3, 2, 2)
    assert torch.equal(Classifier(Body(torch.nn.Flatten(), 12), 2).features(images), images.flatten(1))
