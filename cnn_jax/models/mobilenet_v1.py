"""MobileNet, of depthwise separable convolutions."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import ConvNorm, NormKind, global_mean
from cnn_jax.layers.inverted_residual import Chain
from cnn_jax.layers.options import check_rate
from cnn_jax.layers.residual import rematerialised
from cnn_jax.layers.scaling import Stem, check_factor, check_table, round_width, strides_for
from cnn_jax.models.registry import register

# Of a depthwise kernel (h, w, 1, c) the fan-in h w is also what each input map leads to.
_depthwise_init = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
_head_init = nn.initializers.variance_scaling(1 / 3, "fan_out", "uniform")  # ±1/sqrt(k)


class SeparableConv(nn.Module):
    """A 3x3 depthwise convolution and a 1x1 convolution, each with normalisation and ReLU6.

    Attributes:
      features: number of output maps.
      strides: of the depthwise convolution.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.
    """

    features: int
    strides: int = 1
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """(b, h, w, c) -> (b, h/strides, w/strides, features)."""
        conv = functools.partial(ConvNorm, activation=nn.relu6, norm=self.norm, dtype=self.dtype)
        maps = x.shape[-1]
        depthwise = conv(
            maps, 3, self.strides, groups=maps, kernel_init=_depthwise_init, name="depthwise"
        )
        pointwise = conv(self.features, 1, kernel_init="he_normal_fan_out", name="pointwise")
        return pointwise(depthwise(x, train=train), train=train)


class MobileNetV1(nn.Module):
    """A convolution and 13 depthwise separable ones, each with normalisation and ReLU6.

    Howard et al. 2017, https://arxiv.org/abs/1704.04861, table 1, for 224 pixels:

        stem     3x3/2, 32              112x112
        stage1   1 block of 64 maps     112x112
        stage2   2 of 128, /2           56x56
        stage3   2 of 256, /2           28x28
        stage4   6 of 512, /2           14x14
        stage5   2 of 1024, /2          7x7
        head     global mean, dense

    4,231,976 parameters for 1000 classes. ReLU6 as in the authors' code, for the paper's ReLU;
    padding, normalisation and initial values as in timm. The last block strides by 1, as in the
    authors' code; the paper's table says 2.

    Attributes:
      num_classes: number of logits.
      width: factor of all numbers of maps (the paper's alpha).
      stages: (maps, blocks, stride of the first block) of each stage.
      stem: "small" for images of about 32 pixels: neither the stem nor the first stage that
        halves the image does so.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dropout: rate before the last layer.
      remat: compute the inside of blocks a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    width: float = 1.0
    stages: tuple[tuple[int, int, int], ...] = (
        (64, 1, 1),
        (128, 2, 2),
        (256, 2, 2),
        (512, 6, 2),
        (1024, 2, 2),
    )
    stem: Stem = "imagenet"
    norm: NormKind = "batch"
    dropout: float = 0.0
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_factor(self, "width")
        check_table(self, "stages")
        check_rate(self, "dropout")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws dropout from `dropout`."""
        check_images(x, smallest=(1, 1), model="mobilenet_v1")
        strides = strides_for(self.stem, [2, *(stage[2] for stage in self.stages)])
        x = ConvNorm(
            round_width(32 * self.width),
            3,
            strides[0],
            norm=self.norm,
            activation=nn.relu6,
            kernel_init="he_normal_fan_out",
            dtype=self.dtype,
            name="stem",
        )(x, train=train)
        make = rematerialised(SeparableConv, self.remat)
        for i, (features, depth, _) in enumerate(self.stages, start=1):
            width = round_width(features * self.width)
            blocks = [
                functools.partial(make, width, strides[i] if j == 0 else 1, self.norm, self.dtype)
                for j in range(depth)
            ]
            x = Chain(blocks, name=f"stage{i}")(x, train=train)
        x = tap(self, "features", x)
        x = tap(self, "embedding", global_mean(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        x = Dense(self.num_classes, kernel_init=_head_init, dtype=self.dtype, name="head")(x)
        return x.astype(jnp.float32)


TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"conv_stem", r"stem/conv"),
    (r"bn1", r"stem/norm"),
    *(
        (rf"blocks\.{i}\.(\d+)\.{theirs}", rf"stage{i + 1}/block\1/{ours}")
        for i in range(5)
        for theirs, ours in (
            ("conv_dw", "depthwise/conv"),
            ("bn1", "depthwise/norm"),
            ("conv_pw", "pointwise/conv"),
            ("bn2", "pointwise/norm"),
        )
    ),
    (r"classifier", r"head"),
)
"""timm's names of modules as ours; torchvision has no such net."""

register(
    "mobilenet_v1",
    MobileNetV1,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="Howard et al. 2017, https://arxiv.org/abs/1704.04861",
)
