"""ConvNeXt: a residual network with the choices of vision transformers."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Conv, Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import StochasticDepth, global_mean
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.residual import rematerialised
from cnn_jax.layers.scaling import Stem
from cnn_jax.models.registry import register

# torchvision draws from a normal distribution cut at ±2, which are 100 deviations.
_init = nn.initializers.normal(0.02)
_norm = functools.partial(nn.LayerNorm, epsilon=1e-6)


class ConvNeXtBlock(nn.Module):
    """The input plus, scaled: 7x7 depthwise convolution, layer norm, 1x1 to 4c, GELU, 1x1.

    Attributes:
      rate: of stochastic depth.
      layer_scale: start of the factors of the branch's maps.
      dtype: what it computes in.

    Parameters: depthwise, norm, expand, project, layer_scale (c,).
    """

    rate: float = 0.0
    layer_scale: float = 1e-6
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """(b, h, w, c) -> (b, h, w, c)."""
        maps = x.shape[-1]
        dense = functools.partial(Dense, kernel_init=_init, dtype=self.dtype)
        y = Conv(
            maps, 7, padding=3, groups=maps, kernel_init=_init, dtype=self.dtype, name="depthwise"
        )(x)
        y = _norm(dtype=self.dtype, name="norm")(y)
        y = nn.gelu(dense(4 * maps, name="expand")(y), approximate=False)
        y = dense(maps, name="project")(y)
        scale = self.param(
            "layer_scale", nn.initializers.constant(self.layer_scale), (maps,), jnp.float32
        )
        y = y * scale.astype(self.dtype)
        if self.rate:
            y = StochasticDepth(self.rate, name="stochastic_depth")(y, train=train)
        return x + y


class ConvNeXtStage(nn.Module):
    """Blocks and, where the number of maps changes, layer norm and a 2x2/2 convolution before.

    Attributes:
      features: number of maps.
      rates: of stochastic depth, one a block.
      layer_scale: see `ConvNeXtBlock`.
      remat: compute the inside of blocks a second time for the gradient, instead of keeping it.
      dtype: what it computes in.

    Parameters: norm and downsample, block0, block1, ...
    """

    features: int
    rates: Sequence[float]
    layer_scale: float = 1e-6
    remat: bool = False
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(b, h, w, c) -> (b, h, w, features), or (b, h/2, w/2, features) from other maps."""
        if x.shape[-1] != self.features:
            x = _norm(dtype=self.dtype, name="norm")(x)
            x = Conv(
                self.features,
                2,
                2,
                "VALID",
                kernel_init=_init,
                dtype=self.dtype,
                name="downsample",
            )(x)
        make = rematerialised(ConvNeXtBlock, self.remat)
        for i, rate in enumerate(self.rates):
            x = make(rate, self.layer_scale, self.dtype, name=f"block{i}")(x, train)
        return x


class ConvNeXt(nn.Module):
    """Four stages of blocks of 7x7 depthwise convolutions, normalised over maps only.

    Liu et al. 2022, https://arxiv.org/abs/2201.03545, with the maps of T, for 224 pixels:

        stem     4x4/4, 96, layer norm                     56x56
        stage1   3 blocks of 96 maps                       56x56
        stage2   layer norm, 2x2/2, 3 blocks of 192 maps   28x28
        stage3   layer norm, 2x2/2, 9 blocks of 384 maps   14x14
        stage4   layer norm, 2x2/2, 3 blocks of 768 maps   7x7
        head     global mean, layer norm, dense

    T, S, B, L have 28,589,128, 50,223,688, 88,591,464 and 197,767,336 parameters for 1000
    classes. All details as in torchvision. The embedding is what the last layer takes.

    Attributes:
      num_classes: number of logits.
      depths: blocks of the stages.
      widths: maps of the stages, which must differ from one to the next.
      layer_scale: start of the factors of the branches.
      stem: "small" for images of about 32 pixels: 3x3 without stride.
      dropout: rate before the last layer.
      stochastic_depth: rate at which the last block leaves out its branch; it rises linearly
        from 0 for the first (https://arxiv.org/abs/1603.09382).
      remat: compute the inside of blocks a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    depths: tuple[int, ...] = (3, 3, 9, 3)
    widths: tuple[int, ...] = (96, 192, 384, 768)
    layer_scale: float = 1e-6
    stem: Stem = "imagenet"
    dropout: float = 0.0
    stochastic_depth: float = 0.1
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "depths", "widths")
        check_rate(self, "dropout", "stochastic_depth")
        if not self.widths or len(self.widths) != len(self.depths):
            raise UserError(
                f"widths={self.widths}, depths={self.depths} of ConvNeXt: one of each a stage"
            )
        if any(a == b for a, b in zip(self.widths, self.widths[1:], strict=False)):
            raise UserError(
                f"widths={self.widths} of ConvNeXt: a stage must differ from the one before"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws from `dropout`.

        Raises:
          UserError: the images cannot be halved as often as the net does.
        """
        small = self.stem == "small"
        side = (1 if small else 4) * 2 ** (len(self.depths) - 1)
        check_images(x, smallest=(side, side), model="convnext")
        kernel_size, strides, padding = (3, 1, 1) if small else (4, 4, 0)
        x = Conv(
            self.widths[0],
            kernel_size,
            strides,
            padding,
            kernel_init=_init,
            dtype=self.dtype,
            name="stem",
        )(x)
        x = _norm(dtype=self.dtype, name="stem_norm")(x)
        # From 0 to the rate itself, unlike `rising_rates`; a single block has 0.
        steps = max(1, sum(self.depths) - 1)
        before = 0
        for i, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True), start=1):
            rates = [self.stochastic_depth * (before + j) / steps for j in range(depth)]
            before += depth
            stage = ConvNeXtStage(
                width, rates, self.layer_scale, self.remat, self.dtype, name=f"stage{i}"
            )
            x = stage(x, train=train)
        x = global_mean(tap(self, "features", x))
        x = tap(self, "embedding", _norm(dtype=self.dtype, name="norm")(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        x = Dense(self.num_classes, kernel_init=_init, dtype=self.dtype, name="head")(x)
        return x.astype(jnp.float32)


# torchvision's features are the stem, stage 1, a halving, stage 2, a halving, and so on.
TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"features\.0\.0", r"stem"),
    (r"features\.0\.1", r"stem_norm"),
    *(
        (rf"features\.{2 * stage - 1}\.(\d+)\.{theirs}", rf"stage{stage}/block\1/{ours}")
        for stage in (1, 2, 3, 4)
        for theirs, ours in (
            (r"block\.0", "depthwise"),
            (r"block\.2", "norm"),
            (r"block\.3", "expand"),
            (r"block\.5", "project"),
            (r"layer_scale", "layer_scale"),
        )
    ),
    *(
        (rf"features\.{2 * stage - 2}\.{theirs}", rf"stage{stage}/{ours}")
        for stage in (2, 3, 4)
        for theirs, ours in ((0, "norm"), (1, "downsample"))
    ),
    (r"classifier\.0", r"norm"),
    (r"classifier\.2", r"head"),
)
"""torchvision's names of modules as ours. `layer_scale` is a parameter, there (c, 1, 1)."""

TORCH_ONES: dict[str, int] = {r"features\..*\.layer_scale": 2}
"""Axes of one element that PyTorch's tensors have at their end and ours have not."""

_convnext = functools.partial(
    register,
    module=ConvNeXt,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="Liu et al. 2022, https://arxiv.org/abs/2201.03545",
)
_convnext("convnext_tiny")
_convnext("convnext_small", depths=(3, 3, 27, 3), stochastic_depth=0.4)
_convnext(
    "convnext_base",
    depths=(3, 3, 27, 3),
    widths=(128, 256, 512, 1024),
    stochastic_depth=0.5,
)
_convnext(
    "convnext_large",
    depths=(3, 3, 27, 3),
    widths=(192, 384, 768, 1536),
    stochastic_depth=0.5,
)
