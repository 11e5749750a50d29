"""Published splits and truths from elsewhere: a column of the table of votes, or of a table about the images."""

from . import Form, case, counted, images

IMAGES = ["a.png", "b.png", "c.png", "d.png"]
TABLE = {"kind": "table", "images": "images", "votes": "votes.csv"}
HEAD = "item,annotator,label,Usage,biopsy\n"
LINES = [
    "a.png,ann,cat,Training,cat", "a.png,bob,dog,Training,cat", "b.png,ann,dog,Training,dog",
    "c.png,ann,cat,PublicTest,", "d.png,ann,dog,PrivateTest,cat", "d.png,bob,dog,PrivateTest,cat",
]  # fmt: skip
VOTES = counted([tuple(line.split(",")[k] for k in (0, 2)) for line in LINES])
SPLIT = {**TABLE, "columns": {"split": "Usage"}}
PARTS = {"train": ["Training"], "val": ["PublicTest"], "test": ["PrivateTest"]}
PUBLISHED = {"kind": "column", "parts": PARTS, "allow_missing_class": True}
FOUND = {"train": ["a.png", "b.png"], "val": ["c.png"], "test": ["d.png"]}
ABOUT = {**TABLE, "about_items": "about.csv"}


def written(*changes, about=None, names=IMAGES):
    """A writer of these images and of the table above, with (old, new) texts in it, and perhaps one about images."""

    def write(folder):
        images(folder / "images", names)
        text = HEAD + "\n".join(LINES) + "\n"
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        folder.joinpath("votes.csv").write_text(text)
        if about is not None:
            folder.joinpath("about.csv").write_text(about)

    return write


def of_cases(folder):
    images(folder / "images", ["case1/a.png", "case1/b.png", "case2/a.png"])
    folder.joinpath("votes.csv").write_text("item,annotator,label\ncase1,ann,cat\ncase2,ann,dog\n")


ROWS = "item,part,biopsy\na.png,train,cat\nb.png,train,\nc.png,val,dog\nd.png,test,dog\n"
FER = {
    **TABLE, "pixels": 16, "layout": "wide", "columns": {"item": "Image name", "split": "Usage"},
    "classes": ["neutral", "happiness", "unknown"],
}  # fmt: skip
TRUTH = {**TABLE, "columns": {"truth": "biopsy"}}

FORMS = [
    Form("published split", written(), SPLIT, votes=VOTES, annotators=2, split=PUBLISHED, parts=FOUND),
    Form("published split in a table of its own", written(about=ROWS), {**ABOUT, "columns": {"split": "part"}},
         votes=VOTES, split={"kind": "column", "allow_missing_class": True}, parts=FOUND),
    Form("published split in a table of its own, other names",
         written(about=ROWS.replace("item", "file")), {**ABOUT, "columns": {"split": "part", "about_item": "file"}},
         votes=VOTES, split={"kind": "column", "allow_missing_class": True}, parts=FOUND),
    Form("published split, a row of an image says another", written(("bob,dog,Training", "bob,dog,PublicTest")), SPLIT,
         error=r"line 3 gives the image 'a\.png' the part 'PublicTest', an earlier row 'Training'\. Give each image"),
    Form("published split, a row says nothing", written(("bob,dog,Training", "bob,dog,")), SPLIT, split=PUBLISHED,
         votes=VOTES, parts=FOUND),
    Form("published split, an image without", written(("ann,dog,Training", "ann,dog,")), SPLIT, split=PUBLISHED,
         error=r"split\.parts: found no value in column 'split' of 1 items \(the first is b\.png\)"),
    Form("published split, an unknown value", written(("ann,cat,PublicTest", "ann,cat,Publictest")), SPLIT,
         split=PUBLISHED, error=r"found 'Publictest' .*expected one of Training, PublicTest, PrivateTest\. Did you mean"
         r" 'PublicTest'\?"),
    Form("published split, one value in two parts", written(), SPLIT,
         split={**PUBLISHED, "parts": {**PARTS, "test": ["Training"]}},
         error=r"split\.parts: found 'Training' under train and test"),
    Form("published split, nothing for validation", written(("PublicTest", "Training")), SPLIT, split=PUBLISHED,
         error=r"part 'val' has no item .*split\.val_share"),
    Form("published split, nothing for test", written(("PrivateTest", "PublicTest")), SPLIT, split=PUBLISHED,
         error=r"part 'test' has no item .*List the values of its items in split\.parts\.test"),
    Form("published split, validation drawn", written(("PublicTest", "Training")), SPLIT,
         split={**PUBLISHED, "val_share": 0.34}, votes=VOTES, parts={"test": ["d.png"]}),
    Form("published split, validation drawn and given", written(), SPLIT, split={**PUBLISHED, "val_share": 0.5},
         error=r"split\.val_share: found 1 items in part 'val' already"),
    Form("published split by numbers", written(("Training", "0"), ("PublicTest", "1"), ("PrivateTest", "2")), SPLIT,
         votes=VOTES, parts=FOUND,
         split={"kind": "column", "parts": {"train": [0], "val": [1], "test": [2]}, "allow_missing_class": True}),
    Form("published split that was not kept", written(), TABLE, split=PUBLISHED,
         error=r"split\.column: items\.parquet has no column 'split'.*source\.columns\.split"),
    Form("a column for the split that is not there", written(), {**TABLE, "columns": {"split": "Use"}},
         error=r"found no column 'Use' \(source\.columns\.split\).*Did you mean 'Usage'"),
    Form("published split that separates a group", written(), {**TABLE, "columns": {"split": "Usage", "group": "label"},
         "label_by": "name"}, error=r"group"),
    Form("case usage_split", source=FER, **case("usage_split"), split={**PUBLISHED, "parts": PARTS},
         parts={"train": 24, "val": 8, "test": 8}),
    Form("votes on cases of several images", of_cases, TABLE,
         error=r"line 2: found 'case1', a folder of images \('case1' has 2\).*source\.columns\.group"),
    Form("a truth from elsewhere", written(), TRUTH, votes=VOTES,
         remark=r"3 of 4 images have a truth from elsewhere \(column 'biopsy'\)"),
    Form("a truth in a table of its own", written(about=ROWS), {**ABOUT, "columns": {"truth": "biopsy"}}, votes=VOTES,
         remark=r"3 of 4 images have a truth from elsewhere"),
    Form("a truth that rows do not agree on", written(("bob,dog,Training,cat", "bob,dog,Training,dog")), TRUTH,
         error=r"line 3 gives the image 'a\.png' the truth 'dog', an earlier row 'cat'"),
    Form("a truth of other classes", written((",cat\n", ",malignant\n")), TRUTH,
         error=r"found the truths 'malignant', expected classes of the votes: cat, dog"),
    Form("a truth that is empty", written(about="item,biopsy\na.png,\n"), {**ABOUT, "columns": {"truth": "biopsy"}},
         error=r"about\.csv: the column of source\.columns\.truth is empty"),
    Form("a table about images that names another", written(about=ROWS + "x.png,test,cat\n"),
         {**ABOUT, "columns": {"truth": "biopsy"}}, error=r"about\.csv: line 6: found no image 'x\.png'"),
]  # fmt: skip
