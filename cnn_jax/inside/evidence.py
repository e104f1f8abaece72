"""Which values of an input a net's answer hangs on: integrated gradients, occlusion."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.inside.attention import Classes, Maps, wanted_classes
from cnn_jax.inside.net import Net

STEPS = 64
"""Points on the way from the baseline to an input."""
_AT_ONCE = 64


class Evidence(NamedTuple):
    """What the places of inputs add to a score, in sum the difference to that of a baseline.

    Attributes:
      maps: (n, h, w) float32, in the unit of the score; below 0 what lessens it.
      classes: (n,) that the score is of.
      scores: (n,) of the inputs.
      baselines: (n,) scores of what they are compared with.
    """

    maps: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    baselines: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """What part of the difference of the two scores the maps do not explain, (n,)."""
        apart = self.scores - self.baselines
        left = np.abs(self.maps.sum((1, 2)) - apart)
        return left / np.maximum(np.abs(apart), 1e-12)


def integrated_gradients(
    net: Net, inputs: jax.Array, classes: Classes = None, steps: int = STEPS
) -> Evidence:
    """What each pixel adds to the score of a class, beside a picture of the mean colour.

    The gradients on the straight line from there, by the midpoint rule; they sum to the difference
    of the two scores (Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365).

    Args:
      net: that is asked.
      inputs: (n, h, w, c) prepared, so that 0 is the mean colour of the training part.
      classes: see `cnn_jax.inside.attention.grad_cam`.
      steps: points on the line, rounded up to whole eights above eight.

    Raises:
      UserError: a class is unknown.
    """
    wanted = wanted_classes(net, classes, len(inputs))
    program = _integrated(net, steps)
    found = [
        jax.device_get(program(net.variables, inputs[place], wanted[place]))
        for place in range(len(inputs))
    ]
    return Evidence(*(np.stack(each) for each in zip(*found, strict=True)))


@functools.lru_cache(maxsize=8)
def _integrated(net: Net, steps: int) -> Any:
    def of_one(variables: Any, x: jax.Array, wanted: jax.Array) -> Any:
        def score(images: jax.Array, told: jax.Array) -> jax.Array:
            outputs = net.module.apply(variables, images, train=False)
            return net.score(outputs, jnp.broadcast_to(told, len(images)))

        ends = jnp.stack([x, jnp.zeros_like(x)])
        told = net.told(net.module.apply(variables, ends, train=False))[0]
        told = jnp.where(wanted < 0, told, wanted).astype(jnp.int32)
        slopes = jax.grad(lambda images: jnp.sum(score(images, told)))

        def part(total: jax.Array, shares: jax.Array) -> tuple[jax.Array, None]:
            found = slopes(shares[:, None, None, None] * x[None])
            return total + jnp.sum(found, axis=0), None

        # In parts, so that a large picture does not fill the memory so many times over.
        at_once = min(steps, 8)
        count = -(-steps // at_once)
        shares = (jnp.arange(count * at_once) + 0.5) / (count * at_once)
        total, _ = jax.lax.scan(part, jnp.zeros_like(x), shares.reshape(count, at_once))
        scores = score(ends, told)
        maps = jnp.sum(x * total / (count * at_once), axis=-1)
        return maps, told, scores[0], scores[1]

    return jax.jit(of_one)


def occlusion(
    net: Net,
    inputs: jax.Array,
    classes: Classes = None,
    side: int | None = None,
    stride: int | None = None,
) -> Maps:
    """By how much the score of a class falls where a square is covered with the mean colour.

    A pixel has the mean of the squares that cover it (Zeiler and Fergus 2013,
    https://arxiv.org/abs/1311.2901).

    Args:
      net: that is asked.
      inputs: (n, h, w, c) prepared.
      classes: see `cnn_jax.inside.attention.grad_cam`.
      side: of the square in pixels, by default a fifth of the picture's shorter side.
      stride: pixels from one square to the next, by default half of a square.

    Raises:
      UserError: a class is unknown, or the square is larger than the picture.
    """
    height, width = inputs.shape[1:3]
    side = max(1, round(min(height, width) / 5)) if side is None else side
    stride = max(1, side // 2) if stride is None else stride
    if not 1 <= side <= min(height, width):
        raise UserError(
            f"side={side} of the square must be from 1 to {min(height, width)}, the picture's "
            "shorter side"
        )
    wanted = wanted_classes(net, classes, len(inputs))
    corners = np.array(
        [(top, left) for top in _starts(height, side, stride)
         for left in _starts(width, side, stride)], np.int32,
    )  # fmt: skip
    covers = np.zeros((height, width))
    for top, left in corners.tolist():
        covers[top : top + side, left : left + side] += 1
    program = _occluded(net, side)
    found = []
    for place in range(len(inputs)):
        x = inputs[place]
        parts, told, score = [], wanted[place], np.float32(0)
        for start in range(0, len(corners), _AT_ONCE):
            part = corners[start : start + _AT_ONCE]
            # The last is filled up, so that nothing is compiled again.
            filled = np.concatenate([part, np.repeat(part[-1:], _AT_ONCE - len(part), axis=0)])
            falls, told, score = jax.device_get(program(net.variables, x, wanted[place], filled))
            parts.append(falls[: len(part)])
        falls = np.concatenate(parts)
        total = np.zeros((height, width))
        for (top, left), fall in zip(corners.tolist(), falls.tolist(), strict=True):
            total[top : top + side, left : left + side] += fall
        found.append(((total / covers).astype(np.float32), told, score))
    maps, classes, scores = (np.stack(each) for each in zip(*found, strict=True))
    return Maps(maps, classes, scores, "input")


def _starts(length: int, side: int, stride: int) -> list[int]:
    """Where squares begin, so that they cover all."""
    starts = list(range(0, length - side + 1, stride))
    return starts if starts[-1] == length - side else [*starts, length - side]


@functools.lru_cache(maxsize=8)
def _occluded(net: Net, side: int) -> Any:
    def falls(variables: Any, x: jax.Array, wanted: jax.Array, corners: jax.Array) -> Any:
        rows, columns = jnp.arange(x.shape[0]), jnp.arange(x.shape[1])

        def covered(corner: jax.Array) -> jax.Array:
            down = (rows >= corner[0]) & (rows < corner[0] + side)
            along = (columns >= corner[1]) & (columns < corner[1] + side)
            return jnp.where((down[:, None] & along)[..., None], 0.0, x)

        images = jnp.concatenate([x[None], jax.vmap(covered)(corners)])
        outputs = net.module.apply(variables, images, train=False)
        told = jnp.where(wanted < 0, net.told(outputs[:1])[0], wanted).astype(jnp.int32)
        scores = net.score(outputs, jnp.broadcast_to(told, len(images)))
        return scores[0] - scores[1:], told, scores[0]

    return jax.jit(falls)
