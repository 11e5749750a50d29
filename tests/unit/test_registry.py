"""Entries: found by their modules, read without running them, and the user's own beside ours."""

import ast
import sys

import pytest

from softlabels import check, config, registry
from softlabels.contracts import STANDARD
from softlabels.errors import Problems, UserError

FOCAL = '''"""Focal loss."""

ENTRY = {
    "kind": "loss",
    "about": "Focal loss (Lin et al. 2017).",
    "options": {"gamma": {"type": "number", "minimum": 0, "default": 2, "description": "How much easy items fade."}},
}


def focal(logits, target, index, state, options):
    log_q = logits.log_softmax(dim=1)
    return -(target * (1 - log_q.exp()) ** options["gamma"] * log_q).sum(dim=1)
'''


def raw(folder, loss="cross_entropy", **sections):
    return {
        "modules": str(folder),
        "datasets": {"shapes": {"source": {"kind": "synthetic", "items": 60, "pixels": 16}}},
        "recipes": {"quick": {"network": "compact", "loss": loss}},
        "studies": {"one": {"datasets": ["shapes"], "recipes": ["quick"], "embedding": {"perplexity": 4}}},
        **sections,
    }


def problems_of(folder, *loss, **sections):
    """All that `check` says of a configuration."""
    problems = Problems()
    list(check.check(raw(folder, *loss, **sections), problems))
    return list(problems.messages)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv(registry.FOLDER, "")
    (tmp_path / "my_losses.py").write_text(FOCAL)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0].startswith("my_")]:
        del sys.modules[name]


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_entry_has_its_function_and_says_what_it_is(kind):
    for name in registry.names(kind):
        about = registry.entry(kind, name)
        assert about["about"].endswith("."), name
        functions = [n.name for n in ast.parse(registry.file_of(kind, name).read_text()).body if hasattr(n, "name")]
        assert registry.KINDS[kind].function in functions, name
        assert registry.location(kind, name)[0].startswith(f"softlabels.{registry.KINDS[kind].room}.")


def test_no_metric_is_called_as_a_set_or_a_fact_of_scores():
    facts = {STANDARD, "recall", "temperature", "n_items", "n_classes_present", "ties", "tie_credit_acc"}
    assert facts.isdisjoint(registry.names("metric"))


def test_a_module_of_the_users_own_is_read_with_its_options(folder):
    resolved = config.resolve(raw(folder, "my_losses:focal"))
    assert resolved["recipes"]["quick"]["loss"] == {"kind": "my_losses:focal", "gamma": 2.0}
    assert "my_losses" not in sys.modules  # read, not run
    assert problems_of(folder, {"kind": "my_losses:focal", "gamma": 1}) == []
    assert registry.load("loss", "my_losses:focal").__module__ == "my_losses"


@pytest.mark.parametrize(
    ("loss", "text", "words"),
    [
        ({"kind": "my_losses:focal", "gama": 1}, FOCAL, ["unknown key 'gama'; did you mean 'gamma'?"]),
        ({"kind": "my_losses:focal", "gamma": -1}, FOCAL, ["recipes.quick.loss.gamma: found -1.0, expected at"]),
        ("my_loss:focal", FOCAL, ["found no module my_loss.py in", "Correct the name, or the key 'modules'"]),
        ("my_losses:vocal", FOCAL, ["found no function vocal", "loss(logits"]),
        ("my_losses:focal", "def focal():\n    pass\n", ["found no table of options, expected a literal ENTRY"]),
        ("my_losses:focal", "ENTRY = dict()\n", ["cannot be read as a module"]),
        ("my_losses:focal", "def focal(:\n", ["cannot be read as a module", "invalid syntax"]),
        ("my_losses:focal", FOCAL.replace('"loss"', '"metric"'), ["found ENTRY['kind'] 'metric', expected 'loss'"]),
        ("my_losses:focal", FOCAL.replace('"number"', '"numer"'), ["my_losses.py", "option 'gamma'"]),
        ("my_losses:focal", f"import my_missing\n{FOCAL}", ["cannot be imported", "No module named 'my_missing'"]),
        ("my_losses:focal", FOCAL.replace('{"gamma": {', '{"beta": 3, "gamma": {'), ["option 'beta': expected a name"]),
        ("my_losses:focal", FOCAL.replace('"gamma"', "1"), ["option 1: expected a name"]),
        ("my_losses:focal", f"{FOCAL}\nraise SystemExit(3)\n", ["cannot be imported", "SystemExit: 3"]),
        ("my_losses:focal", FOCAL.replace('"kind"', '"shared": ["hue"], "kind"'), ["ENTRY shares 'hue', expected"]),
        ("my_losses:focal", f"{FOCAL}\n1 / 0\n", ["cannot be imported", "ZeroDivisionError"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_own_module_is_in_the_one_list_of_check(folder, loss, text, words):
    (folder / "my_losses.py").write_text(text)
    message = "\n".join(problems_of(folder, loss))
    assert all(word in message for word in words), message


@pytest.mark.parametrize("name", ["cosine", "random", "torch", "softlabels"])
def test_an_own_module_may_not_be_named_like_another(folder, name):
    (folder / f"{name}.py").write_text(FOCAL)
    (problem,) = problems_of(folder, f"{name}:focal")
    assert f"the name '{name}' is that of an installed module or of one of ours" in problem


def test_a_path_is_no_name_of_a_module(folder):
    for name in ("../evil:focal", "a/b:focal", "my_losses:focal:x", "my_losses:"):
        with pytest.raises(UserError, match="Unknown loss"):
            config.resolve(raw(folder, name))


@pytest.mark.parametrize(
    ("kind", "facts", "words"),
    [
        ("metric", {"decimals": "four"}, "ENTRY['decimals'] 'four', expected a whole number from 0 to 9"),
        ("metric", {"decimals": 99}, "ENTRY['decimals'] 99, expected a whole number from 0 to 9"),
        ("metric", {"better": "up"}, "ENTRY['better'] 'up', expected higher or lower"),
        ("metric", {"needs": ["people"]}, "ENTRY['needs'] ['people'], expected features or votes or annotators"),
        ("figure", {}, "ENTRY['per'] None, expected block or study"),
    ],
)
def test_facts_of_an_own_entry_are_checked(folder, kind, facts, words):
    (folder / "my_own.py").write_text(
        f"ENTRY = {{'kind': '{kind}', 'options': {{}}, {str(facts)[1:]}\n\n\ndef f():\n    pass\n"
    )
    study = {"datasets": ["shapes"], "recipes": ["quick"], f"{kind}s": [*["macro_acc"][: kind == "metric"], "my_own:f"]}
    assert words in "\n".join(problems_of(folder, studies={"one": study}))


def test_two_metrics_of_one_name_are_refused(folder):
    for module in ("my_a__b", "my_a"):
        (folder / f"{module}.py").write_text(
            "ENTRY = {'kind': 'metric'}\n\n\ndef c():\n    pass\n\n\ndef b__c():\n    pass\n"
        )
    study = {"datasets": ["shapes"], "recipes": ["quick"], "metrics": ["macro_acc", "my_a__b:c", "my_a:b__c"]}
    with pytest.raises(UserError, match=r"studies\.one\.metrics: two of them are called 'my_a__b__c'"):
        config.resolve(raw(folder, studies={"one": study}))


FILES = str({key: {"type": "string", "input": "given", "required": True} for key in "ab"})


@pytest.mark.parametrize(
    ("module", "options", "body", "words"),
    [
        ("my_own", "{'seed': {'type': 'integer'}}", "pass", "option 'seed' is one that every aggregate is given"),
        ("my_own", "{'items': {'type': 'integer'}}", "pass", "option 'items' is one that every aggregate is given"),
        ("my_own", FILES, "pass", "found 2 options with 'input' (a, b), expected one at most."),
        (
            "my_own",
            "{'path': {'type': ['string', 'null'], 'default': None, 'input': 'given'}}",
            "pass",
            "option 'path': found {'type': ['string', 'null'], 'default': None, 'input': 'given'}, expected of the",
        ),
        ("my_own", "{}", "return 1 / 0", "my_own.py, line 5: ZeroDivisionError: division by zero. Correct your own"),
        ("my_rooms.own", "{}", "return 1 / 0", "my_rooms/own.py, line 5: ZeroDivisionError: division by zero."),
    ],
)
def test_what_check_finds_in_an_own_aggregate(folder, module, options, body, words):
    (folder / "my_rooms").mkdir()
    folder.joinpath(*module.split(".")).with_suffix(".py").write_text(
        f"ENTRY = {{'kind': 'aggregate', 'options': {options}}}\n\n\ndef mean(evidence, options):\n    {body}\n"
    )
    labels = {name: {"aggregate": f"{module}:mean", "form": name} for name in ("hard", "soft")}
    assert words in "\n".join(problems_of(folder, labels=labels))


def test_an_own_split_has_the_options_of_every_split(folder):
    (folder / "my_own.py").write_text(
        "import numpy as np\n\nENTRY = {'kind': 'split'}\n\n\n"
        "def first(config, items, hard, relations):\n    return np.minimum(np.arange(len(hard)) // 5, 2), None, {}\n"
    )
    for split, words in (
        ({"kind": "my_own:first"}, "has no item in part"),
        ({"kind": "my_own:first", "allow_missing_class": True, "groups": False}, ""),
    ):
        problems = problems_of(folder, splits={"random": split})
        assert words in " ".join(problems) and bool(words) == bool(problems)


def test_two_values_of_an_option_are_two_metrics_though_one_is_neutral(folder):
    (folder / "my_own.py").write_text(
        "ENTRY = {'kind': 'metric', 'options': {'k': {'type': 'integer', 'default': 2, 'neutral': 1}}}\n\n\n"
        "def top(aligned, options):\n    return options['k']\n"
    )
    study = {"datasets": ["shapes"], "recipes": ["quick"], "metrics": ["macro_acc", "my_own:top"]}
    study["metrics"].append({"kind": "my_own:top", "k": 1})
    resolved = config.resolve(raw(folder, studies={"one": study}))
    assert config.metrics_of(resolved["studies"]["one"]) == {
        "macro_acc": {"kind": "macro_acc"},
        "my_own__top": {"kind": "my_own:top", "k": 2},
        "my_own__top__k_1": {"kind": "my_own:top"},
    }
