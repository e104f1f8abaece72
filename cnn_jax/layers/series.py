"""What nets for series of numbers are made of: layers along one axis, which see no padding.

A series is an image one pixel wide, (b, t, 1, c), so that all layers of images serve for it. What
lies beyond the end of a shorter series is zero before every convolution, as the padding is that
comes after it, and does not count in means: its outputs are those of the series alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Activation, BatchNorm, Conv, Dense, tap

SeriesBatch = jax.Array | Mapping[str, jax.Array]
"""Series (b, t, c); or these as `series`, with `there` (b, t), 1 up to the end of each."""


def as_maps(x: SeriesBatch, model: str) -> tuple[jax.Array, jax.Array | None]:
    """Series as maps (b, t, 1, c), and where they are, (b, t, 1); None where none ends early.

    Raises:
      UserError: they are none; raised while tracing, since shapes are known then.
    """
    values, there = (x["series"], x["there"]) if isinstance(x, Mapping) else (x, None)
    if values.ndim != 3 or not jnp.issubdtype(values.dtype, jnp.floating):
        raise UserError(
            f"{model} takes series (b, t, c) of a float type, not {values.dtype} of shape "
            f"{values.shape}"
        )
    return values[:, :, None], None if there is None else there[..., None]


def up_to_end(x: jax.Array, there: jax.Array | None, beyond: float = 0.0) -> jax.Array:
    """Maps (b, t, 1, c) with one value beyond the end of each series.

    Args:
      x: (b, t, 1, c).
      there: (b, t, 1), or None where none ends early.
      beyond: the value.
    """
    return x if there is None else jnp.where(there[..., None] > 0, x, jnp.asarray(beyond, x.dtype))


def mean_over_time(x: jax.Array, there: jax.Array | None) -> jax.Array:
    """The mean of each map up to the end of its series, taken in float32: -> (b, c).

    Args:
      x: (b, t, 1, c).
      there: (b, t, 1), or None where none ends early.
    """
    if there is None:
        return jnp.mean(x, axis=(1, 2), dtype=jnp.float32).astype(x.dtype)
    total = jnp.sum(up_to_end(x, there), axis=(1, 2), dtype=jnp.float32)
    count = jnp.maximum(jnp.sum(there, axis=(1, 2)), 1.0)
    return (total / count[:, None]).astype(x.dtype)


def max_of_three(x: jax.Array, there: jax.Array | None) -> jax.Array:
    """The largest of each value and its neighbours in time: (b, t, 1, c) -> the same shape."""
    least = float(jnp.finfo(x.dtype).min)
    x = up_to_end(x, there, least)
    padded = jnp.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)), constant_values=least)
    return jnp.maximum(jnp.maximum(padded[:, :-2], x), padded[:, 2:])


def logits_over_time(
    model: nn.Module, maps: jax.Array, there: jax.Array | None, num_classes: int, dtype: DTypeLike
) -> jax.Array:
    """The last layer of a net, `head`, on the mean over time: -> (b, num_classes) float32.

    Args:
      model: the net that calls it.
      maps: (b, t, 1, c), which are tapped as `features`, and their means as `embedding`.
      there: (b, t, 1), or None where none ends early.
      num_classes: number of logits.
      dtype: what it computes in.
    """
    maps = tap(model, "features", maps)
    pooled = tap(model, "embedding", mean_over_time(maps, there))
    dense = Dense(num_classes, kernel_init="glorot_uniform", dtype=dtype, name="head")
    return dense(pooled).astype(jnp.float32)


class SeriesConv(nn.Module):
    """A convolution along time that keeps the length: (b, t, 1, c) -> (b, t, 1, features).

    Zeros are put before and after; of an even width one more after, as Keras has it.

    Attributes:
      features: number of output maps.
      width: of the kernel, in times.
      use_bias: add a trainable number per output map.
      dtype: what it computes in.

    Parameters: kernel (width, 1, c, features), bias (features,), as of `Conv`.
    """

    features: int
    width: int
    use_bias: bool = False
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, there: jax.Array | None) -> jax.Array:
        """The maps of (b, t, 1, c), of which what is beyond an end is taken for zero."""
        before = (self.width - 1) // 2
        return Conv(
            self.features,
            (self.width, 1),
            padding=((before, self.width - 1 - before), (0, 0)),
            use_bias=self.use_bias,
            kernel_init="glorot_uniform",
            dtype=self.dtype,
            name="conv",
        )(up_to_end(x, there))


class SeriesNorm(nn.Module):
    """Batch normalisation of maps of series, by what is there: (b, t, 1, c) -> (b, t, 1, c).

    Attributes:
      activation: applied last, or None.
      momentum: what running statistics keep at each step.
      dtype: what it computes in.

    Parameters: norm/scale, norm/bias.
    """

    activation: Activation | None = nn.relu
    momentum: float = 0.99
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, there: jax.Array | None, *, train: bool = False) -> jax.Array:
        """The normalised and activated maps; what comes beyond an end has no meaning."""
        norm = BatchNorm(momentum=self.momentum, epsilon=1e-3, dtype=self.dtype, name="norm")
        counted = there if train else None
        return norm(x, not train, self.activation, there=counted)
