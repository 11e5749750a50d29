"""Grey values of medicine: 12, 16 and 32 bits, with or without a sign, floating point, DICOM."""

import struct

import numpy as np

from . import Form, case, counted

TABLE = {"kind": "table", "images": "images", "votes": "votes.csv"}
NAMES = ["a.tif", "b.tif", "c.tif"]
ROWS = [("a.tif", "cat"), ("a.tif", "dog"), ("b.tif", "dog"), ("c.tif", "cat")]
FORMATS = {"u": 1, "i": 2, "f": 3}  # of samples, by the kind of a NumPy type


def tiff(array: np.ndarray, order: str = "<") -> bytes:
    """A plain TIFF of one strip with grey values ``[H, W]``; ``order`` of bytes as in ``struct``."""
    data = array.astype(array.dtype.newbyteorder(order)).tobytes()
    height, width = array.shape
    short, long = 3, 4  # types of values
    tags = [
        (256, long, width), (257, long, height), (258, short, array.dtype.itemsize * 8), (259, short, 1),
        (262, short, 1), (273, long, 8), (277, short, 1), (278, long, height), (279, long, len(data)),
        (339, short, FORMATS[array.dtype.kind]),
    ]  # fmt: skip
    data += b"\0" * (len(data) % 2)
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, 8 + len(data))
    directory = struct.pack(order + "H", len(tags))
    for tag, kind, value in tags:
        directory += struct.pack(order + "HHI", tag, kind, 1)
        directory += struct.pack(order + "HH", value, 0) if kind == short else struct.pack(order + "I", value)
    return head + data + directory + bytes(4)


def writer(*arrays, order="<", names=NAMES):
    """A writer of three files with these values, and of four votes."""

    def write(folder):
        (folder / "images").mkdir()
        for name, array in zip(names, arrays, strict=True):
            folder.joinpath("images", name).write_bytes(tiff(array, order))
        lines = "".join(f"{name},{who},{label}\n" for (name, label), who in zip(ROWS, "vwvv", strict=True))
        folder.joinpath("votes.csv").write_text(f"item,annotator,label\n{lines}")

    return write


def of(dtype, *ends, order="<"):
    """A writer of three images with values between these ends."""
    values = np.linspace(*ends, 12).reshape(3, 4)
    return writer(*((values + k).astype(dtype) for k in range(3)), order=order)


def dicom(folder):
    of(np.uint16, 0, 4000)(folder)
    folder.joinpath("images", "c.tif").rename(folder / "images/c.dcm")
    folder.joinpath("images", "c.dcm").write_bytes(bytes(128) + b"DICM" + bytes(40))
    votes = folder / "votes.csv"
    votes.write_text(votes.read_text().replace("c.tif", "c.dcm"))


VOTES = counted(ROWS)
HU = {"low": -1000, "high": 3000}
FORMS = [
    Form("grey of 12 bits in 16, one range", of(np.uint16, 0, 4093), {**TABLE, "deep": {"low": 0, "high": 4095}},
         votes=VOTES, remark=r"all images have more than 8 bits, from 0 to 4095: 0 became 0 and 4095 became 255"),
    Form("grey of 12 bits in 16, scale", of(np.uint16, 0, 4093), {**TABLE, "deep": "scale"}, votes=VOTES,
         remark=r"at most 17 of 256 levels are left"),
    Form("grey of 12 bits in 16, each stretched", of(np.uint16, 0, 4093), {**TABLE, "deep": "stretch"}, votes=VOTES),
    Form("grey with a sign, 16 bits", of(np.int16, -1024, 3071), {**TABLE, "deep": HU}, votes=VOTES,
         remark=r"from -1024 to 3073.*3 of 36 pixels lie below and became 0, 3 lie above and became 255"),
    Form("grey with a sign, 16 bits, big-endian", of(np.int16, -1024, 3071, order=">"), {**TABLE, "deep": HU},
         votes=VOTES, remark=r"from -1024 to 3073"),
    Form("grey with a sign, 32 bits", of(np.int32, -70000, 70000), {**TABLE, "deep": {"low": -7e4, "high": 7e4}},
         votes=VOTES, remark=r"from -70000 to 70002.*0 of 36 pixels lie below and became 0, 2 lie above"),
    Form("grey without a sign, 32 bits", of(np.uint32, 0, 4e9), {**TABLE, "deep": {"percentiles": [0, 100]}},
         votes=VOTES, remark=r"from 0 to 4000000002: 0 became 0"),
    Form("grey in floating point", of(np.float32, -0.5, 1.5), {**TABLE, "deep": {"percentiles": [10, 90]}},
         votes=VOTES, remark=r"10 and 90 per cent of all"),
    Form("grey in floating point, scale", of(np.float32, -0.5, 1.5), {**TABLE, "deep": "scale"},
         error=r"a\.tif.*floating-point pixels.*low"),
    Form("grey in floating point with a gap", writer(*(np.array([[0, np.nan]], np.float32),) * 3),
         {**TABLE, "deep": HU}, error=r"a\.tif.*1 of 2 pixels are no finite number"),
    Form("grey of 16 bits, nothing said", of(np.uint16, 0, 4000), TABLE,
         error=r"a\.tif.*from 0 to 4000.*source\.deep.*low: 0, high: 4000"),
    Form("a range upside down", of(np.uint16, 0, 4000), {**TABLE, "deep": {"low": 5, "high": 5}},
         error=r"source\.deep: found low 5 and high 5, expected low below high"),
    Form("DICOM that is broken, or without its library", dicom, {**TABLE, "deep": HU},
         error=r"c\.dcm.*(a DICOM file, which the library pydicom reads|DICOM that pydicom cannot read)"),
    Form("case tiff12", source={**TABLE, "deep": {"low": 0, "high": 4095}}, **case("tiff12"),
         remark=r"all images have more than 8 bits, from 0 to 4095: .*0 of 20,480 pixels lie below"),
    Form("case tiff12, the range of the data set", source={**TABLE, "deep": {"percentiles": [0, 100]}},
         **case("tiff12"), remark=r"0 became 0 and 4095 became 255"),
]  # fmt: skip
