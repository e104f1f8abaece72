"""Gradients of convolutions as what a CPU does fast: products of matrices and shifted images."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from cnn_jax.models.cpu_parts import in_parts
from cnn_jax.models.layers import convolve
from cnn_jax.models.winograd import Pads, kernel_gradient_in_tiles


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve_by_products(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads, in_tiles: bool
) -> jax.Array:
    """XLA's own convolution, with gradients that are fast on a CPU; only in reverse mode.

    Args:
      x: (b, h, w, c).
      kernel: (kh, kw, c, f), no smaller than the steps.
      strides: (vertical, horizontal) steps.
      pads: pixels around the input.
      in_tiles: take the kernel's gradient by `kernel_gradient_in_tiles`; for 3x3 and steps of 1.

    Returns:
      (b, h', w', f).
    """
    return convolve(x, kernel, strides, pads, 1, (1, 1))


def _forward(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads, in_tiles: bool
) -> tuple[jax.Array, Any]:
    return convolve_by_products(x, kernel, strides, pads, in_tiles), (x, kernel)


def _backward(
    strides: tuple[int, int], pads: Pads, in_tiles: bool, saved: Any, gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    height, width = kernel.shape[:2]
    if in_tiles:
        of_kernel = kernel_gradient_in_tiles(x, gradient, pads)
    else:
        of_kernel = strided_kernel_gradient(x, gradient, height, width, strides, pads)
    return strided_input_gradient(gradient, kernel, x.shape[1:3], strides, pads), of_kernel


convolve_by_products.defvjp(_forward, _backward)


def input_gradient(gradient: jax.Array, kernel: jax.Array, pads: Pads) -> jax.Array:
    """The gradient with respect to the input of a convolution of stride 1, as a convolution.

    Args:
      gradient: (b, h', w', f), with respect to the output.
      kernel: (kh, kw, c, f).
      pads: pixels around the input.

    Returns:
      (b, h, w, c).
    """
    turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    # Without the barrier XLA takes the turned kernel back into its slower form.
    turned = lax.optimization_barrier(turned)
    return convolve(gradient, turned, (1, 1), pads_around(kernel, pads), 1, (1, 1))


def pads_around(kernel: jax.Array, pads: Pads) -> Pads:
    """Zeros around the output's gradient with which it gives that of the input."""
    (top, bottom), (left, right) = pads
    height, width = kernel.shape[0] - 1, kernel.shape[1] - 1
    return (height - top, height - bottom), (width - left, width - right)


def strided_input_gradient(
    gradient: jax.Array,
    kernel: jax.Array,
    sides: Sequence[int],
    strides: tuple[int, int],
    pads: Pads,
    without_steps: Callable[[jax.Array, jax.Array, Pads], jax.Array] = input_gradient,
) -> jax.Array:
    """As `input_gradient`, of a convolution that may step over pixels.

    Pixels of the padded input that lie at the same place between steps meet the same rows and
    columns of the kernel, so that theirs are the gradient of a convolution without steps. XLA
    would put zeros between the gradient's pixels, and multiply by them.

    Args:
      gradient: (b, h', w', f), with respect to the output.
      kernel: (kh, kw, c, f), no smaller than the steps.
      sides: (h, w) of the input.
      strides: (vertical, horizontal) steps.
      pads: pixels around the input.
      without_steps: the function for steps of 1.

    Returns:
      (b, h, w, c).
    """
    if strides == (1, 1):
        return without_steps(gradient, kernel, pads)
    (down, across), ((top, bottom), (left, right)) = strides, pads
    rows, columns = -(-(sides[0] + top + bottom) // down), -(-(sides[1] + left + right) // across)

    def place(i: int, j: int) -> jax.Array:
        found = without_steps(gradient, kernel[i::down, j::across], ((0, 0), (0, 0)))
        beyond = (0, rows - found.shape[1], 0), (0, columns - found.shape[2], 0)
        return lax.pad(found, jnp.zeros((), found.dtype), ((0, 0, 0), *beyond, (0, 0, 0)))

    lines = [jnp.stack([place(i, j) for j in range(across)], 3) for i in range(down)]
    x = jnp.stack(lines, 2).reshape(len(gradient), rows * down, columns * across, -1)
    # Held fast: what adds to it would put the places together value by value.
    return lax.optimization_barrier(x[:, top : top + sides[0], left : left + sides[1]])


def kernel_gradient(
    x: jax.Array, gradient: jax.Array, height: int, width: int, pads: Pads
) -> jax.Array:
    """The gradient with respect to the kernel of a convolution of stride 1, as products.

    Element (i, j) of the kernel meets the input shifted by (i, j). Shifting the input along the
    width only and the output's gradient along the height only, against each other, puts all
    pairs into one product of matrices (kw c, b h w) and (b h w, kh f). Where the input has few
    maps, as images have, it is shifted along both. Some rows are taken at a time, so that what
    is written side by side is still in the caches when it is multiplied.

    Args:
      x: (b, h, w, c), the input.
      gradient: (b, h', w', f), with respect to the output.
      height: of the kernel.
      width: of the kernel.
      pads: pixels around the input.

    Returns:
      (kh, kw, c, f).
    """
    (top, _), (left, _) = pads
    channels, features = x.shape[-1], gradient.shape[-1]
    along_both = 2 * height * width * channels <= width * channels + height * features
    over = gradient if along_both else x
    copied = width * channels + height * (width * channels if along_both else features)
    total = jnp.zeros(())
    for first, rows in in_parts(over.shape[1], copied * over[..., 0].size * x.dtype.itemsize):
        # Held fast: every shifted image would be computed anew from what came before, and all
        # parts be put side by side before they are multiplied.
        x, gradient, total = lax.optimization_barrier((x, gradient, total))
        if along_both:
            shifted = _side_by_side(x, 1, [top - i for i in range(height)], rows, first)
            shifted = lax.optimization_barrier(shifted)
            met = gradient[:, first : first + rows]
        else:
            # Row r of the input meets row r + top - i of the output.
            shifted = x[:, first : first + rows]
            met = _side_by_side(gradient, 1, [i - top for i in range(height)], rows, first)
        moves = [left - j for j in range(width)]
        total += _product(_side_by_side(shifted, 2, moves, gradient.shape[2]), met)
    if along_both:
        found = total.reshape(width, height, channels, features).transpose(1, 0, 2, 3)
    else:
        found = total.reshape(width, channels, height, features).transpose(2, 0, 1, 3)
    return found.astype(x.dtype)


def strided_kernel_gradient(
    x: jax.Array,
    gradient: jax.Array,
    height: int,
    width: int,
    strides: tuple[int, int],
    pads: Pads,
) -> jax.Array:
    """As `kernel_gradient`, of a convolution that may step over pixels.

    The rows and columns of the kernel that meet the same rows and columns of the input, modulo
    the steps, are the kernel of a convolution without steps over these alone.

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
    if strides == (1, 1):
        return kernel_gradient(x, gradient, height, width, pads)
    (down, across), (rows, columns) = strides, gradient.shape[1:3]
    x, gradient = lax.optimization_barrier((x, gradient))
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    found = jnp.zeros((height, width, x.shape[-1], gradient.shape[-1]), x.dtype)
    for i, j in itertools.product(range(down), range(across)):
        high, wide = -(-(height - i) // down), -(-(width - j) // across)
        bottom, right = i + (rows + high - 2) * down + 1, j + (columns + wide - 2) * across + 1
        met = x[:, i:bottom:down, j:right:across]
        part = kernel_gradient(met, gradient, high, wide, ((0, 0), (0, 0)))
        found = found.at[i::down, j::across].set(part)
    return found


def _side_by_side(
    x: jax.Array, axis: int, moves: list[int], length: int, first: int = 0
) -> jax.Array:
    """Images moved along an axis, zeros coming in, put side by side along the maps.

    A sum of padded images, which is faster in XLA than one put together.

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

    return functools.reduce(
        jnp.add, [moved(by, i, len(moves) - 1 - i) for i, by in enumerate(moves)]
    )


def _product(x: jax.Array, y: jax.Array) -> jax.Array:
    """(b, h, w, c) and (b, h, w, f) -> (c, f) in float32: summed over all pixels."""
    flat = x.reshape(-1, x.shape[-1])
    return jnp.matmul(flat.T, y.reshape(-1, y.shape[-1]), preferred_element_type=jnp.float32)
