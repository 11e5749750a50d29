"""Generate or import a data set with the source that its configuration names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import io, registry, schema
from ..errors import Problems, UserError
from . import archives, contract, imported, people
from .folder import image_files

OTHER_PEOPLE = "other_people"


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path], threads: int = 1) -> None:
    """Write the data set contract, or nothing if anything is wrong with the source's files.

    Args:
        config: ``source`` (its ``kind`` and options, without paths) and ``reference`` (``votes``, ``exact``, or
            ``other_people`` with ``reference_seed``).
        inputs: as the source needs: ``folder`` of images, ``counts``, ``votes``, ``archive`` …
        outputs: ``images``, ``items``, ``annotations``, ``reference``.
        threads: how many threads may decode images.
    """
    with opened(config, inputs, outputs["images"].parent) as content:
        contract.write(content, config["reference"], outputs, threads)


@contextmanager
def opened(config: dict[str, Any], inputs: dict[str, Path], scratch: Path) -> Iterator[contract.Content]:
    """The content of a source, as long as its files are there: an archive is unpacked in ``scratch`` until the end."""
    problems = Problems()
    config = schema.restored(config, schema.of_command())  # options that are newer than a source: as before them
    reference, source = config["reference"], readable(config["source"])
    if "archive" in inputs:
        source["follow_links"] = False  # which lead anywhere, in a file of somebody else's
    for key, path in inputs.items():
        kind, there = ("folder", path.is_dir()) if key == "folder" else ("file", path.is_file())
        if not there:
            problems.add(f"{path}: no such {kind}. Correct the paths of the source, or data_folder.")
        elif not os.access(path, os.R_OK):
            problems.add(f"{path}: may not be read. Change its permissions.")
    problems.stop()
    with ExitStack() as stack:
        files: dict[str, Any] = dict(inputs)
        if "archive" in files:
            algorithm, _, digest = (source["checksum"] or "").partition(":")  # sha256:HEX or md5:HEX
            known = archives.Expected(**({algorithm: digest.lower()} if digest else {}))
            if found := archives.difference(files["archive"], known):
                raise UserError(
                    f"{files['archive']}: {found}. It is half a download or another file: delete it and download it "
                    f"again, or correct source.checksum."
                )
            for left in scratch.glob(".unpacked-*"):  # by a job that was killed
                shutil.rmtree(left)
            files["folder"] = stack.enter_context(archives.unpacked(files["archive"], scratch))
            stack.enter_context(named(files["folder"], files["archive"]))
        if "folder" in files:
            files["images"] = image_files(files["folder"], source.get("follow_links", False), problems.remarks)
        content = registry.load("source", source["kind"])(source, files, problems)
        problems.stop()
        if source.get("merged") and content.classes != [name for name, labels in source["merged"] if labels]:
            raise UserError(f"source.classes: found a mapping, which {source['kind']} does not know. Give a list.")
        if (content.p if reference == "exact" else content.votes) is None:
            other = "votes" if reference == "exact" else "exact"
            raise UserError(f"reference: found '{reference}', which this source does not know. Set it to '{other}'.")
        read = [path for path in inputs.values() if path.is_file()]
        noted = {path.name: {"bytes": path.stat().st_size, "sha256": io.sha256(path)} for path in read}
        content = replace(content, notes={"files": noted, **content.notes})
        yield people.apart(content, config["reference_seed"]) if reference == OTHER_PEOPLE else content


def readable(source: dict[str, Any]) -> dict[str, Any]:
    """The options of a source as its reader knows them: ``classes`` is a list or None, also where it is a mapping.

    The mapping is ``merged`` (see :func:`.imported.merging`).
    """
    if not isinstance(source.get("classes"), list):
        return dict(source)
    return source | dict(zip(("classes", "merged"), imported.merging(source["classes"]), strict=True))


@contextmanager
def named(folder: Path, archive: Path) -> Iterator[None]:
    """Name the archive, not the folder that it is unpacked in and that will be gone, in a message on its content."""
    try:
        yield
    except UserError as error:
        listed = {text.replace(str(folder), str(archive)): times for text, times in error.listed.items()}
        raise UserError(str(error).replace(str(folder), str(archive)), listed) from None
