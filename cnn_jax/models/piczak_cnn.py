"""Piczak's net for pictures of environmental sounds."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Conv, Dense, Dropout, check_images, tap
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.pooling import max_pool
from cnn_jax.models.registry import register


class PiczakCNN(nn.Module):
    """Two convolutions, the first nearly as high as the picture, and dense layers: Piczak 2015.

        conv1    6 frames x 57 bands, 80; ReLU; maximum of 3 frames x 4 bands, 3 frames apart
        conv2    3 frames x 1, 80; ReLU; maximum of 3 frames
        dense1   5,000, ReLU
        dense2   5,000, ReLU
        head     dense

    26,334,090 parameters for pictures of 41 frames and 60 bands with slopes, and ten classes.

    Attributes:
      num_classes: number of logits.
      maps: of both convolutions.
      hidden: units of both dense layers.
      high: bands of the first kernels.
      dropout: rate after the first convolution and both dense layers.
      dtype: what it computes in.
    """

    num_classes: int
    maps: int = 80
    hidden: tuple[int, ...] = (5000, 5000)
    high: int = 57
    dropout: float = 0.5
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "maps", "hidden", "high")
        check_rate(self, "dropout")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of pictures (b, frames, bands, c); training draws dropout.

        Raises:
          UserError: the pictures are too small.
        """
        check_images(x, smallest=(20, self.high + 3), model=f"piczak_cnn with high={self.high}")
        kernels = (6, self.high), (3, 1)
        for i, (kernel, pooled) in enumerate(zip(kernels, ((3, 4), (3, 1)), strict=True), start=1):
            conv = Conv(self.maps, kernel, padding="VALID", dtype=self.dtype, name=f"conv{i}")
            x = tap(self, f"relu{i}", nn.relu(conv(x)))
            x = tap(self, f"pool{i}", max_pool(x, pooled, (3, 1)))
            if i == 1:
                x = Dropout(self.dropout, name="dropout")(x, train=train)
        x = x.reshape(len(x), -1)
        for i, width in enumerate(self.hidden, start=1):
            x = nn.relu(Dense(width, dtype=self.dtype, name=f"dense{i}")(x))
            x = tap(self, f"dense{i}_relu", x)
            x = Dropout(self.dropout, name=f"dropout{i}")(x, train=train)
        return Dense(self.num_classes, dtype=self.dtype, name="head")(x).astype(jnp.float32)


register(
    "piczak_cnn",
    PiczakCNN,
    input_shape=(41, 60, 2),
    num_classes=10,
    paper="Piczak 2015, https://doi.org/10.1109/MLSP.2015.7324337",
)
