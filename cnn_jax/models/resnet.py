"""Residual networks: ResNet, ResNeXt, Wide ResNet of bottlenecks, SE-ResNet."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import NormKind, global_mean
from cnn_jax.layers.options import check_positive
from cnn_jax.layers.pooling import max_pool
from cnn_jax.layers.residual import (
    BasicBlock,
    Bottleneck,
    Stage,
    check_stages,
    conv_norm,
    rematerialised,
    rising_rates,
)
from cnn_jax.layers.scaling import check_output_stride, dilated
from cnn_jax.models.registry import register


class ResNet(nn.Module):
    """Four stages of residual blocks; those after the first halve height and width.

    For 224 pixels, with the maps of 18, 34 / of 50 and deeper:

        stem     7x7/2, 64, norm, ReLU, max-pool 3x3/2   56x56
        stage1   blocks of 64 / 256 maps                 56x56
        stage2   blocks of 128 / 512 maps, /2            28x28
        stage3   blocks of 256 / 1024 maps, /2           14x14
        stage4   blocks of 512 / 2048 maps, /2           7x7
        head     global mean, dense

    The bottlenecks stride in their 3x3 convolution, as torchvision's ("v1.5"), while those of
    the paper did in the 1x1 before it. In ResNeXt (https://arxiv.org/abs/1611.05431) the 3x3
    convolutions are grouped, in Wide ResNet (https://arxiv.org/abs/1605.07146) twice as wide;
    in SE-ResNet (https://arxiv.org/abs/1709.01507) every branch ends in squeeze and excitation.

    Attributes:
      num_classes: number of logits.
      depths: blocks of each stage.
      block: "basic", two 3x3 convolutions, or "bottleneck", 1x1, 3x3 and 1x1.
      width: maps of the stem and of the blocks of the first stage, doubled by every stage;
        bottlenecks put out four times as many.
      groups: of the 3x3 convolutions of bottlenecks.
      group_width: maps of each of these groups in the first stage, where `width` is 64.
      squeeze_excite: whether branches end in squeeze and excitation.
      stem: "small" for images of about 32 pixels: 3x3 convolution, no stride, no pooling.
      output_stride: the maps of later stages are no smaller than an image by more than this, such
        as 8 or 16: their convolutions are dilated instead (https://arxiv.org/abs/1706.05587).
      norm: see `cnn_jax.layers.blocks.normalise`.
      zero_scale: the last scale of every branch starts at 0, and so every block as the identity
        (https://arxiv.org/abs/1706.02677, section 5.1).
      dropout: rate before the last layer.
      stochastic_depth: rate at which the last block leaves out its branch; it rises linearly
        over the blocks (https://arxiv.org/abs/1603.09382).
      remat: compute the inside of blocks a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    depths: tuple[int, ...] = (2, 2, 2, 2)
    block: Literal["basic", "bottleneck"] = "basic"
    width: int = 64
    groups: int = 1
    group_width: int = 64
    squeeze_excite: bool = False
    stem: Literal["imagenet", "small"] = "imagenet"
    output_stride: int | None = None
    norm: NormKind = "batch"
    zero_scale: bool = False
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_stages(self)
        check_positive(self, "groups", "group_width")
        if self.width * self.group_width < 64:
            raise UserError(
                f"width={self.width}, group_width={self.group_width} of ResNet: their product "
                "over 64, the maps of a group in the first stage, must not be below one"
            )
        if self.block == "basic" and (self.groups, self.group_width) != (1, 64):
            raise UserError(
                f"groups={self.groups}, group_width={self.group_width} of ResNet: only blocks of "
                "the kind block='bottleneck' have them"
            )
        check_output_stride(self, self._stem_stride)
        super().__post_init__()

    @property
    def _stem_stride(self) -> int:
        return 4 if self.stem == "imagenet" else 1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws from `dropout`."""
        check_images(x, smallest=(1, 1), model="resnet")
        x = self._stem(x, train)
        rates = rising_rates(self.stochastic_depth, self.depths)
        halving = [1] + [2] * (len(self.depths) - 1)
        steps = dilated(halving, self.output_stride, before=self._stem_stride)
        for stage, (depth, (strides, *dilations)) in enumerate(
            zip(self.depths, steps, strict=True)
        ):
            x = Stage(
                self._block(self.width * 2**stage),
                depth,
                strides=strides,
                rates=rates[stage],
                dilations=(dilations[0], dilations[1]),
                name=f"stage{stage + 1}",
            )(x, train=train)
        x = tap(self, "features", x)
        x = tap(self, "embedding", global_mean(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        x = Dense(
            self.num_classes,
            kernel_init="pytorch",
            bias_init="pytorch",
            dtype=self.dtype,
            name="head",
        )(x)
        return x.astype(jnp.float32)

    def _stem(self, x: jax.Array, train: bool) -> jax.Array:
        conv = functools.partial(conv_norm, norm=self.norm, dtype=self.dtype, name="stem")
        if self.stem == "small":
            return conv(self.width, 3)(x, train=train)
        x = conv(self.width, 7, strides=2)(x, train=train)
        return tap(self, "pool", max_pool(x, 3, 2, padding=1))

    def _block(self, width: int) -> Callable[..., nn.Module]:
        shared: dict[str, Any] = {
            "squeeze_excite": self.squeeze_excite,
            "norm": self.norm,
            "zero_scale": self.zero_scale,
            "dtype": self.dtype,
        }
        if self.block == "basic":
            return functools.partial(rematerialised(BasicBlock, self.remat), width, **shared)
        return functools.partial(
            rematerialised(Bottleneck, self.remat),
            4 * width,
            inner=width * self.group_width // 64 * self.groups,
            groups=self.groups,
            **shared,
        )


TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"conv1", r"stem/conv"),
    (r"bn1", r"stem/norm"),
    (r"layer(\d)\.(\d+)\.conv(\d)", r"stage\1/block\2/conv\3/conv"),
    (r"layer(\d)\.(\d+)\.bn(\d)", r"stage\1/block\2/conv\3/norm"),
    (r"layer(\d)\.(\d+)\.downsample\.0", r"stage\1/block\2/shortcut/conv"),
    (r"layer(\d)\.(\d+)\.downsample\.1", r"stage\1/block\2/shortcut/norm"),
    (r"layer(\d)\.(\d+)\.se\.fc1", r"stage\1/block\2/squeeze_excite/reduce"),
    (r"layer(\d)\.(\d+)\.se\.fc2", r"stage\1/block\2/squeeze_excite/expand"),
    (r"fc", r"head"),
)
"""torchvision's and timm's names of modules as ours; `se` is timm's."""

_resnet = functools.partial(
    register,
    module=ResNet,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="He et al. 2015, https://arxiv.org/abs/1512.03385",
)
_bottlenecks = functools.partial(_resnet, block="bottleneck")

_resnet("resnet18")
_resnet("resnet34", depths=(3, 4, 6, 3))
_bottlenecks("resnet50", depths=(3, 4, 6, 3))
_bottlenecks("resnet101", depths=(3, 4, 23, 3))
_bottlenecks("resnet152", depths=(3, 8, 36, 3))

_resnext = functools.partial(
    _bottlenecks, paper="Xie et al. 2016, https://arxiv.org/abs/1611.05431"
)
_resnext("resnext50_32x4d", depths=(3, 4, 6, 3), groups=32, group_width=4)
_resnext("resnext101_32x8d", depths=(3, 4, 23, 3), groups=32, group_width=8)
_resnext("resnext101_64x4d", depths=(3, 4, 23, 3), groups=64, group_width=4)

_wide = functools.partial(
    _bottlenecks,
    group_width=128,
    paper="Zagoruyko and Komodakis 2016, https://arxiv.org/abs/1605.07146",
)
_wide("wide_resnet50_2", depths=(3, 4, 6, 3))
_wide("wide_resnet101_2", depths=(3, 4, 23, 3))

_bottlenecks(
    "seresnet50",
    depths=(3, 4, 6, 3),
    squeeze_excite=True,
    paper="Hu et al. 2017, https://arxiv.org/abs/1709.01507",
)
