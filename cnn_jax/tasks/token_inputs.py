"""Words as what a model is given."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax.data.vocabulary import FIRST
from cnn_jax.tasks.inputs import Inputs


class TokenInputs(Inputs):
    """Places of words in a vocabulary, (b, t) int32, 0 after the end; see `Inputs`."""

    KIND = "tokens"

    def check(self, model: nn.Module) -> None:
        """See `Inputs`."""
        self.check_kinds()

    @property
    def model_options(self) -> dict[str, Any]:
        """See `Inputs`: of how many words there are vectors, padding and unknown words included."""
        return {"vocabulary": FIRST + len(self.spec.words)}

    def example(self, *, evaluation: bool = False) -> jax.ShapeDtypeStruct:
        """See `Inputs`."""
        return jax.ShapeDtypeStruct(self.spec.image_shape, jnp.int32)

    def prepared(self, inputs: jax.Array) -> jax.Array:
        """See `Inputs`: as they are."""
        return inputs
