"""What figures of a study share: the test items of the runs that they show, and what their captions say of these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from scipy.special import log_softmax

from ..columns import percent
from ..contracts import read_predictions, read_reference
from ..evaluation.aligned import Aligned, of_part
from .ledger import of_labels
from .ledger_view import Ledger


def tested(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> Iterator[tuple[str, Aligned]]:
    """Label and test items of each run of a block, one at a time in memory: by label, then by seed."""
    reference = read_reference(inputs["reference"])
    runs = of_labels(inputs["predictions"], config, config["seeds"], "predictions.parquet")
    for label in config["labels"]:
        for seed in config["seeds"]:
            predictions = read_predictions(runs[f"{label}/seed{seed}"])
            item = predictions.items("test")
            logits = predictions.of("test", item, len(reference.classes))
            yield label, of_part("test", item, reference, log_softmax(logits, axis=1), None)


def place(config: Mapping[str, Any]) -> str:
    """The block of a figure, as a caption says it."""
    dataset, split, recipe = config["block"]
    return f"Data set {dataset}, split {split}, recipe {recipe}"


def items(counts: Iterable[int], n: int) -> str:
    """How many test items the runs of n seeds have, by the numbers of some of these."""
    few, many = min(counts := [*counts]), max(counts)
    told = f"{few:,} test items" if few == many else f"{few:,} to {many:,} test items"
    return f"{told} in each of {n} seeds" if n > 1 else f"{told}, one seed"


def of_ledger(ledger: Ledger) -> str:
    """What the intervals of a study's numbers are, and of how many items and seeds these are."""
    facts, n = ledger.facts, len(ledger.facts["seeds"])
    counts = (ledger.get(block, facts["baseline"], "n_items") for block in ledger.blocks)
    tests = items((round(found["mean"]["value"]) for found in counts), n)
    names = ", ".join(sorted({ledger.place(block)[0] for block in ledger.blocks}))
    told = f"Data set{'s' * (', ' in names)} {names}: {tests}."
    if n == 1:
        return f"{told} With one seed there are no intervals."
    return f"{told} Marks: means over seeds; bars: {percent(facts['level'])} two-way intervals, over seeds and images."
