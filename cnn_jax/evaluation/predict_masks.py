"""The class of each pixel of a user's own images, written as masks and as pictures of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from cnn_jax.data.fitting import filled_up, scaled_to_fit
from cnn_jax.data.images import UnreadableImage, decode, in_channels, in_threads
from cnn_jax.devices.compilation import compiled
from cnn_jax.errors import UserError
from cnn_jax.evaluation.mask_pictures import as_image, class_colours, in_colour, over
from cnn_jax.evaluation.pictures import STANDARD_INPUT, check_apart, content
from cnn_jax.restored import Restored
from cnn_jax.tasks import make_task
from cnn_jax.tasks.mask_reading import told_classes
from cnn_jax.training.evaluator import make_model

FOLDER = Path("predictions")
"""Where masks are written if nothing else is said."""


_MOST_PROGRAMS = 64


class MasksTold:
    """The mask that a model tells of an image, at the size of the image, compiled by size.

    Of sizes the last are kept.

    Args:
      restored: the model.
    """

    def __init__(self, restored: Restored) -> None:
        task = make_task(restored.recipe, restored.spec)
        model = make_model(restored.recipe, task)

        def told(variables: Any, images: Any, sizes: Any, shape: tuple[int, int]) -> Any:
            def apply(inputs: Any) -> Any:
                return model.apply(variables, inputs, train=False)

            outputs = task.infer(apply, task.prepared(images))
            return told_classes(outputs, sizes, shape)

        self._restored, self._told = restored, told
        self._programs: dict[tuple[int, int], Any] = {}

    def fitted(self, image: np.ndarray) -> np.ndarray:
        """An image (h, w, c) in the shape of those that the model was evaluated on."""
        spec = self._restored.spec
        height, width, channels = spec.evaluated_shape
        low, high = spec.value_range
        colour = np.array(spec.mean) * (high - low) + low
        fill = (np.rint(colour) if image.dtype.kind == "u" else colour).astype(image.dtype)
        fitted = scaled_to_fit(in_channels(image, channels, "the image"), height, width)
        return filled_up(fitted, height, width, fill)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The places (h, w) of the classes of an image (h, w, c) among their names."""
        shape = image.shape[:2]
        given = self._restored.variables, self.fitted(image)[None], np.array([shape], np.int32)
        if shape not in self._programs:
            step = functools.partial(self._told, shape=shape)
            program = compiled(self._restored.mesh, jax.jit(step), *given)
            while len(self._programs) >= _MOST_PROGRAMS:
                del self._programs[next(iter(self._programs))]
            self._programs[shape] = program
        return np.asarray(self._programs[shape](*given))[0]


def predict_masks(
    restored: Restored, files: Sequence[Path], folder: Path | None
) -> tuple[list[tuple[str, np.ndarray]], list[UnreadableImage]]:
    """Writes the mask of each image, `NAME.png`, and the image with it over it, `NAME_over.png`.

    Args:
      restored: the model.
      files: as of `cnn_jax.evaluation.predict.predict`.
      folder: where they are written, by default `FOLDER`.

    Returns:
      The name of each image, with the part (k,) of its pixels that each class has; and what cannot
      be read.

    Raises:
      UserError: a picture cannot be written, or would be where those lie that are read.
    """
    folder = folder or FOLDER
    check_apart(files, folder)
    apply, spec, colours = MasksTold(restored), restored.spec, class_colours(restored.spec)
    names = _names(files)
    found: list[tuple[str, np.ndarray]] = []
    bad: list[UnreadableImage] = []
    for start in range(0, len(files), _AT_ONCE):
        part = files[start : start + _AT_ONCE]
        read = in_threads(read_whole, [(restored, file) for file in part])
        for file, image in zip(part, read, strict=True):
            if isinstance(image, UnreadableImage):
                bad.append(image)
                continue
            mask = apply(image)
            _write(folder / f"{names[file]}.png", as_image(mask, spec))
            shown = over(in_colour(image, spec.value_range), mask, colours)
            _write(folder / f"{names[file]}_over.png", Image.fromarray(shown))
            found.append((str(file), shares_of(mask, len(spec.class_names))))
    return found, bad


_AT_ONCE = 16


def shares_of(mask: np.ndarray, classes: int) -> np.ndarray:
    """The part (k,) of the pixels of a mask (h, w) that each class has."""
    shares: np.ndarray = np.bincount(mask.ravel(), minlength=classes) / mask.size
    return shares


def read_whole(restored: Restored, file: Path) -> np.ndarray | UnreadableImage:
    """The pixels (h, w, c) of an image at its own size, as its mask is told of."""
    grey_range = restored.recipe.data.grey_range or restored.spec.grey_range or (0, 65535)
    try:
        return decode(
            content(file) if file == STANDARD_INPUT else file,
            grey_range=grey_range,
            full_depth=restored.recipe.data.full_depth,
        )
    except UnreadableImage as error:
        return error


def _names(files: Sequence[Path]) -> dict[Path, str]:
    """A name for what is written of each file: its own, with a number where several have it."""
    found: dict[Path, str] = {}
    for file in files:
        stem = "image" if file == STANDARD_INPUT else file.stem
        name, count = stem, 1
        while name in found.values() and file not in found:
            count += 1
            name = f"{stem}_{count}"
        found.setdefault(file, name)
    return found


def _write(file: Path, picture: Image.Image) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(file)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror or error}") from None
