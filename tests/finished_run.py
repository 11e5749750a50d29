"""A finished study of a few small images, made in this process by the commands themselves, manifests included."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from softlabels import io
from softlabels.commands import COMMANDS
from softlabels.places import PLACES
from softlabels.plan import DRAW, Plan
from softlabels.provenance import manifest

CONFIG = {
    "datasets": {
        "shapes": {
            "source": {"kind": "synthetic", "items": 120, "pixels": 12, "seed": 0},
            "reference": "exact",
            "paper": "synthetic",
        }
    },
    "recipes": {"quick": {"network": "compact", "epochs": 1, "batch": 32}},
    "studies": {"small": {"datasets": ["shapes"], "recipes": ["quick"], "seeds": [0, 1]}},
}


def build(root: Path) -> Path:
    """Run every command of ``CONFIG`` but those that draw, with logs and benchmarks, and return the results folder."""
    plan = Plan({**CONFIG, "results": str(root)})

    def of(command: str, *outputs: str, **names: Any) -> dict[str, Path]:
        """The outputs of a job, all or some of them, by name."""
        return {name: Path(plan.path(command, name, **names)) for name in outputs or PLACES[command].outputs}

    def job(command: str, inputs: dict[str, Any], **names: Any) -> None:
        config, outputs = plan.of(command, **names), of(command, **names)
        started, code = manifest.now(), {"code": plan.code(command, **names)} if COMMANDS[command].resumes else {}
        facts = importlib.import_module(COMMANDS[command].module).run(config, inputs, outputs, **code)
        if PLACES[command].manifest:
            path = Path(plan.path(command, "manifest", **names))
            manifest.write(path, command, config, inputs, outputs, started, facts or {})
        log = PLACES[command].log.format_map(names)
        for path in (f"logs/{log}.log", f"benchmarks/{log}.tsv"):
            io.write_text(root / path, "")

    def all_of(command: str, output: str) -> list[Path]:
        return [Path(file) for file in plan.files("small", command, output)]

    job("data", {}, dataset="shapes")
    data = of("data", dataset="shapes")
    reference = {"reference": data["reference"]}
    for _, names in plan.jobs("small", "label"):
        job("label", {"annotations": data["annotations"], **reference}, **names)
    for _, names in plan.jobs("small", "split"):
        job("split", {"items": data["items"], **reference}, **names)
    for _, names in plan.jobs("small", "references"):
        job("references", {**reference, **of("split", **names)}, **names)
    for _, names in plan.jobs("small", "train"):
        scored, labels = {**reference, **of("split", **names)}, of("label", draw=DRAW, **names)["labels"]
        job("train", {"images": data["images"], "labels": labels, **scored}, **names)
    for _, names in plan.jobs("small", "evaluate"):
        scored, labels = {**reference, **of("split", **names)}, of("label", draw=DRAW, **names)["labels"]
        predicted = of("train", "predictions", "features", **names)
        job("evaluate", {**predicted, **scored, "items": data["items"], "label": labels}, **names)
    scores = {"scores": ("evaluate", "scores"), "references": ("references", "references")}
    files = {"predictions": ("train", "predictions"), "items": ("data", "items"), "reference": ("data", "reference")}
    job("study", {name: all_of(*source) for name, source in (scores | files).items()}, study="small")
    job("chain", {"manifests": [Path(file) for file in plan.manifests("small")]}, study="small")
    return root
