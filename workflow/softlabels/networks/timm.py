"""Any network of the library timm (Wightman 2019) that gives pooled features."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..errors import UserError
from .base import Body, of_timm, require_pretrained

ENTRY = {
    "about": "Any network of the library timm that gives pooled features.",
    "options": {
        "name": {
            "type": "string", "required": True, "pattern": "^[a-z0-9_]+([.][a-z0-9_]+)?$",
            "description": "Its name there, or name and tag of its weights, such as `resnet18.a1_in1k` (required).",
        }
    },
    "weights": ["pretrained"],
}  # fmt: skip


def body(options: dict[str, Any], weights: str, weights_file: Path | None) -> Body:
    """As many pooled features as it has; ``pretrained`` means the weights of the name's tag, or timm's choice.

    A model's file tells the name, too, and anybody may have written that: what is no plain one (``hf-hub:…``,
    ``local-dir:…``) would have timm fetch or read what it says, and is a UserError. So is one without such weights.
    """
    name = options.get("name")
    if not isinstance(name, str) or not re.fullmatch("[a-z0-9_]+([.][a-z0-9_]+)?", name):
        raise UserError(
            f"recipe.network.name: found {name!r}, expected the name of a model of timm, such as resnet18 or "
            f"resnet18.a1_in1k. Nothing else is fetched or read."
        )
    if weights == "pretrained":
        require_pretrained(name)
    return of_timm(name, weights, weights_file)
