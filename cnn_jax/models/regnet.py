"""RegNet: ResNets of grouped bottlenecks whose widths follow a line."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import ConvNorm, NormKind, SqueezeExcite, StochasticDepth, global_mean
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.residual import Stage, rematerialised, rising_rates
from cnn_jax.layers.scaling import Stem, round_width
from cnn_jax.models.registry import register


class RegNetBlock(nn.Module):
    """ReLU of the input plus 1x1, grouped 3x3 and 1x1 convolutions of as many maps.

    Radosavovic et al. 2020, https://arxiv.org/abs/2003.13678, figure 4.

    Attributes:
      features: number of maps.
      group_width: maps of each group of the 3x3 convolution; all of them where there are fewer.
      strides: of the 3x3 convolution.
      rate: of stochastic depth.
      squeeze_excite: units of squeeze and excitation after the 3x3 convolution, as a part of the
        block's input maps; 0 for none.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.
    """

    features: int
    group_width: int
    strides: int = 1
    rate: float = 0.0
    squeeze_excite: float = 0.0
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """(b, h, w, c) -> (b, h/strides, w/strides, features)."""
        conv = functools.partial(
            ConvNorm, norm=self.norm, kernel_init="he_normal_fan_out", dtype=self.dtype
        )
        groups = self.features // min(self.group_width, self.features)
        y = conv(self.features, 1, name="conv1")(x, train=train)
        y = conv(self.features, 3, self.strides, groups=groups, name="conv2")(y, train=train)
        if self.squeeze_excite:
            y = SqueezeExcite(
                max(1, round(self.squeeze_excite * x.shape[-1])),
                bias_init="pytorch",
                dtype=self.dtype,
                name="squeeze_excite",
            )(y)
        y = conv(self.features, 1, activation=None, name="conv3")(y, train=train)
        if self.rate:
            y = StochasticDepth(self.rate, name="stochastic_depth")(y, train=train)
        if self.strides != 1 or self.features != x.shape[-1]:
            project = conv(self.features, 1, self.strides, activation=None, name="shortcut")
            x = project(x, train=train)
        return nn.relu(x + y)


class RegNet(nn.Module):
    """Four stages of residual blocks, each halving height and width.

    Radosavovic et al. 2020, https://arxiv.org/abs/2003.13678, with the maps of RegNetY-400MF,
    for 224 pixels:

        stem     3x3/2, 32              112x112
        stage1   1 block of 48, /2      56x56
        stage2   3 of 104, /2           28x28
        stage3   6 of 208, /2           14x14
        stage4   6 of 440, /2           7x7
        head     global mean, dense

    RegNetY is RegNetX with squeeze and excitation. Their widths and depths are those of
    `line`; all details as in torchvision.

    Attributes:
      num_classes: number of logits.
      widths: maps of the stages, multiples of `group_width` or smaller.
      depths: blocks of the stages.
      group_width: maps of each group of the 3x3 convolutions.
      squeeze_excite: units of squeeze and excitation, as a part of a block's input maps; 0 for
        none.
      stem: "small" for images of about 32 pixels: neither stem nor first stage halve the image.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dropout: rate before the last layer.
      stochastic_depth: rate at which the last block leaves out its branch; it rises linearly
        over the blocks (https://arxiv.org/abs/1603.09382).
      remat: compute the inside of blocks a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    widths: tuple[int, ...] = (48, 104, 208, 440)
    depths: tuple[int, ...] = (1, 3, 6, 6)
    group_width: int = 8
    squeeze_excite: float = 0.25
    stem: Stem = "imagenet"
    norm: NormKind = "batch"
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "widths", "depths", "group_width")
        check_rate(self, "dropout", "stochastic_depth")
        if not self.widths or len(self.widths) != len(self.depths):
            raise UserError(
                f"widths={self.widths}, depths={self.depths} of RegNet: one of each a stage"
            )
        if any(width % min(width, self.group_width) for width in self.widths):
            raise UserError(
                f"widths={self.widths} of RegNet must be multiples of group_width="
                f"{self.group_width}"
            )
        if not 0 <= self.squeeze_excite <= 1:
            raise UserError(
                f"squeeze_excite={self.squeeze_excite} of RegNet: must be between 0 and 1"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws from `dropout`."""
        check_images(x, smallest=(1, 1), model="regnet")
        small = self.stem == "small"
        x = ConvNorm(
            32,
            3,
            strides=1 if small else 2,
            norm=self.norm,
            kernel_init="he_normal_fan_out",
            dtype=self.dtype,
            name="stem",
        )(x, train=train)
        rates = rising_rates(self.stochastic_depth, self.depths)
        for i, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            block = functools.partial(
                rematerialised(RegNetBlock, self.remat),
                width,
                self.group_width,
                squeeze_excite=self.squeeze_excite,
                norm=self.norm,
                dtype=self.dtype,
            )
            strides = 1 if small and i == 0 else 2
            stage = Stage(block, depth, strides=strides, rates=rates[i], name=f"stage{i + 1}")
            x = stage(x, train=train)
        x = tap(self, "features", x)
        x = tap(self, "embedding", global_mean(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        x = Dense(self.num_classes, kernel_init="normal", dtype=self.dtype, name="head")(x)
        return x.astype(jnp.float32)


def line(blocks: int, start: int, slope: float, ratio: float, group_width: int) -> dict[str, Any]:
    """The options of `RegNet` that a line of widths over the blocks gives (section 3.3).

    The widths start + slope * j of the blocks j are rounded to start * ratio^s with whole s,
    then to multiples of 8, then to multiples of the group width as `round_width` does; blocks of
    one width are a stage.

    Args:
      blocks: d, the number of blocks.
      start: w_0, width of the first block.
      slope: w_a.
      ratio: w_m, of the widths of successive stages.
      group_width: g.
    """
    powers = [round(math.log((start + slope * j) / start, ratio)) for j in range(blocks)]
    rounded = [8 * round(start * ratio**power / 8) for power in powers]
    stages = [(width, len(list(same))) for width, same in itertools.groupby(rounded)]
    return {
        "widths": tuple(round_width(width, min(width, group_width)) for width, _ in stages),
        "depths": tuple(depth for _, depth in stages),
        "group_width": group_width,
    }


TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"stem\.0", r"stem/conv"),
    (r"stem\.1", r"stem/norm"),
    *(
        (rf"trunk_output\.block(\d)\.block\1-(\d+)\.{theirs}", rf"stage\1/block\2/{ours}")
        for theirs, ours in (
            (r"proj\.0", "shortcut/conv"),
            (r"proj\.1", "shortcut/norm"),
            (r"f\.a\.0", "conv1/conv"),
            (r"f\.a\.1", "conv1/norm"),
            (r"f\.b\.0", "conv2/conv"),
            (r"f\.b\.1", "conv2/norm"),
            (r"f\.se\.fc1", "squeeze_excite/reduce"),
            (r"f\.se\.fc2", "squeeze_excite/expand"),
            (r"f\.c\.0", "conv3/conv"),
            (r"f\.c\.1", "conv3/norm"),
        )
    ),
    (r"fc", r"head"),
)
"""torchvision's names of modules as ours."""

_regnet = functools.partial(
    register,
    module=RegNet,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="Radosavovic et al. 2020, https://arxiv.org/abs/2003.13678",
)
_regnet("regnet_y_400mf", **line(16, 48, 27.89, 2.09, 8))
_regnet("regnet_y_800mf", **line(14, 56, 38.84, 2.4, 16))
_regnet("regnet_y_1_6gf", **line(27, 48, 20.71, 2.65, 24))
_regnet("regnet_y_3_2gf", **line(21, 80, 42.63, 2.66, 24))
_regnet("regnet_y_8gf", **line(17, 192, 76.82, 2.19, 56))
_regnet("regnet_y_16gf", **line(18, 200, 106.23, 2.48, 112))
_regnet("regnet_y_32gf", **line(20, 232, 115.89, 2.53, 232))

_regnet_x = functools.partial(_regnet, squeeze_excite=0.0)
_regnet_x("regnet_x_400mf", **line(22, 24, 24.48, 2.54, 16))
_regnet_x("regnet_x_800mf", **line(16, 56, 35.73, 2.28, 16))
_regnet_x("regnet_x_1_6gf", **line(18, 80, 34.01, 2.25, 24))
_regnet_x("regnet_x_3_2gf", **line(25, 88, 26.31, 2.25, 48))
_regnet_x("regnet_x_8gf", **line(23, 80, 49.56, 2.88, 120))
_regnet_x("regnet_x_16gf", **line(22, 216, 55.59, 2.1, 128))
_regnet_x("regnet_x_32gf", **line(23, 320, 69.86, 2.0, 168))
