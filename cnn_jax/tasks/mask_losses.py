"""Losses of masks, one value an example; pixels whose class is unknown do not count.

Each takes logits (b, h, w, k), the place of each pixel's class among the names (b, h, w) int, of
which `VOID` is none, and a weight of each class (k,). Of an example without a known pixel the loss
is 0.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from cnn_jax.data.fields import VOID

MaskLoss = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""(logits (b, h, w, k), classes (b, h, w), weights (k,)) -> loss (b,)."""


def cross_entropy(
    logits: jax.Array, classes: jax.Array, weights: jax.Array, smoothing: float = 0.0
) -> jax.Array:
    """Weighted cross-entropy in nats, the mean over the known pixels of each example.

    Args:
      logits: see above.
      classes: see above.
      weights: see above.
      smoothing: part of the target probability that is spread evenly over all classes.
    """
    known, at = _known(classes)
    logs = jax.nn.log_softmax(logits)
    losses = -jnp.take_along_axis(logs, at[..., None], axis=-1)[..., 0]
    if smoothing:
        losses = (1 - smoothing) * losses - smoothing * jnp.mean(logs, axis=-1)
    return _mean(weights[at] * losses, known)


def focal(
    logits: jax.Array, classes: jax.Array, weights: jax.Array, gamma: float = 2.0
) -> jax.Array:
    """Cross-entropy times (1 - p)^gamma, p being the probability of the class that is there.

    Lin et al. 2017, https://arxiv.org/abs/1708.02002, of several classes.
    """
    known, at = _known(classes)
    log = jnp.take_along_axis(jax.nn.log_softmax(logits), at[..., None], axis=-1)[..., 0]
    # Of 1 - p = 0 a power below 1 has no finite gradient.
    rest = jnp.maximum(1 - jnp.exp(log), 1e-6)
    return _mean(-weights[at] * rest**gamma * log, known)


def dice(logits: jax.Array, classes: jax.Array, weights: jax.Array) -> jax.Array:
    """1 less the Dice coefficient of probabilities and truth, the mean over the classes there are.

    Milletari et al. 2016, https://arxiv.org/abs/1606.04797, without the squares. Classes that are
    not in an example do not count in it; those that are count by their weights.
    """
    known, at = _known(classes)
    shown = jax.nn.softmax(logits) * known[..., None]
    truth = jax.nn.one_hot(at, logits.shape[-1], dtype=shown.dtype) * known[..., None]
    both, shown_sum, truth_sum = (
        jnp.sum(each, axis=(1, 2)) for each in (shown * truth, shown, truth)
    )
    there = (truth_sum > 0) * weights
    lost = 1 - 2 * both / jnp.maximum(shown_sum + truth_sum, 1e-6)
    return jnp.sum(there * lost, axis=-1) / jnp.maximum(jnp.sum(there, axis=-1), 1e-6)


def lovasz(logits: jax.Array, classes: jax.Array, weights: jax.Array) -> jax.Array:
    """The Lovász extension of 1 less the intersection over union, the mean over the classes there.

    Berman et al. 2018, https://arxiv.org/abs/1705.08790, Lovász-Softmax, example by example.
    """
    known, at = _known(classes)
    batch, count = len(logits), logits.shape[-1]
    shown = jax.nn.softmax(logits).reshape(batch, -1, count)
    flat = known.reshape(batch, -1, 1)
    truth = jax.nn.one_hot(at, count, dtype=shown.dtype).reshape(batch, -1, count) * flat
    # What is unknown comes last, with no error, and so changes nothing.
    errors = jnp.abs(truth - shown) * flat
    order = jnp.argsort(-errors, axis=1)
    sorted_errors = jnp.take_along_axis(errors, order, axis=1)
    hits = jnp.take_along_axis(truth, order, axis=1)
    total = jnp.sum(hits, axis=1, keepdims=True)
    counted = jnp.take_along_axis(jnp.broadcast_to(flat, errors.shape), order, axis=1)
    left = total - jnp.cumsum(hits, axis=1)
    union = total + jnp.cumsum(counted - hits, axis=1)
    jaccard = 1 - left / jnp.maximum(union, 1e-6)
    steps = jnp.diff(jaccard, axis=1, prepend=jnp.zeros_like(jaccard[:, :1]))
    lost = jnp.sum(sorted_errors * jax.lax.stop_gradient(steps), axis=1)
    there = (total[:, 0] > 0) * weights
    return jnp.sum(there * lost, axis=-1) / jnp.maximum(jnp.sum(there, axis=-1), 1e-6)


def _known(classes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which pixels (b, h, w) are known, and their classes, 0 where not."""
    known = classes != VOID
    return known.astype(jnp.float32), jnp.where(known, classes, 0).astype(jnp.int32)


def _mean(values: jax.Array, known: jax.Array) -> jax.Array:
    """The mean over known pixels (b, h, w) -> (b,), 0 where there are none."""
    total = jnp.sum(values * known, axis=(1, 2))
    return total / jnp.maximum(jnp.sum(known, axis=(1, 2)), 1.0)
