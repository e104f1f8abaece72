"""Convolutions written as what a CPU does fast, for programs that run on one.

XLA has slow code for some convolutions on a CPU: depthwise ones, and most gradients with respect
to kernels. They are the same sums as products of matrices and shifted images, which it has fast
code for. GPUs and TPUs have code of their own and are given plain convolutions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from cnn_jax.models.layers import Conv, convolve
from cnn_jax.models.winograd import winograd_convolve

Pads = tuple[tuple[int, int], tuple[int, int]]

WINOGRAD_MAPS = 48
"""From so many maps in and out 3x3 convolutions in float32 are those of `winograd`."""


def convolutions_for(platform: str) -> AbstractContextManager[Any]:
    """Within it models are traced with the convolutions that are fast on a platform.

    Values are the same but for rounding. Only the reverse mode of differentiation is there for
    those of a CPU.

    Args:
      platform: of the devices, such as `cpu`.
    """
    return nn.intercept_methods(_replace) if platform == "cpu" else nullcontext()


def _replace(
    method: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
) -> Any:
    module = context.module
    if isinstance(module, Conv) and context.method_name == "convolve":
        return cpu_convolve(*args, *module.geometry, **kwargs)
    return method(*args, **kwargs)


def cpu_convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int],
    padding: str | Pads,
    groups: int,
    dilation: tuple[int, int],
) -> jax.Array:
    """What `cnn_jax.models.layers.convolve` gives, by the fastest way known on a CPU.

    Args:
      x: (b, h, w, c).
      kernel: (kh, kw, c / groups, features).
      strides: steps in pixels.
      padding: "SAME", "VALID", or pixels at ((top, bottom), (left, right)).
      groups: see `Conv`.
      dilation: see `Conv`.
    """
    height, width, inputs, features = kernel.shape
    if dilation == (1, 1):
        pads = _pads(x, kernel, strides, padding)
        if groups == x.shape[-1] == features and inputs == 1:
            return _depthwise(x, kernel, strides, pads)
        if groups == 1 and height == width == 1:
            x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
            return _matmul(x[:, :: strides[0], :: strides[1]], kernel[0, 0])
        # Where the kernel is larger than the image shifting would be mostly of zeros.
        if groups == 1 and strides == (1, 1) and height <= x.shape[1] and width <= x.shape[2]:
            if height == width == 3 and _many(x, kernel):
                return winograd_convolve(x, kernel, pads)
            return _dense(x, kernel, pads)
    return convolve(x, kernel, strides, padding, groups, dilation)


def _many(x: jax.Array, kernel: jax.Array) -> bool:
    """Whether products are what a convolution costs, and not the passes over its tiles."""
    return x.dtype == jnp.float32 and min(kernel.shape[2:]) >= WINOGRAD_MAPS


def _pads(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: str | Pads) -> Pads:
    if not isinstance(padding, str):
        return padding
    return tuple(lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding))  # type: ignore[return-value]


def _matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    flat = x.reshape(-1, x.shape[-1])
    return (flat @ kernel).reshape(*x.shape[:-1], kernel.shape[-1])


def _depthwise(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads) -> jax.Array:
    """A sum of shifted images, each times a number a map; summed in float32."""
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    rows, columns = (
        (side - size) // stride + 1
        for side, size, stride in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True)
    )
    total: Any = 0.0
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            bottom, right = i + strides[0] * (rows - 1) + 1, j + strides[1] * (columns - 1) + 1
            shifted = x[:, i : bottom : strides[0], j : right : strides[1]]
            total += shifted.astype(jnp.float32) * kernel[i, j, 0].astype(jnp.float32)
    return total.astype(x.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _dense(x: jax.Array, kernel: jax.Array, pads: Pads) -> jax.Array:
    return convolve(x, kernel, (1, 1), pads, 1, (1, 1))


def _dense_forward(x: jax.Array, kernel: jax.Array, pads: Pads) -> Any:
    return _dense(x, kernel, pads), (x, kernel)


def _dense_backward(pads: Pads, saved: Any, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    of_x = input_gradient(gradient, kernel, pads)
    return of_x, kernel_gradient(x, gradient, kernel.shape[0], kernel.shape[1], pads)


_dense.defvjp(_dense_forward, _dense_backward)


def input_gradient(gradient: jax.Array, kernel: jax.Array, pads: Pads) -> jax.Array:
    """The gradient with respect to the input of a convolution of stride 1, as a convolution.

    Args:
      gradient: (b, h', w', f), with respect to the output.
      kernel: (kh, kw, c, f).
      pads: pixels around the input.

    Returns:
      (b, h, w, c).
    """
    turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    # Without the barrier XLA takes the turned kernel back into its slower form.
    turned = lax.optimization_barrier(turned)
    around = tuple(
        (size - 1 - before, size - 1 - after)
        for size, (before, after) in zip(kernel.shape[:2], pads, strict=True)
    )
    return convolve(gradient, turned, (1, 1), around, 1, (1, 1))


def kernel_gradient(
    x: jax.Array, gradient: jax.Array, height: int, width: int, pads: Pads
) -> jax.Array:
    """The gradient with respect to the kernel of a convolution of stride 1, as one product.

    Element (i, j) of the kernel meets the input shifted by (i, j). Shifting the input along the
    width only and the output's gradient along the height only, against each other, puts all
    pairs into one product of matrices (kw c, b h w) and (b h w, kh f).

    Args:
      x: (b, h, w, c), the input.
      gradient: (b, h', w', f), with respect to the output.
      height: of the kernel.
      width: of the kernel.
      pads: pixels around the input.

    Returns:
      (kh, kw, c, f).
    """
    (top, bottom), (left, right) = pads
    channels, features = x.shape[-1], gradient.shape[-1]
    columns, rows = gradient.shape[2], x.shape[1]
    x = jnp.pad(x, ((0, 0), (0, 0), (left, right), (0, 0)))
    # Row r of the input meets row r + top - i of the output; padding beyond the kernel's size
    # makes rows that it never meets, which are cut off.
    around = (height - 1 - top, height - 1 - bottom, 0)
    zero = jnp.zeros((), gradient.dtype)
    gradient = lax.pad(gradient, zero, ((0, 0, 0), around, (0, 0, 0), (0, 0, 0)))
    shifted_x = _side_by_side([x[:, :, j : j + columns] for j in range(width)])
    shifted_gradient = _side_by_side(
        [gradient[:, height - 1 - i : height - 1 - i + rows] for i in range(height)]
    )
    product = jnp.matmul(
        shifted_x.reshape(-1, width * channels).T,
        shifted_gradient.reshape(-1, height * features),
        preferred_element_type=jnp.float32,
    )
    found = product.reshape(width, channels, height, features).transpose(2, 0, 1, 3)
    return found.astype(x.dtype)


def _side_by_side(parts: list[jax.Array]) -> jax.Array:
    """Images concatenated along the maps, as a sum of padded ones, which is faster in XLA."""
    maps = parts[0].shape[-1]
    return sum(
        (
            jnp.pad(part, ((0, 0), (0, 0), (0, 0), (i * maps, (len(parts) - 1 - i) * maps)))
            for i, part in enumerate(parts)
        ),
        start=jnp.zeros((), parts[0].dtype),
    )
