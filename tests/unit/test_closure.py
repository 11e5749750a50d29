"""The code hash: what an entry reaches, and what makes a result old."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from softlabels import closure, commands
from softlabels.errors import UserError

WORKFLOW = closure.PACKAGE.parent
CHOSEN = {"network": "compact", "loss": "cross_entropy", "optimiser": "sgd", "schedule": "cosine"}
RECIPE = {"recipe": {kind: {"kind": name} for kind, name in CHOSEN.items()}, "seed": 0}
TRAIN = commands.entries("train", RECIPE)
DATA = ("softlabels.datasets.data:run", "softlabels.datasets.counts:read")


def clear():
    for function in (closure._path, closure._module, closure._closure):
        function.cache_clear()


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write modules (text by name; ``p_b`` is b in the package p) to an own folder; the closure of ``entry``."""
    monkeypatch.setenv("SOFTLABELS_MODULES", str(tmp_path))

    def write(entry="a:f", **texts):
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('_', '/', 1).replace('/init', '/__init__')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        clear()
        return closure.closure([entry])

    yield write
    clear()


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the package; ``edit(file, old, new)`` changes it, ``edit(file, text)`` appends."""
    monkeypatch.setattr(closure, "PACKAGE", Path(shutil.copytree(closure.PACKAGE, tmp_path / "softlabels")))

    def edit(file, old, new=None):
        path = closure.PACKAGE / file
        text = path.read_text()
        assert new is None or old in text, f"{file} has no {old!r} any more"
        path.write_text(text + old if new is None else text.replace(old, new))
        clear()

    clear()
    yield edit
    monkeypatch.undo()
    clear()


def reached(found):
    return {name for name in found.definitions if not name.endswith((":<names>", ":<import>"))}


# -- what changes the hash of a definition ----------------------------------------------------------------------------

BEFORE = '''"""What it does."""
from __future__ import annotations

import logging
import sys

from tqdm import tqdm

RATE = 0.1  # the rate
ENTRY = {"about": "What it does."}


def f(x, problems, y: int = 1):
    """Take a step.

    Long text.
    """
    if x < 0:
        raise ValueError(f"x is {x:.1f}, expected {len(y)} or more" + " or so")
    assert y, f"no {y}"
    if y > 2:
        problems.add(f"y is {y}")
    print(f"step {x}", file=sys.stderr)
    logging.warning("slow: %s", x)
    for _ in tqdm(range(3), desc="steps", unit="step"):
        x += y
    return [x + RATE, (x, "a")]
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # the rate", ""),
        ("# the rate", "# another reason"),
        ('"""What it does."""', '"""Says it better."""'),
        ("    Long text.\n", ""),
        ('[x + RATE, (x, "a")]', "[\n        x + RATE,\n        (x, 'a'),\n    ]"),
        ("\n\n\ndef", "\n\ndef"),
        ("x is {x:.1f}, expected {len(y)}", "found {x!r}, expected {sorted(y)} {y}"),
        (' + " or so"', ' + " or more or less"'),
        ('f"no {y}"', '"y is missing"'),
        ("y is {y}", "found y {y} with {x}"),
        ("step {x}", "at {x} of {y}"),
        ("slow: %s", "too slow: %s"),
        ('desc="steps", unit="step"', 'desc="progress", mininterval=3'),
        ("y: int", "y: float"),
        ('"about": "What it does."', '"about": "What it does.", "options": {"z": {"default": 3}}'),
        ("def f", "def g():\n    return RATE\n\n\nclass New:\n    x = 1\n\n\nNEW = 3\n\n\ndef f"),
        ("RATE = 0.1  # the rate\n", ""),  # moved, see below
    ],
)
def test_what_changes_no_result_leaves_the_hash(own, old, new):
    before = own(a=BEFORE)
    assert old in BEFORE
    after = BEFORE.replace(old, new)
    after += "" if "RATE =" in after else "\n\nRATE = 0.1\n"
    assert own(a=after) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.1", "0.2"),
        ("0.1", "1"),
        ("0.1", '"0.1"'),
        ("+ RATE", "- RATE"),
        ('"a"', '"b"'),
        ('"a"', "None"),
        ("int = 1", "int = 2"),
        ("x < 0", "x < 1"),
        ("ValueError", "KeyError"),
        ("def f", "@staticmethod\ndef f"),
        ("{len(y)}", "{y.pop()}"),
        ("{y}\")\n    print", "{next(y)}\")\n    print"),
        ("range(3)", "range(4)"),
        ("file=sys.stderr", "file=x"),
        ('{y}")\n    print', '{sys.format(y)}")\n    print'),
        ("range(3), desc", "iterable=range(4), desc"),
        ('def f', 'def print(*a, file):\n    x.append(a)\n\n\ndef f'),
        ("RATE = 0.1", "RATE = 0.1\nRATE += 1"),
        ("RATE = 0.1", "RATE = 0.1\nsys.setrecursionlimit(99)"),
        ("import sys", "import os as sys"),
    ],
)  # fmt: skip
def test_what_may_change_a_result_changes_the_hash(own, old, new):
    before = own(a=BEFORE)
    assert old in BEFORE
    after = own(a=BEFORE.replace(old, new))
    assert after.sha256 != before.sha256


def test_none_and_nothing_differ_where_they_mean_different_things(own):
    texts = ["None", "[]", "()", "{}", "0", "False", "0.0", "-0.0", "''", "b''", "...", "1j"]
    assert len({json.dumps(own(a=f"x = {text}\ndef f(): return x").definitions) for text in texts}) == len(texts)


def test_the_order_of_definitions_is_left_out_and_that_of_statements_that_act_is_not(own):
    assert own(a="def g(): ...\nX = 1\ndef f(): return g(X)") == own(a="def f(): return g(X)\nX = 1\ndef g(): ...")
    parts = ["T = {}", "T['a'] = 1", "T['a'] = 2", "N = len(T)", "def f(): return N, T"]
    first = own(a="\n".join(parts))
    for order in ([0, 2, 1, 3, 4], [0, 1, 3, 2, 4]):
        assert own(a="\n".join(parts[index] for index in order)) != first


# -- what is reached ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "import p.b\ndef f(): return p.b.g()",
        "import p.b as x, os\ndef f(): return x.g()",
        "from p import b\ndef f(): return b.g()",
        "from p.b import g\ndef f(): return g()",
        "from p.b import g as h\ndef f(): return h()",
        "def f():\n    from p import b\n    return b.g()",
        "def f():\n    from p.b import g\n    def inner(): return g\n    return inner",
        "from p.c import g\ndef f(): return g()",  # which has it from p.b
        "import p.c\ndef f(): return p.c.b.g()",
        "from p import again\ndef f(): return again()",
        "try:\n    from p import b\nexcept ImportError:\n    b = None\ndef f(): return b.g()",
        "import p.b\nT = {'g': p.b.g}\ndef f(k): return T[k]()",
        "import p.b\nfrom functools import partial\nG = partial(p.b.g, 1)\ndef f(): return G()",
        "import p.b\nclass C:\n    step = p.b.g\ndef f(): return C().step()",
        "import p.b\nclass C:\n    @property\n    def x(self): return p.b.g()\ndef f(): return C().x",
        "import p.b\nclass C:\n    def __getattr__(self, n): return p.b.g()\ndef f(): return C().x",
        "import p.b\ndef f(x=p.b.g): return x",
        "from p.b import g\n@g\ndef f(): ...",
        "import p.b\ndef f(g=lambda p_: p.b.g): return g",
        "import p.b\ndef f(x):\n    match x:\n        case p.b.g(y=1) as b: return b",
        "import p.b\ndef f(x): return [b for b in x if (c := p.b.g)]",
        "import p.b\ndef f():\n    global X\n    X = p.b.g",
        "import p.b\nX = p.b.g\ndef f():\n    X = 1\n    def g():\n        global X\n        return X\n    return g",
        "import p.b\nX = p.b.g\ndef f():\n    global X\n    X += 1",
        "from p.b import g\ndef f(): return [g for g in x], g",
        "import dataclasses as d\nfrom p.b import g\n@d.dataclass\nclass D:\n    x: int = d.field(default=g)\n"
        "def f(): return D()",
        "from p.b import g\nclass B:\n    def run(self): return self.hook()\nclass C(B):\n"
        "    def hook(self): return g()\ndef f(): return C().run()",
        "from p.b import g\nclass B: ...\nclass C(B):\n    x = g\ndef f(): return B.__subclasses__()",
        "from functools import singledispatch\nfrom p.b import g\n@singledispatch\ndef f(x): ...\n@f.register\n"
        "def _(x: int): return g()",
        "from p.b import g\nT = {}\ndef add(h): T[h.__name__] = h\n@add\ndef unused(): g()\ndef f(): return T",
        "import p.d\ndef f(): return p.d.x",  # which changes a function of p.b when it is imported
    ],
)  # fmt: skip
def test_a_name_is_followed_to_its_definition_and_no_further(own, text):
    package = {"p_init": "from .b import g as again", "p_b": "def g(): ...\ndef h(): ...\nX = 1"}
    others = {"p_c": "from . import b\nfrom .b import g\ndef z(): ...", "p_d": "from p import b\nx = 1\nb.g.x = 2"}
    found = own(a=text, **package, **others)
    assert {name for name in reached(found) if name.startswith("p.b")} == {"p.b:g"}
    assert found.whole == {}
    changed = own(p_b="def g(): return 3\ndef h(): ...\nX = 1")
    assert changed.sha256 != found.sha256
    assert own(p_b="def g(): return 3\ndef h(): return 4\nX = 2\ndef new(): ...") == changed


@pytest.mark.parametrize(
    "text",
    [
        "from p.b import g, x\ndef f(g, *x): return g.y, x",
        "from p.b import g\ndef f():\n    g = 1\n    return g",
        "from p.b import g\ndef f(x): return [g for g in x], lambda g: g",
        "from p.b import g\ndef f():\n    for g in x: ...\n    def inner(): return g\n    return inner",
        "from p.b import g\ndef f(x):\n    [g := 1 for _ in x]\n    return g",
        "from __future__ import annotations\nfrom p.b import g\ndef f(x: g) -> g: return x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.b import g\ndef f(x: 'g'): return x",
        "from p.b import g\ndef f():\n    x: g = 1",
        "from p.b import g\nif __name__ == '__main__':\n    g()\ndef f(): ...",
    ],
)
def test_a_name_that_means_something_else_is_not_followed(own, text):
    assert reached(own(a=text, p_b="def g(): ...\nx = 1")) == {"a:f"}


def test_what_importing_a_module_does_counts_its_package_and_what_it_imports_too(own):
    texts = {"a": "import p.b\ndef f(): ...", "p_init": "import c", "p_b": "", "c": "import sys\nsys.path.append(1)"}
    found = own(**texts)
    assert found.modules == {"a", "p", "p.b", "c"}
    assert set(found.definitions) == {"a:f", "c:<import>", "c:<names>"}
    acting = ["for x in y: ...", "if x: y = 1", "with x: ...", "try: ...\nfinally: ...", "x.y = 1", "x[0] = 1", "g()"]
    for text in acting:
        assert "c:<import>" in own(c=f"x = y = []\ndef g(): ...\n{text}").definitions, text
    still = ["x = 1", "x = re.compile('a')", "class E(ValueError): ...", "@cache\ndef g(): ...", "x: int = len('a')"]
    for text in still:
        assert "c:<import>" not in own(c=f"import re\nfrom functools import cache\n{text}").definitions, text


def test_modules_that_import_each_other_are_no_endless_loop(own):
    found = own(a="from b import g\ndef f(): return g", b="from a import f\ndef g(): return f")
    assert reached(found) == {"a:f", "b:g"}
    assert own(a="from b import f", b="from a import f").whole == {}


# -- what cannot be decided --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("from b import *\ndef f(): ...", {"b": "a:* uses all of it"}),
        ("import b\ndef f(n): return getattr(b, n)()", {"b": "a:f uses all of it"}),
        ("import b\nm = b\ndef f(): return m.g()", {"b": "a:m uses all of it"}),
        ("class A:\n    import b\ndef f(): return A.b.g()", {"b": "a:A uses all of it"}),
        ("def f():\n    global m\n    import b as m", {"b": "a:f uses all of it"}),
        ("import b\ndef f(): return b.x", {"b": "a:f uses its 'x', which its text does not define"}),
        ("def f(n): return globals()[n]()\ndef g(): ...", {"a": "a:f uses globals()"}),
        ("def g(): ...", {"a": "the configuration uses its 'f', which its text does not define"}),
    ],
)
def test_where_it_cannot_be_decided_the_whole_module_counts_and_says_why(own, text, whole):
    found = own(a=text, b="import c\ndef g(): ...\ndef h(): return c.x", c="x = 1")
    assert {module: found.whole.get(module) for module in whole} == whole
    everything = {"a": {"a:g"}, "b": {"b:g", "b:h", "c:x"}}
    assert all(everything[module] <= reached(found) for module in whole)


@pytest.mark.parametrize(
    "text",
    [
        "from importlib import import_module as load\ndef f(n): return load(n).g()",
        "import sys\ndef f(n): return sys.modules[n].g()",
        "def f(n): return __import__(n).g()",
        "def f(text): exec(text)",
        "import importlib.util\ndef f(n): return importlib.util.find_spec(n)",
        "from softlabels import keyed, registry\ndef f(n): return registry.load('metric', n)()",
        "from softlabels.registry import load\nfrom softlabels import keyed\ndef f(n): return load('metric', n)",
    ],
)
def test_what_imports_by_name_may_reach_every_module(own, text):
    found = own(a=text, b="def g(): ...", c_d="x = 1", **{"not a module": "this is no Python"})
    assert {"b:g", "c.d:x", "softlabels.training.train:run"} <= set(found.definitions)
    assert found.whole["c.d"] == "a:f may import any module, or run any text"


@pytest.mark.parametrize("text", ["def f(:", "def f():\n  return 1\n return 2", "\0"])
def test_a_module_that_is_not_python_is_named_with_its_line(own, text, tmp_path):
    with pytest.raises(UserError, match=rf"^{tmp_path}/a\.py.*: is not Python \(.*\)\. Correct it\.$"):
        own(a=text)


def test_a_module_that_is_not_there_is_named(own):
    with pytest.raises(UserError, match=r"^nowhere:f: there is no module nowhere\."):
        own("nowhere:f")


# -- the package -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edit",
    [
        ("io.py", "\n\ndef unused(path):\n    return sha256(path)\n"),
        ("datasets/contract.py", "\n\ndef unused(path):\n    return read_images(path)\n"),
        ("io.py", "Delete it and run again to rebuild it.", "Remove it; the next run makes it anew."),
        ("training/memory.py", "Not enough memory", "Too little memory"),
        ("training/loop.py", 'unit="step"', 'unit="batch"'),
        ("training/loop.py", "WAITING = 16", "WAITING = 8"),
        ("training/loop.py", "len(self.data.split) / validated", "1.0"),
        ("training/loop.py", "does not say that it can be", "says nothing"),
        ("training/captured.py", "AHEAD = 16", "AHEAD = 8"),
        ("training/captured.py", '.split("\\n")[0]', ".splitlines()[0]"),
        ("training/compiled.py", '"compiled" / ', '"code" / '),
        ("training/train.py", "(CUDA_VISIBLE_DEVICES is '", "(of '"),
        ("progress.py", "SECONDS = 30", "SECONDS = 60"),
        ("errors.py", "MOST_SHOWN = 20", "MOST_SHOWN = 30"),
        ("locks.py", "BEAT_SECONDS = 30.0", "BEAT_SECONDS = 20.0"),
        ("__init__.py", '__version__ = "', '__version__ = "9'),
        ("evaluation/metrics/tvd.py", "import numpy", "import math\n\nimport numpy"),
    ],
    ids=lambda edit: edit[0],
)
def test_a_change_that_changes_no_training_leaves_its_hash(copied, edit):
    before = closure.code_hash(TRAIN)
    copied(*edit)
    assert closure.code_hash(TRAIN) == before


@pytest.mark.parametrize(
    ("entries", "edit"),
    [
        (TRAIN, ("io.py", "\nSCHEMA_VERSION = 1", "\nSCHEMA_VERSION = 2")),  # a constant
        (TRAIN, ("training/train.py", "checkpoint_seconds: float = 10.0", "checkpoint_seconds: float = 11.0")),
        (TRAIN, ("networks/base.py", "@dataclass\n", "@dataclass(frozen=True)\n")),  # a decorator
        (TRAIN, ("keyed.py", "[word, *key]", "[word, *key, 1]")),  # train, augmentation, torch_seed, rng
        (TRAIN, ("networks/compact.py", "class Block(nn.Module)", "class Block(nn.Sequential)")),
        (TRAIN, ("training/schedules/cosine.py", "math.cos", "math.sin")),
        (DATA, ("datasets/images.py", 'warnings.simplefilter("ignore"', 'warnings.simplefilter("error"')),
    ],
    ids=lambda value: value[0],
)
def test_a_change_of_what_is_reached_changes_the_hash(copied, entries, edit):
    before = closure.code_hash(entries)
    copied(*edit)
    assert closure.code_hash(entries) != before


def test_a_change_of_the_bar_of_an_embedding_leaves_its_hash(copied):
    before = closure.code_hash(["softlabels.embedding:run"])
    copied("embedding.py", "EVERY = 50", "EVERY = 25")
    copied("embedding.py", "{divergence:.3f}", "{divergence:.2f}")
    assert closure.code_hash(["softlabels.embedding:run"]) == before


def test_nothing_of_the_package_is_undecidable_and_training_reaches_no_other_room():
    for command, entry in commands.COMMANDS.items():
        assert closure.closure([f"{entry.module}:run"]).whole == {}, command  # so its module has a ``run``, too
    found = closure.closure(TRAIN)
    rooms = {name.split(":")[0].split(".")[1] for name in found.definitions}
    assert rooms.isdisjoint({"evaluation", "studies", "labels", "provenance", "embedding", "predict", "errors"})
    assert {name for name in reached(found) if ".schedules." in name} == {"softlabels.training.schedules.cosine:factor"}


def test_another_choice_changes_the_hash():
    other = {"recipe": RECIPE["recipe"] | {"schedule": {"kind": "constant"}}}
    assert closure.code_hash(commands.entries("train", other)) != closure.code_hash(TRAIN)


def test_an_own_module_is_followed_into_the_package(own):
    found = own(
        a="from softlabels import keyed\nfrom helpers import g\ndef f(): return keyed.rng, g()", helpers="g = 1"
    )
    assert reached(found) == {"a:f", "helpers:g", "softlabels.keyed:rng"}
    assert closure.path_of("helpers").name == "helpers.py"


# -- the same on every Python ------------------------------------------------------------------------------------------

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
    G = {**kwargs, "k": [None, ..., True, 1j, b"x", "\\u00e9\\U0001fae8", -0.0, 1e400]}
    match a:
        case {"x": [1, *rest], **others} if rest:
            return f"{a!r:>{b}} {a=} {{}} {'nested'}" "joined" f"{c:%Y-%m}"
        case None | Empty(x=1):
            pass
        case _:
            raise ValueError(f"{a:>{b}} is {m.pi!r}") from None
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
PROGRAM = """
import json, sys
from softlabels import closure
print(json.dumps({entry: closure.code_hash([entry]) for entry in json.loads(sys.argv[1])}))
"""


def pythons(version):
    """Programs that may be a Python of a version: one of the path, or one of pyenv, whose shims may lead nowhere."""
    yield from filter(None, [shutil.which(f"python{version}")])
    yield from map(str, Path.home().glob(f".pyenv/versions/{version}*/bin/python{version}"))


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_hash_is_the_same_on_every_supported_python(version, tmp_path):
    (tmp_path / "sample.py").write_text(SAMPLE)
    (tmp_path / "everything.py").write_text("def f(text): exec(text)")  # so all of the package is hashed
    entries = ["sample:f", "sample:g", "everything:f", *TRAIN]

    def hashes(python):
        program = [python, "-c", PROGRAM, json.dumps(entries)]
        environment = {"PYTHONPATH": str(WORKFLOW), "SOFTLABELS_MODULES": str(tmp_path)}
        return subprocess.run(program, capture_output=True, text=True, env=environment, check=False)

    for python in pythons(version):
        other = hashes(python)
        if other.returncode not in (126, 127):
            assert other.returncode == 0, other.stderr
            assert json.loads(other.stdout) == json.loads(hashes(sys.executable).stdout)
            return
    pytest.skip(f"no python{version} here")
