"""MobileNetV3, large; the small one is in `mobilenet_v3_small`."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Activation, Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import ConvNorm, NormKind, SqueezeExcite, global_mean
from cnn_jax.layers.inverted_residual import Chain, InvertedResidual, flat_names
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.residual import rematerialised, rising_rates
from cnn_jax.layers.scaling import (
    Stem,
    check_factor,
    check_output_stride,
    check_table,
    dilated,
    round_width,
    strides_for,
)
from cnn_jax.models.registry import register

Row = tuple[int, int, int, bool, Literal["relu", "hard_swish"], int]
"""Kernel size, expanded maps, maps, squeeze and excitation, activation, stride of a block."""

Stages = tuple[tuple[Row, ...], ...]

LARGE: Stages = (
    ((3, 16, 16, False, "relu", 1),),
    (
        (3, 64, 24, False, "relu", 2),
        (3, 72, 24, False, "relu", 1),
    ),
    (
        (5, 72, 40, True, "relu", 2),
        (5, 120, 40, True, "relu", 1),
        (5, 120, 40, True, "relu", 1),
    ),
    (
        (3, 240, 80, False, "hard_swish", 2),
        (3, 200, 80, False, "hard_swish", 1),
        (3, 184, 80, False, "hard_swish", 1),
        (3, 184, 80, False, "hard_swish", 1),
        (3, 480, 112, True, "hard_swish", 1),
        (3, 672, 112, True, "hard_swish", 1),
    ),
    (
        (5, 672, 160, True, "hard_swish", 2),
        (5, 960, 160, True, "hard_swish", 1),
        (5, 960, 160, True, "hard_swish", 1),
    ),
)
"""The blocks of the paper's table 1, in stages of one size of maps."""

_ACTIVATIONS = {"relu": nn.relu, "hard_swish": nn.hard_swish}


class MobileNetV3(nn.Module):
    """Inverted residual blocks found by search, with squeeze and excitation in some.

    Howard et al. 2019, https://arxiv.org/abs/1905.02244, table 1 (large), for 224 pixels:

        stem     3x3/2, 16, hard swish       112x112
        stage1   1 block of 16 maps          112x112
        stage2   2 of 24, /2                 56x56
        stage3   3 of 40, /2                 28x28
        stage4   4 of 80, 2 of 112, /2       14x14
        stage5   3 of 160, /2                7x7
        last     1x1, 960, hard swish        7x7
        dense    global mean, 1280, hard swish, dropout
        head     dense

    5,483,032 parameters for 1000 classes. Details as in torchvision: a fourth of the expanded
    maps between the layers of squeeze and excitation, whose gate is a hard sigmoid; batch
    normalisation with epsilon 1e-3, of whose running statistics 0.99 are kept at each step.

    Attributes:
      num_classes: number of logits.
      width: factor of all numbers of maps and of `hidden`.
      stages: the blocks of each stage, see `Row`.
      hidden: units of the dense layer before the last.
      stem: "small" for images of about 32 pixels: neither the stem nor the first block that
        halves the image does so.
      output_stride: maps are no smaller than an image by more than this, such as 16: depthwise
        convolutions are dilated instead, from the first that would have strided on.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dropout: rate before the last layer.
      stochastic_depth: rate at which the last block leaves out its branch; it rises linearly
        over the blocks (https://arxiv.org/abs/1603.09382).
      remat: compute the inside of blocks a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    width: float = 1.0
    stages: Stages = LARGE
    hidden: int = 1280
    stem: Stem = "imagenet"
    output_stride: int | None = None
    norm: NormKind = "batch"
    dropout: float = 0.2
    stochastic_depth: float = 0.0
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_factor(self, "width")
        check_table(self, "stages")
        check_positive(self, "hidden")
        check_rate(self, "dropout", "stochastic_depth")
        check_output_stride(self, 1 if self.stem == "small" else 2)
        if any(row[4] not in _ACTIVATIONS for stage in self.stages for row in stage):
            raise UserError(
                f"stages={self.stages!r} of {type(self).__name__}: activations are "
                + " or ".join(map(repr, _ACTIVATIONS))
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws from `dropout`."""
        check_images(x, smallest=(1, 1), model="mobilenet_v3")
        rows = [row for stage in self.stages for row in stage]
        strides = strides_for(self.stem, [2, *(row[5] for row in rows)])
        steps = iter(dilated(strides, self.output_stride))
        conv = self._conv(nn.hard_swish)
        x = conv(round_width(16 * self.width), 3, next(steps)[0], name="stem")(x, train=train)
        rates = rising_rates(self.stochastic_depth, [len(stage) for stage in self.stages])
        for i, stage in enumerate(self.stages):
            blocks = [
                self._block(row, next(steps), rate)
                for row, rate in zip(stage, rates[i], strict=True)
            ]
            x = Chain(blocks, name=f"stage{i + 1}")(x, train=train)
        x = tap(self, "features", conv(6 * x.shape[-1], 1, name="last")(x, train=train))
        x = tap(self, "embedding", global_mean(x))
        dense = functools.partial(Dense, kernel_init="normal", dtype=self.dtype)
        x = nn.hard_swish(dense(round_width(self.hidden * self.width), name="dense")(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        return dense(self.num_classes, name="head")(x).astype(jnp.float32)

    def _conv(self, activation: Activation) -> functools.partial[ConvNorm]:
        return functools.partial(
            ConvNorm,
            norm=self.norm,
            activation=activation,
            momentum=0.99,
            epsilon=1e-3,
            kernel_init="he_normal_fan_out",
            dtype=self.dtype,
        )

    def _block(
        self, row: Row, step: tuple[int, int, int], rate: float
    ) -> functools.partial[nn.Module]:
        kernel_size, hidden, features, squeeze_excite, activation, _ = row
        hidden = round_width(hidden * self.width)
        strides, _, dilation = step
        excite = functools.partial(
            SqueezeExcite,
            round_width(hidden // 4),
            gate=nn.hard_sigmoid,
            dtype=self.dtype,
        )
        return functools.partial(
            rematerialised(InvertedResidual, self.remat),
            round_width(features * self.width),
            hidden,
            self._conv(_ACTIVATIONS[activation]),
            kernel_size,
            strides,
            excite if squeeze_excite else None,
            rate,
            dilation,
        )


def torch_names(stages: Stages) -> tuple[tuple[str, str], ...]:
    """Names that torchvision has for the modules of the net with these stages, with ours.

    It counts blocks from 1 through the net, and the parts of a block from 0, whichever
    it has.
    """
    rows = [row for stage in stages for row in stage]
    last = rf"features\.{len(rows) + 1}"
    return (
        (r"features\.0\.0", "stem/conv"),
        (r"features\.0\.1", "stem/norm"),
        *(
            (rf"features\.{i + 1}\.block\.{theirs}", f"{path}/{ours}")
            for i, path in flat_names([len(stage) for stage in stages])
            for theirs, ours in _parts(rows[i], 16 if i == 0 else rows[i - 1][2])
        ),
        (rf"{last}\.0", "last/conv"),
        (rf"{last}\.1", "last/norm"),
        (r"classifier\.0", "dense"),
        (r"classifier\.3", "head"),
    )


def _parts(row: Row, inputs: int) -> Iterator[tuple[str, str]]:
    _, hidden, _, squeeze_excite, _, _ = row
    parts = ["expand"] * (hidden != inputs) + ["depthwise"]
    parts += ["squeeze_excite"] * squeeze_excite + ["project"]
    for place, part in enumerate(parts):
        if part == "squeeze_excite":
            yield rf"{place}\.fc1", f"{part}/reduce"
            yield rf"{place}\.fc2", f"{part}/expand"
        else:
            yield rf"{place}\.0", f"{part}/conv"
            yield rf"{place}\.1", f"{part}/norm"


TORCH_NAMES: tuple[tuple[str, str], ...] = torch_names(LARGE)
"""torchvision's names of modules as ours."""

register(
    "mobilenet_v3_large",
    MobileNetV3,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="Howard et al. 2019, https://arxiv.org/abs/1905.02244",
)
