"""Random draws that depend on a key, never on what was drawn before."""

from __future__ import annotations

import hashlib

import numpy as np


def rng(purpose: str, *key: int) -> np.random.Generator:
    """A generator for one purpose and key, such as ``rng("order", seed, epoch)``.

    A purpose has the same number of keys everywhere: zeros at the end of a short key count for nothing. Entry i of a
    draw ``rng(...).random(n)`` is the same for every n, so a draw of one number an item is keyed by item.
    """
    word = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
    return np.random.default_rng(np.random.SeedSequence([word, *key]))


def torch_seed(purpose: str, *key: int) -> int:
    """A 63-bit seed for torch's generators, keyed the same way."""
    return int(rng(purpose, *key).integers(0, 2**63 - 1))
