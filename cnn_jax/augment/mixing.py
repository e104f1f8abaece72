"""Changes that blank a part of an image or combine pairs of examples."""

from __future__ import annotations

import jax
import jax.numpy as jnp


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


def mixup(
    key: jax.Array, images: jax.Array, targets: jax.Array, alpha: float
) -> tuple[jax.Array, jax.Array]:
    """Blends each example with another of the batch (https://arxiv.org/abs/1710.09412).

    The weight, drawn from Beta(alpha, alpha), is the same for the whole batch, as in the
    authors' code; the partners are a random permutation of the batch.

    Args:
      key: a PRNG key.
      images: (b, h, w, c) float32.
      targets: (b, k) float32, the probability of each class.
      alpha: above zero.

    Returns:
      Images and targets of the same shapes.
    """
    weight_key, partner_key = jax.random.split(key)
    weight = symmetric_beta(weight_key, alpha)
    partner = jax.random.permutation(partner_key, len(images))
    return (
        weight * images + (1 - weight) * images[partner],
        weight * targets + (1 - weight) * targets[partner],
    )


def cutmix(
    key: jax.Array, images: jax.Array, targets: jax.Array, alpha: float
) -> tuple[jax.Array, jax.Array]:
    """Pastes a rectangle of another example of the batch (https://arxiv.org/abs/1905.04899).

    The share that is kept is drawn from Beta(alpha, alpha); the rectangle has the aspect of
    the image and a centre uniform over its pixels, and is clipped at the border. Targets are
    blended by the pixels that really come from each example. Share and rectangle are the
    same for the whole batch, as in the authors' code.

    Args:
      key: a PRNG key.
      images: (b, h, w, c) float32.
      targets: (b, k) float32, the probability of each class.
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
        weight * targets + (1 - weight) * targets[partner],
    )


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
      rows: how many rows, scalar.
      columns: how many columns, scalar.
      height: of the image.
      width: of the image.

    Returns:
      (..., h, w) bool.
    """
    row = jnp.arange(height) - top[..., None]
    column = jnp.arange(width) - left[..., None]
    in_rows = (row >= 0) & (row < rows)
    in_columns = (column >= 0) & (column < columns)
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
