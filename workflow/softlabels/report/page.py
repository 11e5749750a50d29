"""`softlabels report`: one file, ``report/index.html``, that shows studies of a results folder in any browser, offline.

It reads what is there and says what is missing. Nothing of it asks for anything from elsewhere: a content-security
policy allows the page's own scripts, by their hashes, and pictures that the page holds. What data say (names of
classes, files, people) is text, in the page and in its JSON. The same results give the same bytes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import bokeh
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .. import __version__, io, places, schema
from ..cards.text import page as card
from ..documents import Html, Link, Rule
from ..errors import UserError
from ..provenance.audit import located
from ..provenance.evidence import Results, reading
from ..studies.ledger_view import cut
from . import gathered, thumbnails
from .answer import QUESTION
from .study import Pictures, Study, Told

HERE = Path(__file__).parent


def write(root: Path, studies: list[str] | None = None, *, images: bool | None = None, plans: list[Any] = ()) -> Path:
    """Write the page of some studies, or of all that are there or planned, and return where.

    Args:
        root: the results folder.
        studies: names.
        images: whether it may hold pictures of images; None: as each study said when it ran. Those of private data sets
            are never in it.
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
    content = page(results, known, images=images, plans=plans)
    try:
        io.write_text(target, content)
    except OSError as error:
        raise UserError(
            f"{target}: cannot be written ({error.strerror}). Make room for it, or the folder writable."
        ) from None
    return target


def page(results: Results, studies: list[str], *, images: bool | None, plans: list[Any]) -> str:
    """The page as HTML; see :func:`write`."""
    private = {name for plan in plans for name, about in plan.config["datasets"].items() if about["private"]}
    own = {name for plan in plans for kind, name in schema.entries(plan.config, schema.section("")) if kind == "table"}
    for name in set(results.studies) & set(studies):
        with suppress(UserError):
            private |= {data for data, of in results.study_config(name)["datasets"].items() if of.get("private")}
    told = Told(images, private, own, gathered.missing(plans) if plans else {})
    made = [Study(results, name, told) for name in studies]
    shown = [study.shown() for study in made]
    pictures: Pictures = {}
    data = [entry for k, study in enumerate(made) for entry in study.data(k, pictures)]
    scripts = _scripts(maps=any(study.items and study.items.maps for study in made), items=any(s.items for s in made))
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html.j2").render(
        policy=policy, version=__version__, title=f"softlabels: {', '.join(cut(studies, 3))}", question=QUESTION,
        style=Markup(_asset("page.css")), studies=shown, cards=list(_cards(results, made, told)), data=data,
        scripts=[Markup(script) for script in scripts],
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


def _cards(results: Results, studies: list[Study], told: Told) -> Iterator[dict[str, Any]]:
    """The cards of the data sets of some studies; contact sheets only of those whose images may be shown."""
    names: dict[str, None] = {}
    for study in filter(lambda study: study.ledger, studies):
        with suppress(UserError):
            names |= dict.fromkeys(results.study_config(study.name)["datasets"])
    for name in names:

        def picture(output: str, name: str = name) -> str | None:
            path = places.path("card", output, dataset=name)
            shown = output == "votes" or (name not in told.private and all(study.images for study in studies))
            return thumbnails.url(results.file(path).read_bytes(), "image/png") if shown else None

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
    wished = images or (plan.config["report"]["images"] if plan else None)
    shown = None if wished is None else wished == "thumbnails"
    wanted: dict[Path, list[str | None]] = {}
    for path in paths or [Path(plan.root if plan else "results")]:
        of_plan = plan is not None and path.resolve() == Path(plan.root).resolve()
        root, study = (path, None) if of_plan else located(path)
        wanted.setdefault(root, []).append(study)
    for root, names in wanted.items():
        studies = None if None in names else sorted({name for name in names if name})
        its = [plan] if plan and root.resolve() == Path(plan.root).resolve() else []
        print(f"Page: {write(root, studies, images=shown, plans=its)}")
