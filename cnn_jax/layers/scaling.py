"""Scaling of published nets: widths by a factor, strides for small images; checks of both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from flax import linen as nn

from cnn_jax.errors import UserError

Stem = Literal["imagenet", "small"]
"""For images of about 224 or of about 32 pixels."""


def round_width(width: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `width`, at least one, and at least 90 % of it.

    As in the published MobileNets and EfficientNets.
    """
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * width else rounded


def strides_for(stem: Stem, strides: Sequence[int]) -> list[int]:
    """Strides of the parts of a net, in order; with the small stem the first two do not halve.

    So maps are a fourth of the published part of the image smaller: an eighth of its side where
    that was a thirty-second.
    """
    remaining = 2 if stem == "small" else 0
    result = []
    for stride in strides:
        halves = stride > 1 and remaining > 0
        remaining -= halves
        result.append(1 if halves else stride)
    return result


def dilated(
    strides: Sequence[int], output_stride: int | None, *, before: int = 1
) -> list[tuple[int, int, int]]:
    """Strides of the parts of a net such that together they do not exceed an output stride.

    A part that would exceed it steps by one pixel, and all after it see as far as they did with
    kernels whose elements lie further apart (Chen et al. 2017, https://arxiv.org/abs/1706.05587).

    Args:
      strides: of the parts, in order.
      output_stride: how many pixels of an image there are at most for one at the end, along each
        side; None for no limit.
      before: stride of what comes before.

    Returns:
      For each part (stride, dilation up to where it strides or would, dilation after that).
    """
    result, reached, dilation = [], before, 1
    for stride in strides:
        earlier = dilation
        if output_stride is not None and reached * stride > output_stride:
            dilation *= stride
            stride = 1
        reached *= stride
        result.append((stride, earlier, dilation))
    return result


def check_output_stride(module: nn.Module, smallest: int) -> None:
    """Checks the field `output_stride`, which may be None.

    Args:
      module: a net.
      smallest: what its stem strides by.

    Raises:
      UserError: it is no power of two, or the stem alone strides further.
    """
    value = getattr(module, "output_stride")  # noqa: B009
    if value is not None and (value < smallest or value & (value - 1)):
        raise UserError(
            f"output_stride={value} of {type(module).__name__}: must be a power of two, at least "
            f"{smallest}, such as 8 or 16"
        )


def check_factor(module: nn.Module, *names: str) -> None:
    """Checks that the fields are finite numbers above zero.

    Raises:
      UserError: one is not.
    """
    for name in names:
        value = getattr(module, name)
        if not (math.isfinite(value) and value > 0):
            raise UserError(f"{name}={value!r} of {type(module).__name__}: must be above zero")


def check_table(module: nn.Module, name: str) -> None:
    """Checks that a field of nested tuples is not empty at any level, and its numbers above zero.

    Raises:
      UserError: it is not so.
    """
    value = getattr(module, name)
    numbers = [item for item in _leaves(value) if not isinstance(item, (bool, str))]
    if not all(number > 0 for number in numbers):
        raise UserError(f"{name}={value!r} of {type(module).__name__}: must be above zero")


def _leaves(value: Any) -> Iterator[Any]:
    if not isinstance(value, Iterable) or isinstance(value, str):
        yield value
        return
    if not value:
        yield 0  # an empty level is refused as a zero is
    for item in value:
        yield from _leaves(item)
