"""Nets for images as one writes them with flax's own layers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

_gelu = functools.partial(nn.gelu, approximate=False)


class ConvNorm(nn.Module):
    """Convolution padded to keep the size, batch normalisation, activation."""

    features: int
    kernel: int
    strides: int = 1
    groups: int = 1
    activation: Callable[[jax.Array], jax.Array] | None = nn.relu
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(b, h, w, c) -> (b, h', w', features)."""
        x = nn.Conv(
            self.features,
            (self.kernel, self.kernel),
            self.strides,
            padding=self.kernel // 2,
            feature_group_count=self.groups,
            use_bias=False,
            dtype=self.dtype,
            name="conv",
        )(x)
        x = nn.BatchNorm(
            use_running_average=not train, momentum=0.9, dtype=self.dtype, name="norm"
        )(x)
        return x if self.activation is None else self.activation(x)


class Block(nn.Module):
    """A residual block: basic, with padding or projection as shortcut, or a bottleneck."""

    features: int
    inner: int
    strides: int
    bottleneck: bool = False
    groups: int = 1
    padding: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(b, h, w, c) -> (b, h/strides, w/strides, features)."""
        conv = functools.partial(ConvNorm, dtype=self.dtype)
        last = functools.partial(conv, activation=None)
        if self.bottleneck:
            y = conv(self.inner, 1, name="conv1")(x, train)
            y = conv(self.inner, 3, self.strides, self.groups, name="conv2")(y, train)
            y = last(self.features, 1, name="conv3")(y, train)
        else:
            y = conv(self.inner, 3, self.strides, name="conv1")(x, train)
            y = last(self.features, 3, name="conv2")(y, train)
        if x.shape != y.shape:
            if self.padding:
                more = self.features - x.shape[-1]
                x = x[:, :: self.strides, :: self.strides]
                x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (more // 2, more - more // 2)))
            else:
                x = last(self.features, 1, self.strides, name="shortcut")(x, train)
        return nn.relu(x + y)


class Blocks(nn.Module):
    """Blocks one after the other, called block0, block1 and so on."""

    blocks: tuple[Callable[..., nn.Module], ...]

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """The maps of the last."""
        for i, block in enumerate(self.blocks):
            x = block(name=f"block{i}")(x, train)
        return x


class ResNet(nn.Module):
    """Stem, stages of residual blocks that double the maps, global mean, dense."""

    classes: int
    depths: tuple[int, ...]
    width: int
    bottleneck: bool = False
    groups: int = 1
    group_width: int = 64
    padding: bool = False
    imagenet: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits of images (b, h, w, c)."""
        kernel, strides = (7, 2) if self.imagenet else (3, 1)
        x = ConvNorm(self.width, kernel, strides, dtype=self.dtype, name="stem")(x, train)
        if self.imagenet:
            x = nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
        for stage, depth in enumerate(self.depths):
            width = self.width * 2**stage
            block = functools.partial(
                Block,
                4 * width if self.bottleneck else width,
                width * self.group_width // 64 * self.groups,
                bottleneck=self.bottleneck,
                groups=self.groups,
                padding=self.padding,
                dtype=self.dtype,
            )
            strides = [2 if i == 0 and stage > 0 else 1 for i in range(depth)]
            blocks = tuple(functools.partial(block, strides=stride) for stride in strides)
            x = Blocks(blocks, name=f"stage{stage + 1}")(x, train)
        x = jnp.mean(x, axis=(1, 2))
        return nn.Dense(self.classes, dtype=self.dtype, name="head")(x).astype(jnp.float32)


class InvertedResidual(nn.Module):
    """1x1 convolution to many maps, depthwise convolution, 1x1 convolution to few maps."""

    features: int
    hidden: int
    strides: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(b, h, w, c) -> (b, h/strides, w/strides, features)."""
        conv = functools.partial(ConvNorm, activation=nn.relu6, dtype=self.dtype)
        y = x
        if self.hidden != x.shape[-1]:
            y = conv(self.hidden, 1, name="expand")(y, train)
        y = conv(self.hidden, 3, self.strides, groups=self.hidden, name="depthwise")(y, train)
        y = conv(self.features, 1, activation=None, name="project")(y, train)
        return x + y if x.shape == y.shape else y


class MobileNetV2(nn.Module):
    """Sandler et al. 2018, table 2, without dropout."""

    classes: int
    dtype: Any = jnp.float32

    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
    stages += ((6, 160, 3, 2), (6, 320, 1, 1))

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits of images (b, h, w, c)."""
        conv = functools.partial(ConvNorm, activation=nn.relu6, dtype=self.dtype)
        x, maps = conv(32, 3, 2, name="stem")(x, train), 32
        for stage, (expansion, features, depth, first) in enumerate(self.stages, start=1):
            blocks = []
            for i in range(depth):
                strides = first if i == 0 else 1
                blocks.append(
                    functools.partial(
                        InvertedResidual, features, expansion * maps, strides, dtype=self.dtype
                    )
                )
                maps = features
            x = Blocks(tuple(blocks), name=f"stage{stage}")(x, train)
        x = conv(1280, 1, name="last")(x, train)
        x = jnp.mean(x, axis=(1, 2))
        return nn.Dense(self.classes, dtype=self.dtype, name="head")(x).astype(jnp.float32)


class SimpleCNN(nn.Module):
    """Two convolutions with ReLU and max pooling, three dense layers."""

    classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits of images (b, h, w, c)."""
        for i, width in enumerate((32, 64), start=1):
            x = nn.relu(nn.Conv(width, (3, 3), dtype=self.dtype, name=f"conv{i}")(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate((256, 128), start=1):
            x = nn.relu(nn.Dense(width, dtype=self.dtype, name=f"dense{i}")(x))
        return nn.Dense(self.classes, dtype=self.dtype, name="head")(x).astype(jnp.float32)


class Group(nn.Module):
    """Two 3x3 convolutions with batch normalisation and GELU, a pooling after the first."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(b, h, w, c) -> (b, h/2, w/2, features)."""
        for i in (1, 2):
            x = nn.Conv(self.features, (3, 3), use_bias=False, dtype=self.dtype, name=f"conv{i}")(x)
            if i == 1:
                x = nn.max_pool(x, (2, 2), (2, 2))
            x = nn.BatchNorm(
                use_running_average=not train,
                momentum=0.6,
                epsilon=1e-12,
                use_scale=False,
                dtype=self.dtype,
                name=f"norm{i}",
            )(x)
            x = _gelu(x)
        return x


class Airbench94(nn.Module):
    """Jordan 2024; the kernel of `whitening` is not trained."""

    classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits of images (b, h, w, c)."""
        x = nn.Conv(24, (2, 2), padding="VALID", dtype=self.dtype, name="whitening")(x)
        x = _gelu(x)
        for i, width in enumerate((64, 256, 256), start=1):
            x = Group(width, self.dtype, name=f"group{i}")(x, train)
        x = jnp.max(x, axis=(1, 2))
        x = nn.Dense(self.classes, use_bias=False, dtype=self.dtype, name="head")(x)
        return x.astype(jnp.float32) / 9
