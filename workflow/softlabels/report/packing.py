"""How the page keeps data for its script: JSON that no text in it can end, and packed numbers."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import Any

import numpy as np
from markupsafe import Markup


def as_json(value: Any) -> Markup:
    """A value as JSON that can stand in a page."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def zipped(value: Any) -> Markup:
    """JSON as gzip in base64, for what is large and not needed at first; the same bytes for the same value."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(b64encode(gzip.compress(text.encode(), mtime=0)).decode())


def packed(values: np.ndarray, kind: str) -> dict[str, str]:
    """Numbers of a kind, such as ``f4``, little-endian."""
    return {"kind": kind, "packed": b64encode(np.ascontiguousarray(values, f"<{kind}").tobytes()).decode()}
