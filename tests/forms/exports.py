"""Exports of annotation tools as they leave them; the votes of each are counted by hand."""

import csv
import io
import json

from . import Form, counted, images

NAMES = ["a.png", "b.png", "sub/c.png"]
# Who saw what, by hand: what each export below must come to.
VOTES = counted([("a.png", "cat"), ("a.png", "dog"), ("b.png", "dog"), ("b.png", "dog"), ("sub/c.png", "cat")])
FINDING = counted(
    [("a.png", "cat"), ("a.png", "not cat"), ("b.png", "not cat"), ("b.png", "cat"), ("sub/c.png", "cat")]
)


def file(name, content, names=NAMES):
    """A writer of ``images/`` and one file: text, or a JSON document."""

    def write(folder):
        images(folder / "images", names)
        text = content if isinstance(content, str) else json.dumps(content)
        folder.joinpath(name).write_text(text, encoding="utf-8", newline="")

    return write


def lines(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def table(rows, separator=","):
    """Rows (dicts) as CSV, as a program writes it."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, restval="", delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


# -- Label Studio ------------------------------------------------------------------------------------------------------


def choice(value, name="kind"):
    return {"from_name": name, "to_name": "img", "type": "choices", "value": {"choices": value}}


def task(number, image, *annotations, key="annotations", **more):
    return {"id": number, "data": {"image": image, "patient": f"p{number}"}, key: list(annotations), **more}


def annotation(who, *result, **more):
    return {"id": 1, "completed_by": who, "created_at": "2024-05-02T09:10:11.5Z", "result": list(result), **more}


UPLOADED = [
    task(
        7,
        "/data/upload/3/9c1e04ab-a.png",
        annotation(4, choice(["cat"])),
        annotation({"id": 5, "email": "bob@x.org"}, choice(["dog"])),
        annotation(6, choice(["dog"]), was_cancelled=True),
        annotation(9, choice(["dog"]), ground_truth=True),
        drafts=[{"result": []}],
        predictions=[{"result": [choice(["dog"])]}],
    ),
    task(8, "/data/upload/3/00000b0b-b.png", annotation(4, choice(["dog"])), annotation(6, choice(["dog"]))),
    task(9, "/data/upload/3/deadbeef-c.png", annotation(4, choice(["cat"])), annotation(6), 77),
]
STUDIO = {"kind": "label_studio", "images": "images", "votes": "export.json"}


def changed(tasks, change):
    """A copy of an export whose annotations are changed."""
    tasks = json.loads(json.dumps(tasks))
    for each in tasks:
        for one in each["annotations"]:
            if isinstance(one, dict):
                change(one)
    return tasks


def asked_twice(one):
    one["result"] += [choice(["bad"], "quality")] if one["result"] else []


def several(one):
    if one["completed_by"] == 6 and not one.get("was_cancelled") and one["result"]:
        one["result"] = [choice(["cat", "dog"])]


LOCAL = [
    task(1, "/data/local-files/?d=pets/a%20b.png", annotation(1, choice(["cat"])), annotation(2, choice(["dog"]))),
    task(2, "s3://bucket/pets/c.png", annotation(1, choice(["dog"]))),
]
RATED = changed(UPLOADED, lambda one: [r.update(type="rating", value={"rating": 4 if r["value"]["choices"] == ["cat"]
                                                                      else 2}) for r in one["result"]])  # fmt: skip
OLD = [
    {**{k: v for k, v in each.items() if k != "annotations"}, "completions": each["annotations"]} for each in UPLOADED
]
CLOUD = [
    {**one, "task": {"id": each["id"], "data": each["data"]}}
    for each in UPLOADED
    for one in each["annotations"]
    if isinstance(one, dict)
]
MIN = [
    {"id": number, "image": f"/data/upload/3/9c1e04ab-{image}", "kind": label, "annotator": who,
     "annotation_id": place, "created_at": "2024-05-02T09:10:11Z", "updated_at": "2024-05-02T09:10:12Z",
     "lead_time": 6.2}
    for place, (number, image, label, who) in enumerate([
        (7, "a.png", "cat", 4), (7, "a.png", "dog", "bob@x.org"), (8, "b.png", "dog", 4), (8, "b.png", "dog", "None"),
        (9, "c.png", "cat", 4)])
]  # fmt: skip
UNDECIDED = [*MIN, {**MIN[0], "kind": "", "annotator": 8}]
PATIENTS = [{**row, "patient": f"p{row['id']}"} for row in MIN]
BOTH = [{**row, "kind": {"choices": ["cat", "dog"]} if row["annotator"] == "bob@x.org" else row["kind"]} for row in MIN]
BOTH_CSV = [{**row, "kind": json.dumps(row["kind"]) if isinstance(row["kind"], dict) else row["kind"]} for row in BOTH]
REGIONS = [{"x": 1, "y": 2, "width": 3, "height": 4, "rectanglelabels": ["fracture"]}]
BOXED = [{**row, "a_box": json.dumps(REGIONS) if number % 2 else ""} for number, row in enumerate(MIN)]

LATER = [*UPLOADED, task(10, "/data/upload/3/deadbeef-c.png",
                         annotation(4, choice(["dog"]), created_at="2025-05-02T09:10:11.5Z"))]  # fmt: skip

LABEL_STUDIO = [
    Form("label studio, json: one person twice", file("export.json", LATER), STUDIO,
         error=r"task 9 and task 10 are both votes of '4' on the image 'sub/c\.png'.*source\.repeats"),
    Form("label studio, json: the last vote of one person", file("export.json", LATER), {**STUDIO, "repeats": "last"},
         votes={**VOTES, "sub/c.png": {"dog": 1}}, remark="the last vote counts"),
    Form("label studio, json: images without votes", file("export.json", UPLOADED, [*NAMES, "d.png"]), STUDIO,
         error=r"d\.png: found no vote for this image \(1 of 4 images have none\)"),
    Form("label studio, json", file("export.json", UPLOADED), STUDIO, votes=VOTES, annotators=3,
         remark=r"1 cancelled \(skipped\) annotations.*left out"),
    Form("label studio, json: ground truth", file("export.json", UPLOADED), {**STUDIO, "ground_truth": "keep"},
         votes={**VOTES, "a.png": {"cat": 1, "dog": 2}}),
    Form("label studio, json: numbers of drafts and predictions",
         file("export.json", [{**each, "drafts": 2, "predictions": 3} for each in UPLOADED]), STUDIO, votes=VOTES),
    Form("label studio, json: results that are no lists",
         file("export.json", [task(1, "a.png", {"id": 1, "completed_by": 7, "result": 5})]), STUDIO,
         error="found only empty results, expected results of type choices or rating"),
    Form("label studio, json: uploads with the hash of a whole UUID, and a key beside them",
         file("export.json", [task(each["id"], f"{'0123456789abcdef' * 2}_{name[-5:]}", *each["annotations"])
                              for each, name in zip(UPLOADED, NAMES, strict=True)]), STUDIO, votes=VOTES),
    Form("label studio, json: names without leading zeros, and a key beside them",
         file("export.json", [task(each["id"], f"{i}.png", *each["annotations"]) for i, each in enumerate(UPLOADED)],
              ["000.png", "001.png", "002.png"]), STUDIO,
         votes=dict(zip(["000.png", "001.png", "002.png"], VOTES.values(), strict=True))),
    Form("label studio, json: what is left out", file("export.json", UPLOADED), STUDIO, votes=VOTES,
         remark=r"(?s)1 annotations marked as ground truth.*1 annotations of which only.*without an answer to 'kind'"),
    Form("label studio, json: drafts and predictions", file("export.json", UPLOADED), STUDIO, votes=VOTES,
         remark=r"1 drafts were left out\.\n1 predictions of models were left out\."),
    Form("label studio, json, images with the prefix of uploads",
         file("export.json", UPLOADED, ["9c1e04ab-a.png", "00000b0b-b.png", "deadbeef-c.png"]), STUDIO,
         votes={"00000b0b-b.png": VOTES["b.png"], "9c1e04ab-a.png": VOTES["a.png"],
                "deadbeef-c.png": VOTES["sub/c.png"]}),
    Form("label studio, json of local files", file("export.json", LOCAL, ["pets/a b.png", "pets/c.png"]), STUDIO,
         votes={"pets/a b.png": {"cat": 1, "dog": 1}, "pets/c.png": {"dog": 1}}),
    Form("label studio, json before 1.0", file("export.json", OLD), STUDIO, votes=VOTES),
    Form("label studio, annotations from cloud storage", file("export.json", CLOUD), STUDIO, votes=VOTES),
    Form("label studio, json: ratings", file("export.json", RATED), STUDIO,
         votes={"a.png": {"4": 1, "2": 1}, "b.png": {"2": 2}, "sub/c.png": {"4": 1}}),
    Form("label studio, json: two questions", file("export.json", changed(UPLOADED, asked_twice)), STUDIO,
         error=r"export\.json: found 2 questions: kind, quality; .*Set source\.question to one"),
    Form("label studio, json: one of two questions", file("export.json", changed(UPLOADED, asked_twice)),
         {**STUDIO, "question": "kind"}, votes=VOTES),
    Form("label studio, json: a question that is not there", file("export.json", UPLOADED),
         {**STUDIO, "question": "knd"}, error=r"no question 'knd' \(source\.question\) among kind\. Did you mean 'kin"),
    Form("label studio, json: several choices", file("export.json", changed(UPLOADED, several)), STUDIO,
         error=r"task 8: found 2 choices in one answer \(cat, dog; 1 such answers\).*source\.finding.*source\.several"),
    Form("label studio, json: several choices are left out", file("export.json", changed(UPLOADED, several)),
         {**STUDIO, "several": "leave_out"}, votes={**VOTES, "b.png": {"dog": 1}},
         remark="1 answers with several choices were left out"),
    Form("label studio, json: a finding among several", file("export.json", changed(UPLOADED, several)),
         {**STUDIO, "finding": "cat"}, votes=FINDING),
    Form("label studio, json: a finding that nobody made", file("export.json", UPLOADED), {**STUDIO, "finding": "cta"},
         error=r"nobody who chose 'cta' \(source\.finding\) among cat, dog\. Did you mean 'cat'\?"),
    Form("label studio, json: an image key that is not there", file("export.json", UPLOADED),
         {**STUDIO, "image": "picture"}, error=r"no key that could name the image 'picture'.*among image, patient"),
    Form("label studio, json: other images", file("export.json", UPLOADED, ["x.png", "y.png"]), STUDIO,
         error=r"no key that names images in .*images \('x\.png' is one of them\) among image \('/data.*a\.png'\), "
               r"patient \('p7'\)\. Set source\.image"),
    Form("label studio, json without annotations", file("export.json", [task(1, "a.png"), task(2, "b.png")]), STUDIO,
         error=r"export\.json: found no vote among its annotations\. Export the file again"),
    Form("label studio, json of boxes",
         file("export.json", [task(1, "a.png", annotation(1, {"type": "rectanglelabels", "value": {}}))]), STUDIO,
         error="found results of type rectanglelabels, expected results of type choices or rating"),
    Form("label studio, another json", file("export.json", {"images": [], "categories": []}), STUDIO,
         error=r"export\.json: found an object with the keys images, categories, expected an export of Label "
               r"Studio .*softlabels check export\.json"),
    Form("label studio, half a json", file("export.json", '[{"id": 1,'), STUDIO, error=r"cannot be read as JSON"),
    Form("label studio, json-min", file("export.json", MIN), STUDIO, votes=VOTES, annotators=2),
    Form("label studio, json-min: an answer is missing", file("export.json", UNDECIDED), STUDIO, votes=VOTES,
         remark="1 annotations without an answer to 'kind' were left out"),
    Form("label studio, json-min: data beside the question", file("export.json", PATIENTS), STUDIO,
         error=r"found 2 columns that could be the question: kind, patient;.*Set source\.question"),
    Form("label studio, json-min: the question is named", file("export.json", PATIENTS), {**STUDIO, "question": "kind"},
         votes=VOTES),
    Form("label studio, json-min: several choices", file("export.json", BOTH), STUDIO,
         error=r"task 7: found 2 choices in one answer"),
    Form("label studio, csv", file("export.csv", table(MIN)), {**STUDIO, "votes": "export.csv"}, votes=VOTES,
         annotators=2),
    Form("label studio, tsv", file("export.tsv", table(MIN, "\t")), {**STUDIO, "votes": "export.tsv"}, votes=VOTES),
    Form("label studio, csv: boxes beside choices", file("export.csv", table(BOXED)),
         {**STUDIO, "votes": "export.csv"}, votes=VOTES),
    Form("label studio, json-min: boxes beside choices",
         file("export.json", [{**row, "a_box": REGIONS} for row in MIN]), STUDIO, votes=VOTES),
    Form("label studio, csv: several choices", file("export.csv", table(BOTH_CSV)), {**STUDIO, "votes": "export.csv"},
         error=r"task 7: found 2 choices in one answer"),
    Form("label studio, csv: a finding among several", file("export.csv", table(BOTH_CSV)),
         {**STUDIO, "votes": "export.csv", "finding": "dog"},
         votes=counted([("a.png", "not dog"), *[("a.png", "dog"), ("b.png", "dog")], ("b.png", "dog"),
                        ("sub/c.png", "not dog")])),
    Form("label studio, another csv", file("export.csv", "item,label\na.png,cat\n"), {**STUDIO, "votes": "export.csv"},
         error=r"export\.csv: found the columns item, label, expected an export of Label Studio.*softlabels check"),
]  # fmt: skip

# -- Labelbox ----------------------------------------------------------------------------------------------------------

LABELBOX = {"kind": "labelbox", "images": "images", "votes": "export.ndjson"}


def radio(value, name="kind", **more):
    return {"name": name, "radio_answer": {"name": value.title(), "value": value, "classifications": [], **more}}


def boxes(*values):
    return {"name": "kind", "checklist_answers": [{"name": v.title(), "value": v} for v in values]}


def label(who, *answers, skipped=False, details=True):
    about = {"label_details": {"created_by": who, "created_at": "2024-04-08T16:21:26.000+00:00"}} if details else {}
    performance = {"performance_details": {"skipped": skipped}} if details else {}
    return {"id": "cll", "label_kind": "Default", **about, **performance,
            "annotations": {"objects": [], "classifications": list(answers)}}  # fmt: skip


def row(image, *labels, project="clp9", key="global_key"):
    data = {"id": f"cl{image}", key: image, "row_data": f"https://h/{image}?signature=1"}
    return {"data_row": data, "projects": {project: {"name": f"of {project}", "labels": list(labels)}}}


ROWS = [
    row("a.png", label("ann", radio("cat")), label("bob", radio("dog")), label("cem", skipped=True)),
    row("b.png", label("ann", radio("dog")), label("bob", radio("dog"))),
    row("c.png", label("ann", radio("cat")), label("bob")),
]
TITLED = {name: {key.title(): n for key, n in of.items()} for name, of in VOTES.items()}
EXTERNAL = [
    row(each["data_row"]["global_key"], *each["projects"]["clp9"]["labels"], key="external_id") for each in ROWS
]
UNKNOWN = [row("a.png", label("", radio("cat"), details=False), label("", radio("dog"), details=False)),
           row("b.png", label("", radio("dog"), details=False))]  # fmt: skip
CHECKED = [row("a.png", label("ann", boxes("cat", "dog")), label("bob", boxes("dog"))),
           row("b.png", label("ann", boxes()))]  # fmt: skip
TABBY = radio("cat", classifications=[radio("tabby", "breed")])
NESTED = [row("a.png", label("ann", TABBY), label("bob", radio("dog"))), row("b.png", label("ann", radio("dog")))]
FIRST = [
    {"ID": "1", "DataRow ID": "d", "Labeled Data": f"https://h/{image}", "External ID": image, "Created By": who,
     "Created At": "2021-04-08T16:21:26.000Z", "Skipped": skipped, "Agreement": -1,
     "Label": {"objects": [], "classifications": [{"title": "kind", "value": "kind",
                                                   "answer": {"title": value.title(), "value": value}}]}}
    for image, who, value, skipped in [("a.png", "ann", "cat", False), ("a.png", "bob", "dog", False),
                                       ("a.png", "cem", "dog", True), ("b.png", "ann", "dog", False),
                                       ("b.png", "bob", "dog", False), ("c.png", "ann", "cat", False)]
]  # fmt: skip

ADDRESSES = [{**each, "data_row": {"id": "x", "row_data": f"https://h.org/b/{each['data_row']['global_key']}?key=1&t=2"}}
             for each in ROWS]  # fmt: skip

LABELBOX_FORMS = [
    Form("labelbox, images by address", file("export.ndjson", lines(ADDRESSES)), LABELBOX, votes=TITLED),
    Form("labelbox, everything skipped", file("export.ndjson", lines([row("a.png", label("a", skipped=True))])),
         LABELBOX, error=r"found no vote among its labels: 1 skipped labels were left out"),
    Form("labelbox, ndjson", file("export.ndjson", lines(ROWS)), LABELBOX, votes=TITLED, annotators=2,
         remark=r"(?s)1 skipped labels were left out.*1 labels without an answer to 'kind'"),
    Form("labelbox, json", file("export.json", ROWS), {**LABELBOX, "votes": "export.json"}, votes=TITLED),
    Form("labelbox, images by external id", file("export.ndjson", lines(EXTERNAL)), LABELBOX, votes=TITLED),
    Form("labelbox, classes by value", file("export.ndjson", lines(ROWS)), {**LABELBOX, "classes": ["dog", "cat"]},
         votes=VOTES),
    Form("labelbox without details", file("export.ndjson", lines(UNKNOWN), NAMES[:2]), LABELBOX,
         votes={"a.png": {"Cat": 1, "Dog": 1}, "b.png": {"Dog": 1}}, annotators=0),
    Form("labelbox, checklist", file("export.ndjson", lines(CHECKED), NAMES[:2]), LABELBOX,
         error=r"line 1: found 2 choices in one answer \(Cat, Dog;.*source\.finding"),
    Form("labelbox, a finding of a checklist", file("export.ndjson", lines(CHECKED), NAMES[:2]),
         {**LABELBOX, "finding": "Cat"}, votes={"a.png": {"Cat": 1, "not Cat": 1}, "b.png": {"not Cat": 1}}),
    Form("labelbox, a question below another", file("export.ndjson", lines(NESTED), NAMES[:2]), LABELBOX,
         error=r"found 2 questions: kind, breed"),
    Form("labelbox, the upper question", file("export.ndjson", lines(NESTED), NAMES[:2]),
         {**LABELBOX, "question": "kind"}, votes={"a.png": {"Cat": 1, "Dog": 1}, "b.png": {"Dog": 1}}),
    Form("labelbox, two projects",
         file("export.ndjson", lines([*ROWS, row("a.png", label("dan", radio("dog")), project="clp7")])), LABELBOX,
         error=r"found 2 projects: clp9, clp7; .*Set source\.project"),
    Form("labelbox, a project by its name",
         file("export.ndjson", lines([*ROWS, row("a.png", label("dan", radio("dog")), project="clp7")])),
         {**LABELBOX, "project": "of clp9"}, votes=TITLED),
    Form("labelbox, first version", file("export.json", FIRST), {**LABELBOX, "votes": "export.json"}, votes=TITLED,
         annotators=2, remark="1 skipped labels"),
    Form("labelbox, another jsonl", file("export.ndjson", lines([{"image": "a.png"}])), LABELBOX,
         error=r"found an object with the keys image, expected an export of Labelbox"),
    Form("labelbox, a broken line", file("export.ndjson", lines(ROWS) + '{"data_row": \n'), LABELBOX,
         error=r"export\.ndjson: line 4 is not JSON"),
]  # fmt: skip

# -- Prodigy -----------------------------------------------------------------------------------------------------------

PRODIGY = {"kind": "prodigy", "images": "images", "votes": "export.jsonl"}
OPTIONS = [{"id": "cat", "text": "Cat"}, {"id": "dog", "text": "Dog"}]


def answered(image, who, accept, answer="accept", **more):
    return {"image": image, "options": OPTIONS, "accept": accept, "answer": answer, "_input_hash": 1, "_task_hash": 2,
            "_timestamp": 1707211049, "_annotator_id": who, "_session_id": who,
            **more}  # fmt: skip


CHOICES = [
    answered("a.png", "pets-ann", ["cat"]), answered("a.png", "pets-bob", ["dog"]),
    answered("b.png", "pets-ann", ["dog"]), answered("b.png", "pets-bob", ["dog"]),
    answered("c.png", "pets-ann", ["cat"]), answered("c.png", "pets-bob", ["dog"], "reject"),
    answered("c.png", "pets-cem", [], "ignore"),
]  # fmt: skip
SESSIONS = [{**{k: v for k, v in each.items() if k != "_annotator_id"}, "_session_id": "2024-02-06_10-17-19"}
            for each in CHOICES]  # fmt: skip
ENCODED = [{**each, "image": "data:image/png;base64,iVBORw0", "meta": {"file": each["image"]}} for each in CHOICES]
BINARY = [
    {"image": image, "label": "cat", "answer": answer, "_annotator_id": who}
    for image, who, answer in [("a.png", "ann", "accept"), ("a.png", "bob", "reject"), ("b.png", "ann", "reject"),
                               ("b.png", "bob", "reject"), ("c.png", "ann", "accept"), ("c.png", "bob", "ignore")]
]  # fmt: skip

PRODIGY_FORMS = [
    Form("prodigy, choices", file("export.jsonl", lines(CHOICES)), PRODIGY, votes=VOTES, annotators=2,
         remark=r"1 rejected tasks were left out\.\n1 ignored tasks were left out"),
    Form("prodigy, sessions without a name", file("export.jsonl", lines(SESSIONS)), PRODIGY, votes=VOTES, annotators=0,
         remark="5 votes of sessions without a name are of unknown people"),
    Form("prodigy, images in the file, names in meta", file("export.jsonl", lines(ENCODED)), PRODIGY, votes=VOTES),
    Form("prodigy, images in the file alone",
         file("export.jsonl", lines([{k: v for k, v in each.items() if k != "meta"} for each in ENCODED])), PRODIGY,
         error=r"the images are in the file itself"),
    Form("prodigy, binary", file("export.jsonl", lines(BINARY)), PRODIGY,
         votes=counted([("a.png", "cat"), ("a.png", "not cat"), *[("b.png", "not cat")] * 2, ("sub/c.png", "cat")])),
    Form("prodigy, a choice that is no list", file("export.jsonl", lines([*CHOICES, answered("b.png", "z", "cat")])),
         PRODIGY, error=r"export\.jsonl: line 8: found 'cat' for 'accept', expected a list of ids\. Export"),
    Form("prodigy, a number for a choice", file("export.jsonl", lines([answered("b.png", "z", 3), *CHOICES])),
         PRODIGY, error=r"export\.jsonl: line 1: found 3 for 'accept', expected a list of ids\. Export"),
    Form("prodigy, a list for an answer",
         file("export.jsonl", lines([*CHOICES, answered("b.png", "z", [], ["accept"])])), PRODIGY,
         error=r"line 8: found a list for 'answer', expected accept, reject or ignore"),
    Form("prodigy, binary tasks of two labels",
         file("export.jsonl", lines([*BINARY, {**BINARY[0], "label": "dog", "image": "b.png"}])), PRODIGY,
         votes=counted([("a.png", "cat"), ("b.png", "dog"), ("sub/c.png", "cat")]),
         remark="3 rejected tasks were left out"),
    Form("prodigy, several choices", file("export.jsonl", lines([*CHOICES, answered("b.png", "z", ["cat", "dog"])])),
         PRODIGY, error=r"line 8: found 2 choices in one answer"),
    Form("prodigy, decisions of a review", file("export.jsonl", lines([{**CHOICES[0], "versions": []}])), PRODIGY,
         error="decisions of the recipe 'review'"),
    Form("prodigy, another jsonl", file("export.jsonl", lines([{"file_name": "a.png", "label": 1}])), PRODIGY,
         error=r"found an object with the keys file_name, label, expected a data set of Prodigy"),
    Form("prodigy, all ignored", file("export.jsonl", lines([CHOICES[-1]])), PRODIGY,
         error=r"found no vote among its tasks: 1 ignored tasks were left out\."),
]  # fmt: skip

# -- Zooniverse --------------------------------------------------------------------------------------------------------

ZOO = {"kind": "zooniverse", "images": "images", "votes": "classifications.csv"}


def classified(image, user, value, task="T0", workflow=12, version="13.10", live=True, **more):
    given = [{"task": task, "task_label": "Kind?", "value": value}, {"task": "T1", "value": ["Red", "Big"]}]
    return {
        "classification_id": 1, "user_name": user, "user_id": "" if user.startswith("not") else 7, "user_ip": "f00",
        "workflow_id": workflow, "workflow_name": f"of {workflow}", "workflow_version": version,
        "created_at": "2025-01-29 17:36:51 UTC", "gold_standard": "", "expert": "",
        "metadata": json.dumps({"live_project": live}), "annotations": json.dumps(given[:1] if task != "T2" else given),
        "subject_data": json.dumps({"458021": {"retired": None, "#image_name": image, "Site": "north"}}),
        "subject_ids": 458021, **more,
    }  # fmt: skip


CLASSIFIED = [
    classified("a.png", "ann", "cat"), classified("a.png", "not-logged-in-1f2e", "dog"),
    classified("b.png", "ann", "dog"), classified("b.png", "not-logged-in-1f2e", "dog"),
    classified("c.png", "ann", "cat"), classified("c.png", "bob", None),
    classified("c.png", "cem", "dog", live=False),
]  # fmt: skip
LATER = [
    *CLASSIFIED,
    classified("c.png", "dan", "dog", version="13.1"),
    classified("c.png", "eve", "dog", version="14.2"),
]
ELSEWHERE = [*CLASSIFIED, classified("c.png", "dan", "dog", workflow=14)]
TASKS = [*CLASSIFIED, classified("c.png", "dan", "dog", task="T2")]

AGAIN = [*CLASSIFIED, classified("c.png", "ann", "dog")]

ZOONIVERSE = [
    Form("zooniverse, classified twice", file("classifications.csv", table(AGAIN)), ZOO,
         error=r"line 6 and line 9 are both votes of 'ann' on the image 'sub/c\.png'.*source\.repeats"),
    Form("zooniverse, the first of two", file("classifications.csv", table(AGAIN)), {**ZOO, "repeats": "first"},
         votes=VOTES, remark="the first vote counts"),
    Form("zooniverse", file("classifications.csv", table(CLASSIFIED)), ZOO, votes=VOTES, annotators=1,
         remark=r"(?s)before the project was live were.*without an answer to T0.*2 votes are of people who were not"),
    Form("zooniverse, logged out by address", file("classifications.csv", table(CLASSIFIED)),
         {**ZOO, "logged_out": "address"}, votes=VOTES, annotators=2),
    Form("zooniverse, logged out are left out", file("classifications.csv", table(CLASSIFIED)),
         {**ZOO, "logged_out": "leave_out"}, votes=counted([("a.png", "cat"), ("b.png", "dog"), ("sub/c.png", "cat")])),
    Form("zooniverse, tests of the project are kept", file("classifications.csv", table(CLASSIFIED)),
         {**ZOO, "test": "keep"}, votes={**VOTES, "sub/c.png": {"cat": 1, "dog": 1}}),
    Form("zooniverse, several versions", file("classifications.csv", table(LATER)), ZOO,
         votes={**VOTES, "sub/c.png": {"cat": 1, "dog": 2}}, remark=r"of 2 versions of the workflow \(13, 14\)"),
    Form("zooniverse, one version", file("classifications.csv", table(LATER)), {**ZOO, "versions": ["13.10"]},
         votes=VOTES, remark="2 classifications of other versions were left out"),
    Form("zooniverse, all of a version", file("classifications.csv", table(LATER)), {**ZOO, "versions": ["13"]},
         votes={**VOTES, "sub/c.png": {"cat": 1, "dog": 1}}),
    Form("zooniverse, a version that is not there", file("classifications.csv", table(LATER)),
         {**ZOO, "versions": ["12.1"]}, error=r"no version '12\.1' \(source\.versions\) among 13\.10, 13\.1, 14\.2"),
    Form("zooniverse, two workflows", file("classifications.csv", table(ELSEWHERE)), ZOO,
         error=r"classifications of 2 workflows, 12 \(of 12\), 14 \(of 14\)\. Set source\.workflow"),
    Form("zooniverse, one of two workflows", file("classifications.csv", table(ELSEWHERE)), {**ZOO, "workflow": 12},
         votes=VOTES),
    Form("zooniverse, several tasks", file("classifications.csv", table(TASKS)), ZOO,
         error=r"found 3 tasks: T0, T2, T1;.*Set source\.task"),
    Form("zooniverse, one task of several", file("classifications.csv", table(TASKS)), {**ZOO, "task": "T0"},
         votes=VOTES, remark="2 classifications without an answer to T0"),
    Form("zooniverse, annotations that a spreadsheet cut",
         file("classifications.csv", table([{**CLASSIFIED[0], "annotations": '[{"task":"T0","value":"Ca'}])), ZOO,
         error=r"classifications\.csv: line 2: 'annotations' is not the JSON of Zooniverse"),
    Form("zooniverse, another csv", file("classifications.csv", "item,label\na.png,cat\n"), ZOO,
         error=r"found the columns item, label, expected classifications of Zooniverse"),
]  # fmt: skip

# -- Mechanical Turk ---------------------------------------------------------------------------------------------------

MTURK = {"kind": "mturk", "images": "images", "votes": "batch.csv"}
ASSIGNED = [
    ("a.png", "W1", "cat", "Approved"), ("a.png", "W2", "dog", "Submitted"), ("a.png", "W3", "dog", "Rejected"),
    ("b.png", "W1", "dog", "Approved"), ("b.png", "W2", "dog", "Approved"), ("c.png", "W1", "cat", "Approved"),
]  # fmt: skip


def assigned(**answer):
    """A batch whose assignments have these answers: columns, each a function of the label."""
    return table([
        {"HITId": image, "WorkerId": who, "AssignmentStatus": status, "SubmitTime": "Thu Oct 09 07:30:20 UTC 2025",
         "WorkTimeInSeconds": 8, "Input.image_url": image, "Input.gt_label": "cat",
         **{f"Answer.{name}": make(value) for name, make in answer.items()}, "Approve": "", "Reject": ""}
        for image, who, value, status in ASSIGNED
    ])  # fmt: skip


def as_json(make):
    return lambda value: json.dumps([make(value)])


MTURK_FORMS = [
    Form("mturk, images by address",
         file("batch.csv", assigned(kind=str).replace(",a.png,cat", ",https://h.org/a.png,cat")
              .replace(",b.png,cat", ",https://h.org/b.png,cat").replace(",c.png,cat", ",https://h.org/c.png,cat")),
         {**MTURK, "image": "Input.image_url"}, votes=VOTES),
    Form("mturk, task answers", file("batch.csv", assigned(taskAnswers=as_json(lambda v: {"kind": {"label": v}}))),
         MTURK, votes=VOTES, annotators=2, remark="1 rejected assignments were left out"),
    Form("mturk, rejected ones are kept",
         file("batch.csv", assigned(taskAnswers=as_json(lambda v: {"kind": {"label": v}}))),
         {**MTURK, "rejected": "keep"}, votes={**VOTES, "a.png": {"cat": 1, "dog": 2}}),
    Form("mturk, a list of labels",
         file("batch.csv", assigned(taskAnswers=as_json(lambda v: {"kind": {"labels": [v]}}))), MTURK, votes=VOTES),
    Form("mturk, buttons", file("batch.csv", assigned(taskAnswers=as_json(
         lambda v: {"kind": {"cat": v == "cat", "dog": v == "dog"}}))), MTURK, votes=VOTES),
    Form("mturk, a column with the label", file("batch.csv", assigned(**{"kind.label": str})), MTURK, votes=VOTES),
    Form("mturk, a column with true or false",
         file("batch.csv", assigned(**{"kind.label": lambda v: str(v == "cat").lower()})), MTURK,
         votes={n: {{"cat": "true", "dog": "false"}[v]: k for v, k in of.items()} for n, of in VOTES.items()}),
    Form("mturk, a plain column", file("batch.csv", assigned(kind=str)), MTURK, votes=VOTES),
    Form("mturk, a column a choice",
         file("batch.csv", assigned(**{"kind.cat": lambda v: str(v == "cat").lower(),
                                       "kind.dog": lambda v: str(v == "dog").lower()})), MTURK, votes=VOTES),
    Form("mturk, two answers", file("batch.csv", assigned(kind=str, comment=lambda v: "nice")), MTURK,
         error=r"found 2 answers: kind, comment; .*Set source\.question"),
    Form("mturk, one of two answers", file("batch.csv", assigned(kind=str, comment=lambda v: "nice")),
         {**MTURK, "question": "kind"}, votes=VOTES),
    Form("mturk, several labels",
         file("batch.csv", assigned(taskAnswers=as_json(lambda v: {"kind": {"labels": [v, "fox"]}}))), MTURK,
         error=r"line 2: found 2 choices in one answer \(cat, fox; 5 such answers\)"),
    Form("mturk, a finding",
         file("batch.csv", assigned(taskAnswers=as_json(lambda v: {"kind": {"labels": [v, "fox"]}}))),
         {**MTURK, "finding": "cat"},
         votes=counted([("a.png", "cat"), ("a.png", "not cat"), *[("b.png", "not cat")] * 2, ("sub/c.png", "cat")])),
    Form("mturk, an input that is not there", file("batch.csv", assigned(kind=str)),
         {**MTURK, "image": "Input.img_url"},
         error=r"'Input\.img_url' \(source\.image\) among Input\.image_url, Input\.gt_label\. Did you mean 'Input\.im"),
    Form("mturk, no answers", file("batch.csv", assigned(taskAnswers=lambda v: "nothing")), MTURK,
         error=r"batch\.csv: line 2: Answer\.taskAnswers holds no JSON list"),
    Form("mturk, another csv", file("batch.csv", "item,label\na.png,cat\n"), MTURK,
         error=r"found the columns item, label, expected the results of a batch"),
]  # fmt: skip

# -- Toloka ------------------------------------------------------------------------------------------------------------

TOLOKA = {"kind": "toloka", "images": "images", "votes": "pool.tsv"}
POOLED = [("a.png", "u1", "cat", "APPROVED", ""), ("a.png", "u2", "dog", "SUBMITTED", ""),
          ("b.png", "u1", "dog", "APPROVED", ""), ("b.png", "u2", "dog", "APPROVED", ""),
          ("c.png", "u1", "cat", "APPROVED", ""), ("c.png", "u2", "dog", "REJECTED", ""),
          ("c.png", "u3", "", "EXPIRED", ""), ("c.png", "u4", "cat", "APPROVED", "cat")]  # fmt: skip


def pooled(output, separator="\t", blank="\n"):
    """A pool: a row a task, ``output`` makes the output columns of a label, blank rows stand between assignments."""
    text = table([
        {"INPUT:image": image, "INPUT:width": 8, **{f"OUTPUT:{k}": v for k, v in output(value).items()},
         "GOLDEN:result": golden, "HINT:text": "", "ASSIGNMENT:link": "https://t", "ASSIGNMENT:assignment_id": who,
         "ASSIGNMENT:worker_id": who, "ASSIGNMENT:status": status, "ASSIGNMENT:started": "2021-03-05T10:00:00.5"}
        for image, who, value, status, golden in POOLED
    ], separator)  # fmt: skip
    head, *rows = text.splitlines()
    return "\n".join([head, *rows[:2], blank.strip("\n"), *rows[2:]]) + "\n"


def asked(label):
    """Two questions of true and false: whether it is a cat, and whether the image is blurred."""
    return {"is_cat": str(label == "cat").lower(), "is_blurry": "false" if label else ""}


TOLOKA_FORMS = [
    Form("toloka", file("pool.tsv", pooled(lambda v: {"result": v})), TOLOKA, votes=VOTES, annotators=2,
         remark=r"(?s)status REJECTED were left out\.\n1 tasks of.*EXPIRED were.*1 control and training tasks"),
    Form("toloka, control tasks are kept", file("pool.tsv", pooled(lambda v: {"result": v})),
         {**TOLOKA, "control": "keep"}, votes={**VOTES, "sub/c.png": {"cat": 2}}),
    Form("toloka, boxes",
         file("pool.tsv", pooled(lambda v: {"cat": str(v == "cat").lower(), "dog": str(v == "dog").lower()})), TOLOKA,
         votes=VOTES, remark="Of cat, dog, the output field that is true is the choice"),
    Form("toloka, two questions of true and false", file("pool.tsv", pooled(asked)), TOLOKA,
         error=r"pool\.tsv: line 3: found none true among the output fields is_cat, is_blurry \(3 of 5 tasks have none "
               r"or several\).*Set source\.question to one of the fields.*source\.finding"),
    Form("toloka, one of two questions of true and false", file("pool.tsv", pooled(asked)),
         {**TOLOKA, "question": "is_cat"},
         votes={n: {{"cat": "true", "dog": "false"}[v]: k for v, k in of.items()} for n, of in VOTES.items()}),
    Form("toloka, a finding of boxes", file("pool.tsv", pooled(asked)), {**TOLOKA, "finding": "is_cat"},
         votes={n: {{"cat": "is_cat", "dog": "not is_cat"}[v]: k for v, k in of.items()} for n, of in VOTES.items()}),
    Form("toloka, two outputs", file("pool.tsv", pooled(lambda v: {"result": v, "note": "fine"})), TOLOKA,
         error=r"found 2 output fields: result, note;.*Set source\.question"),
    Form("toloka, one of two outputs", file("pool.tsv", pooled(lambda v: {"result": v, "note": "fine"})),
         {**TOLOKA, "question": "result"}, votes=VOTES),
    Form("toloka, saved with commas", file("pool.csv", pooled(lambda v: {"result": v}, ",")),
         {**TOLOKA, "votes": "pool.csv"}, votes=VOTES),
    Form("toloka, another tsv", file("pool.tsv", "item\tlabel\na.png\tcat\n"), TOLOKA,
         error=r"found the columns item, label, expected the assignments of a Toloka pool"),
]  # fmt: skip

FORMS = [*LABEL_STUDIO, *LABELBOX_FORMS, *PRODIGY_FORMS, *ZOONIVERSE, *MTURK_FORMS, *TOLOKA_FORMS]
