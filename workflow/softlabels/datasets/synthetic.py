"""The synthetic data set: ellipses between six classes, whose label distributions are known exactly.

A class is a colour (blue, green, red) and a shape (circle, ellipse). Colour moves on a ring red, green, blue, red;
shape moves from the circle to the narrowest ellipse. An item's label distribution is the outer product of its position
on both, so it can be read off the image; where the classes are the colours alone, it is the position on the ring. Item
i depends on the seed and on i alone: neither the number of items nor the order or the chunks of the work change it (nor
its votes, but for annotators who drift).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Problems
from ..progress import progress
from . import annotators
from .contract import Content, Options, new_images

ENTRY = {
    "groupings": {"colour_shape": {
        "colour": {"b": ["bc", "be"], "g": ["gc", "ge"], "r": ["rc", "re"]},
        "shape": {"circle": ["bc", "gc", "rc"], "ellipse": ["be", "ge", "re"]},
    }},
    "about": "Red, green and blue circles and ellipses and their interpolations, with exactly known distributions.",
    "options": {
        "items": {"type": "integer", "minimum": 1, "maximum": 10000000, "default": 15000,
            "description": "Number of images."},
        "pixels": {"type": "integer", "minimum": 8, "maximum": 1024, "default": 224,
            "description": "Side of the square images."},
        "seed": {"type": "integer", "minimum": 0, "default": 0, "description": "Seed of the generator."},
        "pure_share": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.4,
            "description": "Share of images that are exactly one class."},
        "interpolate": {"enum": ["joint", "colour", "shape", "mixed"], "default": "joint",
            "description": "What is interpolated in the other images - colour and shape together, one of them, or a "
            "mixture."},
        "mixed_shares": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}, "minItems": 3,
            "maxItems": 3, "default": [0.34, 0.33, 0.33],
            "description": "For `mixed`, the shares of joint, colour and shape interpolations."},
        "colour_path": {"enum": ["hsv_hue", "rgb_linear"], "default": "hsv_hue",
            "description": "Whether colours move along the saturated hue circle or straight through RGB."},
        "ratio_min": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.5,
            "description": "Axis ratio of a pure ellipse."},
        "balance": {"enum": ["exact", "random"], "default": "exact",
            "description": "Whether hard classes have equal sizes (or those of `class_shares`) or are drawn."},
        "classes": {"enum": ["colour_shape", "colour"], "default": "colour_shape",
            "description": "The six classes of a colour and a shape (bc, be, gc, ge, rc, re), or the colours alone "
            "(b, g, r)."},
        "class_shares": {
            "anyOf": [{"type": "array", "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "minItems": 3,
                       "maxItems": 6}, {"type": "null"}],
            "default": None,
            "description": "Share of each hard class, in the order of `classes`, with the sum 1; null for equal "
                           "shares."},
        "radius": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "minItems": 2,
            "maxItems": 2, "default": [0.12, 0.26],
            "description": "Size, as a share of the side: uniform in this range.", "ordered": True},
        "centre": {"anyOf": [{"$ref": "range"}, {"type": "null"}], "default": None,
            "description": "Range of the centre as a share of the side; null keeps the whole shape inside the frame.",
            "ordered": True},
        "margin": {"type": "number", "minimum": 0, "maximum": 0.4, "default": 0.02,
            "description": "Frame kept free, as a share of the side."},
        "clip": {"type": "boolean", "default": False, "description": "Whether the border may cut shapes."},
        "size": {"enum": ["area", "major_axis"], "default": "area",
            "description": "What the radius fixes; with `area` the area says nothing about the shape class."},
        "supersampling": {"type": "integer", "minimum": 1, "maximum": 64, "default": 4,
            "description": "Sub-pixels along a side of a pixel (1 = none); pixels times supersampling is at most "
            "32767."},
        "noise": {"type": "number", "minimum": 0, "default": 0,
            "description": "Standard deviation of Gaussian pixel noise (0 to 255)."},
        "background": {"enum": ["black", "texture"], "default": "black", "description": "Background of the images."},
        "votes": {"type": "integer", "minimum": 0, "default": 0,
            "description": "Votes drawn for each image; 0 labels with the exact distribution."},
        "annotators": {"type": "integer", "minimum": 0, "default": 0,
            "description": "Size of the pool of annotators; 0 for anonymous votes."},
        "complete_annotators": {"type": "integer", "minimum": 0, "default": 0,
            "description": "So many of the pool vote on every image; the other votes of an image come from the rest "
            "of the pool."},
        "load": {"enum": ["even", "uneven"], "default": "even",
            "description": "How often the others of the pool are chosen - all alike, or the k-th in proportion to "
            "1/k."},
        "annotator_model": {"enum": ["ambiguity", "spammer_hammer", "confusion", "drift"], "default": "ambiguity",
            "description": "What annotators make of what they see, which is a draw of the image's distribution - all "
            "err alike (`ambiguity`), some answer at random (`spammer_hammer`), each mixes up classes in a way of "
            "their own (`confusion`), or their accuracy changes from vote to vote (`drift`); all but the first need "
            "`annotators`."},
        "annotator_accuracy": {"type": "number", "minimum": 0, "maximum": 1, "default": 1,
            "description": "With the remaining probability an annotator answers at random. For `confusion` the mean "
            "probability of answering what was seen; for `drift` the accuracy at the first vote."},
        "accuracy_at_end": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.6,
            "description": "For `drift`, the accuracy at an annotator's last vote."},
        "spammer_share": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.2,
            "description": "For `spammer_hammer`, the share of the pool that answers at random whatever the image."},
    },
    "gives": ["votes", "exact"],
}  # fmt: skip

CLASSES = {
    "colour_shape": ["bc", "be", "gc", "ge", "rc", "re"],  # blue, green, red x circle, ellipse: as the public archive
    "colour": ["b", "g", "r"],
}
SUM_TOLERANCE = 1e-6  # of shares that are written with few decimals
MOST_SUBPIXELS = 32767  # along a side: what the rasteriser can count
CHUNK_BYTES = 16_000_000  # of pixels held at once
JOINT, COLOUR, SHAPE, PURE = range(4)  # what an item interpolates: both, one, or nothing
GEOMETRY, TEXTURE, NOISE, VOTES = (), (1,), (2,), (3,)  # an item's streams: SeedSequence children, none shared
TEXTURE_CELLS = 8  # grid cells along a side of the image
TEXTURE_MAX = 127.0  # at most half as bright as a shape


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of a generated data set; ``source`` holds the options, ``problems`` gets those that contradict."""
    check(source, problems)
    problems.stop()
    items = draw_items(source)
    p = label_distributions(items["u"], items["s"], source["classes"])

    def images(path: Path | None, threads: int) -> dict[str, Any]:
        if path is not None:
            with new_images(path, (len(p), source["pixels"], source["pixels"], 3)) as append:
                for chunk in progress(chunks(source), desc="render"):
                    append(render(source, {key: column[chunk] for key, column in items.items()}, chunk.start))
        return {}

    names = [f"synthetic-{i:05d}" for i in range(len(p))]
    votes, notes = None, {}
    if source["votes"]:
        votes, people = annotators.vote(p, source, lambda item: generator(source, item, VOTES))
        notes = {"annotators": people} if people else {}
    return Content(names, CLASSES[source["classes"]], images, votes, p, columns=items, notes=notes)


def check(source: Options, problems: Problems) -> None:
    """Note options that contradict each other."""
    annotators.check(source, problems)
    shares, n_classes = source["class_shares"], len(CLASSES[source["classes"]])
    if shares is not None:
        if len(shares) != n_classes or min(shares) <= 0 or abs(sum(shares) - 1) > SUM_TOLERANCE:
            problems.add(
                f"source.class_shares: found {shares} with the sum {sum(shares):g}, expected {n_classes} positive "
                f"numbers that sum to 1, in the order {', '.join(CLASSES[source['classes']])}. Correct them."
            )
        if source["balance"] != "exact":
            problems.add(
                f"source.balance: found '{source['balance']}' with source.class_shares, expected 'exact'. Set that, "
                f"or remove class_shares."
            )
    if source["pixels"] * source["supersampling"] > MOST_SUBPIXELS:
        problems.add(
            f"source.pixels times supersampling is {source['pixels'] * source['supersampling']}, expected at most "
            f"{MOST_SUBPIXELS}. Lower one."
        )
    if source["interpolate"] == "mixed" and sum(source["mixed_shares"]) <= 0:
        problems.add(
            f"source.mixed_shares: found {source['mixed_shares']}, expected a share above 0. Set the shares of joint, "
            f"colour and shape."
        )
    if not source["clip"]:
        room = 0.5 if source["centre"] is None else min(source["centre"][0], 1 - source["centre"][1])
        longest, _ = semi_axes(source["radius"][1], source["ratio_min"], source["size"])
        if longest + source["margin"] > room:
            problems.add(
                f"source.clip: found false, but semi-axes of up to {longest:.3f} (source.radius, size, ratio_min) and "
                f"source.margin {source['margin']} exceed the {room:.3f} of the side that source.centre leaves; "
                f"expected shapes that fit. Lower radius, narrow centre, or set clip to true."
            )


def evenly(n: int, share: Fraction) -> np.ndarray:
    """Which of n things a share takes, spread evenly: bool ``[n]``; entry k is the same for every n > k."""
    taken = np.array([k * share.numerator // share.denominator for k in range(n + 1)])
    return np.diff(taken) > 0


def evenly_shared(n: int, shares: list[float]) -> np.ndarray:
    """Which of K shares takes each of n things, spread evenly: int ``[n]``; entry k is the same for every n > k."""
    taker, left = np.empty(n, dtype=np.int64), np.arange(n)
    shares = [Fraction(str(share)) for share in shares]
    for k, share in enumerate(shares):
        taken = evenly(len(left), share and share / sum(shares[k:]))
        taker[left[taken]] = k
        left = left[~taken]
    return taker


def kinds(source: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Which items interpolate colour and which shape: two bool ``[N]``; pure items do neither."""
    shares = {"joint": [1, 0, 0], "colour": [0, 1, 0], "shape": [0, 0, 1], "mixed": source["mixed_shares"]}
    interpolated = ~evenly(source["items"], Fraction(str(source["pure_share"])))
    does = np.full(source["items"], PURE)
    does[interpolated] = evenly_shared(interpolated.sum(), shares[source["interpolate"]])
    return (does == JOINT) | (does == COLOUR), (does == JOINT) | (does == SHAPE)


def draw_items(source: dict[str, Any]) -> dict[str, np.ndarray]:
    """The parameters of every item, arrays ``[N]`` of float64 (``pure``: bool).

    ``u`` in [0, 3) is the position on the colour ring (red 0, green 1, blue 2), ``s`` in [0, 1] the position from
    circle to ellipse, ``rho`` the axis ratio; ``r``, ``cx``, ``cy`` are in sides of the image (x to the right, y down)
    and ``theta``, the direction of the longer axis, in radians from x to y.
    """
    colour, shape = kinds(source)
    uniform = np.array([generator(source, i, GEOMETRY).random(6) for i in range(source["items"])]).T
    u, s = 3 * uniform[0], uniform[1]
    if source["balance"] == "exact":
        shares = source["class_shares"]
        cells = shared_cells(colour, shape, shares) if shares else half_cells(colour, shape)
        u, s = (cells + uniform[:2]) / 2
    u = np.where(colour, u, np.floor(u + 0.5) % 3)
    s = np.where(shape, s, np.floor(s + 0.5))
    rho = 1 - s * (1 - source["ratio_min"])
    low, high = source["radius"]
    r = low + uniform[2] * (high - low)
    theta = np.pi * uniform[3]
    a, b = semi_axes(r, rho, source["size"])
    cos, sin = np.cos(theta), np.sin(theta)
    inside = source["margin"] + np.stack([np.hypot(a * cos, b * sin), np.hypot(a * sin, b * cos)])
    low, high = source["centre"] or (inside, 1 - inside)  # high < low, with clip: the shape reaches over both borders
    cx, cy = low + uniform[4:] * (high - low)
    return {"u": u, "s": s, "rho": rho, "r": r, "theta": theta, "cx": cx, "cy": cy, "pure": ~(colour | shape)}


def half_cells(colour: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Which half arc of the ring (0 to 5) and which half of the shape axis (0, 1) an item lies in: int ``[2, N]``.

    Each kind of item cycles over its own cells, so that each hard class gets the same number of every kind. Pure items
    have a cell for each class: the half arc that begins at its corner.
    """
    cell = np.empty(len(colour), dtype=np.int64)
    for kind in (colour & shape, colour & ~shape, shape & ~colour):
        cell[kind] = np.arange(kind.sum()) % 12
    pure = ~(colour | shape)
    corner, half = np.divmod(np.arange(pure.sum()) % 6, 2)
    cell[pure] = 4 * corner + half
    return np.stack(np.divmod(cell, 2))


def shared_cells(colour: np.ndarray, shape: np.ndarray, shares: list[float]) -> np.ndarray:
    """As :func:`half_cells`, with the hard classes in these shares, in each kind of item: int ``[2, N]``.

    Each kind and class cycles over the cells of that class: the half arcs on both sides of its corner, and its half of
    the shape axis, or both halves where the classes are the colours alone.
    """
    arc, half = np.divmod(np.arange(12), 2)
    blue_green_red = 2 - (arc + 1) // 2 % 3
    class_of_cell = blue_green_red if len(shares) == 3 else 2 * blue_green_red + half
    cell = np.empty(len(colour), dtype=np.int64)
    for kind in (colour & shape, colour & ~shape, shape & ~colour, ~(colour | shape)):
        items = np.flatnonzero(kind)
        hard = evenly_shared(len(items), shares)
        for k in range(len(shares)):
            of_class, cells = items[hard == k], np.flatnonzero(class_of_cell == k)
            cell[of_class] = cells[np.arange(len(of_class)) % len(cells)]
    return np.stack(np.divmod(cell, 2))


def generator(source: dict[str, Any], item: int, purpose: tuple[int, ...]) -> np.random.Generator:
    """The stream of one item for one purpose."""
    return np.random.default_rng(np.random.SeedSequence(source["seed"], spawn_key=(item, *purpose)))


def semi_axes(r: Any, rho: Any, size: str) -> tuple[Any, Any]:
    """Both semi-axes: the area is pi r^2 whatever the shape (``area``), or the longer one is r (``major_axis``)."""
    return (r / np.sqrt(rho), r * np.sqrt(rho)) if size == "area" else (r, r * rho)


def ring_weights(u: np.ndarray) -> np.ndarray:
    """Shares of red, green and blue at the positions u on the ring: float64 ``[N, 3]``, two of them not zero."""
    corner = np.floor(u).astype(np.int64)
    rows = np.arange(len(u))
    weights = np.zeros((len(u), 3))
    weights[rows, corner] = 1 - (u - corner)
    weights[rows, (corner + 1) % 3] = u - corner
    return weights


def label_distributions(u: np.ndarray, s: np.ndarray, classes: str = "colour_shape") -> np.ndarray:
    """The exact label distributions, float64 ``[N, C]`` in the order of CLASSES: shares of colour x shares of shape.

    Of the classes ``colour`` they are the shares of colour, the sums over the shapes.
    """
    blue_green_red = ring_weights(u)[:, ::-1]
    if classes == "colour":
        return blue_green_red
    circle_ellipse = np.stack([1 - s, s], axis=1)
    return (blue_green_red[:, :, None] * circle_ellipse[:, None, :]).reshape(len(u), -1)


def colours(u: np.ndarray, path: str) -> np.ndarray:
    """RGB in [0, 1], float64 ``[N, 3]``: HSV(120 degrees x u, 1, 1), or the mixture of the two corners' RGB."""
    if path == "rgb_linear":
        return ring_weights(u)
    h = 2 * u[:, None]  # in sixths of the hue circle; red, green and blue are at 0, 2 and 4
    distance = np.abs(h - [0, 2, 4])
    return np.clip(2 - np.minimum(distance, 6 - distance), 0, 1)


def chunks(source: dict[str, Any]) -> list[slice]:
    """Consecutive rows that hold about CHUNK_BYTES of pixels."""
    step = max(1, CHUNK_BYTES // (3 * source["pixels"] ** 2))
    return [slice(start, min(start + step, source["items"])) for start in range(0, source["items"], step)]


def coverage(source: dict[str, Any], items: dict[str, np.ndarray]) -> np.ndarray:
    """How many of a pixel's q x q sample points lie in the ellipse, int16 ``[N, H, W]``.

    A row of sample points at height y meets the ellipse A x^2 + 2 B x y + C y^2 <= 1 (about its centre) in one
    interval, between the roots of a quadratic in x; so two indices a row stand for all its sample points.
    """
    pixels, q = source["pixels"], source["supersampling"]
    samples = pixels * q
    r, rho, theta, cx, cy = (items[key][:, None] for key in ("r", "rho", "theta", "cx", "cy"))
    a, b = semi_axes(r, rho, source["size"])
    y = (np.arange(samples) + 0.5) / samples - cy
    A = (np.cos(theta) / a) ** 2 + (np.sin(theta) / b) ** 2
    B = np.sin(theta) * np.cos(theta) * (1 / a**2 - 1 / b**2)
    discriminant = A - (y / (a * b)) ** 2  # as A C - B^2 = 1 / (a b)^2
    middle, half = cx - B / A * y, np.sqrt(np.maximum(discriminant, 0)) / A
    first = np.ceil((middle - half) * samples - 0.5).clip(0, samples).astype(np.int16)
    end = (np.floor((middle + half) * samples - 0.5) + 1).clip(0, samples).astype(np.int16)
    end = np.where(discriminant < 0, first, end)
    left = np.arange(0, samples, q, dtype=np.int16)  # a pixel's first sample point
    inside = np.zeros((len(y), pixels, pixels), dtype=np.int16)
    for row in range(q):
        inside += (end[:, row::q, None] - left).clip(0, q)
        inside -= (first[:, row::q, None] - left).clip(0, q)
    return inside


def render(source: dict[str, Any], items: dict[str, np.ndarray], start: int = 0) -> np.ndarray:
    """The images of consecutive items from ``start`` on, uint8 ``[N, H, W, 3]``.

    A pixel is round(255 coverage colour + (1 - coverage) background + noise), with coverage in steps of 1 / q^2.
    """
    pixels, levels = source["pixels"], source["supersampling"] ** 2
    share = np.arange(levels + 1) / levels
    lookup = 255 * share[:, None] * colours(items["u"], source["colour_path"])[:, None, :]
    images = np.empty((len(lookup), pixels, pixels, 3), dtype=np.uint8)
    plain = source["background"] == "black" and source["noise"] == 0
    for i, inside in enumerate(coverage(source, items)):
        if plain:
            images[i] = np.rint(lookup[i]).astype(np.uint8).take(inside, axis=0)
            continue
        image = lookup[i].take(inside, axis=0)
        if source["background"] == "texture":
            image += ((1 - share).take(inside) * texture(source, start + i))[:, :, None]
        if source["noise"]:
            image += source["noise"] * generator(source, start + i, NOISE).standard_normal(image.shape)
        images[i] = np.rint(image).clip(0, 255)
    return images


def texture(source: dict[str, Any], item: int) -> np.ndarray:
    """A smooth grey background, float64 ``[H, W]`` in [0, TEXTURE_MAX].

    Value noise: uniform greys on a grid of TEXTURE_CELLS cells a side, joined by the smoothstep 3 t^2 - 2 t^3.
    """
    grid = TEXTURE_MAX * generator(source, item, TEXTURE).random((TEXTURE_CELLS + 1, TEXTURE_CELLS + 1))
    cell, t = np.divmod((np.arange(source["pixels"]) + 0.5) / source["pixels"] * TEXTURE_CELLS, 1)
    cell, weight = cell.astype(np.int64), t * t * (3 - 2 * t)
    rows = grid[cell] * (1 - weight)[:, None] + grid[cell + 1] * weight[:, None]
    return rows[:, cell] * (1 - weight) + rows[:, cell + 1] * weight
