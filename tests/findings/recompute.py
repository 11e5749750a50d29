"""Recompute every number of README's answer and of docs/findings.md from stored predictions; fail when one is off.

    python tests/findings/recompute.py                        # from docs/findings/, in the repository
    python tests/findings/recompute.py --results results      # from a results folder that holds the studies
    python tests/findings/recompute.py --correct              # write the recomputed numbers into the texts
    python tests/findings/recompute.py --data cifar10h=/path  # votes of a data set that are not ours to pass on

Needs numpy, scipy, threadpoolctl and pyarrow. Nothing of the project's metrics or intervals is used: ``measures.py``
has them again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:1] = [str(ROOT / "tests"), str(ROOT / "workflow")]

import pyarrow as pa  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

from findings import archive, texts  # noqa: E402
from findings.claims import PENDING, SETTINGS, WHOLE, claims  # noqa: E402
from findings.study import Study  # noqa: E402


def recompute(
    results: Path | None = None, folders: Mapping[str, Path] | None = None, folder: Path = archive.FOLDER
) -> tuple[list[texts.Checked], list[texts.Problem], list[texts.Skipped]]:
    """Numbers that were compared, problems, and why some claims could not be checked here.

    Args:
        results: a results folder that holds the studies; None for the archives in ``folder``.
        folders: where data sets lie that were not generated, by name.
    """

    @cache
    def study(name: str) -> Study:
        return Study(name, lambda: load(name))

    def load(name: str) -> archive.Archive:
        if name.startswith("gpu/"):
            return archive.pair(ROOT / "docs" / name)
        if results is not None and (results / "studies" / name).is_dir():
            return archive.collect(results, name, folders=folders)
        if results is not None:
            raise archive.Unavailable(f"{results} holds no study {name}")
        if name in PENDING and not (folder / f"{name}.parquet").is_file():
            raise archive.Unavailable(f"{name} {PENDING[name]}")
        return archive.read(name, folder, folders)

    made = list(claims(study))
    files = texts.read(ROOT, {claim.file for claim in made} | {*WHOLE})
    with threadpool_limits(1):  # on small matrices, threads mostly wait for each other
        found = texts.check(files, made, SETTINGS, WHOLE)
    stale = [name for name in PENDING if (folder / f"{name}.parquet").is_file()]
    found[1].extend(
        texts.Problem("tests/findings/claims.py", 1, f"{name} has an archive now. Take it off PENDING.")
        for name in stale
    )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print what is off, what could not be checked, and how much was; 1 if a number is off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="a results folder, instead of the archive")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=FOLDER", help="where a data set lies")
    parser.add_argument("--list", action="store_true", help="print every number beside the recomputed one")
    parser.add_argument("--correct", action="store_true", help="replace numbers that are off; read the sentences again")
    told = parser.parse_args(arguments)
    if told.results is not None and not (told.results / "studies").is_dir():
        parser.error(f"--results {told.results}: found no folder 'studies' there. Name a results folder.")
    if wrong := [of for of in told.data if "=" not in of or not Path(of.partition("=")[2]).is_dir()]:
        parser.error(f"--data {wrong[0]}: expected NAME=FOLDER of a data set, such as cifar10h=../cifar10h.")
    folders = dict(of.split("=", 1) for of in told.data)
    try:
        found, problems, skipped = recompute(told.results, {name: Path(path) for name, path in folders.items()})
    except (OSError, pa.ArrowException) as error:
        print(
            f"An archive cannot be read ({error}). Restore docs/findings, or archive the study again.", file=sys.stderr
        )
        return 1
    if told.correct:
        for file in {number.file for number in found}:
            text = (ROOT / file).read_text(encoding="utf-8")
            (ROOT / file).write_text(texts.corrected(text, [n for n in found if n.file == file]), encoding="utf-8")
    for line in [*(found if told.list else []), *problems]:
        print(line)
    for line in skipped:
        print(f"not checked: {line}")
    print(f"{len(found)} numbers recomputed, {len(problems)} problems, {len(skipped)} claims not checked")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
