"""What a detector has found in an image."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from cnn_jax.detection.boxes import clipped
from cnn_jax.detection.nms import kept


class Detections(NamedTuple):
    """Boxes found, the best first; zeros after the last.

    Attributes:
      boxes: (..., d, 4) float32: top, left, bottom, right, in pixels of the net's image.
      scores: (..., d) float32, from 0 to 1.
      classes: (..., d) int32.
      there: (..., d) bool, which of them are no padding.
    """

    boxes: jax.Array
    scores: jax.Array
    classes: jax.Array
    there: jax.Array


class Candidates(NamedTuple):
    """Boxes of an image of which the best are told.

    Attributes:
      boxes: (n, 4).
      scores: (n,).
      classes: (n,) int32.
      there: (n,) bool.
    """

    boxes: jax.Array
    scores: jax.Array
    classes: jax.Array
    there: jax.Array


def highest(scores: jax.Array, count: int, least: float) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The pairs of a box and a class with the highest scores.

    Args:
      scores: (n, k).
      count: how many at most.
      least: scores must be above it.

    Returns:
      Scores, places of boxes int32 and classes int32 of min(count, n * k) pairs; scores that are
      not above the least are 0.
    """
    number, classes = scores.shape
    values, places = jax.lax.top_k(scores.reshape(-1), min(count, number * classes))
    places = places.astype(jnp.int32)
    return jnp.where(values > least, values, 0.0), places // classes, places % classes


def detected(found: Candidates, size: tuple[int, int], *, overlap: float, count: int) -> Detections:
    """The best boxes of an image, of which no two of a class overlap more than a limit.

    Args:
      found: of the image.
      size: height and width of the image in pixels, where boxes are cut off.
      overlap: see `cnn_jax.detection.nms.kept`.
      count: how many boxes are told.
    """
    boxes = clipped(found.boxes, size)
    places, there = kept(
        boxes, found.scores, found.there, overlap=overlap, count=count, groups=found.classes
    )
    return Detections(
        jnp.where(there[:, None], boxes[places], 0.0),
        jnp.where(there, found.scores[places], 0.0),
        jnp.where(there, found.classes[places], 0),
        there,
    )
