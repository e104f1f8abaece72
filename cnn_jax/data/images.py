"""Image files to arrays of pixels."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from cnn_jax.data.memory_limit import check_size
from cnn_jax.errors import UserError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
"""How the names of files that can be read end, in lower case."""
OTHER_SUFFIXES = (".avif", ".gif", ".heic", ".heif", ".jp2", ".pgm", ".ppm", ".tif", ".tiff")
"""How the names of image files end that are not read: to pass them over as if they were notes
would lose examples unnoticed."""
MAX_PIXELS = 89_000_000
"""Larger images are refused: one this large takes 267 MB in RGB, and Pillow itself warns of
decompression bombs from 89.5 million pixels on."""

Shape = tuple[int, int, int]

_FORMATS = ("BMP", "JPEG", "PNG", "WEBP")
_GREY_MODES = ("1", "I", "I;16", "L", "LA")
_WIDE_MODES = ("I", "I;16")
_THREADS = 8
# What Pillow's readers were seen, or are documented, to raise for damaged files.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image upright, by its EXIF orientation."""


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
    source: Path | bytes, channels: int | None = None, image_size: int | None = None
) -> np.ndarray:
    """The pixels of a JPEG, PNG, BMP or WebP image, upright.

    The EXIF orientation is applied. Transparent pixels lie on white. Palettes and CMYK become
    RGB. 16-bit grey is divided by 257, so that white stays white, and rounded; of 16-bit RGB
    Pillow keeps the high bytes. Colour profiles are not applied, and of an animation the first
    picture is taken.

    Args:
      source: a file, or the bytes of one.
      channels: 1 for grey (0.299 R + 0.587 G + 0.114 B, ITU-R BT.601) or 3 for RGB (a grey
        image has all three equal). By default as the file has it: 1 if it is stored as grey
        (1, 8 or 16 bits, with or without alpha), else 3.
      image_size: side in pixels to which it is resized, as by `resize`.

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
        orientation = image.getexif().get(ExifTags.Base.Orientation)
        pixels = eight_bits(image)
    if orientation in UPRIGHT:
        pixels = pixels.transpose(UPRIGHT[orientation])
    mode = pixels.mode if channels is None else "L" if channels == 1 else "RGB"
    if pixels.mode != mode:
        pixels = pixels.convert(mode)
    array = np.array(pixels)
    array = array.reshape(*array.shape[:2], -1)
    return array if image_size is None else resize(array, image_size)


def stored_shape(source: Path | bytes) -> Shape:
    """Height, width and channels that the header tells, without reading the pixels.

    They are those of `decode(source)`, but that height and width change places where the EXIF
    orientation turns the image by a quarter.

    Raises:
      UnreadableImage: as `decode` does, as far as the header shows it.
    """
    with opened(source) as image:
        return image.height, image.width, 1 if image.mode in _GREY_MODES else 3


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


def read_images(
    paths: Sequence[Path], name: str, image_size: int | None, max_bytes: int | None
) -> tuple[np.ndarray, np.ndarray, list[UnreadableImage]]:
    """Reads many files of one size, in threads.

    Args:
      paths: n files.
      name: of the data set, for messages.
      image_size: side in pixels to which each is resized, or None.
      max_bytes: as for `check_size`, which is called before a pixel is decoded.

    Returns:
      images: (n, h, w, c) uint8, zeros where a file cannot be read; c is 1 if all that can
        are stored as grey, else 3.
      good: (n,) bool, which can be read.
      bad: what hinders the others, in their order.

    Raises:
      UserError: they differ in size and `image_size` is None, or take too much memory.
    """
    images: np.ndarray | None = None
    good = np.zeros(len(paths), bool)
    bad: list[UnreadableImage] = []
    grey = True
    threads = ThreadPoolExecutor(_THREADS)
    try:
        headers = list(threads.map(_header, paths))
        shapes = [header for header in headers if not isinstance(header, UnreadableImage)]
        channels = max((shape[2] for shape in shapes), default=1)
        if shapes:
            side = _common_size(shapes) if image_size is None else (image_size, image_size)
            check_size(name, len(shapes), (*side, channels), max_bytes, streams=True)

        def pixels(path: Path, header: Shape | UnreadableImage) -> np.ndarray | UnreadableImage:
            if isinstance(header, UnreadableImage):
                return header
            try:
                return decode(path, image_size=image_size)
            except UnreadableImage as error:
                return error

        for place, found in enumerate(threads.map(pixels, paths, headers)):
            if isinstance(found, UnreadableImage):
                bad.append(found)
                continue
            if images is None:
                images = np.zeros((len(paths), *found.shape[:2], channels), np.uint8)
            if found.shape[:2] != images.shape[1:3]:
                raise _sizes_differ(images.shape[1:3], found.shape[:2])
            images[place], good[place] = found, True
            grey = grey and found.shape[2] == 1
    finally:
        threads.shutdown(cancel_futures=True)
    if images is None:
        images = np.zeros((len(paths), 0, 0, 1), np.uint8)
    # A file whose header said colour may have turned out to be bad.
    return (images[..., :1] if grey else images), good, bad


def in_threads(function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """`function(*arguments)` of each, in order; decoders leave Python's lock while they work."""
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(lambda each: function(*each), arguments))


@contextlib.contextmanager
def opened(source: Path | bytes, name: str | None = None) -> Iterator[Image.Image]:
    """The image, its pixels not yet read; what Pillow raises within becomes an UnreadableImage.

    Args:
      source: a file, or the bytes of one.
      name: what errors call it, by default the path.
    """
    if name is None:
        name = "the image" if isinstance(source, bytes) else str(source)
    try:
        if (len(source) if isinstance(source, bytes) else source.stat().st_size) == 0:
            raise UnreadableImage(name, "is empty")
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file, formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableImage(
                    name,
                    f"has {image.width:,} x {image.height:,} pixels, more than the {MAX_PIXELS:,} "
                    "that are read",
                )
            yield image
    except UnidentifiedImageError:
        raise UnreadableImage(name, "is not a JPEG, PNG, BMP or WebP image") from None
    except Image.DecompressionBombError:
        raise UnreadableImage(
            name, f"has more than the {MAX_PIXELS:,} pixels that are read"
        ) from None
    except _DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnreadableImage(name, f"cannot be read ({reason})") from error


def eight_bits(image: Image.Image) -> Image.Image:
    """A loaded image in mode L or RGB."""
    if image.mode in _WIDE_MODES:
        return _from_sixteen_bits(image)
    grey = image.mode in _GREY_MODES
    plain = "L" if grey else "RGB"
    if not image.has_transparency_data:
        # A conversion to what it is would copy it, a tenth of the time of a small image.
        return image if image.mode == plain else image.convert(plain)
    layered = image.convert("LA" if grey else "RGBA")
    white = Image.new(plain, image.size, "white")
    white.paste(layered.convert(plain), mask=layered.getchannel("A"))
    return white


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if "transparency" in image.info:
        values[values == image.info["transparency"]] = 65535
    return Image.fromarray(((values.clip(0, 65535) + 128) // 257).astype(np.uint8))


def _header(path: Path) -> Shape | UnreadableImage:
    suffix = path.suffix.lower()
    if suffix in OTHER_SUFFIXES:
        return UnreadableImage(str(path), f"{suffix} files are not read; convert it to PNG")
    try:
        return stored_shape(path)
    except UnreadableImage as error:
        return error


def _common_size(shapes: Sequence[Shape]) -> tuple[int, int]:
    """The two sides, the shorter first: the EXIF orientation tells later which is the height."""
    sizes = sorted({(min(shape[:2]), max(shape[:2])) for shape in shapes})
    if len(sizes) > 1:
        raise _sizes_differ(sizes[0], sizes[-1])
    return sizes[0]


def _sizes_differ(one: tuple[int, ...], other: tuple[int, ...]) -> UserError:
    return UserError(
        f"the images differ in size, such as {one[0]} x {one[1]} and {other[0]} x {other[1]} "
        "pixels; give a side to which all are resized, such as --data.image-size 64"
    )
