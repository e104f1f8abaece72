"""AlexNet: the net of 2012, and its later form with one tower."""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Conv, Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import local_response_norm
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.pooling import adaptive_avg_pool, max_pool
from cnn_jax.models.registry import register

Widths = tuple[int, int, int, int, int]


class AlexNet(nn.Module):
    """Five convolutions and three dense layers in one tower, without normalisation.

    Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", as
    torchvision has it. For 224 pixels, where every layer but the last ends in a ReLU:

        conv1    11x11/4, pad 2, 64       55x55
        pool     3x3/2                    27x27
        conv2    5x5, 192                 27x27
        pool     3x3/2                    13x13
        conv3    3x3, 384                 13x13
        conv4    3x3, 256                 13x13
        conv5    3x3, 256                 13x13
        pool     3x3/2, then 6x6 means    6x6
        dense1   dropout, 4096
        dense2   dropout, 4096
        head     k

    61,100,840 parameters for 1000 classes. The embedding is what the last layer takes.

    Attributes:
      num_classes: number of logits.
      widths: maps of the convolutions.
      hidden: units of the dense layers before the last.
      pool_size: side in pixels of the maps that the dense layers take: images of any size are
        averaged to it.
      stem: "small" for images of about 32 pixels: conv1 is 5x5 with stride 1.
      dropout: rate before every dense layer but the last.
      dtype: what it computes in.
    """

    num_classes: int
    widths: Widths = (64, 192, 384, 256, 256)
    hidden: tuple[int, ...] = (4096, 4096)
    pool_size: int = 6
    stem: Literal["imagenet", "small"] = "imagenet"
    dropout: float = 0.5
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        _check(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws dropout from `dropout`.

        Raises:
          UserError: the images are smaller than 63x63, with the small stem 15x15, pixels.
        """
        smallest = 63 if self.stem == "imagenet" else 15
        check_images(x, smallest=(smallest, smallest), model="alexnet")
        conv = functools.partial(Conv, kernel_init="pytorch", bias_init="pytorch", dtype=self.dtype)
        dense = functools.partial(
            Dense, kernel_init="pytorch", bias_init="pytorch", dtype=self.dtype
        )

        kernel_size, strides = (11, 4) if self.stem == "imagenet" else (5, 1)
        x = nn.relu(conv(self.widths[0], kernel_size, strides, 2, name="conv1")(x))
        x = max_pool(tap(self, "stage1", x), 3, 2)
        x = nn.relu(conv(self.widths[1], 5, padding=2, name="conv2")(x))
        x = max_pool(tap(self, "stage2", x), 3, 2)
        for i in (3, 4, 5):
            x = nn.relu(conv(self.widths[i - 1], 3, padding=1, name=f"conv{i}")(x))
        x = tap(self, "features", max_pool(tap(self, "stage3", x), 3, 2))
        x = adaptive_avg_pool(x, self.pool_size)
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate(self.hidden, start=1):
            x = Dropout(self.dropout, name=f"dropout{i}")(x, train=train)
            x = nn.relu(dense(width, name=f"dense{i}")(x))
        x = tap(self, "embedding", x)
        return dense(self.num_classes, name="head")(x).astype(jnp.float32)


class AlexNet2012(nn.Module):
    """The net that won ILSVRC 2012, with its two towers as groups of two in one tower.

    Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural
    networks". Images are 227x227 for the 55x55 maps of the paper, whose 224 is a slip. Every
    layer but the last ends in a ReLU:

        conv1    11x11/4, 96, response norm    55x55
        pool     3x3/2                         27x27
        conv2    5x5, 256 in 2 groups, response norm
        pool     3x3/2                         13x13
        conv3    3x3, 384
        conv4    3x3, 384 in 2 groups
        conv5    3x3, 256 in 2 groups
        pool     3x3/2                         6x6
        dense1   4096, dropout
        dense2   4096, dropout
        head     k

    60,965,224 parameters for 1000 classes. Weights start normal with deviation 0.01; biases of
    conv2, conv4, conv5 and of the hidden dense layers start at 1, the others at 0 (section 5).

    Attributes:
      num_classes: number of logits.
      widths: maps of the convolutions.
      hidden: units of the dense layers before the last.
      pool_size: side in pixels of the maps that the dense layers take: images of other sizes
        than 227 are averaged to it.
      groups: of conv2, conv4 and conv5; 1 connects all maps.
      dropout: rate after every hidden dense layer.
      dtype: what it computes in.
    """

    num_classes: int
    widths: Widths = (96, 256, 384, 384, 256)
    hidden: tuple[int, ...] = (4096, 4096)
    pool_size: int = 6
    groups: int = 2
    dropout: float = 0.5
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        _check(self)
        check_positive(self, "groups")
        if any(width % self.groups for width in self.widths):
            raise UserError(
                f"widths={self.widths} of AlexNet2012 must be multiples of groups={self.groups}"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws dropout from `dropout`.

        Raises:
          UserError: the images are smaller than 67x67 pixels.
        """
        check_images(x, smallest=(67, 67), model="alexnet2012")
        conv = functools.partial(Conv, kernel_init="normal", dtype=self.dtype)
        grouped = functools.partial(conv, groups=self.groups, bias_init="ones")
        dense = functools.partial(Dense, kernel_init="normal", dtype=self.dtype)

        x = nn.relu(conv(self.widths[0], 11, 4, "VALID", name="conv1")(x))
        x = max_pool(tap(self, "stage1", response_norm(x)), 3, 2)
        x = nn.relu(grouped(self.widths[1], 5, padding=2, name="conv2")(x))
        x = max_pool(tap(self, "stage2", response_norm(x)), 3, 2)
        x = nn.relu(conv(self.widths[2], 3, padding=1, name="conv3")(x))
        x = nn.relu(grouped(self.widths[3], 3, padding=1, name="conv4")(x))
        x = nn.relu(grouped(self.widths[4], 3, padding=1, name="conv5")(x))
        x = tap(self, "features", max_pool(tap(self, "stage3", x), 3, 2))
        x = adaptive_avg_pool(x, self.pool_size)
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate(self.hidden, start=1):
            x = nn.relu(dense(width, bias_init="ones", name=f"dense{i}")(x))
            if i == len(self.hidden):
                x = tap(self, "embedding", x)
            x = Dropout(self.dropout, name=f"dropout{i}")(x, train=train)
        return dense(self.num_classes, name="head")(x).astype(jnp.float32)


def response_norm(x: jax.Array) -> jax.Array:
    """Local response normalisation with the paper's k = 2, n = 5, alpha = 1e-4, beta = 0.75.

    The paper's alpha weighs the sum of the squares, that of `local_response_norm` their mean.
    """
    return local_response_norm(x, size=5, alpha=5 * 1e-4, beta=0.75, k=2.0)


def _check(module: AlexNet | AlexNet2012) -> None:
    if not module.hidden:
        raise UserError(f"hidden=() of {type(module).__name__}: at least one layer is needed")
    check_positive(module, "widths", "hidden", "pool_size")
    check_rate(module, "dropout")


TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"features\.0", r"conv1"),
    (r"features\.3", r"conv2"),
    (r"features\.6", r"conv3"),
    (r"features\.8", r"conv4"),
    (r"features\.10", r"conv5"),
    (r"classifier\.1", r"dense1"),
    (r"classifier\.4", r"dense2"),
    (r"classifier\.6", r"head"),
)
"""torchvision's names of modules as ours; it has the single tower only."""

TORCH_FLATTENED: dict[str, tuple[int, int, int]] = {"dense1": (256, 6, 6)}
"""Dense layers that take flattened maps: the (c, h, w) of these in PyTorch."""

register(
    "alexnet",
    AlexNet,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="Krizhevsky 2014, https://arxiv.org/abs/1404.5997",
)
register(
    "alexnet2012",
    AlexNet2012,
    input_shape=(227, 227, 3),
    num_classes=1000,
    paper="Krizhevsky et al. 2012, https://doi.org/10.1145/3065386",
)
