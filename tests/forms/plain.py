"""Plain tables of votes, which a run has always read."""

from . import Form, counted, text

IMAGES = ["a.png", "b.png", "sub/c.png"]
ROWS = [("a.png", "cat"), ("a.png", "dog"), ("b.png", "dog"), ("sub/c.png", "cat")]
LONG = "item,annotator,label\na.png,ann,cat\na.png,bob,dog\nb.png,ann,dog\nsub/c.png,bob,cat\n"
TABLE = {"kind": "table", "images": "images", "votes": "votes.csv"}

FORMS = [
    Form("long table", text("votes.csv", LONG, IMAGES), TABLE, votes=counted(ROWS), annotators=2),
    Form(
        "long table, an image that is not there",
        text("votes.csv", LONG.replace("b.png", "x.png"), IMAGES),
        TABLE,
        error=r"votes\.csv.*line 4.*x\.png",
    ),
]
