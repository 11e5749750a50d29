"""What label files tell of themselves, in words: for logs, ``check`` and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def of(facts: Sequence[Mapping[str, Any]], unit: str) -> Iterator[str]:
    """What to know of a label: of each of its files (or runs, the ``unit``) the metadata, or ``read_estimate``."""
    absent = [one["absent"] for one in facts if isinstance(one.get("absent"), list) and one["absent"]]
    alone = [
        one["alone"] for one in facts if isinstance(one.get("alone"), int) and one["alone"]
    ]  # of ours, not of others

    def some(found: list[Any]) -> str:
        return "" if len(found) == len(facts) else f" (in {len(found)} of {len(facts)} {unit})"

    if absent:
        classes = ", ".join(dict.fromkeys(name for names in absent for name in names))
        yield f"no training item that counts for it is of the class {classes}{some(absent)}."
    if alone:
        yield f"up to {max(alone)} items are alone in their part and class, and keep their own label{some(alone)}."


def log(metadata: Mapping[str, Any]) -> Iterator[str]:
    """What the log of a label file says: its notes, and how many items it treats otherwise than others."""
    yield from of([metadata], "files")
    if left_out := metadata.get("left_out"):
        yield f"{left_out} training items have no label."
    if "swapped" in metadata:
        yield f"the two largest shares of {metadata['swapped']} items are swapped."
