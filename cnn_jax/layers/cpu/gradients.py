"""Gradients of convolutions as what a CPU does fast: products of matrices and shifted images."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from cnn_jax.layers.basic import convolve
from cnn_jax.layers.cpu.choices import Shapes
from cnn_jax.layers.cpu.kernel_gradients import kernel_gradient
from cnn_jax.layers.cpu.sums import padded, sum_of_shifted
from cnn_jax.layers.cpu.unrolled import (
    by_patches,
    by_unrolled_kernel,
    input_gradient_by_patches,
    input_gradient_by_unrolled_kernel,
    kernel_gradient_by_patches,
    kernel_gradient_by_unrolled_kernel,
    unrolled,
)
from cnn_jax.layers.cpu.winograd import Pads

FEW_PRODUCTS = 27
"""A value, up to which convolutions in float32 are `sum_of_shifted` in training: 3x3 pixels in
colour. In evaluation XLA's own become one with the activation and the pooling that follow."""


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve_by_products(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads, alone: bool = True
) -> jax.Array:
    """A convolution with gradients that are fast on a CPU; only in reverse mode.

    Its value is one product where `choices.py` says so, and else XLA's own, but in training where
    a pixel of the output is a sum of few products, as in the first layer of most nets.

    Args:
      x: (b, h, w, c).
      kernel: (kh, kw, c, f), no smaller than the steps.
      strides: (vertical, horizontal) steps.
      pads: pixels around the input.
      alone: whether one device has the whole batch; several add up the gradients of their parts,
        and the kernel written out for every pixel is larger than the kernel.

    Returns:
      (b, h', w', f).
    """
    return _value(x, kernel, strides, pads)[0]


def _value(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads
) -> tuple[jax.Array, jax.Array | None]:
    """The convolution, and the kernel as it was multiplied, if it was written out."""
    shapes = Shapes.of(x, kernel, strides, pads)
    if shapes.unrolls_kernel:
        matrix = unrolled(kernel, shapes.sides, shapes.outs, strides, pads)
        return by_unrolled_kernel(x, matrix, shapes.outs), matrix
    if shapes.value_by_patches:
        return by_patches(x, kernel, strides, pads), None
    return convolve(x, kernel, strides, pads, 1, (1, 1)), None


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _forward(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads, alone: bool
) -> tuple[jax.Array, Any]:
    few = math.prod(kernel.shape[:3]) <= FEW_PRODUCTS and x.dtype == jnp.float32
    if few and not Shapes.of(x, kernel, strides, pads).unrolls_kernel:
        return sum_of_shifted(padded(x, pads), kernel, strides), (x, kernel, None)
    y, matrix = _value(x, kernel, strides, pads)
    return y, (x, kernel, matrix)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _backward(
    strides: tuple[int, int], pads: Pads, alone: bool, saved: Any, gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel, matrix = saved
    shapes = Shapes.of(x, kernel, strides, pads)
    if matrix is not None:
        of_x = input_gradient_by_unrolled_kernel(gradient, matrix, shapes.sides)
    elif shapes.input_by_patches:
        of_x = input_gradient_by_patches(gradient, kernel, shapes.sides, strides, pads)
    else:
        of_x = strided_input_gradient(gradient, kernel, shapes.sides, strides, pads)
    if matrix is not None and alone:
        of_kernel = kernel_gradient_by_unrolled_kernel(x, gradient, shapes.sizes, strides, pads)
    elif shapes.kernel_by_xla:
        back = jax.linear_transpose(lambda k: convolve(x, k, strides, pads, 1, (1, 1)), kernel)
        (of_kernel,) = back(gradient)
    elif shapes.kernel_by_patches:
        of_kernel = kernel_gradient_by_patches(x, gradient, shapes.sizes, strides, pads)
    else:
        of_kernel = kernel_gradient(x, gradient, *shapes.sizes, strides, pads)
    return of_x, of_kernel


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
