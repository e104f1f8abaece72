"""Parts of images: chosen at random to learn from, or in the middle to evaluate."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile

from cnn_jax.data.depth import WHOLE, GreyRange
from cnn_jax.data.images import at_depth, eight_bits, fitting, opened, turned
from cnn_jax.data.resizing import Resize, by_pillow, resampled

TRIES = 10
"""Random parts that are tried before the largest in the middle is taken, as in torchvision."""

_CONTEXT = 8
"""Rows more than are needed, since decoders smooth colours over the edges of their blocks."""

_CROP_STREAM = 1
"""Sets the random numbers of crops apart from those of the order of examples."""


class Box(NamedTuple):
    """A part of an image, in pixels from its upper left corner; sides need not be whole."""

    left: float
    top: float
    right: float
    bottom: float


_thread = threading.local()
_FRESH = {
    "bit_generator": "Philox",
    "buffer": np.zeros(4, np.uint64),
    "buffer_pos": 4,
    "has_uint32": 0,
    "uinteger": 0,
}
"""The state of a generator that has drawn nothing, but for its counter and key."""

Choice = Callable[[int, int], Box | None]
"""Which part of an image of a height and width is taken; None takes the whole of it."""


def uniforms(seed: int, step: int, place: int) -> np.ndarray:
    """Random numbers (4 * TRIES,) float64 in [0, 1), a pure function of the arguments.

    From Philox's raw output, which numpy does not change.

    Args:
      seed: of the run.
      step: from 0.
      place: of the example in the batch of the step.
    """
    key = np.array([seed % 2**64, step], np.uint64)
    counter = np.array([0, place, 0, _CROP_STREAM], np.uint64)
    # To make a generator takes longer than to set one.
    if (philox := getattr(_thread, "philox", None)) is None:
        philox = _thread.philox = np.random.Philox(key=0)
    philox.state = {**_FRESH, "state": {"counter": counter, "key": key}}
    words = philox.random_raw(4 * TRIES)
    return (words >> np.uint64(11)) * 2.0**-53


def random_box(
    numbers: np.ndarray,
    height: int,
    width: int,
    area: tuple[float, float],
    ratio: tuple[float, float],
) -> Box:
    """A random part, as of Inception (https://arxiv.org/abs/1409.4842) and in torchvision.

    Its area is uniform, the logarithm of its aspect ratio too, and so is its place. Where none of
    `TRIES` such parts lies within the image, it is the largest in the middle that has a ratio of
    the range.

    Args:
      numbers: (4 * TRIES,) uniform in [0, 1).
      height: of the image.
      width: of the image.
      area: least and greatest part of the image's area.
      ratio: least and greatest width over height.
    """
    log_ratio = math.log(ratio[0]), math.log(ratio[1])
    for size, aspect, down, right in numbers.reshape(TRIES, 4).tolist():
        target = height * width * (area[0] + (area[1] - area[0]) * size)
        factor = math.exp(log_ratio[0] + (log_ratio[1] - log_ratio[0]) * aspect)
        w, h = round(math.sqrt(target * factor)), round(math.sqrt(target / factor))
        if 0 < w <= width and 0 < h <= height:
            top, left = int(down * (height - h + 1)), int(right * (width - w + 1))
            return Box(left, top, left + w, top + h)
    w, h = width, height
    if width < ratio[0] * height:
        h = max(1, round(width / ratio[0]))
    elif width > ratio[1] * height:
        w = max(1, round(height * ratio[1]))
    top, left = (height - h) // 2, (width - w) // 2
    return Box(left, top, left + w, top + h)


def central_box(height: int, width: int, part: float, aspect: float = 1.0) -> Box:
    """The largest part in the middle with an aspect ratio, made smaller by a factor.

    With `part` 0.875 and 224 pixels it is what is left of an image whose shorter side is made 256
    pixels long when all but the 224 x 224 pixels in the middle are cut off.

    Args:
      height: of the image.
      width: of the image.
      part: of the side.
      aspect: width over height of what is taken.
    """
    h = min(height, width / aspect) * part
    w = h * aspect
    return Box((width - w) / 2, (height - h) / 2, (width + w) / 2, (height + h) / 2)


def decode_part(
    content: bytes,
    name: str,
    shape: tuple[int, int, int],
    choose: Choice,
    resample: Image.Resampling = Image.Resampling.BILINEAR,
    grey_range: GreyRange = WHOLE,
    dtype: str = "uint8",
    resize: Resize = by_pillow,
) -> np.ndarray:
    """A part of an encoded image, resized with antialiasing.

    Of a JPEG of which the part is at least twice as large as what is asked for, only a half, a
    quarter or an eighth of the pixels each way are decoded, as the format allows; which part it
    is does not depend on that. Rows below the part are not decoded, which changes no pixel. Else
    as `cnn_jax.data.images.decode`.

    Args:
      content: of a JPEG, PNG, BMP, WebP or TIFF file.
      name: what errors call it.
      shape: (h, w, c) of the result.
      choose: given the height and width of the image.
      resample: the filter.
      grey_range: as for `decode`.
      dtype: of the result; the images are read so, and not changed to it.
      resize: what resizes images of 8 bits.

    Returns:
      (h, w, c).

    Raises:
      UnreadableImage: as `decode` does; or it is of another dtype or other channels.
    """
    height, width, channels = shape
    values = at_depth(content, name, full_depth=dtype != "uint8")
    if values is not None:
        values = fitting(values, channels, dtype, name)
        return resampled(values, (height, width), resample, choose(*values.shape[:2]))
    with opened(content, name) as image:
        turn = turned(image)
        box = None
        if turn is None:
            box = choose(image.height, image.width)
            if image.format == "JPEG" and box is not None:
                box = drafted(image, box, height, width)
        image.load()
        pixels = eight_bits(image, grey_range)
    if turn is not None:
        pixels = pixels.transpose(turn)
        box = choose(pixels.height, pixels.width)
    mode = "L" if channels == 1 else "RGB"
    if pixels.mode != mode:
        pixels = pixels.convert(mode)
    if box is not None or pixels.size != (width, height):
        pixels = resize(pixels, (width, height), resample, box)
    return np.asarray(pixels).reshape(height, width, channels)


def drafted(image: Image.Image, box: Box, height: int, width: int) -> Box:
    """The same part of the image once it is set to be decoded smaller, if that is large enough.

    Nor are the rows decoded that lie below all that the part is made of.
    """
    rows, image_height = (box.bottom - box.top) / height, image.height
    shrink = min((box.right - box.left) / width, rows)
    factor = next((factor for factor in (8, 4, 2) if factor <= shrink), 1)
    if factor > 1:
        image.draft(None, (image.width // factor, image.height // factor))
        box = Box(*(side / factor for side in box))
    # Filters reach over the part by up to one and a half pixels of the result.
    last = math.ceil(box.bottom + 2 * max(1.0, rows / factor)) + _CONTEXT
    place = image.info.get("height")
    if place is not None and last * factor < image_height:
        _leave_out_rows(image, place, last, factor)
    return box


def _leave_out_rows(image: Image.Image, place: int, last: int, factor: int) -> None:
    """Has the decoder take a JPEG for one that ends at a row: it passes over what else there is.

    Args:
      image: of which the pixels are not yet read.
      place: where its file has its height.
      last: how many rows are left.
      factor: by which it is decoded smaller.
    """
    assert isinstance(image, ImageFile.ImageFile) and image.fp is not None and image.tile
    image.fp.seek(place)
    image.fp.write((last * factor).to_bytes(2, "big"))
    # A JPEG has one tile, the whole of it.
    extents = 0, 0, image.width, last
    image.tile = [image.tile[0]._replace(extents=extents)]
