"""Image files to arrays of pixels."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from cnn_jax.data.containers import MAX_PIXELS, essential
from cnn_jax.data.depth import WHOLE, GreyRange, eight_bit_values
from cnn_jax.data.orientation import number_of, upright, upright_values
from cnn_jax.data.resizing import resize
from cnn_jax.data.signatures import READ, START, image_format
from cnn_jax.data.sixteen_bits import all_bits, grey_form, stored_form
from cnn_jax.data.tiff import RefusedTiff, read_tiff, tiff_header
from cnn_jax.errors import UserError

Shape = tuple[int, int, int]

_FORMATS = ("BMP", "JPEG", "PNG", "WEBP")
_GREY_MODES = ("1", "I", "I;16", "L", "LA")
_WIDE_MODES = ("I", "I;16")
_THREADS = 8
# What Pillow's readers were seen, or are documented, to raise for damaged files.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
# Pillow tells Python's warnings of what a user cannot mend, such as dates that are cut off.
_QUIET = ("ignore", None, Warning, re.compile(r"PIL\b"), 0)


class UnreadableImage(UserError):
    """An image cannot be read.

    Attributes:
      file: its path, or what stands for it.
      reason: why not.
    """

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, reason)
        self.file, self.reason = file, reason

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


def decode(
    source: Path | bytes,
    channels: int | None = None,
    image_size: int | None = None,
    grey_range: GreyRange = WHOLE,
    *,
    full_depth: bool = False,
) -> np.ndarray:
    """The pixels of a JPEG, PNG, BMP, WebP or TIFF image, upright.

    The EXIF orientation is applied. Transparent pixels lie on white. Palettes and CMYK become
    RGB. Of 16-bit RGB Pillow keeps the high bytes. Colour profiles are not applied, and of an
    animation the first picture is taken. Texts, profiles and EXIF that are large or broken do not
    matter. A TIFF keeps its values and all its channels, see `cnn_jax.data.tiff.read_tiff`.

    Args:
      source: a file, or the bytes of one.
      channels: 1 for grey (0.299 R + 0.587 G + 0.114 B, ITU-R BT.601) or 3 for RGB (a grey
        image has all three equal). By default as the file has it: 1 if it is stored as grey
        (1, 8 or 16 bits, with or without alpha), else 3.
      image_size: side in pixels to which it is resized, as by `resize`.
      grey_range: the values of 16-bit grey that become 0 and 255; what lies between is rounded.
      full_depth: read PNG of 16 bits as it is, instead of as 8 bits.

    Returns:
      (h, w, c) uint8; of TIFF also uint16 or float32, and uint16 of 16 bits at full depth.

    Raises:
      UnreadableImage: it is no such image, cannot be read, is damaged or cut off, has more than
        MAX_PIXELS pixels, or other channels than are asked for.
      ValueError: `channels` is another number.
    """
    if channels not in (None, 1, 3):
        raise ValueError(f"channels are 1, 3 or None, not {channels}")
    values = at_depth(source, full_depth=full_depth)
    if values is not None:
        values = in_channels(values, channels, _name(source))
        return values if image_size is None else resize(values, image_size)
    with opened(source) as image:
        image.load()
        turn = turned(image)
        pixels = eight_bits(image, grey_range)
    if turn is not None:
        pixels = pixels.transpose(turn)
    mode = pixels.mode if channels is None else "L" if channels == 1 else "RGB"
    if pixels.mode != mode:
        pixels = pixels.convert(mode)
    array = np.array(pixels)
    array = array.reshape(*array.shape[:2], -1)
    return array if image_size is None else resize(array, image_size)


class Header(NamedTuple):
    """What the header of an image tells.

    Attributes:
      height: in pixels, as stored: an EXIF orientation may turn it by a quarter.
      width: in pixels, as stored.
      channels: as of `decode`.
      wide: whether it is 16-bit grey that is read as 8 bits.
      cut: whether it has 16 bits of which only the upper 8 are read.
      dtype: that it is read as.
      rounded: whether its values have more digits than float32 holds.
      pages: whether it has several pages, of which the first is read.
    """

    height: int
    width: int
    channels: int
    wide: bool = False
    cut: bool = False
    dtype: str = "uint8"
    rounded: bool = False
    pages: bool = False


_ROUNDED = ("int32", "uint32", "int64", "uint64", "float64")


def header(source: Path | bytes, *, full_depth: bool = False, pixels: bool = False) -> Header:
    """What the header of an image tells.

    Args:
      source: a file, or the bytes of one.
      full_depth: as of `decode`.
      pixels: read the pixels too, so that whatever cannot be read is found.

    Raises:
      UnreadableImage: as `decode` does, as far as what is read shows it.
    """
    if _format(source) == "TIFF":
        with _tiff_file(source) as file:
            found = tiff_header(file)
            if pixels:
                file.seek(0)
                read_tiff(file)
        rounded = found.stored in _ROUNDED
        shape = found.height, found.width, found.channels
        return Header(*shape, dtype=found.dtype, rounded=rounded, pages=found.pages)
    with opened(source, header_only=not pixels) as image:
        wide = image.mode in _WIDE_MODES
        form = stored_form(image)
        channels = 1 if image.mode in _GREY_MODES else 3
        cut = not wide and form is not None
        if pixels:
            image.load()
        if full_depth and form is not None:
            channels = 1 if grey_form(form) else 3
            return Header(image.height, image.width, channels, dtype="uint16")
        return Header(image.height, image.width, channels, wide, cut)


def stored_shape(source: Path | bytes) -> Shape:
    """Height, width and channels that the header tells, without reading the pixels.

    They are those of `decode(source)`, but that height and width change places where the EXIF
    orientation turns the image by a quarter.

    Raises:
      UnreadableImage: as `decode` does, as far as the header shows it.
    """
    return header(source)[:3]


def in_channels(values: np.ndarray, channels: int | None, name: str) -> np.ndarray:
    """Values (h, w, c) as grey or as RGB, as `decode` makes the one of the other.

    Args:
      values: uint8, uint16 or float32.
      channels: that are asked for; None for those there are.
      name: what errors call the image.

    Raises:
      UnreadableImage: it has neither one nor three, and others are asked for.
    """
    found = values.shape[-1]
    if channels in (None, found):
        return values
    if (found, channels) == (1, 3):
        return np.repeat(values, 3, axis=-1)
    if (found, channels) != (3, 1):
        raise UnreadableImage(name, f"has {found} channels, and {channels} are asked for")
    if values.dtype == np.float32:
        return values @ np.array([[0.299], [0.587], [0.114]], np.float32)
    # As Pillow weights and rounds them.
    grey = values.astype(np.int64) @ np.array([[19595], [38470], [7471]])
    return ((grey + 2**15) >> 16).astype(values.dtype)


def at_depth(
    source: Path | bytes, name: str | None = None, *, full_depth: bool
) -> np.ndarray | None:
    """The values of an image that is read at its own depth, upright; None for any other.

    Args:
      source: a file, or the bytes of one.
      name: what errors call it, by default the path.
      full_depth: as of `decode`; TIFF is always read so.

    Returns:
      (h, w, c) uint8, uint16 or float32.

    Raises:
      UnreadableImage: as `decode` does.
    """
    kind = _format(source)
    if kind == "TIFF":
        with _tiff_file(source, name) as file:
            values, number = read_tiff(file)
        return np.ascontiguousarray(upright_values(values, number))
    if not full_depth or kind != "PNG":
        return None
    with opened(source, name) as image:
        if stored_form(image) is None:
            return None
        number = number_of(turned(image))
    values = all_bits(lambda: opened(source, name))
    return np.ascontiguousarray(upright_values(values, number))


def fitting(values: np.ndarray, channels: int, dtype: str, name: str) -> np.ndarray:
    """Values (h, w, c) in so many channels, where they are of the dtype that is asked for.

    Raises:
      UnreadableImage: they are of another, or have other channels than one or three.
    """
    if values.dtype != dtype:
        raise UnreadableImage(name, f"is read as {values.dtype}, and {dtype} is asked for")
    return in_channels(values, channels, name)


def in_threads(function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """`function(*arguments)` of each, in order; decoders leave Python's lock while they work."""
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(lambda each: function(*each), arguments))


@contextlib.contextmanager
def opened(
    source: Path | bytes, name: str | None = None, *, header_only: bool = False
) -> Iterator[Image.Image]:
    """The image, its pixels not yet read; what Pillow raises within becomes an UnreadableImage.

    Args:
      source: a file, or the bytes of one.
      name: what errors call it, by default the path.
      header_only: the pixels are not asked for.
    """
    name = name or _name(source)
    if _QUIET not in warnings.filters:
        # Not for a while only: filters belong to all threads, and several read at once.
        warnings.filterwarnings("ignore", module=_QUIET[3].pattern)
    start = b""
    try:
        with contextlib.ExitStack() as open_files:
            if isinstance(source, bytes):
                file: Any = io.BytesIO(source)
            elif header_only:
                file = open_files.enter_context(source.open("rb"))
            else:
                file = io.BytesIO(source.read_bytes())
            if not (start := file.read(START)):
                raise UnreadableImage(name, "is empty")
            file.seek(0)
            found = essential(file, header=header_only)
            with Image.open(found.file, formats=_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UnreadableImage(
                        name,
                        f"has {image.width:,} x {image.height:,} pixels, more than the "
                        f"{MAX_PIXELS:,} that are read",
                    )
                image.info.update(
                    {
                        key: value
                        for key, value in found._asdict().items()
                        if isinstance(value, bytes | int)
                    }
                )
                yield image
    except UnidentifiedImageError:
        kind = image_format(start)
        if kind in READ or kind is None:
            raise UnreadableImage(name, "is not a JPEG, PNG, BMP, WebP or TIFF image") from None
        raise UnreadableImage(
            name, f"is of the format {kind}, which is not read; convert it to PNG"
        ) from None
    except Image.DecompressionBombError:
        raise UnreadableImage(
            name, f"has more than the {MAX_PIXELS:,} pixels that are read"
        ) from None
    except _DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnreadableImage(name, f"cannot be read ({reason})") from error


class Stored(bytes):
    """The bytes of an image file that lies in another one, such as a record."""

    def __new__(cls, content: bytes, name: str) -> Stored:
        """Of the bytes, and what errors call them."""
        found = super().__new__(cls, content)
        found.name = name
        return found

    name: str

    def __str__(self) -> str:
        return self.name


def _name(source: Path | bytes) -> str:
    plain = isinstance(source, bytes) and not isinstance(source, Stored)
    return "the image" if plain else str(source)


def _format(source: Path | bytes) -> str | None:
    """The format by the first bytes; None where it is not known, or the file cannot be opened."""
    if isinstance(source, bytes):
        return image_format(source[:START])
    with contextlib.suppress(OSError), source.open("rb") as file:
        return image_format(file.read(START))
    return None


@contextlib.contextmanager
def _tiff_file(source: Path | bytes, name: str | None = None) -> Iterator[BinaryIO]:
    """The file of a TIFF; what is raised within becomes an UnreadableImage."""
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            yield file
    except RefusedTiff as error:
        raise UnreadableImage(name or _name(source), str(error)) from error
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise UnreadableImage(name or _name(source), reason) from error


def turned(image: Image.Image) -> Image.Transpose | None:
    """What makes an image upright that `opened` gave; None where nothing need be done."""
    return upright(image.info.get("exif"), image.info.get("xmp"))


def eight_bits(image: Image.Image, grey_range: GreyRange = WHOLE) -> Image.Image:
    """A loaded image in mode L or RGB; `grey_range` as of `decode`."""
    if image.mode in _WIDE_MODES:
        return _from_sixteen_bits(image, grey_range)
    grey = image.mode in _GREY_MODES
    plain = "L" if grey else "RGB"
    if not image.has_transparency_data:
        # A conversion to what it is would copy it, a tenth of the time of a small image.
        return image if image.mode == plain else image.convert(plain)
    layered = image.convert("LA" if grey else "RGBA")
    white = Image.new(plain, image.size, "white")
    white.paste(layered.convert(plain), mask=layered.getchannel("A"))
    return white


def extremes(source: Path | bytes, name: str | None = None) -> tuple[int, int] | None:
    """The least and the greatest value of a 16-bit grey image, but for what is transparent.

    Returns:
      The two, or None where all is transparent.

    Raises:
      UnreadableImage: as `decode` does.
    """
    with opened(source, name) as image:
        image.load()
        values = np.asarray(image)
        values = values[values != image.info.get("transparency", -1)]
    return (int(values.min()), int(values.max())) if values.size else None


def _from_sixteen_bits(image: Image.Image, grey_range: GreyRange) -> Image.Image:
    values = np.asarray(image)
    pixels = eight_bit_values(values, grey_range)
    if "transparency" in image.info:
        pixels[values == image.info["transparency"]] = 255
    return Image.fromarray(pixels)
