"""A fixed number of anchors or proposals of an image, at random, positive ones among them."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def balanced(
    key: jax.Array, positive: jax.Array, negative: jax.Array, count: int, share: float
) -> tuple[jax.Array, jax.Array]:
    """Draws positive ones, at most a share of `count`, and fills up with negative ones.

    Where there are too few negative ones, some places stay empty.

    Args:
      key: a PRNG key.
      positive: (n,) bool.
      negative: (n,) bool, none of them positive.
      count: how many are drawn.
      share: the largest part of positive ones.

    Returns:
      Their places (count,) int32, positive ones first, and which of these are filled (count,) bool.
    """
    draws = jax.random.uniform(key, positive.shape)
    most = min(int(count * share), len(positive))
    taken, chosen = _highest(draws, positive, most)
    few, others = _highest(draws, negative, min(count, len(negative)))
    # As many negative ones as are left to draw.
    few &= jnp.arange(len(few)) < count - jnp.sum(taken)
    places = jnp.concatenate([chosen, others]).astype(jnp.int32)
    filled = jnp.concatenate([taken, few])
    missing = max(0, count - len(filled))
    places, filled = jnp.pad(places, (0, missing)), jnp.pad(filled, (0, missing))
    # What is filled first, in the same order.
    order = jnp.argsort(~filled, stable=True)[:count]
    return jnp.where(filled[order], places[order], 0), filled[order]


def _highest(draws: jax.Array, allowed: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """Which of the `count` highest draws of those that are allowed there are, and their places."""
    values, places = jax.lax.top_k(jnp.where(allowed, draws, -1.0), count)
    return values >= 0, places
