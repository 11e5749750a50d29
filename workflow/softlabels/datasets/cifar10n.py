"""CIFAR-10N and CIFAR-100N as published: images of CIFAR that people on Amazon Mechanical Turk labelled again.

Wei, Zhu, Cheng, Liu, Niu and Liu, Learning with Noisy Labels Revisited: A Study Using Real-World Human Annotations,
ICLR 2022; https://github.com/UCSC-REAL/cifar-10-100n. ``CIFAR-10_human.pt`` and ``CIFAR-100_human.pt`` hold labels, one
an image, in the order of the training set's own files (torchvision's); ``side_info_cifar10N.csv`` follows it too. The
``.npy`` files of the same repository follow the order of TensorFlow Datasets: they would label the wrong images.
"""

from __future__ import annotations

import codecs
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Problems, UserError
from . import cells, imported
from .cells import Cells, Column
from .contract import Content, Options, Votes
from .counts import one_row_an_image
from .images import Images, relative_names

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look

ENTRY = {
    "about": "CIFAR-10N or CIFAR-100N as published - the .pt file of labels, and the images in the order of the "
             "training set.",
    "options": {
        "images": {
            "type": "string", "description": "Folder of the training images in their published order (required).",
            "input": "folder", "required": True},
        "labels": {"type": "string", "description": "The published CIFAR-10_human.pt or CIFAR-100_human.pt (required).",
            "input": "labels", "required": True},
        "annotators": {"type": ["string", "null"], "default": None,
            "description": "The published side_info_cifar10N.csv that says who voted; null for anonymous votes.",
            "input": "annotators"},
        "votes": {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True,
            "default": ["random_label1", "random_label2", "random_label3"],
            "description": "Entries of the file that are votes (CIFAR-100N has one, noisy_label)."},
    },
    "shared": ["classes", "unvoted", "minimum_votes", "pseudonymise",
        "pixels", "resize", "deep", "follow_links"],
    "gives": ["votes"],
    "memory": 700,  # of PyTorch, which reads the file
}  # fmt: skip

CIFAR10_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
MOST_CLASSES = 100  # of CIFAR-100
THREE = ["random_label1", "random_label2", "random_label3"]  # by the three people who saw a batch of ten images
DERIVED = ["aggre_label", "worse_label"]  # from the three: their majority, and a wrong one if there is one
CLEAN = {"noisy_coarse_label": "clean_coarse_label"}  # CIFAR's own label of a vote, where it is not clean_label
BATCH, WORKER = "annotators, batches", "annotators, worker {}"  # roles of the side information's columns
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
SIDE = "side_info_cifar10N.csv"
FORM = "the published CIFAR-10_human.pt or CIFAR-100_human.pt"
LICENCE = "CC BY-NC 4.0"
CITATION = (
    "Wei, Zhu, Cheng, Liu, Niu, Liu: Learning with Noisy Labels Revisited: A Study Using Real-World Human Annotations, "
    "ICLR 2022"
)


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of a folder of images, named in the order of the training set, with CIFAR-N's ``labels``."""
    path, voted = files["labels"], source["votes"]
    images = relative_names(files["images"], files["folder"], source["follow_links"])
    entries = load(path)
    clean = CLEAN.get(voted[0], "clean_label")
    columns = [name for name in (clean, *DERIVED) if name in entries]
    labels = labels_of(path, entries, [*voted, *columns], problems)
    classes = imported.in_order(source) or default_classes(labels)
    check_classes(path, labels, classes, problems)
    one_row_an_image(path, len(labels[voted[0]]), images, problems)
    problems.stop()
    if clean in labels:
        check_folders(images, labels[clean], classes, problems)
    item = np.tile(np.arange(len(images)), len(voted))
    votes = Votes(item, np.concatenate([labels[name] for name in voted]))
    remarks = [
        "Label i belongs to the i-th image by name: the labels follow the training set's own order (torchvision's).",
        *agreement(labels, voted, clean, votes.counts(len(images), len(classes))),
    ]
    if "annotators" in files:
        workers = workers_of_votes(files["annotators"], voted, len(images), problems)
        remarks += repeated(workers, len(images))
        votes = Votes(votes.item, votes.label, imported.annotators(workers))
    return imported.content(
        source, images, classes, problems, votes=votes, remarks=remarks, licence=LICENCE, citation=CITATION,
        columns={name: labels[name].astype(np.int16) for name in columns},
    )  # fmt: skip


def load(path: Path) -> dict[str, Any]:
    """The entries of a .pt file: arrays of integers, lists and tensors; one that asks for anything else is refused."""
    import torch  # no other source needs it

    reconstruct = np.zeros(0).__reduce__()[0]  # what arrays are made with; NumPy 2 moved it, and the file is older
    allowed = [
        np.ndarray, np.dtype, codecs.encode, *(type(np.dtype(name)) for name in INTEGERS),
        *((reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    ]  # fmt: skip
    try:
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings(action="ignore"):
            entries = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's own message advises to run the code in the file
        raise UserError(
            f"{path}: cannot be read as labels ({type(error).__name__}), expected the published CIFAR-10_human.pt or "
            f"CIFAR-100_human.pt, with integer arrays and nothing to be executed. Download it again (not the .npy, "
            f"whose order is another)."
        ) from None
    if not isinstance(entries, dict):
        raise UserError(
            f"{path}: holds a {type(entries).__name__}, expected entries such as random_label1. Download "
            f"CIFAR-10_human.pt or CIFAR-100_human.pt again."
        )
    return entries


def labels_of(
    path: Path, entries: Mapping[str, Any], names: Sequence[str], problems: Problems
) -> dict[str, np.ndarray]:
    """Entries as integers ``[N]``, all of one length; others are noted and raised."""
    labels: dict[str, np.ndarray] = {}
    for name in names:
        if name not in entries:
            known = ", ".join(map(str, entries)) or "none"
            problems.add(f"{path}: found no entry '{name}' among {known}. Correct source.votes.")
            continue
        try:
            label = np.asarray(entries[name])
        except (TypeError, ValueError, RuntimeError):  # lists of different lengths, tensors of special kinds
            label = np.zeros(0)
        if label.ndim != 1 or label.dtype.kind not in "iu" or not len(label):
            problems.add(
                f"{path}: entry '{name}' holds no list of whole numbers, one an image. Download the file again, or "
                f"correct source.votes."
            )
            continue
        labels[name] = label.astype(np.int64)
        first = next(iter(labels))
        if len(label) != len(labels[first]):
            problems.add(
                f"{path}: entry '{name}' has {len(label)} labels, expected {len(labels[first])} as '{first}' has. "
                f"Download the file again, or correct source.votes."
            )
    problems.stop()
    return labels


def default_classes(labels: Mapping[str, np.ndarray]) -> list[str]:
    """CIFAR-10's names where the votes are CIFAR-10N's, else the numbers from 0 to the highest."""
    if not set(labels).isdisjoint({*THREE, *DERIVED}):
        return CIFAR10_CLASSES
    highest = max(int(label.max()) for label in labels.values())
    return [str(index) for index in range(min(highest + 1, MOST_CLASSES))]


def check_classes(path: Path, labels: Mapping[str, np.ndarray], classes: Sequence[str], problems: Problems) -> None:
    """Note labels that are no index of a class, the first of each entry."""
    for name, label in labels.items():
        bad = np.flatnonzero((label < 0) | (label >= len(classes)))
        if len(bad):
            problems.add(
                f"{path}: entry '{name}', image {bad[0]} (counted from 0): found the label {label[bad[0]]}, expected 0 "
                f"to {len(classes) - 1} ({len(bad)} such labels). Download the file again, or list all classes in "
                f"source.classes."
            )


def check_folders(images: Images, clean: np.ndarray, classes: Sequence[str], problems: Problems) -> None:
    """Note images in a folder named like another class: where images are sorted by class, the i-th is not image i."""
    index = {name: place for place, name in enumerate(classes)}
    lies_in = np.array([index.get(path.parent.name, -1) for path in map(PurePosixPath, images)])
    wrong = np.flatnonzero((lies_in >= 0) & (lies_in != clean))
    if len(wrong):
        first = wrong[0]
        problems.add(
            f"{images.folder}: '{list(images)[first]}' is image {first} by name, whose label is "
            f"'{classes[clean[first]]}' ({len(wrong)} images lie in the folder of another class). Name the images by "
            f"their place in the training set (00000.png and so on), in one folder."
        )


def agreement(labels: Mapping[str, np.ndarray], voted: Sequence[str], clean: str, counts: np.ndarray) -> list[str]:
    """What shows that votes and derived labels belong together, a sentence each; ``counts`` of the votes ``[N, C]``."""
    remarks = []
    if clean in labels:
        noise = ", ".join(f"{np.mean(labels[name] != labels[clean]):.2%} of {name}" for name in voted)
        remarks.append(f"Votes that differ from {clean}: {noise}.")
    if "aggre_label" in labels and len(voted) > 1:
        top = counts == counts.max(axis=1, keepdims=True)
        clear = top.sum(axis=1) == 1
        same = top[np.arange(len(top)), labels["aggre_label"]]
        remarks.append(
            f"aggre_label is the most frequent vote on {same[clear].sum()} of the {clear.sum()} images that have one, "
            f"and among the most frequent on {same[~clear].sum()} of the other {(~clear).sum()}."
        )
    return remarks


def workers_of_votes(path: Path, voted: Sequence[str], n: int, problems: Problems) -> Column:
    """Who gave each of the votes, vote entry by vote entry, from the side information on batches of the N images.

    The file is CSV with ``Image-batch`` (first and last image, such as ``0--9``) and ``Worker1-id`` to ``Worker3-id``;
    the times in it are of whole batches and are not read. Whatever is wrong with it is raised.
    """
    if list(voted) != THREE:
        problems.add(
            f"{path}: says who gave {', '.join(THREE)}, but source.votes is {', '.join(voted)}. Set source.votes to "
            f"these three, in this order, or source.annotators to null."
        )
    roles = {BATCH: "Image-batch"} | {WORKER.format(j): f"Worker{j}-id" for j in (1, 2, 3)}
    table = cells.read(path, roles, problems)
    row = row_of_images(table, n, problems)
    problems.stop()
    place: dict[str, int] = {}
    codes = []
    for j in (1, 2, 3):
        column = table.columns[WORKER.format(j)]
        codes.append(np.array([place.setdefault(text, len(place)) for text in column.texts])[column.code][row])
    return Column(np.concatenate(codes), list(place))


def row_of_images(table: Cells, n: int, problems: Problems) -> np.ndarray:
    """The row of the batch that each image is in, int ``[N]``."""
    rows = np.full(n, -1)
    for row in range(len(table)):
        text = table.columns[BATCH].each(row)
        match = re.fullmatch(r"\s*(\d{1,9})\s*-+\s*(\d{1,9})\s*", text)
        first, last = map(int, match.groups()) if match else (0, -1)
        if not first <= last < n:
            problems.add(
                f"{table.place(row)}: found the batch '{text}', expected the first and the last image, such as 0--9, "
                f"from 0 to {n - 1}. Correct that row."
            )
            continue
        batch = rows[first : last + 1]
        if (batch >= 0).any():
            image = first + int(np.argmax(batch >= 0))
            problems.add(f"{table.both(rows[image], row)} for image {image}. Keep one.")
        batch[:] = row
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        problems.add(
            f"{table.path}: {len(missing)} of {n} images are in no batch, the first is image {missing[0]} (counted "
            f"from 0). Add the missing rows, or set source.annotators to null."
        )
    return rows


def repeated(workers: Column, n: int) -> list[str]:
    """A sentence on those of the N images that one known person labelled twice, if there are any."""
    who = np.sort(workers.code.reshape(-1, n), axis=0)
    known = np.array([text != "" for text in workers.texts])[who[1:]]
    again = ((np.diff(who, axis=0) == 0) & known).any(axis=0)
    remark = f"On {again.sum()} of {n} images two or three votes are of one person; all were kept."
    return [remark] if again.any() else []


def recognise(look: Look) -> Guess | None:
    """Whether a file is one of the two published ones with labels, or the side information about one."""
    path = look.path
    if path.suffix != ".pt":
        return None
    entries = load(path)
    votes = [name for name in (*THREE, "noisy_label") if name in entries]
    if not votes:
        return None
    look.length = len(entries[votes[0]])
    more = {} if votes == THREE else {"votes": votes}
    if votes == THREE and (path.parent / SIDE).is_file():
        more["annotators"] = SIDE
    what = "CIFAR-10N" if votes == THREE else "CIFAR-100N"
    return look.guess(f"{what}'s labels", look.CERTAIN, path="labels", kind="cifar10n", **more)
