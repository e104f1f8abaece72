"""Convolutions written as what a CPU does fast, for programs that run on one.

XLA has slow code for some convolutions on a CPU: depthwise ones, and most gradients with respect
to kernels. They are the same sums as products of matrices and shifted images, which it has fast
code for. GPUs and TPUs have code of their own and are given plain convolutions.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from cnn_jax.models.layers import Conv, convolve
from cnn_jax.models.winograd import kernel_gradient_in_tiles, winograd_convolve

Pads = tuple[tuple[int, int], tuple[int, int]]

WINOGRAD_MAPS = 48
"""From so many maps in and out 3x3 convolutions in float32 are those of `winograd`, but where JAX's
`jax_default_matmul_precision` is `highest` or `float32`."""

WINOGRAD_GRADIENT_MAPS = 32
"""From so many on their gradients with respect to kernels are; without tiles these cost more passes
over memory than the convolutions."""

PART = 2**22
"""Bytes of shifted images that are written before they are multiplied: caches hold so many."""

MOST_PARTS = 32
"""More are not worth the time that compiling them takes."""


def convolutions_for(platform: str, winograd: bool = True) -> AbstractContextManager[Any]:
    """Within it models are traced with the convolutions that are fast on a platform.

    Values are the same but for rounding. Only the reverse mode of differentiation is there for
    those of a CPU.

    Args:
      platform: of the devices, such as `cpu`.
      winograd: whether those of `winograd` are among them.
    """

    def replace(
        method: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
    ) -> Any:
        module = context.module
        if isinstance(module, Conv) and context.method_name == "convolve":
            return cpu_convolve(*args, *module.geometry, winograd=winograd, **kwargs)
        return method(*args, **kwargs)

    return nn.intercept_methods(replace) if platform == "cpu" else nullcontext()


def cpu_convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int],
    padding: str | Pads,
    groups: int,
    dilation: tuple[int, int],
    *,
    winograd: bool = True,
) -> jax.Array:
    """What `cnn_jax.models.layers.convolve` gives, by the fastest way known on a CPU.

    Args:
      x: (b, h, w, c).
      kernel: (kh, kw, c / groups, features).
      strides: steps in pixels.
      padding: "SAME", "VALID", or pixels at ((top, bottom), (left, right)).
      groups: see `Conv`.
      dilation: see `Conv`.
      winograd: whether 3x3 convolutions of many maps may be those of `winograd`.
    """
    height, width, inputs, features = kernel.shape
    if dilation == (1, 1):
        pads = _pads(x, kernel, strides, padding)
        if groups == x.shape[-1] == features and inputs == 1:
            return _depthwise(_padded(x, pads), kernel, strides)
        if groups == 1 and height == width == 1:
            x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
            return _matmul(x[:, :: strides[0], :: strides[1]], kernel[0, 0])
        if groups == 1 and height >= strides[0] and width >= strides[1]:
            whole = height == width == 3 <= min(x.shape[1:3]) and strides == (1, 1)
            winograd = winograd and whole and x.dtype == jnp.float32 and not _precise()
            # Products are what it costs with many maps, and not the passes over tiles.
            if winograd and min(inputs, features) >= WINOGRAD_MAPS:
                return winograd_convolve(x, kernel, pads)
            in_tiles = winograd and min(inputs, features) >= WINOGRAD_GRADIENT_MAPS
            return _by_products(x, kernel, strides, pads, in_tiles)
    return convolve(x, kernel, strides, padding, groups, dilation)


def _precise() -> bool:
    """Whether JAX was asked for products as precise as there are, as a user would on a GPU."""
    return jax.config.jax_default_matmul_precision in ("highest", "float32")


def _pads(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: str | Pads) -> Pads:
    if not isinstance(padding, str):
        return padding
    return tuple(lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding))  # type: ignore[return-value]


def _matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    flat = x.reshape(-1, x.shape[-1])
    return (flat @ kernel).reshape(*x.shape[:-1], kernel.shape[-1])


def _padded(x: jax.Array, pads: Pads) -> jax.Array:
    """(b, h, w, c) with zeros around it, or with pixels cut off."""
    zero = jnp.zeros((), x.dtype)
    return lax.pad(x, zero, ((0, 0, 0), *((*pad, 0) for pad in pads), (0, 0, 0)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _depthwise(x: jax.Array, kernel: jax.Array, strides: tuple[int, int]) -> jax.Array:
    """A sum of shifted images, each times a number a map; summed in float32.

    Padded before, so that what gives the image writes it once, with its padding.
    """
    total: Any = 0.0
    for (i, j), shifted in _shifted(x, kernel, strides):
        total += shifted.astype(jnp.float32) * kernel[i, j, 0].astype(jnp.float32)
    return total.astype(x.dtype)


def _shifted(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int]
) -> list[tuple[tuple[int, int], jax.Array]]:
    """For each place (i, j) in a kernel the pixels (b, h', w', c) that it meets."""
    rows, columns = (
        (side - size) // stride + 1
        for side, size, stride in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True)
    )
    bottom, right = strides[0] * (rows - 1) + 1, strides[1] * (columns - 1) + 1
    return [
        ((i, j), x[:, i : i + bottom : strides[0], j : j + right : strides[1]])
        for i, j in itertools.product(*map(range, kernel.shape[:2]))
    ]


def _depthwise_forward(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int]
) -> tuple[jax.Array, Any]:
    return _depthwise(x, kernel, strides), (x, kernel)


def _depthwise_backward(
    strides: tuple[int, int], saved: Any, gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    if strides == (1, 1):
        (high, wide), (rows, columns) = kernel.shape[:2], gradient.shape[1:3]
        around = _padded(gradient, ((high - 1, high - 1), (wide - 1, wide - 1)))
        # Written once, padded, for both.
        x, around = lax.optimization_barrier((x, around))
        of_x = _depthwise(around, kernel[::-1, ::-1], (1, 1))
        gradient = around[:, high - 1 : high - 1 + rows, wide - 1 : wide - 1 + columns]
    else:
        x, gradient = lax.optimization_barrier((x, gradient))
        none = ((0, 0), (0, 0))
        of_x = strided_input_gradient(
            gradient, kernel, x.shape[1:3], strides, none, depthwise_input_gradient
        )
    return of_x, _depthwise_kernel_gradient(x, gradient, kernel, strides)


_depthwise.defvjp(_depthwise_forward, _depthwise_backward)


def _depthwise_kernel_gradient(
    x: jax.Array, gradient: jax.Array, kernel: jax.Array, strides: tuple[int, int]
) -> jax.Array:
    """Some rows at a time, which all places of the kernel then find in the caches."""
    total = jnp.zeros((kernel.shape[0] * kernel.shape[1], kernel.shape[3]))
    size = max(x.size, gradient.size) * x.dtype.itemsize
    for first, rows in _parts(gradient.shape[1], size):
        x, gradient, total = lax.optimization_barrier((x, gradient, total))
        top = first * strides[0]
        met = x[:, top : top + (rows - 1) * strides[0] + kernel.shape[0]]
        there = gradient[:, first : first + rows].astype(jnp.float32)
        found = [
            _lines(shifted.astype(jnp.float32), there)
            for _, shifted in _shifted(met, kernel, strides)
        ]
        found = [jnp.sum(lines, (0, 1, 2)) for lines in lax.optimization_barrier(tuple(found))]
        total += jnp.stack(found)
    return total.reshape(kernel.shape).astype(kernel.dtype)


def _lines(x: jax.Array, y: jax.Array) -> jax.Array:
    """Products of two arrays (b, h, w, c), a few rows apart summed, since `jnp.sum` of products
    would first write the shifted images.
    """
    few = next(count for count in range(8, 0, -1) if x.shape[1] % count == 0)
    return functools.reduce(jnp.add, [x[:, i::few] * y[:, i::few] for i in range(few)])


def depthwise_input_gradient(gradient: jax.Array, kernel: jax.Array, pads: Pads) -> jax.Array:
    """As `input_gradient`, of a depthwise convolution with a kernel (kh, kw, 1, c)."""
    around = _padded(gradient, _around(kernel, pads))
    return _depthwise(around, kernel[::-1, ::-1], (1, 1))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _by_products(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads, in_tiles: bool
) -> jax.Array:
    """XLA's own convolution, with gradients that are fast on a CPU.

    That of the kernel is a product of shifted images, or Winograd's.
    """
    return convolve(x, kernel, strides, pads, 1, (1, 1))


def _by_products_forward(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads, in_tiles: bool
) -> tuple[jax.Array, Any]:
    return _by_products(x, kernel, strides, pads, in_tiles), (x, kernel)


def _by_products_backward(
    strides: tuple[int, int], pads: Pads, in_tiles: bool, saved: Any, gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    height, width = kernel.shape[:2]
    if in_tiles:
        of_kernel = kernel_gradient_in_tiles(x, gradient, pads)
    else:
        of_kernel = strided_kernel_gradient(x, gradient, height, width, strides, pads)
    return strided_input_gradient(gradient, kernel, x.shape[1:3], strides, pads), of_kernel


_by_products.defvjp(_by_products_forward, _by_products_backward)


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
    return convolve(gradient, turned, (1, 1), _around(kernel, pads), 1, (1, 1))


def _around(kernel: jax.Array, pads: Pads) -> Pads:
    """Zeros around the output's gradient with which it gives that of the input."""
    (top, bottom), (left, right) = pads
    height, width = kernel.shape[0] - 1, kernel.shape[1] - 1
    return (height - top, height - bottom), (width - left, width - right)


def strided_input_gradient(
    gradient: jax.Array,
    kernel: jax.Array,
    sides: Sequence[int],
    strides: tuple[int, int],
    pads: Pads,
    without_steps: Callable[[jax.Array, jax.Array, Pads], jax.Array] = input_gradient,
) -> jax.Array:
    """As `input_gradient`, of a convolution that may step over pixels.

    Pixels of the padded input that lie at the same place between steps meet the same rows and
    columns of the kernel, so that theirs are the gradient of a convolution without steps. XLA
    would put zeros between the gradient's pixels, and multiply by them.

    Args:
      gradient: (b, h', w', f), with respect to the output.
      kernel: (kh, kw, c, f), no smaller than the steps.
      sides: (h, w) of the input.
      strides: (vertical, horizontal) steps.
      pads: pixels around the input.
      without_steps: the function for steps of 1.

    Returns:
      (b, h, w, c).
    """
    if strides == (1, 1):
        return without_steps(gradient, kernel, pads)
    (down, across), ((top, bottom), (left, right)) = strides, pads
    rows, columns = -(-(sides[0] + top + bottom) // down), -(-(sides[1] + left + right) // across)

    def place(i: int, j: int) -> jax.Array:
        found = without_steps(gradient, kernel[i::down, j::across], ((0, 0), (0, 0)))
        beyond = (0, rows - found.shape[1], 0), (0, columns - found.shape[2], 0)
        return lax.pad(found, jnp.zeros((), found.dtype), ((0, 0, 0), *beyond, (0, 0, 0)))

    lines = [jnp.stack([place(i, j) for j in range(across)], 3) for i in range(down)]
    x = jnp.stack(lines, 2).reshape(len(gradient), rows * down, columns * across, -1)
    # Held fast: what adds to it would put the places together value by value.
    return lax.optimization_barrier(x[:, top : top + sides[0], left : left + sides[1]])


def kernel_gradient(
    x: jax.Array, gradient: jax.Array, height: int, width: int, pads: Pads
) -> jax.Array:
    """The gradient with respect to the kernel of a convolution of stride 1, as products.

    Element (i, j) of the kernel meets the input shifted by (i, j). Shifting the input along the
    width only and the output's gradient along the height only, against each other, puts all
    pairs into one product of matrices (kw c, b h w) and (b h w, kh f). Where the input has few
    maps, as images have, it is shifted along both. Some rows are taken at a time, so that what
    is written side by side is still in the caches when it is multiplied.

    Args:
      x: (b, h, w, c), the input.
      gradient: (b, h', w', f), with respect to the output.
      height: of the kernel.
      width: of the kernel.
      pads: pixels around the input.

    Returns:
      (kh, kw, c, f).
    """
    (top, _), (left, _) = pads
    channels, features = x.shape[-1], gradient.shape[-1]
    along_both = 2 * height * width * channels <= width * channels + height * features
    over = gradient if along_both else x
    copied = width * channels + height * (width * channels if along_both else features)
    total = jnp.zeros(())
    for first, rows in _parts(over.shape[1], copied * over[..., 0].size * x.dtype.itemsize):
        # Held fast: every shifted image would be computed anew from what came before, and all
        # parts be put side by side before they are multiplied.
        x, gradient, total = lax.optimization_barrier((x, gradient, total))
        if along_both:
            shifted = _side_by_side(x, 1, [top - i for i in range(height)], rows, first)
            shifted = lax.optimization_barrier(shifted)
            met = gradient[:, first : first + rows]
        else:
            # Row r of the input meets row r + top - i of the output.
            shifted = x[:, first : first + rows]
            met = _side_by_side(gradient, 1, [i - top for i in range(height)], rows, first)
        moves = [left - j for j in range(width)]
        total += _product(_side_by_side(shifted, 2, moves, gradient.shape[2]), met)
    if along_both:
        found = total.reshape(width, height, channels, features).transpose(1, 0, 2, 3)
    else:
        found = total.reshape(width, channels, height, features).transpose(2, 0, 1, 3)
    return found.astype(x.dtype)


def _parts(rows: int, size: int) -> list[tuple[int, int]]:
    """Rows in parts (first, number of rows) of which each is about `PART` of so many bytes."""
    count = -(-rows // min(-(-size // PART), MOST_PARTS))
    return [(first, min(count, rows - first)) for first in range(0, rows, count)]


def strided_kernel_gradient(
    x: jax.Array,
    gradient: jax.Array,
    height: int,
    width: int,
    strides: tuple[int, int],
    pads: Pads,
) -> jax.Array:
    """As `kernel_gradient`, of a convolution that may step over pixels.

    The rows and columns of the kernel that meet the same rows and columns of the input, modulo
    the steps, are the kernel of a convolution without steps over these alone.

    Args:
      x: (b, h, w, c), the input.
      gradient: (b, h', w', f), with respect to the output.
      height: of the kernel, at least the vertical step.
      width: of the kernel, at least the horizontal step.
      strides: (vertical, horizontal) steps.
      pads: pixels around the input.

    Returns:
      (kh, kw, c, f).
    """
    if strides == (1, 1):
        return kernel_gradient(x, gradient, height, width, pads)
    (down, across), (rows, columns) = strides, gradient.shape[1:3]
    x, gradient = lax.optimization_barrier((x, gradient))
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    found = jnp.zeros((height, width, x.shape[-1], gradient.shape[-1]), x.dtype)
    for i, j in itertools.product(range(down), range(across)):
        high, wide = -(-(height - i) // down), -(-(width - j) // across)
        bottom, right = i + (rows + high - 2) * down + 1, j + (columns + wide - 2) * across + 1
        met = x[:, i:bottom:down, j:right:across]
        part = kernel_gradient(met, gradient, high, wide, ((0, 0), (0, 0)))
        found = found.at[i::down, j::across].set(part)
    return found


def _side_by_side(
    x: jax.Array, axis: int, moves: list[int], length: int, first: int = 0
) -> jax.Array:
    """Images moved along an axis, zeros coming in, put side by side along the maps.

    A sum of padded images, which is faster in XLA than one put together.

    Args:
      x: (b, h, w, c).
      axis: 1 or 2.
      moves: by how many pixels.
      length: of the axis in the result.
      first: where on the axis of the moved images the result begins.

    Returns:
      (b, h, w, len(moves) c), with `length` in the place of h or w.
    """
    maps, zero = x.shape[-1], jnp.zeros((), x.dtype)

    def moved(by: int, before: int, after: int) -> jax.Array:
        pads = [(0, 0, 0)] * 3 + [(before * maps, after * maps, 0)]
        pads[axis] = (by - first, length - x.shape[axis] - by + first, 0)
        return lax.pad(x, zero, pads)

    return functools.reduce(
        jnp.add, [moved(by, i, len(moves) - 1 - i) for i, by in enumerate(moves)]
    )


def _product(x: jax.Array, y: jax.Array) -> jax.Array:
    """(b, h, w, c) and (b, h, w, f) -> (c, f) in float32: summed over all pixels."""
    flat = x.reshape(-1, x.shape[-1])
    return jnp.matmul(flat.T, y.reshape(-1, y.shape[-1]), preferred_element_type=jnp.float32)
