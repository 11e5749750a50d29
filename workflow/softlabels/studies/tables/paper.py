"""The paper's own numbers beside ours."""

from __future__ import annotations

import itertools

from ...documents import Number, Table
from ..ledger_view import Ledger, spread

ENTRY = {"about": "What the paper prints, beside what was measured here.", "options": {}, "needs": []}
HEADINGS = {"kl_dcic": "KL ↓ (here KL_ε)"}  # as the paper calls it


def table(ledger: Ledger, options: dict) -> Table | None:
    """One row a block, label and metric that the paper prints."""
    rows = []
    for block, label, metric in itertools.product(ledger.blocks, ledger.labels, ledger.metrics):
        theirs = ledger.get(ledger.of_paper(block), label, metric, "paper")
        if theirs:
            ours = ledger.get(block, label, metric)
            mean = ours["mean"]
            difference = Number(f"{mean['paper_difference']:+.{mean['decimals']}f}", mean["printed"].key)
            heading = HEADINGS.get(metric, ledger.heading(metric))
            rows.append([*ledger.place(block), label, heading, spread(theirs), spread(ours), difference])
    header = [*ledger.place_header(), "label", "metric", "paper", "here", "here − paper"]
    notes = [
        "The paper's KL is set beside our KL_ε, never beside our KL. The paper does not say which standard deviation "
        "(over three splits) it prints."
    ]
    return Table("The paper's own numbers", header, rows, notes + ledger.facts["setup"]) if rows else None
