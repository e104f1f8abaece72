"""Feature pyramids, and the heads of detectors that look at all their levels."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Conv, Dense
from cnn_jax.layers.blocks import ConvNorm, NormKind, normalise
from cnn_jax.layers.initialisers import Init

ExtraFrom = Literal["pyramid", "body", "pooling"]


class Pyramid(nn.Module):
    """Maps of a body, each with what the coarser ones know: Lin et al. 2017, arXiv 1612.03144.

    Attributes:
      channels: maps of each level.
      extra: how many coarser levels are added, each half as fine.
      extra_from: what the first of them is a 3x3 convolution with stride 2 of, the coarsest level
        of the pyramid or of the body; "pooling" takes every second pixel of the level before.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: inner0, ..., the 1x1 convolutions of the body's maps from the finest; outer0, ...,
    the 3x3 convolutions of their sums; extra0, ....
    """

    channels: int = 256
    extra: int = 0
    extra_from: ExtraFrom = "pyramid"
    norm: NormKind = "none"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, maps: Sequence[jax.Array], *, train: bool = False) -> list[jax.Array]:
        """The levels (b, h, w, channels) from the finest, of maps (b, h, w, c) from the finest."""
        above: jax.Array | None = None
        levels: list[jax.Array] = []
        for place in reversed(range(len(maps))):
            inner = self._conv(1, f"inner{place}")(maps[place], train=train)
            if above is not None:
                inner += _enlarged(above, (inner.shape[1], inner.shape[2]))
            above = inner
            levels.insert(0, self._conv(3, f"outer{place}")(inner, train=train))
        x = maps[-1] if self.extra_from == "body" else levels[-1]
        for place in range(self.extra):
            if self.extra_from == "pooling":
                x = levels[-1][:, ::2, ::2]
            else:
                # As all convolutions of the pyramid without a normalisation, unlike its others.
                x = Conv(
                    self.channels,
                    3,
                    2,
                    1,
                    kernel_init="lecun_uniform",
                    dtype=self.dtype,
                    name=f"extra{place}",
                )(nn.relu(x) if place else x)
            levels.append(x)
        return levels

    def _conv(self, kernel_size: int, name: str) -> ConvNorm:
        return ConvNorm(
            self.channels,
            kernel_size,
            norm=self.norm,
            activation=None,
            kernel_init="lecun_uniform",
            dtype=self.dtype,
            name=name,
        )


class Head(nn.Module):
    """Convolutions that are the same at all levels of a pyramid, and several outputs of the last.

    Attributes:
      outputs: how many maps each output has, by its name.
      depth: 3x3 convolutions before the outputs, each with a normalisation and a ReLU.
      norm: see `cnn_jax.layers.blocks.normalise`.
      use_bias: whether these convolutions have a bias.
      kernel_size: of the convolutions that give the outputs.
      bias_inits: of the biases of outputs that do not begin at 0, by name.
      dtype: what it computes in.

    Parameters: conv0/conv, conv0/norm, ..., and the outputs by their names.
    """

    outputs: Mapping[str, int]
    depth: int = 4
    norm: NormKind = "none"
    use_bias: bool = True
    kernel_size: int = 3
    bias_inits: Mapping[str, Init] | None = None
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self, levels: Sequence[jax.Array], *, train: bool = False
    ) -> dict[str, list[jax.Array]]:
        """Of each output the maps (b, h, w, n) float32 of every level (b, h, w, c)."""
        inner = [
            HeadConv(self.norm, self.use_bias, self.dtype, name=f"conv{place}")
            for place in range(self.depth)
        ]
        last = {
            name: Conv(
                features,
                self.kernel_size,
                kernel_init="normal",
                bias_init=(self.bias_inits or {}).get(name, "zeros"),
                dtype=self.dtype,
                name=name,
            )
            for name, features in self.outputs.items()
        }
        found: dict[str, list[jax.Array]] = {name: [] for name in last}
        for x in levels:
            for conv in inner:
                x = conv(x, train=train)
            for name, output in last.items():
                found[name].append(output(x).astype(jnp.float32))
        return found


class HeadConv(nn.Module):
    """A 3x3 convolution to as many maps, a normalisation and a ReLU.

    Attributes:
      norm: see `cnn_jax.layers.blocks.normalise`.
      use_bias: whether the convolution has a bias.
      dtype: what it computes in.
    """

    norm: NormKind
    use_bias: bool
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(b, h, w, c) -> (b, h, w, c)."""
        x = Conv(
            x.shape[-1],
            3,
            kernel_init="normal",
            use_bias=self.use_bias,
            dtype=self.dtype,
            name="conv",
        )(x)
        return normalise(
            x, self.norm, train=train, dtype=self.dtype, name="norm", activation=nn.relu
        )


class BoxHead(nn.Module):
    """What maps cut out under boxes say: classes, and moves to other boxes.

    Attributes:
      classes: how many, background among them.
      convs: 3x3 convolutions before the dense layers.
      norm: of these, see `cnn_jax.layers.blocks.normalise`.
      hidden: units of the dense layers, one, or two where there is no convolution.
      dtype: what it computes in.

    Parameters: conv0, ..., dense0, ..., logits, moves.
    """

    classes: int
    convs: int
    norm: NormKind
    hidden: int
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Logits (r, k) and moves (r, 4 k), float32, of maps (r, side, side, c)."""
        for place in range(self.convs):
            x = ConvNorm(
                x.shape[-1],
                norm=self.norm,
                kernel_init="he_normal_fan_out",
                dtype=self.dtype,
                name=f"conv{place}",
            )(x, train=train)
        dense = functools.partial(
            Dense, kernel_init="pytorch", bias_init="pytorch", dtype=self.dtype
        )
        x = x.reshape(len(x), math.prod(x.shape[1:]))
        for place in range(1 if self.convs else 2):
            x = nn.relu(dense(self.hidden, name=f"dense{place}")(x))
        logits, moves = (
            dense(self.classes, name="logits")(x),
            dense(4 * self.classes, name="moves")(x),
        )
        return logits.astype(jnp.float32), moves.astype(jnp.float32)


def _enlarged(x: jax.Array, sides: tuple[int, int]) -> jax.Array:
    """(b, h, w, c) -> (b, *sides, c), each pixel from the nearest, as PyTorch rounds."""
    for axis, side in zip((1, 2), sides, strict=True):
        count = x.shape[axis]
        if side == 2 * count:
            x = jnp.repeat(x, 2, axis)
        elif side != count:
            x = jnp.take(x, np.arange(side) * count // side, axis)
    return x
