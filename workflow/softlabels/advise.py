"""`softlabels advise`: which label a finished study speaks for, what it leaves open, and what would decide it.

All of it is read from the study's ledger and list of items. A label is recommended if it is never measurably worse than
another in a metric of the main table, and better than each other label in at least one, by Holm's p over all that the
page compares for it: labels, metrics and points. As the ledger has Holm's p of each best label against all others, this
is Holm of Holm: stricter than it need be, never less strict.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .columns import percent
from .documents import Bullets, Document, Heading, Table, Text, markdown
from .errors import UserError
from .evaluation.intervals import holm
from .places import of_study
from .provenance.evidence import Results, reading
from .provenance.explain import locate
from .studies import budgets, verdicts
from .studies.ledger_view import OF_PAPER, PROJECTED, Block, Ledger, cut, interval
from .studies.tables import budget as budget_table
from .studies.tables import fixed_budget
from .studies.tables import verdicts as verdict_table

LINES = 12  # of a list
IMAGES = 10  # that are named
FEW, AGREED = 5, 0.8  # an image is read again that has at most so many votes, or such a share for one class
FARTHEST = 100  # times as many test images are no advice
CHUNK = 100_000  # rows of items.csv that are in memory at a time


class Contest(NamedTuple):
    """One metric of a block: the label with the best mean, and this label minus each other one."""

    block: Block
    metric: str
    best: str
    others: Mapping[str, Mapping[str, Any]]  # aggregates with ``mean`` and, where there is an interval, ``p``
    p: Mapping[str, float]  # Holm's p, of the metrics of the main table over the whole page; NaN without an interval


class Choice(NamedTuple):
    """What a block speaks for: a label, or None and why, and the contests that decided."""

    label: str | None
    text: str
    decided: list[tuple[Contest, str]]  # and the label that lost


def page(study: str) -> str:
    """The advice that a study (its name, folder or a table of it) gives, as Markdown.

    Raises:
        UserError: no such study, or one that is not finished, or has one label or one seed.
    """
    return markdown(advice(*locate(study)))


def advice(results: Results, study: str) -> Document:
    """See :func:`page`."""
    path = of_study(study, "cells")
    if not (results.root / path).is_file():
        raise UserError(f"Study {study}: is not finished: found no {path}. `softlabels run` its configuration first.")
    with reading(path):
        ledger = Ledger(results.cells(study))
    if len(ledger.labels) < 2:
        raise UserError(
            f"Study {study}: has one label ({ledger.labels[0]}), so that there is nothing to choose among. Add another "
            f"one to its labels, and run again."
        )
    if len(ledger.facts["seeds"]) < 2:
        raise UserError(
            f"Study {study}: has one seed, so that no difference can be told from chance. Set seeds: [0, 1, 2, 3, 4], "
            f"and run again."
        )
    found = contests(ledger)
    choices = {block: choice(ledger, of_block) for block, of_block in found.items()}
    parts = [
        *_which(ledger, choices),
        *_listed("What is undecided, and what would decide it", _undecided(ledger, found)),
        *_listed("What favours another label", _favours(ledger, found, choices)),
        *_listed("How many votes an image", _votes(ledger)),
        *_listed("More readers or more images", _points(ledger)),
        *_listed("Published claims", _claims(ledger)),
        *_again(ledger, results, study, choices),
    ]
    return Document(f"What study {study} advises", parts)


def main_metrics(ledger: Ledger) -> list[str]:
    """The metrics that a choice rests on: those of the main table with a direction, not the paper's clipped KL."""
    chosen = [metric for metric in ledger.main if ledger.facts["headings"][metric]["better"]]
    return [metric for metric in chosen if metric != OF_PAPER] or chosen


def contests(ledger: Ledger) -> dict[Block, list[Contest]]:
    """The contests of each block, in all metrics of the study."""
    found: dict[tuple[Block, str, str], dict[str, Any]] = {}
    for (*block, label, metric, kind, other), aggregate in ledger.aggregates.items():
        if kind == "best":
            found.setdefault((tuple(block), metric, label), {})[other] = aggregate
    p = {(*place, other): one["p"]["value"] if "p" in one else math.nan
         for place, others in found.items() for other, one in others.items()}  # fmt: skip
    main = [place for place in p if place[1] in main_metrics(ledger)]
    p |= dict(zip(main, holm([p[place] for place in main]).tolist(), strict=True))
    of_block: dict[Block, list[Contest]] = {block: [] for block in ledger.blocks}
    for (block, metric, best), others in found.items():
        adjusted = {other: p[block, metric, best, other] for other in others}
        of_block[block].append(Contest(block, metric, best, others, adjusted))
    return of_block


def choice(ledger: Ledger, found: list[Contest]) -> Choice:
    """What the contests of a block speak for."""
    found = [contest for contest in found if contest.metric in main_metrics(ledger)]
    decided = [(contest, other) for contest in found for other in contest.others if supported(ledger, contest, other)]
    lost, won = {other for _, other in decided}, {(contest.best, other) for contest, other in decided}
    never = [label for label in ledger.labels if label not in lost]
    for label in never:
        if all((label, other) in won for other in ledger.labels if other != label):
            return Choice(label, label, [pair for pair in decided if pair[0].best == label])
    if not decided:
        return Choice(None, "undecided: no difference between labels is measurable", [])
    if len(never) > 1:
        return Choice(None, f"undecided between {' and '.join(never)}", decided)
    return Choice(None, "it depends on the metric", decided)


def supported(ledger: Ledger, contest: Contest, other: str) -> bool:
    """Whether the best label of a contest is better than another."""
    return contest.p[other] <= 1 - ledger.facts["level"]


def _told(ledger: Ledger, contest: Contest, other: str) -> str:
    """A difference with its interval, which the ledger has of the baseline, and Holm's p."""
    p = contest.p[other]
    of_holm = "no interval" if math.isnan(p) else f"p {p:.4f}" if p >= 0.0001 else "p < 0.0001"
    pair = [contest.best, other]
    if ledger.facts["baseline"] in pair:
        first = next(label for label in pair if label != ledger.facts["baseline"])
        found = _difference(ledger, contest, other)
        if found:
            text = f"{first} − {ledger.facts['baseline']} {found['mean']['printed']} {interval(found)}, {of_holm}"
            return f"{ledger.heading(contest.metric)}: {text}"
    mean = contest.others[other]["mean"]["printed"]
    return f"{ledger.heading(contest.metric)}: {contest.best} − {other} {mean}, {of_holm}"


def _difference(ledger: Ledger, contest: Contest, other: str) -> Mapping[str, Any]:
    """The paired difference of a contest to the baseline, if one of the two is it."""
    baseline = ledger.facts["baseline"]
    pair = {contest.best, other}
    if baseline not in pair:
        return {}
    (first,) = pair - {baseline}
    return ledger.get(contest.block, first, contest.metric, "difference", baseline)


def _listed(title: str, lines: Iterator[Text]) -> list[Any]:
    """A section with a list; nothing without a line."""
    texts = list(lines)
    return [Heading(title), Bullets(cut(texts, LINES))] if texts else []


def _which(ledger: Ledger, choices: Mapping[Block, Choice]) -> Iterator[Any]:
    yield Heading("Which label")
    rows = []
    for block, chosen in choices.items():
        pairs = sorted(chosen.decided, key=lambda pair: pair[0].p[pair[1]])
        why = [f"{pair[0].best} in {_told(ledger, *pair)}" for pair in pairs]
        rows.append([*ledger.place(block), chosen.text, "; ".join(cut(why, 4)) or "–"])
    yield Table("", [*ledger.place_header(), "label", "because of"], rows)
    yield (
        "A label is named only if, in the metrics of the main table, it is never measurably worse than another and "
        "better than each in at least one. Intervals are two-way, over seeds and images; p is Holm's over all rows and "
        "metrics of this table, of those p that are Holm's over a row's labels already: with several labels it is too "
        "large rather than too small. It depends: labels win in different metrics; take the one whose metric you need."
    )
    yield from ledger.facts.get("judged", ())


def _undecided(ledger: Ledger, found: Mapping[Block, list[Contest]]) -> Iterator[str]:
    for block, of_block in found.items():
        for contest in (contest for contest in of_block if contest.metric in main_metrics(ledger)):
            for other, one in contest.others.items():
                # No number of seeds decides a mean of 0.
                if not supported(ledger, contest, other) and one["mean"]["value"]:
                    yield f"{ledger.name(block)}: {_told(ledger, contest, other)}. {_remedy(ledger, contest, other)}"


def _remedy(ledger: Ledger, contest: Contest, other: str) -> str:
    """What would decide a difference, if it stays as large as it is."""
    found, seeds = _difference(ledger, contest, other), len(ledger.facts["seeds"])
    if not found:
        return "Make one of the two the first label of the study to see what more seeds would leave."
    if "half" not in found:
        return "Nothing varied between seeds, so that nothing says what would decide it."
    size, now = abs(found["mean"]["value"]), found["half"]["value"]
    halves = {n: found[f"half_{n}"] for n in PROJECTED if n > seeds}
    told = {n: f"{n} seeds would leave ± {half['printed']}" for n, half in halves.items()}
    if now < size:
        return "Its own interval excludes 0, but not after Holm: more seeds, or fewer comparisons, may decide it."
    if enough := [n for n, half in halves.items() if half["value"] < size]:
        return f"{told[enough[0]]}, without 0 if the difference stays as it is."
    most = f"{told[max(told)]}; " if told else ""
    times = (min([*(half["value"] for half in halves.values()), now]) / size) ** 2
    if times > FARTHEST:
        return f"{most}the two are too near to be told apart here."
    return f"{most}about {times:.1f} times as many test images would be needed besides."


def _favours(ledger: Ledger, found: Mapping[Block, list[Contest]], choices: Mapping[Block, Choice]) -> Iterator[str]:
    """Where a label that was not chosen has the better mean: decided in any metric, or undecided in a main one."""
    for sure, said in ((True, "decided"), (False, "undecided")):
        for block, label in ((block, chosen.label) for block, chosen in choices.items()):
            for contest in found[block]:
                due = sure or contest.metric in main_metrics(ledger)
                if due and label in contest.others and supported(ledger, contest, label) == sure:
                    yield f"{ledger.name(block)}: {contest.best} in {_told(ledger, contest, label)} ({said})."


def _votes(ledger: Ledger) -> Iterator[str]:
    for key in [key for key in ledger.aggregates if key[-2] == budgets.GAIN]:
        *block, label, metric, _, _ = key
        answers = {share: budget_table.answer(ledger, key, share) for share in budgets.SHARES}
        said = "; ".join(f"{votes} for {percent(share)} of the gain" for share, votes in answers.items())
        said = answers[budgets.SHARES[0]] if len({*answers.values()}) == 1 else said
        where = ", ".join(filter(None, block))
        yield f"{where}, {label}, {ledger.heading(metric)}: {said}."


def _points(ledger: Ledger) -> Iterator[Text]:
    for label in ledger.labels:
        for metric in main_metrics(ledger):
            yield from fixed_budget.best_of(ledger, label, metric)


def _claims(ledger: Ledger) -> Iterator[str]:
    """The claims with a verdict, and how many are open."""
    open_ = 0
    for statement in ledger.facts.get("claims", ()):
        for block, found in verdict_table.of_statement(ledger, statement):
            said = verdicts.verdict(statement, found, ledger.facts["level"])
            if said == verdicts.UNDECIDED:
                open_ += not verdicts.same(found)
            else:
                yield f"{said.capitalize()} in {ledger.name(block)}: {verdict_table.sentence(ledger, statement)}."
    if open_:
        yield f"{open_} statements of claims are undecided; the table of claims has them."


# -- images to read again ----------------------------------------------------------------------------------------------


def _again(ledger: Ledger, results: Results, study: str, choices: Mapping[Block, Choice]) -> Iterator[Any]:
    """A table of the test images of each data set whose label is doubtful and far from what networks predict."""
    labels = {chosen.label for chosen in choices.values()}
    label = labels.pop() if len(labels) == 1 else None
    label = label or _nearest(ledger)
    yield Heading("Which images to read again")
    path = results.file(of_study(study, "items_csv"))
    for dataset in dict.fromkeys(block[0] for block in ledger.blocks):
        blocks = [block for block in ledger.blocks if block[0] == dataset]
        if len({ledger.dataset_name(block) for block in blocks}) > 1:
            yield f"{dataset}: the study varies the data set itself, so that an image has no one label."
        elif ledger.dataset(blocks[0])["reference"] == "exact":
            yield f"{dataset}: none, as its distributions are exact."
        else:
            with reading(of_study(study, "items_csv")):
                rows, tested, doubtful = doubts(path, dataset, label, ledger.dataset(blocks[0])["classes"])
            if not rows:
                yield f"{dataset}: none; every test image has more than {FEW} votes that agree."
                continue
            judges = ledger.dataset(blocks[0]).get("judges")
            header = [
                "image",
                "votes of the judges" if judges else "votes",
                "most votes",
                f"{label} predicts",
                "divergence",
            ]
            yield Table("", header, rows)
            yield (
                f"{dataset}: of {tested} test images, {doubtful} have at most {FEW} votes, or at most "
                f"{100 * AGREED:g} % of their votes for one class. These are the ones of them with the largest "
                f"KL(votes || mean prediction of {label} over all seeds), in nats. Images that no seed tests are not "
                f"here."
            )
            if judges:
                yield "Only the votes of those who judge are counted; those that labels are made of come besides."


def _nearest(ledger: Ledger) -> str:
    """The label with the best mean KL over all blocks, else the baseline."""
    means: dict[str, list[float]] = {label: [] for label in ledger.labels}
    for block in ledger.blocks:
        for label, values in means.items():
            if found := ledger.get(block, label, "kl"):
                values.append(found["mean"]["value"])
    if not all(means.values()):
        return ledger.facts["baseline"]
    return min(means, key=lambda label: float(np.mean(means[label])))


def doubts(path: Path, dataset: str, label: str, classes: list[str]) -> tuple[list[list[str]], int, int]:
    """The most doubtful test images of a data set: rows of a table, how many were tested, and how many are in doubt.

    Args:
        path: ``items.csv`` of a study, which is read piece by piece.
        dataset: as the study names it.
        label: whose networks predict; their mean is taken over all rows of an image.
        classes: of the data set, in index order.
    """
    import pandas as pd

    truth, predicted = [f"reference_{c}" for c in classes], [f"{label}_{c}" for c in classes]
    columns = ["dataset", "item", "name", "votes", *truth, *predicted]
    kept, sums = {}, {}
    for piece in pd.read_csv(path, usecols=columns, chunksize=CHUNK, keep_default_na=False, na_values=[""]):
        piece = piece[piece["dataset"].astype(str) == dataset]
        p, q = piece[truth].to_numpy(float), piece[predicted].to_numpy(float)
        for k, (item, name, votes) in enumerate(piece[["item", "name", "votes"]].itertuples(index=False)):
            if item in sums:
                sums[item] += np.append(q[k], 1)
            else:
                kept[item], sums[item] = (str(name), int(votes), p[k]), np.append(q[k], 1)
    found = []
    for item, (name, votes, p) in kept.items():
        if votes <= FEW or p.max() <= AGREED:
            q = sums[item][:-1] / sums[item][-1]
            there = p > 0
            with np.errstate(divide="ignore"):
                divergence = float((p[there] * (np.log(p[there]) - np.log(q[there]))).sum())
            said = (f"{classes[of.argmax()]} ({100 * of.max():.0f} %)" for of in (p, q))
            found.append((-divergence, item, [name, str(votes), *said, f"{divergence:.3f}"]))
    found.sort(key=lambda row: row[:2])
    return [row for *_, row in found[:IMAGES]], len(kept), len(found)
