"""The command line: thin, one command a rule, plus `run` and `predict` for people."""

from __future__ import annotations

import argparse
import errno
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import __version__, closure, joblog, schema, stopping
from .commands import COMMANDS, Command, bare, entries, option
from .errors import UserError

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
    parser.add_argument(
        "--config", required=True, type=json.loads, metavar="JSON", help="the keys that this command reads"
    )
    for kind, paths in (("input", command.inputs), ("output", command.outputs)):
        for path in paths:
            dest = bare(path)
            nargs = {"*": "+", "?": "?", "*?": "*"}.get(path.removeprefix(dest))
            many = "s, or @FILE that lists them"
            note = {"+": many, "*": f"{many}, where there are any", "?": ", where there is one"}.get(nargs, "")
            parser.add_argument(
                option(path),
                dest=f"{kind}:{dest}",
                type=Path,
                nargs=nargs,
                required="?" not in path,
                metavar="PATH",
                help=f"{kind} file{note}",
            )
    if command.threads:
        parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads to use (default: 1)")
    parser.add_argument("--manifest", type=Path, metavar="PATH", help="where to write what was read, run and written")
    parser.set_defaults(call=lambda arguments: _announce_rule_command(name, command, vars(arguments)))


def _announce_rule_command(name: str, command: Command, arguments: dict[str, Any]) -> None:
    with joblog.announced(name):
        _run_rule_command(name, command, arguments)


def _run_rule_command(name: str, command: Command, arguments: dict[str, Any]) -> None:
    from .provenance import manifest

    inputs, outputs = (
        {key.removeprefix(prefix): value for key, value in arguments.items() if key.startswith(prefix) and value}
        for prefix in ("input:", "output:")
    )
    started, config = manifest.now(), schema.restored(arguments["config"], schema.of_command())

    def finish(facts: dict[str, Any] | None) -> None:
        if arguments["manifest"]:
            manifest.write(arguments["manifest"], name, arguments["config"], inputs, outputs, started, facts or {})
        if command.resumes:
            stopping.ignore()

    if command.resumes:
        stopping.end_at_once()
        run = importlib.import_module(command.module).run
        code = closure.code_hash(entries(name, arguments["config"]))
        run(config, inputs, outputs, code=code, finish=finish)
        return
    extra = {"threads": arguments["threads"]} if command.threads else {}
    finish(importlib.import_module(command.module).run(config, inputs, outputs, **extra))


def _run(arguments: argparse.Namespace) -> None:
    from .launch import run

    sys.exit(run(arguments.cores, arguments.configfile, arguments.overrides, arguments.rest))


def _check(arguments: argparse.Namespace) -> None:
    from .check import command

    command(arguments.configfile, arguments.overrides)


def _status(arguments: argparse.Namespace) -> None:
    from .status import plans_of, render, status

    found = status(plans_of(arguments.results, arguments.configfile, arguments.overrides))
    _print(json.dumps(found, indent=1) if arguments.json else render(found))


def _predict(arguments: argparse.Namespace) -> None:
    from .predict import predict_folder

    predict_folder(arguments.model, arguments.folder, arguments.out, arguments.device, arguments.resize, arguments.deep)


def _explain(arguments: argparse.Namespace) -> None:
    from .provenance.explain import explain, render

    explained = explain(arguments.table, arguments.row, arguments.column)
    _print(json.dumps(explained, indent=1, ensure_ascii=False) if arguments.json else render(explained))


def _print(text: str) -> None:
    try:
        print(text.rstrip(), flush=True)
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _audit(arguments: argparse.Namespace) -> None:
    from .provenance.audit import command

    sys.exit(
        command(
            arguments.paths,
            strict=arguments.strict,
            configfile=arguments.configfile,
            dry_run=arguments.dry_run,
        )
    )


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    result = argparse.ArgumentParser(prog="softlabels", description=__doc__.split(":")[0], allow_abbrev=False)
    result.add_argument("--version", action="version", version=__version__)
    commands = result.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, call: Callable, text: str, more: str | None = None) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=more, allow_abbrev=False)
        added.set_defaults(call=call)
        return added

    def overridable(added: argparse.ArgumentParser) -> None:
        text = "replace keys of the configuration"
        added.add_argument("--config", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE", help=text)

    run = command(
        "run",
        _run,
        "run the workflow to its tables and figures",
        "Say what will run and how long it takes, clear what a killed run left behind, prepare data, run.",
    )
    run.add_argument("--cores", default="all", help="CPU cores to use (default: all)")
    run.add_argument("--configfile", type=Path, default=Path("config/config.yaml"), help="configuration")
    overridable(run)
    run.add_argument("rest", nargs=argparse.REMAINDER, help="-- and further options of snakemake")

    check = command(
        "check",
        _check,
        "check a configuration and its data, without training",
        "Check a configuration, its images and votes, labels and splits; list everything that is wrong.",
    )
    check.add_argument("configfile", type=Path, metavar="CONFIG", help="configuration")
    overridable(check)

    status = command(
        "status",
        _status,
        "show what is done, running, waiting and failed",
        "Show what is done, running, waiting and failed, from the files of the results folder alone.",
    )
    status.add_argument("results", type=Path, nargs="?", metavar="RESULTS", help="results folder (default: results)")
    status.add_argument(
        "--configfile", type=Path, help="configuration (default: those of config/ that were begun in this folder)"
    )
    overridable(status)
    status.add_argument("--json", action="store_true", help="the same as JSON, every job listed")

    predict = command("predict", _predict, "write the label distributions that a model predicts for a folder of images")
    predict.add_argument("model", type=Path, help="model.safetensors of a run")
    predict.add_argument("folder", type=Path, help="folder of images")
    predict.add_argument(
        "--out", type=Path, default=Path("predictions.csv"), help="CSV to write (default: %(default)s)"
    )
    predict.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="default: %(default)s")
    predict.add_argument(
        "--resize",
        choices=["stretch", "crop", "pad"],
        default="stretch",
        help="images of another size (default: %(default)s)",
    )
    predict.add_argument(
        "--deep",
        choices=["refuse", "scale", "stretch"],
        default="refuse",
        help="16-bit grey: as source.deep of the training images (default: %(default)s)",
    )

    explain = command(
        "explain",
        _explain,
        "follow one number of a table back to its images and votes",
        "Follow one number of a table back to its runs, checkpoints, labels, votes and images.",
    )
    explain.add_argument("table", help="table.csv, table.md or table.tex, a study's folder, or its name")
    explain.add_argument("row", help='words that tell the row, such as soft, "soft - hard", uniform')
    explain.add_argument("column", help='words that tell the column, such as kl, "ACC std", metric=kl, "kl seed0"')
    explain.add_argument("--json", action="store_true", help="the same as JSON, with whole hashes")

    audit = command(
        "audit",
        _audit,
        "check that every number of a table still follows from its files",
        "Check tables, ledger, manifests and files; write audit/report.md beside them. Exit status 1 if a "
        "check failed.",
    )
    audit.add_argument(
        "paths",
        type=Path,
        nargs="*",
        default=[Path("results")],
        metavar="PATH",
        help="a results folder, a study's folder or one of its tables (default: results)",
    )
    audit.add_argument("--strict", action="store_true", help="exit status 1 also for what cannot be checked here")
    audit.add_argument(
        "--configfile", type=Path, nargs="?", help="configuration of the studies (default: search config/)"
    )
    audit.add_argument(
        "--no-dry-run", dest="dry_run", action="store_false", help="do not ask Snakemake what it would do"
    )

    for name, rule in COMMANDS.items():
        _add_rule_command(commands, name, rule)
    return result


def main() -> None:
    """Run one command; a user's mistake is one message and status 2, a request to stop that of ``stopping``."""
    arguments = parser().parse_args()
    try:
        arguments.call(arguments)
    except UserError as error:
        _end(str(error), 2)
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


def _end(message: str, status: int) -> None:
    print(f"softlabels: {message}", file=sys.stderr)
    sys.exit(status)
