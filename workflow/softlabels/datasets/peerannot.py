"""A data set in the layout of the peerannot library.

``train/CLASS/NAME-KEY.png``  the images; CLASS is what the data set takes for the truth
``answers.json``              ``{KEY: {annotator: index of the class}}``; -1 stands for no answer
``metadata.json``             ``n_classes`` and more

An index stands for a class folder in the order of the sorted names. Not everywhere: in the library's CIFAR-10H the
indices are CIFAR-10's, whose order is another one; so the indices are compared with the folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Problems, UserError
from . import imported
from .cells import Column
from .contract import Content, Options, Votes
from .images import relative_names

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look

ENTRY = {
    "about": "A data set of the peerannot library - answers.json, metadata.json and train/CLASS/NAME-KEY.",
    "options": {
        "images": {"type": "string",
            "description": "The data set's folder, with answers.json, metadata.json and train/ (required).",
            "input": "folder", "required": True},
    },
    "shared": ["classes", "unvoted", "minimum_votes", "pseudonymise",
        "pixels", "resize", "deep", "follow_links"],
    "gives": ["votes"],
    "inside": {"votes": "answers.json", "about": "metadata.json"},
}  # fmt: skip

FORM = "answers.json of a data set of peerannot ({task: {annotator: index of the class}})"
NO_ANSWER = (None, -1)


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of a folder of peerannot; the folder of an image is kept as ``folder_class``, and is no vote."""
    folder, remarks = files["folder"], []
    answers, metadata = (read_object(folder / name, folder) for name in ("answers.json", "metadata.json"))
    named = relative_names(files["images"], folder, source["follow_links"])
    images = {name: path for name, path in named.items() if name.startswith("train/") and name.count("/") > 1}
    if not images:
        raise UserError(f"{folder}: found no image in train/CLASS/, expected train/CLASS/NAME-KEY.png. Put them there.")
    if other := len(named) - len(images):
        remarks.append(f"{other} images outside of the class folders in train/ were not imported.")
    keys = image_keys(images, folder, problems)
    classes = class_order(folder, imported.in_order(source), metadata, problems)
    problems.stop()
    elsewhere = {key_of(name) for name in named if name not in images}
    votes = read_votes(folder / "answers.json", answers, keys, elsewhere, classes, remarks, problems)
    problems.stop()
    folders = np.array([name.split("/")[1] for name in images], object)
    compare(folder, folders, votes, classes, imported.in_order(source) is not None, remarks, problems)
    columns = {"folder_class": folders}
    return imported.content(source, images, classes, problems, votes=votes, columns=columns, remarks=remarks)


def read_object(path: Path, folder: Path) -> dict[str, Any]:
    """The object in a JSON file of the data set."""
    if not path.is_file():
        raise UserError(
            f"{folder}: found no {path.name}, expected the folder of a data set of peerannot, with answers.json, "
            f"metadata.json and train/. Correct the path, or install the data set with peerannot."
        )
    value = imported.document(path)
    if not isinstance(value, dict):
        raise UserError(f"{path}: found {imported.shown(value)}, expected an object. Install the data set again.")
    return value


def key_of(name: str) -> str:
    """The key in the name of an image: what follows the last hyphen ("": there is none)."""
    _, hyphen, key = PurePosixPath(name).stem.rpartition("-")
    return key if hyphen else ""


def image_keys(images: Mapping[str, Path], folder: Path, problems: Problems) -> dict[str, int]:
    """The item of each key; names without a key, and two with one, are noted."""
    items: dict[str, int] = {}
    names = list(images)
    for item, name in enumerate(names):
        key = key_of(name)
        if not key:
            problems.add(f"{folder}: found '{name}', expected a name that ends in -KEY. Rename or remove the image.")
        elif key in items:
            problems.add(f"{folder}: '{names[items[key]]}' and '{name}' have one key, '{key}'. Rename or remove one.")
        items.setdefault(key, item)
    return items


def class_order(folder: Path, given: list[str] | None, metadata: Mapping[str, Any], problems: Problems) -> list[str]:
    """The classes in the order of the indices: those given, or the sorted names of the folders in ``train``."""
    found = sorted(path.name for path in (folder / "train").iterdir() if path.is_dir() and path.name[0] != ".")
    classes, number = given or found, metadata.get("n_classes", len(given or found))
    if number != len(classes):
        what = "classes in source.classes" if given else f"class folders in train/ ({', '.join(found)})"
        problems.add(
            f"{folder / 'metadata.json'}: found n_classes {imported.shown(number)}, expected {len(classes)}, as there "
            f"are {what}. List all classes in the order of their indices in source.classes, or correct the file."
        )
    return classes


def read_votes(
    path: Path, answers: Mapping[str, Any], keys: Mapping[str, int], elsewhere: set[str], classes: list[str],
    remarks: list[str], problems: Problems,
) -> Votes:  # fmt: skip
    """The votes of ``answers``; those on images with a key in ``elsewhere`` are counted in a remark."""
    votes, people = [], []
    empty = outside = 0
    for key, given in answers.items():
        place = f"{path}: task {imported.shown(key)}"
        if not isinstance(given, dict):
            problems.add(
                f"{place}: found {imported.shown(given)}, expected an object {{annotator: class}}. Correct it."
            )
        elif key in keys or not given:
            for person, index in given.items():
                if index in NO_ANSWER:
                    empty += 1
                elif type(index) is not int or not 0 <= index < len(classes) or not imported.is_name(person):
                    problems.add(
                        f"{place}, annotator {imported.shown(person)}: found {imported.shown(index)}, expected the "
                        f"index of a class, from 0 to {len(classes) - 1}, of an annotator with a name. Correct it."
                    )
                else:
                    votes.append((keys[key], index))
                    people.append(person)
        elif key in elsewhere:
            outside += len(given)
        else:
            problems.add(f"{place}: found no image with that key in train/. Add it, or remove the answers.")
        imported.stop_early(problems)
    if empty:
        remarks.append(f"{empty} answers are -1 or null, which stands for none, and were left out.")
    if outside:
        remarks.append(f"{outside} answers on images outside of train/ were left out.")
    item, label = np.array(votes, np.int64).reshape(-1, 2).T
    return Votes(item, label, imported.annotators(Column.of(people)))


def compare(
    folder: Path, folders: np.ndarray, votes: Votes, classes: list[str], given: bool, remarks: list[str],
    problems: Problems,
) -> None:  # fmt: skip
    """Remark how often the most voted class is the image's folder; note indices that follow another order of these.

    ``folders`` are the class folders of the N images; where the order of the classes was ``given``, it is believed.
    """
    counts = votes.counts(len(folders), len(classes))
    voted = counts.any(axis=1)
    top, place = counts[voted].argmax(axis=1), {name: index for index, name in enumerate(classes)}
    truth = np.array([place.get(name, -1) for name in folders[voted]], np.int64)
    if (truth < 0).any() or not voted.any():
        return
    remarks.append(f"The most voted class is the image's folder on {(top == truth).mean():.1%} of the images.")
    table = np.bincount(truth * len(classes) + top, minlength=len(classes) ** 2).reshape(len(classes), -1)
    likely = table.argmax(axis=0)  # the folder with the most images of each index
    if not given and len(set(likely)) == len(classes) and table.max(axis=0).sum() > np.trace(table):
        order = [classes[index] for index in likely]
        problems.add(
            f"{folder / 'answers.json'}: found indices that fit the class folders in the order {', '.join(order)}, "
            f"expected the sorted one, {', '.join(classes)}. Set source.classes to the order that is right."
        )


def recognise(look: Look) -> Guess | None:
    """Whether a file is the answers.json of a data set of the library."""
    answers = look.document if isinstance(look.document, dict) else {}
    if look.path.name != "answers.json" or not all(isinstance(given, dict) for given in answers.values()):
        return None
    return look.guess("a data set of peerannot", look.CERTAIN, path="", kind="peerannot", images=".")
