"""What votes to labels cost beside crowd-kit, and that memory does not grow with the votes: Parquet to Parquet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from softlabels import io
from softlabels.contracts import write_reference

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
CLASSES = [f"class{k}" for k in range(10)]
VOTES = 50  # of each item
PIECE = 20_000  # items at a time, a row group of a million votes

MEASURE = """
import json, sys
from pathlib import Path
from time import perf_counter
{imports}
folder = Path(sys.argv[1])
start = perf_counter()
{work}
seconds = perf_counter() - start
status = Path("/proc/self/status")  # of this program only; getrusage also counts what it was forked from
peak = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")] if status.exists() else []
print(json.dumps({{"seconds": seconds, "peak": int(peak[0].split()[1]) * 1024 if peak else None}}))
"""
OURS = {
    "imports": "from softlabels.labels import average, label",
    "work": """
options = {"aggregate": {"kind": "average"}, "form": "soft", "ties": "lowest_index", "seed": 0}
inputs = {name: folder / f"{name}.parquet" for name in ("annotations", "reference")}
label.run({"label": options}, inputs, {"labels": folder / "labels.parquet"})
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


def measure(side: dict[str, str], folder: Path) -> dict:
    """Seconds and peak memory in bytes of one side, in a process of its own."""
    process = subprocess.run(
        [sys.executable, "-c", MEASURE.format(**side), str(folder)],
        cwd=WORKFLOW, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    if found["peak"] is None:
        pytest.skip("the peak is read from /proc, which this system lacks")
    return found


def write_votes(folder: Path, items: int) -> None:
    """A data set's annotations, piece by piece, and its reference."""
    rng = np.random.default_rng(0)
    annotator = pa.array([f"annotator{k}" for k in range(500)])
    metadata = io.canonical_json({"schema_version": io.SCHEMA_VERSION, "classes": CLASSES})
    columns = {"item": pa.int32(), "annotator": pa.dictionary(pa.int32(), pa.string()), "label": pa.int16()}
    schema = pa.schema(columns, {"softlabels": metadata})
    with pq.ParquetWriter(folder / "annotations.parquet", schema, compression="zstd") as writer:
        for first in range(0, items, PIECE):
            item = np.repeat(np.arange(first, min(first + PIECE, items), dtype=np.int32), VOTES)
            label = np.where(rng.random(len(item)) < 0.5, item % 10, rng.integers(0, 10, len(item))).astype(np.int16)
            who = pa.DictionaryArray.from_arrays(np.arange(len(item), dtype=np.int32) % VOTES * 10 + label, annotator)
            writer.write_table(pa.table([item, who, label], schema=schema))
    p = np.full((items, len(CLASSES)), 1 / len(CLASSES))
    write_reference(folder / "reference.parquet", p, np.full(items, VOTES), CLASSES)


def fastest(costs: list[dict]) -> dict:
    return min(costs, key=lambda cost: cost["seconds"])


def shown(name: str, cost: dict) -> str:
    return f"{name} {cost['seconds']:.2f} s and {cost['peak'] / 1e6:.0f} MB"


def test_ten_million_votes_cost_a_sixth_of_crowd_kits_time_and_a_third_of_its_memory(tmp_path):
    write_votes(tmp_path, 200_000)
    ours, theirs = (fastest([measure(side, tmp_path) for _ in range(3)]) for side in (OURS, CROWD_KIT))
    faster, smaller = theirs["seconds"] / ours["seconds"], ours["peak"] / theirs["peak"]
    print(f"\n10 million votes: {shown('crowd-kit', theirs)}, {shown('here', ours)}: {faster:.1f} times, {smaller:.2f}")
    labels, _ = io.read_table(tmp_path / "labels.parquet")
    expected = pq.read_table(tmp_path / "crowd_kit.parquet").to_pandas().sort_index()[list(range(10))]
    np.testing.assert_allclose(io.matrix(labels, "p"), expected.to_numpy(), atol=1e-6)
    assert faster >= 6
    assert smaller <= 1 / 3


def test_a_hundred_million_votes_fit_into_two_gigabytes(tmp_path):
    write_votes(tmp_path, 2_000_000)
    cost = measure(OURS, tmp_path)
    print(f"\n100 million votes: {shown('here', cost)}")
    assert io.read_table(tmp_path / "labels.parquet", [])[0].num_rows == 2_000_000
    assert cost["peak"] <= 2e9
