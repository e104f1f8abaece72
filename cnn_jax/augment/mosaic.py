"""Four images as one, with their boxes (Bochkovskiy et al. 2020, https://arxiv.org/abs/2004.10934).

Objects come smaller and among others, four images are learnt from at once, and a batch holds more
boxes: worth most where images are few.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from cnn_jax.augment.geometry import resample

CENTRE = (0.3, 0.7)
"""Where the four meet, as parts of the height and of the width."""

SCALES = (0.4, 1.2)
"""What each is resized by."""

ROOM = 2
"""So many times as many boxes as in the images before can be in four of them."""

LEAST_AREA = 0.3
"""A box of which less than this part of its area is left is dropped."""

LEAST_SIDE = 2.0
"""So is one with a side of fewer pixels: what is in it cannot be seen."""


def mosaic(
    key: jax.Array,
    images: jax.Array,
    contents: jax.Array,
    targets: Mapping[str, jax.Array],
    probability: float,
    fill: jax.Array,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Puts four images of a batch in the place of some of them.

    Each of the four is resized by a factor, and any part of it that is as large as its quarter is
    shown there; the quarters meet at a random place.

    Args:
      key: a PRNG key.
      images: (b, h, w, c) float32.
      contents: (b, 2) int32, rows and columns of each that are no filling, from its upper left.
      targets: `boxes` (b, n, 4) float32, top, left, bottom, right in their pixels; `there` (b, n)
        bool, which of these are boxes; and (b, n, ...) what else is told of each box.
      probability: that an image is replaced.
      fill: (c,) the colour of what none of the four covers.

    Returns:
      Images of the same shape, and targets with room for `ROOM` times as many boxes an image.
      Where four images have more, the largest are kept.
    """
    boxes, there = targets["boxes"], targets["there"]
    batch, height, width, _ = images.shape
    n = boxes.shape[1]
    most = ROOM * n
    which_key, centre_key, *keys = jax.random.split(key, 6)
    which = jax.random.bernoulli(which_key, probability, (batch,))
    low, high = CENTRE
    centre = jax.random.uniform(centre_key, (batch, 2), minval=low, maxval=high)
    centre = jnp.round(centre * jnp.array([height, width]))
    rows, columns = jnp.arange(height)[:, None], jnp.arange(width)[None, :]
    below = rows[None] >= centre[:, 0, None, None]
    beside = columns[None] >= centre[:, 1, None, None]
    whole = jnp.broadcast_to(jnp.array([height, width], jnp.float32), (batch, 2))
    made, found = images, []
    for place, quarter_key in enumerate(keys):
        down, across = divmod(place, 2)
        partner_key, scale_key, part_key = jax.random.split(quarter_key, 3)
        # The first quarter shows the image itself, the others those that a permutation gives it.
        partner = jax.random.permutation(partner_key, batch) if place else jnp.arange(batch)
        corner = jnp.stack(
            [
                centre[:, 0] if down else jnp.zeros(batch),
                centre[:, 1] if across else jnp.zeros(batch),
            ],
            axis=-1,
        )
        end = jnp.stack(
            [whole[:, 0] if down else centre[:, 0], whole[:, 1] if across else centre[:, 1]],
            axis=-1,
        )
        smallest, largest = jnp.log(jnp.array(SCALES))
        factor = jax.random.uniform(scale_key, (batch, 1), minval=smallest, maxval=largest)
        scale = jnp.exp(factor)
        # Where in the quarter the image begins: before it where it is larger, else within.
        room = end - corner - scale * contents[partner]
        start = corner + room * jax.random.uniform(part_key, (batch, 2))
        matrices = _reading(scale, start)
        read = resample(images[partner], matrices, fill)
        inside = (below == bool(down)) & (beside == bool(across))
        made = jnp.where((which[:, None, None] & inside)[..., None], read, made)
        moved = boxes[partner] * scale[..., None] + jnp.tile(start, 2)[:, None]
        found.append((*_within(moved, there[partner], corner, end), partner))
    boxes_of, there_of = (
        jnp.concatenate(each, axis=1) for each in list(zip(*found, strict=True))[:2]
    )
    areas = jnp.where(there_of, _areas(boxes_of), -1.0)
    _, kept = jax.lax.top_k(areas, most)

    def merged(new: jax.Array, old: jax.Array) -> jax.Array:
        new = jax.vmap(lambda each, at: each[at])(new, kept)
        old = jnp.pad(old, ((0, 0), (0, most - n), *[(0, 0)] * (old.ndim - 2)))
        return jnp.where(which.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    told = {
        name: merged(jnp.concatenate([each[partner] for *_, partner in found], axis=1), each)
        for name, each in targets.items()
    }
    return made, {**told, "boxes": merged(boxes_of, boxes), "there": merged(there_of, there)}


def _reading(scale: jax.Array, start: jax.Array) -> jax.Array:
    """Matrices (b, 2, 3) from pixels of the mosaic to those of an image that begins at a place."""
    step = 1 / scale[:, 0]
    # Pixel centres lie half a pixel from the corners.
    shift = (0.5 - start) * step[:, None] - 0.5
    zero = jnp.zeros_like(step)
    return jnp.stack(
        [
            jnp.stack([step, zero, shift[:, 0]], axis=-1),
            jnp.stack([zero, step, shift[:, 1]], axis=-1),
        ],
        axis=1,
    )


def _within(
    boxes: jax.Array, there: jax.Array, low: jax.Array, high: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Boxes (b, n, 4) clipped to rectangles from (b, 2) to (b, 2), and which are left."""
    limits = jnp.tile(low, 2)[:, None], jnp.tile(high, 2)[:, None]
    inside = jnp.clip(boxes, *limits)
    left = _areas(inside)
    sides = inside[..., 2:] - inside[..., :2]
    kept = there & (left >= LEAST_AREA * _areas(boxes)) & jnp.all(sides >= LEAST_SIDE, axis=-1)
    return jnp.where(kept[..., None], inside, 0.0), kept


def _areas(boxes: jax.Array) -> jax.Array:
    return jnp.prod(boxes[..., 2:] - boxes[..., :2], axis=-1)
