"""`softlabels check`: everything that is wrong with a configuration and its data, in one list and without training."""

import re
import sys
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from data_files import save_images
from safetensors.torch import save_file

from softlabels import cli
from softlabels.networks import base

CONFIG = """
data_folder: {folder}
datasets:
  animals: {{source: {{kind: counts, images: images, counts: counts.npy}}}}
recipes: {{quick: {{network: compact, epochs: 1}}}}
studies: {{one: {{datasets: [animals], recipes: [quick], seeds: [0, 1], embedding: {{perplexity: 4}}}}}}
"""


@pytest.fixture
def folder(tmp_path):
    """Sixty images with counts of three votes in two classes, and their configuration."""
    save_images(tmp_path / "images", [f"{i:02d}.png" for i in range(60)])
    np.save(tmp_path / "counts.npy", np.array([[3, 0], [1, 2]] * 30))
    (tmp_path / "config.yaml").write_text(CONFIG.format(folder=tmp_path))
    return tmp_path


def change(folder, **sections):
    """Lay further sections over the configuration."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))


@pytest.fixture
def check(monkeypatch, capsys, folder):
    """Runs the command, which must leave all files and end with ``status``: what it printed, and complained of."""

    def run(*options, status=0):
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        monkeypatch.setattr(sys, "argv", ["softlabels", "check", str(folder / "config.yaml"), *options])
        with pytest.raises(SystemExit) if status else nullcontext() as end:
            cli.main()
        assert not status or end.value.code == status
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
        return capsys.readouterr()

    return run


def test_what_is_in_order_is_said_in_a_line_a_data_set(folder, check):
    out, complaints = check()
    assert complaints == ""
    first, cost, last = out.splitlines()
    assert first == "animals: 60 images, 2 classes (0, 1), 180 votes."
    assert re.fullmatch(r"Study one: 4 trainings, about \d+ minutes? of one CPU and \d+ MB of disk\.", cost)
    assert last == f"{folder / 'config.yaml'}: no problem was found."


def test_mistakes_of_configuration_votes_and_images_are_in_one_list(folder, check):
    counts = np.load(folder / "counts.npy")
    counts[7] = [-1, 4]
    np.save(folder / "counts.npy", counts)
    (folder / "images" / "33.png").write_bytes(b"none")
    change(folder, recipes={"quick": {"network": "compact", "epochs": "ten"}})
    first, *lines = check(status=2).err.splitlines()
    assert first == "softlabels: 3 problems:"
    assert lines[0] == '  - recipes.quick.epochs: found "ten", expected a whole number.'
    assert lines[1].startswith(
        f"  - datasets.animals: {folder}/counts.npy: row 7 (counted from 0), column '0': found -1"
    )
    assert lines[2].startswith(f"  - datasets.animals: {folder}/images/33.png: is no image")
    assert all(line.rstrip().endswith(".") for line in lines)


def test_images_that_are_links_are_looked_at_though_the_votes_are_wrong(folder, check):
    (folder / "images").rename(folder / "store")
    save_images(folder / "images", ["60.png"])
    (folder / "images" / "more").symlink_to(folder / "store")
    (folder / "store" / "33.png").write_bytes(b"none")
    source = {"kind": "counts", "images": "images", "counts": "counts.npy", "follow_links": True}
    change(folder, datasets={"animals": {"source": source}})
    told = check(status=2).err
    assert "found 60" in told and "more/33.png: is no image" in told and "is a link" not in told


def test_every_data_set_is_looked_at(folder, check):
    source = {"kind": "counts", "images": "images"}
    datasets = {name: {"source": source | {"counts": f"{name}.npy"}} for name in ("counts", "left", "right")}
    study = {"datasets": ["counts"], "recipes": ["quick"], "embedding": {"perplexity": 4}}
    change(folder, datasets=datasets, studies={"one": study})
    out, complaints = check(status=2)
    assert out == "counts: 60 images, 2 classes (0, 1), 180 votes.\n"
    assert [line.split(":")[0] for line in complaints.splitlines()[1:]] == ["  - datasets.left", "  - datasets.right"]


def test_a_split_that_cannot_be_made_is_found(folder, check):
    counts = np.array([[3, 0]] * 58 + [[0, 3]] * 2)
    np.save(folder / "counts.npy", counts)
    told = check(status=2).err
    assert told.count("class '1' has no item in part") == 1  # for all seeds together
    assert "datasets.animals with splits.random, seed 0, 1: " in told
    change(folder, recipes={"quick": {"network": "compact", "epochs": "ten"}})  # wrong elsewhere, too
    assert "datasets.animals with splits.random, seed 0, 1: " in check(status=2).err  # not of the default seeds


def test_labels_that_cannot_be_made_are_found(folder, check):
    np.save(folder / "counts.npy", np.array([[2, 2]] * 60))
    label = {"aggregate": "majority", "form": "hard", "ties": "drop"}
    change(folder, labels={"hard": label, "soft": {"aggregate": "average", "form": "soft"}})
    assert "datasets.animals with labels.hard: label: no item has a label: all are tied." in check(status=2).err


def test_weights_that_are_not_there_are_found(folder, check):
    change(folder, recipes={"quick": {"network": "compact", "weights": "file", "weights_file": "w.safetensors"}})
    assert f"recipes.quick.weights_file: {folder}/w.safetensors: no such file" in check(status=2).err


def test_weights_of_another_network_are_found(folder, check):
    change(folder, recipes={"quick": {"network": "compact", "weights": "file", "weights_file": "w.safetensors"}})
    save_file({"stem.weight": torch.zeros(3)}, folder / "w.safetensors")
    told = check(status=2).err
    assert f"recipes.quick with animals: {folder}/w.safetensors: " in told
    assert "of the network's" in told and "are missing or of another shape or kind" in told
    save_file(base.build({"kind": "compact"}, 2, 0)[0].body.state_dict(), folder / "w.safetensors")
    check()


def test_a_published_file_that_is_not_there_yet_is_named_with_its_address(folder, check):
    change(folder, datasets={"animals": {"source": {"kind": "dcic", "archive": "MiceBone.zip"}}})
    told = check(status=2).err
    assert f"{folder}/MiceBone.zip: is not there yet" in told
    assert "https://zenodo.org/" in told
    assert "680507926 bytes" in told


def test_generated_data_are_checked_without_drawing_them(folder, check):
    source = {"kind": "synthetic", "items": 120, "pixels": 1024, "radius": [0.1, 0.45]}
    change(folder, datasets={"animals": {"source": source}})
    assert "datasets.animals: source.clip: found false" in check(status=2).err
    change(folder, datasets={"animals": {"source": source | {"clip": True}}})
    check()


def test_keys_can_be_replaced_on_the_command_line(check):
    assert "/nowhere/images: no such folder" in check("--config", "data_folder=/nowhere", status=2).err


def test_what_is_seldom_meant_is_a_warning(folder, check):
    change(folder, recipes={"quick": {"network": "compact", "class_weight": "per_class"}})
    assert "Warning: recipes.quick: class_weight per_class moves the optimum" in check().out


def test_readers_with_too_few_test_items_to_be_compared_are_told(folder, check):
    rows = {"item": np.repeat([f"{i:02d}.png" for i in range(60)], 2), "label": ["cat", "cat", "dog", "dog"] * 30,
            "annotator": ["a", "b"] * 60}  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "votes.csv", index=False)

    def told(metric):
        study = {"datasets": ["animals"], "recipes": ["quick"], "metrics": ["macro_acc", metric], "figures": []}
        source = {"kind": "table", "images": "images", "votes": "votes.csv"}
        change(
            folder, studies={"one": study | {"tables": ["main", "readers"]}}, datasets={"animals": {"source": source}}
        )
        return check().out

    words = "Study one: no reader of animals has 30 test items in split random that somebody else voted on, too"
    assert told("readers").count(words) == 1
    assert "no reader" not in told({"kind": "readers", "minimum": 10})


def test_parts_without_a_second_vote_are_told(folder, check):
    assert "has two votes" not in check().out
    np.save(folder / "counts.npy", np.array([[1, 0], [0, 1]] * 30))
    told = check().out
    assert "Study one: no train item of animals in split random has two votes: the majority and the average" in told
    assert told.count("no test item of animals in split random has two votes") == 1  # not once a seed


def test_a_perplexity_that_the_test_part_is_too_small_for_is_told(folder, check):
    study = {"datasets": ["animals"], "recipes": ["quick"], "seeds": [0]}
    change(folder, studies={"one": study})
    told = "Study one: 12 test items of animals are too few for the perplexity 30 of t-SNE; 4 will be used"
    assert told in check().out
    change(folder, studies={"one": study | {"figures": ["curves"]}})  # nothing is embedded
    assert "t-SNE" not in check().out


def test_more_votes_than_there_are_and_votes_of_none_are_told(folder, check):
    counts = np.load(folder / "counts.npy")
    counts[7] = [1, 1]
    np.save(folder / "counts.npy", counts)
    few = {"aggregate": "average", "form": "soft", "votes": 3}
    change(folder, labels={"hard": {"aggregate": "majority", "form": "hard"}, "soft": few})
    told = "labels.soft: label: image '07.png' has 2 votes, expected 3 or more to draw votes from (1 such"
    assert told in check(status=2).err
    change(folder, datasets={"animals": {"source": {"kind": "synthetic", "items": 120}}})
    assert "studies.one: the label soft draws 3 votes, and animals has none" in check(status=2).err


def test_labels_of_networks_are_checked_without_training(folder, check):
    (folder / "mine").mkdir()
    shared = {"kind": "aggregate", "about": "", "options": {}, "shared": ["folds", "trained_on", "recipe"]}
    (folder / "mine" / "own_folded.py").write_text(f"ENTRY = {shared}\n\n\ndef folded(evidence, options):\n    pass\n")

    def told(status=2, **options):
        aggregate = {"kind": "own_folded:folded", "recipe": "quick"} | options
        labels = {"hard": {"aggregate": "majority", "form": "hard"}, "soft": {"aggregate": aggregate, "form": "soft"}}
        change(folder, labels=labels, modules=str(folder / "mine"))
        found = check(status=status)
        return found.err or found.out

    assert "Label soft: is made of networks' predictions, so that only its votes were looked at." in told(status=0)
    assert told(folds=40).count("found 40 folds for the 36 images") == 1  # not once a fold
    labels = {"hard": {"aggregate": "majority", "form": "hard"}, "soft": {"aggregate": "average", "form": "soft"},
              "unused": {"aggregate": {"kind": "distilled", "recipe": "quick"}, "form": "soft"}}  # fmt: skip
    change(folder, labels=labels)
    assert "unused" not in check().out
    assert """recipe: "quik" is not defined under recipes; did you mean 'quick'?""" in told(recipe="quik")
    assert "trained_on: 'soft' is made of networks' predictions itself" in told(trained_on="soft")


def test_what_labels_of_networks_refuse_of_the_votes_is_told_before_any_is_trained(folder, check):
    def told(aggregate="crowdlab", **votes):
        rows = {"item": np.repeat([f"{i:02d}.png" for i in range(60)], 2), "label": ["cat", "cat", "dog", "dog"] * 30,
                "annotator": ["a", "b"] * 60} | votes  # fmt: skip
        pd.DataFrame(rows).to_csv(folder / "votes.csv", index=False)
        source = {"kind": "table", "images": "images", "votes": "votes.csv", "repeats": "all"}
        soft = {"aggregate": {"kind": aggregate, "folds": 2, "trained_on": "hard", "recipe": "quick"}, "form": "soft"}
        labels = {"hard": {"aggregate": "majority", "form": "hard"}, "soft": soft}
        change(folder, labels=labels, datasets={"animals": {"source": source}})
        return check(status=2 if votes and aggregate == "crowdlab" else 0)

    assert "only its votes were looked at" in told().out
    assert "labels.soft: label: crowdlab needs to know who gave" in told(annotator=["a", None] * 60).err
    assert (
        "label: crowdlab knows one vote of an annotator on an item" in told(annotator=["a"] * 8 + ["a", "b"] * 56).err
    )
    alone = told(annotator=np.repeat([f"person {k}" for k in range(60)], 2)).err
    assert (
        "crowdlab compares annotators, and the votes of the training part have 36 annotators, no two of them" in alone
    )
    told("distilled", annotator=["a", None] * 60)


def test_a_label_that_needs_people_and_a_source_of_sums_are_refused_together(folder, check):
    aggregate = {"kind": "crowdlab", "folds": 2, "trained_on": "hard", "recipe": "quick"}
    labels = {"hard": {"aggregate": "majority", "form": "hard"}, "soft": {"aggregate": aggregate, "form": "soft"}}
    change(folder, labels=labels)
    words = "studies.one: the label soft needs to know who gave each vote (crowdlab), and animals does not say"
    assert words in check(status=2).err


def test_estimated_labels_take_one_silent_step_and_what_they_refuse_is_told(folder, check):
    aggregate = {"kind": "ensemble_mean", "of": ["average", {"kind": "mace", "iterations": 10**9}]}
    change(folder, labels={"hard": {"aggregate": "majority", "form": "hard"}, "soft": {"aggregate": aggregate,
           "form": "soft"}})  # fmt: skip
    words = "the label soft needs to know who gave each vote (mace), and animals does not say"
    assert words in check(status=2).err
    source = {"kind": "synthetic", "items": 120, "pixels": 12, "classes": "colour", "votes": 5, "annotators": 9}
    change(folder, datasets={"animals": {"source": source}})
    out = check().out
    assert "mace" not in out and "no problem was found" in out


def test_a_delivery_of_single_votes_is_asked_for_the_first_epoch(folder, check):
    def told(status, **soft):
        labels = {"hard": {"aggregate": "majority", "form": "hard"}, "soft": {"form": "soft", **soft}}
        change(folder, labels=labels)
        found = check(status=status)
        return found.err or found.out

    shown = {"delivery": "multipass"}
    words = "with labels.soft: The delivery multipass shows single votes, but the label of '00.png'"
    assert words in told(2, aggregate="smoothed", **shown)
    a_file_a_seed = {"items": 20}
    assert told(2, aggregate="smoothed", **shown, **a_file_a_seed).count("The delivery multipass shows") == 1
    assert "smoothed" not in told(0, aggregate="smoothed")
    out = told(0, aggregate="average", **shown)
    assert (
        "Study one: the delivery 'multipass' of the label soft shows one vote an epoch, and the recipe quick ends "
        "after epoch 1: of images with more votes (up to 3), the others are never shown. Set epochs: 3, or" in out
    )
    change(folder, recipes={"quick": {"network": "compact", "epochs": 3}})
    assert "multipass" not in told(0, aggregate="average", **shown)
    predicted = {"kind": "distilled", "folds": 3, "trained_on": "hard", "recipe": "quick"}
    assert "labels.soft.delivery: 'multipass' shows single votes" in told(2, aggregate=predicted, **shown)


def test_classes_and_items_that_a_label_treats_otherwise_are_told(folder, check):
    counts = np.array([[3, 0], [2, 1]] * 30)
    counts[:14] = [1, 2]
    np.save(folder / "counts.npy", counts)
    change(folder, labels={"hard": {"aggregate": "majority", "form": "hard"},
                           "soft": {"aggregate": "unanimous", "form": "soft"}})  # fmt: skip
    nothing = "labels.soft: no training item that counts for it is of the class 1."
    assert nothing in check().out
    counts[:14] = [3, 0]
    counts[7] = [1, 2]  # a class of one item
    np.save(folder / "counts.npy", counts)
    change(folder, labels={"hard": {"aggregate": "majority", "form": "hard"},
                           "soft": {"aggregate": "shuffled", "form": "soft"}},
           splits={"random": {"allow_missing_class": True}})  # fmt: skip
    assert "labels.soft: up to 1 items are alone in their part and class, and keep their own label." in check().out


GIVES_NO_LABELS = """
from softlabels.labels.evidence import average, label_table

ENTRY = {"kind": "aggregate", "about": "", "options": {"how": {"type": "string"}}}


def label(evidence, options):
    if options["how"] == "nothing":
        return None
    if options["how"] == "exit":
        raise SystemExit(3)
    p = average(evidence)
    other = {"narrow": p[:, :1], "double": 2 * p, "unknown": p * float("nan")}
    return label_table(evidence, other[options["how"]], options)
"""


def test_an_aggregate_of_ones_own_that_gives_no_labels_is_named(folder, check):
    (folder / "mine").mkdir()
    (folder / "mine/own_wrong.py").write_text(GIVES_NO_LABELS)
    told = {
        "nothing": "the aggregate own_wrong:label returned NoneType, expected what label_table() returns",
        "exit": "own_wrong.py, line 11: SystemExit: 3. Correct your own code.",
        "narrow": "the aggregate own_wrong:label gave labels [60, 1], expected [60, 2]",
        "double": "gave item 0 the label [2.0, 0.0], expected a distribution that sums to 1 (60 such items)",
        "unknown": "gave item 0 the label [nan, nan]",
    }
    labels = {how: {"aggregate": {"kind": "own_wrong:label", "how": how}, "form": "soft"} for how in told}
    study = {"datasets": ["animals"], "recipes": ["quick"], "labels": [*labels], "figures": []}
    change(folder, labels=labels, studies={"one": study}, modules=str(folder / "mine"))
    complaints = check(status=2).err.splitlines()[1:]
    assert len(complaints) == len(told)
    for line, (how, text) in zip(complaints, told.items(), strict=True):
        assert line.startswith(f"  - datasets.animals with labels.{how}: ")
        assert text in line


def test_what_this_machine_lacks_for_a_recipe_is_said_once_and_no_error_where_slurm_may_train_elsewhere(
    monkeypatch, tmp_path, folder, check
):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("CXX", "no-such-compiler")
    unused = {"network": "compact", "compile": True}
    change(folder, recipes={"quick": {"network": "compact", "epochs": 1, "compile": True}, "unused": unused})
    told = (
        "recipes.quick.compile: found no C++ compiler (no-such-compiler; the environment's CXX names another), which "
    )
    (line,) = [line for line in check(status=2).err.splitlines() if "compile" in line]
    assert told in line
    (tmp_path / "bin/sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "bin/sbatch").chmod(0o755)
    out, complaints = check()
    assert complaints == ""
    (line,) = [line for line in out.splitlines() if "compile" in line]
    assert line.startswith(f"On this machine, not necessarily where SLURM starts trainings: {told}")


def one_with(folder, metrics, **split):
    """The study with further metrics, on a split with these options."""
    study = yaml.safe_load((folder / "config.yaml").read_text())["studies"]["one"]
    study |= {"metrics": ["macro_acc", *metrics], "splits": ["kept"]}
    change(folder, studies={"one": study}, splits={"kept": split})


def test_a_metric_of_classes_that_there_are_not_is_found_before_training(folder, check):
    one_with(folder, [{"kind": "auroc", "positive": "2"}, {"kind": "wasserstein", "order": ["1"]}])
    first, second = check(status=2).err.splitlines()[1:]
    assert first.startswith("  - datasets.animals with studies.one.metrics, auroc__positive_2: ")
    assert "positive: found '2', expected one of 0, 1. Name a class." in first
    assert "order: found '0' 0 times, expected each of 0, 1 once" in second


def test_label_sets_need_a_split_that_keeps_items_and_enough_of_them(folder, check):
    one_with(folder, ["label_set_size", "label_set_coverage"])
    problem = check(status=2).err
    assert "splits.kept.calibration: found 0, expected a share of the validation items above 0, such as 0.5" in problem
    assert "label_set_size, label_set_coverage of studies.one" in problem
    one_with(folder, ["label_set_size"], calibration=0.5)
    assert (
        "Study one: split kept keeps 6 items of animals for calibration, expected 9 or more for label_set_size: with "
        "fewer, every set has all classes. Raise splits.kept.calibration, or its validation part.\n"
    ) in check().out
    one_with(folder, ["label_set_size"], calibration=0.8)
    assert "for calibration" not in check().out
