"""Names of images as tools and people write them, against files that are called otherwise."""

import os
import unicodedata
import zlib

import numpy as np
from data_files import CASES

from . import Form, case, counted, images, text

TABLE = {"kind": "table", "images": "images", "votes": "votes.csv"}
FOUR = ["cat 1.png", "cat 2.png", "sub/dog 1.png", "sub/dog 2.png"]
VOTED = dict(zip(FOUR, ({"cat": 2}, {"cat": 1, "dog": 1}, {"dog": 2}, {"dog": 1, "cat": 1}), strict=True))
COMPOSED = [unicodedata.normalize("NFC", f"größe{k}.png") for k in range(3)]
DECOMPOSED = [unicodedata.normalize("NFD", name) for name in COMPOSED]


def written(form, names=FOUR, files=None):
    """A writer of images and of the votes of Ann and Bob on them, each by ``form`` of its name."""
    rows = ["item,annotator,label"]
    for name in names:
        labels = [label for label, n in VOTED.get(name, {"cat": 1, "dog": 1}).items() for _ in range(n)]
        rows += [f'"{form(name)}",{who},{label}' for who, label in zip(("Ann", "Bob"), labels, strict=True)]
    return text("votes.csv", "\n".join(rows), files or names)


def matched(name, form, rule, names=FOUR, files=None):
    """A form whose votes are those of the same images, by a rule that the card tells."""
    files = files or names
    votes = {file: VOTED.get(name, {"cat": 1, "dog": 1}) for name, file in zip(names, files, strict=True)}
    return Form(f"names: {name}", written(form, names, files), TABLE, votes=votes, remark=rule, annotators=2)


def refused(name, images_, names, error):
    """A form whose names cannot be told."""
    rows = [f'"{item}",{who},{label}' for item in names for who, label in (("Ann", "cat"), ("Bob", "dog"))]
    write = text("votes.csv", "\n".join(["item,annotator,label", *rows]), images_)
    return Form(f"names: {name}", write, TABLE, error=error)


def encoded(name):
    return name.replace(" ", "%20")


def other_hash(prefix):
    """A name below a prefix, its file with a hash as Label Studio puts there."""
    return lambda name: f"{prefix}{zlib.crc32(name.encode()):08x}-{name.rpartition('/')[2]}"


def linked(folder):
    """Images that are links into a store beside their folder, as in Hugging Face's cache, with votes."""
    images(folder / "blobs", ["a1.png", "b2.png"])
    (folder / "images").mkdir()
    for name, blob in (("x.png", "a1.png"), ("y.png", "b2.png")):
        (folder / "images" / name).symlink_to(os.path.relpath(folder / "blobs" / blob, folder / "images"))
    (folder / "votes.csv").write_text("item,annotator,label\nx.png,Ann,cat\ny.png,Ann,dog\n")


def linked_folder(folder):
    """Images in a folder that is a link below the folder of the source, and one image beside it."""
    images(folder / "store", ["x.png"])
    images(folder / "images", ["y.png"])
    (folder / "images" / "more").symlink_to(folder / "store")
    (folder / "images" / "circle").symlink_to(folder / "images")
    (folder / "votes.csv").write_text("item,annotator,label\nx.png,Ann,cat\ny.png,Ann,dog\n")


def fetched_partly(folder):
    """Links into a store, of which one file was not fetched."""
    linked(folder)
    (folder / "blobs" / "b2.png").unlink()


def exported(folder):
    """Two images, of which one was exported from a DICOM file that lies beside it, and votes that name the stems."""
    images(folder / "images", ["a.png", "b/c.PNG"])
    (folder / "images" / "a.dcm").write_bytes(b"DICOM")
    (folder / "images" / "b" / "c.DICOM").write_bytes(b"DICOM")
    (folder / "votes.csv").write_text("item,annotator,label\na,Ann,cat\nb/c.dicom,Ann,dog\n")
    np.save(folder / "counts.npy", np.array([[2, 1], [0, 3]]))


def thousands(folder):
    """60,000 names that no image has, and a few images."""
    images(folder / "images", ["00001.png", "00002.png"])
    rows = [f"zz{k}.png,Ann,{'cat' if k % 2 else 'dog'}\n" for k in range(60_000)]
    (folder / "votes.csv").write_text("item,annotator,label\n" + "".join(rows))


def nfd_votes():
    """The votes of the example ``names_nfd``, counted from its lines."""
    if not CASES.is_dir():
        return None
    lines = (CASES / "names_nfd" / "votes.csv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split(",") for line in lines]
    return counted([(unicodedata.normalize("NFD", item), label) for item, _, label in rows])


FORMS = [
    Form("case names_nfd", source={**TABLE, "pixels": 16}, votes=nfd_votes(), remark="read as paths",
        **case("names_nfd")),
    matched("as the files are", lambda name: name, ""),
    matched("stems", lambda name: name.removesuffix(".png"), ""),
    matched("./", lambda name: f"./{name}", "read as paths"),
    matched("doubled slashes", lambda name: name.replace("/", "//"), "read as paths"),
    matched("backslashes", lambda name: name.replace("/", "\\"), "read as paths"),
    matched("a path of Windows", lambda name: "C:\\data\\images\\" + name.replace("/", "\\"), "first 3 folders"),
    matched("an absolute path", lambda name: f"/home/ann/images/{name}", "the first 3 folders of each cut"),
    matched("a path above", lambda name: f"../images/{name}", "the first 2 folders of each cut"),
    matched("a folder", lambda name: f"images/{name}", "the first folder of each cut"),
    matched("folders of several people",
        lambda name: ("/home/ann/" if "1" in name else "/Users/bob/Desktop/") + name, "by the end of the path"),
    matched("a URL", lambda name: f"https://example.org/study/{encoded(name)}", "the first folder of each cut"),
    matched("a signed URL", lambda name: f"https://example.org/{encoded(name)}?Expires=17&Signature=a%2Fb", "as paths"),
    matched("a bucket", lambda name: f"s3://study/images/{name}", "the first folder of each cut"),
    matched("a file in a query", lambda name: f"/data/local-files/?d=images/{encoded(name)}", "first folder of each"),
    matched("percent-encoding", encoded, "percent-encoding decoded"),
    matched("an upload with a hash", other_hash("/data/upload/3/"), "hash of an upload cut"),
    matched("an upload with a UUID", lambda name: "0b1c2d3e-0000-4000-8000-0123456789ab_" + name.rpartition("/")[2],
        "hash of an upload cut"),
    matched("an upload by Django", lambda name: "/data/upload/3/9c1e04ab-" + name.rpartition("/")[2].replace(" ", "_")
        .replace("(", "").replace(")", ""), "the hash of an upload cut, blanks as underscores, signs left out",
        ["x 0.png", "x 1 (2).png", "y.png"]),
    matched("another case", str.upper, "upper and lower case alike"),
    matched("another suffix", lambda name: name.replace(".png", ".jpg"), "any suffix"),
    matched("another suffix and case", lambda name: name.upper().replace(".PNG", ".JPEG"), "case alike, any suffix"),
    matched("without leading zeros", lambda name: name.replace("00", ""), "leading zeros left out",
        ["001.png", "002.png", "010.png"]),
    matched("with leading zeros", lambda name: f"000{name}", "leading zeros left out", ["1.png", "2.png", "10.png"]),
    matched("decomposed files", lambda name: name, "read as paths", COMPOSED, DECOMPOSED),
    matched("decomposed names", lambda name: name, "read as paths", DECOMPOSED, COMPOSED),
    matched("blanks at the ends", lambda name: f" {name} ", "read as paths"),
    matched("several at once", lambda name: f"https://example.org/u/9c1e04ab-{encoded(name.rpartition('/')[2]).upper()}",
        "hash of an upload cut, upper and lower case"),
    matched("one name of many", lambda name: name.upper() if name == FOUR[0] else name, "1 of 4 names .*case alike"),
    refused("two on one image by zeros", ["001.png", "2.png"], ["1.png", "01.png", "2.png"],
        r"line [24]: found no image '0?1\.png' \(2 rows\) beside '0?1\.png' \(line [24]\): both may name '001\.png'"),
    refused("one exact, one by zeros", ["1.png", "2.png"], ["1.png", "01.png", "2.png"],
        r"line 4: found no image '01\.png' \(2 rows\) beside '1\.png' \(line 2\): both may name '1\.png'"),
    refused("one name, two images by zeros", ["1.png", "001.png"], ["1.png", "01.png"],
        r"line 4: found no image '01\.png' \(2 rows\), but 2 that it may name, such as '001\.png' and '1\.png'"),
    refused("one name, two images by case", ["aa.png", "AA.png", "b.png"], ["Aa.png", "b.png"],
        r"found no image 'Aa\.png' .*, but 2 that it may name"),
    refused("one file name in two folders", ["x/a.png", "y/a.png"], ["a.png"],
        r"found no image 'a\.png' \(2 rows\), but 2 that it may name, such as 'x/a\.png' and 'y/a\.png'"),
    refused("two hosts", ["a.png", "b.png"], ["https://one.org/a.png", "http://two.org/a.png"],
        "both may name 'a.png'"),
    refused("a slip", ["cat1.png", "cat2.png"], ["cat1.png", "cta2.png"],
        r"line 4: found no image 'cta2\.png' \(2 rows\); the nearest names are 'cat2\.png' and 'cat1\.png'\. Write a"),
    refused("a slip among names that need a rule", ["cat1.png", "cat2.png"], ["x/cat1.png", "x/cta2.png"],
        r"^[^\n]*line 4: found no image 'x/cta2\.png' \(2 rows\); the nearest names are 'cat2\.png'[^\n]*$"),
    Form("names: 60,000 unknown", thousands, TABLE, error=r"^60,000 problems:\n.*zz0\.png.*and 59,992 more images like "
        r"these, 59,992 rows\.$"),
    Form("names: DICOM beside the exported images", exported, TABLE, votes={"a.png": {"cat": 1}, "b/c.PNG": {"dog": 1}},
        remark=r"DICOM files that have the name of another image but for the suffix were left out: 2, a\.dcm for one"),
    Form("names: DICOM beside the exported images, by place", exported,
        {"kind": "counts", "images": "images", "counts": "counts.npy", "classes": ["cat", "dog"]},
        votes={"a.png": {"cat": 2, "dog": 1}, "b/c.PNG": {"dog": 3}}, remark="2, a.dcm for one"),
    Form("names: links into a store", linked, {**TABLE, "follow_links": True},
        votes={"x.png": {"cat": 1}, "y.png": {"dog": 1}}),
    Form("names: links that are not named", linked, TABLE, error=r"x\.png: is not in the image folder.*follow_links"),
    Form("names: a linked folder", linked_folder, {**TABLE, "follow_links": True},
        votes={"more/x.png": {"cat": 1}, "y.png": {"dog": 1}}),
    Form("names: a linked folder that is not named", linked_folder, TABLE,
        error="(more|circle): is a link to a folder of images, which would be left out.*follow_links"),
    Form("names: a link whose file was not fetched", fetched_partly, {**TABLE, "follow_links": True},
        error=r"y\.png: cannot be used as an image \(it links to .*b2\.png, which is not there\).*datalad get"),
]  # fmt: skip
