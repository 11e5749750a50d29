"""An archive in the format of the DCIC benchmark (MiceBone, Benthic …), made from a data set of this project."""

from __future__ import annotations

import json
import zipfile
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from softlabels import io, keyed
from softlabels.datasets import contract

CLASSES = ["g", "nr", "ug"]  # of MiceBone; nr is the large one
FOLDS = 5
UNANSWERED = 50  # an annotator opens every so many of the images they did not vote on, and gives no answer


def write_archive(path: Path, name: str, data: Path) -> None:
    """Write a zip file with ``<name>/fold1 … fold5/<file>.png`` and ``<name>/annotations.json``.

    The traps of the published archive are in it: file names have a '#' and begin with a label that is not always the
    majority's, and some entries have no label. The same data give the same bytes.

    Args:
        path: the zip file.
        name: of the data set, and of the folder in the archive.
        data: a folder with ``images.npy``, ``items.parquet`` and ``annotations.parquet``, with three classes and votes
            of known annotators. The class with the most votes becomes nr, the others g and ug.
    """
    images = contract.read_images(data / "images.npy")
    annotations, _ = io.read_table(data / "annotations.parquet")
    item, label = io.vector(annotations, "item"), io.vector(annotations, "label")
    who = annotations.column("annotator").to_numpy()

    classes = np.empty(3, dtype=object)
    large = np.bincount(label, minlength=3).argmax()
    classes[large], classes[np.arange(3) != large] = "nr", ["g", "ug"]
    _, first = np.unique(item, return_index=True)
    fold = keyed.rng("folds").integers(1, FOLDS + 1, len(images))
    files = [f"{name}/fold{fold[i]}/{classes[label[first[i]]]}#{i:05d}.png" for i in range(len(images))]

    sets = []
    for number, annotator in enumerate(np.unique(who)):
        votes = who == annotator
        answers = dict(zip(item[votes].tolist(), classes[label[votes]], strict=True))
        unanswered = [i for i in range(number % UNANSWERED, len(images), UNANSWERED) if i not in answers]
        seen = sorted(answers | dict.fromkeys(unanswered))
        sets.append(annotation_set(number, name, [(files[i], answers.get(i)) for i in seen]))

    with zipfile.ZipFile(path, "w") as archive:
        for file, image in zip(files, images, strict=True):
            png = BytesIO()
            Image.fromarray(image).save(png, "PNG")
            archive.writestr(zipfile.ZipInfo(file), png.getvalue())  # a ZipInfo has a date of its own: 1980
        archive.writestr(zipfile.ZipInfo(f"{name}/annotations.json"), json.dumps(sets))


def annotation_set(number: int, name: str, answers: list[tuple[str, str | None]]) -> dict[str, Any]:
    """What one annotator said of images, an image every ten seconds; None: no answer."""
    start = datetime(2022, 7, 8, 13, 5, 59)
    return {
        "name": f"INVALID{number:03d}",
        "dataset_name": name,
        "user_mail": "INVALID",
        "annotation_time": -1,
        "annotations": [
            {
                "image_path": file,
                "created_at": (start + timedelta(seconds=10 * turn)).strftime("%d-%m-%Y-%H-%M-%S"),
                "class_label": label,
            }
            for turn, (file, label) in enumerate(answers)
        ],
    }
