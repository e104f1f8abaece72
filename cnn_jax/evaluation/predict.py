"""The most probable classes of a user's own images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cnn_jax.data.image_files import own_range
from cnn_jax.data.images import UnreadableImage, central_square, decode, resize
from cnn_jax.data.streaming import views
from cnn_jax.devices.compilation import compiled
from cnn_jax.errors import UserError
from cnn_jax.restored import Restored
from cnn_jax.tasks import make_task
from cnn_jax.training.evaluator import make_model


@dataclass(frozen=True)
class Prediction:
    """What a model makes of one image.

    Attributes:
      image: the file.
      classes: names of the most probable classes, the most probable first.
      probabilities: the probability of each.
    """

    image: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


def predict(restored: Restored, files: Sequence[Path], top: int = 5) -> list[Prediction]:
    """Predicts the classes of images.

    An image is brought to the size and channels of those that the model was evaluated on, after
    its central square is cut out where `restored.crop` says so; where the run's set streamed, by
    the same code.

    Args:
      restored: the model.
      files: JPEG, PNG, BMP or WebP files.
      top: how many classes are named for each, or all if there are fewer.

    Raises:
      UserError: a file is no image, or top is below 1.
    """
    if top < 1:
        raise UserError(f"--top {top} must be at least 1")
    images = np.stack([_read(restored, file) for file in files])
    probabilities = _answers(restored, images)
    names = restored.spec.class_names
    found = []
    for file, row in zip(files, probabilities, strict=True):
        best = np.argsort(-row, kind="stable")[:top]
        found.append(
            Prediction(
                str(file),
                tuple(names[place] for place in best),
                tuple(float(row[place]) for place in best),
            )
        )
    return found


_BATCH = 128


def _read(restored: Restored, file: Path) -> np.ndarray:
    """The pixels (h, w, c) uint8 of an image, as evaluation has them."""
    spec, data = restored.spec, restored.recipe.data
    grey_range = own_range(file) if data.grey_range is None else data.grey_range
    if spec.streamed:
        data = dataclasses.replace(data, grey_range=grey_range)
        _, view = views(data, spec.image_shape)
        try:
            return view.image(file.read_bytes(), str(file), None)
        except OSError as error:
            raise UnreadableImage(str(file), f"cannot be read: {error.strerror}") from error
    height, width, channels = spec.evaluated_shape
    image = decode(file, channels=channels, grey_range=grey_range)
    if restored.crop is not None:
        image = central_square(image, restored.crop)
    return resize(image, (height, width))


def _answers(restored: Restored, images: np.ndarray) -> np.ndarray:
    """What is told (n, k) of raw images (n, h, w, c)."""
    task = make_task(restored.recipe, restored.spec)
    model = make_model(restored.recipe, task)

    def told(variables: Any, images: Any) -> Any:
        def apply(inputs: Any) -> Any:
            return model.apply(variables, inputs, train=False)

        return task.answers(task.infer(apply, task.prepared(images)))

    found, programs = [], dict[int, Any]()
    for part in np.split(images, range(_BATCH, len(images), _BATCH)):
        if len(part) not in programs:  # all are of one size but the last
            given = restored.variables, part
            programs[len(part)] = compiled(restored.mesh, jax.jit(told), *given)
        found.append(np.asarray(programs[len(part)](restored.variables, part)))
    return np.concatenate(found)
