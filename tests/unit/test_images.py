"""Image files to images.npy."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from softlabels.datasets.contract import read_images
from softlabels.datasets.images import import_images, relative_names, spellings
from softlabels.errors import UserError

RGB = np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


PLAIN = {"pixels": None, "resize": "stretch", "deep": "refuse"}


def pixels_of(path, tmp_path, pixels=None, resize="stretch", deep="refuse"):
    import_images([path], {"pixels": pixels, "resize": resize, "deep": deep}, tmp_path / "images.npy")
    return np.array(read_images(tmp_path / "images.npy")[0])


def test_lossless_rgb_pixels_and_file_hashes_arrive_unchanged(tmp_path):
    paths = [save(tmp_path / "a.png", RGB), save(tmp_path / "b.bmp", 255 - RGB)]
    hashes = import_images(paths, PLAIN, tmp_path / "images.npy").columns["sha256"]
    np.testing.assert_array_equal(read_images(tmp_path / "images.npy"), [RGB, 255 - RGB])
    assert hashes == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def test_alpha_is_laid_over_black(tmp_path):
    rgba = np.dstack([RGB, np.full(RGB.shape[:2], 128, np.uint8)])
    image = pixels_of(save(tmp_path / "a.png", rgba), tmp_path)
    np.testing.assert_allclose(image, RGB * (128 / 255), atol=1)


def test_a_transparent_palette_entry_becomes_black(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "L").convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "a.png", transparency=0)
    assert pixels_of(tmp_path / "a.png", tmp_path).tolist() == [[[0, 0, 0], [0, 255, 0]]]


TURNED = Image.Exif()
TURNED[0x0112] = 6  # shown after a quarter turn clockwise
BICUBIC = np.asarray(Image.fromarray(RGB).resize((5, 5), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("array", "exif", "fit", "expected"),
    [
        (RGB[..., 0], None, (), np.repeat(RGB[..., :1], 3, axis=2)),
        (RGB, TURNED, (), np.rot90(RGB, -1)),
        (RGB, None, (4, "crop"), RGB[1:5]),
        (RGB, None, (6, "pad"), np.pad(RGB, ((0, 0), (1, 1), (0, 0)))),
        (RGB, None, (5, "stretch"), BICUBIC),
    ],
    ids=["grey fills three channels", "EXIF turns", "crop keeps the centre", "pad is black", "stretch is bicubic"],
)
def test_an_image_becomes_rgb_of_the_size_that_is_asked_for(tmp_path, array, exif, fit, expected):
    image = pixels_of(save(tmp_path / "a.png", array, exif=exif), tmp_path, *fit)
    np.testing.assert_array_equal(image, expected)


def test_several_sizes_name_the_first_other_file_and_the_key(tmp_path):
    paths = [save(tmp_path / f"{name}.png", RGB[:side]) for name, side in (("a", 6), ("b", 6), ("c", 5), ("d", 4))]
    with pytest.raises(UserError, match=r"c\.png: found 4 × 5 pixels, expected 4 × 6 .*source\.pixels"):
        import_images(paths, PLAIN, tmp_path / "images.npy")
    assert not list(tmp_path.glob("*images.npy*"))


def test_an_image_type_that_starts_other_programs_is_refused(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "x.png", "EPS")
    with pytest.raises(UserError, match=r"x\.png: is no image of the types BMP"):
        pixels_of(tmp_path / "x.png", tmp_path)


@pytest.mark.parametrize("place", [24, -5])  # in the pixels; in the checksum at the end of the file
def test_a_flipped_byte_in_a_png_is_refused(tmp_path, place):
    path = save(tmp_path / "x.png", RGB)
    content = bytearray(path.read_bytes())
    start = content.index(b"IDAT")
    content[start + place if place > 0 else content.index(b"IEND") + place] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.png"):
        pixels_of(path, tmp_path)


@pytest.mark.parametrize(("deep", "expected"), [("scale", [0, 1, 128, 255]), ("stretch", [0, 2, 128, 255])])
def test_sixteen_bits_become_eight_as_asked(tmp_path, deep, expected):
    high = 65535 if deep == "scale" else 40000
    values = np.array([[0, 257 if deep == "scale" else 314, (high + 1) // 2, high]], np.uint16)
    image = pixels_of(save(tmp_path / "deep.png", values), tmp_path, deep=deep)
    assert image[0, :, 0].tolist() == expected
    assert (image == image[..., :1]).all()


def test_a_flat_image_of_sixteen_bits_stays_flat(tmp_path):
    path = save(tmp_path / "deep.png", np.full((2, 2), 500, np.uint16))
    assert not pixels_of(path, tmp_path, deep="stretch").any()


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (2, 2), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    assert pixels_of(tmp_path / "a.tif", tmp_path).tolist() == [[[255, 0, 0]] * 2] * 2


def test_any_number_of_threads_gives_the_same_bytes(tmp_path):
    draw = np.random.default_rng(1)
    paths = [save(tmp_path / f"{i:02d}.jpg", draw.integers(0, 256, (9, 7, 3), np.uint8)) for i in range(40)]
    options = PLAIN | {"pixels": 8}
    columns = [import_images(paths, options, tmp_path / f"{threads}.npy", threads) for threads in (1, 3)]
    assert (tmp_path / "1.npy").read_bytes() == (tmp_path / "3.npy").read_bytes()
    assert columns[0] == columns[1]


def test_the_same_pixels_are_found_in_files_that_differ(tmp_path):
    paths = [
        save(tmp_path / name, array)
        for name, array in (("a.png", RGB), ("b.png", 255 - RGB), ("c.bmp", RGB), ("d.png", 255 - RGB), ("e.png", RGB))
    ]
    assert import_images(paths, PLAIN, tmp_path / "images.npy").columns["duplicate"].to_pylist() == [
        None,
        None,
        0,
        1,
        0,
    ]


def test_all_bad_files_are_in_one_message_and_nothing_is_left(tmp_path):
    paths = [save(tmp_path / "a.png", RGB), tmp_path / "b.png", save(tmp_path / "c.png", RGB), tmp_path / "d.png"]
    for path in paths[1::2]:
        path.write_bytes(b"none")
    for output in (tmp_path / "images.npy", None):
        with pytest.raises(UserError, match=r"(?s)2 problems:.*b\.png: is no image.*d\.png: is no image"):
            import_images(paths, PLAIN, output, threads=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "c.png", "d.png"]


def test_looking_only_finds_the_same_and_writes_nothing(tmp_path):
    paths = [save(tmp_path / "a.png", RGB), save(tmp_path / "b.png", RGB)]
    looked = import_images(paths, PLAIN, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
    assert looked == import_images(paths, PLAIN, tmp_path / "images.npy")


@pytest.mark.parametrize("limit", [12, 20])  # 24 pixels: Pillow's error from twice the limit, its warning below
def test_a_decompression_bomb_is_an_error(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit - 1)
    with pytest.raises(UserError, match=r"bomb\.png: has more than"):
        pixels_of(save(tmp_path / "bomb.png", RGB), tmp_path)


def test_names_are_relative_and_sorted(tmp_path):
    paths = [tmp_path / "b.png", tmp_path / "a" / "z.png"]
    assert list(relative_names(paths, tmp_path)) == ["a/z.png", "b.png"]


def test_paths_out_of_the_folder_are_refused(tmp_path):
    folder = tmp_path / "images"
    outside = save(tmp_path / "secret.png", RGB)
    folder.mkdir()
    (folder / "link.png").symlink_to(outside)
    save(folder / "a.png", RGB)
    for path in (outside, folder / ".." / "secret.png", folder / "link.png", folder / "sub" / ".." / "a.png"):
        with pytest.raises(UserError, match="not in the image folder"):
            relative_names([path], folder)


def test_the_folder_itself_may_be_above_or_behind_a_link(tmp_path):
    save(tmp_path / "images" / "a.png", RGB)
    (tmp_path / "link").symlink_to(tmp_path / "images")
    for folder in (tmp_path / "images" / ".." / "images", tmp_path / "link"):
        assert list(relative_names([folder / "a.png"], folder)) == ["a.png"]


def test_only_a_file_name_that_occurs_once_stands_for_its_path():
    known = spellings(["x/a.png", "y/a.png", "y/b.png", "b"])
    assert known == {"x/a.png": 0, "y/a.png": 1, "y/b.png": 2, "b.png": 2, "b": 3}
