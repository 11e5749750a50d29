"""The sources are formatted, and Snakemake and ruff have nothing to say against them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from projects import REPOSITORY

BIN = Path(sys.executable).parent


def check(*command: str) -> None:
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}  # snakefmt calls shfmt
    process = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_snakemake_lint_finds_nothing(fresh):
    assert "Congratulations" in fresh.snakemake("--lint", config=None)


def test_rules_are_formatted():
    check("snakefmt", "--check", "Snakefile", "workflow/Snakefile", "workflow/rules")


def test_python_is_free_of_lint():
    check("ruff", "check", "--no-cache", ".")


def test_python_is_formatted():
    check("ruff", "format", "--no-cache", "--check", ".")
