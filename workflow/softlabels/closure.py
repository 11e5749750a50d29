"""Which definitions a command can reach, and one hash of them: the code that can change a result.

From entries (``module:function``: a command's own, and those that its configuration names) the search follows names:
functions, classes with all their methods, constants, decorators, defaults and what these name, through every kind of
import. Of each module that is imported on the way, the statements count that do something when they are executed
(``<import>``): calls, loops, conditions, changed tables, names bound twice. Where it cannot be decided what is used,
all of a module counts, and :attr:`Closure.whole` says why.

The hash is taken from syntax trees, by a dump that is the same for every Python version (``ast.dump`` is not). Left
out, because they change no result: comments, formatting, docstrings, annotations of functions that nothing evaluates;
the texts of ``raise``, ``assert``, ``problems.add(…)``, ``print(…, file=sys.stderr)`` and ``logging``, with what they
only read to show it (calls of other functions stay); options of bars of progress; and what HARMLESS declares.

It does not see other packages (manifests have their versions), files, the order of imports, and code that looks up
docstrings or annotations of another module's functions.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from . import registry
from .errors import UserError

PACKAGE = Path(__file__).resolve().parent
DIGITS = 16  # of a definition's hash, in the hash of all and in manifests

# Modules and definitions that cannot change a result, and why. What they alone reach is left out with them; a
# manifest has the hashes of their files.
HARMLESS = {
    "softlabels:__version__": "a release with the same code gives the same results",
    "softlabels.embedding:EVERY": "how often the bar of progress moves",
    "softlabels.embedding:_tell": "a bar of progress",
    "softlabels.errors": "words what is wrong; a job that fails has no result",
    "softlabels.gpus": "decides on which GPU a training runs, and whether images wait in its memory",
    "softlabels.joblog": "words what a job does",
    "softlabels.lacking": "says what a machine lacks, and has; a training that lacks it has no result",
    "softlabels.locks": "decides who makes a result, never what it is",
    "softlabels.main_memory": "how much is free; a job that has too little has no result",
    "softlabels.places": "where files lie; one whose place changes is missing there, and is made again",
    "softlabels.progress": "bars of progress",
    "softlabels.registry": "finds functions by name; those that a configuration names are entries themselves",
    "softlabels.schema": "what a configuration may say; its values are tracked, and a neutral one never changes",
    "softlabels.status": "reads, for people",
    "softlabels.stopping": "decides when a training pauses; it goes on to the same bytes",
    "softlabels.training.captured:AHEAD": "how many replays the GPU is behind, which computes the same",
    "softlabels.training.captured:_cause": "words why a step is not captured",
    "softlabels.training.checkpoint": "only continues a training; its states carry the version of their format",
    "softlabels.training.compiled:_folder": "where compiled code lies; it is asked for by what it is compiled from",
    "softlabels.training.compiled:_make": "makes that folder; a training that cannot has no result",
    "softlabels.training.compiled:compiler": "words which compiler there is",
    "softlabels.training.memory": "decides where the images wait, and words a lack of memory",
    "softlabels.training.pace": "times, for the log",
    "softlabels.training.loop:WAITING": "how many batches of predictions are fetched at once",
    "softlabels.training.loop:_uncaptured": "decides whether a step is a CUDA graph, to the same bytes",
    "softlabels.training.loop:Trainer._begin_pace": "times, for the log",
    "softlabels.training.loop:Trainer._report": "the lines of the log",
    "softlabels.training.loop:Trainer._say": "the lines of the log",
    "softlabels.training.train:_require_gpu": "words why there is no GPU; a training without one has no result",
}

# What only makes a value, as a call, a decorator or a base class: of Python and of other packages.
PURE = {
    "abs", "ascii", "len", "max", "min", "repr", "round", "sorted", "sum",
    "abc.ABC", "abc.abstractmethod", "collections.namedtuple", "contextlib.contextmanager", "dataclasses.dataclass",
    "dataclasses.field", "enum.Enum", "enum.IntEnum", "enum.StrEnum", "functools.cache", "functools.cached_property",
    "functools.lru_cache", "functools.partial", "functools.wraps", "numpy.array", "pathlib.Path", "pyarrow.schema",
    *(f"pyarrow.{name}" for name in ("bool_", "float32", "float64", "int32", "int64", "list_", "string", "struct")),
    "re.compile", "tarfile.TarInfo", "torch.inference_mode", "torch.nn.Module", "torch.no_grad", "tqdm.tqdm",
    "typing.NamedTuple", "typing.Protocol", "typing.TypedDict", "typing.TypeVar", "typing.overload",
    "urllib.request.HTTPRedirectHandler",
}  # fmt: skip
READING_METHODS = {"format", "items", "join", "keys", "lower", "resolve", "split", "strip", "tolist", "values"}
BARS = {"tqdm.tqdm", "softlabels.progress.progress"}
# Names that lead to any name of the module that uses them, and to any module; names of every module that are no code.
ANY_NAME = {"globals", "locals", "vars"}
ANY_MODULE = {"__builtins__", "__import__", "builtins", "compile", "eval", "exec", "importlib", "pkgutil", "runpy"}
NO_CODE = {"__doc__", "__file__", "__name__", "__package__", "__path__"}

# The nodes of a syntax tree that have a case where trees are read: most have none, and a plan reads a hundred modules.
STRIPPED = (ast.stmt, ast.mod, ast.excepthandler, ast.match_case, ast.Call)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)
BINDING = {
    *_SCOPES, *_IMPORTS, ast.comprehension, ast.Name, ast.MatchMapping, ast.ExceptHandler, ast.MatchAs, ast.MatchStar,
    ast.Global, ast.Nonlocal,
}  # fmt: skip
REFERRING = {
    *_SCOPES, *_IMPORTS, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.AnnAssign, ast.AugAssign,
    ast.Name, ast.Attribute,
}  # fmt: skip
BUILTINS = {*dir(builtins)}

Chain = tuple[str, ...]  # the names of a.b.c
Link = tuple[str, Chain]  # a module ("": the one that is read), and a name in it with what is asked of it
Scopes = tuple[dict[str, list[Link]] | None, ...]  # what functions bind, with the imports among it; a class: None


class Closure(NamedTuple):
    """What entries reach.

    The names of ``definitions`` are ``module:name``; ``module:<import>`` is what importing it does, ``module:<names>``
    where the names lead that it imports.
    """

    definitions: dict[str, str]  # SHA-256 by name
    whole: dict[str, str]  # modules that count whole, and why
    modules: frozenset[str]  # all that are imported on the way, without the harmless ones
    harmless: frozenset[str]  # what was met of HARMLESS
    sha256: str  # hash_of the definitions


def hash_of(definitions: dict[str, str]) -> str:
    """One hash of definitions, whatever their order: SHA-256 over their names and the first DIGITS of each hash."""
    lines = "\n".join(f"{name} {digest[:DIGITS]}" for name, digest in sorted(definitions.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def code_hash(entries: Iterable[str]) -> str:
    """Hash of the code that entries (``module:function``) can reach."""
    return closure(entries).sha256


def closure(entries: Iterable[str]) -> Closure:
    """What entries (``module:function``) can reach.

    Raises:
        UserError: there is no such module, or one is not Python.
    """
    return _closure(tuple(sorted(set(entries))), _own_folder())


def path_of(module: str) -> Path | None:
    """The file of a module of this package or of the user's folder (SOFTLABELS_MODULES), or None."""
    return _path(module, PACKAGE, _own_folder())


def _own_folder() -> str:
    return os.environ.get("SOFTLABELS_MODULES", "")


@cache
def _path(module: str, package: Path, folder: str) -> Path | None:
    first, *rest = module.split(".")
    if first != "softlabels":
        found = registry.own_file([first, *rest], Path(folder)) if folder else None
        return None if found is None or registry.installed(first, Path(folder)) else found
    base = package.joinpath(*rest)
    return next((path for path in (base.with_name(f"{base.name}.py"), base / "__init__.py") if path.is_file()), None)


def _modules(folder: Path, package: str) -> Iterator[str]:
    """All modules in a folder and below it."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if all(part.isidentifier() for part in parts):  # others cannot be imported
            yield ".".join([package, *parts]).strip(".").removesuffix(".__init__")


# -- one module ------------------------------------------------------------------------------------------------------


class _Unit(NamedTuple):
    """A statement of a module's top level, or a name that it imports."""

    names: Chain
    digest: str
    references: frozenset[Link] = frozenset()
    imports: frozenset[str] = frozenset()  # modules, and names that may be modules
    link: Link | None = None  # where an imported name leads


class _Module(NamedTuple):
    names: dict[str, list[_Unit]]
    imports: set[str]  # by statements of the top level
    effects: list[_Unit]  # what does something when it is executed, in order
    units: list[_Unit]


@cache
def _module(name: str, path: Path) -> _Module:
    """What a module's top level consists of; its tree is not kept."""
    try:
        source = path.read_bytes()
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        place = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise UserError(f"{path}{place}: is not Python ({getattr(error, 'msg', error)}). Correct it.") from None
    reader = _Reader(name, name if path.name == "__init__.py" else name.rpartition(".")[0], tree)
    reader.strip(keep_docstrings=b"__doc__" in source)
    module = _Module({}, set(), [], [])
    found: list[tuple[_Unit, bool, bool]] = []  # with: does it act, does it read other names
    for statement in tree.body:
        units = reader.units(statement)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            module.imports.update(units.pop(0).imports)
        assigned = isinstance(statement, ast.Assign | ast.AnnAssign)
        for unit in units:
            reads = {chain[0] for owner, chain in unit.references if not owner} - {*unit.names} - BUILTINS
            found.append((unit, reader.acts(statement), assigned and bool(reads)))
            for bound in unit.names:
                module.names.setdefault(bound, []).append(unit)
    module.units.extend(unit for unit, _, _ in found)
    twice = {name for name, units in module.names.items() if len({u.link or u.digest for u in units}) > 1}
    acting = [unit for unit, acts, _ in found if acts or twice & set(unit.names)]
    # What is assigned from other names may depend on whether it stands before or after what acts.
    module.effects.extend(unit for unit, _, reads in found if unit in acting or (acting and reads))
    return module


class _Reader:
    """Reads the top level of one module.

    Args:
        name, package: of the module.
        tree: its syntax tree, which :meth:`strip` changes.
    """

    def __init__(self, name: str, package: str, tree: ast.Module):
        self.name, self.package, self.nodes = name, package, [tree]
        for node in self.nodes:  # the list grows: level by level, as ast.walk
            self.nodes += _children(node)
        imports = [node for node in self.nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        self.imported = {name: link for node in imports for name, link in self.links(node)}
        self.lazy = ("__future__", ("annotations",)) in self.imported.values()  # annotations are not evaluated
        stored = [n for n in self.nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        defined = [n for n in self.nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
        self.own = {n.id for n in stored} | {n.name for n in defined}
        self.own |= {node.arg for node in self.nodes if isinstance(node, ast.arg)}
        made = [n for n in self.nodes if isinstance(n, ast.Call) and (_chain(n.func) or ("",))[-1] == "Problems"]
        self.has_problems = sum(n.id == "problems" for n in stored) <= len(made)  # nothing else has that name

    # -- leaving out -------------------------------------------------------------------------------------------------

    def strip(self, keep_docstrings: bool) -> None:
        """Take out of the tree what changes no result."""
        for node in self.nodes:
            if not isinstance(node, STRIPPED):
                continue
            match node:
                case ast.If(test=test) if self.never(test):
                    node.test, node.body = ast.Constant(False), []
                case ast.Raise(exc=ast.Call() as call):
                    self.silence(call)
                case ast.Assert(msg=ast.expr() as text):
                    node.msg = self.silent(text)
                case ast.Expr(value=ast.Call() as call) if self.is_message(call):
                    self.silence(call)
                case ast.Call(func=func) if self.dotted(func) in BARS:
                    node.args[1:] = [argument for argument in node.args[1:] if any(self.called(argument))]
                    kept = (None, "iterable")
                    node.keywords = [k for k in node.keywords if k.arg in kept or any(self.called(k.value))]
                case ast.FunctionDef(decorator_list=made) | ast.AsyncFunctionDef(decorator_list=made):
                    if self.lazy and all(map(self.is_pure, made)):
                        node.returns = None
                        for argument in _arguments(node.args):
                            argument.annotation = None
                case ast.ClassDef():
                    own = f"{self.name}:{node.name}."
                    node.body = [s for s in node.body if own + getattr(s, "name", "") not in HARMLESS]
            for name in () if keep_docstrings else ("body", "orelse", "finalbody"):
                if isinstance(body := getattr(node, name, None), list):
                    texts = [s for s in body if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)]
                    setattr(node, name, [statement for statement in body if statement not in texts])

    def never(self, test: ast.expr) -> bool:
        """Is a condition false whenever a command runs?"""
        main = isinstance(test, ast.Compare) and ast.unparse(test) == "__name__ == '__main__'"
        return main or self.dotted(test) == "typing.TYPE_CHECKING"

    def is_message(self, call: ast.Call) -> bool:
        """Does a call only tell people something?"""
        if (_chain(call.func) or ())[-2:] == ("problems", "add"):
            return self.has_problems
        files = [self.dotted(keyword.value) for keyword in call.keywords if keyword.arg == "file"]
        name = self.dotted(call.func)
        return name.startswith("logging.") or (name == "print" and files == ["sys.stderr"])

    def silence(self, call: ast.Call) -> None:
        """Leave of the texts that a call is given only the calls in them."""
        call.args = [self.silent(argument) for argument in call.args]
        for keyword in call.keywords:
            keyword.value = self.silent(keyword.value)

    def silent(self, node: ast.expr) -> ast.expr:
        return ast.List(list(self.called(node))) if _is_text(node) else node

    def called(self, node: ast.expr) -> Iterator[ast.expr]:
        """The parts of an expression that may do more than read."""
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                if part.keywords or not (self.is_reading(part) or self.is_pure(part)):
                    yield part
            elif isinstance(part, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
                yield part

    def dotted(self, node: ast.AST) -> str:
        """The full name of what Python or another package defines; "" for other expressions."""
        chain = _chain(node)
        if not chain or chain[0] in self.own:
            return ""
        module, names = self.imported.get(chain[0], ("", chain[:1]))
        return ".".join([*([module] if module else []), *names, *chain[1:]])

    def is_pure(self, node: ast.expr) -> bool:
        """Does a call, a decorator or a base class only make its value (a call's arguments aside)?"""
        name = self.dotted(node.func if isinstance(node, ast.Call) else node)
        is_type = isinstance(getattr(builtins, name, None), type) and name not in ("filter", "map")
        return is_type or name in PURE

    def is_reading(self, call: ast.Call) -> bool:
        """Is a call one of a method that only reads?"""
        chain = _chain(call.func)
        method = isinstance(call.func, ast.Attribute) and call.func.attr in READING_METHODS
        return method and (not chain or chain[0] not in self.imported)  # not a function of that name in a module

    def acts(self, node: ast.AST) -> bool:
        """Does a statement of a module or class do more, when it is executed, than to bind its names?"""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
                made = [*getattr(node, "decorator_list", []), *getattr(node, "bases", [])]
                made = [part for part in made if (_chain(part) or ("",))[-1] not in ("setter", "deleter")]
                parts = [*_outside(node), *(node.body if isinstance(node, ast.ClassDef) else [])]
                return not all(map(self.is_pure, made)) or any(map(self.acts, parts))
            case ast.Assign(targets=targets) | ast.AnnAssign(target=targets):
                places = targets if isinstance(targets, list) else [targets]
                inside = ast.Attribute | ast.Subscript
                changes = any(isinstance(part, inside) for place in places for part in ast.walk(place))
                return changes or (node.value is not None and self.acts(node.value))
            case ast.Call():
                parts = [*node.args, *node.keywords, *([node.func.value] if self.is_reading(node) else [])]
                return not (self.is_reading(node) or self.is_pure(node)) or any(map(self.acts, parts))
            case ast.keyword(arg="metaclass") | ast.Await() | ast.Yield() | ast.YieldFrom():
                return True
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Expr(value=ast.Constant()):
                return False
        return isinstance(node, ast.stmt) or any(map(self.acts, ast.iter_child_nodes(node)))

    # -- reading -----------------------------------------------------------------------------------------------------

    def units(self, statement: ast.stmt) -> list[_Unit]:
        """The unit of a statement, and one for each name that it imports."""
        if isinstance(statement, ast.If) and not statement.body and not statement.orelse:
            return []
        self.references: set[Link] = set()
        self.imports: set[str] = set()
        self.visit(statement, ())
        bound = self.bound([statement])
        names = () if isinstance(statement, ast.Import | ast.ImportFrom) else tuple(sorted(bound))
        unit = _Unit(names, _sha256(_dump(statement)), frozenset(self.references), frozenset(self.imports))
        links = [(name, link) for name, links in bound.items() for link in links]
        return [unit, *(_Unit((name,), _sha256(f"{name} {link}"), link=link) for name, link in links)]

    def links(self, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Link]]:
        """The names that an import binds, and where each leads."""
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                yield alias.asname or alias.name, (self.base(node), (alias.name,))
            else:
                module = alias.name if alias.asname else alias.name.partition(".")[0]
                yield alias.asname or module, (module, ())

    def base(self, node: ast.ImportFrom) -> str:
        """The module that names are imported from."""
        parts = self.package.split(".")
        ancestors = parts[: len(parts) - node.level + 1] if node.level else []
        return ".".join([*ancestors, *([node.module] if node.module else [])])

    def bound(self, body: Iterable[ast.AST]) -> dict[str, list[Link]]:
        """The names that statements bind where they stand, with the imports among them."""
        names: dict[str, list[Link]] = {}
        globals_, outer = set(), set()
        todo = list(body)
        while todo:
            node = todo.pop()
            if type(node) not in BINDING:
                todo += _children(node)
                continue
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
                    if not isinstance(node, ast.Lambda):
                        names.setdefault(node.name, [])
                    todo += _outside(node)
                    continue
                case ast.comprehension():  # its targets are its own
                    todo += [node.iter, *node.ifs]
                    continue
                case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.MatchMapping(rest=str(name)):
                    names.setdefault(name, [])
                case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                    names.setdefault(name, [])
                case ast.Import() | ast.ImportFrom():
                    for name, link in self.links(node):
                        names.setdefault(name, []).append(link)
                case ast.Global():
                    globals_ |= set(node.names)
                case ast.Nonlocal():
                    outer |= set(node.names)
            todo += _children(node)
        for name in globals_ | outer:
            self.references.update(names.pop(name, []))  # imported for others: used who knows how
        return names | {name: [("", (name,))] for name in globals_}

    def visit(self, node: ast.AST, scopes: Scopes) -> None:
        """Note what a node refers to outside of ``scopes``."""
        if type(node) not in REFERRING:
            self.visit_all(_children(node), scopes)
            return
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                self.visit_all(_outside(node), scopes)
                body = node.body if isinstance(node.body, list) else [node.body]
                own = {argument.arg: [] for argument in _arguments(node.args)}
                self.visit_all(body, (*scopes, own | self.bound(body)))
            case ast.ClassDef():
                self.visit_all(_outside(node), scopes)
                self.visit_all(node.body, (*scopes, None))
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self.visit(node.generators[0].iter, scopes)
                own = self.bound(loop.target for loop in node.generators)
                self.visit_all(_children(node), (*scopes, own))
            case ast.AnnAssign() if scopes and scopes[-1] is not None:  # not evaluated in a function
                self.visit_all([node.target, *([node.value] if node.value else [])], scopes)
            case ast.Import() | ast.ImportFrom():
                base = [] if isinstance(node, ast.Import) else [self.base(node)]
                self.imports |= {*base, *(".".join([*base, alias.name]) for alias in node.names)}
                if scopes and scopes[-1] is None:  # an attribute of a class: used who knows how
                    self.references |= {link for _, link in self.links(node)}
            case ast.AugAssign(target=ast.Name(id=name)):
                self.visit_all([ast.Name(name, ast.Load()), node.value], scopes)
            case ast.Name(ctx=ast.Store() | ast.Del()):
                return
            case ast.Name() | ast.Attribute() if chain := _chain(node):
                inner = [scope for scope in scopes if scope is not None and chain[0] in scope]
                links = inner[-1][chain[0]] if inner else [("", chain[:1])]
                self.references |= {(module, (*names, *chain[1:])) for module, names in links}
            case _:
                self.visit_all(_children(node), scopes)

    def visit_all(self, nodes: Iterable[ast.AST], scopes: Scopes) -> None:
        for node in nodes:
            self.visit(node, scopes)


def _children(node: ast.AST) -> list[ast.AST]:
    """The parts of a node, in order, without whether a name is read or bound (``ctx``)."""
    found = []
    for name in node._fields:
        value = getattr(node, name, None) if name != "ctx" else None
        if isinstance(value, ast.AST):
            found.append(value)
        elif isinstance(value, list):
            found += [part for part in value if isinstance(part, ast.AST)]
    return found


def _chain(node: ast.AST) -> Chain | None:
    """("a", "b", "c") of ``a.b.c``; None for other expressions."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else None


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    several = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *several]


def _outside(node: ast.AST) -> list[ast.AST]:
    """The parts of a definition that are evaluated where it stands: decorators, defaults, annotations, bases."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords]
    annotations = [argument.annotation for argument in _arguments(node.args)]
    parts = [*getattr(node, "decorator_list", []), *node.args.defaults, *node.args.kw_defaults, *annotations]
    return [part for part in (*parts, getattr(node, "returns", None)) if part is not None]


def _is_text(node: ast.expr) -> bool:
    """Can an expression only be a text?"""
    match node:
        case ast.JoinedStr() | ast.Constant(value=str()):
            return True
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod() as operator, right=right):
            return _is_text(left) or (isinstance(operator, ast.Add) and _is_text(right))
        case ast.IfExp(body=body, orelse=orelse):
            return _is_text(body) and _is_text(orelse)
        case ast.Call(func=ast.Attribute(value=value, attr="format" | "join")):
            return _is_text(value)
    return False


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _dump(node: object) -> str:
    """A text of a syntax tree, the same for every Python version: fields that are None or empty are left out."""
    if isinstance(node, ast.AST):
        texts = []
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name in ("kind", "type_comment", "ctx"):
                continue
            if name == "values" and isinstance(node, ast.JoinedStr):
                # Python 3.12 ends the format of f"{x:{width}}" with an empty text.
                value = [part for part in value if getattr(part, "value", None) != ""]
                if not value:
                    continue
            texts.append(f"{name}={_dump(value)}")
        return f"{type(node).__name__}({', '.join(texts)})"
    if isinstance(node, list):
        return f"[{', '.join([_dump(part) for part in node])}]"
    return ascii(node)


# -- the search ------------------------------------------------------------------------------------------------------


@cache
def _closure(entries: tuple[str, ...], folder: str) -> Closure:
    search = _Search(folder)
    for entry in entries:
        module, _, name = entry.partition(":")
        if path_of(module) is None:
            raise UserError(f"{entry}: there is no module {module}. Correct the name, or the folder of own modules.")
        search.todo.append((module, tuple(name.split(".")), "the configuration"))
    while search.todo:
        search.follow(*search.todo.pop())
    names = {f"{module}:<names>": _sha256(" ".join(sorted(found))) for module, found in search.names.items()}
    found = search.definitions | names
    return Closure(found, search.whole, frozenset(search.modules), frozenset(search.harmless), hash_of(found))


class _Search:
    """Follows names from module to module."""

    def __init__(self, folder: str):
        self.folder = folder
        self.todo: list[tuple[str, Chain, str]] = []  # a module, the names to follow from there, who names them
        self.definitions: dict[str, str] = {}
        self.names: dict[str, set[str]] = {}  # hashes of the imported names of a module
        self.whole: dict[str, str] = {}
        self.modules: set[str] = set()
        self.harmless: set[str] = set()
        self.seen: set[tuple] = set()

    def follow(self, module: str, chain: Chain, by: str) -> None:
        """Reach what ``chain`` means in a module."""
        who = by.partition(":")[0]
        own = who.partition(".")[0] != "softlabels" and path_of(who) is not None
        if (module, chain, own) in self.seen:
            return
        self.seen.add((module, chain, own))
        inner = f"{module}.{chain[0]}" if chain else ""
        if harmless := {module, f"{module}:{'.'.join(chain[:1])}"} & HARMLESS.keys():
            self.harmless |= harmless
            if own and module == registry.__name__:  # it asks for entries that no configuration names
                self.take_all(by)
        elif path_of(module) is None:
            if inner and path_of(inner):  # a folder without __init__.py
                self.todo.append((inner, chain[1:], by))
            elif module.partition(".")[0] in ANY_MODULE or inner == "sys.modules":
                self.take_all(by)
        elif not chain:
            self.take_whole(module, f"{by} uses all of it")
        else:
            self.touch(module)
            found = _module(module, path_of(module)).names.get(chain[0], [])
            for unit in found:
                self.reach(module, unit, chain[1:], by)
            if path_of(inner):
                self.todo.append((inner, chain[1:], by))
            elif not found and chain[0] not in NO_CODE:
                self.take_whole(module, f"{by} uses its '{chain[0]}', which its text does not define")

    def reach(self, module: str, unit: _Unit, rest: Chain = (), by: str = "") -> None:
        """Take a unit, and all that it refers to; ``rest`` is what ``by`` asks of it."""
        place = f"{module}:{','.join(unit.names)}"
        if unit.link:
            self.names.setdefault(module, set()).add(unit.digest)
            self.todo.append((unit.link[0], () if "*" in unit.names else (*unit.link[1], *rest), by or place))
        if (module, unit) in self.seen:
            return
        self.seen.add((module, unit))
        known = _module(module, path_of(module))
        if unit.names and not unit.link and unit not in known.effects:
            self.definitions[place] = unit.digest
        for imported in unit.imports:
            self.touch(imported)
        for owner, chain in sorted(unit.references):
            if owner or chain[0] in known.names:
                self.todo.append((owner or module, chain, place))
            elif chain[0] in ANY_NAME:
                self.take_whole(module, f"{place} uses {chain[0]}()")
            elif chain[0] in ANY_MODULE:
                self.take_all(place)

    def touch(self, module: str) -> None:
        """A module is imported: so are its parents and what it imports, and what acts in it is executed."""
        self.harmless |= {module} & HARMLESS.keys()
        if module in self.modules or module in HARMLESS or path_of(module) is None:
            return
        self.modules.add(module)
        self.touch(module.rpartition(".")[0])
        known = _module(module, path_of(module))
        for imported in known.imports:
            self.touch(imported)
        if known.effects:
            self.definitions[f"{module}:<import>"] = _sha256(" ".join(unit.digest for unit in known.effects))
        for unit in known.effects:
            if not unit.link:
                self.reach(module, unit)
        for unit in known.names.get("*", []):
            self.reach(module, unit)

    def take_whole(self, module: str, reason: str) -> None:
        """Take all of a module, of the modules that it names, and of those inside of it."""
        if module in self.whole or module in HARMLESS:
            return
        self.whole[module] = reason
        self.touch(module)
        path = path_of(module)
        for unit in _module(module, path).units:
            self.reach(module, unit)
        for inner in _modules(path.parent, module) if path.name == "__init__.py" else ():
            self.take_whole(inner, reason)

    def take_all(self, by: str) -> None:
        """Take every module that can be imported by name."""
        for folder, package in ((PACKAGE, "softlabels"), *([(Path(self.folder), "")] if self.folder else [])):
            for module in _modules(folder, package):
                self.take_whole(module, f"{by} may import any module, or run any text")
