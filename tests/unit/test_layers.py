"""The walls between the rooms of the package, and what no room may do."""

import ast
import sys

import import_graph
import pytest

from softlabels import closure

ROOT = closure.PACKAGE
SOURCES = {
    ".".join(("softlabels", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
TREES = {module: ast.parse(path.read_text()) for module, path in SOURCES.items()}

# In the order in which data flows: a room, and a module outside of rooms, imports from those before it only.
ORDER = [
    "errors", "lacking", "main_memory", "io", "keyed", "progress", "stopping", "locks", "joblog", "registry", "nvidia",
    "gpus", "columns", "schema", "varied", "places", "closure", "documents", "drawing", "contracts", "datasets",
    "labels", "networks", "training", "heads", "evaluation", "adopt", "embedding", "cards", "studies", "commands",
    "config", "plan", "outdated", "resources", "provenance", "advise",
    "figures", "predict", "export", "check", "suggest", "status", "remaining", "watch", "report", "slurm",
    "launch", "published", "cli", "__main__",
]  # fmt: skip
ROOMS = [
    "datasets", "labels", "networks", "training", "heads", "evaluation", "cards", "studies", "provenance", "report",
]  # fmt: skip


def room(module):
    return module.split(".")[1] if "." in module else ""


def first_party(module):
    """The modules of this package that a module imports itself."""
    return import_graph.imports(module) - {"softlabels"}


def third_party(modules):
    """The packages from elsewhere that some modules import, lazily or not."""
    found = {
        name.split(".")[0]
        for module in modules
        for node in ast.walk(TREES[module])
        for name in import_graph.elsewhere(node)
    }
    return found - sys.stdlib_module_names - {"softlabels"}


def inside(name):
    return [module for module in SOURCES if room(module) == name]


READS_PT_FILES = "softlabels.datasets.cifar10n"  # published as one; loaded as data, see tests/unit/test_cifar10n.py


def reach(name):
    """Everything that a room runs, its own modules and what these import."""
    return import_graph.reach(inside(name))


def test_the_package_is_found_whole():
    assert {"softlabels.cli", "softlabels.evaluation.metrics.kl", "softlabels.training.train"} <= set(SOURCES)
    assert all(inside(name) for name in ROOMS)


@pytest.mark.parametrize("module", sorted(set(SOURCES) - {"softlabels"}))
def test_nothing_imports_upwards(module):
    below = set(ORDER[: ORDER.index(room(module)) + 1])
    assert {room(other) for other in first_party(module)} <= below


TORCH = {"torch", "timm", "torchvision", "safetensors"}  # of training and prediction alone
WALLS = {  # rooms and packages that a room must not reach
    "datasets": {"labels", "networks", "training", "evaluation", "sklearn", *TORCH},
    "labels": {"PIL", *TORCH},
    "networks": {"datasets", "labels", "training", "evaluation"},
    "training": {"evaluation", "studies", "embedding", "provenance", "sklearn", "scipy", "pandas", "matplotlib"},
    "heads": {"evaluation", "studies", "embedding", "provenance", "sklearn", "pandas", "matplotlib"},
    **dict.fromkeys(("evaluation", "embedding", "studies", "provenance", "report"), TORCH),
}


@pytest.mark.parametrize("name", WALLS)
def test_a_room_knows_nothing_beyond_its_walls(name):
    assert reach(name)
    found = {room(module) for module in reach(name)} | third_party(set(reach(name)) - {READS_PT_FILES})
    assert found.isdisjoint(WALLS[name])


def test_labels_do_not_read_images():
    for module in inside("labels"):
        of_data = {other for other in first_party(module) if room(other) == "datasets"}
        assert of_data <= {"softlabels.datasets", "softlabels.datasets.contract", "softlabels.datasets.given"}
        names = {node.attr for node in ast.walk(TREES[module]) if isinstance(node, ast.Attribute)}
        names |= {node.id for node in ast.walk(TREES[module]) if isinstance(node, ast.Name)}
        assert names.isdisjoint({"read_images", "image_files", "read_image"}), module


def test_the_source_of_pt_files_imports_torch_only_when_it_reads_one():
    top_level = [ast.unparse(node) for node in TREES[READS_PT_FILES].body]
    assert not any(line.startswith(("import torch", "from torch")) for line in top_level)
    assert third_party([READS_PT_FILES]) == {"numpy", "torch"}


def test_studies_compute_no_metric_again():
    # The modules of the metrics are named by the registry alone.
    for module in inside("studies"):
        assert not {m for m in first_party(module) if m.startswith("softlabels.evaluation.metrics.")}, module


def test_the_package_imports_nothing_of_snakemake():
    assert "torch" in third_party(SOURCES)  # the search finds imports
    assert "snakemake" not in third_party(SOURCES)


def test_the_command_line_starts_without_the_science():
    # Every job starts it, and Snakemake imports the plan: neither may pay for what it does not use.
    eager = {"softlabels.__main__", "softlabels.cli", "softlabels.commands", "softlabels.places", "softlabels.registry"}
    eager |= {"softlabels.errors"}
    top_level = {
        name.split(".")[0] for module in eager for node in TREES[module].body for name in import_graph.elsewhere(node)
    }
    assert top_level <= set(sys.stdlib_module_names)


# -- what would escape the code hash, or run what a file says --------------------------------------------------------

MAY_IMPORT_BY_NAME = {"softlabels.registry", "softlabels.cli"}
BY_NAME = {"importlib", "import_module"}
RUNS = {"__import__", "exec", "runpy", "pickle", "cPickle", "dill", "marshal", "shelve", "joblib", "imp"}
CALLS = {"eval", "compile", "os.system", "os.popen", "yaml.unsafe_load", "yaml.full_load"}
OPTIONS = {"allow_pickle=True", "weights_only=False", "shell=True"}
SAYS = {"torch.load": "weights_only", "np.load": "allow_pickle"}  # what a call must say


def offences(module, tree):
    """Dynamic imports, code from text, and readers that run what they read."""
    for node in ast.walk(tree):
        names = []
        match node:
            case ast.Import(names=aliases):
                names = [alias.name for alias in aliases]
            case ast.ImportFrom(module=source, names=aliases):
                names = [source or "", *(f"{source}.{alias.name}" for alias in aliases)]
            case ast.Name(id=name) | ast.Attribute(attr=name):
                names = [name]
            case ast.keyword(arg=name, value=ast.Constant(value=value)):
                names = [f"{name}={value}"]
            case ast.Call():
                called = ast.unparse(node.func)
                given = {keyword.arg for keyword in node.keywords}
                if called in CALLS or SAYS.get(called, "") not in {"", *given}:
                    yield called
        first = {name.split(".")[0] for name in names}
        yield from first & (RUNS if module in MAY_IMPORT_BY_NAME else RUNS | BY_NAME)
        yield from OPTIONS & set(names)


@pytest.mark.parametrize("module", SOURCES)
def test_no_module_imports_by_name_or_runs_what_it_reads(module):
    assert list(offences(module, TREES[module])) == []


@pytest.mark.parametrize(
    "text",
    [
        "import importlib", "from importlib import import_module", "import importlib.util as u", "__import__('os')",
        "exec('1')", "eval('1')", "import pickle", "from pickle import loads", "np.load(p, allow_pickle=True)",
        "np.load(p)", "torch.load(p)", "torch.load(p, weights_only=False)", "subprocess.run('ls', shell=True)",
        "os.system('ls')",
    ],
)  # fmt: skip
def test_the_search_for_such_code_finds_it(text):
    assert list(offences("softlabels.studies.x", ast.parse(text)))


@pytest.mark.parametrize("module", SOURCES)
def test_no_module_draws_from_a_global_generator_or_reads_the_clock(module):
    calls = {ast.unparse(node.func) for node in ast.walk(TREES[module]) if isinstance(node, ast.Call)}
    assert calls.isdisjoint({"np.random.seed", "random.seed", "np.random.rand", "time.time"})
    assert "random" not in {
        alias.name for node in ast.walk(TREES[module]) if isinstance(node, ast.Import) for alias in node.names
    }
