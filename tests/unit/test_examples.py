"""The examples of config/README.md: checked, imported and described, on small files of the form that they name."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from data_files import save_images
from dcic_files import annotation_set
from forms import exports
from forms.greys import tiff

from softlabels import check, io, registry
from softlabels.cards import card
from softlabels.datasets import data
from softlabels.errors import Problems
from softlabels.labels import label, split
from softlabels.places import PLACES
from softlabels.plan import Plan

README = Path(__file__).resolve().parents[2] / "config" / "README.md"
BLOCKS = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)]
EXAMPLES = {
    name: {"datasets": {name: dataset}, **{key: block[key] for key in ("splits",) if key in block}}
    for block in BLOCKS
    for name, dataset in block.get("datasets", {}).items()
}
N = 60
NUMBERED = [f"{i:05d}.png" for i in range(N)]
DRAW = np.random.default_rng(0)
CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def images(folder: Path, names=NUMBERED) -> None:
    save_images(folder, names, size=(16, 16))


def text(path: Path, rows) -> None:
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def counts_of(n_classes: int) -> np.ndarray:
    """Counts of 5 votes whose most frequent class goes round."""
    counts = DRAW.multinomial(2, np.ones(n_classes) / n_classes, N)
    counts[np.arange(N), np.arange(N) % n_classes] += 3
    return counts


def my_data(folder: Path) -> None:
    images(folder / "images")
    votes = [f"{name},{who},{'cat' if i % 2 else 'dog'}" for i, name in enumerate(NUMBERED) for who in ("Ann", "Bob")]
    text(folder / "votes.csv", ["item,annotator,label", *votes])


def bones(folder: Path) -> None:
    images(folder / "images", [f"pig{i % 20}/{i}.png" for i in range(N)])
    votes = [
        f"{i};{who};{'broken' if i % 2 else 'healthy'};pig{i % 20};{i + k};{k + 1};{'unsure' if k == 2 else ''}"
        for i in range(N - 1)
        for k, who in enumerate(("Ann", "Bob", "Cem", "Dan"))
    ]
    text(folder / "votes.csv", ["file;reader;answer;animal;seconds;round;comment", *votes])


def moles(folder: Path) -> None:
    images(folder / "store", [f"{i:02x}.png" for i in range(N)])
    (folder / "images").mkdir()
    for i in range(N):
        (folder / "images" / f"mole {i:03d}.png").symlink_to(folder / "store" / f"{i:02x}.png")
    rows = ["url,reader,rating,created_at,status"]
    for i in range(N):
        url, answers = f"https://example.org/moles/mole%20{i:03d}.png?v=1", (1 + i % 5, 1 + i % 5, "skip", "N/A", 2)
        rows += [f"{url},r{k},{answer},2024-05-31T12:00:0{k}Z,Approved" for k, answer in enumerate(answers)]
        rows += [f"{url},r0,{1 + i % 5},2024-06-01T12:00:00Z,Approved", f"{url},r9,5,2024-06-01,Rejected"]
    (folder / "votes.csv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))


def fer_plus(folder: Path) -> None:
    names = [f"fer{i:07d}.png" for i in range(N)]
    images(folder / "images", [f"FER2013Train/{name}" for name in names])
    source = EXAMPLES["fer_plus"]["datasets"]["fer_plus"]["source"]
    usage = ["Training"] * 40 + ["PublicTest"] * 10 + ["PrivateTest"] * 10
    counts = counts_of(10).tolist()
    rows = [f"{of},{name},{','.join(map(str, row))}" for of, name, row in zip(usage, names, counts, strict=True)]
    text(folder / "fer2013new.csv", [f"Usage,Image name,{','.join(source['classes'])}", *rows, f"Training,{',1' * 10}"])


def other_readers(folder: Path) -> None:
    images(folder / "images")
    votes = [f"{name},{who},{'cat' if i % 2 else 'dog'}" for i, name in enumerate(NUMBERED) for who in "ABCD"]
    text(folder / "votes.csv", ["item,annotator,label", *votes])


def biopsies(folder: Path) -> None:
    my_data(folder)
    (folder / "votes.csv").rename(folder / "readings.csv")
    rows = [f"{name},{i // 2},{('cat', 'dog', '')[i % 3]}" for i, name in enumerate(NUMBERED)]
    text(folder / "patients.csv", ["file,patient,biopsy", *rows])


def scans(folder: Path) -> None:
    my_data(folder)
    for i, path in enumerate(sorted((folder / "images").iterdir())):
        path.unlink()
        path.with_suffix(".tif").write_bytes(tiff(np.arange(-1100 + i, -844 + i, dtype=np.int16).reshape(16, 16)))
    votes = folder / "votes.csv"
    votes.write_text(votes.read_text().replace(".png", ".tif"))


def cifar10h_raw(folder: Path) -> None:
    images(folder / "images")
    counts, rows = counts_of(10), []
    for i, row in enumerate(counts):
        for k, chosen in enumerate(np.repeat(np.arange(10), row)):
            rows.append(f"{k},0,{chosen},1,{i},{700 * i}")
    rows += [f"{who},1,0,{int(who < 5)},-99999,1" for who in range(7) for _ in range(4)]
    rows += [f"{who},0,0,1,{i},2" for who in (5, 6) for i in range(N)]  # these two failed their checks
    header = "annotator_id,is_attn_check,chosen_label,correct_guess,cifar10_test_test_idx,time_elapsed"
    text(folder / "cifar10h-raw.csv", [header, *rows])
    np.save(folder / "cifar10h-counts.npy", counts)


def answers_of(n_raters: int) -> np.ndarray:
    """Answers 0 or 1 of raters, who mostly agree; the first of them leaves a gap, -1, at every third image."""
    answers = (np.arange(N)[:, None] + (np.arange(N)[:, None] % 5 == np.arange(n_raters))) % 2
    answers[::3, 0] = -1
    return answers


def mammograms(folder: Path) -> None:
    images(folder / "images")
    words = {0: "benign", 1: "malignant", -1: ""}
    rows = [
        ",".join([name, *(words[answer] for answer in row), "Ulm"])
        for name, row in zip(NUMBERED, answers_of(3).tolist(), strict=True)
    ]
    text(folder / "readings.csv", ["image,reader1,reader2,reader3,site", *rows])


def rated(folder: Path) -> None:
    images(folder / "images")
    np.save(folder / "ratings.npy", np.where(answers_of(4) < 0, np.nan, answers_of(4) + 1.0))


def labelme(folder: Path) -> None:
    images(folder / "train", [f"{i % 8}/{i}.jpg" for i in range(N)])
    order = [f"{i}.jpg" for i in range(N)]
    text(folder / "filenames_train.txt", order)
    text(folder / "answers.txt", [f"-1 {i % 8} {i % 8} {(i + 1) % 8}" for i in range(N)])


def no_header(folder: Path) -> None:
    images(folder / "images")
    rows = [f"{name},{who},{'cat' if i % 2 else 'dog'}" for i, name in enumerate(NUMBERED) for who in ("Ann", "Bob")]
    text(folder / "votes.txt", rows)


def one_hot(folder: Path) -> None:
    images(folder / "images")
    rows = [f"{Path(name).stem},R{k},{i % 2},{1 - i % 2}" for i, name in enumerate(NUMBERED) for k in range(3)]
    text(folder / "votes.csv", ["image_id,rad_id,normal,abnormal", *rows])


def lists() -> dict[str, list]:
    """Names of images, and of each the annotators and their labels."""
    labels = [["cat" if answer else "dog" for answer in row] for row in answers_of(3)[:, 1:].tolist()]
    return {"file_name": NUMBERED, "annotators": [["a", "b"]] * N, "labels": labels}


def hub(folder: Path) -> None:
    images(folder / "images")
    pq.write_table(pa.table(lists()), folder / "train.parquet")


def argilla(folder: Path) -> None:
    images(folder / "images")
    names = ("image", "kind.responses.users", "kind.responses")
    columns = dict(zip(names, lists().values(), strict=True))
    columns["kind.responses.status"] = [["submitted", "submitted" if i % 4 else "draft"] for i in range(N)]
    pq.write_table(pa.table(columns), folder / "argilla.parquet")


def nested(folder: Path) -> None:
    images(folder / "images")
    rows = zip(*lists().values(), strict=True)
    records = [
        {"file_name": name, "votes": [{"by": by, "label": label} for by, label in zip(who, labels, strict=True)]}
        for name, who, labels in rows
    ]
    text(folder / "images" / "metadata.jsonl", map(json.dumps, records))


def cells(folder: Path) -> None:
    images(folder / "images")
    np.save(folder / "counts.npy", counts_of(2))


def slides(folder: Path) -> None:
    images(folder / "images")
    rows = [f"{name},p{i // 3},{a},{b}" for i, (name, (a, b)) in enumerate(zip(NUMBERED, counts_of(2), strict=True))]
    text(folder / "counts.csv", ["name,patient,round,long", *rows])


def soft(folder: Path) -> None:
    images(folder / "images")
    np.save(folder / "soft.npy", counts_of(3) / 5)


def soft_table(folder: Path) -> None:
    images(folder / "images")
    rows = [
        f"{name},{','.join(map(repr, row))}" for name, row in zip(NUMBERED, (counts_of(3) / 5).tolist(), strict=True)
    ]
    text(folder / "soft.csv", ["name,cat,dog,fox", *rows])


def imagefolder(folder: Path) -> None:
    images(folder / "train")
    lines = [
        json.dumps({"file_name": name, "p_label": {"cat": row[0], "dog": row[1]}})
        for name, row in zip(NUMBERED, (counts_of(2) / 5).tolist(), strict=True)
    ]
    text(folder / "train" / "metadata.jsonl", lines)


def dcic(folder: Path, name: str) -> None:
    files = [f"fold{i % 5 + 1}/g#{i:03d}.png" for i in range(N)]
    images(folder, files)
    answers = [(f"{name}/{file}", "gnu"[(i // 5) % 3]) for i, file in enumerate(files)]
    sets = [annotation_set(who, name, answers) for who in (290, 533)]
    (folder / "annotations.json").write_text(json.dumps(sets))


def cifar10n(folder: Path) -> None:
    images(folder / "train")
    labels = {"clean_label": np.arange(N) % 10, "aggre_label": np.arange(N) % 10, "worse_label": np.arange(N) % 10}
    labels |= {f"random_label{j}": (np.arange(N) + (np.arange(N) % 7 == j)) % 10 for j in (1, 2, 3)}
    torch.save(labels, folder / "CIFAR-10_human.pt")
    rows = [f"{start}--{start + 9},{j},60,{j + 1},61,{j + 2},62" for j, start in enumerate(range(0, N, 10))]
    header = ["Image-batch", *(f"Worker{j}-id,Work-time-in-seconds.{j}" for j in (1, 2, 3))]
    text(folder / "side_info_cifar10N.csv", [",".join(header), *rows])


def birds(folder: Path) -> None:
    images(folder / "birds" / "train", [f"{('owl', 'wren')[i % 2]}/bird-{i}.png" for i in range(N)])
    answers = {str(i): {"3": i % 2, "8": (i + (i % 5 == 0)) % 2} for i in range(N)}
    (folder / "birds" / "answers.json").write_text(json.dumps(answers))
    about = {"name": "birds", "n_classes": 2, "n_workers": 9, "n_task": N}
    (folder / "birds" / "metadata.json").write_text(json.dumps(about))


def exported(file: str, content: Callable[[list[tuple[str, str, str]]], str]) -> Callable[[Path], None]:
    """A writer of images and the export of their votes: (image, annotator, class)."""

    def write(folder: Path) -> None:
        images(folder / "images")
        votes = [(name, who, "cat" if i % 2 else "dog") for i, name in enumerate(NUMBERED) for who in ("ann", "bob")]
        (folder / file).write_text(content(votes), encoding="utf-8", newline="")

    return write


EXPORTS = {
    "from_label_studio": exported("project-3.json", lambda votes: json.dumps(
        [exports.task(i, f"/data/upload/3/9c1e04ab-{name}", exports.annotation(who, exports.choice([label])))
         for i, (name, who, label) in enumerate(votes)])),
    "from_labelbox": exported("export.ndjson", lambda votes: exports.lines(
        [exports.row(name, exports.label(who, exports.radio(label))) for name, who, label in votes])),
    "from_prodigy": exported("pets.jsonl", lambda votes: exports.lines(
        [exports.answered(name, who, [label]) for name, who, label in votes])),
    "from_zooniverse": exported("classifications.csv", lambda votes: exports.table(
        [exports.classified(name, who, label) for name, who, label in votes])),
    "from_mturk": exported("Batch_1_results.csv", lambda votes: exports.table(
        [{"WorkerId": who, "AssignmentStatus": "Approved", "Input.image_url": name, "Answer.kind.label": label}
         for name, who, label in votes])),
    "from_toloka": exported("assignments.tsv", lambda votes: exports.table(
        [{"INPUT:image": name, "OUTPUT:result": label, "GOLDEN:result": "", "ASSIGNMENT:worker_id": who,
          "ASSIGNMENT:status": "APPROVED"} for name, who, label in votes], "\t")),
}  # fmt: skip
OF_ONE = (
    mammograms,
    rated,
    labelme,
    no_header,
    one_hot,
    hub,
    argilla,
    nested,
    my_data,
    other_readers,
    bones,
    moles,
    fer_plus,
    cifar10h_raw,
    biopsies,
    scans,
    cells,
    slides,
    soft,
    soft_table,
    imagefolder,
    cifar10n,
    birds,
)
FILES: dict[str, Callable[[Path], None]] = {
    **{write.__name__: write for write in OF_ONE},
    **EXPORTS,
    "mice_bone": lambda folder: dcic(folder / "MiceBone", "MiceBone"),
    "benthic": lambda folder: dcic(folder / "raw_datasets" / "Benthic", "Benthic"),
    "shapes": lambda folder: None,
    "x_rays": scans,
}
# What the small files cannot have: the published archive and its hash, the published numbers of images.
UNLIKE = {
    "mice_bone": {"images": "MiceBone", "archive": None, "published_sizes": False},
    "benthic": {"published_sizes": False},
}


def test_there_is_an_example_of_every_kind_and_small_files_for_every_example():
    kinds = {example["datasets"][name]["source"]["kind"] for name, example in EXAMPLES.items()}
    assert kinds == set(registry.names("source"))
    assert set(FILES) == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_checked_imported_split_and_described(name, tmp_path):
    FILES[name](tmp_path)
    example = json.loads(json.dumps(EXAMPLES[name]))
    example["datasets"][name]["source"] |= UNLIKE.get(name, {})
    used = list(example.get("splits", {"random": {}}))
    study = {"datasets": [name], "recipes": ["quick"], "splits": used, "seeds": [0], "figures": []}
    raw = example | {
        "data_folder": str(tmp_path),
        "recipes": {"quick": {"network": "compact"}},
        "studies": {"s": study},
    }

    problems = Problems()
    lines = list(check.check(raw, problems))
    problems.stop()
    assert len(lines) == 1
    assert lines[0].startswith(f"{name}: ")

    plan, out = Plan(raw), tmp_path / "out"
    inputs = {key: Path(path) for key, path in plan.source_files(name).items()}
    files = {name: out / file for name, file in PLACES["data"].outputs.items()}
    data.run(plan.of("data", dataset=name), inputs, files, threads=2)
    for form in ("hard", "soft"):
        label.run(plan.told("label", label=form, draw="all"), files, {"labels": out / f"{form}.parquet"})
        assert io.read_table(out / f"{form}.parquet")[0].num_rows == io.read_table(files["items"])[0].num_rows
    split.run(plan.of("split", split=used[0], seed=0), files, {"split": out / "split.parquet"})
    outputs = {name: out / file for name, file in PLACES["card"].outputs.items()}
    card.run(plan.of("card", dataset=name), {**files, "splits": [out / "split.parquet"]}, outputs)
    assert outputs["card_md"].read_text().startswith(f"# Data card: {name}")


def test_the_votes_of_the_raw_table_are_the_published_ones(tmp_path):
    cifar10h_raw(tmp_path)
    raw = EXAMPLES["cifar10h_raw"] | {"data_folder": str(tmp_path), "recipes": {"quick": {"network": "compact"}}}
    plan = Plan(raw | {"studies": {"s": {"datasets": ["cifar10h_raw"], "recipes": ["quick"]}}})
    inputs = {key: Path(path) for key, path in plan.source_files("cifar10h_raw").items()}
    with data.opened(plan.of("data", dataset="cifar10h_raw"), inputs, tmp_path) as content:
        assert len(content.votes.item) == 5 * N
        assert content.notes["remarks"][-1].endswith(f"0 of {N} items have other counts.")
        assert "2 of 7 annotators passed fewer than 75%" in content.notes["remarks"][0]


OTHERS = [block for block in BLOCKS if "datasets" not in block]


@pytest.mark.parametrize("block", OTHERS, ids=lambda block: next(iter(block)))
def test_other_sections_fit_the_default(block):
    Plan({**yaml.safe_load((README.parent / "config.yaml").read_text()), **block})
