"""Losses of detectors, value by value."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax


def focal(
    logits: jax.Array, targets: jax.Array, *, alpha: float = 0.25, gamma: float = 2.0
) -> jax.Array:
    """Sigmoid focal loss (...) (Lin et al. 2017, arXiv 1708.02002): easy values count little.

    With gamma 0 and alpha 0.5 it is half the cross-entropy.

    Args:
      logits: (...).
      targets: (...), 0 or 1.
      alpha: weight of targets of 1; those of 0 have 1 - alpha.
      gamma: exponent of the probability of the other answer.
    """
    entropy = optax.sigmoid_binary_cross_entropy(logits, targets)
    wrong = jax.nn.sigmoid(jnp.where(targets > 0, -logits, logits))
    # A whole exponent is multiplied out, which is much faster.
    power = int(gamma) if gamma == int(gamma) else gamma
    return jnp.where(targets > 0, alpha, 1 - alpha) * wrong**power * entropy


def smooth_l1(found: jax.Array, wanted: jax.Array, beta: float) -> jax.Array:
    """Absolute error (...) less beta / 2, and its square over 2 beta where it is below beta."""
    error = jnp.abs(found - wanted)
    return jnp.where(error < beta, 0.5 / beta * jnp.square(error), error - 0.5 * beta)
