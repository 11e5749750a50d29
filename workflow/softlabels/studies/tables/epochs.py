"""How long each label's networks take to reach an accuracy."""

from __future__ import annotations

from ...documents import Number, Table, joined
from ..ledger_view import NONE, PLACES, STD, Ledger, cut, epoch_of, spread

ENTRY = {
    "about": "The epoch at which each label's networks leave a plateau: the first with such an accuracy on validation "
    "items.",
    "options": {
        "accuracy": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "default": 0.75,
            "description": "Share of the validation items whose most probable class is the reference's; a network "
            "that knows the colours of the synthetic set, and no shape, gets about 0.5.",
        }
    },
    "needs": ["histories"],
}


def table(ledger: Ledger, options: dict) -> Table:
    """One row a block and label: mean and spread over seeds, each seed, and how many never got there."""
    metric, seeds, rows, without = epoch_of(options["accuracy"]), ledger.facts["seeds"], [], []
    never = False
    for block in ledger.blocks:
        for label in ledger.labels:
            place = [*ledger.place(block), label]
            reached = ledger.get(block, label, metric, "reached").get("mean")
            if not reached:
                rows.append([*place, NONE, NONE, NONE])
                without.append(block)
                continue
            found, of = ledger.get(block, label, metric), reached["n"]
            lacking = of - (found["mean"]["n"] if found else 0)
            never |= lacking > 0
            single = (ledger.get(block, label, metric, f"run {seed}") for seed in seeds)
            single = [one["mean"]["printed"] if one else NONE for one in single]
            without_it = Number(f"{lacking} of {of}", reached["printed"].key)
            rows.append([*place, spread(found), joined(", ", single), without_it])
    header = [*ledger.place_header(), "label", ledger.heading(metric), f"seeds {', '.join(map(str, seeds))}", "never"]
    notes = [
        "The first epoch after which the most probable class is the reference's for so large a share of the "
        "validation items. Epochs after it may lie below again: at a high learning rate curves are noisy."
    ]
    if len(seeds) > 1:
        ddof = ledger.facts["ddof"]
        notes.append(f"Mean ± {STD[ddof]} standard deviation (ddof {ddof}) over the seeds that get there.")
    if never:
        notes.append("Where some never do, all that is known of those is that they take longer: the mean is too low.")
    if without:
        names = "; ".join(cut(list(dict.fromkeys(map(ledger.name, without))), PLACES))
        notes.append(f"{names}: no epochs, as these networks were not trained here epoch by epoch.")
    return Table("Epochs to an accuracy", header, rows, notes, keys=len(ledger.place_header()) + 1)
