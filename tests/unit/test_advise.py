"""What a study advises: never what its evidence does not show, and what would decide the rest."""

import subprocess
import sys

import finished_run as files
import numpy as np
import pytest

from softlabels import advise, closure, io
from softlabels.errors import UserError
from softlabels.studies import study


def told(both, root, scores=None, monkeypatch=None, **changes):
    """The advice of a study whose test scores are ``finished_run.SCORES``, or those given."""
    if scores:
        monkeypatch.setattr(files, "SCORES", scores)
    study.run(*files.study(both, root, **changes))
    return advise.page(str(root / "studies/hard_vs_soft"))


def row_of(text, words):
    return next(line for line in text.splitlines() if line.startswith("|") and words in line)


def test_a_label_that_is_better_and_never_worse_is_named_with_its_evidence(both, tmp_path):
    text = told(both, tmp_path, tables=[{"kind": "main", "metrics": ["kl", "macro_acc"]}, "differences"])
    row = row_of(text, "| soft |")
    assert "KL ↓: soft − hard -1.1000 [" in row and ", p " in row
    assert "never measurably worse" in text and "of those p that are Holm's over a row's labels already" in text
    assert "## What is undecided" in text and "ACC ↑: soft − hard +0.0833" in text
    assert "seeds would leave ±" in text


def test_labels_that_win_in_different_metrics_are_a_choice_of_the_reader(both, tmp_path, monkeypatch):
    scores = {"hard": {"kl": [1.10, 1.20, 1.15], "tvd": [0.1, 0.1001, 0.1002]},
              "soft": {"kl": [0.04, 0.05, 0.06], "tvd": [0.9, 0.9003, 0.9001]}}  # fmt: skip
    text = told(both, tmp_path, scores, monkeypatch, tables=[{"kind": "main", "metrics": ["kl", "tvd"]}])
    row = row_of(text, "it depends on the metric")
    assert "KL ↓" in row and "TVD ↓" in row


def test_an_undecided_study_says_so_and_what_would_decide_it(both, tmp_path, monkeypatch):
    scores = {"hard": {"kl": [0.1, 0.9, 0.5]}, "soft": {"kl": [0.5, 0.1, 0.88]}}
    text = told(both, tmp_path, scores, monkeypatch, tables=[{"kind": "main", "metrics": ["kl"]}])
    assert "| undecided: no difference between labels is measurable | – |" in text
    assert "What favours another label" not in text and "KL ↓: soft − hard -0.0067" in text
    assert "test images would be needed" in text or "too near to be told apart" in text


def test_of_three_labels_one_must_be_better_than_each_other(both, tmp_path, monkeypatch):
    labels = {"hard": files.HARD, "soft": files.SOFT, "third": files.SOFT}
    scores = {"hard": [9.1, 9.2, 9.15], "soft": [0.04, 0.05, 0.06], "third": [0.05, 0.041, 0.06]}
    scores = {label: {"kl": of_seeds} for label, of_seeds in scores.items()}
    chosen = {"labels": labels, "tables": [{"kind": "main", "metrics": ["kl"]}]}
    text = told(both, tmp_path, scores, monkeypatch, **chosen)
    assert "undecided between soft and third" in text
    assert "Make one of the two the first label" in text  # the baseline is hard


def test_images_to_read_again_are_doubtful_and_far_from_what_networks_predict(tmp_path):
    lines = ["dataset,split,recipe,seed,item,name,votes,reference_a,reference_b,soft_a,soft_b,kl_soft"]
    for seed, q in ((0, 0.2), (1, 0.4)):
        lines += [
            f"d,random,r,{seed},0,sure.png,50,1,0,{q},{1 - q},1",  # many votes that agree: the network's mistake
            f"d,random,r,{seed},1,few.png,3,1,0,{q},{1 - q},1",
            f"d,random,r,{seed},2,open|<b>.png,50,0.6,0.4,{q},{1 - q},1",
            f"other,random,r,{seed},3,elsewhere.png,3,1,0,{q},{1 - q},1",
        ]
    (tmp_path / "items.csv").write_text("\n".join(lines) + "\n")
    rows, tested, doubtful = advise.doubts(tmp_path / "items.csv", "d", "soft", ["a", "b"])
    assert (tested, doubtful) == (3, 2)
    assert [row[0] for row in rows] == ["few.png", "open|<b>.png"]
    assert rows[0][1:] == ["3", "a (100 %)", "b (70 %)", f"{-np.log(0.3):.3f}"]  # mean prediction 0.3
    due = 0.6 * np.log(0.6 / 0.3) + 0.4 * np.log(0.4 / 0.7)
    assert rows[1][-1] == f"{due:.3f}"


def test_images_are_named_of_votes_and_not_of_exact_distributions(both, tmp_path):
    text = told(both, tmp_path, datasets=("synthetic", "mice_bone"))
    assert "synthetic: none, as its distributions are exact." in text
    assert "mice_bone: of " in text and "| image | votes | most votes | soft predicts | divergence |" in text
    assert "judge" not in text  # average and majority say what the votes say


def test_labels_that_their_own_votes_judge_are_told_below_the_main_table_and_in_the_advice(both, tmp_path):
    labels = {"hard": files.HARD, "soft": files.SOFT, "third": {"aggregate": "class_mean", "form": "soft"}}
    text = told(both, tmp_path, datasets=("mice_bone", "synthetic"), labels=labels)
    said = "labels are judged by votes of the people that they are made of. The reference is the share of these votes"
    table = (tmp_path / "studies/hard_vs_soft/table.md").read_text()
    assert text.count(f": {said}") == table.count(f": {said}") == 1  # the other data set is exact
    assert "that favours it over third." in text


def test_votes_of_the_judges_are_told_as_theirs(both, tmp_path):
    given, inputs, outputs = files.study(both, tmp_path, datasets=("mice_bone",))
    given["datasets"]["mice_bone"]["description"]["reference"] = "other_people"
    study.run(given, inputs, outputs)
    text = advise.page(str(tmp_path / "studies/hard_vs_soft"))
    assert "the reference is made of the votes of half of the people (5.0 an item on average)" in text
    assert "| image | votes of the judges | most votes |" in text
    assert "those that labels are made of come besides" in text


def test_claims_with_a_verdict_are_told(both, tmp_path):
    listed = [{"contrast": ["soft", "hard"], "metric": metric, "direction": "lower"} for metric in ("kl", "brier")]
    listed.append({"contrast": ["alike", "soft"], "metric": "tvd", "direction": "lower"})  # no difference: not open
    text = told(both, tmp_path, claims=listed, labels={"hard": files.HARD, "soft": files.SOFT, "alike": files.SOFT})
    assert "Supported in Synthetic: KL of soft is lower than that of hard." in text
    assert "1 statements of claims are undecided" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": {"soft": files.SOFT}}, r"has one label \(soft\)"),
        ({"seeds": [0]}, r"has one seed, so that no difference can be told from chance. Set seeds: \[0, 1, 2, 3, 4\]"),
    ],
)
def test_one_label_or_one_seed_is_no_choice(both, tmp_path, changes, said):
    with pytest.raises(UserError, match=said):
        told(both, tmp_path, **changes)


@pytest.mark.parametrize("place", ["mine", "results/mine"])
def test_a_study_is_found_in_other_results_folders_that_lie_here(both, tmp_path, monkeypatch, place):
    study.run(*files.study(both, tmp_path / place))
    (tmp_path / "src/studies/hard_vs_soft").mkdir(parents=True)  # no results
    monkeypatch.chdir(tmp_path)
    found = advise.page(f"{place}/studies/hard_vs_soft")
    assert advise.page("hard_vs_soft") == found
    with pytest.raises(UserError) as error:
        advise.page("hard_vs_soff")
    assert f"no such study in {tmp_path}/results, {place}. Did you mean hard_vs_soft? " in str(error.value)
    assert "such as FOLDER/studies/hard_vs_soff or FOLDER/studies/hard_vs_soff/table.md." in str(error.value)
    monkeypatch.chdir(tmp_path / place)
    assert advise.page("hard_vs_soft") == found


def test_a_study_that_is_not_there_or_not_finished_is_told_as_that(both, tmp_path, monkeypatch):
    study.run(*files.study(both, tmp_path / "results"))
    folder = tmp_path / "results/studies/hard_vs_soft"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no such study.*Did you mean hard_vs_soft"):
        advise.page("hard_vs_soff")
    (folder / "cells.parquet").unlink()
    with pytest.raises(UserError, match=r"hard_vs_soft: is not finished: found no studies/hard_vs_soft/cells.parquet"):
        advise.page("hard_vs_soft")
    (folder / "cells.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match=r"cells.parquet: found content that cannot be read"):
        advise.page(str(folder))


def test_the_command_prints_markdown_without_pytorch(both, tmp_path):
    study.run(*files.study(both, tmp_path))
    code = "import sys; from softlabels.cli import main; main(); sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "advise", str(tmp_path / "studies/hard_vs_soft")]
    environment = {"PYTHONPATH": str(closure.PACKAGE.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.startswith("# What study hard_vs_soft advises\n\n## Which label\n")
    assert io.read_table(tmp_path / "studies/hard_vs_soft/cells.parquet")[0].num_rows
