"""Maps cut out under boxes, whose gradient a CPU adds up one small window after the other."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from cnn_jax.layers.roi_align import SAMPLES, reads, roi_align


def cpu_cut(
    maps: Sequence[jax.Array], strides: tuple[int, ...], boxes: jax.Array, *, side: int
) -> jax.Array:
    """`cnn_jax.layers.roi_align.RoiAlign.cut`, (b, n, side, side, c)."""
    return _cut(tuple(strides), side, tuple(maps), lax.stop_gradient(boxes))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _cut(
    strides: tuple[int, ...], side: int, maps: tuple[jax.Array, ...], boxes: jax.Array
) -> jax.Array:
    return jax.vmap(lambda maps, boxes: roi_align(maps, strides, boxes, side))(maps, boxes)


def _forward(
    strides: tuple[int, ...], side: int, maps: tuple[jax.Array, ...], boxes: jax.Array
) -> tuple[jax.Array, Any]:
    # Of the maps only the shapes are asked for again.
    shells = tuple(jnp.zeros((*each.shape[1:3], 0), each.dtype) for each in maps)
    return _cut(strides, side, maps, boxes), (boxes, shells)


def _backward(
    strides: tuple[int, ...], side: int, kept: Any, gradient: jax.Array
) -> tuple[tuple[jax.Array, ...], jax.Array]:
    """The gradient with respect to the maps.

    XLA adds pixels to places found at run time one by one, and takes a microsecond for each. A
    loop over windows of 2x2 pixels, which each point is read from, takes a tenth of that.
    """
    boxes, shells = kept
    shapes = [(each.shape[0], each.shape[1]) for each in shells]
    read = jax.vmap(lambda boxes: reads(shapes, strides, boxes, side))(boxes)
    # All levels under each other, with a pixel more for windows at the edge.
    heights = [height + 1 for height, _ in shapes]
    starts = [sum(heights[:place]) for place in range(len(heights))]
    rows = read.rows[..., 0] + jnp.asarray(starts, jnp.int32)[read.level][..., None]
    columns = read.columns[..., 0]
    batch, count = boxes.shape[:2]
    points, features = side * SAMPLES, gradient.shape[-1]

    def add(place: jax.Array, total: jax.Array) -> jax.Array:
        place, j = jnp.divmod(place, points)
        place, i = jnp.divmod(place, points)
        image, box = jnp.divmod(place, count)
        at = (image, rows[image, box, i], columns[image, box, j], 0)
        weights = read.row_weights[image, box, i][:, None] * read.column_weights[image, box, j]
        cell = gradient[image, box, i // SAMPLES, j // SAMPLES].astype(total.dtype)
        window = lax.dynamic_slice(total, at, (1, 2, 2, features))
        window += weights[None, :, :, None] * cell
        return lax.dynamic_update_slice(total, window, at)

    width = max(width for _, width in shapes) + 1
    empty = jnp.zeros((batch, sum(heights), width, features), jnp.float32)
    total = lax.fori_loop(0, batch * count * points**2, add, empty)
    found = tuple(
        total[:, start : start + height, :width].astype(shell.dtype)
        for start, (height, width), shell in zip(starts, shapes, shells, strict=True)
    )
    return found, jnp.zeros_like(boxes)


_cut.defvjp(_forward, _backward)
