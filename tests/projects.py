"""Copies of the project in which Snakemake runs."""

from __future__ import annotations

import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = ("Snakefile", "softlabels", "workflow", "config", "profiles", "envs", "requirements.lock")
TINY = "config/tiny.yaml"
TARGET_RULES = {"default", "all", "prepare", "total"}


class Project:
    """A copy of the project in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.environment = {
            **os.environ,
            **threads,
            "PYTHONPATH": str(folder / "workflow"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, *words: str) -> subprocess.Popen:
        """Start ``python *words`` in the folder, in a process group of its own; what it prints goes to ``printed``."""
        with (self.folder / "printed").open("w") as printed:
            return subprocess.Popen(
                [sys.executable, *words],
                cwd=self.folder,
                env=self.environment,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def printed(self) -> str:
        """What the process started last has printed."""
        return (self.folder / "printed").read_text()

    def python(self, *words: str, status: int = 0) -> str:
        """Run ``python *words`` to its end and return what it printed; its exit status must be ``status``."""
        process = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
        )
        assert process.returncode == status, process.stdout
        return process.stdout

    def snakemake(self, *words: str, config: str | None = TINY, status: int = 0) -> str:
        """Run Snakemake on two cores and return what it printed."""
        configfile = ["--configfile", config] if config else []
        return self.python("-m", "snakemake", *words, "--cores", "2", *configfile, status=status)

    def softlabels(self, *words: str, status: int = 0) -> str:
        """Run the package's command line and return what it printed."""
        return self.python("-Pm", "softlabels", *words, status=status)

    def planned(self, *words: str, config: str = TINY) -> dict[str, int]:
        """How many jobs of each rule Snakemake would run, without the rules that only name targets."""
        text = self.snakemake("--dry-run", *words, config=config)
        if "Nothing to be done" in text:
            return {}
        table = re.search(r"^job +count\n-+ +-+\n((?:\w+ +\d+\n)+)", text, re.MULTILINE)
        assert table, text
        counts = dict(line.split() for line in table[1].splitlines())
        return {rule: int(count) for rule, count in counts.items() if rule not in TARGET_RULES}

    def edit(self, path: str, *changes: tuple[str, str]) -> None:
        """Replace texts that must be there."""
        file = self.folder / path
        text = file.read_text()
        for old, new in changes:
            assert old in text, f"{path}: no {old!r}"
            text = text.replace(old, new)
        file.write_text(text)

    def configure(self, path: str = TINY, **changes) -> str:
        """Write a changed copy of the tiny configuration; ``recipes__tiny_compact__epochs=3`` sets a nested key."""
        config = yaml.safe_load((REPOSITORY / TINY).read_text())
        for keys, value in changes.items():
            *parents, last = keys.split("__")
            place = config
            for key in parents:
                place = place.setdefault(key, {})
            place[last] = value
        (self.folder / path).write_text(yaml.safe_dump(config))
        return path

    def commit(self) -> None:
        """Make the folder a git checkout."""
        author = ["-c", "user.name=softlabels", "-c", "user.email=softlabels@example.org"]
        subprocess.run(["git", "init", "-q"], cwd=self.folder, check=True)
        (self.folder / ".git/info/exclude").write_text("__pycache__\n")
        for words in (["add", *SOURCES], [*author, "commit", "-q", "-m", "The workflow"]):
            subprocess.run(["git", *words], cwd=self.folder, check=True)

    def contents(self, *folders: str) -> dict[str, bytes]:
        """The bytes of all files below folders of the results, but for what notes times: manifests and the chain."""
        root = self.folder / "results" / "tiny"
        files = [file for folder in folders for file in sorted((root / folder).rglob("*")) if file.is_file()]
        return {
            str(file.relative_to(root)): file.read_bytes()
            for file in files
            if not file.name.endswith(".manifest.json") and file.name != "chain.json"
        }


def copy_sources(folder: Path) -> Project:
    """A project in a new folder, of the sources alone."""
    folder.mkdir(parents=True)
    for name in SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    # Once for all copies and jobs. Of the sources' hashes, not times: an edited file is compiled anew, in every copy.
    compileall.compile_dir(folder / "workflow", quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    return Project(folder)
