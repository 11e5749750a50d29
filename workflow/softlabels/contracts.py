"""The files that steps hand to each other: one writer and one reader of each, which checks what it reads, once.

``reference.parquet``    item int32, p float64 [C], votes int32 (null where p is exact); exact float64 [C] where a
                         generator drew the votes: the distribution that an item's are a sample of; others, a list of
                         (annotator string, label int16), where the votes are not those of annotations.parquet
``splits/….parquet``     item int32, split (its part), fold int8 (null where parts are drawn)
``labels/….parquet``     item int32, p float32 [C], hard int16, votes int32 (null: exact), weight float32
``history.parquet``      of a run: a row an epoch, see ``loop.py: Trainer.validate``
``predictions.parquet``  of a run: item int32, split (its part), logits float32 [C], of all items
``features.npy``         of a run: pooled features float32 [n_test, F] of the test items, ascending; of a frozen
                         network: float32 [N, F] of all items
``scores/….parquet``     of a run, and ``references/….parquet``: a row a number, see SCORES
``….terms.parquet``      beside scores: item int32, cluster int32, and what each test item adds to a number, see Terms

A reader raises UserError, with file and item, where an item has two rows, a number is not finite, or the file belongs
to another split or data set.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import io
from .errors import UserError

PARTS = ("train", "val", "test")
# Neither trained on, chosen by nor scored: a fold of the training part, in the split of a network that is to predict
# these items; in other splits the items of the validation part that are kept for calibration.
HELD_OUT = "held_out"
REFERENCE = ("item", "p", "votes")  # the columns of a file
OTHERS = ("annotator", "label")  # of each vote of other people
LABELS = ("item", "p", "hard", "votes", "weight")
PREDICTIONS = ("item", "split", "logits")

# -- rows by item ------------------------------------------------------------------------------------------------------


def require_unique(path: Path, item: np.ndarray) -> None:
    """Refuse an item that has two rows."""
    ascending = np.sort(item)
    repeated = ascending[1:][ascending[1:] == ascending[:-1]]
    if len(repeated):
        raise UserError(
            f"{path}: found several rows for item {repeated[0]}, expected one row an item. Rebuild the file."
        )


def rows_of(path: Path, item: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The row of each wanted item in a file whose rows are ``item``, int ``[len(wanted)]``; one without is an error."""
    require_unique(path, item)
    missing = np.setdiff1d(wanted, item)
    if len(missing):
        raise UserError(
            f"{path}: found no row for item {missing[0]} ({len(missing)} of {len(wanted)} items have none), expected "
            f"one for every item of the split. Rebuild the file with this data set and split."
        )
    order = np.argsort(item, kind="stable")
    return order[np.searchsorted(item[order], wanted)]


def _require_finite(path: Path, what: str, item: np.ndarray, values: np.ndarray) -> None:
    """Refuse NaN and infinity in ``values`` ``[N, K]``, naming the first item that has one."""
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        row = bad[0]
        value = values[row][~np.isfinite(values[row])][0]
        raise UserError(
            f"{path}: found {what} with the value {value} for item {item[row]} ({len(bad)} such items), expected "
            f"finite numbers. If a training diverged, lower its learning rate."
        )


# -- references and splits ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """The distributions that predictions are scored against."""

    path: Path
    item: np.ndarray  # int [N]
    p: np.ndarray  # float64 [N, C]
    votes: np.ndarray | None  # int64 [N], how many votes p is the mean of; None where p is exact
    classes: list[str]  # names, in index order

    def rows(self, wanted: np.ndarray) -> np.ndarray:
        """The row of each wanted item; see :func:`rows_of`."""
        return rows_of(self.path, self.item, wanted)

    @cached_property
    def counts(self) -> np.ndarray | None:
        """The votes that p is the mean of, int64 ``[N, C]``; None where it is exact. Other shares are an error."""
        if self.votes is None:
            return None
        votes = self.p * self.votes[:, None]
        counts = np.rint(votes).astype(np.int64)
        bad = np.flatnonzero(np.abs(votes - counts).max(axis=1) > 1e-6)
        if len(bad):
            row = bad[0]
            raise UserError(
                f"{self.path}: found p {self.p[row].tolist()} with {self.votes[row]} votes for item {self.item[row]}, "
                f"expected p to be counts divided by votes. Correct the source of this data set."
            )
        return counts


def write_reference(
    path: Path, p: np.ndarray, votes: np.ndarray | None, classes: list[str], exact: np.ndarray | None = None,
    others: pa.Table | None = None,
) -> None:  # fmt: skip
    """Write the distributions (rows sum to 1) and numbers of votes of N items; see :class:`Reference`.

    ``exact`` is what :func:`read_exact` gives, ``others`` what :func:`read_others` gives.
    """
    bad = ~np.isfinite(p).all(axis=1) | (p < 0).any(axis=1) | (np.abs(p.sum(axis=1) - 1) > 1e-9)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"Item {row}: found the distribution {p[row].tolist()}, expected {len(classes)} non-negative numbers that "
            f"sum to 1. Correct that row in the source."
        )
    columns = {
        "item": pa.array(np.arange(len(p), dtype=np.int32)),
        "p": io.distribution_column(p, pa.float64()),
        "votes": pa.array([None] * len(p) if votes is None else votes, pa.int32()),
    }
    if exact is not None:
        columns["exact"] = io.distribution_column(exact, pa.float64())
    if others is not None:
        votes_of = [others.column("annotator").cast(pa.string()), others.column("label")]
        ends = np.bincount(io.vector(others, "item"), minlength=len(p)).cumsum()
        offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
        given = pa.StructArray.from_arrays([column.combine_chunks() for column in votes_of], names=OTHERS)
        columns["others"] = pa.ListArray.from_arrays(offsets, given)
    kind = "exact" if votes is None else "votes"
    io.write_table(path, pa.table(columns), {"classes": classes, "reference": kind, "unit": "probability"})


def read_reference(path: Path) -> Reference:
    """Read a reference."""
    table, metadata = io.read_table(path, list(REFERENCE))
    item, p = io.vector(table, "item"), io.matrix(table, "p")
    _require_finite(path, "p", item, p)
    votes = io.vector(table, "votes").astype(np.int64) if metadata["reference"] == "votes" else None
    return Reference(path, item, p, votes, metadata["classes"])


def read_exact(path: Path) -> np.ndarray | None:
    """The distributions that the votes of a reference were drawn from, float64 ``[N, C]``; None where nobody knows.

    Where annotators differ, an item's is the mean over those who voted on it: what its votes are a fair sample of.
    """
    table, _ = io.read_table(path)
    return io.matrix(table, "exact") if "exact" in table.column_names else None


def of_unknown(unknown: int, votes: int) -> str:
    """What to know where some of the votes that a reference is made of, apart from those of labels, name nobody."""
    return (
        f"{unknown} of the {votes} votes of the reference are of unknown people, who may be among those whose votes "
        f"labels are made of, too"
    )


def read_others(path: Path) -> pa.Table | None:
    """The votes that a reference is made of, where they are other people's than those that labels are made of.

    ``item``, ``annotator`` (null: unknown) and ``label``, sorted by them as annotations are; None where the reference
    is made of the same votes, or exact.
    """
    table, _ = io.read_table(path)
    if "others" not in table.column_names:
        return None
    lists = table.column("others").combine_chunks()
    item = np.repeat(io.vector(table, "item"), lists.value_lengths().to_numpy())
    votes = lists.flatten()
    return pa.table({"item": item, **{name: votes.field(name) for name in OTHERS}})


@dataclass(frozen=True)
class Split:
    """The part of each item: ``item`` int ``[N]``, ascending, and ``part`` ``[N]``, of PARTS."""

    item: np.ndarray
    part: np.ndarray

    def items(self, part: str) -> np.ndarray:
        """The items of a part, ascending."""
        return self.item[self.part == part]


def write_split(path: Path, part: np.ndarray, fold: np.ndarray | None, facts: Mapping[str, Any]) -> None:
    """Write the part of each item, its fold and, in the metadata, ``facts`` beside the number of items of each part.

    Args:
        path: where to.
        part: int ``[N]``, index into PARTS; after these HELD_OUT.
        fold: int8 ``[N]``, None where parts are drawn.
        facts: JSON values.
    """
    names = (*PARTS, HELD_OUT)
    columns = {
        "item": pa.array(np.arange(len(part), dtype=np.int32)),
        "split": pa.array(np.array(names, object)[part], pa.string()),
        "fold": pa.nulls(len(part), pa.int8()) if fold is None else pa.array(fold),
    }
    counts = dict(zip(names, np.bincount(part, minlength=len(PARTS)).tolist(), strict=False))
    io.write_table(path, pa.table(columns), {"counts": counts, **facts})


def read_split(path: Path) -> Split:
    """Read a split; a part of another name is an error, too."""
    table, _ = io.read_table(path, ["item", "split"])
    item, part = io.vector(table, "item"), io.vector(table, "split")
    require_unique(path, item)
    other = set(part.tolist()) - {*PARTS, HELD_OUT}
    if other:
        raise UserError(f"{path}: found the part {other.pop()!r}, expected {', '.join(PARTS)}. Rebuild the file.")
    order = np.argsort(item)
    return Split(item[order], part[order])


# -- labels ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Labels:
    """What a network is trained on; an item without a row is not."""

    path: Path
    item: np.ndarray  # int [K], ascending
    p: np.ndarray  # float32 [K, C]
    hard: np.ndarray  # int [K], the hard class
    votes: np.ndarray  # int [K], how many votes each is made of; 0 where it is of none
    weight: np.ndarray  # float32 [K], weight in the loss
    classes: list[str]  # names, in index order

    def of(self, items: np.ndarray) -> np.ndarray:
        """The labels of some items, float64 ``[len(items), C]``."""
        return self.p[rows_of(self.path, self.item, items)].astype(np.float64)


def write_labels(labels: Labels, facts: Mapping[str, Any]) -> None:
    """Write labels, and in the metadata ``facts``, how they were made."""
    columns = {
        "item": pa.array(labels.item, pa.int32()),
        "p": io.distribution_column(labels.p, pa.float32()),
        "hard": pa.array(labels.hard, pa.int16()),
        "votes": pa.array(labels.votes, pa.int32(), mask=labels.votes == 0),
        "weight": pa.array(labels.weight, pa.float32()),
    }
    io.write_table(labels.path, pa.table(columns), {"classes": labels.classes, **facts})


def read_labels(path: Path) -> Labels:
    """Read labels; one that is no distribution is an error, too."""
    table, metadata = io.read_table(path, ["item", "p", "hard", "votes", "weight"])
    item, p, votes = io.vector(table, "item"), io.matrix(table, "p"), table.column("votes").fill_null(0).to_numpy()
    require_unique(path, item)
    bad = ~(np.abs(p.sum(axis=1) - 1) < 1e-4)  # negated, so that NaN is bad
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"{path}: item {item[row]} has the label {p[row].tolist()}, expected a distribution that sums to 1."
        )
    return Labels(path, item, p, io.vector(table, "hard"), votes, io.vector(table, "weight"), metadata["classes"])


# -- predictions and features ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Predictions:
    """What a network says of the items of a data set."""

    path: Path
    item: np.ndarray  # int [N]
    split: np.ndarray  # [N], the part of each
    logits: np.ndarray  # float32 [N, C]

    def items(self, part: str) -> np.ndarray:
        """The items of a part, ascending."""
        return np.sort(self.item[self.split == part])

    def of(self, part: str, items: np.ndarray, n_classes: int) -> np.ndarray:
        """The logits of items of a part, float64 ``[len(items), C]``; another part or another C is an error."""
        rows = rows_of(self.path, self.item, items)
        other = items[self.split[rows] != part]
        if len(other):
            raise UserError(
                f"{self.path}: found item {other[0]} outside of the split {part}, expected all of its items in it: "
                f"these predictions belong to another split. Train the run again with this split."
            )
        if self.logits.shape[1] != n_classes:
            raise UserError(
                f"{self.path}: found {self.logits.shape[1]} logits an item, expected {n_classes}, one for each class "
                f"of the reference. Train the run again on this data set."
            )
        return self.logits[rows].astype(np.float64)


def write_predictions(path: Path, item: np.ndarray, split: np.ndarray, logits: np.ndarray, classes: list[str]) -> None:
    """Write logits ``[N, C]`` of items int ``[N]``, each with its part."""
    columns = {
        "item": pa.array(item, pa.int32()),
        "split": pa.array(split.tolist(), pa.string()),
        "logits": io.distribution_column(logits, pa.float32()),
    }
    io.write_table(path, pa.table(columns), {"classes": classes})


def read_predictions(path: Path) -> Predictions:
    """Read predictions."""
    table, _ = io.read_table(path, list(PREDICTIONS))
    item, logits = io.vector(table, "item"), io.matrix(table, "logits")
    _require_finite(path, "logits", item, logits)
    return Predictions(path, item, io.vector(table, "split"), logits)


def predicted_out_of_fold(paths: Iterable[Path], n_items: int) -> np.ndarray:
    """Mean probabilities, float64 ``[n_items, C]``, of those networks that did not learn from the item."""
    total: np.ndarray | float = 0.0
    count = np.zeros(n_items)
    for path in paths:
        found = read_predictions(path)
        rows = rows_of(path, found.item, np.arange(n_items))
        unseen = found.split[rows] != "train"
        logits = found.logits[rows].astype(np.float64)
        q = np.exp(logits - logits.max(axis=1, keepdims=True))
        total = total + (q / q.sum(axis=1, keepdims=True)) * unseen[:, None]
        count += unseen
    return total / count[:, None]


def read_accuracies(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Epochs int ``[E]`` of a run's history and its accuracy on validation items after each, float64 ``[E]``.

    The accuracy is against the reference; NaN where the history has none.
    """
    table, _ = io.read_table(path, ["epoch", "val_acc_reference"])
    return io.vector(table, "epoch"), io.vector(table, "val_acc_reference").astype(np.float64)


def write_features(path: Path, features: np.ndarray) -> None:
    """Write pooled features float32 ``[n_test, F]`` of the test items, ascending."""
    buffer = BytesIO()  # numpy itself does not say that a disk is full
    np.save(buffer, features, allow_pickle=False)
    with io.atomic(path) as part:
        part.write_bytes(buffer.getbuffer())


def read_features(path: Path, test: np.ndarray) -> np.ndarray:
    """The features of the test items as float64 ``[n_test, F]``; row k belongs to the k-th of ``test``."""
    features = np.load(path, allow_pickle=False)
    if features.ndim != 2 or len(features) != len(test):
        raise UserError(
            f"{path}: found an array {list(features.shape)}, expected [{len(test)}, F]: one row for each test item "
            f"of the split. Train the run again with this split."
        )
    _require_finite(path, "features", test, features)
    return features.astype(np.float64)


def write_encoding(path: Path, n_items: int, batches: Iterable[np.ndarray]) -> int:
    """Write the features of all items as they come, float32 ``[B, F]`` each in the order of the items; returns F."""
    with io.atomic(path) as part, part.open("wb") as file:
        written, width = 0, 0
        for batch in batches:
            if not written:
                width = batch.shape[1]
                about = {"descr": "<f4", "fortran_order": False, "shape": (n_items, width)}
                np.lib.format.write_array_header_1_0(file, about)
            file.write(np.ascontiguousarray(batch, "<f4").data)
            written += len(batch)
    return width


def read_encoding(path: Path, n_items: int) -> np.ndarray:
    """The features of all items, float32 ``[N, F]``, mapped; row i is item i. Another N, or NaN, is an error."""
    features = np.load(path, mmap_mode="r", allow_pickle=False)
    if features.ndim != 2 or len(features) != n_items:
        raise UserError(
            f"{path}: found an array {list(features.shape)}, expected [{n_items}, F]: one row for each item of the "
            f"data set. Delete it and run again to rebuild it."
        )
    _require_finite(path, "features", np.arange(n_items), features)
    return features


# -- names of metrics and figures --------------------------------------------------------------------------------------

STANDARD = "standard"  # the set of metrics and facts that every table needs
METRICS = (  # its metrics
    "macro_acc", "kl", "tvd", "soft_ece", "entropy_correlation", "kl_dcic", "acc", "ce", "js", "brier",
    "entropy_difference", "soft_ece_calibrated", "ece", "vote_acc", "macro_f1", "soft_macro_f1", "second_best_acc",
    "top2_set", "chebyshev", "clark", "canberra", "cosine", "brier_unbiased",
)  # fmt: skip
LONGEST = 80  # characters of a name, before its digest

Options = Mapping[str, Any]  # of an entry: its "kind", and what that takes


def entry_name(options: Options, defaults: Options) -> str:
    """The name of an entry: its kind, and what differs from the defaults, such as ``top_k__k_3``.

    Args:
        options: ``kind`` (of an own module ``module:function``) and its options.
        defaults: the options' default values.

    Returns:
        Small letters, digits and underscores. A name that would be longer than LONGEST, or that lost a character which
        tells it from another, ends with eight hexadecimal digits of what it stands for.
    """
    chosen = {key: value for key, value in sorted(options.items()) if key != "kind"}
    changed = {key: value for key, value in chosen.items() if key not in defaults or value != defaults[key]}
    text = "__".join([options["kind"].replace(":", "__"), *(f"{key}_{_text(value)}" for key, value in changed.items())])
    name = re.sub(r"[^a-z0-9_]", "_", text.lower()).lstrip("_")[:LONGEST]
    if name == text:
        return name
    whole = json.dumps([options["kind"], changed], sort_keys=True)
    return f"{name}_{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "_".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value).replace(".", "p").replace("-", "m")


def sets(metrics: Iterable[str]) -> list[str]:
    """The sets that hold these metrics: the standard one, and one named after each further metric."""
    return [STANDARD, *(name for name in metrics if name not in METRICS)]


def of_set(name: str, options: Mapping[str, Options]) -> dict[str, Options]:
    """Name to options of the metrics in a set; ``options`` are those of all that studies want."""
    if name != STANDARD and name not in options:
        raise UserError(f"No study has a metric '{name}' of its own; there are: {', '.join(sets(options))}.")
    return {metric: {"kind": metric} for metric in METRICS} if name == STANDARD else {name: options[name]}


# -- scores ------------------------------------------------------------------------------------------------------------

# ``part``     val or test; of train there is n_items
# ``group``    all; a class for the recall; a stratum of items (clear, ambiguous …) or a grouping of classes (colour …)
# ``scaling``  none, or one of evaluation/scaling.py: after the logits were scaled
# ``metric``   a metric's name; ``recall``; ``structure.…`` (test part); a fact: ``n_items``, ``n_classes_present``,
#              ``ties`` (items whose reference has several largest classes), ``tie_credit_acc``, ``temperature``
# ``value``    null where the number is not defined
SCORES = pa.schema([(name, pa.string()) for name in ("part", "group", "scaling", "metric")] + [("value", pa.float64())])
# The rows that need no network say before that which they are, and whether they are an oracle; facts are ``detail.…``.
ROWS = pa.schema([("row", pa.string()), ("oracle", pa.bool_()), *SCORES])
ALL = "all"  # the group of a number that is of all items
UNLABELLED = "n_unlabelled"  # of train and val, where the run's label lacks items
AT = "@"  # between metric and group, in the name of a number in a ledger
PLUS = "+"  # between metric and scaling, in the name of a term
MOST_SCALED = 20  # classes that a vector or matrix is fitted for: a matrix has C² numbers
GAP = "kl"  # the metric whose terms are kept after scaling, too: how much of its gap is confidence
TRUTH = "truth"  # the group of the test items that have a truth from elsewhere, which their numbers are against
READER = "reader:"  # begins the group of the items of a reader, before the name (see evaluation/readers.py)
BY_VOTES = "votes_"  # begins the numbers of such a group that votes have, whatever a network says
UNCOMPARED = ("n_items", BY_VOTES)  # numbers of groups that begin so are equal for all labels
COUNTS = frozenset({"n_items", "n_classes_present", "ties", "detail.n_items"})
COUNTED = (".n_items", ".n_readers")  # so end the names of counts that a further metric has besides itself

Key = tuple[str, str, str, str]  # part, group, scaling, metric
File = TypeVar("File")


@dataclass(frozen=True)
class Scores:
    """The numbers of one file, or of one row that needs no network."""

    path: str
    values: Mapping[Key, float | None]  # None where a number is not defined
    classes: list[str]  # names, in index order
    eps: float  # what kl_dcic clips probabilities with
    oracle: bool = False  # whether a row without a network uses the truth of the test item

    def get(self, part: str, group: str, scaling: str, metric: str) -> float | None:
        """One number; None where it is not defined. A number that the file does not have is an error."""
        key = (part, group, scaling, metric)
        if key not in self.values:
            raise UserError(
                f"{self.path}: found no {metric} (part {part}, group {group}, scaling {scaling}). Delete the file and "
                f"run again to rebuild it."
            )
        return self.values[key]

    def value(self, metric: str, scaling: str = "none") -> float | None:
        """A number of the test part as a ledger calls it: ``kl``, ``kl@clear`` of a group, ``recall.<class>``."""
        recall, _, name = metric.partition(".")
        if recall == "recall":
            return self.get("test", name, scaling, recall)
        name, _, group = metric.partition(AT)
        if group and ("test", group, scaling, name) not in self.values:  # no item of this seed is in the group
            return None
        return self.get("test", group or ALL, scaling, name)

    def of_groups(self) -> list[str]:
        """The numbers of groups of the test part, as a ledger calls them, in the order of the file."""
        keys = (key for key in self.values if key[0] == "test" and key[1] != ALL and key[3] != "recall")
        return [f"{metric}{AT}{group}" for _, group, _, metric in keys]

    def besides(self) -> list[str]:
        """What a further metric has besides itself, of all test items and of groups, in the order of the file."""
        names = (name for part, group, _, name in self.values if part == "test" and group == ALL and "." in name)
        return [*dict.fromkeys(names), *self.of_groups()]

    @property
    def scalings(self) -> list[str]:
        """What the logits were scaled by, besides not at all, in the order of the file."""
        return [scaling for scaling in dict.fromkeys(key[2] for key in self.values) if scaling != "none"]

    def metrics(self, prefix: str) -> list[str]:
        """The metrics whose names begin so, in the order of the file."""
        return list(dict.fromkeys(key[3] for key in self.values if key[3].startswith(prefix)))


def write_scores(
    path: Path, values: Mapping[Key, float], classes: list[str], eps: float, scalings: Mapping[str, Any],
    estimate: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Write the scores of a run, NaN as null, and in the metadata weight and bias of each scaling.

    ``estimate`` has what is known of how the run's label was estimated, if it was.
    """
    more = {"scalings": scalings} | ({"estimate": estimate} if estimate else {})
    _write(path, SCORES, [(*key, value) for key, value in values.items()], classes, eps, **more)


def write_rows(
    path: Path, rows: Mapping[str, Mapping[str, float]], oracles: Iterable[str], classes: list[str], eps: float,
    absent: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Write rows that need no network: name to metric (or ``detail.…``) to number, which are of the test part.

    ``absent`` says of rows that this data cannot have why it cannot.
    """
    numbers = [(name, *number) for name, values in rows.items() for number in values.items()]
    table = [(name, name in oracles, "test", ALL, "none", metric, value) for name, metric, value in numbers]
    _write(path, ROWS, table, classes, eps, absent=dict(absent or {}))


def _write(path: Path, schema: pa.Schema, rows: list[tuple], classes: list[str], eps: float, **facts: Any) -> None:
    columns = zip(schema, zip(*rows, strict=True), strict=True)
    arrays = [pa.array(column, field.type, from_pandas=True) for field, column in columns]  # NaN becomes null
    io.write_table(path, pa.table(arrays, schema), {"classes": classes, "eps": eps, **facts})


def read_scores(path: Path) -> Scores:
    """Read the scores of a run."""
    return scores_of(str(path), *io.read_table(path, SCORES.names))


def read_rows(path: Path) -> dict[str, Scores]:
    """Read rows that need no network, by their names."""
    return rows_in(str(path), *io.read_table(path, ROWS.names))


def read_estimate(path: Path) -> dict[str, Any]:
    """How a label was estimated, of its own file or of scores of a run: empty where it was not.

    ``entropy`` and ``votes_entropy`` (nats): means, of the labels that a network learns from and of the averages of
    their votes; of what iterates ``converged``, ``iterations`` and ``residual`` (null: unknown); of an ensemble
    ``of``, those of its parts. Of any label, if there are some: training classes that are ``absent``, how many items
    are ``alone`` and keep their own label.
    """
    metadata = io.read_table(path, [])[1]
    return metadata.get("estimate", {}) | {key: metadata[key] for key in ("absent", "alone") if metadata.get(key)}


def read_absent(path: Path) -> dict[str, str]:
    """Which rows that need no network this data cannot have, and why: a sentence by name."""
    return io.read_table(path, [])[1]["absent"]


def rows_in(path: str, table: pa.Table, metadata: Mapping[str, Any]) -> dict[str, Scores]:
    """The scores of each row that needs no network, in the order of the table."""
    names = dict.fromkeys(table.column("row").to_pylist())
    parts = {name: table.filter(pc.equal(table.column("row"), name)) for name in names}
    return {name: scores_of(path, part, metadata, any(part["oracle"].to_pylist())) for name, part in parts.items()}


def scores_of(path: str, table: pa.Table, metadata: Mapping[str, Any], oracle: bool = False) -> Scores:
    """The scores in a table; a number that is there twice is an error."""
    *key, values = (table.column(name).to_pylist() for name in SCORES.names)
    found = dict(zip(zip(*key, strict=True), values, strict=True))
    if len(found) != len(values):
        raise UserError(f"{path}: found a number twice, expected each once. Delete the file and run again.")
    return Scores(path, found, metadata["classes"], metadata["eps"], oracle)


@dataclass(frozen=True)
class Terms:
    """What each test item adds to the numbers of a run: the mean of ``values[name]`` is the number."""

    path: str
    item: np.ndarray  # int [n], ascending
    cluster: np.ndarray  # int [n]: items of one group of the data set have one number, an item without one its own
    # float64 [n] by name: a metric, one of a group (``kl@clear``: nan for items of others), or scaled (``kl+matrix…``)
    values: Mapping[str, np.ndarray]


def write_terms(path: Path, terms: Terms) -> None:
    """Write the terms of a run's test items; nan becomes null."""
    columns = {"item": pa.array(terms.item, pa.int32()), "cluster": pa.array(terms.cluster, pa.int32())}
    columns |= {name: pa.array(value, pa.float64(), from_pandas=True) for name, value in terms.values.items()}
    io.write_table(path, pa.table(columns), {})


def read_terms(path: Path) -> Terms:
    """Read the terms of a run's test items."""
    return terms_in(str(path), io.read_table(path)[0])


def terms_in(path: str, table: pa.Table) -> Terms:
    """The terms in a table."""
    item, cluster, *names = table.column_names
    values = {name: table.column(name).to_numpy() for name in names}
    return Terms(path, io.vector(table, item), io.vector(table, cluster), values)


def metric_of(number: str) -> str:
    """The metric that a number in a ledger is of: without its group, and without which of a metric's numbers it is.

    Numbers of a further metric besides itself are called ``metric.number``.
    """
    return number.partition(AT)[0].partition(".")[0]


def file_of(files: Mapping[str, File], metric: str) -> File:
    """Of a run's score files by set, the one that holds a metric: a set of its own, or the standard one."""
    return files.get(metric_of(metric), files[STANDARD])
