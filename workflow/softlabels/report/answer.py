"""The answer of a study in two sentences, from its ledger: accuracy, and distance from what people said."""

from __future__ import annotations

from collections.abc import Iterator

from ..columns import percent
from ..documents import Bold, Text
from ..studies.ledger_view import Block, Ledger, cut, interval, spread

QUESTION = "What changes when an image classifier learns from the distribution of people's labels?"
ABOUT = (("macro_acc", "vote_acc"), ("kl", "ce", "kl_dcic"))  # of each sentence: the first that the study has
SHOWN = 3  # points or labels that a sentence names


def answer(ledger: Ledger) -> list[Text]:
    """At most two sentences; none for a study of one label."""
    if len(ledger.labels) < 2:
        return []
    metrics = [next((name for name in names if name in ledger.metrics), None) for names in ABOUT]
    if len(ledger.labels) == 2 and len(ledger.blocks) == 1:
        return [_of_one(ledger, ledger.blocks[0], metric) for metric in metrics if metric]
    return [tuple(_of_many(ledger, metric)) for metric in metrics if metric]


def _of_one(ledger: Ledger, block: Block, metric: str) -> Text:
    """One difference of two labels."""
    baseline, other = ledger.labels
    mine, theirs = (spread(ledger.get(block, label, metric)) for label in (other, baseline))
    found = ledger.get(block, other, metric, "difference", baseline)
    what = _name(ledger, metric)
    said = (f"{what[0].upper()}{what[1:]} is ", mine, f" with {other} and ", theirs, f" with {baseline} labels")
    if "low" not in found:
        return (*said, f": {_undefined(ledger)}.")
    seeds, images = len(ledger.facts["seeds"]), spread(ledger.get(block, baseline, "n_items"))
    size = ("difference ", found["mean"]["printed"], " ", interval(found))
    basis = f", {percent(ledger.facts['level'])} interval over {seeds} seeds and {images} test images"
    return (*said, ": ", Bold(VERDICTS[_sign(ledger, metric, found)].format(other)), " (", *size, f"{basis}).")


def _undefined(ledger: Ledger) -> str:
    """Why there is no interval."""
    one = len(ledger.facts["seeds"]) == 1
    if one:
        return "one seed, so that no difference can be told from chance"
    return "no interval, as the difference is the same in every seed, or not defined"


VERDICTS = {0: "undecided", 1: "better with {} labels", -1: "worse with {} labels", None: "different with {} labels"}


def _of_many(ledger: Ledger, metric: str) -> Iterator[str]:
    """How many differences to the baseline are decided, and which."""
    baseline = ledger.labels[0]
    signs: dict[int | None, list[str]] = {}
    for block in ledger.blocks:
        for label in ledger.labels[1:]:
            found = ledger.get(block, label, metric, "difference", baseline)
            if "low" in found:
                place = f" ({ledger.name(block)})" if len(ledger.blocks) > 1 else ""
                signs.setdefault(_sign(ledger, metric, found), []).append(f"{label}{place}")
    total = sum(map(len, signs.values()))
    what = _name(ledger, metric)
    if not total:
        yield f"{what[0].upper()}{what[1:]}: {_undefined(ledger)}."
        return
    yield f"Against {baseline} labels, {what} is "
    words = {1: "better", -1: "worse", None: "different", 0: "undecided"}
    told = [
        f"{word} in {len(signs[sign])} of {total} comparisons"
        + ("" if sign == 0 else f" ({'; '.join(cut(signs[sign], SHOWN))})")
        for sign, word in words.items()
        if sign in signs
    ]
    yield ", ".join(told)
    yield f" (by {percent(ledger.facts['level'])} intervals, each for itself)."


def _sign(ledger: Ledger, metric: str, found: dict) -> int | None:
    """1 if a difference is an improvement, -1 if the opposite, 0 if its interval holds 0, None without a direction."""
    low, high = found["low"]["value"], found["high"]["value"]
    if low <= 0 <= high:
        return 0
    better = ledger.facts["headings"][metric]["better"]
    return None if better is None else 1 if (low > 0) == (better == "higher") else -1


def _name(ledger: Ledger, metric: str) -> str:
    words = {"macro_acc": "macro accuracy", "kl": "KL divergence from the reference"}
    return words.get(metric, ledger.heading(metric).rstrip(" ↑↓"))
