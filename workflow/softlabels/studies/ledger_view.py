"""The ledger to look at: its numbers by key, ``table.csv``, and the document made of a study's tables.

Every number is the ledger's ``printed`` text; its metadata holds the facts that headings and captions tell.
"""

from __future__ import annotations

import csv
import io as text_io
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import pyarrow as pa

from .. import documents, registry
from ..columns import heads
from ..contracts import AT
from ..documents import Document, Number, Table, Text
from . import paper

PLACE = ("dataset", "split", "recipe")  # and what the study varies
OF_BLOCK = ("label", "metric", "kind", "versus")
PROJECTED = (5, 10, 20)  # numbers of seeds whose half-widths are told
VALUES = ("mean", "std", "low", "high", "p", "half", *(f"half_{n}" for n in PROJECTED))  # statistics
NUMBERS = ("mean", "std", "n", "ddof", "low", "high", "interval", "level", *VALUES[4:], "oracle")
Block = tuple[str | None, ...]  # PLACE and values; null where a number does not depend on one
# The ledger's file. kind: measured, difference, confidence, best, reference or paper, or what else was found of a
# difference (other intervals, McNemar's test), of votes and their cost (studies/budgets.py), or of a claim
# (studies/verdicts.py); statistic: one of VALUES
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in (*PLACE, *OF_BLOCK, "statistic")),
        ("value", pa.float64()), ("printed", pa.string()), ("decimals", pa.int32()),
        ("aggregation", pa.string()), ("n", pa.int32()), ("ddof", pa.int32()), ("level", pa.float64()),
        ("interval", pa.string()), ("oracle", pa.bool_()), ("metric_code", pa.string()),
        ("runs", pa.list_(pa.string())),
        ("files", pa.list_(pa.struct([("path", pa.string()), ("sha256", pa.string())]))),
        ("paper_difference", pa.float64()),
    ]
)  # fmt: skip
MAIN = ("macro_acc", "kl", "tvd", "soft_ece", "entropy_correlation", "kl_dcic")
OF_PAPER = "kl_dcic"  # is shown where a row of the paper stands
# What a label is called after a scaling of its networks' logits.
SCALED = {
    "temperature": "temperature", "temperature_reference": "temperature on the reference",
    "vector_reference": "vector on the reference", "matrix_reference": "matrix on the reference",
}  # fmt: skip
OF_DRAWS = ("dataset", "source", "split")  # keys that rows without a network depend on
OWN = {"panel": ("ce", "vote_acc"), "sampling_floor": ("kl",)}  # what such rows are about, whatever a study's metrics
EPOCH = "epoch."  # begins the name of a number of epochs, before the accuracy that they lead to
PLACES = 5  # blocks that a note lists of those that it holds for
NONE = "–"
STD = ("population", "sample")  # what a standard deviation is called, by its ddof
WIDE = 3  # up to so many labels stand side by side; more stand below each other


def varied(cells: pa.Table) -> list[str]:
    """The columns of what the study varies, such as ``recipe.epochs``: their names have a dot, no other's has."""
    return [name for name in cells.column_names if "." in name]


def key_of(cells: pa.Table) -> list[str]:
    """The columns that tell an aggregate from all others: its block, and what it is of it."""
    return [*PLACE, *varied(cells), *OF_BLOCK]


def epoch_of(accuracy: float) -> str:
    """What a ledger calls the epoch at which a run reaches an accuracy."""
    return f"{EPOCH}{accuracy}"


def accuracies(tables: Iterable[Mapping[str, Any]]) -> list[float]:
    """The accuracies that tables of a study, kinds with options, ask for the epochs of."""
    return sorted({table["accuracy"] for table in tables if table["kind"] == "epochs"})


class Ledger:
    """The ledger by key: ``aggregates[key]`` maps a statistic to its row; ``facts`` are the file's metadata.

    What a row has ``printed`` is a :class:`Number`, which knows the key.
    """

    def __init__(self, cells: pa.Table):
        self.facts: dict[str, Any] = json.loads(cells.schema.metadata[b"softlabels"])
        self.labels: list[str] = self.facts["labels"]
        self.metrics: list[str] = self.facts["metrics"]
        self.aggregates: dict[tuple, dict[str, dict[str, Any]]] = {}
        self.varied = varied(cells)
        names = key_of(cells)
        for row in cells.to_pylist():
            key = tuple(row[name] for name in names)
            self.aggregates.setdefault(key, {})[row["statistic"]] = row | {"printed": Number(row["printed"], key)}
        self.blocks: list[Block] = list(dict.fromkeys(key[:-4] for key in self.aggregates if key[-2] == "measured"))

    def dataset(self, block: Block) -> dict[str, Any]:
        """The facts of a block's data set: ``classes`` and ``reference``."""
        return self.facts["datasets"][self.dataset_name(block)]

    def dataset_name(self, block: Block) -> str:
        """The name of a block's data set, with the values that a study varies."""
        (run, *_) = self.get(block, self.facts["baseline"], "n_items")["mean"]["runs"]
        return run.split("/")[0]

    def get(self, block: Block, label: str, metric: str, kind: str = "measured", versus: str | None = None) -> dict:
        """Statistic to row of one aggregate; empty where there is no such number."""
        return self.aggregates.get((*block, label, metric, kind, versus), {})

    def heading(self, metric: str) -> str:
        """A metric's heading with an arrow, such as "KL ↓" or "KL ↓, clear"; one without such facts keeps its name."""
        metric, _, group = metric.partition(AT)
        text = self.facts["headings"].get(metric, {}).get("heading", metric)
        return f"{text}, {self.facts['groups'].get(group, group)}" if group else text

    @property
    def main(self) -> list[str]:
        """The metrics of the main tables."""
        tables = [table for table in self.facts["tables"] if table["kind"] == "main"] or [{}]
        return list(dict.fromkeys(metric for table in tables for metric in self.chosen(table)))

    def chosen(self, options: dict[str, Any]) -> list[str]:
        """The metrics that a table's options name, or the main ones that the study has."""
        if options.get("metrics"):
            return [metric for metric in options["metrics"] if metric in self.metrics]
        shown = [metric for metric in MAIN if metric in self.metrics]
        return [metric for metric in shown if metric != OF_PAPER or self.has("paper") or len(shown) == 1]

    def notes(self, metrics: list[str]) -> list[str]:
        """What each of some metrics says of itself below a table."""
        said = (self.facts["headings"].get(metric, {}).get("note") for metric in metrics)
        epsilon = f"{self.facts['eps']:g}".replace("e-0", "e-")
        return [note.replace("EPS", epsilon) for note in dict.fromkeys(said) if note]

    def partial(self, metrics: list[str]) -> list[str]:
        """Which of some numbers are means over fewer seeds than the study has, because others have none."""
        seeds, told = len(self.facts["seeds"]), {}
        for block, metric, label in itertools.product(self.blocks, metrics, self.labels):
            found = self.get(block, label, metric)
            if found and found["mean"]["n"] < seeds:
                text = f"{label} over {found['mean']['n']} of {seeds} seeds, as it is not defined in the others"
                told.setdefault(f"{self.facts['headings'][metric]['heading']} of {text}.", []).append(self.name(block))
        return [f"{'; '.join(cut(places, PLACES))}: {text}" for text, places in told.items()]

    def has(self, kind: str) -> bool:
        """Whether there is any number of a kind."""
        return any(key[-2] == kind for key in self.aggregates)

    def place_header(self) -> list[str]:
        """Headings of the columns that tell a block from the others."""
        several = [name for k, name in ((1, "split"), (2, "recipe")) if len({block[k] for block in self.blocks}) > 1]
        return ["data set", *several, *heads(self.varied)]

    def place(self, block: Block) -> list[str]:
        """The cells below ``place_header``."""
        dataset, split, recipe, *values = block
        cells = {"data set": paper.title(dataset), "split": split, "recipe": recipe}
        shown = [cells[name] for name in self.place_header()[: -len(values) or None]]
        return [NONE if text is None else text for text in [*shown, *values]]

    def name(self, block: Block) -> str:
        """What a sentence calls a block, such as ``Synthetic, epochs 10``."""
        varied = len(self.varied)
        cells = self.place(block)
        named = zip(self.place_header()[len(cells) - varied :], cells[len(cells) - varied :], strict=True)
        return ", ".join([*cells[: len(cells) - varied], *(f"{head} {value}" for head, value in named)])

    def of_draws(self, block: Block) -> Block:
        """Where the rows without a network of a block stand: they depend on data set and split alone."""
        kept = (
            v if name.partition(".")[0] in OF_DRAWS else None for name, v in zip(self.varied, block[3:], strict=True)
        )
        return (*block[:2], None, *kept)

    def of_paper(self, block: Block) -> Block:
        """Where the paper's numbers for a block stand: they depend on data set and label alone."""
        of_label = (v if name.startswith("label.") else None for name, v in zip(self.varied, block[3:], strict=True))
        return (block[0], None, None, *of_label)


def spread(aggregate: dict[str, dict[str, Any]]) -> str:
    """``mean ± std``, or the mean alone of a count that is the same for every seed; a dash for what there is not."""
    if not aggregate:
        return NONE
    mean = aggregate["mean"]["printed"]
    std = aggregate["std"]["printed"] if "std" in aggregate else NONE
    return mean if aggregate["mean"]["decimals"] == 0 else Number(f"{mean} ± {std}", mean.key)


def interval(aggregate: dict[str, dict[str, Any]]) -> str:
    """``[low, high]``; a dash where there is no interval."""
    if "low" not in aggregate:
        return NONE
    low, high = (aggregate[end]["printed"] for end in ("low", "high"))
    return Number(f"[{low}, {high}]", low.key)


def mean_and_interval(aggregate: dict[str, dict[str, Any]]) -> str:
    """``mean [low, high]``; a dash for what there is not."""
    if not aggregate:
        return NONE
    mean = aggregate["mean"]["printed"]
    return Number(f"{mean} {interval(aggregate)}", mean.key)


def half_width(aggregate: dict[str, dict[str, Any]]) -> float:
    """Half of the interval of a mean over seeds; 0 where there is none."""
    return (aggregate["high"]["value"] - aggregate["low"]["value"]) / 2 if "low" in aggregate else 0.0


def cut(texts: list[Text], most: int) -> list[Text]:
    """The first texts, and how many more there are."""
    return [*texts[:most], *[f"and {len(texts) - most} more"] * (len(texts) > most)]


def by_label(ledger: Ledger, title: str, metrics: list[str], notes: list[str]) -> Table | None:
    """One row a block and label, one column a metric; None without metrics."""
    rows = [
        [*ledger.place(block), label, *(spread(ledger.get(block, label, metric)) for metric in metrics)]
        for block in ledger.blocks
        for label in ledger.labels
    ]
    header = [*ledger.place_header(), "label", *map(ledger.heading, metrics)]
    notes = notes + ledger.partial(metrics)
    return Table(title, header, rows, notes, keys=len(ledger.place_header()) + 1) if metrics else None


def may_run(kind: str, own: Collection[str] | None) -> bool:
    """Whether a table may be made: one of the user's own is code that a ledger names, of which ``own`` are trusted."""
    return own is None or kind in own or not registry.OWN.fullmatch(kind)


def document(cells: pa.Table, own: Collection[str] | None = None) -> Document:
    """The tables that the study chose (its ``facts["tables"]``, kind and options), as far as they hold anything.

    Of tables of the user's own those in ``own``; None: all.

    The first one says whose votes judge, which networks were trained elsewhere, and what to know of estimated labels.
    """
    ledger = Ledger(cells)
    tables = [registry.load("table", options["kind"])(ledger, options)
              for options in ledger.facts["tables"] if may_run(options["kind"], own)]  # fmt: skip
    tables = [table for table in tables if table]
    notes = [text for name in ("judged", "estimated", "elsewhere") for text in ledger.facts.get(name, ())]
    if tables and notes:
        tables[0] = tables[0]._replace(notes=[*tables[0].notes, *notes])
    return Document(f"Study {ledger.facts['study']}", tables)


def render_csv(cells: pa.Table) -> str:
    """``table.csv``: one row an aggregate, full precision; an empty field where there is no number."""
    target = text_io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    names = key_of(cells)
    columns = [*names, *NUMBERS]
    writer.writerow(columns)
    for place, aggregate in Ledger(cells).aggregates.items():
        row = aggregate["mean"]
        values = {name: repr(aggregate[name]["value"]) for name in VALUES if name in aggregate}
        shared = {name: row[name] for name in ("n", "ddof", "interval", "level")}
        oracle = {"oracle": "true" if row["oracle"] else "false"}
        fields = {**dict(zip(names, place, strict=True)), **values, **shared, **oracle}
        writer.writerow(["" if fields.get(name) is None else fields[name] for name in columns])
    return target.getvalue()


# The texts that a study's tables are written as, by the command's outputs.
TEXTS: dict[str, Callable[[pa.Table], str]] = {
    "table_csv": render_csv,
    "table_md": lambda cells: documents.markdown(document(cells)),
    "table_tex": lambda cells: documents.latex(document(cells)),
}
