"""`softlabels check FILE`: every form of votes is known, and the configuration that is printed is accepted."""

import json
import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import test_examples as examples
import yaml
from data_files import CIFAR10H
from forms import exports as forms
from PIL import Image

from softlabels import cli, suggest

N = 60
NAMES = [f"{i:03d}.png" for i in range(N)]
# Two people on each image; they disagree on every third one.
VOTES = [(name, who, ("cat", "dog")[(i + (who == "bob" and i % 3 == 0)) % 2]) for i, name in enumerate(NAMES)
         for who in ("ann", "bob")]  # fmt: skip


@pytest.fixture
def tmp_path(tmp_path):
    """A folder with nothing beside it: images there would be found."""
    (tmp_path / "alone").mkdir()
    return tmp_path / "alone"


@pytest.fixture
def check(monkeypatch, capsys):
    """Runs `softlabels check`: what it prints, and complains of."""

    def run(path, *words, status=0):
        monkeypatch.setattr(sys, "argv", ["softlabels", "check", str(path), *words])
        if status:
            with pytest.raises(SystemExit) as end:
                cli.main()
            assert end.value.code == status
        else:
            cli.main()
        return capsys.readouterr()

    return run


def images(folder, names=NAMES):
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (index, 3, 90)).save(folder / name)


def of_image(name):
    return [(who, label) for image, who, label in VOTES if image == name]


def studio():
    return [
        forms.task(i, f"/data/upload/3/{i:08x}-{name}", *(forms.annotation(who, forms.choice([label]))
                                                            for who, label in of_image(name)))
        for i, name in enumerate(NAMES)
    ]  # fmt: skip


def flat():
    return [
        {"id": i, "image": f"/data/upload/3/00000000-{name}", "kind": label, "annotator": who, "annotation_id": i,
         "created_at": "2024-05-02T09:10:11Z", "updated_at": "", "lead_time": 6.2}
        for i, (name, who, label) in enumerate(VOTES)
    ]  # fmt: skip


def turk():
    return [
        {"HITId": name, "WorkerId": who, "AssignmentStatus": "Approved", "Input.image_url": name,
         "Answer.taskAnswers": json.dumps([{"kind": {"label": label}}])}
        for name, who, label in VOTES
    ]  # fmt: skip


def pool():
    return [{"INPUT:image": name, "OUTPUT:result": label, "GOLDEN:result": "", "ASSIGNMENT:worker_id": who,
             "ASSIGNMENT:status": "APPROVED"} for name, who, label in VOTES]  # fmt: skip


def old_labels():
    return [{"Labeled Data": name, "External ID": name, "Created By": who, "Skipped": False,
             "Label": {"classifications": [{"title": "kind", "answer": {"title": label}}]}}
            for name, who, label in VOTES]  # fmt: skip


ROWS = [forms.row(name, *(forms.label(who, forms.radio(label)) for who, label in of_image(name))) for name in NAMES]
EXPORTS = {
    "label_studio, json": ("v.json", studio(), "Label Studio's JSON export"),
    "label_studio, json-min": ("v.json", flat(), "Label Studio's JSON-MIN export"),
    "label_studio, csv": ("v.csv", forms.table(flat()), "Label Studio's CSV export"),
    "labelbox, ndjson": ("v.ndjson", forms.lines(ROWS), "Labelbox's export"),
    "labelbox, json": ("v.json", ROWS, "Labelbox's export"),
    "labelbox, first version": ("v.json", old_labels(), "Labelbox's export of its first version"),
    "prodigy": ("v.jsonl", forms.lines([forms.answered(name, who, [label]) for name, who, label in VOTES]),
                "a data set of Prodigy"),
    "zooniverse": ("v.csv", forms.table([forms.classified(name, who, label) for name, who, label in VOTES]),
                   "the classifications of a Zooniverse project"),
    "mturk": ("v.csv", forms.table(turk()), "the results of a batch of Mechanical Turk"),
    "toloka": ("v.tsv", forms.table(pool(), "\t"), "the assignments of a Toloka pool"),
}  # fmt: skip


def accepted(check, tmp_path, path, what, kind, votes=2 * N):
    """Check a file, and the configuration that is printed for it; that configuration."""
    out, complaints = check(path)
    assert out.startswith(f"# {path.name} seems to be {what}.\n"), out
    assert complaints == ""
    config = tmp_path / "printed" / "my.yaml"
    config.parent.mkdir()
    config.write_text(out)
    said, _ = check(config)
    told = "distributions without votes" if votes is None else f"{votes} votes"
    assert said.splitlines()[0].startswith("my_data: ")
    assert told in said.splitlines()[0], said
    assert said.endswith("no problem was found.\n")
    raw = yaml.safe_load(out)
    assert raw["datasets"]["my_data"]["source"]["kind"] == kind
    return raw


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_known_and_its_configuration_accepted(name, check, tmp_path):
    file, content, what = EXPORTS[name]
    images(tmp_path / "images")
    (tmp_path / file).write_text(content if isinstance(content, str) else json.dumps(content), newline="")
    raw = accepted(check, tmp_path, tmp_path / file, what, name.split(",")[0])
    assert raw["data_folder"] == str(tmp_path)
    assert raw["datasets"]["my_data"]["source"]["images"] == "images"


PUBLISHED = {
    "my_data": ("votes.csv", "a table with one vote a row", "table", 2 * N),
    "bones": ("votes.csv", "a table with one vote a row", "table", 4 * (N - 1)),
    "fer_plus": ("fer2013new.csv", "a table with one image a row and a column of votes for each class", "table", 5 * N),
    "cifar10h_raw": ("cifar10h-raw.csv", "a table with one vote a row", "table", 5 * N),
    "slides": ("counts.csv", "a table with one image a row and a column of votes for each class", "table", 5 * N),
    "cells": ("counts.npy", "a matrix of how many votes each class got", "counts", 5 * N),
    "soft": ("soft.npy", "ready label distributions", "distributions", None),
    "soft_table": ("soft.csv", "ready label distributions", "distributions", None),
    "imagefolder": ("train/metadata.jsonl", "ready label distributions", "distributions", None),
    "benthic": ("raw_datasets/Benthic/annotations.json", "a data set of the DCIC benchmark", "dcic", 2 * N),
    "cifar10n": ("CIFAR-10_human.pt", "CIFAR-10N's labels", "cifar10n", 3 * N),
    "birds": ("birds/answers.json", "a data set of peerannot", "peerannot", 2 * N),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_form_is_known_and_its_configuration_accepted(name, check, tmp_path):
    examples.FILES[name](tmp_path)
    file, what, kind, votes = PUBLISHED[name]
    accepted(check, tmp_path, tmp_path / file, what, kind, votes)


def rows(header, records, separator=","):
    return "".join(separator.join(map(str, row)) + "\n" for row in ([header] if header else []) + records)


BY = {name: dict(of_image(name)) for name in NAMES}
RATED = [[name, i % 5 + 1, (i // 2) % 5 + 1] for i, name in enumerate(NAMES)]
TABLES = {
    "long": ("v.csv", rows(["item", "annotator", "label"], VOTES), "one vote a row", {}),
    "long, other names, tab": (
        "v.tsv", rows(["file name", "reader", "Diagnosis"], VOTES, "\t"), "one vote a row",
        {"separator": "\t", "columns": {"item": "file name", "annotator": "reader", "label": "Diagnosis"}}),
    "long, anonymous, semicolon": (
        "v.csv", rows(["img", "vote"], [[name, label] for name, _, label in VOTES], ";"), "one vote a row",
        {"separator": ";", "columns": {"item": "img", "annotator": None, "label": "vote"}}),
    "long, with rejected rows": (
        "v.csv", rows(["item", "worker", "label", "status"],
                      [[*vote, "ok"] for vote in VOTES] + [[NAMES[0], "cem", "dog", "Rejected"]]), "one vote a row",
        {"columns": {"annotator": "worker"}, "where": {"status": {"not": "Rejected"}}}),
    "long, without a header": (
        "v.csv", rows(None, [[name, label] for name, _, label in VOTES]), "one vote a row",
        {"header": ["item", "label"], "columns": {"annotator": None}}),
    "long, in another language": (
        "v.csv", rows(["bild", "wer", "klasse"], VOTES, ";"), "one vote a row",
        {"separator": ";", "columns": {"item": "bild", "annotator": "wer", "label": "klasse"}}),
    "long, by index": (
        "v.csv", rows(["image_index", "user", "class"], [[NAMES.index(n) + 0, who, label] for n, who, label in VOTES]),
        "one vote a row", None),
    "wide": (
        "v.csv",
        rows(["name", "cat", "dog"], [[n, *(list(BY[n].values()).count(c) for c in ("cat", "dog"))] for n in NAMES]),
        "one image a row and a column of votes for each class", {"layout": "wide", "columns": {"item": "name"}}),
    "raters": (
        "v.csv", rows(["image", "reader1", "reader2"], [[n, *BY[n].values()] for n in NAMES]), "a column a rater",
        {"layout": "raters", "columns": {"item": "image"}}),
    "raters by their first names": (
        "v.csv", rows(["image", "ann", "bob"], [[n, *BY[n].values()] for n in NAMES]), "a column a rater",
        {"layout": "raters", "columns": {"item": "image"}}),
    "raters, ratings": ("v.csv", rows(["image", "rater_a", "rater_b"], RATED), "a column a rater",
                        {"layout": "raters", "columns": {"item": "image"}}),
    "raters beside other columns": (
        "v.csv", rows(["image", "reader1", "age", "reader2"], [[n, BY[n]["ann"], 30 + i, BY[n]["bob"]]
                                                                for i, n in enumerate(NAMES)]), "a column a rater",
        {"layout": "raters", "columns": {"item": "image"}, "raters": ["reader1", "reader2"]}),
    "one-hot": (
        "v.csv",
        rows(["item", "worker", "cat", "dog"], [[n, w, int(c == "cat"), int(c == "dog")] for n, w, c in VOTES]),
        "one vote a row and a column of 0 and 1 for each class",
        {"layout": "onehot", "columns": {"item": "item", "annotator": "worker"}}),
    "lists": (
        "v.jsonl", forms.lines([{"file": n, "annotators": list(BY[n]), "labels": list(BY[n].values())} for n in NAMES]),
        "the votes of an image in lists",
        {"layout": "lists", "columns": {"item": "file", "annotator": "annotators", "label": "labels"}}),
    "lists of objects": (
        "v.jsonl",
        forms.lines([{"file": n, "votes": [{"by": w, "label": c} for w, c in BY[n].items()]} for n in NAMES]),
        "the votes of an image in lists", None),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_known_and_its_configuration_accepted(name, check, tmp_path):
    file, content, what, options = TABLES[name]
    images(tmp_path / "images")
    (tmp_path / file).write_text(content)
    what = what if what.startswith("the ") else f"with {what}"
    raw = accepted(
        check, tmp_path, tmp_path / file, f"a table {what if what.startswith('with') else f'with {what}'}", "table"
    )
    source = raw["datasets"]["my_data"]["source"]
    if options is not None:
        assert {key: value for key, value in source.items() if key not in ("kind", "images", "votes")} == options


@pytest.mark.parametrize("order", [False, True])
def test_a_matrix_of_raters_is_known(order, check, tmp_path):
    images(tmp_path / "images")
    answers = [[("cat", "dog").index(BY[n]["ann"]), -1 if i % 4 else 0, ("cat", "dog").index(BY[n]["bob"])]
               for i, n in enumerate(NAMES)]  # fmt: skip
    (tmp_path / "answers.txt").write_text(rows(None, answers, " "))
    if order:
        (tmp_path / "filenames.txt").write_text("\n".join(NAMES) + "\n")
    raw = accepted(
        check, tmp_path, tmp_path / "answers.txt", "a matrix of the answers of raters", "table", 2 * N + N // 4
    )
    source = raw["datasets"]["my_data"]["source"]
    assert (source["separator"], source["layout"]) == (" ", "raters")
    assert source.get("order_file") == ("filenames.txt" if order else None)
    np.save(tmp_path / "answers.npy", answers)
    raw = yaml.safe_load(check(tmp_path / "answers.npy").out)
    assert raw["datasets"]["my_data"]["source"]["layout"] == "raters"


def test_what_only_the_user_can_decide_is_decided_and_said(check, tmp_path):
    images(tmp_path / "images", [*NAMES, "spare.png"])
    tasks = studio()
    for task in tasks:
        for annotation in task["annotations"]:
            annotation["result"].append(forms.choice(["good"], "quality"))
    (tmp_path / "v.json").write_text(json.dumps(tasks))
    raw = accepted(check, tmp_path, tmp_path / "v.json", "Label Studio's JSON export", "label_studio")
    out = check(tmp_path / "v.json").out
    comments = " ".join(line.strip("# ") for line in out.splitlines() if line[:1] == "#")
    assert "Decide on question (here: kind), as found 2 questions: kind, quality" in comments
    assert "Decide on unvoted (here: leave_out)" in comments
    assert raw["datasets"]["my_data"]["source"]["question"] == "kind"


KINDS = {
    "Label Studio's JSON export": "label_studio", "Label Studio's CSV export": "label_studio",
    "a data set of Prodigy": "prodigy",
}  # fmt: skip
CASES = {
    "ls_json/votes.json": ("Label Studio's JSON export", 112, {}),
    "ls_csv/votes.csv": ("Label Studio's CSV export", 112, {}),
    "prodigy/votes.jsonl": ("a data set of Prodigy", 110, {}),
    "hf_lists/train.parquet": ("a table with the votes of an image in lists", 120, {"layout": "lists"}),
    "hf_lists/images/metadata.jsonl": ("a table with the votes of an image in lists", 120, {"layout": "lists"}),
    "longcell/votes.csv": ("a table with one vote a row", 120, {}),
    "missing_None/votes.csv": ("a table with one vote a row", 90, {"missing": "leave_out", "unvoted": "leave_out"}),
    "names_nfd/votes.csv": ("a table with one vote a row", 80, {}),
    "onehot_rows/votes.csv": ("a table with one vote a row and a column of 0 and 1 for each class", 120,
                              {"layout": "onehot"}),
    "rater_columns/votes.csv": ("a table with a column a rater", 90, {"layout": "raters"}),
    "rater_columns/votes2.csv": ("a table with a column a rater", 120, {"layout": "raters"}),
    "rater_ratings/votes.csv": ("a table with a column a rater", 120, {"layout": "raters"}),
    "single_run/votes.csv": ("a table with one vote a row", 60, {}),
    "tiff12/votes.csv": ("a table with one vote a row", 60, {"deep": {"percentiles": [0.1, 99.9]}}),
    "twice/votes.csv": ("a table with one vote a row", 120, {"repeats": "first"}),
    "usage_split/votes.csv": ("a table with one image a row and a column of votes for each class", 400,
                              {"layout": "wide"}),
    "where_not_typo/votes.csv": ("a table with one vote a row", 96,
                                 {"where": {"AssignmentStatus": {"not": "Rejected"}}}),
}  # fmt: skip


@pytest.mark.parametrize("file", CASES)
def test_a_case_is_known_and_its_configuration_accepted(file, check, tmp_path):
    if not (cases := CIFAR10H.parents[1] / "cases").is_dir():
        pytest.skip("needs the folder of cases")
    what, votes, options = CASES[file]
    path = Path(shutil.copytree(cases / Path(file).parts[0], tmp_path / "case"), *Path(file).parts[1:])
    source = accepted(check, tmp_path, path, what, KINDS.get(what, "table"), votes)["datasets"]["my_data"]["source"]
    assert {key: source[key] for key in options} == options


def test_several_choices_are_a_finding(check, tmp_path):
    images(tmp_path / "images")
    tasks = studio()
    for task in tasks[::4]:
        task["annotations"][0]["result"] = [forms.choice(["cat", "dog"])]
    (tmp_path / "v.json").write_text(json.dumps(tasks))
    raw = accepted(check, tmp_path, tmp_path / "v.json", "Label Studio's JSON export", "label_studio")
    assert raw["datasets"]["my_data"]["source"]["finding"] in ("cat", "dog")


def test_without_images_near_a_placeholder_is_printed(check, tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "v.json").write_text(json.dumps(studio()))
    out = check(folder / "v.json").out
    assert yaml.safe_load(out)["datasets"]["my_data"]["source"]["images"] == suggest.PLACEHOLDER
    assert "No folder of images was found" in out


@pytest.mark.parametrize("place, expected", [
    ("images", "images"), ("a/b", "a/b"), (".", "."), ("../pictures", None),
])  # fmt: skip
def test_the_images_are_found_near_the_file(place, expected, check, tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    images(folder / place)
    images(tmp_path / "export" / "other", ["x.png", "y.png"])
    (folder / "v.json").write_text(json.dumps(studio()))
    source = yaml.safe_load(check(folder / "v.json").out)["datasets"]["my_data"]["source"]
    assert source["images"] == (expected or str(tmp_path / "pictures"))


def test_large_images_and_images_of_several_sizes_are_resized(check, tmp_path):
    images(tmp_path / "images")
    Image.new("RGB", (20, 30)).save(tmp_path / "images" / NAMES[0])
    (tmp_path / "v.json").write_text(json.dumps(studio()))
    assert yaml.safe_load(check(tmp_path / "v.json").out)["datasets"]["my_data"]["source"]["pixels"] == suggest.RESIZED


def test_an_image_of_too_many_pixels_is_a_finding(check, tmp_path):
    images(tmp_path / "images")
    png = (tmp_path / "images" / NAMES[5]).read_bytes()
    head = b"IHDR" + (30_000).to_bytes(4, "big") * 2 + png[24:29]
    (tmp_path / "images" / NAMES[5]).write_bytes(png[:12] + head + zlib.crc32(head).to_bytes(4, "big") + png[33:])
    (tmp_path / "votes.csv").write_text("item,annotator,label\n" + "".join(f"{','.join(v)}\n" for v in VOTES))
    told = check(tmp_path / "votes.csv", status=2).err
    assert f"{NAMES[5]}: has more than" in told and "Make it smaller first" in told


def test_a_folder_stands_for_the_only_file_of_votes_in_it(check, tmp_path):
    images(tmp_path / "images")
    (tmp_path / "v.json").write_text(json.dumps(studio()))
    (tmp_path / "readme.txt").write_text("votes of two people\n")
    assert check(tmp_path).out.startswith("# v.json seems to be Label Studio's JSON export.")
    (tmp_path / "w.json").write_text(json.dumps(studio()))
    assert "found 2 files that may hold votes, v.json, w.json" in check(tmp_path, status=2).err


def test_a_file_that_is_not_known_is_described_with_what_each_form_needs(check, tmp_path):
    (tmp_path / "v.csv").write_text("alpha,beta\n0.25,x\n0.5,y\n")
    told = check(tmp_path / "v.csv", status=2).err
    assert "found the columns alpha, beta; the first row is {'alpha': '0.25', 'beta': 'x'}" in told
    assert "- toloka: the assignments of a Toloka pool (columns INPUT:…, OUTPUT:… and ASSIGNMENT:…)" in told


def unwrapped(comments):
    """The sentences of comments without their line breaks."""
    return " ".join(line.lstrip("# ") for line in comments.splitlines() if line.startswith("#"))


def test_what_is_wrong_with_a_known_file_is_said_after_its_configuration(check, tmp_path):
    images(tmp_path / "images")
    tasks = studio()
    tasks[0]["data"]["image"] = "/data/upload/3/00000000-nowhere.png"
    (tmp_path / "v.json").write_text(json.dumps(tasks))
    out, told = check(tmp_path / "v.json", status=2)
    assert yaml.safe_load(out)["datasets"]["my_data"]["source"]["kind"] == "label_studio"
    assert "this configuration does not read it yet" in told
    # what is wrong is not above, but in the message
    assert "Save this as my.yaml, correct what is said in the message at the end, and look at it with" in unwrapped(out)
    assert "nowhere.png" in told


def test_keys_of_a_file_of_votes_cannot_be_replaced(check, tmp_path):
    np.save(tmp_path / "v.npy", np.ones((3, 2), int))
    assert "is no configuration" in check(tmp_path / "v.npy", "--config", "results=x", status=2).err


@pytest.mark.parametrize("name, content, data", [
    ("c.yaml", "item: 1", False), ("c.json", '{"datasets": {}}', False), ("c.json", "[]", True), ("c.json", "{", True),
    ("c.csv", "a", True), ("c.conf", "datasets: {}\nrecipes: {}", False), ("c", "datasets: {}", False),
    ("c.conf", "a b", True), ("c.conf", "a: [", True), ("c.csv.gz", "datasets: {}", True),
])  # fmt: skip
def test_what_is_a_configuration_is_told_by_suffix_and_content(name, content, data, tmp_path):
    (tmp_path / name).write_text(content)
    assert suggest.is_data(tmp_path / name) is data
    assert not suggest.is_data(tmp_path / "nowhere.csv")


def beside(head, work):
    """The text of a table with a row for each person on each image: ``work(index, person)`` gives the other cells."""
    return rows(head, [[name, who, *work(i, w)] for i, name in enumerate(NAMES) for w, who in enumerate("ab")])


def an_image(head, work):
    return rows(head, [[name, *work(i)] for i, name in enumerate(NAMES)])


def cat_or_dog(*numbers):
    return [("cat", "dog")[number % 2] for number in numbers]


def is_cat(i, w):
    return (i + (w and i % 3 == 0)) % 2 == 0


DOUBTFUL = {
    "flags as words": (
        beside(["image_id", "rad_id", "cat", "dog"], lambda i, w: [is_cat(i, w), not is_cat(i, w)]),
        {"layout": "onehot", "columns": {"item": "image_id", "annotator": "rad_id"}}, ""),
    "a flag that is no class": (
        beside(["image", "reader", "cat", "dog", "difficult"],
               lambda i, w: [int(is_cat(i, w)), int(not is_cat(i, w)), int(i % 5 == 0)]),
        {"layout": "onehot", "columns": {"item": "image", "annotator": "reader"}, "classes": ["cat", "dog"]},
        "difficult for none"),
    "a total by name": (
        an_image(["image", "cat", "dog", "total"], lambda i: [i % 4, 3, 3 + i % 4]),
        {"layout": "wide", "columns": {"item": "image"}, "classes": ["cat", "dog"]}, "'total' is taken for no class"),
    "a total by its numbers": (
        an_image(["image", "cat", "dog", "all"], lambda i: [i % 4, 3, 3 + i % 4]),
        {"layout": "wide", "columns": {"item": "image"}, "classes": ["cat", "dog"]}, "the sum of the others"),
    "raters and a consensus": (
        an_image(["image", "Dr. Müller", "Dr. Lee", "Okafor", "consensus"],
                 lambda i: cat_or_dog(i, i // 2, i // 3, i)),
        {"layout": "raters", "columns": {"item": "image"}, "raters": ["Dr. Müller", "Dr. Lee", "Okafor"]},
        "'consensus' is taken for no rater's"),
    "two raters and a consensus": (
        an_image(["image", "Smith", "Jones", "consensus"], lambda i: cat_or_dog(i, i // 2, i)),
        {"layout": "raters", "columns": {"item": "image"}, "raters": ["Smith", "Jones"]}, "'consensus'"),
    "raters called like labels": (
        an_image(["image", "label_1", "label_2", "final_label"], lambda i: cat_or_dog(i, i // 2, i)),
        {"layout": "raters", "columns": {"item": "image"}, "raters": ["label_1", "label_2"]}, "'final_label'"),
    "people who say 0 or 1": (
        an_image(["image", "Anna", "Ben", "Chris"], lambda i: [i % 2, i // 2 % 2, i // 4 % 2]),
        {"layout": "raters", "columns": {"item": "image"}}, "layout: wide"),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_column_that_is_no_class_and_no_rater_is_left_out_and_said(name, check, tmp_path):
    content, expected, said = DOUBTFUL[name]
    images(tmp_path / "images")
    (tmp_path / "v.csv").write_text(content)
    out, _ = check(tmp_path / "v.csv")
    source = yaml.safe_load(out)["datasets"]["my_data"]["source"]
    assert {key: source[key] for key in source if key not in ("kind", "images", "votes")} == expected
    assert said in " ".join(line.lstrip("# ") for line in out.splitlines())


def test_flags_of_which_several_hold_are_no_label(check, tmp_path):
    images(tmp_path / "images")
    flags = beside(["image", "reader", "cat", "dog"], lambda i, w: [int(is_cat(i, w)), int(i % 3 == 0)])
    (tmp_path / "v.csv").write_text(flags)
    assert "is no form of votes that is known" in check(tmp_path / "v.csv", status=2)[1]


def test_images_below_the_file_are_preferred_to_those_of_another_data_set(check, tmp_path):
    """Numbers name both 7.png elsewhere and 00007.png here."""
    images(tmp_path / "other" / "images", [f"{i}.png" for i in range(N)])
    images(tmp_path / "mine" / "images", [f"{i:05d}.png" for i in range(N)])
    votes = rows(["image", "rater", "label"], [[int(name[:3]), *rest] for name, *rest in VOTES])
    (tmp_path / "mine" / "v.csv").write_text(votes)
    out, _ = check(tmp_path / "mine" / "v.csv")
    assert yaml.safe_load(out)["datasets"]["my_data"]["source"]["images"] == "images"
    shutil.rmtree(tmp_path / "mine" / "images")
    out, _ = check(tmp_path / "mine" / "v.csv")
    assert "See that they belong to it." in " ".join(line.lstrip("# ") for line in out.splitlines())
