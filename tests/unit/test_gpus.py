"""Which GPU a training gets, who has it, and how much memory it needs: with a make-believe nvidia-smi."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from training_files import contents, fit, recipe, write_data

from softlabels import gpus, locks, nvidia, resources
from softlabels.errors import UserError
from softlabels.plan import Plan
from softlabels.training import loop, memory, train

ROOT = Path(__file__).resolve().parents[2]
TWO = "GPU 0: NVIDIA A100 (UUID: GPU-aaaa-1)\nGPU 1: NVIDIA T4 (UUID: GPU-bbbb-2)"
# As old and as new drivers write parts of a GPU.
PARTS = """GPU 0: NVIDIA A100 (UUID: GPU-aaaa-1)
  MIG 3g.20gb     Device  0: (UUID: MIG-cccc-3)
  MIG 1g.5gb Device 1: (UUID: MIG-GPU-aaaa-1/2/0)
GPU 1: NVIDIA A100 (UUID: GPU-bbbb-2)"""


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No variable, and a folder for temporary files of the test's own."""
    for name in (gpus.SLOTS, gpus.VISIBLE, "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(gpus.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(locks, "RETRY_SECONDS", 0.01)


@pytest.fixture
def smi(monkeypatch, tmp_path):
    """Let nvidia-smi print something; with a status, fail."""

    def says(listing, total="GPU-aaaa-1, 40536\nGPU-bbbb-2, [N/A]", status=0):
        path = tmp_path / "bin" / "nvidia-smi"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n[ $1 = -L ] && echo '{listing}' || echo '{total}'\nexit {status}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")

    return says


def uuids(*more):
    return [card.uuid for card in gpus.usable(*more)]


# -- which there are ---------------------------------------------------------------------------------------------------


def sleeping(monkeypatch, nap):
    """Let who waits for a lock do this in place of sleeping; who waits for a process sleeps."""
    monkeypatch.setattr(locks, "time", SimpleNamespace(**vars(time) | {"sleep": nap}))


@pytest.mark.parametrize(("visible", "found"), [
    (None, ["GPU-aaaa-1", "GPU-bbbb-2"]),
    ("0", ["GPU-aaaa-1"]),
    ("1, 0", ["GPU-bbbb-2", "GPU-aaaa-1"]),  # in this order
    ("GPU-bbbb-2,GPU-aaaa-1", ["GPU-bbbb-2", "GPU-aaaa-1"]),
    ("GPU-bb", ["GPU-bbbb-2"]),  # CUDA takes the beginning of a name
    ("1,7,0", ["GPU-bbbb-2"]),  # and looks no further than the first that is none
    ("1,1", ["GPU-bbbb-2"]),
    ("", []), ("-1", []), ("NoDevFiles", []), ("GPU-", []),
])  # fmt: skip
def test_a_training_may_use_the_gpus_that_are_visible(monkeypatch, smi, visible, found):
    smi(TWO)
    if visible is not None:
        monkeypatch.setenv(gpus.VISIBLE, visible)
    assert uuids() == found
    assert gpus.at_once(3) == 3 * max(1, len(found))


@pytest.mark.parametrize(("visible", "found"), [
    (None, ["MIG-cccc-3", "MIG-GPU-aaaa-1/2/0", "GPU-bbbb-2"]),
    ("MIG-cccc-3", ["MIG-cccc-3"]),
    ("MIG-GPU-aaaa-1/2/0", ["MIG-GPU-aaaa-1/2/0"]),
    ("0", ["MIG-cccc-3", "MIG-GPU-aaaa-1/2/0"]),
    ("1", ["GPU-bbbb-2"]),
])  # fmt: skip
def test_the_parts_of_a_divided_gpu_are_gpus(monkeypatch, smi, visible, found):
    smi(PARTS)
    if visible:
        monkeypatch.setenv(gpus.VISIBLE, visible)
    assert uuids() == found


def test_memory_is_known_of_whole_gpus_where_it_is_said(smi):
    smi(PARTS, "GPU-aaaa-1, 40536\nGPU-bbbb-2, 15360")
    assert {card.uuid: mb for card, mb in gpus.memory(gpus.usable()).items()} == {"GPU-bbbb-2": 15360}
    smi(TWO)
    assert {card.uuid: mb for card, mb in gpus.memory(gpus.usable()).items()} == {"GPU-aaaa-1": 40536}


@pytest.mark.parametrize(("visible", "found"), [(None, ["0", "1"]), ("5,3", ["5", "3"]), ("GPU-x", ["GPU-x"])])
def test_where_nvidia_smi_cannot_be_asked_pytorch_counts(monkeypatch, smi, visible, found):
    smi("NVIDIA-SMI has failed", status=9)
    assert gpus.listed() is None
    if visible:
        monkeypatch.setenv(gpus.VISIBLE, visible)
    assert uuids(lambda: len(found)) == found
    assert uuids() == []
    assert gpus.at_once(2) == 2
    assert gpus.memory(gpus.usable()) == {}


@pytest.fixture
def other_torch(monkeypatch, tmp_path):
    """Let the PyTorch of other processes do something."""

    def does(text):
        (tmp_path / "torch.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return does


COUNTS = """
import os, sys
class cuda:
    device_count = staticmethod(lambda: 2 if os.environ.get("CUDA_VISIBLE_DEVICES") == "5,3,x" else 1)
print("driver too old", file=sys.stderr)
"""


def test_pytorch_counts_in_a_process_of_its_own(monkeypatch, smi, other_torch):
    monkeypatch.setenv(gpus.SLOTS, "1")
    smi("NVIDIA-SMI has failed", status=9)
    other_torch(COUNTS)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: pytest.fail("CUDA was asked in the process that trains"))
    with ExitStack() as stack:
        for uuid in ("5", "3"):
            monkeypatch.setenv(gpus.VISIBLE, "5,3,x")  # as for each of two processes
            assert stack.enter_context(gpus.taken("cuda"))["uuid"] == uuid
            assert os.environ[gpus.VISIBLE] == uuid


@pytest.mark.parametrize("text", ["raise ImportError", "import time; time.sleep(60)"])
def test_a_count_that_fails_is_said_and_the_training_goes_on(monkeypatch, smi, other_torch, capsys, text):
    monkeypatch.setenv(gpus.SLOTS, "1")
    monkeypatch.setattr(gpus, "COUNT_SECONDS", 2)
    smi("NVIDIA-SMI has failed", status=9)
    other_torch(text)
    with gpus.taken("cuda") as place:
        assert place is None
    assert "PyTorch did not say how many GPUs there are" in capsys.readouterr().err


def test_pytorch_is_not_asked_where_nvidia_smi_answers(monkeypatch, smi):
    monkeypatch.setenv(gpus.SLOTS, "1")
    smi(TWO)
    monkeypatch.setattr(gpus, "counted", lambda: pytest.fail("PyTorch was asked"))
    with gpus.taken("cuda") as place:
        assert place["uuid"] == "GPU-aaaa-1"


# -- who uses which ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("device", "slots"), [("cpu", "2"), ("cuda", None)])
def test_a_cpu_and_a_gpu_of_ones_own_take_no_lock(monkeypatch, tmp_path, device, slots):
    if slots:
        monkeypatch.setenv(gpus.SLOTS, slots)
    monkeypatch.setattr(nvidia, "asked", lambda *options, **more: pytest.fail("nvidia-smi was asked"))
    with gpus.taken(device) as place:
        assert place is None
        assert gpus.VISIBLE not in os.environ
    assert list(tmp_path.iterdir()) == []


def test_no_gpu_is_no_place(monkeypatch, smi):
    monkeypatch.setenv(gpus.SLOTS, "1")
    monkeypatch.setattr(gpus, "counted", lambda: 0)
    smi("No devices were found", status=6)
    with gpus.taken("cuda") as place:
        assert place is None


def take(stack):
    """Take one more place, as another process would."""
    os.environ.pop(gpus.VISIBLE, None)
    place = stack.enter_context(gpus.taken("cuda"))
    assert os.environ[gpus.VISIBLE] == place["uuid"]
    return place["uuid"], place["slot"]


def test_trainings_spread_over_the_gpus_before_they_share_one(monkeypatch, smi, capsys):
    monkeypatch.setenv(gpus.SLOTS, "2")
    smi(TWO)
    with ExitStack() as stack:
        taken = [take(stack) for _ in range(4)]
        assert taken == [("GPU-aaaa-1", 1), ("GPU-bbbb-2", 1), ("GPU-aaaa-1", 2), ("GPU-bbbb-2", 2)]
    assert gpus.VISIBLE not in os.environ
    assert "trains on NVIDIA T4, GPU-bbbb-2, place 2 of 2\n" in capsys.readouterr().err
    assert not list(gpus.folder().glob("*.json")), "places are given back"


def test_the_lowest_free_place_is_taken_whichever_card_has_fewer(monkeypatch, smi):
    monkeypatch.setenv(gpus.SLOTS, "2")
    smi(TWO)
    with ExitStack() as first, ExitStack() as stack:
        take(first)  # slot 1 of the first card, while slot 1 of the second and slot 2 of the first are taken
        taken = [take(stack), take(stack)]
        assert taken == [("GPU-bbbb-2", 1), ("GPU-aaaa-1", 2)]
        first.close()
        assert take(stack) == ("GPU-aaaa-1", 1)


def test_a_training_keeps_to_the_gpu_that_slurm_gave_its_job(monkeypatch, smi):
    monkeypatch.setenv(gpus.SLOTS, "2")
    smi(TWO)
    with ExitStack() as stack:
        for slot in (1, 2):
            monkeypatch.setenv(gpus.VISIBLE, "1")  # as for each of two processes
            place = stack.enter_context(gpus.taken("cuda"))
            assert (place["uuid"], place["slot"], place["slots"]) == ("GPU-bbbb-2", slot, 2)
            assert os.environ[gpus.VISIBLE] == "GPU-bbbb-2"
    assert os.environ[gpus.VISIBLE] == "1"


def test_who_finds_no_free_place_waits_says_for_whom_and_goes_on(monkeypatch, smi, capsys):
    monkeypatch.setenv(gpus.SLOTS, "1")
    smi(TWO)
    with ExitStack() as other, ExitStack() as stack:
        take(stack)
        second = take(other)
        naps, sleep = [], time.sleep

        def nap(seconds):
            naps.append(seconds)
            if len(naps) == 3:
                other.close()
            sleep(seconds)

        sleeping(monkeypatch, nap)
        capsys.readouterr()
        assert take(stack) == second
    said = capsys.readouterr().err.splitlines()
    assert len(naps) == 3
    assert len(said) == 2, "it is said once, not with every look"
    owner = f"process {os.getpid()} on {locks.socket.gethostname()} since "
    assert said[0].startswith("all 2 places on 2 GPUs (NVIDIA A100, NVIDIA T4) are taken: waiting for process ")
    assert said[0].count(owner) == 1, "one process has both"
    assert said[1].endswith("place 1 of 1, after 0 s")


def fail(expected, error=gpus.NotStartedError):
    os.environ.pop(gpus.VISIBLE, None)
    with pytest.raises(error), gpus.taken("cuda") as place:
        assert place["uuid"] == expected
        raise error("no")


def test_a_gpu_on_which_cuda_did_not_start_is_left_out_for_a_while(monkeypatch, smi, capsys):
    monkeypatch.setenv(gpus.SLOTS, "1")
    smi(TWO)
    fail("GPU-aaaa-1", MemoryError)
    fail("GPU-aaaa-1", UserError)
    fail("GPU-aaaa-1")
    capsys.readouterr()
    with ExitStack() as stack, ExitStack() as other:
        assert take(other) == ("GPU-bbbb-2", 1)
        assert "NVIDIA A100, GPU-aaaa-1, is left out: CUDA did not start there within the last 10" in (
            capsys.readouterr().err
        )
        sleeping(monkeypatch, lambda seconds: other.close())
        assert take(stack) == ("GPU-bbbb-2", 1), "who waits does not go there either"
        said = capsys.readouterr().err
        assert said.count("is left out") == 1
        assert "all 1 places on 1 GPU (NVIDIA T4) are taken: waiting for process " in said
        (mark,) = gpus.folder().glob("*.failed")
        os.utime(mark, (0, 0))
        assert take(stack) == ("GPU-aaaa-1", 1), "after a while it is tried again"


def test_who_waits_learns_that_a_gpu_failed(monkeypatch, smi):
    monkeypatch.setenv(gpus.SLOTS, "1")
    smi(TWO)
    with ExitStack() as broken, ExitStack() as second, ExitStack() as stack:
        take(broken)
        take(second)
        naps = []

        def nap(seconds):
            naps.append(seconds)
            if len(naps) == 1:  # the first gives its place back because CUDA did not start
                error = gpus.NotStartedError("no")
                assert not broken.__exit__(type(error), error, None), "it is raised again"
            else:
                second.close()

        sleeping(monkeypatch, nap)
        assert take(stack) == ("GPU-bbbb-2", 1)
        assert len(naps) == 2


def test_where_cuda_started_on_no_gpu_all_are_tried(monkeypatch, smi, capsys):
    monkeypatch.setenv(gpus.SLOTS, "1")
    smi(TWO)
    fail("GPU-aaaa-1")
    fail("GPU-bbbb-2")
    capsys.readouterr()
    fail("GPU-aaaa-1")
    assert "left out" not in capsys.readouterr().err


HOLD = """
import sys, time
from softlabels import gpus
with gpus.taken("cuda"):
    print("taken", flush=True)
    time.sleep(60)
"""


def test_the_place_of_a_training_that_was_killed_is_free(monkeypatch, smi, tmp_path):
    monkeypatch.setenv(gpus.SLOTS, "1")
    smi(TWO.splitlines()[0])
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow"), "TMPDIR": str(tmp_path)}
    holder = subprocess.Popen([sys.executable, "-c", HOLD], env=environment, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "taken\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert list(gpus.folder().glob("*.json")), "its record is still there"
    with gpus.taken("cuda") as place:
        assert (place["uuid"], place["slot"]) == ("GPU-aaaa-1", 1)


def test_the_locks_lie_in_a_folder_that_nobody_else_may_enter(tmp_path):
    at = gpus.folder()
    assert at == tmp_path / f"softlabels-gpus-{os.getuid()}"
    assert at.stat().st_mode & 0o777 == 0o700
    at.chmod(0o777)
    with pytest.raises(UserError, match=r"expected a folder of user .* that nobody else may enter"):
        gpus.folder()
    at.rmdir()
    at.symlink_to(tmp_path)
    with pytest.raises(UserError, match="Remove it, or set TMPDIR"):
        gpus.folder()
    at.unlink()
    at.symlink_to(tmp_path / "nothing")
    with pytest.raises(UserError, match="Remove it, or set TMPDIR"):
        gpus.folder()
    at.unlink()
    at.touch()
    with pytest.raises(UserError, match="Remove it, or set TMPDIR"):
        gpus.folder()


@pytest.mark.parametrize("method", ["mkdir", "open"])  # of the folder, and of a lock in it
def test_a_full_folder_for_temporary_files_is_named_and_not_the_results(monkeypatch, smi, method):
    monkeypatch.setenv(gpus.SLOTS, "1")
    smi(TWO)
    real = getattr(Path, method)

    def full(path, *arguments, **more):
        if "softlabels-gpus-" in str(path) and not path.is_dir():
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, *arguments, **more)

    monkeypatch.setattr(Path, method, full)
    message = r"softlabels-gpus-.*: No space left on device\. .* set TMPDIR to another"
    with pytest.raises(UserError, match=message), gpus.taken("cuda"):
        pytest.fail("there is no lock")


def test_what_a_training_cannot_write_is_not_laid_on_the_locks(monkeypatch, smi):
    monkeypatch.setenv(gpus.SLOTS, "1")
    smi(TWO)
    with pytest.raises(OSError, match="No space left") as caught, gpus.taken("cuda"):
        raise OSError(errno.ENOSPC, "No space left on device", "results/model")
    assert caught.value.filename == "results/model"


# -- in a training -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


def test_facts_of_a_run_have_its_place_and_its_results_do_not(monkeypatch, smi, tmp_path, inputs):
    facts, alone = fit(tmp_path / "alone", inputs, recipe())
    assert "place" not in facts
    monkeypatch.setenv(gpus.SLOTS, "2")
    smi(TWO)
    real = gpus.taken
    monkeypatch.setattr(train.gpus, "taken", lambda device: real("cuda"))  # the rest goes on on the CPU
    facts, shared = fit(tmp_path / "shared", inputs, recipe())
    assert facts["place"] == {"gpu": "NVIDIA A100", "uuid": "GPU-aaaa-1", "slot": 1, "slots": 2}
    assert contents(shared) == contents(alone)


def test_a_gpu_that_nvidia_smi_lists_and_pytorch_does_not_see_is_named(monkeypatch, smi, tmp_path, inputs, capsys):
    monkeypatch.setenv(gpus.SLOTS, "1")
    smi(TWO)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = r"torch sees no GPU here \(CUDA_VISIBLE_DEVICES is 'GPU-aaaa-1'\)\. Set device: cpu"
    with pytest.raises(UserError, match=message):
        fit(tmp_path, inputs, recipe(device="cuda"))
    assert "trains on NVIDIA A100, GPU-aaaa-1, place 1 of 1" in capsys.readouterr().err
    with gpus.taken("cuda") as place:
        assert place["uuid"] == "GPU-bbbb-2", "the next goes elsewhere"


@pytest.mark.parametrize(("error", "message"), [
    ("CUDA error: all CUDA-capable devices are busy\nCUDA kernel errors …", "The GPU GPU-aaaa-1 cannot be used: CUDA "
     "error: all CUDA-capable devices are busy. See whether nvidia-smi still shows it"),
    ("CUDA error: out of memory", r"Not enough memory \(GPU, where CUDA could not start\).* gpu_slots lower than 3, "),
])  # fmt: skip
def test_cuda_that_does_not_start_is_one_message(monkeypatch, smi, tmp_path, inputs, error, message):
    monkeypatch.setenv(gpus.SLOTS, "3")
    smi(TWO)

    def fail(*arguments, **more):
        raise RuntimeError(error)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", fail)
    monkeypatch.setattr(torch, "empty", fail)
    with pytest.raises(UserError, match=message):
        fit(tmp_path, inputs, recipe(device="cuda"))
    assert not list(gpus.folder().glob("*.json")), "the place is free again"
    with gpus.taken("cuda") as place:
        assert place["uuid"] == ("GPU-aaaa-1" if "memory" in error else "GPU-bbbb-2"), "a full GPU is a good one"


# -- memory ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slots", "left", "room"), [(None, 900, 750), ("2", 900, 350), ("2", 400, 250), ("8", 900, -25)]
)
def test_images_stay_on_a_gpu_where_the_share_of_a_slot_holds_them_beside_a_step(monkeypatch, slots, left, room):
    if slots:
        monkeypatch.setenv(gpus.SLOTS, slots)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (left, 1000))
    assert memory.room(torch.device("cuda"), 150) == room


def test_the_memory_of_a_step_follows_batch_pixels_precision_and_network():
    def mb(items=1000, area=32**2, **changes):
        return gpus.beside_images(recipe(**{"batch": 128} | changes), items, area, 6) / gpus.MB

    assert (gpus.PREDICTED_PIXELS, gpus.PREDICTED_BATCHES) == (loop.MOST_PIXELS, loop.MOST_BATCHES)
    least = mb()
    assert gpus.LEAST_MB < least < gpus.LEAST_MB + 200
    assert mb(area=224**2) - gpus.LEAST_MB > 20 * (least - gpus.LEAST_MB)
    large = mb(area=224**2, network={"kind": "densenet121"})
    assert 8_000 < large < 30_000
    assert mb(area=224**2, network={"kind": "densenet121"}, precision="float32") > 1.5 * large
    assert mb(area=224**2, network={"kind": "densenet121"}, batch=64) < 0.7 * large


def plan(**more):
    big = {"network": "densenet121", "device": "cuda", "batch": 512}
    return Plan({
        "datasets": {"shapes": {"source": {"kind": "synthetic", "pixels": 224}}},
        "recipes": {"big": big, "unused": big, "small": {"network": "compact"}},
        "studies": {"one": {"datasets": ["shapes"], "recipes": ["big", "small"], "seeds": [0]}},
        **more,
    })  # fmt: skip


def test_more_slots_than_memory_is_said_with_the_numbers(smi):
    smi(TWO, "GPU-aaaa-1, 100000\nGPU-bbbb-2, 90000")
    assert resources.on_gpu(plan()) == [("shapes", "big")]
    each = resources.gpu_mb(plan(), "shapes", "big")
    assert 30_000 < each < 90_000
    assert resources.crowded(plan()) == []
    assert resources.crowded(plan(gpu_slots=4)) == [
        f"recipes.big: a training on shapes is expected to take {each:,.0f} MB of a GPU, 4 at once {4 * each:,.0f} MB, "
        f"and NVIDIA T4 has 90,000 MB. Lower gpu_slots (4), or batch"
    ]
    smi(TWO, "GPU-aaaa-1, 8000")
    assert resources.crowded(plan())[0].endswith(" MB of a GPU, and NVIDIA A100 has 8,000 MB. Lower batch")


def test_a_study_on_cpus_asks_for_no_gpu(monkeypatch):
    monkeypatch.setattr(nvidia, "asked", lambda *options, **more: pytest.fail("nvidia-smi was asked"))
    study = {"datasets": ["shapes"], "recipes": ["small"]}
    alone = plan(gpu_slots=4, studies={"one": study})
    assert resources.on_gpu(alone) == []
    assert resources.crowded(alone) == []


def test_slots_are_no_part_of_what_makes_a_result_old():
    where = {"dataset": "shapes", "split": "random", "recipe": "big", "label": "soft", "seed": 0}
    assert plan().json("train", **where) == plan(gpu_slots=4).json("train", **where)
    assert plan().json("study", study="one") == plan(gpu_slots=4).json("study", study="one")
