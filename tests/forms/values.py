"""What cells hold: values that ``where`` wants, labels that are none or several, repeated votes, classes of labels."""

import numpy as np

from . import Form, case, counted, images, text

IMAGES = ["a.png", "b.png", "c.png"]
TABLE = {"kind": "table", "images": "images", "votes": "votes.csv"}
ROWS = [("a.png", "cat"), ("a.png", "dog"), ("b.png", "dog"), ("b.png", "dog"), ("c.png", "cat"), ("c.png", "cat")]
STATUS = ["Approved", "Rejected", "Approved", "Approved", "Approved", "Approved"]


def table(rows, header="item,annotator,label", files=IMAGES):
    """A writer of a table with these rows."""
    return text("votes.csv", "\n".join([header, *(",".join(row) for row in rows)]) + "\n", files)


def kept(name, values, where, votes=None, **told):
    """A table with a column ``v`` of these values, one a row of ROWS, of which ``where`` wants some."""
    rows = [(item, f"w{k}", label, value) for k, ((item, label), value) in enumerate(zip(ROWS, values, strict=True))]
    source = {**TABLE, "where": {"v": where}, "unvoted": "leave_out"}
    return Form(f"where: {name}", table(rows, "item,annotator,label,v"), source, votes=votes, **told)


def labelled(name, labels, votes=None, header="item,annotator,label", more=None, **told):
    """A table of these labels, two an image, by two people; ``more`` are options."""
    rows = [(IMAGES[k // 2], f"w{k % 2}", label) for k, label in enumerate(labels)]
    return Form(f"labels: {name}", table(rows, header), {**TABLE, **(more or {})}, votes=votes, **told)


def repeated(name, rows, repeats, votes=None, time=False, **told):
    """Votes (image, annotator, label and perhaps time) of which some are of one person on one image."""
    columns = {"columns": {"time": "when"}} if time else {}
    header = "item,annotator,label" + ",when" * time
    source = {**TABLE, **columns, **({"repeats": repeats} if repeats else {})}
    return Form(f"repeats: {name}", table(rows, header), source, votes=votes, **told)


ALL = counted(ROWS)
BUT_ONE = counted([row for row, status in zip(ROWS, STATUS, strict=True) if status == "Approved"])
TWICE = [("a.png", "Ann", "cat"), ("b.png", "Ann", "dog"), ("a.png", "Bob", "cat"), ("a.png", "Ann", "dog"),
         ("c.png", "Bob", "cat"), ("a.png", "Ann", "dog")]  # fmt: skip
TIMED = [(*row, when) for row, when in zip(TWICE, ["30", "1", "2", "10", "5", "20"], strict=True)]
DATED = [(*row[:3], f"2024-05-{int(row[3]):02d}T12:00:00Z") for row in TIMED]
ONCE = [("b.png", "dog"), ("a.png", "cat"), ("c.png", "cat")]
YES = ["yes", "no", "yes", "yes", "yes", "yes"]
NUMBERS = ["0.0", "1.0", "0.0", "0.0", "0.0", "0.0"]
TEN = [f"i{k:02d}.png" for k in range(12)]


def of_ten(rows):
    """A writer of a table with the rows on TEN."""
    return table(rows, files=TEN)


def matrix(folder):
    """Counts of three labels without names."""
    images(folder / "images", IMAGES)
    np.save(folder / "counts.npy", np.array([[1, 2, 0], [0, 1, 1], [3, 0, 0]]))


def shares(folder):
    """Distributions over three labels, with a header."""
    images(folder / "images", IMAGES)
    (folder / "p.csv").write_text("name,cat,kitten,dog\na.png,0.5,0.25,0.25\nb.png,0,0,1\nc.png,1,0,0\n")


SHARES = {"kind": "distributions", "images": "images", "distributions": "p.csv", "order": "name"}
PETS = {"cat": ["cat", "kitten"], "dog": "dog", "unsure": None}
FORMS = [
    Form("case where_not_typo", source={**TABLE, "pixels": 16, "where": {"AssignmentStatus": {"not": "Reject"}}},
        error=r"column 'AssignmentStatus' holds 'Rejected', 'Approved', but not 'Reject'\. The nearest is 'Rejected'",
        **case("where_not_typo")),
    Form("case twice", source={**TABLE, "pixels": 16}, error=r"are both votes of 'w0' on the image '000\.png'.*"
        r"source\.repeats", **case("twice")),
    Form("case missing_None", source={**TABLE, "pixels": 16}, error=r"the label 'None', which stands for none, in line "
        r"2 \(30 rows\).*source\.missing.*list it in source\.classes", **case("missing_None")),
    # where
    kept("a value", STATUS, "Approved", BUT_ONE, remark="1 of 6 rows were left out by `where`"),
    kept("without regard to case", STATUS, "approved", BUT_ONE),
    kept("not", STATUS, {"not": "Rejected"}, BUT_ONE),
    kept("a slip", STATUS, "Aproved", error=r"leaves no row: .*but not 'Aproved'\. The nearest is 'Approved'"),
    kept("one of two is not there", STATUS, ["Approved", "Rejcted"], error=r"not 'Rejcted'\. The nearest is 'Reject"),
    kept("nothing like it", STATUS, "Q", error=r"holds 'Approved', 'Rejected', but not 'Q'\. Correct source\.where"),
    kept("a blank in the cells", [f"{s} " for s in STATUS], "Approved", error=r"The nearest is 'Approved '"),
    kept("YAML's yes", YES, True, error=r"but not true, as which YAML reads yes and on\. The nearest is 'yes'"),
    kept("YAML's no, left out", YES, {"not": False}, error=r"not false, as which YAML reads no and off.*is 'no'"),
    kept("YAML's off", ["off", *["on"] * 5], {"not": False}, error=r"The nearest is 'off'"),
    kept("0 against 0.0", NUMBERS, 0, error=r"but not 0\. The nearest is '0\.0'"),
    kept("not 1 against 1.0", NUMBERS, {"not": 1}, error=r"excludes nothing: .*but not 1\. The nearest is '1\.0'"),
    kept("not, a shorter word", STATUS, {"not": "Reject"}, error=r"The nearest is 'Rejected'"),
    kept("not, a longer word", STATUS, {"not": "Rejected_by_us"}, error=r"The nearest is 'Rejected'"),
    kept("not, of a list", STATUS, {"not": ["Rejected", "Spammed"]}, BUT_ONE,
        remark=r"excluded nothing by 'Spammed', which column 'v' does not hold"),
    kept("not, nothing like it", STATUS, {"not": "spam"}, ALL, remark=r"excluded nothing by 'spam'"),
    kept("not, the opposite", ["sure"] * 6, {"not": "unsure"}, ALL, remark=r"excluded nothing by 'unsure'"),
    kept("not, another number", [f"worker-{k}" for k in range(6)], {"not": "worker-17"}, ALL, remark="excluded no"),
    kept("not empty, of missing words", ["nan", *["ok"] * 5], {"not": ""}, error=r"but not ''\. The nearest is 'nan'"),
    kept("not empty, of full cells", ["ok"] * 6, {"not": ""}, ALL, remark="excluded nothing by ''"),
    # missing labels
    *[
        labelled(f"missing: {word or 'empty'}", ["cat", word, "dog", "dog", word, "cat"],
            error=rf"{word or 'the label is empty'}.*\(2 rows\).*source\.missing to 'leave_out'")
        for word in ("", "None", "<NA>", "null", "N/A", "undefined", "nan", "NaN", "NULL", "NA", "#N/A")
    ],
    labelled("missing, left out", ["cat", "None", "dog", "", "nan", "cat"], counted([ROWS[0], ROWS[2], ROWS[4]]),
        more={"missing": "leave_out"}, remark=r"3 of 6 rows have no label \('None', empty, 'nan'\) and were left out"),
    labelled("missing, a class", ["cat", "None", "cat", "None", "cat", "None"],
        {image: {"cat": 1, "None": 1} for image in IMAGES}, more={"classes": ["cat", "None"]}),
    labelled("none in lower case is an answer", ["cat", "none"] * 3, {i: {"cat": 1, "none": 1} for i in IMAGES}),
    labelled("missing of numbers", ["0", "1", "nan", "1", "0", "1"], more={"label_by": "index"}, error="label 'nan'"),
    labelled("nothing but missing", ["None"] * 6, error=r"the label 'None'.*\(6 rows\)"),
    # labels that are several
    labelled("JSON", ['"{""choices"": [""cat""]}"', "dog"] * 3, error=r"looks like JSON \(1 such label\)"),
    labelled("a list", ["\"['cat']\"", "\"['dog']\""] * 3, error=r"looks like JSON \(2 such labels\)"),
    labelled("bars", ["cat|dog", "dog"] * 3, error=r"'cat\|dog', which looks like several classes.*source\.classes"),
    labelled("semicolons", ["cat;dog", "dog"] * 3, error=r"'cat;dog', which looks like several classes"),
    labelled("commas", ['"cat, dog"', "dog", "cat", "dog", "cat", "cat"], error=r"'cat, dog', which looks like sev"),
    labelled("a comma in a name", ['"dog, wild"', "cat"] * 3, {i: {"dog, wild": 1, "cat": 1} for i in IMAGES}),
    labelled("bars, a class", ["cat|dog", "dog"] * 3, {i: {"cat|dog": 1, "dog": 1} for i in IMAGES},
        more={"classes": ["cat|dog", "dog"]}),
    # repeats
    repeated("refused", TWICE, None, error=r"2 problems:.*line 2 and line 5 are both votes of 'Ann' on the image "
        r"'a\.png'\. Keep one, say with source\.repeats"),
    repeated("first, by row", TWICE, "first", counted([*ONCE, ("a.png", "cat")]), annotators=2,
        remark=r"In 1 case an annotator .*the first vote counts \(`repeats`: 1 by the order of rows\), and 2 others"),
    repeated("last, by row", TWICE, "last", counted([*ONCE, ("a.png", "dog")])),
    repeated("all", TWICE, "all", counted([*ONCE, ("a.png", "cat"), ("a.png", "dog"), ("a.png", "dog")]), annotators=2,
        remark=r"all 3 of these votes count"),
    repeated("first, by time", TIMED, "first", counted([*ONCE, ("a.png", "dog")]), time=True, remark="1 by time"),
    repeated("last, by time", TIMED, "last", counted([*ONCE, ("a.png", "cat")]), time=True),
    repeated("last, by date", DATED, "last", counted([*ONCE, ("a.png", "cat")]), time=True, remark="1 by time"),
    repeated("last, a time is not known", [*TIMED[:-1], (*TWICE[-1], "")], "last", counted([*ONCE, ("a.png", "dog")]),
        time=True, remark="1 by the order of rows"),
    repeated("no time", [(*row, "soon") for row in TWICE], "last", time=True, error=r"column 'when': found 'soon', "
        r"expected a number, a date and time"),
    repeated("nobody votes twice", TWICE[:3] + TWICE[4:5], "last",
        counted([*ONCE, ("a.png", "cat")])),
    # classes made of labels
    labelled("merged, renamed, dropped", ["cat", "kitten", "hound", "unsure", "kitten", "cat"],
        {"a.png": {"cat": 2}, "b.png": {"dog": 1}, "c.png": {"cat": 2}},
        more={"classes": {**PETS, "dog": ["hound"]}},
        remark=r"1 vote for 'unsure' was left out, as `classes` says\.\nThe class 'cat' is made of the labels 'cat' "
        r"and 'kitten'\.\nThe class 'dog' is made of the label 'hound'\."),
    labelled("a label that the mapping forgets", ["cat", "kitten", "dog", "wolf", "cat", "cat"], more={"classes": PETS},
        error=r"line 5: found no label 'wolf'"),
    labelled("a label in two classes", ["cat", "dog"] * 3, more={"classes": {"a": ["cat", "dog"], "b": ["dog"]}},
        error="names the label 'dog' twice"),
    labelled("all votes of an image dropped", ["cat", "dog", "unsure", "unsure", "cat", "dog"], more={"classes": PETS},
        error=r"b\.png: found no vote.*source\.unvoted"),
    labelled("numbers merged", ["1", "2", "5", "4", "3", "3"],
        {"a.png": {"low": 2}, "b.png": {"high": 2}, "c.png": {"middle": 2}},
        more={"classes": {"low": [1, 2], "middle": 3, "high": [4, 5]}}),
    labelled("numbers merged, by index", ["0", "1", "2", "2", "0", "1"],
        {"a.png": {"b": 1, "a": 1}, "b.png": {"a": 2}, "c.png": {"b": 1, "a": 1}},
        more={"classes": {"a": [2, 1], "b": [0]}, "label_by": "index"}),
    labelled("a missing word dropped", ["cat", "None", "dog", "dog", "cat", "cat"],
        {"a.png": {"cat": 1}, "b.png": {"dog": 2}, "c.png": {"cat": 2}},
        more={"classes": {"cat": "cat", "dog": "dog", "None": None}}, remark="1 vote for 'None' was left out"),
    Form("counts merged", matrix, {"kind": "counts", "images": "images", "counts": "counts.npy",
        "classes": {"x": [2, 0], "y": 1}}, votes={"a.png": {"x": 1, "y": 2}, "b.png": {"x": 1, "y": 1},
        "c.png": {"x": 3}}),
    Form("counts merged, one forgotten", matrix, {"kind": "counts", "images": "images", "counts": "counts.npy",
        "classes": {"x": [2], "y": 1}}, error="does not say what becomes of the label '0'"),
    Form("shares merged", shares, {**SHARES, "classes": {"dog": "dog", "cat": ["cat", "kitten"]}},
        remark="The class 'cat' is made of the labels 'cat' and 'kitten'"),
    Form("shares dropped", shares, {**SHARES, "classes": {"dog": "dog", "cat": "cat", "kitten": None}},
        error="'kitten' is null, but it has a share"),
    # few votes
    labelled("minimum_votes", ["cat", "dog", "dog", "unsure", "cat", "dog"], {i: {"cat": 1, "dog": 1} for i in
        ("a.png", "c.png")}, more={"classes": PETS, "minimum_votes": 2},
        remark=r"1 of 3 images have fewer than 2 votes \(`minimum_votes`\) and were left out, with their 1 vote"),
    labelled("minimum_votes, nothing left", ["cat", "dog"] * 3, more={"minimum_votes": 3},
        error=r"source\.minimum_votes: found 3, but no image has more than 2 votes"),
    # ordinal classes: the order of the classes is looked at in test_values
    Form("numbers of two digits", of_ten([(name, "w", str(k)) for k, name in enumerate(TEN)]), TABLE,
        votes={name: {str(k): 1} for k, name in enumerate(TEN)}, remark=r"in the order of these: 0, 1, 2, 3"),
]  # fmt: skip
