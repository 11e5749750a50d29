"""The numbers in docs/gpu/README.md are those of the files beside it."""

import gpu_results
import numpy as np
import pytest

from softlabels import io
from softlabels.evaluation import scaling
from softlabels.evaluation.aligned import Aligned
from softlabels.evaluation.metrics import kl, macro_acc, tvd

LARGEST = 5_000_000  # bytes of the folder


def test_the_table_is_that_of_the_files():
    text = (gpu_results.RESULTS / "README.md").read_text()
    assert "\n".join(["", *gpu_results.lines(), ""]) in text


def test_the_numbers_are_those_of_an_evaluation():
    of, found = gpu_results.items(), gpu_results.numbers("h200", "hard")
    table, metadata = io.read_table(gpu_results.RESULTS / "h200" / "hard-predictions.parquet")
    item, logits = io.vector(table, "item"), io.matrix(table, "logits").astype(float)
    test, val = (of.part[item] == part for part in ("test", "val"))
    log_q = gpu_results.log_softmax(logits[test])
    aligned = Aligned("test", item[test], of.p[item[test]], log_q, metadata["classes"])
    for name, metric in {"ACC": macro_acc, "KL": kl, "TVD": tvd}.items():
        assert np.mean(metric.metric(aligned, {})) == pytest.approx(found[name], rel=1e-12)
    assert scaling.fit_temperature(of.p[item[val]], logits[val]) == pytest.approx(found["T"], rel=1e-6)


def test_what_the_text_says_of_items_and_gaps_is_so():
    right = {run: round(3000 * gpu_results.numbers(*run)["ACC"], 6) for run in gpu_results.RUNS}
    assert [right[card, "soft"] - right[card, "hard"] for card in ("h200", "h100")] == [4, 1]
    for card in ("h200", "h100"):
        hard, soft = (gpu_results.numbers(card, form) for form in ("hard", "soft"))
        left = (hard["KL after T"] - soft["KL after T"]) / (hard["KL"] - soft["KL"])
        assert round(100 * (1 - left)) == 79 and round(hard["KL after T"], 2) == 0.30
    hashes = {io.read_table(path)[1]["initial_sha256"] for path in gpu_results.RESULTS.glob("*/*-history.parquet")}
    assert len(hashes) == 1


def test_the_embeddings_are_of_the_test_items_and_the_folder_is_small(tmp_path):
    of = gpu_results.items()
    for panel in gpu_results.panels():
        assert (panel.item == np.flatnonzero(of.part == "test")).all()
    gpu_results.draw(tmp_path)
    assert {path.name for path in tmp_path.glob("*.png")} == {path.name for path in gpu_results.RESULTS.glob("*.png")}
    assert sum(path.stat().st_size for path in gpu_results.RESULTS.rglob("*") if path.is_file()) < LARGEST
