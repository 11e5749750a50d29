"""Bad data in every kind of source, from the command line.

Each mistake ends the import with status 2 and one message that names the place and the remedy, and leaves no file; once
it is repaired, the same import succeeds.
"""

import hashlib
import json
import os
import pickle
import shlex
import shutil
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from data_files import FILES
from PIL import Image

from softlabels import cli, io
from softlabels.datasets import archives
from softlabels.plan import Plan

# What lies at a path: text, bytes, a function that makes it there, or nothing.
File = str | bytes | Callable[[Path], Any] | None

# -- bytes of files --------------------------------------------------------------------------------------------------


def image(mode="RGB", size=(8, 8), colour=0, kind="PNG", **options):
    file = BytesIO()
    Image.new(mode, size, colour).save(file, kind, **options)
    return file.getvalue()


def declared(width, height):
    """A small PNG file that states another size."""
    content = image()
    header = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def npy(array):
    file = BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def npy_of(shape):
    """A NumPy file of 48 bytes of integers that states another shape."""
    file = BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<i8", "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(48)


def parquet(*more, **columns):
    """A Parquet file of columns by name, and of ``more`` pairs of a name and a column."""
    names, values = zip(*columns.items(), *more, strict=True)
    file = BytesIO()
    pq.write_table(pa.table([*map(pa.array, values)], [*names]), file)
    return file.getvalue()


def zipped(members, mode=stat.S_IFREG, flags=0):
    """A zip file; its members' names are written as they are, and the last has a file mode and flags."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            last = name == list(members)[-1]
            info.external_attr = (mode if last else stat.S_IFREG) << 16
            archive.writestr(info, content)
            info.flag_bits |= flags if last else 0  # written with the directory, when the archive is closed
    return file.getvalue()


def changed(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def pt(entries):
    file = BytesIO()
    torch.save(entries, file)
    return file.getvalue()


class Hostile:
    """Unpickled, it leaves a file: what a .pt file or an object array of a stranger could do."""

    def __reduce__(self):
        return os.mkdir, ("hacked",)


# -- good sources ----------------------------------------------------------------------------------------------------


class Source(NamedTuple):
    """A source without mistakes: its options, its files, and the one among them that most mistakes are in."""

    options: dict[str, Any]
    files: Mapping[str, File]
    main: str = ""


PICTURES = {f"images/{name}.png": image(colour=place) for place, name in enumerate("abc")}
VOTES = """\
item,annotator,label,mouse,weight,seconds,check,passed,use
a.png,Ann,cat,m1,1,4.2,no,,yes
a.png,Bob,dog,m1,0.5,,no,,yes
b.png,Ann,dog,m1,1,3,no,,yes
b.png,,dog,m1,1,6,no,,yes
c.png,Ann,dog,m2,1,2,yes,yes,yes
c.png,Bob,cat,m2,1,9,no,,yes
"""
COUNTS = "name,cat,dog\na.png,2,1\nb.png,0,3\nc.png,1,1\n"
SHARES = "name,cat,dog\na.png,0.5,0.5\nb.png,0.25,0.75\nc.png,0,1\n"
LINES = """\
{"file_name": "a.png", "p": [0.5, 0.5]}
{"file_name": "b.png", "p": [0.25, 0.75]}
{"file_name": "c.png", "p": [0, 1]}
"""
NUMBERS = "item,annotator,label\n0,Ann,0\n1,Ann,1\n2,Ann,1\n"
TRIPLE = {"item": ["a", "b", "c"], "annotator": ["A", "A", "B"]}

SETS = json.dumps(
    [
        {
            "name": f"INVALID{number}",
            "dataset_name": "Mice",
            "user_mail": "INVALID",
            "annotations": [
                {"image_path": f"Mice/fold{fold}/{fold}.png", "class_label": label, "created_at": "08-07-2022-13-05-59"}
                for fold, label in enumerate(labels, start=1)
            ],
        }
        for number, labels in ((7, ("g", "ug")), (8, ("ug", "ug")))
    ],
    indent=1,
)
MICE = {"Mice/fold1/1.png": image(colour=1), "Mice/fold2/2.png": image(colour=2), "Mice/annotations.json": SETS}
CIFAR = {f"images/{index:05d}.png": image(colour=index) for index in range(4)}
LABELS = {name: np.array([0, 1, 1, 2]) for name in ("clean_label", "random_label1", "random_label2", "random_label3")}
SIDE = "Image-batch,Worker1-id,Worker2-id,Worker3-id\n0--1,7,8,9\n2--3,7,9,4\n"
TOY = {
    "toy/train/cat/x-0.png": image(colour=1),
    "toy/train/dog/x-1.png": image(colour=2),
    "toy/answers.json": '{"0": {"7": 0, "8": 1}, "1": {"7": 1}}',
    "toy/metadata.json": '{"n_classes": 2}',
}

SOURCES = {
    "table": Source({"kind": "table", "images": "images", "votes": "votes.csv"}, PICTURES | {"votes.csv": VOTES},
        "votes.csv"),
    "parquet": Source({"kind": "table", "images": "images", "votes": "votes.parquet"},
        PICTURES | {"votes.parquet": parquet(**TRIPLE, label=["x", "y", "y"])}, "votes.parquet"),
    "numbers": Source(
        {"kind": "table", "images": "images", "votes": "votes.csv", "item_by": "index", "label_by": "index"},
        PICTURES | {"votes.csv": NUMBERS}, "votes.csv"),
    "counts": Source({"kind": "counts", "images": "images", "counts": "counts.csv", "order": "name"},
        PICTURES | {"counts.csv": COUNTS}, "counts.csv"),
    "matrix": Source({"kind": "counts", "images": "images", "counts": "counts.npy"},
        PICTURES | {"counts.npy": npy(np.array([[2, 1], [0, 3], [1, 1]]))}, "counts.npy"),
    "shares": Source({"kind": "distributions", "images": "images", "distributions": "p.csv", "order": "name"},
        PICTURES | {"p.csv": SHARES}, "p.csv"),
    "lines": Source({"kind": "distributions", "images": "images", "distributions": "images/metadata.jsonl"},
        PICTURES | {"images/metadata.jsonl": LINES}, "images/metadata.jsonl"),
    "lists": Source(
        {"kind": "distributions", "images": "images", "distributions": "p.parquet"}
        | {"order": "name", "name_column": "item", "distribution_column": "p"},
        PICTURES | {"p.parquet": parquet(**TRIPLE, p=[[0.5, 0.5], [0.25, 0.75], [0.0, 1.0]])},
        "p.parquet",
    ),
    "dcic": Source({"kind": "dcic", "images": "Mice"}, MICE, "Mice/annotations.json"),
    "archive": Source({"kind": "dcic", "archive": "Mice.zip"}, {"Mice.zip": zipped(MICE)}, "Mice.zip"),
    "cifar10n": Source({"kind": "cifar10n", "images": "images", "labels": "labels.pt", "annotators": "side.csv"},
        CIFAR | {"labels.pt": pt(LABELS), "side.csv": SIDE}, "labels.pt"),
    "peerannot": Source({"kind": "peerannot", "images": "toy"}, TOY, "toy/answers.json"),
    "synthetic": Source({"kind": "synthetic", "items": 6, "pixels": 8, "votes": 3, "annotators": 5}, {}),
}  # fmt: skip


# -- mistakes --------------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A mistake in a source, and what the message must say.

    Attributes:
        source: name of the good source.
        wrong: files that are wrong, or absent (None).
        place: where the mistake is, as the message says it.
        remedy: what to do, as the message says it.
        options: more options of the source, before and after the repair.
        mistaken: options that are the mistake themselves.
    """

    source: str
    wrong: Mapping[str, File]
    place: str
    remedy: str
    options: Mapping[str, Any] = {}
    mistaken: Mapping[str, Any] = {}


def bad(source, content, place, remedy, **options):
    """A mistake in the whole content of the source's main file."""
    file = SOURCES[source].main
    return Case(source, {file: content}, f"/{Path(file).name}: {place}", remedy, options)


def slip(source, old, new, place, remedy, **options):
    """A mistake in a text: ``new`` where ``old`` was."""
    text = SOURCES[source].files[SOURCES[source].main]
    assert old in text
    return bad(source, text.replace(old, new), place, remedy, **options)


def picture(content, place, remedy):
    """A mistake in an image."""
    return Case("table", {"images/b.png": content}, f"/images/b.png: {place}", remedy)


def option(source, place, remedy, **mistaken):
    """A mistake in the options alone."""
    return Case(source, {}, place, remedy, {}, mistaken)


def link(target):
    return lambda path: path.symlink_to(target)


NO_IMAGE, NO_IMAGE_TYPE = "line 4: found no image 'b.png' (2 rows)", "is no image of the types BMP, GIF, JPEG"
TOO_LARGE = "has more than 89478485 pixels"
FILM = image(kind="GIF", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])
WEIGHED = {"columns": {"weight": "weight"}}
CHECKED = {"attention": {"check": "check", "correct": "passed", "minimum": 0.5}}
NO_CHECK_PASSED = "source.attention leaves no vote: 6 of 6 rows are attention checks; 3 of 3 annotators passed fewer"
TWICE = parquet(("item", ["d"] * 3), **TRIPLE)
PUBLISHER = "Get the archive from its publisher"
CHECKSUM = f"sha256:{hashlib.sha256(zipped(MICE)).hexdigest()}"

CASES = {
    # images
    "an image that is not there": Case("table", {"images/b.png": None}, f"/votes.csv: {NO_IMAGE}", "add the image"),
    "no images": Case("table", dict.fromkeys(PICTURES) | {"images/a.txt": ""}, "/images: found no image",
        "Put the images"),
    "no folder": Case("table", {"images": None}, "/images: no such folder", "Correct the paths of the source"),
    "a file for a folder": Case("table", {"images": image()}, "/images: no such folder", "Correct the paths"),
    "a folder for an image": Case("table", {"images/b.png": Path.mkdir}, f"/votes.csv: {NO_IMAGE}", "add the image"),
    "a truncated image": picture(image(colour=1)[:-20], "cannot be used as an image (Truncated", "Replace"),
    "a truncated photograph": picture(image(size=(64, 64), kind="JPEG")[:-20], "cannot be used as an image", "Replace"),
    "an empty image file": picture(b"", NO_IMAGE_TYPE, "Convert or remove the file"),
    "text for an image": picture(VOTES, NO_IMAGE_TYPE, "Convert or remove the file"),
    "an image of another size": picture(image(size=(8, 9)), "found 8 × 9 pixels, expected 8 × 8", "Set source.pixels"),
    "16 bits": picture(image("I;16"), "cannot be used as an image (pixel type I;16",
        "for example deep: {low: 0, high: 4095}"),
    "decimal pixels": picture(image("F", kind="TIFF"), "cannot be used as an image (pixel type F", "convert"),
    "an animated image": picture(FILM, "cannot be used as an image (2 frames", "Replace"),
    "an image bomb": picture(declared(30_000, 30_000), TOO_LARGE, "Make it smaller"),
    "an image that is somewhat too large": picture(declared(10_000, 10_000), TOO_LARGE, "Make it smaller"),
    "a link to nothing": picture(link("gone.png"), "cannot be used as an image", "Replace"),
    "a link to itself": picture(link("b.png"), "cannot be used as an image", "Replace"),
    "a link out of the folder": Case("table", {"secret.png": image(), "images/b.png": link("../secret.png")},
        "/images/b.png: is not in the image folder", "Put the file itself there"),
    "a name that is no text": Case("matrix", {"images/b.png": None, os.fsdecode(b"images/b\xff.png"): image()},
        r"/images/b\xff.png: has a name that is not UTF-8 text", "Rename the file"),
    "two images of one file name": Case("table",
        {"images/b.png": None, "images/left/b.png": image(), "images/right/b.png": image()}, f"/votes.csv: {NO_IMAGE}",
        "Write a path below"),
    "names whose order is not certain": Case("matrix",
        dict.fromkeys(PICTURES) | {f"images/{number}.png": image() for number in (2, 3, 10)},
        "/images: '10.png' comes before '2.png' as text", "Pad the numbers with zeros"),
    # tables
    "no table": bad("table", None, "no such file", "Correct the paths of the source"),
    "a folder for a table": bad("table", Path.mkdir, "no such file", "Correct the paths of the source"),
    "an empty table": bad("table", b"", "is empty", "Save the table again"),
    "a header alone": bad("table", VOTES.split()[0], "found no rows below the header", "Save the table again"),
    "half a table": bad("table", VOTES[:-12], "line 7 has 5 cells, expected 9", "Correct that line"),
    "a zip file for a table": bad("table", zipped({"a": VOTES}), "line 1 is not UTF-8 text", "Save the file as CSV"),
    "Latin-1": bad("table", VOTES.replace("Bob", "Zoë").encode("latin-1"), "line 3 is not UTF-8 text", "in UTF-8"),
    "half a character of UTF-16": bad("table", VOTES.encode("utf-16")[:-1], "line 1 is not UTF-8 text",
        "Save the file as CSV in UTF-8"),
    "UTF-16 without a mark": bad("table", VOTES.encode("utf-16-le"), "line 1 is not UTF-8 text", "in UTF-8"),
    "a NUL": slip("table", "b.png,Ann", "b.png,A\0n", "line 4 is not UTF-8 text", "Save the file as CSV in UTF-8"),
    "another separator": slip("table", ",", ";", "found one column, 'item;annotator;label",
        "Set source.separator if a"),
    "mixed separators": slip("table", "b.png,Ann,", "b.png;Ann;", "line 4 has 7 cells, expected 9",
        "Correct that line"),
    "a cell too many": slip("table", "Bob,cat", "Bob,cat,cat", "line 7 has 10 cells, expected 9", "Correct that line"),
    "an open quote": slip("table", "Bob,cat", 'Bob,"cat', "line 7 is not CSV", "Correct that line"),
    "two columns of one name": slip("table", "mouse", "label", "the header names column 'label' twice",
        "Rename or remove"),
    "a column without a name": slip("table", "mouse", "", "column 4 has no name in the header", "Name or remove it"),
    "a misspelt column": slip("table", "label", "lable", "found no column 'label' (source.columns.label)",
        "mean 'lable'?"),
    "a spreadsheet": Case("table", {"votes.xlsx": VOTES},
        "/votes.xlsx: found a file of type '.xlsx', expected .csv or .parquet", "Save it as one",
        mistaken={"votes": "votes.xlsx"}),
    "half a Parquet file": bad("parquet", parquet(**TRIPLE)[:-20], "cannot be read as Parquet", "Save the table again"),
    "lists in Parquet": bad("parquet", parquet(**TRIPLE, label=[["x"], ["y"], []]), "column 'label' is list",
        "as text"),
    "two Parquet columns of one name": bad("parquet", TWICE, "the header names column 'item' twice",
        "Rename or remove"),
    # votes
    "an unknown image": slip("table", "a.png,Bob", "d.png,Bob", "line 3: found no image 'd.png'", "remove the row"),
    "a path out of the folder": slip("table", "a.png,B", "../a.png,B", "line 3: found no image '../a.png'",
        "a path below"),
    "an absolute path": slip("table", "a.png,B", "/x/a.png,B", "line 3: found no image '/x/a.png'",
        "Write a path below"),
    "an empty image cell": slip("table", "a.png,Bob", ",Bob", "line 3: the image is empty", "Write a path below"),
    "an empty label": slip("table", "Bob,dog", "Bob,", "line 3: the label is empty", "Write one of cat, dog"),
    "no label at all": bad("parquet", parquet(**TRIPLE, label=pa.nulls(3)), "row 1: the label is empty (3 rows)",
        "the name"),
    "an unknown class": slip("table", "Bob,dog", "Bob,cow", "line 3: found no label 'cow'", "add it to source.classes",
        classes=["cat", "dog"]),
    "classes that differ in case": slip("table", "Bob,dog", "Bob,Dog", "found the labels 'Dog' and 'dog'",
        "Write them alike"),
    "classes that differ in a space": slip("table", "Bob,dog", "Bob,dog ", "found the labels 'dog' and 'dog '",
        "them alike"),
    "a decimal label": slip("table", "Bob,dog", "Bob,1.0", "found the label '1.0'",
        "Write class numbers without decimals"),
    "a label that is NaN": slip("table", "Bob,dog", "Bob,NaN", "found the label 'NaN'", "expected the name or number"),
    "one class": Case("table", {"votes.csv": VOTES.replace("cat", "dog")}, "source.classes: found 1 class (dog)",
        "Add votes"),
    "two votes of one annotator": slip("table", "b.png,,", "b.png,Ann,", "line 4 and line 5 are both votes of",
        "Keep one"),
    "an image without votes": Case("table", {"images/d.png": image()}, "/images/d.png: found no vote",
        "set source.unvoted"),
    "an image number out of range": slip("numbers", "2,Ann", "3,Ann", "line 4: found no image '3'",
        "number from 0 to 2"),
    "a class number out of range": slip("numbers", "2,Ann,1", "2,Ann,2", "line 4: found no label '2'",
        "Write one from 0 to 1", classes=["x", "y"]),
    "a class number of eleven digits": slip("numbers", "2,Ann,1", "2,Ann,99999999999", "line 4: found no label '9",
        "Write one from 0 to 1"),
    "a negative class number": slip("numbers", "2,Ann,1", "2,Ann,-1", "line 4: found no label '-1'",
        "Write one from 0 to 1"),
    "an image in two groups": slip("table", "Bob,dog,m1", "Bob,dog,m2",
        "line 3 gives the image 'a.png' the group 'm2'", "Give each image one group", columns={"group": "mouse"}),
    "a weight of zero": slip("table", "m1,0.5", "m1,0", "line 3, column 'weight': found '0'", "Correct", **WEIGHED),
    "a negative weight": slip("table", "m1,0.5", "m1,-1", "line 3, column 'weight': found '-1'", "Correct", **WEIGHED),
    "a weight beyond all numbers": slip("table", "m1,0.5", "m1,1e99", "line 3, column 'weight': found '1e99'",
        "Correct", **WEIGHED),
    "a time that is a word": slip("table", "4.2", "soon", "line 2, column 'seconds': found 'soon'", "Correct",
        columns={"time": "seconds"}),
    "a filter that leaves nothing": slip("table", "yes\n", "no\n", "source.where leaves no row", "Correct source.where",
        where={"use": "yes"}),
    "nobody attentive": slip("table", "no,,yes", "yes,no,yes", NO_CHECK_PASSED, "lower its minimum", **CHECKED),
    "a check that is neither passed nor failed": slip("table", "yes,yes,yes", "yes,?,yes",
        "line 6: found no answer '?'", "Write one of 1", **CHECKED),
    "attention without annotators": option("table", "source.attention: found no annotators", "source.attention to null",
        **CHECKED, columns={"annotator": None}),
    # counts
    "a negative count": slip("counts", "2,1", "2,-1", "line 2, column 'dog': found '-1'", "Correct that cell"),
    "a count that is NaN": slip("counts", "2,1", "2,NaN", "line 2, column 'dog': found 'NaN'", "Correct that cell"),
    "half a vote": slip("counts", "2,1", "2,1.5", "line 2, column 'dog': found '1.5'", "Correct that cell"),
    "too many votes for people": slip("counts", "2,1", "2,1e15", "line 2, column 'dog': found '1e15'",
        "Correct that cell"),
    "an image with zero votes": Case("counts", {"counts.csv": COUNTS.replace("2,1", "0,0")}, "/a.png: found no vote",
        "Add votes"),
    "two rows of one image": slip("counts", "c.png,1,1", "c,1,1\na,2,1", "line 2 and line 5 are both for the image",
        "Keep one"),
    "an image without a row": slip("counts", "b.png,0,3\n", "", "1 of 3 images have no row, the first is 'b.png'",
        "Add the rows"),
    "a class that is not listed": slip("counts", "dog", "cow", "found the class columns cat, cow", "Correct one",
        classes=["cat", "dog"]),
    "a table of names alone": bad("counts", "name\na\nb\nc\n", "found no class among the columns name", "Add them"),
    "names that are ignored": option("counts", "/counts.csv: has a column 'name'", "Set source.order to 'name'",
        order="index"),
    "decimals in a matrix": bad("matrix", npy([[2.0, 1], [0, np.nan], [1, 1]]), "found float64 [3, 2]",
        "Save such an array"),
    "a negative number in a matrix": bad("matrix", npy([[2, 1], [0, -3], [1, 1]]), "row 1 (counted from 0), column '1'",
        "Correct"),
    "a matrix that runs code": bad("matrix", npy([[Hostile(), 1]] * 3), "cannot be read as a NumPy array (Object",
        "Save integer"),
    "a matrix that states terabytes": bad("matrix", npy_of((10**12, 2)), "cannot be read as a NumPy array",
        "Save integer counts"),
    "a matrix that states too many classes": bad("matrix", npy_of((0, 10**10)), "found int64 [0, 10000000000]",
        "Save such an"),
    "half a matrix": bad("matrix", npy_of((4, 2)), "cannot be read as a NumPy array (Failed to read all",
        "Save integer counts"),
    "0 items": bad("matrix", npy(np.zeros((0, 2), int)), "found 0 rows, expected 3", "Add or remove rows or images"),
    "a matrix of three dimensions": bad("matrix", npy(np.ones((3, 2, 1), int)), "found int64 [3, 2, 1]",
        "Save such an array"),
    # distributions
    "probabilities that sum to 0.9": slip("shares", "0.5,0.5", "0.5,0.4", "line 2: the numbers sum to 0.9",
        "Correct that row"),
    "a probability that is NaN": slip("shares", "0.5,0.5", "0.5,nan", "line 2, column 'dog': found 'nan'",
        "Correct that cell"),
    "an infinite probability": slip("shares", "0.5,0.5", "0.5,inf", "line 2, column 'dog': found 'inf'",
        "Correct that cell"),
    "a negative probability": slip("shares", "0.5,0.5", "0.5,-0.5", "line 2, column 'dog': found '-0.5'",
        "Correct that cell"),
    "a decimal comma": slip("shares", "0.5,0.5", '0.5,"0,5"', "line 2, column 'dog': found '0,5'", "Correct that cell"),
    "lists in CSV": option("shares", "/p.csv: a cell of it cannot hold", "Set source.distribution_column to null",
        distribution_column="cat"),
    "a line that is no JSON": slip("lines", "0.75]}", "0.75}", "line 2 is not JSON in UTF-8", "Correct that line"),
    "a line without a file name": slip("lines", '"file_name": "b.png", ', "", "line 2: found no 'file_name'", "Add it"),
    "a line on a file elsewhere": slip("lines", "b.png", "../b.png", "line 2: found the file_name '../b.png'",
        "Correct it"),
    "a line with a longer list": slip("lines", "0.75", "0.7, 0.05", "line 2: 'p' has 3 numbers, expected a list of 2",
        "Correct it"),
    "a shorter list": bad("lists", parquet(**TRIPLE, p=[[0.5, 0.5], [1.0], [0, 1]]), "row 2: 'p' has 1 numbers",
        "Correct it"),
    "a number for a list": bad("lists", parquet(**TRIPLE, p=[0.5, 0.5, 1]), "column 'p' is double",
        "Correct source.distribution"),
    # the DCIC benchmark
    "no annotations": bad("dcic", None, "no such file", "Correct the paths of the source"),
    "half of the annotations": bad("dcic", SETS[:-5], "cannot be read as JSON", "get the file again"),
    "annotations in Latin-1": bad("dcic", SETS.replace("INVALID7", "Zoë").encode("latin-1"),
        "cannot be read as JSON (line 3 is not UTF-8 text)", "Save it in UTF-8"),
    "annotations that are no list": bad("dcic", "{}", "found an object, expected a list of annotation sets",
        "file again"),
    "0 annotations": bad("dcic", "[]", "found a list, expected a list of annotation sets, one or more", "file again"),
    "a number for a label": slip("dcic", '"g"', "5", "set 1 ('INVALID7'), annotation 1: found 5 as class_label",
        "file again"),
    "an annotation of an unknown image": slip("dcic", "fold2/2", "fold2/3",
        "set 1 ('INVALID7'), annotation 2: found no image 'Mice/fold2/3.png'", "add the image"),
    "names of people": slip("dcic", "INVALID7", "Ann", "set 1: found a name or a user_mail",
        "Set source.pseudonymise to true", pseudonymise=False),
    "a part of a published data set": Case("dcic", {"Mice/annotations.json": SETS.replace('"Mice"', '"MiceBone"')},
        "/Mice: images with votes: found all: 2, expected all: 7240", "set source.published_sizes to false"),
    # archives
    "a wrong checksum": bad("archive", zipped(MICE | {"x": b""}), "found sha256", "download it again",
        checksum=CHECKSUM),
    "half a known archive": bad("archive", zipped(MICE)[:500], "found sha256", "half a download", checksum=CHECKSUM),
    "half an archive": bad("archive", zipped(MICE)[:500], "found damaged bytes or no archive",
        "Delete it and get it again"),
    "a web page for an archive": bad("archive", "<html>404", "found damaged bytes or no archive",
        "Delete it and get it again"),
    "an empty archive file": bad("archive", b"", "found damaged bytes or no archive", "Delete it and get it again"),
    "a changed byte": bad("archive", changed(zipped(MICE), 80), "found damaged bytes or no archive", "get it again"),
    "an archive of nothing": bad("archive", zipped({}), "found no annotations.json in it", "get the data again"),
    "an archive that escapes": bad("archive", zipped(MICE | {"../../x.png": b""}), "the member '../../x.png' has",
        PUBLISHER),
    "an archive with an absolute path": bad("archive", zipped(MICE | {"/x.png": b""}), "the member '/x.png' has",
        PUBLISHER),
    "an archive with a link": bad("archive", zipped(MICE | {"Mice/fold1/3.png": "/etc/passwd"}, stat.S_IFLNK),
        "the member 'Mice/fold1/3.png' is a link", PUBLISHER),
    "an encrypted archive": bad("archive", zipped(MICE, flags=1), "the member 'Mice/annotations.json' is encrypted",
        PUBLISHER),
    "a decompression bomb": bad("archive", zipped(MICE | {"Mice/fold1/3.png": bytes(5_000_000)}), "holds more than",
        "unpack it yourself"),
    "a broken image in an archive": Case("archive", {"Mice.zip": zipped(MICE | {"Mice/fold1/1.png": b"?"})},
        f"/Mice.zip/Mice/fold1/1.png: {NO_IMAGE_TYPE}", "Convert or remove the file"),
    "broken annotations in an archive": Case("archive", {"Mice.zip": zipped(MICE | {"Mice/annotations.json": "{"})},
        "/Mice.zip/Mice/annotations.json: cannot be read as JSON", "get the file again"),
    # CIFAR-10N
    "labels that run code": bad("cifar10n", pickle.dumps(Hostile()), "cannot be read as labels", "Download it again"),
    "half of the labels": bad("cifar10n", pt(LABELS)[:500], "cannot be read as labels", "Download it again"),
    "labels without entries": bad("cifar10n", pt([0, 1, 1, 2]), "holds a list", "Download CIFAR-10_human.pt"),
    "an entry that is not there": bad("cifar10n", pt({name: LABELS[name] for name in list(LABELS)[:3]}),
        "found no entry 'random_label3'", "Correct source.votes"),
    "an entry of decimals": bad("cifar10n", pt(LABELS | {"random_label2": [0.0, 1.0, 1.0, 2.0]}),
        "entry 'random_label2' holds no list", "Download the"),
    "a label of an eleventh class": bad("cifar10n", pt(LABELS | {"random_label2": [0, 1, 10, 2]}),
        "entry 'random_label2', image 2 (counted", "list all classes"),
    "more images than labels": Case("cifar10n", {"images/00004.png": image()}, "/labels.pt: found 4 rows, expected 5",
        "Add or remove rows or images"),
    "an image in no batch": Case("cifar10n", {"side.csv": SIDE.replace("2--3", "2--2")},
        "/side.csv: 1 of 4 images are in no batch", "Add the missing"),
    # peerannot
    "answers that are no JSON": bad("peerannot", "{'0': {}}", "cannot be read as JSON", "get the file again"),
    "answers in a list": bad("peerannot", "[]", "found a list, expected an object", "Install the data set again"),
    "an answer that is no class": slip("peerannot", "0,", "2,", "task '0', annotator '7': found 2", "Correct it"),
    "an answer in words": slip("peerannot", "0,", '"cat",', "task '0', annotator '7': found 'cat'", "Correct it"),
    "an annotator without a name": slip("peerannot", '"8"', '""', "task '0', annotator '': found 1", "Correct it"),
    "an annotator twice": slip("peerannot", '"8"', '"7"', "cannot be read as JSON (an object has the key '7' twice)",
        "Correct"),
    "an answer on an unknown image": slip("peerannot", '"1": {', '"1": {"7": 1}, "2": {', "task '2': found no image",
        "Add it"),
    "two images of one key": Case("peerannot", {"toy/train/dog/y-0.png": image()},
        "'train/cat/x-0.png' and 'train/dog/y-0.png' have one key", "Rename"),
    "another number of classes": Case("peerannot", {"toy/metadata.json": '{"n_classes": 3}'},
        "/metadata.json: found n_classes 3, expected 2", "correct the file"),
    # the generator
    "fewer annotators than votes": option("synthetic", "source.annotators: found 2", "Raise annotators", annotators=2),
    "shares that sum to 0.9": option("synthetic", "source.class_shares: found [0.1, 0.2,", "Correct them",
        class_shares=[0.1, 0.2, 0.2, 0.2, 0.1, 0.1]),
    "a mixture of nothing": option("synthetic", "source.mixed_shares: found [0", "Set the shares", interpolate="mixed",
        mixed_shares=[0, 0, 0]),
}  # fmt: skip


# -- tests -------------------------------------------------------------------------------------------------------------


def write(folder, files):
    """Make files, folders and links, or remove them."""
    for name, content in files.items():
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        if content is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content(path)
        elif content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


def import_data(monkeypatch, capsys, folder, source):
    """Run the command of the workflow's rule `data`; its status, its message and its outputs by name."""
    plan = Plan(
        {
            "data_folder": str(folder),
            "datasets": {"people": {"source": dict(source)}},
            "recipes": {"quick": {"network": "compact"}},
            "studies": {"one": {"datasets": ["people"], "recipes": ["quick"]}},
        }
    )
    outputs = {name.split(".")[0]: folder.parent / "out" / name for name in FILES}
    files = outputs | {"manifest": folder.parent / "out" / "manifest.json"}
    options = shlex.split(plan.data_options("people"))
    options += [word for name, path in files.items() for word in (f"--{name}", str(path))]
    monkeypatch.setattr(sys, "argv", ["softlabels", "data", "--config", plan.json("data", dataset="people"), *options])
    try:
        cli.main()
        status = 0
    except SystemExit as error:
        status = error.code
    return status, capsys.readouterr().err, outputs


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as outside of tests; see images.py
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_mistake_is_told_leaves_nothing_and_can_be_repaired(monkeypatch, capsys, tmp_path, case):
    monkeypatch.setattr(archives, "SMALL", 0)  # so that a small bomb is one
    monkeypatch.chdir(tmp_path)
    folder, source = tmp_path / "data", SOURCES[case.source]
    write(folder, {**source.files, **case.wrong})
    before = sorted(tmp_path.rglob("*"))

    status, message, outputs = import_data(
        monkeypatch, capsys, folder, {**source.options, **case.options, **case.mistaken}
    )
    assert status == 2
    assert message.startswith("softlabels: ")
    assert case.place in message
    assert case.remedy in message
    first, *others = message.splitlines()
    assert not others or (first.endswith(" problems:") and all(line.startswith("  - ") for line in others))
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before] in ([], [tmp_path / "out"])

    shutil.rmtree(folder, ignore_errors=True)  # the generator has none
    write(folder, source.files)
    status, message, outputs = import_data(monkeypatch, capsys, folder, {**source.options, **case.options})
    assert (status, message) == (0, "")
    assert sorted((tmp_path / "out").iterdir()) == sorted([*outputs.values(), tmp_path / "out" / "manifest.json"])


# What looks like a mistake and is none: the source, its main file, more options, and the distributions that come out.
P = [[0.5, 0.5], [0, 1], [0.5, 0.5]]
ACCEPTED = {
    "a BOM": ("table", b"\xef\xbb\xbf" + VOTES.encode(), {}, P),
    "line ends of Windows": ("table", VOTES.replace("\n", "\r\n"), {}, P),
    "no end of the last line": ("table", VOTES.strip(), {}, P),
    "empty lines": ("table", VOTES.replace("\n", "\n\n"), {}, P),
    "quotes": ("table", VOTES.replace("Bob", '"Bob, M.D."'), {}, P),
    "a semicolon that is named": ("table", VOTES.replace(",", ";"), {"separator": ";"}, P),
    "names in any alphabet": ("table", VOTES.replace("Bob", "Zoë 文"), {}, P),
    "no annotators": ("table", VOTES.replace("Bob", "").replace("Ann", ""), {}, P),
    "classes in upper and lower case that are listed": ("table", VOTES.replace("Bob,dog", "Bob,Dog"),
        {"classes": ["cat", "dog", "Dog"]}, [[0.5, 0, 0.5], [0, 1, 0], [0.5, 0.5, 0]]),
    "class numbers that a program saved as decimals": ("parquet", parquet(**TRIPLE, label=[0.0, 1.0, 1.0]), {},
        [[1, 0], [0, 1], [0, 1]]),
    "whole numbers in another notation": ("counts", COUNTS.replace("0,3", "0.0,3e0"), {}, [[2 / 3, 1 / 3], *P[1:]]),
    "a BOM before JSON": ("peerannot", "\ufeff" + TOY["toy/answers.json"], {}, [[0.5, 0.5], [0, 1]]),
    "a BOM before lines of JSON": ("lines", "\ufeff" + LINES, {}, [[0.5, 0.5], [0.25, 0.75], [0, 1]]),
    "what macOS adds to archives": ("archive",
        zipped(MICE | {"__MACOSX/Mice/fold1/._1.png": b"?", "Mice/.DS_Store": b"?"}), {}, [[0.5, 0.5], [0, 1]]),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED.values(), ids=ACCEPTED)
def test_what_only_looks_like_a_mistake_is_accepted(monkeypatch, capsys, tmp_path, case):
    name, content, options, p = case
    source = SOURCES[name]
    write(tmp_path / "data", {**source.files, source.main: content})
    status, message, outputs = import_data(monkeypatch, capsys, tmp_path / "data", {**source.options, **options})
    assert (status, message) == (0, "")
    np.testing.assert_allclose(io.matrix(io.read_table(outputs["reference"])[0], "p"), p)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_the_same_files_give_the_same_bytes(monkeypatch, capsys, tmp_path, source):
    imports = []
    for place in ("first", "second"):
        write(tmp_path / place / "data", source.files)
        *_, outputs = import_data(monkeypatch, capsys, tmp_path / place / "data", source.options)
        imports.append({name: path.read_bytes() for name, path in outputs.items()})
    assert imports[0] == imports[1]


def test_an_empty_cell_is_an_unknown_annotator_and_no_person(monkeypatch, capsys, tmp_path):
    source = SOURCES["table"]
    write(tmp_path / "data", source.files)
    *_, outputs = import_data(monkeypatch, capsys, tmp_path / "data", source.options)
    annotators = io.read_table(outputs["annotations"])[0].column("annotator")
    assert (len(annotators), annotators.null_count, len(annotators.unique().drop_null())) == (6, 1, 2)
