"""The loss on the straight line between two states of a net."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from cnn_jax.state import Variables


class Line(NamedTuple):
    """What was measured on the way.

    Attributes:
      shares: (n,) of the second state, from below 0 to above 1.
      metrics: (n,) each, by name.
    """

    shares: np.ndarray
    metrics: dict[str, np.ndarray]


def loss_line(
    first: Variables,
    second: Variables,
    measure: Callable[[Variables], Mapping[str, Any]],
    points: int = 25,
    beyond: float = 0.25,
) -> Line:
    """Measures nets whose variables are a mean of two others' (Goodfellow et al. 2015,
    https://arxiv.org/abs/1412.6544).

    Batch statistics are mixed as parameters are.

    Args:
      first: variables at 0.
      second: variables at 1.
      measure: metrics of variables.
      points: how many, evenly spread, the two themselves among them where that comes out even.
      beyond: how far the line goes on at both ends, as a part of its length.
    """
    shares = np.linspace(-beyond, 1 + beyond, points)

    @jax.jit
    def mixed(first: Variables, second: Variables, share: jax.Array) -> Variables:
        return jax.tree.map(lambda a, b: a + share * (b - a), first, second)

    found = [measure(mixed(first, second, np.float32(share))) for share in shares]
    names = [name for name, value in found[0].items() if isinstance(value, int | float)]
    return Line(shares, {name: np.array([each[name] for each in found]) for name in names})


def barrier(line: Line) -> float:
    """How far the loss rises on the way above the straight line between its two ends, 0 or more.

    Frankle et al. 2020, https://arxiv.org/abs/1912.05671.
    """
    inside = (line.shares >= 0) & (line.shares <= 1)
    shares, loss = line.shares, line.metrics["loss"]
    ends = np.interp([0, 1], shares, loss)
    straight = ends[0] + shares[inside] * (ends[1] - ends[0])
    return max(0.0, float(np.max(loss[inside] - straight)))
