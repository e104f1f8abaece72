"""VGG: nothing but 3x3 convolutions, with and without batch normalisation."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Conv, Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import NormKind, normalise
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.pooling import adaptive_avg_pool, max_pool
from cnn_jax.models.registry import register


class Stage(nn.Module):
    """3x3 convolutions, each normalised and with a ReLU: (b, h, w, c) -> (b, h, w, features).

    The convolutions have biases even before a normalisation that takes them away again, since
    torchvision's have, and so its counts of parameters hold.

    Attributes:
      features: maps of every convolution.
      depth: number of convolutions.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: conv1, norm1, conv2, norm2, ...
    """

    features: int
    depth: int
    norm: NormKind = "none"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """The maps of the last convolution."""
        for i in range(1, self.depth + 1):
            x = Conv(
                self.features,
                3,
                padding=1,
                kernel_init="he_normal_fan_out",
                dtype=self.dtype,
                name=f"conv{i}",
            )(x)
            x = normalise(
                x, self.norm, train=train, dtype=self.dtype, name=f"norm{i}", activation=nn.relu
            )
        return x


class VGG(nn.Module):
    """Stages of 3x3 convolutions and 2x2 max pooling, then three dense layers.

    Simonyan and Zisserman 2014, "Very deep convolutional networks for large-scale image
    recognition", table 1, columns A, B, D and E, as torchvision has it. For 224 pixels, with
    the convolutions of VGG 11 / 13 / 16 / 19:

        stage1   64 maps, 1 / 2 / 2 / 2 convolutions     224x224
        stage2   128 maps, 1 / 2 / 2 / 2                 112x112
        stage3   256 maps, 2 / 2 / 3 / 4                 56x56
        stage4   512 maps, 2 / 2 / 3 / 4                 28x28
        stage5   512 maps, 2 / 2 / 3 / 4                 14x14
        pool     2x2 after every stage; 7x7 means        7x7
        dense1   4096, ReLU, dropout
        dense2   4096, ReLU, dropout
        head     k

    For small images, such as those of CIFAR, `pool_size=1, hidden=(512,)` spares the dense
    layers' hundred million parameters. The embedding is what the last layer takes.

    Attributes:
      num_classes: number of logits.
      depths: convolutions of each stage.
      widths: maps of each stage.
      hidden: units of the dense layers before the last.
      pool_size: side in pixels of the maps that the dense layers take: images of any size are
        averaged to it.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dropout: rate after every hidden dense layer.
      remat: compute the inside of stages a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    depths: tuple[int, ...] = (1, 1, 2, 2, 2)
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    hidden: tuple[int, ...] = (4096, 4096)
    pool_size: int = 7
    norm: NormKind = "none"
    dropout: float = 0.5
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        if not self.depths or len(self.depths) != len(self.widths):
            raise UserError(
                f"depths={self.depths} and widths={self.widths} of VGG: one of each a stage, "
                "and at least one stage"
            )
        check_positive(self, "depths", "widths", "hidden", "pool_size")
        check_rate(self, "dropout")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws dropout from `dropout`.

        Raises:
          UserError: the images are too small to be halved once for every stage.
        """
        side = 2 ** len(self.depths)
        check_images(x, smallest=(side, side), model=f"vgg with depths={self.depths}")
        # Of the method's arguments (self, x, train), train is no array.
        kind = nn.remat(Stage, static_argnums=(2,)) if self.remat else Stage
        for i, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True), start=1):
            x = kind(width, depth, self.norm, self.dtype, name=f"stage{i}")(x, train)
            x = max_pool(x, 2)
        x = adaptive_avg_pool(tap(self, "features", x), self.pool_size)
        x = x.reshape(x.shape[0], -1)
        dense = functools.partial(Dense, kernel_init="normal", dtype=self.dtype)
        for i, width in enumerate(self.hidden, start=1):
            x = nn.relu(dense(width, name=f"dense{i}")(x))
            if i == len(self.hidden):
                x = tap(self, "embedding", x)
            x = Dropout(self.dropout, name=f"dropout{i}")(x, train=train)
        return dense(self.num_classes, name="head")(x).astype(jnp.float32)


_DEPTHS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}


def _torch_names(depths: tuple[int, ...], norm: bool) -> tuple[tuple[str, str], ...]:
    names = []
    index = 0
    for stage, depth in enumerate(depths, start=1):
        for i in range(1, depth + 1):
            names.append((rf"features\.{index}", f"stage{stage}/conv{i}"))
            if norm:
                names.append((rf"features\.{index + 1}", f"stage{stage}/norm{i}"))
            index += 3 if norm else 2  # the ReLU counts too
        index += 1  # and the pooling
    dense = ((r"classifier\.0", "dense1"), (r"classifier\.3", "dense2"), (r"classifier\.6", "head"))
    return (*names, *dense)


TORCH_NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    f"{name}{suffix}": _torch_names(depths, norm=bool(suffix))
    for name, depths in _DEPTHS.items()
    for suffix in ("", "_bn")
}
"""torchvision's names of modules as ours, for each registered model.

torchvision numbers all layers, poolings and ReLUs included, one after the other, so that the
same name stands for a convolution in one model and for a normalisation in another.
"""

TORCH_FLATTENED: dict[str, tuple[int, int, int]] = {"dense1": (512, 7, 7)}
"""Dense layers that take flattened maps: the (c, h, w) of these in PyTorch."""

_vgg = functools.partial(
    register,
    module=VGG,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556",
)
for _name, _depths in _DEPTHS.items():
    _vgg(_name, depths=_depths)
    _vgg(f"{_name}_bn", depths=_depths, norm="batch")
