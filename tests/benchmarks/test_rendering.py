"""How much faster the images are drawn than sample point by sample point, measured side by side."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from softlabels import schema
from softlabels.datasets import synthetic

SOURCE = schema.complete({"kind": "synthetic", "items": 24}, schema.DATASET["source"])


def every_sample_point(source: dict, items: dict[str, np.ndarray]) -> np.ndarray:
    """The same images from the ellipse test at each of the q x q sample points of each pixel."""
    pixels, q = source["pixels"], source["supersampling"]
    at = (np.arange(pixels * q) + 0.5) / (pixels * q)
    colour = synthetic.colours(items["u"], source["colour_path"])
    images = []
    for i in range(len(colour)):
        a, b = synthetic.semi_axes(items["r"][i], items["rho"][i], source["size"])
        x, y = at - items["cx"][i], (at - items["cy"][i])[:, None]
        cos, sin = np.cos(items["theta"][i]), np.sin(items["theta"][i])
        inside = ((x * cos + y * sin) / a) ** 2 + ((y * cos - x * sin) / b) ** 2 <= 1
        share = inside.reshape(pixels, q, pixels, q).mean(axis=(1, 3))
        images.append(np.rint(255 * share[:, :, None] * colour[i]).astype(np.uint8))
    return np.stack(images)


def fastest(function, *arguments) -> tuple[float, np.ndarray]:
    """The shortest of three runs, in seconds, and what it returned."""
    seconds = []
    for _ in range(3):
        start = perf_counter()
        result = function(*arguments)
        seconds.append(perf_counter() - start)
    return min(seconds), result


def test_intervals_beat_sample_points():
    items = synthetic.draw_items(SOURCE)
    slow, expected = fastest(every_sample_point, SOURCE, items)
    fast, images = fastest(synthetic.render, SOURCE, items)
    np.testing.assert_array_equal(images, expected)
    scale = 1000 / SOURCE["items"]  # to milliseconds an image
    print(f"\nsample points {slow * scale:.2f} ms, intervals {fast * scale:.2f} ms an image: {slow / fast:.1f} times")
    assert slow / fast > 5
