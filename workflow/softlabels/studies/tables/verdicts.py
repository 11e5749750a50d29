"""Published claims against this study: supported, contradicted or undecided."""

from __future__ import annotations

from ...columns import heads, percent
from ...documents import Table
from .. import verdicts
from ..claims import Statement
from ..ledger_view import Block, Ledger, mean_and_interval

ENTRY = {
    "about": "Each statement of the study's `claims` with its difference, interval, Holm's p and verdict.",
    "options": {},
    "needs": [],
}


def table(ledger: Ledger, options: dict) -> Table | None:
    """One row a statement and block that it is about."""
    rows, level = [], ledger.facts["level"]
    statements = ledger.facts.get("claims", [])
    for statement in statements:
        for block, found in of_statement(ledger, statement):
            p = found["p"]["printed"] if "p" in found else "no interval"
            of_row = f" ({percent(verdicts.level_of(statement, level))})" if "low" in found else ""
            said = verdicts.SAME if verdicts.same(found) else verdicts.verdict(statement, found, level)
            difference = (mean_and_interval(found), of_row)
            rows.append([*ledger.place(block), sentence(ledger, statement), difference, p, said])
    header = [*ledger.place_header(), "claim", "difference [interval]", "p (Holm)", "verdict"]
    notes = [
        f"Supported: the two-way interval lies wholly on the claim's side, which begins at its margin; contradicted: "
        f"wholly on the other side of that; both after Holm over the rows with an interval ({percent(level)}). Equal: "
        f"the {percent(2 * level - 1)} interval lies within ± the margin (two one-sided tests); contradicted by a "
        f"two-sided test at {percent(level)}, so that an interval wholly outside may be undecided. Undecided is "
        f"neither: the study is too small to tell.",
        "The verdict goes by p, which is Holm's of all rows with an interval together; an interval is that of its row "
        "alone, at the level that stands behind it. So a row may be undecided whose interval lies wholly on one side, "
        "or within ± the margin: alone it would be decided, among so many it is not.",
    ]
    if any(row[-1] == verdicts.SAME for row in rows):
        notes.append(
            f"{verdicts.SAME.capitalize()}: 0 with each seed, so that nothing says how far it may vary. So it is where "
            f"both labels are the same and bring the same networks, but others may agree in one metric, too."
        )
    notes += list(dict.fromkeys(map(_origin, statements)))
    return Table("Claims", header, rows, notes, keys=len(ledger.place_header()) + 1) if rows else None


def of_statement(ledger: Ledger, statement: Statement) -> list[tuple[Block, dict]]:
    """The blocks that a statement is about, and its aggregate in each."""
    kind = verdicts.kind_of(statement)
    return [(key[:-4], found) for key, found in ledger.aggregates.items() if key[-2] == kind]


def sentence(ledger: Ledger, statement: Statement) -> str:
    """A statement in words; one from text is asked to carry over to images."""
    first, second = (
        ", ".join([label, *(f"{head} {value}" for head, value in zip(heads([*at]), at.values(), strict=True))])
        for label, at in zip(statement["contrast"], statement["at"], strict=True)
    )
    margin = verdicts.BY[statement["direction"] == "equal"].format(statement["margin"]) if statement["margin"] else ""
    metric = ledger.facts["headings"][statement["metric"]]["heading"].rstrip(" ↑↓")
    text = f"{metric} of {first} is {verdicts.WORDS[statement['direction']]} that of {second}{margin}"
    return f"carries over to images: {text}" if statement["text"] else text


def _origin(statement: Statement) -> str:
    """Where a claim comes from."""
    name = statement["name"].partition(" ")[0]
    where = ", ".join(filter(None, (statement["source"], statement["population"])))
    return f"{name}: {where or 'of this configuration'}."
