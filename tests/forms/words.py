"""What is easily taken for something else: rows for entries, queries for signatures, words for people, codes."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq

from . import Form, counted, images, text

NAMES = ["a.png", "b.png", "c.png"]
TABLE = {"kind": "table", "images": "images", "votes": "votes.csv"}
ORDERED = {**TABLE, "layout": "lists", "votes": "votes.jsonl", "columns": {"item": None, "annotator": None}}
LISTED = [["cat"], ["dog", "cat"], []]
VOTES = {"a.png": {"cat": 1}, "b.png": {"dog": 1, "cat": 1}}
LABELS = "".join(json.dumps({"label": labels}) + "\n" for labels in LISTED)
NAMED = "".join(json.dumps({"item": n, "label": labels}) + "\n" for n, labels in zip(NAMES, LISTED, strict=True))
BY_NAME = {**ORDERED, "columns": {"annotator": None}, "unvoted": "leave_out"}
TRUTHS = "item,annotator,label,truth\na.png,ann,dog,dog\nb.png,ann,cat,skip\nc.png,ann,skip,\nc.png,bob,dog,\n"
TRUE = {**TABLE, "columns": {"truth": "truth"}}
PEOPLE = "item,annotator,label\na.png,nan,cat\na.png,None,cat\na.png,nan,dog\nb.png,ann,dog\nc.png,ann,cat\n"
GROUPS = "item,annotator,label,group\na.png,ann,cat,nan\nb.png,ann,dog,nan\nc.png,bob,cat,g\nc.png,ann,cat,\n"
WIDE = "item,A1,A2,A3\na.png,2,1,0\nb.png,0,3,1\nc.png,4,0,0\n"
RATED = "item,R1,R2,R3\na.png,2,1,3\nb.png,1,3,1\nc.png,4,4,5\n"
RATERS = "item,r1,r2\na.png,cat,dog\na.png,cat,cat\nb.png,dog,dog\nc.png,cat,cat\n"


def signed(*queries):
    """The text of a table with a vote for the first image by each of some addresses, and votes for the others."""
    named = [f"https://example.org/x/a.png?{query}" for query in queries]
    rows = [*named, "https://example.org/x/b.png", "https://example.org/x/c.png"]
    return "item,annotator,label\n" + "".join(f'"{name}",p{i},{["cat", "dog"][i % 2]}\n' for i, name in enumerate(rows))


def ordered(order):
    def write(folder):
        text("votes.jsonl", LABELS, NAMES)(folder)
        folder.joinpath("order.txt").write_bytes(order)

    return write


def packed(name, content, encoding="utf-8"):
    def write(folder):
        images(folder / "images", NAMES)
        folder.joinpath(name).write_bytes(gzip.compress(content.encode(encoding)))

    return write


def embedded(folder):
    """Images in the table of votes, as Hugging Face's ``push_to_hub`` puts them."""
    images(folder / "images", NAMES)
    struct = pa.array([{"bytes": b"\x89PNG" * 1000, "path": name} for name in NAMES])
    pq.write_table(pa.table({"image": struct, "label": LISTED}), folder / "votes.parquet")


TWICE = "item,annotator,label\na.png,ann,cat\nb.png,Ann ,dog\nsub/c.png,bob,cat\n"

FORMS = [
    Form("annotators that differ in blanks and case", text("votes.csv", TWICE, ["a.png", "b.png", "sub/c.png"]),
         {"kind": "table", "images": "images", "votes": "votes.csv"}, annotators=3,
         votes=counted([("a.png", "cat"), ("b.png", "dog"), ("sub/c.png", "cat")]),
         remark="1 annotators are written in ways that differ in blanks or case alone, such as 'Ann ?' and 'ann'"),
    Form("faults of a spreadsheet are no class", text("votes.csv", TWICE.replace(",dog", ",#VALUE!"),
         ["a.png", "b.png", "sub/c.png"]), {"kind": "table", "images": "images", "votes": "votes.csv"},
         error=r"found the label '#VALUE!', which stands for none, in line 3"),
    Form("lists without names, in the order of the images", text("votes.jsonl", LABELS, NAMES),
        {**ORDERED, "unvoted": "leave_out"}, votes=VOTES, remark="Row i is about the i-th image"),
    Form("lists without names, an image without votes", text("votes.jsonl", LABELS, NAMES), ORDERED,
        error=r"c\.png: found no vote for this image"),
    Form("lists without names, in the order of a file", ordered(b"c.png\n\nb.png\na.png\n"),
        {**ORDERED, "order_file": "order.txt", "unvoted": "leave_out"},
        votes={"c.png": {"cat": 1}, "b.png": {"dog": 1, "cat": 1}}),
    Form("lists without names, too few rows", text("votes.jsonl", LABELS, [*NAMES, "d.png"]), ORDERED,
        error=r"found 3 rows without names .*expected 4"),
    Form("an order in UTF-16, with odd characters in a name", lambda folder: (
            text("votes.jsonl", LABELS, ["a.png", "b\u2028.png", "c.png"])(folder),
            folder.joinpath("order.txt").write_bytes("a.png\r\nb\u2028.png\r\nc.png\r\n".encode("utf-16")),
        ), {**ORDERED, "order_file": "order.txt", "unvoted": "leave_out"},
        votes={"a.png": {"cat": 1}, "b\u2028.png": {"dog": 1, "cat": 1}}),
    Form("names that differ in the query", text("votes.csv", signed("frame=1", "frame=2"), NAMES), TABLE,
        error=r"a\.png\?frame=[12]' beside '.*a\.png\?frame=[12]' .*both may name 'a\.png'"),
    Form("names that differ in the fragment", text("votes.csv", signed("#xywh=0,0,9,9", "#xywh=9,0,9,9"), NAMES), TABLE,
        error=r"both may name 'a\.png'"),
    Form("names that differ in the signature", text("votes.csv", signed(
            "frame=1&X-Amz-Signature=1&X-Amz-Date=2", "X-Amz-Signature=3&frame=1"), NAMES), TABLE,
        votes={"a.png": {"cat": 1, "dog": 1}, "b.png": {"cat": 1}, "c.png": {"dog": 1}}),
    Form("names that differ in the signature of Azure", text("votes.csv", signed(
            "sv=1&se=2&sr=b&sp=r&sig=a%3D", "sv=1&se=3&sr=b&sp=r&sig=b"), NAMES), TABLE,
        votes={"a.png": {"cat": 1, "dog": 1}, "b.png": {"cat": 1}, "c.png": {"dog": 1}}),
    Form("words for no annotator", text("votes.csv", PEOPLE, NAMES), TABLE, annotators=1,
        votes={"a.png": {"cat": 2, "dog": 1}, "b.png": {"dog": 1}, "c.png": {"cat": 1}},
        remark=r"3 of 5 votes in votes\.csv have no known annotator, as 'None' and 'nan' stand for none"),
    Form("words for no group", text("votes.csv", GROUPS, NAMES), {**TABLE, "columns": {"group": "group"}},
        votes={"a.png": {"cat": 1}, "b.png": {"dog": 1}, "c.png": {"cat": 2}},
        remark=r"2 of 4 rows in votes\.csv have no group, as 'nan' stands for none"),
    Form("truths that classes leave out", text("votes.csv", TRUTHS, NAMES),
        {**TRUE, "classes": {"cat": "cat", "dog": "dog", "skip": None}},
        votes={"a.png": {"dog": 1}, "b.png": {"cat": 1}, "c.png": {"dog": 1}},
        remark=r"(?m)^1 of 3 images have a truth .*; 1 more have one that `classes` leaves out"),
    Form("truths of images that are left out", text("votes.csv", TRUTHS.replace("a.png,ann,dog,", "a.png,ann,skip,"),
            NAMES), {**TRUE, "classes": {"cat": "cat", "dog": "dog", "skip": None}, "unvoted": "leave_out"},
        error="found no truth for any of 2 images"),
    Form("images in the table of votes", embedded,
        {**BY_NAME, "votes": "votes.parquet", "columns": {"item": "image", "annotator": None}}, votes=VOTES),
    Form("classes with the names of cells", text("votes.csv", WIDE, NAMES), {**TABLE, "layout": "wide"},
        votes={"a.png": {"A1": 2, "A2": 1}, "b.png": {"A2": 3, "A3": 1}, "c.png": {"A1": 4}}),
    Form("few ratings of R1 and others as counts", text("votes.csv", RATED, NAMES), {**TABLE, "layout": "wide"},
        error="all cells hold numbers from 1 to 5"),
    Form("raters who are not kept, two rows of an image", text("votes.csv", RATERS, NAMES),
        {**TABLE, "layout": "raters", "columns": {"annotator": None}},
        error=r"line 2 and line 3 are both answers on the image 'a\.png'\. Keep one"),
    Form("JSON lines, compressed", packed("votes.jsonl.gz", NAMED), {**BY_NAME, "votes": "votes.jsonl.gz"},
        votes=VOTES),
    Form("JSON lines in UTF-16", text("votes.jsonl", NAMED, NAMES, "utf-16"), BY_NAME, votes=VOTES),
    Form("a JSON list in UTF-16, compressed",
        packed("votes.json.gz", f"[{NAMED.strip().replace(chr(10), ',')}]", "utf-16"),
        {**BY_NAME, "votes": "votes.json.gz"}, votes=VOTES),
    Form("JSON lines, cut off where gzip is",
        lambda folder: (packed("votes.jsonl.gz", NAMED * 90)(folder),
                        folder.joinpath("votes.jsonl.gz").write_bytes(folder.joinpath("votes.jsonl.gz").read_bytes()[:60])),
        {**BY_NAME, "votes": "votes.jsonl.gz"}, error=r"votes\.jsonl\.gz: cannot be read as gzip"),
    Form("JSON lines in UTF-16, cut off in a character",
        lambda folder: (images(folder / "images", NAMES),
                        folder.joinpath("votes.jsonl").write_bytes(NAMED.encode("utf-16")[:-3])),
        BY_NAME, error=r"votes\.jsonl: cannot be read as UTF-16"),
    Form("JSON lines, one not in UTF-8", lambda folder: (images(folder / "images", NAMES),
            folder.joinpath("votes.jsonl").write_bytes(NAMED.encode() + b'{"item": "\xe9"}\n')), BY_NAME,
        error=r"line 4 is not JSON in UTF-8"),
    Form("whole numbers as labels, in another order than text",
        text("votes.csv", "item,annotator,label\na.png,ann,2\nb.png,ann,10\nc.png,ann,2\n", NAMES), TABLE,
        votes={"a.png": {"2": 1}, "b.png": {"10": 1}, "c.png": {"2": 1}},
        remark=r"As text, '10' would stand before '2'; a list of all in source\.classes fixes another order"),
]  # fmt: skip
# No label may be read where there is none.
assert counted([(n, label) for n, labels in zip(NAMES, LISTED, strict=True) for label in labels]) == VOTES
