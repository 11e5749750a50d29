"""What work costs, in counts that are the same on every machine: operators, files, bytes, processes; never times."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import finished_run
import pytest
from measured_steps import bare_step
from torch.utils._python_dispatch import TorchDispatchMode
from training_files import fit, recipe, trainer, write_data

from softlabels import io, launch, status
from softlabels.places import PLACES
from softlabels.plan import Plan
from softlabels.studies import study

EVENTS: list[list[tuple[str, Any]]] = []  # those that are being listened to


def _hook(event: str, arguments: tuple) -> None:
    for heard in EVENTS:
        if event in ("open", "subprocess.Popen"):
            heard.append((event, arguments[0]))


sys.addaudithook(_hook)  # for good: Python cannot remove one


@contextmanager
def events() -> Iterator[list[tuple[str, Any]]]:
    """What Python opens (``open``, path) and starts (``subprocess.Popen``, program) meanwhile."""
    EVENTS.append([])
    try:
        yield EVENTS[-1]
    finally:
        EVENTS.pop()


class Operators(TorchDispatchMode):
    """Counts the operators that PyTorch calls: on a GPU about as many kernels are started."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, operator, types, arguments=(), words=None):
        self.calls[str(operator)] += 1
        return operator(*arguments, **(words or {}))


def operators(work) -> Counter:
    """The operators of one call."""
    with Operators() as counted:
        work()
    return counted.calls


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), n=300, size=(32, 32))


def test_a_step_calls_few_operators_besides_those_of_the_bare_step(inputs):
    """Which are its network, loss and optimiser. 30 more: four look items, images, draws, target and weight up; the
    turns are gathered at once and divided by 255; the weighted mean, the sum of losses and the network's normalisation
    are the rest. The draws of a third augmentation, or a copy of each weight, would be more."""
    made, bare = trainer(inputs, recipe()), bare_step("compact", 32, batch=8)
    made.begin_epoch(1)
    for work in (bare, lambda: made.step(1, 0)):  # the first makes the buffers of momentum
        work()
    steps = [operators(lambda k=k: made.step(1, k)) for k in (1, 2)]
    assert steps[0] == steps[1]
    assert steps[0].total() <= operators(bare).total() + 30
    assert not [name for name in steps[0] if "_local_scalar_dense" in name]  # .item(): it would wait for the device


def test_a_training_reads_its_files_once_to_hash_them_and_once_to_learn_from_them(inputs, tmp_path, monkeypatch):
    hashed, opened = Counter(), {}
    original = io.sha256
    monkeypatch.setattr(io, "sha256", lambda path: hashed.update([Path(path)]) or original(path))
    for epochs in (1, 2, 4):  # the first imports
        hashed.clear()
        with events() as found:
            fit(tmp_path / str(epochs), inputs, recipe(epochs=epochs))
        opened[epochs] = len(found)
        assert {hashed[inputs[name]] for name in ("images", "split", "labels", "reference")} == {1}
    assert opened[2] == opened[4]


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the bytes are counted in /proc")
def test_a_training_reads_no_more_bytes_than_its_files_have_twice(tmp_path):
    inputs = write_data(tmp_path / "data", n=300, size=(96, 96))
    size = inputs["images"].stat().st_size
    fit(tmp_path / "first", inputs, recipe(epochs=1, batch=64))  # the rest of what is imported

    def read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])  # rchar: what was asked for, from the cache or not

    before = read()
    fit(tmp_path / "second", inputs, recipe(epochs=1, batch=64))
    assert size <= read() - before <= 2.1 * size  # mapped memory does not count


def of_seeds(count: int, root: Path) -> Plan:
    """The plan of a study of so many seeds, in each of whose trainings a first epoch is over."""
    studies = {"small": {**finished_run.CONFIG["studies"]["small"], "seeds": list(range(count))}}
    plan = Plan({**finished_run.CONFIG, "studies": studies, "results": str(root / str(count))})
    for command, names in plan.jobs("small", "train"):
        log = Path(plan.root) / f"logs/{PLACES[command].log.format_map(names)}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("softlabels train: started 2026-01-02T03:04:05+00:00 on a, process 1\nepoch 1/2: rate 0.1\n")
    return plan


def test_the_status_opens_files_in_proportion_to_the_jobs_and_a_plan_as_many_however_many_there_are(tmp_path):
    opened, planned = [], set()
    for seeds in (5, 10, 20):
        plan = of_seeds(seeds, tmp_path)
        jobs = len(list(plan.jobs("small")))
        with events() as found:
            status.status([plan])
        opened.append(len(found))
        assert len(found) <= 2 * jobs + 5  # logs, and the clock of the file server
        with events() as found:
            list(Plan(plan.config).jobs("small"))
        planned.add(len(found))
    assert opened[2] - opened[1] == 2 * (opened[1] - opened[0]) > 0
    assert len(planned) == 1


def test_a_table_reads_each_file_of_its_runs_twice_at_most_and_hashes_it_once(small, tmp_path, reads):
    plan, (read, hashed) = Plan({**finished_run.CONFIG, "results": str(small)}), reads
    outputs = {name: tmp_path / Path(file).name for name, file in PLACES["study"].files.items() if name != "manifest"}
    study.run(plan.told("study", study="small"), finished_run.inputs_of(plan), outputs)
    assert max(count for path, count in read.items() if path.is_relative_to(small / "runs")) <= 2
    assert max(hashed.values()) == 1


def test_a_run_with_nothing_to_do_starts_two_snakemakes_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(json.dumps(finished_run.CONFIG))
    commands = []
    monkeypatch.setattr(launch, "_snakemake", lambda command: commands.append(command) or 0)
    with events() as found:
        assert launch.run("2", Path("config.yaml"), [], []) == 0
    assert len(commands) == 2
    started = [program for event, program in found if event == "subprocess.Popen"]
    assert started in ([], ["squeue"])  # whether a killed run left jobs on a cluster
