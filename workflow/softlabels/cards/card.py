"""The card of a data set: where it comes from, what people said about it, and what that can tell about a model.

After Holland, Hosny, Newman, Joseph and Chmielinski, The Dataset Nutrition Label (2018).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import documents, drawing, io
from ..contracts import read_reference
from ..datasets.contract import Votes, read_images
from ..evaluation.left_out import read_panels
from ..io import json_number
from . import agreement, dependence, facts, sheet, text


def run(config: dict[str, Any], inputs: dict[str, Any], outputs: dict[str, Path]) -> None:
    """Write the card of a data set.

    Args:
        config: ``dataset``; ``about`` (``description``, ``licence``, ``citation``, ``homepage``, each a text or null);
            ``source`` (its ``kind`` and options); ``reference`` (``votes``, ``other_people`` or ``exact``); ``splits``
            (name and seed of each file of ``inputs["splits"]``); ``seed`` of what is drawn.
        inputs: ``images``, ``items``, ``annotations``, ``reference``, and ``splits`` (a list, which may be absent).
        outputs: ``card_md``, ``card_json``, ``sheet`` and ``votes`` (figures, PNG).
    """
    images = read_images(inputs["images"])
    items, _ = io.read_table(inputs["items"])
    annotations, metadata = io.read_table(inputs["annotations"])
    reference = read_reference(inputs["reference"])
    classes, p = reference.classes, reference.p
    hard = p.argmax(axis=1)
    entropy = facts.entropy(p)

    counts = annotators = panels = None
    if annotations.num_rows:
        item, label = io.vector(annotations, "item"), io.vector(annotations, "label")
        counts = Votes(item, label).counts(len(p), len(classes))
        people, annotator = facts.annotators(annotations)
        if reference.votes is not None:
            panels = read_panels(inputs["annotations"], reference)
        if people:
            annotators = agreement.of_annotators(people, annotator, item, label, counts)

    card = {
        "dataset": config["dataset"],
        "source": facts.source(config, metadata.get("notes", {}), items, Path(inputs["images"])),
        "items": {"n": len(p), "height": images.shape[1], "width": images.shape[2]},
        "classes": facts.classes(classes, p, hard),
        "reference": facts.reference(config["reference"], p, entropy),
        "votes": None
        if counts is None
        else {**facts.votes(annotations, counts), "dependence": dependence.test(counts, config["seed"])},
        "agreement": None
        if counts is None
        else {
            "krippendorff_alpha": json_number(agreement.krippendorff_alpha(counts)),
            "observed_agreement": json_number(agreement.observed_agreement(counts)),
            "items": int((counts.sum(axis=1) > 1).sum()),
            "confusion": agreement.confusion(counts).tolist(),
        },
        "annotators": None if annotators is None else facts.of_annotators(annotators),
        "sampling": facts.sampling(config, classes, panels),
        **facts.sets_and_splits(items, hard, len(classes), config["splits"], inputs.get("splits") or []),
    }
    names = items.column("name").to_pylist()
    with drawing.style():
        blocks = sheet.choose(entropy, hard)
        drawing.save(sheet.contact_sheet(card, images, names, p, reference.votes, blocks), outputs["sheet"])
        drawing.save(sheet.histograms(card, counts, entropy, annotators), outputs["votes"])
    io.write_json(outputs["card_json"], card)
    links = {name: outputs[name].name for name in ("sheet", "votes", "card_json")}
    io.write_text(outputs["card_md"], documents.markdown(text.page(card, links)))
