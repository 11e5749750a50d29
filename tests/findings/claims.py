"""What README's answer and docs/findings.md say, claim by claim, and by which numbers of which study.

To add one: the words around the numbers, each number a ``#``, and what they are. ``pm`` gives mean and standard
deviation, ``diff`` a difference with the ends of its interval, ``mean``, ``gap`` and ``ends`` a part of these,
``closed`` the share of the gap in KL that a scaling closes; ``percent`` makes them percentages. See ``study.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from softlabels.studies.paper import TABLE_1

from .study import MATRIX, OWN, REFERENCE, Number, Study, percent
from .texts import Claim, Table

README, FINDINGS = "README.md", "docs/findings.md"

# Files of which every number must be a claim or a setting; of one with a heading, that section.
WHOLE = {README: "The answer", FINDINGS: None}

# Numbers that are no results: how much was trained on how much, and names.
SETTINGS = {
    README: [
        "15,000 images", "32 pixels", "(95 %)", "exclude 0", "After 40 epochs", "100 sampled votes", "CIFAR-10H",
        "6,000 training images",
    ],
    FINDINGS: ["95 % interval"],
}  # fmt: skip

# Studies that are cited and have no archive yet: their claims are skipped, and named.
PENDING = dict.fromkeys(
    ["learning_budget", "dcic_like", "cifar10h"],
    "has not been archived yet; python tests/findings/archive.py adds it",
)


def claims(study: Callable[[str], Study]) -> Iterator[Claim | Table]:
    """All claims; ``study`` gives a study by its name."""
    default, budget, dcic, photos = map(study, ("hard_vs_soft", "learning_budget", "dcic_like", "cifar10h"))
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
    yield Claim(
        README, "the temperatures close # % of it [#, #], a matrix # %.",
        lambda: default.closed() + default.closed(MATRIX)[:1],
    )  # fmt: skip
    yield Claim(README, "names the most likely class in # %", lambda: percent(default.mean("hard", "acc@ambiguous")))
    yield Claim(
        README, "no better than a uniform guess (# against #); in total variation it is at #, a uniform guess at #.",
        lambda: [
            n for metric in ("kl", "tvd") for who in ("hard", "uniform") for n in default.mean(who, metric)
        ],
    )  # fmt: skip
    yield Claim(
        README, "hard labels are # ahead with these three seeds; with five it is undecided, # [#, #].",
        lambda: minus(default.gap("macro_acc")) + budget.diff("macro_acc", epochs=40),
    )  # fmt: skip
    yield Claim(
        README, "After 10 epochs they are far behind, # ± # against # ± #,",
        lambda: budget.pm("hard", "macro_acc", epochs=10) + budget.pm("soft", "macro_acc", epochs=10),
    )  # fmt: skip
    yield Claim(
        README, "(merged classes: # against #; of colours # against #). After 20: # [#, #]",
        lambda: [
            *(n for group in ("shape", "colour") for who in ("hard", "soft")
              for n in budget.mean(who, f"macro_acc@{group}", epochs=10)),
            *budget.diff("macro_acc", epochs=20),
        ],
    )  # fmt: skip
    yield Claim(
        README, "reports accuracies of # ± # for hard and # ± # for soft labels",
        lambda: published("hard", "macro_acc") + published("soft", "macro_acc"),
    )  # fmt: skip
    yield Claim(
        README,
        "comes out as there (#; #); that of soft labels (#; #), both accuracies (#, #) and their gap (# [#, #])",
        lambda: [
            *dcic.mean("hard", "kl_dcic"), *published("hard", "kl_dcic")[:1],
            *dcic.mean("soft", "kl_dcic"), *published("soft", "kl_dcic")[:1],
            *dcic.mean("hard", "macro_acc"), *dcic.mean("soft", "macro_acc"), *dcic.diff("macro_acc"),
        ],
    )  # fmt: skip
    yield Claim(
        README,
        "tell the colour with an R² of # against #, the shape # against #. Silhouette favours hard labels (#, #).",
        lambda: [
            *(n for what in ("colour_r2_knn", "shape_r2_knn") for who in ("soft", "hard")
              for n in default.mean(who, what)),
            *(n for who in ("hard", "soft") for n in default.mean(who, "silhouette")),
        ],
    )  # fmt: skip
    yield Claim(
        "docs/metrics.md", "on the default study: # for hard labels, # for soft ones; soft ECE: # and #.",
        lambda: [n for metric in ("ece", "soft_ece") for who in ("hard", "soft") for n in default.mean(who, metric)],
    )  # fmt: skip
    yield Claim(
        README,
        "accuracy is undecided (soft − hard # [#, #]) and soft labels have the lower KL: # against #, # [#, #].",
        lambda: [
            *photos.diff("macro_acc", recipe="cifar10h_compact"), *photos.mean("soft", "kl", recipe="cifar10h_compact"),
            *photos.mean("hard", "kl", recipe="cifar10h_compact"), *photos.diff("kl", recipe="cifar10h_compact"),
        ],
    )  # fmt: skip
    yield Claim(
        README, "leaves # [#, #]: # % [#, #] of it was confidence.",
        lambda: [
            *photos.diff(f"kl+{OWN}", recipe="cifar10h_compact"), *photos.closed(OWN, recipe="cifar10h_compact"),
        ],
    )  # fmt: skip
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


def better(of: Study, metric: str, labels: tuple[str, str] = ("hard labels", "soft labels")) -> str | None:
    """The column of the better label of two, None where the interval of their difference holds 0."""
    mean, low, high = of.diff(metric)
    if low <= 0 <= high:
        return None
    higher = metric.partition("@")[0] in ("macro_acc", "acc", "entropy_correlation")
    return labels[int((mean > 0) == higher)]


def minus(numbers: list[Number]) -> list[Number]:
    """The same with the other sign: of hard − soft."""
    return [Number(-number, f"minus {number.origin}") for number in numbers]


def published(label: str, metric: str, dataset: str = "synthetic") -> list[Number]:
    """[mean, standard deviation] of the paper's Table 1."""
    return [Number(value, "the paper's Table 1") for value in TABLE_1[dataset][label][metric]]
