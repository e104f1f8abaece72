"""The losses of detectors of two stages, each over a sample of what an image has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import optax

from cnn_jax.detection import coding
from cnn_jax.detection.boxes import overlaps
from cnn_jax.detection.losses import smooth_l1
from cnn_jax.detection.matching import BACKGROUND, matched
from cnn_jax.detection.proposals import Sample
from cnn_jax.detection.sampling import balanced

BETA = 1 / 9
"""Where the loss of deltas turns from squares to absolute values."""


def proposal_losses(
    anchors: jax.Array,
    objectness: jax.Array,
    deltas: jax.Array,
    truth: Mapping[str, jax.Array],
    key: jax.Array,
    *,
    foreground: float,
    background: float,
    count: int,
) -> tuple[jax.Array, jax.Array]:
    """How well an image's anchors are told to hold something, and moved to it.

    Ren et al. 2015, https://arxiv.org/abs/1506.01497, section 3.1.2.

    Args:
      anchors: (n, 4).
      objectness: logits (n,).
      deltas: (n, 4), see `cnn_jax.detection.coding`.
      truth: of the image, see `cnn_jax.models.detectors`.
      key: draws the sample, half of which at most has a box.
      foreground: least overlap of an anchor with the box that it learns.
      background: with less than this it learns that there is nothing.
      count: anchors in the sample.

    Returns:
      Cross-entropy and smooth absolute error, over the number of anchors in the sample.
    """
    place = matched(
        overlaps(truth["boxes"], anchors),
        truth["there"],
        foreground=foreground,
        background=background,
        keep_best=True,
    )
    chosen, filled = balanced(key, place >= 0, place == BACKGROUND, count, 0.5)
    place = place[chosen]
    positive = filled & (place >= 0)
    wanted = coding.encode(truth["boxes"][jnp.maximum(place, 0)], anchors[chosen])
    entropy = optax.sigmoid_binary_cross_entropy(objectness[chosen], positive)
    apart = jnp.sum(smooth_l1(deltas[chosen], wanted, BETA), axis=-1)
    return _mean(entropy, filled, filled), _mean(apart, positive, filled)


def sample_losses(
    logits: jax.Array, moves: jax.Array, sample: Sample, *, weights: Sequence[float]
) -> tuple[jax.Array, jax.Array]:
    """How well an image's proposals are told what they hold, and moved to it.

    Args:
      logits: (r, k + 1), the background first.
      moves: (r, k + 1, 4).
      sample: what they are to become.
      weights: of the moves, see `cnn_jax.detection.coding.encode`.

    Returns:
      Cross-entropy and smooth absolute error, over the number of proposals in the sample.
    """
    label = sample.classes + 1
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    of_label = jnp.take_along_axis(moves, label[:, None, None], axis=1)[:, 0]
    wanted = coding.encode(sample.truth, sample.boxes, weights)
    apart = jnp.sum(smooth_l1(of_label, wanted, BETA), axis=-1)
    there = sample.there
    return _mean(entropy, there, there), _mean(apart, there & (sample.classes >= 0), there)


def _mean(values: jax.Array, counted: jax.Array, among: jax.Array) -> jax.Array:
    return jnp.sum(jnp.where(counted, values, 0.0)) / jnp.maximum(1, jnp.sum(among))
