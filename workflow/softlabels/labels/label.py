"""The label files that networks are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from .. import io, registry
from . import evidence as evidence_files
from .evidence import one_hot


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Write one label file: item int32, p float32 ``[C]``, hard int16, votes int32 (null: exact), weight float32.

    Args:
        config: ``label`` with ``aggregate`` (``kind`` and its options), ``form`` (``soft``: the distribution,
            ``hard``: its one-hot), ``ties`` and ``seed``.
        inputs: ``annotations``, ``reference``.
        outputs: ``labels``.
    """
    options = config["label"]
    evidence = evidence_files.read(inputs["annotations"], inputs["reference"])
    labels = registry.load("aggregate", options["aggregate"]["kind"])(evidence, {**options, **options["aggregate"]})
    p = one_hot(labels.hard, len(evidence.classes)) if options["form"] == "hard" else labels.p
    table = pa.table(
        {
            "item": pa.array(labels.item, pa.int32()),
            "p": io.distribution_column(p, pa.float32()),
            "hard": pa.array(labels.hard, pa.int16()),
            "votes": pa.nulls(len(p), pa.int32()) if labels.votes is None else pa.array(labels.votes, pa.int32()),
            "weight": pa.array(labels.weight, pa.float32()),
        }
    )
    metadata = {"classes": evidence.classes, "aggregate": options["aggregate"]["kind"], "form": options["form"]}
    io.write_table(outputs["labels"], table, metadata | labels.metadata)
