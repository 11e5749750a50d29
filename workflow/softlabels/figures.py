"""`softlabels figures`: the figures of a finished study again, at the sizes of a paper or of slides.

Each is drawn from what its manifest says that it was drawn from; its caption is a text file beside it.
"""

from __future__ import annotations

from pathlib import Path

from . import drawing, io, registry, schema
from .errors import UserError
from .places import MANIFEST, PLACES, of_study, parse
from .provenance.evidence import Results, entries, reading
from .provenance.explain import locate
from .studies.figure import drawn

PICTURES = {"paper": ("pdf",), "slides": ("pdf", "png")}  # programs for slides read PNG, and not all of them PDF


def figures(study: str, medium: str, out: Path) -> None:
    """Draw all figures of a study (its name, folder or a table of it) for a medium of ``drawing.MEDIA``.

    Raises:
        UserError: no such study, one that is not finished or has no figures, files of it that are lost, or a folder
            that holds anything.
    """
    results, name = locate(study)
    if not (results.root / of_study(name, "cells")).is_file():
        raise UserError(
            f"Study {name}: is not finished: found no {of_study(name, 'cells')}. `softlabels run` its configuration "
            f"first."
        )
    found = manifests(results, name)
    left_out = [path for path in found if registry.OWN.fullmatch(results.manifest(path)["config"]["figure"]["kind"])]
    found = [path for path in found if path not in left_out]
    if not found:
        raise UserError(f"Study {name}: has no figures. Name some, such as figures: [curves], and run again.")
    with io.new_folder(out) as scratch:
        for path in left_out:
            print(f"{path}: is left out, as it names code of your own, which a results folder cannot vouch for.")
        for path in found:
            stem = Path(path).name.removesuffix(MANIFEST)
            caption = draw(results, path, medium, scratch / stem)
            io.write_text(scratch / f"{stem}.txt", f"{caption}\n")
    print(f"{out}: {len(found)} figures of {name} for {medium}, each with its caption (.txt).")


def manifests(results: Results, study: str) -> list[str]:
    """The manifests of a study's figures, by name."""
    folder = results.root / PLACES["figure"].folder.format(study=study)
    paths = sorted(path.relative_to(results.root).as_posix() for path in folder.glob(f"*{MANIFEST}"))
    return [path for path in paths if (file := parse(path)) and (file.command, file.output) == ("figure", "manifest")]


def draw(results: Results, manifest: str, medium: str, stem: Path) -> str:
    """Draw a figure again, into files of that name without suffix; returns its caption."""
    content = results.manifest(manifest)
    with reading(manifest):
        config = schema.restored(content["config"], schema.of_command())
        inputs: dict[str, list[Path] | Path] = {}
        for name, entry in entries(content["inputs"]):
            inputs.setdefault(name, []).append(results.file(entry["path"]))
            if results.sha256(entry["path"]) != entry["sha256"]:
                raise UserError(
                    f"{entry['path']}: has changed since {manifest} was written, so that the figure would be another "
                    f"one. Run the study again first."
                )
    if "cells" in inputs:  # of which there is one
        (inputs["cells"],) = inputs["cells"]
    with drawing.style(medium):
        figure = drawn(config, inputs)
        pictures = {suffix: stem.with_name(f"{stem.name}.{suffix}") for suffix in PICTURES[medium]}
        drawing.save(figure, pictures.get("png"), pictures["pdf"])
    return drawing.captioned(figure)
