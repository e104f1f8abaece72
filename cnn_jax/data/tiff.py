"""TIFF files as arrays, with the values that are stored."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from cnn_jax.data.containers import MAX_PIXELS
from cnn_jax.data.tiff_strips import Strips

MAX_VALUES = 3 * MAX_PIXELS
"""Of all channels together: as many as the largest image in RGB has."""

_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _MASK, _YCBCR = 0, 1, 2, 3, 4, 6
_COLOURS = (_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _MASK)
_JPEG = (6, 7)
_ORIENTATION = 274


class RefusedTiff(Exception):
    """A TIFF that is not read; the text says why, without its name."""


class TiffHeader(NamedTuple):
    """What a TIFF tells of its first page.

    Attributes:
      height: in pixels, as stored: the orientation may turn it by a quarter.
      width: in pixels, as stored.
      channels: of a pixel, among them what is transparent; 3 of a palette.
      dtype: that it is read as: uint8, uint16 or float32.
      stored: the dtype of the file.
      pages: whether further pages follow.
      orientation: 1 to 8 as in EXIF, 1 where it is upright.
    """

    height: int
    width: int
    channels: int
    dtype: str
    stored: str
    pages: bool
    orientation: int


def tiff_header(file: BinaryIO) -> TiffHeader:
    """What a TIFF tells of its first page, without reading the pixels.

    Raises:
      RefusedTiff: it is damaged, larger than images may be, or of a kind that is not read.
    """
    with _first_page(file) as page:
        return _header(page)


def read_tiff(file: BinaryIO) -> tuple[np.ndarray, int]:
    """The first page of a TIFF, striped or tiled, as it is stored: not yet upright.

    Values are kept: unsigned integers of 8 bits as uint8, of 9 to 16 as uint16, and all others as
    float32. Of 1, 2 or 4 bits they are brought to 0 to 255. Where zero is white they are turned
    round, so that it is black. Palettes become RGB. Colour profiles are not applied, and what is
    transparent is a channel like the others.

    Args:
      file: at the start.

    Returns:
      (h, w, c) uint8, uint16 or float32 of any number of channels, and the orientation as in EXIF.

    Raises:
      RefusedTiff: as `tiff_header`; or its content is cut off or damaged, is compressed in a way
        that is not known here, or holds values that are no finite numbers.
    """
    with _first_page(file) as page:
        found = _header(page)
        values = _in_kind(page, _stored_values(page, file), found.dtype)
    if values.dtype == np.float32 and (wrong := values.size - np.isfinite(values).sum()):
        raise RefusedTiff(f"holds {wrong:,} values that are no finite numbers")
    return values, found.orientation


@contextlib.contextmanager
def _first_page(file: BinaryIO) -> Iterator[Any]:
    """The first page; what is raised within becomes a `RefusedTiff`."""
    try:
        import tifffile  # only where there is such a file
    except ImportError as error:
        raise RefusedTiff(
            "is a TIFF, for which the package tifffile is needed: install this version anew"
        ) from error
    # It logs what it finds odd in a file, which a user cannot mend.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    try:
        with tifffile.TiffFile(file) as found:
            yield found.pages.first
    except RefusedTiff:
        raise
    except Exception as error:  # damaged numbers make it raise anything
        told = isinstance(error, (OSError, ValueError, zlib.error, NotImplementedError))
        raise RefusedTiff(f"cannot be read ({error if told else 'it is damaged'})") from error


def _header(page: Any) -> TiffHeader:
    """Checks that a page can be read, before anything of its size is made."""
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    if min(height, width, samples) < 1:
        raise RefusedTiff("cannot be read (it has no pixels)")
    if page.imagedepth != 1:
        raise RefusedTiff(f"is a volume of {page.imagedepth} slices; write each as a file")
    if height * width > MAX_PIXELS or height * width * samples > MAX_VALUES:
        raise RefusedTiff(
            f"has {width:,} x {height:,} pixels of {samples:,} channels, more than the "
            f"{MAX_PIXELS:,} pixels or {MAX_VALUES:,} values that are read"
        )
    if page.subfiletype & 1:
        raise RefusedTiff(
            "begins with a preview, as the raw files of cameras do; convert it to a plain TIFF"
        )
    colours = int(page.photometric)
    if colours not in _COLOURS and not (colours == _YCBCR and page.compression in _JPEG):
        kind = getattr(page.photometric, "name", str(colours))
        raise RefusedTiff(f"has colours of the kind {kind}, which are not read; convert it to RGB")
    if colours == _PALETTE and samples > 1:
        raise RefusedTiff("has a palette and several channels; convert it to RGB")
    further = bool(page.parent.pages.is_multipage)
    channels = 3 if colours == _PALETTE else samples
    orientation = page.tags.valueof(_ORIENTATION)
    return TiffHeader(
        height,
        width,
        channels,
        "uint8" if colours == _PALETTE else _dtype(page),
        str(page.dtype),
        further,
        orientation if orientation in range(1, 9) else 1,
    )


def _dtype(page: Any) -> str:
    """What the values of a page are read as."""
    kind, bits = getattr(page.dtype, "kind", ""), page.bitspersample
    if isinstance(bits, int):
        if kind in "bu" and bits in (1, 2, 4, 8):
            return "uint8"
        if kind == "u" and 9 <= bits <= 16:
            return "uint16"
        if kind in "iuf" and bits in (8, 16, 32, 64):
            return "float32"
    form = getattr(page.sampleformat, "name", page.sampleformat)
    raise RefusedTiff(f"holds values of {bits} bits of the kind {form}, which are not read")


def _stored_values(page: Any, file: BinaryIO) -> np.ndarray:
    """The values (h, w, c) of a page as its file has them."""
    import tifffile

    places = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    wanted = math.prod(page.chunked)
    if len(places) != wanted or len(page.dataoffsets) != len(page.databytecounts):
        raise RefusedTiff(f"is damaged ({len(places):,} of its {wanted:,} strips or tiles)")
    size = file.seek(0, io.SEEK_END)
    if any(not count or start + count > size for start, count in places):
        raise RefusedTiff("is cut off, or lacks some of its strips or tiles")
    if wanted * math.prod(page.chunks) > 2 * MAX_VALUES:
        raise RefusedTiff("cannot be read (its strips or tiles are far larger than the image)")
    strips = Strips.of(page)
    if strips is not None:
        return strips.values(file, places)
    for what, kind, known in (
        ("compression", page.compression, tifffile.TIFF.DECOMPRESSORS),
        ("predictor", page.predictor, tifffile.TIFF.UNPREDICTORS),
    ):
        if kind not in known:
            raise RefusedTiff(
                f"has the {what} {getattr(kind, 'name', kind)}, for which the package imagecodecs "
                "is needed: install it, or write the file with LZW, Deflate or no compression"
            )
    planes, _, height, width, samples = page.shaped
    array = page.asarray(squeeze=False, maxworkers=1)[:, 0]
    return np.moveaxis(array, 0, 2).reshape(height, width, planes * samples)


def _in_kind(page: Any, values: np.ndarray, dtype: str) -> np.ndarray:
    """Values of a page in the dtype that they are read as."""
    colours, bits = int(page.photometric), page.tags.valueof(258)
    bits = bits[0] if isinstance(bits, tuple) else bits or 1
    if colours == _PALETTE:
        palette = np.asarray(page.colormap)
        if palette.ndim != 2 or len(palette) != 3 or values.max() >= palette.shape[1]:
            raise RefusedTiff("is damaged (its palette lacks colours)")
        return (palette >> 8).astype(np.uint8).T[values[..., 0]]
    if dtype == "float32":
        with np.errstate(over="ignore"):  # it is found to be infinite
            return values.astype(np.float32)
    if colours == _WHITE_IS_ZERO:
        values = (2**bits - 1 - values.astype(np.int32)).astype(dtype)
    if bits < 8:
        return values.astype(np.uint8) * np.uint8(255 // (2**bits - 1))
    return values.astype(dtype, copy=False)
