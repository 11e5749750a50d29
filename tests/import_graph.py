"""Which modules import which, whole modules at a time: for the walls between the rooms and the environments."""

from __future__ import annotations

import ast
from collections.abc import Iterable

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
            parts = package.split(".")
            ancestors = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*ancestors, *([node.module] if node.module else [])])
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
