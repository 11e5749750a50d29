"""How many trainings Snakemake lets use this machine's GPUs at once, and what it tells them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
READ = """
import json, os, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

for name, given, nodes in json.loads(sys.argv[1]):
    with SnakemakeApi(OutputSettings()) as api:
        read = api.workflow(
            resource_settings=ResourceSettings(cores=2, nodes=nodes, resources=given),
            config_settings=ConfigSettings(configfiles=[Path(name)]),
            snakefile=Path(sys.argv[2]),
        )._workflow
        gpu = read.global_resources["gpu"].value if "gpu" in read.global_resources else None
        print(json.dumps([gpu, os.environ.get("SOFTLABELS_GPU_SLOTS")]))
"""
CASES = {
    "all places of two GPUs": (("gpu.yaml", {}, None), [6, "3"]),
    "as many as the user says": (("gpu.yaml", {"gpu": 2}, None), [2, "3"]),
    "on a cluster, what its profile says": (("gpu.yaml", {"gpu": 64}, 100), [64, None]),
    "on a cluster, any number": (("gpu.yaml", {}, 100), [None, None]),
    "no GPU is wanted": (("cpu.yaml", {}, None), [None, None]),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What Snakemake knows after reading the workflow, by case: all in one process, since it starts slowly."""
    folder = tmp_path_factory.mktemp("project")
    config = yaml.safe_load((REPOSITORY / "config" / "tiny.yaml").read_text()) | {"gpu_slots": 3}
    (folder / "cpu.yaml").write_text(yaml.safe_dump(config))
    config["recipes"]["tiny_compact"]["device"] = "cuda"
    (folder / "gpu.yaml").write_text(yaml.safe_dump(config))
    smi = folder / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'GPU 0: A100 (UUID: GPU-aaaa)'\necho 'GPU 1: A100 (UUID: GPU-bbbb)'\n")
    smi.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    words = [sys.executable, "-c", READ, json.dumps([case for case, _ in CASES.values()]), REPOSITORY / "Snakefile"]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_trainings_at_once_are_the_gpus_times_their_slots(found, case):
    assert found[case] == CASES[case][1]
