"""LeNet-5 as it is mostly written today: ReLU, max pooling, softmax outputs."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Conv, Dense, Dropout, check_images, tap
from cnn_jax.layers.initialisers import Init
from cnn_jax.layers.options import check_initialisers, check_positive, check_rate
from cnn_jax.layers.pooling import max_pool
from cnn_jax.models.registry import register

SIDE = 32
"""Pixels to which smaller images are padded."""


class LeNet5ReLU(nn.Module):
    """Two 5x5 convolutions with ReLU and max pooling, then dense layers.

    LeCun et al. 1998, "Gradient-based learning applied to document recognition", with today's
    nonlinearity, pooling and output, and every map of conv2 connected to every map of conv1.
    61,706 parameters for ten classes on 32x32x1 images.

    Attributes:
      num_classes: number of logits.
      widths: maps of the two convolutions.
      hidden: units of the dense layers before the last.
      padding: zero pixels around the images; by default as many as bring the shorter side to
        32, as the paper centres its 28x28 digits in 32x32.
      dropout: rate after every hidden dense layer.
      kernel_init: see `cnn_jax.layers.initialisers`.
      bias_init: see there.
      dtype: what it computes in.
    """

    num_classes: int
    widths: tuple[int, int] = (6, 16)
    hidden: tuple[int, ...] = (120, 84)
    padding: int | None = None
    dropout: float = 0.0
    kernel_init: Init = "he_normal"
    bias_init: Init = "zeros"
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "widths", "hidden")
        check_rate(self, "dropout")
        check_initialisers(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws dropout from `dropout`.

        Raises:
          UserError: with the padding the images are smaller than 16x16 pixels.
        """
        check_images(x, smallest=(1, 1), model="lenet5_relu")
        padding = self.padding
        if padding is None:
            padding = max(0, (SIDE - min(x.shape[1:3]) + 1) // 2)
        x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
        check_images(x, smallest=(16, 16), model="lenet5_relu, padding included")

        conv = functools.partial(
            Conv, kernel_init=self.kernel_init, bias_init=self.bias_init, dtype=self.dtype
        )
        dense = functools.partial(
            Dense, kernel_init=self.kernel_init, bias_init=self.bias_init, dtype=self.dtype
        )
        for i, width in enumerate(self.widths, start=1):
            x = conv(width, kernel_size=5, padding="VALID", name=f"conv{i}")(x)
            x = tap(self, f"relu{i}", nn.relu(x))
            x = tap(self, f"pool{i}", max_pool(x, 2))
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate(self.hidden, start=1):
            x = nn.relu(dense(width, name=f"dense{i}")(x))
            x = tap(self, f"dense{i}_relu", x)
            x = Dropout(self.dropout, name=f"dropout{i}")(x, train=train)
        x = dense(self.num_classes, name="head")(x)
        return x.astype(jnp.float32)


register(
    "lenet5_relu",
    LeNet5ReLU,
    input_shape=(32, 32, 1),
    num_classes=10,
    paper="LeCun et al. 1998, https://doi.org/10.1109/5.726791",
)
