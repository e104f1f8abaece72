"""Boxes that may hold something, of any class, and a sample of them to learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cnn_jax.detection import coding
from cnn_jax.detection.boxes import clipped, overlaps
from cnn_jax.detection.matching import BACKGROUND, matched
from cnn_jax.detection.nms import kept
from cnn_jax.detection.sampling import balanced

SMALLEST_SIDE = 1e-3
"""Proposals with a shorter side in pixels are dropped."""


class Sample(NamedTuple):
    """Proposals of an image that the second stage learns from.

    Attributes:
      boxes: (r, 4).
      there: (r,) bool, which places are filled.
      classes: (r,) int32, of the box of the truth that each is to be; -1 for none.
      truth: (r, 4), that box.
    """

    boxes: jax.Array
    there: jax.Array
    classes: jax.Array
    truth: jax.Array


def proposed(
    objectness: Sequence[jax.Array],
    deltas: Sequence[jax.Array],
    anchors: Sequence[np.ndarray],
    size: tuple[int, int],
    *,
    count: int,
    overlap: float,
    least: float = 0.0,
) -> tuple[jax.Array, jax.Array]:
    """The best boxes of an image that overlap none better of their level.

    Ren et al. 2015, https://arxiv.org/abs/1506.01497, section 3.3; nothing is learnt through them.

    Args:
      objectness: logits of each level, (n,).
      deltas: of each level, (n, 4), see `cnn_jax.detection.coding`.
      anchors: of each level, (n, 4).
      size: height and width of the image in pixels, where boxes are cut off.
      count: how many, and how many of each level are looked at.
      overlap: most intersection over union of two of a level.
      least: least probability to hold something.

    Returns:
      Boxes (count, 4) and which of them there are (count,) bool.
    """
    parts = []
    for place, (logits, moves, given) in enumerate(zip(objectness, deltas, anchors, strict=True)):
        best, places = jax.lax.top_k(jax.lax.stop_gradient(logits), min(count, len(logits)))
        moves = jax.lax.stop_gradient(moves)[places]
        boxes = clipped(coding.decode(moves, jnp.asarray(given)[places]), size)
        parts.append((boxes, best, jnp.full(len(places), place, jnp.int32)))
    boxes, logits, level = (jnp.concatenate(part) for part in zip(*parts, strict=True))
    large = jnp.min(boxes[:, 2:] - boxes[:, :2], axis=-1) >= SMALLEST_SIDE
    usable = large & (jax.nn.sigmoid(logits) >= least)
    places, there = kept(boxes, logits, usable, overlap=overlap, count=count, groups=level)
    return jnp.where(there[:, None], boxes[places], 0.0), there


def sampled(
    key: jax.Array,
    boxes: jax.Array,
    there: jax.Array,
    truth: Mapping[str, jax.Array],
    *,
    count: int,
    share: float,
    foreground: float,
) -> Sample:
    """Proposals of an image to learn from, the boxes of the truth among them, at random.

    Args:
      key: a PRNG key.
      boxes: (n, 4), proposals.
      there: (n,) bool.
      truth: of the image, see `cnn_jax.models.detectors`.
      count: how many.
      share: the largest part of those that are a box of the truth.
      foreground: least overlap with that box; the others learn that there is nothing.
    """
    boxes = jnp.concatenate([boxes, truth["boxes"]])
    there = jnp.concatenate([there, truth["there"]])
    place = matched(
        overlaps(truth["boxes"], boxes),
        truth["there"],
        foreground=foreground,
        background=foreground,
    )
    positive, negative = there & (place >= 0), there & (place == BACKGROUND)
    chosen, filled = balanced(key, positive, negative, count, share)
    place = place[chosen]
    learnt = jnp.maximum(place, 0)
    return Sample(
        boxes[chosen],
        filled,
        jnp.where(filled & (place >= 0), truth["classes"][learnt], -1),
        truth["boxes"][learnt],
    )
