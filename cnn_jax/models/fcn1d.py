"""The fully convolutional net of Wang et al. for series."""

from __future__ import annotations

import jax
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.series import SeriesBatch, SeriesConv, SeriesNorm, as_maps, logits_over_time
from cnn_jax.models.registry import register


class FCN1d(nn.Module):
    """Three convolutions along time and the mean over it: Wang, Yan, Oates 2016, section II-B.

        block1   8, 128, norm, ReLU
        block2   5, 256, norm, ReLU
        block3   3, 128, norm, ReLU
        head     mean over time, dense

    264,962 parameters for one channel and two classes.

    Attributes:
      num_classes: number of logits.
      widths: maps of each convolution.
      kernels: their widths in times.
      norm_momentum: what running statistics keep at each step; Keras's default, as in the paper's
        code.
      dtype: what it computes in.
    """

    num_classes: int
    widths: tuple[int, ...] = (128, 256, 128)
    kernels: tuple[int, ...] = (8, 5, 3)
    norm_momentum: float = 0.99
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "widths", "kernels")
        check_rate(self, "norm_momentum")
        if len(self.widths) != len(self.kernels) or not self.widths:
            raise UserError(
                f"widths={self.widths} and kernels={self.kernels} of FCN1d: one of each a layer"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, x: SeriesBatch, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of series (b, t, c), see `SeriesBatch`."""
        maps, there = as_maps(x, "fcn1d")
        for i, (width, kernel) in enumerate(zip(self.widths, self.kernels, strict=True), start=1):
            conv = SeriesConv(width, kernel, use_bias=True, dtype=self.dtype, name=f"conv{i}")
            norm = SeriesNorm(momentum=self.norm_momentum, dtype=self.dtype, name=f"norm{i}")
            maps = norm(conv(maps, there), there, train=train)
        return logits_over_time(self, maps, there, self.num_classes, self.dtype)


register(
    "fcn1d",
    FCN1d,
    input_kind="series",
    input_shape=(150, 1),
    num_classes=2,
    paper="Wang et al. 2016, https://arxiv.org/abs/1611.06455",
)
