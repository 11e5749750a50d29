"""The card for people: the facts of ``card.json`` as a document, each number with a few words on what it means."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..contracts import PARTS
from ..documents import Bold, Bullets, Code, Document, Heading, Link, Picture, Rule, Table, Text
from ..evaluation.references import FLOOR_PEOPLE
from .dependence import NOTABLE

Facts = Mapping[str, Any]
NOT_STATED = "not stated"
BAR = 24  # characters of the longest bar
MOST_CLASSES = 20  # of a table with a row or a column a class
MOST_ANNOTATORS = 20
SHOWN_ANNOTATORS = 10  # lowest agreement, and most votes, where there are more


def page(card: Facts, links: Mapping[str, str]) -> Document:
    """The card of the facts in ``card.json``; ``links`` are files beside it: ``sheet``, ``votes`` and ``card_json``."""
    parts = [each for each in re.split(r"\n\s*\n", card["source"]["description"] or "") if each.strip()]
    parts += [
        *_glance(card),
        Picture(links["votes"], "Histograms of what is known of votes, entropy and agreement"),
        Picture(links["sheet"], "The clearest and the most ambiguous images"),
    ]
    for title, section in SECTIONS.items():
        parts += [Heading(title), *section(card)]
    every = "All numbers at full precision, and what is too long for a page, are in "
    parts += [Rule(), (every, Link(links["card_json"], links["card_json"]), ".")]
    return Document(f"Data card: {card['dataset']}", parts)


# -- pieces ------------------------------------------------------------------------------------------------------------


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]], right: str = "", keys: int = 0) -> Table:
    """A table; ``right`` has an ``r`` for each column aligned to the right; whole numbers have thousands separated."""
    lines = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    return Table("", header, lines, align=right, keys=keys)


def _bar(share: float) -> str:
    """A bar of block characters for a share of the longest."""
    return "█" * round(BAR * share) or ("▏" if share else "")


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _short(value: float) -> str:
    """A number as a person would write it: 51, 51.1, 0.25."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}" if value >= 10 else f"{value:.2f}"


def percent(share: float, decimals: int = 1) -> str:
    """Per cent, and never 0 or 100 where it is not."""
    least = 10**-decimals
    if 0 < share < least / 200:
        return f"<{least:g} %"
    return f">{100 - least:g} %" if 1 - least / 200 <= share < 1 else f"{100 * share:.{decimals}f} %"


def _of(n: int, total: int, what: str) -> str:
    return f"{n:,} of {total:,} {what} ({percent(n / total)})"


def _histogram(bins: Sequence[Facts], header: Sequence[str]) -> Table:
    most = max(each["n"] for each in bins)
    ends = [" to ".join(dict.fromkeys(f"{end:,}" for end in (each["from"], each["to"]))) for each in bins]
    rows = [(both, each["n"], _bar(each["n"] / most)) for both, each in zip(ends, bins, strict=True)]
    return _table([*header, ""], rows, "rr")


def _range(summary: Facts) -> str:
    return ", ".join(f"{name} {_short(summary[name])}" for name in ("min", "median", "mean", "max"))


# -- sections ----------------------------------------------------------------------------------------------------------


def _glance(card: Facts) -> Iterator[Any]:
    items, votes, annotators = card["items"], card["votes"], card["annotators"]
    entropy = card["reference"]["entropy"]
    rows = [
        ("images", f"{items['n']:,} of {items['width']} × {items['height']} pixels (width × height)"),
        ("classes", len(card["classes"])),
        ("votes", f"{votes['n']:,}, {_short(votes['an_item']['mean'])} an image on average" if votes else "none"),
        ("annotators", annotators["n"] if annotators else "unknown" if votes else "none"),
        ("Krippendorff's alpha", _number(card["agreement"]["krippendorff_alpha"]) if votes else "needs votes"),
        ("mean entropy", f"{_number(entropy['mean'])} nats (of at most {math.log(len(card['classes'])):.3f})"),
        ("licence", _stated(card["source"]["licence"])),
    ]
    yield _table(["", ""], [(Bold(name), value) for name, value in rows])


def _stated(statements: Sequence[Facts]) -> str:
    if len(statements) == 1:
        return statements[0]["text"]
    return "; ".join(f"{each['text']} (says {each['stated_in']})" for each in statements) or NOT_STATED


def _source(card: Facts) -> Iterator[Any]:
    source = card["source"]
    rows = [
        ("licence", _stated(source["licence"])),
        ("citation", _stated(source["citation"])),
        ("homepage", source["homepage"] or NOT_STATED),
    ]
    yield _table(["", ""], rows)
    yield "Made with these options:"
    options = sorted(source["options"].items())
    yield _table(["option", "value"], [(Code(key), _option(value)) for key, value in options])
    digest = source["digest"]
    yield "Digest of all images: ", Code(digest["sha256"]), f" (the SHA-256 of {digest['of']})."
    if source["files"]:
        rows = [(name, file["bytes"], Code(file["sha256"])) for name, file in sorted(source["files"].items())]
        yield _table(["source file", "bytes", "SHA-256"], rows, " r")
    else:
        yield f"Checksums of source files: {NOT_STATED}."
    if source["remarks"]:
        yield "Remarks of the import:"
        yield Bullets(source["remarks"])


def _option(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_option(each)}" for key, each in sorted(value.items()))
    if isinstance(value, list):
        return ", ".join(map(_option, value)) or "none"
    return str(value)


def _classes(card: Facts) -> Iterator[Any]:
    classes = card["classes"]
    yield (
        Bold("Hard"),
        " counts the images by their most probable class (ties: the class listed first). ",
        Bold("Soft"),
        " is the mean of the label distributions: what the classes hold once every doubt is counted.",
    )
    shown, half = classes, MOST_CLASSES // 2
    if len(classes) > MOST_CLASSES:
        by_size = sorted(classes, key=lambda each: -each["items"])
        shown = [*by_size[:half], *by_size[-half:]]
        yield f"The {half} largest and the {half} smallest of {len(classes)} classes:"
    most = max(each["items"] for each in classes)
    rows = [
        (each["name"], each["items"], percent(each["share"]), percent(each["mean_probability"]),
         _bar(each["items"] / most))
        for each in shown
    ]  # fmt: skip
    yield _table(["class", "images", "hard", "soft", ""], rows, " rrr")
    if empty := sum(each["items"] == 0 for each in classes):
        yield f"{empty} classes are nobody's most probable class."


def _votes(card: Facts) -> Iterator[Any]:
    votes = card["votes"]
    if votes is None:
        yield "There are no votes: the source gives distributions alone."
        return
    yield f"{votes['n']:,} votes. Votes an image: {_range(votes['an_item'])}."
    yield _histogram(votes["an_item"]["histogram"], ["votes an image", "images"])
    if votes["items_with_one"]:
        yield f"{_of(votes['items_with_one'], card['items']['n'], 'images')} have one vote: no agreement shows there."
    yield from _dependence(votes["dependence"])
    if votes["weight"]:
        yield f"Votes have weights: {_range(votes['weight'])}. Every number on this page counts each vote once."
    if votes["time"]:
        yield f"Times of {votes['time']['n']:,} votes, in the source's unit: {_range(votes['time'])}."


def _dependence(found: Facts) -> Iterator[Any]:
    """Whether the number of votes depends on disagreement, and what that does to entropies and floors."""
    if found["p"] is None:
        if found["items"]:
            yield (
                f"All {found['items']:,} images with two votes or more have {found['votes']}: their number does not "
                "depend on how much people disagree."
            )
        return
    fewer, more = found["fewer"], found["more"]
    measured = (
        f"Two votes differ with a probability of {percent(fewer['disagreement'])} on the {fewer['items']:,} images "
        f"with 2 to {found['up_to']:,} votes, and of {percent(more['disagreement'])} on the {more['items']:,} with "
        f"more (one pair of each image, rank sum, permutation p = {found['p']:.4f})."
    )
    if found["p"] >= NOTABLE:
        yield f"No sign that the number of votes depends on how much people disagree. {measured}"
        return
    yield Bold("The number of votes depends on how much people disagree"), f". {measured}"
    if found["direction"] == "more":
        yield (
            "It looks as if extra people were asked about disputed images. The entropy of images with few votes is "
            "then too low: some are unanimous because asking stopped there. What needs several votes, such as floor, "
            "panel and split half, speaks of the disputed images more than of all: as a floor of all images it is too "
            "high. For fair entropies, use as many votes of each image: `votes:` in a label."
        )
    else:
        yield (
            "Images on which people agree have more votes. The entropy of images with few votes is then too low as "
            "always, and just these are the disputed ones; what needs several votes, such as floor, panel and split "
            "half, speaks of the clear images more than of all: as a floor of all images it is too low."
        )


def _agreement(card: Facts) -> Iterator[Any]:
    found, classes = card["agreement"], [each["name"] for each in card["classes"]]
    if found is None:
        yield "Agreement needs votes; there are none."
        return
    yield _table(
        ["", "", "what it says"],
        [
            (Bold("Krippendorff's alpha"), _number(found["krippendorff_alpha"]),
             "agreement beyond chance (nominal): 1 is full agreement, 0 is labels dealt out at random"),
            (Bold("pairwise agreement"), _number(found["observed_agreement"]),
             "how often two votes on the same image are equal (Fleiss' observed agreement, mean over images)"),
        ],
        " r",
    )  # fmt: skip
    yield f"Over the {_of(found['items'], card['items']['n'], 'images')} with two votes or more."
    yield from _confusion(np.array(found["confusion"]), classes)


def _confusion(votes: np.ndarray, classes: list[str]) -> Iterator[Any]:
    """Shares of each row: all of a few classes, else the most frequent confusions."""
    total = votes.sum(axis=1, keepdims=True)
    share = votes / np.maximum(total, 1)
    what = (
        "what people say (columns) where the majority of the others says a class (rows), as shares of the row over all "
        "votes. Each vote is left out of the majority that it is compared with (ties: the class listed first)."
    )
    if len(classes) <= MOST_CLASSES:
        yield Bold("Mean confusion"), f": {what}"
        rows = [
            (Bold(name), *(_share(value, k == row) for k, value in enumerate(share[row])))
            for row, name in enumerate(classes)
            if total[row]
        ]
        yield _table(["", *classes], rows, " " + "r" * len(classes))
        return
    yield Bold("Most frequent confusions"), f": {what}"
    off = votes * (1 - np.eye(len(classes), dtype=votes.dtype))
    order = np.argsort(-off, axis=None, kind="stable")[:MOST_CLASSES]
    pairs = [np.unravel_index(cell, off.shape) for cell in order if off.flat[cell]]
    rows = [(classes[a], classes[b], int(off[a, b]), percent(share[a, b])) for a, b in pairs]
    yield _table(["the others say", "one says", "votes", "share"], rows, "  rr")


def _share(value: float, diagonal: bool) -> Text:
    """Per cent; a dot where no vote is, bold on the diagonal."""
    text = "·" if value == 0 else "<0.1" if value < 0.0005 else f"{100 * value:.1f}"
    return Bold(text) if diagonal else text


def _annotators(card: Facts) -> Iterator[Any]:
    found, votes = card["annotators"], card["votes"]
    if found is None:
        yield "Who voted is not known, so nothing can be said of single annotators." if votes else "There are no votes."
        return
    yield f"{found['n']:,} annotators. Votes an annotator: {_range(found['votes_each'])}."
    if votes["without_annotator"]:
        nobody = _of(votes["without_annotator"], votes["n"], "votes")
        yield f"{nobody} have no known annotator; they count as votes of others."
    yield _histogram(found["votes_each"]["histogram"], ["votes an annotator", "annotators"])
    yield (
        Bold("Agreement"),
        " is the mean share of the other votes on an image that equal the annotator's own. A low value is "
        "a reason to look, not a verdict: it also falls on harder images.",
    )
    each = found["each"]
    if len(each) <= MOST_ANNOTATORS:
        yield _annotator_table(each)
        return
    rated = [one for one in each if one["agreement"] is not None]
    yield f"The {min(SHOWN_ANNOTATORS, len(rated))} with the lowest agreement:"
    yield _annotator_table(sorted(rated, key=lambda one: one["agreement"])[:SHOWN_ANNOTATORS])
    yield f"The {SHOWN_ANNOTATORS} with the most votes:"
    yield _annotator_table(sorted(each, key=lambda one: -one["votes"])[:SHOWN_ANNOTATORS])


def _annotator_table(each: Sequence[Facts]) -> Table:
    rows = [(one["name"], one["votes"], one["compared"], _number(one["agreement"])) for one in each]
    return _table(["annotator", "votes", "on images with others", "agreement"], rows, " rrr")


def _ambiguity(card: Facts) -> Iterator[Any]:
    found, n = card["reference"], card["items"]["n"]
    entropy = found["entropy"]
    single = card["votes"]["items_with_one"] if card["votes"] and found["kind"] == "votes" else 0
    because = f"; {single:,} of them have no second vote" if single else ""
    shares = {"votes": "the shares of the votes", "other_people": "the shares of other people's votes"}
    whole = shares.get(found["kind"], "the exact distribution")
    rows = [
        (Bold("mean entropy"), _number(entropy["mean"]),
         f"nats; 0 where all agree, at most ln {len(card['classes'])} = {math.log(len(card['classes'])):.3f}"),
        (Bold("median, 90 % below, max"),
         ", ".join(_number(value) for value in (entropy["median"], entropy["quantiles"]["0.9"], entropy["max"])),
         "nats; the spread of it"),
        (Bold("mean top probability"), _number(found["mean_top_probability"]),
         "how sure the label is of its most probable class"),
        (Bold("unanimous"), f"{found['unanimous']:,} ({percent(found['unanimous'] / n)})",
         f"images whose whole label is one class{because}"),
        (Bold("ties"), f"{found['ties']:,} ({percent(found['ties'] / n)})",
         "images with several most probable classes, whose hard label is a matter of the tie rule"),
    ]  # fmt: skip
    yield f"Of the reference, which predictions are scored against: here {whole}."
    yield _table(["", "", "what it says"], rows, " r")


def _sampling(card: Facts) -> Iterator[Any]:
    found = card["sampling"]
    if found["why_not"]:
        yield found["why_not"]
        return
    floor, halves = found["floor"], found["split_half"]
    first, second = halves["directions"]
    if floor:
        yield (
            "An image's votes are a sample of what people would say, so even the true distributions are not scored 0: "
            f"their KL lies between {_number(floor['first_order_kl'])} and {_number(floor['upper_kl'])} nats on the "
            f"{floor['items']:,} images with votes of {FLOOR_PEOPLE} people or more. The lower end, (S − 1) / (2 n) "
            "with S classes among n votes, errs downwards; the upper end, from how well an image's other votes predict "
            "one, errs upwards."
        )
    else:
        yield f"No image has votes of {FLOOR_PEOPLE} people, so what true distributions would be scored is not known."
    yield (
        "Split half is how well one random half of an image's votes predicts the other: an agreement, not a floor, as "
        "good predictions lie below it. KL_ε is in nats with both sides clipped to [ε, 1 − ε], "
        f"ε = {found['eps']:g}; TVD is the total variation distance."
    )
    yield _table(
        ["split half", "KL_ε", "TVD"],
        [
            ("one way", _number(first["kl_dcic"]), _number(first["tvd"])),
            ("other way", _number(second["kl_dcic"]), _number(second["tvd"])),
            (Bold("mean"), _number(halves["kl_dcic"]), _number(halves["tvd"])),
        ],
        " rr",
    )
    some = f"a keyed random sample of {found['items']:,} of the {found['of_items']:,} images with votes"
    every = f"all {found['items']:,} images with votes"
    yield f"Over {some if found['sampled'] else every}; split half: {halves['items']:,} with two votes or more."


def _splits(card: Facts) -> Iterator[Any]:
    splits, classes = card["splits"], [each["name"] for each in card["classes"]]
    if not splits:
        yield "No split is configured."
        return
    yield _table(
        ["split", "seed", *PARTS, *(f"{part}: a class" for part in PARTS)],
        [
            (each["split"], each["seed"], *(each["items"][part] for part in PARTS),
             *(f"{min(each['classes'][part]):,} to {max(each['classes'][part]):,}" for part in PARTS))
            for each in splits
        ],
        " " + "r" * 7,
    )  # fmt: skip
    yield "Images of each part, and those of its smallest and its largest hard class."
    if outside := [f"{each['split']} {each['seed']}: {each['in_no_part']:,}" for each in splits if each["in_no_part"]]:
        yield f"In no part: {', '.join(outside)}."
    if len(classes) <= MOST_CLASSES:
        yield f"Images of each hard class ({' / '.join(PARTS)}):"
        header = ["class", *(f"{each['split']} {each['seed']}" for each in splits)]
        rows = [
            (name, *(" / ".join(f"{each['classes'][part][k]:,}" for part in PARTS) for each in splits))
            for k, name in enumerate(classes)
        ]
        yield _table(header, rows, " " + "r" * len(splits), keys=1)


def _sets(card: Facts) -> Iterator[Any]:
    groups, duplicates = card["groups"], card["duplicates"]
    if groups is None:
        yield Bold("Groups"), ": no image has one."
    else:
        yield from _straddling((Bold("Groups"), ": "), groups, "groups", card["splits"], "straddling_groups")
    if duplicates is None:
        yield Bold("Duplicates"), ": nobody looked for any."
    elif duplicates["sets"] == 0:
        yield Bold("Duplicates"), ": no two images have the same pixels."
    else:
        start = (Bold("Duplicates"), " (exactly the same pixels): ")
        yield from _straddling(start, duplicates, "sets", card["splits"], "straddling_duplicates")


def _straddling(start: tuple, sets: Facts, what: str, splits: Sequence[Facts], key: str) -> Iterator[Any]:
    """How large the sets are, and a line for each split in which one has images in several parts."""
    lines = [
        f"⚠ split {each['split']}, seed {each['seed']}: {each[key]['sets']:,} in several parts, such as "
        f"{', '.join(each[key]['first'])}"
        for each in splits
        if each[key]["sets"]
    ]
    size = f"{sets['sets']:,} {what} with {sets['items']:,} images in all, the largest with {sets['largest']:,}. "
    found = "Some straddle the parts of a split:" if lines else "None straddles a split." if splits else ""
    yield *start, size + found
    if lines:
        yield Bullets(lines)


SECTIONS = {
    "Source": _source,
    "Classes": _classes,
    "Votes": _votes,
    "Agreement": _agreement,
    "Annotators": _annotators,
    "Ambiguity": _ambiguity,
    "What the votes can tell": _sampling,
    "Splits": _splits,
    "Groups and duplicates": _sets,
}
