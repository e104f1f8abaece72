"""Changes of pixels value by value: tables of what becomes of each of the 256 values.

In them 8-bit images are changed as by Pillow's ImageOps and ImageEnhance. A table costs next to
nothing beside an image, so all are made for every image, and the image is read through the one
that was drawn for it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

VALUES = 256
"""How many values an 8-bit pixel can have."""


def histogram(images: jax.Array) -> jax.Array:
    """Counts the pixels of each value: (b, c, 256) int32 of images (b, h, w, c) int32."""
    channels = images.shape[-1]

    # One scatter an image, its channels side by side, so that none has to be transposed.
    def count(image: jax.Array) -> jax.Array:
        places = (image + VALUES * jnp.arange(channels)).ravel()
        return jnp.zeros(channels * VALUES, jnp.int32).at[places].add(1, mode="promise_in_bounds")

    return jax.vmap(count)(images).reshape(-1, channels, VALUES)


def look_up(images: jax.Array, tables: jax.Array) -> jax.Array:
    """Reads each pixel (b, h, w, c) int32 in the table (b, c, 256) of its image and channel."""
    channels = images.shape[-1]

    def read(image: jax.Array, table: jax.Array) -> jax.Array:
        places = image + VALUES * jnp.arange(channels)
        return table.ravel().at[places].get(mode="promise_in_bounds")

    return jax.vmap(read)(images, tables)


def blend(origin: jax.Array, values: jax.Array, factors: jax.Array) -> jax.Array:
    """Multiplies the distance of 8-bit values from `origin` by factors, and cuts to 8 bits.

    As Pillow's `Image.blend` it rounds towards zero.
    """
    return jnp.floor(jnp.clip(origin + factors * (values - origin), 0, VALUES - 1))


def brightness(factors: jax.Array) -> jax.Array:
    """Tables (b, 256) that multiply values by factors (b,)."""
    return blend(jnp.float32(0), _values(), factors[:, None])


def contrast(factors: jax.Array, means: jax.Array) -> jax.Array:
    """Tables (b, 256) that multiply distances from the means (b,) by factors (b,)."""
    return blend(means[:, None], _values(), factors[:, None])


def posterize(bits: jax.Array) -> jax.Array:
    """Tables (b, 256) that keep so many of the highest bits, (b,) int32 from 0 to 8."""
    shift = 8 - bits[:, None]
    kept = jnp.left_shift(jnp.right_shift(jnp.arange(VALUES), shift), shift)
    return kept.astype(jnp.float32)


def solarize(thresholds: jax.Array) -> jax.Array:
    """Tables (b, 256) that invert what is not below a threshold (b,)."""
    return jnp.where(_values() < thresholds[:, None], _values(), invert())


def solarize_add(amounts: jax.Array) -> jax.Array:
    """Tables (b, 256) that add amounts (b,) to what is below 128."""
    added = jnp.minimum(_values() + amounts[:, None], VALUES - 1)
    return jnp.where(_values() < 128, added, _values())


def invert() -> jax.Array:
    """The table (256,) of negatives."""
    return VALUES - 1 - _values()


def autocontrast(counts: jax.Array) -> jax.Array:
    """Tables that spread values from the least and the greatest in use over the whole range.

    Whole numbers are computed exactly, where Pillow, in floats, now and then is one below.

    Args:
      counts: (b, c, 256) int32, how many pixels have each value.

    Returns:
      (b, c, 256) float32; a channel with a single value stays as it is.
    """
    used = counts > 0
    least = jnp.argmax(used, axis=-1, keepdims=True)
    greatest = VALUES - 1 - jnp.argmax(used[..., ::-1], axis=-1, keepdims=True)
    width = jnp.maximum(greatest - least, 1)
    values = jnp.arange(VALUES)
    spread = jnp.clip((values - least) * (VALUES - 1) // width, 0, VALUES - 1)
    return jnp.where(greatest > least, spread, values).astype(jnp.float32)


def equalize(counts: jax.Array) -> jax.Array:
    """Tables that make all values about equally frequent.

    Args:
      counts: (b, c, 256) int32, how many pixels have each value.

    Returns:
      (b, c, 256) float32; a channel in which all but the pixels of the greatest value are fewer
      than 255 stays as it is, as with Pillow.
    """
    below = jnp.cumsum(counts, axis=-1) - counts
    # No pixel is above the greatest value in use, so `below` is at most all but its pixels.
    step = jnp.max(jnp.where(counts > 0, below, 0), axis=-1, keepdims=True) // (VALUES - 1)
    equal = (step // 2 + below) // jnp.maximum(step, 1)
    equal = jnp.minimum(equal, VALUES - 1)
    return jnp.where(step > 0, equal, jnp.arange(VALUES)).astype(jnp.float32)


def _values() -> jax.Array:
    return jnp.arange(VALUES, dtype=jnp.float32)
