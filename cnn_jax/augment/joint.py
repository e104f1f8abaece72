"""The geometry of a recipe's changes for what lies beside an image: masks and boxes.

An image and its fields are changed by the same draw, since the draw is a function of the same
keys: where `cnn_jax.augment.pipeline.apply` shifts, mirrors and turns an image, the matrices here
say from which place each pixel came. `joint_batch` moves images by them too, in one resampling.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from cnn_jax import recipe
from cnn_jax.augment import geometry
from cnn_jax.augment.mosaic import mosaic
from cnn_jax.augment.pipeline import recoloured
from cnn_jax.augment.preprocessing import BYTES, ValueRange, change_size
from cnn_jax.augment.streams import Stream
from cnn_jax.batch import Batch
from cnn_jax.data.fields import VOID, Fields
from cnn_jax.data.fitting import Fit, content

LEAST_AREA = 0.3
"""A box of which less than this part of its area is left in the image is dropped."""


def joint_batch(
    key: jax.Array,
    images: jax.Array,
    targets: Mapping[str, jax.Array],
    fields: Fields,
    epochs: jax.Array,
    indices: jax.Array,
    *,
    run_key: jax.Array,
    augment: recipe.Augment,
    mean: ArrayLike,
    std: ArrayLike,
    value_range: ValueRange = BYTES,
    fit: Fit = "letterbox",
) -> Batch:
    """The batch a training step sees, in which masks and boxes have moved with their images.

    Args:
      key: the PRNG key of this step.
      images: (b, h, w, c) uint8, uint16 or float32, scaled to fit h and w, see
        `cnn_jax.data.fitting`.
      targets: arrays (b, ...) by name; masks and boxes in pixels of the images, or of `size`.
      fields: what they are.
      epochs: (b,) int32, the epoch in which each example is seen.
      indices: (b,) int32, the place of each example in the data set.
      run_key: the PRNG key of the whole training, which no step changes.
      augment: what is changed at random.
      mean: (c,) float32, on the scale 0 to 1; it is the colour outside of an image.
      std: (c,) float32, on the scale 0 to 1.
      value_range: the raw values that are 0 and 1 on that scale.
      fit: how images were brought to h and w.

    Returns:
      A batch of b examples, all of weight one: images (b, h', w', c) normalised, h' and w' those
      of the crop, and targets in pixels of these, without `size`.
    """
    _, height, width, _ = images.shape
    unit = change_size(images, recipe.Preprocess(), value_range)
    sizes = targets.get("size")
    shape = augment.crop_size or (height, width)
    if augment.mosaic:
        whole = jnp.broadcast_to(jnp.array([height, width]), (len(images), 2))
        filled = whole if sizes is None else content(sizes, height, width, fit)
        targets = moved_targets(targets, fields, None, (height, width), (height, width), fit)
        unit, targets = mosaic(
            jax.random.fold_in(key, Stream.MOSAIC),
            unit,
            filled,
            targets,
            augment.mosaic,
            jnp.asarray(mean, jnp.float32),
        )
        sizes = None
    matrices = None
    if _moves(augment):
        held = None if sizes is None else content(sizes, height, width, fit)
        matrices = drawn_geometry(key, run_key, epochs, indices, augment, height, width, held=held)
        # Between barriers, as in `cnn_jax.augment.pipeline.apply`.
        unit = geometry.resample(
            jax.lax.optimization_barrier(unit), matrices, jnp.asarray(mean, jnp.float32), shape
        )
        unit = jax.lax.optimization_barrier(unit)
    inputs = recoloured(key, unit, augment, mean=mean, std=std)
    moved = moved_targets(targets, fields, matrices, (height, width), shape, fit)
    return Batch(inputs, moved, jnp.ones(len(images), jnp.float32))


def moved_targets(
    targets: Mapping[str, jax.Array],
    fields: Fields,
    matrices: jax.Array | None,
    fitted: tuple[int, int],
    shape: tuple[int, int],
    fit: Fit = "letterbox",
) -> dict[str, jax.Array]:
    """Masks and boxes in pixels of the changed images; other targets as they are.

    Args:
      targets: arrays (b, ...) by name.
      fields: what they are.
      matrices: (b, 2, 3), of `drawn_geometry`; None for images that were not changed.
      fitted: height and width of the images before, to which those of `size` were fitted.
      shape: height and width of the changed images.
      fit: how they were fitted.
    """
    found = {name: each for name, each in targets.items() if fields[name].kind != "size"}
    sizes = targets.get("size")
    if matrices is None and sizes is None:
        return found
    if matrices is None:
        assert sizes is not None
        matrices = jnp.broadcast_to(jnp.eye(3)[:2], (len(sizes), 2, 3))
    if sizes is not None:
        matrices = in_own_pixels(matrices, sizes, *fitted, fit)
    for name, field in fields.items():
        if field.kind == "mask":
            found[name] = moved_masks(targets[name], matrices, VOID, shape, sizes)
        elif field.kind == "boxes":
            found[name], found["there"] = moved_boxes(
                targets[name], targets["there"], matrices, *shape
            )
    return found


def in_own_pixels(
    matrices: jax.Array, sizes: jax.Array, height: int, width: int, fit: Fit = "letterbox"
) -> jax.Array:
    """Matrices (b, 2, 3) that lead to pixels of images as they were before they were fitted.

    Args:
      matrices: (b, 2, 3), which lead to pixels of images that were fitted.
      sizes: (b, 2) int32, height and width of the images as they were.
      height: to which they were fitted.
      width: to which they were fitted.
      fit: how.
    """
    ratio = sizes / content(sizes, height, width, fit)
    shift = jnp.concatenate([jnp.zeros((len(sizes), 2, 2)), (ratio / 2 - 0.5)[..., None]], -1)
    return matrices * ratio[..., None] + shift


def _moves(config: recipe.Augment) -> bool:
    """Whether any change of geometry is asked for."""
    return bool(
        config.crop_size
        or config.crop_scale
        or config.pad_crop
        or config.mirror != "none"
        or config.rotation
        or config.translation
        or config.scale
    )


def drawn_geometry(
    key: jax.Array,
    run_key: jax.Array,
    epochs: jax.Array,
    indices: jax.Array,
    config: recipe.Augment,
    height: int,
    width: int,
    *,
    held: jax.Array | None = None,
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
      held: (b, 2), how much of each image is no filling, by default all.

    Returns:
      (b, 2, 3) float32: matrices that take (row, column, 1) of a pixel to its place before.
    """
    batch = len(epochs)
    total = jnp.broadcast_to(jnp.eye(3), (batch, 3, 3))
    last = jnp.broadcast_to(jnp.array([[[0.0, 0, 1]]]), (batch, 1, 3))

    def stream(name: Stream) -> jax.Array:
        return jax.random.fold_in(key, name)

    if config.crop_size or config.crop_scale:
        held = jnp.broadcast_to(jnp.array([height, width]), (batch, 2)) if held is None else held
        height, width = config.crop_size or (height, width)
        cut = geometry.draw_crop(
            stream(Stream.CROP), held, (height, width), config.crop_scale or (1.0, 1.0)
        )
        total = jnp.concatenate([cut, last], axis=1)
    if config.pad_crop:
        padding = config.pad_crop
        corners = geometry.crop_corners(stream(Stream.PAD_CROP), batch, padding)
        shift = (corners - padding).astype(jnp.float32)
        whole = jnp.broadcast_to(jnp.eye(3), (batch, 3, 3))
        total = total @ whole.at[:, :2, 2].set(shift)
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
        total = total @ jnp.concatenate([matrices, last], axis=1)
    return total[:, :2]


def moved_masks(
    masks: jax.Array,
    matrices: jax.Array,
    void: int,
    shape: tuple[int, int] | None = None,
    sizes: jax.Array | None = None,
) -> jax.Array:
    """Masks changed like their images, read at the nearest pixel.

    Args:
      masks: (b, h, w) int.
      matrices: (b, 2, 3), of `drawn_geometry`.
      void: what stands where the image did not reach.
      shape: height and width of what is returned, by default those of the masks.
      sizes: (b, 2), how much of each mask there is, by default all.

    Returns:
      (b, h, w) of the same dtype.
    """
    batch, height, width = masks.shape
    new_height, new_width = shape or (height, width)
    limits = jnp.array([height, width]) if sizes is None else sizes
    limits = jnp.broadcast_to(limits, (batch, 2))[:, :, None, None]
    rows, columns = jnp.meshgrid(jnp.arange(new_height), jnp.arange(new_width), indexing="ij")
    places = jnp.stack([rows, columns, jnp.ones_like(rows)]).astype(jnp.float32)
    # Sums of three, whose halves are the same on every device, unlike those of a matrix product.
    m = matrices[..., None, None]
    exact = m[:, :, 0] * places[0] + m[:, :, 1] * places[1] + m[:, :, 2]
    read = jnp.round(exact).astype(jnp.int32)
    inside = jnp.all((read >= 0) & (read < limits), axis=1)
    row, column = jnp.moveaxis(jnp.clip(read, 0, limits - 1), 1, 0)
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
