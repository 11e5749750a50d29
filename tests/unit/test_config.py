"""The configuration: what it accepts, what it fills in, and what it says when it is wrong."""

import copy
import difflib
import functools
import math
from itertools import combinations, product
from pathlib import Path

import jsonschema
import pytest
import yaml

from softlabels import commands, config, published, registry, schema
from softlabels.errors import UserError
from softlabels.io import canonical_json
from softlabels.plan import Plan

REPOSITORY = Path(__file__).resolve().parents[2]
READY = sorted((REPOSITORY / "config").glob("*.yaml"))
MINIMAL = {
    "datasets": {"shapes": {"source": {"kind": "synthetic"}, "reference": "exact"}},
    "recipes": {"quick": {"network": "compact"}},
    "studies": {"one": {"datasets": ["shapes"], "recipes": ["quick"]}},
}


def changed(path, value):
    """A copy of the minimal configuration with one key set (``a.b.c``)."""
    raw = copy.deepcopy(MINIMAL)
    *parents, last = path.split(".")
    functools.reduce(lambda place, key: place.setdefault(key, {}), parents, raw)[last] = value
    return raw


def message_of(raw):
    with pytest.raises(UserError) as error:
        config.resolve(raw)
    return str(error.value)


def properties(rule, path=""):
    """Every key below ``rule``, those of every entry included: its path and its rule."""
    for key, sub in rule.get("properties", {}).items():
        yield f"{path}.{key}".lstrip("."), sub
        yield from properties(sub, f"{path}.{key}")
    if isinstance(rule.get("additionalProperties"), dict):
        yield from properties(rule["additionalProperties"], f"{path}.*")
    if isinstance(rule.get("items"), dict):
        yield from properties(rule["items"], f"{path}[]")
    for form in ("then", "else") if "if" in rule else ():
        yield from properties(rule[form], path)
    inside = path.endswith("[]") and "[ensemble_mean]" in path  # whose parts are entries of the same kind
    for name in registry.names(rule["registry"]) if "registry" in rule and not inside else ():
        yield from properties(schema.options(rule["registry"], name), f"{path}[{name}]")


# -- the schema ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", published.FILES)
def test_what_is_published_is_the_schema_of_today(path):
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    difference = list(difflib.unified_diff(text.splitlines(), published.FILES[path]().splitlines(), n=0, lineterm=""))
    assert not difference, "\n".join([f"{path} is not that of today: run `make schema`", *difference[:20]])


def test_the_schema_is_valid_and_complete():
    jsonschema.Draft202012Validator.check_schema(published.json_schema())
    found = dict(properties(schema.section("")))
    assert {"about", "studies.*.embedding.perplexity", "datasets.*.source[counts].group_column"} <= set(found)
    assert {"recipes.*.optimiser[sgd].momentum", "recipes.*.schedule[warm_restarts].first_cycle"} <= set(found)
    undescribed = [path for path, rule in found.items() if not rule.get("description")]
    assert undescribed == []
    free = {path for path, rule in found.items() if "default" in rule or "moved" in rule or path.endswith(".kind")}
    null = {path for path, rule in found.items() if rule.get("default", ...) is None}  # refused where it is due
    required = {path for path, rule in found.items() if "(required" in rule["description"]} - null
    assert set(found) - free == required


def test_every_default_satisfies_the_schema():
    for path, rule in properties(schema.section("")):
        if "default" in rule:
            assert list(config._wrong(schema.complete(rule["default"], rule), rule)) == [], path


@pytest.mark.parametrize("path", READY, ids=lambda path: path.name)
def test_the_published_schema_accepts_a_ready_configuration(path):
    assert list(jsonschema.Draft202012Validator(published.json_schema()).iter_errors(config.read(path))) == []


@pytest.mark.parametrize(("path", "value"), [
    ("recipes.quick.schedule", {"kind": "cosine", "first_cycle": 4}), ("recipes.quick.loss", "crossentropy"),
    ("recipes.quick.loss", {"kind": 1}), ("studies.one.metrics", [{"kind": "kl", "base": 2}]),
])  # fmt: skip
def test_the_published_schema_refuses_what_is_refused(path, value):
    assert list(jsonschema.Draft202012Validator(published.json_schema()).iter_errors(changed(path, value)))
    message_of(changed(path, value))


# -- what resolve fills in -----------------------------------------------------------------------------------------


def test_nested_defaults_are_filled_in():
    part = config.resolve(changed("recipes.quick.schedule", {"kind": "warm_restarts", "cycle_factor": 3}))
    assert part["recipes"]["quick"]["schedule"]["first_cycle"] == 4
    resolved = config.resolve(MINIMAL)
    recipe = resolved["recipes"]["quick"]
    assert recipe["schedule"] == {"kind": "cosine"}  # no options of another kind
    assert recipe["optimiser"] == {"kind": "sgd", "momentum": 0.9, "weight_decay": 0.0005}
    assert recipe["augment"]["hue"] == 0
    assert resolved["studies"]["one"]["embedding"]["perplexity"] == 30
    assert resolved["studies"]["one"]["splits"] == ["random"]
    assert resolved["splits"]["random"]["train"] == 0.6
    assert {name: label["form"] for name, label in resolved["labels"].items()} == {"hard": "hard", "soft": "soft"}


def test_a_source_gets_the_defaults_of_its_own_kind():
    raw = changed("datasets.shapes", {"source": {"kind": "counts", "images": "i", "counts": "c.npy"}})
    assert config.resolve(raw)["datasets"]["shapes"]["source"] == {
        "kind": "counts", "images": "i", "counts": "c.npy", "order": "index", "name_column": "name",
        "group_column": None, "separator": ",", "classes": None, "unvoted": "refuse", "minimum_votes": 1,
        "pixels": None, "resize": "stretch", "deep": "refuse", "follow_links": False,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["loss", "network", "schedule", "optimiser"])
def test_a_text_is_short_for_a_kind(kind):
    name = registry.names(kind)[0]
    texts = [config.resolve(changed(f"recipes.quick.{kind}", value)) for value in (name, {"kind": name})]
    assert texts[0] == texts[1]
    assert texts[0]["recipes"]["quick"][kind]["kind"] == name


def test_keys_that_moved_are_read_where_they_were():
    raw = changed("recipes.quick", {"network": "compact", "momentum": 0.5, "weight_decay": "1e-4"})
    resolved = config.resolve(raw)
    assert resolved["recipes"]["quick"]["optimiser"] == {"kind": "sgd", "momentum": 0.5, "weight_decay": 0.0001}
    assert not {"momentum", "weight_decay"} & set(resolved["recipes"]["quick"])
    raw["recipes"]["quick"]["optimiser"] = {"kind": "sgd", "momentum": 0.5}
    assert "recipes.quick.momentum: is given as optimiser.momentum, too. Remove one." in message_of(raw)


def test_resolving_twice_changes_nothing_and_leaves_the_input_alone():
    raw = copy.deepcopy(MINIMAL)
    once = config.resolve(raw)
    assert raw == MINIMAL
    assert config.resolve(once) == once


@pytest.mark.parametrize("key", ["epochs", "rate", "warmup_epochs"])
def test_spellings_of_one_number_give_one_text(key):
    values = (10, 10.0, "1e1", "10", 11)
    texts = [canonical_json(config.resolve(changed(f"recipes.quick.{key}", value))) for value in values]
    assert len(set(texts[:4])) == 1
    assert texts[0] != texts[4]


def test_what_looks_like_a_number_stays_text_where_text_is_due():
    raw = changed("datasets.shapes", {"source": {"kind": "counts", "images": "1e1", "counts": "10"}})
    source = config.resolve(raw)["datasets"]["shapes"]["source"]
    assert (source["images"], source["counts"]) == ("1e1", "10")


NEW = {"type": "number", "minimum": 0, "default": 0, "neutral": 0, "description": "A key that is added later."}


@pytest.mark.parametrize("place", ["recipe", "loss"])
def test_a_new_key_at_its_neutral_value_is_not_tracked_and_is_there_when_the_command_runs(place, monkeypatch, request):
    before = Plan(MINIMAL).of("train", recipe="quick", label="soft", seed="0")
    if place == "recipe":
        monkeypatch.setitem(schema.RECIPE, "new", NEW)
        for made in (schema.section, schema.of_command):
            made.cache_clear()
            request.addfinalizer(made.cache_clear)
    else:
        real = registry.entry
        known = {"loss": {"options": {"new": NEW}}}
        monkeypatch.setattr(registry, "entry", lambda kind, name: real(kind, name) | known.get(kind, {}))
    key = {"recipe": "recipes.quick.new", "loss": "recipes.quick.loss.new"}[place]

    def recipe(value):
        return Plan(changed(key, value)).of("train", recipe="quick", label="soft", seed="0")["recipe"]

    assert recipe(0) == before["recipe"]
    assert Plan(MINIMAL).of("train", recipe="quick", label="soft", seed="0") == before
    assert recipe(0.5) != before["recipe"]
    assert "delivery" not in before
    assert "compile" not in before["recipe"], "which the recipe has in the schema, with such a value"
    restored = schema.restored({"recipe": before["recipe"], "seed": 0}, schema.of_command())
    assert (restored["recipe"] if place == "recipe" else restored["recipe"]["loss"])["new"] == 0
    given = {"recipe": recipe(0.5)}
    neutral = {"compile": False, "train": "all", "upscale": None, "shuffle_buffer": None}
    again = {"recipe": {**recipe(0.5), **neutral}}
    assert schema.restored(given, schema.of_command()) == again


# -- what resolve refuses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("recipes.quick.epoch", 3, ["recipes.quick: unknown key 'epoch'; did you mean 'epochs'?"]),
        ("studys", {}, ["the top level: unknown key 'studys'; did you mean 'studies'?"]),
        ("datasets.shapes.source.itms", 3, ["datasets.shapes.source: unknown key 'itms'; did you mean 'items'?"]),
        ("recipes.quick.qqq", 3, ["unknown key 'qqq'; known keys: augment, batch,"]),
        ("recipes.quick.epochs", "ten", ['recipes.quick.epochs: found "ten", expected a whole number.']),
        ("recipes.quick.epochs", 2.5, ["recipes.quick.epochs: found 2.5, expected a whole number."]),
        ("recipes.quick.epochs", True, ["recipes.quick.epochs: found true, expected a whole number."]),
        ("datasets.shapes.source", {"kind": "table", "images": "i", "votes": "v", "classes": [False, True]},
         ["datasets.shapes.source.classes.0: found false, expected text (YAML reads no, off and false without quotes",
          "datasets.shapes.source.classes.1: found true, expected text (YAML reads yes, on and true without quotes"]),
        ("datasets.shapes.source", {"kind": "table", "images": "i", "votes": "v", "classes": {False: "no", "a": "b"}},
         ["datasets.shapes.source.classes: found the key false, expected text (YAML reads no, off and false without"]),
        ("datasets.shapes.source", {"kind": "table", "images": "i", "votes": "v", "where": {True: "x"}},
         ["datasets.shapes.source.where: found the key true, expected text (YAML reads yes, on and true without"]),
        ("recipes.quick", {True: 1, "epoch": 2}, ["recipes.quick: found the key true, expected text (YAML reads"]),
        ("recipes.quick.epochs", 0, ["recipes.quick.epochs: found 0, expected at least 1."]),
        ("recipes.quick.rate", math.nan, ["recipes.quick.rate: found NaN, expected a finite number."]),
        ("recipes.quick.rate", math.inf, ["recipes.quick.rate: found Infinity, expected a finite number."]),
        ("recipes.quick.rate", 10**400, ["recipes.quick.rate: found 1000", "expected a finite number."]),
        ("recipes.quick.dropout", 1, ["recipes.quick.dropout: found 1.0, expected less than 1."]),
        ("recipes.quick.device", "gpu", ['recipes.quick.device: found "gpu", expected one of cpu, cuda.']),
        ("recipes.quick.augment.contrast", [1], ["recipes.quick.augment.contrast: found [1.0], expected 2 entries"]),
        ("recipes.quick.augment.contrast", [2, 1], ["recipes.quick.augment.contrast: found [2.0, 1.0]", "low, high"]),
        ("recipes", None, ["recipes: found null, expected keys with values."]),
        ("recipes.quick", {}, ["recipes.quick: the key 'network' is missing."]),
        ("recipes.Quick", {"network": "compact"}, ["recipes: 'Quick' is no name; use lower case letters"]),
        ("datasets.shapes.source", {}, ["datasets.shapes.source: the key 'kind' is missing; there are: "]),
        ("datasets.shapes.source", {"kind": "table"}, ["the key 'images' is missing", "the key 'votes' is missing"]),
        ("datasets.shapes.source.radius", [0, 0.1], ["datasets.shapes.source.radius.0: found 0.0, expected more than"]),
        ("datasets.shapes.source.radius", [0.2, 0.1], ["datasets.shapes.source.radius: found [0.2, 0.1]"]),
        ("datasets.shapes.source.centre", 0.5, ["datasets.shapes.source.centre: found 0.5, expected a list"]),
        ("datasets.shapes.paper", "mice", ['found "mice", expected one of synthetic, mice_bone, null.']),
        ("datasets.shapes.reference", "votes", ["datasets.shapes.reference: 'votes' needs a source with votes"]),
        ("splits", {"random": {"train": 0.7}}, ["splits.random: train + val + test is 1.1, expected 1."]),
        ("datasets.shapes.groupings", {"clear": {"a": ["bc"], "b": ["rc"]}},
         ["datasets.shapes.groupings: the name 'clear' is taken."]),
        ("datasets.shapes.groupings", {"one": {"a": ["bc"]}}, ["groupings.one:", "expected at least 2 entries."]),
        ("studies", {}, ["studies: found {}, expected at least one entry."]),
        ("studies.one.datasets", ["shape"], ["studies.one.datasets: 'shape' is not defined", "mean 'shapes'?"]),
        ("studies.one.labels", ["soft", "mix"], ["studies.one.labels: 'mix' is not defined", "defined: hard, soft."]),
        ("studies.one.seeds", [1, 1], ["studies.one.seeds: found [1, 1], expected no entry twice."]),
        ("studies.one.metrics", ["kl"], ["studies.one.metrics: 'macro_acc' is missing"]),
        ("studies.one.tables", [{"kind": "main", "metrics": ["acc", "sharpness"]}],
         ["studies.one.tables: main has 'sharpness', no metric of this study; there are: acc, brier, brier_unbiased"]),
        ("results", "", ['results: found ""']),
        ("results", "{seed}", ['results: found "{seed}"']),
        ("recipes.quick.weights_file", "w.pt", ["recipes.quick.weights_file: is read with 'weights: file' only."]),
        ("recipes.quick.schedule", {"kind": "cosine", "first_cycle": 4}, ["recipes.quick.schedule: unknown key "
         "'first_cycle'; it is an option of the schedule warm_restarts, not of cosine."]),
        ("recipes.quick.schedule", {"first_cycle": 4}, ["'first_cycle'; it is an option of the schedule warm"]),
        ("recipes.quick.schedule", {"kind": "warm_restarts", "first_cycle": 0}, ["schedule.first_cycle: found 0.0, "]),
        ("recipes.quick.loss", 3, ["recipes.quick.loss: found 3, expected the name of a loss, or {kind: name"]),
        ("recipes.quick.momentum", 2, ["recipes.quick.optimiser.momentum: found 2.0, expected less than 1."]),
        ("labels.soft", {"aggregate": "average", "form": "soft", "delivery": "smapled"}, ["labels.soft.delivery: "]),
        ("recipes.quick.compile", "yes", ['recipes.quick.compile: found "yes", expected true or false.']),
        *(("datasets.shapes", {"source": {"kind": "counts", "images": "i", "counts": "c.npy", "classes": classes}},
           ["datasets.shapes.source.classes: found"]) for classes in (["a", "a"], ["a"], "a")),
        ("recipes.quick.network", "compct", ["Did you mean 'compact'?"]),
        ("recipes.quick.loss", "crossentropy", ["Did you mean 'cross_entropy'?"]),
        ("recipes.quick.schedule.kind", "cosine_", ["Did you mean 'cosine'?"]),
        ("datasets.shapes.source.kind", "synthtic", ["Did you mean 'synthetic'?"]),
        ("labels.soft", {"aggregate": "avrage", "form": "soft"}, ["Did you mean 'average'?"]),
        ("studies.one.metrics", ["macro_acc", "kl_dcci"], ["Did you mean 'kl_dcic'?"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(path, value, words):
    message = message_of(changed(path, value))
    assert message.startswith("The configuration has ")
    for word in words:
        assert word in message


def test_all_problems_come_in_one_message():
    raw = changed("recipes.quick", {"network": "compct", "epoch": 1, "batch": "x"})
    raw["datasets"]["shapes"]["source"]["pixels"] = 1
    message = message_of(raw)
    assert message.startswith("The configuration has 4 problems:")
    for place in ("'epoch'", "recipes.quick.batch", "recipes.quick.network", "datasets.shapes.source.pixels"):
        assert place in message
    assert message_of(changed("studies.one.seeds", [])).startswith("The configuration has 1 problem:")
    assert message_of(changed("datasets.shapes.source", {})).startswith("The configuration has 1 problem:")


def test_shares_that_sum_to_one_as_written_are_accepted():
    # 0.1 + 0.2 + 0.7 is 0.9999999999999999 in binary.
    split = {"train": 0.7, "val": 0.2, "test": 0.1}
    assert config.resolve(changed("splits", {"random": split}))["splits"]["random"]["test"] == 0.1
    nearly = {"train": 0.3333333333, "val": 0.3333333333, "test": 0.3333333333}
    assert "expected 1." in message_of(changed("splits", {"random": nearly}))


# -- reading ---------------------------------------------------------------------------------------------------------


def write(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


def test_a_key_defined_twice_names_both_lines(tmp_path):
    path = write(tmp_path, "results: a\nrecipes:\n  x: {network: compact}\n  y: {network: compact}\n  x: {epochs: 1}\n")
    with pytest.raises(UserError, match=r"config\.yaml: 'x' is defined twice, in lines 3 and 5\. Remove or rename one"):
        config.read(path)


def test_merge_keys_and_the_same_key_in_two_places_are_no_repetition(tmp_path):
    text = "a: &base {network: compact, epochs: 1}\nb:\n  <<: *base\n  epochs: 2\n"
    assert config.read(write(tmp_path, text))["b"] == {"network": "compact", "epochs": 2}


@pytest.mark.parametrize(("text", "words"), [
    ("- a\n", "expected 'key: value' lines"), ("a: [1\n", "is not valid YAML"), ("text", "expected 'key: value'"),
    ("a: !!python/object/apply:os.getcwd []\n", "is not valid YAML"),  # YAML cannot run code
])  # fmt: skip
def test_a_file_that_is_no_configuration_is_refused(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        config.read(write(tmp_path, text))


def test_a_ready_configuration_is_named_to_whoever_stands_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"no such configuration file in {tmp_path}\. Did you mean {READY[0]}\?"):
        config.read(Path("config", READY[0].name))


def test_no_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such configuration file"):
        config.read(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        config.read(tmp_path)


# -- warnings --------------------------------------------------------------------------------------------------------


def warnings(path, value):
    return config.warnings(config.resolve(changed(path, value)))


def test_stopping_in_the_middle_of_a_cycle_is_warned_about():
    raw = changed("recipes.quick.schedule", {"kind": "warm_restarts", "first_cycle": 4, "cycle_factor": 2})
    for epochs, expected in ((60, 0), (59, 1), (28, 0), (30, 1)):  # cycles end after 4, 12, 28, 60 epochs
        raw["recipes"]["quick"]["epochs"] = epochs
        found = config.warnings(config.resolve(raw))
        assert len(found) == expected, epochs
        assert all("recipes.quick" in text and "middle of a cycle" in text for text in found)


@pytest.mark.parametrize(("key", "value"), [("hue", 0.1), ("zoom", 0.8), ("saturation", [0.5, 1])])
def test_augmentation_that_moves_the_label_is_warned_about_on_synthetic_data_only(key, value):
    raw = changed(f"recipes.quick.augment.{key}", value)
    (text,) = config.warnings(config.resolve(raw))
    assert f"augment.{key}" in text
    assert "shapes" in text
    raw["datasets"]["shapes"] = {"source": {"kind": "counts", "images": "i", "counts": "c.npy"}}
    assert config.warnings(config.resolve(raw)) == []


def test_class_weights_that_move_the_optimum_are_warned_about_in_recipes_that_a_study_uses():
    (text,) = warnings("recipes.quick.class_weight", "per_class")
    assert "per_class" in text
    assert warnings("recipes.other", {"network": "compact", "class_weight": "per_class"}) == []


# -- the ready configurations ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", READY, ids=lambda path: path.name)
def test_a_ready_configuration_resolves(path):
    resolved = config.resolve(config.read(path))
    assert resolved["about"]


def test_ready_configurations_give_one_name_one_definition():
    resolved = {path.name: config.resolve(config.read(path)) for path in READY}
    assert len(resolved) >= 2
    tables = ("datasets", "splits", "recipes", "labels", "studies")
    for ((first, a), (second, b)), table in product(combinations(resolved.items(), 2), tables):
        for name in a[table].keys() & b[table].keys():
            assert a[table][name] == b[table][name], f"{table}.{name} differs in {first} and {second}"


def test_the_names_that_people_type_stay():
    default = config.resolve(yaml.safe_load(READY[[path.name for path in READY].index("config.yaml")].read_text()))
    assert list(default["studies"]) == ["hard_vs_soft"]
    assert list(default["datasets"]) == ["synthetic"]
    assert default["studies"]["hard_vs_soft"]["labels"] == ["hard", "soft"]


def of_aggregate(aggregate, form="soft"):
    raw = changed("labels.own", {"aggregate": aggregate, "form": form})
    raw["studies"]["one"]["labels"] = ["own"]
    return raw


def test_a_form_that_an_aggregate_does_not_have_is_refused():
    expected = "labels.own.form: found soft, expected hard: the aggregate 'mmsr' gives no other."
    assert expected in message_of(of_aggregate("mmsr"))
    assert "labels.own.form" not in message_of(of_aggregate("mmsr", "hard"))


def test_an_ensemble_has_aggregates_with_their_options_and_each_is_checked():
    raw = of_aggregate({"kind": "ensemble_mean", "of": ["average", {"kind": "mace", "restarts": 2}]})
    raw["datasets"]["shapes"]["source"] |= {"votes": 3, "annotators": 9}
    found = config.resolve(raw)
    average, mace = found["labels"]["own"]["aggregate"]["of"]
    assert average == {"kind": "average"}
    assert (mace["restarts"], mace["iterations"], mace["fit_on"]) == (2, 50, "train")
    told = message_of(of_aggregate({"kind": "ensemble_mean", "of": ["averag", {"kind": "mace", "restart": 2}]}))
    assert "labels.own.aggregate.of.0: Unknown aggregate 'averag'" in told
    assert "labels.own.aggregate.of.1: unknown key 'restart'; did you mean 'restarts'?" in told
    assert "labels.own.aggregate: the key 'of' is missing" in message_of(of_aggregate("ensemble_mean"))


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("mmsr", "has no probabilities"),
        ({"kind": "distilled", "recipe": "quick"}, "is made of networks' predictions"),
        ({"kind": "ensemble_mean", "of": ["average", "majority"]}, "is made of others itself"),
    ],
)
def test_what_cannot_be_part_of_an_ensemble_is_refused(part, why):
    told = message_of(of_aggregate({"kind": "ensemble_mean", "of": ["average", part]}))
    kind = part if isinstance(part, str) else part["kind"]
    assert f"labels.own.aggregate: '{kind}' {why}" in told


def test_parts_of_an_ensemble_need_votes_and_are_drawn_and_estimated_like_alone():
    raw = of_aggregate({"kind": "ensemble_mean", "of": ["average", "dawid_skene"]})
    assert "the label own needs votes, and shapes has none" in message_of(raw)
    raw["datasets"]["shapes"]["source"] |= {"votes": 3}
    assert "the label own needs to know who gave each vote (dawid_skene), and shapes does not say" in message_of(raw)
    raw["datasets"]["shapes"]["source"] |= {"annotators": 9}
    plan = Plan(raw)
    assert plan.labels_of("own", "random", 2) == {"within": "/random", "draw": "seed2"}
    entries = commands.entries("label", plan.of("label", dataset="shapes", label="own", draw="seed2"))
    assert "softlabels.labels.dawid_skene:aggregate" in entries
    raw["labels"]["own"]["aggregate"]["of"] = ["average", "majority"]
    assert Plan(raw).labels_of("own", "random", 2) == {"within": "", "draw": "all"}
