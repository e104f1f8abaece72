"""Poolings whose windows follow PyTorch: rounded up, and of a fixed number for any image."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Padding, padded_sides, pair


def max_pool(
    x: jax.Array,
    window: int | tuple[int, int],
    strides: int | tuple[int, int] | None = None,
    padding: Padding = "VALID",
) -> jax.Array:
    """The largest value of every window: (b, h, w, c) -> (b, h', w', c).

    The gradient of windows that neither overlap nor are padded is found by comparing their
    elements, since that of XLA's general pooling is slow on CPUs. The values are those of
    `nn.max_pool`, and rows and columns that fill no window are left out as there. Where several
    elements are largest, the gradient is shared among them, while `nn.max_pool` gives it to one.

    Args:
      x: (b, h, w, c).
      window: side in pixels, or (height, width).
      strides: step in pixels, or (vertical, horizontal); the window itself by default.
      padding: see `Padding`; padded pixels never win.

    Raises:
      UserError: an unpadded window is larger than the image.
    """
    window = pair(window)
    strides = window if strides is None else pair(strides)
    _check_window(x, window, padding)
    if strides == window and padding == "VALID" and math.prod(window) <= 16:
        return _window_max(x, window)
    return nn.max_pool(x, window, strides, padded_sides(padding))


def avg_pool(
    x: jax.Array,
    window: int | tuple[int, int],
    strides: int | tuple[int, int] | None = None,
    padding: Padding = "VALID",
) -> jax.Array:
    """The mean of every window: (b, h, w, c) -> (b, h', w', c); padded pixels are not counted.

    Args:
      x: (b, h, w, c).
      window: side in pixels, or (height, width).
      strides: step in pixels, or (vertical, horizontal); the window itself by default.
      padding: see `Padding`.

    Raises:
      UserError: an unpadded window is larger than the image.
    """
    window = pair(window)
    strides = window if strides is None else pair(strides)
    _check_window(x, window, padding)
    if strides == window and padding == "VALID" and math.prod(window) <= 16:
        return _window_sum(x, window) / math.prod(window)
    return nn.avg_pool(x, window, strides, padded_sides(padding), count_include_pad=False)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _window_max(x: jax.Array, window: tuple[int, int]) -> jax.Array:
    """The largest element of every window; its derivatives are one pass over the image.

    XLA's own, which on a CPU becomes one with the convolution and the ReLU before it.
    """
    return nn.max_pool(x, window, window)


@_window_max.defjvp
def _window_max_jvp(window: tuple[int, int], primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    y = _window_max(x, window)
    high, wide = (side * size for side, size in zip(y.shape[1:3], window, strict=True))

    # Sliced and not reshaped: of a reshaped image XLA for CPUs (jaxlib 0.12.0) forgets that it is
    # the same memory, and writes the gradient of what came before over it while it is read.
    def pixels(i: int, j: int) -> jax.Array:
        return x[:, i : high : window[0], j : wide : window[1]]

    rows = [_winners([pixels(i, j) for j in range(window[1])]) for i in range(window[0])]
    of_rows, _ = _winners([largest for _, largest in rows])
    shares = [
        jnp.stack([row * pixel for pixel in in_row], 3)
        for row, (in_row, _) in zip(of_rows, rows, strict=True)
    ]
    return y, jnp.sum(jnp.stack(shares, 2) * _windows(dx, window), (2, 4))


def _winners(elements: list[jax.Array]) -> tuple[list[jax.Array], jax.Array]:
    """How much each element has of being the largest, which sums to one, and the largest.

    Elements are compared with each other only. Compared with the largest that was found before,
    none might equal it: XLA may compute them anew, with other last bits.
    """
    largest, *others = elements
    ahead = []
    for element in others:
        level = jnp.where(element == largest, 0.5, 0.0)
        ahead.append(jnp.where(element > largest, 1.0, level).astype(element.dtype))
        largest = jnp.maximum(largest, element)
    shares, left = [], jnp.ones_like(largest)
    for share in reversed(ahead):
        shares.append(left * share)
        left *= 1 - share
    return [left, *reversed(shares)], largest


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _window_sum(x: jax.Array, window: tuple[int, int]) -> jax.Array:
    """The sum of every window; its derivatives are one pass over the image.

    First along the width, then along the height: faster than all at once, and than `jnp.sum`.
    """
    windows = _windows(x, window)
    lines = functools.reduce(jnp.add, [windows[:, :, :, :, j] for j in range(window[1])])
    return functools.reduce(jnp.add, [lines[:, :, i] for i in range(window[0])])


@_window_sum.defjvp
def _window_sum_jvp(window: tuple[int, int], primals: Any, tangents: Any) -> Any:
    return _window_sum(*primals, window), jnp.sum(_windows(tangents[0], window), (2, 4))


def _windows(x: jax.Array, window: tuple[int, int]) -> jax.Array:
    """Windows of (b, h, w, c) as (b, h', height, w', width, c); what fills none is left out."""
    rows, columns = (side // size for side, size in zip(x.shape[1:3], window, strict=True))
    x = x[:, : rows * window[0], : columns * window[1]]
    return x.reshape(len(x), rows, window[0], columns, window[1], x.shape[-1])


def _check_window(x: jax.Array, window: tuple[int, int], padding: Padding) -> None:
    if padding == "VALID" and (x.shape[1] < window[0] or x.shape[2] < window[1]):
        raise UserError(
            f"images are too small for this model: only {x.shape[1]}x{x.shape[2]} pixels are "
            f"left where a window of {window[0]}x{window[1]} is pooled"
        )


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
