"""Which way up an image is, as cameras write it into its file."""

from __future__ import annotations

import re
import struct

import numpy as np
from PIL import Image

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x112
# Of the kinds of numbers in EXIF those that an orientation may be written as.
_NUMBERS = {1: "B", 3: "H", 4: "I"}


def upright(exif: bytes | None, xmp: bytes | None) -> Image.Transpose | None:
    """What makes an image upright; None where nothing need be done.

    EXIF or XMP that is broken tells nothing: the pixels can be seen without it.

    Args:
      exif: the EXIF of the file, if it has any.
      xmp: the XMP of the file, which is looked at where EXIF tells nothing.
    """
    number = _of_exif(exif) if exif else None
    if number is None and xmp:
        found = re.search(rb'tiff:Orientation(?:=["\']|>)([1-8])', xmp)
        number = int(found[1]) if found else None
    return _UPRIGHT.get(number) if number is not None else None


def upright_values(values: np.ndarray, number: int) -> np.ndarray:
    """Values (h, w, c) upright, by the number 1 to 8 that EXIF and TIFF have for how they lie."""
    if number in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if number in (3, 4, 7, 8):
        values = values[::-1]
    return values[:, ::-1] if number in (2, 3, 6, 7) else values


def number_of(turn: Image.Transpose | None) -> int:
    """That number for what makes an image upright."""
    return next((number for number, each in _UPRIGHT.items() if each == turn), 1)


def _of_exif(exif: bytes) -> int | None:
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _ = struct.unpack_from(f"{order}HHI", tiff, place)
            if tag == _ORIENTATION and kind in _NUMBERS:
                (number,) = struct.unpack_from(f"{order}{_NUMBERS[kind]}", tiff, place + 8)
                return number if 1 <= number <= 8 else None
    except struct.error:
        pass  # it is cut off, or points beyond its end
    return None
