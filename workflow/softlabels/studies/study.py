"""Gather the runs of a study into its ledger, tables and list of items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import io, places, registry, schema
from ..contracts import (
    ALL,
    STANDARD,
    UNLABELLED,
    Reference,
    Scores,
    of_unknown,
    read_absent,
    read_estimate,
    read_others,
    read_reference,
    read_rows,
    sets,
)
from ..errors import UserError
from ..evaluation import strata
from ..evaluation.structure import FACTS
from ..labels import remarks
from . import items, ledger, ledger_view, paper
from .ledger import Evaluations, evaluations, named

SETUP = ("{name} differs from the paper in: {texts}.", "{name}, where the paper says nothing: {texts}.")
ERASED = 0.2  # of the entropy of the votes' average: a soft label with less has lost their ambiguity
OTHERS = "other_people"  # a reference of the votes of people whose votes no label is made of
PLAIN = ("average", "majority")  # aggregates that say what the votes say
ARROWS = {"higher": " ↑", "lower": " ↓"}


def run(config: dict, inputs: dict, outputs: dict) -> None:
    """Write the tables of a study.

    Args:
        config: ``study``, ``datasets`` (name: ``paper`` and ``description``), ``splits``, ``recipes`` and ``labels``
            (name: definition), ``seeds``, ``metrics`` (names), ``metric_facts`` (what tables print of each: heading,
            better, unit, decimals, source), ``metric_code`` (hash of the code of each), ``ddof``, ``level``,
            ``baseline``, ``tables`` (kind and options of each); of a study that varies something ``varied`` (the keys)
            and ``points`` (of each ``base`` and ``names``: data set, split and recipe as the study names them and as
            they ran; ``labels``: the label that ran, by its base; ``values`` of the keys, as text); ``elsewhere``, the
            recipes whose networks were trained elsewhere, if there are any; ``heads``, those that fit linear heads;
            ``alike``, those of them whose seeds are all the same run, by split; ``claims``, statements that are judged
            (see :mod:`.claims`), if there are any; ``histories``, those whose runs have a
            history, if a table needs these.
        inputs: lists ``scores`` and ``terms`` (a file a run and set of metrics), ``predictions`` (a file a run),
            ``references`` (a file a data set, split, seed and set of metrics), ``items`` and ``reference`` (a file a
            data set), ``annotations`` (a file a data set, if a table is about numbers of votes), ``histories`` (a file
            a run of these recipes). Their paths under ``results/`` say which is which.

    Raises:
        UserError: a run, a reference row file or a data set table is missing; runs that were scored differently.
    """
    seeds, datasets, points = config["seeds"], list(config["datasets"]), ledger.points(config)
    named_runs = (run for point in points for label in point.labels for run in point.runs(label, seeds))
    run_names = list(dict.fromkeys(named_runs))
    split_names = dict.fromkeys(draw for point in points for draw in point.draws(seeds))
    predictions = named(inputs["predictions"], "runs", run_names, "predictions.parquet")
    tables = named(inputs["items"], "data", datasets, "items.parquet")
    reference = named(inputs["reference"], "data", datasets, "reference.parquet")
    wanted = sets(config["metrics"])
    runs = evaluations(inputs["scores"], "runs", run_names, wanted)
    terms = evaluations(inputs["terms"], "runs", run_names, wanted, Path)
    references = evaluations(inputs["references"], "references", list(split_names), wanted, read_rows)
    curved = [
        name for name in run_names if places.find(predictions[name]).names["recipe"] in config.get("histories", ())
    ]
    histories = ledger.histories(inputs.get("histories", []), curved)
    facts = study_facts(config, runs, reference, _absent(inputs["references"]), predictions)
    of_ledger = {**config, "headings": facts["headings"]}
    if inputs.get("annotations"):
        annotations = named(inputs["annotations"], "data", datasets, "annotations.parquet")
        of_ledger["votes"] = {name: _votes(annotations[name]) for name in datasets}
        facts["datasets"] = {name: {**of, "votes": of_ledger["votes"][name]} for name, of in facts["datasets"].items()}
    cells = ledger.build(of_ledger, runs, terms, references, histories)
    columns = items.columns(config, [about["classes"] for about in facts["datasets"].values()])
    items.write_csv(outputs["items_csv"], columns, items.frames(config, tables, reference, predictions))

    io.write_table(outputs["cells"], cells, facts)
    cells, _ = io.read_table(outputs["cells"])  # what is printed is what the file says
    for output, text_of in ledger_view.TEXTS.items():
        io.write_text(outputs[output], text_of(cells))
    io.write_json(outputs["config"], config)


def _votes(annotations: Path) -> float | None:
    """How many people an item with votes has on average, each unknown one for itself; None without votes.

    Of people, as ``votes: n`` of a label draws people; of the votes that labels are made of, not the reference.
    """
    table = io.read_table(annotations, ["item", "annotator"])[0]
    known = table.filter(table["annotator"].is_valid()).group_by(["item", "annotator"]).aggregate([])
    items = len(table["item"].unique())
    return (known.num_rows + table["annotator"].null_count) / items if items else None


def _absent(files: list[Path]) -> dict[str, list[str]]:
    """By data set, which rows that need no network it cannot have, and why; in how many draws if not in all."""
    draws: dict[str, list[dict[str, str]]] = {}
    for file in (file for file in files if file.stem == STANDARD):
        draws.setdefault(places.find(file).names["dataset"], []).append(read_absent(file))
    found = {}
    for dataset, of in sorted(draws.items()):
        texts = Counter(f"{row} (WHERE{why})" for absent in of for row, why in absent.items())
        found[dataset] = [
            text.replace("WHERE", "" if k == len(of) else f"in {k} of {len(of)} draws of its splits: ")
            for text, k in sorted(texts.items())
        ]
    return found


def study_facts(
    config: Mapping[str, Any],
    runs: Evaluations,
    reference: Mapping[str, Path],
    absent: Mapping[str, list[str]],
    predictions: Mapping[str, Path],
) -> dict[str, Any]:
    """What headings and captions tell besides numbers; runs of another epsilon, or of other classes, are an error."""
    truths = {dataset: read_reference(reference[dataset]) for dataset in config["datasets"]}
    files = [(truths[name.split("/")[0]], file) for name, of_run in runs.items() for file in of_run.values()]
    first = files[0][1]
    for truth, file in files:
        if file.content.eps != first.content.eps:
            raise UserError(
                f"{file.path}: found eps {file.content.eps}, expected {first.content.eps} as in {first.path}. Delete "
                f"the older one and run again."
            )
        if file.content.classes != truth.classes:
            raise UserError(
                f"{file.path}: found the classes {', '.join(file.content.classes)}, expected "
                f"{', '.join(truth.classes)} as in {truth.path}. Delete it and run again."
            )
    printed = config["metric_facts"] | {f"structure.{name}": {"source": None, **about} for name, about in FACTS.items()}
    for accuracy in ledger_view.accuracies(config["tables"]):
        about = {"heading": f"epoch of accuracy {accuracy}", "better": None, "source": None, "decimals": 1}
        printed |= {ledger_view.epoch_of(accuracy): about}
    return {
        "study": config["study"],
        "labels": ledger.labels_of(config),
        "headings": {
            name: {**about, "heading": about["heading"] + ARROWS.get(about["better"], "")}
            for name, about in printed.items()
        },
        "groups": strata.NAMES,
        "structure": [f"structure.{name}" for name in FACTS],
        "absent": absent,
        "eps": first.content.eps,
        "datasets": {
            dataset: {
                "classes": truth.classes,
                "reference": "exact" if truth.votes is None else "votes",
                **({"judges": OTHERS} if config["datasets"][dataset]["description"].get("reference") == OTHERS else {}),
            }
            for dataset, truth in truths.items()
        },
        "setup": list(_setup(config, truths)),
        "elsewhere": [*_elsewhere(config, runs), *_of_heads(config, predictions), *_lacking(runs)],
        "fixed_splits": [
            name for name, split in config["splits"].items() if registry.entry("split", split["kind"]).get("fixed")
        ],
        **({"judged": told} if (told := [*_judged(config, truths)]) else {}),
        **({"estimated": told} if (told := [*_estimated(config, runs)]) else {}),
        **{key: config[key] for key in ("alike", "claims") if config.get(key)},
        **{key: config[key] for key in ("baseline", "seeds", "metrics", "tables", "ddof", "level")},
    }


def _judged(config: Mapping[str, Any], truths: Mapping[str, Reference]) -> Iterator[str]:
    """By whose votes labels are judged, where that is other people's, or made as one of the labels is."""
    others = [name for name, label in config["labels"].items() if label["aggregate"]["kind"] not in PLAIN]
    for dataset, truth in truths.items():
        if config["datasets"][dataset]["description"].get("reference") == OTHERS:
            judges = read_others(truth.path)
            unknown = judges["annotator"].null_count if judges else 0
            doubt = f" But {of_unknown(unknown, len(judges))}." if unknown else ""
            yield (
                f"{paper.title(dataset)}: the reference is made of the votes of half of the people "
                f"({truth.votes.mean():.1f} an item on average), labels of those of the others.{doubt}"
            )
        elif truth.votes is not None and others:
            yield (
                f"{paper.title(dataset)}: labels are judged by votes of the people that they are made of. The "
                f"reference is the share of these votes, as the plain average is: that favours it over "
                f"{', '.join(ledger_view.cut(others, ledger_view.PLACES))}. Take reference: other_people, or exact "
                f"distributions, to compare aggregations."
            )


def _estimated(config: Mapping[str, Any], runs: Evaluations) -> Iterator[str]:
    """Which labels learned from votes on test images, lost the ambiguity of the votes, or did not converge; notes."""
    for label, definition in config["labels"].items():
        if any(of.get("fit_on") == "all" for of in schema.aggregates(definition)):
            yield (
                f"Label {label} learned from the votes (or distributions) of all images, test images among them "
                f"(fit_on: all). Where the reference is made of the same, its scores are not of images that nothing "
                f"was learned from."
            )
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name, of_run in runs.items():
        dataset, _, _, label, _ = name.split("/")
        found.setdefault((dataset, label), []).append(read_estimate(Path(of_run[STANDARD].content.path)))
    for (dataset, label), facts in found.items():
        what = f"Label {label} of {paper.title(dataset)}"
        yield from (f"{what}: {text}" for text in remarks.of(facts, "runs"))
        if not (estimates := [of for of in facts if "entropy" in of]):
            continue
        own, votes = (sum(of[key] for of in estimates) / len(estimates) for key in ("entropy", "votes_entropy"))
        if config["labels"][label]["form"] == "soft" and own < ERASED * votes:
            yield (
                f"{what}: its mean entropy is {own:.4f} nats, that of the average of the votes {votes:.4f}. The "
                f"aggregate {config['labels'][label]['aggregate']['kind']} erases the ambiguity of these votes."
            )
        if ended := [of for of in estimates if not of.get("converged", True)]:
            residuals = [abs(of["residual"]) for of in ended if of["residual"] is not None]
            largest = f"; the largest residual is {max(residuals):.2g}" if residuals else ""
            yield f"{what}: its estimate did not converge in {len(ended)} of {len(estimates)} runs{largest}."


def _elsewhere(config: Mapping[str, Any], runs: Evaluations) -> Iterator[str]:
    """What to know of the networks of each recipe that were trained elsewhere."""
    for recipe in config.get("elsewhere", ()):
        scored = [sets[STANDARD].content for name, sets in runs.items() if name.split("/")[2] == recipe]
        lacking = sum(not scores.scalings for scores in scored)
        some = "" if lacking == len(scored) else f"{lacking} of {len(scored)} of "
        zero = config["recipes"][recipe]["zero"]
        told = [
            f"Recipe {recipe}: predictions made elsewhere, read from files. Which items these networks were trained "
            f"on, and whether those of one seed began alike, is not known here: test items may be "
            f"among them. They have no features, t-SNE or learning curves."
        ]
        if zero is not None:
            told.append(f"Probabilities of 0 count as {zero:g}.")
        if lacking:
            told.append(f"Nothing of {some}them is scaled, as their files lack validation items.")
        yield " ".join(told)


def _lacking(runs: Evaluations) -> Iterator[str]:
    """Which labels do not have all items, in which data set and split: the mean over their runs."""
    found: dict[str, list[Scores]] = {}
    for name, of_run in runs.items():
        dataset, split, _, label, _ = name.split("/")
        found.setdefault(f"Label {label} ({paper.title(dataset)}, split {split})", []).append(of_run[STANDARD].content)
    for name, scored in found.items():

        def mean(part: str, fact: str, scored: list[Scores] = scored) -> float:
            return float(np.mean([scores.values.get((part, ALL, "none", fact), 0) for scores in scored]))

        lack = [
            f"{mean(part, UNLABELLED):,.0f} of {mean(part, 'n_items'):,.0f} {kind} items"
            for part, kind in (("train", "training"), ("val", "validation"))
            if mean(part, UNLABELLED)
        ]
        if lack:
            yield f"{name}: {' and '.join(lack)} have no label (the mean over its runs); nothing is learned from them."


def _of_heads(config: Mapping[str, Any], predictions: Mapping[str, Path]) -> Iterator[str]:
    """What to know of each recipe that fits linear heads, and of its heads."""
    for recipe in config.get("heads", ()):
        about = {
            f"{label}, seed {seed}": io.read_table(path, [])[1]["head"]
            for path in predictions.values()
            for _, _, own, label, seed in [[*places.find(path).names.values()]]
            if own == recipe
        }
        network = config["recipes"][recipe]["network"]
        name = network.get("name", network["kind"])
        yield (
            f"Recipe {recipe}: linear heads on the features of a frozen network ({name}), computed once, "
            f"without augmentation, and fitted to convergence; the L2 penalty is chosen on each run's own validation "
            f"labels. The features are the same for all labels, so there are no numbers of them, no t-SNE and no "
            f"learning curves."
        )
        for wrong, what in (
            ([name for name, head in about.items() if head["edge"]],
             "the penalty that was chosen is the largest or the smallest of the list, and one beyond it may be better"),
            ([name for name, head in about.items() if not head["converged"]], "the fit did not converge"),
        ):  # fmt: skip
            if wrong:
                of_which = "; ".join(ledger_view.cut(wrong, ledger_view.PLACES))
                yield f"Recipe {recipe}, {len(wrong)} of {len(about)} heads ({of_which}): {what}."
        if any(head["normalised"] == "all items" for head in about.values()):
            yield (
                f"Recipe {recipe}: its weights come without the constants that their images were normalised with. "
                f"Those of the pixels of all items were taken, test items among them (of their images, not their "
                f"votes)."
            )


def _setup(config: Mapping[str, Any], truths: Mapping[str, Reference]) -> Iterator[str]:
    """What differs from the paper's set-up of a data set, and how many votes its reference is made of."""
    groups: dict[str, dict[str, list[ledger.Point]]] = {}
    for point in ledger.points(config):
        groups.setdefault(point.block[0], {}).setdefault(point.block[2], []).append(point)
    for dataset, recipes in groups.items():
        for recipe, points in recipes.items():
            everywhere = " (at every point)" if len(points) > 1 and config.get("varied") else ""
            name = f"{paper.title(dataset)}, recipe {recipe}{everywhere}"
            compared = zip(*(_compared(config, point, truths) for point in points), strict=True)
            for said, texts in zip(SETUP, compared, strict=True):
                common = [text for text in texts[0] or () if all(text in of_point for of_point in texts)]
                if texts[0] is not None:
                    yield said.format(name=name, texts="; ".join(common) or "nothing that it states")
        for used in dict.fromkeys(point.names[0] for points in recipes.values() for point in points):
            if (votes := truths[used].votes) is not None:
                yield f"{paper.title(used)}: the reference is made of {votes.mean():.1f} votes an item on average."


def _compared(
    config: Mapping[str, Any], point: ledger.Point, truths: Mapping[str, Reference]
) -> tuple[list[str] | None, list[str] | None]:
    """What of a point differs from the paper, and what the paper does not say; nothing of another data set."""
    dataset, _, recipe = point.names
    definition, truth, settings = config["datasets"][dataset], truths[dataset], config["recipes"][recipe]
    if not definition["paper"] or recipe in (*config.get("elsewhere", ()), *config.get("heads", ())):
        return None, None
    settings = {**settings, **settings["optimiser"]}
    here = {
        **settings,
        "items": len(truth.item),
        "pixels": definition["description"]["source"].get("pixels"),
        "reference": "exact" if truth.votes is None else "votes",
    }
    return paper.differences(definition["paper"], here), paper.unstated(settings)
