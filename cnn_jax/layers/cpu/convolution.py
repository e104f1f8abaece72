"""Convolutions written as what a CPU does fast, for programs that run on one.

XLA has slow code for some convolutions on a CPU: depthwise ones, and most gradients with respect
to kernels. They are the same sums as products of matrices and shifted images, which it has fast
code for. GPUs and TPUs have code of their own and are given plain convolutions.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax

from cnn_jax.layers.basic import convolve
from cnn_jax.layers.cpu.choices import Shapes, met_by_pixels
from cnn_jax.layers.cpu.depthwise import depthwise
from cnn_jax.layers.cpu.dilated import by_lattices, by_phases
from cnn_jax.layers.cpu.gradients import convolve_by_products
from cnn_jax.layers.cpu.grouped import by_blocks
from cnn_jax.layers.cpu.sums import padded
from cnn_jax.layers.cpu.winograd import Pads, winograd_convolve
from cnn_jax.layers.upsampling import side_by_side

WINOGRAD_MAPS = 32
"""From so many maps on, in and out in the harmonic mean, 3x3 convolutions in float32 are those of
`winograd`, but where JAX's `jax_default_matmul_precision` is `highest` or `float32`. Products grow
as maps in times maps out, passes over tiles as their sum."""

WINOGRAD_VALUE_MAPS = 48
"""From so many on their values are, where no gradient is asked for."""


MOST_PATCHED = 2**26
"""Numbers in the patches of series up to which they are put together: 256 MB."""

KERNEL_STEP = 5
"""Of the width of a kernel of series for each of the times that share a patch."""


def cpu_convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int],
    padding: str | Pads,
    groups: int,
    dilation: tuple[int, int],
    *,
    winograd: bool = True,
    alone: bool = True,
) -> jax.Array:
    """What `cnn_jax.layers.basic.convolve` gives, by the fastest way known on a CPU.

    Args:
      x: (b, h, w, c).
      kernel: (kh, kw, c / groups, features).
      strides: steps in pixels.
      padding: "SAME", "VALID", or pixels at ((top, bottom), (left, right)).
      groups: see `Conv`.
      dilation: see `Conv`.
      winograd: whether 3x3 convolutions of many maps may be those of `winograd`.
      alone: whether one device has the whole batch.
    """

    def ordinary(x: jax.Array, kernel: jax.Array, pads: Pads, groups: int = 1) -> jax.Array:
        return _undilated(x, kernel, strides, pads, groups, winograd, alone)

    if dilation == (1, 1):
        return ordinary(x, kernel, _pads(x, kernel, strides, padding), groups)
    if strides == (1, 1) and not isinstance(padding, str) and _whole(padding, dilation):
        inner = functools.partial(ordinary, groups=groups)
        return by_lattices(x, kernel, padding, dilation, inner)
    return convolve(x, kernel, strides, padding, groups, dilation)


def cpu_spread(
    x: jax.Array, kernel: jax.Array, strides: int, *, winograd: bool = True, alone: bool = True
) -> jax.Array:
    """What `cnn_jax.layers.upsampling.TransposedConv.spread` gives, as an ordinary convolution.

    Args:
      x: (b, h, w, c).
      kernel: (k, k, c, features).
      strides: pixels from a patch to the next.
      winograd: see `cpu_convolve`.
      alone: see there.
    """

    def inner(x: jax.Array, kernel: jax.Array, pads: Pads) -> jax.Array:
        return cpu_convolve(x, kernel, (1, 1), pads, 1, (1, 1), winograd=winograd, alone=alone)

    if kernel.shape[0] == strides:
        return side_by_side(x, kernel)
    return by_phases(x, kernel, strides, inner)


def _undilated(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int],
    pads: Pads,
    groups: int,
    winograd: bool,
    alone: bool,
) -> jax.Array:
    height, width, inputs, features = kernel.shape
    every_pixel = height >= strides[0] and width >= strides[1]
    if every_pixel and groups == x.shape[-1] == features and inputs == 1:
        return depthwise(padded(x, pads), kernel, strides)

    def ungrouped(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return _ungrouped(x, kernel, (down, across), (rim, margin), winograd, alone)

    (rows, down, rim), (columns, across, margin) = map(
        met_by_pixels, x.shape[1:3], kernel.shape, strides, pads
    )
    kernel = kernel[rows.start : rows.stop, columns.start : columns.stop]
    return ungrouped(x, kernel) if groups == 1 else by_blocks(x, kernel, groups, ungrouped)


def _ungrouped(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int],
    pads: Pads,
    winograd: bool,
    alone: bool,
) -> jax.Array:
    height, width, inputs, features = kernel.shape
    if height == width == 1:
        x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
        return _matmul(x[:, :: strides[0], :: strides[1]], kernel[0, 0])
    # Images one pixel wide are series. What is for images takes two to four times as long there.
    series = width == x.shape[2] == 1 and strides == (1, 1) and pads[1] == (0, 0)
    if series and height * x.size <= MOST_PATCHED:
        return _along_series(x, kernel, pads[0])
    if height < strides[0] or width < strides[1]:
        return convolve(x, kernel, strides, pads, 1, (1, 1))
    whole = height == width == 3 <= min(x.shape[1:3]) and strides == (1, 1)
    if winograd and whole and x.dtype == jnp.float32 and not _precise():
        maps = 2 * inputs * features / (inputs + features)
        if maps >= WINOGRAD_MAPS and Shapes.of(x, kernel, strides, pads).tiles_pay:
            return winograd_convolve(x, kernel, pads, maps >= WINOGRAD_VALUE_MAPS)
    return convolve_by_products(x, kernel, strides, pads, alone)


def _along_series(x: jax.Array, kernel: jax.Array, pad: tuple[int, int]) -> jax.Array:
    """The convolution of (b, t, 1, c) with (k, 1, c, f), as a product of patches in time.

    A patch of a wide kernel is for several times at once: the kernel is written out for each, a
    time further on, which makes the patches fewer and little longer.
    """
    size, _, channels, features = kernel.shape
    times = x.shape[1] + sum(pad) - size + 1
    together = 1 if size < 2 * KERNEL_STEP else 2 ** int(math.log2(size // KERNEL_STEP))
    patches = -(-times // together)
    # A patch is so many neighbouring blocks, of as many times as share it.
    blocks = -(-(size + together - 1) // together)
    after = (patches + blocks - 1) * together - x.shape[1] - pad[0]
    padded = jnp.pad(x[:, :, 0], ((0, 0), (pad[0], after), (0, 0)))
    parts = padded.reshape(len(x), -1, together * channels)
    taken = jnp.concatenate([parts[:, i : i + patches] for i in range(blocks)], axis=-1)
    wide = blocks * together
    further = [
        jnp.pad(kernel[:, 0], ((i, wide - size - i), (0, 0), (0, 0))) for i in range(together)
    ]
    written = jnp.stack(further, axis=2).reshape(wide * channels, together * features)
    y = _matmul(taken, written)
    return y.reshape(len(x), patches * together, 1, features)[:, :times]


def _precise() -> bool:
    """Whether JAX was asked for products as precise as there are, as a user would on a GPU."""
    return jax.config.jax_default_matmul_precision in ("highest", "float32")


def _pads(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: str | Pads) -> Pads:
    if not isinstance(padding, str):
        return padding
    return tuple(lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding))  # type: ignore[return-value]


def _whole(pads: Pads, steps: tuple[int, int]) -> bool:
    """Whether all padding is of whole steps."""
    return all(pixels % step == 0 for pad, step in zip(pads, steps, strict=True) for pixels in pad)


def _matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    flat = x.reshape(-1, x.shape[-1])
    return (flat @ kernel).reshape(*x.shape[:-1], kernel.shape[-1])
