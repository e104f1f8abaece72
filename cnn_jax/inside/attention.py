"""Where in an input a net finds what it tells: class activation maps by gradients."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cnn_jax.errors import unknown
from cnn_jax.inside.net import Net, net_of
from cnn_jax.inside.points import Point, map_layer, outputs
from cnn_jax.trained import Pictures, TrainedModel

METHODS = ("grad_cam", "grad_cam_plus_plus", "hires_cam")
_BATCH = 32

Classes = int | str | Sequence[int | str] | np.ndarray | None
"""A class, or one for each example, by name or place; None for those that are told."""


class Maps(NamedTuple):
    """Maps of examples.

    Attributes:
      maps: (n, h', w') float32 at the places of the layer, or (n, t') of series; above 0 where
        something speaks for the class, below where it speaks against it.
      classes: (n,) that they are of.
      scores: (n,) how much speaks for it in all, such as its logit.
      layer: at which they were made.
    """

    maps: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    layer: str


def grad_cam(
    trained: TrainedModel, images: Pictures, classes: Classes = None, layer: str | None = None
) -> np.ndarray:
    """Where in images a model finds a class: Grad-CAM, (n, h, w) float32 from 0 to 1.

    Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391. All 0 of an image in which nothing
    speaks for the class.

    Args:
      trained: a model of images.
      images: n of them, as of `TrainedModel.predict`.
      classes: of which class; by default the one that is told.
      layer: where the map is made; by default the last layer with several places.

    Returns:
      Maps of the size of what the model is given, such as 224 x 224.

    Raises:
      UserError: a layer or class is unknown, or the images are unlike those learnt from.
    """
    inputs = trained.preprocess(images)
    found = attention(net_of(trained), inputs, classes, layer)
    return from_0_to_1(found.maps, inputs.shape[1:3])


def attention(
    net: Net,
    inputs: Any,
    classes: Classes = None,
    layer: str | None = None,
    method: str = "grad_cam",
) -> Maps:
    """Maps of prepared inputs.

    Args:
      net: that is asked.
      inputs: a tree of arrays (n, ...) as the net takes them.
      classes: see `grad_cam`.
      layer: see `grad_cam`.
      method: `grad_cam`; `grad_cam_plus_plus`, which weighs places by how much they count for the
        class (Chattopadhyay et al. 2018, https://arxiv.org/abs/1710.11063); `hires_cam`, which
        multiplies every value by its own gradient (Draelos and Carin 2020,
        https://arxiv.org/abs/2011.08891).

    Raises:
      UserError: a layer, class or method is unknown.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    count = len(jax.tree.leaves(inputs)[0])
    chosen = map_layer(layer, net.layers(inputs)).name
    wanted = wanted_classes(net, classes, count)
    parts = []
    for start in range(0, count, _BATCH):
        part = jax.tree.map(lambda leaf, at=start: leaf[at : at + _BATCH], inputs)
        found = _program(net, chosen, method)(net.variables, part, wanted[start : start + _BATCH])
        parts.append(jax.device_get(found))
    maps, told, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Maps(maps, told, scores, chosen)


def wanted_classes(net: Net, classes: Classes, count: int) -> np.ndarray:
    """The place of the class of each example, (n,) int32; -1 for the one that is told.

    Raises:
      UserError: there is no such class, or not one for each example.
    """
    if classes is None:
        return np.full(count, -1, np.int32)
    if isinstance(classes, int | str | np.integer):
        return np.full(count, net.place(classes), np.int32)
    if len(classes) != count:
        raise ValueError(f"{len(classes)} classes are given for {count} examples")
    return np.array([net.place(_plain(each)) for each in classes], np.int32)


def _plain(each: Any) -> int | str:
    return each if isinstance(each, str) else int(each)


def from_0_to_1(maps: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """What speaks for a class, (n, *shape) float32, of each map by its largest value.

    Args:
      maps: as of `Maps`.
      shape: (h, w) to which they are enlarged, or (t,).
    """
    return scaled(np.maximum(maps, 0), shape)


def scaled(maps: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Maps (n, *shape) float32 from -1 to 1, of each by its value farthest from 0."""
    large = jax.image.resize(jnp.asarray(maps), (len(maps), *shape), "bilinear")
    most = jnp.max(jnp.abs(large), tuple(range(1, large.ndim)), keepdims=True)
    return np.asarray(large / jnp.where(most > 0, most, 1), np.float32)


@functools.lru_cache(maxsize=32)
def _program(net: Net, layer: str, method: str) -> Any:
    """(variables, inputs, classes) -> maps, classes and scores, compiled."""

    def maps(variables: Any, inputs: Any, classes: jax.Array) -> Any:
        def asked(change: jax.Array | None) -> Any:
            met: dict[str, jax.Array] = {}

            def meet(point: Point) -> jax.Array | None:
                if point.name != layer:
                    return None
                met["value"] = point.value
                return None if change is None else point.value + change

            found = outputs(net.module, variables, inputs, meet)
            told = jnp.where(classes < 0, net.told(found), classes)
            scores = net.score(found, told)
            return jnp.sum(scores), (met["value"], told, scores)

        shape = jax.eval_shape(asked, None)[1][0]
        change = jnp.zeros(shape.shape, shape.dtype)
        slopes, (values, told, scores) = jax.grad(asked, has_aux=True)(change)
        found = _weighed(values.astype(jnp.float32), slopes.astype(jnp.float32), method)
        return found, told, scores

    return jax.jit(maps)


def _weighed(values: jax.Array, slopes: jax.Array, method: str) -> jax.Array:
    """The sum over channels of values (b, ..., c), each by its weight, from their gradients."""
    if method == "hires_cam":
        return jnp.sum(values * slopes, axis=-1)
    places = tuple(range(1, values.ndim - 1))
    if method == "grad_cam":
        weights = jnp.mean(slopes, places, keepdims=True)
        return jnp.sum(values * weights, axis=-1)
    # Of the exponential of the score, whose second and third derivatives are powers of the first.
    below = 2 * slopes**2 + jnp.sum(values, places, keepdims=True) * slopes**3
    shares = jnp.where(below != 0, slopes**2 / jnp.where(below != 0, below, 1.0), 0.0)
    weights = jnp.sum(shares * jnp.maximum(slopes, 0), places, keepdims=True)
    return jnp.sum(values * weights, axis=-1)
