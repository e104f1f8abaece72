"""Nets for series, texts and sounds as one writes them with flax's own layers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn


class Along(nn.Module):
    """A convolution along time: (b, t, 1, c) -> (b, t, 1, features)."""

    features: int
    width: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The maps."""
        before = (self.width - 1) // 2
        padding = ((before, self.width - 1 - before), (0, 0))
        return nn.Conv(
            self.features, (self.width, 1), padding=padding, dtype=self.dtype, name="conv"
        )(x)


class Normed(nn.Module):
    """Batch normalisation and ReLU."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """The maps."""
        norm = nn.BatchNorm(
            use_running_average=not train,
            momentum=0.99,
            epsilon=1e-3,
            dtype=self.dtype,
            name="norm",
        )
        return nn.relu(norm(x))


class FCN1d(nn.Module):
    """Wang et al. 2016."""

    classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits of series (b, t, c)."""
        x = x[:, :, None]
        for i, (width, kernel) in enumerate(((128, 8), (256, 5), (128, 3)), start=1):
            x = Along(width, kernel, self.dtype, name=f"conv{i}")(x)
            x = Normed(self.dtype, name=f"norm{i}")(x, train)
        x = jnp.mean(x, axis=(1, 2))
        return nn.Dense(self.classes, dtype=self.dtype, name="head")(x).astype(jnp.float32)


class Words(nn.Module):
    """A vector for each word, zero for padding: (b, t) -> (b, t, 300)."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The vectors."""
        vectors = self.param("vectors", nn.initializers.normal(0.1), (18_767, 300))
        x = x.astype(jnp.int32)
        return (vectors[x] * (x > 0)[..., None]).astype(self.dtype)


class TextCNN(nn.Module):
    """Kim 2014 without dropout."""

    classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits of texts, places of words (b, t)."""
        x = jnp.pad(Words(self.dtype, name="words")(x), ((0, 0), (4, 5), (0, 0)))
        found = []
        for width in (3, 4, 5):
            conv = nn.Conv(100, (width,), padding="VALID", dtype=self.dtype, name=f"conv{width}")
            found.append(jnp.max(nn.relu(conv(x)), axis=1))
        x = jnp.concatenate(found, axis=-1)
        return nn.Dense(self.classes, dtype=self.dtype, name="head")(x).astype(jnp.float32)


class M5(nn.Module):
    """Dai et al. 2016."""

    classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits of samples (b, t)."""
        x = x[:, :, None, None]
        for i, width in enumerate((128, 128, 256, 512)):
            stage, kernel, strides = (f"stage{i}_", 3, 1) if i else ("", 80, 4)
            conv = nn.Conv(width, (kernel, 1), (strides, 1), dtype=self.dtype, name=f"{stage}conv1")
            norm = nn.BatchNorm(
                use_running_average=not train,
                momentum=0.99,
                dtype=self.dtype,
                name=f"{stage}norm1",
            )
            x = nn.max_pool(nn.relu(norm(conv(x))), (4, 1), (4, 1))
        x = jnp.mean(x, axis=(1, 2))
        return nn.Dense(self.classes, dtype=self.dtype, name="head")(x).astype(jnp.float32)
