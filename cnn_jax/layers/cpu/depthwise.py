"""Depthwise convolutions as sums of shifted images, in both directions."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from cnn_jax.layers.cpu.gradients import pads_around, strided_input_gradient
from cnn_jax.layers.cpu.parts import in_parts, summed_in_parts
from cnn_jax.layers.cpu.sums import padded, sum_of_shifted
from cnn_jax.layers.cpu.winograd import Pads


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def depthwise(x: jax.Array, kernel: jax.Array, strides: tuple[int, int]) -> jax.Array:
    """A sum of shifted images, each times a number a map; summed in float32.

    Only the reverse mode of differentiation is there.

    Args:
      x: (b, h, w, c), padded before, so that what gives the image writes it once, with its padding.
      kernel: (kh, kw, 1, c), no smaller than the steps.
      strides: (vertical, horizontal) steps.

    Returns:
      (b, h', w', c).
    """
    return sum_of_shifted(x, kernel, strides)


@functools.partial(jax.jit, static_argnums=2)
def _forward(x: jax.Array, kernel: jax.Array, strides: tuple[int, int]) -> tuple[jax.Array, Any]:
    return depthwise(x, kernel, strides), (x, kernel)


@functools.partial(jax.jit, static_argnums=0)
def _backward(
    strides: tuple[int, int], saved: Any, gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    if strides == (1, 1):
        (high, wide), (rows, columns) = kernel.shape[:2], gradient.shape[1:3]
        around = padded(gradient, ((high - 1, high - 1), (wide - 1, wide - 1)))
        # Written once, padded, for both.
        x, around = lax.optimization_barrier((x, around))
        of_x = depthwise(around, kernel[::-1, ::-1], (1, 1))
        gradient = around[:, high - 1 : high - 1 + rows, wide - 1 : wide - 1 + columns]
    else:
        x, gradient = lax.optimization_barrier((x, gradient))
        none = ((0, 0), (0, 0))
        of_x = strided_input_gradient(
            gradient, kernel, x.shape[1:3], strides, none, _input_gradient
        )
    return of_x, _kernel_gradient(x, gradient, kernel, strides)


depthwise.defvjp(_forward, _backward)


def _kernel_gradient(
    x: jax.Array, gradient: jax.Array, kernel: jax.Array, strides: tuple[int, int]
) -> jax.Array:
    """Some rows at a time, which all places of the kernel then find in the caches."""
    high, wide = kernel.shape[:2]
    # Of a loop one program is compiled, and not one for each place.
    places = jnp.asarray([*itertools.product(range(high), range(wide))])

    def of_part(images: tuple[jax.Array, ...], first: jax.Array | int, rows: int) -> jax.Array:
        x, gradient = images

        def of_place(place: jax.Array) -> jax.Array:
            lines = _lines(x, gradient, place, first, rows, strides)
            # Held fast: else `jnp.sum` would multiply value by value.
            return jnp.sum(lax.optimization_barrier(lines), (0, 1, 2))

        return lax.map(of_place, places)

    size = max(x.size, gradient.size) * x.dtype.itemsize
    total = summed_in_parts(in_parts(gradient.shape[1], size), (x, gradient), of_part)
    return total.reshape(kernel.shape).astype(kernel.dtype)


def _lines(
    x: jax.Array,
    gradient: jax.Array,
    place: jax.Array,
    first: jax.Array | int,
    rows: int,
    strides: tuple[int, int],
) -> jax.Array:
    """Products of a gradient and the pixels that a place of the kernel meets, some rows of them.

    Those of a few rows apart are summed, since `jnp.sum` of products would first write the shifted
    images.

    Args:
      x: (b, h, w, c), padded.
      gradient: (b, h', w', c).
      place: (2,), row and column in the kernel.
      first: row of the gradient.
      rows: how many of them.
      strides: (vertical, horizontal) steps.

    Returns:
      (b, rows / few, w', c) in float32.
    """
    few = next(count for count in range(8, 0, -1) if rows % count == 0)
    (down, across), width = strides, gradient.shape[2]

    def every(
        image: jax.Array, row: jax.Array | int, column: jax.Array | int, step: int, over: int
    ) -> jax.Array:
        size = (len(image), (rows // few - 1) * step + 1, (width - 1) * over + 1, image.shape[3])
        some = lax.dynamic_slice(image, (0, row, column, 0), size)
        return some[:, ::step, ::over].astype(jnp.float32)

    products = [
        every(x, (first + i) * down + place[0], place[1], few * down, across)
        * every(gradient, first + i, 0, few, 1)
        for i in range(few)
    ]
    return functools.reduce(jnp.add, products)


def _input_gradient(gradient: jax.Array, kernel: jax.Array, pads: Pads) -> jax.Array:
    """As `input_gradient`, of a depthwise convolution with a kernel (kh, kw, 1, c)."""
    around = padded(gradient, pads_around(kernel, pads))
    return depthwise(around, kernel[::-1, ::-1], (1, 1))
