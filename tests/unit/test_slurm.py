"""Jobs that a killed Snakemake left on a cluster, and jobs that no node can run; stand-ins play SLURM's commands."""

import math

import pytest

from softlabels import launch, resources, slurm
from softlabels.errors import UserError
from softlabels.plan import Plan


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Make stand-ins for squeue, which lists the lines of a file, and for scancel, which empties it."""
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    listing, cancelled = tmp_path / "listing", tmp_path / "cancelled"

    def make(*jobs, squeue=f"cat {listing}", scancel=f'echo "$@" >{cancelled}; : >{listing}'):
        listing.write_text("".join(f"{job}\n" for job in jobs))
        for name, script in {"squeue": squeue, "scancel": scancel}.items():
            (tools / name).write_text(f"#!/bin/sh\n{script}\n")
            (tools / name).chmod(0o755)
        return cancelled

    return make


def test_the_jobs_that_snakemake_submitted_from_this_folder_are_cancelled(cluster, tmp_path, capsys):
    cancelled = cluster(
        f"11|rule_train_wildcards_a_0|{tmp_path}",
        f"12|rule_evaluation_evaluate|{tmp_path}",
        f"13|rule_train_wildcards_a_0|{tmp_path}/other",
        f"14|(null)|{tmp_path}",  # a person's own
    )
    slurm.end_orphans(tmp_path, certain=False)
    assert cancelled.read_text() == "11 12\n"
    assert "(11, 12): cancelling them." in capsys.readouterr().err


def test_a_folder_may_have_any_name(cluster, tmp_path):
    cluster("11|rule_train|/data/a|b c")
    assert slurm.orphans("/data/a|b c") == ["11"]


def test_a_head_that_is_a_job_itself_is_no_orphan(cluster, tmp_path, monkeypatch):
    cluster(f"11|rule_train|{tmp_path}")
    monkeypatch.setenv("SLURM_JOB_ID", "11")
    assert slurm.orphans(tmp_path) == []


def test_without_slurm_there_are_no_orphans(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    slurm.end_orphans(tmp_path, certain=False)
    assert capsys.readouterr().err == ""


def test_a_cluster_that_does_not_answer_stops_what_needs_it(cluster, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(slurm, "ANSWER_PAUSE_SECONDS", 0)
    cluster(squeue="echo Unable to contact slurm controller >&2; exit 1")
    slurm.end_orphans(tmp_path, certain=False)
    assert capsys.readouterr().err == ""  # nobody asked for it
    with pytest.raises(UserError, match=r"^SLURM does not answer \(squeue\), so that jobs .* Run this again when"):
        slurm.end_orphans(tmp_path, certain=True)
    told = capsys.readouterr().err
    assert told.count("SLURM does not answer: Unable to contact slurm controller.") == slurm.ANSWER_TRIES


def test_an_answer_that_fails_once_hides_no_job_and_those_that_do_not_end_are_named(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "ANSWER_PAUSE_SECONDS", 0)
    flaky = f"[ -e {tmp_path}/asked ] || {{ touch {tmp_path}/asked; exit 1; }}; cat {tmp_path}/listing"
    cancelled = cluster(f"11|rule_train|{tmp_path}", squeue=flaky, scancel=f'echo "$@" >{tmp_path}/cancelled')
    monkeypatch.setattr(slurm, "ENDING_SECONDS", 0)
    with pytest.raises(UserError, match=r"do not end.*: 11\. See `squeue --jobs 11`"):
        slurm.end_orphans(tmp_path, certain=True)
    assert cancelled.read_text() == "11\n"


def test_jobs_that_do_not_end_are_named(cluster, tmp_path, monkeypatch):
    cluster(f"11|rule_train|{tmp_path}", scancel=":")
    monkeypatch.setattr(slurm, "ENDING_SECONDS", 0)
    with pytest.raises(UserError, match=r"do not end.*: 11\. See `squeue --jobs 11`"):
        slurm.end_orphans(tmp_path, certain=False)


@pytest.mark.parametrize("options", [
    ["--executor", "slurm"], ["-e", "slurm"], ["-n", "--workflow-profile=mine"],
    ["--workflow-profile", "slurm"],  # the repository's, by its name
])  # fmt: skip
def test_a_cluster_that_is_asked_for_must_be_here(tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "profile.yaml").write_text("executor: slurm\njobs: 3\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"no sbatch here\. Run this on a login node"):
        slurm.asked_for(options)
    (tmp_path / "sbatch").touch(0o755)
    assert slurm.asked_for(options)


def test_resources_on_the_command_line_keep_jobs_of_a_group_in_turn(tmp_path, monkeypatch):
    (tmp_path / "sbatch").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"^--resources: .* Add in_turn=1 to the option\.$"):
        slurm.asked_for(["--executor", "slurm", "--resources", "gpu=4"])
    assert slurm.asked_for(["--executor", "slurm", "--resources", "gpu=4", "in_turn=1"])
    assert not slurm.asked_for(["--resources", "gpu=4"])


@pytest.mark.parametrize("options", [[], ["--executor", "local"], ["--workflow-profile", "profiles/default"], ["-n"]])
def test_no_cluster_is_needed_where_none_is_asked_for(tmp_path, monkeypatch, options):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not slurm.asked_for(options)


# -- jobs that no node can run -----------------------------------------------------------------------------------------

TINY = {
    "datasets": {"d": {"source": {"kind": "synthetic", "items": 300, "pixels": 32}}},
    "recipes": {"r": {"network": "compact", "epochs": 2}},
    "studies": {"s": {"datasets": ["d"], "recipes": ["r"]}},
}
TRAIN = resources.of(Plan(TINY), "train", dataset="d", split="random", recipe="r")["mem_mb"]
SMALL = f"small*|{TRAIN - 1}|4|infinite|(null)"
LARGE = "large|9000|4|1-00:00:00|gpu:a100:2(S:0-1)"


@pytest.fixture
def require(tmp_path, monkeypatch):
    """Check a changed tiny study on a cluster whose sinfo prints some lines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def checked(*lines, options=(), profile="executor: slurm", cores="all", status=0, **changes):
        (tmp_path / "profile.yaml").write_text(profile)
        text = "\n".join(lines)
        (tmp_path / "sinfo").write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {status}\n")
        (tmp_path / "sinfo").chmod(0o755)
        raw = {**TINY, "recipes": {"r": {**TINY["recipes"]["r"], **changes}}}
        slurm.require_nodes(Plan(raw), cores, ["--workflow-profile", ".", *options])

    return checked


def test_a_job_that_fits_a_node_of_its_partition_is_let_through(require):
    require(LARGE.replace("large", "large*"), SMALL.replace("*", ""))
    require(SMALL, LARGE, options=["--default-resources", "slurm_account=me", "slurm_partition=large"])
    require(SMALL, LARGE, profile="set-resources: {train: {slurm_partition: large}}")
    require(SMALL, LARGE, profile="set-resources: {train: {slurm_partition: \"'large' if attempt == 1 else 'small'\"}}")
    require(SMALL, LARGE, profile="set-resources: {train: {mem_mb: attempt * 900}}")
    require(SMALL, LARGE, options=["--set-resources", "train:mem_mb=900"])
    require(LARGE, device="cuda")
    require(LARGE, threads=16, cores="4")


@pytest.mark.parametrize(("lines", "more", "words"), [
    ([SMALL, LARGE], {}, rf"Rule train \(dataset d, .*asks for {TRAIN} MB of memory, the largest node of partition "
     rf"small that would do otherwise has {TRAIN - 1} MB: lower recipes\.r\.batch or datasets\.d\.source\.pixels, or"),
    ([LARGE.replace("9000", "900")], {}, "the largest node of the cluster .* has 900 MB"),
    ([LARGE], {"threads": 5}, r"asks for 5 CPU, .* has 4 CPU: lower recipes\.r\.threads"),
    ([SMALL.replace(str(TRAIN - 1), "9000")], {"device": "cuda"},
     r"asks for 1 GPU, .* has 0 GPU: set recipes\.r\.device: cpu"),
    ([LARGE.replace("1-00:00:00", "30:00")], {"epochs": 10**6},
     r"minutes, .* has a limit of 30 minutes: lower recipes\.r\.epochs"),
    ([LARGE], {"profile": "set-resources: {train: {mem_mb: attempt * 10000}}"},
     r"asks for 10000 MB .* has 9000 MB: lower set-resources: train: mem_mb of \., or name another"),
    ([LARGE], {"options": ["--set-resources", "train:runtime=2000"]}, "lower set-resources: train: runtime of"),
])  # fmt: skip
def test_a_job_that_no_node_can_run_is_refused_with_what_to_lower(require, lines, more, words):
    with pytest.raises(UserError, match=words):
        require(*lines, **more)


def test_a_request_that_only_another_node_could_meet_in_part_is_refused(require):
    with pytest.raises(
        UserError, match="MB of memory, the largest node of partition a that would do otherwise has 900 MB"
    ):
        require("a*|900|8|infinite|gpu:1", "a*|9000|8|infinite|(null)", device="cuda")


def test_all_rules_that_ask_for_too_much_are_told_at_once(require):
    with pytest.raises(UserError) as refused:
        require("a*|450|1|infinite|(null)")
    assert {"Rule data", "Rule train", "Rule evaluate", "Rule study"} <= {
        line.strip("- ").split(" (")[0] for line in str(refused.value).splitlines()
    }


@pytest.mark.parametrize(("lines", "status"), [([SMALL], 1), ([], 0), (["slurm_load_partitions: error"], 0)])
def test_where_sinfo_does_not_say_nothing_is_refused(require, lines, status):
    require(*lines, status=status)


def test_time_limits_are_read_as_slurm_writes_them():
    limits = {"30:00": 30, "2:00:00": 120, "1-00:00:00": 1440, "0:30": 0.5, "infinite": math.inf, "n/a": math.inf}
    assert {limit: slurm.minutes(limit) for limit in limits} == limits


def test_a_run_asks_before_it_submits(require, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="asks for"):
        require(SMALL)
    (tmp_path / "sbatch").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "sbatch").chmod(0o755)
    (tmp_path / "tiny.json").write_text(str(TINY).replace("'", '"'))
    (tmp_path / "profile.yaml").write_text("executor: slurm")
    with pytest.raises(UserError, match=rf"asks for {TRAIN} MB of memory"):
        launch.run("1", tmp_path / "tiny.json", [], ["--workflow-profile", "."])
