"""How long a training's process takes to its first step, beside one that imports PyTorch and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training_files import RECIPE, command, write_data

from . import lines

ITEMS, PIXELS, DISK = 15_000, 32, 1e9  # the default data set; bytes a second that reading it may take
# The command line as it is, which ends when the first step has.
FIRST_STEP = """
import os, sys
from softlabels import cli
from softlabels.training import loop

step = loop.Trainer.step
def first(*arguments):
    step(*arguments)
    os._exit(7)
loop.Trainer.step = first
sys.argv = sys.argv[1:]
cli.main()
"""


def process(words: list[str], status: int) -> None:
    found = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    if found.returncode != status:
        raise RuntimeError(f"status {found.returncode}, not {status}: {found.stderr.strip().splitlines()[-1:]}")


def first_step(quick: bool) -> Iterator[dict[str, Any]]:
    """From the start of the process to the end of its first step."""
    folder = Path(tempfile.mkdtemp())
    inputs = write_data(folder / "data", n=ITEMS, size=(PIXELS, PIXELS), classes=6)
    words = ["-c", FIRST_STEP, *command(folder / "run", inputs, {**RECIPE, "epochs": 40})]
    read = inputs["images"].stat().st_size / DISK
    ours, imported = lines.timed(lambda: process(words, 7)), lines.timed(lambda: process(["-c", "import torch"], 0))
    yield lines.compared(
        "process start to first step", lambda: ours() - read, imported, "s", 2.0, at_least=False,
        times=1 if quick else 7, against=f"import torch; ours less {read:.2f} s, the data at 1 GB/s",
    )  # fmt: skip
