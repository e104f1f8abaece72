"""Layers that make maps larger."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from cnn_jax.layers import initialisers
from cnn_jax.layers.initialisers import Init


def bilinear(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Maps (b, h, w, c) at another size (b, *size, c), by linear interpolation along each side.

    Pixels are squares, whose corners fall together in both sizes: PyTorch's `align_corners=False`.
    Nothing is smoothed where the size is smaller.
    """
    if x.shape[1:3] == size:
        return x
    shape = (x.shape[0], *size, x.shape[-1])
    return jax.image.resize(x, shape, "linear", antialias=False)


def cropped(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """The pixels of (b, h, w, c) at the top and left, (b, *size, c)."""
    return x[:, : size[0], : size[1]]


def grown(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """(b, h, w, c) with zeros at the bottom and right, (b, *size, c)."""
    below, beside = (new - old for new, old in zip(size, x.shape[1:3], strict=True))
    return jnp.pad(x, ((0, 0), (0, below), (0, beside), (0, 0)))


def fitted(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """(b, h, w, c) cut off at the bottom and right, or with its last row and column repeated."""
    below, beside = (max(0, new - old) for new, old in zip(size, x.shape[1:3], strict=True))
    if below or beside:
        x = jnp.pad(x, ((0, 0), (0, below), (0, beside), (0, 0)), mode="edge")
    return cropped(x, size)


def doubled(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Every pixel of (b, h, w, c) as a square of four, `fitted` to (b, *size, c).

    What a step of 2 has made of an image has the half of its size, rounded up or down.
    """
    return fitted(jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2), size)


class TransposedConv(nn.Module):
    """The transpose of a convolution without padding: every pixel is spread over a patch.

    (b, h, w, c) -> (b, (h - 1) strides + kernel_size, ..., features), computed in `dtype`; the
    patches of neighbours add up where they overlap. Of the size of the step they do not, and it
    is one product of matrices.

    Attributes:
      features: number of output maps.
      kernel_size: side of the patches in pixels, at least `strides`.
      strides: pixels from a patch to the next.
      use_bias: add a trainable number per output map.
      kernel_init: see `cnn_jax.layers.initialisers`; by default variances stay what they are.
      bias_init: see there.
      dtype: what it computes in; parameters are float32.

    Parameters: kernel (kh, kw, c, features), bias (features,).
    """

    features: int
    kernel_size: int = 2
    strides: int = 2
    use_bias: bool = True
    kernel_init: Init | None = None
    bias_init: Init = "zeros"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The sum of all patches."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        # A pixel that comes out is a sum over the maps and over kernel_size / strides pixels along
        # each side, and not over kernel_size of them.
        keeps = nn.initializers.variance_scaling(self.strides**2, "fan_in", "truncated_normal")
        init = keeps if self.kernel_init is None else initialisers.kernel(self.kernel_init)
        kernel = self.param("kernel", init, shape, jnp.float32)
        y = self.spread(x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            inputs = x.shape[-1] * self.kernel_size**2 // self.strides**2
            bias_init = initialisers.bias(self.bias_init, fan_in=max(1, inputs))
            bias = self.param("bias", bias_init, (self.features,), jnp.float32)
            y += bias.astype(self.dtype)
        return y

    def spread(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """The sums of products alone; a method, so that a platform can have a way of its own."""
        if self.kernel_size == self.strides:
            return side_by_side(x, kernel)
        rim = self.kernel_size - 1
        return lax.conv_general_dilated(
            x,
            kernel[::-1, ::-1],
            window_strides=(1, 1),
            padding=((rim, rim), (rim, rim)),
            lhs_dilation=(self.strides, self.strides),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )


def side_by_side(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Patches of the size of the step: (b, h, w, c), (kh, kw, c, f) -> (b, h kh, w kw, f)."""
    height, width, channels, _ = kernel.shape
    y = x.reshape(-1, channels) @ kernel.transpose(2, 0, 1, 3).reshape(channels, -1)
    return from_depth(y.reshape(*x.shape[:3], -1), (height, width))


def from_depth(x: jax.Array, block: tuple[int, int]) -> jax.Array:
    """Maps as pixels: (b, h, w, kh kw f) -> (b, h kh, w kw, f)."""
    batch, rows, columns, _ = x.shape
    height, width = block
    y = x.reshape(batch, rows, columns, height, width, -1).transpose(0, 1, 3, 2, 4, 5)
    return y.reshape(batch, rows * height, columns * width, -1)
