"""Fit a linear head on the features of a frozen network, for one label of one split."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save
from threadpoolctl import threadpool_limits

from .. import io, places
from ..contracts import read_encoding, write_predictions
from ..datasets.contract import read_image_rules
from ..errors import UserError
from ..training.data import read_run
from .logistic import Head, cross_entropies, heads

BLOCK = 4096  # items that are predicted at a time
WORSE = 3  # penalties in a row that are worse than the best one: smaller ones are not tried


def run(config: dict[str, Any], inputs: dict[str, Path], outputs: dict[str, Path]) -> dict[str, Any]:
    """Fit a head for each penalty; write the one of the lowest cross-entropy on the run's own validation labels.

    From the largest penalty on, until WORSE in a row were worse than the best: smaller ones overfit, and take longest.
    There is nothing random in it, and the reference decides nothing: runs of one data set, split and label differ by
    their seed's split and labels alone.

    Args:
        config: ``recipe``, of which a head has ``penalties`` and ``class_weight``.
        inputs: ``features`` and ``encoder``, as :mod:`.encode` writes them, ``items``, ``split``, ``labels`` and
            ``reference`` of the data set.
        outputs: ``model``, the head, and ``predictions`` of all items.

    Returns:
        Facts for the manifest: ``fits``, of each ``penalty`` the cross-entropies ``train_ce`` and ``val_ce`` in nats,
        the ``steps`` and whether it ``converged``; the ``penalty`` that was chosen; ``edge``, true where that is the
        first or last of several; ``encoder_sha256`` of the encoder's file.

    Raises:
        UserError: labels that are no distributions, no labelled item to learn from or to choose the penalty by, or
            features of another data set.
    """
    recipe = config["recipe"]
    data = read_run(inputs["labels"], inputs["split"], inputs["reference"])
    features = read_encoding(inputs["features"], len(data.split))
    weight = data.item_weights(recipe["class_weight"])
    val = data.labelled & (data.split == "val")
    if not val.any():
        raise UserError(
            f"{inputs['labels']}: no item of the validation part of {inputs['split']} has a label to choose the "
            f"penalty by. Give the split a larger validation part, or check the label's options."
        )
    best, worse, facts = None, 0, {"fits": []}
    with threadpool_limits(1):  # sums in another order would be other bytes
        learned = data.learned
        for head in heads(features[learned], data.target[learned], weight[learned], recipe["penalties"]):
            ce = float(cross_entropies(data.target[val], _logits(head, features[val])).mean())
            facts["fits"].append({"penalty": head.penalty, "train_ce": head.ce, "val_ce": ce, "steps": head.steps,
                                  "converged": head.converged})  # fmt: skip
            print(f"penalty {head.penalty:g}: cross-entropy {head.ce:.4f} in training, {ce:.4f} in validation, "
                  f"{head.steps} steps", file=sys.stderr)  # fmt: skip
            if best is None or ce < facts["val_ce"]:
                best, facts["val_ce"], worse = head, ce, 0
            elif (worse := worse + 1) == WORSE:
                break
        best = best._replace(weight=best.weight.astype(np.float32), bias=best.bias.astype(np.float32))
        facts |= {"penalty": best.penalty, "encoder_sha256": io.sha256(inputs["encoder"])}
        facts["edge"] = _told(facts["fits"], best.penalty, recipe["penalties"])
        logits = np.concatenate([_logits(best, features[k : k + BLOCK]) for k in range(0, len(features), BLOCK)])
    encoder = _read_encoder(inputs["encoder"])
    _write_head(outputs["model"], best, data.classes, inputs, encoder, facts["encoder_sha256"])
    items = np.arange(len(logits))
    write_predictions(outputs["predictions"], items, data.split, logits.astype(np.float32), data.classes)
    table, metadata = io.read_table(outputs["predictions"])  # with what tables tell of a head
    about = {"penalty": best.penalty, "edge": facts["edge"], "converged": best.converged,
             "normalised": encoder["normalised"]}  # fmt: skip
    io.write_table(outputs["predictions"], table, {**metadata, "head": about})
    return facts


def _logits(head: Head, features: np.ndarray) -> np.ndarray:
    """Logits float64 ``[B, C]`` of features ``[B, F]``."""
    return features.astype(np.float64) @ head.weight.astype(np.float64).T + head.bias


def _told(fits: list[dict[str, Any]], chosen: float, penalties: list[float]) -> bool:
    """Whether the chosen penalty is at the edge of several; the log says it, and what did not converge."""
    for fit in fits:
        if not fit["converged"]:
            print(f"penalty {fit['penalty']:g}: did not converge in {fit['steps']} steps", file=sys.stderr)
    side = {max(penalties): "largest", min(penalties): "smallest"}.get(chosen) if len(penalties) > 1 else None
    if side:
        wider = "smaller" if side == "smallest" else "larger"
        print(f"The penalty {chosen:g} was chosen, the {side} of recipe.penalties: a {wider} one may be better.",
              file=sys.stderr)  # fmt: skip
    return side is not None


def _read_encoder(path: Path) -> dict[str, Any]:
    """What an encoder's file says of itself."""
    with safe_open(path, "np") as file:
        return json.loads(file.metadata()["softlabels"])


def _write_head(
    path: Path, head: Head, classes: list[str], inputs: dict[str, Path], encoder: dict[str, Any], encoder_sha256: str
) -> None:
    """Write a head, of features as the encoder gives them; it says which encoder that is."""
    place = places.find(inputs["encoder"].resolve())
    about = {
        "classes": classes,
        "height": encoder["height"],
        "width": encoder["width"],
        "images": read_image_rules(inputs["items"]),
        "penalty": head.penalty,
        "encoder": {"path": place.path, "sha256": encoder_sha256},
    }
    # safetensors writes the memory of an array as it lies, whatever its order.
    tensors = {"head.weight": np.ascontiguousarray(head.weight), "head.bias": head.bias}
    with io.atomic(path) as part:
        part.write_bytes(save(tensors, metadata={"softlabels": io.canonical_json(about)}))
