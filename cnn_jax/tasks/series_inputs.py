"""Series of numbers as what a model is given."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax.tasks.inputs import Inputs


class SeriesInputs(Inputs):
    """Series (b, t, c) of c channels, which may end before t; see `Inputs`.

    A model is given `series` (b, t, c) float32, zero after its end, and `there` (b, t) float32, 1
    up to the end.
    """

    KIND = "series"

    def check(self, model: nn.Module) -> None:
        """See `Inputs`."""
        self.check_kinds()

    def example(self, *, evaluation: bool = False) -> dict[str, jax.ShapeDtypeStruct]:
        """See `Inputs`."""
        time, channels = self.spec.image_shape
        return {
            "series": jax.ShapeDtypeStruct((time, channels), jnp.float32),
            "there": jax.ShapeDtypeStruct((time,), jnp.float32),
        }

    def prepared(self, inputs: jax.Array) -> dict[str, Any]:
        """See `Inputs`: standardised as the recipe says; a channel that stands still is zero."""
        there = ~jnp.isnan(inputs[..., 0])
        values = jnp.where(there[..., None], inputs, 0.0)
        how = self.recipe.series.standardise
        if how == "train":
            mean = jnp.asarray(self.spec.mean, jnp.float32)
            values = (values - mean) / _safe(jnp.asarray(self.spec.std, jnp.float32))
        elif how == "each":
            values = _by_themselves(values, there[..., None])
        return {
            "series": jnp.where(there[..., None], values, 0.0),
            "there": there.astype(jnp.float32),
        }


def _by_themselves(values: jax.Array, there: jax.Array) -> jax.Array:
    """Each channel of each series less its mean, in its own (population) deviations."""
    count = jnp.maximum(jnp.sum(there, 1, keepdims=True), 1)
    mean = jnp.sum(values, 1, keepdims=True) / count
    apart = jnp.where(there, values - mean, 0.0)
    std = jnp.sqrt(jnp.sum(jnp.square(apart), 1, keepdims=True) / count)
    # What stands still but for the rounding of its mean.
    still = std <= 1e-6 * jnp.abs(mean)
    return jnp.where(still, 0.0, apart / _safe(std))


def _safe(std: jax.Array) -> jax.Array:
    return jnp.where(std > 0, std, 1.0)
