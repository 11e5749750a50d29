"""The command line: help, exit statuses and messages."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from softlabels import __version__, cli, commands, launch
from softlabels import status as status_of
from softlabels.errors import UserError
from softlabels.places import CONFIG, PLACES, Place

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
SUBCOMMANDS = ["run", "check", "status", "predict", "figures", "audit", "explain", "completion", *commands.COMMANDS]


def run(monkeypatch, capsys, *arguments):
    """Exit status, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["softlabels", *map(str, arguments)])
    try:
        cli.main()
        status = 0
    except SystemExit as error:
        status = error.code or 0
    return status, *capsys.readouterr()


@pytest.fixture
def fake(monkeypatch):
    """A command ``chain`` whose code is the test's; the calls that it got."""
    calls = []
    module = types.ModuleType("fake_command")
    module.run = lambda *given: calls.append(given)
    monkeypatch.setitem(sys.modules, "fake_command", module)
    inputs = ("many*", "one", "maybe?", "any*?")
    monkeypatch.setitem(cli.COMMANDS, "chain", commands.Command("fake_command", "do nothing", inputs))
    monkeypatch.setitem(PLACES, "chain", Place("there", {"result_csv": "result.csv"}))
    return module, calls


# What the fake command needs.
NEEDED = ["chain", "--config", "{}", "--many", "x", "--one", "o", "--result-csv", "r"]


@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_every_subcommand_has_help(monkeypatch, capsys, command):
    status, out, err = run(monkeypatch, capsys, command, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: softlabels {command}")


def test_the_help_lists_every_subcommand(monkeypatch, capsys):
    status, out, _ = run(monkeypatch, capsys, "--help")
    assert status == 0
    assert all(f"\n    {command}" in out for command in SUBCOMMANDS)


def test_the_version_is_printed(monkeypatch, capsys):
    assert run(monkeypatch, capsys, "--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("words", [
    "", "trian", "split", "split --config { --items a --reference b --split c",
    "chain --config {} --manifests --chain c", "chain --config {} --manifests a --chain c --extra d",
    "chain --conf {} --manifests a --chain c", "predict model folder --device tpu",
])  # fmt: skip
def test_wrong_usage_exits_with_2_and_shows_the_usage(monkeypatch, capsys, words):
    status, out, err = run(monkeypatch, capsys, *words.split())
    assert (status, out) == (2, "")
    assert err.startswith("usage: softlabels")
    assert "Traceback" not in err


@pytest.fixture
def launched(monkeypatch):
    """What `run` was called with, in place of a run."""
    calls = []
    monkeypatch.setattr(launch, "run", lambda **arguments: calls.append(arguments))
    return calls


@pytest.mark.parametrize(("words", "configfile", "overrides", "rest"), [
    ("", str(CONFIG), [], []),
    ("my.yaml", "my.yaml", [], []),
    ("--cores 2 my.yaml", "my.yaml", [], []),
    ("--configfile my.yaml --cores 2", "my.yaml", [], []),
    ("my.yaml --cores 2 --config a=1 b=2 -- -n --workflow-profile p", "my.yaml", ["a=1", "b=2"],
     ["-n", "--workflow-profile", "p"]),
    ("-- --forcerun train -- x", str(CONFIG), [], ["--forcerun", "train", "--", "x"]),
])  # fmt: skip
def test_a_run_takes_a_configuration_by_word_or_option_and_passes_on_what_follows_two_dashes(
    monkeypatch, capsys, launched, words, configfile, overrides, rest
):
    assert run(monkeypatch, capsys, "run", *words.split()) == (0, "", "")
    cores = "2" if "--cores" in words else "all"
    assert launched == [
        {"configfile": Path(configfile), "overrides": overrides, "cores": cores, "rest": rest, "report": True}
    ]


@pytest.mark.parametrize("words", ["a.yaml --configfile b.yaml", "--configfile a.yaml b.yaml"])
@pytest.mark.parametrize("command", ["run", "check"])
def test_two_configurations_are_refused(monkeypatch, capsys, launched, command, words):
    status, out, err = run(monkeypatch, capsys, command, *words.split())
    assert (status, out, launched) == (2, "", [])
    assert "a.yaml is given, too. Name one configuration." in err


def test_a_configuration_after_an_override_is_told_where_to_stand(monkeypatch, capsys):
    status, _, err = run(monkeypatch, capsys, "check", "--config", "results=x", "my.yaml")
    assert status == 2
    assert err.startswith("softlabels: --config my.yaml: expected key=value, such as data_folder=")


def test_status_takes_a_results_folder_or_a_configuration(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(status_of, "plans_of", lambda *given: asked.append(given[:2]))
    monkeypatch.setattr(status_of, "status", lambda plans: {})
    for words in ("", "out", "my.yaml", "out --configfile my.yaml"):
        assert run(monkeypatch, capsys, "status", *words.split(), "--json")[0] == 0
    assert asked == [
        (None, None), (Path("out"), None), (None, Path("my.yaml")), (Path("out"), Path("my.yaml"))
    ]  # fmt: skip
    status, _, err = run(monkeypatch, capsys, "status", "a.yaml", "--configfile", "b.yaml")
    assert (status, len(asked)) == (2, 4)
    assert "a.yaml and --configfile b.yaml: these are two configurations" in err


def test_a_package_that_the_users_own_module_lacks_keeps_its_traceback(monkeypatch, capsys, fake):
    def own(*arguments):
        raise ModuleNotFoundError("No module named 'mine'", name="mine")

    fake[0].run = own
    with pytest.raises(ModuleNotFoundError):
        run(monkeypatch, capsys, *NEEDED)


def test_a_command_gets_its_configuration_and_paths(monkeypatch, capsys, fake):
    _, calls = fake
    arguments = ["--config", '{"a": 1.5}', "--many", "x", "y z", "--one", "o", "--result-csv", "r"]
    assert run(monkeypatch, capsys, "chain", *arguments)[0] == 0
    assert calls == [({"a": 1.5}, {"many": [Path("x"), Path("y z")], "one": Path("o")}, {"result_csv": Path("r")})]


@pytest.mark.parametrize("empty", [["--maybe"], []])
def test_an_input_that_may_be_absent_may_also_be_empty(monkeypatch, capsys, fake, empty):
    assert run(monkeypatch, capsys, *NEEDED, *empty)[0] == 0
    assert "maybe" not in fake[1][0][1]


@pytest.mark.parametrize(("text", "found"), [("\n", None), ("x\ny z\n", [Path("x"), Path("y z")])])
def test_a_list_may_be_of_nothing_where_there_may_be_none(monkeypatch, capsys, fake, tmp_path, text, found):
    (tmp_path / "list").write_text(text)
    assert run(monkeypatch, capsys, *NEEDED, "--any", f"@{tmp_path}/list")[0] == 0
    assert fake[1][0][1].get("any") == found


def test_a_users_mistake_is_one_line_and_status_2(monkeypatch, capsys, fake, tmp_path):
    module, _ = fake

    def fail(config, inputs, outputs):
        raise UserError("votes.csv: line 3: found no image 'x'. Add it.")

    module.run = fail
    manifest = tmp_path / "m.json"
    status, out, err = run(monkeypatch, capsys, *NEEDED, "--manifest", manifest)
    assert (status, out, err) == (2, "", "softlabels: votes.csv: line 3: found no image 'x'. Add it.\n")
    assert not manifest.exists()


def test_a_mistake_of_the_code_keeps_its_traceback(monkeypatch, capsys, fake):
    fake[0].run = lambda *arguments: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, capsys, *NEEDED)


def test_no_two_paths_of_a_command_share_an_option():
    for name, command in commands.COMMANDS.items():
        options = [commands.option(path) for path in (*command.inputs, *PLACES[name].outputs)]
        assert len(set(options) | {"--config", "--manifest"}) == len(options) + 2, name


def test_the_package_runs_as_a_module_and_more_paths_than_a_command_line_holds_are_read_from_a_list(tmp_path):
    manifest = tmp_path / "/".join("n" * 200 for _ in range(4)) / "a.manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    (tmp_path / "studies" / "s").mkdir(parents=True)
    paths = [str(manifest)] * 4000
    assert sum(map(len, paths)) > 3_000_000  # Linux: 2 MB
    script, chain = tmp_path / "script.sh", tmp_path / "studies" / "s" / "chain.json"
    config = """@<(printf '%s\\n' '{"study": "s"}')"""
    manifests = f"@<(printf '%s\\n' {' '.join(paths)})"
    options = f"--config {config} --manifests {manifests} --chain {chain}"
    script.write_text(f"{sys.executable} -Pm softlabels chain {options}")
    environment = os.environ | {"PYTHONPATH": str(WORKFLOW)}
    done = subprocess.run(["bash", script], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    written = json.loads(chain.read_text())
    assert written["study"] == "s"
    assert [one["path"] for one in written["manifests"]] == [str(manifest.relative_to(tmp_path))] * len(paths)
