"""Changes of what pixels hold: brightness, contrast and saturation.

Each takes images on the scale 0 to 1 and clips them back to it, as Pillow's ImageEnhance does.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the grey of a pixel (ITU-R Rec. 601)."""


def brightness(images: jax.Array, factors: jax.Array) -> jax.Array:
    """Multiplies the pixels of each image (b, h, w, c) by its factor (b,)."""
    return _away_from(jnp.zeros_like(images[:, :1, :1]), images, factors)


def contrast(images: jax.Array, factors: jax.Array) -> jax.Array:
    """Multiplies the distance of the pixels from their image's mean grey by its factor.

    Args:
      images: (b, h, w, c) float32 on the scale 0 to 1, of one or three channels.
      factors: (b,) float32, not negative.

    Returns:
      (b, h, w, c) float32 on the scale 0 to 1.

    Raises:
      ValueError: the images have neither one nor three channels.
    """
    return _away_from(jnp.mean(grey(images), axis=(1, 2), keepdims=True), images, factors)


def saturation(images: jax.Array, factors: jax.Array) -> jax.Array:
    """Multiplies the distance of each pixel from its own grey by its image's factor.

    Args:
      images: (b, h, w, 3) float32 on the scale 0 to 1.
      factors: (b,) float32, not negative.

    Returns:
      (b, h, w, 3) float32 on the scale 0 to 1.
    """
    return _away_from(grey(images), images, factors)


def factors(key: jax.Array, batch: int, amount: float) -> jax.Array:
    """Draws (b,) float32 factors uniformly from 1 - amount to 1 + amount."""
    return jax.random.uniform(key, (batch,), minval=1 - amount, maxval=1 + amount)


def grey(images: jax.Array) -> jax.Array:
    """The grey (b, h, w, 1) of images (b, h, w, c) with one or three channels.

    Raises:
      ValueError: the images have neither one nor three channels.
    """
    channels = images.shape[-1]
    if channels == 1:
        return images
    if channels != 3:
        raise ValueError(f"grey is defined for images of 1 or 3 channels, not {channels}")
    # Not a matrix product: accelerators would round its operands to fewer bits.
    return jnp.sum(images * jnp.asarray(GREY, images.dtype), axis=-1, keepdims=True)


def _away_from(origin: jax.Array, images: jax.Array, factors: jax.Array) -> jax.Array:
    changed = origin + (images - origin) * factors[:, None, None, None]
    return jnp.clip(changed, 0, 1)
