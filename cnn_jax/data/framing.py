"""Image files of all sizes brought to one, of which JPEGs are only decoded as far as is needed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from cnn_jax.data.crops import Box, drafted
from cnn_jax.data.depth import WHOLE, GreyRange
from cnn_jax.data.fitting import Fit, content
from cnn_jax.data.images import at_depth, eight_bits, fitting, opened, turned
from cnn_jax.data.resizing import resampled

FILL = (124, 116, 104)
"""The colour beside an image: the mean of ImageNet, near that of any photographs."""


class Framed(NamedTuple):
    """An image as a model is given it.

    Attributes:
      pixels: (h, w, c) uint8.
      size: height and width of the file, upright.
    """

    pixels: np.ndarray
    size: tuple[int, int]


def framed(
    encoded: bytes,
    name: str,
    shape: tuple[int, int, int],
    fit: Fit,
    grey_range: GreyRange = WHOLE,
) -> Framed:
    """An encoded image, upright, brought to a shape with antialiasing.

    Args:
      encoded: content of a JPEG, PNG, BMP, WebP or TIFF file.
      name: what errors call it.
      shape: (h, w, 3) of the result.
      fit: how it fills that, see `cnn_jax.data.fitting.content`.
      grey_range: as of `cnn_jax.data.images.decode`.

    Raises:
      UnreadableImage: as `decode` does; or it is of more than 8 bits.
    """
    values = at_depth(encoded, name, full_depth=False)
    if values is not None:
        values = fitting(values, shape[2], "uint8", name)
        size = values.shape[0], values.shape[1]
        return Framed(_filled(resampled(values, inner(size, shape, fit)), shape), size)
    with opened(encoded, name) as image:
        turn = turned(image)
        size = image.height, image.width
        part = Box(0, 0, image.width, image.height)
        if turn is None and image.format == "JPEG":
            part = drafted(image, part, *inner(size, shape, fit))
        image.load()
        pixels = eight_bits(image, grey_range)
    if turn is not None:
        pixels = pixels.transpose(turn)
        size = pixels.height, pixels.width
        part = Box(0, 0, pixels.width, pixels.height)
    if pixels.mode != "RGB":
        pixels = pixels.convert("RGB")
    rows, columns = inner(size, shape, fit)
    if pixels.size != (columns, rows):
        pixels = pixels.resize((columns, rows), Image.Resampling.BILINEAR, box=part)
    return Framed(_filled(np.asarray(pixels), shape), size)


def inner(size: tuple[int, int], shape: tuple[int, ...], fit: Fit) -> tuple[int, int]:
    """Height and width that an image of a size takes in a shape."""
    rows, columns = content(np.array(size, np.int32), shape[0], shape[1], fit).tolist()
    return rows, columns


def _filled(pixels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    if pixels.shape == shape:
        return pixels
    whole = np.empty(shape, np.uint8)
    whole[:] = FILL
    whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    return whole
