"""Files as programs save them: long cells, encodings, Excel's lines, compression, braces, results among images."""

import codecs
import gzip

from . import Form, case, counted, images, text

IMAGES = ["a.png", "b.png", "sub/c.png"]
ROWS = [("a.png", "cat"), ("a.png", "dog"), ("b.png", "dog"), ("sub/c.png", "cat")]
LONG = "item,annotator,label\na.png,ann,cat\na.png,bob,dog\nb.png,ann,dog\nsub/c.png,bob,cat\n"
TABLE = {"kind": "table", "images": "images", "votes": "votes.csv"}
COUNTS = "name,cat,dog\na.png,1,1\nb.png,0,1\nsub/c.png,1,0\n"
BRACES = ["a{1}.png", "{b}.png", "sub{x}/c}.png"]


def reads(name, content, encoding="utf-8", file="votes.csv", remark=None, **more):
    """A table in another dress, with the votes of LONG."""
    source = {**TABLE, "votes": file, **more}
    return Form(f"files: {name}", text(file, content, IMAGES, encoding), source, votes=counted(ROWS), remark=remark)


def refused(name, content, error, file="votes.csv", encoding="utf-8", **more):
    """A table that cannot be read."""
    return Form(f"files: {name}", text(file, content, IMAGES, encoding), {**TABLE, "votes": file, **more}, error=error)


def packed(content, file="votes.csv.gz"):
    """A writer of images and of a compressed table, whose bytes ``content`` are."""

    def write(folder):
        images(folder / "images", IMAGES)
        (folder / file).write_bytes(content)

    return write


def with_results(folder):
    """A folder of images that has the results of an earlier run in it, with pictures of its own."""
    images(folder, [*IMAGES, "results/data/d/card-images.png", "results/studies/s/figures/curves.png"])
    (folder / "results/data/d/images.manifest.json").touch()
    images(folder, ["old/logs/x.png"])
    (folder / "old/logs/data").mkdir()
    (folder / "old/logs/data/d.log").touch()
    (folder / "votes.csv").write_text(LONG)


def in_braces(folder):
    """Images and folders whose names have braces."""
    images(folder / "{images}", BRACES)
    rows = [f"{name},ann,{'cat' if k else 'dog'}" for k, name in enumerate(BRACES)]
    (folder / "{votes}.csv").write_text("\n".join(["item,annotator,label", *rows]))


def long_cell_votes():
    """The votes of the example ``longcell``, counted from the beginnings of its lines."""
    folder = case("longcell")["needs"]
    if not folder.is_dir():
        return None
    lines = (folder / "votes.csv").read_text().splitlines()[1:]
    return counted([(line.split(",")[0], line.split(",")[2]) for line in lines])


CELL = "x" * 300_000
SEMI = LONG.replace(",", ";")
HEAD = "item,annotator,label\n"
WIDE = "".join(f"k{k}.png,ann,cat,1\n" for k in range(60_000))
FORMS = [
    Form("case longcell", source={**TABLE, "pixels": 16}, votes=long_cell_votes(), **case("longcell")),
    reads("a cell of 300 kB", LONG.replace("label\n", "label,note\n").replace("cat\n", f"cat,{CELL}\n")
        .replace("dog\n", "dog,\n")),
    reads("a long cell over several lines", LONG.replace("label\n", "label,note\n")
        .replace("cat\n", 'cat,"' + "line\n" * 50_000 + '"\n').replace("dog\n", "dog,\n")),
    reads("UTF-8 with a mark", LONG, "utf-8-sig"),
    reads("UTF-16", LONG, "utf-16"),
    reads("UTF-16, big-endian", codecs.BOM_UTF16_BE.decode("utf-16-be") + LONG, "utf-16-be"),
    reads("UTF-32", LONG, "utf-32"),
    reads("Excel's Unicode text", LONG.replace(",", "\t"), "utf-16", "votes.txt", separator="\t"),
    reads("lines as Windows ends them", LONG.replace("\n", "\r\n")),
    reads("lines as an old Mac ended them", LONG.replace("\n", "\r")),
    reads("sep=;", "sep=;\n" + SEMI),
    reads("sep=; with the option", "sep=;\r\n" + SEMI.replace("\n", "\r\n"), separator=";"),
    reads("sep=, in UTF-16", "sep=,\n" + LONG, "utf-16"),
    reads('"sep=;" in quotes', '"sep=;"\n' + SEMI),
    reads("a tab", LONG.replace(",", "\t"), file="votes.tsv", separator="\t"),
    reads("rows of empty cells", LONG.replace("b.png", ",,\n,,\nb.png") + ",,\n\n,,,,,\n",
        remark=r"4 rows of votes\.csv have nothing but empty cells and were left out"),
    refused("a row without an image", LONG + ",ann,cat\n", r"line 6: the image is empty"),
    refused("sep=; and no separator", "sep=;\n" + LONG, r"found one column, 'item,annotator,label'"),
    refused("UTF-16 without a mark", LONG, r"line 1 is not UTF-8 text", encoding="utf-16-le"),
    refused("a quote that is not closed", LONG.replace("bob,dog", 'bob,"dog'),
        r"line 3 is not CSV, with what follows it until line 5 \(unexpected end"),
    refused("60,000 lines of another length", HEAD + WIDE,
        r"^60,000 problems:.*line 2 has 4 cells.*and 59,992 more lines have another number of cells than the header"),
    refused("60,000 labels that are none", HEAD + "".join(f"a.png,w{k},l{k}\n" for k in range(60_000)),
        r"^60,000 problems:.*found no label 'l0'.*and 59,992 more labels like these, 59,992 rows",
        classes=["cat", "dog"]),
    refused("60,000 rows of one label", HEAD + "".join(f"a.png,w{k},cow\n" for k in range(60_000)),
        r"line 2: found no label 'cow' \(60,000 rows\)\. Write one of cat, dog", classes=["cat", "dog"]),
    Form("files: gzip", packed(gzip.compress(LONG.encode())), {**TABLE, "votes": "votes.csv.gz"}, votes=counted(ROWS)),
    Form("files: gzip of UTF-16", packed(gzip.compress(LONG.encode("utf-16"))), {**TABLE, "votes": "votes.csv.gz"},
        votes=counted(ROWS)),
    Form("files: gzip of counts", packed(gzip.compress(COUNTS.encode()), "counts.csv.gz"),
        {"kind": "counts", "images": "images", "counts": "counts.csv.gz", "order": "name"}, votes=counted(ROWS)),
    Form("files: half a gzip", packed(gzip.compress(LONG.encode())[:-12]), {**TABLE, "votes": "votes.csv.gz"},
        error=r"votes\.csv\.gz: cannot be read as gzip"),
    Form("files: no gzip", packed(LONG.encode()), {**TABLE, "votes": "votes.csv.gz"}, error="cannot be read as gzip"),
    Form("files: another compression", packed(b"BZh", "votes.csv.bz2"), {**TABLE, "votes": "votes.csv.bz2"},
        error=r"found a file of type '\.bz2', expected \.csv"),
    Form("files: images . with results", with_results, {**TABLE, "images": "."}, votes=counted(ROWS)),
    Form("files: braces", in_braces, {**TABLE, "images": "{images}", "votes": "{votes}.csv"},
        votes={BRACES[0]: {"dog": 1}, BRACES[1]: {"cat": 1}, BRACES[2]: {"cat": 1}}),
]  # fmt: skip
