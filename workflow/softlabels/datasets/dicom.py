"""DICOM files, through pydicom where it is installed (the extra ``dicom``)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from PIL import Image

from .grey import finite

MARK = slice(128, 132)  # bytes of a file that say that it is DICOM
GREY = ("MONOCHROME1", "MONOCHROME2")  # of PhotometricInterpretation (PS3.3, C.7.6.3.1.2)
RESCALE = ("RescaleSlope", "RescaleIntercept")


class Pixels(NamedTuple):
    """An image of DICOM: colours uint8 ``[H, W, 3]``, or grey values ``[H, W]`` in the unit of the modality."""

    values: np.ndarray
    deep: bool  # whether these are grey values that uint8 does not hold
    inverted: bool  # whether low values are shown bright (MONOCHROME1)


def is_dicom(content: bytes) -> bool:
    """Whether a file's bytes are DICOM's."""
    return content[MARK] == b"DICM"


@contextmanager
def by_pydicom() -> Iterator[None]:
    """Whatever pydicom raises of a file, which may be of any type, as a ValueError that says so."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"DICOM that pydicom cannot read: {error}") from None


def read(content: bytes) -> Pixels:
    """The pixels of a DICOM file's bytes.

    Grey values are those that rescale slope and intercept (PS3.3, C.11.1.1.2), or a modality look-up table, give;
    windows are not applied. YBR_FULL becomes RGB by pydicom. ValueError for several frames, other colours than these
    with 8 bits, and what pydicom cannot read; Pillow's DecompressionBombError, before pixels are decoded, for more
    pixels than it allows.
    """
    try:
        import pydicom
        from pydicom.pixels import apply_modality_lut, get_decoder
    except ImportError:
        raise ValueError(
            "a DICOM file, which the library pydicom reads: install the extra, pip install '.[dicom]', or save the "
            "images as 16-bit PNG or TIFF"
        ) from None
    with by_pydicom():
        file = pydicom.dcmread(io.BytesIO(content))
        frames, n_pixels = int(file.get("NumberOfFrames") or 1), int(file.Rows) * int(file.Columns)
        rescale = {key: file.get(key) for key in RESCALE}
        wanted = not file.get("ModalityLUTSequence") and any(key in file for key in RESCALE)
    if frames > 1:
        raise ValueError(f"{frames} frames, expected one image")
    if n_pixels > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError
    if wanted and not all(isinstance(value, float) for value in rescale.values()):
        shown = " and ".join(
            f"{key} {'empty or missing' if value in (None, '') else value}" for key, value in rescale.items()
        )
        raise ValueError(
            f"DICOM with {shown}, expected two numbers; write them into the file, or remove both elements to use grey "
            f"values as they are stored"
        )
    with by_pydicom():
        found, about = get_decoder(file.file_meta.TransferSyntaxUID).as_array(file)
        # Not the file's own: decoding turns YBR_FULL, and YBR of JPEG 2000, into RGB.
        kind = about["photometric_interpretation"]
    if kind == "RGB" and found.dtype == np.uint8 and found.ndim == 3:
        return Pixels(found, False, False)
    if kind not in GREY or found.ndim != 2:
        raise ValueError(
            f"DICOM with pixels {kind} {found.dtype} {list(found.shape)}, expected {', '.join(GREY)}, or RGB of 8 "
            f"bits; save it as one of these, or as PNG"
        )
    with by_pydicom():
        rescaled = apply_modality_lut(found, file)
    if found.dtype == np.uint8 and file.BitsStored == 8 and np.array_equal(rescaled, found):
        return Pixels(found, False, kind == "MONOCHROME1")
    return Pixels(finite(rescaled.astype(np.float64)), True, kind == "MONOCHROME1")
