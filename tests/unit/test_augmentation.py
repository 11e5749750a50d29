"""Augmentation of batches."""

import colorsys
from collections import Counter

import numpy as np
import pytest
import torch
from training_files import RECIPE

from softlabels.training import augmentation

COLOUR = {"hue": 0.1, "saturation": [0.6, 1.6], "brightness": 0.2, "contrast": [0.5, 1.5]}


def options(**changes):
    return {**RECIPE["augment"], **changes}


def pixels(items=64, height=6, width=6, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (items, height, width, 3), dtype=np.uint8))


def still(items):
    """Draws of no turn."""
    return {"turn": torch.zeros(items, dtype=torch.int64)}


def symmetries(image):
    """The eight symmetries of a square image by numpy, as bytes."""
    turns = [np.rot90(image, k) for k in range(4)]
    return [np.ascontiguousarray(x).tobytes() for turn in turns for x in (turn, np.flipud(turn))]


def augmented(images, draw):
    """Augmented images as uint8 [B, H, W, 3]."""
    result = augmentation.apply(images, draw).permute(0, 2, 3, 1) * 255
    return result.round().to(torch.uint8).numpy()


def seen(items=4000, **changes):
    """How often each symmetry of one image occurs."""
    image = pixels(1)
    draw = augmentation.draws(options(**changes), items, seed=0, epoch=1)
    known = symmetries(image[0].numpy())
    return Counter(known.index(result.tobytes()) for result in augmented(image.expand(items, -1, -1, -1), draw))


def test_all_eight_symmetries_occur_equally_often():
    counts = seen()
    assert len(counts) == 8
    assert all(abs(count - 500) < 5 * np.sqrt(4000 / 8 * 7 / 8) for count in counts.values())


def test_turns_alone_are_the_four_rotations_and_flips_alone_the_two_mirrors_and_their_product():
    rotations, flips = seen(flips="none"), seen(quarter_turns=False)
    assert set(rotations) == {0, 2, 4, 6}
    assert set(flips) == {0, 1, 4, 5}  # as it is, up-down, half turn, left-right
    assert all(abs(count - 1000) < 150 for count in [*rotations.values(), *flips.values()])


def test_horizontal_flips_exchange_left_and_right_only():
    counts = seen(flips="horizontal", quarter_turns=False)
    assert set(counts) == {0, 5}
    assert abs(counts[0] - 2000) < 170


def test_by_default_no_value_changes_and_batches_are_floats_in_channels_last_order():
    images = pixels()
    draw = augmentation.draws(options(), 64, seed=0, epoch=1)
    assert set(draw) == {"turn"}
    result = augmentation.apply(images, draw)
    assert result.dtype == torch.float32
    assert result.shape == (64, 3, 6, 6)
    assert result.is_contiguous(memory_format=torch.channels_last)
    before = (images.permute(0, 3, 1, 2).to(torch.float32) / 255).reshape(64, 3, -1)
    assert (result.reshape(64, 3, -1).sort(dim=2)[0] == before.sort(dim=2)[0]).all()


def test_room_that_was_used_before_changes_nothing():
    images, room = pixels(), augmentation.room(pixels(seed=1))
    for epoch, more in enumerate([{}, {}, {"zoom": 0.5, "zoom_probability": 1, **COLOUR}]):
        draw = augmentation.draws(options(**more), 64, seed=0, epoch=epoch)
        assert (augmentation.apply(images, draw, room) == augmentation.apply(images, draw)).all()


def test_without_flips_and_turns_images_stay_as_they_are():
    images = pixels()
    draw = augmentation.draws(options(flips="none", quarter_turns=False), 64, seed=0, epoch=1)
    assert (augmented(images, draw) == images.numpy()).all()


def test_images_that_are_not_square_are_flipped():
    images = pixels(height=4, width=7)
    draw = augmentation.draws(options(quarter_turns=False), 64, seed=0, epoch=1)
    assert set(draw["turn"].tolist()) == {0, 1, 2, 3}
    for image, result, turn in zip(images.numpy(), augmented(images, draw), draw["turn"].tolist(), strict=True):
        image = image[:, ::-1] if turn & augmentation.COLUMNS else image
        assert (result == (image[::-1] if turn & augmentation.ROWS else image)).all()


def test_hue_and_saturation_match_the_standard_library():
    images = pixels(50, 2, 2)
    draw = still(50) | {"hue": torch.linspace(-0.5, 0.5, 50), "saturation": torch.linspace(0, 2, 50)}
    ours = augmentation.apply(images, draw).permute(0, 2, 3, 1).reshape(50, -1, 3).numpy()
    for row in range(50):
        for pixel, result in zip(images[row].reshape(-1, 3).numpy() / 255, ours[row], strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
            turned = (hue + draw["hue"][row].item()) % 1
            saturated = min(saturation * draw["saturation"][row].item(), 1)
            assert result == pytest.approx(colorsys.hsv_to_rgb(turned, saturated, value), abs=2e-6)


def test_grey_and_black_pixels_have_no_hue_to_turn():
    images = torch.arange(0, 250, 50, dtype=torch.uint8).reshape(5, 1, 1, 1).expand(5, 2, 2, 3)
    draw = still(5) | {"hue": torch.full((5,), 0.3)}
    assert (augmented(images, draw) == images.numpy()).all()


def test_brightness_is_added_and_contrast_scaled_around_the_mean_and_clipped():
    images = pixels(20)
    brightness, contrast = torch.linspace(-0.5, 0.5, 20), torch.linspace(0.2, 3, 20)
    draw = still(20) | {"brightness": brightness, "contrast": contrast}
    values = images.permute(0, 3, 1, 2).numpy() / 255 + brightness.numpy()[:, None, None, None]
    mean = values.mean(axis=(1, 2, 3), keepdims=True)
    expected = np.clip(mean + (values - mean) * contrast.numpy()[:, None, None, None], 0, 1)
    assert augmentation.apply(images, draw).numpy() == pytest.approx(expected, abs=1e-5)


def test_zoom_keeps_the_centre_and_magnifies_by_the_share_that_is_kept():
    image = np.zeros((1, 40, 40, 3), dtype=np.uint8)
    image[0, 16:24, 16:24, 0] = 255  # a square in the centre
    image[0, 0, 0] = 255  # a corner that is cut off
    draw = still(1) | {"zoom": torch.tensor([0.5])}
    result = augmentation.apply(torch.from_numpy(image), draw)[0].numpy()
    rows, columns = np.nonzero(result[0] > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 27, 12, 27)  # twice the side
    assert result[1].max() == 0
    whole = augmentation.apply(torch.from_numpy(image), still(1) | {"zoom": torch.tensor([1.0])})[0]
    assert whole.numpy() == pytest.approx(image[0].transpose(2, 0, 1) / 255, abs=1e-5)


def test_only_zoomed_images_are_stretched():
    images = pixels(6)
    share = torch.tensor([1, 0.8, 1, 0.6, 0.9, 1])
    result = augmentation.apply(images, still(6) | {"zoom": share})
    expected = augmentation._stretched(images.permute(0, 3, 1, 2) / 255, share)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5, check_stride=False)


def test_draws_stay_in_their_ranges_and_zoom_comes_as_often_as_asked_for():
    draw = augmentation.draws(options(zoom=0.8, **COLOUR), 5000, seed=0, epoch=1)
    ranges = {"zoom": (0.8, 1), "hue": (-0.1, 0.1), "saturation": (0.6, 1.6), "brightness": (-0.2, 0.2),
              "contrast": (0.5, 1.5)}  # fmt: skip
    for name, (low, high) in ranges.items():
        values = draw[name].numpy()
        assert values.min() >= np.float32(low)
        assert values.max() <= np.float32(high)
        assert np.ptp(values) > 0.98 * (high - low)
    zoomed = draw["zoom"] < 1
    assert zoomed.float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert draw["zoom"][zoomed].mean().item() == pytest.approx(0.9, abs=0.01)


def test_draws_are_keyed_by_seed_epoch_and_item_and_independent_of_each_other():
    everything = options(zoom=0.8, **COLOUR)
    draw = augmentation.draws(everything, 100, seed=1, epoch=2)
    for name, values in augmentation.draws(everything, 40, seed=1, epoch=2).items():
        assert (draw[name][:40] == values).all(), name
    for seed, epoch in ((2, 2), (1, 3)):
        for name, values in augmentation.draws(everything, 100, seed=seed, epoch=epoch).items():
            assert (draw[name] != values).any(), name
    for only in ({"flips": "none"}, {"quarter_turns": False}):
        turns = [augmentation.draws(options(**only), 100, seed=1, epoch=epoch)["turn"] for epoch in (2, 3)]
        assert (turns[0] != turns[1]).any(), only
    for name, values in augmentation.draws(options(), 100, seed=1, epoch=2).items():  # other options, the same turns
        assert (draw[name] == values).all()
    colours = np.stack([draw[name].numpy() for name in COLOUR])
    assert np.abs(np.corrcoef(colours) - np.eye(4)).max() < 0.4


def test_an_item_looks_the_same_whatever_else_is_in_its_batch():
    images = pixels(100)
    draw = augmentation.draws(options(zoom=0.5, zoom_probability=1, **COLOUR), 100, seed=0, epoch=1)
    whole = augmentation.apply(images, draw)
    for index in ([7], [3, 7, 50], list(range(99, 4, -1))):
        part = augmentation.apply(images[index], {name: values[index] for name, values in draw.items()})
        torch.testing.assert_close(part, whole[index], rtol=0, atol=0)
