"""How much of a gap in KL is confidence: what is left of it when both labels' networks are scaled."""

from __future__ import annotations

import itertools

from ...columns import percent
from ...contracts import GAP, MOST_SCALED
from ...documents import Table
from ..ledger_view import SCALED, Block, Ledger, interval, mean_and_interval, spread

ENTRY = {"about": "Share of the gap in KL that scaling both labels' networks closes.", "options": {}, "needs": []}


def table(ledger: Ledger, options: dict) -> Table | None:
    """One row a block, label and scaling."""
    baseline, rows, hard_only = ledger.facts["baseline"], [], {}
    for block, label, (scaling, text) in itertools.product(ledger.blocks, ledger.labels, SCALED.items()):
        row, versus = f"{label} + {text}", f"{baseline} + {text}"
        gap = ledger.get(block, row, GAP, "difference", versus)
        if gap:
            raw = ledger.get(block, label, GAP, "difference", baseline)
            share = ledger.get(block, row, GAP, "confidence", baseline)
            of_reference = scaling.endswith("_reference")
            hard_only[block] = hard_only.get(block, True) and not of_reference
            fitted = "reference ‡" if of_reference else "own labels"
            cells = [f"{scaling.partition('_')[0]}, {fitted}", spread(raw), (spread(gap), " ", interval(gap))]
            rows.append([*ledger.place(block), f"{label} − {baseline}", *cells, mean_and_interval(share)])
    place, level = ledger.place_header(), f"{percent(ledger.facts['level'])} interval"
    header = [*place, "difference", "scaling, fitted on", "gap in KL", f"scaled gap, {level}", f"confidence, {level}"]
    notes = [
        "Both labels' networks are scaled alike, each fitted on its own validation items. Confidence is the share of "
        "the gap that scaling closes, 1 − scaled gap / gap, with Fieller's interval; – where the gap may be 0, or "
        "without seeds for an interval. Below 0, scaling widens the gap.",
        "‡ needs soft labels on validation items, which hard labels do not have; temperature on own labels is what "
        "anyone can do. Vector: a factor and a bias a class; matrix: all classes mixed (ODIR penalty).",
    ]
    notes += [
        f"{ledger.name(block)}: nothing was fitted on the reference, as its validation items have no soft labels."
        for block, hard in hard_only.items()
        if hard
    ]
    for block in ledger.blocks if GAP in ledger.metrics else ():
        missing = [text for text in SCALED.values() if not _scaled(ledger, block, text)]
        if SCALED["temperature"] in missing:
            notes.append(
                f"{ledger.name(block)}: no temperature of own labels, as a label has none on validation items."
            )
        if SCALED["temperature_reference"] not in missing and SCALED["matrix_reference"] in missing:
            notes.append(f"{ledger.name(block)}: vector and matrix are fitted for at most {MOST_SCALED} classes.")
    return Table("How much of the gap in KL is confidence", header, rows, notes, keys=len(place) + 2) if rows else None


def _scaled(ledger: Ledger, block: Block, text: str) -> bool:
    """Whether the gap of every label is there after a scaling."""
    baseline = ledger.facts["baseline"]
    others = [label for label in ledger.labels if label != baseline]
    return all(ledger.get(block, f"{one} + {text}", GAP, "difference", f"{baseline} + {text}") for one in others)
