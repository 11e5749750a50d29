"""How much memory a training may take, and what it says when that was too little."""

import re
import sys

import numpy as np
import pytest
import torch
from training_files import fit, recipe, write_data

from softlabels import check, cli, main_memory
from softlabels.errors import UserError
from softlabels.training import memory
from softlabels.training.data import Images
from softlabels.training.loop import Trainer

CPU = torch.device("cpu")
MANY = 10**15  # bytes of a machine that is never the narrowest


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(main_memory, "_of_machine", lambda: MANY)
    for name in ("MEM_PER_NODE", "MEM_PER_CPU", "CPUS_PER_TASK", "CPUS_ON_NODE"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)
    monkeypatch.setattr(main_memory.resource, "getrusage", lambda who: type("Usage", (), {"ru_maxrss": 1024}))  # 1 MiB


def write(root, files):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


# -- what is free ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "job", "free"), [("max", "1000", 700), ("500", "1000", 200), ("900", "max", 600)])
def test_the_narrowest_group_of_cgroup_version_2_counts(tmp_path, step, job, free):
    files = {"proc/self/cgroup": "0::/slurm/job_1/step_0\n"}
    for folder, most in (("slurm/job_1", job), ("slurm/job_1/step_0", step)):
        files[f"sys/fs/cgroup/{folder}/memory.max"] = most
        files[f"sys/fs/cgroup/{folder}/memory.current"] = "400"
        files[f"sys/fs/cgroup/{folder}/memory.stat"] = "anon 300\ninactive_file 100\n"
    assert main_memory.free(write(tmp_path, files)) == free


@pytest.mark.parametrize(("groups", "folder", "files", "free"), [
    ("5:cpu:/x\n4:memory:/slurm/job_1\n0::/\n", "memory/slurm/job_1",  # version 1
     {"limit_in_bytes": "1000", "usage_in_bytes": "400", "stat": "cache 50\ntotal_inactive_file 30\n"}, 630),
    # A container does not see its own group, but those above it.
    ("0::/docker/abc\n", "", {"max": "1000", "current": "1200", "stat": ""}, 0),
])  # fmt: skip
def test_other_groups_count_too(tmp_path, groups, folder, files, free):
    files = {f"sys/fs/cgroup/{folder}/memory.{name}": text for name, text in files.items()}
    assert main_memory.free(write(tmp_path, {"proc/self/cgroup": groups, **files})) == free


def test_where_nothing_limits_the_machine_counts(tmp_path):
    assert main_memory.free(tmp_path) == MANY


@pytest.mark.parametrize(
    ("variables", "free"),
    [
        ({"MEM_PER_NODE": "100"}, 99),
        ({"MEM_PER_CPU": "30", "CPUS_PER_TASK": "4", "CPUS_ON_NODE": "8"}, 119),
        ({"MEM_PER_CPU": "30", "CPUS_ON_NODE": "2"}, 59),
        ({"MEM_PER_CPU": "30"}, 29),
        ({"MEM_PER_NODE": "0"}, MANY / 2**20),  # all of the node
    ],
)
def test_what_the_slurm_job_asked_for_counts_less_what_is_taken(monkeypatch, tmp_path, variables, free):
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert main_memory.free(tmp_path) == free * 2**20


def test_images_stay_in_their_file_where_the_job_has_little_memory(monkeypatch, tmp_path):
    inputs = write_data(tmp_path / "data", n=60, size=(128, 128))  # 2.8 MiB
    assert Images(inputs["images"], CPU).resident
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "6")
    assert not Images(inputs["images"], CPU).resident


# -- what is said ------------------------------------------------------------------------------------------------------


def numpy_has_too_little():
    np.empty(10**17, dtype=np.int8)


def torch_has_too_little():
    torch.empty(10**17, dtype=torch.int8)


def cublas_has_too_little():
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


@pytest.mark.parametrize("cause", [numpy_has_too_little, torch_has_too_little, cublas_has_too_little])
def test_too_little_memory_is_one_message_that_says_what_to_lower(monkeypatch, tmp_path, cause):
    inputs = write_data(tmp_path / "data")
    monkeypatch.setattr(Trainer, "step", lambda *arguments: cause())
    with pytest.raises(UserError) as error:
        fit(tmp_path, inputs, recipe())
    assert re.match(
        r"Not enough memory \(main memory, .* to train compact with recipe.batch 8. Ask for more memory \(on a "
        r"cluster: resource mem_mb.* or lower recipe.batch", str(error.value),
    )  # fmt: skip
    assert error.value.__suppress_context__


def test_too_little_memory_on_a_gpu_names_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2**29, 2**34))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A100")
    message = r"\(GPU A100, 0\.5 of 16\.0 GiB free\) .* a GPU with more memory"
    with pytest.raises(UserError, match=message), memory.explained(recipe(device="cuda")):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def test_other_errors_are_left_alone():
    with pytest.raises(RuntimeError, match="shapes differ"), memory.explained(recipe()):
        raise RuntimeError("shapes differ")


def test_too_little_memory_in_any_command_is_one_message(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["softlabels", "check", "config.yaml"])
    monkeypatch.setattr(check, "command", lambda *arguments: numpy_has_too_little())
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("softlabels: Not enough memory (Unable to allocate")
    assert error.count("\n") == 1
