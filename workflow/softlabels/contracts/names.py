"""What a metric or a figure with its options is called, in files and tables, and which metrics are always there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import UserError

STANDARD = "standard"  # the set of metrics and facts that every table needs
METRICS = ("macro_acc", "acc", "kl", "kl_dcic", "ce", "tvd")  # its metrics
LONGEST = 80  # characters of a name, before its digest

Options = Mapping[str, Any]  # of an entry: its "kind", and what that takes


def entry_name(options: Options, defaults: Options) -> str:
    """The name of an entry: its kind, and what differs from the defaults, such as ``top_k__k_3``.

    Args:
        options: ``kind`` (of an own module ``module:function``) and its options.
        defaults: the options' default values.

    Returns:
        Small letters, digits and underscores. A name that would be longer than LONGEST, or that lost a character which
        tells it from another, ends with eight hexadecimal digits of what it stands for.
    """
    chosen = {key: value for key, value in sorted(options.items()) if key != "kind"}
    changed = {key: value for key, value in chosen.items() if key not in defaults or value != defaults[key]}
    text = "__".join([options["kind"].replace(":", "_"), *(f"{key}_{_text(value)}" for key, value in changed.items())])
    name = re.sub(r"[^a-z0-9_]", "_", text.lower()).lstrip("_")[:LONGEST]
    if name == text:
        return name
    whole = json.dumps([options["kind"], changed], sort_keys=True)
    return f"{name}_{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "_".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value).replace(".", "p").replace("-", "m")


def of_set(name: str, options: Mapping[str, Options]) -> dict[str, Options]:
    """Name to options of the metrics in a set: the standard ones, or the one that the set is named after.

    Args:
        name: of the set.
        options: name to options of the metrics that studies want.

    Raises:
        UserError: no study wants such a set.
    """
    if name != STANDARD and name not in options:
        raise UserError(f"No study has a metric '{name}' of its own; there are: {', '.join(sets(options))}.")
    return {metric: {"kind": metric} for metric in METRICS} if name == STANDARD else {name: options[name]}


def sets(metrics: Iterable[str]) -> list[str]:
    """The sets that hold these metrics: the standard one, and one named after each further metric."""
    return [STANDARD, *(name for name in metrics if name not in METRICS)]
