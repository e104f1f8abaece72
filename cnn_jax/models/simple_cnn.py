"""A small convolutional network to start from."""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Conv, Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import normalise
from cnn_jax.layers.initialisers import Init
from cnn_jax.layers.options import check_initialisers, check_positive, check_rate
from cnn_jax.layers.pooling import max_pool
from cnn_jax.layers.whitening import Whitened, WhiteningConv
from cnn_jax.models.registry import register


class SimpleCNN(Whitened, nn.Module):
    """Stages of convolution, ReLU and 2x2 max pooling, then dense layers.

    Attributes:
      num_classes: number of logits.
      widths: maps of each stage; every stage halves height and width.
      kernel_size: side of the kernels in pixels; images are padded to keep their size.
      convs_per_stage: convolutions before each pooling.
      hidden: units of the dense layers before the last.
      norm: "batch" normalises between every convolution and its ReLU, and then leaves out the
        convolution's bias, which the normalisation would subtract again.
      dropout: rate after every hidden dense layer.
      whiten: begin with a fixed 2x2 convolution that makes patches white, and a ReLU; it takes a
        pixel from height and width. See `cnn_jax.layers.whitening`.
      kernel_init: see `cnn_jax.layers.initialisers`.
      bias_init: see there.
      dtype: what it computes in.
    """

    num_classes: int
    widths: tuple[int, ...] = (32, 64)
    kernel_size: int = 3
    convs_per_stage: int = 1
    hidden: tuple[int, ...] = (256, 128)
    norm: Literal["none", "batch"] = "none"
    dropout: float = 0.0
    whiten: bool = False
    kernel_init: Init = "he_normal"
    bias_init: Init = "zeros"
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        if not self.widths:
            raise UserError("widths=() of SimpleCNN: at least one stage is needed")
        check_positive(self, "widths", "kernel_size", "convs_per_stage", "hidden")
        check_rate(self, "dropout")
        check_initialisers(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws dropout from `dropout`.

        Raises:
          UserError: the images are too small to be halved once for every stage.
        """
        side = 2 ** len(self.widths) + self.whiten
        check_images(x, smallest=(side, side), model=f"simple_cnn with widths={self.widths}")
        if self.whiten:
            x = nn.relu(WhiteningConv(dtype=self.dtype, name="whitening")(x))
        conv = functools.partial(
            Conv, kernel_init=self.kernel_init, bias_init=self.bias_init, dtype=self.dtype
        )
        dense = functools.partial(
            Dense, kernel_init=self.kernel_init, bias_init=self.bias_init, dtype=self.dtype
        )
        for stage, width in enumerate(self.widths, start=1):
            for i in range(1, self.convs_per_stage + 1):
                suffix = f"{stage}" if self.convs_per_stage == 1 else f"{stage}_{i}"
                x = conv(
                    width,
                    self.kernel_size,
                    use_bias=self.norm == "none",
                    name=f"conv{suffix}",
                )(x)
                x = normalise(x, self.norm, train=train, dtype=self.dtype, name=f"norm{suffix}")
                x = tap(self, f"relu{suffix}", nn.relu(x))
            x = tap(self, f"pool{stage}", max_pool(x, 2))
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate(self.hidden, start=1):
            x = nn.relu(dense(width, name=f"dense{i}")(x))
            x = tap(self, f"dense{i}_relu", x)
            x = Dropout(self.dropout, name=f"dropout{i}")(x, train=train)
        x = dense(self.num_classes, name="head")(x)
        return x.astype(jnp.float32)


register(
    "simple_cnn",
    SimpleCNN,
    input_shape=(28, 28, 1),
    num_classes=10,
    paper="none",
)
