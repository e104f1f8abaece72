"""The residual networks that He et al. trained on CIFAR-10."""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import NormKind, global_mean
from cnn_jax.layers.residual import (
    BasicBlock,
    Stage,
    check_stages,
    conv_norm,
    rematerialised,
    rising_rates,
)
from cnn_jax.layers.whitening import Whitened, WhiteningConv
from cnn_jax.models.registry import register


class CifarResNet(Whitened, nn.Module):
    """Three stages of n blocks of two convolutions, 6n+2 layers: He et al. 2015, section 4.2.

        stem     3x3, 16, norm, ReLU     32x32
        stage1   n blocks of 16 maps     32x32
        stage2   n blocks of 32 maps     16x16
        stage3   n blocks of 64 maps     8x8
        head     global mean, dense

    Attributes:
      num_classes: number of logits.
      depths: blocks of each stage.
      width: maps of the first stage, doubled by every stage.
      shortcut: of blocks that change shape: "A", as in the paper, every second pixel and zeros
        as further maps, or "B", 1x1 convolution and normalisation.
      norm: see `cnn_jax.layers.blocks.normalise`.
      zero_scale: the last scale of every branch starts at 0, and so every block as the identity
        (https://arxiv.org/abs/1706.02677, section 5.1).
      dropout: rate before the last layer.
      stochastic_depth: rate at which the last block leaves out its branch; it rises linearly
        over the blocks (https://arxiv.org/abs/1603.09382).
      whiten: put a fixed 2x2 convolution that makes patches white, and a ReLU, before the stem; it
        takes a pixel from height and width. See `cnn_jax.layers.whitening`.
      remat: compute the inside of blocks a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    depths: tuple[int, ...] = (3, 3, 3)
    width: int = 16
    shortcut: Literal["A", "B"] = "A"
    norm: NormKind = "batch"
    zero_scale: bool = False
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    whiten: bool = False
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_stages(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws from `dropout`."""
        side = 1 + self.whiten
        check_images(x, smallest=(side, side), model="the ResNet for CIFAR")
        if self.whiten:
            x = nn.relu(WhiteningConv(dtype=self.dtype, name="whitening")(x))
        stem = conv_norm(self.width, 3, norm=self.norm, dtype=self.dtype, name="stem")
        x = stem(x, train=train)
        rates = rising_rates(self.stochastic_depth, self.depths)
        for stage, depth in enumerate(self.depths):
            block = functools.partial(
                rematerialised(BasicBlock, self.remat),
                self.width * 2**stage,
                shortcut="padding" if self.shortcut == "A" else "projection",
                norm=self.norm,
                zero_scale=self.zero_scale,
                dtype=self.dtype,
            )
            x = Stage(
                block,
                depth,
                strides=1 if stage == 0 else 2,
                rates=rates[stage],
                name=f"stage{stage + 1}",
            )(x, train=train)
        x = tap(self, "features", x)
        x = tap(self, "embedding", global_mean(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        x = Dense(self.num_classes, dtype=self.dtype, name="head")(x)
        return x.astype(jnp.float32)


TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"conv1", r"stem/conv"),
    (r"bn1", r"stem/norm"),
    (r"layer(\d)\.(\d+)\.conv(\d)", r"stage\1/block\2/conv\3/conv"),
    (r"layer(\d)\.(\d+)\.bn(\d)", r"stage\1/block\2/conv\3/norm"),
    (r"layer(\d)\.(\d+)\.(?:shortcut|downsample)\.0", r"stage\1/block\2/shortcut/conv"),
    (r"layer(\d)\.(\d+)\.(?:shortcut|downsample)\.1", r"stage\1/block\2/shortcut/norm"),
    (r"linear|fc", r"head"),
)
"""Names of modules as ours: as in the public PyTorch versions of these nets, of which
torchvision and timm have none. The zeros of option A stand where they have them there."""

_resnet = functools.partial(
    register,
    module=CifarResNet,
    input_shape=(32, 32, 3),
    num_classes=10,
    paper="He et al. 2015, https://arxiv.org/abs/1512.03385",
)
_resnet("resnet20")
_resnet("resnet32", depths=(5, 5, 5))
_resnet("resnet44", depths=(7, 7, 7))
_resnet("resnet56", depths=(9, 9, 9))
_resnet("resnet110", depths=(18, 18, 18))
