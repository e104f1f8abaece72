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
