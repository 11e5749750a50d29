"""The conda environments: one a role, with the locked versions and just the packages that the code imports."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import import_graph
import pytest
import yaml

from softlabels import registry
from softlabels.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
ENVS = sorted((ROOT / "envs").glob("*.yaml"))
RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
LOCK = ROOT / "requirements.lock"
PAGE = ROOT / "workflow" / "softlabels" / "report"
SUPPORTED = ("3.11", "3.12", "3.13")

PYPI = {"pytorch": "torch", "matplotlib-base": "matplotlib"}  # conda-forge's name: PyPI's
MODULE = {"opentsne": "openTSNE", "pillow": "PIL", "scikit-learn": "sklearn"}  # PyPI's name: the module's
UNSEEN = {"torchvision": "timm"}  # imported by another package only

# Which entries of the registry the configuration of a command can name.
NAMED = {
    "data": ["source"],
    "label": ["aggregate"],
    "train": ["network", "loss", "schedule"],
    "encode": ["network"],
    "evaluate": ["metric"],
    "references": ["metric"],
    "figure": ["figure"],
}


def packages(path):
    """Versions of an environment's packages by name."""
    return dict(
        re.fullmatch(r"([a-z0-9-]+)=([0-9.]+)", spec).groups()
        for spec in yaml.safe_load(path.read_text())["dependencies"]
    )


def locked(python):
    """Versions of the lock file by name, for one Python (markers of other platforms do not matter here)."""
    found = {}
    for line in LOCK.read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)(?: ; ([^\\]*))?", line):
            name, version, marker = match.groups()
            bounds = re.findall(r"python_full_version (<|>=) '(\d+)\.(\d+)'", marker or "")
            here = tuple(map(int, python.split(".")))
            if all((here < (int(a), int(b))) == (sign == "<") for sign, a, b in bounds):
                found[name.lower()] = version
    return found


def third_party(room):
    """The packages from elsewhere that the modules of a room import themselves."""
    found = {
        name.split(".")[0]
        for file in room.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in import_graph.elsewhere(node)
    }
    return found - sys.stdlib_module_names - {"softlabels"}


def rules():
    """(rule file, rule, command, environment) of every rule that runs a command."""
    for path in RULES:
        for block in re.split(r"^(?=rule |checkpoint )", path.read_text(), flags=re.M):
            name = re.match(r"(?:rule|checkpoint) (\w+)", block)
            env = re.search(r'conda:\s*"([^"]+)"', block)
            command = re.search(r'(?:softlabels |call\(")([a-z]+)', block)
            if name:
                yield path, name[1], command and command[1], env and (path.parent / env[1]).resolve()


def imported(commands):
    """The packages from elsewhere that these commands import, with whatever a configuration may name."""
    modules = [COMMANDS[command].module for command in commands]
    modules += [registry.location(k, n)[0] for c in commands for k in NAMED.get(c, []) for n in registry.names(k)]
    modules = {*import_graph.reach(modules), "softlabels.provenance.manifest"}
    found = set()
    for module in modules:
        tree = import_graph.tree(module)
        optional = {
            id(node)
            for attempt in ast.walk(tree) if isinstance(attempt, ast.Try)
            if any("ImportError" in ast.unparse(handler.type) for handler in attempt.handlers if handler.type)
            for statement in attempt.body for node in ast.walk(statement)
        }  # fmt: skip
        for node in ast.walk(tree):
            if module != "softlabels.locks" or "train" in commands:  # only a training takes a lock
                found |= {(name.split(".")[0], id(node) in optional) for name in import_graph.elsewhere(node)}
    return {(name, flag) for name, flag in found if name not in sys.stdlib_module_names and name != "softlabels"}


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.name)
def test_an_environment_has_the_versions_of_the_lock_file(path):
    found = packages(path)
    python = found.pop("python")
    pinned = locked(python)
    assert found == {name: pinned[PYPI.get(name, name)] for name in found}


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.name)
def test_an_environment_comes_from_conda_forge_alone_with_a_supported_python(path):
    env = yaml.safe_load(path.read_text())
    assert env["channels"] == ["conda-forge", "nodefaults"]
    assert set(env) == {"channels", "dependencies"}  # a pip section would be skipped where there is a pin file
    assert packages(path)["python"] in SUPPORTED
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    following = int(SUPPORTED[-1].split(".")[1]) + 1
    assert project["requires-python"] == f">={SUPPORTED[0]},<3.{following}"


def test_every_rule_that_runs_a_command_names_an_environment_that_exists():
    found = list(rules())
    assert {command for _, _, command, _ in found if command} == {*COMMANDS, "audit", "report"}
    for path, name, command, env in found:
        assert command is None or env in ENVS, f"{path.name}: rule {name} names {env}"


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.name)
def test_an_environment_has_what_its_rules_import_and_nothing_else(path):
    commands = {command for _, _, command, env in rules() if env == path and command in COMMANDS}
    assert commands
    names = {PYPI.get(name, name) for name in packages(path)} - {"python"}
    modules = {MODULE.get(name, name) for name in names}
    wanted = imported(commands)
    if "report" in {command for _, _, command, env in rules() if env == path}:
        wanted |= {(name, False) for name in third_party(PAGE)}
    assert {module for module, optional in wanted if not optional} - modules == set()
    assert modules - {module for module, _ in wanted} - UNSEEN.keys() == set()
    assert all(UNSEEN[module] in modules for module in modules & UNSEEN.keys())


def test_every_package_of_the_lock_file_has_hashes_and_no_address():
    text = LOCK.read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    entries = [entry for entry in entries if not entry.startswith("#")]
    assert len(entries) > 100
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[^]]*\])?==\S+", entry), entry.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]


@pytest.mark.parametrize("python", SUPPORTED)
def test_the_lock_file_holds_every_direct_dependency_within_its_bounds(python):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = locked(python)
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        name, lower = re.match(r"([A-Za-z0-9_-]+)[>=]=([0-9.]+)", requirement).groups()
        name = name.lower().replace("_", "-")  # as PyPI compares names
        assert name in pinned, name
        as_tuple = [tuple(int(part) for part in version.split(".")) for version in (lower, pinned[name])]
        assert as_tuple[0] <= as_tuple[1], requirement
