"""What the paper prints, to be put beside our own numbers.

Grossmann, Schmarje and Koch, "Beyond Hard Labels: Investigating data label distributions", Table 1 and Section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SPLITS = 3  # "average and standard deviation across three randomly generated training, validation, and test splits"

# data set -> label -> metric -> (mean, std). The paper's KL is compared with our kl_dcic only: both clip.
TABLE_1: dict[str, dict[str, dict[str, tuple[float, float]]]] = {
    "synthetic": {
        "hard": {"macro_acc": (0.8247, 0.05002), "kl_dcic": (0.4137, 0.0836)},
        "soft": {"macro_acc": (0.9096, 0.0137), "kl_dcic": (0.0394, 0.0009)},
    },
    "mice_bone": {
        "hard": {"macro_acc": (0.6217, 0.04658), "kl_dcic": (0.7884, 0.1089)},
        "soft": {"macro_acc": (0.6903, 0.0669), "kl_dcic": (0.2280, 0.0227)},
    },
}

# data set -> how the paper trained on it; 224 pixels is the side of the images that its authors released
SETUP: dict[str, dict[str, Any]] = {
    "synthetic": {
        "items": 15_000, "pixels": 224, "reference": "exact", "network": "densenet121", "weights": "imagenet",
        "schedule": "cosine", "epochs": 60, "batch": 128, "rate": 0.1, "optimiser": "sgd", "weight_decay": 0.0005,
    },
    "mice_bone": {
        "items": 7_240, "pixels": 224, "reference": "votes", "network": "resnetv2_50", "weights": "imagenet",
        "schedule": "warm_restarts", "epochs": 60, "batch": 128, "rate": 0.1, "optimiser": "sgd", "weight_decay": 0.001,
    },
}  # fmt: skip

NAMES = {
    "synthetic": "Synthetic",
    "mice_bone": "Mice Bone",
    "densenet121": "DenseNet121",
    "resnetv2_50": "ResNet50v2",
    "imagenet": "ImageNet",
    "warm_restarts": "cosine with warm restarts",
}

UNSTATED = ("select", "momentum", "warmup_epochs", "dropout", "class_weight", "hold", "augment")


def role(label: Mapping[str, Any]) -> str | None:
    """Which of the paper's two labels a definition is, whatever it is called and however it breaks ties; None: neither.

    Hard is the one-hot majority vote, soft the average of the votes: of all votes, and shown as it is.
    """
    if (
        label.get("votes", "all") != "all"
        or label.get("items") is not None
        or label.get("delivery", {"kind": "expected"}) != {"kind": "expected"}
    ):
        return None
    return {("majority", "hard"): "hard", ("average", "soft"): "soft"}.get((label["aggregate"]["kind"], label["form"]))


def numbers(dataset: str | None, label: Mapping[str, Any]) -> Mapping[str, tuple[float, float]]:
    """The paper's (mean, std) by metric, for a data set's name in its tables (None: not there) and a label."""
    return TABLE_1.get(dataset or "", {}).get(role(label) or "", {})


def title(name: str) -> str:
    """How the paper writes a name of ours; a name that it does not use stays as it is."""
    return NAMES.get(name, name)


def differences(dataset: str, here: Mapping[str, Any]) -> list[str]:
    """What differs from the set-up of a data set of ``SETUP``, such as ``network compact (paper: DenseNet121)``.

    ``here`` is the recipe, with ``items``, ``pixels`` and ``reference`` of the data set, as far as there are any.
    """
    return [
        f"{key.replace('_', ' ')} {_text(here[key])} (paper: {_text(value)})"
        for key, value in SETUP[dataset].items()
        if here.get(key) is not None and _plain(here[key]) != value
    ]


def unstated(recipe: Mapping[str, Any]) -> list[str]:
    """The recipe's choices that the paper leaves open, such as ``momentum 0.9``."""
    return [f"{key.replace('_', ' ')} {_text(recipe[key])}" for key in UNSTATED if key in recipe]


def _plain(value: Any) -> Any:
    """A schedule and an optimiser are compared by their kind."""
    return value["kind"] if isinstance(value, Mapping) else value


def _text(value: Any) -> str:
    if isinstance(value, Mapping) and "kind" in value:
        return title(value["kind"])
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(option)}" for key, option in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else title(str(value)).replace("_", " ")
