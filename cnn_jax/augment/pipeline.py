"""From raw images and their targets to the batch of a step: every change in its place."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from cnn_jax import recipe
from cnn_jax.augment import colour, geometry, mixing, policies
from cnn_jax.augment.preprocessing import BYTES, ValueRange, change_size, normalise
from cnn_jax.augment.streams import Stream
from cnn_jax.batch import Batch
from cnn_jax.errors import UserError
from cnn_jax.own.values import Own


def training_batch(
    key: jax.Array,
    images: jax.Array,
    targets: Any,
    epochs: jax.Array,
    indices: jax.Array,
    *,
    run_key: jax.Array,
    preprocess: recipe.Preprocess,
    augment: recipe.Augment,
    mean: ArrayLike,
    std: ArrayLike,
    value_range: ValueRange = BYTES,
) -> Batch:
    """The batch a training step sees, from raw examples.

    Args:
      key: the PRNG key of this step.
      images: (b, h, w, c) uint8, uint16 or float32.
      targets: a tree of arrays (b, ...) float32 that may be blended, such as the probability of
        each class (b, k).
      epochs: (b,) int32, the epoch in which each example is seen.
      indices: (b,) int32, the place of each example in the data set.
      run_key: the PRNG key of the whole training, which no step changes.
      preprocess: what is done to every image.
      augment: what is changed at random.
      mean: (c,) float32, on the scale 0 to 1.
      std: (c,) float32, on the scale 0 to 1.
      value_range: the raw values that are 0 and 1 on that scale.

    Returns:
      A batch of b examples, all of weight one.

    Raises:
      TypeError: the images are none of these.
      UserError: the images are larger than the size they are to be padded to.
    """
    sized = change_size(images, preprocess, value_range)
    changed, targets = apply(
        key, sized, targets, epochs, indices, augment, run_key=run_key, mean=mean, std=std
    )
    return Batch(changed, targets, jnp.ones(len(changed), jnp.float32))


def evaluation_batch(
    images: jax.Array,
    targets: Any,
    weights: jax.Array,
    *,
    preprocess: recipe.Preprocess,
    mean: ArrayLike,
    std: ArrayLike,
    value_range: ValueRange = BYTES,
) -> Batch:
    """The batch an evaluation step sees, from raw examples: prepared, but not changed.

    Args:
      images: (b, h, w, c) uint8, uint16 or float32.
      targets: a tree of arrays (b, ...).
      weights: (b,) float32, 0 for padding and 1 for an example.
      preprocess: what is done to every image.
      mean: (c,) float32, on the scale 0 to 1.
      std: (c,) float32, on the scale 0 to 1.
      value_range: the raw values that are 0 and 1 on that scale.

    Raises:
      TypeError: the images are none of these.
      UserError: the images are larger than the size they are to be padded to.
    """
    return Batch(
        normalise(change_size(images, preprocess, value_range), mean, std),
        targets,
        jnp.asarray(weights, jnp.float32),
    )


def apply(
    key: jax.Array,
    images: jax.Array,
    targets: Any,
    epochs: jax.Array,
    indices: jax.Array,
    config: recipe.Augment,
    *,
    run_key: jax.Array,
    mean: ArrayLike,
    std: ArrayLike,
) -> tuple[jax.Array, Any]:
    """Applies the random changes of `config`, and among them the normalisation.

    The order is fixed: crop, mirror, rotation with translation and scale, RandAugment or
    TrivialAugment, brightness, contrast, saturation, a function of the user's own, normalisation,
    cutout, erasing, then mixup or cutmix. A change that is left out adds no operation to the
    program.

    Args:
      key: the PRNG key of this step.
      images: (b, h, w, c) float32 of their final size, on the scale 0 to 1.
      targets: a tree of arrays (b, ...) float32, which mixup and cutmix blend as the images.
      epochs: (b,) int32, the epoch in which each example is seen.
      indices: (b,) int32, the place of each example in the data set.
      config: what is changed and how much, as `check` accepts it.
      run_key: the PRNG key of the whole training, which no step changes.
      mean: (c,) float32, on the scale 0 to 1.
      std: (c,) float32, on the scale 0 to 1.

    Returns:
      Images (b, h, w, c) float32, normalised, and targets as given.
    """
    moved = moved_images(key, images, epochs, indices, config, run_key)
    changed = recoloured(key, moved, config, mean=mean, std=std)
    return mixed(key, changed, targets, config)


def moved_images(
    key: jax.Array,
    images: jax.Array,
    epochs: jax.Array,
    indices: jax.Array,
    config: recipe.Augment,
    run_key: jax.Array,
) -> jax.Array:
    """Images cropped, mirrored, turned, shifted and scaled."""

    def stream(name: Stream) -> jax.Array:
        return jax.random.fold_in(key, name)

    batch = len(images)
    if config.pad_crop:
        images = geometry.pad_crop(
            stream(Stream.PAD_CROP), images, config.pad_crop, config.pad_mode
        )
    if config.mirror == "random":
        which = jax.random.bernoulli(stream(Stream.MIRROR), shape=(batch,))
        images = geometry.mirror(images, which)
    elif config.mirror == "alternating":
        bits = jax.random.fold_in(run_key, Stream.MIRROR)
        images = geometry.mirror(images, geometry.alternating_mirror(bits, epochs, indices))
    if config.rotation or config.translation or config.scale:
        # Resampling reads and yields each pixel several times; without the barriers the compiler
        # would compute what stands before it anew each time (on the CPU, with all changes on,
        # 12 ms instead of 4 ms for 128x32x32x3).
        images = jax.lax.optimization_barrier(images)
        images = geometry.affine(
            stream(Stream.AFFINE), images, config.rotation, config.translation, config.scale
        )
        images = jax.lax.optimization_barrier(images)
    return images


def recoloured(
    key: jax.Array, images: jax.Array, config: recipe.Augment, *, mean: ArrayLike, std: ArrayLike
) -> jax.Array:
    """Images with the changes of `apply` that follow those of geometry, but for those that mix.

    Args:
      key: the PRNG key of this step.
      images: (b, h, w, c) float32, on the scale 0 to 1.
      config: as of `apply`.
      mean: as of `apply`.
      std: as of `apply`.

    Returns:
      (b, h, w, c) float32, normalised.
    """

    def stream(name: Stream) -> jax.Array:
        return jax.random.fold_in(key, name)

    batch = len(images)
    if config.rand_augment:
        images = policies.rand_augment(
            stream(Stream.RAND_AUGMENT),
            images,
            operations=config.rand_augment,
            magnitude=config.rand_magnitude,
            magnitude_std=config.rand_magnitude_std,
            probability=config.rand_probability,
            ranges=config.rand_ranges,
            fill=_fill(config, images, mean),
        )
    if config.trivial_augment:
        images = policies.trivial_augment(
            stream(Stream.TRIVIAL_AUGMENT), images, _fill(config, images, mean)
        )
    for name, change, amount in (
        (Stream.BRIGHTNESS, colour.brightness, config.brightness),
        (Stream.CONTRAST, colour.contrast, config.contrast),
        (Stream.SATURATION, colour.saturation, config.saturation),
    ):
        if amount:
            images = change(images, colour.factors(stream(name), batch, amount))
    if isinstance(config.own, Own):
        images = _own(config.own, stream(Stream.OWN), images)
    images = normalise(images, mean, std)
    if config.cutout:
        images = mixing.cutout(stream(Stream.CUTOUT), images, config.cutout)
    if config.erase:
        images = mixing.erase(
            stream(Stream.ERASE),
            images,
            config.erase,
            config.erase_area,
            config.erase_aspect,
            config.erase_value,
        )
    return images


def mixed(
    key: jax.Array, images: jax.Array, targets: Any, config: recipe.Augment
) -> tuple[jax.Array, Any]:
    """Normalised images and their targets, blended with those of other examples."""

    def stream(name: Stream) -> jax.Array:
        return jax.random.fold_in(key, name)

    if config.mixup and config.cutmix:
        return jax.lax.cond(
            jax.random.bernoulli(stream(Stream.MIXUP_OR_CUTMIX)),
            lambda: mixing.mixup(stream(Stream.MIXUP), images, targets, config.mixup),
            lambda: mixing.cutmix(stream(Stream.CUTMIX), images, targets, config.cutmix),
        )
    if config.mixup:
        return mixing.mixup(stream(Stream.MIXUP), images, targets, config.mixup)
    if config.cutmix:
        return mixing.cutmix(stream(Stream.CUTMIX), images, targets, config.cutmix)
    return images, targets


def _own(name: Own, key: jax.Array, images: jax.Array) -> jax.Array:
    """A user's own change, checked to keep the shape.

    Raises:
      UserError: it does not take a key and images, or does not give such images.
    """
    function = name.value
    try:
        inspect.signature(function).bind(key, images)
    except TypeError as error:
        raise UserError(f"augmentation {name} is called with (key, images): {error}") from None
    found = function(key, images)
    shape, dtype = getattr(found, "shape", None), getattr(found, "dtype", None)
    if (shape, dtype) != (images.shape, images.dtype):
        raise UserError(
            f"augmentation {name} gives {shape} {dtype} for images {images.shape} {images.dtype}; "
            "expected is the same shape and dtype"
        )
    return found


def _fill(config: recipe.Augment, images: jax.Array, mean: ArrayLike) -> jax.Array:
    """The colour (c,), from 0 to 1, of what comes in from outside in RandAugment and the like."""
    colours: dict[str, ArrayLike] = {"grey": 128 / 255, "mean": mean, "black": 0.0}
    return jnp.broadcast_to(jnp.asarray(colours[config.fill], jnp.float32), images.shape[-1:])
