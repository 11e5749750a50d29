"""Cross-entropy with a distribution as target."""

from __future__ import annotations

import torch
from torch.nn import functional as F

ENTRY = {
    "about": "Cross-entropy with a distribution as target; the gradient of KL.",
    "options": {},
}  # fmt: skip


def loss(logits: torch.Tensor, target: torch.Tensor, index: torch.Tensor, state: dict, options: dict) -> torch.Tensor:
    """``-sum_k p_k log softmax(z)_k`` of each item, float32 ``[B]``: KL(p || q) + H(p), so the same gradient as KL.

    Hard labels come as one-hot targets, so that a hard and a soft run differ in nothing but the target.
    """
    return -(target * F.log_softmax(logits, dim=1)).sum(dim=1)
