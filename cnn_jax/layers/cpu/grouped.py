"""Convolutions in groups, as ordinary ones of several groups at once."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

MAPS = 16
"""Groups are put together up to so many maps, in or out, as far as their number can be divided:
with fewer products are slow, with more most of what they multiply is zeros."""

Convolve = Callable[[jax.Array, jax.Array], jax.Array]
"""An ordinary convolution of (x, kernel)."""


def by_blocks(x: jax.Array, kernel: jax.Array, groups: int, convolve: Convolve) -> jax.Array:
    """A convolution in groups.

    XLA has slow code for them on a CPU, and products of few maps are slow by themselves. So some
    groups are taken as one convolution, with zeros in its kernel where a group would see another,
    and one such block after the other is convolved.

    Args:
      x: (b, h, w, c).
      kernel: (kh, kw, c / groups, f).
      groups: how many; c and f are multiples.
      convolve: the ordinary convolution.
    """
    height, width, inputs, features = kernel.shape
    together = groups_together(groups, max(inputs, features // groups))
    blocks = groups // together
    own = kernel.reshape(height, width, 1, inputs, blocks, together, features // groups)
    apart = own * jnp.eye(together, dtype=kernel.dtype)[:, None, None, :, None]
    kernels = jnp.moveaxis(apart, 4, 0).reshape(
        blocks, height, width, together * inputs, together * features // groups
    )
    parts = jnp.moveaxis(x.reshape(*x.shape[:3], blocks, -1), 3, 0)
    y = lax.map(lambda pair: convolve(*pair), (parts, kernels))
    return jnp.moveaxis(y, 0, 3).reshape(*y.shape[1:4], features)


def groups_together(groups: int, maps: int) -> int:
    """How many groups of so many maps are one block."""
    return next(
        count
        for count in range(groups, 0, -1)
        if groups % count == 0 and (count * maps <= MAPS or count == 1)
    )
