"""Which numbers of printed tables know their row of the ledger, compared with the ledger's file itself."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import pyarrow as pa

from softlabels import registry
from softlabels.documents import Number
from softlabels.studies.ledger_view import Ledger, key_of

DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+")


def linked(cells: pa.Table, *kinds: str) -> int:
    """How many numbers tables of these kinds link, each to the row that prints it; a decimal without a row fails."""
    ledger, texts, found = Ledger(cells), printed(cells), 0
    for kind in kinds:
        options = next(table for table in ledger.facts["tables"] if table["kind"] == kind)
        table = registry.load("table", kind)(ledger, options)
        shown = [piece for row in table.rows for cell in row for piece in pieces(cell)]
        noted = [piece for note in table.notes for piece in pieces(note)]
        numbers = [piece for piece in shown if isinstance(piece, Number)]
        assert numbers, f"{kind} has no number that knows its row"
        for number in [*numbers, *(piece for piece in noted if isinstance(piece, Number))]:
            assert number in texts[number.key], (kind, number, number.key, texts[number.key])
        about = {piece for row in table.rows for cell in row[: table.keys] for piece in pieces(cell)}
        bare = [piece for piece in shown if not isinstance(piece, Number) and piece not in about]
        assert [text for text in bare if DECIMAL.search(text)] == [], kind
        found += len(numbers)
    return found


def pieces(text: Any) -> tuple:
    """The pieces of a text."""
    return text if type(text) is tuple else (text,)


def printed(cells: pa.Table) -> dict[tuple, set[str]]:
    """All that tables may print of each aggregate."""
    aggregates: dict[tuple, dict[str, dict]] = defaultdict(dict)
    for row in cells.to_pylist():
        aggregates[tuple(row[name] for name in key_of(cells))][row["statistic"]] = row
    found = {}
    for key, rows in aggregates.items():
        mean, std, low, high = (
            rows[name]["printed"] if name in rows else "–" for name in ("mean", "std", "low", "high")
        )
        interval = f"[{low}, {high}]" if "low" in rows else "–"
        found[key] = {f"{mean} ± {std}", f"{mean} {interval}", interval, *(row["printed"] for row in rows.values())}
        if (difference := rows["mean"]["paper_difference"]) is not None:
            found[key].add(f"{difference:+.{rows['mean']['decimals']}f}")
        if key[-2] == "reached":  # how many never do
            measured = aggregates.get((*key[:-2], "measured", None), {"mean": {"n": 0}})["mean"]["n"]
            found[key].add(f"{rows['mean']['n'] - measured} of {rows['mean']['n']}")
    return found
