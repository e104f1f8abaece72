"""Depthwise convolutions as sums of shifted images, in both directions."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from cnn_jax.layers.cpu.gradients import pads_around, strided_input_gradient
from cnn_jax.layers.cpu.parts import in_parts
from cnn_jax.layers.cpu.sums import padded, shifted, sum_of_shifted
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
    total = jnp.zeros((kernel.shape[0] * kernel.shape[1], kernel.shape[3]))
    size = max(x.size, gradient.size) * x.dtype.itemsize
    for first, rows in in_parts(gradient.shape[1], size):
        x, gradient, total = lax.optimization_barrier((x, gradient, total))
        top = first * strides[0]
        met = x[:, top : top + (rows - 1) * strides[0] + kernel.shape[0]]
        there = gradient[:, first : first + rows].astype(jnp.float32)
        found = [
            _lines(pixels.astype(jnp.float32), there) for _, pixels in shifted(met, kernel, strides)
        ]
        found = [jnp.sum(lines, (0, 1, 2)) for lines in lax.optimization_barrier(tuple(found))]
        total += jnp.stack(found)
    return total.reshape(kernel.shape).astype(kernel.dtype)


def _lines(x: jax.Array, y: jax.Array) -> jax.Array:
    """Products of two arrays (b, h, w, c), a few rows apart summed, since `jnp.sum` of products
    would first write the shifted images.
    """
    few = next(count for count in range(8, 0, -1) if x.shape[1] % count == 0)
    return functools.reduce(jnp.add, [x[:, i::few] * y[:, i::few] for i in range(few)])


def _input_gradient(gradient: jax.Array, kernel: jax.Array, pads: Pads) -> jax.Array:
    """As `input_gradient`, of a depthwise convolution with a kernel (kh, kw, 1, c)."""
    around = padded(gradient, pads_around(kernel, pads))
    return depthwise(around, kernel[::-1, ::-1], (1, 1))
