"""Losses, one value an example: of classes, of tags that may be unknown, of numbers."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

ClassLoss = Callable[[jax.Array, jax.Array], jax.Array]
"""(logits (b, k), targets (b, k)) -> loss (b,)."""

RUBBISH_PENALTY = 0.1
"""The positive constant j of `map_criterion`, which the paper does not give."""


def cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Softmax cross-entropy in nats, (b, k), (b, k) -> (b,)."""
    return optax.softmax_cross_entropy(logits, targets)


def binary_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Sigmoid cross-entropy in nats, summed over the classes, (b, k), (b, k) -> (b,)."""
    return jnp.sum(optax.sigmoid_binary_cross_entropy(logits, targets), axis=-1)


def squared_error(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Half the squared error, summed over the classes, (b, k), (b, k) -> (b,)."""
    return 0.5 * jnp.sum(jnp.square(logits - targets), axis=-1)


def map_criterion(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """The maximum a posteriori criterion of LeCun et al. 1998, eq. 9, (b, k), (b, k) -> (b,).

    With penalties y = -logits: y_D + log(exp(-j) + sum_i exp(-y_i)). The constant j stands for
    a rubbish class and keeps the penalties of wrong classes from growing for ever.
    """
    rubbish = jnp.full_like(logits[..., :1], -RUBBISH_PENALTY)
    total = jax.nn.logsumexp(jnp.concatenate([logits, rubbish], axis=-1), axis=-1)
    return total - jnp.sum(targets * logits, axis=-1)


CLASS_LOSSES: dict[str, ClassLoss] = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "squared_error": squared_error,
    "map": map_criterion,
}


def smooth(targets: jax.Array, smoothing: float) -> jax.Array:
    """Spreads the part `smoothing` of each target evenly over all classes, (b, k) -> (b, k).

    Szegedy et al. 2015, https://arxiv.org/abs/1512.00567, section 7.
    """
    return optax.smooth_labels(targets, smoothing) if smoothing else targets


def tag_cross_entropy(logits: jax.Array, tags: jax.Array, known: jax.Array) -> jax.Array:
    """Sigmoid cross-entropy in nats, summed over the tags that are known, (b, k) each -> (b,)."""
    return jnp.sum(known * optax.sigmoid_binary_cross_entropy(logits, tags), axis=-1)


def asymmetric(
    logits: jax.Array,
    tags: jax.Array,
    known: jax.Array,
    gamma_negative: float = 4.0,
    gamma_positive: float = 0.0,
    shift: float = 0.05,
) -> jax.Array:
    """The asymmetric loss for tags of which few are there, (b, k) each -> (b,).

    Ridnik et al. 2021, https://arxiv.org/abs/2009.14119, eq. 7: what is not there and told so
    counts little, by (p - shift)^gamma_negative; probabilities below `shift` count nothing. With
    all three at 0 it is `tag_cross_entropy`.
    """
    positive = jax.nn.sigmoid(logits)
    # Of 0 the logarithm's gradient would be infinite, even where it is multiplied by 0.
    negative = jnp.maximum(positive - shift, 0.0)
    log_there = jax.nn.log_sigmoid(logits)
    log_absent = jnp.log1p(-negative) if shift else jax.nn.log_sigmoid(-logits)
    there = tags * _power(1 - positive, gamma_positive) * log_there
    absent = (1 - tags) * _power(negative, gamma_negative) * log_absent
    return -jnp.sum(known * (there + absent), axis=-1)


def _power(base: jax.Array, exponent: float) -> jax.Array:
    """A power whose gradient is finite at a base of 0."""
    if exponent == 0:
        return jnp.ones_like(base)
    safe = jnp.where(base > 0, base, 1.0)
    return jnp.where(base > 0, safe**exponent, 0.0)


def absolute_error(numbers: jax.Array, targets: jax.Array) -> jax.Array:
    """The absolute error, summed over the numbers, (b, d), (b, d) -> (b,)."""
    return jnp.sum(jnp.abs(numbers - targets), axis=-1)


def huber(numbers: jax.Array, targets: jax.Array, delta: float = 1.0) -> jax.Array:
    """Half the squared error up to `delta`, linear beyond it, summed, (b, d), (b, d) -> (b,).

    Huber 1964, https://doi.org/10.1214/aoms/1177703732; `delta` is in deviations of the targets.
    """
    return jnp.sum(optax.huber_loss(numbers, targets, delta=delta), axis=-1)
