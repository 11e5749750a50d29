"""A study that varies data, label and recipe at once: the bytes of one machine."""

from __future__ import annotations

import pytest
from cluster import WORDS

VARIED = "config/varied.yaml"
STUDY = {
    "datasets": ["tiny_synthetic"],
    "recipes": ["tiny_compact"],
    "seeds": [0],
    "points": [
        {"recipe.epochs": 2},  # the tiny study's own
        {"recipe.epochs": 1, "source.votes": 5, "dataset.reference": "votes", "label.votes": 3},
    ],
}
FOLDERS = ("data", "splits", "labels", "runs", "references", "studies/varied")


@pytest.mark.slow
def test_a_varied_study_gives_the_bytes_of_one_machine(tiny, copy, on_slurm, tmp_path):
    machine, cluster = copy(tiny, tmp_path / "machine"), on_slurm(tiny, tmp_path / "cluster")
    for project in (machine, cluster):
        project.configure(VARIED, studies={"varied": STUDY})
    cluster.profile(retries=0)
    try:
        head = cluster.start("-m", "snakemake", *WORDS, "--configfile", VARIED)
        machine.snakemake(config=VARIED)
        assert head.wait(500) == 0, cluster.printed
    finally:
        cluster.stop()
    made, due = cluster.contents(*FOLDERS), machine.contents(*FOLDERS)
    assert any("/soft__votes_3/seed0" in path for path in due)
    assert made.keys() == due.keys()
    assert [path for path in made if made[path] != due[path]] == []
    cluster.softlabels("audit", "results/tiny/studies/varied", "--configfile", VARIED)
