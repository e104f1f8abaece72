"""U-Net: maps of every size on the way down, joined again on the way up."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Conv, Dropout, check_images, tap
from cnn_jax.layers.blocks import ConvNorm, NormKind
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.pooling import max_pool
from cnn_jax.layers.residual import rematerialised
from cnn_jax.layers.upsampling import TransposedConv, grown
from cnn_jax.models.registry import register


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, each with normalisation and ReLU: (b, h, w, c) -> (b, h, w, features).

    Attributes:
      features: number of output maps.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: conv1, conv2.
    """

    features: int
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """The maps of the second convolution."""
        conv = functools.partial(ConvNorm, self.features, 3, norm=self.norm, dtype=self.dtype)
        return conv(name="conv2")(conv(name="conv1")(x, train=train), train=train)


class UNet(nn.Module):
    """Pairs of convolutions between poolings, and as many between doublings of the size.

    Ronneberger, Fischer, Brox 2015, https://arxiv.org/abs/1505.04597, figure 1, with the maps of
    width 64 and depth 5, for 572 pixels:

        down1    64 maps    572x572    up1    64, joined with those of down1
        down2    128        286x286    up2    128
        down3    256        143x143    up3    256
        down4    512        71x71      up4    512
        down5    1024       35x35
        head     1x1 convolution

    Convolutions are padded, so that there are logits of every pixel, where the paper loses a rim;
    and normalised, by default, which the paper's are not: 31,032,395 parameters for 11 classes
    with norm="none". An odd size is pooled to the half, rounded down; on the way up zeros take the
    place of the row or column that was left out.

    Attributes:
      num_classes: number of logits.
      width: maps of the first level, doubled by every further one.
      depth: number of levels.
      patch: side of the squares of pixels that the first level takes as one, and whose logits the
        last gives at once (sub-pixel convolution, Shi et al. 2016,
        https://arxiv.org/abs/1609.05158): with 2 all maps have a quarter of the places.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dropout: rate of the smallest maps.
      remat: compute the inside of pairs a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    width: int = 64
    depth: int = 5
    patch: int = 1
    norm: NormKind = "batch"
    dropout: float = 0.0
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "width", "depth", "patch")
        check_rate(self, "dropout")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, h, w, k) float32 of images (b, h, w, c).

        Raises:
          UserError: the images are too small to be halved between all levels.
        """
        side = self.patch * 2 ** (self.depth - 1)
        height, width = x.shape[1:3]
        check_images(x, smallest=(side, side), model=f"unet with depth={self.depth}")
        pair = functools.partial(
            rematerialised(DoubleConv, self.remat), norm=self.norm, dtype=self.dtype
        )
        levels = []
        x = as_patches(x, self.patch)
        for level in range(1, self.depth + 1):
            if level > 1:
                x = max_pool(x, 2)
            x = pair(self.width * 2 ** (level - 1), name=f"down{level}")(x, train)
            levels.append(x)
        x = Dropout(self.dropout, name="dropout")(tap(self, "features", x), train=train)
        for level in range(self.depth - 1, 0, -1):
            maps, before = self.width * 2 ** (level - 1), levels[level - 1]
            x = TransposedConv(maps, 2, 2, dtype=self.dtype, name=f"larger{level}")(x)
            x = jnp.concatenate([before, grown(x, before.shape[1:3])], axis=-1)
            x = pair(maps, name=f"up{level}")(x, train)
        head = Conv(
            self.num_classes * self.patch**2,
            1,
            kernel_init="pytorch",
            bias_init="pytorch",
            dtype=self.dtype,
            name="head",
        )
        logits = as_pixels(head(x), self.patch)[:, :height, :width]
        return logits.astype(jnp.float32)


def as_patches(x: jax.Array, side: int) -> jax.Array:
    """Squares of pixels as one place: (b, h, w, c) -> (b, h / side, w / side, side * side * c).

    Where a side is no multiple zeros are added at the bottom or right.
    """
    if side == 1:
        return x
    batch, height, width, maps = x.shape
    x = jnp.pad(x, ((0, 0), (0, -height % side), (0, -width % side), (0, 0)))
    x = x.reshape(batch, x.shape[1] // side, side, x.shape[2] // side, side, maps)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, x.shape[1], x.shape[3], -1)


def as_pixels(x: jax.Array, side: int) -> jax.Array:
    """Undoes `as_patches`, but for what it has added."""
    if side == 1:
        return x
    batch, height, width, maps = x.shape
    x = x.reshape(batch, height, width, side, side, maps // side**2)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height * side, width * side, -1)


_unet = functools.partial(
    register,
    module=UNet,
    input_shape=(360, 480, 3),
    num_classes=11,
    paper="Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597",
    output_kind="pixels",
)
_unet("unet")
_unet("unet32", width=32)
