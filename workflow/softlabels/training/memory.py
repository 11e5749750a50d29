"""How much memory is free, and what to say when there was not enough."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from .. import gpus
from ..errors import UserError, is_lack_of_memory


def free(device: torch.device, root: Path = Path("/")) -> int:
    """Bytes that this process may still take on a device; on the CPU the least of what machine, cgroup and SLURM leave.

    ``root`` is where ``proc`` and ``sys`` are.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return max(0, min([_of_machine(), *_of_cgroups(root), *_of_slurm()]))


def room(device: torch.device, beside: float) -> float:
    """Bytes of images that may stay on a device: half of the main memory that is free; of a GPU what its slot leaves.

    Args:
        device: where the training runs.
        beside: bytes that it is expected to take besides; of main memory, they are in the other half.
    """
    if device.type == "cpu":
        return free(device) // 2
    return min(free(device), torch.cuda.mem_get_info(device)[1] // gpus.slots()) - beside


def _of_machine() -> int:
    try:
        import psutil
    except ImportError:  # not needed for more than this; free pages are a lower bound of what is available
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return psutil.virtual_memory().available


def _of_cgroups(root: Path) -> Iterator[int]:
    """What each control group above this process leaves (version 2, or the memory controller of version 1).

    Pages of files that were not used lately count as free: the kernel gives them up first.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            mount = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        limit, used, reclaimable = names
        group = mount / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(mount):
                try:
                    most, now = int((folder / limit).read_text()), int((folder / used).read_text())
                    counts = dict(row.split() for row in (folder / "memory.stat").read_text().splitlines())
                except (OSError, ValueError):  # no limit here ("max"), or a folder that a container does not see
                    continue
                yield most - now + int(counts.get(reclaimable, 0))


def _of_slurm() -> Iterator[int]:
    """What the job asked for (in MB) less the most that this process held; 0 stands for all of the node."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    processors = os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get("SLURM_CPUS_ON_NODE") or "1"
    for name, times in (("SLURM_MEM_PER_NODE", "1"), ("SLURM_MEM_PER_CPU", processors)):
        megabytes = int(os.environ.get(name) or 0) * int(times)
        if megabytes:
            yield megabytes * 2**20 - held


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
