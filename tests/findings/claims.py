"""What README's answer and docs/findings.md say, claim by claim, and by which numbers of which study.

To add one: the words around the numbers, each number a ``#``, and what they are. ``pm`` gives mean and standard
deviation, ``diff`` a difference with the ends of its interval, ``mean``, ``gap`` and ``ends`` a part of these,
``closed`` the share of the gap in KL that a scaling closes; ``percent`` makes them percentages. See ``study.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from softlabels.studies.paper import TABLE_1

from .study import HIGHER, MATRIX, OWN, REFERENCE, Number, Study, percent, span
from .texts import Claim, Table

README, FINDINGS = "README.md", "docs/findings.md"

# Files of which every number must be a claim or a setting; of one with a heading, that section.
WHOLE = {README: "The answer", FINDINGS: None}

# Numbers that are no results: how much was trained on how much, and names.
SETTINGS = {
    README: [
        "after 10 epochs", "after 40 hard ones", "CIFAR-10H", "15,000 images", "32 pixels, 40", "(95 %)", "exclude 0",
    ],
    FINDINGS: [
        "95 % interval", "CIFAR-10H", "trainings of 40 epochs", "at 20 epochs", "6,000 photographs", "about 51 people",
        "128 pixels",
        "1 to all votes an image (about 51)", "at about 10 votes", "goes on to 20 and more", "within 0.02",
        "by more than 0.02",
        "(79 of them, 15 votes an image", "in 99 %", "equal at 10 votes",
        "In 30 epochs `multipass` shows 30",
        "6,000 votes for training", "2,000 for validation", "one vote on each of 6,000 images", "all 51 votes",
        "60 generated readers, 10 votes", "(100 votes, cut", "rate of 0.01", "cosine from 0.1", "for 60 epochs",
        "reaches 0.75",
        "at 32 pixels", "at 160 pixels", "224 pixels", "DenseNet121",
    ],
}  # fmt: skip

# Studies that are cited and have no archive yet: their claims are skipped, and named.
PENDING = dict.fromkeys(
    ["learning_budget"],
    "has not been archived yet; python tests/findings/archive.py adds it",
)
HEAD, COMPACT = {"recipe": "efficientnet_lite0_head"}, {"recipe": "cifar10h_compact"}


def claims(study: Callable[[str], Study]) -> Iterator[Claim | Table]:
    """All claims; ``study`` gives a study by its name."""
    names = ("hard_vs_soft", "learning_budget", "corners", "cifar10h", "gpu/h200")
    default, budget, corners, photos, pair = map(study, names)
    names = ("label_types", "smoothing_control", "annotation_budget", "fixed_budget", "deliveries", "aggregations",
             "new_readers", "noise")  # fmt: skip
    kinds, controls, few, spent, shown, crowd, others, noise = map(study, names)
    yield Claim(
        README, "soft labels leave a KL of #, hard ones #;",
        lambda: default.mean("soft", "kl@ambiguous") + default.mean("hard", "kl@ambiguous"),
    )  # fmt: skip
    yield Claim(README, "closes # % [#, #] of the gap of all images", default.closed)
    yield Claim(
        README, "hard labels are at # ± #, soft ones at # ± #, as hard ones",
        lambda: budget.pm("hard", "macro_acc", epochs=10) + budget.pm("soft", "macro_acc", epochs=10),
    )  # fmt: skip
    yield Claim(README, "undecided with five, # [#, #].", lambda: budget.diff("macro_acc", epochs=40))
    yield Claim(
        README,
        "a KL of # with hard labels and # with soft ones, # [#, #], and hard ones are ahead in total variation, by #; "
        "a small network from random weights is at # and #.",
        lambda: [
            *photos.mean("hard", "kl", **HEAD), *photos.mean("soft", "kl", **HEAD), *photos.diff("kl", **HEAD),
            *photos.gap("tvd", **HEAD),
            *photos.mean("hard", "kl", **COMPACT), *photos.mean("soft", "kl", **COMPACT),
        ],
    )  # fmt: skip
    yield Table(
        README, "test items",
        rows={
            "macro accuracy ↑": "macro_acc",
            "total variation distance ↓": "tvd",
            "soft calibration error ↓": "soft_ece",
            "correlation of entropies ↑": "entropy_correlation",
            "KL ↓": "kl",
            "KL, each scaled by a temperature of its own ‡": f"kl+{REFERENCE}",
            "KL of clear items": "kl@clear",
            "KL of ambiguous items": "kl@ambiguous",
        },
        columns={
            "hard labels": lambda metric: default.pm("hard", metric),
            "soft labels": lambda metric: default.pm("soft", metric),
            "soft − hard (95 %)": lambda metric: default.diff(metric),
        },
        bold=lambda metric: better(default, metric),
    )  # fmt: skip
    yield Claim(README, "widen the gap: hard labels get #.", lambda: default.mean("hard", f"kl+{OWN}"))
    yield from _of_default(default)
    yield from _of_budget(budget)
    yield from _of_photos(photos)
    yield from _of_labels(kinds)
    yield from _of_controls(controls)
    yield from _of_few_votes(few)
    yield from _of_spent(spent)
    yield from _of_deliveries(shown)
    yield from _of_aggregations(crowd)
    yield Claim(
        FINDINGS, "Macro accuracy # with hard and # with soft labels, # [#, #], is undecided; KL # and #, # [#, #]: ",
        lambda: [n for metric in ("macro_acc", "kl")
                 for n in (*others.mean("hard", metric), *others.mean("soft", metric), *others.diff(metric))],
    )  # fmt: skip
    yield from _of_noise(noise)
    yield from _of_corners(corners)
    yield Claim(
        FINDINGS, "accuracy # with hard and # with soft labels, KL # and #. Its network",
        lambda: [n for metric in ("acc", "kl") for who in ("hard", "soft") for n in pair.mean(who, metric)],
    )  # fmt: skip
    yield Claim(FINDINGS, "left it by epoch # ([`docs/gpu`]", lambda: pair.mean("hard", "epochs_to 0.75"))
    yield Claim(
        "docs/metrics.md", "on the default study: # for hard labels, # for soft ones; soft ECE: # and #.",
        lambda: [n for metric in ("ece", "soft_ece") for who in ("hard", "soft") for n in default.mean(who, metric)],
    )  # fmt: skip


def _of_default(default: Study) -> Iterator[Claim]:
    yield Claim(
        FINDINGS, "closes # % [#, #] of it, a matrix # %.", lambda: default.closed() + default.closed(MATRIX)[:1]
    )
    yield Claim(FINDINGS, "names the most likely class in # %", lambda: percent(default.mean("hard", "acc@ambiguous")))
    yield Claim(
        FINDINGS,
        "hard labels are at #, where a uniform guess is at #; in total variation they are at #, a uniform guess at #.",
        lambda: [n for metric in ("kl", "tvd") for who in ("hard", "uniform") for n in default.mean(who, metric)],
    )  # fmt: skip
    yield Claim(
        FINDINGS,
        "tell the colour with an R² of # against #, the shape # against #. Silhouette favours hard labels (#, #).",
        lambda: [
            *(n for what in ("colour_r2_knn", "shape_r2_knn") for who in ("soft", "hard")
              for n in default.mean(who, what)),
            *(n for who in ("hard", "soft") for n in default.mean(who, "silhouette")),
        ],
    )  # fmt: skip
    yield Claim(FINDINGS, "hard labels are # ahead with these three seeds", lambda: minus(default.gap("macro_acc")))


def _of_budget(budget: Study) -> Iterator[Claim | Table]:
    yield Table(
        FINDINGS, "epochs",
        rows={str(epochs): {"epochs": epochs} for epochs in (5, 10, 15, 20, 40, 80)},
        columns={
            "hard": lambda at: budget.pm("hard", "macro_acc", **at),
            "soft": lambda at: budget.pm("soft", "macro_acc", **at),
            "soft − hard": lambda at: budget.diff("macro_acc", **at),
            "hard: shape": lambda at: budget.mean("hard", "macro_acc@shape", **at),
            "soft: shape": lambda at: budget.mean("soft", "macro_acc@shape", **at),
            "hard: colour": lambda at: budget.mean("hard", "macro_acc@colour", **at),
            "soft: colour": lambda at: budget.mean("soft", "macro_acc@colour", **at),
        },
    )  # fmt: skip
    yield Claim(FINDINGS, "is gone at 20 epochs: # [#, #].", lambda: budget.diff("macro_acc", epochs=20))


def _of_photos(photos: Study) -> Iterator[Claim]:
    yield Claim(
        FINDINGS,
        "undecided, # ± # with hard and # ± # with soft labels, # [#, #]; KL # and #, # [#, #]. Hard labels have the "
        "lower total variation, # [#, #], and the lower soft calibration error, # [#, #]:",
        lambda: [
            *photos.pm("hard", "macro_acc", **HEAD), *photos.pm("soft", "macro_acc", **HEAD),
            *photos.diff("macro_acc", **HEAD), *photos.mean("hard", "kl", **HEAD), *photos.mean("soft", "kl", **HEAD),
            *photos.diff("kl", **HEAD), *photos.diff("tvd", **HEAD), *photos.diff("soft_ece", **HEAD),
        ],
    )  # fmt: skip
    yield Claim(
        FINDINGS, "accuracy is undecided, # [#, #]; KL # and #, # [#, #]. One temperature each",
        lambda: [
            *photos.diff("macro_acc", **COMPACT), *photos.mean("hard", "kl", **COMPACT),
            *photos.mean("soft", "kl", **COMPACT), *photos.diff("kl", **COMPACT),
        ],
    )  # fmt: skip
    yield Claim(
        FINDINGS, "leaves # [#, #]: # % [#, #] of the gap was confidence.",
        lambda: [*photos.diff(f"kl+{OWN}", **COMPACT), *photos.closed(OWN, **COMPACT)],
    )  # fmt: skip


def _of_labels(kinds: Study) -> Iterator[Claim | Table]:
    """Label types: differences to ``soft``."""
    names = ("soft", "top2", "mix", "softmax_counts", "hard", "class_mean", "smoothed_matched", "smoothed",
             "unanimous", "laplace", "candidates")  # fmt: skip
    yield Table(
        FINDINGS, "label",
        rows={f"`{name}`": name for name in names},
        columns={
            "macro accuracy": lambda label: kinds.pm(label, "macro_acc"),
            "KL": lambda label: kinds.pm(label, "kl"),
            "KL − that of soft": lambda label: against(kinds, "kl", label),
            "total variation − that of soft": lambda label: against(kinds, "tvd", label),
        },
    )  # fmt: skip
    yield Claim(
        FINDINGS, "one more vote for each class # [#, #], every class that anyone chose alike # [#, #].",
        lambda: kinds.diff("kl", "laplace", "soft") + kinds.diff("kl", "candidates", "soft"),
    )  # fmt: skip
    yield Claim(FINDINGS, "it lead: `hard` by #.", lambda: minus(kinds.gap("tvd", "hard", "soft")))
    yield Claim(
        FINDINGS, "but for two: `candidates`, # [#, #], and `unanimous`, # [#, #], which",
        lambda: kinds.diff("macro_acc", "candidates", "soft") + kinds.diff("macro_acc", "unanimous", "soft"),
    )  # fmt: skip


def _of_controls(controls: Study) -> Iterator[Claim | Table]:
    yield Table(
        FINDINGS, "what a label keeps",
        rows={
            "the class (`hard`)": "hard",
            "the class, and how soft labels are on average (`smoothed_matched`)": "smoothed_matched",
            "the mean distribution of its class (`class_mean`)": "class_mean",
            "the distribution of another image of its class (`shuffled`)": "shuffled",
            "how sure people were of the image (`fixed_argmax`)": "fixed_argmax",
            "the shares, at times of the wrong classes (`fixed_spread`)": "fixed_spread",
        },
        columns={
            "KL − that of soft": lambda label: against(controls, "kl", label),
            "KL − that of hard": lambda label: against(controls, "kl", label, "hard"),
            "entropy − that of soft": lambda label: against(controls, "entropy_correlation", label),
            "entropy − that of hard": lambda label: against(controls, "entropy_correlation", label, "hard"),
        },
    )  # fmt: skip
    yield Claim(
        FINDINGS, "(the correlation is # with soft labels, # with hard ones)",
        lambda: controls.mean("soft", "entropy_correlation") + controls.mean("hard", "entropy_correlation"),
    )  # fmt: skip
    yield Claim(FINDINGS, "than that of hard ones by # [#, #].", lambda: controls.diff("kl", "hard", "soft"))


def _of_few_votes(few: Study) -> Iterator[Claim | Table]:
    votes = ("1", "2", "3", "5", "10", "20", "all")
    shown = {"macro accuracy": "macro_acc", "KL": "kl", "entropy": "entropy_correlation"}
    yield Table(
        FINDINGS, "votes",
        rows={number: number for number in votes},
        columns={
            f"{label}: {words}": lambda number, label=label, metric=metric: few.pm(label, metric, votes=number)
            for label in ("soft", "hard") for words, metric in shown.items()
        },
    )  # fmt: skip

    def gained(metric: str, label: str = "soft", fewer: str = "1", more: str = "all") -> list[Number]:
        return few.diff(metric, label, label, other={"votes": fewer}, votes=more)

    yield Claim(FINDINGS, "of soft labels changes by # [#, #], which is", lambda: gained("macro_acc"))
    yield Claim(
        FINDINGS, "and their KL falls by # [#, #]; 90 % of that at # [#, #] votes, 95 % at # [#, #] (intervals",
        lambda: gained("kl", fewer="all", more="1") + few.votes_for(0.9, "soft", "kl", votes)
        + few.votes_for(0.95, "soft", "kl", votes),
    )  # fmt: skip
    yield Claim(FINDINGS, "of hard labels falls by # [#, #], most", lambda: gained("kl", "hard", "all", "1"))
    yield Claim(FINDINGS, "little here, where it falls by # in all", lambda: gained("kl", fewer="all", more="1")[:1])
    yield Claim(
        FINDINGS, "from 3 to 10 votes # [#, #]. Whether it goes on from 10 to all is undecided, # [#, #], as is the "
        "correlation, # [#, #].",
        lambda: gained("kl", "soft", "3", "10") + gained("kl", "soft", "10")
        + gained("entropy_correlation", "soft", "10"),
    )  # fmt: skip


def _of_spent(spent: Study) -> Iterator[Claim | Table]:
    ways = {f"{images:,} × {votes}": f"{images} x {votes}"
            for images, votes in ((6000, 1), (2000, 3), (1200, 5), (600, 10), (300, 20))}  # fmt: skip
    most = {"point": "6000 x 1"}

    def less(way: str, metric: str) -> list[Number]:
        return [] if way == most["point"] else spent.diff(metric, "soft", "soft", other=most, point=way)

    yield Claim(FINDINGS, "on an image are equal in # %", lambda: percent(spent.agreement()))
    yield Table(
        FINDINGS, "images × votes",
        rows=ways,
        columns={
            "soft: macro accuracy": lambda way: spent.pm("soft", "macro_acc", point=way),
            "soft: KL": lambda way: spent.pm("soft", "kl", point=way),
            "hard: KL": lambda way: spent.pm("hard", "kl", point=way),
            "soft, macro accuracy: less the first": lambda way: less(way, "macro_acc"),
            "soft, KL: less the first": lambda way: less(way, "kl"),
        },
    )  # fmt: skip


def _of_deliveries(shown: Study) -> Iterator[Claim | Table]:
    labels = ("soft", "sampled", "multipass", "hard")
    yield Table(
        FINDINGS, "votes, label",
        rows={f"{words}, `{label}`": (label, votes) for words, votes in (("three", "3"), ("all", "all"))
              for label in labels},
        columns={
            "macro accuracy": lambda at: shown.pm(at[0], "macro_acc", votes=at[1]),
            "KL": lambda at: shown.pm(at[0], "kl", votes=at[1]),
            "macro accuracy − that of soft": lambda at: against(shown, "macro_acc", at[0], votes=at[1]),
            "KL − that of soft": lambda at: against(shown, "kl", at[0], votes=at[1]),
            "the same, both scaled": lambda at: against(shown, f"kl+{OWN}", at[0], votes=at[1]),
        },
    )  # fmt: skip
    yield Claim(
        FINDINGS, "still measurably lower, by # [#, #], where it was # [#, #].",
        lambda: [n for metric in (f"kl+{OWN}", "kl") for n in shown.diff(metric, "soft", "multipass", votes="3")],
    )  # fmt: skip


def _of_aggregations(crowd: Study) -> Iterator[Claim | Table]:
    labels = ("soft", "hard", "wawa", "zbs", "ensemble_mean", "crowdlab", "distilled", "glad", "mace", "one_coin",
              "dawid_skene", "dawid_skene_hard", "mmsr")  # fmt: skip
    yield Table(
        FINDINGS, "label made by",
        rows={f"`{label}`": label for label in labels},
        columns={
            "macro accuracy": lambda label: crowd.pm(label, "macro_acc"),
            "KL": lambda label: crowd.pm(label, "kl"),
            "KL − that of soft": lambda label: against(crowd, "kl", label),
            "macro accuracy − that of soft": lambda label: against(crowd, "macro_acc", label),
        },
    )  # fmt: skip
    of_one_class = ("glad", "mace", "one_coin", "dawid_skene", "mmsr")
    yield Claim(
        FINDINGS, "costs # to # nats against the average,",
        lambda: span([crowd.gap("kl", label, "soft")[0] for label in of_one_class]),
    )  # fmt: skip
    yield Claim(
        FINDINGS, "cost accuracy, too, # and #, and so does",
        lambda: crowd.gap("macro_acc", "dawid_skene", "soft") + crowd.gap("macro_acc", "mace", "soft"),
    )  # fmt: skip
    yield Claim(
        FINDINGS, "(`distilled`) cost # [#, #], mixed with the votes (`crowdlab`) # [#, #].",
        lambda: crowd.diff("kl", "distilled", "soft") + crowd.diff("kl", "crowdlab", "soft"),
    )  # fmt: skip
    yield Claim(
        FINDINGS, "than this mean, by # [#, #] in KL and # [#, #] in macro accuracy.",
        lambda: crowd.diff("kl", "ensemble_mean", "soft") + crowd.diff("macro_acc", "soft", "ensemble_mean"),
    )  # fmt: skip


def against(of: Study, metric: str, label: str, other: str = "soft", **at: Any) -> list[Number]:
    """[mean, low, high] of a label less another; nothing of that one itself."""
    return [] if label == other else of.diff(metric, label, other, **at)


def _of_noise(noise: Study) -> Iterator[Claim | Table]:
    shares = {"none": "0", "a quarter": "0.25", "half": "0.5", "three quarters": "0.75"}
    yield Table(
        FINDINGS, "of 60 people at random",
        rows=shares,
        columns={
            f"`{label}`": lambda share, label=label: noise.pm(label, "kl", spammer_share=share)
            for label in ("soft", "hard", "dawid_skene", "hard_dawid_skene")
        },
    )  # fmt: skip

    def kl(label: str, share: str) -> list[Number]:
        return noise.mean(label, "kl", spammer_share=share)

    yield Claim(FINDINGS, "the nearest to the truth by far, #.", lambda: kl("soft", "0"))
    yield Claim(FINDINGS, "worse than the majority, # [#, #], and", lambda: noise.diff("kl", spammer_share="0.25"))
    yield Claim(
        FINDINGS, "which costs # where nobody is at random",
        lambda: noise.gap("kl", "dawid_skene", "soft", spammer_share="0"),
    )  # fmt: skip
    yield Claim(
        FINDINGS, "quarters at random # against #, and its classes alone are better still, #.",
        lambda: kl("dawid_skene", "0.75") + kl("soft", "0.75") + kl("hard_dawid_skene", "0.75"),
    )  # fmt: skip
    yield Claim(
        FINDINGS,
        "it is at #, where Dawid-Skene is at #, with half at # against #, and with three quarters it is lost, #.",
        lambda: kl("hard", "0.25") + kl("dawid_skene", "0.25") + kl("hard", "0.5") + kl("dawid_skene", "0.5")
        + kl("hard", "0.75"),
    )  # fmt: skip
    yield Claim(
        FINDINGS, "soft labels are at #, hard ones at #, undecided, # [#, #].",
        lambda: [n for who in ("soft", "hard") for n in noise.mean(who, "macro_acc", spammer_share="0.5")]
        + noise.diff("macro_acc", spammer_share="0.5"),
    )  # fmt: skip


def _of_corners(corners: Study) -> Iterator[Claim | Table]:
    yield Claim(
        FINDINGS, "reports accuracies of # ± # for hard and # ± # for soft labels",
        lambda: published("hard", "macro_acc") + published("soft", "macro_acc"),
    )  # fmt: skip
    yield Claim(
        FINDINGS, "(with both sides clipped: KL_ε) of # ± # and # ± #.",
        lambda: published("hard", "kl_dcic") + published("soft", "kl_dcic"),
    )  # fmt: skip
    points = {"code": "authors' code", "stated": "as stated"}
    yield Table(
        FINDINGS, "",
        rows={"macro accuracy": "macro_acc", "KL_ε": "kl_dcic", "epoch of accuracy 0.75": "epochs_to 0.75"},
        columns={
            f"{name}: {what}": of
            for name, point in points.items()
            for what, of in {
                "hard": lambda metric, point=point: corners.pm("hard", metric, point=point),
                "soft": lambda metric, point=point: corners.pm("soft", metric, point=point),
                "soft − hard": lambda metric, point=point: corners.diff(metric, point=point),
            }.items()
        },
    )  # fmt: skip
    yield Claim(
        FINDINGS,
        "hard labels have an accuracy of # and a KL_ε of #, soft ones # and #, and the gap in accuracy favours hard "
        "labels, # [#, #].",
        lambda: [
            *(n for who in ("hard", "soft") for metric in ("macro_acc", "kl_dcic")
              for n in corners.mean(who, metric, point="as stated")),
            *corners.diff("macro_acc", point="as stated"),
        ],
    )  # fmt: skip
    yield Claim(
        FINDINGS, "in epoch # with hard and # with soft labels, half of the training, as stated in epoch # and #.",
        lambda: [n for point in points.values() for who in ("hard", "soft")
                 for n in corners.mean(who, "epochs_to 0.75", point=point)],
    )  # fmt: skip


def better(of: Study, metric: str, labels: tuple[str, str] = ("hard labels", "soft labels")) -> str | None:
    """The column of the better label of two, None where the interval of their difference holds 0."""
    mean, low, high = of.diff(metric)
    if low <= 0 <= high:
        return None
    higher = re.split("[@+]", metric)[0] in HIGHER
    return labels[int((mean > 0) == higher)]


def minus(numbers: list[Number]) -> list[Number]:
    """The same with the other sign: of hard − soft."""
    return [Number(-number, f"minus {number.origin}") for number in numbers]


def published(label: str, metric: str, dataset: str = "synthetic") -> list[Number]:
    """[mean, standard deviation] of the paper's Table 1."""
    return [Number(value, "the paper's Table 1") for value in TABLE_1[dataset][label][metric]]
