"""Which code a command runs, and one hash of it.

The closure of a command is its entry module, the modules that its configuration names through the registry, and all
that these import of this package. The hash is taken from the syntax trees without docstrings, by a dump that is the
same for every Python version (``ast.dump`` is not): comments, docstrings and formatting do not change it.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]

# Modules that cannot change a result: the version, messages, the table of names, locks, bars of progress. A release, a
# better error message or a new registration must leave finished runs fresh. What moves is missing there.
PLUMBING = {f"softlabels{name}" for name in ("", ".errors", ".registry", ".places", ".locks", ".progress")}


def path_of(module: str) -> Path | None:
    """The file of a module of this package, or None if there is no such module."""
    base = PACKAGE.joinpath(*module.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _imports(module: str) -> list[str]:
    """Names of all modules of this package that ``module`` imports, anywhere in its text."""
    return _read(module)[0]


def module_hash(module: str) -> str:
    """SHA-256 of one module's syntax tree."""
    return _read(module)[1]


@cache
def _read(module: str) -> tuple[list[str], str]:
    """Imports and hash of a module. The tree is not kept: a plan of thousands of jobs would go through it on and on."""
    tree = _tree(module)
    names = [name for name in _imported(module, tree) if name.split(".")[0] == "softlabels" and path_of(name)]
    return names, hashlib.sha256(_dump(tree).encode()).hexdigest()


def _tree(module: str) -> ast.Module:
    return ast.parse(path_of(module).read_text(encoding="utf-8"))


def _imported(module: str, tree: ast.Module) -> Iterator[str]:
    """Names of all modules that a module's tree imports, and of all that could be modules."""
    package = module if path_of(module).name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                ancestors = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*ancestors, *([base] if base else [])])
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))


def closure(modules: Iterable[str]) -> list[str]:
    """All modules that the given ones run, in name order, without :data:`PLUMBING`."""
    found: set[str] = set()
    todo = list(modules)
    while todo:
        module = todo.pop()
        if module in found or module in PLUMBING:
            continue
        found.add(module)
        todo += [*_imports(module), *_parents(module)]
    return sorted(found)


def _dump(node: object) -> str:
    """A text of a syntax tree, the same for every Python version: fields that are None or empty are left out."""
    if isinstance(node, ast.AST):
        fields = {name: getattr(node, name, None) for name in node._fields if name not in ("kind", "type_comment")}
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            fields["body"] = [
                statement
                for statement in node.body
                if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
            ]
        if isinstance(node, ast.JoinedStr):  # Python 3.12 ends the format of f"{x:{width}}" with an empty text
            fields["values"] = [value for value in node.values if getattr(value, "value", None) != ""]
        texts = [f"{name}={_dump(value)}" for name, value in fields.items() if value is not None and value != []]
        return f"{type(node).__name__}({', '.join(texts)})"
    if isinstance(node, list):
        return f"[{', '.join(map(_dump, node))}]"
    return repr(node)


@cache
def code_hash(modules: tuple[str, ...]) -> str:
    """SHA-256 over the closure of the given modules."""
    lines = [f"{module} {module_hash(module)}" for module in closure(modules)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
