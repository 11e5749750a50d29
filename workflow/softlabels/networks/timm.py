"""Any network of the library timm (Wightman 2019) that gives pooled features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .base import Body, of_timm

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
    """As many pooled features as it has; ``pretrained`` means the weights of the name's tag, or timm's choice."""
    return of_timm(options["name"], weights, weights_file)
