"""Tables from the ledger and from nothing else: ``table.csv``, ``table.md`` and ``table.tex``.

Every number is the ledger's ``printed`` text; its metadata holds the facts that the captions tell.
"""

from __future__ import annotations

import csv
import io as text_io
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from . import paper

COLUMNS = (
    "dataset", "split", "recipe", "label", "metric", "kind", "versus", "mean", "std", "n", "ddof", "low", "high",
    "interval", "level", "oracle",
)  # fmt: skip
KEY = COLUMNS[:7]
MAIN = ("macro_acc", "kl", "kl_dcic")
HEADINGS = {
    "macro_acc": "ACC ↑",
    "kl": "KL ↓",
    "kl_dcic": "KL_ε ↓",
    "acc": "plain ACC ↑",
    "ce": "CE ↓",
    "tvd": "TVD ↓",
    "structure.silhouette": "silhouette ↑",
    "structure.label_smoothness": "label smoothness ↓",
    "structure.distance_spearman": "distance Spearman ↑",
    "structure.position_r2": "position R² ↑",
}
NONE = "–"
WIDE = 3  # up to so many labels stand side by side as in the paper; more stand below each other


class Table(NamedTuple):
    """A table to typeset; cells are plain text, where ``**x**`` is bold."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]


class Ledger:
    """The ledger by key: ``aggregates[key]`` maps a statistic to its row; ``facts`` are the file's metadata."""

    def __init__(self, cells: pa.Table):
        self.facts: dict[str, Any] = json.loads(cells.schema.metadata[b"softlabels"])
        self.aggregates: dict[tuple, dict[str, dict[str, Any]]] = {}
        for row in cells.to_pylist():
            self.aggregates.setdefault(tuple(row[name] for name in KEY), {})[row["statistic"]] = row
        self.blocks = list(dict.fromkeys(key[:3] for key in self.aggregates if key[5] == "measured"))

    def get(self, block: tuple, label: str, metric: str, kind: str = "measured", versus: str | None = None) -> dict:
        """Statistic to row of one aggregate; empty where there is no such number."""
        return self.aggregates.get((*block, label, metric, kind, versus), {})

    def place_header(self) -> list[str]:
        """Headings of the columns that tell a block from the others."""
        several = [name for k, name in ((1, "split"), (2, "recipe")) if len({block[k] for block in self.blocks}) > 1]
        return ["data set", *several]

    def place(self, block: tuple) -> list[str]:
        """The cells below ``place_header``."""
        dataset, split, recipe = block
        cells = {"data set": paper.title(dataset), "split": split or NONE, "recipe": recipe or NONE}
        return [cells[name] for name in self.place_header()]


def spread(aggregate: dict[str, dict[str, Any]]) -> str:
    """``mean ± std``, or the mean alone of a count that is the same for every seed; a dash for what there is not."""
    if not aggregate:
        return NONE
    if aggregate["mean"]["decimals"] == 0:
        return aggregate["mean"]["printed"]
    return " ± ".join(aggregate[name]["printed"] if name in aggregate else NONE for name in ("mean", "std"))


def render_csv(cells: pa.Table) -> str:
    """``table.csv``: one row an aggregate, full precision; an empty field where there is no number."""
    target = text_io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    for key, aggregate in Ledger(cells).aggregates.items():
        row = aggregate["mean"]
        values = {name: repr(aggregate[name]["value"]) for name in ("mean", "std", "low", "high") if name in aggregate}
        shared = {name: row[name] for name in ("n", "ddof", "interval", "level")}
        oracle = {"oracle": "true" if row["oracle"] else "false"}
        fields = {**dict(zip(KEY, key, strict=True)), **values, **shared, **oracle}
        writer.writerow(["" if fields.get(name) is None else fields[name] for name in COLUMNS])
    return target.getvalue()


def _best(ledger: Ledger, block: tuple, metric: str) -> float | None:
    """The best mean over the labels of a block, or None where there is nothing to compare."""
    means = [ledger.get(block, label, metric)["mean"]["value"] for label in ledger.facts["labels"]]
    if len(means) < 2:
        return None
    return max(means) if metric == "macro_acc" else min(means)


def _main_cell(ledger: Ledger, block: tuple, label: str, metric: str) -> str:
    aggregate = ledger.get(block, label, metric)
    text = spread(aggregate)
    return f"**{text}**" if aggregate["mean"]["value"] == _best(ledger, block, metric) else text


def _main(ledger: Ledger) -> Table:
    facts = ledger.facts
    labels, metrics = facts["labels"], [metric for metric in MAIN if metric in facts["metrics"]]
    if len(labels) <= WIDE:
        columns = list(itertools.product(labels, metrics))
        header = [f"{label}: {HEADINGS[metric]}" for label, metric in columns]
        rows = [ledger.place(b) + [_main_cell(ledger, b, *column) for column in columns] for b in ledger.blocks]
    else:
        header = ["label", *(HEADINGS[metric] for metric in metrics)]
        rows = [
            [*ledger.place(block), label, *(_main_cell(ledger, block, label, metric) for metric in metrics)]
            for block in ledger.blocks
            for label in labels
        ]
    return Table(
        f"Comparison of labels: {', '.join(labels)}", ledger.place_header() + header, rows, _main_notes(ledger)
    )


def _main_notes(ledger: Ledger) -> list[str]:
    facts = ledger.facts
    seeds = len(facts["seeds"])
    epsilon = f"{facts['eps']:g}".replace("e-0", "e-")
    notes = [
        "ACC is macro accuracy. KL is KL(reference || prediction) in nats, mean over test items, without any clipping; "
        f"KL_ε clips both to [ε, 1 − ε] with ε = {epsilon}, as public code of the paper's authors does.",
        f"Bold marks the best mean per metric and {', '.join(ledger.place_header())} among the labels, as the paper "
        "does; it says nothing about significance.",
    ]
    if seeds == 1:
        notes.append("One seed: there is no standard deviation and no interval.")
    else:
        kind = {0: "population", 1: "sample"}.get(facts["ddof"], "corrected")
        notes.append(f"Mean ± {kind} standard deviation (ddof {facts['ddof']}) over {seeds} seeds.")
        notes.append("Seeds share items: repeated splits of one data set are not independent data.")
    return notes + list(itertools.chain.from_iterable(_test_split(ledger, block) for block in ledger.blocks))


def _test_split(ledger: Ledger, block: tuple) -> Iterator[str]:
    """What the test split of a block is made of."""
    baseline = ledger.facts["baseline"]
    printed = {
        name: ledger.get(block, baseline, name)["mean"]["printed"] for name in ("n_items", "n_classes_present", "ties")
    }
    classes = len(ledger.facts["datasets"][block[0]]["classes"])
    place = ", ".join(ledger.place(block))
    yield (
        f"{place}: {printed['n_items']} test items; {printed['n_classes_present']} of {classes} classes present; "
        f"{printed['ties']} items whose reference has a tie for its largest class."
    )
    if float(printed["n_classes_present"]) < classes:
        yield f"{place}: ACC is the mean over the classes that are present."
    if float(printed["ties"]) > 0:
        credit = (f"{label} {spread(ledger.get(block, label, 'tie_credit_acc'))}" for label in ledger.facts["labels"])
        yield f"{place}: plain accuracy that accepts any tied class: {', '.join(credit)}."


def _differences(ledger: Ledger) -> Table | None:
    facts = ledger.facts
    rows = []
    for block, label, metric in itertools.product(ledger.blocks, facts["labels"], facts["metrics"]):
        aggregate = ledger.get(block, label, metric, "difference", facts["baseline"])
        if aggregate:
            ends = [aggregate[end]["printed"] for end in ("low", "high") if end in aggregate]
            interval = f"[{', '.join(ends)}]" if ends else NONE
            what = f"{label} − {facts['baseline']}"
            rows.append([*ledger.place(block), what, HEADINGS.get(metric, metric), spread(aggregate), interval,
                         str(aggregate["mean"]["n"])])  # fmt: skip
    header = [*ledger.place_header(), "difference", "metric", "mean ± std", f"{facts['level']:.0%} interval", "n"]
    notes = [
        "Paired by seed: both networks of a pair share split, initial weights and order. The standard deviation is "
        "that of the n differences (ddof 1), the interval a paired t over seeds."
    ]
    if len(facts["seeds"]) == 1:
        notes.append("n = 1: no standard deviation, no interval.")
    return Table("Paired differences", header, rows, notes) if rows else None


def _reference_rows(ledger: Ledger) -> Table | None:
    metrics = [metric for metric in MAIN if metric in ledger.facts["metrics"]]
    rows, oracle = [], False
    groups: dict[tuple, list[str]] = {}
    for key in ledger.aggregates:
        if key[5] == "reference":
            groups.setdefault(key[:4], []).append(key[4])
    for (*block, label), names in groups.items():
        aggregates = {name: ledger.get(block, label, name, "reference") for name in names}
        is_oracle = any(a["mean"]["oracle"] for a in aggregates.values())
        oracle |= is_oracle
        more = [
            f"{name.removeprefix('detail.')} {spread(aggregate)}"
            for name, aggregate in aggregates.items()
            if name not in ledger.facts["metrics"]
        ]
        rows.append([*ledger.place(tuple(block)), label + " †" * is_oracle,
                     *(spread(aggregates.get(metric, {})) for metric in metrics), "; ".join(more)])  # fmt: skip
    header = [*ledger.place_header(), "row", *(HEADINGS[metric] for metric in metrics), "more"]
    notes = [
        "Scored on the same test splits. Rows with + temperature are the networks above, scaled by one temperature "
        "fitted on their own validation labels: how much of a gap in KL is confidence alone."
    ]
    if oracle:
        notes.append("† oracle: it uses the truth of the test item, so no network could print it.")
    named = {key[3] for key in groups}
    if "sampling_floor" in named:
        notes.append(
            "sampling_floor is about what a perfect model would score, because the reference is a sample of votes: its "
            "first-order KL errs downwards, its KL upwards."
        )
    if "split_half" in named:
        notes.append("split_half is how well two half panels agree: no floor, good predictions lie below it.")
    return Table("Reference rows", header, rows, notes) if rows else None


def _paper(ledger: Ledger) -> Table | None:
    rows = []
    for block, label, metric in itertools.product(ledger.blocks, ledger.facts["labels"], ledger.facts["metrics"]):
        theirs = ledger.get((block[0], None, None), label, metric, "paper")
        if theirs:
            ours = ledger.get(block, label, metric)
            difference = f"{ours['mean']['paper_difference']:+.{ours['mean']['decimals']}f}"
            heading = {"macro_acc": "ACC ↑", "kl_dcic": "KL ↓ (here KL_ε)"}[metric]
            rows.append([*ledger.place(block), label, heading, spread(theirs), spread(ours), difference])
    header = [*ledger.place_header(), "label", "metric", "paper", "here", "here − paper"]
    notes = [
        "The paper's KL is set beside our KL_ε, never beside our KL. The paper does not say which standard deviation "
        "(over three splits) it prints."
    ]
    return Table("The paper's own numbers", header, rows, notes + ledger.facts["setup"]) if rows else None


def _by_label(ledger: Ledger, title: str, metrics: list[str], notes: list[str]) -> Table | None:
    """One row a block and label, one column a metric."""
    rows = [
        [*ledger.place(block), label, *(spread(ledger.get(block, label, metric)) for metric in metrics)]
        for block in ledger.blocks
        for label in ledger.facts["labels"]
    ]
    header = [*ledger.place_header(), "label", *(HEADINGS.get(metric, metric) for metric in metrics)]
    return Table(title, header, rows, notes) if metrics else None


def _recall(ledger: Ledger) -> Table:
    rows = [
        [
            *ledger.place(block),
            name,
            *(spread(ledger.get(block, label, f"recall.{name}")) for label in ledger.facts["labels"]),
        ]
        for block in ledger.blocks
        for name in ledger.facts["datasets"][block[0]]["classes"]
    ]
    header = [*ledger.place_header(), "class", *(f"{label}: recall" for label in ledger.facts["labels"])]
    return Table("Recall of each class", header, rows, ["Their mean over the classes that are present is ACC."])


def document(cells: pa.Table) -> tuple[str, list[Table]]:
    """Title and tables of a study."""
    ledger = Ledger(cells)
    other = [metric for metric in ledger.facts["metrics"] if metric not in MAIN]
    structure = [
        "Of the pooled features of the test items. Silhouette is over the reference's largest class; label smoothness "
        "is the mean Jensen-Shannon divergence between an item's reference and its neighbours'; distance Spearman "
        "correlates distances of features with distances of references; position R² is that of a cross-validated ridge "
        "regression of colour and shape position, where the data set has them."
    ]
    tables = [
        _main(ledger),
        _differences(ledger),
        _reference_rows(ledger),
        _paper(ledger),
        _by_label(ledger, "Further metrics", other, []),
        _recall(ledger),
        _by_label(
            ledger,
            "Structure of the feature space",
            [metric for metric in HEADINGS if metric.startswith("structure.")],
            structure,
        ),
    ]
    return f"Study {ledger.facts['study']}", [table for table in tables if table]


def render_markdown(cells: pa.Table) -> str:
    """``table.md``: tables as GitHub prints them, each followed by its notes."""
    title, tables = document(cells)
    parts = [f"# {title}"]
    for table in tables:
        line = [
            "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (table.header, *table.rows)
        ]
        parts += [f"## {table.title}", "\n".join([line[0], "|" + " --- |" * len(table.header), *line[1:]])]
        if table.notes:
            parts.append("\n".join(f"- {note}" for note in table.notes))
    return "\n\n".join(parts) + "\n"


LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$",
    "^": r"\^{}", "~": r"\~{}", "±": r"$\pm$", "∞": r"$\infty$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--",
    "−": "$-$", "ε": r"$\varepsilon$", "²": r"$^2$", "†": r"\dag{}", "×": r"$\times$",
}  # fmt: skip


def latex_text(text: str) -> str:
    """Plain text with every special character escaped; ``**x**`` becomes bold."""
    text = re.sub(r"(?<!\w)-(?=[\d∞])", "−", text)
    pieces = ("".join(LATEX.get(character, character) for character in piece) for piece in text.split("**"))
    joined = "".join(rf"\textbf{{{piece}}}" if k % 2 else piece for k, piece in enumerate(pieces))
    return joined.replace(r"KL\_$\varepsilon$", r"KL$_\varepsilon$")


def render_latex(cells: pa.Table) -> str:
    """``table.tex``: one floating table each, to be included by a document that uses booktabs."""
    title, tables = document(cells)
    parts = [f"% {title}. Include with \\input in a document that has \\usepackage{{booktabs}}."]
    for table in tables:
        lines = [" & ".join(map(latex_text, row)) + r" \\" for row in (table.header, *table.rows)]
        caption = latex_text(" ".join([f"{table.title}.", *table.notes]))
        parts.append(
            "\n".join(
                [
                    r"\begin{table}",
                    r"\centering\small",
                    rf"\caption{{{caption}}}",
                    rf"\begin{{tabular}}{{{'l' * len(table.header)}}}",
                    r"\toprule",
                    lines[0],
                    r"\midrule",
                    *lines[1:],
                    r"\bottomrule",
                    r"\end{tabular}",
                    r"\end{table}",
                ]
            )
        )
    return "\n\n".join(parts) + "\n"
