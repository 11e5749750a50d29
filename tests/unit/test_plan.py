"""The grid: which files a study needs, and with which configuration each is made."""

import functools
import itertools
import json
import re

import pytest

from softlabels import places, registry, schema
from softlabels import plan as plan_module
from softlabels.commands import COMMANDS
from softlabels.contracts import METRICS, entry_name
from softlabels.errors import UserError
from softlabels.places import NAME
from softlabels.plan import Plan

RAW = {
    "results": "out",
    "data_folder": "/private/people",
    "datasets": {
        "shapes": {"source": {"kind": "synthetic", "items": 60}, "reference": "exact"},
        "animals": {"source": {"kind": "counts", "images": "pics of x", "counts": "votes/matrix.npy"}},
    },
    "splits": {"random": {}, "other": {"train": 0.8, "val": 0.1, "test": 0.1}},
    "recipes": {
        "quick": {"network": "compact", "epochs": 1},
        "tuned": {"network": "compact", "weights": "file", "weights_file": "secret/w.safetensors"},
        "heads": {"network": "compact", "train": "head", "weights": "file", "weights_file": "secret/w.safetensors"},
        "read": {"predictions": {"hard": {"1": "secret/hard.csv"}, "soft": {"1": {"file": "s.npy", "names": "s.txt"}}}},
    },
    "studies": {
        "one": {"datasets": ["shapes", "animals"], "recipes": ["quick"], "seeds": [3, 1],
                "metrics": ["macro_acc", "kl"]},
        "two": {"datasets": ["shapes"], "splits": ["random", "other"], "recipes": ["quick", "tuned", "heads", "read"],
                "seeds": [1], "metrics": ["macro_acc", "ce"]},
    },
}  # fmt: skip
RUN = {"dataset": "shapes", "split": "random", "recipe": "tuned", "label": "soft", "seed": "1"}
ENCODER = Plan(RAW).encoder("heads")
WILDCARDS = {
    "download": {"file": "MiceBone.zip"},
    "card": {"dataset": "animals"},
    "data": {"dataset": "animals"},
    "split": {"dataset": "shapes", "split": "other", "seed": "1"},
    "label": {"dataset": "shapes", "within": "", "label": "hard", "draw": "all"},
    "train": RUN,
    "adopt": RUN | {"recipe": "read"},
    "encode": {"dataset": "shapes", "encoder": ENCODER},
    "fit": RUN | {"recipe": "heads"},
    "evaluate": RUN | {"metrics": "standard"},
    "references": {"dataset": "shapes", "split": "random", "seed": "1", "metrics": "standard"},
    "embed": {"study": "two"},
    "study": {"study": "two"},
    "figure": {"study": "two", "figure": "curves", "block": "-shapes-other-quick"},
    "chain": {"study": "two"},
}


@pytest.fixture(scope="module")
def plan():
    return Plan(RAW)


def changed(path, value):
    raw = json.loads(json.dumps(RAW))
    *parents, last = path.split(".")
    functools.reduce(dict.get, parents, raw)[last] = value
    return Plan(raw)


def runs(plan, study, **fixed):
    return [places.RUN.format_map(names) for _, names in plan.jobs(study, "train", **fixed)]


def test_runs_come_label_by_label_within_a_seed_in_the_order_of_the_study(plan):
    grid = itertools.product(("shapes", "animals"), (3, 1), ("hard", "soft"))
    assert runs(plan, "one") == [f"{dataset}/random/quick/{label}/seed{seed}" for dataset, seed, label in grid]
    assert len(runs(plan, "two")) == 1 * 2 * 2 * 2 * 1


def test_a_part_of_the_grid_is_chosen_by_name(plan):
    assert runs(plan, "two", split="other", recipe="tuned", label="soft") == ["shapes/other/tuned/soft/seed1"]


def test_two_studies_share_the_runs_that_both_want(plan):
    shared = set(plan.files("one", "train", "model")) & set(plan.files("two", "train", "model"))
    both = [f"out/runs/shapes/random/quick/{label}/seed1" for label in ("hard", "soft")]
    assert shared == {f"{run}/model.safetensors" for run in both}
    # One evaluation serves both, whichever of the standard metrics they show.
    assert set(plan.files("two", "evaluate", "scores")) >= {f"{run}/scores/standard.parquet" for run in both}
    assert list(plan.of("evaluate", **WILDCARDS["evaluate"])["metrics"]) == list(METRICS)
    assert list(METRICS) == schema.STUDY["metrics"]["default"]


def test_a_study_is_told_what_its_tables_print_of_each_metric(monkeypatch):
    told = Plan(RAW).of("study", study="one")["metric_facts"]
    assert list(told) == list(METRICS)  # those of groups and of rows of votes, too
    about = {"heading": "ACC", "better": "higher", "unit": None, "decimals": 4, "source": None}
    assert told["macro_acc"] == {**about, "note": "ACC is macro accuracy."}
    monkeypatch.setattr(plan_module, "entry", lambda kind, name: {**registry.entry(kind, name), "heading": "other"})
    changed = Plan(RAW).of("study", study="one")["metric_facts"]
    assert changed == {name: {**about, "heading": "other"} for name, about in told.items()}


@pytest.fixture
def topk(monkeypatch):
    """A plan whose study two has one metric more, with an option."""
    entry = {"about": "", "needs": ["votes"], "options": {"k": {"type": "integer", "default": 5}}}
    known = registry.entry
    for module in (registry, plan_module):
        monkeypatch.setattr(module, "entry", lambda kind, name: entry if name == "topk" else known(kind, name))
    monkeypatch.setattr(plan_module, "location", lambda kind, name: ("softlabels.evaluation.metrics.kl", "metric"))
    return lambda metric: changed("studies.two.metrics", ["macro_acc", "ce", metric])


def test_a_further_metric_has_files_of_its_own_and_changes_no_others(plan, topk):
    more, run = topk({"kind": "topk", "k": 3}), "out/runs/shapes/random/quick/hard/seed1/scores/"
    assert list(more.metrics("two").items())[-1] == ("topk__k_3", {"kind": "topk", "k": 3})
    new = set(more.files("two", "evaluate", "scores")) - set(plan.files("two", "evaluate", "scores"))
    assert f"{run}topk__k_3.parquet" in new
    assert len(new) == len(plan.predictions("two"))
    assert len(more.files("two", "references", "references")) == 2 + len(plan.files("two", "references", "references"))
    files = more.files("two", "evaluate", "manifest") + more.files("two", "references", "manifest")
    assert {path for path in more.manifests("two") if "topk" in path} == {path for path in files if "topk" in path}
    # What a further metric's jobs are told is that metric, and nobody else's jobs are told of it.
    own = {"set": "topk__k_3", "metrics": {"topk__k_3": {"kind": "topk", "k": 3}}, "needs": {"topk__k_3": ["votes"]}}
    assert more.of("evaluate", **WILDCARDS["evaluate"] | {"metrics": "topk__k_3"}) == own
    rows = more.of("references", **WILDCARDS["references"] | {"metrics": "topk__k_3"})
    assert rows == {**own, "seed": 1}
    for command in ("evaluate", "references"):
        assert more.json(command, **WILDCARDS[command]) == plan.json(command, **WILDCARDS[command])
    assert more.json("study", study="one") == plan.json("study", study="one")
    assert more.files("one", "evaluate", "scores") == plan.files("one", "evaluate", "scores")


def test_a_default_that_is_written_out_is_no_other_metric(topk):
    assert list(topk({"kind": "topk", "k": 5}).metrics("two")) == list(topk("topk").metrics("two"))


def test_a_set_that_no_study_wants_is_refused(plan):
    with pytest.raises(UserError, match="No study has a metric 'tvd' of its own; there are: standard"):
        plan.of("evaluate", **WILDCARDS["evaluate"] | {"metrics": "tvd"})


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"kind": "kl"}, "kl"),
        ({"kind": "top_k", "k": 3}, "top_k__k_3"),
        ({"kind": "top_k", "k": 1}, "top_k"),
        ({"kind": "ece", "width": 0.01, "by": "class"}, "ece__by_class__width_0p01"),
        ({"kind": "ece", "edges": [0.5, 1e-9], "shift": -1.5}, "ece__edges_0p5_1em09__shift_m1p5"),
        ({"kind": "my_metrics:brier"}, "my_metrics__brier"),
        ({"kind": "my_metrics:brier", "both": True}, "my_metrics__brier__both_true"),
    ],
)
def test_a_metric_is_named_after_what_differs_from_its_defaults(options, name):
    assert entry_name(options, {"k": 1}) == name


def test_names_stay_safe_short_and_apart():
    options = [{"kind": "m", "way": way} for way in ("../x", "a b", "a_b", "A_B", "ü" * 200, "u" * 200, "")]
    names = [entry_name(each, {}) for each in options]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(NAME, name) and len(name) <= 89 for name in names)


def test_paths_are_those_of_the_contracts(plan):
    assert plan.files("one", "data", "items") == ["out/data/shapes/items.parquet", "out/data/animals/items.parquet"]
    labels, splits = plan.files("two", "label", "labels"), plan.files("two", "split", "split")
    assert labels == [f"out/labels/shapes/{label}/all.parquet" for label in ("hard", "soft")]
    assert splits == [f"out/splits/shapes/{split}/seed1.parquet" for split in ("random", "other")]
    embeddings = [f"out/studies/one/tsne/shapes-random-quick-{label}-seed3.parquet" for label in ("hard", "soft")]
    assert plan.files("one", "embed", "embedding", dataset="shapes") == embeddings


def test_each_kind_of_figure_is_drawn_once_a_block_from_what_it_needs(plan):
    blocks = [f"-shapes-{split}-{recipe}" for split in ("random", "other") for recipe in ("quick", "tuned")]
    names = [names for _, names in plan.jobs("two", "figure")]
    assert names == [{"study": "two", "figure": f, "block": b} for f in ("embedding", "curves") for b in blocks]
    found = {name: files for name, files in plan.figure_files("two", "curves", "-shapes-other-tuned").items() if files}
    histories = [f"out/runs/shapes/other/tuned/{label}/seed1/history.parquet" for label in ("hard", "soft")]
    assert found == {"histories": histories}
    found = plan.figure_files("two", "embedding", "-shapes-other-tuned")
    assert (found["items"], found["histories"]) == (["out/data/shapes/items.parquet"], [])
    for block, parts in (("-shapes-other-tuned", ["shapes", "other", "tuned"]), ("", None)):
        assert plan.of("figure", study="two", figure="curves", block=block)["block"] == parts


def test_everything_lies_under_the_results_folder_and_is_asked_for_once(plan):
    manifests = [path for study in ("one", "two") for path in plan.manifests(study)]
    for files in (plan.targets(), plan.prepared(), plan.manifests("one"), plan.manifests("two")):
        assert len(set(files)) == len(files)
        assert all(path.startswith("out/") for path in files)
    assert all(path.endswith(".manifest.json") for path in manifests)
    assert {"out/studies/one/table.md", "out/studies/one/chain.json"} <= set(plan.targets())


def test_each_job_behind_the_tables_has_its_manifest_in_the_chain(plan):
    found = plan.manifests("two")
    trained = len(runs(plan, "two"))
    assert sum(path.endswith("/model.manifest.json") for path in found) == trained
    assert sum(path.endswith("/adopted.manifest.json") for path in found) == 4
    assert sum(path.endswith("/head.manifest.json") for path in found) == 4
    assert f"out/features/shapes/{ENCODER}/features.manifest.json" in found
    assert len(set(found) & set(plan.files("two", "evaluate", "manifest"))) == trained + 4 + 4
    for part in ("/data/shapes/", "/labels/shapes/hard/", "/splits/shapes/other/", "/references/shapes/other/"):
        assert any(part in path for path in found), part
    assert "out/studies/two/config.manifest.json" in found


def test_a_slash_at_the_end_of_the_results_folder_makes_no_other_path():
    assert changed("results", "out/").targets() == Plan(RAW).targets()


def test_every_job_comes_once_and_a_job_before_those_that_read_what_it_wrote(plan):
    jobs = list(plan.jobs("two"))
    assert len({(command, *names.items()) for command, names in jobs}) == len(jobs)
    order = [command for command, _ in jobs]
    assert list(dict.fromkeys(order)) == [command for command in COMMANDS if command != "download"]


# -- the configuration of each command -------------------------------------------------------------------------------


def test_every_command_is_configured(plan):
    assert set(WILDCARDS) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_configuration_is_one_canonical_line_without_any_path(plan, command):
    text = plan.json(command, **WILDCARDS[command])
    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False) == text
    assert json.loads(text) == plan.of(command, **WILDCARDS[command])
    for word in ("out/", "/private", "pics", "matrix.npy", "secret", "weights_file", "data_folder"):
        assert word not in text


@pytest.mark.parametrize("command", COMMANDS)
def test_moving_sources_and_results_changes_no_configuration(plan, command):
    moved = json.loads(json.dumps(RAW))
    moved |= {"results": "elsewhere", "data_folder": ".", "about": "Text."}
    moved["datasets"]["animals"]["source"] |= {"images": "a", "counts": "b.csv"}
    moved["recipes"]["tuned"]["weights_file"] = "x.pt"
    moved["recipes"]["read"]["predictions"]["hard"]["1"] = "hard.parquet"
    assert Plan(moved).json(command, **WILDCARDS[command]) == plan.json(command, **WILDCARDS[command])


def test_votes_that_are_a_number_stay_in_the_configuration_and_those_that_are_a_file_do_not():
    raw = json.loads(json.dumps(RAW))
    raw["datasets"]["shapes"]["source"]["votes"] = 7
    raw["datasets"]["animals"]["source"] = {"kind": "table", "images": "i", "votes": "v.csv"}
    plan = Plan(raw)
    assert plan.of("data", dataset="shapes")["source"]["votes"] == 7
    assert "votes" not in plan.of("data", dataset="animals")["source"]


def test_a_training_knows_its_recipe_and_seed_and_nothing_of_the_study(plan):
    found = plan.of("train", **WILDCARDS["train"])
    assert set(found) == {"recipe", "seed"}
    assert found["seed"] == 1
    assert found["recipe"]["weights"] == "file"
    other = changed("studies.two.level", 0.9)
    assert other.json("train", **WILDCARDS["train"]) == plan.json("train", **WILDCARDS["train"])
    assert other.json("study", study="two") != plan.json("study", study="two")


def test_swapping_two_values_changes_the_line():
    one = changed("recipes.quick", {"network": "compact", "epochs": 10, "batch": 128})
    two = changed("recipes.quick", {"network": "compact", "epochs": 128, "batch": 10})
    wildcards = WILDCARDS["train"] | {"recipe": "quick"}
    assert one.json("train", **wildcards) != two.json("train", **wildcards)


def test_another_standard_metric_changes_its_study_alone(plan):
    more = changed("studies.two.metrics", ["macro_acc", "ce", "tvd"])
    for command in COMMANDS:
        same = command != "study"
        assert (more.json(command, **WILDCARDS[command]) == plan.json(command, **WILDCARDS[command])) is same, command
        assert more.code(command, **WILDCARDS[command]) == plan.code(command, **WILDCARDS[command]), command


def test_each_command_has_its_own_code(plan):
    codes = {command: plan.code(command, **WILDCARDS[command]) for command in COMMANDS}
    assert all(re.fullmatch("[0-9a-f]{64}", code) for code in codes.values())
    assert len(set(codes.values())) == len(codes)


# -- sources -----------------------------------------------------------------------------------------------------------


def test_relative_sources_start_from_the_data_folder_and_absolute_ones_stay(plan):
    assert plan.source_path("votes/matrix.npy") == "/private/people/votes/matrix.npy"
    assert plan.source_path("/other/matrix.npy") == "/other/matrix.npy"
    assert plan.weights("tuned") == ["/private/people/secret/w.safetensors"]
    assert plan.weights("quick") == []


def test_options_survive_the_shell(plan):
    words = "--source 'folder=/private/people/pics of x' --source counts=/private/people/votes/matrix.npy"
    assert plan.data_options("animals") == words
    assert plan.data_options("shapes") == ""


def test_every_image_is_an_input_so_that_a_changed_one_is_noticed(tmp_path):
    for name in ("pics of x/b.png", "pics of x/sub/a.JPG", "pics of x/notes.txt", "pics of x/.hidden.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    inputs = changed("data_folder", str(tmp_path)).data_inputs("animals")
    assert inputs == {
        "counts": f"{tmp_path}/votes/matrix.npy",
        "images": [f"{tmp_path}/pics of x/b.png", f"{tmp_path}/pics of x/sub/a.JPG"],
    }


# -- which label file a run reads --------------------------------------------------------------------------------------

FITTED = """
ENTRY = {"kind": "aggregate", "about": "Fitted.", "options": {}, "shared": ["fit_on"]}

def fitted(evidence, options):
    pass
"""
FOLDED = """
ENTRY = {"kind": "aggregate", "about": "Of networks.", "options": {}, "shared": ["folds", "trained_on", "recipe"]}

def folded(evidence, options):
    pass
"""


@pytest.fixture
def drawn(tmp_path):
    """A plan of labels of every sort, on two splits."""
    (tmp_path / "fits_on_train.py").write_text(FITTED)
    (tmp_path / "mixes_folds.py").write_text(FOLDED)
    folded = {"kind": "mixes_folds:folded", "folds": 2, "trained_on": "fitted", "recipe": "quick"}
    raw = {
        "modules": str(tmp_path),
        "datasets": {"shapes": {"source": {"kind": "synthetic", "items": 60, "votes": 5}}},
        "splits": {"random": {}, "other": {"train": 0.8, "val": 0.1, "test": 0.1}},
        "recipes": {"quick": {"network": "compact", "epochs": 1}},
        "labels": {
            "soft": {"aggregate": "average", "form": "soft"},
            "few": {"aggregate": "average", "form": "soft", "votes": 3},
            "fitted": {"aggregate": "fits_on_train:fitted", "form": "soft"},
            "on_all": {"aggregate": {"kind": "fits_on_train:fitted", "fit_on": "all"}, "form": "soft"},
            "folded": {"aggregate": folded, "form": "soft"},
        },
        "studies": {"one": {"datasets": ["shapes"], "splits": ["random", "other"], "recipes": ["quick"],
                            "labels": ["soft", "few", "fitted", "on_all", "folded"], "seeds": [0, 7]}},
    }  # fmt: skip
    return Plan(raw)


def test_one_function_decides_which_label_file_a_run_reads(drawn):
    def file(label, split, seed):
        return drawn.path("label", "labels", dataset="shapes", label=label, **drawn.labels_of(label, split, seed))

    assert file("soft", "random", 7) == file("soft", "other", 0) == "results/labels/shapes/soft/all.parquet"
    assert file("few", "random", 7) == file("few", "other", 7) == "results/labels/shapes/few/seed7.parquet"
    assert file("on_all", "other", 7) == "results/labels/shapes/on_all/all.parquet"
    for label, split, seed in itertools.product(("fitted", "folded"), ("random", "other"), (0, 7)):
        assert file(label, split, seed) == f"results/labels/shapes/{split}/{label}/seed{seed}.parquet"
    assert file("few", "random", "7-fold1of2") == file("few", "random", 7)  # the same votes, whoever learns from them
    assert file("fitted", "random", "7-fold1of2") == "results/labels/shapes/random/fitted/seed7-fold1of2.parquet"
    assert len(drawn.files("one", "label", "labels")) == 1 + 2 + 4 + 1 + 4


def test_a_label_of_predictions_brings_the_jobs_behind_it(drawn):
    inputs = drawn.label_inputs("shapes", "/other", "folded", "seed7")
    runs = [f"results/runs/shapes/other/quick/fitted/seed7-fold{k}of2/predictions.parquet" for k in range(2)]
    split = ["results/splits/shapes/other/seed7.parquet"]
    assert inputs == {"items": [], "given": [], "split": split, "predictions": runs}
    assert set(runs) <= set(drawn.files("one", "train", "predictions", folds=True))
    assert not set(runs) & set(drawn.files("one", "train", "predictions"))
    splits = drawn.files("one", "split", "split", folds=True)
    assert len(splits) == len(set(splits)) == 4 + 8
    assert drawn.of("split", split="other", seed="7-fold1of2")["fold"] == [1, 2]
    assert drawn.of("train", recipe="quick", label="fitted", seed="7-fold1of2") == drawn.of(
        "train", recipe="quick", label="soft", seed=7
    )
    assert not any("/folded/" in file or ("fold0" in file and "/runs/" in file) for file in drawn.prepared())
    assert len(drawn.manifests("one")) == len(set(drawn.manifests("one")))


def test_ties_of_drawn_votes_are_broken_at_random_unless_told(drawn):
    labels = drawn.config["labels"]
    assert (labels["soft"]["ties"], labels["few"]["ties"]) == ("lowest_index", "random")
    assert drawn.of("label", label="soft", draw="all") == {
        "label": {"aggregate": {"kind": "average"}, "form": "soft", "ties": "lowest_index", "seed": 0}, "draw": "all",
    }  # fmt: skip
    assert drawn.of("label", label="few", draw="seed7")["label"]["votes"] == 3


def braced(folder, **source):
    """A plan of a table of votes whose folder, file or images have braces in their names."""
    source = {"kind": "table", "images": "i", "votes": "v.csv", **source}
    return Plan({
        "data_folder": str(folder),
        "datasets": {"d": {"source": source}},
        "recipes": {"r": {"network": "compact"}},
        "studies": {"s": {"datasets": ["d"], "recipes": ["r"]}},
    })  # fmt: skip


def test_paths_with_braces_are_watched_by_the_configuration(tmp_path):
    (tmp_path / "i").mkdir()
    for name in ("i/a.png", "i/{b}.png", "v.csv", "{v}.csv"):
        (tmp_path / name).write_bytes(b"x")
    inputs = braced(tmp_path).watched_inputs("d")
    assert inputs == {"votes": f"{tmp_path}/v.csv", "images": [f"{tmp_path}/i/a.png"]}
    assert braced(tmp_path, votes="{v}.csv").watched_inputs("d") == {"images": [f"{tmp_path}/i/a.png"]}
    assert len(braced(tmp_path).data_inputs("d")["images"]) == 2
    before = braced(tmp_path).json("data", dataset="d")
    assert before == braced(tmp_path).json("data", dataset="d")
    (tmp_path / "i" / "{b}.png").write_bytes(b"longer")
    assert before != braced(tmp_path).json("data", dataset="d")
    (tmp_path / "i" / "{b}.png").unlink()
    assert "braces" not in braced(tmp_path).json("data", dataset="d")


def test_nothing_is_fetched_into_a_folder_with_braces(tmp_path):
    assert "{x}" not in braced(tmp_path / "{x}").downloads
    assert braced(tmp_path).downloads == f"{tmp_path}/{{file}}"
