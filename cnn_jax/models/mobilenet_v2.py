"""MobileNetV2, of inverted residual blocks."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import ConvNorm, NormKind, global_mean
from cnn_jax.layers.inverted_residual import Chain, InvertedResidual, flat_names
from cnn_jax.layers.options import check_rate
from cnn_jax.layers.residual import rematerialised, rising_rates
from cnn_jax.layers.scaling import Stem, check_factor, check_table, round_width, strides_for
from cnn_jax.models.registry import register

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""(expansion, maps, blocks, stride) of each stage: t, c, n, s of the paper's table 2."""


class MobileNetV2(nn.Module):
    """Seven stages of inverted residual blocks with ReLU6.

    Sandler et al. 2018, https://arxiv.org/abs/1801.04381, table 2, for 224 pixels:

        stem     3x3/2, 32                          112x112
        stage1   1 block of 16 maps, not expanded   112x112
        stage2   2 of 24, /2                        56x56
        stage3   3 of 32, /2                        28x28
        stage4   4 of 64, /2                        14x14
        stage5   3 of 96                            14x14
        stage6   3 of 160, /2                       7x7
        stage7   1 of 320                           7x7
        last     1x1, 1280                          7x7
        head     global mean, dropout, dense

    3,504,872 parameters for 1000 classes. All details as in torchvision.

    Attributes:
      num_classes: number of logits.
      width: factor of all numbers of maps, but of those of the last convolution only upwards.
      stages: (expansion, maps, blocks, stride of the first block) of each stage.
      stem: "small" for images of about 32 pixels: neither the stem nor the first stage that
        halves the image does so.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dropout: rate before the last layer.
      stochastic_depth: rate at which the last block leaves out its branch; it rises linearly
        over the blocks (https://arxiv.org/abs/1603.09382).
      remat: compute the inside of blocks a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    width: float = 1.0
    stages: tuple[tuple[int, int, int, int], ...] = STAGES
    stem: Stem = "imagenet"
    norm: NormKind = "batch"
    dropout: float = 0.2
    stochastic_depth: float = 0.0
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_factor(self, "width")
        check_table(self, "stages")
        check_rate(self, "dropout", "stochastic_depth")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws from `dropout`."""
        check_images(x, smallest=(1, 1), model="mobilenet_v2")
        conv = functools.partial(
            ConvNorm,
            norm=self.norm,
            activation=nn.relu6,
            kernel_init="he_normal_fan_out",
            dtype=self.dtype,
        )
        strides = strides_for(self.stem, [2, *(stage[3] for stage in self.stages)])
        rates = rising_rates(self.stochastic_depth, [stage[2] for stage in self.stages])
        make = functools.partial(rematerialised(InvertedResidual, self.remat), conv=conv)

        maps = round_width(32 * self.width)
        x = conv(maps, 3, strides[0], name="stem")(x, train=train)
        for i, (expansion, features, depth, _) in enumerate(self.stages, start=1):
            width = round_width(features * self.width)
            blocks = []
            for j in range(depth):
                first = strides[i] if j == 0 else 1
                rate = rates[i - 1][j]
                block = functools.partial(make, width, expansion * maps, strides=first, rate=rate)
                blocks.append(block)
                maps = width
            x = Chain(blocks, name=f"stage{i}")(x, train=train)
        x = conv(round_width(1280 * max(1.0, self.width)), 1, name="last")(x, train=train)
        x = tap(self, "features", x)
        x = tap(self, "embedding", global_mean(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        x = Dense(self.num_classes, kernel_init="normal", dtype=self.dtype, name="head")(x)
        return x.astype(jnp.float32)


# torchvision counts blocks from 1 through the net; the first has no expansion, so that what it
# has stands one place further to the front.
_FIRST = (
    (r"conv\.0\.0", "depthwise/conv"),
    (r"conv\.0\.1", "depthwise/norm"),
    (r"conv\.1", "project/conv"),
    (r"conv\.2", "project/norm"),
)
_OTHER = (
    (r"conv\.0\.0", "expand/conv"),
    (r"conv\.0\.1", "expand/norm"),
    (r"conv\.1\.0", "depthwise/conv"),
    (r"conv\.1\.1", "depthwise/norm"),
    (r"conv\.2", "project/conv"),
    (r"conv\.3", "project/norm"),
)

TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"features\.0\.0", r"stem/conv"),
    (r"features\.0\.1", r"stem/norm"),
    *(
        (rf"features\.{i + 1}\.{theirs}", f"{path}/{ours}")
        for i, path in flat_names([stage[2] for stage in STAGES])
        for theirs, ours in (_FIRST if i == 0 else _OTHER)
    ),
    (r"features\.18\.0", r"last/conv"),
    (r"features\.18\.1", r"last/norm"),
    (r"classifier\.1", r"head"),
)
"""torchvision's names of modules as ours."""

register(
    "mobilenet_v2",
    MobileNetV2,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="Sandler et al. 2018, https://arxiv.org/abs/1801.04381",
)
