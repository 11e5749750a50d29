"""Which image is meant by a name that is not written as the file is.

A name that is a path below the image folder, or a file name or stem that one image alone has, is taken as it is
(:func:`.images.spellings`). For the others one rule is sought, the first under which each of them fits exactly one
image and no two of them one image. Before any rule a name is read as a path (:func:`read`): the path of a URL,
forward slashes, no ``.``, composed characters. A rule then says how far the folders must fit (``WAYS``, strictest
first), and what else is made alike in names and files (the fewest of ``STEPS``, earlier ones first).
"""

from __future__ import annotations

import difflib
import itertools
import re
import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from .folder import SUFFIXES
from .images import spellings

HEX = "[0-9a-fA-F]"
# What tools put before the name of a file that is uploaded: Label Studio 8 digits of a UUID, others all 32.
UPLOAD = re.compile(rf"(?:{HEX}{{8}}-{HEX}{{4}}-{HEX}{{4}}-{HEX}{{4}}-{HEX}{{12}}|{HEX}{{32}}|{HEX}{{8}})[-_](?=.)")
# Keys of a query that say who may fetch a file and until when, not which one it is: of S3, CloudFront and Google; and
# of Azure, whose short ones mean that only beside ``sig``.
SIGNATURE = "x-(amz|goog)-.*|signature|sig|token|access_token|expires|policy|key-pair-id|awsaccesskeyid|googleaccessid"
AZURE = SIGNATURE + "|s[eprtv]|spr|sip|ss|srt|sk(oid|tid|t|e|s|v)"
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://([^/?#]*)")
SHOWN = 2  # of the nearest names in a message
SAMPLE = 8  # names that are tried before all images are looked at
NEIGHBOURS = 40  # names on each side in the order of the names, and of the names read backwards, that may be nearest


def _in_file(change: Callable[[str], str]) -> Callable[[str], str]:
    """The same change made to the last part of a path."""

    def changed(path: str) -> str:
        folder, slash, file = path.rpartition("/")
        return folder + slash + change(file)

    return changed


def _without_suffix(file: str) -> str:
    return file.rpartition(".")[0] if _is_image(file) else file


def _is_image(path: str) -> bool:
    stem, dot, suffix = _last(path).rpartition(".")
    return stem != "" and dot + suffix.lower() in SUFFIXES


def _last(path: str) -> str:
    return path.rpartition("/")[2]


ZEROS = "leading zeros left out"
# What is made alike, in the order in which it is tried; each is made to the paths of names and of images.
STEPS: dict[str, Callable[[str], str]] = {
    "percent-encoding decoded": unquote,
    "the hash of an upload cut": _in_file(lambda file: UPLOAD.sub("", file, count=1)),
    "upper and lower case alike": str.casefold,
    "any suffix": _in_file(_without_suffix),
    ZEROS: lambda path: re.sub(r"(?<!\d)0+(?=\d)", "", path),
    # what Django, and so Label Studio, makes of the name of an uploaded file
    "blanks as underscores, signs left out": _in_file(lambda file: re.sub(r"[^-\w.]", "", file.replace(" ", "_"))),
}
WAYS = {
    "whole": "",
    "cut": "the first {} folders of each cut",
    "ends": "by the end of the path",
    "file": "by the name of the file alone",
}


class Match(NamedTuple):
    """What the distinct names of a column stand for."""

    image: dict[str, int]  # the index of the image by name, of all that fit exactly one
    missing: list[str]  # names that no image fits under any rule
    several: dict[str, list[int]]  # names that several images fit, and these
    shared: dict[int, list[str]]  # images that several names fit, and these
    ruled: int = 0  # how many names needed a rule
    rule: str = ""  # the rule in words
    example: str = ""  # a name that needed it


def read(name: str) -> tuple[str, str]:
    """What tells a name that is a URL from others with the same path ("" for other names), and the name as a path.

    A path has composed characters, forward slashes and no empty parts; of a URL it is the path, decoded, or the only
    image that the query names (as in ``/data/local-files/?d=a/b.jpg``). The former is the host with what else the query
    and the fragment say (``?frame=2``), but for a signature: names that differ only in that are one.
    """
    path = unicodedata.normalize("NFC", name.strip())
    address = ADDRESS.match(path)
    before, mark, _ = path.partition("?")
    more = ""
    if address or (mark and (_is_image(before) or before.endswith("/"))):
        before, _, fragment = path.partition("#")
        before, _, query = before.partition("?")
        path = before[address.end() if address else 0 :]
        pairs = parse_qsl(query, keep_blank_values=True)
        signature = AZURE if any(key == "sig" for key, _ in pairs) else SIGNATURE
        said = [pair for pair in pairs if not re.fullmatch(signature, pair[0], re.IGNORECASE)]
        files = [] if _is_image(path) else [value for _, value in said if _is_image(value)]
        if len(files) == 1:
            path, said = files[0], [(key, value) for key, value in said if value != files[0]]
        path = unicodedata.normalize("NFC", unquote(path))
        more = "".join(f"?{key}={value}" for key, value in sorted(said)) + f"#{fragment}" * (fragment != "")
    parts = path.replace("\\", "/").split("/")
    host = address[1].casefold() if address else ""
    return host + more, "/".join(part for part in parts if part not in ("", "."))


def match(names: Iterable[str], images: Sequence[str]) -> Match:
    """The images, of N paths below their folder, that distinct names mean; see the head of this module."""
    known = spellings(list(images))
    names = [name for name in names if name.strip()]
    exact = {name: known[name] for name in names if name in known}
    if len(exact) == len(names):
        return Match(exact, [], {}, {})
    return _Search(names, exact, images).match()


Steps = tuple[str, ...]


class _Search:
    """The search for a rule for all ``names`` but the ``exact`` ones, of which the image is known."""

    def __init__(self, names: Sequence[str], exact: dict[str, int], images: Sequence[str]):
        self.identity = {name: read(name) for name in names}
        self.exact, self.paths = exact, {name: self.identity[name][1] for name in names if name not in exact}
        self.images = [unicodedata.normalize("NFC", image) for image in images]
        self.taken: dict[int, set[tuple[str, str]]] = defaultdict(set)
        for name, index in exact.items():
            self.taken[index].add(self.identity[name])
        everything = (*self.paths.values(), *self.images)
        # A step that changes nothing here decides nothing.
        self.steps = tuple(step for step, change in STEPS.items() if any(change(path) != path for path in everything))
        self.fitting: dict[str, list[int]] = {}  # the images of each name under the loosest rule
        self.enough: dict[Steps, bool] = {}
        self.changed: dict[Steps, tuple[dict[str, str], list[str]]] = {}

    def match(self) -> Match:
        """What the names stand for."""
        files = defaultdict(list)
        for index, path in enumerate(self.images):
            files[_last(changed(path, self.steps))].append(index)
        fitting = {name: files.get(_last(changed(path, self.steps)), []) for name, path in self.paths.items()}
        missing = [name for name, found in fitting.items() if not found]
        # No rule is looser than the loosest, so each fault shows there.
        several = {name: found for name, found in fitting.items() if len(found) > 1}
        single = self.exact | {name: found[0] for name, found in fitting.items() if len(found) == 1}
        meeting: dict[int, dict[tuple[str, str], str]] = defaultdict(dict)
        for name, index in single.items():
            meeting[index].setdefault(self.identity[name], name)
        shared = {
            index: list(found.values())
            for index, found in meeting.items()
            if len(found) > 1 and not set(found.values()) <= set(self.exact)
        }
        # Where a rule fails, it fails at once: the names that may be at fault come first.
        first = [name for name in (*several, *itertools.chain(*shared.values())) if name in self.paths]
        self.fitting = {name: fitting[name] for name in dict.fromkeys((*first, *self.paths)) if fitting[name]}
        rules = ((way, steps) for way in WAYS for steps in self.subsets()) if self.fitting else ()
        if found := next(filter(None, (self.tried(*rule) for rule in rules)), None):
            return found._replace(missing=missing)
        return Match({n: i for n, i in single.items() if i not in shared}, missing, several, shared)

    def subsets(self) -> Iterator[Steps]:
        """The sets of steps, the smallest first, that make the file of each name that of an image that may be meant."""
        for n in range(len(self.steps) + 1):
            for steps in itertools.combinations(self.steps, n):
                if steps not in self.enough:
                    self.enough[steps] = self.suffice(steps, self.fitting, "file")
                if self.enough[steps]:
                    yield steps

    def suffice(self, steps: Steps, names: Iterable[str], way: str) -> bool:
        """Whether each of some names fits one of the images that may be meant, at the least, after some steps."""
        return all(
            any(fits(changed(self.images[index], steps), path, way) for index in self.fitting[name])
            for name, path in ((name, changed(self.paths[name], steps)) for name in names)
        )

    def tried(self, way: str, steps: Steps) -> Match | None:
        """What the names mean under one rule, if each fits one image and no two one image."""
        if not self.suffice(steps, itertools.islice(self.fitting, SAMPLE), way):
            return None
        if steps not in self.changed:
            names = {name: changed(self.paths[name], steps) for name in self.fitting}
            self.changed[steps] = names, [changed(path, steps) for path in self.images]
        names, images = self.changed[steps]
        for cut, find in self.finders(way, images):
            found, owner = {}, dict(self.taken)
            for name, path in names.items():
                index, itself = find(path), self.identity[name]
                if index is None or itself not in owner.setdefault(index, {itself}):
                    break
                found[name] = index
            else:
                said = WAYS[way].format(cut) if cut != 1 else "the first folder of each cut"
                rule = ", ".join(filter(None, (said, *steps))) or "read as paths"
                return Match({**self.exact, **found}, [], {}, {}, len(found), rule, min(found))
        return None

    def finders(self, way: str, paths: list[str]) -> Iterator[tuple[int, Callable[[str], int | None]]]:
        """Functions that find the image of a path among ``paths``, each with the number of folders that it cuts."""
        whole = _unique((path, index) for index, path in enumerate(paths))
        if way == "whole":
            short = {
                (text, index)
                for index, path in enumerate(paths)
                for text in (_last(path), _without_suffix(_last(path)))
            }
            yield 0, (_unique(short) | whole).get
        elif way == "cut":
            least = min((self.paths[name].count("/") for name in self.fitting), default=0)
            for cut in range(1, least + 1):
                yield cut, lambda path, cut=cut: whole.get(path.split("/", cut)[-1])
        elif way == "ends":
            ends = _unique({(end, index) for index, path in enumerate(paths) for end in _ends(path)})
            yield 0, lambda path: _only({whole.get(end) for end in _ends(path)} | {ends.get(path)})
        else:
            files = _unique((_last(path), index) for index, path in enumerate(paths))
            yield 0, lambda path: files.get(_last(path))


def fits(image: str, path: str, way: str) -> bool:
    """Whether the path of a name fits that of an image."""
    if way == "file":
        return _last(image) == _last(path)
    if way == "whole":
        return path in (image, _last(image), _without_suffix(_last(image)))
    return f"/{path}".endswith(f"/{image}") or (way == "ends" and image.endswith(f"/{path}"))


def changed(path: str, steps: Steps) -> str:
    """A path after some steps."""
    for step in steps:
        path = STEPS[step](path)
    return path


def stem(name: str, steps: Steps) -> str:
    """The last part of the path that a name is read as, after some steps."""
    return _last(changed(read(name)[1], steps))


def _ends(path: str) -> Iterator[str]:
    """A path, and what is left of it after each of its folders."""
    parts = path.split("/")
    return ("/".join(parts[k:]) for k in range(len(parts)))


def _only(found: set[int | None]) -> int | None:
    found.discard(None)
    return found.pop() if len(found) == 1 else None


def _unique(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The index of each text that has one alone."""
    pairs = list(pairs)
    times = Counter(text for text, _ in pairs)
    return {text: index for text, index in pairs if times[text] == 1}


class Nearest:
    """The names most like another; of many thousands only those that begin or end nearly as it does are compared."""

    def __init__(self, names: Iterable[str]):
        self.full = {_last(name).casefold(): name for name in names}
        self.forward = sorted(self.full)
        self.backward = sorted(_without_suffix(file)[::-1] + "\0" + file for file in self.full)

    def to(self, name: str) -> list[str]:
        """At most SHOWN names, the most like first."""
        file = _last(read(name)[1]).casefold()
        at, back = bisect_left(self.forward, file), bisect_left(self.backward, _without_suffix(file)[::-1])
        near = dict.fromkeys(self.forward[max(0, at - NEIGHBOURS) : at + NEIGHBOURS])
        near |= {text.partition("\0")[2]: None for text in self.backward[max(0, back - NEIGHBOURS) : back + NEIGHBOURS]}
        return [self.full[found] for found in difflib.get_close_matches(file, list(near), n=SHOWN)]
