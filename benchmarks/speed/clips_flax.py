"""A net for videos as one writes it with flax's own layers."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from benchmarks.speed.images_flax import Blocks


class ClipConv(nn.Module):
    """A (2+1)-D convolution: over pixels, normalised, ReLU, over frames, and normalised."""

    features: int
    middle: int
    side: int = 3
    times: int = 1
    pixels: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(b, t, h, w, c) -> (b, t/times, h/pixels, w/pixels, features)."""
        conv = functools.partial(nn.Conv, use_bias=False, dtype=self.dtype)
        norm = functools.partial(
            nn.BatchNorm, use_running_average=not train, momentum=0.9, dtype=self.dtype
        )
        side, pixels = (self.side, self.side), (self.pixels, self.pixels)
        around = (self.side // 2, self.side // 2)
        x = conv(self.middle, (1, *side), (1, *pixels), ((0, 0), around, around), name="spatial")(x)
        x = nn.relu(norm(name="spatial_norm")(x))
        x = conv(
            self.features, (3, 1, 1), (self.times, 1, 1), ((1, 1), (0, 0), (0, 0)), name="conv"
        )(x)
        return norm(name="norm")(x)


class ClipShortcut(nn.Module):
    """A convolution of one frame and one pixel, normalised."""

    features: int
    strides: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(b, t, h, w, c) -> (b, t/strides, h/strides, w/strides, features)."""
        strides = (self.strides,) * 3
        x = nn.Conv(
            self.features, (1, 1, 1), strides, use_bias=False, dtype=self.dtype, name="conv"
        )(x)
        return nn.BatchNorm(
            use_running_average=not train, momentum=0.9, dtype=self.dtype, name="norm"
        )(x)


class ClipBlock(nn.Module):
    """ReLU of the input plus two (2+1)-D convolutions of it."""

    features: int
    strides: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(b, t, h, w, c) -> (b, t/strides, h/strides, w/strides, features)."""
        inputs = x.shape[-1]
        # As many maps between the parts as give a 3-D convolution's number of weights.
        middle = 27 * inputs * self.features // (9 * inputs + 3 * self.features)
        conv = functools.partial(ClipConv, self.features, middle, dtype=self.dtype)
        y = nn.relu(conv(times=self.strides, pixels=self.strides, name="conv1")(x, train))
        y = conv(name="conv2")(y, train)
        if x.shape != y.shape:
            x = ClipShortcut(self.features, self.strides, self.dtype, name="shortcut")(x, train)
        return nn.relu(x + y)


class R2Plus1D(nn.Module):
    """Tran et al. 2018, of 18 layers."""

    classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits of clips (b, t, h, w, c)."""
        x = nn.relu(ClipConv(64, 45, 7, 1, 2, self.dtype, name="stem")(x, train))
        for stage in range(4):
            block = functools.partial(ClipBlock, 64 * 2**stage, dtype=self.dtype)
            first, second = (functools.partial(block, strides=n) for n in (2 if stage else 1, 1))
            x = Blocks((first, second), name=f"stage{stage + 1}")(x, train)
        x = jnp.mean(x, axis=(1, 2, 3))
        return nn.Dense(self.classes, dtype=self.dtype, name="head")(x).astype(jnp.float32)
