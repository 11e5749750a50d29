"""CIFAR-10N and CIFAR-100N as published."""

import io as streams
import os
import zipfile

import numpy as np
import pytest
import torch
from data_files import import_data, refusal, save_images, votes_of

from softlabels import io
from softlabels.datasets import cifar10n

N = 40
THREE = ("random_label1", "random_label2", "random_label3")
NAMES = [f"{index:05d}.png" for index in range(N)]


def cifar10n_labels():
    """What CIFAR-10_human.pt holds, for N images: three people a quarter of whose labels are wrong."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 10, N)
    votes = [np.where(rng.random(N) < 0.25, rng.integers(0, 10, N), clean) for _ in THREE]
    aggregate = votes[0].copy()  # not always the majority
    worse = np.where(votes[2] != clean, votes[2], votes[0])
    return {"clean_label": clean, "aggre_label": aggregate, "worse_label": worse} | dict(zip(THREE, votes, strict=True))


LABELS = cifar10n_labels()
SIDE = [("0--9", "7", "12", "7"), ("10--19", "12", "9", "100"), ("30--39", "100", "7", "9"), ("20--29", "9", "", "")]
HEADER = (
    "Image-batch,Worker1-id,Work-time-in-seconds-1,Worker2-id,Work-time-in-seconds-2,Worker3-id,Work-time-in-seconds-3"
)


def side_information(rows=SIDE, header=HEADER):
    return "\n".join([header, *(f"{batch},{a},25,{b},40,{c},21" for batch, a, b, c in rows)]) + "\n"


def create(tmp_path, labels=LABELS, side=None, names=NAMES, **source):
    """Import labels (entries, or the bytes of a file) and the text of a side information; the outputs by name."""
    inputs = {"folder": save_images(tmp_path / "images", names), "labels": tmp_path / "CIFAR-10_human.pt"}
    if isinstance(labels, bytes):
        inputs["labels"].write_bytes(labels)
    else:
        torch.save(labels, inputs["labels"])
    if side is not None:
        inputs["annotators"] = tmp_path / "side_info_cifar10N.csv"
        inputs["annotators"].write_text(side)
    return import_data(tmp_path / "data", inputs, kind="cifar10n", **source)


def refused(tmp_path, *arguments, **source):
    return refusal(tmp_path / "data", create, tmp_path, *arguments, **source)


def notes(outputs):
    return io.read_table(outputs["annotations"])[1]["notes"]


def counts_of(*votes, classes=10):
    return sum(np.eye(classes, dtype=int)[vote] for vote in votes)


# -- labels ----------------------------------------------------------------------------------------------------------


def test_three_labels_of_each_image_are_its_votes(tmp_path):
    outputs = create(tmp_path)
    np.testing.assert_array_equal(votes_of(outputs), counts_of(*(LABELS[name] for name in THREE)))
    table, metadata = io.read_table(outputs["reference"])
    np.testing.assert_allclose(io.matrix(table, "p"), counts_of(*(LABELS[name] for name in THREE)) / 3)
    assert " ".join(metadata["classes"]) == "airplane automobile bird cat deer dog frog horse ship truck"
    items, _ = io.read_table(outputs["items"])
    assert items.column("name").to_pylist() == NAMES
    for name in ("clean_label", "aggre_label", "worse_label"):
        assert items.column(name).to_pylist() == LABELS[name].tolist()
    assert io.read_table(outputs["annotations"])[0].column("annotator").null_count == 3 * N


def test_the_import_says_what_it_saw(tmp_path):
    found = notes(create(tmp_path))
    assert found["licence"] == "CC BY-NC 4.0"
    assert "ICLR 2022" in found["citation"]
    votes = np.stack([LABELS[name] for name in THREE])
    counts = counts_of(*votes)
    majority = counts.max(axis=1) >= 2
    same = (counts.argmax(axis=1) == LABELS["aggre_label"])[majority].sum()
    noise = [f"{np.mean(vote != LABELS['clean_label']):.2%}" for vote in votes]
    assert 0 < same < majority.sum() < N  # the sentence below is about something
    assert "i-th image by name" in found["remarks"][0]
    assert found["remarks"][1] == (
        f"Votes that differ from clean_label: {noise[0]} of random_label1, {noise[1]} of random_label2, {noise[2]} of "
        f"random_label3."
    )
    assert found["remarks"][2].startswith(
        f"aggre_label is the most frequent vote on {same} of the {majority.sum()} images that have one, and"
    )
    assert len(found["remarks"]) == 3


def test_one_published_label_can_be_the_only_vote(tmp_path):
    outputs = create(tmp_path, votes=["worse_label"])
    np.testing.assert_array_equal(votes_of(outputs), counts_of(LABELS["worse_label"]))
    assert len(notes(outputs)["remarks"]) == 2


def test_cifar100n_has_one_vote_and_numbered_classes(tmp_path):
    fine = np.arange(N) * 7 % 100
    coarse = (fine % 20).tolist()
    labels = {
        "clean_label": fine, "noisy_label": fine[::-1].copy(),
        "noisy_coarse_label": coarse[::-1], "clean_coarse_label": coarse,
    }  # fmt: skip
    outputs = create(tmp_path, labels, votes=["noisy_label"])
    classes = [str(index) for index in range(fine.max() + 1)]
    assert io.read_table(outputs["annotations"])[1]["classes"] == classes
    np.testing.assert_array_equal(votes_of(outputs), counts_of(fine[::-1], classes=len(classes)))
    assert io.read_table(outputs["items"])[0].column("clean_label").to_pylist() == fine.tolist()
    outputs = create(tmp_path, labels, votes=["noisy_coarse_label"], classes=[f"c{index}" for index in range(20)])
    np.testing.assert_array_equal(votes_of(outputs), counts_of(coarse[::-1], classes=20))
    assert io.read_table(outputs["items"])[0].column("clean_coarse_label").to_pylist() == coarse


def test_tensors_and_other_integers_are_labels_too(tmp_path):
    first = create(tmp_path / "first")
    kinds = (torch.tensor, np.ndarray.tolist, *(lambda a, k=kind: a.astype(k) for kind in ("int8", "int32", "uint8")))
    for kind in kinds:
        second = create(tmp_path / "second", {name: kind(label) for name, label in LABELS.items()})
        assert [io.sha256(first[name]) for name in ("items", "reference")] == [
            io.sha256(second[name]) for name in ("items", "reference")
        ]
        np.testing.assert_array_equal(votes_of(first), votes_of(second))


# -- the .pt file ----------------------------------------------------------------------------------------------------


def saved(entries, legacy=False):
    stream = streams.BytesIO()
    torch.save(entries, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def by_numpy_1(content):
    """A file as PyTorch wrote it with NumPy 1, which called ``numpy._core`` ``numpy.core``."""
    stream = streams.BytesIO()
    with zipfile.ZipFile(streams.BytesIO(content)) as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            text = source.read(name)
            if name.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in text
                text = text.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            target.writestr(name, text)
    return stream.getvalue()


OLD = {
    "zip, NumPy 2": saved(LABELS),
    "zip, NumPy 1": by_numpy_1(saved(LABELS)),
    "before zip, NumPy 2": saved(LABELS, legacy=True),
    "before zip, NumPy 1": saved(LABELS, legacy=True).replace(b"numpy._core.multiarray", b"numpy.core.multiarray"),
}


@pytest.mark.parametrize("kind", OLD)
def test_files_of_every_age_are_read(tmp_path, kind):
    (tmp_path / "labels.pt").write_bytes(OLD[kind])
    if kind.endswith("1"):
        assert b"numpy.core" in OLD[kind]
        assert b"numpy._core" not in OLD[kind]
    with pytest.raises(Exception, match="Weights only load failed"):  # without the names that the source allows
        torch.load(tmp_path / "labels.pt", weights_only=True)
    entries = cifar10n.load(tmp_path / "labels.pt")
    assert list(entries) == list(LABELS)
    for name, label in LABELS.items():
        np.testing.assert_array_equal(entries[name], label)


class Hostile:
    def __init__(self, call, *arguments):
        self.reduced = call, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("call", [os.system, eval, np.load, np.fromfile])
def test_a_file_that_wants_something_run_is_refused_and_nothing_runs(tmp_path, call, legacy):
    mark = tmp_path / "mark"
    argument = {os.system: f"touch {mark}", eval: f"open({str(mark)!r}, 'w')"}.get(call, str(mark))
    message = refused(tmp_path, saved({**LABELS, "x": Hostile(call, argument)}, legacy))
    assert "CIFAR-10_human.pt: cannot be read as labels (UnpicklingError)" in message
    assert "nothing to be executed" in message
    assert not mark.exists()


def test_what_is_allowed_here_is_allowed_nowhere_else(tmp_path):
    allowed = torch.serialization.get_safe_globals()
    create(tmp_path)
    refused(tmp_path / "bad", b"no labels")
    assert torch.serialization.get_safe_globals() == allowed


NO_LABELS = {
    "nothing": b"",
    "text": b"clean_label,random_label1\n1,2\n",
    "a zip of something": by_numpy_1(saved(LABELS)).replace(b"data.pkl", b"data.txt"),
    "decimals": saved({name: label / 2 for name, label in LABELS.items()}),
    "an object array": saved({name: label.astype(object) for name, label in LABELS.items()}),
}


@pytest.mark.parametrize("content", NO_LABELS.values(), ids=NO_LABELS)
def test_a_file_that_is_none_of_theirs_is_refused(tmp_path, content):
    message = refused(tmp_path, content)
    assert "CIFAR-10_human.pt: cannot be read as labels" in message
    assert "Download it again" in message


def without(name):
    return {key: label for key, label in LABELS.items() if key != name}


def changed(**labels):
    return {**LABELS, **labels}


BAD_LABELS = {
    "another file": ({"noisy_label": [0] * N}, "found no entry 'random_label1' among noisy_label. Correct"),
    "no entries": ({}, "found no entry 'random_label1' among none"),
    "short": (changed(random_label2=[0] * 39), "entry 'random_label2' has 39 labels, expected 40 as 'random_label1'"),
    "short clean": (changed(clean_label=[0]), "entry 'clean_label' has 1 labels, expected 40"),
    "matrix": (changed(random_label1=np.zeros((N, 1), int)), "entry 'random_label1' holds no list of whole numbers"),
    "ragged": (changed(random_label1=[[0]] * 39 + [[1, 2]]), "entry 'random_label1' holds no list of whole numbers"),
    "text": (changed(worse_label="0123"), "entry 'worse_label' holds no list of whole numbers"),
    "none": ({name: torch.zeros(0, dtype=torch.int64) for name in LABELS}, "entry 'random_label1' holds no list"),
    "negative": (changed(aggre_label=[0] * 39 + [-1]), "entry 'aggre_label', image 39 (counted from 0): found"),
    "huge": (changed(random_label2=np.full(N, 2**64 - 1, np.uint64)), "image 0 (counted from 0): found the label -1"),
}  # fmt: skip


@pytest.mark.parametrize(("labels", "message"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_bad_labels_are_refused_by_their_place(tmp_path, labels, message):
    found = refused(tmp_path, labels)
    assert message in found
    assert "CIFAR-10_human.pt" in found


def test_numbered_classes_end_at_those_of_cifar100(tmp_path):
    labels = {"noisy_label": [0, 10**12] * (N // 2)}
    message = refused(tmp_path, labels, votes=["noisy_label"])
    assert "image 1 (counted from 0): found the label 1000000000000, expected 0 to 99 (20 such labels)" in message


def test_given_classes_are_counted(tmp_path):
    assert "expected 0 to 1 (" in refused(tmp_path, classes=["cat", "dog"])
    outputs = create(tmp_path / "more", classes=[*"abcdefghijkl"])
    assert io.read_table(outputs["annotations"])[1]["classes"] == [*"abcdefghijkl"]


# -- images ----------------------------------------------------------------------------------------------------------


def test_names_whose_order_is_not_certain_are_refused(tmp_path):
    message = refused(tmp_path, names=[f"{index}.png" for index in range(N)])
    assert "comes before" in message
    assert "Pad the numbers with zeros" in message


def test_images_sorted_by_class_are_not_in_the_order_of_the_labels(tmp_path):
    classes = cifar10n.CIFAR10_CLASSES
    by_class = [f"{classes[label]}/{index:05d}.png" for index, label in enumerate(LABELS["clean_label"])]
    message = refused(tmp_path, names=by_class)
    first = classes[LABELS["clean_label"].min()]
    assert f"'{first}/" in message
    assert "is image 0 by name, whose label is" in message
    by_place = [f"{index:05d}/{classes[label]}/x.png" for index, label in enumerate(LABELS["clean_label"])]
    create(tmp_path / "right", names=by_place)


# -- who voted -------------------------------------------------------------------------------------------------------


def test_each_batch_of_images_names_its_three_annotators(tmp_path):
    outputs = create(tmp_path, side=side_information(), pseudonymise=False)
    table, _ = io.read_table(outputs["annotations"])
    found = {(row["item"], row["annotator"], row["label"]) for row in table.to_pylist() if row["annotator"] is not None}
    people = {int(batch.split("--")[0]) // 10: names for batch, *names in SIDE}
    expected = {
        (image, people[image // 10][j], int(LABELS[name][image]))
        for image in range(N)
        for j, name in enumerate(THREE)
        if people[image // 10][j]
    }
    assert found == expected
    assert table.column("annotator").null_count == 20  # of the last batch, two names are empty
    np.testing.assert_array_equal(votes_of(outputs), counts_of(*(LABELS[name] for name in THREE)))


def test_annotators_get_pseudonyms(tmp_path):
    table, _ = io.read_table(create(tmp_path, side=side_information())["annotations"])
    assert set(table.column("annotator").to_pylist()) == {None, *(f"annotator-000{k}" for k in (1, 2, 3, 4))}


def test_two_votes_of_one_person_are_kept_and_counted(tmp_path):
    outputs = create(tmp_path, side=side_information())
    assert notes(outputs)["remarks"][-1] == "On 10 of 40 images two or three votes are of one person; all were kept."
    assert votes_of(outputs).sum() == 3 * N


def test_columns_of_the_side_information_are_found_by_name(tmp_path):
    rows = [f"{c},{b},{a},{batch}" for batch, a, b, c in SIDE]
    text = "\n".join(["Worker3-id,Worker2-id,Worker1-id,Image-batch", *rows])
    first = create(tmp_path / "first", side=side_information())
    second = create(tmp_path / "second", side=text)
    assert io.read_table(first["annotations"])[0].equals(io.read_table(second["annotations"])[0])


BAD_SIDE = {
    "missing": (side_information(SIDE[:3]), "10 of 40 images are in no batch, the first is image 20 (counted from 0)"),
    "twice": (side_information([*SIDE, ("5--14", "1", "2", "3")]), "line 2 and line 6 are both for image 5. Keep one."),
    "beyond": (side_information([*SIDE, ("40--49", "1", "2", "3")]), "line 6: found the batch '40--49', expected"),
    "backwards": (side_information([*SIDE[:3], ("29--20", "1", "2", "3")]), "line 5: found the batch '29--20'"),
    "a date": (side_information([*SIDE[:3], ("Sep 20", "1", "2", "3")]), "line 5: found the batch 'Sep 20'"),
    "no column": (side_information(header=HEADER.replace("Worker2-id", "Worker2")), "found no column 'Worker2-id'"),
    "no batches": (side_information(header=HEADER.replace("Image-batch", "Batch")), "found no column 'Image-batch'"),
}  # fmt: skip


@pytest.mark.parametrize(("side", "message"), BAD_SIDE.values(), ids=BAD_SIDE)
def test_bad_side_information_is_refused_by_its_place(tmp_path, side, message):
    found = refused(tmp_path, LABELS, side)
    assert message in found
    assert "side_info_cifar10N.csv" in found


@pytest.mark.parametrize("votes", [["aggre_label"], list(THREE[::-1]), list(THREE[:2])])
def test_only_the_three_labels_in_order_have_known_annotators(tmp_path, votes):
    message = refused(tmp_path, LABELS, side_information(), votes=votes)
    assert f"but source.votes is {', '.join(votes)}. Set source.votes to these three" in message
