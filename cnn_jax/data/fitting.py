"""Images of any size in one common size: scaled to fit it, filled up; or stretched to it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from cnn_jax.data.resizing import resize

Fit = Literal["letterbox", "stretch"]
"""How an image comes to a size of other proportions: with filling beside it, or stretched."""


def content(size: Any, height: int, width: int, fit: Fit = "letterbox") -> Any:
    """How much of a picture of a common size an image takes that is scaled to fit it.

    The aspect is kept to the pixel, so that an image fills the height or the width. In whole
    numbers, so that hosts and devices agree.

    Args:
      size: (..., 2) int, height and width of images, of numpy or JAX.
      height: of the common size.
      width: of the common size.
      fit: how; one that is stretched takes all of it.

    Returns:
      (..., 2) int of the same kind: rows and columns from the upper left corner, 1 at least.
    """
    if fit == "stretch":
        return size * 0 + np.array([height, width], np.int32)
    own_height, own_width = size[..., 0], size[..., 1]
    tall = height * own_width <= width * own_height
    rows = tall * height + ~tall * ((2 * own_height * width + own_width) // (2 * own_width))
    columns = ~tall * width + tall * ((2 * own_width * height + own_height) // (2 * own_height))
    rows, columns = rows + (rows < 1), columns + (columns < 1)
    first = np.array([1, 0], np.int32)
    return rows[..., None] * first + columns[..., None] * (1 - first)


def scaled_to_fit(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """An image (h, w, c) scaled to fit a size, antialiased: as many pixels as `content` says."""
    rows, columns = content(np.array(image.shape[:2], np.int32), height, width).tolist()
    return resize(image, (rows, columns))


def filled_up(image: np.ndarray, height: int, width: int, colour: np.ndarray) -> np.ndarray:
    """An image (h, w, c) in a larger one (height, width, c), the rest filled by a colour (c,)."""
    rows, columns, channels = image.shape
    if (rows, columns) == (height, width):
        return image
    found = np.empty((height, width, channels), image.dtype)
    found[:] = colour
    found[:rows, :columns] = image
    return found
