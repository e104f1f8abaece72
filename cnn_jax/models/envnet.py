"""EnvNet, which learns its own picture of a sound."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import BatchNorm, Conv, Dense, Dropout, tap
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.pooling import max_pool
from cnn_jax.layers.sound import as_line
from cnn_jax.models.registry import register


class EnvNet(nn.Module):
    """Two convolutions of samples, whose maps are the bands of a picture: Tokozume, Harada 2017.

        conv1    8 samples, 40; norm, ReLU
        conv2    8 samples, 40; norm, ReLU; maximum of 160, from here on the maps are bands
        conv3    13 x 8 bands, 50; norm, ReLU; maximum of 3x3
        conv4    5 x 1, 50; norm, ReLU; maximum of 3 x 1
        dense1   4,096, ReLU, dropout
        dense2   4,096, ReLU, dropout
        head     dense

    48,396,758 parameters for windows of 24,014 samples (1.5 s at 16,000 a second) and ten classes.

    Attributes:
      num_classes: number of logits.
      bands: maps of the first two convolutions.
      maps: of the other two.
      hidden: units of both dense layers.
      pool: samples that become one frame.
      dropout: rate after both dense layers.
      norm_momentum: what running statistics keep at each step.
      dtype: what it computes in.
    """

    num_classes: int
    bands: int = 40
    maps: int = 50
    hidden: tuple[int, ...] = (4096, 4096)
    pool: int = 160
    dropout: float = 0.5
    norm_momentum: float = 0.9
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "bands", "maps", "hidden", "pool")
        check_rate(self, "dropout", "norm_momentum")
        if self.bands < 10:
            raise UserError(f"bands={self.bands} of EnvNet must be at least 10")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of samples (b, t); training draws dropout.

        Raises:
          UserError: they are too few.
        """
        # 33 frames are left with one after both convolutions and poolings of the picture.
        x = as_line(x, "envnet", 14 + 33 * self.pool)
        conv = functools.partial(Conv, padding="VALID", use_bias=False, dtype=self.dtype)
        layers = (
            (self.bands, (8, 1), None),
            (self.bands, (8, 1), (self.pool, 1)),
            (self.maps, (13, 8), (3, 3)),
            (self.maps, (5, 1), (3, 1)),
        )
        for i, (width, kernel, pooled) in enumerate(layers, start=1):
            norm = BatchNorm(momentum=self.norm_momentum, dtype=self.dtype, name=f"norm{i}")
            x = norm(conv(width, kernel, name=f"conv{i}")(x), not train, nn.relu)
            if pooled is not None:
                x = tap(self, f"pool{i}", max_pool(x, pooled))
            if i == 2:
                x = jnp.swapaxes(x, 2, 3)
        x = x.reshape(len(x), -1)
        for i, width in enumerate(self.hidden, start=1):
            x = nn.relu(Dense(width, dtype=self.dtype, name=f"dense{i}")(x))
            x = tap(self, f"dense{i}_relu", x)
            x = Dropout(self.dropout, name=f"dropout{i}")(x, train=train)
        return Dense(self.num_classes, dtype=self.dtype, name="head")(x).astype(jnp.float32)


register(
    "envnet",
    EnvNet,
    input_kind="sound",
    input_shape=(24_014,),
    num_classes=10,
    paper="Tokozume, Harada 2017, https://doi.org/10.1109/ICASSP.2017.7952651",
)
