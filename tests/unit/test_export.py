"""`softlabels export`: read again by Hugging Face's datasets, by torchvision and by this package."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import finished_run
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from data_files import save_images
from PIL import Image
from projects import REPOSITORY

from softlabels import contracts, io
from softlabels.datasets import data
from softlabels.errors import UserError
from softlabels.export import _folders, export
from softlabels.labels import label, split
from softlabels.plan import Plan

CLASSES = ["cat", "dog", "..", "a/b", "Cat", "nul"]  # in an order that is not the alphabet's
N = 60
NAMES = [f"{('sub', 'sub__0', 'é ü')[i % 3]}/{i // 3}.png" for i in range(N)]


def votes() -> list[tuple[str, str, str]]:
    """Image, annotator and class of each vote: two say the image's own class, the third the next one."""
    return [(name, who, CLASSES[(i // 3 + (who == "Cem")) % 6]) for i, name in enumerate(NAMES)
            for who in ("Ann", "Bob", "Cem")]  # fmt: skip


def made(folder: Path, raw: dict) -> tuple[Path, Path]:
    """Make data, labels and splits of a configuration as a run does: its file, and the results."""
    root = folder / "results"
    raw = {"results": str(root), "data_folder": str(folder), "recipes": {"quick": {"network": "compact"}}, **raw}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    plan = Plan(raw)
    (study,) = plan.config["studies"]
    for command, names in plan.jobs(study, "data", "label", "split"):
        given, outputs = finished_run.READS[command](plan, names), finished_run.of(plan, command, **names)
        if command == "data":
            given = {key: Path(file) for key, file in plan.source_files(names["dataset"]).items()}
        {"data": data, "label": label, "split": split}[command].run(plan.told(command, **names), given, outputs)
    return path, root


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    """A data set with names of all sorts: its configuration, its results, and what is exported of it."""
    folder = tmp_path_factory.mktemp("animals")
    save_images(folder / "images", NAMES, size=(16, 12))
    rows = "".join(f"{image},{who},{answer}\n" for image, who, answer in votes())
    (folder / "votes.csv").write_text(f"item,annotator,label\n{rows}", encoding="utf-8")
    source = {"kind": "table", "images": "images", "votes": "votes.csv", "classes": CLASSES}
    about = {"licence": "CC BY-SA 4.0", "description": "Made *up* [here](x).", "citation": "Nobody"}
    study = {"datasets": ["animals"], "recipes": ["quick"], "seeds": [3, 4]}
    drawn = {"aggregate": "average", "form": "soft", "votes": 2}
    study["labels"] = ["hard", "soft", "two"]
    labels = {"hard": finished_run.HARD, "soft": finished_run.SOFT, "two": drawn}
    raw = {"datasets": {"animals": {"source": source, "about": about}}, "labels": labels, "studies": {"one": study}}
    path, root = made(folder, raw)
    export("animals", folder / "out", path)
    return path, root, folder / "out"


def test_the_tables_hold_all_votes_labels_and_splits(animals):
    _, root, out = animals
    found = pq.read_table(out / "votes.parquet").to_pylist()
    assert len({row["annotator"] for row in found}) == 3
    assert Counter((row["name"], row["label"]) for row in found) == Counter(
        (name, answer) for name, _, answer in votes()
    )
    labels = pq.read_table(out / "labels.parquet").to_pandas()
    assert Counter(zip(labels.label, labels.seed.astype(object).where(labels.seed.notna(), None), strict=True)) == {
        ("hard", None): N, ("soft", None): N, ("two", 3): N, ("two", 4): N,
    }  # fmt: skip
    soft = labels[labels.label == "soft"].sort_values("item")
    np.testing.assert_array_equal(
        np.stack(soft.p), io.matrix(io.read_table(root / "labels/animals/soft/all.parquet")[0], "p")
    )
    splits = pq.read_table(out / "splits.parquet").to_pandas()
    for seed in (3, 4):
        parts = contracts.read_split(root / f"splits/animals/random/seed{seed}.parquet").part
        own = splits[splits.seed == seed].sort_values("item").part.str.replace("validation", "val")
        assert own.tolist() == parts.tolist()


def test_names_stay_inside_and_apart(animals):
    _, root, out = animals
    images = sorted(out.rglob("*.png"))
    assert len(images) == N
    assert len({str(image).casefold() for image in images}) == N
    assert all(
        image.resolve().is_relative_to(out / "images") and len(image.relative_to(out).parts) == 4 for image in images
    )
    classes = {image.parent.name for image in images}
    assert classes == {"0-cat", "dog", "2", "3-a_b", "4-Cat", "5-nul"}
    pixels = np.load(root / "data/animals/images.npy")
    for row in pq.read_table(out / "reference.parquet").to_pylist():
        np.testing.assert_array_equal(np.asarray(Image.open(out / "images" / row["file_name"])), pixels[row["item"]])
        assert NAMES[row["item"]] == row["name"] or row["name"] in NAMES


def test_the_card_is_that_of_a_data_set(animals):
    text = (animals[2] / "README.md").read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    header = yaml.safe_load(front)
    assert header["license"] == "cc-by-sa-4.0"
    assert header["task_categories"] == ["image-classification"]
    assert [one["config_name"] for one in header["configs"]] == ["votes", "reference", "labels", "splits"]
    assert all((animals[2] / one["data_files"][0]["path"]).is_file() for one in header["configs"])
    assert "Made \\*up\\* [here\\](x)." in body
    assert "0-cat" in body
    assert "not the original files" in body


@pytest.mark.parametrize(("licence", "found", "name"), [
    ("MIT", "mit", None), ("see: homepage: x", "other", "see-homepage-x"), (None, "unknown", None),
])  # fmt: skip
def test_a_licence_is_named_as_hugging_face_names_it(licence, found, name, tmp_path):
    source = {"kind": "synthetic", "items": 60, "pixels": 8}
    raw = {"datasets": {"shapes": {"source": source, "about": {"licence": licence}}},
           "studies": {"one": {"datasets": ["shapes"], "recipes": ["quick"], "seeds": [0]}}}  # fmt: skip
    path, _ = made(tmp_path, raw)
    export("shapes", tmp_path / "out", path)
    header = yaml.safe_load((tmp_path / "out/README.md").read_text().split("---\n")[1])
    assert (header["license"], header.get("license_name")) == (found, name)
    assert not (tmp_path / "out/votes.parquet").exists()


# -- read again --------------------------------------------------------------------------------------------------------


def counts(root, dataset, names=None):
    """Votes by item's name (or what it is called elsewhere) and class."""
    table, metadata = io.read_table(root / f"data/{dataset}/annotations.parquet")
    items = io.read_table(root / f"data/{dataset}/items.parquet")[0].column("name").to_pylist()
    pairs = zip(table.column("item").to_pylist(), table.column("label").to_pylist(), strict=True)
    return Counter(((names or {}).get(items[k], items[k]), metadata["classes"][c]) for k, c in pairs)


DOCUMENTED = (
    (REPOSITORY / "config/README.md").read_text(encoding="utf-8").partition("## Out again")[2].partition("\n## ")[0]
)


def test_this_package_reads_the_same_votes_and_distributions_again(animals, tmp_path):
    _, root, out = animals
    told = [yaml.safe_load(text) for text in re.findall(r"`(\{kind: .*?\})`", DOCUMENTED, re.DOTALL)]
    there = [{k: str(v).replace("exported", str(out)) if k != "columns" else v for k, v in one.items()} for one in told]
    source, part = ({**one, "classes": CLASSES} for one in there)
    source["pseudonymise"] = False
    study = {"datasets": ["again", "part"], "recipes": ["quick"], "seeds": [0], "labels": ["soft"]}
    raw = {"datasets": {"again": {"source": source}, "part": {"source": part}}, "studies": {"one": study}}
    _, second = made(tmp_path, raw)
    names = {row["file_name"]: row["name"] for row in pq.read_table(out / "reference.parquet").to_pylist()}
    assert counts(second, "again", names) == counts(root, "animals") == Counter((name, a) for name, _, a in votes())
    there = contracts.read_reference(second / "data/part/reference.parquet")
    files = io.read_table(second / "data/part/items.parquet")[0].column("name").to_pylist()
    whole = contracts.read_reference(root / "data/animals/reference.parquet")
    row = {
        name: k
        for k, name in enumerate(io.read_table(root / "data/animals/items.parquet")[0].column("name").to_pylist())
    }
    np.testing.assert_allclose(there.p, whole.p[[row[names[f"train/{file}"]] for file in files]], atol=1e-12)


def test_torchvision_reads_the_images(animals):
    folders = pytest.importorskip("torchvision.datasets")
    _, root, out = animals
    reference = contracts.read_reference(root / "data/animals/reference.parquet")
    of_file = {row["file_name"]: row["item"] for row in pq.read_table(out / "reference.parquet").to_pylist()}
    seen = 0
    for part in ("train", "validation", "test"):
        found = folders.ImageFolder(out / "images" / part)
        named = dict(zip(("0-cat", "dog", "2", "3-a_b", "4-Cat", "5-nul"), CLASSES, strict=True))
        for path, index in found.samples:
            item = of_file[str(Path(path).relative_to(out / "images"))]
            assert reference.classes[reference.p[item].argmax()] == named[found.classes[index]]
            seen += 1
    assert seen == N


def test_hugging_face_reads_images_and_tables(animals, tmp_path):
    hugging_face = pytest.importorskip("datasets", reason="the package datasets is not installed")
    _, root, out = animals
    found = hugging_face.load_dataset("imagefolder", data_dir=str(out / "images"), cache_dir=str(tmp_path))
    assert sorted(found) == ["test", "train", "validation"]
    assert sum(len(part) for part in found.values()) == N
    pixels = np.load(root / "data/animals/images.npy")
    reference = contracts.read_reference(root / "data/animals/reference.parquet")
    for part in found.values():
        for row in part:
            np.testing.assert_array_equal(np.asarray(row["image"]), pixels[row["item"]])
            assert [row["p_label"][name] for name in CLASSES] == reference.p[row["item"]].tolist()
            assert row["label"] == CLASSES[reference.p[row["item"]].argmax()]
    for name in ("votes", "reference", "labels", "splits"):
        table = hugging_face.load_dataset(str(out), name, cache_dir=str(tmp_path))["full"]
        assert table.num_rows == pq.read_metadata(out / f"{name}.parquet").num_rows


def test_the_lines_of_the_documents_run(animals, monkeypatch):
    hugging_face = pytest.importorskip("datasets", reason="the package datasets is not installed")
    import torchvision.datasets

    monkeypatch.chdir(animals[2].parent)
    monkeypatch.setattr(hugging_face.config, "HF_DATASETS_CACHE", animals[2].parent / "cache")
    Path("exported").symlink_to(animals[2])
    lines = re.search(r"```python\n(.*?)```", DOCUMENTED, re.DOTALL)[1].splitlines()
    found = [eval(line, {"datasets": hugging_face, "torchvision": torchvision}) for line in lines]
    assert len(found) == 3
    assert set(found[0]["train"].column_names) >= {"image", "label", "p_label", "name"}
    assert found[1]["full"].num_rows == 3 * N


# -- refused -----------------------------------------------------------------------------------------------------------


def test_nothing_is_overwritten_and_nothing_is_left_half_written(animals, tmp_path):
    path, _, out = animals
    before = sorted(out.rglob("*"))
    with pytest.raises(UserError, match="is there already, and not empty"):
        export("animals", out, path)
    assert sorted(out.rglob("*")) == before
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is there already"):
        export("animals", tmp_path / "file", path)
    (tmp_path / "empty").mkdir()
    export("animals", tmp_path / "empty", path, seed=4)
    assert (tmp_path / "empty/README.md").is_file()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty", "file"]


def test_what_is_not_there_is_said(animals, tmp_path):
    path, _, _ = animals
    with pytest.raises(UserError, match="no such data set; there are: animals"):
        export("plants", tmp_path / "out", path)
    with pytest.raises(
        UserError, match="no study has that split and seed of it; there are: random seed 3, random seed 4"
    ):
        export("animals", tmp_path / "out", path, seed=5)
    with pytest.raises(UserError, match="is not there yet, so there is nothing to export"):
        export("animals", tmp_path / "out", path, [f"results={json.dumps(str(tmp_path / 'none'))}"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("classes", "folders"), [
    (["a b", "0-a_b", "c"], ["0-a_b", "1-0-a_b", "c"]),
    (["a b", "0-A_b", "1-0-A_b"], ["0-a_b", "1-0-A_b", "2-1-0-A_b"]),
    (["a", "A", "b"], ["0-a", "1-A", "b"]),
    (["0", "?"], ["0", "1"]),
])  # fmt: skip
def test_each_class_has_a_folder_of_its_own(classes, folders):
    assert _folders(classes) == folders
    assert len({folder.casefold() for folder in folders}) == len(classes)
