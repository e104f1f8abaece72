"""Layers for frames of a video one after the other: (b, t, h, w, c)."""

from __future__ import annotations

import math
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers import initialisers
from cnn_jax.layers.initialisers import Init

Triple = tuple[int, int, int]
TimePadding = Literal["zero", "edge"]
"""What stands before the first frame and after the last: zeros, or these frames again."""


class Conv3d(nn.Module):
    """A convolution (b, t, h, w, c) -> (b, t', h', w', features) without bias.

    It is padded by half of the kernel on every side, so that strides of one keep the shape.

    Attributes:
      features: number of output maps.
      kernel_size: of the kernel in frames and pixels.
      strides: steps in frames and pixels.
      time_padding: see `TimePadding`; pixels are always padded by zeros.
      kernel_init: see `cnn_jax.layers.initialisers`.
      dtype: what it computes in; parameters are float32.

    Parameters: kernel (kt, kh, kw, c, features).
    """

    features: int
    kernel_size: Triple
    strides: Triple = (1, 1, 1)
    time_padding: TimePadding = "zero"
    kernel_init: Init = "he_normal_fan_out"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The convolution of frames (b, t, h, w, c)."""
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", initialisers.kernel(self.kernel_init), shape, jnp.float32)
        before = self.kernel_size[0] // 2
        if before:
            edge = "edge" if self.time_padding == "edge" else "constant"
            x = jnp.pad(x, ((0, 0), (before, before), *[(0, 0)] * 3), mode=edge)
        return self.convolve(x.astype(self.dtype), kernel.astype(self.dtype))

    def convolve(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """The sums of products of what is padded in time; a platform can have a way of its own."""
        return convolve3d(x, kernel, self.strides)


def convolve3d(x: jax.Array, kernel: jax.Array, strides: Triple) -> jax.Array:
    """The convolution of x (b, t, h, w, c) with a kernel (kt, kh, kw, c, f).

    Height and width are padded by half of the kernel with zeros, time is not.
    """
    pads = [(0, 0), *((size // 2, size // 2) for size in kernel.shape[1:3])]
    return lax.conv_general_dilated(
        x, kernel, strides, pads, dimension_numbers=("NDHWC", "DHWIO", "NDHWC")
    )


def check_clips(x: jax.Array, model: str) -> None:
    """Checks that `x` are clips (b, t, h, w, c) of a float type.

    Raises:
      UserError: they are not; raised while tracing, since shapes are known then.
    """
    if x.ndim != 5 or not jnp.issubdtype(x.dtype, jnp.floating) or 0 in x.shape:
        raise UserError(
            f"{model} takes clips (b, t, h, w, c) of a float type, not {x.dtype} of shape {x.shape}"
        )


def mean_over_all(x: jax.Array) -> jax.Array:
    """The mean over frames and pixels: (b, t, h, w, c) -> (b, c)."""
    return jnp.mean(x, axis=(1, 2, 3), dtype=jnp.float32).astype(x.dtype)


def middle_maps(inputs: int, features: int) -> int:
    """Maps between the two parts of a (2+1)-D convolution that make it as large as a 3-D one.

    https://arxiv.org/abs/1711.11248, section 3.5, for kernels of 3.
    """
    return math.floor(27 * inputs * features / (9 * inputs + 3 * features))
