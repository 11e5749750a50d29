"""A study that varies data, label and recipe at once, beside the finished tiny study whose runs it shares."""

import csv

import yaml
from projects import REPOSITORY, TINY

VARIED = "config/varied.yaml"
# The first point is the tiny study's own; the base's own values are its votes (none), two epochs and hard labels.
POINTS = [
    {"recipe.epochs": 2},
    {"source.votes": 9, "dataset.reference": "votes", "label.ties": "drop", "recipe.epochs": 1},
    {"recipe.epochs": 1},
]


def write(project, points):
    raw = yaml.safe_load((REPOSITORY / TINY).read_text())
    study = raw["studies"].pop("tiny") | {"points": points}
    (project.folder / VARIED).write_text(yaml.safe_dump(raw | {"studies": {"varied": study}}))


def test_a_study_varies_data_label_and_recipe_and_shares_what_is_done(finished):
    write(finished, POINTS[:1])
    assert finished.planned(config=VARIED) == {"study": 1, "chain": 1}
    write(finished, POINTS)
    planned = finished.planned(config=VARIED)
    assert (planned["train"], planned["data"], planned["figure"]) == (8, 1, 2)  # over epochs and votes
    assert "embed" not in planned
    assert "Study varied: 12 trainings, 8 of them new" in finished.softlabels("check", VARIED)

    text = finished.softlabels("run", "--cores", "2", "--configfile", VARIED)
    assert "Study varied: 12 trainings, 8 of them new" in text
    assert finished.planned(config=VARIED) == {}
    assert finished.planned() == {}  # of the tiny study

    folder = finished.folder / "results/tiny/studies/varied"
    with (folder / "table.csv").open() as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row["label"], row["metric"], row["kind"]) == ("soft", "kl", "measured")
        ]
    keys = ("recipe.epochs", "source.votes", "dataset.reference", "label.ties")
    assert [tuple(row[key] for key in keys) for row in rows] == [
        ("2", "0", "exact", "lowest_index"),
        ("1", "9", "votes", "drop"),
        ("1", "0", "exact", "lowest_index"),
    ]
    assert (folder / "figures/over__key_epochs.png").stat().st_size > 10_000

    status = finished.softlabels("status", "--configfile", VARIED)
    assert f"  {'train':<22}{12:>9}" in status
    told = finished.softlabels("explain", str(folder), "soft - hard", "kl epochs=1 votes=9")
    run = "tiny_synthetic__reference_votes__votes_9/random/tiny_compact__epochs_1/soft__ties_drop/seed1"
    assert f"run {run}" in told
    audited = finished.softlabels("audit", str(folder), "--configfile", VARIED, "--strict")
    assert "19 pass, 0 fail, 0 unknown" in audited
