"""Documents as values, written as Markdown, LaTeX and HTML by this one module.

Text is literal: a ``str`` is printed as it is, whatever it holds, so no name out of somebody's data can break a page.
What is not plain is said by a type: ``Bold``, ``Code``, ``Link``, or a tuple of pieces, such as ``(Bold("n"), ": 3")``.
A ``Number`` is printed as any text, and remembers where it is from.
White space in a text is one space, and control characters, which have no glyph, are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Any, NamedTuple
from urllib.parse import quote

COLUMNS = 8  # of a table that may be cut into panels
ROWS = 40  # of one floating table of LaTeX


class Bold(str):
    """Bold text."""


class Code(str):
    """Text in a typewriter's letters."""


class Number(str):
    """A number as it is printed; ``key`` says which aggregate of the ledger it is of. It compares as its text."""

    key: tuple

    def __new__(cls, text: str, key: tuple):
        number = super().__new__(cls, text)
        number.key = key
        return number


class BoldNumber(Number, Bold):
    """A number in bold."""


class Link(NamedTuple):
    """A link to a file beside the document."""

    text: str
    path: str


Text = str | Link | tuple  # a tuple of pieces that are themselves no tuples


def in_bold(text: str) -> Bold:
    """A text in bold; a number still knows its key."""
    return BoldNumber(text, text.key) if isinstance(text, Number) else Bold(text)


def joined(separator: str, texts: Iterable[Text]) -> tuple:
    """Texts with a separator between them, as one text whose pieces are still what they were."""
    pieces = [piece for text in texts for piece in (separator, *(text if type(text) is tuple else (text,)))]
    return tuple(pieces[1:])


class Heading(NamedTuple):
    """Begins a section."""

    text: Text


class Bullets(NamedTuple):
    """A list."""

    items: Sequence[Text]


class Picture(NamedTuple):
    """An image file beside the document."""

    path: str
    alt: str


class Rule(NamedTuple):
    """A line across the page."""


class Table(NamedTuple):
    """A table.

    Attributes:
        title: its heading, or "".
        header, rows: cells; every row has as many as the header.
        notes: what stands below it.
        align: a letter a column: ``r``, or ``p`` for text that LaTeX breaks into lines; any other means left.
        keys: how many leading columns say what a row is about. If there are any, a table of more than ``COLUMNS``
            columns becomes several panels that repeat them; without, it stands as it is.
    """

    title: str
    header: Sequence[Text]
    rows: Sequence[Sequence[Text]]
    notes: Sequence[Text] = ()
    align: str = ""
    keys: int = 0

    def panels(self) -> Iterator[Table]:
        """The tables, without title and notes, that are printed below each other."""
        keys, n = self.keys, len(self.header)
        columns = list(zip(self.align[:n].ljust(n), self.header, *self.rows, strict=True))
        width = max(1, COLUMNS - keys) if keys and len(columns) > COLUMNS else len(columns)
        for start in range(keys, max(len(columns), keys + 1), width):
            align, header, *rows = zip(*columns[:keys], *columns[start : start + width], strict=True)
            yield Table("", header, rows, align="".join(c if c in "rp" else "l" for c in align))


class Document(NamedTuple):
    """A page: a part is a heading, table, list, picture, rule, or a text, which is a paragraph."""

    title: str
    parts: Sequence[Heading | Table | Bullets | Picture | Rule | Text]


def _plain(text: str) -> str:
    text = re.sub(r"\s+", " ", text)
    return re.sub("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]", "\ufffd", text)


def _clean(piece: str | Link) -> str | Link:
    """A piece of a text, of the same type, whose characters can all be printed."""
    if isinstance(piece, Link):
        return piece._replace(text=_plain(piece.text))
    return type(piece)(_plain(piece), *([piece.key] if isinstance(piece, Number) else []))


def _flat(document: Document) -> Iterator[Any]:
    """The parts, where a table is a heading, its panels and a list of notes."""
    for part in document.parts:
        if isinstance(part, Table):
            yield from [Heading(part.title)] * bool(part.title)
            yield from part.panels()
            yield from [Bullets(part.notes)] * bool(part.notes)
        else:
            yield part


def _written(text: Text, write: Callable[[Any], str]) -> str:
    """A text whose pieces are written by ``write``."""
    pieces = text if type(text) is tuple else (text,)
    return "".join(write(_clean(piece)) for piece in pieces if piece)


# -- Markdown ----------------------------------------------------------------------------------------------------------

# What CommonMark and GitHub give a meaning in the middle of a line. An underscore inside a word has none, nor has "<"
# before a number, nor brackets that no link follows.
INLINE = re.compile(
    r"[\\`*$]|(?<!/)~|(?<!\w)_+|_+(?!\w)|\](?=[(\[:])|<(?!\d[\d.]*(?:\s|$)|\s)|&(?=#?\w+;)"  # a URL may hold /~
)
BLOCK = re.compile(r"(?:[-+](?=[\s-]|$)|#|>|\[(?=[ xX]\]\s)|\d{1,9}(?=[.)](?:\s|$)))")  # at the start of a line


def markdown(document: Document) -> str:
    """The document as CommonMark with the tables of GitHub."""
    writers = {
        Heading: lambda part: "## " + _heading(part.text),
        Bullets: lambda part: "\n".join(f"- {_line(item)}" for item in part.items),
        Picture: lambda part: f"![{_markdown(part.alt)}]({quote(part.path)})",
        Rule: lambda part: "---",
        Table: _markdown_table,
    }
    blocks = [writers.get(type(part), _line)(part) for part in _flat(document)]
    return "\n\n".join(["# " + _heading(document.title), *blocks]) + "\n"


def _markdown_table(table: Table) -> str:
    header, *rows = [[_markdown(cell).replace("|", "\\|") for cell in line] for line in (table.header, *table.rows)]
    lines = [header, ["---:" if c == "r" else "---" for c in table.align], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown(text: Text) -> str:
    return _written(text, _markdown_piece)


def _markdown_piece(piece: str | Link) -> str:
    if isinstance(piece, Link):
        return f"[{_markdown_piece(piece.text)}]({quote(piece.path)})"
    if isinstance(piece, Code) and not re.search(r"\\+\|", piece):  # which no code in a table can hold
        fence = "`" * (1 + max(map(len, re.findall("`+", piece)), default=0))
        space = " " if piece[0] in " `" or piece[-1] in " `" else ""
        return f"{fence}{space}{piece}{space}{fence}"
    text = INLINE.sub(_escaped, piece)
    return f"**{text.strip()}**" if isinstance(piece, Bold) and text.strip() else text


def _escaped(found: re.Match) -> str:
    return {"<": "&lt;", "&": "&amp;"}.get(found[0]) or "".join(f"\\{character}" for character in found[0])


def _line(text: Text) -> str:
    """A text that begins a line, where a number or a dash would begin a list."""
    line = _markdown(text).strip()
    mark = BLOCK.match(line)
    return line if mark is None else f"{mark[0]}\\{line[mark.end() :]}" if mark[0].isdigit() else f"\\{line}"


def _heading(text: Text) -> str:
    return re.sub("#$", r"\\#", _markdown(text))  # which would end it


# -- LaTeX -------------------------------------------------------------------------------------------------------------

LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$",
    "^": r"\^{}", "~": r"\~{}", "<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", "∞": r"$\infty$",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--", "−": "$-$", "ε": r"$\varepsilon$", "²": r"$^2$",
    "†": r"\dag{}", "‡": r"\ddag{}", "×": r"$\times$", "·": r"$\cdot$",
}  # fmt: skip


def latex(document: Document) -> str:
    """The document as a piece of LaTeX: floating tables of at most ``ROWS`` rows, to be included by another one."""
    writers = {
        Heading: lambda part: rf"\section*{{{_latex(part.text)}}}",
        Bullets: lambda part: "\n".join(
            [r"\begin{itemize}", *(rf"\item {{}}{_latex(item)}" for item in part.items), r"\end{itemize}"]
        ) if part.items else "",
        Picture: lambda part: rf"\includegraphics[width=\linewidth]{{{_latex(part.path)}}}",
        Rule: lambda part: r"\hrule",
        Table: lambda part: "\n\n".join(_latex_tables(part)),
    }  # fmt: skip
    blocks = [writers.get(type(part), _latex)(part) for part in document.parts]
    title = f"% {_plain(document.title)}. Include with \\input in a document that has \\usepackage{{booktabs}}."
    if not "".join(blocks).isascii():
        title += " Some characters need LuaLaTeX or XeLaTeX, and a font that has them."
    return "\n\n".join([title, *blocks]) + "\n"


def _latex_tables(table: Table) -> Iterator[str]:
    caption = " ".join(map(_latex, [*[f"{table.title}."] * bool(table.title), *table.notes]))
    for panel in table.panels():
        columns = panel.align.replace("p", r"p{0.25\linewidth}")
        for start in range(0, max(len(panel.rows), 1), ROWS):
            lines = [
                r"\begin{table}", r"\centering\small", rf"\caption{{{caption}}}", rf"\begin{{tabular}}{{{columns}}}",
                r"\toprule", _latex_row(panel.header), r"\midrule", *map(_latex_row, panel.rows[start : start + ROWS]),
                r"\bottomrule", r"\end{tabular}", r"\end{table}",
            ]  # fmt: skip
            yield "\n".join(lines)
            caption = _latex(f"{table.title} (continued).")


def _latex_row(cells: Sequence[Text]) -> str:
    row = " & ".join(map(_latex, cells)) + r" \\"
    return f"{{}}{row}" if row[0] in "[*" else row  # which would be an argument of the \\ before


def _latex(text: Text) -> str:
    return _written(text, _latex_piece).replace(r"KL\_$\varepsilon$", r"KL$_\varepsilon$")


def _latex_piece(piece: str | Link) -> str:
    if isinstance(piece, Link):
        return _latex_piece(piece.text)
    text = re.sub(r"(?<!\w)-(?=[\d∞])", "−", piece)
    text = "".join(LATEX.get(character, character) for character in text)
    text = re.sub(r"(?<!\|)\|(?!\|)", r"\\textbar{}", text)
    command = "textbf" if isinstance(piece, Bold) else "texttt" if isinstance(piece, Code) else None
    return rf"\{command}{{{text}}}" if command else text


# -- HTML --------------------------------------------------------------------------------------------------------------


class Html(NamedTuple):
    """Writes documents as pieces of HTML.

    Attributes:
        level: of their headings.
        number: what becomes of a printed number: given it, and its HTML.
        picture: the URL of a picture, by its path; None leaves the picture out.
    """

    level: int = 2
    number: Callable[[Number, str], str] = lambda number, text: text
    picture: Callable[[str], str | None] = lambda path: quote(path)

    def body(self, parts: Sequence[Any]) -> str:
        """The parts of a document, without its title."""
        writers = {
            Heading: lambda part: f"<h{self.level}>{self.text(part.text)}</h{self.level}>",
            Bullets: lambda part: "\n".join(["<ul>", *(f"<li>{self.text(item)}</li>" for item in part.items), "</ul>"]),
            Picture: self._picture,
            Rule: lambda part: "<hr>",
            Table: self._table,
        }
        flat = _flat(Document("", parts))
        return "\n".join(writers.get(type(part), lambda text: f"<p>{self.text(text)}</p>")(part) for part in flat)

    def text(self, text: Text) -> str:
        """A text."""
        return _written(text, self._piece)

    def _table(self, table: Table) -> str:
        rows = []
        for tag, line in [('th scope="col"', table.header), *(("td", row) for row in table.rows)]:
            cells = zip(table.align, line, strict=True)
            written = (f"<{tag}{' class=r' * (c == 'r')}>{self.text(text)}</{tag[:2]}>" for c, text in cells)
            rows.append(f"<tr>{''.join(written)}</tr>")
        head, *body = rows
        lines = [f"<table><thead>{head}</thead>", "<tbody>", *body, "</tbody></table>"]
        return "\n".join(['<div class="wide" tabindex="0" role="region" aria-label="table">', *lines, "</div>"])

    def _picture(self, part: Picture) -> str:
        url = self.picture(part.path)
        return "" if url is None else f'<img src="{escape(url)}" alt="{escape(_plain(part.alt))}">'

    def _piece(self, piece: str | Link) -> str:
        if isinstance(piece, Link):
            return f'<a href="{escape(quote(piece.path))}">{escape(piece.text)}</a>'
        text = escape(piece)
        if isinstance(piece, Number):
            text = self.number(piece, text)
        tag = "b" if isinstance(piece, Bold) else "code" if isinstance(piece, Code) else None
        return f"<{tag}>{text}</{tag}>" if tag else text
