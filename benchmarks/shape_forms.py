"""A convolution as the layers on a CPU do it, as XLA does, and as one product of matrices."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnn_jax.devices.compilation import compiled
from cnn_jax.devices.mesh import make_mesh
from cnn_jax.layers.basic import Conv, convolve

Convolution = Callable[[jax.Array, jax.Array], jax.Array]

WAYS = ("forward", "input", "kernel")
"""The value, where no gradient is asked for, and the gradients with respect to input and kernel."""

MOST_UNROLLED = 2**26
"""Elements of an unrolled kernel; beyond it the product is not tried."""

_NUMBERS = np.random.default_rng(0).standard_normal(2**20, np.float32)


class Case(NamedTuple):
    """A convolution of square images with zeros around them ("SAME")."""

    side: int
    inputs: int
    features: int
    batch: int
    kernel: int
    stride: int

    def __str__(self) -> str:
        maps = f"{self.side}x{self.side}x{self.inputs} to {self.features}"
        return f"{maps}, batch {self.batch}, kernel {self.kernel}, stride {self.stride}"

    @property
    def out(self) -> int:
        """Side of the output."""
        return -(-self.side // self.stride)

    @property
    def products(self) -> int:
        """Multiplications of the definition, zeros around the image among them."""
        return self.batch * (self.out * self.kernel) ** 2 * self.inputs * self.features

    @property
    def values(self) -> int:
        """Elements of input, kernel and output."""
        images = self.batch * (self.side**2 * self.inputs + self.out**2 * self.features)
        return images + self.kernel**2 * self.inputs * self.features

    @property
    def pads(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Pixels of zeros around the image."""
        ((before, after),) = lax.padtype_to_pads(
            (self.side,), (self.kernel,), (self.stride,), "SAME"
        )
        return (before, after), (before, after)

    def arguments(self, dtype: str) -> tuple[jax.Array, ...]:
        """Random input, kernel and gradient of the output."""
        image, out = (self.batch, self.side, self.side), (self.batch, self.out, self.out)
        shapes = (
            (*image, self.inputs),
            (self.kernel, self.kernel, self.inputs, self.features),
            (*out, self.features),
        )
        return tuple(jnp.asarray(np.resize(_NUMBERS, shape), dtype) for shape in shapes)


def unrolled_kernel(case: Case) -> Convolution:
    """One product of the image (b, h w c) with a matrix that has the kernel for every output."""
    side, out, k, stride = case.side, case.out, case.kernel, case.stride
    # From each pixel of the input the turned kernel is seen, steps apart, by all outputs.
    first = [k - 1 - i - case.pads[0][0] for i in range(side)]
    before = max(0, -first[-1])
    after = max(0, first[0] + (out - 1) * stride - (k - 1))

    def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
        turned = kernel[::-1, ::-1].transpose(2, 0, 1, 3)
        turned = jnp.pad(turned, ((0, 0), (before, after), (before, after), (0, 0)))
        starts = [start + before for start in first]
        ends = [start + (out - 1) * stride + 1 for start in starts]
        lines = [slice(start, end, stride) for start, end in zip(starts, ends, strict=True)]
        # (h, c, h', kernel's columns, f), and then (h, w, c, h', w', f).
        rows = lax.optimization_barrier(jnp.stack([turned[:, each] for each in lines]))
        matrix = jnp.stack([rows[:, :, :, each] for each in lines], 1)
        matrix = lax.optimization_barrier(matrix.reshape(side * side * case.inputs, -1))
        return (x.reshape(len(x), -1) @ matrix).reshape(len(x), out, out, -1)

    return product


def unrolled_image(case: Case) -> Convolution:
    """One product of all patches of the image (b h' w', k k c) with the kernel."""

    def beside(x: jax.Array, axis: int) -> jax.Array:
        end = (case.out - 1) * case.stride + 1
        places = range(case.kernel)
        moved = [lax.slice_in_dim(x, i, i + end, case.stride, axis) for i in places]
        return lax.optimization_barrier(jnp.concatenate(moved, -1))

    def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
        x = beside(beside(jnp.pad(x, ((0, 0), *case.pads, (0, 0))), 2), 1)
        flat = x.reshape(-1, x.shape[-1]) @ kernel.reshape(-1, case.features)
        return flat.reshape(*x.shape[:3], -1)

    return product


def forms(case: Case, dtype: str) -> dict[str, Convolution]:
    """By name; `ours` is to be traced with the layers of a platform."""
    strides = (case.stride, case.stride)
    layer = Conv(case.features, case.kernel, strides, case.pads, use_bias=False, dtype=dtype)
    found: dict[str, Convolution] = {
        "ours": lambda x, kernel: layer.apply({"params": {"kernel": kernel}}, x),
        "XLA": lambda x, kernel: convolve(x, kernel, strides, case.pads, 1, (1, 1)),
        "patches": unrolled_image(case),
    }
    unrolled = case.side**2 * case.inputs * case.out**2 * case.features
    # Most elements of the matrix are zeros where the image is much larger than the kernel.
    if unrolled <= MOST_UNROLLED and case.side <= case.kernel + 2:
        found["dense"] = unrolled_kernel(case)
    return found


def programs(case: Case, dtype: str, way: str) -> dict[str, Any]:
    """Compiled functions of input, kernel and gradient of the output, one for each form."""
    mesh, arguments = make_mesh(devices=jax.devices()[:1]), case.arguments(dtype)

    def compile_one(name: str, form: Convolution) -> Any:
        def run(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> jax.Array:
            if way == "forward":
                return form(x, kernel)
            return jax.vjp(form, x, kernel)[1](gradient)[way == "kernel"]

        function = jax.jit(run, keep_unused=True)
        if name == "ours":
            return compiled(mesh, function, *arguments)
        return function.lower(*arguments).compile()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = {
            name: pool.submit(compile_one, name, form) for name, form in forms(case, dtype).items()
        }
    return {name: each.result() for name, each in found.items()}


def size(case: Case) -> int:
    """Bytes in float32 of all that a form may write."""
    return 4 * (case.values + math.prod((case.batch, case.out**2, case.kernel**2, case.inputs)))
