"""What left-out votes tell, once more: person by person, in plain Python; see ``recompute.py``."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from .recompute_intervals import student_inside

STRENGTHS = (1e-3, 1e3)  # between which the strength of a smoothing was looked for
STEP = 1.02  # a best strength has a lower cross-entropy than one that differs so much


class LeftOut(NamedTuple):
    """Votes of a person on an item (or of several who voted alike), and the item's other votes."""

    item: int
    left: dict[int, int]  # votes by class
    rest: dict[int, int]
    weight: float  # the share of the item's votes
    people: int  # how many people voted on the item


def by_person(
    item: Sequence[int], annotator: Sequence[str | None], label: Sequence[int], wanted: Iterable[int]
) -> dict[int, dict[object, list[int]]]:
    """The votes of each person on each wanted item; a vote of nobody known is a person's, by its number."""
    found: dict[int, dict[object, list[int]]] = {int(i): defaultdict(list) for i in wanted}
    for vote, (i, who, k) in enumerate(zip(item, annotator, label, strict=True)):
        if i in found:
            found[i][vote if who is None else who].append(k)
    return found


def left_out(
    item: Sequence[int], annotator: Sequence[str | None], label: Sequence[int], wanted: Iterable[int]
) -> list[LeftOut]:
    """Every person of the wanted items with two people or more, those alike once; a vote of nobody is a person's."""
    found = []
    for i, people in by_person(item, annotator, label, wanted).items():
        total = Counter(k for votes in people.values() for k in votes)
        alike = Counter(tuple(sorted(votes)) for votes in people.values())
        for votes, times in alike.items() if len(people) > 1 else ():
            share = times * len(votes) / total.total()
            found.append(LeftOut(i, Counter(votes), total - Counter(votes), share, len(people)))
    return found


def strata(votes: Iterable[LeftOut], log_q: dict[int, np.ndarray]) -> dict[str, tuple[float, float, int, float]]:
    """Cross-entropy, accuracy, items with a vote and items that these make up, by stratum of an item's other votes."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    items: dict[str, set[int]] = defaultdict(set)
    for vote in votes:
        q, n = log_q[vote.item], sum(vote.left.values())
        top = int(q.argmax())
        names = ["panel"]
        if vote.people > 2:
            names.append("disputed" if len(vote.rest) > 1 else "unanimous")
            others = sorted(vote.rest.values(), reverse=True)
            margin = others[0] - (others[1] if len(others) > 1 else 0)
            if sum(others) + n >= 10 and 10 * margin < sum(others):
                names.append("closest")
        ce = -sum(times * q[k] for k, times in vote.left.items()) / n
        for name in names:
            items[name].add(vote.item)
            for place, term in enumerate((1.0, ce, vote.left.get(top, 0) / n)):
                sums[name][place] += vote.weight * term
    return {name: (ce / w, met / w, len(items[name]), w) for name, (w, ce, met) in sums.items()}


class Smoothing(NamedTuple):
    """Where predictions from others are smoothed to."""

    overall: np.ndarray  # float64 [C]
    of_class: list[np.ndarray]  # C of float64 [C]

    def mean(self, rest: dict[int, int]) -> np.ndarray:
        """The mean of the class that most others vote for, or of all where several classes have as many votes."""
        most = max(rest.values())
        top = [k for k, n in rest.items() if n == most]
        return self.of_class[top[0]] if len(top) == 1 else self.overall


def smoothing(p: np.ndarray) -> Smoothing:
    """Means of the training items' shares ``[n, C]``: each class with one item more, the overall mean."""
    n_classes = p.shape[1]
    overall = np.vstack([p, np.full(n_classes, 1 / n_classes)]).mean(axis=0)
    total, size = [overall.copy() for _ in range(n_classes)], [1.0] * n_classes
    for row in p:
        top = np.flatnonzero(row == row.max())
        for k in top:
            total[k] += row / len(top)
            size[k] += 1 / len(top)
    return Smoothing(overall, [each / n for each, n in zip(total, size, strict=True)])


def cross_entropy(votes: Iterable[LeftOut], towards: Smoothing, k: float) -> float:
    """Mean cross-entropy of the predictions from others of the strength ``k``; items count alike."""
    total, items = 0.0, set()
    for vote in votes:
        mean, n, others = towards.mean(vote.rest), sum(vote.left.values()), sum(vote.rest.values())
        for label, times in vote.left.items():
            q = (vote.rest.get(label, 0) + k * mean[label]) / (others + k)
            total -= vote.weight * times / n * math.log(q)
        items.add(vote.item)
    return total / len(items)


def is_best_strength(votes: list[LeftOut], towards: Smoothing, k: float) -> bool:
    """Whether ``k`` has a lower cross-entropy from the training votes than its neighbours within STRENGTHS."""
    here = cross_entropy(votes, towards, k)
    neighbours = [near for near in (k / STEP, k * STEP) if STRENGTHS[0] <= near <= STRENGTHS[1]]
    return all(here <= cross_entropy(votes, towards, near) for near in neighbours)


def panel(votes: list[LeftOut], towards: Smoothing, k: float) -> dict[str, float]:
    """The numbers of the row ``panel``, from the test votes and the strength that the row tells."""
    met = 0.0
    for vote in votes:
        q = k * towards.mean(vote.rest)
        for label, times in vote.rest.items():
            q[label] += times
        top = np.flatnonzero(q >= q.max() * (1 - 1e-9))
        met += vote.weight * sum(vote.left.get(int(c), 0) for c in top) / len(top) / sum(vote.left.values())
    n = len({vote.item for vote in votes})
    shares = {vote.item: Counter(vote.left) + Counter(vote.rest) for vote in votes}
    most = math.fsum(max(of.values()) / of.total() for of in shares.values()) / n
    bracket = {"detail.bayes_error_low": 1 - most, "detail.bayes_error_high": 1 - met / n}
    return {"ce": cross_entropy(votes, towards, k), "vote_acc": met / n, "detail.n_items": n, **bracket}


def sampling_floor(votes: list[LeftOut], towards: Smoothing, k: float) -> dict[str, float]:
    """The ends of the row ``sampling_floor``, from the test votes and the strength that the row tells."""
    first: dict[int, float] = {}
    mass = {vote.people: np.zeros(161) for vote in votes}  # of classes, by people and bin of predicted log-odds
    hits = np.zeros(161)
    for vote in votes:
        total = Counter(vote.left) + Counter(vote.rest)
        first[vote.item] = (len(total) - 1) / (2 * total.total())
        q = k * towards.mean(vote.rest)
        for label, times in vote.rest.items():
            q[label] += times
        q /= q.sum()
        bins = 80 + np.rint(2 * np.log(q / (1 - q)).clip(-40, 40)).astype(int)  # half a unit wide
        np.add.at(mass[vote.people], bins, vote.weight)
        for label, times in vote.left.items():
            hits[bins[label]] += vote.weight * times / sum(vote.left.values())
    of_bin = np.sum(list(mass.values()), axis=0)
    p = hits / np.where(of_bin > 0, of_bin, 1)
    upper = sum(float(share @ np.interp(p, *_envelope(people))) for people, share in mass.items())
    return {"kl": upper / len(first), "detail.first_order_kl": sum(first.values()) / len(first)}


def _envelope(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners (p, H) of the least concave function above E[x ln x] - p ln p, n x being binomial; by gift wrapping."""
    odds = np.exp(np.linspace(-20, 20, 801))
    p = np.concatenate([[0], odds / (1 + odds), [1]])
    h = np.zeros(len(p))
    inner = slice(1, -1)
    for m in range(1, n + 1):  # x = 0 adds nothing
        ways = math.lgamma(n + 1) - math.lgamma(m + 1) - math.lgamma(n - m + 1)
        chance = np.exp(ways + m * np.log(p[inner]) + (n - m) * np.log1p(-p[inner]))
        h[inner] += chance * (m / n) * math.log(m / n)
    h[inner] -= p[inner] * np.log(p[inner])
    corners = [0]
    while corners[-1] < len(p) - 1:
        a = corners[-1]
        corners.append(a + 1 + int(((h[a + 1 :] - h[a]) / (p[a + 1 :] - p[a])).argmax()))
    return p[corners], h[corners]


# -- metrics of people -------------------------------------------------------------------------------------------------

People = Mapping[int, Mapping[object, Sequence[int]]]  # of each item the votes of each person, by name if it is known
Predicted = Mapping[int, int]  # the class that is predicted of each item


def _of_annotators(people: People, options: Mapping[str, Any], error: Callable[[int, int], float]) -> float | None:
    """The mean of an error (of item and vote) within annotators, or items, and then over these."""
    found: dict[object, list[float]] = defaultdict(list)
    for item, of_item in people.items():
        for who, labels in of_item.items():
            if isinstance(who, str):
                found[who if options["over"] == "annotators" else item] += [error(item, label) for label in labels]
    return math.fsum(math.fsum(each) / len(each) for each in found.values()) / len(found) if found else None


def annotator_error(people: People, predicted: Predicted, options: Mapping[str, Any], classes: Sequence[str]) -> dict:
    """The share of votes for another class than the predicted one."""
    return {"": _of_annotators(people, options, lambda item, label: float(label != predicted[item]))}


def annotator_distance(
    people: People, predicted: Predicted, options: Mapping[str, Any], classes: Sequence[str]
) -> dict:
    """The distance of votes from the predicted class, of the largest that there is."""
    rank = {name: k for k, name in enumerate(options.get("order") or classes)}

    def distance(item: int, label: int) -> float:
        return abs(rank[classes[label]] - rank[classes[predicted[item]]]) / (len(classes) - 1)

    return {"": _of_annotators(people, options, distance)}


def readers(people: People, predicted: Predicted, options: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """The network in each reader's place; numbers by what follows the metric's name, with ``@`` and the reader."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for item, of_item in people.items():
        total = Counter(k for labels in of_item.values() for k in labels)
        for who, labels in of_item.items():
            rest = total - Counter(labels)
            if isinstance(who, str) and rest:
                top = [k for k, times in rest.items() if times == max(rest.values())]
                network = Fraction(rest[predicted[item]], rest.total())
                reader = Fraction(sum(rest[k] for k in labels), rest.total() * len(labels))
                met = sum(k in top for k in labels) / len(labels), float(predicted[item] in top)
                found[who].append({
                    "": float(network - reader), ".reader_agreement": float(reader),
                    ".network_agreement": float(network), ".reader_accuracy": met[0], ".network_accuracy": met[1],
                    ".accuracy": met[1] - met[0], ".advantage": float(network >= reader),
                    "behind": float(reader >= network) - float(network >= reader),
                })  # fmt: skip
    every = [row for rows in found.values() for row in rows]
    tested = {who: rows for who, rows in found.items() if len(rows) >= options["minimum"]}
    p = {who: _t_test([row["behind"] for row in rows], options["epsilon"]) for who, rows in tested.items()}
    ranked = sorted(p, key=p.get)
    bound = options["rate"] / len(p) / sum(1 / k for k in range(1, len(p) + 1)) if p else 0.0
    last = max((k for k, who in enumerate(ranked, start=1) if p[who] <= k * bound), default=0)
    numbers: dict[str, Any] = {number: _average(every, number) for number in NUMBERS}
    advantage = {who: _average(rows, ".advantage") for who, rows in tested.items()}
    numbers |= {".n_readers": len(tested), ".winning_rate": last / len(p) if p else None}
    numbers[".advantage"] = math.fsum(advantage.values()) / len(p) if p else None
    for who in sorted(tested, key=lambda who: (-len(tested[who]), who))[: options["listed"]]:
        own = {number: _average(tested[who], number) for number in NUMBERS}
        own |= {".advantage": advantage[who], ".wins": float(who in ranked[:last]), ".n_items": len(tested[who])}
        numbers |= {f"{number}@{who}": value for number, value in own.items()}
    return numbers


NUMBERS = ("", ".accuracy", ".reader_agreement", ".network_agreement", ".reader_accuracy", ".network_accuracy")
METRICS = {"annotator_error": annotator_error, "annotator_distance": annotator_distance, "readers": readers}


def _average(rows: Sequence[Mapping[str, Any]], number: str) -> float | None:
    return math.fsum(row[number] for row in rows) / len(rows) if rows else None


def _t_test(values: Sequence[float], bound: float) -> float:
    """One-sided p that a mean is below a bound; 0 or 1 where all values are the same."""
    n, mean = len(values), math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    if len(set(values)) == 1:
        return float(mean >= bound)
    t = (mean - bound) / math.sqrt(variance / n)
    tail = (1 - student_inside(math.atan(abs(t) / math.sqrt(n - 1)), n - 1)) / 2
    return tail if t < 0 else 1 - tail
