"""Use a trained model: label distributions of new images."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from . import io, places
from .commands import ENCODED, FITTED
from .datasets.folder import image_files
from .datasets.grey import Deep, require_range
from .datasets.images import COLOUR, read_image, relative_names, resized
from .errors import UserError
from .networks.base import Classifier, build, whole_float32
from .progress import progress

BATCH = 64


@dataclass
class Model:
    """A trained classifier of C classes, and the size in pixels of the images that it was trained on."""

    network: Classifier
    classes: list[str]
    height: int
    width: int
    # How its training images became pixels, see ``datasets.contract.read_image_rules``; empty where that is not known.
    images: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Label distributions float32 ``[B, C]`` of images uint8 ``[B, H, W, 3]``."""
        device = self.network.mean.device
        with torch.no_grad():
            pixels = torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).to(torch.float32) / 255
            return self.network(pixels).softmax(dim=1).cpu().numpy()


def load(path: str | Path, device: str = "cpu") -> Model:
    """Load ``model.safetensors`` of a run, or ``head.safetensors``, and its encoder from the same results folder.
    A UserError where it is none, where the encoder is not there, and for ``cuda`` without a GPU.

    On a GPU, the process computes float32 without TF32 from here on, as trainings predict.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU here. Use --device cpu.")
    about, state = _read(path)
    if "encoder" in about:
        encoder = _encoder(Path(path), about["encoder"])
        of_encoder, its = _read(encoder)
        about, state = {**of_encoder, **about}, {**its, **state}
    if "classes" not in about:
        raise UserError(f"{path}: is a frozen network without a head. Name the head.safetensors of a run.")
    whole_float32()
    network, _ = build(about["network"], len(about["classes"]), seed=0, upscale=about.get("upscale"))
    network.load_state_dict(state)
    return Model(network.eval().to(device), about["classes"], about["height"], about["width"], about.get("images", {}))


def _read(path: str | Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What a file of ours says of itself, and its tensors."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["softlabels"])
            return about, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(
            f"{path}: is no model of softlabels ({error}). Name the model.safetensors, or head.safetensors, of a run."
        ) from None


def _encoder(head: Path, about: Any) -> Path:
    """Where the encoder of a head lies, which its own features were computed by; ``about`` is what the head says."""
    named, sha256 = (about.get(key) if isinstance(about, dict) else None for key in ("path", "sha256"))
    place = places.parse(named) if isinstance(named, str) else None  # of a file that anybody may have made
    if place is None or (place.command, place.output) != (ENCODED, "encoder"):
        due = places.PLACES[ENCODED].files["encoder"]
        raise UserError(f"{head}: names {named!r} as its encoder, expected {due}. Fit the head again.")
    lies = places.find(head.resolve())
    if lies is None or lies.command != FITTED:
        raise UserError(
            f"{head}: is a linear head on the features of a frozen network, and lies in no results folder. Name the "
            f"head where its run lies, in a results folder that has {named}, too."
        )
    path = places.root_of(head, FITTED) / named
    if not path.is_file():
        raise UserError(
            f"{head}: is a linear head on the features of a frozen network, and there is no {path}. Name the head "
            f"where its run lies, in a results folder that has {named}, too."
        )
    if (found := io.sha256(path)) != sha256:
        raise UserError(
            f"{path}: found the SHA-256 {found}, expected {sha256}, that of the encoder which {head} was "
            f"fitted on. Run the study again, so that both belong together."
        )
    return path


def chosen(trained: Mapping[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The rules for new images: those ``given``, else those of the training images; what contradicts these is said."""
    for name, value in given.items():
        known = trained.get(name)
        # refuse: no training image had more than 8 bits
        if value and known not in (None, "refuse") and written(value) != written(known):
            print(
                f"--{name} {written(value)}: the training images were made with {name} '{written(known)}'. Predictions "
                f"of the same files may differ from the run's; leave --{name} out for what it was trained on.",
                file=sys.stderr,
            )
    if trained.get("colour", COLOUR) != COLOUR:
        print(
            f"The training images were decoded by other rules ({trained['colour']}) than here ({COLOUR}). Predictions "
            f"of the same files may differ from the run's; use the version of this program that trained the model.",
            file=sys.stderr,
        )
    default = {"resize": "stretch", "deep": "refuse"}
    return {name: value or trained.get(name) or default[name] for name, value in given.items()}


def written(rule: str | Mapping[str, float]) -> str:
    """A rule as the command line has it: a word, or both ends of a range of grey values."""
    return rule if isinstance(rule, str) else f"{rule['low']:.9g},{rule['high']:.9g}"


@contextmanager
def by_arguments() -> Iterator[None]:
    """Messages about images name options of a source; here they are arguments of the command."""
    try:
        yield
    except UserError as error:
        text = str(error).replace("set source.follow_links to true", "add --follow-links")
        text = re.sub(r"for example deep: \{low: ([^,]+), high: ([^}]+)\}", r"for example --deep=\1,\2", text)
        raise UserError(text.replace("source.deep", "--deep")) from None


def predict_folder(
    model: Path, folder: Path, out: Path, device: str = "cpu", resize: str | None = None, deep: Deep | None = None,
    follow_links: bool = False,
) -> None:  # fmt: skip
    """Write a CSV with one row an image below ``folder``: its path there and the probability of each class.

    ``resize`` says how images of another size are brought to the model's: ``stretch``, ``crop`` or ``pad``; ``deep``
    how grey values of more than 8 bits become 8: ``refuse``, ``scale``, ``stretch`` or a range ``{low, high}``. None is
    what was done to the training images (of percentiles the range that these had; where the model does not say,
    ``stretch`` and ``refuse``), so that their own files get the run's stored predictions; another choice than theirs is
    said on standard error, and so are images that are left out. Links out of the folder are images only with
    ``follow_links``. No image, or a file that is none, is a UserError.
    """
    trained = load(model, device)
    resize, deep = chosen(trained.images, {"resize": resize, "deep": deep}).values()
    told: list[str] = []
    with by_arguments():
        require_range(deep)
        named = relative_names(image_files(folder, follow_links, told), folder, follow_links)
    for sentence in told:
        print(sentence, file=sys.stderr)
    size = (trained.width, trained.height)
    with by_arguments(), io.atomic(out) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", *trained.classes])
        names = list(named)
        for start in progress(range(0, len(names), BATCH), "predict"):
            batch = names[start : start + BATCH]
            images = [read_image(named[name], deep).image for name in batch]
            images = [image if image.size == size else resized(image, size, resize) for image in images]
            for name, p in zip(batch, trained(np.stack([np.asarray(image) for image in images])), strict=True):
                writer.writerow([name, *(f"{value:.6f}" for value in p)])
