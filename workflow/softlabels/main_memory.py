"""How much main memory is free for this process: the least of what the machine, its cgroup and SLURM leave."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path


def free(root: Path = Path("/")) -> int:
    """Bytes that this process may still take; ``root`` is where ``proc`` and ``sys`` are."""
    return max(0, min([_of_machine(), *_of_cgroups(root), *_of_slurm()]))


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
