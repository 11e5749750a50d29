"""One number of a table, followed back to its votes and images."""

import json
import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import finished_run
import pyarrow.parquet as pq
import pytest
from finished_run import edit_json, edit_table
from import_graph import with_numpy_and_pyarrow

from softlabels import cli, io
from softlabels.errors import UserError
from softlabels.plan import Plan
from softlabels.provenance import explain as module
from softlabels.provenance.evidence import Results
from softlabels.provenance.explain import explain, find, graph, render, title
from softlabels.studies import study as writes
from softlabels.studies.ledger_view import Ledger, key_of

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"


@pytest.fixture
def cells(small):
    return io.read_table(small / "studies/small/cells.parquet")[0]


RUN = "runs/shapes/random/quick/soft/seed0"


def study(small):
    return str(small / "studies/small")


def nodes(tree):
    yield tree
    for below in tree["below"]:
        yield from nodes(below)


def picked(cells, *question):
    """Words that pick the cell that a question picks."""
    rows = cells.to_pylist()
    return title(find(rows, *question, Ledger(cells).heading), rows)


def missing(explained):
    return [node["facts"]["missing"] for node in nodes(explained["tree"]) if "missing" in node["facts"]]


# -- the chain -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def explained(small):
    """Rows of the ledger and what is told of them: means (the others have the same chain) of all sorts."""
    cells = io.read_table(small / "studies/small/cells.parquet")[0]
    rows = cells.to_pylist()
    means = [row for row in reversed(rows) if row["statistic"] == "mean"]
    chosen = {(row["kind"], row["metric"]): row for row in means}
    chosen |= {(row["kind"], row["label"], row["versus"]): row for row in means}
    return [(row, explain(study(small), title(row, rows), "")) for row in chosen.values()]


def test_every_number_of_the_ledger_is_found_by_its_title(cells):
    rows, heading = cells.to_pylist(), Ledger(cells).heading
    kinds = {"measured", "difference", "reference", "paper", "best", "confidence"}
    assert kinds <= {row["kind"] for row in rows} | {"confidence"}  # two seeds may leave none
    for row in rows:
        assert find(rows, title(row, rows), "", heading) == row


def test_numbers_of_all_sorts_are_explained_without_a_gap(explained):
    assert len(explained) > 100
    for row, told in explained:
        assert told["cell"] == json.loads(json.dumps({**row, "value": module._number(row["value"])}))
        assert missing(told) == [], row
        runs = [node["name"] for node in nodes(told["tree"]) if node["name"].startswith("run ")]
        assert runs == [f"run {name}" for name in row["runs"]]


def test_the_values_of_the_runs_average_to_the_number(explained):
    for row, told in explained:
        facts = [node["facts"] for node in nodes(told["tree"])][1:]
        values = [float(fact["value"]) for fact in facts if "value" in fact]
        if not row["runs"] or row["kind"] == "confidence" or row["kind"].startswith("McNemar"):  # no means
            continue
        signs = [1, 1, -1, -1] if row["versus"] else [1, 1]
        mean = sum(sign * value for sign, value in zip(signs, values, strict=True)) / 2
        assert mean == pytest.approx(row["value"], rel=1e-9, abs=1e-12), row


ANSWERS = {"verdict claim_1", "gain of votes", "votes for 90% of the gain", "best point", "cost"}


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """A study with claims, budgets and a best point, whose labels gain by votes, and what ``kl`` was planted."""
    own = {"datasets": ["shapes"], "recipes": ["quick"], "seeds": [0, 1], "vary": {"label.votes": [1, 3, "all"]},
           "tables": ["main", {"kind": "budget", "metrics": ["kl"]}, {"kind": "fixed_budget", "metrics": ["kl"]}],
           "claims": [{"contrast": ["soft", "hard"], "metric": "kl", "direction": "lower"}]}  # fmt: skip
    config = {
        "datasets": {"shapes": finished_run.VOTED},
        "recipes": {"quick": finished_run.QUICK},
        "studies": {"s": own},
    }
    root = finished_run.build(tmp_path_factory.mktemp("answered") / "results", config)
    plan, planted = Plan({**config, "results": str(root)}), {}
    for command, names in plan.jobs("s", "evaluate"):
        votes = 2 if "votes_1" in names["label"] else 1.5 if "votes_3" in names["label"] else 1
        kl = votes * (1 if "soft" in names["label"] else 3) + names["seed"] / 1000
        finished_run.edit(finished_run.of(plan, command, "scores", **names)["scores"], {("all", "none", "kl"): kl})
        planted[f"run shapes/random/quick/{names['label']}/seed{names['seed']}"] = kl
    told, given = plan.of("study", study="s"), finished_run.inputs_of(plan)
    writes.run(told, given, finished_run.of(plan, "study", study="s"))
    return root / "studies/s", planted


def test_answers_are_explained_by_the_runs_behind_them(answered):
    folder, planted = answered
    rows = io.read_table(folder / "cells.parquet")[0].to_pylist()
    rows = [row for row in rows if row["kind"].startswith(("verdict ", "cost", "votes for", "best point"))
            or row["kind"] in ANSWERS]  # fmt: skip
    assert {row["kind"] for row in rows} >= ANSWERS
    for row in rows:
        told = explain(str(folder), title(row, rows), "")
        runs = {node["name"]: node["facts"] for node in nodes(told["tree"]) if node["name"].startswith("run ")}
        assert [*runs] == [f"run {name}" for name in row["runs"]] and told["cell"]["kind"] == row["kind"]
        if row["metric"] == "kl" and not row["kind"].startswith("cost"):
            assert {name: float(facts["value"]) for name, facts in runs.items()} == {k: planted[k] for k in runs}
        assert row["printed"] in render(told) or row["printed"].lstrip("+") in render(told)


def test_the_chain_of_a_run_leads_to_its_votes_and_images(small):
    explained = explain(study(small), "soft", "kl seed1")
    found = {node["name"]: node["facts"] for node in reversed(list(nodes(explained["tree"])))}
    run = "runs/shapes/random/quick/soft/seed1"
    files = {
        "evaluation": f"{run}/scores/standard.parquet",
        "predictions": f"{run}/predictions.parquet",
        "checkpoint": f"{run}/model.safetensors",
        "labels": "labels/shapes/soft/all.parquet",
        "annotations": "data/shapes/annotations.parquet",
        "reference": "data/shapes/reference.parquet",
        "images": "data/shapes/images.npy",
        "split": "splits/shapes/random/seed1.parquet",
    }
    for name, path in files.items():
        assert (found[name]["file"], found[name]["sha256"]) == (path, io.sha256(small / path)), name
    assert not any("seed0" in json.dumps(facts) for facts in found.values())
    assert found["predictions"]["configuration"] == (
        "batch 32 (default 128), epochs 1 (default 60), network compact; the rest as by default"
    )
    assert found["predictions"]["resumes"] == "none, trained in one go"
    assert found["predictions"]["made by"].startswith("softlabels train, 20")
    manifest = json.loads((small / run / "model.manifest.json").read_text())
    assert manifest["environment"]["packages"]["torch"] in found["predictions"]["torch"]
    assert manifest["machine"]["host"] in found["predictions"]["where"]
    assert manifest["facts"]["initial_sha256"] == found["predictions"]["initial weights"]


def test_the_metric_is_named_with_the_hash_of_its_code(small):
    explained = explain(study(small), "soft", "kl")
    code = next(node["facts"]["code"] for node in nodes(explained["tree"]) if node["name"] == "metric kl")
    assert code.startswith("workflow/softlabels/evaluation/metrics/kl.py@") or "/blob/" in code
    assert code.endswith(f"hash {explained['cell']['metric_code']}")


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("git@example.org:group/softlabels.git", "https://example.org/group/softlabels"),
        ("https://user:secret@example.org/group/softlabels.git", "https://example.org/group/softlabels"),
        ("ssh://git@example.org:22/group/softlabels", "https://example.org/group/softlabels"),
        ("/srv/git/softlabels.git", None),
        ("../softlabels", None),
        ("", None),
    ],
)
def test_the_link_to_the_code_is_made_from_the_remote_without_secrets(monkeypatch, address, url):
    answer = subprocess.CompletedProcess([], 0, f"{address}\n")
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: answer)
    assert module._remote() == url


def test_with_a_remote_code_is_linked_at_its_commit(monkeypatch, small):
    monkeypatch.setattr(module, "_remote", lambda: "https://example.org/softlabels")
    commit = io.read_json(small / RUN / "model.manifest.json")["code"]["commit"]
    text = render(explain(study(small), "soft", "kl seed0"))
    assert not commit or f"https://example.org/softlabels/blob/{commit}/workflow/softlabels/training" in text


def test_a_file_is_told_in_full_only_once(small):
    text = render(explain(study(small), "soft - hard", "kl"))
    assert text.count("made by: softlabels data") == 1
    assert text.count("made by: softlabels train") == 4


def test_the_tree_shortens_hashes_and_json_does_not(small):
    explained = explain(study(small), "soft", "kl")
    assert not re.search(r"(?<!blob/)\b(?:[0-9a-f]{40}|[0-9a-f]{64})\b", render(explained))
    assert io.sha256(small / "data/shapes/images.npy") in json.dumps(explained)


# -- the graph of all cells ----------------------------------------------------------------------------------------


def gaps(shared):
    """All that a graph tells as missing."""
    return [of["facts"]["missing"] for of in (*shared["nodes"].values(), *shared["cells"]) if "missing" in of["facts"]]


def reached(shared, *starts):
    """Ids of nodes and of all below them."""
    found, ahead = set(), [start for start in starts if start is not None]
    while ahead:
        if (number := ahead.pop()) not in found:
            found.add(number)
            ahead += shared["nodes"][number]["below"]
    return found


def behind(shared, cell):
    """All that a cell comes from."""
    return reached(shared, shared["tables"], cell["metric"], *(run for run, _, _ in cell["runs"]))


@pytest.fixture(scope="module")
def shared(small):
    """The graph of the small study; no test may change it."""
    return graph(Results(small), "small")


def test_every_aggregate_is_a_cell_and_every_node_is_behind_one(small, shared, cells):
    keys = list(dict.fromkeys(tuple(row[name] for name in key_of(cells)) for row in cells.to_pylist()))
    assert [tuple(cell["key"]) for cell in shared["cells"]] == keys == list(Ledger(cells).aggregates)
    assert set().union(*(behind(shared, cell) for cell in shared["cells"])) == shared["nodes"].keys()
    for number, node in shared["nodes"].items():
        assert all(int(below) < int(number) for below in node["below"]), "a node comes after those below it"
    assert json.loads(json.dumps(shared, allow_nan=False)) == shared
    assert graph(Results(small), "small") == shared, "the same results give the same ids"
    assert gaps(shared) == []


def test_each_file_and_each_job_is_one_node(small, shared):
    told = [node["facts"] for node in shared["nodes"].values()]
    files = Counter(facts["file"] for facts in told if "file" in facts)
    jobs = Counter(facts["manifest"] for facts in told if "manifest" in facts)
    assert {*files.values(), *jobs.values()} == {1}
    chain = {entry["path"] for entry in io.read_json(small / "studies/small/chain.json")["manifests"]}
    assert jobs.keys() <= chain and sum(path.endswith("model.manifest.json") for path in jobs) == 4
    assert {
        f"runs/shapes/random/quick/{label}/seed{k}/model.safetensors" for label in ("hard", "soft") for k in (0, 1)
    } < {*files}


def test_a_tree_tells_what_its_cell_leads_to_in_the_graph(shared, explained):
    by_title = {cell["title"]: cell for cell in shared["cells"]}
    for row, told in explained:
        top, *below = nodes(told["tree"])
        name, _, printed = top["name"].rpartition(" = ")
        cell = by_title[name]
        assert (cell["facts"], printed) == (top["facts"], row["printed"])
        runs = [node["facts"] for node in below if node["name"].startswith("run ")]
        names = [f"run {name}" for name in row["runs"]]
        assert [shared["nodes"][run]["name"] for run, _, _ in cell["runs"]] == names
        assert [(side, value) for _, side, value in cell["runs"]] == [
            (run.get("side"), run.get("value")) for run in runs
        ]
        words = [{*node["facts"].items()} for node in below if not node["name"].startswith("run ")]
        of_graph = [{*shared["nodes"][number]["facts"].items()} for number in behind(shared, cell)]
        assert {pair for of in words for pair in of if pair[0] != "see"} == set().union(*of_graph), name


def test_more_cells_take_neither_more_nodes_nor_more_reading(broken, shared, reads):
    def change(rows):
        return rows + [{**row, "recipe": f"r{k}"} for k in range(20) for row in rows]

    edit_table(broken / "studies/small/cells.parquet", change)
    read, hashed = reads
    many = graph(Results(broken), "small")
    assert len(many["cells"]) > 10 * len(shared["cells"]) and many["nodes"].keys() == shared["nodes"].keys()
    assert {*read.values(), *hashed.values()} == {1} and len(read) > 4


def test_names_are_plain_text_and_json_has_no_infinity(broken):
    name = '</script><b a="\'">\u2028\x00'

    def change(rows):
        for row in rows:
            row.update(label=name if row["label"] == "hard" else row["label"], value=math.nan)

    edit_table(broken / "studies/small/cells.parquet", change)
    finished_run.edit(broken / RUN / "scores/standard.parquet", {("all", "none", "kl"): math.inf})
    manifest = broken / RUN / "model.manifest.json"  # which no writer of ours would write so
    manifest.write_text(manifest.read_text().replace('"facts": {', '"facts": {"read": NaN,', 1))
    found = graph(Results(broken), "small")
    text = json.dumps(found, allow_nan=False)
    by_key = {tuple(cell["key"][-4:]): cell for cell in json.loads(text)["cells"]}
    assert by_key[name, "kl", "measured", None]["title"] == f"{name} kl mean"
    assert by_key["soft", "kl", "measured", None]["runs"][0][1:] == [None, "inf"]
    assert {cell["facts"]["value"] for cell in found["cells"]} == {"nan"}
    assert "nan" in [node["facts"].get("read") for node in found["nodes"].values()]


def test_a_number_that_a_file_of_scores_lacks_is_missing_in_its_cell(broken):
    file = broken / RUN / "scores/standard.parquet"
    edit_table(file, lambda rows: [row for row in rows if (row["metric"], row["part"]) != ("kl", "test")])
    by_key = {tuple(cell["key"][-4:]): cell for cell in graph(Results(broken), "small")["cells"]}
    cell, other = (by_key["soft", metric, "measured", None] for metric in ("kl", "tvd"))
    assert "found no kl" in cell["facts"]["missing"] and "missing" not in other["facts"]
    assert [value is None for _, _, value in cell["runs"]] == [True, False]


# -- which cell ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        ("soft", "kl", "soft kl mean"),
        ("kl", "soft", "soft kl mean"),
        ("shapes random quick hard", "macro_acc", "hard macro_acc mean"),
        ("shapes", "hard: ACC ↑", "hard macro_acc mean"),
        ("hard", "ACC", "hard macro_acc mean"),
        ("hard", "acc", "hard acc mean"),
        ("hard", "plain ACC", "hard acc mean"),
        ("HARD", "Macro_Acc STD", "hard macro_acc std"),
        ("soft", "KL_ε", "soft kl_dcic mean"),
        ("soft", "KL_eps", "soft kl_dcic mean"),
        ("soft − hard", "KL ↓", "soft - hard kl mean"),
        ("soft vs hard", "kl 95% interval low", "soft - hard kl low"),
        ("soft-hard kl", "high", "soft - hard kl high"),
        ("uniform", "kl", "reference uniform kl mean"),
        ("one_hot †", "KL", "reference one_hot kl mean"),
        ("hard + temperature", "temperature", "reference hard + temperature temperature mean"),
        ("best_smoothing", "alpha", "reference best_smoothing detail.alpha mean"),
        ("bc", "soft: recall", "soft recall.bc mean"),
        ("soft", "silhouette ↑", "soft structure.silhouette mean"),
        ("paper hard", "ACC", "paper hard macro_acc mean"),
        ("kind=paper", "printed=0.8247", "paper hard macro_acc mean"),
        ('label="hard + temperature"', "metric=kl std", "reference hard + temperature kl std"),
    ],
)
def test_a_cell_is_found_by_what_people_call_it(cells, row, column, expected):
    assert picked(cells, row, column) == expected


def test_a_class_called_like_a_label_is_told_from_it(cells):
    names = {"recall.bc": "recall.hard", "recall.be": "recall.polar bear 2", "recall.gc": "recall.soft"}
    metric = [names.get(name, name) for name in cells.column("metric").to_pylist()]
    cells = cells.set_column(cells.column_names.index("metric"), "metric", [metric])
    expected = {
        ("hard", "hard: recall"): "hard recall.hard mean",
        ("shapes", "soft: recall.hard"): "soft recall.hard mean",
        ("polar bear 2", "hard: recall"): "hard recall.polar bear 2 mean",
        ("shapes", "hard: KL"): "hard kl mean",
    }
    assert {question: picked(cells, *question) for question in expected} == expected
    with pytest.raises(UserError, match=r"(?s)hard recall\.soft mean .* soft recall\.hard mean"):
        picked(cells, "hard", "soft: recall")


def test_an_ambiguous_cell_lists_the_choices(small):
    with pytest.raises(UserError, match="could be 2 numbers") as error:
        explain(study(small), "shapes", "kl")
    assert re.search(r"\n  hard kl mean  \(\d.*\n  soft kl mean  \(\d", str(error.value))


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        ("sotf", "kl", "'sotf' names no part.*Did you mean soft"),
        ("soft", "macro_ac", "Did you mean macro_acc"),
        ("soft", "xyzzy", "There are: .*acc, .*, soft"),
        ("hard - uniform", "kl", "'hard-uniform' names no part"),
        ("soft", "metrik=kl", "the ledger has no column metrik. Did you mean metric"),
        ("soft", "metric=kll", "no number is this. Did you mean kl"),
        ("uniform", "recall.bc", "no number is all of this. The nearest:\n  "),
        ("uniform", "kl seed7", "seed7: no run of this number has it; it has seed0, seed1"),
        ("paper hard", "ACC seed0", "it has none"),
    ],
)
def test_an_unknown_word_names_the_nearest(small, row, column, message):
    with pytest.raises(UserError, match=message):
        explain(study(small), row, column)


def test_a_study_is_found_by_table_folder_and_name(broken, monkeypatch):
    monkeypatch.chdir(broken.parent)
    for folder in ("logs", "benchmarks"):  # of the jobs of the study: no studies
        (broken / folder / "studies" / "small").mkdir(parents=True, exist_ok=True)
    tables = [
        "small",
        "results/studies/small",
        *(f"results/studies/small/table.{kind}" for kind in ("csv", "md", "tex")),
    ]
    trees = [explain(table, "soft", "kl")["tree"] for table in tables]
    assert all(tree == trees[0] for tree in trees)


def test_an_unknown_study_names_those_there_are(small, monkeypatch):
    monkeypatch.chdir(small.parent)
    with pytest.raises(UserError, match="Did you mean small"):
        explain("smal", "soft", "kl")
    with pytest.raises(UserError, match="found no study there"):
        explain("results/data", "soft", "kl")


# -- what is broken ------------------------------------------------------------------------------------------------

UNMADE = "the manifest of the job that wrote"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (f"{RUN}/scores/standard.parquet", "scores/standard.parquet"),
        (f"{RUN}/scores/standard.manifest.json", UNMADE),
        (f"{RUN}/model.safetensors", "no such file"),
        ("data/shapes/images.npy", "no such file"),
        ("data/shapes/images.manifest.json", UNMADE),
        ("studies/small/config.manifest.json", "no such manifest"),
        ("studies/small/chain.json", "chain.json"),
    ],
)
def test_what_is_deleted_or_truncated_is_told_as_missing(broken, path, told):
    file = broken / path
    content = file.read_bytes()
    file.unlink()
    assert any(told in text for text in missing(explain(study(broken), "soft", "kl")))
    assert any(told in text for text in gaps(graph(Results(broken), "small")))
    file.write_bytes(content[: len(content) // 2])
    assert gaps(graph(Results(broken), "small"))
    assert missing(explain(study(broken), "soft", "kl"))
    assert "missing: " in render(explain(study(broken), "soft", "kl"))


def test_a_changed_file_and_a_changed_manifest_are_told(broken):
    labels = broken / "labels/shapes/soft/all.parquet"
    content = bytearray(labels.read_bytes())
    content[100] ^= 1
    labels.write_bytes(content)
    assert missing(explain(study(broken), "soft", "kl")) == [
        "labels/shapes/soft/all.parquet is not the file that was used: its content has changed"
    ]
    labels.write_bytes(bytes(content[:100]) + bytes([content[100] ^ 1]) + bytes(content[101:]))
    manifest = broken / RUN / "model.manifest.json"
    manifest.write_text(manifest.read_text().replace('"batch": 32', '"batch": 64'))
    assert missing(explain(study(broken), "soft", "kl")) == [
        f"the {RUN}/model.manifest.json that studies/small/chain.json lists: it has changed"
    ]


@pytest.mark.parametrize(
    ("path", "change", "told"),
    [
        (
            "labels/shapes/soft/all",
            lambda m: m.update(inputs={"reference": m["outputs"]["labels"]}),
            "made from itself",
        ),
        (f"{RUN}/model", lambda m: m["inputs"]["images"].update(path="../secret"), "leaves the results folder"),
    ],
)
def test_a_file_made_from_itself_and_a_path_out_of_the_folder_end_the_chain(broken, path, change, told):
    edit_json(broken / f"{path}.manifest.json", change)
    assert any(told in text for text in missing(explain(study(broken), "soft", "kl")))
    found = graph(Results(broken), "small")
    assert any(told in text for text in gaps(found))
    assert all(int(below) < int(number) for number, node in found["nodes"].items() for below in node["below"])


def test_it_says_where_a_training_ran_and_was_resumed(broken):
    place = {"gpu": "A100", "uuid": "GPU-1", "slot": 2, "slots": 3}
    attempts = [{"position": [1, 0], "host": "node1", "job": "11"}, {"position": [3, 2], "host": "node7", "job": "12"}]
    edit_json(
        broken / RUN / "model.manifest.json", lambda manifest: manifest["facts"].update(attempts=attempts, place=place)
    )
    told = [node["facts"] for node in nodes(explain(study(broken), "soft", "kl")["tree"])]
    assert "from epoch 3, step 2 on node7 (SLURM job 12)" in [facts.get("resumes") for facts in told]
    assert any("GPU-1 (place 2 of 3)" in facts.get("where", "") for facts in told)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(machine={"slurm": 3}),
        lambda m: m.update(started="yesterday"),
        lambda m: m["environment"].update(pins={"file": 1}),
        lambda m: m["facts"].update(attempts=7),
        lambda m: m["code"].update(entries={"softlabels.evaluation.metrics.kl:metric": 5}),
        lambda m: m["code"].update(definitions=5),
        lambda m: m["config"].update(recipe={"augment": 3}),
        lambda m: m.update(schema_version=99),
        lambda m: m.pop("code"),
    ],
)
def test_nonsense_in_a_manifest_is_no_traceback(broken, change):
    for name in ("model", "scores/standard"):
        edit_json(broken / RUN / f"{name}.manifest.json", change)
    assert missing(explain(study(broken), "soft", "kl"))
    assert gaps(graph(Results(broken), "small"))


def test_a_ledger_without_a_column_is_refused(broken):
    path = broken / "studies/small/cells.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns("files"), path)
    with pytest.raises(UserError, match=r"cells\.parquet.*files"):
        explain(study(broken), "soft", "kl")
    path.write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"cells\.parquet"):
        explain(study(broken), "soft", "kl")
    path.unlink()
    with pytest.raises(UserError, match=r"cells\.parquet: found no such file"):
        explain(study(broken), "soft", "kl")


# -- the command line ----------------------------------------------------------------------------------------------


def test_the_command_prints_a_tree_or_json(small, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["softlabels", "explain", study(small), "soft", "kl"])
    cli.main()
    assert capsys.readouterr().out == render(explain(study(small), "soft", "kl"))
    monkeypatch.setattr(sys, "argv", ["softlabels", "explain", study(small), "one_hot", "kl", "--json"])
    cli.main()
    explained = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert explained == explain(study(small), "one_hot", "kl")
    assert explained["cell"]["value"] == "inf"


def test_a_reader_that_stops_early_is_no_error(small):
    command = [sys.executable, "-m", "softlabels", "explain", study(small), "soft", "kl", "--json"]
    process = subprocess.Popen(command, cwd=WORKFLOW, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == (b"", 0)


def test_numpy_and_pyarrow_are_all_that_it_needs(small, tmp_path):
    words = ["softlabels", "explain", study(small), "soft", "kl"]
    printed = with_numpy_and_pyarrow(f"sys.argv = {words}\nfrom softlabels.cli import main\nmain()\n", tmp_path)
    assert "configuration: batch 32 (default 128)" in printed
