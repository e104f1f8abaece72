"""What nets for texts are made of: vectors of words, and convolutions over them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

PADDING = 0
"""The token after the end of a text."""


def within(limit: float) -> Any:
    """Initial values drawn evenly from ±limit."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -limit, limit
    )


class WordVectors(nn.Module):
    """A learnt vector for each word, and zero for padding: (b, t) -> (b, t, features).

    Attributes:
      vocabulary: number of words.
      features: length of the vectors.
      dtype: of what it gives; the vectors are float32.

    Parameters: vectors (vocabulary, features).
    """

    vocabulary: int
    features: int
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """The vectors of tokens (b, t), whole numbers of any type."""
        tokens = tokens.astype(jnp.int32)
        shape = self.vocabulary, self.features
        vectors = self.param("vectors", within(0.25), shape, jnp.float32)
        there = (tokens != PADDING)[..., None]
        return jnp.where(there, jnp.take(vectors, tokens, axis=0), 0).astype(self.dtype)


class WordConv(nn.Module):
    """A convolution along time: (b, t, c) -> (b, t - width + 1, features), computed in `dtype`.

    Attributes:
      features: number of output maps.
      width: of the windows in words.
      dtype: what it computes in; parameters are float32.

    Parameters: kernel (width, c, features), bias (features,).
    """

    features: int
    width: int
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, there: jax.Array) -> jax.Array:
        """The convolution of (b, t, c).

        Args:
          x: vectors of words, zero where there is no word.
          there: (b, t) bool, whether there is one.
        """
        shape = self.width, x.shape[-1], self.features
        kernel = self.param("kernel", within(0.01), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return self.convolve(x, there, kernel.astype(self.dtype)) + bias.astype(self.dtype)

    def convolve(self, x: jax.Array, there: jax.Array, kernel: jax.Array) -> jax.Array:
        """The sums of products alone; a method, so that a platform can have a way of its own.

        It is one product of all windows, laid out one after the other, with the kernel.
        """
        del there
        count = x.shape[1] - self.width + 1
        windows = jnp.concatenate([x[:, i : i + count] for i in range(self.width)], axis=-1)
        return windows @ kernel.reshape(-1, self.features)
