"""The geometry of a recipe's changes for what lies beside an image: masks and boxes.

An image and its fields are changed by the same draw, since the draw is a function of the same
keys: where `cnn_jax.augment.pipeline.apply` shifts, mirrors and turns an image, the matrices here
say from which place each pixel came.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from cnn_jax import recipe
from cnn_jax.augment import geometry
from cnn_jax.augment.streams import Stream

LEAST_AREA = 0.3
"""A box of which less than this part of its area is left in the image is dropped."""


def drawn_geometry(
    key: jax.Array,
    run_key: jax.Array,
    epochs: jax.Array,
    indices: jax.Array,
    config: recipe.Augment,
    height: int,
    width: int,
) -> jax.Array:
    """Where the pixels of changed images came from.

    Args:
      key: of the step.
      run_key: of the whole training.
      epochs: (b,) int32, in which each example is seen.
      indices: (b,) int32, the place of each example in the data set.
      config: whose crop, mirror, rotation, translation and scale are drawn, as `apply` draws them.
      height: of the images, in pixels.
      width: of the images, in pixels.

    Returns:
      (b, 2, 3) float32: matrices that take (row, column, 1) of a pixel to its place before.
    """
    batch = len(epochs)
    total = jnp.broadcast_to(jnp.eye(3), (batch, 3, 3))

    def stream(name: Stream) -> jax.Array:
        return jax.random.fold_in(key, name)

    if config.pad_crop:
        padding = config.pad_crop
        corners = geometry.crop_corners(stream(Stream.PAD_CROP), batch, padding)
        shift = (corners - padding).astype(jnp.float32)
        total = total.at[:, :2, 2].add(shift)
    if config.mirror != "none":
        if config.mirror == "random":
            which = jax.random.bernoulli(stream(Stream.MIRROR), shape=(batch,))
        else:
            bits = jax.random.fold_in(run_key, Stream.MIRROR)
            which = geometry.alternating_mirror(bits, epochs, indices)
        flip = jnp.array([[1.0, 0, 0], [0, -1, width - 1], [0, 0, 1]])
        total = total @ jnp.where(which[:, None, None], flip, jnp.eye(3))
    if config.rotation or config.translation or config.scale:
        matrices = geometry.draw_affine(
            stream(Stream.AFFINE), batch, height, width,
            config.rotation, config.translation, config.scale,
        )  # fmt: skip
        last = jnp.broadcast_to(jnp.array([[[0.0, 0, 1]]]), (batch, 1, 3))
        total = total @ jnp.concatenate([matrices, last], axis=1)
    return total[:, :2]


def moved_masks(masks: jax.Array, matrices: jax.Array, void: int) -> jax.Array:
    """Masks changed like their images, read at the nearest pixel.

    Args:
      masks: (b, h, w) int.
      matrices: (b, 2, 3), of `drawn_geometry`.
      void: what stands where the image did not reach.

    Returns:
      (b, h, w) of the same dtype.
    """
    _, height, width = masks.shape
    rows, columns = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    places = jnp.stack([rows, columns, jnp.ones_like(rows)]).astype(jnp.float32)
    read = jnp.round(jnp.einsum("bij,jhw->bihw", matrices, places)).astype(jnp.int32)
    row, column = read[:, 0], read[:, 1]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    row, column = jnp.clip(row, 0, height - 1), jnp.clip(column, 0, width - 1)
    found = jax.vmap(lambda mask, r, c: mask[r, c])(masks, row, column)
    return jnp.where(inside, found, jnp.asarray(void, masks.dtype))


def moved_boxes(
    boxes: jax.Array, there: jax.Array, matrices: jax.Array, height: int, width: int
) -> tuple[jax.Array, jax.Array]:
    """Boxes changed like their images, and which of them are left.

    A box that is turned becomes the upright one around it. It is clipped to the image, and dropped
    where less than `LEAST_AREA` of it is left there.

    Args:
      boxes: (b, n, 4) float32: top, left, bottom, right, in pixels from the upper left corner of
        the image.
      there: (b, n) bool, which of them are boxes and no padding.
      matrices: (b, 2, 3), of `drawn_geometry`.
      height: of the images, in pixels.
      width: of the images, in pixels.

    Returns:
      (b, n, 4) float32, zeros where there is no box, and (b, n) bool.
    """
    # Pixel centres lie half a pixel from the corners that boxes count from.
    forward = jnp.linalg.inv(matrices[:, :, :2])
    top, left, bottom, right = jnp.moveaxis(boxes - 0.5, -1, 0)
    corners = jnp.stack(
        [
            jnp.stack(pair, -1)
            for pair in ((top, left), (top, right), (bottom, left), (bottom, right))
        ],
        axis=2,
    )
    moved = jnp.einsum("bij,bncj->bnci", forward, corners - matrices[:, None, None, :, 2]) + 0.5
    low, high = moved.min(axis=2), moved.max(axis=2)
    limits = jnp.array([height, width], jnp.float32)
    clipped_low, clipped_high = jnp.clip(low, 0, limits), jnp.clip(high, 0, limits)
    whole, left_over = jnp.prod(high - low, -1), jnp.prod(clipped_high - clipped_low, -1)
    kept = there & (left_over >= LEAST_AREA * whole) & (left_over > 0)
    found = jnp.concatenate([clipped_low, clipped_high], axis=-1)
    return jnp.where(kept[..., None], found, 0.0), kept
