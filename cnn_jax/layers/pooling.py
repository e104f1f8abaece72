"""Poolings whose windows follow PyTorch: rounded up, and of a fixed number for any image."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import max_pool


def ceil_max_pool(x: jax.Array, window: int, strides: int) -> jax.Array:
    """Max pooling that keeps the pixels at the bottom and right which fill no whole window.

    (b, h, w, c) -> (b, ceil((h - window)/strides) + 1, ceil((w - window)/strides) + 1, c): the
    pooling of Caffe and of PyTorch's `ceil_mode`. Every window holds at least one pixel.

    Args:
      x: (b, h, w, c).
      window: side in pixels.
      strides: step in pixels.

    Raises:
      UserError: an image is so small that no window is left.
    """
    sides = ceil_sides(x, window, strides)
    return max_pool(x, window, strides, "VALID" if sides == ((0, 0), (0, 0)) else sides)


def ceil_sides(x: jax.Array, window: int, strides: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The padding ((0, bottom), (0, right)) with which the windows of `ceil_max_pool` are whole.

    Raises:
      UserError: an image is so small that no window is left.
    """
    height, width = (_missing(side, window, strides, x) for side in x.shape[1:3])
    return (0, height), (0, width)


def _missing(side: int, window: int, strides: int, x: jax.Array) -> int:
    count = -(-(side - window) // strides) + 1
    if (count - 1) * strides >= side:  # the last window would hold nothing but padding
        count -= 1
    if count < 1:
        raise UserError(
            f"images are too small for this model: only {x.shape[1]}x{x.shape[2]} pixels are "
            f"left where a window of {window}x{window} is pooled"
        )
    return max(0, (count - 1) * strides + window - side)


def adaptive_avg_pool(x: jax.Array, size: int) -> jax.Array:
    """Means of size x size windows that cover the image: (b, h, w, c) -> (b, size, size, c).

    Window i reaches from floor(i h / size) to ceil((i + 1) h / size), as PyTorch's adaptive
    pooling: windows overlap where h is no multiple of the size, and repeat pixels where h is
    smaller. Means are taken in float32.

    Args:
      x: (b, h, w, c).
      size: number of windows along each axis.
    """
    if x.shape[1:3] == (size, size):
        return x
    y = x.astype(jnp.float32)
    # Rows, then columns: all pixels of a window have the same weight, so means of means are exact.
    for axis in (1, 2):
        side = x.shape[axis]
        edges = [(i * side // size, -(-(i + 1) * side // size)) for i in range(size)]
        means = [jax.lax.slice_in_dim(y, low, high, axis=axis).mean(axis) for low, high in edges]
        y = jnp.stack(means, axis)
    return y.astype(x.dtype)
