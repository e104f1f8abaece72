"""Convolutions as sums of shifted images, which a CPU does fast where there is little to add."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from cnn_jax.layers.cpu.winograd import Pads


def sum_of_shifted(x: jax.Array, kernel: jax.Array, strides: tuple[int, int]) -> jax.Array:
    """A convolution as a sum of shifted images, each times a number a map; added in float32.

    Args:
      x: (b, h, w, c), padded before.
      kernel: (kh, kw, c, f), or, of a depthwise convolution, (kh, kw, 1, c).
      strides: (vertical, horizontal) steps.

    Returns:
      (b, h', w', f).
    """
    maps = [x] if kernel.shape[2] == 1 else jnp.split(x, x.shape[-1], -1)
    total: Any = 0.0
    for c, each in enumerate(maps):
        for (i, j), pixels in shifted(each, kernel, strides):
            total += pixels.astype(jnp.float32) * kernel[i, j, c].astype(jnp.float32)
    return total.astype(x.dtype)


def shifted(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int]
) -> list[tuple[tuple[int, int], jax.Array]]:
    """For each place (i, j) in a kernel the pixels (b, h', w', c) that it meets.

    Args:
      x: (b, h, w, c), padded before.
      kernel: (kh, kw, ...).
      strides: (vertical, horizontal) steps.
    """
    rows, columns = (
        (side - size) // stride + 1
        for side, size, stride in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True)
    )
    bottom, right = strides[0] * (rows - 1) + 1, strides[1] * (columns - 1) + 1
    return [
        ((i, j), x[:, i : i + bottom : strides[0], j : j + right : strides[1]])
        for i, j in itertools.product(*map(range, kernel.shape[:2]))
    ]


def padded(x: jax.Array, pads: Pads) -> jax.Array:
    """(b, h, w, c) with zeros around it, or with pixels cut off."""
    zero = jnp.zeros((), x.dtype)
    return lax.pad(x, zero, ((0, 0, 0), *((*pad, 0) for pad in pads), (0, 0, 0)))
