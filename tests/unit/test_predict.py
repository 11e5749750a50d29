"""Predictions of a trained model for new images."""

import csv
import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from data_files import import_data, label_files
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from training_files import fit, outputs_in, recipe, write_data

from softlabels import io, predict
from softlabels.datasets import images as image_files
from softlabels.errors import UserError
from softlabels.training import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Inputs and outputs of a training."""
    folder = tmp_path_factory.mktemp("run")
    inputs = write_data(folder / "data")
    return inputs, fit(folder / "run", inputs, recipe(epochs=4))[1]


@pytest.fixture
def folder(trained, tmp_path):
    """The first 9 images as files, in two folders."""
    for row, image in enumerate(np.load(trained[0]["images"])[:9]):
        path = tmp_path / "images" / ("ab"[row % 2]) / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return tmp_path / "images"


def probabilities(outputs):
    """Softmax of the logits that the training wrote."""
    logits = io.matrix(io.read_table(outputs["predictions"])[0], "logits").astype(float)
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def rows(path):
    with path.open(newline="") as file:
        header, *body = csv.reader(file)
    return header, {name: np.array(values, dtype=float) for name, *values in body}


def predicted(trained, images, **options):
    """The probabilities of each image of a folder."""
    out = images.parent / "out.csv"
    predict.predict_folder(trained[1]["model"], images, out, **options)
    return rows(out)[1]


def test_a_loaded_model_predicts_what_the_training_predicted(trained):
    inputs, outputs = trained
    model = predict.load(outputs["model"])
    assert model.classes == ["class0", "class1", "class2"]
    assert (model.height, model.width) == (16, 16)
    assert not model.network.training
    p = model(np.load(inputs["images"]))
    assert p.dtype == np.float32
    assert p == pytest.approx(probabilities(outputs), abs=1e-6)
    assert np.ptp(p, axis=0).min() > 0.1, "the test needs a model that tells images apart"


def test_a_folder_becomes_one_row_an_image_with_probabilities_that_sum_to_one(trained, folder, tmp_path):
    predict.predict_folder(trained[1]["model"], folder, tmp_path / "out.csv")
    header, found = rows(tmp_path / "out.csv")
    assert header == ["file", "class0", "class1", "class2"]
    assert list(found) == [f"a/{k}.png" for k in range(0, 9, 2)] + [f"b/{k}.png" for k in range(1, 9, 2)]
    expected = probabilities(trained[1])
    for name, p in found.items():
        assert p == pytest.approx(expected[int(name[2])], abs=1e-6)
        assert p.sum() == pytest.approx(1, abs=2e-6)


def test_more_images_than_a_batch_are_all_predicted(trained, tmp_path):
    (tmp_path / "images").mkdir()
    for row in range(predict.BATCH + 3):
        Image.new("RGB", (16, 16), (row, 0, 90)).save(tmp_path / f"images/{row:03}.png")
    assert len(predicted(trained, tmp_path / "images")) == predict.BATCH + 3


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_images_of_another_size_are_brought_to_the_models(trained, tmp_path, resize):
    model = predict.load(trained[1]["model"])
    picture = np.zeros((40, 80, 3), dtype=np.uint8)
    picture[:, 20:60] = (200, 40, 20)
    (tmp_path / "images").mkdir()
    Image.fromarray(picture).save(tmp_path / "images/wide.png")
    found = predicted(trained, tmp_path / "images", resize=resize)
    image = Image.fromarray(picture)
    if resize == "crop":
        image = image.crop((20, 0, 60, 40))
    if resize == "pad":
        square = Image.new("RGB", (80, 80))
        square.paste(image, (0, 20))
        image = square
    expected = model(np.array(image.resize((16, 16)))[None])[0]
    assert found["wide.png"] == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("deep", "grey"), [("scale", 100), ("stretch", 255)])
def test_grey_of_16_bits_becomes_what_the_training_images_became(trained, tmp_path, deep, grey):
    (tmp_path / "images").mkdir()
    values = np.zeros((16, 16), np.uint16)
    values[4:12] = 100 * 257
    Image.fromarray(values).save(tmp_path / "images/deep.png")
    found = predicted(trained, tmp_path / "images", deep=deep)
    picture = np.repeat(((values > 0) * grey).astype(np.uint8)[..., None], 3, axis=2)
    expected = predict.load(trained[1]["model"])(picture[None])[0]
    assert found["deep.png"] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(UserError, match=r"deep\.png: .*pixel type I;16"):
        predicted(trained, tmp_path / "images")


def imported(tmp_path, deep_files=False, **source):
    """A folder of 20 pictures of several sizes that are imported and trained on, and the run's outputs."""
    draws, folder = np.random.default_rng(3), tmp_path / "images"
    folder.mkdir()
    for item in range(20):
        size = (16, 16) if item == 7 else tuple(draws.integers(12, 50, 2))  # one has the model's size
        if deep_files:
            low, high = sorted(draws.integers(0, 65536, 2))
            Image.fromarray(draws.integers(low, high + 1, size, dtype=np.uint16)).save(folder / f"{item:02}.png")
        else:
            ramp = np.linspace(0, 200, size[0])[:, None, None] * draws.random(3)
            picture = (ramp + draws.integers(0, 50, (*size, 3))).astype(np.uint8)
            Image.fromarray(picture).save(folder / f"{item:02}.png")
    np.save(tmp_path / "counts.npy", draws.multinomial(6, [0.5, 0.3, 0.2], 20))
    files = {"folder": folder, "counts": tmp_path / "counts.npy"}
    data = import_data(tmp_path / "data", files, kind="counts", pixels=16, **source)
    part = np.array(["train", "train", "train", "val", "test"])[np.arange(20) % 5]
    io.write_table(tmp_path / "split.parquet", pa.table({"item": pa.array(np.arange(20), pa.int32()), "split": part}))
    inputs = {name: data[name] for name in ("images", "items", "reference")}
    inputs |= {"split": tmp_path / "split.parquet", "labels": label_files(data, tmp_path)["soft"]}
    outputs = outputs_in(tmp_path / "run")
    train.run({"recipe": recipe(epochs=3), "seed": 0}, inputs, outputs)
    return folder, outputs


RULES = {
    "stretch": {"resize": "stretch"},
    "crop": {"resize": "crop"},
    "pad": {"resize": "pad"},
    "scale": {"resize": "pad", "deep": "scale"},
    "stretched grey": {"deep": "stretch"},
}


@pytest.mark.parametrize("source", RULES.values(), ids=RULES)
def test_the_training_images_files_get_the_stored_predictions(tmp_path, capfd, source):
    """Within what six decimals and batches of another size allow: a sum in float32 depends on how it is split."""
    folder, outputs = imported(tmp_path, "deep" in source, **source)
    capfd.readouterr()
    found, expected = predicted((None, outputs), folder), probabilities(outputs)
    assert list(found) == [f"{item:02}.png" for item in range(20)]
    assert np.array(list(found.values())) == pytest.approx(expected, abs=1e-6)
    assert np.ptp(expected, axis=0).min() > 1e-3, "the test needs a model that tells images apart"
    assert "training images" not in capfd.readouterr().err
    told = predict.load(outputs["model"]).images
    assert told == {"resize": "stretch", "deep": "refuse", **source, "colour": image_files.COLOUR}
    if not source.get("deep"):
        for other in {"stretch", "crop", "pad"} - {source["resize"]}:
            differs = np.array(list(predicted((None, outputs), folder, resize=other).values()))
            assert abs(differs - expected).max() > 1e-4, "the test needs images on which the rule matters"


def test_another_choice_than_that_of_the_training_images_is_made_and_said(tmp_path, capfd):
    folder, outputs = imported(tmp_path, deep_files=True, **RULES["scale"])
    capfd.readouterr()
    stretched = predicted((None, outputs), folder, resize="stretch", deep="scale")
    said = capfd.readouterr().err
    assert "--resize stretch: the training images were made with resize 'pad'." in said and "--deep" not in said
    assert any((p != stretched[name]).any() for name, p in predicted((None, outputs), folder).items())
    with pytest.raises(UserError, match="pixel type I;16"):
        predicted((None, outputs), folder, deep="refuse")
    assert "--deep refuse: the training images were made with deep 'scale'." in capfd.readouterr().err


def test_other_rules_of_colour_are_said(tmp_path, trained, folder, capfd):
    with safe_open(trained[1]["model"], "pt") as file:
        about = json.loads(file.metadata()["softlabels"])
    assert about["images"] == {}  # of a data set that tells none
    about["images"] = {"resize": None, "deep": "refuse", "colour": "profiles applied"}
    save_file(load_file(trained[1]["model"]), tmp_path / "m", metadata={"softlabels": json.dumps(about)})
    predict.predict_folder(tmp_path / "m", folder, tmp_path / "out.csv", resize="crop", deep="scale")
    said = capfd.readouterr().err
    assert "were decoded by other rules (profiles applied) than here" in said
    assert "--" not in said  # nothing was resized, and no image was one of 16 bits


def test_a_file_that_is_no_model_is_refused(tmp_path, folder):
    (tmp_path / "text").write_text("no model")
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    for name in ("text", "foreign.safetensors", "absent"):
        with pytest.raises(
            UserError,
            match=rf"{name}: is no model of softlabels .* Name the model.safetensors, or head.safetensors, of a",
        ):
            predict.predict_folder(tmp_path / name, folder, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_bad_image_is_named_and_no_csv_is_left(trained, folder, tmp_path):
    (folder / "b/broken.png").write_bytes((folder / "a/0.png").read_bytes()[:60])
    with pytest.raises(UserError, match=r"b/broken\.png"):
        predicted(trained, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_a_folder_without_images_is_an_error(trained, tmp_path):
    with pytest.raises(UserError, match="found no image file"):
        predicted(trained, tmp_path)


def test_links_are_followed_where_that_is_asked(trained, folder, tmp_path):
    expected = predicted(trained, folder)
    folder.rename(tmp_path / "store")
    folder.mkdir()
    (folder / "a").symlink_to(tmp_path / "store" / "a")
    with pytest.raises(UserError, match=r"a: is a link to a folder .*, or add --follow-links if the place"):
        predicted(trained, folder)
    (folder / "b").mkdir()
    for path in (tmp_path / "store" / "b").iterdir():
        (folder / "b" / path.name).symlink_to(path)
    with pytest.raises(UserError, match=r"links out of it\. .*, or add --follow-links if the place"):
        predicted(trained, folder)
    found = predicted(trained, folder, follow_links=True)
    assert {name: p.tolist() for name, p in found.items()} == {name: p.tolist() for name, p in expected.items()}


def test_messages_name_the_options_of_the_command(trained, folder):
    Image.fromarray(np.array([[0, 4000]], np.uint16)).save(folder / "deep.png")
    with pytest.raises(UserError, match=r"; --deep says how such values become 8-bit, for example --deep=0,4000\)"):
        predicted(trained, folder)
    with pytest.raises(UserError, match=r"^--deep: found low 5 and high 5"):
        predicted(trained, folder, deep={"low": 5, "high": 5})


def test_images_that_are_left_out_are_said(trained, folder, capfd):
    (folder / "a" / "0.dcm").write_bytes(b"DICOM")
    assert len(predicted(trained, folder)) == 9
    assert "were left out: 1, a/0.dcm for one." in capfd.readouterr().err


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch, trained):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"--device cuda: torch sees no GPU here\. Use --device cpu"):
        predict.load(trained[1]["model"], "cuda")
