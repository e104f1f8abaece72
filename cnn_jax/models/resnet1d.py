"""The residual net of Wang et al. for series."""

from __future__ import annotations

import functools

import jax
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.series import SeriesBatch, SeriesConv, SeriesNorm, as_maps, logits_over_time
from cnn_jax.models.registry import register


class SeriesBlock(nn.Module):
    """ReLU of the input plus three convolutions of it: (b, t, 1, c) -> (b, t, 1, features).

    The input is brought to as many maps by a convolution of width 1, and normalised in any case.

    Attributes:
      features: number of output maps.
      kernels: widths of the convolutions in times.
      norm_momentum: what running statistics keep at each step.
      dtype: what it computes in.
    """

    features: int
    kernels: tuple[int, ...]
    norm_momentum: float = 0.99
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, there: jax.Array | None, *, train: bool = False) -> jax.Array:
        """The maps of the block."""
        conv = functools.partial(SeriesConv, self.features, use_bias=True, dtype=self.dtype)
        norm = functools.partial(SeriesNorm, momentum=self.norm_momentum, dtype=self.dtype)
        y = x
        for i, kernel in enumerate(self.kernels, start=1):
            activation = nn.relu if i < len(self.kernels) else None
            y = conv(kernel, name=f"conv{i}")(y, there)
            y = norm(activation, name=f"norm{i}")(y, there, train=train)
        if x.shape != y.shape:
            x = conv(1, name="shortcut")(x, there)
        x = norm(None, name="shortcut_norm")(x, there, train=train)
        return nn.relu(x + y)


class ResNet1d(nn.Module):
    """Three residual blocks and the mean over time: Wang, Yan, Oates 2016, section II-C.

        block1   8, 5, 3; 64
        block2   8, 5, 3; 128
        block3   8, 5, 3; 128
        head     mean over time, dense

    504,258 parameters for one channel and two classes.

    Attributes:
      num_classes: number of logits.
      widths: maps of each block.
      kernels: widths in times of the convolutions of a block.
      norm_momentum: what running statistics keep at each step; Keras's default, as in the paper's
        code.
      dtype: what it computes in.
    """

    num_classes: int
    widths: tuple[int, ...] = (64, 128, 128)
    kernels: tuple[int, ...] = (8, 5, 3)
    norm_momentum: float = 0.99
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "widths", "kernels")
        check_rate(self, "norm_momentum")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: SeriesBatch, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of series (b, t, c), see `SeriesBatch`."""
        maps, there = as_maps(x, "resnet1d")
        for i, width in enumerate(self.widths, start=1):
            block = SeriesBlock(
                width, self.kernels, self.norm_momentum, self.dtype, name=f"block{i}"
            )
            maps = block(maps, there, train=train)
        return logits_over_time(self, maps, there, self.num_classes, self.dtype)


register(
    "resnet1d",
    ResNet1d,
    input_kind="series",
    input_shape=(150, 1),
    num_classes=2,
    paper="Wang et al. 2016, https://arxiv.org/abs/1611.06455",
)
