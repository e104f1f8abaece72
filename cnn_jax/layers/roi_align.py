"""Feature maps cut out under boxes and brought to one size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

SAMPLES = 2
"""Points along each axis that a cell of the result is the mean of."""


class RoiAlign(nn.Module):
    """Maps under boxes of each image, read from the level of a pyramid that suits a box's size.

    Attributes:
      side: of the maps that are cut out, in cells.
    """

    side: int = 7

    def __call__(
        self, maps: Sequence[jax.Array], strides: tuple[int, ...], boxes: jax.Array
    ) -> jax.Array:
        """(b, n, side, side, c), see `roi_align`.

        Args:
          maps: (b, h, w, c) each, the finest first.
          strides: pixels of the image between neighbouring pixels of each.
          boxes: (b, n, 4): top, left, bottom, right, in pixels of the image.
        """
        return self.cut(maps, strides, boxes)

    def cut(
        self, maps: Sequence[jax.Array], strides: tuple[int, ...], boxes: jax.Array
    ) -> jax.Array:
        """The same; a method, so that a platform can have a way of its own."""
        return jax.vmap(lambda maps, boxes: roi_align(maps, strides, boxes, self.side))(maps, boxes)


def roi_align(
    maps: Sequence[jax.Array], strides: Sequence[int], boxes: jax.Array, side: int = 7
) -> jax.Array:
    """Maps (n, side, side, c) under the boxes of an image.

    Each cell is the mean of `SAMPLES` x `SAMPLES` points read between pixels (He et al. 2017, Mask
    R-CNN, arXiv 1703.06870); as torchvision's with `aligned=False` and `sampling_ratio=2`. Nothing
    is learnt about the boxes.

    Args:
      maps: of an image, (h, w, c) each, the finest first.
      strides: pixels of the image between neighbouring pixels of each.
      boxes: (n, 4): top, left, bottom, right, in pixels of the image.
      side: of the result.
    """
    shapes = [(each.shape[0], each.shape[1]) for each in maps]
    read = reads(shapes, strides, jax.lax.stop_gradient(boxes), side)
    # The maps lie one after the other in one array.
    sizes = np.prod(shapes, axis=1)
    start = jnp.asarray(np.cumsum(sizes) - sizes, jnp.int32)[read.level]
    width = jnp.asarray([shape[1] for shape in shapes], jnp.int32)[read.level]
    pixels = jnp.concatenate([each.reshape(-1, each.shape[-1]) for each in maps])
    total = jnp.zeros((len(boxes), side, side, pixels.shape[-1]), pixels.dtype)
    # Term by term, so that a compiler adds up without writing any of them.
    for i in range(2 * SAMPLES):
        rows = _of(read.rows, i) * width[:, None] + start[:, None]
        for j in range(2 * SAMPLES):
            places = rows[:, :, None] + _of(read.columns, j)[:, None, :]
            weights = _of(read.row_weights, i)[:, :, None] * _of(read.column_weights, j)[:, None]
            total += weights[..., None].astype(pixels.dtype) * pixels[places]
    return total


def _of(values: jax.Array, place: int) -> jax.Array:
    """Of (n, side * SAMPLES, 2) the (n, side) of one pixel of one sample in each cell."""
    sample, pixel = divmod(place, 2)
    return values[:, sample::SAMPLES, pixel]


class Reads(NamedTuple):
    """Which pixels points under boxes are read from, s = side * `SAMPLES` of them along an axis.

    Attributes:
      level: (n,) int32, the map of each box.
      rows: (n, s, 2) int32, of each point the pixel before it and the one after.
      columns: (n, s, 2) int32.
      row_weights: (n, s, 2) float32, which add up to 1 / `SAMPLES` for a point that lies inside.
      column_weights: (n, s, 2) float32.
    """

    level: jax.Array
    rows: jax.Array
    columns: jax.Array
    row_weights: jax.Array
    column_weights: jax.Array


def reads(
    shapes: Sequence[tuple[int, int]], strides: Sequence[int], boxes: jax.Array, side: int
) -> Reads:
    """Where the maps under boxes (n, 4) are read.

    Args:
      shapes: (h, w) of each level.
      strides: of each level.
      boxes: in pixels of the image.
      side: cells of a box along each axis.
    """
    level = levels(boxes, strides)
    limits = jnp.asarray(shapes, jnp.int32)[level]
    scale = jnp.asarray(1 / np.asarray(strides, np.float32))[level][:, None]
    low = boxes[:, :2] * scale
    extent = jnp.maximum(boxes[:, 2:] * scale - low, 1.0)
    rows, row_weights = _along(low[:, 0], extent[:, 0], limits[:, 0], side)
    columns, column_weights = _along(low[:, 1], extent[:, 1], limits[:, 1], side)
    return Reads(level, rows, columns, row_weights, column_weights)


def levels(boxes: jax.Array, strides: Sequence[int]) -> jax.Array:
    """The place (n,) int32 in a pyramid of the map that each box (n, 4) is read from.

    A box of 224 pixels a side is read from the map of stride 16, one of half the side from the one
    before: Lin et al. 2017, Feature Pyramid Networks, arXiv 1612.03144, equation 1.

    Args:
      boxes: in pixels.
      strides: powers of two, each twice the one before.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    size = jnp.sqrt(jnp.maximum(sides[:, 0] * sides[:, 1], 1e-12))
    wanted = jnp.floor(4 + jnp.log2(size / 224) + 1e-6)
    first = int(np.log2(strides[0]))
    return jnp.clip(wanted - first, 0, len(strides) - 1).astype(jnp.int32)


def _along(
    low: jax.Array, extent: jax.Array, limit: jax.Array, side: int
) -> tuple[jax.Array, jax.Array]:
    """Pixels (n, s, 2) and weights (n, s, 2) of points along an axis.

    Args:
      low: (n,), where boxes begin, in pixels of their map.
      extent: (n,), how long they are.
      limit: (n,), how many pixels the map has.
      side: how many cells a box is cut into.
    """
    steps = (np.arange(side * SAMPLES, dtype=np.float32) + 0.5) / SAMPLES
    place = low[:, None] + steps * (extent / side)[:, None]
    last = limit[:, None] - 1
    inside = (place >= -1) & (place <= last + 1)
    place = jnp.clip(place, 0.0, last)
    before = jnp.minimum(jnp.floor(place).astype(jnp.int32), last)
    share = place - before
    weights = jnp.where(inside[..., None], jnp.stack([1 - share, share], -1), 0.0) / SAMPLES
    return jnp.stack([before, jnp.minimum(before + 1, last)], -1), weights
