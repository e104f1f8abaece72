"""What is done to every image, in training and evaluation alike: scale, size, normalisation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from cnn_jax import recipe
from cnn_jax.data.memory_limit import check_side
from cnn_jax.errors import UserError

ValueRange = tuple[float, float]
"""The values of raw images that are black and white, 0 and 1 where they are prepared."""

BYTES: ValueRange = (0, 255)
"""The range of uint8 images."""


def preprocess(
    images: jax.Array,
    config: recipe.Preprocess,
    mean: ArrayLike,
    std: ArrayLike,
    value_range: ValueRange = BYTES,
) -> jax.Array:
    """Brings raw images to the size and the range of values that the model is given.

    Args:
      images: (b, h, w, c) uint8, uint16 or float32.
      config: the size, and how it is reached; its `mean` and `std` are not read here, as
        by default the caller finds them in the training images.
      mean: (c,) float32, on the scale 0 to 1.
      std: (c,) float32, on the scale 0 to 1, above zero.
      value_range: the values that are 0 and 1 on that scale.

    Returns:
      (b, s, s, c) float32, or (b, h, w, c) where no size is given.

    Raises:
      TypeError: the images are none of these.
      UserError: the images are larger than the size they are to be padded to.
    """
    return normalise(change_size(images, config, value_range), mean, std)


def change_size(
    images: jax.Array, config: recipe.Preprocess, value_range: ValueRange = BYTES
) -> jax.Array:
    """Brings (b, h, w, c) uint8, uint16 or float32 to (b, s, s, c) float32 on the scale 0 to 1.

    Resizing is bilinear, widened to the size of an output pixel where the image shrinks
    (antialiased, as in Pillow). It does not keep the aspect of images that are not square.
    Padding is centred; where it is odd, the further pixel is at the bottom and the right.

    Raises:
      TypeError: the images are none of these.
      UserError: the images are larger than the size they are to be padded to.
    """
    if images.dtype not in (jnp.uint8, jnp.uint16, jnp.float32):
        raise TypeError(
            f"images are uint8, uint16 or float32 before preprocessing, not {images.dtype}"
        )
    low, high = value_range
    unit = jnp.asarray(images).astype(jnp.float32)
    unit = (unit - low if low else unit) / (high - low)
    batch, height, width, channels = unit.shape
    new = output_shape(config, (height, width, channels))
    if new == (height, width, channels):
        return unit
    if config.fit == "resize":
        return jax.image.resize(unit, (batch, *new), "bilinear", antialias=True)
    above, left = (new[0] - height) // 2, (new[1] - width) // 2
    rows = (above, new[0] - height - above)
    columns = (left, new[1] - width - left)
    return jnp.pad(unit, ((0, 0), rows, columns, (0, 0)))


def output_shape(config: recipe.Preprocess, image_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The (h, w, c) of a preprocessed image, from the (h, w, c) of a raw one.

    Raises:
      UserError: the size is not positive or larger than any image may be, or the image is larger
        than the size it is to be padded to.
    """
    height, width, channels = image_shape
    size = config.size
    if size is None:
        return height, width, channels
    check_side("--preprocess.size", size)
    if config.fit == "pad" and size < max(height, width):
        raise UserError(
            f"--preprocess.size {size} is smaller than the images ({height}x{width}), which "
            f"padding cannot reach; give at least {max(height, width)}, or --preprocess.fit resize"
        )
    return size, size, channels


def normalise(images: jax.Array, mean: ArrayLike, std: ArrayLike) -> jax.Array:
    """Subtracts the channel means and divides by the channel deviations.

    Args:
      images: (b, h, w, c) float32, on the scale 0 to 1.
      mean: (c,) float32, on the scale 0 to 1.
      std: (c,) float32, on the scale 0 to 1, above zero.

    Returns:
      (b, h, w, c) float32.
    """
    return (images - jnp.asarray(mean, jnp.float32)) / jnp.asarray(std, jnp.float32)


def denormalise(images: jax.Array, mean: ArrayLike, std: ArrayLike) -> jax.Array:
    """Undoes `normalise`: (b, h, w, c) float32 back to the scale 0 to 1, to be looked at."""
    return images * jnp.asarray(std, jnp.float32) + jnp.asarray(mean, jnp.float32)
