"""What a machine lacks for a recipe is found before anything is trained, and said in one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from training_files import fit, recipe, write_data

from softlabels import closure, lacking
from softlabels.errors import UserError

X86 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 {}\n\nprocessor\t: 1\nflags\t\t: fpu\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {}\n"


def told(**changes):
    return dict(lacking.of(recipe(**changes)))


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without any program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def program(bare):
    """Puts a program on that machine."""

    def put(name):
        (bare / name).write_text("#!/bin/sh\n")
        (bare / name).chmod(0o755)

    return put


@pytest.mark.parametrize(("text", "name"), [(X86, "avx512_bf16"), (X86, "amx_bf16"), (ARM, "bf16")])
def test_bfloat16_asks_for_a_processor_that_computes_with_it(monkeypatch, tmp_path, text, name):
    monkeypatch.setattr(lacking, "PROCESSOR", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(text.format(name))
    assert told(precision="bfloat16") == {}
    (tmp_path / "cpuinfo").write_text(text.format("bf1"))
    assert told(precision="bfloat16")["precision"].startswith("found a processor (")
    assert told(precision="bfloat16", device="cuda") == told(precision="auto") == told(precision="float32") == {}
    (tmp_path / "cpuinfo").unlink()
    assert set(told(precision="bfloat16")) == {"precision"}


def test_compiling_on_a_cpu_asks_for_a_cpp_compiler_and_the_headers_of_python(monkeypatch, bare, program):
    assert told(compile=False) == {}
    assert "found no C++ compiler (" in told(compile=True)["compile"]
    program("own-c++")
    monkeypatch.setenv("CXX", "own-c++ -O1")
    monkeypatch.setattr(lacking.sysconfig, "get_paths", lambda: {"include": str(bare)})
    assert f"found no header of Python ({bare / 'Python.h'})" in told(compile=True)["compile"]
    (bare / "Python.h").touch()
    assert told(compile=True) == {}


def test_compiling_on_a_gpu_asks_for_triton_and_a_c_compiler(monkeypatch, bare, program):
    monkeypatch.setattr(sys, "path", [str(bare)])
    monkeypatch.setattr(lacking.sysconfig, "get_paths", lambda: {"include": str(bare)})
    (bare / "Python.h").touch()
    found = told(compile=True, device="cuda")["compile"]
    assert found.startswith("found no module triton and no C compiler (gcc, clang; ")
    program("clang")
    (bare / "triton").mkdir()
    assert told(compile=True, device="cuda") == {}


@pytest.mark.parametrize("key", ["compile", "precision"])
def test_a_training_says_so_before_it_begins(monkeypatch, tmp_path, bare, key):
    monkeypatch.setattr(lacking, "PROCESSOR", Path(bare, "none"))
    inputs, steps = write_data(tmp_path / "data"), {"compile": True, "precision": "float32"}
    steps = steps if key == "compile" else {"precision": "bfloat16"}
    with pytest.raises(UserError, match=rf"^recipe\.{key}: found "):
        fit(tmp_path / "run", inputs, recipe(**steps))
    assert not (tmp_path / "run").exists()


def test_it_is_said_without_loading_torch():
    lines = (
        "import sys",
        "from softlabels import lacking",
        "asked = {'precision': 'bfloat16', 'compile': True}",
        "print([*lacking.of(asked | {'device': 'cpu'}), *lacking.of(asked | {'device': 'cuda'})])",
        "print('torch' in sys.modules)",
    )
    environment = os.environ | {"PYTHONPATH": str(closure.PACKAGE.parent)}
    words = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nFalse\n")
