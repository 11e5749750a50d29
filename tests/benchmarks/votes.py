"""Votes to labels, Parquet to Parquet, beside crowd-kit: time and memory, and that memory does not grow with votes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from softlabels import io
from softlabels.contracts import write_reference

from . import lines

CLASSES = 10
VOTES = 50  # of each item
PIECE = 20_000  # items at a time, a row group of a million votes

MEASURE = """
import json, sys
from pathlib import Path
from time import perf_counter
from benchmarks import lines
{imports}
folder = Path(sys.argv[1])
start = perf_counter()
{work}
print(json.dumps({{"seconds": perf_counter() - start, "peak": lines.peak()}}))
"""
OURS = {
    "imports": "from softlabels.labels import average, label",
    "work": """
options = {"aggregate": {"kind": "average"}, "form": "soft", "votes": "all", "ties": "lowest_index", "seed": 0}
inputs = {name: folder / f"{name}.parquet" for name in ("annotations", "reference")}
label.run({"label": options, "draw": "all"}, inputs, {"labels": folder / "labels.parquet"})
""",
}
CROWD_KIT = {
    "imports": "import pyarrow.parquet as pq; from crowdkit.aggregation import MajorityVote",
    "work": """
votes = pq.read_table(folder / "annotations.parquet").to_pandas()
votes.columns = ["task", "worker", "label"]
p = MajorityVote().fit_predict_proba(votes)
p.to_parquet(folder / "crowd_kit.parquet")
""",
}


def measure(side: dict[str, str], folder: Path) -> dict[str, float]:
    """Seconds and peak memory in bytes of one side, in a process of its own."""
    words = [sys.executable, "-c", MEASURE.format(**side), str(folder)]
    process = subprocess.run(words, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(process.stderr.strip().splitlines()[-1])
    return json.loads(process.stdout)


def write_votes(folder: Path, items: int, votes: int = VOTES, classes: int = CLASSES) -> Path:
    """A data set's annotations, piece by piece, and its reference; the folder."""
    rng = np.random.default_rng(0)
    annotator = pa.array([f"annotator{k}" for k in range(votes * classes)])
    names = [f"class{k}" for k in range(classes)]
    metadata = io.canonical_json({"schema_version": io.SCHEMA_VERSION, "classes": names})
    columns = {"item": pa.int32(), "annotator": pa.dictionary(pa.int32(), pa.string()), "label": pa.int16()}
    schema = pa.schema(columns, {"softlabels": metadata})
    with pq.ParquetWriter(folder / "annotations.parquet", schema, compression="zstd") as writer:
        for first in range(0, items, PIECE):
            item = np.repeat(np.arange(first, min(first + PIECE, items), dtype=np.int32), votes)
            drawn = rng.integers(0, classes, len(item))
            label = np.where(rng.random(len(item)) < 0.5, item % classes, drawn).astype(np.int16)
            who = np.arange(len(item), dtype=np.int32) % votes * classes + label
            dictionary = pa.DictionaryArray.from_arrays(who, annotator)
            writer.write_table(pa.table([item, dictionary, label], schema=schema))
    p = np.full((items, classes), 1 / classes)
    write_reference(folder / "reference.parquet", p, np.full(items, votes), names)
    return folder


def ten_million(quick: bool) -> Iterator[dict[str, Any]]:
    """Time and memory beside crowd-kit's, which says the same."""
    folder = write_votes(Path(tempfile.mkdtemp()), 20_000 if quick else 200_000)
    pairs = [[measure(side, folder) for side in (OURS, CROWD_KIT)] for _ in range(3)]
    labels = io.read_table(folder / "labels.parquet")[0]
    expected = pq.read_table(folder / "crowd_kit.parquet").to_pandas().sort_index()[list(range(CLASSES))]
    np.testing.assert_allclose(io.matrix(labels, "p"), expected.to_numpy(), atol=1e-6)
    name, anchor = f"{labels.num_rows * VOTES / 1e6:g} million votes to soft labels", "crowd-kit's MajorityVote"
    rates = [[labels.num_rows * VOTES / 1e6 / side["seconds"] for side in pair] for pair in pairs]
    yield lines.line(name, rates, "million votes/s", 6, against=anchor)
    peaks = [[side["peak"] / 1e9 for side in pair] for pair in pairs]
    yield lines.line(f"{name}, memory", peaks, "GB", 0.33, at_least=False, against=anchor)


def hundred_million(quick: bool) -> Iterator[dict[str, Any]]:
    """Ten times the votes: ten times the time, and less than 2 GB."""
    few, many = (write_votes(Path(tempfile.mkdtemp()), n // (10 if quick else 1)) for n in (200_000, 2_000_000))
    pairs = [[measure(OURS, folder) for folder in (many, few)] for _ in range(3)]
    name = f"{10 if quick else 100} million votes to soft labels"
    times = [(large["seconds"], 10 * small["seconds"]) for large, small in pairs]
    yield lines.line(name, times, "s", 1.2, at_least=False, against="ten times the time of a tenth of them")
    peaks = [(large["peak"] / 1e9, 2) for large, _ in pairs]
    yield lines.line(f"{name}, memory", peaks, "GB", 1, at_least=False, against="2 GB")
