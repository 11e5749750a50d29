"""Published claims: one YAML file each, and what a study makes of those that it lists.

A claim is one or several statements: a metric of one label is lower than, higher than or equal to that of another, at
some points of the study. A resolved statement has ``name`` (that of its claim and its number), ``contrast`` (two
labels), ``metric``, ``direction``, ``margin``, ``at`` (of each label the values of varied keys, as text), ``text``
(whether the claim is about text), ``population`` and ``source``.

A ready claim also says what the ``labels`` that it names are, by key of a label its value or several (a kind is
enough), so that it is never judged of a label that is only called so; and which ``references`` may judge it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Statement = Mapping[str, Any]
Block = tuple[str | None, ...]  # data set, split and recipe, and the values of varied keys

FOLDER = Path(__file__).parent
OTHERS = "others"  # in the place of a second label: every other soft label of the study, a statement each
ABOUT = ("text", "population", "source")  # what the statements of a claim share
PLACES = 3  # columns of a block before the varied keys
NEED_MARGINS = ("equal", "not_lower", "not_higher")
EXAMPLES = "such as 0.01 for an accuracy or 0.02 for nats"


def names() -> list[str]:
    """The ready claims."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def pairs(statement: Statement, blocks: Sequence[Block], keys: Sequence[str]) -> list[tuple[Block, Block, Block]]:
    """Of a statement its row's block, the block of its first label and that of its second, wherever both are.

    A varied key in which the two differ is null in the row's block.
    """
    first, second = ({PLACES + keys.index(key): value for key, value in at.items()} for at in statement["at"])
    found = []
    for block in blocks:
        other = tuple(second.get(k, value) for k, value in enumerate(block))
        if other in blocks and all(block[k] == value for k, value in first.items()):
            found.append((tuple(a if a == b else None for a, b in zip(block, other, strict=True)), block, other))
    return found


def resolved(
    place: str, listed: Iterable[Any], ready: Callable[[str], dict[str, Any]], labels: Mapping[str, Mapping[str, Any]],
    references: Mapping[str, str], metrics: Collection[str], blocks: Sequence[Block], keys: Mapping[str, str],
) -> tuple[list[dict[str, Any]], list[str], list[str]]:  # fmt: skip
    """The statements of a study, where each of them stands, and what is wrong with the claims that it lists.

    Args:
        place: where they stand, for messages.
        listed: names of ready claims, and claims.
        ready: reads a ready claim: ``about``, ``source``, ``population``, ``text``, ``labels`` and its ``statements``.
        labels: the definition of each label of the study.
        references: of each of its data sets, what the reference is made of.
        metrics: of the study.
        blocks: of its points, without those that differ in data set or split alone.
        keys: the varied keys, by what a claim may call them.
    """
    statements: list[dict[str, Any]] = []
    places: list[str] = []
    problems: list[str] = []
    for number, claim in enumerate(listed):
        where = f"{place}.{number}"
        if isinstance(claim, str) and claim not in names():
            near = difflib.get_close_matches(claim, names(), n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names())}."
            problems.append(f"{where}: '{claim}' is no ready claim; {hint}")
            continue
        whole = ready(claim) if isinstance(claim, str) else {**claim, "statements": [claim]}
        given = claim if isinstance(claim, str) else claim["name"]
        name = given or f"claim_{number + 1}"
        where += f" ({given})" if given else ""
        own = [{"margin": None, "at": {}, **one} for one in whole["statements"]]
        due = whole.get("labels", {})
        own = [each for one in own for each in _against_others(one, labels, due.get(OTHERS, {}))]
        wrong = list(dict.fromkeys(text for one in own for text in _wrong(one, labels, metrics, keys, due)))
        wrong += [text for label in due if label in labels for text in _called(label, labels[label], due[label])]
        wrong += [text for name in references.items() for text in _judges(*name, whole.get("references"))]
        if not wrong:
            for k, one in enumerate(own, start=1):
                at = _points(one, keys)
                told = {key: one[key] for key in ("contrast", "metric", "direction", "margin")}
                about = {key: whole.get(key) or ("" if key != "text" else False) for key in ABOUT}
                full = {"name": f"{name} {k}" if len(own) > 1 else name, **told, "at": at, **about}
                wrong += _nowhere(full, blocks, list(dict.fromkeys(keys.values())))
                statements.append(full)
                places.append(where)
        problems += [f"{where}: {text}" for text in wrong]
    called = [statement["name"] for statement in statements]
    problems += [
        f"{place}: two are called '{name}'. Rename one." for name in sorted({*called}) if called.count(name) > 1
    ]
    return statements, places, problems


def _unlike(label: Mapping[str, Any], due: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """The keys in which a label is not as due: found and expected, kinds by their names."""
    for key, values in due.items():
        found = label[key]["kind"] if isinstance(label[key], Mapping) else label[key]
        expected = values if isinstance(values, list) else [values]
        if found not in expected:
            yield key, found, expected


def _called(name: str, label: Mapping[str, Any], due: Mapping[str, Any]) -> Iterator[str]:
    for key, found, expected in _unlike(label, due):
        yield (
            f"is about a label '{name}' with {key} {' or '.join(expected)}, found {found}. Give that name to such a "
            f"label, or write the claim out with the label that you mean."
        )


def _judges(dataset: str, reference: str, due: Sequence[str] | None) -> Iterator[str]:
    if due and reference not in due:
        yield (
            f"is judged by votes of the people of '{dataset}' that its labels are made of, whose share is the average "
            f"itself. Set reference: {' or '.join(due)}, or remove the claim."
        )


def _against_others(
    one: dict[str, Any], labels: Mapping[str, Mapping[str, Any]], due: Mapping[str, Any]
) -> list[dict[str, Any]]:
    first, second = one["contrast"]
    others = [name for name, label in labels.items() if label["form"] == "soft" and name != first
              and not any(_unlike(label, due))]  # fmt: skip
    return [{**one, "contrast": [first, other]} for other in others] if second == OTHERS and others else [one]


def _wrong(
    one: Statement, labels: Mapping[str, Mapping[str, Any]], metrics: Collection[str], keys: Mapping[str, str],
    due: Mapping[str, Mapping[str, Any]],
) -> Iterator[str]:  # fmt: skip
    """What of a statement the study lacks, or does not go together; ``due``: what the labels of a ready claim are."""
    for label in one["contrast"]:
        if label == OTHERS:
            yield f"compares with {OTHERS}, and the study has no other soft label. Add one, or remove the claim."
        elif label not in labels:
            alike = [name for name in labels if label in due and not any(_unlike(labels[name], due[label]))]
            if alike:
                contrast = ", ".join(alike[0] if name == label else name for name in one["contrast"])
                yield (
                    f"compares the label '{label}', which this study calls '{alike[0]}'. Rename that, or write the "
                    f"claim out with contrast: [{contrast}]."
                )
            else:
                yield _lacking("compares the label", label, labels, "labels")
    if one["metric"] not in metrics:
        yield _lacking("is about the metric", one["metric"], metrics, "metrics")
    if one["direction"] in NEED_MARGINS and not one["margin"]:
        yield (
            f"says '{one['direction']}' without a margin: no interval shows that there is no difference. Give a "
            f"margin, {EXAMPLES}."
        )
    at = one["at"] if isinstance(one["at"], list) else [one["at"]]
    called = [[keys.get(key, key) for key in side] for side in at]
    for key in dict.fromkeys(key for side in called for key in side if side.count(key) > 1):
        yield f"gives 'at' {key} twice, by two of its names. Remove one."
    for key in dict.fromkeys(key for side in at for key in side):
        if key not in keys:
            there = f"it varies {', '.join(dict.fromkeys(keys.values())) or 'nothing'}"
            yield f"is about points of '{key}', which the study does not vary ({there}). Vary it, or remove the claim."
    if len({frozenset(side) for side in called}) > 1:
        yield "gives 'at' with different keys for the two labels, expected the same. Give both."
    first, second = _points(one, keys)
    if len({*one["contrast"]}) == 1 and first == second:
        yield f"compares '{one['contrast'][0]}' with itself. Name two labels, or two points (at: [{{…}}, {{…}}])."


def _lacking(what: str, name: str, known: Iterable[str], key: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    return f"{what} '{name}', which the study lacks{hint}. Add it to {key}, or remove the claim."


def _points(one: Statement, keys: Mapping[str, str]) -> list[dict[str, str]]:
    """Where the two labels of a statement lie: values of varied keys, as points have them."""
    at = one["at"] if isinstance(one["at"], list) else [one["at"]] * 2
    return [{keys.get(key, key): _text(value) for key, value in side.items()} for side in at]


def _nowhere(statement: Statement, blocks: Sequence[Block], keys: Sequence[str]) -> Iterator[str]:
    if not pairs(statement, blocks, keys):
        at = list(dict.fromkeys(", ".join(f"{key} {value}" for key, value in side.items()) for side in statement["at"]))
        yield f"is about points that the study lacks ({' and '.join(at)}). Add them, or remove the claim."


def _text(value: Any) -> str:
    """A value as points have it: a word as it is, numbers that are whole without a point."""
    if isinstance(value, str):
        return value
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value, default=str)
