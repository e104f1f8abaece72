"""Whether the changes that a recipe asks for can be made to images of a given shape."""

from __future__ import annotations

import math
from collections.abc import Collection

from cnn_jax import recipe
from cnn_jax.augment.policies import GREATEST_MAGNITUDE
from cnn_jax.augment.preprocessing import output_shape
from cnn_jax.data.memory_limit import check_side
from cnn_jax.errors import UserError

_UNLIMITED = {
    "scale": "the greatest relative change of size",
    "mixup": "the parameter of a Beta distribution",
    "cutmix": "the parameter of a Beta distribution",
    "rand_augment": "a number of operations",
    "rand_magnitude_std": "a standard deviation",
}
_LIMITED = {
    "rotation": (180, "degrees"),
    "translation": (1, "a part of the side"),
    "brightness": (1, "a factor's greatest distance from one"),
    "contrast": (1, "a factor's greatest distance from one"),
    "saturation": (1, "a factor's greatest distance from one"),
    "rand_magnitude": (
        GREATEST_MAGNITUDE,
        "a magnitude; torchvision's, up to 30, is three times it",
    ),
    "rand_probability": (1, "a probability"),
    "erase": (1, "a probability"),
}
_POLICIES = ("rand_augment", "trivial_augment")


def check(
    augment: recipe.Augment, preprocess: recipe.Preprocess, image_shape: tuple[int, ...]
) -> None:
    """Checks the parts of a recipe that concern images, before anything is compiled.

    Args:
      augment: what is to be changed at random.
      preprocess: what is to be done to every image.
      image_shape: (h, w, c) of the data set's images.

    Raises:
      UserError: a field has a value that cannot be used, or not with such images.
    """
    height, width, channels = output_shape(preprocess, image_shape)
    _check_normalisation(preprocess, channels)

    for field, meaning in _UNLIMITED.items():
        _check_range(augment, field, math.inf, meaning)
    for field, (limit, meaning) in _LIMITED.items():
        _check_range(augment, field, limit, meaning)
    side = min(height, width)
    size = f"the images are {height}x{width} pixels"
    _check_range(augment, "pad_crop", side - 1, f"a number of pixels; {size}")
    _check_range(augment, "cutout", 2 * side, f"a number of pixels; {size}")

    _check_pair(augment, "erase_area", 1)
    _check_pair(augment, "erase_aspect", math.inf)
    if augment.rand_augment and augment.trivial_augment:
        raise UserError(
            f"--augment.rand-augment {augment.rand_augment} and --augment.trivial-augment are "
            "alternatives; give one of them"
        )
    for field in _POLICIES:
        if getattr(augment, field) and channels not in (1, 3):
            raise UserError(
                f"--augment.{field.replace('_', '-')} needs images of 1 or 3 channels; these have "
                f"{_channels(channels)}; leave it out"
            )
    if augment.saturation and channels != 3:
        raise UserError(
            f"--augment.saturation {augment.saturation} would change nothing or is not defined: "
            f"the images have {_channels(channels)}, not 3; give 0"
        )
    if augment.contrast and channels not in (1, 3):
        raise UserError(
            f"--augment.contrast {augment.contrast} needs images of 1 or 3 channels; these have "
            f"{_channels(channels)}; give 0"
        )


def check_joint(
    augment: recipe.Augment, preprocess: recipe.Preprocess, kinds: Collection[str] = ()
) -> None:
    """Checks what is asked of images in which masks or boxes are told, besides what `check` does.

    Args:
      augment: what is changed at random.
      preprocess: what is done to every image.
      kinds: of what is told, see `cnn_jax.data.fields`.

    Raises:
      UserError: something would change an image and not what is told of it.
    """
    if preprocess.size is not None:
        raise UserError(
            f"--preprocess.size {preprocess.size} would leave masks and boxes as they are; give "
            "--data.image-size"
        )
    for field in ("mixup", "cutmix", *_POLICIES):
        if getattr(augment, field):
            raise UserError(
                f"--augment.{field.replace('_', '-')} {getattr(augment, field)} is for what is "
                "told of a whole image, not for masks and boxes; leave it out"
            )
    if augment.mosaic:
        _check_range(augment, "mosaic", 1, "a probability")
        if "boxes" not in kinds:
            raise UserError(f"--augment.mosaic {augment.mosaic} is for boxes; leave it out")
    if augment.pad_crop and augment.pad_mode != "zero":
        raise UserError(
            f"--augment.pad-mode {augment.pad_mode} would show what no mask or box tells of; "
            "leave it out"
        )
    if augment.crop_size is not None:
        check_side("--augment.crop-size", min(augment.crop_size))
        check_side("--augment.crop-size", max(augment.crop_size))
    if augment.crop_scale is not None:
        _check_pair(augment, "crop_scale", math.inf)


def check_no_crop(augment: recipe.Augment) -> None:
    """Refuses the crop of masks and boxes for what is told of a whole image.

    Raises:
      UserError: it is asked for.
    """
    if augment.mosaic:
        raise UserError(f"--augment.mosaic {augment.mosaic} is for boxes; leave it out")
    for field in ("crop_size", "crop_scale"):
        if getattr(augment, field) is not None:
            raise UserError(
                f"--augment.{field.replace('_', '-')} is for masks and boxes in images; of what "
                "is told of a whole image give --data.random-crop"
            )


def _check_range(augment: recipe.Augment, field: str, limit: float, meaning: str) -> None:
    value = getattr(augment, field)
    if not (math.isfinite(value) and 0 <= value <= limit):
        valid = f"from 0 to {limit}" if math.isfinite(limit) else "0 or larger"
        flag = field.replace("_", "-")
        raise UserError(f"--augment.{flag} is {value}; valid is {valid} ({meaning})")


def _check_pair(augment: recipe.Augment, field: str, limit: float) -> None:
    least, greatest = getattr(augment, field)
    if not (0 < least <= greatest <= limit and math.isfinite(greatest)):
        bound = f" and at most {limit}" if math.isfinite(limit) else ""
        flag = field.replace("_", "-")
        raise UserError(
            f"--augment.{flag} is {least} {greatest}; valid are two numbers above 0{bound}, the "
            "smaller one first"
        )


def _check_normalisation(preprocess: recipe.Preprocess, channels: int) -> None:
    for field in ("mean", "std"):
        values = getattr(preprocess, field)
        if values is None:
            continue
        if len(values) != channels:
            raise UserError(
                f"--preprocess.{field} has {len(values)} values {values}, but the images have "
                f"{_channels(channels)}"
            )
        if not all(math.isfinite(value) for value in values):
            raise UserError(f"--preprocess.{field} {values}: valid are finite numbers")
    if preprocess.std is not None and min(preprocess.std) <= 0:
        raise UserError(f"--preprocess.std {preprocess.std}: valid are numbers above zero")


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"
