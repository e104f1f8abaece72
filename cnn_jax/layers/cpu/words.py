"""Convolutions over words on a CPU: products of the words that are there, and of no padding.

Most of a batch of sentences is padding, up to the longest text of the whole set. Its vectors are
zero, so that nothing need be multiplied by them: the words of a batch are put together, multiplied
by all parts of the kernel at once, and the products put back to be added up along time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

EIGHTHS = (1, 3, 8)
"""Parts of a batch that is full of words for which there is a program each, in eighths: the first
that suffices is run."""

LEAST = 2**24
"""Multiplications from which on programs to choose from are worth compiling."""


def convolve_words(x: jax.Array, there: jax.Array, kernel: jax.Array) -> jax.Array | None:
    """The convolution of (b, t, c) with (w, c, f) along time: -> (b, t - w + 1, f), where it pays.

    Args:
      x: vectors of words, zero where there is no word.
      there: (b, t) bool, whether there is one.
      kernel: of any width.
    """
    batch, times, channels = x.shape
    width, _, features = kernel.shape
    if batch * times * kernel.size < LEAST:
        return None
    written = jnp.moveaxis(kernel, 1, 0).reshape(channels, -1)
    flat = x.reshape(batch * times, channels)
    products = products_of_rows(flat, there.reshape(-1), written)
    products = products.reshape(batch, times, width, features)
    count = times - width + 1
    total = products[:, :count, 0]
    for i in range(1, width):
        total = total + products[:, i : i + count, i]
    return total


@jax.custom_vjp
def products_of_rows(x: jax.Array, there: jax.Array, matrix: jax.Array) -> jax.Array:
    """The product (n, f) of x (n, c) with a matrix (c, f), of the rows that are there alone.

    Args:
      x: zero in rows that are not there; the gradient of these is zero.
      there: (n,) bool.
      matrix: any.
    """
    return _switched(_value, there, x, matrix)


def _backward(
    saved: tuple[jax.Array, jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, None, jax.Array]:
    x, there, matrix = saved
    of_x, of_matrix = _switched(_gradients, there, x, matrix, gradient)
    return of_x, None, of_matrix


products_of_rows.defvjp(
    lambda x, there, matrix: (products_of_rows(x, there, matrix), (x, there, matrix)), _backward
)


class _Rows(NamedTuple):
    """Where rows that are there stand among themselves, and these among all.

    Attributes:
      place: (n,) int, beyond the last where one is not there.
      taken: (size,) int, beyond the last where there are no more.
    """

    place: jax.Array
    taken: jax.Array

    def together(self, x: jax.Array) -> jax.Array:
        """The rows of x (n, c) that are there, (size, c), and zeros behind them."""
        return jnp.take(x, self.taken, axis=0, mode="fill", fill_value=0)

    def apart(self, x: jax.Array) -> jax.Array:
        """The same back at their places, (n, c), and zeros between them."""
        return jnp.take(x, self.place, axis=0, mode="fill", fill_value=0)


def _switched(function: Callable[..., Any], there: jax.Array, *arrays: jax.Array) -> Any:
    """A function of the rows that are there and of arrays, by the smallest program that does."""
    count = len(there)
    sizes = sorted({-(-count * eighths // 8) for eighths in EIGHTHS})

    def of_size(size: int, there: jax.Array, *arrays: jax.Array) -> Any:
        place = jnp.where(there, jnp.cumsum(there) - 1, size)
        taken = jnp.nonzero(there, size=size, fill_value=count)[0]
        return function(_Rows(place, taken), *arrays)

    words = jnp.sum(there, dtype=jnp.int32)
    chosen = jnp.searchsorted(jnp.array(sizes, jnp.int32), words)
    branches = [functools.partial(of_size, size) for size in sizes[:-1]]
    everything = lambda there, *arrays: function(None, *arrays)  # noqa: E731
    return lax.switch(chosen, [*branches, everything], there, *arrays)


def _value(rows: _Rows | None, x: jax.Array, matrix: jax.Array) -> jax.Array:
    return x @ matrix if rows is None else rows.apart(rows.together(x) @ matrix)


def _gradients(
    rows: _Rows | None, x: jax.Array, matrix: jax.Array, gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    if rows is None:
        return gradient @ matrix.T, x.T @ gradient
    x, gradient = rows.together(x), rows.together(gradient)
    return rows.apart(gradient @ matrix.T), x.T @ gradient
