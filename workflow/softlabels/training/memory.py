"""How much memory is free, and what to say when there was not enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .. import gpus, main_memory
from ..errors import UserError, is_lack_of_memory


def free(device: torch.device) -> int:
    """Bytes that this process may still take on a device."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else main_memory.free()


def room(device: torch.device, beside: float) -> float:
    """Bytes of images that may stay on a device: half of the main memory that is free; of a GPU what its slot leaves.

    Args:
        device: where the training runs.
        beside: bytes that it is expected to take besides; of main memory, they are in the other half.
    """
    if device.type == "cpu":
        return free(device) // 2
    return min(free(device), torch.cuda.mem_get_info(device)[1] // gpus.slots()) - beside


def _of_gpu() -> str:
    """The GPU and what is free of it, in words."""
    try:
        left, total = torch.cuda.mem_get_info()
    except RuntimeError:  # not even CUDA itself found room
        return "GPU, where CUDA could not start"
    return f"GPU {torch.cuda.get_device_name()}, {left / 2**30:.1f} of {total / 2**30:.1f} GiB free"


@contextmanager
def explained(recipe: dict[str, Any]) -> Iterator[None]:
    """Turn a lack of memory in the block into one UserError that says what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        if recipe["device"] == "cuda":
            place = _of_gpu()
            shared = f"gpu_slots lower than {gpus.slots()}, " if gpus.slots() > 1 else ""
            more = f"{shared}a GPU with more memory, or one that no other job uses"
        else:
            place = f"main memory, {free(torch.device('cpu')) / 2**30:.1f} GiB free"
            more = "more memory (on a cluster: resource mem_mb of the rule train)"
        raise UserError(
            f"Not enough memory ({place}) to train {recipe['network']['kind']} with recipe.batch {recipe['batch']}. "
            f"Ask for {more}, or lower recipe.batch (then this recipe's runs are trained anew). Images that "
            f"do not fit beside a step are read from their file, batch by batch. The state that was saved last is kept."
        ) from None
