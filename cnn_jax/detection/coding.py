"""Boxes as a net learns them: in terms of anchors, or as distances from a point."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

LARGEST = math.log(1000 / 16)
"""Logarithms of sides beyond this are cut: an untrained net's boxes stay finite."""

SMALLEST = 1e-6
"""Side in pixels that a box without one is taken to have: its logarithm is finite."""


def encode(
    boxes: jax.Array, anchors: jax.Array, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)
) -> jax.Array:
    """What takes anchors to boxes (Girshick et al. 2014, arXiv 1311.2524, appendix C).

    Args:
      boxes: (..., 4): top, left, bottom, right.
      anchors: (..., 4), alike.
      weights: what shifts along x and y and logarithms of width and height are multiplied by.

    Returns:
      (..., 4): shifts of the centre along x and y, in widths and heights of the anchor, and the
      logarithms of width and height in its: the order of most published weights.
    """
    centre, side = _centred(boxes)
    origin, unit = _centred(anchors)
    shift = (centre - origin) / jnp.maximum(unit, SMALLEST)
    growth = jnp.log(jnp.maximum(side, SMALLEST) / jnp.maximum(unit, SMALLEST))
    return jnp.concatenate([shift[..., ::-1], growth[..., ::-1]], axis=-1) * jnp.asarray(weights)


def decode(
    deltas: jax.Array, anchors: jax.Array, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)
) -> jax.Array:
    """The boxes (..., 4) that `encode` made deltas (..., 4) of; sides grow 62-fold at most."""
    deltas = deltas / jnp.asarray(weights)
    origin, unit = _centred(anchors)
    centre = origin + deltas[..., 1::-1] * unit
    half = 0.5 * unit * jnp.exp(jnp.minimum(deltas[..., :1:-1], LARGEST))
    return jnp.concatenate([centre - half, centre + half], axis=-1)


def encode_distances(boxes: jax.Array, points: jax.Array) -> jax.Array:
    """How far the sides of boxes lie from points: left, top, right, bottom, in pixels.

    Args:
      boxes: (..., 4): top, left, bottom, right.
      points: (..., 2): row, column.

    Returns:
      (..., 4); negative where a point lies outside.
    """
    low, high = points - boxes[..., :2], boxes[..., 2:] - points
    return jnp.concatenate([low[..., ::-1], high[..., ::-1]], axis=-1)


def decode_distances(distances: jax.Array, points: jax.Array) -> jax.Array:
    """The boxes (..., 4) around points (..., 2) whose `encode_distances` are these (..., 4)."""
    low, high = points - distances[..., 1::-1], points + distances[..., :1:-1]
    return jnp.concatenate([low, high], axis=-1)


def _centred(boxes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Centres (..., 2) and sides (..., 2), along y and x."""
    side = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + 0.5 * side, side
