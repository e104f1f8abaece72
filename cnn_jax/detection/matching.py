"""Which box of the truth each anchor is to learn."""

from __future__ import annotations

import jax
import jax.numpy as jnp

BACKGROUND, BETWEEN = -1, -2
"""An anchor that covers no box, and one that is neither a box's nor background."""


def matched(
    overlaps: jax.Array,
    there: jax.Array,
    *,
    foreground: float,
    background: float,
    keep_best: bool = False,
) -> jax.Array:
    """The box that each anchor covers most of (Ren et al. 2015, arXiv 1506.01497, section 3.1.2).

    Args:
      overlaps: (n, m), of n boxes with m anchors, see `cnn_jax.detection.boxes.overlaps`.
      there: (n,) bool, which boxes are no padding.
      foreground: least overlap of a match.
      background: less overlap than this with all is background.
      keep_best: a box also has the anchors that none overlaps it more than, however little it is;
        each of these goes to the box that it overlaps most.

    Returns:
      (m,) int32: the place of a box, `BACKGROUND` or `BETWEEN`.
    """
    overlaps = jnp.where(there[:, None], overlaps, -1.0)
    most, place = jnp.max(overlaps, axis=0), jnp.argmax(overlaps, axis=0).astype(jnp.int32)
    far = jnp.where(most < background, BACKGROUND, BETWEEN)
    taken = most >= foreground
    if keep_best:
        best = jnp.max(overlaps, axis=1, keepdims=True)
        # A box that no anchor touches has no best one, while torchvision gives it all of them.
        taken |= jnp.any((overlaps == best) & (best > 0), axis=0)
    return jnp.where(taken, place, far)


def points_matched(
    points: jax.Array,
    strides: jax.Array,
    ranges: jax.Array,
    boxes: jax.Array,
    there: jax.Array,
    *,
    radius: float = 1.5,
) -> jax.Array:
    """The box that each point is to learn: the smallest of those whose middle it lies in.

    Tian et al. 2019, FCOS, arXiv 1904.01355, section 3.2, with the sampling of centres of its later
    version (arXiv 2006.09214).

    Args:
      points: (m, 2): row, column.
      strides: (m,), pixels between neighbouring points.
      ranges: (m, 2): a point learns boxes whose farthest side is farther than the first and nearer
        than the second, in pixels.
      boxes: (n, 4).
      there: (n,) bool, which are no padding.
      radius: how far from the centre, along each axis, a point may lie, in strides.

    Returns:
      (m,) int32: the place of a box, or `BACKGROUND`.
    """
    low = points[None] - boxes[:, None, :2]
    high = boxes[:, None, 2:] - points[None]
    off = jnp.abs(low - high) / 2
    inside = (jnp.minimum(low, high).min(-1) > 0) & (off.max(-1) < radius * strides)
    farthest = jnp.maximum(low, high).max(-1)
    fits = inside & (farthest > ranges[:, 0]) & (farthest < ranges[:, 1]) & there[:, None]
    sides = boxes[:, 2:] - boxes[:, :2]
    area = jnp.where(fits, (sides[:, 0] * sides[:, 1])[:, None], jnp.inf)
    place = jnp.argmin(area, axis=0).astype(jnp.int32)
    return jnp.where(jnp.any(fits, axis=0), place, BACKGROUND)
