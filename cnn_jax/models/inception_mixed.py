"""The mixed modules of Inception-v3 and what each is made of."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.blocks import ConvNorm, NormKind
from cnn_jax.layers.pooling import max_pool


class Step(NamedTuple):
    """One convolution of a branch: padded to keep the size, or with stride 2 and unpadded."""

    features: int
    kernel_size: int | tuple[int, int]
    strides: int = 1


Fork = tuple[Step, Step]
"""Two convolutions of the same maps, side by side."""

Branch = tuple[str, tuple[Step | Fork, ...]]
"""Name of a branch and its convolutions, one after the other."""

conv_norm = functools.partial(ConvNorm, epsilon=1e-3, kernel_init=nn.initializers.normal(0.1))


class Mixed(nn.Module):
    """Branches of convolutions and one of pooling, side by side: (b, h, w, c) -> (b, h', w', c').

    Attributes:
      branches: see `Branch`; the convolutions of a branch are numbered from 1 where there are
        several, and those of a fork have an a and a b besides.
      projection: maps of a 1x1 convolution after 3x3 mean pooling; None for 3x3/2 max pooling
        alone.
      width: factor of all numbers of maps.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.
    """

    branches: tuple[Branch, ...]
    projection: int | None
    width: float = 1.0
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """The maps of all branches, that of pooling last."""
        outputs = []
        for name, steps in self.branches:
            y = x
            for i, step in enumerate(steps, start=1):
                numbered = name if len(steps) == 1 else f"{name}_{i}"
                if isinstance(step, Step):
                    y = self._conv(y, step, numbered, train)
                else:
                    sides = zip(step, "ab", strict=True)
                    y = jnp.concatenate(
                        [self._conv(y, side, numbered + letter, train) for side, letter in sides],
                        axis=-1,
                    )
            outputs.append(y)
        if self.projection is None:
            outputs.append(max_pool(x, 3, 2))
        else:
            # The zeros of the padding count as pixels here, as they do in the reference.
            means = nn.avg_pool(x, (3, 3), (1, 1), ((1, 1), (1, 1)), count_include_pad=True)
            outputs.append(self._conv(means, Step(self.projection, 1), "branch_pool", train))
        return jnp.concatenate(outputs, axis=-1)

    def _conv(self, x: jax.Array, step: Step, name: str, train: bool) -> jax.Array:
        conv = conv_norm(
            scaled(step.features, self.width),
            step.kernel_size,
            step.strides,
            None if step.strides == 1 else 0,
            norm=self.norm,
            dtype=self.dtype,
            name=name,
        )
        return conv(x, train=train)


def scaled(maps: int, width: float) -> int:
    """The number of maps times the factor, at least 1."""
    return max(1, round(maps * width))


def _a() -> tuple[Branch, ...]:
    return (
        ("branch1x1", (Step(64, 1),)),
        ("branch5x5", (Step(48, 1), Step(64, 5))),
        ("branch3x3dbl", (Step(64, 1), Step(96, 3), Step(96, 3))),
    )


def _c(inner: int) -> tuple[Branch, ...]:
    """Figure 6: 7x7 kernels as 1x7 and 7x1, with `inner` maps between them."""
    wide, high = (1, 7), (7, 1)
    double = (high, wide, high)
    return (
        ("branch1x1", (Step(192, 1),)),
        ("branch7x7", (Step(inner, 1), Step(inner, wide), Step(192, high))),
        (
            "branch7x7dbl",
            (Step(inner, 1), *(Step(inner, kernel) for kernel in double), Step(192, wide)),
        ),
    )


_B: tuple[Branch, ...] = (
    ("branch3x3", (Step(384, 3, 2),)),
    ("branch3x3dbl", (Step(64, 1), Step(96, 3), Step(96, 3, 2))),
)
_D: tuple[Branch, ...] = (
    ("branch3x3", (Step(192, 1), Step(320, 3, 2))),
    ("branch7x7x3", (Step(192, 1), Step(192, (1, 7)), Step(192, (7, 1)), Step(192, 3, 2))),
)
_FORK: Fork = (Step(384, (1, 3)), Step(384, (3, 1)))
_E: tuple[Branch, ...] = (
    ("branch1x1", (Step(320, 1),)),
    ("branch3x3", (Step(384, 1), _FORK)),
    ("branch3x3dbl", (Step(448, 1), Step(384, 3), _FORK)),
)

MIXED: dict[str, tuple[tuple[Branch, ...], int | None]] = {
    "5b": (_a(), 32),
    "5c": (_a(), 64),
    "5d": (_a(), 64),
    "6a": (_B, None),
    "6b": (_c(128), 192),
    "6c": (_c(160), 192),
    "6d": (_c(160), 192),
    "6e": (_c(192), 192),
    "7a": (_D, None),
    "7b": (_E, 192),
    "7c": (_E, 192),
}
"""Branches and projection of each mixed module."""
