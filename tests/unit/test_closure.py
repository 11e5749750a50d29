"""The code hash: what belongs to it, and what changes it."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from softlabels import commands, registry
from softlabels.provenance import closure
from softlabels.registry import REGISTRY

WORKFLOW = Path(closure.PACKAGE).parent
MODULES = sorted(
    ".".join(path.relative_to(WORKFLOW).with_suffix("").parts).removesuffix(".__init__")
    for path in closure.PACKAGE.rglob("*.py")
)
RECIPE = {"recipe": {"network": "compact", "loss": "cross_entropy", "schedule": {"kind": "cosine"}}, "seed": 0}

# Syntax whose tree differs between Python versions, or that a careless dump would confuse.
SAMPLE = '''
"""Docstring."""
from __future__ import annotations
import math as m


class Empty:
    """Only a docstring."""


class Child(Empty, metaclass=type):
    x: int = 1
    y: str


@staticmethod
def f(a, /, b=None, *args: int, c, d=2.5e-10, **kwargs) -> dict[str, int]:
    """Docstring."""
    global G
    G = {**kwargs, "k": [None, ..., True, 1j, b"x", "\\u00e9", -0.0, 1e400]}
    match a:
        case {"x": [1, *rest], **others} if rest:
            return f"{a!r:>{b}} {a=} {{}} {'nested'}" "joined" f"{c:%Y-%m}"
        case None | Empty(x=1):
            pass
        case _:
            raise ValueError from None
    return [i async for i in a] if (n := 3) else lambda *, k=1: (yield k)


async def g():
    async with f() as x, f():
        await x
    try:
        ...
    except* ValueError as error:
        del error
    else:
        assert x, "message"
    return
'''


def clear_caches():
    for function in (closure._read, closure.code_hash):
        function.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An empty package in place of the real one; ``write(module, text)`` adds to it."""
    root = tmp_path / "softlabels"
    monkeypatch.setattr(closure, "PACKAGE", root)

    def write(module, text):
        path = root / (module.replace(".", "/") + ".py")
        for folder in [path.parent, *path.parent.parents]:
            folder.mkdir(parents=True, exist_ok=True)
            if (init := folder / "__init__.py") != path and not init.exists():
                init.write_text("")
            if folder == root:
                break
        path.write_text(text)
        clear_caches()

    yield write
    monkeypatch.undo()
    clear_caches()


def hash_of(*modules):
    return closure.code_hash(tuple(f"softlabels.{module}" for module in modules))


def short(modules):
    return {module.removeprefix("softlabels.") for module in modules}


# -- what changes the hash -----------------------------------------------------------------------------------------

BEFORE = '''"""What it does."""

RATE = 0.1  # the rate


def step(x):
    """Take a step.

    Long text.
    """
    return [x + RATE, (x, "a")]
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # the rate", ""),
        ("# the rate", "# another reason"),
        ('"""What it does."""', '"""Says it better."""'),
        ('"""What it does."""', ""),
        ("    Long text.\n", ""),
        ('[x + RATE, (x, "a")]', "[\n        x + RATE,\n        (x, 'a'),\n    ]"),
        ("\n\n\ndef", "\n\ndef"),
    ],
)
def test_comments_docstrings_and_formatting_do_not_change_the_hash(package, old, new):
    package("a", BEFORE)
    before = hash_of("a")
    assert old in BEFORE
    package("a", BEFORE.replace(old, new))
    assert hash_of("a") == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.1", "0.2"),
        ("0.1", "1"),
        ("0.1", '"0.1"'),
        ("+", "-"),
        ('"a"', '"b"'),
        ('"a"', "None"),
        ("step(x)", "step(x, y=1)"),
        ("RATE =", "RATE: float ="),
    ],
)
def test_anything_that_runs_changes_the_hash(package, old, new):
    package("a", BEFORE)
    before = hash_of("a")
    assert old in BEFORE
    package("a", BEFORE.replace(old, new))
    assert hash_of("a") != before


def test_none_and_nothing_differ_where_they_mean_different_things(package):
    texts = [
        "x = None",
        "x = []",
        "x = ()",
        "x = {}",
        "x: int",
        "x: int = None",
        "x = 0",
        "x = False",
        "x = 0.0",
        "x = ''",
    ]
    hashes = []
    for text in texts:
        package("a", text)
        hashes.append(hash_of("a"))
    assert len(set(hashes)) == len(texts)


def test_a_change_in_an_imported_module_changes_the_hash_of_those_who_import_it_only(package):
    package("core", "X = 1")
    package("user", "from . import middle")
    package("middle", "from .core import X")
    package("other", "Y = 1")
    user, other = hash_of("user"), hash_of("other")
    package("core", "X = 2")
    assert hash_of("user") != user
    assert hash_of("other") == other


# -- which modules belong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("import softlabels.a.one", {"a", "a.one"}),
        ("import softlabels.a.one as x, os", {"a", "a.one"}),
        ("from softlabels.a import one", {"a", "a.one"}),
        ("from softlabels import a", {"a"}),
        ("from softlabels.a.one import f", {"a", "a.one"}),
        ("from . import two", {"b.two"}),
        ("from .two import f", {"b.two"}),
        ("from .. import a", {"a"}),
        ("from ..a import one, f", {"a", "a.one"}),
        ("from ..a.one import f as g", {"a", "a.one"}),
        ("from ..a import *", {"a"}),
        ("def f():\n    from ..a import one", {"a", "a.one"}),
        ("if True:\n    class A:\n        import softlabels.a.one", {"a", "a.one"}),
        ("import os, numpy.linalg\nfrom collections.abc import Mapping", set()),
    ],
)
def test_every_form_of_import_is_followed(package, statement, expected):
    package("a.one", "")
    package("b.two", "")
    package("b.entry", statement)
    assert short(closure.closure(["softlabels.b.entry"])) == expected | {"b", "b.entry"}


def test_a_relative_import_in_an_init_starts_at_its_own_package(package):
    package("a.one", "")
    package("one", "")
    package("a.__init__", "from . import one")
    assert short(closure.closure(["softlabels.a"])) == {"a", "a.one"}


def test_modules_that_import_each_other_are_no_endless_loop(package):
    package("a", "from . import b")
    package("b", "from . import a")
    assert short(closure.closure(["softlabels.a"])) == {"a", "b"}


def test_messages_locks_and_the_table_of_names_are_left_out():
    for module in ("softlabels.training.train", "softlabels.labels.label", "softlabels.datasets.data"):
        found = short(closure.closure([module]))
        assert found.isdisjoint({"softlabels", "errors", "registry", "locks", "cli", "commands", "config", "plan"})
    assert {"softlabels.registry", "softlabels.errors"} <= closure.PLUMBING


def test_the_training_closure_holds_nothing_of_sources_labels_evaluation_and_studies():
    found = short(closure.closure(commands.modules("train", RECIPE)))
    assert {"training.train", "networks.compact", "training.losses.cross_entropy", "training.schedules.cosine"} <= found
    assert "datasets.contract" in found
    rooms = {module.split(".")[0] for module in found}
    assert rooms.isdisjoint({"evaluation", "studies", "labels", "provenance", "embedding", "predict"})
    assert {m for m in found if m.startswith("datasets.")} <= {"datasets.contract"}
    assert {m for m in found if m.startswith("training.schedules.")} == {"training.schedules.cosine"}


def test_a_new_registration_leaves_every_hash_as_it_is_and_another_choice_changes_it(monkeypatch):
    before = commands.code_hash("train", RECIPE)
    monkeypatch.setitem(REGISTRY["network"], "wide", "softlabels.networks.wide:body")
    clear_caches()
    assert commands.code_hash("train", RECIPE) == before
    other = {"recipe": RECIPE["recipe"] | {"schedule": {"kind": "constant"}}}
    assert commands.code_hash("train", other) != before


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, table in REGISTRY.items() for name in table])
def test_every_registered_name_leads_to_a_function_of_a_module_of_its_own(kind, name):
    module, function = registry.location(kind, name)
    path = closure.path_of(module)
    assert path is not None, f"{module} does not exist"
    defined = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert function in defined
    assert [m.split(":")[0] for table in REGISTRY.values() for m in table.values()].count(module) == 1


@pytest.mark.parametrize("command", commands.COMMANDS.values(), ids=commands.COMMANDS)
def test_every_command_has_a_module_with_run(command):
    tree = ast.parse(closure.path_of(command.module).read_text())
    assert "run" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


# -- the same on every Python ----------------------------------------------------------------------------------------

PROGRAM = """
import json, sys
from pathlib import Path
from softlabels.provenance import closure
hashes = {module: closure.module_hash(module) for module in json.loads(sys.argv[1])}
closure.PACKAGE = Path(sys.argv[2])
hashes["sample"] = closure.module_hash("softlabels.sample")
print(json.dumps(hashes))
"""


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_hash_is_the_same_on_every_supported_python(version, tmp_path):
    (tmp_path / "sample.py").write_text(SAMPLE)

    def hashes(python):
        program = [python, "-c", PROGRAM, json.dumps(MODULES), str(tmp_path)]
        return subprocess.run(program, capture_output=True, text=True, env={"PYTHONPATH": str(WORKFLOW)}, check=False)

    python = shutil.which(f"python{version}")
    other = hashes(python) if python else None
    if other is None or other.returncode in (126, 127):  # none, or a launcher that has no such version
        pytest.skip(f"no python{version} here")
    assert other.returncode == 0, other.stderr
    assert json.loads(other.stdout) == json.loads(hashes(sys.executable).stdout)
