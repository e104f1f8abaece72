"""What nets for samples of sounds share."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from cnn_jax.errors import UserError


def as_line(x: jax.Array, model: str, shortest: int) -> jax.Array:
    """Samples (b, t) as images one pixel wide, (b, t, 1, 1).

    Args:
      x: the samples.
      model: what errors call the net.
      shortest: samples that it needs.

    Raises:
      UserError: they are none, or too few; raised while tracing, since shapes are known then.
    """
    if x.ndim != 2 or not jnp.issubdtype(x.dtype, jnp.floating):
        raise UserError(
            f"{model} takes samples (b, t) of a float type, not {x.dtype} of shape {x.shape}"
        )
    if x.shape[1] < shortest:
        raise UserError(
            f"windows of {x.shape[1]:,} samples are too short for {model}: it needs at least "
            f"{shortest:,}; give a longer --sound.window or a higher --data.rate"
        )
    return x[:, :, None, None]
