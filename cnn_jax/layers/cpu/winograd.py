"""Convolutions of 3x3 with fewer multiplications: Winograd's F(4x4, 3x3).

Tiles of 4x4 outputs are computed from 6x6 inputs by 36 products of matrices instead of the 144
that the definition takes (Lavin and Gray 2015, https://arxiv.org/abs/1509.09308). Gradients are
the transposes of the same three linear maps, so that they take as few. In float32 results differ
by about 1e-5 of the largest value.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnn_jax.layers.basic import convolve

Pads = tuple[tuple[int, int], tuple[int, int]]
Tiles = list[jax.Array]
"""36 arrays (b rows columns, maps): one for each place in a tile, row by row."""

OUT, IN = 4, 6
"""Sides of a tile of outputs and of the inputs that it is computed from."""

OF_INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
OF_KERNEL = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
OF_OUTPUT = np.array(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def winograd_convolve(
    x: jax.Array, kernel: jax.Array, pads: Pads, value_in_tiles: bool = True
) -> jax.Array:
    """A convolution of stride 1 with a kernel of 3x3.

    Only the reverse mode of differentiation is there.

    Args:
      x: (b, h, w, c).
      kernel: (3, 3, c, f).
      pads: pixels of zeros at ((top, bottom), (left, right)).
      value_in_tiles: whether the value is, also where no gradient is asked for, and with it nothing
        gained from having the tiles of x; else it is XLA's own.

    Returns:
      (b, h', w', f).
    """
    if not value_in_tiles:
        return convolve(x, kernel, (1, 1), pads, 1, (1, 1))
    return _forward(x, kernel, pads, value_in_tiles)[0]


@functools.partial(jax.jit, static_argnums=(2, 3))
def _forward(
    x: jax.Array, kernel: jax.Array, pads: Pads, value_in_tiles: bool
) -> tuple[jax.Array, Any]:
    tiles = input_tiles(x, pads)
    turned = kernel_tiles(kernel)
    products = [tile @ turned[i] for i, tile in enumerate(tiles)]
    height, width = (
        side + before + after - 2 for side, (before, after) in zip(x.shape[1:3], pads, strict=True)
    )
    return from_tiles(products, len(x), height, width), (x, kernel, tiles)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _backward(
    pads: Pads, value_in_tiles: bool, saved: Any, gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel, tiles = saved
    # Held fast: every row of tiles would be computed anew from what came before.
    gradient = lax.optimization_barrier(gradient)
    of_products = gradient_tiles(gradient)
    turned = kernel_tiles(kernel)
    of_tiles = [tile @ turned[i].T for i, tile in enumerate(of_products)]
    of_x = from_input_tiles(of_tiles, x.shape, pads, gradient.shape)
    of_kernel = [tile.T @ other for tile, other in zip(tiles, of_products, strict=True)]
    return of_x, from_kernel_tiles(of_kernel)


winograd_convolve.defvjp(_forward, _backward)


def input_tiles(x: jax.Array, pads: Pads) -> Tiles:
    """The transformed tiles of an input (b, h, w, c)."""
    around = []
    counts = []
    for side, (before, after) in zip(x.shape[1:3], pads, strict=True):
        count = -(-(side + before + after - 2) // OUT)
        around.append((before, count * OUT + 2 - side - before))
        counts.append(count)
    x = jnp.pad(x, ((0, 0), *around, (0, 0)))
    rows = _apply(OF_INPUT, [_every(x, i, counts[0], 1) for i in range(IN)])
    return [
        tile.reshape(-1, x.shape[-1])
        for row in _apart(rows)
        for tile in _apply(OF_INPUT, [_every(row, j, counts[1], 2) for j in range(IN)])
    ]


def kernel_tiles(kernel: jax.Array) -> Tiles:
    """The transformed kernel (3, 3, c, f), as 36 arrays (c, f)."""
    rows = _apart(_apply(OF_KERNEL, list(kernel)))
    return [tile for row in rows for tile in _apply(OF_KERNEL, list(row))]


def from_kernel_tiles(tiles: Tiles) -> jax.Array:
    """The transpose of `kernel_tiles`: the gradient (3, 3, c, f) of the kernel."""
    rows = [jnp.stack(_apply(OF_KERNEL.T, tiles[IN * i : IN * (i + 1)])) for i in range(IN)]
    return jnp.stack(_apply(OF_KERNEL.T, _apart(rows)))


def from_tiles(tiles: Tiles, batch: int, height: int, width: int) -> jax.Array:
    """The output (b, h', w', f) of what the products gave."""
    rows, columns, maps = -(-height // OUT), -(-width // OUT), tiles[0].shape[-1]
    shaped = [tile.reshape(batch, rows, columns, maps) for tile in tiles]
    lines = [jnp.stack(_apply(OF_OUTPUT, shaped[IN * i : IN * (i + 1)]), axis=3) for i in range(IN)]
    y = jnp.stack(_apply(OF_OUTPUT, lines), axis=2)
    return y.reshape(batch, rows * OUT, columns * OUT, maps)[:, :height, :width]


def gradient_tiles(gradient: jax.Array) -> Tiles:
    """The transpose of `from_tiles`: tiles of a gradient (b, h', w', f) of the output."""
    rows, columns = (-(-side // OUT) for side in gradient.shape[1:3])
    height, width = gradient.shape[1:3]
    gradient = jnp.pad(
        gradient, ((0, 0), (0, rows * OUT - height), (0, columns * OUT - width), (0, 0))
    )
    lines = _apply(OF_OUTPUT.T, [gradient[:, i::OUT] for i in range(OUT)])
    return [
        tile.reshape(-1, gradient.shape[-1])
        for line in _apart(lines)
        for tile in _apply(OF_OUTPUT.T, [line[:, :, j::OUT] for j in range(OUT)])
    ]


def from_input_tiles(
    tiles: Tiles, shape: Sequence[int], pads: Pads, output: Sequence[int]
) -> jax.Array:
    """The transpose of `input_tiles`: the gradient (b, h, w, c) of the input.

    Args:
      tiles: gradients of the transformed tiles.
      shape: of the input.
      pads: as in `winograd_convolve`.
      output: (b, h', w', f), the shape of the convolution's output.
    """
    batch, height, width, maps = shape
    rows, columns = (-(-side // OUT) for side in output[1:3])
    shaped = [tile.reshape(batch, rows, columns, maps) for tile in tiles]
    lines = [_overlapped(_apply(OF_INPUT.T, shaped[IN * i : IN * (i + 1)]), 2) for i in range(IN)]
    x = _overlapped(_apply(OF_INPUT.T, _apart(lines)), 1)
    (top, _), (left, _) = pads
    # The last rows and columns of the input meet no output where padding does not reach beyond.
    x = jnp.pad(
        x,
        (
            (0, 0),
            (0, max(0, top + height - x.shape[1])),
            (0, max(0, left + width - x.shape[2])),
            (0, 0),
        ),
    )
    return x[:, top : top + height, left : left + width]


def _every(x: jax.Array, first: int, count: int, axis: int) -> jax.Array:
    """Every fourth row or column from the first on."""
    return lax.slice_in_dim(x, first, first + (count - 1) * OUT + 1, OUT, axis)


def _apply(matrix: np.ndarray, parts: Sequence[jax.Array]) -> list[jax.Array]:
    """A matrix times a vector of arrays, written as sums, since most elements are 0 or ±1."""
    found = []
    for row in matrix:
        total = None
        for factor, part in zip(row, parts, strict=True):
            if factor == 0:
                continue
            term = part if factor == 1 else -part if factor == -1 else part * float(factor)
            total = term if total is None else total + term
        assert total is not None
        found.append(total)
    return found


def _apart(parts: Sequence[jax.Array]) -> list[jax.Array]:
    """The same arrays, computed before what follows.

    Else the compiler computes the first half of a transform anew for each of the 36 tiles.
    """
    return list(lax.optimization_barrier(tuple(parts)))


def _overlapped(parts: list[jax.Array], axis: int) -> jax.Array:
    """The sum of tiles of six that stand four apart along an axis."""
    shape = list(parts[0].shape)
    shape[axis] *= OUT
    zero = jnp.zeros_like(parts[0])
    first = jnp.stack(parts[:OUT], axis + 1).reshape(shape)
    beyond = jnp.stack([*parts[OUT:], zero, zero], axis + 1).reshape(shape)
    after = [(0, OUT) if i == axis else (0, 0) for i in range(len(shape))]
    before = [(OUT, 0) if i == axis else (0, 0) for i in range(len(shape))]
    return jnp.pad(first, after) + jnp.pad(beyond, before)
