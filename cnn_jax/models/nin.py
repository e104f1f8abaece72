"""Network in Network."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Conv, Dropout, check_images, tap
from cnn_jax.layers.blocks import ConvNorm, NormKind, global_mean
from cnn_jax.layers.options import check_rate
from cnn_jax.layers.pooling import avg_pool, ceil_max_pool, ceil_sides
from cnn_jax.models.registry import register

_start = nn.initializers.normal(0.05)


class MLPConv(nn.Module):
    """A convolution and 1x1 convolutions after it: a small perceptron slid over the maps.

    (b, h, w, c) -> (b, h, w, widths[-1]), with a ReLU after every convolution.

    Attributes:
      widths: maps of the convolutions.
      kernel_size: side in pixels of the first kernel.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.
    """

    widths: tuple[int, ...]
    kernel_size: int
    norm: NormKind = "none"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The maps of the last convolution."""
        conv = functools.partial(ConvNorm, norm=self.norm, kernel_init=_start, dtype=self.dtype)
        for i, width in enumerate(self.widths, start=1):
            x = conv(width, self.kernel_size if i == 1 else 1, name=f"conv{i}")(x, train=train)
        return x


class NiN(nn.Module):
    """Three mlpconv layers whose last maps, one a class, are averaged to the logits.

    Lin, Chen, Yan 2013, "Network In Network": the net for CIFAR-10, in the form of the authors'
    published definition. For 32 pixels, where every convolution ends in a ReLU, the last too:

        mlpconv1   5x5 192, 1x1 160, 1x1 96            32x32
        pool       max 3x3/2, rounded up, dropout      16x16
        mlpconv2   5x5 192, 1x1 192, 1x1 192           16x16
        pool       average 3x3/2, rounded up, dropout  8x8
        mlpconv3   3x3 192, 1x1 192                    8x8
        head       1x1 k, global mean

    966,986 parameters for 10 classes. Weights start normal with deviation 0.05, biases at 0.
    The logits, means after a ReLU, are never below 0. The features are the maps before the head,
    the embedding their means.

    Attributes:
      num_classes: number of logits.
      widths: maps of the convolutions of each mlpconv layer, the head excepted.
      norm: see `cnn_jax.layers.blocks.normalise`; before every ReLU but the head's.
      dropout: rate after both poolings.
      dtype: what it computes in.
    """

    num_classes: int
    widths: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] = (
        (192, 160, 96),
        (192, 192, 192),
        (192, 192),
    )
    norm: NormKind = "none"
    dropout: float = 0.5
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        if not all(self.widths):
            raise UserError(f"widths={self.widths} of NiN: every layer needs a convolution")
        if not all(width > 0 for layer in self.widths for width in layer):
            raise UserError(f"widths={self.widths} of NiN: must be above zero, whole numbers")
        check_rate(self, "dropout")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws dropout from `dropout`."""
        check_images(x, smallest=(4, 4), model="nin")
        for i, (widths, kernel_size) in enumerate(
            zip(self.widths, (5, 5, 3), strict=True), start=1
        ):
            layer = MLPConv(widths, kernel_size, self.norm, self.dtype, name=f"mlpconv{i}")
            x = tap(self, f"stage{i}", layer(x, train=train))
            if i == 1:
                x = ceil_max_pool(x, 3, 2)
            if i == 2:
                # Padded, avg_pool divides by counts that are float32.
                x = avg_pool(x, 3, 2, ceil_sides(x, 3, 2)).astype(x.dtype)
            if i < 3:
                x = Dropout(self.dropout, name=f"dropout{i}")(x, train=train)
        x = tap(self, "features", x)
        tap(self, "embedding", global_mean(x))
        x = Conv(self.num_classes, 1, kernel_init=_start, dtype=self.dtype, name="head")(x)
        return global_mean(nn.relu(x)).astype(jnp.float32)


register(
    "nin",
    NiN,
    input_shape=(32, 32, 3),
    num_classes=10,
    paper="Lin et al. 2013, https://arxiv.org/abs/1312.4400",
)
