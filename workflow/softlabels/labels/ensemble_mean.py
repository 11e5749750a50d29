"""The mean of what several aggregates make of the same votes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .. import registry
from . import crowd
from .evidence import Evidence, LabelTable

ENTRY = {
    "about": "Mean of the distributions of several aggregates (Wright and Augenstein 2022), each with its options.",
    "options": {
        "of": {"required": True, "type": "array", "items": {"registry": "aggregate"}, "minItems": 2,
            "uniqueItems": True, "description":
            "The aggregates (required): none of networks' predictions, and none without probabilities."},
    },
}  # fmt: skip


def aggregate(evidence: Evidence, options: dict[str, Any]) -> LabelTable:
    """Labels ``mean over aggregates of p``, of the items that each of them gives a label.

    The hard class is that of the mean. Each part learns from what its own ``fit_on`` says. Of the label's options it
    has ``seed``, ``votes`` and ``ties``; with ``drop`` its own are broken at random, and those of the mean left out.
    D. Wright and I. Augenstein (2022), arXiv 2212.09409.
    """
    ties = "lowest_index" if options["ties"] == "lowest_index" else "random"
    given = {"seed": options["seed"], "votes": options["votes"], "ties": ties}
    everywhere = replace(evidence, part=None)
    p, count = np.zeros((evidence.n_items, len(evidence.classes))), np.zeros(evidence.n_items)
    estimates = []
    for part in options["of"]:
        fit = everywhere if part.get("fit_on") == "all" else evidence
        found = registry.load("aggregate", part["kind"])(fit, {**given, **part})
        if estimate := found.metadata.get("estimate"):
            estimates.append({"kind": part["kind"], **estimate})
        p[found.item] += found.p
        count[found.item] += 1
    known = count == len(options["of"])
    p[known] /= p[known].sum(axis=1, keepdims=True)
    p[~known] = 0
    return crowd.labels(evidence, p, options, _together(estimates))


def _together(estimates: list[dict[str, Any]]) -> dict[str, Any]:
    """The estimates of the parts (``of``), and of those that iterate, as of one: whether all converged, most steps, the
    largest residual that is known."""
    if not (iterated := [of for of in estimates if "converged" in of]):
        return {"of": estimates}
    residuals = [of["residual"] for of in iterated if of["residual"] is not None]
    return {
        "of": estimates,
        "iterations": max(of["iterations"] for of in iterated),
        "converged": all(of["converged"] for of in iterated),
        "residual": max(residuals, key=abs, default=None),
    }
