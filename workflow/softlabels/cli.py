"""The command line: thin, one command a rule, plus `run` and `predict` for people."""

from __future__ import annotations

import argparse
import errno
import importlib
import importlib.util
import json
import math
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import __version__, closure, joblog, places, schema, stopping
from .commands import COMMANDS, Command, bare, entries, option
from .errors import UserError
from .places import PLACES

SECONDS, LEAST_SECONDS = 2.0, 0.2  # between two looks of `status --watch`
# What to do where a file system refuses; no file of ours is left half-written.
CANNOT_WRITE = {
    errno.ENOSPC: "The disk is full: free some space, or set `results` to a folder on a larger one.",
    errno.EDQUOT: "The quota is used up: delete something, or set `results` to a folder with more.",
    errno.EROFS: "The file system takes no writing here: set `results` to a folder on another one.",
    errno.EACCES: "You may not write (or read) there: change the permissions, or set `results` to another folder.",
}


def _add_rule_command(commands: Any, name: str, command: Command) -> None:
    # @FILE stands for the arguments in a file, one a line: a big grid has more of them than a command line can hold.
    # Only where there may be many: elsewhere a path may begin with @.
    lists = "@" if any("*" in path for path in command.inputs) else None
    parser = commands.add_parser(
        name, help=command.help, description=command.help, allow_abbrev=False, fromfile_prefix_chars=lists
    )
    parser.convert_arg_line_to_args = lambda line: [line] if line else []  # a list of nothing is an empty line
    add = parser.add_argument
    add("--config", required=True, type=json.loads, metavar="JSON", help="the keys that this command reads")
    many = "s, or @FILE that lists them"
    marks = {"": (None, ""), "*": ("+", many), "?": ("?", ", where there is one"),
             "*?": ("*", f"{many}, where there are any")}  # fmt: skip
    for kind, paths in (("input", command.inputs), ("output", PLACES[name].outputs)):
        for path in paths:
            if path.endswith("="):  # which there are, the kind of source says
                about = {"type": _pair, "metavar": "NAME=PATH", "help": f"{kind} file or folder by its name"}
                add(option(path), dest=f"{kind}:{bare(path)}", action="append", **about)
                continue
            nargs, note = marks[path.removeprefix(bare(path))]
            about = {"type": Path, "metavar": "PATH", "help": f"{kind} file{note}"}
            add(option(path), dest=f"{kind}:{bare(path)}", nargs=nargs, required="?" not in path, **about)
    if command.threads:
        add("--threads", type=int, default=1, metavar="N", help="threads to use (default: 1)")
    add("--manifest", type=Path, metavar="PATH", help="where to write what was read, run and written")
    parser.set_defaults(call=lambda **arguments: _run_rule_command(name, command, arguments))


def _pair(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    return name, Path(path)


def _run_rule_command(name: str, command: Command, arguments: dict[str, Any]) -> None:
    with joblog.announced(name):
        from .provenance import manifest

        inputs, outputs = (
            {key.removeprefix(prefix): value for key, value in arguments.items() if key.startswith(prefix) and value}
            for prefix in ("input:", "output:")
        )
        inputs |= dict(inputs.pop("source", ()))
        started, config = manifest.now(), schema.restored(arguments["config"], schema.of_command())

        def finish(facts: dict[str, Any] | None) -> None:
            if arguments["manifest"]:
                manifest.write(arguments["manifest"], name, arguments["config"], inputs, outputs, started, facts or {})
            if command.resumes:
                stopping.ignore()

        more: dict[str, Any] = {"threads": arguments["threads"]} if command.threads else {}
        if command.resumes:
            stopping.end_at_once()
            more |= {"code": closure.code_hash(entries(name, arguments["config"])), "finish": finish}
        facts = importlib.import_module(command.module).run(config, inputs, outputs, **more)
        if not command.resumes:
            finish(facts)


class _Configuration(argparse.Action):
    """A configuration: one, as a word of its own or after ``--configfile``."""

    def __call__(self, parser: Any, namespace: Any, value: Any, option: str | None = None) -> None:
        if value is None:  # the word is left out
            return
        if namespace.configfile:
            raise argparse.ArgumentError(self, f"{namespace.configfile} is given, too. Name one configuration.")
        namespace.configfile = value


def _deep(text: str) -> str | dict[str, float]:
    """A word of ``source.deep``, or a range of grey values, ``LOW,HIGH``."""
    if text in ("refuse", "scale", "stretch"):
        return text
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"found '{text}', expected refuse, scale, stretch or a range LOW,HIGH, such as --deep=-1000,3000"
        ) from None
    return {"low": low, "high": high}


def _function(place: str) -> Callable[..., int | None]:
    """The function ``module:name`` as a command for people: imported when it is called."""
    module, _, name = place.partition(":")
    return lambda **arguments: getattr(importlib.import_module(f"softlabels.{module}"), name)(**arguments)


def _run(configfile: Path | None, **arguments: Any) -> int:
    if importlib.util.find_spec("snakemake") is None:
        raise UserError(_lacking("snakemake"))
    from .launch import run

    return run(configfile=configfile or places.CONFIG, **arguments)


def _check(configfile: Path | None, overrides: list[str]) -> None:
    from . import check, suggest

    if configfile and suggest.is_data(configfile):
        if overrides:
            raise UserError(f"{configfile}: is no configuration, so that it has no keys to replace. Omit --config.")
        suggest.command(configfile)
    else:
        check.command(configfile or places.CONFIG, overrides)


def _seconds(text: str) -> float:
    """How often to look, in seconds."""
    with suppress(ValueError):
        if LEAST_SECONDS <= float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"found '{text}', expected seconds, {LEAST_SECONDS} or more")


def _status(
    results: Path | None,
    configfile: Path | None,
    overrides: list[str],
    json_wanted: bool,
    watched: bool,
    every: float | None,
) -> None:
    from .status import plans_of, render, status

    if every and not watched:
        raise UserError("--every says how often --watch looks. Add --watch, or omit it.")
    if results and (results.is_file() or results.suffix in (".yaml", ".yml")):
        if configfile:
            raise UserError(f"{results} and --configfile {configfile}: these are two configurations. Name one.")
        results, configfile = None, results
    if watched:
        with suppress(KeyboardInterrupt):  # the way to end it
            plans = plans_of(results, configfile, overrides)
            from .watch import watch

            watch(plans, every or SECONDS, json_wanted)
        return
    found = status(plans_of(results, configfile, overrides))
    _print(json.dumps(found, indent=1) if json_wanted else render(found))


def _explain(table: str, row: str, column: str, json_wanted: bool) -> None:
    from .provenance.explain import explain, render

    explained = explain(table, row, column)
    _print(json.dumps(explained, indent=1, ensure_ascii=False) if json_wanted else render(explained))


def _advise(study: str) -> None:
    from .advise import page

    _print(page(study))


def _completion(shell: str) -> None:
    import argcomplete

    _print(argcomplete.shellcode(["softlabels"], shell=shell))


def _print(text: str) -> None:
    try:
        print(text.rstrip(), flush=True)
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _argument(*names: str, **options: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    return names, options


OVERRIDES = _argument(
    "--config", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE", help="replace keys of the configuration"
)
CONFIGURATION = [
    _argument("configfile", type=Path, nargs="?", action=_Configuration, metavar="CONFIG",
              help="configuration (default: config/config.yaml of the repository)"),
    _argument("--configfile", type=Path, action=_Configuration, metavar="CONFIG", help="the same"),
]  # fmt: skip
RESULTS = _argument(
    "paths", type=Path, nargs="*", metavar="PATH",
    help="a results folder, a study's folder or one of its tables (default: that of --configfile, or results)",
)  # fmt: skip
# The commands for people: what is called with the arguments, the line in the list of commands, more words, arguments.
FOR_PEOPLE = {
    "run": (
        _run, "run the workflow to its tables and figures",
        "Say what will run and how long it takes, clear what a killed run left behind, prepare data, run, audit, and "
        "write the page that shows the results. What stands after -- are further options of snakemake.", [
            *CONFIGURATION, OVERRIDES, _argument("--cores", default="all", help="CPU cores to use (default: all)"),
            _argument("--no-report", dest="report", action="store_false",
                      help="neither audit the studies nor write the page that shows them"),
        ]),
    "check": (
        _check, "check a configuration and its data, or find the configuration of a file of votes",
        "Check a configuration, its images and votes, labels and splits; list everything that is wrong. Of a file of "
        "votes (CSV, Parquet, JSON, JSONL, .npy …) in the place of a configuration, say what it seems to be, and print "
        "the configuration that reads it.",
        [*CONFIGURATION, OVERRIDES]),
    "status": (
        _status, "show what is done, running, waiting and failed",
        "Show what is done, running, waiting and failed, from the files of the results folder alone.", [
            _argument("results", type=Path, nargs="?", metavar="PATH",
                      help="results folder, or configuration (default: results)"),
            _argument("--configfile", type=Path, metavar="CONFIG",
                      help="configuration (default: those of the repository that were begun in this folder)"),
            OVERRIDES,
            _argument("--json", dest="json_wanted", action="store_true",
                      help="the same as JSON, every job listed; with --watch a line each time"),
            _argument("--watch", dest="watched", action="store_true",
                      help="look again and again, until all is done or Ctrl-C: also how fast trainings are, how long "
                      "the rest takes, and the memory of this machine's GPUs"),
            _argument("--every", type=_seconds, metavar="SECONDS",
                      help=f"how often --watch looks (default: {SECONDS:g})"),
        ]),
    "predict": (
        _function("predict:predict_folder"), "write the label distributions that a model predicts for a folder of "
        "images", None, [
            _argument("model", type=Path, help="model.safetensors, or head.safetensors, of a run"),
            _argument("folder", type=Path, help="folder of images"),
            _argument("--out", type=Path, default=Path("predictions.csv"),
                      help="CSV to write (default: %(default)s)"),
            _argument("--device", choices=["cpu", "cuda"], default="cpu", help="default: %(default)s"),
            _argument("--resize", choices=["stretch", "crop", "pad"],
                      help="images of another size (default: as the training images; generated ones: stretch)"),
            _argument("--deep", type=_deep, metavar="{refuse,scale,stretch,LOW,HIGH}",
                      help="grey values of more than 8 bits, for example --deep=-1000,3000 (default: as the training "
                      "images; generated ones: refuse)"),
            _argument("--follow-links", action="store_true",
                      help="images and folders of them may be links to places outside of the folder"),
        ]),
    "export": (
        _function("export:export"), "write a data set for Hugging Face, torchvision and others",
        "Write votes, labels and splits of a data set as Parquet with a data set card, and its images as a folder that "
        "Hugging Face's datasets and torchvision read. The data set must have been made.", [
            _argument("dataset", help="name of the data set in the configuration"),
            _argument("--out", type=Path, required=True, metavar="FOLDER", help="new folder to write"),
            _argument("--configfile", type=Path, metavar="CONFIG",
                      help="configuration (default: config/config.yaml of the repository)"),
            OVERRIDES,
            _argument("--split", help="whose parts the folders of images are (default: the first of the studies)"),
            _argument("--seed", type=int, help="seed of that split (default: the first)"),
        ]),
    "explain": (
        _explain, "follow one number of a table back to its images and votes",
        "Follow one number of a table back to its runs, checkpoints, labels, votes and images.", [
            _argument("table", help="table.csv, table.md or table.tex, a study's folder, or its name"),
            _argument("row", help='words that tell the row, such as soft, "soft - hard", uniform'),
            _argument("column", help='words that tell the column, such as kl, "ACC std", metric=kl, "kl seed0"'),
            _argument("--json", dest="json_wanted", action="store_true", help="the same as JSON, with whole hashes"),
        ]),
    "advise": (
        _advise, "say which label a finished study speaks for, and what it leaves open",
        "Say which label a finished study speaks for and why, what is undecided and what would decide it, how many "
        "votes are enough, and which images to read again, as Markdown.", [
            _argument("study", help="a study's name, its folder, or one of its tables"),
        ]),
    "figures": (
        _function("figures:figures"), "draw a finished study's figures for a paper, or for slides",
        "Draw the figures of a finished study again, from its result files: for a paper as wide as one or two columns "
        "(3.4 or 7 inches), as PDF; for slides 13.33 inches wide and 7.5 high with larger letters, as PDF and PNG. The "
        "caption of each is a text file beside it.", [
            _argument("study", help="a study's name, its folder, or one of its tables"),
            _argument("--for", dest="medium", choices=["paper", "slides"], default="paper",
                      help="default: %(default)s"),
            _argument("--out", type=Path, required=True, metavar="FOLDER", help="new folder to write"),
        ]),
    "audit": (
        _function("provenance.audit:command"), "check that every number of a table still follows from its files",
        "Check tables, ledger, manifests and files; write audit/report.md beside them. Exit status 1 if a check "
        "failed.", [
            RESULTS,
            _argument("--strict", action="store_true", help="exit status 1 also for what cannot be checked here"),
            _argument("--configfile", type=Path, nargs="?",
                      help="configuration of the studies (default: search those of the repository)"),
            OVERRIDES,
            _argument("--no-dry-run", dest="dry_run", action="store_false",
                      help="do not ask Snakemake what it would do"),
        ]),
    "report": (
        _function("report.page:command"), "write one page that shows the results, for any browser, offline",
        "Write report/index.html in the results folder: the answer of each study, its tables, each number with what it "
        "was made from, figures, and the test images with what people and networks say of them.", [
            RESULTS,
            _argument("--configfile", type=Path, metavar="CONFIG",
                      help="configuration of the studies: what is missing of them is said, too"),
            OVERRIDES,
            _argument("--images", choices=["thumbnails", "none"],
                      help="pictures of test images, or none (default: as `report.images` of the configuration)"),
        ]),
    "completion": (
        _completion, "print what completes this command line in a shell",
        'Print what completes this command line: eval "$(softlabels completion bash)".',
        [_argument("shell", choices=["bash", "zsh"])]),
}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """The parser of all commands. ``call`` among the arguments takes the others by name; the status may be None."""
    result = argparse.ArgumentParser(prog="softlabels", description=__doc__.split(":")[0], allow_abbrev=False)
    result.add_argument("--version", action="version", version=__version__)
    commands = result.add_subparsers(required=True, metavar="COMMAND")
    for name, (call, text, more, arguments) in FOR_PEOPLE.items():
        added = commands.add_parser(name, help=text, description=more, allow_abbrev=False)
        added.set_defaults(call=call)
        for names, options in arguments:
            added.add_argument(*names, **options)
    for name, rule in COMMANDS.items():
        _add_rule_command(commands, name, rule)
    return result


def main() -> None:
    """Run one command; a user's mistake is one message and status 2, a request to stop that of ``stopping``."""
    if "_ARGCOMPLETE" in os.environ:  # a shell asks
        import argcomplete

        argcomplete.autocomplete(parser())
    words, more = sys.argv[1:], {}
    if words[:1] == ["run"]:
        at = words.index("--") if "--" in words else len(words)
        words, more = words[:at], {"rest": words[at + 1 :]}
    arguments = vars(parser().parse_args(words)) | more
    try:
        status = arguments.pop("call")(**arguments)
    except UserError as error:
        _end(str(error), 2)
    except ModuleNotFoundError as error:
        importers = [frame.filename for frame in traceback.extract_tb(error.__traceback__) if frame.line]
        ours = Path(importers[-1]).resolve().is_relative_to(closure.PACKAGE)
        if not ours or not error.name or error.name.startswith("softlabels"):
            raise
        _end(_lacking(error.name), 2)
    except stopping.Stopped as stop:
        _end(f"{stop}. Run again to go on.", stopping.STATUS)
    except KeyboardInterrupt:
        _end("stopped by Ctrl-C.", 130)
    except MemoryError as error:
        _end(f"Not enough memory ({error}). Ask for more: on a cluster, resource mem_mb of the rule.", 2)
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        _end(f"{error.filename}: {os.strerror(error.errno)}. {CANNOT_WRITE[error.errno]} Then run again.", 2)
    if status is not None:
        sys.exit(status)


def _lacking(package: str) -> str:
    return (
        f"{sys.executable} has no package {package}, which this command needs. Run `make .venv/installed` in "
        f"{places.REPOSITORY}, or activate an environment with the packages of its pyproject.toml."
    )


def _end(message: str, status: int) -> None:
    print(f"softlabels: {message}", file=sys.stderr)
    sys.exit(status)
