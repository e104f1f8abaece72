"""SegNet: maps are made larger by putting values where the largest stood that were pooled."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Conv, check_images, tap
from cnn_jax.layers.blocks import NormKind, local_response_norm, normalise
from cnn_jax.layers.options import check_positive
from cnn_jax.layers.unpooling import pool_with_places, unpool
from cnn_jax.models.registry import register


class ConvChain(nn.Module):
    """Convolutions, each with normalisation and, where asked for, ReLU.

    (b, h, w, c) -> (b, h, w, widths[-1]).

    Attributes:
      widths: maps of each convolution.
      kernel_size: side of the kernels in pixels.
      relu: whether there are ReLUs.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: conv1, norm1, conv2, norm2, ...
    """

    widths: tuple[int, ...]
    kernel_size: int
    relu: bool = True
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The maps of the last convolution."""
        for i, width in enumerate(self.widths, start=1):
            x = Conv(
                width,
                self.kernel_size,
                padding=self.kernel_size // 2,
                dtype=self.dtype,
                name=f"conv{i}",
            )(x)
            x = normalise(
                x,
                self.norm,
                train=train,
                dtype=self.dtype,
                name=f"norm{i}",
                activation=nn.relu if self.relu else None,
            )
        return x


class SegNet(nn.Module):
    """A net of convolutions and poolings, and its mirror image.

    Badrinarayanan, Kendall, Cipolla 2015, https://arxiv.org/abs/1511.00561. The mirror image has
    for each pooling 2x2 one that puts its values where the largest stood, and zeros elsewhere, and
    then convolutions as many as before the pooling. The small form, SegNet-Basic, has one 7x7
    convolution of 64 maps a level, no ReLU in the mirror image, and divides images by the strength
    of neighbouring channels; the large one has those of VGG16.

    An odd size is pooled to the half, rounded up, as in Caffe, so that images of any size will do.

    Attributes:
      num_classes: number of logits.
      depths: convolutions of each level.
      widths: maps of each level.
      kernel_size: side of the kernels in pixels.
      head_kernel: side of the last one.
      mirror_relu: whether there are ReLUs in the mirror image.
      local_contrast: whether images are divided by the strength of neighbouring channels.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.
    """

    num_classes: int
    depths: tuple[int, ...] = (2, 2, 3, 3, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    kernel_size: int = 3
    head_kernel: int = 3
    mirror_relu: bool = True
    local_contrast: bool = False
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "depths", "widths", "kernel_size", "head_kernel")
        if len(self.depths) != len(self.widths) or not self.depths:
            raise UserError(
                f"depths={self.depths!r}, widths={self.widths!r} of SegNet: must be as many, at "
                "least one"
            )
        if self.kernel_size % 2 == 0 or self.head_kernel % 2 == 0:
            raise UserError(
                f"kernel_size={self.kernel_size}, head_kernel={self.head_kernel} of SegNet: must "
                "be odd, so that maps keep their size"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, h, w, k) float32 of images (b, h, w, c)."""
        check_images(x, smallest=(1, 1), model="segnet")
        chain = functools.partial(
            ConvChain, kernel_size=self.kernel_size, norm=self.norm, dtype=self.dtype
        )
        if self.local_contrast:
            x = local_response_norm(x, size=5, alpha=1e-4, beta=0.75)
        pooled = []
        levels = list(zip(self.depths, self.widths, strict=True))
        for level, (depth, width) in enumerate(levels, start=1):
            x = chain((width,) * depth, name=f"down{level}")(x, train=train)
            size = x.shape[1:3]
            x, places = pool_with_places(x)
            pooled.append((places, size))
        x = tap(self, "features", x)
        for level in range(len(levels), 0, -1):
            depth, width = levels[level - 1]
            below = levels[level - 2][1] if level > 1 else width
            places, size = pooled[level - 1]
            x = unpool(x, places, size)
            # Where the first level has several, the last of them is the head.
            end = () if level == 1 and depth > 1 else (below,)
            widths = (width,) * (depth - 1) + end
            x = chain(widths, relu=self.mirror_relu, name=f"up{level}")(x, train=train)
        head = Conv(
            self.num_classes,
            self.head_kernel,
            padding=self.head_kernel // 2,
            kernel_init="pytorch",
            bias_init="pytorch",
            dtype=self.dtype,
            name="head",
        )
        return head(x).astype(jnp.float32)


_segnet = functools.partial(
    register,
    module=SegNet,
    input_shape=(360, 480, 3),
    num_classes=11,
    paper="Badrinarayanan et al. 2015, https://arxiv.org/abs/1511.00561",
    output_kind="pixels",
)
_segnet("segnet")
_segnet(
    "segnet_basic",
    depths=(1, 1, 1, 1),
    widths=(64, 64, 64, 64),
    kernel_size=7,
    head_kernel=1,
    mirror_relu=False,
    local_contrast=True,
)
