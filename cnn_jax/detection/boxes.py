"""Boxes (..., 4): top, left, bottom, right in pixels, and how far they cover each other."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def areas(boxes: jax.Array) -> jax.Array:
    """Areas (...) of boxes (..., 4), in square pixels; 0 of what is inverted."""
    sides = jnp.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def clipped(boxes: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Boxes (..., 4) cut at the edges of an image of (height, width) pixels."""
    height, width = size
    limits = jnp.asarray((height, width, height, width), boxes.dtype)
    return jnp.clip(boxes, 0.0, limits)


def overlaps(boxes: jax.Array, others: jax.Array) -> jax.Array:
    """Intersection over union of all pairs: (..., n, 4), (..., m, 4) -> (..., n, m).

    0 where there is no area at all, where torchvision's `box_iou` has no number.
    """
    shared = _intersections(boxes[..., :, None, :], others[..., None, :, :])
    union = areas(boxes)[..., :, None] + areas(others)[..., None, :] - shared
    return _ratio(shared, union)


def paired_giou(boxes: jax.Array, others: jax.Array, epsilon: float = 1e-7) -> jax.Array:
    """Generalised intersection over union, pair by pair: Rezatofighi et al. 2019, arXiv 1902.09630.

    The intersection over union, less the part of the smallest box around both that neither covers;
    from -1 to 1, with a gradient also where two boxes do not meet.

    Args:
      boxes: (..., 4).
      others: (..., 4).
      epsilon: added to the divisors, in square pixels.

    Returns:
      (...).
    """
    shared = _intersections(boxes, others)
    union = areas(boxes) + areas(others) - shared
    low = jnp.minimum(boxes[..., :2], others[..., :2])
    high = jnp.maximum(boxes[..., 2:], others[..., 2:])
    around = jnp.prod(jnp.maximum(high - low, 0.0), axis=-1)
    return shared / (union + epsilon) - (around - union) / (around + epsilon)


def _intersections(boxes: jax.Array, others: jax.Array) -> jax.Array:
    top, left, bottom, right = (
        join(boxes[..., place], others[..., place])
        for place, join in enumerate((jnp.maximum, jnp.maximum, jnp.minimum, jnp.minimum))
    )
    return jnp.maximum(bottom - top, 0.0) * jnp.maximum(right - left, 0.0)


def _ratio(part: jax.Array, whole: jax.Array) -> jax.Array:
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1.0), 0.0)
