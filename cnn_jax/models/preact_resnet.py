"""Residual networks that normalise and activate before they convolve."""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Conv, Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import NormKind, StochasticDepth, global_mean, normalise
from cnn_jax.layers.pooling import max_pool
from cnn_jax.layers.residual import (
    Stage,
    check_stages,
    rematerialised,
    rising_rates,
)
from cnn_jax.models.registry import register


class PreActBasicBlock(nn.Module):
    """The input plus norm, ReLU, 3x3, norm, ReLU, 3x3 of it: He et al. 2016, figure 1b.

    Where the shape changes, the shortcut is a 1x1 convolution of the first ReLU's result.

    Attributes:
      features: number of output maps.
      strides: of the first convolution.
      rate: of stochastic depth.
      dropout: rate between the convolutions (https://arxiv.org/abs/1605.07146, section 2.4).
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: norm1, conv1, norm2, conv2, shortcut.
    """

    features: int
    strides: int = 1
    rate: float = 0.0
    dropout: float = 0.0
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """(b, h, w, c) -> (b, h/strides, w/strides, features)."""
        conv = functools.partial(preact_conv, norm=self.norm, dtype=self.dtype)
        norm = functools.partial(normalise, kind=self.norm, train=train, dtype=self.dtype)
        first = norm(x, name="norm1", activation=nn.relu)
        y = conv(self.features, 3, self.strides, name="conv1")(first)
        y = norm(y, name="norm2", activation=nn.relu)
        if self.dropout:
            y = Dropout(self.dropout, name="dropout")(y, train=train)
        y = conv(self.features, 3, name="conv2")(y)
        if x.shape != y.shape:
            x = conv(self.features, 1, self.strides, name="shortcut")(first)
        if self.rate:
            y = StochasticDepth(self.rate, name="stochastic_depth")(y, train=train)
        return x + y


class PreActBottleneck(nn.Module):
    """The input plus 1x1, 3x3 and 1x1 convolutions of it, each after norm and ReLU.

    The stride is in the 3x3 convolution. Where the shape changes, the shortcut is a 1x1
    convolution of the first ReLU's result.

    Attributes:
      features: number of output maps; the first two convolutions have a quarter of them.
      strides: of the 3x3 convolution.
      rate: of stochastic depth.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: norm1, conv1, norm2, conv2, norm3, conv3, shortcut.
    """

    features: int
    strides: int = 1
    rate: float = 0.0
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """(b, h, w, c) -> (b, h/strides, w/strides, features)."""
        conv = functools.partial(preact_conv, norm=self.norm, dtype=self.dtype)
        norm = functools.partial(normalise, kind=self.norm, train=train, dtype=self.dtype)
        first = norm(x, name="norm1", activation=nn.relu)
        y = conv(self.features // 4, 1, name="conv1")(first)
        y = norm(y, name="norm2", activation=nn.relu)
        y = conv(self.features // 4, 3, self.strides, name="conv2")(y)
        y = norm(y, name="norm3", activation=nn.relu)
        y = conv(self.features, 1, name="conv3")(y)
        if x.shape != y.shape:
            x = conv(self.features, 1, self.strides, name="shortcut")(first)
        if self.rate:
            y = StochasticDepth(self.rate, name="stochastic_depth")(y, train=train)
        return x + y


def preact_conv(
    features: int,
    kernel_size: int,
    strides: int = 1,
    *,
    norm: NormKind,
    dtype: DTypeLike,
    name: str,
) -> Conv:
    """A convolution padded by half its kernel, with a bias where no normalisation has one."""
    return Conv(
        features,
        kernel_size,
        strides,
        padding=kernel_size // 2,
        use_bias=norm == "none",
        kernel_init="he_normal_fan_out",
        dtype=dtype,
        name=name,
    )


class PreActResNet(nn.Module):
    """ResNet in which nothing stands between the sums of two blocks (He et al. 2016).

        stem     3x3, 16, or 7x7/2, 64, max-pool 3x3/2
        stage1   blocks of 16 or 64 maps (bottlenecks: 64 or 256)
        stage2   blocks of twice as many maps, /2
        ...
        norm, ReLU
        head     global mean, dense

    Attributes:
      num_classes: number of logits.
      depths: blocks of each stage.
      block: "basic", two 3x3 convolutions, or "bottleneck", 1x1, 3x3 and 1x1.
      width: maps of the stem and of the blocks of the first stage, doubled by every stage;
        bottlenecks put out four times as many.
      stem: "imagenet" 7x7 with stride 2 and pooling, "small" 3x3 for about 32 pixels.
      norm: see `cnn_jax.layers.blocks.normalise`.
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
    stem: Literal["imagenet", "small"] = "imagenet"
    norm: NormKind = "batch"
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_stages(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws from `dropout`."""
        check_images(x, smallest=(1, 1), model="preact_resnet")
        stem = functools.partial(preact_conv, norm=self.norm, dtype=self.dtype, name="stem")
        if self.stem == "small":
            x = stem(self.width, 3)(x)
        else:
            x = tap(self, "pool", max_pool(stem(self.width, 7, 2)(x), 3, 2, padding=1))
        kind: type[nn.Module]
        kind, factor = (PreActBasicBlock, 1) if self.block == "basic" else (PreActBottleneck, 4)
        block = rematerialised(kind, self.remat)
        rates = rising_rates(self.stochastic_depth, self.depths)
        for stage, depth in enumerate(self.depths):
            features = factor * self.width * 2**stage
            x = Stage(
                functools.partial(block, features, norm=self.norm, dtype=self.dtype),
                depth,
                strides=1 if stage == 0 else 2,
                rates=rates[stage],
                name=f"stage{stage + 1}",
            )(x, train=train)
        x = normalise(x, self.norm, train=train, dtype=self.dtype, name="norm", activation=nn.relu)
        x = tap(self, "features", x)
        x = tap(self, "embedding", global_mean(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        x = Dense(self.num_classes, kernel_init="normal", dtype=self.dtype, name="head")(x)
        return x.astype(jnp.float32)


TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"stem\.conv", r"stem"),
    # timm counts stages from 0.
    *(
        (rf"stages\.{i}\.blocks\.(\d+)\.((?:conv|norm)\d)", rf"stage{i + 1}/block\1/\2")
        for i in range(4)
    ),
    *(
        (rf"stages\.{i}\.blocks\.(\d+)\.downsample\.conv", rf"stage{i + 1}/block\1/shortcut")
        for i in range(4)
    ),
    (r"norm", r"norm"),
    (r"head\.fc", r"head"),
)
"""timm's names (`resnetv2_18`, `resnetv2_50`) of modules as ours; its head is a 1x1 convolution."""

TORCH_ONES: dict[str, int] = {r"head\.fc\.weight": 2}
"""Axes of one element that PyTorch's tensors have at their end and ours have not."""

_resnet = functools.partial(
    register,
    module=PreActResNet,
    paper="He et al. 2016, https://arxiv.org/abs/1603.05027",
)
_imagenet = functools.partial(_resnet, input_shape=(224, 224, 3), num_classes=1000)
_imagenet("preact_resnet18")
_imagenet("preact_resnet50", depths=(3, 4, 6, 3), block="bottleneck")

_cifar = functools.partial(_resnet, input_shape=(32, 32, 3), num_classes=10, width=16, stem="small")
_cifar("preact_resnet110", depths=(18, 18, 18))
_cifar("preact_resnet164", depths=(18, 18, 18), block="bottleneck")
