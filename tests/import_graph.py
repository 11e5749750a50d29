"""Which modules import which, whole modules at a time: for the walls between the rooms and the environments."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import resolve_name
from pathlib import Path

from softlabels import closure


def tree(module: str) -> ast.Module:
    """The syntax tree of a module of the package."""
    return ast.parse(closure.path_of(module).read_text())


def elsewhere(node: ast.AST) -> set[str]:
    """The modules that a statement imports by their full name."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {node.module} if isinstance(node, ast.ImportFrom) and not node.level else set()


def imports(module: str) -> set[str]:
    """The modules of the package that a module imports, anywhere in its text."""
    package = module if closure.path_of(module).name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == "softlabels" and closure.path_of(name)}


def reach(modules: Iterable[str]) -> set[str]:
    """Some modules, what they import, what these import, and so on."""
    found: set[str] = set()
    todo = list(modules)
    while todo:
        module = todo.pop()
        if module not in found:
            found.add(module)
            todo += imports(module)
    return found


ALONE = """
import json, socket, sys

class Blocked:
    def find_spec(self, name, *_):
        known = {"numpy", "pyarrow", "softlabels", *sys.stdlib_module_names}
        if name.split(".")[0] not in known and not name.startswith("_sysconfigdata"):  # the standard library's, too
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def refuse(*_):
    raise OSError("no network here")

sys.meta_path.insert(0, Blocked())
socket.socket.connect = refuse
"""


def with_numpy_and_pyarrow(code: str, folder: Path) -> str:
    """What a program prints that runs in a folder, without other packages, programs and network."""
    environment = {"PYTHONPATH": str(closure.PACKAGE.parent), "PATH": ""}
    program = [sys.executable, "-c", ALONE + code]
    done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
