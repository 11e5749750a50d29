"""`./softlabels`: which Python it runs, with what, and that nothing stands between the two."""

import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from softlabels import __version__
from softlabels.places import REPOSITORY

# In place of a Python: says who it is, where it stands and what it was given, a line each.
SAYS = """#!/bin/sh
printf '%s\\n' "$0" "$PYTHONPATH" "$PWD" "$@"
exit 7
"""
OLD = """#!/bin/sh
case $1 in --version) echo 'Python 3.9.2' ;; esac
exit 1
"""
REAL = f"""#!/bin/sh
exec '{sys.executable}' "$@"
"""
BARE = f"""#!/bin/sh
exec '{sys.executable}' -S "$@"
"""  # without any package


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def place(tmp_path):
    """A repository in a folder with a space, another folder to stand in, and a PATH without any Python."""
    repository, bin_ = tmp_path / "the repository", tmp_path / "bin"
    for folder in (repository, bin_, tmp_path / "far away"):
        folder.mkdir()
    for name in ("sh", "bash", "dirname", "readlink"):
        (bin_ / name).symlink_to(shutil.which(name))
    shutil.copy(REPOSITORY / "softlabels", repository)
    (repository / "workflow").symlink_to(REPOSITORY / "workflow")
    return SimpleNamespace(repository=repository, bin=bin_, away=tmp_path / "far away", venv=repository / ".venv/bin")


def run(place, *words, folder=None):
    """Exit status, standard output and standard error of a command line."""
    environment = {"PATH": str(place.bin), "HOME": str(place.away)}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder or place.away,
        env=environment,
        text=True,
        capture_output=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


# -- from where, and which Python --------------------------------------------------------------------------------------

WORDS = ["a b", "", "*", "$HOME", "--x=1", "é\\n"]


@pytest.mark.parametrize("way", ["path", "relative", "link", "link to a link", "search", "shell", "own folder"])
def test_it_finds_its_repository_and_runs_its_environment(place, way):
    script(place.venv / "python", SAYS)
    script(place.bin / "python3", OLD)  # is not asked
    itself, folder = place.repository / "softlabels", place.away
    (place.away / "near").symlink_to("../the repository/softlabels")
    (place.bin / "sl").symlink_to("../far away/near")
    command = {
        "path": [itself],
        "relative": ["../the repository/softlabels"],
        "link": ["./near"],
        "link to a link": [place.bin / "sl"],
        "search": ["bash", "-c", 'sl "$@"', "bash"],
        "shell": ["sh", "../the repository/softlabels"],
        "own folder": ["./softlabels"],
    }[way]
    if way == "own folder":
        folder = place.repository
    status, out, err = run(place, *command, *WORDS, folder=folder)
    assert (status, err) == (7, "")
    assert out.split("\n") == [
        str(place.venv / "python"), str(place.repository / "workflow"), str(folder), "-Pm", "softlabels", *WORDS, ""
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["python3", "python"])
def test_without_an_environment_the_active_python_is_taken(place, name):
    script(place.bin / name, REAL)
    assert run(place, "../the repository/softlabels", "--version") == (0, f"{__version__}\n", "")


def test_an_active_python_that_is_too_old_is_passed_over(place):
    script(place.bin / "python3", OLD)
    script(place.bin / "python", REAL)
    assert run(place, "../the repository/softlabels", "--version") == (0, f"{__version__}\n", "")


def test_no_python_and_one_that_is_too_old_are_told_with_the_remedy(place):
    (place.repository / ".venv").symlink_to("gone")
    status, out, err = run(place, place.repository / "softlabels", "audit")
    assert (status, out) == (2, "")
    assert err.startswith("softlabels: Python 3.11 to 3.13 is needed. Run 'make .venv/installed' in ")
    script(place.bin / "python3", OLD)
    status, out, err = run(place, place.repository / "softlabels", "audit")
    assert (status, out) == (2, "")
    assert (
        f"is needed, not Python 3.9.2 of {place.bin}/python3. Run 'make .venv/installed' in {place.repository}" in err
    )


@pytest.mark.parametrize(("command", "package"), [
    ("run", "snakemake"), ("check", "numpy|yaml|jsonschema|pyarrow"), ("status", "yaml|numpy|jsonschema|pyarrow"),
    ("audit", "numpy|pyarrow"), ("explain s soft kl", "numpy|pyarrow"), ("predict m f", "numpy"),
    ("completion zsh", "argcomplete"),
])  # fmt: skip
def test_a_package_that_is_missing_is_named_with_the_python_and_the_remedy(place, command, package):
    script(place.bin / "python3", BARE)
    status, out, err = run(place, place.repository / "softlabels", *command.split())
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    said, _, remedy = line.partition(", which this command needs. ")
    assert said.removeprefix(f"softlabels: {sys.executable} has no package ") in package.split("|")
    assert remedy.startswith("Run `make .venv/installed` in ")


# -- what comes back ---------------------------------------------------------------------------------------------------


def test_exit_status_and_message_are_those_of_the_command(place):
    script(place.venv / "python", REAL)
    status, out, err = run(place, place.repository / "softlabels", "check", "my.yaml")
    assert (status, out) == (2, "")
    assert err.startswith(f"softlabels: my.yaml: no such configuration file in {place.away}. ")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 3)])
def test_signals_reach_the_command_because_it_is_the_same_process(place, number, status):
    script(place.venv / "python", REAL)
    (place.repository / "workflow").unlink()
    (place.repository / "workflow/softlabels").mkdir(parents=True)
    (place.repository / "workflow/softlabels/__main__.py").write_text("""
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
try:
    print(os.getpid(), flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(130)
""")
    command = [place.repository / "softlabels"]
    with subprocess.Popen(command, env={"PATH": str(place.bin)}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == f"{process.pid}\n"
        process.send_signal(number)
        assert process.wait(60) == status


# -- completion --------------------------------------------------------------------------------------------------------


def completed(place, *words):
    """What bash offers for the last of some words, asked as bash asks after TAB."""
    line = " ".join(words)
    text = f"""
eval "$(./softlabels completion bash)"
complete -p softlabels > /dev/null || exit 9
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1} COMP_LINE='{line}'
COMP_POINT={len(line)} COMP_TYPE=9
_python_argcomplete ./softlabels '{words[-1]}' '{words[-2]}'
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    status, out, err = run(place, "bash", "-c", text, folder=place.repository)
    assert (status, err) == (0, "")
    return {word.strip() for word in out.splitlines()}


def test_bash_completes_commands_options_choices_and_files(place):
    script(place.venv / "python", REAL)
    (place.repository / "my.yaml").touch()
    assert completed(place, "./softlabels", "ex") == {"explain", "export"}
    assert {"--configfile", "--cores", "--config"} <= completed(place, "./softlabels", "run", "--c")
    assert completed(place, "./softlabels", "predict", "--device", "cu") == {"cuda"}
    assert completed(place, "./softlabels", "check", "my") == {"my.yaml"}


def test_zsh_gets_a_script_of_its_own(place):
    script(place.venv / "python", REAL)
    status, out, err = run(place, place.repository / "softlabels", "completion", "zsh")
    assert (status, err) == (0, "")
    assert out.startswith("#compdef softlabels\n")
    assert "compdef _python_argcomplete softlabels" in out
