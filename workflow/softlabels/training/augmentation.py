"""Augmentation of whole batches on the device; every draw is keyed by (seed, epoch, item)."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch.nn import functional as F

from .. import keyed

# A turn is a number of three bits: first the image is transposed, then its columns, then its rows are reversed.
COLUMNS, ROWS, TRANSPOSED = 1, 2, 4
# By 0, 90, 180, 270 degrees.
QUARTER_TURNS = np.array([0, ROWS | TRANSPOSED, COLUMNS | ROWS, COLUMNS | TRANSPOSED])


def draws(options: dict, items: int, seed: int, epoch: int) -> dict[str, torch.Tensor]:
    """All draws of one epoch (from 1) by the recipe's ``augment``, a row for each of the data set's N ``items``.

    Returns:
        ``turn`` int64 ``[N]``, 0 to 7; and, where asked for, float32 ``[N]``: ``zoom`` (share of the side that is
        kept), ``hue`` (share of the colour circle), ``saturation``, ``brightness``, ``contrast``.
    """

    def uniform(name: str, low: float, high: float) -> np.ndarray:
        return (low + (high - low) * keyed.rng(f"augment {name}", seed, epoch).random(items)).astype(np.float32)

    turn = np.zeros(items, dtype=np.int64)
    if options["flips"] != "none":
        columns, rows = keyed.rng("augment flips", seed, epoch).integers(0, 2, (items, 2)).T
        turn = COLUMNS * columns + (ROWS * rows if options["flips"] == "both" else 0)
    if options["quarter_turns"]:
        turn ^= QUARTER_TURNS[keyed.rng("augment turns", seed, epoch).integers(0, 4, items)]
    result = {"turn": turn}
    if options["zoom"] < 1:
        zoomed = uniform("zoom chosen", 0, 1) < options["zoom_probability"]
        result["zoom"] = np.where(zoomed, uniform("zoom", options["zoom"], 1), np.float32(1))
    for name in ("hue", "brightness"):
        if options[name] > 0:
            result[name] = uniform(name, -options[name], options[name])
    for name in ("saturation", "contrast"):
        if list(options[name]) != [1, 1]:
            result[name] = uniform(name, *options[name])
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in result.items()}


Room = tuple[torch.Tensor, torch.Tensor]  # uint8 and float32 [B, H, W, 3]


def room(images: torch.Tensor) -> Room | None:
    """Room for the work on such images, uint8 ``[B, H, W, 3]``, on a CPU: new memory for each batch costs it more."""
    return None if images.is_cuda else (torch.empty_like(images), torch.empty(images.shape))


def apply(images: torch.Tensor, draw: dict[str, torch.Tensor], room: Room | None = None) -> torch.Tensor:
    """Augment images uint8 ``[B, H, W, 3]`` by their rows of :func:`draws`, on the same device.

    Returns:
        float32 ``[B, 3, H, W]`` in 0..1, in channels-last memory order; where there is ``room``, it may lie there.
    """
    turned, scaled = room or (None, None)
    turned = _turned(images, draw["turn"], turned)
    # Not torch.div(…, out=scaled): that would make float32 of all in new memory first.
    result = (turned / 255 if scaled is None else scaled.copy_(turned).div_(255)).permute(0, 3, 1, 2)
    if "zoom" in draw:
        result = _zoom(result, draw["zoom"])
    if {"hue", "saturation", "brightness", "contrast"} & draw.keys():
        result = _colour(result, draw)
    return result.contiguous(memory_format=torch.channels_last)


def _turned(images: torch.Tensor, turn: torch.Tensor, out: torch.Tensor | None) -> torch.Tensor:
    """Images uint8 ``[B, H, W, 3]``, each turned as ``turn`` int64 ``[B]`` says (0 to 3 where they are not square)."""
    shape, (items, height, width, channels) = images.shape, images.shape
    if images.is_cuda:
        places = _places(height, width, 1, images.device).index_select(0, turn).unsqueeze(2)
        return images.reshape(items, -1, channels).gather(1, places.expand(-1, -1, channels)).reshape(shape)
    out = torch.empty_like(images, memory_format=torch.contiguous_format) if out is None else out
    given, result = images.reshape(items, -1).numpy(), out.view(items, -1).numpy()
    turns, places = turn.numpy(), _places(height, width, channels, images.device).numpy()
    for which in np.unique(turns):  # NumPy's take is the fastest gather of bytes on a CPU: no index of each image
        rows = np.flatnonzero(turns == which)
        result[rows] = given[rows].take(places[which], axis=1)
    return out


@cache
def _places(height: int, width: int, numbers: int, device: torch.device) -> torch.Tensor:
    """Where all of a turned image comes from that has so many ``numbers`` a pixel: int64 ``[8 or 4, H W numbers]``."""
    place = np.arange(height * width * numbers).reshape(height, width, numbers)
    places = []
    for turn in range(8 if height == width else 4):
        turned = place.transpose(1, 0, 2) if turn & TRANSPOSED else place
        turned = turned[:, ::-1] if turn & COLUMNS else turned
        places.append((turned[::-1] if turn & ROWS else turned).reshape(-1))
    return torch.from_numpy(np.stack(places)).to(device)


def _zoom(images: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Keep the central ``share`` of each image's sides and stretch it to the full size."""
    if images.is_cuda:
        return _stretched(images, share)
    zoomed = torch.nonzero(share < 1)[:, 0]  # on a GPU their number would have to be known first
    result = images.contiguous()
    return result.index_copy(0, zoomed, _stretched(result[zoomed], share[zoomed])) if len(zoomed) else result


def _stretched(images: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """:func:`_zoom` of each image, also of those whose share is 1: these come out but for rounding."""
    scale = torch.zeros(len(images), 2, 3, device=images.device)
    scale[:, 0, 0] = scale[:, 1, 1] = share
    grid = F.affine_grid(scale, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", align_corners=False)


def _colour(images: torch.Tensor, draw: dict[str, torch.Tensor]) -> torch.Tensor:
    """Hue turned and saturation scaled in HSV, brightness added, contrast scaled around the image's mean; clipped."""

    def column(name: str, default: float) -> torch.Tensor | float:
        return draw[name].reshape(-1, 1, 1) if name in draw else default

    red, green, blue = images.contiguous().unbind(dim=1)
    value = red.maximum(green).maximum(blue)
    chroma = value - red.minimum(green).minimum(blue)
    safe = chroma.clamp(min=1e-12)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    ) + 6 * column("hue", 0.0)
    hue = hue - 6 * (hue / 6).floor()
    chroma = (chroma * column("saturation", 1.0)).minimum(value)
    # https://en.wikipedia.org/wiki/HSL_and_HSV, "HSV to RGB alternative"; 1 less max(0, min(k, 4 - k, 1)) of there.
    kept = [(hue - 3).abs() - 1, 2 - (hue - 2).abs(), 2 - (hue - 4).abs()]
    images = torch.stack([value - chroma * (1 - each.clamp(0, 1)) for each in kept], dim=1)
    if "brightness" in draw:
        images = images + draw["brightness"].reshape(-1, 1, 1, 1)
    if "contrast" in draw:
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + (images - mean) * draw["contrast"].reshape(-1, 1, 1, 1)
    return images.clamp(0, 1)
