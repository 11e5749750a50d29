"""The GPUs of this machine: which of them a training may use, who uses which, and what a training takes of one.

Snakemake counts GPUs and does not say which one a job gets. So each training that it starts on this machine takes a
*place*: one of SLOTS on one of the GPUs, a lock that dies with its owner. The locks lie in the machine's folder of
temporary files, one folder a user, as several studies share a GPU. Where the variable SLOTS is not set (a job of a
cluster, a training by hand) the GPU is the training's own: the first that it sees, without a lock.

Standard library only: this is asked where PyTorch is not imported, or must not have looked at a GPU yet.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from . import locks, nvidia, registry
from .errors import UserError

SLOTS = "SOFTLABELS_GPU_SLOTS"  # environment variable: how many trainings share a GPU; `gpu_slots` of the configuration
VISIBLE = "CUDA_VISIBLE_DEVICES"
SMI_SECONDS = 60  # nvidia-smi takes a second where the driver was not loaded
COUNT_SECONDS = 300  # PyTorch may come from a slow file server
SHUN_SECONDS = 600  # a GPU on which CUDA did not start, while there are others
MB = 2**20

# -- what a training takes ---------------------------------------------------------------------------------------------

# Estimated, not measured. Before anything is on a GPU: CUDA's context, kernels, workspaces of cuBLAS and cuDNN.
LEAST_MB = 900
PIPELINE, COLOURED = 45, 45  # float32 numbers a pixel of a batch in augmentation; as many again where colours change
IN_FLIGHT = 1.3  # what a step holds at its peak, as a multiple of what its forward pass keeps
# What is predicted at a time on a GPU, in pixels and in batches (as training/loop.py has it), and the float32 numbers a
# pixel that it holds: images, and a share of what a step would keep.
PREDICTED_PIXELS, PREDICTED_BATCHES, PREDICTED, PREDICTED_SHARE = 2**24, 4, 60, 0.05


def is_coloured(recipe: dict[str, Any]) -> bool:
    """Whether augmentation changes more than the places of pixels."""
    augment = recipe["augment"]
    return bool(augment["hue"] or augment["brightness"] or augment["zoom"] < 1
                or augment["saturation"] != [1, 1] or augment["contrast"] != [1, 1])  # fmt: skip


def of_step(recipe: dict[str, Any], batch: int, area: int, number: int = 4) -> float:
    """Bytes that a step holds at its peak, beside weights and images: activations and what augmentation makes.

    Args:
        recipe: of the training.
        batch: images a step.
        area: pixels of an image.
        number: bytes of each number that the network keeps for the backward pass.
    """
    area = seen(recipe, area)
    kept = IN_FLIGHT * registry.size_of_network(recipe["network"]["kind"])["activations"] * number
    return batch * area * (kept + 4 * (PIPELINE + is_coloured(recipe) * COLOURED))


def seen(recipe: dict[str, Any], area: int) -> int:
    """Pixels that the network sees of an image of so many: those that it is enlarged to."""
    return recipe["upscale"] ** 2 if recipe.get("upscale") else area


def of_weights(recipe: dict[str, Any]) -> float:
    """Bytes of the weights, as often as a training has them: gradients, momentum, the best ones, two copies."""
    return 4 * registry.size_of_network(recipe["network"]["kind"])["parameters"] * (
        5 + (recipe["select"] == "best_validation")
    )  # fmt: skip


def beside_images(recipe: dict[str, Any], items: int, area: int, classes: int) -> float:
    """Bytes that a training is expected to take of a GPU, without the images.

    Args:
        recipe: of the training.
        items: of the data set.
        area: pixels of an image.
        classes: how many.
    """
    batch, number = min(recipe["batch"], items), 4 if recipe["precision"] == "float32" else 2
    area = seen(recipe, area)
    each = 4 * (PREDICTED + PREDICTED_SHARE * registry.size_of_network(recipe["network"]["kind"])["activations"])
    of_predictions = min(PREDICTED_PIXELS, PREDICTED_BATCHES * batch * area) * each
    of_items = items * (8 * classes + 80)  # targets, and the draws of an epoch
    return LEAST_MB * MB + of_weights(recipe) + of_step(recipe, batch, area, number) + of_predictions + of_items


# -- which there are ---------------------------------------------------------------------------------------------------


class Card(NamedTuple):
    """A GPU, or a part of one that its administrator made (MIG).

    Attributes:
        index: nvidia-smi's number of the whole GPU.
        name: what it is.
        uuid: its name among all, as CUDA_VISIBLE_DEVICES takes it.
        whole: of a part, the UUID of the whole GPU; otherwise its own.
    """

    index: int
    name: str
    uuid: str
    whole: str


def listed() -> list[Card] | None:
    """All GPUs that nvidia-smi shows, the parts in place of one that is divided; None where it cannot be asked."""
    text = nvidia.asked("-L", patience=SMI_SECONDS)
    if text is None and shutil.which("nvidia-smi"):  # by other names a GPU's places would be taken twice
        text = nvidia.asked("-L", patience=SMI_SECONDS)
    if text is None:
        return None
    wholes: list[Card] = []
    parts: list[Card] = []
    for line in text.splitlines():
        if found := re.match(r"GPU (\d+): (.*) \(UUID: (\S+)\)", line):
            wholes.append(Card(int(found[1]), found[2], found[3], found[3]))
        elif wholes and (found := re.match(r"\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (\S+)\)", line)):
            above = wholes[-1]
            parts.append(Card(above.index, f"{above.name} MIG {found[1]}", found[2], above.uuid))
    divided = {part.whole for part in parts}
    return [card for whole in wholes for card in ([whole] if whole.uuid not in divided else parts)
            if card.whole == whole.uuid]  # fmt: skip


def counted() -> int:
    """How many of the visible GPUs PyTorch finds; 0, and a line in the log, where it cannot say.

    In a process of its own: without NVML, counting starts CUDA, which then looks at CUDA_VISIBLE_DEVICES no more.
    """
    words = [sys.executable, "-Pc", "import torch; print(torch.cuda.device_count())"]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=COUNT_SECONDS, check=True
        )
        return int(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        _say(f"PyTorch did not say how many GPUs there are ({type(error).__name__}): no place on one is taken")
        return 0


def usable(count: Callable[[], int] = lambda: 0) -> list[Card]:
    """The GPUs that a process started now may use: all, or those of CUDA_VISIBLE_DEVICES, in its order.

    Its numbers are those of nvidia-smi, as with CUDA_DEVICE_ORDER=PCI_BUS_ID. As CUDA does, nothing is looked at
    behind the first name that is none.

    Args:
        count: says how many there are, where nvidia-smi cannot be asked; they then have no names but their numbers.
    """
    there, given = listed(), os.environ.get(VISIBLE)
    words = None if given is None else [word.strip() for word in given.split(",")]
    if there is None:
        number = count()
        names = (words or list(map(str, range(number))))[:number]
        return [Card(at, "GPU", name, name) for at, name in enumerate(names)]
    if words is None:
        return there
    found: dict[Card, None] = {}
    for word in words:
        if word.isdecimal():
            same = [card for card in there if card.index == int(word)]
        else:
            same = [
                card for card in there if word[4:] and any(name.startswith(word) for name in (card.uuid, card.whole))
            ]
        if not same:
            break
        found |= dict.fromkeys(same)
    return list(found)


def memory(cards: list[Card]) -> dict[Card, int]:
    """MB of each whole GPU, where nvidia-smi says it."""
    said = {uuid: int(total) for uuid, total in nvidia.table("gpu", ("uuid", "memory.total")) if total.isdecimal()}
    return {card: said[card.uuid] for card in cards if card.uuid in said}


def at_once(slots: int) -> int:
    """How many trainings may use the GPUs of this machine at once; where none is found, those of one."""
    return max(1, len(usable())) * slots


# -- who uses which ----------------------------------------------------------------------------------------------------


class NotStartedError(UserError):
    """CUDA does not start on the GPU that this process sees, and not because its memory is full."""


def slots() -> int:
    """How many trainings share the GPU of this one."""
    return int(os.environ.get(SLOTS) or 1)


def folder() -> Path:
    """Where the locks of this user lie on this machine; nobody else may write there.

    Raises:
        UserError: it is no folder, somebody else's, or others may write in it; or it cannot be made.
    """
    name = f"softlabels-gpus-{os.getuid()}"
    with _writing(name):
        place = Path(tempfile.gettempdir(), name)
        with suppress(FileExistsError):  # a file or a link, of which the next lines tell
            place.mkdir(mode=0o700)
        about = place.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o077:
        raise UserError(
            f"{place}: expected a folder of user {os.getuid()} that nobody else may enter, for the locks of trainings "
            f"on a GPU. Remove it, or set TMPDIR to another folder for temporary files."
        )
    return place


@contextmanager
def _writing(place: str | Path) -> Iterator[None]:
    """Turn what the file system refuses in the block into one UserError: it is not the folder of results that lacks."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or place}: {error.strerror or error}. The locks of trainings on a GPU could not be "
            f"written. Make room in the folder for temporary files, or set TMPDIR to another (the same one for all "
            f"trainings on this machine), and run again."
        ) from None


@contextmanager
def taken(device: str) -> Iterator[dict[str, Any] | None]:
    """Take a place on a GPU for the length of a block, and show this process that GPU alone: CUDA then has no other.

    CUDA must not have been used before. Where all places are taken, the log says by whom, and this waits.

    A GPU on which CUDA did not start is left out for SHUN_SECONDS, as long as there are others: its places would always
    be free, and training after training would fail there. A mark beside its locks tells the others.

    Args:
        device: of the recipe. For any but ``cuda``, and where SLOTS is not set, nothing is done.

    Yields:
        ``gpu``, ``uuid``, ``slot`` (from 1) and ``slots`` of the place, or None where there is none.

    Raises:
        UserError: the folder of the locks cannot be trusted, or not be written.
    """
    cards = usable(counted) if device == "cuda" and os.environ.get(SLOTS) else []
    if not cards:  # who asks for a GPU will say that there is none
        yield None
        return
    at, most = folder(), slots()
    names = {card: re.sub("[^A-Za-z0-9-]", "_", card.uuid) for card in cards}
    marks = {card: at / f"{name}.failed" for card, name in names.items()}
    places = {at / f"{names[card]}-{slot}.lock": (card, slot) for slot in range(1, most + 1) for card in cards}
    begun, waited, sound, said = time.monotonic(), False, cards, set[Card]()

    def tried() -> list[Path]:
        nonlocal sound
        sound = [card for card in cards if not _is_fresh(marks[card])] or cards
        for card in cards:
            if card not in sound and card not in said:
                said.add(card)
                _say(f"{card.name}, {card.uuid}, is left out: CUDA did not start there within the last "
                     f"{SHUN_SECONDS / 60:.0f} minutes")  # fmt: skip
        return [lock for lock, (card, _) in places.items() if card in sound]

    def busy(owners: list[str]) -> None:
        nonlocal waited
        waited = True
        kinds = ", ".join(dict.fromkeys(card.name for card in sound))
        _say(f"all {len(owners)} places on {len(sound)} GPU{'s'[: len(sound) != 1]} ({kinds}) are taken: waiting for "
             f"{'; '.join(dict.fromkeys(owners))}")  # fmt: skip

    with ExitStack() as stack:
        with _writing(at):  # the taking alone, not what the block does
            lock = stack.enter_context(locks.one_of(tried, busy))
        card, slot = places[lock]
        after = f", after {time.monotonic() - begun:.0f} s" if waited else ""
        _say(f"trains on {card.name}, {card.uuid}, place {slot} of {most}{after}")
        before = os.environ.get(VISIBLE)
        os.environ[VISIBLE] = card.uuid
        try:
            yield {"gpu": card.name, "uuid": card.uuid, "slot": slot, "slots": most}
        except NotStartedError:
            with suppress(OSError):  # what cannot be marked is tried again
                marks[card].touch()
            raise
        finally:
            os.environ.pop(VISIBLE, None)
            if before is not None:
                os.environ[VISIBLE] = before


def _is_fresh(mark: Path) -> bool:
    """Whether CUDA failed lately on the GPU of this mark."""
    try:
        made = mark.stat().st_mtime
        return abs(locks.server_time(mark.parent) - made) < SHUN_SECONDS  # if the clock was set back, not for ever
    except OSError:
        return False


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
