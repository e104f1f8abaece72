"""EfficientNet, B0 to B7; the Lite form is in `efficientnet_lite`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Activation, Dense, Dropout, Padding, check_images, tap
from cnn_jax.layers.blocks import ConvNorm, NormKind, SqueezeExcite, global_mean
from cnn_jax.layers.inverted_residual import Chain, InvertedResidual
from cnn_jax.layers.options import check_rate
from cnn_jax.layers.residual import rematerialised
from cnn_jax.layers.scaling import Stem, check_factor, check_table, round_width, strides_for
from cnn_jax.models.registry import register

STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""(expansion, kernel size, stride, maps, blocks) of each stage of B0: the paper's table 1."""

_head_init = nn.initializers.variance_scaling(1 / 3, "fan_out", "uniform")  # ±1/sqrt(k)


class EfficientNet(nn.Module):
    """Seven stages of inverted residual blocks, scaled in width, depth and image size together.

    Tan and Le 2019, https://arxiv.org/abs/1905.11946, table 1, B0 with 224 pixels:

        stem     3x3/2, 32                              112x112
        stage1   1 block of 16 maps, 3x3, not expanded  112x112
        stage2   2 of 24, 3x3, /2                       56x56
        stage3   2 of 40, 5x5, /2                       28x28
        stage4   3 of 80, 3x3, /2                       14x14
        stage5   3 of 112, 5x5                          14x14
        stage6   4 of 192, 5x5, /2                      7x7
        stage7   1 of 320, 3x3                          7x7
        last     1x1, 1280                              7x7
        head     global mean, dropout, dense

    All blocks have squeeze and excitation, to a fourth of their input maps; all activations are
    SiLU (swish). B0 to B7 have 5.3, 7.8, 9.1, 12.2, 19.3, 30.4, 43.0 and 66.3 million parameters
    for 1000 classes. All details as in torchvision.

    Attributes:
      num_classes: number of logits.
      width: factor of all numbers of maps.
      depth: factor of the numbers of blocks, rounded up.
      stages: (expansion, kernel size, stride of the first block, maps, blocks) of each stage,
        before scaling.
      stem: "small" for images of about 32 pixels: neither the stem nor the first stage that
        halves the image does so.
      norm: see `cnn_jax.layers.blocks.normalise`.
      norm_momentum: what running statistics keep at each step.
      norm_epsilon: added to the variance.
      dropout: rate before the last layer.
      stochastic_depth: block l of L, counted from 0, leaves out its branch with probability l/L
        times this rate (https://arxiv.org/abs/1603.09382).
      remat: compute the inside of blocks a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    width: float = 1.0
    depth: float = 1.0
    stages: tuple[tuple[int, int, int, int, int], ...] = STAGES
    stem: Stem = "imagenet"
    norm: NormKind = "batch"
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    dropout: float = 0.2
    stochastic_depth: float = 0.2
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_factor(self, "width", "depth", "norm_epsilon")
        check_table(self, "stages")
        check_rate(self, "norm_momentum", "dropout", "stochastic_depth")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws from `dropout`."""
        check_images(x, smallest=(1, 1), model="efficientnet")
        strides = strides_for(self.stem, [2, *(stage[2] for stage in self.stages)])
        conv = self._conv()
        stem_width, last_width = self._ends()
        x = conv(stem_width, 3, strides[0], name="stem")(x, train=train)
        maps, before, total = stem_width, 0, sum(self._depths())
        for i, (stage, depth) in enumerate(zip(self.stages, self._depths(), strict=True), start=1):
            expansion, kernel_size, _, features, _ = stage
            width = round_width(features * self.width)
            blocks = []
            for j in range(depth):
                block = functools.partial(
                    rematerialised(InvertedResidual, self.remat),
                    width,
                    expansion * maps,
                    conv,
                    kernel_size,
                    strides[i] if j == 0 else 1,
                    self._squeeze_excite(maps),
                    self.stochastic_depth * before / total,
                )
                blocks.append(block)
                maps, before = width, before + 1
            x = Chain(blocks, name=f"stage{i}")(x, train=train)
        x = tap(self, "features", conv(last_width, 1, name="last")(x, train=train))
        x = tap(self, "embedding", global_mean(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        x = Dense(self.num_classes, kernel_init=_head_init, dtype=self.dtype, name="head")(x)
        return x.astype(jnp.float32)

    def _conv(
        self, activation: Activation = nn.silu, padding: Padding | None = None
    ) -> functools.partial[ConvNorm]:
        return functools.partial(
            ConvNorm,
            padding=padding,
            norm=self.norm,
            activation=activation,
            momentum=self.norm_momentum,
            epsilon=self.norm_epsilon,
            kernel_init="he_normal_fan_out",
            dtype=self.dtype,
        )

    def _squeeze_excite(self, maps: int) -> Callable[..., nn.Module] | None:
        """What weighs the maps of a block with so many input maps."""
        return functools.partial(
            SqueezeExcite, max(1, maps // 4), activation=nn.silu, dtype=self.dtype
        )

    def _ends(self) -> tuple[int, int]:
        """Maps of the stem and of the last convolution."""
        last = round_width(self.stages[-1][3] * self.width)
        return round_width(32 * self.width), 4 * last

    def _depths(self) -> list[int]:
        return [math.ceil(stage[4] * self.depth) for stage in self.stages]


TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"features\.0\.0", r"stem/conv"),
    (r"features\.0\.1", r"stem/norm"),
    (r"features\.1\.(\d+)\.block\.0\.0", r"stage1/block\1/depthwise/conv"),
    (r"features\.1\.(\d+)\.block\.0\.1", r"stage1/block\1/depthwise/norm"),
    (r"features\.1\.(\d+)\.block\.1\.fc1", r"stage1/block\1/squeeze_excite/reduce"),
    (r"features\.1\.(\d+)\.block\.1\.fc2", r"stage1/block\1/squeeze_excite/expand"),
    (r"features\.1\.(\d+)\.block\.2\.0", r"stage1/block\1/project/conv"),
    (r"features\.1\.(\d+)\.block\.2\.1", r"stage1/block\1/project/norm"),
    (r"features\.([2-7])\.(\d+)\.block\.0\.0", r"stage\1/block\2/expand/conv"),
    (r"features\.([2-7])\.(\d+)\.block\.0\.1", r"stage\1/block\2/expand/norm"),
    (r"features\.([2-7])\.(\d+)\.block\.1\.0", r"stage\1/block\2/depthwise/conv"),
    (r"features\.([2-7])\.(\d+)\.block\.1\.1", r"stage\1/block\2/depthwise/norm"),
    (r"features\.([2-7])\.(\d+)\.block\.2\.fc1", r"stage\1/block\2/squeeze_excite/reduce"),
    (r"features\.([2-7])\.(\d+)\.block\.2\.fc2", r"stage\1/block\2/squeeze_excite/expand"),
    (r"features\.([2-7])\.(\d+)\.block\.3\.0", r"stage\1/block\2/project/conv"),
    (r"features\.([2-7])\.(\d+)\.block\.3\.1", r"stage\1/block\2/project/norm"),
    (r"features\.8\.0", r"last/conv"),
    (r"features\.8\.1", r"last/norm"),
    (r"classifier\.1", r"head"),
)
"""torchvision's names of modules as ours."""


def _efficientnet(
    number: int, side: int, width: float, depth: float, dropout: float, **options: Any
) -> None:
    register(
        f"efficientnet_b{number}",
        EfficientNet,
        input_shape=(side, side, 3),
        num_classes=1000,
        paper="Tan and Le 2019, https://arxiv.org/abs/1905.11946",
        width=width,
        depth=depth,
        dropout=dropout,
        **options,
    )


_efficientnet(0, 224, 1.0, 1.0, 0.2)
_efficientnet(1, 240, 1.0, 1.1, 0.2)
_efficientnet(2, 260, 1.1, 1.2, 0.3)
_efficientnet(3, 300, 1.2, 1.4, 0.3)
_efficientnet(4, 380, 1.4, 1.8, 0.4)
_efficientnet(5, 456, 1.6, 2.2, 0.4, norm_momentum=0.99, norm_epsilon=1e-3)
_efficientnet(6, 528, 1.8, 2.6, 0.5, norm_momentum=0.99, norm_epsilon=1e-3)
_efficientnet(7, 600, 2.0, 3.1, 0.5, norm_momentum=0.99, norm_epsilon=1e-3)
