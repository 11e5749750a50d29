"""The benchmarks' framework, with lines whose numbers are known."""

import json
import sys
import time

import pytest
from benchmarks import bench, lines

DOCUMENT = "Words.\n\n<!-- cpu: written by make bench -->\n<!-- cpu: end -->\n\nMore words.\n"


def line(pairs, target=0.9, **more):
    return lines.line("a line", pairs, "s", target, against="a bare loop", **more)


def test_less_than_three_pairs_tell_nothing_near_the_target():
    assert line([(12, 10)], 1.0)["verdict"] == "cannot conclude: measured 1 of 3 times"
    assert line([(12, 10), (13, 10)], 1.0)["met"] is None
    assert line([(12, 10), (13, 10)], 0.5)["met"] is True


@pytest.mark.parametrize(
    ("pairs", "target", "at_least", "met", "verdict"),
    [
        ([(10, 10), (11, 10), (12, 10)], 0.95, True, True, "met"),
        ([(10, 10), (11, 10), (12, 10)], 1.3, True, False, "missed"),
        ([(10, 10), (11, 10), (12, 10)], 1.3, False, True, "met"),
        ([(10, 10), (11, 10), (12, 10)], 0.95, False, False, "missed"),
        ([(10, 10), (11, 10), (12, 10)], 1.05, True, None, "cannot conclude: the target lies between the ratios"),
        ([(10, 10), (11, 10), (12, 10)], 1.15, False, None, "cannot conclude: the target lies between the ratios"),
        ([(10, 10), (11, 10), (16, 10)], 0.9, True, None, "cannot conclude: ratios differ by more than 1.5 times"),
        ([(10, 10), (11, 10), (16, 10)], 0.1, True, True, "met"),
        ([(10, 10), (11, 10), (16, 10)], 9, True, False, "missed"),
        ([(10, 10), (11, 10), (12, 10)], None, True, None, "no target"),
        ([(10, 10), (11, 10), (12, 10)], 1.0, True, True, "met"),
        ([(10, 10), (11, 10), (12, 10)], 1.2, False, True, "met"),
    ],
)
def test_a_line_is_judged_by_the_ratio_of_its_medians_and_by_how_far_its_pairs_differ(
    pairs, target, at_least, met, verdict
):
    found = line(pairs, target, at_least=at_least)
    assert (found["met"], found["verdict"]) == (met, verdict)
    assert (found["ours"], found["anchor"]) == (11, 10)
    assert found["ratio"] == 1.1


def test_both_sides_are_measured_in_turn_and_the_first_call_of_each_does_not_count():
    calls = []
    ours, anchor = ((lambda name=name: calls.append(name) or len(calls)) for name in "ab")
    found = lines.compared("a line", ours, anchor, "s", 1, against="another")
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"
    assert found["pairs"] == [[3, 4], [6, 5], [7, 8]]
    assert lines.timed(lambda: time.sleep(0.001))() >= 0.001


def test_a_line_is_one_row_of_the_table_and_what_stands_around_it_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "DOCS", tmp_path)
    document = tmp_path / "benchmarks.md"
    document.write_text(DOCUMENT)
    on = {
        "machine": {"cpu": "A|B", "cores": 2, "load": 0.1}, "versions": {"torch": "2.0"}, "date": "2026-01-02T03:04:05Z"
    }  # fmt: skip
    first = {**line([(1234.5, 1000), (1267.5, 1000), (1300, 1000)]), **on}
    lines.show([first, {**lines.failed("another", "out of\nmemory"), **on}], "cpu")
    text = document.read_text()
    assert text.startswith("Words.\n") and text.endswith("<!-- cpu: end -->\n\nMore words.\n")
    where = "A\\|B, 2 cores, load 0.1, torch 2.0, 2026-01-02"
    row = f"| a line | 1,270 s | 1,000 s | a bare loop | 1.27 (1.23 to 1.3) | ≥ 0.9 | met | {where} |"
    assert row in text.splitlines()
    assert f"| another |  |  |  |  |  | failed: out of memory | {where} |" in text.splitlines()
    lines.show([{**first, "name": "another"}], "cpu")
    assert row in (again := document.read_text()).splitlines()
    assert "failed" not in again and again.count("\n") == text.count("\n")
    lines.show([first], "cpu", whole=True)
    assert "another" not in document.read_text()
    with pytest.raises(ValueError, match="no table gpu"):
        lines.show([first], "gpu")


def test_the_file_of_a_line_says_what_was_measured_where_and_when(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "KEPT", tmp_path)
    on = {"machine": lines.machine(), "versions": lines.versions(), "date": lines.now()}
    lines.keep([{**line([(1, 1)]), **on}])
    found = json.loads((tmp_path / "a-line.json").read_text())
    assert {"name", "ours", "anchor", "unit", "ratio", "spread", "target", "met", "machine", "versions", "date"} <= set(
        found
    )
    assert {"cpu", "cores", "memory", "load"} == set(found["machine"])
    assert found["versions"]["numpy"]


def test_a_curve_has_the_exponents_that_its_costs_grow_with():
    costs = [{"seconds": 1 + n**2 / 100, "written": 2e6 * n} for n in (1, 10, 100)]
    found = lines.curve("a curve", [1, 10, 100], costs)
    assert found["written"]["exponent"] == found["written"]["last"] == 1
    assert found["seconds"]["values"] == [1.01, 2, 101]
    assert found["seconds"]["exponent"] == 1.0 and found["seconds"]["last"] == 1.7
    on = {"machine": lines.machine(), "versions": {}, "date": lines.now()}
    assert lines.row({**found, **on}).startswith(
        "| a curve | 1, 10, 100 | 1.01, 2, 101 | 1.00, at last 1.70 | 2, 20, 200 | 1.00, at last 1.00 | "
    )


FAKE = """
import os
from benchmarks import lines

def fine(quick):
    yield lines.line("fine", [(2, 1)], "s", 1, against="one")

def halfway(quick):
    yield lines.line("first", [(2, 1)], "s", 1, against="one")
    raise ValueError("no such thing")

def dies(quick):
    os._exit(3)

def hangs(quick):
    import time
    time.sleep(600)
"""


def test_a_measurement_that_fails_says_why_and_costs_no_other(tmp_path, monkeypatch, capfd):
    (tmp_path / "fake_measures.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(lines, "KEPT", tmp_path / "bench")
    limits = {"fine": 1, "halfway": 1, "dies": 1, "hangs": 1 / 60}
    monkeypatch.setattr(bench, "MEASURES", {n: bench.Measure(f"fake_measures:{n}", m) for n, m in limits.items()})
    monkeypatch.setattr(sys, "argv", ["bench", "--quick"])
    monkeypatch.setattr(bench.signal, "signal", lambda *given: None)  # of this process, in which other tests run
    with pytest.raises(SystemExit) as end:
        bench.main()
    assert end.value.code == 1
    printed = capfd.readouterr().out
    for text in ("fine: 2 against 1 s (one), 2.000 times", "halfway: failed: ValueError: no such thing",
                 "dies: failed: its process ended with status 3", "hangs: failed: not done after 1 s",
                 "5 lines, 3 of them failed or missed"):  # fmt: skip
        assert text in printed
    assert {file.stem for file in (tmp_path / "bench" / "quick").iterdir()} == {"fine", "first", *list(limits)[1:]}


def test_what_was_measured_on_another_machine_is_a_row_of_its_own_table(tmp_path):
    content = {"lines": [line([(2, 1)])], "versions": {}, "date": lines.now()}
    content["machine"] = {**lines.machine(), "gpu": "a card"}
    (tmp_path / "bench.json").write_text(json.dumps(content))
    (found,) = bench.of_file(tmp_path / "bench.json")
    assert lines.row(found).startswith("| a line | 2 s |") and "| a card, load" in lines.row(found)
