"""Documents in three formats: whatever a text holds, it is printed and breaks nothing."""

import itertools
import re
from html.parser import HTMLParser

import pytest

from softlabels import documents
from softlabels.documents import (
    Bold,
    Bullets,
    Code,
    Document,
    Heading,
    Html,
    Link,
    Number,
    Picture,
    Rule,
    Table,
    in_bold,
    joined,
)

HOSTILE = [
    "a|b", "|", "a\\|b", "\\", "two\nlines\r\n\tthree", "<script>alert(1)</script>", "a < b <0.1 %", "<!-- x",
    "&lt;&#65;", "$x$ 50% of {it} #1 ~2 ^3 a_b _c_ __d__", "**bold** *it* ~~gone~~", "`code` ``", "![x](y)",
    "[x](javascript:alert(1))", "[x]: http://y", "[ ] task", "# no heading #", "- no list", "+ 1", "1. no list", "\"'",
    "> no quote", "---", "=== ***", "😀 é 中文 ß", "\\begin{x} \\\\[2pt] \\input{y}", "[2pt] first", "*", "%", "a & b",
    "KL_ε -0.5 ∞ ±", "</td></table>", "http://x.org/~me/a_b?x=1&y=2", "\x00\x1b[0m\u202e", "    indented", "x" * 200,
]  # fmt: skip


def clean(text):
    """What a reader should see of a text."""
    return documents._plain(text).strip()


def page():
    rows = [[text, Bold(text), Code(text), (text, Bold("x"))] for text in HOSTILE]
    table = Table("Table", ["plain", "bold", "code", "both"], rows, HOSTILE)
    parts = [
        *HOSTILE,
        Bullets(HOSTILE),
        *map(Heading, HOSTILE),
        table,
        Rule(),
        Bullets([Code(text) for text in HOSTILE]),
    ]
    return Document("A page", [*parts, Picture("a b.png", HOSTILE[5]), Rule(), ("See ", Link(HOSTILE[0], "x:y"), ".")])


class Reader(HTMLParser):
    """The texts of the elements that hold text, by tag, and the names of all tags."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.tags, self.open, self.links = {}, set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if tag in ("p", "li", "td", "th", "h2"):
            self.texts.setdefault(tag, []).append("")
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data):
        if self.open:
            self.texts[self.open[-1]][-1] += data


def assert_is_the_page(text):
    """A page of HTML that shows just the texts of :func:`page`, each in its place."""
    read = Reader(text)
    cells = itertools.chain.from_iterable([text, text, text, text + "x"] for text in HOSTILE)
    shown = {tag: [clean(text) for text in texts] for tag, texts in read.texts.items()}
    assert shown["td"] == [clean(text) for text in cells]
    assert shown["th"] == ["plain", "bold", "code", "both"]
    assert shown["li"] == [clean(text) for text in HOSTILE * 3]
    assert shown["h2"] == [clean(text) for text in [*HOSTILE, "Table"]]
    assert [text for text in shown["p"] if text] == [clean(text) for text in [*HOSTILE, "See a|b."]]
    assert read.tags.isdisjoint({"script", "em", "del", "blockquote", "ol", "input"})
    assert read.links == ["a%20b.png", "x%3Ay"]


def html(document):
    """A document as pieces of HTML."""
    return Html().body(document.parts)


def test_html_shows_every_text_in_its_place():
    text = html(page())
    assert_is_the_page(text)
    assert "\x00" not in text and "\u202e" not in text and text.count("<table>") == 1


def test_html_gives_numbers_and_pictures_to_whoever_asks():
    asked = []

    def number(one, text):
        asked.append((one.key, text))
        return f"<i>{text}</i>"

    row = [Number("1 < 2", ("kl",)), in_bold(Number("3", ("acc",))), "4"]
    parts = [Table("", ["a", "b", "c"], [row]), Picture("a.png", "x"), Picture("b.png", "<y>")]
    writer = Html(level=4, number=number, picture={"b.png": "data:,&"}.get)
    text = writer.body([Heading("H"), *parts])
    assert asked == [(("kl",), "1 &lt; 2"), (("acc",), "3")]
    assert "<td><i>1 &lt; 2</i></td>" in text and "<td><b><i>3</i></b></td>" in text and "<h4>H</h4>" in text
    assert '<img src="data:,&amp;" alt="&lt;y&gt;">' in text and "a.png" not in text


def test_markdown_shows_every_text_in_its_place():
    reader = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable(["table", "strikethrough"])
    assert_is_the_page(reader.render(documents.markdown(page())))


def test_latex_holds_every_text_and_is_balanced():
    text = documents.latex(page())
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    bare = re.sub(r"\\[{}_%&#$]", "", body)
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    assert not re.search(r"(?<!\\)[%#]|\\input", body) and "\\begin{x}" not in body
    rows = re.findall(r"^(.*) \\\\$", body, re.MULTILINE)
    assert len(rows) == len(HOSTILE) + 1
    assert all(len(re.findall(r"(?<!\\)&", row)) == 3 and row[0] not in "[*" for row in rows)


def test_signs_and_marks_become_latex():
    text = documents._latex(("a_b ± 50% {x} ", Bold("∞"), " [-0.5, KL_ε]"))
    assert text == r"a\_b $\pm$ 50\% \{x\} \textbf{$\infty$} [$-$0.5, KL$_\varepsilon$]"


@pytest.mark.parametrize("write", [documents.markdown, documents.latex, html])
def test_a_number_is_printed_as_its_text(write):
    def page_of(number):
        rows = [[number(text), in_bold(number(text)), (text, number(text), "x")] for text in HOSTILE]
        parts = [
            Table("Table", ["plain", "bold", "both"], rows, [("note ", number("0.5")), number("1")]),
            number("- 1"),
        ]
        return write(Document("A page", [*parts, Bullets([number("2. x"), joined(", ", [number("3"), "4"])])]))

    assert page_of(lambda text: Number(text, ("soft", "kl", None))) == page_of(str)


def test_a_number_knows_its_key_wherever_it_goes():
    number = Number("0.5\x00 ± 0.1", ("soft", None))
    bold = in_bold(number)
    assert isinstance(bold, Number) and isinstance(bold, Bold) and not isinstance(in_bold("x"), Number)
    for piece in (number, bold, documents._clean(number), documents._clean(bold)):
        assert type(piece) is type(documents._clean(piece)) and piece.key == ("soft", None)
    assert documents._clean(bold) == "0.5\ufffd ± 0.1"
    assert number == str(number) and {number: 1}[str(number)] == 1 and number == Number(number, ("hard", None))
    assert joined("; ", [("a ", number), bold, "b", Link("c", "d")]) == (
        "a ", number, "; ", bold, "; ", "b", "; ", Link("c", "d"),
    )  # fmt: skip
    assert [type(piece) for piece in joined("; ", [("a ", number), bold])] == [str, Number, str, type(bold)]
    assert joined(", ", []) == ()


def test_code_with_a_backslash_before_a_pipe_is_still_one_cell():
    assert documents.markdown(Document("", [Table("", ["x"], [[Code("a\\|b")]])])).count(r"a\\\|b") == 1


def test_wide_tables_become_panels_and_long_ones_several_floats():
    header = ["data set", "class", *(f"label{k}" for k in range(20))]
    rows = [["zoo", f"c{c}", *(f"{c}.{k}" for k in range(20))] for c in range(100)]
    document = Document("Wide", [Table("Recall", header, rows, ["A note."], keys=2)])
    panels = list(document.parts[0].panels())
    assert [list(panel.header) for panel in panels[::3]] == [header[:8], header[:2] + header[20:]]
    first = [line[:3] for line in (panels[1].header, panels[1].rows[0])]
    assert first == [("data set", "class", "label6"), ("zoo", "c0", "0.6")]
    text = documents.latex(document)
    assert text.count(r"\begin{table}") == 4 * 3 and text.count("(continued)") == 11
    assert max(line.count(" & ") for line in text.splitlines()) == 7
    markdown = documents.markdown(document)
    assert markdown.count("## Recall") == 1 and markdown.count("- A note.") == 1 and markdown.count("| zoo | c7 |") == 4
