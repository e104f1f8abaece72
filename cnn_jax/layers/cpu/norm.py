"""Batch normalisation with few passes over memory, which are what it costs on a CPU."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Activation
from cnn_jax.layers.batch_axis import WHOLE, current_axis
from cnn_jax.layers.cpu.parts import PART, in_parts, summed_in_parts

_CHEAP: tuple[Activation, ...] = (nn.relu, nn.relu6)
"""Activations that are sooner computed anew than read from memory."""

LEAST = PART
"""Bytes of images from which on it matters how often they are read; fewer stay in the caches."""

_MOST_ROWS = 16
"""Of a part, which are added in one expression."""


def cpu_normalise(
    x: jax.Array,
    scale: jax.Array | None,
    bias: jax.Array | None,
    activation: Activation | None,
    *,
    epsilon: float,
    dtype: DTypeLike | None,
) -> tuple[jax.Array, jax.Array, jax.Array] | None:
    """As `cnn_jax.layers.basic.BatchNorm.by_batch`, where there is a faster way on a CPU.

    Args:
      x: (b, ..., c).
      scale: (c,), or None for ones.
      bias: (c,), or None for zeros.
      activation: what follows, or None.
      epsilon: added to the variance.
      dtype: what the result is, by default as x.
    """
    large = x.ndim == 4 and x.size * x.dtype.itemsize >= LEAST
    plain = not (x.dtype == jnp.dtype(dtype or x.dtype) == jnp.float32)
    if plain or not large or current_axis() != WHOLE:
        return None
    maps = x.shape[-1:]
    scale = jnp.ones(maps) if scale is None else scale
    bias = jnp.zeros(maps) if bias is None else bias
    inside = activation if activation in _CHEAP else None
    y, mean, variance = normalise_in_parts(x, scale, bias, epsilon, inside)
    if activation is not inside and activation is not None:
        y = activation(y)
    return y, mean[None], variance[None]


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def normalise_in_parts(
    x: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    epsilon: float,
    activation: Activation | None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Batch normalisation by the statistics of the batch, and what follows it.

    Forwards x is read from memory once for both of its moments and once for the result; backwards
    x and the gradient are, once for the gradients of scale and bias and once for that of x. What
    the activation did is computed anew each time. Only the reverse mode of differentiation is
    there.

    Args:
      x: (b, h, w, c) float32.
      scale: (c,).
      bias: (c,).
      epsilon: added to the variance.
      activation: of single values, and cheap to compute; or None.

    Returns:
      The result (b, h, w, c), and the mean and the variance (c,) of x.
    """
    return _forward(x, scale, bias, epsilon, activation)[0]


@functools.partial(jax.jit, static_argnums=(3, 4))
def _forward(
    x: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    epsilon: float,
    activation: Activation | None,
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], Any]:
    total, squares = _sums((lambda x: x, jnp.square), (x,))
    count = x.size // x.shape[-1]
    mean = total / count
    variance = jnp.maximum(squares / count - jnp.square(mean), 0)
    deviation = lax.rsqrt(variance + epsilon)
    factor = deviation * scale
    offset = bias - mean * factor
    y = x * factor + offset
    saved = x, mean, deviation, factor, offset
    return (y if activation is None else activation(y), mean, variance), saved


@functools.partial(jax.jit, static_argnums=(0, 1))
def _backward(
    epsilon: float, activation: Activation | None, saved: Any, gradients: Any
) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, mean, deviation, factor, offset = saved
    gradient, of_mean, of_variance = gradients

    def before(x: jax.Array, gradient: jax.Array) -> jax.Array:
        """The gradient before the activation."""
        if activation is None:
            return gradient
        return jax.vjp(activation, x * factor + offset)[1](gradient)[0]

    of_bias, products = _sums((before, lambda x, gradient: before(x, gradient) * x), (x, gradient))
    of_scale = (products - mean * of_bias) * deviation
    # The gradient of x is a product and a sum a value.
    count = x.size // x.shape[-1]
    slope = (2 * of_variance - factor * deviation * of_scale) / count
    rest = (of_mean - factor * of_bias) / count - slope * mean
    x, gradient, slope, rest = lax.optimization_barrier((x, gradient, slope, rest))
    return factor * before(x, gradient) + slope * x + rest, of_scale, of_bias


normalise_in_parts.defvjp(_forward, _backward)


def _sums(
    functions: tuple[Callable[..., jax.Array], ...], images: tuple[jax.Array, ...]
) -> tuple[jax.Array, ...]:
    """The sums (c,) of functions of images over all pixels, read from memory once for all.

    Args:
      functions: of as many arrays as there are images, element by element.
      images: (b, h, w, c) each.
    """
    size = sum(image.size * image.dtype.itemsize for image in images)

    def of_part(
        images: tuple[jax.Array, ...], first: jax.Array | int, rows: int
    ) -> tuple[jax.Array, ...]:
        totals = tuple(jnp.zeros(images[0][:, 0].shape) for _ in functions)
        for i in range(rows):
            totals = added(totals, tuple(_row(image, first + i) for image in images))
        # Held fast: else rows would be added as the last sum does, one value at a time.
        return tuple(jnp.sum(total, (0, 1)) for total in lax.optimization_barrier(totals))

    @jax.jit  # traced once for all rows
    def added(totals: tuple[jax.Array, ...], rows: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        return tuple(
            total + function(*rows) for total, function in zip(totals, functions, strict=True)
        )

    return summed_in_parts(in_parts(images[0].shape[1], size, _MOST_ROWS), images, of_part)


def _row(x: jax.Array, place: jax.Array | int) -> jax.Array:
    """One row of images (b, h, w, c), as (b, w, c)."""
    return lax.dynamic_index_in_dim(x, place, 1, keepdims=False)
