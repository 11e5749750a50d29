"""What a recipe asks of a machine that not every machine has: a compiler, a processor that computes with bfloat16.

Standard library only: `check` asks without loading torch, and a training before its first step.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROCESSOR = Path("/proc/cpuinfo")
# What Linux calls them: of x86 with AVX-512 or AMX, and of ARM.
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


def of(recipe: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What this machine lacks for a recipe: its key, and what was looked for and what to do."""
    on_gpu = recipe["device"] == "cuda"
    if recipe["precision"] == "bfloat16" and not on_gpu and not BFLOAT16 & processor_flags():
        yield (
            "precision",
            f"found a processor ({_processor()}) that does not compute with bfloat16, expected one that does (Linux "
            f"then lists {', '.join(sorted(BFLOAT16))}). Set precision: auto, or train on another machine.",
        )
    if recipe["compile"]:
        missing = list(_for_triton() if on_gpu else _for_cpp())
        if missing:
            yield (
                "compile",
                f"found no {' and no '.join(missing)}, which torch.compile needs. Install that (on Debian and Ubuntu: "
                f"apt install g++ python3-dev), or set compile: false.",
            )


def processor_flags() -> set[str]:
    """What this machine's processor can do, as Linux says; nothing where it is not asked so."""
    return set(_line("flags").split()) | set(_line("Features").split())


def _processor() -> str:
    return _line("model name") or platform.processor() or platform.machine()


def _line(name: str) -> str:
    """The first line of this name of what Linux says of its processors."""
    try:
        text = PROCESSOR.read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux
        return ""
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")


def _for_cpp() -> Iterator[str]:
    """What is missing where PyTorch writes C++; it looks for these itself."""
    if shutil.which(cpp_compiler()) is None:
        yield f"C++ compiler ({cpp_compiler()}; the environment's CXX names another)"
    yield from _headers()


def cpp_compiler() -> str:
    """The C++ compiler that PyTorch takes."""
    default = "clang++" if sys.platform == "darwin" else "g++"
    return (shlex.split(os.environ.get("CXX", "")) or [default])[0]


def _for_triton() -> Iterator[str]:
    """What is missing where Triton writes for a GPU, and C code that starts what it wrote."""
    if not any(Path(place, "triton").is_dir() for place in sys.path):
        yield "module triton"
    named = shlex.split(os.environ.get("CC", ""))
    if not any(map(shutil.which, named[:1] or ["gcc", "clang"])):
        yield f"C compiler ({named[0] if named else 'gcc, clang'}; the environment's CC names another)"
    yield from _headers()


def _headers() -> Iterator[str]:
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if not header.is_file():
        yield f"header of Python ({header})"
