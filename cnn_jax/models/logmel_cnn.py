"""A convolutional net for log-mel pictures of sounds, in the way of PANNs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import BatchNorm, Conv, Dense, Dropout, check_images, tap
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.pooling import avg_pool
from cnn_jax.models.registry import register


class LogMelCNN(nn.Module):
    """Pairs of 3x3 convolutions, and the mean and the maximum over time: Kong et al. 2020, CNN10.

        norm     batch normalisation of each band
        block1   3x3, norm, ReLU, twice; mean of 2x2
        block2   ...
        head     mean over bands, mean + maximum over time, dropout, dense

    The same without the hidden dense layer, and narrower; widths 64, 128, 256, 512 are the paper's.

    Attributes:
      num_classes: number of logits.
      widths: maps of each block; every block halves time and bands.
      dropout: rate before the last layer.
      norm_momentum: what running statistics keep at each step.
      dtype: what it computes in.
    """

    num_classes: int
    widths: tuple[int, ...] = (32, 64, 128, 256)
    dropout: float = 0.2
    norm_momentum: float = 0.9
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        if not self.widths:
            raise UserError("widths=() of LogMelCNN: at least one block is needed")
        check_positive(self, "widths")
        check_rate(self, "dropout", "norm_momentum")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of pictures (b, frames, bands, c); training draws dropout.

        Raises:
          UserError: the pictures are too small to be halved once for every block.
        """
        side = 2 ** len(self.widths)
        check_images(x, smallest=(side, side), model=f"logmel_cnn with widths={self.widths}")
        # Each band and channel is one of what is normalised.
        flat = x.reshape(*x.shape[:2], -1)
        x = self._norm("bands_norm")(flat, not train).reshape(x.shape)
        for i, width in enumerate(self.widths, start=1):
            for j in (1, 2):
                conv = Conv(width, 3, use_bias=False, dtype=self.dtype, name=f"conv{i}_{j}")
                x = self._norm(f"norm{i}_{j}")(conv(x), not train, nn.relu)
            x = tap(self, f"pool{i}", avg_pool(x, 2))
        over_bands = jnp.mean(tap(self, "features", x), axis=2)
        pooled = jnp.mean(over_bands, axis=1) + jnp.max(over_bands, axis=1)
        pooled = tap(self, "embedding", pooled)
        pooled = Dropout(self.dropout, name="dropout")(pooled, train=train)
        head = Dense(self.num_classes, kernel_init="glorot_uniform", dtype=self.dtype, name="head")
        return head(pooled).astype(jnp.float32)

    def _norm(self, name: str) -> BatchNorm:
        return BatchNorm(momentum=self.norm_momentum, dtype=self.dtype, name=name)


register(
    "logmel_cnn",
    LogMelCNN,
    input_shape=(501, 64, 1),
    num_classes=10,
    paper="Kong et al. 2020, https://arxiv.org/abs/1912.10211, narrower",
)
