"""A finished study of a few small images, made in this process by the commands themselves, manifests included."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from softlabels.commands import COMMANDS
from softlabels.plan import RUN, Plan
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
    """Run every command of ``CONFIG`` but those that draw, and return the results folder."""
    plan = Plan({**CONFIG, "results": str(root)})

    def job(command: str, inputs: dict[str, Any], outputs: dict[str, str], **names: Any) -> None:
        config = plan.of(command, **names)
        reads, writes = (
            {name: [Path(p) for p in path] if isinstance(path, list) else Path(path) for name, path in paths.items()}
            for paths in (inputs, outputs)
        )
        started, code = manifest.now(), {"code": plan.code(command, **names)} if COMMANDS[command].resumes else {}
        facts = importlib.import_module(COMMANDS[command].module).run(config, reads, writes, **code)
        if command != "chain":
            path = next(iter(writes.values())).with_suffix(".manifest.json")
            manifest.write(path, command, config, reads, writes, started, facts or {})

    data = {name: f"{root}/data/shapes/{name}.parquet" for name in ("items", "annotations", "reference")}
    data["images"] = f"{root}/data/shapes/images.npy"
    job("data", {}, {"images": data["images"], **data}, dataset="shapes")
    for label in ("hard", "soft"):
        files = {"labels": f"{root}/labels/shapes/{label}/all.parquet"}
        job(
            "label",
            {k: data[k] for k in ("annotations", "reference")},
            files,
            dataset="shapes",
            label=label,
            draw="all",
        )
    for seed in (0, 1):
        names = {"dataset": "shapes", "split": "random", "seed": seed, "metrics": "standard"}
        split = f"{root}/splits/shapes/random/seed{seed}.parquet"
        job("split", {k: data[k] for k in ("items", "reference")}, {"split": split}, **names)
        scored = {"reference": data["reference"], "split": split}
        job(
            "references",
            scored,
            {"references": f"{root}/references/shapes/random/seed{seed}/standard.parquet"},
            **names,
        )
        for label in ("hard", "soft"):
            names |= {"recipe": "quick", "label": label}
            run, labels = f"{root}/runs/{RUN.format(**names)}", f"{root}/labels/shapes/{label}/all.parquet"
            outputs = {
                "model": f"{run}/model.safetensors",
                "history": f"{run}/history.parquet",
                "predictions": f"{run}/predictions.parquet",
                "features": f"{run}/features.npy",
            }
            job("train", {"images": data["images"], "labels": labels, **scored}, outputs, **names)
            inputs = {k: outputs[k] for k in ("predictions", "features")}
            job(
                "evaluate",
                {**inputs, **scored, "items": data["items"], "label": labels},
                {"scores": f"{run}/scores/standard.parquet"},
                **names,
            )
    folder = f"{root}/studies/small"
    tables = {f"table_{kind}": f"{folder}/table.{kind}" for kind in ("csv", "md", "tex")}
    job(
        "study",
        {
            "scores": plan.score_files("small"),
            "predictions": plan.run_files("small", "predictions.parquet"),
            "references": plan.reference_files("small"),
            "items": [data["items"]],
            "reference": [data["reference"]],
        },
        {
            "config": f"{folder}/config.json",
            **tables,
            "cells": f"{folder}/cells.parquet",
            "items_csv": f"{folder}/items.csv",
        },
        study="small",
    )
    job("chain", {"manifests": plan.manifests("small")}, {"chain": f"{folder}/chain.json"}, study="small")
    return root
