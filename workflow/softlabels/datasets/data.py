"""Generate or import a data set with the source that its configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import registry
from ..errors import UserError
from .folder import image_files


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write the data set contract.

    Args:
        config: ``source`` (its ``kind`` and options, without paths) and ``reference``.
        inputs: as the source needs: ``folder`` of images, ``counts``, ``votes``.
        outputs: ``images``, ``items``, ``annotations``, ``reference``.

    Raises:
        UserError: a source file is missing or wrong.
    """
    files: dict[str, Any] = dict(inputs)
    if "folder" in files:
        if not files["folder"].is_dir():
            raise UserError(f"{files['folder']}: no such folder of images. Correct source.images or data_folder.")
        files["images"] = image_files(files["folder"])
        if not files["images"]:
            raise UserError(f"{files['folder']}: found no image file. Correct source.images or data_folder.")
    for name in ("counts", "votes"):
        if name in files and not files[name].is_file():
            raise UserError(f"{files[name]}: no such file. Correct source.{name} or data_folder.")
    registry.load("source", config["source"]["kind"])(config, files, outputs)
