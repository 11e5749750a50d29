"""One study on the page: its answer, tables, figures, images, and what was made how."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from PIL import Image

from .. import places
from ..columns import length
from ..documents import Document, Html, Number
from ..errors import UserError
from ..provenance import explain
from ..provenance.evidence import Results, reading
from ..studies.ledger import printed
from ..studies.ledger_view import Ledger, document, may_run
from . import gathered, maps, thumbnails
from . import items as item_data
from .answer import answer
from .items import Items
from .packing import as_json, packed, zipped

PICTURED = 10_000  # test items up to which the page holds a small picture of each
GALLERY = 12  # images
BESIDE = 3  # labels on a card; of more, two
CARD_PIXELS = 128
FIGURES_BYTES = 8_000_000  # of the figures of a study
LEAD = ("embedding", "points", "over", "labels", "curves")  # which figure stands at the top
COLOURINGS = {"mix": "class", "hue": "colour position", "shape": "shape position"}
NAMED = "Name the configuration that has it with --configfile."


Pictures = dict[tuple[str, bytes], dict[str, Any]]  # by data set and items: where on the page they are


class Told(NamedTuple):
    """What a page is told besides the results folder.

    Attributes:
        images: whether it may show any; None: as the study said.
        private: data sets of which it shows neither images nor names.
        own: tables of the user's own that may run.
        missing: what is not done of a study, by its name.
    """

    images: bool | None
    private: Collection[str]
    own: Collection[str]
    missing: Mapping[str, list[str]]


def public(graph: dict[str, Any], private: Collection[str]) -> dict[str, Any]:
    """A graph without what only its owner needs: names of machines and jobs, folders of sources, or names too."""
    for node in graph["nodes"].values():
        facts = node["facts"]
        if "where" in facts:
            _, *where = facts["where"].split(", ")  # the first is the machine's name
            where = [part for part in where if not part.startswith("SLURM job") and "(place" not in part]
            facts["where"] = ", ".join(where)
        if "origin" in facts and facts.get("file"):  # outside of the results folder
            facts["file"] = "" if private else PurePath(facts["file"]).name
    return graph


class Study:
    """One study, as far as its files are there; ``lacking`` says in sentences what is not."""

    def __init__(self, results: Results, name: str, told: Told):
        self.results, self.name, self.told = results, name, told
        lacking = told.missing.get(name)
        self.lacking = [f"Not finished, or to be made again: {'; '.join(lacking)}."] if lacking else []
        self.ledger: Ledger | None = None
        self.items: Items | None = None
        self.document: Document | None = None
        self.graph: dict[str, Any] | None = None
        self.cell_of: dict[tuple, int] = {}  # the numbers on the page, by key, in the order in which they were met
        path = places.of_study(name, "cells")
        with self._lacking(), reading(path):
            cells = results.cells(name)
            self.ledger, self.document = Ledger(cells), document(cells, told.own)
            left_out = [table["kind"] for table in self.ledger.facts["tables"] if not may_run(table["kind"], told.own)]
            if left_out:
                self.lacking.append(f"Tables of {', '.join(left_out)} are left out: this is code of your own. {NAMED}")
        self.images = told.images is not False
        if self.ledger:
            with self._lacking(), reading(f"images of {name}"):
                config = results.study_config(name)
                if told.images is None:
                    self.images = config.get("report", {}).get("images") != "none"
                self.items = item_data.of(results, config, told.private, images=self.images)

    @contextmanager
    def _lacking(self) -> Iterator[None]:
        """Notes what cannot be read; where files lie in the results folder, not where that is."""
        try:
            yield
        except UserError as error:
            self.lacking.append(str(error).replace(f"{self.results.root}/", ""))

    def shown(self) -> dict[str, Any]:
        """What the template shows of it."""
        figures = self._figures() if self.ledger else []
        kinds = LEAD if self.ledger and len(self.ledger.labels) <= BESIDE else LEAD[1:]
        lead = next((figure for kind in kinds for figure in figures if figure["kind"] == kind), None)
        sentences, tables = [], []
        if self.ledger and self.document:
            with self._lacking(), reading(places.of_study(self.name, "cells")):
                sentences = [Markup(f"<p>{self._html.text(text)}</p>") for text in answer(self.ledger)]
                tables = [Markup(self._html.body([table])) for table in self.document.parts]
        if self.cell_of:
            with self._lacking():
                self.graph = public(explain.graph(self.results, self.name, list(self.cell_of)), self.told.private)
        made = None
        if self.ledger:
            with self._lacking(), reading(f"manifests behind {self.name}"):
                made = self._made(gathered.behind(self.results, self.name))
        return {
            "name": self.name, "lead": lead, "answer": sentences, "tables": tables,
            "audit": self._audit() if self.ledger else None,
            "figures": [figure for figure in figures if figure is not lead],
            "shown": self._items() if self.items else None,
            "made": made, "lacking": self.lacking,
        }  # fmt: skip

    # -- tables --------------------------------------------------------------------------------------------------------

    @property
    def _html(self) -> Html:
        return Html(level=3, number=self._number)

    def _number(self, number: Number, text: str) -> str:
        """A printed number, as a button that opens where it comes from."""
        cell = self.cell_of.setdefault(number.key, len(self.cell_of))
        return f'<button type="button" class="n" data-cell="{cell}">{text}</button>'

    def _audit(self) -> dict[str, Any]:
        found = gathered.audit(self.results, self.name)
        if found.summary is None:
            how = "softlabels audit checks every number."
            return {"kind": "none", "word": "Not audited.", "text": how, "checks": []}
        stale = " The numbers of this study have changed since: audit again." if found.stale else ""
        kind = "pass" if found.passed and not found.stale else "fail"
        word = "Audited:" if found.passed else "The audit failed:"
        of = f" (of {', '.join(found.studies)} together)" if len(found.studies) > 1 else ""
        return {"kind": kind, "word": word, "text": f"{found.summary}{of}.{stale}", "checks": found.open_}

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
            with self._lacking(), reading(path):
                file = self.results.file(path)
                if size + file.stat().st_size > FIGURES_BYTES:
                    continue
                content = file.read_bytes()
                caption = Image.open(BytesIO(content)).info.get("Description") or f"{kind}{block}"
                size += len(content)
                url = thumbnails.url(content, "image/png")
                shown.append({"kind": kind.partition("__")[0], "url": url, "alt": f"figure {kind}", "caption": caption})
        if len(shown) < len(found):
            self.lacking.append(
                f"{len(found) - len(shown)} of {len(found)} figures are not on this page, which has room for "
                f"{FIGURES_BYTES // 1_000_000} MB of them: see studies/{self.name}/figures."
            )
        return shown

    # -- images --------------------------------------------------------------------------------------------------------

    def _items(self) -> dict[str, Any]:
        of = self.items
        labels, n, first = list(of.maps), len(of.item), next(iter(of.q))
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
            "gallery_about": f"The {min(GALLERY, n)} of the {n:,} test images of {where}, seed {of.seed}, with the "
            f"largest total variation between the predictions of {first} labels' network and another's.",
            "first": first, "without": self._without(),
        }  # fmt: skip

    def _without(self) -> str:
        """Why there are no pictures, or not all maps, where that is not what was asked for."""
        of = self.items
        told = []
        if of.images is not None and len(of.item) > PICTURED:
            told.append(f"There are more than {PICTURED:,} test images, so the page has no pictures of them.")
        if of.maps and (lacking := [label for label in of.q if label not in of.maps]):
            told.append(f"There is no t-SNE of {', '.join(lacking)}.")
        if len(of.q) > 1 and not of.apart.any():
            told.append("All labels' networks predict the same for every test image.")
        return " ".join(told)

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

    def data(self, k: int, pictures: Pictures) -> Iterator[tuple[str, Markup]]:
        """What the page's script reads, by the id of its element; ``pictures`` are those that the page has already."""
        if self.graph:
            yield f"graph-{k}", zipped(self.graph)
        if not (of := self.items):
            return
        tiles, same = None, (of.dataset, of.item.tobytes())
        if of.images is not None and len(of.item) <= PICTURED:
            if same not in pictures:  # else of another study on the page
                made = thumbnails.sheets(of.images, of.item)
                names = [f"sheet-{len(pictures)}-{number}" for number in range(len(made.sheets))]
                pictures[same] = {
                    "width": made.width, "height": made.height, "columns": thumbnails.COLUMNS, "rows": thumbnails.ROWS,
                    "sheets": names,
                }  # fmt: skip
                for name, sheet in zip(names, made.sheets, strict=True):
                    yield name, Markup(thumbnails.url(sheet, "image/webp"))
            tiles = pictures[same]
        kind = "u1" if len(of.classes) <= 256 else "u2"

        def shares(p: np.ndarray) -> dict[str, Any]:
            classes, share = item_data.top(p)
            return {"classes": packed(classes, kind), "shares": packed(np.rint(share * 65535), "u2")}

        yield f"items-{k}", as_json({
            "item": packed(of.item, "i4"), "names": of.names, "classes": of.classes, "colours": of.colours,
            "labels": list(of.q), "top": min(item_data.TOP, len(of.classes)),
            "votes": None if of.votes is None else packed(of.votes, "i4"), "reference": shares(of.p),
            "predicted": [shares(q) for q in of.q.values()],
            "kl": [packed(kl, "f4") for kl in of.kl.values()], "apart": packed(of.apart, "f4"),
            "tiles": tiles,
        })  # fmt: skip
        if of.maps:
            yield f"map-{k}", as_json(maps.plots(of))


def _at_least(picture: Image.Image) -> tuple[int, int]:
    """The size at which a picture is shown: a small one is enlarged."""
    scale = CARD_PIXELS / max(picture.size)
    return round(picture.width * scale), round(picture.height * scale)
