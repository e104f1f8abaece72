"""Convolutions as one product of matrices, for small images.

Either every patch of the images is written out, and multiplied by the kernel, or the kernel is
written out for every pixel of the output, and multiplied by whole images. XLA has no fast code for
a CPU where the kernel is larger than the image: 2x2 pixels of 512 maps take it fifty times as long.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from cnn_jax.layers.cpu.sums import padded
from cnn_jax.layers.cpu.winograd import Pads

Pair = tuple[int, int]


def by_patches(x: jax.Array, kernel: jax.Array, strides: Pair, pads: Pads) -> jax.Array:
    """A convolution as one product of all patches of the images with the kernel.

    Args:
      x: (b, h, w, c).
      kernel: (kh, kw, c, f).
      strides: (vertical, horizontal) steps.
      pads: pixels around the input.

    Returns:
      (b, h', w', f).
    """
    height, width, _, features = kernel.shape
    found = _patches(x, (height, width), strides, pads)
    y = _rows(found) @ kernel.reshape(-1, features)
    return y.reshape(*found.shape[:3], features)


def input_gradient_by_patches(
    gradient: jax.Array, kernel: jax.Array, sides: Sequence[int], strides: Pair, pads: Pads
) -> jax.Array:
    """The gradient (b, h, w, c) of `by_patches` with respect to the input of `sides` (h, w)."""
    height, width, channels, features = kernel.shape
    x = jax.ShapeDtypeStruct((len(gradient), *sides, channels), gradient.dtype)
    of_patches = _rows(gradient) @ kernel.reshape(-1, features).T
    back = jax.linear_transpose(lambda x: _patches(x, (height, width), strides, pads), x)
    (found,) = back(of_patches.reshape(*gradient.shape[:3], -1))
    return found


def kernel_gradient_by_patches(
    x: jax.Array, gradient: jax.Array, sizes: Pair, strides: Pair, pads: Pads
) -> jax.Array:
    """The gradient (kh, kw, c, f) of `by_patches` with respect to the kernel of `sizes`."""
    found = _product(_rows(_patches(x, sizes, strides, pads)), _rows(gradient))
    return found.reshape(*sizes, x.shape[-1], -1).astype(x.dtype)


def unrolled(kernel: jax.Array, sides: Pair, outs: Pair, strides: Pair, pads: Pads) -> jax.Array:
    """The matrix (h w c, h' w' f) that has the kernel for every pixel of the output.

    Args:
      kernel: (kh, kw, c, f).
      sides: (h, w) of the input.
      outs: (h', w') of the output.
      strides: (vertical, horizontal) steps.
      pads: pixels around the input.
    """
    # (c, kh, kw, f) becomes (h, c, h', kw, f), and then (h, w, c, h', w', f).
    matrix = kernel.transpose(2, 0, 1, 3)[:, ::-1, ::-1]
    for axis, (side, out, stride) in enumerate(zip(sides, outs, strides, strict=True)):
        # Pixel i of the input meets element i + pad - p stride of the kernel for pixel p.
        size, place = kernel.shape[axis], 1 + 2 * axis
        first = [size - 1 - pads[axis][0] - i for i in range(side)]
        reach = (out - 1) * stride + 1
        around = [(0, 0, 0)] * matrix.ndim
        around[place] = (-first[-1], first[0] + reach - size, 0)
        grown = lax.pad(matrix, jnp.zeros((), matrix.dtype), around)
        seen = [
            lax.slice_in_dim(grown, i - first[-1], i - first[-1] + reach, stride, place)
            for i in first
        ]
        matrix = lax.optimization_barrier(jnp.stack(seen, axis))
    return matrix.reshape(sides[0] * sides[1] * kernel.shape[2], -1)


def by_unrolled_kernel(x: jax.Array, matrix: jax.Array, outs: Pair) -> jax.Array:
    """The convolution (b, h', w', f) of x (b, h, w, c), by the matrix that `unrolled` gives."""
    return (x.reshape(len(x), -1) @ matrix).reshape(len(x), *outs, -1)


def input_gradient_by_unrolled_kernel(
    gradient: jax.Array, matrix: jax.Array, sides: Sequence[int]
) -> jax.Array:
    """The gradient (b, h, w, c) of `by_unrolled_kernel` with respect to the input."""
    batch = len(gradient)
    return (gradient.reshape(batch, -1) @ matrix.T).reshape(batch, *sides, -1)


def kernel_gradient_by_unrolled_kernel(
    x: jax.Array, gradient: jax.Array, sizes: Pair, strides: Pair, pads: Pads
) -> jax.Array:
    """The gradient (kh, kw, c, f) of `by_unrolled_kernel` with respect to the kernel of `sizes`."""
    batch, height, width, channels = x.shape
    rows, columns, features = gradient.shape[1:]
    kernel = jax.ShapeDtypeStruct((*sizes, channels, features), jnp.float32)
    of_matrix = _product(x.reshape(batch, -1), gradient.reshape(batch, -1))
    back = jax.linear_transpose(
        lambda kernel: unrolled(kernel, (height, width), (rows, columns), strides, pads), kernel
    )
    return back(of_matrix)[0].astype(x.dtype)


def _patches(x: jax.Array, sizes: Pair, strides: Pair, pads: Pads) -> jax.Array:
    """What a kernel of `sizes` sees at each place, (b, h', w', kh kw c)."""
    x = padded(x, pads)
    if x.shape[1:3] == sizes:
        return x.reshape(len(x), 1, 1, -1)
    # Columns first, so that kh + kw pieces are put together instead of kh kw.
    for axis in (2, 1):
        size, stride = sizes[axis - 1], strides[axis - 1]
        reach = (x.shape[axis] - size) // stride * stride + 1
        moved = [lax.slice_in_dim(x, i, i + reach, stride, axis) for i in range(size)]
        x = lax.optimization_barrier(jnp.concatenate(moved, -1))
    return x


def _rows(x: jax.Array) -> jax.Array:
    return x.reshape(-1, x.shape[-1])


def _product(x: jax.Array, y: jax.Array) -> jax.Array:
    """(n, c) and (n, f) -> (c, f) in float32."""
    return jnp.matmul(x.T, y, preferred_element_type=jnp.float32)
