"""`softlabels report`: one file, ``report/index.html``, that shows studies of a results folder in any browser, offline.

It reads what is there and says what is missing. Nothing of it asks for anything from elsewhere: a content-security
policy allows the page's own scripts, by their hashes, and pictures that the page holds. What data say (names of
classes, files, people) is text, in the page and in its JSON. The same results give the same bytes.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import bokeh
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from .. import __version__, documents, io, places
from ..cards.text import page as card
from ..columns import length
from ..documents import Document, Html, Link, Number, Rule
from ..errors import UserError
from ..provenance import explain
from ..provenance.audit import located
from ..provenance.evidence import Results, reading
from ..studies.ledger import printed
from ..studies.ledger_view import Ledger, cut, document
from . import gathered, maps, thumbnails
from . import items as item_data
from .answer import QUESTION, answer
from .items import Items

HERE = Path(__file__).parent
PICTURED = 10_000  # test items up to which the page holds a small picture of each
GALLERY = 24  # images
BESIDE = 3  # labels on a card; of more, two
CARD_PIXELS = 128
FIGURES_BYTES = 8_000_000  # of all figures on the page
LEAD = ("embedding", "points", "over", "labels", "curves")  # which figure stands at the top
COLOURINGS = {"mix": "class", "hue": "colour position", "shape": "shape position"}


def write(root: Path, studies: list[str] | None = None, *, images: bool = True, plans: list[Any] = ()) -> Path:
    """Write the page of some studies, or of all that are there or planned, and return where.

    Args:
        root: the results folder.
        studies: names.
        images: whether it may hold pictures of images (those of private data sets are never in it).
        plans: plans of the studies, to say what is missing.

    Raises:
        UserError: no results folder, or no such study.
    """
    results = Results(root)
    planned = [name for plan in plans for name in plan.config["studies"]]
    known = list(dict.fromkeys(studies or [*planned, *results.studies]))
    for study in known:
        if study not in (*planned, *results.studies):
            raise UserError(
                f"{root}: found no study {study}; there are: {', '.join(results.studies) or 'none'}. Name one of them."
            )
    if not known:
        raise UserError(f"{root}: found no study, expected one in studies/. Run the workflow first.")
    target = results.root / places.REPORT / "index.html"
    if not target.resolve().is_relative_to(results.root):
        raise UserError(f"{target}: leads out of the results folder by a link. Remove the link.")
    io.write_text(target, page(results, known, images=images, plans=plans))
    return target


def page(results: Results, studies: list[str], *, images: bool, plans: list[Any]) -> str:
    """The page as HTML; see :func:`write`."""
    missing = gathered.missing(plans) if plans else {}
    made = [Study(results, name, images, missing.get(name, [])) for name in studies]
    sheets: dict[str, str] = {}
    data = [entry for k, study in enumerate(made) for entry in study.data(k, sheets)]
    scripts = _scripts(maps=any(study.items and study.items.maps for study in made), items=any(s.items for s in made))
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html.j2").render(
        policy=policy, version=__version__, title=f"softlabels: {', '.join(cut(studies, 3))}", question=QUESTION,
        style=Markup(_asset("page.css")), studies=[study.shown(k) for k, study in enumerate(made)],
        cards=list(_cards(results, made)), data=data, scripts=[Markup(script) for script in scripts],
    ) + "\n"  # fmt: skip


@cache
def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _scripts(*, maps: bool, items: bool) -> list[str]:
    """The scripts of the page, in their order: libraries that it needs, and its own."""
    static = Path(bokeh.__file__).parent / "server" / "static" / "js"
    libraries = [(static / f"{name}.min.js").read_text("utf-8") for name in ("bokeh", "bokeh-gl")] if maps else []
    libraries += [_asset("vendor/dataTables.min.js")] if items else []
    return [script.replace("</script", "<\\/script") for script in (*libraries, _asset("page.js"))]


def _json(value: Any) -> Markup:
    """JSON that no text in it can end."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _zipped(value: Any) -> Markup:
    """JSON as gzip in base64, for what is large and not needed at first."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(b64encode(gzip.compress(text.encode(), mtime=0)).decode())


def _packed(values: np.ndarray, kind: str) -> dict[str, str]:
    """Numbers for the page's script, little-endian."""
    return {"kind": kind, "packed": b64encode(np.ascontiguousarray(values, f"<{kind}").tobytes()).decode()}


class Study:
    """One study, as far as its files are there; ``lacking`` says in sentences what is not."""

    def __init__(self, results: Results, name: str, images: bool, missing: list[str]):
        self.results, self.name, self.images = results, name, images
        self.lacking = [f"Not finished: {'; '.join(missing)}."] if missing else []
        self.ledger: Ledger | None = None
        self.items: Items | None = None
        self.document: Document | None = None
        self.graph: dict[str, Any] = {"cells": [], "nodes": {}}
        path = places.of_study(name, "cells")
        try:
            with reading(path):
                cells = results.cells(name)
                self.ledger, self.document = Ledger(cells), document(cells)
                self.graph = explain.graph(results, name)
                self.config = results.study_config(name)
            self.items = item_data.of(results, self.config, images=images)
        except UserError as error:
            self.lacking.append(str(error))
        self.cell_of = {_key(cell["key"]): k for k, cell in enumerate(self.graph["cells"])}

    def shown(self, k: int) -> dict[str, Any]:
        """What the template shows of it."""
        figures = self._figures() if self.ledger else []
        kinds = LEAD if self.ledger and len(self.ledger.labels) <= BESIDE else LEAD[1:]
        lead = next((figure for kind in kinds for figure in figures if figure["kind"] == kind), None)
        manifests = gathered.behind(self.results, self.name)
        return {
            "name": self.name, "lacking": self.lacking, "lead": lead,
            "answer": Markup("".join(f"<p>{self._html.text(text)}</p>" for text in answer(self.ledger)))
            if self.ledger else None,
            "tables": [self._table(table, k) for table in self.document.parts] if self.document else [],
            "audit": self._audit() if self.ledger else None,
            "figures": [figure for figure in figures if figure is not lead],
            "shown": self._items() if self.items else None,
            "made": self._made(manifests) if manifests else None,
        }  # fmt: skip

    # -- tables --------------------------------------------------------------------------------------------------------

    @property
    def _html(self) -> Html:
        return Html(level=3, number=self._number)

    def _number(self, number: Number, text: str) -> str:
        """A printed number, as a button that opens where it comes from."""
        cell = self.cell_of.get(number.key)
        return text if cell is None else f'<button type="button" class="n" data-cell="{cell}">{text}</button>'

    def _table(self, table: documents.Table, k: int) -> Markup:
        return Markup(f'<div data-tables="{k}">{self._html.body([table])}</div>')

    def _audit(self) -> dict[str, Any]:
        found = gathered.audit(self.results, self.name)
        if found.summary is None:
            return {
                "kind": "none",
                "word": "Not audited.",
                "text": "softlabels audit checks every number.",
                "checks": [],
            }
        stale = " The tables were written after this audit: audit again." if found.stale else ""
        kind = "pass" if found.passed and not found.stale else "fail"
        word = "Audited:" if found.passed else "The audit failed:"
        return {"kind": kind, "word": word, "text": f"{found.summary}.{stale}", "checks": found.open_}

    # -- figures -------------------------------------------------------------------------------------------------------

    def _figures(self) -> list[dict[str, str]]:
        """The figures that are there, as far as they fit on the page; the rest is told."""
        found = sorted(
            (place.names["figure"], place.names["block"], place.path)
            for place in filter(None, map(places.parse, self.results.files))
            if place.command == "figure" and place.output == "png" and place.names["study"] == self.name
        )
        shown, size = [], 0
        for kind, block, path in found:
            file = self.results.file(path)
            if size + file.stat().st_size > FIGURES_BYTES:
                continue
            size += file.stat().st_size
            alt = f"{kind.replace('_', ' ')}{' of ' + ', '.join(block.strip('-').split('-')) if block else ''}"
            url = thumbnails.url(file.read_bytes(), "image/png")
            shown.append({"kind": kind.partition("__")[0], "url": url, "alt": f"Study {self.name}: {alt}"})
        if len(shown) < len(found):
            self.lacking.append(
                f"{len(found) - len(shown)} of {len(found)} figures are not on this page, as it would be too large: "
                f"they lie in studies/{self.name}/figures."
            )
        return shown

    # -- images --------------------------------------------------------------------------------------------------------

    def _items(self) -> dict[str, Any]:
        of = self.items
        labels, n = list(of.maps), len(of.item)
        where = self.ledger.name(of.block)
        return {
            "about": f"{n:,} test images of {where}, seed {of.seed}",
            "map": labels,
            "sides": [
                {"title": side, "chosen": k}
                for k, side in enumerate(("first map", "second map")[: min(len(labels), maps.PANELS)])
            ],
            "colourings": [(value, text) for value, text in COLOURINGS.items() if value == "mix" or "u" in of.places],
            "legend": list(zip(of.classes, of.colours, strict=True)),
            "gallery": self._gallery(),
            "gallery_about": f"The {min(GALLERY, n)} of the {n:,} test images on which the predictions of the labels' "
            f"networks have the largest total variation between them.",
        }

    def _gallery(self) -> list[dict[str, Any]]:
        of = self.items
        if len(of.q) < 2 or not of.apart.any():
            return []
        rows = np.lexsort((of.item, -of.apart))[:GALLERY]
        return [self._card(row) for row in rows.tolist()]

    def _card(self, row: int) -> dict[str, Any]:
        """An image with what was said of it; labels that a network learns from are told if test images have them."""
        of, item = self.items, self.items.item[row]
        said = "true distribution" if of.votes is None else f"{of.votes[row]:,} votes"
        rows = [(said, self._bars(of.p[row]), None)]
        shown = self._compared(row)
        for label, trained in ((name, of.trained[name]) for name in shown if name in of.trained):
            at = np.searchsorted(trained.item, item)
            if at < len(trained.item) and trained.item[at] == item:
                rows.append((f"label {label}", self._bars(trained.p[at].astype(float)), None))
        for label in shown:
            rows.append((f"network of {label} labels", self._bars(of.q[label][row]), printed(of.kl[label][row], 3)))
        picture = None if of.images is None else thumbnails.tile(of.pixels(row), CARD_PIXELS)
        url = None if picture is None else thumbnails.url(thumbnails.webp(picture), "image/webp")
        width, height = _at_least(picture) if picture else (0, 0)
        return {"name": of.name(row), "url": url, "width": width, "height": height, "rows": rows}

    def _compared(self, row: int) -> list[str]:
        """Which labels a card shows of: all, or of many the first and that whose prediction is farthest from its."""
        first, *others = self.items.q
        if len(others) < BESIDE:
            return [first, *others]
        q = self.items.q
        return [first, max(others, key=lambda label: np.abs(q[first][row] - q[label][row]).sum())]

    def _bars(self, p: np.ndarray) -> list[tuple[str, str, str]]:
        """Per cent, class and colour of the most probable classes, the rest as one."""
        order = np.argsort(-p, kind="stable")[:3]
        shown = [(p[c], self.items.classes[c], self.items.colours[c]) for c in order.tolist() if p[c] >= 0.0005]
        if (rest := 1 - sum(share for share, _, _ in shown)) >= 0.005:
            shown.append((rest, "others", "#999999"))
        return [(f"{100 * share:.{int(share < 0.0995)}f}", name, colour) for share, name, colour in shown]

    # -- how it was made -----------------------------------------------------------------------------------------------

    def _made(self, manifests: list[dict[str, Any]]) -> dict[str, Any]:
        costs = gathered.costs(manifests)
        total = length(sum(cost.seconds for cost in costs))
        rows = [(cost.command, f"{cost.jobs:,}", length(cost.seconds), length(cost.longest)) for cost in costs]
        summary = f"{sum(cost.jobs for cost in costs):,} jobs, {total} together"
        return {"summary": summary, "lines": gathered.environment(manifests), "costs": rows}

    # -- data of the page's script -------------------------------------------------------------------------------------

    def data(self, k: int, sheets: dict[str, str]) -> Iterator[tuple[str, Markup]]:
        """What the page's script reads, by the id of its element; ``sheets`` are those that the page has already."""
        yield f"graph-{k}", _zipped(self.graph)
        if not (of := self.items):
            return
        tiles = None
        if of.images is not None and len(of.item) <= PICTURED:
            tiles = thumbnails.sheets(of.images, of.item)
            for sheet in map(partial(thumbnails.url, kind="image/webp"), tiles.sheets):
                if sheet not in sheets:  # of the same images as in another study
                    sheets[sheet] = f"sheet-{len(sheets)}"
                    yield sheets[sheet], Markup(sheet)
        kind = "u1" if len(of.classes) <= 256 else "u2"

        def shares(p: np.ndarray) -> dict[str, Any]:
            classes, share = item_data.top(p)
            return {"classes": _packed(classes, kind), "shares": _packed(np.rint(share * 65535), "u2")}

        yield f"items-{k}", _json({
            "item": _packed(of.item, "i4"), "names": of.names, "classes": of.classes, "colours": of.colours,
            "labels": list(of.q), "top": min(item_data.TOP, len(of.classes)),
            "votes": None if of.votes is None else _packed(of.votes, "i4"), "reference": shares(of.p),
            "predicted": [shares(q) for q in of.q.values()],
            "kl": [_packed(kl, "f4") for kl in of.kl.values()], "apart": _packed(of.apart, "f4"),
            "tiles": tiles and {
                "width": tiles.width, "height": tiles.height, "columns": thumbnails.COLUMNS, "rows": thumbnails.ROWS,
                "sheets": [sheets[thumbnails.url(sheet, "image/webp")] for sheet in tiles.sheets],
            },
        })  # fmt: skip
        if of.maps:
            yield f"map-{k}", _json(maps.plots(of))


def _key(key: list[Any]) -> tuple[Any, ...]:
    return tuple(key)


def _at_least(picture: Image.Image) -> tuple[int, int]:
    """The size at which a picture is shown: a small one is enlarged."""
    scale = CARD_PIXELS / max(picture.size)
    return round(picture.width * scale), round(picture.height * scale)


def _cards(results: Results, studies: list[Study]) -> Iterator[dict[str, Any]]:
    """The cards of the data sets of some studies; contact sheets only of those whose images may be shown."""
    private = {
        name: about.get("private", False)
        for study in studies if study.ledger
        for name, about in study.config["datasets"].items()
    }  # fmt: skip
    pictured = all(study.images for study in studies)
    for name, hidden in private.items():

        def picture(output: str, name: str = name, shown: bool = pictured and not hidden) -> str | None:
            path = places.path("card", output, dataset=name)
            there = path in results.files and (shown or output == "votes")
            return thumbnails.url(results.file(path).read_bytes(), "image/png") if there else None

        path = places.path("card", "card_json", dataset=name)
        with suppress(UserError), reading(path):
            links = {output: output for output in ("sheet", "votes", "card_json")}
            parts = card(results.json(path), links).parts
            parts = [part for part in parts if not isinstance(part, Rule) and not _links(part)]
            yield {"name": name, "text": Markup(Html(level=3, picture=picture).body(parts))}


def _links(part: Any) -> bool:
    """Whether a part leads to a file beside the page."""
    return isinstance(part, tuple) and any(isinstance(piece, Link) for piece in part)


def command(paths: list[Path], *, configfile: Path | None, overrides: list[str], images: str | None) -> None:
    """Write the page of each results folder that some paths mean, and say where it lies.

    Args:
        paths: results folders, folders of studies or tables; none for the results of the configuration.
        configfile: the configuration, which says what is missing and whether images may be shown.
        overrides: ``key=value`` pairs that replace keys of it.
        images: ``thumbnails`` or ``none``; None as the configuration says.
    """
    plan = None
    if overrides and not configfile:
        raise UserError("--config replaces keys of a configuration. Name it with --configfile.")
    if configfile:
        from ..status import plans_of  # which reads YAML: the rule has no need of it

        (plan,) = plans_of(None, configfile, overrides)
    shown = images or (plan.config["report"]["images"] if plan else "thumbnails")
    wanted: dict[Path, list[str | None]] = {}
    for path in paths or [Path(plan.root if plan else "results")]:
        root, study = (path, None) if path == Path(plan.root if plan else "") else located(path)
        wanted.setdefault(root, []).append(study)
    for root, names in wanted.items():
        studies = None if None in names else sorted({name for name in names if name})
        its = [plan] if plan and root.resolve() == Path(plan.root).resolve() else []
        print(f"Page: {write(root, studies, images=shown == 'thumbnails', plans=its)}")
