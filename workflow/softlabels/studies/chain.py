"""The list of all manifests behind a study's tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import io, places


def run(config: dict[str, Any], inputs: dict[str, list[Path]], outputs: dict[str, Path]) -> None:
    """Write ``chain.json``: path (from the results folder) and SHA-256 of every manifest, in path order.

    ``config`` has the ``study``, ``inputs`` the list ``manifests``.
    """
    root = places.root_of(outputs["chain"], "chain")
    manifests = sorted((path.resolve().relative_to(root).as_posix(), io.sha256(path)) for path in inputs["manifests"])
    entries = [{"path": path, "sha256": digest} for path, digest in manifests]
    io.write_json(outputs["chain"], {"study": config["study"], "manifests": entries})
