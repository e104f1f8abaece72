"""What excites the maps of a layer: parts of real images, and images made for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cnn_jax.inside.net import Net
from cnn_jax.inside.points import values

_BATCH = 64
_NOISES = 4
_STARTS = 16


class Exciting(NamedTuple):
    """A place at which a map is large.

    Attributes:
      image: which of those that were given.
      value: of the map there.
      box: top, left, bottom, right of what the place sees, in pixels of the image as the net is
        given it.
    """

    image: int
    value: float
    box: tuple[int, int, int, int]


def exciting(
    net: Net, images: jax.Array, layer: str, channels: Sequence[int], count: int
) -> dict[int, list[Exciting]]:
    """The places of images that excite maps of a layer most, one an image, the strongest first.

    Args:
      net: that is asked.
      images: (n, h, w, c) prepared.
      layer: with maps (h', w', c').
      channels: of the layer.
      count: how many of each at most.
    """
    chosen = jnp.asarray(channels)

    @jax.jit
    def strongest(variables: Any, part: jax.Array) -> tuple[jax.Array, jax.Array]:
        maps = values(net.module, variables, part, [layer])[layer][..., chosen]
        flat = maps.reshape(len(maps), -1, len(channels)).astype(jnp.float32)
        return jnp.max(flat, axis=1), jnp.argmax(flat, axis=1)

    parts = [
        jax.device_get(strongest(net.variables, images[start : start + _BATCH]))
        for start in range(0, len(images), _BATCH)
    ]
    most, places = (np.concatenate(each) for each in zip(*parts, strict=True))
    (width,) = {each.shape[1] for each in net.layers(images[:1]) if each.name == layer}
    seen = _Seen(net, images.shape[1:], layer)
    return {
        channel: [
            Exciting(
                int(image),
                float(most[image, number]),
                seen(*divmod(int(places[image, number]), width)),
            )
            for image in np.argsort(-most[:, number], kind="stable")[:count]
        ]
        for number, channel in enumerate(channels)
    }


class _Seen:
    """What a place of a layer sees of an image: the pixels with which its values change.

    They are those with a gradient, on noise; that of several is taken, since a ReLU may hide some.
    """

    def __init__(self, net: Net, shape: Sequence[int], layer: str) -> None:
        noise = jax.random.normal(jax.random.key(0), (_NOISES, *shape))

        @jax.jit
        def slopes(variables: Any, row: jax.Array, column: jax.Array) -> jax.Array:
            def at(images: jax.Array) -> jax.Array:
                maps = values(net.module, variables, images, [layer])[layer]
                weights = jax.random.normal(jax.random.key(1), maps.shape[-1:])
                return jnp.sum(maps[:, row, column] * weights)

            return jnp.any(jax.grad(at)(noise) != 0, (0, 3))

        self._slopes, self._net, self._shape = slopes, net, shape
        self._known: dict[tuple[int, int], tuple[int, int, int, int]] = {}

    def __call__(self, row: int, column: int) -> tuple[int, int, int, int]:
        if (row, column) not in self._known:
            seen = np.asarray(self._slopes(self._net.variables, row, column))
            self._known[row, column] = _box(seen)
        return self._known[row, column]


def _box(seen: np.ndarray) -> tuple[int, int, int, int]:
    """Around all that is true in (h, w); the whole where nothing is."""
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    if not len(rows):
        return 0, 0, *seen.shape
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def receptive_field(net: Net, shape: Sequence[int], layer: str, row: int, column: int) -> Any:
    """What a place of a layer sees of an image (h, w, c): top, left, bottom, right in pixels."""
    return _Seen(net, shape, layer)(row, column)


def dreamt(
    net: Net, shape: Sequence[int], layer: str, channels: Sequence[int], steps: int = 128
) -> np.ndarray:
    """Images (n, h, w, c), prepared, that are made to excite one map of a layer each.

    From noise the mean of the map is made larger, step by step along its gradient; every
    fourth step the image is blurred and made weaker, which leaves out what changes from pixel to
    pixel (Yosinski et al. 2015, https://arxiv.org/abs/1506.06579).

    Args:
      net: that is asked.
      shape: (h, w, c) of an image.
      layer: with maps.
      channels: n of the layer.
      steps: how many.
    """

    @jax.jit
    def made(variables: Any, channel: jax.Array) -> jax.Array:
        def excited(image: jax.Array) -> jax.Array:
            maps = values(net.module, variables, image[None], [layer])[layer]
            return jnp.mean(maps[..., channel].astype(jnp.float32))

        def step(place: jax.Array, image: jax.Array) -> jax.Array:
            slope = jax.grad(excited)(image)
            image = image + 0.1 * slope / (jnp.sqrt(jnp.mean(slope**2)) + 1e-8)
            return jnp.where(place % 4 == 3, 0.99 * _blurred(image), image)

        # Where a ReLU is closed there is no gradient: the best of several noises is begun with.
        noises = jax.random.normal(jax.random.key(0), (_STARTS, *shape))
        first = noises[jnp.argmax(jax.vmap(excited)(noises))]
        return jax.lax.fori_loop(0, steps, step, first)

    return np.stack([np.asarray(made(net.variables, channel)) for channel in channels])


def _blurred(image: jax.Array) -> jax.Array:
    """An image (h, w, c) in which each pixel has a part of its neighbours."""
    weights = (0.05, 0.9, 0.05)
    for axis in (0, 1):
        around = [(1, 1) if each == axis else (0, 0) for each in range(3)]
        padded = jnp.pad(image, around, "edge")
        size = image.shape[axis]
        before, same, after = (
            jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(3)
        )
        image = weights[0] * before + weights[1] * same + weights[2] * after
    return image
