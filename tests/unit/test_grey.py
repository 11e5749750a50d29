"""Grey values of more than 8 bits: no value wraps, one range serves a whole data set, and what it cuts is counted."""

import io
import struct

import numpy as np
import pytest
from forms.greys import tiff
from PIL import Image

from softlabels.datasets import grey
from softlabels.datasets.contract import read_images
from softlabels.datasets.images import import_images
from softlabels.errors import UserError

RANGE = {"low": -1000.0, "high": 3000.0}


def imported(tmp_path, arrays, deep, order="<", pixels=None):
    """Levels of TIFF files with these values, uint8 [N, H, W], and what the import says."""
    paths = [tmp_path / f"{k}.tif" for k in range(len(arrays))]
    for path, array in zip(paths, arrays, strict=True):
        path.write_bytes(tiff(np.asarray(array), order))
    found = import_images(paths, {"pixels": pixels, "resize": "stretch", "deep": deep}, tmp_path / "images.npy")
    images = np.array(read_images(tmp_path / "images.npy"))
    assert (images == images[..., :1]).all()
    return images[..., 0], found


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_signed_values_become_the_levels_of_their_range(tmp_path, dtype, order):
    values = np.array([[-2000, -1000, 0, 1000, 3000, 3001]], dtype)
    levels, found = imported(tmp_path, [values], RANGE, order)
    assert levels[0, 0].tolist() == [0, 0, 64, 128, 255, 255]  # 255 * (v + 1000) / 4000, rounded
    assert "1 of 6 pixels lie below and became 0, 1 lie above and became 255 (1 images)" in found.remarks[0]
    assert found.rules["deep"] == RANGE


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
@pytest.mark.parametrize("deep", [{"low": 0, "high": 60000}, "stretch"])
def test_unsigned_values_do_not_wrap(tmp_path, dtype, deep):
    levels, _ = imported(tmp_path, [np.array([[0, 30000, 40000, 60000]], dtype)], deep)
    assert levels[0, 0].tolist() == [0, 128, 170, 255]


def test_the_largest_value_of_32_bits_is_bright(tmp_path):
    levels, _ = imported(tmp_path, [np.array([[0, 2**31, 2**32 - 1]], np.uint32)], {"low": 0, "high": 2**32 - 1})
    assert levels[0, 0].tolist() == [0, 128, 255]


def test_a_small_range_of_floating_point_stretches_to_all_levels(tmp_path):
    levels, _ = imported(tmp_path, [np.array([[0, 0.25, 0.5]], np.float32)], "stretch")
    assert levels[0, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.float32])
def test_percentiles_are_those_of_all_pixels(tmp_path, dtype):
    rng = np.random.default_rng(1)
    arrays = [(rng.normal(0, 400, (5, 7)) - 300 * k).clip(0 if dtype == np.uint16 else None).astype(dtype)
              for k in range(4)]  # fmt: skip
    ends = np.percentile(np.concatenate(arrays, axis=None).astype(np.float64), [5, 90], method="inverted_cdf")
    levels, found = imported(tmp_path, arrays, {"percentiles": [5, 90]})
    assert found.rules["deep"] == {"low": ends[0], "high": ends[1], "percentiles": [5, 90]}
    expected = np.rint(255 * ((np.array(arrays, float) - ends[0]) / (ends[1] - ends[0])).clip(0, 1))
    np.testing.assert_array_equal(levels, expected)
    again, _ = imported(tmp_path, arrays, found.rules["deep"])
    np.testing.assert_array_equal(again, levels)


@pytest.mark.parametrize("percentiles", [(0, 100), (1, 99), (50, 50.1), (99.75, 100)])
def test_percentiles_of_large_and_tiny_numbers_are_exact(percentiles):
    rng = np.random.default_rng(2)
    values = (rng.normal(size=5000) * 10.0 ** rng.integers(-30, 30, 5000)).astype(np.float32)
    values[:10] = [0, -0.0, 1, -1, 2**24, -(2**24), 1e38, -1e38, 1e-44, -1e-44]
    parts = np.array_split(values, 7)
    found = grey.found_range(percentiles, lambda: iter(parts))
    ends = np.percentile(values.astype(np.float64), percentiles, method="inverted_cdf")
    assert (found["low"], found["high"]) == tuple(ends)


def test_percentiles_without_a_range_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"source\.deep\.percentiles: found 7 at both ends"):
        imported(tmp_path, [np.full((2, 2), 7, np.uint16)], {"percentiles": [1, 99]})
    with pytest.raises(UserError, match=r"source\.deep: found low 3000 and high -1000"):
        imported(tmp_path, [np.full((2, 2), 7, np.uint16)], {"low": 3000, "high": -1000})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("deep", [RANGE, "stretch", {"percentiles": [1, 99]}])
def test_pixels_that_are_no_numbers_are_refused(tmp_path, bad, deep):
    good, wrong = np.array([[1.0, 2.0]], np.float32), np.array([[1.0, bad]], np.float32)
    with pytest.raises(UserError, match=r"1\.tif: .*1 of 2 pixels are no finite number"):
        imported(tmp_path, [good, wrong], deep)
    assert not list(tmp_path.glob("*.npy"))


def test_without_a_range_the_message_names_one(tmp_path):
    with pytest.raises(UserError, match=r"0\.tif: .*from -5 to 900.*deep: \{low: -5, high: 900\}"):
        imported(tmp_path, [np.array([[-5, 900]], np.int16)], "refuse")
    with pytest.raises(UserError, match=r"floating-point pixels, for which source\.deep: scale has no highest"):
        imported(tmp_path, [np.array([[0, 900]], np.float32)], "scale")


def test_twelve_bits_under_scale_are_questioned(tmp_path):
    _, found = imported(tmp_path, [np.array([[0, 4095]], np.uint16)], "scale")
    assert "at most 17 of 256 levels are left" in found.remarks[0] and "high: 4095" in found.remarks[0]
    _, found = imported(tmp_path, [np.array([[0, 65535]], np.uint16)], "scale")
    assert not found.remarks
    _, found = imported(tmp_path, [np.array([[-3, 65536]], np.int32)], "scale")
    assert "1 of 2 pixels lie below and became 0, 1 lie above" in found.remarks[0]


def test_images_of_8_bits_among_others_are_counted(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(np.array([[0, 4095]], np.uint16)))
    Image.fromarray(np.array([[3, 9]], np.uint8)).save(tmp_path / "b.png")
    options = {"pixels": None, "resize": "stretch", "deep": {"low": 0, "high": 4095}}
    found = import_images([tmp_path / "a.tif", tmp_path / "b.png"], options, tmp_path / "images.npy")
    assert read_images(tmp_path / "images.npy")[..., 0].tolist() == [[[0, 255]], [[3, 9]]]
    assert "1 of 2 images" in found.remarks[0] and "The other images have 8 bits" in found.remarks[0]
    found = import_images([tmp_path / "b.png"], options | {"deep": {"percentiles": [1, 99]}}, tmp_path / "images.npy")
    assert "`deep` changed nothing" in found.remarks[0] and found.rules["deep"] == "refuse"


@pytest.mark.parametrize(("deep", "expected"), [({"low": 0, "high": 4095}, [0, 128, 255]), ("scale", [0, 128, 255])])
def test_a_pgm_says_its_own_largest_value(tmp_path, deep, expected):
    (tmp_path / "a.pgm").write_bytes(b"P5\n3 1\n4095\n" + np.array([0, 2048, 4095], ">u2").tobytes())
    import_images([tmp_path / "a.pgm"], {"pixels": None, "resize": "stretch", "deep": deep}, tmp_path / "images.npy")
    assert read_images(tmp_path / "images.npy")[0, 0, :, 0].tolist() == expected


def dicom(values, slope=1, intercept=0, photometric="MONOCHROME2", frames=None, **elements):
    """The bytes of a DICOM file with these pixels, and with further elements by their keywords."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    file = pydicom.Dataset()
    file.file_meta, file.SOPClassUID = meta, SecondaryCaptureImageStorage
    file.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    bits = values.dtype.itemsize * 8
    file.Rows, file.Columns = values.shape[-2:] if values.shape[-1] != 3 else values.shape[:2]
    file.SamplesPerPixel = 3 if values.shape[-1] == 3 and values.ndim == 3 else 1
    if file.SamplesPerPixel == 3:
        file.PlanarConfiguration = 0
    file.PhotometricInterpretation = photometric
    file.BitsAllocated = file.BitsStored = bits
    file.HighBit, file.PixelRepresentation = bits - 1, int(values.dtype.kind == "i")
    file.PixelData = values.tobytes() + b"\0" * (values.nbytes % 2)
    if (slope, intercept) != (1, 0):
        file.RescaleSlope, file.RescaleIntercept = slope, intercept
    if frames:
        file.NumberOfFrames = frames
    for keyword, value in elements.items():
        setattr(file, keyword, value)
    buffer = io.BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def of_dicom(tmp_path, content, deep):
    (tmp_path / "a.dcm").write_bytes(content)
    found = import_images(
        [tmp_path / "a.dcm"], {"pixels": None, "resize": "stretch", "deep": deep}, tmp_path / "images.npy"
    )
    return np.array(read_images(tmp_path / "images.npy")[0]), found


@pytest.mark.parametrize(("photometric", "expected"), [("MONOCHROME2", [0, 64, 255]), ("MONOCHROME1", [255, 191, 0])])
def test_dicom_is_rescaled_and_low_values_may_be_bright(tmp_path, photometric, expected):
    content = dicom(np.array([[0, 500, 2000]], np.uint16), 2, -1000, photometric)  # in the unit: -1000, 0, 3000
    levels, found = of_dicom(tmp_path, content, RANGE)
    assert levels[0, :, 0].tolist() == expected
    assert "from -1000 to 3000" in found.remarks[0]
    _, found = of_dicom(tmp_path, content, {"percentiles": [0, 100]})
    assert found.rules["deep"] == {"low": -1000, "high": 3000, "percentiles": [0, 100]}


def test_dicom_of_8_bits_signed_and_in_colour(tmp_path):
    levels, _ = of_dicom(tmp_path, dicom(np.array([[3, 250]], np.uint8)), "refuse")
    assert levels[0, :, 0].tolist() == [3, 250]
    levels, _ = of_dicom(tmp_path, dicom(np.array([[-1000, 3000]], np.int16)), RANGE)
    assert levels[0, :, 0].tolist() == [0, 255]
    rgb = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    levels, _ = of_dicom(tmp_path, dicom(rgb, photometric="RGB"), "refuse")
    np.testing.assert_array_equal(levels, rgb)


def test_dicom_with_frames_or_cut_short_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a\.dcm: .*2 frames, expected one image"):
        of_dicom(tmp_path, dicom(np.zeros((2, 4, 4), np.uint16), frames=2), RANGE)
    with pytest.raises(UserError, match=r"a\.dcm: cannot be used as an image"):
        of_dicom(tmp_path, dicom(np.zeros((8, 8), np.uint16))[:-40], RANGE)
    with pytest.raises(UserError, match=r"a\.dcm: .*DICOM with grey values from 0 to 9, .*source\.deep"):
        of_dicom(tmp_path, dicom(np.array([[0, 9]], np.uint16)), "refuse")


def test_dicom_whose_values_are_no_levels_of_grey_is_refused(tmp_path):
    wide = bytes(range(256)) * 2
    tables = {f"{colour}PaletteColorLookupTable{what}": value for colour in ("Red", "Green", "Blue")
              for what, value in (("Descriptor", [256, 0, 16]), ("Data", wide))}  # fmt: skip
    content = dicom(np.array([[3, 250]], np.uint8), photometric="PALETTE COLOR", **tables)
    with pytest.raises(
        UserError, match=r"a\.dcm: .*pixels PALETTE COLOR uint8 \[1, 2\], expected MONOCHROME1, .*save it"
    ):
        of_dicom(tmp_path, content, "refuse")
    ybr = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    with pytest.raises(UserError, match=r"a\.dcm: .*(pixels YBR_ICT uint8 \[2, 2, 3\], expected|pydicom cannot read)"):
        of_dicom(tmp_path, dicom(ybr, photometric="YBR_ICT"), "refuse")
    content = dicom(np.array([[0, 15]], np.uint8), BitsStored=4, HighBit=3)
    with pytest.raises(UserError, match=r"a\.dcm: .*DICOM with grey values from 0 to 15"):
        of_dicom(tmp_path, content, "refuse")


def test_dicom_in_ybr_becomes_rgb(tmp_path):
    ybr = np.array([[[128, 128, 128], [76, 85, 255]]], np.uint8)
    levels, _ = of_dicom(tmp_path, dicom(ybr, photometric="YBR_FULL"), "refuse")
    np.testing.assert_allclose(levels[0], [[128, 128, 128], [254, 0, 0]], atol=1)  # of PS3.3, C.7.6.3.1.2


def test_dicom_of_too_many_pixels_is_refused_before_they_are_decoded(tmp_path, monkeypatch):
    content = dicom(np.zeros((5, 5), np.uint8), Rows=60000, Columns=60000)
    monkeypatch.setattr("pydicom.pixels.get_decoder", None)
    with pytest.raises(UserError, match=r"a\.dcm: has more than [0-9]+ pixels\. Make it smaller first"):
        of_dicom(tmp_path, content, "refuse")


@pytest.mark.filterwarnings("ignore")  # of pydicom, on values that the standard does not allow
@pytest.mark.parametrize(("elements", "message"), [
    ({"RescaleSlope": None, "RescaleIntercept": None}, "RescaleSlope empty or missing and .*, expected two"),
    ({"RescaleSlope": 2, "RescaleIntercept": None}, "RescaleSlope 2.* and RescaleIntercept empty or missing, exp"),
    ({"RescaleSlope": 2}, "RescaleIntercept empty or missing, expected two numbers; write them"),
    ({"RescaleSlope": [1, 2], "RescaleIntercept": 0}, r"RescaleSlope \[1.*, 2.*\] and RescaleIntercept 0"),
    ({"Rows": None}, "DICOM that pydicom cannot read"),
    ({"NumberOfFrames": [1, 2]}, "DICOM that pydicom cannot read"),
    ({"PhotometricInterpretation": None}, "DICOM that pydicom cannot read"),
    ({"table": []}, "DICOM that pydicom cannot read"),
])  # fmt: skip
def test_dicom_with_empty_or_odd_elements_is_refused(tmp_path, elements, message):
    pydicom = pytest.importorskip("pydicom")
    if "table" in elements:
        elements = {"ModalityLUTSequence": [pydicom.Dataset()]}
    with pytest.raises(UserError, match=rf"a\.dcm: .*{message}"):
        of_dicom(tmp_path, dicom(np.array([[3, 250]], np.uint8), **elements), "refuse")


def test_dicom_without_the_library_names_the_type_and_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(UserError, match=r"a\.dcm: .*a DICOM file, which the library pydicom reads.*\[dicom\]"):
        of_dicom(tmp_path, bytes(128) + b"DICM" + struct.pack("<I", 0), RANGE)
