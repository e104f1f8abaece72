"""Dilated and transposed convolutions on a CPU, as ordinary ones of rearranged pixels."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from cnn_jax.layers.cpu.winograd import Pads
from cnn_jax.layers.upsampling import from_depth

Convolve = Callable[[jax.Array, jax.Array, Pads], jax.Array]
"""An ordinary convolution of (x, kernel, padding), with a step of one pixel."""


def by_lattices(
    x: jax.Array, kernel: jax.Array, pads: Pads, dilation: tuple[int, int], convolve: Convolve
) -> jax.Array:
    """A dilated convolution with a step of one pixel.

    The pixels that meet in one sum lie on a lattice as wide as the dilation. Each lattice is an
    image of its own, which an ordinary convolution sees.

    Args:
      x: (b, h, w, c).
      kernel: (kh, kw, c / groups, f).
      pads: pixels of zeros around the image, multiples of the dilation.
      dilation: distance of the elements of the kernel, (vertical, horizontal).
      convolve: the ordinary convolution.
    """
    (tall, wide), (batch, height, width, channels) = dilation, x.shape
    down, across = pads
    # As much at the bottom and right as makes every lattice as large.
    x = jnp.pad(x, ((0, 0), (0, -height % tall), (0, -width % wide), (0, 0)))
    rows, columns = x.shape[1] // tall, x.shape[2] // wide
    apart = x.reshape(batch, rows, tall, columns, wide, channels).transpose(0, 2, 4, 1, 3, 5)
    within = (down[0] // tall, down[1] // tall), (across[0] // wide, across[1] // wide)
    y = convolve(apart.reshape(-1, rows, columns, channels), kernel, within)
    together = y.reshape(batch, tall, wide, *y.shape[1:]).transpose(0, 3, 1, 4, 2, 5)
    y = together.reshape(batch, y.shape[1] * tall, y.shape[2] * wide, -1)
    return y[
        :,
        : height + sum(down) - tall * (kernel.shape[0] - 1),
        : width + sum(across) - wide * (kernel.shape[1] - 1),
    ]


def by_phases(x: jax.Array, kernel: jax.Array, strides: int, convolve: Convolve) -> jax.Array:
    """A transposed convolution, see `cnn_jax.layers.upsampling.TransposedConv`.

    Pixels that come out at the same place between two steps are sums with the same elements of
    the kernel: they are a map of an ordinary convolution, which has one for each such place.

    Args:
      x: (b, h, w, c).
      kernel: (k, k, c, f), of k at least `strides`.
      strides: the step.
      convolve: an ordinary convolution.
    """
    size, _, channels, features = kernel.shape
    taps = -(-size // strides)
    more = taps * strides - size
    kernel = jnp.pad(kernel, ((0, more), (0, more), (0, 0), (0, 0)))
    split = kernel.reshape(taps, strides, taps, strides, channels, features)[::-1, :, ::-1]
    of_places = split.transpose(0, 2, 4, 1, 3, 5).reshape(taps, taps, channels, -1)
    rim = taps - 1
    y = from_depth(convolve(x, of_places, ((rim, rim), (rim, rim))), (strides, strides))
    height, width = ((side - 1) * strides + size for side in x.shape[1:3])
    return y[:, :height, :width]
