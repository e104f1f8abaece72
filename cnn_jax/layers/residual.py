"""Blocks of residual networks and the stages made of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.blocks import ConvNorm, NormKind, SqueezeExcite, StochasticDepth
from cnn_jax.layers.options import check_positive, check_rate

conv_norm = functools.partial(ConvNorm, kernel_init="he_normal_fan_out")

Shortcut = Literal["projection", "padding"]


class Stage(nn.Module):
    """Blocks one after the other: (b, h, w, c) -> (b, h/strides, w/strides, c').

    Attributes:
      block: makes one, given strides, rate (of stochastic depth) and name.
      depth: number of blocks.
      strides: of the first block.
      rates: of stochastic depth, one a block.
      dilations: of the convolutions up to the first that strides, or would but for the dilation,
        and of those after it; only blocks that take `dilations` can have others than 1.

    Parameters: block0, block1, ...
    """

    block: Callable[..., nn.Module]
    depth: int
    strides: int
    rates: Sequence[float]
    dilations: tuple[int, int] = (1, 1)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The maps of the last block."""
        for i in range(self.depth):
            first, others = self.dilations
            dilations = (first, others) if i == 0 else (others, others)
            block = self.block(
                strides=self.strides if i == 0 else 1,
                rate=self.rates[i],
                name=f"block{i}",
                **{} if dilations == (1, 1) else {"dilations": dilations},
            )
            x = block(x, train)
        return x


def rematerialised(block: type[nn.Module], remat: bool) -> Callable[..., nn.Module]:
    """`block` itself or, if `remat`, so that its inside is computed anew for the gradient.

    What it computes is the same, with less memory and more time (arXiv 1604.06174).

    Args:
      block: a class whose `__call__` takes (x, train).
      remat: whether to do so.
    """
    # Of the method's arguments (self, x, train), train is no array.
    return nn.remat(block, static_argnums=(2,)) if remat else block


def rising_rates(last: float, depths: Sequence[int]) -> list[list[float]]:
    """Rates of stochastic depth that rise linearly to `last`, a list of them for every stage.

    Block l of L leaves out its branch with probability last * l/L (arXiv 1603.09382, equation 4).
    """
    total = sum(depths)
    rates = iter(last * (i + 1) / total for i in range(total))
    return [[next(rates) for _ in range(depth)] for depth in depths]


def check_stages(module: Any) -> None:
    """Checks the fields that residual networks have in common, `depths`, `width` and so on.

    Raises:
      UserError: no stage, a stage without blocks or maps, a rate out of [0, 1), or zero_scale
        without batch normalisation.
    """
    model = type(module).__name__
    if not module.depths:
        raise UserError(f"depths=() of {model}: at least one stage is needed")
    check_positive(module, "depths", "width")
    check_rate(module, "dropout", "stochastic_depth")
    norm = module.norm
    if getattr(module, "zero_scale", False) and norm != "batch":
        raise UserError(f"zero_scale=True of {model}: only norm='batch' has it, not {norm!r}")


class BasicBlock(nn.Module):
    """ReLU of the input plus two 3x3 convolutions of it: He et al. 2015, figure 5 left.

    Attributes:
      features: number of output maps.
      strides: of the first convolution.
      dilations: of the two convolutions.
      rate: of stochastic depth.
      shortcut: how the input takes the shape of the output where that differs: "projection" by
        a 1x1 convolution and a normalisation (option B), or "padding" by every stride-th pixel
        and as many maps of zeros before as after (option A, with no parameters).
      squeeze_excite: whether the branch ends in squeeze and excitation.
      norm: see `cnn_jax.layers.blocks.normalise`.
      zero_scale: whether the second normalisation has scale 0 at first.
      dtype: what it computes in.
    """

    features: int
    strides: int = 1
    dilations: tuple[int, int] = (1, 1)
    rate: float = 0.0
    shortcut: Shortcut = "projection"
    squeeze_excite: bool = False
    norm: NormKind = "batch"
    zero_scale: bool = False
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """(b, h, w, c) -> (b, h/strides, w/strides, features)."""
        conv = functools.partial(conv_norm, norm=self.norm, dtype=self.dtype)
        first, second = self.dilations
        y = conv(self.features, 3, self.strides, dilation=first, name="conv1")(x, train=train)
        y = _last(self, 3, "conv2", second)(y, train=train)
        y = _weighted(self, y, train)
        if x.shape == y.shape:
            return nn.relu(x + y)
        if self.shortcut == "padding":
            x = padded_shortcut(x, self.features, self.strides)
        else:
            project = conv(self.features, 1, self.strides, activation=None, name="shortcut")
            x = project(x, train=train)
        return nn.relu(x + y)


class Bottleneck(nn.Module):
    """ReLU of the input plus 1x1, 3x3, 1x1 convolutions: He et al. 2015, figure 5 right.

    The stride is in the 3x3 convolution.

    Attributes:
      features: number of output maps.
      inner: maps of the first two convolutions.
      groups: of the 3x3 convolution.
      strides: of the 3x3 convolution.
      dilations: of the 3x3 convolution, the first of them.
      rate: of stochastic depth.
      squeeze_excite: whether the branch ends in squeeze and excitation.
      norm: see `cnn_jax.layers.blocks.normalise`.
      zero_scale: whether the last normalisation has scale 0 at first.
      dtype: what it computes in.
    """

    features: int
    inner: int
    groups: int = 1
    strides: int = 1
    dilations: tuple[int, int] = (1, 1)
    rate: float = 0.0
    squeeze_excite: bool = False
    norm: NormKind = "batch"
    zero_scale: bool = False
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """(b, h, w, c) -> (b, h/strides, w/strides, features)."""
        conv = functools.partial(conv_norm, norm=self.norm, dtype=self.dtype)
        y = conv(self.inner, 1, name="conv1")(x, train=train)
        middle = conv(
            self.inner,
            3,
            self.strides,
            groups=self.groups,
            dilation=self.dilations[0],
            name="conv2",
        )
        y = middle(y, train=train)
        y = _last(self, 1, "conv3")(y, train=train)
        y = _weighted(self, y, train)
        if x.shape != y.shape:
            project = conv(self.features, 1, self.strides, activation=None, name="shortcut")
            x = project(x, train=train)
        return nn.relu(x + y)


def _last(
    block: BasicBlock | Bottleneck, kernel_size: int, name: str, dilation: int = 1
) -> Callable[..., jax.Array]:
    """The last convolution of a branch, with its normalisation."""
    return conv_norm(
        block.features,
        kernel_size,
        dilation=dilation,
        norm=block.norm,
        activation=None,
        zero_scale=block.zero_scale,
        dtype=block.dtype,
        name=name,
    )


def _weighted(block: BasicBlock | Bottleneck, y: jax.Array, train: bool) -> jax.Array:
    """A branch after squeeze and excitation and stochastic depth, where the block has them."""
    if block.squeeze_excite:
        # A sixteenth of the maps, in whole multiples of 8, as timm has it.
        hidden = max(8, (block.features // 16 + 4) // 8 * 8)
        y = SqueezeExcite(hidden, dtype=block.dtype, name="squeeze_excite")(y)
    if block.rate:
        y = StochasticDepth(block.rate, name="stochastic_depth")(y, train=train)
    return y


def padded_shortcut(x: jax.Array, features: int, strides: int) -> jax.Array:
    """Every `strides`-th pixel, and as many maps of zeros before as after the maps of `x`.

    Args:
      x: (b, h, w, c).
      features: number of maps of the result, at least c.
      strides: step in pixels.
    """
    x = x[:, ::strides, ::strides]
    more = features - x.shape[-1]
    return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (more // 2, more - more // 2)))
