"""Inputs as people have them: each module here lists forms of one area, and ``test_forms.py`` tries them all.

A form writes its files, says which source (as in a configuration) reads them, and what must come of it: the votes by
image and class, counted by hand or by other code than ours, or a message.
"""

from __future__ import annotations

import importlib
import pkgutil
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from data_files import CASES, FILES
from PIL import Image

from softlabels.datasets import data
from softlabels.plan import Plan


@dataclass(frozen=True)
class Form:
    """One input, and its outcome: ``votes`` or ``error``."""

    name: str  # unique
    write: Callable[[Path], Any]  # writes the files into an empty folder
    source: Mapping[str, Any]  # options as in a configuration; paths start in that folder
    votes: Mapping[str, Mapping[str, int]] | None = None  # by image, then class: how many
    error: str | None = None  # what the message must hold, a regular expression
    remark: str | None = None  # what one remark of the data card must hold, a regular expression
    annotators: int | None = None  # how many different known annotators there are
    dataset: Mapping[str, Any] = field(default_factory=dict)  # further keys of the data set
    split: Mapping[str, Any] | None = None  # a split as in a configuration
    parts: Mapping[str, int | list[str]] | None = None  # of it: how many images each part has, or which
    needs: Path | None = None  # a folder that is no part of the project; where it is not there, the form is skipped


def all_forms() -> list[Form]:
    """The forms of all modules, by name."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    forms = [form for module in modules for form in module.FORMS]
    names = [form.name for form in forms]
    assert len(set(names)) == len(names), "two forms have one name"
    return sorted(forms, key=lambda form: form.name)


def images(folder: Path, names: list[str], size: tuple[int, int] = (8, 8)) -> None:
    """Small PNG (or as the suffix says) files that all differ, below ``folder``."""
    for index, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (index % 256, index // 256, 90)).save(path)


def case(name: str) -> dict[str, Any]:
    """Writer and ``needs`` of a form that is a folder of CASES, as it is."""

    def write(folder: Path) -> None:
        shutil.copytree(CASES / name, folder, dirs_exist_ok=True)

    return {"write": write, "needs": CASES / name}


def text(name: str, content: str, names: list[str], encoding: str = "utf-8") -> Callable[[Path], None]:
    """A writer of ``images/`` with these names and of one text file."""

    def write(folder: Path) -> None:
        images(folder / "images", names)
        folder.joinpath(name).write_bytes(content.encode(encoding))

    return write


def counted(rows: list[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """How many rows (image, class) there are, by image and class."""
    found: dict[str, dict[str, int]] = {}
    for image, label in rows:
        of_image = found.setdefault(image, {})
        of_image[label] = of_image.get(label, 0) + 1
    return found


def counts_by_name(names: list[str], classes: list[str], counts: np.ndarray) -> dict[str, dict[str, int]]:
    """Counts int ``[N, C]`` as ``Form.votes`` has them: zeros left out."""
    return {
        name: {label: int(n) for label, n in zip(classes, row, strict=True) if n}
        for name, row in zip(names, counts, strict=True)
    }


def imported(form: Form, folder: Path) -> dict[str, Path]:
    """The data set of a form, imported as the workflow does it: the outputs by name."""
    raw = {
        "data_folder": str(folder),
        "datasets": {"d": {"source": dict(form.source), **form.dataset}},
        "recipes": {"r": {"network": "compact"}},
        "studies": {"s": {"datasets": ["d"], "recipes": ["r"]}},
    }
    plan = Plan(raw)
    outputs = {name.split(".")[0]: folder / "made" / name for name in FILES}
    inputs = {name: Path(path) for name, path in plan.source_files("d").items()}
    data.run(plan.of("data", dataset="d"), inputs, outputs)
    return outputs
