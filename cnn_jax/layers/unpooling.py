"""Max pooling that remembers where the largest values stood, and puts values there again."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from cnn_jax.layers.pooling import max_pool


def pool_with_places(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The largest value of every 2x2 window, and in which of its pixels it stands.

    Pixels at the bottom and right that fill no whole window are windows too. Of several that are
    the largest, the first counts, in the order of reading.

    Args:
      x: (b, h, w, c).

    Returns:
      (b, ceil(h / 2), ceil(w / 2), c), and the places of the same shape, uint8 from 0 to 3.
    """
    height, width = x.shape[1:3]
    edge = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    whole = jnp.pad(x, edge, constant_values=-jnp.inf) if height % 2 or width % 2 else x
    pooled = max_pool(whole, 2)
    pixels = [lax.stop_gradient(whole[:, i::2, j::2]) for i in (0, 1) for j in (0, 1)]
    largest, places = pixels[0], jnp.zeros(pooled.shape, jnp.uint8)
    for place, pixel in enumerate(pixels[1:], start=1):
        places = jnp.where(pixel > largest, jnp.uint8(place), places)
        largest = jnp.maximum(largest, pixel)
    return pooled, places


def unpool(x: jax.Array, places: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Every value at its place in a 2x2 window, and zeros at the others.

    Every pixel asks whether it is the place, so that nothing is scattered and shapes are fixed.

    Args:
      x: (b, h', w', c).
      places: as of `pool_with_places`, of the same shape.
      size: (h, w) of what was pooled.

    Returns:
      (b, h, w, c).
    """
    rows = []
    for i in (0, 1):
        pair = [jnp.where(places == 2 * i + j, x, jnp.zeros_like(x)) for j in (0, 1)]
        rows.append(jnp.stack(pair, axis=3))
    batch, height, width, channels = x.shape
    y = jnp.stack(rows, axis=2).reshape(batch, 2 * height, 2 * width, channels)
    return y[:, : size[0], : size[1]]
