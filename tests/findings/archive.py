"""The predictions behind the findings: from a results folder to small files in ``docs/findings/``, and back.

``{study}.parquet``         a row a run: where it stands in the study's grid, logits of its test items (and, where a
                            claim needs them, of its validation items, and its features), validation of each epoch,
                            the temperature that was fitted on its own validation labels
                            (of a run that another archive has, too, the logits are there: ``elsewhere`` names it)
``data/{dataset}.parquet``  a row an item: what its reference is made of, and its part in each split

Logits and features are float32, as the runs wrote them; ``--bits 14`` rounds the logits of a large study to multiples
of 2^-14, which moves a mean by less than 1e-6 and saves a quarter; ``--bits 8`` moves it by less than 1e-4 (of metrics
with bins by less than 1e-3) and saves more than half: print three decimals of such a study. Of generated data, a
reference of votes is kept as counts, an exact one as the positions that it follows from; of any other data set nothing
is kept but the SHA-256 of its reference, because its votes are not ours to pass on: whoever has its folder can give it.

``python tests/findings/archive.py results hard_vs_soft --validation --features`` adds a study. The same results give
the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "findings"
VERSION = 1
PARTS = ("train", "val", "test")
ELSEWHERE = "elsewhere"  # the study whose archive has the logits of a run
PREDICTIONS = ("predictions", "fitted", "adopted")  # files of a run: of a network, of a head, of what others trained
PLACE = ("dataset", "split", "recipe")
EPOCHS = ("val_acc_own", "val_acc_reference", "val_ce_own", "val_ce_reference")  # of a history: what is kept
GROUPINGS = {
    "colour": [["bc", "be"], ["gc", "ge"], ["rc", "re"]],
    "shape": [["bc", "gc", "rc"], ["be", "ge", "re"]],
}
HISTORY = pa.struct([(name, pa.list_(pa.float64())) for name in EPOCHS])


class Unavailable(Exception):
    """What cannot be recomputed here, and why."""


class Wrong(Exception):
    """A file or a claim that cannot be used: what, and what to do."""


# -- items of a data set -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """The items of a data set.

    Attributes:
        table: a row an item, see :func:`_items`.
        about: its metadata.
        folder: where a data set lies that was not generated; None where nobody said.
    """

    table: pa.Table
    about: Mapping[str, Any]
    folder: Path | None = None

    def items(self, split: str, seed: int, part: str) -> np.ndarray:
        """The items of a part of a split, ascending, int ``[n]``."""
        return np.flatnonzero(self.table[f"{split}/seed{seed}"].to_numpy() == PARTS.index(part))

    @cached_property
    def cluster(self) -> np.ndarray:
        """A number for each item that items of one group have in common, int ``[N]``."""
        if "cluster" in self.table.column_names:
            return self.table["cluster"].to_numpy()
        return np.arange(len(self.table))

    @cached_property
    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions on the ring of colours (0 to 3) and from circle to ellipse (0 to 1), float64 ``[N]`` each."""
        if "u" not in self.table.column_names:
            raise Wrong(f"{self.about['dataset']}: has no positions of colour and shape. Archive it with --features.")
        return self.table["u"].to_numpy(), self.table["s"].to_numpy()

    @cached_property
    def votes(self) -> np.ndarray:
        """The votes that a reference of votes is made of, int ``[N, C]``."""
        if self.about["kept"] == "positions":
            raise Wrong(f"{self.about['dataset']}: its reference is exact, and made of no votes.")
        if self.about["kept"] == "votes":
            return _matrix(self.table["votes"], np.int64)
        if self.folder is None:
            raise Unavailable(
                f"the votes of {self.about['dataset']} are not ours to pass on; name its folder with "
                f"--data {self.about['dataset']}=FOLDER"
            )
        path = self.folder / self.about["counts"]
        if not path.is_file():
            raise Wrong(f"{path}: expected the votes of {self.about['dataset']} there. Name the folder that has it.")
        return np.load(path, allow_pickle=False)

    @cached_property
    def p(self) -> np.ndarray:
        """The reference, float64 ``[N, C]``; what was archived must come out to the last bit."""
        if self.about["kept"] == "positions":
            found = exact(*self.positions, len(self.about["classes"]))
        else:
            found = self.votes / self.votes.sum(axis=1, keepdims=True)
        if digest(found) != self.about["reference_sha256"]:
            raise Wrong(
                f"{self.about['dataset']}: its reference has the SHA-256 {digest(found)[:12]}, the one of the results "
                f"had {self.about['reference_sha256'][:12]}. Use the same data, or archive the study again."
            )
        return found


def exact(u: np.ndarray, s: np.ndarray, n_classes: int) -> np.ndarray:
    """Label distributions of the synthetic set, float64 ``[N, C]``, of blue, green, red, each as circle and ellipse.

    Position u on the ring red (0), green (1), blue (2), red (3) belongs to its two neighbours in proportion to its
    nearness, position s to circle with 1 - s, to ellipse with s. Of three classes they are the colours alone.
    """
    corner = np.floor(u)
    red_green_blue = np.zeros((len(u), 3))
    for k in range(3):
        red_green_blue[corner == k, k] = (1 - (u - corner))[corner == k]
        red_green_blue[corner == k, (k + 1) % 3] = (u - corner)[corner == k]
    colour = red_green_blue[:, [2, 1, 0]]
    if n_classes == 3:
        return colour
    return np.stack([colour[:, k] * shape for k in range(3) for shape in (1 - s, s)], axis=1)


def digest(p: np.ndarray) -> str:
    """SHA-256 of a reference's numbers."""
    return hashlib.sha256(np.ascontiguousarray(p, "<f8").tobytes()).hexdigest()


# -- from a results folder ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Archive:
    """A study: ``runs``, a row a run, and the items of each data set that ran, by name."""

    runs: pa.Table
    data: Mapping[str, Data]

    @property
    def about(self) -> dict[str, Any]:
        """The metadata of the runs."""
        return _about(self.runs)


def collect(
    results: Path, study: str, validation: bool = True, features: bool = True,
    folders: Mapping[str, Path] | None = None, bits: int | None = None,
) -> Archive:  # fmt: skip
    """What the findings need of a study, from the files of a results folder.

    Args:
        results: the folder.
        study: name of the study; its tables are made.
        validation: whether logits of validation items are wanted: for scalings.
        features: whether features of test items are wanted.
        folders: where data sets lie that were not generated, by name.
        bits: logits are rounded to multiples of 2^-bits; None: not.
    """
    place = results / "studies" / study
    config = _json(place / "config.json")
    splits: dict[str, set[tuple[str, int]]] = {}
    rows = []
    for point in _points(config):
        for label, ran in point["labels"].items():
            for seed in config["seeds"]:
                dataset, split, recipe = point["names"]
                splits.setdefault(dataset, set()).add((split, seed))
                folder = results / "runs" / dataset / split / recipe / ran / f"seed{seed}"
                row = _run(folder, validation, features, bits) | {
                    **dict(zip(PLACE, point["base"], strict=True)), "split": split, "label": label, "seed": seed,
                    "data": dataset, **point["values"],
                }  # fmt: skip
                rows.append(row | {"own": _own(results, dataset, split, ran, seed)})
    data = {
        name: _items(results, name, config["datasets"][name], sorted(used), features, (folders or {}).get(name))
        for name, used in splits.items()
    }
    varied = list(config.get("varied", ()))
    table = pa.Table.from_pylist(rows, schema=_schema(varied))
    about = {"study": study, "varied": varied, "bits": bits, "classes": next(iter(data.values())).about["classes"]}
    return Archive(_with(table, about | {"groupings": _groupings(config), "made": _made(results, study, rows)}), data)


def _points(config: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The points of a study: ``base``, ``names`` (of data set, split and recipe), ``labels`` and ``values``."""
    if "points" in config:
        return config["points"]
    labels = {name: name for name in config["labels"]}
    names = [[d, s, r] for d in config["datasets"] for s in config["splits"] for r in config["recipes"]]
    return [{"base": name, "names": name, "labels": labels, "values": {}} for name in names]


def _run(folder: Path, validation: bool, features: bool, bits: int | None) -> dict[str, Any]:
    """The columns of a run that come from its own files."""
    path = next((path for name in PREDICTIONS if (path := folder / f"{name}.parquet").is_file()), None)
    if path is None:
        raise Wrong(f"{folder}: found no predictions. Run the study to its end first.")
    row = _read_run(path, folder / "history.parquet", bits)
    if not validation:
        row["val"] = None
    if (scores := folder / "scores" / "standard.parquet").is_file():
        scaling = _about(pq.read_table(scores))["scalings"].get("temperature")
        row["temperature"] = scaling and 1 / scaling["weight"][0][0]
    if features and (folder / "features.npy").is_file():
        row["features"] = np.load(folder / "features.npy", allow_pickle=False).astype(np.float32).ravel()
    return row


def _read_run(predictions: Path, history: Path, bits: int | None = None) -> dict[str, Any]:
    """The columns of a run that come from its predictions and its history."""
    table = pq.read_table(predictions)
    item, part = table["item"].to_numpy(), np.asarray(table["split"].to_pylist())
    logits, order = _matrix(table["logits"], np.float32), np.argsort(item)
    if bits is not None:
        rounded = np.ldexp(np.rint(np.ldexp(logits, bits)), -bits)
        same = rounded.argmax(axis=1) == logits.argmax(axis=1)  # what rounding would tie stays as it is
        logits = np.where(same[:, None], rounded, logits)
    row = {"sha256": hashlib.sha256(predictions.read_bytes()).hexdigest(), "features": None, "history": None}
    for name in ("test", "val"):
        there = order[part[order] == name]
        row[name] = logits[there].ravel() if len(there) else None
    if history.is_file():
        columns = pq.read_table(history)
        row["history"] = {name: columns[name].to_numpy() for name in EPOCHS if name in columns.column_names}
    return row


def _own(results: Path, dataset: str, split: str, label: str, seed: int) -> str | None:
    """How a run's own label follows from the reference: it is its largest class (``hard``), or itself (``soft``)."""
    folders = [results / "labels" / dataset / label, results / "labels" / dataset / split / label]
    paths = [path for folder in folders for path in (folder / "all.parquet", folder / f"seed{seed}.parquet")]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    labels, reference = pq.read_table(path), pq.read_table(results / "data" / dataset / "reference.parquet")
    if not np.array_equal(labels["item"].to_numpy(), reference["item"].to_numpy()):
        return None
    own, p = _matrix(labels["p"], float), _matrix(reference["p"], float)
    if np.abs(own - p).max() < 1e-6:
        return "soft"
    return "hard" if np.array_equal(own, np.eye(p.shape[1])[p.argmax(axis=1)]) else None


def _items(
    results: Path, dataset: str, definition: Mapping[str, Any], used: Iterable[tuple[str, int]], positions: bool,
    folder: Path | None,
) -> Data:  # fmt: skip
    """The items of a data set: ``u`` and ``s`` (positions), ``votes``, ``cluster``, and a column a split and seed."""
    reference = pq.read_table(results / "data" / dataset / "reference.parquet")
    items = pq.read_table(results / "data" / dataset / "items.parquet")
    if not all(np.array_equal(of["item"].to_numpy(), np.arange(len(items))) for of in (reference, items)):
        raise Wrong(
            f"{results / 'data' / dataset}: expected the items 0, 1, 2 … in this order. Make the data set anew."
        )
    p, about = _matrix(reference["p"], float), _about(reference)
    source = definition["description"]["source"]
    generated = source["kind"] == "synthetic"
    kept = "elsewhere" if not generated else "positions" if about["reference"] == "exact" else "votes"
    columns: dict[str, Any] = {}
    if generated and (kept == "positions" or positions) and "u" in items.column_names:
        columns |= {name: items[name] for name in ("u", "s")}
    if kept == "votes":
        counts = np.rint(p * reference["votes"].to_numpy()[:, None]).astype(np.uint16)
        columns["votes"] = pa.array(list(counts), pa.list_(pa.uint16()))
    groups = items["group"].to_pylist() if "group" in items.column_names else []
    if any(group is not None for group in groups):
        first: dict[str, int] = {}
        columns["cluster"] = pa.array(
            [i if group is None else first.setdefault(group, i) for i, group in enumerate(groups)], pa.int32()
        )
    for split, seed in used:
        table = pq.read_table(results / "splits" / dataset / split / f"seed{seed}.parquet")
        part = np.full(len(items), len(PARTS), np.uint8)  # an item of no part
        names = np.asarray(table["split"].to_pylist())
        for k, name in enumerate(PARTS):
            part[table["item"].to_numpy()[names == name]] = k
        columns[f"{split}/seed{seed}"] = part
    facts = {"dataset": dataset, "classes": about["classes"], "reference": about["reference"], "kept": kept,
             "reference_sha256": digest(p)}  # fmt: skip
    if source["kind"] == "counts":  # the file's name: where it lies is another matter elsewhere
        manifest = json.loads((results / "data" / dataset / "images.manifest.json").read_text(encoding="utf-8"))
        facts["counts"] = Path(manifest["inputs"]["counts"]["source"]).name
    return Data(_with(pa.table(columns), facts), facts, folder)


def _groupings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Groups of classes: of the six of the generator, its colours and its shapes."""
    six = any(of["description"]["source"].get("classes") == "colour_shape" for of in config["datasets"].values())
    return GROUPINGS if six else {}


def _schema(varied: Iterable[str]) -> pa.Schema:
    return pa.schema([
        *((name, pa.string()) for name in (*PLACE, "label")), ("seed", pa.int32()),
        *((name, pa.string()) for name in (*varied, "data", "own", "sha256", ELSEWHERE)),
        *((name, pa.list_(pa.float32())) for name in ("test", "val", "features")), ("history", HISTORY),
        ("temperature", pa.float64()),
    ])  # fmt: skip


def _made(results: Path, study: str, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Where these numbers come from: hashes of the study's chain and manifest, commits and machines."""
    place = results / "studies" / study
    manifest = _json(place / "config.manifest.json")
    chain = _json(place / "chain.json")
    trained = [
        _json(results / entry["path"])
        for entry in chain["manifests"]
        if entry["path"].startswith("runs/") and "/scores/" not in entry["path"]
    ]
    jobs = [manifest, *trained]
    machines = {
        json.dumps({key: job["machine"].get(key) for key in ("processor", "cores", "gpu")}, sort_keys=True)
        for job in jobs
    }
    return {
        "chain_sha256": hashlib.sha256((place / "chain.json").read_bytes()).hexdigest(),
        "manifest_sha256": hashlib.sha256((place / "config.manifest.json").read_bytes()).hexdigest(),
        "commit": manifest["code"]["commit"],
        "commits_of_trainings": sorted({str(job["code"]["commit"]) for job in trained}),
        "changes_beside_them": any(job["code"]["dirty"] for job in jobs),
        "machines": [json.loads(machine) for machine in sorted(machines)],
        "packages": {
            name: sorted(
                {job["environment"]["packages"][name] for job in jobs if name in job["environment"]["packages"]}
            )
            for name in ("numpy", "torch")
        },
        "runs": len(rows),
    }


# -- a pair of networks that were trained outside of a study ----------------------------------------------------------


def pair(folder: Path, labels: Iterable[str] = ("hard", "soft")) -> Archive:
    """A study of one seed from ``{label}-predictions.parquet`` of a folder and ``items.parquet`` of the one above.

    Items have their part and positions; the reference follows from these, and is what it is.
    """
    items = pq.read_table(folder.parent / "items.parquet")
    if not np.array_equal(items["item"].to_numpy(), np.arange(len(items))):
        raise Wrong(f"{folder.parent / 'items.parquet'}: expected the items 0, 1, 2 … in this order.")
    names = np.asarray(items["split"].to_pylist())
    rows = []
    for label in labels:
        row = _read_run(folder / f"{label}-predictions.parquet", folder / f"{label}-history.parquet")
        rows.append(
            row | {"label": label, "seed": 0, "data": "synthetic", "own": label, **dict.fromkeys(PLACE, "pair")}
        )
    classes = _about(pq.read_table(folder / f"{label}-predictions.parquet"))["classes"]
    columns = {"u": items["u"], "s": items["s"], "pair/seed0": [PARTS.index(name) for name in names]}
    p = exact(items["u"].to_numpy(), items["s"].to_numpy(), len(classes))
    facts = {"dataset": "synthetic", "classes": classes, "reference": "exact", "kept": "positions",
             "reference_sha256": digest(p)}  # fmt: skip
    about = {"study": folder.name, "varied": [], "classes": classes, "groupings": GROUPINGS, "bits": None, "made": {}}
    runs = _with(pa.Table.from_pylist(rows, schema=_schema([])), about)
    return Archive(runs, {"synthetic": Data(pa.table(columns), facts)})


# -- files -------------------------------------------------------------------------------------------------------------


def write(archive: Archive, folder: Path = FOLDER) -> list[Path]:
    """Write a study and its data sets; returns the files. A data set of several studies keeps the splits of all."""
    paths = [folder / f"{archive.about['study']}.parquet"]
    _write(paths[0], _once(archive.runs, folder, paths[0].stem))
    for name, data in archive.data.items():
        paths.append(folder / "data" / f"{name}.parquet")
        _write(paths[-1], _merged(data, paths[-1]))
    return paths


def _once(runs: pa.Table, folder: Path, study: str) -> pa.Table:
    """Runs without the test logits that another study's archive has; of those with more than these nothing goes."""
    there: dict[str, str] = {}
    for path in sorted(folder.glob("*.parquet")):
        if path.stem != study:
            found = _filled(pq.read_table(path))
            if _about(found)["bits"] != _about(runs)["bits"]:
                continue
            own = pc.and_(pc.is_valid(found["test"]), pc.is_null(found[ELSEWHERE]))
            there |= dict.fromkeys(found.filter(own)["sha256"].to_pylist(), path.stem)
    rows = runs.to_pylist()
    for row in rows:
        if row["val"] is None and row["features"] is None and row["sha256"] in there:
            row |= {"test": None, ELSEWHERE: there[row["sha256"]]}
    return pa.Table.from_pylist(rows, schema=runs.schema)


def _filled(runs: pa.Table) -> pa.Table:
    """Runs with the columns that older archives lack."""
    for name, kind in ((ELSEWHERE, pa.string()), ("temperature", pa.float64())):
        if name not in runs.column_names:
            runs = runs.append_column(name, pa.nulls(len(runs), kind))
    return runs


def _fetched(runs: pa.Table, folder: Path) -> pa.Table:
    """Runs with the test logits that lie in archives of other studies."""
    rows = _filled(runs).to_pylist()
    named = {row[ELSEWHERE] for row in rows} - {None}
    logits = {}
    for study in filter(lambda study: (folder / f"{study}.parquet").is_file(), named):
        other = pq.read_table(folder / f"{study}.parquet", columns=["sha256", "test"])
        logits |= {(study, row["sha256"]): row["test"] for row in other.to_pylist()}
    for row in rows:
        if row[ELSEWHERE] is not None:
            row["test"] = logits.get((row[ELSEWHERE], row["sha256"]))
            if row["test"] is None:
                raise Wrong(
                    f"{folder / row[ELSEWHERE]}.parquet: has not the run {row['sha256'][:12]} any more, whose logits "
                    f"should be there. Archive the study again that has it, too."
                )
    return pa.Table.from_pylist(rows, schema=_filled(runs).schema) if named else runs


def _merged(data: Data, path: Path) -> pa.Table:
    """The items of a data set with the columns that the file has beside them, where it is of the same reference."""
    if not path.is_file():
        return data.table
    old = pq.read_table(path)
    if _about(old)["reference_sha256"] != data.about["reference_sha256"]:
        raise Wrong(
            f"{path}: is of another data set of this name. Remove the archives of its studies and make them anew."
        )
    columns = {name: old[name] for name in old.column_names} | {
        name: data.table[name] for name in data.table.column_names
    }
    ours = [name for name in ("u", "s", "votes", "cluster") if name in columns]
    return pa.table({name: columns[name] for name in (*ours, *sorted({*columns} - {*ours}))}).replace_schema_metadata(
        data.table.schema.metadata
    )


def read(study: str, folder: Path = FOLDER, folders: Mapping[str, Path] | None = None) -> Archive:
    """Read a study; ``folders`` are those of data sets that were not generated, by name."""
    path = folder / f"{study}.parquet"
    if not path.is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.parquet"))) or "none"
        raise Wrong(
            f"{path}: no archive of the study {study} (there are: {known}). Run it, and add it with archive.py."
        )
    runs = _fetched(pq.read_table(path), folder)
    data = {}
    for name in dict.fromkeys(runs["data"].to_pylist()):
        table = pq.read_table(folder / "data" / f"{name}.parquet")
        data[name] = Data(table, _about(table), (folders or {}).get(name))
    return Archive(runs, data)


def size(folder: Path = FOLDER) -> int:
    """Bytes of all archives."""
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))


def _write(path: Path, table: pa.Table) -> None:
    """Write Parquet whole or not at all, with fixed settings: the same table gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    floats = [name for name in ("test", "val", "features") if name in table.column_names]
    leaves = [f"{name}.list.element" for name in floats] + [name for name in ("u", "s") if name in table.column_names]
    if "history" in table.column_names:
        leaves += [f"history.{name}.list.element" for name in EPOCHS]
    plain = [name for name in table.column_names if name not in (*floats, "history", "u", "s", "votes")]
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    try:
        pq.write_table(
            table, name, version="2.6", compression="zstd", compression_level=19, write_statistics=False,
            use_dictionary=plain, column_encoding=dict.fromkeys(leaves, "BYTE_STREAM_SPLIT"),
        )  # fmt: skip
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _with(table: pa.Table, about: Mapping[str, Any]) -> pa.Table:
    text = json.dumps({"version": VERSION, **about}, sort_keys=True, ensure_ascii=False)
    return table.replace_schema_metadata({"softlabels": text})


def _about(table: pa.Table) -> dict[str, Any]:
    return json.loads((table.schema.metadata or {}).get(b"softlabels", b"{}"))


def _json(path: Path) -> Any:
    if not path.is_file():
        raise Wrong(f"{path}: there is no such file. Name the results folder of a study that ran to its end.")
    return json.loads(path.read_text(encoding="utf-8"))


def _matrix(column: pa.ChunkedArray, kind: Any) -> np.ndarray:
    """A column of lists of one length, as an array ``[N, C]``."""
    whole = column.combine_chunks()
    return np.asarray(whole.flatten(), kind).reshape(len(whole), -1)


def main(arguments: list[str] | None = None) -> None:
    """Add studies of a results folder to the archive."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("results", type=Path, help="the results folder")
    parser.add_argument("study", nargs="+", help="names of studies there")
    parser.add_argument("--validation", action="store_true", help="keep logits of validation items: for scalings")
    parser.add_argument("--features", action="store_true", help="keep features: for claims about the feature space")
    parser.add_argument("--bits", type=int, help="round logits to multiples of 2^-BITS: of a large study")
    parser.add_argument("--to", type=Path, default=FOLDER, help="the folder of the archives (docs/findings)")
    told = parser.parse_args(arguments)
    for study in told.study:
        for path in write(collect(told.results, study, told.validation, told.features, bits=told.bits), told.to):
            print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    print(f"together {size(told.to) / 1e6:.2f} MB of 20")


if __name__ == "__main__":
    try:
        main()
    except Wrong as error:
        sys.exit(f"archive.py: {error}")
