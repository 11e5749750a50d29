"""A stand-in for conda, not conda: it answers just the calls that Snakemake makes for ``--use-conda``.

It really solves and installs, with py-rattler, but knows no pip section, pin file or package script. The variables
CONDA_CHANNEL_ALIAS (where channels lie) and CONDA_PKGS_DIRS (unpacked packages) mean what they mean to conda.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import rattler
import yaml

FORGE = "https://conda.anaconda.org/"
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'


def install_in(folder: Path) -> Path:
    """Make a base environment: ``bin/conda``, which is returned, and ``bin/activate``, sourced with another's path."""
    (folder / "bin").mkdir(parents=True)
    conda = folder / "bin/conda"
    conda.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "{folder}" "$@"\n')
    conda.chmod(0o755)
    (folder / "bin/activate").write_text(ACTIVATE)
    return conda


async def solve(environment: Path) -> list[rattler.RepoDataRecord]:
    """The packages that fulfil an environment file on this machine."""
    described = yaml.safe_load(environment.read_text())
    places = rattler.ChannelConfig(os.environ.get("CONDA_CHANNEL_ALIAS", FORGE))
    channels = [rattler.Channel(name, places) for name in described["channels"] if name != "nodefaults"]
    here = rattler.VirtualPackage.detect()
    return await rattler.solve(channels, described["dependencies"], virtual_packages=here)


async def create(environment: Path, prefix: Path) -> None:
    """Solve an environment file and install it."""
    packages = Path(os.environ["CONDA_PKGS_DIRS"])
    await rattler.install(await solve(environment), prefix, cache_dir=packages, show_progress=False)


def main(base: str, *words: str) -> None:
    match words:
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": base, "platform": str(rattler.Subdir.current())}))
        case ["--version"]:
            print("conda 24.7.1")  # the oldest that Snakemake takes
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", "--quiet", "--no-default-packages", "--file", environment, "--prefix", prefix]:
            asyncio.run(create(Path(environment), Path(prefix)))
        case ["clean", "-y", "--tarballs"]:
            pass
        case ["env", "create", "--dry-run", "--file", environment]:  # not of Snakemake: for a test
            print(*(f"{record.name.normalized}={record.version}" for record in asyncio.run(solve(Path(environment)))))
        case _:
            sys.exit(f"The stand-in does not know: conda {' '.join(words)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # threads of py-rattler can crash a Python that ends in the usual way
