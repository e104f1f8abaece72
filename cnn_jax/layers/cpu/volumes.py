"""Convolutions over frames of videos, as those of images that a CPU does fast."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from cnn_jax.layers.cpu.convolution import cpu_convolve


def cpu_convolve3d(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int, int],
    *,
    winograd: bool = True,
    alone: bool = True,
) -> jax.Array:
    """What `cnn_jax.layers.volumes.convolve3d` gives, as a convolution of images.

    The frames that a kernel covers become the channels of one image, (b, t', h, w, kt c), of which
    a kernel one frame long takes none but its own.

    Args:
      x: (b, t, h, w, c), padded in time.
      kernel: (kt, kh, kw, c, f).
      strides: steps in frames and pixels.
      winograd: see `cpu_convolve`.
      alone: see there.
    """
    depth, height, width, channels, features = kernel.shape
    batch, frames = x.shape[:2]
    times = (frames - depth) // strides[0] + 1
    last = (times - 1) * strides[0] + 1
    # Without the barrier XLA computes what stands before it anew for each place of the kernel.
    x = lax.optimization_barrier(x)
    covered = [x[:, first : first + last : strides[0]] for first in range(depth)]
    images = jnp.concatenate(covered, axis=-1) if depth > 1 else covered[0]
    images = images.reshape(batch * times, *images.shape[2:])
    flat = jnp.moveaxis(kernel, 0, 2).reshape(height, width, depth * channels, features)
    pads = ((height // 2, height // 2), (width // 2, width // 2))
    y = cpu_convolve(images, flat, strides[1:], pads, 1, (1, 1), winograd=winograd, alone=alone)
    return y.reshape(batch, times, *y.shape[1:])
