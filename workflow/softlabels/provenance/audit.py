"""The audit: whether every number of a table still follows from what is in the results folder.

Needs NumPy and pyarrow only. What also needs YAML, git or Snakemake is "unknown" without them, never "pass".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .. import io
from ..documents import Bullets, Code, Document, Heading, Table, markdown
from ..errors import UserError
from ..places import AUDIT, of_study
from . import checks_code, checks_files, checks_metrics, checks_numbers, checks_runs, configured
from .evidence import Results, study_of
from .findings import FAIL, NOTE, UNKNOWN, Check, Scope, each, unknown

PASS = "pass"
WITHOUT_MANIFESTS = {"A01", "A02", "A03", "A16"}
LONGEST_EVIDENCE = 20  # lines of evidence that a report prints for one check


class Verdict(NamedTuple):
    """The outcome of one check."""

    id: str  # such as A05
    title: str  # what should be true
    verdict: str  # pass, fail or unknown
    evidence: list[str]  # file, found and expected of each fault; why it is unknown; notes
    remedy: str  # what to do


AGAIN = "run the workflow again (softlabels run), or restore the file from a backup"
RUNS_AGAIN = "delete the folders of the runs that are named and run again"
# What should be true, what to do if it is not, and the functions that look.
CHECKS: dict[str, tuple[str, str, tuple[Check, ...]]] = {
    "A01": ("every number in a table has one row in the ledger, and every row its number",
            "never edit a table: delete studies/<study>/table.* and run again",
            (checks_numbers.csv_is_the_ledger, checks_numbers.decimals_are_printed)),
    "A02": ("the tables are the ledger, printed again byte for byte",
            "delete studies/<study>/cells.parquet and table.*, and run again",
            (checks_numbers.texts_are_rounded, checks_numbers.tables_are_the_ledger)),
    "A03": ("every aggregate follows from the evaluation files",
            "delete studies/<study>/cells.parquet and run again",
            (checks_numbers.aggregates_are_right,)),
    "A04": ("metrics computed a second way from the stored predictions are the same",
            "delete the file of scores that is named and run again; if it stays, one of the two implementations is "
            "wrong",
            (checks_metrics.metrics_are_right, checks_metrics.reference_rows_are_right,
             checks_metrics.what_is_computed_again)),
    "A05": ("every file of the results, and the sources they came from, have the hashes of the manifests",
            AGAIN,
            (checks_files.files_are_unchanged, checks_files.sources_are_unchanged,
             checks_files.given_files_are_unchanged)),
    "A06": ("the chain of manifests behind each table is closed and unchanged",
            AGAIN,
            (checks_files.chain_is_closed,)),
    "A07": ("each job ran with what its study defines, and with the configuration of today",
            "run again with the configuration as it is, or restore the configuration that the results were made with",
            (checks_code.as_the_study_says, checks_code.as_configured_now)),
    "A08": ("the code that ran is the code that is here",
            "run again with the code as it is, or check out the commit that the manifest names",
            (checks_code.code_is_unchanged, checks_code.metric_code_is_unchanged)),
    "A09": ("the packages that ran are pinned, and the same for all jobs of a table",
            "install requirements.lock (make run does), delete the odd runs and run again",
            (checks_code.packages_are_pinned, checks_code.packages_agree)),
    "A10": ("no module came from outside Python, the environment and the package",
            "unset PYTHONPATH, remove the foreign module, delete what it made and run again",
            (checks_code.modules_are_ours,)),
    "A11": ("all trainings of a table share GPU, driver, torch and determinism",
            "delete the odd runs and train them on the same kind of machine",
            (checks_code.machines_are_alike, checks_code.trainings_are_deterministic)),
    "A12": ("every seed ran, none twice, and no two trainings gave the same file",
            RUNS_AGAIN,
            (checks_runs.seeds_are_complete,)),
    "A13": ("the runs of one seed share split, initial weights and order",
            RUNS_AGAIN,
            (checks_runs.runs_are_paired,)),
    "A14": ("no item or group is in two parts of a split, and every run used its split",
            "delete the split and the runs that are named and run again",
            (checks_runs.nothing_leaks, checks_runs.splits_are_used)),
    "A15": ("the commit that ran is known, and what differed from it is archived",
            "fetch the commit, or restore audit/diffs/; else commit and run again",
            (checks_code.commits_are_known, checks_code.changes_are_archived)),
    "A16": ("no file is left over, and Snakemake has nothing to do",
            "move the files away that no manifest lists; run the workflow to its end",
            (checks_files.nothing_is_left_over, checks_files.nothing_is_to_be_done)),
    "A19": ("votes, reference and labels agree, and distributions sum to 1",
            "delete the data set or label that is named and run again",
            (checks_runs.reference_follows_from_votes, checks_runs.labels_follow_from_votes)),
    "A20": ("the log and the benchmark of every job are kept",
            "restore logs/ and benchmarks/ from a backup, or delete what those jobs wrote and run again",
            (checks_files.logs_are_kept, checks_files.slurm_jobs_are_known)),
    "A21": ("each linear head has the penalty of the least validation cross-entropy, and gave its predictions",
            RUNS_AGAIN,
            (checks_runs.heads_follow,)),
}  # fmt: skip


def audit(
    root: Path, studies: list[str] | None = None, *, configfile: Path | None = None, overrides: Sequence[str] = (),
    dry_run: bool = True,
) -> list[Verdict]:  # fmt: skip
    """Audit studies of a results folder.

    Args:
        root: the results folder.
        studies: names of studies; None for all that are there.
        configfile: the configuration that defines them; None to search beside the package.
        overrides: ``key=value`` pairs that replace keys of it.
        dry_run: whether to ask Snakemake what it would do.

    Raises:
        UserError: no results folder, no such study, or no study at all; a wrong configuration.
    """
    given = configured.Given(configfile.resolve(), tuple(overrides)) if configfile else None
    own = configured.own_entries(given, root) if given else ()
    results = Results(root)
    for study in studies or ():
        if study not in results.studies:
            raise UserError(f"{root}: found no study {study}; there are: {', '.join(results.studies) or 'none'}.")
    if not results.studies:
        raise UserError(f"{root}: found no study with a table, expected one in studies/. Run the workflow first.")
    scope = Scope(results, studies or results.studies, given, dry_run, own)
    return [_verdict(scope, name) for name in CHECKS]


def _verdict(scope: Scope, name: str) -> Verdict:
    title, remedy, checks = CHECKS[name]
    findings = list(each(checks, lambda check: check(scope), lambda _: name))
    if name not in WITHOUT_MANIFESTS:  # nothing that was not looked at may pass
        findings += [unknown(f"{path}: without this manifest its job was not checked") for path in scope.unread]
    findings.sort(key=lambda finding: (FAIL, UNKNOWN, NOTE).index(finding.kind))
    worst = findings[0].kind if findings else NOTE
    verdict = PASS if worst == NOTE else worst
    evidence = list(dict.fromkeys(_plain(finding.text) for finding in findings))
    remedies = dict.fromkeys(finding.remedy or remedy for finding in findings if finding.kind == worst)
    return Verdict(name, title, verdict, evidence, "" if verdict == PASS else "; ".join(remedies))


def _plain(text: str) -> str:
    """One line that can be printed anywhere: names of files and values come from files that anybody may have made."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


# -- reports -----------------------------------------------------------------------------------------------------------


def summary(verdicts: list[Verdict]) -> str:
    """Such as "17 pass, 0 fail, 1 unknown"."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    return ", ".join(f"{counts[kind]} {kind}" for kind in (PASS, FAIL, UNKNOWN))


def printed(verdicts: list[Verdict]) -> str:
    """One line a check, the evidence below what did not pass, and the summary."""
    lines = []
    for verdict in verdicts:
        lines.append(f"{verdict.id}  {verdict.verdict:7}  {verdict.title}")
        if verdict.verdict != PASS:
            lines += [f"       {line}" for line in shortened(verdict.evidence)]
            lines.append(f"       → {verdict.remedy}")
    return "\n".join([*lines, summary(verdicts)])


def shortened(evidence: list[str]) -> list[str]:
    """So much evidence as a report shows, and how much more there is."""
    more = len(evidence) - LONGEST_EVIDENCE
    return evidence[:LONGEST_EVIDENCE] + ([f"and {more} more, in {AUDIT}/report.json"] if more > 0 else [])


def write_report(root: Path, studies: list[str], verdicts: list[Verdict]) -> None:
    """Write ``audit/report.json`` and ``audit/report.md`` in the results folder; a UserError if that cannot be."""
    folder = root.resolve() / AUDIT
    if not folder.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{folder}: leads out of the results folder by a link. Remove the link.")
    results = Results(root)
    ledgers = {study: results.sha256(path) for study in studies if (path := of_study(study, "cells")) in results.files}
    content = {
        "studies": studies,
        "ledgers": ledgers,
        "summary": summary(verdicts),
        "checks": [verdict._asdict() for verdict in verdicts],
    }
    rows = [[verdict.id, verdict.verdict, verdict.title] for verdict in verdicts]
    parts = [summary(verdicts), Table("", ["check", "verdict", ""], rows)]
    for verdict in verdicts:
        if verdict.evidence:
            bullets = Bullets(list(map(Code, shortened(verdict.evidence))))
            parts += [Heading(f"{verdict.id}: {verdict.verdict}"), bullets]
            parts += [f"Remedy: {verdict.remedy}."] * bool(verdict.remedy)
    try:
        io.write_json(folder / "report.json", content)
        io.write_text(folder / "report.md", markdown(Document(f"Audit of {', '.join(studies)}", parts)))
    except OSError as error:
        message = f"{folder}: the report cannot be written ({error.strerror}). Make the folder writable."
        raise UserError(message) from None


# -- the command line --------------------------------------------------------------------------------------------------


def located(path: Path) -> tuple[Path, str | None]:
    """The results folder, and the study, that a path on the command line means; a UserError for any other path."""
    if study := study_of(path):
        return study
    if (path / "studies").is_dir():
        return path.resolve(), None
    raise UserError(
        f"{path.resolve()}: found no results, expected a results folder, a study's folder or a table in it."
    )


def command(
    paths: list[Path], *, strict: bool, configfile: Path | None, dry_run: bool, overrides: Sequence[str] = ()
) -> int:
    """Audit what some paths mean, print the verdicts and write the reports.

    Returns:
        The exit status: 1 if a check failed (or, where ``strict``, is unknown), else 0.
    """
    wanted: dict[Path, list[str | None]] = {}
    if overrides and not configfile:
        raise UserError("--config replaces keys of a configuration. Name it with --configfile.")
    given = configured.Given(configfile.resolve(), tuple(overrides)) if configfile else None
    for path in paths or [configured.results(given)]:
        root, study = located(path)
        wanted.setdefault(root, []).append(study)
    bad = {FAIL, UNKNOWN} if strict else {FAIL}
    status = 0
    for root, names in wanted.items():
        studies = None if None in names else sorted({name for name in names if name})
        verdicts = audit(root, studies, configfile=configfile, overrides=overrides, dry_run=dry_run)
        write_report(root, studies or Results(root).studies, verdicts)
        print(printed(verdicts))
        status |= any(verdict.verdict in bad for verdict in verdicts)
    return int(status)
