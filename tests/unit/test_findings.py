"""README's answer and docs/findings.md: every number comes out again, and the means to say so are right themselves."""

import json
import re
import shutil

import finished_run
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.stats
from findings import archive, claims, measures, recompute, texts
from findings.archive import Unavailable, Wrong
from findings.study import Number, Study, percent
from findings.texts import Claim, Table, Text

from softlabels import contracts, io
from softlabels.evaluation import intervals, saturation

MOST = 20_000_000  # bytes of all archives


def test_every_number_of_the_findings_comes_out_again():
    found, problems, skipped = recompute.recompute()
    assert not problems, "\n".join(map(str, problems))
    assert found
    without = [each for each in skipped if not any(name in each.why for name in claims.PENDING)]
    assert not [each for each in without if "--data" not in each.why], "only what no archive may hold is not checked"
    for number in found:  # and would not with another last digit
        last = int(number.printed[-1])
        for digit in {*range(10)} - {last}:
            assert not texts.agrees(number.printed[:-1] + str(digit), number.value), number
    assert archive.size() <= MOST


# -- archives ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(small, tmp_path_factory):
    """An archive of a finished study."""
    folder = tmp_path_factory.mktemp("archive")
    archive.write(archive.collect(small, "small"), folder)
    return folder


@pytest.fixture(scope="module")
def study(kept):
    return Study("small", lambda: archive.read("small", kept))


@pytest.fixture(scope="module")
def grid(kept):
    """A study of the same runs and, in place of a second training, of their logits doubled."""
    found = archive.read("small", kept)
    rows = [
        row | {"recipe.epochs": str(epochs), "test": [epochs / 10 * z for z in row["test"]]}
        for epochs in (10, 20) for row in found.runs.to_pylist()
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=archive._schema(["recipe.epochs"]))
    about = found.about | {"varied": ["recipe.epochs"]}
    return Study("grid", lambda: archive.Archive(archive._with(table, about), found.data))


@pytest.fixture
def voted(small, tmp_path):
    """The results with a reference of five votes an item, drawn from the exact one."""
    results = tmp_path / "results"
    shutil.copytree(small, results)
    path = results / "data/shapes/reference.parquet"
    reference, rng = contracts.read_reference(path), np.random.default_rng(0)
    counts = np.array([rng.multinomial(5, p) for p in reference.p])
    contracts.write_reference(path, counts / 5, np.full(len(counts), 5), reference.classes)
    return results


def test_an_archive_has_the_same_bytes_each_time(small, kept, tmp_path):
    files = archive.write(archive.collect(small, "small"), tmp_path)
    assert len(files) == 2
    for file in files:
        assert file.read_bytes() == (kept / file.relative_to(tmp_path)).read_bytes()
    archive.write(archive.collect(small, "small"), tmp_path)  # over itself
    assert files[1].read_bytes() == (kept / files[1].relative_to(tmp_path)).read_bytes()


def test_a_run_of_two_studies_is_kept_once(small, tmp_path):
    first = archive.collect(small, "small", validation=False, features=False)
    second = archive.Archive(archive._with(first.runs, first.about | {"study": "second"}), first.data)
    archive.write(first, tmp_path)
    archive.write(second, tmp_path)
    rows = pq.read_table(tmp_path / "second.parquet")
    assert rows["test"].null_count == len(rows) and set(rows["elsewhere"].to_pylist()) == {"small"}
    assert archive.read("second", tmp_path).runs["test"].to_pylist() == first.runs["test"].to_pylist()
    rounded = archive._with(first.runs, first.about | {"study": "rounded", "bits": 8})
    archive.write(archive.Archive(rounded, first.data), tmp_path)  # of another precision: keeps its own
    assert pq.read_table(tmp_path / "rounded.parquet")["test"].null_count == 0
    before = (tmp_path / "small.parquet").read_bytes()
    archive.write(first, tmp_path)  # not to be had from where its own logits are wanted
    assert (tmp_path / "small.parquet").read_bytes() == before
    (tmp_path / "small.parquet").unlink()
    archive.write(archive.Archive(first.runs.slice(1), first.data), tmp_path)
    with pytest.raises(Wrong, match=r"small\.parquet: has not the run .* Archive the study again that has it"):
        archive.read("second", tmp_path)


def test_a_label_that_is_called_like_a_predictor_is_the_label(kept, study):
    found = archive.read("small", kept)
    rows = [row | {"label": row["label"].replace("soft", "class_mean")} for row in found.runs.to_pylist()]
    runs = archive._with(pa.Table.from_pylist(rows, schema=found.runs.schema), found.about)
    renamed = Study("renamed", lambda: archive.Archive(runs, found.data))
    assert renamed.pm("class_mean", "kl") == study.pm("soft", "kl") != study.pm("class_mean", "kl")


def test_an_archive_holds_what_the_runs_wrote(small, study):
    for run in study.runs:
        folder = small / "runs/{data}/{split}/{recipe}/{label}/seed{seed}".format_map(run.row)
        predictions = contracts.read_predictions(folder / "predictions.parquet")
        for part in ("test", "val"):
            items = predictions.items(part)
            assert run.items(part).tolist() == items.tolist()
            assert np.array_equal(run.z(part), predictions.of(part, items, 6))
        assert np.array_equal(run.features, contracts.read_features(folder / "features.npy", run.items()))
        reference = contracts.read_reference(small / "data" / run.row["data"] / "reference.parquet")
        assert np.array_equal(run.data.p, reference.p)
        assert run.row["own"] == run.row["label"]
        history = pq.read_table(folder / "history.parquet")
        assert run.epochs("val_acc_reference").tolist() == history["val_acc_reference"].to_pylist()


def test_logits_may_be_rounded_by_less_than_is_printed(small, study):
    rounded = Study("rounded", lambda: archive.collect(small, "small", bits=14))
    for metric in ("kl", "tvd", "macro_acc"):
        ours, theirs = (of.pm("soft", metric) for of in (rounded, study))
        assert ours == pytest.approx(theirs, abs=5e-6)
    z, whole = rounded.runs[0].z(), study.runs[0].z()
    assert np.array_equal(z * 2**14, np.rint(z * 2**14)) and 0 < np.abs(z - whole).max() <= 2**-15


def test_a_pair_that_was_trained_outside_of_a_study_is_read_as_one(small, study, tmp_path):
    (tmp_path / "gpu").mkdir()
    for run in study.select("hard", [0]) + study.select("soft", [0]):
        folder = small / "runs/{data}/{split}/{recipe}/{label}/seed{seed}".format_map(run.row)
        for name in ("predictions", "history"):
            (tmp_path / f"gpu/{run.row['label']}-{name}.parquet").write_bytes((folder / f"{name}.parquet").read_bytes())
    items = pq.read_table(small / "data/shapes/items.parquet")
    split = pq.read_table(small / "splits/shapes/random/seed0.parquet")["split"]
    pq.write_table(items.append_column("split", split), tmp_path / "items.parquet")
    pair = Study("gpu", lambda: archive.pair(tmp_path / "gpu"))
    for metric in ("kl@clear", "kl+temperature_reference", "macro_acc@shape", "temperature_reference"):
        for label in ("hard", "soft"):
            assert pair.mean(label, metric) == study.mean(label, metric, seeds=[0])
    assert np.isnan(pair.diff("kl")[1])  # one seed: no interval


@pytest.mark.parametrize("name", ["fitted", "adopted"])
def test_predictions_of_heads_and_of_others_are_found(small, tmp_path, name):
    shutil.copytree(small, results := tmp_path / "results")
    for path in results.glob("runs/**/predictions.parquet"):
        path.rename(path.with_name(f"{name}.parquet"))
        path.with_name("history.parquet").unlink()
    found = archive.collect(results, "small").runs
    assert found["test"] == archive.collect(small, "small").runs["test"]
    assert found["history"].null_count == len(found)


def test_an_archive_says_what_made_it(small, study):
    made = study.runs[0].about["made"]
    chain = json.loads((small / "studies/small/chain.json").read_text())
    assert made["chain_sha256"] == io.sha256(small / "studies/small/chain.json")
    assert made["runs"] == len(study.runs) == 4
    assert len(chain["manifests"]) and made["machines"] and made["packages"]["torch"]


def test_logits_and_features_are_kept_only_where_asked_for(small):
    runs = archive.collect(small, "small", validation=False, features=False).runs
    lean = Study("lean", lambda: archive.collect(small, "small", validation=False, features=False))
    assert runs["val"].null_count == runs["features"].null_count == len(runs)
    with pytest.raises(Wrong, match="--validation"):
        lean.mean("hard", "kl+temperature_reference")
    with pytest.raises(Wrong, match="--features"):
        lean.mean("hard", "silhouette")


def test_a_lean_archive_keeps_the_temperature_of_own_labels(small, study):
    lean = Study("lean", lambda: archive.collect(small, "small", validation=False, features=False))
    for label in ("hard", "soft"):
        fitted_again = study.each(label, "kl+temperature")
        assert lean.each(label, "kl+temperature") == pytest.approx(fitted_again, abs=1e-6)


def test_votes_of_generated_data_are_kept_as_counts(voted, tmp_path):
    files = archive.write(archive.collect(voted, "small"), tmp_path / "kept")
    assert "votes" in pq.read_table(files[1]).column_names
    (found,) = archive.read("small", tmp_path / "kept").data.values()
    assert np.array_equal(found.p, contracts.read_reference(voted / "data/shapes/reference.parquet").p)
    study = Study("small", lambda: archive.read("small", tmp_path / "kept"))
    assert study.runs[0].row["own"] is None  # labels of the exact distributions do not follow from votes
    with pytest.raises(Wrong, match="does not follow from the reference"):
        study.mean("hard", "kl+temperature")
    with pytest.raises(Wrong, match="only items with an exact reference"):
        study.mean("hard", "kl@clear")


def test_votes_that_are_not_ours_are_not_kept(voted, tmp_path):
    def imported(config):
        config["datasets"]["shapes"]["description"]["source"] = {"kind": "counts"}

    def read(manifest):
        manifest["inputs"]["counts"] = {"source": "a/counts.npy"}

    finished_run.edit_json(voted / "studies/small/config.json", imported)
    finished_run.edit_json(voted / "data/shapes/images.manifest.json", read)
    files = archive.write(archive.collect(voted, "small"), tmp_path / "kept")
    assert pq.read_table(files[1]).column_names == ["random/seed0", "random/seed1"]

    def kl(folders):
        study = Study("small", lambda: archive.read("small", tmp_path / "kept", folders))
        return study.mean("soft", "kl")[0]

    with pytest.raises(Unavailable, match="--data shapes=FOLDER"):
        kl({})
    with pytest.raises(Wrong, match=r"counts\.npy: expected the votes"):
        kl({"shapes": tmp_path})
    counts = contracts.read_reference(voted / "data/shapes/reference.parquet").counts
    np.save(tmp_path / "counts.npy", counts)
    assert 0 < kl({"shapes": tmp_path}) < 5
    counts[0] = np.roll(counts[0], 1)
    np.save(tmp_path / "counts.npy", counts)
    with pytest.raises(Wrong, match="SHA-256"):
        kl({"shapes": tmp_path})


def test_another_data_set_of_the_same_name_is_not_mixed_in(small, voted, tmp_path):
    archive.write(archive.collect(small, "small"), tmp_path / "kept")
    with pytest.raises(Wrong, match="another data set of this name"):
        archive.write(archive.collect(voted, "small"), tmp_path / "kept")


def test_a_study_that_is_not_there_is_named_with_those_that_are(kept):
    with pytest.raises(Wrong, match=r"no archive of the study other \(there are: small\)"):
        archive.read("other", kept)


# -- measures, against the package -------------------------------------------------------------------------------------

METRICS = [*measures.METRICS, "kl@clear", "macro_acc@ambiguous", "tvd@closest", "macro_acc@colour", "kl@shape"]
SCALED = ["temperature", "temperature_reference"]


def test_each_value_of_an_item_is_the_one_that_was_evaluated(small, study):
    for run in study.runs:
        folder = small / "runs/{data}/{split}/{recipe}/{label}/seed{seed}".format_map(run.row)
        terms = contracts.read_terms(folder / "scores/standard.terms.parquet").values
        names = [name for name in METRICS if name in terms]
        assert {*measures.METRICS} <= {*names}
        for name in names:
            there = ~np.isnan(terms[name])
            np.testing.assert_allclose(run.values(name)[1], terms[name][there], rtol=0, atol=1e-12, err_msg=name)
        for scaling in SCALED:  # two searches for one temperature
            there = terms[f"kl+{scaling}"]
            np.testing.assert_allclose(run.values(f"kl+{scaling}")[1], there, rtol=1e-4, atol=1e-4)


def test_each_number_is_the_one_in_the_ledger(small, study):
    cells = pq.read_table(small / "studies/small/cells.parquet").to_pylist()
    ledger = {
        (row["label"], row["metric"], row["kind"], row["statistic"]): row["value"] for row in cells if row["statistic"]
    }
    compared = 0
    for metric in METRICS:
        for label in ("hard", "soft"):
            if (label, metric, "measured", "mean") in ledger:
                mean, std = study.pm(label, metric)
                assert mean == pytest.approx(ledger[label, metric, "measured", "mean"], abs=1e-12)
                assert std == pytest.approx(ledger[label, metric, "measured", "std"], abs=1e-12)
                compared += 1
        if ("soft", metric, "difference", "low") in ledger:
            found = study.diff(metric)
            wanted = [ledger["soft", metric, "difference", end] for end in ("mean", "low", "high")]
            assert found == pytest.approx(wanted, abs=1e-12)
            compared += 1
    for label in ("uniform", "prior", "class_mean"):
        assert study.mean(label, "kl")[0] == pytest.approx(ledger[label, "kl", "reference", "mean"])
        compared += 1
    for name in ("silhouette", "colour_r2_knn", "shape_r2_knn"):
        wanted = ledger["hard", f"structure.{name}", "measured", "mean"]
        assert study.mean("hard", name)[0] == pytest.approx(wanted, abs=1e-6)
        compared += 1
    assert compared > 30


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("groups", [10_000, 40])
def test_intervals_are_those_of_the_package(seeds, groups):
    rng = np.random.default_rng(seeds + groups)
    effect, group = rng.normal(0.3, 1, 500), rng.integers(0, groups, 500)
    items = [np.sort(rng.choice(500, 120, replace=False)) for _ in range(seeds)]
    raw = [(group[chosen], effect[chosen] + rng.normal(0, 1) + rng.normal(0, 0.5, 120) + 5) for chosen in items]
    scaled = [(cluster, 0.2 * values + rng.normal(0, 0.1, 120)) for cluster, values in raw]
    a, b = (intervals.sample([v for _, v in of], [c for c, _ in of]) for of in (raw, scaled))
    wanted, share = intervals.two_way_interval(a, 0.95), intervals.share(a, b, 0.95)
    np.testing.assert_allclose(measures.two_way(raw), np.concatenate(wanted), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(measures.share(raw, scaled), np.concatenate(share), rtol=1e-10, equal_nan=True)
    means = [values.mean() for _, values in raw]
    np.testing.assert_allclose(measures.paired_t(means), np.concatenate(intervals.paired_t(a, 0.95)), rtol=1e-12)


@pytest.mark.parametrize("lower", [False, True])
def test_votes_for_a_share_of_the_gain_are_those_of_the_package(lower):
    rng = np.random.default_rng(0)
    votes, seeds, items = [1, 3, 10, 50], 4, 300
    curve = np.array([0, 0.5, 0.4, 1]) * (-1 if lower else 1)
    values = curve[:, None, None] + rng.normal(0, 0.5, (4, seeds, items)) + rng.normal(0, 0.1, (4, seeds, 1))
    found = [[(np.arange(items), of_seed) for of_seed in of_point] for of_point in values]
    ours = measures.votes_for(0.9, votes, found, lower)
    sample = intervals.sample(list(values.transpose(1, 2, 0)), [np.arange(items)] * seeds)
    theirs = [of[0] for of in saturation.needed(np.array(votes), sample, "lower" if lower else "higher", [0.9], 0.95)]
    assert ours[0] == pytest.approx(theirs[0])
    assert np.log(ours[1:]) == pytest.approx(np.log(theirs[1:]), abs=0.1)  # two bootstraps of 2,000 draws


def test_a_matrix_scaling_is_that_of_the_package():
    from softlabels.evaluation import scaling

    rng = np.random.default_rng(0)
    p, z = rng.dirichlet(np.ones(4) / 2, 400), rng.normal(0, 3, (400, 4))
    z += np.log(p + 0.01)
    ours = measures._kl(p, measures.matrix(p, z)(z)).mean()
    assert ours == pytest.approx(measures._kl(p, scaling.matrix(p, z)(z)).mean(), abs=1e-6)
    assert measures.temperature(p, z) == pytest.approx(scaling.fit_temperature(p, z), rel=1e-6)
    assert measures.temperature(np.eye(4)[z.argmax(axis=1)], z) == pytest.approx(0.01)  # all right: as sure as may be


# -- runs of a study ---------------------------------------------------------------------------------------------------


def test_a_selection_that_is_not_one_run_a_seed_is_refused(study, grid):
    with pytest.raises(Wrong, match=r"found 4 runs.*epochs: 10, 20"):
        grid.mean("hard", "kl")
    with pytest.raises(Wrong, match=r"found 0 runs.*epochs: 10, 20"):
        grid.mean("hard", "kl", epochs=30)
    with pytest.raises(Wrong, match="found the key 'epochs', expected dataset, split, recipe"):
        study.mean("hard", "kl", epochs=3)
    with pytest.raises(Wrong, match=r"Labels: hard, soft"):
        study.mean("medium", "kl")
    with pytest.raises(Wrong, match="no such metric"):
        study.mean("hard", "luck")
    with pytest.raises(Wrong, match=r"found 1 runs, seeds \[0\]"):
        study.mean("hard", "kl", seeds=[0, 7])


def test_what_changes_from_one_place_of_the_grid_to_another_is_paired_by_seed(study, grid):
    there, here = grid.each("soft", "kl", epochs=20), grid.each("soft", "kl", epochs=10)
    assert here == study.each("soft", "kl")
    mean, low, high = grid.moved("kl", "soft", {"epochs": 20}, epochs=10)
    assert grid.diff("kl", "soft", "soft", other={"epochs": 10}, epochs=20)[0] == pytest.approx(mean)
    assert mean == pytest.approx(np.mean(there) - np.mean(here))
    found = scipy.stats.ttest_rel(there, here).confidence_interval(0.95)
    assert (low, high) == pytest.approx((found.low, found.high))
    gap = study.gap_pm("kl")
    each = np.subtract(here, study.each("hard", "kl"))
    assert gap == pytest.approx([each.mean(), each.std(ddof=1)])


def test_the_epoch_of_an_accuracy_is_the_first_that_has_it(study):
    run = study.select("soft")[0]
    accuracy = run.epochs("val_acc_reference")
    assert run.fact(f"epochs_to {accuracy[0]}") == 1
    assert np.isnan(run.fact("epochs_to 1.1"))
    assert study.pm("soft", "epochs_to 0") == pytest.approx([1, 0])
    with pytest.raises(Wrong, match="no seed has it"):
        study.mean("soft", "epochs_to 1.1")


# -- texts -------------------------------------------------------------------------------------------------------------


def numbers(*values):
    return lambda *_: [Number(value, "study: what") for value in values]


def checked(text, *claims, settings=(), whole=None):
    """The problems of a text, and how many numbers were compared."""
    found, problems, skipped = texts.check({"a.md": Text("a.md", text)}, claims, {"a.md": settings}, {"a.md": whole})
    assert not skipped
    return [str(problem) for problem in problems], len(found)


@pytest.mark.parametrize(
    ("printed", "value"),
    [("0.98", 0.9849), ("0.98", 0.975), (".0210", 0.02104), ("−0.003", -0.0034), ("+0.000", 0.0004),
     ("−0.000", -0.0004), ("1,458", 1458.4), ("78", 77.6), ("-2.5", -2.53)],
)  # fmt: skip
def test_a_number_that_a_value_rounds_to_agrees(printed, value):
    assert texts.agrees(printed, value)
    assert checked(f"It is {printed}.", Claim("a.md", "It is #.", numbers(value))) == ([], 1)


@pytest.mark.parametrize(
    ("printed", "value", "expected"),
    [("0.98", 0.9851, "0.99"), ("−0.003", 0.003, "+0.003"), ("+0.3", -0.31, "−0.3"), ("78", 77.4, "77"),
     ("0.9826", 0.9827, "0.9827"), ("1,458", 1459, "1,459"),
     ("+0.000", -0.0004, "−0.000"), ("−0.000", 0.0004, "+0.000")],
)  # fmt: skip
def test_a_number_that_is_off_in_its_last_digit_is_told_with_its_place(printed, value, expected):
    problems, _ = checked(f"One line,\nand it is\n{printed}.", Claim("a.md", "it is #.", numbers(value)))
    assert problems == [f"a.md:3: found {printed}, expected {expected} (study: what)."]


def test_numbers_that_are_off_can_be_corrected():
    text = Text("a.md", "It is 1.50 against +0.3, of 7 %, which stays.")
    claim = Claim("a.md", "It is # against #, of # %", numbers(12.345, -0.26, 7.2))
    found, problems, _ = texts.check({"a.md": text}, [claim], {}, {})
    assert len(problems) == 2
    assert texts.corrected(text.text, found) == "It is 12.35 against −0.3, of 7 %, which stays."


def test_every_number_needs_a_claim_or_is_a_setting():
    text = "After 10 epochs 0.7 against 0.9 on 15,000 images of CIFAR-10H, [see](b/2.md) ResNet50; 3-NN."
    claim = Claim("a.md", "After 10 epochs # against #", numbers(0.7, 0.9))
    problems, compared = checked(text, claim, settings=["15,000 images", "CIFAR-10H"])
    assert compared == 2
    assert [re.search("accounts for (.*?) in", problem)[1] for problem in problems] == ["3"]
    problems, _ = checked(text, claim, settings=["15,000 images", "CIFAR-10H", "3-NN", "7 seeds"])
    assert problems == ["a.md:1: the setting '7 seeds' is not there any more. Take it off the list."]


def test_only_the_named_section_is_asked_for_all_its_numbers():
    text = "# A\n\n1 first\n\n## The answer, here\n\n2 second\n\n## Other\n\n3 third\n"
    assert [problem[:7] for problem in checked(text, whole="The answer")[0]] == ["a.md:7:"]
    assert checked(text, whole="No such")[0] == ["a.md:1: found no section '## No such', expected one."]


def test_words_that_are_not_there_once_are_told():
    text = "The gap is 0.5\nof it. The gap is 0.5 of that."
    assert "there 2 times" in checked(text, Claim("a.md", "The gap is #", numbers(0.5)))[0][0]
    (problem,) = [p for p in checked(text, Claim("a.md", "gap is # of them", numbers(0.5)))[0] if "not there" in p]
    assert problem.startswith("a.md:2: 'gap is # of them' is not there: after 'gap is # of' found 'it. The gap")
    assert "expected 'them'" in problem
    assert "'Nowhere #' is not there" in checked(text, Claim("a.md", "Nowhere #", numbers(0.5)))[0][0]
    assert "found 1 numbers, but 2 are" in checked("It is 1.", Claim("a.md", "It is #", numbers(1, 2)))[0][0]
    both = [Claim("a.md", "It is #", numbers(1)), Claim("a.md", "is #.", numbers(1))]
    assert "belongs to two claims" in checked("It is 1.", *both)[0][0]


def test_an_error_of_a_claim_names_its_line():
    def broken():
        raise Wrong("study: found nothing.")

    assert checked("\n\nIt is 1.", Claim("a.md", "It is #.", broken))[0] == [
        "a.md:3: 'It is #.': study: found nothing."
    ]


TABLE = """
| test of 3 | hard | soft − hard (95 %) |
| --- | --- | --- |
| KL ↓ | **1.10 ± 0.10** | −1.0 [−1.2, −0.8] |
| at 10 epochs | 2.00 ± 0.20 | – |

| another | table |
"""


def table(rows=("KL ↓", "at 10 epochs"), kl=1.1, columns=("hard", "soft − hard (95 %)"), bold="hard"):
    cells = {"KL ↓": ([kl, 0.1], [-1, -1.2, -0.8]), "at 10 epochs": ([2, 0.2], [])}
    return Table(
        "a.md", "test of 3", {row: row for row in rows},
        {heading: lambda row, k=k: numbers(*cells[row][k])() for k, heading in enumerate(columns)},
        lambda row: bold if row == "KL ↓" else None,
    )  # fmt: skip


def test_a_table_is_a_claim():
    assert checked(TABLE, table()) == ([], 7)
    assert checked(TABLE, table(kl=1.2))[0] == ["a.md:4: found 1.10, expected 1.20 (study: what)."]
    assert "no claim knows the row 'at 10 epochs'" in checked(TABLE, table(rows=["KL ↓"]))[0][0]
    assert "has no row 'TVD'" in checked(TABLE, table(rows=["KL ↓", "at 10 epochs", "TVD"]))[0][0]
    assert "found the columns" in checked(TABLE, table(columns=("soft", "soft − hard (95 %)")))[0][0]
    assert checked(TABLE, table(bold=None))[0] == ["a.md:4: KL ↓: found hard in bold, expected nothing."]
    assert "found 0 tables" in checked("nothing", table())[0][0]


def test_percentages_keep_their_origin():
    (found,) = percent([Number(0.785, "study: share")])
    assert (found, found.origin) == (78.5, "study: share (%)")


def test_what_cannot_be_checked_here_is_said():
    def absent():
        raise Unavailable("the votes are not here")

    found, problems, skipped = texts.check(
        {"a.md": Text("a.md", "It is 1.")}, [Claim("a.md", "It is #.", absent)], {}, {"a.md": None}
    )
    assert (found, problems, [*map(str, skipped)]) == ([], [], ["a.md: 'It is #.': the votes are not here"])


def test_a_cell_that_cannot_be_checked_hides_no_other():
    def value(of):
        if of is None:
            raise Unavailable("the votes are not here")
        return [Number(of, "a study")]

    text = "| what | is |\n| --- | --- |\n| one | **9.99** |\n| two | **5.00** |\n| three | 8.88 |\n"
    rows = {"one": 1.0, "two": None, "three": 3.0}
    table = Table("a.md", "what", rows, {"is": value}, bold=lambda of: value(of) and "is")
    found, problems, skipped = texts.check({"a.md": Text("a.md", text)}, [table], {}, {"a.md": None})
    assert [number.printed for number in found] == ["9.99", "8.88"]
    assert [problem.line for problem in problems] == [3, 5, 5]  # two numbers, and one that is not bold
    assert [*map(str, skipped)] == ["a.md: 'two | is': the votes are not here"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--results", "nowhere"], "--results nowhere: found no folder 'studies' there"),
        (["--data", "cifar10h"], "--data cifar10h: expected NAME=FOLDER"),
        (["--data", "cifar10h=nowhere"], "--data cifar10h=nowhere: expected NAME=FOLDER"),
    ],
)
def test_the_script_refuses_what_it_cannot_look_at(given, said, capsys):
    with pytest.raises(SystemExit):
        recompute.main(given)
    assert said in capsys.readouterr().err


def test_an_archive_that_cannot_be_read_is_one_message(monkeypatch, capsys):
    def broken(*_):
        raise pa.ArrowInvalid("no Parquet")

    monkeypatch.setattr(recompute, "recompute", broken)
    assert recompute.main([]) == 1
    assert "An archive cannot be read (no Parquet). Restore docs/findings" in capsys.readouterr().err


def test_the_script_tells_what_is_off_and_fails(monkeypatch, capsys, tmp_path):
    (tmp_path / "a.md").write_text("It is 1.5.")
    text = texts.read(tmp_path, ["a.md"])
    monkeypatch.setattr(recompute, "ROOT", tmp_path)
    claim = Claim("a.md", "It is #.", numbers(1.6))
    monkeypatch.setattr(recompute, "recompute", lambda *_: texts.check(text, [claim], {}, {}))
    assert recompute.main(["--list"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "a.md:1: 1.5 is 1.6 (study: what)",
        "a.md:1: found 1.5, expected 1.6 (study: what).",
        "1 numbers recomputed, 1 problems, 0 claims not checked",
    ]
    recompute.main(["--correct"])
    assert (tmp_path / "a.md").read_text() == "It is 1.6."
    text |= texts.read(tmp_path, ["a.md"])
    assert recompute.main([]) == 0
