"""What jobs ask for, beside what they really take; what a study costs, beside what it left."""

from __future__ import annotations

import time
from pathlib import Path

import measured_jobs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from projects import REPOSITORY, TINY

from softlabels import config, resources
from softlabels.plan import Plan

JOB = {"dataset": "d", "split": "random", "recipe": "r", "label": "soft", "seed": 0, "draw": "all", "study": "s",
       "metrics": "standard", "figure": "curves", "block": "-d-random-r"}  # fmt: skip
# Three sizes: that of `tiny`; many votes of known people; large images in large batches.
SIZES = {
    "tiny": ({"items": 300, "pixels": 32}, {"epochs": 2, "batch": 32}),
    "votes": ({"items": 4000, "pixels": 24, "votes": 20, "annotators": 50}, {"epochs": 3, "batch": 128}),
    "images": ({"items": 1200, "pixels": 96}, {"epochs": 1, "batch": 256}),
}


def plan(source=None, recipe=None, root="results", **changes):
    """A study of one data set, one recipe and one label."""
    source = {"kind": "synthetic", "items": 300, "pixels": 32, **(source or {})}
    raw = {
        "results": str(root),
        "datasets": {"d": {"source": source, "reference": "votes" if source.get("votes") else "exact"}},
        "recipes": {"r": {"network": "compact", "epochs": 2, "batch": 32, **(recipe or {})}},
        "studies": {"s": {"datasets": ["d"], "recipes": ["r"], "labels": ["soft"], "seeds": [0],
                          "embedding": {"perplexity": 10, "iterations": 250}}},
        **changes,
    }  # fmt: skip
    return Plan(raw)


def imported(source, name="d"):
    """A configuration with one imported data set."""
    study = {"datasets": [name], "recipes": ["r"]}
    return {"datasets": {name: {"source": source}}, "recipes": {"r": {"network": "compact"}}, "studies": {"s": study}}


def of(command, grid=None, **names):
    return resources.of(grid or plan(), command, **{**JOB, **names})


def use(command, grid=None, **names):
    return resources.expected(grid or plan(), command, **{**JOB, **names})


@pytest.fixture(scope="module", params=SIZES)
def measured(request, tmp_path_factory):
    """The size's name, its plan, and what its jobs took."""
    root = tmp_path_factory.mktemp("measured")
    source, recipe = SIZES[request.param]
    grid = plan(source, recipe, root / "results")
    return request.param, grid, measured_jobs.run(grid, "s", root)


@pytest.mark.slow
def test_no_job_takes_more_than_it_asks_for_and_tiny_jobs_half_of_it_at_least(measured):
    size, grid, costs = measured
    assert set(costs) == set(resources.IDLE)
    for command, names in grid.jobs("s"):
        asked, expected = resources.of(grid, command, **names), resources.expected(grid, command, **names)
        took = max(costs[command])
        said = f"{command} of {size}: {took}, expected {expected}, asks for {asked}"
        assert took.mb + resources.ABOVE <= asked["mem_mb"], said
        assert took.mb <= expected.mb * resources.MEMORY_MARGIN, said
        # Without the least number of minutes, which would let anything pass.
        assert max(cost.seconds for cost in costs[command]) <= expected.seconds * expected.margin, said
        if size == "tiny":
            assert asked["mem_mb"] <= 2 * (took.mb + resources.ABOVE), said
            assert command != "train" or asked["mem_mb"] <= 2 * took.mb, said
            assert asked["minutes"] == resources.LEAST_MINUTES


@pytest.mark.slow
def test_a_study_costs_about_what_is_said_before(measured):
    size, grid, costs = measured
    said = resources.cost(grid, "s")
    hours = sum(cost.seconds for of_command in costs.values() for cost in of_command) / 3600
    written = sum(path.stat().st_size for path in Path(grid.root).rglob("*") if path.is_file()) / resources.MB
    assert said["runs"] == 1 and said["gpu_hours"] == 0
    assert hours / 2.5 <= said["cpu_hours"] <= 2.5 * hours, size
    assert written / 1.5 <= said["disk_mb"] <= 1.5 * written, size


def test_what_is_said_of_each_network_is_what_it_is():
    import torch

    from softlabels.networks import base

    for name, pixels in (("compact", 32), ("densenet121", 64), ("resnetv2_50", 64), ("efficientnet_lite0", 64)):
        about = config.registry.entry("network", name)
        module, body = base.build({"kind": name}, 2, 0)
        counts, kept, weights = [], {}, {p.untyped_storage().data_ptr() for p in module.parameters()}

        def count(layer, _, out, counts=counts):
            counts.append(out[0].numel() * layer.weight[0].numel())

        for layer in module.body.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.register_forward_hook(count)

        def keep(tensor, kept=kept, weights=weights):
            if (storage := tensor.untyped_storage()).data_ptr() not in weights:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = module.features(torch.rand(2, 3, pixels, pixels)).sum()
        assert loss.isfinite()
        state = sum(tensor.numel() for tensor in module.body.state_dict().values())
        found = {"parameters": state, "features": body.width, "multiplications": sum(counts) / pixels**2,
                 "activations": sum(kept.values()) / 4 / 2 / pixels**2}  # fmt: skip
        for fact, value in found.items():
            assert about[fact] == pytest.approx(value, rel=0.1), (name, fact)


@pytest.mark.parametrize(("command", "resource", "more"), [
    ("data", "mem_mb", {"source": {"items": 100_000, "votes": 50, "annotators": 100}}),
    ("data", "minutes", {"source": {"items": 1_000_000, "pixels": 224}}),
    ("label", "mem_mb", {"source": {"items": 1_000_000, "votes": 3}}),
    ("label", "minutes", {"source": {"items": 10_000_000, "votes": 100}}),
    ("train", "mem_mb", {"source": {"items": 100_000}}),
    ("train", "mem_mb", {"source": {"pixels": 224}}),
    ("train", "mem_mb", {"recipe": {"network": "densenet121"}}),
    ("train", "mem_mb", {"recipe": {"batch": 180}, "source": {"pixels": 64}}),
    ("train", "mem_mb", {"recipe": {"device": "cuda"}}),
    ("train", "minutes", {"recipe": {"epochs": 10_000}}),
    ("train", "minutes", {"recipe": {"network": "resnetv2_50", "epochs": 60}}),
    ("evaluate", "mem_mb", {"source": {"items": 15_000}}),
    ("embed", "mem_mb", {"source": {"items": 15_000}}),
    ("embed", "minutes", {"source": {"items": 150_000}, "recipe": {"network": "densenet121"}}),
    ("study", "mem_mb", {"source": {"items": 300_000}}),
])  # fmt: skip
def test_what_a_job_asks_for_grows_with_what_it_has_to_do(command, resource, more):
    assert of(command, plan(**more))[resource] > of(command)[resource]


def test_a_study_asks_for_what_its_largest_point_needs_and_for_all_of_its_runs():
    study = {"datasets": ["d"], "recipes": ["r"], "seeds": [0], "figures": []}
    one, many = (
        use("study", plan(studies={"s": study | {"vary": {"source.items": items}}}))
        for items in ([60_000], [300, 600, 60_000])
    )
    assert many.mb >= one.mb > 1.5 * use("study").mb
    assert many.seconds > one.seconds and many.disk > one.disk


def test_a_label_whose_votes_are_drawn_holds_all_of_them():
    source = {"kind": "synthetic", "items": 60_000, "pixels": 32, "votes": 50}
    three = {"aggregate": "average", "form": "soft", "votes": 3}
    grid = plan(datasets={"d": {"source": source, "reference": "votes"}},
                labels={"three": three, "soft": {**three, "votes": "all"}},
                studies={"s": {"datasets": ["d"], "recipes": ["r"], "labels": ["soft", "three"]}})  # fmt: skip
    # 344 MB were measured for three of 3 million votes, 190 MB for all of them.
    assert use("label", grid, label="three").mb > 344 > use("label", grid).mb > 190


def test_an_estimated_label_asks_for_what_it_says_of_itself_and_an_ensemble_for_the_most_of_its_parts():
    source = {"kind": "synthetic", "items": 400_000, "pixels": 8, "votes": 10, "annotators": 3000, "classes": "colour"}
    kinds = {"soft": "average", "ds": "dawid_skene", "glad": "glad",
             "mean": {"kind": "ensemble_mean", "of": ["average", "dawid_skene", "mace"]}}  # fmt: skip
    grid = plan(datasets={"d": {"source": source, "reference": "votes"}},
                labels={name: {"aggregate": kind, "form": "soft"} for name, kind in kinds.items()},
                studies={"s": {"datasets": ["d"], "recipes": ["r"], "labels": list(kinds)}})  # fmt: skip
    soft, ds, glad, mean = (use("label", grid, label=name) for name in kinds)
    # 1,147 MB were measured for 4 million votes for 3 classes; nobody knows the classes before the data are made.
    assert soft.mb < 1147 < ds.mb < mean.mb < glad.mb
    assert soft.seconds < ds.seconds < mean.seconds < glad.seconds


def test_more_threads_and_a_gpu_shorten_a_training():
    long = {"recipe": {"epochs": 200}, "source": {"items": 15_000}}
    one = use("train", plan(**long)).seconds
    long["recipe"]["threads"] = 4
    assert use("train", plan(**long)).seconds < one / 2
    long["recipe"] |= {"threads": 1, "device": "cuda"}
    assert use("train", plan(**long)).seconds < one


def test_own_networks_sources_and_labels_may_say_what_they_are_and_are_given_much_if_not(tmp_path):
    facts = '"parameters": 1000, "features": 8, "multiplications": 10, "activations": 5, '
    for name, more in (("silent", ""), ("telling", facts)):
        (tmp_path / f"{name}.py").write_text(
            f'ENTRY = {{"kind": "network", "about": "", "options": {{}}, {more}}}\n\n\ndef body(o, w, f):\n    ...\n'
        )
    silent, telling = (
        of("train", plan(recipe={"network": f"{name}:body"}, modules=str(tmp_path))) for name in ("silent", "telling")
    )
    assert silent["mem_mb"] > of("train", plan(recipe={"network": "resnetv2_50"}))["mem_mb"]
    assert telling == of("train")  # of the smallest network of ours, and as little
    telling_file = (tmp_path / "telling.py").read_text()
    (tmp_path / "wrong.py").write_text(telling_file.replace("1000", '"many"'))
    with pytest.raises(config.UserError, match=r"ENTRY\['parameters'\] 'many', expected int"):
        plan(recipe={"network": "wrong:body"}, modules=str(tmp_path))


def test_sizes_of_imported_data_come_from_the_files_that_are_there(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(7):
        Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(folder / f"{index}.png")
    pq.write_table(pa.table({"item": ["0.png"] * 5000, "label": ["a"] * 5000}), tmp_path / "votes.parquet")
    source = {"kind": "table", "images": "images", "votes": "votes.parquet"}
    raw = {**imported(source), "results": str(tmp_path / "results"), "data_folder": str(tmp_path)}
    found = resources.size(Plan(raw), "d")
    assert (found.items, found.area, found.votes) == (7, 1200, 5000)
    source["pixels"] = 16
    assert resources.size(Plan(raw), "d").area == 256


def test_a_data_set_that_is_not_there_yet_is_taken_to_be_large(tmp_path):
    raw = {**imported({"kind": "dcic", "archive": "own.zip"}), "data_folder": str(tmp_path)}
    found = resources.size(Plan(raw), "d")
    assert (found.items, found.area) == (resources.UNKNOWN_ITEMS, resources.UNKNOWN_SIDE**2)
    with (tmp_path / "own.zip").open("wb") as file:
        file.truncate(3 * resources.MB)
    assert resources.size(Plan(raw), "d").items == 100


def test_a_finished_data_set_says_itself_how_large_it_is(small):
    raw = {**imported({"kind": "dcic", "archive": "own.zip"}, "shapes"), "results": str(small), "data_folder": "/none"}
    found = resources.size(Plan(raw), "shapes")
    assert (found.items, found.area, found.classes) == (120, 144, 6)


def test_a_grid_of_ten_thousand_runs_is_asked_for_quickly():
    recipes = {f"r{k}": {"network": "compact", "epochs": k + 1} for k in range(50)}
    study = {"datasets": ["d"], "recipes": list(recipes), "seeds": list(range(100))}
    grid = plan(recipes=recipes, studies={"s": study})
    begun = time.process_time()
    said = resources.cost(grid, "s")
    assert said["runs"] == 10_000
    # Snakemake plans such a grid in about a minute.
    assert time.process_time() - begun < 3


def test_every_configuration_that_comes_with_the_project_has_a_cost():
    for path in sorted((REPOSITORY / "config").glob("*.yaml")):
        grid = Plan(config.read(path))
        for study in grid.config["studies"]:
            said = resources.cost(grid, study)
            assert min(said["cpu_hours"], said["disk_mb"]) > 0, path  # ``runs`` are trainings: some fit heads alone
    tiny = resources.cost(Plan(config.read(REPOSITORY / TINY)), "tiny")
    assert tiny["runs"] == 4 and tiny["cpu_hours"] < 0.03


def test_a_compiled_training_asks_for_the_compiler_too():
    plain, compiled = use("train"), use("train", plan(recipe={"compile": True}))
    assert compiled.mb == plain.mb + resources.COMPILER
    assert compiled.seconds == plain.seconds + resources.COMPILING
