"""ShuffleNetV2, of blocks that work on half of the maps and mix them by a permutation."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import ConvNorm, NormKind, StochasticDepth, global_mean
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.pooling import max_pool
from cnn_jax.layers.residual import Stage, rematerialised, rising_rates
from cnn_jax.layers.scaling import Stem
from cnn_jax.models.registry import register


class ShuffleBlock(nn.Module):
    """Half of the maps unchanged, the other half convolved, then both shuffled (figure 3c, d).

    With a stride both halves are made of all maps, the first by a depthwise and a 1x1
    convolution; so the number of maps may change.

    Attributes:
      features: number of output maps, even.
      strides: of the depthwise convolutions.
      rate: of stochastic depth, of blocks without a stride.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: branch conv1, depthwise, conv2; with a stride also shortcut_depthwise and
    shortcut_conv.
    """

    features: int
    strides: int = 1
    rate: float = 0.0
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """(b, h, w, c) -> (b, h/strides, w/strides, features)."""
        conv = functools.partial(ConvNorm, norm=self.norm, kernel_init="pytorch", dtype=self.dtype)
        depthwise = functools.partial(conv, kernel_size=3, strides=self.strides, activation=None)
        half = self.features // 2
        if self.strides == 1:
            kept, y = jnp.split(x, 2, axis=-1)
        else:
            maps = x.shape[-1]
            kept = depthwise(maps, groups=maps, name="shortcut_depthwise")(x, train=train)
            kept = conv(half, 1, name="shortcut_conv")(kept, train=train)
            y = x
        y = conv(half, 1, name="conv1")(y, train=train)
        y = depthwise(half, groups=half, name="depthwise")(y, train=train)
        y = conv(half, 1, name="conv2")(y, train=train)
        if self.rate and self.strides == 1:
            y = StochasticDepth(self.rate, name="stochastic_depth")(y, train=train)
        return shuffle_maps(jnp.concatenate([kept, y], axis=-1), 2)


def shuffle_maps(x: jax.Array, groups: int) -> jax.Array:
    """The maps of groups side by side dealt out in turn: with 2 groups of 3, 0 3 1 4 2 5.

    Args:
      x: (b, h, w, c).
      groups: how many; c is a multiple.
    """
    return x.reshape(*x.shape[:-1], groups, -1).swapaxes(-1, -2).reshape(x.shape)


class ShuffleNetV2(nn.Module):
    """Three stages of shuffle blocks, each halving height and width.

    Ma et al. 2018, https://arxiv.org/abs/1807.11164, table 5, with the maps of x1.0, for 224
    pixels:

        stem     3x3/2, 24, max-pool 3x3/2   56x56
        stage2   4 blocks of 116 maps, /2    28x28
        stage3   8 of 232, /2                14x14
        stage4   4 of 464, /2                7x7
        last     1x1, 1024                   7x7
        head     global mean, dense

    2,278,604 parameters for 1000 classes. Stages are counted as in the paper; all details are
    those of torchvision.

    Attributes:
      num_classes: number of logits.
      widths: maps of the stages, even.
      depths: blocks of the stages.
      last_width: maps of the last convolution.
      stem: "small" for images of about 32 pixels: no stride, no pooling.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dropout: rate before the last layer.
      stochastic_depth: rate at which the last block leaves out its branch (so that its half of
        the maps is zero); it rises linearly over the blocks (https://arxiv.org/abs/1603.09382).
      remat: compute the inside of blocks a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    widths: tuple[int, ...] = (116, 232, 464)
    depths: tuple[int, ...] = (4, 8, 4)
    last_width: int = 1024
    stem: Stem = "imagenet"
    norm: NormKind = "batch"
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "widths", "depths", "last_width")
        check_rate(self, "dropout", "stochastic_depth")
        if not self.widths or len(self.widths) != len(self.depths):
            raise UserError(
                f"widths={self.widths}, depths={self.depths} of ShuffleNetV2: one of each a stage"
            )
        if any(width % 2 for width in self.widths):
            raise UserError(f"widths={self.widths} of ShuffleNetV2: must be even")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws from `dropout`."""
        check_images(x, smallest=(1, 1), model="shufflenet_v2")
        conv = functools.partial(ConvNorm, norm=self.norm, kernel_init="pytorch", dtype=self.dtype)
        small = self.stem == "small"
        x = conv(24, 3, strides=1 if small else 2, name="stem")(x, train=train)
        if not small:
            x = tap(self, "pool", max_pool(x, 3, 2, padding=1))
        rates = rising_rates(self.stochastic_depth, self.depths)
        for i, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            block = functools.partial(
                rematerialised(ShuffleBlock, self.remat),
                width,
                norm=self.norm,
                dtype=self.dtype,
            )
            stage = Stage(block, depth, strides=2, rates=rates[i], name=f"stage{i + 2}")
            x = stage(x, train=train)
        x = tap(self, "features", conv(self.last_width, 1, name="last")(x, train=train))
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


TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"conv1\.0", r"stem/conv"),
    (r"conv1\.1", r"stem/norm"),
    *(
        (rf"stage(\d)\.(\d+)\.{theirs}", rf"stage\1/block\2/{ours}")
        for theirs, ours in (
            (r"branch1\.0", "shortcut_depthwise/conv"),
            (r"branch1\.1", "shortcut_depthwise/norm"),
            (r"branch1\.2", "shortcut_conv/conv"),
            (r"branch1\.3", "shortcut_conv/norm"),
            (r"branch2\.0", "conv1/conv"),
            (r"branch2\.1", "conv1/norm"),
            (r"branch2\.3", "depthwise/conv"),
            (r"branch2\.4", "depthwise/norm"),
            (r"branch2\.5", "conv2/conv"),
            (r"branch2\.6", "conv2/norm"),
        )
    ),
    (r"conv5\.0", r"last/conv"),
    (r"conv5\.1", r"last/norm"),
    (r"fc", r"head"),
)
"""torchvision's names of modules as ours."""

_shufflenet = functools.partial(
    register,
    module=ShuffleNetV2,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="Ma et al. 2018, https://arxiv.org/abs/1807.11164",
)
_shufflenet("shufflenet_v2_x0_5", widths=(48, 96, 192))
_shufflenet("shufflenet_v2_x1_0")
_shufflenet("shufflenet_v2_x1_5", widths=(176, 352, 704))
_shufflenet("shufflenet_v2_x2_0", widths=(244, 488, 976), last_width=2048)
