"""The very deep nets of Dai et al. for samples of sounds."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import BatchNorm, Conv, Dense, tap
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.pooling import max_pool
from cnn_jax.layers.sound import as_line
from cnn_jax.models.registry import register

_FIRST = 80
"""Samples of the first kernels: 10 ms at 8,000 a second."""
_STEP = 4
"""Of the first convolution, and of every pooling."""


class ResidualPair(nn.Module):
    """ReLU of the normalised sum of the input and two convolutions of it: (b, t, 1, c).

    Where there are more maps than the input has, each of its maps is repeated.

    Attributes:
      features: number of output maps, a multiple of those of the input.
      norm_momentum: what running statistics keep at each step.
      dtype: what it computes in.
    """

    features: int
    norm_momentum: float = 0.99
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The maps of the pair."""
        y = x
        for i, activation in ((1, nn.relu), (2, None)):
            y = Conv(self.features, (3, 1), dtype=self.dtype, name=f"conv{i}")(y)
            norm = BatchNorm(momentum=self.norm_momentum, dtype=self.dtype, name=f"norm{i}")
            y = norm(y, not train, activation)
        more = self.features // x.shape[-1]
        norm = BatchNorm(momentum=self.norm_momentum, dtype=self.dtype, name="norm")
        return norm(y + jnp.repeat(x, more, axis=-1), not train, nn.relu)


class RawWave(nn.Module):
    """Convolutions of 3 from samples on, halved again and again: Dai, Dai, Qu, Li, Das 2016.

        conv1    80 samples, 4 apart; norm, ReLU; maximum of 4
        stage1   3, norm, ReLU, as often as `depths` says; maximum of 4
        ...
        head     mean over time, dense

    The parameters for ten classes are 221,194 of m3, 559,114 of m5, 1,786,442 of m11, 3,683,786 of
    m18 and 3,984,154 of m34, which is residual.

    Attributes:
      num_classes: number of logits.
      first: maps of the first convolution.
      widths: maps of each stage.
      depths: convolutions of each stage, or pairs of them where they are residual.
      residual: whether pairs are added to what they are given.
      pool_last: pool after the last stage as well.
      norm_momentum: what running statistics keep at each step; Keras's default.
      dtype: what it computes in.
    """

    num_classes: int
    first: int = 64
    widths: tuple[int, ...] = (64, 128, 256, 512)
    depths: tuple[int, ...] = (2, 2, 3, 2)
    residual: bool = False
    pool_last: bool = False
    norm_momentum: float = 0.99
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "first", "widths", "depths")
        check_rate(self, "norm_momentum")
        if len(self.widths) != len(self.depths) or not self.widths:
            raise UserError(
                f"widths={self.widths} and depths={self.depths} of RawWave: one of each a stage"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of samples (b, t).

        Raises:
          UserError: they are too few to be pooled so often.
        """
        poolings = len(self.widths) + self.pool_last
        x = as_line(x, "the net of samples", _STEP ** (1 + poolings))
        x = Conv(self.first, (_FIRST, 1), (_STEP, 1), dtype=self.dtype, name="conv1")(x)
        x = self._norm("norm1")(x, not train, nn.relu)
        for i, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True), start=1):
            x = tap(self, f"pool{i}", max_pool(x, (_STEP, 1)))
            for j in range(1, depth + 1):
                if self.residual:
                    pair = ResidualPair(
                        width, self.norm_momentum, self.dtype, name=f"stage{i}_pair{j}"
                    )
                    x = pair(x, train=train)
                else:
                    conv = Conv(width, (3, 1), dtype=self.dtype, name=f"stage{i}_conv{j}")
                    x = self._norm(f"stage{i}_norm{j}")(conv(x), not train, nn.relu)
        if self.pool_last:
            x = max_pool(x, (_STEP, 1))
        x = tap(self, "features", x)
        pooled = jnp.mean(x, axis=(1, 2), dtype=jnp.float32).astype(x.dtype)
        head = Dense(self.num_classes, kernel_init="glorot_uniform", dtype=self.dtype, name="head")
        return head(tap(self, "embedding", pooled)).astype(jnp.float32)

    def _norm(self, name: str) -> BatchNorm:
        return BatchNorm(momentum=self.norm_momentum, dtype=self.dtype, name=name)


_NETS: dict[str, dict[str, Any]] = {
    "m3": {"first": 256, "widths": (256,), "depths": (1,), "pool_last": True},
    "m5": {"first": 128, "widths": (128, 256, 512), "depths": (1, 1, 1), "pool_last": True},
    "m11": {},
    "m18": {"depths": (4, 4, 4, 4)},
    "m34": {
        "first": 48, "widths": (48, 96, 192, 384), "depths": (3, 4, 6, 3), "residual": True,
    },
}  # fmt: skip
for _name, _options in _NETS.items():
    register(
        _name,
        RawWave,
        input_kind="sound",
        input_shape=(32_000,),
        num_classes=10,
        paper="Dai et al. 2016, https://arxiv.org/abs/1610.00087",
        **_options,
    )
