"""Numbers in a text: where they stand, and whether a claim accounts for them.

A **claim** is the words around some numbers, each of which is a ``#``, and what gives these numbers:

    claim("README.md", "after 10 epochs # ± # against # ± #", lambda: b.pm("hard", "macro_acc", epochs=10) + b.pm(…))

Blank space matches any blank space, also the end of a line. A digit among the words (the 10) is a setting: it says
which numbers are meant. A printed number is right if the recomputed one rounds to it at its last digit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .archive import Unavailable, Wrong
from .study import Number

TOKEN = r"(?<![A-Za-z0-9_.,])[+−-]?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)"
LINK = re.compile(r"\]\([^)]*\)|<[^>]*>")  # where a link leads, and tags: no number there is a claim
ROUNDING = 1e-9  # of half a unit: a value between two printed ones may be either
Values = Callable[[], Sequence[Number | None]]


class Problem(NamedTuple):
    """What is wrong with a line of a file."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class Skipped(NamedTuple):
    """Words, or a cell of a table, that cannot be checked here, and why."""

    file: str
    words: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}: '{self.words}': {self.why}"


class Checked(NamedTuple):
    """A printed number beside the recomputed one."""

    file: str
    line: int
    at: int  # its position in the file
    printed: str
    value: float
    origin: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.printed} is {self.value:.6g} ({self.origin})"


@dataclass
class Text:
    """A file, and which of its characters claims account for."""

    name: str
    text: str

    def __post_init__(self) -> None:
        self.covered: dict[int, str] = {}  # position of a number -> the claim

    def line(self, position: int) -> int:
        """The line of a position, from 1."""
        return self.text.count("\n", 0, position) + 1

    def tokens(self, start: int = 0, end: int | None = None) -> list[re.Match[str]]:
        """The numbers between two positions, but for those inside links and tags."""
        hidden = [match.span() for match in LINK.finditer(self.text)]
        found = re.compile(TOKEN).finditer(self.text, start, len(self.text) if end is None else end)
        return [match for match in found if not any(low <= match.start() < high for low, high in hidden)]

    def cover(self, start: int, end: int, claim: str) -> Iterator[Problem]:
        """Note that a claim accounts for all numbers of a span."""
        for token in self.tokens(start, end):
            other = self.covered.setdefault(token.start(), claim)
            if other != claim:
                yield Problem(
                    self.name, self.line(token.start()),
                    f"{token[0]} belongs to two claims, '{_short(other)}' and '{_short(claim)}'. Shorten one.",
                )  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """Words with numbers in a file, and what they are; see above."""

    file: str
    words: str
    values: Values

    def check(self, text: Text, found: list[Checked]) -> Iterator[Problem | Skipped]:
        """Compare the numbers of the text with the recomputed ones, which are added to ``found``."""
        matches = list(re.finditer(_pattern(self.words), text.text))
        if len(matches) != 1:
            yield Problem(text.name, *_astray(text, self.words, len(matches)))
            return
        yield from text.cover(*matches[0].span(), self.words)
        printed = [(matches[0].start(k + 1), token) for k, token in enumerate(matches[0].groups())]
        yield from _compare(text, printed, self.values, self.words, found, matches[0].start())


@dataclass(frozen=True)
class Table:
    """A table of Markdown: its first heading, what each row's label stands for, and the numbers of each column.

    ``columns`` gives, by heading, the numbers of a cell from what the row's label stands for; ``bold`` which column is
    bold in a row (None: none of them), if that is a claim, too.
    """

    file: str
    corner: str
    rows: Mapping[str, Any]
    columns: Mapping[str, Callable[[Any], Sequence[Number | None]]]
    bold: Callable[[Any], str | None] | None = None

    def check(self, text: Text, found: list[Checked]) -> Iterator[Problem | Skipped]:
        """As for a claim; every row and column must be known."""
        lines = [(match.start(), match[0]) for match in re.finditer(r"^\|.*$", text.text, re.MULTILINE)]
        heads = [k for k, (_, line) in enumerate(lines) if _cells(line)[0][1] == self.corner]
        if len(heads) != 1:
            yield Problem(
                text.name, 1, f"found {len(heads)} tables whose first heading is '{self.corner}', expected 1."
            )
            return
        start, line = lines[heads[0]]
        names = [cell for _, cell in _cells(line)][1:]
        if names != list(self.columns):
            yield Problem(text.name, text.line(start), f"found the columns {names}, expected {list(self.columns)}.")
            return
        body, end = [], start + len(line)
        for position, row in lines[heads[0] + 1 :]:
            if position != end + 1:
                break  # another table
            end = position + len(row)
            if not re.fullmatch(r"[|\s:-]+", row):
                body.append((position, _cells(row)))
        yield from text.cover(start, end, self.corner)
        left = dict(self.rows)
        for position, ((_, label), *cells) in body:
            if label not in left:
                yield Problem(text.name, text.line(position), f"no claim knows the row '{label}' of '{self.corner}'.")
                continue
            if len(cells) != len(names):
                yield Problem(text.name, text.line(position), f"found {len(cells)} cells, expected {len(names)}.")
                continue
            there = [(position + at, cell) for at, cell in cells]
            yield from self._row(text, left.pop(label), label, there, found)
        for label in left:
            yield Problem(text.name, text.line(start), f"the table '{self.corner}' has no row '{label}'.")

    def _row(
        self, text: Text, of: Any, label: str, cells: list[tuple[int, str]], found: list[Checked]
    ) -> Iterator[Problem | Skipped]:
        for (at, cell), (heading, numbers) in zip(cells, self.columns.items(), strict=True):
            tokens = [(match.start(), match[0]) for match in text.tokens(at, at + len(cell))]
            yield from _compare(text, tokens, partial(numbers, of), f"{label} | {heading}", found, at)
        with suppress(Unavailable):  # told of the cells
            if self.bold is None:
                return
            bold = [heading for (_, cell), heading in zip(cells, self.columns, strict=True) if cell.startswith("**")]
            expected = [heading for heading in (self.bold(of),) if heading is not None]
            if bold != expected:
                yield Problem(
                    text.name,
                    text.line(cells[0][0]),
                    f"{label}: found {_all(bold)} in bold, expected {_all(expected)}.",
                )


def _compare(
    text: Text, printed: Sequence[tuple[int, str]], numbers: Values, words: str, found: list[Checked], start: int
) -> Iterator[Problem | Skipped]:
    """Compare numbers of a text, each with its position, with what a function computes; ``start`` is where they are."""
    try:
        values = [value for value in numbers() if value is not None]
    except Unavailable as why:
        yield Skipped(text.name, _short(words), str(why))
        return
    except Wrong as error:
        yield Problem(text.name, text.line(start), f"'{_short(words)}': {error}")
        return
    if len(printed) != len(values):
        yield Problem(
            text.name,
            text.line(start),
            f"'{_short(words)}': found {len(printed)} numbers, but {len(values)} are computed.",
        )
        return
    for (position, token), value in zip(printed, values, strict=True):
        line = text.line(position)
        found.append(Checked(text.name, line, position, token, value, value.origin))
        if not agrees(token, value):
            yield Problem(text.name, line, f"found {token}, expected {as_printed(token, value)} ({value.origin}).")


def agrees(token: str, value: float) -> bool:
    """Whether a printed number is what a value rounds to at the number's last digit."""
    unit = 10.0 ** -_decimals(token)
    sign = {"+": 1, "−": -1, "-": -1}.get(token[0], 0)  # a rounded 0 keeps the sign of what it was
    return abs(float(_plain(token)) - value) <= unit / 2 * (1 + ROUNDING) + 1e-12 and sign * value >= -1e-12


def as_printed(token: str, value: float) -> str:
    """A value with the decimals of a printed number, and a sign if that one has any."""
    return f"{value:{'+' if token[0] in '+−-' else ''},.{_decimals(token)}f}".replace("-", "−")


def corrected(text: str, found: Iterable[Checked]) -> str:
    """A text with each number that is off replaced by the recomputed one, with as many decimals."""
    for number in sorted(found, key=lambda number: -number.at):
        if not agrees(number.printed, number.value):
            end = number.at + len(number.printed)
            text = text[: number.at] + as_printed(number.printed, number.value) + text[end:]
    return text


def _plain(token: str) -> str:
    return token.replace("−", "-").replace(",", "")


def _decimals(token: str) -> int:
    return len(token.partition(".")[2])


def _pattern(words: str) -> str:
    """The regular expression of a claim's words."""
    return f"({TOKEN})".join(map(_literal, words.split("#")))


def _literal(words: str) -> str:
    """The regular expression of words, between which any blank space may stand."""
    return r"\s+".join(map(re.escape, re.split(r"\s+", words)))


def _astray(text: Text, words: str, count: int) -> tuple[int, str]:
    """Line and message of words that are not there once: if they are nowhere, as far as they go."""
    if count:
        return 1, f"'{_short(words)}' is there {count} times, expected once. Add words to the claim."
    ends = [match.start() for match in re.finditer(r"\s+", words)]
    for end in reversed(ends):
        matches = list(re.finditer(_pattern(words[:end]), text.text))
        if matches:
            there, wanted = text.text[matches[0].end() :][:60].split(), words[end:].split()
            return text.line(matches[0].end()), (
                f"'{_short(words)}' is not there: after '{words[:end][-40:]}' found '{' '.join(there[:5])}', expected "
                f"'{' '.join(wanted[:5])}'. Correct the text or the claim."
            )
    return 1, f"'{_short(words)}' is not there. Correct the text or the claim."


def _cells(line: str) -> list[tuple[int, str]]:
    """Where each cell of a row begins, and its text, without blanks around it."""
    return [
        (match.start(1) + len(match[1]) - len(match[1].lstrip()), match[1].strip())
        for match in re.finditer(r"\|((?:[^|\\]|\\.)*)(?=\|)", line)
    ]


def _all(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


def _short(words: str) -> str:
    words = " ".join(words.split())
    return words if len(words) <= 60 else f"{words[:57]}…"


def check(
    texts: Mapping[str, Text], claims: Iterable[Claim | Table], settings: Mapping[str, Sequence[str]],
    whole: Mapping[str, str | None],
) -> tuple[list[Checked], list[Problem], list[Skipped]]:  # fmt: skip
    """Compare texts with claims.

    Args:
        texts: by file.
        claims: what they say.
        settings: by file, words with numbers that are no results (how much was trained on, cited numbers); each must
            be there, and covers all places where it is.
        whole: files of which every number must be accounted for; of one with a heading, only that section.

    Returns:
        Numbers that were compared, problems, and why some claims could not be checked here.
    """
    found: list[Checked] = []
    problems: list[Problem] = []
    skipped: list[Skipped] = []
    for claim in claims:
        if claim.file not in texts:
            problems.append(Problem(claim.file, 1, "there is no such file, but a claim is about it."))
            continue
        for each in claim.check(texts[claim.file], found):
            (skipped if isinstance(each, Skipped) else problems).append(each)
    for file in {**settings, **whole}:
        if file not in texts:
            problems.append(Problem(file, 1, "there is no such file, but its numbers are to be checked."))
    for file in filter(texts.__contains__, settings):
        for setting in settings[file]:
            problems += _setting(texts[file], setting)
    for file in filter(texts.__contains__, whole):
        problems += _unclaimed(texts[file], whole[file])
    return found, problems, skipped


def _setting(text: Text, words: str) -> Iterator[Problem]:
    matches = list(re.finditer(_literal(words), text.text))
    if not matches:
        yield Problem(text.name, 1, f"the setting '{words}' is not there any more. Take it off the list.")
    for match in matches:
        for token in text.tokens(*match.span()):
            text.covered.setdefault(token.start(), "a setting")


def _unclaimed(text: Text, heading: str | None) -> Iterator[Problem]:
    start, end = 0, len(text.text)
    if heading is not None:
        match = re.search(rf"^## {re.escape(heading)}.*$", text.text, re.MULTILINE)
        if not match:
            yield Problem(text.name, 1, f"found no section '## {heading}', expected one.")
            return
        start = match.start()
        following = re.compile(r"^## ", re.MULTILINE).search(text.text, match.end())
        end = following.start() if following else end
    for token in text.tokens(start, end):
        if token.start() not in text.covered:
            around = re.sub(r"\s+", " ", text.text[max(start, token.start() - 40) : token.end() + 25])
            yield Problem(
                text.name, text.line(token.start()),
                f"no claim accounts for {token[0]} in '…{around}…'. Add a claim, or a setting if it is no result.",
            )  # fmt: skip


def read(root: Path, files: Iterable[str]) -> dict[str, Text]:
    """The texts of those files that there are."""
    return {file: Text(file, (root / file).read_text(encoding="utf-8")) for file in files if (root / file).is_file()}
