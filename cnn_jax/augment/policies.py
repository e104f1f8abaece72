"""RandAugment and TrivialAugment: which operation is applied to each image, and how strongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp

from cnn_jax.augment.operations import Operation, operate

Ranges = Literal["torchvision", "timm", "timm_increasing"]
"""Whose operations RandAugment draws from, and whose amounts."""

GREATEST_MAGNITUDE = 10
"""Of RandAugment; torchvision's scale reaches to 30, and its 9 is 3 here."""


def rand_augment(
    key: jax.Array,
    images: jax.Array,
    *,
    operations: int,
    magnitude: float,
    magnitude_std: float,
    probability: float,
    ranges: Ranges,
    fill: jax.Array,
) -> jax.Array:
    """Applies operations that are drawn for each image (https://arxiv.org/abs/1909.13719).

    Args:
      key: a PRNG key.
      images: (b, h, w, c) float32 on the scale 0 to 1, of one or three channels; they are
        rounded to 8 bits.
      operations: how many are applied to each image, one after the other; the same one may be
        drawn again.
      magnitude: from 0 to 10, of all operations that have one.
      magnitude_std: standard deviation of a normal distribution around `magnitude` from which
        each operation's is drawn; what lies outside 0 to 10 becomes 0 or 10.
      probability: that an operation which was drawn is applied.
      ranges: which operations there are, and what a magnitude means for each.
      fill: (c,) float32 on the scale 0 to 1, the colour of what comes in from outside.

    Returns:
      (b, h, w, c) float32, multiples of 1/255.
    """
    batch, height, width, _ = images.shape
    levels, fill = _to_8_bits(images), _to_8_bits(fill)

    def layer(levels: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
        which, amounts = draw_rand(
            key, batch, height, width, magnitude, magnitude_std, probability, ranges
        )
        return operate(levels, which, amounts, fill), None

    # A loop, so that the operations are compiled once and not once a layer.
    levels, _ = jax.lax.scan(layer, levels, jax.random.split(key, operations))
    return levels / 255


def trivial_augment(key: jax.Array, images: jax.Array, fill: jax.Array) -> jax.Array:
    """Applies one operation, with a magnitude of its own, to each image.

    This is TrivialAugment with its wide ranges (https://arxiv.org/abs/2103.10158).

    Args:
      key: a PRNG key.
      images: (b, h, w, c) float32 on the scale 0 to 1, of one or three channels; they are
        rounded to 8 bits.
      fill: (c,) float32 on the scale 0 to 1, the colour of what comes in from outside.

    Returns:
      (b, h, w, c) float32, multiples of 1/255.
    """
    which, amounts = draw_trivial(key, len(images))
    return operate(_to_8_bits(images), which, amounts, _to_8_bits(fill)) / 255


def draw_rand(
    key: jax.Array,
    batch: int,
    height: int,
    width: int,
    magnitude: float,
    magnitude_std: float,
    probability: float,
    ranges: Ranges,
) -> tuple[jax.Array, jax.Array]:
    """Draws an operation for each image as `rand_augment` says, with its amount.

    Returns:
      (b,) int32, values of `Operation`, and (b,) float32, in the units that it states.
    """
    which_key, sign_key, magnitude_key, apply_key = jax.random.split(key, 4)
    magnitudes = magnitude + magnitude_std * jax.random.normal(magnitude_key, (batch,))
    magnitudes = jnp.clip(magnitudes, 0, GREATEST_MAGNITUDE)
    space = rand_space(ranges, magnitudes, _signs(sign_key, batch), height, width)
    which, amounts = _draw(which_key, space)
    applied = jax.random.bernoulli(apply_key, probability, (batch,))
    return jnp.where(applied, which, Operation.IDENTITY), amounts


def draw_trivial(key: jax.Array, batch: int) -> tuple[jax.Array, jax.Array]:
    """Draws an operation for each image as `trivial_augment` says, with its amount.

    Returns:
      (b,) int32, values of `Operation`, and (b,) float32, in the units that it states.
    """
    which_key, sign_key, step_key = jax.random.split(key, 3)
    steps = jax.random.randint(step_key, (batch,), 0, 31)
    return _draw(which_key, trivial_space(steps, _signs(sign_key, batch)))


def rand_space(
    ranges: Ranges, magnitudes: jax.Array, signs: jax.Array, height: int, width: int
) -> dict[Operation, jax.Array]:
    """The operations of RandAugment with their amounts, in the units that `Operation` states.

    Args:
      ranges: whose they are. Those of torchvision and of `timm_increasing` grow stronger with
        the magnitude; those of timm are the original ones, where with a greater magnitude
        solarize and posterize grow weaker and the factors go from 0.1 to 1.9.
      magnitudes: (b,) float32 from 0 to 10.
      signs: (b,) float32, 1 or -1.
      height: of the images, in pixels.
      width: of the images, in pixels.

    Returns:
      For each operation (b,) float32.
    """
    none = jnp.zeros_like(magnitudes)
    geometric = {
        Operation.SHEAR_X: signs * 0.03 * magnitudes,
        Operation.SHEAR_Y: signs * 0.03 * magnitudes,
        Operation.ROTATE: signs * 3 * magnitudes,
    }
    if ranges == "torchvision":
        part = 15 / 331 * magnitudes  # up to 150 of the 331 pixels that AutoAugment had
        return {
            Operation.IDENTITY: none,
            **geometric,
            Operation.TRANSLATE_X: signs * jnp.trunc(part * width),
            Operation.TRANSLATE_Y: signs * jnp.trunc(part * height),
            **_factors(1 + signs * 0.09 * magnitudes),
            Operation.POSTERIZE: 8 - jnp.round(0.4 * magnitudes),
            Operation.SOLARIZE: 255 - 25.5 * magnitudes,
            Operation.AUTOCONTRAST: none,
            Operation.EQUALIZE: none,
        }
    bits, threshold = jnp.trunc(0.4 * magnitudes), jnp.trunc(25.6 * magnitudes)
    factors = 0.1 + 0.18 * magnitudes
    if ranges == "timm_increasing":
        bits, threshold = 4 - bits, 256 - threshold
        factors = jnp.maximum(1 + signs * 0.09 * magnitudes, 0.1)
    return {
        **geometric,
        Operation.TRANSLATE_X: signs * 0.045 * magnitudes * width,
        Operation.TRANSLATE_Y: signs * 0.045 * magnitudes * height,
        **_factors(factors),
        Operation.POSTERIZE: bits,
        Operation.SOLARIZE: threshold,
        Operation.SOLARIZE_ADD: jnp.trunc(11 * magnitudes),
        Operation.INVERT: none,
        Operation.AUTOCONTRAST: none,
        Operation.EQUALIZE: none,
    }


def trivial_space(steps: jax.Array, signs: jax.Array) -> dict[Operation, jax.Array]:
    """The operations of TrivialAugment with their amounts, in the units that `Operation` states.

    Args:
      steps: (b,) int32 from 0 to 30, where 30 is strongest.
      signs: (b,) float32, 1 or -1.

    Returns:
      For each operation (b,) float32.
    """
    none = jnp.zeros_like(signs)
    part = signs * steps / 30
    # Up to 32 pixels, whatever the size of the image.
    shift = signs * (32 * steps // 30)
    return {
        Operation.IDENTITY: none,
        Operation.SHEAR_X: 0.99 * part,
        Operation.SHEAR_Y: 0.99 * part,
        Operation.TRANSLATE_X: shift,
        Operation.TRANSLATE_Y: shift,
        Operation.ROTATE: 135 * part,
        **_factors(1 + 0.99 * part),
        Operation.POSTERIZE: 8 - jnp.round(steps / 5),
        Operation.SOLARIZE: 255 - 8.5 * steps,
        Operation.AUTOCONTRAST: none,
        Operation.EQUALIZE: none,
    }


def _factors(factors: jax.Array) -> dict[Operation, jax.Array]:
    changes = (
        Operation.BRIGHTNESS,
        Operation.CONTRAST,
        Operation.COLOUR,
        Operation.SHARPNESS,
    )
    return dict.fromkeys(changes, factors)


def _draw(key: jax.Array, space: Mapping[Operation, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Draws an operation for each image, (b,) int32, all being equally likely, and its amount."""
    amounts = jnp.stack(list(space.values()))
    count, batch = amounts.shape
    place = jax.random.randint(key, (batch,), 0, count)
    # Sums, as indexing would make the devices send each other amounts of their images.
    chosen = place == jnp.arange(count)[:, None]
    names = jnp.asarray(list(space), jnp.int32)
    which = jnp.sum(jnp.where(chosen, names[:, None], 0), axis=0)
    return which, jnp.sum(jnp.where(chosen, amounts, 0), axis=0)


def _signs(key: jax.Array, batch: int) -> jax.Array:
    return jnp.where(jax.random.bernoulli(key, shape=(batch,)), 1.0, -1.0)


def _to_8_bits(unit: jax.Array) -> jax.Array:
    return jnp.round(jnp.clip(unit, 0, 1) * 255)
