"""The data sets of the DCIC benchmark (MiceBone, Benthic, Pig, …): folders of folds beside ``annotations.json``.

The file is a list of annotation sets, each a session of one annotator::

    [{"name": "INVALID290", "dataset_name": "MiceBone", "user_mail": "INVALID", "annotations": [
        {"image_path": "MiceBone/fold1/g#1.png", "created_at": "08-07-2022-13-05-59", "class_label": "g"}, …]}, …]

Names of images may start with a label. It is not the majority of the votes, and nothing here reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import Problems, UserError
from . import imported
from .cells import Cells, Column
from .contract import Content, Options, Votes
from .download import FILES
from .folder import image_files
from .images import relative_names

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look

ENTRY = {
    "about": "A data set of the DCIC benchmark (MiceBone, Benthic, Pig, …) as published - folds of images and "
             "annotations.json.",
    "options": {
        "images": {"type": ["string", "null"], "default": None,
            "description": "The data set's folder, with fold1 … and annotations.json; or an archive is given.",
            "input": "folder"},
        "archive": {"$ref": "archive", "input": "archive"},
        "published_sizes": {"type": "boolean", "default": True,
            "description": "Whether a data set that is known must have the published number of images in each class "
            "and fold."},
    },
    "shared": ["checksum", "classes", "unvoted", "minimum_votes", "pseudonymise", "pixels", "resize", "deep",
        "follow_links"],
    "gives": ["votes"],
    "inside": {"votes": "annotations.json"},
    "one_of": ["images", "archive"],
}  # fmt: skip

FORM = "the annotations.json of a data set of the benchmark, or its published archive"
ANNOTATIONS = "annotations.json"
ANONYMOUS = "INVALID"  # what stands for a mail address, and before the number that stands for a name
TIME = "%d-%m-%Y-%H-%M-%S"
REMARK = (
    "Annotators are the names of the annotation sets, numbers that the publisher drew for each session: one person may "
    "have several, and two may share one."
)
MADE = "The votes of QualityMRI are made, not given: a score s from 1 to 5 is 5 - s votes for '0' and s - 1 for '1'."


def _sizes(classes: str, images: list[int], *folds: int) -> tuple[dict[str, int], tuple[int, ...]]:
    """How many images each class has, by the most votes (lowest index on ties), and folds 1, 2, …."""
    return dict(zip(classes.split(), images, strict=True)), folds


_LEAVES = "bark bud flower fruit leaf whole_plant"

# By the name of the data set without '#'; from the benchmark's published code, which checks them too.
PUBLISHED = {
    "Benthic": _sizes("coral crustacean cucumber encrusting other_fauna sponge star worm",
        [506, 471, 267, 1216, 856, 566, 465, 520], 907, 955, 958, 990, 1057),
    "CIFAR10H": _sizes("airplane automobile bird cat deer dog frog horse ship truck",
        [1003, 998, 999, 995, 981, 1004, 1005, 1015, 999, 1001], 1953, 1981, 2067, 1969, 2030),
    "MiceBone": _sizes("g nr ug", [1068, 5103, 1069], 1540, 1513, 1325, 1319, 1543),
    "Pig": _sizes("1_intact 2_short 3_fresh 4_notVisible", [4221, 3032, 2183, 801], 1947, 2129, 2007, 2039, 2115),
    "Plankton": _sizes("bubbles collodaria_black collodaria_globule cop det no_fit phyto_puff phyto_tuft "
        "pro_rhizaria_phaeodaria shrimp", [514, 853, 709, 1405, 1057, 3710, 572, 1602, 1115, 743], 2444, 2462, 2468,
        2457, 2449),
    "QualityMRI": _sizes("0 1", [108, 202], 60, 64, 62, 62, 62),
    "Synthetic": _sizes("bc be gc ge rc re", [2320, 2635, 2590, 2540, 2490, 2425], 3000, 3000, 3000, 3000, 3000),
    "Treeversity1": _sizes(_LEAVES, [990, 1928, 3014, 1135, 1539, 883], 1820, 1912, 1905, 1966, 1886),
    "Treeversity6": _sizes(_LEAVES, [1011, 1839, 3072, 1170, 1872, 862], 1892, 1972, 1972, 2032, 1958),
    "Turkey": _sizes("head_injury not_injured plumage_injury", [875, 1059, 6106], 1384, 1761, 1672, 1431, 1792),
}  # fmt: skip


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of a data set of the benchmark, which lies in the folder or somewhere below it."""
    root = dataset_folder(files["folder"])
    path, remarks = root / ANNOTATIONS, [REMARK]
    images = fold_images(files["images"], root, source["follow_links"], remarks)
    sets = imported.document(path)
    if not isinstance(sets, list) or not sets:
        raise UserError(
            f"{path}: found {imported.shown(sets)}, expected a list of annotation sets, one or more. Get the published "
            f"file again."
        )
    name = sets[0].get("dataset_name") if isinstance(sets[0], dict) else None
    name = name.replace("#", "") if isinstance(name, str) else ""
    table, time = annotations(path, sets, source["pseudonymise"], remarks, problems)
    votes, classes = vote(table, time, images, source["classes"], problems)
    votes = people(votes, remarks)
    fold = fold_numbers(images)
    if source["published_sizes"] and name in PUBLISHED:
        compare(root, name, votes, classes, fold, problems)
    if name == "QualityMRI":
        remarks.append(MADE)
    known = FILES.get(f"{name}.zip")
    notes = {"licence": known.licence, "citation": known.citation} if known else {}
    return imported.content(
        source, images, classes, problems, votes=votes, columns={"fold": fold}, remarks=remarks, **notes
    )


def dataset_folder(folder: Path) -> Path:
    """The folder with ``annotations.json``: the one given, or the only one below it; none or several are refused."""
    if (folder / ANNOTATIONS).is_file():
        return folder
    found = sorted(path.parent for path in folder.rglob(ANNOTATIONS) if path.is_file())
    if not found:
        raise UserError(
            f"{folder}: found no {ANNOTATIONS} in it or below it, expected the folder of a data set of the DCIC "
            f"benchmark, with {ANNOTATIONS} beside fold1, fold2 and so on. Correct the path, or get the data again."
        )
    if len(found) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in found)
        raise UserError(f"{folder}: found {len(found)} data sets ({names}), expected one. Name its own folder.")
    return found[0]


def fold_images(images: list[Path], root: Path, follow_links: bool, remarks: list[str]) -> dict[str, Path]:
    """The images in folders of the data set, of which there must be some; a remark counts the others."""
    inside = relative_names([path for path in images if path.is_relative_to(root)], root, follow_links)
    folds = {name: path for name, path in inside.items() if "/" in name}
    if not folds:
        raise UserError(f"{root}: found no image in a folder of it, expected them in fold1, fold2 and so on.")
    if other := len(images) - len(folds):
        remarks.append(f"{other} images are in no fold of the data set and were left out.")
    return folds


def fold_numbers(images: Mapping[str, Path]) -> np.ndarray:
    """The fold of each image, int8 ``[N]``: the number at the end of its folder's name.

    Folders without a number, or with one number twice, are counted from 1 in the order of their names.
    """
    folders = [name.partition("/")[0] for name in images]
    names = sorted(set(folders))
    if len(names) > 127:
        raise UserError(f"found {len(names)} folders of images, expected a few folds. Correct the path of the source.")
    ends = [re.search(r"[0-9]+$", name) for name in names]
    number = {name: int(end[0]) for name, end in zip(names, ends, strict=True) if end}
    if len(set(number.values())) < len(names) or max(number.values()) > 127:
        number = {name: place for place, name in enumerate(names, start=1)}
    return np.array([number[folder] for folder in folders], np.int8)


class Annotations(Cells):
    """R labelled annotations; ``number`` is int ``[R, 2]``, the set and the annotation in it, both from 1."""

    def place(self, row: int) -> str:
        """Where an annotation stands, for messages."""
        number, annotation = self.number[row]
        return f"{place(self.path, number, self.columns['annotator'].each(row))}, annotation {annotation}"


def place(path: Path, number: int, name: str) -> str:
    """Where a set stands, for messages; a name that may be a person's is left out."""
    return f"{path}: set {number}" + (f" ('{name}')" if ANONYMOUS in name else "")


def annotations(
    path: Path, sets: list[Any], pseudonymise: bool, remarks: list[str], problems: Problems
) -> tuple[Annotations, np.ndarray]:
    """The annotations with a label, in the columns ``image``, ``label`` and ``annotator`` ("": unknown), and their
    times, float64 ``[R]`` (nan: none)."""
    rows, numbers, times, unlabelled = [], [], [], 0
    for number, name, entries in annotation_sets(path, sets, pseudonymise, problems):
        for count, entry in enumerate(entries, start=1):
            if isinstance(entry, dict) and entry.get("class_label", "") is None:
                unlabelled += 1
            elif mistake := wrong(entry, ANNOTATION):
                problems.add(f"{place(path, number, name)}, annotation {count}: {mistake}")
                imported.stop_early(problems)
            else:
                rows.append((entry["image_path"], entry["class_label"], name))
                numbers.append((number, count))
                times.append(seconds(entry.get("created_at")))
    if unlabelled:
        remarks.append(f"{unlabelled} annotations have no label and were left out.")
    columns = {role: Column.of([row[k] for row in rows]) for k, role in enumerate(("image", "label", "annotator"))}
    return Annotations(path, columns, np.array(numbers, np.int32).reshape(-1, 2), "annotation"), np.array(times)


def annotation_sets(
    path: Path, sets: list[Any], pseudonymise: bool, problems: Problems
) -> Iterator[tuple[int, str, list[Any]]]:
    """The number, from 1, the name ("": of nobody) and the entries of each set; what is no set is noted."""
    for number, entry in enumerate(sets, start=1):
        if mistake := wrong({"name": ANONYMOUS, **entry} if isinstance(entry, dict) else entry, SET):
            problems.add(f"{place(path, number, '')}: {mistake}")
            imported.stop_early(problems)
            continue
        name = entry.get("name", ANONYMOUS)
        if not pseudonymise and (ANONYMOUS not in name or entry.get("user_mail", ANONYMOUS) != ANONYMOUS):
            problems.add(
                f"{place(path, number, name)}: found a name or a user_mail without '{ANONYMOUS}', expected none of a "
                f"person's where names are kept. Set source.pseudonymise to true."
            )
            imported.stop_early(problems)
        yield number, name if name != ANONYMOUS else "", entry["annotations"]


SET = {"name": (imported.is_name, "a text"), "annotations": (lambda value: isinstance(value, list), "a list")}
ANNOTATION = {
    "class_label": (imported.is_name, "the name of a class, or null"),
    "image_path": (imported.is_name, "the path of an image"),
}


def wrong(entry: Any, keys: Mapping[str, tuple[Callable[[Any], bool], str]]) -> str:
    """What is wrong with a JSON value that must be an object with some keys; empty if nothing is."""
    if not isinstance(entry, dict):
        return f"found {imported.shown(entry)}, expected an object with {' and '.join(keys)}. Correct it."
    for key, (test, expected) in keys.items():
        if not test(entry.get(key)):
            found = imported.shown(entry[key]) if key in entry else "nothing"
            return f"found {found} as {key}, expected {expected}. Correct it, or get the published file again."
    return ""


def vote(
    table: Annotations, time: np.ndarray, images: Mapping[str, Path], classes: list[str] | None, problems: Problems
) -> tuple[Votes, list[str]]:
    """The votes, and the classes: those given, or the labels sorted as text."""
    root = table.path.parent
    remedy = f"Write a path inside {root} after the name of the data set, add the image, or get the data set again."
    item = imported.lookup(table, "image", known_paths(table, images, problems), "image", remedy, problems)
    classes = imported.class_names(str(table.path), table.columns["label"].texts, classes, problems)
    known = {name: index for index, name in enumerate(classes)}
    remedy = f"Write one of {', '.join(classes)}, or add it to source.classes."
    label = imported.lookup(table, "label", known, "label", remedy, problems)
    problems.stop()
    annotator = imported.annotators(table.columns["annotator"])
    return Votes(item, label, annotator, time=None if np.isnan(time).all() else time), classes


def known_paths(table: Annotations, images: Mapping[str, Path], problems: Problems) -> dict[str, int]:
    """The item of each ``image_path``; it starts with the published name of the folder, whatever its name is now."""
    column, items = table.columns["image"], {name: index for index, name in enumerate(images)}
    known, folders = {}, {}
    for code, path in enumerate(column.texts):
        folder, _, name = path.partition("/")
        folders.setdefault(folder, code)
        if name in items and folder not in ("", ".", ".."):
            known[path] = items[name]
    if len(folders) > 1:
        first, second = list(folders)[:2]
        problems.add(
            f"{table.place(column.first(folders[second]))}: found an image_path that starts with '{second}', expected "
            f"'{first}' as before. Separate the data sets, or correct the path."
        )
    return known


def seconds(value: Any) -> float:
    """Seconds since 1970 of a time of the file, read as UTC since it names no zone; nan if it is none."""
    try:
        return datetime.strptime(value, TIME).replace(tzinfo=UTC).timestamp()
    except (TypeError, ValueError):
        return np.nan


def people(votes: Votes, remarks: list[str]) -> Votes:
    """The votes with unknown annotators in the sets that are no person's; votes that repeat another one count.

    The benchmark wrote data sets that came as counts into one set with all votes of all images. Nobody votes on each
    image three times, so such a set has no annotator.
    """
    code = votes.annotator.indices.fill_null(-1).to_numpy()
    known, n = code >= 0, len(votes.annotator.dictionary)
    pairs, times = np.unique(votes.item[known].astype(np.int64) * n + code[known], return_counts=True)
    given = np.bincount(code[known], minlength=n)
    made = given >= 3 * np.maximum(np.bincount(pairs % n, minlength=n), 1)
    if made.any():
        remarks.append(
            f"{given[made].sum()} of {len(code)} votes are in {made.sum()} annotation sets with three votes an image "
            f"or more: made from counts, not by one person, so their annotators are unknown."
        )
        code = np.where(known & made[code], -1, code)
    if repeats := int((times - 1)[~made[pairs % n]].sum()):
        remarks.append(
            f"{repeats} of {len(code)} votes are a further vote of an annotator on an image and were counted: of "
            f"another session, or of two people with one name."
        )
    annotator = pa.DictionaryArray.from_arrays(pa.array(code, pa.int32(), mask=code < 0), votes.annotator.dictionary)
    return replace(votes, annotator=annotator)


def compare(root: Path, name: str, votes: Votes, classes: list[str], fold: np.ndarray, problems: Problems) -> None:
    """Note where the images with votes are not as many as published, in all, by fold and by class."""
    counts = votes.counts(len(fold), len(classes))
    voted = counts.any(axis=1)
    order = [index for index in np.argsort(np.array(classes, object)) if counts[:, index].any()]
    top = counts[voted][:, order].argmax(axis=1)
    sizes = {classes[index]: int((top == place).sum()) for place, index in enumerate(order)}
    folds = dict(zip(*(values.tolist() for values in np.unique(fold[voted], return_counts=True)), strict=True))
    published_classes, published_folds = PUBLISHED[name]
    for what, found, expected in (
        ("images with votes", {"all": int(voted.sum())}, {"all": sum(published_folds)}),
        ("images in the folds", folds, dict(enumerate(published_folds, start=1))),
        ("images of the classes", sizes, published_classes),
    ):
        if found != expected:
            shown = [", ".join(f"{key}: {size}" for key, size in sizes.items()) for sizes in (found, expected)]
            problems.add(
                f"{root}: {what}: found {shown[0]}, expected {shown[1]} as published for {name}. Get the whole data "
                f"set; set source.published_sizes to false for a part of it."
            )


def recognise(look: Look) -> Guess | None:
    """Whether a file is the annotations.json, or a published archive, of a data set of the benchmark."""
    what = "a data set of the DCIC benchmark"
    if look.path.suffix == ".zip" and look.path.stem in PUBLISHED:
        return look.guess(what, look.CERTAIN, path="archive", kind="dcic")
    sets = [row["annotations"] for row in look.rows[:1] if isinstance(row.get("annotations"), list)]
    if not any(isinstance(part, dict) and "image_path" in part for parts in sets for part in parts[:1]):
        return None
    folder = look.path.resolve().parent
    known = PUBLISHED.get(folder.name.replace("#", ""))
    there = len(image_files(folder))
    if known and there != sum(known[1]):
        note = f"The folder has {there} images, the published data set {sum(known[1])}: so published_sizes is false."
        return look.guess(what, look.CERTAIN, note, path="", kind="dcic", images=".", published_sizes=False)
    return look.guess(what, look.CERTAIN, path="", kind="dcic", images=".")
