"""The one table of places: read back, and written nowhere else."""

import re
from pathlib import Path

import pytest
import yaml

from softlabels import places
from softlabels.commands import COMMANDS
from softlabels.places import PLACES

ROOT = Path(__file__).resolve().parents[2]
RULES = {path.name: path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("*.smk"))}
BLOCKS = {m[1]: m[0] for text in RULES.values() for m in re.finditer(r"^rule (\w+):\n(?:(?:    .*)?\n)+", text, re.M)}
NAMES = {
    "dataset": "mice_bone", "split": "random", "recipe": "quick", "label": "soft", "seed": "12", "draw": "all",
    "within": "", "study": "one", "figure": "curves", "block": "-mice_bone-random-quick", "metrics": "standard",
    "encoder": "compact_0a1b2c3d",
}  # fmt: skip
FILES = [(command, output) for command, place in PLACES.items() if place.folder for output in place.files]


@pytest.mark.parametrize(("command", "output"), FILES)
def test_a_path_tells_whose_it_is(command, output, tmp_path):
    path = places.path(command, output, **NAMES)
    names = {name: NAMES[name] for name in PLACES[command].wildcards}
    assert places.parse(path) == places.find(tmp_path / path) == (command, output, names, path)
    assert places.root_of(tmp_path / path, command) == tmp_path
    assert places.parse(f"elsewhere/{path}") is None


def test_a_label_that_is_made_for_a_split_lies_below_it(tmp_path):
    names = NAMES | {"within": "/random", "draw": "seed1-fold0of5"}
    path = places.path("label", "labels", **names)
    assert path == "labels/mice_bone/random/soft/seed1-fold0of5.parquet"
    assert places.parse(path).names == {name: names[name] for name in ("dataset", "within", "label", "draw")}
    assert places.root_of(tmp_path / path, "label") == tmp_path


def test_a_figure_of_a_whole_study_has_no_block():
    path = places.path("figure", "png", **NAMES | {"figure": "scatter", "block": ""})
    assert path == "studies/one/figures/scatter.png"
    assert places.parse(path).names == {"study": "one", "figure": "scatter", "block": ""}


@pytest.mark.parametrize("path", [
    "runs/mice_bone/random/quick/soft/seed1x/model.safetensors", "runs/mice_bone/random/quick/soft/seed1/model.pt",
    "runs/Mice/random/quick/soft/seed1/model.safetensors", "runs/../random/quick/soft/seed1/model.safetensors",
    "studies/one/figures/curves-mice_bone-random.png", "studies/one/figures/extra/curves.png",
    "labels/mice_bone/soft/some.parquet", "MiceBone.zip", "",
])  # fmt: skip
def test_other_paths_are_nobodys(path):
    assert places.parse(path) is None


def test_all_files_of_all_commands_are_different():
    assert len({places.path(command, output, **NAMES) for command, output in FILES}) == len(FILES)
    logs = [place.log for place in PLACES.values()]
    assert len(set(logs)) == len(logs)


def test_log_and_job_have_all_wildcards_of_the_outputs():
    for command, place in PLACES.items():
        for pattern in (*place.files.values(), place.log, place.job):
            assert set(re.findall(r"\{(\w+)\}", pattern)) == set(place.wildcards), (command, pattern)


def test_every_command_has_its_place():
    assert list(COMMANDS) == list(PLACES)


# -- everything reads the table ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_the_rule_of_a_command_takes_its_places_from_the_table(command):
    block = BLOCKS[command]
    for helper in ("outputs", "log_of", "benchmark_of", "tracked", "call", "resources"):
        if command != "download" or helper not in ("outputs", "tracked", "resources"):
            assert set(re.findall(rf'\b{helper}\(\s*"(\w+)"', block)) == {command}, helper


def test_every_rule_is_that_of_a_command_or_comes_afterwards():
    assert set(BLOCKS) == {*COMMANDS, "audit", "report"}


READERS = ["plan.py", "status.py", "launch.py", "studies/ledger.py", "training/checkpoint.py"]
READERS += [f"provenance/{name}.py" for name in ("evidence", "manifest", "findings")]
READERS += [f"provenance/checks_{name}.py" for name in ("code", "files", "numbers", "runs")]
# A path in code: a folder of the results with what lies in it, or the end of a file's name.
FOLDERS = "|".join([*places.FOLDERS, *places.ASIDE])
LITERAL = re.compile(rf"(?<![\w.])(?:{FOLDERS})/|\.(?:parquet|npy|safetensors|csv|tex|manifest\.json)\b")


@pytest.mark.parametrize("name", [*RULES, *READERS])
def test_no_path_is_written_a_second_time(name):
    text = RULES.get(name) or (ROOT / "workflow" / "softlabels" / name).read_text()
    code = re.sub(r'"""(?s:.*?)"""|``.*?``|#.*|labels=\{.*|import .*|\.\./report/', "", text)
    assert LITERAL.findall(code) == []


def test_the_profile_of_slurm_puts_the_small_jobs_of_the_table_together():
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "profile.yaml").read_text())
    groups = {name: command.group for name, command in COMMANDS.items() if command.group}
    assert profile["groups"] == groups
    assert set(profile["group-components"]) == set(groups.values())
    assert set(COMMANDS) - set(groups) == {"download", "data", "train", "encode"}


def test_a_run_was_started_in_the_nearest_folder_above_with_records_of_snakemake(tmp_path, monkeypatch):
    results, inner = tmp_path / "a" / "out" / "tiny", tmp_path / "a"
    results.mkdir(parents=True)
    monkeypatch.chdir(inner)
    monkeypatch.setattr(places, "REPOSITORY", tmp_path)
    assert places.started_in(Path("out/tiny")) == tmp_path  # part of the repository, without records
    monkeypatch.setattr(places, "REPOSITORY", ROOT)
    assert places.started_in(Path("out/tiny")) == inner  # where one stands
    (tmp_path / ".snakemake").mkdir()
    assert places.started_in(Path("out/tiny")) == tmp_path
    (inner / ".snakemake").mkdir()
    assert places.started_in(Path("../a/out/tiny")) == inner
