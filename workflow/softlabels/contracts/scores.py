"""``scores/{metrics}.parquet`` of a run, and ``references/…/{metrics}.parquet``: a row a number, whatever it measures.

``part``     val or test
``group``    a class for the recall, else "all"
``scaling``  none, or temperature: after the logits were divided by the run's temperature
``metric``   a metric's name; ``recall``; ``structure.…`` (test part); a fact: ``n_items``, ``n_classes_present``,
             ``ties`` (items whose reference has several largest classes), ``tie_credit_acc``, ``temperature``
``value``    float64; null where the number is not defined

The rows that need no network say before that which ``row`` they belong to, and whether it is an ``oracle``; their
facts are ``detail.…``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from .. import io
from ..errors import UserError
from .names import STANDARD

SCHEMA = pa.schema(
    [
        ("part", pa.string()),
        ("group", pa.string()),
        ("scaling", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
    ]
)
ROWS_SCHEMA = pa.schema([("row", pa.string()), ("oracle", pa.bool_()), *SCHEMA])
COLUMNS, ROWS_COLUMNS = SCHEMA.names, ROWS_SCHEMA.names
ALL = "all"  # the group of a number that is not of one class
COUNTS = frozenset({"n_items", "n_classes_present", "ties", "detail.draws", "detail.n_items"})

Key = tuple[str, str, str, str]  # part, group, scaling, metric
File = TypeVar("File")


@dataclass(frozen=True)
class Scores:
    """The numbers of one file, or of one row that needs no network.

    Attributes:
        path: the file.
        values: every number by key; None where it is not defined.
        classes: names of the classes.
        eps: what ``kl_dcic`` clips probabilities with.
        oracle: whether a row without a network uses the truth of the test item.
    """

    path: str
    values: Mapping[Key, float | None]
    classes: list[str]
    eps: float
    oracle: bool = False

    def get(self, part: str, group: str, scaling: str, metric: str) -> float | None:
        """One number; None where it is not defined.

        Raises:
            UserError: the file has no such number.
        """
        key = (part, group, scaling, metric)
        if key not in self.values:
            raise UserError(
                f"{self.path}: found no {metric} (part {part}, group {group}, scaling {scaling}). Delete the file and "
                f"run again to rebuild it."
            )
        return self.values[key]

    def value(self, metric: str, scaling: str = "none") -> float | None:
        """A number of the test part as a ledger calls it; ``recall.<class>`` is the recall of a class."""
        recall, _, name = metric.partition(".")
        if recall == "recall":
            return self.get("test", name, scaling, recall)
        return self.get("test", ALL, scaling, metric)

    def metrics(self, prefix: str) -> list[str]:
        """The metrics whose names begin so, in the order of the file."""
        return list(dict.fromkeys(key[3] for key in self.values if key[3].startswith(prefix)))


def write(path: Path, values: Mapping[Key, float], classes: list[str], eps: float) -> None:
    """Write the scores of a run; NaN becomes null."""
    rows = [(*key, _defined(value)) for key, value in values.items()]
    io.write_table(path, _table(rows, SCHEMA), {"classes": classes, "eps": eps})


def write_rows(
    path: Path, rows: Mapping[str, Mapping[str, float]], oracles: Iterable[str], classes: list[str], eps: float
) -> None:
    """Write rows that need no network: name to metric (or ``detail.…``) to number, which are of the test part."""
    oracles = set(oracles)
    table = [
        (name, name in oracles, "test", ALL, "none", metric, _defined(value))
        for name, values in rows.items()
        for metric, value in values.items()
    ]
    io.write_table(path, _table(table, ROWS_SCHEMA), {"classes": classes, "eps": eps})


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _table(rows: list[tuple], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)


def read(path: Path) -> Scores:
    """Read the scores of a run."""
    return of_table(str(path), *io.read_table(path, COLUMNS))


def read_rows(path: Path) -> dict[str, Scores]:
    """Read rows that need no network, by their names."""
    return rows_of_table(str(path), *io.read_table(path, ROWS_COLUMNS))


def of_table(path: str, table: pa.Table, metadata: Mapping[str, Any]) -> Scores:
    """The scores in a table.

    Raises:
        UserError: a number that is there twice.
    """
    return _scores(path, _tuples(table, COLUMNS), metadata, oracle=False)


def rows_of_table(path: str, table: pa.Table, metadata: Mapping[str, Any]) -> dict[str, Scores]:
    """The scores of each row that needs no network, in the order of the table.

    Raises:
        UserError: a number that is there twice.
    """
    rows: dict[str, list[tuple]] = {}
    oracles = set()
    for name, oracle, *number in _tuples(table, ROWS_COLUMNS):
        rows.setdefault(name, []).append(tuple(number))
        oracles |= {name} if oracle else set()
    return {name: _scores(path, numbers, metadata, name in oracles) for name, numbers in rows.items()}


def _tuples(table: pa.Table, columns: list[str]) -> list[tuple]:
    return list(zip(*(table.column(name).to_pylist() for name in columns), strict=True))


def _scores(path: str, numbers: list[tuple], metadata: Mapping[str, Any], oracle: bool) -> Scores:
    found = {tuple(key): value for *key, value in numbers}
    if len(found) != len(numbers):
        raise UserError(f"{path}: found a number twice, expected each once. Delete the file and run again.")
    return Scores(path, found, metadata["classes"], metadata["eps"], oracle)


def file_of(files: Mapping[str, File], metric: str) -> File:
    """Of a run's score files by set, the one that holds a metric: a set of its own, or the standard one."""
    return files.get(metric, files[STANDARD])
