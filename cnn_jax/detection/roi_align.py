"""Feature maps cut out under boxes and brought to one size."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

SAMPLES = 2
"""Points along each axis that a cell of the result is the mean of."""


def roi_align(
    maps: Sequence[jax.Array], strides: Sequence[int], boxes: jax.Array, side: int = 7
) -> jax.Array:
    """Maps (n, side, side, c) under boxes, each from the level of a pyramid that suits its size.

    Each cell is the mean of `SAMPLES` x `SAMPLES` points read between pixels (He et al. 2017, Mask
    R-CNN, arXiv 1703.06870); as torchvision's with `aligned=False` and `sampling_ratio=2`. To be
    mapped over images by `jax.vmap`. Nothing is learnt about the boxes.

    Args:
      maps: of an image, (h, w, c) each, the finest first.
      strides: pixels of the image between neighbouring pixels of each.
      boxes: (n, 4): top, left, bottom, right, in pixels of the image.
      side: of the result.
    """
    boxes = jax.lax.stop_gradient(boxes)
    level = levels(boxes, strides)
    heights, widths = np.array([each.shape[:2] for each in maps], np.int32).T
    height, width = jnp.asarray(heights)[level], jnp.asarray(widths)[level]
    # The maps lie one after the other in one array.
    start = jnp.asarray(np.cumsum(heights * widths) - heights * widths)[level][:, None, None]
    scale = jnp.asarray(1 / np.asarray(strides, np.float32))[level][:, None]
    low = boxes[:, :2] * scale
    extent = jnp.maximum(boxes[:, 2:] * scale - low, 1.0)
    rows, row_weights = _reads(low[:, 0], extent[:, 0], height, side)
    columns, column_weights = _reads(low[:, 1], extent[:, 1], width, side)

    pixels = jnp.concatenate([each.reshape(-1, each.shape[-1]) for each in maps])
    total = jnp.zeros((len(boxes), side, side, pixels.shape[-1]), pixels.dtype)
    for i in range(rows.shape[-1]):
        for j in range(columns.shape[-1]):
            places = rows[:, :, None, i] * width[:, None, None] + columns[:, None, :, j] + start
            weights = row_weights[:, :, None, i] * column_weights[:, None, :, j]
            total += weights[..., None].astype(pixels.dtype) * pixels[places]
    return total


def levels(boxes: jax.Array, strides: Sequence[int]) -> jax.Array:
    """The place (n,) int32 in a pyramid of the map that each box (n, 4) is read from.

    A box of 224 pixels a side is read from the map of stride 16, one of half the side from the one
    before: Lin et al. 2017, Feature Pyramid Networks, arXiv 1612.03144, equation 1.

    Args:
      boxes: (n, 4), in pixels.
      strides: powers of two, each twice the one before.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    size = jnp.sqrt(jnp.maximum(sides[:, 0] * sides[:, 1], 1e-12))
    wanted = jnp.floor(4 + jnp.log2(size / 224) + 1e-6)
    first = int(np.log2(strides[0]))
    return jnp.clip(wanted - first, 0, len(strides) - 1).astype(jnp.int32)


def _reads(
    low: jax.Array, extent: jax.Array, limit: jax.Array, side: int
) -> tuple[jax.Array, jax.Array]:
    """Which pixels along an axis each cell is read from, and their weights.

    Args:
      low: (n,), where boxes begin, in pixels of their map.
      extent: (n,), how long they are.
      limit: (n,), how many pixels the map has.
      side: how many cells a box is cut into.

    Returns:
      (n, side, 2 * SAMPLES) int32 and float32; the weights of a cell add up to 1, or less where it
      lies outside.
    """
    steps = (np.arange(side * SAMPLES, dtype=np.float32) + 0.5) / SAMPLES
    place = low[:, None] + steps * (extent / side)[:, None]
    limit = limit[:, None]
    inside = (place >= -1) & (place <= limit)
    place = jnp.clip(place, 0.0, limit - 1)
    before = jnp.minimum(jnp.floor(place).astype(jnp.int32), limit - 1)
    after = jnp.minimum(before + 1, limit - 1)
    share = place - before
    weights = jnp.where(inside, jnp.stack([1 - share, share]), 0.0) / SAMPLES
    # (2, n, side * SAMPLES): of each point the pixel before it and the one after.
    shape = (2, len(low), side, SAMPLES)
    pixels, weights = jnp.stack([before, after]).reshape(shape), weights.reshape(shape)
    pixels, weights = (
        jnp.moveaxis(each, 0, -1).reshape(len(low), side, -1) for each in (pixels, weights)
    )
    return pixels, weights
