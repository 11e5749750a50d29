"""Layouts of tables: a column a rater, one-hot rows, lists, files without a header; and counts that are none."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from data_files import CASES

from . import Form, case, counted, images, text

NAMES = [f"{i:03d}.png" for i in range(12)]
READERS = ["reader1", "reader2", "reader3"]
# What reader r said of image i, None where nobody asked.
ANSWERS = [["cat" if (i * i + r * i) % 3 else "dog" for r in range(3)] for i in range(12)]
ANSWERS[4][1] = ANSWERS[7][0] = ANSWERS[7][2] = None
RATINGS = [[1 + (i * i + r * i + i) % 5 for r in range(3)] for i in range(12)]
SOURCE = {"kind": "table", "images": "images", "votes": "votes.csv"}
RATERS = {**SOURCE, "layout": "raters"}
WIDE = {**SOURCE, "layout": "wide"}
ONEHOT = {**SOURCE, "layout": "onehot"}
LISTS = {**SOURCE, "layout": "lists", "votes": "votes.parquet"}


def answers(rows, words=str):
    """The votes of a table of answers, in the words of the class names; None is no vote."""
    return counted([(NAMES[i], words(a)) for i, row in enumerate(rows) for a in row if a is not None])


def table(rows, head=("item", *READERS), gap="", separator=",", names=NAMES):
    """The text of a table with a column a rater; of one without names where ``names`` are None."""
    lines = [separator.join(head)] if head else []
    for i, row in enumerate(rows):
        cells = [gap if cell is None else str(cell) for cell in row]
        lines.append(separator.join([names[i], *cells] if names else cells))
    return "".join(line + "\n" for line in lines)


def plain(rows, head):
    """A writer of images and their table."""
    return text("votes.csv", table(rows, head), NAMES)


def with_images(work, names=NAMES):
    """A writer of images and whatever ``work(folder)`` writes."""

    def write(folder: Path) -> None:
        images(folder / "images", names)
        work(folder)

    return write


def matrix(array, order=None):
    def work(folder):
        np.save(folder / "votes.npy", array)
        if order:
            folder.joinpath("order.txt").write_text("".join(f"{name}\n" for name in order))

    return with_images(work)


def parquet(columns, **more):
    return with_images(lambda folder: pq.write_table(pa.table(columns, **more), folder / "votes.parquet"))


def jsonl(records, path="votes.jsonl", names=NAMES):
    lines = "".join(json.dumps(record) + "\n" for record in records)
    return with_images(lambda folder: folder.joinpath(path).write_text(lines), names)


def numbers(rows, gap):
    """Answers as numbers: dog 1, cat 0."""
    return [[gap if a is None else int(a == "dog") for a in row] for row in rows]


INDEX = {"classes": ["cat", "dog"], "label_by": "index"}
FLOATS = np.array(numbers(ANSWERS, np.nan), float)
RATED = Counter(rating for row in RATINGS for rating in row)
assert set(RATED) == {1, 2, 3, 4, 5}  # else the forms below say less than they seem to
TENS = [[10 if rating == 5 else rating for rating in row] for row in RATINGS]

RATER_FORMS = [
    Form("raters, class names", text("votes.csv", table(ANSWERS), NAMES), RATERS, votes=answers(ANSWERS), annotators=3,
         remark=r"3 of 36 cells of the raters hold no vote \(empty\)"),
    Form("raters, named, beside other columns",
         text("votes.csv", table([[*row, "x"] for row in ANSWERS], ("item", *READERS, "site")), NAMES),
         {**RATERS, "raters": READERS[:2]}, votes=answers([row[:2] for row in ANSWERS]), annotators=2),
    Form("raters, beside a group and a column of where",
         text("votes.csv", table([[*row, f"p{i // 2}", "ok" if i else "bad"] for i, row in enumerate(ANSWERS)],
                                 ("item", *READERS, "patient", "quality")), NAMES),
         {**RATERS, "columns": {"group": "patient"}, "where": {"quality": "ok"}, "unvoted": "leave_out"},
         votes={name: votes for name, votes in answers(ANSWERS).items() if name != NAMES[0]}, annotators=3),
    Form("raters, gaps are -1", text("votes.csv", table(numbers(ANSWERS, -1)), NAMES), {**RATERS, **INDEX},
         votes=answers(ANSWERS), remark=r"3 of 36 cells of the raters hold no vote \('-1'\)"),
    Form("raters, gaps are NaN", text("votes.csv", table(ANSWERS, gap="NaN"), NAMES), RATERS, votes=answers(ANSWERS)),
    Form("raters, whole numbers as pandas writes them beside gaps",
         text("votes.csv", table([[None if a is None else f"{a}.0" for a in row] for row in numbers(ANSWERS, None)]),
              NAMES),
         {**RATERS, **INDEX}, votes=answers(ANSWERS), remark=r"Numbers such as '0\.0' were read as '0'"),
    Form("raters, ratings 1 to 5", text("votes.csv", table(RATINGS), NAMES), RATERS, votes=answers(RATINGS)),
    Form("raters, Parquet with numbers and nulls",
         parquet({"item": NAMES, **{name: pa.array([row[r] for row in numbers(ANSWERS, None)])
                                    for r, name in enumerate(READERS)}}),
         {**RATERS, "votes": "votes.parquet", **INDEX}, votes=answers(ANSWERS), annotators=3),
    Form("raters, anonymous", text("votes.csv", table(ANSWERS), NAMES), {**RATERS, "columns": {"annotator": None}},
         votes=answers(ANSWERS), annotators=0),
    Form("raters, -1 as a class", text("votes.csv", table([[-1, 0, 1]] * 12), NAMES),
         {**RATERS, "classes": ["-1", "0", "1"]}, votes={name: {"-1": 1, "0": 1, "1": 1} for name in NAMES}),
    Form("raters, -1 among other negative numbers", text("votes.csv", table([[-1, -2, 1]] * 12), NAMES), RATERS,
         error=r"votes\.csv: found -1, which stands for no vote, and '-2'\. List all classes"),
    Form("raters, an image that is not there",
         text("votes.csv", table(ANSWERS, names=["x.png", *NAMES[1:]]), NAMES), RATERS, error=r"line 2.*x\.png"),
    Form("raters, a class that is not listed", text("votes.csv", table(ANSWERS), NAMES),
         {**RATERS, "classes": ["cat", "cow"]}, error=r"line \d+: found no label 'dog' \(\d+ rows\)"),
    Form("raters, class numbers where classes are named", text("votes.csv", table(numbers(ANSWERS, None)), NAMES),
         {**RATERS, "classes": ["cat", "dog"]}, error=r"set source\.label_by to 'index'"),
    Form("raters, a rater that is not there", text("votes.csv", table(ANSWERS), NAMES),
         {**RATERS, "raters": ["reader1", "reader9"]}, error=r"found no column 'reader9'.*Did you mean"),
    Form("raters, a consensus beside them",
         text("votes.csv", table([[*row, row[1] or "cat"] for row in ANSWERS], ("item", *READERS, "consensus")), NAMES),
         RATERS, error=r"'consensus' does not look like the name of a rater\. Name the raters"),
    Form("raters, something else beside them",
         text("votes.csv", table([[*a, 30 + i] for i, a in enumerate(ANSWERS)], ("item", *READERS, "years")), NAMES),
         RATERS, error=r"'years' holds '30' and no answer that another one holds"),
    Form("raters, no raters", text("votes.csv", "item\n" + "\n".join(NAMES) + "\n", NAMES), RATERS,
         error=r"found no column besides"),
    Form("raters, nobody voted", text("votes.csv", table([[None] * 3] * 12), NAMES), {**RATERS, **INDEX},
         error=r"found no vote for this image \(12 of 12"),
    Form("raters, a matrix with nan", matrix(FLOATS), {**RATERS, "votes": "votes.npy", **INDEX},
         votes=answers(ANSWERS), annotators=3, remark=r"Row i is about the i-th image in name order"),
    Form("raters, a matrix with -1", matrix(np.array(numbers(ANSWERS, -1), np.int8)),
         {**RATERS, "votes": "votes.npy", **INDEX}, votes=answers(ANSWERS), annotators=3),
    Form("raters, a matrix of ratings", matrix(np.array(RATINGS)), {**RATERS, "votes": "votes.npy"},
         votes=answers(RATINGS)),
    Form("raters, a matrix of class names", matrix(np.array([[a or "" for a in row] for row in ANSWERS])),
         {**RATERS, "votes": "votes.npy"}, votes=answers(ANSWERS)),
    Form("raters, some columns of a matrix", matrix(FLOATS),
         {**RATERS, "votes": "votes.npy", "raters": ["0", "2"], **INDEX, "unvoted": "leave_out"},
         votes=answers([row[::2] for row in ANSWERS]), annotators=2),
    Form("raters, a column that a matrix does not have", matrix(FLOATS),
         {**RATERS, "votes": "votes.npy", "raters": ["3"], **INDEX}, error=r"no column '3'.*among 0 to 2"),
    Form("raters, a matrix with too few rows", matrix(FLOATS[:-1]), {**RATERS, "votes": "votes.npy", **INDEX},
         error=r"votes\.npy: found 11 rows without names .*, expected 12, the images in"),
    Form("raters, a matrix in the order of a file", matrix(FLOATS[::-1], NAMES[::-1]),
         {**RATERS, "votes": "votes.npy", "order_file": "order.txt", **INDEX}, votes=answers(ANSWERS),
         remark=r"Row i is about the image in line i of order\.txt"),
    Form("raters, an order with too few lines", matrix(FLOATS, NAMES[1:]),
         {**RATERS, "votes": "votes.npy", "order_file": "order.txt", **INDEX},
         error=r"found 12 rows without names .*, expected 11, the lines of .*order\.txt"),
    Form("raters, a matrix with three dimensions", matrix(FLOATS[None]), {**RATERS, "votes": "votes.npy"},
         error=r"found float64 \[1, 12, 3\], expected .* \[images, raters\]"),
    Form("raters, a matrix where images have no certain order",
         with_images(lambda folder: np.save(folder / "votes.npy", FLOATS), [f"{i}.png" for i in range(12)]),
         {**RATERS, "votes": "votes.npy", **INDEX}, error=r"Pad the numbers with zeros"),
    Form("a matrix of another layout", matrix(FLOATS), {**WIDE, "votes": "votes.npy"}, error=r"type '\.npy'"),
    Form("raters, LabelMe's answers.txt",
         text("answers.txt", table(numbers(ANSWERS, -1), None, separator=" ", names=None), NAMES),
         {**RATERS, "votes": "answers.txt", "header": "none", "separator": " ", "columns": {"item": None}, **INDEX},
         votes=answers(ANSWERS), annotators=3),
    Form("raters, as numpy.savetxt writes them",
         with_images(lambda folder: np.savetxt(folder / "answers.txt", FLOATS)),
         {**RATERS, "votes": "answers.txt", "header": "none", "separator": " ", "columns": {"item": None}, **INDEX},
         votes=answers(ANSWERS), annotators=3),
    Form("raters, blanks that nobody named",
         text("answers.txt", table(numbers(ANSWERS, -1), None, separator=" ", names=None), NAMES),
         {**RATERS, "votes": "answers.txt", "header": "none", "columns": {"item": None}},
         error=r"answers\.txt: found one column of raters, with cells such as '. . .'\. Set source\.separator"),
    Form("raters, a matrix with rows and columns swapped", matrix(FLOATS.T), {**RATERS, "votes": "votes.npy", **INDEX},
         error=r"found 3 rows without names .*expected 12.*Swap rows and columns"),
    Form("raters, blanks that line columns up",
         text("answers.txt", table(numbers(ANSWERS, "-1"), None, separator="   ", names=None).replace("\n", " \n "),
              NAMES),
         {**RATERS, "votes": "answers.txt", "header": "none", "separator": " ", "columns": {"item": None}, **INDEX},
         votes=answers(ANSWERS), annotators=3),
]  # fmt: skip

HOT = [(name, reader, answer) for name, row in zip(NAMES, ANSWERS, strict=True)
       for reader, answer in zip(READERS, row, strict=True) if answer]  # fmt: skip
HOT_VOTES = counted([(name, answer) for name, _, answer in HOT])


def hot(yes="1", no="0", head="item,annotator,cat,dog", rows=HOT):
    """The text of a table with one vote a row and a 0/1 column a class."""
    lines = [f"{name},{who},{yes if a == 'cat' else no},{yes if a == 'dog' else no}\n" for name, who, a in rows]
    return f"{head}\n{''.join(lines)}"


ONEHOT_FORMS = [
    Form("one-hot rows", text("votes.csv", hot(), NAMES), ONEHOT, votes=HOT_VOTES, annotators=3),
    Form("one-hot rows, True and False", text("votes.csv", hot("True", "False"), NAMES), ONEHOT, votes=HOT_VOTES),
    Form("one-hot rows, decimals", text("votes.csv", hot("1.0", "0.0"), NAMES), ONEHOT, votes=HOT_VOTES),
    Form("one-hot rows, empty for 0", text("votes.csv", hot("1", ""), NAMES), ONEHOT, votes=HOT_VOTES),
    Form("one-hot rows, annotators under another name", text("votes.csv", hot(head="item,rad_id,cat,dog"), NAMES),
         {**ONEHOT, "columns": {"annotator": "rad_id"}}, votes=HOT_VOTES, annotators=3),
    Form("one-hot rows, anonymous", text("votes.csv", hot(head="item,rad_id,cat,dog"), NAMES),
         {**ONEHOT, "classes": ["dog", "cat"]}, votes=HOT_VOTES, annotators=0,
         remark=r"There is no column 'annotator'"),
    Form("one-hot rows, an annotator's column that is not there", text("votes.csv", hot(), NAMES),
         {**ONEHOT, "columns": {"annotator": "rater"}}, error=r"found no column 'rater'"),
    Form("one-hot rows, another column beside them", text("votes.csv", hot(head="item,rad_id,cat,dog"), NAMES), ONEHOT,
         error=r"line 2: found no 0 or 1 'reader1' \(\d+ rows\).*list the columns of the classes in source\.classes"),
    Form("one-hot rows, none", text("votes.csv", hot() + f"{NAMES[0]},x,0,0\n{NAMES[1]},x,0,0\n", NAMES), ONEHOT,
         error=r"line 35: found no class with a 1 \(2 such rows\), expected one of cat, dog\. Remove rows without"),
    Form("one-hot rows, two", text("votes.csv", hot() + f"{NAMES[0]},x,1,1\n", NAMES), ONEHOT,
         error=r"line 35: found several classes with a 1 \(cat, dog\), expected one of cat, dog\. Keep one class"),
    Form("one-hot rows, no class", text("votes.csv", "item,annotator\n000.png,a\n", NAMES), ONEHOT,
         error=r"found no column besides those"),
    Form("one-hot rows as counts", text("votes.csv", hot(head="item,rad_id,cat,dog"), NAMES),
         {**WIDE, "classes": ["cat", "dog"]}, error=r"21 of 33 rows are about an image .* source\.layout to 'onehot'"),
    Form("one-hot rows as a matrix of counts", text("votes.csv", "".join(
            f"{line.split(',')[0]},{','.join(line.split(',')[2:])}\n" for line in hot().splitlines()), NAMES),
         {"kind": "counts", "images": "images", "counts": "votes.csv", "order": "name", "name_column": "item"},
         error=r"21 of 33 rows are about an image .* source\.kind 'table' with layout 'onehot'"),
]  # fmt: skip

LABELS = [[a for a in row if a] for row in ANSWERS]
WHO = [[reader for reader, a in zip(READERS, row, strict=True) if a] for row in ANSWERS]
LIST_VOTES = answers(ANSWERS)
HF = {"columns": {"item": "file_name", "annotator": "annotators", "label": "labels"}}
QUESTION = {"columns": {"item": "image", "annotator": "kind.responses.users", "label": "kind.responses"}}
STATUS = [["submitted" if a else "discarded" for a in row] for row in ANSWERS]
ARGILLA = {
    "image": NAMES, "kind.responses": [[a or "cat" for a in row] for row in ANSWERS],
    "kind.responses.users": [READERS] * 12, "kind.responses.status": STATUS,
}  # fmt: skip
NESTED = [{"image": name, "votes": [{"by": w, "label": a} for w, a in zip(who, labels, strict=True)]}
          for name, who, labels in zip(NAMES, WHO, LABELS, strict=True)]  # fmt: skip
RECORDS = [{"file_name": n, "annotators": w, "labels": a} for n, w, a in zip(NAMES, WHO, LABELS, strict=True)]


def other_lists(folder):
    """Lists of one image more labels than annotators."""
    columns = {"file_name": NAMES, "annotators": WHO, "labels": [[*labels, "cat"] for labels in LABELS]}
    pq.write_table(pa.table(columns), folder / "votes.parquet")


def below(folder):
    """A metadata.jsonl in a folder below the images, whose names start from there."""
    images(folder / "images" / "train", NAMES)
    images(folder / "images" / "test", NAMES)
    lines = "".join(json.dumps(record) + "\n" for record in RECORDS)
    folder.joinpath("images/train/metadata.jsonl").write_text(lines)


HUB = {"columns": {"item": "item", "annotator": "annotators", "label": "labels"}}


def hub():
    """Lists of class numbers whose names stand in the file's metadata, as Hugging Face writes them."""
    names = {"_type": "Sequence", "feature": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    about = {"info": {"features": {"item": {"dtype": "string", "_type": "Value"}, "labels": names}}}
    columns = pa.table({"item": NAMES, "annotators": [READERS] * 12, "labels": numbers(ANSWERS, -1)})
    with_names = columns.replace_schema_metadata({"huggingface": json.dumps(about)})
    return with_images(lambda folder: pq.write_table(with_names, folder / "votes.parquet"))


LIST_FORMS = [
    Form("lists, Parquet", parquet({"file_name": NAMES, "annotators": WHO, "labels": LABELS}), {**LISTS, **HF},
         votes=LIST_VOTES, annotators=3),
    Form("lists, Parquet under the layout long", parquet({"file_name": NAMES, "annotators": WHO, "labels": LABELS}),
         {**SOURCE, "votes": "votes.parquet", **HF}, error=r"column 'labels' is list.*source\.layout to 'lists'"),
    Form("lists, anonymous", parquet({"file_name": NAMES, "labels": LABELS}),
         {**LISTS, "columns": {"item": "file_name", "label": "labels"}}, votes=LIST_VOTES, annotators=0,
         remark=r"There is no column 'annotator'"),
    Form("lists, entries without a label",
         parquet({"file_name": NAMES, "annotators": [READERS] * 12, "labels": ANSWERS}), {**LISTS, **HF},
         votes=LIST_VOTES, annotators=3, remark=r"3 of 36 entries hold no label \(null\) and were left out"),
    Form("lists, class numbers with -1 for none",
         parquet({"file_name": NAMES, "annotators": [READERS] * 12, "labels": numbers(ANSWERS, -1)}),
         {**LISTS, **HF, **INDEX}, votes=LIST_VOTES, annotators=3, remark=r"3 of 36 entries hold no label \(-1\)"),
    Form("lists, class numbers that Hugging Face names", hub(), {**LISTS, **HUB},
         votes=LIST_VOTES, annotators=3, remark=r"have the names that the file gives them: cat, dog"),
    Form("lists, class numbers that Hugging Face names, as indices", hub(),
         {**LISTS, **HUB, "label_by": "index", "classes": ["no", "yes"]},
         votes={name: {{"cat": "no", "dog": "yes"}[label]: n for label, n in votes.items()}
                for name, votes in LIST_VOTES.items()}),
    Form("lists of different lengths", with_images(other_lists), {**LISTS, **HF},
         error=r"row 1: 'annotators' has 3, 'labels' has 4 \(12 such rows\), expected lists of the same length"),
    Form("lists, one of them null", parquet({"file_name": NAMES, "annotators": [None, *WHO[1:]], "labels": LABELS}),
         {**LISTS, **HF}, error=r"row 1: 'annotators' has 0, 'labels' has 3"),
    Form("lists of annotators with one label", parquet({"file_name": NAMES, "annotators": WHO, "labels": ["cat"] * 12}),
         {**LISTS, **HF}, error=r"row 1: 'annotators' has 3 entries, but 'labels' is 'cat' for all of them \(11 such"),
    Form("lists of labels of one annotator", jsonl([{**record, "annotators": "ann"} for record in RECORDS]),
         {**LISTS, "votes": "votes.jsonl", **HF}, error=r"line 1: 'labels' has 3 entries, but 'annotators' is 'ann'"),
    Form("lists of one label of one annotator",
         jsonl([dict(zip(RECORDS[0], (n, w, [a]), strict=True)) for n, w, a in HOT]),
         {**LISTS, "votes": "votes.jsonl", **HF}, votes=LIST_VOTES, annotators=3),
    Form("lists in lists", parquet({"file_name": NAMES, "annotators": WHO, "labels": [[[a] for a in row]
                                                                                      for row in LABELS]}),
         {**LISTS, **HF}, error=r"row 1: column 'labels' .* a list or an object inside of an entry \(33 such"),
    Form("lists, images embedded as Hugging Face does",
         parquet({"image": [{"bytes": b"", "path": name} for name in NAMES], "annotators": WHO, "labels": LABELS}),
         {**LISTS, "columns": {**HF["columns"], "item": "image"}}, votes=LIST_VOTES, annotators=3),
    Form("lists of objects", parquet({"image": NAMES, "votes": [record["votes"] for record in NESTED]}),
         {**LISTS, "columns": {"item": "image", "annotator": "votes.by", "label": "votes.label"}}, votes=LIST_VOTES,
         annotators=3),
    Form("lists, JSON lines", jsonl(RECORDS), {**LISTS, "votes": "votes.jsonl", **HF}, votes=LIST_VOTES, annotators=3),
    Form("lists, metadata.jsonl in the image folder", jsonl(RECORDS, "images/metadata.jsonl"),
         {**LISTS, "votes": "images/metadata.jsonl", **HF}, votes=LIST_VOTES, annotators=3),
    Form("lists, metadata.jsonl in a folder below", below,
         {**LISTS, "votes": "images/train/metadata.jsonl", **HF, "unvoted": "leave_out"},
         votes={f"train/{name}": votes for name, votes in LIST_VOTES.items()}, annotators=3),
    Form("lists, JSON lines of objects", jsonl(NESTED),
         {**LISTS, "votes": "votes.jsonl",
          "columns": {"item": "image", "annotator": "votes.by", "label": "votes.label"}},
         votes=LIST_VOTES, annotators=3),
    Form("lists, one vote a line", jsonl([{"item": n, "annotator": w, "label": a} for n, w, a in HOT]),
         {**LISTS, "votes": "votes.jsonl"}, votes=LIST_VOTES, annotators=3),
    Form("lists, a JSON list",
         with_images(lambda folder: folder.joinpath("votes.json").write_text(json.dumps(RECORDS))),
         {**LISTS, "votes": "votes.json", **HF}, votes=LIST_VOTES, annotators=3),
    Form("lists, JSON that is no list",
         with_images(lambda folder: folder.joinpath("votes.json").write_text(json.dumps({"a": 1}))),
         {**LISTS, "votes": "votes.json", **HF}, error=r"expected a list of objects"),
    Form("lists, a key that is not there", jsonl(RECORDS),
         {**LISTS, "votes": "votes.jsonl", "columns": {**HF["columns"], "label": "label"}},
         error=r"no column 'label' \(source\.columns\.label\) among file_name, annotators, labels"),
    Form("lists, CSV", text("votes.csv", "item,annotator,label\n000.png,\"['a']\",\"['cat']\"\n", NAMES),
         {**LISTS, "votes": "votes.csv"}, error=r"hold no lists, only text\. Save the table as \.parquet"),
    Form("JSON lines under the layout long", jsonl(RECORDS), {**SOURCE, "votes": "votes.jsonl", **HF},
         error=r"source\.layout to 'lists'"),
    Form("lists, Argilla", parquet(ARGILLA), {**LISTS, **QUESTION}, votes=LIST_VOTES, annotators=3,
         remark=r"3 of 36 responses were not submitted \(3 discarded\) and were left out"),
    Form("lists, Argilla, all that were answered", parquet(ARGILLA),
         {**LISTS, **QUESTION, "where": {"kind.responses.status": ["submitted", "discarded"]}},
         votes=answers([[a or "cat" for a in row] for row in ANSWERS]), annotators=3),
    Form("lists, Argilla's first form",
         parquet({"image": NAMES, "kind": [{"user_id": READERS, "value": values, "status": status}
                                           for values, status in zip(ARGILLA["kind.responses"], STATUS, strict=True)]}),
         {**LISTS, "columns": {"item": "image", "annotator": "kind.user_id", "label": "kind.value"}},
         votes=LIST_VOTES, annotators=3, remark=r"3 of 36 responses were not submitted"),
    Form("lists, Argilla, nothing submitted", parquet(ARGILLA | {"kind.responses.status": [["draft"] * 3] * 12}),
         {**LISTS, **QUESTION}, error=r"no response with the status 'submitted'"),
]  # fmt: skip

BARE = "".join(f"{name},{who},{answer}\n" for name, who, answer in HOT)
HEADER = ["item", "annotator", "label"]
HEADER_FORMS = [
    Form("no header, names given", text("votes.csv", BARE, NAMES), {**SOURCE, "header": HEADER}, votes=HOT_VOTES,
         annotators=3),
    Form("no header, columns by place", text("votes.csv", BARE, NAMES),
         {**SOURCE, "header": "none", "columns": {"item": "0", "annotator": "1", "label": "2"}}, votes=HOT_VOTES),
    Form("no header, blanks", text("votes.txt", BARE.replace(",", " "), NAMES),
         {**SOURCE, "votes": "votes.txt", "header": HEADER, "separator": " "}, votes=HOT_VOTES, annotators=3),
    Form("no header, too few names", text("votes.csv", BARE, NAMES), {**SOURCE, "header": HEADER[:2]},
         error=r"found 3 cells in the first line, expected 2 as source\.header names"),
    Form("a header though names are given", text("votes.csv", "Item,annotator,label\n" + BARE, NAMES),
         {**SOURCE, "header": HEADER}, error=r"first line names the columns already\. Set source\.header to null"),
    Form("names given for Parquet", parquet({"file_name": NAMES}), {**SOURCE, "votes": "votes.parquet",
         "header": HEADER}, error=r"names of its own .* Set source\.header to null"),
    Form("no header, counts", text("votes.csv", "".join(f"{name},2,{i % 3}\n" for i, name in enumerate(NAMES)), NAMES),
         {**WIDE, "header": ["item", "cat", "dog"]},
         votes={name: {"cat": 2, "dog": i % 3} if i % 3 else {"cat": 2} for i, name in enumerate(NAMES)}),
    Form("no header, a label an image in name order", text("labels.txt", "cat\ndog\n" * 6, NAMES),
         {**SOURCE, "votes": "labels.txt", "header": ["label"], "columns": {"item": None, "annotator": None}},
         votes={name: {"dog" if i % 2 else "cat": 1} for i, name in enumerate(NAMES)}),
]  # fmt: skip

PEOPLE = ["ann", "bob", "cem"]
COUNTS = {"kind": "counts", "images": "images"}
FEW = np.random.default_rng(0).multinomial(5, [0.2, 0.3, 0.5], 12)
BINARY = [[int(i % 4 > 1), int(i % 4 > 1), int(i % 4 > 1) if i else 1] for i in range(2, 12)] + [[1, 0, 1], [0, 1, 1]]
FER = np.random.default_rng(1).multinomial(10, np.ones(10) / 10, 12)


def some(classes, rows):
    """Counts by image and class."""
    found = {}
    for name, row in zip(NAMES, rows, strict=True):
        found[name] = {label: int(n) for label, n in zip(classes, row, strict=True) if n}
    return found


def npy_counts(rows):
    return with_images(lambda folder: np.save(folder / "counts.npy", np.array(rows)))


DOUBTS = [
    Form("ratings as counts, columns like people", text("votes.csv", table(RATINGS), NAMES), WIDE,
         error=r"the columns reader1, reader2, reader3 have the names of people.*source\.layout to 'raters'"),
    Form("class names as counts, columns like people", text("votes.csv", table(ANSWERS), NAMES), WIDE,
         error=r"reader1, reader2, reader3 have the names of people.*source\.layout to 'raters'"),
    Form("raters named in another layout", text("votes.csv", table(ANSWERS), NAMES), {**WIDE, "raters": READERS},
         error=r"source\.raters: names columns of raters\. Set source\.layout to 'raters'"),
    Form("an order of images that are named", text("votes.csv", table(ANSWERS), NAMES),
         {**RATERS, "order_file": "votes.csv"}, error=r"source\.order_file: .* Set one of them to null"),
    Form("a label's column that the layout does not have", text("votes.csv", table(ANSWERS), NAMES),
         {**RATERS, "columns": {"label": "answer"}}, error=r"source\.columns\.label: found 'answer'"),
    Form("ratings as counts, names of people", text("votes.csv", table(RATINGS, ("item", *PEOPLE)), NAMES), WIDE,
         error=r"all cells hold numbers from 1 to 5, none 0.*source\.layout to 'raters'.*list them in source\.classes"),
    Form("flags with different sums, names of people",
         plain([[i % 2, i // 2 % 2, i // 4 % 2] for i in range(12)], ("item", "Anna", "Ben", "Chris")), WIDE,
         error=r"hold 0 or 1, some rows are all 0.*source\.layout to 'raters'"),
    Form("flags with different sums, as classes",
         plain([[i % 2, 1, i // 4 % 2] for i in range(12)], ("item", "cat", "dog", "owl")),
         {**WIDE, "classes": ["cat", "dog", "owl"]}, votes=counted(
             [(NAMES[i], "cat") for i in range(1, 12, 2)] + [(name, "dog") for name in NAMES]
             + [(NAMES[i], "owl") for i in range(4, 8)])),
    Form("a total beside the classes", plain([[i, 3, i + 3] for i in range(12)], ("item", "cat", "dog", "Total")),
         WIDE, error=r"'Total' does not look like the name of a class\. List the classes without it"),
    Form("a sum beside the classes", plain([[i, 3, i + 3] for i in range(12)], ("item", "cat", "dog", "all")),
         WIDE, error=r"'all' is the sum of all others in each row\. List the classes without it in source\.classes"),
    Form("a sum beside the classes, as counts",
         plain([[i, 3, i + 3] for i in range(12)], ("item", "cat", "dog", "all")),
         {"kind": "counts", "images": "images", "counts": "votes.csv", "order": "name", "name_column": "item"},
         error=r"'all' is the sum of all others in each row\. Remove that column"),
    Form("a sum that is left out", plain([[i, 3, i + 3] for i in range(12)], ("item", "cat", "dog", "all")),
         {**WIDE, "classes": ["cat", "dog"]}, votes=counted(
             [(NAMES[i], label) for i in range(12) for label, n in (("cat", i), ("dog", 3)) for _ in range(n)])),
    Form("class numbers as counts, names of people", text("votes.csv", table(BINARY, ("item", *PEOPLE)), NAMES), WIDE,
         error=r"the columns rise and fall together.*source\.layout to 'raters'"),
    Form("ratings as a matrix of counts", npy_counts(RATINGS), {**COUNTS, "counts": "counts.npy"},
         error=r"counts\.npy: all cells hold numbers from 1 to 5.*source\.kind 'table' with layout 'raters'"),
    Form("class numbers with gaps as a matrix of counts", npy_counts(numbers(ANSWERS, -1)),
         {**COUNTS, "counts": "counts.npy"}, error=r"found -1 \(3 such cells\).*with layout 'raters'"),
    Form("ratings 1 to 10 as counts", npy_counts(TENS), {**COUNTS, "counts": "counts.npy"}, error=r"from 1 to 10"),
    Form("ratings as a table of counts", text("votes.csv", table(RATINGS, names=None, head=READERS), NAMES),
         {**COUNTS, "counts": "votes.csv"}, error=r"have the names of people.*kind 'table' with layout 'raters'"),
    Form("columns like people that are classes", text("votes.csv", table(RATINGS), NAMES),
         {**WIDE, "classes": READERS}, votes=some(READERS, RATINGS)),
    Form("counts without a 0 that are classes", npy_counts(RATINGS),
         {**COUNTS, "counts": "counts.npy", "classes": PEOPLE}, votes=some(PEOPLE, RATINGS)),
    Form("counts of five votes", text("votes.csv", table(FEW, ("item", *PEOPLE)), NAMES), WIDE,
         votes=some(PEOPLE, FEW)),
    Form("counts of ten votes, as FER+", npy_counts(FER), {**COUNTS, "counts": "counts.npy"},
         votes=some("0123456789", FER)),
    Form("one-hot counts, an image a row", text("votes.csv", table(np.eye(3, dtype=int)[np.arange(12) % 3],
         ("item", *PEOPLE)), NAMES), WIDE, votes=some(PEOPLE, np.eye(3, dtype=int)[np.arange(12) % 3])),
]  # fmt: skip


def case_rows(path: str) -> list[dict[str, str]]:
    """The rows of a case's table; none where it is not there."""
    if not CASES.is_dir():
        return []
    with (CASES / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def case_votes(path: str) -> dict[str, dict[str, int]]:
    """The votes of a case with a column a rater, counted row by row."""
    return counted([(row["image"], row[name]) for row in case_rows(path) for name in READERS if row[name]])


def case_lists() -> dict[str, dict[str, int]]:
    """The votes of the case of lists."""
    if not CASES.is_dir():
        return {}
    records = pq.read_table(CASES / "hf_lists/train.parquet").to_pylist()
    return counted([(record["file_name"], label) for record in records for label in record["labels"]])


SMALL = {**SOURCE, "pixels": 16}
BY_READER = {**SMALL, "layout": "raters", "columns": {"item": "image"}}
CASE_FORMS = [
    Form("case rater_columns", **case("rater_columns"), source=BY_READER,
         votes=case_votes("rater_columns/votes.csv"), annotators=3),
    Form("case rater_columns, votes2", **case("rater_columns"), source={**BY_READER, "votes": "votes2.csv", **INDEX},
         votes={name: {("cat", "dog")[int(label)]: n for label, n in votes.items()}
                for name, votes in case_votes("rater_columns/votes2.csv").items()}, annotators=3),
    Form("case rater_ratings", **case("rater_ratings"), source=BY_READER,
         votes=case_votes("rater_ratings/votes.csv"), annotators=3),
    Form("case rater_ratings, as given", **case("rater_ratings"), source={**BY_READER, "layout": "wide"},
         error=r"have the names of people.*layout to 'raters'"),
    Form("case onehot_rows", **case("onehot_rows"),
         source={**SMALL, "layout": "onehot", "columns": {"item": "image_id", "annotator": "rad_id"}}, annotators=3,
         votes=counted([(f"{row['image_id']}.png", label) for row in case_rows("onehot_rows/votes.csv")
                        for label in ("cat", "dog") if row[label] == "1"])),
    Form("case onehot_rows, as given", **case("onehot_rows"),
         source={**SMALL, "layout": "wide", "columns": {"item": "image_id"}, "classes": ["cat", "dog"]},
         error=r"source\.layout to 'onehot'"),
    Form("case hf_lists", **case("hf_lists"), source={**SMALL, "layout": "lists", "votes": "train.parquet", **HF},
         votes=case_lists(), annotators=3),
    Form("case hf_lists, as given", **case("hf_lists"), source={**SMALL, "votes": "train.parquet", **HF},
         error=r"source\.layout to 'lists'"),
]  # fmt: skip

FORMS = RATER_FORMS + ONEHOT_FORMS + LIST_FORMS + HEADER_FORMS + DOUBTS + CASE_FORMS
