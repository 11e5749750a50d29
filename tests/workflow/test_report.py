"""Snakemake's report of a finished study: what it holds, and what it says of itself."""

import html
import json
import re
import zipfile

import pytest
import yaml
from projects import REPOSITORY

FILES = {
    "card.md",
    "card-images.png",
    "card-votes.png",
    "table.csv",
    "table.md",
    "items.csv",
    "embedding-tiny_synthetic-random-tiny_compact.png",
    "curves-tiny_synthetic-random-tiny_compact.png",
}


def cells_of(text):
    """The cells of a Markdown text's tables."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return [cell.strip("*` ") for line in lines for cell in line.split("|")]


@pytest.fixture(scope="module")
def report(tiny, copy, tmp_path_factory):
    """The finished project and its report: the zip, the page in it and the results that the page lists."""
    project = copy(tiny, tmp_path_factory.mktemp("report") / "project")
    project.environment |= dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")  # offline
    project.snakemake("--report", "report.zip")
    archive = zipfile.ZipFile(project.folder / "report.zip")
    page = archive.read("report/report.html").decode()
    return project, archive, page, json.loads(re.search(r"var results = (\{.*\});?\n", page)[1])


def words(text):
    """The visible words of a piece of HTML."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_it_holds_the_tables_and_figures_as_they_are(report):
    project, archive, _, results = report
    assert {result["name"] for result in results.values()} == FILES
    for path, result in results.items():
        assert archive.read(f"report/{result['data_uri']}") == (project.folder / path).read_bytes()


def test_every_result_has_a_caption_and_labels(report):
    *_, results = report
    assert all(result["caption"] and result["labels"] for result in results.values())
    figure = next(result for result in results.values() if result["name"].startswith("curves"))
    assert figure["labels"] == {
        "figure": "curves", "data set": "tiny_synthetic", "split": "random", "recipe": "tiny_compact",
    }  # fmt: skip


@pytest.mark.parametrize("file", ["studies/tiny/table.md", "data/tiny_synthetic/card.md"])
def test_the_tables_can_be_read_in_the_page(report, file):
    # A browser only offers Markdown and CSV as downloads, so the caption has the tables.
    project, _, _, results = report
    caption = next(result["caption"] for path, result in results.items() if path.endswith(file))
    assert "system-message" not in caption  # docutils understood all of it
    text = (project.folder / "results/tiny" / file).read_text()
    shown = words(caption)
    assert len(cells_of(text)) > 100
    assert [cell for cell in cells_of(text) if cell not in shown] == []
    assert caption.count("<table") == sum(line.startswith("| ---") for line in text.splitlines())


def test_it_says_what_it_does_not_prove(report):
    _, _, page, _ = report
    description = words(json.loads(re.search(r"var workflow_desc = (\".*\");?\n", page)[1]))
    assert (
        "What it does not prove: parameters and code beside a result are those of the workflow as it is now"
        in description
    )
    assert "softlabels audit" in description


def test_making_a_report_leaves_the_run_as_it_was(report):
    assert report[0].planned() == {}


def test_parameters_in_the_report_are_those_of_now_and_not_those_that_ran(report, copy, tmp_path):
    # The reason for the warning in the report: an edit after the run is shown beside the old table.
    project = copy(report[0], tmp_path / "project")
    project.edit("config/tiny.yaml", ("seeds: [0, 1]", "seeds: [1, 0]"))
    project.snakemake("--report", "report.zip")
    page = zipfile.ZipFile(project.folder / "report.zip").read("report/report.html").decode()
    results = json.loads(re.search(r"var results = (\{.*\});?\n", page)[1])
    figure = next(result for result in results.values() if result["name"].startswith("curves"))
    assert "[1,0]" in figure["job_properties"]["params"]


def test_the_catalogue_is_told_that_there_is_a_report():
    usage = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["report"] is True
