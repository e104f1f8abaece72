"""One network of InceptionTime, which averages five of them."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.series import (
    SeriesBatch,
    SeriesConv,
    SeriesNorm,
    as_maps,
    logits_over_time,
    max_of_three,
)
from cnn_jax.models.registry import register


class SeriesInception(nn.Module):
    """Convolutions of several widths side by side, and one of the largest of three neighbours.

    (b, t, 1, c) -> (b, t, 1, (kernels + 1) width), normalised and activated. The convolutions see
    `bottleneck` maps, made by one of width 1, where there is more than one channel.

    Attributes:
      width: maps of each branch.
      kernels: widths of the convolutions in times.
      bottleneck: maps that they see.
      norm_momentum: what running statistics keep at each step.
      dtype: what it computes in.
    """

    width: int
    kernels: tuple[int, ...]
    bottleneck: int
    norm_momentum: float = 0.99
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, there: jax.Array | None, *, train: bool = False) -> jax.Array:
        """The maps of all branches."""
        conv = functools.partial(SeriesConv, dtype=self.dtype)
        y = x
        if x.shape[-1] > 1:
            y = conv(self.bottleneck, 1, name="bottleneck")(x, there)
        branches = [
            conv(self.width, kernel, name=f"conv{i}")(y, there)
            for i, kernel in enumerate(self.kernels, start=1)
        ]
        branches.append(conv(self.width, 1, name="pooled")(max_of_three(x, there), there))
        norm = SeriesNorm(momentum=self.norm_momentum, dtype=self.dtype, name="norm")
        return norm(jnp.concatenate(branches, axis=-1), there, train=train)


class InceptionTime(nn.Module):
    """Six inception modules with a shortcut over every three, and the mean over time.

    Ismail Fawaz et al. 2020, figure 1 and 2, in the form of the authors' published code: kernels of
    40, 20 and 10 times. InceptionTime is the mean of five such nets, which differ by their seeds.

        inception1 to 3   4 times 32 maps; shortcut: convolution of width 1, norm
        inception4 to 6   4 times 32 maps; shortcut: convolution of width 1, norm
        head              mean over time, dense

    420,450 parameters for one channel and two classes.

    Attributes:
      num_classes: number of logits.
      depth: number of modules.
      width: maps of each of a module's branches.
      kernels: widths of its convolutions in times.
      bottleneck: maps that these see.
      norm_momentum: what running statistics keep at each step; Keras's default, as in the paper's
        code.
      dtype: what it computes in.
    """

    num_classes: int
    depth: int = 6
    width: int = 32
    kernels: tuple[int, ...] = (40, 20, 10)
    bottleneck: int = 32
    norm_momentum: float = 0.99
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "depth", "width", "kernels", "bottleneck")
        check_rate(self, "norm_momentum")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: SeriesBatch, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of series (b, t, c), see `SeriesBatch`."""
        maps, there = as_maps(x, "inception_time")
        norm = functools.partial(SeriesNorm, momentum=self.norm_momentum, dtype=self.dtype)
        start = maps
        for i in range(1, self.depth + 1):
            module = SeriesInception(
                self.width,
                self.kernels,
                self.bottleneck,
                self.norm_momentum,
                self.dtype,
                name=f"inception{i}",
            )
            maps = module(maps, there, train=train)
            if i % 3 == 0:
                project = SeriesConv(maps.shape[-1], 1, dtype=self.dtype, name=f"shortcut{i // 3}")
                straight = project(start, there)
                straight = norm(None, name=f"shortcut{i // 3}_norm")(straight, there, train=train)
                maps = start = nn.relu(maps + straight)
        return logits_over_time(self, maps, there, self.num_classes, self.dtype)


register(
    "inception_time",
    InceptionTime,
    input_kind="series",
    input_shape=(150, 1),
    num_classes=2,
    paper="Ismail Fawaz et al. 2020, https://arxiv.org/abs/1909.04939",
)
