"""Gradients of convolutions with respect to kernels as products of matrices."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from cnn_jax.layers.cpu.parts import in_parts
from cnn_jax.layers.cpu.sums import padded
from cnn_jax.layers.cpu.winograd import Pads

MOST_ADDED = 5
"""Shifted images that are put side by side as a sum, in which each number is a term of all."""


def kernel_gradient(
    x: jax.Array,
    gradient: jax.Array,
    height: int,
    width: int,
    strides: tuple[int, int],
    pads: Pads,
) -> jax.Array:
    """The gradient with respect to the kernel of a convolution.

    Element (i, j) of the kernel meets the input shifted by (i, j). Shifting the input along the
    width only and the output's gradient along the height only, against each other, puts all
    pairs into one product of matrices (kw c, b h w) and (b h w, kh f). Where the input has few
    maps, as images have, it is shifted along both. Some rows are taken at a time, so that what
    is written side by side is still in the caches when it is multiplied.

    Of a convolution that steps over pixels, the pixels of a step along the width are taken as one
    of more maps. The rows at the same place in a step meet the same rows of the kernel, and are
    the input of a convolution without vertical steps.

    Args:
      x: (b, h, w, c), the input.
      gradient: (b, h', w', f), with respect to the output.
      height: of the kernel, at least the vertical step.
      width: of the kernel, at least the horizontal step.
      strides: (vertical, horizontal) steps.
      pads: pixels around the input.

    Returns:
      (kh, kw, c, f).
    """
    (down, across), ((top, _), (left, _)) = strides, pads
    channels, features = x.shape[-1], gradient.shape[-1]
    x = _in_steps(x, strides)
    # Steps of zeros before the image, and how many of their pixels are none of the padding.
    (top, above), (left, before) = (
        (-(-pad // step), -pad % step) for pad, step in ((top, down), (left, across))
    )
    wide, window = -(-(before + width) // across), width * channels
    along_both = 2 * height * window <= down * window + height * features
    over = gradient.shape[1] if along_both else x.shape[1] // down
    copied = down * window + height * (window if along_both else features)
    size = len(x) * over * gradient.shape[2] * copied * x.dtype.itemsize
    # For each place in a vertical step, the steps in which it meets a row of the kernel.
    places = [range(i < above, -(-(above + height - i) // down)) for i in range(down)]
    totals = (jnp.zeros(()),) * down
    for first, rows in in_parts(over, size):
        # Held fast: every shifted image would be computed anew from what came before, and all
        # parts be put side by side before they are multiplied.
        x, gradient, totals = lax.optimization_barrier((x, gradient, totals))
        products = []
        for i, met in enumerate(places):
            if along_both:
                shifted = _side_by_side(x[:, i::down], 1, [top - j for j in met], rows, first)
                shifted = lax.optimization_barrier(shifted)
                there = gradient[:, first : first + rows]
            else:
                # Step r of the input meets row r + top - j of the output.
                shifted = x[:, first * down + i : (first + rows) * down : down]
                there = _side_by_side(gradient, 1, [j - top for j in met], rows, first)
            moves = [left - j for j in range(wide)]
            shifted = _side_by_side(shifted, 2, moves, gradient.shape[2])
            if not along_both:
                shifted = shifted[..., before * channels : before * channels + window]
            products.append(_product(shifted, there))
        totals = tuple(map(jnp.add, totals, products))
    kernel = []
    for total, met in zip(totals, places, strict=True):
        if along_both:
            part = total.reshape(wide, -1, across, channels, features).swapaxes(0, 1)
            part = part.reshape(-1, wide * across, channels, features)
            part = part[:, before : before + width]
        else:
            part = total.reshape(width, channels, -1, features).transpose(2, 0, 1, 3)
        after = -(-(above + height) // down) - met.stop
        kernel.append(jnp.pad(part, ((met.start, after), (0, 0), (0, 0), (0, 0))))
    found = jnp.stack(kernel, 1).reshape(-1, width, channels, features)
    return found[above : above + height].astype(x.dtype)


def _in_steps(x: jax.Array, strides: tuple[int, int]) -> jax.Array:
    """An input (b, h, w, c), with the pixels of a step along the width as maps.

    Returns:
      (b, rows, steps, horizontal step * c), rows a multiple of the vertical step, with zeros beyond
      the image.
    """
    missing = [-side % step for side, step in zip(x.shape[1:3], strides, strict=True)]
    # Held fast: what comes before would be computed anew in this shape.
    x = padded(lax.optimization_barrier(x), ((0, missing[0]), (0, missing[1])))
    return x.reshape(*x.shape[:2], -1, strides[1] * x.shape[-1])


def _side_by_side(
    x: jax.Array, axis: int, moves: list[int], length: int, first: int = 0
) -> jax.Array:
    """Images moved along an axis, zeros coming in, put side by side along the maps.

    A sum of padded images, which for few of them is faster in XLA than one put together.

    Args:
      x: (b, h, w, c).
      axis: 1 or 2.
      moves: by how many pixels.
      length: of the axis in the result.
      first: where on the axis of the moved images the result begins.

    Returns:
      (b, h, w, len(moves) c), with `length` in the place of h or w.
    """
    maps, zero = x.shape[-1], jnp.zeros((), x.dtype)

    def moved(by: int, before: int, after: int) -> jax.Array:
        pads = [(0, 0, 0)] * 3 + [(before * maps, after * maps, 0)]
        pads[axis] = (by - first, length - x.shape[axis] - by + first, 0)
        return lax.pad(x, zero, pads)

    if len(moves) > MOST_ADDED:
        return lax.optimization_barrier(jnp.concatenate([moved(by, 0, 0) for by in moves], -1))
    return functools.reduce(
        jnp.add, [moved(by, i, len(moves) - 1 - i) for i, by in enumerate(moves)]
    )


def _product(x: jax.Array, y: jax.Array) -> jax.Array:
    """(b, h, w, c) and (b, h, w, f) -> (c, f) in float32: summed over all pixels."""
    flat = x.reshape(-1, x.shape[-1])
    return jnp.matmul(flat.T, y.reshape(-1, y.shape[-1]), preferred_element_type=jnp.float32)
