"""Tables of names: what a configuration may name, and where it lives.

The tables are strings so that a new entry imports nothing and leaves the code hash of everything else as it is: this
module is left out of the hash, the modules that a configuration names are in it (``closure.py``).
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable

from .errors import UserError

REGISTRY: dict[str, dict[str, str]] = {
    # source(options, files, problems) -> Content
    "source": {
        "synthetic": "softlabels.datasets.synthetic:read",
        "counts": "softlabels.datasets.counts:read",
        "table": "softlabels.datasets.table:read",
        "distributions": "softlabels.datasets.distributions:read",
        "dcic": "softlabels.datasets.dcic:read",
        "cifar10n": "softlabels.datasets.cifar10n:read",
        "peerannot": "softlabels.datasets.peerannot:read",
    },
    # aggregate(evidence, options) -> LabelTable
    "aggregate": {
        "majority": "softlabels.labels.majority:aggregate",
        "average": "softlabels.labels.average:aggregate",
    },
    # body(weights, weights_file) -> Body(module, width, mean, std)
    "network": {
        "compact": "softlabels.networks.compact:body",
        "densenet121": "softlabels.networks.densenet121:body",
        "resnetv2_50": "softlabels.networks.resnetv2_50:body",
    },
    # loss(logits [B, C], target [B, C], index [B], state) -> float32 [B]
    "loss": {
        "cross_entropy": "softlabels.training.losses.cross_entropy:loss",
    },
    # factor(epoch, epochs, options) -> share of the base learning rate
    "schedule": {
        "constant": "softlabels.training.schedules.constant:factor",
        "cosine": "softlabels.training.schedules.cosine:factor",
        "warm_restarts": "softlabels.training.schedules.warm_restarts:factor",
    },
    # metric(reference [N, C], log_prediction [N, C]) -> float
    "metric": {
        "kl": "softlabels.evaluation.metrics.kl:metric",
        "kl_dcic": "softlabels.evaluation.metrics.kl_dcic:metric",
        "macro_acc": "softlabels.evaluation.metrics.macro_acc:metric",
        "acc": "softlabels.evaluation.metrics.acc:metric",
        "ce": "softlabels.evaluation.metrics.ce:metric",
        "tvd": "softlabels.evaluation.metrics.tvd:metric",
    },
}


def location(kind: str, name: str) -> tuple[str, str]:
    """Module and function of a registered name.

    Raises:
        UserError: the name is not registered; the message lists the names of that kind and the nearest one.
    """
    table = REGISTRY[kind]
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise UserError(f"Unknown {kind} '{name}'; registered: {', '.join(sorted(table))}.{hint}")
    module, function = table[name].split(":")
    return module, function


def load(kind: str, name: str) -> Callable:
    """The function registered as ``name``, imported now."""
    module, function = location(kind, name)
    return getattr(importlib.import_module(module), function)
