"""Losses of classification, one value an example; targets are class probabilities."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from cnn_jax.recipe import Loss

LossFn = Callable[[jax.Array, jax.Array], jax.Array]
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


LOSSES: dict[str, LossFn] = {
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


def make_loss(config: Loss) -> LossFn:
    """The training loss that a recipe asks for, smoothing included."""
    loss = LOSSES[config.name]
    return lambda logits, targets: loss(logits, smooth(targets, config.label_smoothing))
