"""Inverted residual blocks, of which MobileNets and EfficientNets are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import jax
from flax import linen as nn

from cnn_jax.layers.blocks import StochasticDepth


class InvertedResidual(nn.Module):
    """1x1 convolution to many maps, depthwise convolution, 1x1 convolution to few maps.

    Sandler et al. 2018, https://arxiv.org/abs/1801.04381, figure 4. The last convolution has no
    activation. The input is added where the output has its shape.

    Attributes:
      features: number of output maps.
      hidden: maps of the depthwise convolution; the first convolution is left out where the
        input has as many.
      conv: makes a convolution with normalisation and activation, as
        `cnn_jax.layers.blocks.ConvNorm`.
      kernel_size: side of the depthwise kernels in pixels.
      strides: of the depthwise convolution.
      squeeze_excite: makes what weighs the hidden maps, given its name, or None.
      rate: of stochastic depth.
      dilation: of the depthwise convolution.

    Parameters: expand, depthwise, squeeze_excite, project.
    """

    features: int
    hidden: int
    conv: Callable[..., nn.Module]
    kernel_size: int = 3
    strides: int = 1
    squeeze_excite: Callable[..., nn.Module] | None = None
    rate: float = 0.0
    dilation: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """(b, h, w, c) -> (b, h/strides, w/strides, features)."""
        y = x
        if self.hidden != x.shape[-1]:
            y = self.conv(self.hidden, 1, name="expand")(y, train=train)
        depthwise = self.conv(
            self.hidden,
            self.kernel_size,
            self.strides,
            groups=self.hidden,
            dilation=self.dilation,
            name="depthwise",
        )
        y = depthwise(y, train=train)
        if self.squeeze_excite is not None:
            y = self.squeeze_excite(name="squeeze_excite")(y)
        y = self.conv(self.features, 1, activation=None, name="project")(y, train=train)
        if self.strides != 1 or self.features != x.shape[-1]:
            return y
        if self.rate:
            y = StochasticDepth(self.rate, name="stochastic_depth")(y, train=train)
        return x + y


class Chain(nn.Module):
    """Blocks one after the other.

    Attributes:
      blocks: each makes a block, given its name, that takes (x, train).

    Parameters: block0, block1, ...
    """

    blocks: Sequence[Callable[..., nn.Module]]

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(b, h, w, c) -> (b, h', w', c')."""
        for i, block in enumerate(self.blocks):
            x = block(name=f"block{i}")(x, train)
        return x


def flat_names(depths: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Numbers of blocks counted through the net from 0, each with our path of the block.

    So (0, "stage1/block0"), (1, "stage2/block0"), (2, "stage2/block1") for the depths (1, 2).

    Args:
      depths: number of blocks of each stage.
    """
    paths = [f"stage{s}/block{i}" for s, n in enumerate(depths, start=1) for i in range(n)]
    yield from enumerate(paths)
