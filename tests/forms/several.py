"""Answers that are no vote of one person about one image."""

import json

from . import Form
from .exports import CLASSIFIED, LABELBOX, ROWS, TITLED, VOTES, ZOO, classified, file, label, lines, radio, row, table

BOTH = json.dumps({"1": {"#image_name": "a.png"}, "2": {"#image_name": "b.png"}})
BENCHMARK = {**label("gold", radio("dog")), "label_kind": "Benchmark"}

FORMS = [
    Form("zooniverse, several subjects in one classification",
         file("classifications.csv", table([*CLASSIFIED, classified("", "eve", "cat", subject_data=BOTH)])), ZOO,
         error=r"line 9: is a classification of 2 subjects, expected one"),
    Form("zooniverse, one subject each", file("classifications.csv", table(CLASSIFIED)), ZOO, votes=VOTES),
    Form("zooniverse, answers that are no classes",
         file("classifications.csv", table([classified("a.png", f"u{k}", {"x": 1}) for k in range(40)])), ZOO,
         error=r"line 2: found an object for an answer \(40 such answers\), .* source\.task to another question"),
    Form("labelbox, a benchmark beside labels", file("export.ndjson", lines([*ROWS, row("a.png", BENCHMARK)])),
         LABELBOX, votes=TITLED, remark="1 labels of the kind 'Benchmark' were left out"),
]  # fmt: skip
