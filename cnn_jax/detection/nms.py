"""Non-maximum suppression of a fixed number of boxes, by tiles."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from cnn_jax.detection.boxes import overlaps

TILE = 128
"""Boxes that are looked at together."""


class _Found(NamedTuple):
    """The boxes kept so far, best first.

    Attributes:
      tile: how many tiles are done.
      number: how many boxes are kept.
      places: (count,) int32, where they stand among all, sorted.
      boxes: (count, 4).
      groups: (count,) int32.
    """

    tile: jax.Array
    number: jax.Array
    places: jax.Array
    boxes: jax.Array
    groups: jax.Array


def kept(
    boxes: jax.Array,
    scores: jax.Array,
    there: jax.Array,
    *,
    overlap: float,
    count: int,
    groups: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """The best boxes of which no two of a group overlap more than a limit.

    The same as going through the boxes from the best score to the worst and keeping each that
    overlaps none of those kept before. Sorted boxes are taken in tiles: each is compared with the
    boxes kept before, then with itself until nothing changes. It ends where enough are kept or none
    is left. To be mapped over images by `jax.vmap`.

    Args:
      boxes: (n, 4).
      scores: (n,); of equal ones the first is better.
      there: (n,) bool, which boxes are no padding.
      overlap: the largest intersection over union that two kept boxes may have.
      count: how many are kept at most.
      groups: (n,) int32, such as classes or levels: boxes of different groups leave each other
        alone; None for one group.

    Returns:
      Places (count,) int32 of the kept boxes, best first, and which of these there are (count,)
      bool; the other places are 0.
    """
    order = jnp.argsort(jnp.where(there, -scores, jnp.inf), stable=True).astype(jnp.int32)
    total = jnp.sum(there)
    size = min(TILE, len(boxes))
    padding = -len(boxes) % size
    sorted_boxes = jnp.pad(boxes[order], ((0, padding), (0, 0)))
    groups = jnp.zeros(len(boxes), jnp.int32) if groups is None else groups.astype(jnp.int32)
    sorted_groups = jnp.pad(groups[order], (0, padding))

    def unfinished(found: _Found) -> jax.Array:
        return (found.number < count) & (found.tile * size < total)

    def step(found: _Found) -> _Found:
        start = found.tile * size
        tile = jax.lax.dynamic_slice_in_dim(sorted_boxes, start, size)
        group = jax.lax.dynamic_slice_in_dim(sorted_groups, start, size)
        places = start + jnp.arange(size, dtype=jnp.int32)
        # Places that are not filled yet hold boxes without area, which overlap nothing.
        hidden = _hides(found.boxes, found.groups, tile, group, overlap)
        left = (places < total) & ~jnp.any(hidden, axis=0)
        stays = _settled(left, _hides(tile, group, tile, group, overlap))
        target = jnp.where(stays, found.number + jnp.cumsum(stays) - 1, count)
        return _Found(
            found.tile + 1,
            found.number + jnp.sum(stays),
            found.places.at[target].set(places, mode="drop"),
            found.boxes.at[target].set(tile, mode="drop"),
            found.groups.at[target].set(group, mode="drop"),
        )

    zero = jnp.zeros((), jnp.int32)
    empty = jnp.zeros(count, jnp.int32)
    first = _Found(zero, zero, empty, jnp.zeros((count, 4), boxes.dtype), empty)
    found = jax.lax.while_loop(unfinished, step, first)
    filled = jnp.arange(count) < found.number
    return jnp.where(filled, order[found.places], 0), filled


def _hides(
    boxes: jax.Array, groups: jax.Array, others: jax.Array, of_others: jax.Array, overlap: float
) -> jax.Array:
    """Which of n boxes would hide which of m others, were it better: (n, m) bool."""
    return (overlaps(boxes, others) > overlap) & (groups[:, None] == of_others[None, :])


def _settled(left: jax.Array, hides: jax.Array) -> jax.Array:
    """Which of sorted boxes (m,) stay, given which hides which (m, m).

    A box stays unless a better one that stays hides it. Begun with all and asked again and again,
    each round is right for at least one box more, and most often for all after a few.
    """
    better = hides & (jnp.arange(len(left))[:, None] < jnp.arange(len(left))[None, :])

    def again(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        _, stays = state
        return stays, left & ~jnp.any(better & stays[:, None], axis=0)

    def changed(state: tuple[jax.Array, jax.Array]) -> jax.Array:
        return jnp.any(state[0] != state[1])

    return jax.lax.while_loop(changed, again, again((left, left)))[1]
