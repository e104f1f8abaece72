"""Changes that blank a part of an image or combine pairs of examples."""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp

_ATTEMPTS = 10


def cutout(key: jax.Array, images: jax.Array, side: int) -> jax.Array:
    """Sets a square of each image to zero (https://arxiv.org/abs/1708.04552).

    The centre is uniform over the pixels, so a part of the square may fall outside.

    Args:
      key: a PRNG key.
      images: (b, h, w, c), normalised, so that zero is the mean of the data.
      side: pixels on a side of the square.

    Returns:
      (b, h, w, c).
    """
    batch, height, width, _ = images.shape
    centres = jax.random.randint(key, (batch, 2), 0, jnp.array([height, width]))
    corners = centres - side // 2
    blank = rectangle(corners[:, 0], corners[:, 1], side, side, height, width)
    return jnp.where(blank[..., None], 0, images)


def erase(
    key: jax.Array,
    images: jax.Array,
    probability: float,
    area: tuple[float, float],
    aspect: tuple[float, float],
    value: Literal["zero", "noise"],
) -> jax.Array:
    """Replaces a rectangle of some of the images (https://arxiv.org/abs/1708.04896).

    Its area is uniform, the logarithm of its aspect too, and so is its place among those where it
    is whole. As in torchvision and timm, ten rectangles are drawn for an image, of which the first
    that is lower and narrower than the image is taken; where none is, the image stays as it is.

    Args:
      key: a PRNG key.
      images: (b, h, w, c) float32, normalised, so that zero is the mean of the data.
      probability: that an image is changed.
      area: least and greatest area, as a part of the image's, above 0.
      aspect: least and greatest ratio of height to width, above 0.
      value: what takes the place of the pixels: zeros, or numbers drawn from a normal
        distribution of deviation one.

    Returns:
      (b, h, w, c) float32.
    """
    batch, height, width, _ = images.shape
    which_key, area_key, aspect_key, place_key, noise_key = jax.random.split(key, 5)
    shape = (batch, _ATTEMPTS)
    areas = jax.random.uniform(area_key, shape, minval=area[0], maxval=area[1]) * height * width
    logs = jax.random.uniform(
        aspect_key, shape, minval=jnp.log(aspect[0]), maxval=jnp.log(aspect[1])
    )
    rows = jnp.round(jnp.sqrt(areas * jnp.exp(logs))).astype(jnp.int32)
    columns = jnp.round(jnp.sqrt(areas / jnp.exp(logs))).astype(jnp.int32)
    fits = (rows < height) & (columns < width)
    first = fits & (jnp.cumsum(fits, axis=1) == 1)
    # A sum over one, or over none: nothing is erased then, nor where a side was rounded to 0.
    rows, columns = (jnp.sum(jnp.where(first, side, 0), axis=1) for side in (rows, columns))
    places = jax.random.randint(
        place_key, (2, batch), 0, jnp.stack([height - rows, width - columns]) + 1
    )
    erased = rectangle(places[0], places[1], rows, columns, height, width)
    erased &= jax.random.bernoulli(which_key, probability, (batch,))[:, None, None]
    new = jnp.float32(0) if value == "zero" else jax.random.normal(noise_key, images.shape)
    return jnp.where(erased[..., None], new, images)


def mixup(key: jax.Array, images: jax.Array, targets: Any, alpha: float) -> tuple[jax.Array, Any]:
    """Blends each example with another of the batch (https://arxiv.org/abs/1710.09412).

    The weight, drawn from Beta(alpha, alpha), is the same for the whole batch, as in the
    authors' code; the partners are a random permutation of the batch.

    Args:
      key: a PRNG key.
      images: (b, h, w, c) float32.
      targets: a tree of arrays (b, ...) float32, such as the probability of each class.
      alpha: above zero.

    Returns:
      Images and targets of the same shapes.
    """
    weight_key, partner_key = jax.random.split(key)
    weight = symmetric_beta(weight_key, alpha)
    partner = jax.random.permutation(partner_key, len(images))
    return (
        weight * images + (1 - weight) * images[partner],
        _blended(targets, partner, weight),
    )


def cutmix(key: jax.Array, images: jax.Array, targets: Any, alpha: float) -> tuple[jax.Array, Any]:
    """Pastes a rectangle of another example of the batch (https://arxiv.org/abs/1905.04899).

    The share that is kept is drawn from Beta(alpha, alpha); the rectangle has the aspect of
    the image and a centre uniform over its pixels, and is clipped at the border. Targets are
    blended by the pixels that really come from each example. Share and rectangle are the
    same for the whole batch, as in the authors' code.

    Args:
      key: a PRNG key.
      images: (b, h, w, c) float32.
      targets: a tree of arrays (b, ...) float32, such as the probability of each class.
      alpha: above zero.

    Returns:
      Images and targets of the same shapes.
    """
    _, height, width, _ = images.shape
    share_key, centre_key, partner_key = jax.random.split(key, 3)
    side = jnp.sqrt(1 - symmetric_beta(share_key, alpha))
    rows, columns = (height * side).astype(jnp.int32), (width * side).astype(jnp.int32)
    centre = jax.random.randint(centre_key, (2,), 0, jnp.array([height, width]))
    pasted = rectangle(
        centre[0] - rows // 2, centre[1] - columns // 2, rows, columns, height, width
    )
    weight = 1 - jnp.mean(pasted, dtype=jnp.float32)
    partner = jax.random.permutation(partner_key, len(images))
    return (
        jnp.where(pasted[..., None], images[partner], images),
        _blended(targets, partner, weight),
    )


def _blended(targets: Any, partner: jax.Array, weight: jax.Array) -> Any:
    """Each target with its partner's, by the share `weight` of its own."""
    return jax.tree.map(lambda own: weight * own + (1 - weight) * own[partner], targets)


def rectangle(
    top: jax.Array,
    left: jax.Array,
    rows: jax.Array | int,
    columns: jax.Array | int,
    height: int,
    width: int,
) -> jax.Array:
    """Which pixels of an image lie in a rectangle, of which a part may be outside.

    Args:
      top: (...) int32, first row.
      left: (...) int32, first column.
      rows: how many rows, scalar or (...).
      columns: how many columns, scalar or (...).
      height: of the image.
      width: of the image.

    Returns:
      (..., h, w) bool.
    """
    row = jnp.arange(height) - top[..., None]
    column = jnp.arange(width) - left[..., None]
    in_rows = (row >= 0) & (row < jnp.asarray(rows)[..., None])
    in_columns = (column >= 0) & (column < jnp.asarray(columns)[..., None])
    return in_rows[..., :, None] & in_columns[..., None, :]


def symmetric_beta(key: jax.Array, alpha: float) -> jax.Array:
    """Draws a float32 from Beta(alpha, alpha), alpha above zero.

    By a closed formula of two uniform numbers (Devroye, Random variate generation in one line
    of code, 1996, after Bailey's polar method for the t-distribution, 1994), as the rejection
    loops of `jax.random.beta` add a second to every compilation.
    """
    radius_key, angle_key = jax.random.split(key)
    ratio = jnp.expm1(-jnp.log(jax.random.uniform(radius_key)) / alpha)
    cosine = jnp.cos(2 * jnp.pi * jax.random.uniform(angle_key))
    # Rounding may lead out of the range by the last bit.
    return jnp.clip(0.5 + 0.5 * cosine / jnp.sqrt(1 / ratio + cosine**2), 0, 1)
