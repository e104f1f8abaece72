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
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from cnn_jax.data.containers import MAX_PIXELS, essential
from cnn_jax.data.depth import WHOLE, GreyRange, eight_bit_values
from cnn_jax.data.orientation import upright
from cnn_jax.data.signatures import READ, START, image_format
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
) -> np.ndarray:
    """The pixels of a JPEG, PNG, BMP or WebP image, upright.

    The EXIF orientation is applied. Transparent pixels lie on white. Palettes and CMYK become
    RGB. Of 16-bit RGB Pillow keeps the high bytes. Colour profiles are not applied, and of an
    animation the first picture is taken. Texts, profiles and EXIF that are large or broken do not
    matter.

    Args:
      source: a file, or the bytes of one.
      channels: 1 for grey (0.299 R + 0.587 G + 0.114 B, ITU-R BT.601) or 3 for RGB (a grey
        image has all three equal). By default as the file has it: 1 if it is stored as grey
        (1, 8 or 16 bits, with or without alpha), else 3.
      image_size: side in pixels to which it is resized, as by `resize`.
      grey_range: the values of 16-bit grey that become 0 and 255; what lies between is rounded.

    Returns:
      (h, w, c) uint8.

    Raises:
      UnreadableImage: it is no such image, cannot be read, is damaged or cut off, or has more than
        MAX_PIXELS pixels.
      ValueError: `channels` is another number.
    """
    if channels not in (None, 1, 3):
        raise ValueError(f"channels are 1, 3 or None, not {channels}")
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
      channels: 1 or 3, as of `decode`.
      wide: whether it is 16-bit grey.
      cut: whether it has 16 bits of which only the upper 8 are read.
    """

    height: int
    width: int
    channels: int
    wide: bool
    cut: bool


def header(source: Path | bytes) -> Header:
    """What the header of an image tells, without reading the pixels.

    Raises:
      UnreadableImage: as `decode` does, as far as the header shows it.
    """
    with opened(source, header_only=True) as image:
        return header_of(image)


def header_of(image: Image.Image) -> Header:
    """The same of an image that is opened, before its pixels are read."""
    wide = image.mode in _WIDE_MODES
    tiles = getattr(image, "tile", None)
    stored = str(tiles[0].args) if image.format == "PNG" and tiles else ""
    channels = 1 if image.mode in _GREY_MODES else 3
    return Header(image.height, image.width, channels, wide, not wide and ";16" in stored)


def stored_shape(source: Path | bytes) -> Shape:
    """Height, width and channels that the header tells, without reading the pixels.

    They are those of `decode(source)`, but that height and width change places where the EXIF
    orientation turns the image by a quarter.

    Raises:
      UnreadableImage: as `decode` does, as far as the header shows it.
    """
    return header(source)[:3]


def resize(image: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Resizes with a triangle filter, which widens to antialias when it shrinks.

    Args:
      image: (h, w, c) or (n, h, w, c) uint8 with c 1 or 3.
      size: new height and width, or one number for both; the aspect is not kept.

    Returns:
      (height, width, c) or (n, height, width, c) uint8.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if image.shape[-3:-1] == (height, width):
        return image
    if image.ndim == 4:
        resized = np.empty((len(image), height, width, image.shape[-1]), np.uint8)
        for place, each in enumerate(image):
            resized[place] = resize(each, (height, width))
        return resized
    pixels = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    return np.array(pixels.resize((width, height), Image.Resampling.BILINEAR)).reshape(
        height, width, -1
    )


def central_square(image: np.ndarray, part: float) -> np.ndarray:
    """The square in the middle of an image (h, w, c), of a part of its shorter side."""
    height, width = image.shape[:2]
    side = max(1, round(part * min(height, width)))
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


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
    if name is None:
        name = "the image" if isinstance(source, bytes) else str(source)
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
                        if isinstance(value, bytes)
                    }
                )
                yield image
    except UnidentifiedImageError:
        kind = image_format(start)
        if kind in READ or kind is None:
            raise UnreadableImage(name, "is not a JPEG, PNG, BMP or WebP image") from None
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
