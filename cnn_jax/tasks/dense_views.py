"""Outputs for every pixel, averaged over mirror images and over windows that overlap."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from cnn_jax.recipe import Views

Dense = Callable[[jax.Array], jax.Array]
"""Images (b, h, w, c) -> outputs (b, h, w, k)."""


def in_dense_views(
    apply: Dense, images: jax.Array, views: Views, window: int | None = None
) -> jax.Array:
    """Outputs (b, h, w, k) of images (b, h, w, c), averaged over their views.

    Args:
      apply: the net.
      images: which it is applied to.
      views: `mirror` averages with the outputs of the mirror images, mirrored back.
      window: side of the windows that it is applied to; None for the whole.
    """

    def whole(images: jax.Array) -> jax.Array:
        return apply(images) if window is None else _in_windows(apply, images, window)

    found = whole(images)
    if views == "none":
        return found
    return (found + whole(images[:, :, ::-1])[:, :, ::-1]) / 2


def _in_windows(apply: Dense, images: jax.Array, side: int) -> jax.Array:
    """The mean over all windows that a pixel lies in; they overlap by half, or more.

    The windows of an image lie side by side in one batch, so that they stay on its device.
    """
    batch, height, width, _ = images.shape
    rows, columns = min(side, height), min(side, width)
    places = [
        (slice(top, top + rows), slice(left, left + columns))
        for top in _starts(height, rows)
        for left in _starts(width, columns)
    ]
    seen = jnp.stack([images[:, down, across] for down, across in places], axis=1)
    found = apply(seen.reshape(-1, *seen.shape[2:]))
    found = found.reshape(batch, len(places), *found.shape[1:])
    total = jnp.zeros((batch, height, width, found.shape[-1]), found.dtype)
    count = np.zeros((height, width, 1), np.float32)
    for place, (down, across) in enumerate(places):
        total = total.at[:, down, across].add(found[:, place])
        count[down, across] += 1
    return total / count


def _starts(length: int, side: int) -> list[int]:
    """Where windows begin that cover a length."""
    count = -(-(length - side) // max(1, side // 2)) + 1
    return [round(place) for place in np.linspace(0, length - side, count)]
