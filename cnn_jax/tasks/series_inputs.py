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
        self.refuse_image_fields()

    def example(self, *, evaluation: bool = False) -> dict[str, jax.ShapeDtypeStruct]:
        """See `Inputs`."""
        time, channels = self.spec.image_shape
        return {
            "series": jax.ShapeDtypeStruct((time, channels), jnp.float32),
            "there": jax.ShapeDtypeStruct((time,), jnp.float32),
        }

    def prepared(self, inputs: jax.Array) -> dict[str, Any]:
        """See `Inputs`: each channel less its mean, in its deviations over the training part."""
        there = ~jnp.isnan(inputs[..., 0])
        mean, std = (jnp.asarray(values, jnp.float32) for values in (self.spec.mean, self.spec.std))
        values = (inputs - mean) / jnp.where(std > 0, std, 1.0)
        return {
            "series": jnp.where(there[..., None], values, 0.0),
            "there": there.astype(jnp.float32),
        }
