"""The operations that RandAugment and TrivialAugment draw from, a different one for each image.

Images are on the scale 0 to 255 and hold whole numbers before and after every operation, as those
of the papers do; results are Pillow's (ImageOps, ImageEnhance, Image.transform and Image.rotate,
bilinear) to the last value where that does not hang on how a machine rounds.

Not every operation is computed for every image. What moves pixels is one resampling, with a matrix
for each image; what changes them one by one is one table for each image; the remaining two are a
blend with a grey or a smoothed image.
"""

from __future__ import annotations

import enum

import jax
import jax.numpy as jnp

from cnn_jax.augment import geometry, tables


class Operation(enum.IntEnum):
    """An operation; beside it is what its amount means."""

    IDENTITY = 0
    SHEAR_X = 1  # columns to the left for each row further down
    SHEAR_Y = 2  # rows upwards for each column further to the right
    TRANSLATE_X = 3  # columns to the left
    TRANSLATE_Y = 4  # rows upwards
    ROTATE = 5  # degrees, counter-clockwise
    BRIGHTNESS = 6  # factor
    CONTRAST = 7  # factor of the distance from the image's mean grey
    COLOUR = 8  # factor of the distance from each pixel's grey
    SHARPNESS = 9  # factor of the distance from the smoothed image
    POSTERIZE = 10  # bits that are kept
    SOLARIZE = 11  # the least value that is inverted
    SOLARIZE_ADD = 12  # added to values below 128
    INVERT = 13  # none
    AUTOCONTRAST = 14  # none
    EQUALIZE = 15  # none


def operate(
    images: jax.Array, operations: jax.Array, amounts: jax.Array, fill: jax.Array
) -> jax.Array:
    """Applies one operation to each image.

    Args:
      images: (b, h, w, c) float32, whole numbers from 0 to 255, of one or three channels.
      operations: (b,) int32, values of `Operation`.
      amounts: (b,) float32, in the unit of each image's operation.
      fill: (c,) float32, the colour of what comes in from outside, from 0 to 255.

    Returns:
      (b, h, w, c) float32, whole numbers from 0 to 255.

    Raises:
      ValueError: the images have neither one nor three channels.
    """
    # The barriers keep the compiler from computing what stands before anew for each of the
    # several times that a resampling, and then a blend, read a pixel.
    _, height, width, _ = images.shape
    places = matrices(operations, amounts, height, width)
    moved = jnp.round(geometry.resample(jax.lax.optimization_barrier(images), places, fill))
    moved = jax.lax.optimization_barrier(moved)
    grey = grey_values(moved)
    values = moved.astype(jnp.int32)
    # A barrier here too, or each pixel would have its whole table computed for it.
    table = jax.lax.optimization_barrier(_tables(values, grey, operations, amounts))
    changed = tables.look_up(values, table)
    origin = jnp.where(
        _of(operations, Operation.SHARPNESS), smoothed(moved), grey.astype(jnp.float32)
    )
    blended = tables.blend(origin, moved, amounts[:, None, None, None])
    which = _of(operations, Operation.SHARPNESS, Operation.COLOUR)
    return jnp.where(which, blended, changed)


def matrices(operations: jax.Array, amounts: jax.Array, height: int, width: int) -> jax.Array:
    """Where each pixel of the new image is read, for `geometry.resample`: (b, 2, 3) float32.

    Operations that do not move pixels get the identity.
    """

    def amount(operation: Operation) -> jax.Array:
        return jnp.where(operations == operation, amounts, 0.0)

    angle = jnp.deg2rad(amount(Operation.ROTATE))
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    row_by_column = sine + amount(Operation.SHEAR_Y)
    column_by_row = -sine + amount(Operation.SHEAR_X)
    # Rotation is about the centre, shear from the outer corner of the first pixel, whose centre,
    # where `resample` has its zero, is half a pixel away.
    row, column = (height - 1) / 2, (width - 1) / 2
    row_shift = row - cosine * row - sine * column + amount(Operation.SHEAR_Y) / 2
    column_shift = column - cosine * column + sine * row + amount(Operation.SHEAR_X) / 2
    first = [cosine, row_by_column, row_shift + amount(Operation.TRANSLATE_Y)]
    second = [column_by_row, cosine, column_shift + amount(Operation.TRANSLATE_X)]
    return jnp.stack([jnp.stack(first, -1), jnp.stack(second, -1)], axis=1)


def grey_values(images: jax.Array) -> jax.Array:
    """The grey (b, h, w, 1) int32 of 8-bit images (b, h, w, c), rounded as Pillow's.

    Raises:
      ValueError: the images have neither one nor three channels.
    """
    values = images.astype(jnp.int32)
    if values.shape[-1] == 1:
        return values
    if values.shape[-1] != 3:
        raise ValueError(f"grey is defined for images of 1 or 3 channels, not {values.shape[-1]}")
    # colour.GREY in parts of 65,536.
    red, green, blue = jnp.split(values, 3, axis=-1)
    return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


def smoothed(images: jax.Array) -> jax.Array:
    """Each 8-bit pixel's mean with its neighbours, itself with weight five, rounded.

    The outermost pixels stay as they are, as with Pillow's ImageFilter.SMOOTH.
    """
    batch, height, width, channels = images.shape
    if min(height, width) < 3:
        return images
    # Pixels of a row with their channels in one axis: on the CPU (32x224x224x3) 9 ms, not 39.
    flat = images.reshape(batch, height, width * channels)
    rows = flat[:, :-2] + flat[:, 1:-1] + flat[:, 2:]
    square = rows[:, :, : -2 * channels] + rows[:, :, channels:-channels]
    square += rows[:, :, 2 * channels :]
    # No sum is half-way between two multiples of 13.
    inner = jnp.round((square + 4 * flat[:, 1:-1, channels:-channels]) / 13)
    padded = jnp.pad(inner, ((0, 0), (1, 1), (channels, channels)))
    row = jnp.arange(height)[:, None]
    place = jnp.arange(width * channels)
    interior = (row > 0) & (row < height - 1)
    interior &= (place >= channels) & (place < (width - 1) * channels)
    return jnp.where(interior, padded, flat).reshape(images.shape)


def _tables(
    values: jax.Array, grey: jax.Array, operations: jax.Array, amounts: jax.Array
) -> jax.Array:
    """The table of each image and channel, (b, c, 256): the identity for other operations."""
    counts = tables.histogram(values)
    means = jnp.floor(jnp.mean(grey.astype(jnp.float32), axis=(1, 2, 3)) + 0.5)
    table = jnp.broadcast_to(jnp.arange(tables.VALUES, dtype=jnp.float32), counts.shape)
    for operation, changed in (
        (Operation.BRIGHTNESS, tables.brightness(amounts)[:, None]),
        (Operation.CONTRAST, tables.contrast(amounts, means)[:, None]),
        (Operation.POSTERIZE, tables.posterize(amounts.astype(jnp.int32))[:, None]),
        (Operation.SOLARIZE, tables.solarize(amounts)[:, None]),
        (Operation.SOLARIZE_ADD, tables.solarize_add(amounts)[:, None]),
        (Operation.INVERT, tables.invert()),
        (Operation.AUTOCONTRAST, tables.autocontrast(counts)),
        (Operation.EQUALIZE, tables.equalize(counts)),
    ):
        table = jnp.where(_of(operations, operation)[..., 0], changed, table)
    return table


def _of(operations: jax.Array, *wanted: Operation) -> jax.Array:
    """Which images get one of the wanted operations: (b, 1, 1, 1) bool."""
    found = jnp.isin(operations, jnp.asarray(wanted))
    return found[:, None, None, None]
