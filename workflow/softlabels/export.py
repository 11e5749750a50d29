"""`softlabels export`: a data set with its votes, labels and splits, for Hugging Face, torchvision and anybody else.

The folder has Parquet files (``votes``, ``reference``, ``labels``, ``splits``) with a data set card for Hugging Face,
and the images, in the pixels that networks see, as a folder for each part of one split, in it a folder for each class
(of an item: the most likely one of its reference), and ``metadata.jsonl`` with its distribution.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml
from PIL import Image

from . import config as configuration
from . import contracts, io, places
from .contracts import HELD_OUT, PARTS, Reference
from .datasets.contract import number, read_images
from .documents import Code, Document, Heading, Table, markdown
from .errors import UserError
from .plan import Plan
from .progress import progress

# Of the parts, by our names; no network leaves a fold out in a split that is exported.
NAMES = {"train": "train", "val": "validation", "test": "test", HELD_OUT: "calibration"}
IMAGES, METADATA, CARD = "images", "metadata.jsonl", "README.md"
LONGEST = 80  # characters of an image's or a class's own name in that of its file or folder
# What a file system of any kind may refuse as the name of a folder.
RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?|metadata\..*", re.IGNORECASE)
# Licences that Hugging Face knows by a name of its own.
LICENCES = {"mit", "apache-2.0", "cc0-1.0", *(f"cc-by{more}-{n}" for n in ("2.0", "3.0", "4.0")
            for more in ("", "-sa", "-nc", "-nc-sa", "-nd", "-nc-nd"))}  # fmt: skip
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


@dataclass(frozen=True)
class Exported:
    """What is written of a data set."""

    name: str
    reference: Reference
    names: list[str]  # of the N items
    files: list[str]  # of their images, below ``images``
    parts: np.ndarray  # of each item in the chosen split, by our names
    split: str
    seed: int


def export(
    dataset: str, out: Path, configfile: Path | None = None, overrides: Sequence[str] = (), split: str | None = None,
    seed: int | None = None,
) -> None:  # fmt: skip
    """Write a data set of a configuration, from the results folder, into a new folder.

    Args:
        dataset: its name.
        out: the folder; one that holds anything is refused.
        configfile: the configuration (default: ``config/config.yaml`` of the repository).
        overrides: ``key=value`` pairs that replace keys of it.
        split, seed: whose parts the folders of images are (default: the first of the studies).

    Raises:
        UserError: no such data set or split, one that was not made yet, or a folder that is not empty.
    """
    raw = configuration.overridden(configuration.read(configfile or places.CONFIG), list(overrides))
    plan = Plan(raw)
    found = _found(plan, dataset, split, seed)
    with io.new_folder(out) as scratch:
        tables = {name: table for name, table in _tables(plan, found).items() if table is not None}
        for name, table in tables.items():
            io.write_table(scratch / f"{name}.parquet", table, {"classes": found.reference.classes})
        _write_images(plan, found, scratch / IMAGES)
        io.write_text(scratch / CARD, _card(plan, found, tables))
    print(f"{out}: {len(found.names)} images ({found.split}, seed {found.seed}: {_counted(found.parts)}), "
          f"{', '.join(f'{table.num_rows} rows of {name}' for name, table in tables.items())}.")  # fmt: skip
    for remark in _remarks(plan, found):
        print(remark)


def _found(plan: Plan, dataset: str, split: str | None, seed: int | None) -> Exported:
    """What there is of a data set in the results folder."""
    if dataset not in plan.config["datasets"]:
        there = ", ".join(plan.config["datasets"]) or "none"
        raise UserError(f"export {dataset}: the configuration has no such data set; there are: {there}.")
    used = plan.card_splits(dataset)
    chosen = [(name, n) for name, n in used if split in (None, name) and seed in (None, n)]
    if not chosen:
        there = ", ".join(f"{name} seed {n}" for name, n in used) or "none"
        raise UserError(f"export {dataset}: no study has that split and seed of it; there are: {there}.")
    split, seed = chosen[0]
    paths = {output: Path(plan.path("data", output, dataset=dataset)) for output in places.PLACES["data"].outputs}
    paths["split"] = Path(plan.path("split", "split", dataset=dataset, split=split, seed=seed))
    for path in paths.values():
        if not path.is_file():
            raise UserError(
                f"{path}: is not there yet, so there is nothing to export. Make it first: `./softlabels run`, or "
                f"`snakemake prepare` for data, labels and splits alone, with this configuration."
            )
    names = io.read_table(paths["items"], ["name"])[0].column("name").to_pylist()
    if plan.config["datasets"][dataset]["private"]:
        names = [number(item) for item in range(len(names))]
    reference = contracts.read_reference(paths["reference"])
    parts = contracts.read_split(paths["split"]).part
    return Exported(dataset, reference, names, _files(names, reference, parts), parts, split, seed)


# -- names of files ----------------------------------------------------------------------------------------------------


def _files(names: list[str], reference: Reference, parts: np.ndarray) -> list[str]:
    """Where each image lies below ``images``: part, class, and its number with what of its name any system takes."""
    folders, width = _folders(reference.classes), len(str(max(len(names) - 1, 1)))
    found = []
    for item, (name, part, top) in enumerate(zip(names, parts.tolist(), reference.p.argmax(axis=1), strict=True)):
        stem = _plain(re.sub(r"\.[A-Za-z0-9]{1,5}$", "", name))
        found.append(f"{NAMES[part]}/{folders[top]}/{'-'.join(filter(None, (f'{item:0{width}}', stem)))}.png")
    return found


def _folders(classes: list[str]) -> list[str]:
    """A folder for each class: its name where that can be one, else what is left of it behind its number."""
    width = len(str(len(classes) - 1))
    plain = [_plain(name) for name in classes]
    numbered = [f"{index:0{width}}-{name}".rstrip("-.") for index, name in enumerate(plain)]
    taken = Counter(name.casefold() for name in (*plain, *numbered))  # a class may be called as another's folder is
    return [
        name
        if name == own and taken[own.casefold()] == 1 and own[0].isalnum() and not RESERVED.fullmatch(own)
        else safe
        for name, own, safe in zip(classes, plain, numbered, strict=True)
    ]


def _plain(name: str) -> str:
    """What of a name is letters, digits, hyphens, dots and underscores of ASCII; no dot at its ends."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-LONGEST:].strip("._")


# -- tables ------------------------------------------------------------------------------------------------------------


def _tables(plan: Plan, found: Exported) -> dict[str, pa.Table | None]:
    """The Parquet files by name; None where there is nothing to say."""
    return {
        "votes": _votes(plan, found),
        "reference": _with_items(found, found.reference.item, {
            "p": _distributions(found.reference.p),
            "votes": pa.nulls(len(found.names), pa.int32()) if found.reference.votes is None
            else pa.array(found.reference.votes, pa.int32()),
        }),
        "labels": _labels(plan, found),
        "splits": _splits(plan, found),
    }  # fmt: skip


def _with_items(found: Exported, item: np.ndarray, columns: dict[str, Any]) -> pa.Table:
    """A table about items, which begins with the file, the name and the number of each."""
    rows = item.tolist()
    about = {"file_name": [found.files[row] for row in rows], "name": [found.names[row] for row in rows]}
    return pa.table({**about, "item": pa.array(item, pa.int32()), **columns})


def _distributions(p: np.ndarray) -> pa.Array:
    """Rows of a matrix as lists of float64, in the order of the classes."""
    return pa.array(list(p.astype(np.float64)), pa.list_(pa.float64()))


def _votes(plan: Plan, found: Exported) -> pa.Table | None:
    """The votes one by one, by name of the class; None where there are none."""
    table, metadata = io.read_table(Path(plan.path("data", "annotations", dataset=found.name)))
    if not table.num_rows:
        return None
    classes = metadata["classes"]
    columns = {"annotator": table.column("annotator").cast(pa.string())}
    columns["label"] = pa.array([classes[k] for k in table.column("label").to_pylist()], pa.string())
    columns |= {name: table.column(name) for name in ("weight", "time") if name in table.column_names}
    return _with_items(found, io.vector(table, "item"), columns)


def _made(plan: Plan, found: Exported, command: str) -> list[tuple[dict[str, Any], Path]]:
    """Wildcards and file of each job of a command behind the studies of the data set, made or not."""
    jobs: dict[str, dict[str, Any]] = {}
    output = next(iter(places.PLACES[command].outputs))
    for study in plan.config["studies"]:
        for _, names in plan.jobs(study, command, folds=False, dataset=found.name):
            jobs.setdefault(plan.path(command, output, **names), names)
    return [(names, Path(path)) for path, names in jobs.items()]


def _labels(plan: Plan, found: Exported) -> pa.Table | None:
    """What networks are trained on, by what the configuration calls the label."""
    tables = []
    for names, path in _made(plan, found, "label"):
        if not path.is_file():
            continue
        labels = contracts.read_labels(path)
        n, hard = len(labels.item), [labels.classes[k] for k in labels.hard.tolist()]
        drawn = re.search(r"\d+", names["draw"])
        columns = {"label": pa.array([names["label"]] * n, pa.string()),
                   "split": pa.array([names["within"].strip("/") or None] * n, pa.string()),
                   "seed": pa.array([int(drawn[0]) if drawn else None] * n, pa.int64()),
                   "p": _distributions(labels.p), "hard": pa.array(hard, pa.string()),
                   "weight": pa.array(labels.weight, pa.float32())}  # fmt: skip
        tables.append(_with_items(found, labels.item, columns))
    return pa.concat_tables(tables) if tables else None


def _splits(plan: Plan, found: Exported) -> pa.Table:
    """The part of each item in each split and seed that studies use."""
    tables = []
    for names, path in _made(plan, found, "split"):
        if path.is_file():
            split = contracts.read_split(path)
            columns = {
                "split": pa.array([names["split"]] * len(split.item), pa.string()),
                "seed": pa.array([int(names["seed"])] * len(split.item), pa.int64()),
                "part": pa.array([NAMES[part] for part in split.part.tolist()], pa.string()),
            }
            tables.append(_with_items(found, split.item, columns))
    return pa.concat_tables(tables)


# -- images ------------------------------------------------------------------------------------------------------------


def _write_images(plan: Plan, found: Exported, folder: Path) -> None:
    """The images as PNG, and beside those of each part a line of JSON about each."""
    images = read_images(plan.path("data", "images", dataset=found.name))
    classes, lines = found.reference.classes, {part: [] for part in NAMES}
    for item in progress(range(len(images)), "images"):
        path = folder / found.files[item]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[item]).save(path, format="PNG")
        p, votes = found.reference.p[item], found.reference.votes
        line = {
            "file_name": found.files[item].partition("/")[2],
            "name": found.names[item],
            "item": item,
            "label": classes[p.argmax()],
            "p_label": dict(zip(classes, p.tolist(), strict=True)),
        }
        lines[found.parts[item]].append(line if votes is None else {**line, "n_votes": int(votes[item])})
    for part, of_part in lines.items():
        if of_part:
            text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in of_part)
            io.write_text(folder / NAMES[part] / METADATA, text)


# -- the card ----------------------------------------------------------------------------------------------------------


def _counted(parts: Iterable[str]) -> str:
    counts = Counter(parts)
    return ", ".join(f"{counts[part]} {name}" for part, name in NAMES.items() if part in PARTS or counts[part])


def _remarks(plan: Plan, found: Exported) -> list[str]:
    """What a reader of the folder should know, a sentence each."""
    classes, folders = found.reference.classes, _folders(found.reference.classes)
    top = found.reference.p.argmax(axis=1)
    remarks = ["The images are the pixels that networks see (after any resizing), as PNG, not the original files."]
    if contracts.read_others(Path(plan.path("data", "reference", dataset=found.name))) is not None:
        remarks.append(
            "The votes are those that labels are made of. Those of the other people, who make the reference, are in "
            "its shares alone."
        )
    renamed = [f"{name} is {folder}" for name, folder in zip(classes, folders, strict=True) if name != folder]
    if renamed:
        remarks.append(f"Folders of classes whose names cannot be those of folders: {', '.join(renamed)}.")
    if sorted(folders) != folders:
        remarks.append(
            "torchvision's ImageFolder numbers classes in the order of the alphabet, which is not that of the classes "
            "here: take class_to_idx, or the names."
        )
    for part in PARTS:
        lacking = sorted(set(range(len(classes))) - set(top[found.parts == part].tolist()))
        if lacking and (found.parts == part).any():
            named = ", ".join(classes[k] for k in lacking)
            remarks.append(
                f"No item of {NAMES[part]} has the most likely class {named}: ImageFolder numbers the others otherwise "
                f"there than in other parts."
            )
    for command in ("label", "split"):
        missing = [str(path) for _, path in _made(plan, found, command) if not path.is_file()]
        if missing:
            remarks.append(f"Left out, as not made yet: {', '.join(missing)}.")
    return remarks


def _card(plan: Plan, found: Exported, tables: dict[str, pa.Table]) -> str:
    """``README.md``: a card as Hugging Face reads it."""
    about, n = plan.of("card", dataset=found.name)["about"], len(found.names)
    licence = re.sub(r"\s+", "-", (about.get("licence") or "").strip().lower())
    header: dict[str, Any] = {"license": licence if licence in LICENCES else "other" if licence else "unknown"}
    if header["license"] == "other":
        header["license_name"] = re.sub(r"[^a-z0-9.]+", "-", licence).strip("-") or "other"
    header |= {
        "pretty_name": found.name,
        "task_categories": ["image-classification"],
        "tags": ["soft-labels", "label-distribution", "annotator-disagreement"],
        "size_categories": [next((text for most, text in SIZES if n < most), "n>10M")],
        "configs": [
            {"config_name": name, "data_files": [{"split": "full", "path": f"{name}.parquet"}]} for name in tables
        ],
    }
    what = {
        "votes": "the votes one by one: file_name, name, item, annotator (null: unknown), label",
        "reference": "what predictions are scored against: p in the order of the classes, votes (null: exact)",
        "labels": "what networks are trained on: label (its name), split and seed (null: for all), p, hard, weight",
        "splits": "the part of each item: split, seed, part",
    }
    rows = [[Code(f"{name}.parquet"), str(table.num_rows), what[name]] for name, table in tables.items()]
    rows.append([Code(f"{IMAGES}/"), str(n), f"{found.split}, seed {found.seed}: {_counted(found.parts)}"])
    text = {key: about.get(key) for key in ("description", "licence", "citation", "homepage") if about.get(key)}
    parts = [
        *([text["description"]] if "description" in text else []),
        Table("", ["file", "rows", ""], rows),
        f"Classes, in their order: {', '.join(found.reference.classes)}.",
        "An image lies in the folder of its part, in that of its most likely class; metadata.jsonl has its "
        "distribution (p_label). Load the images with load_dataset(\"imagefolder\", data_dir=\"images\") or "
        "with torchvision's ImageFolder, a part each; the tables with load_dataset and the name of one.",
        *_remarks(plan, found),
        Heading("Licence and source"),
        *(f"{key.capitalize()}: {value}" for key, value in text.items() if key != "description"),
        *["The licence of images and votes is not known: find it out before you publish."] * ("licence" not in text),
    ]  # fmt: skip
    front = yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{markdown(Document(found.name, parts))}"
