"""The card of a data set: its facts, what it says where something is not known, and its files."""

import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from data_files import CIFAR10H
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from scipy.stats import entropy

from softlabels import drawing, io
from softlabels.cards import card, facts, sheet
from softlabels.contracts import write_reference
from softlabels.datasets import contract
from softlabels.datasets.cifar10n import CIFAR10_CLASSES
from softlabels.errors import UserError

NOTHING = {"description": None, "licence": None, "citation": None, "homepage": None}
CLASSES = ["ant", "bee", "cow"]
COUNTS = np.array([[3, 0, 0], [2, 1, 0], [0, 2, 2], [1, 1, 1], [0, 0, 4], [0, 4, 0], [1, 0, 3], [5, 0, 0]])


def write_data(
    root, counts=COUNTS, classes=CLASSES, *, p=None, groups=None, columns=None, annotators=None, notes=None, **more
):
    """The four files of a data set: votes by counts ``[N, C]``, or (with ``p``) exact distributions alone."""
    n = len(counts if p is None else p)
    np.save(root / "images.npy", np.random.default_rng(0).integers(0, 256, (n, 8, 10, 3), dtype=np.uint8))
    contract.write_items(root / "items.parquet", [f"i{k}.png" for k in range(n)], groups, columns)
    if p is None:
        votes, total = contract.Votes.of_counts(counts), counts.sum(axis=1)
        write_reference(root / "reference.parquet", counts / total[:, None], total, classes)
    else:
        votes = contract.NO_VOTES
        write_reference(root / "reference.parquet", p, None, classes)
    who = annotators and pa.array(annotators(votes.item, votes.label), pa.string()).dictionary_encode()
    contract.write_annotations(root / "annotations.parquet", replace(votes, annotator=who, **more), classes, notes)


def write_split(path, parts):
    """A split file; ``parts`` has a part for each item."""
    table = pa.table({"item": pa.array(range(len(parts)), pa.int32()), "split": pa.array(parts, pa.string())})
    io.write_table(path, table)
    return path


def make(root, *, splits=(), **config):
    """Run the command: the card's facts and its text."""
    names = {"images": "images.npy", "items": "items.parquet", "annotations": "annotations.parquet"}
    inputs = {name: root / file for name, file in {**names, "reference": "reference.parquet"}.items()}
    if splits:
        inputs["splits"] = list(splits)
    outputs = {"card_md": "card.md", "card_json": "card.json", "sheet": "card-images.png", "votes": "card-votes.png"}
    standard = {
        "dataset": "zoo",
        "about": NOTHING,
        "source": {"kind": "counts"},
        "reference": "votes",
        "splits": [["random", seed] for seed in range(len(splits))],
        "seed": 0,
    }
    card.run({**standard, **config}, inputs, {name: root / file for name, file in outputs.items()})
    return json.loads((root / "card.json").read_text()), (root / "card.md").read_text()


def in_turn(item, label):
    """Annotators who take turns: nobody twice on an item of at most seven votes."""
    return [f"p{k % 7}" for k in range(len(item))]


def test_the_card_links_its_files_which_have_the_same_bytes_each_time(tmp_path):
    write_data(tmp_path, annotators=in_turn)
    _, page = make(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.glob("card*")}
    assert set(first) == {"card.md", *re.findall(r"\]\(([^)]+)\)", page)}
    assert set(first) == {"card.md", "card.json", "card-images.png", "card-votes.png"}
    assert first["card-images.png"].startswith(b"\x89PNG") and first["card-votes.png"].startswith(b"\x89PNG")
    make(tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.glob("card*")}


# -- source -----------------------------------------------------------------------------------------------------------


def test_what_nobody_stated_is_said_to_be_unknown(tmp_path):
    write_data(tmp_path)
    found, page = make(tmp_path)
    assert found["source"]["licence"] == [] and found["source"]["files"] == {} and found["source"]["remarks"] == []
    for name in ("licence", "citation", "homepage"):
        assert f"| {name} | not stated |" in page
    assert "Checksums of source files: not stated." in page and "nobody looked for any" in page
    assert found["splits"] == [] and "No split is configured." in page
    assert not re.search(r"\b(None|nan|null)\b", page)


def test_what_the_import_noted_stands_on_the_card(tmp_path):
    notes = {
        "files": {"counts.npy": {"bytes": 1234, "sha256": "ab" * 32}},
        "remarks": ["Left out 3 images without votes."],
        "licence": "CC BY 4.0",
        "citation": None,
    }
    write_data(tmp_path, notes=notes)
    found, page = make(tmp_path, about={**NOTHING, "citation": "Doe 2020"})
    assert found["source"]["files"] == notes["files"]
    assert f"| counts.npy | 1,234 | `{'ab' * 32}` |" in page
    assert "- Left out 3 images without votes." in page
    assert "| licence | CC BY 4.0 |" in page and "| citation | Doe 2020 |" in page


def test_a_description_is_text_and_no_page(tmp_path):
    write_data(tmp_path)
    _, page = make(tmp_path, about={**NOTHING, "description": "# Big\n<img src=x>\n\nMore [x](y).\n"})
    assert page.startswith("# Data card: zoo\n\n\\# Big &lt;img src=x>\n\nMore [x\\](y).\n\n|")


def test_two_licences_are_both_shown_with_who_says_so(tmp_path):
    write_data(tmp_path, notes={"licence": "CC BY 4.0"})
    _, page = make(tmp_path, about={**NOTHING, "licence": "CC0"})
    assert "CC0 (says the configuration); CC BY 4.0 (says the source)" in page


def test_no_folder_of_a_machine_is_on_the_card(tmp_path):
    write_data(tmp_path)
    make(tmp_path, source={"kind": "counts", "counts": "/home/me/votes.csv", "more": {"files": ["/home/me/a"]}})
    for name in ("card.md", "card.json"):
        text = (tmp_path / name).read_text()
        assert "votes.csv" in text and "/home" not in text and str(tmp_path) not in text


def test_the_digest_can_be_made_again_as_the_card_says(tmp_path):
    hashes = [hashlib.sha256(bytes([k])).hexdigest() for k in range(8)]
    write_data(tmp_path, columns={"sha256": hashes})
    found, page = make(tmp_path)
    expected = hashlib.sha256("".join(f"{each}\n" for each in hashes).encode()).hexdigest()
    assert found["source"]["digest"]["sha256"] == expected
    assert f"`{expected}` (the SHA-256 of the SHA-256 of each image file" in page

    write_data(tmp_path)
    found, _ = make(tmp_path)
    assert found["source"]["digest"]["sha256"] == hashlib.sha256((tmp_path / "images.npy").read_bytes()).hexdigest()


# -- classes, votes, ambiguity ----------------------------------------------------------------------------------------


def test_classes_are_counted_hard_and_soft(tmp_path):
    write_data(tmp_path)
    found, page = make(tmp_path)
    # tops: ant, ant, bee (tied with cow), ant (tied three ways), cow, bee, cow, ant
    assert [each["items"] for each in found["classes"]] == [4, 2, 2]
    soft = (COUNTS / COUNTS.sum(axis=1, keepdims=True)).mean(axis=0)
    assert [each["mean_probability"] for each in found["classes"]] == pytest.approx(soft.tolist())
    assert found["items"] == {"n": 8, "height": 8, "width": 10}
    assert f"| ant | 4 | 50.0 % | {100 * soft[0]:.1f} % |" in page


def test_ties_and_unanimous_items_are_counted(tmp_path):
    write_data(tmp_path)
    found, page = make(tmp_path)
    p = COUNTS / COUNTS.sum(axis=1, keepdims=True)
    assert found["reference"]["ties"] == 2 and found["reference"]["unanimous"] == 4
    assert found["reference"]["entropy"]["mean"] == pytest.approx(entropy(p, axis=1).mean())
    assert sum(found["reference"]["entropy"]["histogram"]["items"]) == 8
    assert "| **ties** | 2 (25.0 %) |" in page


def test_votes_an_item_are_summed_up(tmp_path):
    counts = np.array([[1, 0], [1, 1], [2, 1], [30, 10]])
    write_data(tmp_path, counts, ["a", "b"])
    found, page = make(tmp_path)
    summary = found["votes"]["an_item"]
    assert [summary[name] for name in ("min", "median", "mean", "max")] == [1, 2.5, 11.5, 40]
    # 40 whole numbers in at most 12 bins: 10 of width 4
    assert [(each["from"], each["to"], each["n"]) for each in summary["histogram"]][:2] == [(1, 4, 3), (5, 8, 0)]
    assert summary["histogram"][-1] == {"from": 37, "to": 40, "n": 1}
    assert found["votes"]["items_with_one"] == 1 and "1 of 4 images (25.0 %) have one vote" in page


def test_weights_and_times_are_summed_up_where_there_are_any(tmp_path):
    n = int(COUNTS.sum())
    time = np.arange(n, dtype=float)
    time[0] = np.nan
    write_data(tmp_path, weight=np.full(n, 0.5), time=time)
    found, page = make(tmp_path)
    assert found["votes"]["weight"] == {"n": n, "min": 0.5, "median": 0.5, "mean": 0.5, "max": 0.5}
    assert found["votes"]["time"]["n"] == n - 1 and found["votes"]["time"]["min"] == 1
    assert "Votes have weights" in page and f"Times of {n - 1} votes" in page


# -- annotators -------------------------------------------------------------------------------------------------------


def test_unknown_annotators_are_said_to_be_unknown(tmp_path):
    write_data(tmp_path)
    found, page = make(tmp_path)
    assert found["annotators"] is None and found["agreement"]["krippendorff_alpha"] is not None
    assert "Who voted is not known" in page and "| **annotators** | unknown |" in page


def test_every_annotator_is_in_the_json_and_on_the_page(tmp_path):
    write_data(tmp_path, annotators=in_turn)
    found, page = make(tmp_path)
    assert [each["name"] for each in found["annotators"]["each"]] == [f"p{k}" for k in range(7)]
    assert sum(each["votes"] for each in found["annotators"]["each"]) == COUNTS.sum() == found["votes"]["n"]
    for each in found["annotators"]["each"]:
        assert sum(votes for _, _, votes in each["confusion"]) == each["compared"]
        assert f"| {each['name']} | {each['votes']} | {each['compared']} | {each['agreement']:.3f} |" in page


def test_votes_without_an_annotator_are_counted_apart(tmp_path):
    write_data(tmp_path, annotators=lambda item, label: [f"p{k % 7}" if k % 3 else None for k in range(len(item))])
    found, page = make(tmp_path)
    missing = len(range(0, int(COUNTS.sum()), 3))
    assert found["votes"]["without_annotator"] == missing
    assert sum(each["votes"] for each in found["annotators"]["each"]) == COUNTS.sum() - missing
    assert f"{missing} of {COUNTS.sum()} votes" in page


def test_of_many_annotators_the_page_shows_the_lowest_and_the_busiest(tmp_path):
    # Everyone says bee, but one who says ant; and one gives more votes than the others.
    counts = np.tile([1, 29], (4, 1))
    write_data(
        tmp_path, counts, ["ant", "bee"],
        annotators=lambda item, label: [
            "odd" if one == 0 else "busy" if k % 30 == 1 else f"p{i}.{k % 30}"
            for k, (i, one) in enumerate(zip(item, label, strict=True))
        ],
    )  # fmt: skip
    found, page = make(tmp_path)
    assert found["annotators"]["n"] == 2 + 4 * 28
    lowest, busiest = page.split("The 10 with the lowest agreement:")[1].split("The 10 with the most votes:")
    assert lowest.count("\n| ") == 2 + 10 and busiest.split("##")[0].count("\n| ") == 2 + 10
    assert re.search(r"^\| odd \| 4 \| 4 \| 0.000 \|$", lowest, re.MULTILINE)
    assert busiest.split("##")[0].index("| busy |") < busiest.index("| p0.")


# -- sampling ---------------------------------------------------------------------------------------------------------


def test_an_exact_reference_has_no_sampling_floor_and_the_card_says_why(tmp_path):
    p = np.array([[0.5, 0.5, 0], [1, 0, 0], [0.2, 0.3, 0.5], [0, 1, 0]])
    write_data(tmp_path, p=p)
    found, page = make(tmp_path, reference="exact")
    assert found["sampling"]["floor"] is None and found["sampling"]["split_half"] is None
    assert found["votes"] is None and found["agreement"] is None and found["annotators"] is None
    assert found["reference"]["ties"] == 1 and found["reference"]["unanimous"] == 2
    assert "The reference is exact" in page and "There are no votes" in page


def test_single_votes_have_no_split_half_and_the_card_says_why(tmp_path):
    write_data(tmp_path, np.eye(3, dtype=int)[[0, 1, 2, 0]])
    found, page = make(tmp_path)
    assert found["sampling"]["split_half"] is None and "No item has two votes" in page
    assert found["agreement"]["krippendorff_alpha"] is None and "not defined" in page


def test_a_large_set_is_sampled_and_the_card_says_so(tmp_path, monkeypatch):
    write_data(tmp_path, np.random.default_rng(0).multinomial(9, [0.6, 0.3, 0.1], 200))
    whole, page = make(tmp_path)
    assert whole["sampling"]["items"] == 200 and "Over all 200 images with votes" in page
    monkeypatch.setattr(facts, "MOST_ITEMS", 50)
    found, page = make(tmp_path)
    assert found["sampling"]["items"] == 50 and "a keyed random sample of 50 of the 200" in page
    assert found["sampling"]["split_half"]["tvd"] == pytest.approx(whole["sampling"]["split_half"]["tvd"], abs=0.1)
    assert found["sampling"]["split_half"] != whole["sampling"]["split_half"]


# -- splits, groups, duplicates ---------------------------------------------------------------------------------------


def test_each_split_is_counted_by_part_and_class(tmp_path):
    write_data(tmp_path)
    parts = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    found, page = make(tmp_path, splits=[write_split(tmp_path / "s.parquet", parts)])
    (split,) = found["splits"]
    assert split["items"] == {"train": 4, "val": 2, "test": 2} and split["in_no_part"] == 0
    assert split["classes"] == {"train": [3, 1, 0], "val": [0, 1, 1], "test": [1, 0, 1]}
    assert "| random | 0 | 4 | 2 | 2 |" in page and "| ant | 3 / 0 / 1 |" in page


def test_a_group_in_several_parts_shows(tmp_path):
    write_data(tmp_path, groups=["x", "x", "y", "y", None, None, "z", "z"])
    whole = ["train", "train", "test", "test", "train", "val", "val", "val"]
    torn = ["train", "test", "test", "test", "train", "val", "val", "train"]
    paths = [write_split(tmp_path / f"s{k}.parquet", parts) for k, parts in enumerate((whole, torn))]
    found, page = make(tmp_path, splits=paths)
    assert found["groups"] == {"sets": 3, "items": 6, "largest": 2}
    assert found["splits"][0]["straddling_groups"] == {"sets": 0, "first": []}
    assert found["splits"][1]["straddling_groups"] == {"sets": 2, "first": ["x", "z"]}
    assert "⚠ split random, seed 1: 2 in several parts, such as x, z" in page and "seed 0: " not in page
    _, page = make(tmp_path, splits=paths[:1])
    assert "None straddles a split." in page and "⚠" not in page


def test_duplicates_in_several_parts_show(tmp_path):
    column = pa.array([None, 0, None, None, 2, None, 0, None], pa.int32())  # 0 = 1 = 6 and 2 = 4
    write_data(tmp_path, columns={"duplicate": column})
    parts = ["train", "train", "test", "train", "test", "val", "val", "val"]
    found, page = make(tmp_path, splits=[write_split(tmp_path / "s.parquet", parts)])
    assert found["duplicates"] == {"sets": 2, "items": 5, "largest": 3}
    assert found["splits"][0]["straddling_duplicates"] == {"sets": 1, "first": ["i0.png"]}
    assert "⚠ split random, seed 0: 1 in several parts, such as i0.png" in page


def test_a_search_that_found_no_duplicates_is_told_from_no_search(tmp_path):
    write_data(tmp_path, columns={"duplicate": pa.nulls(8, pa.int32())})
    found, page = make(tmp_path)
    assert found["duplicates"] == {"sets": 0, "items": 0, "largest": 0}
    assert "no two images have the same pixels" in page


def test_a_split_of_another_data_set_is_refused(tmp_path):
    write_data(tmp_path)
    path = write_split(tmp_path / "s.parquet", ["train"] * 9)
    with pytest.raises(UserError, match=r"s\.parquet: found item 8, expected items from 0 to 7"):
        make(tmp_path, splits=[path])
    assert not list(tmp_path.glob("card*"))


# -- figures ----------------------------------------------------------------------------------------------------------


def test_the_clearest_images_are_spread_over_the_classes_and_ties_go_to_the_first_item():
    hard = np.array([0, 0, 0, 0, 1, 1, 2, 0])
    h = np.array([0.5, 0.0, 0.0, 0.9, 0.3, 0.1, 0.9, 0.0])
    clear, ambiguous = sheet.choose(h, hard).values()  # four of eight items
    assert clear.tolist() == [1, 2, 5, 6]  # the clearest of each class, and the second of the first class
    assert ambiguous.tolist() == [3, 6, 0, 4]


def sheet_of(p, votes, names, classes):
    """A contact sheet of black images."""
    images = np.zeros((len(p), 8, 8, 3), np.uint8)
    known = {"dataset": "zoo", "classes": [{"name": name} for name in classes]}
    return sheet.contact_sheet(known, images, names, p, votes, {"all": np.arange(len(p))})


def test_bars_name_the_top_classes_and_sum_up_the_others():
    p = np.array([[0.4, 0.05, 0.25, 0.15, 0.1, 0.05], [0, 0, 0, 0.002, 0, 0.998]])
    figure = sheet_of(p, np.array([20, 500]), ["one", "two"], "abcdef")
    one, two = ([text.get_text() for text in axes.texts] for axes in figure.axes if axes.texts)
    assert one == ["one", "n = 20", "a", "40 %", "c", "25 %", "d", "15 %", "3 others", "20 %"]
    assert two == ["two", "n = 500", "f", ">99 %", "d", "<1 %"]


@pytest.mark.parametrize("letter", ["W", "i", "$"])
def test_long_names_are_cut_before_they_meet_a_number(letter):
    classes = [f"{k}{60 * letter}{k}" for k in range(3)]
    p = np.array([[0.4, 0.3, 0.3]])
    figure = sheet_of(p, np.array([1000]), [f"folder/{80 * letter}/0.png"], classes)
    FigureCanvasAgg(figure)
    figure.set_dpi(drawing.DPI)
    figure.draw_without_rendering()
    (axes,) = (axes for axes in figure.axes if axes.texts)
    boxes = [text.get_window_extent() for text in axes.texts]
    for left, right in zip(boxes[::2], boxes[1::2], strict=True):
        assert left.x0 >= axes.bbox.x0 and left.x1 < right.x0
    assert axes.texts[0].get_text().endswith("/0.png")
    assert [text.get_text()[0] + text.get_text()[-1] for text in axes.texts[2::2]] == ["00", "11", "22"]


@pytest.mark.parametrize("n_classes", [2, 100])
def test_cards_fit_few_and_many_classes(tmp_path, n_classes):
    rng = np.random.default_rng(0)
    counts = rng.multinomial(5, np.full(n_classes, 1 / n_classes), 60)
    write_data(tmp_path, counts, [f"<b>class | {k}**" for k in range(n_classes)])
    parts = np.array(["train", "val", "test"])[rng.integers(0, 3, 60)].tolist()
    found, page = make(tmp_path, splits=[write_split(tmp_path / "s.parquet", parts)])
    assert len(found["classes"]) == n_classes
    # Every line of a table has as many cells as its header, whatever the names of classes hold.
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    assert "<b>" not in page and page.count("&lt;b>class") == page.count(r"\*\*") > n_classes / 2


# -- a real data set --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not CIFAR10H.exists(), reason="CIFAR-10H is not at hand")
def test_cifar10h_has_its_known_numbers(tmp_path):
    counts = np.load(CIFAR10H / "cifar10h-counts.npy")
    write_data(tmp_path, counts, CIFAR10_CLASSES)
    images = np.zeros((10_000, 32, 32, 3), np.uint8)
    for item in range(20):  # the numbers are of the votes; some photographs will do
        with Image.open(CIFAR10H / "images" / f"{item:05d}.jpg") as image:
            images[item] = np.asarray(image)
    np.save(tmp_path / "images.npy", images)
    found, page = make(tmp_path)
    assert found["votes"]["n"] == 511_000 and found["votes"]["an_item"]["min"] == 47
    assert found["reference"]["ties"] == 3 and found["reference"]["unanimous"] == 4393
    assert found["reference"]["entropy"]["mean"] == pytest.approx(0.154, abs=5e-4)
    sampling = found["sampling"]
    directions = sorted(direction["kl_dcic"] for direction in sampling["split_half"]["directions"])
    assert directions == pytest.approx([0.135, 0.142], abs=0.003)
    assert sampling["split_half"]["tvd"] == pytest.approx(0.037, abs=5e-4)
    assert sampling["eps"] == 1e-5 and "ε = 1e-05" in page
    assert sampling["floor"]["first_order_kl"] == pytest.approx(0.009, abs=5e-4)
    assert sampling["floor"]["k"] == pytest.approx(21, abs=1)
    assert sampling["floor"]["items"] == 10_000
    assert sampling["floor"]["upper_kl"] == pytest.approx(0.0359, abs=0.001)
